"""PageRank by power iteration (Page, Brin, Motwani and Winograd 1999): ranks flow along links, some are spread evenly.

A page without links spreads its rank over all pages evenly.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any, ClassVar

from solvers.keys import Stream
from solvers.names import Names
from solvers.problem import Data, Famous, ladder
from solvers.procedure import Procedure, ProcedureKnobs, Rounding, Vector, decimal


@dataclass(frozen=True, kw_only=True)
class PagerankKnobs(ProcedureKnobs):
    pages: int


@dataclass(frozen=True)
class PagerankData(Data):
    links: tuple[tuple[int, ...], ...]  # by page, the pages that it links to
    damping: Fraction
    start: tuple[Fraction, ...]
    favoured: tuple[int, ...] = ()  # pages that what is spread goes to; empty: all of them, the method itself


class Pagerank(Procedure[PagerankData]):
    name: ClassVar[str] = "pagerank"
    version: ClassVar[int] = 1
    title: ClassVar[str] = "PageRank iteration"
    state: ClassVar[str] = "r"
    data = PagerankData
    sizes: ClassVar[Any] = ladder(PagerankKnobs, pages=(3, 4, 5, 6, 8), steps=(2, 3, 3, 4, 5), places=(3, 4, 4, 4, 4))

    def draw(self, knobs: PagerankKnobs, stream: Stream) -> PagerankData:
        n = knobs.pages
        links = []
        for i in range(n):
            others = [j for j in range(n) if j != i]
            few = stream(f"count {i}").integer(1, 2 if n < 6 else 3)
            links.append(tuple(sorted(stream(f"links {i}").sample(others, few))))
        if n > 3:
            links[stream("dangling").integer(0, n - 1)] = ()
        # An uneven start, so that the first ranks say nothing about the last.
        weights = stream("start").integers(n - 1, 0, 100 // (n - 1))
        rest = 100 - sum(weights)
        return PagerankData(
            links=tuple(links),
            damping=Fraction(stream("damping").integer(14, 19), 20),
            start=tuple(Fraction(w, 100) for w in (*weights, rest)),
        )

    def perturb(self, d: PagerankData, stream: Stream) -> PagerankData:
        """Spread to favoured pages only (a personalised PageRank, ibid., section 6): two, or one of few."""
        n = len(d.links)
        return replace(d, favoured=tuple(sorted(stream("favoured").sample(range(n), 1 if n < 4 else 2))))

    def famous(self) -> Sequence[Famous[PagerankData]]:
        return (
            Famous(
                "Yahoo, Amazon and Microsoft",
                "xs",
                PagerankData(((0, 1), (0, 2), (2,)), Fraction(4, 5), (Fraction(1, 3),) * 3),
                None,
                "Leskovec, Mining Massive Data Sets (Stanford CS246), lecture on link analysis: a web of three pages",
            ),
            Famous(
                "four pages with a spider trap",
                "s",
                PagerankData(((1, 2, 3), (0, 3), (2,), (1, 2)), Fraction(4, 5), (Fraction(1, 4),) * 4),
                None,
                "Leskovec, Rajaraman and Ullman, Mining of Massive Datasets, section 5.1.5, example 5.6",
            ),
        )

    def start(self, d: PagerankData) -> Vector:
        return d.start

    def step(self, d: PagerankData, x: Vector, rounded: Rounding) -> Vector:
        n = len(x)
        favoured = d.favoured or tuple(range(n))
        flowing = [Fraction(0)] * n
        lost = Fraction(0)
        for i, targets in enumerate(d.links):
            if not targets:
                lost += x[i]
            for j in targets:
                flowing[j] += x[i] / len(targets)
        spread = (1 - d.damping) + d.damping * lost
        return tuple(
            rounded(d.damping * flow + (spread / len(favoured) if j in favoured else 0))
            for j, flow in enumerate(flowing)
        )

    def spread(self, d: PagerankData) -> int:
        return 1

    def intro(self, d: PagerankData, names: Names) -> str:
        r = names.word(self.state)
        rows = "\n".join(
            f"page {i + 1} links to {', '.join(f'page {j + 1}' for j in targets) if targets else 'no page'}"
            for i, targets in enumerate(d.links)
        )
        return (
            f"The PageRank iteration is applied to {len(d.links)} pages with damping {decimal(d.damping)}; {r}_i is the"
            f" rank of page i.\n{rows}"
        )

    def say(self, d: PagerankData, names: Names) -> str:
        r, damping, n = names.word(self.state), decimal(d.damping), len(d.links)
        share = f"plus s / {n}"
        if d.favoured:
            which = " or ".join(str(page + 1) for page in d.favoured)
            share = f"plus, only if j is {which}, s{f' / {len(d.favoured)}' if len(d.favoured) > 1 else ''}"
        return (
            f"let s be {decimal(1 - d.damping)} + {damping} * (the sum of {r}_i over all pages i that link to no page)."
            f" For every j, the new {r}_j is {damping} * (the sum, over all pages i that link to page j, of {r}_i"
            f" divided by the number of pages that page i links to), {share}. Every rank in these rules is the one"
            " before the step, and s is not rounded."
        )
