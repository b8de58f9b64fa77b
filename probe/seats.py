"""Seats: what this process may do at each endpoint, agreed with all others through the database once a second.

A process that asks at an endpoint holds a seat there: so many calls it may have open. Together the seats never hold
more than the endpoint's limit: a process takes more only of what no other holds, and gives its surplus back as its
calls end. The limit adapts: it is halved where calls are turned away or time out, and creeps up again. Requests and
tokens a minute are handed out in rations that are used up within seconds, so that no window of 60 s holds more than
allowed, whoever started the calls.
"""

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from probe.asking.limits import WINDOW, Limits, Ration
from probe.store import tables
from probe.store.tables import Endpoint, Seat

BEAT = 1.0  # seconds between two agreements
HUNGRY = 0.1  # likewise where calls wait for a ration
SEAT_SECONDS = 15.0  # a seat that is not renewed so long is free
USE_SECONDS = 2.0  # within which a ration is used up
CUT_SECONDS = 15.0  # between two cuts of an endpoint's limit
GROW_SECONDS = 10.0  # without trouble, after which the limit grows
GROWTH = 10  # it grows by a tenth
BUSY = 0.8  # share of its slots that must have been in use for it to grow
CLOSED_SECONDS = (15.0, 600.0)  # a circuit stays open so long at first, and at most
MOST_OPENED = 20  # times in a row that a circuit opens (about three hours) before its shards are given up

Database = Callable[[Callable[[Session, float], Any]], Awaitable[Any]]


@dataclass(frozen=True)
class Report:
    """What a process tells of an endpoint: calls that it would have open, has open now, had at most since last time;
    whether there was trouble, the pause that the endpoint asked for (seconds), whether an answer came, tokens of the
    calls that wait, and what is left of rations, by ration."""

    wish: int
    open: int = 0
    peak: int = 0
    troubled: bool = False
    pause: float = 0.0
    answered: bool = False
    demand: Sequence[int] = ()
    unused: dict[int, tuple[int, int]] = field(default_factory=dict)


@dataclass(frozen=True)
class Allowed:
    """What a process may do at an endpoint: slots, a pause (seconds), and a ration as (id, requests, tokens)."""

    slots: int
    pause: float
    ration: tuple[int, int, int] | None


def fair(cap: int, wishes: Sequence[int]) -> list[int]:
    """Return shares of ``cap``, equal but for those that wish for less; the first ones get the rest."""
    shares = [0] * len(wishes)
    left, hungry = cap, [k for k, wish in enumerate(wishes) if wish > 0]
    while left > 0 and hungry:
        each, rest = divmod(left, len(hungry))
        for place, k in enumerate(hungry):
            more = min(wishes[k] - shares[k], each + (place < rest))
            shares[k] += more
            left -= more
        hungry = [k for k in hungry if shares[k] < wishes[k]]
    return shares


def agree(session: Session, now: float, endpoint_id: int, token: str, report: Report) -> Allowed:
    """Take a report into account and return what the process may do now; holds the endpoint's row.

    A process without seat takes one: at first, and when its own ran out while it stood still.
    """
    endpoint = session.get_one(Endpoint, endpoint_id, with_for_update=True)
    session.execute(delete(Seat).where(Seat.endpoint_id == endpoint_id, Seat.until < now, Seat.token != token))
    seats = list(session.scalars(select(Seat).where(Seat.endpoint_id == endpoint_id).order_by(Seat.id)))
    mine = next((seat for seat in seats if seat.token == token), None)
    if mine is None:
        mine = Seat(endpoint_id=endpoint_id, token=token, slots=0)
        session.add(mine)
        seats.append(mine)
    mine.until, mine.wish = now + SEAT_SECONDS, report.wish
    _adapt(endpoint, now, report, mine, seats)
    mine.slots = _slots(endpoint, mine, seats, report.open)
    if report.pause:
        endpoint.paused_until = max(endpoint.paused_until, now + report.pause)
    if report.answered and endpoint.opened:
        endpoint.opened, endpoint.open_until, endpoint.reason = 0, 0.0, None
    ration = _ration(session, now, endpoint, report)
    return Allowed(mine.slots, max(0.0, endpoint.paused_until - now), ration)


def get_up(session: Session, now: float, endpoint_id: int, token: str, report: Report) -> None:
    """Give a seat back, with the last report of it."""
    agree(session, now, endpoint_id, token, report)
    session.execute(delete(Seat).where(Seat.token == token))


