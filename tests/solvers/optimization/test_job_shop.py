"""Job shop: each constraint on two jobs worked out by hand, the optimum against all machine orders."""

from itertools import combinations, permutations, product

import pytest

from solvers.exact import solve
from solvers.keys import Stream
from solvers.names import Names
from solvers.optimization.job_shop import (
    JobShop,
    JobShopData,
    JobShopKnobs,
    Maintenance,
    Makespan,
    OneAtATime,
    Precedence,
    Release,
)
from solvers.problem import SIZES, Absent, Target
from solvers.shapes import Partial, Starts
from tests.solvers.optimization import agreed, draws, instance_of, instances, violated

# Job 1: machine 1 for 3, machine 2 for 2. Job 2: machine 1 for 2, machine 2 for 4. Machine 2 stops in [5, 6).
DURATION = ((3, 2), (2, 4))
DATA = JobShopData(machine=((0, 1), (0, 1)), duration=DURATION, releases=((1, 2),), windows=((1, 5, 6),))
HORIZON = 6 + 11
SHAPE = Starts("job", DURATION, HORIZON)
PRECEDENCE = Precedence(0, 0, 3)
MACHINE = OneAtATime(1, ((0, 1), (1, 1)), (2, 4))
RELEASE = Release(1, 2)
MAINTENANCE = Maintenance(1, 5, 6, (0, 1), 2)
TARGET = Target(Makespan(DURATION, HORIZON), 10)


def schedule(first, second):
    """Return the answer with these starts of the operations of job 1 and job 2."""
    return Partial({(j, k): start for j, row in enumerate((first, second)) for k, start in enumerate(row)})


@pytest.mark.parametrize(
    ("constraint", "first", "second", "slack"),
    [
        pytest.param(PRECEDENCE, (0, 17), (0, 0), 14, id="precedence trivial"),
        pytest.param(PRECEDENCE, (4, 6), (0, 0), -1, id="precedence fails"),
        pytest.param(PRECEDENCE, (4, 7), (0, 0), 0, id="precedence holds"),
        pytest.param(MACHINE, (0, 0), (0, 17), 15, id="machine trivial"),
        pytest.param(MACHINE, (0, 3), (0, 4), -1, id="machine fails"),
        pytest.param(MACHINE, (0, 3), (0, 5), 0, id="machine holds"),
        pytest.param(RELEASE, (0, 0), (17, 0), 15, id="release trivial"),
        pytest.param(RELEASE, (9, 9), (1, 9), -1, id="release fails"),
        pytest.param(RELEASE, (0, 0), (2, 0), 0, id="release holds"),
        pytest.param(MAINTENANCE, (0, 17), (5, 5), 11, id="maintenance trivial"),
        pytest.param(MAINTENANCE, (0, 4), (0, 0), -1, id="maintenance fails"),
        pytest.param(MAINTENANCE, (0, 3), (0, 0), 0, id="maintenance holds"),
        pytest.param(TARGET, (0, 0), (0, 0), 6, id="target trivial"),
        pytest.param(TARGET, (8, 0), (0, 0), -1, id="target fails"),
        pytest.param(TARGET, (0, 3), (3, 6), 0, id="target holds"),
    ],
)
def test_slack_of_each_constraint(constraint, first, second, slack):
    """Predicate and solver agree with the slack worked out by hand."""
    assert agreed(SHAPE, constraint, schedule(first, second)) == slack


@pytest.mark.parametrize("constraint", [PRECEDENCE, MACHINE, MAINTENANCE, TARGET], ids=lambda c: c.kind)
def test_predicate_and_solver_share_each_boundary(constraint):
    """Wherever an operation is moved to, predicate and solver agree, at slack 0 and -1 too."""
    slacks = {agreed(SHAPE, constraint, schedule((0, start), (6, 6))) for start in range(HORIZON + 1)}
    assert {0, -1} <= slacks


def test_a_missing_operation_fails_what_names_it():
    """An answer that leaves the last operation out does not pass by doing so."""
    answer = Partial({(0, 0): 0, (1, 0): 3, (1, 1): 6})
    for constraint in (PRECEDENCE, MACHINE, MAINTENANCE, TARGET):
        with pytest.raises(Absent):
            constraint.check(answer)


@pytest.mark.parametrize(
    ("modules", "optimum"),
    [
        ((), 8),  # job 2 first on both machines: machine 2 works from 2 to 8
        (("release",), 9),  # job 1 first: machine 2 works from 3 to 9
        (("maintenance",), 10),  # job 1 on machine 2 from 3 to 5, job 2 from 6 to 10
        (None, 10),
    ],
)
def test_optimum_worked_by_hand(modules, optimum):
    """The tiny instance has the optimum that pen and paper give; every arm has the joint arm's deadline."""
    _, instance = instance_of(JobShop, DATA, modules)
    assert (instance.optimum, instance.proof.status, instance.proof.bound) == (optimum, "OPTIMAL", optimum)
    assert instance.target == 10


def earliest_end(d, modules, orders):
    """Return the makespan when each machine takes its jobs in this order, None where the orders wait in a circle."""
    release = dict(d.releases) if "release" in modules else {}
    windows = {m: (a, b) for m, a, b in d.windows} if "maintenance" in modules else {}
    step, ready = [0] * len(d.duration), [release.get(j, 0) for j in range(len(d.duration))]
    queue, free = {m: list(order) for m, order in orders.items()}, dict.fromkeys(orders, 0)
    while any(queue.values()):
        for m, waiting in queue.items():
            if waiting and d.machine[waiting[0]][step[waiting[0]]] == m:
                j = waiting.pop(0)
                start, length = max(ready[j], free[m]), d.duration[j][step[j]]
                if m in windows and start < windows[m][1] and start + length > windows[m][0]:
                    start = windows[m][1]
                ready[j] = free[m] = start + length
                step[j] += 1
                break
        else:
            return None
    return max(ready)


