"""Polynomials with whole coefficients: value, derivative, text."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from solvers.polynomials import horner, polynomial, powers, spelled, value_at
from tests.solvers.numerics.handmade import vector

NUMBERS = st.fractions(min_value=-50, max_value=50, max_denominator=10**4)
COEFFICIENTS = st.lists(st.integers(-20, 20), min_size=1, max_size=6)


def test_value_and_slope_by_hand():
    """x^3 - 2 x - 5 at 2 is -1, with slope 10 (Newton 1669)."""
    assert horner((1, 0, -2, -5), Fraction(2)) == (-1, 10)


@given(COEFFICIENTS, NUMBERS)
def test_value_and_slope_are_those_of_the_powers(coefficients, x):
    """Sums over powers agree with Horner's rule, and so do terms with exponents."""
    degree = len(coefficients) - 1
    value = sum(c * x ** (degree - k) for k, c in enumerate(coefficients))
    slope = sum((degree - k) * c * x ** (degree - k - 1) for k, c in enumerate(coefficients[:-1]))
    assert horner(coefficients, x) == (value, slope)
    assert value_at(tuple(zip(coefficients, powers(degree), strict=True)), (x,)) == value


@given(st.lists(st.tuples(st.integers(-9, 9), st.tuples(st.integers(0, 4), st.integers(0, 4)))), NUMBERS, NUMBERS)
def test_values_of_terms_in_two_variables(terms, x, y):
    """Whole numbers over a common denominator give the sum of the products."""
    assert value_at(tuple(terms), (x, y)) == sum(c * x**i * y**j for c, (i, j) in terms)


def test_values_of_special_terms():
    """No term is nothing, a constant needs no variable, a negative power divides (not by zero)."""
    assert value_at((), vector(5)) == 0
    assert value_at(((7, (0,)),), vector("1/9")) == 7
    assert value_at(((6, (-2,)), (1, (1,))), vector("1/2")) == Fraction(49, 2)
    with pytest.raises(ZeroDivisionError):
        value_at(((6, (-2,)),), vector(0))


@pytest.mark.parametrize(
    ("coefficients", "text"),
    [
        ((1, 0, -2, -5), "x^3 - 2 * x - 5"),
        ((-1, 1, 0, 1), "-x^3 + x^2 + 1"),
        ((0, 0, 0, 0), "0"),
        ((0, 0, -1, 0), "-x"),
        ((0, 0, 0, -3), "-3"),
    ],
)
def test_polynomials_in_words(coefficients, text):
    """Zero terms and factors of one are left out; signs stand between the terms."""
    assert polynomial(coefficients, [(3, 0), (2, 0), (1, 0), (0, 0)], ("x", "y")) == text


def test_terms_in_words():
    """Powers of several variables; negative ones divide, also where no other factor stands before them."""
    assert spelled(((2, (2, 1)), (-1, (1, 1)), (3, (0, 0))), ("x", "y")) == "2 * x^2 * y - x * y + 3"
    assert spelled(((20, (1,)), (21, (-2,))), ("x",)) == "20 * x + 21 / x^2"
    assert spelled(((1, (-1,)), (-1, (-3,))), ("x",)) == "1 / x - 1 / x^3"


def test_a_power_below_0_alone_divides_exactly():
    """3 / x and 3 / x^2 at 1/3, with no other term beside them."""
    assert value_at(((3, (-1,)),), vector("1/3")) == 9
    assert value_at(((3, (-2,)),), vector("1/3")) == 27
