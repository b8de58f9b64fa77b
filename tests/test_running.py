"""What a batch can be relied on for: everything is stored once, and going on repeats nothing."""

import json
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from sqlalchemy import select, update

from probe import models
from probe.batches import Arm, BatchSpec, checked
from probe.errors import RequestError
from probe.planning import standing
from probe.preparing import make
from probe.rejudging import rejudge, retry
from probe.running import DEAD_AFTER
from probe.store import preparations, work
from probe.store.tables import Batch, Block, Call, Instance, Model, Shard, Tally, Trial
from probe.store.tables import Presentation as PresentationRow
from tests.endpoint import Endpoint, fails, says
from tests.runs import KNAPSACK, Watch, count, known, ran, rows_of, sound, submitted, varied


def test_a_run_stores_every_answer_with_its_call_and_all_baselines(store):
    """One batch, one model: 6 trials, 6 calls with usage and raw reply, baselines on the same questions."""
    with Endpoint(varied) as endpoint:
        known(store, endpoint.url)
        batch_id = submitted(store, BatchSpec(arms=(KNAPSACK,)))
        assert ran(store, batch_id).state == "complete"
        assert len(endpoint.requests) == 7  # six questions, and one to find out what the endpoint accepts
    sound(store)
    assert count(store, Call, Call.kind == "ok", Call.raw.is_not(None), Call.prompt_tokens == 7) == 6
    rows = {row["model"]: row for row in rows_of(store, batch_id, ("model",))}
    assert set(rows) == {"tiny", "blank", "random", "greedy", "exact"}  # knapsack offers no template
    assert rows["tiny"]["n_trials"] == 6
    assert rows["exact"]["satisfaction_micro"]["rate"] == 1.0
    assert rows["exact"]["optimal"]["rate"] == 1.0
    assert rows["tiny"]["chance"]["rate"] == pytest.approx(rows["random"]["satisfaction_micro"]["rate"])


def test_running_again_asks_nothing_again(store):
    """A complete batch of the same name and spec makes no call and changes no row."""
    with Endpoint(varied) as endpoint:
        known(store, endpoint.url)
        spec = BatchSpec(arms=(KNAPSACK,))
        batch_id = submitted(store, spec, "study")
        ran(store, batch_id)
        before, calls = rows_of(store, batch_id), len(endpoint.requests)
        assert submitted(store, spec, "study") == batch_id
        assert ran(store, batch_id).state == "complete"
        assert len(endpoint.requests) == calls
    assert rows_of(store, batch_id) == before


def test_more_instances_extend_the_prefix(store):
    """A larger batch shares the instances and the baselines' answers of a smaller one."""
    with Endpoint(varied) as endpoint:
        known(store, endpoint.url)
        ran(store, submitted(store, BatchSpec(arms=(KNAPSACK,))))
        with store.reading() as session:
            first = dict(session.execute(select(Instance.position, Instance.key)).all())
        larger = Arm(families=("knapsack",), sizes=("xs",), instances=60)
        batch_id = submitted(store, BatchSpec(arms=(larger,)))
        ran(store, batch_id)
    with store.reading() as session:
        blocks = session.scalars(select(Block.prepared).order_by(Block.number)).all()
        both = session.execute(
            select(Instance.position, Instance.key).join(Block, Instance.block_id == Block.id).where(Block.number == 0)
        ).all()
    assert blocks == [50, 10]
    assert first.items() <= dict(both).items()
    sound(store)
    rows = {row["model"]: row for row in rows_of(store, batch_id, ("model",))}
    assert rows["tiny"]["n_instances"] == rows["exact"]["n_instances"] == 60


def test_the_same_name_with_another_spec_is_refused(store):
    """Resuming by name never mixes two specs."""
    with Endpoint(varied) as endpoint:
        known(store, endpoint.url)
        submitted(store, BatchSpec(arms=(KNAPSACK,)), "study")
        with pytest.raises(RequestError, match="another spec"):
            submitted(store, BatchSpec(arms=(KNAPSACK,), samples=2), "study")


