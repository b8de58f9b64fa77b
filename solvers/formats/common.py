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
    if word.isdigit():  # most words of large files, and a fraction costs five times as much
        return int(word)
    value = Fraction(word)
    return value.numerator if value.denominator == 1 else value


def integer(word: str, line: int, what: str, low: int = 0, high: int = LARGEST) -> int:
    """Return an integer from ``low`` to ``high``. Raises FormatError where the word is none."""
    value = number(word, line, f"{what} (an integer)")
    if not isinstance(value, int):
        raise FormatError(line, f"{what} (an integer)", quoted(word))
    if not low <= value <= high:
        raise FormatError(line, f"{what} ({low} to {high})", quoted(word))
    return value


class Numbers:
    """A cursor over the words of some rows that pays no heed to where lines end.

    ``what`` names the number asked for in messages: ``a capacity``. ``last``: the line named where there are no rows.
    """

    def __init__(self, source: Iterable[Row], last: int = 1) -> None:
        self._rows = [row for row in source if row.words]
        self._row = self._at = 0
        self._last = self._rows[-1].line if self._rows else last

    @property
    def ended(self) -> bool:
        """Whether every word was read."""
        return self._row == len(self._rows)

    @property
    def line(self) -> int:
        """The line of the next word; the last line at the end."""
        return self._last if self.ended else self._rows[self._row].line

    def word(self, what: str) -> str:
        """Return the next word. Raises FormatError at the end."""
        if self.ended:
            raise FormatError(self._last, what, "the end of the numbers")
        words = self._rows[self._row].words
        word = words[self._at]
        self._at += 1
        if self._at == len(words):
            self._row, self._at = self._row + 1, 0
        return word

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
        if not self.ended:
            raise FormatError(self.line, "the end of the numbers", quoted(self._rows[self._row].words[self._at]))


def indices(words: Sequence[str], line: int, what: str, high: int) -> tuple[int, ...]:
    """Return numbers from 1 to ``high`` as indices from 0."""
    return tuple(integer(word, line, what, 1, high) - 1 for word in words)
