"""Size curves beyond a line, flatness, and planning them: numbers against scipy, statsmodels and the power table."""

import json
import math

import numpy as np
import pytest
import scipy.integrate
import scipy.stats
import statsmodels.api as sm
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.weightstats import DescrStatsW, ttost_paired

from probe.results import statistics as s

SIZES = np.log10([0.5e9, 1.5e9, 3e9, 7e9, 14e9, 32e9, 72e9])
RATES = np.array([0.41, 0.47, 0.46, 0.55, 0.52, 0.6, 0.58])
N = np.full(7, 10_000)
LINEAGES = ["qwen", "qwen", "llama", "llama", "llama", "olmo", "qwen"]


# --- fractional logit


def working(result):
    """HC3 covariance of the coefficients, from the last least-squares step of the fit."""
    design = sm.add_constant(SIZES)
    fit = sm.GLM(RATES, design, family=sm.families.Binomial()).fit(tol=1e-14)
    weight = fit.fittedvalues * (1 - fit.fittedvalues)
    response = design @ fit.params + (RATES - fit.fittedvalues) / weight
    root = np.sqrt(weight)
    return fit.params, sm.OLS(root * response, root[:, None] * design).fit(cov_type="HC3").cov_params()


def test_a_fractional_logit_has_statsmodels_slope_and_robust_error():
    """Quasi-likelihood of rates; HC3; t with k - 2 degrees of freedom."""
    result = s.logit_slope(SIZES, N, N * RATES)
    params, covariance = working(result)
    assert (result.slope, result.standard_error) == pytest.approx((params[1], math.sqrt(covariance[1, 1])))
    t = scipy.stats.t.isf(0.025, 5)
    assert result.high - result.slope == pytest.approx(t * result.standard_error)
    assert result.p == pytest.approx(2 * scipy.stats.t.sf(result.slope / result.standard_error, 5))
    assert (result.df, result.models) == (5, 7)


def test_the_effect_is_the_mean_change_of_the_rate():
    """Average marginal effect: derivative of the mean fitted rate by size; its error by the delta method."""
    result = s.logit_slope(SIZES, N, N * RATES)
    params, covariance = working(result)

    def effect(beta):
        return (
            scipy.special.expit(beta[0] + beta[1] * (SIZES + 1e-5))
            - scipy.special.expit(beta[0] + beta[1] * (SIZES - 1e-5))
        ).mean() / 2e-5

    gradient = scipy.optimize.approx_fprime(params, effect, 1e-6)
    assert result.effect == pytest.approx(effect(params), rel=1e-6)
    half = scipy.stats.t.isf(0.025, 5) * math.sqrt(gradient @ covariance @ gradient)
    assert result.effect_high - result.effect == pytest.approx(half, rel=1e-3)
    assert result.effect - result.effect_low == pytest.approx(half, rel=1e-3)


@pytest.mark.filterwarnings("ignore:Perfect separation")  # of a perfect fit, which this is
def test_a_lucky_logit_is_no_more_precise_than_its_answers():
    """Rates exactly on a curve: the error is that of a binomial model with so many independent answers."""
    rates = scipy.special.expit(0.3 + 0.4 * (SIZES - 9.5))
    n = np.full(7, 500)
    fit = sm.GLM(np.column_stack([n * rates, n * (1 - rates)]), sm.add_constant(SIZES), sm.families.Binomial()).fit()
    assert s.logit_slope(SIZES, n, n * rates).standard_error == pytest.approx(fit.bse[1], rel=1e-6)


@pytest.mark.parametrize("rates", [[0] * 7, [1] * 7, [0, 0, 0, 1, 1, 1, 1], [0, 0, 0, 0.4, 1, 1, 1]])
def test_nothing_bounds_the_slope_of_rates_at_the_borders(rates):
    """All at one border, or a jump from 0 to 1: None instead of a huge number."""
    assert s.logit_slope(SIZES, N, N * np.array(rates)) is None


