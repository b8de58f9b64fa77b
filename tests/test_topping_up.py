"""Topping up: a batch is extended beyond what it asked, never asked twice, until its intervals are narrow enough."""

import json
from dataclasses import replace

import pytest
from sqlalchemy import select

from probe import controls, topping_up
from probe.batches import Arm, BatchSpec
from probe.errors import RequestError
from probe.preparing import make
from probe.store import preparations
from probe.store.tables import Batch, BatchQuestion, FamilyVersion, Shard, Trial
from probe.submitting import extend, stored_spec
from tests.endpoint import Endpoint
from tests.runs import count, known, ran, rows_of, sound, submitted, varied

ARM = Arm(families=("knapsack",), sizes=("xs",), instances=30)
SPEC = BatchSpec(arms=(ARM,), samples=2, baselines=("random",))


def extended(store, batch_id, *instances):
    with store.writing() as session:
        batch = session.get_one(Batch, batch_id)
        shards = extend(session, batch, instances)
        controls.queue(session, batch)
        return shards


def sized(instances):
    return replace(SPEC, arms=(replace(ARM, instances=instances),))


# --- how many are needed ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("present", "width", "factor"),
    [
        ({"a": 0.2}, 0.15, 1.05 * 16 / 9),
        ({"a": 0.2, "b": 0.1}, 0.15, 1.05 * 16 / 9),  # the widest counts
        ({"a": 0.9}, 0.1, 4.0),  # a round at most quadruples
        ({"a": 0.1, "b": None}, 0.1, 4.0),  # too few instances for an interval
    ],
)
def test_the_present_width_tells_how_many_instances_are_needed(present, width, factor):
    """Half the width takes four times the instances, and a little to spare."""
    assert topping_up.growth(present, width) == pytest.approx(factor)


def test_instances_grow_by_one_at_least_and_to_the_limit_at_most():
    """No arm shrinks, whatever the limit."""
    assert topping_up.grown([20, 50], 2.01, None) == (41, 101)
    assert topping_up.grown([20], 1.0, None) == (21,)
    assert topping_up.grown([20, 50], 4.0, 60) == (60, 60)
    assert topping_up.grown([20, 50], 4.0, 30) == (30, 50)


# --- extending --------------------------------------------------------------------------------------------------------


def test_an_extended_batch_is_the_larger_batch(store):
    """Nothing is asked twice, and its tables are those of a batch that was that large from the start."""
    with Endpoint(varied) as endpoint:
        known(store, endpoint.url)
        batch_id = submitted(store, SPEC, "growing")
        ran(store, batch_id)
        before = {row: count(store, Trial, Trial.shard_id == row) for row in shards_of(store, batch_id)}
        asked = len(endpoint.requests)
        assert extended(store, batch_id, 70) == 2  # the rest of the first block, and a part of the next
        spans = {span for span in spans_of(store, batch_id) if span[0] not in before}
        assert {span[1:] for span in spans} == {(30, 50), (0, 20)}
        assert ran(store, batch_id).state == "complete"
        assert len(endpoint.requests) == asked + 40 * 2
        assert {row: count(store, Trial, Trial.shard_id == row) for row in before} == before
        large = submitted(store, sized(70), "large")
        ran(store, large)
    assert rows_of(store, batch_id) == rows_of(store, large)
    assert rows_of(store, batch_id)[0]["n_instances"] == 70
    sound(store)


def shards_of(store, batch_id):
    with store.reading() as session:
        return session.scalars(select(Shard.id).where(Shard.batch_id == batch_id)).all()


def spans_of(store, batch_id):
    with store.reading() as session:
        rows = session.execute(select(Shard.id, Shard.first, Shard.last).where(Shard.batch_id == batch_id))
        return [tuple(row) for row in rows]


def test_the_batch_s_name_goes_on_meaning_it(store):
    """Its former specs and the present one are recognized; one that it never had is refused."""
    known(store, "http://127.0.0.1:9/v1")
    batch_id = submitted(store, SPEC, "growing")
    extended(store, batch_id, 40)
    extended(store, batch_id, 60)
    for instances in (30, 40, 60):
        assert submitted(store, sized(instances), "growing") == batch_id
    with pytest.raises(RequestError, match="exists with another spec"):
        submitted(store, sized(50), "growing")
    with pytest.raises(RequestError, match="exists with another spec"):
        submitted(store, replace(SPEC, samples=3), "growing")
    with store.reading() as session:
        batch = session.get_one(Batch, batch_id)
        spec = stored_spec(batch.spec)
        assert (spec.arms[0].instances, spec.digest) == (60, batch.spec_digest)


