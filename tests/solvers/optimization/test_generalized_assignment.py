"""Generalised assignment: each constraint on three jobs worked out by hand, the optimum by all plans and by SCIP."""

from dataclasses import replace
from itertools import chain, combinations, product
from pathlib import Path

import pytest
from ortools.linear_solver import pywraplp

from solvers.exact import solve
from solvers.formats.common import FormatError
from solvers.keys import Stream
from solvers.names import Names
from solvers.optimization.generalized_assignment import (
    FAMOUS,
    Assigned,
    Capacity,
    Forbidden,
    GeneralizedAssignment,
    GeneralizedAssignmentData,
    Incompatible,
    MaxJobs,
    MinJobs,
    Profit,
    ProfitMissed,
)
from solvers.problem import SIZES, Absent, Target
from solvers.shapes import MapOf, Partial
from tests.solvers.optimization import agreed, draws, instance_of, instances, violated

PUBLIC = Path(__file__).parents[2] / "data" / "public" / "generalized_assignment"

# Within capacity are jobs 1 2 3 at agents 1 2 1 (19), 1 2 2 (18), 2 1 1 (16) and 2 1 2 (15).
PROFIT = ((6, 5, 4), (7, 9, 3))
LOAD = ((3, 4, 2), (5, 4, 3))
DATA = GeneralizedAssignmentData(
    profit=PROFIT,
    load=LOAD,
    capacity=(6, 8),
    forbidden=((1, (1,)),),
    incompatible=((0, 2),),
    least=((0, 2),),
    most=2,
)
SHAPE = MapOf("job", 3, "agent", 2)
WIDER = MapOf("job", 3, "agent", 3)
ASSIGNED = Assigned(2, 2)
CAPACITY = Capacity(0, LOAD[0], 6)
FORBIDDEN = Forbidden(1, (1, 2))
INCOMPATIBLE = Incompatible((0, 2), 2)
MIN_JOBS = MinJobs(0, 3, 2)
MAX_JOBS = MaxJobs(1, 3, 2)
TARGET = Target(Profit(PROFIT), 18)


def plan(*agents):
    """Return the answer that gives jobs 1, 2 … to these agents (from 0); None leaves one out."""
    return Partial({j: i for j, i in enumerate(agents) if i is not None})


@pytest.mark.parametrize(
    ("constraint", "agents", "slack"),
    [
        pytest.param(ASSIGNED, (0, 0, 0), 0, id="assigned trivial"),
        pytest.param(ASSIGNED, (0, 0, None), None, id="assigned fails"),
        pytest.param(ASSIGNED, (0, 1, 1), 0, id="assigned holds"),
        pytest.param(CAPACITY, (1, 1, 1), 6, id="capacity trivial"),
        pytest.param(CAPACITY, (0, 0, 1), -1, id="capacity fails"),
        pytest.param(CAPACITY, (1, 0, 0), 0, id="capacity holds"),
        pytest.param(FORBIDDEN, (0, 0, 0), 0, id="forbidden trivial"),
        pytest.param(FORBIDDEN, (0, 1, 0), -1, id="forbidden fails, the first"),
        pytest.param(FORBIDDEN, (0, 2, 0), -1, id="forbidden fails, the second"),
        pytest.param(FORBIDDEN, (2, 0, 1), 0, id="forbidden holds"),
        pytest.param(INCOMPATIBLE, (0, 0, 1), 0, id="incompatible trivial"),
        pytest.param(INCOMPATIBLE, (1, 0, 1), -1, id="incompatible fails"),
        pytest.param(INCOMPATIBLE, (1, 1, 0), 0, id="incompatible holds"),
        pytest.param(MIN_JOBS, (0, 0, 0), 1, id="min_jobs trivial"),
        pytest.param(MIN_JOBS, (0, 1, 1), -1, id="min_jobs fails"),
        pytest.param(MIN_JOBS, (0, 1, 0), 0, id="min_jobs holds"),
        pytest.param(MAX_JOBS, (0, 0, 0), 2, id="max_jobs trivial"),
        pytest.param(MAX_JOBS, (1, 1, 1), -1, id="max_jobs fails"),
        pytest.param(MAX_JOBS, (1, 0, 1), 0, id="max_jobs holds"),
        pytest.param(TARGET, (1, 1, 0), 2, id="target trivial"),
        pytest.param(TARGET, (1, 0, 0), -2, id="target fails"),
        pytest.param(TARGET, (0, 1, 1), 0, id="target holds"),
    ],
)
def test_slack_of_each_constraint(constraint, agents, slack):
    """Predicate and solver agree with the slack worked out by hand."""
    assert agreed(WIDER if constraint is FORBIDDEN else SHAPE, constraint, plan(*agents)) == slack


