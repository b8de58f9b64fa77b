"""The classical fourth-order Runge-Kutta method for a system with polynomial right-hand sides (Hairer, Norsett and
Wanner 1993, section II.1). It follows a solution: it need not come to rest.

Products and couplings of several unknowns neither add to nor take from the sum of their squares, the rest damps it, so
that no solution grows beyond bounds.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from math import lcm
from typing import Any, ClassVar

from solvers.keys import Stream
from solvers.names import Names
from solvers.polynomials import Terms, spelled
from solvers.problem import Data, Famous, ladder
from solvers.procedure import Procedure, ProcedureKnobs, Rounding, Vector, decimal

CLASSICAL = (1, 2, 2, 1)
OTHERS = ((1, 1, 1, 3), (1, 1, 2, 2), (1, 2, 1, 2), (2, 1, 2, 3))  # of order one only: that shows


@dataclass(frozen=True, kw_only=True)
class RungeKuttaKnobs(ProcedureKnobs):
    unknowns: int
    step_size: int  # the smallest one drawn, in hundredths


@dataclass(frozen=True)
class RungeKuttaData(Data):
    rates: tuple[Terms, ...]  # of each right-hand side: terms with their exponents of y_1, y_2 …
    start: tuple[Fraction, ...]
    step_size: Fraction
    weights: tuple[int, ...] = CLASSICAL  # of the four stages, to be divided by their sum


class RungeKutta(Procedure[RungeKuttaData]):
    name: ClassVar[str] = "runge_kutta"
    version: ClassVar[int] = 1
    title: ClassVar[str] = "classical Runge-Kutta method"
    state: ClassVar[str] = "y"
    settles: ClassVar[bool] = False
    data = RungeKuttaData
    sizes: ClassVar[Any] = ladder(
        RungeKuttaKnobs,
        unknowns=(1, 1, 2, 2, 3),
        step_size=(25, 25, 25, 20, 15),
        steps=(2, 3, 3, 5, 6),
        places=(3, 4, 4, 4, 4),
    )

    def draw(self, knobs: RungeKuttaKnobs, stream: Stream) -> RungeKuttaData:
        n = knobs.unknowns
        start = tuple(Fraction(v, 10) for v in stream("start").integers(n, -15, 15))
        step_size = Fraction(knobs.step_size + 5 * stream("step size").integer(0, 3), 100)
        damping = [-v for v in stream("damping").integers(n, 1, 3)]
        sign, size = stream("sign"), stream("constant")
        constant = [sign.choice((-1, 1)) * size.integer(1, 6) for _ in range(n)]
        if n == 1:  # the constant drives y away from where its square would make it grow for ever
            square = -1 if constant[0] > 0 else 1
            return RungeKuttaData((((square, (2,)), (damping[0], (1,)), (constant[0], (0,))),), start, step_size)
        terms: list[dict[tuple[int, ...], int]] = [{} for _ in range(n)]
        product, coupling = stream("product"), stream("coupling")
        for i, j in [(0, 1)] if n == 2 else [(i, (i + 1) % n) for i in range(n)]:
            c = product.choice((-1, 1))
            terms[i][_exponents(n, i, j)], terms[j][_exponents(n, i, i)] = c, -c
        for i in range(n):
            terms[i][_exponents(n, i)] = damping[i]
            for j in range(i):
                c = coupling.choice((-3, -2, -1, 1, 2, 3))
                terms[i][_exponents(n, j)], terms[j][_exponents(n, i)] = c, -c
            terms[i][_exponents(n)] = constant[i]
        order = sorted({e for rate in terms for e in rate}, key=lambda e: (-sum(e), [-k for k in e]))
        return RungeKuttaData(
            rates=tuple(tuple((rate[e], e) for e in order if e in rate) for rate in terms),
            start=start,
            step_size=step_size,
        )

    def perturb(self, d: RungeKuttaData, stream: Stream) -> RungeKuttaData:
        """Weight the stages otherwise."""
        return replace(d, weights=stream("weights").choice(OTHERS))

    def famous(self) -> Sequence[Famous[RungeKuttaData]]:
        return (
            Famous(
                "y' = y - t^2 + 1",
                "m",
                RungeKuttaData(
                    rates=(((1, (1, 0)), (-1, (0, 2)), (1, (0, 0))), ((1, (0, 0)),)),
                    start=(Fraction(1, 2), Fraction(0)),
                    step_size=Fraction(1, 5),
                ),
                None,
                "Burden and Faires, Numerical Analysis, section 5.4, example 3 (t is y_2)",
            ),
        )

    def start(self, d: RungeKuttaData) -> Vector:
        return d.start

    def step(self, d: RungeKuttaData, x: Vector, rounded: Rounding) -> Vector:
        # Whole numbers over a common denominator: a quarter of the time of sums of fractions.
        common = lcm(*(v.denominator for v in x))
        y = [v.numerator * (common // v.denominator) for v in x]
        p, q = d.step_size.numerator, d.step_size.denominator
        degree = max(1, *(sum(e) for rate in d.rates for _, e in rate))
        at, below = y, common
        stages: list[tuple[list[int], int]] = []
        for halves in (1, 1, 2, 0):
            slopes, below = [_value(rate, at, below, degree) for rate in d.rates], below**degree
            stages.append((slopes, below))
            at = [2 * q * (below // common) * v + halves * p * k for v, k in zip(y, slopes, strict=True)]
            below *= 2 * q
        total = sum(d.weights)
        sums = [
            sum(w * k[i] * (stages[-1][1] // under) for w, (k, under) in zip(d.weights, stages, strict=True))
            for i in range(len(x))
        ]
        return tuple(rounded(v + Fraction(p * s, q * total * stages[-1][1])) for v, s in zip(x, sums, strict=True))

    def words(self, d: RungeKuttaData, term: str) -> list[str]:
        """Return what the components are called."""
        return [f"{term}_{i + 1}" for i in range(len(d.start))] if len(d.start) > 1 else [term]

    def intro(self, d: RungeKuttaData, names: Names) -> str:
        y = names.word(self.state)
        words = self.words(d, y)
        lines = [f"{word}' = {spelled(rate, words)}" for word, rate in zip(words, d.rates, strict=True)]
        what = "equation" if len(words) == 1 else f"system of {len(words)} equations"
        which = "The classical Runge-Kutta method of order four"
        if d.weights != CLASSICAL:
            which = "A Runge-Kutta method with the stages of the classical one, but other weights,"
        side = "right-hand side of the equation"
        if len(words) > 1:
            side = f"vector of the {len(words)} right-hand sides, {y} for the vector of {words[0]} to {words[-1]}"
        return "\n".join(
            [
                f"{which} is applied to the differential {what}",
                *lines,
                f"with step size h = {decimal(d.step_size)}. F({y}) stands for the {side}.",
            ]
        )

    def say(self, d: RungeKuttaData, names: Names) -> str:
        y, h = names.word(self.state), decimal(d.step_size)
        total = " + ".join(f"{w} * k{i}" if w > 1 else f"k{i}" for i, w in enumerate(d.weights, 1))
        vectors = " (each of them a vector, component by component)" if len(d.start) > 1 else ""
        return (
            f"with {y} as it was before the step and h = {h}, compute one after the other{vectors}\n"
            f"k1 = F({y})\n"
            f"k2 = F({y} + h * k1 / 2)\n"
            f"k3 = F({y} + h * k2 / 2)\n"
            f"k4 = F({y} + h * k3)\n"
            f"The new {y} is {y} + h * ({total}) / {sum(d.weights)}. The stages k1 to k4 are not rounded."
        )


def _exponents(n: int, *factors: int) -> tuple[int, ...]:
    """Return the exponents of a product of some of ``n`` unknowns."""
    return tuple(factors.count(k) for k in range(n))


def _value(terms: Terms, x: Sequence[int], below: int, degree: int) -> int:
    """Return the value at x / ``below`` of a sum of terms of at most this degree, times ``below ** degree``."""
    total = 0
    for c, exponents in terms:
        term = c * below ** (degree - sum(exponents))
        for v, e in zip(x, exponents, strict=True):
            if e:
                term *= v**e
        total += term
    return total
