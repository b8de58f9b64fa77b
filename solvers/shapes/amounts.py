"""Shapes of whole amounts: one for each entity, or one for each pair of two kinds of entities."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from solvers.keys import Stream
from solvers.names import Names
from solvers.shapes.base import Partial, Shape, keys, object_of

if TYPE_CHECKING:
    from ortools.sat.python import cp_model

AMOUNT = {"type": "integer", "minimum": 0}


def _stepped(value: int, most: int, stream: Stream) -> int:
    """Return another amount of 0 … ``most``, near the old one as often as far from it (1 where most is 0)."""
    if most == 0:
        return value ^ 1
    if stream.integer(0, 1):
        step = stream.choice((-1, 1))
        return value + step if 0 <= value + step <= most else value - step
    return (value + stream.integer(1, most)) % (most + 1)


@dataclass(frozen=True)
class AmountOf(Shape[Partial[int, int], "list[cp_model.IntVar]"]):
    """A whole amount from 0 on for each entity: ``{"flow": {"1": 3, "2": 0}}``.

    ``most``: by entity, the largest amount that the solver knows (a constraint of the family must refuse a larger one);
    random answers are drawn from [0, most]. ``key``: the answer's key and the word for an amount.
    """

    entity: str
    most: tuple[int, ...]
    key: str = "amount"

    def schema(self, names: Names) -> dict[str, Any]:
        amounts = dict.fromkeys(keys(names, self.entity, len(self.most)), AMOUNT)
        return object_of({names.word(self.key): object_of(amounts, True)})

    def asked(self, names: Names) -> str:
        return f"the {names.word(self.key)} (a whole number) of every {names.word(self.entity)}"

    def pattern(self, names: Names) -> str:
        return f'"{names.word(self.key)}": {{"<{names.word(self.entity)}>": <{names.word(self.key)}>, …}}'

    def parse(self, value: Any, names: Names) -> Partial[int, int]:
        index = keys(names, self.entity, len(self.most))
        return Partial({index[key]: int(amount) for key, amount in value[names.word(self.key)].items()})

    def write(self, answer: Partial[int, int], names: Names) -> dict[str, Any]:
        amounts = {k: answer[i] for k, i in keys(names, self.entity, len(self.most)).items() if i in answer}
        return {names.word(self.key): amounts}

    def empty(self) -> Partial[int, int]:
        return Partial()

    def random(self, stream: Stream) -> Partial[int, int]:
        return Partial({i: stream.integer(0, most) for i, most in enumerate(self.most)})

    def mutated(self, answer: Partial[int, int], stream: Stream) -> Partial[int, int]:
        i = stream.choice([i for i, most in enumerate(self.most) if most] or range(len(self.most)))
        return Partial({**answer, i: _stepped(answer[i], self.most[i], stream)})

    def lacking(self, answer: Partial[int, int]) -> Iterator[tuple[str, int, Partial[int, int]]]:
        for i in answer:
            yield self.entity, i, Partial({k: v for k, v in answer.items() if k != i})

    def variables(self, model: "cp_model.CpModel") -> "list[cp_model.IntVar]":
        return [model.new_int_var(0, most, f"x{i}") for i, most in enumerate(self.most)]

    def fix(self, model: "cp_model.CpModel", x: "list[cp_model.IntVar]", answer: Partial[int, int]) -> None:
        for i, amount in answer.items():
            model.add(x[i] == amount)

    def read(self, value: Callable[[Any], int], x: "list[cp_model.IntVar]") -> Partial[int, int]:
        return Partial({i: value(variable) for i, variable in enumerate(x)})


@dataclass(frozen=True)
class GridOf(Shape[Partial[tuple[int, int], int], "dict[tuple[int, int], cp_model.IntVar]"]):
    """A whole amount from 0 on for each pair of a row and a column entity: ``{"plan": {"1": [0, 4, 2], "2": […]}}``.

    ``most``: by row, by column, as in `AmountOf`; the columns of an answer are in the order in which they are listed.
    """

    row: str
    column: str
    most: tuple[tuple[int, ...], ...]
    key: str = "plan"

    @property
    def columns(self) -> int:
        """The number of columns."""
        return len(self.most[0])

    def schema(self, names: Names) -> dict[str, Any]:
        n = self.columns
        one = {"type": "array", "items": AMOUNT, "minItems": n, "maxItems": n}
        return object_of(
            {names.word(self.key): object_of(dict.fromkeys(keys(names, self.row, len(self.most)), one), True)}
        )

    def asked(self, names: Names) -> str:
        labels = ", ".join(keys(names, self.column, self.columns))
        return (
            f"for every {names.word(self.row)} the amounts (whole numbers) of {names.all(self.column)} {labels}, in"
            " this order"
        )

    def pattern(self, names: Names) -> str:
        row, first = names.word(self.row), names.one(self.column, names.listed(self.column, self.columns)[0])
        return f'"{names.word(self.key)}": {{"<{row}>": [<amount of {first}>, …], …}}'

    def parse(self, value: Any, names: Names) -> Partial[tuple[int, int], int]:
        rows, order = keys(names, self.row, len(self.most)), names.listed(self.column, self.columns)
        return Partial(
            {
                (rows[key], j): int(amount)
                for key, amounts in value[names.word(self.key)].items()
                for j, amount in zip(order, amounts, strict=True)
            }
        )

    def write(self, answer: Partial[tuple[int, int], int], names: Names) -> dict[str, Any]:
        given, order = {i for i, _ in answer}, names.listed(self.column, self.columns)
        rows = keys(names, self.row, len(self.most))
        return {names.word(self.key): {k: [answer[i, j] for j in order] for k, i in rows.items() if i in given}}

    def empty(self) -> Partial[tuple[int, int], int]:
        return Partial()

    def _cells(self) -> Iterator[tuple[int, int, int]]:
        return ((i, j, most) for i, row in enumerate(self.most) for j, most in enumerate(row))

    def random(self, stream: Stream) -> Partial[tuple[int, int], int]:
        return Partial({(i, j): stream.integer(0, most) for i, j, most in self._cells()})

    def mutated(self, answer: Partial[tuple[int, int], int], stream: Stream) -> Partial[tuple[int, int], int]:
        cells = list(self._cells())
        i, j, most = stream.choice([cell for cell in cells if cell[2]] or cells)
        return Partial({**answer, (i, j): _stepped(answer[i, j], most, stream)})

    def lacking(
        self, answer: Partial[tuple[int, int], int]
    ) -> Iterator[tuple[str, int, Partial[tuple[int, int], int]]]:
        for i in sorted({i for i, _ in answer}):
            yield self.row, i, Partial({cell: v for cell, v in answer.items() if cell[0] != i})

    def variables(self, model: "cp_model.CpModel") -> "dict[tuple[int, int], cp_model.IntVar]":
        return {(i, j): model.new_int_var(0, most, f"x{i},{j}") for i, j, most in self._cells()}

    def fix(
        self,
        model: "cp_model.CpModel",
        x: "dict[tuple[int, int], cp_model.IntVar]",
        answer: Partial[tuple[int, int], int],
    ) -> None:
        for cell, amount in answer.items():
            model.add(x[cell] == amount)

    def read(
        self, value: Callable[[Any], int], x: "dict[tuple[int, int], cp_model.IntVar]"
    ) -> Partial[tuple[int, int], int]:
        return Partial({cell: value(variable) for cell, variable in x.items()})
