"""Pivots in the condensed simplex tableau, each new number rounded once."""

import re
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given as sampled
from hypothesis import settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from solvers import registry
from solvers.numerics.simplex_pivots import SimplexData
from solvers.problem import SIZES
from tests.solvers.numerics.handmade import HOSTILE, given, unrounded, vector
from tests.solvers.numerics.second import drawn, follow, several

SIMPLEX = registry.get("simplex_pivots")
# Maximise 3 x_1 + 2 x_2 subject to 2 x_1 + x_2 <= 8 and x_1 + 3 x_2 <= 9; best is x_1 = 3, x_2 = 2.
SMALL = given(SIMPLEX, SimplexData((3, 2), ((2, 1), (1, 3)), (8, 9)), steps=2, places=4)
TRACE = (
    vector("0.5", "0.5", 4, "-0.5", "2.5", 5, "1.5", "-0.5", 12),  # pivot 2 in row u, column 1
    vector("0.6", "-0.2", 3, "-0.2", "0.4", 2, "1.4", "0.2", 13),  # pivot 2.5 in row v, column 2
)


def test_two_pivots_by_hand():
    """Column 1 (-3) and row u (8/2 < 9/1); then column 2 (-0.5) and row v (5/2.5 < 4/0.5): z is 13."""
    assert SMALL.answer == TRACE


def test_at_the_optimum_nothing_changes():
    """No number of the last row is negative: the tableau stays."""
    assert SIMPLEX.step(SMALL.data, TRACE[1], unrounded) == TRACE[1]
    assert SIMPLEX.limit(SMALL) == TRACE[1]


def test_a_column_is_taken_for_a_negative_number_only():
    """Not for a 0, and not for what the objective is worth, which is no column's; -1/2 is negative too."""
    for leftmost in (False, True):
        d = SimplexData((1,), ((1,),), (2,), leftmost=leftmost)
        assert SIMPLEX.pivot(d, vector(1, 2, 0, -1)) is None
        assert SIMPLEX.pivot(d, vector(1, 2, "-1/2", 0)) == (0, 0)


def test_textbook_program():
    """Chvátal, chapter 2: maximise 5 x_1 + 4 x_2 + 3 x_3; after two pivots x_1 = 2 - 2 x_2 - 2 x_4 + x_6,
    x_5 = 1 + 5 x_2 + 2 x_4, x_3 = 1 + x_2 + 3 x_4 - 2 x_6 and z = 13 - 3 x_2 - x_4 - x_6."""
    d = SimplexData((5, 4, 3), ((2, 3, 1), (4, 1, 2), (3, 4, 2)), (5, 11, 8))
    last = SIMPLEX.trace(d, 2, unrounded)[-1]
    # Columns are of x_4, x_2 and x_6; a tableau holds what is on the left of the equals sign.
    assert last == vector(2, 2, -1, 2, -2, -5, 0, 1, -3, -1, 2, 1, 1, 3, 1, 13)
    assert SIMPLEX.step(d, last, unrounded) == last


def test_klee_and_minty():
    """Chvátal, chapter 4: seven pivots, each to another of the eight corners, before z = 10000 is reached."""
    (known,) = SIMPLEX.famous()
    rows = SIMPLEX.trace(known.data, 9, unrounded)
    values = [row[-1] for row in rows]
    assert values == sorted(values)
    assert len({0, *values}) == 8
    assert values[5] < values[6] == values[7] == values[8] == 10000
    assert rows[0][-4:] == vector(100, -10, -1, 100)
    pivots = [SIMPLEX.pivot(known.data, x) for x in (SIMPLEX.start(known.data), *rows)]
    assert [column + 1 for _, column in pivots[:7]] == [1, 2, 1, 3, 1, 2, 1]
    assert pivots[7:] == [None] * 3


