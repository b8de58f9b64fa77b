"""Maximum satisfiability: each constraint on four variables by hand, the optimum against all truth values."""

from dataclasses import replace
from itertools import combinations

import pytest

from solvers.exact import solve
from solvers.formats.common import FormatError
from solvers.names import Names
from solvers.optimization.max_sat import (
    AtMost,
    Exactly,
    HardClause,
    MaxSat,
    MaxSatData,
    Parity,
    SatisfiedWeight,
    UnsatisfiedWeight,
    condition,
)
from solvers.problem import SIZES, Instance, Target
from solvers.shapes import SubsetOf
from tests.solvers.optimization import agreed, breaks, draws, instance_of

# Hard: 1 or not 2. Soft: 1 (3), not 1 (2), 2 or 3 (4), 4 (2), not 3 or not 4 (1).
SOFT = (((0, 1),), ((0, 0),), ((1, 1), (2, 1)), ((3, 1),), ((2, 0), (3, 0)))
DATA = MaxSatData(
    variables=4,
    hard=(((0, 1), (1, 0)),),
    soft=SOFT,
    weight=(3, 2, 4, 2, 1),
    caps=(((0, 1, 3), 1),),
    counts=(((1, 2, 3), 2),),
    parities=(((0, 1, 2, 3), 1),),
)
SHAPE = SubsetOf("variable", 4)
CLAUSE = HardClause(((0, 1), (1, 0), (2, 0)))
CAP = AtMost((0, 1, 3), 1)
COUNT = Exactly((1, 2, 3), 2)
ODD = Parity((0, 1, 3), 1)
EVEN = Parity((0, 1, 3), 0)
TARGET = Target(SatisfiedWeight(SOFT, (3, 2, 4, 2, 1)), 8)


@pytest.mark.parametrize(
    ("constraint", "true", "slack"),
    [
        pytest.param(CLAUSE, {0}, 2, id="clause trivial"),
        pytest.param(CLAUSE, {1, 2, 3}, -1, id="clause fails"),
        pytest.param(CLAUSE, {1, 3}, 0, id="clause holds"),
        pytest.param(CAP, {2}, 1, id="at_most trivial"),
        pytest.param(CAP, {0, 3}, -1, id="at_most fails"),
        pytest.param(CAP, {0, 2}, 0, id="at_most holds"),
        pytest.param(COUNT, set(), -2, id="exactly trivial"),
        pytest.param(COUNT, {1, 2, 3}, -1, id="exactly fails"),
        pytest.param(COUNT, {0, 1, 3}, 0, id="exactly holds"),
        pytest.param(ODD, set(), -1, id="parity trivial"),
        pytest.param(ODD, {0, 2, 3}, -1, id="parity fails"),
        pytest.param(ODD, {0, 1, 2, 3}, 0, id="parity holds"),
        pytest.param(EVEN, set(), 0, id="even trivial"),
        pytest.param(EVEN, {2, 3}, -1, id="even fails"),
        pytest.param(EVEN, {0, 1, 2}, 0, id="even holds"),
        pytest.param(TARGET, {0, 1, 2}, 0, id="target trivial"),
        pytest.param(TARGET, {2, 3}, 0, id="target holds"),
        pytest.param(TARGET, {1}, -1, id="target fails"),
    ],
)
def test_slack_of_each_constraint(constraint, true, slack):
    """Predicate and solver agree with the slack worked out by hand."""
    assert agreed(SHAPE, constraint, frozenset(true)) == slack


@pytest.mark.parametrize(
    ("modules", "optimum"),
    [
        ((), 10),  # 1, 2 and 4 true, 3 false: 3 + 4 + 2 + 1
        (("at_most",), 8),  # 1 and 3, or 3 and 4
        (("exactly",), 10),  # 1, 2 and 4
        (("parity",), 10),  # 1, 2 and 4
        (("at_most", "exactly"), 8),  # of 2 and 4 one at most, so 3; with 4 for 2 + 4 + 2, or with 2 and so 1: too many
        (("at_most", "parity"), 7),  # 3 alone: 2 + 4 + 1; 1 alone: 3 + 1; with 3, any other one is even
        (("exactly", "parity"), 10),
    ],
)
def test_optimum_worked_by_hand(modules, optimum):
    """The tiny instance has the optimum that pen and paper give."""
    family = MaxSat()
    solution = solve(family.form(DATA), family.arm(DATA, modules), family.objective(DATA))
    assert (solution.objective, solution.proof.status, solution.proof.bound) == (optimum, "OPTIMAL", optimum)


