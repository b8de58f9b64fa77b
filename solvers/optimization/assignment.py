"""Linear assignment (Kuhn 1955) with side constraints: every worker gets a task of its own, as cheaply as possible.

Modules: ``forbidden`` (a worker gets none of some tasks), ``conditional`` (if one worker gets one of some tasks,
another gets none of some others) and ``ordering`` (one worker's task starts some time after another's).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any, ClassVar

from solvers.constrained import Fits, Optimization
from solvers.formats.common import FormatError, rows
from solvers.formats.orlibrary import read_assign
from solvers.keys import Stream
from solvers.names import Costume, Names, sentence
from solvers.problem import Constraint, Data, Famous, Instance, Knobs, Objective, ladder
from solvers.shapes import MapOf, Partial
from solvers.sketches import Bars, grid

if TYPE_CHECKING:
    from ortools.sat.python import cp_model

Tasks = Partial[int, int]  # worker -> task


@dataclass(frozen=True, kw_only=True)
class AssignmentKnobs(Knobs):
    workers: int  # and tasks
    restricted: int  # workers with forbidden tasks
    conditions: int
    orders: int


@dataclass(frozen=True)
class AssignmentData(Data):
    cost: tuple[tuple[int, ...], ...]  # by worker, by task
    forbidden: tuple[tuple[int, tuple[int, ...]], ...] = ()  # (worker, tasks)
    conditions: tuple[tuple[int, tuple[int, ...], int, tuple[int, ...]], ...] = ()  # (worker, tasks, other, tasks)
    start: tuple[int, ...] = ()  # by task; nothing where no order asks for it
    orders: tuple[tuple[int, int, int], ...] = ()  # (earlier worker, later worker, least gap)


def without(names: Names, tasks: Sequence[int]) -> str:
    """Return the end of a sentence about a worker who gets none of some tasks."""
    return f"{'does not get' if len(tasks) == 1 else 'gets none of'} {names.several('task', tasks)}"


@dataclass(frozen=True)
class Assigned(Constraint[Tasks, "dict[tuple[int, int], cp_model.IntVar]"]):
    kind: ClassVar[str] = "assigned"
    constraint_class: ClassVar[str] = "structure"
    hereditary: ClassVar[bool] = False
    worker: int
    tasks: int

    def say(self, names: Names) -> str:
        return f"Every {names.word('worker')} gets exactly one {names.word('task')}."

    def check(self, answer: Tasks) -> int:
        return 0 if self.worker in answer else -1

    def post(self, model: "cp_model.CpModel", x: "dict[tuple[int, int], cp_model.IntVar]") -> None:
        model.add_exactly_one(x[self.worker, j] for j in range(self.tasks))


@dataclass(frozen=True)
class OneEach(Constraint[Tasks, "dict[tuple[int, int], cp_model.IntVar]"]):
    kind: ClassVar[str] = "one_each"
    constraint_class: ClassVar[str] = "structure"
    hereditary: ClassVar[bool] = False
    task: int
    workers: int

    def say(self, names: Names) -> str:
        return f"Every {names.word('task')} goes to exactly one {names.word('worker')}."

    def check(self, answer: Tasks) -> int:
        return -abs(list(answer.values()).count(self.task) - 1)

    def post(self, model: "cp_model.CpModel", x: "dict[tuple[int, int], cp_model.IntVar]") -> None:
        model.add_exactly_one(x[i, self.task] for i in range(self.workers))


@dataclass(frozen=True)
class Forbidden(Constraint[Tasks, "dict[tuple[int, int], cp_model.IntVar]"]):
    kind: ClassVar[str] = "forbidden"
    constraint_class: ClassVar[str] = "domain"
    worker: int
    tasks: tuple[int, ...]

    def say(self, names: Names) -> str:
        return f"{sentence(names.one('worker', self.worker))} {without(names, self.tasks)}."

    def check(self, answer: Tasks) -> int:
        return -1 if answer[self.worker] in self.tasks else 0

    def post(self, model: "cp_model.CpModel", x: "dict[tuple[int, int], cp_model.IntVar]") -> None:
        for j in self.tasks:
            model.add(x[self.worker, j] == 0)


@dataclass(frozen=True)
class Conditional(Constraint[Tasks, "dict[tuple[int, int], cp_model.IntVar]"]):
    kind: ClassVar[str] = "conditional"
    constraint_class: ClassVar[str] = "logical"
    worker: int
    triggers: tuple[int, ...]
    other: int
    excluded: tuple[int, ...]

    def say(self, names: Names) -> str:
        worker, other = names.one("worker", self.worker), names.one("worker", self.other)
        some = "gets" if len(self.triggers) == 1 else "gets one of"
        triggers = names.several("task", self.triggers)
        return f"If {worker} {some} {triggers}, then {other} {without(names, self.excluded)}."

    def check(self, answer: Tasks) -> int:
        first, second = answer[self.worker], answer[self.other]
        return -1 if first in self.triggers and second in self.excluded else 0

    def vacuous(self, answer: Tasks) -> bool:
        return answer[self.worker] not in self.triggers

    def post(self, model: "cp_model.CpModel", x: "dict[tuple[int, int], cp_model.IntVar]") -> None:
        # A worker does one task: both counts are 0 or 1.
        triggered = sum(x[self.worker, j] for j in self.triggers)
        model.add(triggered + sum(x[self.other, j] for j in self.excluded) <= 1)


@dataclass(frozen=True)
class Ordering(Constraint[Tasks, "dict[tuple[int, int], cp_model.IntVar]"]):
    kind: ClassVar[str] = "ordering"
    constraint_class: ClassVar[str] = "temporal"
    earlier: int
    later: int
    start: tuple[int, ...]
    limit: int

    def say(self, names: Names) -> str:
        of, earlier, later = (
            f"the {names.word('start')} of the {names.word('task')} of",
            names.one("worker", self.earlier),
            names.one("worker", self.later),
        )
        return f"{sentence(of)} {later} is at least {self.limit} higher than {of} {earlier}."

    def check(self, answer: Tasks) -> int:
        return self.start[answer[self.later]] - self.start[answer[self.earlier]] - self.limit

    def post(self, model: "cp_model.CpModel", x: "dict[tuple[int, int], cp_model.IntVar]") -> None:
        first, second = (sum(s * x[i, j] for j, s in enumerate(self.start)) for i in (self.earlier, self.later))
        model.add(first + self.limit <= second)


@dataclass(frozen=True)
class TotalCost(Objective[Tasks, "dict[tuple[int, int], cp_model.IntVar]"]):
    direction: ClassVar[Any] = "min"
    cost: tuple[tuple[int, ...], ...]

    def noun(self, names: Names) -> str:
        return f"the total {names.word('cost')} of all {names.all('worker')} for their {names.all('task')}"

    def of(self, answer: Tasks) -> int:
        return sum(row[answer[i]] for i, row in enumerate(self.cost))

    def post(self, model: "cp_model.CpModel", x: "dict[tuple[int, int], cp_model.IntVar]") -> Any:
        return sum(cost * x[i, j] for i, row in enumerate(self.cost) for j, cost in enumerate(row))


@dataclass(frozen=True)
class TotalSaved(TotalCost):
    """The mirror of the total cost: what the workers leave of an allowance that is the same for each."""

    direction: ClassVar[Any] = "max"
    allowance: int

    def noun(self, names: Names) -> str:
        workers, cost, task = names.all("worker"), names.word("cost"), names.word("task")
        return f"the total saving of all {workers} (each saves {self.allowance} minus the {cost} of its {task})"

    def of(self, answer: Tasks) -> int:
        return sum(self.allowance - row[answer[i]] for i, row in enumerate(self.cost))

    def post(self, model: "cp_model.CpModel", x: "dict[tuple[int, int], cp_model.IntVar]") -> Any:
        return sum((self.allowance - cost) * x[i, j] for i, row in enumerate(self.cost) for j, cost in enumerate(row))


def from_file(text: str) -> AssignmentData:
    """Return the problem of an OR-Library file assign*. Raises FormatError."""
    cost = read_assign(text).cost
    for row in rows(text):
        if below := [word for word in row.words if word.startswith("-")]:
            raise FormatError(row.line, "costs of 0 or more", below[0])
    return AssignmentData(cost)


def matrix(text: str) -> AssignmentData:
    """Return the problem of a cost matrix written row by row, without side constraints."""
    return AssignmentData(tuple(tuple(map(int, row.split())) for row in text.split("/")))


FAMOUS = (
    Famous(
        "Machineco",
        "xs",
        matrix("14 5 8 7 / 2 12 6 5 / 7 8 3 9 / 2 4 6 10"),
        15,
        "Winston, Operations Research: Applications and Algorithms, 4th edition 2004, section 7.5",
    ),
    Famous(
        "linear_sum_assignment",
        "xs",
        matrix("90 76 75 70 / 35 85 55 65 / 125 95 90 105 / 45 110 95 115"),
        265,
        "Google OR-Tools guides, Linear Sum Assignment Solver",
    ),
    Famous(
        "assign.mod",
        "s",
        matrix(
            "13 21 20 12 8 26 22 11 / 12 36 25 41 40 11 4 8 / 35 32 13 36 26 21 13 37 / 34 54 7 8 12 22 11 40 /"
            "21 6 45 18 24 34 12 48 / 42 19 39 15 14 16 28 46 / 16 34 38 3 34 40 22 24 / 26 20 5 17 45 31 37 43"
        ),
        76,
        "Christofides, Graph Theory: An Algorithmic Approach, 1975, as in the GLPK example assign.mod",
    ),
    Famous(
        "assign.dat",
        "m",
        matrix(
            "6 9 8 7 11 10 4 5 3 2 1 / 11 8 7 6 9 10 1 5 4 2 3 / 9 10 11 1 5 6 2 7 8 3 4 / 11 9 8 10 6 5 1 7 4 2 3 /"
            "3 2 8 9 10 11 1 5 4 6 7 / 11 9 10 5 3 4 6 7 8 1 2 / 6 11 10 9 8 7 1 2 5 4 3 / 11 5 4 6 7 8 1 9 10 2 3 /"
            "11 9 10 8 6 5 7 3 4 1 2 / 5 6 9 8 4 3 7 10 11 2 1 / 11 9 8 4 6 5 3 10 7 2 1"
        ),
        28,
        "Fourer, Gay and Kernighan, AMPL, 2nd edition 2003, section 15.2 (staff and offices)",
    ),
)
COSTUMES = (
    Costume(
        "A relief agency sends its medical teams out after a flood, one to each village.",
        {
            "worker": ("team", "teams"),
            "task": ("village", "villages"),
            "cost": ("travel time", "travel times"),
            "start": ("opening hour", "opening hours"),
        },
    ),
    Costume(
        "An opera house casts the roles of a new production; every singer gets one.",
        {
            "worker": ("singer", "singers"),
            "task": ("role", "roles"),
            "cost": ("fee", "fees"),
            "start": ("first entry", "first entries"),
        },
    ),
    Costume(
        "A garage hands its repairs to its mechanics, one to each.",
        {
            "worker": ("mechanic", "mechanics"),
            "task": ("repair", "repairs"),
            "cost": ("effort", "efforts"),
            "start": ("slot", "slots"),
        },
    ),
)


class Assignment(Optimization[AssignmentData, Tasks, "dict[tuple[int, int], cp_model.IntVar]"]):
    name: ClassVar[str] = "assignment"
    version: ClassVar[int] = 1
    title: ClassVar[str] = "Linear assignment"
    data = AssignmentData
    sizes: ClassVar[Any] = ladder(
        AssignmentKnobs,
        workers=(4, 8, 12, 16, 20),
        restricted=(2, 4, 6, 8, 10),
        conditions=(2, 3, 5, 8, 10),
        orders=(1, 2, 4, 6, 8),
    )
    core_kinds: ClassVar[tuple[str, ...]] = ("assigned", "one_each")
    modules: ClassVar[Any] = {
        "forbidden": lambda d: [Forbidden(worker, tasks) for worker, tasks in d.forbidden],
        "conditional": lambda d: [Conditional(*condition) for condition in d.conditions],
        "ordering": lambda d: [Ordering(earlier, later, d.start, gap) for earlier, later, gap in d.orders],
    }
    target_share: ClassVar[Fraction] = Fraction(105, 100)
    costumes = COSTUMES
    formats: ClassVar[Any] = {"orlibrary": from_file}

    def draw(self, knobs: AssignmentKnobs, stream: Stream) -> AssignmentData:
        """Hide an assignment in the data that breaks no rule; the rules are about the tasks that are cheap.

        A rule that leaves the hidden assignment alone may well forbid the cheapest one.
        """
        n = knobs.workers
        # A cost is a worker's level plus a task's plus chance: the cheapest cells of the matrix crowd in few rows.
        level, burden = stream("worker").integers(n, 5, 25), stream("task").integers(n, 5, 25)
        chance = stream("cost").matrix(n, n, 0, 50)
        cost = tuple(tuple(level[i] + burden[j] + chance[i][j] for j in range(n)) for i in range(n))
        hidden = stream("hidden").shuffled(range(n))
        cheap = [sorted(range(n), key=row.__getitem__) for row in chance]
        few, many = max(1, n // 5), (n + 2) // 3
        forbidden = [
            (i, tuple(sorted([j for j in cheap[i] if j != hidden[i]][:few])))
            for i in sorted(stream("forbidden").sample(range(n), knobs.restricted))
        ]
        start = tuple(stream("start").sample(range(1, 2 * n + 1), n))
        apart = [(i, k) for i in range(n) for k in range(n) if start[hidden[i]] < start[hidden[k]]]
        return AssignmentData(
            cost=cost,
            forbidden=tuple(forbidden),
            conditions=tuple(
                self.condition(i, j, cheap, hidden, many) for i, j in stream("conditions").pairs(n, knobs.conditions)
            ),
            start=start,
            orders=tuple(
                (i, k, min(start[hidden[k]] - start[hidden[i]], most))
                for (i, k), most in zip(
                    sorted(stream("orders").sample(apart, knobs.orders)),
                    stream("gaps").integers(knobs.orders, 1, n // 2),
                    strict=True,
                )
            ),
        )

    def condition(
        self, i: int, j: int, cheap: Sequence[Sequence[int]], hidden: Sequence[int], many: int
    ) -> tuple[int, tuple[int, ...], int, tuple[int, ...]]:
        """Return a condition between the cheap tasks of two workers that the hidden assignment keeps."""
        triggers = cheap[i][:many]
        excluded = [task for task in cheap[j] if task != hidden[j] or hidden[i] not in triggers][:many]
        return i, tuple(sorted(triggers)), j, tuple(sorted(excluded))

    def form(self, d: AssignmentData) -> MapOf:
        return MapOf("worker", len(d.cost), "task", len(d.cost))

    def core(self, d: AssignmentData) -> list[Constraint[Tasks, Any]]:
        n = len(d.cost)
        return [*(Assigned(i, n) for i in range(n)), *(OneEach(j, n) for j in range(n))]

    def objective(self, d: AssignmentData) -> TotalCost:
        return TotalCost(d.cost)

    def greedy(self, d: AssignmentData, fits: Fits[Tasks]) -> Tasks:
        """The cheapest pair of a worker and a task that are both free and fit, again and again."""
        n = len(d.cost)
        answer: Tasks = Partial()
        for i, j in sorted(((i, j) for i in range(n) for j in range(n)), key=lambda pair: d.cost[pair[0]][pair[1]]):
            candidate = Partial({**answer, i: j})
            if i not in answer and j not in answer.values() and fits(candidate):
                answer = candidate
        return answer

    def intro(self, d: AssignmentData, names: Names) -> str:
        worker, task = names.word("worker"), names.word("task")
        text = (
            f"Give each of these {names.all('worker')} one of these {names.all('task')}. The table holds the"
            f" {names.word('cost')} of each {worker} for each {task}.\n\n{names.matrix('worker', d.cost, 'task')}"
        )
        if d.start:
            listing = names.table("task", {"start": d.start})
            text += f"\n\nEach {task} has a number called {names.word('start')}.\n\n{listing}"
        return text

    def entities(self, d: AssignmentData) -> Mapping[str, int]:
        return {"worker": len(d.cost), "task": len(d.cost)}

    def inverted(self, d: AssignmentData) -> TotalSaved:
        return TotalSaved(d.cost, max(map(max, d.cost)))

    def famous(self) -> Sequence[Famous[AssignmentData]]:
        return FAMOUS

    def perturb(self, d: AssignmentData, stream: Stream) -> AssignmentData:
        """Change about a quarter of the costs by up to a half."""
        n = len(d.cost)
        changed = set(stream("cells").sample([(i, j) for i in range(n) for j in range(n)], max(4, n * n // 4)))
        share = stream("share").matrix(n, n, 50, 150)
        cost = tuple(
            tuple(max(1, v * share[i][j] // 100) if (i, j) in changed else v for j, v in enumerate(row))
            for i, row in enumerate(d.cost)
        )
        return replace(d, cost=cost)

    def sketch(self, instance: Instance) -> Bars:
        """Return the table of costs with the chosen ones; where a task is forbidden, it stays blank."""
        d: AssignmentData = instance.data  # type: ignore[assignment]
        names, n = instance.names, len(d.cost)
        workers, tasks = names.listed("worker", n), names.listed("task", n)
        forbidden = dict(d.forbidden) if "forbidden" in instance.modules else {}
        cells = {
            (a, b): (str(d.cost[i][j]), "chosen" if instance.answer[i] == j else "")
            for a, i in enumerate(workers)
            for b, j in enumerate(tasks)
            if j not in forbidden.get(i, ())
        }
        rows, columns = [names.one("worker", i) for i in workers], [names.label("task", j) for j in tasks]
        return grid(rows, columns, cells, f"{names.word('task')}; in a cell: {names.word('cost')}")
