"""Vehicle routing: each constraint on three customers worked out by hand, the optimum against all sets of routes."""

from dataclasses import replace
from functools import cache
from itertools import islice, permutations
from pathlib import Path

import pytest

from solvers.exact import solve
from solvers.keys import Stream
from solvers.optimization.vehicle_routing import (
    FAMOUS,
    BackInTime,
    Capacity,
    Clock,
    Incompatible,
    MaxDistance,
    MaxStops,
    MustVisit,
    Saving,
    TimeWindow,
    TotalLength,
    VehicleRouting,
    VehicleRoutingData,
    VisitOnce,
    from_cvrplib,
    from_solomon,
)
from solvers.problem import SIZES, Absent, Target
from solvers.shapes import Partial, RoutesOf
from tests.solvers.optimization import agreed, draws, instance_of, instances, violated
from tests.solvers.specimens import arms

PUBLIC = Path(__file__).parents[2] / "data" / "public" / "vehicle_routing"
# On a line: the depot at 0, customers at 2, 5 and -3.
DISTANCE = ((0, 2, 5, 3), (2, 0, 3, 5), (5, 3, 0, 8), (3, 5, 8, 0))
DATA = VehicleRoutingData(
    distance=DISTANCE,
    demand=(4, 3, 2),
    capacity=(6, 7),
    windows=((0, 6, 7), (1, 1, 8)),
    ranges=((0, 5), (1, 20)),
    stops=((1, 1),),
    musts=((0, 0),),
    apart=((0, 1),),
)
LOOSE = replace(
    DATA, windows=((0, 6, 7), (1, 1, 9)), ranges=((0, 16),), stops=((1, 2),), apart=((0, 2),)
)  # no rules clash
SHAPE = RoutesOf("vehicle", 2, "customer", 3)
CLOCK = Clock(DISTANCE, (6, 1, 0), (0, 1, 2), 0)
KINDS = {
    "visit_once": VisitOnce(1),
    "capacity": Capacity(1, (4, 3, 2), 7),
    "time_window": TimeWindow(1, CLOCK, 9),
    "back in time": BackInTime(CLOCK, 19),
    "max_distance": MaxDistance(0, DISTANCE, 10),
    "max_stops": MaxStops(1, 1),
    "must_visit": MustVisit(0, 2),
    "incompatible": Incompatible((0, 2)),
    "target": Target(TotalLength(DISTANCE), 20),
}


def routes(*lists):
    """Return the answer with these customers (from 1) of each vehicle."""
    return Partial({k: tuple(i - 1 for i in route) for k, route in enumerate(lists)})


@pytest.mark.parametrize(
    ("kind", "lists", "slack"),
    [
        ("visit_once", ((), (2,)), 0),
        ("visit_once", ((1,), (3,)), -1),
        ("capacity", ((1, 2, 3), ()), 7),
        ("capacity", ((), (3, 2, 1)), -2),
        ("capacity", ((3,), (2, 1)), 0),
        ("time_window", ((2,), ()), 4),
        ("time_window", ((3, 2, 1), ()), 9 - 13),  # at 3 from 3 to 5, then 8 on
        ("time_window", ((3,), (1, 2)), 0),  # waits at customer 1 until 6
        ("time_window", ((1,), (3,)), None),
        ("back in time", ((), ()), 19),
        ("back in time", ((1, 2, 3), ()), 19 - 23),  # 9 at customer 2 and 10 from there, 18 to 20, 23
        ("back in time", ((2, 3, 1), ()), 19 - 23),  # 5 and 6, 14 to 16, 21, 23
        ("back in time", ((3, 2), (1,)), 0),  # 3 to 5, 13 to 14, 19
        ("max_distance", ((), (1, 2, 3)), 10),
        ("max_distance", ((2, 3), ()), 10 - 16),
        ("max_distance", ((2, 1), (3,)), 0),
        ("max_stops", ((1, 2, 3), ()), 1),
        ("max_stops", ((3,), (1, 2)), -1),
        ("max_stops", ((), (3,)), 0),
        ("must_visit", ((1, 2), (3,)), -1),
        ("must_visit", ((1, 2), ()), -1),
        ("must_visit", ((3,), (1, 2)), 0),
        ("incompatible", ((3, 2, 1), ()), -1),
        ("incompatible", ((3,), (1, 2)), 0),
        ("target", ((3,), (1, 2)), 4),
        ("target", ((), (1, 3, 2)), 0),  # 2 + 5 + 8 + 5
        ("target", ((1, 3), (2,)), 0),
        ("target", ((1,), (2,)), 20 - 14),  # what is left out is for visit_once to say
    ],
)
def test_slack_of_each_constraint(kind, lists, slack):
    """Predicate and solver agree with the slack worked out by hand: trivial, failing, just holding."""
    answer = routes(*lists)
    if slack is None:
        with pytest.raises(Absent):
            KINDS[kind].check(answer)
    assert agreed(SHAPE, KINDS[kind], answer) == slack


def test_a_customer_on_two_routes_is_not_visited_once():
    """An answer that the solver's variables can't hold is refused by the judge."""
    assert KINDS["visit_once"].check(routes((2,), (1, 2))) == -1


