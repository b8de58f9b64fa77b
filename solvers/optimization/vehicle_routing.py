"""Capacitated vehicle routing (Dantzig and Ramser 1959): who visits which customers, in which order.

Modules: ``time_window`` (when a customer is reached), ``max_distance`` and ``max_stops`` (of a vehicle's route),
``must_visit`` (a vehicle that has to be the one that visits a customer) and ``incompatible`` (two customers not on one
route). In a problem of Solomon's (1987) every customer has a window: the windows belong to its core.

All customers are visited, as in the published problems, so ``must_visit`` can't say of a customer that it is not left
out: it says by whom it is visited. (With customers that may be left out for a fee, proofs take ten times as long.)
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import pairwise
from math import isqrt
from typing import Any, ClassVar, TypeAlias

from solvers.constrained import Fits, Optimization
from solvers.formats import cvrplib
from solvers.keys import Stream
from solvers.names import Costume, Names, sentence, table
from solvers.problem import Absent, Constraint, Data, Famous, Hole, Instance, Knobs, Objective, ladder
from solvers.shapes import Partial, RoutesOf, RouteVariables
from solvers.sketches import Edge, Graph, Node, in_plane
from solvers.variants import EXTRA

Routes: TypeAlias = Partial[int, tuple[int, ...]]  # vehicle -> its customers
Matrix: TypeAlias = tuple[tuple[int, ...], ...]
MANY = 11  # customers from which on the loads on the way are posted too: below, the solver loses time with them
SIDE = 50  # of the square in which depot and customers lie


@dataclass(frozen=True, kw_only=True)
class VehicleRoutingKnobs(Knobs):
    customers: int
    vehicles: int
    windows: int
    musts: int  # customers that a certain vehicle visits
    apart: int  # pairs that are not on one route
    spare: int  # most capacity beyond the load of a good route


@dataclass(frozen=True)
class VehicleRoutingData(Data):
    distance: Matrix  # from, to; 0 is the depot, i + 1 is customer i
    demand: tuple[int, ...]  # by customer
    capacity: tuple[int, ...]  # by vehicle
    windows: tuple[tuple[int, int, int], ...] = ()  # (customer, opening, closing)
    day: tuple[int, ...] = ()  # when vehicles leave at the earliest and when they are back; empty: from 0, without end
    service: tuple[int, ...] = ()  # by customer; empty: none takes time
    ranges: tuple[tuple[int, int], ...] = ()  # (vehicle, longest route)
    stops: tuple[tuple[int, int], ...] = ()  # (vehicle, most customers)
    musts: tuple[tuple[int, int], ...] = ()  # (vehicle, customer)
    apart: tuple[tuple[int, int], ...] = ()

    @property
    def timed(self) -> bool:
        """Whether the windows belong to the problem itself: every customer has one."""
        return len(self.windows) == len(self.demand)

    def clock(self) -> "Clock":
        """Return what arrivals depend on."""
        opens = {i: opening for i, opening, _ in self.windows}
        n = range(len(self.demand))
        service = self.service or (0,) * len(n)
        return Clock(self.distance, tuple(opens.get(i, 0) for i in n), service, (*self.day, 0)[0])


@dataclass(frozen=True)
class Clock:
    """What arrivals depend on: the ways, by customer its opening and the time at it, and when vehicles leave."""

    distance: Matrix
    opening: tuple[int, ...]
    service: tuple[int, ...]
    start: int

    def arrivals(self, route: Sequence[int]) -> list[int]:
        """Return when each customer of a route is reached, and at last the depot."""
        time, here, reached = self.start, 0, []
        for i in route:
            time += self.distance[here][i + 1]
            reached.append(time)
            time, here = max(time, self.opening[i]) + self.service[i], i + 1
        return [*reached, time + self.distance[here][0]]

    def posted(self, model: Any, x: RouteVariables) -> tuple[list[Any], list[Any]]:
        """Return variables of when each customer is reached and left, bounded from below by what it takes."""

        def make() -> tuple[list[Any], list[Any]]:
            n = range(x.stops)
            latest = self.start + max(self.opening) + sum(self.service) + sum(map(max, self.distance))
            reached = [model.new_int_var(0, latest, f"reached {i}") for i in n]
            left = [model.new_int_var(0, latest, f"left {i}") for i in n]
            for i in n:
                model.add(left[i] >= reached[i] + self.service[i])
                model.add(left[i] >= self.opening[i] + self.service[i])
                for k in range(x.vehicles):
                    model.add(reached[i] >= self.start + self.distance[0][i + 1]).only_enforce_if(x.first[k, i])
            for (i, j), literal in x.arc.items():
                model.add(reached[j] >= left[i] + self.distance[i + 1][j + 1]).only_enforce_if(literal)
            return reached, left

        found: tuple[list[Any], list[Any]] = x.once(("clock", self), make)
        return found


def visits(x: RouteVariables, customer: int) -> Any:
    """Return the expression of whether a customer is visited."""
    return sum(x.visit[k, customer] for k in range(x.vehicles))


def length(distance: Matrix, route: Sequence[int]) -> int:
    """Return the length of a route from the depot and back."""
    return sum(distance[a][b] for a, b in pairwise([0, *(i + 1 for i in route), 0]))


@dataclass(frozen=True)
class VisitOnce(Constraint[Routes, RouteVariables]):
    kind: ClassVar[str] = "visit_once"
    constraint_class: ClassVar[str] = "structure"
    hereditary: ClassVar[bool] = False
    customer: int

    def say(self, names: Names) -> str:
        return f"Every {names.word('customer')} is on exactly one route, once."

    def check(self, answer: Routes) -> int:
        return -abs(1 - sum(self.customer in route for route in answer.values()))

    def post(self, model: Any, x: RouteVariables) -> None:
        model.add(visits(x, self.customer) == 1)


@dataclass(frozen=True)
class Capacity(Constraint[Routes, RouteVariables]):
    kind: ClassVar[str] = "capacity"
    constraint_class: ClassVar[str] = "capacity"
    vehicle: int
    demand: tuple[int, ...]
    limit: int

    def say(self, names: Names) -> str:
        customers, vehicle = names.all("customer"), names.word("vehicle")
        total = f"the total {names.word('demand')} of the {customers} on its route"
        return f"Of every {vehicle}, {total} is at most the {names.word('capacity')}."

    def check(self, answer: Routes) -> int:
        return self.limit - sum(self.demand[i] for i in answer[self.vehicle])

    def post(self, model: Any, x: RouteVariables) -> None:
        total = sum(demand * x.visit[self.vehicle, i] for i, demand in enumerate(self.demand))
        model.add(total <= self.limit)
        # The rest follows from it and makes for shorter proofs.
        model.add(total <= self.limit * x.used[self.vehicle])
        if x.stops >= MANY:
            for i, load in enumerate(x.once(("load", self.demand), lambda: loading(model, x, self.demand))):
                model.add(load <= self.limit).only_enforce_if(x.visit[self.vehicle, i])


def loading(model: Any, x: RouteVariables, demand: Sequence[int]) -> list[Any]:
    """Return variables of the load up to each customer, bounded from below."""
    load = [model.new_int_var(own, sum(demand), f"load {i}") for i, own in enumerate(demand)]
    for (i, j), literal in x.arc.items():
        model.add(load[j] >= load[i] + demand[j]).only_enforce_if(literal)
    return load


@dataclass(frozen=True)
class TimeWindow(Constraint[Routes, RouteVariables]):
    """``limit``: when the customer closes."""

    kind: ClassVar[str] = "time_window"
    constraint_class: ClassVar[str] = "temporal"
    customer: int
    clock: Clock
    limit: int

    def say(self, names: Names) -> str:
        customer, vehicle = sentence(names.one("customer", self.customer)), names.word("vehicle")
        opening = self.clock.opening[self.customer]
        return (
            f"{customer} is reached at time {self.limit} at the latest; a {vehicle} that reaches it before time"
            f" {opening} waits there until time {opening}."
        )

    def check(self, answer: Routes) -> int:
        for route in answer.values():
            if self.customer in route:
                return self.limit - self.clock.arrivals(route)[route.index(self.customer)]
        raise Absent(self.customer)

    def post(self, model: Any, x: RouteVariables) -> None:
        model.add(visits(x, self.customer) == 1)
        model.add(self.clock.posted(model, x)[0][self.customer] <= self.limit)


@dataclass(frozen=True)
class BackInTime(Constraint[Routes, RouteVariables]):
    """The window of the depot."""

    kind: ClassVar[str] = "time_window"
    constraint_class: ClassVar[str] = "temporal"
    clock: Clock
    limit: int

    def say(self, names: Names) -> str:
        return f"Every {names.word('vehicle')} is back at the {names.word('depot')} at time {self.limit} at the latest."

    def check(self, answer: Routes) -> int:
        return self.limit - max(self.clock.arrivals(route)[-1] for route in answer.values())

    def post(self, model: Any, x: RouteVariables) -> None:
        model.add(self.clock.start <= self.limit)
        for i, left in enumerate(self.clock.posted(model, x)[1]):
            model.add(left + self.clock.distance[i + 1][0] <= self.limit).only_enforce_if(x.last[i])


@dataclass(frozen=True)
class MaxDistance(Constraint[Routes, RouteVariables]):
    kind: ClassVar[str] = "max_distance"
    constraint_class: ClassVar[str] = "capacity"
    vehicle: int
    distance: Matrix
    limit: int

    def say(self, names: Names) -> str:
        way = f"from the {names.word('depot')} and back"
        return f"The route of {names.one('vehicle', self.vehicle)} is at most {self.limit} long, {way}."

    def check(self, answer: Routes) -> int:
        return self.limit - length(self.distance, answer[self.vehicle])

    def post(self, model: Any, x: RouteVariables) -> None:
        travelled = x.once(("travelled", self.distance), lambda: travelling(model, x, self.distance))
        model.add(self.limit >= 0)
        for i, way in enumerate(travelled):
            here = [x.last[i], x.visit[self.vehicle, i]]
            model.add(way + self.distance[i + 1][0] <= self.limit).only_enforce_if(here)


def travelling(model: Any, x: RouteVariables, distance: Matrix) -> list[Any]:
    """Return variables of how long the way to each customer is, bounded from below by its parts.

    Each has a second variable that is at least as large: were they one, the solver would lose time with cuts on it.
    """
    longest = sum(map(max, distance))
    way = [model.new_int_var(0, longest, f"way {i}") for i in range(x.stops)]
    travelled = [model.new_int_var(0, longest, f"travelled {i}") for i in range(x.stops)]
    for i in range(x.stops):
        model.add(travelled[i] >= way[i])
        for k in range(x.vehicles):
            model.add(way[i] >= distance[0][i + 1]).only_enforce_if(x.first[k, i])
    for (i, j), literal in x.arc.items():
        model.add(way[j] >= travelled[i] + distance[i + 1][j + 1]).only_enforce_if(literal)
    return travelled


@dataclass(frozen=True)
class MaxStops(Constraint[Routes, RouteVariables]):
    kind: ClassVar[str] = "max_stops"
    constraint_class: ClassVar[str] = "capacity"
    vehicle: int
    limit: int

    def say(self, names: Names) -> str:
        vehicle, customers = sentence(names.one("vehicle", self.vehicle)), names.all("customer")
        return f"{vehicle} visits at most {self.limit} {customers}."

    def check(self, answer: Routes) -> int:
        return self.limit - len(answer[self.vehicle])

    def post(self, model: Any, x: RouteVariables) -> None:
        model.add(sum(x.visit[self.vehicle, i] for i in range(x.stops)) <= self.limit)


@dataclass(frozen=True)
class MustVisit(Constraint[Routes, RouteVariables]):
    kind: ClassVar[str] = "must_visit"
    constraint_class: ClassVar[str] = "logical"
    hereditary: ClassVar[bool] = False
    vehicle: int
    customer: int

    def say(self, names: Names) -> str:
        vehicle, customer = names.one("vehicle", self.vehicle), names.one("customer", self.customer)
        return f"{sentence(customer)} is on the route of {vehicle}."

    def check(self, answer: Routes) -> int:
        return 0 if self.customer in answer[self.vehicle] else -1

    def post(self, model: Any, x: RouteVariables) -> None:
        model.add(x.visit[self.vehicle, self.customer] == 1)


@dataclass(frozen=True)
class Incompatible(Constraint[Routes, RouteVariables]):
    kind: ClassVar[str] = "incompatible"
    constraint_class: ClassVar[str] = "logical"
    pair: tuple[int, int]

    def say(self, names: Names) -> str:
        first, second = (names.one("customer", i) for i in self.pair)
        return f"{sentence(first)} and {second} are not on the same route."

    def check(self, answer: Routes) -> int:
        return -sum(set(self.pair) <= set(route) for route in answer.values())

    def post(self, model: Any, x: RouteVariables) -> None:
        for k in range(x.vehicles):
            model.add_at_most_one(x.visit[k, i] for i in self.pair)


@dataclass(frozen=True)
class TotalLength(Objective[Routes, RouteVariables]):
    direction: ClassVar[Any] = "min"
    distance: Matrix

    def noun(self, names: Names) -> str:
        return f"the total length of all routes (from the {names.word('depot')} and back)"

    def of(self, answer: Routes) -> int:
        return sum(length(self.distance, route) for route in answer.values())

    def post(self, model: Any, x: RouteVariables) -> Any:
        arcs = sum(self.distance[i + 1][j + 1] * literal for (i, j), literal in x.arc.items())
        out = sum(self.distance[0][i + 1] * literal for (_, i), literal in x.first.items())
        return arcs + out + sum(self.distance[i + 1][0] * literal for i, literal in x.last.items())


@dataclass(frozen=True)
class Saving(TotalLength):
    """The mirror of the total length: what is saved against a route for each customer alone."""

    direction: ClassVar[Any] = "max"

    @property
    def alone(self) -> int:
        """How long the ways to all customers and back are, each by itself."""
        return sum(self.distance[0]) + sum(row[0] for row in self.distance)

    def noun(self, names: Names) -> str:
        return f"the difference between {self.alone} and {super().noun(names)}"

    def of(self, answer: Routes) -> int:
        return self.alone - super().of(answer)

    def post(self, model: Any, x: RouteVariables) -> Any:
        return self.alone - super().post(model, x)


def from_cvrplib(text: str) -> VehicleRoutingData:
    """Return the problem of a CVRPLIB file. Raises FormatError."""
    return from_file(cvrplib.read_cvrp(text))


def from_solomon(text: str) -> VehicleRoutingData:
    """Return the problem of a file of Solomon's, in tenths of its units. Raises FormatError."""
    return from_file(cvrplib.read_solomon(text))


