"""Work in the database: preparing blocks, leasing shards, committing trials with their tallies.

A lease is a random token with a deadline in database time; every write of its owner carries the token, so an owner
whose lease was taken over writes nothing.
"""

import os
import secrets
import socket
import zlib
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import cast

from sqlalchemy import Table, and_, func, insert, or_, select, update
from sqlalchemy.orm import Session

from probe.asking.measures import Counts, pack, tally
from probe.asking.records import Record
from probe.controls import drop_open
from probe.preparing import Prepared
from probe.store.sessions import insert_rows
from probe.store.tables import (
    Batch,
    Block,
    Call,
    ConstraintResult,
    Instance,
    Model,
    Question,
    Shard,
    Tally,
    Trial,
)

LEASE_SECONDS = 60.0
SHARDS = cast(Table, Shard.__table__)
TRIALS = cast(Table, Trial.__table__)  # what has no objects goes past the ORM, in half the time


@dataclass(frozen=True)
class CallRow:
    """One attempt at an answer, as kept."""

    number: int
    kind: str
    started_at: float
    seconds: float
    status: int | None = None
    error: str | None = None
    finish_reason: str | None = None
    prompt_tokens: int | None = None
    answer_tokens: int | None = None
    reasoning_tokens: int | None = None
    charged_prompt_tokens: int = 0
    charged_answer_tokens: int = 0
    served_model: str | None = None
    fingerprint: str | None = None
    raw: bytes | None = None


@dataclass(frozen=True)
class Finished:
    """One judged answer, ready to be written by the owner of its shard's lease."""

    shard_id: int
    token: str
    record: Record
    calls: tuple[CallRow, ...]


@dataclass
class Lease:
    """A shard in this process's hands: what to ask of which instances, what is answered already."""

    shard_id: int
    token: str
    model_id: int
    presentation_id: int
    asked_channel: str
    mode: str
    documents: dict[int, bytes]  # by position
    todo: list[tuple[int, int]]  # (position, sample)
    answered: list[tuple[int, int, str, str | None]]  # (position, sample, outcome, answer) of earlier leases
    attempted: dict[tuple[int, int], int]  # attempts on record of trials that are asked again
    counts: list[tuple[int, Counts]] = field(default_factory=list)  # of every trial, for the tally
    left: int = 0  # trials of this lease not yet committed


def owner_name() -> str:
    """Return who a lease belongs to: host and process."""
    return f"{socket.gethostname()} {os.getpid()}"


def _alive(owner: str | None) -> bool:
    """Return whether the owner may be alive; another host's process always may."""
    host, _, pid = (owner or "").rpartition(" ")
    if host != socket.gethostname() or not pid.isdigit():
        return True
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


# --- preparing --------------------------------------------------------------------------------------------------------


def save_block(session: Session, done: Prepared) -> bool:
    """Store what a block's preparation made beyond what is there already; False where that is nothing.

    Another process may have prepared a shorter or longer prefix meanwhile: what both made is the same.
    """
    work = done.work
    block = session.get(Block, work.block_id, with_for_update=True)
    if block is None or not work.first <= block.prepared < work.last:
        return False
    new = range(block.prepared, work.last)
    discards = dict(block.discards)
    for position in new:
        for reason, count in done.discards.get(position, {}).items():
            discards[reason] = discards.get(reason, 0) + count
    holes = {position: reasons for position, reasons in done.holes.items() if int(position) in new}
    block.discards, block.holes, block.prepared = discards, {**block.holes, **holes}, work.last
    rows = [
        {"block_id": work.block_id, "position": p, "key": key, "greedy_fails": fails, "document": document}
        for p, key, fails, document in done.instances
        if p in new
    ]
    insert_rows(session, Instance, rows)
    return True


# --- leasing ----------------------------------------------------------------------------------------------------------


