"""Bisection: the half of the interval on which the sign changes."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given as sampled
from hypothesis import settings
from hypothesis import strategies as st

from solvers import registry
from solvers.numerics.bisection import BisectionData
from solvers.problem import SIZES
from tests.solvers.numerics.handmade import HOSTILE, given, unrounded, vector
from tests.solvers.numerics.second import drawn, evaluated, follow, formulas, number, several

BISECTION = registry.get("bisection")
ROOT = BisectionData(coefficients=(1, 0, -2), start=(1, 2))  # x^2 = 2


def test_square_root_of_two_by_hand():
    """1.5^2 > 2, 1.25^2 < 2, 1.375^2 < 2, 1.4375^2 > 2."""
    assert BISECTION.trace(ROOT, 4, unrounded) == (
        vector(1, "1.5"),
        vector("1.25", "1.5"),
        vector("1.375", "1.5"),
        vector("1.375", "1.4375"),
    )
    assert BISECTION.converged(ROOT, BISECTION.start(ROOT), 8) == vector("1.41421356", "1.41421356")


def test_a_falling_function_keeps_its_change_of_sign():
    """With 2 - x^2, which is positive at the lower end, the same halves are kept."""
    falling = replace(ROOT, coefficients=(-1, 0, 2))
    assert BISECTION.trace(falling, 4, unrounded) == BISECTION.trace(ROOT, 4, unrounded)


def test_a_root_that_is_hit_becomes_the_upper_end():
    """x^2 = 9/4, times four, on [1, 2]: f(1.5) = 0, so the product is 0: v becomes 1.5 and the lower end follows it."""
    hit = BisectionData(coefficients=(4, 0, -9), start=(1, 2))
    assert BISECTION.trace(hit, 2, unrounded) == (vector(1, "1.5"), vector("1.25", "1.5"))


def test_the_midpoint_is_rounded_before_its_sign_is_taken():
    """1.375 at 2 decimals is a tie that goes to 1.38; (1.38 + 1.5) / 2 = 1.44; (1.38 + 1.44) / 2 = 1.41."""
    assert given(BISECTION, ROOT, steps=5, places=2).answer[2:] == (
        vector("1.38", "1.5"),
        vector("1.38", "1.44"),
        vector("1.41", "1.44"),
    )


def test_textbook_example():
    """Burden and Faires, section 2.1, example 1: the intervals of the printed table, and the root 1.365230013."""
    (known,) = BISECTION.famous()
    rows = BISECTION.trace(known.data, 13, unrounded)
    printed = {2: (1.25, 1.5), 4: (1.3125, 1.375), 8: (1.36328125, 1.3671875), 12: (1.364990235, 1.365234375)}
    for k, values in printed.items():
        assert [float(v) for v in rows[k - 1]] == pytest.approx(values, abs=1e-9)
    assert BISECTION.converged(known.data, BISECTION.start(known.data), 9) == vector("1.365230013", "1.365230013")
    found, _ = BISECTION.instance(known.size, 0, 0, variant="famous")
    assert found.answer[-1] == vector("1.3438", "1.375")


class TestOtherCut:
    """The altered method: the interval is cut elsewhere."""

    def test_by_hand(self):
        """At two fifths: 1.4 (1.96 < 2), then 1.4 + 0.4 * 0.6 = 1.64, then 1.4 + 0.4 * 0.24 = 1.496."""
        assert BISECTION.trace(replace(ROOT, cut=Fraction(2, 5)), 3, unrounded) == (
            vector("1.4", 2),
            vector("1.4", "1.64"),
            vector("1.4", "1.496"),
        )

    def test_statement_says_it(self):
        """The share, and that it is not the middle; the plain method speaks of the sum of the ends."""
        text = BISECTION.statement(given(BISECTION, replace(ROOT, cut=Fraction(2, 5)), 3, 4), "final")
        assert "let m be u + 0.4 * (v - u) (not the middle), rounded at once" in text
        assert "let m be (u + v) / 2, rounded at once" in BISECTION.statement(given(BISECTION, ROOT, 3, 4), "final")


@pytest.mark.parametrize("size", SIZES)
def test_the_written_rule_gives_the_trace(size):
    """Formula and cut as they stand in the statement, computed in decimals, give every stored iterate."""
    for instance in several(BISECTION, size):
        text = BISECTION.statement(instance, "trace")
        formula = formulas(text)["f(x)"]
        cut = text.split("let m be ")[1].split(" (not the middle)")[0].split(", rounded")[0]

        def step(interval, rounded, formula=formula, cut=cut):
            u, v = interval
            m = rounded(evaluated(cut, {"u": u, "v": v}))
            at_u, at_m = (evaluated(formula, {"x": x}) for x in (u, m))
            return [m, v] if at_u * at_m > 0 else [u, m]

        follow(instance, BISECTION.start(instance.data), step)


@pytest.mark.parametrize("size", SIZES)
def test_the_interval_closes_in_on_a_root(size):
    """Each interval lies in the one before, is half as wide (up to rounding) and holds a root that numpy finds."""
    for instance in several(BISECTION, size, "fresh"):
        d, unit = instance.data, Fraction(1, 10 ** instance.knobs["places"])
        roots = [r.real for r in np.roots(d.coefficients) if abs(r.imag) < 1e-6]
        low, high = BISECTION.start(d)
        for u, v in instance.answer:
            assert low <= u < v <= high
            assert abs((v - u) - (high - low) / 2) <= unit / 2
            assert any(float(u) - 1e-4 <= r <= float(v) + 1e-4 for r in roots)
            low, high = u, v
        limit = BISECTION.limit(instance)
        assert limit[0] == limit[1]
        assert min(abs(r - float(limit[0])) for r in roots) < 1e-3


def test_statement_holds_every_number():
    """Polynomial, interval, and what is done with the signs."""
    text = BISECTION.statement(given(BISECTION, ROOT, steps=4, places=4), "trace")
    for part in (
        *("f(x) = x^2 - 2\n", "Start: u = 1, v = 2."),
        *("If f(u) * f(m) > 0, the new u is m and v stays as it is", "otherwise the new v is m and u stays as it is"),
    ):
        assert part in text


def test_the_wrong_half_is_a_local_error_that_goes_on():
    """[1.25, 1.5] is kept where [1.375, 1.5] is right; from [1, 1.25] honest halving never sees a change of sign."""
    instance = given(BISECTION, ROOT, steps=4, places=4)
    rows = (vector(1, "1.5"), vector(1, "1.25"), vector("1.125", "1.25"), vector("1.1875", "1.25"))
    assert [w.label for w in BISECTION.written(instance, "trace", rows)] == [
        *("right", "right", "local", "local"),
        *("propagated", "propagated", "propagated", "propagated"),
    ]


@sampled(st.lists(st.tuples(HOSTILE, HOSTILE), min_size=4, max_size=4))
@settings(max_examples=40, deadline=None)
def test_any_numbers_are_judged(rows):
    """Huge, negative and long fractions, and intervals the wrong way round, get a label each."""
    assert len(BISECTION.written(given(BISECTION, ROOT, steps=4, places=4), "trace", tuple(rows))) == 8


def test_an_instance_is_stored_and_read_back():
    """Data (with the cut as a fraction) and trace survive JSON."""
    for variant in ("fresh", "perturbed"):
        instance = drawn(BISECTION, "l", 5, variant)
        assert BISECTION.load(BISECTION.dump(instance)) == instance
    assert number(instance.data.cut) != number(Fraction(1, 2))
