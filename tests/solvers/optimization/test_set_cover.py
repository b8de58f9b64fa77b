"""Set cover: each constraint on four sets worked out by hand, the optimum against all subsets."""

from dataclasses import replace
from itertools import combinations

import pytest

from solvers.exact import solve
from solvers.formats.common import FormatError
from solvers.names import Names
from solvers.optimization.set_cover import (
    Conflict,
    Cover,
    DoubleCover,
    MaxSets,
    Requires,
    SetCover,
    SetCoverData,
    TotalCost,
    from_file,
)
from solvers.problem import SIZES, Instance, Target
from solvers.shapes import SubsetOf
from tests.solvers.optimization import agreed, breaks, draws, instance_of, instances

# Elements 1 to 4. Sets {1, 2} for 3, {3, 4} for 3, {2, 3} for 4, {1, 2, 3, 4} for 9.
DATA = SetCoverData(
    cost=(3, 3, 4, 9),
    members=((0, 1), (2, 3), (1, 2), (0, 1, 2, 3)),
    conflicts=((0, 1),),
    requires=((1, 2),),
    doubles=(1,),
    most=2,
)
SHAPE = SubsetOf("set", 4)
COVER = Cover(1, (0, 2, 3))
DOUBLE = DoubleCover(1, (0, 2, 3))
CONFLICT = Conflict((0, 1))
REQUIRES = Requires(1, 2)
MOST = MaxSets(2)
TARGET = Target(TotalCost((3, 3, 4, 9)), 10)


@pytest.mark.parametrize(
    ("constraint", "chosen", "slack"),
    [
        pytest.param(COVER, {0, 1, 2, 3}, 2, id="cover trivial"),
        pytest.param(COVER, {1}, -1, id="cover fails"),
        pytest.param(COVER, {1, 2}, 0, id="cover holds"),
        pytest.param(DOUBLE, {0, 1, 2, 3}, 1, id="double_cover trivial"),
        pytest.param(DOUBLE, {1, 3}, -1, id="double_cover fails"),
        pytest.param(DOUBLE, {0, 3}, 0, id="double_cover holds"),
        pytest.param(CONFLICT, {2, 3}, 1, id="conflict trivial"),
        pytest.param(CONFLICT, {0, 1}, -1, id="conflict fails"),
        pytest.param(CONFLICT, {1, 3}, 0, id="conflict holds"),
        pytest.param(REQUIRES, {0, 3}, 0, id="requires trivial"),
        pytest.param(REQUIRES, {1, 3}, -1, id="requires fails"),
        pytest.param(REQUIRES, {1, 2}, 0, id="requires holds"),
        pytest.param(MOST, set(), 2, id="max_sets trivial"),
        pytest.param(MOST, {0, 1, 2}, -1, id="max_sets fails"),
        pytest.param(MOST, {0, 1}, 0, id="max_sets holds"),
        pytest.param(TARGET, set(), 10, id="target trivial"),
        pytest.param(TARGET, {2, 3}, -3, id="target fails"),
        pytest.param(TARGET, {0, 1, 2}, 0, id="target holds"),
    ],
)
def test_slack_of_each_constraint(constraint, chosen, slack):
    """Predicate and solver agree with the slack worked out by hand."""
    assert agreed(SHAPE, constraint, frozenset(chosen)) == slack


def test_a_condition_that_does_not_apply_is_vacuous():
    """ "If set 2 then set 3" is vacuous without set 2, and only then."""
    assert REQUIRES.vacuous(frozenset({0, 3}))
    assert not REQUIRES.vacuous(frozenset({1, 2}))


@pytest.mark.parametrize(
    ("modules", "optimum"),
    [
        ((), 6),  # sets 1 and 2
        (("conflict",), 9),  # set 4 alone
        (("requires",), 9),  # set 2 costs set 3 too
        (("double_cover",), 10),  # sets 1, 2 and 3
        (("double_cover", "max_sets"), 12),  # sets 1 and 4
        (None, 12),
    ],
)
def test_optimum_worked_by_hand(modules, optimum):
    """The tiny instance has the optimum that pen and paper give; every arm has the joint arm's target."""
    _, instance = instance_of(SetCover, DATA, modules)
    assert (instance.optimum, instance.proof.status, instance.proof.bound) == (optimum, "OPTIMAL", optimum)
    assert instance.target == 12


def cheapest_cover(d, modules):
    every, best = set().union(*d.members), None
    for count in range(len(d.cost) + 1):
        if "max_sets" in modules and count > d.most:
            break
        for chosen in combinations(range(len(d.cost)), count):
            held = [e for i in chosen for e in d.members[i]]
            thin = "double_cover" in modules and any(held.count(e) < 2 for e in d.doubles)
            clash = "conflict" in modules and any(a in chosen and b in chosen for a, b in d.conflicts)
            lacks = "requires" in modules and any(a in chosen and b not in chosen for a, b in d.requires)
            if set(held) == every and not thin and not clash and not lacks:
                cost = sum(d.cost[i] for i in chosen)
                best = cost if best is None else min(best, cost)
    return best


def test_optimum_equals_brute_force():
    """On 240 instances, over all sets of modules, the proven optimum is the cheapest of all subsets."""
    family = SetCover()
    arms = [arm for count in range(5) for arm in combinations(family.module_names, count)]
    for index, d in enumerate(draws(family, "xs", 240)):
        modules = arms[index % len(arms)]
        solution = solve(family.form(d), family.arm(d, modules), family.objective(d))
        assert solution.objective == cheapest_cover(d, modules)


