"""Work in the database: leasing shards, committing trials with their tallies, how a batch stands.

A lease is a random token with a deadline in database time; every write of its owner carries the token, so an owner
whose lease was taken over writes nothing.
"""

import os
import secrets
import socket
import zlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from sqlalchemy import ColumnElement, Table, and_, case, delete, func, insert, or_, select, true, update
from sqlalchemy.orm import Session

from probe.asking.measures import Counts, pack, tally
from probe.asking.records import Record
from probe.controls import HALTED, OPEN, any_in, drop_open
from probe.store.sessions import add_up, insert_rows
from probe.store.tables import (
    Batch,
    BatchOutcome,
    BatchQuestion,
    Block,
    Call,
    ConstraintResult,
    Endpoint,
    Instance,
    Model,
    Question,
    Shard,
    Tally,
    Trial,
)

LEASE_SECONDS = 60.0
SUSPECT = 2  # leases without progress after which a shard or question is worked on alone, one position at a time
POISON = 5  # leases without progress after which the position in question is given up
ACTIVE = ("queued", "running")  # states of batches that workers work on
KEYLESS = "keyless"  # key of a batch's notes: model -> the variable of its key, which a worker had not
FREE: dict[str, Any] = {"lease_token": None, "lease_until": None, "owner": None}
SHARDS = cast(Table, Shard.__table__)
TRIALS = cast(Table, Trial.__table__)  # what has no objects goes past the ORM, in half the time


def unheld(table: type[Shard] | type[BatchQuestion], now: float) -> ColumnElement[bool]:
    """Return the condition that nobody holds a lease of a row, or that it ran out."""
    return or_(table.lease_token.is_(None), table.lease_until < now)


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
    position: int
    sample: int
    record: Record | None  # None: no answer, and to be asked again; only the calls are kept
    calls: tuple[CallRow, ...]


@dataclass(frozen=True)
class Spent:
    """What a batch's calls have used so far. ``cost`` is None where one of its models has no price."""

    calls: int
    tokens: int
    cost: float | None


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
    poisoned: bool = False  # the first trial to do was tried again and again, and its process died each time


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


# --- leasing ----------------------------------------------------------------------------------------------------------


