"""Shapes of orders: an order of entities, a round tour, a route for each vehicle."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from solvers.keys import Stream
from solvers.names import Names
from solvers.shapes.base import Partial, Shape, keys, numbers, object_of, written

if TYPE_CHECKING:
    from ortools.sat.python import cp_model


class Helpers:
    """Variables that several constraints share (arrival times, loads): made when first asked for."""

    def __init__(self) -> None:
        self._made: dict[Any, Any] = {}

    def once(self, key: Any, make: Callable[[], Any]) -> Any:
        """Return what ``make`` makes for a key, made at the first time only."""
        if key not in self._made:
            self._made[key] = make()
        return self._made[key]


def _sequence(names: Names, entity: str, count: int) -> dict[str, Any]:
    """Return the schema of a list that names each entity once; entities may be missing."""
    return {
        "type": "array",
        "items": {"enum": list(numbers(names, entity, count))},
        "minItems": count,
        "maxItems": count,
        "uniqueItems": True,
        "x-partial": True,
    }


def _swapped(row: Sequence[int], stream: Stream) -> list[int]:
    """Return a sequence with two of its elements changing places."""
    out = list(row)
    if len(out) > 1:
        a, b = stream.sample(range(len(out)), 2)
        out[a], out[b] = out[b], out[a]
    return out


class OrderVariables(Helpers):
    """``at[i, p]``: entity i is at place p. That no place holds two, and that places are filled from the first one on,
    is posted."""

    def __init__(self, model: "cp_model.CpModel", count: int) -> None:
        super().__init__()
        n = range(count)
        self.count = count
        self.at: dict[tuple[int, int], Any] = {(i, p): model.new_bool_var(f"x{i},{p}") for i in n for p in n}
        for k in n:
            model.add_at_most_one(self.at[k, p] for p in n)
            model.add_at_most_one(self.at[i, k] for i in n)
        for p in range(1, count):
            model.add(sum(self.at[i, p - 1] for i in n) >= sum(self.at[i, p] for i in n))


@dataclass(frozen=True)
class OrderOf(Shape[Partial[int, int], OrderVariables]):
    """An order of ``count`` entities: ``{"order": [3, 1, 2]}``; the answer gives the place (from 0) of each entity.

    That it leaves out no entity is for a constraint of the family to say.
    """

    entity: str
    count: int

    def schema(self, names: Names) -> dict[str, Any]:
        return object_of({"order": _sequence(names, self.entity, self.count)})

    def asked(self, names: Names) -> str:
        return f"all {names.all(self.entity)} in their order"

    def pattern(self, names: Names) -> str:
        word = names.word(self.entity)
        return f'"order": [<first {word}>, <second {word}>, …]'

    def parse(self, value: Any, names: Names) -> Partial[int, int]:
        index = numbers(names, self.entity, self.count)
        return placed([index[label] for label in value["order"]])

    def write(self, answer: Partial[int, int], names: Names) -> dict[str, Any]:
        return {"order": [written(names, self.entity, i) for i in in_order(answer)]}

    def empty(self) -> Partial[int, int]:
        return Partial()

    def random(self, stream: Stream) -> Partial[int, int]:
        return placed(stream.shuffled(range(self.count)))

    def mutated(self, answer: Partial[int, int], stream: Stream) -> Partial[int, int]:
        return placed(_swapped(in_order(answer), stream))

    def lacking(self, answer: Partial[int, int]) -> Iterator[tuple[str, int, Partial[int, int]]]:
        for i in answer:
            yield self.entity, i, placed([k for k in in_order(answer) if k != i])

    def variables(self, model: "cp_model.CpModel") -> OrderVariables:
        return OrderVariables(model, self.count)

    def fix(self, model: "cp_model.CpModel", x: OrderVariables, answer: Partial[int, int]) -> None:
        for (i, p), literal in x.at.items():
            model.add(literal == int(answer.get(i) == p))

    def read(self, value: Callable[[Any], int], x: OrderVariables) -> Partial[int, int]:
        return placed([i for p in range(self.count) for i in range(self.count) if value(x.at[i, p])])


def placed(order: Sequence[int]) -> Partial[int, int]:
    """Return entity -> place of entities in their order."""
    return Partial({i: place for place, i in enumerate(order)})


def in_order(answer: Partial[int, int]) -> list[int]:
    """Return the entities by their places."""
    return sorted(answer, key=lambda i: answer[i])


class TourVariables(Helpers):
    """``arc[i, j]``: j comes next after i; ``arc[i, i]``: i is left out. That they form one tour is posted."""

    def __init__(self, model: "cp_model.CpModel", count: int) -> None:
        super().__init__()
        self.arc: dict[tuple[int, int], Any] = {
            (i, j): model.new_bool_var(f"x{i},{j}") for i in range(count) for j in range(count)
        }
        model.add_circuit([(i, j, literal) for (i, j), literal in self.arc.items()])


@dataclass(frozen=True)
class TourOf(Shape[Partial[int, int], TourVariables]):
    """A round tour through ``count`` entities: ``{"tour": [1, 3, 2]}``; the answer gives the next one of each entity.

    A tour is the same wherever its list begins. That it leaves out no entity is for a constraint of the family to say.
    """

    entity: str
    count: int
    linearized: bool = True

    def schema(self, names: Names) -> dict[str, Any]:
        return object_of({"tour": _sequence(names, self.entity, self.count)})

    def asked(self, names: Names) -> str:
        first = names.one(self.entity, 0)
        return f"all {names.all(self.entity)} in the order of the tour, {first} first (the return to it is not listed)"

    def pattern(self, names: Names) -> str:
        word = names.word(self.entity)
        return f'"tour": [<first {word}>, <second {word}>, …]'

    def parse(self, value: Any, names: Names) -> Partial[int, int]:
        index = numbers(names, self.entity, self.count)
        return rounded_up([index[label] for label in value["tour"]])

    def write(self, answer: Partial[int, int], names: Names) -> dict[str, Any]:
        return {"tour": [written(names, self.entity, i) for i in along(answer)]}

    def empty(self) -> Partial[int, int]:
        return Partial()

    def random(self, stream: Stream) -> Partial[int, int]:
        return rounded_up([0, *stream.shuffled(range(1, self.count))])

    def mutated(self, answer: Partial[int, int], stream: Stream) -> Partial[int, int]:
        first, *rest = along(answer)
        return rounded_up([first, *_swapped(rest, stream)])

    def lacking(self, answer: Partial[int, int]) -> Iterator[tuple[str, int, Partial[int, int]]]:
        for i in answer:
            yield self.entity, i, rounded_up([k for k in along(answer) if k != i])

    def variables(self, model: "cp_model.CpModel") -> TourVariables:
        return TourVariables(model, self.count)

    def fix(self, model: "cp_model.CpModel", x: TourVariables, answer: Partial[int, int]) -> None:
        for i in range(self.count):
            model.add(x.arc[i, answer.get(i, i)] == 1)
        if len(answer) == 1:  # a tour of one entity: for the solver, its arc means that it is left out
            model.add_bool_or([])

    def read(self, value: Callable[[Any], int], x: TourVariables) -> Partial[int, int]:
        return Partial({i: j for (i, j), literal in x.arc.items() if i != j and value(literal)})


def rounded_up(order: Sequence[int]) -> Partial[int, int]:
    """Return entity -> the next one of a round tour."""
    return Partial(zip(order, [*order[1:], *order[:1]], strict=True))


def along(tour: Partial[int, int], first: int = 0) -> list[int]:
    """Return the entities of a tour in their order, from ``first`` on (from the lowest where it is missing)."""
    if not tour:
        return []
    order = [first if first in tour else min(tour)]
    while (following := tour[order[-1]]) != order[0]:
        order.append(following)
    return order


class RouteVariables(Helpers):
    """``visit[k, i]``: vehicle k visits stop i; ``used[k]``: it visits some; ``first[k, i]``: its route begins with i;
    ``arc[i, j]``: j comes next after i on a route; ``last[i]``: a route ends with i. That they form routes is posted.

    (One set of arcs for all vehicles, not one for each: proofs are several times as fast.)
    """

    def __init__(self, model: "cp_model.CpModel", vehicles: int, stops: int) -> None:
        super().__init__()
        self.vehicles, self.stops = vehicles, stops
        routes, n = range(vehicles), range(stops)
        self.arc = {(i, j): model.new_bool_var(f"a{i},{j}") for i in n for j in n if i != j}
        self.visit = {(k, i): model.new_bool_var(f"v{k},{i}") for k in routes for i in n}
        self.used = [model.new_bool_var(f"u{k}") for k in routes]
        self.first = {(k, i): model.new_bool_var(f"f{k},{i}") for k in routes for i in n}
        self.last = {i: model.new_bool_var(f"l{i}") for i in n}
        skipped = {i: model.new_bool_var(f"s{i}") for i in n}
        model.add_multiple_circuit(
            [
                (0, stops + 1, True),  # the solver wants some route: one that leads nowhere
                (stops + 1, 0, True),
                *((i + 1, j + 1, literal) for (i, j), literal in self.arc.items()),
                *((0, i + 1, literal) for (_, i), literal in self.first.items()),
                *((i + 1, 0, literal) for i, literal in self.last.items()),
                *((i + 1, i + 1, literal) for i, literal in skipped.items()),
            ]
        )
        for i in n:
            model.add_exactly_one(skipped[i], *(self.visit[k, i] for k in routes))
        for k in routes:
            model.add(sum(self.first[k, i] for i in n) == self.used[k])
            for i in n:
                model.add_implication(self.first[k, i], self.visit[k, i])
                model.add_implication(self.visit[k, i], self.used[k])
            for i, j in self.arc:  # neighbours on a route are visited by one vehicle
                model.add(self.arc[i, j] + self.arc[j, i] + self.visit[k, i] - self.visit[k, j] <= 1)


@dataclass(frozen=True)
class RoutesOf(Shape[Partial[int, tuple[int, ...]], RouteVariables]):
    """The stops of each vehicle in their order, depot to depot: ``{"routes": {"1": [3, 1], "2": []}}``.

    A vehicle that is left out stays where it is. A list names a stop once, two lists may both name it (an answer that
    the solver's variables can't hold), none may: that each is visited once is for a constraint of the family to say.
    """

    vehicle: str
    vehicles: int
    stop: str
    stops: int
    linearized: bool = True

    def schema(self, names: Names) -> dict[str, Any]:
        one = {
            "type": "array",
            "items": {"enum": list(numbers(names, self.stop, self.stops))},
            "maxItems": self.stops,
            "uniqueItems": True,
        }
        return object_of({"routes": object_of(dict.fromkeys(keys(names, self.vehicle, self.vehicles), one), True)})

    def asked(self, names: Names) -> str:
        stops, vehicle = names.all(self.stop), names.word(self.vehicle)
        return f"the {stops} of every {vehicle} in the order of its route ([] if it has none)"

    def pattern(self, names: Names) -> str:
        return f'"routes": {{"<{names.word(self.vehicle)}>": [<{names.word(self.stop)}>, …], …}}'

    def parse(self, value: Any, names: Names) -> Partial[int, tuple[int, ...]]:
        index, given = numbers(names, self.stop, self.stops), value["routes"]
        return Partial(
            {
                k: tuple(index[label] for label in given.get(key, ()))
                for key, k in keys(names, self.vehicle, self.vehicles).items()
            }
        )

    def write(self, answer: Partial[int, tuple[int, ...]], names: Names) -> dict[str, Any]:
        return {
            "routes": {
                key: [written(names, self.stop, i) for i in answer[k]]
                for key, k in keys(names, self.vehicle, self.vehicles).items()
            }
        }

    def empty(self) -> Partial[int, tuple[int, ...]]:
        return Partial(dict.fromkeys(range(self.vehicles), ()))

    def random(self, stream: Stream) -> Partial[int, tuple[int, ...]]:
        routes: list[list[int]] = [[] for _ in range(self.vehicles)]
        for i in stream.shuffled(range(self.stops)):
            stream.choice(routes).append(i)
        return Partial(enumerate(map(tuple, routes)))

    def mutated(self, answer: Partial[int, tuple[int, ...]], stream: Stream) -> Partial[int, tuple[int, ...]]:
        """Return the answer with one stop taken from its place (or from none) to another (or to none)."""
        i = stream.integer(0, self.stops - 1)
        rest = {k: tuple(j for j in route if j != i) for k, route in answer.items()}
        moved = [
            Partial({**rest, k: (*route[:at], i, *route[at:])})
            for k, route in rest.items()
            for at in range(len(route) + 1)
        ]
        return stream.choice([other for other in (*moved, Partial(rest)) if other != answer])

    def smaller(self, answer: Partial[int, tuple[int, ...]]) -> Iterator[Partial[int, tuple[int, ...]]]:
        for k, route in answer.items():
            for at in range(len(route)):
                yield Partial({**answer, k: (*route[:at], *route[at + 1 :])})

    def variables(self, model: "cp_model.CpModel") -> RouteVariables:
        return RouteVariables(model, self.vehicles, self.stops)

    def fix(self, model: "cp_model.CpModel", x: RouteVariables, answer: Partial[int, tuple[int, ...]]) -> None:
        routes = [answer[k] for k in range(self.vehicles)]
        arcs = {arc for route in routes for arc in pairwise(route)}
        for arc, literal in x.arc.items():
            model.add(literal == int(arc in arcs))
        for (k, i), literal in x.visit.items():
            model.add(literal == int(i in routes[k]))
            model.add(x.first[k, i] == int(routes[k][:1] == (i,)))
        for i, literal in x.last.items():
            model.add(literal == int(any(route[-1:] == (i,) for route in routes)))

    def read(self, value: Callable[[Any], int], x: RouteVariables) -> Partial[int, tuple[int, ...]]:
        following = {i: j for (i, j), literal in x.arc.items() if value(literal)}
        routes = {}
        for k in range(self.vehicles):
            route = [i for i in range(self.stops) if value(x.first[k, i])]
            while route and route[-1] in following:
                route.append(following[route[-1]])
            routes[k] = tuple(route)
        return Partial(routes)
