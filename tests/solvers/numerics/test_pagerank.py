"""The PageRank iteration: ranks flow along links, and what is spread goes to all pages or to favoured ones."""

import re
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given as sampled
from hypothesis import settings
from hypothesis import strategies as st

from solvers import registry
from solvers.numerics.pagerank import PagerankData
from solvers.problem import SIZES
from tests.solvers.numerics.handmade import HOSTILE, given, unrounded, vector
from tests.solvers.numerics.second import drawn, follow, several

RANK = registry.get("pagerank")
THIRDS = Decimal(1).scaleb(-60)  # three thirds are one again: ties are frequent here
# Page 1 links to 2 and 3, page 2 to 3, page 3 to no page; damping 1/2. By hand at 4 decimals:
SMALL = given(RANK, PagerankData(((1, 2), (2,), ()), Fraction(1, 2), vector("0.5", "0.25", "0.25")), steps=2, places=4)
TRACE = (
    vector("0.2083", "0.3333", "0.4583"),  # s = 0.625, s/3 = 5/24; 1/8 + 5/24; 1/8 + 1/8 + 5/24
    vector("0.243", "0.2951", "0.4618"),  # s = 0.72915, s/3 = 0.24305; + 0.052075; + 0.052075 + 0.16665 = 0.461775
)


def test_three_pages_by_hand():
    """The second page's rank is 1/2 * (0.5 / 2) + s / 3, with s = 1/2 + 1/2 * 0.25 for the page without links."""
    assert SMALL.answer == TRACE


def test_textbook_web_of_three_pages():
    """Leskovec's lectures (Yahoo, Amazon, Microsoft; ranks there add to three): the printed iterates and limit."""
    known, _ = RANK.famous()
    rows = RANK.trace(known.data, 3, unrounded)
    printed = [("1.00", "0.60", "1.40"), ("0.84", "0.60", "1.56"), ("0.776", "0.536", "1.688")]
    assert [tuple(3 * v for v in row) for row in rows] == [vector(*row) for row in printed]
    limit = RANK.converged(known.data, RANK.start(known.data), 8)
    assert [float(3 * v) for v in limit] == pytest.approx([7 / 11, 5 / 11, 21 / 11], abs=2e-8)


def test_textbook_spider_trap():
    """Leskovec, Rajaraman and Ullman, example 5.6: the printed iterates and limit."""
    _, known = RANK.famous()
    rows = RANK.trace(known.data, 3, unrounded)
    assert rows == (
        vector("9/60", "13/60", "25/60", "13/60"),
        vector("41/300", "53/300", "153/300", "53/300"),
        vector("543/4500", "707/4500", "2543/4500", "707/4500"),
    )
    limit = RANK.converged(known.data, RANK.start(known.data), 8)
    assert [float(v) for v in limit] == pytest.approx([15 / 148, 19 / 148, 95 / 148, 19 / 148], abs=1e-8)
    assert "page 3 links to page 3\n" in RANK.statement(given(RANK, known.data, 2, 4), "final")


class TestFavoured:
    """The altered method: what is spread goes to some pages only."""

    def test_by_hand(self):
        """s = 0.625 is halved between pages 1 and 3, or goes to page 2 alone."""
        d = SMALL.data
        assert RANK.trace(replace(d, favoured=(0, 2)), 1, unrounded) == (vector("0.3125", "0.125", "0.5625"),)
        assert RANK.trace(replace(d, favoured=(1,)), 1, unrounded) == (vector(0, "0.75", "0.25"),)

    def test_statement_says_it(self):
        """Which pages get which share; without it, every page gets one of as many as there are."""
        text = RANK.statement(given(RANK, replace(SMALL.data, favoured=(0, 2)), 2, 4), "final")
        assert "pages that page i links to), plus, only if j is 1 or 3, s / 2." in text
        text = RANK.statement(given(RANK, replace(SMALL.data, favoured=(1,)), 2, 4), "final")
        assert "pages that page i links to), plus, only if j is 2, s." in text
        assert "pages that page i links to), plus s / 3." in RANK.statement(SMALL, "final")


