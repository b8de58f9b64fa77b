"""Order fulfilment: each constraint on three lines worked out by hand, the optimum by MIP and against all plans."""

from itertools import product as combined

import pytest
from ortools.linear_solver import pywraplp

from solvers.exact import solve
from solvers.keys import Stream
from solvers.names import Names
from solvers.optimization.order_fulfillment import (
    BillOfMaterials,
    Budget,
    Capacity,
    Deadline,
    Demand,
    Margin,
    MinOrderQty,
    Offer,
    OrderFulfillment,
    OrderFulfillmentData,
    Stock,
    TotalCost,
    TotalGain,
    VendorPolicy,
)
from solvers.problem import SIZES, Absent, Target
from solvers.shapes import GridOf, Partial
from tests.solvers.optimization import agreed, breaks, draws, instance_of
from tests.solvers.specimens import arms

# Customer 1: 3 of product 1 and 2 of product 3, which takes one each of products 1 and 2. Customer 2: 4 of product 1.
DATA = OrderFulfillmentData(
    customer=(0, 0, 1),
    product=(0, 2, 0),
    units=(3, 2, 4),
    stock=(5, 2, 1),
    value=(15, 30, 65),
    offers=(
        (0, 0, 10, 1),
        (0, 2, 12, 3),
        (0, 3, 9, 8),
        (1, 0, 20, 1),
        (2, 0, 50, 1),
        (2, 1, 40, 4),
        (2, 3, 55, 6),
    ),
    bill=((2, 0, 1), (2, 1, 1)),
    country=(0, 1),
    minutes=(1, 5, 2, 3),
    deadlines=((1, 3),),
    budgets=((0, 120), (1, 45)),
    margin=20,
    policies=((0, (0,)),),
    minimums=((2, 3),),
    time=30,
)
SHAPE = GridOf("line", "source", ((3,) * 4, (2,) * 4, (4,) * 4), "supply")
PRICES = ((0, 0, 10), (0, 2, 12), (0, 3, 9), (1, 0, 50), (1, 1, 40), (1, 3, 55), (2, 0, 10), (2, 2, 12), (2, 3, 9))
KINDS = {
    "demand": Demand(0, 4, 3),
    "offer": Offer(((1, 2),)),
    "stock": Stock(((1, 0, 1),), 1, 2),
    "bill_of_materials": BillOfMaterials(((0, 0, 1), (2, 0, 1), (1, 1, 2)), 5, 0),
    "deadline": Deadline(2, 1, ((0, 1), (2, 3), (3, 8)), 3),
    "budget": Budget(PRICES[:6], 120, 0),
    "margin": Margin(0, ((0, 10), (2, 12), (3, 9)), 45, 20),
    "vendor_policy": VendorPolicy(((0, 3), (1, 3)), 0, (0,)),
    "min_order_qty": MinOrderQty(2, 3, 3),
    "capacity": Capacity(tuple((k, s, m) for k in range(3) for s, m in enumerate((1, 5, 2, 3))), 30),
    "target": Target(TotalCost(PRICES), 150),
}


def supply(*rows):
    """Return the answer with these units of each line from stock, workshop and two vendors."""
    return Partial({(k, s): units for k, row in enumerate(rows) for s, units in enumerate(row)})


NONE = (0, 0, 0, 0)


