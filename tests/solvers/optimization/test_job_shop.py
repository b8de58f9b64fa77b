"""Job shop: each constraint on two jobs worked out by hand, the optimum against all machine orders."""

from itertools import combinations, pairwise, permutations, product
from pathlib import Path

import pytest

from solvers.exact import solve
from solvers.keys import Stream
from solvers.names import Names
from solvers.optimization.job_shop import (
    FIXED,
    BatchTogether,
    DueDate,
    Eligible,
    JobPriority,
    JobShop,
    JobShopData,
    JobShopKnobs,
    MachinePreference,
    MachineUnavailable,
    Makespan,
    MaxMakespan,
    NoIdle,
    OneAtATime,
    Precedence,
    Release,
    from_file,
)
from solvers.problem import SIZES, Absent, Target
from solvers.shapes import Joint, MapOf, Partial, Starts
from tests.solvers.optimization import agreed, breaks, draws, instance_of

# Job 1: machine 1 for 3, machine 2 for 2. Job 2: machine 1 for 2, machine 2 (or 3) for 4. Machine 2 stops in [5, 6).
DURATION = ((3, 2), (2, 4))
DATA = JobShopData(
    machine=((0, 1), (0, 1)),
    duration=DURATION,
    flexible=((1, 1, 2),),
    releases=((1, 2),),
    windows=((1, 5, 6),),
    dues=((0, 6),),
    priorities=((0, 1),),
    preferred=((0, 1),),
    steady=((1, 1),),
    batches=(((0, 0), (1, 0)),),
    deadline=12,
)
HORIZON = 6 + 11
SHAPE = Joint((Starts("job", DURATION, HORIZON), MapOf("flexible operation", 1, "machine", 3)))
PRECEDENCE = Precedence(0, 0, 3)
MACHINE = OneAtATime(0, ((0, 0), (1, 0)), (3, 2))
SHARED = OneAtATime(1, ((0, 1), (1, 1)), (2, 4), (FIXED, 0))
ELIGIBLE = Eligible(0, (1, 2))
RELEASE = Release(1, 2)
UNAVAILABLE = MachineUnavailable(1, 5, 6, (0, 1), 2)
PERHAPS = MachineUnavailable(1, 5, 6, (1, 1), 4, 0)
DUE = DueDate(0, 1, 2, 6)
PRIORITY = JobPriority(0, 1)
PREFERENCE = MachinePreference(0, 1)
IDLE = NoIdle(1, 0, 2, 1)
BATCH = BatchTogether(0, ((0, 0), (1, 0)), (3, 2))
LATEST = MaxMakespan(DURATION, 12)
TARGET = Target(Makespan(DURATION, HORIZON), 10)
CONSTRAINTS = (
    *(PRECEDENCE, MACHINE, SHARED, ELIGIBLE, RELEASE, UNAVAILABLE, PERHAPS, DUE),
    *(PRIORITY, PREFERENCE, IDLE, BATCH, LATEST, TARGET),
)


def schedule(first, second, machine=1):
    """Return the answer with these starts of the operations of job 1 and job 2, the last one on this machine."""
    starts = {(j, k): start for j, row in enumerate((first, second)) for k, start in enumerate(row)}
    return Partial(starts), Partial({0: machine})


