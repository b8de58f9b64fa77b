"""Crew assignment: each constraint on three tasks worked out by hand, the optimum by all assignments and by SCIP."""

from dataclasses import replace
from itertools import combinations, product

import pytest
from ortools.linear_solver import pywraplp

from solvers.exact import solve
from solvers.keys import Stream
from solvers.names import Names
from solvers.optimization.crew_assignment import (
    BudgetLeft,
    Certification,
    CrewAssignment,
    CrewAssignmentData,
    Incompatible,
    MaxConcurrent,
    MaxHours,
    SameWorker,
    SingleAssignment,
    TotalCost,
    WorkloadBalance,
)
from solvers.problem import SIZES, Absent, Target
from solvers.shapes import MapOf, Partial
from tests.solvers.optimization import agreed, draws, instance_of, instances, violated

HOURS = ((10, 8, 12), (20, 16, 24), (6, 10, 14))  # by task, by worker
COST = ((100, 160, 144), (200, 320, 288), (60, 200, 168))
WINDOW = ((1, 2), (2, 3), (3, 4))
DATA = CrewAssignmentData(
    certification=(0, 1, 0),
    type=(0, 0, 1),
    base=(10, 20, 10),
    window=WINDOW,
    rate=(10, 20, 12),
    holds=((0, 1), (0,), (1,)),
    pace=((100, 60), (80, 100), (120, 140)),
    most=(30, 20, 30),
    at_once=(1, 1, 1),
    spread=20,
    incompatible=((1, 2),),
    together=((0, 2),),
)
SHAPE = MapOf("task", 3, "worker", 3)
ASSIGNED = SingleAssignment(2, 3)
CERTIFICATION = Certification(0, 3, (0, 1))
MAX_HOURS = MaxHours(0, (10, 20, 6), 30)
CONCURRENT = MaxConcurrent(0, WINDOW, 1)
BALANCE = WorkloadBalance(HOURS, 3, 20)
INCOMPATIBLE = Incompatible((1, 2), 3)
SAME_WORKER = SameWorker((0, 2), 3)
TARGET = Target(TotalCost(COST), 448)


def crew(*workers):
    """Return the answer that gives tasks 1, 2 … to these workers (from 0); None leaves one out."""
    return Partial({t: w for t, w in enumerate(workers) if w is not None})


@pytest.mark.parametrize(
    ("constraint", "workers", "slack"),
    [
        pytest.param(ASSIGNED, (0, 0, 0), 0, id="single_assignment trivial"),
        pytest.param(ASSIGNED, (0, 0, None), None, id="single_assignment fails"),
        pytest.param(ASSIGNED, (2, 1, 2), 0, id="single_assignment holds"),
        pytest.param(CERTIFICATION, (0, 2, 2), 0, id="certification trivial"),
        pytest.param(CERTIFICATION, (2, 0, 0), -1, id="certification fails"),
        pytest.param(CERTIFICATION, (1, 2, 2), 0, id="certification holds"),
        pytest.param(MAX_HOURS, (1, 1, 1), 30, id="max_hours trivial"),
        pytest.param(MAX_HOURS, (0, 0, 0), -6, id="max_hours fails"),
        pytest.param(MAX_HOURS, (0, 0, 1), 0, id="max_hours holds"),
        pytest.param(CONCURRENT, (1, 2, 1), 1, id="max_concurrent trivial"),
        pytest.param(CONCURRENT, (1, 0, 0), -1, id="max_concurrent fails, both on day 3"),
        pytest.param(CONCURRENT, (0, 0, 0), -1, id="max_concurrent fails, two on day 2, two on day 3"),
        pytest.param(CONCURRENT, (0, 1, 0), 0, id="max_concurrent holds"),
        pytest.param(BALANCE, (0, 2, 1), 6, id="workload_balance trivial"),
        pytest.param(BALANCE, (0, 2, 0), -4, id="workload_balance fails, worker 2 idles"),
        pytest.param(BALANCE, (1, 0, 1), 0, id="workload_balance holds"),
        pytest.param(INCOMPATIBLE, (0, 1, 2), 0, id="incompatible trivial"),
        pytest.param(INCOMPATIBLE, (0, 2, 2), -1, id="incompatible fails"),
        pytest.param(INCOMPATIBLE, (0, 0, 1), 0, id="incompatible holds"),
        pytest.param(SAME_WORKER, (1, 1, 1), 0, id="same_worker trivial"),
        pytest.param(SAME_WORKER, (0, 1, 1), -1, id="same_worker fails"),
        pytest.param(SAME_WORKER, (2, 0, 2), 0, id="same_worker holds"),
        pytest.param(TARGET, (0, 0, 0), 88, id="target trivial"),
        pytest.param(TARGET, (1, 2, 0), -60, id="target fails"),
        pytest.param(TARGET, (0, 2, 0), 0, id="target holds"),
    ],
)
def test_slack_of_each_constraint(constraint, workers, slack):
    """Predicate and solver agree with the slack worked out by hand."""
    assert agreed(SHAPE, constraint, crew(*workers)) == slack


