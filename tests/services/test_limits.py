"""An endpoint's limits hold over all processes of all workers, and its troubles are its own."""

import time
from dataclasses import replace

from probe.batches import Arm, BatchSpec
from probe.controls import queue
from probe.planning import standing
from probe.store.tables import Batch, Trial
from probe.store.tables import Endpoint as EndpointRow
from tests.endpoint import Endpoint, fails, hangs
from tests.runs import count, known, sound, varied
from tests.services.service import answers, ended, queued, seats, service, state_of, wait_until

SPEC = BatchSpec(arms=(Arm(families=("knapsack",), sizes=("xs",), instances=120),), baselines=("random",))
WINDOW = 6.0  # seconds; a minute, for these tests
MINUTE = f"probe.asking.limits.WINDOW={WINDOW};probe.seats.WINDOW={WINDOW};probe.seats.USE_SECONDS=0.5"
SHORT = "probe.seats.CLOSED_SECONDS=(1.0,2.0)"  # in which an endpoint that is down is left alone


def most_in_a_window(times):
    """Most requests in any half-open window; the fullest one ends at a request."""
    return max(sum(end - WINDOW < at <= end for at in times) for end in times)


def test_requests_a_minute_hold_over_four_processes(pg_store, valkey, tmp_path):
    """A server that counts shows no window over the limit, and the limit is used."""
    spec = replace(SPEC, arms=(replace(SPEC.arms[0], instances=100),))
    with Endpoint(varied) as endpoint:
        known(pg_store, endpoint.url, rpm=40)
        with service(pg_store, valkey, tmp_path / "log", ask=4, PROBE_CONSTANTS=MINUTE):
            batch_id = queued(pg_store, valkey, spec)
            assert ended(pg_store, batch_id) == "complete"
        times = [request.time for request in endpoint.requests]
    assert len(times) >= 100
    assert most_in_a_window(times) <= 40
    assert most_in_a_window(times) > 30
    sound(pg_store)


def test_calls_open_at_once_hold_over_four_processes(pg_store, valkey, tmp_path):
    """Five calls at most, whoever makes them; all the seats are given back."""
    with Endpoint(lambda body, n: replace(varied(body, n), delay=0.05)) as endpoint:
        known(pg_store, endpoint.url, max_concurrency=5)
        with service(pg_store, valkey, tmp_path / "log", ask=4):
            batch_id = queued(pg_store, valkey, SPEC)
            assert ended(pg_store, batch_id) == "complete"
        assert endpoint.peak <= 5
    assert seats(pg_store) == 0
    sound(pg_store)


def test_an_endpoint_that_is_down_is_left_alone_and_tried_again(pg_store, valkey, tmp_path):
    """No trial is lost to it; the endpoint's row says why nobody asks; when it is back, the batch completes."""
    down = True

    def script(body, number):
        return fails(500, "out of order") if down and number > 30 else varied(body, number)

    with Endpoint(script) as endpoint:
        known(pg_store, endpoint.url)
        with service(pg_store, valkey, tmp_path / "log", PROBE_CONSTANTS=SHORT):
            batch_id = queued(pg_store, valkey, SPEC)
            wait_until(lambda: closed(pg_store))
            assert state_of(pg_store, batch_id) == "running"
            down = False
            assert ended(pg_store, batch_id) == "complete"
    assert answers(pg_store, batch_id) == 120
    assert count(pg_store, Trial, Trial.outcome == "transport_error") == 0
    assert not closed(pg_store)
    sound(pg_store)


def closed(store):
    with store.reading() as session:
        return any(row.reason and "out of order" in row.reason for row in session.query(EndpointRow))


def test_an_endpoint_that_hangs_slows_no_other(pg_store, valkey, tmp_path):
    """While every call to one hangs, the other's batch completes."""
    with Endpoint(hangs()) as silent, Endpoint(varied) as lively:
        known(pg_store, silent.url, "silent")
        known(pg_store, lively.url, "lively")
        with service(pg_store, valkey, tmp_path / "log"):
            stuck = queued(pg_store, valkey, replace(SPEC, models=("silent",)))
            batch_id = queued(pg_store, valkey, replace(SPEC, models=("lively",)))
            assert ended(pg_store, batch_id) == "complete"
            assert state_of(pg_store, stuck) in ("queued", "running")
    sound(pg_store)


def test_a_worker_without_the_key_leaves_the_model_to_others(pg_store, valkey, tmp_path, monkeypatch):
    """It asks nothing, and keeps nobody from asking: the next worker has the key."""
    with Endpoint(varied) as endpoint:
        monkeypatch.setenv("TINY_KEY", "sk-1")
        known(pg_store, endpoint.url, key_variable="TINY_KEY")
        monkeypatch.delenv("TINY_KEY")
        log = tmp_path / "log"
        with service(pg_store, valkey, log):
            batch_id = queued(pg_store, valkey, SPEC)
            wait_until(lambda: "TINY_KEY is not set" in log.read_text())
            assert endpoint.requests == []
        with service(pg_store, valkey, log, TINY_KEY="sk-1"):
            assert ended(pg_store, batch_id) == "complete"
    sound(pg_store)


def test_a_budget_holds_over_processes_and_can_be_raised(pg_store, valkey, tmp_path):
    """Three processes stop within the calls in flight of the limit; raised and queued again, the batch completes."""
    with Endpoint(lambda body, n: replace(varied(body, n), delay=0.02)) as endpoint:
        known(pg_store, endpoint.url)
        with service(pg_store, valkey, tmp_path / "log", ask=3):
            batch_id = queued(pg_store, valkey, SPEC, max_calls=50)
            assert ended(pg_store, batch_id) == "budget_reached"
            time.sleep(1)
            with pg_store.reading() as session:
                used = standing(session, session.get_one(Batch, batch_id))["calls"]
            assert 50 - 3 * 8 <= used <= 50 + 2 * 8  # the calls that the two others have open
            with pg_store.writing() as session:
                session.get_one(Batch, batch_id).max_calls = 500
            with pg_store.writing() as session:
                queue(session, session.get_one(Batch, batch_id))
            assert ended(pg_store, batch_id) == "complete"
    sound(pg_store)