def lease(
    session: Session, now: float, batch_id: int, model_id: int, held: Collection[int] = (), suspects: bool = False
) -> Lease | None:
    """Take the next pending shard of a batch and model whose instances are prepared, None where there is none.

    ``held``: shards that this process works on; it never takes its own expired lease over. ``suspects``: those whose
    owners died again and again, which are asked apart from the others.
    """
    row = session.execute(
        select(Shard, Question.mode, Question.block_id)
        .join(Question, Shard.question_id == Question.id)
        .join(Block, Question.block_id == Block.id)
        .where(
            Shard.batch_id == batch_id,
            Shard.model_id == model_id,
            Shard.state == "pending",
            Shard.id.not_in(held),
            unheld(Shard, now),
            Shard.attempts >= SUSPECT if suspects else Shard.attempts < SUSPECT,
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
    poisoned = shard.attempts >= POISON
    shard.attempts += 1
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
        poisoned=poisoned,
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
    return _touch(session, leases, {"lease_until": now + LEASE_SECONDS})


def _touch(session: Session, leases: Iterable[tuple[int, str]], values: dict[str, Any]) -> set[tuple[int, str]]:
    owned = set()
    for shard_id, token in sorted(set(leases)):
        mine = and_(Shard.id == shard_id, Shard.lease_token == token, Shard.state == "pending")
        done = session.execute(update(SHARDS).where(mine).values(**values).returning(SHARDS.c.id))
        if done.first() is not None:
            owned.add((shard_id, token))
    return owned


def release(session: Session, leases: Iterable[tuple[int, str]]) -> None:
    """Give leases back; who does so did not die of them, which leaves suspects what they are."""
    alive = {
        "attempts": case((Shard.attempts > SUSPECT, Shard.attempts - 1), (Shard.attempts == SUSPECT, SUSPECT), else_=0)
    }
    for shard_id, token in leases:
        mine = (Shard.id == shard_id, Shard.lease_token == token)
        session.execute(update(Shard).where(*mine).values(**FREE, **alive))


def take_over(session: Session, batch_id: int | None = None) -> int:
    """Free the leases of this host's dead processes at once, of one batch or all; return how many there were."""
    freed = 0
    for table in (Shard, BatchQuestion):
        query = select(table.id, table.lease_token, table.owner).where(table.lease_token.is_not(None))
        if batch_id is not None:
            query = query.where(table.batch_id == batch_id)
        for row in session.execute(query).all():
            if not _alive(row.owner):
                mine = (table.id == row.id, table.lease_token == row.lease_token)
                session.execute(update(table).where(*mine).values(**FREE))
                freed += 1
    return freed


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


def commit_group(
    session: Session, now: float, group: Sequence[Finished], *, again: bool = False
) -> tuple[set[tuple[int, str]], list[Finished]]:
    """Write a group of answers; return the leases (shard, token) that are still owned, and what was written.

    What belongs to other leases is dropped. ``again``: the connection was lost while this was committed, so that some
    of it may be there. An answer without record leaves its calls only.
    """
    progress = {"attempts": case((SHARDS.c.attempts > SUSPECT, SUSPECT), else_=0)}
    leases = {(f.shard_id, f.token) for f in group if f.record is not None}
    owned = _touch(session, leases, {"lease_until": now + LEASE_SECONDS} | progress)
    owned |= renew(session, now, {(f.shard_id, f.token) for f in group} - leases)
    mine = [f for f in group if (f.shard_id, f.token) in owned]
    if again:
        known = _known_calls(session, {f.shard_id for f in mine})
        mine = [f for f in mine if not any((f.shard_id, f.position, f.sample, c.number) in known for c in f.calls)]
    calls = [
        {
            "shard_id": f.shard_id,
            "position": f.position,
            "sample": f.sample,
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
    save_trials(session, [(f.shard_id, f.record) for f in mine if f.record is not None])
    return owned, mine


def _known_calls(session: Session, shard_ids: Collection[int]) -> set[tuple[int, int, int, int]]:
    """Return (shard, position, sample, number) of the calls on record."""
    rows = session.execute(
        select(Call.shard_id, Call.position, Call.sample, Call.number).where(Call.shard_id.in_(shard_ids))
    )
    return {(row[0], row[1], row[2], row[3]) for row in rows}


def use(session: Session, batch_id: int, calls: int, tokens: int, cost: float) -> Spent:
    """Add to what a batch has used and return the sum; holds its row until the transaction ends."""
    batch = cast(Table, Batch.__table__)
    more = {"used_calls": batch.c.used_calls + calls, "used_tokens": batch.c.used_tokens + tokens}
    done = update(batch).where(batch.c.id == batch_id).values(**more, used_cost=batch.c.used_cost + cost)
    row = session.execute(done.returning(batch.c.used_calls, batch.c.used_tokens, batch.c.used_cost)).one()
    return Spent(*row)


def count_outcomes(session: Session, batch_id: int, more: Mapping[str, int]) -> None:
    """Count trials of a batch that were stored, or taken back (negative), by outcome; in a fixed order, so that two
    processes never wait for each other."""
    rows = [
        {"batch_id": batch_id, "outcome": name, "trials": trials} for name, trials in sorted(more.items()) if trials
    ]
    add_up(session, BatchOutcome, "trials", rows)


def recount_outcomes(session: Session, batch_id: int) -> None:
    """Count a batch's trials anew, one by one; holds its row, so that a write going on is counted once, by either."""
    if session.get(Batch, batch_id, with_for_update=True) is None:
        return
    query = (
        select(Trial.outcome, func.count()).join(Shard, Trial.shard_id == Shard.id).where(Shard.batch_id == batch_id)
    )
    counted = {row[0]: row[1] for row in session.execute(query.group_by(Trial.outcome))}
    session.execute(delete(BatchOutcome).where(BatchOutcome.batch_id == batch_id))
    count_outcomes(session, batch_id, counted)


def finish_shard(
    session: Session, shard_id: int, token: str | None, counts: Iterable[tuple[int, Counts]], judge_version: int
) -> bool:
    """Leave the shard's tally and mark it complete, in the caller's transaction; False where the lease was lost."""
    owned = Shard.lease_token.is_(None) if token is None else Shard.lease_token == token
    done = session.execute(
        update(Shard)
        .where(Shard.id == shard_id, Shard.state == "pending", owned)
        .values(state="complete", attempts=0, **FREE)
        .returning(Shard.id)
    ).first()
    if done is None:
        return False
    names, matrix = pack(*tally(counts))
    session.execute(insert(Tally).values(shard_id=shard_id, judge_version=judge_version, measures=names, matrix=matrix))
    return True


# --- standing ---------------------------------------------------------------------------------------------------------


def spent(session: Session, batch_id: int) -> Spent:
    """Return what a batch has used, over every attempt ever recorded."""
    batch = session.get_one(Batch, batch_id)
    session.refresh(batch, ("used_calls", "used_tokens", "used_cost"))
    unpriced = or_(Model.price_in.is_(None), Model.price_out.is_(None))
    called = select(Model.id).join(Shard, Shard.model_id == Model.id).where(Shard.batch_id == batch_id, unpriced)
    free = batch.used_calls > 0 and session.scalar(called.limit(1)) is not None
    return Spent(batch.used_calls, batch.used_tokens, None if free else batch.used_cost)


def shard_counts(session: Session, batch_id: int) -> tuple[dict[str, int], int]:
    """Return how many shards of a batch are in each state, and how many trials they ask if there are no holes."""
    size = (Shard.last - Shard.first) * (Shard.last_sample - Shard.first_sample)
    query = select(Shard.state, func.count(), func.sum(size)).where(Shard.batch_id == batch_id)
    rows = session.execute(query.group_by(Shard.state)).all()
    return {row[0]: row[1] for row in rows}, sum(int(row[2]) for row in rows)


def outcome_counts(session: Session, batch_id: int) -> dict[str, int]:
    """Return how many trials of a batch's models ended with each outcome."""
    query = select(BatchOutcome.outcome, BatchOutcome.trials).where(BatchOutcome.batch_id == batch_id)
    return {outcome: trials for outcome, trials in session.execute(query) if trials}


def due(session: Session, now: float, suspects: bool) -> list[tuple[int, int]]:
    """Return (batch, model) of the shards that workers can ask now, the oldest batch first.

    Left out are those of endpoints whose circuit is open.
    """
    ready = (
        select(Shard.id)
        .join(Question, Shard.question_id == Question.id)
        .join(Block, Question.block_id == Block.id)
        .where(
            Shard.batch_id == Batch.id,
            Shard.model_id == Model.id,
            Shard.state == "pending",
            unheld(Shard, now),
            Shard.attempts >= SUSPECT if suspects else Shard.attempts < SUSPECT,
            Block.prepared >= Shard.last,
        )
        .limit(1)  # of a pair one is enough: a batch may have ten thousands
        .correlate(Batch, Model)
        .scalar_subquery()
    )
    query = (
        select(Batch.id, Model.id)
        .join(Model, true())
        .join(Endpoint, Model.endpoint_id == Endpoint.id)
        .where(Batch.state.in_(ACTIVE), Endpoint.open_until <= now, ready.is_not(None))
        .order_by(Batch.id, Model.id)
    )
    return [(batch_id, model_id) for batch_id, model_id in session.execute(query)]


def note_key(session: Session, batch: Batch, model: str, variable: str | None) -> None:
    """Note on a batch that a worker could not ask a model for want of this variable; None: one could."""

    def noted() -> dict[str, str]:
        others = {name: key for name, key in batch.notes.get(KEYLESS, {}).items() if name != model}
        return others if variable is None else others | {model: variable}

    if batch.notes.get(KEYLESS, {}) != noted():
        session.refresh(batch, with_for_update=True)
        batch.notes = batch.notes | {KEYLESS: noted()}


def keyless(session: Session, batch: Batch) -> dict[str, list[str]]:
    """Return variable -> models of a batch that wait for a worker that has this key: one without it looked, and nobody
    asks them."""
    noted = batch.notes.get(KEYLESS, {})
    if not noted or batch.state not in ACTIVE:
        return {}
    pending = (Shard.batch_id == batch.id, Shard.state == "pending", Model.name.in_(noted))
    held = select(Model.name, func.count(Shard.lease_token)).join(Shard, Shard.model_id == Model.id).where(*pending)
    found: dict[str, list[str]] = {}
    for name, leases in session.execute(held.group_by(Model.name).order_by(Model.name)):
        if not leases:
            found.setdefault(noted[name], []).append(name)
    return found


def fail_shards(session: Session, batch_id: int, model_id: int, error: str) -> None:
    """Give up what nobody asks of a batch and model."""
    mine = (Shard.batch_id == batch_id, Shard.model_id == model_id, Shard.state == "pending")
    free = update(Shard).where(*mine, Shard.lease_token.is_(None))
    session.execute(free.values(state="failed", error=error[:500]))


def fail_shard(session: Session, shard_id: int, token: str, error: str) -> None:
    """Give a leased shard up for good."""
    session.execute(
        update(Shard)
        .where(Shard.id == shard_id, Shard.lease_token == token)
        .values(state="failed", error=error[:500], **FREE)
    )


def close_batch(session: Session, now: float, batch_id: int, state: str | None = None) -> str:
    """Set a batch's state and return it.

    "cancelled" where it was; "complete" where its instances and baselines are made and no shard is pending or failed,
    "failed" where nothing is left but failures; as it is where somebody stopped it; "running" while another process
    holds a lease of it; else ``state``. ``state`` None: work that is left goes on.
    """
    batch = session.get_one(Batch, batch_id, with_for_update=True)
    if batch.state == "cancelled":
        drop_open(session, batch_id)
        return batch.state

    if not any_in(session, batch_id, OPEN):
        batch.state = "failed" if any_in(session, batch_id, ("failed",)) else "complete"
    elif state is not None and batch.state not in HALTED:
        batch.state = "running" if any_in(session, batch_id, OPEN, held_at=now) else state
    elif batch.state in ACTIVE:
        batch.state = "running"
    batch.finished_at = now if batch.state in ("complete", "failed") else None
    return batch.state
