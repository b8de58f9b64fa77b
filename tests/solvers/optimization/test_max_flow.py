"""Maximum flow: each constraint on four nodes worked out by hand, the optimum against cuts and other solvers."""

from itertools import combinations

import pytest
from ortools.graph.python import max_flow
from ortools.linear_solver import pywraplp

from solvers.exact import solve
from solvers.formats.common import FormatError
from solvers.names import Names
from solvers.optimization.max_flow import (
    FAMOUS,
    CapacityLeft,
    Exclusive,
    FlowValue,
    MaxFlow,
    MaxFlowData,
    Ratio,
    plain,
)
from solvers.optimization.min_cost_flow import ArcCapacity, Balance, NodeThroughput
from solvers.problem import SIZES, Absent, Instance, Target, examine
from solvers.shapes import AmountOf, Partial
from tests.solvers.optimization import agreed, breaks, draws, instance_of, instances

# From node 1 to node 4: over node 2 (5, then 3), over node 3 (4, then 6), and from node 2 to node 3 (3).
ARCS = ((0, 1, 5), (0, 2, 4), (1, 2, 3), (1, 3, 3), (2, 3, 6))
DATA = MaxFlowData(source=0, sink=3, arcs=ARCS, throughput=((2, 5),), exclusive=((2, 3),), ratios=((0, 2, 3),))
SHAPE = AmountOf("arc", (9,) * 5, "flow")
BALANCE = Balance(1, (2, 3), (0,), 0)
CAPACITY = ArcCapacity(1, 4)
THROUGHPUT = NodeThroughput(2, (1, 2), 5)
EXCLUSIVE = Exclusive((2, 3))
RATIO = Ratio(0, 2, 3)
VALUE = FlowValue(0, (0, 1), ())
TARGET = Target(VALUE, 7)


def flow(*amounts):
    """Return the answer with these flows on arcs 1, 2 …; None leaves one out."""
    return Partial({a: amount for a, amount in enumerate(amounts) if amount is not None})


@pytest.mark.parametrize(
    ("constraint", "amounts", "slack"),
    [
        pytest.param(BALANCE, (0, 0, 0, 0, 0), 0, id="balance trivial"),
        pytest.param(BALANCE, (5, 0, 2, 2, 0), -1, id="balance fails"),
        pytest.param(BALANCE, (5, 0, 2, 3, 0), 0, id="balance holds"),
        pytest.param(CAPACITY, (9, 0, 9, 9, 9), 4, id="arc_capacity trivial"),
        pytest.param(CAPACITY, (0, 5, 0, 0, 0), -1, id="arc_capacity fails"),
        pytest.param(CAPACITY, (0, 4, 0, 0, 0), 0, id="arc_capacity holds"),
        pytest.param(THROUGHPUT, (9, 0, 0, 9, 9), 5, id="node_throughput trivial"),
        pytest.param(THROUGHPUT, (0, 4, 2, 0, 0), -1, id="node_throughput fails"),
        pytest.param(THROUGHPUT, (0, 4, 1, 0, 0), 0, id="node_throughput holds"),
        pytest.param(EXCLUSIVE, (5, 4, 0, 0, 6), 0, id="exclusive trivial"),
        pytest.param(EXCLUSIVE, (5, 4, 1, 3, 6), -1, id="exclusive fails"),
        pytest.param(EXCLUSIVE, (5, 4, 0, 3, 6), 0, id="exclusive holds"),
        pytest.param(RATIO, (0, 4, 0, 0, 6), 0, id="ratio trivial"),
        pytest.param(RATIO, (5, 0, 0, 2, 0), -1, id="ratio fails"),
        pytest.param(RATIO, (4, 0, 0, 2, 0), 0, id="ratio holds"),
        pytest.param(TARGET, (9, 9, 9, 9, 9), 11, id="target trivial"),
        pytest.param(TARGET, (4, 2, 0, 4, 2), -1, id="target fails"),
        pytest.param(TARGET, (5, 2, 0, 5, 2), 0, id="target holds"),
    ],
)
def test_slack_of_each_constraint(constraint, amounts, slack):
    """Predicate and solver agree with the slack worked out by hand."""
    assert agreed(SHAPE, constraint, flow(*amounts)) == slack


