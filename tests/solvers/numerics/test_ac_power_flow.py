"""Newton-Raphson power flow: sines and cosines with more digits than are asked for."""

import re
from dataclasses import replace
from decimal import Decimal, localcontext
from fractions import Fraction
from itertools import pairwise
from math import sqrt

import mpmath
import numpy as np
import pytest
from hypothesis import given as sampled
from hypothesis import settings
from hypothesis import strategies as st

from solvers import powerflow, registry
from solvers.numerics.ac_power_flow import PowerFlowData
from solvers.problem import SIZES
from tests.solvers.numerics.handmade import HOSTILE, given, unrounded, vector
from tests.solvers.numerics.second import PRECISE, drawn, evaluated, number, several

FLOW = registry.get("ac_power_flow")
HALF = Fraction(1, 2)
# One line without resistance, x = 1/5: P = 5 v sin t and Q = 5 v^2 - 5 v cos t, so J = 5 I at the start.
LINE = PowerFlowData(
    lines=((0, 1, Fraction(0), Fraction(1, 5)),),
    reference=Fraction(1),
    active=vector(-1),
    reactive=vector("-0.5"),
    held=(),
    damping=HALF,
)
SMALL = given(FLOW, LINE, steps=2, places=4)
# Saadat, Power System Analysis, examples 6.8 and 6.10 (bus 2 there is 1 here, bus 3 there is 2 here)
SAADAT = PowerFlowData(
    lines=(
        (0, 1, Fraction("0.02"), Fraction("0.04")),
        (0, 2, Fraction("0.01"), Fraction("0.03")),
        (1, 2, Fraction("0.0125"), Fraction("0.025")),
    ),
    reference=Fraction("1.05"),
    active=vector(-4, 2),
    reactive=vector("-2.5"),
    held=vector("1.04"),
    damping=Fraction(1),
)


def test_one_line_by_hand():
    """The first step halves (-1, -0.5) / 5: (-0.1, 0.95). There P = 4.75 sin(-0.1) = -0.4742 and Q = 4.5125 - 4.75
    cos(0.1) = -0.2138, with derivatives 4.75 cos 0.1 and 5 sin(-0.1), 4.75 sin(-0.1) and 9.5 - 5 cos 0.1."""
    assert SMALL.answer[0] == vector("-0.1", "0.95")
    s, c = np.sin(-0.1), np.cos(0.1)
    j = [[4.75 * c, 5 * s], [4.75 * s, 9.5 - 5 * c]]
    change = np.linalg.solve(j, [-1 - 4.75 * s, -0.5 - 4.5125 + 4.75 * c])
    assert [float(v) for v in SMALL.answer[1]] == pytest.approx([-0.1 + change[0] / 2, 0.95 + change[1] / 2], abs=5e-5)


def test_one_line_in_closed_form():
    """v^4 + v^2 (2 (P r + Q x) - V^2) + (r^2 + x^2) (P^2 + Q^2) = 0, for a load P + jQ behind a line r + jx."""
    for numbers in ("0.03 0.2 0.9 0.4", "0.05 0.12 1.2 0.3", "0 0.2 1 0.5"):
        exact = vector(*numbers.split())
        d = replace(LINE, lines=((0, 1, *exact[:2]),), active=(-exact[2],), reactive=(-exact[3],))
        r, x, p, q = map(float, exact)
        b = 2 * (p * r + q * x) - 1
        v = sqrt((-b + sqrt(b * b - 4 * (r * r + x * x) * (p * p + q * q))) / 2)
        t, found = FLOW.converged(d, FLOW.start(d), 6)
        assert float(found) == pytest.approx(v, abs=1e-6)
        drop = complex(r, x) * (complex(-p, -q) / (v * np.exp(1j * float(t)))).conjugate()
        assert 1 + drop == pytest.approx(v * np.exp(1j * float(t)), abs=1e-5)


