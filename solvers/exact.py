"""Exact answers: running CP-SAT (families of whole numbers) or GLOP (of continuous ones), and what counts as a proof.

Limits are deterministic (one worker, deterministic time; iterations), so that the same instance is proven or given up
on every machine. The solver's word is never taken: its answer is checked by the constraints' own predicates and its
objective is recomputed.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from fractions import Fraction
from functools import cache
from math import ceil, floor, isfinite
from typing import Any, Generic, Literal

from solvers.problem import A, Constraint, Number, Objective, Proof, Untrue, X, examine
from solvers.shapes import Shape

EFFORT = 10.0  # deterministic seconds a solve may take before the attempt is discarded as unproven
ITERATIONS = 100_000  # of the simplex method, likewise
DECIMALS = 6  # of a bound that is no whole number
Status = Literal["optimal", "infeasible", "unproven"]
Ending = Literal["optimal", "feasible", "infeasible", "unknown"]


@dataclass(frozen=True)
class Solution(Generic[A]):
    """What the exact solver says of a problem. Answer and objective are None unless ``status`` is "optimal"."""

    status: Status
    answer: A | None
    objective: Number | None
    proof: Proof


@dataclass(frozen=True)
class Found(Generic[A]):
    """What a search of limited time came to. ``bound``: no answer is better than it; None where nothing is known."""

    status: Ending
    answer: A | None
    objective: Number | None
    bound: Number | None
    seconds: float


@dataclass(frozen=True)
class Run:
    """One run of a solver: how it ended, its word for it, and what it holds.

    ``objective``: of the answer it holds; ``bound``: no answer is better than it; None where there is none.
    ``value``: solver variable -> its value. ``effort`` is machine-independent, ``seconds`` is not.
    """

    ending: Ending
    word: str
    objective: float | None
    bound: float | None
    effort: float
    seconds: float
    value: Callable[[Any], Any]


@cache
def solver_name(continuous: bool = False) -> str:
    """Return the solver and its version, as stored with each proof."""
    from importlib.metadata import version

    return f"{'glop' if continuous else 'cp-sat'} {version('ortools')}"


def run(
    shape: Shape[A, X],
    constraints: Sequence[Constraint[A, X]],
    objective: Objective[A, X] | None,
    effort: float = EFFORT,
    seconds: float | None = None,
    fixed: A | None = None,
) -> tuple[Run, X]:
    """Run the solver of a shape; return the run and the shape's variables.

    ``seconds``: a limit of time, with all processors, in place of the deterministic one with one worker. ``fixed``: an
    answer that the variables are fixed to.
    """
    model = new_model(shape)
    x = shape.variables(model)
    if fixed is not None:
        shape.fix(model, x, fixed)
    for constraint in constraints:
        constraint.post(model, x)
    if objective is not None:
        total = objective.post(model, x)
        (model.maximize if objective.direction == "max" else model.minimize)(total)
    if shape.continuous:
        return _glop(model, objective is not None, effort, seconds), x
    return _cp_sat(model, objective is not None, effort, seconds, shape.linearized), x


def new_model(shape: Shape[Any, Any]) -> Any:
    """Return an empty model of the solver that a shape posts to: CP-SAT's or MathOpt's."""
    if shape.continuous:
        from ortools.math_opt.python import mathopt

        return mathopt.Model()
    from ortools.sat.python import cp_model

    return cp_model.CpModel()


def _cp_sat(model: Any, has_objective: bool, effort: float, seconds: float | None, linearized: bool) -> Run:
    from ortools.sat.python import cp_model

    solver = cp_model.CpSolver()
    solver.parameters.random_seed = 0
    solver.parameters.linearization_level = 2 if linearized else 1
    if seconds is None:
        solver.parameters.num_workers = 1
        solver.parameters.max_deterministic_time = effort
    else:
        solver.parameters.max_time_in_seconds = seconds
    code = solver.solve(model)
    found: dict[Any, Ending] = {
        cp_model.OPTIMAL: "optimal",
        cp_model.FEASIBLE: "feasible" if has_objective else "optimal",
        cp_model.INFEASIBLE: "infeasible",
    }
    ending = found.get(code, "unknown")
    held = has_objective and ending in ("optimal", "feasible")
    return Run(
        ending,
        solver.status_name(code),
        solver.objective_value if held else None,
        solver.best_objective_bound if has_objective and ending != "infeasible" else None,
        float(solver.response_proto.deterministic_time),
        solver.wall_time,
        solver.value,
    )


def _glop(model: Any, has_objective: bool, effort: float, seconds: float | None) -> Run:
    from ortools.math_opt.python import mathopt

    if seconds is None:
        limit = mathopt.SolveParameters(iteration_limit=ITERATIONS)
    else:
        limit = mathopt.SolveParameters(time_limit=timedelta(seconds=seconds))
    result = mathopt.solve(model, mathopt.SolverType.GLOP, params=limit)
    reason = result.termination.reason
    found: dict[Any, Ending] = {
        mathopt.TerminationReason.OPTIMAL: "optimal",
        mathopt.TerminationReason.FEASIBLE: "feasible",
        mathopt.TerminationReason.INFEASIBLE: "infeasible",
        mathopt.TerminationReason.INFEASIBLE_OR_UNBOUNDED: "unknown",
    }
    ending = found.get(reason, "unknown")
    held = has_objective and ending in ("optimal", "feasible")
    return Run(
        ending,
        reason.name,
        result.objective_value() if held else None,
        result.best_objective_bound() if held else None,
        float(result.solve_stats.simplex_iterations),
        result.solve_time().total_seconds(),
        result.variable_values,
    )


def solve(
    shape: Shape[A, X],
    constraints: Sequence[Constraint[A, X]],
    objective: Objective[A, X] | None,
    effort: float = EFFORT,
) -> Solution[A]:
    """Return the proven optimum under ``constraints`` (any answer that meets them where there is no objective).

    Raises `Untrue` where the solver's answer fails a predicate or its objective differs from the recomputed one.
    """
    done, x = run(shape, constraints, objective, effort)
    proven = done.ending == "optimal"
    bound = exact_bound(done.bound, shape.continuous) if proven and done.bound is not None else None
    proof = Proof(done.word, bound, round(done.effort, 6), solver_name(shape.continuous), done.seconds)
    if not proven:
        return Solution("infeasible" if done.ending == "infeasible" else "unproven", None, None, proof)
    answer = checked(shape, constraints, shape.read(done.value, x))
    if objective is None:
        return Solution("optimal", answer, None, proof)
    value = objective.of(answer)
    assert bound is not None
    if abs(Fraction(value) - bound) > objective.tolerance:
        raise Untrue(f"the solver proved {bound}, its answer is worth {value}: objective and its posting disagree")
    return Solution("optimal", answer, value, proof)


def search(
    shape: Shape[A, X], constraints: Sequence[Constraint[A, X]], objective: Objective[A, X], seconds: float
) -> Found[A]:
    """Return the best answer found within a time, with all processors; "optimal" only where that is proven.

    Raises `Untrue` where the solver's answer fails a predicate.
    """
    done, x = run(shape, constraints, objective, seconds=seconds)
    bound: Number | None = None
    if done.bound is not None and isfinite(done.bound):
        slip = 10**-DECIMALS if objective.direction == "max" else -(10**-DECIMALS)
        whole = floor if objective.direction == "max" else ceil
        bound = exact_bound(done.bound, True) if shape.continuous else whole(done.bound + slip)
    if done.ending not in ("optimal", "feasible"):
        return Found(done.ending, None, None, bound, done.seconds)
    answer = checked(shape, constraints, shape.read(done.value, x))
    return Found(done.ending, answer, objective.of(answer), bound, done.seconds)


def exact_bound(bound: float, continuous: bool) -> Number:
    """Return a solver's bound: of an objective of whole numbers a whole number (92.99999999999999 is 93)."""
    return Fraction(str(round(bound, DECIMALS))) if continuous else round(bound)


def checked(shape: Shape[A, X], constraints: Sequence[Constraint[A, X]], answer: A) -> A:
    """Return a solver's answer that every constraint's own predicate accepts. Raises `Untrue`."""
    if failed := [check.id for check in examine(constraints, answer) if not check.satisfied]:
        raise Untrue(f"the solver's answer violates {', '.join(failed)}: check and post disagree")
    return answer


def admits(shape: Shape[A, X], constraints: Sequence[Constraint[A, X]], answer: A) -> bool:
    """Return whether the solver finds ``constraints`` feasible with its variables fixed to ``answer``.

    Raises `Untrue` where the solver can't tell.
    """
    done, _ = run(shape, constraints, None, fixed=answer)
    if done.ending == "unknown":
        raise Untrue("the solver could not decide a fully fixed model")
    return done.ending != "infeasible"
