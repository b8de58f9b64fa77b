"""Estimates, intervals and tests: numbers against other programs, coverage by simulation."""

import itertools
import json
import math
import subprocess
import sys
import warnings

import numpy as np
import pandas as pd
import pytest
import scipy.linalg
import scipy.stats
import statsmodels.api as sm
from hypothesis import assume, given
from hypothesis import strategies as st
from statsmodels.formula.api import ols
from statsmodels.stats.anova import anova_lm
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.power import NormalIndPower
from statsmodels.stats.proportion import confint_proportions_2indep, proportion_confint
from statsmodels.stats.weightstats import DescrStatsW

from probe.results import statistics as s
from tests.simulate.studies import largest


def sample(seed, clusters, rate, rho, low=10, high=10, replications=None):
    """Seeded beta-binomial (n, y): rate, intraclass correlation rho, low to high answers a cluster."""
    rng = np.random.default_rng(seed)
    shape = clusters if replications is None else (replications, clusters)
    n = rng.integers(low, high + 1, shape)
    scale = (1 - rho) / rho
    return n, rng.binomial(n, rng.beta(rate * scale, (1 - rate) * scale, shape))


def one_by_one(n, y):
    """The single answers (0 or 1) behind counts, and the cluster of each."""
    answers = np.concatenate([np.repeat([1.0, 0.0], [good, all_ - good]) for all_, good in zip(n, y, strict=True)])
    return answers, np.repeat(np.arange(len(n)), n)


def bell_mccaffrey(n, y):
    """CR2 variance of a rate and its degrees of freedom, by matrices over single answers."""
    answers, cluster = one_by_one(n, y)
    total = answers.size
    annihilator = np.eye(total) - np.full((total, total), 1 / total)
    residual = annihilator @ answers
    variance, rows = 0.0, []
    for g in np.unique(cluster):
        inside = cluster == g
        values, vectors = np.linalg.eigh(annihilator[np.ix_(inside, inside)])
        weights = np.ones(inside.sum()) @ (vectors / np.sqrt(values)) @ vectors.T / total
        variance += (weights @ residual[inside]) ** 2
        rows.append(weights @ annihilator[inside])
    form = np.array(rows) @ np.array(rows).T
    return variance, np.trace(form) ** 2 / np.trace(form @ form)


clusters = st.lists(
    st.integers(1, 30).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n))), min_size=5, max_size=40
).map(lambda pairs: np.array(pairs).T)


# --- rates


def test_pools_counts_over_clusters_and_drops_holes():
    """The rate is sum y / sum n; a cluster with n = 0 changes nothing."""
    n, y = [10, 20, 10, 5, 5, 10], [5, 10, 9, 0, 5, 4]
    result = s.ratio(n, y)
    assert (result.rate, result.n, result.clusters) == (33 / 60, 60, 6)
    assert s.ratio([*n, 0, 0], [*y, 0, 0]) == result


def test_nothing_counted_is_none():
    """No clusters, or holes only: None, never 0 or NaN."""
    assert s.ratio([], []) is None
    assert s.ratio([0, 0], [0, 0]) is None
    assert s.macro([0], [0]) is None
    assert s.mean([]) is None
    assert s.corrected([0, 3], [0, 1], [2, 0], [1, 0]) is None
    assert s.paired_difference([0, 3], [0, 1], [2, 0], [1, 0]) is None


def test_a_rate_from_fewer_than_five_clusters_has_no_interval():
    """Four instances show a rate and its denominator only; five show limits."""
    four = s.ratio([10] * 4, [3, 4, 5, 6])
    assert (four.rate, four.low, four.high, four.n, four.n_effective) == (0.45, None, None, 40, None)
    assert s.ratio([10] * 5, [3, 4, 5, 6, 4]).low is not None
    assert s.corrected([10] * 4, [3, 4, 5, 6], [10] * 4, [1] * 4).low is None
    assert s.paired_difference([10] * 4, [3, 4, 5, 6], [10] * 4, [1] * 4).standard_error is None


@pytest.mark.parametrize(("low", "high"), [(1, 1), (10, 10), (2, 40)])
def test_variance_and_degrees_of_freedom_are_bell_and_mccaffreys(low, high):
    """n_effective and limits follow from CR2 and Satterthwaite computed by brute force over single answers."""
    n, y = sample(3, 24, 0.5, 0.3, low, high)
    result = s.ratio(n, y)
    variance, df = bell_mccaffrey(n, y)
    r = y.sum() / n.sum()
    assert result.n_effective == pytest.approx(r * (1 - r) / variance, rel=1e-10)
    alpha = 2 * scipy.stats.norm.sf(scipy.stats.t.ppf(0.975, df))
    expected = proportion_confint(r * result.n_effective, result.n_effective, alpha, method="wilson")
    assert (result.low, result.high) == pytest.approx(expected, rel=1e-9)


def test_variance_is_statsmodels_cluster_robust_one_for_equal_clusters():
    """With equal n, CR2 is the usual small-sample correction G / (G - 1)."""
    n, y = sample(5, 30, 0.6, 0.2)
    answers, cluster = one_by_one(n, y)
    fit = sm.OLS(answers, np.ones(answers.size)).fit(cov_type="cluster", cov_kwds={"groups": cluster})
    result = s.ratio(n, y)
    assert result.rate * (1 - result.rate) / result.n_effective == pytest.approx(fit.bse[0] ** 2, rel=1e-10)


