"""Colouring the nodes of a graph with few colours (Lewis, A Guide to Graph Colouring, 2016).

Modules: ``precoloured`` (a node's colour is given), ``same_colour`` (two nodes alike), ``max_use`` (a colour for some
nodes at most) and ``balance`` (two colours for about as many nodes each, as in equitable colouring: Meyer 1973).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import combinations
from typing import TYPE_CHECKING, Any, ClassVar

from solvers import sketches
from solvers.constrained import Fits, Optimization
from solvers.formats.dimacs import read_col
from solvers.keys import Stream
from solvers.names import Costume, Names, sentence, table
from solvers.problem import Constraint, Data, Famous, Instance, Knobs, Objective, ladder
from solvers.shapes import MapOf, Partial

if TYPE_CHECKING:
    from ortools.sat.python import cp_model

Colouring = Partial[int, int]  # node -> colour
Edges = tuple[tuple[int, int], ...]


@dataclass(frozen=True, kw_only=True)
class GraphColoringKnobs(Knobs):
    nodes: int
    edges: int
    needed: int  # colours of the colouring hidden in the data: no fewer do
    spare: int  # colours offered beyond these
    precoloured: int
    same: int  # pairs of nodes of one colour
    capped: int  # colours of bounded use
    balanced: int  # pairs of colours


@dataclass(frozen=True)
class GraphColoringData(Data):
    nodes: int
    colours: int
    edges: Edges  # (i, j) with i < j
    precoloured: tuple[tuple[int, int], ...]  # (node, colour)
    same: tuple[tuple[int, int], ...]  # nodes
    most: tuple[tuple[int, int], ...]  # (colour, nodes that may have it)
    balance: tuple[tuple[int, int, int], ...]  # (colour, colour, difference allowed)


@dataclass(frozen=True)
class Coloured(Constraint[Colouring, "dict[tuple[int, int], cp_model.IntVar]"]):
    kind: ClassVar[str] = "coloured"
    constraint_class: ClassVar[str] = "structure"
    node: int
    colours: int

    def say(self, names: Names) -> str:
        return f"Every {names.word('node')} has exactly one {names.word('colour')}."

    def check(self, answer: Colouring) -> int:
        return 0 if 0 <= answer[self.node] < self.colours else -1

    def post(self, model: "cp_model.CpModel", x: "dict[tuple[int, int], cp_model.IntVar]") -> None:
        model.add_exactly_one(x[self.node, j] for j in range(self.colours))


@dataclass(frozen=True)
class Edge(Constraint[Colouring, "dict[tuple[int, int], cp_model.IntVar]"]):
    kind: ClassVar[str] = "edge"
    constraint_class: ClassVar[str] = "logical"
    pair: tuple[int, int]
    colours: int

    def say(self, names: Names) -> str:
        node, neighbours = names.word("node"), names.all("neighbour")
        return f"No {node} has the same {names.word('colour')} as any of its {neighbours}."

    def check(self, answer: Colouring) -> int:
        first, second = self.pair
        return -1 if answer[first] == answer[second] else 0

    def post(self, model: "cp_model.CpModel", x: "dict[tuple[int, int], cp_model.IntVar]") -> None:
        for j in range(self.colours):
            model.add_at_most_one(x[i, j] for i in self.pair)


@dataclass(frozen=True)
class Precoloured(Constraint[Colouring, "dict[tuple[int, int], cp_model.IntVar]"]):
    kind: ClassVar[str] = "precoloured"
    constraint_class: ClassVar[str] = "domain"
    node: int
    colour: int

    def say(self, names: Names) -> str:
        return f"{sentence(names.one('node', self.node))} has {names.one('colour', self.colour)}."

    def check(self, answer: Colouring) -> int:
        return 0 if answer[self.node] == self.colour else -1

    def post(self, model: "cp_model.CpModel", x: "dict[tuple[int, int], cp_model.IntVar]") -> None:
        model.add(x[self.node, self.colour] == 1)


@dataclass(frozen=True)
class SameColour(Constraint[Colouring, "dict[tuple[int, int], cp_model.IntVar]"]):
    kind: ClassVar[str] = "same_colour"
    constraint_class: ClassVar[str] = "logical"
    pair: tuple[int, int]
    colours: int

    def say(self, names: Names) -> str:
        return f"{sentence(names.several('node', self.pair))} have the same {names.word('colour')}."

    def check(self, answer: Colouring) -> int:
        first, second = self.pair
        return 0 if answer[first] == answer[second] else -1

    def post(self, model: "cp_model.CpModel", x: "dict[tuple[int, int], cp_model.IntVar]") -> None:
        # An absent node (all its variables 0) must not pass for one that is like another absent one.
        model.add_bool_or(x[self.pair[0], j] for j in range(self.colours))
        for j in range(self.colours):
            model.add(x[self.pair[0], j] == x[self.pair[1], j])


@dataclass(frozen=True)
class MaxUse(Constraint[Colouring, "dict[tuple[int, int], cp_model.IntVar]"]):
    kind: ClassVar[str] = "max_use"
    constraint_class: ClassVar[str] = "capacity"
    colour: int
    nodes: int
    limit: int

    def say(self, names: Names) -> str:
        nodes, colour = names.all("node"), names.one("colour", self.colour)
        return f"The number of {nodes} with {colour} is at most {self.limit}."

    def check(self, answer: Colouring) -> int:
        return self.limit - sum(j == self.colour for j in answer.values())

    def post(self, model: "cp_model.CpModel", x: "dict[tuple[int, int], cp_model.IntVar]") -> None:
        model.add(sum(x[i, self.colour] for i in range(self.nodes)) <= self.limit)


@dataclass(frozen=True)
class Balance(Constraint[Colouring, "dict[tuple[int, int], cp_model.IntVar]"]):
    kind: ClassVar[str] = "balance"
    constraint_class: ClassVar[str] = "balance"
    hereditary: ClassVar[bool] = False
    pair: tuple[int, int]
    nodes: int
    limit: int

    def say(self, names: Names) -> str:
        first, second = (f"number of {names.all('node')} with {names.one('colour', j)}" for j in self.pair)
        return f"The {first} and the {second} differ by at most {self.limit}."

    def check(self, answer: Colouring) -> int:
        used = [answer[i] for i in range(self.nodes)]
        return self.limit - abs(used.count(self.pair[0]) - used.count(self.pair[1]))

    def post(self, model: "cp_model.CpModel", x: "dict[tuple[int, int], cp_model.IntVar]") -> None:
        more = sum(x[i, self.pair[0]] - x[i, self.pair[1]] for i in range(self.nodes))
        model.add(more <= self.limit)
        model.add(-more <= self.limit)


@dataclass(frozen=True)
class ColoursUsed(Objective[Colouring, "dict[tuple[int, int], cp_model.IntVar]"]):
    direction: ClassVar[Any] = "min"
    nodes: int
    colours: int

    def noun(self, names: Names) -> str:
        return f"the number of {names.all('colour')} used"

    def of(self, answer: Colouring) -> int:
        return len({answer[i] for i in range(self.nodes)})

    def post(self, model: "cp_model.CpModel", x: "dict[tuple[int, int], cp_model.IntVar]") -> Any:
        used = [model.new_bool_var(f"used{j}") for j in range(self.colours)]
        for j, variable in enumerate(used):
            model.add_max_equality(variable, [x[i, j] for i in range(self.nodes)])
        return sum(used)


@dataclass(frozen=True)
class ColoursUnused(ColoursUsed):
    """The mirror of the number of colours used."""

    direction: ClassVar[Any] = "max"

    def noun(self, names: Names) -> str:
        return f"the number of {names.all('colour')} that no {names.word('node')} has"

    def of(self, answer: Colouring) -> int:
        used = [answer[i] for i in range(self.nodes)]
        return sum(j not in used for j in range(self.colours))

    def post(self, model: "cp_model.CpModel", x: "dict[tuple[int, int], cp_model.IntVar]") -> Any:
        return self.colours - super().post(model, x)


def edges_of(pairs: Iterable[Sequence[int]]) -> Edges:
    """Return pairs of nodes as edges, each once."""
    return tuple(sorted({(min(pair), max(pair)) for pair in pairs}))


def neighbours(nodes: int, edges: Edges) -> list[set[int]]:
    """Return the neighbours of each node."""
    adjacent: list[set[int]] = [set() for _ in range(nodes)]
    for i, j in edges:
        adjacent[i].add(j)
        adjacent[j].add(i)
    return adjacent


def by_neighbours(adjacent: Sequence[set[int]]) -> list[int]:
    """Return the nodes in the order of their numbers of neighbours, the most first (Welsh and Powell 1967)."""
    return sorted(range(len(adjacent)), key=lambda i: -len(adjacent[i]))


def neighbour_lists(names: Names, nodes: int, edges: Edges) -> list[str]:
    """Return the neighbours of each node by label, in the order in which nodes are listed."""
    adjacent = neighbours(nodes, edges)
    order = names.listed("node", nodes)
    return [", ".join(names.label("node", j) for j in order if j in around) or "none" for around in adjacent]


def mycielski(nodes: int, edges: Edges) -> tuple[int, Edges]:
    """Return the graph that Mycielski makes of another: as many triangles, one more colour."""
    shadows = [(i, nodes + j) for a, b in edges for i, j in ((a, b), (b, a))]
    return 2 * nodes + 1, edges_of([*edges, *shadows, *((nodes + i, 2 * nodes) for i in range(nodes))])


def queens(side: int) -> Edges:
    """Return the pairs of squares of a board, numbered row by row, between which a queen moves."""
    return tuple(
        (i, j)
        for i, j in combinations(range(side * side), 2)
        if i // side == j // side or i % side == j % side or abs(i // side - j // side) == abs(i % side - j % side)
    )


PETERSEN = edges_of(e for i in range(5) for e in ((i, (i + 1) % 5), (i, i + 5), (i + 5, (i + 2) % 5 + 5)))
MYCIEL3 = mycielski(5, ((0, 1), (0, 3), (1, 2), (2, 4), (3, 4)))
MYCIEL4 = mycielski(*MYCIEL3)
SPARE = 2  # colours offered beyond those that a famous graph needs


def plain(nodes: int, edges: Edges, colours: int) -> GraphColoringData:
    """Return a graph without further conditions."""
    return GraphColoringData(nodes, colours, edges, (), (), (), ())


FAMOUS = (
    Famous(
        "Petersen graph",
        "s",
        plain(10, PETERSEN, 3 + SPARE),
        3,
        "Holton and Sheehan, The Petersen Graph, Cambridge University Press, 1993",
    ),
    Famous("myciel3", "s", plain(*MYCIEL3, 4 + SPARE), 4, "Trick, DIMACS colouring benchmark COLOR; Mycielski 1955"),
    Famous("myciel4", "l", plain(*MYCIEL4, 5 + SPARE), 5, "Trick, DIMACS colouring benchmark COLOR; Mycielski 1955"),
    Famous("queen5_5", "xl", plain(25, queens(5), 5 + SPARE), 5, "Trick, DIMACS colouring benchmark COLOR"),
)
COSTUMES = (
    Costume(
        "A school fixes when its exams are written. Exams that share a candidate clash.",
        {
            "node": ("exam", "exams"),
            "colour": ("slot", "slots"),
            "neighbour": ("clashing exam", "clashing exams"),
        },
    ),
    Costume(
        "A network of radio masts is put on the air. Masts that hear each other would interfere.",
        {
            "node": ("mast", "masts"),
            "colour": ("channel", "channels"),
            "neighbour": ("interfering mast", "interfering masts"),
        },
    ),
    Costume(
        "A laboratory stores its reagents. Reagents that react with each other are dangerous together.",
        {
            "node": ("reagent", "reagents"),
            "colour": ("cabinet", "cabinets"),
            "neighbour": ("dangerous reagent", "dangerous reagents"),
        },
    ),
)


def from_dimacs(text: str) -> GraphColoringData:
    """Return the graph of a DIMACS file, with as many colours as the heuristic needs. Raises FormatError."""
    graph = read_col(text)
    adjacent = neighbours(graph.vertices, graph.edges)
    colour: dict[int, int] = {}
    for i in by_neighbours(adjacent):
        taken = {colour[j] for j in adjacent[i] if j in colour}
        colour[i] = next(j for j in range(graph.vertices) if j not in taken)
    return plain(graph.vertices, graph.edges, 1 + max(colour.values()))


class GraphColoring(Optimization[GraphColoringData, Colouring, "dict[tuple[int, int], cp_model.IntVar]"]):
    name: ClassVar[str] = "graph_coloring"
    version: ClassVar[int] = 1
    title: ClassVar[str] = "Graph colouring"
    data = GraphColoringData
    sizes: ClassVar[Any] = ladder(
        GraphColoringKnobs,
        nodes=(6, 10, 15, 21, 28),
        edges=(9, 20, 47, 78, 140),
        needed=(3, 3, 4, 4, 5),
        spare=(1, 1, 2, 2, 2),
        precoloured=(1, 2, 3, 4, 5),
        same=(1, 2, 3, 4, 5),
        capped=(1, 1, 2, 2, 3),
        balanced=(1, 1, 2, 2, 3),
    )
    core_kinds: ClassVar[tuple[str, ...]] = ("coloured", "edge")
    modules: ClassVar[Any] = {
        "precoloured": lambda d: [Precoloured(node, colour) for node, colour in d.precoloured],
        "same_colour": lambda d: [SameColour(pair, d.colours) for pair in d.same],
        "max_use": lambda d: [MaxUse(colour, d.nodes, most) for colour, most in d.most],
        "balance": lambda d: [Balance((a, b), d.nodes, apart) for a, b, apart in d.balance],
    }
    target_share: ClassVar[Fraction] = Fraction(1)
    costumes = COSTUMES
    formats: ClassVar[Any] = {"dimacs": from_dimacs}

    def draw(self, knobs: GraphColoringKnobs, stream: Stream) -> GraphColoringData:
        """Hide a colouring in the data, and a clique with a node of each of its colours.

        The clique shows that no fewer colours do: so all arms need the same number, and their common target is tight
        for each.
        """
        n, needed = knobs.nodes, knobs.needed
        colours = stream("colours").sample(range(needed + knobs.spare), needed)
        kind = [*range(needed), *stream("kind").integers(n - needed, 0, needed - 1)]
        place = stream("place").shuffled(range(n))
        hidden = {place[i]: colours[k] for i, k in enumerate(kind)}
        clique = edges_of(combinations(place[:needed], 2))
        apart = [(i, j) for i, j in combinations(range(n), 2) if hidden[i] != hidden[j] and (i, j) not in clique]
        # A lopsided colouring has few pairs: then all of them are edges.
        edges = stream("edges").sample(apart, min(knobs.edges - len(clique), len(apart)))
        given = stream("given").sample(range(n), knobs.precoloured)
        alike = [
            (i, j) for i, j in combinations(range(n), 2) if hidden[i] == hidden[j] and not (i in given and j in given)
        ]
        use = {colour: list(hidden.values()).count(colour) for colour in colours}
        rare = sorted(colours, key=lambda colour: use[colour])
        pairs = sorted(
            stream("pairs").shuffled(list(combinations(sorted(colours), 2))), key=lambda p: abs(use[p[0]] - use[p[1]])
        )
        return GraphColoringData(
            nodes=n,
            colours=needed + knobs.spare,
            edges=edges_of([*clique, *edges]),
            precoloured=tuple((i, hidden[i]) for i in sorted(given)),
            same=tuple(sorted(stream("alike").sample(alike, knobs.same))),
            most=tuple((j, use[j]) for j in sorted(rare[: knobs.capped])),
            balance=tuple((a, b, abs(use[a] - use[b])) for a, b in sorted(pairs[: knobs.balanced])),
        )

    def form(self, d: GraphColoringData) -> MapOf:
        return MapOf("node", d.nodes, "colour", d.colours)

    def core(self, d: GraphColoringData) -> list[Constraint[Colouring, Any]]:
        return [
            *(Coloured(i, d.colours) for i in range(d.nodes)),
            *(Edge(pair, d.colours) for pair in d.edges),
        ]

    def objective(self, d: GraphColoringData) -> ColoursUsed:
        return ColoursUsed(d.nodes, d.colours)

    def inverted(self, d: GraphColoringData) -> ColoursUnused:
        return ColoursUnused(d.nodes, d.colours)

    def greedy(self, d: GraphColoringData, fits: Fits[Colouring]) -> Colouring:
        """Colour the nodes in the order of their numbers of neighbours, each with the first colour that fits.

        Nodes with a given colour come first.
        """
        given = {i for i, j in d.precoloured if not fits(Partial({i: (j + 1) % d.colours}))}
        order = by_neighbours(neighbours(d.nodes, d.edges))
        return self.form(d).first_fit(sorted(order, key=lambda i: i not in given), fits)

    def intro(self, d: GraphColoringData, names: Names) -> str:
        colours = names.several("colour", names.listed("colour", d.colours))
        lists = neighbour_lists(names, d.nodes, d.edges)
        rows = [(names.label("node", i), lists[i]) for i in names.listed("node", d.nodes)]
        return (
            f"Give each of these {d.nodes} {names.all('node')} one of the {d.colours} {colours}."
            f" The {names.all('neighbour')} of each {names.word('node')} are listed.\n\n"
        ) + table([names.word("node"), names.all("neighbour")], rows)

    def entities(self, d: GraphColoringData) -> Mapping[str, int]:
        return {"node": d.nodes, "colour": d.colours}

    def famous(self) -> Sequence[Famous[GraphColoringData]]:
        return FAMOUS

    def perturb(self, d: GraphColoringData, stream: Stream) -> GraphColoringData:
        """Take an edge away, or make a clique of one node more than the graph needs colours."""
        if stream("which").integer(0, 1):
            k = stream("edge").integer(0, len(d.edges) - 1)
            return replace(d, edges=d.edges[:k] + d.edges[k + 1 :])
        adjacent, order = neighbours(d.nodes, d.edges), stream("clique").shuffled(range(d.nodes))
        clique = order[:1]
        while len(clique) <= d.colours - SPARE:
            clique.append(max(order, key=lambda i: -1 if i in clique else len(adjacent[i].intersection(clique))))
        return replace(d, edges=edges_of([*d.edges, *combinations(clique, 2)]))

    def sketch(self, instance: Instance) -> sketches.Graph:
        d: GraphColoringData = instance.data  # type: ignore[assignment]
        names, colour = instance.names, instance.answer
        order = sorted(range(d.nodes), key=lambda i: (colour[i], i))
        groups = [names.one("colour", colour[i]) for i in order]
        nodes = sketches.circle([names.label("node", i) for i in order], groups)
        return sketches.Graph(nodes, tuple(sketches.Edge(order.index(i), order.index(j)) for i, j in d.edges))
