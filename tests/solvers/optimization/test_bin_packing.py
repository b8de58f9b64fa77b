"""Bin packing: each constraint on four items worked out by hand, the optimum against all assignments."""

from dataclasses import replace
from itertools import combinations, product

import pytest

from solvers.exact import solve
from solvers.keys import Stream
from solvers.optimization.bin_packing import (
    BinPacking,
    BinPackingData,
    Bins,
    BinTypeLimit,
    Capacity,
    Fragile,
    Incompatible,
    MaxBins,
    MinFillRate,
    MustTogether,
    Placed,
    Price,
    PriceSaved,
    WeightBalance,
    textbook,
)
from solvers.problem import SIZES, Absent, Target
from solvers.shapes import Partial
from tests.solvers.optimization import agreed, draws, instance_of, instances, violated

# Sizes 5 4 3 2 in three bins; the first two of type 1 hold 8, the third of type 2 holds 7.
SIZE = (5, 4, 3, 2)
SHAPE = Bins("item", 4, "bin", 3)
DATA = BinPackingData(
    size=(SIZE, (9, 3, 2, 4)),
    capacity=((8, 7), (12, 12)),
    offered=(2, 1),
    cost=(5, 3),
    most=2,
    limited=((0, 1),),
    fill=70,
    balance=5,
    heavy=4,
    fragile=(2,),
    together=((1, 2),),
    incompatible=((0, 1),),
)
PLACED = Placed(3, 3)
CAPACITY = Capacity(0, 0, "volume", SIZE, 8)
MOST = MaxBins(3, 2)
LIMITED = BinTypeLimit(0, (0, 1), 1)
FILL = MinFillRate("volume", SIZE, (8, 8, 7), 60)
BALANCE = WeightBalance("weight", SIZE, 3, 2)
FRAGILE = Fragile(2, 3, "weight", SIZE, 4)
TOGETHER = MustTogether((0, 2), 3)
APART = Incompatible((0, 1), 3)
TARGET = Target(Price(4, (5, 5, 3), False), 8)


def packing(*bins):
    """Return the answer that puts items 1, 2 … into these bins (from 0); None leaves one out."""
    return Partial({i: j for i, j in enumerate(bins) if j is not None})


@pytest.mark.parametrize(
    ("constraint", "bins", "slack"),
    [
        pytest.param(PLACED, (0, 0, 0, 0), 0, id="placed trivial"),
        pytest.param(PLACED, (0, 0, 0, None), None, id="placed fails"),
        pytest.param(PLACED, (0, 1, 2, 2), 0, id="placed holds"),
        pytest.param(CAPACITY, (1, 1, 2, 2), 8, id="capacity trivial"),
        pytest.param(CAPACITY, (0, 0, 1, 1), -1, id="capacity fails"),
        pytest.param(CAPACITY, (0, 1, 0, 2), 0, id="capacity holds"),
        pytest.param(MOST, (0, 0, 0, 0), 1, id="max_bins trivial"),
        pytest.param(MOST, (0, 1, 2, 2), -1, id="max_bins fails"),
        pytest.param(MOST, (0, 2, 2, 0), 0, id="max_bins holds"),
        pytest.param(LIMITED, (2, 2, 2, 2), 1, id="bin_type_limit trivial"),
        pytest.param(LIMITED, (0, 1, 2, 2), -1, id="bin_type_limit fails"),
        pytest.param(LIMITED, (0, 2, 2, 0), 0, id="bin_type_limit holds"),
        pytest.param(FILL, (0, 0, 0, 0), 115, id="min_fill_rate trivial"),
        pytest.param(FILL, (0, 1, 1, 2), -32, id="min_fill_rate fails"),
        pytest.param(FILL, (0, 1, 0, 1), 15, id="min_fill_rate holds"),
        pytest.param(BALANCE, (0, 0, 0, 0), 2, id="weight_balance trivial"),
        pytest.param(BALANCE, (0, 1, 1, 2), -3, id="weight_balance fails"),
        pytest.param(BALANCE, (0, 1, 0, 1), 0, id="weight_balance holds"),
        pytest.param(FRAGILE, (0, 0, 1, 2), 4, id="fragile trivial"),
        pytest.param(FRAGILE, (1, 0, 1, 2), -1, id="fragile fails"),
        pytest.param(FRAGILE, (0, 1, 1, 2), 0, id="fragile holds"),
        pytest.param(TOGETHER, (0, 0, 0, 0), 0, id="must_together trivial"),
        pytest.param(TOGETHER, (0, 1, 2, 0), -1, id="must_together fails"),
        pytest.param(TOGETHER, (2, 1, 2, 0), 0, id="must_together holds"),
        pytest.param(APART, (0, 1, 0, 1), 0, id="incompatible trivial"),
        pytest.param(APART, (2, 2, 0, 1), -1, id="incompatible fails"),
        pytest.param(TARGET, (2, 2, 2, 2), 5, id="target trivial"),
        pytest.param(TARGET, (0, 1, 1, 0), -2, id="target fails"),
        pytest.param(TARGET, (0, 2, 2, 0), 0, id="target holds"),
    ],
)
def test_slack_of_each_constraint(constraint, bins, slack):
    """Predicate and solver agree with the slack worked out by hand."""
    assert agreed(SHAPE, constraint, packing(*bins)) == slack


