"""Assignment: each constraint on three workers worked out by hand, the optimum by a graph solver and permutations."""

from dataclasses import replace
from itertools import combinations, permutations

import pytest
from ortools.graph.python.linear_sum_assignment import SimpleLinearSumAssignment

from solvers.exact import solve
from solvers.formats.common import FormatError
from solvers.keys import Stream
from solvers.names import Names
from solvers.optimization.assignment import (
    FAMOUS,
    Assigned,
    Assignment,
    AssignmentData,
    AssignmentKnobs,
    Conditional,
    Forbidden,
    OneEach,
    Ordering,
    TotalCost,
    TotalSaved,
)
from solvers.problem import SIZES, Absent, Target
from solvers.shapes import MapOf, Partial
from tests.solvers.optimization import agreed, breaks, draws, instance_of

# Tasks start at 1, 4 and 5. Worker 1 gets no task 1; if worker 1 gets task 2 then worker 3 gets neither 1 nor 2; the
# task of worker 2 starts at least 2 after that of worker 3.
COST = ((1, 5, 9), (4, 2, 7), (3, 8, 6))
DATA = AssignmentData(
    cost=COST,
    forbidden=((0, (0,)),),
    conditions=((0, (1,), 2, (0, 1)),),
    start=(1, 4, 5),
    orders=((2, 1, 2),),
)
SHAPE = MapOf("worker", 3, "task", 3)
ASSIGNED = Assigned(2, 3)
ONE_EACH = OneEach(1, 3)
FORBIDDEN = Forbidden(0, (0, 2))
CONDITIONAL = Conditional(0, (1,), 2, (0, 1))
ORDERING = Ordering(2, 1, (1, 4, 5), 2)
TARGET = Target(TotalCost(COST), 9)


def given(*tasks):
    """Return the answer that gives workers 1, 2 … these tasks (from 0); None leaves one out."""
    return Partial({i: j for i, j in enumerate(tasks) if j is not None})


@pytest.mark.parametrize(
    ("constraint", "tasks", "slack"),
    [
        pytest.param(ASSIGNED, (0, 0, 0), 0, id="assigned trivial"),
        pytest.param(ASSIGNED, (0, 1, None), -1, id="assigned fails"),
        pytest.param(ASSIGNED, (1, 1, 2), 0, id="assigned holds"),
        pytest.param(ONE_EACH, (1, 0, 0), 0, id="one_each trivial"),
        pytest.param(ONE_EACH, (1, 1, 1), -2, id="one_each fails, thrice there"),
        pytest.param(ONE_EACH, (0, 2, 2), -1, id="one_each fails, not there"),
        pytest.param(ONE_EACH, (0, 1, 2), 0, id="one_each holds"),
        pytest.param(FORBIDDEN, (1, 0, 2), 0, id="forbidden trivial"),
        pytest.param(FORBIDDEN, (2, 0, 1), -1, id="forbidden fails"),
        pytest.param(FORBIDDEN, (1, 2, 0), 0, id="forbidden holds"),
        pytest.param(CONDITIONAL, (0, 0, 0), 0, id="conditional trivial"),
        pytest.param(CONDITIONAL, (1, 2, 0), -1, id="conditional fails"),
        pytest.param(CONDITIONAL, (1, 0, 2), 0, id="conditional holds"),
        pytest.param(ORDERING, (1, 2, 0), 2, id="ordering trivial"),
        pytest.param(ORDERING, (0, 2, 1), -1, id="ordering fails"),
        pytest.param(ORDERING, (2, 1, 0), 1, id="ordering holds"),
        pytest.param(TARGET, (0, 1, 0), 3, id="target trivial"),
        pytest.param(TARGET, (1, 1, 0), -1, id="target fails"),
        pytest.param(TARGET, (0, 1, 2), 0, id="target holds"),
    ],
)
def test_slack_of_each_constraint(constraint, tasks, slack):
    """Predicate and solver agree with the slack worked out by hand."""
    assert agreed(SHAPE, constraint, given(*tasks)) == slack


@pytest.mark.parametrize("constraint", [FORBIDDEN, CONDITIONAL, ORDERING, TARGET], ids=lambda c: c.kind)
def test_a_missing_worker_fails_what_names_it(constraint):
    """An answer that leaves workers out does not pass by doing so."""
    with pytest.raises(Absent):
        constraint.check(given(None, 0, None))


def test_a_condition_that_does_not_apply_is_vacuous():
    """ "If worker 1 gets task 2" is vacuous where it gets another one, and only then."""
    assert CONDITIONAL.vacuous(given(0, 1, 2))
    assert not CONDITIONAL.vacuous(given(1, 0, 2))


