"""Pivots of the simplex method (Dantzig 1963) in the condensed tableau (Tucker 1963), which has no columns for the
variables of the basis: one pivot a step.

Pivots follow the largest coefficient. The constraints touch a sphere, or nearly so, and the gains are much alike: no
constraint is idle and the paths are long. Programs are drawn until one is not solved by the last step, by the altered
rule neither, and has the pivots of exact arithmetic in spite of the rounding.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from math import isqrt
from typing import Any, ClassVar

from solvers.keys import Stream
from solvers.names import Names
from solvers.polynomials import polynomial
from solvers.problem import Data, Famous, Instance, ladder
from solvers.procedure import Procedure, ProcedureKnobs, Rounding, Vector, half_even, visible
from solvers.sketches import Curves, Panels

ROWS = ("u", "v", "w", "t", "r")  # words for the rows of the constraints
OBJECTIVE = "z"
DRAWS = 100

Pivot = tuple[int, int]  # row and column


@dataclass(frozen=True, kw_only=True)
class SimplexKnobs(ProcedureKnobs):
    unknowns: int
    limits: int


@dataclass(frozen=True)
class SimplexData(Data):
    """Maximise gain x subject to use x <= limit and x >= 0."""

    gain: tuple[int, ...]
    use: tuple[tuple[int, ...], ...]
    limit: tuple[int, ...]
    leftmost: bool = False  # the pivot column is the first possible one; else: of the largest coefficient


class SimplexPivots(Procedure[SimplexData]):
    """State: the tableau, row by row, each with its right-hand side last, the row of the objective at the end."""

    name: ClassVar[str] = "simplex_pivots"
    version: ClassVar[int] = 1
    title: ClassVar[str] = "simplex pivots"
    state: ClassVar[str] = "tableau"
    data = SimplexData
    sizes: ClassVar[Any] = ladder(
        SimplexKnobs, unknowns=(3, 3, 3, 4, 4), limits=(2, 3, 4, 4, 5), steps=(2, 2, 3, 3, 4), places=(3, 4, 4, 4, 4)
    )

    def draw(self, knobs: SimplexKnobs, stream: Stream) -> SimplexData:
        d = self.program(knobs, stream("program 0"))
        for i in range(1, DRAWS):
            if self.under_way(d, knobs):
                break
            d = self.program(knobs, stream(f"program {i}"))
        return d

    def program(self, knobs: SimplexKnobs, stream: Stream) -> SimplexData:
        """Return a random program."""
        use = stream("use").matrix(knobs.limits, knobs.unknowns, 1, 12)
        room = stream("room")
        return SimplexData(
            gain=stream("gain").integers(knobs.unknowns, 12, 18),
            use=use,
            limit=tuple(isqrt(144 * sum(a * a for a in row)) + room.integer(0, 6) for row in use),
        )

    def pivots(self, d: SimplexData, count: int) -> list[Pivot]:
        """Return the first pivots in exact arithmetic, fewer than ``count`` where the program is solved by then.

        The tableau is kept in whole numbers over a common denominator, which is the last pivot (Edmonds 1967).
        """
        table, below, width = [int(v) for v in self.start(d)], 1, len(d.gain) + 1
        found: list[Pivot] = []
        while len(found) < count:
            pivot = self.pivot(d, table)
            if pivot is None:
                break
            found.append(pivot)
            row, column = pivot[0] * width, pivot[1]
            at = table[row + column]
            new = [
                (v * at - table[k - k % width + column] * table[row + k % width]) // below for k, v in enumerate(table)
            ]
            new[row : row + width] = table[row : row + width]
            new[column::width] = [-v for v in table[column::width]]
            new[row + column] = below
            table, below = new, at
        return found

    def under_way(self, d: SimplexData, knobs: SimplexKnobs) -> bool:
        """Return whether both rules have a step to go after the last one, other values by then, and exact pivots."""
        both, rounded = (d, replace(d, leftmost=True)), half_even(knobs.places)
        paths = [self.pivots(one, knobs.steps + 1) for one in both]
        if min(map(len, paths)) <= knobs.steps:
            return False
        first, other = (self.followed(one, path, rounded) for one, path in zip(both, paths, strict=True))
        return first is not None and other is not None and visible(first, other, knobs.places)

    def followed(self, d: SimplexData, path: Sequence[Pivot], rounded: Rounding) -> Vector | None:
        """Return the tableau before the last of these pivots, None where rounding leads to another one."""
        x = self.start(d)
        for pivot in path[:-1]:
            if self.pivot(d, x) != pivot:
                return None
            x = self.step(d, x, rounded)
        return x if self.pivot(d, x) == path[-1] else None

    def perturb(self, d: SimplexData, stream: Stream) -> SimplexData:
        """Take the first column that can be taken."""
        return replace(d, leftmost=True)

    def famous(self) -> Sequence[Famous[SimplexData]]:
        return (
            Famous(
                "Klee and Minty, three unknowns",
                "s",
                SimplexData((100, 10, 1), ((1, 0, 0), (20, 1, 0), (200, 20, 1)), (1, 100, 10000)),
                None,
                "Chvátal 1983, Linear Programming, chapter 4",
            ),
        )

    def parts(self, d: SimplexData) -> tuple[tuple[str, int], ...]:
        return tuple((row, len(d.gain) + 1) for row in (*ROWS[: len(d.use)], OBJECTIVE))

    def start(self, d: SimplexData) -> Vector:
        rows = [*((*row, limit) for row, limit in zip(d.use, d.limit, strict=True)), (*(-g for g in d.gain), 0)]
        return tuple(Fraction(v) for row in rows for v in row)

    def pivot(self, d: SimplexData, table: Sequence[Fraction | int]) -> Pivot | None:
        """Return row and column of the pivot; None where no number of the objective's row is negative."""
        width, last = len(d.gain) + 1, len(d.use) * (len(d.gain) + 1)
        columns = [j for j in range(width - 1) if table[last + j] < 0]
        if not columns:
            return None
        column = columns[0] if d.leftmost else min(columns, key=lambda j: table[last + j])  # the first of several
        rows = [i for i in range(len(d.use)) if table[i * width + column] > 0]
        if not rows:
            raise ArithmeticError("the objective has no bound")
        return min(rows, key=lambda i: Fraction(table[i * width + width - 1], table[i * width + column])), column

    def step(self, d: SimplexData, x: Vector, rounded: Rounding) -> Vector:
        found = self.pivot(d, x)
        if found is None:
            return x
        width, (row, column) = len(d.gain) + 1, found
        table = [x[k : k + width] for k in range(0, len(x), width)]
        at = table[row][column]
        scaled = [v / at for v in table[row]]
        new: list[Fraction] = []
        for i, line in enumerate(table):
            if i == row:
                new += [1 / at if j == column else v for j, v in enumerate(scaled)]
            else:
                factor = line[column]
                new += [-factor / at if j == column else v - factor * scaled[j] for j, v in enumerate(line)]
        return tuple(map(rounded, new))

    def intro(self, d: SimplexData, names: Names) -> str:
        n = len(d.gain)
        unknowns = [f"x_{j + 1}" for j in range(n)]
        single = [tuple(int(k == j) for k in range(n)) for j in range(n)]
        rows = [names.word(row) for row, _ in self.parts(d)]
        lines = [
            f"row {word}: {polynomial(use, single, unknowns)} <= {limit}"
            for word, use, limit in zip(rows, d.use, d.limit, strict=False)
        ]
        return "\n".join(
            [
                f"The simplex method maximises {polynomial(d.gain, single, unknowns)} for {', '.join(unknowns)} >= 0"
                " subject to",
                *lines,
                f"in the condensed {names.word(self.state)}: it has a row for each of these constraints and a last row,"
                f" {rows[-1]}, for the objective. {rows[0]}_1 to {rows[0]}_{n} stand in columns 1 to {n} of row"
                f" {rows[0]}, one column for each variable outside the basis, and {rows[0]}_{n + 1} in its last column,"
                " the right-hand side; the same holds for the other rows.",
            ]
        )

    def say(self, d: SimplexData, names: Names) -> str:
        *rows, objective = (names.word(row) for row, _ in self.parts(d))
        n = len(d.gain)
        which = "take the leftmost" if d.leftmost else "take the most negative one (of equal ones, the leftmost)"
        return (
            f"one pivot. Among the negative numbers of {objective}_1 to {objective}_{n}, {which}: its column is the"
            f" pivot column; if none is negative, the {names.word(self.state)} stays as it is. Among the rows"
            f" {', '.join(rows[:-1])} and {rows[-1]}, take those whose number in the pivot column is positive, and of"
            " these the one for which its number in the last column divided by its number in the pivot column is"
            " smallest (if equal, the uppermost): it is the pivot row. The number in the pivot row and the pivot column"
            " is the pivot. Then every number is replaced, with all numbers in these rules as they were before the"
            " step: the pivot by 1 / pivot; any other number of the pivot row by itself divided by the pivot; any other"
            " number of the pivot column by minus itself divided by the pivot; and each remaining number e by e - f * g"
            " / pivot, where f is the number in its row and the pivot column and g the number in its column and the"
            " pivot row."
        )

    def sketch(self, instance: Instance) -> Panels:
        """Return the objective and the unknowns, both read off the last column of the tableau."""
        d: SimplexData = instance.data  # type: ignore[assignment]
        rows, n, width = [self.start(d), *instance.answer], len(d.gain), len(d.gain) + 1
        basis, outside = [-1] * len(d.use), list(range(n))  # unknowns; -1: a slack
        values, unknowns = [], []
        for k, x in enumerate(rows):
            values.append((k, float(x[-1]), OBJECTIVE))
            held = {j: float(x[i * width + n]) for i, j in enumerate(basis)}
            unknowns += [(k, held.get(j, 0.0), f"x_{j + 1}") for j in range(n)]
            if k + 1 < len(rows) and (pivot := self.pivot(d, x)):
                basis[pivot[0]], outside[pivot[1]] = outside[pivot[1]], basis[pivot[0]]
        return Panels((Curves("pivot", tuple(values), "objective"), Curves("pivot", tuple(unknowns), "unknowns")))
