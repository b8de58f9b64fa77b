"""Loose JSON: the containers in a free-form text, in every dialect that models write.

A tolerant parser of our own: fences, comments, Python, LaTeX, forgotten quotes are taken, but nothing is completed and
nothing guessed, each container is parsed once, and time stays linear. (A general repair library invents entries for
text that is cut off, and evaluating Python literals is neither bounded nor enough.)
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

DEEPEST = 50
INNER_QUOTES = 8  # quotes inside a string that somebody forgot to escape


class Bare(str):
    """What a reply wrote without quotes: a number, a word."""

    __slots__ = ()


class Members(list[tuple[str, Any]]):
    """The members of an object in the order written, repeated keys included."""

    __slots__ = ()


class Set(list[Any]):
    """A list in braces."""

    __slots__ = ()


_DECODER = json.JSONDecoder(object_pairs_hook=Members, parse_float=Bare, parse_constant=Bare)


def strict(text: str) -> Any:
    """Return the value of a JSON text, None where it isn't JSON."""
    try:
        return _DECODER.decode(text)
    except (ValueError, RecursionError):
        return None


class _BrokenError(Exception):
    """A container that can't be read; ``at``: where, the text's length where it is cut off."""

    def __init__(self, at: int) -> None:
        self.at = at


class _TooDeepError(Exception):
    """Nesting beyond `DEEPEST`."""


PLAIN = str.maketrans("“”„‟«»‘’‚‛，：［］｛｝（）", '""""""\'\'\'\'' + ",:[]{}()")
_OPEN = re.compile(r"[\[{]")
_HOLDS = re.compile(r"\s*+[\[{\\]")
_BRACKET = re.compile(r"[\[\]{}]")
_BLANK = re.compile(r"\s*+")
_LATEX_SPACE = re.compile(r"\\(?:left\b|right\b|quad\b|[ntr](?![a-zA-Z])|[,;:! ]|(?=[\[\]{}_]))")
_FRAC = re.compile(r"[-+−]?\s?\\[dt]?frac\s?\{\s?[-+−]?\d{1,40}\s?\}\s?\{\s?\d{1,40}\s?\}")
_TEXT = re.compile(r"""\\(?:text\w{0,3}|math\w{1,4})\s?\{\s?["']?([^{}"'\\]{1,80})["']?\s?\}""")
_LEXEME = re.compile(
    r"""(?:[^\s,:\[\]{}()"'`\\#]|\#(?=\d)|\\(?=_)|[ ](?!//)(?=[^\s,:\[\]{}()"'`\\#]|\#\d)){1,80}+""", re.VERBOSE
)
_STRING = {q: re.compile(rf"(?:[^{q}\\]++|\\.)*+{q}", re.DOTALL) for q in "\"'`"}
_AFTER_STRING = re.compile(r"""\s*+(?:[,:\]})\\]|//|\#|$)""")