@pytest.mark.parametrize(
    ("constraint", "answer", "slack"),
    [
        pytest.param(PRECEDENCE, schedule((0, 17), (0, 0)), 14, id="precedence trivial"),
        pytest.param(PRECEDENCE, schedule((4, 6), (0, 0)), -1, id="precedence fails"),
        pytest.param(PRECEDENCE, schedule((4, 7), (0, 0)), 0, id="precedence holds"),
        pytest.param(MACHINE, schedule((0, 0), (17, 0)), 14, id="machine trivial"),
        pytest.param(MACHINE, schedule((0, 0), (2, 0)), -1, id="machine fails"),
        pytest.param(MACHINE, schedule((2, 0), (0, 0)), 0, id="machine holds"),
        pytest.param(SHARED, schedule((0, 4), (0, 4), 2), 0, id="shared machine elsewhere"),
        pytest.param(SHARED, schedule((0, 3), (0, 4)), -1, id="shared machine fails"),
        pytest.param(SHARED, schedule((0, 8), (0, 4)), 0, id="shared machine holds"),
        pytest.param(ELIGIBLE, schedule((0, 0), (0, 0), 0), -1, id="eligible fails"),
        pytest.param(ELIGIBLE, schedule((0, 0), (0, 0), 2), 0, id="eligible holds"),
        pytest.param(RELEASE, schedule((0, 0), (17, 0)), 15, id="release trivial"),
        pytest.param(RELEASE, schedule((9, 9), (1, 9)), -1, id="release fails"),
        pytest.param(RELEASE, schedule((0, 0), (2, 0)), 0, id="release holds"),
        pytest.param(UNAVAILABLE, schedule((0, 17), (5, 5)), 11, id="machine_unavailable trivial"),
        pytest.param(UNAVAILABLE, schedule((0, 4), (0, 0)), -1, id="machine_unavailable fails"),
        pytest.param(UNAVAILABLE, schedule((0, 3), (0, 0)), 0, id="machine_unavailable holds"),
        pytest.param(PERHAPS, schedule((0, 0), (0, 5), 2), 0, id="machine_unavailable elsewhere"),
        pytest.param(PERHAPS, schedule((0, 0), (0, 2)), -1, id="machine_unavailable where it may run fails"),
        pytest.param(PERHAPS, schedule((0, 0), (0, 6)), 0, id="machine_unavailable where it may run holds"),
        pytest.param(DUE, schedule((0, 0), (0, 0)), 4, id="due_date trivial"),
        pytest.param(DUE, schedule((0, 5), (0, 0)), -1, id="due_date fails"),
        pytest.param(DUE, schedule((0, 4), (0, 0)), 0, id="due_date holds"),
        pytest.param(PRIORITY, schedule((0, 0), (9, 0)), 8, id="job_priority trivial"),
        pytest.param(PRIORITY, schedule((3, 0), (3, 0)), -1, id="job_priority fails"),
        pytest.param(PRIORITY, schedule((3, 0), (4, 0)), 0, id="job_priority holds"),
        pytest.param(PREFERENCE, schedule((0, 0), (0, 0), 2), -1, id="machine_preference fails"),
        pytest.param(PREFERENCE, schedule((0, 0), (0, 0), 1), 0, id="machine_preference holds"),
        pytest.param(IDLE, schedule((0, 0), (4, 0)), 7, id="no_idle trivial"),
        pytest.param(IDLE, schedule((0, 0), (4, 8)), -1, id="no_idle fails"),
        pytest.param(IDLE, schedule((0, 0), (4, 7)), 0, id="no_idle holds"),
        pytest.param(BATCH, schedule((0, 0), (9, 0)), -6, id="batch_together fails widely"),
        pytest.param(BATCH, schedule((3, 0), (0, 0)), -1, id="batch_together fails"),
        pytest.param(BATCH, schedule((2, 0), (0, 0)), 0, id="batch_together holds"),
        pytest.param(BATCH, schedule((0, 0), (3, 0)), 0, id="batch_together holds the other way round"),
        pytest.param(LATEST, schedule((0, 0), (0, 0)), 8, id="max_makespan trivial"),
        pytest.param(LATEST, schedule((10, 0), (0, 0)), -1, id="max_makespan fails"),
        pytest.param(LATEST, schedule((9, 0), (0, 8)), 0, id="max_makespan holds"),
        pytest.param(TARGET, schedule((0, 0), (0, 0)), 6, id="target trivial"),
        pytest.param(TARGET, schedule((8, 0), (0, 0)), -1, id="target fails"),
        pytest.param(TARGET, schedule((0, 3), (3, 6)), 0, id="target holds"),
    ],
)
def test_slack_of_each_constraint(constraint, answer, slack):
    """Predicate and solver agree with the slack worked out by hand."""
    assert agreed(SHAPE, constraint, answer) == slack


