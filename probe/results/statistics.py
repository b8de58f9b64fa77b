"""Estimates, intervals and tests for result tables.

Pure functions over numpy arrays. The unit of independence (the *cluster*) is the instance: whatever is pooled
over models, channels, samples or nights is added per instance first, so arrays have shape (clusters,), with
`n` = constraints or trials counted there and `y` = how many of them hold (0 <= y <= n). A cluster with n = 0 is
a hole and is left out. What is undefined is `None`.

Quantiles are computed here, not by scipy, because tables are printed interactively and importing scipy.stats
takes longer than computing a thousand cells.
"""

import math
from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from statistics import NormalDist
from typing import TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]
H = TypeVar("H", bound=Hashable)

FEWEST_CLUSTERS = 5  # below, a variance between clusters is too poorly known for any interval
FEWEST_MODELS = 6  # below, and
FEWEST_DECADES = 1.5  # of size below, a size curve isn't called flat
FEWEST_CELL = 40  # instances in each cell of a two-way design
MOST_MODELS = 1_000  # more aren't planned
EXACT_CLUSTERS = 12  # up to here all 2^G sign flips are enumerated
PERMUTATIONS = 9_999
RESAMPLES = 999
UNEQUAL = 0.5  # coefficient of variation of cluster sizes from which they are very unequal
REFERENCE_NIGHTS = 14
WINDOWS = (1, 3, 7, 14)  # nights
LOOKS_A_YEAR = 250
NO_VARIANCE = 1e-24  # of a rate: a standard error below 1e-12 is rounding, not evidence


@dataclass(frozen=True)
class Interval:
    """An estimate with its confidence limits.

    `low` and `high` are None below 5 clusters. `n` is the denominator, `clusters` how many instances it comes
    from, `n_effective` the number of independent observations that would be as precise (rates only).
    """

    rate: float
    low: float | None
    high: float | None
    n: int
    clusters: int
    n_effective: float | None = None


@dataclass(frozen=True)
class Difference:
    """First minus second arm over the same clusters; `p` is two-sided, by sign-flip permutation.

    `low`, `high`, `standard_error` and `df` are None below 5 clusters, or where no cluster differs from another.
    """

    difference: float
    low: float | None
    high: float | None
    standard_error: float | None
    df: float | None
    p: float
    clusters: int


@dataclass(frozen=True)
class Drift:
    """The window of latest nights that differs most from the reference; `z` above 0: it got better since."""

    z: float
    window: int  # nights
    before: float  # mean rate of the instances in the reference
    after: float  # and in the window
    instances: int


@dataclass(frozen=True)
class Slope:
    """Change of the rate per unit of a regressor, over models: per tenfold size from `slope`.

    `low`, `high` and `p` (two-sided, for slope 0) are None where nothing tells how uncertain it is (standard
    error 0). `decades` is the range of log10 parameters, None where the regressor is something else.
    """

    slope: float
    intercept: float
    low: float | None
    high: float | None
    p: float | None
    standard_error: float
    df: int
    models: int
    decades: float | None = None


@dataclass(frozen=True)
class LogitSlope:
    """Slope of logit(rate) per tenfold size, over models, and the average change of the rate that it means."""

    slope: float
    low: float
    high: float
    p: float
    standard_error: float
    effect: float  # mean over these models of the change of the rate per tenfold size
    effect_low: float
    effect_high: float
    df: int
    models: int


@dataclass(frozen=True)
class Equivalence:
    """Whether an effect lies inside ±margin: it does at 5 % if p <= .05, that is if low and high (90 %) do."""

    effect: float
    low: float
    high: float
    p: float
    margin: float


@dataclass(frozen=True)
class VarianceShares:
    """Shares of the variance between instances: of novelty, of size, of both together, and novelty minus size.

    `instances`: the fewest in a cell.
    """

    novelty: float
    size: float
    interaction: float
    difference: float
    low: float
    high: float
    instances: int


# --- rates --------------------------------------------------------------------------------------------------


def ratio(n: ArrayLike, y: ArrayLike, confidence: float = 0.95, *, counts: bool = True) -> Interval | None:
    """Sum y / sum n with a clustered Wilson interval; None if nothing was counted.

    The interval is Wilson's (1927) at the effective n, with a t quantile: see `_wilson`. `counts=False` takes y
    as sums of n values anywhere in [0, 1], such as gaps, which may vary less than counts with the same mean.
    """
    [(n_, y_)] = _clusters((n, y))
    if not n_.size:
        return None
    return _wilson(n_, y_, float(n_.sum()) if counts else math.inf, confidence)


def macro(n: ArrayLike, y: ArrayLike, confidence: float = 0.95) -> Interval | None:
    """Mean over clusters of y / n with a Wilson interval as for `ratio`; None if nothing was counted.

    Its `n` is the number of clusters. It can't be more precise than independent constraints would make it,
    r(1 - r) sum(1/n_i) / G^2, which bounds the effective n by G times the harmonic mean of n.
    """
    [(n_, y_)] = _clusters((n, y))
    if not n_.size:
        return None
    most = n_.size**2 / float((1 / n_).sum())
    return _wilson(np.ones(n_.size), y_ / n_, most, confidence)


