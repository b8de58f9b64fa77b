"""Project planning: each constraint on three tasks worked out by hand, the optimum against a time-indexed MIP."""

from itertools import combinations
from pathlib import Path

import pytest
from ortools.linear_solver import pywraplp

from solvers.exact import solve
from solvers.names import Names
from solvers.optimization.project_planning import (
    Milestone,
    MustStartBy,
    NoOverlap,
    Precedence,
    ProjectEnd,
    ProjectPlanning,
    ProjectPlanningData,
    Prompt,
    Resource,
    Shortage,
    TimeLeft,
    from_file,
)
from solvers.problem import SIZES, Absent, Target
from solvers.shapes import AmountOf, Partial
from tests.solvers.optimization import agreed, draws, instance_of, instances, violated

# Tasks 1 and 2 need 2 of resource 1, task 3, which comes after task 1, needs 1; there are 3, in periods 1 and 2 only 2.
DURATION, NEED = (2, 3, 1), (2, 2, 1)
DATA = ProjectPlanningData(
    duration=DURATION,
    arcs=((0, 2),),
    need=((2,), (2,), (1,)),
    capacity=(3,),
    starts=((1, 2),),
    milestones=((2, 6),),
    groups=((1, 2),),
    shortages=((0, 1, 2, 2),),
    prompt=((0, 2, 3),),
)
HORIZON = 3 + 6
SHAPE = AmountOf("task", (HORIZON,) * 3, "start time")
PRECEDENCE = Precedence(0, 2, 2)
RESOURCE = Resource(0, DURATION, NEED, 3)
START = MustStartBy(1, 2)
MILESTONE = Milestone(2, 1, 6)
APART = NoOverlap((0, 1, 2), DURATION)
SHORTAGE = Shortage(0, DURATION, NEED, 1, 2, 2)
PROMPT = Prompt(0, 2, 2, 3)
TARGET = Target(ProjectEnd(DURATION, HORIZON), 6)
CONSTRAINTS = (PRECEDENCE, RESOURCE, START, MILESTONE, APART, SHORTAGE, PROMPT, TARGET)


def plan(*starts):
    """Return the answer with these starts of tasks 1, 2 and 3."""
    return Partial(enumerate(starts))


@pytest.mark.parametrize(
    ("constraint", "starts", "slack"),
    [
        pytest.param(PRECEDENCE, (0, 0, 9), 7, id="precedence trivial"),
        pytest.param(PRECEDENCE, (4, 0, 5), -1, id="precedence fails"),
        pytest.param(PRECEDENCE, (4, 0, 6), 0, id="precedence holds"),
        pytest.param(RESOURCE, (0, 3, 6), 1, id="resource trivial"),
        pytest.param(RESOURCE, (0, 1, 6), -1, id="resource fails"),
        pytest.param(RESOURCE, (0, 2, 2), 0, id="resource holds"),
        pytest.param(RESOURCE, (0, 0, 0), -2, id="resource fails widely"),
        pytest.param(START, (0, 0, 0), 2, id="must_start_by trivial"),
        pytest.param(START, (0, 3, 0), -1, id="must_start_by fails"),
        pytest.param(START, (0, 2, 0), 0, id="must_start_by holds"),
        pytest.param(MILESTONE, (0, 0, 0), 5, id="milestone trivial"),
        pytest.param(MILESTONE, (0, 0, 6), -1, id="milestone fails"),
        pytest.param(MILESTONE, (0, 0, 5), 0, id="milestone holds"),
        pytest.param(APART, (0, 3, 8), 1, id="no_overlap trivial"),
        pytest.param(APART, (0, 2, 4), -1, id="no_overlap fails"),
        pytest.param(APART, (0, 2, 5), 0, id="no_overlap holds"),
        pytest.param(SHORTAGE, (3, 5, 9), 2, id="shortage trivial"),
        pytest.param(SHORTAGE, (1, 9, 2), -1, id="shortage fails"),
        pytest.param(SHORTAGE, (0, 9, 1), -1, id="shortage fails in its first period"),
        pytest.param(SHORTAGE, (0, 2, 3), 0, id="shortage holds"),
        pytest.param(PROMPT, (0, 0, 0), 5, id="prompt trivial"),
        pytest.param(PROMPT, (0, 0, 6), -1, id="prompt fails"),
        pytest.param(PROMPT, (0, 0, 5), 0, id="prompt holds"),
        pytest.param(TARGET, (0, 0, 0), 3, id="target trivial"),
        pytest.param(TARGET, (0, 4, 0), -1, id="target fails"),
        pytest.param(TARGET, (0, 3, 5), 0, id="target holds"),
    ],
)
def test_slack_of_each_constraint(constraint, starts, slack):
    """Predicate and solver agree with the slack worked out by hand."""
    assert agreed(SHAPE, constraint, plan(*starts)) == slack


