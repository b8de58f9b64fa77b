"""Telling others that a run of a schedule has finished: one POST of JSON to the webhook of the schedule.

A run is claimed for a minute, told outside any transaction, then marked; three tries. Receivers can tell a repeated
message, after a process died in between, by its Idempotency-Key.
"""

import asyncio
from dataclasses import dataclass
from typing import Any

import httpx2
from sqlalchemy import select

from probe.schedules import described
from probe.store.sessions import Store
from probe.store.tables import Schedule, ScheduleRun

TRIES = 3
CLAIM = 60.0  # seconds until another try, longer than one takes
SECONDS = 20.0  # for one POST as a whole
AT_ONCE = 20


@dataclass(frozen=True)
class Message:
    """What is to be told of a run, and where."""

    run_id: int
    url: str
    body: dict[str, Any]


def notify(store: Store) -> int:
    """Tell of the finished runs that are to be told; return how many receivers took it."""
    messages = _claimed(store)
    errors = asyncio.run(_posted(messages)) if messages else []
    with store.writing() as session:
        for message, error in zip(messages, errors, strict=True):
            run = session.get(ScheduleRun, message.run_id, with_for_update=True)
            if run is None:  # the schedule was removed meanwhile
                continue
            run.told = error is None or run.tellings >= TRIES
            run.reason = None if error is None else f"webhook: {error} (try {run.tellings} of {TRIES})"
    return errors.count(None)


def _claimed(store: Store) -> list[Message]:
    """Return what is to be told now; nobody else tells it within a minute."""
    messages = []
    with store.writing() as session:
        now = store.now(session)
        due = select(ScheduleRun).where(
            ScheduleRun.state == "finished", ScheduleRun.told.is_(False), ScheduleRun.tell_at <= now
        )
        for run in session.scalars(due.order_by(ScheduleRun.id).limit(AT_ONCE).with_for_update(skip_locked=True)):
            schedule = session.get_one(Schedule, run.schedule_id)
            if schedule.webhook is None or run.tellings >= TRIES:  # the latter: a process died at its last try
                run.told = True
                continue
            run.tellings, run.tell_at = run.tellings + 1, now + CLAIM
            messages.append(Message(run.id, schedule.webhook, described(session, schedule, run)))
    return messages


async def _posted(messages: list[Message]) -> list[str | None]:
    """Post all at once; return of each what went wrong. Redirects are not followed: only the given host is asked."""
    async with httpx2.AsyncClient(timeout=SECONDS) as client:
        return await asyncio.gather(*(_post(client, message) for message in messages))


async def _post(client: httpx2.AsyncClient, message: Message) -> str | None:
    key = {"Idempotency-Key": f"schedule-run-{message.run_id}"}
    try:
        async with (
            asyncio.timeout(SECONDS),
            client.stream("POST", message.url, json=message.body, headers=key) as reply,  # whose body nobody reads
        ):
            return None if reply.is_success else f"the receiver answered {reply.status_code}"
    except TimeoutError:
        return f"no answer within {SECONDS:g} s"
    except (httpx2.HTTPError, httpx2.InvalidURL, OSError) as error:  # never the URL, which may hold a secret
        return f"could not be reached ({type(error).__name__})"
