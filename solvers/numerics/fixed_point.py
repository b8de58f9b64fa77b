"""Fixed-point iteration x <- g(x), all components at once (Burden and Faires, Numerical Analysis, 2.2 and 10.1).

g has whole coefficients over a common divisor. Near a whole point that is nearly fixed, its Jacobian has rows of a
chosen sum below 1, so that the iterates come near the fixed point slowly.
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


@dataclass(frozen=True, kw_only=True)
class FixedPointKnobs(ProcedureKnobs):
    unknowns: int
    degree: int
    curved: int  # terms of degree two or more in each formula


@dataclass(frozen=True)
class FixedPointData(Data):
    formulas: tuple[Terms, ...]  # of divisor times g_i: terms with their exponents of x_1, x_2 …
    divisors: tuple[int, ...]
    start: tuple[int, ...]
    relaxation: Fraction = Fraction(1)  # 1: the method itself; otherwise the share of each change that is made


class FixedPoint(Procedure[FixedPointData]):
    name: ClassVar[str] = "fixed_point"
    version: ClassVar[int] = 1
    title: ClassVar[str] = "fixed-point iteration"
    data = FixedPointData
    sizes: ClassVar[Any] = ladder(
        FixedPointKnobs,
        unknowns=(1, 1, 2, 2, 3),
        degree=(2, 3, 2, 3, 3),
        curved=(1, 2, 1, 2, 2),
        steps=(2, 3, 4, 6, 8),
        places=(3, 4, 4, 4, 4),
    )

    def draw(self, knobs: FixedPointKnobs, stream: Stream) -> FixedPointData:
        n = knobs.unknowns
        centre = stream("centre").integers(n, -2, 2)
        monomials = [
            tuple(factors.count(k) for k in range(n))
            for degree in range(knobs.degree, 1, -1)
            for factors in combinations_with_replacement(range(n), degree)
        ]
        formulas, divisors = [], []
        for i in range(n):
            own = stream(f"formula {i}")
            divisor = (knobs.degree - 1) * own.integer(12, 24)
            chosen = set(own.sample(monomials, knobs.curved))
            curved = tuple((own.choice((-1, 1)), exponents) for exponents in monomials if exponents in chosen)
            rest = divisor * own.integer(65, 92) // 100  # what the slopes of row i sum to, in size
            wanted = [rest // n] * n
            wanted[i] += rest - sum(wanted)
            linear = tuple(
                (own.choice((-1, 1)) * w - _slope(curved, j, centre), tuple(int(k == j) for k in range(n)))
                for j, w in enumerate(wanted)
            )
            head = tuple(term for term in (*curved, *linear) if term[0])
            off = own.choice((-3, -2, -1, 1, 2, 3))  # so that the fixed point is no whole number
            constant = divisor * centre[i] - int(value_at(head, tuple(map(Fraction, centre)))) + off
            formulas.append((*head, (constant, (0,) * n)) if constant else head)
            divisors.append(divisor)
        away = stream("away")
        return FixedPointData(
            formulas=tuple(formulas),
            divisors=tuple(divisors),
            start=tuple(c + away.choice((-2, -1, 1, 2)) for c in centre),
        )

    def perturb(self, d: FixedPointData, stream: Stream) -> FixedPointData:
        """Make only a share of each change (Krasnoselskij 1955)."""
        return replace(d, relaxation=Fraction(stream("relaxation").integer(2, 4), 10))

    def famous(self) -> Sequence[Famous[FixedPointData]]:
        return (
            Famous(
                "cube root of 21",
                "m",
                FixedPointData(formulas=(((20, (1,)), (21, (-2,))),), divisors=(21,), start=(1,)),
                None,
                "Burden and Faires, Numerical Analysis, section 2.2, exercises",
            ),
            Famous(
                "two quadratics with a fixed point at (1, 1)",
                "s",
                FixedPointData(
                    formulas=(
                        ((1, (2, 0)), (1, (0, 2)), (8, (0, 0))),
                        ((1, (1, 2)), (1, (1, 0)), (8, (0, 0))),
                    ),
                    divisors=(10, 10),
                    start=(0, 0),
                ),
                None,
                "Burden and Faires, Numerical Analysis, section 10.1, exercises",
            ),
        )

    def start(self, d: FixedPointData) -> Vector:
        return tuple(map(Fraction, d.start))

    def step(self, d: FixedPointData, x: Vector, rounded: Rounding) -> Vector:
        new = []
        for v, formula, divisor in zip(x, d.formulas, d.divisors, strict=True):
            new.append(rounded(v + d.relaxation * (value_at(formula, x) / divisor - v)))
        return tuple(new)

    def intro(self, d: FixedPointData, names: Names) -> str:
        x, n = names.word(self.state), len(d.start)
        words = [f"{x}_{i + 1}" for i in range(n)] if n > 1 else [x]
        lines = [
            f"g{f'_{i + 1}' if n > 1 else ''}({', '.join(words)}) = ({spelled(formula, words)}) / {divisor}"
            for i, (formula, divisor) in enumerate(zip(d.formulas, d.divisors, strict=True))
        ]
        which = "function" if n == 1 else f"{n} functions"
        return "\n".join([f"A fixed-point iteration is made with the {which}", *lines])

    def say(self, d: FixedPointData, names: Names) -> str:
        x, n = names.word(self.state), len(d.start)
        share = decimal(d.relaxation)
        if n == 1:
            rule = f"the new {x} is g({x})"
            if d.relaxation != 1:
                rule = f"the new {x} is {x} + {share} * (g({x}) - {x})"
            return f"{rule}, with {x} as it was before the step."
        full = f"g_i({', '.join(f'{x}_{i + 1}' for i in range(n))})"
        rule = f"the new {x}_i is {full}"
        if d.relaxation != 1:
            rule = f"the new {x}_i is {x}_i + {share} * ({full} - {x}_i)"
        return (
            f"for every i, {rule}. All values in these formulas are those before the step: no new component uses"
            " another new component."
        )


def _slope(terms: Terms, k: int, at: Sequence[int]) -> int:
    """Return the derivative of a sum of terms by variable ``k`` at a whole point."""
    lowered = tuple((c * e[k], (*e[:k], e[k] - 1, *e[k + 1 :])) for c, e in terms if e[k])
    return int(value_at(lowered, tuple(map(Fraction, at))))