def shortest_makespan(d, modules):
    machines = sorted({m for row in d.machine for m in row})
    jobs = range(len(d.duration))
    ends = (
        earliest_end(d, modules, dict(zip(machines, orders, strict=True)))
        for orders in product(permutations(jobs), repeat=len(machines))
    )
    return min(end for end in ends if end is not None)


def test_optimum_equals_brute_force():
    """On 120 instances of 2 x 2 and 3 x 2, over all sets of modules, the proven optimum is that of the best orders."""
    family = JobShop()
    arms = [arm for count in range(3) for arm in combinations(family.module_names, count)]
    wider = JobShopKnobs(jobs=3, machines=2, longest=9, releases=2, windows=2)
    problems = [*draws(family, "xs", 60), *(family.draw(wider, Stream(f"wider {i}")) for i in range(60))]
    for index, d in enumerate(problems):
        modules = arms[index % len(arms)]
        solution = solve(family.form(d), family.arm(d, modules), family.objective(d))
        assert solution.objective == shortest_makespan(d, modules)


def test_statement_says_every_number():
    """The statement lists each job's route with machines and durations, and states each rule once."""
    family, instance = instance_of(JobShop, DATA)
    text = family.statement(instance, "final")
    assert (
        "job | operation 1 | operation 2\n1 | machine 1 for 3 | machine 2 for 2\n2 | machine 1 for 2 | machine 2 for 4"
        in text
    )
    assert "1. An operation starts no earlier than the operation before it in its job ends.\n" in text
    assert "2. Machine 1 processes at most one operation at a time.\n" in text
    assert "3. Machine 2 processes at most one operation at a time.\n" in text
    assert "4. Job 2 starts no earlier than time 2.\n" in text
    assert (
        "5. Machine 2 is under maintenance from time 5 to time 6: each operation on it ends at 5 or before, or starts"
        " at 6 or after.\n" in text
    )
    assert "6. The time at which the last operation ends is at most 10." in text
    assert text.endswith("Objective: Minimise the time at which the last operation ends.")


def test_statement_names_no_module_that_is_off():
    """Release times and maintenance are told only where they count."""
    family, instance = instance_of(JobShop, DATA, ())
    text = family.statement(instance, "final")
    assert "maintenance" not in text
    assert "no earlier than time" not in text


def test_statement_uses_the_names_given():
    """Renamed jobs and machines appear in the sentences."""
    names = Names({"job": ("order", "orders"), "machine": ("oven", "ovens")}, {"machine": ("Ada", "Bob")})
    assert MACHINE.say(names) == "Oven Bob processes at most one operation at a time."
    assert RELEASE.say(names) == "Order 2 starts no earlier than time 2."


@pytest.mark.parametrize("size", SIZES)
def test_greedy_is_complete_and_breaks_nothing(size):
    """List scheduling places every operation within the horizon and violates no constraint in any arm."""
    family = JobShop()
    for d in draws(family, size, 4):
        for modules in ((), ("release",), ("maintenance",), family.module_names):
            constraints = family.arm(d, modules)
            answer = family.greedy(d, family.fits(constraints))
            assert family.value(d, constraints, answer) is not None
            assert max(answer.values()) <= family.horizon(d)


@pytest.mark.parametrize("size", SIZES)
def test_waiting_then_working_serially_fits_the_horizon(size):
    """The horizon never cuts off an answer: the laziest schedule fits under all modules."""
    family = JobShop()
    for d in draws(family, size, 10):
        now = family.horizon(d) - sum(map(sum, d.duration))
        answer = Partial()
        for j, row in enumerate(d.duration):
            for k, length in enumerate(row):
                answer[j, k], now = now, now + length
        assert family.value(d, family.arm(d, family.module_names), answer) == family.horizon(d)


def _moved_to_the_end(answer, target):
    last = max(answer, key=lambda o: answer[o])
    return Partial({**answer, last: target.limit + 1})


MUTATIONS = {
    "precedence": lambda answer, c: Partial({**answer, (c.job, c.step + 1): answer[c.job, c.step] + c.limit - 1}),
    "machine": lambda answer, c: Partial({**answer, c.pair[0]: answer[c.pair[1]]}),
    "release": lambda answer, c: Partial({**answer, (c.job, 0): c.limit - 1}),
    "maintenance": lambda answer, c: Partial({**answer, c.operation: c.begin}),
    "target": _moved_to_the_end,
}


@pytest.mark.parametrize("kind", JobShop().constraint_kinds)
def test_a_breaking_mutation_is_reported(kind):
    """The exact answer, mutated to break one constraint, is reported as breaking it by judge and solver."""
    family = JobShop()
    for instance in instances(family, "s", 5):
        for constraint in family.constraints(instance, "final"):
            if constraint.kind == kind:
                mutant = MUTATIONS[kind](instance.answer, constraint)
                assert constraint not in violated(family, instance, instance.answer)
                assert constraint in violated(family, instance, mutant)
                assert agreed(family.shape(instance, "final"), constraint, mutant) < 0


def test_mutated_starts_stay_within_the_horizon():
    """A mutation leaves no answer that the solver cannot represent."""
    for seed in range(200):
        answer = schedule((0, HORIZON), (HORIZON, 0))
        mutant = SHAPE.mutated(answer, Stream(f"mutation {seed}"))
        assert mutant != answer
        assert all(0 <= start <= HORIZON for start in mutant.values())
