"""The Jacobi iteration: every component of an iterate from the iterate before it."""

from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import given as sampled
from hypothesis import settings
from hypothesis import strategies as st

from solvers import registry
from solvers.numerics.jacobi import JacobiData
from solvers.problem import SIZES, Instance, examine
from tests.solvers.numerics.handmade import HOSTILE, given, nearest, unrounded, vector
from tests.solvers.numerics.second import follow, number, several

JACOBI = registry.get("jacobi")
# 3 x_1 + x_2 = 6, x_1 + 2 x_2 = 8 from (0, 0); solution (4/5, 18/5). By hand, at 4 decimals:
SMALL = given(JACOBI, JacobiData(a=((3, 1), (1, 2)), b=(6, 8), start=(0, 0)), steps=4, places=4)
TRACE = (
    vector(2, 4),  # 6/3, 8/2
    vector("0.6667", 3),  # (6 - 4)/3, (8 - 2)/2
    vector(1, "3.6666"),  # (6 - 3)/3, (8 - 0.6667)/2 = 3.66665, a tie
    vector("0.7778", "3.5"),  # (6 - 3.6666)/3 = 0.7778, (8 - 1)/2
)


def described(*rows):
    """Return (label, follows, attractor) of each component of an answer to the small system."""
    return [(w.label, w.follows, w.attractor) for w in JACOBI.written(SMALL, "trace", rows)]


def drawn(size: str, seed: int, index: int) -> Instance:
    """Return an accepted instance."""
    found, _ = JACOBI.instance(size, seed, index)
    assert isinstance(found, Instance)
    return found


def test_small_system_by_hand():
    """Each component uses the old state, and is rounded as it is computed."""
    assert SMALL.answer == TRACE


def test_textbook_system():
    """Burden and Faires, Numerical Analysis (9th ed.), section 7.3, example 1: the printed iterates 1 to 5 and 10.

    The book rounds as it goes and ties upwards (0.97385 in the fourth), hence a whole unit of tolerance.
    """
    (known,) = JACOBI.famous()
    data = known.data
    printed = {
        1: (0.6000, 2.2727, -1.1000, 1.8750),
        2: (1.0473, 1.7159, -0.8052, 0.8852),
        3: (0.9326, 2.0533, -1.0493, 1.1309),
        4: (1.0152, 1.9537, -0.9681, 0.9739),
        5: (0.9890, 2.0114, -1.0103, 1.0214),
        10: (1.0001, 1.9998, -0.9998, 0.9998),
    }
    rows = JACOBI.trace(data, 10, unrounded)
    for k, values in printed.items():
        assert [float(v) for v in rows[k - 1]] == pytest.approx(values, abs=0.0001)
    assert JACOBI.converged(data, JACOBI.start(data), 4) == (1, 2, -1, 1)
    found, _ = JACOBI.instance(known.size, 0, 0, variant="famous")
    for k, row in enumerate(found.answer, 1):
        assert [float(v) for v in row] == pytest.approx(printed[k], abs=0.00011)


@sampled(st.sampled_from(SIZES), st.integers(0, 10**6))
@settings(max_examples=25, deadline=None)
def test_trace_agrees_with_the_residual_form(size, index):
    """x + D^-1 (b - A x) with a rounding of its own gives the stored trace; the limit solves A x = b."""
    instance = drawn(size, 11, index)
    d, places = instance.data, instance.knobs["places"]
    x = [Fraction(v) for v in d.start]
    for row in instance.answer:
        residual = [b - sum(a * v for a, v in zip(line, x, strict=True)) for line, b in zip(d.a, d.b, strict=True)]
        x = [nearest(v + r / d.a[i][i], places) for i, (v, r) in enumerate(zip(x, residual, strict=True))]
        assert tuple(x) == row
    limit, unit = JACOBI.limit(instance), Fraction(1, 10**places)
    for line, b in zip(d.a, d.b, strict=True):
        assert abs(sum(a * v for a, v in zip(line, limit, strict=True)) - b) <= unit / 2 * sum(map(abs, line))


@pytest.mark.parametrize("size", SIZES)
def test_drawn_systems_converge_slowly(size):
    """Every row is strictly dominant, by 1 or 2; the last iterate is visibly not the solution."""
    for index in range(10):
        instance = drawn(size, 7, index)
        for i, row in enumerate(instance.data.a):
            assert abs(row[i]) - sum(abs(v) for j, v in enumerate(row) if j != i) in (1, 2)
        distance = [abs(v - w) for v, w in zip(instance.answer[-1], JACOBI.limit(instance), strict=True)]
        assert max(distance) >= Fraction(10, 10 ** instance.knobs["places"])