def corrected(
    n: ArrayLike, y: ArrayLike, n_base: ArrayLike, y_base: ArrayLike, confidence: float = 0.95
) -> Interval | None:
    """(r - b) / (1 - b): the share of a baseline's failures that is solved, over clusters both answered.

    None if there are none, or where b = 1. Delta method with the paired correlation, the variance on either side
    recovered from that side of the Wilson intervals of r and b (Zou and Donner 2008): where both are far from 0
    and 1 this is the t interval, near them it keeps its coverage and is never of zero width, as the t interval
    is for r = 1. Nothing is clipped: a model below the baseline is negative.
    """
    (n_, y_), (n_b, y_b) = _clusters((n, y), (n_base, y_base))
    if not n_.size or y_b.sum() == n_b.sum():
        return None
    arm, base = _wilson(n_, y_, n_.sum(), confidence), _wilson(n_b, y_b, n_b.sum(), confidence)
    r, b = arm.rate, base.rate
    estimate, low, high = (r - b) / (1 - b), None, None
    if arm.low is not None and arm.high is not None and base.low is not None and base.high is not None:
        per_r, per_b = 1 / (1 - b), (1 - r) / (1 - b) ** 2  # derivatives, the second with its sign turned
        correlation = _correlation(_linear(n_, y_)[1], _linear(n_b, y_b)[1])
        low = estimate - _distance(per_r * (r - arm.low), per_b * (base.high - b), correlation)
        high = estimate + _distance(per_r * (arm.high - r), per_b * (b - base.low), correlation)
    return Interval(estimate, low, high, arm.n, arm.clusters)


def mean(values: ArrayLike, confidence: float = 0.95) -> Interval | None:
    """Mean of independent values, one per unit (say, the rate of each family), with Student's t interval.

    For claims about units not seen. None without values; the limits aren't clipped, and are None below 5 values
    or where all are equal.
    """
    v = np.asarray(values, dtype=float)
    if v.ndim != 1 or not np.isfinite(v).all():
        raise ValueError("values must be one finite number per unit; leave out undefined ones")
    if not v.size:
        return None
    estimate, low, high = float(v.mean()), None, None
    if v.size >= FEWEST_CLUSTERS and (variance := float(v.var(ddof=1)) / v.size) > NO_VARIANCE:
        half = t_quantile(confidence, v.size - 1) * math.sqrt(variance)
        low, high = estimate - half, estimate + half
    return Interval(estimate, low, high, v.size, v.size)


def best_of_each(n: ArrayLike, y: ArrayLike, k: int) -> Array:
    """Each instance's chance that one of k samples is right, NaN below k samples: 1 - C(n - y, k) / C(n, k).

    Unbiased (Chen et al. 2021, equation 1), unlike 1 - (1 - y/n)^k. Shape as n and y.
    """
    if k < 1:
        raise ValueError(f"k must be at least 1, not {k}")
    n_, y_ = _counts(n, y)
    missed = np.ones(n_.shape)
    for taken in range(k):  # the samples are drawn one after the other
        missed *= np.maximum(n_ - y_ - taken, 0) / np.maximum(n_ - taken, 1)
    return np.where(n_ >= k, 1 - missed, math.nan)


def best_of_k(n: ArrayLike, y: ArrayLike, k: int, confidence: float = 0.95) -> Interval | None:
    """Mean over instances of the chance that one of k samples is right; None if none has k samples.

    Interval as for `ratio`, over instances.
    """
    values = best_of_each(n, y, k)
    kept = values[np.isfinite(values)]
    return ratio(np.ones(kept.size), kept, confidence, counts=False)


def majority(answers: Sequence[H | None], n: int) -> H | None:
    """The commonest of the first n answers to one instance, of equally common ones the earliest.

    None stands for no answer and doesn't vote; the result is None if nobody does. Answers must be written one way
    if they mean one thing.
    """
    if n < 1:
        raise ValueError(f"n must be at least 1, not {n}")
    votes = Counter(answer for answer in answers[:n] if answer is not None)
    return max(votes, key=votes.__getitem__, default=None)


# --- paired comparisons -------------------------------------------------------------------------------------


def paired_difference(
    n_a: ArrayLike, y_a: ArrayLike, n_b: ArrayLike, y_b: ArrayLike, confidence: float = 0.95
) -> Difference | None:
    """Rate of a minus rate of b over the clusters both answered; None if there are none.

    t interval with variance clustered by instance (leverage-corrected as for `ratio`, the smaller of the arms'
    degrees of freedom), None where no cluster differs from another. The test swaps the arms of whole clusters
    (for equal n: flips the sign of each difference), all 2^G ways up to 12 clusters, else 9,999 ways drawn by a
    fixed seed, counting the observed one (Phipson and Smyth 2010), so p is never 0.
    """
    (na, ya), (nb, yb) = _clusters((n_a, y_a), (n_b, y_b))
    if not na.size:
        return None
    difference = float(ya.sum() / na.sum() - yb.sum() / nb.sum())
    unknown = Difference(difference, None, None, None, None, _swap_test(na, ya, nb, yb), na.size)
    if na.size < FEWEST_CLUSTERS:
        return unknown
    _, influence_a, df_a = _linear(na, ya)
    _, influence_b, df_b = _linear(nb, yb)
    variance = float(np.square(influence_a - influence_b).sum())
    if variance <= NO_VARIANCE:
        return unknown
    error, df = math.sqrt(variance), min(df_a, df_b)
    half = t_quantile(confidence, df) * error
    return Difference(difference, difference - half, difference + half, error, df, unknown.p, na.size)


