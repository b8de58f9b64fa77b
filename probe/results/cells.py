"""Result tables: cells computed from the tallies alone, each rate with its interval, denominator and chance level.

Clusters are the bases of instances: whatever is pooled (models, channels, modes, twins of one base) is added per base
first, so that intervals never take repeated answers to one problem for independent ones.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from probe.asking.judging import OUTCOMES, UNSCORED
from probe.asking.measures import unpack
from probe.errors import RequestError, WorkError
from probe.results.statistics import Interval, corrected, macro, ratio
from probe.store.tables import Batch, Block, FamilyVersion, Model, Presentation, Question, Shard, Tally
from solvers.problem import SIZES

Counts = NDArray[np.int64]  # (POSITIONS, 2): n and y
Floats = NDArray[np.float64]

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
    "warning": Presentation.warning,
    "temperature": Presentation.temperature,
    "effort": Presentation.effort,
    "answer_tokens": Presentation.answer_tokens,
    "batch": Batch.name,
}
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
PPM = 1_000_000


@dataclass(frozen=True)
class Cell:
    """One row of a result table. A rate is None where nothing was counted."""

    group: dict[str, Any]
    kind: str  # endpoint or baseline
    n_trials: int
    n_instances: int
    outcomes: dict[str, int]
    unscored: dict[str, int]
    rates: dict[str, Interval | None]
    chance: Interval | None  # the baseline's rate on the same questions, weighted as the model's trials
    corrected: Interval | None  # (rate - chance) / (1 - chance)
    gap: Interval | None  # primal gap, over feasible trials
    n_gap: int

    def plain(self) -> dict[str, Any]:
        """Return the cell as JSON."""
        rates = {name: _plain(rate) for name, rate in self.rates.items()}
        return self.group | {
            "kind_of_row": self.kind,
            "n_trials": self.n_trials,
            "n_instances": self.n_instances,
            "unscored": self.unscored,
            "outcomes": self.outcomes,
            **rates,
            "corrected": _plain(self.corrected),
            "gap": _plain(self.gap),
            "chance": _plain(self.chance),
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
    return {
        "rate": interval.rate,
        "low": interval.low,
        "high": interval.high,
        "n": interval.n,
        "clusters": interval.clusters,
    }


@dataclass
class Group:
    """The tallies of one cell, added up by question and measure."""

    kind: str
    counts: dict[int, dict[str, Counts]] = field(default_factory=dict)
    models: dict[str, set[int]] = field(default_factory=dict)  # the questions that each model answered

    def add(self, question_id: int, model: str, tally: Mapping[str, Any]) -> None:
        """Add one shard's tally."""
        sums = self.counts.setdefault(question_id, {})
        for measure, matrix in tally.items():
            if measure in sums:
                sums[measure] = sums[measure] + matrix
            else:
                sums[measure] = matrix.astype(np.int64)
        self.models.setdefault(model, set()).add(question_id)


def result_table(
    session: Session,
    by: Sequence[str] = ("model",),
    where: Mapping[str, str] | None = None,
    batch: int | None = None,
    baseline: str = "random",
    measure: str = "satisfaction_micro",
) -> ResultTable:
    """Return the cells of a table, baselines as rows beside the models where ``by`` names the model.

    ``where``: column -> value (several, parted by commas). Raises RequestError for unknown columns, measures and
    baselines, WorkError where tallies of two judge versions would be mixed.
    """
    splits = [name for name in by if name in SPLITS]
    if unknown := [name for name in by if name not in BY]:
        raise RequestError(f"by: unknown {', '.join(unknown)}; one or more of {', '.join(BY)}")
    if len(splits) > 1:
        raise RequestError("by: constraint_kind and constraint_class can't be split by at once")
    if measure not in MEASURES:
        raise RequestError(f"measure: unknown {measure!r}; one of {', '.join(MEASURES)}")
    if splits and MEASURES[measure] != "constraints":
        raise RequestError(f"measure: {measure} is not defined by {splits[0]}; satisfaction_micro is")
    columns = tuple(name for name in by if name not in SPLITS)
    rows = session.execute(_query(columns, where or {}, batch)).all()
    shards = [row for row in rows if row.kind_of_model == "endpoint"]
    asked = {row.question_id for row in shards}
    wants_baselines = "model" in by
    # A baseline's shards belong to no batch: they are joined on the questions that the models were asked.
    answered = [
        row
        for row in rows
        if row.kind_of_model == "baseline" and (not asked or row.question_id in asked or batch is None)
    ]
    chosen = [row for row in answered if row.model_name == baseline]
    if answered and not chosen:
        names = sorted({row.model_name for row in answered})
        raise RequestError(f"baseline: no results of {baseline!r} on these questions; there are {', '.join(names)}")
    versions = {row.judge_version for row in [*shards, *answered]}
    if len(versions) > 1:
        raise WorkError(f"results of judge versions {sorted(versions)} can't stand in one table: run `probe rejudge`")
    bases = {row.question_id: _base(row) for row in [*shards, *answered]}
    chance = Group("baseline")
    for row in chosen:
        chance.add(row.question_id, row.model_name, unpack(row.measures, row.matrix))
    groups: dict[tuple[Any, ...], Group] = {}
    for row in shards + (answered if wants_baselines else []):
        group = groups.setdefault(tuple(getattr(row, f"by_{name}") for name in columns), Group(row.kind_of_model))
        group.add(row.question_id, row.model_name, unpack(row.measures, row.matrix))
    cells = []
    for key, group in groups.items():
        values = dict(zip(columns, key, strict=True))
        for extra, prefix in _split(group, splits):
            cells.append(_cell(values | extra, group, chance, bases, measure, prefix))
    cells = [replace(cell, group={name: cell.group[name] for name in by}) for cell in cells]
    sizes = {row.name: row.params for row in session.execute(select(Model.name, Model.params).order_by(Model.id))}
    cells.sort(key=lambda cell: _order(cell, sizes))
    return ResultTable(tuple(by), measure, baseline, next(iter(versions), None), cells, _notes(groups, columns))


