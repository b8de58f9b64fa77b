"""Bin packing: each constraint on four items worked out by hand, the optimum against all assignments."""

from itertools import combinations, product

import pytest

from solvers.exact import solve
from solvers.names import Names
from solvers.optimization.bin_packing import BinPacking, BinPackingData, BinsUsed, Capacity, Conflict, Fragile, Placed
from solvers.problem import SIZES, Absent, Target
from solvers.shapes import MapOf, Partial
from tests.solvers.optimization import agreed, draws, instance_of, instances, violated

# Sizes 5 4 3 2 into bins of 8, 7 and 6; items 1 and 2 apart; the bin of item 3 holds at most 5.
SIZE = (5, 4, 3, 2)
DATA = BinPackingData(size=SIZE, capacity=(8, 7, 6), conflicts=((0, 1),), fragile=((2, 5),))
SHAPE = MapOf("item", 4, "bin", 3)
PLACED = Placed(3, 3)
CAPACITY = Capacity(0, SIZE, 8)
CONFLICT = Conflict((0, 1), 3)
FRAGILE = Fragile(2, 3, SIZE, 5)
TARGET = Target(BinsUsed(4, 3), 2)


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
        pytest.param(CONFLICT, (0, 1, 0, 1), 0, id="conflict trivial"),
        pytest.param(CONFLICT, (2, 2, 0, 1), -1, id="conflict fails"),
        pytest.param(CONFLICT, (2, 1, 2, 1), 0, id="conflict holds"),
        pytest.param(FRAGILE, (0, 0, 1, 2), 2, id="fragile trivial"),
        pytest.param(FRAGILE, (0, 1, 1, 2), -2, id="fragile fails"),
        pytest.param(FRAGILE, (0, 1, 2, 2), 0, id="fragile holds"),
        pytest.param(TARGET, (1, 1, 1, 1), 1, id="target trivial"),
        pytest.param(TARGET, (0, 1, 2, 0), -1, id="target fails"),
        pytest.param(TARGET, (0, 2, 2, 0), 0, id="target holds"),
    ],
)
def test_slack_of_each_constraint(constraint, bins, slack):
    """Predicate and solver agree with the slack worked out by hand."""
    assert agreed(SHAPE, constraint, packing(*bins)) == slack


@pytest.mark.parametrize("constraint", [PLACED, CONFLICT, FRAGILE, TARGET], ids=lambda c: c.kind)
def test_a_missing_item_fails_what_names_it(constraint):
    """An answer that leaves items out does not pass by doing so."""
    with pytest.raises(Absent):
        constraint.check(packing(None, 0, None, None))


@pytest.mark.parametrize(
    ("modules", "optimum"),
    [
        ((), 2),  # 5 + 3 in the bin of 8, 4 + 2 in another
        (("conflict",), 2),
        (("fragile",), 3),  # item 3 alone or with item 4: 9 or more are left, for a bin of 8
        (None, 3),
    ],
)
def test_optimum_worked_by_hand(modules, optimum):
    """The tiny instance needs as many bins as pen and paper say; every arm has the joint arm's target."""
    _, instance = instance_of(BinPacking, DATA, modules)
    assert (instance.optimum, instance.proof.status, instance.proof.bound) == (optimum, "OPTIMAL", optimum)
    assert instance.target == 3


def fewest_bins(d, modules):
    best = None
    for bins in product(range(len(d.capacity)), repeat=len(d.size)):
        load = [0] * len(d.capacity)
        for size, j in zip(d.size, bins, strict=True):
            load[j] += size
        full = any(held > most for held, most in zip(load, d.capacity, strict=True))
        clash = "conflict" in modules and any(bins[a] == bins[b] for a, b in d.conflicts)
        crushed = "fragile" in modules and any(load[bins[i]] > most for i, most in d.fragile)
        if not full and not clash and not crushed:
            best = len(set(bins)) if best is None else min(best, len(set(bins)))
    return best


