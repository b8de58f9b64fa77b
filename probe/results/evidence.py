"""Evidence: stored tallies as arms that line up instance by instance, what findings and plots are computed from."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from probe.asking.measures import POSITIONS
from probe.errors import WorkError
from probe.results.columns import catalogue
from probe.results.counting import selected
from probe.store.sessions import in_groups
from probe.store.tables import Batch, Block, FamilyVersion, Model, Presentation, Question, Shard, Tally

Counts = NDArray[np.int64]  # (POSITIONS, 2): n and y at each position of a block
Floats = NDArray[np.float64]


class Base(NamedTuple):
    """A block before variants and modules: what sibling blocks share, position by position."""

    family: str
    version: int
    size: str
    seed: int
    number: int


@dataclass(frozen=True)
class Subject:
    """Who answered: a model of the catalogue, or a baseline."""

    id: int
    name: str
    kind: str  # endpoint or baseline
    params: int | None = None
    active_params: int | None = None
    layers: int | None = None
    width: int | None = None
    training: str | None = None
    reasoning: bool = False
    lineage: str | None = None  # models trained alike
    served_id: str | None = None

    def __hash__(self) -> int:
        return hash(self.id)  # it is looked up for every arm


@dataclass(frozen=True)
class Manner:
    """How a question was presented; the effort is None where none was set."""

    channel: str
    examples: int = 0
    coverage: str = "joint"
    warning: bool = False
    temperature: float | None = 0.0
    effort: str | None = None
    answer_tokens: int = 1024


@dataclass(frozen=True)
class Arm:
    """All answers of one subject, in one manner, to one question: counts (n, y) by measure and position.

    Samples and batches are pooled. ``manner`` is None for a baseline. ``shards``: ids of the rows behind it.
    """

    subject: Subject
    manner: Manner | None
    base: Base
    kind: str  # optimization or numerics
    variant: str
    modules: frozenset[str]
    mode: str
    counts: Mapping[str, Counts]
    shards: tuple[int, ...] = ()

    @property
    def asked(self) -> "Asked":
        """What was asked, whoever answered in whatever manner: what a baseline's answers line up on."""
        return self.base, self.variant, self.modules, self.mode


Asked = tuple[Base, str, frozenset[str], str]  # base, variant, modules, mode
Key = tuple[Base, int]  # a base instance


def load(
    session: Session,
    wanted: Callable[[str], bool],
    batch: int | None = None,
    where: Mapping[str, str] | None = None,
) -> list[Arm]:
    """Return the arms of everything answered (of one batch and of the baselines), canaries left out.

    Only measures that are ``wanted`` are kept; ``where``: as for `probe.results.cells.result_table`. Raises
    RequestError for what it doesn't know there, WorkError where two judge versions would be mixed.
    """
    rows = session.execute(_query(batch)).all()
    if where:
        chosen = set(selected(session, catalogue(session), where, batch)[0].id.tolist())
        rows = [row for row in rows if row.id in chosen]
    if len(versions := {row.judge_version for row in rows}) > 1:
        raise WorkError(f"results of judge versions {sorted(versions)} can't be set side by side: run `probe rejudge`")
    places: dict[str, tuple[NDArray[np.intp], list[str]]] = {}
    for names in {row.measures for row in rows}:
        listed = names.split("\n") if names else []
        kept = [i for i, name in enumerate(listed) if wanted(name)]
        places[names] = (np.array(kept, np.intp), [listed[i] for i in kept])
    subjects = {m.id: _subject(m) for m in session.scalars(select(Model))}
    manners: dict[int | None, Manner | None] = {p.id: _manner(p) for p in session.scalars(select(Presentation))}
    manners[None] = None
    grouped: dict[tuple[int, Manner | None, int], list[Any]] = {}
    for row in rows:
        grouped.setdefault((row.model_id, manners[row.presentation_id], row.question_id), []).append(row)
    matrices = dict(_matrices(session, {row.id: places[row.measures][0] for row in rows}))
    out = []
    for (model, manner, _), members in grouped.items():
        first, counts = members[0], dict[str, Counts]()
        for row in members:
            for name, matrix in zip(places[row.measures][1], matrices[row.id], strict=True):
                counts[name] = counts[name] + matrix if name in counts else matrix.astype(np.int64)
        out.append(
            Arm(
                subject=subjects[model],
                manner=manner,
                base=Base(first.name, first.version, first.size, first.seed, first.number),
                kind=first.kind,
                variant=first.variant,
                modules=frozenset(first.modules.split("+")) - {""},
                mode=first.mode,
                counts=counts,
                shards=tuple(row.id for row in members),
            )
        )
    return out


