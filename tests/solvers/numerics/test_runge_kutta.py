"""The classical Runge-Kutta method: four stages, none of them rounded."""

from dataclasses import replace
from fractions import Fraction
from math import exp

import numpy as np
import pytest
from hypothesis import given as sampled
from hypothesis import settings
from hypothesis import strategies as st

from solvers import registry
from solvers.numerics.runge_kutta import CLASSICAL, OTHERS, RungeKuttaData
from solvers.problem import SIZES
from tests.solvers.numerics.handmade import HOSTILE, given, nearest, unrounded, vector
from tests.solvers.numerics.second import drawn, evaluated, follow, formulas, number, several

KUTTA = registry.get("runge_kutta")
HALF = Fraction(1, 2)
# y' = -2 y from 1: with h = 1/2, k1 = -2, k2 = -2 (1 - 1/2) = -1, k3 = -2 (1 - 1/4) = -3/2, k4 = -2 (1 - 3/4) = -1/2.
DECAY = RungeKuttaData(rates=(((-2, (1,)),),), start=(Fraction(1),), step_size=HALF)
# y_1' = y_1 y_2, y_2' = -y_1^2 + 1 from (1, 0), h = 1
PAIR = RungeKuttaData(
    rates=(((1, (1, 1)),), ((-1, (2, 0)), (1, (0, 0)))), start=(Fraction(1), Fraction(0)), step_size=Fraction(1)
)


def test_one_equation_by_hand():
    """1 + (-2 - 2 - 3 - 1/2) / 12 = 3/8, which each step multiplies by again."""
    assert KUTTA.trace(DECAY, 3, unrounded) == (vector("3/8"), vector("9/64"), vector("27/512"))


def test_two_equations_by_hand():
    """From (2, 1): k1 = (2, -3); k2 at (3, -1/2) = (-3/2, -8); k3 at (5/4, -3) = (-15/4, -9/16);
    k4 at (-7/4, 7/16) = (-49/64, -33/16)."""
    start = replace(PAIR, start=vector(2, 1))
    first = 2 + (2 + 2 * Fraction(-3, 2) + 2 * Fraction(-15, 4) + Fraction(-49, 64)) / 6
    second = 1 + (-3 + 2 * Fraction(-8) + 2 * Fraction(-9, 16) + Fraction(-33, 16)) / 6
    assert KUTTA.trace(start, 1, unrounded) == ((first, second),)
    assert KUTTA.trace(PAIR, 1, unrounded) == (vector(1, 0),)  # an equilibrium


def test_a_linear_system_is_a_power():
    """One step multiplies by I + hA + (hA)^2/2 + (hA)^3/6 + (hA)^4/24, as numpy computes it."""
    turning = RungeKuttaData(
        rates=(((-1, (1, 0)), (3, (0, 1))), ((-2, (1, 0)), (1, (0, 1)))),
        start=(Fraction(1), Fraction(-1)),
        step_size=Fraction(1, 5),
    )
    a = np.array([[-1, 3], [-2, 1]]) / 5
    step = np.eye(2) + a + a @ a / 2 + a @ a @ a / 6 + a @ a @ a @ a / 24
    rows = KUTTA.trace(turning, 6, unrounded)
    assert [float(v) for v in rows[-1]] == pytest.approx(list(np.linalg.matrix_power(step, 6) @ [1, -1]))


def test_a_quadrature_is_simpsons():
    """y' = t^3 (t is y_2) from 0: Simpson's rule is exact for cubics, so y is t^4 / 4."""
    cubic = RungeKuttaData(
        rates=(((1, (0, 3)),), ((1, (0, 0)),)), start=(Fraction(0), Fraction(0)), step_size=Fraction(1, 3)
    )
    assert KUTTA.trace(cubic, 6, unrounded)[-1] == (4, 2)


def test_textbook_example():
    """Burden and Faires, section 5.4, example 3: y' = y - t^2 + 1, y(0) = 0.5, h = 0.2; the printed w_1 to w_10."""
    (known,) = KUTTA.famous()
    printed = [
        *(0.8292933, 1.2140762, 1.6489220, 2.1272027, 2.6408227),
        *(3.1798942, 3.7323401, 4.2834095, 4.8150857, 5.3053630),
    ]
    rows = KUTTA.trace(known.data, 10, unrounded)
    assert [float(y) for y, _ in rows] == pytest.approx(printed, abs=1.01e-7)
    assert [t for _, t in rows] == [Fraction(k, 5) for k in range(1, 11)]


def error(weights, steps):
    """Return the error at t = 1 of y' = y - t^2 + 1, whose solution is (t + 1)^2 - e^t / 2."""
    (known,) = KUTTA.famous()
    d = replace(known.data, step_size=Fraction(1, steps), weights=weights)
    return abs(float(given(KUTTA, d, steps=steps, places=14).answer[-1][0]) - (4 - exp(1) / 2))


def test_it_follows_the_solution():
    """Halving the step divides the error by sixteen (order four); by the other weights it only halves it."""
    assert error(CLASSICAL, 10) / error(CLASSICAL, 20) == pytest.approx(16, abs=1)
    for weights in OTHERS:
        assert error(weights, 40) / error(weights, 80) == pytest.approx(2, abs=0.1)


