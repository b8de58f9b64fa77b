"""Flow shop: each constraint on three jobs worked out by hand, the optimum against all orders by longest paths."""

from itertools import combinations, combinations_with_replacement, permutations
from pathlib import Path

import pytest

from solvers.exact import solve
from solvers.names import Names
from solvers.optimization.flow_shop import (
    DueDate,
    EarliestPlace,
    FlowShop,
    FlowShopData,
    Makespan,
    NotAdjacent,
    Placed,
    Precedence,
    TimeInShop,
    TimeLeft,
    ends,
    from_file,
)
from solvers.problem import SIZES, Absent, Target
from solvers.shapes import OrderOf, Partial, in_order
from tests.solvers.optimization import agreed, draws, instance_of, instances, violated

# Two machines. In order 2 1 3 the jobs are completed at 5, 7 and 8; in order 1 2 3 at 5, 9 and 10.
DURATION = ((3, 2), (1, 4), (2, 1))
DATA = FlowShopData(
    duration=DURATION,
    dues=((1, 8),),
    precedences=((2, 1),),
    apart=((0, 2),),
    late=((2, 2),),
    brisk=((1, 5),),
)
LOOSE = FlowShopData(DURATION, ((1, 8),), ((1, 2),), ((1, 2),), ((2, 2),), ((1, 5),))  # order 2 1 3 keeps its rules
SHAPE = OrderOf("job", 3)
PLACED = Placed(1)
DUE = DueDate(1, DURATION, 8)
PRECEDENCE = Precedence(2, 1)
APART = NotAdjacent((0, 2))
LATE = EarliestPlace(2, 2)
BRISK = TimeInShop(1, DURATION, 5)
TARGET = Target(Makespan(DURATION), 9)


def order(*jobs):
    """Return the answer that takes these jobs (from 1) in this order."""
    return Partial({job - 1: place for place, job in enumerate(jobs)})


@pytest.mark.parametrize(
    ("constraint", "jobs", "slack"),
    [
        pytest.param(PLACED, (1, 2, 3), 0, id="placed holds"),
        pytest.param(PLACED, (1, 3), None, id="placed fails"),
        pytest.param(DUE, (2, 1, 3), 3, id="due_date trivial"),
        pytest.param(DUE, (1, 2, 3), -1, id="due_date fails"),
        pytest.param(DUE, (3, 2, 1), 1, id="due_date nearly fails"),
        pytest.param(PRECEDENCE, (3, 1, 2), 1, id="precedence trivial"),
        pytest.param(PRECEDENCE, (1, 2, 3), -2, id="precedence fails"),
        pytest.param(PRECEDENCE, (1, 3, 2), 0, id="precedence holds"),
        pytest.param(APART, (2, 1, 3), -1, id="not_adjacent fails"),
        pytest.param(APART, (3, 1, 2), -1, id="not_adjacent fails the other way round"),
        pytest.param(APART, (1, 2, 3), 0, id="not_adjacent holds"),
        pytest.param(LATE, (1, 2, 3), 1, id="earliest_place trivial"),
        pytest.param(LATE, (3, 2, 1), -1, id="earliest_place fails"),
        pytest.param(LATE, (1, 3, 2), 0, id="earliest_place holds"),
        pytest.param(BRISK, (2, 1, 3), 0, id="time_in_shop holds"),
        pytest.param(BRISK, (1, 2, 3), -1, id="time_in_shop fails"),
        pytest.param(TARGET, (2, 1, 3), 1, id="target trivial"),
        pytest.param(TARGET, (1, 2, 3), -1, id="target fails"),
        pytest.param(TARGET, (3, 2, 1), 0, id="target holds"),
    ],
)
def test_slack_of_each_constraint(constraint, jobs, slack):
    """Predicate and solver agree with the slack worked out by hand."""
    if slack is None:
        with pytest.raises(Absent):
            constraint.check(order(*jobs))
    assert agreed(SHAPE, constraint, order(*jobs)) == slack


