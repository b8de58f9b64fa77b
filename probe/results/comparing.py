"""Paired comparisons: two values of a column on the same base instances and the same questions otherwise."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy.orm import Session

from probe.asking.baselines import BASELINES
from probe.asking.judging import UNSCORED
from probe.asking.measures import POSITIONS
from probe.errors import RequestError
from probe.results.columns import BY, COLUMNS, SPLITS, Catalogue, Labels, catalogue, order, value_of
from probe.results.counting import (
    ANSWERS,
    MEASURES,
    Array,
    Shards,
    Tallies,
    columns_of,
    combined,
    grouped,
    read,
    selected,
    values,
)
from probe.results.notes import about
from probe.results.statistics import (
    Difference,
    Interval,
    benjamini_hochberg,
    holm,
    mcnemar_mid_p,
    paired_difference,
    ratio,
)

OF_INSTANCES = ("family", "kind", "size", "seed")  # their values have no instance in common
MANNER = ("channel", "examples", "coverage", "warning", "temperature", "effort")
MATCHED = ("model", "variant", "modules", "mode", *MANNER)  # what else is the same on both sides
CAPS = ("answer_tokens", "presentation")  # columns whose comparison is one of other caps
TALLIED = [name for name in MEASURES if name != "satisfaction_macro"]  # whose n are counts
SWAPS, MCNEMAR = "paired swaps", "mcnemar mid-p"


@dataclass(frozen=True)
class Contrast:
    """A row: both sides' rates over what both answered, and their difference, the first side minus the second.

    ``chance``: the baseline's rate on each side's questions. ``left_out``: base instances that one side alone
    answered. ``holm`` and ``benjamini_hochberg``: p adjusted over the rows of the table.
    """

    group: dict[str, Any]
    sides: tuple[Interval, Interval]
    chance: tuple[float | None, float | None]
    difference: Difference
    test: str
    left_out: tuple[int, int]
    holm: float = 1.0
    benjamini_hochberg: float = 1.0

    def plain(self) -> dict[str, Any]:
        """Return the row as JSON."""
        found = {}
        for name, rate, chance in zip("ab", self.sides, self.chance, strict=True):
            found[name] = {key: getattr(rate, key) for key in ("rate", "low", "high", "n", "clusters")} | {
                "chance": chance
            }
        d = self.difference
        adjusted = {"holm": self.holm, "benjamini_hochberg": self.benjamini_hochberg}
        return {
            **self.group,
            **found,
            "difference": {"difference": d.difference, "low": d.low, "high": d.high, "clusters": d.clusters},
            "p": d.p,
            **adjusted,
            "test": self.test,
            "left_out": {"only_a": self.left_out[0], "only_b": self.left_out[1]},
        }


@dataclass(frozen=True)
class Comparison:
    """Contrasts in the order in which they are shown, and what a reader must know about them."""

    column: str
    sides: tuple[str, str]
    by: tuple[str, ...]
    measure: str
    baseline: str
    judge_version: int | None
    rows: list[Contrast]
    notes: list[str] = field(default_factory=list)


def compare(
    session: Session,
    pair: str,
    by: Sequence[str] = (),
    where: Mapping[str, str] | None = None,
    batch: int | None = None,
    baseline: str = "random",
    measure: str = "satisfaction_micro",
) -> Comparison:
    """Return the difference of two models (``a,b``) or of two values of a column (``channel=json,text``).

    A pair is one base instance, asked by the same question in the same manner but for that column; of several samples
    the mean counts. Raises RequestError for what it doesn't know, and, with the reason, where the two can't be
    compared: no instance in common, other caps on answer tokens, other versions of the judge.
    """
    if baseline not in BASELINES:
        raise RequestError(f"baseline: unknown {baseline!r}; one of {', '.join(BASELINES)}")
    columns, conditions, split = columns_of(by, where or {}, measure)
    column, texts = _sides(pair)
    _check_columns(column, columns)
    known = catalogue(session)
    every, canaries = selected(session, known, conditions, batch)
    rows = _rows_of_sides(known, every, column, texts)
    questions = np.unique(every.question[np.concatenate(rows)])
    thoughtless = [
        row.id for row in known.models.rows if row is not None and (row.kind, row.name) == ("baseline", baseline)
    ]
    chosen = np.isin(every.model, thoughtless) & np.isin(every.question, questions)
    chosen[np.concatenate(rows)] = True
    asked = every.only(chosen)
    sides = tuple(np.searchsorted(np.flatnonzero(chosen), side) for side in rows)
    start = MEASURES[measure]
    wanted = {start, *(f"outcome:{o}" for o in UNSCORED)}
    of_parts = () if split is None else (SPLITS[split.name],)
    tallies = read(session, asked, lambda m: m in wanted or m.startswith(of_parts), len(every))
    if len(tallies.versions) > 1:
        raise RequestError(
            f"compare: answers judged by versions {sorted(tallies.versions)} of the judge can't be compared: run"
            " `probe rejudge`"
        )
    parts = {"": [start]} if split is None else split.parts(tallies.counts)
    paired = _Paired(known, tallies, sides, column, columns)
    _check_caps(paired, column, texts)
    contrasts = [
        replace(row, group={name: (row.group | extra)[name] for name in by})
        for part, measures in parts.items()
        for extra in [{split.name: part} if split is not None else {}]
        for row in paired.contrasts(measures, measure, baseline)
    ]
    if not contrasts:
        raise RequestError(f"compare: {texts[0]} and {texts[1]} {paired.why_not(texts)}")
    contrasts.sort(key=lambda row: [order(name, value, known) for name, value in row.group.items()])
    p = [row.difference.p for row in contrasts]
    contrasts = [
        replace(row, holm=float(h), benjamini_hochberg=float(b))
        for row, h, b in zip(contrasts, holm(p), benjamini_hochberg(p), strict=True)
    ]
    notes = [*_left_out(contrasts, texts, bool(by)), *_unscored(tallies, sides, texts)]
    notes += about(known, tallies, asked.batch > 0, canaries, by)
    return Comparison(column, texts, tuple(by), measure, baseline, next(iter(tallies.versions), None), contrasts, notes)


def default_by(pair: str) -> tuple[str, ...]:
    """Return what a row is where nobody says so: a model, unless models are compared. Raises RequestError."""
    column, _ = _sides(pair)
    return () if COLUMNS[column].of == "models" else ("model",)


# --- what is asked for ------------------------------------------------------------------------------------------------


def _sides(pair: str) -> tuple[str, tuple[str, str]]:
    """Return the column and its two values. Raises RequestError."""
    name, equals, rest = pair.partition("=")
    column, text = (name.strip(), rest) if equals and name.strip() in BY else ("model", pair)
    texts = [part.strip() for part in text.split(",")]
    if len(texts) != 2 or texts[0] == texts[1] or not all(texts):
        raise RequestError(
            f"compare: {pair!r} is not two models A,B or two values of a column, such as channel=json,text"
        )
    if column not in COLUMNS:
        raise RequestError(f"compare: one answer has constraints of each {column}: compare by --by {column} instead")
    if column in OF_INSTANCES:
        raise RequestError(f"compare: two values of {column} have no instance in common; `probe results --by {column}`")
    return column, (texts[0], texts[1])


def _check_columns(column: str, by: Iterable[str]) -> None:
    """Raise RequestError where a row would not speak of both sides."""
    of = COLUMNS[column].of
    for name in by:
        same = COLUMNS[name].of == of and (
            of in ("models", "batches") or column == "presentation" or name == "presentation"
        )
        if name == column or (same and of != "questions"):
            raise RequestError(f"by: {name} may differ between the two that are compared by {column}; leave it out")


def _rows_of_sides(known: Catalogue, every: Shards, column: str, texts: Sequence[str]) -> list[Labels]:
    """Return the numbers of each side's shards. Raises RequestError where there are none."""
    there, codes = values(known, every, column)
    sides = []
    for text in texts:
        value = value_of(column, text)
        mine = codes == (there.index(value) if value in there else -1)
        if column != "model" or text not in BASELINES:
            mine &= every.batch > 0
        if not mine.any():
            kinds = sorted({str(there[i]) for i in np.unique(codes[every.batch > 0])})
            raise RequestError(f"compare: no answers with {column}={text} here; there are {', '.join(kinds) or 'none'}")
        sides.append(np.flatnonzero(mine))
    return sides


