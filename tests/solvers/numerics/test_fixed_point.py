"""Fixed-point iteration: every component of g at the values before the step."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given as sampled
from hypothesis import settings
from hypothesis import strategies as st

from solvers import registry
from solvers.numerics.fixed_point import FixedPointData
from solvers.problem import SIZES
from tests.solvers.numerics.handmade import HOSTILE, given, unrounded, vector
from tests.solvers.numerics.second import drawn, evaluated, follow, formulas, number, several

FIXED = registry.get("fixed_point")
# x_1 = (x_2^2 + 2) / 4, x_2 = (x_1 + 3) / 4 from (0, 2): (3/2, 3/4), then ((9/16 + 2)/4, (9/2)/4)
PAIR = FixedPointData(formulas=(((1, (0, 2)), (2, (0, 0))), ((1, (1, 0)), (3, (0, 0)))), divisors=(4, 4), start=(0, 2))


def test_two_unknowns_by_hand():
    """Both components come from the old state: the new x_2 does not use the new x_1."""
    assert FIXED.trace(PAIR, 2, unrounded) == (vector("3/2", "3/4"), vector("41/64", "9/8"))


def test_cube_root_of_21():
    """Burden and Faires, section 2.2, exercises: (20 x + 21 / x^2) / 21 from 1 goes to 21^(1/3) by a factor of 6/7."""
    known = FIXED.famous()[0]
    rows = FIXED.trace(known.data, 2, unrounded)
    assert rows == (vector("41/21"), ((20 * Fraction(41, 21) + 21 / Fraction(41, 21) ** 2) / 21,))
    assert FIXED.converged(known.data, vector(1), 8) == vector("2.75892418")
    errors = [abs(float(v) - 21 ** (1 / 3)) for (v,) in given(FIXED, known.data, steps=30, places=12).answer]
    assert errors[-1] / errors[-2] == pytest.approx(6 / 7, abs=0.01)
    assert "g(x) = (20 * x + 21 / x^2) / 21" in FIXED.statement(given(FIXED, known.data, 4, 4), "final")


def test_textbook_system():
    """Burden and Faires, section 10.1, exercises: the fixed point is (1, 1); (0.8, 0.8) after one step from 0."""
    known = FIXED.famous()[1]
    assert FIXED.trace(known.data, 2, unrounded) == (vector("0.8", "0.8"), vector("0.928", "0.9312"))
    assert FIXED.converged(known.data, vector(0, 0), 6) == (1, 1)
    found, _ = FIXED.instance(known.size, 0, 0, variant="famous")
    assert found.data == known.data


def test_a_negative_power_of_zero_is_undefined():
    """From a wrong 0 nothing follows: no crash."""
    instance = given(FIXED, FIXED.famous()[0].data, steps=3, places=4)
    assert [w.label for w in FIXED.written(instance, "trace", (vector(0),) * 3)] == ["local"] * 3


class TestRelaxed:
    """The altered method: only a share of each change is made."""

    def test_by_hand(self):
        """Half of the way from (0, 2) to (3/2, 3/4)."""
        assert FIXED.trace(replace(PAIR, relaxation=Fraction(1, 2)), 1, unrounded) == (vector("3/4", "11/8"),)

    def test_statement_says_it(self):
        """The share of the change, in one unknown and in several."""
        several_ = FIXED.statement(given(FIXED, replace(PAIR, relaxation=Fraction(1, 2)), 2, 4), "final")
        assert "the new x_i is x_i + 0.5 * (g_i(x_1, x_2) - x_i)" in several_
        single = replace(FIXED.famous()[0].data, relaxation=Fraction(3, 10))
        assert "the new x is x + 0.3 * (g(x) - x)" in FIXED.statement(given(FIXED, single, 2, 4), "final")
        assert "the new x_i is g_i(x_1, x_2). All" in FIXED.statement(given(FIXED, PAIR, 2, 4), "final")


@pytest.mark.parametrize("size", SIZES)
def test_the_written_formulas_give_the_trace(size):
    """The functions as they stand in the statement, computed in decimals, give every stored iterate."""
    for instance in several(FIXED, size):
        text = FIXED.statement(instance, "trace")
        right = [formula for name, formula in formulas(text).items() if name.startswith("g")]
        labels = FIXED.shape(instance, "trace").labels(instance.names)
        share = number(instance.data.relaxation)
        assert len(right) == len(labels) == instance.knobs["unknowns"]
        assert (f"{instance.data.relaxation.numerator / instance.data.relaxation.denominator} * (g" in text) == (
            instance.variant == "perturbed"
        )

        def step(x, rounded, right=right, labels=labels, share=share):
            known = dict(zip(labels, x, strict=True))
            return [
                rounded((1 - share) * v + share * evaluated(formula, known))
                for v, formula in zip(x, right, strict=True)
            ]

        follow(instance, FIXED.start(instance.data), step)


@pytest.mark.parametrize("size", SIZES)
def test_the_limit_is_a_fixed_point_that_attracts_slowly(size):
    """g there is itself, in floating point; the Jacobian by differences has a spectral radius below 1, above 0.2."""
    slow = 0
    for instance in several(FIXED, size, "fresh"):
        d = instance.data
        fine = [float(v) for v in FIXED.converged(d, instance.answer[-1], 15)]

        def g(x, d=d):
            return np.array(
                [
                    sum(c * np.prod([v**e for v, e in zip(x, powers, strict=True)]) for c, powers in formula) / divisor
                    for formula, divisor in zip(d.formulas, d.divisors, strict=True)
                ]
            )

        assert g(fine) == pytest.approx(fine, abs=1e-12)
        jacobian = np.array([(g(fine + h) - g(fine - h)) / 2e-6 for h in 1e-6 * np.eye(len(fine))]).T
        radius = max(abs(np.linalg.eigvals(jacobian)))
        assert radius < 1
        slow += radius > 0.2
    assert slow >= 22


def test_statement_holds_every_number():
    """Formulas with their divisors, start, and that components are replaced together."""
    text = FIXED.statement(given(FIXED, PAIR, steps=2, places=4), "trace")
    for part in (
        *("g_1(x_1, x_2) = (x_2^2 + 2) / 4\n", "g_2(x_1, x_2) = (x_1 + 3) / 4\n", "Start: x_1 = 0, x_2 = 2."),
        "no new component uses another new component",
    ):
        assert part in text


def test_using_a_new_component_too_early_is_a_local_error():
    """(3/2 + 3)/4 = 1.125 in place of 0.75; it is also what x_2 is one step later."""
    instance = given(FIXED, PAIR, steps=2, places=4)
    written = FIXED.written(instance, "trace", (vector("1.5", "1.125"),))
    assert [(w.label, w.attractor) for w in written] == [("right", None), ("local", "other_iterate")]


@sampled(st.lists(st.tuples(HOSTILE, HOSTILE), min_size=3, max_size=3))
@settings(max_examples=40, deadline=None)
def test_any_numbers_are_judged(rows):
    """Huge, negative and long fractions get a label each."""
    assert len(FIXED.written(given(FIXED, PAIR, steps=3, places=4), "trace", tuple(rows))) == 6


def test_an_instance_is_stored_and_read_back():
    """Data (terms with exponents, share as a fraction) and trace survive JSON."""
    for variant in ("fresh", "perturbed"):
        instance = drawn(FIXED, "xl", 5, variant)
        assert FIXED.load(FIXED.dump(instance)) == instance
