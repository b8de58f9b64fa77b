"""Result tables: cells computed from the tallies alone, each rate with its interval, denominator and chance level.

Clusters are the bases of instances: whatever is pooled (models, channels, modes, twins of one base) is added per base
first, so that intervals never take repeated answers to one problem for independent ones.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import select
from sqlalchemy.orm import Session

from probe.asking.baselines import BASELINES
from probe.asking.judging import OUTCOMES, UNSCORED
from probe.asking.measures import POSITIONS
from probe.errors import RequestError, WorkError
from probe.results.columns import OF_ANSWERS, SPLITS, Catalogue, Labels, catalogue, order
from probe.results.counting import (
    MEASURES,
    SATISFACTION,
    STATES,
    Array,
    Mask,
    Split,
    Tallies,
    added,
    asked,
    columns_of,
    grouped,
    read,
    selected,
)
from probe.results.notes import about
from probe.results.statistics import Interval, corrected, mean, ratio
from probe.store.tables import Batch, Shard

PPM = 1_000_000
PARTS = ("rate", "low", "high", "n", "clusters")  # of a rate in JSON


@dataclass(frozen=True)
class Cell:
    """One row of a result table. A rate is None where nothing was counted.

    ``n_trials``: answers asked for, unscored ones too; ``n_instances``: distinct instances they were asked about.
    Split by constraint kind or class, both speak of the questions that have such constraints. ``rates``, ``outcomes``
    and ``chances`` (the baseline's rates on the same instances, weighted as the row's trials) hold what was counted.
    Of the table's measure: ``chance`` with its interval, ``corrected``; ``worst_case``, the rate if all unscored trials
    were wrong and if all were right, None without any; ``over_families``, the mean over families where several are
    pooled, whose interval speaks of families not seen.
    """

    group: dict[str, Any]
    kind: str  # endpoint or baseline
    n_trials: int
    n_instances: int
    outcomes: dict[str, int]
    unscored: dict[str, int]
    rates: dict[str, Interval | None]
    chance: Interval | None
    corrected: Interval | None  # (rate - chance) / (1 - chance)
    gap: Interval | None  # primal gap, over feasible trials with an objective
    chances: dict[str, float | None] = field(default_factory=dict)
    worst_case: tuple[float, float] | None = None
    over_families: Interval | None = None

    def plain(self) -> dict[str, Any]:
        """Return the cell as JSON."""
        worst = None if self.worst_case is None else dict(zip(("wrong", "right"), self.worst_case, strict=True))
        return self.group | {
            "kind_of_row": self.kind,
            "n_trials": self.n_trials,
            "n_instances": self.n_instances,
            "unscored": self.unscored,
            "worst_case": worst,
            "outcomes": self.outcomes,
            **{name: _plain(rate, chance=self.chances.get(name)) for name, rate in self.rates.items()},
            "corrected": _plain(self.corrected),
            "gap": _plain(self.gap),
            "chance": _plain(self.chance),
            "over_families": _plain(self.over_families),
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


def _plain(interval: Interval | None, **more: float | None) -> dict[str, Any] | None:
    return None if interval is None else {name: getattr(interval, name) for name in PARTS} | more


def result_table(
    session: Session,
    by: Sequence[str] = ("model",),
    where: Mapping[str, str] | None = None,
    batch: int | None = None,
    baseline: str = "random",
    measure: str = "satisfaction_micro",
    rates: Sequence[str] | None = None,
) -> ResultTable:
    """Return the cells of a table, baselines as rows beside the models where ``by`` names the model.

    ``where``: column -> value (several, parted by commas; "none": not given). ``rates``: what is counted beside the
    measure and the unscored trials; None for all that there is. Raises RequestError for what it doesn't know in ``by``,
    ``where``, ``baseline`` and ``measure``, WorkError where two judge versions would be mixed.
    """
    where = where or {}
    columns, conditions, split = columns_of(by, where, measure)
    if baseline not in BASELINES:
        raise RequestError(f"baseline: unknown {baseline!r}; one of {', '.join(BASELINES)}")
    known = catalogue(session)
    planned = _asked_by_spec(session, known, batch)
    every, canaries = selected(session, known, conditions, batch)
    named = [name for name in BASELINES if name in {part.strip() for part in where.get("model", "").split(",")}]
    of_models = every.batch > 0
    spans = asked(known, every.only(of_models)) if planned is None else planned
    about_answers = any(name in OF_ANSWERS for name in where)
    anything = planned is None and not of_models.any() and (bool(named) or not about_answers)
    on_asked = (spans.any(axis=1) | np.array(anything))[known.questions.places(every.question)]
    complete = ~of_models & (every.state == STATES.index("complete"))
    who = np.array([None if row is None else row.name for row in known.models.rows], object)[
        known.models.places(every.model)
    ]
    chosen = complete & on_asked & (who == baseline)
    shown = complete & on_asked & (np.isin(who, named) if named else True) if "model" in columns else ~complete & False
    chosen, shown = np.asarray(chosen, bool), np.asarray(shown, bool)

    kept = of_models | shown | chosen
    of, size = every.only(kept), len(every)
    tallies = read(session, of, _wanted(measure, rates, split), size)
    if len(tallies.versions) > 1:
        versions = sorted(tallies.versions)
        raise WorkError(f"results of judge versions {versions} can't stand in one table: run `probe rejudge`")
    models, shown, chosen = of_models[kept], shown[kept], chosen[kept] & tallies.done
    counting = _Counting(known, tallies, None if anything else spans, np.flatnonzero(chosen), measure, rates)

    parts = {"": None} if split is None else split.parts(tallies.counts)
    rows = np.flatnonzero((models | shown) & tallies.done)
    cells = []
    for key, members in grouped(known, of.only(rows), columns):
        values = dict(zip(columns, key, strict=True))
        for part, measures in parts.items():
            extra = {split.name: part} if split is not None else {}
            mine = rows[members]
            if measures is not None:
                has = np.logical_or.reduce([tallies.having(m) for m in measures])
                mine = mine[np.isin(of.question[mine], of.question[has])]
            if mine.size:
                cells.append(counting.cell(values | extra, mine, measures))
    # A baseline that a family does not offer has an empty shard: no row.
    cells = [replace(cell, group={name: cell.group[name] for name in by}) for cell in cells if cell.n_trials]
    cells.sort(key=lambda cell: [order(name, value, known) for name, value in cell.group.items()])
    notes = about(known, tallies, models, canaries, by)
    notes += _about_models(known, tallies, models, columns)
    notes += _about_baselines(known, tallies, models, shown)
    if (models & tallies.done).any() and not chosen.any():
        notes.append(f"There are no answers of the baseline {baseline} to these questions, so no chance level.")
    if left_out := np.unique(every.question[complete & ~on_asked]).size:
        notes.append(f"Baselines answered {left_out} more blocks of instances, which no model here was asked.")
    return ResultTable(tuple(by), measure, baseline, next(iter(tallies.versions), None), cells, notes)


def _wanted(measure: str, rates: Sequence[str] | None, split: Split | None) -> Callable[[str], bool]:
    """Return which measures of tallies have to be read."""
    names = {MEASURES[measure], "constraints", *(f"outcome:{outcome}" for outcome in UNSCORED)}
    if rates is None:
        names |= {*MEASURES.values(), "gap", *(f"outcome:{outcome}" for outcome in OUTCOMES)}
    else:
        names |= {MEASURES[rate] for rate in rates}
    starts = () if split is None else (SPLITS[split.name],)
    return lambda name: name in names or name.startswith(starts)


def _asked_by_spec(session: Session, known: Catalogue, batch: int | None) -> Mask | None:
    """Return (questions, POSITIONS) asked by a batch without models, None for any other.

    Such a batch has no shards of its own: only the baselines answer it. Raises RequestError for an unknown batch.
    """
    if batch is None or session.scalar(select(Shard.id).where(Shard.batch_id == batch).limit(1)) is not None:
        return None
    row = session.get(Batch, batch)
    if row is None:
        raise RequestError(f"batch: there is no batch {batch}; `probe status` lists them")
    from probe.batches import expand
    from probe.submitting import stored_spec

    spans = {
        (a.family, a.size, a.seed, a.number, a.variant, "+".join(a.modules), a.mode): (a.first, a.last)
        for a in expand(stored_spec(row.spec))
    }
    out = np.zeros((len(known.questions.rows), POSITIONS), bool)
    for i, q in enumerate(known.questions.rows):
        if q is not None and (span := spans.get((q.family, q.size, q.seed, q.number, q.variant, q.modules, q.mode))):
            out[i, slice(*span)] = True
    return out


# --- counting ---------------------------------------------------------------------------------------------------------


class _Counting:
    """What all cells of a table share.

    ``spans``: the positions of questions on which baselines count, None for all.
    """

    def __init__(
        self,
        known: Catalogue,
        tallies: Tallies,
        spans: Mask | None,
        chosen: Labels,
        measure: str,
        rates: Sequence[str] | None,
    ) -> None:
        self.known, self.tallies, self.spans, self.measure = known, tallies, spans, measure
        self.questions = known.questions.places(tallies.shards.question)
        self.chosen = chosen
        self.rates = [*MEASURES] if rates is None else [name for name in MEASURES if name in {measure, *rates}]
        self.outcomes = OUTCOMES if rates is None else UNSCORED
        self.has_gap = rates is None
        self._chance: dict[tuple[str, ...], Array] = {}

    @cached_property
    def chance_trials(self) -> Array:
        """Scored trials of the chosen baseline, (questions, POSITIONS)."""
        return self.tallies.trials(self.chosen, self.questions[self.chosen], len(self.known.questions.rows))[1]

    def chance(self, measures: Sequence[str]) -> Array:
        """Return what the chosen baseline counted, (questions, POSITIONS, 2)."""
        key = tuple(measures)
        if key not in self._chance:
            rows, size = self.chosen, len(self.known.questions.rows)
            self._chance[key] = self.tallies.summed(measures, rows, self.questions[rows], size)
        return self._chance[key]

    def cell(self, values: dict[str, Any], rows: Labels, part: Sequence[str] | None) -> Cell:
        """Return the cell of some shards; ``part``: the measures of the constraints that it counts, None for all."""
        group = _Group(self, rows)
        trials = group.trials[0]
        outcomes: dict[str, int] = {o: int(group.counts([f"outcome:{o}"])[..., 1].sum()) for o in self.outcomes}
        rates: dict[str, Interval | None] = {}
        chances: dict[str, float | None] = {}
        tallied = part or [MEASURES[self.measure]]
        mine = group.counts(tallied)
        for name in self.rates:
            if part is None or name in SATISFACTION:
                counts = group.counts(part or [MEASURES[name]])
                pairs = group.beside(counts, self.chance(part or [MEASURES[name]]))
                rates[name] = group.rate(name, counts)
                chances[name] = None if pairs is None else group.mean(name, pairs[..., 2:])
            else:
                rates[name] = None
        by_chance, above = group.against_chance(self.measure, group.beside(mine, self.chance(tallied)))
        gaps = group.clusters(group.counts(["gap"])) if self.has_gap and part is None else np.zeros((0, 2))
        return Cell(
            group=values,
            kind="baseline" if self.tallies.shards.batch[rows[0]] == 0 else "endpoint",
            n_trials=int(trials.sum()),
            n_instances=int(np.count_nonzero(_pooled(trials, group.blocks))),
            outcomes=outcomes,
            unscored={outcome: outcomes[outcome] for outcome in UNSCORED},
            rates=rates,
            chance=by_chance,
            corrected=above,
            gap=ratio(gaps[:, 0], gaps[:, 1] / PPM, counts=False),
            chances=chances,
            worst_case=group.worst_case(self.measure, mine, part),
            over_families=group.over_families(self.measure, mine),
        )


class _Group:
    """Some shards' tallies added up by question: arrays (questions, POSITIONS, …)."""

    def __init__(self, counting: _Counting, rows: Labels) -> None:
        self.all, self.rows = counting, rows
        self.places, self.labels = np.unique(counting.questions[rows], return_inverse=True)
        known = counting.known
        self.blocks, self.bases = (
            np.unique(of[self.places], return_inverse=True)[1] for of in (known.blocks, known.bases)
        )
        baseline = counting.spans is not None and counting.tallies.shards.batch[rows[0]] == 0
        self.mask = counting.spans[self.places] if baseline and counting.spans is not None else None
        self._counts: dict[tuple[str, ...], Array] = {}

    def counts(self, measures: Sequence[str]) -> Array:
        """Return (n, y) of some measures."""
        key = tuple(measures)
        if key not in self._counts:
            found = self.all.tallies.summed(measures, self.rows, self.labels, self.places.size)
            self._counts[key] = found if self.mask is None else found * self.mask[..., None]
        return self._counts[key]

    @cached_property
    def trials(self) -> tuple[Array, Array]:
        """All trials, and the scored ones."""
        found = [self.counts([f"outcome:{outcome}"]) for outcome in UNSCORED]
        return found[0][..., 0], found[0][..., 0] - sum(counts[..., 1] for counts in found)

    def clusters(self, counts: Array) -> NDArray[np.float64]:
        """Return counts as clusters (bases, k); those with n = 0 are left out."""
        rows = _pooled(counts, self.bases).reshape(-1, counts.shape[2])
        return rows[rows[:, 0] > 0].astype(float)

    def shares(self, counts: Array) -> NDArray[np.float64]:
        """Return counts, pairs (n, y), as clusters (bases, k) in which every instance has the same weight.

        The weight is the harmonic mean of n over instances. It cancels in the rate; in the effective n it is what
        independent constraints would allow: r (1 - r) sum(1 / n_i) / G^2 (as `probe.results.statistics.macro`).
        """
        by_instance = _pooled(counts, self.blocks)
        n = by_instance[..., :1]
        if not n.any():
            return np.zeros((0, counts.shape[2]))
        weights = np.where(n > 0, 1 / np.mean(1 / n[n > 0]), 0.0)
        shares = by_instance / np.maximum(n, 1) * weights  # n becomes the weight itself
        base = self.bases[np.unique(self.blocks, return_index=True)[1]]
        rows = _pooled(shares, base).reshape(-1, counts.shape[2])
        return np.asarray(rows[rows[:, 0] > 0])

    def weighed(self, measure: str, counts: Array) -> NDArray[np.float64]:
        """Return counts as the clusters of a measure."""
        return self.shares(counts) if measure == "satisfaction_macro" else self.clusters(counts)

    def _of(self, measure: str, interval: Interval | None, counts: Array) -> Interval | None:
        """Return an interval of the macro rate with instances as its denominator, any other as it is."""
        if interval is None or measure != "satisfaction_macro":
            return interval
        return replace(interval, n=int(np.count_nonzero(_pooled(counts[..., 0], self.blocks))))

    def rate(self, measure: str, counts: Array) -> Interval | None:
        """Return the rate of a measure."""
        n, y = self.weighed(measure, counts).T
        return self._of(measure, ratio(n, y), counts)

    def beside(self, mine: Array, chance: Array) -> Array | None:
        """Return (n, y) of the group and of the baseline beside each other, (questions, POSITIONS, 4).

        Where the group gave n answers the baseline counts n times its rate on that instance: both have the same
        weights. None where the group counted nothing, or the baseline has no answer to something that was asked.
        """
        other, n = chance[self.places], mine[..., 0]
        if not n.any() or ((n > 0) & (other[..., 0] == 0)).any():
            return None
        expected = n * other[..., 1] / np.maximum(other[..., 0], 1)
        return np.concatenate([mine, np.stack([n, expected], axis=-1)], axis=-1)

    def mean(self, measure: str, counts: Array) -> float:
        """Return the rate of a measure alone, counts being of something."""
        n, y = np.moveaxis(_pooled(counts, self.blocks), 2, 0)
        return float((y[n > 0] / n[n > 0]).mean() if measure == "satisfaction_macro" else y.sum() / n.sum())

    def against_chance(self, measure: str, pairs: Array | None) -> tuple[Interval | None, Interval | None]:
        """Return the baseline's rate and the corrected one."""
        if pairs is None:
            return None, None
        n, y, n_base, y_base = self.weighed(measure, pairs).T
        found = ratio(n_base, y_base, counts=False), corrected(n, y, n_base, y_base)
        return self._of(measure, found[0], pairs), self._of(measure, found[1], pairs)

    def worst_case(self, measure: str, mine: Array, part: Sequence[str] | None) -> tuple[float, float] | None:
        """Return the rate if all unscored trials were wrong and if all were right, None where there are none.

        An unscored trial has as many constraints as a scored one to its instance: the group's own, else the
        baseline's, else the group's mean.
        """
        every, scored = self.trials
        missing = every - scored
        if not missing.any() or not mine[..., 0].any():
            return None
        tallied = ["constraints"] if measure == "satisfaction_given_wellformed" else part or [MEASURES[measure]]
        each = np.full(scored.shape, self.counts(tallied)[..., 0].sum() / scored.sum())
        of_baseline, own = self.all.chance_trials[self.places], self.counts(tallied)[..., 0]
        np.divide(self.all.chance(tallied)[self.places][..., 0], of_baseline, out=each, where=of_baseline > 0)
        np.divide(own, scored, out=each, where=scored > 0)
        n, y = mine[..., 0] + missing * each, mine[..., 1]
        wrong, right = (self.mean(measure, np.stack([n, held], axis=-1)) for held in (y, y + missing * each))
        return wrong, right

    def over_families(self, measure: str, counts: Array) -> Interval | None:
        """Return the mean of the rates of families with Student's t interval; None for fewer than two."""
        families = self.all.known.families[self.places]
        if np.unique(families).size < 2:
            return None
        if measure == "satisfaction_macro":
            by_instance, first = _pooled(counts, self.blocks), np.unique(self.blocks, return_index=True)[1]
            n, families = by_instance[..., 0], families[first]
            of = [(n > 0).astype(float), by_instance[..., 1] / np.maximum(n, 1)]
        else:
            of = [counts[..., 0], counts[..., 1]]
        n, y = (np.bincount(families, each.sum(axis=1)) for each in of)
        return mean(y[n > 0] / n[n > 0]) if np.count_nonzero(n) > 1 else None