@pytest.mark.parametrize(
    ("modules", "optimum"),
    [
        ((), 16),  # customers 1 and 2 by vehicle 2, which can carry both: 10; customer 3: 6
        (("time_window",), 20),  # after customer 1 it is too late for customer 2, and the other way round
        (("max_distance",), 20),  # vehicle 1 can do customer 1 only
        (("max_stops",), 20),
        (("must_visit",), 20),
        (("incompatible",), 20),
        (("max_distance", "must_visit"), 20),  # 4 and 16
        (("max_distance", "max_stops"), None),
    ],
)
def test_optimum_worked_by_hand(modules, optimum):
    """The tiny instance has the optimum that pen and paper give."""
    family = VehicleRouting()
    assert solve(family.form(DATA), family.arm(DATA, modules), family.objective(DATA)).objective == optimum


def by_enumeration(d, modules):
    """Return the least total length over all ways to share the customers out and all orders of each share."""
    n = len(d.demand)
    start, end = d.day or (0, 10**9)
    service = d.service or (0,) * n
    window = {i: (opening, closing) for i, opening, closing in d.windows if "time_window" in modules}
    most = dict(d.stops) if "max_stops" in modules else {}
    reach = dict(d.ranges) if "max_distance" in modules else {}
    owner = {i: k for k, i in d.musts} if "must_visit" in modules else {}
    apart = d.apart if "incompatible" in modules else ()

    @cache
    def shortest(share):
        """Return the length of the shortest order of some customers that keeps the windows, None where none does."""
        best = None
        for order in permutations(share):
            now, way, here, kept = start, 0, 0, True
            for i in order:
                now, way, here = now + d.distance[here][i + 1], way + d.distance[here][i + 1], i + 1
                opening, closing = window.get(i, (0, 10**9))
                kept = kept and now <= closing
                now = max(now, opening) + service[i]
            if "time_window" in modules and now + d.distance[here][0] > end:
                kept = False
            way += d.distance[here][0]
            if kept and (best is None or way < best):
                best = way
        return best

    @cache
    def least(k, left):
        if k == len(d.capacity):
            return 0 if not left else None
        found = []
        for mask in range(1 << len(left)):
            share = tuple(i for bit, i in enumerate(left) if mask >> bit & 1)
            if len(share) > most.get(k, n) or sum(d.demand[i] for i in share) > d.capacity[k]:
                continue
            if any(owner.get(i, k) != k for i in share) or any(i in share and j in share for i, j in apart):
                continue
            own = shortest(share)
            if own is None or own > reach.get(k, own):
                continue
            rest = least(k + 1, tuple(i for i in left if i not in share))
            if rest is not None:
                found.append(own + rest)
        return min(found, default=None)

    return least(0, tuple(range(n)))


@pytest.mark.parametrize(("size", "count"), [("xs", 200), ("s", 3)])
def test_optimum_equals_that_of_all_routes(size, count):
    """Over no module, each, each pair, all and random sets of them, enumeration finds the same optimum; every third
    problem has service times and a day that ends."""
    family = VehicleRouting()
    sets = arms(family)
    for index, drawn in enumerate(draws(family, size, count)):
        d, stream = drawn, Stream(f"modules {index}")
        some = stream.integers(len(family.module_names), 0, 1)
        chosen = tuple(m for m, bit in zip(family.module_names, some, strict=True) if bit)
        modules = sets[index] if index < len(sets) and size == "xs" else chosen
        if index % 3 == 0:
            d = replace(d, service=stream.integers(len(d.demand), 0, 4), day=(2, stream.integer(60, 120)))
        solution = solve(family.form(d), family.arm(d, modules), family.objective(d))
        assert solution.objective == by_enumeration(d, modules), (index, modules)


def test_mirror_is_what_routes_save():
    """The saving is against a route for each customer: 4, 10 and 6."""
    assert Saving(DISTANCE).of(routes((3,), (1, 2))) == 20 - 16


def test_a_distractor_is_too_small_for_any_customer():
    """Added vehicles can carry no customer's demand."""
    family = VehicleRouting()
    for index, d in enumerate(draws(family, "s", 10)):
        crowd = family.distracted(d, 2, Stream(f"{index}"))
        assert len(crowd.capacity) == 3 * len(d.capacity)
        assert 0 < max(crowd.capacity[len(d.capacity) :]) < min(d.demand)


def test_statement_says_every_number():
    """The statement lists vehicles, customers and distances, and states each rule."""
    family, instance = instance_of(VehicleRouting, LOOSE, ())
    text = family.statement(replace(instance, modules=family.module_names), "final")
    assert "vehicle | capacity\n1 | 6\n2 | 7\n" in text
    assert "customer | demand\n1 | 4\n2 | 3\n3 | 2\n" in text
    assert (
        "from \\ to | depot | customer 1 | customer 2 | customer 3\ndepot | 0 | 2 | 5 | 3\n1 | 2 | 0 | 3 | 5\n" in text
    )
    assert "Every vehicle leaves the depot at time 0; a way takes as much time as it is long." in text
    for rule in (
        "Every customer is on exactly one route, once.",
        "Of every vehicle, the total demand of the customers on its route is at most the capacity.",
        "Customer 1 is reached at time 7 at the latest; a vehicle that reaches it before time 6 waits there until time"
        " 6.",
        "The route of vehicle 1 is at most 16 long, from the depot and back.",
        "Vehicle 2 visits at most 2 customers.",
        "Customer 1 is on the route of vehicle 1.",
        "Customer 1 and customer 3 are not on the same route.",
    ):
        assert f". {rule}\n" in text, rule
    assert text.endswith("Objective: Minimise the total length of all routes (from the depot and back).")


