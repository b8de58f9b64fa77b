"""Cutting stock: each constraint on three rolls worked out by hand, the optimum over patterns (SCIP) and all plans."""

from collections import Counter
from dataclasses import replace
from itertools import chain, combinations, product

import pytest
from ortools.linear_solver import pywraplp

from solvers.exact import admits, solve
from solvers.keys import Stream
from solvers.names import Names
from solvers.optimization.cutting_stock import (
    FAMOUS,
    CuttingStock,
    CuttingStockData,
    Demand,
    Incompatible,
    KnifeLimit,
    MaxRolls,
    MixLimit,
    Overrun,
    Price,
    PriceSaved,
    Rolls,
    RollWidth,
    StockLimit,
    TrimLimit,
)
from solvers.problem import SIZES, Absent, Target
from solvers.shapes import Partial
from tests.solvers.optimization import agreed, draws, instance_of, instances, violated

# Pieces of 5, 3 and 2; two rolls of 10 and one of 7.
PIECE = (5, 3, 2)
DATA = CuttingStockData(
    piece=PIECE,
    demand=(1, 2, 2),
    width=(10, 7),
    offered=(2, 1),
    cost=(9, 5),
    knives=3,
    mixed=2,
    trim=2,
    over=1,
    incompatible=((0, 1),),
    most=2,
    limited=((0, 1),),
)
SHAPE = Rolls("roll", "product", ((2, 3, 5), (2, 3, 5), (1, 2, 3)))
COSTS = (9, 9, 5)
ALIKE = ((0, 1),)
KINDS = {
    "demand": Demand(1, 3, 2),
    "roll_width": RollWidth(2, PIECE, 7),
    "knife_limit": KnifeLimit(0, 3, 3),
    "mix_limit": MixLimit(0, 3, 2),
    "trim_limit": TrimLimit(1, PIECE, 10, 2),
    "overrun": Overrun(2, 3, 1, 1),
    "incompatible": Incompatible((0, 1), 3),
    "max_rolls": MaxRolls(3, 3, 2),
    "stock_limit": StockLimit(0, (0, 1), 3, 1),
    "target": Target(Price(3, COSTS, False, ALIKE), 14),
}
NONE = (0, 0, 0)


def plan(*rows):
    """Return the answer with these pieces from rolls 1, 2 …; None leaves a roll out."""
    return Partial({(i, j): many for i, row in enumerate(rows) if row is not None for j, many in enumerate(row)})


@pytest.mark.parametrize(
    ("kind", "rows", "slack"),
    [
        ("demand", ((0, 3, 0), (0, 1, 0), NONE), 2),
        ("demand", ((2, 0, 5), (0, 1, 0), NONE), -1),
        ("demand", ((0, 1, 0), NONE, (0, 1, 0)), 0),
        ("roll_width", ((2, 3, 5), NONE, NONE), 7),
        ("roll_width", (NONE, NONE, (1, 1, 0)), -1),
        ("roll_width", (NONE, NONE, (1, 0, 1)), 0),
        ("knife_limit", (NONE, (2, 3, 5), NONE), 3),
        ("knife_limit", ((1, 2, 1), NONE, NONE), -1),
        ("knife_limit", ((0, 0, 3), NONE, NONE), 0),
        ("mix_limit", (NONE, (1, 1, 1), NONE), 2),
        ("mix_limit", ((1, 1, 1), NONE, NONE), -1),
        ("mix_limit", ((2, 3, 0), NONE, NONE), 0),
        ("trim_limit", ((0, 0, 1), NONE, (0, 0, 1)), 2),
        ("trim_limit", (NONE, (1, 0, 1), NONE), -1),
        ("trim_limit", (NONE, (1, 1, 0), NONE), 0),
        ("trim_limit", (NONE, (2, 0, 1), NONE), 4),
        ("overrun", (NONE, NONE, NONE), 2),
        ("overrun", ((0, 0, 2), (0, 0, 1), NONE), -1),
        ("overrun", ((0, 0, 1), NONE, (0, 0, 1)), 0),
        ("incompatible", ((2, 0, 1), (0, 3, 1), NONE), 0),
        ("incompatible", ((1, 1, 0), NONE, NONE), -1),
        ("incompatible", ((1, 1, 0), (2, 3, 0), NONE), -2),
        ("max_rolls", (NONE, NONE, NONE), 2),
        ("max_rolls", ((1, 0, 0), (0, 0, 1), (0, 1, 0)), -1),
        ("max_rolls", ((1, 3, 0), NONE, (1, 1, 1)), 0),
        ("stock_limit", (NONE, NONE, (1, 1, 1)), 1),
        ("stock_limit", ((0, 0, 1), (0, 1, 0), NONE), -1),
        ("stock_limit", (NONE, (2, 3, 5), (1, 0, 0)), 0),
        ("target", (NONE, (1, 0, 0), NONE), 5),
        ("target", ((0, 1, 0), (1, 0, 0), NONE), -4),
        ("target", ((2, 0, 0), NONE, (0, 2, 0)), 0),
    ],
)
def test_slack_of_each_constraint(kind, rows, slack):
    """Predicate and solver agree with the slack worked out by hand: trivial, failing, just holding."""
    assert agreed(SHAPE, KINDS[kind], plan(*rows)) == slack