def _pooled(counts: Array, labels: Labels) -> Array:
    """Add counts (rows, POSITIONS, …) by label."""
    labelled = labels.max() + 1 if labels.size else 0
    if labelled == labels.size:  # each stands for itself
        out = np.empty_like(counts)
        out[labels] = counts
        return out
    return added(counts, labels, int(labelled))


# --- notes ------------------------------------------------------------------------------------------------------------


def _about_models(known: Catalogue, tallies: Tallies, models: Mask, columns: Sequence[str]) -> list[str]:
    """Return what would mislead a reader who compares models."""
    done, notes = tallies.shards.only(models & tallies.done), []
    names = {row.id: row.name for row in known.models.some(done.model)}
    of_name = {name: np.isin(done.model, [i for i, n in names.items() if n == name]) for name in sorted(names.values())}
    spans = {name: asked(known, done.only(mine)) for name, mine in of_name.items()}
    if any((span != next(iter(spans.values()))).any() for span in spans.values()):
        some = ", ".join(f"{name} {int(span.sum())}" for name, span in spans.items())
        shared = int(np.logical_and.reduce(list(spans.values())).sum())
        notes.append(
            f"The models did not answer the same questions (instances x modes: {some}; {shared} in common):"
            " rows of different models are not comparable as they stand."
        )
    if len({frozenset(done.presentation[mine].tolist()) for mine in of_name.values()}) > 1:
        notes.append("The models were not asked in the same ways: see --by model,presentation.")
    if "model" not in columns and len(spans) > 1:
        notes.append(f"Rows pool the answers of {len(spans)} models: {', '.join(spans)}.")
    return notes


def _about_baselines(known: Catalogue, tallies: Tallies, models: Mask, shown: Mask) -> list[str]:
    """Return which baselines didn't answer all."""
    of, notes = tallies.shards, []
    everything = np.unique(of.question[(models | shown) & tallies.done]).size
    for row in sorted(known.models.some(of.model[shown]), key=lambda row: str(row.name)):
        answered = np.unique(of.question[shown & (of.model == row.id)]).size
        if answered < everything:
            notes.append(f"The baseline {row.name} answered only {answered} of the {everything} blocks of instances.")
    return notes
