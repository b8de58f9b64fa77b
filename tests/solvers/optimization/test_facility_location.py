"""Facility location: each constraint on four customers worked out by hand, the optimum by enumeration and by SCIP."""

from dataclasses import replace
from itertools import combinations, product
from pathlib import Path

import pytest
from ortools.linear_solver import pywraplp

from solvers.exact import solve
from solvers.formats.common import FormatError
from solvers.keys import Stream
from solvers.names import Names
from solvers.optimization.facility_location import (
    FAMOUS,
    BudgetLimit,
    Capacity,
    Conditional,
    CostLeft,
    Exclusion,
    FacilityLocation,
    FacilityLocationData,
    MaxDistance,
    MaxFacilities,
    MinFacilities,
    MustClose,
    MustOpen,
    Open,
    PlanOf,
    SingleSource,
    TotalCost,
    distances,
    from_file,
)
from solvers.problem import SIZES, Absent, Target
from solvers.shapes import MapOf, Partial, SubsetOf
from tests.solvers.optimization import agreed, draws, instance_of, instances, violated
from tests.solvers.specimens import arms

PUBLIC = Path(__file__).parents[2] / "data" / "public" / "facility_location"
# Serving costs 5 13 13, 7 8 9, 13 13 7 and 9 10 6: demand times unit cost, plus distance.
DATA = FacilityLocationData(
    capacity=(10, 6, 12),
    fixed=(20, 10, 30),
    unit=(1, 2, 1),
    demand=(4, 3, 5, 2),
    distance=((1, 5, 9), (4, 2, 6), (8, 3, 2), (7, 6, 4)),
    farthest=6,
    must_open=(2,),
    must_close=(0,),
    fewest=2,
    most=2,
    budget=45,
    exclusions=((0, 1),),
    conditionals=((1, 2),),
)
NARROW = replace(DATA, capacity=(4, 6, 12), fixed=(5, 0, 0))
COST = TotalCost(DATA.fixed, DATA.unit, DATA.demand, DATA.distance)
SHAPE = PlanOf((SubsetOf("facility", 3), MapOf("customer", 4, "facility", 3)))
KINDS = {
    "single_source": SingleSource(3, 3),
    "open": Open(2, 3),
    "capacity": Capacity(1, DATA.demand, 6),
    "max_distance": MaxDistance(3, (7, 6, 4), 6),
    "must_open": MustOpen(2),
    "must_close": MustClose(0),
    "min_facilities": MinFacilities(2),
    "max_facilities": MaxFacilities(2),
    "budget_limit": BudgetLimit(DATA.fixed, 45),
    "exclusion": Exclusion((0, 1)),
    "conditional": Conditional(1, 2),
    "target": Target(COST, 75),
}


def plan(opened, homes):
    """Return the answer that opens some facilities and serves customers 1, 2 … from these; None leaves one out."""
    return frozenset(opened), Partial({i: j for i, j in enumerate(homes) if j is not None})


