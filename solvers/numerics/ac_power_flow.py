"""Damped Newton-Raphson power flow of small networks in polar form (Tinney and Hart 1967).

Lines have a resistance and a reactance; bus 0 is the reference, the other buses have a given injection of active power
and a given one of reactive power (a load bus) or a held voltage (a generator bus). Sines and cosines make all numbers
irrational: a step is computed with more than fifty digits and told apart from every number of fewer, so that the
rounding that follows is that of the exact value. The damping keeps the last iterate away from the solution.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any, ClassVar

from solvers.keys import Stream
from solvers.linear import solved
from solvers.names import Names, table
from solvers.problem import Data, ladder
from solvers.procedure import GUARD, Procedure, ProcedureKnobs, Rounding, Vector, decimal, half_even
from solvers.shapes import VectorOf

DIGITS = 50  # decimals to which a new value is known before it is rounded
NOT_GIVEN = "not given"
ITERATIONS = 25  # of Newton's method without damping


@dataclass(frozen=True, kw_only=True)
class PowerFlowKnobs(ProcedureKnobs):
    buses: int  # with the reference
    generators: int
    load: int  # the smallest one drawn, in hundredths; the reactive one is a share of it


@dataclass(frozen=True)
class PowerFlowData(Data):
    """Load buses are numbered from 1, generator buses follow. All quantities are per unit."""

    lines: tuple[tuple[int, int, Fraction, Fraction], ...]  # from bus, to bus, resistance, reactance
    reference: Fraction  # voltage of bus 0
    active: tuple[Fraction, ...]  # injected at each other bus
    reactive: tuple[Fraction, ...]  # injected at each load bus
    held: tuple[Fraction, ...]  # voltage of each generator bus
    damping: Fraction
    dishonest: bool = False  # the derivatives are those at the start in every step


class AcPowerFlow(Procedure[PowerFlowData]):
    """State: the angles of all buses but the reference, then the voltages of the load buses."""

    name: ClassVar[str] = "ac_power_flow"
    version: ClassVar[int] = 1
    title: ClassVar[str] = "Newton-Raphson power flow"
    state: ClassVar[str] = "state"
    data = PowerFlowData
    sizes: ClassVar[Any] = ladder(
        PowerFlowKnobs,
        buses=(2, 3, 3, 3, 4),
        generators=(0, 1, 0, 0, 1),
        load=(60, 140, 80, 85, 110),
        steps=(2, 2, 2, 3, 3),
        places=(4, 4, 4, 4, 4),
    )

    def draw(self, knobs: PowerFlowKnobs, stream: Stream) -> PowerFlowData:
        n, loads = knobs.buses, knobs.buses - 1 - knobs.generators
        pairs = [(i, j) for i in range(n) for j in range(i + 1, n)]
        if n > 3:
            pairs.remove(stream("open").choice([(i, j) for i, j in pairs if i > 0]))
        resistance, reactance = stream("resistance"), stream("reactance")
        active, share, made = stream("active"), stream("share"), stream("generation")
        load = active.integers(loads, knobs.load, knobs.load * 3 // 2)
        return PowerFlowData(
            lines=tuple(
                (i, j, Fraction(resistance.integer(2, 8), 100), Fraction(reactance.integer(10, 24), 100))
                for i, j in pairs
            ),
            reference=Fraction(stream("reference").integer(100, 106), 100),
            active=(
                *(Fraction(-p, 100) for p in load),
                *(Fraction(made.integer(20, 90), 100) for _ in range(knobs.generators)),
            ),
            reactive=tuple(Fraction(-p * share.integer(30, 60) // 100, 100) for p in load),
            held=tuple(Fraction(v, 100) for v in stream("held").integers(knobs.generators, 100, 105)),
            damping=Fraction(5 * stream("damping").integer(12, 16), 100),
        )

    def perturb(self, d: PowerFlowData, stream: Stream) -> PowerFlowData:
        """Keep the derivatives of the start in every step (the dishonest Newton method)."""
        return replace(d, dishonest=True)

    def parts(self, d: PowerFlowData) -> tuple[tuple[str, int], ...]:
        return (("t", len(d.active)), ("v", len(d.reactive)))

    def start(self, d: PowerFlowData) -> Vector:
        return (Fraction(0),) * len(d.active) + (Fraction(1),) * len(d.reactive)

    def step(self, d: PowerFlowData, x: Vector, rounded: Rounding) -> Vector:
        import mpmath

        with mpmath.workdps(DIGITS + 20):
            mismatch, derivatives = self.linearised(d, x)
            if d.dishonest:
                derivatives = self.linearised(d, self.start(d))[1]
            change = solved(derivatives, mismatch)
            if change is None:
                raise ZeroDivisionError("the derivatives are singular")
            unit = 10**DIGITS
            moves = [Fraction(int(mpmath.nint(_mpf(d.damping) * unit * c)), unit) for c in change]
        return tuple(rounded(v + move) for v, move in zip(x, moves, strict=True))

    def converged(self, d: PowerFlowData, x: Vector, places: int) -> Vector | None:
        """Return the power flow near ``x``: without damping, Newton's method is there in a few steps, if at all."""
        full, fine = replace(d, damping=Fraction(1), dishonest=False), half_even(places + GUARD)
        try:
            for _ in range(ITERATIONS):
                before, x = x, self.step(full, x, fine)
                if x == before:
                    return tuple(map(half_even(places), x))
        except ArithmeticError:
            pass
        return None

    def linearised(self, d: PowerFlowData, x: Vector) -> tuple[list[Any], list[list[Any]]]:
        """Return the given powers less those at a state, and the derivatives of those by the state."""
        import mpmath

        n, loads = len(d.active), len(d.reactive)
        angle = [mpmath.mpf(0), *map(_mpf, x[:n])]
        u = [_mpf(d.reference), *map(_mpf, x[n:]), *map(_mpf, d.held)]
        # A row and a column for the angle and one for the voltage of every bus; those of unknowns are taken at the end.
        size = n + 1
        power = [mpmath.mpf(0)] * (2 * size)
        by = [[mpmath.mpf(0)] * (2 * size) for _ in range(2 * size)]
        for tail, head, resistance, reactance in d.lines:
            square = resistance**2 + reactance**2
            g, b = _mpf(resistance / square), _mpf(reactance / square)
            cos, sin = mpmath.cos_sin(angle[tail] - angle[head])
            both = u[tail] * u[head]
            for i, j, s in ((tail, head, sin), (head, tail, -sin)):
                along, across = g * cos - b * s, g * s + b * cos
                p, q = both * along, both * across
                gu, bu = g * u[i], b * u[i]
                power[i] += gu * u[i] - p
                power[size + i] += bu * u[i] - q
                by[i][i] += q
                by[i][j] -= q
                by[size + i][i] -= p
                by[size + i][j] += p
                by[i][size + i] += 2 * gu - u[j] * along
                by[i][size + j] -= u[i] * along
                by[size + i][size + i] += 2 * bu - u[j] * across
                by[size + i][size + j] -= u[i] * across
        unknown = [*range(1, size), *range(size + 1, size + 1 + loads)]
        given = [*map(_mpf, d.active), *map(_mpf, d.reactive)]
        return (
            [wanted - power[k] for wanted, k in zip(given, unknown, strict=True)],
            [[by[k][m] for m in unknown] for k in unknown],
        )

    def labels(self, d: PowerFlowData, names: Names) -> list[str]:
        """Return what the unknowns are called."""
        parts = self.parts(d)
        return VectorOf(self.state, sum(count for _, count in parts), 0, 0, parts=parts).labels(names)

    def intro(self, d: PowerFlowData, names: Names) -> str:
        n, loads, labels = len(d.active), len(d.reactive), self.labels(d, names)
        buses: list[Sequence[str]] = [("0", "0", decimal(d.reference), NOT_GIVEN, NOT_GIVEN)]
        for i, active in enumerate(d.active):
            voltage, reactive = (labels[n + i], d.reactive[i]) if i < loads else (decimal(d.held[i - loads]), None)
            injected = NOT_GIVEN if reactive is None else decimal(reactive)
            buses.append((str(i + 1), labels[i], voltage, decimal(active), injected))
        lines = [(i, j, decimal(r), decimal(x)) for i, j, r, x in d.lines]
        return "\n".join(
            [
                "A damped Newton-Raphson method is applied to the power flow of a network. All quantities are per unit,"
                " angles are in radians. The buses, each with its angle A, its voltage U and the powers that it is to"
                " inject (negative: to consume):",
                "",
                table(["bus", "A", "U", "active power", "reactive power"], buses),
                "",
                "The lines, each with its resistance r and its reactance x:",
                "",
                table(["from bus", "to bus", "r", "x"], lines),
                "",
                "With g = r / (r^2 + x^2), b = x / (r^2 + x^2) and D = A_i - A_j, a line between buses i and j takes"
                " from bus i",
                "active power = g * U_i^2 - U_i * U_j * (g * cos(D) - b * sin(D)),",
                "reactive power = b * U_i^2 - U_i * U_j * (g * sin(D) + b * cos(D)),",
                "and from bus j what these formulas give with i and j exchanged. The computed power of a bus is the sum"
                " of what its lines take from it.",
                f"The damping is {decimal(d.damping)}.",
            ]
        )

    def say(self, d: PowerFlowData, names: Names) -> str:
        labels = self.labels(d, names)
        powers = [f"the active power of bus {i + 1}" for i in range(len(d.active))]
        powers += [f"the reactive power of bus {i + 1}" for i in range(len(d.reactive))]
        unknowns = ", ".join(labels)
        where = f"at {unknowns} as they were before the step"
        derivatives = where
        if d.dishonest:
            start = ", ".join(f"{label} = {decimal(v)}" for label, v in zip(labels, self.start(d), strict=True))
            derivatives = f"in every step at the start ({start})"
        return (
            f"for {', '.join(powers)}, in this order, take what is to be injected minus what is computed {where}: the"
            f" vector m of {len(labels)} numbers. Let J be the matrix whose row k holds the partial derivatives of the"
            f" k-th of these computed powers by {unknowns}, in this order, {derivatives}. Solve the linear equations"
            f" J s = m for s. The new {unknowns} are the old ones plus {decimal(d.damping)} times the numbers of s, in"
            " the same order. Sines, cosines, m, J and s are exact."
        )


def _mpf(value: Fraction) -> Any:
    import mpmath

    return mpmath.mpf(value.numerator) / value.denominator
