"""The conjugate gradient method: the state is the point, the residual and the direction."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given as sampled
from hypothesis import settings
from hypothesis import strategies as st

from solvers import registry
from solvers.names import Names
from solvers.numerics.conjugate_gradient import ConjugateGradientData
from solvers.problem import SIZES
from tests.solvers.numerics.handmade import HOSTILE, given, unrounded, vector
from tests.solvers.numerics.second import drawn, follow, number, several

GRADIENT = registry.get("conjugate_gradient")
# x_1 = 1, 2 x_2 = 1 from (0, 0). By hand: r = p = (1, 1), A p = (1, 2), alpha = 2/3, x = (2/3, 2/3), r = (1/3, -1/3),
# beta = (2/9)/2 = 1/9, p = (4/9, -2/9); then alpha = (2/9)/(16/81 + 8/81) = 3/4, x = (1, 1/2), r = p = 0.
SMALL = ConjugateGradientData(a=((1, 0), (0, 2)), b=(1, 1), start=(0, 0))


def parts(row):
    """Return point, residual and direction of a state."""
    n = len(row) // 3
    return row[:n], row[n : 2 * n], row[2 * n :]


def dot(u, v):
    return sum(a * b for a, b in zip(u, v, strict=True))


def test_small_system_by_hand():
    """Two steps end at the solution, with nothing left over; a third is undefined."""
    assert GRADIENT.start(SMALL) == vector(0, 0, 1, 1, 1, 1)
    assert GRADIENT.trace(SMALL, 2, unrounded) == (
        vector("2/3", "2/3", "1/3", "-1/3", "4/9", "-2/9"),
        vector(1, "1/2", 0, 0, 0, 0),
    )
    with pytest.raises(ArithmeticError):
        GRADIENT.step(SMALL, vector(1, "1/2", 0, 0, 0, 0), unrounded)


def test_the_new_residual_is_rounded_before_beta_and_the_direction():
    """With b = (1, 2): alpha = 5/9, r = (4/9, -2/9). At 1 decimal r = (0.4, -0.2), beta = 0.2/5, p = (0.44, -0.12).

    From the unrounded residual p would be (40/81, -10/81), written 0.5 and -0.1.
    """
    d = replace(SMALL, b=(1, 2))
    assert given(GRADIENT, d, steps=1, places=1).answer == (vector("0.6", "1.1", "0.4", "-0.2", "0.4", "-0.1"),)
    assert parts(GRADIENT.trace(d, 1, unrounded)[0])[2] == vector("40/81", "-10/81")


def test_textbook_example():
    """Burden and Faires, section 7.6: the printed points and the first residual; the third point is the solution."""
    (known,) = GRADIENT.famous()
    rows = GRADIENT.trace(known.data, 3, unrounded)
    x, r, _ = parts(rows[0])
    assert [float(v) for v in x] == pytest.approx([3.525773196, 4.407216495, -3.525773196], abs=1e-8)
    assert [float(v) for v in r] == pytest.approx([-3.32474227, -1.73195876, -5.48969072], abs=1e-7)
    assert [float(v) for v in parts(rows[1])[0]] == pytest.approx([2.858011121, 4.148971939, -4.954222164], abs=1e-8)
    assert rows[2] == vector(3, 4, -5, 0, 0, 0, 0, 0, 0)
    found, _ = GRADIENT.instance(known.size, 0, 0, variant="famous")
    assert parts(found.answer[-1])[0] == vector("2.858", "4.149", "-4.955")  # -4.9546 from rounded values


class TestForgetful:
    """The altered method: beta has a factor."""

    def test_by_hand(self):
        """With 1/2, p = (1/3, -1/3) + (1/18) (1, 1) = (7/18, -5/18)."""
        (row,) = GRADIENT.trace(replace(SMALL, memory=Fraction(1, 2)), 1, unrounded)
        assert row == vector("2/3", "2/3", "1/3", "-1/3", "7/18", "-5/18")

    @pytest.mark.parametrize("memory", [Fraction(0), Fraction(3, 10), Fraction(7, 10)])
    def test_every_step_still_goes_to_the_lowest_point(self, memory):
        """The new residual is orthogonal to the direction, whatever the factor; 0 is steepest descent."""
        (known,) = GRADIENT.famous()
        d = replace(known.data, memory=memory)
        p = parts(GRADIENT.start(d))[2]
        for row in GRADIENT.trace(d, 5, unrounded):
            _, r, following = parts(row)
            assert dot(r, p) == 0
            assert memory or following == r
            p = following

    def test_it_tends_to_the_solution(self):
        """Run long with forty decimals, the altered method arrives at what `converged` says."""
        for instance in several(GRADIENT, "m", "perturbed", each=10):
            d, x = instance.data, GRADIENT.start(instance.data)
            for _ in range(200):
                if not any(parts(x)[1]):
                    break
                x = GRADIENT.step(d, x, lambda v: Fraction(round(v * 10**40), 10**40))
            limit = GRADIENT.converged(d, x, 9)
            assert max(abs(v - w) for v, w in zip(x, limit, strict=True)) < Fraction(1, 10**6)

    def test_statement_says_it(self):
        """The factor stands in beta; the plain method has none."""
        text = GRADIENT.statement(given(GRADIENT, replace(SMALL, memory=Fraction(1, 2)), 1, 4), "final")
        assert "let beta be 0.5 * (the sum of the squares of the new, rounded r_i) / (the sum of the squares" in text
        assert "let beta be (the sum of the squares" in GRADIENT.statement(given(GRADIENT, SMALL, 1, 4), "final")


@pytest.mark.parametrize("size", SIZES)
def test_trace_agrees_with_decimals(size):
    """The method as Hestenes and Stiefel write it, in decimals, gives the stored trace."""
    for instance in several(GRADIENT, size):
        d, n, share = instance.data, len(instance.data.b), number(instance.data.memory)
        assert (share == 1) == (instance.variant == "fresh")
        x0 = [Fraction(v) for v in d.start]
        assert GRADIENT.start(d) == (*x0, *[b - dot(row, x0) for row, b in zip(d.a, d.b, strict=True)] * 2)

        def step(state, rounded, d=d, n=n, share=share):
            x, r, p = state[:n], state[n : 2 * n], state[2 * n :]
            energy = sum(d.a[i][j] * p[i] * p[j] for i in range(n) for j in range(n))
            length = dot(r, r)
            x = [rounded((v * energy + length * w) / energy) for v, w in zip(x, p, strict=True)]
            new = []
            for i in range(n):
                column = sum(d.a[j][i] * p[j] for j in range(n))  # A is symmetric
                new.append(rounded((r[i] * energy - length * column) / energy))
            return [*x, *new, *(rounded(v + share * dot(new, new) * w / length) for v, w in zip(new, p, strict=True))]

        follow(instance, GRADIENT.start(d), step)


@pytest.mark.parametrize("size", SIZES)
def test_unrounded_steps_are_conjugate_and_end_at_the_solution(size):
    """Residuals are orthogonal, directions A-orthogonal, and after as many steps as unknowns (or when nothing is left
    over) x solves the system; numpy agrees, and finds A positive definite. The last iterate asked for is not there."""
    for instance in several(GRADIENT, size, "fresh"):
        d, n = instance.data, len(instance.data.b)
        a = np.array(d.a, dtype=float)
        assert (a == a.T).all()
        assert np.linalg.eigvalsh(a)[0] > 0
        solution = np.linalg.solve(a, np.array(d.b, dtype=float))
        assert [float(v) for v in GRADIENT.limit(instance)] == pytest.approx(
            [*solution, *[0] * (2 * n)], abs=0.51 / 10 ** instance.knobs["places"]
        )
        assert instance.knobs["steps"] < n
        states = [GRADIENT.start(d)]
        while any(parts(states[-1])[1]) and len(states) <= n:
            states.append(GRADIENT.step(d, states[-1], unrounded))
        for i, one in enumerate(states):
            for other in states[:i]:
                assert dot(parts(one)[1], parts(other)[1]) == 0
                assert dot(parts(one)[2], [dot(row, parts(other)[2]) for row in d.a]) == 0
        assert not any(parts(states[-1])[1])
        assert [float(v) for v in parts(states[-1])[0]] == pytest.approx(list(solution), abs=1e-9)


def test_statement_holds_every_number_and_the_order_of_rounding():
    """Matrix, right-hand side, the whole start, and which residual beta and the direction use."""
    instance = given(GRADIENT, SMALL, steps=1, places=4)
    text = GRADIENT.statement(instance, "trace")
    for part in (
        *("[1, 0]; b_1 = 1", "[0, 2]; b_2 = 1", "x_1 = 0, x_2 = 0, r_1 = 1, r_2 = 1, p_1 = 1, p_2 = 1"),
        *("(the sum of r_i^2 over all i) / (the sum of p_i * w_i over all i)", "the new x_i is x_i + alpha * p_i"),
        *("the new r_i is r_i - alpha * w_i", "the new p_i is the new, rounded r_i plus beta * p_i"),
        *("The w_i, alpha and beta are not rounded", "Give x_1, x_2, r_1, r_2, p_1, p_2 (in this order)"),
    ):
        assert part in text
    assert GRADIENT.shape(instance, "final").form(Names()).endswith('{"state": [x_1, x_2, r_1, r_2, p_1, p_2]}')


def test_steepest_descent_is_a_local_error_in_the_direction():
    """Who takes the residual for the direction is right in x and r, and then follows a wrong path honestly."""
    (known,) = GRADIENT.famous()
    instance = given(GRADIENT, known.data, steps=2, places=4)
    steepest = given(GRADIENT, replace(known.data, memory=Fraction(0)), steps=1, places=4).answer[0]
    rows = (steepest, GRADIENT.step(known.data, steepest, lambda v: Fraction(round(v * 10**4), 10**4)))
    written = GRADIENT.written(instance, "trace", rows)
    assert [w.label for w in written[:9]] == [*["right"] * 6, *["local"] * 3]
    assert {w.label for w in written[9:]} <= {"propagated", "restored"}
    assert all(w.follows for w in written[9:])


@sampled(st.lists(st.tuples(*[HOSTILE] * 6), min_size=3, max_size=3))
@settings(max_examples=40, deadline=None)
def test_any_numbers_are_judged(rows):
    """Huge, negative and long fractions, and zero residuals, get a label each."""
    instance = given(GRADIENT, replace(SMALL, a=((3, 1), (1, 2))), steps=1, places=4)
    longer = replace(instance, knobs={"steps": 3, "places": 4}, answer=instance.answer * 3)
    assert len(GRADIENT.written(longer, "trace", tuple(rows))) == 18


def test_an_instance_is_stored_and_read_back():
    """Data (with the factor as a fraction) and trace survive JSON."""
    for variant in ("fresh", "perturbed"):
        instance = drawn(GRADIENT, "l", 5, variant)
        assert GRADIENT.load(GRADIENT.dump(instance)) == instance
