"""Lloyd's iteration: assign points to the nearest centre, move centres to the mean of their points."""

import re
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given as sampled
from hypothesis import settings
from hypothesis import strategies as st
from scipy.cluster.vq import ClusterError, kmeans2

from solvers import registry
from solvers.numerics.k_means import KMeansData
from solvers.problem import SIZES
from solvers.procedure import visible
from tests.solvers.numerics.handmade import HOSTILE, given, unrounded, vector
from tests.solvers.numerics.second import drawn, follow, several

MEANS = registry.get("k_means")
# Points on a line and centres at 0 and 2; by hand at 3 decimals:
LINE = KMeansData(points=((0, 0), (2, 0), (4, 0), (9, 0)), start=((0, 0), (2, 0)))
SMALL = given(MEANS, LINE, steps=3, places=3)
TRACE = (
    vector(0, 5, 0, 0, 53),  # {0}, {2, 4, 9}; 0 + 0 + 4 + 49
    vector(1, "6.5", 0, 0, 21),  # {0, 2}, {4, 9}; 0 + 4 + 1 + 16
    vector(1, "6.5", 0, 0, "14.5"),  # the same ones: 4 is 3 from 1 and 2.5 from 6.5; 1 + 1 + 6.25 + 6.25
)


def test_a_line_by_hand():
    """The point 2 goes over to the first centre in the second step; then the centres stand still."""
    assert SMALL.answer == TRACE
    assert MEANS.limit(SMALL) == TRACE[-1]


def test_of_centres_at_the_same_distance_the_first_takes_the_point():
    """The point 1 lies between 0 and 2, whatever their order."""
    for start in (((0, 0), (2, 0)), ((2, 0), (0, 0))):
        d = KMeansData(points=((0, 0), (1, 0), (2, 0)), start=start)
        first = Fraction(1, 2) if start[0] == (0, 0) else Fraction(3, 2)
        assert MEANS.trace(d, 1, unrounded) == ((first, Fraction(start[1][0]), 0, 0, 1),)


def test_a_centre_without_points_stays():
    """The second centre is far away: it keeps its place, and its second coordinate."""
    d = KMeansData(points=((0, 0), (3, 3)), start=((1, 1), (50, 7)))
    assert MEANS.trace(d, 2, unrounded) == (vector("1.5", 50, "1.5", 7, 10), vector("1.5", 50, "1.5", 7, 9))


def test_textbook_exercise():
    """Han and Kamber: centres after the first round (2, 10), (6, 6), (1.5, 3.5); the final clusters are {A1, B1, C2},
    {A3, B2, B3} and {A2, C1}."""
    (known,) = MEANS.famous()
    rows = MEANS.trace(known.data, 2, unrounded)
    assert rows[0][:-1] == vector(2, 6, "1.5", 10, 6, "3.5")
    assert rows[1][:-1] == vector(3, "6.5", "1.5", "9.5", "5.25", "3.5")
    a1, a2, a3, b1, b2, b3, c1, c2 = known.data.points
    final = [np.mean(cluster, axis=0) for cluster in ([a1, b1, c2], [a3, b2, b3], [a2, c1])]
    limit = MEANS.converged(known.data, MEANS.start(known.data), 9)
    assert [float(v) for v in limit[:-1]] == pytest.approx([c[axis] for axis in (0, 1) for c in final], abs=1e-9)


class TestShare:
    """The altered method: a centre moves a share of the way."""

    def test_by_hand(self):
        """From 2, 0.5 of the way to 5 is 3.5; then {0, 2} has the mean 1, and {4, 9} the mean 6.5."""
        rows = MEANS.trace(replace(LINE, share=Fraction(1, 2)), 2, unrounded)
        assert rows == (vector(0, "3.5", 0, 0, 53), vector(0, "4.25", 0, 0, "32.75"))  # 2 is 1.5 from 3.5: it stays

    def test_statement_says_it(self):
        """The share and what it is a share of."""
        text = MEANS.statement(given(MEANS, replace(LINE, share=Fraction(1, 2)), 2, 3), "final")
        assert "the new x_i is x_i + 0.5 * (m_i - x_i) and the new y_i is y_i + 0.5 * (n_i - y_i), with x_i" in text
        assert "the new x_i is m_i and the new y_i is n_i. A centre without" in MEANS.statement(SMALL, "final")


def cloud(instance):
    """Return the points and the share as a statement gives them."""
    text = MEANS.statement(instance, "trace")
    points = [tuple(map(Decimal, row)) for row in re.findall(r"^point \d+: \((\d+), (\d+)\)$", text, re.MULTILINE)]
    share = re.search(r"the new x_i is x_i \+ (\S+) \*", text)
    return points, Decimal(share[1]) if share else Decimal(1)


