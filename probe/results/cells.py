"""Result tables: cells computed from the tallies alone, each rate with its interval, denominator and chance level.

Clusters are the bases of instances: whatever is pooled (models, channels, modes, twins of one base) is added per base
first, so that intervals never take repeated answers to one problem for independent ones.
"""

import math
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import ColumnElement, Row, Select, or_, select
from sqlalchemy.orm import Session

from probe.asking.baselines import BASELINES
from probe.asking.judging import OUTCOMES, UNSCORED
from probe.asking.measures import POSITIONS
from probe.errors import RequestError, WorkError
from probe.results.statistics import Interval, corrected, ratio
from probe.store.tables import Batch, Block, FamilyVersion, Model, Presentation, Question, Shard, Tally
from solvers.problem import SIZES

Array = NDArray[Any]  # (questions, POSITIONS, 2) where it is a measure's counts n and y
Labels = NDArray[np.intp]

COLUMNS: dict[str, Any] = {
    "model": Model.name,
    "params": Model.params,
    "active_params": Model.active_params,
    "layers": Model.layers,
    "width": Model.width,
    "training": Model.training,
    "reasoning": Model.reasoning,
    "family": FamilyVersion.name,
    "kind": FamilyVersion.kind,
    "size": Block.size,
    "variant": Block.variant,
    "modules": Block.modules,
    "seed": Block.seed,
    "mode": Question.mode,
    "channel": Presentation.channel,
    "form": Presentation.form,
    "examples": Presentation.examples,
    "coverage": Presentation.coverage,
    "warning": Presentation.warning,
    "temperature": Presentation.temperature,
    "effort": Presentation.effort,
    "answer_tokens": Presentation.answer_tokens,
    "batch": Batch.name,
}
OF_ANSWERS = tuple(name for name, column in COLUMNS.items() if column.class_ in (Model, Presentation, Batch))
SPLITS = {"constraint_kind": "kind:", "constraint_class": "class:"}
BY = (*COLUMNS, *SPLITS)
MEASURES = {  # what --measure takes: the tally's measure behind it
    "satisfaction_micro": "constraints",
    "satisfaction_macro": "constraints",
    "satisfaction_given_wellformed": "wellformed",
    "feasible": "feasible",
    "feasible_core": "feasible_core",
    "optimal": "optimal",
}
SATISFACTION = ("satisfaction_micro", "satisfaction_macro")  # what is defined for a part of the constraints
OUTCOME_COUNTS = tuple(f"outcome:{outcome}" for outcome in OUTCOMES)
PPM = 1_000_000
AT_ONCE = 500  # tallies read by one statement
LARGEST = 2**63 - 1  # integer of the databases


@dataclass(frozen=True)
class Cell:
    """One row of a result table. A rate is None where nothing was counted.

    ``n_trials``: answers asked for, unscored ones too; ``n_instances``: distinct instances they were asked about.
    Split by constraint kind or class, both speak of the questions that have such constraints.
    """

    group: dict[str, Any]
    kind: str  # endpoint or baseline
    n_trials: int
    n_instances: int
    outcomes: dict[str, int]
    unscored: dict[str, int]
    rates: dict[str, Interval | None]
    chance: Interval | None  # the baseline's rate on the same instances, weighted as the row's own trials
    corrected: Interval | None  # (rate - chance) / (1 - chance)
    gap: Interval | None  # primal gap, over feasible trials with an objective

    def plain(self) -> dict[str, Any]:
        """Return the cell as JSON."""
        rates = self.rates | {"corrected": self.corrected, "gap": self.gap, "chance": self.chance}
        return self.group | {
            "kind_of_row": self.kind,
            "n_trials": self.n_trials,
            "n_instances": self.n_instances,
            "unscored": self.unscored,
            "outcomes": self.outcomes,
            **{name: _plain(rate) for name, rate in rates.items()},
        }


