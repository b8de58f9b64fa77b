"""What answers cost in tokens, which no tally holds: read from the calls."""

from collections.abc import Iterable
from typing import NamedTuple

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from probe.results.evidence import Arm
from probe.store.sessions import in_groups
from probe.store.tables import Call


class Spent(NamedTuple):
    """What the answers of a shard cost: how many said so, and the tokens written in all, thought included."""

    answers: int
    tokens: int


def load(session: Session, arms: Iterable[Arm]) -> dict[int, Spent]:
    """Return what answers cost by shard id, of models that were asked at some effort.

    A shard whose endpoint counts no tokens has no entry.
    """
    arms = list(arms)
    thinking = {arm.subject.id for arm in arms if arm.manner is not None and arm.manner.effort is not None}
    ids = sorted(shard for arm in arms if arm.subject.id in thinking for shard in arm.shards)
    out = {}
    query = select(Call.shard_id, func.count(Call.answer_tokens), func.sum(Call.answer_tokens))
    for some in in_groups(ids):
        mine = query.where(Call.shard_id.in_(some), Call.kind == "ok").group_by(Call.shard_id)
        for shard, answers, tokens in session.execute(mine):
            if answers and tokens:
                out[shard] = Spent(int(answers), int(tokens))
    return out
