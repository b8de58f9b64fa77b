"""The shape of an answer in several parts."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from solvers.keys import Stream
from solvers.names import Names
from solvers.shapes.base import Shape, object_of

if TYPE_CHECKING:
    from ortools.sat.python import cp_model

Parts = tuple[Any, ...]


@dataclass(frozen=True)
class Joint(Shape[Parts, Parts]):
    """Several shapes side by side in one object: ``{"facilities": [1], "assignment": {"1": 1}}``.

    Answer and solver variables are tuples, one element for each part.
    """

    parts: tuple[Shape[Any, Any], ...]

    @property
    def continuous(self) -> bool:  # type: ignore[override]
        """Whether the parts' variables are MathOpt's: all of them are, or none."""
        return self.parts[0].continuous

    @property
    def linearized(self) -> bool:  # type: ignore[override]
        """Whether some part is to be proven with the linear relaxation of every constraint."""
        return any(part.linearized for part in self.parts)

    def schema(self, names: Names) -> dict[str, Any]:
        return object_of({key: one for part in self.parts for key, one in part.schema(names)["properties"].items()})

    def asked(self, names: Names) -> str:
        texts = [part.asked(names) for part in self.parts]
        return f"{', '.join(texts[:-1])}, and {texts[-1]}" if len(texts) > 1 else texts[0]

    def pattern(self, names: Names) -> str:
        return ", ".join(part.pattern(names) for part in self.parts)

    def parse(self, value: Any, names: Names) -> Parts:
        return tuple(part.parse(value, names) for part in self.parts)

    def write(self, answer: Parts, names: Names) -> dict[str, Any]:
        return {
            key: one
            for part, own in zip(self.parts, answer, strict=True)
            for key, one in part.write(own, names).items()
        }

    def empty(self) -> Parts:
        return tuple(part.empty() for part in self.parts)

    def random(self, stream: Stream) -> Parts:
        return tuple(part.random(stream) for part in self.parts)

    def mutated(self, answer: Parts, stream: Stream) -> Parts:
        chosen = stream.integer(0, len(self.parts) - 1)
        return _with(answer, chosen, self.parts[chosen].mutated(answer[chosen], stream))

    def lacking(self, answer: Parts) -> Iterator[tuple[str, int, Parts]]:
        for k, part in enumerate(self.parts):
            yield from ((entity, i, _with(answer, k, less)) for entity, i, less in part.lacking(answer[k]))

    def smaller(self, answer: Parts) -> Iterator[Parts]:
        for k, part in enumerate(self.parts):
            yield from (_with(answer, k, less) for less in part.smaller(answer[k]))

    def variables(self, model: "cp_model.CpModel") -> Parts:
        return tuple(part.variables(model) for part in self.parts)

    def fix(self, model: "cp_model.CpModel", x: Parts, answer: Parts) -> None:
        for part, own, values in zip(self.parts, x, answer, strict=True):
            part.fix(model, own, values)

    def read(self, value: Callable[[Any], int], x: Parts) -> Parts:
        return tuple(part.read(value, own) for part, own in zip(self.parts, x, strict=True))


def _with(answer: Parts, k: int, part: Any) -> Parts:
    return (*answer[:k], part, *answer[k + 1 :])
