"""Crew assignment (a domain of ConstraintBench): certified workers of different pace and rate take tasks with dates.

A worker holds the certifications of its tasks and has a limit of hours. Modules: ``max_concurrent`` (tasks that occupy
a worker on one day), ``workload_balance``, ``incompatible`` (two tasks of different workers) and ``same_worker``.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import combinations
from typing import TYPE_CHECKING, Any, ClassVar

from solvers.constrained import Fits, Optimization
from solvers.keys import Stream
from solvers.names import Names, sentence, table
from solvers.problem import Constraint, Data, Instance, Knobs, Objective, ladder
from solvers.shapes import MapOf, Partial
from solvers.sketches import Bars, limited, stacked

if TYPE_CHECKING:
    from ortools.sat.python import cp_model

Crew = Partial[int, int]  # task -> worker

PACES = (60, 80, 100, 120, 140)  # % of the base hours, which are multiples of 5: hours are whole


@dataclass(frozen=True, kw_only=True)
class CrewAssignmentKnobs(Knobs):
    tasks: int
    workers: int
    certifications: int
    types: int
    days: int
    incompatible: int
    together: int


@dataclass(frozen=True)
class CrewAssignmentData(Data):
    certification: tuple[int, ...]  # by task
    type: tuple[int, ...]  # by task
    base: tuple[int, ...]  # by task, hours
    window: tuple[tuple[int, int], ...]  # by task, first and last day
    rate: tuple[int, ...]  # by worker, a cost by the hour
    holds: tuple[tuple[int, ...], ...]  # by worker, certifications
    pace: tuple[tuple[int, ...], ...]  # by worker, by type, % of the base hours
    most: tuple[int, ...]  # by worker, hours
    at_once: tuple[int, ...]  # by worker, tasks on the same day
    spread: int  # of the hours of any two workers
    incompatible: tuple[tuple[int, int], ...]
    together: tuple[tuple[int, int], ...]

    def hours(self) -> tuple[tuple[int, ...], ...]:
        """Return the hours by task, by worker."""
        return tuple(
            tuple(base * pace[kind] // 100 for pace in self.pace)
            for base, kind in zip(self.base, self.type, strict=True)
        )


@dataclass(frozen=True)
class SingleAssignment(Constraint[Crew, "dict[tuple[int, int], cp_model.IntVar]"]):
    kind: ClassVar[str] = "single_assignment"
    constraint_class: ClassVar[str] = "structure"
    task: int
    workers: int

    def say(self, names: Names) -> str:
        return f"Every {names.word('task')} has exactly one {names.word('worker')}."

    def check(self, answer: Crew) -> int:
        return 0 if 0 <= answer[self.task] < self.workers else -1

    def post(self, model: "cp_model.CpModel", x: "dict[tuple[int, int], cp_model.IntVar]") -> None:
        model.add_exactly_one(x[self.task, w] for w in range(self.workers))


@dataclass(frozen=True)
class Certification(Constraint[Crew, "dict[tuple[int, int], cp_model.IntVar]"]):
    kind: ClassVar[str] = "certification"
    constraint_class: ClassVar[str] = "domain"
    task: int
    workers: int
    holders: tuple[int, ...]

    def say(self, names: Names) -> str:
        task, worker, certification = names.word("task"), names.word("worker"), names.word("certification")
        return f"The {worker} of every {task} holds the {certification} that the {task} requires."

    def check(self, answer: Crew) -> int:
        return 0 if answer[self.task] in self.holders else -1

    def post(self, model: "cp_model.CpModel", x: "dict[tuple[int, int], cp_model.IntVar]") -> None:
        for w in set(range(self.workers)).difference(self.holders):
            model.add(x[self.task, w] == 0)


@dataclass(frozen=True)
class MaxHours(Constraint[Crew, "dict[tuple[int, int], cp_model.IntVar]"]):
    kind: ClassVar[str] = "max_hours"
    constraint_class: ClassVar[str] = "capacity"
    worker: int
    hours: tuple[int, ...]  # of this worker, by task
    limit: int

    def say(self, names: Names) -> str:
        return f"{sentence(names.one('worker', self.worker))} works at most {self.limit} hours in total."

    def check(self, answer: Crew) -> int:
        return self.limit - sum(self.hours[t] for t, w in answer.items() if w == self.worker)

    def post(self, model: "cp_model.CpModel", x: "dict[tuple[int, int], cp_model.IntVar]") -> None:
        model.add(sum(hours * x[t, self.worker] for t, hours in enumerate(self.hours)) <= self.limit)


@dataclass(frozen=True)
class MaxConcurrent(Constraint[Crew, "dict[tuple[int, int], cp_model.IntVar]"]):
    kind: ClassVar[str] = "max_concurrent"
    constraint_class: ClassVar[str] = "temporal"
    worker: int
    window: tuple[tuple[int, int], ...]
    limit: int

    def say(self, names: Names) -> str:
        tasks, worker = names.all("task"), names.one("worker", self.worker)
        return f"On every day, the number of {tasks} that occupy {worker} is at most {self.limit}."

    def check(self, answer: Crew) -> int:
        own = [self.window[t] for t, w in answer.items() if w == self.worker]
        # The busiest day can be one on which a task begins.
        return self.limit - max((sum(a <= day <= b for a, b in own) for day, _ in own), default=0)

    def post(self, model: "cp_model.CpModel", x: "dict[tuple[int, int], cp_model.IntVar]") -> None:
        for day in range(min(a for a, _ in self.window), max(b for _, b in self.window) + 1):
            busy = [x[t, self.worker] for t, (first, last) in enumerate(self.window) if first <= day <= last]
            model.add(sum(busy) <= self.limit)


@dataclass(frozen=True)
class WorkloadBalance(Constraint[Crew, "dict[tuple[int, int], cp_model.IntVar]"]):
    kind: ClassVar[str] = "workload_balance"
    constraint_class: ClassVar[str] = "balance"
    hereditary: ClassVar[bool] = False
    hours: tuple[tuple[int, ...], ...]  # by task, by worker
    workers: int
    limit: int

    def say(self, names: Names) -> str:
        return (
            f"The total hours of any two {names.all('worker')} differ by at most {self.limit}; a"
            f" {names.word('worker')} without a {names.word('task')} has 0 hours."
        )

    def check(self, answer: Crew) -> int:
        load = [0] * self.workers
        for t, w in answer.items():
            load[w] += self.hours[t][w]
        return self.limit - (max(load) - min(load))

    def post(self, model: "cp_model.CpModel", x: "dict[tuple[int, int], cp_model.IntVar]") -> None:
        low = model.new_int_var(0, sum(map(max, self.hours)), "least hours")
        for w in range(self.workers):
            load = sum(row[w] * x[t, w] for t, row in enumerate(self.hours))
            model.add(load >= low)
            model.add(load <= low + self.limit)


@dataclass(frozen=True)
class Incompatible(Constraint[Crew, "dict[tuple[int, int], cp_model.IntVar]"]):
    kind: ClassVar[str] = "incompatible"
    constraint_class: ClassVar[str] = "logical"
    pair: tuple[int, int]
    workers: int

    def say(self, names: Names) -> str:
        return f"{sentence(names.several('task', self.pair))} have different {names.all('worker')}."

    def check(self, answer: Crew) -> int:
        first, second = self.pair
        return -1 if answer[first] == answer[second] else 0

    def post(self, model: "cp_model.CpModel", x: "dict[tuple[int, int], cp_model.IntVar]") -> None:
        for w in range(self.workers):
            model.add_at_most_one(x[t, w] for t in self.pair)


@dataclass(frozen=True)
class SameWorker(Constraint[Crew, "dict[tuple[int, int], cp_model.IntVar]"]):
    kind: ClassVar[str] = "same_worker"
    constraint_class: ClassVar[str] = "logical"
    pair: tuple[int, int]
    workers: int

    def say(self, names: Names) -> str:
        return f"{sentence(names.several('task', self.pair))} have the same {names.word('worker')}."

    def check(self, answer: Crew) -> int:
        first, second = self.pair
        return 0 if answer[first] == answer[second] else -1

    def post(self, model: "cp_model.CpModel", x: "dict[tuple[int, int], cp_model.IntVar]") -> None:
        first, second = self.pair
        for w in range(self.workers):
            model.add(x[first, w] == x[second, w])


@dataclass(frozen=True)
class TotalCost(Objective[Crew, "dict[tuple[int, int], cp_model.IntVar]"]):
    direction: ClassVar[Any] = "min"
    cost: tuple[tuple[int, ...], ...]  # by task, by worker

    def noun(self, names: Names) -> str:
        return f"the total cost of all {names.all('task')}"

    def of(self, answer: Crew) -> int:
        return sum(row[answer[t]] for t, row in enumerate(self.cost))

    def post(self, model: "cp_model.CpModel", x: "dict[tuple[int, int], cp_model.IntVar]") -> Any:
        return sum(cost * x[t, w] for t, row in enumerate(self.cost) for w, cost in enumerate(row))


@dataclass(frozen=True)
class BudgetLeft(TotalCost):
    """The mirror of the total cost: what it leaves of a budget."""

    direction: ClassVar[Any] = "max"
    budget: int

    def noun(self, names: Names) -> str:
        return f"what is left of a budget of {self.budget} after the total cost of all {names.all('task')}"

    def of(self, answer: Crew) -> int:
        return self.budget - super().of(answer)

    def post(self, model: "cp_model.CpModel", x: "dict[tuple[int, int], cp_model.IntVar]") -> Any:
        return self.budget + sum(-cost * x[t, w] for t, row in enumerate(self.cost) for w, cost in enumerate(row))


class CrewAssignment(Optimization[CrewAssignmentData, Crew, "dict[tuple[int, int], cp_model.IntVar]"]):
    name: ClassVar[str] = "crew_assignment"
    version: ClassVar[int] = 1
    title: ClassVar[str] = "Crew assignment"
    data = CrewAssignmentData
    sizes: ClassVar[Any] = ladder(
        CrewAssignmentKnobs,
        tasks=(5, 8, 14, 18, 22),
        workers=(3, 5, 9, 11, 13),
        certifications=(2, 3, 4, 5, 5),
        types=(2, 2, 3, 3, 4),
        days=(5, 6, 8, 9, 10),
        incompatible=(2, 4, 10, 14, 18),
        together=(1, 1, 2, 2, 3),
    )
    core_kinds: ClassVar[tuple[str, ...]] = ("single_assignment", "certification", "max_hours")
    modules: ClassVar[Any] = {
        "max_concurrent": lambda d: [MaxConcurrent(w, d.window, limit) for w, limit in enumerate(d.at_once)],
        "workload_balance": lambda d: [WorkloadBalance(d.hours(), len(d.rate), d.spread)],
        "incompatible": lambda d: [Incompatible(pair, len(d.rate)) for pair in d.incompatible],
        "same_worker": lambda d: [SameWorker(pair, len(d.rate)) for pair in d.together],
    }
    target_share: ClassVar[Fraction] = Fraction(105, 100)

    def draw(self, knobs: CrewAssignmentKnobs, stream: Stream) -> CrewAssignmentData:
        """Hide a crew in the data whose members have about the same hours; limits are a little above what it needs."""
        tasks, workers = range(knobs.tasks), range(knobs.workers)
        home = stream("home").shuffled([t % knobs.workers for t in tasks])
        own = [[t for t in tasks if home[t] == w] for w in workers]
        holds = self.certificates(knobs, stream("holds"))
        kind = stream("type").shuffled([t % knobs.types for t in tasks])
        pace = _paces(stream("pace"), knobs.workers, knobs.types)
        share = stream("share").integers(knobs.tasks, 2, 4)
        base = [0] * knobs.tasks
        for w in workers:
            for t in own[w]:
                hours = 36 * share[t] // sum(share[u] for u in own[w])
                base[t] = 5 * max(1, round(hours * 20 / pace[w][kind[t]]))
        load = [sum(base[t] * pace[w][kind[t]] // 100 for t in own[w]) for w in workers]
        window = self.windows(knobs, own, stream("window"))
        at_once = [
            max(sum(window[u][0] <= window[t][0] <= window[u][1] for u in own[w]) for t in own[w]) for w in workers
        ]
        certification = tuple(stream(f"certification {t}").choice(holds[home[t]]) for t in tasks)
        pairs = stream("pairs").shuffled(list(combinations(tasks, 2)))
        plan = CrewAssignmentData(
            certification=certification,
            type=tuple(kind),
            base=tuple(base),
            window=tuple(window),
            rate=stream("rate").integers(knobs.workers, 20, 60),
            holds=holds,
            pace=pace,
            most=tuple(map(sum, zip(load, stream("most").integers(knobs.workers, 6, 20), strict=True))),
            at_once=tuple(at_once),
            spread=max(load) - min(load) + stream("spread").integer(5, 10),
            incompatible=(),
            together=(),
        )
        apart = sorted((p for p in pairs if home[p[0]] != home[p[1]]), key=lambda pair: not self.tempting(plan, pair))
        joined = [p for p in pairs if home[p[0]] == home[p[1]]]
        return replace(
            plan,
            incompatible=tuple(sorted(apart[: knobs.incompatible])),
            together=tuple(sorted(joined[: knobs.together])),
        )

    def tempting(self, d: CrewAssignmentData, pair: tuple[int, int]) -> bool:
        """Return whether some worker could do two tasks: holds what they require and has the days and hours."""
        hours = d.hours()
        able = (w for w, held in enumerate(d.holds) if all(d.certification[t] in held for t in pair))
        fits = any(sum(hours[t][w] for t in pair) <= d.most[w] for w in able)
        return fits and not _overlap(*(d.window[t] for t in pair))

    def certificates(self, knobs: CrewAssignmentKnobs, stream: Stream) -> tuple[tuple[int, ...], ...]:
        """Return the certifications of each worker: each is held by somebody, and nobody holds all."""
        first = stream("first").shuffled([w % knobs.certifications for w in range(knobs.workers)])
        more = stream("more").integers(knobs.workers, 0, knobs.certifications // 2)
        return tuple(
            tuple(sorted({c, *stream(str(w)).sample([o for o in range(knobs.certifications) if o != c], count)}))
            for w, (c, count) in enumerate(zip(first, more, strict=True))
        )

    def windows(
        self, knobs: CrewAssignmentKnobs, own: Sequence[Sequence[int]], stream: Stream
    ) -> list[tuple[int, int]]:
        """Return first and last day of each task; those of one worker overlap only here and there."""
        every = [(a, a + length - 1) for length in (2, 3, 4) for a in range(1, knobs.days - length + 2)]
        window = [(0, 0)] * knobs.tasks
        loose = stream("loose").integers(len(own), 1, 4)
        for w, mine in enumerate(own):
            for k, t in enumerate(mine):
                choices = stream(str(t)).shuffled(every)
                free = [one for one in choices if not any(_overlap(one, window[u]) for u in mine[:k])]
                window[t] = (choices if loose[w] == 1 else free or choices)[0]
        return window

    def form(self, d: CrewAssignmentData) -> MapOf:
        return MapOf("task", len(d.base), "worker", len(d.rate))

    def core(self, d: CrewAssignmentData) -> list[Constraint[Crew, Any]]:
        hours, workers = d.hours(), len(d.rate)
        holders = [tuple(w for w, held in enumerate(d.holds) if c in held) for c in d.certification]
        return [
            *(SingleAssignment(t, workers) for t in range(len(d.base))),
            *(Certification(t, workers, some) for t, some in enumerate(holders)),
            *(MaxHours(w, tuple(row[w] for row in hours), limit) for w, limit in enumerate(d.most)),
        ]

    def cost(self, d: CrewAssignmentData) -> tuple[tuple[int, ...], ...]:
        """Return the cost by task, by worker."""
        return tuple(tuple(h * rate for h, rate in zip(row, d.rate, strict=True)) for row in d.hours())

    def objective(self, d: CrewAssignmentData) -> TotalCost:
        return TotalCost(self.cost(d))

    def greedy(self, d: CrewAssignmentData, fits: Fits[Crew]) -> Crew:
        """Each task, the longest first, to the worker who does it at the least cost of those whom it fits."""
        cost, answer = self.cost(d), Partial[int, int]()
        for t in sorted(range(len(d.base)), key=lambda t: -d.base[t]):
            for w in sorted(range(len(d.rate)), key=lambda w: cost[t][w]):
                candidate = Partial({**answer, t: w})
                if fits(candidate):
                    answer = candidate
                    break
        return answer

    def entities(self, d: CrewAssignmentData) -> Mapping[str, int]:
        return {
            "task": len(d.base),
            "worker": len(d.rate),
            "certification": 1 + max(map(max, d.holds)),
            "type": len(d.pace[0]),
        }

    def intro(self, d: CrewAssignmentData, names: Names) -> str:
        count = self.entities(d)
        task, worker, kind = names.word("task"), names.word("worker"), names.word("type")
        certifications, types = (
            names.listed("certification", count["certification"]),
            names.listed("type", count["type"]),
        )
        base, pace, rate, first, last = map(names.word, ("base hours", "pace", "rate", "first day", "last day"))
        tasks = names.table(
            "task",
            {
                "certification": [names.label("certification", c) for c in d.certification],
                "type": [names.label("type", k) for k in d.type],
                "base hours": d.base,
                "first day": [a for a, _ in d.window],
                "last day": [b for _, b in d.window],
            },
        )
        workers = table(
            [worker, rate, names.all("certification"), *(f"{pace} in {names.one('type', k)}" for k in types)],
            [
                (
                    names.label("worker", w),
                    d.rate[w],
                    ", ".join(names.label("certification", c) for c in certifications if c in d.holds[w]),
                    *(d.pace[w][k] for k in types),
                )
                for w in names.listed("worker", count["worker"])
            ],
        )
        return (
            f"Give each of these {names.all('task')} to one of these {names.all('worker')}.\n\n{tasks}\n\n{workers}\n\n"
            f"The hours that a {task} takes its {worker} are {base} × {pace} / 100 (always a whole number), with the"
            f" {pace} of this {worker} in the {kind} of the {task}. The cost of a {task} is these hours × the {rate} of"
            f" its {worker}. A {task} occupies its {worker} on every day from its {first} to its {last}, both included."
        )

    def inverted(self, d: CrewAssignmentData) -> BudgetLeft:
        cost = self.cost(d)
        return BudgetLeft(cost, sum(map(max, cost)))

    def distracted(self, d: CrewAssignmentData, extra: int, stream: Stream) -> CrewAssignmentData:
        """Add certifications that no task requires and types that no task has."""
        count, workers = self.entities(d), len(d.rate)
        new = range(count["certification"], (1 + extra) * count["certification"])
        held = {c: stream(f"holders {c}").sample(range(workers), 1 + workers // 3) for c in new}
        pace = _paces(stream("pace"), workers, extra * count["type"])
        return replace(
            d,
            holds=tuple(row + tuple(c for c in new if w in held[c]) for w, row in enumerate(d.holds)),
            pace=tuple(row + more for row, more in zip(d.pace, pace, strict=True)),
        )

    def sketch(self, instance: Instance) -> Bars:
        """Return the hours of each worker's tasks, coloured by certification, and the limit."""
        d: CrewAssignmentData = instance.data  # type: ignore[assignment]
        names, hours = instance.names, d.hours()
        tasks, workers = names.listed("task", len(d.base)), names.listed("worker", len(d.rate))
        kinds = [names.one("certification", c) for c in d.certification]
        parts = [
            [(names.label("task", t), hours[t][w], kinds[t]) for t in tasks if instance.answer[t] == w] for w in workers
        ]
        rows = [f"{names.one('worker', w)} ({names.word('rate')} {d.rate[w]})" for w in workers]
        axis = f"hours of each {names.word('task')}; line: at most"
        return limited(stacked(rows, parts, axis), [d.most[w] for w in workers])


def _paces(stream: Stream, workers: int, types: int) -> tuple[tuple[int, ...], ...]:
    return tuple(tuple(PACES[k] for k in row) for row in stream.matrix(workers, types, 0, len(PACES) - 1))


def _overlap(one: tuple[int, int], other: tuple[int, int]) -> bool:
    return one[0] <= other[1] and other[0] <= one[1]
