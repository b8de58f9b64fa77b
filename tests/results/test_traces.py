"""Survival of iterates and the law of steps: numbers against statsmodels and scipy."""

import json

import numpy as np
import pytest
import scipy.stats
import statsmodels.api as sm
from statsmodels.duration.survfunc import SurvfuncRight

from probe.results import statistics, traces


def walks(seed, instances, steps, chance):
    """Seeded steps of one trace an instance: whether each is right."""
    return np.random.default_rng(seed).random((instances, steps)) < chance


def test_survival_is_the_kaplan_meier_curve():
    """Traces of one length, each failing at its first wrong step or surviving all."""
    alive = walks(1, 40, 9, 0.85).cumprod(axis=1)
    reached = alive.sum(axis=1)
    expected = SurvfuncRight(np.minimum(reached + 1, 9), reached < 9)
    found = traces.survival(np.ones((40, 9)), alive)
    assert [found.steps[int(t) - 1].rate for t in expected.surv_times] == pytest.approx(list(expected.surv_prob))
    assert found.steps[4] == statistics.ratio(np.ones(40), alive[:, 4])


@pytest.mark.parametrize(("survivors", "horizon"), [([10, 7, 5, 4, 2], 4), ([4, 3, 3, 1, 0], 1), ([9, 8, 8, 6, 5], 6)])
def test_the_horizon_is_the_first_step_that_fewer_than_half_reach(survivors, horizon):
    """Exactly half is not fewer; one beyond the last step where half or more survive it."""
    alive = np.arange(10)[:, None] < np.array(survivors)
    found = traces.survival(np.ones((10, 5)), alive)
    assert found.horizon == horizon
    assert found.low <= horizon <= found.high


def test_the_horizons_limits_are_percentiles_over_resampled_instances():
    """As scipy's bootstrap gives them, give or take a step; the same again for the same data."""
    alive = walks(2, 50, 12, 0.9).cumprod(axis=1)

    def horizon(reached, axis):
        share = (reached[..., None] >= np.arange(1, 13)).mean(axis=-2)
        return np.where((share < 0.5).any(-1), (share < 0.5).argmax(-1) + 1.0, 13.0)

    expected = scipy.stats.bootstrap(
        (alive.sum(axis=1),), horizon, method="percentile", n_resamples=1999, rng=np.random.default_rng(1)
    ).confidence_interval
    found = traces.survival(np.ones((50, 12)), alive)
    assert abs(found.low - expected.low) <= 1
    assert abs(found.high - expected.high) <= 1
    assert traces.survival(np.ones((50, 12)), alive) == found


def test_survival_of_few_or_no_traces():
    """Below five instances a curve without limits; none without any; instances never asked don't count."""
    alive = walks(3, 4, 6, 0.8).cumprod(axis=1)
    few = traces.survival(np.ones((4, 6)), alive)
    assert (few.low, few.high, few.steps[0].low) == (None, None, None)
    assert traces.survival(np.zeros((3, 6)), np.zeros((3, 6))) is None
    padded = traces.survival(np.vstack([np.ones((4, 6)), np.zeros((9, 6))]), np.vstack([alive, np.zeros((9, 6))]))
    assert padded == few


def test_shorter_traces_leave_later_steps():
    """A step that an instance was not asked is not counted there, and one that nobody was asked has no rate."""
    n = np.array([[1, 1, 1, 0], [1, 1, 0, 0], [2, 2, 2, 0]])
    found = traces.survival(n, np.minimum(n, 1))
    assert [step and (step.n, step.rate) for step in found.steps] == [(4, 0.75), (4, 0.75), (3, 2 / 3), None]