@pytest.mark.parametrize("constraint", [PLACED, FRAGILE, TOGETHER, APART, TARGET], ids=lambda c: c.kind)
def test_a_missing_item_fails_what_names_it(constraint):
    """An answer that leaves items out does not pass by doing so."""
    with pytest.raises(Absent):
        constraint.check(packing(None, 0, None, None))


@pytest.mark.parametrize(
    ("modules", "optimum"),
    [
        ((), 8),  # sizes add up to 14: bins of 8 and 7
        (("incompatible",), 8),
        (("must_together", "incompatible"), 8),  # 5 + 2 and 4 + 3
        (("bin_type_limit",), 8),
    ],
)
def test_optimum_worked_by_hand(modules, optimum):
    """Two bins are needed, and the cheap one is among them."""
    _, instance = instance_of(BinPacking, replace(DATA, size=(SIZE, (1, 1, 1, 1))), modules)
    assert (instance.optimum, instance.proof.status) == (optimum, "OPTIMAL")


def packings(d):
    """Yield every assignment that keeps the capacities, as bin -> items; of a type's empty bins the first is opened."""
    n, type_of = len(d.size[0]), d.type_of

    def place(i, inside):
        if i == n:
            yield inside
            return
        opened = set()
        for j, t in enumerate(type_of):
            if j not in inside:
                if t in opened:
                    continue
                opened.add(t)
            items = [*inside.get(j, ()), i]
            if all(sum(row[i] for i in items) <= most[t] for row, most in zip(d.size, d.capacity, strict=True)):
                yield from place(i + 1, {**inside, j: items})

    return place(0, {})


def cheapest(d, modules):
    """The least cost over all assignments, by rules written down here."""
    best, type_of = None, d.type_of
    for inside in packings(d):
        cost = sum(d.cost[type_of[j]] if d.cost else 1 for j in inside)
        if best is not None and cost >= best:
            continue
        home = {i: j for j, items in inside.items() for i in items}
        weights = [sum(d.size[-1][i] for i in items) for items in inside.values()]
        ok = {
            "max_bins": len(inside) <= d.most,
            "bin_type_limit": all(sum(type_of[j] == t for j in inside) <= most for t, most in d.limited),
            "min_fill_rate": all(
                100 * sum(d.size[0][i] for i in items) >= d.fill * d.capacity[0][type_of[j]]
                for j, items in inside.items()
            ),
            "weight_balance": max(weights) - min(weights) <= d.balance,
            "fragile": not any(d.size[-1][i] > d.heavy for f in d.fragile for i in inside[home[f]] if i != f),
            "must_together": all(home[a] == home[b] for a, b in d.together),
            "incompatible": all(home[a] != home[b] for a, b in d.incompatible),
        }
        if all(ok[m] for m in modules):
            best = cost
    return best


def test_optimum_equals_brute_force():
    """On 240 instances, over all sets of up to two modules and all together, the proven cost is the least of all
    assignments; on half of them the costs are drawn anew, so that the hidden bins need not be the cheapest."""
    family = BinPacking()
    arms = [arm for count in range(3) for arm in combinations(family.module_names, count)] + [family.module_names]
    for index, drawn in enumerate(draws(family, "xs", 240)):
        d = replace(drawn, cost=Stream(f"cost {index}").integers(len(drawn.cost), 5, 20)) if index % 2 else drawn
        modules = arms[index % len(arms)]
        solution = solve(family.form(d), family.arm(d, modules), family.objective(d))
        assert solution.objective == cheapest(d, modules), (index, modules)


@pytest.mark.parametrize("size", SIZES)
def test_every_arm_has_the_same_tight_optimum(size):
    """The hidden packing's bins are the cheapest that hold all volume and weight (by all ways of taking bins), and it
    may use them under every rule; of each type more are offered."""
    family, cheap = BinPacking(), 0

    def total(count, row):
        return sum(one * many for one, many in zip(row, count, strict=True))

    for d in draws(family, size, 30):
        ways = [
            count
            for count in product(*(range(most + 1) for most in d.offered))
            if all(total(count, limits) >= sum(row) for row, limits in zip(d.size, d.capacity, strict=True))
        ]
        least = min(total(count, d.cost) for count in ways)
        hidden = [count for count in ways if sum(count) == d.most and all(count[t] <= most for t, most in d.limited)]
        cheap += any(total(count, d.cost) == least for count in hidden)
        assert all(most < d.offered[t] for t, most in d.limited)
        assert all(d.size[1][i] <= d.heavy < max(d.size[1]) for i in d.fragile)
    assert cheap >= 27


