"""Minimum cost flow: each constraint on four nodes worked out by hand, the optimum against other solvers."""

from dataclasses import replace
from itertools import combinations

import pytest
from ortools.graph.python import min_cost_flow
from ortools.linear_solver import pywraplp

from solvers.exact import solve
from solvers.formats.common import FormatError
from solvers.keys import Stream
from solvers.names import Names
from solvers.optimization.min_cost_flow import (
    FAMOUS,
    ArcCapacity,
    ArcMinimum,
    Balance,
    MinCostFlow,
    MinCostFlowData,
    MinimumIfUsed,
    NodeThroughput,
    PairedArcs,
    TotalCost,
    cheapest,
    from_dimacs,
    laid,
)
from solvers.problem import SIZES, Absent, Instance, Target, examine
from solvers.shapes import AmountOf, Partial
from tests.solvers.optimization import agreed, breaks, draws, instance_of, instances

# Four units from node 1 to node 4, over node 2 (cost 2 + 2), node 3 (3 + 4), or node 2 and then node 3 (2 + 1 + 4).
DATA = MinCostFlowData(
    supply=(4, 0, 0, -4),
    arcs=((0, 1, 0, 4, 2), (0, 2, 0, 3, 3), (1, 2, 0, 2, 1), (1, 3, 0, 3, 2), (2, 3, 0, 4, 4)),
    throughput=((1, 2),),
    pairs=((0, 4),),
    batches=((1, 3),),
)
SHAPE = AmountOf("arc", (6,) * 5, "flow")
SOURCE = Balance(0, (0, 1), (), 4)
INNER = Balance(1, (2, 3), (0,), 0)
SINK = Balance(3, (), (3, 4), -4)
CAPACITY = ArcCapacity(3, 3)
THROUGHPUT = NodeThroughput(2, (1, 2), 3)
PAIR = PairedArcs((0, 4))
MINIMUM = ArcMinimum(4, 2)
BATCH = MinimumIfUsed(1, 3)
TARGET = Target(TotalCost((2, 3, 1, 2, 4)), 20)


def flow(*amounts):
    """Return the answer with these flows on arcs 1, 2 …; None leaves one out."""
    return Partial({a: amount for a, amount in enumerate(amounts) if amount is not None})


@pytest.mark.parametrize(
    ("constraint", "amounts", "slack"),
    [
        pytest.param(SOURCE, (4, 0, 9, 9, 9), 0, id="supply trivial"),
        pytest.param(SOURCE, (3, 2, 0, 0, 0), -1, id="supply fails"),
        pytest.param(SOURCE, (1, 3, 0, 0, 0), 0, id="supply holds"),
        pytest.param(INNER, (0, 0, 0, 0, 0), 0, id="balance trivial"),
        pytest.param(INNER, (4, 0, 1, 2, 0), -1, id="balance fails"),
        pytest.param(INNER, (4, 0, 1, 3, 0), 0, id="balance holds"),
        pytest.param(SINK, (0, 0, 0, 0, 0), -4, id="demand trivial"),
        pytest.param(SINK, (0, 0, 0, 3, 2), -1, id="demand fails"),
        pytest.param(SINK, (0, 0, 0, 3, 1), 0, id="demand holds"),
        pytest.param(CAPACITY, (6, 6, 6, 0, 6), 3, id="arc_capacity trivial"),
        pytest.param(CAPACITY, (0, 0, 0, 4, 0), -1, id="arc_capacity fails"),
        pytest.param(CAPACITY, (0, 0, 0, 3, 0), 0, id="arc_capacity holds"),
        pytest.param(THROUGHPUT, (6, 0, 0, 6, 6), 3, id="node_throughput trivial"),
        pytest.param(THROUGHPUT, (0, 2, 2, 0, 0), -1, id="node_throughput fails"),
        pytest.param(THROUGHPUT, (0, 1, 2, 0, 0), 0, id="node_throughput holds"),
        pytest.param(PAIR, (0, 0, 0, 0, 0), 0, id="paired_arcs trivial"),
        pytest.param(PAIR, (2, 0, 0, 0, 3), -1, id="paired_arcs fails"),
        pytest.param(PAIR, (2, 0, 0, 0, 2), 0, id="paired_arcs holds"),
        pytest.param(MINIMUM, (0, 0, 0, 0, 9), 7, id="arc_minimum trivial"),
        pytest.param(MINIMUM, (9, 9, 9, 9, 1), -1, id="arc_minimum fails"),
        pytest.param(MINIMUM, (0, 0, 0, 0, 2), 0, id="arc_minimum holds"),
        pytest.param(BATCH, (0, 0, 0, 0, 0), 0, id="minimum_if_used trivial"),
        pytest.param(BATCH, (0, 2, 0, 0, 0), -1, id="minimum_if_used fails"),
        pytest.param(BATCH, (0, 3, 0, 0, 0), 0, id="minimum_if_used holds"),
        pytest.param(TARGET, (0, 0, 0, 0, 0), 20, id="target trivial"),
        pytest.param(TARGET, (3, 3, 0, 3, 0), -1, id="target fails"),
        pytest.param(TARGET, (3, 2, 0, 2, 1), 0, id="target holds"),
    ],
)
def test_slack_of_each_constraint(constraint, amounts, slack):
    """Predicate and solver agree with the slack worked out by hand."""
    within = AmountOf("arc", (9,) * 5, "flow")
    assert agreed(within, constraint, flow(*amounts)) == slack


