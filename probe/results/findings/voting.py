"""What the commonest of several samples is worth: read from the answers, for a tally holds each answer by itself."""

from collections.abc import Iterable
from dataclasses import replace

from sqlalchemy import select
from sqlalchemy.orm import Session

from probe.asking.judging import FEASIBLE, UNSCORED
from probe.results.evidence import Arm, Counts
from probe.results.findings.deciding import NONE
from probe.results.statistics import majority
from probe.store.sessions import in_groups
from probe.store.tables import Trial

MAJORITY = "majority"  # measure of an arm here: instances, those whose commonest answer is feasible
FEWEST_VOTES = 3


def load(session: Session, arms: Iterable[Arm]) -> list[Arm]:
    """Return arms of models that answered instances 3 times or more, with the measure `MAJORITY` alone.

    Answers count as one where their JSON is the same; unscored ones don't vote, those that can't be read vote for none.
    """
    several = [arm for arm in arms if arm.manner is not None and _samples(arm) >= FEWEST_VOTES]
    answers: dict[int, list[tuple[int, str | None, bool]]] = {}
    for some in in_groups(sorted(shard for arm in several for shard in arm.shards)):
        query = select(Trial.shard_id, Trial.position, Trial.answer, Trial.outcome).where(
            Trial.shard_id.in_(some), Trial.outcome.not_in(UNSCORED)
        )
        for shard, position, answer, outcome in session.execute(query.order_by(Trial.sample, Trial.id)):
            answers.setdefault(shard, []).append((position, answer, outcome in FEASIBLE))
    return [
        replace(arm, counts={MAJORITY: _voted(one for s in arm.shards for one in answers.get(s, ()))})
        for arm in several
    ]


def _samples(arm: Arm) -> int:
    """Return the most answers that were asked of one instance."""
    return int(arm.counts[f"outcome:{UNSCORED[0]}"][:, 0].max())


def _voted(answers: Iterable[tuple[int, str | None, bool]]) -> Counts:
    """Return (n, y) by position of what most answers there are: n = 1 where there were enough."""
    by_position: dict[int, list[tuple[str | None, bool]]] = {}
    for position, answer, feasible in answers:
        by_position.setdefault(position, []).append((answer, feasible))
    out = NONE.copy()
    for position, cast in by_position.items():
        if len(cast) >= FEWEST_VOTES:
            chosen = majority([answer for answer, _ in cast], len(cast))
            out[position] = 1, int(dict(cast).get(chosen, False))
    return out
