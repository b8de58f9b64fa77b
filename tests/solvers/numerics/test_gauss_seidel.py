"""The Gauss-Seidel iteration: each new component is used at once."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given as sampled
from hypothesis import settings
from hypothesis import strategies as st

from solvers import registry
from solvers.numerics.gauss_seidel import GaussSeidelData
from solvers.problem import SIZES
from tests.solvers.numerics.handmade import HOSTILE, given, unrounded, vector
from tests.solvers.numerics.second import drawn, follow, number, several

SEIDEL = registry.get("gauss_seidel")
# 3 x_1 + x_2 = 6, x_1 + 2 x_2 = 8 from (0, 0); solution (4/5, 18/5). By hand, at 4 decimals:
SMALL = given(SEIDEL, GaussSeidelData(a=((3, 1), (1, 2)), b=(6, 8), start=(0, 0)), steps=3, places=4)
TRACE = (
    vector(2, 3),  # 6/3, (8 - 2)/2
    vector(1, "3.5"),  # (6 - 3)/3, (8 - 1)/2
    vector("0.8333", "3.5834"),  # 2.5/3, (8 - 0.8333)/2 = 3.58335, a tie
)


def test_small_system_by_hand():
    """The second component uses the new, rounded first one."""
    assert SMALL.answer == TRACE
    assert SEIDEL.limit(SMALL) == vector("0.8", "3.6")


def test_textbook_three_unknowns():
    """Burden and Faires, section 7.4, example 1: the printed iterates of Gauss-Seidel and of SOR with 1.25."""
    plain, relaxed, _ = SEIDEL.famous()
    printed = {
        plain.name: {1: (5.25, 3.8125, -5.046875), 2: (3.1406250, 3.8828125, -5.0292969)},
        relaxed.name: {1: (6.3125, 3.5195313, -6.6501465), 2: (2.6223145, 3.9585266, -4.6004238)},
    }
    for one in (plain, relaxed):
        rows = SEIDEL.trace(one.data, 2, unrounded)
        for k, values in printed[one.name].items():
            assert [float(v) for v in rows[k - 1]] == pytest.approx(values, abs=1e-7)
        assert SEIDEL.converged(one.data, SEIDEL.start(one.data), 6) == (3, 4, -5)
        assert any(
            found.data == one.data
            for i in range(2)
            for found in [SEIDEL.instance(one.size, 0, i, variant="famous")[0]]
            if hasattr(found, "data")
        )


def test_textbook_four_unknowns():
    """Burden and Faires, section 7.3, example 3: the printed iterates 1 to 5, to the four decimals printed."""
    known = SEIDEL.famous()[2]
    printed = [
        (0.6000, 2.3272, -0.9873, 0.8789),
        (1.030, 2.037, -1.014, 0.9844),
        (1.0065, 2.0036, -1.0025, 0.9983),
        (1.0009, 2.0003, -1.0003, 0.9999),
        (1.0001, 2.0000, -1.0000, 1.0000),
    ]
    for row, values in zip(SEIDEL.trace(known.data, 5, unrounded), printed, strict=True):
        assert [float(v) for v in row] == pytest.approx(values, abs=0.0006)


class TestOverrelaxed:
    """The altered method: SOR with a stated factor."""

    def test_by_hand(self):
        """Half of the way to 2 is 1; half of the way to (8 - 1)/2 is 7/4."""
        assert SEIDEL.trace(replace(SMALL.data, relaxation=Fraction(1, 2)), 1, unrounded) == (vector(1, "7/4"),)

    def test_statement_says_it(self):
        """The factor, and what it is a factor of."""
        text = SEIDEL.statement(given(SEIDEL, replace(SMALL.data, relaxation=Fraction(3, 5)), 2, 4), "final")
        assert "let s_i be (b_i minus the sum of a_ij * x_j over all j other than i) divided by a_ii" in text
        assert "the new x_i is x_i + 0.6 * (s_i - x_i). The new x_i, rounded, replaces the old one at once" in text
        assert "s_i" not in SEIDEL.statement(SMALL, "final")


@pytest.mark.parametrize("size", SIZES)
def test_trace_agrees_with_sums_over_new_and_old(size):
    """(1 - w) x_i + w (b_i - new part - old part) / a_ii, in decimals, gives the stored trace."""
    for instance in several(SEIDEL, size):
        d, w = instance.data, number(instance.data.relaxation)
        assert (w == 1) == (instance.variant == "fresh")

        def step(x, rounded, d=d, w=w):
            new = []
            for i, (row, b) in enumerate(zip(d.a, d.b, strict=True)):
                before = sum(a * v for a, v in zip(row[:i], new, strict=True))
                after = sum(a * v for a, v in zip(row[i + 1 :], x[i + 1 :], strict=True))
                new.append(rounded((1 - w) * x[i] + w * (b - before - after) / row[i]))
            return new

        follow(instance, SEIDEL.start(d), step)


@pytest.mark.parametrize("size", SIZES)
def test_the_limit_is_the_solution(size):
    """numpy solves the same system, and finds that each sweep leaves at least a tenth of the error."""
    for instance in several(SEIDEL, size):
        d, places = instance.data, instance.knobs["places"]
        a = np.array(d.a, dtype=float)
        assert [float(v) for v in SEIDEL.limit(instance)] == pytest.approx(
            np.linalg.solve(a, np.array(d.b, dtype=float)), abs=0.51 / 10**places
        )
        if instance.variant == "fresh":
            sweep = np.linalg.solve(np.tril(a), np.triu(a, 1))
            assert 0.1 < max(abs(np.linalg.eigvals(sweep))) < 1
        for i, row in enumerate(d.a):
            assert abs(row[i]) - sum(abs(v) for j, v in enumerate(row) if j != i) == 1


def test_statement_holds_every_number():
    """Matrix, right-hand side, start, and the order in which components are replaced."""
    text = SEIDEL.statement(SMALL, "trace")
    for part in (
        *("[3, 1]; b_1 = 6", "[1, 2]; b_2 = 8", "x_1 = 0, x_2 = 0", "for i = 1, 2, ... up to 2, in this order"),
        "x_j is the new value for every j smaller than i, and the value before the step for every j larger than i",
    ):
        assert part in text


def test_using_old_components_is_a_local_error():
    """8/2 = 4 in place of 3 is what Jacobi writes; (6 - 4)/3 and what comes of it then follow."""
    rows = (vector(2, 4), vector("0.6667", "3.6666"))  # (8 - 0.6667)/2 = 3.66665, a tie
    assert [w.label for w in SEIDEL.written(SMALL, "trace", rows)] == ["right", "local", "propagated", "propagated"]


def test_the_first_component_is_forgotten():
    """No step uses the old x_1: a slip in it alone is followed by right values."""
    rows = (vector(5, 3), *TRACE[1:])
    written = SEIDEL.written(SMALL, "trace", rows)
    assert [(w.label, w.follows) for w in written[:4]] == [
        *(("local", False), ("right", True)),
        *(("restored", True), ("restored", True)),
    ]


@sampled(st.lists(st.tuples(HOSTILE, HOSTILE), min_size=3, max_size=3))
@settings(max_examples=40, deadline=None)
def test_any_numbers_are_judged(rows):
    """Huge, negative and long fractions get a label each."""
    assert len(SEIDEL.written(SMALL, "trace", tuple(rows))) == 6


def test_an_instance_is_stored_and_read_back():
    """Data (with the factor as a fraction) and trace survive JSON."""
    for variant in ("fresh", "perturbed"):
        instance = drawn(SEIDEL, "l", 5, variant)
        assert SEIDEL.load(SEIDEL.dump(instance)) == instance
