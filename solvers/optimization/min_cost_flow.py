"""Minimum cost flow in a network with supplies, demands and bounds of arcs (Ahuja, Magnanti and Orlin 1993, chapter 9).

Modules: ``node_throughput`` (what enters a node is bounded), ``paired_arcs`` (two arcs have the same flow) and
``minimum_if_used`` (an arc is unused or used well).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from heapq import heappop, heappush
from itertools import combinations, count, pairwise
from typing import TYPE_CHECKING, Any, ClassVar

from solvers.constrained import Fits, Optimization
from solvers.formats.common import FormatError, rows
from solvers.formats.dimacs import read_min_cost_flow
from solvers.keys import Stream
from solvers.names import Costume, Names, sentence, table
from solvers.problem import Constraint, Data, Famous, Instance, Knobs, Mode, Objective, ladder
from solvers.shapes import AmountOf, Partial
from solvers.sketches import Graph, Node, flows, layered, stages

if TYPE_CHECKING:
    from ortools.sat.python import cp_model

Flow = Partial[int, int]  # arc -> flow
Ends = tuple[int, int]  # of an arc: the node that it leaves, the node that it enters
Hubs = list[tuple[int, int]]  # (node, what may enter it)


@dataclass(frozen=True, kw_only=True)
class MinCostFlowKnobs(Knobs):
    nodes: int
    arcs: int
    ends: int  # nodes with a supply; as many have a demand
    routes: int  # that the flow hidden in the data takes
    largest: int = 6  # flow of a route
    minima: int  # arcs with a least flow
    throughputs: int
    pairs: int
    batches: int  # arcs with a least flow if they are used


@dataclass(frozen=True)
class MinCostFlowData(Data):
    supply: tuple[int, ...]  # by node; a demand is negative
    arcs: tuple[tuple[int, int, int, int, int], ...]  # (from, to, least flow, capacity, cost)
    throughput: tuple[tuple[int, int], ...]  # (node, what may enter it)
    pairs: tuple[tuple[int, int], ...]  # arcs
    batches: tuple[tuple[int, int], ...]  # (arc, its least flow if it is used)

    @property
    def ends(self) -> list[Ends]:
        """The nodes at the ends of each arc."""
        return [arc[:2] for arc in self.arcs]


@dataclass(frozen=True)
class Balance(Constraint[Flow, "list[cp_model.IntVar]"]):
    """What leaves a node is more by its supply than what enters it (less by its demand)."""

    kind: ClassVar[str] = "balance"
    constraint_class: ClassVar[str] = "balance"
    hereditary: ClassVar[bool] = False
    node: int
    out: tuple[int, ...]
    into: tuple[int, ...]
    supply: int

    def say(self, names: Names) -> str:
        flow, arcs, node = names.word("flow"), names.all("arc"), names.one("node", self.node)
        if self.supply < 0:
            return (
                f"The total {flow} of the {arcs} into {node} is {-self.supply} more than that of the {arcs} out of it."
            )
        if self.supply > 0:
            return (
                f"The total {flow} of the {arcs} out of {node} is {self.supply} more than that of the {arcs} into it."
            )
        return f"The total {flow} of the {arcs} into {node} equals that of the {arcs} out of it."

    def check(self, answer: Flow) -> int:
        return -abs(sum(answer[a] for a in self.out) - sum(answer[a] for a in self.into) - self.supply)

    def post(self, model: "cp_model.CpModel", x: "list[cp_model.IntVar]") -> None:
        model.add(sum(x[a] for a in self.into) + self.supply == sum(x[a] for a in self.out))


@dataclass(frozen=True)
class ArcCapacity(Constraint[Flow, "list[cp_model.IntVar]"]):
    kind: ClassVar[str] = "arc_capacity"
    constraint_class: ClassVar[str] = "capacity"
    arc: int
    limit: int

    def say(self, names: Names) -> str:
        return f"The {names.word('flow')} of every {names.word('arc')} is at most its {names.word('capacity')}."

    def check(self, answer: Flow) -> int:
        return self.limit - answer[self.arc]

    def post(self, model: "cp_model.CpModel", x: "list[cp_model.IntVar]") -> None:
        model.add(x[self.arc] <= self.limit)


@dataclass(frozen=True)
class ArcMinimum(Constraint[Flow, "list[cp_model.IntVar]"]):
    kind: ClassVar[str] = "arc_minimum"
    constraint_class: ClassVar[str] = "domain"
    hereditary: ClassVar[bool] = False
    arc: int
    limit: int

    def say(self, names: Names) -> str:
        return f"The {names.word('flow')} of every {names.word('arc')} is at least its {names.word('minimum')}."

    def check(self, answer: Flow) -> int:
        return answer[self.arc] - self.limit

    def post(self, model: "cp_model.CpModel", x: "list[cp_model.IntVar]") -> None:
        model.add(x[self.arc] >= self.limit)


@dataclass(frozen=True)
class NodeThroughput(Constraint[Flow, "list[cp_model.IntVar]"]):
    kind: ClassVar[str] = "node_throughput"
    constraint_class: ClassVar[str] = "capacity"
    node: int
    into: tuple[int, ...]
    limit: int

    def say(self, names: Names) -> str:
        flow, node = names.word("flow"), names.one("node", self.node)
        return f"The total {flow} of the {names.all('arc')} into {node} is at most {self.limit}."

    def check(self, answer: Flow) -> int:
        return self.limit - sum(answer[a] for a in self.into)

    def post(self, model: "cp_model.CpModel", x: "list[cp_model.IntVar]") -> None:
        model.add(sum(x[a] for a in self.into) <= self.limit)


@dataclass(frozen=True)
class PairedArcs(Constraint[Flow, "list[cp_model.IntVar]"]):
    kind: ClassVar[str] = "paired_arcs"
    constraint_class: ClassVar[str] = "balance"
    hereditary: ClassVar[bool] = False
    pair: tuple[int, int]

    def say(self, names: Names) -> str:
        return f"{sentence(names.several('arc', self.pair))} have the same {names.word('flow')}."

    def check(self, answer: Flow) -> int:
        first, second = self.pair
        return -abs(answer[first] - answer[second])

    def post(self, model: "cp_model.CpModel", x: "list[cp_model.IntVar]") -> None:
        first, second = self.pair
        model.add(x[first] == x[second])


@dataclass(frozen=True)
class MinimumIfUsed(Constraint[Flow, "list[cp_model.IntVar]"]):
    kind: ClassVar[str] = "minimum_if_used"
    constraint_class: ClassVar[str] = "logical"
    hereditary: ClassVar[bool] = False
    arc: int
    least: int

    def say(self, names: Names) -> str:
        return f"The {names.word('flow')} of {names.one('arc', self.arc)} is 0 or at least {self.least}."

    def check(self, answer: Flow) -> int:
        flow = answer[self.arc]
        return max(-flow, flow - self.least)

    def vacuous(self, answer: Flow) -> bool:
        return answer.get(self.arc) == 0

    def post(self, model: "cp_model.CpModel", x: "list[cp_model.IntVar]") -> None:
        used = model.new_bool_var(f"used{self.arc}")
        model.add(x[self.arc] >= self.least).only_enforce_if(used)
        model.add(x[self.arc] == 0).only_enforce_if(used.negated())


@dataclass(frozen=True)
class TotalCost(Objective[Flow, "list[cp_model.IntVar]"]):
    direction: ClassVar[Any] = "min"
    cost: tuple[int, ...]

    def noun(self, names: Names) -> str:
        return f"the total {names.word('cost')}"

    def of(self, answer: Flow) -> int:
        return sum(cost * answer[a] for a, cost in enumerate(self.cost))

    def post(self, model: "cp_model.CpModel", x: "list[cp_model.IntVar]") -> Any:
        return sum(cost * x[a] for a, cost in enumerate(self.cost))


def laid(
    place: Sequence[int], ends: int, routes: int, arcs: int, largest: int, stream: Stream
) -> tuple[list[Ends], list[int], list[int]]:
    """Return the arcs of a random network, the flow hidden in it, and capacities that just hold this flow.

    ``place``: the nodes; the first ``ends`` of them send flow over ``routes`` to the last ``ends``. No arc enters the
    former or leaves the latter; every other node is entered and left. (So a few more arcs than ``arcs`` may arise.)
    """
    starts, inner, goals = place[:ends], place[ends:-ends], place[-ends:]
    flow: dict[Ends, int] = {}
    for r in range(routes):
        own = stream(f"route {r}")
        stops = own("stops").sample(range(len(inner)), own("length").integer(1, 2))
        path = [starts[r % ends], *(inner[k] for k in sorted(stops)), goals[r // ends % ends]]
        amount = own("amount").integer(2, largest)
        for arc in pairwise(path):
            flow[arc] = flow.get(arc, 0) + amount
    free = stream("others").shuffled([(i, j) for i in [*starts, *inner] for j in [*inner, *goals] if i != j])
    for i in inner:
        for side in (0, 1):
            if not any(arc[side] == i for arc in flow):
                flow[next(arc for arc in free if arc[side] == i)] = 0
    others = [arc for arc in free if arc not in flow]
    flow |= dict.fromkeys(others[: max(0, arcs - len(flow))], 0)
    found = stream("order").shuffled(sorted(flow))
    spare, room = stream("spare").integers(len(found), 0, 2), stream("room").integers(len(found), 2, largest)
    capacity = [flow[arc] + spare[a] if flow[arc] else room[a] for a, arc in enumerate(found)]
    return found, [flow[arc] for arc in found], capacity


def at(node: int, ends: Sequence[Ends]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the arcs out of a node and those into it."""
    out = tuple(a for a, (i, _) in enumerate(ends) if i == node)
    return out, tuple(a for a, (_, j) in enumerate(ends) if j == node)