@dataclass(frozen=True)
class ResultTable:
    """Cells in the order in which they are shown, and what a reader must know about them."""

    by: tuple[str, ...]
    measure: str
    baseline: str
    judge_version: int | None
    cells: list[Cell]
    notes: list[str] = field(default_factory=list)


def _plain(interval: Interval | None) -> dict[str, Any] | None:
    if interval is None:
        return None
    return {name: getattr(interval, name) for name in ("rate", "low", "high", "n", "clusters")}


def result_table(
    session: Session,
    by: Sequence[str] = ("model",),
    where: Mapping[str, str] | None = None,
    batch: int | None = None,
    baseline: str = "random",
    measure: str = "satisfaction_micro",
) -> ResultTable:
    """Return the cells of a table, baselines as rows beside the models where ``by`` names the model.

    ``where``: column -> value (several, parted by commas; "none": not given). Raises RequestError for what it doesn't
    know in ``by``, ``where``, ``baseline`` and ``measure``, WorkError where two judge versions would be mixed.
    """
    columns, split = _checked_by(by, measure)
    if measure not in MEASURES:
        raise RequestError(f"measure: unknown {measure!r}; one of {', '.join(MEASURES)}")
    if baseline not in BASELINES:
        raise RequestError(f"baseline: unknown {baseline!r}; one of {', '.join(BASELINES)}")
    conditions = _conditions(session, where or {})
    planned = _asked_by_spec(session, batch)
    rows = session.execute(_query(columns, conditions, batch, planned, "batch" in (where or {}))).all()
    asked = [row for row in rows if row.kind_of_model == "endpoint"]
    named = [name.strip() for name in (where or {}).get("model", "").split(",")]
    spans = planned if planned is not None else _spans(asked)
    everything = not asked and planned is None and (any(n in BASELINES for n in named) or not _of_answers(where))
    done = [row for row in asked if row.judge_version is not None]
    of_baselines = [row for row in rows if row.kind_of_model == "baseline" and row.judge_version is not None]
    answered = [row for row in of_baselines if everything or row.question_id in spans]
    versions = {row.judge_version for row in [*done, *answered]}
    if len(versions) > 1:
        raise WorkError(f"results of judge versions {sorted(versions)} can't stand in one table: run `probe rejudge`")

    shown = [row for row in answered if not any(n in BASELINES for n in named) or row.model_name in named]
    groups: dict[tuple[Any, ...], list[Row[Any]]] = {}
    for row in [*done, *(shown if "model" in columns else [])]:
        groups.setdefault(tuple(getattr(row, f"by_{name}") for name in columns), []).append(row)
    parts = _parts([*done, *answered], split)
    wanted = (*OUTCOME_COUNTS, *dict.fromkeys(MEASURES.values()), "gap", *parts)
    chosen = [row for row in answered if row.model_name == baseline]
    chance = _read(session, chosen, tuple(parts) or (MEASURES[measure],), spans)
    cells = []
    for key, members in groups.items():
        kind = members[0].kind_of_model
        group = _read(session, members, wanted, spans if kind == "baseline" else {})
        values = dict(zip(columns, key, strict=True))
        if split is None:
            cells.append(_cell(values, kind, group, chance, measure, None))
        for part, questions in parts.items():
            if keep := [q for q in group.questions if q in questions]:
                extra = {str(split): part.partition(":")[2]}
                cells.append(_cell(values | extra, kind, group.only(keep), chance, measure, part))
    # A baseline that a family does not offer has an empty shard: no row.
    cells = [replace(cell, group={name: cell.group[name] for name in by}) for cell in cells if cell.n_trials]
    sizes = {row.name: row.params for row in session.execute(select(Model.name, Model.params).order_by(Model.id))}
    cells.sort(key=lambda cell: _order(cell, sizes))
    notes = _notes(asked, done, shown, columns)
    if done and len(chosen) == 0:
        notes.append(f"There are no answers of the baseline {baseline} to these questions, so no chance level.")
    if left_out := {row.question_id for row in of_baselines} - {row.question_id for row in answered}:
        notes.append(f"Baselines answered {len(left_out)} more blocks of instances, which no model here was asked.")
    return ResultTable(tuple(by), measure, baseline, next(iter(versions), None), cells, notes)