@pytest.mark.parametrize(
    ("kind", "opened", "homes", "slack"),
    [
        ("single_source", (), (0, 0, 0, 0), 0),
        ("single_source", (0, 1, 2), (0, 0, 0, None), None),
        ("single_source", (), (None, None, None, 2), 0),
        ("open", (0, 1, 2), (0, 0, 0, 0), 0),
        ("open", (0, 2), (0, 0, 1, 0), -1),
        ("open", (1,), (0, 0, 1, 0), 0),
        ("capacity", (), (0, 0, 0, 0), 6),
        ("capacity", (0, 1, 2), (1, 1, 0, 0), -1),
        ("capacity", (), (1, 0, 0, 1), 0),
        ("max_distance", (), (0, 0, 0, 2), 2),
        ("max_distance", (0, 1, 2), (2, 2, 2, 0), -1),
        ("max_distance", (), (2, 2, 2, 1), 0),
        ("must_open", (0, 1, 2), (0, 0, 0, 0), 0),
        ("must_open", (0, 1), (2, 2, 2, 2), -1),
        ("must_open", (2,), (0, 0, 0, 0), 0),
        ("must_close", (), (0, 0, 0, 0), 0),
        ("must_close", (0,), (1, 1, 1, 1), -1),
        ("must_close", (1, 2), (0, 0, 0, 0), 0),
        ("min_facilities", (0, 1, 2), (0, 0, 0, 0), 1),
        ("min_facilities", (2,), (0, 1, 2, 0), -1),
        ("min_facilities", (0, 2), (0, 0, 0, 0), 0),
        ("max_facilities", (), (0, 1, 2, 0), 2),
        ("max_facilities", (0, 1, 2), (0, 0, 0, 0), -1),
        ("max_facilities", (0, 2), (0, 1, 2, 0), 0),
        ("budget_limit", (1, 2), (0, 0, 0, 0), 5),
        ("budget_limit", (0, 2), (0, 0, 0, 0), -5),
        ("budget_limit", (), (0, 0, 0, 0), 45),
        ("exclusion", (2,), (0, 1, 0, 1), 1),
        ("exclusion", (0, 1, 2), (0, 0, 0, 0), -1),
        ("exclusion", (0, 2), (0, 0, 0, 0), 0),
        ("conditional", (0,), (0, 0, 0, 0), 0),
        ("conditional", (0, 1), (2, 2, 2, 2), -1),
        ("conditional", (1, 2), (0, 0, 0, 0), 0),
        ("target", (0, 1), (0, 0, 1, 0), 11),
        ("target", (0, 1, 2), (0, 0, 2, 2), -10),
        ("target", (0, 2), (0, 0, 2, 2), 0),
    ],
)
def test_slack_of_each_constraint(kind, opened, homes, slack):
    """Predicate and solver agree with the slack worked out by hand: trivial, failing, just holding."""
    assert agreed(SHAPE, KINDS[kind], plan(opened, homes)) == slack


@pytest.mark.parametrize("kind", ["single_source", "open", "max_distance", "target"])
def test_a_missing_customer_fails_what_names_it(kind):
    """An answer that leaves customers out does not pass by doing so."""
    with pytest.raises(Absent):
        KINDS[kind].check(plan((0, 1, 2), (0, 0, None, None)))


def test_a_condition_of_a_closed_facility_is_vacuous():
    """That a facility needs another says nothing where it is closed, and only there."""
    assert KINDS["conditional"].vacuous(plan((0, 2), (0, 0, 0, 0)))
    assert not KINDS["conditional"].vacuous(plan((1, 2), (0, 0, 0, 0)))


@pytest.mark.parametrize(
    ("opened", "homes", "cost"),
    [
        ((0, 1), (0, 0, 1, 0), 30 + 5 + 7 + 13 + 9),
        ((1, 2), (2, 1, 2, 2), 40 + 13 + 8 + 7 + 6),
        ((0, 1, 2), (1, 2, 0, 1), 60 + 13 + 9 + 13 + 10),
        ((), (0, 0, 0, 0), 5 + 7 + 13 + 9),  # what is used and not open costs nothing: another rule forbids it
    ],
)
def test_cost_of_a_plan(opened, homes, cost):
    """Fixed costs of what is open and what it takes to serve add up as by hand."""
    assert COST.of(plan(opened, homes)) == cost


@pytest.mark.parametrize(
    ("modules", "data", "optimum"),
    [
        ((), DATA, 64),  # 1 serves all but customer 3, whom 2 serves
        (("max_distance",), DATA, 75),  # from 1 and 2, customers 3 and 4 would both have to be served by 2: 1 and 3
        (("must_open",), DATA, 74),  # 2 and 3; with 1 in place of 2 it costs 75
        (("must_close",), DATA, 74),
        (("min_facilities",), DATA, 64),
        (("min_facilities",), replace(DATA, fewest=3), 85),
        (("max_facilities",), DATA, 64),
        (("max_facilities",), replace(DATA, most=1), None),  # the largest holds 12 of 14
        ((), NARROW, 31),  # all three: 1 serves customer 1, 2 customer 2 and 3 the others
        (("max_facilities",), NARROW, 32),  # without 2, 3 serves customer 2
        (("budget_limit",), DATA, 64),
        (("budget_limit",), replace(DATA, budget=29), None),
        (("must_open", "budget_limit"), replace(DATA, must_open=(0, 2)), None),
        (("exclusion",), DATA, 74),
        (("conditional",), DATA, 74),
        (("exclusion", "conditional", "must_close"), replace(DATA, must_close=(1,)), 75),
        (("max_distance", "must_open", "budget_limit"), DATA, 75),  # 2 serves customer 1, 3 all others
    ],
)
def test_optimum_worked_by_hand(modules, data, optimum):
    """The tiny instance has the optimum that pen and paper give."""
    family = FacilityLocation()
    assert solve(family.form(data), family.arm(data, modules), family.objective(data)).objective == optimum


