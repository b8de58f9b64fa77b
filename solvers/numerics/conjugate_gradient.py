"""The conjugate gradient method for A x = b (Hestenes and Stiefel 1952), A symmetric and positive definite.

Unrounded, it ends at the solution after as many steps as there are unknowns; fewer are asked for. A is G^T G plus a
positive diagonal: no step but the last then comes near the solution.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any, ClassVar

from solvers.keys import Stream
from solvers.names import Names
from solvers.problem import Data, Famous, ladder
from solvers.procedure import Procedure, ProcedureKnobs, Rounding, Vector, decimal, dot, half_even


@dataclass(frozen=True, kw_only=True)
class ConjugateGradientKnobs(ProcedureKnobs):
    unknowns: int


@dataclass(frozen=True)
class ConjugateGradientData(Data):
    a: tuple[tuple[int, ...], ...]
    b: tuple[int, ...]
    start: tuple[int, ...]
    memory: Fraction = Fraction(1)  # 1: the method itself; otherwise the share of beta that is kept


class ConjugateGradient(Procedure[ConjugateGradientData]):
    """State: the components of x, of the residual r, and of the direction p."""

    name: ClassVar[str] = "conjugate_gradient"
    version: ClassVar[int] = 1
    title: ClassVar[str] = "conjugate gradient method"
    state: ClassVar[str] = "state"
    data = ConjugateGradientData
    sizes: ClassVar[Any] = ladder(
        ConjugateGradientKnobs, unknowns=(3, 4, 4, 5, 6), steps=(2, 2, 3, 4, 5), places=(3, 4, 4, 4, 4)
    )

    def draw(self, knobs: ConjugateGradientKnobs, stream: Stream) -> ConjugateGradientData:
        n = knobs.unknowns
        g, more = stream("a").matrix(n, n, -2, 2), stream("more")
        a = [[sum(row[i] * row[j] for row in g) for j in range(n)] for i in range(n)]
        for i, row in enumerate(a):
            row[i] += more.integer(1, 3)
        return ConjugateGradientData(
            a=tuple(map(tuple, a)),
            b=stream("b").integers(n, -20, 20),
            start=stream("start").integers(n, -3, 3),
        )

    def perturb(self, d: ConjugateGradientData, stream: Stream) -> ConjugateGradientData:
        """Keep only a share of the old direction (of none, it would be steepest descent): beta has a factor."""
        return replace(d, memory=Fraction(stream("memory").integer(3, 7), 10))

    def famous(self) -> Sequence[Famous[ConjugateGradientData]]:
        return (
            Famous(
                "three unknowns",
                "xs",
                ConjugateGradientData(
                    a=((4, 3, 0), (3, 4, -1), (0, -1, 4)),
                    b=(24, 30, -24),
                    start=(0, 0, 0),
                ),
                None,
                "Burden and Faires, Numerical Analysis, section 7.6, examples",
            ),
        )

    def parts(self, d: ConjugateGradientData) -> tuple[tuple[str, int], ...]:
        return tuple((term, len(d.b)) for term in ("x", "r", "p"))

    def start(self, d: ConjugateGradientData) -> Vector:
        x = tuple(map(Fraction, d.start))
        r = tuple(b - dot(row, x) for row, b in zip(d.a, d.b, strict=True))
        return (*x, *r, *r)

    def step(self, d: ConjugateGradientData, x: Vector, rounded: Rounding) -> Vector:
        n = len(d.b)
        point, r, p = x[:n], x[n : 2 * n], x[2 * n :]
        image = [dot(row, p) for row in d.a]
        before = sum((v * v for v in r), Fraction(0))
        alpha = before / sum((v * w for v, w in zip(p, image, strict=True)), Fraction(0))
        new_point = [rounded(v + alpha * w) for v, w in zip(point, p, strict=True)]
        new_r = [rounded(v - alpha * w) for v, w in zip(r, image, strict=True)]
        beta = d.memory * sum((v * v for v in new_r), Fraction(0)) / before
        return (*new_point, *new_r, *(rounded(v + beta * w) for v, w in zip(new_r, p, strict=True)))

    def converged(self, d: ConjugateGradientData, x: Vector, places: int) -> Vector | None:
        """Return the solution of A x = b with r = p = 0: what unrounded steps end at.

        (Steps from a rounded state end a little beside it, since r is no longer b - A x. With a factor in beta, each
        step still goes to the lowest point along its direction, so the steps tend there too.)
        """
        n = len(d.b)
        return (*map(half_even(places), solution(d.a, d.b)), *(Fraction(0),) * (2 * n))

    def intro(self, d: ConjugateGradientData, names: Names) -> str:
        x, r, p, n = names.word("x"), names.word("r"), names.word("p"), len(d.b)
        rows = "\n".join(f"row {i + 1} of A: {list(row)}; b_{i + 1} = {d.b[i]}" for i, row in enumerate(d.a))
        return (
            f"The conjugate gradient method is applied to the system A {x} = b of {n} linear equations"
            f" (a_ij is the j-th number in row i of A):\n{rows}\n"
            f"The {names.word(self.state)} is the point ({x}_1 to {x}_{n}), the residual ({r}_1 to {r}_{n}) and the"
            f" direction ({p}_1 to {p}_{n}). At the start, {r} is b - A {x} and {p} equals {r}."
        )

    def say(self, d: ConjugateGradientData, names: Names) -> str:
        x, r, p = names.word("x"), names.word("r"), names.word("p")
        share = f"{decimal(d.memory)} * " if d.memory != 1 else ""
        return (
            f"first, for every i, let w_i be the sum of a_ij * {p}_j over all j, and let alpha be (the sum of"
            f" {r}_i^2 over all i) / (the sum of {p}_i * w_i over all i), with {r} and {p} as they were before the"
            f" step. Then, for every i, the new {x}_i is {x}_i + alpha * {p}_i and the new {r}_i is {r}_i - alpha *"
            f" w_i, with {x}, {r} and {p} as they were before the step. Then let beta be {share}(the sum of the squares"
            f" of the new, rounded {r}_i) / (the sum of the squares of the {r}_i before the step). Then, for every i,"
            f" the new {p}_i is the new, rounded {r}_i plus beta * {p}_i, with {p}_i as it was before the step. The"
            " w_i, alpha and beta are not rounded."
        )


def solution(a: Sequence[Sequence[int]], b: Sequence[int]) -> list[Fraction]:
    """Return the solution of a linear system with a positive definite matrix (Gauss and Jordan; no pivot is zero)."""
    rows = [[*map(Fraction, row), Fraction(v)] for row, v in zip(a, b, strict=True)]
    for k in range(len(rows)):
        rows[k] = pivot = [v / rows[k][k] for v in rows[k]]
        for i, row in enumerate(rows):
            if i != k and row[k]:
                rows[i] = [v - row[k] * w for v, w in zip(row, pivot, strict=True)]
    return [row[-1] for row in rows]
