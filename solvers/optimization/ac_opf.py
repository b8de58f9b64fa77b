"""Alternating-current power flow under limits, as in optimal power flow (Frank and Rebennack 2016) without its cost:
find voltages, angles and generation that meet every balance and every limit.

Nothing is posted to a solver: limits are planted round a point that Newton's method solves to 1e-9 p.u., which proves
that they can be met. Modules: ``branch_flow`` (apparent power at both ends of a line), ``angle_difference``.
"""

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, ClassVar, Literal

from solvers import variants
from solvers.formats.matpower import read_case
from solvers.keys import Stream
from solvers.names import Names, sentence, table
from solvers.powerflow import Branch, branch, flow, solve
from solvers.problem import (
    VARIANTS,
    Constraint,
    Data,
    Family,
    Hole,
    Instance,
    Knobs,
    Mode,
    Number,
    Objective,
    Proof,
    ladder,
)
from solvers.procedure import decimal
from solvers.shapes import Joint, Partial, Quantities, QuantityOf
from solvers.sketches import Edge, Graph, Node, untangled

State = tuple[Quantities, Quantities, Quantities, Quantities]  # voltage, angle by bus; active, reactive by generator
BASE = Fraction(100)  # MVA
PLACES = (6, 5, 4, 4)
VOLTAGE_TOLERANCE, ANGLE_TOLERANCE = Fraction(1, 1000), Fraction(1, 100)  # p.u., degrees
FINE = 10**9  # slacks are kept to a billionth
HUGE = Fraction(10**15)
LOW, HIGH = Fraction(94, 100), Fraction(106, 100)  # p.u., as in most published cases


@dataclass(frozen=True, kw_only=True)
class AcOpfKnobs(Knobs):
    buses: int
    extra: int  # lines beyond those that connect all buses
    generators: int


@dataclass(frozen=True)
class AcOpfData(Data):
    base: Fraction  # MVA
    demand: tuple[tuple[Fraction, Fraction], ...]  # by bus, MW and MVAr
    shunt: tuple[tuple[Fraction, Fraction], ...]  # by bus, MW and MVAr at 1 p.u.
    voltage: tuple[tuple[Fraction, Fraction], ...]  # by bus, least and most, p.u.
    line: tuple[tuple[int, int], ...]
    impedance: tuple[tuple[Fraction, Fraction, Fraction], ...]  # by line: r, x and charging, p.u.
    transformer: tuple[tuple[Fraction, Fraction], ...]  # by line: ratio (1: none) and shift, degrees
    rate: tuple[Fraction, ...]  # by line, MVA; 0: none
    apart: tuple[Fraction, ...]  # by line, degrees; 0: no limit
    site: tuple[int, ...]  # by generator
    active: tuple[tuple[Fraction, Fraction], ...]  # by generator, least and most, MW
    reactive: tuple[tuple[Fraction, Fraction], ...]  # by generator, least and most, MVAr
    reference: int

    def branches(self) -> list[Branch]:
        """Return the lines' admittances."""
        return [
            branch(i, j, *map(float, z), *map(float, t))
            for (i, j), z, t in zip(self.line, self.impedance, self.transformer, strict=True)
        ]


def near(value: Fraction) -> float:
    """Return an answer's number for computing; one beyond all sense is as good as another of its sign."""
    return float(max(-HUGE, min(HUGE, value)))


def fine(value: float) -> Fraction:
    """Return a computed slack, to a billionth."""
    return Fraction(round(value * FINE), FINE)


@dataclass(frozen=True)
class Balance(Constraint[State, None]):
    """Generation minus demand minus what leaves a bus; ``part``: 0 active, 1 reactive. Slack in MW or MVAr.

    ``lines``: the bus's lines, each with whether the bus is its tail.
    """

    constraint_class: ClassVar[str] = "balance"
    part: ClassVar[int]
    word: ClassVar[str]
    unit: ClassVar[str]
    bus: int
    demand: Fraction
    shunt: Fraction
    generators: tuple[int, ...]
    lines: tuple[tuple[Branch, bool], ...]
    base: Fraction

    @property
    def tolerance(self) -> Number:
        return self.base / 1000

    def say(self, names: Names) -> str:
        made = names.several("generator", self.generators) if self.generators else "none"
        return (
            f"At {names.one('bus', self.bus)}, the {self.word} power generated ({made}) equals its demand, what its"
            f" shunt takes and what leaves over its {names.all('line')}, together."
        )

    def check(self, answer: State) -> Number:
        v, angle = answer[0], answer[1]
        made = sum((answer[2 + self.part][g] for g in self.generators), Fraction(0))
        out = 0.0
        for b, tail in self.lines:
            ends = {i: near(v[i]) for i in (b.tail, b.head)}
            turns = {i: math.radians(near(angle[i])) for i in (b.tail, b.head)}
            out += flow(b, ends, turns)[self.part if tail else 2 + self.part]
        taken = float(self.demand) + (1 - 2 * self.part) * float(self.shunt) * near(v[self.bus]) ** 2
        return fine(-abs(near(made) - taken - out * float(self.base)))