def _query(columns: Iterable[str], where: Mapping[str, str], batch: int | None) -> Select[Any]:
    query: Select[Any] = (
        select(
            Tally.judge_version,
            Tally.measures,
            Tally.matrix,
            Shard.question_id,
            Model.kind.label("kind_of_model"),
            Model.name.label("model_name"),
            FamilyVersion.id.label("family_version"),
            Block.size,
            Block.seed,
            Block.number,
            *(COLUMNS[name].label(f"by_{name}") for name in columns),
        )
        .join(Shard, Tally.shard_id == Shard.id)
        .join(Model, Shard.model_id == Model.id)
        .join(Question, Shard.question_id == Question.id)
        .join(Block, Question.block_id == Block.id)
        .join(FamilyVersion, Block.family_version_id == FamilyVersion.id)
        .outerjoin(Presentation, Shard.presentation_id == Presentation.id)
        .outerjoin(Batch, Shard.batch_id == Batch.id)
        .order_by(Shard.id)
    )
    of_answers = ("channel", "form", "examples", "warning", "temperature", "effort", "answer_tokens", "batch")
    of_models = ("model", "params", "active_params", "layers", "width", "training", "reasoning")
    for name, text in where.items():
        if name not in COLUMNS:
            raise RequestError(f"where: unknown {name!r}; one of {', '.join(COLUMNS)}")
        condition = COLUMNS[name].in_([_value(name, part) for part in text.split(",")])
        if name in (*of_answers, *of_models):  # says nothing of baselines: they stay, for comparison
            condition = condition | (Model.kind == "baseline")
        query = query.where(condition)
    if batch is not None:
        questions = select(Shard.question_id).where(Shard.batch_id == batch)
        query = query.where((Shard.batch_id == batch) | (Shard.batch_id.is_(None) & Shard.question_id.in_(questions)))
    return query


def _value(name: str, text: str) -> Any:
    """Return a value of ``--where`` in the type of its column. Raises RequestError."""
    kind = COLUMNS[name].type.python_type
    try:
        if kind is bool:
            return {"true": True, "false": False}[text.lower()]
        return kind(float(text)) if kind is int else kind(text)
    except (ValueError, KeyError, OverflowError):
        raise RequestError(f"where: {name}={text!r} is not a {'true or false' if kind is bool else 'number'}") from None


def _base(row: Any) -> tuple[Any, ...]:
    """Return what twins of one base share: position i of each is the same base."""
    return (row.family_version, row.size, row.seed, row.number)


def _split(group: Group, splits: Sequence[str]) -> list[tuple[dict[str, str], str]]:
    """Return (extra columns, measure) for each part of a split by constraint kind or class."""
    if not splits:
        return [({}, "")]
    prefix = SPLITS[splits[0]]
    found = {m for sums in group.counts.values() for m in sums if m.startswith(prefix)}
    return [({splits[0]: m.removeprefix(prefix)}, m) for m in sorted(found)]


def _clusters(group: Group, bases: Mapping[int, tuple[Any, ...]], measure: str) -> dict[tuple[Any, ...], Counts]:
    """Return the counts of one measure by base block."""
    out: dict[tuple[Any, ...], Counts] = {}
    for question_id, sums in group.counts.items():
        if measure in sums:
            base = bases[question_id]
            out[base] = out[base] + sums[measure] if base in out else sums[measure]
    return out


