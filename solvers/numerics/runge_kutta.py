"""The classical fourth-order Runge-Kutta method for y' = f(t, y) with polynomial right-hand sides (Hairer, Norsett and
Wanner 1993, section II.1). It follows a solution: it need not come to rest.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any, ClassVar

from solvers.keys import Stream
from solvers.names import Names
from solvers.polynomials import Terms, spelled, value_at
from solvers.problem import Data, Famous, ladder
from solvers.procedure import Procedure, ProcedureKnobs, Rounding, Vector, decimal


@dataclass(frozen=True, kw_only=True)
class RungeKuttaKnobs(ProcedureKnobs):
    unknowns: int
    step_size: int  # the smallest one drawn, in hundredths


@dataclass(frozen=True)
class RungeKuttaData(Data):
    rates: tuple[Terms, ...]  # of each right-hand side: terms with their exponents of y_1, y_2 …
    start: tuple[Fraction, ...]
    step_size: Fraction
    three_eighths: bool = False  # Kutta's other method of order four (ibid.)


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
        step_size=(40, 30, 30, 25, 20),
        steps=(2, 3, 3, 5, 6),
        places=(3, 4, 4, 4, 4),
    )

    def draw(self, knobs: RungeKuttaKnobs, stream: Stream) -> RungeKuttaData:
        n = knobs.unknowns
        rates = []
        for i in range(n):
            own = stream(f"rate {i}")
            square = tuple(2 * int(k == i) for k in range(n))
            linear = [
                (
                    own.choice((-3, -2, -1)) if k == i else own.choice((-2, -1, 1, 2)),
                    tuple(int(j == k) for j in range(n)),
                )
                for k in range(n)
            ]
            constant = own.choice((-1, 1)) * own.integer(1, 5)
            rates.append(((own.choice((-1, 1)), square), *linear, (constant, (0,) * n)))
        return RungeKuttaData(
            rates=tuple(rates),
            start=tuple(Fraction(v, 10) for v in stream("start").integers(n, -15, 15)),
            step_size=Fraction(knobs.step_size + 5 * stream("step size").integer(0, 3), 100),
        )

    def perturb(self, d: RungeKuttaData, stream: Stream) -> RungeKuttaData:
        """Take Kutta's three-eighths rule, which has other stages and weights."""
        return replace(d, three_eighths=True)

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
        h = d.step_size

        def slopes(*moves: tuple[Fraction, list[Fraction]]) -> list[Fraction]:
            at = [v + sum((share * h * k[i] for share, k in moves), Fraction(0)) for i, v in enumerate(x)]
            return [value_at(rate, at) for rate in d.rates]

        one, third = Fraction(1), Fraction(1, 3)
        k1 = slopes()
        if d.three_eighths:
            k2 = slopes((third, k1))
            k3 = slopes((-third, k1), (one, k2))
            k4 = slopes((one, k1), (-one, k2), (one, k3))
            weights = (1, 3, 3, 1)
        else:
            k2 = slopes((one / 2, k1))
            k3 = slopes((one / 2, k2))
            k4 = slopes((one, k3))
            weights = (1, 2, 2, 1)
        total = sum(weights)
        return tuple(
            rounded(v + h * sum(w * k[i] for w, k in zip(weights, (k1, k2, k3, k4), strict=True)) / total)
            for i, v in enumerate(x)
        )

    def words(self, d: RungeKuttaData, term: str) -> list[str]:
        """Return what the components are called."""
        return [f"{term}_{i + 1}" for i in range(len(d.start))] if len(d.start) > 1 else [term]

    def intro(self, d: RungeKuttaData, names: Names) -> str:
        words = self.words(d, names.word(self.state))
        lines = [f"{word}' = {spelled(rate, words)}" for word, rate in zip(words, d.rates, strict=True)]
        what = "equation" if len(words) == 1 else f"system of {len(words)} equations"
        which = "three-eighths rule of order four" if d.three_eighths else "classical Runge-Kutta method of order four"
        return "\n".join(
            [
                f"The {which} is applied to the differential {what}",
                *lines,
                f"with step size h = {decimal(d.step_size)}. F({names.word(self.state)}) stands for the right-hand"
                f" side{'s, one for each component' if len(words) > 1 else ''}.",
            ]
        )

    def say(self, d: RungeKuttaData, names: Names) -> str:
        y = names.word(self.state)
        h = decimal(d.step_size)
        if d.three_eighths:
            stages = (
                f"k1 = F({y}), k2 = F({y} + h * k1 / 3), k3 = F({y} - h * k1 / 3 + h * k2),"
                f" k4 = F({y} + h * k1 - h * k2 + h * k3)"
            )
            total = "(k1 + 3 * k2 + 3 * k3 + k4) / 8"
        else:
            stages = f"k1 = F({y}), k2 = F({y} + h * k1 / 2), k3 = F({y} + h * k2 / 2), k4 = F({y} + h * k3)"
            total = "(k1 + 2 * k2 + 2 * k3 + k4) / 6"
        each = ", component by component" if len(d.start) > 1 else ""
        return (
            f"with h = {h} and {y} as it was before the step{each}: {stages}; the new {y} is {y} + h * {total}. The"
            " stages k1 to k4 are not rounded."
        )
