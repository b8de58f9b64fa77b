"""Synchronous rounds of the Bellman-Ford method: whole numbers, nothing is rounded."""

import re
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given as sampled
from hypothesis import settings
from hypothesis import strategies as st
from scipy.sparse.csgraph import shortest_path

from solvers import registry
from solvers.numerics.bellman_ford import UNKNOWN, BellmanFordData
from solvers.problem import SIZES
from tests.solvers.numerics.handmade import HOSTILE, given, unrounded, vector
from tests.solvers.numerics.second import drawn, follow, several

FORD = registry.get("bellman_ford")
# source -> 1 (4), source -> 2 (9), 1 -> 2 (3), 2 -> 3 (1), 3 -> 1 (2)
SMALL = given(FORD, BellmanFordData(3, ((0, 1, 4), (0, 2, 9), (1, 2, 3), (2, 3, 1), (3, 1, 2))), steps=3, places=0)
TRACE = (vector(4, 9, UNKNOWN), vector(4, 7, 10), vector(4, 7, 8))


def test_a_small_network_by_hand():
    """Round 2 finds 4 + 3 = 7 and 9 + 1 = 10; round 3 uses the 7. What round 2 finds is not used in round 2."""
    assert SMALL.answer == TRACE
    assert FORD.limit(SMALL) == vector(4, 7, 8)


def test_an_arc_back_to_the_source_leads_nowhere():
    """The source's distance is 0 and no part of the state; a short arc to it from node 1 leaves everything as it is."""
    data = replace(SMALL.data, arc=(*SMALL.data.arc, (1, 0, 1), (2, 0, -9)))
    assert given(FORD, data, steps=3, places=0).answer == TRACE


def passes(arcs, order, count):
    """Return the distances after each pass in which arcs are relaxed one after the other, in a stated order."""
    d = {"s": 0, **dict.fromkeys("txyz", UNKNOWN)}
    rows = []
    for _ in range(count):
        for arc in order:
            if d[arc[0]] < UNKNOWN:
                d[arc[1]] = min(d[arc[1]], d[arc[0]] + arcs[arc])
        rows.append(tuple(d[node] for node in "txyz"))
    return rows


def test_textbook_figure():
    """Cormen et al., figure 24.4: the distances of t, x, y and z after each of the four passes. There arcs are relaxed
    one after the other, in an order for which each pass finds what a synchronous round finds."""
    (known,) = FORD.famous()
    rows = [*FORD.trace(known.data, 4, unrounded)]
    far = UNKNOWN
    printed = [(6, far, 7, far), (6, 4, 7, 2), (2, 4, 7, 2), (2, 4, 7, -2)]
    assert rows == printed
    arcs = {"st": 6, "sy": 7, "tx": 5, "ty": 8, "tz": -4, "xt": -2, "yx": -3, "yz": 9, "zs": 2, "zx": 7}
    assert {("stxyz"[i] + "stxyz"[j]): length for i, j, length in known.data.arc} == arcs
    assert passes(arcs, ["tx", "ty", "tz", "xt", "yx", "yz", "zx", "zs", "st", "sy"], 4) == printed
    assert FORD.converged(known.data, FORD.start(known.data), 0) == vector(2, 4, 7, -2)
    assert "node 4 | source | 2" in FORD.statement(given(FORD, known.data, 2, 0), "final")


class TestToll:
    """The altered method: a toll at each node that a path passes."""

    def test_by_hand(self):
        """With a toll of 3, node 2 is reached by 4 + 3 + 3 = 10 at best, so the arc of length 9 stays better."""
        rows = given(FORD, replace(SMALL.data, toll=3), steps=3, places=0).answer
        assert rows == (vector(4, 9, UNKNOWN), vector(4, 9, 13), vector(4, 9, 13))

    def test_statement_says_it(self):
        """The toll, where it is paid, and that the source asks none."""
        text = FORD.statement(given(FORD, replace(SMALL.data, toll=3), 2, 0), "final")
        assert "At each node but the source that a path leaves, a toll of 3 is paid." in text
        assert "of d_i plus the length of that arc, plus the toll of 3. Every distance" in text
        assert "toll" not in FORD.statement(SMALL, "final")


def network(instance):
    """Return the arcs of a printed table as (from, to, length), 0 for the source, and the toll."""
    text = FORD.statement(instance, "trace")
    rows = re.findall(r"^(source|node \d+) \| (source|node \d+) \| (-?\d+)$", text, re.MULTILINE)
    ends = [tuple(0 if end == "source" else int(end.removeprefix("node ")) for end in row[:2]) for row in rows]
    toll = re.search(r"a toll of (\d+) is paid", text)
    return [(*pair, int(row[2])) for pair, row in zip(ends, rows, strict=True)], int(toll[1]) if toll else 0


