"""Graph colouring: each constraint on five nodes worked out by hand, the optimum against all colourings."""

from collections import Counter
from dataclasses import replace
from itertools import combinations

import pytest

from solvers.exact import solve
from solvers.formats.common import FormatError
from solvers.names import Names
from solvers.optimization.graph_coloring import (
    MYCIEL3,
    PETERSEN,
    Balance,
    Coloured,
    ColoursUnused,
    ColoursUsed,
    Edge,
    GraphColoring,
    GraphColoringData,
    MaxUse,
    Precoloured,
    SameColour,
    edges_of,
    mycielski,
    neighbours,
    plain,
    queens,
)
from solvers.problem import SIZES, Absent, Instance, Target
from solvers.shapes import MapOf, Partial
from tests.solvers.optimization import agreed, draws, instance_of, instances, violated

# A path 1-2-3-4-5. Node 1 has colour 1; nodes 1 and 4 are alike; colour 1 twice at most; colours 1 and 2 within 1.
PATH = ((0, 1), (1, 2), (2, 3), (3, 4))
DATA = GraphColoringData(
    nodes=5,
    colours=4,
    edges=PATH,
    precoloured=((0, 0),),
    same=((0, 3),),
    most=((0, 2),),
    balance=((0, 1, 1),),
)
SHAPE = MapOf("node", 5, "colour", 4)
COLOURED = Coloured(2, 4)
EDGE = Edge((1, 2), 4)
GIVEN = Precoloured(0, 0)
SAME = SameColour((0, 3), 4)
MOST = MaxUse(0, 5, 2)
BALANCE = Balance((0, 1), 5, 1)
TARGET = Target(ColoursUsed(5, 4), 3)


def colouring(*colours):
    """Return the answer that gives nodes 1, 2 … these colours (from 0); None leaves one out."""
    return Partial({i: j for i, j in enumerate(colours) if j is not None})


@pytest.mark.parametrize(
    ("constraint", "colours", "slack"),
    [
        pytest.param(COLOURED, (0, 0, 0, 0, 0), 0, id="coloured trivial"),
        pytest.param(COLOURED, (0, 1, None, 1, 0), None, id="coloured fails"),
        pytest.param(COLOURED, (0, 1, 3, 1, 0), 0, id="coloured holds"),
        pytest.param(EDGE, (0, 1, 2, 3, 0), 0, id="edge trivial"),
        pytest.param(EDGE, (0, 1, 1, 0, 1), -1, id="edge fails"),
        pytest.param(EDGE, (0, 0, 1, 1, 0), 0, id="edge holds"),
        pytest.param(GIVEN, (0, 0, 0, 0, 0), 0, id="precoloured trivial"),
        pytest.param(GIVEN, (1, 0, 1, 0, 1), -1, id="precoloured fails"),
        pytest.param(GIVEN, (0, 1, 2, 3, 3), 0, id="precoloured holds"),
        pytest.param(SAME, (2, 2, 2, 2, 2), 0, id="same_colour trivial"),
        pytest.param(SAME, (0, 1, 0, 1, 0), -1, id="same_colour fails"),
        pytest.param(SAME, (0, 1, 2, 0, 1), 0, id="same_colour holds"),
        pytest.param(MOST, (1, 2, 1, 2, 1), 2, id="max_use trivial"),
        pytest.param(MOST, (0, 1, 0, 1, 0), -1, id="max_use fails"),
        pytest.param(MOST, (0, 1, 0, 1, 2), 0, id="max_use holds"),
        pytest.param(BALANCE, (2, 3, 2, 3, 2), 1, id="balance trivial"),
        pytest.param(BALANCE, (0, 2, 0, 3, 2), -1, id="balance fails"),
        pytest.param(BALANCE, (1, 2, 1, 0, 2), 0, id="balance holds"),
        pytest.param(TARGET, (0, 0, 0, 0, 0), 2, id="target trivial"),
        pytest.param(TARGET, (0, 1, 2, 3, 0), -1, id="target fails"),
        pytest.param(TARGET, (0, 1, 2, 0, 1), 0, id="target holds"),
    ],
)
def test_slack_of_each_constraint(constraint, colours, slack):
    """Predicate and solver agree with the slack worked out by hand."""
    assert agreed(SHAPE, constraint, colouring(*colours)) == slack


@pytest.mark.parametrize("constraint", [COLOURED, EDGE, SAME, BALANCE, TARGET], ids=lambda c: c.kind)
def test_a_missing_node_fails_what_names_it(constraint):
    """An answer that leaves nodes out does not pass by doing so."""
    with pytest.raises(Absent):
        constraint.check(colouring(0, None, None, None, 1))


