"""Damped Newton: one polynomial, or two quadratics in x and y."""

import re
from dataclasses import replace
from fractions import Fraction
from math import prod

import pytest
from hypothesis import given as sampled
from hypothesis import settings
from hypothesis import strategies as st

from solvers import registry
from solvers.numerics.newton import MONOMIALS, NewtonData
from solvers.problem import SIZES, Hole, Instance
from tests.solvers.numerics.handmade import HOSTILE, given, nearest, unrounded, vector
from tests.solvers.numerics.second import evaluated, follow, number, several

NEWTON = registry.get("newton")
FULL = Fraction(1)
ROOT = NewtonData(equations=((1, 0, -2),), start=(1,), damping=FULL)  # x^2 = 2
CURVES = NewtonData(  # x^2 + y^2 = 4 and x y = 1
    equations=((1, 0, 1, 0, 0, -4), (0, 1, 0, 0, 0, -1)), start=(2, 0), damping=FULL
)


def drawn(size: str, seed: int, index: int) -> Instance:
    """Return an accepted instance."""
    found, _ = NEWTON.instance(size, seed, index)
    assert isinstance(found, Instance)
    return found


def test_square_root_of_two():
    """The classical 1, 3/2, 17/12, 577/408."""
    assert NEWTON.trace(ROOT, 3, unrounded) == (vector("3/2"), vector("17/12"), vector("577/408"))


def test_newtons_own_cubic():
    """x^3 - 2 x - 5 from 2 (Newton 1669, Wallis 1685): f = -1, f' = 10, so 2.1; then 2.1 - 0.061/11.23."""
    data = NewtonData(equations=((1, 0, -2, -5),), start=(2,), damping=FULL)
    assert NEWTON.trace(data, 2, unrounded) == (
        vector("2.1"),
        (Fraction("2.1") - Fraction("0.061") / Fraction("11.23"),),
    )
    assert NEWTON.converged(data, vector(2), 10) == vector("2.0945514815")


def test_damping_shortens_the_step():
    """Half of the step from 1 to 3/2, then from 5/4: 5/4 - (1/2) (25/16 - 2)/(5/2) = 107/80."""
    data = replace(ROOT, damping=Fraction(1, 2))
    assert NEWTON.trace(data, 2, unrounded) == (vector("5/4"), vector("107/80"))


def test_two_curves_by_hand():
    """At (2, 0): F = 0, G = -1, J = ((4, 0), (0, 2)), so (2, 1/2); there F = 1/4, G = 0, J = ((4, 1), (1/2, 2))."""
    assert NEWTON.trace(CURVES, 2, unrounded) == (vector(2, "1/2"), vector("29/15", "31/60"))
    assert NEWTON.trace(replace(CURVES, damping=Fraction(1, 2)), 1, unrounded) == (vector(2, "1/4"),)


def test_rounding_comes_after_both_components():
    """29/15 and 31/60 at 2 decimals; the second is not computed from a rounded first."""
    assert given(NEWTON, CURVES, steps=2, places=2).answer == (vector(2, "0.5"), vector("1.93", "0.52"))


def values(d, at):
    """Return the value of each equation, power by power."""
    powers = [(k,) for k in range(len(d.equations[0]) - 1, -1, -1)] if len(at) == 1 else MONOMIALS
    return [
        sum(
            c * prod(v**e for v, e in zip(at, exponents, strict=True)) for c, exponents in zip(row, powers, strict=True)
        )
        for row in d.equations
    ]


@sampled(st.sampled_from(SIZES), st.integers(0, 10**6))
@settings(max_examples=25, deadline=None)
def test_trace_agrees_with_differences_and_elimination(size, index):
    """Derivatives from exact difference quotients and a linear system solved by elimination give the stored trace."""
    instance = drawn(size, 11, index)
    d, places = instance.data, instance.knobs["places"]

    def slopes(at, k):
        """Richardson on central differences: exact for polynomials up to degree 4."""

        def central(h):
            ahead, behind = list(at), list(at)
            ahead[k] += h
            behind[k] -= h
            return [(v - w) / (2 * h) for v, w in zip(values(d, ahead), values(d, behind), strict=True)]

        return [(4 * v - w) / 3 for v, w in zip(central(1), central(2), strict=True)]

    x = [Fraction(v) for v in d.start]
    for row in instance.answer:
        f, columns = values(d, x), [slopes(x, k) for k in range(len(x))]
        if len(x) == 1:
            move = [f[0] / columns[0][0]]
        else:
            (a, c), (b, e) = columns
            if a == 0:
                a, b, c, e, f = c, e, a, b, f[::-1]
            second = (f[1] - c / a * f[0]) / (e - c / a * b)
            move = [(f[0] - b * second) / a, second]
        x = [nearest(v - d.damping * m, places) for v, m in zip(x, move, strict=True)]
        assert tuple(x) == row