@dataclass(frozen=True)
class ActiveBalance(Balance):
    kind: ClassVar[str] = "active_balance"
    part: ClassVar[int] = 0
    word: ClassVar[str] = "active"
    unit: ClassVar[str] = "MW"


@dataclass(frozen=True)
class ReactiveBalance(Balance):
    kind: ClassVar[str] = "reactive_balance"
    part: ClassVar[int] = 1
    word: ClassVar[str] = "reactive"
    unit: ClassVar[str] = "MVAr"


@dataclass(frozen=True)
class Between(Constraint[State, None]):
    """A quantity of one entity lies between two values; ``place``: its part of the answer."""

    constraint_class: ClassVar[str] = "domain"
    place: ClassVar[int]
    entity: int
    low: Fraction
    high: Fraction
    within: Fraction

    @property
    def tolerance(self) -> Number:
        return self.within

    def check(self, answer: State) -> Number:
        value = answer[self.place][self.entity]
        return min(value - self.low, self.high - value)


@dataclass(frozen=True)
class Voltage(Between):
    kind: ClassVar[str] = "voltage"
    place: ClassVar[int] = 0

    def say(self, names: Names) -> str:
        bus = names.one("bus", self.entity)
        return (
            f"The {names.word('voltage')} of {bus} is between {decimal(self.low)} and {decimal(self.high)} p.u."[:-1]
            + "."
        )


@dataclass(frozen=True)
class ActiveGeneration(Between):
    kind: ClassVar[str] = "active_generation"
    place: ClassVar[int] = 2

    def say(self, names: Names) -> str:
        generator = sentence(names.one("generator", self.entity))
        return f"{generator} makes between {decimal(self.low)} and {decimal(self.high)} MW of active power."


@dataclass(frozen=True)
class ReactiveGeneration(Between):
    kind: ClassVar[str] = "reactive_generation"
    place: ClassVar[int] = 3

    def say(self, names: Names) -> str:
        generator = sentence(names.one("generator", self.entity))
        return f"{generator} makes between {decimal(self.low)} and {decimal(self.high)} MVAr of reactive power."


@dataclass(frozen=True)
class Reference(Constraint[State, None]):
    kind: ClassVar[str] = "reference"
    constraint_class: ClassVar[str] = "structure"
    bus: int

    @property
    def tolerance(self) -> Number:
        return ANGLE_TOLERANCE

    def say(self, names: Names) -> str:
        return f"The {names.word('angle')} of {names.one('bus', self.bus)} is 0."

    def check(self, answer: State) -> Number:
        return -abs(answer[1][self.bus])


@dataclass(frozen=True)
class BranchFlow(Constraint[State, None]):
    """Apparent power at one end of a line; slack in MVA."""

    kind: ClassVar[str] = "branch_flow"
    constraint_class: ClassVar[str] = "capacity"
    line: int
    branch: Branch
    tail: bool
    base: Fraction
    limit: Fraction

    @property
    def tolerance(self) -> Number:
        return self.base / 1000

    def say(self, names: Names) -> str:
        return (
            f"The apparent power at either end of {names.one('line', self.line)} is at most {decimal(self.limit)} MVA."
        )

    def check(self, answer: State) -> Number:
        ends = (self.branch.tail, self.branch.head)
        v = {i: near(answer[0][i]) for i in ends}
        angle = {i: math.radians(near(answer[1][i])) for i in ends}
        p, q = flow(self.branch, v, angle)[slice(0, 2) if self.tail else slice(2, 4)]
        return fine(float(self.limit) - math.hypot(p, q) * float(self.base))