@pytest.mark.parametrize("constraint", [DUE, PRECEDENCE, APART, LATE, BRISK, TARGET], ids=lambda c: c.kind)
def test_predicate_and_solver_agree_on_every_order(constraint):
    """Of all orders, the solver admits those that the predicate accepts; some are accepted, some are not."""
    slacks = [agreed(SHAPE, constraint, order(*jobs)) for jobs in permutations((1, 2, 3))]
    assert min(slacks) < 0 <= max(slacks)


def test_a_missing_job_fails_what_names_it():
    """An order without a job does not pass what is said of this job, nor the target."""
    for constraint, jobs in [(PLACED, (1, 3)), (DUE, (1, 3)), (PRECEDENCE, (1, 2)), (APART, (1, 2)), (LATE, (1, 2))]:
        with pytest.raises(Absent):
            constraint.check(order(*jobs))
    for constraint, jobs in [(BRISK, (1, 3)), (TARGET, (1, 2)), (TARGET, ())]:
        with pytest.raises(Absent):
            constraint.check(order(*jobs))


def test_operations_start_as_early_as_the_order_lets_them():
    """Each job leaves each machine when pen and paper say so."""
    assert ends(DURATION, (1, 0, 2)) == {1: [1, 5], 0: [4, 7], 2: [6, 8]}
    assert ends(DURATION, (0, 1, 2)) == {0: [3, 5], 1: [4, 9], 2: [6, 10]}


@pytest.mark.parametrize(
    ("modules", "optimum"),
    [
        ((), 8),  # by Johnson's rule: job 2, whose first operation is short, then jobs 1 and 3 by their last ones
        (("due_date",), 8),
        (("precedence",), 9),  # order 3 2 1: job 3 to 3, job 2 from 3 to 7, job 1 from 7 to 9
        (("not_adjacent",), 9),  # job 2 between the others: 3 2 1
        (("earliest_place",), 8),
        (("precedence", "earliest_place"), 10),  # 1 3 2: job 1 to 5, job 3 to 6, job 2 from 6 to 10
    ],
)
def test_optimum_worked_by_hand(modules, optimum):
    """The tiny instance has the optimum that pen and paper give."""
    family = FlowShop()
    solution = solve(family.form(DATA), family.arm(DATA, modules), family.objective(DATA))
    assert (solution.objective, solution.proof.status, solution.proof.bound) == (optimum, "OPTIMAL", optimum)


def longest_path(duration, jobs, machine):
    """Return when the last of ``jobs`` leaves a machine: the longest way through the grid of jobs and machines."""
    # A way goes to the next machine at some jobs: these, in order, are drawn with repetition.
    lengths = []
    for turns in combinations_with_replacement(range(len(jobs)), machine):
        begins, stops = (0, *turns), (*turns, len(jobs) - 1)
        lengths.append(
            sum(
                duration[job][m]
                for m, (begin, stop) in enumerate(zip(begins, stops, strict=True))
                for job in jobs[begin : stop + 1]
            )
        )
    return max(lengths)


def best_of_all_orders(d, modules):
    last, best = len(d.duration[0]) - 1, None
    for jobs in permutations(range(len(d.duration))):
        place = {job: p for p, job in enumerate(jobs)}
        done = {job: longest_path(d.duration, jobs[: place[job] + 1], last) for job in jobs}
        began = {job: sum(d.duration[other][0] for other in jobs[: place[job]]) for job in jobs}
        kept = {
            "due_date": all(done[job] <= time for job, time in d.dues),
            "precedence": all(place[a] < place[b] for a, b in d.precedences),
            "not_adjacent": not any({a, b} == set(jobs[p : p + 2]) for a, b in d.apart for p in range(len(jobs))),
            "earliest_place": not any(job in jobs[: least - 1] for job, least in d.late),
            "time_in_shop": all(done[job] - began[job] <= most for job, most in d.brisk),
        }
        if all(kept[module] for module in modules):
            best = done[jobs[-1]] if best is None else min(best, done[jobs[-1]])
    return best