@pytest.mark.parametrize("constraint", [ASSIGNED, FORBIDDEN, INCOMPATIBLE, TARGET], ids=lambda c: c.kind)
def test_a_missing_job_fails_what_names_it(constraint):
    """An answer that leaves jobs out does not pass by doing so."""
    with pytest.raises(Absent):
        constraint.check(plan(1))


@pytest.mark.parametrize(
    ("modules", "optimum"),
    [
        ((), 19),
        (("forbidden",), 16),  # job 2 at agent 1
        (("incompatible",), 18),
        (("min_jobs",), 19),
        (("max_jobs",), 19),
        (("incompatible", "min_jobs"), 16),  # agent 1 has job 2 and one more
        (None, 16),
    ],
)
def test_optimum_worked_by_hand(modules, optimum):
    """The tiny instance has the optimum that pen and paper give."""
    _, instance = instance_of(GeneralizedAssignment, DATA, modules)
    assert (instance.optimum, instance.proof.status, instance.proof.bound) == (optimum, "OPTIMAL", optimum)


def best_plan(d, modules):
    """The largest profit over all plans, by rules written down here."""
    jobs, agents = range(len(d.load[0])), range(len(d.capacity))
    profits = []
    for plan_ in product(agents, repeat=len(jobs)):
        of = [[j for j in jobs if plan_[j] == i] for i in agents]
        if any(sum(d.load[i][j] for j in of[i]) > d.capacity[i] for i in agents):
            continue
        broken = {
            "forbidden": any(plan_[j] in some for j, some in d.forbidden),
            "incompatible": any({a, b} <= set(own) for a, b in d.incompatible for own in of),
            "min_jobs": any(len(of[i]) < least for i, least in d.least),
            "max_jobs": max(map(len, of)) > d.most,
        }
        if not any(broken[m] for m in modules):
            profits.append(sum(d.profit[i][j] for i in agents for j in of[i]))
    return max(profits)


def by_mip(d, modules):
    """The optimum as SCIP finds it, with a variable for each pair that is not forbidden."""
    jobs, agents = range(len(d.load[0])), range(len(d.capacity))
    banned = {(i, j) for j, some in d.forbidden for i in some} if "forbidden" in modules else set()
    mip = pywraplp.Solver.CreateSolver("SCIP")
    x = {(i, j): mip.BoolVar("") for i in agents for j in jobs if (i, j) not in banned}
    has = {i: [v for (k, _), v in x.items() if k == i] for i in agents}
    rules = [sum(v for (_, k), v in x.items() if k == j) == 1 for j in jobs]
    rules += [sum(d.load[i][j] * x[i, j] for j in jobs if (i, j) in x) <= d.capacity[i] for i in agents]
    if "incompatible" in modules:
        rules += [x[i, a] + x[i, b] <= 1 for a, b in d.incompatible for i in agents if {(i, a), (i, b)} <= set(x)]
    if "min_jobs" in modules:
        rules += [sum(has[i]) >= least for i, least in d.least]
    if "max_jobs" in modules:
        rules += [sum(has[i]) <= d.most for i in agents]
    for rule in rules:
        mip.Add(rule)
    mip.Maximize(sum(d.profit[i][j] * v for (i, j), v in x.items()))
    assert mip.Solve() == pywraplp.Solver.OPTIMAL
    return round(mip.Objective().Value())


def optimum(family, d, modules):
    return solve(family.form(d), family.arm(d, modules), family.objective(d)).objective


MODULES = GeneralizedAssignment().module_names
ARMS = list(chain.from_iterable(combinations(MODULES, count) for count in range(len(MODULES) + 1)))


def test_optimum_equals_brute_force():
    """On 240 instances of six jobs, over all sets of modules, the proven optimum is the best plan's."""
    family = GeneralizedAssignment()
    for index, d in enumerate(draws(family, "xs", 240)):
        modules = ARMS[index % len(ARMS)]
        assert optimum(family, d, modules) == best_plan(d, modules), (index, modules)


