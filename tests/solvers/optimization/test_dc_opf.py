"""DC optimal power flow: each constraint on three buses worked out by hand, the optimum against another solver."""

from dataclasses import replace
from fractions import Fraction
from itertools import combinations

import numpy as np
import pytest
from scipy.optimize import linprog

from solvers.optimization.dc_opf import (
    AngleDifference,
    Balance,
    DcOpf,
    DcOpfData,
    FlowLimit,
    GenerationMax,
    GenerationMin,
    Interface,
    Reference,
    Reserve,
    angles,
)
from solvers.problem import SIZES, Absent
from solvers.shapes import Partial
from tests.solvers.optimization import draws, instance_of, instances, violated

# A triangle of equal lines (10 MW per degree). 90 MW are needed at bus 3; generators stand at bus 1 (cost 10) and bus 2
# (cost 20). With x at bus 1 and 90 - x at bus 2, line 1-3 carries (90 + x) / 3 and line 2-3 (180 - x) / 3: the limit of
# 50 MW of the first allows x = 60 at most, so the cheapest dispatch is 60 and 30: 1200.
DATA = DcOpfData(
    demand=(Fraction(0), Fraction(0), Fraction(90)),
    line=((0, 1), (0, 2), (1, 2)),
    susceptance=(Fraction(10), Fraction(10), Fraction(10)),
    limit=(Fraction(40), Fraction(50), Fraction(50)),
    site=(0, 1),
    least=(Fraction(10), Fraction(0)),
    most=(Fraction(80), Fraction(70)),
    cost=(Fraction(10), Fraction(20)),
    keeping=(0, 1),
    reserve=Fraction(50),
    apart=((1, Fraction(5)),),
    interface=(0, 1),
    transfer=Fraction(60),
)
BEST = (Partial({0: Fraction(60), 1: Fraction(30)}), Partial({0: Fraction(0), 1: Fraction(-1), 2: Fraction(-5)}))


@pytest.mark.parametrize(
    ("constraint", "slack"),
    [
        (Balance(0, Fraction(0), (0,), ((1, Fraction(10)), (2, Fraction(10)))), 0),
        (Balance(2, Fraction(90), (), ((0, Fraction(10)), (1, Fraction(10)))), 0),
        (Balance(2, Fraction(80), (), ((0, Fraction(10)), (1, Fraction(10)))), -10),
        (Balance(1, Fraction(0), (0,), ((0, Fraction(10)), (2, Fraction(10)))), -30),
        (Reference(0), 0),
        (Reference(1), -1),
        (GenerationMax(0, Fraction(80)), 20),
        (GenerationMax(0, Fraction(59)), -1),
        (GenerationMin(1, Fraction(30)), 0),
        (GenerationMin(1, Fraction(31)), -1),
        (FlowLimit(1, (0, 2), Fraction(10), Fraction(50)), 0),
        (FlowLimit(1, (2, 0), Fraction(10), Fraction(49)), -1),
        (Reserve((0, 1), (Fraction(80), Fraction(70)), Fraction(60)), 0),
        (Reserve((1,), (Fraction(70),), Fraction(41)), -1),
        (AngleDifference((0, 2), Fraction(5)), 0),
        (AngleDifference((2, 0), Fraction(4)), -1),
        (Interface((0, 1), ((0, 1), (0, 2)), (Fraction(10), Fraction(10)), Fraction(60)), 0),
        (Interface((0,), ((0, 1),), (Fraction(10),), Fraction(9)), -1),
    ],
)
def test_slack_of_each_constraint(constraint, slack):
    """The predicate gives the slack worked out by hand, in MW or degrees."""
    assert constraint.check(BEST) == slack


def test_what_is_absent_fails():
    """Without a bus's angle, the balances of its neighbours can't be met."""
    lacking = (BEST[0], Partial({0: Fraction(0), 2: Fraction(-5)}))
    with pytest.raises(Absent):
        Balance(0, Fraction(0), (0,), ((1, Fraction(10)), (2, Fraction(10)))).check(lacking)


def test_optimum_worked_by_hand():
    """The congested line decides: 60 MW of the cheap generator and 30 of the dear one."""
    _, instance = instance_of(DcOpf, DATA, ())
    assert instance.optimum == 1200
    assert instance.answer == BEST
    assert (instance.proof.status, instance.proof.bound) == ("OPTIMAL", 1200)
    assert instance.proof.solver.startswith("glop")


def test_without_the_line_limit_the_cheap_generator_runs_at_full_capacity():
    """80 MW at 10 and 10 MW at 20."""
    _, instance = instance_of(DcOpf, replace(DATA, limit=(Fraction(0), Fraction(0), Fraction(0))), ())
    assert instance.optimum == 1000