def narrowed(nodes: Sequence[int], ends: Sequence[Ends], hidden: Sequence[int], capacity: Sequence[int]) -> Hubs:
    """Return (node, what enters it in a hidden flow, but 1 at least) where its arcs could carry more."""
    limits = [(i, max(1, sum(hidden[a] for a in at(i, ends)[1]))) for i in nodes]
    return [(i, most) for i, most in limits if all(most < sum(capacity[a] for a in side) for side in at(i, ends))]


def cheapest(
    ends: Sequence[Ends], cost: Sequence[int], usable: Sequence[bool], sources: set[int], sinks: set[int]
) -> list[int] | None:
    """Return the arcs of a cheapest path over usable arcs from a source to a sink (Dijkstra), None if there is none."""
    found: dict[int, list[int]] = {}
    queue: list[tuple[int, int, list[int]]] = [(0, i, []) for i in sorted(sources)]
    while queue:
        so_far, i, path = heappop(queue)
        if i in sinks:
            return path
        if i not in found:
            found[i] = path
            for a, (tail, head) in enumerate(ends):
                if tail == i and usable[a] and head not in found:
                    heappush(queue, (so_far + cost[a], head, [*path, a]))
    return None


def pushed(answer: Flow, path: Sequence[int], most: int, fits: Fits[Flow]) -> tuple[Flow, int]:
    """Return the flow with as much more on a path as fits, ``most`` at most, and how much that is."""
    for amount in range(most, 0, -1):
        more = Partial({a: flow + amount * (a in path) for a, flow in answer.items()})
        if fits(more):
            return more, amount
    return answer, 0


