"""The logistic map, alone and coupled: chaotic, so that the rounding is part of the problem."""

from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from math import asin, sin, sqrt

import numpy as np
import pytest
from hypothesis import given as sampled
from hypothesis import settings
from hypothesis import strategies as st

from solvers import registry
from solvers.numerics.logistic_map import LogisticData
from solvers.problem import SIZES
from solvers.procedure import resolution
from tests.solvers.numerics.handmade import HOSTILE, given, unrounded, vector
from tests.solvers.numerics.second import drawn, evaluated, follow, several

LOGISTIC = registry.get("logistic_map")
SINGLE = LogisticData(vector("3.9"), None, vector("0.5"))
# r_1 = 3, r_2 = 4, a quarter taken over from the other site. By hand at 4 decimals:
PAIR = given(LOGISTIC, LogisticData(vector(3, 4), Fraction(1, 4), vector("0.5", "0.5")), steps=2, places=4)
TRACE = (
    vector("0.8125", "0.9375"),  # g = 0.75 and 1
    vector("0.4014", "0.29"),  # g = 0.45703125 and 0.234375: 0.4013671875 and 0.2900390625
)


def test_a_single_map_by_hand():
    """3.9 * 0.25 = 0.975, then 3.9 * 0.975 * 0.025 = 0.0950625; at four decimals 0.0951 is what goes on."""
    assert LOGISTIC.trace(SINGLE, 2, unrounded) == (vector("0.975"), vector("0.0950625"))
    rows = given(LOGISTIC, SINGLE, steps=3, places=4).answer
    assert rows == (vector("0.975"), vector("0.0951"), vector("0.3356"))  # 3.9 * 0.0951 * 0.9049 = 0.33561…


def test_a_ring_by_hand():
    """Each site keeps three quarters of its own growth and takes a quarter of its neighbour's."""
    assert PAIR.answer == TRACE


def test_the_last_site_takes_from_the_first():
    """Of three sites, the third one's neighbour is site 1."""
    d = LogisticData(vector(4, 4, 4), Fraction(1, 2), vector("0.5", 0, 0))
    assert LOGISTIC.trace(d, 1, unrounded) == (vector("0.5", 0, "0.5"),)


def test_at_growth_four_it_doubles_angles():
    """x_0 = sin^2 a gives x_k = sin^2(2^k a) (Ulam and von Neumann 1947)."""
    d = LogisticData(vector(4), None, vector("0.3"))
    rows = LOGISTIC.trace(d, 8, unrounded)
    angle = asin(sqrt(0.3))
    assert [float(x) for (x,) in rows] == pytest.approx([sin(2**k * angle) ** 2 for k in range(1, 9)])


def test_where_it_is_not_chaotic_it_has_a_limit():
    """At growth 2 the fixed point 1 - 1/2 attracts; from growth 3 on none does."""
    tame = given(LOGISTIC, LogisticData(vector(2), None, vector("0.2")), steps=2, places=4)
    assert LOGISTIC.limit(tame) == vector("0.5")
    assert LOGISTIC.template_answer(tame, "final") == (vector("0.5"),)
    assert LOGISTIC.limit(given(LOGISTIC, SINGLE, steps=2, places=4)) is None


@pytest.mark.parametrize("size", SIZES)
def test_nothing_comes_to_rest(size):
    """In floating point, no instance's values settle within a thousand steps: there is no limit to be guessed."""
    for instance in several(LOGISTIC, size):
        d = instance.data
        growth, x, harvest = np.array(d.growth, float), np.array(d.start, float), float(d.harvest)
        share = float(d.coupling or 0)
        for _ in range(1000):
            before, grown = x, growth * x * (1 - x) - harvest
            x = (1 - share) * grown + share * np.roll(grown, -1)
        assert max(abs(x - before)) > 1e-3
        assert LOGISTIC.limit(instance) is None


def test_the_rounding_decides():
    """Of forty single maps, nearly all leave the exact trace visibly within 20 steps because of four decimals."""
    left = 0
    for index in range(40):
        d = LOGISTIC.draw(LOGISTIC.sizes["s"], LOGISTIC.stream("s", 3, index, 0))
        rows, x, unit = given(LOGISTIC, d, steps=20, places=4).answer, float(d.start[0]), resolution(4)
        for (row,) in rows:
            x = float(d.growth[0]) * x * (1 - x)
            if abs(row - Fraction(x)) > unit:
                left += 1
                break
    assert left >= 36


@pytest.mark.parametrize("size", ["m", "l", "xl"])
def test_sites_do_not_come_to_agree(size):
    """The last values of no two sites are equal on more than a few instances."""
    equal = [len(set(i.answer[-1])) < len(i.answer[-1]) for i in several(LOGISTIC, size, "fresh", each=50)]
    assert sum(equal) <= 2


