"""Topping up: how many more instances make a batch's intervals as narrow as asked.

An interval's width falls with the square root of the number of instances, so the present one tells how many are needed.
It is itself an estimate: a round at most quadruples the instances, and the next one looks again.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy.orm import Session

from probe.batches import BOUNDS, BatchSpec
from probe.controls import check_open
from probe.errors import RequestError
from probe.planning import Plan, plan
from probe.results.cells import result_table
from probe.store.tables import Batch
from probe.submitting import stored_spec

ROUNDS = 5
MOST_GROWTH = 4.0  # of the instances, in one round
SPARE = 1.05  # asked beyond what the present interval says, lest a round miss by a hair
Widths = Mapping[str, float | None]  # by model; None: too few instances for an interval


@dataclass(frozen=True)
class Round:
    """What a round would do: the instances of each arm, and what that would take beyond what was asked."""

    widths: Widths
    instances: tuple[int, ...]
    more: Plan

    def plain(self) -> dict[str, Any]:
        """Return the round as JSON."""
        return {"widths": dict(self.widths), "instances": list(self.instances), "more": self.more.plain()}


def check(batch: Batch, width: float) -> None:
    """Raise RequestError where a batch can't be topped up now, or a width is none."""
    check_open(batch)
    if not 0 < width < 1:
        raise RequestError(f"width: {width:g} is not between 0 and 1; 0.1 means ten points from low to high")
    if batch.state != "complete":
        raise RequestError(f"batch {batch.name!r} is {batch.state}: finish it first (probe resume {batch.name})")


def widths(session: Session, batch: Batch, measure: str) -> Widths:
    """Return how wide the interval of a measure is, by model. Raises RequestError where a model has no such rate."""
    cells = [
        c for c in result_table(session, ("model",), batch=batch.id, measure=measure).cells if c.kind == "endpoint"
    ]
    if not cells:
        raise RequestError(f"batch {batch.name!r} asks no model, so there is no interval to narrow")
    found: dict[str, float | None] = {}
    for cell in cells:
        name, rate = str(cell.group["model"]), cell.rates[measure]
        if rate is None:
            raise RequestError(f"measure: {measure} was never counted for {name} in this batch; choose another")
        found[name] = None if rate.low is None or rate.high is None else rate.high - rate.low
    return found


def narrow(present: Widths, width: float) -> bool:
    """Return whether every model's interval is as narrow as asked."""
    return all(w is not None and w <= width for w in present.values())


def growth(present: Widths, width: float) -> float:
    """Return how many times the instances are needed for every interval to be as narrow as asked; at most fourfold."""
    wanted = [MOST_GROWTH if w is None else SPARE * (w / width) ** 2 for w in present.values()]
    return min(MOST_GROWTH, max(wanted))


def grown(instances: Sequence[int], factor: float, most: int | None) -> tuple[int, ...]:
    """Return so many times the instances of each arm, at least one more; at most ``most``, but never fewer than now."""
    limit = int(BOUNDS["instances"][1]) if most is None else most
    return tuple(max(n, min(limit, max(n + 1, math.ceil(n * factor)))) for n in instances)


def next_round(
    session: Session, batch: Batch, measure: str, width: float, most: int | None, concurrency: int
) -> Round | None:
    """Return what has to be asked next, None where every interval is narrow enough.

    The round adds nothing where ``most`` instances are asked already.
    """
    present = widths(session, batch, measure)
    if narrow(present, width):
        return None
    spec = stored_spec(batch.spec)
    instances = grown([arm.instances for arm in spec.arms], growth(present, width), most)
    return Round(present, instances, _more(session, spec, instances, concurrency))


def _more(session: Session, spec: BatchSpec, instances: Sequence[int], concurrency: int) -> Plan:
    """Return what the larger batch takes beyond the present one."""
    arms = tuple(replace(arm, instances=n) for arm, n in zip(spec.arms, instances, strict=True))
    old, new = plan(session, spec, concurrency), plan(session, replace(spec, arms=arms), concurrency)
    counts = ("questions", "instances", "calls", "prompt_tokens", "answer_tokens")
    less = {name: getattr(new, name) - getattr(old, name) for name in counts}
    for name in ("cost", "seconds"):
        before, after = getattr(old, name), getattr(new, name)
        less[name] = None if before is None or after is None else after - before
    return replace(new, **less, detectable_difference=None)  # that is a matter of the whole batch


def render(done: Round, measure: str, width: float) -> str:
    """Return a round as text."""
    from probe.planning import render_plan

    shown = ", ".join(f"{name} {'unknown' if w is None else f'{100 * w:.1f}'}" for name, w in done.widths.items())
    arms = ", ".join(str(n) for n in done.instances)
    head = [
        f"{measure}  interval widths in points, {100 * width:.1f} asked: {shown}",
        f"next          {arms} instances in each family and size; what is new takes",
    ]
    return "\n".join([*head, render_plan(done.more)])