@pytest.mark.parametrize("constraint", CONSTRAINTS, ids=lambda c: c.kind)
def test_predicate_and_solver_share_each_boundary(constraint):
    """Wherever an operation is moved to, predicate and solver agree, at slack 0 and -1 too."""
    lines = [
        [schedule((0, start), (6, 6)) for start in range(12)],
        [schedule((4, 4), (start, 6)) for start in range(12)],
        [schedule((4, 4), (4, start), machine) for start in range(12) for machine in range(3)],
    ]
    slacks = {agreed(SHAPE, constraint, answer) for line in lines for answer in line}
    assert {0, -1} <= slacks


def test_a_missing_operation_fails_what_names_it():
    """An answer that leaves out operations, or where one runs, does not pass by doing so."""
    nothing, started = (Partial(), Partial()), (schedule((0, 0), (0, 0))[0], Partial())
    for constraint in CONSTRAINTS:
        with pytest.raises(Absent):
            constraint.check(nothing)
    for constraint in (SHARED, ELIGIBLE, PERHAPS, PREFERENCE):
        with pytest.raises(Absent):
            constraint.check(started)


def test_a_rule_of_a_machine_does_not_apply_elsewhere():
    """What runs on another machine satisfies a machine's rules vacuously, and only then."""
    for constraint in (SHARED, PERHAPS):
        assert constraint.vacuous(schedule((0, 4), (0, 5), 2))
        assert not constraint.vacuous(schedule((0, 8), (0, 4)))


@pytest.mark.parametrize(
    ("modules", "optimum"),
    [
        ((), 7),  # job 2 first, its last operation on machine 3; job 1 on machine 1 from 2 to 5, on machine 2 to 7
        (("machine_preference",), 8),  # job 2 first on both machines: machine 2 works from 2 to 8
        (("release",), 9),  # job 1 first; job 2 on machine 1 from 3 to 5, on either machine to 9
        (("machine_preference", "release"), 9),  # job 1 first: machine 2 works from 3 to 9
        (("job_priority",), 9),  # job 1 first, job 2 on machine 1 from 3 to 5, then on machine 3
        (("machine_preference", "machine_unavailable"), 10),  # job 1 on machine 2 from 3 to 5, job 2 from 6 to 10
        (("batch_together",), 7),  # as without it: job 1 starts when job 2 ends on machine 1
        (None, 10),  # job 1 from 0 to 5, job 2 on machine 1 from 3 to 5, on machine 2 from 6 to 10
    ],
)
def test_optimum_worked_by_hand(modules, optimum):
    """The tiny instance has the optimum that pen and paper give; every arm has the joint arm's deadline."""
    _, instance = instance_of(JobShop, DATA, modules)
    assert (instance.optimum, instance.proof.status, instance.proof.bound) == (optimum, "OPTIMAL", optimum)
    assert instance.target == 10


# --- the optimum found a second way -----------------------------------------------------------------------------------


def least_starts(operations, arcs):
    """Return the least times with time[v] >= time[u] + w for all arcs (u, v, w) (None: time 0), None if there are none.

    All rules of a schedule are such differences once each machine's order and each choice is settled.
    """
    time = {None: 0} | dict.fromkeys(operations, 0)
    for _ in range(len(time) + 1):
        late = [(v, time[u] + w) for u, v, w in arcs if time[v] < time[u] + w]
        if not late:
            return time
        for v, least in late:
            if v is None:
                return None
            time[v] = max(time[v], least)
    return None


def rules(d, modules):
    """Yield the arcs of the rules that leave nothing to choose."""
    length = {(j, k): n for j, row in enumerate(d.duration) for k, n in enumerate(row)}
    for j, row in enumerate(d.duration):
        for k in range(len(row) - 1):
            yield (j, k), (j, k + 1), row[k]
    if "release" in modules:
        yield from ((None, (j, 0), time) for j, time in d.releases)
    if "due_date" in modules:
        yield from (((j, len(d.duration[j]) - 1), None, d.duration[j][-1] - time) for j, time in d.dues)
    if "job_priority" in modules:
        yield from (((a, 0), (b, 0), 1) for a, b in d.priorities)
    if "no_idle" in modules:
        waits = ((j, k, most) for j, most in d.steady for k in range(len(d.duration[j]) - 1))
        yield from (((j, k + 1), (j, k), -length[j, k] - most) for j, k, most in waits)
    if "max_makespan" in modules:
        yield from ((operation, None, n - d.deadline) for operation, n in length.items())


