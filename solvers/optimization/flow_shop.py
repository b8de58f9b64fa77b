"""Permutation flow shop (Johnson 1954; Nawaz, Enscore and Ham 1983): all machines take the jobs in one order.

The answer is the order alone; every operation starts as early as the order lets it. Modules: ``due_date`` (a job is
completed by a time), ``precedence`` (a job somewhere before another), ``not_adjacent`` (two jobs not directly after one
another), ``earliest_place`` (a job not among the first ones) and ``time_in_shop`` (a job is soon out again).

Release times are no module: they would change the times that follow from an order, which every other rule reads.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any, ClassVar

from solvers.constrained import Fits, Optimization
from solvers.formats.common import FormatError, is_number, rows
from solvers.formats.jsplib import read_job_shop
from solvers.keys import Stream
from solvers.names import Names, sentence
from solvers.problem import Constraint, Data, Famous, Instance, Knobs, Objective, ladder
from solvers.shapes import OrderOf, OrderVariables, Partial, in_order
from solvers.sketches import Bar, Bars

if TYPE_CHECKING:
    from ortools.sat.python import cp_model

Places = Partial[int, int]  # job -> place, from 0
Durations = tuple[tuple[int, ...], ...]  # by job, by machine


@dataclass(frozen=True, kw_only=True)
class FlowShopKnobs(Knobs):
    jobs: int
    machines: int
    longest: int  # durations are 1 to this
    dues: int
    precedences: int
    apart: int  # pairs that are not adjacent
    late: int  # jobs that are not among the first ones
    brisk: int  # jobs that are soon out again


@dataclass(frozen=True)
class FlowShopData(Data):
    duration: Durations
    dues: tuple[tuple[int, int], ...] = ()  # (job, time)
    precedences: tuple[tuple[int, int], ...] = ()  # (job, one that comes later)
    apart: tuple[tuple[int, int], ...] = ()
    late: tuple[tuple[int, int], ...] = ()  # (job, place from 1)
    brisk: tuple[tuple[int, int], ...] = ()  # (job, time)


def ends(duration: Durations, order: Sequence[int]) -> dict[int, list[int]]:
    """Return job -> when it leaves each machine, when the jobs are taken in this order."""
    free = [0] * len(duration[0])
    left = {}
    for job in order:
        now = 0
        for machine, length in enumerate(duration[job]):
            now = free[machine] = max(now, free[machine]) + length
        left[job] = list(free)
    return left


def posted_ends(model: "cp_model.CpModel", x: OrderVariables, duration: Durations) -> list[list[Any]]:
    """Return variables by place and machine, at least the time at which the job at this place leaves this machine.

    On the first machine it is that time. Elsewhere nothing asks for a late end, so a lower bound is enough (and proofs
    are faster than with a maximum).
    """

    def make() -> list[list[Any]]:
        horizon = sum(map(sum, duration))
        rows: list[list[Any]] = []
        for p in range(x.count):
            row: list[Any] = []
            for m in range(len(duration[0])):
                end = model.new_int_var(0, horizon, f"e{p},{m}")
                length = sum(times[m] * x.at[i, p] for i, times in enumerate(duration))
                if m == 0:
                    model.add(end == (rows[-1][0] if rows else 0) + length)
                else:
                    model.add(end >= row[-1] + length)
                    if rows:
                        model.add(end >= rows[-1][m] + length)
                row.append(end)
            rows.append(row)
        return rows

    found: list[list[Any]] = x.once(("ends", duration), make)
    return found


@dataclass(frozen=True)
class Placed(Constraint[Places, OrderVariables]):
    kind: ClassVar[str] = "placed"
    constraint_class: ClassVar[str] = "structure"
    job: int

    def say(self, names: Names) -> str:
        return f"Every {names.word('job')} is in the order exactly once."

    def check(self, answer: Places) -> int:
        return 0 if answer[self.job] >= 0 else -1

    def post(self, model: "cp_model.CpModel", x: OrderVariables) -> None:
        model.add_exactly_one(x.at[self.job, p] for p in range(x.count))


@dataclass(frozen=True)
class DueDate(Constraint[Places, OrderVariables]):
    kind: ClassVar[str] = "due_date"
    constraint_class: ClassVar[str] = "temporal"
    job: int
    duration: Durations
    limit: int

    def say(self, names: Names) -> str:
        return f"{sentence(names.one('job', self.job))} is completed at time {self.limit} or before."

    def check(self, answer: Places) -> int:
        place = answer[self.job]
        before = [job for job in in_order(answer) if answer[job] <= place]
        return self.limit - ends(self.duration, before)[self.job][-1]

    def post(self, model: "cp_model.CpModel", x: OrderVariables) -> None:
        for p, row in enumerate(posted_ends(model, x, self.duration)):
            model.add(row[-1] <= self.limit).only_enforce_if(x.at[self.job, p])


@dataclass(frozen=True)
class Precedence(Constraint[Places, OrderVariables]):
    kind: ClassVar[str] = "precedence"
    constraint_class: ClassVar[str] = "logical"
    first: int
    second: int

    def say(self, names: Names) -> str:
        first, second = names.one("job", self.first), names.one("job", self.second)
        return f"{sentence(first)} comes before {second} in the order, directly or not."

    def check(self, answer: Places) -> int:
        return answer[self.second] - answer[self.first] - 1

    def post(self, model: "cp_model.CpModel", x: OrderVariables) -> None:
        for p in range(x.count):
            early = [x.at[self.second, q] for q in range(p + 1)]
            model.add_at_most_one([*early, *(x.at[self.first, q] for q in range(p, x.count))])


@dataclass(frozen=True)
class NotAdjacent(Constraint[Places, OrderVariables]):
    kind: ClassVar[str] = "not_adjacent"
    constraint_class: ClassVar[str] = "logical"
    hereditary: ClassVar[bool] = False  # a job between them mends it
    pair: tuple[int, int]

    def say(self, names: Names) -> str:
        first, second = (names.one("job", job) for job in self.pair)
        return f"Neither of {first} and {second} comes directly after the other in the order."

    def check(self, answer: Places) -> int:
        first, second = (answer[job] for job in self.pair)
        return abs(first - second) - 2

    def post(self, model: "cp_model.CpModel", x: OrderVariables) -> None:
        for one, other in (self.pair, self.pair[::-1]):
            for p in range(1, x.count):
                model.add_at_most_one(x.at[one, p - 1], x.at[other, p])


@dataclass(frozen=True)
class EarliestPlace(Constraint[Places, OrderVariables]):
    """``limit``: the first place that is allowed, counted from 1."""

    kind: ClassVar[str] = "earliest_place"
    constraint_class: ClassVar[str] = "logical"
    hereditary: ClassVar[bool] = False  # a floor
    job: int
    limit: int

    def say(self, names: Names) -> str:
        return f"{sentence(names.one('job', self.job))} is at place {self.limit} of the order or later."

    def check(self, answer: Places) -> int:
        return answer[self.job] + 1 - self.limit

    def post(self, model: "cp_model.CpModel", x: OrderVariables) -> None:
        for p in range(x.count):
            if p + 1 < self.limit:
                model.add(x.at[self.job, p] == 0)


@dataclass(frozen=True)
class TimeInShop(Constraint[Places, OrderVariables]):
    kind: ClassVar[str] = "time_in_shop"
    constraint_class: ClassVar[str] = "temporal"
    hereditary: ClassVar[bool] = False  # a job before it may delay its start by more than its end
    job: int
    duration: Durations
    limit: int

    def say(self, names: Names) -> str:
        span = f"from the start of the first operation of {names.one('job', self.job)} to the end of its last one"
        return f"The time {span} is at most {self.limit}."

    def check(self, answer: Places) -> int:
        place = answer[self.job]
        left = ends(self.duration, [job for job in in_order(answer) if answer[job] <= place])[self.job]
        return self.limit - (left[-1] - left[0] + self.duration[self.job][0])

    def post(self, model: "cp_model.CpModel", x: OrderVariables) -> None:
        rows = posted_ends(model, x, self.duration)
        for p, row in enumerate(rows):
            start = rows[p - 1][0] if p else 0
            model.add(row[-1] - start <= self.limit).only_enforce_if(x.at[self.job, p])


@dataclass(frozen=True)
class Makespan(Objective[Places, OrderVariables]):
    direction: ClassVar[Any] = "min"
    duration: Durations

    def noun(self, names: Names) -> str:
        return f"the time at which the last {names.word('job')} is completed"

    def of(self, answer: Places) -> int:
        order = sorted(range(len(self.duration)), key=lambda job: answer[job])
        return ends(self.duration, order)[order[-1]][-1]

    def post(self, model: "cp_model.CpModel", x: OrderVariables) -> Any:
        return posted_ends(model, x, self.duration)[-1][-1]


@dataclass(frozen=True)
class TimeLeft(Makespan):
    """The mirror of the makespan: what is left of a time in which any order is done."""

    direction: ClassVar[Any] = "max"

    @property
    def closing(self) -> int:
        """The time that all operations take one after another."""
        return sum(map(sum, self.duration))

    def noun(self, names: Names) -> str:
        return f"the time from the completion of the last {names.word('job')} to time {self.closing}"

    def of(self, answer: Places) -> int:
        return self.closing - super().of(answer)

    def post(self, model: "cp_model.CpModel", x: OrderVariables) -> Any:
        return self.closing - super().post(model, x)


def from_file(text: str) -> FlowShopData:
    """Return the flow shop of a job shop file in which all jobs take the same way. Raises FormatError."""
    shop = read_job_shop(text)
    for j, route in enumerate(shop.machine):
        if route != shop.machine[0]:
            row = [row for row in rows(text, "#") if all(map(is_number, row.words))][j + 1]
            raise FormatError(row.line, "the machines in the order of the first job", f"the order {route}")
    return FlowShopData(shop.duration)


def _carlier(jobs: str) -> FlowShopData:
    return FlowShopData(tuple(tuple(map(int, job.split())) for job in jobs.split(",")))


CAR5 = (
    "333 991 996 123 145 234, 333 111 663 456 785 532, 252 222 222 789 214 586, 222 204 114 876 752 532,"
    "255 477 123 543 143 142, 555 566 456 210 698 573, 558 899 789 124 532 12, 888 965 876 537 145 14,"
    "889 588 543 854 247 527, 999 889 210 632 451 856"
)
CAR6 = (
    "887 447 234 159 201 555 463 456 753, 799 779 567 267 478 444 123 789 21, 999 999 852 483 520 120 456 630 427,"
    "666 666 140 753 145 142 789 258 520, 663 25 222 420 699 578 876 741 142, 333 558 558 159 875 965 543 36 534,"
    "222 886 965 25 633 412 210 985 157, 114 541 412 863 222 25 123 214 896"
)
CAR7 = (
    "692 310 832 630 258 147 255, 581 582 14 214 147 753 806, 475 475 785 578 852 2 699, 23 196 696 214 586 356 877,"
    "158 325 530 785 325 565 412, 796 874 214 236 896 898 302, 542 205 578 963 325 800 120"
)
CARLIER = "Carlier, Ordonnancements a contraintes disjunctives, RAIRO 12, 1978"
FAMOUS = (
    Famous("car7", "m", _carlier(CAR7), 6590, CARLIER),
    Famous("car6", "l", _carlier(CAR6), 8505, CARLIER),
    Famous("car5", "xl", _carlier(CAR5), 7720, CARLIER),
)


class FlowShop(Optimization[FlowShopData, Places, OrderVariables]):
    name: ClassVar[str] = "flow_shop"
    version: ClassVar[int] = 1
    title: ClassVar[str] = "Permutation flow shop"
    data = FlowShopData
    sizes: ClassVar[Any] = ladder(
        FlowShopKnobs,
        jobs=(4, 6, 8, 9, 11),
        machines=(2, 3, 3, 4, 4),
        longest=20,
        dues=(1, 2, 3, 4, 5),
        precedences=(1, 2, 3, 4, 5),
        apart=(1, 2, 4, 5, 7),
        late=(1, 1, 2, 3, 3),
        brisk=(1, 1, 2, 3, 3),
    )
    core_kinds: ClassVar[tuple[str, ...]] = ("placed",)
    modules: ClassVar[Any] = {
        "due_date": lambda d: [DueDate(job, d.duration, time) for job, time in d.dues],
        "precedence": lambda d: [Precedence(*pair) for pair in d.precedences],
        "not_adjacent": lambda d: [NotAdjacent(pair) for pair in d.apart],
        "earliest_place": lambda d: [EarliestPlace(job, place) for job, place in d.late],
        "time_in_shop": lambda d: [TimeInShop(job, d.duration, time) for job, time in d.brisk],
    }
    target_share: ClassVar[Fraction] = Fraction(102, 100)
    formats: ClassVar[Any] = {"jsplib": from_file}

    def draw(self, knobs: FlowShopKnobs, stream: Stream) -> FlowShopData:
        """Hide a good order, which keeps every rule: so the optimum with all rules is near that without any."""
        n = knobs.jobs
        duration = stream("duration").matrix(n, knobs.machines, 1, knobs.longest)
        order = _improved(duration, stream("order").shuffled(range(n)))
        left, place = ends(duration, order), {job: p for p, job in enumerate(order)}
        room = stream("room")
        stay = {job: left[job][-1] - left[job][0] + duration[job][0] for job in range(n)}
        # Jobs that hardly wait, pairs that are near each other, jobs that are late but not last: rules that bind.
        brisk = sorted(range(n), key=lambda job: stay[job] - sum(duration[job]))[: knobs.brisk]
        pairs = [(i, j) for i in range(n) for j in range(i + 1, n) if abs(place[i] - place[j]) > 1]
        near = sorted(stream("pairs").shuffled(pairs), key=lambda pair: abs(place[pair[0]] - place[pair[1]]) // 3)
        after = [(i, j) for i in range(n) for j in range(n) if place[i] < place[j]]
        return FlowShopData(
            duration=duration,
            dues=tuple(
                (job, left[job][-1] + room.integer(0, knobs.longest // 5))
                for job in sorted(stream("due").sample(order[: max(knobs.dues, n * 3 // 4)], knobs.dues))
            ),
            precedences=tuple(sorted(stream("after").sample(after, knobs.precedences))),
            apart=tuple(sorted(near[: knobs.apart])),
            late=tuple(
                (job, place[job] + 1 - room.integer(0, 1))
                for job in sorted(stream("late").sample(order[n // 2 :], knobs.late))
            ),
            brisk=tuple((job, stay[job] + room.integer(0, knobs.longest // 5)) for job in sorted(brisk)),
        )

    def form(self, d: FlowShopData) -> OrderOf:
        return OrderOf("job", len(d.duration))

    def core(self, d: FlowShopData) -> list[Constraint[Places, Any]]:
        return [Placed(job) for job in range(len(d.duration))]

    def objective(self, d: FlowShopData) -> Makespan:
        return Makespan(d.duration)

    def inverted(self, d: FlowShopData) -> TimeLeft:
        return TimeLeft(d.duration)

    def greedy(self, d: FlowShopData, fits: Fits[Places]) -> Places:
        """Nawaz, Enscore and Ham: each job, the longest first, where it lengthens the schedule least among the places
        that fit (among all where none does)."""
        order: list[int] = []
        for job in sorted(range(len(d.duration)), key=lambda job: -sum(d.duration[job])):
            options = [[*order[:p], job, *order[p:]] for p in range(len(order) + 1)]
            fitting = [option for option in options if fits(_places(option))]
            order = min(fitting or options, key=lambda option: ends(d.duration, option)[option[-1]][-1])
        return _places(order)

    def intro(self, d: FlowShopData, names: Names) -> str:
        job, jobs, machine = names.word("job"), names.all("job"), names.word("machine")
        route = names.several("machine", range(len(d.duration[0])))
        return (
            f"Find an order for these {jobs}. Every {job} has an operation on each of {route}, in this sequence; the"
            f" table gives their durations. Every {machine} takes the {jobs} in the order that you give, one at a time."
            f" An operation starts as early as possible from time 0 on: as soon as its {job} has left the {machine}"
            f" before and its {machine} has finished the {job} before. It is not interrupted. A {job} is completed when"
            f" its last operation ends.\n\n" + names.matrix("job", d.duration, "machine")
        )

    def entities(self, d: FlowShopData) -> Mapping[str, int]:
        return {"job": len(d.duration), "machine": len(d.duration[0])}

    def sketch(self, instance: Instance) -> Bars:
        d, names = instance.data, instance.names
        assert isinstance(d, FlowShopData)
        bars = tuple(
            Bar(names.one("machine", m), end - d.duration[job][m], end, names.label("job", job), names.one("job", job))
            for job, row in ends(d.duration, in_order(instance.answer)).items()
            for m, end in enumerate(row)
        )
        return Bars("time", bars, tuple(names.one("machine", m) for m in range(len(d.duration[0]))))

    def famous(self) -> Sequence[Famous[FlowShopData]]:
        return FAMOUS

    def perturb(self, d: FlowShopData, stream: Stream) -> FlowShopData:
        """Draw the durations of two jobs anew, each between half and one and a half times what it was."""
        changed = stream("jobs").sample(range(len(d.duration)), 2)
        new = stream("durations")
        rows = [tuple(new.integer((v + 1) // 2, v + v // 2) for v in row) for row in d.duration]
        return replace(d, duration=tuple(rows[j] if j in changed else row for j, row in enumerate(d.duration)))


def _places(order: Sequence[int]) -> Places:
    return Partial({job: place for place, job in enumerate(order)})


def _improved(duration: Durations, order: list[int]) -> list[int]:
    """Return an order that moving any one job doesn't improve."""
    best = ends(duration, order)[order[-1]][-1]
    moves = [(p, q) for p in range(len(order)) for q in range(len(order)) if p != q]
    better = True
    while better:
        better = False
        for p, q in moves:
            rest = [*order[:p], *order[p + 1 :]]
            moved = [*rest[:q], order[p], *rest[q:]]
            end = ends(duration, moved)[moved[-1]][-1]
            if end < best:
                order, best, better = moved, end, True
    return order
