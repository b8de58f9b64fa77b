"""Power iteration: the vector is divided by its largest component, with its sign."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given as sampled
from hypothesis import settings
from hypothesis import strategies as st

from solvers import registry
from solvers.names import Names
from solvers.numerics.power_iteration import PowerIterationData
from solvers.problem import SIZES
from tests.solvers.numerics.handmade import HOSTILE, given, unrounded, vector
from tests.solvers.numerics.second import drawn, follow, several

POWER = registry.get("power_iteration")
SMALL = PowerIterationData(a=((2, 1), (1, 2)), start=(1, 0))  # eigenvalues 3 and 1, vectors (1, 1) and (1, -1)


def test_small_matrix_by_hand():
    """(1, 0) -> (2, 1)/2 -> (5/2, 2)/(5/2) -> (14/5, 13/5)/(14/5)."""
    assert POWER.trace(SMALL, 3, unrounded) == (
        vector(1, "1/2", 2),
        vector(1, "4/5", "5/2"),
        vector(1, "13/14", "14/5"),
    )
    assert POWER.converged(SMALL, POWER.start(SMALL), 4) == (1, 1, 3)


def test_the_divisor_has_the_sign_of_the_largest_component():
    """From (-1, 0): A x = (-2, -1), divided by -2; the largest component is 1, mu is -2."""
    assert POWER.trace(replace(SMALL, start=(-1, 0)), 1, unrounded) == (vector(1, "1/2", -2),)


def test_of_two_largest_components_the_first_divides():
    """From (1, -1): A x = (1, -1); the first of the two divides, so mu is 1."""
    assert POWER.trace(replace(SMALL, start=(1, -1)), 1, unrounded) == (vector(1, -1, 1),)
    assert POWER.trace(replace(SMALL, start=(-1, 1)), 1, unrounded) == (vector(1, -1, -1),)


def test_components_are_rounded_after_the_division():
    """At 1 decimal, from (1, 0): (20, 9)/20, where 0.45 is a tie; then (23.6, 17)/23.6, where 17/23.6 = 0.72."""
    d = PowerIterationData(a=((20, 9), (9, 20)), start=(1, 0))
    assert given(POWER, d, steps=2, places=1).answer == (vector(1, "0.4", 20), vector(1, "0.7", "23.6"))


def test_textbook_example():
    """Burden and Faires, section 9.3: vectors and estimates of a matrix with eigenvalues 6, 3 and 2 (digits cut)."""
    (known,) = POWER.famous()
    printed = [
        (1, 0.8, 0.1, 10),
        (1, 0.75, -0.111, 7.2),
        (1, 0.730769, -0.188034, 6.5),
        (1, 0.722200, -0.220850, 6.230769),
        (1, 0.718182, -0.235915, 6.111000),
        (1, 0.716216, -0.243095, 6.054546),
    ]
    for row, values in zip(POWER.trace(known.data, 6, unrounded), printed, strict=True):
        assert [float(v) for v in row] == pytest.approx(values, abs=2e-4)
    assert POWER.converged(known.data, POWER.start(known.data), 6) == vector(1, "0.714286", "-0.25", 6)
    assert sorted(np.linalg.eigvals(np.array(known.data.a)).real) == pytest.approx([2, 3, 6])


class TestShifted:
    """The altered method: a multiple of x is added to A x."""

    def test_by_hand(self):
        """With 3: (1, 0) -> (5, 1)/5 -> (26/5, 2)/(26/5); the limit of mu is 3 + 3."""
        shifted = replace(SMALL, shift=3)
        assert POWER.trace(shifted, 2, unrounded) == (vector(1, "1/5", 5), vector(1, "5/13", "26/5"))
        assert POWER.converged(shifted, POWER.start(shifted), 4) == (1, 1, 6)

    def test_statement_says_it(self):
        """What is added to each sum; the plain method adds nothing."""
        text = POWER.statement(given(POWER, replace(SMALL, shift=3), 2, 4), "final")
        assert "let y_i be the sum of a_ij * x_j over all j, plus 3 * x_i, with every x_j as it was" in text
        assert "over all j, with every x_j as it was" in POWER.statement(given(POWER, SMALL, 2, 4), "final")


@pytest.mark.parametrize("size", SIZES)
def test_trace_agrees_with_a_shifted_matrix(size):
    """(A + shift I) x by columns, divided by its component of largest square, in decimals, gives the stored trace."""
    for instance in several(POWER, size):
        d, n = instance.data, len(instance.data.start)
        matrix = [[v + d.shift * (i == j) for j, v in enumerate(row)] for i, row in enumerate(d.a)]
        assert (d.shift == 0) == (instance.variant == "fresh")

        def step(state, rounded, matrix=matrix, n=n):
            y = [0] * n
            for j in range(n):
                for i in range(n):
                    y[i] += matrix[i][j] * state[j]
            top = y[0]
            for v in y[1:]:
                if v * v > top * top:
                    top = v
            return [*(rounded(v / top) for v in y), rounded(top)]

        follow(instance, POWER.start(d), step)


@pytest.mark.parametrize("size", SIZES)
def test_the_limit_is_the_dominant_eigenvector(size):
    """numpy finds the eigenvalues of the symmetric matrix: all positive; the largest and its vector are the limit."""
    for instance in several(POWER, size):
        d, unit = instance.data, 10.0 ** -instance.knobs["places"]
        a = np.array(d.a, dtype=float)
        assert (a == a.T).all()
        values, vectors = np.linalg.eigh(a)
        assert values[0] > 0
        limit = [float(v) for v in POWER.limit(instance)]
        dominant = vectors[:, -1] / vectors[limit.index(1), -1]
        assert max(abs(dominant)) < 1 + unit
        assert limit == pytest.approx([*dominant, values[-1] + d.shift], abs=0.6 * unit)


def test_statement_holds_every_number():
    """Matrix, start, sign and choice of the divisor, and that it is not rounded."""
    instance = given(POWER, SMALL, steps=2, places=4)
    text = POWER.statement(instance, "trace")
    for part in (
        *("row 1 of A: [2, 1]", "row 2 of A: [1, 2]", "Start: x_1 = 1, x_2 = 0, mu = 0.", "the y_i are not rounded"),
        "whose absolute value is largest (the first such one, if there are several), with its sign",
        *("the new x_i is y_i / c; the new mu is c", "Give x_1, x_2, mu (in this order)"),
    ):
        assert part in text
    assert POWER.shape(instance, "final").form(Names()).endswith('{"state": [x_1, x_2, mu]}')


def test_dividing_by_the_euclidean_norm_is_a_local_error():
    """(2, 1)/sqrt(5) in place of (1, 1/2); from there on the vector is as it should be."""
    instance = given(POWER, SMALL, steps=2, places=4)
    rows = (vector("0.8944", "0.4472", "2.2361"), vector(1, "0.8", "2.236"))
    assert [w.label for w in POWER.written(instance, "trace", rows)] == [
        *("local", "local", "local"),
        *("restored", "restored", "propagated"),  # 2 * 0.8944 + 0.4472
    ]


def test_a_zero_vector_of_ones_own_has_no_next():
    """Nothing can be divided by its largest component: what follows is local."""
    instance = given(POWER, SMALL, steps=2, places=4)
    rows = (vector(0, 0, 0), vector(0, 0, 0))
    assert [w.label for w in POWER.written(instance, "trace", rows)] == ["local"] * 6


@sampled(st.lists(st.tuples(HOSTILE, HOSTILE, HOSTILE), min_size=3, max_size=3))
@settings(max_examples=40, deadline=None)
def test_any_numbers_are_judged(rows):
    """Huge, negative and long fractions get a label each."""
    assert len(POWER.written(given(POWER, SMALL, steps=3, places=4), "trace", tuple(rows))) == 9


def test_an_instance_is_stored_and_read_back():
    """Data and trace survive JSON."""
    for variant in ("fresh", "perturbed"):
        instance = drawn(POWER, "l", 5, variant)
        assert POWER.load(POWER.dump(instance)) == instance


def test_only_the_divisor_itself_is_rounded_to_one():
    """In every stored iterate some component of the vector is exactly 1, and none is larger."""
    for instance in several(POWER, "m"):
        for row in instance.answer:
            assert max(map(abs, row[:-1])) == 1
            assert Fraction(1) in row[:-1]
