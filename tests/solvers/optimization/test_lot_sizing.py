"""Lot sizing: each constraint on two products worked out by hand, the optimum by MIP and by Wagner and Whitin."""

from dataclasses import replace

import pytest
from ortools.linear_solver import pywraplp

from solvers.exact import solve
from solvers.keys import Stream
from solvers.names import Names
from solvers.optimization.lot_sizing import (
    FAMOUS,
    Capacity,
    Demand,
    EndStock,
    LotSizing,
    LotSizingData,
    MaxSetups,
    MinLot,
    ShelfLife,
    StorageLimit,
    TotalCost,
    uncapacitated,
)
from solvers.problem import SIZES, Absent, Target
from solvers.shapes import GridOf, Partial
from tests.solvers.optimization import agreed, draws, instance_of, instances, violated
from tests.solvers.specimens import arms

# Product 1 is needed 3 and then 4 times; of product 2, the opening stock of 2 covers the first period.
DATA = LotSizingData(
    demand=((3, 4), (2, 5)),
    setup=((10, 6), (8, 9)),
    price=((2, 3), (1, 2)),
    holding=(1, 2),
    hours=(1, 2),
    opening=(0, 2),
    capacity=(9, 14),
    lots=((0, 4),),
    storage=3,
    ends=((0, 1),),
    setups=1,
    keeps=((1, 1),),
)
COST = TotalCost(DATA.demand, DATA.setup, DATA.price, DATA.holding, DATA.opening)
SHAPE = GridOf("product", "period", ((12, 18), (6, 9)))
KINDS = {
    "demand": Demand(0, 1, 7),
    "capacity": Capacity(0, (1, 2), 9),
    "min_lot": MinLot(0, 1, 4),
    "storage_limit": StorageLimit(0, 2, 3, 3),
    "end_stock": EndStock(0, 2, 7, 1),
    "max_setups": MaxSetups(0, 2, 1),
    "shelf_life": ShelfLife(1, 0, 1, 0, 5),
    "target": Target(COST, 51),
}


def plan(first, second):
    """Return the answer with these lots of product 1 and product 2, by period."""
    return Partial({(i, t): lot for i, row in enumerate((first, second)) for t, lot in enumerate(row)})


@pytest.mark.parametrize(
    ("kind", "first", "second", "slack"),
    [
        ("demand", (12, 18), (0, 0), 23),
        ("demand", (6, 0), (6, 9), -1),
        ("demand", (0, 7), (0, 0), 0),
        ("capacity", (0, 18), (0, 9), 9),
        ("capacity", (8, 0), (1, 0), -1),
        ("capacity", (3, 0), (3, 0), 0),
        ("min_lot", (1, 0), (1, 1), 0),
        ("min_lot", (9, 3), (0, 0), -1),
        ("min_lot", (0, 4), (0, 0), 0),
        ("storage_limit", (0, 18), (0, 9), 6),
        ("storage_limit", (4, 0), (3, 0), -1),
        ("storage_limit", (6, 18), (0, 9), 0),
        ("end_stock", (12, 18), (0, 0), 22),
        ("end_stock", (7, 0), (6, 9), -1),
        ("end_stock", (4, 4), (0, 0), 0),
        ("max_setups", (0, 1), (0, 1), 1),
        ("max_setups", (1, 0), (1, 0), -1),
        ("max_setups", (12, 1), (0, 1), 0),
        ("shelf_life", (12, 18), (0, 9), 5),
        ("shelf_life", (0, 0), (6, 0), -1),
        ("shelf_life", (0, 0), (5, 9), 0),
        ("target", (7, 0), (0, 5), 4),
        ("target", (3, 4), (0, 5), -2),
        ("target", (8, 0), (0, 5), 0),
    ],
)
def test_slack_of_each_constraint(kind, first, second, slack):
    """Predicate and solver agree with the slack worked out by hand: trivial, failing, just holding."""
    assert agreed(SHAPE, KINDS[kind], plan(first, second)) == slack


@pytest.mark.parametrize("kind", KINDS)
def test_a_missing_product_fails_what_names_it(kind):
    """An answer that leaves out the products that a rule is about does not pass by doing so."""
    with pytest.raises(Absent):
        KINDS[kind].check(Partial())


def test_a_lot_of_nothing_is_vacuous():
    """A least lot says nothing where nothing is made, and only there."""
    assert KINDS["min_lot"].vacuous(plan((9, 0), (9, 9)))
    assert not KINDS["min_lot"].vacuous(plan((0, 1), (0, 0)))


