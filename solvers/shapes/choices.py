"""Shapes of choices: a subset, one thing for each entity, a set of things for each entity."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from solvers.keys import Stream
from solvers.names import Names
from solvers.shapes.base import Partial, Shape, keys, numbers, object_of, written

if TYPE_CHECKING:
    from ortools.sat.python import cp_model

    from solvers.constrained import Fits


@dataclass(frozen=True)
class SubsetOf(Shape[frozenset[int], "list[cp_model.IntVar]"]):
    """Some of ``count`` entities: ``{"items": [1, 4]}``."""

    entity: str
    count: int
    linearized: bool = False

    def schema(self, names: Names) -> dict[str, Any]:
        labels = list(numbers(names, self.entity, self.count))
        array = {"type": "array", "items": {"enum": labels}, "maxItems": self.count, "uniqueItems": True}
        return object_of({names.all(self.entity): array})

    def asked(self, names: Names) -> str:
        return f"the list of chosen {names.all(self.entity)}"

    def pattern(self, names: Names) -> str:
        return f'"{names.all(self.entity)}": [<{names.word(self.entity)}>, …]'

    def parse(self, value: Any, names: Names) -> frozenset[int]:
        index = numbers(names, self.entity, self.count)
        return frozenset(index[label] for label in value[names.all(self.entity)])

    def write(self, answer: frozenset[int], names: Names) -> dict[str, Any]:
        return {
            names.all(self.entity): [
                label for label, i in numbers(names, self.entity, self.count).items() if i in answer
            ]
        }

    def empty(self) -> frozenset[int]:
        return frozenset()

    def random(self, stream: Stream) -> frozenset[int]:
        return frozenset(i for i, bit in enumerate(stream.integers(self.count, 0, 1)) if bit)

    def mutated(self, answer: frozenset[int], stream: Stream) -> frozenset[int]:
        return answer ^ {stream.integer(0, self.count - 1)}

    def smaller(self, answer: frozenset[int]) -> Iterator[frozenset[int]]:
        return (answer - {i} for i in sorted(answer))

    def variables(self, model: "cp_model.CpModel") -> "list[cp_model.IntVar]":
        return [model.new_bool_var(f"x{i}") for i in range(self.count)]

    def fix(self, model: "cp_model.CpModel", x: "list[cp_model.IntVar]", answer: frozenset[int]) -> None:
        for i, variable in enumerate(x):
            model.add(variable == int(i in answer))

    def read(self, value: Callable[[Any], int], x: "list[cp_model.IntVar]") -> frozenset[int]:
        return frozenset(i for i, variable in enumerate(x) if value(variable))

    def first_fit(self, order: Sequence[int], fits: "Fits[frozenset[int]]") -> frozenset[int]:
        """Return the answer that takes entities in ``order`` as long as they fit."""
        chosen: frozenset[int] = frozenset()
        for i in order:
            if fits(chosen | {i}):
                chosen |= {i}
        return chosen


@dataclass(frozen=True)
class MapOf(Shape[Partial[int, int], "dict[tuple[int, int], cp_model.IntVar]"]):
    """One of ``targets`` things for each of ``count`` entities: ``{"assignment": {"1": 2, "2": 1}}``.

    The solver's variable ``x[i, j]`` says that entity i gets thing j; that each gets exactly one is for a constraint of
    the family to say.
    """

    entity: str
    count: int
    target: str
    targets: int

    def schema(self, names: Names) -> dict[str, Any]:
        one = {"enum": list(numbers(names, self.target, self.targets))}
        return object_of({"assignment": object_of(dict.fromkeys(keys(names, self.entity, self.count), one), True)})

    def asked(self, names: Names) -> str:
        return f"the {names.word(self.target)} of every {names.word(self.entity)}"

    def pattern(self, names: Names) -> str:
        return f'"assignment": {{"<{names.word(self.entity)}>": <{names.word(self.target)}>, …}}'

    def parse(self, value: Any, names: Names) -> Partial[int, int]:
        rows, columns = keys(names, self.entity, self.count), numbers(names, self.target, self.targets)
        return Partial({rows[key]: columns[label] for key, label in value["assignment"].items()})

    def write(self, answer: Partial[int, int], names: Names) -> dict[str, Any]:
        return {
            "assignment": {
                label: written(names, self.target, answer[i])
                for label, i in keys(names, self.entity, self.count).items()
                if i in answer
            }
        }

    def empty(self) -> Partial[int, int]:
        return Partial()

    def random(self, stream: Stream) -> Partial[int, int]:
        return Partial(enumerate(stream.integers(self.count, 0, self.targets - 1)))

    def mutated(self, answer: Partial[int, int], stream: Stream) -> Partial[int, int]:
        i = stream.integer(0, self.count - 1)
        step = stream.integer(1, self.targets - 1) if self.targets > 1 else 0
        return Partial({**answer, i: (answer.get(i, 0) + step) % self.targets})

    def lacking(self, answer: Partial[int, int]) -> Iterator[tuple[str, int, Partial[int, int]]]:
        for i in answer:
            yield self.entity, i, Partial({k: v for k, v in answer.items() if k != i})

    def variables(self, model: "cp_model.CpModel") -> "dict[tuple[int, int], cp_model.IntVar]":
        return {(i, j): model.new_bool_var(f"x{i},{j}") for i in range(self.count) for j in range(self.targets)}

    def fix(
        self,
        model: "cp_model.CpModel",
        x: "dict[tuple[int, int], cp_model.IntVar]",
        answer: Partial[int, int],
    ) -> None:
        for (i, j), variable in x.items():
            model.add(variable == int(answer.get(i) == j))

    def read(self, value: Callable[[Any], int], x: "dict[tuple[int, int], cp_model.IntVar]") -> Partial[int, int]:
        return Partial({i: j for (i, j), variable in x.items() if value(variable)})

    def first_fit(
        self, order: Sequence[int], fits: "Fits[Partial[int, int]]", targets: Sequence[int] | None = None
    ) -> Partial[int, int]:
        """Return the answer that gives each entity, in ``order``, the first thing that fits (none where none does).

        ``targets``: the order in which the things are tried (0, 1, 2 … where not given).
        """
        answer: Partial[int, int] = Partial()
        for i in order:
            for j in range(self.targets) if targets is None else targets:
                candidate = Partial({**answer, i: j})
                if fits(candidate):
                    answer = candidate
                    break
        return answer


@dataclass(frozen=True)
class SetsOf(Shape[Partial[int, frozenset[int]], "dict[tuple[int, int], cp_model.IntVar]"]):
    """A set of some of ``targets`` things for each of ``count`` entities: ``{"assignment": {"1": [2, 3], "2": []}}``.

    An entity that is left out has the empty set. The solver's variable ``x[i, j]`` says that entity i has thing j.
    """

    entity: str
    count: int
    target: str
    targets: int

    def schema(self, names: Names) -> dict[str, Any]:
        one = {
            "type": "array",
            "items": {"enum": list(numbers(names, self.target, self.targets))},
            "maxItems": self.targets,
            "uniqueItems": True,
        }
        return object_of({"assignment": object_of(dict.fromkeys(keys(names, self.entity, self.count), one), True)})

    def asked(self, names: Names) -> str:
        return f"the {names.all(self.target)} of every {names.word(self.entity)}"

    def pattern(self, names: Names) -> str:
        return f'"assignment": {{"<{names.word(self.entity)}>": [<{names.word(self.target)}>, …], …}}'

    def parse(self, value: Any, names: Names) -> Partial[int, frozenset[int]]:
        index, given = numbers(names, self.target, self.targets), value["assignment"]
        return Partial(
            {
                i: frozenset(index[label] for label in given.get(key, ()))
                for key, i in keys(names, self.entity, self.count).items()
            }
        )

    def write(self, answer: Partial[int, frozenset[int]], names: Names) -> dict[str, Any]:
        things = numbers(names, self.target, self.targets)
        return {
            "assignment": {
                key: [label for label, j in things.items() if j in answer[i]]
                for key, i in keys(names, self.entity, self.count).items()
            }
        }

    def empty(self) -> Partial[int, frozenset[int]]:
        return Partial(dict.fromkeys(range(self.count), frozenset()))

    def random(self, stream: Stream) -> Partial[int, frozenset[int]]:
        return Partial(
            {
                i: frozenset(j for j, bit in enumerate(stream.integers(self.targets, 0, 1)) if bit)
                for i in range(self.count)
            }
        )

    def mutated(self, answer: Partial[int, frozenset[int]], stream: Stream) -> Partial[int, frozenset[int]]:
        i, j = stream.integer(0, self.count - 1), stream.integer(0, self.targets - 1)
        return Partial({**answer, i: answer[i] ^ {j}})

    def smaller(self, answer: Partial[int, frozenset[int]]) -> Iterator[Partial[int, frozenset[int]]]:
        return (Partial({**answer, i: things - {j}}) for i, things in answer.items() for j in sorted(things))

    def variables(self, model: "cp_model.CpModel") -> "dict[tuple[int, int], cp_model.IntVar]":
        return {(i, j): model.new_bool_var(f"x{i},{j}") for i in range(self.count) for j in range(self.targets)}

    def fix(
        self,
        model: "cp_model.CpModel",
        x: "dict[tuple[int, int], cp_model.IntVar]",
        answer: Partial[int, frozenset[int]],
    ) -> None:
        for (i, j), variable in x.items():
            model.add(variable == int(j in answer[i]))

    def read(
        self, value: Callable[[Any], int], x: "dict[tuple[int, int], cp_model.IntVar]"
    ) -> Partial[int, frozenset[int]]:
        return Partial({i: frozenset(j for j in range(self.targets) if value(x[i, j])) for i in range(self.count)})

    def with_pair(self, answer: Partial[int, frozenset[int]], i: int, j: int) -> Partial[int, frozenset[int]]:
        """Return the answer in which entity ``i`` has thing ``j`` too."""
        return Partial({**answer, i: answer[i] | {j}})
