"""The explicit Euler method: slopes at the values before the step."""

from dataclasses import replace
from fractions import Fraction
from math import exp

import numpy as np
import pytest
from hypothesis import given as sampled
from hypothesis import settings
from hypothesis import strategies as st

from solvers import registry
from solvers.numerics.euler import EulerData
from solvers.problem import SIZES
from tests.solvers.numerics.handmade import HOSTILE, given, nearest, unrounded, vector
from tests.solvers.numerics.second import drawn, evaluated, follow, formulas, number, several

EULER = registry.get("euler")
TENTH = Fraction(1, 10)
# y_1' = y_2, y_2' = -y_1 y_2 + 1 from (1, 2)
PAIR = EulerData(rates=(((1, (0, 1)),), ((-1, (1, 1)), (1, (0, 0)))), start=(Fraction(1), Fraction(2)), step_size=TENTH)


def test_two_unknowns_by_hand():
    """(1 + 0.2, 2 - 0.1), then (1.2 + 0.19, 1.9 + 0.1 (1 - 2.28)): the new y_1 is not used for y_2."""
    assert EULER.trace(PAIR, 2, unrounded) == (vector("1.2", "1.9"), vector("1.39", "1.772"))


def test_a_linear_equation_is_a_power():
    """y' = -2 y: y_k = (1 - 2 h)^k; a linear system is a power of I + h A, as numpy multiplies it."""
    decay = EulerData(rates=(((-2, (1,)),),), start=(Fraction(1),), step_size=TENTH)
    assert EULER.trace(decay, 5, unrounded) == tuple((Fraction(4, 5) ** k,) for k in range(1, 6))
    turning = EulerData(
        rates=(((-1, (1, 0)), (3, (0, 1))), ((-2, (1, 0)), (1, (0, 1)))),
        start=(Fraction(1), Fraction(-1)),
        step_size=Fraction(1, 20),
    )
    power = np.linalg.matrix_power(np.eye(2) + 0.05 * np.array([[-1, 3], [-2, 1]]), 6)
    assert [float(v) for v in EULER.trace(turning, 6, unrounded)[-1]] == pytest.approx(list(power @ [1, -1]))


def test_textbook_example():
    """Burden and Faires, section 5.2, example 1: y' = y - t^2 + 1, y(0) = 0.5, h = 0.2; the printed w_1 to w_10."""
    (known,) = EULER.famous()
    printed = [0.8, 1.152, 1.5504, 1.98848, 2.458176, 2.9498112, 3.4517734, 3.9501281, 4.4281538, 4.8657845]
    rows = EULER.trace(known.data, 10, unrounded)
    assert [float(y) for y, _ in rows] == pytest.approx(printed, abs=5e-8)
    assert [t for _, t in rows] == [Fraction(k, 5) for k in range(1, 11)]
    assert "y_1' = y_1 - y_2^2 + 1\ny_2' = 1\n" in EULER.statement(given(EULER, known.data, 4, 4), "final")


def error(ahead, steps):
    """Return the error at t = 1 of y' = y - t^2 + 1, whose solution is (t + 1)^2 - e^t / 2."""
    (known,) = EULER.famous()
    d = replace(known.data, step_size=Fraction(1, steps), ahead=ahead)
    return abs(float(given(EULER, d, steps=steps, places=12).answer[-1][0]) - (4 - exp(1) / 2))


def test_it_follows_the_solution():
    """Halving the step halves the error (order one); with slopes half a step ahead it is quartered (order two)."""
    assert error(Fraction(0), 40) / error(Fraction(0), 80) == pytest.approx(2, abs=0.1)
    assert error(Fraction(1, 2), 40) / error(Fraction(1, 2), 80) == pytest.approx(4, abs=0.2)