class TestRules:
    """Which column and which row the pivot is in."""

    def test_equal_coefficients_give_the_left_column(self):
        """Of -3, -3 the first; of equal ratios the upper row."""
        d = SimplexData((3, 3), ((1, 2), (2, 1)), (4, 8))
        assert SIMPLEX.pivot(d, SIMPLEX.start(d)) == (0, 0)

    def test_only_positive_numbers_have_a_ratio(self):
        """A row with 0 or less in the column does not limit it; where none does, the step is undefined."""
        d = SimplexData((3, 1), ((-1, 1), (2, 1)), (1, 8))
        assert SIMPLEX.pivot(d, SIMPLEX.start(d)) == (1, 0)
        free = replace(d, use=((-1, 1), (0, 1)))
        with pytest.raises(ArithmeticError):
            SIMPLEX.step(free, SIMPLEX.start(free), unrounded)

    def test_the_altered_rule_takes_the_leftmost_column(self):
        """-2 stands left of -3: column 1, and row v (9/3 < 8/1)."""
        d = SimplexData((2, 3), ((1, 2), (3, 1)), (8, 9))
        assert SIMPLEX.pivot(d, SIMPLEX.start(d)) == (0, 1)
        left = replace(d, leftmost=True)
        assert SIMPLEX.pivot(left, SIMPLEX.start(left)) == (1, 0)

    def test_statement_says_which(self):
        """One rule or the other, and what is done at the optimum and with ties."""
        text = SIMPLEX.statement(SMALL, "final")
        assert (
            "Among the negative numbers of z_1 to z_2, take the most negative one (of equal ones, the leftmost)" in text
        )
        assert "if none is negative, the tableau stays as it is" in text
        assert "is smallest (if equal, the uppermost): it is the pivot row" in text
        altered = SIMPLEX.statement(given(SIMPLEX, replace(SMALL.data, leftmost=True), 2, 4), "final")
        assert "Among the negative numbers of z_1 to z_2, take the leftmost: its column" in altered
        assert "most negative" not in altered


def program(instance):
    """Return gains, constraints (coefficients by unknown) and limits as a statement gives them, and the rule."""
    text = SIMPLEX.statement(instance, "trace")
    n = len(instance.data.gain)

    def coefficients(sum_):
        found = dict.fromkeys(range(n), 0)
        for sign, size, j in re.findall(r"(^|[-+] ?)(?:(\d+) \* )?x_(\d+)", sum_):
            found[int(j) - 1] = (-1 if "-" in sign else 1) * int(size or 1)
        return [found[j] for j in range(n)]

    gain = coefficients(text.split("maximises ")[1].split(" for ")[0])
    rows = re.findall(r"^row \w: (.*) <= (\d+)$", text, re.MULTILINE)
    return gain, [coefficients(sum_) for sum_, _ in rows], [int(b) for _, b in rows], "take the leftmost:" in text


@pytest.mark.parametrize("size", SIZES)
def test_the_written_program_gives_the_trace(size):
    """A tableau with a column for every variable, slack variables too, reduced in decimals by Gauss and Jordan, holds
    the condensed one in the columns outside the basis."""
    for instance in several(SIMPLEX, size):
        gain, use, limit, leftmost = program(instance)
        n, m = len(gain), len(use)
        assert leftmost == (instance.variant == "perturbed")
        outside, basis = list(range(n)), list(range(n, n + m))  # variables by column and by row

        def step(x, rounded, outside=outside, basis=basis, n=n, m=m, leftmost=leftmost):
            full = []
            for i in range(m + 1):
                condensed = x[i * (n + 1) : (i + 1) * (n + 1)]
                row = [Decimal(0)] * (n + m)
                for j, v in zip(outside, condensed, strict=False):
                    row[j] = v
                if i < m:
                    row[basis[i]] = Decimal(1)
                full.append([*row, condensed[-1]])
            negative = [k for k, j in enumerate(outside) if full[m][j] < 0]
            k = negative[0] if leftmost else min(negative, key=lambda k: (full[m][outside[k]], k))
            j = outside[k]
            _, r = min((full[i][-1] / full[i][j], i) for i in range(m) if full[i][j] > 0)
            full[r] = [v / full[r][j] for v in full[r]]
            for i in range(m + 1):
                if i != r:
                    factor = full[i][j]
                    full[i] = [v - factor * w for v, w in zip(full[i], full[r], strict=True)]
            outside[k], basis[r] = basis[r], j
            return [rounded(v) for row in full for v in [*(row[j] for j in outside), row[-1]]]

        start = [*(Fraction(v) for row, b in zip(use, limit, strict=True) for v in (*row, b)), *(-g for g in gain), 0]
        assert tuple(map(Fraction, start)) == SIMPLEX.start(instance.data)
        follow(instance, SIMPLEX.start(instance.data), step)


