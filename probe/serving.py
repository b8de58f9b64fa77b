"""Serving: a worker's turn of asking. All batches that are due, each model of each beside the others, until nothing is
due, the time is over, or the worker stops. What is asked, and how, is `probe.running`'s."""

import asyncio
import logging
import os
import time
from collections.abc import Callable
from functools import partial

from sqlalchemy import update
from sqlalchemy.orm import Session

from probe.asking.calls import RetryPolicy
from probe.desk import Desk, Office
from probe.running import ask_model, budget_of, leave_alone
from probe.store import work
from probe.store.sessions import PATIENCE, Store
from probe.store.tables import Batch, Endpoint, Model

LOG = logging.getLogger("probe.ask")
POLL = 1.0  # seconds between two looks at what is due
MOST = 64  # models asked at the same time by one process
DRAIN = 20.0  # seconds that calls in flight may take to end when a worker stops
Pair = tuple[int, int]  # batch, model


class Quiet:
    """Progress that goes to the log."""

    def __init__(self, batch: str) -> None:
        self.batch = batch

    def preparing(self, done: int, total: int) -> None:
        """Nobody watches."""

    def asking(self, model: str, total: int) -> None:
        """Say that a model's turn begins."""
        LOG.info("batch %s: asking %s, %d trials left", self.batch, model, total)

    def answered(self, model: str, outcome: str) -> None:
        """Nobody watches."""

    def note(self, text: str) -> None:
        """Say what the user must know."""
        LOG.warning("batch %s: %s", self.batch, text)


async def serve(
    store: Store,
    *,
    concurrency: int,
    seconds: float,
    stopped: Callable[[], bool],
    more: Callable[[], object] = lambda: None,
    policy: RetryPolicy | None = None,
) -> bool:
    """Ask what is due; return whether something is left.

    ``more`` is called when there is work that others could share, at most every ten seconds.
    """
    turn = Turn(Office(store, policy or RetryPolicy(), PATIENCE), concurrency)
    try:
        return await turn.take(time.monotonic() + seconds, stopped, more)
    finally:
        turn.office.close()


class Turn:
    """What one process asks in one turn."""

    def __init__(self, office: Office, concurrency: int) -> None:
        self.office, self.concurrency = office, concurrency
        self.desks: dict[int, Desk] = {}
        self.active: dict[Pair, asyncio.Task[None]] = {}
        self.keyless: set[Pair] = set()  # models whose key this machine does not have: another worker may

    async def take(self, end: float, stopped: Callable[[], bool], more: Callable[[], object]) -> bool:
        """Ask until ``end``. Shards that their owners died of come first, with nothing else in flight."""
        for pair in await self.due(suspects=True):
            if stopped():
                return True
            await self.ask(pair, alone=True)
        rung = 0.0
        while not stopped() and time.monotonic() < end:
            due = await self.due(suspects=False)
            for pair in [pair for pair in due if pair not in self.active][: MOST - len(self.active)]:
                self.active[pair] = asyncio.create_task(self.ask(pair))
            if due and time.monotonic() - rung > 10 * POLL:
                rung = time.monotonic()
                more()
            if not self.active:
                break
            await asyncio.wait(self.active.values(), timeout=POLL, return_when=asyncio.FIRST_COMPLETED)
            self.reap()
        await self.drain()
        return bool(await self.due(suspects=False) or await self.due(suspects=True))

    async def due(self, suspects: bool) -> list[Pair]:
        """Return what can be asked now, and from here."""
        due = await self.office.database(lambda session, now: work.due(session, now, suspects))
        return [pair for pair in due if pair not in self.keyless]

    def reap(self) -> None:
        """Let go of what has ended; a failure of the database ends the turn."""
        for pair, task in list(self.active.items()):
            if task.done():
                del self.active[pair]
                task.result()

    async def drain(self) -> None:
        """Stop new calls, wait for those in flight, cancel what takes too long."""
        for desk in self.desks.values():
            desk.stop.set()
        if self.active:
            _, late = await asyncio.wait(self.active.values(), timeout=DRAIN)
            for task in late:
                task.cancel()
            await asyncio.gather(*self.active.values(), return_exceptions=True)
            self.active.clear()

    async def ask(self, pair: Pair, alone: bool = False) -> None:
        """Ask one model for one batch, and settle what state the batch is in afterwards."""
        batch_id, model_id = pair
        desk, model, endpoint = await self.office.database(partial(self.seat, batch_id, model_id))
        if _lacks_key(endpoint):
            self.keyless.add(pair)
            LOG.warning("%s is not asked from here: %s is not set", model.name, endpoint.key_variable)
            return
        errors: dict[str, str] = {}
        await ask_model(desk, model, endpoint, errors, alone)
        for name, error in errors.items():
            LOG.warning("batch %d: %s: %s", batch_id, name, error)
        await self.office.database(partial(_settle, batch_id, model, desk.budget.reached, errors))

    def seat(self, batch_id: int, model_id: int, session: Session, _: float) -> tuple[Desk, Model, Endpoint]:
        """Return where a batch is asked, and who answers; one place a batch, so that its models share the budget."""
        batch = session.get_one(Batch, batch_id)
        if batch_id not in self.desks or self.desks[batch_id].stop.is_set():
            session.execute(update(Batch).where(Batch.id == batch_id, Batch.state == "queued").values(state="running"))
            concurrency = batch.concurrency or self.concurrency
            budget, quiet = budget_of(session, batch), Quiet(batch.name)
            desk = Desk(self.office, batch_id, concurrency, budget, quiet, preparing=False, patient=True)
            self.desks[batch_id] = desk
        model = session.get_one(Model, model_id)
        endpoint = session.get_one(Endpoint, model.endpoint_id)
        work.note_key(session, batch, model.name, endpoint.key_variable if _lacks_key(endpoint) else None)
        return self.desks[batch_id], model, endpoint


def _lacks_key(endpoint: Endpoint) -> bool:
    return bool(endpoint.key_variable) and endpoint.key_variable not in os.environ


def _settle(
    batch_id: int, model: Model, budget_reached: bool, errors: dict[str, str], session: Session, now: float
) -> None:
    """Store how a model's turn ended: the budget is reached, the endpoint can't be asked, or all is done."""
    if budget_reached:
        mine = (Batch.id == batch_id, Batch.state.in_(work.ACTIVE))
        session.execute(update(Batch).where(*mine).values(state="budget_reached"))
    for error in errors.values():
        leave_alone(batch_id, model, error, session, now)
    work.close_batch(session, now, batch_id)
