"""Shapes of schedules: a start time for each operation of each job."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from solvers.keys import Stream
from solvers.names import Names
from solvers.shapes.base import Partial, Shape, keys, object_of

if TYPE_CHECKING:
    from ortools.sat.python import cp_model


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
        rows = {
            label: {
                "type": "array",
                "items": {"type": "integer", "minimum": 0},
                "minItems": len(self.durations[j]),
                "maxItems": len(self.durations[j]),
                "x-partial": True,
            }
            for label, j in keys(names, self.entity, len(self.durations)).items()
        }
        return object_of({"starts": object_of(rows, True)})

    def asked(self, names: Names) -> str:
        return f"for every {names.word(self.entity)} the start times (whole numbers) of its operations in their order"

    def pattern(self, names: Names) -> str:
        job = names.word(self.entity)
        return f'"starts": {{"<{job}>": [<start of operation 1>, <start of operation 2>, …], …}}'

    def parse(self, value: Any, names: Names) -> Partial[tuple[int, int], int]:
        rows = keys(names, self.entity, len(self.durations))
        return Partial(
            {(rows[key], k): int(start) for key, row in value["starts"].items() for k, start in enumerate(row)}
        )

    def write(self, answer: Partial[tuple[int, int], int], names: Names) -> dict[str, Any]:
        given = {j for j, _ in answer}
        return {
            "starts": {
                label: [answer[j, k] for k in range(len(self.durations[j])) if (j, k) in answer]
                for label, j in keys(names, self.entity, len(self.durations)).items()
                if j in given
            }
        }

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
