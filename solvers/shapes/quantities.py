"""The shape of quantities that are written with decimals: one for each entity."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, ClassVar

from solvers.keys import Stream
from solvers.names import Names
from solvers.shapes.base import Partial, Shape, keys, object_of
from solvers.shapes.vectors import exact_fraction, written_decimal

Quantities = Partial[int, Fraction]


@dataclass(frozen=True)
class QuantityOf(Shape[Quantities, "list[Any]"]):
    """A number for each entity: ``{"angle": {"1": 0, "2": -1.25}}``; its variables are MathOpt's, without bounds.

    ``span``: by entity, where random answers lie; ``places``: decimals that exact and random answers are written with.
    ``key``: the answer's key and the word for a quantity.
    """

    continuous: ClassVar[bool] = True
    entity: str
    key: str
    unit: str
    span: tuple[tuple[Fraction, Fraction], ...]
    places: int

    def schema(self, names: Names) -> dict[str, Any]:
        quantities: dict[str, Any] = {k: {"type": "number"} for k in keys(names, self.entity, len(self.span))}
        return object_of({names.word(self.key): object_of(quantities, True)})

    def asked(self, names: Names) -> str:
        quantity = names.word(self.key).replace("_", " ")
        return f"the {quantity} ({self.unit}) of every {names.word(self.entity)}"

    def pattern(self, names: Names) -> str:
        return f'"{names.word(self.key)}": {{"<{names.word(self.entity)}>": <{names.word(self.key)}>, …}}'

    def parse(self, value: Any, names: Names) -> Quantities:
        index = keys(names, self.entity, len(self.span))
        return Partial({index[key]: exact_fraction(number) for key, number in value[names.word(self.key)].items()})

    def write(self, answer: Quantities, names: Names) -> dict[str, Any]:
        index = keys(names, self.entity, len(self.span))
        return {
            names.word(self.key): {k: written_decimal(answer[i], self.places) for k, i in index.items() if i in answer}
        }

    def empty(self) -> Quantities:
        return Partial()

    def rounded(self, value: float | Fraction) -> Fraction:
        """Return a value with the decimals that answers are written with."""
        unit = 10**self.places
        return Fraction(round(value * unit), unit)

    def random(self, stream: Stream) -> Quantities:
        return Partial(
            {
                i: self.rounded(low + (high - low) * Fraction(stream.integer(0, 10**6), 10**6))
                for i, (low, high) in enumerate(self.span)
            }
        )

    def mutated(self, answer: Quantities, stream: Stream) -> Quantities:
        """Return the answer with one quantity moved by up to a tenth of its span, or drawn anew."""
        i = stream.integer(0, len(self.span) - 1)
        low, high = self.span[i]
        share = Fraction(stream.integer(1, 100), 1000) * stream.choice((-1, 1))
        moved = self.rounded(answer[i] + share * max(high - low, Fraction(1)))
        return Partial({**answer, i: moved if stream.integer(0, 3) else self.random(stream)[i]})

    def lacking(self, answer: Quantities) -> Iterator[tuple[str, int, Quantities]]:
        for i in answer:
            yield self.entity, i, Partial({k: v for k, v in answer.items() if k != i})

    def variables(self, model: Any) -> "list[Any]":
        return [
            model.add_variable(lb=-float("inf"), ub=float("inf"), name=f"{self.key}{i}") for i in range(len(self.span))
        ]

    def fix(self, model: Any, x: "list[Any]", answer: Quantities) -> None:
        for i, value in answer.items():
            model.add_linear_constraint(x[i] == float(value))

    def read(self, value: Callable[[Any], float], x: "list[Any]") -> Quantities:
        return Partial({i: self.rounded(Fraction(value(variable))) for i, variable in enumerate(x)})
