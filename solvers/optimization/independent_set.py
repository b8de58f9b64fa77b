"""Maximum weight independent set (Garey and Johnson 1979, problem GT20): chosen nodes have no edges between them.

Modules: ``at_most_group`` and ``at_least_group`` (of some nodes, so many at most or at least) and ``requires`` (a node
only with another). What is not chosen is a vertex cover: so the mirror asks for one of least weight.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import combinations, count, permutations
from typing import TYPE_CHECKING, Any, ClassVar

from solvers import sketches
from solvers.constrained import Fits, Optimization
from solvers.formats.dimacs import read_col
from solvers.keys import Stream
from solvers.names import Names, table
from solvers.optimization.graph_coloring import PETERSEN, Edges, edges_of, neighbour_lists, neighbours
from solvers.problem import Constraint, Data, Famous, Instance, Knobs, Objective, ladder
from solvers.shapes import SubsetOf

if TYPE_CHECKING:
    from ortools.sat.python import cp_model

Chosen = frozenset[int]
Group = tuple[tuple[int, ...], int]  # nodes, how many of them at most or at least


@dataclass(frozen=True, kw_only=True)
class IndependentSetKnobs(Knobs):
    nodes: int
    edges: int
    caps: int  # groups with a ceiling
    floors: int  # groups with a floor
    requires: int


@dataclass(frozen=True)
class IndependentSetData(Data):
    weight: tuple[int, ...]
    edges: Edges  # (i, j) with i < j
    caps: tuple[Group, ...]
    floors: tuple[Group, ...]
    requires: tuple[tuple[int, int], ...]  # (node, the one that it needs)


@dataclass(frozen=True)
class Edge(Constraint[Chosen, "list[cp_model.IntVar]"]):
    kind: ClassVar[str] = "edge"
    constraint_class: ClassVar[str] = "logical"
    pair: tuple[int, int]

    def say(self, names: Names) -> str:
        return f"No two chosen {names.all('node')} are {names.all('neighbour')}."

    def check(self, answer: Chosen) -> int:
        return 1 - len(answer.intersection(self.pair))

    def post(self, model: "cp_model.CpModel", x: "list[cp_model.IntVar]") -> None:
        model.add_at_most_one(x[i] for i in self.pair)


@dataclass(frozen=True)
class AtMostGroup(Constraint[Chosen, "list[cp_model.IntVar]"]):
    kind: ClassVar[str] = "at_most_group"
    constraint_class: ClassVar[str] = "capacity"
    group: tuple[int, ...]
    limit: int

    def say(self, names: Names) -> str:
        return f"Of {names.several('node', self.group)}, at most {self.limit} may be chosen."

    def check(self, answer: Chosen) -> int:
        return self.limit - len(answer.intersection(self.group))

    def post(self, model: "cp_model.CpModel", x: "list[cp_model.IntVar]") -> None:
        model.add(sum(x[i] for i in self.group) <= self.limit)


@dataclass(frozen=True)
class AtLeastGroup(Constraint[Chosen, "list[cp_model.IntVar]"]):
    kind: ClassVar[str] = "at_least_group"
    constraint_class: ClassVar[str] = "logical"
    hereditary: ClassVar[bool] = False
    group: tuple[int, ...]
    limit: int

    def say(self, names: Names) -> str:
        return f"Of {names.several('node', self.group)}, at least {self.limit} must be chosen."

    def check(self, answer: Chosen) -> int:
        return len(answer.intersection(self.group)) - self.limit

    def post(self, model: "cp_model.CpModel", x: "list[cp_model.IntVar]") -> None:
        model.add(sum(x[i] for i in self.group) >= self.limit)


@dataclass(frozen=True)
class Requires(Constraint[Chosen, "list[cp_model.IntVar]"]):
    kind: ClassVar[str] = "requires"
    constraint_class: ClassVar[str] = "logical"
    hereditary: ClassVar[bool] = False
    node: int
    needed: int

    def say(self, names: Names) -> str:
        node, needed = names.one("node", self.node), names.one("node", self.needed)
        return f"If {node} is chosen, {needed} is chosen too."

    def check(self, answer: Chosen) -> int:
        return 0 if self.node not in answer or self.needed in answer else -1

    def vacuous(self, answer: Chosen) -> bool:
        return self.node not in answer

    def post(self, model: "cp_model.CpModel", x: "list[cp_model.IntVar]") -> None:
        model.add_implication(x[self.node], x[self.needed])


@dataclass(frozen=True)
class ChosenWeight(Objective[Chosen, "list[cp_model.IntVar]"]):
    direction: ClassVar[Any] = "max"
    weight: tuple[int, ...]

    def noun(self, names: Names) -> str:
        return f"the total {names.word('weight')} of the chosen {names.all('node')}"

    def of(self, answer: Chosen) -> int:
        return sum(self.weight[i] for i in answer)

    def post(self, model: "cp_model.CpModel", x: "list[cp_model.IntVar]") -> Any:
        return sum(weight * x[i] for i, weight in enumerate(self.weight))


@dataclass(frozen=True)
class CoverWeight(ChosenWeight):
    """The mirror of the chosen weight: that of the vertex cover which is left."""

    direction: ClassVar[Any] = "min"

    def noun(self, names: Names) -> str:
        return f"the total {names.word('weight')} of the {names.all('node')} that are not chosen"

    def of(self, answer: Chosen) -> int:
        return sum(weight for i, weight in enumerate(self.weight) if i not in answer)

    def post(self, model: "cp_model.CpModel", x: "list[cp_model.IntVar]") -> Any:
        return sum(weight * (1 - x[i]) for i, weight in enumerate(self.weight))


def plain(nodes: int, edges: Edges) -> IndependentSetData:
    """Return a graph in which every node counts 1 and nothing else is asked."""
    return IndependentSetData((1,) * nodes, edges, (), (), ())


def chords(steps: Sequence[int]) -> Edges:
    """Return a circle of nodes, each joined to the one so many steps ahead (the LCF notation of cubic graphs)."""
    n = len(steps)
    return edges_of((i, j % n) for i, step in enumerate(steps) for j in (i + 1, i + step))


def generalized_petersen(n: int, k: int) -> Edges:
    """Return the generalised Petersen graph P(n, k): a circle, spokes, and a star of steps k."""
    return edges_of(e for i in range(n) for e in ((i, (i + 1) % n), (i, i + n), (i + n, (i + k) % n + n)))


TABLE = "Besharati, Ebrahimi and Azadi, Independence number of generalized Petersen graphs, arXiv 1008.2583"
FAMOUS = (
    Famous("Petersen graph", "s", plain(10, PETERSEN), 4, f"{TABLE}: P(5, 2)"),
    Famous(
        "Frucht graph",
        "s",
        plain(12, chords((-5, -2, -4, 2, 5, -2, 2, 5, -2, -5, 4, 2))),
        5,
        "Dharwadker, The Independent Set Algorithm, 2006",
    ),
    Famous("dodecahedron", "m", plain(20, generalized_petersen(10, 2)), 8, f"{TABLE}: P(10, 2)"),
)


def from_dimacs(text: str) -> IndependentSetData:
    """Return the graph of a DIMACS file, every node of which counts 1. Raises FormatError."""
    graph = read_col(text)
    return plain(graph.vertices, graph.edges)


class IndependentSet(Optimization[IndependentSetData, Chosen, "list[cp_model.IntVar]"]):
    name: ClassVar[str] = "independent_set"
    version: ClassVar[int] = 1
    title: ClassVar[str] = "Maximum independent set"
    data = IndependentSetData
    sizes: ClassVar[Any] = ladder(
        IndependentSetKnobs,
        nodes=(7, 11, 18, 26, 36),
        edges=(8, 18, 38, 60, 90),
        caps=(1, 2, 3, 4, 6),
        floors=(1, 2, 3, 4, 6),
        requires=(1, 2, 3, 5, 7),
    )
    core_kinds: ClassVar[tuple[str, ...]] = ("edge",)
    modules: ClassVar[Any] = {
        "at_most_group": lambda d: [AtMostGroup(group, most) for group, most in d.caps],
        "at_least_group": lambda d: [AtLeastGroup(group, least) for group, least in d.floors],
        "requires": lambda d: [Requires(node, needed) for node, needed in d.requires],
    }
    target_share: ClassVar[Fraction] = Fraction(95, 100)
    formats: ClassVar[Any] = {"dimacs": from_dimacs}

    def draw(self, knobs: IndependentSetKnobs, stream: Stream) -> IndependentSetData:
        """Hide an independent set in the data that keeps all rules.

        Weights grow with the number of neighbours, so that no node is obviously good. A ceiling is on nodes that could
        all be chosen, a floor on light ones, and heavy nodes require lighter ones.
        """
        n = knobs.nodes
        for k in count():
            hidden = set(stream(f"hidden {k}").sample(range(n), n // 3))
            free = [pair for pair in combinations(range(n), 2) if not hidden.issuperset(pair)]
            edges = edges_of(stream(f"edges {k}").sample(free, knobs.edges))
            adjacent = neighbours(n, edges)
            apart = [
                group
                for group in combinations(range(n), 3)
                if not hidden.issuperset(group) and not any(j in adjacent[i] for i, j in combinations(group, 2))
            ]
            if len(apart) >= knobs.caps:
                break
        weight = tuple(
            base + 4 * len(around) for base, around in zip(stream("weight").integers(n, 5, 24), adjacent, strict=True)
        )
        light = sorted(
            (group for group in combinations(range(n), 3) if 0 < len(hidden.intersection(group)) < 3),
            key=lambda group: sum(weight[i] for i in group),
        )
        leads = [
            (i, j)
            for i, j in permutations(range(n), 2)
            if j not in adjacent[i] and weight[i] > weight[j] and (i not in hidden or j in hidden)
        ]
        held = [(group, len(hidden.intersection(group))) for group in stream("caps").sample(apart, knobs.caps)]
        kept = stream("floors").sample(light[: max(knobs.floors, len(light) // 3)], knobs.floors)
        return IndependentSetData(
            weight=weight,
            edges=edges,
            caps=tuple(sorted((group, max(1, most)) for group, most in held)),
            floors=tuple(sorted((group, len(hidden.intersection(group))) for group in kept)),
            requires=tuple(sorted(stream("requires").sample(leads, knobs.requires))),
        )

    def form(self, d: IndependentSetData) -> SubsetOf:
        return SubsetOf("node", len(d.weight))

    def core(self, d: IndependentSetData) -> list[Constraint[Chosen, Any]]:
        return [Edge(pair) for pair in d.edges]

    def objective(self, d: IndependentSetData) -> ChosenWeight:
        return ChosenWeight(d.weight)

    def inverted(self, d: IndependentSetData) -> CoverWeight:
        return CoverWeight(d.weight)

    def greedy(self, d: IndependentSetData, fits: Fits[Chosen]) -> Chosen:
        """Take the node with the most weight for itself and its neighbours left (Sakai, Togasaki and Yamazaki 2003)."""
        adjacent, left = neighbours(len(d.weight), d.edges), set(range(len(d.weight)))
        chosen: Chosen = frozenset()
        while left:
            i = max(left, key=lambda i: (Fraction(d.weight[i], 1 + len(adjacent[i] & left)), -i))
            left.remove(i)
            if fits(chosen | {i}):
                chosen |= {i}
                left -= adjacent[i]
        return chosen

    def intro(self, d: IndependentSetData, names: Names) -> str:
        n = len(d.weight)
        lists = neighbour_lists(names, n, d.edges)
        rows = [(names.label("node", i), d.weight[i], lists[i]) for i in names.listed("node", n)]
        header = [names.word("node"), names.word("weight"), names.all("neighbour")]
        return (
            f"Choose some of these {names.all('node')}. Each {names.word('node')} is listed with its"
            f" {names.word('weight')} and its {names.all('neighbour')}.\n\n"
        ) + table(header, rows)

    def entities(self, d: IndependentSetData) -> Mapping[str, int]:
        return {"node": len(d.weight)}

    def distracted(self, d: IndependentSetData, extra: int, stream: Stream) -> IndependentSetData | None:
        """Add nodes that are each dominated by a guard.

        A further node has the guard and all of the guard's neighbours for neighbours, and all the further nodes that
        can be chosen together weigh less than the guard that could replace them: they never pay. Guards are no
        neighbours of each other and in no rule that replacing might break.
        """
        n = len(d.weight)
        bound = {i for group, _ in d.caps for i in group} | {node for node, _ in d.requires}
        adjacent, guards = neighbours(n, d.edges), list[int]()
        for i in stream("guards").shuffled([i for i in range(n) if i not in bound]):
            if not adjacent[i].intersection(guards):
                guards.append(i)
        if not guards:
            return None
        weight, edges = list(d.weight), list(d.edges)
        for turn in range(extra):  # of the further nodes of one turn and guard, one at most can be chosen
            rivals: dict[int, list[int]] = {guard: [] for guard in guards}
            for k in range(n):
                guard, new = guards[k % len(guards)], len(weight)
                most = (d.weight[guard] - 1) // extra
                weight.append(stream(f"weight {turn} {k}").integer((most + 1) // 2, most))
                edges += [(other, new) for other in (guard, *adjacent[guard], *rivals[guard])]
                rivals[guard].append(new)
        return replace(d, weight=tuple(weight), edges=edges_of(edges))

    def famous(self) -> Sequence[Famous[IndependentSetData]]:
        return FAMOUS

    def perturb(self, d: IndependentSetData, stream: Stream) -> IndependentSetData:
        """Take a sixth of the edges away, or add as many."""
        n, some = len(d.weight), len(d.edges) // 6
        if stream("which").integer(0, 1):
            return replace(d, edges=edges_of(stream("edges").sample(d.edges, len(d.edges) - some)))
        free = [pair for pair in combinations(range(n), 2) if pair not in d.edges]
        return replace(d, edges=edges_of([*d.edges, *stream("edges").sample(free, some)]))

    def sketch(self, instance: Instance) -> sketches.Graph:
        d: IndependentSetData = instance.data  # type: ignore[assignment]
        names = instance.names
        nodes = tuple(
            sketches.Node(names.label("node", i), x, y, "chosen" if i in instance.answer else "", str(d.weight[i]))
            for i, (x, y) in enumerate(sketches.untangled(len(d.weight), d.edges))
        )
        edges = tuple(sketches.Edge(i, j) for i, j in d.edges)
        return sketches.Graph(nodes, edges, caption=f"beside a {names.word('node')}: its {names.word('weight')}")
