"""The Sinkhorn iteration: rows and columns are scaled in turn, each new factor used at once."""

import re
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from math import sqrt

import numpy as np
import pytest
from hypothesis import given as sampled
from hypothesis import settings
from hypothesis import strategies as st

from solvers import registry
from solvers.numerics.sinkhorn import SinkhornData
from solvers.problem import SIZES
from tests.solvers.numerics.handmade import HOSTILE, given, unrounded, vector
from tests.solvers.numerics.second import drawn, follow, several

SINKHORN = registry.get("sinkhorn")
# Rows (3, 1) with sum 2 and (1, 4) with sum 3; columns with sums 1 and 4. By hand at 4 decimals:
SMALL = given(SINKHORN, SinkhornData(((3, 1), (1, 4)), (2, 3), (1, 4)), steps=2, places=4)
TRACE = (
    vector("0.5", "0.6", "0.4762", "1.3793"),  # 2/4, 3/5; 1/(1.5 + 0.6), 4/(0.5 + 2.4)
    vector("0.7123", "0.5006", "0.3791", "1.4735"),  # 2/2.8079, 3/5.9934; 1/2.6375, 4/2.7147
)


def test_a_small_matrix_by_hand():
    """The factors of the columns use the new, rounded factors of the rows."""
    assert SMALL.answer == TRACE


def test_the_limit_of_two_rows_is_known():
    """With all sums 1, u_1 a v_1 is sqrt(a d) / (sqrt(a d) + sqrt(b c)), from ((a, b), (c, d))."""
    for a, b, c, d in ((3, 1, 1, 4), (9, 2, 5, 1), (1, 7, 2, 6)):
        data = SinkhornData(((a, b), (c, d)), (1, 1), (1, 1))
        u1, _, v1, _ = SINKHORN.converged(data, SINKHORN.start(data), 6)
        assert float(u1 * a * v1) == pytest.approx(sqrt(a * d) / (sqrt(a * d) + sqrt(b * c)), abs=1e-5)


def test_columns_have_their_sums_after_each_step():
    """Without rounding, the columns' sums are right, and the rows' come nearer from step to step."""
    d = SMALL.data
    away = []
    for x in SINKHORN.trace(d, 4, unrounded):
        scaled = [[x[i] * d.a[i][j] * x[2 + j] for j in (0, 1)] for i in (0, 1)]
        assert [sum(column) for column in zip(*scaled, strict=True)] == [1, 4]
        away.append(abs(sum(scaled[0]) - 2))
    assert away == sorted(away, reverse=True)


class TestShare:
    """The altered method: a share of each change is made."""

    def test_by_hand(self):
        """From 1, half of the way to 1/2 and 3/5; then half of the way to 1/3.05 = 20/61 and 4/3.95 = 80/79."""
        row = SINKHORN.trace(replace(SMALL.data, share=Fraction(1, 2)), 1, unrounded)[0]
        assert row == vector("3/4", "4/5", "81/122", "159/158")

    def test_statement_says_it(self):
        """The share, and which factors are old."""
        text = SINKHORN.statement(given(SINKHORN, replace(SMALL.data, share=Fraction(1, 2)), 2, 4), "final")
        for part in (
            "u_i is u_i + 0.5 * (r_i / (the sum of a_ij * v_j over all j) - u_i), with u_i and every v_j as before the",
            "v_j is v_j + 0.5 * (c_j / (the sum of a_ij * u_i over all i) - v_j), with v_j as it was before the step",
            "and every u_i in the sum the new one, rounded.",
        ):
            assert part in text
        assert "0.5" not in SINKHORN.statement(SMALL, "final")


def matrix(instance):
    """Return the matrix, the wanted sums of rows and columns, and the share, as a statement gives them."""
    text = SINKHORN.statement(instance, "trace")
    rows = re.findall(r"^row \d+ of A: \[(.*)\]; wanted sum r_\d+ = (\d+)$", text, re.MULTILINE)
    columns = re.findall(r"c_\d+ = (\d+)", text.split("wanted sums of the columns: ")[1].split("\n")[0])
    share = re.search(r"the new u_i is u_i \+ (\S+) \*", text)
    return (
        [[Decimal(v) for v in row.split(", ")] for row, _ in rows],
        [Decimal(r) for _, r in rows],
        [Decimal(c) for c in columns],
        Decimal(share[1]) if share else Decimal(1),
    )


