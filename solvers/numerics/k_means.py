"""Lloyd's iteration for k-means (Lloyd 1982; MacQueen 1967): points go to the nearest centre, centres to their mean.

The points lie along a stripe and the centres start at one end of it, so that points go on changing hands: once none
does, the centres stand still. Of several starts, the one is taken from which most centres still move at the end.

New centres depend on old ones through the assignment alone; the error, which is summed on the way, shows more of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from math import lcm
from typing import Any, ClassVar

from solvers.keys import Stream
from solvers.names import Names
from solvers.problem import Data, Famous, Instance, ladder
from solvers.procedure import Procedure, ProcedureKnobs, Rounding, Vector, decimal, half_even, visible
from solvers.sketches import Edge, Graph, Node

Point = tuple[int, int]
STARTS = 8


@dataclass(frozen=True, kw_only=True)
class KMeansKnobs(ProcedureKnobs):
    points: int
    centres: int
    length: int  # of the stripe


@dataclass(frozen=True)
class KMeansData(Data):
    points: tuple[Point, ...]
    start: tuple[Point, ...]
    share: Fraction = Fraction(1)  # of the way to its mean that a centre moves; 1: the method itself


class KMeans(Procedure[KMeansData]):
    """State: the first coordinates of all centres, their second ones, then the error: the sum of the squared distances
    of the points from their centres, before these move (0 at the start; no step uses it)."""

    name: ClassVar[str] = "k_means"
    version: ClassVar[int] = 1
    title: ClassVar[str] = "k-means iteration"
    state: ClassVar[str] = "state"
    data = KMeansData
    sizes: ClassVar[Any] = ladder(
        KMeansKnobs,
        points=(10, 12, 16, 22, 30),
        centres=(2, 2, 3, 3, 4),
        length=(30, 30, 40, 40, 60),
        steps=(2, 2, 3, 4, 5),
        places=(3, 4, 4, 4, 4),
    )

    def draw(self, knobs: KMeansKnobs, stream: Stream) -> KMeansData:
        along, across, flip = stream("along"), stream("across"), stream("flip").choice((False, True))
        width = knobs.length // 3
        points: list[Point] = []
        while len(points) < knobs.points:
            point = along.integer(0, knobs.length), across.integer(0, width)
            if point not in points:
                points.append(point)
        if flip:  # the stripe stands upright
            points = [(y, x) for x, y in points]
        end = sorted(points, key=lambda point: (point[flip], point))[: knobs.centres + 3]
        starts = [tuple(stream(f"start {i}").sample(end, knobs.centres)) for i in range(STARTS)]
        drawn = [KMeansData(tuple(points), start) for start in starts]
        return max(drawn, key=lambda d: self.moving(d, knobs.steps, half_even(knobs.places)))

    def moving(self, d: KMeansData, steps: int, rounded: Rounding) -> int:
        """Return how many coordinates of centres change in the last step and in the one after it, the fewer of both."""
        rows = [x[:-1] for x in (self.start(d), *self.trace(d, steps + 1, rounded))]
        return min(sum(v != w for v, w in zip(rows[k], rows[k + 1], strict=True)) for k in (steps - 1, steps))

    def traced(self, d: KMeansData, size: str, seed: int, index: int, attempt: int) -> Instance | str:
        """The error lags a step behind: it is the centres that must move, and be away from where they end."""
        found = super().traced(d, size, seed, index, attempt)
        if isinstance(found, str):
            return found
        before, last = [self.start(d), *found.answer][-2:]
        limit = self.limit(found)
        if before[:-1] == last[:-1]:
            return "centres stand still"
        if limit is not None and not visible(last[:-1], limit[:-1], found.knobs["places"]):
            return "centres look converged"
        return found

    def perturb(self, d: KMeansData, stream: Stream) -> KMeansData:
        """Let each centre move a share of the way only."""
        return replace(d, share=Fraction(stream("share").integer(4, 8), 10))

    def famous(self) -> Sequence[Famous[KMeansData]]:
        return (
            Famous(
                "eight points A1 to C2",
                "xs",
                KMeansData(
                    points=((2, 10), (2, 5), (8, 4), (5, 8), (7, 5), (6, 4), (1, 2), (4, 9)),
                    start=((2, 10), (5, 8), (1, 2)),
                ),
                None,
                "Han and Kamber, Data Mining: Concepts and Techniques, chapter on cluster analysis, exercises",
            ),
        )

    def parts(self, d: KMeansData) -> tuple[tuple[str, int], ...]:
        return (("x", len(d.start)), ("y", len(d.start)), ("e", 1))

    def start(self, d: KMeansData) -> Vector:
        return (*(Fraction(point[axis]) for axis in (0, 1) for point in d.start), Fraction(0))

    def step(self, d: KMeansData, x: Vector, rounded: Rounding) -> Vector:
        k, common = len(d.start), lcm(*(v.denominator for v in x[:-1]))
        whole = [v.numerator * (common // v.denominator) for v in x[:-1]]
        own: list[list[Point]] = [[] for _ in range(k)]
        error = 0
        for p, q in d.points:
            distances = [(whole[c] - common * p) ** 2 + (whole[k + c] - common * q) ** 2 for c in range(k)]
            nearest = min(distances)
            own[distances.index(nearest)].append((p, q))  # the first of several
            error += nearest
        new = list(x)
        for c, points in enumerate(own):
            for axis in (0, 1) if points else ():
                old, mean = x[axis * k + c], Fraction(sum(point[axis] for point in points), len(points))
                new[axis * k + c] = rounded(old + d.share * (mean - old))
        new[-1] = rounded(Fraction(error, common**2))
        return tuple(new)

    def intro(self, d: KMeansData, names: Names) -> str:
        x, y = names.word("x"), names.word("y")
        points = "\n".join(f"point {i}: ({p}, {q})" for i, (p, q) in enumerate(d.points, 1))
        return (
            f"The k-means iteration is applied to {len(d.points)} points of the plane and {len(d.start)} centres;"
            f" ({x}_i, {y}_i) is centre i, and the {names.word(self.state)} is all {x}_i, all {y}_i and the error"
            f" {names.word('e')}.\n"
            f"{points}"
        )

    def say(self, d: KMeansData, names: Names) -> str:
        x, y, e = names.word("x"), names.word("y"), names.word("e")
        moved = f"the new {x}_i is m_i and the new {y}_i is n_i"
        if d.share != 1:
            share = decimal(d.share)
            moved = (
                f"the new {x}_i is {x}_i + {share} * (m_i - {x}_i) and the new {y}_i is {y}_i + {share} * (n_i -"
                f" {y}_i), with {x}_i and {y}_i as they were before the step"
            )
        return (
            "first, with all centres as they were before the step, every point is assigned to the centre i at the"
            " smallest distance (the usual, Euclidean one; of several at the same distance, the one with the smallest"
            " number i). Then, for every centre i that has points, let m_i be the mean of the first coordinates of the"
            f" points assigned to it and n_i that of their second coordinates, not rounded; {moved}. A centre without"
            f" points stays where it is. The new {e} is the sum, over all points, of the squared distance of the point"
            f" from the centre that it is assigned to, with the centres as they were before the step. (The old {e} is"
            " not used.)"
        )

    def sketch(self, instance: Instance) -> Graph:
        """Return the points, coloured by the centre that they were last assigned to, and the ways of the centres."""
        d: KMeansData = instance.data  # type: ignore[assignment]
        rows, k, last = [self.start(d), *instance.answer], len(d.start), len(instance.answer)
        before, groups = rows[-2], [f"centre {c + 1}" for c in range(k)]
        nodes, edges = [], []
        for p, q in d.points:
            nearest = min(range(k), key=lambda c: (before[c] - p) ** 2 + (before[k + c] - q) ** 2)
            nodes.append(Node("", p, q, groups[nearest]))
        for c in range(k):
            for step, x in enumerate(rows):
                if step < last:
                    edges.append(Edge(len(nodes), len(nodes) + 1, groups[c]))
                nodes.append(Node("" if step < last else str(c + 1), float(x[c]), float(x[k + c]), groups[c]))
        caption = "the points, and the ways of the centres from the start on"
        return Graph(tuple(nodes), tuple(edges), arrows=True, caption=caption)
