"""AC power flow: balances against the rectangular form of the equations; what the flat start scores on public cases."""

import cmath
import math
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest

from solvers.keys import Stream
from solvers.optimization.ac_opf import (
    AcOpf,
    ActiveGeneration,
    AngleDifference,
    BranchFlow,
    ReactiveGeneration,
    Reference,
    Voltage,
    from_case,
)
from solvers.powerflow import branch, flow, injections, solve
from solvers.problem import SIZES, examine
from solvers.shapes import Partial
from tests.solvers.optimization import instances

CASES = Path(__file__).parents[2] / "data" / "public" / "power"
BASIC = ("active_balance", "reactive_balance", "voltage", "active_generation", "reactive_generation")


def rectangular(d, answer):
    """What is missing at each bus (MW + j MVAr), and apparent power at both ends of each line, by complex numbers."""
    n, base = len(d.demand), float(d.base)
    volt = {i: cmath.rect(float(answer[0][i]), math.radians(float(answer[1][i]))) for i in range(n)}
    missing = [-complex(*map(float, demand)) for demand in d.demand]
    for g, bus in enumerate(d.site):
        missing[bus] += complex(float(answer[2][g]), float(answer[3][g]))
    ends = []
    for (i, j), (r, x, c), (ratio, shift) in zip(d.line, d.impedance, d.transformer, strict=True):
        series, half = 1 / complex(float(r), float(x)), complex(0, float(c) / 2)
        turn = cmath.rect(float(ratio), math.radians(float(shift)))
        # An ideal transformer at i, then the line: its voltage is V_i / turn, its current I_i * conj(turn).
        inner = volt[i] / turn
        current_i = ((inner - volt[j]) * series + inner * half) / turn.conjugate()
        current_j = (volt[j] - inner) * series + volt[j] * half
        powers = volt[i] * current_i.conjugate() * base, volt[j] * current_j.conjugate() * base
        missing[i] -= powers[0]
        missing[j] -= powers[1]
        ends.append(tuple(map(abs, powers)))
    for i, (g, b) in enumerate(d.shunt):
        missing[i] -= abs(volt[i]) ** 2 * complex(float(g), -float(b))
    return missing, ends


def judged_as_rectangular(family, instance, answer):
    """Each balance and each branch flow has the slack that the rectangular form gives."""
    d = instance.data
    missing, ends = rectangular(d, answer)
    n = len(d.demand)
    constraints = family.constraints(instance, "final")
    for i in range(n):
        assert float(constraints[i].check(answer)) == pytest.approx(-abs(missing[i].real), abs=1e-6)
        assert float(constraints[n + i].check(answer)) == pytest.approx(-abs(missing[i].imag), abs=1e-6)
    for c in constraints:
        if isinstance(c, BranchFlow):
            assert float(c.check(answer)) == pytest.approx(float(c.limit) - ends[c.line][not c.tail], abs=1e-6)


@pytest.mark.parametrize("size", SIZES)
def test_polar_and_rectangular_form_agree(size):
    """On 200 instances in all, exact and flat answers have the same balances and flows in complex arithmetic."""
    family = AcOpf()
    for instance in instances(family, size, 40):
        for answer in (instance.answer, family.template_answer(instance, "final")):
            judged_as_rectangular(family, instance, answer)


@pytest.mark.parametrize("name", ["case14_ieee", "case57_ieee", "case118_ieee"])
def test_transformers_and_shunts_agree_too(name):
    """Public cases have transformers, charging and shunts: the two forms agree on them, at voltages of 1 and others,
    and where a shunt takes active power."""
    family = AcOpf()
    d = from_case((CASES / f"pglib_opf_{name}.m").read_text("utf-8"))
    d = replace(d, shunt=tuple((Fraction(7 * i % 5), b) for i, (_, b) in enumerate(d.shunt)))
    instance = family.imported(d, "m", 7, 0)
    for answer in (family.template_answer(instance, "final"), family.shape(instance, "final").random(Stream(name))):
        judged_as_rectangular(family, instance, answer)


# Two buses; the generator of index 1 stands at the first.
STATE = (
    Partial({0: Fraction(105, 100), 1: Fraction(93, 100)}),
    Partial({0: Fraction(-3), 1: Fraction(9, 2)}),
    Partial({0: Fraction(40), 1: Fraction(-20)}),
    Partial({0: Fraction(15), 1: Fraction(-30)}),
)
LINE = branch(0, 1, 0.02, 0.1, 0.06)


@pytest.mark.parametrize(
    ("constraint", "slack"),
    [
        pytest.param(Voltage(0, Fraction(94, 100), Fraction(106, 100), Fraction(1, 1000)), "0.01", id="below the most"),
        pytest.param(Voltage(1, Fraction(94, 100), Fraction(106, 100), Fraction(1, 1000)), "-0.01", id="too low"),
        pytest.param(Voltage(0, Fraction(94, 100), Fraction(1), Fraction(1, 1000)), "-0.05", id="too high"),
        pytest.param(ActiveGeneration(0, Fraction(30), Fraction(70), Fraction(1, 10)), "10", id="above the least"),
        pytest.param(ActiveGeneration(1, Fraction(-20), Fraction(70), Fraction(1, 10)), "0", id="the least"),
        pytest.param(ReactiveGeneration(0, Fraction(-5), Fraction(12), Fraction(1, 10)), "-3", id="reactive too high"),
        pytest.param(ReactiveGeneration(1, Fraction(-25), Fraction(12), Fraction(1, 10)), "-5", id="reactive too low"),
        pytest.param(Reference(0), "-3", id="reference turned back"),
        pytest.param(Reference(1), "-4.5", id="reference turned on"),
        pytest.param(AngleDifference(0, (0, 1), Fraction(8)), "0.5", id="angles near"),
        pytest.param(AngleDifference(0, (1, 0), Fraction(7)), "-0.5", id="angles too far apart"),
    ],
)
def test_slack_of_each_limit(constraint, slack):
    """Worked out by hand; within the tolerance of its unit and no more is it satisfied."""
    assert constraint.check(STATE) == Fraction(slack)
    (check,) = examine([constraint], STATE)
    assert check.satisfied == (Fraction(slack) >= 0)