def web(instance):
    """Return the links of each page, the damping and the pages that share s, as a statement gives them."""
    text = RANK.statement(instance, "trace")
    rows = re.findall(r"^page (\d+) links to (.*)$", text, re.MULTILINE)
    assert [int(page) for page, _ in rows] == list(range(1, len(rows) + 1))
    links = [[int(page) - 1 for page in re.findall(r"page (\d+)", targets)] for _, targets in rows]
    damping = Decimal(re.search(r"with damping (\S+);", text)[1])
    one = re.search(r"only if j is (\d+(?: or \d+)*), s", text)
    sharing = [int(page) - 1 for page in one[1].split(" or ")] if one else list(range(len(links)))
    assert f"let s be {1 - damping} + {damping} * (" in text
    assert (f"s / {len(sharing)}" in text) == (len(sharing) > 1)
    return links, damping, sharing


@pytest.mark.parametrize("size", SIZES)
def test_the_written_web_gives_the_trace(size):
    """Links, damping and sharing pages as they stand in the statement make a matrix; its products, in decimals, give
    every iterate, and its eigenvector for the eigenvalue 1, by numpy, the limit."""
    for instance in several(RANK, size):
        links, damping, sharing = web(instance)
        n, places = len(links), instance.knobs["places"]
        assert (len(sharing) == n) == (instance.variant == "fresh")

        def step(r, rounded, links=links, damping=damping, sharing=sharing, n=n):
            teleport = [Decimal(j in sharing) / len(sharing) for j in range(n)]
            out = [
                [Decimal(j in targets) / len(targets) if targets else teleport[j] for j in range(n)]
                for targets in links
            ]
            # What is spread is a share of 1, not of the ranks' sum, which is 1 but for the rounding.
            new = [damping * sum(r[i] * out[i][j] for i in range(n)) + (1 - damping) * teleport[j] for j in range(n)]
            return [rounded(v.quantize(THIRDS)) for v in new]

        follow(instance, RANK.start(instance.data), step)
        teleport = [(j in sharing) / len(sharing) for j in range(n)]
        flow = np.array([[(j in t) / len(t) if t else teleport[j] for t in links] for j in range(n)])
        values, vectors = np.linalg.eig(float(damping) * flow + float(1 - damping) * np.outer(teleport, np.ones(n)))
        ranks = np.real(vectors[:, np.argmax(np.real(values))])
        assert [float(v) for v in RANK.limit(instance)] == pytest.approx(
            list(ranks / sum(ranks)), abs=0.51 / 10**places
        )


@pytest.mark.parametrize("size", SIZES)
def test_ranks_are_shares(size):
    """They lie between 0 and 1 and add up to 1 but for the rounding; from four pages on, one links to none."""
    for instance in several(RANK, size):
        for row in instance.answer:
            assert all(0 <= v <= 1 for v in row)
            assert abs(sum(row) - 1) <= Fraction(len(row), 10 ** instance.knobs["places"])
        links = instance.data.links
        assert sum(not targets for targets in links) == (len(links) > 3)
        assert all(i not in targets for i, targets in enumerate(links))


def test_statement_holds_every_number():
    """Links, damping, start, the page without links, and that all ranks are old ones."""
    text = RANK.statement(SMALL, "trace")
    for part in (
        "page 1 links to page 2, page 3\npage 2 links to page 3\npage 3 links to no page",
        *("with damping 0.5;", "Start: r_1 = 0.5, r_2 = 0.25, r_3 = 0.25."),
        "let s be 0.5 + 0.5 * (the sum of r_i over all pages i that link to no page)",
        "Every rank in these rules is the one before the step, and s is not rounded.",
    ):
        assert part in text


def test_forgetting_the_page_without_links_is_a_local_error():
    """s = 0.5 gives 1/6 in place of 5/24, and so on; the second step of the true rule from there is propagated."""
    rows = (vector("0.1667", "0.2917", "0.4167"), vector("0.2361", "0.2778", "0.4236"))
    labels = [w.label for w in RANK.written(SMALL, "trace", rows)]
    assert labels == ["local"] * 3 + ["propagated"] * 3


@sampled(st.lists(st.tuples(HOSTILE, HOSTILE, HOSTILE), min_size=2, max_size=2))
@settings(max_examples=40, deadline=None)
def test_any_numbers_are_judged(rows):
    """Huge, negative and long fractions get a label each."""
    assert len(RANK.written(SMALL, "trace", tuple(rows))) == 6


def test_an_instance_is_stored_and_read_back():
    """Data (links of no page, damping, start and favoured pages) and trace survive JSON."""
    for variant in ("fresh", "perturbed"):
        instance = drawn(RANK, "xl", 5, variant)
        assert RANK.load(RANK.dump(instance)) == instance
