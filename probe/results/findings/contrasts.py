"""Contrasts: one value a model with what each instance adds to its error, and what they are over models and size.

Models answer the same instances, so an instance that came out easy moves all of them. An error of a mean over models
that takes them as independent leaves that out; so every contrast keeps its share of error by instance, at the same
places for all models of a study, and combinations add these up before they square them.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from probe.asking.measures import POSITIONS
from probe.results.evidence import Arm, Base, Subject
from probe.results.findings import deciding as d
from probe.results.statistics import t_quantile, t_tails

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Contrast:
    """One model's value. ``influence``: what each instance adds to its error, (instances of the study,); 0 elsewhere.

    ``instances``: how many it comes from. ``scale``: the root of half the sum of squared weights of the rates that it
    combines, 1 for a difference of two.
    """

    value: float
    influence: Floats
    instances: int
    scale: float = 1.0

    @property
    def error(self) -> float:
        """The standard error clustered by instance, not below scale / instances: that of paired outcomes that never
        differ when half a pair is added to each cell of their table (Agresti and Min 2005). So nothing is exact."""
        return max(math.sqrt(_square(self.influence)), self.scale / self.instances)

    @property
    def low(self) -> float:
        """The lower limit of its 95 % interval."""
        return self.value - t_quantile(0.95, self.instances - 1) * self.error

    def p_beyond(self, margin: float) -> float:
        """Return p (two-sided) that it lies inside ±margin; 1 where its value does."""
        off = abs(self.value) - margin
        return t_tails(off / self.error, self.instances - 1) if off > 0 else 1.0

    def estimate(self, what: str, margin: float | None = None, unit: str = "difference") -> d.Estimate:
        """Return it as an estimate for this model alone."""
        return d.estimate(what, self.value, self.error, self.instances - 1, margin=margin, unit=unit)


class Places:
    """Where the instances of a study stand in arrays over all of them: one block of positions a base, by family."""

    def __init__(self, arms: Iterable[Arm]) -> None:
        self._first = {base: POSITIONS * i for i, base in enumerate(sorted({arm.base for arm in arms}))}
        self._families: dict[str, slice] = {}
        for base, first in self._first.items():
            start = self._families.get(base.family, slice(first, first)).start
            self._families[base.family] = slice(start, first + POSITIONS)
        self.count = POSITIONS * len(self._first)

    def of(self, base: Base) -> slice:
        """Return the place of a base's block."""
        return slice(self._first[base], self._first[base] + POSITIONS)

    def of_family(self, family: str) -> slice:
        """Return the place of all blocks of a family."""
        return self._families[family]


def scale_of(weights: ArrayLike) -> float:
    """Return the scale of a contrast that weighs rates so (see `Contrast`)."""
    return math.sqrt(_square(np.asarray(weights, float)) / 2)


def ratio(n: Floats, total: Floats, scale: float = 1.0) -> Contrast | None:
    """Return sum of ``total`` / sum of ``n`` over instances; None where fewer than two were counted.

    ``total`` is any linear combination of counts made comparable, such as y of an arm minus y of another of the same n.
    Influences are leverage-corrected (CR2), as in `probe.results.statistics`.
    """
    counted = int(np.count_nonzero(n))
    if counted < 2:
        return None
    whole = float(n.sum())
    value = float(total.sum()) / whole
    return Contrast(value, (total - value * n) / (whole * np.sqrt(1 - n / whole)), counted, scale)


def matched(n: ArrayLike, y: ArrayLike) -> tuple[Floats, Floats]:
    """Return counts of several arms, (arms, …), so that all count the same: what some arm lacks counts in none.

    (n, y) of shapes (…) and (arms, …): n is the fewest that an arm counted, y each arm's rate times that.
    """
    n_, y_ = np.asarray(n, float), np.asarray(y, float)
    fewest = n_.min(axis=0)
    return fewest, np.minimum(y_ * (fewest / np.maximum(n_, 1)), fewest)


def paired(arms: Sequence[Arm], measures: Iterable[str]) -> tuple[Floats, Floats]:
    """Return (n, y) of some measures over arms of one base, matched measure by measure and added over measures.

    Shapes (POSITIONS,) and (arms, POSITIONS). So the arms are compared on the same constraint kinds in the same shares.
    """
    common = [measure for measure in measures if all(measure in arm.counts for arm in arms)]
    if not common:
        return np.zeros(POSITIONS), np.zeros((len(arms), POSITIONS))
    counts = np.array([[arm.counts[measure] for measure in common] for arm in arms], float)
    n, y = matched(counts[..., 0], counts[..., 1])
    return n.sum(axis=0), y.sum(axis=1)


def kinds(arm: Arm, *but: str) -> list[str]:
    """Return the measures of constraint kinds that an arm has, but some. The target is none of them: how hard it is
    depends on all constraints together."""
    left_out = {"kind:target", *(f"kind:{kind}" for kind in but)}
    return sorted(name for name in arm.counts if name.startswith("kind:") and name not in left_out)


# --- over models ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Line:
    """Contrasts over log10 parameters: change per decade, and what the line says at the smallest and largest model."""

    slope: d.Estimate
    small: d.Estimate
    large: d.Estimate