def lease(session: Session, now: float, batch_id: int, model_id: int, held: Collection[int] = ()) -> Lease | None:
    """Take the next pending shard of a batch and model whose instances are prepared, None where there is none.

    ``held``: shards that this process works on; it never takes its own expired lease over.
    """
    free = or_(Shard.lease_token.is_(None), Shard.lease_until < now)
    row = session.execute(
        select(Shard, Question.mode, Question.block_id)
        .join(Question, Shard.question_id == Question.id)
        .join(Block, Question.block_id == Block.id)
        .where(
            Shard.batch_id == batch_id,
            Shard.model_id == model_id,
            Shard.state == "pending",
            Shard.id.not_in(held),
            free,
            Block.prepared >= Shard.last,
        )
        .order_by(Shard.id)
        .limit(1)
        .with_for_update(skip_locked=True, of=Shard)
    ).first()
    if row is None:
        return None
    shard, mode, block_id = row
    shard.lease_token, shard.lease_until = secrets.token_hex(8), now + LEASE_SECONDS
    shard.owner = owner_name()
    documents = instance_documents(session, block_id, shard.first, shard.last)
    trials = select(Trial.position, Trial.sample, Trial.outcome, Trial.answer).where(Trial.shard_id == shard.id)
    answered = [(t.position, t.sample, t.outcome, t.answer) for t in session.execute(trials)]
    seen = {(position, sample) for position, sample, _, _ in answered}
    todo = [
        (position, sample)
        for sample in range(shard.first_sample, shard.last_sample)
        for position in sorted(documents)
        if (position, sample) not in seen
    ]
    calls = select(Call.position, Call.sample, func.max(Call.number)).where(Call.shard_id == shard.id)
    attempted = {(p, sample): n for p, sample, n in session.execute(calls.group_by(Call.position, Call.sample))}
    assert shard.presentation_id is not None
    assert shard.asked_channel is not None
    return Lease(
        shard_id=shard.id,
        token=shard.lease_token,
        model_id=shard.model_id,
        presentation_id=shard.presentation_id,
        asked_channel=shard.asked_channel,
        mode=mode,
        documents=documents,
        todo=todo,
        answered=answered,
        attempted=attempted,
        left=len(todo),
    )


def instance_documents(session: Session, block_id: int, first: int, last: int) -> dict[int, bytes]:
    """Return the documents of a block's instances at positions [first, last); a hole has none."""
    rows = session.execute(
        select(Instance.position, Instance.document).where(
            Instance.block_id == block_id, Instance.position >= first, Instance.position < last
        )
    )
    return {row.position: row.document for row in rows}


def renew(session: Session, now: float, leases: Iterable[tuple[int, str]]) -> set[tuple[int, str]]:
    """Push the deadlines of leases and return those still owned; holds their rows until the transaction ends."""
    owned = set()
    for shard_id, token in sorted(set(leases)):
        mine = and_(Shard.id == shard_id, Shard.lease_token == token, Shard.state == "pending")
        done = session.execute(
            update(SHARDS).where(mine).values(lease_until=now + LEASE_SECONDS).returning(SHARDS.c.id)
        )
        if done.first() is not None:
            owned.add((shard_id, token))
    return owned


def release(session: Session, leases: Iterable[tuple[int, str]]) -> None:
    """Give leases back."""
    for shard_id, token in leases:
        session.execute(
            update(Shard)
            .where(Shard.id == shard_id, Shard.lease_token == token)
            .values(lease_token=None, lease_until=None, owner=None)
        )


def take_over(session: Session, batch_id: int) -> int:
    """Free the leases of this host's dead processes at once and return how many there were."""
    rows = session.execute(
        select(Shard.id, Shard.lease_token, Shard.owner).where(
            Shard.batch_id == batch_id, Shard.state == "pending", Shard.lease_token.is_not(None)
        )
    ).all()
    dead = [(row.id, row.lease_token) for row in rows if not _alive(row.owner)]
    release(session, dead)
    return len(dead)


# --- committing -------------------------------------------------------------------------------------------------------


def save_trials(session: Session, records: Sequence[tuple[int, Record]]) -> None:
    """Insert trials, given as (shard id, record), and their results by constraint kind."""
    if not records:
        return
    rows = [
        {
            "shard_id": shard_id,
            "position": r.position,
            "sample": r.sample,
            "outcome": r.outcome,
            "answer": r.answer,
            "repairs": r.repairs,
            "error": r.error,
            "constraints": r.constraints,
            "satisfied": r.satisfied,
            "objective": r.objective,
            "gap": r.gap,
            "judge_version": r.judge_version,
        }
        for shard_id, r in records
    ]
    ids = session.scalars(insert(TRIALS).returning(TRIALS.c.id, sort_by_parameter_order=True), rows).all()
    kinds = [
        {
            "trial_id": trial_id,
            "kind": k.kind,
            "constraints": k.constraints,
            "satisfied": k.satisfied,
            "failed": k.failed,
        }
        for trial_id, (_, r) in zip(ids, records, strict=True)
        for k in r.kinds
    ]
    insert_rows(session, ConstraintResult, kinds)


def compress(raw: bytes) -> bytes:
    """Return a reply's body as the database keeps it (zlib; half the usual memory, which takes longer to clear than a
    short body to compress)."""
    compressor = zlib.compressobj(1, memLevel=5)
    return compressor.compress(raw) + compressor.flush()