def test_single_answers_give_nearly_the_plain_wilson_interval():
    """With one answer a cluster only t on G - 1 and n - 1 differ from Wilson's (1927) interval."""
    y = np.repeat([1, 0], [810, 1820])
    result = s.ratio(np.ones(2630), y)
    assert (result.low, result.high) == pytest.approx(proportion_confint(810, 2630, method="wilson"), abs=2e-5)
    assert result.n_effective == pytest.approx(2629)


def test_all_wrong_in_fifty_instances_counts_as_fifty_answers():
    """0 of 500 in 50 clusters ends at Wilson's limit for 0 of 50 (with t): within an instance all may fall together."""
    result = s.ratio([10] * 50, [0] * 50)
    square = scipy.stats.t.ppf(0.975, 49) ** 2
    assert result.low == 0
    assert result.high == pytest.approx(square / (50 + square))
    assert result.n_effective == pytest.approx(50)


def test_a_rare_outcome_in_few_clusters_is_worth_one_answer_a_cluster():
    """Kish's bound holds below 10 clusters with the rarer outcome, below 20 if sizes are very unequal."""
    n = np.full(50, 10)
    for found, bounded in ((9, True), (10, False)):
        y = np.repeat([1, 0], [found, 50 - found])
        assert (s.ratio(n, y).n_effective == pytest.approx(50)) is bounded
        assert (s.ratio(n, n - y).n_effective == pytest.approx(50)) is bounded
    for big, bounded in ((14, False), (40, True)):  # coefficient of variation .17 and .60
        n = np.tile([10, big], 25)
        kish = float(n.sum() ** 2 / (n**2).sum())
        y = np.repeat([1, 0], [19, 31])
        assert (s.ratio(n, y).n_effective == pytest.approx(kish)) is bounded
        y[19] = 1
        assert s.ratio(n, y).n_effective > 1.5 * kish


def test_no_more_effective_answers_than_answers():
    """Clusters more alike than chance allows don't make a rate more precise than independent answers."""
    assert s.ratio([10] * 20, [5] * 20).n_effective == 200
    assert s.ratio([10] * 20, [5, 6] * 10).n_effective == 200


@given(clusters)
def test_an_interval_lies_inside_zero_and_one_around_its_rate(pairs):
    """0 <= low <= rate <= high <= 1, never of zero width, micro and macro and gap."""
    n, y = pairs
    for result in (s.ratio(n, y), s.macro(n, y), s.ratio(n, y, counts=False)):
        assert 0 <= result.low <= result.rate <= result.high <= 1
        assert result.high - result.low > 1e-3
        assert result.n_effective > 0


@given(clusters, st.randoms())
def test_the_order_of_clusters_is_irrelevant(pairs, random):
    """Shuffled instances give the same interval."""
    order = random.sample(range(pairs.shape[1]), pairs.shape[1])
    for function in (s.ratio, s.macro):
        first, second = function(*pairs), function(*pairs[:, order])
        assert (second.low, second.high) == pytest.approx((first.low, first.high), abs=1e-9)


@given(clusters)
def test_failures_have_the_mirrored_interval(pairs):
    """Counting what fails instead of what holds mirrors rate and limits."""
    n, y = pairs
    assume(2 * y.sum() != n.sum())
    first, second = s.ratio(n, y), s.ratio(n, n - y)
    assert (1 - second.high, 1 - second.low) == pytest.approx((first.low, first.high), abs=1e-9)


@given(clusters, st.integers(2, 9))
def test_repeating_every_answer_adds_no_precision(pairs, times):
    """Asking the same instances again with the same results leaves the interval unless it was at its cap."""
    n, y = pairs
    first, second = s.ratio(n, y), s.ratio(n * times, y * times)
    assume(first.n_effective < first.n * 0.999)
    assert (second.low, second.high) == pytest.approx((first.low, first.high), abs=1e-9)


@given(clusters)
def test_higher_confidence_is_wider(pairs):
    """The 99 % interval contains the 90 % interval."""
    narrow, wide = s.ratio(*pairs, confidence=0.9), s.ratio(*pairs, confidence=0.99)
    assert wide.low <= narrow.low
    assert narrow.high <= wide.high


def test_macro_weighs_instances_equally():
    """Mean of shares over instances; the same as micro for equal n, with the same interval."""
    result = s.macro([1, 4, 2, 10, 5, 0], [1, 1, 1, 5, 0, 0])
    assert (result.rate, result.n, result.clusters) == (pytest.approx(0.45), 5, 5)
    n, y = sample(7, 40, 0.6, 0.3)
    micro, macro = s.ratio(n, y), s.macro(n, y)
    assert (macro.low, macro.high) == pytest.approx((micro.low, micro.high))
    assert (micro.n, macro.n) == (400, 40)


def test_macro_is_no_more_precise_than_independent_constraints():
    """Equal shares in all instances: at most the harmonic mean of n answers an instance."""
    n = np.array([10, 20] * 10)
    result = s.macro(n, n * 0.5 + np.tile([0.2, -0.2], 10))
    assert result.n_effective == pytest.approx(20 * 40 / 3)


def test_gaps_vary_less_than_counts():
    """Real y: the interval follows their spread, not that of zeros and ones with the same mean."""
    gaps = np.random.default_rng(1).beta(20, 180, 60)
    result = s.ratio(np.ones(60), gaps, counts=False)
    expected = scipy.stats.t.interval(0.95, 59, gaps.mean(), scipy.stats.sem(gaps))
    assert (result.low, result.high) == pytest.approx(expected, rel=0.02)
    assert result.high - result.low < 0.2 * (s.ratio(np.ones(60), gaps).high - s.ratio(np.ones(60), gaps).low)


def test_equal_gaps_say_nothing_about_their_spread():
    """No variation between clusters isn't certainty: each value counts as one answer."""
    result = s.ratio([1] * 30, [0.1] * 30, counts=False)
    assert result.n_effective == 30
    assert result.low < 0.05