def test_optimum_equals_brute_force():
    """On 120 instances, over all sets of modules, the proven optimum is the best of all assignments."""
    family = BinPacking()
    arms = [arm for count in range(3) for arm in combinations(family.module_names, count)]
    for index, d in enumerate(draws(family, "xs", 120)):
        modules = arms[index % len(arms)]
        solution = solve(family.form(d), family.arm(d, modules), family.objective(d))
        assert solution.objective == fewest_bins(d, modules)


@pytest.mark.parametrize("size", SIZES)
def test_the_target_is_tight_in_every_arm(size):
    """No bins fewer than the hidden packing's hold the volume, and the target says so; spare bins are offered."""
    family = BinPacking()
    for d in draws(family, size, 50):
        filled = family.sizes[size].filled
        assert sum(sorted(d.capacity)[-filled + 1 :]) < sum(d.size) <= sum(sorted(d.capacity)[-filled:])
        assert len(d.capacity) > filled
        assert all(d.size[i] <= limit < max(d.capacity) for i, limit in d.fragile)


def test_statement_says_every_number():
    """The statement lists each item's size and states each bin's capacity and each rule."""
    family, instance = instance_of(BinPacking, DATA)
    text = family.statement(instance, "final")
    assert text.startswith("Put each of these items in one of bins 1, 2 and 3.")
    assert "item | size\n1 | 5\n2 | 4\n3 | 3\n4 | 2\n" in text
    assert "1. Every item is in exactly one bin.\n" in text
    assert "2. The total size of the items in bin 1 is at most 8.\n" in text
    assert "4. The total size of the items in bin 3 is at most 6.\n" in text
    assert "5. Items 1 and 2 are not in the same bin.\n" in text
    assert "6. Item 3 is fragile: the total size of the items in its bin, item 3 included, is at most 5.\n" in text
    assert "7. The number of bins used is at most 3." in text
    assert text.endswith("Objective: Minimise the number of bins used.")


def test_statement_keeps_the_letters_of_names():
    """A label keeps its capitals where it opens a sentence."""
    names = Names({"item": ("parcel", "parcels"), "bin": ("van", "vans")}, {"item": ("Ax", "By", "Cz", "Dw")})
    assert CONFLICT.say(names) == "Parcels Ax and By are not in the same van."
    assert FRAGILE.say(names).startswith("Parcel Cz is fragile")


@pytest.mark.parametrize("size", SIZES)
def test_greedy_breaks_no_ceiling(size):
    """First fit decreasing never overfills or breaks a rule; where an item finds no bin, the judge says infeasible."""
    family = BinPacking()
    for d in draws(family, size, 10):
        for modules in ((), family.module_names):
            constraints = family.arm(d, modules)
            answer = family.greedy(d, family.fits(constraints))
            complete = len(answer) == len(d.size)
            assert (family.value(d, constraints, answer) is not None) == complete


MUTATIONS = {
    "placed": lambda answer, c: Partial({i: j for i, j in answer.items() if i != c.item}),
    "capacity": lambda answer, c: Partial(dict.fromkeys(answer, c.bin)),
    "conflict": lambda answer, c: Partial({**answer, c.pair[0]: answer[c.pair[1]]}),
    "fragile": lambda answer, c: Partial(dict.fromkeys(answer, answer[c.item])),
    "target": lambda answer, c: Partial({i: i % c.objective.bins for i in answer}),
}


@pytest.mark.parametrize("kind", BinPacking().constraint_kinds)
def test_a_breaking_mutation_is_reported(kind):
    """The exact answer, mutated to break one constraint, is reported as breaking it by judge and solver."""
    family = BinPacking()
    for instance in instances(family, "s", 5):
        for constraint in family.constraints(instance, "final"):
            if constraint.kind == kind:
                mutant = MUTATIONS[kind](instance.answer, constraint)
                assert constraint not in violated(family, instance, instance.answer)
                assert constraint in violated(family, instance, mutant)
                slack = agreed(family.shape(instance, "final"), constraint, mutant)
                assert slack is None if kind == "placed" else slack < 0
