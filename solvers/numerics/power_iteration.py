"""Power iteration for the dominant eigenvalue (Burden and Faires, Numerical Analysis, section 9.3).

The vector is divided by its component of largest size, with its sign, so that all numbers stay rational and the largest
component is 1. A is symmetric with a strong diagonal: its eigenvalues are real, positive and near one another.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from math import lcm
from typing import Any, ClassVar

from solvers.keys import Stream
from solvers.names import Names
from solvers.problem import Data, Famous, ladder
from solvers.procedure import Procedure, ProcedureKnobs, Rounding, Vector

OFF_DIAGONAL = (-3, -2, -1, 1, 2, 3)


@dataclass(frozen=True, kw_only=True)
class PowerIterationKnobs(ProcedureKnobs):
    unknowns: int


@dataclass(frozen=True)
class PowerIterationData(Data):
    a: tuple[tuple[int, ...], ...]
    start: tuple[int, ...]
    shift: int = 0  # 0: the method itself; otherwise the multiple of x that is added to A x


class PowerIteration(Procedure[PowerIterationData]):
    """State: the vector x, then mu, the estimate of the eigenvalue (0 at the start; no step uses it)."""

    name: ClassVar[str] = "power_iteration"
    version: ClassVar[int] = 1
    title: ClassVar[str] = "power iteration"
    state: ClassVar[str] = "state"
    data = PowerIterationData
    sizes: ClassVar[Any] = ladder(
        PowerIterationKnobs, unknowns=(2, 2, 3, 3, 4), steps=(2, 3, 4, 6, 8), places=(3, 4, 4, 4, 4)
    )

    def draw(self, knobs: PowerIterationKnobs, stream: Stream) -> PowerIterationData:
        n = knobs.unknowns
        off = stream("a")
        a = [[0] * n for _ in range(n)]
        for i in range(n):
            for j in range(i):
                a[i][j] = a[j][i] = off.choice(OFF_DIAGONAL)
        most = max(sum(map(abs, row)) for row in a)
        # Different, so that no two components of the limit have the same size.
        for i, more in enumerate(stream("excess").sample(range(1, 10), n)):
            a[i][i] = most + more
        start = stream("start")
        return PowerIterationData(
            a=tuple(map(tuple, a)),
            start=tuple(start.choice((-1, 1)) * start.integer(1, 9) for _ in range(n)),
        )

    def perturb(self, d: PowerIterationData, stream: Stream) -> PowerIterationData:
        """Shift the matrix: a multiple of x is added to A x."""
        return replace(d, shift=stream("shift").integer(3, 9))

    def famous(self) -> Sequence[Famous[PowerIterationData]]:
        return (
            Famous(
                "eigenvalues 6, 3 and 2",
                "m",
                PowerIterationData(a=((-4, 14, 0), (-5, 13, 0), (-1, 0, 2)), start=(1, 1, 1)),
                None,
                "Burden and Faires, Numerical Analysis, section 9.3, examples",
            ),
        )

    def parts(self, d: PowerIterationData) -> tuple[tuple[str, int], ...]:
        return (("x", len(d.start)), ("mu", 1))

    def start(self, d: PowerIterationData) -> Vector:
        return (*map(Fraction, d.start), Fraction(0))

    def step(self, d: PowerIterationData, x: Vector, rounded: Rounding) -> Vector:
        common = lcm(*(v.denominator for v in x[:-1]))
        whole = [v.numerator * (common // v.denominator) for v in x[:-1]]
        y = [
            sum(a * w for a, w in zip(row, whole, strict=True)) + d.shift * v for row, v in zip(d.a, whole, strict=True)
        ]
        largest = max(y, key=abs)  # the first of several
        return (*(rounded(Fraction(v, largest)) for v in y), rounded(Fraction(largest, common)))

    def intro(self, d: PowerIterationData, names: Names) -> str:
        x, mu, n = names.word("x"), names.word("mu"), len(d.start)
        rows = "\n".join(f"row {i + 1} of A: {list(row)}" for i, row in enumerate(d.a))
        return (
            f"Power iteration is applied to the matrix A (a_ij is the j-th number in row i of A):\n{rows}\n"
            f"The {names.word(self.state)} is the vector ({x}_1 to {x}_{n}) and the estimate {mu} of an eigenvalue."
        )

    def say(self, d: PowerIterationData, names: Names) -> str:
        x, mu = names.word("x"), names.word("mu")
        added = f", plus {d.shift} * {x}_i" if d.shift else ""
        return (
            f"for every i, let y_i be the sum of a_ij * {x}_j over all j{added}, with every {x}_j as it was before the"
            " step; the y_i are not rounded. Let c be the one among them whose absolute value is largest (the first"
            f" such one, if there are several), with its sign. For every i, the new {x}_i is y_i / c; the new {mu} is"
            f" c. (The old {mu} is not used.)"
        )