def test_a_mean_over_families_has_students_interval():
    """Family means are the units of a claim about new families: scipy's one-sample t interval."""
    values = [0.31, 0.42, 0.56, 0.6, 0.35, 0.77]
    result = s.mean(values)
    expected = scipy.stats.ttest_1samp(values, 0).confidence_interval()
    assert (result.low, result.high) == pytest.approx(tuple(expected), rel=1e-10)
    assert s.mean(values[:4]).low is None
    assert s.mean([0.5] * 8).low is None


def test_results_are_plain_numbers():
    """No numpy scalar leaks out, so that rows can be written as JSON."""
    n, y = sample(9, 20, 0.6, 0.2)
    results = [s.ratio(n, y), s.macro(n, y), s.mean(y / n), s.corrected(n, y, n, n - y), s.slope(SIZES, RATES)]
    results += [s.excess(n, y, n, n - y), s.best_of_k(n, y, 3), s.variance_shares(crossed(1, [5, 0], [1, 0]))]
    results += [s.ratio(n[:3], y[:3]), s.paired_difference(n, y, n, n - y), s.paired_difference(n, y, n, y)]
    for result in results:
        assert json.loads(json.dumps(vars(result))) == vars(result)
        assert {type(value) for value in vars(result).values()} <= {int, float, type(None)}


def coverage(intervals, truth):
    return np.mean([i.low <= truth <= i.high for i in intervals])


@pytest.mark.parametrize(("rate", "rho", "low", "high"), [(0.57, 0.1, 10, 10), (0.95, 0.1, 10, 10), (0.02, 0.5, 2, 40)])
def test_the_interval_covers_the_truth(rate, rho, low, high):
    """2,000 studies of 50 instances: a nominal 95 % interval holds the true rate in at least 93 %."""
    n, y = sample(11, 50, rate, rho, low, high, replications=2000)
    found = coverage([s.ratio(*study) for study in zip(n, y, strict=True)], rate)
    assert found >= 0.93
    assert found <= 0.965 or rate == 0.02  # honest in the interior, cautious at the border


# --- corrected for chance


def test_corrected_is_the_share_of_the_baselines_failures_solved():
    """(r - b) / (1 - b) over the instances both answered; negative below the baseline."""
    n, good, bad, base = [10] * 30, [7, 8, 6] * 10, [1, 0, 2] * 10, [4, 3, 5] * 10
    better = s.corrected(n, good, n, base)
    assert (better.rate, better.n, better.clusters) == (pytest.approx(0.5), 300, 30)
    assert s.corrected([*n, 9], [*good, 9], [*n, 0], [*base, 0]) == better
    worse = s.corrected(n, bad, n, base)
    assert worse.rate == pytest.approx(-0.5)
    assert worse.low < -0.5 < worse.high < 0


def test_corrected_is_undefined_where_the_baseline_is_perfect():
    """Nothing is left to solve: None."""
    assert s.corrected([10] * 6, [7] * 6, [10] * 6, [10] * 6) is None


def test_a_baseline_that_never_succeeds_can_only_lower_the_limits():
    """b = 0 may truly be more, never less: the upper limit is that of the rate itself, the lower one is below it."""
    n, y = sample(15, 40, 0.5, 0.2)
    raw, base, result = s.ratio(n, y), s.ratio(n, n * 0), s.corrected(n, y, n, n * 0)
    assert (result.rate, result.high) == (raw.rate, pytest.approx(raw.high))
    down = math.hypot(raw.rate - raw.low, (1 - raw.rate) * base.high)
    assert result.low == pytest.approx(raw.rate - down)


def test_corrected_has_the_paired_delta_interval_in_the_interior():
    """Far from 0 and 1 the limits are the estimate ± t times the delta-method error of a bootstrap over instances."""
    rng = np.random.default_rng(2)
    ability = rng.beta(4, 4, 400)
    n = np.full(400, 10)
    y, y_base = rng.binomial(n, ability), rng.binomial(n, ability * 0.7)
    result = s.corrected(n, y, n, y_base)
    draws = rng.integers(0, 400, (4000, 400))
    r, b = y[draws].sum(1) / 4000, y_base[draws].sum(1) / 4000
    half = 1.966 * np.std((r - b) / (1 - b))
    assert (result.rate - result.low, result.high - result.rate) == pytest.approx((half, half), rel=0.06)


@pytest.mark.parametrize(("rate", "base"), [(0.97, 0.6), (0.57, 0.3), (0.03, 0.02)])
def test_the_corrected_interval_covers_the_truth(rate, base):
    """1,000 studies of 50 instances each, also where a t interval fails (91 % at .97 over .6)."""
    n, y = sample(13, 50, rate, 0.1, replications=1000)
    _, y_base = sample(14, 50, base, 0.1, replications=1000)
    results = [s.corrected(*study) for study in zip(n, y, n, y_base, strict=True)]
    assert coverage(results, (rate - base) / (1 - base)) >= 0.93


@given(clusters, st.data())
def test_a_corrected_interval_has_width_around_its_estimate(pairs, data):
    """Also where model or baseline never or always fails."""
    n, y = pairs
    base = np.array([data.draw(st.integers(0, int(k))) for k in n])
    result = s.corrected(n, y, n, base)
    if base.sum() == n.sum():
        assert result is None
    elif not np.array_equal(y, base):
        assert result.low <= result.rate <= result.high
        assert result.high - result.low > 1e-6


# --- samples


