"""What all findings share: their shape, the data that count, one value a model, and when data are too few to decide.

The rules stand here and beside each claim as they were fixed before data; whoever changes one raises `RULES_VERSION`.
The unit of every statement about models is the model (Student's t over models), never the trial.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from probe.asking.judging import UNSCORED
from probe.asking.measures import POSITIONS
from probe.results.evidence import Arm, Asked, Base, Counts, Manner, Subject
from probe.results.statistics import Interval, Slope, corrected, holm, ratio, t_quantile, t_tails, tost

RULES_VERSION = 1
Verdict = Literal["supported", "refuted", "undecided"]
Floats = NDArray[np.float64]

FEWEST_MODELS = 6  # below, no verdict on a size curve
FEWEST_COMPARED = 3  # models (or pairs of them) for a verdict on a contrast within each
FEWEST_DECADES = 1.5  # of parameters, from the smallest model to the largest
FEWEST_INSTANCES = 20  # that a model answered; below, it has no value
CEILING = 0.97  # a rate above says nothing of size
MOST_UNSCORED = 0.2  # share of a model's trials that failed by the instrument; above, it has no value
ALPHA = 0.05  # of equivalence tests; intervals are 95 %
NONE: Counts = np.zeros((POSITIONS, 2), np.int64)  # nothing counted
BOUNDS = {"share": (0.0, 1.0), "difference": (-1.0, 1.0)}
FOUR_OF_FIVE = 2.8016  # standard errors from which a test at 5 % finds an effect in 80 % of studies
SHOWN_SMALL = 2.9264  # standard errors in a margin inside which two tests at 5 % find 0 in 80 % of studies
Z = 1.959964  # half width of a 95 % interval in standard errors


# --- the shape of a finding -------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Claim:
    """A published claim and what decides it, fixed before data. ``supported``, ``refuted``: when it is, with margins.

    ``plan``: a spec file (`probe run --spec`) of a batch that would decide it. ``where``: conditions of `probe results`
    that show the rows behind the finding, ``by`` its columns.
    """

    number: int
    title: str
    published: str
    source: str
    supported: str
    refuted: str
    needs: str
    plan: str
    by: str = "model"
    where: tuple[str, ...] = ()


@dataclass(frozen=True)
class Estimate:
    """A number with its 95 % interval. ``unit``: "share" (of constraints or trials), "corrected share" (for chance),
    "difference" (of shares), "difference per X", or a word. ``error``: its standard error. ``p``: two-sided, for 0.
    Against a ``margin`` around ``centre``: ``p_within`` small means that it lies inside (two one-sided tests),
    ``p_beyond`` small (two-sided) that it lies outside.

    What is undefined is None.
    """

    what: str
    value: float
    low: float | None
    high: float | None
    unit: str = "difference"
    error: float | None = None
    p: float | None = None
    margin: float | None = None
    centre: float = 0.0
    p_within: float | None = None
    p_beyond: float | None = None

    @property
    def within(self) -> bool:
        """Whether it is shown to lie inside the margin; lack of data never shows it."""
        return self.p_within is not None and self.p_within <= ALPHA

    def above(self, limit: float = 0.0) -> bool:
        """Return whether the whole interval lies above a limit."""
        return self.low is not None and self.low > limit

    def below(self, limit: float = 0.0) -> bool:
        """Return whether the whole interval lies below a limit."""
        return self.high is not None and self.high < limit


@dataclass(frozen=True)
class Excluded:
    """Data that don't count, and why."""

    what: str
    why: str