@pytest.mark.parametrize(
    ("modules", "optimum"),
    [
        ((), 2),  # alternating
        (("precoloured",), 2),
        (("same_colour",), 3),  # nodes 1 and 4 lie on different sides of the path
        (("max_use",), 2),  # colour 1 for nodes 2 and 4
        (("balance",), 2),
        (("precoloured", "max_use"), 3),  # node 1 has colour 1, so nodes 3 and 5 would have it too
        (None, 3),  # 1 2 3 1 2
    ],
)
def test_optimum_worked_by_hand(modules, optimum):
    """The tiny instance needs as many colours as pen and paper say; every arm has the joint arm's target."""
    _, instance = instance_of(GraphColoring, DATA, modules)
    assert (instance.optimum, instance.proof.status, instance.proof.bound) == (optimum, "OPTIMAL", optimum)
    assert instance.target == 3


def fewest_colours(d, modules):
    """Return the fewest colours of all colourings that keep the rules, found by extending them node by node."""
    touching = {frozenset(edge) for edge in d.edges}
    given = dict(d.precoloured) if "precoloured" in modules else {}
    best = None

    def extend(colours):
        nonlocal best
        i = len(colours)
        if i == d.nodes:
            count = Counter(colours)
            alike = "same_colour" not in modules or all(colours[a] == colours[b] for a, b in d.same)
            rare = "max_use" not in modules or all(count[j] <= most for j, most in d.most)
            even = "balance" not in modules or all(-t <= count[a] - count[b] <= t for a, b, t in d.balance)
            if alike and rare and even and (best is None or len(count) < best):
                best = len(count)
            return
        for j in [given[i]] if i in given else range(d.colours):
            if not any(colours[k] == j and frozenset((k, i)) in touching for k in range(i)):
                extend([*colours, j])

    extend([])
    return best


def test_optimum_equals_brute_force():
    """On 224 instances, over all sets of modules, the proven optimum is that of the best of all colourings."""
    family = GraphColoring()
    arms = [arm for count in range(5) for arm in combinations(family.module_names, count)]
    problems = [*draws(family, "xs", 192), *draws(family, "s", 32)]
    for index, d in enumerate(problems):
        modules = arms[index % len(arms)]
        solution = solve(family.form(d), family.arm(d, modules), family.objective(d))
        assert solution.objective == fewest_colours(d, modules)


@pytest.mark.parametrize("size", SIZES)
def test_every_arm_needs_the_hidden_colours(size):
    """The optimum of the core alone and of all modules together is the number of hidden colours; spare ones are there.

    A target set to it blocks the same answers in every arm.
    """
    family = GraphColoring()
    for d in draws(family, size, 8):
        needed = family.sizes[size].needed
        assert d.colours > needed
        for modules in ((), family.module_names):
            solution = solve(family.form(d), family.arm(d, modules), family.objective(d))
            assert solution.objective == needed


@pytest.mark.parametrize("size", SIZES)
def test_the_rules_say_something(size):
    """Pairs said to be alike are no neighbours and not both given a colour; a bounded colour has fewer nodes than
    there are; and balanced colours are allowed no more than the difference of the hidden colouring."""
    family = GraphColoring()
    for d in draws(family, size, 20):
        given = dict(d.precoloured)
        assert len(d.precoloured) == family.sizes[size].precoloured
        assert len(d.same) == family.sizes[size].same
        for pair in d.same:
            assert pair not in d.edges
            assert not given.keys() >= set(pair)
        assert all(0 < most < d.nodes / 2 for _, most in d.most)
        assert all(apart < d.nodes / 2 for _, _, apart in d.balance)


def test_statement_says_every_number():
    """The statement lists each node's neighbours, says how many nodes and colours there are, and states each rule."""
    family, instance = instance_of(GraphColoring, DATA)
    text = family.statement(instance, "final")
    assert text.startswith(
        "Give each of these 5 nodes one of the 4 colours 1, 2, 3 and 4. The neighbours of each node are listed."
    )
    assert "node | neighbours\n1 | 2\n2 | 1, 3\n3 | 2, 4\n4 | 3, 5\n5 | 4\n" in text
    assert "1. Every node has exactly one colour.\n" in text
    assert "2. No node has the same colour as any of its neighbours.\n" in text
    assert "3. Node 1 has colour 1.\n" in text
    assert "4. Nodes 1 and 4 have the same colour.\n" in text
    assert "5. The number of nodes with colour 1 is at most 2.\n" in text
    assert "6. The number of nodes with colour 1 and the number of nodes with colour 2 differ by at most 1.\n" in text
    assert "7. The number of colours used is at most 3." in text
    assert text.endswith("Objective: Minimise the number of colours used.")


def test_a_node_without_neighbours_is_listed():
    """A lonely node is in the table too."""
    family, instance = instance_of(GraphColoring, replace(DATA, edges=PATH[:-1]))
    assert "\n5 | none\n" in family.statement(instance, "final")


def test_statement_uses_the_names_given():
    """Renamed nodes and colours appear in the sentences; a label keeps its capitals."""
    names = Names({"node": ("exam", "exams"), "colour": ("day", "days")}, {"colour": ("Mo", "Tu", "We", "Th")})
    assert GIVEN.say(names) == "Exam 1 has day Mo."
    assert MOST.say(names) == "The number of exams with day Mo is at most 2."
    assert SAME.say(names) == "Exams 1 and 4 have the same day."