@given(st.integers(1, 7).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n))), st.integers(1, 7))
def test_best_of_k_is_the_share_of_samples_of_k_with_a_right_one(counts, k):
    """All ways to take k of n samples, counted."""
    n, y = counts
    ways = list(itertools.combinations([1] * y + [0] * (n - y), k))
    [found] = s.best_of_each([n], [y], k)
    if k > n:
        assert math.isnan(found)
    else:
        assert found == pytest.approx(np.mean([max(way) for way in ways]))


def test_best_of_k_over_instances_is_their_mean():
    """Instances with fewer than k samples are left out; one sample is the plain rate; None without any."""
    n, y = [4, 4, 4, 4, 4, 2], [1, 0, 4, 2, 1, 2]
    result = s.best_of_k(n, y, 3)
    assert result.rate == pytest.approx((0.75 + 0 + 1 + 1 + 0.75) / 5)
    assert (result.n, result.clusters) == (5, 5)
    values = [0.75, 0, 1, 1, 0.75]
    assert result == s.ratio([1] * 5, values, counts=False)
    assert s.best_of_k(n, y, 1).rate == pytest.approx(np.mean(np.array(y) / n))
    assert s.best_of_k(n, y, 5) is None


def test_the_majority_is_the_commonest_answer():
    """Of the first n; of equally common ones the earliest; no answer doesn't vote."""
    answers = ["b", None, "a", "a", None, "c", "c", "c"]
    assert [s.majority(answers, n) for n in (1, 2, 3, 4, 7, 8, 99)] == ["b", "b", "b", "a", "a", "c", "c"]
    assert s.majority([None, None], 2) is None
    assert s.majority([], 3) is None


# --- excess over chance


def test_an_excess_of_unrelated_answers_has_newcombes_interval():
    """Large samples without correlation: the score interval of two independent proportions in statsmodels."""
    y, null = np.zeros(2000), np.zeros(2000)
    y[:600], null[:60], null[600:740] = 1, 1, 1  # one in ten matches by chance, whatever the other
    result = s.excess(np.ones(2000), y, np.ones(2000), null)
    expected = confint_proportions_2indep(600, 2000, 200, 2000, method="newcomb")
    assert result.rate == pytest.approx(0.2)
    assert (result.low, result.high) == pytest.approx(expected, abs=1e-4)


def test_an_excess_has_the_paired_interval_in_the_interior():
    """Far from 0 and 1 it is the t interval of the paired difference."""
    rng = np.random.default_rng(6)
    ability = rng.beta(4, 4, 400)
    n, y, null = np.full(400, 10), rng.binomial(10, ability), rng.binomial(10, 0.6 * ability)
    result, paired = s.excess(n, y, n, null), s.paired_difference(n, y, n, null)
    assert (result.low, result.high) == pytest.approx((paired.low, paired.high), abs=0.002)


def test_nothing_matched_is_no_proof_of_no_excess():
    """0 of 40 against 0 of 40 may still hide several points; the more instances, the fewer."""
    widths = []
    for instances in (40, 400):
        result = s.excess([1] * instances, [0] * instances, [1] * instances, [0] * instances)
        assert result.rate == 0
        assert result.low == pytest.approx(-result.high)
        widths.append(result.high)
    assert widths[0] > 0.08
    assert widths[1] < 0.01
    assert s.excess([1] * 4, [1] * 4, [1] * 4, [0] * 4).low is None
    assert s.excess([0], [0], [1], [1]) is None


# --- two-way designs


def crossed(seed, novelty, size, instances=40, twins=0.0):
    """Seeded rates: effects of each level in points, instances scatter by 20, twins correlate over novelty."""
    rng = np.random.default_rng(seed)
    own = rng.normal(0, 20, (len(novelty), len(size), instances))
    common = rng.normal(0, 20, (1, len(size), instances))
    effects = np.asarray(novelty)[:, None, None] + np.asarray(size)[None, :, None]
    return np.clip(50 + effects + math.sqrt(twins) * common + math.sqrt(1 - twins) * own, 0, 100) / 100


def test_shares_are_omega_squared_of_the_analysis_of_variance():
    """Where twins don't correlate at all: sums of squares of statsmodels, each less its degrees of freedom x error."""
    rates = crossed(1, [12, 0, -12], [5, 0, -5])
    waves = scipy.linalg.hadamard(8)[1:4].repeat(5, axis=1)  # orthogonal deviations of three levels
    rates = rates.mean(axis=2, keepdims=True) + 0.15 * waves[:, None, :]
    frame = pd.DataFrame(
        [(a, b, v) for a, plane in enumerate(rates) for b, cell in enumerate(plane) for v in cell], columns=list("abv")
    )
    table = anova_lm(ols("v ~ C(a) * C(b)", frame).fit())
    error = table["mean_sq"]["Residual"]
    expected = (table["sum_sq"] - table["df"] * error)[:3] / (table["sum_sq"].sum() + error)
    found = s.variance_shares(rates)
    assert (found.novelty, found.size, found.interaction) == pytest.approx(tuple(expected))
    assert (found.difference, found.instances) == (pytest.approx(expected.iloc[0] - expected.iloc[1]), 40)


def test_what_twins_share_is_not_taken_for_an_effect_of_size():
    """No effect at all, twins alike: sizes differ by luck, and that luck is taken off. Mean of 200 designs."""
    found = [s.variance_shares(crossed(seed, [0, 0, 0], [0, 0, 0], twins=0.9)) for seed in range(200)]
    assert np.mean([f.novelty for f in found]) == pytest.approx(0, abs=0.002)
    assert np.mean([f.size for f in found]) == pytest.approx(0, abs=0.004)