def test_a_failing_endpoint_leaves_trials_unscored_and_can_be_retried(store):
    """Lost answers are transport errors, never zeros; `retry` asks just those again."""
    broken = True

    def script(body, number):
        if broken and "1 | " in body["messages"][-1]["content"] and number % 3 == 1:
            return fails(400, "no")
        return varied(body, number)

    with Endpoint(script) as endpoint:
        known(store, endpoint.url)
        batch_id = submitted(store, BatchSpec(arms=(KNAPSACK,)))
        assert ran(store, batch_id).state == "complete"
        (row,) = [r for r in rows_of(store, batch_id, ("model",)) if r["model"] == "tiny"]
        lost = row["unscored"]["transport_error"]
        assert lost > 0
        assert row["satisfaction_micro"]["clusters"] == 6 - lost
        broken = False
        with store.writing() as session:
            assert retry(session, store.now(session), session.get_one(Batch, batch_id)) == (lost, 0)
        assert ran(store, batch_id).state == "complete"
    (row,) = [r for r in rows_of(store, batch_id, ("model",)) if r["model"] == "tiny"]
    assert row["unscored"] == {"transport_error": 0, "no_reply": 0, "cap_hit": 0}
    sound(store)


def lost(body, number):
    """An endpoint that lets us in and then answers nothing."""
    return varied(body, number) if "colours" in body["messages"][-1]["content"] else fails(400, "no")


def taken_back(store, batch_id):
    with store.writing() as session:
        return retry(session, store.now(session), session.get_one(Batch, batch_id))


def lease_of(store, shard_id, seconds):
    with store.writing() as session:
        until = store.now(session) + seconds
        values = {"state": "pending", "lease_token": "theirs", "lease_until": until, "owner": "elsewhere 1"}
        session.execute(update(Shard).where(Shard.id == shard_id).values(values))


def test_retry_leaves_shards_that_a_process_holds(store):
    """Their lost answers are counted and stay; once the lease has expired they are taken, and its late owner's end."""
    with Endpoint(lost) as endpoint:
        known(store, endpoint.url)
        arm = Arm(families=("knapsack", "newton"), sizes=("xs",), instances=3)
        batch_id = submitted(store, BatchSpec(arms=(arm,), baselines=("random",)))
        ran(store, batch_id)
    with store.reading() as session:
        held, _ = session.scalars(select(Shard.id).where(Shard.batch_id == batch_id).order_by(Shard.id))
    lease_of(store, held, 60)
    assert taken_back(store, batch_id) == (3, 3)
    assert count(store, Trial, Trial.shard_id == held) == 3
    lease_of(store, held, -1)
    assert taken_back(store, batch_id) == (3, 0)
    with store.writing() as session:
        assert work.renew(session, store.now(session), [(held, "theirs")]) == set()
    with Endpoint(varied) as endpoint:
        with store.writing() as session:
            models.move(session, "tiny", endpoint.url)
        assert ran(store, batch_id).errors == {}
    sound(store)


def test_retry_waits_for_a_process_that_is_just_taking_a_shard(store):
    """Whoever comes first has it: the lease that is being written is seen."""
    with Endpoint(lost) as endpoint:
        known(store, endpoint.url)
        batch_id = submitted(store, BatchSpec(arms=(KNAPSACK,), baselines=("random",)))
        ran(store, batch_id)
    with store.writing() as session:
        (shard,) = session.scalars(select(Shard).where(Shard.batch_id == batch_id))
        shard.state = "pending"
    with ThreadPoolExecutor() as pool:
        with store.writing() as session:
            assert work.lease(session, store.now(session), batch_id, shard.model_id) is not None
            retried = pool.submit(taken_back, store, batch_id)
            time.sleep(0.2)  # it comes to the shard meanwhile
        assert retried.result() == (0, 6)


def prepared_with_hole(store, batch_id, spec, position):
    """Prepare a batch's blocks as `run` does, but for one position that is left without an instance."""
    with store.writing() as session:
        while (taken := preparations.lease(session, store.now(session), batch_id)) and taken.block is not None:
            made = make(taken.block)
            kept = tuple(row for row in made.instances if row[0] != position)
            discards = made.discards | {position: {"unproven": 9}}
            holes = {str(position): {"unproven": 9}}
            made = replace(made, instances=kept, holes=holes, discards=discards)
            assert preparations.save(session, store.now(session), taken, made) is None
            preparations.release(session, taken)
        assert taken is not None
        preparations.release(session, taken)


