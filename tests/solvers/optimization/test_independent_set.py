"""Independent set: each constraint on five nodes worked out by hand, the optimum against all subsets."""

from itertools import combinations

import pytest

from solvers.exact import solve
from solvers.keys import Stream
from solvers.names import Names
from solvers.optimization.graph_coloring import PETERSEN, neighbours
from solvers.optimization.independent_set import (
    FAMOUS,
    AtLeastGroup,
    AtMostGroup,
    ChosenWeight,
    CoverWeight,
    Edge,
    IndependentSet,
    IndependentSetData,
    Requires,
    chords,
    generalized_petersen,
    plain,
)
from solvers.problem import SIZES, Instance, Target, examine
from solvers.shapes import SubsetOf
from tests.solvers.optimization import agreed, breaks, draws, instance_of

# A circle 1-2-3-4-5. Of nodes 1 and 3 one at most, of nodes 2 and 4 one at least; node 5 needs node 2.
CIRCLE = ((0, 1), (0, 4), (1, 2), (2, 3), (3, 4))
WEIGHT = (9, 4, 8, 3, 6)
DATA = IndependentSetData(weight=WEIGHT, edges=CIRCLE, caps=(((0, 2), 1),), floors=(((1, 3), 1),), requires=((4, 1),))
SHAPE = SubsetOf("node", 5)
EDGE = Edge((0, 4))
CAP = AtMostGroup((0, 2, 3), 1)
FLOOR = AtLeastGroup((0, 1, 3), 2)
REQUIRES = Requires(4, 1)
TARGET = Target(ChosenWeight(WEIGHT), 12)


@pytest.mark.parametrize(
    ("constraint", "chosen", "slack"),
    [
        pytest.param(EDGE, set(), 1, id="edge trivial"),
        pytest.param(EDGE, {0, 4}, -1, id="edge fails"),
        pytest.param(EDGE, {0, 1, 2}, 0, id="edge holds"),
        pytest.param(CAP, {1, 4}, 1, id="at_most_group trivial"),
        pytest.param(CAP, {0, 2}, -1, id="at_most_group fails"),
        pytest.param(CAP, {2, 4}, 0, id="at_most_group holds"),
        pytest.param(FLOOR, {0, 1, 2, 3, 4}, 1, id="at_least_group trivial"),
        pytest.param(FLOOR, {2, 3, 4}, -1, id="at_least_group fails"),
        pytest.param(FLOOR, {0, 3}, 0, id="at_least_group holds"),
        pytest.param(REQUIRES, {0, 3}, 0, id="requires trivial"),
        pytest.param(REQUIRES, {2, 4}, -1, id="requires fails"),
        pytest.param(REQUIRES, {1, 4}, 0, id="requires holds"),
        pytest.param(TARGET, {0, 1, 2, 3, 4}, 18, id="target trivial"),
        pytest.param(TARGET, {2, 3}, -1, id="target fails"),
        pytest.param(TARGET, {0, 3}, 0, id="target holds"),
    ],
)
def test_slack_of_each_constraint(constraint, chosen, slack):
    """Predicate and solver agree with the slack worked out by hand."""
    assert agreed(SHAPE, constraint, frozenset(chosen)) == slack


def test_a_condition_that_does_not_apply_is_vacuous():
    """ "If node 5 then node 2" is vacuous without node 5, and only then."""
    assert REQUIRES.vacuous(frozenset({0, 3}))
    assert not REQUIRES.vacuous(frozenset({1, 4}))


@pytest.mark.parametrize(
    ("modules", "optimum"),
    [
        ((), 17),  # nodes 1 and 3
        (("at_most_group",), 14),  # nodes 3 and 5
        (("at_least_group",), 12),  # nodes 1 and 4; nodes 2 and 5 weigh 10
        (("requires",), 17),
        (("at_most_group", "requires"), 12),  # node 5 only with node 2: 10
        (None, 12),
    ],
)
def test_optimum_worked_by_hand(modules, optimum):
    """The tiny instance has the optimum that pen and paper give."""
    _, instance = instance_of(IndependentSet, DATA, modules)
    assert (instance.optimum, instance.proof.status, instance.proof.bound) == (optimum, "OPTIMAL", optimum)
    assert instance.target == 12


