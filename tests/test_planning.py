"""How a batch stands: counted from what is kept, never trial by trial, and always what the trials say."""

import pytest
from sqlalchemy import select, update

from probe.batches import Arm, BatchSpec
from probe.cli.control import line
from probe.controls import pause
from probe.planning import standing
from probe.rejudging import rejudge, retry
from probe.seats import open_circuit
from probe.store import work
from probe.store.tables import Batch, BatchOutcome, Endpoint, Model, Shard, Tally, Trial
from probe.store.work import count_outcomes
from tests.endpoint import Endpoint as Served
from tests.endpoint import says
from tests.runs import KNAPSACK, known, outcomes_of_trials, ran, sound, submitted, varied


def status_of(store, batch_id):
    with store.reading() as session:
        return standing(session, session.get_one(Batch, batch_id))


def counted(store, batch_id):
    """The outcomes of a batch's trials, counted one by one."""
    with store.reading() as session:
        return {outcome: n for (batch, outcome), n in outcomes_of_trials(session).items() if batch == batch_id}


def test_what_is_kept_is_what_the_trials_say(store):
    """Through a run, failed trials taken back, and verdicts that change."""
    replies = iter(range(10**6))
    with Served(lambda body, n: varied(body, n) if next(replies) % 3 else says("")) as endpoint:
        known(store, endpoint.url)
        batch_id = submitted(store, BatchSpec(arms=(KNAPSACK,), samples=3, baselines=("random",)))
        ran(store, batch_id)
        status = status_of(store, batch_id)
        assert status["outcomes"] == counted(store, batch_id)
        assert status["outcomes"]["no_reply"] > 1
        with store.writing() as session:
            taken, _ = retry(session, store.now(session), session.get_one(Batch, batch_id))
        assert taken == status["outcomes"]["no_reply"]
        after = status_of(store, batch_id)
        assert after["outcomes"] == counted(store, batch_id)
        assert after["trials"] == status["trials"] - taken
        ran(store, batch_id)
    with store.writing() as session:  # as if an older judge had been stricter
        infeasible = (
            Trial.shard_id.in_(select(Shard.id).where(Shard.batch_id == batch_id)),
            Trial.outcome == "infeasible",
        )
        stricter = update(Trial).where(*infeasible).values(outcome="malformed")
        moved = len(session.execute(stricter.returning(Trial.id)).all())
        assert moved
        count_outcomes(session, batch_id, {"infeasible": -moved, "malformed": moved})
        session.execute(update(Tally).values(judge_version=0))
    assert status_of(store, batch_id)["outcomes"] == counted(store, batch_id)
    rejudge(store)
    assert status_of(store, batch_id)["outcomes"] == counted(store, batch_id)
    sound(store)
    with store.writing() as session:
        session.execute(update(BatchOutcome).values(trials=99))
    rejudge(store)  # counts anew as well
    sound(store)


@pytest.mark.parametrize("state", ["queued", "running"])
def test_an_endpoint_left_alone_is_told_with_until_when_and_why(store, state):
    """As long as the batch has work for it; another endpoint's trouble is none of this batch's."""
    known(store, "http://127.0.0.1:9/v1", "down")
    known(store, "http://127.0.0.1:10/v1", "elsewhere")
    batch_id = submitted(store, BatchSpec(arms=(Arm(families=("knapsack",), sizes=("xs",)),), models=("down",)))
    assert status_of(store, batch_id)["waiting"] == []
    with store.writing() as session:
        session.get_one(Batch, batch_id).state = state
        for name in ("down", "elsewhere"):
            at = session.scalars(select(Model.endpoint_id).where(Model.name == name)).one()
            open_circuit(session, store.now(session), at, "connection refused")
    status = status_of(store, batch_id)
    [waiting] = status["waiting"]
    assert waiting["endpoint"] == "http://127.0.0.1:9/v1"
    assert waiting["models"] == ["down"]
    assert waiting["reason"] == "connection refused"
    assert status["notes"] == [
        f"endpoint http://127.0.0.1:9/v1 is left alone until {waiting['until'][11:19]} UTC: connection refused"
    ]
    with store.writing() as session:
        pause(session, session.get_one(Batch, batch_id))
    assert status_of(store, batch_id)["waiting"] == []
    with store.writing() as session:
        session.get_one(Batch, batch_id).state = state
        session.execute(update(Shard).where(Shard.batch_id == batch_id).values(state="complete"))
    assert status_of(store, batch_id)["waiting"] == []
    with store.writing() as session:
        session.execute(update(Shard).where(Shard.batch_id == batch_id).values(state="pending"))
        session.execute(update(Endpoint).values(open_until=0.0))
    assert status_of(store, batch_id)["waiting"] == []


def test_a_model_whose_key_no_worker_has_is_told(store):
    """From when a worker without it looked until somebody asks the model, or the batch is not worked on."""
    known(store, "http://127.0.0.1:9/v1", "closed")
    batch_id = submitted(store, BatchSpec(arms=(Arm(families=("knapsack",), sizes=("xs",)),), models=("closed",)))

    def told(variable=None, **shard):
        with store.writing() as session:
            if variable is not None:
                work.note_key(session, session.get_one(Batch, batch_id), "closed", variable or None)
            if shard:
                session.execute(update(Shard).where(Shard.batch_id == batch_id).values(**shard))
        return status_of(store, batch_id)

    assert told()["keys"] == {}
    said = told("MY_KEY")
    assert said["keys"] == {"MY_KEY": ["closed"]}
    assert said["notes"] == ["closed waits for a worker that has MY_KEY: set it where one runs"]
    assert line(said, 0, 0.0).endswith("closed waits for a worker that has MY_KEY")
    assert told(lease_token="somebody")["keys"] == {}
    assert told(lease_token=None)["keys"] == {"MY_KEY": ["closed"]}
    assert told("")["keys"] == {}
    told("MY_KEY")
    with store.writing() as session:
        pause(session, session.get_one(Batch, batch_id))
    assert told()["keys"] == {}