def test_the_mirror_counts_what_is_left():
    """Used and unused colours add up to those offered."""
    for colours in ((0, 0, 0, 0, 0), (0, 1, 2, 3, 0), (3, 1, 3, 1, 3)):
        answer = colouring(*colours)
        assert ColoursUsed(5, 4).of(answer) + ColoursUnused(5, 4).of(answer) == 4


def test_benchmark_graphs_are_what_their_files_hold():
    """The Mycielski and queen graphs have the published numbers of nodes and edges, in the files' numbering."""
    assert edges_of([(1, 0), (0, 1)]) == ((0, 1),)
    assert mycielski(2, ((0, 1),)) == (5, ((0, 1), (0, 3), (1, 2), (2, 4), (3, 4)))
    nodes, edges = MYCIEL3
    assert (nodes, len(edges)) == (11, 20)
    assert edges[:6] == ((0, 1), (0, 3), (0, 6), (0, 8), (1, 2), (1, 5))
    nodes, edges = mycielski(*MYCIEL3)
    assert (nodes, len(edges)) == (23, 71)
    assert len(queens(5)) == 160
    assert {len(around) for around in neighbours(10, PETERSEN)} == {3}


@pytest.mark.parametrize("size", ["s", "l", "xl"])
def test_a_perturbed_graph_needs_another_number_of_colours(size):
    """One edge less, or a larger clique, moves the chromatic number; as many colours are offered."""
    family = GraphColoring()
    for index in range(4):
        twin, _ = family.instance(size, 5, index, (), "perturbed")
        assert isinstance(twin, Instance)
        original = family.original(twin)
        assert abs(twin.optimum - original.optimum) == 1
        assert twin.data.colours == original.data.colours


@pytest.mark.parametrize("size", SIZES)
def test_greedy_breaks_no_ceiling(size):
    """A node that finds no colour is left out; where all find one, only a balance may be missed."""
    family = GraphColoring()
    for d in draws(family, size, 10):
        for modules in ((), family.module_names):
            constraints = family.arm(d, modules)
            answer = family.greedy(d, family.fits(constraints))
            whole = len(answer) == d.nodes
            for c in constraints:
                if c.hereditary and (whole or c.kind == "max_use"):
                    assert c.check(answer) >= 0


def test_greedy_starts_with_the_node_that_has_most_neighbours():
    """Welsh and Powell's order colours a star with two colours, wherever its middle is, and may need too many."""
    family = GraphColoring()
    star = plain(4, ((0, 3), (1, 3), (2, 3)), 4)
    assert family.greedy(star, family.fits(family.core(star))) == {3: 0, 0: 1, 1: 1, 2: 1}
    path = plain(6, ((0, 2), (1, 3), (2, 4), (3, 5), (4, 5)), 4)  # 1-3-5-6-4-2: nodes 3 to 6 first
    assert family.value(path, family.core(path), family.greedy(path, family.fits(family.core(path)))) == 3


def test_a_public_file_is_read():
    """A DIMACS file gives a graph without further conditions, with as many colours as the heuristic needs."""
    family = GraphColoring()
    d = family.formats["dimacs"]("c a square and a lonely node\np edge 5 4\ne 1 2\ne 2 3\ne 3 4\ne 4 1\n")
    assert d == plain(5, ((0, 1), (0, 3), (1, 2), (2, 3)), 2)
    assert solve(family.form(d), family.core(d), family.objective(d)).objective == 2
    with pytest.raises(FormatError, match="line 2"):
        family.formats["dimacs"]("p edge 2 1\ne 1 3\n")


def _unequal(answer, c):
    """Give as many nodes of the second colour the first one as it takes to part their numbers."""
    first, second = c.pair
    return Partial({i: first if j == second or i < 2 * c.limit + 2 else j for i, j in answer.items()})


MUTATIONS = {
    "coloured": lambda answer, c: Partial({i: j for i, j in answer.items() if i != c.node}),
    "edge": lambda answer, c: Partial({**answer, c.pair[0]: answer[c.pair[1]]}),
    "precoloured": lambda answer, c: Partial({**answer, c.node: int(c.colour == 0)}),
    "same_colour": lambda answer, c: Partial({**answer, c.pair[0]: int(answer[c.pair[1]] == 0)}),
    "max_use": lambda answer, c: Partial(dict.fromkeys(answer, c.colour)),
    "balance": _unequal,
    "target": lambda answer, c: Partial({i: i % c.objective.colours for i in answer}),
}


@pytest.mark.parametrize("kind", GraphColoring().constraint_kinds)
def test_a_breaking_mutation_is_reported(kind):
    """The exact answer, mutated to break one constraint, is reported as breaking it by judge and solver."""
    family = GraphColoring()
    for instance in instances(family, "s", 5):
        for constraint in family.constraints(instance, "final"):
            if constraint.kind == kind:
                mutant = MUTATIONS[kind](instance.answer, constraint)
                assert constraint not in violated(family, instance, instance.answer)
                assert constraint in violated(family, instance, mutant)
                slack = agreed(family.shape(instance, "final"), constraint, mutant)
                assert slack is None if kind == "coloured" else slack < 0
