"""Portfolio: each constraint on four assets worked out by hand, the optimum against all divisions of the budget."""

import numpy as np
import pytest

from solvers.exact import solve
from solvers.keys import Stream
from solvers.names import Names
from solvers.optimization.portfolio import (
    Budget,
    CombinedLimit,
    Conditional,
    Diversification,
    Exclusion,
    GroupCap,
    GroupFloor,
    Liquidity,
    Mandatory,
    MaxAllocation,
    MinIfInvested,
    Portfolio,
    PortfolioData,
    ReturnForgone,
    Risk,
    SectorCap,
    SectorFloor,
    TotalReturn,
)
from solvers.problem import SIZES, Absent, Target
from solvers.shapes import AmountOf, Partial
from tests.solvers.optimization import agreed, breaks, draws, instance_of
from tests.solvers.specimens import arms

# Ten lots; returns 9 7 5 2, risks 8 5 3 1. Assets 1 and 2 are sector 1, assets 1 and 3 group 1, 3 and 4 liquid.
DATA = PortfolioData(
    gain=(9, 7, 5, 2),
    risk=(8, 5, 3, 1),
    most=(6, 5, 5, 4),
    sector=(0, 0, 1, 1),
    group=(0, 1, 0, 1),
    liquid=(False, False, True, True),
    budget=10,
    minimums=((1, 3),),
    sector_caps=((0, 7),),
    sector_floors=((1, 4),),
    group_caps=((0, 8),),
    group_floors=((1, 3),),
    combined=((0, 2, 7),),
    least_assets=3,
    least_liquid=4,
    mandatory=((3, 2),),
    exclusions=((1, 2),),
    conditions=((0, 3, 3),),
    most_risk=50,
)
SHAPE = AmountOf("asset", (8, 7, 7, 6), "lots")
KINDS = {
    "budget": Budget(4, 10),
    "max_allocation": MaxAllocation(0, 6),
    "min_if_invested": MinIfInvested(1, 3),
    "sector_cap": SectorCap((0, 1), 7, 0),
    "sector_floor": SectorFloor((2, 3), 4, 1),
    "group_cap": GroupCap((0, 2), 8, 0),
    "group_floor": GroupFloor((1, 3), 3, 1),
    "combined_limit": CombinedLimit((0, 2), 7),
    "diversification": Diversification(4, 3),
    "liquidity": Liquidity((2, 3), 4),
    "mandatory": Mandatory(3, 2),
    "exclusion": Exclusion((1, 2)),
    "conditional": Conditional(0, 3, 3),
    "risk": Risk((8, 5, 3, 1), 50),
    "target": Target(TotalReturn((9, 7, 5, 2)), 60),
}


def lots(*amounts):
    """Return the answer with these lots of assets 1, 2, 3 and 4."""
    return Partial(enumerate(amounts))


@pytest.mark.parametrize(
    ("kind", "amounts", "slack"),
    [
        ("budget", (0, 0, 0, 0), -10),  # to invest nothing is no answer
        ("budget", (6, 5, 0, 0), -1),
        ("budget", (3, 3, 3, 0), -1),
        ("budget", (6, 4, 0, 0), 0),
        ("max_allocation", (0, 0, 0, 0), 6),
        ("max_allocation", (7, 0, 0, 0), -1),
        ("max_allocation", (6, 0, 0, 0), 0),
        ("min_if_invested", (1, 0, 1, 1), 0),
        ("min_if_invested", (0, 2, 0, 0), -1),
        ("min_if_invested", (0, 3, 0, 0), 0),
        ("sector_cap", (0, 0, 7, 6), 7),
        ("sector_cap", (6, 2, 0, 0), -1),
        ("sector_cap", (3, 4, 7, 6), 0),
        ("sector_floor", (0, 0, 7, 6), 9),
        ("sector_floor", (8, 7, 3, 0), -1),
        ("sector_floor", (0, 0, 2, 2), 0),
        ("group_cap", (0, 7, 0, 6), 8),
        ("group_cap", (4, 0, 5, 0), -1),
        ("group_cap", (8, 7, 0, 6), 0),
        ("group_floor", (0, 7, 0, 6), 10),
        ("group_floor", (8, 1, 7, 1), -1),
        ("group_floor", (0, 3, 0, 0), 0),
        ("combined_limit", (0, 7, 0, 6), 7),
        ("combined_limit", (4, 0, 4, 0), -1),
        ("combined_limit", (3, 0, 4, 6), 0),
        ("diversification", (1, 1, 1, 1), 1),
        ("diversification", (6, 0, 0, 4), -1),
        ("diversification", (6, 1, 0, 3), 0),
        ("liquidity", (0, 0, 5, 4), 5),
        ("liquidity", (8, 7, 0, 3), -1),
        ("liquidity", (0, 0, 4, 0), 0),
        ("mandatory", (0, 0, 0, 6), 4),
        ("mandatory", (8, 7, 7, 1), -1),
        ("mandatory", (0, 0, 0, 2), 0),
        ("exclusion", (8, 0, 0, 6), 0),
        ("exclusion", (0, 1, 1, 0), -1),
        ("exclusion", (0, 0, 7, 0), 0),
        ("conditional", (0, 7, 7, 1), 0),
        ("conditional", (1, 0, 0, 2), -1),
        ("conditional", (1, 0, 0, 3), 0),
        ("risk", (0, 0, 0, 0), 50),
        ("risk", (6, 0, 0, 3), -1),
        ("risk", (6, 0, 0, 2), 0),
        ("target", (6, 5, 5, 4), 62),
        ("target", (6, 0, 1, 0), -1),
        ("target", (5, 0, 3, 0), 0),
    ],
)
def test_slack_of_each_constraint(kind, amounts, slack):
    """Predicate and solver agree with the slack worked out by hand: trivial, failing, just holding."""
    assert agreed(SHAPE, KINDS[kind], lots(*amounts)) == slack