@dataclass(frozen=True)
class Part:
    """A table of parts, such as one row a model: plain values and estimates."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Estimate | str | int | float | None, ...], ...]


@dataclass(frozen=True, kw_only=True)
class Finding:
    """A claim judged against stored results.

    ``effect``: the estimate that the verdict rests on first, ``estimates`` the others. ``baselines``: what answers made
    without thought score on the same instances. ``decides``: how much data would, where the claim can tell better than
    `more_data`. ``p``: of the test behind the verdict, as ``test`` says;
    ``p_holm``: adjusted over all claims.
    """

    claim: Claim
    verdict: Verdict
    reason: str
    effect: Estimate | None = None
    estimates: tuple[Estimate, ...] = ()
    models: int = 0
    instances: int = 0
    excluded: tuple[Excluded, ...] = ()
    baselines: tuple[Estimate, ...] = ()
    parts: tuple[Part, ...] = ()
    decides: str | None = None
    p: float | None = None
    test: str | None = None
    p_holm: float | None = None
    batch: str | None = None

    @property
    def plan(self) -> str | None:
        """A spec file of a batch that would decide it, None where it is decided."""
        return self.claim.plan if self.verdict == "undecided" else None

    @property
    def more_data(self) -> str | None:
        """How much data would decide it, as far as that can be told from the effect's error; None where it can't."""
        effect = self.effect
        if self.verdict != "undecided" or effect is None or effect.error is None or effect.unit == "share":
            return self.decides
        points = effect.unit.replace("difference", "points")
        said = (
            f"studies like this one find an effect from {100 * FOUR_OF_FIVE * effect.error:.1f} {points} on in 4 of 5"
        )
        if self.decides is not None:
            return f"{said}; {self.decides}"
        if effect.margin is None or (times := (SHOWN_SMALL * effect.error / effect.margin) ** 2) <= 1:
            return said
        return f"{said}; {times:.1f} times the models and instances would show one of 0 to lie inside the margin"

    @property
    def rows(self) -> str:
        """The command that shows the rows behind it."""
        words = ["probe results", "--by", self.claim.by, *(f"--where {one}" for one in self.claim.where)]
        return " ".join([*words, *([f"--batch {self.batch}"] if self.batch else [])])


def adjusted(found: Sequence[Finding]) -> list[Finding]:
    """Return findings with their p adjusted (Holm 1979) over those that have one."""
    tested = {i: one.p for i, one in enumerate(found) if one.p is not None}
    out = list(found)
    for i, p in zip(tested, holm(list(tested.values())), strict=True):
        out[i] = replace(out[i], p_holm=float(p))
    return out


def estimate(
    what: str,
    value: float,
    error: float | None,
    df: float,
    *,
    unit: str = "difference",
    margin: float | None = None,
    centre: float = 0.0,
) -> Estimate:
    """Return an estimate with Student's t interval; without limits where its standard error is unknown or 0.

    Limits of a share stay in [0, 1], those of a difference of shares in [-1, 1].
    """
    if error is None or not error > 0 or not df > 0:
        return Estimate(what, value, None, None, unit, margin=margin, centre=centre)
    half, p = t_quantile(0.95, df) * error, t_tails(value / error, df)
    least, most = BOUNDS.get(unit, (-math.inf, math.inf))
    found = Estimate(what, value, max(least, value - half), min(most, value + half), unit, error, p, margin, centre)
    if margin is None:
        return found
    off = abs(value - centre)
    inside, outside = tost(off, error, df, margin), t_tails(max(0.0, off - margin) / error, df)
    return replace(found, p_within=inside, p_beyond=outside)


def of_slope(what: str, found: Slope | None, unit: str, margin: float | None = None) -> Estimate | None:
    """Return a slope over models as an estimate."""
    if found is None:
        return None
    return estimate(what, found.slope, found.standard_error, found.df, unit=unit, margin=margin)


def of_rate(what: str, found: Interval) -> Estimate:
    """Return a rate as an estimate; its standard error is what the interval stands for: never 0, also at 0 and 1."""
    error = None if found.low is None or found.high is None else (found.high - found.low) / (2 * Z)
    return Estimate(what, found.rate, found.low, found.high, "share", error)


def over_models(what: str, of: Sequence[Estimate], **more: Any) -> Estimate | None:
    """Return the mean of one estimate per model, t over models; None without any.

    Its standard error is not below the one that the models' own standard errors imply (Knapp and Hartung 2003), and
    unknown for one model, and where one model's is: what holds for one need not hold for another.
    """
    if not of:
        return None
    values, errors = np.array([one.value for one in of]), [one.error for one in of]
    if len(of) < 2 or None in errors:
        return estimate(what, float(values.mean()), None, 0, **more)
    own = np.array(errors, float)
    error = math.sqrt(max(float(values.var(ddof=1)) / own.size, float(own @ own) / own.size**2))
    return estimate(what, float(values.mean()), error, own.size - 1, **more)


# --- the data that count ----------------------------------------------------------------------------------------------


def bare(arm: Arm) -> bool:
    """Return whether a model was asked without warning and worked examples."""
    return arm.manner is not None and not arm.manner.warning and not arm.manner.examples


def plain(arm: Arm) -> bool:
    """Return whether a model was asked in the plain way: a fresh instance, no warning, no worked examples."""
    return arm.variant == "fresh" and bare(arm)


def of_baseline(arms: Iterable[Arm], name: str = "random") -> dict[Asked, Arm]:
    """Return a baseline's arms by what was asked."""
    return {arm.asked: arm for arm in arms if arm.manner is None and arm.subject.name == name}