# --- what is asked for ------------------------------------------------------------------------------------------------


def _checked_by(by: Sequence[str], measure: str) -> tuple[tuple[str, ...], str | None]:
    """Return the plain columns of a table and what constraints are split by. Raises RequestError."""
    splits = [name for name in by if name in SPLITS]
    if unknown := [name for name in by if name not in BY]:
        raise RequestError(f"by: unknown {', '.join(unknown)}; one or more of {', '.join(BY)}")
    if len(set(by)) < len(by):
        raise RequestError(f"by: {', '.join(by)} names a column twice")
    if len(splits) > 1:
        raise RequestError("by: constraint_kind and constraint_class can't be split by at once")
    if splits and measure in MEASURES and measure not in SATISFACTION:
        raise RequestError(f"measure: {measure} is not defined by {splits[0]}; {' and '.join(SATISFACTION)} are")
    return tuple(name for name in by if name not in SPLITS), next(iter(splits), None)


def _of_answers(where: Mapping[str, str] | None) -> bool:
    """Return whether a condition speaks of models or of how they were asked, which says nothing of baselines."""
    return any(name in OF_ANSWERS for name in where or {})


def _conditions(session: Session, where: Mapping[str, str]) -> list[ColumnElement[bool]]:
    """Return ``--where`` as conditions; those on models and presentations leave baselines in. Raises RequestError."""
    out = []
    for name, text in where.items():
        if name not in COLUMNS:
            raise RequestError(f"where: unknown {name!r}; one of {', '.join(COLUMNS)}")
        column, texts = COLUMNS[name], [part.strip() for part in text.split(",")]
        if name == "model":
            known = {*session.scalars(select(Model.name)), *BASELINES}
            if unknown := [part for part in texts if part not in known]:
                raise RequestError(f"where: there is no model {', '.join(unknown)}; `probe models list` shows them")
        absent = [column.is_(None)] if column.nullable and "none" in texts else []
        values = [_value(name, part) for part in texts if not (absent and part == "none")]
        condition = or_(column.in_(values), *absent)
        out.append(or_(condition, Model.kind == "baseline") if name in OF_ANSWERS else condition)
    return out


def _value(name: str, text: str) -> Any:
    """Return a value of ``--where`` in the type of its column. Raises RequestError."""
    kind = COLUMNS[name].type.python_type
    try:
        if kind is bool:
            return {"true": True, "false": False}[text.lower()]
        if kind is int:
            return _whole(text)
        if kind is float and not math.isfinite(float(text)):
            raise ValueError(text)
        return kind(text)
    except (ValueError, KeyError, OverflowError):
        wanted = {bool: "true or false", int: "a whole number"}.get(kind, "a number")
        raise RequestError(f"where: {name}={text!r} is not {wanted}") from None


def _whole(text: str) -> int:
    """Return a whole number, also one written as 7e9. Raises ValueError or OverflowError."""
    try:
        value = int(text)
    except ValueError:
        value = int(float(text))
        if value != float(text):
            raise
    if abs(value) > LARGEST:
        raise OverflowError(text)
    return value