FAMOUS = (
    Famous(
        "Bradley, Hax and Magnanti figure 8.1",
        "xs",
        MinCostFlowData(
            supply=(20, 0, 0, -5, -15),
            arcs=(
                (0, 1, 0, 15, 4),
                (0, 2, 0, 8, 4),
                (1, 2, 0, 20, 2),
                (1, 3, 0, 4, 2),
                (1, 4, 0, 10, 6),
                (2, 3, 0, 15, 1),
                (2, 4, 0, 4, 3),
                (3, 4, 0, 20, 2),
                (4, 2, 0, 5, 3),
            ),
            throughput=(),
            pairs=(),
            batches=(),
        ),
        150,
        "Bradley, Hax and Magnanti, Applied Mathematical Programming, 1977; value: OR-Tools guide, Minimum Cost Flows",
    ),
)
COSTUMES = (
    Costume(
        "A valley is supplied with water from its reservoirs.",
        {
            "node": ("basin", "basins"),
            "arc": ("pipe", "pipes"),
            "flow": ("discharge", "discharges"),
            "capacity": ("diameter limit", "diameter limits"),
            "minimum": ("flushing need", "flushing needs"),
            "cost": ("pumping energy", "pumping energies"),
        },
    ),
    Costume(
        "A railway carries ore from the yards of the mines to those of the smelters.",
        {
            "node": ("yard", "yards"),
            "arc": ("line", "lines"),
            "flow": ("tonnage", "tonnages"),
            "capacity": ("axle limit", "axle limits"),
            "minimum": ("standing order", "standing orders"),
            "cost": ("toll", "tolls"),
        },
    ),
    Costume(
        "An operator carries data from the sites that produce them to the sites that store them.",
        {
            "node": ("router", "routers"),
            "arc": ("link", "links"),
            "flow": ("traffic", "traffics"),
            "capacity": ("bandwidth", "bandwidths"),
            "minimum": ("booked traffic", "booked traffics"),
            "cost": ("fee", "fees"),
        },
    ),
)


