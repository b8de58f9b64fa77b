"""Claims about size: on simulated models whose truth is known, verdicts are right or undecided."""

from dataclasses import replace

import numpy as np
import pytest

from probe.results.findings.scaling import depth, plateau, thinking
from tests.results import simulated as sim
from tests.results.simulated import Truth

RUNS = 25  # `make simulate` has more


def flat(count=24, level=0.575, slope=0.0, tau=0.008, gain=0.0, chance=0.35, decades=3.0, pairs=6):
    """A ladder of models, some of them also with reasoning on, which adds ``gain``."""

    def drawn(rng):
        sizes = sim.ladder(count, decades)
        rates = sim.scattered(rng, sizes, level, slope, tau)
        twins = [3 * i % count for i in range(pairs)]
        lines = [f"line {i}" for i in (*range(count), *twins)]
        facts = {"lineage": lines, "reasoning": [False] * count + [True] * pairs}
        subjects = sim.models([*sizes, *sizes[twins]], **facts)
        return sim.satisfaction(rng, subjects, [*rates, *(rates[twins] + gain)], instances=100, chance=chance)

    return drawn


def deep(count, gain, tau):
    """Small models of random depth, at which ``gain`` is per doubling."""

    def drawn(rng):
        sizes, layers = sim.ladder(count, 1.3, 9e7), rng.integers(8, 33, count)
        rates = 0.5 + 0.05 * np.log10(sizes / sizes.mean()) + gain * np.log2(layers / 16) + rng.normal(0, tau, count)
        subjects = sim.models(sizes, layers=layers.tolist(), width=512)
        return sim.satisfaction(rng, subjects, rates, instances=100)

    return drawn


def judged(judge, study):
    return lambda rng: judge(study(rng))


def thought(*given, **more):
    return lambda rng: thinking(*sim.thinkers(rng, *given, **more))


TRUTHS = [
    Truth("plateau", judged(plateau, flat()), "supported"),
    Truth("grows", judged(plateau, flat(14, slope=0.10, tau=0.03)), "refuted"),
    Truth("falls", judged(plateau, flat(14, slope=-0.10, tau=0.03)), "refuted"),
    Truth("another level", judged(plateau, flat(14, level=0.75, tau=0.03)), "refuted"),
    Truth("reasoning helps", judged(plateau, flat(14, gain=0.12, tau=0.03)), "refuted"),
    Truth("grows less than the margin, few models", judged(plateau, flat(8, slope=0.03, tau=0.04)), "undecided"),
    Truth("a plateau, no pairs with reasoning", judged(plateau, flat(14, pairs=0)), "undecided"),
    Truth("five models", judged(plateau, flat(5, slope=0.3, pairs=3)), "undecided"),
    Truth("one decade", judged(plateau, flat(12, slope=0.3, decades=1.0)), "undecided"),
    Truth("a plateau of chance", judged(plateau, flat(12, chance=0.575)), "undecided"),
    Truth("depth helps", judged(depth, deep(16, 0.06, 0.02)), "supported"),
    Truth("depth harms", judged(depth, deep(16, -0.06, 0.02)), "refuted"),
    Truth("depth does nothing", judged(depth, deep(24, 0.0, 0.008)), "refuted"),
    Truth("depth helps, seven models", judged(depth, deep(7, 0.2, 0.01)), "undecided"),
    Truth("thinking helps", thought(6, 0.04, 0.10, 0.03), "supported"),
    Truth("thinking does nothing", thought(6, 0.0, 0.0, 0.03, instances=300), "refuted"),
    Truth("thinking helps as sampling does", thought(6, 0.04, 0.05, 0.15), "undecided"),
    Truth("thinking helps, two models", thought(2, 0.2, 0.2, 0.0), "undecided"),
]


@pytest.mark.parametrize("truth", TRUTHS, ids=lambda truth: truth.name)
def test_what_is_so_is_found_or_left_undecided(truth):
    sim.holds(truth, RUNS)


def one_study(**more):
    return flat(8, **more)(np.random.default_rng(7))


def test_reasoning_twins_are_one_model_and_are_compared_apart():
    found = plateau(one_study(pairs=3))
    assert found.models == 8
    assert {one.what for one in found.excluded} == {"m9", "m10", "m11"}
    (pairs,) = [part for part in found.parts if part.title.startswith("Reasoning")]
    assert [row[:2] for row in pairs.rows] == [("m1", "m9"), ("m4", "m10"), ("m7", "m11")]


def test_the_plateau_always_shows_what_answers_without_thought_score():
    found = plateau(one_study())
    random, greedy = found.baselines
    assert (random.what, greedy.what) == ("random", "greedy")
    assert random.value == pytest.approx(0.35, abs=0.02)
    assert random.low < random.value < random.high


def test_the_slope_is_shown_in_other_ways_too():
    found = plateau(one_study(slope=0.1))
    names = " ".join(one.what for one in found.estimates)
    for way in ("strict margin", "corrected for chance", "lowest slope without one lineage", "fractional logit"):
        assert way in names


def test_without_random_answers_nothing_is_said_to_lie_above_chance():
    arms = [arm for arm in flat()(np.random.default_rng(3)) if arm.subject.name != "random"]
    found = plateau(arms)
    assert found.verdict == "undecided"
    assert "above chance" in found.reason


def test_only_small_models_of_known_shape_count_for_depth():
    arms = deep(10, 0.1, 0.01)(np.random.default_rng(3))
    large, unknown = (arms[i].subject for i in (0, 2))
    changed = {large: replace(large, params=7_000_000_000), unknown: replace(unknown, layers=None)}
    found = depth([replace(arm, subject=changed.get(arm.subject, arm.subject)) for arm in arms])
    assert found.models == 8
    assert found.verdict == "supported"


def test_levels_of_effort_that_spend_the_same_are_no_levels():
    arms, spent, _ = sim.thinkers(np.random.default_rng(3), 4, 0.04, 0.1, 0.03)
    found = thinking(arms, {shard: one._replace(tokens=1000) for shard, one in spent.items()}, [])
    assert (found.models, found.verdict) == (0, "undecided")
    assert len(found.excluded) == 4


def test_tokens_that_no_endpoint_counts_leave_thinking_undecided():
    arms, _, _ = sim.thinkers(np.random.default_rng(3), 4, 0.04, 0.1, 0.03)
    assert thinking(arms, {}, []).verdict == "undecided"


def test_a_level_of_effort_whose_answers_were_cut_off_leaves_the_model_out():
    """Else thinking would look good by the answers that it did not get to the end of."""
    arms, spent, _ = sim.thinkers(np.random.default_rng(3), 4, 0.04, 0.1, 0.03)
    for arm in arms:
        if arm.manner.effort == "high" and arm.subject.name == "m1":
            arm.counts["outcome:cap_hit"][:, 1] = arm.counts["outcome:cap_hit"][:, 0]
    (left,) = thinking(arms, spent, []).excluded
    assert (left.what, left.why) == ("m1", "100 % of its answers failed by the instrument")