@pytest.mark.parametrize("size", SIZES)
def test_unrounded_it_solves_the_program(size):
    """Without rounding it ends at the optimum that HiGHS finds for the written program, and takes the same pivots on
    the way; after the last step asked for, it has not ended."""
    for instance in several(SIMPLEX, size, each=12):
        d, steps = instance.data, instance.knobs["steps"]
        gain, use, limit, _ = program(instance)
        best = linprog([-g for g in gain], A_ub=use, b_ub=limit)
        x, pivots = SIMPLEX.start(d), []
        while (pivot := SIMPLEX.pivot(d, x)) is not None:
            pivots.append(pivot)
            x = SIMPLEX.step(d, x, unrounded)
        assert float(x[-1]) == pytest.approx(-best.fun)
        assert float(SIMPLEX.limit(instance)[-1]) == pytest.approx(-best.fun, rel=1e-2)
        assert len(pivots) > steps
        seen = [SIMPLEX.pivot(d, x) for x in (SIMPLEX.start(d), *instance.answer)]
        assert seen == pivots[: steps + 1] == SIMPLEX.pivots(d, steps + 1)


def test_fewer_pivots_where_a_program_is_solved():
    """Two pivots solve the small one; in whole numbers over a common denominator they are the same."""
    assert SIMPLEX.pivots(SMALL.data, 5) == [(0, 0), (1, 1)]


def test_statement_holds_every_number():
    """Gains, constraints, start, which row is which, and how each kind of number is replaced."""
    text = SIMPLEX.statement(SMALL, "trace")
    for part in (
        "maximises 3 * x_1 + 2 * x_2 for x_1, x_2 >= 0 subject to\nrow u: 2 * x_1 + x_2 <= 8\nrow v: x_1 + 3 * x_2 <=",
        "Start: u_1 = 2, u_2 = 1, u_3 = 8, v_1 = 1, v_2 = 3, v_3 = 9, z_1 = -3, z_2 = -2, z_3 = 0.",
        "u_1 to u_2 stand in columns 1 to 2 of row u",
        "the pivot by 1 / pivot; any other number of the pivot row by itself divided by the pivot; any other number of",
        "pivot column by minus itself divided by the pivot; and each remaining number e by e - f * g / pivot",
    ):
        assert part in text


def test_leaving_the_column_its_sign_is_a_local_error():
    """+0.5 in place of -0.5 in row v: the next pivot is the same, and what column 1 makes of it is propagated."""
    wrong = vector("0.5", "0.5", 4, "0.5", "2.5", 5, "1.5", "-0.5", 12)
    after = vector("0.4", "-0.2", 3, "0.2", "0.4", 2, "1.6", "0.2", 13)
    labels = [w.label for w in SIMPLEX.written(SMALL, "trace", (wrong, after))]
    assert labels[:9] == ["right"] * 3 + ["local"] + ["right"] * 5
    assert labels[9:] == [
        *("propagated", "restored", "restored", "propagated", "restored", "restored"),
        *("propagated", "restored", "restored"),
    ]


@sampled(st.lists(st.tuples(*[HOSTILE] * 9), min_size=2, max_size=2))
@settings(max_examples=40, deadline=None)
def test_any_numbers_are_judged(rows):
    """Huge, negative and long fractions get a label each, whether a pivot exists or not."""
    assert len(SIMPLEX.written(SMALL, "trace", tuple(rows))) == 18


def test_an_instance_is_stored_and_read_back():
    """Data and trace survive JSON."""
    for variant in ("fresh", "perturbed"):
        instance = drawn(SIMPLEX, "xl", 5, variant)
        assert SIMPLEX.load(SIMPLEX.dump(instance)) == instance
