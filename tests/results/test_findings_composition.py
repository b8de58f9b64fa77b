"""Claims 1, 2, 3 and 5 on simulated models whose truth is known: verdicts are right or undecided, never wrong."""

import tomllib
from dataclasses import replace

import numpy as np
import pytest

from probe.batches import checked, expand, from_table
from probe.results import statistics
from probe.results.findings import composition as claims
from probe.results.findings import contrasts as c
from tests.results.simulated import RANDOM, Truth, holds, ladder, models
from tests.results.simulated_composition import MODULES, SHOWN, binding, composing, interfering, two_way

RUNS = 25  # `make simulate` has more
AMPLE, TAU = 8, 0.01  # models, and how far they scatter


def over(sizes, small, large):
    """A value a model, on a line over log10 of the size."""
    return np.interp(np.log10(sizes), np.log10(sizes[[0, -1]]), [small, large])


def study(simulate, *lines, count=AMPLE, level=(0.55, 0.85), decades=3.0, **more):
    """Simulated studies of a ladder of models; each line: (value of the smallest, of the largest), with scatter."""

    def drawn(rng):
        sizes = ladder(count, decades)
        values = [over(sizes, *line) + rng.normal(0, TAU, count) for line in lines]
        return simulate(rng, models(sizes), over(sizes, *level), *values, **more)

    return drawn


def judged(judge, study):
    return lambda rng: judge(study(rng))


def one(judge, truth, run=3):
    return judge(truth(np.random.default_rng(run)))


def gaps(rng, subjects, level, gap, **more):
    return composing(rng, subjects, level, {"none": gap - 0.1, "each": gap - 0.05, "pairs": gap}, **more)


def entities(rng, subjects, level, drop, **more):
    return binding(rng, subjects, level, drop / 2, **more)  # it scatters per doubling, half as far as levels do


def cells(novelty, size, count=4, **more):
    return lambda rng: two_way(rng, models(ladder(count)), novelty, size, **more)


@pytest.fixture(autouse=True)
def few_resamples(monkeypatch):
    """Bootstraps of 199 samples: a tenth of the time, and nearly the same interval."""
    monkeypatch.setattr(statistics, "RESAMPLES", 199)


def composes(*gap, **more):
    return judged(claims.composition, study(gaps, gap, **more))


def modular(moved, by_text, **more):
    return judged(claims.modularity, study(interfering, moved, by_text, **more))


def bound(*drop, **more):
    return judged(claims.binding, study(entities, drop, level=(0.6, 0.85), **more))


def novel(*steps, **more):
    return judged(claims.novelty, cells(*steps, **more))


TRUTHS = [
    Truth("composes with size", composes(-0.25, 0), "supported"),
    Truth("never composes", composes(-0.15, -0.15), "refuted"),
    Truth("composes worse with size", composes(0, -0.2), "refuted"),
    Truth("composes at every size", composes(0, 0), "undecided"),
    Truth("a gap at the margin", composes(-0.05, -0.05), "undecided"),
    Truth("is modular", modular((0, 0), (0, 0), count=5), "supported"),
    Truth("interferes", modular((-0.2, -0.2), (0, 0), count=5), "refuted"),
    Truth("interferes in small models", modular((-0.2, 0), (0, 0), count=5), "refuted"),
    Truth("interferes at the margin", modular((-0.05, -0.05), (0, 0), count=5), "undecided"),
    Truth("a module moves as much as text does", modular((-0.15, -0.15), (-0.15, -0.15)), "supported", powered=False),
    Truth("text alone moves", modular((0, 0), (-0.15, -0.15)), "supported", powered=False),
    Truth("binds badly, less so with size", bound(0.16, 0.02), "supported"),
    Truth("keeps entities apart", bound(0, 0), "refuted"),
    Truth("keeps them apart where random answers get worse", bound(0, 0, chance_drop=0.05), "refuted"),
    Truth("binds badly at every size", bound(0.12, 0.12), "undecided"),
    Truth("twins disagree", bound(0, 0, apart=0.3), "undecided"),
    Truth("novelty matters", novel(0.12, 0.03), "supported"),
    Truth("size matters", novel(0.03, 0.12), "refuted"),
    Truth("novelty and size matter alike", novel(0.1, 0.1), "undecided"),
]


@pytest.mark.parametrize("truth", TRUTHS, ids=lambda truth: truth.name)
def test_what_is_so_is_found_or_left_undecided(truth):
    holds(truth, RUNS)


# --- 1: composition ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("few", "reason"),
    [
        ({"count": 5}, "5 models of known size"),
        ({"decades": 1.0}, "1.0 decades"),
        ({"instances": 15}, "0 models of known size"),
        ({"level": (0.3, 0.3)}, "0 models of known size"),
    ],
    ids=["models", "decades", "instances", "nothing above chance"],
)
def test_too_few_data_on_composition_are_undecided(few, reason):
    found = one(claims.composition, study(gaps, (-0.15, -0.15), **few))
    assert found.verdict == "undecided"
    assert reason in found.reason