def excess(
    n: ArrayLike, y: ArrayLike, n_null: ArrayLike, y_null: ArrayLike, confidence: float = 0.95
) -> Interval | None:
    """A rate minus its own chance rate over the same instances; None if there are none.

    `n_null` and `y_null` count the same matches against what belongs to *other* instances (y may be a mean over
    several permutations). Both rates are small, where a t interval fails; so the limits are recovered from the
    Wilson intervals of the two with their paired correlation (Newcombe 1998; Zou and Donner 2008). It is never of
    zero width. An excess lies inside ±margin at 5 % if the limits at confidence .9 do.
    """
    (n_, y_), (n_0, y_0) = _clusters((n, y), (n_null, y_null))
    if not n_.size:
        return None
    arm, null = _wilson(n_, y_, n_.sum(), confidence), _wilson(n_0, y_0, n_0.sum(), confidence)
    estimate, low, high = arm.rate - null.rate, None, None
    if arm.low is not None and arm.high is not None and null.low is not None and null.high is not None:
        correlation = _correlation(_linear(n_, y_)[1], _linear(n_0, y_0)[1])
        low = estimate - _distance(arm.rate - arm.low, null.high - null.rate, correlation)
        high = estimate + _distance(arm.high - arm.rate, null.rate - null.low, correlation)
    return Interval(estimate, low, high, arm.n, arm.clusters)


def mcnemar_mid_p(only_a: int, only_b: int) -> float:
    """Two-sided mid-p of McNemar's test, from the pairs only a and only b got right (Fagerland et al. 2013)."""
    if min(only_a, only_b) < 0:
        raise ValueError(f"only_a and only_b must be counts, not {only_a} and {only_b}")
    fewer, pairs = min(only_a, only_b), only_a + only_b
    if only_a == only_b:
        return 1.0
    log_ways = math.lgamma(pairs + 1) - math.lgamma(fewer + 1) - math.lgamma(pairs - fewer + 1)
    at_most = _beta_tail(pairs - fewer, fewer + 1, 0.5, 0.5)  # P(X <= fewer), X binomial(pairs, 1/2)
    return 2 * at_most - math.exp(log_ways - pairs * math.log(2))


# --- over nights --------------------------------------------------------------------------------------------


def drift(rates: ArrayLike) -> Drift | None:
    """Compare the latest 1, 3, 7 and 14 nights with the first 14: each instance with itself, asked unchanged.

    `rates`: one row a night, one column an instance, in [0, 1]; NaN where nothing was counted. Two samples of
    Bernoulli trials an instance (research: a reference taken as exact raises false alarms). A rate pooled over few
    nights says that an instance which always held always will, so |z| > 4 came up by chance in 30 to 50 % of years
    near 0 and 1; with one success and one failure added (Agresti and Caffo 2000) and the pooled variance unbiased it
    is at most 5 % at every rate, from 10 instances on. None before night 15, or below 5 instances seen in both.
    """
    x = np.asarray(rates, dtype=float)
    if x.ndim != 2 or (x < 0).any() or (x > 1).any():
        raise ValueError("rates must have one row a night and one column an instance, in [0, 1] or NaN")
    first = x[:REFERENCE_NIGHTS]
    compared = [_two_samples(first, x[-window:]) for window in WINDOWS if len(x) >= REFERENCE_NIGHTS + window]
    return max((one for one in compared if one is not None), key=lambda one: abs(one.z), default=None)


def drift_threshold(models: int) -> float:
    """|z| from which `drift` is an alarm, so that a year of nights over this many models has one by chance in 20.

    Looks at overlapping windows are worth 250 independent ones a year; 4, as measured for one model, is the least.
    """
    return max(4.0, _z(1 - 0.05 / (LOOKS_A_YEAR * max(1, models))))


# --- over models --------------------------------------------------------------------------------------------


def slope(
    log10_params: ArrayLike,
    rates: ArrayLike,
    standard_errors: ArrayLike | None = None,
    confidence: float = 0.95,
) -> Slope | None:
    """Least-squares slope of one rate per model over log10 parameters: rate change per tenfold size.

    t with k - 2 degrees of freedom; the standard error is not below the one that the models' own standard errors
    imply, lest a lucky fit look exact (Knapp and Hartung 2003). None below 3 models, or if all are of one size.
    """
    found = multiple_slope([log10_params], rates, standard_errors, confidence)
    return None if found is None else replace(found, decades=float(np.ptp(np.asarray(log10_params, dtype=float))))


def multiple_slope(
    columns: Sequence[ArrayLike],
    values: ArrayLike,
    standard_errors: ArrayLike | None = None,
    confidence: float = 0.95,
) -> Slope | None:
    """Least-squares slope over the first of several columns (one value per model in each), the others held fixed.

    As for `slope`, with one degree of freedom fewer for each further column. Computed from what the others leave
    of the first (Frisch and Waugh 1933). None without a degree of freedom, or if the others determine the first.
    """
    x, y = np.array([np.asarray(column, dtype=float) for column in columns]), np.asarray(values, dtype=float)
    errors = np.zeros(y.shape) if standard_errors is None else np.asarray(standard_errors, dtype=float)
    if x.ndim != 2 or not x.shape[1:] == y.shape == errors.shape:
        raise ValueError("sizes (or other columns), rates and standard errors must hold one value per model")
    if not all(np.isfinite(a).all() for a in (x, y, errors)) or (errors < 0).any():
        raise ValueError("sizes (or other columns), rates and standard errors must be finite; leave others out")
    models = y.size
    others = np.vstack([np.ones(models), x[1:]]).T
    df = models - 1 - len(x)
    if df < 1:
        return None
    mean = x[0].mean()
    left = x[0] - mean if len(x) == 1 else x[0] - others @ np.linalg.lstsq(others, x[0], rcond=None)[0]
    spread, whole = _dot(left, left), _dot(x[0] - mean, x[0] - mean)
    if spread <= max(NO_VARIANCE, 1e-12 * whole):
        return None
    estimate = _dot(left, y) / spread
    rest = y - estimate * x[0]
    level = np.linalg.lstsq(others, rest, rcond=None)[0]
    residual = rest - others @ level
    variance = max(_dot(residual, residual) / df / spread, _dot(left * errors, left * errors) / spread**2)
    if variance <= NO_VARIANCE:
        return Slope(estimate, float(level[0]), None, None, None, 0.0, df, models)
    error = math.sqrt(variance)
    half, p = t_quantile(confidence, df) * error, t_tails(estimate / error, df)
    return Slope(estimate, float(level[0]), estimate - half, estimate + half, p, error, df, models)


