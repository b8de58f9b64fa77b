"""Linear congruential generators: whole numbers, nothing is rounded."""

import re
from dataclasses import replace
from decimal import Decimal
from math import gcd

import pytest
from hypothesis import given as sampled
from hypothesis import settings
from hypothesis import strategies as st

from solvers import registry
from solvers.numerics.linear_congruential import CongruentialData
from solvers.problem import SIZES, examine
from tests.solvers.numerics.handmade import HOSTILE, given, unrounded, vector
from tests.solvers.numerics.second import drawn, follow, several

LCG = registry.get("linear_congruential")
# 7 * 3 + 4 = 25 = 2 * 11 + 3, a fixed point; 5 * 2 + 9 = 19 = 11 + 8, 5 * 8 + 9 = 49 = 4 * 11 + 5, 34 = 33 + 1
TWO = CongruentialData(modulus=11, factor=(7, 5), shift=(4, 9), start=(3, 2))
PAIR = given(LCG, TWO, steps=3, places=0)


def test_two_generators_by_hand():
    """Each goes its own way: the first stands still, the second gives 8, 5, 1."""
    assert PAIR.answer == (vector(3, 8), vector(3, 5), vector(3, 1))


def test_knuths_example():
    """Knuth, section 3.2.1: m = 10, X_0 = a = c = 7 gives 7, 6, 9, 0, 7, 6, 9, 0, ..."""
    (known,) = LCG.famous()
    assert (known.data.modulus, known.data.factor, known.data.shift, known.data.start) == (10, (7,), (7,), (7,))
    assert [x for (x,) in LCG.trace(known.data, 8, unrounded)] == [6, 9, 0, 7, 6, 9, 0, 7]
    assert LCG.converged(known.data, vector(7), 0) is None


class TestWholeNumbers:
    """What belongs to whole numbers: no rounding, no number nicer than another, any difference visible."""

    def test_nothing_is_said_to_be_rounded(self):
        """The statement says so, and the answer is asked for as whole numbers."""
        text = LCG.statement(PAIR, "trace")
        assert "Every value is a whole number: nothing is rounded." in text
        assert "must equal exactly the value that these rules give" in text
        assert "decimals" not in text
        assert "as whole numbers" in LCG.shape(PAIR, "trace").form(PAIR.names)

    def test_only_the_number_itself_is_right(self):
        """One more or less is wrong, in either mode, and so is what lies between two whole numbers."""
        for wrong in (vector(3, 2), vector(3, 0), vector(4, 1), vector(2, 1), vector(3, "1.5"), vector("2.5", 1)):
            checks = examine(LCG.constraints(PAIR, "final"), (wrong,))
            assert [c.satisfied for c in checks] == [wrong[0] == 3, wrong[1] == 1]

    @pytest.mark.parametrize(
        ("value", "attractor"), [(2, "start"), (8, "other_iterate"), (5, "other_iterate"), (0, "none"), (9, "none")]
    )
    def test_what_a_wrong_number_is(self, value, attractor):
        """It may be the start or an earlier number; a whole number is nothing nice by itself."""
        found = LCG.written(PAIR, "final", (vector(3, value),))
        assert [w.attractor for w in found] == [None, attractor]

    def test_a_resting_generator_has_a_limit(self):
        """From 1, 2x mod 8 gives 2, 4, 0, 0: the template answers 0. What cycles has no limit, and no template."""
        doubling = CongruentialData(modulus=8, factor=(2,), shift=(0,), start=(1,))
        rests = given(LCG, doubling, steps=2, places=0)
        assert LCG.limit(rests) == vector(0)
        assert LCG.template_answer(rests, "trace") == (vector(0), vector(0))
        cycles = given(LCG, replace(doubling, factor=(3,)), steps=2, places=0)
        assert LCG.limit(cycles) is None
        assert LCG.template_answer(cycles, "final") is None


class TestCarried:
    """The altered method: a multiple of the quotient is added."""

    def test_by_hand(self):
        """25 = 2 * 11 + 3 gives 3 + 3 * 2 = 9; 19 = 1 * 11 + 8 gives 8 + 3 = 11, that is 0."""
        assert LCG.trace(replace(TWO, carried=3), 1, unrounded) == (vector(9, 0),)

    def test_statement_says_it(self):
        """Quotient, remainder, and what is made of them."""
        text = LCG.statement(given(LCG, replace(TWO, carried=3), 2, 0), "final")
        assert "divide a_i * x_i + c_i by 11, with quotient q_i (rounded down) and remainder r_i." in text
        assert "The new x_i is the remainder of r_i + 3 * q_i on division by 11." in text
        assert "q_i" not in LCG.statement(PAIR, "final")