def test_optimum_equals_all_orders():
    """On 200 instances of 4 x 2 and 12 of 6 x 3, over all sets of modules, the proven optimum is the best of all
    orders, each job's end by the longest path to it."""
    family = FlowShop()
    arms = [arm for count in range(6) for arm in combinations(family.module_names, count)]
    for index, d in enumerate([*draws(family, "xs", 200), *draws(family, "s", 12)]):
        modules = arms[index % len(arms)]
        solution = solve(family.form(d), family.arm(d, modules), family.objective(d))
        assert solution.objective == best_of_all_orders(d, modules), (index, modules)


def test_the_mirror_is_what_is_left():
    """The mirrored objective is what is left of the time that all operations take one after another."""
    assert TimeLeft(DURATION).closing == 13
    assert [TimeLeft(DURATION).of(order(*jobs)) for jobs in ((2, 1, 3), (1, 2, 3))] == [5, 3]
    assert TimeLeft(DURATION).say(Names()) == "Maximise the time from the completion of the last job to time 13."


def test_a_file_of_a_flow_shop_is_read():
    """A job shop file whose jobs all take one way is a flow shop; another one is refused by its line."""
    file = Path(__file__).parents[2] / "data" / "public" / "flow_shop" / "car1.txt"
    d = from_file(file.read_text())
    assert (len(d.duration), d.duration[0]) == (11, (375, 12, 142, 245, 412))
    assert from_file("2 2\n1 5 0 6\n1 7 0 8").duration == ((5, 6), (7, 8))
    with pytest.raises(ValueError, match=r"line 4: expected the machines in the order of the first job"):
        from_file("2 2\n# two jobs\n0 5 1 6\n1 7 0 8")


def test_the_picture_shows_every_operation():
    """The sketch has a row for each machine and a bar for each operation, from its start to its end."""
    family, instance = instance_of(FlowShop, LOOSE)
    picture = family.sketch(instance)
    assert picture.rows == ("machine 1", "machine 2")
    assert {(bar.row, bar.start, bar.end, bar.label) for bar in picture.bars} == {
        *(("machine 1", 0, 1, "2"), ("machine 1", 1, 4, "1"), ("machine 1", 4, 6, "3")),
        *(("machine 2", 1, 5, "2"), ("machine 2", 5, 7, "1"), ("machine 2", 7, 8, "3")),
    }


def test_statement_says_every_number():
    """The statement lists each job with its durations, and states each rule."""
    family, instance = instance_of(FlowShop, LOOSE)
    text = family.statement(instance, "final")
    assert "job | machine 1 | machine 2\n1 | 3 | 2\n2 | 1 | 4\n3 | 2 | 1\n" in text
    assert "Every job has an operation on each of machines 1 and 2, in this sequence" in text
    rules = (
        "Every job is in the order exactly once.",
        "Job 2 is completed at time 8 or before.",
        "Job 2 comes before job 3 in the order, directly or not.",
        "Neither of job 2 and job 3 comes directly after the other in the order.",
        "Job 3 is at place 2 of the order or later.",
        "The time from the start of the first operation of job 2 to the end of its last one is at most 5.",
        "The time at which the last job is completed is at most 8.",
    )
    assert "Rules:\n" + "\n".join(f"{i}. {rule}" for i, rule in enumerate(rules, 1)) + "\n\n" in text
    assert text.endswith("Objective: Minimise the time at which the last job is completed.")


def test_statement_uses_the_names_given():
    """Renamed jobs and machines appear in the text, the machines in the sequence in which they are passed."""
    family, instance = instance_of(FlowShop, LOOSE, ())
    names = Names(
        {"job": ("loaf", "loaves"), "machine": ("oven", "ovens")}, {"machine": ("Bob", "Ada")}, {"machine": (1, 0)}
    )
    text = family.intro(instance.data, names)
    assert "on each of ovens Bob and Ada, in this sequence" in text
    assert "loaf | oven Ada | oven Bob\n1 | 2 | 3\n" in text
    assert PRECEDENCE.say(names) == "Loaf 3 comes before loaf 2 in the order, directly or not."


