"""Linear congruential generators (Knuth 1997, section 3.2.1): the control whose values are whole numbers, so that
nothing is rounded and every step is exact. They come to no rest.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from math import gcd
from typing import Any, ClassVar

from solvers.keys import Stream
from solvers.names import Names
from solvers.problem import Data, Famous, ladder
from solvers.procedure import CONVERGED_WITHIN, Procedure, ProcedureKnobs, Rounding, Vector


@dataclass(frozen=True, kw_only=True)
class CongruentialKnobs(ProcedureKnobs):
    generators: int
    modulus: int  # about


@dataclass(frozen=True)
class CongruentialData(Data):
    modulus: int
    factor: tuple[int, ...]  # by generator
    shift: tuple[int, ...]
    start: tuple[int, ...]
    carried: int = 0  # how often the quotient of the last division is added; 0: the method itself


class LinearCongruential(Procedure[CongruentialData]):
    name: ClassVar[str] = "linear_congruential"
    version: ClassVar[int] = 2
    title: ClassVar[str] = "linear congruential generator"
    settles: ClassVar[bool] = False
    data = CongruentialData
    sizes: ClassVar[Any] = ladder(
        CongruentialKnobs,
        generators=(1, 1, 2, 2, 3),
        modulus=(50, 100, 200, 500, 1000),
        steps=(3, 5, 6, 9, 12),
        places=0,
    )

    def draw(self, knobs: CongruentialKnobs, stream: Stream) -> CongruentialData:
        m, n = knobs.modulus + stream("modulus").integer(0, knobs.modulus // 2), knobs.generators
        coprime = [a for a in range(m // 5, m - 1) if gcd(a, m) == 1]  # otherwise the numbers may end in one value
        factor = stream("factor")
        return CongruentialData(
            modulus=m,
            factor=tuple(factor.choice(coprime) for _ in range(n)),
            shift=stream("shift").integers(n, 1, m - 1),
            start=stream("start").integers(n, 0, m - 1),
        )

    def perturb(self, d: CongruentialData, stream: Stream) -> CongruentialData:
        """Add a multiple of the quotient, which is otherwise thrown away (akin to a multiply with carry).

        It is nearly a generator with the modulus less that multiple: coprime with the factors, for the same reason.
        """
        coprime = [k for k in range(1, 8) if all(gcd(a, d.modulus - k) == 1 for a in d.factor)]
        return replace(d, carried=stream("carried").choice(coprime or [1, 2, 3]))

    def famous(self) -> Sequence[Famous[CongruentialData]]:
        return (
            Famous(
                "m = 10, X_0 = a = c = 7",
                "xs",
                CongruentialData(10, (7,), (7,), (7,)),
                None,
                "Knuth 1997, The Art of Computer Programming 2, section 3.2.1: 6, 9, 0, 7, ...",
            ),
        )

    def start(self, d: CongruentialData) -> Vector:
        return tuple(map(Fraction, d.start))

    def step(self, d: CongruentialData, x: Vector, rounded: Rounding) -> Vector:
        return tuple(map(rounded, self.following(d, x)))

    def converged(self, d: CongruentialData, x: Vector, places: int) -> Vector | None:
        """Return the state of rest, where there is one; whole numbers are sought without further decimals."""
        whole = tuple(map(int, x))
        for _ in range(CONVERGED_WITHIN):
            before, whole = whole, self.following(d, whole)
            if before == whole:
                return tuple(map(Fraction, whole))
        return None

    def following(self, d: CongruentialData, x: Sequence[Any]) -> tuple[Any, ...]:
        """Return the next numbers."""
        divided = (divmod(a * v + c, d.modulus) for v, a, c in zip(x, d.factor, d.shift, strict=True))
        return tuple((rest + d.carried * quotient) % d.modulus for quotient, rest in divided)

    def intro(self, d: CongruentialData, names: Names) -> str:
        x, count = names.word(self.state), len(d.start)
        if count == 1:
            return (
                f"A linear congruential generator has the modulus m = {d.modulus}, the factor a = {d.factor[0]} and the"
                f" shift c = {d.shift[0]}."
            )
        rows = "\n".join(
            f"generator {i + 1}: factor a_{i + 1} = {factor}, shift c_{i + 1} = {shift}"
            for i, (factor, shift) in enumerate(zip(d.factor, d.shift, strict=True))
        )
        return (
            f"{count} linear congruential generators have the modulus m = {d.modulus}; {x}_i is generator i's.\n{rows}"
        )

    def say(self, d: CongruentialData, names: Names) -> str:
        x, i = names.word(self.state), "_i" if len(d.start) > 1 else ""
        every = "for every i, " if i else ""
        if not d.carried:
            return f"{every}the new {x}{i} is the remainder of a{i} * {x}{i} + c{i} on division by {d.modulus}."
        return (
            f"{every}divide a{i} * {x}{i} + c{i} by {d.modulus}, with quotient q{i} (rounded down) and remainder r{i}."
            f" The new {x}{i} is the remainder of r{i} + {d.carried} * q{i} on division by {d.modulus}."
        )