@pytest.mark.parametrize("constraint", [BALANCE, CAPACITY, THROUGHPUT, EXCLUSIVE, RATIO, TARGET], ids=lambda c: c.kind)
def test_a_missing_arc_fails_what_names_it(constraint):
    """An answer that leaves arcs out does not pass by doing so: nothing said is not zero."""
    with pytest.raises(Absent):
        constraint.check(flow(None, None, None, None, None))


@pytest.mark.parametrize(
    ("modules", "optimum"),
    [
        ((), 9),  # 5 over node 2 (3 on to the sink, 2 to node 3), 4 over node 3
        (("node_throughput",), 8),  # 3 over node 2 to the sink, 5 over node 3
        (("exclusive",), 7),  # 3 over node 2 to the sink and 4 over node 3; or all over node 3: 6
        (("ratio",), 9),  # 5 is at most 2 times 3
        (("node_throughput", "exclusive"), 7),
        (("exclusive", "ratio"), 7),
        (None, 7),
    ],
)
def test_optimum_worked_by_hand(modules, optimum):
    """The tiny instance carries what pen and paper say."""
    _, instance = instance_of(MaxFlow, DATA, modules)
    assert (instance.optimum, instance.proof.status, instance.proof.bound) == (optimum, "OPTIMAL", optimum)


def smallest_cut(d):
    """Return the least capacity out of a set of nodes that holds the source and not the sink."""
    others = [i for i in range(d.nodes) if i not in (d.source, d.sink)]
    sides = ({d.source, *some} for count in range(len(others) + 1) for some in combinations(others, count))
    return min(sum(most for i, j, most in d.arcs if i in side and j not in side) for side in sides)


def test_core_optimum_equals_the_smallest_cut():
    """On 150 instances, the core's optimum is the capacity of the smallest of all cuts."""
    family = MaxFlow()
    for d in [d for size in ("xs", "s", "m") for d in draws(family, size, 50)]:
        assert solve(family.form(d), family.core(d), family.objective(d)).objective == smallest_cut(d)


def test_core_optimum_equals_the_graph_solver():
    """On 100 instances of all sizes, it is what the specialised algorithm finds."""
    family = MaxFlow()
    for d in [d for size in SIZES for d in draws(family, size, 20)]:
        graph = max_flow.SimpleMaxFlow()
        for tail, head, most in d.arcs:
            graph.add_arc_with_capacity(tail, head, most)
        assert graph.solve(d.source, d.sink) == graph.OPTIMAL
        assert solve(family.form(d), family.core(d), family.objective(d)).objective == graph.optimal_flow()


def most_flow(d, modules):
    """Return the largest flow as SCIP finds it, in a model of its own: an arc back from sink to source."""
    scip = pywraplp.Solver.CreateSolver("SCIP")
    flows = [scip.IntVar(0, most, "") for _, _, most in d.arcs]
    back = scip.IntVar(0, scip.infinity(), "")
    closed = [*((tail, head, x) for (tail, head, _), x in zip(d.arcs, flows, strict=True)), (d.sink, d.source, back)]
    for node in range(d.nodes):
        scip.Add(sum(x for _, head, x in closed if head == node) == sum(x for tail, _, x in closed if tail == node))
    for node, most in d.throughput if "node_throughput" in modules else ():
        scip.Add(sum(x for tail, _, x in closed if tail == node) <= most)  # what enters leaves again
    for first, second in d.exclusive if "exclusive" in modules else ():
        chosen = scip.BoolVar("")
        scip.Add(flows[first] <= d.arcs[first][2] * chosen)
        scip.Add(flows[second] <= d.arcs[second][2] * (1 - chosen))
    for arc, factor, other in d.ratios if "ratio" in modules else ():
        scip.Add(flows[arc] <= factor * flows[other])
    scip.Maximize(back)
    assert scip.Solve() == scip.OPTIMAL
    return round(scip.Objective().Value())


