"""A process that is frozen in the middle of a write holds up the others only for a while."""

import os
import signal
import subprocess
import sys

import pytest
from sqlalchemy import select, update

from probe.store.tables import Endpoint
from tests.runs import known

WRITER = """
import sys
from sqlalchemy import update
from probe.store import sessions
from probe.store.tables import Endpoint

sessions.IDLE_SECONDS = 2
with sessions.Store(sys.argv[1]).writing() as session:
    session.execute(update(Endpoint).values(reason="frozen"))
    print("it holds the row", flush=True)
    sys.stdin.readline()
"""


@pytest.fixture
def frozen(pg_store):
    """A writer that holds a lock and is stopped."""
    known(pg_store, "http://127.0.0.1:9/v1")
    url = pg_store.engine.url.render_as_string(hide_password=False)
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", WRITER, url], text=True, **pipes) as process:
        try:
            assert process.stdout.readline() == "it holds the row\n"
            os.kill(process.pid, signal.SIGSTOP)
            yield process
        finally:
            process.kill()


def test_a_frozen_writer_lets_go_and_writes_nothing_when_it_wakes(pg_store, frozen):
    """PostgreSQL ends its transaction; another one gets the row, and the late one hears that it lost it."""
    with pg_store.writing() as session:
        session.execute(update(Endpoint).values(reason="of another"))
    os.kill(frozen.pid, signal.SIGCONT)
    _, said = frozen.communicate("go on\n", timeout=60)
    assert frozen.returncode == 1
    assert "StoreError" in said
    assert "nothing was half written" in said
    with pg_store.reading() as session:
        assert session.scalar(select(Endpoint.reason)) == "of another"


def test_whoever_only_reads_may_take_long(pg_store):
    """It holds nobody up: a table of millions may be computed from one state of the database."""
    with pg_store.reading() as session:
        assert session.connection().exec_driver_sql("SHOW idle_in_transaction_session_timeout").scalar() == "0"
    with pg_store.writing() as session:
        assert session.connection().exec_driver_sql("SHOW idle_in_transaction_session_timeout").scalar() == "30s"
