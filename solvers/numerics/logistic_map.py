"""The logistic map x -> r x (1 - x) (May 1976) where it is chaotic, alone or coupled in a ring (Kaneko 1984).

Chaos makes a remembered value worthless: with 4 decimals a trace leaves the exact one visibly after about 12 steps, so
the rounding is part of the problem. It comes to no rest.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any, ClassVar

from solvers.keys import Stream
from solvers.names import Names
from solvers.problem import Data, Famous, ladder
from solvers.procedure import Procedure, ProcedureKnobs, Rounding, Vector, decimal


@dataclass(frozen=True, kw_only=True)
class LogisticKnobs(ProcedureKnobs):
    sites: int


@dataclass(frozen=True)
class LogisticData(Data):
    growth: Fraction
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
            growth=Fraction(stream("growth").integer(360, 395), 100),
            coupling=Fraction(stream("coupling").integer(1, 6), 20) if knobs.sites > 1 else None,
            start=tuple(Fraction(v, 100) for v in stream("start").integers(knobs.sites, 12, 88)),
        )

    def perturb(self, d: LogisticData, stream: Stream) -> LogisticData:
        """Harvest a little in each step."""
        return replace(d, harvest=Fraction(stream("harvest").integer(2, 6), 100))

    def famous(self) -> Sequence[Famous[LogisticData]]:
        fully = LogisticData(Fraction(39, 10), None, (Fraction(1, 2),))
        return (Famous("r = 3.9 from 0.5", "s", fully, None, "May 1976, Nature 261:459 (the map); a common start"),)

    def start(self, d: LogisticData) -> Vector:
        return d.start

    def step(self, d: LogisticData, x: Vector, rounded: Rounding) -> Vector:
        grown = [d.growth * v * (1 - v) - d.harvest for v in x]
        if d.coupling is None:
            return (rounded(grown[0]),)
        keep = 1 - d.coupling
        return tuple(rounded(keep * g + d.coupling * grown[(i + 1) % len(x)]) for i, g in enumerate(grown))

    def intro(self, d: LogisticData, names: Names) -> str:
        x = names.word(self.state)
        if d.coupling is None:
            return f"The logistic map is iterated with growth r = {decimal(d.growth)}."
        return (
            f"Logistic maps at {len(d.start)} sites, coupled in a ring, are iterated with growth r ="
            f" {decimal(d.growth)} and coupling e = {decimal(d.coupling)}; {x}_i is the value at site i."
        )

    def say(self, d: LogisticData, names: Names) -> str:
        x, r = names.word(self.state), decimal(d.growth)
        less = f" - {decimal(d.harvest)}" if d.harvest else ""
        if d.coupling is None:
            return f"the new {x} is {r} * {x} * (1 - {x}){less}, with {x} as it was before the step."
        keep, share = decimal(1 - d.coupling), decimal(d.coupling)
        return (
            f"for every i, let g_i be {r} * {x}_i * (1 - {x}_i){less}, not rounded, with {x}_i as it was before the"
            f" step. The new {x}_i is {keep} * g_i + {share} * g_(i+1); after the last site comes site 1 again."
        )