@pytest.mark.parametrize(
    ("modules", "optimum"),
    [
        ((), 9),  # tasks 1, 2, 3: 1 + 2 + 6
        (("forbidden",), 14),  # worker 1 gets task 2 or 3: tasks 3, 2, 1 cost 9 + 2 + 3
        (("conditional",), 9),
        (("ordering",), 14),  # start of worker 2 beyond that of worker 3 by 2: (3, 2, 1) costs 14, (2, 3, 1) costs 15
        (("forbidden", "conditional"), 14),
        (None, 14),
    ],
)
def test_optimum_worked_by_hand(modules, optimum):
    """The tiny instance has the optimum that pen and paper give."""
    _, instance = instance_of(Assignment, DATA, modules)
    assert (instance.optimum, instance.proof.status, instance.proof.bound) == (optimum, "OPTIMAL", optimum)


def cheapest_matching(cost):
    solver = SimpleLinearSumAssignment()
    for i, row in enumerate(cost):
        for j, value in enumerate(row):
            solver.add_arc_with_cost(i, j, value)
    assert solver.solve() == solver.OPTIMAL
    return solver.optimal_cost()


def cheapest_permutation(d, modules):
    costs = []
    for tasks in permutations(range(len(d.cost))):
        banned = "forbidden" in modules and any(tasks[i] in some for i, some in d.forbidden)
        broken = "conditional" in modules and any(
            tasks[i] in some and tasks[k] in others for i, some, k, others in d.conditions
        )
        late = "ordering" in modules and any(d.start[tasks[k]] - d.start[tasks[i]] < gap for i, k, gap in d.orders)
        if not banned and not broken and not late:
            costs.append(sum(row[j] for row, j in zip(d.cost, tasks, strict=True)))
    return min(costs)


def optimum(family, d, modules):
    return solve(family.form(d), family.arm(d, modules), family.objective(d)).objective


@pytest.mark.parametrize("size", ["xs", "s", "m", "l"])
def test_the_core_has_the_optimum_of_a_graph_solver(size):
    """Without side constraints, the proven optimum is that of a min-cost matching."""
    family = Assignment()
    for d in draws(family, size, 25):
        assert optimum(family, d, ()) == cheapest_matching(d.cost)


def test_optimum_equals_brute_force():
    """On 240 instances of 4 and 6 workers, over all sets of modules, the proven optimum is the best permutation's."""
    family = Assignment()
    arms = [arm for count in range(4) for arm in combinations(family.module_names, count)]
    wider = AssignmentKnobs(workers=6, restricted=3, conditions=3, orders=2)
    problems = [*draws(family, "xs", 160), *(family.draw(wider, Stream(f"wider {i}")) for i in range(80))]
    for index, d in enumerate(problems):
        modules = arms[index % len(arms)]
        assert optimum(family, d, modules) == cheapest_permutation(d, modules)


@pytest.mark.parametrize("one", FAMOUS, ids=lambda one: one.name)
def test_a_famous_matrix_has_its_published_optimum(one):
    """The data are square and whole, and a graph solver finds the optimum that the source names."""
    assert {len(row) for row in one.data.cost} == {len(one.data.cost)}
    assert cheapest_matching(one.data.cost) == one.optimum


@pytest.mark.parametrize("size", SIZES)
def test_rules_say_something(size):
    """Forbidden tasks are some, not all; each condition has tasks on both sides; gaps can be missed and kept."""
    family = Assignment()
    for d in draws(family, size, 20):
        n = len(d.cost)
        assert len(set(d.start)) == n
        assert all(0 < len(tasks) < n for _, tasks in d.forbidden)
        assert all(i != k and 0 < len(a) < n and 0 < len(b) < n for i, a, k, b in d.conditions)
        assert all(i != k and 0 < gap <= max(d.start) - min(d.start) for i, k, gap in d.orders)


def test_a_file_is_read_as_its_matrix():
    """An OR-Library file holds the number of workers and the costs, broken over lines as it likes."""
    family = Assignment()
    d = family.formats["orlibrary"](" 3\n 1 5 9 4\n 2 7\n 3 8 6\n")
    assert d == AssignmentData(COST)
    assert optimum(family, d, ()) == 9


@pytest.mark.parametrize(
    ("text", "line"), [(" 2\n 1 5\n 4\n", 3), (" 2\n 1 5\n 4 x\n", 3), (" 2\n 1 -5\n 4 2\n", 2), ("", 1)]
)
def test_a_broken_file_is_refused_by_its_line(text, line):
    """A number that is missing, none, or below 0 is named by its line."""
    with pytest.raises(FormatError, match=f"line {line}: "):
        Assignment().formats["orlibrary"](text)


