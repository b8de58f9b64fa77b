"""Estimators on iterates: how long a trace stays right, and how the chance of a right step changes with its number.

As in `probe.results.statistics`, the unit of independence is the instance: arrays of counts have shape (instances,
steps), step k = 1, 2 … in column k - 1, with n = 0 where an instance was not asked (or nobody wrote) that step.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from probe.results.statistics import FEWEST_CLUSTERS, Array, Interval, fit_logit, ratio, resamples, t_tails


@dataclass(frozen=True)
class Survival:
    """Share of traces right up to each step, and the horizon: the first step that fewer than half reach.

    A horizon one beyond the last step says that half or more survive it. Its limits are None below 5 instances.
    """

    steps: tuple[Interval | None, ...]
    horizon: int
    low: int | None
    high: int | None


@dataclass(frozen=True)
class StepLaw:
    """One chance of a right step for all steps (errors compound: survival is geometric) against one that changes.

    `constant` is that chance; `start` and `change` are intercept (step 1) and slope per step of its logit, None
    where nothing bounds them (every step right, or all right up to some step and wrong thereafter).
    `aic_difference` is AIC of the constant law less that of the changing one: above 0 the changing one is better.
    `p` (two-sided) tests that the chance doesn't change. Both are None where every step or no step is right, `p` also
    where all instances are alike. `direction` is the sign of the change: -1 declining.
    """

    constant: float
    start: float | None
    change: float | None
    direction: int
    aic_difference: float | None
    p: float | None
    instances: int


def survival(n: ArrayLike, y: ArrayLike, confidence: float = 0.95) -> Survival | None:
    """Survival of traces: n = traces asked for step k, y = those right in all steps up to k; None without any.

    A curve over instances of one number of steps falls; pooled over several numbers it may rise where short ones
    end. Intervals as for `ratio`; the horizon's by resampling instances (percentiles, fixed seed).
    """
    n_, y_ = _steps(n, y)
    if not n_.size:
        return None
    curve = tuple(ratio(n_[:, k], y_[:, k], confidence) for k in range(n_.shape[1]))
    horizon = int(_horizons(np.ones((1, len(n_))), n_, y_)[0])
    if len(n_) < FEWEST_CLUSTERS:
        return Survival(curve, horizon, None, None)
    drawn = np.sort(_horizons(resamples(len(n_)), n_, y_))
    cut = (1 - confidence) / 2 * (drawn.size + 1)
    return Survival(curve, horizon, int(drawn[math.floor(cut) - 1]), int(drawn[math.ceil(drawn.size - cut)]))


def step_law(n: ArrayLike, y: ArrayLike) -> StepLaw | None:
    """Does the chance that a step is right (n = steps k written, y = those that follow from the step before) change?

    Both laws are fitted to the pooled counts, p and logit p = start + change (k - 1). Steps of one instance are
    alike, so AIC's penalty of 2 for `change` is multiplied by its design effect (Lumley and Scott 2015), at
    least 1, and p is that of the score test with scores added by instance (Boos 1992), t with instances - 1
    degrees of freedom. By AIC alone one constant law in ten looks like a changing one: call it declining where both
    agree. None below 5 instances or 2 steps.
    """
    n_, y_ = _steps(n, y)
    k = np.arange(n_.shape[1], dtype=float) if n_.ndim == 2 else np.empty(0)
    per_step, held = n_.sum(axis=0), y_.sum(axis=0)
    if len(n_) < FEWEST_CLUSTERS or np.count_nonzero(per_step) < 2:
        return None
    constant = float(held.sum() / per_step.sum())
    if not 0 < constant < 1:
        return StepLaw(constant, None, None, 0, None, None, len(n_))
    centred = k - (per_step @ k) / per_step.sum()
    scores = (y_ - constant * n_) @ centred
    total, robust = float(scores.sum()), float(np.square(scores - scores.mean()).sum()) * len(n_) / (len(n_) - 1)
    naive = constant * (1 - constant) * float(per_step @ (centred * centred))
    p = t_tails(total / math.sqrt(robust), len(n_) - 1) if robust > 1e-12 * naive else None
    fit = fit_logit(np.column_stack([np.ones(k.size), k]), per_step, held)
    start, change = (None, None) if fit is None else fit[0].tolist()
    best = _likelihood(per_step, held, fit[1] if fit else held / np.maximum(per_step, 1))
    gain = 2 * (best - _likelihood(per_step, held, np.full(k.size, constant)))
    return StepLaw(constant, start, change, int(np.sign(total)), gain - 2 * max(1.0, robust / naive), p, len(n_))


def _steps(n: ArrayLike, y: ArrayLike) -> tuple[Array, Array]:
    """Checked counts of the instances that have any."""
    n_, y_ = np.asarray(n, dtype=float), np.asarray(y, dtype=float)
    if n_.ndim != 2 or n_.shape != y_.shape:
        raise ValueError(f"n and y must have one shape (instances, steps), not {n_.shape} and {y_.shape}")
    if not ((y_ >= 0) & (y_ <= n_) & (n_ < math.inf)).all():
        raise ValueError("n and y must satisfy 0 <= y <= n")
    kept = n_.any(axis=1)
    return n_[kept], y_[kept]


def _horizons(weights: Array, n: Array, y: Array) -> Array:
    """First step with a survival below one half, for each row of weights of instances."""
    asked, alive = (np.einsum("ri,ik->rk", weights, counted) for counted in (n, y))  # @ would start threads
    below = (2 * alive < asked) & (asked > 0)
    first: Array = np.where(below.any(axis=1), below.argmax(axis=1) + 1, n.shape[1] + 1)
    return first


def _likelihood(n: Array, y: Array, rates: Array) -> float:
    """Log likelihood of y successes in n, less a constant."""
    with np.errstate(divide="ignore", invalid="ignore"):
        right, wrong = y * np.log(rates), (n - y) * np.log1p(-rates)
    return float(np.where(y > 0, right, 0).sum() + np.where(n > y, wrong, 0).sum())
