"""Gradient descent with momentum: the state is the point and its velocity."""

from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import given as sampled
from hypothesis import settings
from hypothesis import strategies as st

from solvers import registry
from solvers.names import Names
from solvers.numerics.gradient_descent import GradientDescentData
from solvers.problem import SIZES, Instance
from tests.solvers.numerics.handmade import HOSTILE, given, nearest, unrounded, vector
from tests.solvers.numerics.second import follow, number, several

DESCENT = registry.get("gradient_descent")
BOWL = GradientDescentData(
    q=((2, 1), (1, 3)), c=(1, 2), start=(0, 0), step_size=Fraction(1, 10), momentum=Fraction(1, 2)
)
# By hand: g = (-1, -2), (-0.6, -1.3), (-0.15, -0.5). The minimum is (1/5, 3/5).
TRACE = (
    vector("0.1", "0.2", "0.1", "0.2"),
    vector("0.21", "0.43", "0.11", "0.23"),
    vector("0.28", "0.595", "0.07", "0.165"),
)


def drawn(size: str, seed: int, index: int) -> Instance:
    """Return an accepted instance."""
    found, _ = DESCENT.instance(size, seed, index)
    assert isinstance(found, Instance)
    return found


def test_small_bowl_by_hand():
    """v = 0.5 v - 0.1 g, then x = x + v."""
    assert DESCENT.trace(BOWL, 3, unrounded) == TRACE
    assert DESCENT.converged(BOWL, DESCENT.start(BOWL), 4) == vector("0.2", "0.6", 0, 0)


def test_without_momentum_it_is_plain_gradient_descent():
    """One variable, f = x^2 - 2 x, step 1/4: the error halves, 0, 1/2, 3/4, 7/8 (Polyak 1964 with momentum 0)."""
    data = GradientDescentData(q=((2,),), c=(2,), start=(0,), step_size=Fraction(1, 4), momentum=Fraction(0))
    assert [x for x, _ in DESCENT.trace(data, 3, unrounded)] == [Fraction(1, 2), Fraction(3, 4), Fraction(7, 8)]


def test_best_momentum_of_a_two_speed_quadratic():
    """Polyak's best pair for eigenvalues 1 and 9: step (2/(1+3))^2 = 1/4, momentum ((3-1)/(3+1))^2 = 1/4.

    Both error components then have the double root 1/2 or -1/2: e_k = (1 + k) times its k-th power, from e = 1 with
    the previous error scaled to fit, so from velocity 0 the slow one is (2 + k) 2^-(k+1).
    """
    data = GradientDescentData(
        q=((1, 0), (0, 9)), c=(0, 0), start=(1, 1), step_size=Fraction(1, 4), momentum=Fraction(1, 4)
    )
    rows = DESCENT.trace(data, 6, unrounded)
    assert [row[0] for row in rows] == [Fraction(2 + k, 2 ** (k + 1)) for k in range(1, 7)]
    # e_0 = 1, e_1 = 1 - 9/4 = -5/4: (1 + 3k/2) (-1/2)^k
    assert [row[1] for row in rows] == [(1 + Fraction(3 * k, 2)) * Fraction(-1, 2) ** k for k in range(1, 7)]


def test_the_velocity_is_rounded_before_it_moves_the_point():
    """At 1 decimal: v_2 = 0.5 * 0.2 + 0.13 = 0.23 -> 0.2, so x_2 = 0.4; rounding x alone would write 0.4 and 0.23."""
    assert given(DESCENT, BOWL, steps=2, places=1).answer[1] == vector("0.2", "0.4", "0.1", "0.2")