def test_a_day_and_service_times_are_stated():
    """What files have beyond drawn problems stands in the statement: service times, start and end of the day."""
    d = replace(LOOSE, windows=((0, 1, 50), (1, 1, 50), (2, 4, 60)), service=(1, 0, 2), day=(3, 70))
    family, instance = instance_of(VehicleRouting, d, ())
    text = family.statement(instance, "final")
    assert "customer | demand | time needed\n1 | 4 | 1\n2 | 3 | 0\n3 | 2 | 2\n" in text
    assert "Every vehicle leaves the depot at time 3; a way takes as much time as it is long." in text
    assert ". Every vehicle is back at the depot at time 70 at the latest.\n" in text
    assert [c.kind for c in family.constraints(instance, "final")].count("time_window") == 4


@pytest.mark.parametrize("size", SIZES)
def test_greedy_breaks_no_ceiling(size):
    """Greedy overloads no vehicle and is never late; it may leave customers out."""
    family = VehicleRouting()
    for d in draws(family, size, 6):
        constraints = family.arm(d, family.module_names)
        answer = family.greedy(d, family.fits(constraints))
        for c in constraints:
            if c.hereditary:
                try:
                    assert c.check(answer) >= 0
                except Absent:
                    assert c.kind == "time_window"


def without(answer, customer):
    return Partial({k: tuple(i for i in route if i != customer) for k, route in answer.items()})


def taken(answer, vehicle, *customers):
    """Return the answer with customers moved to the end of a vehicle's route."""
    for customer in customers:
        answer = without(answer, customer)
        answer = Partial({**answer, vehicle: (*answer[vehicle], customer)})
    return answer


def all_before(answer, customer, n):
    """Return the answer in which one vehicle visits a customer after all others."""
    return taken(answer, 0, *(i for i in range(n) if i != customer), customer)


MUTATIONS = {
    "visit_once": lambda answer, c, n: without(answer, c.customer),
    "capacity": lambda answer, c, n: taken(answer, c.vehicle, *range(n)),
    "time_window": lambda answer, c, n: all_before(answer, c.customer, n),
    "max_distance": lambda answer, c, n: taken(answer, c.vehicle, *range(n)),
    "max_stops": lambda answer, c, n: taken(answer, c.vehicle, *range(n)),
    "must_visit": lambda answer, c, n: taken(answer, 1 - min(c.vehicle, 1), c.customer),
    "incompatible": lambda answer, c, n: taken(answer, 0, *c.pair),
    "target": lambda answer, c, n: min(
        (taken(answer, 0, *order) for order in islice(permutations(range(n)), 100)), key=c.check
    ),
}


@pytest.mark.parametrize("kind", VehicleRouting().constraint_kinds)
def test_a_breaking_mutation_is_reported(kind):
    """The exact answer, mutated to break one constraint, is reported as breaking it by judge and solver."""
    family = VehicleRouting()
    for instance in instances(family, "s", 4):
        for constraint in family.constraints(instance, "final"):
            if constraint.kind == kind:
                mutant = MUTATIONS[kind](instance.answer, constraint, len(instance.data.demand))
                assert constraint not in violated(family, instance, instance.answer)
                assert constraint in violated(family, instance, mutant)
                assert agreed(family.shape(instance, "final"), constraint, mutant) < 0


@pytest.mark.parametrize("one", FAMOUS, ids=lambda one: one.name)
def test_famous_problems_are_those_of_the_files(one):
    """What is typed in here is what the public files hold."""
    assert from_cvrplib((PUBLIC / f"{one.name}.vrp").read_text(encoding="utf-8")) == one.data


def test_a_file_of_solomons_has_windows_in_its_core():
    """All customers and the depot have windows: they are part of the problem as it is, not of a module."""
    d = from_solomon((PUBLIC / "C101.25.txt").read_text(encoding="utf-8"))
    family = VehicleRouting()
    assert (len(d.demand), len(d.capacity), d.day[0], d.service[0]) == (25, 25, 0, 900)
    assert [c.kind for c in family.core(d)].count("time_window") == 26
    assert family.arm(d, ("time_window",)) == family.core(d)


def test_a_file_without_a_number_of_vehicles_has_one_for_each_customer():
    """Where a file names no number of vehicles, there is no lack of them."""
    text = (PUBLIC / "P-n16-k8.vrp").read_text(encoding="utf-8").replace("-k8", "").replace("No of trucks: 8", "")
    assert len(from_cvrplib(text).capacity) == 15
