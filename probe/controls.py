"""Controls of a batch: pause, resume, limit, cancel, delete. Whoever runs it reads its state with every write."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from probe import models
from probe.errors import StateError
from probe.store.tables import Batch, BatchQuestion, Shard

OPEN = ("pending", "prepared")  # states of shards and questions with work left
ENDED = ("complete", "cancelled")
HALTED = ("paused", "cancelled", "budget_reached")  # states that a running process stops by


def any_in(session: Session, batch_id: int, states: Sequence[str], held_at: float | None = None) -> bool:
    """Return whether a shard or question of a batch is in one of these states, and held then where a time is given."""
    for table in (Shard, BatchQuestion):
        query = select(table.id).where(table.batch_id == batch_id, table.state.in_(states))
        if held_at is not None:
            query = query.where(table.lease_until > held_at)
        if session.scalar(query.limit(1)) is not None:
            return True
    return False


def check_open(batch: Batch) -> None:
    """Raise StateError where a batch was cancelled: its open trials are given up for good."""
    if batch.state == "cancelled":
        raise StateError(
            f"batch {batch.name!r} was cancelled; run its spec under another name, or delete it: probe delete"
            f" {batch.name}"
        )


def pause(session: Session, batch: Batch) -> None:
    """Let nothing more be asked until the batch is resumed. Raises StateError where it has ended."""
    if batch.state in ENDED:
        raise StateError(f"batch {batch.name!r} is {batch.state}: there is nothing to pause")
    batch.state = "paused"


def queue(session: Session, batch: Batch) -> None:
    """Leave a batch to the workers: what is open, and what had failed as a whole, is taken up again.

    Raises StateError where it was cancelled.
    """
    check_open(batch)
    for table in (Shard, BatchQuestion):
        failed = (table.batch_id == batch.id, table.state == "failed")
        session.execute(update(table).where(*failed).values(state="pending", error=None, attempts=0))
    if any_in(session, batch.id, OPEN):
        batch.state, batch.finished_at = "queued", None


def limit(session: Session, batch: Batch, limits: Mapping[str, Any]) -> None:
    """Set limits of a batch, given by column; None: no limit. Raises RequestError for one that could not be kept."""
    if limits.get("max_cost") is not None:
        models.check_priced(models.of_batch(session, batch.id))
    for column, value in limits.items():
        setattr(batch, column, value)


def cancel(session: Session, now: float, batch: Batch) -> int:
    """Give up for good what is not asked yet; return how many shards that were. Raises StateError where it has ended.

    Shards in a process's hands are given up when that process lets go of them.
    """
    if batch.state in ENDED:
        raise StateError(f"batch {batch.name!r} is {batch.state}: there is nothing to cancel")
    batch.state, batch.finished_at = "cancelled", now
    return drop_open(session, batch.id)


def drop_open(session: Session, batch_id: int) -> int:
    """Mark the pending shards of a cancelled batch that nobody holds; return how many."""
    free = (Shard.batch_id == batch_id, Shard.state == "pending", Shard.lease_token.is_(None))
    return len(session.execute(update(Shard).where(*free).values(state="cancelled").returning(Shard.id)).all())


def delete(session: Session, now: float, batch: Batch) -> None:
    """Remove a batch with its trials; instances and baselines, which all batches share, stay.

    Raises StateError while a process asks it.
    """
    held = (Shard.batch_id == batch.id, Shard.state == "pending", Shard.lease_until > now)
    if session.scalar(select(Shard.id).where(*held).limit(1)) is not None:
        raise StateError(f"batch {batch.name!r} is being asked; first: probe cancel {batch.name}")
    session.delete(batch)