@pytest.mark.parametrize("kind", KINDS)
def test_a_missing_asset_fails_what_names_it(kind):
    """An answer that leaves out the assets that a rule is about does not pass by doing so."""
    with pytest.raises(Absent):
        KINDS[kind].check(Partial())


@pytest.mark.parametrize("kind", ["min_if_invested", "conditional"])
def test_a_condition_that_does_not_apply_is_vacuous(kind):
    """ "If asset 1 then asset 4" is vacuous without asset 1, and only then."""
    assert KINDS[kind].vacuous(lots(0, 0, 4, 4))
    assert not KINDS[kind].vacuous(lots(1, 1, 4, 4))


@pytest.mark.parametrize(
    ("modules", "optimum"),
    [
        ((), 82),  # 6 lots of asset 1 and 4 of asset 2
        (("min_if_invested",), 82),
        (("group_cap",), 82),
        (("sector_cap",), 76),  # 6 1 3 0
        (("combined_limit", "diversification"), 80),  # 6 3 1 0
        (("mandatory",), 72),  # 6 2 0 2
        (("min_if_invested", "mandatory"), 70),  # 5 3 0 2; without asset 2: 6 0 2 2 for 68
        (("exclusion", "sector_cap"), 74),  # 6 0 4 0; without asset 3: 6 1 0 3 for 67
        (("conditional",), 67),  # 6 1 0 3; without asset 1: 0 5 5 0 for 60
        (("risk",), 68),  # 2 5 3 0: from 0 5 5 0 with risk 40, each lot from asset 3 to 1 adds 4 and costs 5
    ],
)
def test_optimum_worked_by_hand(modules, optimum):
    """The tiny instance has the optimum that pen and paper give."""
    family = Portfolio()
    assert solve(family.form(DATA), family.arm(DATA, modules), family.objective(DATA)).objective == optimum


def best_of_all(d, modules):
    """Return the best objective of all divisions of the budget, by looking at each."""
    n = len(d.gain)
    grid = np.indices([most + 1 for most in d.most]).reshape(n, -1)
    x = grid[:, grid.sum(axis=0) == d.budget]
    sector, group, liquid = np.array(d.sector), np.array(d.group), np.array(d.liquid)
    keeps = {
        "min_if_invested": [(x[i] == 0) | (x[i] >= least) for i, least in d.minimums],
        "sector_cap": [x[sector == s].sum(axis=0) <= most for s, most in d.sector_caps],
        "sector_floor": [x[sector == s].sum(axis=0) >= least for s, least in d.sector_floors],
        "group_cap": [x[group == g].sum(axis=0) <= most for g, most in d.group_caps],
        "group_floor": [x[group == g].sum(axis=0) >= least for g, least in d.group_floors],
        "combined_limit": [x[i] + x[j] <= most for i, j, most in d.combined],
        "diversification": [np.count_nonzero(x, axis=0) >= d.least_assets],
        "liquidity": [x[liquid].sum(axis=0) >= d.least_liquid],
        "mandatory": [x[i] >= least for i, least in d.mandatory],
        "exclusion": [x[i] * x[j] == 0 for i, j in d.exclusions],
        "conditional": [(x[i] == 0) | (x[j] >= least) for i, j, least in d.conditions],
        "risk": [np.array(d.risk) @ x <= d.most_risk],
    }
    allowed = np.ones(x.shape[1], dtype=bool)
    for module in modules:
        for kept in keeps[module]:
            allowed &= kept
    return int((np.array(d.gain) @ x)[allowed].max())


def test_optimum_equals_brute_force():
    """On 240 instances, over no module, each, each pair, all and random sets of them, the proven optimum is the best of
    all divisions of the budget."""
    family = Portfolio()
    sets = arms(family)
    for index, d in enumerate(draws(family, "xs", 240)):
        some = Stream(f"modules {index}").integers(len(family.module_names), 0, 1)
        chosen = tuple(m for m, bit in zip(family.module_names, some, strict=True) if bit)
        modules = sets[index] if index < len(sets) else chosen
        solution = solve(family.form(d), family.arm(d, modules), family.objective(d))
        assert solution.objective == best_of_all(d, modules), (index, modules)