def from_file(read: cvrplib.VehicleRouting) -> VehicleRoutingData:
    """Return the problem that was read; a file that names no number of vehicles has one for each customer."""
    windows = read.windows or ()
    return VehicleRoutingData(
        distance=read.matrix,
        demand=read.demand[1:],
        capacity=(read.capacity,) * (read.vehicles or len(read.demand) - 1),
        windows=tuple((i, *window) for i, window in enumerate(windows[1:])),
        day=windows[0] if windows else (),
        service=read.service[1:] if any(read.service) else (),
    )


def planar(places: str, demand: Sequence[int], vehicles: int, capacity: int) -> VehicleRoutingData:
    """Return the problem of these places with straight ways, rounded to the nearest integer."""
    at = [tuple(map(int, place.split())) for place in places.split(",")]
    distance = tuple(tuple((1 + isqrt(4 * ((a - c) ** 2 + (b - e) ** 2))) // 2 for c, e in at) for a, b in at)
    return VehicleRoutingData(distance, tuple(demand), (capacity,) * vehicles)


FAMOUS = (
    Famous(
        "P-n16-k8",
        "m",
        planar(
            "30 40, 37 52, 49 49, 52 64, 31 62, 52 33, 42 41, 52 41, 57 58, 62 42, 42 57, 27 68, 43 67, 58 48, 58 27,"
            "37 69",
            (19, 30, 16, 23, 11, 31, 15, 28, 8, 8, 7, 14, 6, 19, 11),
            8,
            35,
        ),
        450,
        "Augerat et al., technical report, Universite Joseph Fourier, Grenoble, 1995; CVRPLIB",
    ),
)
COSTUMES = (
    Costume(
        "A bakery sends its vans out with fresh bread in the morning.",
        {
            "vehicle": ("van", "vans"),
            "customer": ("cafe", "cafes"),
            "depot": ("bakery", "bakeries"),
            "demand": ("number of crates", "numbers of crates"),
            "capacity": ("space", "spaces"),
        },
    ),
    Costume(
        "Nurses of a health centre bring medicines to patients at home.",
        {
            "vehicle": ("nurse", "nurses"),
            "customer": ("patient", "patients"),
            "depot": ("health centre", "health centres"),
            "demand": ("number of boxes", "numbers of boxes"),
            "capacity": ("bag size", "bag sizes"),
        },
    ),
    Costume(
        "A town has its glass containers emptied.",
        {
            "vehicle": ("truck", "trucks"),
            "customer": ("container", "containers"),
            "depot": ("yard", "yards"),
            "demand": ("filling", "fillings"),
            "capacity": ("payload", "payloads"),
        },
    ),
)


class VehicleRouting(Optimization[VehicleRoutingData, Routes, RouteVariables]):
    name: ClassVar[str] = "vehicle_routing"
    version: ClassVar[int] = 1
    title: ClassVar[str] = "Vehicle routing"
    data = VehicleRoutingData
    sizes: ClassVar[Any] = ladder(
        VehicleRoutingKnobs,
        customers=(5, 7, 10, 11, 12),
        vehicles=(2, 2, 3, 3, 4),
        windows=(1, 3, 5, 6, 6),
        musts=(1, 1, 2, 3, 3),
        apart=(1, 2, 5, 6, 7),
        spare=15,
    )
    core_kinds: ClassVar[tuple[str, ...]] = ("visit_once", "capacity")
    modules: ClassVar[Any] = {
        "time_window": lambda d: [] if d.timed else windows_of(d),
        "max_distance": lambda d: [MaxDistance(k, d.distance, most) for k, most in d.ranges],
        "max_stops": lambda d: [MaxStops(k, most) for k, most in d.stops],
        "must_visit": lambda d: [MustVisit(*pair) for pair in d.musts],
        "incompatible": lambda d: [Incompatible(pair) for pair in d.apart],
    }
    target_share: ClassVar[Fraction] = Fraction(105, 100)
    costumes = COSTUMES
    formats: ClassVar[Any] = {"cvrplib": from_cvrplib, "solomon": from_solomon}

    def draw(self, knobs: VehicleRoutingKnobs, stream: Stream) -> VehicleRoutingData:
        """Hide routes that keep every rule."""
        n, fleet = knobs.customers, knobs.vehicles
        distance = straight(((SIDE // 2, SIDE // 2), *stream("places").matrix(n, 2, 0, SIDE)))
        demand = stream("demand").integers(n, 5, 20)
        routes = routed(distance, range(n), fleet, stream("routes"))
        spare = stream("spare").integers(fleet, 0, knobs.spare)
        windowed = stream("windows").sample(range(n), knobs.windows)
        windows = []
        for route in routes:
            time, here = 0, 0
            for i in route:
                time, here = time + distance[here][i + 1], i + 1
                if i in windowed:
                    part = stream(f"window {i}")
                    opening = max(distance[0][i + 1] + 1, time + part("opening").integer(-15, 10))
                    windows.append((i, opening, max(time, opening) + part("closing").integer(0, 10)))
                    time = max(time, opening)
        reach, load = stream("ranges").integers(fleet, 0, 12), stream("stops").integers(fleet, 0, 1)
        of = {i: k for k, route in enumerate(routes) for i in route}
        pairs = [(i, j) for i in of for j in of if i < j and of[i] != of[j]]
        near = sorted(stream("apart").shuffled(pairs), key=lambda pair: distance[pair[0] + 1][pair[1] + 1] // 8)
        return VehicleRoutingData(
            distance=distance,
            demand=demand,
            capacity=tuple(sum(demand[i] for i in route) + more for route, more in zip(routes, spare, strict=True)),
            windows=tuple(sorted(windows)),
            ranges=tuple((k, length(distance, route) + reach[k]) for k, route in enumerate(routes)),
            stops=tuple((k, len(route) + load[k]) for k, route in enumerate(routes)),
            musts=tuple(sorted((of[i], i) for i in stream("musts").sample(range(n), knobs.musts))),
            apart=tuple(sorted(near[: knobs.apart])),
        )

    def form(self, d: VehicleRoutingData) -> RoutesOf:
        return RoutesOf("vehicle", len(d.capacity), "customer", len(d.demand))

    def core(self, d: VehicleRoutingData) -> list[Constraint[Routes, Any]]:
        return [
            *(VisitOnce(i) for i in range(len(d.demand))),
            *(Capacity(k, d.demand, limit) for k, limit in enumerate(d.capacity)),
            *(windows_of(d) if d.timed else ()),
        ]

    def objective(self, d: VehicleRoutingData) -> TotalLength:
        return TotalLength(d.distance)

    def inverted(self, d: VehicleRoutingData) -> Saving:
        return Saving(d.distance)

    def greedy(self, d: VehicleRoutingData, fits: Fits[Routes]) -> Routes:
        """Cheapest insertion (Mole and Jameson 1976): the customer, route and place that add least, as they fit; one
        that a certain vehicle visits goes to it."""
        routes, missing, own = self.form(d).empty(), set(range(len(d.demand))), {i: k for k, i in d.musts}
        while missing:
            options = sorted(option for i in missing for option in insertions(d.distance, routes, i))
            allowed = ((i, k, at) for _, i, k, at in options if own.get(i, k) == k)
            fitting = (way for way in allowed if fits(with_stop(routes, *way)))
            if (found := next(fitting, None)) is None:
                break
            routes = with_stop(routes, *found)
            missing.remove(found[0])
        return routes

    def intro(self, d: VehicleRoutingData, names: Names) -> str:
        vehicle, customer, depot = names.word("vehicle"), names.word("customer"), names.word("depot")
        listed = names.listed("customer", len(d.demand))
        columns: dict[str, Sequence[object]] = {"demand": d.demand}
        text = (
            f"Plan the routes of these {names.all('vehicle')} to these {names.all('customer')}. Every route begins and"
            f" ends at the {depot}; a {vehicle} may also have no route."
        )
        if d.windows or d.service:
            start = f"Every {vehicle} leaves the {depot} at time {d.clock().start}"
            text += f" {start}; a way takes as much time as it is long."
        if any(d.service):
            columns["time needed"] = d.service
            text += f" A {vehicle} stays with a {customer} for the time needed."
        places = [-1, *listed]
        rows = [
            [depot if i < 0 else names.label("customer", i), *(d.distance[i + 1][j + 1] for j in places)]
            for i in places
        ]
        header = [r"from \ to", depot, *(names.one("customer", j) for j in listed)]
        return "\n\n".join(
            [
                text,
                names.table("vehicle", {"capacity": d.capacity}),
                names.table("customer", columns),
                f"Distances:\n{table(header, rows)}",
            ]
        )

    def entities(self, d: VehicleRoutingData) -> Mapping[str, int]:
        return {"vehicle": len(d.capacity), "customer": len(d.demand)}

    def distracted(self, d: VehicleRoutingData, extra: int, stream: Stream) -> VehicleRoutingData:
        """Add vehicles that are too small for any customer."""
        count = extra * len(d.capacity)
        return replace(d, capacity=d.capacity + stream("capacity").integers(count, 1, min(d.demand) - 1))

    def crowded(self, base: Instance, variant: str) -> Instance | Hole:
        """Return the twin with further vehicles, which have no route in its answer."""
        fleet = (1 + EXTRA[variant]) * len(base.data.capacity)  # type: ignore[attr-defined]
        answer = Partial({**dict.fromkeys(range(fleet), ()), **base.answer})
        return super().crowded(replace(base, answer=answer), variant)

    def famous(self) -> Sequence[Famous[VehicleRoutingData]]:
        return FAMOUS

    def perturb(self, d: VehicleRoutingData, stream: Stream) -> VehicleRoutingData:
        """Let pairs of customers change their places on the map."""
        n = len(d.demand)
        moved = stream("customers").sample(range(1, n + 1), n // 3)
        place = list(range(n + 1))
        for i, j in zip(moved, [*moved[1:], *moved[:1]], strict=True):
            place[i] = j
        return replace(d, distance=tuple(tuple(d.distance[i][j] for j in place) for i in place))

    def sketch(self, instance: Instance) -> Graph:
        d: VehicleRoutingData = instance.data  # type: ignore[assignment]
        names = instance.names
        (x, y), *places = in_plane(d.distance)
        route = {i: k for k, stops in instance.answer.items() for i in stops}
        groups = [names.one("vehicle", route[i]) if i in route else "" for i in range(len(places))]
        nodes = [Node(names.label("customer", i), *place, groups[i]) for i, place in enumerate(places)]
        edges = [
            Edge(a, b, names.one("vehicle", k))
            for k, stops in sorted(instance.answer.items())
            for a, b in pairwise([0, *(i + 1 for i in stops), 0])
            if stops
        ]
        return Graph((Node(names.word("depot"), x, y, ""), *nodes), tuple(edges), arrows=True)


def windows_of(d: VehicleRoutingData) -> list[Constraint[Routes, Any]]:
    """Return the constraints of the time windows: of customers, and of the depot where it has one."""
    clock = d.clock()
    back = [BackInTime(clock, d.day[1])] if d.day else []
    return [*(TimeWindow(i, clock, closing) for i, _, closing in d.windows), *back]


def straight(places: Sequence[Sequence[int]]) -> Matrix:
    """Return straight distances, rounded up (so that no way round is shorter)."""
    squares = [[(a - c) ** 2 + (b - e) ** 2 for c, e in places] for a, b in places]
    return tuple(tuple(1 + isqrt(square - 1) if square else 0 for square in row) for row in squares)


def routed(distance: Matrix, customers: Sequence[int], vehicles: int, stream: Stream) -> list[list[int]]:
    """Return good routes of about equal numbers of customers: the farthest one and those nearest to it, and so on."""
    missing, routes = list(customers), []
    for k in range(vehicles):
        far = max(missing, key=lambda i: distance[0][i + 1])
        count = len(missing) // (vehicles - k)
        group = sorted(missing, key=lambda i: distance[far + 1][i + 1])[:count]
        missing = [i for i in missing if i not in group]
        route: list[int] = []
        while group:  # mostly to one of the two nearest
            here = route[-1] + 1 if route else 0
            nearest = sorted(group, key=lambda i: distance[here][i + 1])
            route.append(stream.choice(nearest[:2]))
            group.remove(route[-1])
        routes.append(route)
    return routes


def insertions(distance: Matrix, routes: Routes, customer: int) -> Iterator[tuple[int, int, int, int]]:
    """Yield (what it adds, customer, vehicle, place on its route) for each way to insert a customer."""
    for k, route in routes.items():
        way = [0, *(i + 1 for i in route), 0]
        for at, (a, b) in enumerate(pairwise(way)):
            yield distance[a][customer + 1] + distance[customer + 1][b] - distance[a][b], customer, k, at


def with_stop(routes: Routes, customer: int, vehicle: int, at: int) -> Routes:
    """Return routes with one more customer."""
    route = routes[vehicle]
    return Partial({**routes, vehicle: (*route[:at], customer, *route[at:])})
