"""The tasks: each is a turn of work found in the database. Woken for nothing, it ends at once."""

import asyncio
from functools import cache

from probe import serving, sweeping, workshop
from probe.doorbell import Doorbell
from probe.store.sessions import Store
from workers.app import SETTINGS, STOPPING, app

TURN_SECONDS = 600.0  # RabbitMQ gives up on messages after 30 minutes; a turn is shorter, and rings again


@cache
def _store() -> Store:
    return Store(SETTINGS.database_url)


@cache
def _doorbell() -> Doorbell:
    """This process's own, made after the fork."""
    return Doorbell(SETTINGS.broker_url)


@app.task(name="workers.tasks.prepare")
def prepare() -> None:
    """Make instances and answer baselines; wake who asks when there are some."""
    door = _doorbell()
    if workshop.prepare_due(
        _store(), STOPPING.is_set, TURN_SECONDS, lambda: door.ring("ask"), lambda: door.ring("prepare")
    ):
        door.ring("prepare")
    door.ring("ask")


@app.task(name="workers.tasks.ask")
def ask() -> None:
    """Ask what is due."""
    door = _doorbell()
    left = asyncio.run(
        serving.serve(
            _store(),
            concurrency=SETTINGS.concurrency,
            seconds=TURN_SECONDS,
            stopped=STOPPING.is_set,
            more=lambda: door.ring("ask"),
        )
    )
    if left:
        door.ring("ask")


@app.task(name="workers.tasks.sweep")
def sweep() -> None:
    """Find what nobody works on; see to the schedules."""
    sweeping.sweep(_store(), _doorbell())