def test_textbook_iterates():
    """Saadat, example 6.10: the printed corrections of three undamped iterations, and the Jacobian at the start."""
    with mpmath.workdps(30):
        mismatch, derivatives = FLOW.linearised(SAADAT, FLOW.start(SAADAT))
    assert [float(m) for m in mismatch] == pytest.approx([-2.86, 1.4384, -0.22], abs=1e-4)
    printed = [[54.28, -33.28, 24.86], [-33.28, 66.04, -16.64], [-27.14, 16.64, 49.72]]
    assert [[round(float(v), 2) for v in row] for row in derivatives] == printed
    rows = given(FLOW, SAADAT, steps=3, places=12).answer
    states = [vector(0, 0, 1), *rows]
    moves = [[float(w - v) for v, w in zip(*pair, strict=True)] for pair in pairwise(states)]
    assert moves[0] == pytest.approx([-0.045263, -0.007718, -0.026548], abs=1e-6)
    assert moves[1] == pytest.approx([-0.001795, -0.000985, -0.001767], abs=1e-6)
    assert moves[2] == pytest.approx([-0.0000038, -0.0000024, -0.0000044], abs=1e-7)
    assert float(rows[2][2]) == pytest.approx(0.97168, abs=5e-6)
    angles = [float(mpmath.degrees(mpmath.mpf(v.numerator) / v.denominator)) for v in rows[2][:2]]
    assert angles == pytest.approx([-2.696, -0.4988], abs=5e-4)


class TestDishonest:
    """The altered method: the derivatives of the start are kept."""

    def test_by_hand(self):
        """J stays 5 I: from (-0.1, 0.95), half of (-1 + 0.47421) / 5 and of (-0.5 + 0.21377) / 5."""
        row = given(FLOW, replace(LINE, dishonest=True), steps=2, places=4).answer[1]
        assert row == vector("-0.1526", "0.9214")

    def test_statement_says_it(self):
        """Where the derivatives are taken."""
        text = FLOW.statement(given(FLOW, replace(LINE, dishonest=True), 2, 4), "final")
        assert "by t, v, in this order, in every step at the start (t = 0, v = 1). Solve" in text
        assert "by t, v, in this order, at t, v as they were before the step. Solve" in FLOW.statement(SMALL, "final")


def test_convergence_is_quadratic_and_damped_it_is_linear():
    """Undamped, the digits that are right double; with damping 1/2 a step halves the error; dishonest ones are slower
    than honest ones."""
    limit = FLOW.converged(LINE, FLOW.start(LINE), 30)

    def errors(**changes):
        rows = given(FLOW, replace(LINE, **changes), steps=5, places=36).answer
        return [float(max(abs(v - w) for v, w in zip(row, limit, strict=True))) for row in rows]

    full, damped, dishonest = errors(damping=Fraction(1)), errors(), errors(damping=Fraction(1), dishonest=True)
    assert all(late < 2 * early**2 for early, late in pairwise(full[:4]))
    assert damped[4] / damped[3] == pytest.approx(0.5, abs=0.03)
    assert dishonest[3] > 10 * full[3]


def network(instance):
    """Return the buses and lines as a statement's tables give them, and the damping."""
    text = FLOW.statement(instance, "trace")
    tables = [
        [row.split(" | ") for row in block.split("\n")[1:]] for block in text.split("\n\n") if " | " in block[:40]
    ]
    buses, lines = tables[:2]
    return buses, lines, re.search(r"The damping is (\S+)\.", text)[1]


@pytest.mark.parametrize("size", SIZES)
def test_complex_powers_give_the_trace(size):
    """From the printed network, bus admittances and the complex derivatives of V (Y V)* give every iterate (mpmath,
    sixty digits): the second way, with nothing in common but the rounding."""
    for instance in several(FLOW, size, each=20):
        buses, lines, damping = network(instance)
        places, n = instance.knobs["places"], len(buses)
        loads = [i for i, bus in enumerate(buses) if bus[4] != "not given"]
        others = range(1, n)
        with mpmath.workdps(60):
            y = mpmath.zeros(n)
            for tail, head, r, x in lines:
                i, j, z = int(tail), int(head), mpmath.mpc(r, x)
                y[i, i] += 1 / z
                y[j, j] += 1 / z
                y[i, j] -= 1 / z
                y[j, i] -= 1 / z

            def voltages(state, buses=buses, loads=loads, n=n):
                angles = [mpmath.mpf(0), *state[: n - 1]]
                sizes = [state[n - 1 + loads.index(i)] if i in loads else mpmath.mpf(buses[i][2]) for i in range(n)]
                return [size * mpmath.expj(angle) for size, angle in zip(sizes, angles, strict=True)]

            def currents(v, y=y, n=n):
                return [sum(y[i, j] * v[j] for j in range(n)) for i in range(n)]

            def step(state, at, y=y, buses=buses, loads=loads, others=others, damping=damping):
                power = [u * mpmath.conj(i) for u, i in zip(voltages(state), currents(voltages(state)), strict=True)]
                v = voltages(at)
                current = currents(v)

                def by_angle(i, k):
                    return 1j * v[i] * mpmath.conj((current[i] if i == k else 0) - y[i, k] * v[k])

                def by_size(i, k):
                    unit = v[k] / abs(v[k])
                    own = mpmath.conj(current[i]) * unit if i == k else 0
                    return v[i] * mpmath.conj(y[i, k] * unit) + own

                columns = [(by_angle, k) for k in others] + [(by_size, k) for k in loads]
                rows = [(mpmath.re, i, 3) for i in others] + [(mpmath.im, i, 4) for i in loads]
                j = mpmath.matrix([[part(f(i, k)) for f, k in columns] for part, i, _ in rows])
                m = mpmath.matrix([mpmath.mpf(buses[i][cell]) - part(power[i]) for part, i, cell in rows])
                change = mpmath.lu_solve(j, m)
                return [w + mpmath.mpf(damping) * change[k] for k, w in enumerate(state)]

            start = [mpmath.mpf(v.numerator) / v.denominator for v in FLOW.start(instance.data)]
            x = start
            for row in instance.answer:
                new = step(x, start if instance.variant == "perturbed" else x)
                assert tuple(Fraction(int(mpmath.nint(w * 10**places)), 10**places) for w in new) == row
                x = [mpmath.mpf(v.numerator) / v.denominator for v in row]