@pytest.mark.parametrize(
    ("first", "second", "cost"),
    [
        ((7, 0), (0, 5), 10 + 14 + 4 + 9 + 10),  # 4 of product 1 are held once
        ((3, 4), (0, 5), 10 + 6 + 6 + 12 + 9 + 10),
        ((8, 0), (0, 5), 10 + 16 + 5 + 1 + 9 + 10),  # the one too many is held twice
        ((0, 7), (0, 5), 6 + 21 - 3 + 9 + 10),  # a stock of -3 counts as the formula says
    ],
)
def test_cost_of_a_plan(first, second, cost):
    """Set-up, unit and holding costs add up as by hand."""
    assert COST.of(plan(first, second)) == cost


@pytest.mark.parametrize(
    ("modules", "optimum"),
    [
        ((), 47),  # all of product 1 at once for 28, product 2 in the second period for 19
        (("min_lot", "max_setups", "shelf_life"), 47),
        (("end_stock",), 51),  # one more of product 1, held twice
        (("storage_limit",), 53),  # product 1 in two lots, 34 however they are parted
        (("storage_limit", "min_lot"), 57),  # 4 and 4 of product 1: one more than is sold
        (("storage_limit", "min_lot", "end_stock"), 57),
        (("storage_limit", "max_setups"), None),  # both products would be made in the second period
    ],
)
def test_optimum_worked_by_hand(modules, optimum):
    """The tiny instance has the optimum that pen and paper give."""
    family = LotSizing()
    assert solve(family.form(DATA), family.arm(DATA, modules), family.objective(DATA)).objective == optimum


def by_mip(d, modules):
    """Return the optimum as SCIP finds it with variables for stocks and set-ups and balance equations."""
    products, periods = range(len(d.demand)), range(len(d.capacity))
    cells = [(i, t) for i in products for t in periods]
    mip = pywraplp.Solver.CreateSolver("SCIP")
    lot = {(i, t): mip.IntVar(0, d.capacity[t], "") for i, t in cells}
    made = {cell: mip.BoolVar("") for cell in cells}
    stock = {cell: mip.NumVar(0, mip.infinity(), "") for cell in cells}
    rules = [lot[i, t] <= d.capacity[t] * made[i, t] for i, t in cells]
    for i, t in cells:
        before = stock[i, t - 1] if t else d.opening[i]
        rules.append(before + lot[i, t] == d.demand[i][t] + stock[i, t])
    rules += [sum(d.hours[i] * lot[i, t] for i in products) <= d.capacity[t] for t in periods]
    of_module = {
        "min_lot": [lot[i, t] >= least * made[i, t] for i, least in d.lots for t in periods],
        "storage_limit": [sum(stock[i, t] for i in products) <= d.storage for t in periods],
        "end_stock": [stock[i, periods[-1]] >= least for i, least in d.ends],
        "max_setups": [sum(made[i, t] for i in products) <= d.setups for t in periods],
        "shelf_life": [
            stock[i, t] <= sum(d.demand[i][s] for s in periods if t < s <= t + keeps)
            for i, keeps in d.keeps
            for t in periods[:-1]
        ],
    }
    for rule in [*rules, *(rule for module in modules for rule in of_module[module])]:
        mip.Add(rule)
    costs = (d.setup[i][t] * made[i, t] + d.price[i][t] * lot[i, t] + d.holding[i] * stock[i, t] for i, t in cells)
    mip.Minimize(sum(costs))
    assert mip.Solve() == mip.OPTIMAL
    return round(mip.Objective().Value())


@pytest.mark.parametrize(("size", "count"), [("xs", 200), ("s", 30)])
def test_optimum_equals_that_of_a_mip(size, count):
    """Over no module, each, each pair, all and random sets of them, SCIP finds the same optimum."""
    family = LotSizing()
    sets = arms(family)
    for index, d in enumerate(draws(family, size, count)):
        some = Stream(f"modules {index}").integers(len(family.module_names), 0, 1)
        chosen = tuple(m for m, bit in zip(family.module_names, some, strict=True) if bit)
        modules = sets[index] if index < len(sets) else chosen
        solution = solve(family.form(d), family.arm(d, modules), family.objective(d))
        assert solution.objective == by_mip(d, modules), (index, modules)


def by_recursion(d):
    """Return the optimum of a single product without capacities (Wagner and Whitin's recursion over last set-ups)."""
    (demand,), (setup,), (holding,) = d.demand, d.setup, d.holding
    best = [0]
    for end in range(1, len(demand) + 1):
        best.append(
            min(
                best[start] + setup[start] + sum(holding * (t - start) * demand[t] for t in range(start, end))
                for start in range(end)
            )
        )
    return best[-1]


def test_optimum_equals_wagner_and_whitin():
    """On 60 products without capacities, the recursion finds the same optimum."""
    family = LotSizing()
    for index in range(60):
        stream = Stream(f"single {index}")
        periods = stream("periods").integer(3, 9)
        d = uncapacitated(
            stream("demand").integers(periods, 1, 30), stream("setup").integers(periods, 20, 90), 1 + index % 3
        )
        assert solve(family.form(d), family.core(d), family.objective(d)).objective == by_recursion(d)