class _Scanner:
    """A tolerant parser of the containers in a text. Each container is parsed once, whatever contains it."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.done: dict[int, tuple[Any, int, list[str]]] = {}
        self.failed: set[int] = set()
        self.begun: dict[int, list[str]] = {}  # containers with a first entry, and their keys
        self.repairs: list[str] = []
        self.endless: set[str] = set()  # quotes that no longer occur
        self.line_end = -1

    def skip(self, pos: int) -> int:
        """Return where the next token starts, after blanks, comments and LaTeX spacing. Raises at the text's end."""
        text = self.text
        while True:
            pos = _BLANK.match(text, pos).end()  # type: ignore[union-attr]
            if pos >= len(text):
                raise _BrokenError(pos)
            if text[pos] == "\\" and (noise := _LATEX_SPACE.match(text, pos)):
                self.repairs.append("escaped")
                pos = noise.end()
            elif text.startswith("//", pos) or (text[pos] == "#" and not text[pos + 1 : pos + 2].isdigit()):
                if self.line_end < pos:
                    self.line_end = text.find("\n", pos)
                    self.line_end = len(text) if self.line_end < 0 else self.line_end
                self.repairs.append("comment")
                pos = self.line_end
            else:
                return pos

    def container(self, pos: int, depth: int) -> tuple[Any, int]:
        """Return the list or object that starts at ``pos``, and its end."""
        if pos in self.done:
            value, end, repairs = self.done[pos]
            self.repairs += repairs
            return value, end
        if depth > DEEPEST:
            raise _TooDeepError
        if pos in self.failed:
            raise _BrokenError(pos)
        mark = len(self.repairs)
        try:
            value, end = self.entries(pos, depth)
        except _BrokenError:
            self.failed.add(pos)
            del self.repairs[mark:]
            raise
        self.done[pos] = value, end, self.repairs[mark:]
        return value, end

    def entries(self, start: int, depth: int) -> tuple[Any, int]:
        """Return the entries up to the closing bracket as list, set or members, and where the container ends."""
        text, opening = self.text, self.text[start]
        closing = {"[": "]", "{": "}", "(": ")"}[opening]
        if opening == "(":
            self.repairs.append("tuple")
        plain: list[Any] = Set() if opening == "{" else []
        members = Members()
        pos = self.skip(start + 1)
        while text[pos] != closing:
            entry, pos = self.value(pos, depth)
            pos = self.skip(pos)
            if opening == "{" and text[pos] == ":" and isinstance(entry, str) and not plain:
                if isinstance(entry, Bare):
                    self.repairs.append("unquoted_key")
                self.begun.setdefault(start, []).append(str(entry))
                value, pos = self.value(self.skip(pos + 1), depth)
                members.append((str(entry), value))
                pos = self.skip(pos)
            elif members:
                raise _BrokenError(pos)
            else:
                plain.append(entry)
            if text[pos] == ",":
                self.begun.setdefault(start, [])
                pos = self.skip(pos + 1)
                if text[pos] == closing:
                    self.repairs.append("trailing_comma")
            elif text[pos] != closing:
                raise _BrokenError(pos)
        if plain and opening == "{":
            self.repairs.append("set")
        return (members if opening == "{" and not plain else plain), pos + 1

    def value(self, pos: int, depth: int) -> tuple[Any, int]:
        """Return the value that starts at ``pos``, and its end."""
        text = self.text
        if text[pos] in "[{(":
            return self.container(pos, depth + 1)
        if text[pos] in "\"'`":
            return self.string(pos)
        if text.startswith('\\"', pos):
            end = text.find('\\"', pos + 2, pos + 2 + 200)
            if end < 0:
                raise _BrokenError(pos)
            self.repairs.append("double_encoded")
            return text[pos + 2 : end], end + 2
        if worded := _TEXT.match(text, pos):
            self.repairs.append("escaped")
            return Bare(worded[1].strip()), worded.end()
        lexeme = _FRAC.match(text, pos) or _LEXEME.match(text, pos)
        if lexeme is None:
            raise _BrokenError(pos)
        if lexeme[0] in ("True", "False", "None"):
            self.repairs.append("python_literal")
        return Bare(lexeme[0].replace("\\_", "_")), lexeme.end()

    def string(self, pos: int) -> tuple[str, int]:
        """Return the string that starts at ``pos``, and its end. A quote before more text doesn't close it."""
        text, quote = self.text, self.text[pos]
        end = pos + 1
        for extra in range(INNER_QUOTES):
            found = None if quote in self.endless else _STRING[quote].match(text, end)
            if found is None:
                self.endless.add(quote)
                raise _BrokenError(len(text))
            end = found.end()
            if _AFTER_STRING.match(text, end):
                if quote != '"':
                    self.repairs.append("single_quotes")
                if extra:
                    self.repairs.append("inner_quotes")
                return _unescaped(text[pos + 1 : end - 1]), end
        raise _BrokenError(end)


def _unescaped(raw: str) -> str:
    if "\\" not in raw:
        return raw
    try:
        return str(json.loads(f'"{raw}"', strict=False))
    except ValueError:
        return raw.replace('\\"', '"').replace("\\'", "'")


@dataclass(frozen=True)
class Candidate:
    """A stretch of the reply that reads as JSON. ``part``: it stands inside a container that can't be read."""

    value: Any
    start: int
    end: int
    repairs: tuple[str, ...]
    part: bool


@dataclass(frozen=True)
class Ruin:
    """A container that began like JSON and can't be read; ``keys``: the keys it got to."""

    start: int
    keys: tuple[str, ...]
    truncated: bool


def containers(text: str) -> Iterator[Candidate | Ruin]:
    """Yield the outermost readable containers of a text, and the unreadable ones, from left to right."""
    scanner, pos, ruined = _Scanner(text), 0, 0
    while opening := _OPEN.search(text, pos):
        start = pos = opening.start()
        scanner.repairs = []
        # The braces of \boxed{…} are LaTeX's own where they hold a container.
        if start in scanner.failed or (text.endswith("\\boxed", 0, start) and _HOLDS.match(text, start + 1)):
            pos += 1
            continue
        try:
            value, pos = scanner.container(start, 1)
        except _TooDeepError:
            pos = _balanced(text, start)
        except _BrokenError as broken:
            pos += 1
            if start in scanner.begun:
                ruined = max(ruined, broken.at)
                yield Ruin(start, tuple(scanner.begun[start]), broken.at >= len(text))
        else:
            yield Candidate(value, start, pos, tuple(scanner.repairs), start < ruined)


def _balanced(text: str, start: int) -> int:
    """Return where the brackets that open at ``start`` are all closed, the text's length where they never are."""
    depth = 0
    for bracket in _BRACKET.finditer(text, start):
        depth += 1 if bracket[0] in "[{" else -1
        if depth == 0:
            return bracket.end()
    return len(text)


def decoded(text: str) -> Any:
    """Return the container that a string consists of, None where it is something else."""
    text = text.strip()
    if text[:1] not in ("{", "["):
        return None
    try:
        value, end = _Scanner(text).container(0, 1)
    except (_BrokenError, _TooDeepError):
        return None
    return value if end == len(text) else None
