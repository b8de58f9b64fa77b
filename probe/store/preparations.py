"""Preparations in the database: leasing the questions of batches, saving their instances and the baselines' answers.

A question that a batch asks is leased like a shard. What two processes made of the same block is the same, so that a
late owner's work is no harm: it is stored as far as it is new.
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import func, or_, select, update
from sqlalchemy.orm import Session, aliased

from probe import models
from probe.asking import baselines
from probe.asking.judging import JUDGE_VERSION
from probe.asking.records import Record
from probe.controls import OPEN
from probe.preparing import BaselineWork, BlockWork, Prepared
from probe.store import work
from probe.store.sessions import insert_rows
from probe.store.tables import Batch, BatchQuestion, Block, FamilyVersion, Instance, Question, Shard
from probe.store.work import ACTIVE, FREE, POISON, SUSPECT, instance_documents, owner_name, unheld
from solvers import registry

LEASE_SECONDS = 300.0  # one instance may take long


@dataclass(frozen=True)
class Preparation:
    """A leased question of a batch: positions still to be made (None: none), then baselines.

    ``alone``: its owners died again and again, so that it is made position by position; ``poisoned``: the next position
    is given up.
    """

    id: int
    token: str
    batch_id: int
    question_id: int
    mode: str
    last: int
    block: BlockWork | None
    baselines: tuple[str, ...]
    alone: bool = False
    poisoned: bool = False


def lease(
    session: Session, now: float, batch_id: int | None = None, suspects: bool | None = None
) -> Preparation | None:
    """Take the next question of a batch, or of all that are queued or running; None where there is none.

    Instances come before baselines, so that models can be asked soon. A block that another process is making is left to
    it. ``suspects``: only those whose owners died again and again (True), only others (False), or all.
    """
    other, others = aliased(BatchQuestion), aliased(Question)
    made_elsewhere = (
        select(other.id)
        .join(others, other.question_id == others.id)
        .where(
            others.block_id == Question.block_id,
            other.id != BatchQuestion.id,
            other.state == "pending",
            other.lease_until >= now,
        )
        .exists()
    )
    query = (
        select(BatchQuestion, Question.block_id, Question.mode)
        .join(Question, BatchQuestion.question_id == Question.id)
        .join(Batch, BatchQuestion.batch_id == Batch.id)
        .where(
            BatchQuestion.state.in_(OPEN),
            unheld(BatchQuestion, now),
            Batch.state.in_(ACTIVE),
            or_(BatchQuestion.state != "pending", ~made_elsewhere),
        )
        .order_by(BatchQuestion.state, BatchQuestion.batch_id, BatchQuestion.id)
        .limit(1)
        .with_for_update(skip_locked=True, of=BatchQuestion)
    )
    if batch_id is not None:
        query = query.where(BatchQuestion.batch_id == batch_id)
    if suspects is not None:
        attempts = BatchQuestion.attempts
        query = query.where(attempts >= SUSPECT if suspects else attempts < SUSPECT)
    row = session.execute(query).first()
    if row is None:
        return None
    wanted, block_id, mode = row
    wanted.lease_token, wanted.lease_until = secrets.token_hex(8), now + LEASE_SECONDS
    wanted.owner = owner_name()
    batch = session.get_one(Batch, wanted.batch_id)
    taken = Preparation(
        id=wanted.id,
        token=wanted.lease_token,
        batch_id=wanted.batch_id,
        question_id=wanted.question_id,
        mode=mode,
        last=wanted.last,
        block=None,
        baselines=tuple(batch.spec["baselines"]),
        alone=wanted.attempts >= SUSPECT,
        poisoned=wanted.attempts >= POISON,
    )
    wanted.attempts += 1
    block = session.get_one(Block, block_id)
    if block.prepared >= wanted.last:
        wanted.state = "prepared"
        return taken
    version = session.get_one(FamilyVersion, block.family_version_id)
    if version.name not in registry.modules() or registry.get(version.name).version != version.version:
        _fail(session, wanted, f"family {version.name} has left version {version.version} behind")
        session.flush()
        return lease(session, now, batch_id, suspects)
    modules = tuple(name for name in block.modules.split("+") if name)
    where = (block.size, modules, block.variant, block.seed, block.number)
    return replace(taken, block=BlockWork(block.id, version.name, *where, block.prepared, wanted.last))


def _fail(session: Session, wanted: BatchQuestion, error: str) -> None:
    """Give up a question and the shards that ask it."""
    wanted.state, wanted.error = "failed", error
    wanted.lease_token = wanted.lease_until = wanted.owner = None
    mine = (Shard.batch_id == wanted.batch_id, Shard.question_id == wanted.question_id)
    open_ = (Shard.state == "pending", Shard.lease_token.is_(None))
    session.execute(update(Shard).where(*mine, *open_).values(state="failed", error=error))


def due(session: Session, now: float) -> bool:
    """Return whether there is a question to work on that nobody holds."""
    query = (
        select(BatchQuestion.id)
        .join(Batch, BatchQuestion.batch_id == Batch.id)
        .where(Batch.state.in_(ACTIVE), BatchQuestion.state.in_(OPEN), unheld(BatchQuestion, now))
    )
    return session.scalar(query.limit(1)) is not None


def save(session: Session, now: float, preparation: Preparation, made: Prepared) -> BlockWork | None:
    """Store what was made; return what of the block is still missing.

    Another process may have prepared a shorter or longer prefix meanwhile: what both made is the same.
    """
    save_block(session, made)
    block = session.get_one(Block, made.work.block_id)
    done = block.prepared >= preparation.last
    session.execute(
        update(BatchQuestion)
        .where(BatchQuestion.id == preparation.id, BatchQuestion.lease_token == preparation.token)
        .values(
            lease_until=now + LEASE_SECONDS,
            attempts=SUSPECT if preparation.alone else 0,
            **({"state": "prepared"} if done else {}),
        )
    )
    return None if done else replace(made.work, first=block.prepared, last=preparation.last)


def save_block(session: Session, done: Prepared) -> bool:
    """Store what a block's preparation made beyond what is there already; False where that is nothing."""
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