class TestHarvest:
    """The altered method: something is taken away in each step."""

    def test_by_hand(self):
        """0.975 - 0.05; and from both growths of a ring alike."""
        assert LOGISTIC.trace(replace(SINGLE, harvest=Fraction(1, 20)), 1, unrounded) == (vector("0.925"),)
        ring = replace(PAIR.data, harvest=Fraction(1, 20))
        assert LOGISTIC.trace(ring, 1, unrounded) == (vector("0.7625", "0.8875"),)

    def test_statement_says_it(self):
        """What is taken away stands in the formula, and nothing is without it."""
        single = given(LOGISTIC, replace(SINGLE, harvest=Fraction(1, 20)), 2, 4)
        assert "the new x is 3.9 * x * (1 - x) - 0.05, with" in LOGISTIC.statement(single, "final")
        ring = given(LOGISTIC, replace(PAIR.data, harvest=Fraction(1, 20)), 2, 4)
        assert "let g_i be r_i * x_i * (1 - x_i) - 0.05, not rounded" in LOGISTIC.statement(ring, "final")
        assert "let g_i be r_i * x_i * (1 - x_i), not rounded" in LOGISTIC.statement(PAIR, "final")


@pytest.mark.parametrize("size", SIZES)
def test_the_written_formulas_give_the_trace(size):
    """Growth, coupling and formulas as they stand in the statement, computed in decimals, give every iterate."""
    for instance in several(LOGISTIC, size):
        text = LOGISTIC.statement(instance, "trace")
        n = len(instance.data.start)

        def single(x, rounded, text=text):
            return [rounded(evaluated(text.split("the new x is ")[1].split(", with")[0], {"x": x[0]}))]

        def ring(x, rounded, text=text, n=n):
            growth = [Decimal(text.split(f"r_{i} = ")[1].split(" ")[0].rstrip(",")) for i in range(1, n + 1)]
            formula = text.split("let g_i be ")[1].split(", not")[0]
            grown = [evaluated(formula, {"r_i": r, "x_i": v}) for r, v in zip(growth, x, strict=True)]
            new = text.split("The new x_i is ")[1].split(";")[0].replace("g_(i+1)", "g_next")
            assert f"; in place of g_{n + 1} stands g_1." in text
            pairs = zip(grown, [*grown[1:], grown[0]], strict=True)
            return [rounded(evaluated(new, {"g_i": own, "g_next": other})) for own, other in pairs]

        follow(instance, LOGISTIC.start(instance.data), single if n == 1 else ring)


def test_statement_holds_every_number():
    """Growth of each site, coupling, start, and that no new value uses another."""
    text = LOGISTIC.statement(PAIR, "trace")
    for part in (
        "with growth r_1 = 3, r_2 = 4 and coupling 0.25; x_i is the value at site i.",
        "Start: x_1 = 0.5, x_2 = 0.5.",
        "with x_i as it was before the step. The new x_i is 0.75 * g_i + 0.25 * g_(i+1); in place of g_3 stands g_1.",
    ):
        assert part in text
    assert "growth r = 3.9." in LOGISTIC.statement(given(LOGISTIC, SINGLE, 2, 4), "trace")


def test_using_the_new_neighbour_is_a_local_error():
    """A second value of 3/4 + 3 * 0.8125 * 0.1875 / 4 = 0.8643 uses the new first one; what follows is propagated."""
    second = "0.8643"
    grown = [3 * Fraction("0.8125") * Fraction("0.1875"), 4 * Fraction(second) * (1 - Fraction(second))]
    own = [round(float(3 * a + b) / 4, 4) for a, b in (grown, grown[::-1])]
    rows = (vector("0.8125", second), vector(*map(str, own)))
    assert [w.label for w in LOGISTIC.written(PAIR, "trace", rows)] == ["right", "local", "propagated", "propagated"]


@sampled(st.lists(st.tuples(HOSTILE, HOSTILE), min_size=2, max_size=2))
@settings(max_examples=40, deadline=None)
def test_any_numbers_are_judged(rows):
    """Huge, negative and long fractions get a label each."""
    assert len(LOGISTIC.written(PAIR, "trace", tuple(rows))) == 4


def test_an_instance_is_stored_and_read_back():
    """Data (growth, coupling or none, harvest) and trace survive JSON."""
    for size in ("s", "xl"):
        for variant in ("fresh", "perturbed"):
            instance = drawn(LOGISTIC, size, 5, variant)
            assert LOGISTIC.load(LOGISTIC.dump(instance)) == instance