def test_both_laws_are_logits_of_statsmodels():
    """Pooled counts over steps; where instances are less alike than chance, the difference of their AICs."""
    n = np.tile([4, 4, 3, 4, 2, 1], (20, 1))
    y = np.minimum(n, np.tile([4, 3, 3, 3, 1, 1], (20, 1)) - (np.arange(20)[:, None] % 3 == 0))
    found = traces.step_law(n, y)
    held, lost = y.sum(axis=0), (n - y).sum(axis=0)
    fits = [
        sm.GLM(np.column_stack([held, lost]), design, sm.families.Binomial()).fit()
        for design in (np.ones((6, 1)), sm.add_constant(np.arange(6.0)))
    ]
    assert found.constant == pytest.approx(held.sum() / n.sum())
    assert (found.start, found.change) == pytest.approx(tuple(fits[1].params))
    assert found.aic_difference == pytest.approx(fits[0].aic - fits[1].aic)
    assert (found.direction, found.instances) == (-1, 20)


def test_the_test_of_a_change_is_students_on_the_scores_of_instances():
    """Score of an instance: what is right beyond the constant chance, weighted by centred step numbers."""
    y = walks(4, 30, 8, np.linspace(0.9, 0.7, 8))
    found = traces.step_law(np.ones((30, 8)), y)
    scores = (y - y.mean()) @ (np.arange(8) - 3.5)
    assert found.p == pytest.approx(scipy.stats.ttest_1samp(scores, 0).pvalue)


def test_alike_instances_pay_more_for_a_second_parameter():
    """Ten equal traces say no more than one: the penalty rises with the design effect."""
    y = np.repeat(walks(5, 12, 8, 0.7), 10, axis=0)
    apart = traces.step_law(np.ones((120, 8)), y)
    together = traces.step_law(np.full((12, 8), 10), 10 * y[::10])
    assert together.change == pytest.approx(apart.change)
    assert together.aic_difference < apart.aic_difference - 10
    assert together.p > apart.p


def test_a_clear_decline_is_seen_and_a_rise_told_apart():
    """Both AIC and test, with the sign of the change."""
    fading = walks(6, 60, 10, np.linspace(0.95, 0.6, 10))
    down, up = (traces.step_law(np.ones((60, 10)), one) for one in (fading, fading[:, ::-1]))
    assert down.aic_difference > 10
    assert down.p < 1e-3
    assert (down.direction, up.direction) == (-1, 1)
    assert (down.change < 0, up.change > 0) == (True, True)


def test_laws_at_the_border():
    """Every step right: a constant law and nothing to test. Right up to a step, wrong after: unbounded, but better."""
    perfect = traces.step_law(np.ones((9, 5)), np.ones((9, 5)))
    assert (perfect.constant, perfect.change, perfect.aic_difference, perfect.p) == (1, None, None, None)
    cut = traces.step_law(np.ones((9, 5)), np.tile([1, 1, 1, 0, 0], (9, 1)))
    assert (cut.start, cut.change, cut.direction) == (None, None, -1)
    assert cut.aic_difference > 20


def test_a_law_needs_five_instances_and_two_steps():
    """Else None."""
    assert traces.step_law(np.ones((4, 5)), walks(7, 4, 5, 0.5)) is None
    assert traces.step_law(np.ones((9, 1)), walks(7, 9, 1, 0.5)) is None
    assert traces.step_law(np.tile([1, 0, 0], (9, 1)), np.zeros((9, 3))) is None


def test_results_are_plain_numbers():
    """No numpy scalar leaks out."""
    y = walks(8, 20, 6, 0.8)
    for result in (traces.step_law(np.ones((20, 6)), y), traces.survival(np.ones((20, 6)), y.cumprod(axis=1))):
        values = {name: value for name, value in vars(result).items() if name != "steps"}
        assert json.loads(json.dumps(values)) == values
        assert {type(value) for value in values.values()} <= {int, float}


@pytest.mark.parametrize("function", [traces.survival, traces.step_law])
def test_bad_counts_are_named(function):
    """Shapes that differ, or more right than counted."""
    with pytest.raises(ValueError, match="one shape"):
        function(np.ones((9, 5)), np.ones((9, 4)))
    with pytest.raises(ValueError, match="0 <= y <= n"):
        function(np.ones((9, 5)), np.full((9, 5), 2))
