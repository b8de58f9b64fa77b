"""A run whose batch other processes ask as well ends when the batch has ended, not when nothing is left to take."""

import pytest
from sqlalchemy import select, update

from probe.batches import Arm, BatchSpec
from probe.store.tables import Batch, Shard
from probe.workshop import prepare_due
from tests.endpoint import Endpoint
from tests.runs import Watch, known, ran, sound, submitted, varied

ARM = Arm(families=("knapsack", "newton"), sizes=("xs",), instances=3)


class Told(Watch):
    """Does something as soon as it hears that others are waited for."""

    def __init__(self, act):
        super().__init__()
        self.act = act

    def note(self, text):
        super().note(text)
        if "other processes" in text:
            self.act()


@pytest.fixture
def batch_id(store):
    """A prepared batch of two shards."""
    with Endpoint(varied) as endpoint:
        known(store, endpoint.url)
        batch_id = submitted(store, BatchSpec(arms=(ARM,), baselines=("blank",)))
        with store.writing() as session:
            session.get_one(Batch, batch_id).state = "running"
        assert not prepare_due(store, lambda: False, 60)
        yield batch_id


def holding(store, batch_id, seconds):
    """Let another machine's process hold one of the shards for so long."""
    with store.writing() as session:
        one = session.scalars(select(Shard.id).where(Shard.batch_id == batch_id).order_by(Shard.id)).first()
        held = {"lease_token": "theirs", "owner": "elsewhere 1", "lease_until": store.now(session) + seconds}
        session.execute(update(Shard).where(Shard.id == one).values(held))


def test_a_run_takes_over_what_another_process_left_behind(store, batch_id):
    """It waits for the other's lease, says so once, and asks the rest when that runs out."""
    holding(store, batch_id, 3600)
    watch = Told(lambda: holding(store, batch_id, -1))
    assert ran(store, batch_id, watch).state == "complete"
    assert len(watch.outcomes) == 6
    assert sum("other processes" in note for note in watch.notes) == 1
    sound(store)


def test_a_run_stops_waiting_when_the_batch_is_paused(store, batch_id):
    """What the other process holds stays its own, and the batch stays paused."""
    holding(store, batch_id, 3600)

    def pause():
        with store.writing() as session:
            session.get_one(Batch, batch_id).state = "paused"

    watch = Told(pause)
    assert ran(store, batch_id, watch).state == "paused"
    assert len(watch.outcomes) == 3