def test_a_logit_needs_five_models_of_several_sizes():
    """HC3 below five models is a matter of luck."""
    assert s.logit_slope(SIZES[:4], N[:4], N[:4] * RATES[:4]) is None
    assert s.logit_slope(np.full(7, 9.0), N, N * RATES) is None
    assert s.logit_slope(SIZES[:5], N[:5], N[:5] * RATES[:5]) is not None


# --- several regressors, groups left out


def test_depth_at_fixed_size_is_the_first_coefficient_of_ordinary_least_squares():
    """Slope, intercept, error, p, limits and degrees of freedom of statsmodels."""
    depth = np.log([12, 24, 20, 32, 30, 64, 48])
    for columns in ([depth, SIZES], [depth, SIZES, [0, 1, 0, 1, 1, 0, 0]]):
        fit = sm.OLS(RATES, sm.add_constant(np.column_stack(columns))).fit()
        result = s.multiple_slope(columns, RATES)
        assert (result.intercept, result.slope) == pytest.approx(tuple(fit.params[:2]))
        assert (result.standard_error, result.p) == pytest.approx((fit.bse[1], fit.pvalues[1]))
        assert (result.low, result.high) == pytest.approx(tuple(fit.conf_int()[1]))
        assert (result.df, result.models, result.decades) == (6 - len(columns), 7, None)


def test_a_lucky_fit_of_several_columns_is_no_more_precise_than_its_points():
    """Values exactly explained: the error is that of weights times the models' own errors."""
    depth, errors = np.log([12, 24, 20, 32, 30, 64, 48]), np.linspace(0.01, 0.03, 7)
    design = sm.add_constant(np.column_stack([depth, SIZES]))
    result = s.multiple_slope([depth, SIZES], design @ [0.1, 0.05, 0.02], errors)
    weights = np.linalg.pinv(design)[1]
    assert result.slope == pytest.approx(0.05)
    assert result.standard_error == pytest.approx(math.sqrt((weights**2 * errors**2).sum()))


def test_what_other_columns_determine_has_no_slope():
    """Collinear columns, or no degree of freedom: None."""
    assert s.multiple_slope([SIZES, 2 * SIZES + 1], RATES) is None
    assert s.multiple_slope([SIZES[:3], [1, 0, 2]], RATES[:3]) is None
    assert s.multiple_slope([SIZES[:4], [1, 0, 2, 5]], RATES[:4]) is not None


def test_leaving_a_lineage_out_is_the_slope_of_the_rest():
    """One slope for each lineage, in order of appearance; None where too few models are left."""
    errors = np.linspace(0.01, 0.02, 7)
    found = s.slopes_without(LINEAGES, SIZES, RATES, errors)
    assert list(found) == ["qwen", "llama", "olmo"]
    kept = [0, 1, 2, 3, 4, 6]
    assert found["olmo"] == s.slope(SIZES[kept], RATES[kept], errors[kept])
    assert s.slopes_without(["a", "a", "a", "b", "b"], SIZES[:5], RATES[:5])["a"] is None


# --- flatness


def test_a_flat_curve_has_both_one_sided_tests_on_its_side():
    """p of statsmodels' two one-sided tests; the 90 % interval lies inside the margin exactly when p <= .05."""
    result = s.equivalence(s.slope(SIZES, RATES), 0.05)
    fit = sm.OLS(RATES, sm.add_constant(SIZES)).fit()
    sides = [fit.t_test(([0, 1], edge)).tvalue.item() for edge in (-0.05, 0.05)]
    assert result.p == pytest.approx(max(scipy.stats.t.sf(sides[0], 5), scipy.stats.t.cdf(sides[1], 5)))
    assert (result.low, result.high) == pytest.approx(tuple(fit.conf_int(0.1)[1]))
    assert (result.effect, result.margin) == (pytest.approx(fit.params[1]), 0.05)


