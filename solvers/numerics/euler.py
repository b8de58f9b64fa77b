"""The explicit Euler method for a system of ordinary differential equations with polynomial right-hand sides
(Burden and Faires, Numerical Analysis, section 5.2). It follows a solution: it need not come to rest.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import combinations_with_replacement
from typing import Any, ClassVar

from solvers.keys import Stream
from solvers.names import Names
from solvers.polynomials import Terms, spelled, value_at
from solvers.problem import Data, Famous, ladder
from solvers.procedure import Procedure, ProcedureKnobs, Rounding, Vector, decimal

OWN, OTHERS = (-4, -3, -2, -1), (-2, -1, 1, 2)  # coefficients of a component itself and of the others


@dataclass(frozen=True, kw_only=True)
class EulerKnobs(ProcedureKnobs):
    unknowns: int
    curved: int  # products of two components in each equation
    step_size: int  # the smallest one drawn, in hundredths


@dataclass(frozen=True)
class EulerData(Data):
    rates: tuple[Terms, ...]  # of each right-hand side: terms with their exponents of y_1, y_2 …
    start: tuple[Fraction, ...]
    step_size: Fraction
    ahead: Fraction = Fraction(0)  # 0: the method itself; otherwise the share of a step after which slopes are taken


class Euler(Procedure[EulerData]):
    name: ClassVar[str] = "euler"
    version: ClassVar[int] = 1
    title: ClassVar[str] = "explicit Euler method"
    state: ClassVar[str] = "y"
    settles: ClassVar[bool] = False
    data = EulerData
    sizes: ClassVar[Any] = ladder(
        EulerKnobs,
        unknowns=(1, 2, 2, 3, 3),
        curved=(1, 1, 1, 1, 2),
        step_size=(12, 8, 7, 4, 2),
        steps=(2, 3, 4, 6, 8),
        places=(3, 4, 4, 4, 4),
    )

    def draw(self, knobs: EulerKnobs, stream: Stream) -> EulerData:
        n = knobs.unknowns
        products = [tuple(factors.count(k) for k in range(n)) for factors in combinations_with_replacement(range(n), 2)]
        rates = []
        for i in range(n):
            own = stream(f"rate {i}")
            chosen = set(own.sample(products, knobs.curved))
            curved = [(own.choice((-1, 1)), exponents) for exponents in products if exponents in chosen]
            linear = [(own.choice(OWN if i == j else OTHERS), tuple(int(k == j) for k in range(n))) for j in range(n)]
            constant = own.choice((-1, 1)) * own.integer(1, 6)
            rates.append((*curved, *linear, (constant, (0,) * n)))
        return EulerData(
            rates=tuple(rates),
            start=tuple(Fraction(v, 10) for v in stream("start").integers(n, -20, 20)),
            step_size=Fraction(knobs.step_size + stream("step size").integer(0, 7), 100),
        )

    def perturb(self, d: EulerData, stream: Stream) -> EulerData:
        """Take the slopes ahead, at a trial step (the midpoint method where half a step is tried)."""
        return replace(d, ahead=Fraction(stream("ahead").integer(4, 9), 10))

    def famous(self) -> Sequence[Famous[EulerData]]:
        return (
            Famous(
                "y' = y - t^2 + 1",
                "m",
                EulerData(
                    rates=(((1, (1, 0)), (-1, (0, 2)), (1, (0, 0))), ((1, (0, 0)),)),
                    start=(Fraction(1, 2), Fraction(0)),
                    step_size=Fraction(1, 5),
                ),
                None,
                "Burden and Faires, Numerical Analysis, section 5.2, example 1 (t is y_2)",
            ),
        )

    def start(self, d: EulerData) -> Vector:
        return d.start

    def step(self, d: EulerData, x: Vector, rounded: Rounding) -> Vector:
        at = x
        if d.ahead:
            at = tuple(v + d.ahead * d.step_size * value_at(rate, x) for v, rate in zip(x, d.rates, strict=True))
        return tuple(rounded(v + d.step_size * value_at(rate, at)) for v, rate in zip(x, d.rates, strict=True))

    def words(self, d: EulerData, term: str) -> list[str]:
        """Return what the components are called."""
        return [f"{term}_{i + 1}" for i in range(len(d.start))] if len(d.start) > 1 else [term]

    def intro(self, d: EulerData, names: Names) -> str:
        words = self.words(d, names.word(self.state))
        lines = [f"{word}' = {spelled(rate, words)}" for word, rate in zip(words, d.rates, strict=True)]
        what = "equation" if len(words) == 1 else f"system of {len(words)} equations"
        return "\n".join(
            [
                f"The explicit Euler method is applied to the differential {what}",
                *lines,
                f"with step size h = {decimal(d.step_size)}.",
            ]
        )

    def say(self, d: EulerData, names: Names) -> str:
        y, h = names.word(self.state), decimal(d.step_size)
        i = "_i" if len(d.start) > 1 else ""
        every = "for every i, " if i else ""
        values = f"with every {y}_j" if i else f"with {y}"
        old = f"{values} as it was before the step"
        slope = f"the right-hand side of the equation for {y}{i}'"
        apart = ": no new component uses another new component" if i else ""
        if not d.ahead:
            return f"{every}let f{i} be {slope}, {old}; the new {y}{i} is {y}{i} + {h} * f{i}{apart}."
        at = f"{y}_j replaced by z_j for every j" if i else f"{y} replaced by z"
        return (
            f"first, {every}let f{i} be {slope}, {old}, and let z{i} be {y}{i} + {decimal(d.ahead)} * {h} * f{i} (not"
            f" rounded). Then, {every}let k{i} be {slope} with {at}; the new {y}{i} is {y}{i} + {h} * k{i}, with"
            f" {y}{i} as it was before the step{apart}."
        )