def slopes_without(
    groups: Sequence[H],
    log10_params: ArrayLike,
    rates: ArrayLike,
    standard_errors: ArrayLike | None = None,
    confidence: float = 0.95,
) -> dict[H, Slope | None]:
    """Return for each group of models (those trained alike) the slope over all others: does one group make it?"""
    x, y = np.asarray(log10_params, dtype=float), np.asarray(rates, dtype=float)
    errors = np.zeros(y.shape) if standard_errors is None else np.asarray(standard_errors, dtype=float)
    if not len(groups) == x.size == y.size == errors.size:
        raise ValueError("groups, log10_params, rates and standard_errors must hold one value per model")
    out: dict[H, Slope | None] = {}
    for group in dict.fromkeys(groups):
        kept = np.array([other != group for other in groups], dtype=bool)
        out[group] = slope(x[kept], y[kept], errors[kept], confidence)
    return out


def logit_slope(log10_params: ArrayLike, n: ArrayLike, y: ArrayLike, confidence: float = 0.95) -> LogitSlope | None:
    """Fractional logit of one rate y / n per model over log10 parameters (Papke and Wooldridge 1996).

    Quasi-likelihood, each model with equal weight. Its sandwich variance is corrected for leverage (HC3; MacKinnon
    and White 1985), since the plain one is far too small for a dozen models, and not below what n independent
    answers imply; t with k - 2 degrees of freedom. None below 5 models, if all are of one size, or where
    nothing bounds the slope: all rates 0 or 1, or all small models at 0 and all large ones at 1.
    """
    x, (n_, y_) = np.asarray(log10_params, dtype=float), _counts(n, y)
    if x.ndim != 1 or x.shape != n_.shape or not np.isfinite(x).all() or not (n_ > 0).all():
        raise ValueError("log10_params, n and y must hold one value per model, n above 0; leave models without out")
    rates = y_ / n_
    if x.size < FEWEST_CLUSTERS or np.ptp(x) <= 0 or not 0 < rates.mean() < 1:
        return None
    design = np.column_stack([np.ones(x.size), x - x.mean()])
    fit = fit_logit(design, np.ones(x.size), rates)
    if fit is None:
        return None
    estimate, fitted = float(fit[0][1]), fit[1]
    weight = fitted * (1 - fitted)
    bread = np.linalg.inv(design.T @ (design * weight[:, None]))
    leverage = weight * ((design @ bread) * design).sum(axis=1)
    lack = (rates - fitted) / (1 - leverage)
    bend = weight * (1 - 2 * fitted)
    gradient = np.array([[0, 1], [estimate * bend.mean(), weight.mean() + estimate * (bend * design[:, 1]).mean()]])
    scores = [design * lack[:, None], design * np.sqrt(weight / n_)[:, None]]
    covariances = [gradient @ bread @ (score.T @ score) @ bread @ gradient.T for score in scores]
    error, effect_error = np.sqrt(np.max([np.diag(c) for c in covariances], axis=0)).tolist()
    df = x.size - 2
    t, effect = t_quantile(confidence, df), estimate * float(weight.mean())
    return LogitSlope(
        slope=estimate,
        low=estimate - t * error,
        high=estimate + t * error,
        p=t_tails(estimate / error, df),
        standard_error=error,
        effect=effect,
        effect_low=effect - t * effect_error,
        effect_high=effect + t * effect_error,
        df=df,
        models=x.size,
    )


def flatness_refused(found: Slope | None) -> str | None:
    """Why these models can't show that the rate does not depend on size; None if they can.

    Power below 6 models or 1.5 decades is so low that *flat* would come up by luck if at all.
    """
    models = 0 if found is None else found.models
    if found is None or models < FEWEST_MODELS:
        return f"{models or 'too few'} models of known size: at least {FEWEST_MODELS} are needed"
    if found.decades is not None and found.decades < FEWEST_DECADES:
        return f"sizes span {found.decades:.1f} decades: at least {FEWEST_DECADES} are needed"
    return None


def equivalence(found: Difference | Slope | None, margin: float) -> Equivalence | None:
    """Two one-sided tests of a paired difference, or of a slope over models, against ±margin, at 5 %.

    None where its standard error is unknown (below 5 instances, or no variation), and for a slope where
    `flatness_refused` gives a reason.
    """
    if found is None or not found.standard_error or found.df is None:
        return None
    if isinstance(found, Slope) and flatness_refused(found):
        return None
    effect = found.slope if isinstance(found, Slope) else found.difference
    half = t_quantile(0.9, found.df) * found.standard_error
    return Equivalence(
        effect, effect - half, effect + half, tost(effect, found.standard_error, found.df, margin), margin
    )


def tost(estimate: float, standard_error: float, df: float, margin: float) -> float:
    """p of the two one-sided tests that |effect| >= margin (Schuirmann 1987): small p means equivalent."""
    if not standard_error > 0 or not margin > 0:
        raise ValueError(f"standard_error and margin must be positive, not {standard_error} and {margin}")
    t = (margin - abs(estimate)) / standard_error
    tails = t_tails(t, df)
    return tails / 2 if t > 0 else 1 - tails / 2


# --- two-way designs ----------------------------------------------------------------------------------------


