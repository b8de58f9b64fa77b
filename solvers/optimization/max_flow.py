"""Maximum flow from a source to a sink (Ford and Fulkerson 1962; Cormen, Leiserson, Rivest and Stein, chapter 26).

Modules: ``node_throughput`` (what enters a node is bounded), ``exclusive`` (of two arcs one is used at most) and
``ratio`` (the flow of an arc is bounded by a multiple of another one's).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import combinations, count, permutations
from typing import TYPE_CHECKING, Any, ClassVar

from solvers.constrained import Fits, Optimization
from solvers.formats.common import FormatError, rows
from solvers.formats.dimacs import read_max_flow
from solvers.keys import Stream
from solvers.names import Names, sentence, table
from solvers.optimization.min_cost_flow import (
    ArcCapacity,
    Balance,
    Ends,
    Flow,
    NodeThroughput,
    at,
    cheapest,
    laid,
    narrowed,
    network,
    pushed,
)
from solvers.problem import Constraint, Data, Famous, Instance, Knobs, Mode, Objective, ladder
from solvers.shapes import AmountOf, Partial
from solvers.sketches import Graph, Node, flows, layered, stages

if TYPE_CHECKING:
    from ortools.sat.python import cp_model


@dataclass(frozen=True, kw_only=True)
class MaxFlowKnobs(Knobs):
    nodes: int
    arcs: int
    routes: int  # that the flow hidden in the data takes
    largest: int = 6  # flow of a route
    throughputs: int
    exclusive: int
    ratios: int


@dataclass(frozen=True)
class MaxFlowData(Data):
    source: int
    sink: int
    arcs: tuple[tuple[int, int, int], ...]  # (from, to, capacity)
    throughput: tuple[tuple[int, int], ...]  # (node, what may enter it)
    exclusive: tuple[tuple[int, int], ...]  # arcs
    ratios: tuple[tuple[int, int, int], ...]  # (arc, factor, arc whose flow times the factor bounds that of the first)

    @property
    def nodes(self) -> int:
        """The number of nodes."""
        return 1 + max(self.source, self.sink, *(max(arc[:2]) for arc in self.arcs))

    @property
    def ends(self) -> list[Ends]:
        """The nodes at the ends of each arc."""
        return [arc[:2] for arc in self.arcs]


@dataclass(frozen=True)
class Exclusive(Constraint[Flow, "list[cp_model.IntVar]"]):
    kind: ClassVar[str] = "exclusive"
    constraint_class: ClassVar[str] = "logical"
    pair: tuple[int, int]

    def say(self, names: Names) -> str:
        return f"At least one of {names.several('arc', self.pair)} has {names.word('flow')} 0."

    def check(self, answer: Flow) -> int:
        return -min(answer[a] for a in self.pair)

    def post(self, model: "cp_model.CpModel", x: "list[cp_model.IntVar]") -> None:
        first, second = self.pair
        used = model.new_bool_var(f"used{first},{second}")
        model.add(x[first] == 0).only_enforce_if(used)
        model.add(x[second] == 0).only_enforce_if(used.negated())


@dataclass(frozen=True)
class Ratio(Constraint[Flow, "list[cp_model.IntVar]"]):
    kind: ClassVar[str] = "ratio"
    constraint_class: ClassVar[str] = "balance"
    hereditary: ClassVar[bool] = False
    arc: int
    factor: int
    other: int

    def say(self, names: Names) -> str:
        arc, other = names.one("arc", self.arc), names.one("arc", self.other)
        return f"The {names.word('flow')} of {arc} is at most {self.factor} times that of {other}."

    def check(self, answer: Flow) -> int:
        return self.factor * answer[self.other] - answer[self.arc]

    def post(self, model: "cp_model.CpModel", x: "list[cp_model.IntVar]") -> None:
        model.add(x[self.arc] <= self.factor * x[self.other])


@dataclass(frozen=True)
class FlowValue(Objective[Flow, "list[cp_model.IntVar]"]):
    direction: ClassVar[Any] = "max"
    node: int
    out: tuple[int, ...]
    into: tuple[int, ...]

    def noun(self, names: Names) -> str:
        flow, arcs, node = names.word("flow"), names.all("arc"), names.one("node", self.node)
        back = f" minus that of the {arcs} into it" if self.into else ""
        return f"the total {flow} of the {arcs} out of {node}{back}"

    def of(self, answer: Flow) -> int:
        return sum(answer[a] for a in self.out) - sum(answer[a] for a in self.into)

    def post(self, model: "cp_model.CpModel", x: "list[cp_model.IntVar]") -> Any:
        return sum(x[a] for a in self.out) - sum(x[a] for a in self.into)


@dataclass(frozen=True)
class CapacityLeft(FlowValue):
    """The mirror of the flow value: what the arcs out of the source could carry besides."""

    direction: ClassVar[Any] = "min"
    capacity: tuple[int, ...]  # of the arcs out of the node

    def noun(self, names: Names) -> str:
        arcs, node, capacity = names.all("arc"), names.one("node", self.node), names.word("capacity")
        back = f" plus the total {names.word('flow')} of the {arcs} into it" if self.into else ""
        return f"the total unused {capacity} ({capacity} minus {names.word('flow')}) of the {arcs} out of {node}{back}"

    def of(self, answer: Flow) -> int:
        unused = sum(most - answer[a] for a, most in zip(self.out, self.capacity, strict=True))
        return unused + sum(answer[a] for a in self.into)

    def post(self, model: "cp_model.CpModel", x: "list[cp_model.IntVar]") -> Any:
        return sum(self.capacity) - super().post(model, x)


def plain(source: int, sink: int, arcs: tuple[tuple[int, int, int], ...]) -> MaxFlowData:
    """Return a network without further conditions."""
    return MaxFlowData(source, sink, arcs, (), (), ())


FAMOUS = (
    Famous(
        "Taha example 6.4-2",
        "xs",
        plain(
            0,
            4,
            (
                (0, 1, 20),
                (0, 2, 30),
                (0, 3, 10),
                (1, 2, 40),
                (1, 4, 30),
                (2, 3, 10),
                (2, 4, 20),
                (3, 2, 5),
                (3, 4, 20),
            ),
        ),
        60,
        "Taha, Introduction to Operations Research, example 6.4-2; OR-Tools guide, Maximum Flows",
    ),
    Famous(
        "Cormen figure 26.1",
        "s",
        plain(
            0,
            5,
            (
                (0, 1, 16),
                (0, 2, 13),
                (1, 3, 12),
                (2, 1, 4),
                (2, 4, 14),
                (3, 2, 9),
                (3, 5, 20),
                (4, 3, 7),
                (4, 5, 4),
            ),
        ),
        23,
        "Cormen, Leiserson, Rivest and Stein, Introduction to Algorithms, 3rd edition, 2009, figures 26.1 and 26.6",
    ),
)


def from_dimacs(text: str) -> MaxFlowData:
    """Return the network of a DIMACS file. Raises FormatError."""
    found = read_max_flow(text)
    if not found.arcs:
        raise FormatError(next(row.line for row in rows(text) if row.words[0] == "p"), "an arc", "none")
    return plain(found.source, found.sink, found.arcs)


class MaxFlow(Optimization[MaxFlowData, Flow, "list[cp_model.IntVar]"]):
    name: ClassVar[str] = "max_flow"
    version: ClassVar[int] = 1
    title: ClassVar[str] = "Maximum flow"
    data = MaxFlowData
    sizes: ClassVar[Any] = ladder(
        MaxFlowKnobs,
        nodes=(5, 7, 9, 12, 15),
        arcs=(9, 14, 19, 27, 36),
        routes=(3, 5, 7, 9, 12),
        throughputs=(1, 1, 2, 3, 4),
        exclusive=(1, 2, 3, 4, 5),
        ratios=(1, 2, 3, 4, 5),
    )
    core_kinds: ClassVar[tuple[str, ...]] = ("balance", "arc_capacity")
    modules: ClassVar[Any] = {
        "node_throughput": lambda d: [NodeThroughput(node, at(node, d.ends)[1], most) for node, most in d.throughput],
        "exclusive": lambda d: [Exclusive(pair) for pair in d.exclusive],
        "ratio": lambda d: [Ratio(*ratio) for ratio in d.ratios],
    }
    target_share: ClassVar[Fraction] = Fraction(95, 100)
    formats: ClassVar[Any] = {"dimacs": from_dimacs}

    def draw(self, knobs: MaxFlowKnobs, stream: Stream) -> MaxFlowData:
        """Hide a large flow in the data that keeps all rules.

        Rules are first on what greedy's flow, which knows of no rules, does otherwise.
        """
        place = stream("place").shuffled(range(knobs.nodes))
        for k in count():
            network = stream(f"network {k}")
            ends, hidden, capacity = laid(place, 1, knobs.routes, knobs.arcs, knobs.largest, network)
            apart = [(a, b) for a, b in combinations(range(len(ends)), 2) if bool(hidden[a]) != bool(hidden[b])]
            within = [
                (a, max(2, -(-hidden[a] // hidden[b])), b)
                for a, b in permutations(range(len(ends)), 2)
                if 0 < hidden[a] <= 3 * hidden[b]
            ]
            # Wider arcs at source and sink: the bottleneck is within the network.
            wider = network("wider").integers(len(ends), 1, 3)
            for a, (i, j) in enumerate(ends):
                capacity[a] += wider[a] if place[0] == i or place[-1] == j else 0
            hubs = narrowed(place[1:-1], ends, hidden, capacity)
            if len(apart) >= knobs.exclusive and len(within) >= knobs.ratios and len(hubs) >= knobs.throughputs:
                break
        bare = plain(place[0], place[-1], tuple((*arc, most) for arc, most in zip(ends, capacity, strict=True)))
        greedy = self.greedy(bare, self.fits(self.core(bare)))
        hubs = sorted(
            stream("throughput").shuffled(hubs), key=lambda hub: sum(greedy[a] for a in at(hub[0], ends)[1]) <= hub[1]
        )
        clash = sorted(stream("exclusive").shuffled(apart), key=lambda pair: not all(greedy[a] for a in pair))
        ratios = sorted(stream("ratios").shuffled(within), key=lambda r: greedy[r[0]] <= r[1] * greedy[r[2]])
        return replace(
            bare,
            throughput=tuple(sorted(hubs[: knobs.throughputs])),
            exclusive=tuple(sorted(clash[: knobs.exclusive])),
            ratios=tuple(sorted(ratios[: knobs.ratios])),
        )

    def form(self, d: MaxFlowData) -> AmountOf:
        # A random answer doesn't know the capacities: it draws from the same range for every arc.
        return AmountOf("arc", (max(most for _, _, most in d.arcs),) * len(d.arcs), "flow")

    def core(self, d: MaxFlowData) -> list[Constraint[Flow, Any]]:
        inner = [i for i in range(d.nodes) if i not in (d.source, d.sink)]
        return [
            *(Balance(i, *at(i, d.ends), 0) for i in inner),
            *(ArcCapacity(a, most) for a, (_, _, most) in enumerate(d.arcs)),
        ]

    def objective(self, d: MaxFlowData) -> FlowValue:
        return FlowValue(d.source, *at(d.source, d.ends))

    def inverted(self, d: MaxFlowData) -> CapacityLeft:
        out, into = at(d.source, d.ends)
        return CapacityLeft(d.source, out, into, tuple(d.arcs[a][2] for a in out))

    def greedy(self, d: MaxFlowData, fits: Fits[Flow]) -> Flow:
        """Send as much as fits over the path of fewest arcs from source to sink, again and again.

        (Edmonds and Karp 1972, but nothing is taken back.)
        """
        answer: Flow = Partial(dict.fromkeys(range(len(d.arcs)), 0))
        while True:
            usable = [fits(Partial({**answer, a: flow + 1})) for a, flow in answer.items()]
            path = cheapest(d.ends, [1] * len(d.arcs), usable, {d.source}, {d.sink})
            if not path:
                return answer
            answer, amount = pushed(answer, path, min(d.arcs[a][2] - answer[a] for a in path), fits)
            if not amount:
                return answer

    def template_answer(self, instance: Instance, mode: Mode) -> Flow:
        """Return the zero flow: it keeps whatever bounds a flow from above."""
        return Partial(dict.fromkeys(range(len(instance.data.arcs)), 0))  # type: ignore[attr-defined]

    def intro(self, d: MaxFlowData, names: Names) -> str:
        arc, flow, capacity = (names.word(term) for term in ("arc", "flow", "capacity"))
        source, sink = names.one("node", d.source), names.one("node", d.sink)
        return (
            f"{sentence(source)} is the source and {sink} the sink of a network: send as much as possible from one to"
            f" the other. Set the {flow} of every {arc}, a whole number from 0 on; each {arc} leads from one"
            f" {names.word('node')} to another.\n\n"
        ) + table([arc, "from", "to", capacity], network(names, d.arcs))

    def entities(self, d: MaxFlowData) -> Mapping[str, int]:
        return {"arc": len(d.arcs), "node": d.nodes}

    def famous(self) -> Sequence[Famous[MaxFlowData]]:
        return FAMOUS

    def perturb(self, d: MaxFlowData, stream: Stream) -> MaxFlowData:
        """Change three capacities by up to a half."""
        changed = stream("arcs").sample(range(len(d.arcs)), 3)
        return replace(
            d,
            arcs=tuple(
                (i, j, max(1, most * stream(f"capacity {a}").integer(50, 150) // 100) if a in changed else most)
                for a, (i, j, most) in enumerate(d.arcs)
            ),
        )

    def sketch(self, instance: Instance) -> Graph:
        d: MaxFlowData = instance.data  # type: ignore[assignment]
        flow, groups = [instance.answer[a] for a in range(len(d.arcs))], {d.source: "source", d.sink: "sink"}
        used = [pair for pair, own in zip(d.ends, flow, strict=True) if own]
        nodes = [
            Node(instance.names.label("node", i), x, y, groups.get(i, ""))
            for i, (x, y) in enumerate(layered(stages(d.nodes, used, d.ends), d.ends))
        ]
        return flows(nodes, d.ends, flow, [arc[2] for arc in d.arcs])