@pytest.mark.parametrize(
    ("kind", "rows", "slack"),
    [
        ("demand", (NONE, NONE, NONE), -3),
        ("demand", ((3, 0, 1, 0), NONE, NONE), -1),
        ("demand", ((1, 0, 1, 0), NONE, NONE), -1),
        ("demand", ((1, 0, 1, 1), NONE, NONE), 0),
        ("offer", ((3, 3, 3, 3), (2, 2, 0, 2), NONE), 0),
        ("offer", (NONE, (0, 0, 1, 0), NONE), -1),
        ("stock", ((3, 3, 3, 3), (0, 2, 2, 2), (4, 4, 4, 4)), 1),
        ("stock", (NONE, (2, 0, 0, 0), NONE), -1),
        ("stock", (NONE, (1, 0, 0, 0), NONE), 0),
        ("bill_of_materials", ((0, 3, 3, 3), (2, 0, 2, 2), NONE), 5),
        ("bill_of_materials", ((1, 0, 0, 0), (0, 2, 0, 0), (1, 0, 0, 0)), -1),
        ("bill_of_materials", ((1, 0, 0, 0), (0, 1, 0, 0), (2, 0, 0, 0)), 0),
        ("deadline", ((0, 0, 0, 3), NONE, NONE), 3),
        ("deadline", (NONE, NONE, (0, 0, 3, 1)), -5),
        ("deadline", (NONE, NONE, (0, 0, 1, 0)), 0),
        ("budget", (NONE, NONE, (4, 4, 4, 4)), 120),
        ("budget", ((2, 0, 1, 1), (0, 2, 0, 0), NONE), -1),
        ("budget", ((1, 0, 0, 0), (0, 0, 0, 2), NONE), 0),
        ("margin", (NONE, (2, 2, 2, 2), NONE), 3600),
        ("margin", ((1, 0, 0, 3), NONE, NONE), -100),
        ("margin", ((0, 0, 3, 0), NONE, NONE), 0),
        ("vendor_policy", ((3, 3, 3, 0), (2, 2, 2, 0), (0, 0, 0, 4)), 0),
        ("vendor_policy", ((0, 0, 0, 1), NONE, NONE), -1),
        ("min_order_qty", ((3, 3, 0, 3), NONE, NONE), 0),
        ("min_order_qty", ((0, 0, 1, 0), NONE, (0, 0, 1, 0)), -1),
        ("min_order_qty", ((0, 0, 1, 0), NONE, (0, 0, 2, 0)), 0),
        ("capacity", (NONE, NONE, NONE), 30),
        ("capacity", ((0, 0, 0, 3), (0, 2, 0, 0), (0, 0, 0, 4)), -1),
        ("capacity", ((2, 0, 0, 2), (0, 2, 0, 0), (0, 0, 0, 4)), 0),
        ("target", ((0, 0, 0, 3), (0, 2, 0, 0), (0, 0, 0, 4)), 7),
        ("target", ((3, 0, 1, 0), NONE, (1, 0, 0, 3)), 150 - 30 - 12 - 10 - 27),
        ("target", ((3, 0, 0, 0), (0, 2, 0, 0), (4, 0, 0, 0)), 0),
    ],
)
def test_slack_of_each_constraint(kind, rows, slack):
    """Predicate and solver agree with the slack worked out by hand: trivial, failing, just holding."""
    assert agreed(SHAPE, KINDS[kind], supply(*rows)) == slack


@pytest.mark.parametrize("kind", KINDS)
def test_a_missing_line_fails_what_names_it(kind):
    """An answer that leaves out the lines that a rule is about does not pass by doing so."""
    with pytest.raises(Absent):
        KINDS[kind].check(Partial())


def test_buying_nothing_is_vacuous():
    """A vendor's least quantity says nothing where nothing is bought of it, and only there."""
    assert KINDS["min_order_qty"].vacuous(supply((1, 1, 0, 1), (1, 1, 0, 1), (1, 1, 0, 1)))
    assert not KINDS["min_order_qty"].vacuous(supply((1, 1, 0, 1), (1, 1, 0, 1), (1, 1, 1, 1)))


@pytest.mark.parametrize(
    ("modules", "optimum"),
    [
        ((), 143),  # product 1 from vendor 2: 63; product 3 made: 80
        (("budget", "margin"), 143),
        (("deadline",), 149),  # customer 2: 3 from stock, where the workshop takes 2, and 1 from vendor 1: 42 for 36
        (("deadline", "budget"), 149),
        (("deadline", "min_order_qty"), 153),  # 1 from stock and 3 from vendor 1: 46
        (("deadline", "min_order_qty", "budget"), 154),  # 46 is too much: 2 of vendor 1 for customer 2, 1 in line 1
        (("vendor_policy",), 146),  # line 1 from stock
        (("capacity",), 144),  # 31 minutes: one unit from stock instead saves 2 and costs 1
    ],
)
def test_optimum_worked_by_hand(modules, optimum):
    """The tiny instance has the optimum that pen and paper give."""
    family = OrderFulfillment()
    assert solve(family.form(DATA), family.arm(DATA, modules), family.objective(DATA)).objective == optimum