def test_what_cannot_be_extended_is_refused(store):
    """An arm that would shrink, an arm too few, a family that has moved on; and nothing of it is stored."""
    known(store, "http://127.0.0.1:9/v1")
    batch_id = submitted(store, SPEC)
    for instances in ((29,), (40, 40), ()):
        with pytest.raises(RequestError, match="instances: a batch is only extended"):
            extended(store, batch_id, *instances)
    assert extended(store, batch_id, 30) == 0
    with store.writing() as session:
        session.scalars(select(FamilyVersion)).one().version = 0
    with pytest.raises(RequestError, match="family knapsack: the batch asks version 0"):
        extended(store, batch_id, 40)
    assert count(store, Shard, Shard.batch_id == batch_id) == 1


def test_whoever_prepares_the_former_end_does_not_end_the_preparation(store):
    """The question's lease ends with the extension: its late owner neither completes nor releases it."""
    known(store, "http://127.0.0.1:9/v1")
    batch_id = submitted(store, replace(SPEC, baselines=("none",)))
    with store.writing() as session:
        taken = preparations.lease(session, store.now(session), batch_id)
    extended(store, batch_id, 40)
    with store.writing() as session:
        preparations.save(session, store.now(session), taken, make(taken.block))
        preparations.complete(session, taken)
        preparations.release(session, taken)
        again = preparations.lease(session, store.now(session), batch_id)
    assert (again.last, again.block.first, again.block.last) == (40, 30, 40)
    with store.writing() as session:
        preparations.release(session, taken)
        assert session.scalars(select(BatchQuestion.lease_token)).one() == again.token


# --- the command ------------------------------------------------------------------------------------------------------


def test_top_up_asks_until_the_interval_is_narrow(probe):
    """The plan is told before each round; at the end the interval is as narrow as asked, and stays so."""
    with Endpoint(varied) as endpoint:
        assert probe("models", "add", "tiny", "--url", endpoint.url, "--model", "tiny")[0] == 0
        flags = ("--models", "tiny", "--families", "knapsack", "--sizes", "xs", "--baselines", "random", "--name", "b")
        assert probe("run", *flags, "--instances", "8")[0] == 0
        asked = len(endpoint.requests)
        code, out, _ = probe("top-up", "b", "--width", "0.3", "--dry-run")
        assert code == 0
        assert "instances in each family and size" in out
        assert len(endpoint.requests) == asked
        code, out, err = probe("top-up", "b", "--width", "0.3", "--max-instances", "9")
        assert code == 1
        assert "not narrow enough yet after 9 instances" in err
        code, out, err = probe("top-up", "b", "--width", "0.3", "--json")
        assert code == 0, err
        done = json.loads(out)
        assert done["narrow"]
        assert 1 <= done["rounds"] <= topping_up.ROUNDS
        assert done["widths"]["tiny"] <= 0.3
        assert done["instances"][0] > 9
        code, out, err = probe("run", *flags, "--instances", "8", "--json")  # the original spec is still this batch
        assert code == 0, err
        assert json.loads(out)["rows"][0]["n_instances"] == done["instances"][0]
        code, out, _ = probe("top-up", "b", "--width", "0.3", "--json")
        assert (code, json.loads(out)["rounds"]) == (0, 0)
        code, _, err = probe("top-up", "b", "--width", "0.1", "--queue")
        assert code == 0
        assert "queued for another round" in err
        assert json.loads(probe("status", "b", "--json")[1])["state"] == "queued"
        code, _, err = probe("top-up", "b", "--width", "0.1")
        assert code == 2
        assert "is queued: finish it first" in err


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--width", "0"), "width: 0 is not between 0 and 1"),
        (("--max-instances", "0"), "max-instances: 0"),
        (("--measure", "luck"), "measure: unknown 'luck'"),
    ],
)
def test_wrong_requests_name_the_field(probe, flags, said):
    """Exit code 2 and one line."""
    flags = ("top-up", "b", *flags)
    assert probe("run", "--models", "none", "--families", "knapsack", "--instances", "1", "--name", "b")[0] == 0
    code, _, err = probe(*flags)
    assert code == 2
    assert said in err
