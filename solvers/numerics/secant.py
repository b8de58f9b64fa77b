"""The secant method for f(x) = 0 (Burden and Faires, Numerical Analysis, section 2.3): where the chord meets the axis.

It converges fast once it is near, so it starts far away, where each step covers a part of the distance only.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any, ClassVar

from solvers.keys import Stream
from solvers.names import Names
from solvers.polynomials import horner, polynomial, powers
from solvers.problem import Data, Famous, ladder
from solvers.procedure import Procedure, ProcedureKnobs, Rounding, Vector, decimal


@dataclass(frozen=True, kw_only=True)
class SecantKnobs(ProcedureKnobs):
    degree: int
    away: int  # the least distance at which it starts from where a root is near


@dataclass(frozen=True)
class SecantData(Data):
    coefficients: tuple[int, ...]  # of f, highest power first
    start: tuple[int, int]
    relaxation: Fraction = Fraction(1)  # 1: the method itself; otherwise the share of each step that is made


class Secant(Procedure[SecantData]):
    """State: the last two points, u the older one and v."""

    name: ClassVar[str] = "secant"
    version: ClassVar[int] = 1
    title: ClassVar[str] = "secant method"
    state: ClassVar[str] = "pair"
    data = SecantData
    sizes: ClassVar[Any] = ladder(
        SecantKnobs, degree=(2, 3, 3, 4, 4), steps=(2, 3, 4, 5, 7), places=(3, 4, 4, 4, 4), away=(3, 3, 4, 6, 8)
    )

    def draw(self, knobs: SecantKnobs, stream: Stream) -> SecantData:
        centre = stream("centre").integer(-3, 3)
        coefficient = stream("coefficient")
        head = (coefficient.integer(1, 5), *coefficient.integers(knobs.degree - 1, -9, 9))
        # The root lies near the centre, but not at it; below zero there, an even power has one on either side.
        residual = stream("residual").integer(1, 6) * (stream("sign").choice((-1, 1)) if knobs.degree % 2 else -1)
        value = horner((*head, 0), Fraction(centre))[0]
        side = stream("side").choice((-1, 1))
        v = centre + side * (knobs.away + stream("away").integer(0, 3))
        return SecantData(
            coefficients=(*head, residual - int(value)),
            start=(v + side * stream("apart").integer(1, 3), v),
        )

    def perturb(self, d: SecantData, stream: Stream) -> SecantData:
        """Make only a share of each step."""
        return replace(d, relaxation=Fraction(stream("relaxation").integer(5, 8), 10))

    def famous(self) -> Sequence[Famous[SecantData]]:
        return (
            Famous(
                "x^2 - 6 from 3 and 2",
                "xs",
                SecantData(coefficients=(1, 0, -6), start=(3, 2)),
                None,
                "Burden and Faires, Numerical Analysis, section 2.3, exercises",
            ),
        )

    def parts(self, d: SecantData) -> tuple[tuple[str, int], ...]:
        return (("u", 1), ("v", 1))

    def variables(self, d: SecantData) -> tuple[str, ...]:
        return ("u", "v", "x")

    def start(self, d: SecantData) -> Vector:
        return tuple(map(Fraction, d.start))

    def step(self, d: SecantData, x: Vector, rounded: Rounding) -> Vector:
        u, v = x
        if u == v:
            return x
        at_u, at_v = horner(d.coefficients, u)[0], horner(d.coefficients, v)[0]
        return v, rounded(v - d.relaxation * at_v * (v - u) / (at_v - at_u))

    def intro(self, d: SecantData, names: Names) -> str:
        x, u, v = (names.word(term) for term in ("x", "u", "v"))
        f = polynomial(d.coefficients, powers(len(d.coefficients) - 1), (x,))
        return (
            f"The secant method is applied to the equation f({x}) = 0 with\nf({x}) = {f}\n"
            f"The {names.word(self.state)} holds the last two points: {u} is the older one, {v} the newer one."
        )

    def say(self, d: SecantData, names: Names) -> str:
        u, v = names.word("u"), names.word("v")
        share = f"{decimal(d.relaxation)} * " if d.relaxation != 1 else ""
        return (
            f"the new {v} is {v} - {share}f({v}) * ({v} - {u}) / (f({v}) - f({u})), with {u} and {v} as they were"
            f" before the step, and the new {u} is {v} as it was before the step. (Should {u} equal {v}, both stay as"
            " they are.)"
        )
