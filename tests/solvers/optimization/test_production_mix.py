"""Production mix: each constraint on three products worked out by hand, the optimum against all plans."""

import numpy as np
import pytest

from solvers.exact import solve
from solvers.keys import Stream
from solvers.names import Names
from solvers.optimization.production_mix import (
    FAMOUS,
    LinkedProduction,
    MaxProduction,
    MaxSingleProduct,
    MinBatch,
    MinimumVariety,
    MinProduction,
    MinProfit,
    ProductionMix,
    ProductionMixData,
    ProductRatio,
    ProfitForgone,
    ResourceLimit,
    TotalProfit,
    UtilisationCap,
)
from solvers.problem import SIZES, Absent, Target
from solvers.shapes import AmountOf, Partial
from tests.solvers.optimization import agreed, breaks, draws, instance_of
from tests.solvers.specimens import arms

# Profits 5 4 3; a unit uses 2 1 1 of resource 1 (10 there) and 1 1 3 of resource 2 (12 there).
DATA = ProductionMixData(
    profit=(5, 4, 3),
    use=((2, 1, 1), (1, 1, 3)),
    available=(10, 12),
    most=(5, 6, 4),
    least=((2, 1),),
    line=(0, 1, 0),
    caps=((0, 80),),
    floors=((0, 9),),
    variety=3,
    share=60,
    links=((1, 0, 2),),
    ratios=((2, 1, 50),),
    batches=((0, 2),),
)
SHAPE = AmountOf("product", (7, 8, 6), "units")
KINDS = {
    "resource_limit": ResourceLimit(0, (2, 1, 1), 10),
    "utilisation_cap": UtilisationCap(0, (2, 1, 1), 8, 80),
    "max_production": MaxProduction(0, 5),
    "min_production": MinProduction(2, 1),
    "min_profit": MinProfit(0, ((0, 5), (2, 3)), 9),
    "minimum_variety": MinimumVariety(3, 2),
    "max_single_product": MaxSingleProduct(0, 3, 60),
    "linked_production": LinkedProduction(1, 0, 2),
    "product_ratio": ProductRatio(2, 1, 50),
    "min_batch": MinBatch(0, 2),
    "target": Target(TotalProfit((5, 4, 3)), 20),
}


def units(*amounts):
    """Return the answer with these units of products 1, 2 and 3."""
    return Partial(enumerate(amounts))


@pytest.mark.parametrize(
    ("kind", "amounts", "slack"),
    [
        ("resource_limit", (0, 0, 0), 10),
        ("resource_limit", (4, 2, 1), -1),
        ("resource_limit", (4, 1, 1), 0),
        ("utilisation_cap", (0, 0, 0), 8),
        ("utilisation_cap", (4, 0, 1), -1),
        ("utilisation_cap", (0, 8, 0), 0),
        ("max_production", (0, 8, 6), 5),
        ("max_production", (6, 0, 0), -1),
        ("max_production", (5, 0, 0), 0),
        ("min_production", (0, 0, 6), 5),
        ("min_production", (7, 8, 0), -1),
        ("min_production", (0, 0, 1), 0),
        ("min_profit", (7, 0, 6), 44),
        ("min_profit", (1, 8, 1), -1),
        ("min_profit", (0, 0, 3), 0),
        ("minimum_variety", (1, 1, 1), 1),
        ("minimum_variety", (7, 0, 0), -1),
        ("minimum_variety", (7, 0, 1), 0),
        ("max_single_product", (0, 0, 0), 0),
        ("max_single_product", (2, 1, 0), -20),
        ("max_single_product", (3, 1, 1), 0),
        ("linked_production", (0, 0, 6), 0),
        ("linked_production", (1, 1, 0), -1),
        ("linked_production", (2, 8, 0), 0),
        ("product_ratio", (7, 0, 0), 0),
        ("product_ratio", (7, 5, 2), -50),
        ("product_ratio", (0, 4, 2), 0),
        ("min_batch", (0, 8, 6), 0),
        ("min_batch", (1, 8, 6), -1),
        ("min_batch", (2, 0, 0), 0),
        ("target", (7, 8, 6), 65),
        ("target", (0, 4, 1), -1),
        ("target", (4, 0, 0), 0),
    ],
)
def test_slack_of_each_constraint(kind, amounts, slack):
    """Predicate and solver agree with the slack worked out by hand: trivial, failing, just holding."""
    assert agreed(SHAPE, KINDS[kind], units(*amounts)) == slack


@pytest.mark.parametrize("kind", KINDS)
def test_a_missing_product_fails_what_names_it(kind):
    """An answer that leaves out the products that a rule is about does not pass by doing so."""
    with pytest.raises(Absent):
        KINDS[kind].check(Partial())