def test_mirror_is_what_is_missing():
    """The return forgone is that of the lots missing to every maximum."""
    mirror = ReturnForgone((9, 7, 5, 2), (6, 5, 5, 4))
    assert mirror.of(lots(6, 5, 5, 4)) == 0
    assert mirror.of(lots(6, 4, 0, 0)) == 7 + 25 + 8


def test_statement_says_every_number():
    """The statement lists each asset with its numbers, and states each rule."""
    family, instance = instance_of(Portfolio, DATA)
    text = family.statement(instance, "final")
    header = "asset | return | risk | maximum | sector | group | liquid\n"
    assert header + "1 | 9 | 8 | 6 | 1 | 1 | no\n2 | 7 | 5 | 5 | 1 | 2 | no\n3 | 5 | 3 | 5 | 2 | 1 | yes" in text
    for rule in (
        "The lots of all assets together are exactly 10.",
        "The lots of every asset are at most its maximum.",
        "The lots of asset 2 are either 0 or at least 3.",
        "The lots of the assets of sector 1 together are at most 7.",
        "The lots of the assets of sector 2 together are at least 4.",
        "The lots of the assets of group 1 together are at most 8.",
        "The lots of the assets of group 2 together are at least 3.",
        "The lots of assets 1 and 3 together are at most 7.",
        "At least 3 assets have 1 or more lots each.",
        "The lots of the liquid assets together are at least 4.",
        "The lots of asset 4 are at least 2.",
        "Of assets 2 and 3 at most one has 1 or more lots.",
        "If asset 1 has 1 or more lots, asset 4 has at least 3.",
        "The total risk (lots times risk, summed over all assets) is at most 50.",
    ):
        assert f". {rule}\n" in text
    assert text.endswith("Objective: Maximise the total return (lots times return, summed over all assets).")


def test_statement_uses_the_names_given():
    """Renamed entities and terms appear in a sentence; nothing of the plain words is left."""
    names = Names({"asset": ("fund", "funds"), "lots": ("shares", "shares")}, {"asset": ("K1", "K2", "K3", "K4")})
    assert KINDS["combined_limit"].say(names) == "The shares of funds K1 and K3 together are at most 7."
    assert KINDS["conditional"].say(names) == "If fund K1 has 1 or more shares, fund K4 has at least 3."


@pytest.mark.parametrize("size", SIZES)
def test_greedy_breaks_no_ceiling(size):
    """Greedy violates no cap and invests no more than the budget; what it may miss are floors and conditions."""
    family = Portfolio()
    for d in draws(family, size, 6):
        constraints = family.arm(d, family.module_names)
        answer = family.greedy(d, family.fits(constraints))
        assert all(c.check(answer) >= 0 for c in constraints if c.hereditary)
        assert sum(answer.values()) <= d.budget


def test_greedy_is_right_without_side_constraints():
    """With budget and maxima alone, the best returns first is exact."""
    family = Portfolio()
    for d in draws(family, "s", 10):
        solution = solve(family.form(d), family.core(d), family.objective(d))
        assert family.objective(d).of(family.greedy(d, family.fits(family.core(d)))) == solution.objective


MUTATIONS = {
    "budget": lambda answer, c: Partial({**answer, 0: answer[0] + 1}),
    "max_allocation": lambda answer, c: Partial({**answer, c.asset: c.limit + 1}),
    "min_if_invested": lambda answer, c: Partial({**answer, c.asset: c.least - 1}),
    "sector_cap": lambda answer, c: Partial({**answer, c.members[0]: answer[c.members[0]] + c.check(answer) + 1}),
    "sector_floor": lambda answer, c: Partial({**answer, **dict.fromkeys(c.members, 0)}),
    "group_cap": lambda answer, c: Partial({**answer, c.members[0]: answer[c.members[0]] + c.check(answer) + 1}),
    "group_floor": lambda answer, c: Partial({**answer, **dict.fromkeys(c.members, 0)}),
    "combined_limit": lambda answer, c: Partial({**answer, c.members[0]: answer[c.members[0]] + c.check(answer) + 1}),
    "diversification": lambda answer, c: Partial({i: lots if i < c.limit - 1 else 0 for i, lots in answer.items()}),
    "liquidity": lambda answer, c: Partial({**answer, **dict.fromkeys(c.members, 0)}),
    "mandatory": lambda answer, c: Partial({**answer, c.asset: c.limit - 1}),
    "exclusion": lambda answer, c: Partial({**answer, **dict.fromkeys(c.pair, 1)}),
    "conditional": lambda answer, c: Partial({**answer, c.asset: 1, c.needed: c.least - 1}),
    "risk": lambda answer, c: Partial({**answer, 0: answer[0] + c.check(answer) // c.risk[0] + 1}),
    "target": lambda answer, c: Partial(dict.fromkeys(answer, 0)),
}


@pytest.mark.parametrize("kind", Portfolio().constraint_kinds)
def test_a_breaking_mutation_is_reported(kind):
    """The exact answer, mutated to break one constraint, is reported as breaking it by judge and solver."""
    breaks(Portfolio(), kind, MUTATIONS[kind], 4)