@pytest.mark.parametrize("modules", [(), None])
def test_the_target_is_that_of_all_modules(modules):
    """Whatever the modules, the target is 5 % above the optimum under all of them, 75."""
    _, instance = instance_of(FacilityLocation, DATA, modules)
    assert (instance.target, instance.optimum) == (78, 64 if modules == () else 75)
    assert instance.proof.bound == instance.optimum


def site_rules_hold(d, opened, modules):
    """Return whether the modules that are about facilities alone allow this set of open ones."""
    return (
        not ("must_open" in modules and set(d.must_open) - opened)
        and not ("must_close" in modules and set(d.must_close) & opened)
        and not ("min_facilities" in modules and len(opened) < d.fewest)
        and not ("max_facilities" in modules and len(opened) > d.most)
        and not ("budget_limit" in modules and sum(d.fixed[j] for j in opened) > d.budget)
        and not ("exclusion" in modules and any({a, b} <= opened for a, b in d.exclusions))
        and not ("conditional" in modules and any(a in opened and b not in opened for a, b in d.conditionals))
    )


def by_enumeration(d, modules):
    """Return the least cost over all sets of open facilities and all homes of all customers among them."""
    best, sites = None, range(len(d.capacity))
    serving = [[size * d.unit[j] + row[j] for j in sites] for size, row in zip(d.demand, d.distance, strict=True)]
    near = [[j for j in sites if "max_distance" not in modules or row[j] <= d.farthest] for row in d.distance]
    for opened in (set(some) for count in range(len(sites) + 1) for some in combinations(sites, count)):
        if not site_rules_hold(d, opened, modules):
            continue
        rent = sum(d.fixed[j] for j in opened)
        for homes in product(*([j for j in reach if j in opened] for reach in near)):
            cost = rent + sum(costs[j] for costs, j in zip(serving, homes, strict=True))
            if best is not None and cost >= best:
                continue
            load = [0] * len(sites)
            for size, j in zip(d.demand, homes, strict=True):
                load[j] += size
            if all(carried <= most for carried, most in zip(load, d.capacity, strict=True)):
                best = cost
    return best


def optimum(d, modules):
    family = FacilityLocation()
    return solve(family.form(d), family.arm(d, modules), family.objective(d)).objective


def module_sets(family, count):
    """Yield no module, each, each pair and all, then random sets of them."""
    sets = arms(family)
    for index in range(count):
        some = Stream(f"modules {index}").integers(len(family.module_names), 0, 1)
        chosen = tuple(m for m, bit in zip(family.module_names, some, strict=True) if bit)
        yield sets[index] if index < len(sets) else chosen


def test_optimum_equals_enumeration():
    """On 240 instances, over all kinds of sets of modules, the proven optimum is the best of all plans."""
    family = FacilityLocation()
    for d, modules in zip(draws(family, "xs", 240), module_sets(family, 240), strict=True):
        assert optimum(d, modules) == by_enumeration(d, modules), modules


def test_optimum_equals_enumeration_where_there_may_be_none():
    """On 120 problems with numbers at random, the solver proves what enumeration finds, no plan at all included."""
    family, without = FacilityLocation(), 0
    for index, modules in enumerate(module_sets(family, 120)):
        stream = Stream(f"any {index}")
        n, m = stream("n").integer(1, 4), stream("m").integer(2, 4)
        d = FacilityLocationData(
            capacity=stream("capacity").integers(m, 0, 12),
            fixed=stream("fixed").integers(m, 0, 20),
            unit=stream("unit").integers(m, 0, 2),
            demand=stream("demand").integers(n, 0, 8),
            distance=stream("distance").matrix(n, m, 0, 9),
            farthest=stream("farthest").integer(4, 9),
            must_open=(0,),
            must_close=(1,),
            fewest=stream("fewest").integer(0, 2),
            most=stream("most").integer(1, 3),
            budget=stream("budget").integer(10, 60),
            exclusions=((0, m - 1),),
            conditionals=((0, m - 2),),
        )
        least = by_enumeration(d, modules)
        without += least is None
        assert optimum(d, modules) == least, (index, modules)
    assert 20 < without < 100


