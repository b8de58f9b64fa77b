"""QR iteration: the state is the symmetric matrix, from the diagonal on."""

from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from math import isqrt

import numpy as np
import pytest
from hypothesis import given as sampled
from hypothesis import settings
from hypothesis import strategies as st

from solvers import registry
from solvers.names import Names
from solvers.numerics.qr_iteration import QrIterationData, square_root
from solvers.problem import SIZES
from tests.solvers.numerics.handmade import HOSTILE, given, nearest, unrounded, vector
from tests.solvers.numerics.second import drawn, follow, several

QR = registry.get("qr_iteration")
SMALL = QrIterationData(a=((2, 1), (2,)))  # eigenvalues 3 and 1


def full(row, n):
    """Return the symmetric matrix of a state."""
    entries, a = iter(row), [[None] * n for _ in range(n)]
    for i in range(n):
        for j in range(i, n):
            a[i][j] = a[j][i] = next(entries)
    return a


def test_small_matrix_by_hand():
    """q_1 = (2, 1)/sqrt 5, q_2 = (-1, 2)/sqrt 5; q_1 A q_1 = 14/5, q_1 A q_2 = 3/5, q_2 A q_2 = 6/5; all rational."""
    assert QR.trace(SMALL, 1, unrounded) == (vector("14/5", "3/5", "6/5"),)
    assert QR.converged(SMALL, QR.start(SMALL), 6) == (3, 0, 1)


def test_the_diagonal_of_r_is_positive():
    """diag(1, -2) = diag(1, -1) diag(1, 2), so R Q is the same again. With determinant -3, [[1, 2], [2, 1]]:

    q_1 = (1, 2)/sqrt 5, q_2 = (2, -1)/sqrt 5 (R = [[5, 4], [0, 3]]/sqrt 5), so R Q = [[13, 6], [6, -3]]/5; a
    rotation for Q would give -6.
    """
    assert QR.step(QrIterationData(a=((1, 0), (-2,))), vector(1, 0, -2), unrounded) == vector(1, 0, -2)
    assert QR.trace(QrIterationData(a=((1, 2), (1,))), 1, unrounded) == (vector("13/5", "6/5", "-3/5"),)


def test_a_singular_matrix_is_undefined():
    """Its last column leaves nothing to divide by."""
    with pytest.raises(ArithmeticError):
        QR.step(SMALL, vector(1, 1, 1), unrounded)
    instance = given(QR, SMALL, steps=2, places=4)
    assert [w.label for w in QR.written(instance, "trace", (vector(0, 0, 0),) * 2)] == ["local"] * 6


def test_textbook_example():
    """Burden and Faires, section 9.5: one step of the method on the tridiagonal matrix with 3 and 1.

    R has sqrt 10, 2.7203 and 2.4412 on its diagonal, R Q is 3.6, 0.86024 … (five digits).
    """
    (known,) = QR.famous()
    (row,) = QR.trace(known.data, 1, unrounded)
    assert [float(v) for v in row] == pytest.approx([3.6, 0.86024, 0, 3.12974, 0.89740, 2.27027], abs=2e-5)
    _, r = np.linalg.qr(np.array(full(QR.start(known.data), 3), dtype=float))
    assert abs(np.diag(r)) == pytest.approx([10**0.5, 2.7203, 2.4412], abs=1e-4)
    limit = [float(v) for v in QR.converged(known.data, QR.start(known.data), 6)]
    assert limit == pytest.approx([3 + 2**0.5, 0, 0, 3, 0, 3 - 2**0.5], abs=1e-6)


class TestShifted:
    """The altered method: a shifted matrix is factorised."""

    def test_by_hand(self):
        """[[3, 1], [1, 3]] with q_1 = (3, 1)/sqrt 10: 36/10 - 1, 8/10, 24/10 - 1."""
        assert QR.trace(replace(SMALL, shift=1), 1, unrounded) == (vector("13/5", "4/5", "7/5"),)

    def test_statement_says_it(self):
        """What is added before and taken off afterwards."""
        text = QR.statement(given(QR, replace(SMALL, shift=4), 2, 4), "final")
        assert (
            "write A + 4 * I (I is the identity matrix), with A as it was before the step, as the product Q R" in text
        )
        assert "The new A is R Q - 4 * I; it is symmetric again" in text
        assert "The new A is R Q; it is symmetric again" in QR.statement(given(QR, SMALL, 2, 4), "final")