@pytest.mark.parametrize("constraint", CONSTRAINTS, ids=lambda c: c.kind)
def test_predicate_and_solver_share_each_boundary(constraint):
    """Wherever a task is moved to, predicate and solver agree, at slack 0 and -1 too."""
    lines = [[(start, 2, 2), (0, start, 5), (0, 2, start)] for start in range(HORIZON + 1)]
    slacks = {agreed(SHAPE, constraint, plan(*starts)) for line in lines for starts in line}
    assert {0, -1} <= slacks


def test_a_missing_task_fails_what_names_it():
    """A plan that leaves a task out does not pass what is said of it; of a resource, it uses nothing."""
    for constraint in (PRECEDENCE, START, MILESTONE, APART, PROMPT, TARGET):
        with pytest.raises(Absent):
            constraint.check(Partial())
    with pytest.raises(Absent):
        APART.check(Partial({0: 0, 1: 5}))
    assert APART.check(Partial({0: 0, 1: 1})) == -1
    for constraint in (RESOURCE, SHORTAGE):
        assert constraint.check(Partial()) == constraint.limit
        assert constraint.vacuous(Partial())
        assert not constraint.vacuous(Partial({2: 9}))


def test_a_task_without_duration_uses_nothing():
    """What lasts no period is under way in none, for predicate and solver."""
    nothing = Resource(0, (0, 3, 1), NEED, 2)
    for start in range(5):
        assert agreed(SHAPE, nothing, plan(start, 1, 8)) == 0


@pytest.mark.parametrize(
    ("modules", "optimum"),
    [
        ((), 5),  # task 1 from 0 to 2, then tasks 2 and 3 side by side
        (("must_start_by",), 5),
        (("shortage",), 5),  # task 3 waits until 3: period 2 has room for task 2 alone
        (("no_overlap",), 6),  # tasks 2 and 3 one after the other
        (("shortage", "prompt", "no_overlap", "must_start_by", "milestone"), 6),
    ],
)
def test_optimum_worked_by_hand(modules, optimum):
    """The tiny project has the optimum that pen and paper give; every arm has the joint arm's deadline."""
    _, instance = instance_of(ProjectPlanning, DATA, modules)
    assert (instance.optimum, instance.proof.status, instance.proof.bound) == (optimum, "OPTIMAL", optimum)
    assert instance.target == 6


def best_by_mip(d, modules, latest):
    """Return the optimum of the time-indexed model: a 0-1 variable for each task and start up to ``latest``."""
    solver, tasks = pywraplp.Solver.CreateSolver("SCIP"), range(len(d.duration))
    x = [[solver.BoolVar("") for _ in range(latest - d.duration[i] + 1)] for i in tasks]
    start = [sum(t * v for t, v in enumerate(row)) for row in x]
    end = solver.NumVar(0, latest, "")
    running = [[sum(v for s, v in enumerate(x[i]) if s <= t < s + d.duration[i]) for t in range(latest)] for i in tasks]
    for i in tasks:
        solver.Add(sum(x[i]) == 1)
        solver.Add(end >= start[i] + d.duration[i])
    for i, j in d.arcs:
        solver.Add(start[j] >= start[i] + d.duration[i])
    for r, capacity in enumerate(d.capacity):
        for t in range(latest):
            short = [left for s, first, last, left in d.shortages if s == r and first <= t <= last]
            most = min([capacity, *(short if "shortage" in modules else [])])
            solver.Add(sum(d.need[i][r] * running[i][t] for i in tasks) <= most)
    for i, time in d.starts if "must_start_by" in modules else ():
        solver.Add(start[i] <= time)
    for i, time in d.milestones if "milestone" in modules else ():
        solver.Add(start[i] + d.duration[i] <= time)
    for group in d.groups if "no_overlap" in modules else ():
        for t in range(latest):
            solver.Add(sum(running[i][t] for i in group) <= 1)
    for i, j, most in d.prompt if "prompt" in modules else ():
        solver.Add(start[j] - start[i] <= d.duration[i] + most)
    solver.Minimize(end)
    assert solver.Solve() == pywraplp.Solver.OPTIMAL
    return round(solver.Objective().Value())