def _check_caps(paired: "_Paired", column: str, texts: Sequence[str]) -> None:
    """Raise RequestError where a question was asked with other caps on answer tokens."""
    if column in CAPS or any(text in BASELINES for text in texts):
        return
    known, of = paired.known, paired.tallies.shards
    there, codes = values(known, of, "answer_tokens")
    caps = [{(int(s), there[c]) for s, c in zip(paired.slots[side], codes[side], strict=True)} for side in paired.sides]
    common = {slot for slot, _ in caps[0]} & {slot for slot, _ in caps[1]}
    if any(slot in common for slot, _ in caps[0] ^ caps[1]):
        shown = [", ".join(map(str, sorted({cap for slot, cap in side if slot in common}))) for side in caps]
        raise RequestError(
            f"compare: {texts[0]} had a cap of {shown[0]} answer tokens, {texts[1]} one of {shown[1]}, so the budgets"
            " differ; keep one by --where answer_tokens=N"
        )


# --- pairs ------------------------------------------------------------------------------------------------------------


class _Paired:
    """Two sides' shards, lined up: a slot is one base block, asked by one question in one manner.

    ``slots``: by shard. ``bases``: by slot.
    """

    def __init__(
        self, known: Catalogue, tallies: Tallies, sides: Sequence[Labels], column: str, by: Sequence[str]
    ) -> None:
        self.known, self.tallies, self.sides, self.by = known, tallies, sides, by
        of = tallies.shards
        self.questions = known.questions.places(of.question)
        loose = {column} | ({"model"} if COLUMNS[column].of == "models" else set())
        loose |= set(MANNER) if column == "presentation" or self._with_baseline() else set()
        self.matched = [*by, *(name for name in MATCHED if name not in by and name not in loose)]
        codes = [values(known, of, name)[1] for name in self.matched]
        keys, self.slots = combined([known.bases[self.questions], *codes], len(of))
        self.bases = keys[:, 0]
        groups = grouped(known, of, by)
        self.groups = [key for key, _ in groups]
        self.group = np.zeros(len(self.bases), np.intp)  # by slot: its row
        for i, (_, rows) in enumerate(groups):
            self.group[self.slots[rows]] = i

    def _with_baseline(self) -> bool:
        of = self.tallies.shards
        return any((of.batch[side] == 0).any() for side in self.sides)

    def contrasts(self, measures: Sequence[str], measure: str, baseline: str) -> list[Contrast]:
        """Return the rows in which both sides answered something."""
        size = len(self.bases)
        n, y, trials = (np.zeros((2, size, POSITIONS)) for _ in range(3))
        for i, side in enumerate(self.sides):
            counts = self.tallies.summed(measures, side, self.slots[side], size)
            trials[i] = self.tallies.trials(side, self.slots[side], size)[1]
            n[i], y[i] = np.moveaxis(counts, 2, 0) / np.maximum(trials[i], 1)
        raw = n * np.maximum(trials, 1)
        if measure == "satisfaction_macro":
            n, y = (n > 0).astype(float), y / np.where(n > 0, n, 1)
        chance = self._chance(measures, baseline, macro=measure == "satisfaction_macro")
        out = []
        for i, key in enumerate(self.groups):
            mine = np.flatnonzero(self.group == i)
            found = self._contrast(
                mine, n[:, mine], y[:, mine], trials[:, mine], raw[:, mine], chance[:, mine], measure
            )
            if found is not None:
                out.append(replace(found, group=dict(zip(self.by, key, strict=True))))
        return out

    def _contrast(
        self, slots: Labels, n: Array, y: Array, trials: Array, raw: Array, chance: Array, measure: str
    ) -> Contrast | None:
        """Return the row of some slots, arrays (sides, slots, POSITIONS); None where there is no pair."""
        both = (n > 0).all(axis=0)
        if not both.any():
            return None
        instance = self.bases[slots][:, None] * POSITIONS + np.arange(POSITIONS)
        bases, label = np.unique(instance[both], return_inverse=True)
        pairs = [[np.bincount(label, x[i][both], bases.size) for x in (n, y)] for i in range(2)]
        (na, ya), (nb, yb) = pairs
        difference = paired_difference(na, ya, nb, yb)
        assert difference is not None
        single = measure in ANSWERS and label.size == bases.size and bool((trials[:, both] == 1).all())
        if single:
            p = mcnemar_mid_p(int((ya > yb).sum()), int((yb > ya).sum()))
            difference = replace(difference, p=p)
        sides = []
        for i, (n_, y_) in enumerate(pairs):
            rate = ratio(n_, np.minimum(y_, n_), counts=bool((trials[i][both] == 1).all()) and measure in TALLIED)
            assert rate is not None
            sides.append(replace(rate, n=int(np.rint(raw[i][both].sum()))))
        by_chance = [_weighted(n[i][both], chance[i][both]) for i in range(2)]
        alone = [int(np.setdiff1d(instance[n[i] > 0], bases).size) for i in range(2)]
        return Contrast(
            group={},
            sides=(sides[0], sides[1]),
            chance=(by_chance[0], by_chance[1]),
            difference=difference,
            test=MCNEMAR if single else SWAPS,
            left_out=(alone[0], alone[1]),
        )

    def _chance(self, measures: Sequence[str], baseline: str, *, macro: bool) -> NDArray[np.float64]:
        """Return the baseline's rate at the question of each side's slots, (sides, slots, POSITIONS); NaN for none."""
        of, size = self.tallies.shards, len(self.known.questions.rows)
        names = [None if row is None else row.name for row in self.known.models.rows]
        rows = np.flatnonzero(
            (self.known.models.places(of.model) == names.index(baseline)) if baseline in names else []
        )
        n, y = np.moveaxis(self.tallies.summed(measures, rows, self.questions[rows], size), 2, 0)
        rates = np.full(n.shape, np.nan)
        np.divide(y, n, out=rates, where=n > 0)
        out = np.full((2, len(self.bases), POSITIONS), np.nan)
        for i, side in enumerate(self.sides):
            out[i][self.slots[side]] = rates[self.questions[side]]
        return out

    def why_not(self, texts: Sequence[str]) -> str:
        """Return why no pair was found."""
        of = self.tallies.shards
        bases = [set(self.bases[self.slots[side]].tolist()) for side in self.sides]
        if not bases[0] & bases[1]:
            return "answered no instance in common; ask both the same batch"
        differ = []
        for name in MATCHED:
            if name not in self.matched:
                continue
            there, codes = values(self.known, of, name)
            ways = [sorted({str(there[c]) for c in codes[side]}) for side in self.sides]
            if not set(ways[0]) & set(ways[1]):
                differ.append(f"{name} {', '.join(ways[0])} against {', '.join(ways[1])}")
        if differ:
            how = f"were never asked the same question in the same way ({'; '.join(differ)})"
            return f"{how}; compare values of presentation to let the manner differ"
        return "have no scored answer to the same question"


def _weighted(n: Array, rates: Array) -> float | None:
    """Return the mean of rates by weight; None where one is missing."""
    return None if np.isnan(rates).any() else float((n * rates).sum() / n.sum())


# --- notes ------------------------------------------------------------------------------------------------------------


def _left_out(rows: Sequence[Contrast], texts: Sequence[str], several: bool) -> list[str]:
    out = []
    for i, text in enumerate(texts):
        count = sum(row.left_out[i] for row in rows)
        if count and text not in BASELINES:  # they answered whatever any batch asked
            where = " (added over rows)" if several and len(rows) > 1 else ""
            out.append(f"{count} instances{where} are left out because only {text} has a scored answer to them.")
    return out


def _unscored(tallies: Tallies, sides: Sequence[Labels], texts: Sequence[str]) -> list[str]:
    out = []
    for side, text in zip(sides, texts, strict=True):
        every, scored = tallies.trials(side, np.zeros(len(side), np.intp), 1)
        if missing := int((every - scored).sum()):
            out.append(f"{missing} of {int(every.sum())} trials of {text} are unscored: they are in no pair.")
    return out