def mean(what: str, of: Sequence[Contrast], margin: float | None = None, unit: str = "difference") -> d.Estimate | None:
    """Return the mean over models, t over models; None without models, without interval for one."""
    if not of:
        return None
    return _combined(what, of, np.ones((len(of), 1)), [1.0], margin, unit)


def line(
    what: str, of: Mapping[Subject, Contrast], margin: float | None = None, per_decade: float | None = None
) -> Line | None:
    """Return contrasts over log10 of the parameters; None below 3 models or where all are of one size.

    ``margin`` is that of values, ``per_decade`` that of the slope.
    """
    x = np.log10([float(subject.params or math.nan) for subject in of])
    if x.size < 3 or np.ptp(x) <= 0:
        return None
    design, contrasts = np.column_stack([np.ones(x.size), x]), list(of.values())
    ends = [
        _combined(f"{what}, {end}", contrasts, design, [1.0, at], margin, "difference")
        for end, at in (("at the smallest model", x.min()), ("at the largest model", x.max()))
    ]
    change = f"change over size of {what}"
    slope = _combined(change, contrasts, design, [0.0, 1.0], per_decade, "difference per decade")
    return Line(slope, *ends)


def _combined(
    what: str, of: Sequence[Contrast], design: Floats, target: Sequence[float], margin: float | None, unit: str
) -> d.Estimate:
    """Return the least-squares fit of one value a model at a row of the design.

    Its variance is the scatter of models around the fit, not below the one that their own errors imply (Knapp and
    Hartung 2003), and on top what errors on shared instances add, which all models have in common.
    """
    values = np.array([one.value for one in of])
    fit = np.linalg.pinv(design)
    weights = np.asarray(target) @ fit
    estimate, df = float(weights @ values), len(of) - design.shape[1]
    if df < 1:
        return d.estimate(what, estimate, None, 0, margin=margin, unit=unit)
    left = values - design @ (fit @ values)
    scatter = _square(left) / df * _square(weights)
    own = float((weights**2 * [one.error**2 for one in of]).sum())
    influences = weights[:, None] * np.array([one.influence for one in of])
    shared = _square(influences.sum(axis=0)) - _square(influences)
    return d.estimate(what, estimate, math.sqrt(max(scatter, own) + max(0.0, shared)), df, margin=margin, unit=unit)


def _square(a: Floats) -> float:
    return float((a * a).sum())


def by_size(subject: Subject) -> tuple[int, str]:
    """Return the key that sorts models by size."""
    return subject.params or 0, subject.name


def unsized(subject: Subject) -> str | None:
    """Return that a model's size is not known, None where it is."""
    return None if subject.params else "its number of parameters is not known"


def too_few(subjects: Iterable[Subject]) -> str | None:
    """Return why these models can't decide anything about size, None where they can."""
    sizes = [float(subject.params) for subject in subjects if subject.params]
    return d.too_few_sizes(np.log10(sizes), "can be compared")


# --- which arms are compared ------------------------------------------------------------------------------------------

Twins = Mapping[tuple[str, frozenset[str]], Arm]  # variant and modules -> arm, of one base, mode and manner
Sets = list[tuple[Arm, ...]]  # arms that are compared with each other


def common_sets(arms: Iterable[Arm], sets: Callable[[Twins], Sets]) -> tuple[dict[Subject, Sets], list[d.Excluded]]:
    """Return the sets of arms to be compared within a model, those that all models have (`deciding.panel`), by model.

    ``sets`` finds them among arms of one model, base, mode and manner. Models of whose answers too many failed by the
    instrument are left out.
    """
    whole: dict[Subject, Sets] = {}
    left = []
    for subject, own in _by_subject(arms).items():
        found = _found(own, sets)
        if not found:
            left.append(d.Excluded(subject.name, "was not asked anything that can be compared"))
        elif (why := d.lost(_once(found))) is not None:
            left.append(d.Excluded(subject.name, why))
        else:
            whole[subject] = found
    same, others = d.panel(arm for found in whole.values() for arm in _once(found))
    return {subject: _found(own, sets) for subject, own in same.items()}, [*left, *others]


def _by_subject(arms: Iterable[Arm]) -> dict[Subject, list[Arm]]:
    out: dict[Subject, list[Arm]] = {}
    for arm in arms:
        out.setdefault(arm.subject, []).append(arm)
    return out


def places(of: Mapping[Subject, Sets]) -> Places:
    """Return the places of all instances in sets of arms."""
    return Places(arm for sets in of.values() for one in sets for arm in one)


def _once(sets: Sets) -> list[Arm]:
    """Return each arm of the sets once."""
    return list({id(arm): arm for one in sets for arm in one}.values())


def _found(arms: Iterable[Arm], sets: Callable[[Twins], Sets]) -> Sets:
    groups: dict[Any, dict[tuple[str, frozenset[str]], Arm]] = {}
    for arm in arms:
        groups.setdefault((arm.manner, arm.base, arm.mode), {})[arm.variant, arm.modules] = arm
    return [one for twins in groups.values() for one in sets(twins)]