def test_the_interval_of_shares_is_that_of_repeated_studies():
    """Its half width is 1.96 to 2.1 standard deviations of the difference over 200 designs."""
    found = [s.variance_shares(crossed(seed, [15, 0, -15], [8, 0, -8])) for seed in range(200)]
    half = np.mean([f.high - f.low for f in found]) / 2
    assert half / np.std([f.difference for f in found]) == pytest.approx(2.05, abs=0.3)
    assert s.variance_shares(crossed(3, [15, 0, -15], [8, 0, -8])) == found[3]


def test_exchanging_the_factors_mirrors_the_shares():
    """Novelty and size are treated alike where there are no twins."""
    rates = crossed(5, [15, 0, -15], [5, 0, -5], instances=400)
    one, other = s.variance_shares(rates), s.variance_shares(rates.swapaxes(0, 1))
    assert (other.novelty, other.size) == pytest.approx((one.size, one.novelty), abs=0.01)
    assert other.difference == pytest.approx(-one.difference, abs=0.01)


def test_shares_need_full_cells_and_some_variance():
    """Below 40 instances in a cell, or two levels, or where all is equal: None. Missing instances don't count."""
    rates = crossed(6, [10, 0, -10], [0, 0, 0], instances=50)
    rates[1, 2, 5:15] = np.nan
    assert s.variance_shares(rates).instances == 40
    rates[1, 2, 4] = np.nan
    assert s.variance_shares(rates) is None
    assert s.variance_shares(rates[:1]) is None
    assert s.variance_shares(np.full((3, 3, 40), 0.5)) is None
    assert s.variance_shares(np.empty((3, 3, 0))) is None


# --- paired comparisons


def test_a_paired_difference_is_a_paired_t_test_for_equal_n():
    """One trial a cluster: estimate, interval and df of scipy's ttest_rel."""
    rng = np.random.default_rng(4)
    a, b = rng.binomial(1, 0.7, 40), rng.binomial(1, 0.4, 40)
    result = s.paired_difference(np.ones(40), a, np.ones(40), b)
    expected = scipy.stats.ttest_rel(a, b)
    assert (result.low, result.high) == pytest.approx(tuple(expected.confidence_interval()), rel=1e-9)
    assert result.difference / result.standard_error == pytest.approx(expected.statistic)
    assert result.df == pytest.approx(39)


def test_pairing_uses_only_common_instances_and_swaps_sign():
    """Holes of either arm drop out; exchanging the arms mirrors everything but p."""
    n_a, y_a = [5, 0, 6, 7, 5, 8, 9], [1, 0, 3, 2, 5, 4, 1]
    n_b, y_b = [5, 5, 0, 7, 6, 8, 9], [4, 5, 0, 6, 5, 8, 7]
    first, second = s.paired_difference(n_a, y_a, n_b, y_b), s.paired_difference(n_b, y_b, n_a, y_a)
    assert first.clusters == 5
    assert first.difference == pytest.approx(13 / 34 - 30 / 35)
    assert (second.low, second.high) == pytest.approx((-first.high, -first.low))
    assert first.p == second.p


def test_the_exact_sign_flip_p_is_scipys():
    """Up to 12 clusters that differ, all sign flips are enumerated; equal ones change nothing."""
    a, b = [9, 4, 3, 8, 5, 9, 2, 6, 7, 1, 8, 6, 5, 3], [3, 2, 5, 1, 9, 4, 0, 7, 6, 3, 2, 1, 5, 3]
    expected = scipy.stats.permutation_test(
        (a, b), lambda x, y: np.mean(x) - np.mean(y), permutation_type="samples", n_resamples=np.inf
    )
    assert s.paired_difference([9] * 14, a, [9] * 14, b).p == pytest.approx(expected.pvalue, rel=1e-12)


def test_a_drawn_p_is_never_zero():
    """40 instances all right against all wrong: no draw is as extreme, the observed one counts."""
    assert s.paired_difference([1] * 40, [1] * 40, [1] * 40, [0] * 40).p == 1 / 10_000


def test_unequal_n_swaps_whole_clusters():
    """Arms with other n: p is the share of all swaps whose difference of pooled rates is as large."""
    n_a, y_a, n_b, y_b = [4, 9, 2, 5, 7], [4, 7, 2, 3, 5], [5, 3, 6, 5, 2], [2, 1, 2, 1, 1]
    sizes = []
    for swaps in itertools.product([False, True], repeat=5):
        a, b = np.zeros(2), np.zeros(2)
        for swap, *cluster in zip(swaps, n_a, y_a, n_b, y_b, strict=True):
            a += cluster[2:] if swap else cluster[:2]
            b += cluster[:2] if swap else cluster[2:]
        sizes.append(abs(a[1] / a[0] - b[1] / b[0]))
    expected = np.mean(np.array(sizes) >= sizes[0] - 1e-9)
    assert s.paired_difference(n_a, y_a, n_b, y_b).p == pytest.approx(expected)


def test_darwins_plants_have_fishers_p():
    """15 pairs, drawn flips: Fisher (1935, section 21) enumerated 2 * 863 / 2^15."""
    inches = np.array([49, -67, 8, 16, 6, 23, 28, 41, 14, 29, 56, 24, 75, 60, -48])
    result = s.paired_difference(np.ones(15), 0.5 + inches / 200, np.ones(15), np.full(15, 0.5))
    assert result.p == pytest.approx(2 * 863 / 2**15, abs=0.008)
    assert s.paired_difference(np.ones(15), 0.5 + inches / 200, np.ones(15), np.full(15, 0.5)) == result