def _asked_by_spec(session: Session, batch: int | None) -> dict[int, int] | None:
    """Return question -> positions (see `_span`) asked by a batch without models, None for any other.

    Such a batch has no shards of its own: only the baselines answer it. Raises RequestError for an unknown batch.
    """
    if batch is None or session.scalar(select(Shard.id).where(Shard.batch_id == batch).limit(1)) is not None:
        return None
    row = session.get(Batch, batch)
    if row is None:
        raise RequestError(f"batch: there is no batch {batch}; `probe status` lists them")
    from probe.batches import expand
    from probe.submitting import stored_spec

    asked: dict[tuple[Any, ...], int] = {
        (a.family, a.size, a.seed, a.number, a.variant, "+".join(a.modules), a.mode): _span(a.first, a.last)
        for a in expand(stored_spec(row.spec))
    }
    key = (FamilyVersion.name, Block.size, Block.seed, Block.number, Block.variant, Block.modules, Question.mode)
    questions = session.execute(
        select(Question.id, *key)
        .join(Block, Question.block_id == Block.id)
        .join(FamilyVersion, Block.family_version_id == FamilyVersion.id)
    )
    return {question: asked[tuple(rest)] for question, *rest in questions if tuple(rest) in asked}


def _query(
    columns: Iterable[str],
    conditions: Iterable[ColumnElement[bool]],
    batch: int | None,
    planned: Iterable[int] | None,
    named: bool,
) -> Select[*tuple[Any, ...]]:
    """Return the query of shards with what their tallies hold, matrices aside; judge_version is None without tally.

    Canaries, the same few instances every night, are left out unless batches are ``named`` in a condition.
    """
    query: Select[*tuple[Any, ...]] = (
        select(
            Shard.id,
            Shard.question_id,
            Shard.first,
            Shard.last,
            Shard.state,
            Shard.presentation_id,
            Tally.judge_version,
            Tally.measures,
            Model.id.label("model_id"),
            Model.kind.label("kind_of_model"),
            Model.name.label("model_name"),
            FamilyVersion.id.label("family_version_id"),
            FamilyVersion.name.label("family_name"),
            FamilyVersion.version,
            Block.id.label("block_id"),
            Block.size,
            Block.seed,
            Block.number,
            *(COLUMNS[name].label(f"by_{name}") for name in columns),
        )
        .select_from(Shard)
        .outerjoin(Tally, Tally.shard_id == Shard.id)
        .join(Model, Shard.model_id == Model.id)
        .join(Question, Shard.question_id == Question.id)
        .join(Block, Question.block_id == Block.id)
        .join(FamilyVersion, Block.family_version_id == FamilyVersion.id)
        .outerjoin(Presentation, Shard.presentation_id == Presentation.id)
        .outerjoin(Batch, Shard.batch_id == Batch.id)
        .where(*conditions)
        .order_by(Shard.id)
    )
    if batch is None and not named:
        query = query.where(Batch.canary.is_not(True))  # true of baselines, which have no batch
    if batch is not None:
        # A baseline's shards belong to no batch: they are joined on the questions that the batch asks.
        questions: Any = select(Shard.question_id).where(Shard.batch_id == batch) if planned is None else list(planned)
        query = query.where((Shard.batch_id == batch) | (Shard.batch_id.is_(None) & Shard.question_id.in_(questions)))
    return query


# --- counting ---------------------------------------------------------------------------------------------------------


def _span(first: int, last: int) -> int:
    """Return positions [first, last) as a set of bits."""
    return (1 << last) - (1 << first)


def _spans(rows: Iterable[Row[Any]]) -> dict[int, int]:
    """Return question -> the positions that the shards ask, as bits."""
    spans: dict[int, int] = {}
    for row in rows:
        spans[row.question_id] = spans.get(row.question_id, 0) | _span(row.first, row.last)
    return spans


@lru_cache(maxsize=1024)
def _mask(span: int) -> NDArray[np.bool_]:
    """Return a set of positions as an array (POSITIONS, 1)."""
    return np.array([[span >> position & 1] for position in range(POSITIONS)], bool)