@pytest.mark.parametrize("size", SIZES)
def test_greedy_is_complete_and_breaks_no_ceiling_it_can_keep(size):
    """Insertion places every job, and where it ends with a ceiling broken, moving the last job in mends nothing."""
    family = FlowShop()
    for d in draws(family, size, 6):
        for modules in ((), ("precedence",), family.module_names):
            fits = family.fits(family.arm(d, modules))
            answer = family.greedy(d, fits)
            assert sorted(answer) == list(range(len(d.duration)))
            if modules == ():
                assert fits(answer)
            if not fits(answer):
                last = min(reversed(range(len(d.duration))), key=lambda job: sum(d.duration[job]))
                rest = [job for job in in_order(answer) if job != last]
                moved = [[*rest[:p], last, *rest[p:]] for p in range(len(answer))]
                assert not any(fits(Partial(zip(jobs, range(len(jobs)), strict=True))) for jobs in moved)


@pytest.mark.parametrize("size", SIZES[:3])
def test_a_good_order_is_hidden_in_the_data(size):
    """All rules together leave an optimum close to that without any: a target near it blocks trivial answers."""
    family = FlowShop()
    for d in draws(family, size, 2):
        together, alone = (
            solve(family.form(d), family.arm(d, modules), family.objective(d)).objective
            for modules in (family.module_names, ())
        )
        assert alone <= together <= alone * 115 // 100


def _exchanged(answer, one, other):
    return Partial({**answer, one: answer[other], other: answer[one]})


def _last_to_the_front(answer, job):
    rest = [other for other in in_order(answer) if other != job]
    return Partial({other: place for place, other in enumerate([job, *rest])})


def _brought_together(answer, c):
    """Return the answer with the second of a pair moved directly behind the first."""
    first, second = c.pair
    rest = [job for job in in_order(answer) if job != second]
    at = rest.index(first) + 1
    return Partial({job: place for place, job in enumerate([*rest[:at], second, *rest[at:]])})


def _worst(answer, c):
    """Return the order, among all, that misses a bound by most."""
    return min((Partial(zip(jobs, range(len(jobs)), strict=True)) for jobs in permutations(answer)), key=c.check)


MUTATIONS = {
    "placed": lambda answer, c: Partial(
        zip([job for job in in_order(answer) if job != c.job], range(len(answer) - 1), strict=True)
    ),
    "due_date": _worst,
    "precedence": lambda answer, c: _exchanged(answer, c.first, c.second),
    "not_adjacent": _brought_together,
    "earliest_place": lambda answer, c: _last_to_the_front(answer, c.job),
    "time_in_shop": _worst,
    "target": _worst,
}


@pytest.mark.parametrize("kind", FlowShop().constraint_kinds)
def test_a_breaking_mutation_is_reported(kind):
    """The exact answer, mutated to break one constraint, is reported as breaking it by judge and solver."""
    family = FlowShop()
    for instance in instances(family, "s", 3):
        for constraint in family.constraints(instance, "final"):
            if constraint.kind == kind:
                mutant = MUTATIONS[kind](instance.answer, constraint)
                assert constraint not in violated(family, instance, instance.answer)
                assert constraint in violated(family, instance, mutant)
                slack = agreed(family.shape(instance, "final"), constraint, mutant)
                assert slack is None if kind == "placed" else slack < 0


def test_every_module_binds():
    """Each module is broken by some optimal answer without it."""
    family, broken = FlowShop(), set()
    for d in draws(family, "s", 15):
        best = solve(family.form(d), family.arm(d, ()), family.objective(d)).answer
        broken |= {name for name in family.module_names for c in family.modules[name](d) if c.check(best) < 0}
    assert broken == set(family.module_names)
