"""Baselines: answers without thought, the same every time, through the same judge as any model's."""

import json
from functools import cache

import pytest

from probe import preparing
from probe.asking import baselines
from probe.asking.judging import FEASIBLE, judge_reply
from probe.asking.posed import Posed
from probe.preparing import BaselineWork, BlockWork
from solvers import registry
from solvers.constrained import Optimization
from solvers.procedure import Procedure

EVERY = [(name, mode) for name in registry.modules() for mode in registry.get(name).modes]
BLOCK = 6  # instances of the small blocks here


@cache
def block(family, size="xs"):
    kind = registry.get(family)
    return preparing.make(BlockWork(1, family, size, kind.module_names, "fresh", 7, 0, 0, BLOCK))


@cache
def answered(family, mode, baseline):
    documents = tuple((position, blob) for position, _, _, blob in block(family).instances)
    return preparing.answer(BaselineWork(1, baseline, mode, documents))


@pytest.mark.parametrize(("family", "mode"), EVERY)
def test_exact_scores_everything(family, mode):
    """On every instance, through text and judge: each constraint satisfied, feasible or, where defined, optimal."""
    records = answered(family, mode, "exact")
    assert len(records) == len(block(family).instances) > 0
    assert all(row.satisfied == row.constraints for row in records)
    found, _ = registry.get(family).instance("xs", 7, 0)
    goal = "feasible" if registry.get(family).objective_of(found) is None else "optimal"
    assert {row.outcome for row in records} == {goal}


@pytest.mark.parametrize(("family", "mode"), EVERY)
def test_blank_says_nothing_and_passes_nowhere(family, mode):
    """The empty answer is never feasible."""
    records = answered(family, mode, "blank")
    assert len(records) == len(block(family).instances)
    assert not {row.outcome for row in records} & set(FEASIBLE)


@pytest.mark.parametrize(("family", "mode"), EVERY)
def test_random_answers_are_well_formed_and_several_an_instance(family, mode):
    """Each instance gets the stated number of random answers; all are read, so chance is one of solving only."""
    records = answered(family, mode, "random")
    positions = [position for position, *_ in block(family).instances]
    wanted = [(p, sample) for p in positions for sample in range(baselines.samples("random"))]
    assert [(row.position, row.sample) for row in records] == wanted
    assert not {row.outcome for row in records} - {"infeasible", *FEASIBLE}
    assert not any(row.repairs for row in records)
    assert len({row.answer for row in records}) > len(records) / 2


@pytest.mark.parametrize(("family", "mode"), EVERY)
def test_greedy_is_for_optimization_and_template_for_procedures(family, mode):
    """A baseline that a family doesn't offer leaves no trial; one that it does leaves one an instance."""
    greedy, template = (len(answered(family, mode, baseline)) for baseline in ("greedy", "template"))
    every, kind = len(block(family).instances), registry.get(family)
    assert greedy == (every if isinstance(kind, Optimization) else 0)
    if isinstance(kind, Procedure):
        assert template == every or not kind.settles  # some trajectories come to no rest
    else:
        assert template in (0, every)


@pytest.mark.parametrize("family", [name for name, mode in EVERY if mode == "trace"])
def test_the_template_gives_the_limit_after_every_step(family):
    """One who knows the procedure but doesn't run it: the converged value, the same in each iterate."""
    for row in answered(family, "trace", "template"):
        iterates = json.loads(row.answer)["iterates"]
        assert len({json.dumps(iterate) for iterate in iterates}) == 1
        assert row.outcome == "infeasible"
        assert row.counts["attractor:converged"][1] > 0


@pytest.mark.parametrize("baseline", baselines.BASELINES)
@pytest.mark.parametrize(("family", "mode"), EVERY)
def test_a_baseline_answers_the_same_every_time(family, mode, baseline):
    """Answers depend on instance, mode and sample alone."""
    found, _ = registry.get(family).instance("s", 7, 0)
    first, second = Posed(found, mode), Posed(found, mode)
    for sample in range(baselines.samples(baseline)):
        assert baselines.answer(first, baseline, sample) == baselines.answer(second, baseline, sample)


def test_random_answers_differ_between_modes_and_samples():
    """Final and trace are asked apart: their chance levels don't rest on the same draws."""
    found, _ = registry.get("jacobi").instance("s", 7, 0)
    final, trace = Posed(found, "final"), Posed(found, "trace")
    assert baselines.answer(final, "random", 0)[0] != baselines.answer(trace, "random", 0)[0]
    assert len({baselines.answer(final, "random", sample) for sample in range(5)}) == 5


@pytest.mark.parametrize("baseline", baselines.BASELINES)
def test_samples_are_one_but_for_random(baseline):
    """Only where answers vary is more than one asked for."""
    assert baselines.samples(baseline) == (baselines.RANDOM_SAMPLES if baseline == "random" else 1)


def test_an_unknown_baseline_is_named():
    """The error lists what there is."""
    found, _ = registry.get("jacobi").instance("xs", 7, 0)
    with pytest.raises(KeyError, match=r"no baseline 'clever'.*blank, random, greedy, template, exact"):
        baselines.answer(Posed(found, "final"), "clever", 0)


def test_greedy_fails_says_what_judging_greedy_says():
    """Instances marked so are those where the judged greedy answer isn't within 5 % of the optimum."""
    seen = set()
    for family in (kind.name for kind in registry.families() if isinstance(kind, Optimization)):
        for index in range(BLOCK):
            found, _ = registry.get(family).instance("m", 7, index)
            posed = Posed(found, "final")
            text = json.dumps(posed.shape.write(baselines.answer(posed, "greedy", 0), found.names))
            verdict = judge_reply(posed, text, "stop")
            broken = [c for c in verdict.checks if not c.satisfied and c.constraint_class != "target"]
            if broken:
                assert found.greedy_fails
            elif verdict.outcome == "optimal":
                assert not found.greedy_fails
            seen.add(found.greedy_fails)
    assert seen == {True, False}
