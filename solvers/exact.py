"""Exact answers: running CP-SAT, and what counts as a proof.

Limits are deterministic (one worker, deterministic time), so that the same instance is proven or given up on every
machine. The solver's word is never taken: its answer is checked by the constraints' own predicates and its objective is
recomputed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Generic, Literal

from solvers.problem import A, Constraint, Number, Objective, Proof, Untrue, X, examine
from solvers.shapes import Shape

if TYPE_CHECKING:
    from ortools.sat.python import cp_model

EFFORT = 10.0  # deterministic seconds a solve may take before the attempt is discarded as unproven
Status = Literal["optimal", "infeasible", "unproven"]


@dataclass(frozen=True)
class Solution(Generic[A]):
    """What the exact solver says of a problem. Answer and objective are None unless ``status`` is "optimal"."""

    status: Status
    answer: A | None
    objective: Number | None
    proof: Proof


@cache
def solver_name() -> str:
    """Return the solver and its version, as stored with each proof."""
    from importlib.metadata import version

    return f"cp-sat {version('ortools')}"


def _solver(effort: float) -> "cp_model.CpSolver":
    from ortools.sat.python import cp_model

    solver = cp_model.CpSolver()
    solver.parameters.num_workers = 1
    solver.parameters.random_seed = 0
    solver.parameters.max_deterministic_time = effort
    return solver


def solve(
    shape: Shape[A, X],
    constraints: Sequence[Constraint[A, X]],
    objective: Objective[A, X] | None,
    effort: float = EFFORT,
) -> Solution[A]:
    """Return the proven optimum under ``constraints`` (any answer that meets them where there is no objective).

    Raises `Untrue` where the solver's answer fails a predicate or its objective differs from the recomputed one.
    """
    from ortools.sat.python import cp_model

    model = cp_model.CpModel()
    x = shape.variables(model)
    for constraint in constraints:
        constraint.post(model, x)
    if objective is not None:
        total = objective.post(model, x)
        if objective.direction == "max":
            model.maximize(total)
        else:
            model.minimize(total)
    solver = _solver(effort)
    code = solver.solve(model)
    work = float(solver.response_proto.deterministic_time)
    proven = code == cp_model.OPTIMAL or (code == cp_model.FEASIBLE and objective is None)
    # The bound of an integer objective comes as a float: 92.99999999999999 is 93.
    bound = round(solver.best_objective_bound) if proven and objective is not None else None
    proof = Proof(solver.status_name(code), bound, round(work, 6), solver_name(), solver.wall_time)
    if not proven:
        return Solution("infeasible" if code == cp_model.INFEASIBLE else "unproven", None, None, proof)
    answer = shape.read(solver.value, x)
    if failed := [check.id for check in examine(constraints, answer) if not check.satisfied]:
        raise Untrue(f"the solver's answer violates {', '.join(failed)}: check and post disagree")
    value = objective.of(answer) if objective is not None else None
    if value != bound:
        raise Untrue(f"the solver proved {bound}, its answer is worth {value}: objective and its posting disagree")
    return Solution("optimal", answer, value, proof)


def admits(shape: Shape[A, X], constraints: Sequence[Constraint[A, X]], answer: A) -> bool:
    """Return whether the solver finds ``constraints`` feasible with its variables fixed to ``answer``.

    Raises `Untrue` where the solver can't tell.
    """
    from ortools.sat.python import cp_model

    model = cp_model.CpModel()
    x = shape.variables(model)
    shape.fix(model, x, answer)
    for constraint in constraints:
        constraint.post(model, x)
    code: Any = _solver(EFFORT).solve(model)
    if code in (cp_model.OPTIMAL, cp_model.FEASIBLE):
        return True
    if code == cp_model.INFEASIBLE:
        return False
    raise Untrue("the solver could not decide a fully fixed model")
