"""Pausing, cancelling and deleting a batch: whoever runs it stops, what was answered stays, nothing else is touched."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import select

from probe import controls
from probe.batches import BatchSpec
from probe.cli.control import line
from probe.errors import RequestError
from probe.planning import standing
from probe.store.tables import Batch, Call, Instance, Shard, Trial
from tests.endpoint import Endpoint
from tests.runs import KNAPSACK, count, known, ran, rows_of, sound, submitted, varied

SPEC = BatchSpec(arms=(KNAPSACK,), samples=15)


def control(store, batch_id, change):
    with store.writing() as session:
        return change(session, session.get_one(Batch, batch_id))


def state_of(store, batch_id):
    with store.reading() as session:
        return session.get_one(Batch, batch_id).state


def run_until(store, batch_id, change):
    """Run a batch; as soon as some answers are stored, change it from another process's place. Return how it ended."""
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(ran, store, batch_id, concurrency=2)
        waiting = threading.Event()
        while count(store, Trial, Trial.shard_id.in_(shards(batch_id))) < 5:
            assert not running.done(), running.result()
            waiting.wait(0.01)
        control(store, batch_id, change)
        return running.result(timeout=60)


def shards(batch_id):
    return select(Shard.id).where(Shard.batch_id == batch_id)


def slowly(body, number):
    threading.Event().wait(0.02)
    return varied(body, number)


def test_a_paused_batch_stops_and_goes_on_where_it_stood(store):
    """The process that asks it stops, what it had asked is stored, and resuming leads to the undisturbed table."""
    with Endpoint(slowly) as endpoint:
        known(store, endpoint.url)
        batch_id = submitted(store, SPEC)
        done = run_until(store, batch_id, controls.pause)
        assert (done.state, state_of(store, batch_id)) == ("paused", "paused")
        asked = count(store, Trial, Trial.shard_id.in_(shards(batch_id)))
        assert 5 <= asked < 90
        sound(store)
        assert ran(store, batch_id).state == "complete"
        assert len(endpoint.requests) == count(store, Call) + 1  # one found out what the endpoint accepts
        undisturbed = submitted(store, SPEC)
        assert ran(store, undisturbed).state == "complete"
    assert rows_of(store, batch_id) == rows_of(store, undisturbed)


def test_a_cancelled_batch_stops_for_good(store):
    """Its open shards are cancelled, its answers stay, and it can't be resumed."""
    with Endpoint(slowly) as endpoint:
        known(store, endpoint.url)
        batch_id = submitted(store, SPEC, name="given-up")
        done = run_until(store, batch_id, lambda session, batch: controls.cancel(session, store.now(session), batch))
        assert (done.state, state_of(store, batch_id)) == ("cancelled", "cancelled")
        assert count(store, Shard, Shard.batch_id == batch_id, Shard.state == "pending") == 0
        assert count(store, Shard, Shard.batch_id == batch_id, Shard.state == "cancelled") > 0
        assert count(store, Trial, Trial.shard_id.in_(shards(batch_id))) >= 5
        calls = len(endpoint.requests)
        with pytest.raises(RequestError, match=r"given-up.*was cancelled"):
            ran(store, batch_id)
        assert len(endpoint.requests) == calls
    with pytest.raises(RequestError, match="nothing to cancel"):
        control(store, batch_id, lambda session, batch: controls.cancel(session, 0.0, batch))
    with pytest.raises(RequestError, match="nothing to pause"):
        control(store, batch_id, controls.pause)


def test_a_deleted_batch_leaves_nothing_but_what_is_shared(store):
    """Its shards, calls and trials go; instances, baselines and other batches stay."""
    with Endpoint(varied) as endpoint:
        known(store, endpoint.url)
        small = BatchSpec(arms=(KNAPSACK,))
        kept, gone = submitted(store, small, name="kept"), submitted(store, small, name="gone")
        assert ran(store, kept).state == ran(store, gone).state == "complete"
        instances, trials = count(store, Instance), count(store, Trial)
        before = rows_of(store, kept)
        control(store, gone, lambda session, batch: controls.delete(session, store.now(session), batch))
        assert count(store, Batch) == 1
        assert count(store, Trial) == trials - 6
        assert count(store, Call) == 6
        assert count(store, Instance) == instances
        assert rows_of(store, kept) == before
    sound(store)


def test_a_batch_that_is_being_asked_is_not_deleted(store):
    """A live lease protects it."""
    batch_id = None
    with Endpoint(varied) as endpoint:
        known(store, endpoint.url)
        batch_id = submitted(store, BatchSpec(arms=(KNAPSACK,)), name="busy")
    with store.writing() as session:
        shard = session.scalars(select(Shard).where(Shard.batch_id == batch_id)).first()
        shard.lease_token, shard.lease_until = "somebody", store.now(session) + 60
    with pytest.raises(RequestError, match=r"busy.*is being asked"):
        control(store, batch_id, lambda session, batch: controls.delete(session, store.now(session), batch))


def test_a_look_at_a_batch_says_rate_spend_and_failures(store):
    """One line: state, progress, rate and time left, calls, cost, and what failed by cause."""
    now = {
        "name": "night",
        "state": "running",
        "trials": 60,
        "planned": 100,
        "calls": 61,
        "tokens": 5000,
        "cost": 0.25,
        "outcomes": {"feasible": 58, "transport_error": 2},
    }
    assert line(now, 20, 10.0) == (
        "night: running, 60 of 100 trials, 2.0 a second, about 20 s left, 61 calls, 5000 tokens, 0.2500 USD,"
        " transport_error 2"
    )
    waiting = [{"endpoint": "http://a", "models": ["m"], "until": "2026-11-24T12:34:56Z", "reason": "refused"}]
    assert line(now | {"waiting": waiting}, 0, 0.0).endswith(", http://a is left alone until 12:34:56 UTC")
    ended = line(now | {"state": "complete", "trials": 100, "cost": None, "outcomes": {}}, 0, 0.0)
    assert ended == "night: complete, 100 of 100 trials, 61 calls, 5000 tokens"


def test_standing_is_what_a_look_needs(store):
    """The names that a look uses are those of a batch's standing."""
    batch_id = submitted(store, BatchSpec(arms=(KNAPSACK,), baselines=("blank",)))
    with store.reading() as session:
        assert line(standing(session, session.get_one(Batch, batch_id)), 0, 1.0).endswith("0 calls, 0 tokens")