def by_instance(arms: Iterable[Arm], measure: str) -> dict[Key, tuple[float, float]]:
    """Return (n, y) of a measure by base instance, added over arms; where nothing was counted there is no entry."""
    sums: dict[Base, Counts] = {}
    for arm in arms:
        if (counts := arm.counts.get(measure)) is not None:
            sums[arm.base] = sums[arm.base] + counts if arm.base in sums else counts
    return {
        (base, int(i)): (float(counts[i, 0]), float(counts[i, 1]))
        for base, counts in sums.items()
        for i in np.flatnonzero(counts[:, 0])
    }


def aligned(*sides: Mapping[Key, tuple[float, float]]) -> tuple[list[Key], list[tuple[Floats, Floats]]]:
    """Return the base instances that all sides answered, in a fixed order, and each side's n and y on them."""
    common = sorted(set.intersection(*(set(side) for side in sides))) if sides else []
    pairs = [np.array([side[key] for key in common], float).reshape(-1, 2) for side in sides]
    return common, [(pair[:, 0], pair[:, 1]) for pair in pairs]


def _query(batch: int | None) -> Select[*tuple[Any, ...]]:
    """Return the query of tallied shards with what they are about, matrices aside."""
    query: Select[*tuple[Any, ...]] = (
        select(
            Shard.id,
            Shard.model_id,
            Shard.presentation_id,
            Shard.question_id,
            Tally.judge_version,
            Tally.measures,
            FamilyVersion.name,
            FamilyVersion.version,
            FamilyVersion.kind,
            Block.size,
            Block.seed,
            Block.number,
            Block.variant,
            Block.modules,
            Question.mode,
        )
        .select_from(Shard)
        .join(Tally, Tally.shard_id == Shard.id)
        .join(Question, Shard.question_id == Question.id)
        .join(Block, Question.block_id == Block.id)
        .join(FamilyVersion, Block.family_version_id == FamilyVersion.id)
        .outerjoin(Batch, Shard.batch_id == Batch.id)
        .where(Batch.canary.is_not(True))  # true of baselines, which have no batch
        .where(Tally.measures != "")  # as a baseline leaves it that a family does not offer
        .order_by(Shard.id)
    )
    return query if batch is None else query.where((Shard.batch_id == batch) | Shard.batch_id.is_(None))


def _matrices(session: Session, kept: Mapping[int, NDArray[np.intp]]) -> Iterable[tuple[int, NDArray[np.int32]]]:
    """Yield the measures kept of each shard's tally, (measures, POSITIONS, 2)."""
    for some in in_groups(list(kept)):
        query = select(Tally.shard_id, Tally.matrix).where(Tally.shard_id.in_(some))
        for shard, matrix in session.execute(query):
            yield shard, np.frombuffer(matrix, "<i4").reshape(-1, POSITIONS, 2)[kept[shard]]


def _subject(model: Model) -> Subject:
    shared = ("id", "name", "kind", "params", "active_params", "layers", "width", "training", "reasoning", "served_id")
    return Subject(**{name: getattr(model, name) for name in (*shared, "lineage")})


def _manner(row: Presentation) -> Manner:
    shared = ("channel", "examples", "coverage", "warning", "temperature", "effort", "answer_tokens")
    return Manner(**{name: getattr(row, name) for name in shared})
