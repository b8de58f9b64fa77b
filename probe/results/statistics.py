"""Estimates, intervals and tests for result tables.

Pure functions over numpy arrays. The unit of independence (the *cluster*) is the instance: whatever is pooled
over models, channels, samples or nights is added per instance first, so arrays have shape (clusters,), with
`n` = constraints or trials counted there and `y` = how many of them hold (0 <= y <= n). A cluster with n = 0 is
a hole and is left out. What is undefined is `None`.

Quantiles are computed here, not by scipy, because tables are printed interactively and importing scipy.stats
takes longer than computing a thousand cells.
"""

import math
from dataclasses import dataclass
from functools import lru_cache
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]

FEWEST_CLUSTERS = 5  # below, a variance between clusters is too poorly known for any interval
EXACT_CLUSTERS = 12  # up to here all 2^G sign flips are enumerated
PERMUTATIONS = 9_999
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
    """Change of the rate per tenfold size, over models.

    `low`, `high` and `p` (two-sided, for slope 0) are None where nothing tells how uncertain it is (standard
    error 0).
    """

    slope: float
    intercept: float
    low: float | None
    high: float | None
    p: float | None
    standard_error: float
    df: int
    models: int


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
    x, y = np.asarray(log10_params, dtype=float), np.asarray(rates, dtype=float)
    errors = np.zeros(x.shape) if standard_errors is None else np.asarray(standard_errors, dtype=float)
    if x.ndim != 1 or not x.shape == y.shape == errors.shape:
        raise ValueError("log10_params, rates and standard_errors must hold one value per model")
    if not np.isfinite([x, y, errors]).all() or (errors < 0).any():
        raise ValueError("log10_params, rates and standard_errors must be finite; leave models without them out")
    centred = x - x.mean() if x.size else x
    spread = float(centred @ centred)
    if x.size < 3 or spread <= NO_VARIANCE:
        return None
    estimate, df = float(centred @ y) / spread, x.size - 2
    intercept = float(y.mean() - estimate * x.mean())
    residual = y - intercept - estimate * x
    variance = max(float(residual @ residual) / df / spread, float(np.square(centred * errors).sum()) / spread**2)
    if variance <= NO_VARIANCE:
        return Slope(estimate, intercept, None, None, None, 0.0, df, x.size)
    error = math.sqrt(variance)
    half, p = t_quantile(confidence, df) * error, t_tails(estimate / error, df)
    return Slope(estimate, intercept, estimate - half, estimate + half, p, error, df, x.size)


def tost(estimate: float, standard_error: float, df: float, margin: float) -> float:
    """p of the two one-sided tests that |effect| >= margin (Schuirmann 1987): small p means equivalent."""
    if not standard_error > 0 or not margin > 0:
        raise ValueError(f"standard_error and margin must be positive, not {standard_error} and {margin}")
    t = (margin - abs(estimate)) / standard_error
    tails = t_tails(t, df)
    return tails / 2 if t > 0 else 1 - tails / 2


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


def _clusters(*arms: tuple[ArrayLike, ArrayLike]) -> list[tuple[Array, Array]]:
    """Checked (n, y) of each arm, without the clusters that some arm lacks."""
    pairs = [(np.asarray(n, dtype=float), np.asarray(y, dtype=float)) for n, y in arms]
    shape = pairs[0][0].shape
    for n, y in pairs:
        if len(shape) != 1 or not shape == n.shape == y.shape:
            raise ValueError(f"n and y must have one shape (clusters,) in all arms, not {shape}, {n.shape}, {y.shape}")
        wrong = np.flatnonzero(~((y >= 0) & (y <= n) & (n < math.inf)))
        if wrong.size:
            i = wrong[0]
            raise ValueError(f"n and y must satisfy 0 <= y <= n; cluster {i} has n = {n[i]}, y = {y[i]}")
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