def _adapt(endpoint: Endpoint, now: float, report: Report, mine: Seat, seats: Sequence[Seat]) -> None:
    """Halve the limit after trouble; let it grow where there was none and it is used."""
    wishes = sum(seat.wish for seat in seats)
    most = min(wishes, endpoint.max_concurrency or wishes)
    if report.troubled:
        if now - endpoint.slots_at >= CUT_SECONDS:
            held = min(most, endpoint.slots or most, sum(seat.slots for seat in seats) or most)
            endpoint.slots, endpoint.slots_at = max(1, held // 2), now
    elif endpoint.slots is not None and now - endpoint.slots_at >= GROW_SECONDS and report.peak >= BUSY * mine.slots:
        grown = endpoint.slots + max(1, endpoint.slots // GROWTH)
        endpoint.slots, endpoint.slots_at = (None if grown >= most else grown), now


def _slots(endpoint: Endpoint, mine: Seat, seats: Sequence[Seat], open_: int) -> int:
    """Return how many calls a seat may have open: its fair share, as far as the others have given up theirs."""
    caps = [cap for cap in (endpoint.max_concurrency, endpoint.slots) if cap is not None]
    if not caps:
        return mine.wish
    share = fair(min(caps), [seat.wish for seat in seats])[seats.index(mine)]
    others = sum(seat.slots for seat in seats if seat is not mine)
    return max(min(share, min(caps) - others), min(open_, mine.slots), 0)


def _ration(session: Session, now: float, endpoint: Endpoint, report: Report) -> tuple[int, int, int] | None:
    """Take back what of rations was not used, and hand a new one out: the first calls that wait and fit."""
    if endpoint.rpm is None and endpoint.tpm is None:
        return None
    rations = tables.Ration
    for ration_id, (requests, tokens) in report.unused.items():
        less = {"requests": rations.requests - requests, "tokens": rations.tokens - tokens}
        session.execute(update(rations).where(rations.id == ration_id).values(less))
    began = now - WINDOW - USE_SECONDS
    here = rations.endpoint_id == endpoint.id
    session.execute(delete(rations).where(here, rations.at <= began))
    used = session.execute(select(func.sum(rations.requests), func.sum(rations.tokens)).where(here)).one()
    requests_left = None if endpoint.rpm is None else endpoint.rpm - int(used[0] or 0)
    tokens_left = None if endpoint.tpm is None else endpoint.tpm - int(used[1] or 0)
    requests = tokens = 0
    for wanted in report.demand:
        if (requests_left is not None and requests >= requests_left) or (
            tokens_left is not None and tokens + wanted > tokens_left
        ):
            break
        requests, tokens = requests + 1, tokens + wanted
    if requests == 0:
        return None
    row = rations(endpoint_id=endpoint.id, at=now, requests=requests, tokens=tokens)
    session.add(row)
    session.flush()
    return row.id, requests, tokens


def open_circuit(session: Session, now: float, endpoint_id: int, reason: str) -> int:
    """Let nobody ask at an endpoint for a while, longer each time in a row; return how often that was."""
    endpoint = session.get_one(Endpoint, endpoint_id, with_for_update=True)
    if endpoint.open_until <= now:
        first, most = CLOSED_SECONDS
        endpoint.open_until = now + min(most, first * 2**endpoint.opened)
        endpoint.opened += 1
        endpoint.reason = reason[:500]
    return endpoint.opened


class Seats:
    """The seats of one process, one an endpoint, shared by all that ask there."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self._places: dict[int, Place] = {}

    @asynccontextmanager
    async def at(self, endpoint_id: int, limits: Limits) -> AsyncIterator["Place"]:
        """Hold a seat at an endpoint; ``limits`` are those of the first who asks there."""
        place = self._places.setdefault(endpoint_id, Place(self.database, endpoint_id, limits))
        place.users += 1
        try:
            await place.ready()
            yield place
        finally:
            place.users -= 1
            if place.users == 0:
                del self._places[endpoint_id]
                await asyncio.shield(place.leave())


class Place:
    """One process's seat at one endpoint, and the limits that its calls keep."""

    def __init__(self, database: Database, endpoint_id: int, limits: Limits) -> None:
        self.database, self.endpoint_id, self.limits = database, endpoint_id, limits
        self.users = 0
        self.answered = False  # an answer came since the last agreement
        self._token = secrets.token_hex(8)
        self._seated: asyncio.Task[None] | None = None
        self._beating: asyncio.Task[None] | None = None

    async def ready(self) -> None:
        """Wait until the seat is taken."""
        if self._seated is None:
            if self.limits.rpm is not None or self.limits.tpm is not None:
                self.limits.share()
            self._seated = asyncio.create_task(self._agree())
        await asyncio.shield(self._seated)
        if self._beating is None:
            self._beating = asyncio.create_task(self._beat())

    async def leave(self) -> None:
        """Give the seat back."""
        for task in (self._seated, self._beating):
            if task is not None:
                task.cancel()
        await asyncio.gather(*(t for t in (self._seated, self._beating) if t is not None), return_exceptions=True)
        await self.database(partial(_get_up, self.endpoint_id, self._token, self._report()))

    async def _agree(self) -> None:
        asked = self.limits.clock()  # a ration's time runs from before the database dated it
        allowed: Allowed = await self.database(partial(_agree, self.endpoint_id, self._token, self._report()))
        self.limits.grant(allowed.slots)
        if allowed.pause:
            self.limits.pause(allowed.pause)
        if allowed.ration is not None:
            self.limits.feed(Ration(*allowed.ration, until=asked + USE_SECONDS))

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(HUNGRY)
            with suppress(TimeoutError):
                async with asyncio.timeout(BEAT - HUNGRY):
                    await self.limits.hungry.wait()
            await self._agree()

    def _report(self) -> Report:
        troubled, pause = self.limits.troubles()
        answered, self.answered = self.answered, False
        return Report(
            wish=self.limits.most,
            open=self.limits.open,
            peak=self.limits.peak(),
            troubled=troubled,
            pause=pause,
            answered=answered,
            demand=self.limits.demand(),
            unused=self.limits.unused(),
        )


def _agree(endpoint_id: int, token: str, report: Report, session: Session, now: float) -> Allowed:
    return agree(session, now, endpoint_id, token, report)


def _get_up(endpoint_id: int, token: str, report: Report, session: Session, now: float) -> None:
    get_up(session, now, endpoint_id, token, report)