@pytest.mark.parametrize(
    "constraint", [ASSIGNED, CERTIFICATION, INCOMPATIBLE, SAME_WORKER, TARGET], ids=lambda c: c.kind
)
def test_a_missing_task_fails_what_names_it(constraint):
    """An answer that leaves tasks out does not pass by doing so."""
    with pytest.raises(Absent):
        constraint.check(crew(None, 0, None))


@pytest.mark.parametrize("first", range(1, 5))
@pytest.mark.parametrize("last", range(1, 5))
def test_a_day_in_common_is_a_conflict(first, last):
    """Windows include both their ends: one day in common is enough for two tasks at once."""
    if first <= last:
        constraint = MaxConcurrent(0, ((2, 3), (first, last)), 1)
        common = {2, 3} & set(range(first, last + 1))
        assert agreed(MapOf("task", 2, "worker", 2), constraint, crew(0, 0)) == (-1 if common else 0)


@pytest.mark.parametrize(
    ("modules", "optimum"),
    [
        ((), 420),  # task 1 to worker 2 (160), tasks 2 and 3 to worker 1 (26 hours, 260)
        (("max_concurrent",), 448),  # tasks 2 and 3 share day 3: 1 and 3 to worker 1 (160), 2 to worker 3 (288)
        (("workload_balance",), 508),  # hours 6, 8 and 24: 160 + 288 + 60
        (("incompatible",), 448),
        (("same_worker",), 448),
        (None, 560),  # 1 and 3 to worker 2 (18 hours, 360), 2 to worker 1 (20 hours, 200)
    ],
)
def test_optimum_worked_by_hand(modules, optimum):
    """The tiny instance has the optimum that pen and paper give; every arm has the joint arm's target."""
    _, instance = instance_of(CrewAssignment, DATA, modules)
    assert (instance.optimum, instance.proof.status, instance.proof.bound) == (optimum, "OPTIMAL", optimum)
    assert instance.target >= 560


def price(d, workers):
    """Return hours by worker and total cost of a complete assignment."""
    load, cost = [0] * len(d.rate), 0
    for t, w in enumerate(workers):
        share = d.base[t] * d.pace[w][d.type[t]]
        assert share % 100 == 0
        load[w] += share // 100
        cost += share // 100 * d.rate[w]
    return load, cost


def least_cost(d, modules):
    best = None
    for workers in product(*([w for w, held in enumerate(d.holds) if c in held] for c in d.certification)):
        load, cost = price(d, workers)
        if any(hours > most for hours, most in zip(load, d.most, strict=True)):
            continue
        if "workload_balance" in modules and max(load) - min(load) > d.spread:
            continue
        if "incompatible" in modules and any(workers[a] == workers[b] for a, b in d.incompatible):
            continue
        if "same_worker" in modules and any(workers[a] != workers[b] for a, b in d.together):
            continue
        if "max_concurrent" in modules and any(
            sum(workers[t] == w and a <= day <= b for t, (a, b) in enumerate(d.window)) > most
            for w, most in enumerate(d.at_once)
            for day in range(1, 12)
        ):
            continue
        best = cost if best is None else min(best, cost)
    return best


def arms(family):
    names = family.module_names
    return [arm for count in range(len(names) + 1) for arm in combinations(names, count)]


