"""Knapsack: each constraint on four items worked out by hand, the optimum against all subsets."""

from dataclasses import replace
from itertools import combinations
from pathlib import Path

import pytest

from solvers.exact import solve
from solvers.formats.common import FormatError
from solvers.names import Names
from solvers.optimization.knapsack import Capacity, Conflict, Knapsack, KnapsackData, MinimumCount, Requires, TotalValue
from solvers.problem import SIZES, Target
from solvers.shapes import SubsetOf
from tests.solvers.optimization import agreed, breaks, draws, instance_of

# Weights 4 3 2 1 of at most 6; items 1 and 2 exclude each other, item 3 needs item 4, at least three items.
DATA = KnapsackData(
    value=(10, 8, 5, 1), size=((4, 3, 2, 1),), limit=(6,), conflicts=((0, 1),), requires=((2, 3),), least=3
)
SHAPE = SubsetOf("item", 4)
CAPACITY = Capacity(0, (4, 3, 2, 1), 6)
CONFLICT = Conflict((0, 1))
REQUIRES = Requires(2, 3)
COUNT = MinimumCount(2)
TARGET = Target(TotalValue((10, 8, 5, 1)), 14)


@pytest.mark.parametrize(
    ("constraint", "chosen", "slack"),
    [
        pytest.param(CAPACITY, set(), 6, id="capacity trivial"),
        pytest.param(CAPACITY, {0, 1}, -1, id="capacity fails"),
        pytest.param(CAPACITY, {0, 2}, 0, id="capacity holds"),
        pytest.param(CONFLICT, {2, 3}, 1, id="conflict trivial"),
        pytest.param(CONFLICT, {0, 1}, -1, id="conflict fails"),
        pytest.param(CONFLICT, {1, 3}, 0, id="conflict holds"),
        pytest.param(REQUIRES, {0, 3}, 0, id="requires trivial"),
        pytest.param(REQUIRES, {0, 2}, -1, id="requires fails"),
        pytest.param(REQUIRES, {2, 3}, 0, id="requires holds"),
        pytest.param(COUNT, {0, 1, 2, 3}, 2, id="minimum_count trivial"),
        pytest.param(COUNT, {1}, -1, id="minimum_count fails"),
        pytest.param(COUNT, {1, 3}, 0, id="minimum_count holds"),
        pytest.param(TARGET, {0, 1, 2, 3}, 10, id="target trivial"),
        pytest.param(TARGET, {1, 2}, -1, id="target fails"),
        pytest.param(TARGET, {1, 2, 3}, 0, id="target holds"),
    ],
)
def test_slack_of_each_constraint(constraint, chosen, slack):
    """Predicate and solver agree with the slack worked out by hand."""
    assert agreed(SHAPE, constraint, frozenset(chosen)) == slack


def test_a_condition_that_does_not_apply_is_vacuous():
    """ "If item 3 then item 4" is vacuous without item 3, and only then."""
    assert REQUIRES.vacuous(frozenset({0, 3}))
    assert not REQUIRES.vacuous(frozenset({2, 3}))


@pytest.mark.parametrize(
    ("limit", "modules", "optimum"),
    [
        (7, (), 18),  # items 1 and 2: weight 7
        (7, ("conflict",), 16),  # items 1, 3 and 4: weight 7
        (7, ("minimum_count",), 16),
        (6, (), 15),  # items 1 and 3: weight 6
        (6, ("requires",), 14),  # items 2, 3 and 4: weight 6
        (6, None, 14),
    ],
)
def test_optimum_worked_by_hand(limit, modules, optimum):
    """The tiny instance has the optimum that pen and paper give."""
    _, instance = instance_of(Knapsack, replace(DATA, limit=(limit,)), modules)
    assert (instance.optimum, instance.proof.status, instance.proof.bound) == (optimum, "OPTIMAL", optimum)


def best_subset(d, modules):
    n = len(d.value)
    best = None
    for count in range(n + 1):
        if "minimum_count" in modules and count < d.least:
            continue
        for chosen in combinations(range(n), count):
            fits = all(sum(row[i] for i in chosen) <= most for row, most in zip(d.size, d.limit, strict=True))
            clash = "conflict" in modules and any(a in chosen and b in chosen for a, b in d.conflicts)
            lacks = "requires" in modules and any(a in chosen and b not in chosen for a, b in d.requires)
            if fits and not clash and not lacks:
                worth = sum(d.value[i] for i in chosen)
                best = worth if best is None else max(best, worth)
    return best


