"""Names: the words for entities and terms in a statement. Disguises change only these."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Names:
    """The words of one statement.

    ``words``: term -> (singular, plural). ``labels``: entity -> the labels of 0, 1, 2 … (1, 2, 3 … where not given).
    ``order``: entity -> its numbers in the order in which they are listed (0, 1, 2 … where not given). ``story``: a
    text that opens the statement.
    """

    words: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    labels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    order: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    story: str = ""

    def word(self, term: str) -> str:
        """Return the singular of a term."""
        return self.words[term][0] if term in self.words else term

    def all(self, term: str) -> str:
        """Return the plural of a term."""
        if term in self.words:
            return self.words[term][1]
        return f"{term[:-1]}ies" if term.endswith("y") and term[-2:-1] not in "aeiou" else f"{term}s"

    def label(self, entity: str, i: int) -> str:
        """Return what entity number ``i`` (from 0) is called in an answer."""
        return self.labels[entity][i] if entity in self.labels else str(i + 1)

    def listed(self, entity: str, count: int) -> Sequence[int]:
        """Return the numbers of ``count`` entities in the order in which a statement lists them."""
        return self.order[entity] if entity in self.order else range(count)

    def one(self, entity: str, i: int) -> str:
        """Return entity number ``i`` in words: "item 3"."""
        return f"{self.word(entity)} {self.label(entity, i)}"

    def several(self, entity: str, ids: Iterable[int]) -> str:
        """Return entities in words: "items 1, 2 and 5"."""
        labels = [self.label(entity, i) for i in ids]
        if len(labels) == 1:
            return f"{self.word(entity)} {labels[0]}"
        return f"{self.all(entity)} {', '.join(labels[:-1])} and {labels[-1]}"

    def table(self, entity: str, columns: Mapping[str, Sequence[object]]) -> str:
        """Return a table with a row for each entity: its label, then its cell of each column (term -> cells)."""
        rows = [
            [self.label(entity, i), *(cells[i] for cells in columns.values())]
            for i in self.listed(entity, len(next(iter(columns.values()))))
        ]
        return table([self.word(entity), *map(self.word, columns)], rows)

    def matrix(self, entity: str, cells: Sequence[Sequence[object]], other: str, corner: str | None = None) -> str:
        """Return a table with a row for each ``entity`` and a column for each ``other``.

        ``corner``: the heading of the first column (the word for the entity where not given).
        """
        columns = self.listed(other, len(cells[0]))
        rows = [[self.label(entity, i), *(cells[i][j] for j in columns)] for i in self.listed(entity, len(cells))]
        return table([corner or self.word(entity), *(self.one(other, j) for j in columns)], rows)


@dataclass(frozen=True)
class Costume:
    """A cover story: how it opens, and the words it has for the terms of a family (singular, plural)."""

    story: str
    words: Mapping[str, tuple[str, str]]


def sentence(text: str) -> str:
    """Return ``text`` with a capital first letter."""
    return text[:1].upper() + text[1:]


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return rows as lines of cells parted by bars, the header first."""
    return "\n".join(" | ".join(str(cell) for cell in row) for row in [header, *rows])