def variance_shares(rates: ArrayLike, confidence: float = 0.95) -> VarianceShares | None:
    """Shares of novelty and of size in the variance of instances' rates, in a balanced two-way design.

    `rates`: shape (levels of novelty, sizes, instances), in [0, 1], NaN where an instance is missing. Instances at
    one position are taken to be twins over the levels of novelty (if they aren't, nothing is lost).

    Omega squared (Hays 1963): what a factor adds to the mean square of cell means, less what sampling noise adds to
    it, over the whole variance. Both are unbiased, so a share doesn't grow as cells shrink, as eta squared does, nor
    with noise that only one factor's means have, as with twins. The whole includes the variance within cells, so it
    is never near 0. A share may come out below 0. The interval is the estimate ± t standard deviations of the
    difference over bootstrap samples of positions within sizes, twins together. None below 2 levels of a factor,
    below 40 instances in a cell, or where nothing varies.
    """
    x = np.asarray(rates, dtype=float)
    if x.ndim != 3 or (x < 0).any() or (x > 1).any():
        raise ValueError("rates must have shape (levels of novelty, sizes, instances), in [0, 1] or NaN")
    levels, sizes, positions = x.shape
    present = np.isfinite(x).astype(float)
    fewest = int(present.sum(axis=2).min()) if x.size else 0
    if min(levels, sizes) < 2 or fewest < FEWEST_CELL:
        return None
    values = np.where(present, x, 0)
    [parts], [within] = _sums_of_squares(values, present, np.ones((1, sizes, positions)))
    parts -= _noise(values, present)
    whole = float(parts.sum() + within)
    if whole <= NO_VARIANCE:
        return None
    weights = np.stack([resamples(positions, seed) for seed in range(sizes)], axis=1)
    drawn, drawn_within = _sums_of_squares(values, present, weights)
    differences = (drawn[:, 0] - drawn[:, 1]) / (drawn.sum(axis=1) + drawn_within)
    half = t_quantile(confidence, fewest - 1) * float(differences.std(ddof=1))
    novelty, size, interaction = (parts / whole).tolist()
    difference = novelty - size
    return VarianceShares(novelty, size, interaction, difference, difference - half, difference + half, fewest)


# --- many tests ---------------------------------------------------------------------------------------------


def holm(p: ArrayLike) -> Array:
    """Adjusted p values, same order, that bound the chance of any false rejection (Holm 1979)."""
    p_, order = _ordered(p)
    steps = np.maximum.accumulate(p_[order] * np.arange(p_.size, 0, -1))
    return _back(np.minimum(steps, 1), order)


def benjamini_hochberg(p: ArrayLike) -> Array:
    """Adjusted p values, same order, that bound the share of false rejections (Benjamini and Hochberg 1995)."""
    p_, order = _ordered(p)
    steps = p_[order] * p_.size / np.arange(1, p_.size + 1)
    return _back(np.minimum.accumulate(steps[::-1])[::-1], order)


# --- planning -----------------------------------------------------------------------------------------------


def half_width(p: float, instances: int, constraints: float, rho: float = 0.1, confidence: float = 0.95) -> float:
    """Expected half width of a rate's interval: z sqrt(p (1 - p) / n_e), n_e with Kish's design effect.

    `rho` is the correlation of constraints within an instance, `constraints` their number per instance.
    """
    return _z(confidence) * math.sqrt(_planned_variance(p, instances, constraints, rho))


def minimum_detectable_difference(
    p: float,
    instances: int,
    constraints: float,
    rho: float = 0.1,
    *,
    power: float = 0.8,
    paired_correlation: float = 0.0,
    confidence: float = 0.95,
) -> float:
    """Difference of two arms of this size found with the given power: 2.8 standard errors at 80 % and 95 %.

    `paired_correlation` is that of an instance's results in the two arms: 0 for separate instances.
    """
    if not 0 < power < 1 or not -1 <= paired_correlation < 1:
        raise ValueError(f"power must lie in (0, 1) and paired_correlation in [-1, 1): {power}, {paired_correlation}")
    variance = 2 * _planned_variance(p, instances, constraints, rho) * (1 - paired_correlation)
    return (_z(confidence) + NormalDist().inv_cdf(power)) * math.sqrt(variance)


def required_instances(
    difference: float,
    p: float,
    constraints: float,
    rho: float = 0.1,
    *,
    power: float = 0.8,
    paired_correlation: float = 0.0,
    confidence: float = 0.95,
) -> int:
    """Instances an arm with which `minimum_detectable_difference` is at most `difference`."""
    if not difference > 0:
        raise ValueError(f"difference must be positive, not {difference}")
    one = minimum_detectable_difference(
        p, 1, constraints, rho, power=power, paired_correlation=paired_correlation, confidence=confidence
    )
    return math.ceil((one / difference) ** 2 * (1 - 1e-12))


def minimum_detectable_slope(
    log10_params: ArrayLike, scatter: float, power: float = 0.8, confidence: float = 0.95
) -> float | None:
    """The slope that the t test of `slope` finds with the given power in models of these sizes.

    `scatter` is the standard deviation of a model's rate around the line: that between models and that of its
    measurement, hypot(tau, standard error). None below 3 models, or if all are of one size.
    """
    x = _planned_sizes(log10_params, scatter)
    if not 0 < power < 1:
        raise ValueError(f"power must lie in (0, 1), not {power}")
    spread = float(np.square(x - x.mean()).sum()) if x.size else 0.0
    if x.size < 3 or spread <= NO_VARIANCE:
        return None
    df = x.size - 2
    critical, normal = t_quantile(confidence, df), NormalDist()

    def found(shift: float) -> float:
        return _over_chi(df, lambda s: normal.cdf(shift - critical * s) + normal.cdf(-shift - critical * s))

    low, high = 0.0, 100 * critical
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (low, middle) if found(middle) >= power else (middle, high)
    return high * scatter / math.sqrt(spread)