def from_dimacs(text: str) -> MinCostFlowData:
    """Return the network of a DIMACS file. Raises FormatError, for negative costs too."""
    found = read_min_cost_flow(text)
    listed = [row for row in rows(text) if row.words[0] in ("p", "a")]
    if not found.arcs:
        raise FormatError(listed[0].line, "an arc", "none")
    for row, arc in zip(listed[1:], found.arcs, strict=True):
        if arc[4] < 0:
            raise FormatError(row.line, "a cost of 0 or more", str(arc[4]))
    return MinCostFlowData(found.supply, found.arcs, (), (), ())


class MinCostFlow(Optimization[MinCostFlowData, Flow, "list[cp_model.IntVar]"]):
    name: ClassVar[str] = "min_cost_flow"
    version: ClassVar[int] = 1
    title: ClassVar[str] = "Minimum cost flow"
    data = MinCostFlowData
    sizes: ClassVar[Any] = ladder(
        MinCostFlowKnobs,
        nodes=(5, 7, 9, 12, 15),
        arcs=(8, 13, 19, 28, 38),
        ends=(1, 2, 2, 3, 3),
        routes=(2, 3, 5, 7, 9),
        minima=(1, 1, 2, 3, 4),
        throughputs=(1, 1, 2, 3, 4),
        pairs=(1, 1, 2, 3, 4),
        batches=(1, 2, 3, 4, 5),
    )
    core_kinds: ClassVar[tuple[str, ...]] = ("balance", "arc_capacity", "arc_minimum")
    modules: ClassVar[Any] = {
        "node_throughput": lambda d: [NodeThroughput(node, at(node, d.ends)[1], most) for node, most in d.throughput],
        "paired_arcs": lambda d: [PairedArcs(pair) for pair in d.pairs],
        "minimum_if_used": lambda d: [MinimumIfUsed(arc, least) for arc, least in d.batches],
    }
    target_share: ClassVar[Fraction] = Fraction(105, 100)
    costumes = COSTUMES
    formats: ClassVar[Any] = {"dimacs": from_dimacs}

    def draw(self, knobs: MinCostFlowKnobs, stream: Stream) -> MinCostFlowData:
        """Hide a flow in the data that keeps all rules; its arcs cost more than the others, so that it isn't cheap.

        Rules are on nodes and arcs where greedy's flow, which knows of no rules, differs from the hidden one.
        """
        n, ends = knobs.nodes, knobs.ends
        place = stream("place").shuffled(range(n))
        for k in count():
            network = stream(f"network {k}")
            arcs, hidden, capacity = laid(place, ends, knobs.routes, knobs.arcs, knobs.largest, network)
            alike = [
                (a, b)
                for a, b in combinations(range(len(arcs)), 2)
                if hidden[a] == hidden[b] and arcs[a][1] != arcs[b][0] and arcs[b][1] != arcs[a][0]
            ]
            hubs = narrowed(place[ends:-ends], arcs, hidden, capacity)
            if len(alike) >= knobs.pairs and len(hubs) >= knobs.throughputs:
                break
        dear, cheap = stream("dear").integers(len(arcs), 3, 10), stream("cheap").integers(len(arcs), 2, 9)
        side = [at(i, arcs) for i in range(n)]
        bare = MinCostFlowData(
            supply=tuple(sum(hidden[a] for a in out) - sum(hidden[a] for a in into) for out, into in side),
            arcs=tuple((*arc, 0, capacity[a], dear[a] if hidden[a] else cheap[a]) for a, arc in enumerate(arcs)),
            throughput=(),
            pairs=(),
            batches=(),
        )
        greedy = self.greedy(bare, self.fits(self.core(bare)))
        hubs.sort(key=lambda hub: hub[1] - sum(greedy[a] for a in side[hub[0]][1]))
        alike = sorted(stream("pairs").shuffled(alike), key=lambda pair: not hidden[pair[0]])
        missed = [a for a, flow in enumerate(hidden) if flow]
        missed = sorted(stream("minima").shuffled(missed), key=lambda a: hidden[a] <= greedy[a])[: knobs.minima]
        least = {a: stream(f"least {a}").integer((hidden[a] + 1) // 2, hidden[a]) for a in missed}
        batch = [flow or room for flow, room in zip(hidden, capacity, strict=True)]
        others = stream("batches").shuffled([a for a in range(len(arcs)) if a not in least])
        others.sort(key=lambda a: not 0 < greedy[a] < batch[a])
        return replace(
            bare,
            arcs=tuple((i, j, least.get(a, 0), most, cost) for a, (i, j, _, most, cost) in enumerate(bare.arcs)),
            throughput=tuple(sorted(hubs[: knobs.throughputs])),
            pairs=tuple(sorted(alike[: knobs.pairs])),
            batches=tuple((a, batch[a]) for a in sorted(others[: knobs.batches])),
        )

    def form(self, d: MinCostFlowData) -> AmountOf:
        # A random answer doesn't know the capacities: it draws from the same range for every arc.
        return AmountOf("arc", (max(arc[3] for arc in d.arcs),) * len(d.arcs), "flow")

    def core(self, d: MinCostFlowData) -> list[Constraint[Flow, Any]]:
        return [
            *(Balance(i, *at(i, d.ends), supply) for i, supply in enumerate(d.supply)),
            *(ArcCapacity(a, arc[3]) for a, arc in enumerate(d.arcs)),
            *(ArcMinimum(a, arc[2]) for a, arc in enumerate(d.arcs) if arc[2]),
        ]

    def objective(self, d: MinCostFlowData) -> TotalCost:
        return TotalCost(tuple(arc[4] for arc in d.arcs))

    def greedy(self, d: MinCostFlowData, fits: Fits[Flow]) -> Flow:
        """Send as much as fits over the cheapest path from a supply to a demand, again and again.

        It starts with the least flow of each arc. Nothing is taken back.
        """
        ends, cost, left = d.ends, [arc[4] for arc in d.arcs], list(d.supply)
        answer: Flow = Partial({a: arc[2] for a, arc in enumerate(d.arcs)})
        for a, (tail, head) in enumerate(ends):
            left[tail] -= answer[a]
            left[head] += answer[a]
        while True:
            usable = [fits(Partial({**answer, a: flow + 1})) for a, flow in answer.items()]
            sources, sinks = ({i for i, s in enumerate(left) if sign * s > 0} for sign in (1, -1))
            path = cheapest(ends, cost, usable, sources, sinks)
            if not path:
                return answer
            first, last = ends[path[0]][0], ends[path[-1]][1]
            answer, amount = pushed(answer, path, min(left[first], -left[last]), fits)
            if not amount:
                return answer
            left[first] -= amount
            left[last] += amount

    def template_answer(self, instance: Instance, mode: Mode) -> Flow:
        """Return the zero flow: it keeps whatever bounds a flow from above."""
        return Partial(dict.fromkeys(range(len(instance.data.arcs)), 0))  # type: ignore[attr-defined]

    def intro(self, d: MinCostFlowData, names: Names) -> str:
        arc, flow, cost = (names.word(term) for term in ("arc", "flow", "cost"))
        return (
            f"Set the {flow} of every {arc}, a whole number from 0 on. Each {arc} leads from one {names.word('node')}"
            f" to another; the total {cost} is the sum of {cost} times {flow} over all {names.all('arc')}.\n\n"
        ) + table([arc, "from", "to", names.word("minimum"), names.word("capacity"), cost], network(names, d.arcs))

    def entities(self, d: MinCostFlowData) -> Mapping[str, int]:
        return {"arc": len(d.arcs), "node": len(d.supply)}

    def famous(self) -> Sequence[Famous[MinCostFlowData]]:
        return FAMOUS

    def perturb(self, d: MinCostFlowData, stream: Stream) -> MinCostFlowData:
        """Move up to three units of one supply or demand to another node, and change three costs."""
        giving, taking = stream("nodes").sample(range(len(d.supply)), 2)
        moved = stream("moved").integer(1, 3)
        changed = stream("arcs").sample(range(len(d.arcs)), 3)
        return replace(
            d,
            supply=tuple(s - moved * (i == giving) + moved * (i == taking) for i, s in enumerate(d.supply)),
            arcs=tuple(
                (*arc[:4], stream(f"cost {a}").integer(1, 9)) if a in changed else arc for a, arc in enumerate(d.arcs)
            ),
        )

    def sketch(self, instance: Instance) -> Graph:
        d: MinCostFlowData = instance.data  # type: ignore[assignment]
        flow, groups = [instance.answer[a] for a in range(len(d.arcs))], ("", "supply", "demand")
        used = [pair for pair, own in zip(d.ends, flow, strict=True) if own]
        nodes = []
        for i, (x, y) in enumerate(layered(stages(len(d.supply), used, d.ends), d.ends)):
            own = d.supply[i]
            group, note = groups[(own > 0) - (own < 0)], f"{own:+}" if own else ""
            nodes.append(Node(instance.names.label("node", i), x, y, group, note))
        network = flows(nodes, d.ends, flow, [arc[3] for arc in d.arcs])
        word = instance.names.word("node")
        return replace(network, caption=f"{network.caption}; beside a {word}: supply (+) or demand (-)")


def network(names: Names, arcs: Sequence[tuple[int, ...]]) -> list[list[object]]:
    """Return the rows of a table of arcs: label, the nodes at its ends, and its numbers."""
    return [
        [names.label("arc", a), *(names.label("node", i) for i in arcs[a][:2]), *arcs[a][2:]]
        for a in names.listed("arc", len(arcs))
    ]