def test_optimum_equals_mixed_integer_programming():
    """On 208 instances, over all sets of modules, the proven optimum is that of SCIP."""
    family = MaxFlow()
    arms = [arm for count in range(4) for arm in combinations(family.module_names, count)]
    problems = [*draws(family, "xs", 120), *draws(family, "s", 56), *draws(family, "m", 32)]
    for index, d in enumerate(problems):
        modules = arms[index % len(arms)]
        solution = solve(family.form(d), family.arm(d, modules), family.objective(d))
        assert solution.objective == most_flow(d, modules)


@pytest.mark.parametrize("size", SIZES)
def test_the_network_is_whole(size):
    """Nothing enters the source or leaves the sink, each inner node is entered and left, and no rule is void."""
    family = MaxFlow()
    for d in draws(family, size, 20):
        knobs = family.sizes[size]
        assert d.nodes == knobs.nodes
        assert len(set(d.ends)) == len(d.ends) >= knobs.arcs
        heads, tails = {head for _, head in d.ends}, {tail for tail, _ in d.ends}
        assert heads == set(range(d.nodes)) - {d.source}
        assert tails == set(range(d.nodes)) - {d.sink}
        assert (len(d.throughput), len(d.exclusive), len(d.ratios)) == (
            knobs.throughputs,
            knobs.exclusive,
            knobs.ratios,
        )
        for i, most in d.throughput:
            assert i not in (d.source, d.sink)
            assert all(0 < most < sum(arc[2] for arc in d.arcs if arc[side] == i) for side in (0, 1))
        assert all(a != b and factor >= 2 for a, factor, b in d.ratios)


def test_statement_says_every_number():
    """The statement names source and sink, lists each arc with its ends and capacity, and states each rule."""
    family, instance = instance_of(MaxFlow, DATA)
    text = family.statement(instance, "final")
    assert text.startswith("Node 1 is the source and node 4 the sink of a network: send as much as possible from")
    assert (
        "arc | from | to | capacity\n1 | 1 | 2 | 5\n2 | 1 | 3 | 4\n3 | 2 | 3 | 3\n4 | 2 | 4 | 3\n5 | 3 | 4 | 6" in text
    )
    assert "1. The total flow of the arcs into node 2 equals that of the arcs out of it.\n" in text
    assert "2. The total flow of the arcs into node 3 equals that of the arcs out of it.\n" in text
    assert "3. The flow of every arc is at most its capacity.\n" in text
    assert "4. The total flow of the arcs into node 3 is at most 5.\n" in text
    assert "5. At least one of arcs 3 and 4 has flow 0.\n" in text
    assert "6. The flow of arc 1 is at most 2 times that of arc 4.\n" in text
    assert "7. The total flow of the arcs out of node 1 is at least 7." in text
    assert text.endswith("Objective: Maximise the total flow of the arcs out of node 1.")


def test_flow_back_into_the_source_is_taken_off():
    """Where arcs enter the source, value and mirror say so and count what comes back."""
    family = MaxFlow()
    d = plain(0, 2, ((0, 1, 5), (1, 0, 2), (1, 2, 4)))
    value, mirror = family.objective(d), family.inverted(d)
    assert value.noun(Names()) == "the total flow of the arcs out of node 1 minus that of the arcs into it"
    assert mirror.noun(Names()) == (
        "the total unused capacity (capacity minus flow) of the arcs out of node 1 plus the total flow of the arcs"
        " into it"
    )
    for amounts in ((0, 0, 0), (5, 1, 4), (9, 9, 9)):
        assert value.of(flow(*amounts)) + mirror.of(flow(*amounts)) == 5
    assert solve(family.form(d), family.core(d), value).objective == 4
    assert solve(family.form(d), family.core(d), mirror).objective == 1


def test_the_mirror_counts_what_is_unused():
    """The inverted twin minimises the room left on the arcs out of the source."""
    family = MaxFlow()
    twin, _ = family.instance("m", 7, 0, None, "inverted")
    assert isinstance(twin, Instance)
    assert "Minimise the total unused capacity (capacity minus flow) of the arcs" in family.statement(twin, "final")
    assert CapacityLeft(0, (0, 1), (), (5, 4)).of(flow(5, 2, 0, 0, 0)) == 2