@pytest.mark.parametrize("size", SIZES)
def test_drawn_iterations_tend_to_a_root_that_they_have_not_reached(size):
    """The equations vanish at the limit (to its decimals), and the last iterate is visibly elsewhere."""
    for index in range(10):
        instance = drawn(size, 7, index)
        places = instance.knobs["places"]
        fine = NEWTON.converged(instance.data, instance.answer[-1], 20)
        assert all(abs(value) < Fraction(1, 10**15) for value in values(instance.data, fine))
        assert NEWTON.limit(instance) == tuple(nearest(v, places) for v in fine)
        distance = [abs(v - w) for v, w in zip(instance.answer[-1], fine, strict=True)]
        assert max(distance) > Fraction(9, 10**places)


def test_statement_holds_functions_derivatives_and_damping():
    """What a reader needs to compute by hand, and that both components use the old state."""
    text = NEWTON.statement(given(NEWTON, replace(CURVES, damping=Fraction(1, 2)), steps=2, places=4), "final")
    for part in (
        *("F = x^2 + y^2 - 4\n", "G = x * y - 1\n"),
        *("F_x = 2 * x\n", "F_y = 2 * y\n", "G_x = y\n", "G_y = x\n"),
        *("damping is 0.5.", "x - 0.5 * (F * G_y - G * F_y) / D", "y - 0.5 * (G * F_x - F * G_x) / D"),
        *("Start: x = 2, y = 0.", "does not use the new x"),
    ):
        assert part in text
    scalar = NEWTON.statement(given(NEWTON, ROOT, steps=1, places=4), "final")
    assert "f(x) = x^2 - 2\n" in scalar
    assert "f'(x) = 2 * x." in scalar


@pytest.mark.parametrize("size", SIZES)
def test_the_written_formulas_evaluate_to_the_trace(size):
    """The text itself, read as arithmetic, gives every stored iterate."""
    for index in range(5):
        instance = drawn(size, 5, index)
        lines = NEWTON.statement(instance, "trace").splitlines()
        formulas = dict(line.rstrip(".").split(" = ", 1) for line in lines if line[:1] in "FGf" and " = " in line)
        say = next(line for line in lines if line.startswith("One step: ")).removeprefix("One step: ")
        updates = dict(re.findall(r"new ([xy]) is (.+?)(?:;|, with|\. )", say.replace("f(x) / f'(x)", "f / slope")))
        names = {"f(x)": "f", "f'(x)": "slope"}
        x = dict(zip("xy", map(Fraction, instance.data.start), strict=False))
        for row in instance.answer:
            known = dict(x)
            for name, formula in formulas.items():
                known[names.get(name, name)] = evaluated(formula, x)
            if "F_x" in known:
                known["D"] = known["F_x"] * known["G_y"] - known["F_y"] * known["G_x"]
            x = {v: nearest(evaluated(updates[v], known), instance.knobs["places"]) for v in x}
            assert tuple(x.values()) == row


def test_a_stationary_point_of_ones_own_is_a_wrong_iterate():
    """f'(0) = 0: nothing follows from a wrong 0, so whatever comes next is a local error."""
    instance = given(NEWTON, replace(ROOT, damping=Fraction(1, 2)), steps=3, places=4)
    written = NEWTON.written(instance, "trace", (vector(0), vector("0.6"), vector("1.1333")))
    # 0.6 - (1/2) (0.36 - 2)/1.2 = 1.28333…: 1.1333 does not follow either
    assert [(w.label, w.follows, w.attractor) for w in written] == [
        ("local", False, "nice"),
        ("local", False, "nice"),
        ("local", False, "none"),
    ]


def test_jump_to_the_root_and_full_steps_are_told_apart():
    """With damping 1/2, 1.4142 is the limit; 1.5 is the undamped step, a local error that is a nice number."""
    instance = given(NEWTON, replace(ROOT, damping=Fraction(1, 2)), steps=3, places=4)
    jump = NEWTON.written(instance, "trace", (vector("1.4142"),) * 3)
    assert [(w.label, w.attractor) for w in jump] == [
        ("local", "converged"),
        ("propagated", "converged"),
        ("propagated", "converged"),
    ]
    assert NEWTON.written(instance, "trace", (vector("1.5"),))[0].attractor == "nice"


@sampled(st.lists(st.tuples(HOSTILE, HOSTILE), min_size=3, max_size=3))
@settings(max_examples=40, deadline=None)
def test_any_numbers_are_judged(rows):
    """Huge, negative and long fractions, and singular Jacobians of one's own, get a label each."""
    instance = given(NEWTON, replace(CURVES, damping=Fraction(1, 2)), steps=3, places=4)
    assert len(NEWTON.written(instance, "trace", tuple(rows))) == 6


@pytest.mark.parametrize("size", ["s", "m"])
def test_an_instance_is_stored_and_read_back(size):
    """Data (with the damping as a fraction) and trace survive JSON."""
    instance = drawn(size, 3, 5)
    assert NEWTON.load(NEWTON.dump(instance)) == instance


