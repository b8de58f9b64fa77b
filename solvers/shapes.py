"""Shapes: the forms of an answer, shared by families.

A shape owns everything about the form and nothing about the problem: JSON schema, parsing and writing, the empty
answer, random and mutated answers, the solver's variables, fixing them to an answer and reading them back.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from solvers.keys import Stream
from solvers.problem import A, Absent, Fits, Names, X

if TYPE_CHECKING:
    from ortools.sat.python import cp_model

E = TypeVar("E")
V = TypeVar("V")


class Partial(dict[E, V]):
    """An answer by entity; asking for an entity that the answer lacks raises `Absent`."""

    def __missing__(self, entity: E) -> V:
        raise Absent(entity)


class Shape(ABC, Generic[A, X]):
    """The form of an answer (see the module)."""

    @abstractmethod
    def schema(self, names: Names) -> dict[str, Any]:
        """Return the JSON schema of an answer. ``x-partial`` marks where missing entries are read as absent."""

    @abstractmethod
    def form(self, names: Names) -> str:
        """Return the answer's form in words, with a pattern of its JSON that gives no answer away."""

    @abstractmethod
    def parse(self, value: Any, names: Names) -> A:
        """Return the answer in a JSON value that fits the schema."""

    @abstractmethod
    def write(self, answer: A, names: Names) -> dict[str, Any]:
        """Return the JSON value of an answer, as a model would write it."""

    @abstractmethod
    def empty(self) -> A:
        """Return the answer that says nothing."""

    @abstractmethod
    def random(self, stream: Stream) -> A:
        """Return a well-formed answer drawn without a look at the constraints."""

    @abstractmethod
    def mutated(self, answer: A, stream: Stream) -> A:
        """Return a complete answer that differs from ``answer`` in one entity."""

    def lacking(self, answer: A) -> Iterator[tuple[str, int, A]]:
        """Yield (entity, its number, the answer without it) for each entity that an answer can lack."""
        return iter(())

    def variables(self, model: "cp_model.CpModel") -> X:
        """Return the solver's variables. Shapes of procedures have none."""
        raise NotImplementedError

    def fix(self, model: "cp_model.CpModel", x: X, answer: A) -> None:
        """Fix the solver's variables to an answer."""
        raise NotImplementedError

    def read(self, value: Callable[[Any], int], x: X) -> A:
        """Return the answer that the solver's variables hold."""
        raise NotImplementedError


def _label(names: Names, entity: str, i: int) -> int | str:
    label = names.label(entity, i)
    return int(label) if label.isdecimal() else label


def _labels(names: Names, entity: str, count: int) -> list[int | str]:
    return [_label(names, entity, i) for i in range(count)]