def optimum(family, d, modules):
    return solve(family.form(d), family.arm(d, modules), family.objective(d)).objective


def test_optimum_equals_brute_force():
    """On 240 instances, over all sets of modules, the proven optimum is the best of all assignments."""
    family = CrewAssignment()
    for index, d in enumerate(draws(family, "xs", 240)):
        modules = arms(family)[index % 16]
        assert optimum(family, d, modules) == least_cost(d, modules)


def scip(d, modules):
    """Return the optimum of a linear model for SCIP; hours are in hundredths, balance is by pairs of workers."""
    solver = pywraplp.Solver.CreateSolver("SCIP")
    tasks, workers = range(len(d.base)), range(len(d.rate))
    share = [[d.base[t] * d.pace[w][d.type[t]] for w in workers] for t in tasks]
    x = [[solver.BoolVar("") for _ in workers] for _ in tasks]
    load = [sum(share[t][w] * x[t][w] for t in tasks) for w in workers]
    for t in tasks:
        solver.Add(sum(x[t][w] for w in workers if d.certification[t] in d.holds[w]) == 1)
        solver.Add(sum(x[t]) == 1)
    for w in workers:
        solver.Add(load[w] <= 100 * d.most[w])
        if "max_concurrent" in modules:
            for day in range(1, 12):
                solver.Add(sum(x[t][w] for t in tasks if d.window[t][0] <= day <= d.window[t][1]) <= d.at_once[w])
        for v in workers if "workload_balance" in modules else ():
            solver.Add(load[w] - load[v] <= 100 * d.spread)
        for a, b in d.incompatible if "incompatible" in modules else ():
            solver.Add(x[a][w] + x[b][w] <= 1)
        for a, b in d.together if "same_worker" in modules else ():
            solver.Add(x[a][w] - x[b][w] == 0)
    solver.Minimize(sum(d.rate[w] * load[w] for w in workers))
    assert solver.Solve() == solver.OPTIMAL
    return round(solver.Objective().Value()) / 100


def test_optimum_equals_that_of_another_solver():
    """On 32 instances of size s, over all sets of modules, SCIP finds the same optimum."""
    family = CrewAssignment()
    for index, d in enumerate(draws(family, "s", 32)):
        modules = arms(family)[index % 16]
        assert optimum(family, d, modules) == scip(d, modules)


@pytest.mark.parametrize("size", SIZES)
def test_drawn_data_are_sound(size):
    """Hours are whole, each certification and type occurs, nobody holds all, windows lie in the days, pairs differ."""
    family, knobs = CrewAssignment(), CrewAssignment().sizes[size]
    for d in draws(family, size, 20):
        assert all(base % 5 == 0 for base in d.base)
        assert {c for held in d.holds for c in held} == set(range(knobs.certifications))
        assert all(0 < len(held) < knobs.certifications or knobs.certifications == 2 for held in d.holds)
        assert set(d.type) == set(range(knobs.types))
        assert all(1 <= first < last <= knobs.days for first, last in d.window)
        assert (len(d.incompatible), len(d.together)) == (knobs.incompatible, knobs.together)
        assert not set(d.incompatible) & set(d.together)


def test_what_is_left_mirrors_the_cost():
    """Cost and rest add up to the budget, whatever the assignment."""
    left = BudgetLeft(COST, 700)
    assert left.of(crew(0, 2, 0)) == 700 - 448
    assert all(left.of(crew(*w)) + TotalCost(COST).of(crew(*w)) == 700 for w in product(range(3), repeat=3))


def test_distractors_are_of_no_use():
    """What is added is required by no task and had by none: certifications and types, each of them stated."""
    family = CrewAssignment()
    for d in draws(family, "s", 10):
        for extra in (1, 2, 4):
            crowd = family.distracted(d, extra, Stream(f"crowd {extra}"))
            assert replace(crowd, holds=d.holds, pace=d.pace) == d
            before, after = family.entities(d), family.entities(crowd)
            assert after == {**before, **{e: (1 + extra) * before[e] for e in ("certification", "type")}}
            assert {c for held in crowd.holds for c in held} == set(range(after["certification"]))