def panel(arms: Iterable[Arm], fewest: int = FEWEST_INSTANCES) -> tuple[dict[Subject, list[Arm]], list[Excluded]]:
    """Return the largest group of models that were asked the same questions in the same manner, by model, and the rest.

    Of groups as large the one with most questions, at least ``fewest`` instances of them. Only positions that all of
    the group were asked are counted, so that models differ in their answers and in nothing else.
    """
    by_question: dict[tuple[Asked, Manner | None], dict[Subject, Arm]] = {}
    for arm in arms:
        by_question.setdefault((arm.asked, arm.manner), {})[arm.subject] = arm
    best: tuple[int, int] = (0, 0)
    chosen: list[list[Arm]] = []
    for group in {frozenset(answered) for answered in by_question.values()}:
        common = [[answered[s] for s in group] for answered in by_question.values() if group <= answered.keys()]
        masks = [[arm.counts[f"outcome:{UNSCORED[0]}"][:, 0] > 0 for arm in same] for same in common]
        everywhere = np.logical_and.reduce(masks, axis=1)  # (questions, POSITIONS)
        size = (len(group), int(np.count_nonzero(everywhere)))
        if size[1] >= fewest and size > best:
            ragged = (np.array(masks) != everywhere[:, None]).any(axis=(1, 2))
            best = size
            chosen = [_at(a, at) if cut else a for a, at, cut in zip(common, everywhere, ragged, strict=True)]
    out: dict[Subject, list[Arm]] = {}
    for same in chosen:
        for arm in same:
            out.setdefault(arm.subject, []).append(arm)
    everyone = {subject for answered in by_question.values() for subject in answered}
    why = "was not asked the same questions in the same manner as most models" if out else f"below {fewest} instances"
    left = [Excluded(subject.name, why) for subject in sorted(everyone - out.keys(), key=lambda s: s.name)]
    return out, left


def _at(arms: Iterable[Arm], kept: NDArray[np.bool_]) -> list[Arm]:
    """Return arms with what they counted at some positions alone."""
    return [replace(arm, counts={m: counts * kept[:, None] for m, counts in arm.counts.items()}) for arm in arms]


def counted(arms: Iterable[Arm], measure: str) -> tuple[Floats, Floats]:
    """Return n and y of a measure by base instance, added over arms, in the order of bases; n is 0 at holes.

    So the results of models that were asked the same line up.
    """
    return _by_base((arm.base, arm.counts.get(measure, NONE)) for arm in arms)


def chance(arms: Iterable[Arm], baseline: Mapping[Asked, Arm], measure: str) -> tuple[Floats, Floats] | None:
    """Return as `counted` what a baseline scores where these arms counted something, weighted as they are.

    None where the baseline lacks an answer to something that was asked.
    """
    own = list(arms)
    others = [None if (base := baseline.get(arm.asked)) is None else base.counts.get(measure) for arm in own]
    if not own:
        return _by_base(())
    mine = np.array([arm.counts.get(measure, NONE)[:, 0] for arm in own], float)
    n, y = np.moveaxis(np.array([NONE if other is None else other for other in others], float), 2, 0)
    if ((mine > 0) & (n == 0)).any():
        return None
    expected = np.stack([mine, mine * y / np.maximum(n, 1)], axis=2)
    return _by_base((arm.base, counts) for arm, counts in zip(own, expected, strict=True))


def _by_base(counts: Iterable[tuple[Base, NDArray[Any]]]) -> tuple[Floats, Floats]:
    sums: dict[Base, NDArray[Any]] = {}
    for base, one in counts:
        sums[base] = sums[base] + one if base in sums else one
    if not sums:
        return np.zeros(0), np.zeros(0)
    n, y = np.concatenate([sums[base] for base in sorted(sums)]).astype(float).T
    return n, y


# --- one value a model ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Value:
    """One model's rate over the instances of a panel; ``n`` and ``y`` by instance.

    ``corrected``: (rate - b) / (1 - b), b the rate of random answers to the same; None without them.
    """

    subject: Subject
    n: Floats
    y: Floats
    rate: Estimate
    corrected: Estimate | None

    @property
    def at_floor(self) -> bool:
        """Whether it is not shown to be better than random answers."""
        return self.corrected is not None and not self.corrected.above()

    @property
    def at_ceiling(self) -> bool:
        """Whether there is no room above."""
        return self.rate.value > CEILING


