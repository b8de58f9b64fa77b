"""Direct-current optimal power flow (Stott, Jardim and Alsac 2009, "DC power flow revisited"): the cheapest generation
that meets all demand, with flows that follow from voltage angles.

Modules: ``reserve`` (capacity that must be left), ``angle_difference`` (of the ends of some lines), ``interface`` (the
total flow over a group of lines).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import pi
from typing import Any, ClassVar

from solvers.constrained import Fits, Optimization
from solvers.formats.matpower import read_case
from solvers.keys import Stream
from solvers.linear import solved
from solvers.names import Names, table
from solvers.problem import Constraint, Data, Instance, Knobs, Mode, Number, Objective, ladder
from solvers.procedure import decimal
from solvers.shapes import Joint, Partial, Quantities, QuantityOf
from solvers.sketches import Edge, Graph, Node, untangled

Dispatch = tuple[Quantities, Quantities]  # generation by generator (MW), angle by bus (degrees)
Variables = tuple[list[Any], list[Any]]
POWER_PLACES, ANGLE_PLACES = 4, 5
POWER_TOLERANCE, ANGLE_TOLERANCE, COST_TOLERANCE = Fraction(1, 20), Fraction(1, 1000), Fraction(1, 2)
SUSCEPTANCE_PLACES = 6  # of public cases
ANGLES = Fraction(20)  # degrees either way in which random angles lie


@dataclass(frozen=True, kw_only=True)
class DcOpfKnobs(Knobs):
    buses: int
    extra: int  # lines beyond those that connect all buses
    generators: int
    pairs: int  # lines with a limit on the difference of angles


@dataclass(frozen=True)
class DcOpfData(Data):
    demand: tuple[Fraction, ...]  # by bus, MW
    line: tuple[tuple[int, int], ...]  # from bus, to bus
    susceptance: tuple[Fraction, ...]  # by line, MW per degree
    limit: tuple[Fraction, ...]  # by line, MW; 0: none
    site: tuple[int, ...]  # by generator, its bus
    least: tuple[Fraction, ...]  # by generator, MW
    most: tuple[Fraction, ...]  # by generator, MW
    cost: tuple[Fraction, ...]  # by generator, per MW
    keeping: tuple[int, ...]  # generators that keep the reserve
    reserve: Fraction  # MW
    apart: tuple[tuple[int, Fraction], ...]  # (line, degrees)
    interface: tuple[int, ...]  # lines
    transfer: Fraction  # MW over the interface

    def flow(self, line: int, angle: Mapping[int, Any]) -> Any:
        """Return the flow over a line, from its first bus to its second (MW)."""
        i, j = self.line[line]
        return self.susceptance[line] * (angle[i] - angle[j])


class OfPower(Constraint[Dispatch, Variables]):
    """A constraint on powers, in MW."""

    @property
    def tolerance(self) -> Number:
        return POWER_TOLERANCE


class OfAngle(Constraint[Dispatch, Variables]):
    """A constraint on angles, in degrees."""

    @property
    def tolerance(self) -> Number:
        return ANGLE_TOLERANCE


@dataclass(frozen=True)
class Balance(OfPower):
    """``limit``: what may be missing. ``ends``: (other bus, susceptance) of each line of the bus."""

    kind: ClassVar[str] = "balance"
    constraint_class: ClassVar[str] = "balance"
    hereditary: ClassVar[bool] = False
    bus: int
    demand: Fraction
    generators: tuple[int, ...]
    ends: tuple[tuple[int, Fraction], ...]
    limit: Fraction = Fraction(0)

    def say(self, names: Names) -> str:
        made = names.several("generator", self.generators) if self.generators else "none"
        return (
            f"At {names.one('bus', self.bus)}, {names.word('generation')} ({made}) minus {names.word('demand')} differs"
            f" from the total flow out over its {names.all('line')} by {decimal(self.limit)} MW at most."
        )

    def check(self, answer: Dispatch) -> Number:
        generation, angle = answer
        own = angle[self.bus]
        flow_out = sum((b * (own - angle[j]) for j, b in self.ends), Fraction(0))
        return self.limit - abs(sum((generation[g] for g in self.generators), Fraction(0)) - self.demand - flow_out)

    def post(self, model: Any, x: Variables) -> None:
        injected = sum(x[0][g] for g in self.generators) - sum(
            float(b) * x[1][self.bus] - float(b) * x[1][j] for j, b in self.ends
        )
        low, high = float(self.demand - self.limit), float(self.demand + self.limit)
        model.add_linear_constraint(injected >= low)
        model.add_linear_constraint(injected <= high)


@dataclass(frozen=True)
class Reference(OfAngle):
    kind: ClassVar[str] = "reference"
    constraint_class: ClassVar[str] = "structure"
    bus: int
    limit: Fraction = Fraction(0)

    def say(self, names: Names) -> str:
        angle, bus = names.word("angle"), names.one("bus", self.bus)
        return f"The {angle} of {bus} differs from zero by {decimal(self.limit)} degrees at most."

    def check(self, answer: Dispatch) -> Number:
        return self.limit - abs(answer[1][self.bus])

    def post(self, model: Any, x: Variables) -> None:
        model.add_linear_constraint(x[1][self.bus] <= float(self.limit))
        model.add_linear_constraint(x[1][self.bus] >= -float(self.limit))


@dataclass(frozen=True)
class GenerationMax(OfPower):
    kind: ClassVar[str] = "generation_max"
    constraint_class: ClassVar[str] = "domain"
    generator: int
    limit: Fraction

    def say(self, names: Names) -> str:
        generator = names.one("generator", self.generator)
        return f"The {names.word('generation')} of {generator} is at most {decimal(self.limit)} MW."

    def check(self, answer: Dispatch) -> Number:
        return self.limit - answer[0][self.generator]

    def post(self, model: Any, x: Variables) -> None:
        model.add_linear_constraint(x[0][self.generator] <= float(self.limit))


@dataclass(frozen=True)
class GenerationMin(OfPower):
    kind: ClassVar[str] = "generation_min"
    constraint_class: ClassVar[str] = "domain"
    hereditary: ClassVar[bool] = False
    generator: int
    limit: Fraction

    def say(self, names: Names) -> str:
        generator = names.one("generator", self.generator)
        return f"The {names.word('generation')} of {generator} is at least {decimal(self.limit)} MW."

    def check(self, answer: Dispatch) -> Number:
        return answer[0][self.generator] - self.limit

    def post(self, model: Any, x: Variables) -> None:
        model.add_linear_constraint(x[0][self.generator] >= float(self.limit))


@dataclass(frozen=True)
class FlowLimit(OfPower):
    kind: ClassVar[str] = "flow_limit"
    constraint_class: ClassVar[str] = "capacity"
    hereditary: ClassVar[bool] = False
    line: int
    ends: tuple[int, int]
    susceptance: Fraction
    limit: Fraction

    def say(self, names: Names) -> str:
        line = names.one("line", self.line)
        return f"The flow over {line} is at most {decimal(self.limit)} MW in either direction."

    def check(self, answer: Dispatch) -> Number:
        i, j = self.ends
        return self.limit - abs(self.susceptance * (answer[1][i] - answer[1][j]))

    def post(self, model: Any, x: Variables) -> None:
        tail, head = (x[1][bus] for bus in self.ends)
        for sign in (1.0, -1.0):
            model.add_linear_constraint(sign * float(self.susceptance) * (tail - head) <= float(self.limit))


@dataclass(frozen=True)
class Reserve(OfPower):
    kind: ClassVar[str] = "reserve"
    constraint_class: ClassVar[str] = "capacity"
    generators: tuple[int, ...]
    most: tuple[Fraction, ...]
    limit: Fraction

    def say(self, names: Names) -> str:
        chosen = names.several("generator", self.generators)
        return f"The capacity of {chosen} that is not used is at least {decimal(self.limit)} MW in total."

    def check(self, answer: Dispatch) -> Number:
        return sum((most - answer[0][g] for g, most in zip(self.generators, self.most, strict=True)), -self.limit)

    def post(self, model: Any, x: Variables) -> None:
        model.add_linear_constraint(sum(x[0][g] for g in self.generators) <= float(sum(self.most) - self.limit))


@dataclass(frozen=True)
class AngleDifference(OfAngle):
    kind: ClassVar[str] = "angle_difference"
    constraint_class: ClassVar[str] = "logical"
    hereditary: ClassVar[bool] = False
    ends: tuple[int, int]
    limit: Fraction

    def say(self, names: Names) -> str:
        first, second = (names.one("bus", bus) for bus in self.ends)
        return f"The {names.all('angle')} of {first} and {second} differ by at most {decimal(self.limit)} degrees."

    def check(self, answer: Dispatch) -> Number:
        return self.limit - abs(answer[1][self.ends[0]] - answer[1][self.ends[1]])

    def post(self, model: Any, x: Variables) -> None:
        difference = x[1][self.ends[0]] - x[1][self.ends[1]]
        model.add_linear_constraint(difference <= float(self.limit))
        model.add_linear_constraint(difference >= -float(self.limit))


@dataclass(frozen=True)
class Interface(OfPower):
    """The sum of the flows over some lines, each from its first bus to its second."""

    kind: ClassVar[str] = "interface"
    constraint_class: ClassVar[str] = "capacity"
    hereditary: ClassVar[bool] = False
    lines: tuple[int, ...]
    ends: tuple[tuple[int, int], ...]
    susceptance: tuple[Fraction, ...]
    limit: Fraction

    def say(self, names: Names) -> str:
        return (
            f"The flows over {names.several('line', self.lines)}, added with their signs, are at most"
            f" {decimal(self.limit)} MW."
        )

    def check(self, answer: Dispatch) -> Number:
        angle = answer[1]
        flows = [b * (angle[i] - angle[j]) for (i, j), b in zip(self.ends, self.susceptance, strict=True)]
        return self.limit - sum(flows)

    def post(self, model: Any, x: Variables) -> None:
        total = 0.0
        for (i, j), b in zip(self.ends, self.susceptance, strict=True):
            total = total + float(b) * x[1][i] - float(b) * x[1][j]
        model.add_linear_constraint(total <= float(self.limit))


@dataclass(frozen=True)
class GenerationCost(Objective[Dispatch, Variables]):
    direction: ClassVar[Any] = "min"
    cost: tuple[Fraction, ...]

    @property
    def tolerance(self) -> Number:
        return COST_TOLERANCE

    def noun(self, names: Names) -> str:
        return f"the total {names.word('cost')} of {names.word('generation')}"

    def of(self, answer: Dispatch) -> Number:
        return sum((c * answer[0][g] for g, c in enumerate(self.cost)), Fraction(0))

    def post(self, model: Any, x: Variables) -> Any:
        return sum(float(c) * x[0][g] for g, c in enumerate(self.cost))


def from_case(text: str) -> DcOpfData:
    """Return the DC problem of a MATPOWER case, as PGLib-OPF's baseline has it (Babaeinejadsarookolaee et al. 2019).

    The susceptance of a branch is x / (r^2 + x^2), whatever its ratio. Raises ValueError where costs are not linear.
    """
    case = read_case(text)
    place = {bus.number: i for i, bus in enumerate(case.buses)}
    branches = [b for b in case.branches if b.on]
    running = [(g, cost) for g, cost in zip(case.generators, case.costs, strict=True) if g.on]
    if any(b.shift for b in branches):
        raise ValueError("branches with phase shifts are not supported")
    for _, cost in running:
        if not cost.coefficients or any(cost.coefficients[:-2]) or cost.coefficients[-1]:
            raise ValueError("generator costs that are not linear in the output are not supported")
    per_degree = case.base_mva * Fraction(str(pi)) / 180
    return DcOpfData(
        demand=tuple(bus.load + bus.shunt for bus in case.buses),
        line=tuple((place[b.start], place[b.end]) for b in branches),
        susceptance=tuple(
            round(per_degree * b.reactance / (b.resistance**2 + b.reactance**2), SUSCEPTANCE_PLACES) for b in branches
        ),
        limit=tuple(b.rate_a for b in branches),
        site=tuple(place[g.bus] for g, _ in running),
        least=tuple(g.output_min for g, _ in running),
        most=tuple(g.output_max for g, _ in running),
        cost=tuple(cost.coefficients[-2] if len(cost.coefficients) > 1 else Fraction(0) for _, cost in running),
        keeping=(),
        reserve=Fraction(0),
        apart=(),
        interface=(),
        transfer=Fraction(0),
    )


class DcOpf(Optimization[DcOpfData, Dispatch, Variables]):
    name: ClassVar[str] = "dc_opf"
    version: ClassVar[int] = 1
    title: ClassVar[str] = "Direct-current optimal power flow"
    data = DcOpfData
    sizes: ClassVar[Any] = ladder(
        DcOpfKnobs,
        buses=(3, 5, 9, 14, 20),
        extra=(1, 2, 4, 7, 10),
        generators=(2, 3, 4, 5, 7),
        pairs=(1, 2, 3, 4, 5),
    )
    core_kinds: ClassVar[tuple[str, ...]] = (
        "balance",
        "reference",
        "generation_max",
        "generation_min",
        "flow_limit",
    )
    modules: ClassVar[Any] = {
        "reserve": lambda d: [Reserve(d.keeping, tuple(d.most[g] for g in d.keeping), d.reserve)],
        "angle_difference": lambda d: [AngleDifference(d.line[k], limit) for k, limit in d.apart],
        "interface": lambda d: [
            Interface(
                d.interface,
                tuple(d.line[k] for k in d.interface),
                tuple(d.susceptance[k] for k in d.interface),
                d.transfer,
            )
        ],
    }
    target_share: ClassVar[Fraction] = Fraction(103, 100)
    formats: ClassVar[Any] = {"matpower": from_case}

    def draw(self, knobs: DcOpfKnobs, stream: Stream) -> DcOpfData:
        """Hide a feasible dispatch in the data: limits leave a little room round its flows, so that cheapest-first
        generation overloads lines."""
        n, count = knobs.buses, knobs.generators
        tree = [(stream(f"tree {i}").integer(0, i - 1), i) for i in range(1, n)]
        others = [(i, j) for i in range(n) for j in range(i + 1, n) if (i, j) not in tree]
        lines = sorted([*tree, *stream("extra").sample(others, min(knobs.extra, len(others)))])
        susceptance = tuple(map(Fraction, stream("susceptance").integers(len(lines), 10, 40)))
        demand = [Fraction(5 * stream(f"demand {i}").integer(2, 18)) for i in range(n)]
        for i in stream("idle").sample(range(n), n // 3):
            demand[i] = Fraction(0)
        total = sum(demand, Fraction(0))
        site = tuple(sorted(stream("site").sample(range(n), count)))
        # The hidden dispatch: shares of the total demand, the last generator makes the rest.
        weights = stream("share").integers(count, 2, 9)
        hidden = [Fraction(total * w // sum(weights)) for w in weights]
        hidden[-1] += total - sum(hidden)
        most = tuple(
            Fraction(5 * -(-made // 5)) + 5 * stream(f"room {g}").integer(4, 14) for g, made in enumerate(hidden)
        )
        least = tuple(
            Fraction(5 * int(made * stream(f"least {g}").integer(0, 60) // 500)) for g, made in enumerate(hidden)
        )
        bare = DcOpfData(
            demand=tuple(demand),
            line=tuple(lines),
            susceptance=susceptance,
            limit=(),
            site=site,
            least=least,
            most=most,
            cost=tuple(map(Fraction, stream("cost").sample(range(10, 60), count))),
            keeping=(),
            reserve=Fraction(0),
            apart=(),
            interface=(),
            transfer=Fraction(0),
        )
        angle = dict(enumerate(angles(bare, hidden)))
        flow = [bare.flow(k, angle) for k in range(len(lines))]
        room = [Fraction(stream(f"limit {k}").integer(105, 140), 100) for k in range(len(lines))]
        steep = sorted(range(len(lines)), key=lambda k: -abs(angle[lines[k][0]] - angle[lines[k][1]]))[: knobs.pairs]
        crossing = tuple(sorted(stream("interface").sample(range(len(lines)), min(3, len(lines) - 1))))
        cheap = sorted(range(count), key=lambda g: bare.cost[g])[: (count + 1) // 2]
        spare = sum((most[g] - hidden[g] for g in cheap), Fraction(0))
        return DcOpfData(
            **vars(bare)
            | {
                "limit": tuple(Fraction(max(5, 1 + int(abs(f) * r))) for f, r in zip(flow, room, strict=True)),
                "keeping": tuple(sorted(cheap)),
                "reserve": Fraction(int(spare * Fraction(9, 10))),
                "apart": tuple(
                    (k, Fraction(1 + int(10 * abs(angle[lines[k][0]] - angle[lines[k][1]]) * room[k]), 10))
                    for k in sorted(steep)
                ),
                "interface": crossing,
                "transfer": Fraction(1 + int(sum(flow[k] for k in crossing) + 4)),
            }
        )

    def form(self, d: DcOpfData) -> Joint:
        return Joint(self.quantities(d))

    def quantities(self, d: DcOpfData) -> tuple[QuantityOf, QuantityOf]:
        """Return the two parts of an answer."""
        return (
            QuantityOf("generator", "generation", "MW", tuple(zip(d.least, d.most, strict=True)), POWER_PLACES),
            QuantityOf("bus", "angle", "degrees", ((-ANGLES, ANGLES),) * len(d.demand), ANGLE_PLACES),
        )

    def entities(self, d: DcOpfData) -> Mapping[str, int]:
        return {"bus": len(d.demand), "line": len(d.line), "generator": len(d.site)}

    def core(self, d: DcOpfData) -> list[Constraint[Dispatch, Any]]:
        ends: list[list[tuple[int, Fraction]]] = [[] for _ in d.demand]
        for (i, j), b in zip(d.line, d.susceptance, strict=True):
            ends[i].append((j, b))
            ends[j].append((i, b))
        at = [tuple(g for g, bus in enumerate(d.site) if bus == i) for i in range(len(d.demand))]
        return [
            *(Balance(i, demand, at[i], tuple(ends[i])) for i, demand in enumerate(d.demand)),
            Reference(0),
            *(GenerationMax(g, most) for g, most in enumerate(d.most)),
            *(GenerationMin(g, least) for g, least in enumerate(d.least)),
            *(FlowLimit(k, d.line[k], d.susceptance[k], limit) for k, limit in enumerate(d.limit) if limit),
        ]

    def objective(self, d: DcOpfData) -> GenerationCost:
        return GenerationCost(d.cost)

    def greedy(self, d: DcOpfData, fits: Fits[Dispatch]) -> Dispatch:
        """Merit order: the cheapest generators first, and the flows that this leads to, whatever the lines hold."""
        made = list(d.least)
        missing = sum(d.demand, Fraction(0)) - sum(made)
        for g in sorted(range(len(d.cost)), key=lambda g: d.cost[g]):
            more = max(Fraction(0), min(missing, d.most[g] - made[g]))
            made[g] += more
            missing -= more
        power, angle = self.quantities(d)
        found = angles(d, made)
        return (
            Partial({g: power.rounded(p) for g, p in enumerate(made)}),
            Partial({i: angle.rounded(a) for i, a in enumerate(found)}),
        )

    def template_answer(self, instance: Instance, mode: Mode) -> Dispatch:
        """Return the flat start: every angle 0, generation in proportion to capacity."""
        d: DcOpfData = instance.data  # type: ignore[assignment]
        share = sum(d.demand) / sum(d.most)
        power, _ = self.quantities(d)
        return (
            Partial({g: power.rounded(most * share) for g, most in enumerate(d.most)}),
            Partial(dict.fromkeys(range(len(d.demand)), Fraction(0))),
        )

    def intro(self, d: DcOpfData, names: Names) -> str:
        buses = table(
            [names.word("bus"), f"{names.word('demand')} (MW)"],
            [(names.label("bus", i), decimal(d.demand[i])) for i in names.listed("bus", len(d.demand))],
        )
        lines = table(
            [names.word("line"), "from", "to", "susceptance (MW per degree)"],
            [
                (
                    names.label("line", k),
                    *(names.one("bus", bus) for bus in d.line[k]),
                    decimal(d.susceptance[k]),
                )
                for k in names.listed("line", len(d.line))
            ],
        )
        generators = table(
            [names.word("generator"), "stands at", names.word("cost")],
            [
                (names.label("generator", g), names.one("bus", d.site[g]), decimal(d.cost[g]))
                for g in names.listed("generator", len(d.site))
            ],
        )
        bus, line, cost, angle = (names.word(term) for term in ("bus", "line", "cost", "angle"))
        return (
            f"Run this direct-current power network: decide the {names.word('generation')} of each"
            f" {names.word('generator')} (MW) and the voltage {angle} of each {bus} (degrees).\n\n"
            f"{buses}\n\n{lines}\n\n{generators}\n\n"
            f"The flow over a {line} from its first {bus} to its second (MW) is its susceptance times the {angle} of"
            f" the first minus that of the second; a negative flow goes the other way. The {cost} is per MW. Rules"
            f" about powers are checked with a tolerance of {decimal(POWER_TOLERANCE)} MW, rules about"
            f" {names.all('angle')} with one of {decimal(ANGLE_TOLERANCE)} degrees, and a total {cost} within"
            f" {decimal(COST_TOLERANCE)} of another counts as equal: give the {names.all('angle')} with four or more"
            " decimals."
        )

    def sketch(self, instance: Instance) -> Graph:
        d: DcOpfData = instance.data  # type: ignore[assignment]
        names, (generation, angle) = instance.names, instance.answer
        given = {i: sum(generation[g] for g, bus in enumerate(d.site) if bus == i) for i in d.site}
        nodes = tuple(
            Node(
                names.label("bus", i),
                *place,
                names.word("generator") if i in given else "",
                " ".join(f"{float(v):+.3g}" for v in (given.get(i, 0), -d.demand[i]) if v),
            )
            for i, place in enumerate(untangled(len(d.demand), d.line))
        )
        edges = []
        for k, (i, j) in enumerate(d.line):
            flow, limit = float(d.flow(k, angle)), float(d.limit[k])
            group = "at its limit" if limit and abs(flow) > 0.999 * limit else ""
            label = f"{abs(flow):.3g}/{limit:g}" if limit else f"{abs(flow):.3g}"
            edges.append(Edge(i, j, group, label) if flow >= 0 else Edge(j, i, group, label))
        bus, line = names.word("bus"), names.word("line")
        caption = f"beside a {bus}: generation and demand (MW); on a {line}: flow / limit (MW)"
        return Graph(nodes, tuple(edges), arrows=True, caption=caption)


def angles(d: DcOpfData, generation: Sequence[Fraction]) -> list[Fraction]:
    """Return the angles (degrees) at which the flows meet demand and generation everywhere but at the first bus."""
    n = len(d.demand)
    injected = [-demand for demand in d.demand]
    for g, bus in enumerate(d.site):
        injected[bus] += generation[g]
    matrix = [[Fraction(0)] * n for _ in range(n)]
    for (i, j), b in zip(d.line, d.susceptance, strict=True):
        for p, q in ((i, j), (j, i)):
            matrix[p][p] += b
            matrix[p][q] -= b
    rest = solved([row[1:] for row in matrix[1:]], injected[1:])
    if rest is None:
        raise ArithmeticError("the network is not connected")
    return [Fraction(0), *rest]
