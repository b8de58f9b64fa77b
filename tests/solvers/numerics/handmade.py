"""Instances of procedures with data written by hand, and arithmetic that shares nothing with the families' own."""

from fractions import Fraction
from math import floor
from typing import Any

from hypothesis import strategies as st

from solvers.problem import Data, Instance, Proof
from solvers.procedure import Procedure, Vector, half_even

# What a model may write: plain numbers, huge ones, tiny ones, and fractions with long denominators.
HOSTILE = st.one_of(
    st.fractions(min_value=-10, max_value=10, max_denominator=10**4),
    st.sampled_from([Fraction(0), Fraction(10**15), Fraction(-(10**15)), Fraction(10**308), Fraction(1, 10**300)]),
    st.fractions(max_denominator=10**40),
)


def unrounded(value: Fraction) -> Fraction:
    """Return the value itself: textbook traces are exact."""
    return value


def given(family: Procedure[Any], data: Data, steps: int, places: int) -> Instance:
    """Return the instance that ``data`` makes, without the tests that a drawn one has to pass."""
    return Instance(
        family=family.name,
        version=family.version,
        size="xs",
        knobs={"steps": steps, "places": places},
        seed=0,
        index=0,
        attempt=0,
        modules=(),
        data=data,
        answer=family.trace(data, steps, half_even(places)),
        proof=Proof("EXACT", None, float(steps), "rational arithmetic"),
    )


def nearest(value: Fraction, places: int) -> Fraction:
    """Return ``value`` rounded to ``places`` decimals, ties to the even digit, by comparing with the neighbours."""
    scaled = value * 10**places
    low = floor(scaled)
    rest = scaled - low
    if rest == Fraction(1, 2):
        return Fraction(low if low % 2 == 0 else low + 1, 10**places)
    return Fraction(low + (rest > Fraction(1, 2)), 10**places)


def vector(*values: str | int) -> Vector:
    """Return decimals or fractions written as text as exact numbers."""
    return tuple(map(Fraction, values))