@pytest.mark.parametrize(("size", "count"), [("s", 32), ("m", 32), ("l", 4)])
def test_optimum_equals_scip(size, count):
    """Over all sets of modules, SCIP finds the same optimum."""
    family = GeneralizedAssignment()
    for index, d in enumerate(draws(family, size, count)):
        modules = ARMS[-1 - index % len(ARMS)]
        assert optimum(family, d, modules) == by_mip(d, modules), (index, modules)


@pytest.mark.parametrize("one", FAMOUS, ids=lambda one: one.name)
def test_a_famous_problem_has_its_published_optimum(one):
    """Both solvers prove what the source states."""
    assert len(one.data.load) == len(one.data.profit) == len(one.data.capacity) == 5
    assert {len(row) for row in (*one.data.load, *one.data.profit)} == {15}
    assert optimum(GeneralizedAssignment(), one.data, ()) == by_mip(one.data, ()) == one.optimum


def test_the_famous_problem_is_the_published_file():
    """Typed in here and read from OR-Library's file, the data are the same."""
    read = GeneralizedAssignment().formats["orlibrary"]
    assert read((PUBLIC / "c515-1.txt").read_text(encoding="utf-8")) == (FAMOUS[0].data,)


def test_a_file_is_read_as_its_problems():
    """A file holds how many problems there are, then of each its profits, loads and capacities."""
    read = GeneralizedAssignment().formats["orlibrary"]
    one = " 2 3\n 6 5 4\n 7 9 3\n 3 4 2\n 5 4 3\n 6 8\n"
    d = GeneralizedAssignmentData(PROFIT, LOAD, (6, 8))
    assert read(f" 1\n{one}") == (d,)
    assert read(f" 2\n{one}{one}") == (d, d)


@pytest.mark.parametrize(
    ("text", "line"), [(" 1\n 2 3\n 6 5 4\n 7 9 3\n 3 4 2\n 5 4 3\n 6\n", 7), (" 1\n 2 x\n", 2), ("", 1)]
)
def test_a_broken_file_is_refused_by_its_line(text, line):
    """A number that is missing or none is named by its line."""
    with pytest.raises(FormatError, match=f"line {line}: "):
        GeneralizedAssignment().formats["orlibrary"](text)


@pytest.mark.parametrize("size", SIZES)
def test_rules_say_something(size):
    """A job is forbidden to some agents, not to all; pairs are of two jobs; floors are below the ceiling or at it."""
    family = GeneralizedAssignment()
    for d in draws(family, size, 20):
        n, m = len(d.load[0]), len(d.capacity)
        assert d.forbidden
        assert all(0 < len(set(agents)) == len(agents) < m for _, agents in d.forbidden)
        assert all(a < b for a, b in d.incompatible)
        assert len({i for i, _ in d.least}) == len(d.least) == m // 2
        assert all(0 < least <= d.most < n for _, least in d.least)
        # Not everything fits anywhere: an agent with all jobs is overloaded.
        assert all(sum(row) > limit for row, limit in zip(d.load, d.capacity, strict=True))


def test_the_profit_missed_mirrors_the_profit():
    """Profit made and profit missed add up to the best of each job."""
    missed = ProfitMissed(PROFIT)
    assert missed.of(plan(0, 1, 0)) == 1 + 0 + 0
    for agents in product(range(2), repeat=3):
        assert missed.of(plan(*agents)) + Profit(PROFIT).of(plan(*agents)) == 7 + 9 + 4


def test_statement_says_every_rule():
    """The statement lists profits and loads, a job a line, and states each rule."""
    family, instance = instance_of(GeneralizedAssignment, DATA)
    text = family.statement(instance, "final")
    assert "Give each of these jobs to one of 2 agents." in text
    assert "profit of job | agent 1 | agent 2\n1 | 6 | 7\n2 | 5 | 9\n3 | 4 | 3\n" in text
    assert "load of job | agent 1 | agent 2\n1 | 3 | 5\n2 | 4 | 4\n3 | 2 | 3\n" in text
    assert (
        "Rules:\n"
        "1. Every job is given to exactly one agent.\n"
        "2. The total load of the jobs given to agent 1, each by what it is for this agent, is at most 6.\n"
        "3. The total load of the jobs given to agent 2, each by what it is for this agent, is at most 8.\n"
        "4. Job 2 is not given to agent 2.\n"
        "5. Jobs 1 and 3 are not given to the same agent.\n"
        "6. The number of jobs given to agent 1 is at least 2.\n"
        "7. The number of jobs given to any one agent is at most 2.\n"
        "8. The total over all jobs of the profit of the job at the agent that it is given to is at least 15.\n"
    ) in text
    assert text.endswith(
        "Objective: Maximise the total over all jobs of the profit of the job at the agent that it is given to."
    )