@given(st.floats(0.01, 0.5))
def test_equivalence_is_its_interval(margin):
    """p <= .05 and both limits inside ±margin say the same."""
    result = s.equivalence(s.slope(SIZES, RATES), margin)
    assert (result.p <= 0.05) == (-margin <= result.low and result.high <= margin)


def test_arms_are_equal_as_statsmodels_paired_test_says():
    """One trial an instance: the paired two one-sided tests."""
    rng = np.random.default_rng(4)
    a, b = rng.binomial(1, 0.7, 80), rng.binomial(1, 0.65, 80)
    result = s.equivalence(s.paired_difference(np.ones(80), a, np.ones(80), b), 0.2)
    assert result.p == pytest.approx(ttost_paired(a, b, -0.2, 0.2)[0])
    assert (result.low, result.high) == pytest.approx(DescrStatsW(a - b).tconfint_mean(0.1))


def test_nothing_is_equal_for_lack_of_data():
    """Below six models or 1.5 decades no flatness, with the reason; below five instances no equality."""
    few, narrow = s.slope(SIZES[:5], RATES[:5]), s.slope(SIZES / 2, RATES)
    assert s.flatness_refused(None) == "too few models of known size: at least 6 are needed"
    assert s.flatness_refused(few) == "5 models of known size: at least 6 are needed"
    assert s.flatness_refused(narrow) == "sizes span 1.1 decades: at least 1.5 are needed"
    assert s.flatness_refused(s.slope(SIZES, RATES)) is None
    assert s.equivalence(few, 0.9) is s.equivalence(narrow, 0.9) is s.equivalence(None, 0.9) is None
    assert s.equivalence(s.paired_difference([9] * 4, [1, 2, 3, 4], [9] * 4, [1, 3, 2, 5]), 0.9) is None
    assert s.equivalence(s.paired_difference([9] * 9, [4] * 9, [9] * 9, [4] * 9), 0.9) is None
    assert s.equivalence(s.slope([8, 8.5, 9, 9.5, 10, 11], [0.5] * 6), 0.9) is None


def test_depth_is_not_measured_in_decades_of_size():
    """A slope over depth is judged by its models alone."""
    depth = np.log10([12, 24, 20, 32, 30, 64, 48])
    assert s.equivalence(s.multiple_slope([depth, SIZES], RATES), 5.0).p <= 0.05


# --- planning

POWERS = {  # margin and tau in points, then 6, 8, 12, 20 and 40 models: the table that the decision rules rest on
    (2, 2): (0.30, 0.45, 0.71, 0.94, 1),
    (2, 3): (0.09, 0.13, 0.26, 0.60, 0.93),
    (5, 3): (0.89, 0.97, 1, 1, 1),
    (5, 5): (0.39, 0.57, 0.82, 0.97, 1),
    (5, 8): (0.08, 0.12, 0.24, 0.57, 0.92),
}


@pytest.mark.parametrize(("margin", "tau"), POWERS)
def test_the_power_of_flatness_is_as_tabled(margin, tau):
    """Sizes evenly over three decades, 1 point of measurement: within the noise of the simulated table."""
    found = [s.flatness_power(np.linspace(8, 11, k), math.hypot(tau, 1), margin) for k in (6, 8, 12, 20, 40)]
    assert found == pytest.approx(POWERS[margin, tau], abs=0.01)


def test_the_power_of_flatness_is_scipys_integral():
    """Chance that the estimate stays a t quantile of its own error away from the margin, over that error."""
    error = 0.04 / math.sqrt(((SIZES - SIZES.mean()) ** 2).sum())
    t = scipy.stats.t.isf(0.05, 5)

    def inside(square):
        return max(0, 2 * scipy.stats.norm.cdf(0.05 / error - t * math.sqrt(square / 5)) - 1)

    expected = scipy.integrate.quad(lambda q: inside(q) * scipy.stats.chi2.pdf(q, 5), 0, 60, limit=200)[0]
    assert s.flatness_power(SIZES, 0.04, 0.05) == pytest.approx(expected, abs=1e-4)