def test_what_is_allowed_is_a_tolerance():
    """As the statement says: a thousandth p.u., a hundredth of a degree, a thousandth of the base."""
    family = AcOpf()
    (instance,) = instances(family, "xs", 1)
    allowed = {c.kind: c.tolerance for c in family.constraints(instance, "final")}
    powers = ("active_balance", "reactive_balance", "active_generation", "reactive_generation", "branch_flow")
    assert allowed == {
        "voltage": Fraction(1, 1000),
        **dict.fromkeys(("reference", "angle_difference"), Fraction(1, 100)),
        **dict.fromkeys(powers, Fraction(1, 10)),
    }


@pytest.mark.parametrize("tail", [True, False])
def test_apparent_power_is_that_of_one_end(tail):
    """The ends of a line differ by its losses and its charging; each is compared with the limit."""
    turns = {i: math.radians(float(a)) for i, a in STATE[1].items()}
    p, q = flow(LINE, {i: float(v) for i, v in STATE[0].items()}, turns)[slice(0, 2) if tail else slice(2, 4)]
    slack = BranchFlow(0, LINE, tail, Fraction(100), Fraction(90)).check(STATE)
    assert float(slack) == pytest.approx(90 - 100 * math.hypot(p, q), abs=1e-6)


@pytest.mark.parametrize("size", SIZES)
def test_the_planted_point_meets_every_balance_closely(size):
    """The exact answer, with its decimals, misses no balance by a tenth of what is allowed."""
    for instance in instances(AcOpf(), size, 10):
        missing, _ = rectangular(instance.data, instance.answer)
        assert max(abs(m) for m in missing) < 0.01
        assert instance.proof.status == "FEASIBLE"


def test_newton_solves_two_buses_by_hand():
    """One lossless line (x = 0.1) that carries 0.5 p.u. between voltages held at 1: sin A = 0.05."""
    lines = [branch(0, 1, 0.0, 0.1, 0.0)]
    found = solve(2, lines, [0.5, -0.5], [0.0, 0.0], {0: 1.0, 1: 1.0}, reference=0)
    assert float(found.angle[1]) == pytest.approx(-math.asin(0.05), abs=1e-15)
    active, reactive = injections(2, lines, found.v, found.angle)
    assert (float(active[0]), float(active[1])) == pytest.approx((0.5, -0.5), abs=1e-12)
    assert float(reactive[0]) == pytest.approx(10 * (1 - math.cos(math.asin(0.05))), abs=1e-9)


def test_newton_says_where_nothing_can_be_carried():
    """Twenty times what the line can carry has no solution."""
    assert solve(2, [branch(0, 1, 0.0, 0.1, 0.0)], [0.0, -200.0], [0.0, -50.0], {0: 1.0}, reference=0) is None


def test_a_line_loses_power():
    """What enters a line with resistance at both ends is positive in sum: the losses."""
    pf, _, pt, _ = flow(branch(0, 1, 0.02, 0.1, 0.0), {0: 1.02, 1: 0.99}, {0: 0.0, 1: -0.1})
    assert 0 < pf + pt < 0.05


@pytest.mark.parametrize(
    ("name", "expected"),
    [("case5_pjm", 60.0), ("case14_ieee", 51.9), ("case30_ieee", 52.9), ("case57_ieee", 48.1), ("case118_ieee", 51.1)],
)
def test_the_flat_start_scores_in_the_published_band(name, expected):
    """On PGLib-OPF cases an answer without thought satisfies 48 to 60 % of the five basic constraint types: every bound
    and next to no balance."""
    family = AcOpf()
    d = from_case((CASES / f"pglib_opf_{name}.m").read_text("utf-8"))
    instance = family.imported(d, "m", 7, 0)
    checks = examine(family.constraints(instance, "final"), family.template_answer(instance, "final"))
    basic = [check for check in checks if check.kind in BASIC]
    share = 100 * sum(check.satisfied for check in basic) / len(basic)
    assert round(share, 1) == expected
    assert all(check.satisfied for check in basic if check.constraint_class == "domain")
    balances = [check.satisfied for check in basic if check.constraint_class == "balance"]
    assert sum(balances) / len(balances) <= 0.27


def test_a_public_case_is_judged_without_an_exact_answer():
    """It has none to be shown, and is stored and loaded without one."""
    family = AcOpf()
    d = from_case((CASES / "pglib_opf_case5_pjm.m").read_text("utf-8"))
    instance = family.imported(d, "m", 7, 0)
    assert instance.answer is None
    assert family.load(family.dump(instance)) == instance


def test_huge_and_odd_numbers_are_judged():
    """Voltages of 10^15, angles without end: violated, never a crash."""
    family = AcOpf()
    (instance,) = instances(family, "xs", 1)
    for value in (Fraction(10**15), Fraction(10**300), Fraction(-1, 10**30)):
        answer = tuple(Partial(dict.fromkeys(part, value)) for part in instance.answer)
        assert not all(check.satisfied for check in examine(family.constraints(instance, "final"), answer))