@pytest.mark.parametrize("size", SIZES)
def test_the_written_network_gives_the_trace(size):
    """Round k finds the shortest paths of at most k arcs: powers of the matrix of lengths in (min, +)."""
    for instance in several(FORD, size):
        arcs, toll = network(instance)
        assert len(arcs) == len(instance.data.arc)
        assert (toll == 0) == (instance.variant == "fresh")
        n = instance.data.nodes + 1
        length = np.full((n, n), np.inf)
        np.fill_diagonal(length, 0)
        for i, j, c in arcs:
            length[i, j] = min(length[i, j], c + (toll if i else 0))
        reached = np.full(n, np.inf)
        reached[0] = 0
        for row in instance.answer:
            reached = (reached[:, None] + length).min(axis=0)
            assert [float(v) for v in row] == list(np.minimum(reached[1:], UNKNOWN))
        whole = np.where(np.isinf(length), 0, length)
        limit = shortest_path(whole, method="BF", indices=0)[1:]
        assert [float(v) for v in FORD.limit(instance)] == list(limit)


@pytest.mark.parametrize("size", SIZES)
def test_the_rule_as_it_is_written_gives_the_trace(size):
    """The smallest of d_j, of the arc from the source and of d_i plus length and toll, in decimals."""
    for instance in several(FORD, size, each=5):
        arcs, toll = network(instance)

        def step(d, rounded, arcs=arcs, toll=toll):
            new = []
            for j, old in enumerate(d, 1):
                direct = [Decimal(c) for i, to, c in arcs if to == j and i == 0]
                over = [d[i - 1] + c + toll for i, to, c in arcs if to == j and i and d[i - 1] < UNKNOWN]
                new.append(rounded(min([old, *direct, *over])))
            return new

        follow(instance, FORD.start(instance.data), step)


@pytest.mark.parametrize("size", SIZES)
def test_most_distances_go_on_falling(size):
    """In the last round and after it, distances fall: writing the final ones, or the ones before the last round, is
    right for few nodes."""
    nodes = final = stale = 0
    for instance in several(FORD, size, "fresh"):
        last = instance.answer[-1]
        nodes += len(last)
        final += sum(v == w for v, w in zip(last, FORD.limit(instance), strict=True))
        stale += sum(v == w for v, w in zip(last, instance.answer[-2], strict=True))
    assert final / nodes < (0.6 if size == "xs" else 0.45)
    assert stale / nodes < 0.4


def test_statement_holds_every_number():
    """Arcs with their lengths, the value of unknown distances, and what one round uses."""
    text = FORD.statement(SMALL, "trace")
    for part in (
        *("from the source to the 3 nodes", "source | node 1 | 4\n", "node 1 | node 2 | 3\n", "node 3 | node 1 | 2\n"),
        *("9999 where no path is known yet.", "Start: d_1 = 9999, d_2 = 9999, d_3 = 9999."),
        "with d_i below 9999, of d_i plus the length of that arc. Every distance in this rule is the one before the",
        "Every value is a whole number: nothing is rounded.",
    ):
        assert part in text


def test_using_a_new_distance_in_its_round_is_a_local_error():
    """7 + 1 = 8 in round 2 for node 3 uses the new distance of node 2; in round 3 the 8 is right, and restored."""
    rows = (TRACE[0], vector(4, 7, 8), vector(4, 7, 8))
    written = FORD.written(SMALL, "trace", rows)
    assert [w.label for w in written] == [*["right"] * 5, "local", *["restored"] * 3]
    assert written[5].attractor == "converged"
    assert written[8].follows


def test_a_distance_that_was_not_lowered_is_another_iterate():
    """Leaving node 2 at 9 in round 2 is what round 1 gave; 9 + 1 = 10 follows from it for node 3."""
    written = FORD.written(SMALL, "trace", (TRACE[0], vector(4, 9, 10), vector(4, 7, 10)))
    assert [w.label for w in written] == [*["right"] * 4, "local", "right", "restored", "restored", "propagated"]
    assert (written[4].attractor, written[8].attractor) == ("other_iterate", "other_iterate")


@sampled(st.lists(st.tuples(HOSTILE, HOSTILE, HOSTILE), min_size=3, max_size=3))
@settings(max_examples=40, deadline=None)
def test_any_numbers_are_judged(rows):
    """Huge, negative and long fractions get a label each."""
    assert len(FORD.written(SMALL, "trace", tuple(rows))) == 9


def test_an_instance_is_stored_and_read_back():
    """Data and trace survive JSON."""
    for variant in ("fresh", "perturbed"):
        instance = drawn(FORD, "xl", 5, variant)
        assert FORD.load(FORD.dump(instance)) == instance
        assert all(v == Fraction(int(v)) for row in instance.answer for v in row)