@sampled(st.sampled_from(SIZES), st.integers(0, 10**6))
@settings(max_examples=25, deadline=None)
def test_trace_agrees_with_the_two_point_form(size, index):
    """x + momentum (x - previous x) - step * gradient, the gradient by exact differences of f, gives the trace."""
    instance = drawn(size, 11, index)
    d, places = instance.data, instance.knobs["places"]
    n = len(d.c)

    def f(x):
        square = sum(d.q[i][j] * x[i] * x[j] for i in range(n) for j in range(n))
        return Fraction(square) / 2 - sum(c * v for c, v in zip(d.c, x, strict=True))

    def shifted(x, i, h):
        return [v + h if j == i else v for j, v in enumerate(x)]

    before = x = [Fraction(v) for v in d.start]
    for row in instance.answer:
        gradient = [(f(shifted(x, i, 1)) - f(shifted(x, i, -1))) / 2 for i in range(n)]
        move = [
            nearest(d.momentum * (v - w) - d.step_size * g, places) for v, w, g in zip(x, before, gradient, strict=True)
        ]
        before, x = x, [v + m for v, m in zip(x, move, strict=True)]
        assert (*x, *move) == row


def determinant(a):
    """Return a determinant by expansion along the first row."""
    if not a:
        return 1
    return sum((-1) ** j * v * determinant([row[:j] + row[j + 1 :] for row in a[1:]]) for j, v in enumerate(a[0]))


@pytest.mark.parametrize("size", SIZES)
def test_drawn_functions_have_one_minimum_that_is_not_reached(size):
    """Q is symmetric with positive leading minors (Sylvester); the limit solves Q x = c at rest; the last is not it."""
    for index in range(10):
        instance = drawn(size, 7, index)
        d, places = instance.data, instance.knobs["places"]
        n, limit = len(d.c), DESCENT.limit(instance)
        assert all(d.q[i][j] == d.q[j][i] for i in range(n) for j in range(n))
        assert all(determinant([row[:k] for row in d.q[:k]]) > 0 for k in range(1, n + 1))
        assert limit[n:] == (0,) * n
        for row, c in zip(d.q, d.c, strict=True):
            error = sum(a * v for a, v in zip(row, limit[:n], strict=True)) - c
            assert abs(error) <= Fraction(sum(map(abs, row)), 2 * 10**places)
        assert max(abs(v - w) for v, w in zip(instance.answer[-1], limit, strict=True)) >= Fraction(10, 10**places)


def test_statement_holds_every_number_and_the_order_of_rounding():
    """Matrix, vector, step size, momentum, start with velocity, and which value is rounded when."""
    instance = given(DESCENT, BOWL, steps=3, places=4)
    text = DESCENT.statement(instance, "final")
    for part in (
        *("[2, 1]; c_1 = 1", "[1, 3]; c_2 = 2", "step size is 0.1", "momentum 0.5"),
        *("x_1 = 0, x_2 = 0, v_1 = 0, v_2 = 0", "0.5 * v_i - 0.1 * g_i", "plus the new, rounded v_i"),
        "Give x_1, x_2, v_1, v_2 (in this order)",
    ):
        assert part in text
    assert DESCENT.shape(instance, "final").form(Names()).endswith('{"state": [x_1, x_2, v_1, v_2]}')


def test_a_wrong_velocity_spoils_the_point_and_what_follows():
    """0.12 for 0.11: the point moves by it in the same row (local), and the next row follows from both.

    After x = (0.22, 0.43), v = (0.12, 0.23): g = (-0.13, -0.49), so v = (0.073, 0.164), x = (0.293, 0.594).
    """
    instance = given(DESCENT, BOWL, steps=3, places=4)
    rows = (TRACE[0], vector("0.22", "0.43", "0.12", "0.23"), vector("0.293", "0.594", "0.073", "0.164"))
    assert [w.label for w in DESCENT.written(instance, "trace", rows)] == [
        *["right"] * 4,
        *["local", "right", "local", "right"],
        *["propagated"] * 4,
    ]