@pytest.mark.parametrize(
    "constraint", [INNER, CAPACITY, THROUGHPUT, PAIR, MINIMUM, BATCH, TARGET], ids=lambda c: c.kind
)
def test_a_missing_arc_fails_what_names_it(constraint):
    """An answer that leaves arcs out does not pass by doing so: nothing said is not zero."""
    with pytest.raises(Absent):
        constraint.check(flow(None, None, None, None, None))


def test_the_minimum_of_an_unused_arc_is_vacuous():
    """ "0 or at least 3" is vacuous at 0, and only there."""
    assert BATCH.vacuous(flow(0, 0, 0, 0, 0))
    assert not BATCH.vacuous(flow(0, 3, 0, 0, 0))


@pytest.mark.parametrize(
    ("modules", "optimum"),
    [
        ((), 19),  # three units over node 2, one over node 3: 12 + 7; or the fourth over both: 7 too
        (("node_throughput",), 22),  # two units over node 2, two over node 3: 8 + 14
        (("paired_arcs",), 22),  # two units each
        (("minimum_if_used",), 19),  # the fourth unit over both
        (("node_throughput", "minimum_if_used"), 25),  # three units over node 3, one over node 2
    ],
)
def test_optimum_worked_by_hand(modules, optimum):
    """The tiny instance costs what pen and paper say."""
    family = MinCostFlow()
    solution = solve(family.form(DATA), family.arm(DATA, modules), family.objective(DATA))
    assert (solution.objective, solution.proof.status, solution.proof.bound) == (optimum, "OPTIMAL", optimum)


def test_a_least_flow_costs():
    """Where arc 2 carries at least 2, two units go over node 3: 14, and two over node 2: 8."""
    family = MinCostFlow()
    d = replace(DATA, arcs=(DATA.arcs[0], (0, 2, 2, 3, 3), *DATA.arcs[2:]))
    assert solve(family.form(d), family.core(d), family.objective(d)).objective == 22
    assert family.greedy(d, family.fits(family.core(d))) == flow(2, 2, 0, 2, 2)


def test_rules_that_exclude_each_other_are_infeasible():
    """With arc 2 unused, arcs 1 and 5 would carry 4, but node 3 gets 2; with arc 2 at 3, arc 1 carries 1, arc 5 3."""
    family = MinCostFlow()
    arm = family.arm(DATA, ("paired_arcs", "minimum_if_used"))
    assert solve(family.form(DATA), arm, family.objective(DATA)).status == "infeasible"


def test_core_optimum_equals_the_graph_solver():
    """On 120 instances of all sizes, the core's optimum is that of the specialised min-cost-flow algorithm."""
    family = MinCostFlow()
    for d in [d for size in SIZES for d in draws(family, size, 24)]:
        graph = min_cost_flow.SimpleMinCostFlow()
        left, spent = list(d.supply), 0  # once every arc has its least flow
        for tail, head, least, capacity, cost in d.arcs:
            graph.add_arc_with_capacity_and_unit_cost(tail, head, capacity - least, cost)
            left[tail], left[head], spent = left[tail] - least, left[head] + least, spent + least * cost
        for node, supply in enumerate(left):
            graph.set_node_supply(node, supply)
        assert graph.solve() == graph.OPTIMAL
        assert solve(family.form(d), family.core(d), family.objective(d)).objective == spent + graph.optimal_cost()


def least_cost(d, modules):
    """Return the least cost as SCIP finds it, in a model of its own."""
    scip = pywraplp.Solver.CreateSolver("SCIP")
    flows = [scip.IntVar(least, capacity, "") for _, _, least, capacity, _ in d.arcs]
    for node, supply in enumerate(d.supply):
        rule = scip.Constraint(supply, supply)
        for variable, (tail, head, *_) in zip(flows, d.arcs, strict=True):
            rule.SetCoefficient(variable, (tail == node) - (head == node))
    for node, most in d.throughput if "node_throughput" in modules else ():
        rule = scip.Constraint(0, most)
        for variable, arc in zip(flows, d.arcs, strict=True):
            rule.SetCoefficient(variable, int(arc[1] == node))
    for first, second in d.pairs if "paired_arcs" in modules else ():
        scip.Add(flows[first] - flows[second] == 0)
    for arc, least in d.batches if "minimum_if_used" in modules else ():
        used = scip.BoolVar("")
        scip.Add(flows[arc] <= d.arcs[arc][3] * used)
        scip.Add(flows[arc] >= least * used)
    scip.Minimize(sum(arc[4] * variable for arc, variable in zip(d.arcs, flows, strict=True)))
    assert scip.Solve() == scip.OPTIMAL
    return round(scip.Objective().Value())