def test_the_published_example():
    """Wagner and Whitin's twelve periods cost 864, by solver and by recursion."""
    (known,) = FAMOUS
    family = LotSizing()
    assert by_recursion(known.data) == known.optimum
    assert solve(family.form(known.data), family.core(known.data), family.objective(known.data)).objective == 864


def test_statement_says_every_number():
    """The statement lists each product with its numbers, and states each rule."""
    family, instance = instance_of(LotSizing, replace(DATA, setups=2))
    text = family.statement(instance, "final")
    assert "product | hours | holding cost | opening stock\n1 | 1 | 1 | 0\n2 | 2 | 2 | 2\n" in text
    assert "Demand:\nproduct | period 1 | period 2\n1 | 3 | 4\n2 | 2 | 5\n" in text
    assert "Set-up cost:\nproduct | period 1 | period 2\n1 | 10 | 6\n2 | 8 | 9\n" in text
    assert "Unit cost:\nproduct | period 1 | period 2\n1 | 2 | 3\n2 | 1 | 2\n" in text
    for rule in (
        "The stock of every product at the end of every period is not negative.",
        "Production takes at most 9 hours in period 1.",
        "Production takes at most 14 hours in period 2.",
        "In every period the units made of product 1 are either 0 or at least 4.",
        "The stock of all products together at the end of every period is at most 3.",
        "The stock of product 1 at the end of the last period is at least 1.",
        "In every period at most 2 different products are made.",
        "The stock of product 2 at the end of every period but the last is at most its demand in the period that"
        " follows, or in as many of them as there are.",
    ):
        assert f". {rule}\n" in text
    assert text.endswith("Objective: Minimise the total of all set-up, unit and holding costs.")


def test_statement_uses_the_names_given():
    """Renamed entities and terms appear in a sentence; nothing of the plain words is left."""
    names = Names({"product": ("cheese", "cheeses"), "period": ("week", "weeks")}, {"product": ("K1", "K2")})
    assert KINDS["min_lot"].say(names) == "In every week the units made of cheese K1 are either 0 or at least 4."
    assert KINDS["storage_limit"].say(names) == (
        "The stock of all cheeses together at the end of every week is at most 3."
    )


@pytest.mark.parametrize("size", SIZES)
def test_greedy_breaks_no_ceiling(size):
    """Greedy keeps capacities and every other ceiling; what it may miss are demand and other floors."""
    family = LotSizing()
    for d in draws(family, size, 6):
        constraints = family.arm(d, family.module_names)
        answer = family.greedy(d, family.fits(constraints))
        assert all(c.check(answer) >= 0 for c in constraints if c.hereditary)


def test_greedy_meets_demand_where_it_can():
    """Without modules greedy always makes what is needed, in time."""
    family = LotSizing()
    for d in draws(family, "m", 20):
        rules = family.core(d)
        answer = family.greedy(d, family.fits(rules))
        assert all(rule.check(answer) >= 0 for rule in rules)


def changed(answer, product, lots):
    """Return the answer with other lots (period -> units) of a product."""
    return Partial({**answer, **{(product, t): lot for t, lot in lots.items()}})


MUTATIONS = {
    "demand": lambda answer, c: changed(answer, c.product, dict.fromkeys(range(c.period + 1), 0)),
    "capacity": lambda answer, c: changed(answer, 0, {c.period: c.limit + 1}),
    "min_lot": lambda answer, c: changed(answer, c.product, {c.period: c.least - 1}),
    "storage_limit": lambda answer, c: changed(answer, 0, {0: answer[0, 0] + c.check(answer) + 1}),
    "end_stock": lambda answer, c: changed(answer, c.product, dict.fromkeys(range(c.periods), 0)),
    "max_setups": lambda answer, c: Partial({**answer, **{(i, c.period): 1 for i in range(c.products)}}),
    "shelf_life": lambda answer, c: changed(answer, c.product, {0: answer[c.product, 0] + c.check(answer) + 1}),
    "target": lambda answer, c: Partial({cell: lot + 9 for cell, lot in answer.items()}),
}


@pytest.mark.parametrize("kind", LotSizing().constraint_kinds)
def test_a_breaking_mutation_is_reported(kind):
    """The exact answer, mutated to break one constraint, is reported as breaking it by judge and solver."""
    family, broken = LotSizing(), 0
    for instance in instances(family, "s", 4):
        for constraint in family.constraints(instance, "final"):
            # What the opening stock covers needs no production.
            if constraint.kind == kind and (kind != "demand" or constraint.limit > 0):
                mutant = MUTATIONS[kind](instance.answer, constraint)
                assert constraint not in violated(family, instance, instance.answer)
                assert constraint in violated(family, instance, mutant)
                broken += 1
    assert broken