def test_equal_arms_differ_by_nothing_with_p_one():
    """No cluster differs: difference 0, p 1, and no interval, since nothing tells how uncertain it is."""
    result = s.paired_difference([10] * 30, [4] * 30, [10] * 30, [4] * 30)
    assert (result.difference, result.p, result.low, result.standard_error) == (0, 1, None, None)


def test_the_sign_flip_test_holds_its_level():
    """Equal arms, 30 instances of unequal size: at most 6.5 % of 600 studies are significant at 5 %."""
    n, y_a = sample(21, 30, 0.3, 0.3, 2, 40, replications=600)
    m, y_b = sample(22, 30, 0.3, 0.3, 2, 40, replications=600)
    found = [s.paired_difference(*study) for study in zip(n, y_a, m, y_b, strict=True)]
    assert np.mean([d.p <= 0.05 for d in found]) <= 0.065
    assert np.mean([d.low <= 0 <= d.high for d in found]) >= 0.93


@pytest.mark.parametrize(("only_a", "only_b", "p"), [(1, 7, 10 / 256), (0, 0, 1), (6, 6, 1), (0, 3, 1 / 8)])
def test_mcnemar_mid_p_of_small_tables(only_a, only_b, p):
    """1 against 7 is the example of Fagerland, Lydersen and Laake (2013): .039."""
    assert s.mcnemar_mid_p(only_a, only_b) == pytest.approx(p)


def test_mcnemar_mid_p_of_large_tables():
    """The exact p less the probability of what was observed, also for thousands of pairs."""
    expected = scipy.stats.binomtest(1500, 3121).pvalue - scipy.stats.binom.pmf(1500, 3121, 0.5)
    assert s.mcnemar_mid_p(1500, 1621) == pytest.approx(expected, rel=1e-8)


# --- over nights


def nights(seed, rates, count):
    """Seeded answers (0 or 1) of instances with these rates, over some nights."""
    return (np.random.default_rng(seed).random((count, len(rates))) < np.asarray(rates)).astype(float)


def two_samples(before, after):
    """z of section 6 by a plain loop, rates smoothed by one success and one failure, variances unbiased."""
    total, variance = 0.0, 0.0
    for one, two in zip(before.T, after.T, strict=True):
        b, w = np.count_nonzero(~np.isnan(one)), np.count_nonzero(~np.isnan(two))
        if b and w:
            p = (np.nansum(one) + np.nansum(two) + 1) / (b + w + 2)
            total += np.nanmean(two) - np.nanmean(one)
            variance += (b + w) / (b + w - 1) * p * (1 - p) * (1 / b + 1 / w)
    return total / math.sqrt(variance)


@pytest.mark.parametrize("count", [15, 17, 21, 28, 60])
def test_drift_is_the_window_that_differs_most(count):
    """The latest 1, 3, 7 or 14 nights against the first 14, as far as they don't overlap; holes don't count."""
    x = nights(count, np.linspace(0.1, 0.9, 20), count)
    x[-2:] *= nights(1, np.full(20, 0.5), 2)
    x[3, 4] = x[-1, 2] = x[:14, 7] = np.nan
    windows = [w for w in (1, 3, 7, 14) if 14 + w <= count]
    found = {w: two_samples(x[:14], x[-w:]) for w in windows}
    drift = s.drift(x)
    assert drift.window == max(windows, key=lambda w: abs(found[w]))
    assert drift.z == pytest.approx(found[drift.window])
    # one of 20 has no reference; another has no latest night
    assert drift.instances == (18 if drift.window == 1 else 19)


def test_drift_of_one_flip_and_of_many_by_hand():
    """Ten instances that always held: k of them failing in night 15 give z = -k / sqrt(sum of variances)."""
    for failing in (1, 2, 5):
        x = np.ones((15, 10))
        x[-1, :failing] = 0
        kept, lost = 16 / 17 * 1 / 17, 15 / 17 * 2 / 17
        variance = 15 / 14 * (1 / 14 + 1) * (failing * lost + (10 - failing) * kept)
        drift = s.drift(x)
        assert (drift.z, drift.window) == (pytest.approx(-failing / math.sqrt(variance)), 1)
        assert (drift.before, drift.after) == (1.0, pytest.approx(1 - failing / 10))
    assert s.drift(np.ones((40, 10))).z == 0.0


def test_large_samples_agree_with_the_test_of_two_proportions():
    """One rate for all, many instances: the pooled z test of statsmodels."""
    from statsmodels.stats.proportion import proportions_ztest

    x = nights(5, np.full(4000, 0.6), 28)
    z, _ = proportions_ztest([x[-14:].sum(), x[:14].sum()], [14 * 4000] * 2)
    assert two_samples(x[:14], x[-14:]) == pytest.approx(z, rel=0.03)
    assert s.drift(x).z == pytest.approx(max((two_samples(x[:14], x[-w:]) for w in (1, 3, 7, 14)), key=abs))


def test_drift_needs_a_reference_and_instances():
    """Before night 15, or below five instances: nothing to say."""
    assert s.drift(np.ones((14, 10))) is None
    assert s.drift(np.ones((20, 4))) is None
    assert s.drift(np.full((20, 10), np.nan)) is None
    assert s.drift(np.empty((20, 0))) is None
    for wrong in (np.ones(3), np.full((15, 5), 1.5), np.full((15, 5), -0.1)):
        with pytest.raises(ValueError, match="rates"):
            s.drift(wrong)


def test_all_nights_at_once_are_night_by_night():
    """What simulations compute for a whole year is `drift` of each night."""
    x = nights(6, np.linspace(0.1, 0.9, 12), 50)
    assert largest(x, first=15) == pytest.approx([s.drift(x[:night]).z for night in range(15, 51)])


