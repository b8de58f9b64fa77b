"""Gradient descent with momentum (the heavy ball of Polyak 1964) on a quadratic f(x) = 1/2 x^T Q x - c^T x.

Q is symmetric and strictly diagonally dominant with a positive diagonal, so it is positive definite; the step size is
at most 1 / (the largest absolute row sum of Q), well inside Polyak's bound 2 (1 + momentum) / (largest eigenvalue).
"""

from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any, ClassVar

from solvers.keys import Stream
from solvers.names import Names
from solvers.problem import Data, ladder
from solvers.procedure import Procedure, ProcedureKnobs, Rounding, Vector, decimal, dot

OFF_DIAGONAL = (-2, -1, 1, 2)


@dataclass(frozen=True, kw_only=True)
class GradientDescentKnobs(ProcedureKnobs):
    unknowns: int


@dataclass(frozen=True)
class GradientDescentData(Data):
    q: tuple[tuple[int, ...], ...]
    c: tuple[int, ...]
    start: tuple[int, ...]
    step_size: Fraction
    momentum: Fraction
    ahead: bool = False  # the gradient is taken ahead, at x + momentum * v (Nesterov 1983)


class GradientDescent(Procedure[GradientDescentData]):
    """State: the components of x, then those of the velocity v, which is zero at the start."""

    name: ClassVar[str] = "gradient_descent"
    version: ClassVar[int] = 2
    title: ClassVar[str] = "gradient descent with momentum"
    state: ClassVar[str] = "state"
    data = GradientDescentData
    sizes: ClassVar[Any] = ladder(
        GradientDescentKnobs, unknowns=(2, 2, 3, 3, 4), steps=(2, 3, 4, 6, 8), places=(3, 4, 4, 4, 4)
    )

    def draw(self, knobs: GradientDescentKnobs, stream: Stream) -> GradientDescentData:
        n = knobs.unknowns
        off, excess = stream("q"), stream("excess")
        q = [[0] * n for _ in range(n)]
        for i in range(n):
            for j in range(i):
                q[i][j] = q[j][i] = off.choice(OFF_DIAGONAL)
        for i, row in enumerate(q):
            row[i] = sum(map(abs, row)) + excess.integer(1, 4)
        most = 100 // max(sum(map(abs, row)) for row in q)
        return GradientDescentData(
            q=tuple(map(tuple, q)),
            c=stream("c").integers(n, -9, 9),
            start=stream("start").integers(n, -5, 5),
            step_size=Fraction(stream("step size").integer(max(1, most // 2), most), 100),
            momentum=Fraction(stream("momentum").integer(3, 8), 10),
        )

    def perturb(self, d: GradientDescentData, stream: Stream) -> GradientDescentData:
        """Take the gradient ahead, where the momentum alone would lead (Nesterov 1983)."""
        return replace(d, ahead=True)

    def parts(self, d: GradientDescentData) -> tuple[tuple[str, int], ...]:
        return (("x", len(d.c)), ("v", len(d.c)))

    def start(self, d: GradientDescentData) -> Vector:
        return (*map(Fraction, d.start), *(Fraction(0) for _ in d.start))

    def step(self, d: GradientDescentData, x: Vector, rounded: Rounding) -> Vector:
        n = len(d.c)
        position, velocity = x[:n], x[n:]
        at = tuple(p + d.momentum * v for p, v in zip(position, velocity, strict=True)) if d.ahead else position
        gradient = [dot(row, at) - c for row, c in zip(d.q, d.c, strict=True)]
        moved = [rounded(d.momentum * v - d.step_size * g) for v, g in zip(velocity, gradient, strict=True)]
        return (*(rounded(p + v) for p, v in zip(position, moved, strict=True)), *moved)

    def intro(self, d: GradientDescentData, names: Names) -> str:
        x, v, n = names.word("x"), names.word("v"), len(d.c)
        rows = "\n".join(f"row {i + 1} of Q: {list(row)}; c_{i + 1} = {d.c[i]}" for i, row in enumerate(d.q))
        return (
            f"Gradient descent with momentum (the heavy-ball method) is applied to f({x}) = 1/2 {x}^T Q {x} - c^T {x}"
            f" with {n} variables (q_ij is the j-th number in row i of Q):\n{rows}\n"
            f"The step size is {decimal(d.step_size)}, the momentum {decimal(d.momentum)}."
            f" The {names.word(self.state)} is the point ({x}_1 to {x}_{n}) and its velocity ({v}_1 to {v}_{n})."
        )

    def say(self, d: GradientDescentData, names: Names) -> str:
        x, v = names.word("x"), names.word("v")
        gradient = (
            f"first, for every i, the gradient g_i is the sum of q_ij * {x}_j over all j, minus c_i, with every {x}_j"
            " as it was before the step."
        )
        if d.ahead:
            gradient = (
                f"first, for every i, let y_i be {x}_i + {decimal(d.momentum)} * {v}_i, with both as they were before"
                " the step, and the gradient g_i the sum of q_ij * y_j over all j, minus c_i (the gradient ahead, at y,"
                f" not at {x})."
            )
        return (
            f"{gradient} Then, for every i, the new {v}_i is {decimal(d.momentum)} * {v}_i -"
            f" {decimal(d.step_size)} * g_i, with {v}_i as it was before the step; it is rounded. Then, for every i,"
            f" the new {x}_i is {x}_i before the step plus the new, rounded {v}_i."
        )