def test_statement_says_every_number():
    """The statement lists tasks and workers, says how hours and costs come about, and states each rule."""
    family, instance = instance_of(CrewAssignment, DATA)
    text = family.statement(instance, "final")
    assert (
        "task | certification | type | base hours | first day | last day\n"
        "1 | 1 | 1 | 10 | 1 | 2\n2 | 2 | 1 | 20 | 2 | 3\n3 | 1 | 2 | 10 | 3 | 4\n" in text
    )
    assert (
        "worker | rate | certifications | pace in type 1 | pace in type 2\n"
        "1 | 10 | 1, 2 | 100 | 60\n2 | 20 | 1 | 80 | 100\n3 | 12 | 2 | 120 | 140\n" in text
    )
    assert "are base hours × pace / 100 (always a whole number), with the pace of this worker in the type" in text
    assert "on every day from its first day to its last day, both included." in text
    assert "1. Every task has exactly one worker.\n" in text
    assert "2. The worker of every task holds the certification that the task requires.\n" in text
    assert "3. Worker 1 works at most 30 hours in total.\n" in text
    assert "8. On every day, the number of tasks that occupy worker 3 is at most 1.\n" in text
    assert "9. The total hours of any two workers differ by at most 20; a worker without a task has 0 hours.\n" in text
    assert "10. Tasks 2 and 3 have different workers.\n11. Tasks 1 and 3 have the same worker.\n" in text
    assert text.endswith("Objective: Minimise the total cost of all tasks.")


def test_statement_uses_the_names_given():
    """Renamed entities appear in the sentences."""
    names = Names({"task": ("flight", "flights"), "worker": ("pilot", "pilots")}, {"worker": ("Ada", "Bob", "Cyd")})
    assert MAX_HOURS.say(names) == "Pilot Ada works at most 30 hours in total."
    assert INCOMPATIBLE.say(names) == "Flights 2 and 3 have different pilots."


@pytest.mark.parametrize("size", SIZES)
def test_greedy_breaks_no_ceiling(size):
    """Greedy never breaks a hereditary rule; where a task finds no worker, it stays without."""
    family = CrewAssignment()
    for d in draws(family, size, 5):
        constraints = family.arm(d, family.module_names)
        answer = family.greedy(d, family.fits(constraints))
        assert answer
        for c in constraints:
            named = {getattr(c, "task", None), *getattr(c, "pair", ())} - {None}
            assert not c.hereditary or not named <= set(answer) or c.check(answer) >= 0


def _two_apart(answer, c):
    return Partial({**answer, c.pair[0]: (answer[c.pair[1]] + 1) % c.workers})


MUTATIONS = {
    "single_assignment": lambda answer, c: Partial({t: w for t, w in answer.items() if t != c.task}),
    "certification": lambda answer, c: Partial({**answer, c.task: min(set(range(c.workers)) - set(c.holders))}),
    "max_hours": lambda answer, c: Partial(dict.fromkeys(answer, c.worker)),
    "max_concurrent": lambda answer, c: Partial(dict.fromkeys(answer, c.worker)),
    "workload_balance": lambda answer, c: Partial(dict.fromkeys(answer, 0)),
    "incompatible": lambda answer, c: Partial({**answer, c.pair[0]: answer[c.pair[1]]}),
    "same_worker": _two_apart,
    "target": lambda answer, c: Partial({t: row.index(max(row)) for t, row in enumerate(c.objective.cost)}),
}


@pytest.mark.parametrize("kind", CrewAssignment().constraint_kinds)
def test_a_breaking_mutation_is_reported(kind):
    """The exact answer, mutated to break one constraint, is reported as breaking it by judge and solver."""
    family = CrewAssignment()
    for instance in instances(family, "s", 5):
        for constraint in family.constraints(instance, "final"):
            if constraint.kind == kind and len(getattr(constraint, "holders", ())) < 5:
                mutant = MUTATIONS[kind](instance.answer, constraint)
                assert constraint not in violated(family, instance, instance.answer)
                assert constraint in violated(family, instance, mutant)
                slack = agreed(family.shape(instance, "final"), constraint, mutant)
                assert slack is None if kind == "single_assignment" else slack < 0
