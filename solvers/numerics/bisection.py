"""Bisection for f(x) = 0 (Burden and Faires, Numerical Analysis, section 2.1): the half that keeps the change of sign.

Midpoints of whole numbers are finite decimals: an honest calculation needs no long division, only halving and signs.
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

MIDDLE = Fraction(1, 2)
OTHER_CUTS = (35, 40, 45, 55, 60, 65)  # % of the interval


@dataclass(frozen=True, kw_only=True)
class BisectionKnobs(ProcedureKnobs):
    degree: int


@dataclass(frozen=True)
class BisectionData(Data):
    coefficients: tuple[int, ...]  # of f, highest power first
    start: tuple[int, int]
    cut: Fraction = MIDDLE  # 1/2: the method itself; otherwise the share of the interval that lies below the cut


class Bisection(Procedure[BisectionData]):
    """State: the ends of the interval, u < v."""

    name: ClassVar[str] = "bisection"
    version: ClassVar[int] = 1
    title: ClassVar[str] = "bisection"
    state: ClassVar[str] = "interval"
    data = BisectionData
    sizes: ClassVar[Any] = ladder(BisectionKnobs, degree=(2, 3, 3, 4, 5), steps=(3, 5, 7, 8, 9), places=(3, 4, 4, 4, 4))

    def draw(self, knobs: BisectionKnobs, stream: Stream) -> BisectionData:
        low = stream("low").integer(-4, 1)
        high = low + stream("width").integer(4, 6)  # the last interval is then wider than what is told apart
        root, coefficient = stream("root"), stream("coefficient")
        while True:
            head = (coefficient.integer(1, 5), *coefficient.integers(knobs.degree - 1, -9, 9))
            near = Fraction(root.integer(32 * low + 16, 32 * high - 16), 32)
            f = (*head, -round(horner((*head, 0), near)[0]))
            if horner(f, Fraction(low))[0] * horner(f, Fraction(high))[0] < 0:
                return BisectionData(coefficients=f, start=(low, high))

    def perturb(self, d: BisectionData, stream: Stream) -> BisectionData:
        """Cut elsewhere than in the middle."""
        return replace(d, cut=Fraction(stream("cut").choice(OTHER_CUTS), 100))

    def famous(self) -> Sequence[Famous[BisectionData]]:
        return (
            Famous(
                "x^3 + 4 x^2 - 10 on [1, 2]",
                "s",
                BisectionData(coefficients=(1, 4, 0, -10), start=(1, 2)),
                None,
                "Burden and Faires, Numerical Analysis, section 2.1, example 1",
            ),
        )

    def parts(self, d: BisectionData) -> tuple[tuple[str, int], ...]:
        return (("u", 1), ("v", 1))

    def variables(self, d: BisectionData) -> tuple[str, ...]:
        return ("u", "v", "x")

    def start(self, d: BisectionData) -> Vector:
        return tuple(map(Fraction, d.start))

    def step(self, d: BisectionData, x: Vector, rounded: Rounding) -> Vector:
        u, v = x
        m = rounded(u + d.cut * (v - u))
        same_sign = horner(d.coefficients, u)[0] * horner(d.coefficients, m)[0] > 0
        return (m, v) if same_sign else (u, m)

    def intro(self, d: BisectionData, names: Names) -> str:
        x, u, v = (names.word(term) for term in ("x", "u", "v"))
        f = polynomial(d.coefficients, powers(len(d.coefficients) - 1), (x,))
        return (
            f"The bisection method is applied to the equation f({x}) = 0 with\nf({x}) = {f}\n"
            f"The {names.word(self.state)} reaches from {u} to {v}."
        )

    def say(self, d: BisectionData, names: Names) -> str:
        u, v = names.word("u"), names.word("v")
        cut = f"({u} + {v}) / 2"
        if d.cut != MIDDLE:
            cut = f"{u} + {decimal(d.cut)} * ({v} - {u}) (not the middle)"
        return (
            f"let m be {cut}, rounded at once like every new value. If f({u}) * f(m) > 0, the new {u} is m and {v}"
            f" stays as it is; otherwise the new {v} is m and {u} stays as it is."
        )