def test_no_power_where_flatness_is_refused():
    """Five models, or less than 1.5 decades, never show flatness."""
    assert s.flatness_power(np.linspace(8, 11, 5), 0.01, 0.05) == 0
    assert s.flatness_power(np.linspace(8, 9.4, 20), 0.01, 0.05) == 0
    assert s.required_models(0.05, 0.01, decades=1.4) is None


def test_the_models_required_are_the_fewest():
    """At 80 %: so many do, one fewer doesn't; six at least; None if a thousand don't."""
    found = s.required_models(0.05, math.hypot(0.05, 0.01))
    power = [s.flatness_power(np.linspace(0, 3, k), math.hypot(0.05, 0.01), 0.05) for k in (found - 1, found)]
    assert power[0] < 0.8 <= power[1]
    assert s.required_models(0.05, 0.01) == 6
    assert s.required_models(0.001, 0.05, power=0.99) is None


@pytest.mark.parametrize("power", [0.5, 0.8, 0.95])
def test_a_detectable_slope_has_the_power_asked_for(power):
    """scipy's noncentral t with k - 2 degrees of freedom."""
    found = s.minimum_detectable_slope(SIZES, 0.05, power)
    shift = found * math.sqrt(((SIZES - SIZES.mean()) ** 2).sum()) / 0.05
    t = scipy.stats.t.isf(0.025, 5)
    assert scipy.stats.nct.sf(t, 5, shift) + scipy.stats.nct.cdf(-t, 5, shift) == pytest.approx(power, abs=1e-4)
    assert s.minimum_detectable_slope(SIZES[:2], 0.05) is None


@given(st.floats(0.02, 0.3), st.floats(0.1, 0.9), st.integers(1, 30), st.floats(0, 0.5), st.floats(0, 0.9))
def test_the_instances_required_are_the_fewest(difference, p, constraints, rho, correlation):
    """So many find the difference, one fewer doesn't."""
    needed = s.required_instances(difference, p, constraints, rho, paired_correlation=correlation)

    def smallest(instances):
        return s.minimum_detectable_difference(p, instances, constraints, rho, paired_correlation=correlation)

    assert smallest(needed) <= difference * (1 + 1e-9)
    assert needed == 1 or smallest(needed - 1) > difference * (1 - 1e-9)


def test_results_are_plain_numbers():
    """No numpy scalar leaks out, so that rows can be written as JSON."""
    results = [s.logit_slope(SIZES, N, N * RATES), s.equivalence(s.slope(SIZES, RATES), 0.05)]
    results += [s.multiple_slope([SIZES, RATES**2], RATES), s.slope(SIZES, RATES)]
    for result in results:
        assert json.loads(json.dumps(vars(result))) == vars(result)
        assert {type(value) for value in vars(result).values()} <= {int, float, type(None)}


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: s.logit_slope(SIZES, N[:3], N[:3]), "one value per model"),
        (lambda: s.logit_slope(SIZES, 0 * N, 0 * N), "n above 0"),
        (lambda: s.logit_slope(SIZES, N, N + 1), "cluster 0"),
        (lambda: s.multiple_slope([SIZES, RATES], RATES[:3]), "one value per model"),
        (lambda: s.multiple_slope([SIZES], [*RATES[:6], math.inf]), "finite"),
        (lambda: s.slopes_without(["a"], SIZES, RATES), "one value per model"),
        (lambda: s.equivalence(s.slope(SIZES, RATES), 0), "margin must be positive"),
        (lambda: s.flatness_power(SIZES, 0, 0.05), "scatter"),
        (lambda: s.flatness_power(SIZES, 0.03, 0), "margin"),
        (lambda: s.minimum_detectable_slope(SIZES, 0.03, 80), "power"),
        (lambda: s.required_instances(0, 0.5, 10), "difference"),
    ],
)
def test_bad_input_is_named(call, message):
    """The error says which value is wrong and what it may be."""
    with pytest.raises(ValueError, match=message):
        call()
