"""Damped Newton iteration (Ortega and Rheinboldt 1970, section 7.1): one polynomial, or two quadratics (x and y).

The damping is a constant below or equal to 1: the full step would be at the root before the last step asked for, and
"the root" is the answer of one who does not iterate.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any, ClassVar

from solvers.keys import Stream
from solvers.names import Names
from solvers.polynomials import horner, polynomial
from solvers.problem import Data, Famous, ladder
from solvers.procedure import Procedure, ProcedureKnobs, Rounding, Vector, decimal

PLACES = 4  # decimals of the root that is looked for
TAMED = tuple(Fraction(share, 100) for share in (25, 50, 75, 90))
LEAST = Fraction(1, 10)  # where none of these leads to a root
MONOMIALS = ((2, 0), (1, 1), (0, 2), (1, 0), (0, 1), (0, 0))  # exponents of x and y, in the order of the coefficients


@dataclass(frozen=True, kw_only=True)
class NewtonKnobs(ProcedureKnobs):
    unknowns: int
    degree: int
    damping: int  # the largest one drawn, %


@dataclass(frozen=True)
class NewtonData(Data):
    """One unknown: ``equations`` is one row of coefficients, highest power first. Two: one row an equation, of the
    coefficients of x^2, x y, y^2, x, y and 1."""

    equations: tuple[tuple[int, ...], ...]
    start: tuple[int, ...]
    damping: Fraction
    tamed: Fraction = Fraction(0)  # a correction is divided by 1 plus this share of its size; 0: the method itself


class Newton(Procedure[NewtonData]):
    name: ClassVar[str] = "newton"
    version: ClassVar[int] = 3
    title: ClassVar[str] = "damped Newton iteration"
    state: ClassVar[str] = "state"
    data = NewtonData
    sizes: ClassVar[Any] = ladder(
        NewtonKnobs,
        unknowns=(1, 1, 2, 2, 2),
        degree=(2, 3, 2, 2, 2),
        steps=(2, 3, 3, 5, 7),
        places=(3, 4, 4, 4, 4),
        damping=(100, 80, 80, 70, 60),
    )

    def draw(self, knobs: NewtonKnobs, stream: Stream) -> NewtonData:
        n = knobs.unknowns
        centre = tuple(map(Fraction, stream("centre").integers(n, -3, 3)))
        away, residual, coefficient = stream("away"), stream("residual"), stream("coefficient")
        equations = []
        for _ in range(n):
            if n == 1:
                head = (coefficient.integer(1, 3), *coefficient.integers(knobs.degree - 1, -5, 5))
                value = horner((*head, 0), centre[0])[0]
            else:
                head = coefficient.integers(len(MONOMIALS) - 1, -3, 3)
                value = evaluate((*head, 0), *centre)
            # The root lies near the centre, but not at it: whole numbers are what one guesses.
            equations.append((*head, residual.choice((-3, -2, -1, 1, 2, 3)) - int(value)))
        return NewtonData(
            equations=tuple(equations),
            start=tuple(int(c) + away.choice((-3, -2, 2, 3)) for c in centre),
            damping=Fraction(5 * stream("damping").integer(10, knobs.damping // 5), 100),
        )

    def perturb(self, d: NewtonData, stream: Stream) -> NewtonData:
        """Shorten a correction the more, the larger it is; by a share with which the iterates still tend to a root.

        (Derivatives kept from the start, the chord method, do not lead to one from as far off as this.)
        """
        tried = [replace(d, tamed=share) for share in (*stream("tamed").shuffled(TAMED), LEAST)]
        return next((other for other in tried if self.converged(other, self.start(d), PLACES) is not None), tried[0])

    def famous(self) -> Sequence[Famous[NewtonData]]:
        return (
            Famous(
                "x^2 - 6 from 1",
                "xs",
                NewtonData(equations=((1, 0, -6),), start=(1,), damping=Fraction(1)),
                None,
                "Burden and Faires, Numerical Analysis, section 2.3, exercises",
            ),
        )

    def parts(self, d: NewtonData) -> tuple[tuple[str, int], ...]:
        return (("x", 1), ("y", 1))[: len(d.equations)]

    def start(self, d: NewtonData) -> Vector:
        return tuple(map(Fraction, d.start))

    def step(self, d: NewtonData, x: Vector, rounded: Rounding) -> Vector:
        correction: tuple[Fraction, ...]
        if len(x) == 1:
            value, slope = horner(d.equations[0], x[0])
            correction = (value / slope,)
        else:
            f, g = (evaluate(row, *x) for row in d.equations)
            (fx, fy), (gx, gy) = ([evaluate(partial(row, k), *x) for k in (0, 1)] for row in d.equations)
            determinant = fx * gy - fy * gx
            correction = ((f * gy - g * fy) / determinant, (g * fx - f * gx) / determinant)
        share = d.damping / (1 + d.tamed * sum(map(abs, correction)))
        return tuple(rounded(v - share * c) for v, c in zip(x, correction, strict=True))

    def intro(self, d: NewtonData, names: Names) -> str:
        x, y = names.word("x"), names.word("y")
        if len(d.equations) == 1:
            powers = [(k, 0) for k in range(len(d.equations[0]) - 1, -1, -1)]
            slopes = [c * k for c, (k, _) in zip(d.equations[0], powers, strict=True)][:-1]
            return (
                f"A damped Newton iteration is applied to the equation f({x}) = 0 with\n"
                f"f({x}) = {polynomial(d.equations[0], powers, (x, y))}\n"
                f"and the derivative\n"
                f"f'({x}) = {polynomial(slopes, powers[1:], (x, y))}.\n"
                f"The damping is {decimal(d.damping)}."
            )
        lines = [
            f"A damped Newton iteration is applied to the two equations F({x}, {y}) = 0 and G({x}, {y}) = 0 with",
            *(f"{w} = {polynomial(row, MONOMIALS, (x, y))}" for w, row in zip("FG", d.equations, strict=True)),
            "and the partial derivatives",
            *(
                f"{w}_{v} = {polynomial(partial(row, k), MONOMIALS, (x, y))}"
                for w, row in zip("FG", d.equations, strict=True)
                for k, v in enumerate((x, y))
            ),
            f"The damping is {decimal(d.damping)}.",
        ]
        return "\n".join(lines)

    def say(self, d: NewtonData, names: Names) -> str:
        x, y, damping, tamed = names.word("x"), names.word("y"), decimal(d.damping), decimal(d.tamed)
        before = "as it was before the step"
        if len(d.equations) == 1:
            if not d.tamed:
                return f"the new {x} is {x} - {damping} * f({x}) / f'({x}), with {x} {before}."
            return (
                f"compute the correction c = f({x}) / f'({x}), with {x} {before}. The new {x} is"
                f" {x} - {damping} * c / (1 + {tamed} * |c|)."
            )
        first = (
            f"compute F, G, F_{x}, F_{y}, G_{x} and G_{y} at {x} and {y} as they were before the step, and"
            f" D = F_{x} * G_{y} - F_{y} * G_{x}."
        )
        corrections = f"(F * G_{y} - G * F_{y}) / D", f"(G * F_{x} - F * G_{x}) / D"
        last = f"Both are computed from {x} and {y} as they were before the step: the new {y} does not use the new {x}."
        if not d.tamed:
            return (
                f"{first} The new {x} is {x} - {damping} * {corrections[0]}; the new {y} is"
                f" {y} - {damping} * {corrections[1]}. {last}"
            )
        return (
            f"{first} The corrections are c = {corrections[0]} and e = {corrections[1]}; compute"
            f" s = 1 + {tamed} * (|c| + |e|). The new {x} is {x} - {damping} * c / s; the new {y} is"
            f" {y} - {damping} * e / s. {last}"
        )


def evaluate(coefficients: Sequence[int], x: Fraction, y: Fraction) -> Fraction:
    """Return the value of a quadratic in x and y (coefficients in the order of `MONOMIALS`)."""
    xx, xy, yy, by_x, by_y, one = coefficients
    return (xx * x + xy * y + by_x) * x + (yy * y + by_y) * y + one


def partial(coefficients: Sequence[int], k: int) -> tuple[int, ...]:
    """Return the coefficients of the partial derivative of a quadratic by x (``k`` = 0) or y (``k`` = 1)."""
    xx, xy, yy, by_x, by_y, _ = coefficients
    return (0, 0, 0, 2 * xx, xy, by_x) if k == 0 else (0, 0, 0, xy, 2 * yy, by_y)