def status_of(store, batch_id):
    with store.reading() as session:
        return standing(session, session.get_one(Batch, batch_id))


def test_the_status_plans_no_trials_where_there_is_no_instance(store):
    """A hole is planned until it is known, and then told with its reasons; the batch ends with all that is planned."""
    arm = Arm(families=("knapsack", "newton"), sizes=("xs",), instances=4)
    spec = checked(BatchSpec(arms=(arm,), samples=2, baselines=("random",)))
    with Endpoint(varied) as endpoint:
        known(store, endpoint.url)
        batch_id = submitted(store, spec)
        assert status_of(store, batch_id)["planned"] == 2 * 4 * 2
        prepared_with_hole(store, batch_id, spec, 3)
        assert status_of(store, batch_id)["trials"] == 0
        ran(store, batch_id)
    status = status_of(store, batch_id)
    assert (status["planned"], status["trials"], status["calls"]) == (2 * 3 * 2, 2 * 3 * 2, 2 * 3 * 2)
    assert (status["holes"], status["discards"]["unproven"]) == (2, 18)


def test_the_status_of_a_batch_without_models_counts_its_baselines(store):
    """Five random answers and one of greedy to each instance, none of greedy where a family has none; holes show."""
    arm = Arm(families=("knapsack", "newton"), sizes=("xs",), instances=4)
    spec = checked(BatchSpec(arms=(arm,), models=("none",), baselines=("random", "greedy")))
    batch_id = submitted(store, spec)
    assert (status_of(store, batch_id)["planned"], status_of(store, batch_id)["trials"]) == (2 * 4 * 6, 0)
    prepared_with_hole(store, batch_id, spec, 1)
    ran(store, batch_id)
    ran(store, submitted(store, checked(BatchSpec(arms=(replace(arm, instances=9),), models=("none",)))))
    status = status_of(store, batch_id)
    assert (status["planned"], status["trials"]) == (3 * 6 + 3 * 5, 3 * 6 + 3 * 5)
    assert (status["holes"], status["discards"]["unproven"]) == (2, 18)
    assert sum(status["outcomes"].values()) == status["trials"]


def test_an_endpoint_that_dies_is_given_up_and_others_go_on(store):
    """After ten lost answers in a row the model is left, with a clear error; the other model completes."""
    with Endpoint(lambda body, n: fails(500) if n else varied(body, n)) as dead, Endpoint(varied) as alive:
        known(store, dead.url, "dying")
        known(store, alive.url, "alive")
        arm = Arm(families=("knapsack",), sizes=("xs",), instances=40)
        batch_id = submitted(store, BatchSpec(arms=(arm,), baselines=("random",)))
        ended = ran(store, batch_id, concurrency=2)
    assert ended.state == "failed"
    assert f"{DEAD_AFTER} answers in a row" in ended.errors["dying"]
    assert count(store, Trial, Trial.outcome == "transport_error") <= DEAD_AFTER + 2
    rows = {row["model"]: row for row in rows_of(store, batch_id, ("model",))}
    assert rows["alive"]["n_trials"] == 40
    sound(store)


def test_an_endpoint_that_is_not_there_is_a_clear_error(store):
    """Nothing is asked or stored for it, and the message names the URL."""
    known(store, "http://127.0.0.1:9/v1")
    batch_id = submitted(store, BatchSpec(arms=(KNAPSACK,), baselines=("random",)))
    ended = ran(store, batch_id)
    assert ended.state == "failed"
    assert "http://127.0.0.1:9/v1" in ended.errors["tiny"]
    assert count(store, Trial, Trial.outcome == "transport_error") == 0