@pytest.mark.parametrize("kind", KINDS)
def test_a_missing_roll_fails_what_names_it(kind):
    """An answer that leaves out the rolls that a rule is about does not pass by doing so."""
    with pytest.raises(Absent):
        KINDS[kind].check(Partial())


def test_the_trim_of_a_roll_left_whole_is_vacuous():
    """A roll that is not used has no trim, and only such a roll."""
    assert KINDS["trim_limit"].vacuous(plan((1, 1, 1), NONE, NONE))
    assert not KINDS["trim_limit"].vacuous(plan(NONE, (2, 0, 0), NONE))


@pytest.mark.parametrize(
    ("modules", "changed", "optimum"),
    [
        ((), {}, 14),  # 5 3 2 and 3 2
        (("trim_limit",), {"trim": 0}, 14),  # 5 3 2 and 3 2 2
        (("trim_limit", "mix_limit"), {"trim": 0}, 14),  # 3 3 2 2 and 5 2
        (("mix_limit", "incompatible"), {}, 14),  # 5 2 2 and 3 3
        (("mix_limit",), {"mixed": 1}, 23),
        (("knife_limit",), {"knives": 2}, 23),  # five pieces from two rolls are three from one
        (("incompatible",), {"incompatible": ((0, 1), (0, 2), (1, 2))}, 23),
        (("stock_limit",), {"limited": ((1, 0),)}, 18),
        (("max_rolls",), {"most": 1}, None),
        (("trim_limit", "overrun"), {"trim": 0, "over": 0}, None),  # 15 of width fill no rolls
        (CuttingStock().module_names, {}, 14),  # 5 2 2 and 3 3
    ],
)
def test_optimum_worked_by_hand(modules, changed, optimum):
    """The tiny instance has the optimum that pen and paper give, or none."""
    assert cheapest(replace(DATA, **changed), modules) == optimum


def cheapest(d, modules):
    """The optimum as the family has it, None where there is none."""
    family = CuttingStock()
    return solve(family.form(d), family.arm(d, modules), family.objective(d)).objective