def values(
    of: Mapping[Subject, Sequence[Arm]], random: Mapping[Asked, Arm], measure: str = "constraints"
) -> tuple[list[Value], list[Excluded]]:
    """Return one value a model of a panel, small models first, and the models that have none."""
    out, left = [], []
    for subject, arms in of.items():
        n, y = counted(arms, measure)
        rate, instances = ratio(n, y), int(np.count_nonzero(n))
        if (why := lost(arms)) is not None:
            left.append(Excluded(subject.name, why))
        elif rate is None or instances < FEWEST_INSTANCES:
            left.append(Excluded(subject.name, f"{instances} instances counted, below {FEWEST_INSTANCES}"))
        else:
            by_chance = chance(arms, random, measure)
            above = None if by_chance is None else corrected(n, y, *by_chance)
            own = None if above is None else of_rate("corrected for chance", above)
            out.append(Value(subject, n, y, of_rate("satisfied", rate), own))
    return sorted(out, key=lambda v: (v.subject.params or 0, v.subject.name)), left


def of_models(found: Sequence[Value], title: str = "Models") -> Part:
    """Return the table of one value a model."""
    columns = ("model", "parameters", "satisfied", "corrected for chance", "at floor or ceiling")
    ends = ["floor" if v.at_floor else "ceiling" if v.at_ceiling else "" for v in found]
    rows = [(v.subject.name, v.subject.params, v.rate, v.corrected, end) for v, end in zip(found, ends, strict=True)]
    return Part(title, columns, tuple(rows))


def instances(found: Sequence[Value]) -> int:
    """Return how many instances models of a panel answered at least once."""
    return int(np.count_nonzero(sum(v.n for v in found))) if found else 0


def unscored(arms: Iterable[Arm]) -> float:
    """Return the share of answers that failed by the instrument."""
    counts = [[arm.counts[f"outcome:{cause}"] for cause in UNSCORED] for arm in arms]
    if not counts:
        return 0.0
    n, y = np.array(counts).sum(axis=(0, 2)).T  # by cause
    return float(y.sum() / n[0]) if n[0] else 0.0


def lost(arms: Iterable[Arm]) -> str | None:
    """Return that so many answers failed by the instrument that the others say little; None where they don't."""
    share = unscored(arms)
    return f"{100 * share:.0f} % of its answers failed by the instrument" if share > MOST_UNSCORED else None


def sized(found: Sequence[Value]) -> tuple[list[Value], list[Excluded]]:
    """Return the models whose size is known, and the others."""
    left = [Excluded(v.subject.name, "its number of parameters is not known") for v in found if not v.subject.params]
    return [v for v in found if v.subject.params], left


def log10_params(found: Sequence[Value]) -> Floats:
    """Return log10 of the total parameters of models that have them."""
    return np.log10([float(v.subject.params or math.nan) for v in found])


def too_few(found: Sequence[Value], fewest: int = FEWEST_MODELS, decades: float = FEWEST_DECADES) -> str | None:
    """Return why models of known size can't decide anything about size, None where they can."""
    few = too_few_sizes(log10_params(found), "were asked the same questions", fewest, decades)
    return few or at_the_ends(found)


def too_few_sizes(sizes: Floats, what: str, fewest: int = FEWEST_MODELS, decades: float = FEWEST_DECADES) -> str | None:
    """Return why models of these sizes (log10 of parameters), of which ``what`` is so, are too few or too alike."""
    if sizes.size < fewest:
        return f"{sizes.size} models of known size {what}; it takes {fewest}"
    if (spread := float(np.ptp(sizes))) < decades:
        return f"their sizes span {spread:.1f} decades of parameters; it takes {decades}"
    return None


def at_the_ends(found: Sequence[Value]) -> str | None:
    """Return that most models sit at floor or ceiling, where nothing can be told apart; None where they don't."""
    floor, ceiling = sum(v.at_floor for v in found), sum(v.at_ceiling for v in found)
    if 2 * (floor + ceiling) <= len(found):
        return None
    parts = [f"{floor} of {len(found)} models are not shown to be better than random answers"] if floor else []
    parts += [f"{ceiling} of {len(found)} score above {100 * CEILING:.0f} %"] if ceiling else []
    return " and ".join(parts)


def of_baselines(
    of: Mapping[Subject, Sequence[Arm]], everything: Sequence[Arm], names: Iterable[str], measure: str = "constraints"
) -> tuple[Estimate, ...]:
    """Return what baselines score on the instances of a panel, each with its interval."""
    out = []
    arms = next(iter(of.values()), [])
    for name in names:
        found = chance(arms, of_baseline(everything, name), measure)
        rate = None if found is None else ratio(*found, counts=False)
        if rate is not None:
            out.append(of_rate(name, rate))
    return tuple(out)


def chosen(arms: Iterable[Arm], *conditions: Callable[[Arm], bool]) -> list[Arm]:
    """Return the models' arms that meet all conditions."""
    return [arm for arm in arms if arm.manner is not None and all(one(arm) for one in conditions)]