def test_statement_uses_the_names_given():
    """Renamed entities and terms appear in the sentences."""
    names = Names({"job": ("case", "cases"), "agent": ("judge", "judges")}, {"agent": ("Ash", "Elm", "Oak")})
    assert FORBIDDEN.say(names) == "Case 2 is not given to judge Elm or judge Oak."
    assert MIN_JOBS.say(names) == "The number of cases given to judge Ash is at least 2."


@pytest.mark.parametrize("size", SIZES)
def test_greedy_breaks_no_ceiling(size):
    """Greedy overloads no agent and keeps to what is forbidden; a job for which no place is left stays without."""
    family = GeneralizedAssignment()
    for d in draws(family, size, 5):
        answer = family.greedy(d, family.fits(family.arm(d, family.module_names)))
        of = [[j for j, i in answer.items() if i == agent] for agent in range(len(d.capacity))]
        assert all(sum(d.load[i][j] for j in own) <= d.capacity[i] for i, own in enumerate(of))
        assert all(len(own) <= d.most for own in of)
        assert not any(answer.get(j) in agents for j, agents in d.forbidden)
        assert not any({a, b} <= set(own) for a, b in d.incompatible for own in of)


MUTATIONS = {
    "assigned": lambda answer, c: Partial({j: i for j, i in answer.items() if j != c.job}),
    "capacity": lambda answer, c: Partial(dict.fromkeys(answer, c.agent)),
    "forbidden": lambda answer, c: Partial({**answer, c.job: c.agents[-1]}),
    "incompatible": lambda answer, c: Partial({**answer, c.pair[0]: answer[c.pair[1]]}),
    "min_jobs": lambda answer, c: Partial({j: i + (i == c.agent) * (1 if i == 0 else -1) for j, i in answer.items()}),
    "max_jobs": lambda answer, c: Partial(dict.fromkeys(answer, c.agent)),
    "target": lambda answer, c: Partial({j: column.index(min(column)) for j, column in enumerate(columns(c))}),
}


def columns(target):
    """Return the profits of each job."""
    return list(zip(*target.objective.profit, strict=True))


@pytest.mark.parametrize("kind", GeneralizedAssignment().constraint_kinds)
def test_a_breaking_mutation_is_reported(kind):
    """The exact answer, mutated to break one constraint, is reported as breaking it by judge and solver."""
    family, seen = GeneralizedAssignment(), 0
    for instance in instances(family, "s", 5):
        for constraint in family.constraints(instance, "final"):
            if constraint.kind == kind:
                mutant = MUTATIONS[kind](instance.answer, constraint)
                assert constraint not in violated(family, instance, instance.answer)
                assert constraint in violated(family, instance, mutant)
                seen += 1
    assert seen


def test_a_perturbed_problem_keeps_its_form():
    """Perturbing changes profits and capacities, not the loads, and leaves no profit below 1."""
    family = GeneralizedAssignment()
    for one in FAMOUS:
        d = family.perturb(one.data, Stream(f"perturb {one.name}"))
        assert d.profit != one.data.profit
        assert replace(d, profit=(), capacity=()) == replace(one.data, profit=(), capacity=())
        assert [len(row) for row in d.profit] == [len(row) for row in one.data.profit]
        assert min(map(min, d.profit)) >= 1


def test_agents_that_distract_hold_no_job():
    """An added agent's capacity is below its load of any job."""
    family = GeneralizedAssignment()
    for index, d in enumerate(draws(family, "m", 10)):
        crowd = family.distracted(d, 2, Stream(f"crowd {index}"))
        added = list(zip(crowd.load, crowd.capacity, strict=True))[len(d.capacity) :]
        assert len(added) == 2 * len(d.capacity)
        assert all(0 < limit < min(row) for row, limit in added)