def test_optimum_equals_brute_force():
    """On 120 instances, over all sets of modules, the proven optimum is the best of all subsets."""
    family = Knapsack()
    arms = [arm for count in range(4) for arm in combinations(family.module_names, count)]
    for index, d in enumerate(draws(family, "xs", 120)):
        modules = arms[index % len(arms)]
        solution = solve(family.form(d), family.arm(d, modules), family.objective(d))
        assert solution.objective == best_subset(d, modules)


def test_statement_says_every_number():
    """The statement lists each item with value and weight, and states each rule."""
    family, instance = instance_of(Knapsack, DATA)
    text = family.statement(instance, "final")
    assert "item | value | weight\n1 | 10 | 4\n2 | 8 | 3\n3 | 5 | 2\n4 | 1 | 1" in text
    assert "1. The total weight of the chosen items is at most 6.\n" in text
    assert "2. Item 1 and item 2 are not both chosen.\n" in text
    assert "3. If item 3 is chosen, item 4 is chosen too.\n" in text
    assert "4. At least 3 items are chosen.\n" in text
    assert "5. The total value of the chosen items is at least 14." in text
    assert text.endswith("Objective: Maximise the total value of the chosen items.")


def test_statement_uses_the_names_given():
    """Renamed entities and terms appear in a sentence; nothing of the plain words is left."""
    names = Names({"item": ("crate", "crates"), "weight": ("mass", "masses")}, {"item": ("10", "20", "30", "40")})
    assert CAPACITY.say(names) == "The total mass of the chosen crates is at most 6."
    assert REQUIRES.say(names) == "If crate 30 is chosen, crate 40 is chosen too."


@pytest.mark.parametrize("size", SIZES)
def test_greedy_breaks_no_ceiling(size):
    """Greedy never violates a capacity or a conflict; what it may miss are floors and what an item requires."""
    family = Knapsack()
    for d in draws(family, size, 10):
        constraints = family.arm(d, family.module_names)
        answer = family.greedy(d, family.fits(constraints))
        assert all(c.check(answer) >= 0 for c in constraints if c.hereditary)


MUTATIONS = {
    "capacity": lambda answer, c: frozenset(range(len(c.size))),
    "conflict": lambda answer, c: answer | set(c.pair),
    "requires": lambda answer, c: (answer | {c.item}) - {c.needed},
    "minimum_count": lambda answer, c: frozenset(sorted(answer)[: c.limit - 1]),
    "target": lambda answer, c: frozenset(),
}


@pytest.mark.parametrize("kind", Knapsack().constraint_kinds)
def test_a_breaking_mutation_is_reported(kind):
    """The exact answer, mutated to break one constraint, is reported as breaking it by judge and solver."""
    breaks(Knapsack(), kind, MUTATIONS[kind], 5)


def test_a_file_is_read():
    """Each row of weights with its capacity is a dimension; numbers with decimals are in units that make them whole."""
    family = Knapsack()
    one, other = family.formats["orlibrary"]("2\n2 2 0\n5 7\n1.5 2\n3 0\n3 4\n" + "2 1 0\n0.5 1\n0 0\n1\n")
    assert one == KnapsackData((5, 7), ((3, 4), (3, 0)), (6, 4), (), (), 0)
    assert other == KnapsackData((1, 2), ((0, 0),), (1,), (), (), 0)
    assert family.greedy(other, family.fits(family.core(other))) == {0, 1}
    with pytest.raises(FormatError, match="line 3"):
        family.formats["orlibrary"]("1\n2 1 0\n5 x\n1 2\n3\n")


def test_famous_problems_are_those_of_the_public_file():
    """Petersen's first and third problem have the numbers and the best value of the file."""
    text = (Path(__file__).parents[2] / "data" / "public" / "knapsack" / "mknap1.txt").read_text(encoding="utf-8")
    read = Knapsack.formats["orlibrary"](text)
    famous = {one.name: (one.data, one.optimum) for one in Knapsack().famous()}
    assert famous["petersen 1"] == (read[0], 3800)
    assert famous["petersen 3"] == (read[2], 4015)


def test_more_dimensions_than_words():
    """A fourth dimension is a numbered resource."""
    d = Knapsack().famous()[0].data
    text = Knapsack().intro(d, Names())
    assert "item | value | weight | volume | cost | use of resource 4 | use of resource 5" in text
    assert Knapsack().core(d)[3].say(Names()) == "The total use of resource 4 of the chosen items is at most 36."
