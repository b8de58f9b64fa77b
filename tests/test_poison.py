"""What kills whoever works on it is counted out, alone: one trial, one position; everything else is asked and made."""

from sqlalchemy import select, update

from probe.batches import Arm, BatchSpec
from probe.store import preparations, work
from probe.store.tables import BatchQuestion, Block, Shard, Trial
from tests.endpoint import Endpoint
from tests.runs import count, known, ran, sound, submitted, varied

SPEC = BatchSpec(arms=(Arm(families=("knapsack",), sizes=("xs",), instances=6),), baselines=("random",))


def died(store, table, take):
    """Lease again and again, as processes do that die without a trace; return how many leases it took."""
    for number in range(1, 20):
        with store.writing() as session:
            taken = take(session, store.now(session))
            if taken is None:
                return number - 1
            session.execute(update(table).values(lease_until=0))
            if taken.poisoned:
                return number
    raise AssertionError("it is never given up")


def test_a_trial_that_every_process_dies_of_is_given_up_alone(store):
    """Two deaths make the shard a suspect, asked trial by trial; after five the first trial is unscored."""
    with Endpoint(varied) as endpoint:
        known(store, endpoint.url)
        batch_id = submitted(store, SPEC)
        ran(store, batch_id, concurrency=1)
        again = submitted(store, SPEC, "again")
        with store.reading() as session:
            model_id = session.scalars(select(Shard.model_id).where(Shard.batch_id == again)).first()
        normal = died(store, Shard, lambda session, now: work.lease(session, now, again, model_id))
        assert normal == work.SUSPECT
        suspect = died(store, Shard, lambda session, now: work.lease(session, now, again, model_id, suspects=True))
        assert normal + suspect == work.POISON + 1
        with store.writing() as session:
            session.execute(update(Shard).where(Shard.batch_id == again).values(owner=None, lease_token=None))
        before = len(endpoint.requests)
        assert ran(store, again).state == "complete"
        assert len(endpoint.requests) - before == 5
    with store.reading() as session:
        mine = select(Shard.id).where(Shard.batch_id == again)
        rows = session.scalars(select(Trial).where(Trial.shard_id.in_(mine)).order_by(Trial.position)).all()
    assert [row.outcome == "transport_error" for row in rows] == [True, False, False, False, False, False]
    assert "each process that tried it died" in rows[0].error
    sound(store)


def test_an_instance_that_every_process_dies_of_is_a_hole(store):
    """Its position has no instance, and says why; the others are made and answered."""
    batch_id = submitted(store, BatchSpec(arms=SPEC.arms, models=("none",), baselines=("random",)))
    assert died(store, BatchQuestion, preparations.lease) == work.POISON + 1
    with store.writing() as session:
        session.execute(update(BatchQuestion).values(owner=None, lease_token=None))
    assert ran(store, batch_id).state == "complete"
    with store.reading() as session:
        block = session.scalars(select(Block)).one()
        assert (block.prepared, block.holes) == (6, {"0": {"poison": 1}})
    assert count(store, Trial) == 5 * 5
    sound(store)