def test_optimum_equals_mixed_integer_programming():
    """On 208 instances, over all sets of modules, the proven optimum is that of SCIP."""
    family = MinCostFlow()
    arms = [arm for count in range(4) for arm in combinations(family.module_names, count)]
    problems = [*draws(family, "xs", 120), *draws(family, "s", 56), *draws(family, "m", 32)]
    for index, d in enumerate(problems):
        modules = arms[index % len(arms)]
        solution = solve(family.form(d), family.arm(d, modules), family.objective(d))
        assert solution.objective == least_cost(d, modules)


@pytest.mark.parametrize("size", SIZES)
def test_the_network_is_whole(size):
    """Supplies meet demands, each inner node is entered and left, no two arcs are parallel, and no rule is void."""
    family = MinCostFlow()
    for d in draws(family, size, 20):
        knobs = family.sizes[size]
        ends = [arc[:2] for arc in d.arcs]
        assert sum(d.supply) == 0
        assert sum(s > 0 for s in d.supply) == sum(s < 0 for s in d.supply) == knobs.ends
        assert len(set(ends)) == len(ends) >= knobs.arcs
        for i, supply in enumerate(d.supply):
            assert supply > 0 or i in {head for _, head in ends}
            assert supply < 0 or i in {tail for tail, _ in ends}
        assert (len(d.throughput), len(d.pairs), len(d.batches)) == (knobs.throughputs, knobs.pairs, knobs.batches)
        assert sum(arc[2] > 0 for arc in d.arcs) == knobs.minima
        for i, most in d.throughput:
            assert d.supply[i] == 0
            assert all(most < sum(arc[3] for arc in d.arcs if arc[side] == i) for side in (0, 1))
        assert all(1 < least <= d.arcs[a][3] and not d.arcs[a][2] for a, least in d.batches)
        assert all(arc[2] <= arc[3] for arc in d.arcs)
        assert all(ends[a][1] != ends[b][0] and ends[b][1] != ends[a][0] for a, b in d.pairs)


def test_a_hidden_flow_fits_its_network():
    """The flow that a network is laid for balances at inner nodes and fits the capacities."""
    place = [3, 1, 4, 0, 2]
    for seed in range(50):
        arcs, hidden, capacity = laid(place, 1, 3, 9, 6, Stream(f"network {seed}"))
        net = [0] * 5
        for (tail, head), amount, most in zip(arcs, hidden, capacity, strict=True):
            assert 0 <= amount <= most
            net[tail] += amount
            net[head] -= amount
        assert net[3] == -net[2] > 0
        assert net[0] == net[1] == net[4] == 0


def test_statement_says_every_number():
    """The statement lists each arc with its ends, capacity and cost, and states each rule."""
    arcs = (*DATA.arcs[:4], (2, 3, 1, 4, 4))
    family, instance = instance_of(MinCostFlow, replace(DATA, arcs=arcs, batches=((1, 2),)))
    text = family.statement(instance, "final")
    assert text.startswith(
        "Set the flow of every arc, a whole number from 0 on. Each arc leads from one node to another;"
    )
    assert "the total cost is the sum of cost times flow over all arcs.\n\n" in text
    assert (
        "arc | from | to | minimum | capacity | cost\n1 | 1 | 2 | 0 | 4 | 2\n2 | 1 | 3 | 0 | 3 | 3\n"
        "3 | 2 | 3 | 0 | 2 | 1\n4 | 2 | 4 | 0 | 3 | 2\n5 | 3 | 4 | 1 | 4 | 4\n" in text
    )
    assert "1. The total flow of the arcs out of node 1 is 4 more than that of the arcs into it.\n" in text
    assert "2. The total flow of the arcs into node 2 equals that of the arcs out of it.\n" in text
    assert "4. The total flow of the arcs into node 4 is 4 more than that of the arcs out of it.\n" in text
    assert "5. The flow of every arc is at most its capacity.\n" in text
    assert "6. The flow of every arc is at least its minimum.\n" in text
    assert "7. The total flow of the arcs into node 2 is at most 2.\n" in text
    assert "8. Arcs 1 and 5 have the same flow.\n" in text
    assert "9. The flow of arc 2 is 0 or at least 2.\n" in text
    assert f"10. The total cost is at most {instance.target}." in text
    assert text.endswith("Objective: Minimise the total cost.")


