"""Generalised assignment (Martello and Toth 1990, chapter 7): jobs to agents of limited capacity, at most profit.

Modules: ``forbidden`` (some agents can't do a job), ``incompatible`` (two jobs not at one agent), ``min_jobs`` (the
least number of jobs of some agents) and ``max_jobs`` (the largest number of any agent).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import combinations
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

from solvers.constrained import Fits, Optimization
from solvers.formats import orlibrary
from solvers.formats.orlibrary import read_gap
from solvers.keys import Stream
from solvers.names import Costume, Names, sentence
from solvers.problem import Constraint, Data, Famous, Instance, Knobs, Objective, ladder
from solvers.shapes import MapOf, Partial
from solvers.sketches import Panels, limited, stacked

if TYPE_CHECKING:
    from ortools.sat.python import cp_model

Plan = Partial[int, int]  # job -> agent
Pair = tuple[int, int]
Matrix = tuple[tuple[int, ...], ...]
Variables: TypeAlias = "dict[tuple[int, int], cp_model.IntVar]"  # job, agent


@dataclass(frozen=True, kw_only=True)
class GeneralizedAssignmentKnobs(Knobs):
    jobs: int
    agents: int
    forbidden: int  # agents that can't do some jobs
    incompatible: int
    slack: int  # most room that the plan hidden in the data leaves at an agent


@dataclass(frozen=True)
class GeneralizedAssignmentData(Data):
    profit: Matrix  # by agent, by job
    load: Matrix  # by agent, by job
    capacity: tuple[int, ...]  # by agent
    forbidden: tuple[tuple[int, tuple[int, ...]], ...] = ()  # (job, agents that can't do it)
    incompatible: tuple[Pair, ...] = ()
    least: tuple[Pair, ...] = ()  # (agent, jobs)
    most: int = 0  # jobs of any agent


@dataclass(frozen=True)
class Assigned(Constraint[Plan, Variables]):
    kind: ClassVar[str] = "assigned"
    constraint_class: ClassVar[str] = "structure"
    job: int
    agents: int

    def say(self, names: Names) -> str:
        return f"Every {names.word('job')} is given to exactly one {names.word('agent')}."

    def check(self, answer: Plan) -> int:
        return 0 if 0 <= answer[self.job] < self.agents else -1

    def post(self, model: "cp_model.CpModel", x: Variables) -> None:
        model.add_exactly_one(x[self.job, i] for i in range(self.agents))


@dataclass(frozen=True)
class Capacity(Constraint[Plan, Variables]):
    kind: ClassVar[str] = "capacity"
    constraint_class: ClassVar[str] = "capacity"
    agent: int
    load: tuple[int, ...]  # by job
    limit: int

    def say(self, names: Names) -> str:
        return (
            f"The total {names.word('load')} of the {names.all('job')} given to {names.one('agent', self.agent)}, each"
            f" by what it is for this {names.word('agent')}, is at most {self.limit}."
        )

    def check(self, answer: Plan) -> int:
        return self.limit - sum(self.load[j] for j, i in answer.items() if i == self.agent)

    def post(self, model: "cp_model.CpModel", x: Variables) -> None:
        model.add(sum(load * x[j, self.agent] for j, load in enumerate(self.load)) <= self.limit)


@dataclass(frozen=True)
class Forbidden(Constraint[Plan, Variables]):
    kind: ClassVar[str] = "forbidden"
    constraint_class: ClassVar[str] = "domain"
    job: int
    agents: tuple[int, ...]

    def say(self, names: Names) -> str:
        agents = " or ".join(names.one("agent", i) for i in self.agents)
        return f"{sentence(names.one('job', self.job))} is not given to {agents}."

    def check(self, answer: Plan) -> int:
        return -1 if answer[self.job] in self.agents else 0

    def post(self, model: "cp_model.CpModel", x: Variables) -> None:
        model.add_bool_and(~x[self.job, i] for i in self.agents)


@dataclass(frozen=True)
class Incompatible(Constraint[Plan, Variables]):
    kind: ClassVar[str] = "incompatible"
    constraint_class: ClassVar[str] = "logical"
    pair: Pair
    agents: int

    def say(self, names: Names) -> str:
        return f"{sentence(names.several('job', self.pair))} are not given to the same {names.word('agent')}."

    def check(self, answer: Plan) -> int:
        first, second = self.pair
        return -1 if answer[first] == answer[second] else 0

    def post(self, model: "cp_model.CpModel", x: Variables) -> None:
        for i in range(self.agents):
            model.add_at_most_one(x[j, i] for j in self.pair)


@dataclass(frozen=True)
class MinJobs(Constraint[Plan, Variables]):
    kind: ClassVar[str] = "min_jobs"
    constraint_class: ClassVar[str] = "balance"
    hereditary: ClassVar[bool] = False
    agent: int
    jobs: int
    limit: int

    def say(self, names: Names) -> str:
        agent = names.one("agent", self.agent)
        return f"The number of {names.all('job')} given to {agent} is at least {self.limit}."

    def check(self, answer: Plan) -> int:
        return list(answer.values()).count(self.agent) - self.limit

    def post(self, model: "cp_model.CpModel", x: Variables) -> None:
        model.add(sum(x[j, self.agent] for j in range(self.jobs)) >= self.limit)


@dataclass(frozen=True)
class MaxJobs(Constraint[Plan, Variables]):
    kind: ClassVar[str] = "max_jobs"
    constraint_class: ClassVar[str] = "balance"
    agent: int
    jobs: int
    limit: int

    def say(self, names: Names) -> str:
        return f"The number of {names.all('job')} given to any one {names.word('agent')} is at most {self.limit}."

    def check(self, answer: Plan) -> int:
        return self.limit - sum(i == self.agent for i in answer.values())

    def post(self, model: "cp_model.CpModel", x: Variables) -> None:
        model.add(sum(x[j, self.agent] for j in range(self.jobs)) <= self.limit)


@dataclass(frozen=True)
class Profit(Objective[Plan, Variables]):
    direction: ClassVar[Any] = "max"
    profit: Matrix  # by agent, by job

    def noun(self, names: Names) -> str:
        job, agent, profit = (names.word(term) for term in ("job", "agent", "profit"))
        return f"the total over all {names.all('job')} of the {profit} of the {job} at the {agent} that it is given to"

    def of(self, answer: Plan) -> int:
        return sum(self.profit[answer[j]][j] for j in range(len(self.profit[0])))

    def post(self, model: "cp_model.CpModel", x: Variables) -> Any:
        return sum(profit * x[j, i] for i, row in enumerate(self.profit) for j, profit in enumerate(row))


@dataclass(frozen=True)
class ProfitMissed(Profit):
    """The mirror of the profit: how far each job stays below the best that any agent makes of it."""

    direction: ClassVar[Any] = "min"

    @property
    def best(self) -> tuple[int, ...]:
        """The largest profit of each job."""
        return tuple(map(max, zip(*self.profit, strict=True)))

    def noun(self, names: Names) -> str:
        job, agent, profit = (names.word(term) for term in ("job", "agent", "profit"))
        return (
            f"the total {profit} missed, over all {names.all('job')}: the largest {profit} of the {job} at any {agent}"
            f" (allowed or not) minus its {profit} at the {agent} that it is given to"
        )

    def of(self, answer: Plan) -> int:
        return sum(best - self.profit[answer[j]][j] for j, best in enumerate(self.best))

    def post(self, model: "cp_model.CpModel", x: Variables) -> Any:
        return sum(
            best - sum(row[j] * x[j, i] for i, row in enumerate(self.profit)) for j, best in enumerate(self.best)
        )


def from_file(problem: orlibrary.GeneralizedAssignment) -> GeneralizedAssignmentData:
    """Return the problem of a public file; what it calls cost is maximised, as in gap1 to gap12."""
    return GeneralizedAssignmentData(profit=problem.cost, load=problem.resource, capacity=problem.capacity)


def matrix(text: str) -> Matrix:
    """Return a matrix written row by row."""
    return tuple(tuple(map(int, row.split())) for row in text.split("/"))


OSMAN = "OR-Library gap1 (Osman 1995; Cattrysse, Salomon and Van Wassenhove 1994), maximised"
FAMOUS = (
    Famous(
        "c515-1",
        "m",
        GeneralizedAssignmentData(
            profit=matrix(
                "17 21 22 18 24 15 20 18 19 18 16 22 24 24 16/23 16 21 16 17 16 19 25 18 21 17 15 25 17 24/"
                "16 20 16 25 24 16 17 19 19 18 20 16 17 21 24/19 19 22 22 20 16 19 17 21 19 25 23 25 25 25/"
                "18 19 15 15 21 25 16 16 23 15 22 17 19 22 24"
            ),
            load=matrix(
                "8 15 14 23 8 16 8 25 9 17 25 15 10 8 24/15 7 23 22 11 11 12 10 17 16 7 16 10 18 22/"
                "21 20 6 22 24 10 24 9 21 14 11 14 11 19 16/20 11 8 14 9 5 6 19 19 7 6 6 13 9 18/"
                "8 13 13 13 10 20 25 16 16 17 10 10 5 12 23"
            ),
            capacity=(36, 34, 38, 27, 33),
        ),
        336,
        OSMAN,
    ),
    Famous(
        "c515-2",
        "m",
        GeneralizedAssignmentData(
            profit=matrix(
                "19 23 24 20 20 25 16 21 24 15 17 17 20 20 20/25 24 16 21 19 17 17 19 23 21 21 23 20 15 16/"
                "16 21 25 22 24 24 16 17 15 18 15 17 18 24 18/25 24 18 19 15 18 20 22 23 18 16 19 17 15 22/"
                "25 19 21 22 20 15 20 19 18 18 17 23 17 25 25"
            ),
            load=matrix(
                "16 12 8 20 18 10 12 8 14 23 19 14 15 15 24/16 18 19 22 13 20 9 7 25 10 20 13 11 15 16/"
                "6 20 20 5 14 12 6 15 22 18 13 23 23 18 25/18 23 25 17 25 13 23 23 13 20 20 23 17 19 24/"
                "12 17 15 25 22 5 24 19 12 25 23 21 23 19 18"
            ),
            capacity=(36, 37, 38, 48, 44),
        ),
        327,
        OSMAN,
    ),
)
COSTUMES = (
    Costume(
        "A harvest is brought in: each field is cut by one of the farm's crews.",
        {
            "job": ("field", "fields"),
            "agent": ("crew", "crews"),
            "profit": ("yield", "yields"),
            "load": ("fuel", "fuels"),
        },
    ),
    Costume(
        "A court distributes its pending cases among the judges.",
        {
            "job": ("case", "cases"),
            "agent": ("judge", "judges"),
            "profit": ("suitability", "suitabilities"),
            "load": ("sitting time", "sitting times"),
        },
    ),
    Costume(
        "A theatre festival places its plays on the stages of the town.",
        {
            "job": ("play", "plays"),
            "agent": ("stage", "stages"),
            "profit": ("revenue", "revenues"),
            "load": ("rehearsal time", "rehearsal times"),
        },
    ),
)


class GeneralizedAssignment(Optimization[GeneralizedAssignmentData, Plan, Any]):
    name: ClassVar[str] = "generalized_assignment"
    version: ClassVar[int] = 1
    title: ClassVar[str] = "Generalised assignment"
    data = GeneralizedAssignmentData
    sizes: ClassVar[Any] = ladder(
        GeneralizedAssignmentKnobs,
        jobs=(6, 10, 16, 22, 30),
        agents=(2, 3, 4, 5, 6),
        forbidden=(1, 2, 3, 4, 5),
        incompatible=(2, 3, 6, 9, 14),
        slack=(8, 12, 14, 14, 10),
    )
    core_kinds: ClassVar[tuple[str, ...]] = ("assigned", "capacity")
    modules: ClassVar[Any] = {
        "forbidden": lambda d: [Forbidden(job, agents) for job, agents in d.forbidden],
        "incompatible": lambda d: [Incompatible(pair, len(d.capacity)) for pair in d.incompatible],
        "min_jobs": lambda d: [MinJobs(i, len(d.load[0]), least) for i, least in d.least],
        "max_jobs": lambda d: [MaxJobs(i, len(d.load[0]), d.most) for i in range(len(d.capacity))],
    }
    target_share: ClassVar[Fraction] = Fraction(92, 100)
    costumes = COSTUMES
    formats: ClassVar[Any] = {"orlibrary": lambda text: tuple(map(from_file, read_gap(text)))}

    def draw(self, knobs: GeneralizedAssignmentKnobs, stream: Stream) -> GeneralizedAssignmentData:
        """Hide a plan of small loads that fills every agent nearly; the rules are about what looks profitable.

        A profit grows with the load, so that the profitable places are those that fill an agent.
        """
        n, m = knobs.jobs, knobs.agents
        load = stream("load").matrix(m, n, 5, 25)
        gain = stream("gain").matrix(m, n, 0, 36)
        profit = tuple(
            tuple(8 + one // 2 + more for one, more in zip(*rows, strict=True)) for rows in zip(load, gain, strict=True)
        )
        hidden = self.hidden(load, stream)
        count = [hidden.count(i) for i in range(m)]
        held = [sum(load[i][j] for j in range(n) if hidden[j] == i) for i in range(m)]
        room = stream("room").integers(m, 0, knobs.slack)
        pays = [list(map(Fraction, *rows)) for rows in zip(profit, load, strict=True)]
        # Of the jobs that the hidden plan gives elsewhere, those that would pay best.
        worth = [
            sorted((j for j in range(n) if hidden[j] != i), key=row.__getitem__, reverse=True)
            for i, row in enumerate(pays)
        ]
        banned = {i: worth[i][: 2 + n // 12] for i in sorted(stream("forbidden").sample(range(m), knobs.forbidden))}
        favourite = [column.index(max(column)) for column in map(list, zip(*pays, strict=True))]
        apart = [(j, k) for j, k in combinations(range(n), 2) if hidden[j] != hidden[k]]
        drawn = stream("apart").shuffled(apart)
        drawn.sort(key=lambda pair: favourite[pair[0]] != favourite[pair[1]])  # those that would meet come first
        return GeneralizedAssignmentData(
            profit=profit,
            load=load,
            capacity=tuple(one + more for one, more in zip(held, room, strict=True)),
            forbidden=tuple(
                (j, agents) for j in range(n) if (agents := tuple(i for i, jobs in banned.items() if j in jobs))
            ),
            incompatible=tuple(sorted(drawn[: knobs.incompatible])),
            least=tuple(sorted((i, count[i]) for i in stream("floors").sample(range(m), m // 2))),
            most=max(count),
        )

    def hidden(self, load: Matrix, stream: Stream) -> list[int]:
        """Return a plan: each job, in random order, to the agent with the smallest load of those not yet full.

        Agents take from one job fewer to one more than the average.
        """
        m, n = len(load), len(load[0])
        places = [n // m + 1] * m
        places[stream("spared").integer(0, m - 1)] -= 2
        home = [0] * n
        for j in stream("hidden").shuffled(range(n)):
            home[j] = min((i for i in range(m) if places[i]), key=lambda i: load[i][j])
            places[home[j]] -= 1
        return home

    def form(self, d: GeneralizedAssignmentData) -> MapOf:
        return MapOf("job", len(d.load[0]), "agent", len(d.capacity))

    def core(self, d: GeneralizedAssignmentData) -> list[Constraint[Plan, Any]]:
        return [
            *(Assigned(j, len(d.capacity)) for j in range(len(d.load[0]))),
            *(Capacity(i, load, limit) for i, (load, limit) in enumerate(zip(d.load, d.capacity, strict=True))),
        ]

    def objective(self, d: GeneralizedAssignmentData) -> Profit:
        return Profit(d.profit)

    def inverted(self, d: GeneralizedAssignmentData) -> ProfitMissed:
        return ProfitMissed(d.profit)

    def distracted(self, d: GeneralizedAssignmentData, extra: int, stream: Stream) -> GeneralizedAssignmentData:
        """Add agents whose capacity is below their load of any job."""
        m, n = extra * len(d.capacity), len(d.load[0])
        load = stream("load").matrix(m, n, 5, 25)
        short = stream("capacity").integers(m, 1, 4)
        low, high = min(map(min, d.profit)), max(map(max, d.profit))
        return replace(
            d,
            profit=d.profit + stream("profit").matrix(m, n, low, high),
            load=d.load + load,
            capacity=(*d.capacity, *(min(row) - less for row, less in zip(load, short, strict=True))),
        )

    def greedy(self, d: GeneralizedAssignmentData, fits: Fits[Plan]) -> Plan:
        """Of all pairs of a job and an agent, take the one of the largest profit for its load, as long as it fits."""
        pairs = [(j, i) for j in range(len(d.load[0])) for i in range(len(d.capacity))]
        answer: Plan = Partial()
        for j, i in sorted(pairs, key=lambda pair: -Fraction(d.profit[pair[1]][pair[0]], d.load[pair[1]][pair[0]])):
            candidate = Partial({**answer, j: i})
            if j not in answer and fits(candidate):
                answer = candidate
        return answer

    def entities(self, d: GeneralizedAssignmentData) -> Mapping[str, int]:
        return {"job": len(d.load[0]), "agent": len(d.capacity)}

    def intro(self, d: GeneralizedAssignmentData, names: Names) -> str:
        job, agent, profit, load = (names.word(term) for term in ("job", "agent", "profit", "load"))
        jobs = range(len(d.load[0]))
        tables = [
            names.matrix("job", [[row[j] for row in rows] for j in jobs], "agent", f"{term} of {job}")
            for term, rows in ((profit, d.profit), (load, d.load))
        ]
        return (
            f"Give each of these {names.all('job')} to one of {len(d.capacity)} {names.all('agent')}. The {profit} and"
            f" the {load} of a {job} depend on the {agent}.\n\n" + "\n\n".join(tables)
        )

    def famous(self) -> Sequence[Famous[GeneralizedAssignmentData]]:
        return FAMOUS

    def perturb(self, d: GeneralizedAssignmentData, stream: Stream) -> GeneralizedAssignmentData:
        """Change a third of the profits and each capacity a little."""
        shift = stream("shift").matrix(len(d.profit), len(d.profit[0]), -1, 1)
        size = stream("size").integers(len(d.profit), 1, 6)
        profit = tuple(
            tuple(max(1, one + many * by) for one, by in zip(row, shifts, strict=True))
            for row, shifts, many in zip(d.profit, shift, size, strict=True)
        )
        more = stream("capacity").integers(len(d.capacity), -2, 3)
        return replace(d, profit=profit, capacity=tuple(c + by for c, by in zip(d.capacity, more, strict=True)))

    def sketch(self, instance: Instance) -> Panels:
        """Return the agents with their jobs end to end, by load, and their capacity."""
        d: GeneralizedAssignmentData = instance.data  # type: ignore[assignment]
        names, given = instance.names, sorted(instance.answer.items())
        agents = range(len(d.capacity))
        loads = [[(names.label("job", j), d.load[i][j], "") for j, at in given if at == i] for i in agents]
        rows = stacked([names.one("agent", i) for i in agents], loads, f"{names.word('load')}; line: at most")
        return Panels((limited(rows, d.capacity),))
