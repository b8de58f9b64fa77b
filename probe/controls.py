"""Controls of a batch: pause, cancel, delete. Whoever runs it reads its state with every write and stops by it."""

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from probe.errors import RequestError
from probe.store.tables import Batch, BatchQuestion, Shard

OPEN = ("pending", "prepared")  # states of shards and questions with work left
ENDED = ("complete", "cancelled")
HALTED = ("paused", "cancelled", "budget_reached")  # states that a running process stops by


def check_open(batch: Batch) -> None:
    """Raise RequestError where a batch was cancelled: its open trials are given up for good."""
    if batch.state == "cancelled":
        raise RequestError(
            f"batch {batch.name!r} was cancelled; run its spec under another name, or delete it: probe delete"
            f" {batch.name}"
        )


def pause(session: Session, batch: Batch) -> None:
    """Let nothing more be asked until the batch is resumed. Raises RequestError where it has ended."""
    if batch.state in ENDED:
        raise RequestError(f"batch {batch.name!r} is {batch.state}: there is nothing to pause")
    batch.state = "paused"


def queue(session: Session, batch: Batch) -> None:
    """Leave a batch to the workers: what is open, and what had failed as a whole, is taken up again.

    Raises RequestError where it was cancelled.
    """
    check_open(batch)
    for table in (Shard, BatchQuestion):
        failed = (table.batch_id == batch.id, table.state == "failed")
        session.execute(update(table).where(*failed).values(state="pending", error=None, attempts=0))
    if any(
        session.scalar(select(table.id).where(table.batch_id == batch.id, table.state.in_(OPEN)).limit(1)) is not None
        for table in (Shard, BatchQuestion)
    ):
        batch.state, batch.finished_at = "queued", None


def cancel(session: Session, now: float, batch: Batch) -> int:
    """Give up for good what is not asked yet; return how many shards that were. Raises RequestError where it has ended.

    Shards in a process's hands are given up when that process lets go of them.
    """
    if batch.state in ENDED:
        raise RequestError(f"batch {batch.name!r} is {batch.state}: there is nothing to cancel")
    batch.state, batch.finished_at = "cancelled", now
    return drop_open(session, batch.id)


def drop_open(session: Session, batch_id: int) -> int:
    """Mark the pending shards of a cancelled batch that nobody holds; return how many."""
    free = (Shard.batch_id == batch_id, Shard.state == "pending", Shard.lease_token.is_(None))
    return len(session.execute(update(Shard).where(*free).values(state="cancelled").returning(Shard.id)).all())


def delete(session: Session, now: float, batch: Batch) -> None:
    """Remove a batch with its trials; instances and baselines, which all batches share, stay.

    Raises RequestError while a process asks it.
    """
    held = (Shard.batch_id == batch.id, Shard.state == "pending", Shard.lease_until > now)
    if session.scalar(select(Shard.id).where(*held).limit(1)) is not None:
        raise RequestError(f"batch {batch.name!r} is being asked; first: probe cancel {batch.name}")
    session.delete(batch)