def test_optimum_equals_a_mip():
    """On 200 projects of 4 tasks and 30 of 7, over all sets of modules, a MIP by time finds no better plan, and one
    that is as good."""
    family = ProjectPlanning()
    arms = [arm for count in range(6) for arm in combinations(family.module_names, count)]
    for index, d in enumerate([*draws(family, "xs", 200), *draws(family, "s", 30)]):
        modules = arms[index % len(arms)]
        solution = solve(family.form(d), family.arm(d, modules), family.objective(d))
        assert solution.objective == best_by_mip(d, modules, solution.objective + 2), (index, modules)


def test_the_mirror_is_what_is_left():
    """The mirrored objective is what is left of the time that waiting and working serially takes."""
    assert [TimeLeft(DURATION, HORIZON).of(plan(*starts)) for starts in ((0, 2, 2), (0, 0, 9))] == [4, -1]
    assert TimeLeft(DURATION, HORIZON).say(Names()) == "Maximise the time from the end of the last task to time 9."


def test_statement_says_every_number():
    """The statement lists each task with its duration, needs and predecessors, and states each rule."""
    family, instance = instance_of(ProjectPlanning, DATA)
    text = family.statement(instance, "final")
    assert "task | duration | resource 1 | predecessors\n1 | 2 | 2 | none\n2 | 3 | 2 | none\n3 | 1 | 1 | 1\n" in text
    rules = (
        "A task starts no earlier than each of its predecessors ends.",
        "In every period, the tasks under way need at most 3 of resource 1 in total.",
        "Task 2 starts at time 2 or before.",
        "Task 3 ends at time 6 or before.",
        "No two of tasks 2 and 3 are under way in the same period.",
        "In each of periods 1 to 2, the tasks under way need at most 2 of resource 1 in total.",
        "Task 3 starts at most 3 after task 1 ends.",
        "The time at which the last task ends is at most 6.",
    )
    assert "Rules:\n" + "\n".join(f"{i}. {rule}" for i, rule in enumerate(rules, 1)) + "\n\n" in text
    assert text.endswith("Objective: Minimise the time at which the last task ends.")
    assert family.shape(instance, "final").form(Names()) == (
        'Give the start time (a whole number) of every task: {"start time": {"<task>": <start time>, …}}'
    )


def test_statement_uses_the_names_given():
    """Renamed tasks and resources appear, the predecessors in the order in which tasks are listed."""
    family = ProjectPlanning()
    d = ProjectPlanningData((1, 1, 1), ((0, 2), (1, 2)), ((1,), (1,), (1,)), (2,))
    names = Names({"task": ("step", "steps")}, {"task": ("A", "B", "C"), "resource": ("crew",)}, {"task": (2, 1, 0)})
    assert "step | duration | resource crew | predecessors\nC | 1 | 1 | B, A\n" in family.intro(d, names)
    assert PROMPT.say(names) == "Step C starts at most 3 after step A ends."


def test_files_of_projects_are_read():
    """A project file in either layout gives its tasks without source and sink; a wrong one is refused by its line."""
    folder = Path(__file__).parents[2] / "data" / "public" / "project_planning"
    known = {one.name: one for one in ProjectPlanning().famous()}
    for suffix in ("sm", "rcp"):
        d = from_file((folder / f"j301_1.{suffix}").read_text())
        assert d == known["j301_1"].data
    with pytest.raises(ValueError, match="line 1: "):
        from_file("2 x")