def by_hand(d, modules):
    """The optimum by HiGHS, from matrices written down here."""
    n, count = len(d.demand), len(d.site)
    width = count + n
    equal, at_most = [], []
    for i in range(n):
        row = np.zeros(width)
        for g, bus in enumerate(d.site):
            row[g] += bus == i
        for (a, b), s in zip(d.line, d.susceptance, strict=True):
            if i in (a, b):
                other = b if i == a else a
                row[count + i] -= float(s)
                row[count + other] += float(s)
        equal.append((row, float(d.demand[i])))
    first = np.zeros(width)
    first[count] = 1
    equal.append((first, 0.0))

    def over(k):
        row = np.zeros(width)
        row[count + d.line[k][0]], row[count + d.line[k][1]] = float(d.susceptance[k]), -float(d.susceptance[k])
        return row

    for k, limit in enumerate(d.limit):
        at_most += [(over(k), float(limit)), (-over(k), float(limit))]
    if "reserve" in modules:
        row = np.zeros(width)
        row[list(d.keeping)] = 1
        at_most.append((row, float(sum(d.most[g] for g in d.keeping) - d.reserve)))
    if "angle_difference" in modules:
        for k, limit in d.apart:
            row = over(k) / float(d.susceptance[k])
            at_most += [(row, float(limit)), (-row, float(limit))]
    if "interface" in modules:
        at_most.append((sum(over(k) for k in d.interface), float(d.transfer)))
    found = linprog(
        [*map(float, d.cost), *([0.0] * n)],
        A_ub=[row for row, _ in at_most],
        b_ub=[b for _, b in at_most],
        A_eq=[row for row, _ in equal],
        b_eq=[b for _, b in equal],
        bounds=[*((float(lo), float(hi)) for lo, hi in zip(d.least, d.most, strict=True)), *([(None, None)] * n)],
        method="highs",
    )
    return found.fun if found.status == 0 else None


def test_optimum_equals_another_solver():
    """On 200 instances, over all sets of modules, HiGHS finds the same optimum."""
    family = DcOpf()
    arms = [arm for count in range(4) for arm in combinations(family.module_names, count)]
    for index in range(200):
        instance, _ = family.instance(("xs", "s")[index % 2], 11, index, arms[index % len(arms)])
        assert by_hand(instance.data, instance.modules) == pytest.approx(float(instance.optimum), abs=0.5)


@pytest.mark.parametrize("size", SIZES)
def test_the_hidden_dispatch_leaves_room_for_merit_order_to_fail(size):
    """Most instances are congested: the cheapest generators first would overload something."""
    family, failing = DcOpf(), 0
    for instance in instances(family, size, 10):
        failing += bool(violated(family, instance, family.greedy_answer(instance)))
    assert failing >= 5


def test_greedy_meets_every_balance():
    """Merit order is a real state of the network: what it may violate are limits of lines, angles and reserves."""
    family = DcOpf()
    for instance in instances(family, "s", 10):
        kinds = {c.kind for c in violated(family, instance, family.greedy_answer(instance))}
        assert not kinds & {"balance", "reference", "generation_max", "generation_min"}


def test_the_flat_start_meets_bounds_and_no_balance():
    """All angles 0 and generation in proportion to capacity: limits hold, balances of loaded buses don't."""
    family = DcOpf()
    for instance in instances(family, "m", 5):
        answer = family.template_answer(instance, "final")
        failed = {c.kind for c in violated(family, instance, answer)}
        assert "balance" in failed
        assert not failed & {"reference", "generation_max", "flow_limit", "angle_difference"}


def test_angles_solve_the_network():
    """Flows from the angles meet generation and demand exactly at every bus."""
    for d in draws(DcOpf(), "m", 10):
        made = [most / 2 for most in d.most]
        made[-1] += sum(d.demand) - sum(made)
        angle = dict(enumerate(angles(d, made)))
        for i in range(len(d.demand)):
            out = sum(d.flow(k, angle) * (1 if a == i else -1) for k, (a, b) in enumerate(d.line) if i in (a, b))
            assert sum(p for p, bus in zip(made, d.site, strict=True) if bus == i) - d.demand[i] == out


def test_statement_says_tolerances_and_units():
    """Tolerances, units, direction of flows and every rule stand in the text."""
    family, instance = instance_of(DcOpf, DATA)
    text = family.statement(instance, "final")
    assert "line | from | to | susceptance (MW per degree)\n1 | bus 1 | bus 2 | 10" in text
    assert "tolerance of 0.05 MW" in text
    assert "The flow over line 2 is at most 50 MW in either direction." in text
    assert (
        "At bus 3, generation (none) minus demand differs from the total flow out over its lines by 0 MW at most."
        in text
    )