def test_forgetting_the_momentum_is_a_local_error():
    """From (0.1, 0.2) with v = -0.1 g = (0.06, 0.13): point and velocity are wrong."""
    instance = given(DESCENT, BOWL, steps=3, places=4)
    rows = (TRACE[0], vector("0.16", "0.33", "0.06", "0.13"))
    assert [w.label for w in DESCENT.written(instance, "trace", rows)[4:]] == ["local"] * 4


def test_attractors_by_component():
    """The minimum at rest, the start, an earlier velocity and a round number are told apart."""
    instance = given(DESCENT, replace(BOWL, start=(3, -1)), steps=3, places=4)
    limit = DESCENT.written(instance, "final", (vector("0.2", "0.6", 0, 0),))
    assert [w.attractor for w in limit] == ["converged"] * 4
    other = DESCENT.written(instance, "final", ((*vector(3, 7), instance.answer[0][2], Fraction("0.1234")),))
    assert [w.attractor for w in other] == ["start", "nice", "other_iterate", "none"]


@sampled(st.lists(st.tuples(*[HOSTILE] * 4), min_size=3, max_size=3))
@settings(max_examples=40, deadline=None)
def test_any_numbers_are_judged(rows):
    """Huge, negative and long fractions get a label each."""
    instance = given(DESCENT, BOWL, steps=3, places=4)
    assert len(DESCENT.written(instance, "trace", tuple(rows))) == 12


def test_an_instance_is_stored_and_read_back():
    """Data (with step size and momentum as fractions) and trace survive JSON."""
    instance = drawn("m", 3, 5)
    assert DESCENT.load(DESCENT.dump(instance)) == instance


class TestAhead:
    """The altered method: the gradient is taken where the momentum alone would lead."""

    def test_by_hand(self):
        """From x = (0.1, 0.2) with v = x: y = (0.15, 0.3), g = (-0.4, -0.95), so v = (0.09, 0.195)."""
        assert DESCENT.trace(replace(BOWL, ahead=True), 2, unrounded) == (
            TRACE[0],
            vector("0.19", "0.395", "0.09", "0.195"),
        )

    @pytest.mark.parametrize("size", SIZES)
    def test_trace_agrees_with_the_gradient_form(self, size):
        """momentum v - step Q (x + momentum v) + step c, in decimals, gives the stored trace."""
        for instance in several(DESCENT, size, "perturbed"):
            d, n = instance.data, len(instance.data.c)
            s, m = number(d.step_size), number(d.momentum)

            def step(state, rounded, d=d, n=n, s=s, m=m):
                x, v = state[:n], state[n:]
                moved = []
                for i in range(n):
                    plain = sum(d.q[i][j] * x[j] for j in range(n))
                    ahead = m * sum(d.q[i][j] * v[j] for j in range(n))
                    moved.append(rounded(m * v[i] - s * plain - s * ahead + s * d.c[i]))
                return [*(rounded(a + b) for a, b in zip(x, moved, strict=True)), *moved]

            follow(instance, DESCENT.start(d), step)

    def test_statement_says_it(self):
        """Where the gradient is taken; the plain method says nothing of it."""
        text = DESCENT.statement(given(DESCENT, replace(BOWL, ahead=True), steps=2, places=4), "final")
        assert "let y_i be x_i + 0.5 * v_i, with both as they were before the step" in text
        assert "the sum of q_ij * y_j over all j, minus c_i (the gradient ahead, at y, not at x)" in text
        assert "y_i" not in DESCENT.statement(given(DESCENT, BOWL, steps=2, places=4), "final")

    def test_the_method_as_it_is_known_is_recalled(self):
        """What the heavy ball gives is wrong, and told as what memory offers."""
        for instance in list(several(DESCENT, "m", "perturbed"))[:5]:
            plain, _ = DESCENT.instance("m", 11, instance.index)
            assert DESCENT.recalled(instance, "final", plain.answer[-1:]) is True
            assert DESCENT.recalled(instance, "final", instance.answer[-1:]) is False
