"""The secant method: the state is the last two points."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given as sampled
from hypothesis import settings
from hypothesis import strategies as st

from solvers import registry
from solvers.numerics.secant import SecantData
from solvers.problem import SIZES
from tests.solvers.numerics.handmade import HOSTILE, given, nearest, unrounded, vector
from tests.solvers.numerics.second import drawn, evaluated, follow, formulas, several

SECANT = registry.get("secant")
ROOT = SecantData(coefficients=(1, 0, -6), start=(3, 2))  # x^2 = 6


def test_square_root_of_six_by_hand():
    """For a square, the new point is (u v + 6) / (u + v): 12/5, then (24/5 + 6)/(22/5) = 27/11."""
    assert SECANT.trace(ROOT, 2, unrounded) == (vector(2, "12/5"), vector("12/5", "27/11"))
    assert SECANT.converged(ROOT, SECANT.start(ROOT), 9) == vector("2.449489743", "2.449489743")


def test_textbook_example():
    """Burden and Faires, section 2.3, exercises: p_3 = 2.45454 from p_0 = 3 and p_1 = 2."""
    (known,) = SECANT.famous()
    assert float(SECANT.trace(known.data, 2, unrounded)[-1][1]) == pytest.approx(2.45454, abs=1e-5)
    found, _ = SECANT.instance(known.size, 0, 0, variant="famous")
    assert found.answer == (vector(2, "2.4"), vector("2.4", "2.455"))


def test_equal_points_stay_and_equal_values_are_undefined():
    """Where u = v nothing changes, as stated; where only f(u) = f(v), there is no next point."""
    assert SECANT.step(ROOT, vector(5, 5), unrounded) == vector(5, 5)
    with pytest.raises(ArithmeticError):
        SECANT.step(ROOT, vector(-3, 3), unrounded)


class TestShortened:
    """The altered method: only a share of each step is made."""

    def test_by_hand(self):
        """Half of the step from 2 to 12/5 is 11/5; from there (22/5 + 6)/(21/5) = 52/21 is half reached."""
        assert SECANT.trace(replace(ROOT, relaxation=Fraction(1, 2)), 2, unrounded) == (
            vector(2, "11/5"),
            vector("11/5", (Fraction(11, 5) + Fraction(52, 21)) / 2),
        )

    def test_statement_says_it(self):
        """The share stands before the step; without it the step stands alone."""
        text = SECANT.statement(given(SECANT, replace(ROOT, relaxation=Fraction(1, 2)), 2, 4), "final")
        assert "the new v is v - 0.5 * f(v) * (v - u) / (f(v) - f(u)), with u and v as they were before" in text
        assert "the new v is v - f(v) * (v - u) / (f(v) - f(u)), with" in (
            SECANT.statement(given(SECANT, ROOT, 2, 4), "final")
        )


@pytest.mark.parametrize("size", SIZES)
def test_the_written_formula_gives_the_trace(size):
    """Function and rule as they stand in the statement, computed in decimals, give every stored iterate."""
    for instance in several(SECANT, size):
        text = SECANT.statement(instance, "trace")
        formula, rule = formulas(text)["f(x)"], text.split("the new v is ")[1].split(", with")[0]

        def step(pair, rounded, formula=formula, rule=rule):
            known = dict(zip("uv", pair, strict=True))
            return [pair[1], rounded(evaluated(rule, known, f=lambda x: evaluated(formula, {"x": x})))]

        follow(instance, SECANT.start(instance.data), step)


@pytest.mark.parametrize("size", SIZES)
def test_trace_agrees_with_the_line_through_two_points(size):
    """(u f(v) - v f(u)) / (f(v) - f(u)), powers summed from the lowest, gives the trace; numpy finds the limit."""
    for instance in several(SECANT, size, "fresh"):
        d, places = instance.data, instance.knobs["places"]

        def f(x, d=d):
            return sum(c * x**k for k, c in enumerate(reversed(d.coefficients)))

        u, v = map(Fraction, d.start)
        for row in instance.answer:
            u, v = v, nearest((u * f(v) - v * f(u)) / (f(v) - f(u)), places)
            assert (u, v) == row
        limit = SECANT.limit(instance)
        roots = [r.real for r in np.roots(d.coefficients) if abs(r.imag) < 1e-6]
        assert limit[0] == limit[1]
        assert min(abs(r - float(limit[0])) for r in roots) < 1e-3


def test_most_draws_end_away_from_the_root():
    """The newest point alone is visibly not the root at nine of ten draws: "the root" is no answer."""
    for size in SIZES:
        near = 0
        for instance in several(SECANT, size, "fresh"):
            near += abs(instance.answer[-1][1] - SECANT.limit(instance)[1]) * 10 ** instance.knobs["places"] < 10
        assert near <= 5, size


def test_statement_holds_every_number():
    """Function, both starting points, which one is older, and where each goes."""
    text = SECANT.statement(given(SECANT, ROOT, steps=2, places=4), "trace")
    for part in (
        *("f(x) = x^2 - 6\n", "Start: u = 3, v = 2.", "u is the older one, v the newer one"),
        *("the new u is v as it was before the step", "Should u equal v, both stay as they are"),
    ):
        assert part in text


def test_forgetting_to_move_the_older_point_is_a_local_error():
    """(3, 2.4) in place of (2, 2.4); what follows from it, (2.4, 2.4444), is propagated where it differs."""
    instance = given(SECANT, ROOT, steps=2, places=4)
    rows = (vector(3, "2.4"), vector("2.4", "2.4444"))  # (3 * 2.4 + 6)/5.4
    assert [w.label for w in SECANT.written(instance, "trace", rows)] == ["local", "right", "restored", "propagated"]


@sampled(st.lists(st.tuples(HOSTILE, HOSTILE), min_size=2, max_size=2))
@settings(max_examples=40, deadline=None)
def test_any_numbers_are_judged(rows):
    """Huge, negative, equal and long numbers get a label each."""
    assert len(SECANT.written(given(SECANT, ROOT, steps=2, places=4), "trace", tuple(rows))) == 4


def test_an_instance_is_stored_and_read_back():
    """Data (with the share as a fraction) and trace survive JSON."""
    for variant in ("fresh", "perturbed"):
        instance = drawn(SECANT, "l", 5, variant)
        assert SECANT.load(SECANT.dump(instance)) == instance