class TestTamed:
    """The altered method: a correction is shortened the more, the larger it is."""

    def test_by_hand(self):
        """x^2 = 2 from 1: c = -1/2, shortened to -(1/2)/(1 + 1/4) = -2/5; at 7/5, c = -(1/25)/(14/5) = -1/70."""
        assert NEWTON.trace(replace(ROOT, tamed=Fraction(1, 2)), 2, unrounded) == (
            vector("7/5"),
            (Fraction(7, 5) + Fraction(1, 70) / (1 + Fraction(1, 140)),),
        )

    def test_two_curves_by_hand(self):
        """From (2, 0), where F = 0, G = -1, the correction is (0, -1/2): half of it, over 3/2."""
        data = replace(CURVES, tamed=Fraction(1), damping=Fraction(1, 2))
        assert NEWTON.trace(data, 1, unrounded) == (vector(2, "1/6"),)

    def test_both_components_are_shortened_alike(self):
        """At (2, 1/2) the correction of the two curves is (1/15, -1/60): their sizes add up to 1/12."""
        data = replace(CURVES, start=(2, 1), tamed=Fraction(1))  # F = 1, G = 1, J = ((4, 2), (1, 2)), c = (0, 1/2)
        assert NEWTON.trace(data, 1, unrounded) == (vector(2, "2/3"),)
        full = (Fraction(1, 15), -Fraction(1, 60))
        assert NEWTON.step(data, vector(2, "1/2"), unrounded) == tuple(
            x - c / (1 + Fraction(1, 12)) for x, c in zip(vector(2, "1/2"), full, strict=True)
        )

    @pytest.mark.parametrize(("size", "each"), [("xs", 70), ("s", 70), ("m", 40), ("l", 10), ("xl", 10)])
    def test_trace_agrees_with_differences_and_cramers_rule(self, size, each):
        """J c = F solved by Cramer's rule, J by exact differences, and |c| as a root of squares, in decimals."""
        for instance in several(NEWTON, size, "perturbed", each=each):
            d = instance.data
            assert d.tamed > 0

            def move(x, rounded, d=d):
                at, n = [Fraction(v) for v in x], len(x)

                def slopes(k):
                    """Richardson on central differences: exact for polynomials up to degree 4."""

                    def central(h):
                        sides = [values(d, [v + sign * h * (j == k) for j, v in enumerate(at)]) for sign in (1, -1)]
                        return [(v - w) / (2 * h) for v, w in zip(*sides, strict=True)]

                    return [number((4 * b - a) / 3) for a, b in zip(central(2), central(1), strict=True)]

                f = [number(v) for v in values(d, at)]
                if n == 1:
                    c = [f[0] / slopes(0)[0]]
                else:
                    (p, r), (q, s) = slopes(0), slopes(1)
                    c = [(f[0] * s - f[1] * q) / (p * s - q * r), (f[1] * p - f[0] * r) / (p * s - q * r)]
                size = sum((v * v).sqrt() for v in c)
                return [
                    rounded(v - number(d.damping) * w / (1 + number(d.tamed) * size)) for v, w in zip(x, c, strict=True)
                ]

            follow(instance, NEWTON.start(d), move)

    @pytest.mark.parametrize("size", SIZES)
    def test_few_indexes_are_left_without(self, size):
        """At most one index in twenty has no altered twin."""
        found = [NEWTON.instance(size, 7, index, variant="perturbed")[0] for index in range(60)]
        assert sum(isinstance(one, Hole) for one in found) <= 3

    def test_statement_says_it(self):
        """In one unknown and in two: the correction and what it is divided by."""
        scalar = given(NEWTON, replace(ROOT, tamed=Fraction(3, 4)), steps=2, places=4)
        text = NEWTON.statement(scalar, "final")
        assert "compute the correction c = f(x) / f'(x), with x as it was before the step." in text
        assert "The new x is x - 1 * c / (1 + 0.75 * |c|)." in text
        curves = given(NEWTON, replace(CURVES, tamed=Fraction(1, 4)), steps=2, places=4)
        text = NEWTON.statement(curves, "final")
        assert (
            "c = (F * G_y - G * F_y) / D and e = (G * F_x - F * G_x) / D; compute s = 1 + 0.25 * (|c| + |e|)." in text
        )
        assert "The new x is x - 1 * c / s; the new y is y - 1 * e / s." in text
        assert "correction" not in NEWTON.statement(given(NEWTON, CURVES, steps=2, places=4), "final")

    def test_the_method_as_it_is_known_is_recalled(self):
        """What Newton's own correction gives is wrong for the shortened one, and told as what memory offers."""
        for instance in list(several(NEWTON, "m", "perturbed"))[:5]:
            plain, _ = NEWTON.instance("m", 11, instance.index)
            assert NEWTON.recalled(instance, "final", plain.answer[-1:]) is True
            assert NEWTON.recalled(instance, "final", instance.answer[-1:]) is False


def test_textbook_example():
    """Burden and Faires, section 2.3, exercises: f = x^2 - 6, p_0 = 1; p_1 = 3.5, p_2 = 2.60714."""
    (known,) = NEWTON.famous()
    found, _ = NEWTON.instance(known.size, 0, 0, variant="famous")
    assert found.answer == (vector("3.5"), vector("2.607"))
    assert [float(v) for (v,) in NEWTON.trace(known.data, 2, unrounded)] == pytest.approx([3.5, 2.60714], abs=5e-6)