def generators(text):
    """Return modulus, factors and shifts as a statement gives them."""
    modulus = int(re.search(r"modulus m = (\d+)", text)[1])
    return modulus, *([int(v) for v in re.findall(rf"{name} = (\d+)", text)] for name in ("a(?:_\\d)?", "c(?:_\\d)?"))


@pytest.mark.parametrize("size", SIZES)
def test_the_written_numbers_give_the_trace(size):
    """Modulus, factors and shifts as they stand in the statement, in decimals, give every number."""
    for instance in several(LCG, size):
        text = LCG.statement(instance, "trace")
        m, factors, shifts = generators(text)
        carried = int((re.search(r"r(?:_i)? \+ (\d+) \* q", text) or [0, 0])[1])
        assert len(factors) == len(shifts) == len(instance.data.start)
        assert (carried == 0) == (instance.variant == "fresh")
        assert f"on division by {m}." in text

        def step(x, rounded, m=m, factors=factors, shifts=shifts, carried=carried):
            new = []
            for v, a, c in zip(x, factors, shifts, strict=True):
                quotient, rest = divmod(a * v + c, Decimal(m))
                new.append((rest + carried * quotient) % m)
            assert new == [rounded(v) for v in new]
            return new

        follow(instance, LCG.start(instance.data), step)


@pytest.mark.parametrize("size", SIZES)
def test_the_trace_is_a_jump(size):
    """Knuth, section 3.2.1, (6): X_k = a^k X_0 + c (a^k - 1) / (a - 1) mod m."""
    for instance in several(LCG, size, "fresh"):
        d = instance.data
        for k, row in enumerate(instance.answer, 1):
            for x, a, c, start in zip(row, d.factor, d.shift, d.start, strict=True):
                powers = (pow(a, k, d.modulus * (a - 1)) - 1) // (a - 1)
                assert x == (pow(a, k, d.modulus) * start + c * powers) % d.modulus


@pytest.mark.parametrize("size", SIZES)
def test_no_factor_shares_a_divisor_with_its_modulus(size):
    """So each generator is a permutation of the remainders: what is asked for follows from one number only."""
    for instance in several(LCG, size, "fresh"):
        assert all(gcd(a, instance.data.modulus) == 1 and a > 1 for a in instance.data.factor)


def test_statement_holds_every_number():
    """Modulus, factors, shifts and start."""
    text = LCG.statement(PAIR, "trace")
    for part in (
        "2 linear congruential generators have the modulus m = 11; x_i is generator i's.",
        *("generator 1: factor a_1 = 7, shift c_1 = 4", "generator 2: factor a_2 = 5, shift c_2 = 9"),
        *("Start: x_1 = 3, x_2 = 2.", "the new x_i is the remainder of a_i * x_i + c_i on division by 11."),
    ):
        assert part in text
    (known,) = LCG.famous()
    single = LCG.statement(given(LCG, known.data, 2, 0), "trace")
    assert "has the modulus m = 10, the factor a = 7 and the shift c = 7." in single
    assert "the new x is the remainder of a * x + c on division by 10." in single


def test_a_slip_is_local_and_goes_on():
    """7 in place of 8; 5 * 7 + 9 = 44 = 4 * 11 gives 0, and then 9: both follow from the slip."""
    rows = (vector(3, 7), vector(3, 0), vector(3, 9))
    written = LCG.written(PAIR, "trace", rows)
    assert [w.label for w in written[1::2]] == ["local", "propagated", "propagated"]
    assert [w.label for w in written[::2]] == ["right", "restored", "restored"]


@sampled(st.lists(st.tuples(HOSTILE, HOSTILE), min_size=3, max_size=3))
@settings(max_examples=40, deadline=None)
def test_any_numbers_are_judged(rows):
    """Huge, negative and long fractions get a label each."""
    assert len(LCG.written(PAIR, "trace", tuple(rows))) == 6


def test_an_instance_is_stored_and_read_back():
    """Data and trace survive JSON."""
    for variant in ("fresh", "perturbed"):
        instance = drawn(LCG, "xl", 5, variant)
        assert LCG.load(LCG.dump(instance)) == instance
        assert all(v.denominator == 1 for row in instance.answer for v in row)