def commit_group(session: Session, now: float, group: Sequence[Finished]) -> set[tuple[int, str]]:
    """Write a group of answers and return the leases (shard, token) that are still owned; the rest is dropped."""
    owned = renew(session, now, ((f.shard_id, f.token) for f in group))
    mine = [f for f in group if (f.shard_id, f.token) in owned]
    calls = [
        {
            "shard_id": f.shard_id,
            "position": f.record.position,
            "sample": f.record.sample,
            "number": c.number,
            "kind": c.kind,
            "started_at": c.started_at,
            "seconds": c.seconds,
            "status": c.status,
            "error": c.error,
            "finish_reason": c.finish_reason,
            "prompt_tokens": c.prompt_tokens,
            "answer_tokens": c.answer_tokens,
            "reasoning_tokens": c.reasoning_tokens,
            "charged_prompt_tokens": c.charged_prompt_tokens,
            "charged_answer_tokens": c.charged_answer_tokens,
            "served_model": c.served_model,
            "fingerprint": c.fingerprint,
            "raw": None if c.raw is None else compress(c.raw),
        }
        for f in mine
        for c in f.calls
    ]
    insert_rows(session, Call, calls)
    save_trials(session, [(f.shard_id, f.record) for f in mine])
    return owned


def finish_shard(
    session: Session, shard_id: int, token: str | None, counts: Iterable[tuple[int, Counts]], judge_version: int
) -> bool:
    """Leave the shard's tally and mark it complete, in the caller's transaction; False where the lease was lost."""
    owned = Shard.lease_token.is_(None) if token is None else Shard.lease_token == token
    done = session.execute(
        update(Shard)
        .where(Shard.id == shard_id, Shard.state == "pending", owned)
        .values(state="complete", lease_token=None, lease_until=None, owner=None)
        .returning(Shard.id)
    ).first()
    if done is None:
        return False
    names, matrix = pack(*tally(counts))
    session.execute(insert(Tally).values(shard_id=shard_id, judge_version=judge_version, measures=names, matrix=matrix))
    return True


# --- standing ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Spent:
    """What a batch's calls have used so far. ``cost`` is None where a model that was called has no price."""

    calls: int
    tokens: int
    cost: float | None


def spent(session: Session, batch_id: int) -> Spent:
    """Return what a batch has used, over every attempt ever recorded."""
    tokens_in = func.coalesce(func.sum(Call.charged_prompt_tokens), 0)
    tokens_out = func.coalesce(func.sum(Call.charged_answer_tokens), 0)
    rows = session.execute(
        select(func.count(Call.id), tokens_in, tokens_out, Model.price_in, Model.price_out)
        .join(Shard, Call.shard_id == Shard.id)
        .join(Model, Shard.model_id == Model.id)
        .where(Shard.batch_id == batch_id)
        .group_by(Model.id, Model.price_in, Model.price_out)
    ).all()
    calls = tokens = 0
    cost: float | None = 0.0
    for count, prompt, answer, price_in, price_out in rows:
        calls, tokens = calls + count, tokens + int(prompt or 0) + int(answer or 0)
        if price_in is None or price_out is None or cost is None:
            cost = None
        else:
            cost += (int(prompt or 0) * price_in + int(answer or 0) * price_out) / 1e6
    return Spent(calls, tokens, cost)


def shard_counts(session: Session, batch_id: int) -> dict[str, int]:
    """Return how many shards of a batch are in each state."""
    rows = session.execute(select(Shard.state, func.count()).where(Shard.batch_id == batch_id).group_by(Shard.state))
    return {row[0]: row[1] for row in rows}


def fail_shard(session: Session, shard_id: int, token: str, error: str) -> None:
    """Give a leased shard up for good."""
    session.execute(
        update(Shard)
        .where(Shard.id == shard_id, Shard.lease_token == token)
        .values(state="failed", error=error[:500], lease_token=None, lease_until=None, owner=None)
    )


def close_batch(session: Session, now: float, batch_id: int, state: str, done: bool) -> str:
    """Set a batch's state: "running" where another process holds a lease; "complete" where ``done`` (instances and
    baselines are made) and no shard is pending or failed; "cancelled" where it was; else ``state``. Returns what was
    set."""
    batch = session.get_one(Batch, batch_id)
    if batch.state == "cancelled":
        drop_open(session, batch_id)
        return batch.state
    of_batch = select(Shard.id).where(Shard.batch_id == batch_id)
    held = session.scalar(of_batch.where(Shard.state == "pending", Shard.lease_until > now).limit(1)) is not None
    open_ = session.scalar(of_batch.where(Shard.state.in_(("pending", "failed"))).limit(1)) is not None
    batch.state = "running" if held else "complete" if done and not open_ else state
    batch.finished_at = now if batch.state == "complete" else None
    return batch.state