def test_a_refused_schema_falls_back_and_is_recorded(store):
    """The presentation names the form used; the batch was asked for json."""

    def script(body, number):
        kind = body.get("response_format", {}).get("type")
        return fails(400, "response_format json_schema is not supported") if kind == "json_schema" else varied(body, 0)

    watch = Watch()
    with Endpoint(script) as endpoint:
        known(store, endpoint.url)
        batch_id = submitted(store, BatchSpec(arms=(KNAPSACK,), channels=("json",)))
        ran(store, batch_id, watch)
        assert ran(store, submitted(store, BatchSpec(arms=(KNAPSACK,), channels=("json",)))).state == "complete"
        refused = [b for b in endpoint.bodies if b.get("response_format", {}).get("type") == "json_schema"]
        assert len(refused) == 1  # found out once, remembered by the second batch
    assert any("json_schema refused" in note for note in watch.notes)
    with store.reading() as session:
        used = session.execute(
            select(PresentationRow.form, PresentationRow.channel).join(
                Shard, Shard.presentation_id == PresentationRow.id
            )
        ).all()
    assert set(used) == {("json_object", "json")}


@pytest.mark.parametrize(("limit", "value"), [("max_calls", 4), ("max_tokens", 2000), ("max_cost", 0.002)])
def test_a_limit_stops_cleanly_and_can_be_raised(store, limit, value):
    """The limit is never exceeded; the state says so; a higher limit goes on to the end."""

    def dear(body, number):
        used = {"prompt_tokens": 100, "completion_tokens": 300, "total_tokens": 400}
        return says(json.dumps({"items": [1 + number % 3]}), usage=used)

    with Endpoint(dear) as endpoint:
        known(store, endpoint.url, price_in=1.0, price_out=1.0)
        batch_id = submitted(store, BatchSpec(arms=(KNAPSACK,), answer_tokens=300), **{limit: value})
        assert ran(store, batch_id, concurrency=1).state == "budget_reached"
        asked = count(store, Trial, Trial.shard_id.in_(select(Shard.id).where(Shard.batch_id == batch_id)))
        assert asked == 4  # a fifth could exceed the limit at worst
        with store.writing() as session:
            session.execute(update(Batch).values(**{limit: None}))
        assert ran(store, batch_id).state == "complete"
    sound(store)


def test_rejudging_changes_nothing_where_the_judge_is_the_same(store):
    """Verdicts recomputed from raw replies equal the stored ones."""
    with Endpoint(varied) as endpoint:
        known(store, endpoint.url)
        batch_id = submitted(store, BatchSpec(arms=(KNAPSACK,), samples=2))
        ran(store, batch_id)
    before = rows_of(store, batch_id)
    changes = rejudge(store)
    assert changes.trials == count(store, Trial)
    assert not changes.moved
    assert changes.recounted == 0
    assert rows_of(store, batch_id) == before


def test_rejudging_mends_wrong_verdicts_in_trials_results_and_tallies(store):
    """A verdict spoilt in the database is put right from the raw reply, and the move is reported and logged."""
    with Endpoint(varied) as endpoint:
        known(store, endpoint.url)
        batch_id = submitted(store, BatchSpec(arms=(KNAPSACK,)))
        ran(store, batch_id)
    before = rows_of(store, batch_id)
    with store.writing() as session:
        spoilt = session.scalars(select(Trial).where(Trial.outcome == "infeasible").limit(1)).one()
        spoilt.outcome, spoilt.satisfied = "optimal", spoilt.constraints
        session.execute(update(Trial).values(judge_version=0))
        session.execute(update(Tally).values(judge_version=0))
    changes = rejudge(store)
    assert changes.moved == {("optimal", "infeasible"): 1}
    assert rows_of(store, batch_id) == before
    sound(store)


def test_hidden_keys_never_reach_the_database(store, monkeypatch):
    """The key is sent to the endpoint and stands in no column of no table."""
    monkeypatch.setenv("TINY_KEY", "sk-very-secret-123456")
    with Endpoint(varied) as endpoint:
        known(store, endpoint.url, key_variable="TINY_KEY")
        ran(store, submitted(store, BatchSpec(arms=(KNAPSACK,))))
        assert endpoint.requests[-1].headers["authorization"] == "Bearer sk-very-secret-123456"
    with store.reading() as session:
        for table in Model.metadata.sorted_tables:
            assert "sk-very-secret" not in str(session.execute(select(table)).all())
