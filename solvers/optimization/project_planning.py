"""Resource-constrained project scheduling (Pritsker, Watters and Wolfe 1969): end a project as early as possible.

A resource is one constraint, as in ConstraintBench (arXiv 2602.22465): its slack is what it has left in the period in
which it has least. One for each period would mostly count empty periods. Modules, the first three kinds of that
benchmark: ``must_start_by``, ``milestone`` (a task ends by a time), ``no_overlap`` (of some tasks no two at the same
time), ``shortage`` (for some periods there is less of a resource) and ``prompt`` (a task soon after another, a maximal
time lag as in Bartusch, Möhring and Radermacher 1988).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import combinations, count
from typing import TYPE_CHECKING, Any, ClassVar

from solvers.constrained import Fits, Optimization
from solvers.formats.psplib import read_patterson, read_sm
from solvers.keys import Stream
from solvers.names import Names, sentence, table
from solvers.problem import Absent, Constraint, Data, Famous, Instance, Knobs, Objective, ladder
from solvers.shapes import AmountOf, Partial
from solvers.sketches import Bar, Bars, Panels, profile

if TYPE_CHECKING:
    from ortools.sat.python import cp_model

Starts = Partial[int, int]  # task -> start
TRIES = 12  # schedules drawn for the one that is hidden in the data


@dataclass(frozen=True, kw_only=True)
class ProjectPlanningKnobs(Knobs):
    tasks: int
    resources: int
    longest: int  # durations are 1 to this
    reach: int  # predecessors are among so many tasks before
    starts: int  # tasks that must start by a time
    milestones: int
    groups: int  # of tasks that don't overlap
    shortages: int
    prompt: int  # tasks soon after another


@dataclass(frozen=True)
class ProjectPlanningData(Data):
    duration: tuple[int, ...]  # by task
    arcs: tuple[tuple[int, int], ...]  # (task, one that comes after it)
    need: tuple[tuple[int, ...], ...]  # by task, by resource
    capacity: tuple[int, ...]  # by resource
    starts: tuple[tuple[int, int], ...] = ()  # (task, time)
    milestones: tuple[tuple[int, int], ...] = ()  # (task, time)
    groups: tuple[tuple[int, ...], ...] = ()
    shortages: tuple[tuple[int, int, int, int], ...] = ()  # (resource, first period, last period, what is left)
    prompt: tuple[tuple[int, int, int], ...] = ()  # (task, one soon after it, longest time between)

    @property
    def horizon(self) -> int:
        """A time by which all is done if one waits for the last shortage to be over, then works serially."""
        return max((last + 1 for _, _, last, _ in self.shortages), default=0) + sum(self.duration)

    def needs(self, resource: int) -> tuple[int, ...]:
        """Return, by task, what it needs of a resource."""
        return tuple(row[resource] for row in self.need)


def in_use(answer: Starts, duration: Sequence[int], need: Sequence[int], period: int) -> int:
    """Return how much of a resource the tasks that are under way in a period need."""
    return sum(need[i] for i, start in answer.items() if start <= period < start + duration[i])


def posted_uses(
    model: "cp_model.CpModel", x: "list[cp_model.IntVar]", duration: Sequence[int], need: Sequence[int]
) -> tuple[list[Any], list[int]]:
    """Return the interval of each task that needs some of a resource, and how much it needs."""
    users = [i for i, amount in enumerate(need) if amount and duration[i]]
    return [model.new_fixed_size_interval_var(x[i], duration[i], f"i{i}") for i in users], [need[i] for i in users]


class Timed(Constraint[Starts, "list[cp_model.IntVar]"]):
    constraint_class: ClassVar[str] = "temporal"


class LookingAhead(Timed):
    """A rule that dispatching, which never looks ahead, can't promise to keep: `fits` doesn't ask for it."""

    hereditary: ClassVar[bool] = False


@dataclass(frozen=True)
class Precedence(Timed):
    """``limit``: the least time from one start to the other, which is the duration of the first task."""

    kind: ClassVar[str] = "precedence"
    first: int
    second: int
    limit: int

    def say(self, names: Names) -> str:
        return f"A {names.word('task')} starts no earlier than each of its {names.word('predecessors')} ends."

    def check(self, answer: Starts) -> int:
        return answer[self.second] - answer[self.first] - self.limit

    def post(self, model: "cp_model.CpModel", x: "list[cp_model.IntVar]") -> None:
        model.add(x[self.second] >= x[self.first] + self.limit)


@dataclass(frozen=True)
class Use(Constraint[Starts, "list[cp_model.IntVar]"]):
    """What the tasks of a schedule, as far as it goes, use of a resource."""

    constraint_class: ClassVar[str] = "capacity"
    resource: int
    duration: tuple[int, ...]  # by task
    need: tuple[int, ...]  # by task

    def vacuous(self, answer: Starts) -> bool:
        return not any(self.need[i] for i in answer)


@dataclass(frozen=True)
class Resource(Use):
    kind: ClassVar[str] = "resource"
    limit: int

    def say(self, names: Names) -> str:
        what, tasks = names.one("resource", self.resource), names.all("task")
        return f"In every period, the {tasks} under way need at most {self.limit} of {what} in total."

    def check(self, answer: Starts) -> int:
        # What is in use grows only where a task starts.
        return self.limit - max((in_use(answer, self.duration, self.need, t) for t in answer.values()), default=0)

    def post(self, model: "cp_model.CpModel", x: "list[cp_model.IntVar]") -> None:
        intervals, amounts = posted_uses(model, x, self.duration, self.need)
        model.add_cumulative(intervals, amounts, self.limit)


@dataclass(frozen=True)
class MustStartBy(LookingAhead):
    kind: ClassVar[str] = "must_start_by"
    task: int
    limit: int

    def say(self, names: Names) -> str:
        return f"{sentence(names.one('task', self.task))} starts at time {self.limit} or before."

    def check(self, answer: Starts) -> int:
        return self.limit - answer[self.task]

    def post(self, model: "cp_model.CpModel", x: "list[cp_model.IntVar]") -> None:
        model.add(x[self.task] <= self.limit)


@dataclass(frozen=True)
class Milestone(LookingAhead):
    kind: ClassVar[str] = "milestone"
    task: int
    duration: int
    limit: int

    def say(self, names: Names) -> str:
        return f"{sentence(names.one('task', self.task))} ends at time {self.limit} or before."

    def check(self, answer: Starts) -> int:
        return self.limit - (answer[self.task] + self.duration)

    def post(self, model: "cp_model.CpModel", x: "list[cp_model.IntVar]") -> None:
        model.add(x[self.task] + self.duration <= self.limit)


@dataclass(frozen=True)
class NoOverlap(Timed):
    """``durations``: of the tasks; the slack is the least time between two of them, negative where they overlap."""

    kind: ClassVar[str] = "no_overlap"
    tasks: tuple[int, ...]
    durations: tuple[int, ...]

    def say(self, names: Names) -> str:
        return f"No two of {names.several('task', self.tasks)} are under way in the same period."

    def check(self, answer: Starts) -> int:
        lengths = dict(zip(self.tasks, self.durations, strict=True))
        spans = [(answer[i], answer[i] + length) for i, length in lengths.items() if i in answer]
        least = min((max(b[0] - a[1], a[0] - b[1]) for a, b in combinations(spans, 2)), default=0)
        if least >= 0 and len(spans) < len(lengths):  # two that overlap break the rule, whether or not all are there
            raise Absent(set(lengths) - set(answer))
        return least

    def post(self, model: "cp_model.CpModel", x: "list[cp_model.IntVar]") -> None:
        spans = zip(self.tasks, self.durations, strict=True)
        model.add_no_overlap([model.new_fixed_size_interval_var(x[i], length, f"n{i}") for i, length in spans])


@dataclass(frozen=True)
class Shortage(Use):
    kind: ClassVar[str] = "shortage"
    begin: int  # the first period
    end: int  # the last one
    limit: int

    def say(self, names: Names) -> str:
        what, tasks = names.one("resource", self.resource), names.all("task")
        periods = f"periods {self.begin} to {self.end}"
        return f"In each of {periods}, the {tasks} under way need at most {self.limit} of {what} in total."

    def check(self, answer: Starts) -> int:
        periods = range(self.begin, self.end + 1)
        return self.limit - max(in_use(answer, self.duration, self.need, period) for period in periods)

    def post(self, model: "cp_model.CpModel", x: "list[cp_model.IntVar]") -> None:
        # What is missing is in use for these periods; there is enough for all tasks at once in the others.
        intervals, amounts = posted_uses(model, x, self.duration, self.need)
        missing = model.new_fixed_size_interval_var(self.begin, self.end + 1 - self.begin, "missing")
        model.add_cumulative([*intervals, missing], [*amounts, sum(self.need) - self.limit], sum(self.need))


@dataclass(frozen=True)
class Prompt(LookingAhead):
    kind: ClassVar[str] = "prompt"
    first: int
    second: int
    duration: int  # of the first
    limit: int

    def say(self, names: Names) -> str:
        first, second = names.one("task", self.first), names.one("task", self.second)
        return f"{sentence(second)} starts at most {self.limit} after {first} ends."

    def check(self, answer: Starts) -> int:
        return self.limit - (answer[self.second] - (answer[self.first] + self.duration))

    def post(self, model: "cp_model.CpModel", x: "list[cp_model.IntVar]") -> None:
        model.add(x[self.second] - x[self.first] <= self.duration + self.limit)


@dataclass(frozen=True)
class ProjectEnd(Objective[Starts, "list[cp_model.IntVar]"]):
    direction: ClassVar[Any] = "min"
    duration: tuple[int, ...]
    horizon: int

    def noun(self, names: Names) -> str:
        return f"the time at which the last {names.word('task')} ends"

    def of(self, answer: Starts) -> int:
        return max(answer[i] + length for i, length in enumerate(self.duration))

    def post(self, model: "cp_model.CpModel", x: "list[cp_model.IntVar]") -> Any:
        end = model.new_int_var(0, self.horizon + max(self.duration), "end")
        model.add_max_equality(end, [x[i] + length for i, length in enumerate(self.duration)])
        return end


@dataclass(frozen=True)
class TimeLeft(ProjectEnd):
    """The mirror of the project's end: what is left of the time that waiting and working serially takes."""

    direction: ClassVar[Any] = "max"

    def noun(self, names: Names) -> str:
        return f"the time from the end of the last {names.word('task')} to time {self.horizon}"

    def of(self, answer: Starts) -> int:
        return self.horizon - super().of(answer)

    def post(self, model: "cp_model.CpModel", x: "list[cp_model.IntVar]") -> Any:
        return self.horizon - super().post(model, x)