def flatness_power(log10_params: ArrayLike, scatter: float, margin: float) -> float:
    """Chance that `equivalence` calls a truly flat size curve flat; 0 where it refuses. `scatter` as above."""
    x = _planned_sizes(log10_params, scatter)
    if not margin > 0:
        raise ValueError(f"margin must be positive, not {margin}")
    if x.size < FEWEST_MODELS or np.ptp(x) < FEWEST_DECADES - 1e-9:
        return 0.0
    df = x.size - 2
    error = scatter / math.sqrt(float(np.square(x - x.mean()).sum()))
    critical, normal = t_quantile(0.9, df), NormalDist()
    return _over_chi(df, lambda s: max(0.0, 2 * normal.cdf(margin / error - critical * s) - 1))


def required_models(margin: float, scatter: float, decades: float = 3.0, power: float = 0.8) -> int | None:
    """Models, evenly spread over so many decades, with which a truly flat size curve is called flat.

    None where 1,000 don't do, as below 1.5 decades.
    """
    for models in range(FEWEST_MODELS, MOST_MODELS + 1):
        if flatness_power(np.linspace(0, decades, models), scatter, margin) >= power:
            return models
        if decades < FEWEST_DECADES:
            break
    return None


# --- Student's t --------------------------------------------------------------------------------------------


def t_tails(t: float, df: float) -> float:
    """P(|T| > |t|) for Student's t with `df` > 0 degrees of freedom, not necessarily whole."""
    if not df > 0 or math.isnan(t):
        raise ValueError(f"df must be positive and t a number, not {df} and {t}")
    square = t * t
    if math.isinf(square):
        return 0.0
    return _beta_tail(df / 2, 0.5, df / (df + square), square / (df + square))


@lru_cache(maxsize=4096)  # cells of one table share their clusters, so their df
def t_quantile(confidence: float, df: float) -> float:
    """The t that |T| exceeds with probability 1 - confidence.

    Newton's method (the tail is convex, so from below it can't overshoot), started at the expansion around the
    normal quantile (Abramowitz and Stegun 1964, 26.7.5).
    """
    z = _z(confidence)
    start = z + (z**3 + z) / (4 * df) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * df**2) if df >= 1 else z
    t, tail = start, 1 - confidence
    log_scale = math.lgamma((df + 1) / 2) - math.lgamma(df / 2) - math.log(df * math.pi) / 2
    for _ in range(100):
        density = 2 * math.exp(log_scale - (df + 1) / 2 * math.log1p(t * t / df))
        step = (t_tails(t, df) - tail) / density
        t += step
        if abs(step) <= 1e-12 * t:
            return t
    raise ArithmeticError(f"no t quantile found for confidence {confidence} and df {df}")


# --- inside -------------------------------------------------------------------------------------------------


@lru_cache(maxsize=16)
def resamples(clusters: int, seed: int = 0) -> Array:
    """How often each cluster is drawn in 999 bootstrap samples, by a fixed seed; shape (999, clusters)."""
    bits = np.random.PCG64(seed)  # raw bits are the same in every version of numpy, other draws aren't
    drawn = (bits.random_raw(RESAMPLES * clusters) >> np.uint64(32)) * np.uint64(clusters) >> np.uint64(32)
    place = drawn.reshape(RESAMPLES, clusters).astype(np.intp) + clusters * np.arange(RESAMPLES)[:, None]
    counts = np.bincount(place.ravel(), minlength=RESAMPLES * clusters).reshape(RESAMPLES, clusters).astype(float)
    counts.flags.writeable = False
    return counts


def fit_logit(design: Array, n: Array, y: Array) -> tuple[Array, Array] | None:
    """Coefficients and fitted rates of a logit of y successes in n; None if nothing bounds the coefficients.

    Newton's method, halving steps that don't raise the likelihood. `design`: shape (rows, coefficients).
    """
    beta = np.zeros(design.shape[1])

    def likelihood(b: Array) -> float:
        eta = design @ b
        return float((y * eta - n * np.logaddexp(0, eta)).sum())

    best = likelihood(beta)
    for _ in range(50):
        fitted = np.exp(-np.logaddexp(0, -(design @ beta)))
        information = design.T @ (design * (n * fitted * (1 - fitted))[:, None])
        if np.linalg.cond(information) > 1e14:
            return None
        step = np.linalg.solve(information, design.T @ (y - n * fitted))
        while (now := likelihood(beta + step)) < best - 1e-12 * abs(best):
            step /= 2
        beta, best = beta + step, now
        if np.abs(design @ step).max() < 1e-9:
            return beta, fitted
    return None


def _counts(n: ArrayLike, y: ArrayLike) -> tuple[Array, Array]:
    """Checked counts of one shape."""
    n_, y_ = np.asarray(n, dtype=float), np.asarray(y, dtype=float)
    if n_.shape != y_.shape:
        raise ValueError(f"n and y must have one shape, not {n_.shape} and {y_.shape}")
    wrong = np.argwhere(~((y_ >= 0) & (y_ <= n_) & (n_ < math.inf)))
    if wrong.size:
        i = tuple(wrong[0])
        place = ", ".join(map(str, i))
        raise ValueError(f"n and y must satisfy 0 <= y <= n; cluster {place} has n = {n_[i]}, y = {y_[i]}")
    return n_, y_