@pytest.mark.parametrize("size", SIZES)
def test_trace_agrees_with_rotations(size):
    """Givens rotations in decimals of eighty digits, signs mended so that R is positive, give the stored trace."""
    for instance in several(QR, size):
        d, n = instance.data, len(instance.data.a)
        assert (d.shift == 0) == (instance.variant == "fresh")

        def step(state, rounded, d=d, n=n):
            r = full(state, n)
            for i in range(n):
                r[i][i] += d.shift
            transposed = [[Decimal(i == j) for j in range(n)] for i in range(n)]  # of Q
            for j in range(n):
                for i in range(j + 1, n):
                    size = (r[j][j] ** 2 + r[i][j] ** 2).sqrt()
                    c, s = r[j][j] / size, r[i][j] / size
                    for m in (r, transposed):
                        m[j], m[i] = (
                            [c * a + s * b for a, b in zip(m[j], m[i], strict=True)],
                            [c * b - s * a for a, b in zip(m[j], m[i], strict=True)],
                        )
            for i in range(n):
                if r[i][i] < 0:
                    r[i], transposed[i] = [-v for v in r[i]], [-v for v in transposed[i]]
            new = [[sum(r[i][k] * transposed[j][k] for k in range(n)) for j in range(n)] for i in range(n)]
            return [rounded(new[i][j] - d.shift * (i == j)) for i in range(n) for j in range(i, n)]

        follow(instance, QR.start(d), step)


@pytest.mark.parametrize("size", SIZES)
def test_the_limit_is_diagonal_with_the_eigenvalues(size):
    """numpy finds the eigenvalues: they are kept by each step (to its rounding), and are the diagonal of the limit."""
    for instance in several(QR, size):
        n, unit = len(instance.data.a), 10.0 ** -instance.knobs["places"]
        values = np.linalg.eigvalsh(np.array(full(QR.start(instance.data), n), dtype=float))
        for k, row in enumerate(instance.answer, 1):
            now = np.linalg.eigvalsh(np.array(full(row, n), dtype=float))
            assert now == pytest.approx(values, abs=n * k * unit)
        limit = np.array(full(QR.limit(instance), n), dtype=float)
        assert abs(limit - np.diag(np.diag(limit))).max() == 0
        assert sorted(np.diag(limit)) == pytest.approx(list(values), abs=(n * len(instance.answer) + 1) * unit)


def test_square_roots_round_as_the_exact_ones():
    """Of n/d to ten places: the largest whole k with (2 k - 1)^2 d <= 4 n 10^20; exact roots stay exact."""
    for numerator in range(0, 400, 7):
        for denominator in (1, 3, 16, 25, 97):
            root = square_root(numerator, denominator)
            k = isqrt(4 * numerator * 10**20 // denominator)
            assert nearest(root, 10) == Fraction((k + 1) // 2, 10**10)
            assert abs(root**2 - Fraction(numerator, denominator)) <= root * Fraction(2, 10**50)
    assert square_root(1, 16) == Fraction(1, 4)


def test_a_square_root_next_to_a_tie_is_not_taken_for_it():
    """The root of 1/4 + 10^-60 agrees with 1/2 to 59 digits, and lies above it: to no places it is 1, not 0."""
    above = square_root(10**60 // 4 + 1, 10**60)
    below = square_root(10**60 // 4 - 1, 10**60)
    assert (nearest(above, 0), nearest(Fraction(1, 2), 0), nearest(below, 0)) == (1, 0, 0)
    assert below < Fraction(1, 2) < above


def test_statement_holds_every_number_and_the_sign_rule():
    """Layout of the matrix, start, positive diagonal, and that roots are not rounded."""
    instance = given(QR, QrIterationData(a=((3, 1, 0), (3, 1), (3,))), steps=2, places=4)
    text = QR.statement(instance, "trace")
    for part in (
        *("row 1 of A: [a_11, a_12, a_13]", "row 2 of A: [a_12, a_22, a_23]", "row 3 of A: [a_13, a_23, a_33]"),
        "Start: a_11 = 3, a_12 = 1, a_13 = 0, a_22 = 3, a_23 = 1, a_33 = 3.",
        *("R whose diagonal entries are all positive", "Q, R and the square roots in them are not rounded"),
        "Give a_11, a_12, a_13, a_22, a_23, a_33 (in this order)",
    ):
        assert part in text
    assert QR.shape(instance, "final").form(Names()).endswith('{"matrix": [a_11, a_12, a_13, a_22, a_23, a_33]}')


def test_q_r_for_r_q_is_a_local_error():
    """Who multiplies in the old order writes the start again and again."""
    instance = given(QR, SMALL, steps=2, places=4)
    assert [(w.label, w.attractor) for w in QR.written(instance, "trace", (vector(2, 1, 2),) * 2)] == [
        *[("local", "start")] * 6
    ]


@sampled(st.lists(st.tuples(*[HOSTILE] * 3), min_size=3, max_size=3))
@settings(max_examples=40, deadline=None)
def test_any_numbers_are_judged(rows):
    """Huge, negative and long fractions, and singular matrices, get a label each."""
    assert len(QR.written(given(QR, SMALL, steps=3, places=4), "trace", tuple(rows))) == 9


def test_an_instance_is_stored_and_read_back():
    """Data and trace survive JSON."""
    for variant in ("fresh", "perturbed"):
        instance = drawn(QR, "l", 5, variant)
        assert QR.load(QR.dump(instance)) == instance