def test_zero_flow_fails():
    """The template's answer keeps every rule but the target."""
    family = MaxFlow()
    for instance in instances(family, "s", 3):
        checks = examine(family.constraints(instance, "final"), family.template_answer(instance, "final"))
        assert {c.kind for c in checks if not c.satisfied} == {"target"}


@pytest.mark.parametrize(("one", "value"), list(zip(FAMOUS, (60, 23), strict=True)))
def test_famous_networks_have_the_cut_that_their_value_says(one, value):
    """The published value is the capacity of the smallest cut."""
    assert smallest_cut(one.data) == one.optimum == value


@pytest.mark.parametrize("size", ["xs", "s"])
def test_a_perturbed_network_carries_another_flow(size):
    """Other capacities give another value."""
    family = MaxFlow()
    for index in range(4):
        twin, _ = family.instance(size, 5, index, (), "perturbed")
        assert isinstance(twin, Instance)
        assert twin.optimum != family.original(twin).optimum


def test_a_public_file_is_read():
    """A DIMACS file gives a network with its source and sink, even where no arc reaches them."""
    family = MaxFlow()
    d = family.formats["dimacs"]("p max 4 3\nn 1 s\nn 3 t\na 1 2 5\na 2 3 4\na 3 4 1\n")
    assert d == plain(0, 2, ((0, 1, 5), (1, 2, 4), (2, 3, 1)))
    assert solve(family.form(d), family.core(d), family.objective(d)).objective == 4
    d = family.formats["dimacs"]("p max 4 1\nn 1 s\nn 4 t\na 1 2 5\n")
    assert d.nodes == 4
    assert solve(family.form(d), family.core(d), family.objective(d)).objective == 0
    with pytest.raises(FormatError, match="line 1: expected an arc, found none"):
        family.formats["dimacs"]("p max 2 0\nn 1 s\nn 2 t\n")


@pytest.mark.parametrize("size", SIZES)
def test_greedy_breaks_no_ceiling(size):
    """Greedy sends whole paths and overfills nothing; what it may miss are ratios."""
    family = MaxFlow()
    for d in draws(family, size, 10):
        for modules in ((), family.module_names):
            constraints = family.arm(d, modules)
            answer = family.greedy(d, family.fits(constraints))
            assert all(c.check(answer) >= 0 for c in constraints if c.kind != "ratio")


def test_greedy_takes_nothing_back():
    """Where the first of the shortest paths crosses, the second one is blocked: half of the flow is found."""
    family = MaxFlow()
    arcs = ((0, 1, 1), (1, 4, 1), (4, 5, 1), (0, 2, 1), (2, 3, 1), (3, 4, 1), (1, 6, 1), (6, 7, 1), (7, 5, 1))
    d = plain(0, 5, arcs)
    assert family.objective(d).of(family.greedy(d, family.fits(family.core(d)))) == 1
    assert solve(family.form(d), family.core(d), family.objective(d)).objective == 2


MUTATIONS = {
    "balance": lambda answer, c: Partial({**answer, c.into[0]: answer[c.into[0]] + 1}),
    "arc_capacity": lambda answer, c: Partial({**answer, c.arc: c.limit + 1}),
    "node_throughput": lambda answer, c: Partial({**answer, c.into[0]: c.limit + 1}),
    "exclusive": lambda answer, c: Partial({**answer, **dict.fromkeys(c.pair, 1)}),
    "ratio": lambda answer, c: Partial({**answer, c.arc: 1, c.other: 0}),
    "target": lambda answer, c: Partial(dict.fromkeys(answer, 0)),
}


@pytest.mark.parametrize("kind", MaxFlow().constraint_kinds)
def test_a_breaking_mutation_is_reported(kind):
    """The exact answer, mutated to break one constraint, is reported as breaking it by judge and solver."""
    breaks(MaxFlow(), kind, MUTATIONS[kind], 5)
