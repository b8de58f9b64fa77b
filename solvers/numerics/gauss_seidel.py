"""Gauss-Seidel iteration for A x = b (Varga 2000, Matrix Iterative Analysis, section 3.1): one component after another.

A is strictly diagonally dominant, so the iteration converges; it is barely so, and nearly all signs are those of an
M-matrix (up to the signs of whole rows and of unknowns), for which errors don't cancel, so that it does so slowly.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any, ClassVar

from solvers.keys import Stream
from solvers.names import Names
from solvers.problem import Data, Famous, ladder
from solvers.procedure import Procedure, ProcedureKnobs, Rounding, Vector, decimal, dot


@dataclass(frozen=True, kw_only=True)
class GaussSeidelKnobs(ProcedureKnobs):
    unknowns: int


@dataclass(frozen=True)
class GaussSeidelData(Data):
    a: tuple[tuple[int, ...], ...]
    b: tuple[int, ...]
    start: tuple[int, ...]
    relaxation: Fraction = Fraction(1)  # 1: the method itself; otherwise the factor of SOR


TRIDIAGONAL = ((4, 3, 0), (3, 4, -1), (0, -1, 4))
BOOK = "Burden and Faires, Numerical Analysis"


class GaussSeidel(Procedure[GaussSeidelData]):
    name: ClassVar[str] = "gauss_seidel"
    version: ClassVar[int] = 1
    title: ClassVar[str] = "Gauss-Seidel iteration"
    data = GaussSeidelData
    sizes: ClassVar[Any] = ladder(
        GaussSeidelKnobs, unknowns=(2, 2, 3, 3, 4), steps=(2, 3, 4, 6, 8), places=(3, 4, 4, 4, 4)
    )

    def draw(self, knobs: GaussSeidelKnobs, stream: Stream) -> GaussSeidelData:
        n = knobs.unknowns
        size, side, flip, sign = stream("size"), stream("side"), stream("flip"), stream("sign")
        sides = [side.choice((-1, 1)) for _ in range(n)]
        rows = []
        for i in range(n):
            row = [0] * n
            for j in range(n):
                if j != i:
                    row[j] = -sides[i] * sides[j] * size.integer(1, 5) * (-1 if flip.integer(1, 12) == 12 else 1)
            row[i] = sum(map(abs, row)) + 1
            whole = sign.choice((-1, 1))
            rows.append(tuple(whole * a for a in row))
        return GaussSeidelData(
            a=tuple(rows),
            b=stream("b").integers(n, -20, 20),
            start=stream("start").integers(n, -5, 5),
        )

    def perturb(self, d: GaussSeidelData, stream: Stream) -> GaussSeidelData:
        """Relax the iteration (Young 1971): SOR with a factor below 1, for which dominance is enough."""
        return replace(d, relaxation=Fraction(stream("relaxation").integer(5, 8), 10))

    def famous(self) -> Sequence[Famous[GaussSeidelData]]:
        system = GaussSeidelData(a=TRIDIAGONAL, b=(24, 30, -24), start=(1, 1, 1))
        return (
            Famous("three unknowns, Gauss-Seidel", "m", system, None, f"{BOOK}, section 7.4, example 1"),
            Famous(
                "three unknowns, SOR with 1.25",
                "s",
                replace(system, relaxation=Fraction(5, 4)),
                None,
                f"{BOOK}, section 7.4, example 1",
            ),
            Famous(
                "four unknowns",
                "s",
                GaussSeidelData(
                    a=((10, -1, 2, 0), (-1, 11, -1, 3), (2, -1, 10, -1), (0, 3, -1, 8)),
                    b=(6, 25, -11, 15),
                    start=(0, 0, 0, 0),
                ),
                None,
                f"{BOOK}, section 7.3, example 3",
            ),
        )

    def start(self, d: GaussSeidelData) -> Vector:
        return tuple(map(Fraction, d.start))

    def step(self, d: GaussSeidelData, x: Vector, rounded: Rounding) -> Vector:
        new = list(x)
        for i, row in enumerate(d.a):
            residual = d.b[i] - dot(row, tuple(new))
            new[i] = rounded(new[i] + d.relaxation * residual / row[i])
        return tuple(new)

    def intro(self, d: GaussSeidelData, names: Names) -> str:
        x, n = names.word(self.state), len(d.b)
        rows = "\n".join(f"row {i + 1} of A: {list(row)}; b_{i + 1} = {d.b[i]}" for i, row in enumerate(d.a))
        return (
            f"The Gauss-Seidel iteration is applied to the system A {x} = b of {n} linear equations"
            f" (a_ij is the j-th number in row i of A):\n{rows}"
        )

    def say(self, d: GaussSeidelData, names: Names) -> str:
        x, n = names.word(self.state), len(d.b)
        full = f"(b_i minus the sum of a_ij * {x}_j over all j other than i) divided by a_ii"
        rule = f"the new {x}_i is {full}"
        if d.relaxation != 1:
            factor = decimal(d.relaxation)
            rule = f"let s_i be {full}; the new {x}_i is {x}_i + {factor} * (s_i - {x}_i)"
        return (
            f"for i = 1, 2, ... up to {n}, in this order, {rule}. The new {x}_i, rounded, replaces the old one at once:"
            f" {x}_j is the new value for every j smaller than i, and the value before the step for every j larger"
            " than i."
        )