@pytest.mark.parametrize("rates", [0.57, 0.9, 0.98, (0.3, 0.3), (1, 1)])
@pytest.mark.parametrize("instances", [10, 60])
def test_a_quiet_year_raises_an_alarm_in_at_most_one_of_twenty(rates, instances):
    """At every rate, near 0 and 1 too, where plainly pooled rates raise one in a third of years. 300 seeded years."""
    rng = np.random.default_rng(int(1000 * instances + 100 * np.sum(rates)))
    alarms = 0
    for _ in range(300):
        p = np.full(instances, rates) if isinstance(rates, float) else rng.beta(*rates, instances)
        z = largest((rng.random((365, instances)) < p).astype(float), first=15)
        alarms += np.abs(z).max() >= s.drift_threshold(1)
    assert alarms / 300 <= 0.05 + 2 * math.sqrt(0.05 * 0.95 / 300)


def test_a_drop_is_seen():
    """Of 60 canaries: 20 points within 5 nights, 10 points within 20, in the middle of 40 seeded cases."""
    for drop, within in ((0.2, 5), (0.1, 20)):
        seen = []
        for case in range(40):
            rng = np.random.default_rng(case)
            p = rng.uniform(0.2, 1, 60)
            x = np.vstack([rng.random((28, 60)) < p, rng.random((40, 60)) < p - drop]).astype(float)
            days = (day for day in range(1, 41) if s.drift(x[: 28 + day]).z <= -4)
            seen.append(next(days, 99))
        assert np.median(seen) <= within


def test_the_threshold_grows_with_the_number_of_models():
    """A year has 250 looks, so to speak; 5 % of years over all models, and 4 at least."""
    assert [s.drift_threshold(m) for m in (0, 1, 2)] == [4.0] * 3
    for m in (10, 100):
        assert s.drift_threshold(m) == pytest.approx(scipy.stats.norm.isf(0.05 / (2 * 250 * m)))


# --- over models

SIZES = np.log10([0.5e9, 1.5e9, 3e9, 7e9, 14e9, 32e9, 72e9])
RATES = np.array([0.41, 0.47, 0.46, 0.55, 0.52, 0.6, 0.58])


def test_a_slope_is_ordinary_least_squares_over_models():
    """Slope, intercept, error, p and limits of statsmodels, t on k - 2 degrees of freedom."""
    fit = sm.OLS(RATES, sm.add_constant(SIZES)).fit()
    result = s.slope(SIZES, RATES)
    assert (result.intercept, result.slope) == pytest.approx(tuple(fit.params))
    assert (result.standard_error, result.p) == pytest.approx((fit.bse[1], fit.pvalues[1]))
    assert (result.low, result.high) == pytest.approx(tuple(fit.conf_int()[1]))
    assert (result.df, result.models) == (5, 7)


def test_a_lucky_fit_is_no_more_precise_than_its_points():
    """Points on a line still carry their own errors; scatter beyond those is never reduced by them."""
    line = 0.4 + 0.05 * (SIZES - 9)
    errors = np.linspace(0.01, 0.03, 7)
    result = s.slope(SIZES, line, errors)
    weights = (SIZES - SIZES.mean()) / ((SIZES - SIZES.mean()) ** 2).sum()
    assert result.standard_error == pytest.approx(math.sqrt((weights**2 * errors**2).sum()))
    assert s.slope(SIZES, RATES, np.full(7, 1e-4)) == s.slope(SIZES, RATES)


def test_a_slope_without_evidence_of_its_error_has_no_interval():
    """All points exactly on a line and no errors given: the slope stands, its limits and p are None."""
    result = s.slope([8, 9, 10, 11], [0.0, 0.0, 0.0, 0.0])
    assert (result.slope, result.low, result.high, result.p, result.standard_error) == (0, None, None, None, 0)


def test_a_slope_needs_three_models_of_several_sizes():
    """Two models, or one size: None."""
    assert s.slope([], []) is None
    assert s.slope(SIZES[:2], RATES[:2]) is None
    assert s.slope([9.0] * 4, RATES[:4]) is None


def test_size_curves_have_no_more_false_slopes_than_claimed():
    """2,000 studies of 6 models that scatter by 3 points around a flat line: at most 6 % find a slope at 5 %."""
    rates = 0.57 + np.random.default_rng(3).normal(0, math.hypot(0.03, 0.01), (2000, 6))
    sizes = np.linspace(8, 11, 6)
    assert np.mean([s.slope(sizes, r, np.full(6, 0.01)).p <= 0.05 for r in rates]) <= 0.06


@pytest.mark.parametrize("margin", [0.02, 0.08, 0.4])
def test_equivalence_is_statsmodels_tost(margin):
    """The larger of the two one-sided p values, on both sides of the margin."""
    values = np.random.default_rng(8).normal(0.05, 0.1, 20)
    expected = DescrStatsW(values).ttost_mean(-margin, margin)[0]
    assert s.tost(values.mean(), scipy.stats.sem(values), 19, margin) == pytest.approx(expected)
    assert s.tost(-values.mean(), scipy.stats.sem(values), 19, margin) == pytest.approx(expected)


def test_an_effect_at_the_margin_has_p_one_half():
    """Exactly at the margin the data favour neither side."""
    assert s.tost(0.05, 0.01, 6, 0.05) == pytest.approx(0.5)


# --- many tests


@pytest.mark.parametrize("count", [1, 2, 7, 40])
def test_adjusted_p_values_are_statsmodels(count):
    """Holm and Benjamini-Hochberg, in the order given, with ties, 0 and 1."""
    p = np.append(np.random.default_rng(count).integers(0, 21, count) / 20, [0, 1, 0.003])
    assert s.holm(p) == pytest.approx(multipletests(p, method="holm")[1])
    assert s.benjamini_hochberg(p) == pytest.approx(multipletests(p, method="fdr_bh")[1])