def by_scip(d, modules):
    """Return the optimum of the usual linear model: open or not, which serves whom, each load within an open one."""
    mip = pywraplp.Solver.CreateSolver("SCIP")
    sites, customers = range(len(d.capacity)), range(len(d.demand))
    y = [mip.BoolVar("") for _ in sites]
    x = [[mip.BoolVar("") for _ in sites] for _ in customers]
    rules = [sum(x[i]) == 1 for i in customers]
    rules += [x[i][j] <= y[j] for i in customers for j in sites]
    rules += [sum(d.demand[i] * x[i][j] for i in customers) <= d.capacity[j] * y[j] for j in sites]
    of_module = {
        "max_distance": [d.distance[i][j] * x[i][j] <= d.farthest for i in customers for j in sites],
        "must_open": [y[j] >= 1 for j in d.must_open],
        "must_close": [y[j] <= 0 for j in d.must_close],
        "min_facilities": [sum(y) >= d.fewest],
        "max_facilities": [sum(y) <= d.most],
        "budget_limit": [sum(cost * y[j] for j, cost in enumerate(d.fixed)) <= d.budget],
        "exclusion": [y[a] + y[b] <= 1 for a, b in d.exclusions],
        "conditional": [y[a] <= y[b] for a, b in d.conditionals],
    }
    for rule in [*rules, *(rule for module in modules for rule in of_module[module])]:
        mip.Add(rule)
    serving = ((d.demand[i] * d.unit[j] + d.distance[i][j]) * x[i][j] for i in customers for j in sites)
    mip.Minimize(sum(cost * y[j] for j, cost in enumerate(d.fixed)) + sum(serving))
    assert mip.Solve() == mip.OPTIMAL
    return round(mip.Objective().Value())


@pytest.mark.parametrize(("size", "count"), [("s", 40), ("m", 3)])
def test_optimum_equals_that_of_another_solver(size, count):
    """On larger instances, over all kinds of sets of modules, SCIP finds the same optimum."""
    family = FacilityLocation()
    for d, modules in zip(draws(family, size, count), module_sets(family, count), strict=True):
        assert optimum(d, modules) == by_scip(d, modules), modules


def test_the_published_example():
    """The warehouses cost 383 by solver, enumeration and SCIP, and the public file holds the same data."""
    (known,) = FAMOUS
    read = from_file((PUBLIC / "opl-warehouses.txt").read_text(encoding="utf-8"))
    assert read == known.data
    assert known.optimum == 383 == optimum(read, ()) == by_scip(read, ())


@pytest.mark.parametrize("size", SIZES)
def test_drawn_data_are_sound(size):
    """Rules are as many as asked for, about different facilities, and any facility could serve any customer."""
    family, knobs = FacilityLocation(), FacilityLocation().sizes[size]
    for d in draws(family, size, 20):
        assert (len(d.capacity), len(d.demand)) == (knobs.facilities, knobs.customers)
        assert (len(d.must_open), len(d.must_close)) == (1, knobs.closed)
        assert not set(d.must_open) & set(d.must_close)
        assert (len(set(d.exclusions)), len(set(d.conditionals))) == (knobs.exclusions, knobs.conditionals)
        assert all(i < j and not {i, j} & set(d.must_close) for i, j in d.exclusions)
        # A condition is neither idle nor contradicted by another rule.
        assert all(i != j and not {i, j} & {*d.must_open, *d.must_close} for i, j in d.conditionals)
        assert not {tuple(sorted(pair)) for pair in d.conditionals} & set(d.exclusions)
        assert 1 <= d.fewest <= d.most == knobs.opened
        assert min(d.capacity) >= max(d.demand)
        assert d.farthest < max(map(max, d.distance))


def test_distances_are_rounded_up():
    """A distance is the least whole number that is not below the straight one."""
    assert distances(((0, 0), (3, 4)), ((0, 0), (3, 4), (1, 1), (6, 8))) == ((0, 5, 2, 10), (5, 0, 4, 5))


