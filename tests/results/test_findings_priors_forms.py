"""Claims about memory (8) and about formats (11): on simulated models whose truth is known, verdicts are right."""

from dataclasses import replace

import numpy as np
import pytest

from probe.results.findings.forms import forms
from probe.results.findings.priors import priors
from tests.results import simulated as sim
from tests.results.simulated import Truth

RUNS = 40


def remembering(*given, **more):
    return lambda rng: priors(sim.rememberers(rng, *given, **more))


def trained(before, after, large, **more):
    return lambda rng: forms(sim.tuned(rng, before, after, large, **more))


TRUTHS = [
    Truth("leaks, whatever the prompt says", remembering(6, 0.3, 0.28), "supported"),
    Truth("a warning removes the leak", remembering(6, 0.3, 0.0, twins=500), "refuted"),
    Truth("no leak", remembering(6, 0.0, 0.0, twins=300), "refuted"),
    Truth("a warning removes most of the leak", remembering(6, 0.3, 0.08), "undecided"),
    Truth("leaks, two models", remembering(2, 0.3, 0.28), "undecided"),
    Truth("the originals aren't solved", remembering(6, 0.3, 0.28, solved=0.1), "undecided"),
    Truth("formats were the trouble", trained((0.5, 0.8), (0.97, 0.8), (0.98, 0.79), instances=400), "supported"),
    Truth("contents were the trouble", trained((0.95, 0.4), (0.96, 0.8), (0.98, 0.79)), "refuted"),
    Truth("nothing gained", trained((0.99, 0.8), (0.99, 0.8), (0.99, 0.79), instances=1600), "refuted"),
    Truth("far from the large model", trained((0.5, 0.5), (0.97, 0.5), (0.98, 0.8)), "refuted"),
    Truth("few instances", trained((0.9, 0.7), (0.95, 0.72), (0.97, 0.75), instances=25), "undecided"),
]


@pytest.mark.parametrize("truth", TRUTHS, ids=lambda truth: truth.name)
def test_what_is_so_is_found_or_left_undecided(truth):
    sim.holds(truth, RUNS)


def drawn(**more):
    return sim.rememberers(np.random.default_rng(5), 3, 0.3, 0.28, **more)


def test_without_a_warning_to_compare_with_a_leak_is_not_called_stubborn():
    found = priors([arm for arm in drawn() if arm.manner is None or not arm.manner.warning])
    assert found.verdict == "undecided"
    assert found.effect.above()


def test_perturbed_twins_of_a_published_problem_are_one_cluster_and_count_where_it_is_solved():
    """Family assignment knows two problems of size xs; they take turns."""
    (model,) = sim.models([1e9])
    more = {"family": "assignment", "size": "xs"}
    first_only = np.array([1, 0])
    arms = sim.arms(model, {"optimal": (1, first_only)}, variant="famous", **more)
    arms += sim.arms(model, {"recalled": (1, np.tile([1, 0], 50))}, variant="perturbed", **more)
    (left,) = priors(arms).excluded
    assert left.why == "solves 1 originals, of 50 perturbed twins in all"


def test_the_null_is_the_baseline_that_equals_the_original_more_often():
    (model,) = sim.models([1e9])
    more = {"kind": "numerics", "family": "jacobi"}
    twins = {"recalled": (1, np.zeros(60, int))}
    arms = sim.arms(model, {"feasible": (1, np.ones(60, int))}, **more)
    arms += sim.arms(model, twins, variant="perturbed", **more)
    more |= {"variant": "perturbed", "manner": None}
    arms += sim.arms(sim.RANDOM, twins, **more) + sim.arms(sim.GREEDY, {"recalled": (1, np.arange(60) % 2)}, **more)
    ((_, twins_, share, null, *_),) = priors(arms).parts[0].rows
    assert (twins_, share, null) == (60, 0.0, 0.5)


def test_a_gain_is_split_into_format_and_content_without_rest():
    found = trained((0.5, 0.6), (0.9, 0.8), (0.95, 0.8))(np.random.default_rng(2))
    gain, by_format, by_content = found.estimates
    assert gain.value == pytest.approx(by_format.value + by_content.value)
    assert found.effect.value == pytest.approx(by_format.value - by_content.value)
    assert by_format.value == pytest.approx(0.4 * 0.7, abs=0.08)
    assert by_content.value == pytest.approx(0.2 * 0.7, abs=0.08)


def test_a_model_without_any_valid_answer_gains_by_format_alone():
    found = trained((0.0, 0.5), (1.0, 0.8), (1.0, 0.8))(np.random.default_rng(2))
    gain, by_format, by_content = found.estimates
    assert by_content.value == 0
    assert gain.value == by_format.value > 0.7


def test_formats_and_contents_are_shown_by_channel_even_without_a_pair():
    arms = sim.tuned(np.random.default_rng(2), (0.5, 0.6), (0.9, 0.8), (0.95, 0.8))
    alone = [replace(arm, subject=replace(arm.subject, training="sft")) for arm in arms]
    found = forms(alone)
    assert found.verdict == "undecided"
    (table,) = found.parts
    assert [row[:2] for row in table.rows] == [("m1", "json"), ("m2", "json"), ("m3", "json")]
    valid = table.rows[0][2]
    assert valid.value == pytest.approx(0.5, abs=0.1)
    assert valid.low < valid.value < valid.high