def from_file(text: str) -> ProjectPlanningData:
    """Return the project of a file in PSPLIB's layout, or in Patterson's, which begins with a number.

    Source and sink, which last no time, are left out. Raises FormatError.
    """
    project = read_patterson(text) if text.lstrip()[:1].isdecimal() else read_sm(text)
    inner = range(1, len(project.duration) - 1)
    return ProjectPlanningData(
        duration=tuple(project.duration[i] for i in inner),
        arcs=tuple(sorted((i - 1, j - 1) for i in inner for j in project.successors[i] if j in inner)),
        need=tuple(project.demand[i] for i in inner),
        capacity=project.capacity,
    )


PAT3 = (
    "13 3 6 7 6 0 0 0 0 2 2 3 3 3 2 1 2 4 5 5 2 4 2 1 8 6 3 1 2 1 10 2 4 3 1 2 6 7 3 2 0 3 1 11 3 1 1 1 0"
    " 4 3 1 1 1 9 5 2 2 2 1 13 4 3 2 3 1 11 2 4 1 0 1 12 3 5 4 2 1 13 0 0 0 0 0"
)
PAT17 = (
    "22 3 10 10 10 0 0 0 0 3 2 3 4 3 3 5 2 2 7 8 2 5 4 3 2 5 7 5 5 2 2 2 5 6 7 4 1 4 2 9 11 5 5 5 4 2 10 12"
    " 2 3 5 2 2 10 11 5 2 4 4 2 11 12 1 3 2 2 2 13 16 2 3 2 4 1 13 1 3 3 2 2 13 14 1 4 1 4 2 13 15 2 1 4 4 1 17"
    " 4 2 2 2 1 18 7 5 5 4 1 17 3 1 5 4 2 18 19 3 4 5 4 1 20 1 3 2 3 2 20 21 2 5 3 3 1 20 1 2 4 6 1 22"
    " 4 1 6 2 1 22 0 0 0 0 0"
)
J301_1 = (
    "32 4 12 13 4 12 0 0 0 0 0 3 2 3 4 8 4 0 0 0 3 6 11 15 4 10 0 0 0 3 7 8 13 6 0 0 0 3 3 5 9 10 3 3 0 0 0 1 20"
    " 8 0 0 0 8 1 30 5 4 0 0 0 1 27 9 0 1 0 0 3 12 19 27 2 6 0 0 0 1 14 7 0 0 0 1 2 16 25 9 0 5 0 0 2 20 26"
    " 2 0 7 0 0 1 14 6 4 0 0 0 2 17 18 3 0 8 0 0 1 17 9 3 0 0 0 1 25 10 0 0 0 5 2 21 22 6 0 0 0 8 1 22"
    " 5 0 0 0 7 2 20 22 3 0 1 0 0 2 24 29 7 0 10 0 0 2 23 25 2 0 0 0 6 1 28 7 2 0 0 0 1 23 2 3 0 0 0 1 24"
    " 3 0 9 0 0 1 30 3 4 0 0 0 1 30 7 0 0 4 0 1 31 8 0 0 0 7 1 28 3 0 8 0 0 1 31 7 0 7 0 0 1 32"
    " 2 0 7 0 0 1 32 2 0 0 2 0 1 32 0 0 0 0 0 0"
)
PATTERSON = "Patterson, Management Science 30, 1984"
FAMOUS = (
    Famous("pat3", "m", from_file(PAT3), 20, PATTERSON),
    Famous("pat17", "l", from_file(PAT17), 29, PATTERSON),
    Famous("j301_1", "xl", from_file(J301_1), 43, "Kolisch and Sprecher, PSPLIB, 1996"),
)


