"""The logistic map x -> r x (1 - x) (May 1976) where it is chaotic, alone or coupled in a ring (Kaneko 1984).

Chaos makes a remembered value worthless: with 4 decimals a trace leaves the exact one visibly after about 12 steps, so
the rounding is part of the problem. Each site has a growth of its own, so that they don't come to agree. There is no
rest.
"""

from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any, ClassVar

from solvers.keys import Stream
from solvers.names import Names
from solvers.problem import Data, ladder
from solvers.procedure import Procedure, ProcedureKnobs, Rounding, Vector, decimal


@dataclass(frozen=True, kw_only=True)
class LogisticKnobs(ProcedureKnobs):
    sites: int


@dataclass(frozen=True)
class LogisticData(Data):
    growth: tuple[Fraction, ...]  # by site
    coupling: Fraction | None  # share that each site takes over from the next one; a single site has none
    start: tuple[Fraction, ...]
    harvest: Fraction = Fraction(0)  # what is taken away in each step; 0: the map itself


class LogisticMap(Procedure[LogisticData]):
    name: ClassVar[str] = "logistic_map"
    version: ClassVar[int] = 1
    title: ClassVar[str] = "logistic map"
    settles: ClassVar[bool] = False
    data = LogisticData
    sizes: ClassVar[Any] = ladder(LogisticKnobs, sites=(1, 1, 2, 2, 3), steps=(3, 5, 6, 9, 12), places=(3, 4, 4, 4, 4))

    def draw(self, knobs: LogisticKnobs, stream: Stream) -> LogisticData:
        return LogisticData(
            growth=tuple(Fraction(v, 100) for v in stream("growth").integers(knobs.sites, 360, 395)),
            coupling=Fraction(stream("coupling").integer(1, 6), 20) if knobs.sites > 1 else None,
            start=tuple(Fraction(v, 100) for v in stream("start").integers(knobs.sites, 12, 88)),
        )

    def perturb(self, d: LogisticData, stream: Stream) -> LogisticData:
        """Harvest a little in each step."""
        return replace(d, harvest=Fraction(stream("harvest").integer(3, 8), 100))

    def start(self, d: LogisticData) -> Vector:
        return d.start

    def step(self, d: LogisticData, x: Vector, rounded: Rounding) -> Vector:
        grown = [r * v * (1 - v) - d.harvest for r, v in zip(d.growth, x, strict=True)]
        if d.coupling is None:
            return (rounded(grown[0]),)
        keep = 1 - d.coupling
        return tuple(rounded(keep * g + d.coupling * grown[(i + 1) % len(x)]) for i, g in enumerate(grown))

    def converged(self, d: LogisticData, x: Vector, places: int) -> Vector | None:
        """Return None where the growth is above 3: every fixed point repels there, and looking for rest takes long."""
        return None if min(d.growth) > 3 else super().converged(d, x, places)

    def intro(self, d: LogisticData, names: Names) -> str:
        x = names.word(self.state)
        if d.coupling is None:
            return f"The logistic map is iterated with growth r = {decimal(d.growth[0])}."
        growth = ", ".join(f"r_{i} = {decimal(r)}" for i, r in enumerate(d.growth, 1))
        return (
            f"Logistic maps at {len(d.start)} sites, coupled in a ring, are iterated with growth {growth} and coupling"
            f" {decimal(d.coupling)}; {x}_i is the value at site i."
        )

    def say(self, d: LogisticData, names: Names) -> str:
        x = names.word(self.state)
        less = f" - {decimal(d.harvest)}" if d.harvest else ""
        if d.coupling is None:
            return f"the new {x} is {decimal(d.growth[0])} * {x} * (1 - {x}){less}, with {x} as it was before the step."
        keep, share = decimal(1 - d.coupling), decimal(d.coupling)
        return (
            f"for every i, let g_i be r_i * {x}_i * (1 - {x}_i){less}, not rounded, with {x}_i as it was before the"
            f" step. The new {x}_i is {keep} * g_i + {share} * g_(i+1); in place of g_{len(d.start) + 1} stands g_1."
        )
