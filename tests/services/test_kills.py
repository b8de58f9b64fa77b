"""Whatever dies - a child, a worker, its supervisor, all at once - the tables are those of an undisturbed run.

No trial is stored twice, none is missing, and no more calls are asked twice than were in flight at the kill. `make
soak` runs every commit point; here a few stand for all.
"""

import os

import pytest

from tests.endpoint import Endpoint
from tests.runs import known, ran, rows_of, submitted, varied
from tests.services.service import SPEC, answers, asked_twice, ended, queued, service, wait_until, whole

WINDOW = 8  # calls open at once
SOAK = os.environ.get("PROBE_SOAK") == "1"
COMMITS = [
    ("ask", number, moment) for number in (range(2, 22) if SOAK else (3, 6, 9)) for moment in ("before", "after")
] + [("prepare", number, moment) for number in (range(1, 8) if SOAK else (2,)) for moment in ("before", "after")]
if not SOAK:
    COMMITS = [c for k, c in enumerate(COMMITS) if c[0] == "prepare" or k % 2 == 0 or c[1] == 6]


@pytest.fixture
def endpoint(pg_store):
    with Endpoint(varied) as endpoint:
        known(pg_store, endpoint.url)
        yield endpoint


@pytest.fixture
def undisturbed(pg_store, endpoint):
    """The table of a run that nothing happened to."""
    batch_id = submitted(pg_store, SPEC, "undisturbed")
    assert ran(pg_store, batch_id).state == "complete"
    endpoint.requests.clear()
    return rows_of(pg_store, batch_id)


@pytest.mark.parametrize(("queue", "number", "moment"), COMMITS)
def test_a_child_killed_at_a_commit(pg_store, valkey, endpoint, undisturbed, tmp_path, queue, number, moment):
    """Before the commit nothing of it is there, after it everything; another child goes on."""
    fault = f"{queue}:{number}:{moment}:{tmp_path / 'died'}"
    with service(pg_store, valkey, tmp_path / "log", PROBE_FAULT=fault):
        batch_id = queued(pg_store, valkey)
        assert ended(pg_store, batch_id) == "complete"
    assert (tmp_path / "died").exists()
    whole(pg_store, batch_id, undisturbed)
    assert asked_twice(endpoint) <= WINDOW


def test_a_worker_killed_is_started_again(pg_store, valkey, endpoint, undisturbed, tmp_path):
    """Celery's main process dies, and its children with it; the supervisor starts it anew."""
    with service(pg_store, valkey, tmp_path / "log") as running:
        batch_id = queued(pg_store, valkey)
        wait_until(lambda: answers(pg_store, batch_id) > 10)
        running.kill(running.pids("ask")[0])
        assert ended(pg_store, batch_id) == "complete"
    whole(pg_store, batch_id, undisturbed)
    assert asked_twice(endpoint) <= WINDOW


def test_everything_killed_and_started_again(pg_store, valkey, endpoint, undisturbed, tmp_path):
    """The whole process group dies at once; whoever is started next goes on where it stood."""
    with service(pg_store, valkey, tmp_path / "log") as running:
        batch_id = queued(pg_store, valkey)
        wait_until(lambda: answers(pg_store, batch_id) > 10)
        running.kill_all()
        running.start()
        assert ended(pg_store, batch_id) == "complete"
    whole(pg_store, batch_id, undisturbed)
    assert asked_twice(endpoint) <= WINDOW


def test_a_supervisor_killed_takes_its_processes_with_it(pg_store, valkey, endpoint, undisturbed, tmp_path):
    """They notice within a second, drain, and end; the next supervisor goes on."""
    with service(pg_store, valkey, tmp_path / "log") as running:
        batch_id = queued(pg_store, valkey)
        wait_until(lambda: answers(pg_store, batch_id) > 10)
        running.kill(running.process.pid)
        running.process.wait()
        wait_until(lambda: not running.pids(), 30)
        running.start()
        assert ended(pg_store, batch_id) == "complete"
    whole(pg_store, batch_id, undisturbed)
    assert asked_twice(endpoint) <= WINDOW
