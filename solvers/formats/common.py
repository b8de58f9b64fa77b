"""What the readers share: the error that names a line, and a cursor over the numbers of a text."""

import re
from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from typing import NamedTuple, TypeAlias

Number: TypeAlias = int | Fraction  # an int wherever the value is whole

MAX_CHARACTERS = 5_000_000
MAX_ENTITIES = 100_000  # what a heading may announce: jobs, items, edges
MAX_NODES = 1_000  # of what becomes a square matrix
LARGEST = 10**12  # the magnitude of any integer

# Bounded, so that neither long digit strings nor large exponents cost time or memory.
_NUMBER = re.compile(r"[+-]?([0-9]{1,24}(\.[0-9]{0,24})?|\.[0-9]{1,24})([eE][+-]?[0-9]{1,2})?")


class FormatError(ValueError):
    """A text is not of the format. ``line`` counts from 1; ``expected`` and ``found`` make up the message."""

    def __init__(self, line: int, expected: str, found: str) -> None:
        super().__init__(f"line {line}: expected {expected}, found {found}")
        self.line, self.expected, self.found = line, expected, found


class Row(NamedTuple):
    """A line that is not blank: its number, from 1, and its words."""

    line: int
    words: tuple[str, ...]

    def __str__(self) -> str:
        return quoted(" ".join(self.words))


def quoted(text: str) -> str:
    """Return a text as messages show it: in quotes, at most 40 characters of it, on one line."""
    return repr(text if len(text) <= 40 else text[:37] + "...")


def counted(count: int, noun: str) -> str:
    """Return ``1 row``, ``2 rows``."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


def lines(text: str) -> Iterator[tuple[int, str]]:
    """Return each line with its number, from 1, without surrounding space. Raises FormatError for a text too long."""
    if len(text) > MAX_CHARACTERS:
        raise FormatError(1, f"a file of at most {MAX_CHARACTERS} characters", f"one of {len(text)}")
    for number, line in enumerate(text.removeprefix("\ufeff").split("\n"), start=1):
        yield number, line.strip()


def rows(text: str, comment: str | None = None) -> list[Row]:
    """Return the lines that are not blank; what follows ``comment`` on a line is left out."""
    stripped = ((n, line if comment is None else line.split(comment, 1)[0]) for n, line in lines(text))
    return [Row(n, tuple(words)) for n, line in stripped if (words := line.split())]


def is_number(word: str) -> bool:
    """Return whether a word is a decimal number."""
    return _NUMBER.fullmatch(word) is not None


def number(word: str, line: int, what: str) -> Number:
    """Return a decimal number exactly. Raises FormatError where the word is none."""
    if not is_number(word):
        raise FormatError(line, what, quoted(word))
    value = Fraction(word)
    return value.numerator if value.denominator == 1 else value


def integer(word: str, line: int, what: str, low: int = 0, high: int = LARGEST) -> int:
    """Return an integer from ``low`` to ``high``. Raises FormatError where the word is none."""
    value = Fraction(word) if is_number(word) else None
    if value is None or value.denominator != 1:
        raise FormatError(line, f"{what} (an integer)", quoted(word))
    if not low <= value <= high:
        raise FormatError(line, f"{what} ({low} to {high})", quoted(word))
    return value.numerator


class Numbers:
    """A cursor over the words of some rows that pays no heed to where lines end.

    ``what`` names the number asked for in messages: ``a capacity``.
    """

    def __init__(self, source: Iterable[Row], last: int | None = None) -> None:
        self._words = [(word, row.line) for row in source for word in row.words]
        self._at = 0
        self._last = last or (self._words[-1][1] if self._words else 1)

    @property
    def line(self) -> int:
        """The line of the next word; the last line at the end."""
        return self._words[self._at][1] if self._at < len(self._words) else self._last

    @property
    def left(self) -> int:
        """How many words are left."""
        return len(self._words) - self._at

    def word(self, what: str) -> str:
        """Return the next word. Raises FormatError at the end."""
        if not self.left:
            raise FormatError(self._last, what, "the end of the numbers")
        self._at += 1
        return self._words[self._at - 1][0]

    def number(self, what: str) -> Number:
        """Return the next word as a decimal number."""
        line = self.line
        return number(self.word(what), line, what)

    def integer(self, what: str, low: int = 0, high: int = LARGEST) -> int:
        """Return the next word as an integer from ``low`` to ``high``."""
        line = self.line
        return integer(self.word(what), line, what, low, high)

    def count(self, noun: str, low: int = 1, high: int = MAX_ENTITIES) -> int:
        """Return the next word as a number of entities, which is bounded."""
        return self.integer(f"the number of {noun}", low, high)

    def numbers(self, count: int, what: str) -> tuple[Number, ...]:
        """Return the next ``count`` words as decimal numbers."""
        return tuple(self.number(what) for _ in range(count))

    def integers(self, count: int, what: str, low: int = 0, high: int = LARGEST) -> tuple[int, ...]:
        """Return the next ``count`` words as integers."""
        return tuple(self.integer(what, low, high) for _ in range(count))

    def finish(self) -> None:
        """Raise FormatError unless every word was read."""
        if self.left:
            raise FormatError(self.line, "the end of the numbers", quoted(self._words[self._at][0]))


def indices(words: Sequence[str], line: int, what: str, high: int) -> tuple[int, ...]:
    """Return numbers from 1 to ``high`` as indices from 0."""
    return tuple(integer(word, line, what, 1, high) - 1 for word in words)