def _stack(clusters: Mapping[tuple[Any, ...], NDArray[Any]]) -> Floats:
    """Return (clusters, 2): one row a base with n > 0."""
    if not clusters:
        return np.zeros((0, 2))
    rows = np.concatenate(list(clusters.values())).astype(float)
    return rows[rows[:, 0] > 0]


def _paired(
    group: Group, chance: Group, bases: Mapping[int, tuple[Any, ...]], measure: str
) -> tuple[Floats, Floats] | None:
    """Return (model, baseline) counts by base, None where the baseline has no answer to something that was asked.

    Where the model gave n answers the baseline counts n times its rate on that instance: both have the same weights.
    """
    pairs: dict[tuple[Any, ...], NDArray[np.float64]] = {}
    for question_id, sums in group.counts.items():
        if measure not in sums:
            continue
        other = chance.counts.get(question_id, {}).get(measure)
        mine = sums[measure].astype(float)
        if other is None or ((mine[:, 0] > 0) & (other[:, 0] == 0)).any():
            return None
        share = other[:, 1] / np.maximum(other[:, 0], 1)
        pair = np.column_stack([mine, mine[:, 0], mine[:, 0] * share])
        base = bases[question_id]
        pairs[base] = pairs[base] + pair if base in pairs else pair
    if not pairs:
        return None
    rows = np.concatenate(list(pairs.values()))
    rows = rows[rows[:, 0] > 0]
    return rows[:, :2], rows[:, 2:]


def _cell(
    values: dict[str, Any],
    group: Group,
    chance: Group,
    bases: Mapping[int, tuple[Any, ...]],
    measure: str,
    split: str,
) -> Cell:
    def counts(name: str) -> Floats:
        return _stack(_clusters(group, bases, split or name))

    constraints = counts("constraints")
    rates: dict[str, Interval | None] = {
        "satisfaction_micro": ratio(constraints[:, 0], constraints[:, 1]),
        "satisfaction_macro": macro(constraints[:, 0], constraints[:, 1]),
    }
    for name in ("satisfaction_given_wellformed", "feasible", "feasible_core", "optimal"):
        rows = np.zeros((0, 2)) if split else counts(MEASURES[name])
        rates[name] = ratio(rows[:, 0], rows[:, 1])
    gaps = np.zeros((0, 2)) if split else counts("gap")
    outcomes: dict[str, int] = {o: int(_stack(_clusters(group, bases, f"outcome:{o}"))[:, 1].sum()) for o in OUTCOMES}
    trials = _stack(_clusters(group, bases, f"outcome:{OUTCOMES[0]}"))
    pair = _paired(group, chance, bases, split or MEASURES[measure])
    return Cell(
        group=values,
        kind=group.kind,
        n_trials=int(trials[:, 0].sum()),
        n_instances=len(trials),
        outcomes=outcomes,
        unscored={o: outcomes[o] for o in UNSCORED},
        rates=rates,
        chance=None if pair is None else ratio(pair[1][:, 0], pair[1][:, 1], counts=False),
        corrected=None if pair is None else corrected(pair[0][:, 0], pair[0][:, 1], pair[1][:, 0], pair[1][:, 1]),
        gap=ratio(gaps[:, 0], gaps[:, 1] / PPM, counts=False),
        n_gap=int(gaps[:, 0].sum()),
    )


def _order(cell: Cell, params: Mapping[str, int | None]) -> tuple[Any, ...]:
    """Return the sort key: baselines first, models by size, sizes by the ladder, all else by value."""
    key: list[Any] = [cell.kind != "baseline"]
    for name, value in cell.group.items():
        if name == "model":
            key += [params[value] is None, params[value] or 0, value]
        elif name == "size":
            key.append(SIZES.index(value))
        else:
            key += [value is not None, value if isinstance(value, int | float) else 0, str(value)]
    return tuple(key)


def _notes(groups: Mapping[tuple[Any, ...], Group], columns: Sequence[str]) -> list[str]:
    """Return what would mislead a reader who compares rows."""
    notes = []
    asked: dict[str, set[int]] = {}
    for group in groups.values():
        for model, questions in group.models.items():
            if group.kind == "endpoint":
                asked.setdefault(model, set()).update(questions)
    if len({frozenset(questions) for questions in asked.values()}) > 1:
        everyone = set.intersection(*asked.values())
        some = ", ".join(f"{model} {len(questions)}" for model, questions in sorted(asked.items()))
        notes.append(
            f"The models did not answer the same questions ({some}; {len(everyone)} in common):"
            " rows of different models are not comparable as they stand."
        )
    if "model" not in columns and len(asked) > 1:
        notes.append(f"Rows pool the answers of {len(asked)} models: {', '.join(sorted(asked))}.")
    return notes
