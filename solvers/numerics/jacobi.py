"""Jacobi iteration for A x = b (Varga 2000, Matrix Iterative Analysis, section 3.1): all components at once.

A is strictly diagonally dominant, so the iteration converges; it is barely so, so that it does so slowly.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any, ClassVar

from solvers.keys import Stream
from solvers.names import Names
from solvers.problem import Data, Famous, ladder
from solvers.procedure import Procedure, ProcedureKnobs, Rounding, Vector, decimal

OFF_DIAGONAL = (-4, -3, -2, -1, 1, 2, 3, 4)


@dataclass(frozen=True, kw_only=True)
class JacobiKnobs(ProcedureKnobs):
    unknowns: int


@dataclass(frozen=True)
class JacobiData(Data):
    a: tuple[tuple[int, ...], ...]
    b: tuple[int, ...]
    start: tuple[int, ...]
    relaxation: Fraction = Fraction(1)  # 1: the method itself; otherwise the share of each change that is made


class Jacobi(Procedure[JacobiData]):
    name: ClassVar[str] = "jacobi"
    version: ClassVar[int] = 2
    title: ClassVar[str] = "Jacobi iteration"
    data = JacobiData
    sizes: ClassVar[Any] = ladder(JacobiKnobs, unknowns=(2, 2, 3, 3, 4), steps=(2, 3, 4, 6, 8), places=(3, 4, 4, 4, 4))

    def draw(self, knobs: JacobiKnobs, stream: Stream) -> JacobiData:
        n = knobs.unknowns
        off, sign, excess = stream("a"), stream("sign"), stream("excess")
        rows = []
        for i in range(n):
            row = [0 if j == i else off.choice(OFF_DIAGONAL) for j in range(n)]
            row[i] = sign.choice((-1, 1)) * (sum(map(abs, row)) + excess.integer(1, 2))
            rows.append(tuple(row))
        return JacobiData(
            a=tuple(rows),
            b=stream("b").integers(n, -20, 20),
            start=stream("start").integers(n, -5, 5),
        )

    def perturb(self, d: JacobiData, stream: Stream) -> JacobiData:
        """Relax the iteration (Young 1971): only a share of each change is made."""
        return replace(d, relaxation=Fraction(stream("relaxation").integer(5, 8), 10))

    def famous(self) -> Sequence[Famous[JacobiData]]:
        return (
            Famous(
                "four unknowns",
                "m",
                JacobiData(
                    a=((10, -1, 2, 0), (-1, 11, -1, 3), (2, -1, 10, -1), (0, 3, -1, 8)),
                    b=(6, 25, -11, 15),
                    start=(0, 0, 0, 0),
                ),
                None,
                "Burden and Faires, Numerical Analysis, section 7.3, example 1",
            ),
        )

    def start(self, d: JacobiData) -> Vector:
        return tuple(map(Fraction, d.start))

    def step(self, d: JacobiData, x: Vector, rounded: Rounding) -> Vector:
        new = []
        for i, row in enumerate(d.a):
            others = sum((a * x[j] for j, a in enumerate(row) if j != i), Fraction(0))
            new.append(rounded(x[i] + d.relaxation * ((d.b[i] - others) / row[i] - x[i])))
        return tuple(new)

    def intro(self, d: JacobiData, names: Names) -> str:
        x, n = names.word(self.state), len(d.b)
        rows = "\n".join(f"row {i + 1} of A: {list(row)}; b_{i + 1} = {d.b[i]}" for i, row in enumerate(d.a))
        return (
            f"The Jacobi iteration is applied to the system A {x} = b of {n} linear equations"
            f" (a_ij is the j-th number in row i of A):\n{rows}"
        )

    def say(self, d: JacobiData, names: Names) -> str:
        x = names.word(self.state)
        full = f"(b_i minus the sum of a_ij * {x}_j over all j other than i) divided by a_ii"
        rule = f"the new {x}_i is {full}"
        if d.relaxation != 1:
            share = decimal(d.relaxation)
            rule = f"let s_i be {full}; the new {x}_i is {x}_i + {share} * (s_i - {x}_i)"
        return (
            f"for every i, {rule}. Every {x}_j in these formulas is the value before the step: no new component uses"
            " another new component."
        )