def most_weight(d, modules):
    """Return the weight of the best of all truth values, given as bits."""
    n = d.variables

    def masks(clause):
        return sum(1 << i for i, sign in clause if sign), sum(1 << i for i, sign in clause if not sign)

    def bits(group):
        return sum(1 << i for i in group)

    hard, soft = [masks(c) for c in d.hard], [(*masks(c), w) for c, w in zip(d.soft, d.weight, strict=True)]
    caps = [(bits(g), most) for g, most in d.caps] if "at_most" in modules else []
    counts = [(bits(g), number) for g, number in d.counts] if "exactly" in modules else []
    parities = [(bits(g), odd) for g, odd in d.parities] if "parity" in modules else []
    best = None
    for true in range(1 << n):
        if (
            all(true & yes or ~true & no for yes, no in hard)
            and all((true & g).bit_count() <= most for g, most in caps)
            and all((true & g).bit_count() == number for g, number in counts)
            and all((true & g).bit_count() & 1 == odd for g, odd in parities)
        ):
            weight = sum(w for yes, no, w in soft if true & yes or ~true & no)
            best = weight if best is None else max(best, weight)
    return best


def test_optimum_equals_brute_force():
    """On 240 instances, over all sets of modules, the proven optimum is that of the best of all truth values."""
    family = MaxSat()
    arms = [arm for count in range(4) for arm in combinations(family.module_names, count)]
    problems = [*draws(family, "xs", 160), *draws(family, "s", 80)]
    for index, d in enumerate(problems):
        modules = arms[index % len(arms)]
        solution = solve(family.form(d), family.arm(d, modules), family.objective(d))
        assert solution.objective == most_weight(d, modules)


@pytest.mark.parametrize(
    ("clauses", "optimum"),
    [
        ((((0, 1), (1, 1)), ((0, 1), (1, 0)), ((0, 0), (1, 1))), 3),
        ((((0, 1), (1, 1)), ((0, 1), (1, 0)), ((0, 0), (1, 1)), ((0, 0), (1, 0))), 3),
    ],
)
def test_a_plain_formula_counts_its_clauses(clauses, optimum):
    """A formula without hard clauses and side data is max-sat: all clauses are satisfied only if it is satisfiable."""
    family = MaxSat()
    d = MaxSatData(2, (), clauses, (1,) * len(clauses), (), (), ())
    assert solve(family.form(d), family.core(d), family.objective(d)).objective == optimum


def test_public_files_are_read():
    """In a plain formula every clause is soft and counts 1; in a weighted one those of the top weight are hard."""
    family = MaxSat()
    d = family.formats["dimacs"]("p cnf 2 3\n1 -2 0\n-1 0\n2 0\n")
    assert d == MaxSatData(2, (), (((0, 1), (1, 0)), ((0, 0),), ((1, 1),)), (1, 1, 1), (), (), ())
    assert solve(family.form(d), family.core(d), family.objective(d)).objective == 2
    d = family.formats["wcnf"]("p wcnf 2 3 9\n9 1 -2 0\n5 -1 0\n3 2 0\n")
    assert d == MaxSatData(2, (((0, 1), (1, 0)),), (((0, 0),), ((1, 1),)), (5, 3), (), (), ())
    assert solve(family.form(d), family.core(d), family.objective(d)).objective == 5
    assert family.formats["wcnf"]("p wcnf 1 1\n7 1 0\n").weight == (7,)


@pytest.mark.parametrize(
    ("format_", "text", "message"),
    [
        (
            "dimacs",
            "c empty\np cnf 2 2\n1 0\n0\n",
            "line 2: expected a literal in every clause, found none in clause 2",
        ),
        ("wcnf", "p wcnf 1 1 4\n4 1 0\n", "line 1: expected a soft clause, found none"),
    ],
)
def test_a_file_without_a_problem_is_refused(format_, text, message):
    """An empty clause and a formula in which nothing counts are told by line."""
    with pytest.raises(FormatError, match=message):
        MaxSat().formats[format_](text)


@pytest.mark.parametrize("size", SIZES)
def test_the_rules_say_something(size):
    """No clause names a variable twice, no hard clause follows from another, and groups are neither empty nor full."""
    family = MaxSat()
    for d in draws(family, size, 20):
        knobs = family.sizes[size]
        assert (len(d.hard), len(d.soft)) == (knobs.hard, knobs.soft)
        assert (len(d.caps), len(d.counts), len(d.parities)) == (knobs.caps, knobs.counts, knobs.parities)
        assert all(len({i for i, _ in clause}) == len(clause) for clause in d.hard + d.soft)
        assert not any(set(a) <= set(b) for a in d.hard for b in d.hard if a is not b)
        assert len(set(d.soft)) == len(d.soft)
        assert all(0 < number < len(group) for group, number in d.caps + d.counts)


