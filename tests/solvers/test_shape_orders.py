"""Orders: the solver's variables hold an incomplete order too, so that a rule can say that none is left out."""

from itertools import permutations
from typing import Any

import pytest
from ortools.sat.python import cp_model

from solvers.shapes import OrderOf, OrderVariables, Partial

ORDER = OrderOf("job", 3)


def held(answer: Partial[int, int], rule: Any = None) -> Partial[int, int] | None:
    """Return the answer as the solver reads it back once its variables are fixed to it, None where they can't be."""
    model, solver = cp_model.CpModel(), cp_model.CpSolver()
    x = ORDER.variables(model)
    ORDER.fix(model, x, answer)
    if rule is not None:
        rule(model, x)
    solver.parameters.num_workers = 1
    return ORDER.read(solver.value, x) if solver.solve(model) == cp_model.OPTIMAL else None


@pytest.mark.parametrize("jobs", [jobs for count in range(4) for jobs in permutations(range(3), count)])
def test_every_order_of_some_entities_is_held(jobs: tuple[int, ...]) -> None:
    """An order of none, some or all entities is fixed and read back as it is; a rule can ask for all of them."""
    answer = Partial({job: place for place, job in enumerate(jobs)})
    assert held(answer) == answer

    def all_placed(model: cp_model.CpModel, x: OrderVariables) -> None:
        for job in range(3):
            model.add_exactly_one(x.at[job, p] for p in range(x.count))

    assert (held(answer, all_placed) is not None) == (len(jobs) == 3)


def test_no_place_is_free_before_a_taken_one() -> None:
    """Places are filled from the first one on, and none holds two entities."""
    assert held(Partial({0: 1})) is None
    assert held(Partial({0: 0, 1: 2})) is None
    assert held(Partial({0: 0, 1: 0})) is None


def test_helpers_are_made_once() -> None:
    """What several constraints share is made when first asked for."""
    x = ORDER.variables(cp_model.CpModel())
    made: list[int] = []
    for _ in range(2):
        assert x.once("ends", lambda: made.append(1) or "ends") == "ends"
    assert made == [1]