def baselines_to_answer(session: Session, now: float, preparation: Preparation) -> list[BaselineWork]:
    """Return the baseline shards of a question that are not complete; makes missing ones.

    A question's baseline shards cover the prepared prefix: a longer prefix adds a shard for the rest.
    """
    ids = models.baseline_ids(session, now)
    block_id = session.get_one(Question, preparation.question_id).block_id
    block = session.get_one(Block, block_id, with_for_update=True)
    last = min(preparation.last, block.prepared)
    found = []
    for name in preparation.baselines:
        query = select(Shard).where(
            Shard.batch_id.is_(None), Shard.model_id == ids[name], Shard.question_id == preparation.question_id
        )
        shards = list(session.scalars(query))
        covered = max((shard.last for shard in shards), default=0)
        if covered < last:
            span: dict[str, Any] = {"first": covered, "last": last, "first_sample": 0}
            span["last_sample"] = baselines.samples(name)
            shard = Shard(model_id=ids[name], question_id=preparation.question_id, **span)
            session.add(shard)
            session.flush()
            shards.append(shard)
        for shard in shards:
            if shard.state == "pending":
                documents = instance_documents(session, block_id, shard.first, shard.last)
                found.append(BaselineWork(shard.id, name, preparation.mode, tuple(sorted(documents.items()))))  # type: ignore[arg-type]
    return found


def save_baseline(session: Session, shard: BaselineWork, records: Sequence[Record]) -> None:
    """Store a baseline's answers with their tally, unless another process was faster."""
    tallied = [(r.position, r.counts) for r in records]
    if work.finish_shard(session, shard.shard_id, None, tallied, JUDGE_VERSION):
        work.save_trials(session, [(shard.shard_id, r) for r in records])


def complete(session: Session, preparation: Preparation) -> None:
    """Mark a question whose instances and baselines are made."""
    mine = (BatchQuestion.id == preparation.id, BatchQuestion.lease_token == preparation.token)
    session.execute(
        update(BatchQuestion)
        .where(*mine, BatchQuestion.state == "prepared")
        .values(state="complete", attempts=0, **FREE)
    )


def release(session: Session, preparation: Preparation) -> None:
    """Give a lease back before the work is done."""
    mine = (BatchQuestion.id == preparation.id, BatchQuestion.lease_token == preparation.token)
    session.execute(update(BatchQuestion).where(*mine).values(**FREE, attempts=SUSPECT if preparation.alone else 0))


def missing(session: Session, batch_id: int) -> int:
    """Return how many positions a batch's blocks still lack."""
    spans = (
        select(Question.block_id, (func.max(BatchQuestion.last) - func.max(Block.prepared)).label("lacks"))
        .join(Question, BatchQuestion.question_id == Question.id)
        .join(Block, Question.block_id == Block.id)
        .where(BatchQuestion.batch_id == batch_id, BatchQuestion.state == "pending")
        .group_by(Question.block_id)
        .subquery()
    )
    return int(session.scalar(select(func.sum(spans.c.lacks)).where(spans.c.lacks > 0)) or 0)
