"""Capacitated facility location, each customer served by one facility (Holmberg, Ronnqvist and Yuan 1999).

Modules, the side constraints of ConstraintBench (2026): ``max_distance`` (of a customer to its facility),
``must_open``, ``must_close``, ``min_facilities``, ``max_facilities``, ``budget_limit`` (of the fixed costs),
``exclusion`` (not both facilities) and ``conditional`` (a facility only with another).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import accumulate
from math import isqrt
from typing import Any, ClassVar, TypeAlias

from solvers.constrained import Fits, Optimization
from solvers.formats.common import LARGEST, FormatError, Number, number, quoted, rows
from solvers.formats.orlibrary import read_cap
from solvers.keys import Stream
from solvers.names import Costume, Names, sentence
from solvers.problem import Constraint, Data, Famous, Instance, Knobs, Objective, ladder
from solvers.shapes import Joint, MapOf, Partial, SubsetOf
from solvers.sketches import Bars, limited, stacked

Plan: TypeAlias = tuple[frozenset[int], Partial[int, int]]  # open facilities, customer -> facility
SIDE = 50  # of the square in which all lie
DECIMALS = 5  # that a file may have
BASE = (10, 40)  # of a fixed cost; the rest of it grows with the capacity


@dataclass(frozen=True, kw_only=True)
class FacilityLocationKnobs(Knobs):
    facilities: int
    customers: int
    opened: int  # facilities of a plan hidden in the data
    closed: int  # facilities that must stay closed
    exclusions: int
    conditionals: int


@dataclass(frozen=True)
class FacilityLocationData(Data):
    capacity: tuple[int, ...]  # by facility
    fixed: tuple[int, ...]
    unit: tuple[int, ...]
    demand: tuple[int, ...]  # by customer
    distance: tuple[tuple[int, ...], ...]  # by customer, by facility
    farthest: int = 0
    must_open: tuple[int, ...] = ()
    must_close: tuple[int, ...] = ()
    fewest: int = 0
    most: int = 0
    budget: int = 0
    exclusions: tuple[tuple[int, int], ...] = ()
    conditionals: tuple[tuple[int, int], ...] = ()  # (facility, the one that it needs)


class Variables(tuple[Any, ...]):
    """Is it open: by facility; does it serve: by (customer, facility).

    ``follows`` posts what the core as a whole implies and no constraint of it alone: without that, proofs of large
    instances take five times as long.
    """

    def __init__(self, parts: tuple[Any, ...]) -> None:
        self._posted: dict[tuple[str, int], Constraint[Any, Any]] = {}

    def follows(self, model: Any, constraint: Constraint[Any, Any], number: int) -> None:
        """Note that a constraint is posted. After the last one of the core, post that a facility holds what it serves
        where it is open and nothing where it is not, that it serves no more customers than fit, and that all fit.

        ``number``: the constraint's among those of its kind.
        """
        is_open, serves = self
        self._posted[constraint.kind, number] = constraint
        capacities = [c for c in self._posted.values() if isinstance(c, Capacity)]
        if len(capacities) < len(is_open) or len(self._posted) < len(is_open) + 2 * len(capacities[0].demand):
            return
        for c in capacities:
            served = [serves[i, c.facility] for i in range(len(c.demand))]
            load = sum(size * one for size, one in zip(c.demand, served, strict=True))
            model.add(load <= c.limit * is_open[c.facility])
            fitting = sum(sizes <= c.limit for sizes in accumulate(sorted(c.demand)))
            model.add(sum(served) <= fitting * is_open[c.facility])
        model.add(sum(c.limit * is_open[c.facility] for c in capacities) >= sum(capacities[0].demand))


@dataclass(frozen=True)
class PlanOf(Joint):
    """The open facilities and the facility of each customer."""

    def variables(self, model: Any) -> Variables:
        return Variables(super().variables(model))


@dataclass(frozen=True)
class SingleSource(Constraint[Plan, Variables]):
    kind: ClassVar[str] = "single_source"
    constraint_class: ClassVar[str] = "structure"
    customer: int
    facilities: int

    def say(self, names: Names) -> str:
        return f"Every {names.word('customer')} is served by exactly one {names.word('facility')}."

    def check(self, answer: Plan) -> int:
        return 0 if 0 <= answer[1][self.customer] < self.facilities else -1

    def post(self, model: Any, x: Variables) -> None:
        model.add_exactly_one(x[1][self.customer, j] for j in range(self.facilities))
        x.follows(model, self, self.customer)


@dataclass(frozen=True)
class Open(Constraint[Plan, Variables]):
    kind: ClassVar[str] = "open"
    constraint_class: ClassVar[str] = "logical"
    hereditary: ClassVar[bool] = False
    customer: int
    facilities: int

    def say(self, names: Names) -> str:
        return f"Every {names.word('facility')} that serves any {names.word('customer')} is open."

    def check(self, answer: Plan) -> int:
        return 0 if answer[1][self.customer] in answer[0] else -1

    def post(self, model: Any, x: Variables) -> None:
        for j in range(self.facilities):
            model.add_implication(x[1][self.customer, j], x[0][j])
        x.follows(model, self, self.customer)


@dataclass(frozen=True)
class Capacity(Constraint[Plan, Variables]):
    kind: ClassVar[str] = "capacity"
    constraint_class: ClassVar[str] = "capacity"
    facility: int
    demand: tuple[int, ...]
    limit: int

    def say(self, names: Names) -> str:
        who, where = names.all("customer"), names.one("facility", self.facility)
        return f"The total {names.word('demand')} of the {who} that {where} serves is at most {self.limit}."

    def check(self, answer: Plan) -> int:
        return self.limit - sum(self.demand[i] for i, j in answer[1].items() if j == self.facility)

    def post(self, model: Any, x: Variables) -> None:
        model.add(sum(size * x[1][i, self.facility] for i, size in enumerate(self.demand)) <= self.limit)
        x.follows(model, self, self.facility)


@dataclass(frozen=True)
class MaxDistance(Constraint[Plan, Variables]):
    """``distance``: of the customer to each facility."""

    kind: ClassVar[str] = "max_distance"
    constraint_class: ClassVar[str] = "domain"
    customer: int
    distance: tuple[int, ...]
    limit: int

    def say(self, names: Names) -> str:
        facility = names.word("facility")
        return (
            f"The {names.word('distance')} of every {names.word('customer')} to the {facility} that serves it is at"
            f" most {self.limit}."
        )

    def check(self, answer: Plan) -> int:
        return self.limit - self.distance[answer[1][self.customer]]

    def post(self, model: Any, x: Variables) -> None:
        for j, away in enumerate(self.distance):
            if away > self.limit:
                model.add(x[1][self.customer, j] == 0)


@dataclass(frozen=True)
class MustOpen(Constraint[Plan, Variables]):
    kind: ClassVar[str] = "must_open"
    constraint_class: ClassVar[str] = "logical"
    hereditary: ClassVar[bool] = False
    facility: int

    def say(self, names: Names) -> str:
        return f"{sentence(names.one('facility', self.facility))} is open."

    def check(self, answer: Plan) -> int:
        return 0 if self.facility in answer[0] else -1

    def post(self, model: Any, x: Variables) -> None:
        model.add(x[0][self.facility] == 1)


@dataclass(frozen=True)
class MustClose(Constraint[Plan, Variables]):
    kind: ClassVar[str] = "must_close"
    constraint_class: ClassVar[str] = "logical"
    facility: int

    def say(self, names: Names) -> str:
        return f"{sentence(names.one('facility', self.facility))} stays closed."

    def check(self, answer: Plan) -> int:
        return 0 - (self.facility in answer[0])

    def post(self, model: Any, x: Variables) -> None:
        model.add(x[0][self.facility] == 0)


@dataclass(frozen=True)
class MinFacilities(Constraint[Plan, Variables]):
    kind: ClassVar[str] = "min_facilities"
    constraint_class: ClassVar[str] = "logical"
    hereditary: ClassVar[bool] = False
    limit: int

    def say(self, names: Names) -> str:
        return f"The number of open {names.all('facility')} is at least {self.limit}."

    def check(self, answer: Plan) -> int:
        return len(answer[0]) - self.limit

    def post(self, model: Any, x: Variables) -> None:
        model.add(sum(x[0]) >= self.limit)


@dataclass(frozen=True)
class MaxFacilities(Constraint[Plan, Variables]):
    kind: ClassVar[str] = "max_facilities"
    constraint_class: ClassVar[str] = "logical"
    limit: int

    def say(self, names: Names) -> str:
        return f"The number of open {names.all('facility')} is at most {self.limit}."

    def check(self, answer: Plan) -> int:
        return self.limit - len(answer[0])

    def post(self, model: Any, x: Variables) -> None:
        model.add(sum(x[0]) <= self.limit)


@dataclass(frozen=True)
class BudgetLimit(Constraint[Plan, Variables]):
    kind: ClassVar[str] = "budget_limit"
    constraint_class: ClassVar[str] = "capacity"
    fixed: tuple[int, ...]
    limit: int

    def say(self, names: Names) -> str:
        return f"The total {names.word('fixed cost')} of the open {names.all('facility')} is at most {self.limit}."

    def check(self, answer: Plan) -> int:
        return self.limit - sum(self.fixed[j] for j in answer[0])

    def post(self, model: Any, x: Variables) -> None:
        model.add(sum(cost * x[0][j] for j, cost in enumerate(self.fixed)) <= self.limit)


@dataclass(frozen=True)
class Exclusion(Constraint[Plan, Variables]):
    kind: ClassVar[str] = "exclusion"
    constraint_class: ClassVar[str] = "logical"
    pair: tuple[int, int]

    def say(self, names: Names) -> str:
        first, second = (names.one("facility", j) for j in self.pair)
        return f"{sentence(first)} and {second} are not both open."

    def check(self, answer: Plan) -> int:
        return 1 - len(answer[0].intersection(self.pair))

    def post(self, model: Any, x: Variables) -> None:
        model.add_at_most_one(x[0][j] for j in self.pair)


@dataclass(frozen=True)
class Conditional(Constraint[Plan, Variables]):
    kind: ClassVar[str] = "conditional"
    constraint_class: ClassVar[str] = "logical"
    hereditary: ClassVar[bool] = False
    facility: int
    needed: int

    def say(self, names: Names) -> str:
        facility, needed = names.one("facility", self.facility), names.one("facility", self.needed)
        return f"If {facility} is open, {needed} is open too."

    def check(self, answer: Plan) -> int:
        return -1 if self.facility in answer[0] and self.needed not in answer[0] else 0

    def vacuous(self, answer: Plan) -> bool:
        return self.facility not in answer[0]

    def post(self, model: Any, x: Variables) -> None:
        model.add_implication(x[0][self.facility], x[0][self.needed])


@dataclass(frozen=True)
class TotalCost(Objective[Plan, Variables]):
    direction: ClassVar[Any] = "min"
    fixed: tuple[int, ...]
    unit: tuple[int, ...]
    demand: tuple[int, ...]
    distance: tuple[tuple[int, ...], ...]

    def noun(self, names: Names) -> str:
        return f"the total {names.word('cost')}"

    def of(self, answer: Plan) -> int:
        chosen, home = answer
        serving = (self.demand[i] * self.unit[home[i]] + self.distance[i][home[i]] for i in range(len(self.demand)))
        return sum(self.fixed[j] for j in chosen) + sum(serving)

    def post(self, model: Any, x: Variables) -> Any:
        serving = (
            (size * price + away) * x[1][i, j]
            for i, (size, row) in enumerate(zip(self.demand, self.distance, strict=True))
            for j, (price, away) in enumerate(zip(self.unit, row, strict=True))
        )
        return sum(cost * x[0][j] for j, cost in enumerate(self.fixed)) + sum(serving)


@dataclass(frozen=True)
class CostLeft(TotalCost):
    """The mirror of the total cost: what it leaves of a grant."""

    direction: ClassVar[Any] = "max"
    grant: int

    def noun(self, names: Names) -> str:
        return f"what is left of a grant of {self.grant} after {super().noun(names)}"

    def of(self, answer: Plan) -> int:
        return self.grant - super().of(answer)

    def post(self, model: Any, x: Variables) -> Any:
        return (
            self.grant
            + sum(-cost * x[0][j] for j, cost in enumerate(self.fixed))
            + sum(
                -(size * price + away) * x[1][i, j]
                for i, (size, row) in enumerate(zip(self.demand, self.distance, strict=True))
                for j, (price, away) in enumerate(zip(self.unit, row, strict=True))
            )
        )


def warehouses(fixed: int, capacity: str, cost: str) -> FacilityLocationData:
    """Return a problem of equal fixed costs and demands of 1; its costs are written row by row."""
    distance = tuple(tuple(map(int, row.split())) for row in cost.split("/"))
    room = tuple(map(int, capacity.split()))
    return FacilityLocationData(room, (fixed,) * len(room), (0,) * len(room), (1,) * len(distance), distance)


FAMOUS = (
    Famous(
        "warehouses",
        "s",
        warehouses(
            30,
            "1 4 2 1 3",
            "20 24 11 25 30 / 28 27 82 83 74 / 74 97 71 96 70 / 2 55 73 69 61 / 46 96 59 83 4 /"
            "42 22 29 67 59 / 1 5 73 59 56 / 10 73 13 43 96 / 93 35 63 85 46 / 47 65 55 71 95",
        ),
        383,
        "Van Hentenryck, The OPL Optimization Programming Language, 1999; problem 34 of CSPLib",
    ),
)


def from_file(text: str) -> FacilityLocationData:
    """Return the problem of an OR-Library file cap*, each customer served by one warehouse. Raises FormatError.

    (Its published optima let deliveries be split.) The cost of serving a customer takes the place of the distance.
    Costs with decimals are all multiplied by the least power of ten that makes them whole; so are capacities and
    demands.
    """
    read = read_cap(text)
    finest = 10**DECIMALS
    for row in rows(text):
        for word in row.words:
            value = number(word, row.line, "a number")
            if not (0 <= value * finest <= LARGEST and (value * finest).denominator == 1):
                most = f"a number from 0 to {LARGEST // finest} with at most {DECIMALS} decimals"
                raise FormatError(row.line, most, quoted(word))
    amounts = whole((read.capacity, read.demand))
    costs = whole((read.fixed, *read.cost))
    return FacilityLocationData(
        capacity=amounts[0], fixed=costs[0], unit=(0,) * len(read.capacity), demand=amounts[1], distance=costs[1:]
    )


def whole(numbers: tuple[tuple[Number, ...], ...]) -> tuple[tuple[int, ...], ...]:
    """Return numbers times the least power of ten that makes all of them whole."""
    factor = 1
    while any((value * factor).denominator > 1 for row in numbers for value in row):
        factor *= 10
    return tuple(tuple(int(value * factor) for value in row) for row in numbers)


COSTUMES = (
    Costume(
        "A health service plans where to vaccinate the people of a valley.",
        {
            "facility": ("clinic", "clinics"),
            "customer": ("village", "villages"),
            "demand": ("need of doses", "needs of doses"),
            "distance": ("travel time", "travel times"),
            "cost": ("expense", "expenses"),
            "fixed cost": ("rent", "rents"),
            "unit cost": ("expense per dose", "expenses per dose"),
        },
    ),
    Costume(
        "A publisher looks for places from which to hand out its evening paper.",
        {
            "facility": ("depot", "depots"),
            "customer": ("kiosk", "kiosks"),
            "demand": ("order of copies", "orders of copies"),
            "distance": ("driving time", "driving times"),
            "cost": ("effort", "efforts"),
            "fixed cost": ("effort of opening", "efforts of opening"),
            "unit cost": ("effort per copy", "efforts per copy"),
        },
    ),
    Costume(
        "A university moves the computing of its institutes to server rooms.",
        {
            "facility": ("server room", "server rooms"),
            "customer": ("institute", "institutes"),
            "demand": ("load", "loads"),
            "distance": ("cable length", "cable lengths"),
            "cost": ("price", "prices"),
            "fixed cost": ("price of setting up", "prices of setting up"),
            "unit cost": ("price per unit of load", "prices per unit of load"),
        },
    ),
)


class FacilityLocation(Optimization[FacilityLocationData, Plan, Any]):
    name: ClassVar[str] = "facility_location"
    version: ClassVar[int] = 1
    title: ClassVar[str] = "Capacitated facility location"
    data = FacilityLocationData
    sizes: ClassVar[Any] = ladder(
        FacilityLocationKnobs,
        facilities=(5, 6, 9, 11, 12),
        customers=(4, 8, 17, 21, 26),
        opened=(2, 3, 4, 5, 6),
        closed=(1, 1, 2, 2, 3),
        exclusions=(1, 2, 3, 4, 5),
        conditionals=(1, 1, 2, 3, 4),
    )
    core_kinds: ClassVar[tuple[str, ...]] = ("single_source", "open", "capacity")
    modules: ClassVar[Any] = {
        "max_distance": lambda d: [MaxDistance(i, row, d.farthest) for i, row in enumerate(d.distance)],
        "must_open": lambda d: [MustOpen(j) for j in d.must_open],
        "must_close": lambda d: [MustClose(j) for j in d.must_close],
        "min_facilities": lambda d: [MinFacilities(d.fewest)],
        "max_facilities": lambda d: [MaxFacilities(d.most)],
        "budget_limit": lambda d: [BudgetLimit(d.fixed, d.budget)],
        "exclusion": lambda d: [Exclusion(pair) for pair in d.exclusions],
        "conditional": lambda d: [Conditional(j, needed) for j, needed in d.conditionals],
    }
    target_share: ClassVar[Fraction] = Fraction(105, 100)
    costumes = COSTUMES
    formats: ClassVar[Any] = {"orlibrary": from_file}

    def draw(self, knobs: FacilityLocationKnobs, stream: Stream) -> FacilityLocationData:
        """Hide a plan in the data that keeps every rule."""
        n, m = knobs.customers, knobs.facilities
        distance = distances(stream("customers").matrix(n, 2, 0, SIDE), stream("facilities").matrix(m, 2, 0, SIDE))
        demand = stream("demand").integers(n, 5, 20)
        opened = sorted(stream("opened").sample(range(m), knobs.opened))
        home = [min(opened, key=lambda j: distance[i][j]) for i in range(n)]
        load = {j: sum(size for size, own in zip(demand, home, strict=True) if own == j) for j in opened}
        room = stream("room").integers(len(opened), 0, 12)
        tight = {j: max(load[j], *demand) + more for j, more in zip(opened, room, strict=True)}
        least, largest = min(tight.values()), max(tight.values())
        other = stream("capacity").integers(m, max(least // 2, *demand), largest)
        capacity = tuple(tight.get(j, other[j]) for j in range(m))
        # Large facilities cost more: a plan of many small ones and one of few large ones compete.
        fixed = tuple(
            base + 3 * size // 2 for base, size in zip(stream("fixed").integers(m, *BASE), capacity, strict=True)
        )
        unit = stream("unit").integers(m, 1, 4)
        must_open = (max(opened, key=lambda j: fixed[j]),)
        others = sorted((j for j in range(m) if j not in opened), key=lambda j: fixed[j] + 10 * unit[j])
        must_close = others[: knobs.closed]
        free = [j for j in range(m) if j not in must_close]
        apart = [(i, j) for i in free for j in free if i < j and not (i in opened and j in opened)]
        exclusions = sorted(stream("exclusions").sample(apart, knobs.exclusions))
        undecided = [j for j in free if j not in must_open]
        chains = [
            (i, j)
            for i in undecided
            for j in undecided
            if i != j and (j in opened or i not in opened) and tuple(sorted((i, j))) not in exclusions
        ]
        needing = {i: (i, j) for i, j in stream("conditionals").shuffled(chains)}  # one for each facility
        spare = stream("spare")
        return FacilityLocationData(
            capacity=capacity,
            fixed=fixed,
            unit=unit,
            demand=demand,
            distance=distance,
            farthest=max(row[j] for row, j in zip(distance, home, strict=True)),
            must_open=must_open,
            must_close=tuple(sorted(must_close)),
            fewest=len(opened) - spare("fewest").integer(0, 1),
            most=len(opened),
            budget=sum(fixed[j] for j in opened) + spare("budget").integer(0, 15),
            exclusions=tuple(exclusions),
            conditionals=tuple(sorted(stream("needing").sample(sorted(needing.values()), knobs.conditionals))),
        )

    def form(self, d: FacilityLocationData) -> PlanOf:
        n, m = len(d.demand), len(d.capacity)
        return PlanOf((SubsetOf("facility", m), MapOf("customer", n, "facility", m)))

    def core(self, d: FacilityLocationData) -> list[Constraint[Plan, Any]]:
        n, m = len(d.demand), len(d.capacity)
        return [
            *(SingleSource(i, m) for i in range(n)),
            *(Open(i, m) for i in range(n)),
            *(Capacity(j, d.demand, limit) for j, limit in enumerate(d.capacity)),
        ]

    def objective(self, d: FacilityLocationData) -> TotalCost:
        return TotalCost(d.fixed, d.unit, d.demand, d.distance)

    def inverted(self, d: FacilityLocationData) -> CostLeft:
        """The grant is what the dearest plan costs, in round figures."""
        dearest = (
            max(size * price + away for price, away in zip(d.unit, row, strict=True))
            for size, row in zip(d.demand, d.distance, strict=True)
        )
        hundreds = (sum(d.fixed) + sum(dearest)) // 100 + 1
        return CostLeft(d.fixed, d.unit, d.demand, d.distance, 100 * hundreds)

    def greedy(self, d: FacilityLocationData, fits: Fits[Plan]) -> Plan:
        """Serve the customers, the largest demand first, each as cheaply as it goes; where a facility is not open yet,
        its fixed cost counts too."""
        chosen: frozenset[int] = frozenset()
        home: Partial[int, int] = Partial()
        for i in sorted(range(len(d.demand)), key=lambda i: -d.demand[i]):
            extra = {
                j: d.demand[i] * d.unit[j] + d.distance[i][j] + (0 if j in chosen else d.fixed[j])
                for j in range(len(d.capacity))
            }
            for j in sorted(extra, key=lambda j: extra[j]):
                if fits((chosen | {j}, Partial({**home, i: j}))):
                    chosen, home = chosen | {j}, Partial({**home, i: j})
                    break
        return chosen, home

    def entities(self, d: FacilityLocationData) -> Mapping[str, int]:
        return {"facility": len(d.capacity), "customer": len(d.demand)}

    def intro(self, d: FacilityLocationData, names: Names) -> str:
        facility, customer, cost = names.word("facility"), names.word("customer"), names.word("cost")
        facilities, demand, distance = names.all("facility"), names.word("demand"), names.word("distance")
        columns, serving = {"fixed cost": d.fixed}, f"its {distance} to the {facility} that serves it"
        if any(d.unit):  # files know none
            columns["unit cost"] = d.unit
            serving = (
                f"its {demand} times the {names.word('unit cost')} of the {facility} that serves it, plus its"
                f" {distance} to that {facility}"
            )
        return "\n\n".join(
            [
                f"Choose which of these {facilities} to open, and which {facility} serves each {customer}. The chosen"
                f" {facilities} are open, all others are closed; an open {facility} need not serve any {customer}.",
                names.table("facility", columns),
                names.table("customer", {"demand": d.demand}),
                f"{sentence(distance)} of each {customer} to each {facility}:\n"
                + names.matrix("customer", d.distance, "facility"),
                f"The total {cost} is the sum of the {names.all('fixed cost')} of the open {facilities} and of what it"
                f" takes to serve each {customer}: {serving}.",
            ]
        )

    def famous(self) -> Sequence[Famous[FacilityLocationData]]:
        return FAMOUS

    def perturb(self, d: FacilityLocationData, stream: Stream) -> FacilityLocationData:
        """Draw the distances of two customers anew, each between half and one and a half times what it was."""
        changed = stream("customers").sample(range(len(d.demand)), 2)
        new = stream("distances")
        rows = [tuple(new.integer((v + 1) // 2, v + v // 2) for v in row) for row in d.distance]
        return replace(d, distance=tuple(rows[i] if i in changed else row for i, row in enumerate(d.distance)))

    def distracted(self, d: FacilityLocationData, extra: int, stream: Stream) -> FacilityLocationData:
        """Add facilities that are dear and, for most customers, far away (that none is of use, the solver says)."""
        count, dear = extra * len(d.capacity), max(d.fixed)
        far = max(map(max, d.distance))
        away = stream("away").matrix(len(d.demand), count, far // 3, far)
        return replace(
            d,
            capacity=d.capacity + stream("capacity").integers(count, min(d.capacity), max(d.capacity)),
            fixed=d.fixed + stream("fixed").integers(count, dear * 3 // 4, dear * 4 // 3),
            unit=d.unit + stream("unit").integers(count, 3, 5),
            distance=tuple(row + more for row, more in zip(d.distance, away, strict=True)),
        )

    def sketch(self, instance: Instance) -> Bars:
        """Return the demand of the customers that each facility serves, and its capacity."""
        d: FacilityLocationData = instance.data  # type: ignore[assignment]
        names, (opened, serving) = instance.names, instance.answer
        customers, sites = names.listed("customer", len(d.demand)), names.listed("facility", len(d.capacity))
        parts = [[(names.label("customer", i), d.demand[i], "") for i in customers if serving[i] == j] for j in sites]
        rows = [names.one("facility", j) + ("" if j in opened else " (closed)") for j in sites]
        axis = f"{names.word('demand')} of each {names.word('customer')}; line: {names.word('capacity')}"
        return limited(stacked(rows, parts, axis), [d.capacity[j] for j in sites])


def distances(places: tuple[tuple[int, ...], ...], others: tuple[tuple[int, ...], ...]) -> tuple[tuple[int, ...], ...]:
    """Return the straight distances of places to others, rounded up."""
    squares = [[(a - c) ** 2 + (b - e) ** 2 for c, e in others] for a, b in places]
    return tuple(tuple(isqrt(square - 1) + 1 if square else 0 for square in row) for row in squares)