def sine(x):
    """Return the sine of a decimal (its series)."""
    total = term = x
    k = 1
    while abs(term) > Decimal(10) ** -78:
        term *= -x * x / ((k + 1) * (k + 2))
        total, k = total + term, k + 2
    return total


def cosine(x):
    """Return the cosine of a decimal (its series)."""
    total = term = Decimal(1)
    k = 0
    while abs(term) > Decimal(10) ** -78:
        term *= -x * x / ((k + 1) * (k + 2))
        total, k = total + term, k + 2
    return total


def test_the_written_formulas_give_the_powers():
    """The formulas for a line's powers as they stand in the statement, in decimals, give the mismatch that a step
    starts from, and their difference quotients the derivatives."""
    for size in ("s", "l", "xl"):
        instance = drawn(FLOW, size, 1)
        buses, lines, _ = network(instance)
        text = FLOW.statement(instance, "trace")
        formulas = [text.split(f"\n{kind} power = ")[1].split(",\n")[0] for kind in ("active", "reactive")]
        short = {name: text.split(f"{name} = ")[1].split(",")[0].split(" and ")[0] for name in ("g", "b")}
        labels = FLOW.shape(instance, "final").labels(instance.names)
        loads = sum(bus[4] != "not given" for bus in buses)

        def computed(x, buses=buses, lines=lines, formulas=formulas, short=short, labels=labels, loads=loads):
            known = dict(zip(labels, x, strict=True))
            cells = [[known.get(cell) or Decimal(cell) for cell in (bus[1], bus[2])] for bus in buses]
            total = [[Decimal(0), Decimal(0)] for _ in buses]
            for tail, head, r, reactance in lines:
                parts = {
                    name: evaluated(formula, {"r": Decimal(r), "x": Decimal(reactance)})
                    for name, formula in short.items()
                }
                for i, j in ((int(tail), int(head)), (int(head), int(tail))):
                    at = {**parts, "D": cells[i][0] - cells[j][0], "U_i": cells[i][1], "U_j": cells[j][1]}
                    for k, formula in enumerate(formulas):
                        total[i][k] += evaluated(formula, at, cos=cosine, sin=sine)
            return [t[0] for t in total[1:]] + [t[1] for t in total[1 : 1 + loads]]

        with localcontext(PRECISE), mpmath.workdps(70):
            x = [number(v) for v in instance.answer[0]]
            mismatch, derivatives = FLOW.linearised(instance.data, instance.answer[0])
            wanted = [Decimal(bus[3]) for bus in buses[1:]] + [Decimal(bus[4]) for bus in buses[1 : 1 + loads]]
            for w, p, m in zip(wanted, computed(x), mismatch, strict=True):
                assert abs(w - p - Decimal(mpmath.nstr(m, 60))) < Decimal("1e-50")
            h = Decimal("1e-20")
            for k in range(len(x)):
                up, down = ([v + s * h * (j == k) for j, v in enumerate(x)] for s in (1, -1))
                slopes = [(a - b) / (2 * h) for a, b in zip(computed(up), computed(down), strict=True)]
                for row, slope in zip(derivatives, slopes, strict=True):
                    assert abs(slope - Decimal(mpmath.nstr(row[k], 60))) < Decimal("1e-35")