def test_what_is_left_mirrors_the_cost():
    """Cost and rest add up to the grant, whatever the plan, and no plan costs more than that."""
    left = FacilityLocation().inverted(DATA)
    assert left == CostLeft(DATA.fixed, DATA.unit, DATA.demand, DATA.distance, 200)
    assert left.of(plan((0, 1), (0, 0, 1, 0))) == 200 - 64
    answers = [plan(o, homes) for o in ((), (0, 1, 2)) for homes in product(range(3), repeat=4)]
    assert all(left.of(answer) + COST.of(answer) == 200 and left.of(answer) >= 0 for answer in answers)


def test_distractors_come_last():
    """What is added are facilities that no rule names; everything else is as it was."""
    family = FacilityLocation()
    for d in draws(family, "s", 10):
        m = len(d.capacity)
        for extra in (1, 2, 4):
            crowd = family.distracted(d, extra, Stream(f"crowd {extra}"))
            assert len(crowd.capacity) == m * (1 + extra)
            fields = {name: getattr(crowd, name)[:m] for name in ("capacity", "fixed", "unit")}
            assert replace(crowd, distance=tuple(row[:m] for row in crowd.distance), **fields) == d


def test_a_perturbed_example_differs_for_two_customers():
    """Two rows of distances change, each number by half at most."""
    (known,) = FAMOUS
    for index in range(10):
        other = FacilityLocation().perturb(known.data, Stream(f"perturbed {index}"))
        assert replace(other, distance=known.data.distance) == known.data
        rows = [(a, b) for a, b in zip(known.data.distance, other.distance, strict=True) if a != b]
        assert len(rows) <= 2
        assert all(v / 2 <= w <= 1.5 * v for a, b in rows for v, w in zip(a, b, strict=True))


def test_a_file_with_decimals_is_read_in_smaller_units():
    """Costs become whole together, capacities and demands as well; no unit cost is known."""
    read = from_file("2 2\n10 7.25\n5.5 3\n4\n1.5 2\n3\n0.125 1e2")
    assert read == FacilityLocationData((100, 55), (7250, 3000), (0, 0), (40, 30), ((1500, 2000), (125, 100000)))


@pytest.mark.parametrize("word", ["-1", "0.000001", "1e8", "x"])
def test_a_file_with_other_numbers_is_refused(word):
    """What can't be a cost, or is too large or too fine to be exact, is named with its line."""
    with pytest.raises(FormatError, match="line 3"):
        from_file(f"1 1\n10 7\n4 {word}")


def test_statement_says_every_number():
    """The statement lists facilities, customers and distances, says what a plan costs, and states each rule."""
    family, instance = instance_of(FacilityLocation, DATA)
    text = family.statement(instance, "final")
    assert "facility | fixed cost | unit cost\n1 | 20 | 1\n2 | 10 | 2\n3 | 30 | 1\n" in text
    assert "customer | demand\n1 | 4\n2 | 3\n3 | 5\n4 | 2\n" in text
    assert (
        "Distance of each customer to each facility:\ncustomer | facility 1 | facility 2 | facility 3\n"
        "1 | 1 | 5 | 9\n2 | 4 | 2 | 6\n3 | 8 | 3 | 2\n4 | 7 | 6 | 4\n" in text
    )
    assert "its demand times the unit cost of the facility that serves it, plus its distance to that facility." in text
    for rule in (
        "Every customer is served by exactly one facility.",
        "Every facility that serves any customer is open.",
        "The total demand of the customers that facility 1 serves is at most 10.",
        "The total demand of the customers that facility 2 serves is at most 6.",
        "The total demand of the customers that facility 3 serves is at most 12.",
        "The distance of every customer to the facility that serves it is at most 6.",
        "Facility 3 is open.",
        "Facility 1 stays closed.",
        "The number of open facilities is at least 2.",
        "The number of open facilities is at most 2.",
        "The total fixed cost of the open facilities is at most 45.",
        "Facility 1 and facility 2 are not both open.",
        "If facility 2 is open, facility 3 is open too.",
        "The total cost is at most 78.",
    ):
        assert f". {rule}\n" in text
    assert text.endswith("Objective: Minimise the total cost.")