def test_the_saving_mirrors_the_cost():
    """Cost and saving of a complete answer add up to the allowance of all workers."""
    saved = TotalSaved(COST, 9)
    assert saved.of(given(0, 1, 2)) == 27 - 9
    for tasks in permutations(range(3)):
        assert saved.of(given(*tasks)) + TotalCost(COST).of(given(*tasks)) == 27


def test_statement_says_every_number():
    """The statement lists costs and starts and states each rule."""
    family, instance = instance_of(Assignment, DATA)
    text = family.statement(instance, "final")
    assert "worker | task 1 | task 2 | task 3\n1 | 1 | 5 | 9\n2 | 4 | 2 | 7\n3 | 3 | 8 | 6\n" in text
    assert "task | start\n1 | 1\n2 | 4\n3 | 5\n" in text
    assert "1. Every worker gets exactly one task.\n2. Every task goes to exactly one worker.\n" in text
    assert "3. Worker 1 does not get task 1.\n" in text
    assert "4. If worker 1 gets task 2, then worker 3 gets none of tasks 1 and 2.\n" in text
    assert "5. The start of the task of worker 2 is at least 2 higher than the start of the task of worker 3.\n" in text
    assert "6. The total cost of all workers for their tasks is at most 14." in text
    assert text.endswith("Objective: Minimise the total cost of all workers for their tasks.")


def test_statement_without_side_data_is_the_textbook_problem():
    """A plain matrix is told without starts."""
    family, instance = instance_of(Assignment, AssignmentData(COST))
    text = family.statement(instance, "final")
    assert "start" not in text
    assert instance.optimum == 9


def test_statement_uses_the_names_given():
    """Renamed entities and terms appear in the sentences."""
    names = Names(
        {"worker": ("team", "teams"), "task": ("village", "villages"), "start": ("opening hour", "opening hours")},
        {"task": ("Ash", "Elm", "Oak")},
    )
    assert FORBIDDEN.say(names) == "Team 1 gets none of villages Ash and Oak."
    assert CONDITIONAL.say(names) == "If team 1 gets village Elm, then team 3 gets none of villages Ash and Elm."
    assert ORDERING.say(names) == (
        "The opening hour of the village of team 2 is at least 2 higher than the opening hour of the village of team 3."
    )


@pytest.mark.parametrize("size", SIZES)
def test_greedy_breaks_no_ceiling(size):
    """Greedy never gives a task twice or breaks a rule; a worker for whom nothing is left stays without."""
    family = Assignment()
    for d in draws(family, size, 5):
        constraints = family.arm(d, family.module_names)
        answer = family.greedy(d, family.fits(constraints))
        assert len(set(answer.values())) == len(answer)
        assert all(c.check(answer) >= 0 for c in constraints if c.hereditary and names_only(c, answer))
        plain = family.arm(d, ())
        assert family.value(d, plain, family.greedy(d, family.fits(plain))) is not None


def names_only(constraint, answer):
    """Return whether an answer has all workers that a constraint names."""
    workers = {getattr(constraint, field, None) for field in ("worker", "other", "earlier", "later")} - {None}
    return workers <= set(answer)


MUTATIONS = {
    "assigned": lambda answer, c: Partial({i: j for i, j in answer.items() if i != c.worker}),
    "one_each": lambda answer, c: Partial(dict.fromkeys(answer, c.task)),
    "forbidden": lambda answer, c: Partial({**answer, c.worker: c.tasks[0]}),
    "conditional": lambda answer, c: Partial({**answer, c.worker: c.triggers[0], c.other: c.excluded[-1]}),
    "ordering": lambda answer, c: Partial({**answer, c.later: answer[c.earlier]}),
    "target": lambda answer, c: Partial({i: row.index(max(row)) for i, row in enumerate(c.objective.cost)}),
}


@pytest.mark.parametrize("kind", Assignment().constraint_kinds)
def test_a_breaking_mutation_is_reported(kind):
    """The exact answer, mutated to break one constraint, is reported as breaking it by judge and solver."""
    breaks(Assignment(), kind, MUTATIONS[kind], 5)


def test_a_perturbed_matrix_keeps_its_form():
    """Perturbing changes some costs, no side, and leaves none below 1."""
    family = Assignment()
    for one in FAMOUS:
        d = family.perturb(one.data, Stream(f"perturb {one.name}"))
        assert d != one.data
        assert replace(d, cost=()) == replace(one.data, cost=())
        assert [len(row) for row in d.cost] == [len(row) for row in one.data.cost]
        assert min(map(min, d.cost)) >= 1