@pytest.mark.parametrize("kind", ["linked_production", "min_batch"])
def test_a_condition_that_does_not_apply_is_vacuous(kind):
    """ "If product 2 then product 1" is vacuous without product 2, and only then."""
    assert KINDS[kind].vacuous(units(0, 0, 4))
    assert not KINDS[kind].vacuous(units(1, 1, 4))


@pytest.mark.parametrize("percent", [1, 33, 60])
def test_a_share_is_exact(percent):
    """A share is compared in whole numbers: no product makes up a hair more than it may."""
    rule = MaxSingleProduct(0, 2, percent)
    shape = AmountOf("product", (100, 100), "units")
    assert agreed(shape, rule, units(percent, 100 - percent)) == 0
    assert agreed(shape, rule, units(percent, 99 - percent)) == -percent


@pytest.mark.parametrize(
    ("modules", "optimum"),
    [
        ((), 33),  # 2 5 1 uses up resource 1 and 10 of resource 2
        (("min_profit", "minimum_variety"), 33),
        (("linked_production", "min_batch"), 33),
        (("max_single_product",), 32),  # 2 4 2: of 2 5 1, product 2 is 62.5 %
        (("product_ratio",), 32),  # 2 4 2
        (("utilisation_cap",), 30),  # 0 6 2: 4 and 3 for each of resource 1, product 1 brings 2.5
        (("utilisation_cap", "minimum_variety"), 28),  # 1 5 1
        (ProductionMix().module_names, 24),  # 2 2 2
    ],
)
def test_optimum_worked_by_hand(modules, optimum):
    """The tiny instance has the optimum that pen and paper give."""
    family = ProductionMix()
    assert solve(family.form(DATA), family.arm(DATA, modules), family.objective(DATA)).objective == optimum


def best_of_all(d, modules):
    """Return the best objective of all plans within the bounds, by looking at each."""
    n = len(d.profit)
    x = np.indices([most + 1 for most in d.most]).reshape(n, -1)
    use, profit, line = np.array(d.use), np.array(d.profit), np.array(d.line)
    allowed = (use @ x <= np.array(d.available)[:, None]).all(axis=0)
    for i, least in d.least:
        allowed &= x[i] >= least
    keeps = {
        "utilisation_cap": [100 * (use[r] @ x) <= percent * d.available[r] for r, percent in d.caps],
        "min_profit": [profit[line == k] @ x[line == k] >= least for k, least in d.floors],
        "minimum_variety": [np.count_nonzero(x, axis=0) >= d.variety],
        "max_single_product": [100 * x.max(axis=0) <= d.share * x.sum(axis=0)],
        "linked_production": [(x[i] == 0) | (x[j] >= least) for i, j, least in d.links],
        "product_ratio": [100 * x[i] >= percent * x[j] for i, j, percent in d.ratios],
        "min_batch": [(x[i] == 0) | (x[i] >= least) for i, least in d.batches],
    }
    for module in modules:
        for kept in keeps[module]:
            allowed &= kept
    return int((profit @ x)[allowed].max())


def test_optimum_equals_brute_force():
    """On 240 instances, over no module, each, each pair, all and random sets of them, the proven optimum is the best of
    all plans."""
    family = ProductionMix()
    sets = arms(family)
    for index, d in enumerate(draws(family, "xs", 240)):
        some = Stream(f"modules {index}").integers(len(family.module_names), 0, 1)
        chosen = tuple(m for m, bit in zip(family.module_names, some, strict=True) if bit)
        modules = sets[index] if index < len(sets) else chosen
        solution = solve(family.form(d), family.arm(d, modules), family.objective(d))
        assert solution.objective == best_of_all(d, modules), (index, modules)


@pytest.mark.parametrize(
    ("name", "plan"),
    [("Wyndor Glass", (2, 6)), ("Giapetto's Woodcarving", (20, 60)), ("Dakota Furniture", (2, 0, 8))],
)
def test_textbook_plans(name, plan):
    """The textbooks' plans are feasible and worth the published optimum, which the solver proves."""
    family = ProductionMix()
    (known,) = (one for one in FAMOUS if one.name == name)
    rules = family.core(known.data)
    assert all(rule.check(units(*plan)) >= 0 for rule in rules)
    assert family.objective(known.data).of(units(*plan)) == known.optimum
    assert solve(family.form(known.data), rules, family.objective(known.data)).objective == known.optimum


