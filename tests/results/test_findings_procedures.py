"""Claims 4 and 7 on simulated models whose truth is known: verdicts are right or undecided, never wrong."""

import tomllib

import numpy as np
import pytest

from probe.batches import checked, expand, from_table
from probe.results.findings import procedures as claims
from tests.results.simulated import Truth, holds, ladder, models
from tests.results.simulated_procedures import finals, imitating, stepping

RUNS = 25  # `make simulate` has more
TAU = 0.01  # how far models scatter


def compounding(study):
    return claims.compounding(*study)


def recall(study):
    return claims.recall(*study)


def steps(first, last, greedy=0.0, count=5, **more):
    """Studies of traces, and of wrong answers where greedy fails; ``greedy``: share of these beyond chance, or None."""

    def drawn(rng):
        subjects, moved = models(ladder(count)), rng.normal(0, TAU, count)
        wrong = [] if greedy is None else imitating(rng, subjects, greedy)
        return stepping(rng, subjects, first + moved, last + moved, **more), wrong

    return drawn


def values(right, jumps, count=9, **more):
    """Studies of final values; share right, and share of wrong ones that are the limit, each (smallest, largest)."""

    def drawn(rng):
        lines = [np.linspace(*line, count) + rng.normal(0, TAU, count) for line in (right, jumps)]
        return finals(rng, models(ladder(count)), *np.clip(lines, 0, 1), **more)

    return drawn


def compounds(*given, **more):
    return lambda rng: compounding(steps(*given, **more)(rng))


def recalls(*given, **more):
    return lambda rng: recall(values(*given, **more)(rng))


TRUTHS = [
    Truth("the chance of a right step declines", compounds(0.95, 0.7), "supported"),
    Truth("answers greedily where greedy fails", compounds(0.99, 0.99, 0.2), "supported"),
    Truth("steps are right", compounds(0.99, 0.99), "refuted"),
    Truth("errors compound at a constant chance", compounds(0.8, 0.8), "undecided"),
    Truth("errors compound at a constant chance, three models", compounds(0.8, 0.8, count=3), "undecided"),
    Truth("recalls the converged value", recalls((0.3, 0.32), (0.3, 0.3)), "supported"),
    Truth("guesses by chance", recalls((0.2, 0.22), (0, 0)), "refuted"),
    Truth("learns to iterate", recalls((0.1, 0.6), (0.3, 0.3)), "refuted"),
    Truth("recalls less with size", recalls((0.3, 0.3), (0.5, 0.1)), "undecided"),
]


@pytest.mark.parametrize("truth", TRUTHS, ids=lambda truth: truth.name)
def test_what_is_so_is_found_or_left_undecided(truth):
    holds(truth, RUNS)


# --- 4: compounding ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("few", "reason"),
    [
        ({"count": 2}, "2 models have traces"),
        ({"instances": 50}, "0 models have traces"),
        ({"steps": 7}, "0 models have traces"),
        ({"greedy": None, "first": 0.99, "last": 0.99}, "only 0 models have wrong answers where greedy fails"),
    ],
    ids=["models", "instances", "steps", "nothing where greedy fails"],
)
def test_too_few_data_on_steps_are_undecided(few, reason):
    found = compounding(steps(**{"first": 0.95, "last": 0.7} | few)(np.random.default_rng(3)))
    assert found.verdict == "undecided"
    assert reason in found.reason


def test_perfect_traces_are_no_proof_from_few_models():
    """All right everywhere: how near to 1 that is depends on how many instances there are."""
    few = compounding(steps(1.0, 1.0, instances=60, count=3)(np.random.default_rng(3)))
    assert few.effect.value == pytest.approx(0, abs=0.03)
    assert few.effect.low < few.effect.value < few.effect.high


def test_steps_that_only_longer_traces_have_are_left_out():
    """Of traces with 8 and with 12 steps the first 8 are compared, so every step is one of the same procedures."""
    rng = np.random.default_rng(1)
    subjects = models(ladder(3))
    short = stepping(rng, subjects, [0.9] * 3, [0.9] * 3, instances=50)
    long = stepping(rng, subjects, [0.9] * 3, [0.2] * 3, instances=50, steps=12, family="euler")
    found = claims.compounding([*short, *long], [])
    assert found.instances == 100
    total = sum(arm.counts[f"follows:{k}"].sum(axis=0) for arm in (*short, *long) for k in range(1, 9))
    level = found.estimates[0]
    assert level.value == pytest.approx(total[1] / total[0])


def test_the_change_is_that_of_a_line_over_the_steps():
    n = np.ones((200, 5))
    rates = np.array([0.9, 0.8, 0.8, 0.6, 0.5])
    y = (np.arange(200)[:, None] < 200 * rates).astype(float)
    found = claims._change(n, y)
    assert found.value == pytest.approx(4 * np.polyfit(range(5), rates, 1)[0])
    weights = np.array([-2, -1, 0, 1, 2]) / 10 * 4
    assert found.error == pytest.approx(np.std(y @ weights, ddof=1) / np.sqrt(200), rel=1e-6)


# --- 7: iteration or recall -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("few", [{"count": 5}, {"instances": 22}], ids=["models", "wrong values"])
def test_too_few_data_on_final_values_are_undecided(few):
    assert recall(values((0.3, 0.3), (0.3, 0.3), **few)(np.random.default_rng(3))).verdict == "undecided"


@pytest.mark.parametrize(("variant", "mode", "what"), [("perturbed", "final", "altered"), ("fresh", "trace", "traces")])
def test_recall_needs_altered_twins_and_traces(variant, mode, what):
    arms, wrong = values((0.3, 0.3), (0.3, 0.3))(np.random.default_rng(3))
    found = claims.recall([arm for arm in arms if (arm.variant, arm.mode) != (variant, mode)], wrong)
    assert found.verdict == "undecided"
    assert what in found.reason


def test_models_with_few_wrong_values_count_for_what_is_right_alone():
    found = recall(values((0.1, 0.95), (0.3, 0.3))(np.random.default_rng(3)))
    assert found.verdict == "refuted"
    assert found.models == 9
    assert "wrong final values of m9" in {one.what for one in found.excluded}


def test_chance_is_what_other_instances_attractors_give():
    """Values that are as often other instances' attractors as their own are no jumps."""
    share = 0.4
    found = recall(values((0.2, 0.2), (0, 0), by_chance=share)(np.random.default_rng(3)))
    assert found.effect.value == pytest.approx(0, abs=0.05)
    for row in found.parts[0].rows:
        assert row[4] == pytest.approx(share, abs=0.15)  # the share that is the converged value


def test_altered_steps_and_traces_are_compared_on_the_same_instances():
    found = recall(values((0.3, 0.3), (0.4, 0.4), altered=0.25)(np.random.default_rng(3)))
    shares = {one.what: one.value for one in found.estimates}
    # Of all values 0.7 are wrong; of these 0.4 jump as they are and 0.1 with altered steps.
    assert shares["jumps to the limit, less with altered steps"] == pytest.approx(0.7 * 0.3, abs=0.03)
    assert shares["right answers, trace minus final"] == pytest.approx(0, abs=0.03)


@pytest.mark.parametrize("claim", [claims.COMPOUNDING, claims.RECALL])
def test_a_plan_is_a_spec_that_runs(claim):
    spec, _ = from_table(tomllib.loads(claim.plan))
    assert expand(checked(spec))


def test_without_answers_nothing_is_decided():
    assert claims.compounding([], []).verdict == claims.recall([], []).verdict == "undecided"