@dataclass(frozen=True)
class Counted:
    """Tallies of some shards, added up by question: measure -> counts (questions, POSITIONS, 2).

    Position i of a question is position i of its instance block, and of the base of that.
    """

    questions: list[int]
    instance: Labels  # number of the block, by question
    base: Labels  # number of the base block, by question
    counts: dict[str, Array]

    def only(self, questions: Sequence[int]) -> "Counted":
        """Return the counts of some of the questions."""
        if len(questions) == len(self.questions):
            return self
        rows = [self.questions.index(question) for question in questions]
        counts = {measure: matrix[rows] for measure, matrix in self.counts.items()}
        return Counted(list(questions), _numbered(self.instance[rows]), _numbered(self.base[rows]), counts)


def _numbered(keys: Iterable[Hashable]) -> Labels:
    """Return the keys as numbers 0, 1 … in order of first appearance."""
    numbers: dict[Hashable, int] = {}
    return np.array([numbers.setdefault(key, len(numbers)) for key in keys], np.intp)


@lru_cache(maxsize=4096)
def _places(measures: str, wanted: tuple[str, ...]) -> tuple[Labels, Labels | slice]:
    """Return where the measures of a tally that are wanted stand: in the tally, in ``wanted``."""
    index = {name: i for i, name in enumerate(measures.split("\n"))}
    there = np.array([index[name] for name in wanted if name in index], np.intp)
    here = np.array([i for i, name in enumerate(wanted) if name in index], np.intp)
    return there, here if here.size < len(wanted) else slice(None)  # a slice needs no copy


def _read(session: Session, rows: Sequence[Row[Any]], wanted: tuple[str, ...], spans: Mapping[int, int]) -> Counted:
    """Add up the tallies of shards; of a question in ``spans`` only those positions count."""
    slots: dict[int, int] = {}
    firsts: list[Row[Any]] = []
    for row in rows:
        if row.question_id not in slots:
            slots[row.question_id] = len(firsts)
            firsts.append(row)
    sums = np.zeros((len(slots), len(wanted), POSITIONS, 2), np.int64)
    by_shard = {row.id: row for row in rows}
    ids = list(by_shard)
    for start in range(0, len(ids), AT_ONCE):
        query = select(Tally.shard_id, Tally.matrix).where(Tally.shard_id.in_(ids[start : start + AT_ONCE]))
        for shard_id, matrix in session.execute(query):
            row = by_shard[shard_id]
            there, here = _places(row.measures, wanted)
            sums[slots[row.question_id]][here] += np.frombuffer(matrix, "<i4").reshape(-1, POSITIONS, 2)[there]
    for question, slot in slots.items():
        if question in spans:
            sums[slot] *= _mask(spans[question])
    return Counted(
        list(slots),
        _numbered(row.block_id for row in firsts),
        _numbered((row.family_version_id, row.size, row.seed, row.number) for row in firsts),
        {measure: sums[:, i] for i, measure in enumerate(wanted)},
    )


def _parts(rows: Iterable[Row[Any]], split: str | None) -> dict[str, set[int]]:
    """Return measure -> the questions that have it, for each part of a split by constraint kind or class."""
    parts: dict[str, set[int]] = {}
    for row in rows if split else ():
        for measure in row.measures.split("\n"):
            if measure.startswith(SPLITS[str(split)]):
                parts.setdefault(measure, set()).add(row.question_id)
    return dict(sorted(parts.items()))


def _pooled(counts: Array, labels: Labels) -> Array:
    """Add counts (rows, POSITIONS, …) by label."""
    labelled = labels.max() + 1 if labels.size else 0
    if labelled == labels.size:  # each stands for itself
        return counts
    out = np.zeros((labelled, *counts.shape[1:]), counts.dtype)
    np.add.at(out, labels, counts)
    return out


def _micro(group: Counted, counts: Array) -> Array:
    """Return counts (questions, POSITIONS, k) as clusters (bases, k); those with n = 0 are left out."""
    rows = _pooled(counts, group.base).reshape(-1, counts.shape[2])
    return rows[rows[:, 0] > 0].astype(float)