def test_a_bin_added_to_distract_takes_no_item():
    """Each further type is too small for every item in one dimension."""
    family = BinPacking()
    for index, d in enumerate(draws(family, "m", 20)):
        crowd = family.distracted(d, 2, Stream(f"crowd {index}"))
        assert crowd.offered == d.offered * 3
        for t in range(len(d.offered), len(crowd.offered)):
            assert any(limits[t] < min(row) for row, limits in zip(crowd.size, crowd.capacity, strict=True))


def test_the_mirrored_objective_saves_what_is_not_spent():
    """Cost of bins used and of bins left empty add up to all bins."""
    used, saved = Price(4, (5, 5, 3), False), PriceSaved(4, (5, 5, 3), False)
    for homes in product(range(3), repeat=4):
        assert used.of(packing(*homes)) + saved.of(packing(*homes)) == 13


def test_the_textbook_problem_counts_bins():
    """One kind of bin, one size: sizes 60 50 40 30 20 fit into two bins of 100."""
    family, d = BinPacking(), textbook((60, 50, 40, 30, 20), 100)
    assert solve(family.form(d), family.core(d), family.objective(d)).objective == 2


def test_statement_says_every_rule():
    """Types with their bins and costs, items with both sizes, each rule."""
    family, instance = instance_of(BinPacking, replace(DATA, fill=50, size=(SIZE, (4, 3, 2, 4)), balance=9))
    text = family.statement(instance, "final")
    assert "item | volume | weight\n1 | 5 | 4\n" in text
    assert "type | bins | cost\n1 | 1, 2 | 5\n2 | 3 | 3" in text
    for rule in (
        "In each bin of type 1, the total volume of the items is at most 8.",
        "The number of bins that are used is at most 2.",
        "Item 3 is fragile: every other item in its bin has a weight of at most 4.",
        "Items 2 and 3 are in the same bin.",
        "Items 1 and 2 are not in the same bin.",
    ):
        assert rule in text


@pytest.mark.parametrize("size", SIZES)
def test_greedy_breaks_no_ceiling(size):
    """First fit decreasing never breaks a ceiling; it fails where an item finds no bin."""
    family = BinPacking()
    for d in draws(family, size, 10):
        constraints = family.arm(d, family.module_names)
        answer = family.greedy(d, family.fits(constraints))
        for c in constraints:
            if c.hereditary and c.kind in ("capacity", "max_bins", "bin_type_limit"):
                assert c.check(answer) >= 0
        core = family.core(d)
        whole = family.greedy(d, family.fits(core))
        assert (family.value(d, core, whole) is not None) == (len(whole) == len(d.size[0]))


def elsewhere(answer, i, bins):
    return Partial({**answer, i: (answer[i] + 1) % bins})


def alone_in_an_empty_bin(answer, i, bins):
    return Partial({**answer, i: next(j for j in range(bins) if j not in answer.values())})


MUTATIONS = {
    "placed": lambda answer, c: Partial({i: j for i, j in answer.items() if i != c.item}),
    "capacity": lambda answer, c: Partial(dict.fromkeys(answer, c.bin)),
    "max_bins": lambda answer, c: Partial({**answer, **{j: j for j in range(c.bins)}}),
    "bin_type_limit": lambda answer, c: Partial({**answer, **dict(enumerate(c.bins))}),
    "min_fill_rate": lambda answer, c: alone_in_an_empty_bin(answer, 0, len(c.capacity)),
    "weight_balance": lambda answer, c: alone_in_an_empty_bin(dict.fromkeys(answer, 0), 0, c.bins),
    "fragile": lambda answer, c: Partial({**answer, c.item: answer[max(answer, key=lambda i: c.size[i])]}),
    "must_together": lambda answer, c: elsewhere(answer, c.pair[0], c.bins),
    "incompatible": lambda answer, c: Partial({**answer, c.pair[0]: answer[c.pair[1]]}),
    "target": lambda answer, c: Partial({i: i % len(c.objective.cost) for i in answer}),
}


@pytest.mark.parametrize("kind", BinPacking().constraint_kinds)
def test_a_breaking_mutation_is_reported(kind):
    """The exact answer, mutated to break one constraint, is reported as breaking it by judge and solver."""
    family, seen = BinPacking(), 0
    for instance in instances(family, "s", 5):
        for constraint in family.constraints(instance, "final"):
            if constraint.kind == kind:
                mutant = MUTATIONS[kind](instance.answer, constraint)
                assert constraint not in violated(family, instance, instance.answer)
                assert constraint in violated(family, instance, mutant)
                slack = agreed(family.shape(instance, "final"), constraint, mutant)
                assert slack is None if kind == "placed" else slack < 0
                seen += 1
    assert seen