def test_statement_holds_every_number():
    """Matrix, right-hand side, start, and that components are replaced together."""
    text = JACOBI.statement(SMALL, "trace")
    for part in ("[3, 1]; b_1 = 6", "[1, 2]; b_2 = 8", "x_1 = 0, x_2 = 0", "no new component uses another"):
        assert part in text


def test_an_error_in_one_component_reaches_the_other():
    """0.6 for 0.6667: the next x_2 is (8 - 0.6)/2 = 3.7, propagated; the next x_1 = 1 does not depend on it."""
    assert described(TRACE[0], vector("0.6", 3), vector(1, "3.7"), vector("0.7667", "3.5")) == [
        *[("right", True, None)] * 2,
        ("local", False, "nice"),
        ("right", True, None),
        ("restored", True, None),
        ("propagated", True, "nice"),
        ("propagated", True, "none"),  # (6 - 3.7)/3 = 0.76667
        ("restored", True, None),
    ]


def test_new_components_used_too_early_are_a_local_error():
    """(8 - 2)/2 = 3 in place of 4 is what Gauss-Seidel writes; it is also x_2 after step 2."""
    assert described(vector(2, 3)) == [("right", True, None), ("local", False, "other_iterate")]


def test_jump_to_the_limit_is_local_once_and_then_follows_itself():
    """The solution is a fixed point: repeating it is propagation of the first jump."""
    assert described(*[vector("0.8", "3.6")] * 3) == [
        *[("local", False, "converged")] * 2,
        *[("propagated", True, "converged")] * 4,
    ]


def test_repeating_the_start_is_a_new_error_each_time():
    """From (0, 0) the step gives (2, 4) again and again."""
    assert described(*[vector(0, 0)] * 2) == [("local", False, "start")] * 4


def test_plausible_round_numbers_are_nice():
    """One decimal at most, and no attractor by itself."""
    assert described(*TRACE[:3], vector("0.5", "2.5"))[6:] == [("local", False, "nice")] * 2


@sampled(st.lists(st.tuples(HOSTILE, HOSTILE), min_size=4, max_size=4))
@settings(max_examples=40, deadline=None)
def test_any_numbers_are_judged(rows):
    """Huge, negative and long fractions get a label each."""
    assert len(described(*rows)) == len(examine(JACOBI.constraints(SMALL, "trace"), tuple(rows))) == 8


def test_an_instance_is_stored_and_read_back():
    """Data and trace survive JSON."""
    instance = drawn("l", 3, 5)
    assert JACOBI.load(JACOBI.dump(instance)) == instance


class TestRelaxed:
    """The altered method: only a share of each change is made."""

    def test_by_hand(self):
        """Half of the way to (2, 4), then half of the way from (1, 2) to (4/3, 7/2)."""
        half = replace(SMALL.data, relaxation=Fraction(1, 2))
        assert JACOBI.trace(half, 2, unrounded) == (vector(1, 2), vector("7/6", "11/4"))

    @pytest.mark.parametrize("size", SIZES)
    def test_trace_agrees_with_a_weighted_mean(self, size):
        """(1 - w) x + w (Jacobi's x), in decimals, gives the stored trace; the limit solves A x = b all the same."""
        for instance in several(JACOBI, size, "perturbed"):
            d, w = instance.data, number(instance.data.relaxation)
            assert w != 1

            def step(x, rounded, d=d, w=w):
                full = [
                    (b - sum(a * v for j, (a, v) in enumerate(zip(row, x, strict=True)) if j != i)) / row[i]
                    for i, (row, b) in enumerate(zip(d.a, d.b, strict=True))
                ]
                return [rounded((1 - w) * v + w * f) for v, f in zip(x, full, strict=True)]

            follow(instance, JACOBI.start(d), step)
            limit, unit = JACOBI.limit(instance), Fraction(1, 10 ** instance.knobs["places"])
            for line, b in zip(d.a, d.b, strict=True):
                assert abs(sum(a * v for a, v in zip(line, limit, strict=True)) - b) <= unit / 2 * sum(map(abs, line))

    def test_statement_says_it(self):
        """The share, and what it is a share of."""
        text = JACOBI.statement(given(JACOBI, replace(SMALL.data, relaxation=Fraction(3, 5)), 2, 4), "final")
        assert "let s_i be (b_i minus the sum" in text
        assert "the new x_i is x_i + 0.6 * (s_i - x_i)" in text
        assert "s_i" not in JACOBI.statement(SMALL, "final")

    def test_the_method_as_it_is_known_is_recalled(self):
        """What Jacobi's own iteration gives is wrong, and told as what memory offers."""
        for instance in list(several(JACOBI, "m", "perturbed"))[:5]:
            plain, _ = JACOBI.instance("m", 11, instance.index)
            assert JACOBI.recalled(instance, "final", plain.answer[-1:]) is True
            assert JACOBI.recalled(instance, "final", instance.answer[-1:]) is False