def shortest_makespan(d, modules):
    length = {(j, k): n for j, row in enumerate(d.duration) for k, n in enumerate(row)}
    fixed = list(rules(d, modules))
    pinned = dict(d.preferred) if "machine_preference" in modules else {}
    either = [(d.machine[j][k], other) for j, k, other in d.flexible]
    options = [[pinned[i]] if i in pinned else both for i, both in enumerate(either)]
    best = None
    for choice in product(*options):
        where = {(j, k): d.machine[j][k] for j, k in length}
        where |= {(j, k): m for (j, k, _), m in zip(d.flexible, choice, strict=True)}
        queues = []
        for m in sorted(set(where.values())):
            stops = [(b, e) for at, b, e in d.windows if at == m and "machine_unavailable" in modules]
            every = permutations([*(o for o in length if where[o] == m), *stops])
            stop = set(stops)
            queues.append([list(arcs_of(order, stop, length)) for order in every if in_job_order(order, stop)])
        glued = [
            [[(a, b, length[a]), (b, a, -length[a])], [(b, a, length[b]), (a, b, -length[b])]]
            for a, b in (d.batches if "batch_together" in modules else ())
        ]
        for orders in product(*queues, *glued):
            time = least_starts(length, [*fixed, *(arc for arcs in orders for arc in arcs)])
            if time is not None:
                end = max(time[o] + n for o, n in length.items())
                best = end if best is None else min(best, end)
    return best


def in_job_order(order, stops):
    """Return whether a machine takes the operations of each job in their order."""
    return all(a < b or a[0] != b[0] for a, b in combinations([o for o in order if o not in stops], 2))


def arcs_of(order, stops, length):
    """Yield the arcs of a machine that takes operations and stops in this order."""
    for a, b in pairwise(order):
        if a in stops:
            yield from [] if b in stops else [(None, b, a[1])]
        else:
            yield (a, None, length[a] - b[0]) if b in stops else (a, b, length[a])


def test_optimum_equals_all_machine_orders():
    """On 230 instances of 2 x 2 and 3 x 2, over all sets of modules, the proven optimum is that of the best orders."""
    family = JobShop()
    names = family.module_names
    arms = [(), names, *((name,) for name in names), *combinations(names, 2), *combinations(names, 3)]
    wider = JobShopKnobs(jobs=3, machines=2, longest=9, flexible=1, dates=1, ties=1)
    problems = [*draws(family, "xs", 170), *(family.draw(wider, Stream(f"wider {i}")) for i in range(60))]
    for index, d in enumerate(problems):
        modules = arms[index % len(arms)]
        solution = solve(family.form(d), family.arm(d, modules), family.objective(d))
        assert solution.objective == shortest_makespan(d, modules), (index, modules)


# --- the statement ----------------------------------------------------------------------------------------------------


