"""What the parts of one run share: the database, the budget, who watches, and when to stop."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from sqlalchemy import bindparam, select
from sqlalchemy.orm import Session

from probe.asking.calls import RetryPolicy
from probe.budget import Budget
from probe.controls import HALTED
from probe.seats import Seats
from probe.store.sessions import Store
from probe.store.tables import Batch

T = TypeVar("T")
STATE = select(Batch.state).where(Batch.id == bindparam("batch"))  # built once: it is asked with every write


class Progress(Protocol):
    """What a run tells whoever watches it."""

    def preparing(self, done: int, total: int) -> None:
        """Positions prepared so far."""

    def asking(self, model: str, total: int) -> None:
        """A model's trials begin; ``total`` are still to be asked."""

    def answered(self, model: str, outcome: str) -> None:
        """One more trial of a model is stored."""

    def note(self, text: str) -> None:
        """Something that the user must know."""


class Office:
    """What everything that one process asks shares: the database, on one thread, and its seats at the endpoints.

    ``patience``: seconds to wait for a database that is away; a user at the command line hears of it soon.
    """

    def __init__(self, store: Store, policy: RetryPolicy, patience: float) -> None:
        self.store, self.policy, self.patience = store, policy, patience
        self.thread = ThreadPoolExecutor(1, "database")
        self.seats = Seats(self.database)

    async def database(self, write: Callable[[Session, float], T]) -> T:
        """Run ``write(session, now)`` in one transaction on the one thread of this process that writes."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self.thread, self.store.patiently, write, self.patience)

    def close(self) -> None:
        """Wait for what is being written."""
        self.thread.shutdown(wait=True)


@dataclass
class Desk:
    """What the models of one batch share while it is asked."""

    office: Office
    batch_id: int
    concurrency: int
    budget: Budget
    progress: Progress
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    prepared: asyncio.Condition = field(default_factory=asyncio.Condition)  # guards the next two
    preparing: bool = True
    saved: int = 0  # blocks saved so far: tells a waiter whether it missed one
    ready: bool = False  # every instance is made and every baseline answered
    halted: str | None = None  # the state by which somebody else stopped the batch
    patient: bool = False  # an endpoint that is down is left alone for a while, and its trials are asked again later

    async def database(self, write: Callable[[Session, float], T]) -> T:
        """Run ``write(session, now)`` in one transaction; learn whether the batch was stopped meanwhile."""
        loop = asyncio.get_running_loop()

        def watched(session: Session, now: float) -> T:
            done = write(session, now)
            state = session.connection().execute(STATE, {"batch": self.batch_id}).scalar()
            if state in HALTED and self.halted is None:
                loop.call_soon_threadsafe(self.halt, state)
            return done

        return await self.office.database(watched)

    async def announce(self, done: bool = False) -> None:
        """Tell who waits for instances that some are there, or that all are."""
        async with self.prepared:
            self.preparing = self.preparing and not done
            self.saved += 1
            self.prepared.notify_all()

    def halt(self, state: str) -> None:
        """Stop as after Ctrl-C: the calls in flight are waited for."""
        self.halted = state
        self.stop.set()
