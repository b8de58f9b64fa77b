"""Shapes of numerical answers: one vector, or one after each step."""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from solvers.keys import Stream
from solvers.names import Names
from solvers.shapes.base import Shape, object_of

Rows = tuple[tuple[Fraction, ...], ...]


def exact_fraction(value: Any) -> Fraction:
    """Return a read number as the exact fraction it stands for; a float stands for the decimal it prints as."""
    return Fraction(str(value)) if isinstance(value, float) else Fraction(value)


@dataclass(frozen=True)
class VectorOf(Shape[Rows, None]):
    """One vector (``{"x": [0.5, 1.25]}``) or, with ``rows``, one after each step (``{"iterates": [[…], …]}``).

    ``places``: decimals that values are stated in. ``spread``: random values lie in [-spread, spread]. ``parts``: the
    terms that a vector consists of, each with its number of components, where it is not all of one term.
    """

    term: str
    components: int
    places: int
    spread: int
    rows: int | None = None
    parts: tuple[tuple[str, int], ...] = ()

    def labels(self, names: Names) -> list[str]:
        """Return what the components are called: x_1, x_2 …; the single component of a term has no number."""
        return [
            names.word(term) if count == 1 else f"{names.word(term)}_{i + 1}"
            for term, count in self.parts or ((self.term, self.components),)
            for i in range(count)
        ]

    def _row(self) -> dict[str, Any]:
        n = self.components
        return {"type": "array", "items": {"type": "number"}, "minItems": n, "maxItems": n}

    def schema(self, names: Names) -> dict[str, Any]:
        key, value = names.word(self.term), self._row()
        if self.rows is not None:
            key = "iterates"
            value = {
                "type": "array",
                "items": value,
                "minItems": self.rows,
                "maxItems": self.rows,
                "x-partial": True,
            }
        return object_of({key: value})

    def asked(self, names: Names) -> str:
        each = "" if self.rows is None else f" after each of the {self.rows} steps, in order"
        how = f"with {self.places} decimals" if self.places else "as whole numbers"
        return f"the values {how}{each}"

    def pattern(self, names: Names) -> str:
        vector = f"[{', '.join(self.labels(names))}]"
        return f'"{names.word(self.term)}": {vector}' if self.rows is None else f'"iterates": [{vector}, …]'

    def parse(self, value: Any, names: Names) -> Rows:
        rows = [value[names.word(self.term)]] if self.rows is None else value["iterates"]
        return tuple(tuple(exact_fraction(v) for v in row) for row in rows)

    def write(self, answer: Rows, names: Names) -> dict[str, Any]:
        rows = [[written_decimal(v, self.places) for v in row] for row in answer]
        if self.rows is None:
            return {names.word(self.term): rows[0] if rows else []}
        return {"iterates": rows}

    def empty(self) -> Rows:
        return ()

    def random(self, stream: Stream) -> Rows:
        unit = 10**self.places
        bound = self.spread * unit
        return tuple(
            tuple(Fraction(v, unit) for v in stream.integers(self.components, -bound, bound))
            for _ in range(self.rows or 1)
        )

    def mutated(self, answer: Rows, stream: Stream) -> Rows:
        row, column = stream.integer(0, len(answer) - 1), stream.integer(0, self.components - 1)
        delta = stream.choice((-3, -2, -1, 1, 2, 3)) * Fraction(1, 10**self.places)
        return tuple(
            tuple(v + delta if (r, c) == (row, column) else v for c, v in enumerate(values))
            for r, values in enumerate(answer)
        )

    def lacking(self, answer: Rows) -> Iterator[tuple[str, int, Rows]]:
        if self.rows is not None:
            yield "iterate", len(answer) - 1, answer[:-1]


def written_decimal(value: Fraction, places: int) -> int | float:
    """Return a value of at most ``places`` decimals as the JSON number that prints it exactly."""
    if value.denominator == 1:
        return value.numerator
    return round(float(value), places)
