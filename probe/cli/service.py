"""Commands of the service: worker, up."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from probe.cli import common
from probe.errors import RequestError

Option = typer.Option


def register(app: typer.Typer) -> None:
    """Add the commands to the tree."""
    for command in (worker, up):
        app.command()(command)


def worker(
    prepare: Annotated[int | None, Option(help="processes that make instances  [one a processor]")] = None,
    ask: Annotated[int, Option(help="processes that ask models")] = 1,
    control: Annotated[int, Option(help="processes that see to schedules and lost work")] = 1,
) -> None:
    """Work on queued batches until SIGTERM or Ctrl-C; start more of these, on any machine, to scale out."""
    from probe.doorbell import Doorbell
    from probe.settings import settings
    from probe.store.sessions import open_store
    from probe.supervising import supervise, workers

    found = settings()
    if found.broker_url is None:
        raise RequestError("broker_url: workers need a broker; set PROBE_BROKER_URL, or try `probe up` on one machine")
    queues = _processes(prepare, ask, control)
    store = open_store(found.database_url)
    _log()
    supervise(workers(queues), store, Doorbell(found.broker_url), found.sweep_seconds, lambda: _tell(queues))


def up(
    prepare: Annotated[int | None, Option(help="processes that make instances  [one a processor]")] = None,
    ask: Annotated[int, Option(help="processes that ask models")] = 1,
    port: Annotated[int, Option(min=1, max=65535, help="of the HTTP API, on this machine only")] = 8000,
) -> None:
    """Start everything on this machine: API, workers, the clock of the schedules, servers where none are configured."""
    import tempfile

    from probe.doorbell import Doorbell
    from probe.settings import settings
    from probe.store.sessions import open_store
    from probe.supervising import Child, beat, servers, supervise, workers

    found = settings()
    queues = _processes(prepare, ask, 1)
    _log()
    with servers(found) as environment, tempfile.TemporaryDirectory() as folder:
        os.environ.update(environment)  # the processes started from here work with the same servers
        now = settings()
        store = open_store(now.database_url)
        for name, value in environment.items():
            common.say(f"started a server; in other terminals: export {name}={value}")
        api = Child("api", [sys.executable, "-m", "probe.cli", "api", "--port", str(port)])
        children = [*workers(queues), beat(Path(folder)), api]
        supervise(children, store, Doorbell(now.broker_url), now.sweep_seconds, lambda: _tell(queues))


def _processes(prepare: int | None, ask: int, control: int) -> dict[str, int]:
    queues = {"prepare": os.cpu_count() or 1 if prepare is None else prepare, "ask": ask, "control": control}
    for queue, count in queues.items():
        if not 0 <= count <= 256:
            raise RequestError(f"--{queue} {count}: give a number of processes from 0 to 256")
    return queues


def _log() -> None:
    import logging

    from probe.logs import set_up

    set_up(logging.INFO)


def _tell(queues: dict[str, int]) -> None:
    common.say("working: " + ", ".join(f"{queue} {count}" for queue, count in queues.items()) + "; Ctrl-C ends it")
