"""TSPLIB 95 (Reinelt 1991): travelling salesman files, and the keywords and sections that CVRPLIB shares."""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from solvers.formats.common import MAX_NODES, FormatError, Number, Numbers, Row, counted, integer, lines, number, quoted

Matrix: TypeAlias = tuple[tuple[int, ...], ...]
Point: TypeAlias = tuple[Number, Number]

GEO_PI = 3.141592  # TSPLIB's own value: published optima rest on it
GEO_RADIUS = 6378.388  # km


@dataclass(frozen=True)
class TravellingSalesman:
    """``matrix``: distances by node, by node, with a diagonal of 0; asymmetric for type ATSP."""

    name: str
    comment: str
    matrix: Matrix


@dataclass(frozen=True)
class Specification:
    """A file as keywords -> (line, value) and sections -> (line of the heading, rows)."""

    keywords: Mapping[str, tuple[int, str]]
    sections: Mapping[str, tuple[int, Sequence[Row]]]
    last: int

    def value(self, keyword: str, default: str | None = None) -> str:
        """Return a keyword's value. Raises FormatError where it is missing and has no default."""
        if keyword in self.keywords:
            return self.keywords[keyword][1]
        if default is None:
            raise FormatError(self.last, f"the keyword {keyword}", "the end of the file")
        return default

    def choice(self, keyword: str, choices: Sequence[str]) -> str:
        """Return a keyword's value, which must be one of some."""
        value = self.value(keyword)
        if value not in choices:
            raise FormatError(self.keywords[keyword][0], f"{keyword} of {', '.join(choices)}", quoted(value))
        return value

    def integer(self, keyword: str, low: int, high: int) -> int:
        """Return a keyword's value as an integer from ``low`` to ``high``."""
        value = self.value(keyword)
        return integer(value, self.keywords[keyword][0], keyword, low, high)

    def section(self, name: str) -> tuple[int, Sequence[Row]]:
        """Return the line and the rows of a section. Raises FormatError where it is missing."""
        if name not in self.sections:
            raise FormatError(self.last, f"the section {name}", "the end of the file")
        return self.sections[name]

    def refuse(self, names: Iterable[str]) -> None:
        """Raise FormatError where the file has one of these keywords or sections: it would alter the problem."""
        for name in names:
            held = self.keywords.get(name) or self.sections.get(name)
            if held:
                raise FormatError(held[0], "only restrictions that are read", quoted(name))


def read_tsp(text: str) -> TravellingSalesman:
    """Return a TSP or ATSP file. Raises FormatError."""
    spec = specification(text)
    spec.choice("TYPE", ("TSP", "ATSP"))
    spec.refuse(["FIXED_EDGES_SECTION"])
    return TravellingSalesman(spec.value("NAME", ""), spec.value("COMMENT", ""), distances(spec))


def specification(text: str) -> Specification:
    """Return the keywords and sections of a file. Raises FormatError."""
    keywords: dict[str, tuple[int, str]] = {}
    sections: dict[str, tuple[int, list[Row]]] = {}
    comments: list[str] = []
    current: list[Row] | None = None
    last = 1
    for last, line in lines(text):
        head, colon, value = line.partition(":")
        key = head.strip()
        if key == "EOF":
            break
        if not line:
            continue
        if key.endswith("_SECTION") and not value.strip():
            if key in sections:
                raise FormatError(last, "each section once", f"{quoted(key)} again")
            current = []
            sections[key] = (last, current)
        elif colon:
            if key in keywords and key != "COMMENT":
                raise FormatError(last, "each keyword once", f"{quoted(key)} again")
            if key == "COMMENT":
                comments.append(value.strip())
            keywords[key] = (last, value.strip())
            current = None
        elif current is None:
            raise FormatError(last, "'KEYWORD : value' or a section", quoted(line))
        else:
            current.append(Row(last, tuple(line.split())))
    if comments:
        keywords["COMMENT"] = (keywords["COMMENT"][0], " ".join(comments))
    return Specification(keywords, sections, last)


def distances(spec: Specification) -> Matrix:
    """Return the distance matrix as TSPLIB rounds it. Raises FormatError."""
    n = spec.integer("DIMENSION", 1, MAX_NODES)
    kind = spec.choice("EDGE_WEIGHT_TYPE", ("EXPLICIT", "GEO", *_ROUNDINGS))
    if kind == "EXPLICIT":
        return _explicit(spec, n)
    points = coordinates(spec, n)
    return _symmetric(n, _great_circles(points)) if kind == "GEO" else planar(points, _ROUNDINGS[kind])


def coordinates(spec: Specification, n: int) -> tuple[Point, ...]:
    """Return the points of NODE_COORD_SECTION in the order of the nodes."""
    found = by_node(spec, "NODE_COORD_SECTION", n, 2)
    return tuple(
        (number(words[0], line, "a coordinate"), number(words[1], line, "a coordinate")) for line, words in found
    )


