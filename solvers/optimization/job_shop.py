"""Job shop scheduling, each job once on each machine (Muth and Thompson 1963): finish as early as possible.

Modules: ``release`` (a job is not there from the beginning) and ``maintenance`` (a machine stands still for a while).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from itertools import combinations
from typing import TYPE_CHECKING, Any, ClassVar

from solvers.constrained import Fits, Optimization
from solvers.keys import Stream
from solvers.names import Names, sentence, table
from solvers.problem import Constraint, Data, Knobs, Objective, ladder
from solvers.shapes import Partial, Starts

if TYPE_CHECKING:
    from solvers.shapes import StartVariables

Operation = tuple[int, int]  # job, step
Schedule = Partial[Operation, int]  # operation -> start


@dataclass(frozen=True, kw_only=True)
class JobShopKnobs(Knobs):
    jobs: int
    machines: int
    longest: int  # durations are 1 to this
    releases: int  # jobs that are not there at time 0
    windows: int  # maintenance windows, each on a machine of its own


@dataclass(frozen=True)
class JobShopData(Data):
    machine: tuple[tuple[int, ...], ...]  # by job, by step
    duration: tuple[tuple[int, ...], ...]  # by job, by step
    releases: tuple[tuple[int, int], ...]  # (job, time)
    windows: tuple[tuple[int, int, int], ...]  # (machine, from, to)

    def on(self, machine: int) -> list[Operation]:
        """Return the operations of a machine."""
        return [(j, k) for j, row in enumerate(self.machine) for k, m in enumerate(row) if m == machine]


@dataclass(frozen=True)
class Precedence(Constraint[Schedule, "StartVariables"]):
    """``limit``: the least time from one start to the next, which is the duration of operation (job, step)."""

    kind: ClassVar[str] = "precedence"
    constraint_class: ClassVar[str] = "temporal"
    job: int
    step: int
    limit: int

    def say(self, names: Names) -> str:
        job = names.word("job")
        return f"An operation starts no earlier than the operation before it in its {job} ends."

    def check(self, answer: Schedule) -> int:
        return answer[self.job, self.step + 1] - answer[self.job, self.step] - self.limit

    def post(self, model: Any, x: "StartVariables") -> None:
        model.add(x.start[self.job, self.step + 1] >= x.start[self.job, self.step] + self.limit)


@dataclass(frozen=True)
class OneAtATime(Constraint[Schedule, "StartVariables"]):
    """Two operations on one machine; the slack is the idle time between them, negative where they overlap."""

    kind: ClassVar[str] = "machine"
    constraint_class: ClassVar[str] = "temporal"
    machine: int
    pair: tuple[Operation, Operation]
    durations: tuple[int, int]

    def say(self, names: Names) -> str:
        return f"{sentence(names.one('machine', self.machine))} processes at most one operation at a time."

    def check(self, answer: Schedule) -> int:
        first, second = (answer[operation] for operation in self.pair)
        return max(second - first - self.durations[0], first - second - self.durations[1])

    def post(self, model: Any, x: "StartVariables") -> None:
        # Intervals, not a disjunction of sums: presolve merges the pairs of a machine into one no-overlap.
        model.add_no_overlap([x.interval(operation) for operation in self.pair])


@dataclass(frozen=True)
class Release(Constraint[Schedule, "StartVariables"]):
    kind: ClassVar[str] = "release"
    constraint_class: ClassVar[str] = "temporal"
    job: int
    limit: int

    def say(self, names: Names) -> str:
        return f"{sentence(names.one('job', self.job))} starts no earlier than time {self.limit}."

    def check(self, answer: Schedule) -> int:
        return answer[self.job, 0] - self.limit

    def post(self, model: Any, x: "StartVariables") -> None:
        model.add(x.start[self.job, 0] >= self.limit)


@dataclass(frozen=True)
class Maintenance(Constraint[Schedule, "StartVariables"]):
    """One operation and one window [begin, end) of its machine; the slack is the time between the two."""

    kind: ClassVar[str] = "maintenance"
    constraint_class: ClassVar[str] = "temporal"
    machine: int
    begin: int
    end: int
    operation: Operation
    duration: int

    def say(self, names: Names) -> str:
        machine = sentence(names.one("machine", self.machine))
        return (
            f"{machine} is under maintenance from time {self.begin} to time {self.end}: each operation on it ends at"
            f" {self.begin} or before, or starts at {self.end} or after."
        )

    def check(self, answer: Schedule) -> int:
        start = answer[self.operation]
        return max(self.begin - start - self.duration, start - self.end)

    def post(self, model: Any, x: "StartVariables") -> None:
        window = model.new_fixed_size_interval_var(self.begin, self.end - self.begin, "maintenance")
        model.add_no_overlap([x.interval(self.operation), window])


@dataclass(frozen=True)
class Makespan(Objective[Schedule, "StartVariables"]):
    direction: ClassVar[Any] = "min"
    duration: tuple[tuple[int, ...], ...]
    horizon: int

    def noun(self, names: Names) -> str:
        return "the time at which the last operation ends"

    def of(self, answer: Schedule) -> int:
        return max(answer[j, k] + length for j, row in enumerate(self.duration) for k, length in enumerate(row))

    def post(self, model: Any, x: "StartVariables") -> Any:
        latest = self.horizon + max(map(max, self.duration))
        makespan = model.new_int_var(0, latest, "makespan")
        model.add_max_equality(makespan, [x.end(operation) for operation in x.start])
        return makespan


class JobShop(Optimization[JobShopData, Schedule, "StartVariables"]):
    name: ClassVar[str] = "job_shop"
    version: ClassVar[int] = 1
    title: ClassVar[str] = "Job shop scheduling"
    data = JobShopData
    sizes: ClassVar[Any] = ladder(
        JobShopKnobs,
        jobs=(2, 3, 6, 8, 10),
        machines=(2, 3, 4, 5, 5),
        longest=9,
        releases=(1, 1, 3, 4, 5),
        windows=(1, 2, 3, 4, 5),
    )
    core_kinds: ClassVar[tuple[str, ...]] = ("precedence", "machine")
    modules: ClassVar[Any] = {
        "release": lambda d: [Release(job, time) for job, time in d.releases],
        "maintenance": lambda d: [
            Maintenance(machine, begin, end, (j, k), d.duration[j][k])
            for machine, begin, end in d.windows
            for j, k in d.on(machine)
        ],
    }
    target_share: ClassVar[Fraction] = Fraction(110, 100)

    def draw(self, knobs: JobShopKnobs, stream: Stream) -> JobShopData:
        jobs, machines = knobs.jobs, knobs.machines
        route, stop = stream("machine"), stream("window")
        # A machine is busy for about ``busy``: releases and windows that fall into this time are felt.
        busy = max(jobs, machines) * (knobs.longest + 1) // 2
        late = sorted(stream("late").sample(range(jobs), knobs.releases))
        begins = stop("begin").integers(knobs.windows, busy // 5, busy * 4 // 5)
        lengths = stop("length").integers(knobs.windows, 2, knobs.longest)
        stopped = sorted(stop("machine").sample(range(machines), knobs.windows))
        return JobShopData(
            machine=tuple(tuple(route.shuffled(range(machines))) for _ in range(jobs)),
            duration=stream("duration").matrix(jobs, machines, 1, knobs.longest),
            releases=tuple(zip(late, stream("release").integers(knobs.releases, 1, busy // 2), strict=True)),
            windows=tuple(
                (machine, begin, begin + length)
                for machine, begin, length in zip(stopped, begins, lengths, strict=True)
            ),
        )

    def horizon(self, d: JobShopData) -> int:
        """Return a time by which all is done if one waits for every release and window, then works serially."""
        waits = [time for _, time in d.releases] + [end for _, _, end in d.windows]
        return max(waits, default=0) + sum(map(sum, d.duration))

    def form(self, d: JobShopData) -> Starts:
        return Starts("job", d.duration, self.horizon(d))

    def core(self, d: JobShopData) -> list[Constraint[Schedule, Any]]:
        return [
            *(Precedence(j, k, length) for j, row in enumerate(d.duration) for k, length in enumerate(row[:-1])),
            *(
                OneAtATime(machine, pair, (d.duration[pair[0][0]][pair[0][1]], d.duration[pair[1][0]][pair[1][1]]))
                for machine in sorted({m for row in d.machine for m in row})
                for pair in combinations(d.on(machine), 2)
            ),
        ]

    def objective(self, d: JobShopData) -> Makespan:
        return Makespan(d.duration, self.horizon(d))

    def greedy(self, d: JobShopData, fits: Fits[Schedule]) -> Schedule:
        """List scheduling: of the jobs' next operations the one that is ready first, ties to the longest.

        Each starts as early as it fits, in a gap too.
        """
        answer: Schedule = Partial()
        ready = [0] * len(d.duration)
        step = [0] * len(d.duration)
        while unfinished := [j for j, row in enumerate(d.duration) if step[j] < len(row)]:
            j = min(unfinished, key=lambda j: (ready[j], -d.duration[j][step[j]]))
            k = step[j]
            for start in self.openings(d, answer, d.machine[j][k], ready[j]):
                candidate = Partial({**answer, (j, k): start})
                if fits(candidate):
                    answer = candidate
                    break
            ready[j], step[j] = answer[j, k] + d.duration[j][k], k + 1
        return answer

    def openings(self, d: JobShopData, answer: Schedule, machine: int, ready: int) -> Iterable[int]:
        """Return, in order, the times at which something that may hold back an operation on ``machine`` is over.

        The last one is after everything, so one of them fits.
        """
        ends = {answer[o] + d.duration[o[0]][o[1]] for o in d.on(machine) if o in answer}
        ends |= {end for m, _, end in d.windows if m == machine} | {time for _, time in d.releases}
        return sorted({ready} | {end for end in ends if end > ready})

    def entities(self, d: JobShopData) -> Mapping[str, int]:
        return {"job": len(d.duration), "machine": 1 + max(map(max, d.machine))}

    def intro(self, d: JobShopData, names: Names) -> str:
        job, machine = names.word("job"), names.word("machine")
        steps = max(map(len, d.duration))
        rows = [
            (
                names.label("job", j),
                *(f"{names.one('machine', m)} for {length}" for m, length in zip(route, row, strict=True)),
            )
            for j, route, row in ((j, d.machine[j], d.duration[j]) for j in names.listed("job", len(d.duration)))
        ]
        return (
            f"Schedule these {names.all('job')}. The operations of a {job} are listed in their order, each with its"
            f" {machine} and its duration. Times are whole numbers from 0 on; an operation that starts at s and lasts d"
            f" ends at s + d, without a break.\n\n" + table([job, *(f"operation {k + 1}" for k in range(steps))], rows)
        )