def heaviest(d, modules):
    """Return the weight of the best of all subsets, given as bits."""
    n = len(d.weight)

    def bits(nodes):
        return sum(1 << i for i in nodes)

    edges = [bits(edge) for edge in d.edges]
    caps = [(bits(group), most) for group, most in d.caps] if "at_most_group" in modules else []
    floors = [(bits(group), least) for group, least in d.floors] if "at_least_group" in modules else []
    needs = [(1 << i, 1 << j) for i, j in d.requires] if "requires" in modules else []
    best = None
    for chosen in range(1 << n):
        if (
            all(chosen & edge != edge for edge in edges)
            and all((chosen & group).bit_count() <= most for group, most in caps)
            and all((chosen & group).bit_count() >= least for group, least in floors)
            and all(chosen & j or not chosen & i for i, j in needs)
        ):
            weight = sum(w for i, w in enumerate(d.weight) if chosen >> i & 1)
            best = weight if best is None else max(best, weight)
    return best


def test_optimum_equals_brute_force():
    """On 240 instances, over all sets of modules, the proven optimum is that of the best of all subsets."""
    family = IndependentSet()
    arms = [arm for count in range(4) for arm in combinations(family.module_names, count)]
    problems = [*draws(family, "xs", 200), *draws(family, "s", 40)]
    for index, d in enumerate(problems):
        modules = arms[index % len(arms)]
        solution = solve(family.form(d), family.arm(d, modules), family.objective(d))
        assert solution.objective == heaviest(d, modules)


@pytest.mark.parametrize("size", SIZES)
def test_the_rules_say_something(size):
    """A ceiling is on nodes of which more could be chosen, a floor on some that are not all to be chosen, and a node
    never requires a neighbour."""
    family = IndependentSet()
    for d in draws(family, size, 20):
        adjacent, knobs = neighbours(len(d.weight), d.edges), family.sizes[size]
        assert len(set(d.edges)) == knobs.edges
        assert (len(d.caps), len(d.floors), len(d.requires)) == (knobs.caps, knobs.floors, knobs.requires)
        for group, most in d.caps:
            assert not any(j in adjacent[i] for i, j in combinations(group, 2))
            assert 0 < most < len(group)
        assert all(0 < least < len(group) for group, least in d.floors)
        assert all(j not in adjacent[i] and d.weight[i] > d.weight[j] for i, j in d.requires)


def test_statement_says_every_number():
    """The statement lists each node with its weight and neighbours, and states each rule."""
    family, instance = instance_of(IndependentSet, DATA)
    text = family.statement(instance, "final")
    assert text.startswith("Choose some of these nodes. Each node is listed with its weight and its neighbours.")
    assert "node | weight | neighbours\n1 | 9 | 2, 5\n2 | 4 | 1, 3\n3 | 8 | 2, 4\n4 | 3 | 3, 5\n5 | 6 | 1, 4\n" in text
    assert "1. No two chosen nodes are neighbours.\n" in text
    assert "2. Of nodes 1 and 3, at most 1 may be chosen.\n" in text
    assert "3. Of nodes 2 and 4, at least 1 must be chosen.\n" in text
    assert "4. If node 5 is chosen, node 2 is chosen too.\n" in text
    assert "5. The total weight of the chosen nodes is at least 12." in text
    assert text.endswith("Objective: Maximise the total weight of the chosen nodes.")


def test_the_mirror_asks_for_a_light_cover():
    """The inverted twin minimises the weight that is left, for which the same answer is best."""
    family = IndependentSet()
    twin, _ = family.instance("m", 7, 0, None, "inverted")
    assert isinstance(twin, Instance)
    assert "Minimise the total weight of the nodes that are not chosen." in family.statement(twin, "final")
    for chosen in (frozenset(), frozenset({0, 2}), frozenset(range(5))):
        assert ChosenWeight(WEIGHT).of(chosen) + CoverWeight(WEIGHT).of(chosen) == sum(WEIGHT)


def test_statement_uses_the_names_given():
    """Renamed nodes appear in the sentences; nothing of the plain words is left."""
    names = Names({"node": ("club", "clubs"), "neighbour": ("rival", "rivals")}, {"node": ("A", "B", "C", "D", "E")})
    assert EDGE.say(names) == "No two chosen clubs are rivals."
    assert CAP.say(names) == "Of clubs A, C and D, at most 1 may be chosen."
    assert REQUIRES.say(names) == "If club E is chosen, club B is chosen too."