def by_mip(d, modules):
    """Return the optimum as SCIP finds it, with a variable for each offer to a line and for each lot of components."""
    lines, products = range(len(d.units)), range(len(d.stock))
    offer = {(p, s): (price, days) for p, s, price, days in d.offers}
    mip = pywraplp.Solver.CreateSolver("SCIP")
    buy = {(k, s): mip.IntVar(0, d.units[k], "") for k in lines for p, s in offer if p == d.product[k]}
    part = {(k, c): mip.IntVar(0, 999, "") for k in lines for p, c, _ in d.bill if p == d.product[k]}
    cost = {k: sum(offer[d.product[k], s][0] * v for (i, s), v in buy.items() if i == k) for k in lines}
    rules = [sum(v for (i, _), v in buy.items() if i == k) == d.units[k] for k in lines]
    rules += [part[k, c] == each * buy[k, 1] for p, c, each in d.bill for k in lines if d.product[k] == p]
    for p in products:
        taken = [buy[k, 0] for k in lines if d.product[k] == p] + [v for (_, c), v in part.items() if c == p]
        if taken:
            rules.append(sum(taken) <= d.stock[p])
    due, budget, allowed = dict(d.deadlines), dict(d.budgets), dict(d.policies)
    of_module = {
        "deadline": [v == 0 for (k, s), v in buy.items() if offer[d.product[k], s][1] > due.get(d.customer[k], 99)],
        "budget": [sum(cost[k] for k in lines if d.customer[k] == o) <= most for o, most in budget.items()],
        "margin": [100 * cost[k] <= (100 - d.margin) * d.value[d.product[k]] * d.units[k] for k in lines],
        "vendor_policy": [
            v == 0
            for (k, s), v in buy.items()
            if s >= 2 and d.customer[k] in allowed and d.country[s - 2] not in allowed[d.customer[k]]
        ],
        "min_order_qty": [],
        "capacity": [sum(d.minutes[s] * v for (_, s), v in buy.items()) <= d.time],
    }
    for s, least in d.minimums:
        open_, bought = mip.BoolVar(""), sum(v for (_, t), v in buy.items() if t == s) + 0 * mip.IntVar(0, 0, "")
        of_module["min_order_qty"] += [bought >= least * open_, bought <= sum(d.units) * open_]
    for rule in [*rules, *(rule for module in modules for rule in of_module[module])]:
        mip.Add(rule)
    mip.Minimize(sum(cost.values()))
    assert mip.Solve() == mip.OPTIMAL
    return round(mip.Objective().Value())


@pytest.mark.parametrize(("size", "count"), [("xs", 200), ("s", 40), ("m", 8)])
def test_optimum_equals_that_of_a_mip(size, count):
    """Over no module, each, each pair, all and random sets of them, SCIP finds the same optimum."""
    family = OrderFulfillment()
    sets = arms(family)
    for index, d in enumerate(draws(family, size, count)):
        some = Stream(f"modules {index}").integers(len(family.module_names), 0, 1)
        chosen = tuple(m for m, bit in zip(family.module_names, some, strict=True) if bit)
        modules = sets[index] if index < len(sets) and size == "xs" else chosen
        solution = solve(family.form(d), family.arm(d, modules), family.objective(d))
        assert solution.objective == by_mip(d, modules), (index, modules)


def test_the_best_of_all_plans():
    """Of all plans of the tiny instance, the cheapest that the judge accepts costs what the solver proves."""
    family = OrderFulfillment()
    rows = [[row for row in combined(range(n + 1), repeat=4) if sum(row) == n] for n in DATA.units]
    plans = [supply(*choice) for choice in combined(*rows)]
    for modules in arms(family):
        constraints = family.arm(DATA, modules)
        kept = [plan for plan in plans if all(c.check(plan) >= 0 for c in constraints)]
        found = solve(family.form(DATA), constraints, family.objective(DATA)).objective
        assert found == min((family.objective(DATA).of(plan) for plan in kept), default=None), modules


def test_mirror_is_what_is_left_of_the_sales():
    """The gain is the sales of what is ordered less the cost."""
    mirror = TotalGain(PRICES, 3 * 15 + 2 * 65 + 4 * 15)
    assert mirror.of(supply((0, 0, 0, 3), (0, 2, 0, 0), (0, 0, 0, 4))) == 235 - 143


def test_a_distractor_is_of_no_use():
    """Added products are not ordered and no component of what is made."""
    family = OrderFulfillment()
    for index, d in enumerate(draws(family, "s", 10)):
        crowd = family.distracted(d, 2, Stream(f"{index}"))
        assert len(crowd.stock) == len(crowd.value) == 3 * len(d.stock)
        assert (crowd.product, crowd.bill) == (d.product, d.bill)
        assert {p for p, *_ in crowd.offers} == set(range(3 * len(d.stock)))