@pytest.mark.parametrize("size", SIZES)
def test_the_limit_is_the_power_flow(size):
    """The solver of the optimal power flow families finds the same angles and voltages."""
    for instance in several(FLOW, size, "fresh"):
        d, places, n = instance.data, instance.knobs["places"], len(instance.data.active) + 1
        loads = len(d.reactive)
        found = powerflow.solve(
            n,
            [powerflow.branch(i, j, float(r), float(x), 0.0) for i, j, r, x in d.lines],
            [0.0, *map(float, d.active)],
            [0.0, *map(float, d.reactive), *[0.0] * (n - 1 - loads)],
            {0: float(d.reference), **{1 + loads + k: float(v) for k, v in enumerate(d.held)}},
            0,
        )
        expected = [found.angle[i] for i in range(1, n)] + [found.v[i] for i in range(1, 1 + loads)]
        assert [float(v) for v in FLOW.limit(instance)] == pytest.approx(
            list(map(float, expected)), abs=0.51 / 10**places
        )


def test_the_damped_iterates_tend_to_the_limit():
    """What `converged` finds without damping is what the stated steps tend to, damped or with the derivatives of the
    start."""
    for size in ("xs", "m", "xl"):
        for instance in several(FLOW, size, each=2):
            fine = FLOW.trace(instance.data, 60, unrounded_to(12))[-1]
            near = [float(v) for v in FLOW.limit(instance)]
            assert near == pytest.approx([float(v) for v in fine], abs=0.51 / 10 ** instance.knobs["places"])


def unrounded_to(places):
    """Return a rounding to many decimals (exact sums would grow for ever)."""
    return lambda value: Fraction(round(value * 10**places), 10**places)


def test_ties_are_told_from_near_ties():
    """At the start all is rational: half of -0.0125 / 5 is -0.00125, a tie at 4 decimals: it goes to the even digit."""
    d = replace(LINE, active=vector("-0.0125"), reactive=vector("-0.0375"))
    assert FLOW.step(d, FLOW.start(d), unrounded) == vector("-0.00125", "0.99625")
    assert given(FLOW, d, steps=1, places=4).answer[0] == vector("-0.0012", "0.9962")
    just_more = replace(d, active=(Fraction("-0.0125") - Fraction(1, 10**40),))
    assert given(FLOW, just_more, steps=1, places=4).answer[0] == vector("-0.0013", "0.9962")


def test_statement_holds_every_number():
    """Buses with their given quantities, lines, formulas, damping, start and the order of equations and unknowns."""
    text = FLOW.statement(given(FLOW, SAADAT, steps=2, places=4), "trace")
    for part in (
        "\n0 | 0 | 1.05 | not given | not given\n1 | t_1 | v | -4 | -2.5\n2 | t_2 | 1.04 | 2 | not given\n",
        "\n0 | 1 | 0.02 | 0.04\n0 | 2 | 0.01 | 0.03\n1 | 2 | 0.0125 | 0.025\n",
        "active power = g * U_i^2 - U_i * U_j * (g * cos(D) - b * sin(D)),",
        *("The damping is 1.", "Start: t_1 = 0, t_2 = 0, v = 1."),
        "for the active power of bus 1, the active power of bus 2, the reactive power of bus 1, in this order, take",
        "The new t_1, t_2, v are the old ones plus 1 times the numbers of s, in the same order.",
    ):
        assert part in text


def test_a_full_step_is_a_local_error():
    """Without the damping the first step is (-0.2, 0.9); the damped one from there is propagated."""
    following = given(FLOW, replace(LINE, damping=Fraction(1)), 1, 4).answer[0]
    assert following == vector("-0.2", "0.9")
    own = FLOW.step(LINE, following, unrounded_to(4))
    assert [w.label for w in FLOW.written(SMALL, "trace", (following, own))] == ["local"] * 2 + ["propagated"] * 2


def test_nothing_follows_from_no_voltage():
    """At v = 0 the equations are singular: a wrong iterate, no crash."""
    rows = (vector("-0.1", 0), vector("-0.2", "0.5"))
    assert [w.label for w in FLOW.written(SMALL, "trace", rows)] == ["right", "local", "local", "local"]


@sampled(st.lists(st.tuples(HOSTILE, HOSTILE), min_size=2, max_size=2))
@settings(max_examples=30, deadline=None)
def test_any_numbers_are_judged(rows):
    """Huge, negative and long fractions get a label each."""
    assert len(FLOW.written(SMALL, "trace", tuple(rows))) == 4


def test_an_instance_is_stored_and_read_back():
    """Data (lines, voltages, powers and damping as fractions) and trace survive JSON."""
    for variant in ("fresh", "perturbed"):
        instance = drawn(FLOW, "xl", 5, variant)
        assert FLOW.load(FLOW.dump(instance)) == instance