def test_composition_shows_each_coverage_of_examples():
    found = one(claims.composition, study(gaps, (-0.25, 0)))
    [part] = found.parts
    assert part.columns[2:] == tuple(f"examples show {words}" for words in claims.SHOWN.values())
    none, each, together = np.mean([[cell.value for cell in row[2:]] for row in part.rows], axis=0)
    assert none < each < together


@pytest.mark.parametrize("coverage", SHOWN)
def test_composition_needs_each_coverage_of_examples(coverage):
    arms = study(gaps, (-0.25, 0))(np.random.default_rng(1))
    left = [arm for arm in arms if arm.manner != SHOWN[coverage]]
    found = claims.composition(left)
    assert found.verdict == "undecided"
    words = claims.SHOWN["covered" if coverage == "pairs" else coverage]
    assert {one.why for one in found.excluded} == {f"not asked with examples that show {words}"}


def test_too_few_examples_cover_nothing():
    arms = study(gaps, (-0.25, 0))(np.random.default_rng(1))
    arms = [replace(a, manner=replace(a.manner, examples=1)) if a.manner == SHOWN["each"] else a for a in arms]
    found = claims.composition(arms)  # one example can't show each of two modules
    assert {one.why for one in found.excluded} == {f"not asked with examples that show {claims.SHOWN['each']}"}


def test_only_the_same_kinds_of_the_same_instances_are_compared():
    """Answers that are missing on one side, and kinds that only one side has, change nothing."""
    arms = study(gaps, (-0.15, -0.15))(np.random.default_rng(1))
    full = claims.composition(arms)
    cut, more = [], []
    for arm in arms:
        kept = {m: counts * (np.arange(50) < 40)[:, None] for m, counts in arm.counts.items() if m.startswith("kind:")}
        cut.append(replace(arm, counts={**arm.counts, **kept}) if len(arm.modules) == 1 else arm)
        more.append(replace(arm, counts={**arm.counts, "kind:capacity": arm.counts[min(kept)] * [1, 0]}))
    assert claims.composition(more).effect == full.effect
    less = claims.composition(cut)
    both = [replace(a, counts={m: n * (np.arange(50) < 40)[:, None] for m, n in a.counts.items()}) for a in arms]
    assert less.effect.value == pytest.approx(claims.composition(both).effect.value)


# --- 2: modularity ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("few", [{"count": 2}, {"instances": 15}, {"level": (0.3, 0.3)}])
def test_too_few_data_on_modules_are_undecided(few):
    assert one(claims.modularity, study(interfering, (0, 0), (0, 0), **few)).verdict == "undecided"


def test_modules_without_the_control_of_longer_text_are_undecided():
    arms = study(interfering, (0, 0), (0, 0))(np.random.default_rng(1))
    found = claims.modularity([arm for arm in arms if arm.variant == "fresh"])
    assert (found.verdict, found.models) == ("undecided", 0)


def test_the_matrix_has_an_entry_for_each_kind_that_another_module_can_move():
    found = one(claims.modularity, study(interfering, (0, 0), (0, 0), count=3))
    entries = {row[:3] for row in found.parts[0].rows}
    first, second = MODULES
    other = {("knapsack", "capacity", first), ("knapsack", "capacity", second)}
    assert entries == other | {("knapsack", first, second), ("knapsack", second, first)}


# --- 3: binding -------------------------------------------------------------------------------------------------------


def test_twins_disagree_no_more_than_two_answers_where_only_temperature_tells_them_apart():
    """The estimate is 0 on average, whatever the chance of a feasible answer; with names that matter it is p - p'."""
    found = {
        apart: [one(claims.binding, study(entities, (0, 0), apart=apart), run).estimates[-1].value for run in range(20)]
        for apart in (0.0, 0.2)
    }
    assert np.mean(found[0.0]) == pytest.approx(0, abs=0.01)
    # Each of the two chances is moved by 0.2 to either side: (p - p')^2 is 0.4^2 in half of the instances.
    assert np.mean(found[0.2]) == pytest.approx(0.08, abs=0.02)


@pytest.mark.parametrize("missing", ["distractors_4x", "renamed", "reordered"])
def test_binding_needs_all_crowds_and_twins(missing):
    arms = study(entities, (0.16, 0.02))(np.random.default_rng(1))
    assert claims.binding([arm for arm in arms if arm.variant != missing]).verdict == "undecided"


@pytest.mark.parametrize("few", [{"count": 5}, {"decades": 1.0}, {"instances": 15}])
def test_too_few_data_on_binding_are_undecided(few):
    assert one(claims.binding, study(entities, (0.16, 0.02), **few)).verdict == "undecided"