def patterns(d, width, modules):
    """All ways to cut a roll that is used, by rules written down here."""
    kept = []
    for row in product(*(range(width // one + 1) for one in d.piece)):
        load = sum(many * one for many, one in zip(row, d.piece, strict=True))
        products = {j for j, many in enumerate(row) if many}
        broken = {
            "knife_limit": sum(row) > d.knives,
            "mix_limit": len(products) > d.mixed,
            "trim_limit": width - load > d.trim,
            "incompatible": any(set(pair) <= products for pair in d.incompatible),
        }
        if 0 < load <= width and not any(broken.get(m) for m in modules):
            kept.append(row)
    return kept


def by_patterns(d, modules):
    """The optimum as SCIP finds it: how many rolls of each type are cut by each pattern (Gilmore and Gomory)."""
    mip = pywraplp.Solver.CreateSolver("SCIP")
    types = range(len(d.width))
    ways = [(t, row, mip.IntVar(0, d.offered[t], "")) for t in types for row in patterns(d, d.width[t], modules)]
    used = [mip.Sum([y for s, _, y in ways if s == t]) for t in types]
    rules = [used[t] <= d.offered[t] for t in types]
    for j, demand in enumerate(d.demand):
        cut = mip.Sum([row[j] * y for _, row, y in ways])
        rules.append(cut >= demand)
        if "overrun" in modules:
            rules.append(cut <= demand + d.over)
    if "max_rolls" in modules:
        rules.append(mip.Sum(used) <= d.most)
    if "stock_limit" in modules:
        rules += [used[t] <= most for t, most in d.limited]
    for rule in rules:
        mip.Add(rule)
    mip.Minimize(mip.Sum([(d.cost[t] if d.cost else 1) * used[t] for t in types]))
    if mip.Solve() != pywraplp.Solver.OPTIMAL:
        return None
    return round(mip.Objective().Value())


MODULES = CuttingStock().module_names
ARMS = list(chain.from_iterable(combinations(MODULES, count) for count in (0, 1, 2, 6, 7)))


@pytest.mark.parametrize(("size", "count"), [("xs", 160), ("s", 50), ("m", 12)])
def test_optimum_equals_that_over_patterns(size, count):
    """Over no module, each, each pair, all but one and all, SCIP finds the same optimum over cutting patterns."""
    for index, d in enumerate(draws(CuttingStock(), size, count)):
        modules = ARMS[index % len(ARMS)]
        assert cheapest(d, modules) == by_patterns(d, modules), (index, modules)


def test_the_best_of_all_plans():
    """Of all plans of the tiny instance that the judge accepts, the cheapest costs what the solver proves."""
    family = CuttingStock()
    small = replace(DATA, demand=(1, 1, 1), width=(8, 5), trim=1)
    form = family.form(small)
    rows = [list(product(*(range(most + 1) for most in row))) for row in form.most]
    plans = [plan(*chosen) for chosen in product(*rows)]
    for modules in [(), *((m,) for m in MODULES), MODULES]:
        constraints = family.arm(small, modules)
        kept = [p for p in plans if all(c.check(p) >= 0 for c in constraints)]
        assert cheapest(small, modules) == min(map(family.objective(small).of, kept), default=None), modules


def test_rolls_alike_are_ordered_for_the_search_only():
    """An answer whose second roll holds more than its first is admitted; the optimum is that of unordered rolls."""
    family = CuttingStock()
    turned = plan((0, 0, 1), (1, 1, 1), NONE)
    assert admits(SHAPE, [Target(Price(3, COSTS, False, ALIKE), 18)], turned)
    for d in draws(family, "xs", 12):
        price = family.objective(d)
        assert price.alike
        plain = solve(family.form(d), family.arm(d, MODULES), replace(price, alike=()))
        assert plain.objective == cheapest(d, MODULES)


@pytest.mark.parametrize("size", SIZES)
def test_rules_say_something(size):
    """Widths differ, every piece fits every roll, each product is asked for, limits can be missed."""
    family = CuttingStock()
    for d in draws(family, size, 20):
        n = len(d.piece)
        assert len(set(d.piece)) == n
        assert max(d.piece) <= min(d.width)
        assert min(d.demand) > 0
        assert len(set(d.incompatible)) == len(d.incompatible) > 0
        assert all(a < b for a, b in d.incompatible)
        assert 1 < d.knives <= max(d.width) // min(d.piece)
        assert 1 < d.mixed <= 3 <= n
        assert 0 <= d.trim < max(d.width)
        assert d.most < sum(d.offered)
        assert d.limited
        assert all(0 < most < d.offered[t] for t, most in d.limited)


@pytest.mark.parametrize("one", FAMOUS, ids=lambda one: one.name)
def test_a_famous_problem_has_its_published_optimum(one):
    """Both ways prove what is stated, and no fewer rolls hold what is asked for."""
    assert cheapest(one.data, ()) == by_patterns(one.data, ()) == one.optimum
    asked = sum(map(int.__mul__, one.data.piece, one.data.demand))
    assert -(-asked // one.data.width[0]) == one.optimum


def test_a_perturbed_problem_keeps_its_form():
    """Perturbing changes widths; every piece still fits a roll, and there is a roll for each."""
    family = CuttingStock()
    for one in FAMOUS:
        for k in range(20):
            d = family.perturb(one.data, Stream(f"perturb {one.name} {k}"))
            assert replace(d, width=(), piece=()) == replace(one.data, width=(), piece=())
            assert 1 <= min(d.piece) <= max(d.piece) <= d.width[0]
            assert sum(d.demand) <= d.offered[0]


def test_the_price_saved_mirrors_the_price():
    """What is used and what is left whole cost all rolls together."""
    used, saved = Price(3, COSTS, False, ALIKE), PriceSaved(3, COSTS, False, ALIKE)
    assert saved.of(plan((1, 0, 0), NONE, NONE)) == 14
    for some in product((NONE, (0, 2, 1)), repeat=3):
        assert used.of(plan(*some)) + saved.of(plan(*some)) == 23


def test_statement_says_every_rule():
    """The statement lists products and types and states each rule."""
    family, instance = instance_of(CuttingStock, DATA)
    text = family.statement(instance, "final")
    assert "Cut pieces of these products from rolls 1, 2 and 3: " in text
    assert "product | width | demand\n1 | 5 | 1\n2 | 3 | 2\n3 | 2 | 2\n" in text
    assert "The rolls are of 2 types.\n\ntype | rolls | width | cost\n1 | 1, 2 | 10 | 9\n2 | 3 | 7 | 5\n" in text
    assert text.endswith(
        "Rules:\n"
        "1. The number of pieces of any one product that are cut is at least its demand.\n"
        "2. The total width of the pieces cut from any one roll is at most the width of the roll.\n"
        "3. The number of pieces cut from any one roll is at most 3.\n"
        "4. The number of different products of which pieces are cut from any one roll is at most 2.\n"
        "5. Of any roll that is used, the width minus the total width of the pieces cut from it is at most 2.\n"
        "6. The number of pieces of any one product that are cut is at most its demand plus 1.\n"
        "7. Pieces of products 1 and 2 are not cut from the same roll.\n"
        "8. The number of rolls that are used is at most 2.\n"
        "9. The number of rolls of type 1 that are used is at most 1.\n"
        "10. The total cost of the rolls used is at most 14.\n"
        "\n"
        "Objective: Minimise the total cost of the rolls used."
    )


def test_statement_of_the_textbook_problem_counts_rolls():
    """Rolls of one width have no types and no cost."""
    family = CuttingStock()
    instance, _ = family.instance(FAMOUS[0].size, 7, 0, (), "famous")
    text = family.statement(instance, "final")
    assert "Each roll has a width of 10." in text
    assert "type" not in text
    assert "cost" not in text
    assert text.endswith("Objective: Minimise the number of rolls used.")


def test_statement_uses_the_names_given():
    """Renamed entities and terms appear in the sentences."""
    names = Names({"product": ("sort", "sorts"), "piece": ("rope", "ropes"), "roll": ("drum", "drums")})
    assert KINDS["incompatible"].say(names) == "Ropes of sorts 1 and 2 are not cut from the same drum."
    assert KINDS["stock_limit"].say(names) == "The number of drums of type 1 that are used is at most 1."


@pytest.mark.parametrize("size", SIZES)
def test_greedy_breaks_no_ceiling(size):
    """First fit decreasing keeps to every ceiling and cuts no more than is asked for."""
    family = CuttingStock()
    for d in draws(family, size, 5):
        constraints = family.arm(d, MODULES)
        answer = family.greedy(d, family.fits(constraints))
        assert all(c.check(answer) >= 0 for c in constraints if c.hereditary)
        cut = Counter({j: sum(answer[i, j] for i in range(sum(d.offered))) for j in range(len(d.piece))})
        assert all(cut[j] <= demand for j, demand in enumerate(d.demand))
        plain = family.arm(d, ())
        assert max(family.greedy(d, family.fits(plain)).values()) > 0


MUTATIONS = {
    "demand": lambda answer, c: {cell: many * (cell[1] != c.product) for cell, many in answer.items()},
    "roll_width": lambda answer, c: {(c.roll, j): c.limit // one for j, one in enumerate(c.piece)},
    "knife_limit": lambda answer, c: {(c.roll, 0): c.limit + 1},
    "mix_limit": lambda answer, c: {(c.roll, j): 1 for j in range(c.limit + 1)},
    "trim_limit": lambda answer, c: {(c.roll, j): int(j == 0) for j in range(len(c.piece))},
    "overrun": lambda answer, c: {(0, c.product): c.demand + c.limit + 1},
    "incompatible": lambda answer, c: {(c.rolls - 1, j): 1 for j in c.pair},
    "max_rolls": lambda answer, c: {(i, 0): 1 for i in range(c.rolls)},
    "stock_limit": lambda answer, c: {(i, 0): 1 for i in c.rolls},
    "target": lambda answer, c: {(i, 0): 1 for i in range(len(c.objective.cost))},
}


@pytest.mark.parametrize("kind", CuttingStock().constraint_kinds)
def test_a_breaking_mutation_is_reported(kind):
    """The exact answer, mutated to break one constraint, is reported as breaking it."""
    family, seen = CuttingStock(), 0
    for instance in instances(family, "s", 5):
        for constraint in family.constraints(instance, "final"):
            if constraint.kind == kind:
                mutant = Partial({**instance.answer, **MUTATIONS[kind](instance.answer, constraint)})
                assert constraint not in violated(family, instance, instance.answer)
                assert constraint in violated(family, instance, mutant)
                seen += 1
    assert seen