def test_statement_says_every_number():
    """The statement lists each soft clause with its weight, and states each hard clause and rule."""
    family, instance = instance_of(MaxSat, replace(DATA, counts=(((1, 2, 3), 1),)))
    text = family.statement(instance, "final")
    assert text.startswith(
        "Choose which of the 4 variables 1, 2, 3 and 4 are true; those that are not chosen are false. A clause is"
    )
    assert (
        "clause | condition | weight\n1 | variable 1 is true | 3\n2 | variable 1 is false | 2\n"
        "3 | variable 2 is true or variable 3 is true | 4\n4 | variable 4 is true | 2\n"
        "5 | variable 3 is false or variable 4 is false | 1\n" in text
    )
    assert "1. Variable 1 is true or variable 2 is false.\n" in text
    assert "2. Of variables 1, 2 and 4, the number of true ones is at most 1.\n" in text
    assert "3. Of variables 2, 3 and 4, the number of true ones is exactly 1.\n" in text
    assert "4. Of variables 1, 2, 3 and 4, the number of true ones is odd.\n" in text
    assert "5. The total weight of the satisfied clauses is at least 7." in text
    assert text.endswith("Objective: Maximise the total weight of the satisfied clauses.")


def test_the_mirror_counts_what_is_not_satisfied():
    """The inverted twin minimises the weight of the other clauses; both add up to the total for any answer."""
    family = MaxSat()
    twin, _ = family.instance("m", 7, 0, None, "inverted")
    assert isinstance(twin, Instance)
    assert "Minimise the total weight of the clauses that are not satisfied." in family.statement(twin, "final")
    for true in (frozenset(), frozenset({0, 2}), frozenset(range(4))):
        one, other = SatisfiedWeight(SOFT, DATA.weight), UnsatisfiedWeight(SOFT, DATA.weight)
        assert one.of(true) + other.of(true) == sum(DATA.weight)


def test_statement_uses_the_names_given():
    """Renamed variables appear in the sentences; nothing of the plain words is left."""
    names = Names({"variable": ("switch", "switches")}, {"variable": ("A", "B", "C", "D")})
    assert CLAUSE.say(names) == "Switch A is true or switch B is false or switch C is false."
    assert EVEN.say(names) == "Of switches A, B and D, the number of true ones is even."
    assert condition(names, SOFT[2]) == "switch B is true or switch C is true"


@pytest.mark.parametrize("size", SIZES)
def test_greedy_breaks_no_ceiling(size):
    """Johnson's heuristic never makes too many true; what it may miss are clauses, counts and parities."""
    family = MaxSat()
    for d in draws(family, size, 10):
        constraints = family.arm(d, family.module_names)
        answer = family.greedy(d, family.fits(constraints))
        assert all(c.check(answer) >= 0 for c in constraints if c.hereditary)


def test_greedy_satisfies_what_johnson_promises():
    """Without hard clauses, it satisfies at least half of the weight of clauses with one literal, three quarters of
    those with two, and so on."""
    family = MaxSat()
    for d in draws(family, "m", 20):
        plain = replace(d, hard=())
        answer = family.greedy(plain, family.fits([]))
        promised = sum(w * (1 - 2 ** -len(c)) for c, w in zip(plain.soft, plain.weight, strict=True))
        assert family.objective(plain).of(answer) >= promised


MUTATIONS = {
    "clause": lambda answer, c: (answer | {i for i, sign in c.clause if not sign}) - {i for i, s in c.clause if s},
    "at_most": lambda answer, c: answer | set(c.group),
    "exactly": lambda answer, c: answer ^ {c.group[0]},
    "parity": lambda answer, c: answer ^ {c.group[0]},
    "target": lambda answer, c: next(
        true
        for count in range(10)
        for true in map(frozenset, combinations(range(9), count))
        if c.objective.of(true) < c.limit
    ),
}


@pytest.mark.parametrize("kind", MaxSat().constraint_kinds)
def test_a_breaking_mutation_is_reported(kind):
    """The exact answer, mutated to break one constraint, is reported as breaking it by judge and solver."""
    breaks(MaxSat(), kind, MUTATIONS[kind], 5)