def _macro(group: Counted, counts: Array) -> Array:
    """Return counts, pairs (n, y), as clusters (bases, k) in which every instance has the same weight.

    The weight is the harmonic mean of n over instances. It cancels in the rate; in the effective n it is what
    independent constraints would allow: r (1 - r) sum(1 / n_i) / G^2 (as `probe.results.statistics.macro`).
    """
    by_instance = _pooled(counts, group.instance)
    n = by_instance[..., :1]
    if not n.any():
        return np.zeros((0, counts.shape[2]))
    weights = np.where(n > 0, 1 / np.mean(1 / n[n > 0]), 0.0)
    shares = by_instance / np.maximum(n, 1) * weights  # n becomes the weight itself
    base = group.base[np.unique(group.instance, return_index=True)[1]]
    rows = _pooled(shares, base).reshape(-1, counts.shape[2])
    return np.asarray(rows[rows[:, 0] > 0])


def _with_chance(group: Counted, chance: Counted, measure: str) -> Array | None:
    """Return (n, y) of the group and of the baseline beside each other (questions, POSITIONS, 4).

    Where the group gave n answers the baseline counts n times its rate on that instance: both have the same weights.
    None where the group counted nothing, or the baseline has no answer to something that was asked.
    """
    mine = group.counts[measure]
    other = np.zeros_like(mine)
    slots = {question: i for i, question in enumerate(chance.questions)}
    have = [i for i, question in enumerate(group.questions) if question in slots]
    other[have] = chance.counts[measure][[slots[group.questions[i]] for i in have]]
    n = mine[..., 0]
    if not n.any() or ((n > 0) & (other[..., 0] == 0)).any():
        return None
    expected = n * other[..., 1] / np.maximum(other[..., 0], 1)
    return np.concatenate([mine, np.stack([n, expected], axis=-1)], axis=-1)


def _cell(values: dict[str, Any], kind: str, group: Counted, chance: Counted, measure: str, part: str | None) -> Cell:
    """Return the cell of a group; ``part``: of the constraints of one kind or class."""

    def rate(clusters: Array) -> Interval | None:
        return ratio(clusters[:, 0], clusters[:, 1])

    constraints = group.counts[part or "constraints"]
    instances = int(np.count_nonzero(_pooled(constraints, group.instance)[..., 0]))

    def of_instances(interval: Interval | None) -> Interval | None:
        return interval and replace(interval, n=instances)

    rates: dict[str, Interval | None] = {
        "satisfaction_micro": rate(_micro(group, constraints)),
        "satisfaction_macro": of_instances(rate(_macro(group, constraints))),
    }
    for name, tallied in MEASURES.items():
        if name not in SATISFACTION:
            rates[name] = None if part else rate(_micro(group, group.counts[tallied]))
    gaps = _micro(group, group.counts["gap"])
    trials = group.counts[OUTCOME_COUNTS[0]][..., 0]
    outcomes: dict[str, int] = {o: int(group.counts[f"outcome:{o}"][..., 1].sum()) for o in OUTCOMES}
    pairs = _with_chance(group, chance, part or MEASURES[measure])
    by_chance = above = None
    if pairs is not None:
        macro = measure == "satisfaction_macro"
        clusters: Callable[[Counted, Array], Array] = _macro if macro else _micro
        n, y, n_base, y_base = clusters(group, pairs).T
        by_chance, above = ratio(n_base, y_base, counts=False), corrected(n, y, n_base, y_base)
        if macro:
            by_chance, above = of_instances(by_chance), of_instances(above)
    return Cell(
        group=values,
        kind=kind,
        n_trials=int(trials.sum()),
        n_instances=int(np.count_nonzero(_pooled(trials, group.instance))),
        outcomes=outcomes,
        unscored={outcome: outcomes[outcome] for outcome in UNSCORED},
        rates=rates,
        chance=by_chance,
        corrected=above,
        gap=None if part else ratio(gaps[:, 0], gaps[:, 1] / PPM, counts=False),
    )


