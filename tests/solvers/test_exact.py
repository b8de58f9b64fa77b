"""Exact answers: optimal by proof, checked against the predicates, the same effort on every machine."""

import dataclasses
from itertools import combinations
from typing import Any

import pytest

from solvers import exact, registry
from solvers.keys import Stream
from solvers.optimization.knapsack import Capacity, Conflict, MinimumCount, Requires, TotalValue
from solvers.problem import Target, Untrue, examine
from solvers.shapes import SubsetOf

SHAPE = SubsetOf("item", 8)


def problem(word: str) -> tuple[list[Any], TotalValue]:
    """Return the constraints and the objective of a small random knapsack."""
    stream = Stream(word)
    weight, value = stream("weight").integers(8, 3, 20), stream("value").integers(8, 1, 30)
    (conflict, (item, needed)) = stream("pairs").sample(stream("all").pairs(8, 28), 2)
    rules = [Capacity(0, weight, sum(weight) * 2 // 5), Conflict(conflict), Requires(item, needed), MinimumCount(2)]
    return rules, TotalValue(value)


def feasible(rules: list[Any]) -> list[frozenset[int]]:
    """Return every answer that satisfies the rules, by trying all 256."""
    every = [frozenset(chosen) for size in range(9) for chosen in combinations(range(8), size)]
    return [answer for answer in every if all(check.satisfied for check in examine(rules, answer))]


@pytest.mark.parametrize("direction", ["max", "min"])
def test_the_answer_is_the_best_of_all(direction: str) -> None:
    """On instances small enough to try every answer, none is better, and the proof's bound is its value."""

    class Value(TotalValue):
        pass

    Value.direction = direction
    for k in range(12):
        rules, total = problem(f"best {k}")
        objective = Value(total.value)
        best = (max if direction == "max" else min)(map(objective.of, feasible(rules)))
        solution = exact.solve(SHAPE, rules, objective)
        assert (solution.status, solution.objective, solution.proof.bound) == ("optimal", best, best)
        assert solution.proof.status == "OPTIMAL"
        assert solution.answer in feasible(rules)
        assert objective.of(solution.answer) == best


def test_admits_exactly_the_feasible_answers() -> None:
    """With its variables fixed, the solver finds every feasible answer feasible and no other."""
    rules, _ = problem("admits")
    good = set(feasible(rules))
    assert 0 < len(good) < 256
    for size in range(9):
        for chosen in map(frozenset, combinations(range(8), size)):
            assert exact.admits(SHAPE, rules, chosen) == (chosen in good)


def test_what_cannot_be_met_is_infeasible() -> None:
    """Rules that contradict each other give no answer, no objective and no bound."""
    rules, objective = problem("none")
    solution = exact.solve(SHAPE, [*rules, MinimumCount(8)], objective)
    assert (solution.status, solution.answer, solution.objective, solution.proof.bound) == ("infeasible", *[None] * 3)


def test_without_an_objective_any_feasible_answer_is_proof_enough() -> None:
    """A pure satisfaction problem gives a certified point and no objective."""
    rules, _ = problem("point")
    solution = exact.solve(SHAPE, rules, None)
    assert solution.status == "optimal"
    assert solution.answer in feasible(rules)
    assert (solution.objective, solution.proof.bound) == (None, None)


def test_no_proof_within_the_effort_is_unproven() -> None:
    """An instance given no effort is given up, not passed off as solved."""
    family = registry.get("knapsack")
    instance, _ = family.instance("xl", 7, 0)
    rules, objective = family.arm(instance.data, instance.modules), family.objective_of(instance)
    solution = exact.solve(family.shape(instance, "final"), rules, objective, effort=0.0)
    assert (solution.status, solution.answer, solution.objective) == ("unproven", None, None)


def test_the_effort_of_a_proof_is_the_same_each_time() -> None:
    """Effort is deterministic, so that what is given up does not depend on the machine; seconds are not compared."""
    rules, objective = problem("twice")
    first, second = (exact.solve(SHAPE, rules, objective) for _ in range(2))
    assert first == second
    assert first.proof.effort > 0
    assert first.proof == dataclasses.replace(second.proof, seconds=second.proof.seconds + 1)


def test_proofs_name_the_solver_and_its_version() -> None:
    """A stored proof says which solver it comes from."""
    from importlib.metadata import version

    assert exact.solve(SHAPE, *problem("name")).proof.solver == f"cp-sat {version('ortools')}"


def test_a_solver_that_posts_less_than_is_checked_is_never_believed() -> None:
    """Where an answer of the solver fails a predicate, the fault is raised, naming the constraint."""

    @dataclasses.dataclass(frozen=True)
    class Unposted(Capacity):
        def post(self, model: Any, x: Any) -> None:
            pass

    rules, objective = problem("less")
    with pytest.raises(Untrue, match=r"violates capacity\.1"):
        exact.solve(SHAPE, [Unposted(0, rules[0].size, rules[0].limit)], objective)


def test_an_objective_posted_differently_is_never_believed() -> None:
    """Where the recomputed objective is not the proven one, the fault is raised with both values."""

    class Generous(TotalValue):
        def post(self, model: Any, x: Any) -> Any:
            return super().post(model, x) + 1

    rules, objective = problem("more")
    value = exact.solve(SHAPE, rules, objective).objective
    with pytest.raises(Untrue, match=rf"proved {value + 1}, its answer is worth {value}"):
        exact.solve(SHAPE, rules, Generous(objective.value))


def test_a_target_at_the_optimum_can_be_met_and_one_beyond_it_cannot() -> None:
    """The optimum is tight: asking for it is feasible, asking for one more is not."""
    rules, objective = problem("tight")
    best = exact.solve(SHAPE, rules, objective).objective
    assert exact.solve(SHAPE, [*rules, Target(objective, best)], None).status == "optimal"
    assert exact.solve(SHAPE, [*rules, Target(objective, best + 1)], None).status == "infeasible"


def test_a_bound_that_the_solver_states_a_hair_too_low_is_the_integer_it_means():
    """CP-SAT reports 92.99999999999999 for this proven 93: no fault, and no other optimum."""
    found, _ = registry.get("knapsack").instance("xs", 7, 426)
    assert found.proof.bound == found.optimum