@pytest.mark.parametrize("size", SIZES)
def test_draws_are_sound(size):
    """Every element is in two sets or more, every rule concerns different sets, and no rule doubles another."""
    family = SetCover()
    for d in draws(family, size, 20):
        knobs = family.sizes[size]
        assert (len(d.cost), d.elements, d.most) == (knobs.sets, knobs.elements, knobs.hidden)
        assert all(len(d.holding(e)) >= 2 for e in range(d.elements))
        assert all(len(d.holding(e)) >= 3 for e in d.doubles)
        assert all(len(set(members)) == len(members) > 1 for members in d.members)
        assert not set(d.conflicts) & {tuple(sorted(pair)) for pair in d.requires}
        assert len(d.requires) == len({i for i, _ in d.requires}) == knobs.requires


def test_statement_says_every_number():
    """The statement lists each set with its cost and elements, and states each rule."""
    family, instance = instance_of(SetCover, DATA)
    text = family.statement(instance, "final")
    assert text.startswith("Choose some of these sets, so that they contain elements 1, 2, 3 and 4.")
    assert "set | cost | its elements\n1 | 3 | 1, 2\n2 | 3 | 3, 4\n3 | 4 | 2, 3\n4 | 9 | 1, 2, 3, 4\n" in text
    assert "1. Every element is in at least one of the chosen sets.\n" in text
    assert "2. Element 2 is in at least 2 of the chosen sets.\n" in text
    assert "3. Set 1 and set 2 are not both chosen.\n" in text
    assert "4. If set 2 is chosen, set 3 is chosen too.\n" in text
    assert "5. At most 2 sets are chosen.\n" in text
    assert "6. The total cost of the chosen sets is at most 12.\n" in text
    assert text.endswith("Objective: Minimise the total cost of the chosen sets.")


def test_statement_uses_the_names_given():
    """Renamed sets and elements appear by their labels, listed in the order of the names."""
    names = Names(
        {"set": ("crew", "crews"), "element": ("site", "sites")},
        {"set": ("A1", "A2", "A3", "A4"), "element": ("P", "Q", "R", "S")},
        {"element": (3, 2, 1, 0)},
    )
    assert DOUBLE.say(names) == "Site Q is in at least 2 of the chosen crews."
    assert "A2 | 3 | S, R\n" in SetCover().intro(DATA, names)


def test_greedy_takes_what_costs_least_for_each_new_element():
    """Chvatal's rule: here it takes set 1 (1.5 each), then set 2 (1.5 each); under the conflict, set 4 must follow."""
    family = SetCover()
    assert family.greedy(DATA, family.fits(family.core(DATA))) == {0, 1}
    assert family.greedy(DATA, family.fits(family.arm(DATA, ("conflict",)))) == {0, 2, 3}


@pytest.mark.parametrize("size", SIZES)
def test_greedy_breaks_no_ceiling(size):
    """Greedy never violates a conflict or the number of sets; under the core alone it covers every element."""
    family = SetCover()
    for d in draws(family, size, 10):
        constraints = family.arm(d, family.module_names)
        answer = family.greedy(d, family.fits(constraints))
        assert all(c.check(answer) >= 0 for c in constraints if c.hereditary)
        assert family.value(d, family.core(d), family.greedy(d, family.fits(family.core(d)))) is not None


def test_taking_all_sets_fails():
    """Everything covers everything: the target refuses it, in every arm."""
    family = SetCover()
    for instance in instances(family, "m", 20):
        target = family.constraints(replace(instance, modules=()), "final")[-1]
        assert target.check(frozenset(range(len(instance.data.cost)))) < 0


def test_added_sets_are_parts_of_others_and_cost_more():
    """A distractor holds no element that the set it was made of lacks, and costs more."""
    family = SetCover()
    twin = next(
        twin
        for twin in (family.instance("s", 11, index, None, "distractors_2x")[0] for index in range(9))
        if isinstance(twin, Instance)
    )
    d, count = twin.data, family.sizes["s"].sets
    assert len(d.cost) == 3 * count
    for cost, members in zip(d.cost[count:], d.members[count:], strict=True):
        assert any(d.cost[i] < cost and set(members) < set(d.members[i]) for i in range(count))


def test_a_file_is_read():
    """Rows become elements, columns become sets; a column that covers nothing stays, and so does a row's number."""
    d = from_file("3 4\n5 6 7 8\n2 1 2\n1 2\n2 2 3\n")
    assert d == SetCoverData(cost=(5, 6, 7, 8), members=((0,), (0, 1, 2), (2,), ()))
    assert solve(SetCover().form(d), SetCover().core(d), SetCover().objective(d)).objective == 6
    with pytest.raises(FormatError, match="line 3"):
        from_file("3 4\n5 6 7 8\n2 1 5\n1 2\n2 2 3\n")


MUTATIONS = {
    "cover": lambda answer, c: answer - set(c.holding),
    "double_cover": lambda answer, c: (answer - set(c.holding)) | {c.holding[0]},
    "conflict": lambda answer, c: answer | set(c.pair),
    "requires": lambda answer, c: (answer | {c.set}) - {c.needed},
    "max_sets": lambda answer, c: answer | set(range(c.limit + 1)),
    "target": lambda answer, c: frozenset(range(len(c.objective.cost))),
}


@pytest.mark.parametrize("kind", SetCover().constraint_kinds)
def test_a_breaking_mutation_is_reported(kind):
    """The exact answer, mutated to break one constraint, is reported as breaking it by judge and solver."""
    breaks(SetCover(), kind, MUTATIONS[kind], 5)