# --- order and notes --------------------------------------------------------------------------------------------------


def _order(cell: Cell, params: Mapping[str, int | None]) -> tuple[Any, ...]:
    """Return the sort key: baselines before models, models by size, sizes by the ladder, all else by value."""
    key: list[Any] = []
    for name, value in cell.group.items():
        if name == "model":
            size = BASELINES.index(value) if cell.kind == "baseline" else params[value]
            key += [cell.kind != "baseline", size is None, size or 0, value]
        elif name == "size":
            key += [SIZES.index(value) if value in SIZES else len(SIZES), value]
        else:
            key += [value is not None, value if isinstance(value, int | float) else 0, str(value)]
    return tuple(key)


def _notes(
    asked: Sequence[Row[Any]], done: Sequence[Row[Any]], baselines: Sequence[Row[Any]], columns: Sequence[str]
) -> list[str]:
    """Return what would mislead a reader who compares rows."""
    notes = []
    if unfinished := len(asked) - len(done):
        states = sorted({row.state for row in asked if row.judge_version is None})
        notes.append(
            f"{unfinished} of {len(asked)} shards have no results ({', '.join(states)}): this table lacks their trials."
        )
    spans = _by_name(done)
    counts = {name: sum(span.bit_count() for span in of.values()) for name, of in spans.items()}
    if any(of != next(iter(spans.values())) for of in spans.values()):
        common = set.intersection(*(set(of) for of in spans.values()))
        shared = sum(_all_of(of[question] for of in spans.values()).bit_count() for question in common)
        some = ", ".join(f"{name} {count}" for name, count in sorted(counts.items()))
        notes.append(
            f"The models did not answer the same questions (instances x modes: {some}; {shared} in common):"
            " rows of different models are not comparable as they stand."
        )
    facts = {
        (row.kind_of_model, row.model_name, row.model_id, row.presentation_id, row.family_name, row.version)
        for row in [*done, *baselines]
    }
    ways = _gathered((name, way) for kind, name, _, way, _, _ in facts if kind == "endpoint")
    if len({frozenset(of) for of in ways.values()}) > 1:
        notes.append(
            "The models were not asked in the same ways: see --by model,channel,form,examples,coverage,warning,effort."
        )
    if "model" not in columns and len(spans) > 1:
        notes.append(f"Rows pool the answers of {len(spans)} models: {', '.join(sorted(spans))}.")
    everything = {row.question_id for row in [*done, *baselines]}
    for name, of in sorted(_by_name(baselines).items()):
        if len(of) < len(everything):
            notes.append(f"The baseline {name} answered only {len(of)} of the {len(everything)} blocks of instances.")
    for name, ids in _gathered((name, id_) for _, name, id_, *_ in facts).items():
        if len(ids) > 1:
            notes.append(f"{len(ids)} models have borne the name {name}: its rows pool them.")
    for name, versions in _gathered((family, version) for *_, family, version in facts).items():
        if len(versions) > 1:
            notes.append(f"Versions {', '.join(map(str, sorted(versions)))} of {name} are pooled.")
    return notes


def _gathered(pairs: Iterable[tuple[str, int]]) -> dict[str, set[int]]:
    """Return name -> what belongs to it, names in order."""
    out: dict[str, set[int]] = {}
    for name, value in sorted(pairs):
        out.setdefault(name, set()).add(value)
    return out


def _by_name(rows: Sequence[Row[Any]]) -> dict[str, dict[int, int]]:
    """Return model -> question -> positions answered, as bits."""
    spans: dict[str, dict[int, int]] = {}
    for row in rows:
        of = spans.setdefault(row.model_name, {})
        of[row.question_id] = of.get(row.question_id, 0) | _span(row.first, row.last)
    return spans


def _all_of(spans: Iterable[int]) -> int:
    """Return the positions in all of the sets."""
    common = _span(0, POSITIONS)
    for span in spans:
        common &= span
    return common