def by_node(spec: Specification, name: str, n: int, width: int) -> list[Row]:
    """Return the rows of a section in the order of its nodes, each of which it must list once, without the node."""
    heading, section = spec.section(name)
    found: dict[int, Row] = {}
    for line, words in section:
        if len(words) != width + 1:
            raise FormatError(line, f"a node and {counted(width, 'number')}", counted(len(words), "word"))
        node = integer(words[0], line, "a node", 1, n)
        if node in found:
            raise FormatError(line, "each node once", f"node {node} again")
        found[node] = Row(line, words[1:])
    if len(found) < n:
        last = section[-1].line if section else heading
        raise FormatError(last, f"{counted(n, 'node')} in {name}", str(len(found)))
    return [found[node] for node in range(1, n + 1)]


def planar(points: Sequence[Point], rounded: Callable[[int, int], int]) -> Matrix:
    """Return the matrix of Euclidean distances, each rounded from its square: ``rounded(numerator, denominator)``."""
    # In common units, so that all is exact without a fraction per pair.
    unit = math.lcm(*(coordinate.denominator for point in points for coordinate in point))
    scaled = [(int(x * unit), int(y * unit)) for x, y in points]

    def distance(i: int, j: int) -> int:
        (a, b), (c, d) = scaled[i], scaled[j]
        return rounded((a - c) * (a - c) + (b - d) * (b - d), unit * unit)

    return _symmetric(len(points), distance)


def _symmetric(n: int, distance: Callable[[int, int], int]) -> Matrix:
    half = [[distance(i, j) for j in range(i)] for i in range(n)]
    return tuple(tuple(half[max(i, j)][min(i, j)] if i != j else 0 for j in range(n)) for i in range(n))


def cut(square: int, denominator: int, scale: int = 1) -> int:
    """Return the largest integer up to ``scale`` times the root."""
    return math.isqrt(scale * scale * square // denominator)


def _nearest(square: int, denominator: int) -> int:
    # nint(d) = floor(d + 1/2) = floor((2d + 1) / 2)
    return (math.isqrt(4 * square // denominator) + 1) // 2


def _up(square: int, denominator: int) -> int:
    whole = -(-square // denominator)
    return math.isqrt(whole - 1) + 1 if whole else 0


def _pseudo_euclidean(square: int, denominator: int) -> int:
    # TSPLIB's nint(r), plus 1 where that lies below r, is r rounded up.
    return _up(square, 10 * denominator)


_ROUNDINGS: Mapping[str, Callable[[int, int], int]] = {"EUC_2D": _nearest, "CEIL_2D": _up, "ATT": _pseudo_euclidean}


def _radians(degrees_minutes: Number) -> float:
    degrees = math.trunc(degrees_minutes)
    return GEO_PI * (degrees + 5.0 * (float(degrees_minutes) - degrees) / 3.0) / 180.0


def _great_circles(points: Sequence[Point]) -> Callable[[int, int], int]:
    place = [(_radians(latitude), _radians(longitude)) for latitude, longitude in points]

    def distance(i: int, j: int) -> int:
        (latitude, longitude), (other_latitude, other_longitude) = place[i], place[j]
        q1 = math.cos(longitude - other_longitude)
        q2 = math.cos(latitude - other_latitude)
        q3 = math.cos(latitude + other_latitude)
        cosine = 0.5 * ((1.0 + q1) * q2 - (1.0 - q1) * q3)
        return int(GEO_RADIUS * math.acos(max(-1.0, min(1.0, cosine))) + 1.0)

    return distance


def _upper(n: int) -> Iterator[tuple[int, int]]:
    return ((i, j) for i in range(n) for j in range(i + 1, n))


def _lower(n: int) -> Iterator[tuple[int, int]]:
    return ((i, j) for i in range(n) for j in range(i))


def _upper_diagonal(n: int) -> Iterator[tuple[int, int]]:
    return ((i, j) for i in range(n) for j in range(i, n))


def _lower_diagonal(n: int) -> Iterator[tuple[int, int]]:
    return ((i, j) for i in range(n) for j in range(i + 1))


def _full(n: int) -> Iterator[tuple[int, int]]:
    return ((i, j) for i in range(n) for j in range(n))


# The columns of one triangle are the rows of the other.
_LAYOUTS: Mapping[str, Callable[[int], Iterator[tuple[int, int]]]] = {
    "FULL_MATRIX": _full,
    "UPPER_ROW": _upper,
    "LOWER_ROW": _lower,
    "UPPER_DIAG_ROW": _upper_diagonal,
    "LOWER_DIAG_ROW": _lower_diagonal,
    "UPPER_COL": _lower,
    "LOWER_COL": _upper,
    "UPPER_DIAG_COL": _lower_diagonal,
    "LOWER_DIAG_COL": _upper_diagonal,
}


def _explicit(spec: Specification, n: int) -> Matrix:
    layout = spec.choice("EDGE_WEIGHT_FORMAT", tuple(_LAYOUTS))
    heading, section = spec.section("EDGE_WEIGHT_SECTION")
    source = Numbers(section, heading)
    weight = {pair: source.integer("a distance") for pair in _LAYOUTS[layout](n)}
    source.finish()
    if layout != "FULL_MATRIX":
        weight |= {(j, i): d for (i, j), d in weight.items()}
    return tuple(tuple(weight[i, j] if i != j else 0 for j in range(n)) for i in range(n))