def test_statement_says_every_number():
    """The statement lists each job's route with machines and durations, and states each rule once."""
    family, instance = instance_of(JobShop, DATA)
    text = family.statement(instance, "final")
    assert (
        "job | operation 1 | operation 2\n1 | machine 1 for 3 | machine 2 for 2\n"
        "2 | machine 1 for 2 | machine 2 or machine 3 for 4 (flexible operation 1)\n" in text
    )
    rules = (
        "An operation starts no earlier than the operation before it in its job ends.",
        "Machine 1 processes at most one operation at a time.",
        "Machine 2 processes at most one operation at a time.",
        "Flexible operation 1 runs on machine 2 or machine 3.",
        "Job 2 starts no earlier than time 2.",
        "Machine 2 is unavailable from time 5 to time 6: each operation on it ends at 5 or before, or starts at 6 or"
        " after.",
        "The last operation of job 1 ends at time 6 or before.",
        "Job 1 starts earlier than job 2 (not at the same time).",
        "Flexible operation 1 must run on machine 2.",
        "In job 2, each operation starts at most 1 after the operation before it ends.",
        "Operation 1 of job 1 and operation 1 of job 2 run back to back on machine 1, in either order: one of them"
        " starts at the time at which the other ends.",
        "Every operation ends at time 12 or before.",
        "The time at which the last operation ends is at most 10.",
    )
    assert "Rules:\n" + "\n".join(f"{i}. {rule}" for i, rule in enumerate(rules, 1)) + "\n\n" in text
    assert text.endswith("Objective: Minimise the time at which the last operation ends.")
    assert family.shape(instance, "final").form(Names()) == (
        "Give for every job the start times (whole numbers) of its operations in their order, and the machine of every"
        ' flexible operation: {"starts": {"<job>": [<start of operation 1>, <start of operation 2>, …], …},'
        ' "assignment": {"<flexible operation>": <machine>, …}}'
    )


def test_a_file_of_a_job_shop_is_read():
    """A file in the standard layout is the textbook problem, without further rules; a wrong one is refused."""
    file = Path(__file__).parents[2] / "data" / "public" / "job_shop" / "la05.txt"
    d = from_file(file.read_text())
    assert solve(JobShop().form(d), JobShop().core(d), JobShop().objective(d)).objective == 593
    with pytest.raises(ValueError, match=r"line 2: expected each machine once"):
        from_file("1 2\n0 3 0 4")


def test_the_picture_shows_every_operation():
    """The sketch has a row for each machine and a bar for each operation, where it runs."""
    family, instance = instance_of(JobShop, DATA, ())
    picture = family.sketch(instance)
    assert picture.rows == ("machine 1", "machine 2", "machine 3")
    assert sorted((bar.label, bar.row, bar.end - bar.start) for bar in picture.bars) == [
        *(("1", "machine 1", 3), ("1", "machine 2", 2), ("2", "machine 1", 2), ("2", "machine 3", 4))
    ]


def test_a_textbook_instance_asks_for_starts_alone():
    """Without flexible operations and modules the problem is the textbook's, and nothing else is told or asked."""
    family = JobShop()
    instance, _ = family.instance("m", 0, 0, variant="famous")
    assert instance.optimum == 55
    assert {c.kind for c in family.constraints(instance, "final")} == {"precedence", "machine", "target"}
    assert "flexible" not in family.statement(instance, "final").lower()
    assert family.shape(instance, "final").form(Names()) == (
        "Give for every job the start times (whole numbers) of its operations in their order:"
        ' {"starts": {"<job>": [<start of operation 1>, <start of operation 2>, …], …}}'
    )


def test_statement_names_no_module_that_is_off():
    """What a module adds is told only where it counts."""
    family, instance = instance_of(JobShop, DATA, ())
    text = family.statement(instance, "final")
    assert text.count("\n5. ") == 1
    assert "\n6. " not in text


def test_statement_uses_the_names_given():
    """Renamed jobs, machines and operations appear in the sentences."""
    names = Names(
        {"job": ("order", "orders"), "machine": ("oven", "ovens"), "flexible operation": ("free step", "free steps")},
        {"machine": ("Ada", "Bob", "Cy")},
    )
    assert SHARED.say(names) == "Oven Bob processes at most one operation at a time."
    assert RELEASE.say(names) == "Order 2 starts no earlier than time 2."
    assert ELIGIBLE.say(names) == "Free step 1 runs on oven Bob or oven Cy."


# --- draws, greedy, mutations -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", SIZES)
def test_greedy_is_complete_and_breaks_no_ceiling(size):
    """List scheduling places every operation within the horizon and breaks nothing that dispatching can keep."""
    family = JobShop()
    for d in draws(family, size, 2):
        for modules in ((), ("machine_unavailable",), family.module_names):
            constraints = family.arm(d, modules)
            starts, machines = answer = family.greedy(d, family.fits(constraints))
            assert all(c.check(answer) >= 0 for c in constraints if c.hereditary)
            assert len(starts) == sum(map(len, d.duration))
            assert len(machines) == len(d.flexible)
            assert max(starts.values()) <= family.horizon(d)


