"""Measures: what one trial adds to the tally of its shard, as counts (n, y) by measure and position.

``n`` is what was counted, ``y`` how much of it was so. Everything that a table shows is computed from these.
"""

from collections import Counter
from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

from probe.asking.judging import FEASIBLE, OUTCOMES, UNSCORED, Verdict
from probe.asking.posed import Posed
from solvers.procedure import ATTRACTORS, LABELS

POSITIONS = 50  # indexes of a block
WELL_FORMED = ("infeasible", "feasible", "optimal")
FIRST = (  # in a tally: what most tables want, in that order, so that they need not read the rest
    *(f"outcome:{outcome}" for outcome in UNSCORED),
    *("constraints", "feasible", "optimal", "feasible_core", "wellformed", "gap"),
    *(f"outcome:{outcome}" for outcome in OUTCOMES if outcome not in UNSCORED),
)
Counts = dict[str, tuple[int, int]]
Matrix = NDArray[np.int32]  # (measures, POSITIONS, 2)


def counts(posed: Posed, verdict: Verdict) -> Counts:
    """Return the counts of one trial.

    constraints      constraints, satisfied ones (micro; by instance also macro)
    wellformed       the same, of well-formed answers only
    feasible, feasible_core (all but the target), optimal: the trial, whether it is so
    gap              feasible trials with an objective, primal gap in parts per million
    outcome:X        the trial (unscored ones too), whether its outcome is X
    kind:X, class:X  constraints of kind or class X, satisfied ones
    recalled         the trial, whether its answer is what memory offers (variant perturbed)
    label:X          labelled components of a procedure, those with label X
    attractor:X      wrong components, those that are X
    survives:k       the trial, whether all iterates up to k are right (trace)
    follows:k        the trial if it wrote iterate k, whether k is what the step gives from its own iterate k - 1
    """
    out: Counts = {f"outcome:{o}": (1, int(verdict.outcome == o)) for o in OUTCOMES}
    if not verdict.scored:
        return out
    n, satisfied = len(verdict.checks), verdict.satisfied
    out["constraints"] = (n, satisfied)
    if verdict.outcome in WELL_FORMED:
        out["wellformed"] = (n, satisfied)
    out["feasible"] = (1, int(verdict.outcome in FEASIBLE))
    core = all(check.satisfied for check in verdict.checks if check.constraint_class != "target")
    out["feasible_core"] = (1, int(core and verdict.outcome in WELL_FORMED))
    if posed.instance.variant == "perturbed":
        out["recalled"] = (1, int(verdict.recalled is True))
    if posed.objective is not None:
        out["optimal"] = (1, int(verdict.outcome == "optimal"))
    if verdict.gap is not None:
        out["gap"] = (1, verdict.gap)
    for check in verdict.checks:
        for measure in (f"kind:{check.kind}", f"class:{check.constraint_class}"):
            m, good = out.get(measure, (0, 0))
            out[measure] = (m + 1, good + check.satisfied)
    return out | trace_counts(posed, verdict)


def trace_counts(posed: Posed, verdict: Verdict) -> Counts:
    """Return the counts of what each component of a procedure's answer is; a missing iterate does not survive."""
    out: Counts = {}
    labels = Counter(w.label for w in verdict.written if w.label is not None)
    if total := labels.total():
        out |= {f"label:{label}": (total, labels[label]) for label in LABELS}
    wrong = Counter(w.attractor for w in verdict.written if w.attractor is not None)
    if total := wrong.total():
        out |= {f"attractor:{name}": (total, wrong[name]) for name in ATTRACTORS}
    if posed.mode != "trace":
        return out
    alive = True
    for step in range(1, posed.instance.knobs["steps"] + 1):
        here = [w for w in verdict.written if w.step == step]
        alive = alive and bool(here) and all(w.attractor is None for w in here)
        out[f"survives:{step}"] = (1, int(alive))
        if here:
            out[f"follows:{step}"] = (1, int(all(w.follows for w in here)))
    return out


def tally(trials: Iterable[tuple[int, Counts]]) -> tuple[list[str], Matrix]:
    """Return (measure names, matrix) of trials given as (position in the block, counts)."""
    sums: dict[str, list[int]] = {}
    for position, trial in trials:
        for measure, (n, y) in trial.items():
            if (row := sums.get(measure)) is None:
                row = sums[measure] = [0] * (2 * POSITIONS)
            row[2 * position] += n
            row[2 * position + 1] += y
    order = {name: i for i, name in enumerate(FIRST)}
    names = sorted(sums, key=lambda name: (order.get(name, len(FIRST)), name))
    return names, np.array([sums[name] for name in names], np.int32).reshape(-1, POSITIONS, 2)


def pack(names: list[str], matrix: Matrix) -> tuple[str, bytes]:
    """Return a tally as the database keeps it (see `probe.store.tables.Tally`)."""
    return "\n".join(names), matrix.astype("<i4").tobytes()


def unpack(names: str, matrix: bytes) -> Mapping[str, Matrix]:
    """Return the counts (POSITIONS, 2) of each measure of a packed tally."""
    keys = names.split("\n") if names else []
    values = np.frombuffer(matrix, "<i4").reshape(len(keys), POSITIONS, 2)
    return dict(zip(keys, values, strict=True))