def _clusters(*arms: tuple[ArrayLike, ArrayLike]) -> list[tuple[Array, Array]]:
    """Checked (n, y) of each arm, without the clusters that some arm lacks."""
    pairs = [(np.asarray(n, dtype=float), np.asarray(y, dtype=float)) for n, y in arms]
    shape = pairs[0][0].shape
    for n, y in pairs:
        if len(shape) != 1 or not shape == n.shape == y.shape:
            raise ValueError(f"n and y must have one shape (clusters,) in all arms, not {shape}, {n.shape}, {y.shape}")
        _counts(n, y)
    kept = np.logical_and.reduce([n > 0 for n, _ in pairs])
    return [(n[kept], y[kept]) for n, y in pairs]


def _linear(n: Array, y: Array) -> tuple[float, Array, float]:
    """Rate, each cluster's leverage-corrected influence on it, and Satterthwaite's degrees of freedom.

    The squared influences sum to the CR2 variance of Bell and McCaffrey (2002), which for one rate is
    sum e_i^2 / (1 - h_i) / N^2 with e_i = y_i - r n_i and h_i = n_i / N. Its degrees of freedom under independent
    observations are 1 / (sum h_i^2 + sum over i != j of w_i w_j), w_i = h_i^2 / (1 - h_i): G - 1 for equal n.
    """
    total = n.sum()
    rate, h = y.sum() / total, n / total
    influence = (y - rate * n) / (total * np.sqrt(1 - h))
    square = h * h
    w = square / (1 - h)
    df = 1 / (square.sum() + w.sum() ** 2 - _dot(w, w))
    return float(rate), influence, min(float(df), n.size - 1.0)


def _wilson(n: Array, y: Array, most: float, confidence: float) -> Interval:
    """Wilson interval at the effective n = r (1 - r) / variance, at most `most`, with Satterthwaite's t.

    Where the rarer outcome occurs in fewer than 10 clusters (20 if cluster sizes vary by more than half their
    mean), its variance is a matter of luck, so the effective n is also at most Kish's (1965) effective number of
    clusters, 1 / sum h_i^2, as if all answers within an instance stood and fell together.
    """
    total, clusters = float(n.sum()), n.size
    if clusters < FEWEST_CLUSTERS:
        return Interval(float(y.sum()) / total, None, None, round(total), clusters)
    rate, influence, df = _linear(n, y)
    variance = _dot(influence, influence)
    n_effective = min(most, rate * (1 - rate) / variance if variance > NO_VARIANCE else total)
    concentration = _dot(n, n) / total**2
    very_unequal = clusters * concentration > 1 + UNEQUAL**2  # = 1 + squared coefficient of variation
    rarer = np.count_nonzero(y if rate <= 0.5 else n - y)
    if rarer < (20 if very_unequal else 10):
        n_effective = min(n_effective, 1 / concentration)
    k = t_quantile(confidence, df) ** 2 / n_effective
    centre, half = (rate + k / 2) / (1 + k), math.sqrt(rate * (1 - rate) * k + k * k / 4) / (1 + k)
    low, high = max(0.0, min(rate, centre - half)), min(1.0, max(rate, centre + half))  # rounding only
    return Interval(rate, low, high, round(total), clusters, n_effective)


def _dot(a: Array, b: Array) -> float:
    """Inner product without BLAS, which would start threads for a long vector: 30 ms a call on a busy machine."""
    return float((a * b).sum())


def _correlation(a: Array, b: Array) -> float:
    """Of two arms' influences; 0, the cautious value for equal rates, where one doesn't vary."""
    squares = _dot(a, a) * _dot(b, b)
    return _dot(a, b) / math.sqrt(squares) if squares > NO_VARIANCE**2 else 0.0


def _distance(x: float, z: float, correlation: float) -> float:
    """How far a limit of a - b lies from its estimate, if a's limit lies x and b's opposite one z from theirs."""
    return math.sqrt(max(0.0, x * x + z * z - 2 * correlation * x * z))