@pytest.mark.parametrize("extra", [1, 2, 4])
@pytest.mark.parametrize("size", ["xs", "s", "m"])
def test_distractors_never_pay(size, extra):
    """No answer with a further node is worth the optimum, and all that is feasible without them still is."""
    family = IndependentSet()
    for index, d in enumerate(draws(family, size, 4)):
        n = len(d.weight)
        crowd = family.distracted(d, extra, Stream(f"crowd {index}"))
        assert crowd.weight[:n] == d.weight
        assert len(crowd.weight) == n * (1 + extra)
        assert {edge for edge in crowd.edges if max(edge) < n} == set(d.edges)
        for modules in ((), family.module_names):
            rules = family.arm(crowd, modules)
            alone = solve(family.form(d), family.arm(d, modules), family.objective(d))
            used = AtLeastGroup(tuple(range(n, len(crowd.weight))), 1)
            with_one = solve(family.form(crowd), [*rules, used], family.objective(crowd))
            assert with_one.status == "infeasible" or with_one.objective < alone.objective
            assert all(check.satisfied for check in examine(rules, alone.answer))


def test_famous_graphs_are_what_they_are_called():
    """The graphs have the known numbers of nodes and edges, three at each node, and the lengths of their circles."""
    assert generalized_petersen(5, 2) == PETERSEN
    for one, nodes, girth in zip(FAMOUS, (10, 12, 20), (5, 3, 5), strict=True):
        adjacent = neighbours(nodes, one.data.edges)
        assert len(one.data.weight) == nodes
        assert {len(around) for around in adjacent} == {3}
        assert shortest_circle(adjacent) == girth
    assert chords((2, 2, 2, 2)) == tuple(combinations(range(4), 2))


def shortest_circle(adjacent):
    best = len(adjacent)
    for start in range(len(adjacent)):
        depth, queue = {start: (0, None)}, [start]
        for i in queue:
            for j in adjacent[i]:
                if j not in depth:
                    depth[j] = (depth[i][0] + 1, i)
                    queue.append(j)
                elif depth[i][1] != j:
                    best = min(best, depth[i][0] + depth[j][0] + 1)
    return best


def test_a_public_file_is_read():
    """A DIMACS file gives a graph in which every node counts 1."""
    family = IndependentSet()
    d = family.formats["dimacs"]("p edge 5 4\ne 1 2\ne 1 3\ne 1 4\ne 4 5\n")
    assert d == plain(5, ((0, 1), (0, 2), (0, 3), (3, 4)))
    assert solve(family.form(d), family.core(d), family.objective(d)).objective == 3


@pytest.mark.parametrize("size", SIZES)
def test_greedy_breaks_no_ceiling(size):
    """Greedy never takes two neighbours or too many of a group; it may miss floors and what a node requires."""
    family = IndependentSet()
    for d in draws(family, size, 10):
        constraints = family.arm(d, family.module_names)
        answer = family.greedy(d, family.fits(constraints))
        assert all(c.check(answer) >= 0 for c in constraints if c.hereditary)


def test_greedy_weighs_a_node_against_its_neighbours():
    """The middle of a star is heavier than each ray, but not worth what it excludes."""
    family = IndependentSet()
    d = IndependentSetData((5, 3, 3, 3), ((0, 1), (0, 2), (0, 3)), (), (), ())
    assert family.greedy(d, family.fits(family.core(d))) == {1, 2, 3}
    d = plain(4, ((0, 1), (0, 2), (0, 3)))
    assert family.greedy(d, family.fits(family.core(d))) == {1, 2, 3}


MUTATIONS = {
    "edge": lambda answer, c: answer | set(c.pair),
    "at_most_group": lambda answer, c: answer | set(c.group),
    "at_least_group": lambda answer, c: answer - set(c.group),
    "requires": lambda answer, c: (answer | {c.node}) - {c.needed},
    "target": lambda answer, c: frozenset(),
}


@pytest.mark.parametrize("kind", IndependentSet().constraint_kinds)
def test_a_breaking_mutation_is_reported(kind):
    """The exact answer, mutated to break one constraint, is reported as breaking it by judge and solver."""
    breaks(IndependentSet(), kind, MUTATIONS[kind], 5)
