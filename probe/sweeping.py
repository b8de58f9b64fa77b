"""Sweeping: once a minute, by every worker for itself. Finds what nobody works on, and rings for it."""

import logging

from sqlalchemy import select
from sqlalchemy.orm import Session

from probe import schedules, webhooks
from probe.doorbell import Doorbell
from probe.store import preparations, work
from probe.store.sessions import Store
from probe.store.tables import Batch

LOG = logging.getLogger("probe.sweep")


def sweep(store: Store, doorbell: Doorbell) -> tuple[str, ...]:
    """Free what dead processes of this host hold, settle batches that have ended, and ring for what is due.

    Returns the queues rung for. Two sweeps at once do no harm.
    """
    store.patiently(_schedules, seconds=0)
    webhooks.notify(store)
    queues = store.patiently(_found, seconds=0)
    if queues:
        doorbell.ring(*queues)
    return queues


def _schedules(session: Session, now: float) -> None:
    """Submit what is due, and settle the runs whose batches have ended."""
    for name in schedules.sweep(session, now):
        LOG.info("the schedule submitted batch %s", name)
    schedules.finish(session, now)


def _found(session: Session, now: float) -> tuple[str, ...]:
    freed = work.take_over(session)
    if freed:
        LOG.info("freed %d leases of processes that died", freed)
    for batch_id in session.scalars(select(Batch.id).where(Batch.state.in_(work.ACTIVE)).order_by(Batch.id)).all():
        work.close_batch(session, now, batch_id)
    return tuple(
        queue for queue, due in (("prepare", preparations.due(session, now)), ("ask", _unasked(session, now))) if due
    )


def _unasked(session: Session, now: float) -> bool:
    return bool(work.due(session, now, suspects=False) or work.due(session, now, suspects=True))
