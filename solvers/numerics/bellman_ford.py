"""Rounds of Bellman and Ford's shortest path method (Bellman 1958): every distance is relaxed over its incoming arcs.

The rounds are synchronous (each uses the distances before the round), so that a round is a step. Lengths grow with the
square of what an arc skips of a path through all nodes: paths of more arcs are shorter, and most distances go on
falling round after round. The source's distance is always 0 and therefore no part of the state.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import pairwise
from typing import Any, ClassVar

from solvers.keys import Stream
from solvers.names import Names, table
from solvers.problem import Data, Famous, Instance, ladder
from solvers.procedure import Procedure, ProcedureKnobs, Rounding, Vector
from solvers.sketches import Curves, Edge, Graph, Node, Panels, layered, stages

UNKNOWN = 9999  # the distance of a node to which no path is known yet
SOURCE = 0  # in arcs


@dataclass(frozen=True, kw_only=True)
class BellmanFordKnobs(ProcedureKnobs):
    nodes: int  # but for the source
    arcs: int


@dataclass(frozen=True)
class BellmanFordData(Data):
    nodes: int
    arc: tuple[tuple[int, int, int], ...]  # from, to, length; node 0 is the source
    toll: int = 0  # paid at each node that a path passes on the way; 0: the method itself


class BellmanFord(Procedure[BellmanFordData]):
    name: ClassVar[str] = "bellman_ford"
    version: ClassVar[int] = 2
    title: ClassVar[str] = "Bellman-Ford rounds"
    state: ClassVar[str] = "d"
    data = BellmanFordData
    sizes: ClassVar[Any] = ladder(
        BellmanFordKnobs,
        nodes=(4, 6, 8, 10, 13),
        arcs=(9, 16, 24, 32, 46),
        steps=(2, 2, 3, 3, 4),
        places=0,
    )

    def draw(self, knobs: BellmanFordKnobs, stream: Stream) -> BellmanFordData:
        n = knobs.nodes
        order = [SOURCE, *stream("path").shuffled(range(1, n + 1))]
        place = {node: k for k, node in enumerate(order)}
        ahead = [(i, j) for i in order for j in order if place[j] > place[i] + 1]
        back = [(i, j) for i in order[1:] for j in order[1:] if place[j] < place[i]]
        chosen = [
            *pairwise(order),
            *stream("ahead").sample(ahead, knobs.arcs - n - n // 3),
            *stream("back").sample(back, n // 3),
        ]
        length = stream("length")
        arcs = []
        for i, j in sorted(chosen):
            skips = abs(place[j] - place[i])
            arcs.append((i, j, 3 * skips**2 + length.integer(0, 5 * skips)))
        return BellmanFordData(nodes=n, arc=tuple(arcs))

    def perturb(self, d: BellmanFordData, stream: Stream) -> BellmanFordData:
        """Charge a toll for each node passed on the way."""
        return replace(d, toll=stream("toll").integer(2, 6))

    def famous(self) -> Sequence[Famous[BellmanFordData]]:
        # Nodes s (the source), t, x, y, z.
        arcs = (
            *((0, 1, 6), (0, 3, 7), (1, 2, 5), (1, 3, 8), (1, 4, -4)),
            *((2, 1, -2), (3, 2, -3), (3, 4, 9), (4, 0, 2), (4, 2, 7)),
        )
        return (
            Famous(
                "five nodes, s t x y z",
                "xs",
                BellmanFordData(4, arcs),
                None,
                "Cormen, Leiserson, Rivest and Stein, Introduction to Algorithms, third edition, figure 24.4",
            ),
        )

    def start(self, d: BellmanFordData) -> Vector:
        return (Fraction(UNKNOWN),) * d.nodes

    def step(self, d: BellmanFordData, x: Vector, rounded: Rounding) -> Vector:
        best = list(x)
        for i, j, length in d.arc:
            if j == SOURCE:
                continue
            if i == SOURCE:
                best[j - 1] = min(best[j - 1], Fraction(length))
            elif x[i - 1] < UNKNOWN:
                best[j - 1] = min(best[j - 1], x[i - 1] + length + d.toll)
        return tuple(map(rounded, best))

    def intro(self, d: BellmanFordData, names: Names) -> str:
        x = names.word(self.state)
        listing = table(
            ["from", "to", "length"], [(*(f"node {k}" if k else "source" for k in ends), c) for *ends, c in d.arc]
        )
        toll = f" At each node but the source that a path leaves, a toll of {d.toll} is paid." if d.toll else ""
        return (
            f"The Bellman-Ford method looks for the lengths of shortest paths from the source to the {d.nodes} nodes of"
            f" this network of arcs; {x}_j is the distance of node j as far as it is known, {UNKNOWN} where no path is"
            f" known yet.{toll}\n\n{listing}"
        )

    def say(self, d: BellmanFordData, names: Names) -> str:
        x = names.word(self.state)
        toll = f", plus the toll of {d.toll}" if d.toll else ""
        return (
            f"for every node j, the new {x}_j is the smallest of {x}_j itself, of the length of the arc from the source"
            f" to node j, if there is one, and, for each arc from a node i to node j with {x}_i below {UNKNOWN}, of"
            f" {x}_i plus the length of that arc{toll}. Every distance in this rule is the one before the step: no new"
            " distance uses another new one."
        )

    def sketch(self, instance: Instance) -> Panels:
        """Return the network with the arcs that gave the last distances, and the distances that are known."""
        d: BellmanFordData = instance.data  # type: ignore[assignment]
        rows = [(Fraction(0), *row) for row in (self.start(d), *instance.answer)]
        used: dict[int, int] = {}
        for before, after in pairwise(rows):
            for i, j, length in d.arc:
                if after[j] < before[j] and after[j] == before[i] + length + (d.toll if i else 0):
                    used[j] = i
        ends, known = [(i, j) for i, j, _ in d.arc], [str(v) if v < UNKNOWN else "?" for v in rows[-1]]
        nodes = [
            Node(str(i) if i else "source", x, y, "", known[i] if i else "")
            for i, (x, y) in enumerate(layered(stages(1 + d.nodes, [(i, j) for j, i in used.items()], ends), ends))
        ]
        edges = [Edge(i, j, "shortest so far" if used.get(j) == i else "", str(length)) for i, j, length in d.arc]
        caption = "beside a node: its distance after the last step; on an arc: its length"
        points = [
            (k, float(row[i]), f"{instance.names.word(self.state)}_{i}")
            for i in range(1, 1 + d.nodes)
            for k, row in enumerate(rows)
            if row[i] < UNKNOWN
        ]
        network = Graph(tuple(nodes), tuple(edges), arrows=True, caption=caption)
        return Panels((network, Curves("step", tuple(points), "distance")))
