"""Job shop scheduling (Muth and Thompson 1963): finish as early as possible.

Some operations may be *flexible*: they run on either of two machines (flexible job shop: Brucker and Schlie 1990), and
the answer then gives the machine of these too. A textbook instance has none. Modules, most of them kinds of
ConstraintBench (arXiv 2602.22465): ``release`` (a job is not there from the beginning), ``machine_unavailable`` (a
machine stands still for a while), ``due_date`` (a job ends by a time), ``job_priority`` (a job starts before another),
``machine_preference`` (the machine of a flexible operation is given), ``no_idle`` (a job waits little between its
operations), ``batch_together`` (two operations run back to back) and ``max_makespan`` (everything ends by a time).

The limit of ``max_makespan`` is what a schedule hidden in the data needs and a little more: somewhat above the optimum.
No distractors: every job and every machine is part of an answer.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import combinations, count, product
from typing import TYPE_CHECKING, Any, ClassVar

from solvers.constrained import Fits, Optimization
from solvers.formats.jsplib import read_job_shop
from solvers.keys import Stream
from solvers.names import Costume, Names, sentence, table
from solvers.problem import Constraint, Data, Famous, Instance, Knobs, Objective, ladder
from solvers.shapes import Joint, MapOf, Partial, Starts
from solvers.sketches import Bar, Bars

if TYPE_CHECKING:
    from ortools.sat.python import cp_model

Operation = tuple[int, int]  # job, step
Schedule = tuple[Any, ...]  # (operation -> start,) or, with flexible operations, (…, flexible operation -> machine)
FIXED = -1  # in place of the number of a flexible operation
TRIES = 20  # schedules drawn for the one that is hidden in the data


@dataclass(frozen=True, kw_only=True)
class JobShopKnobs(Knobs):
    jobs: int
    machines: int
    longest: int  # durations are 1 to this
    flexible: int  # operations, each of another job
    dates: int  # releases, due dates, priorities and machines that are unavailable once: so many of each
    ties: int  # preferred machines, jobs that wait little and batches: so many of each


@dataclass(frozen=True)
class JobShopData(Data):
    machine: tuple[tuple[int, ...], ...]  # by job, by step
    duration: tuple[tuple[int, ...], ...]  # by job, by step
    flexible: tuple[tuple[int, int, int], ...] = ()  # (job, step, the other machine)
    releases: tuple[tuple[int, int], ...] = ()  # (job, time)
    windows: tuple[tuple[int, int, int], ...] = ()  # (machine, from, to)
    dues: tuple[tuple[int, int], ...] = ()  # (job, time)
    priorities: tuple[tuple[int, int], ...] = ()  # (job, one that starts later)
    preferred: tuple[tuple[int, int], ...] = ()  # (flexible operation, machine)
    steady: tuple[tuple[int, int], ...] = ()  # (job, longest wait)
    batches: tuple[tuple[Operation, Operation], ...] = ()
    deadline: int = 0

    def machines(self, operation: Operation) -> tuple[int, ...]:
        """Return the machines that an operation can run on."""
        main, choice = self.machine[operation[0]][operation[1]], self.choice(operation)
        return (main,) if choice == FIXED else tuple(sorted((main, self.flexible[choice][2])))

    def choice(self, operation: Operation) -> int:
        """Return the number of a flexible operation, `FIXED` for one that is not."""
        return next((i for i, (j, k, _) in enumerate(self.flexible) if (j, k) == operation), FIXED)

    def shared(self) -> list[list[Operation]]:
        """Return, by machine, the operations that can run on it."""
        used = [
            (m, (j, k)) for j, row in enumerate(self.machine) for k in range(len(row)) for m in self.machines((j, k))
        ]
        return [[operation for at, operation in used if at == m] for m in range(1 + max(used)[0])]

    def length(self, operation: Operation) -> int:
        """Return the duration of an operation."""
        return self.duration[operation[0]][operation[1]]

    def ends(self, starts: Mapping[Operation, int]) -> list[int]:
        """Return when each job ends in a schedule."""
        return [starts[j, len(row) - 1] + row[-1] for j, row in enumerate(self.duration)]


class Timed(Constraint[Schedule, Any]):
    constraint_class: ClassVar[str] = "temporal"


class LookingAhead(Timed):
    """A rule that dispatching, which never looks ahead, can't promise to keep: `fits` doesn't ask for it."""

    hereditary: ClassVar[bool] = False


@dataclass(frozen=True)
class Precedence(Timed):
    """``limit``: the least time from one start to the next, which is the duration of operation (job, step)."""

    kind: ClassVar[str] = "precedence"
    job: int
    step: int
    limit: int

    def say(self, names: Names) -> str:
        return f"An operation starts no earlier than the operation before it in its {names.word('job')} ends."

    def check(self, answer: Schedule) -> int:
        return int(answer[0][self.job, self.step + 1] - answer[0][self.job, self.step] - self.limit)

    def post(self, model: "cp_model.CpModel", x: Any) -> None:
        model.add(x[0].start[self.job, self.step + 1] >= x[0].start[self.job, self.step] + self.limit)


@dataclass(frozen=True)
class OneAtATime(Timed):
    """Two operations that can run on one machine; the slack is the idle time between them, negative where they overlap.

    ``choices``: their numbers as flexible operations, or `FIXED`. Where one runs elsewhere, the rule does not apply.
    """

    kind: ClassVar[str] = "machine"
    machine: int
    pair: tuple[Operation, Operation]
    durations: tuple[int, int]
    choices: tuple[int, int] = (FIXED, FIXED)

    def say(self, names: Names) -> str:
        return f"{sentence(names.one('machine', self.machine))} processes at most one operation at a time."

    def check(self, answer: Schedule) -> int:
        first, second = answer[0][self.pair[0]], answer[0][self.pair[1]]
        apart = max(second - first - self.durations[0], first - second - self.durations[1])
        return 0 if self.vacuous(answer) else int(apart)

    def vacuous(self, answer: Schedule) -> bool:
        one, other = self.choices
        elsewhere = one != FIXED and answer[1][one] != self.machine
        return elsewhere or (other != FIXED and bool(answer[1][other] != self.machine))

    def post(self, model: "cp_model.CpModel", x: Any) -> None:
        if self.choices == (FIXED, FIXED):
            # Intervals, not a disjunction of sums: presolve merges the pairs of a machine into one no-overlap.
            model.add_no_overlap([x[0].interval(operation) for operation in self.pair])
            return
        here = [x[1][choice, self.machine] for choice in self.choices if choice != FIXED]
        first, second = (x[0].start[operation] for operation in self.pair)
        ordered = model.new_bool_var("ordered")
        model.add(second >= first + self.durations[0]).only_enforce_if([*here, ordered])
        model.add(first >= second + self.durations[1]).only_enforce_if([*here, ~ordered])


@dataclass(frozen=True)
class Eligible(Constraint[Schedule, Any]):
    kind: ClassVar[str] = "eligible"
    constraint_class: ClassVar[str] = "domain"
    choice: int
    machines: tuple[int, ...]

    def say(self, names: Names) -> str:
        machines = " or ".join(names.one("machine", m) for m in self.machines)
        return f"{sentence(names.one('flexible operation', self.choice))} runs on {machines}."

    def check(self, answer: Schedule) -> int:
        return 0 if answer[1][self.choice] in self.machines else -1

    def post(self, model: "cp_model.CpModel", x: Any) -> None:
        model.add_exactly_one(x[1][self.choice, m] for m in self.machines)
        for (choice, machine), variable in x[1].items():
            if choice == self.choice and machine not in self.machines:
                model.add(variable == 0)


@dataclass(frozen=True)
class Release(Timed):
    kind: ClassVar[str] = "release"
    job: int
    limit: int

    def say(self, names: Names) -> str:
        return f"{sentence(names.one('job', self.job))} starts no earlier than time {self.limit}."

    def check(self, answer: Schedule) -> int:
        return int(answer[0][self.job, 0] - self.limit)

    def post(self, model: "cp_model.CpModel", x: Any) -> None:
        model.add(x[0].start[self.job, 0] >= self.limit)


@dataclass(frozen=True)
class MachineUnavailable(Timed):
    """One operation and one window [begin, end) of a machine; the slack is the time between the two."""

    kind: ClassVar[str] = "machine_unavailable"
    machine: int
    begin: int
    end: int
    operation: Operation
    duration: int
    choice: int = FIXED

    def say(self, names: Names) -> str:
        machine, when = sentence(names.one("machine", self.machine)), f"from time {self.begin} to time {self.end}"
        around = f"each operation on it ends at {self.begin} or before, or starts at {self.end} or after"
        return f"{machine} is unavailable {when}: {around}."

    def check(self, answer: Schedule) -> int:
        start = answer[0][self.operation]
        return 0 if self.vacuous(answer) else max(self.begin - start - self.duration, start - self.end)

    def vacuous(self, answer: Schedule) -> bool:
        return self.choice != FIXED and bool(answer[1][self.choice] != self.machine)

    def post(self, model: "cp_model.CpModel", x: Any) -> None:
        if self.choice == FIXED:
            window = model.new_fixed_size_interval_var(self.begin, self.end - self.begin, "window")
            model.add_no_overlap([x[0].interval(self.operation), window])
            return
        here, early, start = x[1][self.choice, self.machine], model.new_bool_var("early"), x[0].start[self.operation]
        model.add(start + self.duration <= self.begin).only_enforce_if([here, early])
        model.add(start >= self.end).only_enforce_if([here, ~early])


@dataclass(frozen=True)
class DueDate(LookingAhead):
    kind: ClassVar[str] = "due_date"
    job: int
    step: int  # the last
    duration: int
    limit: int

    def say(self, names: Names) -> str:
        return f"The last operation of {names.one('job', self.job)} ends at time {self.limit} or before."

    def check(self, answer: Schedule) -> int:
        return int(self.limit - answer[0][self.job, self.step] - self.duration)

    def post(self, model: "cp_model.CpModel", x: Any) -> None:
        model.add(x[0].start[self.job, self.step] + self.duration <= self.limit)


@dataclass(frozen=True)
class JobPriority(LookingAhead):
    kind: ClassVar[str] = "job_priority"
    first: int
    second: int

    def say(self, names: Names) -> str:
        first = sentence(names.one("job", self.first))
        return f"{first} starts earlier than {names.one('job', self.second)} (not at the same time)."

    def check(self, answer: Schedule) -> int:
        return int(answer[0][self.second, 0] - answer[0][self.first, 0] - 1)

    def post(self, model: "cp_model.CpModel", x: Any) -> None:
        model.add(x[0].start[self.first, 0] < x[0].start[self.second, 0])


@dataclass(frozen=True)
class MachinePreference(Constraint[Schedule, Any]):
    kind: ClassVar[str] = "machine_preference"
    constraint_class: ClassVar[str] = "logical"
    choice: int
    machine: int

    def say(self, names: Names) -> str:
        operation = sentence(names.one("flexible operation", self.choice))
        return f"{operation} must run on {names.one('machine', self.machine)}."

    def check(self, answer: Schedule) -> int:
        return 0 if answer[1][self.choice] == self.machine else -1

    def post(self, model: "cp_model.CpModel", x: Any) -> None:
        model.add(x[1][self.choice, self.machine] == 1)


@dataclass(frozen=True)
class NoIdle(LookingAhead):
    """``limit``: the longest time from the end of operation (job, step) to the start of the next one."""

    kind: ClassVar[str] = "no_idle"
    job: int
    step: int
    duration: int
    limit: int

    def say(self, names: Names) -> str:
        each = f"each operation starts at most {self.limit} after the operation before it ends"
        return f"In {names.one('job', self.job)}, {each}."

    def check(self, answer: Schedule) -> int:
        end = answer[0][self.job, self.step] + self.duration
        return int(self.limit - (answer[0][self.job, self.step + 1] - end))

    def post(self, model: "cp_model.CpModel", x: Any) -> None:
        model.add(x[0].start[self.job, self.step + 1] <= x[0].end((self.job, self.step)) + self.limit)


@dataclass(frozen=True)
class BatchTogether(LookingAhead):
    """Two operations on one machine; the slack is minus the time by which they miss being back to back."""

    kind: ClassVar[str] = "batch_together"
    machine: int
    pair: tuple[Operation, Operation]
    durations: tuple[int, int]

    def say(self, names: Names) -> str:
        first, second = (f"operation {k + 1} of {names.one('job', j)}" for j, k in self.pair)
        where = f"back to back on {names.one('machine', self.machine)}, in either order"
        return f"{sentence(first)} and {second} run {where}: one of them starts at the time at which the other ends."

    def check(self, answer: Schedule) -> int:
        first, second = (answer[0][operation] for operation in self.pair)
        return -int(min(abs(second - first - self.durations[0]), abs(first - second - self.durations[1])))

    def post(self, model: "cp_model.CpModel", x: Any) -> None:
        first, second = (x[0].start[operation] for operation in self.pair)
        ordered = model.new_bool_var("ordered")
        model.add(second == first + self.durations[0]).only_enforce_if(ordered)
        model.add(first == second + self.durations[1]).only_enforce_if(~ordered)


@dataclass(frozen=True)
class MaxMakespan(LookingAhead):
    kind: ClassVar[str] = "max_makespan"
    duration: tuple[tuple[int, ...], ...]
    limit: int

    def say(self, names: Names) -> str:
        return f"Every operation ends at time {self.limit} or before."

    def check(self, answer: Schedule) -> int:
        ends = (answer[0][j, k] + length for j, row in enumerate(self.duration) for k, length in enumerate(row))
        return int(self.limit - max(ends))

    def post(self, model: "cp_model.CpModel", x: Any) -> None:
        for operation in x[0].start:
            model.add(x[0].end(operation) <= self.limit)


@dataclass(frozen=True)
class Makespan(Objective[Schedule, Any]):
    direction: ClassVar[Any] = "min"
    duration: tuple[tuple[int, ...], ...]
    horizon: int

    def noun(self, names: Names) -> str:
        return "the time at which the last operation ends"

    def of(self, answer: Schedule) -> int:
        ends = (answer[0][j, k] + length for j, row in enumerate(self.duration) for k, length in enumerate(row))
        return int(max(ends))

    def post(self, model: "cp_model.CpModel", x: Any) -> Any:
        latest = self.horizon + max(map(max, self.duration))
        makespan = model.new_int_var(0, latest, "makespan")
        model.add_max_equality(makespan, [x[0].end(operation) for operation in x[0].start])
        return makespan


def from_file(text: str) -> JobShopData:
    """Return the job shop of a file in the standard layout. Raises FormatError."""
    shop = read_job_shop(text)
    return JobShopData(shop.machine, shop.duration)


FT06 = (
    "6 6\n2 1 0 3 1 6 3 7 5 3 4 6\n1 8 2 5 4 10 5 10 0 10 3 4\n2 5 3 4 5 8 0 9 1 1 4 7\n1 5 0 5 2 5 3 3 4 8 5 9\n"
    "2 9 1 3 4 5 5 4 0 3 3 1\n1 3 3 3 5 9 0 10 4 4 2 1"
)
LA01 = (
    "10 5\n1 21 0 53 4 95 3 55 2 34\n0 21 3 52 4 16 2 26 1 71\n3 39 4 98 1 42 2 31 0 12\n1 77 0 55 4 79 2 66 3 77\n"
    "0 83 3 34 2 64 1 19 4 37\n1 54 2 43 4 79 0 92 3 62\n3 69 4 77 1 87 2 87 0 93\n2 38 0 60 1 41 3 24 4 83\n"
    "3 17 1 49 4 25 0 44 2 98\n4 77 3 79 2 43 1 75 0 96"
)
FAMOUS = (
    Famous("ft06", "m", from_file(FT06), 55, "Fisher and Thompson, in Muth and Thompson, Industrial Scheduling, 1963"),
    Famous("la01", "xl", from_file(LA01), 666, "Lawrence, Resource constrained project scheduling, 1984"),
)
COSTUMES = (
    Costume("A hospital tests samples.", {"job": ("sample", "samples"), "machine": ("analyser", "analysers")}),
    Costume("A kitchen prepares a banquet.", {"job": ("dish", "dishes"), "machine": ("station", "stations")}),
    Costume("A depot overhauls the trams of a city.", {"job": ("tram", "trams"), "machine": ("bay", "bays")}),
)


class JobShop(Optimization[JobShopData, Schedule, Any]):
    name: ClassVar[str] = "job_shop"
    version: ClassVar[int] = 2
    title: ClassVar[str] = "Job shop scheduling"
    data = JobShopData
    sizes: ClassVar[Any] = ladder(
        JobShopKnobs,
        jobs=(2, 3, 6, 8, 10),
        machines=(2, 3, 4, 5, 5),
        longest=9,
        flexible=(1, 2, 3, 4, 5),
        dates=(1, 1, 2, 3, 4),
        ties=(1, 1, 2, 2, 3),
    )
    core_kinds: ClassVar[tuple[str, ...]] = ("precedence", "machine", "eligible")
    modules: ClassVar[Any] = {
        "release": lambda d: [Release(job, time) for job, time in d.releases],
        "machine_unavailable": lambda d: [
            MachineUnavailable(machine, begin, end, operation, d.length(operation), d.choice(operation))
            for machine, begin, end in d.windows
            for operation in d.shared()[machine]
        ],
        "due_date": lambda d: [DueDate(j, len(d.duration[j]) - 1, d.duration[j][-1], time) for j, time in d.dues],
        "job_priority": lambda d: [JobPriority(*pair) for pair in d.priorities],
        "machine_preference": lambda d: [MachinePreference(choice, machine) for choice, machine in d.preferred],
        "no_idle": lambda d: [
            NoIdle(j, k, length, most) for j, most in d.steady for k, length in enumerate(d.duration[j][:-1])
        ],
        "batch_together": lambda d: [
            BatchTogether(d.machine[one[0]][one[1]], (one, other), (d.length(one), d.length(other)))
            for one, other in d.batches
        ],
        "max_makespan": lambda d: [MaxMakespan(d.duration, d.deadline)],
    }
    target_share: ClassVar[Fraction] = Fraction(105, 100)
    costumes = COSTUMES
    formats: ClassVar[Any] = {"jsplib": from_file}

    def draw(self, knobs: JobShopKnobs, stream: Stream) -> JobShopData:
        """Draw a shop and hide a schedule in it that keeps every rule; draw again where it has too few batches."""
        attempts = (self.hidden(knobs, stream(f"attempt {k}")) for k in count())
        return next(data for data in attempts if data is not None)

    def hidden(self, knobs: JobShopKnobs, stream: Stream) -> JobShopData | None:
        """Return data in which the best of some random schedules is hidden, None where it has too few batches."""
        jobs, machines = knobs.jobs, knobs.machines
        route, window = stream("machine"), stream("window")
        # A machine is busy for about ``busy``: releases and windows that fall into this time are felt.
        busy = max(jobs, machines) * (knobs.longest + 1) // 2
        late = sorted(stream("late").sample(range(jobs), knobs.dates))
        begins = window("begin").integers(knobs.dates, busy // 5, busy * 4 // 5)
        lengths = window("length").integers(knobs.dates, 2, knobs.longest // 2)
        stopped = sorted(window("machine").sample(range(machines), knobs.dates))
        machine = tuple(tuple(route.shuffled(range(machines))) for _ in range(jobs))
        either = sorted(stream("flexible").sample(range(jobs), knobs.flexible))
        steps = stream("step").integers(knobs.flexible, 0, machines - 1)
        # The hidden schedule leaves flexible operations on their first machine, where the pinned ones must run.
        pinned = sorted(stream("pin").sample(range(knobs.flexible), knobs.ties))
        d = JobShopData(
            machine=machine,
            duration=stream("duration").matrix(jobs, machines, 1, knobs.longest),
            flexible=tuple(
                (j, k, stream(f"other {j}").choice([m for m in range(machines) if m != machine[j][k]]))
                for j, k in zip(either, steps, strict=True)
            ),
            releases=tuple(zip(late, stream("release").integers(knobs.dates, 2, busy // 4), strict=True)),
            windows=tuple((m, begin, begin + n) for m, begin, n in zip(stopped, begins, lengths, strict=True)),
            preferred=tuple((i, machine[either[i]][steps[i]]) for i in pinned),
        )
        tries = [_dispatched(d, stream(f"try {k}")) for k in range(TRIES)]
        return self.ruled(d, min(tries, key=lambda starts: max(d.ends(starts))), knobs, stream)

    def ruled(
        self, d: JobShopData, starts: Mapping[Operation, int], knobs: JobShopKnobs, stream: Stream
    ) -> JobShopData | None:
        """Return the data with further rules that a schedule keeps, None where it has too few batches."""
        jobs, ends, room = range(knobs.jobs), d.ends(starts), stream("room")
        waits = [max(starts[j, k + 1] - starts[j, k] - n for k, n in enumerate(d.duration[j][:-1])) for j in jobs]
        batches: list[tuple[Operation, Operation]] = []
        for one, other in stream("batches").shuffled(list(combinations(sorted(starts), 2))):
            gap = starts[other] - starts[one]
            together = one[0] != other[0] and d.machines(one) == d.machines(other) and len(d.machines(one)) == 1
            taken = {operation for pair in batches for operation in pair}
            if together and gap in (d.length(one), -d.length(other)) and not {one, other} & taken:
                batches.append((one, other))
        ordered = [(i, j) for i in jobs for j in jobs if starts[i, 0] < starts[j, 0]]
        if len(batches) < knobs.ties or len(ordered) < knobs.dates:
            return None
        # Dates of jobs that end early and waits of jobs that hardly wait: the others would bind nobody.
        early = sorted(jobs, key=lambda j: ends[j])[: max(knobs.dates, knobs.jobs * 2 // 3)]
        brisk = sorted(jobs, key=lambda j: waits[j])[: knobs.ties]
        return replace(
            d,
            dues=tuple((j, ends[j] + room.integer(0, 2)) for j in sorted(stream("due").sample(early, knobs.dates))),
            priorities=tuple(sorted(stream("priority").sample(ordered, knobs.dates))),
            steady=tuple((j, waits[j] + room.integer(0, 1)) for j in sorted(brisk)),
            batches=tuple(sorted(batches[: knobs.ties])),
            deadline=max(ends) + room.integer(1, 3),
        )

    def horizon(self, d: JobShopData) -> int:
        """Return a time by which all is done if one waits for every release and window, then works serially."""
        waits = [time for _, time in d.releases] + [end for _, _, end in d.windows]
        return max(waits, default=0) + sum(map(sum, d.duration))

    def form(self, d: JobShopData) -> Joint:
        choice = MapOf("flexible operation", len(d.flexible), "machine", self.entities(d)["machine"])
        return Joint((Starts("job", d.duration, self.horizon(d)), *([choice] if d.flexible else [])))

    def core(self, d: JobShopData) -> list[Constraint[Schedule, Any]]:
        choice = {(j, k): d.choice((j, k)) for j, row in enumerate(d.duration) for k in range(len(row))}
        return [
            *(Precedence(j, k, length) for j, row in enumerate(d.duration) for k, length in enumerate(row[:-1])),
            *(
                OneAtATime(machine, (one, other), (d.length(one), d.length(other)), (choice[one], choice[other]))
                for machine, operations in enumerate(d.shared())
                for one, other in combinations(operations, 2)
                if one[0] != other[0]  # operations of one job are kept apart by their order
            ),
            *(Eligible(i, d.machines((j, k))) for i, (j, k, _) in enumerate(d.flexible)),
        ]

    def objective(self, d: JobShopData) -> Makespan:
        return Makespan(d.duration, self.horizon(d))

    def greedy(self, d: JobShopData, fits: Fits[Schedule]) -> Schedule:
        """List scheduling: of the jobs' next operations the one that is ready first, ties to the longest.

        Each starts as early as it fits, in a gap too, a flexible one on the machine that lets it.
        """
        starts: Partial[Operation, int] = Partial()
        machines: Partial[int, int] = Partial()
        ready, step = [0] * len(d.duration), [0] * len(d.duration)
        over = {time for _, time in d.releases} | {end for _, _, end in d.windows}
        while unfinished := [j for j, row in enumerate(d.duration) if step[j] < len(row)]:
            j = min(unfinished, key=lambda j: (ready[j], -d.duration[j][step[j]]))
            k = step[j]
            choice = d.choice((j, k))
            # Whatever holds it back ends at one of these times; the last one is after everything, so one of them fits.
            ends = over | {start + d.length(operation) for operation, start in starts.items()}
            openings = sorted({ready[j]} | {end for end in ends if end > ready[j]})
            for start, machine in product(openings, d.machines((j, k))):
                times = Partial({**starts, (j, k): start})
                places = machines if choice == FIXED else Partial({**machines, choice: machine})
                if fits((times, places) if d.flexible else (times,)):
                    starts, machines = times, places
                    break
            ready[j], step[j] = starts[j, k] + d.duration[j][k], k + 1
        return (starts, machines) if d.flexible else (starts,)

    def entities(self, d: JobShopData) -> Mapping[str, int]:
        machines = 1 + max(*map(max, d.machine), *(m for *_, m in d.flexible))
        flexible = {"flexible operation": len(d.flexible)} if d.flexible else {}
        return {"job": len(d.duration), "machine": machines, **flexible}

    def intro(self, d: JobShopData, names: Names) -> str:
        job, machine = names.word("job"), names.word("machine")

        def cell(operation: Operation) -> str:
            place = " or ".join(names.one("machine", m) for m in d.machines(operation))
            choice = d.choice(operation)
            number = "" if choice == FIXED else f" ({names.one('flexible operation', choice)})"
            return f"{place} for {d.length(operation)}{number}"

        rows = [
            (names.label("job", j), *(cell((j, k)) for k in range(len(d.duration[j]))))
            for j in names.listed("job", len(d.duration))
        ]
        return (
            f"Schedule these {names.all('job')}. The operations of a {job} are listed in their order, each with its"
            f" {machine} and its duration. Times are whole numbers from 0 on; an operation that starts at s and lasts d"
            " ends at s + d, without a break.\n\n"
            + table([job, *(f"operation {k + 1}" for k in range(max(map(len, d.duration))))], rows)
        )

    def sketch(self, instance: Instance) -> Bars:
        d, names, (starts, *choice) = instance.data, instance.names, instance.answer
        assert isinstance(d, JobShopData)
        closed = d.windows if "machine_unavailable" in instance.modules else ()
        bars = [Bar(names.one("machine", m), begin, end, "closed", "") for m, begin, end in closed]
        for (j, k), start in starts.items():
            machine = d.machine[j][k] if d.choice((j, k)) == FIXED else choice[0][d.choice((j, k))]
            job = names.one("job", j)
            bars.append(Bar(names.one("machine", machine), start, start + d.duration[j][k], names.label("job", j), job))
        axis = "time; grey: closed" if closed else "time"
        return Bars(axis, tuple(bars), tuple(names.one("machine", m) for m in range(len(d.shared()))))

    def famous(self) -> Sequence[Famous[JobShopData]]:
        return FAMOUS

    def perturb(self, d: JobShopData, stream: Stream) -> JobShopData:
        """Draw the durations of three jobs anew, each between half and one and a half times what it was."""
        changed = stream("jobs").sample(range(len(d.duration)), 3)
        new = stream("durations")
        rows = [[new.integer((v + 1) // 2, v + v // 2) for v in row] for row in d.duration]
        return replace(d, duration=tuple(tuple(rows[j]) if j in changed else row for j, row in enumerate(d.duration)))


def _dispatched(d: JobShopData, stream: Stream) -> dict[Operation, int]:
    """Return a random schedule: operations in random order, each as early as its job and its machine let it."""
    order = stream.shuffled([j for j, row in enumerate(d.duration) for _ in row])
    taken = {m: [(begin, end) for at, begin, end in d.windows if at == m] for m in range(1 + max(map(max, d.machine)))}
    ready, step = {**dict.fromkeys(range(len(d.duration)), 0), **dict(d.releases)}, [0] * len(d.duration)
    starts = {}
    for j in order:
        k = step[j]
        machine, start, length = d.machine[j][k], ready[j], d.duration[j][k]
        for begin, end in sorted(taken[machine]):
            if start + length <= begin:
                break
            start = max(start, end)
        taken[machine].append((start, start + length))
        starts[j, k], ready[j], step[j] = start, start + length, k + 1
    return starts