def test_no_p_values_stay_none_at_all():
    """An empty family of comparisons is adjusted to an empty one."""
    assert s.holm([]).size == s.benjamini_hochberg([]).size == 0


def test_adjusted_p_values_of_a_worked_example():
    """By hand: Holm multiplies by 5, 4, 3, 2, 1 and never decreases; BH by 5/1 ... 5/5, all .05 here."""
    p = [0.03, 0.01, 0.05, 0.02, 0.04]
    assert s.holm(p) == pytest.approx([0.09, 0.05, 0.09, 0.08, 0.09])
    assert s.benjamini_hochberg(p) == pytest.approx([0.05] * 5)


# --- planning


def test_five_points_between_two_arms_need_1540_answers():
    """Independent answers at .57, 80 % power; half as many where paired results correlate by one half."""
    assert s.minimum_detectable_difference(0.57, 1540, 1) == pytest.approx(0.05, abs=1e-4)
    assert s.minimum_detectable_difference(0.57, 770, 1, paired_correlation=0.5) == pytest.approx(0.05, abs=1e-4)


def test_planned_power_is_statsmodels():
    """50 instances of 10 constraints with rho .1 are 500 / 1.9 independent answers."""
    found = s.minimum_detectable_difference(0.57, 50, 10, power=0.9, confidence=0.99)
    power = NormalIndPower().power(found / math.sqrt(0.57 * 0.43), 500 / 1.9, 0.01)
    assert power == pytest.approx(0.9, abs=1e-5)


def test_planned_half_width_meets_the_interval_found():
    """The width promised before is the mean width after, over 300 studies."""
    n, y = sample(31, 100, 0.57, 0.1, replications=300)
    found = [s.ratio(*study) for study in zip(n, y, strict=True)]
    assert s.half_width(0.57, 100, 10) == pytest.approx(np.mean([i.high - i.low for i in found]) / 2, rel=0.03)


# --- Student's t


@pytest.mark.parametrize(("df", "t"), [(1, 12.706), (4, 2.776), (10, 2.228), (30, 2.042), (120, 1.980)])
def test_t_quantiles_of_printed_tables(df, t):
    """Two-sided 5 % points as in Fisher and Yates' table."""
    assert s.t_quantile(0.95, df) == pytest.approx(t, abs=5e-4)


def test_student_distribution_is_scipys():
    """Quantiles and tails for whole and broken df from .6 to 5,000, to ten digits."""
    for df in [0.6, *np.geomspace(1, 5000, 40)]:
        for confidence in (0.1, 0.5, 0.8, 0.9, 0.95, 0.99, 0.9999):
            assert s.t_quantile(confidence, df) == pytest.approx(scipy.stats.t.isf((1 - confidence) / 2, df), rel=1e-10)
        for t in (0, 1e-6, 0.1, 0.7, 1.5, -2, 4, 12):
            assert s.t_tails(t, df) == pytest.approx(2 * scipy.stats.t.sf(abs(t), df), rel=1e-10)


def test_importing_needs_no_scipy():
    """Tables are printed interactively: scipy would double the start-up time."""
    code = "import sys, probe.results.statistics; sys.exit('scipy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# --- wrong input


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: s.ratio([1, 2], [1]), "one shape"),
        (lambda: s.ratio([[1, 2]], [[1, 2]]), "one shape"),
        (lambda: s.ratio([3, 2], [1, 4]), "cluster 1 has n = 2.0, y = 4.0"),
        (lambda: s.ratio([3, 2], [-1, 2]), "cluster 0"),
        (lambda: s.ratio([3, math.nan], [1, 2]), "cluster 1"),
        (lambda: s.ratio([3, math.inf], [1, 2]), "cluster 1"),
        (lambda: s.ratio([3] * 5, [1] * 5, confidence=95), "such as 0.95"),
        (lambda: s.corrected([1, 2], [1, 2], [1], [1]), "in all arms"),
        (lambda: s.mean([0.1, math.nan]), "leave out undefined"),
        (lambda: s.mcnemar_mid_p(-1, 2), "counts"),
        (lambda: s.best_of_k([3], [1], 0), "k must be at least 1"),
        (lambda: s.best_of_k([3], [4], 2), "cluster 0"),
        (lambda: s.best_of_k([3, 3], [1], 2), "one shape"),
        (lambda: s.majority(["a"], 0), "n must be at least 1"),
        (lambda: s.excess([3], [1], [3, 3], [1, 1]), "in all arms"),
        (lambda: s.variance_shares([[0.5, 0.1]]), "must have shape"),
        (lambda: s.variance_shares([[[1.5]]]), r"\[0, 1\]"),
        (lambda: s.slope([9, 10, 11], [0.1, 0.2]), "one value per model"),
        (lambda: s.slope([9, 10, 11], [0.1, 0.2, math.nan]), "finite"),
        (lambda: s.tost(0.1, 0, 5, 0.05), "standard_error and margin"),
        (lambda: s.holm([0.1, 1.2]), r"\[0, 1\]"),
        (lambda: s.half_width(1.0, 50, 10), "p must lie inside"),
        (lambda: s.half_width(0.5, 0, 10), "instances and constraints"),
        (lambda: s.minimum_detectable_difference(0.5, 5, 10, power=80), "power"),
        (lambda: s.t_tails(1, 0), "df must be positive"),
    ],
)
def test_bad_input_is_named(call, message):
    """The error says which value is wrong and what it may be; no numpy warning comes first."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ValueError, match=message):
            call()