class TestAhead:
    """The altered method: slopes are taken at a trial step."""

    def test_by_hand(self):
        """Half a step to (1.1, 1.95): slopes there are 1.95 and 1 - 2.145."""
        assert EULER.trace(replace(PAIR, ahead=Fraction(1, 2)), 1, unrounded) == (vector("1.195", "1.8855"),)

    def test_statement_says_it(self):
        """Where the trial step leads, that it is not rounded, and what its slopes are used for."""
        text = EULER.statement(given(EULER, replace(PAIR, ahead=Fraction(1, 2)), 2, 4), "final")
        for part in (
            "let z_i be y_i + 0.5 * 0.1 * f_i (not rounded)",
            "let k_i be the right-hand side of the equation for y_i' with y_j replaced by z_j for every j",
            "the new y_i is y_i + 0.1 * k_i, with y_i as it was before the step",
        ):
            assert part in text
        assert "z_i" not in EULER.statement(given(EULER, PAIR, 2, 4), "final")
        single = EulerData(rates=(((-2, (1,)),),), start=(Fraction(1),), step_size=TENTH, ahead=Fraction(1, 2))
        assert "let k be the right-hand side of the equation for y' with y replaced by z" in (
            EULER.statement(given(EULER, single, 2, 4), "final")
        )


@pytest.mark.parametrize("size", SIZES)
def test_the_written_equations_give_the_trace(size):
    """Right-hand sides and step size as they stand in the statement, computed in decimals, give every iterate."""
    for instance in several(EULER, size):
        text = EULER.statement(instance, "trace")
        labels = EULER.shape(instance, "trace").labels(instance.names)
        right = [formula for name, formula in formulas(text).items() if name.endswith("'")]
        h = number(Fraction(text.split("with step size h = ")[1].split("\n")[0].rstrip(".")))
        ahead = number(instance.data.ahead)
        assert len(right) == len(labels)
        assert (ahead == 0) == (instance.variant == "fresh")

        def step(y, rounded, labels=labels, right=right, h=h, ahead=ahead):
            slopes = [evaluated(formula, dict(zip(labels, y, strict=True))) for formula in right]
            trial = [v + ahead * h * s for v, s in zip(y, slopes, strict=True)]
            slopes = [evaluated(formula, dict(zip(labels, trial, strict=True))) for formula in right]
            return [rounded(v + h * s) for v, s in zip(y, slopes, strict=True)]

        follow(instance, EULER.start(instance.data), step)


@pytest.mark.parametrize("size", SIZES)
def test_a_limit_is_where_nothing_moves(size):
    """Where the iterates come to rest, every right-hand side is zero there."""
    at_rest = 0
    for instance in several(EULER, size, "fresh"):
        fine = EULER.converged(instance.data, instance.answer[-1], 9)
        if fine is not None:
            assert EULER.limit(instance) == tuple(nearest(v, instance.knobs["places"]) for v in fine)
            at_rest += 1
            labels = EULER.shape(instance, "trace").labels(instance.names)
            known = dict(zip(labels, map(float, fine), strict=True))
            for name, formula in formulas(EULER.statement(instance, "trace")).items():
                if name.endswith("'"):
                    assert evaluated(formula, known) == pytest.approx(0, abs=1e-6)
    assert at_rest < 25  # a solution of its own: not every one has a limit


def test_statement_holds_every_number():
    """Equations, step size, start, and that components are replaced together."""
    text = EULER.statement(given(EULER, PAIR, steps=2, places=4), "trace")
    for part in (
        *("y_1' = y_2\n", "y_2' = -y_1 * y_2 + 1\n", "step size h = 0.1.", "Start: y_1 = 1, y_2 = 2."),
        "the new y_i is y_i + 0.1 * f_i: no new component uses another new component",
    ):
        assert part in text


def test_using_a_new_component_too_early_is_a_local_error():
    """2 + 0.1 (1 - 1.2 * 2) = 1.86 in place of 1.9; what follows from it is propagated."""
    instance = given(EULER, PAIR, steps=2, places=4)
    rows = (vector("1.2", "1.86"), vector("1.386", "1.7368"))  # 1.86 + 0.1 (1 - 1.2 * 1.86)
    assert [w.label for w in EULER.written(instance, "trace", rows)] == ["right", "local", "propagated", "propagated"]


@sampled(st.lists(st.tuples(HOSTILE, HOSTILE), min_size=3, max_size=3))
@settings(max_examples=40, deadline=None)
def test_any_numbers_are_judged(rows):
    """Huge, negative and long fractions get a label each."""
    assert len(EULER.written(given(EULER, PAIR, steps=3, places=4), "trace", tuple(rows))) == 6


def test_an_instance_is_stored_and_read_back():
    """Data (terms, start and step size as fractions) and trace survive JSON."""
    for variant in ("fresh", "perturbed"):
        instance = drawn(EULER, "xl", 5, variant)
        assert EULER.load(EULER.dump(instance)) == instance