def test_a_distractor_repeats_another_resource():
    """Of an added resource there is more than of another one of which every product uses at least as much."""
    family = ProductionMix()
    for index, d in enumerate(draws(family, "s", 10)):
        crowd = family.distracted(d, 2, Stream(f"{index}"))
        count = len(d.available)
        assert len(crowd.available) == 3 * count
        for row, have in zip(crowd.use[count:], crowd.available[count:], strict=True):
            assert any(
                all(a <= b for a, b in zip(row, d.use[r], strict=True)) and have > d.available[r] for r in range(count)
            )


def test_mirror_is_what_is_missing():
    """The profit forgone is that of the units missing to every maximum."""
    mirror = ProfitForgone((5, 4, 3), (5, 6, 4))
    assert mirror.of(units(5, 6, 4)) == 0
    assert mirror.of(units(4, 4, 1)) == 5 + 8 + 9


def test_statement_says_every_number():
    """The statement lists each product with its numbers, and states each rule."""
    family, instance = instance_of(ProductionMix, DATA)
    text = family.statement(instance, "final")
    assert "product | profit | maximum | line\n1 | 5 | 5 | 1\n2 | 4 | 6 | 2\n3 | 3 | 4 | 1\n" in text
    assert "product | resource 1 | resource 2\n1 | 2 | 1\n2 | 1 | 1\n3 | 1 | 3\n" in text
    for rule in (
        "The products use at most 10 of resource 1 in total.",
        "The products use at most 12 of resource 2 in total.",
        "The units of every product are at most its maximum.",
        "The units of product 3 are at least 1.",
        "The products use at most 80 % of what there is of resource 1, which is 8.",
        "The total profit of the products of line 1 (units times profit, summed over them) is at least 9.",
        "At least 3 products have 1 or more units each.",
        "The units of every product are at most 60 % of the units of all products together.",
        "If product 2 has 1 or more units, product 1 has at least 2.",
        "The units of product 3 are at least 50 % of the units of product 2.",
        "The units of product 1 are either 0 or at least 2.",
    ):
        assert f". {rule}\n" in text
    assert text.endswith("Objective: Maximise the total profit (units times profit, summed over all products).")


def test_a_textbook_statement_has_no_side_data():
    """A textbook's product mix is stated without maxima and lines."""
    family = ProductionMix()
    instance, _ = family.instance("xs", 0, 0, (), "famous")
    text = family.statement(instance, "final")
    assert "product | profit\n1 | 3\n2 | 5\n\n" in text
    assert "maximum" not in text
    assert "line" not in text


def test_statement_uses_the_names_given():
    """Renamed entities and terms appear in a sentence; nothing of the plain words is left."""
    names = Names({"product": ("dish", "dishes"), "units": ("plates", "plates")}, {"product": ("K1", "K2", "K3")})
    assert KINDS["min_batch"].say(names) == "The plates of dish K1 are either 0 or at least 2."
    assert KINDS["minimum_variety"].say(names) == "At least 2 dishes have 1 or more plates each."


@pytest.mark.parametrize("size", SIZES)
def test_greedy_breaks_no_ceiling(size):
    """Greedy uses no more of a resource than allowed and makes what must be made; what it may miss are other floors."""
    family = ProductionMix()
    for d in draws(family, size, 6):
        constraints = family.arm(d, family.module_names)
        answer = family.greedy(d, family.fits(constraints))
        assert all(c.check(answer) >= 0 for c in constraints if c.hereditary or c.kind == "min_production")


MUTATIONS = {
    "resource_limit": lambda answer, c: Partial({i: amount + c.limit for i, amount in answer.items()}),
    "utilisation_cap": lambda answer, c: Partial({i: amount + c.limit for i, amount in answer.items()}),
    "max_production": lambda answer, c: Partial({**answer, c.product: c.limit + 1}),
    "min_production": lambda answer, c: Partial({**answer, c.product: c.limit - 1}),
    "min_profit": lambda answer, c: Partial({**answer, **{i: 0 for i, _ in c.profit}}),
    "minimum_variety": lambda answer, c: Partial({i: v if i < c.limit - 1 else 0 for i, v in answer.items()}),
    "max_single_product": lambda answer, c: Partial({i: int(i == c.product) for i in answer}),
    "linked_production": lambda answer, c: Partial({**answer, c.product: 1, c.needed: c.least - 1}),
    "product_ratio": lambda answer, c: Partial({**answer, c.product: 0, c.followed: 1}),
    "min_batch": lambda answer, c: Partial({**answer, c.product: c.least - 1}),
    "target": lambda answer, c: Partial(dict.fromkeys(answer, 0)),
}


@pytest.mark.parametrize("kind", ProductionMix().constraint_kinds)
def test_a_breaking_mutation_is_reported(kind):
    """The exact answer, mutated to break one constraint, is reported as breaking it by judge and solver."""
    breaks(ProductionMix(), kind, MUTATIONS[kind], 4)