@pytest.mark.parametrize("one", ProjectPlanning().famous(), ids=lambda one: one.name)
def test_published_optimum(one):
    """Each famous project has the end that is published for it."""
    family = ProjectPlanning()
    assert solve(family.form(one.data), family.core(one.data), family.objective(one.data)).objective == one.optimum


def test_the_picture_shows_every_task():
    """The sketch has a row and a bar for each task, from its start to its end."""
    family, instance = instance_of(ProjectPlanning, DATA)
    bars = family.sketch(instance).parts[0].bars
    starts = instance.answer
    assert [(bar.row, bar.start, bar.end) for bar in bars] == [
        (f"task {i + 1}", starts[i], starts[i] + DURATION[i]) for i in range(3)
    ]


@pytest.mark.parametrize("size", SIZES)
def test_greedy_is_complete_and_breaks_no_ceiling(size):
    """List scheduling plans every task within the horizon and breaks nothing that it can keep."""
    family = ProjectPlanning()
    for d in draws(family, size, 4):
        for modules in ((), ("no_overlap",), ("shortage",), family.module_names):
            constraints = family.arm(d, modules)
            answer = family.greedy(d, family.fits(constraints))
            assert all(c.check(answer) >= 0 for c in constraints if c.hereditary)
            assert sorted(answer) == list(range(len(d.duration)))
            assert max(answer.values()) <= d.horizon


@pytest.mark.parametrize("size", SIZES)
def test_waiting_then_working_serially_fits_the_horizon(size):
    """The horizon cuts off no plan: the laziest one fits."""
    family = ProjectPlanning()
    for d in draws(family, size, 10):
        now = d.horizon - sum(d.duration)
        answer = Partial()
        for i, length in enumerate(d.duration):
            answer[i], now = now, now + length
        assert family.value(d, family.arm(d, ("no_overlap", "shortage")), answer) == d.horizon


def test_every_module_binds():
    """Each module is broken by some optimal answer without it."""
    family, broken = ProjectPlanning(), set()
    for d in draws(family, "s", 15):
        best = solve(family.form(d), family.arm(d, ()), family.objective(d)).answer
        broken |= {name for name in family.module_names for c in family.modules[name](d) if c.check(best) < 0}
    assert broken == set(family.module_names)


def _moved(answer, task, start):
    return Partial({**answer, task: start})


def _together(answer, c):
    """Return the plan with all tasks that need some of a resource starting at once, in its (first) period."""
    start = getattr(c, "begin", 0)
    return Partial({i: start if c.need[i] else s for i, s in answer.items()})


MUTATIONS = {
    "precedence": lambda a, c: _moved(a, c.second, a[c.first] + c.limit - 1),
    "resource": _together,
    "must_start_by": lambda a, c: _moved(a, c.task, c.limit + 1),
    "milestone": lambda a, c: _moved(a, c.task, c.limit - c.duration + 1),
    "no_overlap": lambda a, c: _moved(a, c.tasks[0], a[c.tasks[1]]),
    "shortage": _together,
    "prompt": lambda a, c: _moved(a, c.second, a[c.first] + c.duration + c.limit + 1),
    "target": lambda a, c: _moved(a, max(a), c.limit),
}


@pytest.mark.parametrize("kind", ProjectPlanning().constraint_kinds)
def test_a_breaking_mutation_is_reported(kind):
    """The exact answer, mutated to break one constraint, is reported as breaking it by judge and solver."""
    family, seen = ProjectPlanning(), 0
    for instance in instances(family, "s", 5):
        for constraint in family.constraints(instance, "final"):
            if constraint.kind == kind:
                mutant = MUTATIONS[kind](instance.answer, constraint)
                assert constraint not in violated(family, instance, instance.answer)
                if kind in ("resource", "shortage") and sum(constraint.need) <= constraint.limit:
                    continue
                assert constraint in violated(family, instance, mutant)
                assert agreed(family.shape(instance, "final"), constraint, mutant) < 0
                seen += 1
    assert seen >= 5