def test_statement_uses_the_names_given():
    """Renamed arcs and nodes appear in the sentences; nothing of the plain words is left."""
    names = Names(
        {"arc": ("pipe", "pipes"), "flow": ("load", "loads"), "node": ("tank", "tanks")}, {"node": ("A", "B", "C", "D")}
    )
    assert SINK.say(names) == "The total load of the pipes into tank D is 4 more than that of the pipes out of it."
    assert PAIR.say(names) == "Pipes 1 and 5 have the same load."


def test_zero_flow_fails():
    """The template's answer keeps every bound from above, and meets no supply, demand or least flow."""
    family = MinCostFlow()
    for instance in instances(family, "s", 3):
        checks = examine(family.constraints(instance, "final"), family.template_answer(instance, "final"))
        failed = [c.kind for c in checks if not c.satisfied]
        assert failed.count("balance") == sum(s != 0 for s in instance.data.supply)
        assert set(failed) == {"balance", "arc_minimum"}


def test_famous_perturbed_has_another_cost():
    """The textbook network costs 150; moved supplies and other costs make it cost something else."""
    family = MinCostFlow()
    assert (
        solve(family.form(FAMOUS[0].data), family.core(FAMOUS[0].data), family.objective(FAMOUS[0].data)).objective
        == 150
    )
    for index in range(4):
        twin, _ = family.instance("xs", 5, index, (), "perturbed")
        assert isinstance(twin, Instance)
        assert twin.optimum != 150
        assert sum(twin.data.supply) == 0


FILE = """c three nodes
p min 3 3
n 1 5
n 3 -5
a 1 2 2 4 1
a 1 3 0 3 6
a 2 3 0 9 {cost}
"""


def test_a_public_file_is_read():
    """A DIMACS file gives a network with its least flows and no rules besides."""
    family = MinCostFlow()
    d = family.formats["dimacs"](FILE.format(cost=2))
    assert d == MinCostFlowData((5, 0, -5), ((0, 1, 2, 4, 1), (0, 2, 0, 3, 6), (1, 2, 0, 9, 2)), (), (), ())
    assert solve(family.form(d), family.core(d), family.objective(d)).objective == 18
    with pytest.raises(FormatError, match="line 7: expected a cost of 0 or more, found -2"):
        from_dimacs(FILE.format(cost=-2))
    with pytest.raises(FormatError, match="line 1: expected an arc, found none"):
        from_dimacs("p min 2 0\nn 1 0\n")


def test_the_cheapest_path_is_found():
    """Over usable arcs, the path of least cost from any source to the nearest sink."""
    ends, cost = [(0, 1), (1, 3), (0, 2), (2, 3)], [1, 5, 2, 3]
    assert cheapest(ends, cost, [True] * 4, {0}, {3}) == [2, 3]
    assert cheapest(ends, cost, [True, True, True, False], {0}, {3}) == [0, 1]
    assert cheapest(ends, cost, [True, True, True, False], {0, 2}, {1, 3}) == [0]
    assert cheapest(ends, cost, [False, True, True, False], {0}, {3}) is None


@pytest.mark.parametrize("size", SIZES)
def test_greedy_breaks_no_ceiling(size):
    """Greedy never overfills an arc or a node; where it is stuck, the judge sees what is unbalanced."""
    family = MinCostFlow()
    for d in draws(family, size, 10):
        for modules in ((), family.module_names):
            constraints = family.arm(d, modules)
            answer = family.greedy(d, family.fits(constraints))
            assert all(c.check(answer) >= 0 for c in constraints if c.hereditary)
            assert all(c.check(answer) >= 0 for c in constraints if c.kind == "arc_minimum")


MUTATIONS = {
    "balance": lambda answer, c: Partial({**answer, (c.out + c.into)[0]: answer[(c.out + c.into)[0]] + 1}),
    "arc_capacity": lambda answer, c: Partial({**answer, c.arc: c.limit + 1}),
    "node_throughput": lambda answer, c: Partial({**answer, c.into[0]: c.limit + 1}),
    "paired_arcs": lambda answer, c: Partial({**answer, c.pair[0]: answer[c.pair[1]] + 1}),
    "arc_minimum": lambda answer, c: Partial({**answer, c.arc: c.limit - 1}),
    "minimum_if_used": lambda answer, c: Partial({**answer, c.arc: 1}),
    "target": lambda answer, c: Partial({a: amount + 9 for a, amount in answer.items()}),
}


@pytest.mark.parametrize("kind", MinCostFlow().constraint_kinds)
def test_a_breaking_mutation_is_reported(kind):
    """The exact answer, mutated to break one constraint, is reported as breaking it by judge and solver."""
    breaks(MinCostFlow(), kind, MUTATIONS[kind], 5)