@pytest.mark.parametrize("size", SIZES)
def test_the_written_matrix_gives_the_trace(size):
    """Matrix, sums and share as they stand in the statement, in decimals, give every iterate."""
    for instance in several(SINKHORN, size):
        a, r, c, share = matrix(instance)
        assert (share == 1) == (instance.variant == "fresh")
        assert sum(r) == sum(c)

        def step(x, rounded, a=a, r=r, c=c, share=share):
            u, v = x[: len(r)], x[len(r) :]
            for i, row in enumerate(a):
                full = r[i] / sum(e * w for e, w in zip(row, v, strict=True))
                u[i] = rounded((1 - share) * u[i] + share * full)
            new = []
            for j, old in enumerate(v):
                full = c[j] / sum(row[j] * w for row, w in zip(a, u, strict=True))
                new.append(rounded((1 - share) * old + share * full))
            return [*u, *new]

        follow(instance, SINKHORN.start(instance.data), step)


@pytest.mark.parametrize("size", SIZES)
def test_at_the_limit_all_sums_are_right(size):
    """The limit's factors give every row and column its wanted sum, but for the rounding."""
    for instance in several(SINKHORN, size, each=12):
        d, places = instance.data, instance.knobs["places"]
        fine = SINKHORN.converged(d, instance.answer[-1], places + 4)
        n = len(d.row_sums)
        scaled = np.diag([float(u) for u in fine[:n]]) @ np.array(d.a) @ np.diag([float(v) for v in fine[n:]])
        assert list(scaled.sum(axis=1)) == pytest.approx(d.row_sums, rel=1e-4)
        assert list(scaled.sum(axis=0)) == pytest.approx(d.column_sums, rel=1e-4)
        assert [float(v) for v in SINKHORN.limit(instance)] == pytest.approx(
            [float(v) for v in fine], abs=0.51 / 10**places
        )


def test_statement_holds_every_number():
    """Matrix, sums, start, and which factors a sum uses."""
    text = SINKHORN.statement(SMALL, "trace")
    for part in (
        *("row 1 of A: [3, 1]; wanted sum r_1 = 2\n", "row 2 of A: [1, 4]; wanted sum r_2 = 3\n"),
        *("wanted sums of the columns: c_1 = 1, c_2 = 4", "Start: u_1 = 1, u_2 = 1, v_1 = 1, v_2 = 1."),
        "the new u_i is r_i / (the sum of a_ij * v_j over all j), with every v_j as before the step.",
        "the new v_j is c_j / (the sum of a_ij * u_i over all i), with every u_i in the sum the new one, rounded.",
    ):
        assert part in text


def test_using_old_row_factors_is_a_local_error():
    """1 / (3 + 1) = 0.25 and 4 / 5 = 0.8 use the old u; what follows from them is propagated."""
    rows = (
        vector("0.5", "0.6", "0.25", "0.8"),
        vector("1.2903", "0.8696", "0.2109", "0.8379"),  # 2/1.55, 3/3.45; 1/4.7405, 4/4.7687 = 0.8388: another slip
    )
    assert [w.label for w in SINKHORN.written(SMALL, "trace", rows)] == [
        *("right", "right", "local", "local"),
        *("propagated", "propagated", "propagated", "local"),
    ]


def test_old_row_factors_are_forgotten():
    """No step uses the old u: after a slip in u_1 alone, the next values are right."""
    written = SINKHORN.written(SMALL, "trace", (vector("0.7", "0.6", "0.4762", "1.3793"), TRACE[1]))
    assert [w.label for w in written] == ["local", *["right"] * 3, *["restored"] * 4]
    assert all(w.follows for w in written[4:])


@sampled(st.lists(st.tuples(*[HOSTILE] * 4), min_size=2, max_size=2))
@settings(max_examples=40, deadline=None)
def test_any_numbers_are_judged(rows):
    """Huge, negative and long fractions get a label each; a sum of zero is no crash."""
    assert len(SINKHORN.written(SMALL, "trace", tuple(rows))) == 8
    zero = (vector("0.5", "0.6", 0, 0), TRACE[1])
    assert [w.label for w in SINKHORN.written(SMALL, "trace", zero)][4:] == ["restored"] * 4


def test_an_instance_is_stored_and_read_back():
    """Data (matrix, sums and share) and trace survive JSON."""
    for variant in ("fresh", "perturbed"):
        instance = drawn(SINKHORN, "xl", 5, variant)
        assert SINKHORN.load(SINKHORN.dump(instance)) == instance