@dataclass(frozen=True)
class AngleDifference(Constraint[State, None]):
    kind: ClassVar[str] = "angle_difference"
    constraint_class: ClassVar[str] = "logical"
    line: int
    ends: tuple[int, int]
    limit: Fraction

    @property
    def tolerance(self) -> Number:
        return ANGLE_TOLERANCE

    def say(self, names: Names) -> str:
        line, angles = names.one("line", self.line), names.all("angle")
        return f"The {angles} at the two ends of {line} differ by at most {decimal(self.limit)} degrees."

    def check(self, answer: State) -> Number:
        return self.limit - abs(answer[1][self.ends[0]] - answer[1][self.ends[1]])


def from_case(text: str) -> AcOpfData:
    """Return a MATPOWER case without its costs."""
    case = read_case(text)
    place = {bus.number: i for i, bus in enumerate(case.buses)}
    branches, running = [b for b in case.branches if b.on], [g for g in case.generators if g.on]
    return AcOpfData(
        base=case.base_mva,
        demand=tuple((bus.load, bus.reactive_load) for bus in case.buses),
        shunt=tuple((bus.shunt, bus.reactive_shunt) for bus in case.buses),
        voltage=tuple((bus.voltage_min, bus.voltage_max) for bus in case.buses),
        line=tuple((place[b.start], place[b.end]) for b in branches),
        impedance=tuple((b.resistance, b.reactance, b.charging) for b in branches),
        transformer=tuple((b.ratio or Fraction(1), b.shift) for b in branches),
        rate=tuple(b.rate_a for b in branches),
        apart=tuple(b.angle_max if 0 < b.angle_max < 360 else Fraction(0) for b in branches),
        site=tuple(place[g.bus] for g in running),
        active=tuple((g.output_min, g.output_max) for g in running),
        reactive=tuple((g.reactive_min, g.reactive_max) for g in running),
        reference=next((i for i, bus in enumerate(case.buses) if bus.kind == 3), 0),
    )