@dataclass(frozen=True)
class SubsetOf(Shape[frozenset[int], "list[cp_model.IntVar]"]):
    """Some of ``count`` entities: ``{"items": [1, 4]}``."""

    entity: str
    count: int

    def schema(self, names: Names) -> dict[str, Any]:
        labels = _labels(names, self.entity, self.count)
        array = {"type": "array", "items": {"enum": labels}, "maxItems": self.count, "uniqueItems": True}
        key = names.all(self.entity)
        return {
            "type": "object",
            "properties": {key: array},
            "required": [key],
            "additionalProperties": False,
        }

    def form(self, names: Names) -> str:
        what = names.all(self.entity)
        return f'Give the list of chosen {what}: {{"{what}": [<{names.word(self.entity)}>, …]}}'

    def parse(self, value: Any, names: Names) -> frozenset[int]:
        index = {label: i for i, label in enumerate(_labels(names, self.entity, self.count))}
        return frozenset(index[label] for label in value[names.all(self.entity)])

    def write(self, answer: frozenset[int], names: Names) -> dict[str, Any]:
        return {names.all(self.entity): [_label(names, self.entity, i) for i in sorted(answer)]}

    def empty(self) -> frozenset[int]:
        return frozenset()

    def random(self, stream: Stream) -> frozenset[int]:
        return frozenset(i for i, bit in enumerate(stream.integers(self.count, 0, 1)) if bit)

    def mutated(self, answer: frozenset[int], stream: Stream) -> frozenset[int]:
        return answer ^ {stream.integer(0, self.count - 1)}

    def variables(self, model: "cp_model.CpModel") -> "list[cp_model.IntVar]":
        return [model.new_bool_var(f"x{i}") for i in range(self.count)]

    def fix(self, model: "cp_model.CpModel", x: "list[cp_model.IntVar]", answer: frozenset[int]) -> None:
        for i, variable in enumerate(x):
            model.add(variable == int(i in answer))

    def read(self, value: Callable[[Any], int], x: "list[cp_model.IntVar]") -> frozenset[int]:
        return frozenset(i for i, variable in enumerate(x) if value(variable))

    def first_fit(self, order: Sequence[int], fits: Fits[frozenset[int]]) -> frozenset[int]:
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
        labels = [names.label(self.entity, i) for i in range(self.count)]
        one = {"enum": _labels(names, self.target, self.targets)}
        inner = {
            "type": "object",
            "properties": dict.fromkeys(labels, one),
            "required": labels,
            "additionalProperties": False,
            "x-partial": True,
        }
        return {
            "type": "object",
            "properties": {"assignment": inner},
            "required": ["assignment"],
            "additionalProperties": False,
        }

    def form(self, names: Names) -> str:
        entity, target = names.word(self.entity), names.word(self.target)
        return f'Give the {target} of every {entity}: {{"assignment": {{"<{entity}>": <{target}>, …}}}}'

    def parse(self, value: Any, names: Names) -> Partial[int, int]:
        rows = {names.label(self.entity, i): i for i in range(self.count)}
        columns = {label: j for j, label in enumerate(_labels(names, self.target, self.targets))}
        return Partial({rows[key]: columns[label] for key, label in value["assignment"].items()})

    def write(self, answer: Partial[int, int], names: Names) -> dict[str, Any]:
        return {
            "assignment": {
                names.label(self.entity, i): _label(names, self.target, j) for i, j in sorted(answer.items())
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
        self, order: Sequence[int], fits: Fits[Partial[int, int]], targets: Sequence[int] | None = None
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


class StartVariables:
    """Start variables by (job, step); an interval is made when it is first asked for."""

    def __init__(self, model: "cp_model.CpModel", durations: Sequence[Sequence[int]], horizon: int) -> None:
        self._model, self._durations = model, durations
        self.start = {
            (j, k): model.new_int_var(0, horizon, f"s{j},{k}")
            for j, row in enumerate(durations)
            for k in range(len(row))
        }
        self._intervals: dict[tuple[int, int], cp_model.IntervalVar] = {}

    def interval(self, operation: tuple[int, int]) -> "cp_model.IntervalVar":
        """Return the interval of an operation."""
        if operation not in self._intervals:
            j, k = operation
            self._intervals[operation] = self._model.new_fixed_size_interval_var(
                self.start[operation], self._durations[j][k], f"i{j},{k}"
            )
        return self._intervals[operation]

    def end(self, operation: tuple[int, int]) -> "cp_model.LinearExpr":
        """Return the end of an operation."""
        j, k = operation
        return self.start[operation] + self._durations[j][k]


@dataclass(frozen=True)
class Starts(Shape[Partial[tuple[int, int], int], StartVariables]):
    """A start time for each operation of each job: ``{"starts": {"1": [0, 3], "2": [3, 8]}}``.

    ``durations``: by job, the durations of its operations in order. ``horizon``: no start needs to be later; random
    answers are drawn from [0, horizon].
    """

    entity: str
    durations: tuple[tuple[int, ...], ...]
    horizon: int

    def schema(self, names: Names) -> dict[str, Any]:
        labels = [names.label(self.entity, j) for j in range(len(self.durations))]
        rows = {
            label: {
                "type": "array",
                "items": {"type": "integer", "minimum": 0},
                "minItems": len(row),
                "maxItems": len(row),
                "x-partial": True,
            }
            for label, row in zip(labels, self.durations, strict=True)
        }
        inner = {
            "type": "object",
            "properties": rows,
            "required": labels,
            "additionalProperties": False,
            "x-partial": True,
        }
        return {
            "type": "object",
            "properties": {"starts": inner},
            "required": ["starts"],
            "additionalProperties": False,
        }

    def form(self, names: Names) -> str:
        job = names.word(self.entity)
        return (
            f"Give for every {job} the start times (whole numbers) of its operations in their order:"
            f' {{"starts": {{"<{job}>": [<start of operation 1>, <start of operation 2>, …], …}}}}'
        )

    def parse(self, value: Any, names: Names) -> Partial[tuple[int, int], int]:
        rows = {names.label(self.entity, j): j for j in range(len(self.durations))}
        return Partial(
            {(rows[key], k): int(start) for key, row in value["starts"].items() for k, start in enumerate(row)}
        )

    def write(self, answer: Partial[tuple[int, int], int], names: Names) -> dict[str, Any]:
        starts: dict[str, list[int]] = {}
        for (j, _), start in sorted(answer.items()):
            starts.setdefault(names.label(self.entity, j), []).append(start)
        return {"starts": starts}

    def empty(self) -> Partial[tuple[int, int], int]:
        return Partial()

    def random(self, stream: Stream) -> Partial[tuple[int, int], int]:
        operations = [(j, k) for j, row in enumerate(self.durations) for k in range(len(row))]
        return Partial(zip(operations, stream.integers(len(operations), 0, self.horizon), strict=True))

    def mutated(self, answer: Partial[tuple[int, int], int], stream: Stream) -> Partial[tuple[int, int], int]:
        operation = stream.choice(sorted(answer))
        start, step = answer[operation], stream.choice((-2, -1, 1, 2))
        # The solver knows no start beyond the horizon: a later one would be refused whatever the constraint says.
        return Partial({**answer, operation: start + step if 0 <= start + step <= self.horizon else start - step})

    def lacking(
        self, answer: Partial[tuple[int, int], int]
    ) -> Iterator[tuple[str, int, Partial[tuple[int, int], int]]]:
        for j in {j for j, _ in answer}:
            yield self.entity, j, Partial({o: start for o, start in answer.items() if o[0] != j})

    def variables(self, model: "cp_model.CpModel") -> StartVariables:
        return StartVariables(model, self.durations, self.horizon)

    def fix(self, model: "cp_model.CpModel", x: StartVariables, answer: Partial[tuple[int, int], int]) -> None:
        for operation, start in answer.items():
            model.add(x.start[operation] == start)

    def read(self, value: Callable[[Any], int], x: StartVariables) -> Partial[tuple[int, int], int]:
        return Partial({operation: value(variable) for operation, variable in x.start.items()})


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
        return {
            "type": "object",
            "properties": {key: value},
            "required": [key],
            "additionalProperties": False,
        }

    def form(self, names: Names) -> str:
        x = names.word(self.term)
        vector = f"[{', '.join(self.labels(names))}]"
        if self.rows is None:
            return f'Give the values with {self.places} decimals: {{"{x}": {vector}}}'
        return (
            f"Give the values with {self.places} decimals after each of the {self.rows} steps, in order:"
            f' {{"iterates": [{vector}, …]}}'
        )

    def parse(self, value: Any, names: Names) -> Rows:
        rows = [value[names.word(self.term)]] if self.rows is None else value["iterates"]
        return tuple(tuple(exact_fraction(v) for v in row) for row in rows)

    def write(self, answer: Rows, names: Names) -> dict[str, Any]:
        rows = [[_decimal(v, self.places) for v in row] for row in answer]
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


def _decimal(value: Fraction, places: int) -> int | float:
    """Return a value of at most ``places`` decimals as the JSON number that prints it exactly."""
    if value.denominator == 1:
        return value.numerator
    return round(float(value), places)