class ProjectPlanning(Optimization[ProjectPlanningData, Starts, "list[cp_model.IntVar]"]):
    name: ClassVar[str] = "project_planning"
    version: ClassVar[int] = 1
    title: ClassVar[str] = "Project planning with scarce resources"
    data = ProjectPlanningData
    sizes: ClassVar[Any] = ladder(
        ProjectPlanningKnobs,
        tasks=(4, 7, 12, 18, 26),
        resources=(1, 2, 4, 4, 4),
        longest=6,
        reach=(3, 4, 5, 6, 7),
        starts=(1, 1, 2, 3, 4),
        milestones=(1, 2, 3, 4, 6),
        groups=(1, 1, 1, 2, 3),
        shortages=(1, 1, 2, 2, 3),
        prompt=(1, 1, 2, 3, 4),
    )
    core_kinds: ClassVar[tuple[str, ...]] = ("precedence", "resource")
    modules: ClassVar[Any] = {
        "must_start_by": lambda d: [MustStartBy(task, time) for task, time in d.starts],
        "milestone": lambda d: [Milestone(task, d.duration[task], time) for task, time in d.milestones],
        "no_overlap": lambda d: [NoOverlap(tasks, tuple(d.duration[i] for i in tasks)) for tasks in d.groups],
        "shortage": lambda d: [
            Shortage(resource, d.duration, d.needs(resource), first, last, left)
            for resource, first, last, left in d.shortages
        ],
        "prompt": lambda d: [Prompt(first, second, d.duration[first], most) for first, second, most in d.prompt],
    }
    target_share: ClassVar[Fraction] = Fraction(105, 100)
    formats: ClassVar[Any] = {"psplib": from_file}

    def draw(self, knobs: ProjectPlanningKnobs, stream: Stream) -> ProjectPlanningData:
        """Draw a project and hide a schedule in it that keeps every rule; draw again where rules would bind nobody."""
        attempts = (self.hidden(knobs, stream(f"attempt {k}")) for k in count())
        return next(data for data in attempts if data is not None)

    def hidden(self, knobs: ProjectPlanningKnobs, stream: Stream) -> ProjectPlanningData | None:
        """Return data in which the best of some random schedules is hidden, None where no tasks could overlap."""
        n, resources = knobs.tasks, range(knobs.resources)
        capacity = stream("capacity").integers(knobs.resources, 4, 7)
        before = _predecessors(n, knobs.reach, stream("arcs"))
        need = []
        for i in range(n):
            used = stream(f"used {i}").sample(resources, min(len(resources), stream(f"uses {i}").choice((1, 2, 2, 3))))
            need.append(
                tuple(stream(f"need {i} {r}").integer(1, capacity[r] - 1) if r in used else 0 for r in resources)
            )
        duration = stream("duration").integers(n, 1, knobs.longest)
        # Tasks that neither an order nor a resource keeps apart.
        free = [
            (i, j)
            for i, j in combinations(range(n), 2)
            if i not in before[j] and all(need[i][r] + need[j][r] <= capacity[r] for r in resources)
        ]
        triples = [(i, j, k) for i, j in free for k in range(j + 1, n) if (i, k) in free and (j, k) in free]
        groups = stream("groups").shuffled(triples) + stream("pairs").shuffled(free)
        arcs = [(i, j) for j in range(n) for i in sorted(before[j]) if not any(i in before[k] for k in before[j])]
        used_ones = [r for r in resources if any(row[r] for row in need)]
        if len(arcs) < knobs.prompt or len(groups) < knobs.groups or len(used_ones) < knobs.shortages:
            return None
        busy, scarce = max(sum(duration) // 2, 3), stream("scarce")
        short = []
        for r in sorted(scarce.sample(used_ones, knobs.shortages)):
            first = scarce.integer(busy // 5, busy * 3 // 5)
            short.append((r, first, first + scarce.integer(1, 3), scarce.integer(1, capacity[r] // 2)))
        d = ProjectPlanningData(
            duration=duration,
            arcs=tuple(arcs),
            need=tuple(need),
            capacity=capacity,
            groups=tuple(sorted(groups[: knobs.groups])),
            shortages=tuple(sorted(short)),
        )
        tries = [_dispatched(d, before, stream(f"try {k}")) for k in range(TRIES)]
        return self.dated(d, min(tries, key=lambda starts: _end(d, starts)), tries, knobs, stream)

    def dated(
        self,
        d: ProjectPlanningData,
        starts: Mapping[int, int],
        others: Sequence[Mapping[int, int]],
        knobs: ProjectPlanningKnobs,
        stream: Stream,
    ) -> ProjectPlanningData:
        """Return the data with dates and short waits that a schedule keeps: dates of tasks that others start later."""
        end, some = {i: starts[i] + d.duration[i] for i in starts}, knobs.starts + knobs.milestones
        last = max(end.values())  # a date of what ends the project would add nothing to the target
        gain = {i: sum(other[i] for other in others) - starts[i] * len(others) for i in starts}
        later = sorted(starts, key=lambda i: (end[i] == last, -gain[i]))
        dated, room = stream("dated").sample(later[: some * 4 // 3], some), stream("room")
        waits = sorted((starts[j] - end[i], i, j) for i, j in d.arcs)[: 2 * knobs.prompt]
        return replace(
            d,
            starts=tuple((i, starts[i] + room.integer(0, 1)) for i in sorted(dated[: knobs.starts])),
            milestones=tuple((i, end[i] + room.integer(0, 1)) for i in sorted(dated[knobs.starts :])),
            prompt=tuple(
                (i, j, wait + room.integer(0, 1)) for wait, i, j in sorted(stream("prompt").sample(waits, knobs.prompt))
            ),
        )

    def form(self, d: ProjectPlanningData) -> AmountOf:
        return AmountOf("task", (d.horizon,) * len(d.duration), "start time")

    def core(self, d: ProjectPlanningData) -> list[Constraint[Starts, Any]]:
        return [
            *(Precedence(first, second, d.duration[first]) for first, second in d.arcs),
            *(Resource(r, d.duration, d.needs(r), limit) for r, limit in enumerate(d.capacity)),
        ]

    def objective(self, d: ProjectPlanningData) -> ProjectEnd:
        return ProjectEnd(d.duration, d.horizon)

    def inverted(self, d: ProjectPlanningData) -> TimeLeft:
        return TimeLeft(d.duration, d.horizon)

    def greedy(self, d: ProjectPlanningData, fits: Fits[Starts]) -> Starts:
        """List scheduling: of the tasks whose predecessors are planned, the one with the longest way to the end.

        Each starts as early as it fits; at the last of the times tried, everything else is over.
        """
        answer: Starts = Partial()
        tail = list(d.duration)
        for _ in tail:  # as often as the longest chain has tasks, at most
            for i, j in d.arcs:
                tail[i] = max(tail[i], d.duration[i] + tail[j])
        over = {last + 1 for _, _, last, _ in d.shortages}
        while rest := [i for i in range(len(tail)) if i not in answer]:
            ready = [i for i in rest if all(first in answer for first, second in d.arcs if second == i)]
            i = max(ready, key=lambda i: tail[i])
            first = max((answer[a] + d.duration[a] for a, b in d.arcs if b == i), default=0)
            ends = over | {start + d.duration[j] for j, start in answer.items()}
            for start in sorted({first} | {end for end in ends if end > first}):
                if fits(Partial({**answer, i: start})):
                    answer[i] = start
                    break
        return answer

    def intro(self, d: ProjectPlanningData, names: Names) -> str:
        task, tasks, resource = names.word("task"), names.all("task"), names.word("resource")
        order, columns = names.listed("task", len(d.duration)), names.listed("resource", len(d.capacity))
        before = [[names.label("task", i) for i in order if (i, j) in d.arcs] for j in range(len(d.duration))]
        rows = [
            [names.label("task", i), d.duration[i], *(d.need[i][r] for r in columns), ", ".join(before[i]) or "none"]
            for i in order
        ]
        heading = [
            task,
            names.word("duration"),
            *(names.one("resource", r) for r in columns),
            names.word("predecessors"),
        ]
        return (
            f"Plan the {tasks} of this project. Times are whole numbers from 0 on; period t lasts from time t to t + 1."
            f" A {task} that starts at time s and lasts d periods is under way in periods s to s + d - 1, without a"
            f" break, and ends at time s + d. In each of these periods it needs what the table says of each {resource}."
            "\n\n" + table(heading, rows)
        )

    def entities(self, d: ProjectPlanningData) -> Mapping[str, int]:
        return {"task": len(d.duration), "resource": len(d.capacity)}

    def distracted(self, d: ProjectPlanningData, extra: int, stream: Stream) -> ProjectPlanningData:
        """Add resources of which there is enough for half of all tasks at once."""
        need, capacity = list(d.need), list(d.capacity)
        for r in range(extra * len(d.capacity)):
            amounts = [max(0, amount) for amount in stream(f"need {r}").integers(len(need), -3, 5)]
            amounts[stream(f"user {r}").integer(0, len(need) - 1)] = 1  # somebody needs it
            need = [(*row, amount) for row, amount in zip(need, amounts, strict=True)]
            capacity.append(sum(sorted(amounts)[len(amounts) // 2 :]))
        return replace(d, need=tuple(need), capacity=tuple(capacity))

    def sketch(self, instance: Instance) -> Panels:
        """Return when each task is under way, and what is needed of each resource over time."""
        d: ProjectPlanningData = instance.data  # type: ignore[assignment]
        names, starts = instance.names, instance.answer
        rows = [names.one("task", i) for i in range(len(d.duration))]
        bars = [
            Bar(rows[i], s, s + d.duration[i], names.label("task", i), names.word("task"))
            for i, s in sorted(starts.items())
        ]
        end = int(max(bar.end for bar in bars))
        used = [
            [sum(d.need[i][r] for i, s in starts.items() if s <= t < s + d.duration[i]) for t in range(end)]
            for r in range(len(d.capacity))
        ]
        words = [f"{names.one('resource', r)} (of {most})" for r, most in enumerate(d.capacity)]
        needs = [bar for r, most in enumerate(d.capacity) for bar in profile(words[r], used[r], most)]
        return Panels((Bars("time", tuple(bars), tuple(rows)), Bars("time", tuple(needs), tuple(words))))

    def famous(self) -> Sequence[Famous[ProjectPlanningData]]:
        return FAMOUS

    def perturb(self, d: ProjectPlanningData, stream: Stream) -> ProjectPlanningData:
        """Draw the durations of four tasks anew, each between half and one and a half times what it was."""
        changed = stream("tasks").sample(range(len(d.duration)), 4)
        new = [stream(f"duration {i}").integer((v + 1) // 2, v + (v + 1) // 2) for i, v in enumerate(d.duration)]
        return replace(d, duration=tuple(new[i] if i in changed else v for i, v in enumerate(d.duration)))


def _predecessors(n: int, reach: int, stream: Stream) -> list[set[int]]:
    """Return, by task, all tasks before it; each has up to two direct ones among the ``reach`` tasks above it."""
    before: list[set[int]] = []
    for i in range(n):
        above = range(max(0, i - reach), i)
        direct = stream.sample(above, min(len(above), stream.choice((0, 1, 1, 1, 2, 2, 2))))
        before.append({k for j in direct for k in (j, *before[j])})
    return before


def _dispatched(d: ProjectPlanningData, before: Sequence[set[int]], stream: Stream) -> dict[int, int]:
    """Return a random schedule: tasks in a random order that their precedences allow, each as early as it fits."""
    left = [[capacity] * (d.horizon + 1) for capacity in d.capacity]
    for r, first, last, rest in d.shortages:
        left[r][first : last + 1] = [rest] * (last + 1 - first)
    starts: dict[int, int] = {}
    waiting = stream.shuffled(range(len(d.duration)))
    while waiting:
        i = next(i for i in waiting if before[i] <= starts.keys())
        waiting.remove(i)
        apart = [
            (starts[j], starts[j] + d.duration[j]) for group in d.groups if i in group for j in group if j in starts
        ]
        start = max((starts[j] + d.duration[j] for j in before[i]), default=0)
        while any(start < end and start + d.duration[i] > begin for begin, end in apart) or any(
            left[r][t] < amount for r, amount in enumerate(d.need[i]) for t in range(start, start + d.duration[i])
        ):
            start += 1
        starts[i] = start
        for r, amount in enumerate(d.need[i]):
            for t in range(start, start + d.duration[i]):
                left[r][t] -= amount
    return starts


def _end(d: ProjectPlanningData, starts: Mapping[int, int]) -> int:
    return max(start + d.duration[i] for i, start in starts.items())