class AcOpf(Family[AcOpfData, State]):
    name: ClassVar[str] = "ac_opf"
    version: ClassVar[int] = 1
    kind: ClassVar[Literal["optimization", "numerics"]] = "optimization"
    title: ClassVar[str] = "Alternating-current power flow under limits"
    data = AcOpfData
    sizes: ClassVar[Any] = ladder(
        AcOpfKnobs, buses=(3, 5, 9, 14, 20), extra=(1, 2, 4, 7, 10), generators=(2, 3, 4, 5, 7)
    )

    formats: ClassVar[Any] = {"matpower": from_case}

    @property
    def module_names(self) -> tuple[str, ...]:
        return ("branch_flow", "angle_difference")

    @property
    def constraint_kinds(self) -> tuple[str, ...]:
        kinds = ("active_balance", "reactive_balance", "voltage", "active_generation", "reactive_generation")
        return (*kinds, "reference", *self.module_names)

    @property
    def variants(self) -> tuple[str, ...]:
        offered = {"fresh", "renamed", "reordered"} | ({"imported"} if self.formats else set())
        return tuple(variant for variant in VARIANTS if variant in offered)

    def derive(self, base: Instance, variant: str) -> Instance | Hole:
        return variants.renamed(self, base) if variant == "renamed" else variants.reordered(self, base)

    def entities(self, d: AcOpfData) -> Mapping[str, int]:
        return {"bus": len(d.demand), "line": len(d.line), "generator": len(d.site)}

    def draw(self, knobs: AcOpfKnobs, stream: Stream) -> AcOpfData:
        """Return a network without limits, with a hidden dispatch as its active generation (least = most) and the
        generators' voltages as the voltage limits of their buses."""
        n, count = knobs.buses, knobs.generators
        tree = [(stream(f"tree {i}").integer(0, i - 1), i) for i in range(1, n)]
        others = [(i, j) for i in range(n) for j in range(i + 1, n) if (i, j) not in tree]
        lines = tuple(sorted([*tree, *stream("extra").sample(others, min(knobs.extra, len(others)))]))
        z = stream("impedance")
        impedance = tuple(
            (Fraction(z.integer(5, 40), 1000), Fraction(z.integer(40, 160), 1000), Fraction(z.integer(0, 6), 100))
            for _ in lines
        )
        load = stream("demand")
        demand = [(Fraction(load.integer(5, 60)), Fraction(load.integer(0, 25))) for _ in range(n)]
        site = tuple(sorted(stream("site").sample(range(n), count)))
        total = sum((p for p, _ in demand), Fraction(0))
        weights = stream("share").integers(count, 2, 9)
        share = [Fraction(total * w // sum(weights)) for w in weights]
        held = [Fraction(stream("voltage").integer(100, 104), 100) for _ in site]
        nothing = (Fraction(0), Fraction(0))
        voltage = [(LOW, HIGH)] * n
        for bus, v in zip(site, held, strict=True):
            voltage[bus] = (v, v)
        return AcOpfData(
            base=BASE,
            demand=tuple(demand),
            shunt=(nothing,) * n,
            voltage=tuple(voltage),
            line=lines,
            impedance=impedance,
            transformer=((Fraction(1), Fraction(0)),) * len(lines),
            rate=(Fraction(0),) * len(lines),
            apart=(Fraction(0),) * len(lines),
            site=site,
            active=tuple((p, p) for p in share),
            reactive=(nothing,) * count,
            reference=site[0],
        )

    def accept(self, size: str, seed: int, index: int, attempt: int, modules: tuple[str, ...]) -> Instance | Hole | str:
        knobs, stream = self.sizes[size], self.stream(size, seed, index, attempt)
        d = self.draw(knobs, stream)
        n, base = len(d.demand), float(d.base)
        injected = [-p for p, _ in d.demand]
        for bus, (made, _) in zip(d.site, d.active, strict=True):
            injected[bus] += made
        held = {bus: float(d.voltage[bus][0]) for bus in d.site}
        reactive = [-float(q) / base for _, q in d.demand]
        found = solve(n, d.branches(), [float(p) / base for p in injected], reactive, held, d.reference)
        if found is None:
            return "power flow does not converge"
        if not all(LOW <= v <= HIGH for v in found.v.values()):
            return "voltage out of range"
        planted, answer = self.planted(d, found.v, found.angle, stream("limits"))
        if any(high - low > 10 * d.base for low, high in (*planted.active, *planted.reactive)):
            return "too much generation"
        return Instance(
            family=self.name,
            version=self.version,
            size=size,
            knobs=knobs.plain(),
            seed=seed,
            index=index,
            attempt=attempt,
            modules=modules,
            data=planted,
            answer=answer,
            proof=Proof("FEASIBLE", None, float(found.iterations), "newton power flow"),
        )

    def planted(
        self, d: AcOpfData, v: Mapping[int, Any], angle: Mapping[int, Any], stream: Stream
    ) -> tuple[AcOpfData, State]:
        """Return the network with limits round a solved point, and the point as an answer."""
        import mpmath

        base, branches = int(d.base), d.branches()
        flows = [[x * base for x in flow(b, v, angle, mpmath)] for b in branches]
        out = [[mpmath.mpf(0), mpmath.mpf(0)] for _ in d.demand]
        for (i, j), (pf, qf, pt, qt) in zip(d.line, flows, strict=True):
            for bus, p, q in ((i, pf, qf), (j, pt, qt)):
                out[bus][0] += p
                out[bus][1] += q
        made = [(out[bus][0] + exact(d.demand[bus][0]), out[bus][1] + exact(d.demand[bus][1])) for bus in d.site]
        degrees = {i: mpmath.degrees(a) for i, a in angle.items()}
        answer: State = (
            Partial({i: rounded(v[i], PLACES[0]) for i in range(len(d.demand))}),
            Partial({i: rounded(degrees[i], PLACES[1]) for i in range(len(d.demand))}),
            Partial({g: rounded(p, PLACES[2]) for g, (p, _) in enumerate(made)}),
            Partial({g: rounded(q, PLACES[3]) for g, (_, q) in enumerate(made)}),
        )

        def room(value: Any, name: str) -> tuple[Fraction, Fraction]:
            below, above = stream(f"{name} below").integer(1, 6), stream(f"{name} above").integer(1, 6)
            return Fraction(5 * (math.floor(value / 5) - below)), Fraction(5 * (math.ceil(value / 5) + above))

        spread = [abs(degrees[i] - degrees[j]) for i, j in d.line]
        return dataclasses.replace(
            d,
            voltage=((LOW, HIGH),) * len(d.demand),
            rate=tuple(
                Fraction(5 * (1 + math.floor(max(mpmath.hypot(f[0], f[1]), mpmath.hypot(f[2], f[3])) / 5)) + 5 * more)
                for f, more in zip(flows, stream("rate").integers(len(flows), 0, 3), strict=True)
            ),
            apart=tuple(
                Fraction(1 + math.floor(s * 2) + more, 2)
                for s, more in zip(spread, stream("apart").integers(len(spread), 0, 3), strict=True)
            ),
            active=tuple(
                (max(Fraction(0), low), high) for low, high in (room(p, f"p {g}") for g, (p, _) in enumerate(made))
            ),
            reactive=tuple(room(q, f"q {g}") for g, (_, q) in enumerate(made)),
        ), answer

    def imported(self, d: AcOpfData, size: str, seed: int, index: int) -> Instance | str:
        """Return a public case to be judged: no exact answer of it is known here."""
        return Instance(
            family=self.name,
            version=self.version,
            size=size,
            knobs=self.sizes[size].plain(),
            seed=seed,
            index=index,
            attempt=0,
            modules=(),
            data=d,
            answer=None,
            proof=Proof("UNKNOWN", None, 0.0, "none"),
            variant="imported",
        )

    def shape(self, instance: Instance, mode: Mode) -> Joint:
        d: AcOpfData = instance.data  # type: ignore[assignment]
        turns = ((Fraction(-20), Fraction(20)),) * len(d.demand)
        return Joint(
            (
                QuantityOf("bus", "voltage", "p.u.", d.voltage, PLACES[0]),
                QuantityOf("bus", "angle", "degrees", turns, PLACES[1]),
                QuantityOf("generator", "active_power", "MW", d.active, PLACES[2]),
                QuantityOf("generator", "reactive_power", "MVAr", d.reactive, PLACES[3]),
            )
        )

    def constraints(self, instance: Instance, mode: Mode) -> list[Constraint[State, Any]]:
        d: AcOpfData = instance.data  # type: ignore[assignment]
        branches, n = d.branches(), len(d.demand)
        power = d.base / 1000
        at = [tuple(g for g, bus in enumerate(d.site) if bus == i) for i in range(n)]
        lines = [tuple((b, b.tail == i) for b in branches if i in (b.tail, b.head)) for i in range(n)]
        out: list[Constraint[State, Any]] = []
        for balance in (ActiveBalance, ReactiveBalance):
            out += [
                balance(i, d.demand[i][balance.part], d.shunt[i][balance.part], at[i], lines[i], d.base)
                for i in range(n)
            ]
        out += [Voltage(i, *d.voltage[i], VOLTAGE_TOLERANCE) for i in range(n)]
        out += [ActiveGeneration(g, *limits, power) for g, limits in enumerate(d.active)]
        out += [ReactiveGeneration(g, *limits, power) for g, limits in enumerate(d.reactive)]
        out.append(Reference(d.reference))
        if "branch_flow" in instance.modules:
            out += [
                BranchFlow(k, b, tail, d.base, d.rate[k])
                for k, b in enumerate(branches)
                for tail in (True, False)
                if d.rate[k]
            ]
        if "angle_difference" in instance.modules:
            out += [AngleDifference(k, d.line[k], apart) for k, apart in enumerate(d.apart) if apart]
        return out

    def objective_of(self, instance: Instance) -> Objective[State, Any] | None:
        return None

    def exact(self, instance: Instance, mode: Mode) -> State:
        answer: State = instance.answer
        return answer

    def template_answer(self, instance: Instance, mode: Mode) -> State:
        """Return the flat start: voltages 1, angles 0, active generation in proportion to capacity, reactive none (or
        as little as its limits allow)."""
        d: AcOpfData = instance.data  # type: ignore[assignment]
        n = len(d.demand)
        capacity = sum((high for _, high in d.active), Fraction(0))
        total = sum((p for p, _ in d.demand), Fraction(0))
        share = total / capacity if capacity else Fraction(0)
        return (
            Partial(dict.fromkeys(range(n), Fraction(1))),
            Partial(dict.fromkeys(range(n), Fraction(0))),
            Partial({g: rounded_fraction(high * share, PLACES[2]) for g, (_, high) in enumerate(d.active)}),
            Partial({g: min(max(Fraction(0), low), high) for g, (low, high) in enumerate(d.reactive)}),
        )

    def sketch(self, instance: Instance) -> Graph:
        d: AcOpfData = instance.data  # type: ignore[assignment]
        names, (voltage, angle, *_) = instance.names, instance.answer
        state = [f"{float(voltage[i]):.3f} / {float(angle[i]):.1f}°" for i in range(len(d.demand))]
        nodes = tuple(
            Node(names.label("bus", i), x, y, names.word("generator") if i in d.site else "", state[i])
            for i, (x, y) in enumerate(untangled(len(d.demand), d.line))
        )
        bus, volts, degrees = (names.word(term) for term in ("bus", "voltage", "angle"))
        caption = f"beside a {bus}: {volts} (per unit) / {degrees} (degrees)"
        return Graph(nodes, tuple(Edge(i, j) for i, j in d.line), caption=caption)

    def statement(self, instance: Instance, mode: Mode) -> str:
        d: AcOpfData = instance.data  # type: ignore[assignment]
        names = instance.names
        rules = list(dict.fromkeys(c.say(names) for c in self.constraints(instance, mode)))
        return "\n\n".join(
            [
                *([names.story] if names.story else []),
                self.intro(d, names),
                "Rules:\n" + "\n".join(f"{i}. {rule}" for i, rule in enumerate(rules, 1)),
            ]
        )

    def intro(self, d: AcOpfData, names: Names) -> str:
        """Return the network and the equations."""
        bus, line, angle, voltage = (names.word(term) for term in ("bus", "line", "angle", "voltage"))
        generator = names.word("generator")
        buses = table(
            [bus, "demand P (MW)", "demand Q (MVAr)", "shunt G (MW)", "shunt B (MVAr)"],
            [
                (names.label("bus", i), *map(decimal, (*d.demand[i], *d.shunt[i])))
                for i in names.listed("bus", len(d.demand))
            ],
        )
        lines = table(
            [line, "i", "j", "r", "x", "c", "ratio t", "shift s (degrees)"],
            [
                (
                    names.label("line", k),
                    *(names.one("bus", i) for i in d.line[k]),
                    *map(decimal, (*d.impedance[k], *d.transformer[k])),
                )
                for k in names.listed("line", len(d.line))
            ],
        )
        generators = table(
            [generator, "stands at"],
            [
                (names.label("generator", g), names.one("bus", d.site[g]))
                for g in names.listed("generator", len(d.site))
            ],
        )
        return (
            f"Find a state of this alternating-current power network: the {voltage} V (per unit) and the {angle} A"
            f" (degrees) of each {bus}, and the active and the reactive power of each {generator}.\n\n"
            f"{buses}\n\n{lines}\n\n{generators}\n\n"
            f"The base is {decimal(d.base)} MVA; r, x and c (charging) are per unit. A {line} between i and j has the"
            " series conductance g = r / (r^2 + x^2) and susceptance b = -x / (r^2 + x^2). With D = A_i - A_j - s, the"
            " active power that enters it at i is base * (V_i^2 * g / t^2 - V_i * V_j / t * (g * cos D + b * sin D)),"
            " the reactive power base * (-V_i^2 * (b + c / 2) / t^2 - V_i * V_j / t * (g * sin D - b * cos D)); at j"
            " they are base * (V_j^2 * g - V_i * V_j / t * (g * cos D - b * sin D)) and base * (-V_j^2 * (b + c / 2)"
            " + V_i * V_j / t * (g * sin D + b * cos D)). The apparent power is the square root of the sum of their"
            " squares. A shunt takes G * V^2 of active power and gives B * V^2 of reactive power. Powers are checked"
            f" with a tolerance of {decimal(d.base / 1000)} MW or MVAr, {names.all('voltage')} with"
            f" {decimal(VOLTAGE_TOLERANCE)} per unit, {names.all('angle')} with {decimal(ANGLE_TOLERANCE)} degrees:"
            f" give {names.all('voltage')} with five and {names.all('angle')} with three or more decimals."
        )


def rounded(value: Any, places: int) -> Fraction:
    """Return a number of many digits with some decimals."""
    unit = 10**places
    return Fraction(int(round_half(value * unit)), unit)


def round_half(value: Any) -> Any:
    """Return the nearest whole number."""
    import mpmath

    return mpmath.nint(value)


def rounded_fraction(value: Fraction, places: int) -> Fraction:
    """Return a fraction with some decimals."""
    unit = 10**places
    return Fraction(round(value * unit), unit)


def exact(value: Fraction) -> Any:
    """Return a fraction as a number of many digits."""
    import mpmath

    return mpmath.mpf(value.numerator) / value.denominator