# --- 5: novelty and size ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("few", [{"count": 2}, {"instances": 30}])
def test_too_few_data_on_novelty_are_undecided(few):
    assert one(claims.novelty, cells(0.15, 0.0, **few)).verdict == "undecided"


def test_a_missing_cell_is_no_design():
    arms = cells(0.15, 0.0)(np.random.default_rng(1))
    left = [arm for arm in arms if (arm.variant, arm.base.size) != ("famous", "s")]
    found = claims.novelty(left)
    assert (found.verdict, found.models) == ("undecided", 0)
    assert "no family has all cells" in found.reason


def test_every_cell_has_the_same_families_in_the_same_numbers():
    complete = {("a", size): 50 for size in ("xs", "s", "m", "l")} | {("b", "xs"): 9, ("b", "s"): 30, ("b", "m"): 20}
    assert claims._design(complete) == (("xs", "s", "m", "l"), {"a": 50})
    small = {key: count // 2 for key, count in complete.items()}
    assert claims._design(small) == (("xs", "s", "m"), {"a": 25, "b": 4})


# --- contrasts --------------------------------------------------------------------------------------------------------


def test_errors_on_shared_instances_do_not_average_out():
    """Ten models that all err alike on the same instances are as uncertain as one of them."""
    influence = np.random.default_rng(1).normal(0, 0.01, 100)
    alike = [c.Contrast(0.5, influence, 100) for _ in range(10)]
    apart = [c.Contrast(0.5, np.roll(np.pad(influence, (0, 900)), 100 * i), 100) for i in range(10)]
    assert c.mean("", alike).error >= alike[0].error
    assert c.mean("", apart).error == pytest.approx(alike[0].error / np.sqrt(10))


def test_a_line_over_models_is_least_squares():
    subjects = models([1e8, 1e9, 1e10, 1e11])
    none = np.zeros(10)
    of = {s: c.Contrast(v, none, 10**6) for s, v in zip(subjects, (0.1, 0.3, 0.2, 0.4), strict=True)}
    found = c.line("it", of)
    slope, level = np.polyfit([8, 9, 10, 11], (0.1, 0.3, 0.2, 0.4), 1)
    assert found.slope.value == pytest.approx(slope)
    assert found.small.value == pytest.approx(level + 8 * slope)
    assert found.large.value == pytest.approx(level + 11 * slope)


def test_the_error_at_the_largest_model_is_that_of_a_regression():
    x, values = np.array([8, 8.5, 9.5, 10, 11]), np.array([0.1, 0.25, 0.2, 0.45, 0.4])
    of = {s: c.Contrast(v, np.zeros(3), 10**6) for s, v in zip(models(10**x), values, strict=True)}
    scatter = np.sqrt(np.square(values - np.polyval(np.polyfit(x, values, 1), x)).sum() / 3)
    error = scatter * np.sqrt(1 / 5 + (11 - x.mean()) ** 2 / np.square(x - x.mean()).sum())  # of a mean response
    found = c.line("it", of)
    assert found.large.error == pytest.approx(error)
    assert found.large.high - found.large.value == pytest.approx(3.182446 * error)  # t, 3 degrees of freedom


def test_a_ratio_has_the_clustered_error_of_a_rate():
    rng = np.random.default_rng(2)
    n = rng.integers(1, 20, 60).astype(float)
    y = rng.binomial(n.astype(int), 0.4).astype(float)
    found = c.ratio(n, y)
    assert found.value == pytest.approx(y.sum() / n.sum())
    against = statistics.paired_difference(n, y, n, np.zeros(60))
    assert found.error == pytest.approx(against.standard_error)


def test_nothing_is_exact_however_alike_answers_are():
    found = c.ratio(np.ones(50), np.zeros(50))
    assert (found.value, found.error) == (0, 1 / 50)


def test_matched_counts_have_the_rates_of_both_and_the_fewest_of_any():
    n, y = c.matched([[4, 2, 0], [1, 2, 3]], [[2, 1, 0], [1, 0, 3]])
    assert n.tolist() == [1, 2, 0]
    assert y.tolist() == [[0.5, 1, 0], [1, 0, 0]]


# --- plans ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("claim", [claims.COMPOSITION, claims.MODULARITY, claims.BINDING, claims.NOVEL])
def test_a_plan_is_a_spec_that_runs(claim):
    spec, _ = from_table(tomllib.loads(claim.plan))
    assert expand(checked(spec))


def test_baselines_alone_decide_nothing():
    arms = [arm for arm in study(gaps, (-0.25, 0))(np.random.default_rng(1)) if arm.subject == RANDOM]
    for judge in (claims.composition, claims.modularity, claims.binding, claims.novelty):
        assert judge(arms).verdict == judge([]).verdict == "undecided"
