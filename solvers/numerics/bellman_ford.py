"""Rounds of Bellman and Ford's shortest path method (Bellman 1958): every distance is relaxed over its incoming arcs.

The rounds are synchronous (each uses the distances before the round), so that a round is a step. Distances that are not
known yet are a stated large number.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import pairwise
from typing import Any, ClassVar

from solvers.keys import Stream
from solvers.names import Names, table
from solvers.problem import Data, Famous, ladder
from solvers.procedure import Procedure, ProcedureKnobs, Rounding, Vector

UNKNOWN = 999


@dataclass(frozen=True, kw_only=True)
class BellmanFordKnobs(ProcedureKnobs):
    nodes: int
    arcs: int


@dataclass(frozen=True)
class BellmanFordData(Data):
    nodes: int
    arc: tuple[tuple[int, int, int], ...]  # from, to, length
    toll: int = 0  # paid at each node that a path passes on the way; 0: the method itself


class BellmanFord(Procedure[BellmanFordData]):
    name: ClassVar[str] = "bellman_ford"
    version: ClassVar[int] = 1
    title: ClassVar[str] = "Bellman-Ford rounds"
    state: ClassVar[str] = "d"
    data = BellmanFordData
    sizes: ClassVar[Any] = ladder(
        BellmanFordKnobs,
        nodes=(5, 6, 8, 10, 13),
        arcs=(9, 12, 18, 26, 38),
        steps=(2, 2, 3, 3, 4),
        places=0,
    )

    def draw(self, knobs: BellmanFordKnobs, stream: Stream) -> BellmanFordData:
        """A cheap path through all nodes, with dear short cuts: distances go on falling round after round."""
        n = knobs.nodes
        order = [0, *stream("path").shuffled(range(1, n))]
        path = list(pairwise(order))
        others = [(i, j) for i in range(n) for j in range(n) if j not in (i, 0) and (i, j) not in path]
        extra = stream("extra").sample(others, knobs.arcs - len(path))
        place = {node: k for k, node in enumerate(order)}
        length = stream("length")
        arcs = [(i, j, length.integer(2, 9)) for i, j in path]
        for i, j in extra:
            gap = place[j] - place[i]
            arcs.append((i, j, length.integer(4 * gap, 9 * gap + 6) if gap > 1 else length.integer(3, 30)))
        return BellmanFordData(nodes=n, arc=tuple(sorted(arcs)))

    def perturb(self, d: BellmanFordData, stream: Stream) -> BellmanFordData:
        """Charge a toll for each node passed on the way."""
        return replace(d, toll=stream("toll").integer(2, 6))

    def famous(self) -> Sequence[Famous[BellmanFordData]]:
        arcs = (
            (0, 1, 6),
            (0, 3, 7),
            (1, 2, 5),
            (1, 3, 8),
            (1, 4, -4),
            (2, 1, -2),
            (3, 2, -3),
            (3, 4, 9),
            (4, 0, 2),
            (4, 2, 7),
        )
        return (
            Famous(
                "five nodes, s t x y z",
                "xs",
                BellmanFordData(5, arcs),
                None,
                "Cormen, Leiserson, Rivest and Stein, Introduction to Algorithms, section 24.1, figure 24.4",
            ),
        )

    def entities(self, d: BellmanFordData) -> Mapping[str, int]:
        return {}

    def start(self, d: BellmanFordData) -> Vector:
        return (Fraction(0), *[Fraction(UNKNOWN)] * (d.nodes - 1))

    def step(self, d: BellmanFordData, x: Vector, rounded: Rounding) -> Vector:
        best = list(x)
        for i, j, length in d.arc:
            if x[i] < UNKNOWN:
                best[j] = min(best[j], x[i] + length + (d.toll if i != 0 else 0))
        return tuple(map(rounded, best))

    def intro(self, d: BellmanFordData, names: Names) -> str:
        x = names.word(self.state)
        listing = table(["from node", "to node", "length"], [(i + 1, j + 1, length) for i, j, length in d.arc])
        toll = f" At each node but node 1 that a path leaves, a toll of {d.toll} is paid." if d.toll else ""
        return (
            f"The Bellman-Ford method looks for the lengths of shortest paths from node 1 in this network of {d.nodes}"
            f" nodes; {x}_j is the distance of node j as far as it is known, {UNKNOWN} where it is not known yet.{toll}"
            f"\n\n{listing}"
        )

    def say(self, d: BellmanFordData, names: Names) -> str:
        x = names.word(self.state)
        more = f", plus the toll of {d.toll} unless i is 1" if d.toll else ""
        return (
            f"for every node j, the new {x}_j is the smallest of {x}_j and, for each arc from a node i to j with {x}_i"
            f" below {UNKNOWN}, of {x}_i plus the length of the arc{more}. Every distance on the right is the one before the"
            " step: no new distance uses another new one."
        )