def test_statement_says_every_number():
    """The statement lists lines, sources, products and offers, and states each rule."""
    family, instance = instance_of(OrderFulfillment, DATA)
    text = family.statement(instance, "final")
    assert "line | customer | product | units\n1 | 1 | 1 | 3\n2 | 1 | 3 | 2\n3 | 2 | 1 | 4\n" in text
    assert "source | kind | country | minutes\n1 | stock | - | 1\n2 | workshop | - | 5\n3 | vendor | 1 | 2\n" in text
    assert "product | in stock | selling price\n1 | 5 | 15\n2 | 2 | 30\n3 | 1 | 65\n" in text
    assert "\n1 | 10 / 1 | - | 12 / 3 | 9 / 8\n2 | 20 / 1 | - | - | -\n3 | 50 / 1 | 40 / 4 | - | 55 / 6\n" in text
    assert "To make one of product 3, the workshop uses 1 of product 1 and 1 of product 2 out of stock." in text
    for rule in (
        "Every line gets exactly its units, from all sources together.",
        "No line gets units from a source that does not offer its product.",
        "Of a product that is no component, at most the units in stock are taken.",
        "Of a product that is a component, at most the units in stock are taken, those that the workshop uses"
        " included.",
        "The units of customer 2 come only from sources that need at most 3 days for them.",
        "The units of customer 1 cost at most 120 in total.",
        "The units of customer 2 cost at most 45 in total.",
        "Every line keeps a margin of at least 20 %: its units cost at most 80 % of its sales (the units ordered times"
        " the selling price).",
        "Of the vendors, only those of country 1 serve customer 1.",
        "All lines together get either no units or at least 3 from source 3.",
        "Handling takes at most 30 minutes (units times the minutes of their source, summed over all lines).",
    ):
        assert f". {rule}\n" in text, rule
    assert text.endswith("Objective: Minimise the total cost (units times their price, summed over all lines).")


def test_statement_uses_the_names_given():
    """Renamed entities and terms appear in a sentence; nothing of the plain words is left."""
    names = Names({"customer": ("shop", "shops"), "country": ("zone", "zones")}, {"country": ("K1", "K2", "K3")})
    assert VendorPolicy((), 0, (0, 2)).say(names) == "Of the vendors, only those of zones K1 and K3 serve shop 1."


@pytest.mark.parametrize("size", SIZES)
def test_greedy_breaks_no_ceiling(size):
    """Greedy takes nothing that is not there, late, barred or too dear; it may miss demand and least quantities."""
    family = OrderFulfillment()
    for d in draws(family, size, 6):
        constraints = family.arm(d, family.module_names)
        answer = family.greedy(d, family.fits(constraints))
        assert all(c.check(answer) >= 0 for c in constraints if c.hereditary)


def changed(answer, cells):
    """Return the answer with other units in some cells."""
    return Partial({**answer, **cells})


def late(answer, c):
    source = next(s for s, days in c.days if days > c.limit)
    return changed(answer, {(c.line, source): 1})


MUTATIONS = {
    "demand": lambda answer, c: changed(answer, {(c.line, 0): answer[c.line, 0] + 1}),
    "offer": lambda answer, c: changed(answer, {c.cells[0]: 1}),
    "stock": lambda answer, c: changed(answer, {c.terms[0][:2]: c.limit + 1}),
    "bill_of_materials": lambda answer, c: changed(answer, {c.terms[-1][:2]: c.limit + 1}),
    "deadline": late,
    "budget": lambda answer, c: changed(answer, {c.terms[0][:2]: c.limit}),
    "margin": lambda answer, c: changed(answer, {(c.line, c.prices[0][0]): c.sales}),
    "vendor_policy": lambda answer, c: changed(answer, {c.cells[-1]: 1}),
    "min_order_qty": lambda answer, c: changed(
        answer, {(k, c.source): c.least - 1 if k == 0 else 0 for k in range(c.lines)}
    ),
    "capacity": lambda answer, c: changed(answer, {(0, 0): c.limit + 1}),
    "target": lambda answer, c: Partial({cell: units + 20 for cell, units in answer.items()}),
}


@pytest.mark.parametrize("kind", OrderFulfillment().constraint_kinds)
def test_a_breaking_mutation_is_reported(kind):
    """The exact answer, mutated to break one constraint, is reported as breaking it by judge and solver."""
    breaks(OrderFulfillment(), kind, MUTATIONS[kind], 4)