def _swap_test(na: Array, ya: Array, nb: Array, yb: Array) -> float:
    """Two-sided p of the difference of two rates among all or 9,999 swaps of arms within clusters."""
    differ = (na != nb) | (ya != yb)  # swapping equals changes nothing
    clusters = int(np.count_nonzero(differ))
    moved = np.column_stack([nb - na, yb - ya])[differ]
    totals = np.array([na.sum(), ya.sum(), nb.sum(), yb.sum()])
    least = abs(totals[1] / totals[0] - totals[3] / totals[2]) - 1e-12  # ties count as extreme

    def extreme(swapped: NDArray[np.uint8]) -> int:
        n_moved, y_moved = (swapped @ moved).T
        first = (totals[1] + y_moved) / (totals[0] + n_moved)
        return int(np.count_nonzero(abs(first - (totals[3] - y_moved) / (totals[2] - n_moved)) >= least))

    if clusters <= EXACT_CLUSTERS:
        ways = np.arange(2**clusters)[:, None] >> np.arange(clusters) & 1
        return extreme(ways.astype(np.uint8)) / len(ways)
    bits = np.random.PCG64(clusters)  # raw bits are the same in every version of numpy, other draws aren't
    found, rows = 0, 1_111  # 9 rounds, so that memory stays small
    for _ in range(PERMUTATIONS // rows):
        words = bits.random_raw(-(-rows * clusters // 64)).astype("<u8")
        found += extreme(np.unpackbits(words.view(np.uint8))[: rows * clusters].reshape(rows, clusters))
    return (1 + found) / (1 + PERMUTATIONS)


def _ordered(p: ArrayLike) -> tuple[Array, NDArray[np.intp]]:
    p_ = np.asarray(p, dtype=float)
    if p_.ndim != 1 or not ((p_ >= 0) & (p_ <= 1)).all():
        raise ValueError("p must be a list of p values in [0, 1]; leave undefined ones out")
    return p_, np.argsort(p_, kind="stable")


def _back(ordered: Array, order: NDArray[np.intp]) -> Array:
    result = np.empty_like(ordered)
    result[order] = ordered
    return result


def _z(confidence: float) -> float:
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must lie between 0 and 1, such as 0.95, not {confidence}")
    return NormalDist().inv_cdf((1 + confidence) / 2)


def _two_samples(before: Array, after: Array) -> Drift | None:
    """Difference of two groups of nights, instance by instance."""
    b, w = np.isfinite(before).sum(axis=0), np.isfinite(after).sum(axis=0)
    seen = (b > 0) & (w > 0)
    if np.count_nonzero(seen) < FEWEST_CLUSTERS:
        return None
    b, w = b[seen], w[seen]
    held_before, held_after = np.nansum(before[:, seen], axis=0), np.nansum(after[:, seen], axis=0)
    nights = b + w
    p = (held_before + held_after + 1) / (nights + 2)
    variance = float((p * (1 - p) * nights / (nights - 1) * (1 / b + 1 / w)).sum())
    difference = held_after / w - held_before / b
    means = (float((held_before / b).mean()), float((held_after / w).mean()))
    return Drift(float(difference.sum()) / math.sqrt(variance), len(after), *means, b.size)


def _sums_of_squares(values: Array, present: Array, weights: Array) -> tuple[Array, Array]:
    """Mean squares over cells of the effects of novelty, of size and of both together, and variance within cells.

    `values` and `present`: (levels, sizes, positions); `weights`: (rows, sizes, positions), how often each counts.
    Shapes (rows, 3) and (rows,).
    """
    count = np.einsum("lsp,rsp->rls", present, weights)
    means = np.einsum("lsp,rsp->rls", values, weights) / count
    within = (np.einsum("lsp,rsp->rls", values**2, weights) / count - means**2) * count / (count - 1)
    means -= means.mean(axis=(1, 2), keepdims=True)
    novelty, size = means.mean(axis=2, keepdims=True), means.mean(axis=1, keepdims=True)
    effects = (novelty, size, means - novelty - size)
    return np.stack([np.square(e).mean(axis=(1, 2)) for e in effects], axis=1), within.mean(axis=(1, 2))


def _noise(values: Array, present: Array) -> Array:
    """What sampling noise adds to each mean square of `_sums_of_squares`, twins over levels erring together."""
    levels, sizes, _ = values.shape
    count = present.sum(axis=2)
    left = (
        np.where(present, values - (values.sum(axis=2) / count)[:, :, None], 0)
        / np.sqrt(count * (count - 1))[..., None]
    )
    covariance = np.einsum("lsp,msp->lms", left, left)  # of the means of levels l and m at size s
    one, common = (
        float(np.einsum("lls->", covariance)) / (levels * sizes),
        float(covariance.sum()) / (levels**2 * sizes),
    )
    novelty, size = one / sizes - common / sizes, common - common / sizes
    return np.array([novelty, size, one - common / sizes - novelty - size])


def _planned_sizes(log10_params: ArrayLike, scatter: float) -> Array:
    x = np.asarray(log10_params, dtype=float)
    if x.ndim != 1 or not np.isfinite(x).all() or not scatter > 0:
        raise ValueError("log10_params must hold one finite value per model, and scatter be positive")
    return x


def _over_chi(df: int, chance: Callable[[float], float]) -> float:
    """Mean of chance(s) over s, the estimated standard error over the true one: s^2 is chi squared by df."""
    width = 9 / math.sqrt(2 * df)
    s = np.linspace(max(0.0, 1 - width), 1 + width, 402)[1:-1]
    log_density = (df - 1) * np.log(s) - df / 2 * s * s
    density = np.exp(log_density - log_density.max())
    return float(density @ [chance(one) for one in s.tolist()] / density.sum())


def _planned_variance(p: float, instances: int, constraints: float, rho: float) -> float:
    if not 0 < p < 1 or not 0 <= rho <= 1:
        raise ValueError(f"p must lie inside (0, 1) and rho in [0, 1], not {p} and {rho}")
    if instances < 1 or constraints < 1:
        raise ValueError(f"instances and constraints must be at least 1, not {instances} and {constraints}")
    return p * (1 - p) * (1 + (constraints - 1) * rho) / (instances * constraints)


def _beta_tail(a: float, b: float, x: float, rest: float) -> float:
    """Regularised incomplete beta function I_x(a, b), with rest = 1 - x given for its precision.

    Continued fraction DLMF 8.17.22 by Lentz's method, on the side of the mean where it converges fast.
    """
    if not 0 < x < 1:
        return 0.0 if x <= 0 else 1.0
    upper = x > (a + 1) / (a + b + 2)
    if upper:
        a, b, x, rest = b, a, rest, x
    log_x = math.log1p(-rest) if x > 0.5 else math.log(x)
    log_rest = math.log1p(-x) if rest > 0.5 else math.log(rest)
    front = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * log_x + b * log_rest
    fraction = c = 1.0
    d = 0.0
    for m in range(100_000):
        for term in (
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
            (m + 1) * (b - m - 1) * x / ((a + 2 * m + 1) * (a + 2 * m + 2)),
        ):
            d = 1 / (1 + term * d or 1e-300)
            c = 1 + term / c or 1e-300
            fraction *= c * d
        if abs(c * d - 1) < 1e-15:
            lower = math.exp(front) / (a * fraction)
            return 1 - lower if upper else lower
    raise ArithmeticError(f"the incomplete beta function didn't converge at {a}, {b}, {x}")
