"""Linear systems in exact arithmetic."""

from fractions import Fraction

import pytest

from solvers.linear import solved


def exact(rows):
    return [[Fraction(v) for v in row] for row in rows]


@pytest.mark.parametrize(
    ("a", "b", "x"),
    [
        ([[2]], [3], ["3/2"]),
        ([[0, 1], [1, 0]], [2, 3], [3, 2]),  # the first row has no pivot
        ([[1, 1], [1, 2]], [3, 5], [1, 2]),  # a row is taken off once
        ([[1, 1], [-1, 1]], [3, 1], [1, 2]),  # and added once
        ([[0, 0, 2], [0, 3, 1], [4, 1, 0]], [2, 4, 9], [2, 1, 1]),
        ([[1, 2], [3, 4]], [1, 1], [-1, 1]),
    ],
)
def test_a_system_by_hand(a, b, x):
    """Whichever row holds the pivot, and whatever it is multiplied by."""
    assert solved(exact(a), [Fraction(v) for v in b]) == [Fraction(v) for v in x]


@pytest.mark.parametrize("a", [[[0]], [[1, 2], [2, 4]], [[0, 1], [0, 2]], [[1, 1, 1], [1, 2, 3], [2, 3, 4]]])
def test_a_singular_matrix_has_no_solution(a):
    """A column without pivot is told, never divided by."""
    assert solved(exact(a), [Fraction(1)] * len(a)) is None
