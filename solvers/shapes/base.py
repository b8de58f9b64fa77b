"""What every shape is: the form of an answer."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

from solvers.keys import Stream
from solvers.names import Names
from solvers.problem import A, Absent, X

if TYPE_CHECKING:
    from ortools.sat.python import cp_model

E = TypeVar("E")
V = TypeVar("V")


class Partial(dict[E, V]):
    """An answer by entity; asking for an entity that the answer lacks raises `Absent`."""

    def __missing__(self, entity: E) -> V:
        raise Absent(entity)


class Shape(ABC, Generic[A, X]):
    """The form of an answer (see the package). ``continuous``: its variables are MathOpt's, not CP-SAT's."""

    continuous: ClassVar[bool] = False

    @property
    def linearized(self) -> bool:
        """Whether CP-SAT is to work with the linear relaxation of every constraint, logical ones too.

        Plain tours, routes and covers are proven many times as fast so; colourings, shops and tours by the clock are
        slower. A shape for which this differs by family has it as a field.
        """
        return False

    @abstractmethod
    def schema(self, names: Names) -> dict[str, Any]:
        """Return the JSON schema of an answer. ``x-partial`` marks where missing entries are read as absent."""

    @abstractmethod
    def asked(self, names: Names) -> str:
        """Return what is to be given, in words: "the list of chosen items"."""

    @abstractmethod
    def pattern(self, names: Names) -> str:
        """Return the members of the answer's JSON object as a pattern that gives no answer away."""

    def form(self, names: Names) -> str:
        """Return the sentence that asks for an answer, with the pattern of its JSON."""
        return f"Give {self.asked(names)}: {{{self.pattern(names)}}}"

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
        """Return a complete answer that differs from a complete ``answer`` in one entity (a tour: in two)."""

    def lacking(self, answer: A) -> Iterator[tuple[str, int, A]]:
        """Yield (entity, its number, the answer without it) for each entity that an answer can lack."""
        return iter(())

    def smaller(self, answer: A) -> Iterator[A]:
        """Yield answers with one element less: what a heuristic had before its last step."""
        return (less for _, _, less in self.lacking(answer))

    def variables(self, model: "cp_model.CpModel") -> X:
        """Return the solver's variables. Shapes of procedures have none."""
        raise NotImplementedError

    def fix(self, model: "cp_model.CpModel", x: X, answer: A) -> None:
        """Fix the solver's variables to an answer."""
        raise NotImplementedError

    def read(self, value: Callable[[Any], int], x: X) -> A:
        """Return the answer that the solver's variables hold."""
        raise NotImplementedError


def object_of(properties: dict[str, Any], partial: bool = False) -> dict[str, Any]:
    """Return the schema of an object with these members and no others; ``partial``: a missing one is absent."""
    schema = {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }
    return schema | {"x-partial": True} if partial else schema


def written(names: Names, entity: str, i: int) -> int | str:
    """Return an entity's label as JSON holds it: a number where it is one."""
    label = names.label(entity, i)
    return int(label) if label.isdecimal() else label


def numbers(names: Names, entity: str, count: int) -> dict[int | str, int]:
    """Return label (as JSON holds it) -> entity number, in the order of listing."""
    return {written(names, entity, i): i for i in names.listed(entity, count)}


def keys(names: Names, entity: str, count: int) -> dict[str, int]:
    """Return label (as the key of a JSON object) -> entity number, in the order of listing."""
    return {names.label(entity, i): i for i in names.listed(entity, count)}