class TestWeights:
    """The altered method: the same stages count otherwise."""

    def test_by_hand(self):
        """1 + (-2 - 1 - 3/2 - 3/2) / 12 = 1/2."""
        assert KUTTA.trace(replace(DECAY, weights=(1, 1, 1, 3)), 1, unrounded) == (vector("1/2"),)

    def test_statement_says_it(self):
        """The weights, their sum, and that the method is not the classical one."""
        text = KUTTA.statement(given(KUTTA, replace(PAIR, weights=(1, 2, 1, 2)), 2, 4), "final")
        assert "with the stages of the classical one, but other weights" in text
        assert "The new y is y + h * (k1 + 2 * k2 + k3 + 2 * k4) / 6." in text
        plain = KUTTA.statement(given(KUTTA, PAIR, 2, 4), "final")
        assert "The new y is y + h * (k1 + 2 * k2 + 2 * k3 + k4) / 6." in plain
        assert "other weights" not in plain


@pytest.mark.parametrize("size", SIZES)
def test_the_written_equations_give_the_trace(size):
    """Right-hand sides, stages and weights as they stand in the statement, computed in decimals, give every iterate."""
    for instance in several(KUTTA, size):
        text = KUTTA.statement(instance, "trace")
        labels = KUTTA.shape(instance, "trace").labels(instance.names)
        written = formulas(text)
        right = [formula for name, formula in written.items() if name.endswith("'")]
        h = number(Fraction(text.split("and h = ")[1].split(",")[0]))
        new = text.split("The new y is ")[1].split(". The stages")[0]
        assert len(right) == len(labels)
        assert f"with step size h = {h}." in text
        assert ("(k1 + 2 * k2 + 2 * k3 + k4) / 6" in new) == (instance.variant == "fresh")

        def step(y, rounded, labels=labels, written=written, right=right, h=h, new=new):
            def slopes(at):
                return np.array([evaluated(formula, dict(zip(labels, at, strict=True))) for formula in right])

            known = {"h": h, "y": np.array(y)}
            for stage in ("k1", "k2", "k3", "k4"):
                known[stage] = evaluated(written[stage], known, F=slopes)
            return [rounded(v) for v in evaluated(new, known)]

        follow(instance, KUTTA.start(instance.data), step)


@pytest.mark.parametrize("size", SIZES)
def test_solutions_stay_bounded(size):
    """No value that is asked for is large, and where the iterates come to rest every right-hand side is zero."""
    for instance in several(KUTTA, size, "fresh"):
        assert max(abs(v) for row in instance.answer for v in row) < 20
        fine = KUTTA.converged(instance.data, instance.answer[-1], 9)
        if fine is not None:
            assert KUTTA.limit(instance) == tuple(nearest(v, instance.knobs["places"]) for v in fine)
            labels = KUTTA.shape(instance, "trace").labels(instance.names)
            known = dict(zip(labels, map(float, fine), strict=True))
            for name, formula in formulas(KUTTA.statement(instance, "trace")).items():
                if name.endswith("'"):
                    assert evaluated(formula, known) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("size", ["m", "xl"])
def test_products_and_couplings_keep_the_sum_of_squares(size):
    """Of y . F(y), what is of degree two or three in y comes from the damping alone: -(sum of damping y_i^2)."""
    for instance in several(KUTTA, size, "fresh"):
        d = instance.data
        totals = {}
        for i, rate in enumerate(d.rates):
            for c, exponents in rate:
                product = tuple(e + (j == i) for j, e in enumerate(exponents))
                totals[product] = totals.get(product, 0) + c
        for product, c in totals.items():
            if sum(product) == 2:
                assert (c < 0) if 2 in product else c == 0
            elif sum(product) == 3:
                assert c == 0


def test_statement_holds_every_number():
    """Equations, step size, start, the stages in their order and what F stands for."""
    text = KUTTA.statement(given(KUTTA, PAIR, steps=2, places=4), "trace")
    for part in (
        *("y_1' = y_1 * y_2\n", "y_2' = -y_1^2 + 1\n", "step size h = 1.", "Start: y_1 = 1, y_2 = 0."),
        "F(y) stands for the vector of the 2 right-hand sides, y for the vector of y_1 to y_2.",
        "k1 = F(y)\nk2 = F(y + h * k1 / 2)\nk3 = F(y + h * k2 / 2)\nk4 = F(y + h * k3)\n",
        "The stages k1 to k4 are not rounded.",
    ):
        assert part in text
    assert "F(y) stands for the right-hand side of the equation." in KUTTA.statement(given(KUTTA, DECAY, 2, 4), "final")


def test_leaving_out_a_stage_is_a_local_error():
    """Three stages give 1 + (-2 - 2 - 3) / 10 = 0.3 in place of 3/8; 0.3 * 3/8 = 0.1125 follows from it."""
    instance = given(KUTTA, DECAY, steps=2, places=4)
    assert instance.answer == (vector("0.375"), vector("0.1406"))  # 0.140625
    rows = (vector("0.3"), vector("0.1125"))
    assert [w.label for w in KUTTA.written(instance, "trace", rows)] == ["local", "propagated"]


@sampled(st.lists(st.tuples(HOSTILE, HOSTILE), min_size=3, max_size=3))
@settings(max_examples=40, deadline=None)
def test_any_numbers_are_judged(rows):
    """Huge, negative and long fractions get a label each."""
    assert len(KUTTA.written(given(KUTTA, PAIR, steps=3, places=4), "trace", tuple(rows))) == 6


def test_an_instance_is_stored_and_read_back():
    """Data (terms, start, step size and weights) and trace survive JSON."""
    for variant in ("fresh", "perturbed"):
        instance = drawn(KUTTA, "xl", 5, variant)
        assert KUTTA.load(KUTTA.dump(instance)) == instance