@pytest.mark.parametrize("size", SIZES)
def test_the_written_points_give_the_trace(size):
    """Points and share as they stand in the statement, in decimals, by comparing all distances, give every iterate."""
    for instance in several(MEANS, size, each=20):
        points, share = cloud(instance)
        k = len(instance.data.start)
        assert len(points) == len(instance.data.points)
        assert (share == 1) == (instance.variant == "fresh")

        def step(x, rounded, points=points, share=share, k=k):
            centres = list(zip(x[:k], x[k : 2 * k], strict=True))
            groups, error = {c: [] for c in range(k)}, Decimal(0)
            for p, q in points:
                distance, c = min(((p - a) ** 2 + (q - b) ** 2, c) for c, (a, b) in enumerate(centres))
                groups[c].append((p, q))
                error += distance
            moved = list(centres)
            for c, group in groups.items():
                if group:
                    means = [sum(column) / len(group) for column in zip(*group, strict=True)]
                    moved[c] = [
                        rounded((1 - share) * old + share * m) for old, m in zip(centres[c], means, strict=True)
                    ]
            return [*(a for a, _ in moved), *(b for _, b in moved), rounded(error)]

        follow(instance, MEANS.start(instance.data), step)


@pytest.mark.parametrize("size", SIZES)
def test_it_ends_where_scipys_ends(size):
    """The limit's centres are those of scipy's k-means from the same start, wherever no cluster becomes empty."""
    compared = 0
    for instance in several(MEANS, size, "fresh"):
        d, places = instance.data, instance.knobs["places"]
        try:
            centres, _ = kmeans2(np.array(d.points, float), np.array(d.start, float), iter=60, missing="raise")
        except ClusterError:
            continue
        compared += 1
        limit = MEANS.limit(instance)
        assert [float(v) for v in limit[:-1]] == pytest.approx(list(centres.T.ravel()), abs=0.51 / 10**places)
    assert compared >= 20


@pytest.mark.parametrize("size", SIZES)
def test_it_is_still_under_way(size):
    """In the last step centres move, and they have some way to go; the error never rises, but for the rounding (of 30
    points up to 40 away)."""
    for instance in several(MEANS, size, each=12):
        places, centres = instance.knobs["places"], [x[:-1] for x in (MEANS.start(instance.data), *instance.answer)]
        assert centres[-1] != centres[-2]
        assert visible(centres[-1], MEANS.limit(instance)[:-1], places)
        errors = [x[-1] for x in instance.answer]
        assert all(late <= early + Fraction(1, 10) for early, late in pairwise(errors))


def test_statement_holds_every_number():
    """Points, start, the rule for ties and the one for a centre without points, and what the error sums."""
    text = MEANS.statement(SMALL, "trace")
    for part in (
        *("applied to 4 points of the plane and 2 centres", "point 1: (0, 0)\n", "point 4: (9, 0)\n"),
        "Start: x_1 = 0, x_2 = 2, y_1 = 0, y_2 = 0, e = 0.",
        "of several at the same distance, the one with the smallest number i",
        "A centre without points stays where it is.",
        "with the centres as they were before the step. (The old e is not used.)",
    ):
        assert part in text


def test_a_wrong_centre_shows_in_the_next_error():
    """A first centre at 0.5 in place of 0 leaves the assignment as it is: the new centres are right, and the error,
    0.25 + 2.25 + 1 + 16 = 19.5, follows from it."""
    rows = (vector("0.5", 5, 0, 0, 53), vector(1, "6.5", 0, 0, "19.5"))
    written = MEANS.written(SMALL, "trace", rows)
    assert [w.label for w in written] == ["local", *["right"] * 4, *["restored"] * 4, "propagated"]
    assert all(w.follows for w in written[5:])


@sampled(st.lists(st.tuples(*[HOSTILE] * 5), min_size=3, max_size=3))
@settings(max_examples=40, deadline=None)
def test_any_numbers_are_judged(rows):
    """Huge, negative and long fractions get a label each."""
    assert len(MEANS.written(SMALL, "trace", tuple(rows))) == 15


def test_an_instance_is_stored_and_read_back():
    """Data (points, start and share) and trace survive JSON."""
    for variant in ("fresh", "perturbed"):
        instance = drawn(MEANS, "xl", 5, variant)
        assert MEANS.load(MEANS.dump(instance)) == instance