@pytest.mark.parametrize("size", SIZES)
def test_waiting_then_working_serially_fits_the_horizon(size):
    """The horizon cuts off no answer to the core: the laziest schedule fits; the hidden one ends before it."""
    family = JobShop()
    for d in draws(family, size, 10):
        now = family.horizon(d) - sum(map(sum, d.duration))
        starts = Partial()
        for j, row in enumerate(d.duration):
            for k, length in enumerate(row):
                starts[j, k], now = now, now + length
        machines = Partial({i: d.machine[j][k] for i, (j, k, _) in enumerate(d.flexible)})
        kept = family.arm(d, ("release", "machine_unavailable", "machine_preference", "no_idle"))
        assert family.value(d, kept, (starts, machines)) == family.horizon(d)
        assert d.deadline <= family.horizon(d)


def _with_start(answer, operation, start):
    return (Partial({**answer[0], operation: start}), *answer[1:])


def _with_machine(answer, choice, machine):
    return answer[0], Partial({**answer[1], choice: machine})


def _together(answer, c):
    """Return the answer with both operations of a pair starting at once, on the machine that they may share."""
    for choice in c.choices:
        answer = answer if choice == FIXED else _with_machine(answer, choice, c.machine)
    return _with_start(answer, c.pair[0], answer[0][c.pair[1]])


def _stopped(answer, c):
    answer = answer if c.choice == FIXED else _with_machine(answer, c.choice, c.machine)
    return _with_start(answer, c.operation, c.begin)


MUTATIONS = {
    "precedence": lambda a, c: _with_start(a, (c.job, c.step + 1), a[0][c.job, c.step] + c.limit - 1),
    "machine": _together,
    "eligible": lambda a, c: _with_machine(a, c.choice, next(m for m in range(3) if m not in c.machines)),
    "release": lambda a, c: _with_start(a, (c.job, 0), c.limit - 1),
    "machine_unavailable": _stopped,
    "due_date": lambda a, c: _with_start(a, (c.job, c.step), c.limit - c.duration + 1),
    "job_priority": lambda a, c: _with_start(a, (c.second, 0), a[0][c.first, 0]),
    "machine_preference": lambda a, c: _with_machine(a, c.choice, (c.machine + 1) % 3),
    "no_idle": lambda a, c: _with_start(a, (c.job, c.step + 1), a[0][c.job, c.step] + c.duration + c.limit + 1),
    "batch_together": lambda a, c: _with_start(a, c.pair[0], a[0][c.pair[0]] + 1),
    "max_makespan": lambda a, c: _with_start(a, max(a[0], key=a[0].get), c.limit),
    "target": lambda a, c: _with_start(a, max(a[0], key=a[0].get), c.limit),
}


@pytest.mark.parametrize("kind", JobShop().constraint_kinds)
def test_a_breaking_mutation_is_reported(kind):
    """The exact answer, mutated to break one constraint, is reported as breaking it by judge and solver."""
    breaks(JobShop(), kind, MUTATIONS[kind], 5)


def test_every_module_binds():
    """Each module is broken by some optimal answer without it; `max_makespan` by none, as it is above the optimum."""
    family, broken = JobShop(), set()
    for d in draws(family, "s", 20):
        best = solve(family.form(d), family.arm(d, ()), family.objective(d)).answer
        broken |= {name for name in family.module_names for c in family.modules[name](d) if c.check(best) < 0}
    assert broken == set(family.module_names) - {"max_makespan"}


def test_mutated_starts_stay_within_the_horizon():
    """A mutation leaves no answer that the solver cannot represent."""
    for seed in range(200):
        answer = schedule((0, HORIZON), (HORIZON, 0))
        mutant = SHAPE.mutated(answer, Stream(f"mutation {seed}"))
        assert mutant != answer
        assert all(0 <= start <= HORIZON for start in mutant[0].values())