def test_statement_without_unit_costs():
    """Where serving costs the distance alone, as in files, no unit cost is spoken of."""
    family, instance = instance_of(FacilityLocation, replace(DATA, unit=(0, 0, 0)))
    text = family.statement(instance, "final")
    assert "facility | fixed cost\n1 | 20\n2 | 10\n3 | 30\n" in text
    assert "what it takes to serve each customer: its distance to the facility that serves it." in text
    assert "unit cost" not in text


def test_statement_uses_the_names_given():
    """Renamed entities and terms appear in the sentences."""
    names = Names(
        {"facility": ("depot", "depots"), "customer": ("kiosk", "kiosks"), "fixed cost": ("rent", "rents")},
        {"facility": ("Ash", "Elm", "Oak")},
    )
    assert KINDS["exclusion"].say(names) == "Depot Ash and depot Elm are not both open."
    assert KINDS["budget_limit"].say(names) == "The total rent of the open depots is at most 45."
    assert KINDS["open"].say(names) == "Every depot that serves any kiosk is open."


@pytest.mark.parametrize("size", SIZES)
def test_greedy_breaks_no_ceiling(size):
    """Greedy opens what serves and breaks no hereditary rule; where a customer finds no facility, it stays without."""
    family = FacilityLocation()
    for d in draws(family, size, 5):
        constraints = family.arm(d, family.module_names)
        opened, homes = family.greedy(d, family.fits(constraints))
        assert homes
        assert set(homes.values()) == opened
        for c in constraints:
            if c.hereditary and getattr(c, "customer", 0) in homes:
                assert c.check((opened, homes)) >= 0


def test_greedy_worked_by_hand():
    """By demand: customer 3 opens 2 (10 + 13), where only 1 more fits; 1 opens 1 (20 + 5) and serves the others."""
    family = FacilityLocation()
    assert family.greedy(DATA, family.fits(family.core(DATA))) == plan((0, 1), (0, 0, 1, 0))


def home(answer, i, j):
    return answer[0], Partial({**answer[1], i: j})


MUTATIONS = {
    "single_source": lambda answer, c: (answer[0], Partial({i: j for i, j in answer[1].items() if i != c.customer})),
    "open": lambda answer, c: (answer[0] - {answer[1][c.customer]}, answer[1]),
    "capacity": lambda answer, c: (answer[0], Partial(dict.fromkeys(answer[1], c.facility))),
    "max_distance": lambda answer, c: home(answer, c.customer, c.distance.index(max(c.distance))),
    "must_open": lambda answer, c: (answer[0] - {c.facility}, answer[1]),
    "must_close": lambda answer, c: (answer[0] | {c.facility}, answer[1]),
    "min_facilities": lambda answer, c: (frozenset(range(c.limit - 1)), answer[1]),
    "max_facilities": lambda answer, c: (frozenset(range(c.limit + 1)), answer[1]),
    "budget_limit": lambda answer, c: (frozenset(range(len(c.fixed))), answer[1]),
    "exclusion": lambda answer, c: (answer[0].union(c.pair), answer[1]),
    "conditional": lambda answer, c: ((answer[0] | {c.facility}) - {c.needed}, answer[1]),
    "target": lambda answer, c: (frozenset(range(len(c.objective.fixed))), answer[1]),
}


@pytest.mark.parametrize("kind", FacilityLocation().constraint_kinds)
def test_a_breaking_mutation_is_reported(kind):
    """The exact answer, mutated to break one constraint, is reported as breaking it by judge and solver."""
    family, broken = FacilityLocation(), 0
    for instance in instances(family, "s", 5):
        for constraint in family.constraints(instance, "final"):
            # A customer whose farthest facility is near enough is served well by any.
            if constraint.kind == kind and (kind != "max_distance" or max(constraint.distance) > constraint.limit):
                mutant = MUTATIONS[kind](instance.answer, constraint)
                assert constraint not in violated(family, instance, instance.answer)
                assert constraint in violated(family, instance, mutant)
                slack = agreed(family.shape(instance, "final"), constraint, mutant)
                assert slack is None if kind == "single_source" else slack < 0
                broken += 1
    assert broken
