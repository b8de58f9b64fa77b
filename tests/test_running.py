"""What a batch can be relied on for: everything is stored once, whatever happens, and going on repeats nothing."""

import asyncio
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from sqlalchemy import func, select, update

from probe import models
from probe.asking.calls import RetryPolicy
from probe.batches import Arm, BatchSpec, checked
from probe.errors import RequestError
from probe.rejudging import rejudge, retry
from probe.results.cells import result_table
from probe.running import DEAD_AFTER, run
from probe.store.tables import Batch, Block, Call, ConstraintResult, Instance, Model, Shard, Tally, Trial
from probe.store.tables import Presentation as PresentationRow
from probe.submitting import submit
from tests.endpoint import Endpoint, fails, says

FAST = RetryPolicy(attempts=3, throttles=3, base=0.001, cap=0.002, deadline=20)
KNAPSACK = Arm(families=("knapsack",), sizes=("xs",), instances=6)


class Watch:
    """Progress that only takes notes."""

    def __init__(self):
        self.notes, self.outcomes, self.prepared = [], [], (0, 0)

    def preparing(self, done, total):
        self.prepared = (done, total)

    def asking(self, model, total):
        pass

    def answered(self, model, outcome):
        self.outcomes.append(outcome)

    def note(self, text):
        self.notes.append(text)


def varied(body, number):
    """An answer that depends on the prompt alone: sometimes feasible, sometimes not, sometimes not readable."""
    prompt = body["messages"][-1]["content"]
    draw = hashlib.sha256(prompt.encode()).digest()
    if draw[0] % 5 == 0:
        return says("I would rather not show numbers.")
    chosen = [i + 1 for i in range(6) if draw[1] >> i & 1]
    return says(json.dumps({"items": chosen, "assignment": {str(i): 1 for i in range(1, 7)}}))


def known(store, url, name="tiny", **facts):
    with store.writing() as session:
        models.add(session, models.ModelFacts(name=name, url=url, served_id=name, **facts), store.now(session))


def submitted(store, spec, name=None, **limits):
    with store.writing() as session:
        return submit(session, store.now(session), checked(spec), name, limits).batch_id


def ran(store, batch_id, watch=None, concurrency=8, policy=FAST):
    return asyncio.run(
        run(store, batch_id, concurrency=concurrency, progress=watch or Watch(), policy=policy, processes=1)
    )


def rows_of(store, batch_id, by=("model", "family")):
    with store.reading() as session:
        return [cell.plain() for cell in result_table(session, by, batch=batch_id).cells]


def count(store, what, *conditions):
    with store.reading() as session:
        return session.scalar(select(func.count()).select_from(what).where(*conditions))


def sound(store):
    """What holds after every run: each trial once, no lease left, tallies equal what trials and results say."""
    with store.reading() as session:
        keys = session.execute(select(Trial.shard_id, Trial.position, Trial.sample)).all()
        assert len(keys) == len(set(keys))
        assert not session.scalar(select(func.count()).where(Shard.lease_token.is_not(None)))
        for shard in session.scalars(select(Shard).where(Shard.state == "complete")):
            tally = session.get_one(Tally, shard.id)
            from probe.asking.measures import unpack

            counted = unpack(tally.measures, tally.matrix)
            scored = (Trial.shard_id == shard.id, Trial.outcome.not_in(("transport_error", "no_reply", "cap_hit")))
            sums = session.execute(select(func.sum(Trial.constraints), func.sum(Trial.satisfied)).where(*scored)).one()
            constraints = counted["constraints"].sum(axis=0) if "constraints" in counted else (0, 0)
            assert tuple(int(v or 0) for v in sums) == tuple(int(v) for v in constraints)
            kinds = session.execute(
                select(
                    ConstraintResult.kind,
                    func.sum(ConstraintResult.constraints),
                    func.sum(ConstraintResult.satisfied),
                )
                .join(Trial)
                .where(*scored)
                .group_by(ConstraintResult.kind)
            )
            for kind, n, y in kinds:
                assert tuple(counted[f"kind:{kind}"].sum(axis=0)) == (n, y)


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
            assert retry(session, session.get_one(Batch, batch_id)) == lost
        assert ran(store, batch_id).state == "complete"
    (row,) = [r for r in rows_of(store, batch_id, ("model",)) if r["model"] == "tiny"]
    assert row["unscored"] == {"transport_error": 0, "no_reply": 0, "cap_hit": 0}
    sound(store)


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


def test_retries_are_calls_too(store):
    """On an endpoint that always fails a limit of calls holds, attempts that are repeated included."""
    with Endpoint(lambda body, n: fails(500) if n else varied(body, n)) as endpoint:
        known(store, endpoint.url)
        batch_id = submitted(store, BatchSpec(arms=(KNAPSACK,), baselines=("random",)), max_calls=5)
        ran(store, batch_id, concurrency=4)
        assert len(endpoint.requests) <= 1 + 5
    sound(store)


def test_use_that_nobody_reported_counts_after_a_resume_too(store):
    """An endpoint without usage: every call is charged with its worst case, for ever."""
    with Endpoint(lambda body, n: says(json.dumps({"items": [1]}), usage=None)) as endpoint:
        known(store, endpoint.url)
        batch_id = submitted(store, BatchSpec(arms=(KNAPSACK,), answer_tokens=300), max_tokens=1500)
        assert ran(store, batch_id).state == "budget_reached"
        asked = len(endpoint.requests)
        assert ran(store, batch_id).state == "budget_reached"
        assert len(endpoint.requests) == asked


def test_a_run_in_which_no_answer_got_through_has_failed(store):
    """Fewer lost answers than it takes to give an endpoint up are still no success."""
    down = False

    def script(body, number):
        return fails(500, "out of order") if down else varied(body, number)

    with Endpoint(script) as endpoint:
        known(store, endpoint.url)
        ran(store, submitted(store, BatchSpec(arms=(KNAPSACK,), baselines=("random",))))
        down = True
        ended = ran(
            store, submitted(store, BatchSpec(arms=(KNAPSACK,), baselines=("random",), samples=1)), concurrency=1
        )
    assert "no answer got through" in ended.errors["tiny"]
    assert "out of order" in ended.errors["tiny"]


def test_two_prefixes_prepared_at_once_lose_no_instance_and_no_baseline(store):
    """Whoever saves first, the longer prefix is stored whole, and baselines answer all of it."""
    from probe.preparing import make
    from probe.store import work
    from probe.submitting import blocks_to_prepare, stored_spec

    specs = [BatchSpec(arms=(Arm(families=("knapsack",), sizes=("xs",), instances=n),)) for n in (8, 3)]
    with Endpoint(varied) as endpoint:
        known(store, endpoint.url)
        longer, shorter = (submitted(store, spec) for spec in specs)
        with store.writing() as session:
            planned = [
                blocks_to_prepare(session, id_, stored_spec(session.get_one(Batch, id_).spec))[0]
                for id_ in (longer, shorter)
            ]
        made = [make(block) for block in planned]
        with store.writing() as session:
            assert work.save_block(session, made[1])
            assert work.save_block(session, made[0])
            assert not work.save_block(session, made[1])
        for batch_id in (shorter, longer):
            assert ran(store, batch_id).state == "complete"
    sound(store)
    rows = {row["model"]: row for row in rows_of(store, longer, ("model",))}
    assert {rows[name]["n_instances"] for name in ("tiny", "random", "exact")} == {8}
    assert rows["tiny"]["chance"] is not None


def test_a_process_never_takes_its_own_expired_lease_over(store, monkeypatch):
    """A call slower than its lease is still written once, and the run ends."""
    from dataclasses import replace

    from probe.store import work

    monkeypatch.setattr(work, "LEASE_SECONDS", 0.05)
    with Endpoint(lambda body, n: replace(varied(body, n), delay=0.4 if n == 3 else 0.0)) as endpoint:
        known(store, endpoint.url)
        batch_id = submitted(store, BatchSpec(arms=(KNAPSACK,), baselines=("random",), samples=2))
        assert ran(store, batch_id, concurrency=3).state == "complete"
        assert len(endpoint.requests) == 1 + 12
    sound(store)


def test_a_reply_on_which_the_judge_fails_is_unscored_and_mended_by_rejudging(store, monkeypatch):
    """One poisonous reply stops nothing; its raw text is kept."""
    from probe import running

    judge = running.judge_result
    poison = []

    def fragile(posed, result):
        if not poison or poison[0] == posed.instance.key:
            poison[:] = [posed.instance.key]
            raise ZeroDivisionError("planted")
        return judge(posed, result)

    with Endpoint(varied) as endpoint:
        known(store, endpoint.url)
        batch_id = submitted(store, BatchSpec(arms=(KNAPSACK,), baselines=("random",)))
        monkeypatch.setattr(running, "judge_result", fragile)
        assert ran(store, batch_id).state == "complete"
    assert count(store, Trial, Trial.error.like("the judge failed: ZeroDivisionError%")) == 1
    changes = rejudge(store)
    assert sum(changes.moved.values()) == 1
    assert count(store, Trial, Trial.outcome == "transport_error") == 0
    sound(store)


def test_models_at_one_endpoint_share_its_limits(store):
    """Two models, at most two calls open at the endpoint."""
    from dataclasses import replace

    with Endpoint(lambda body, n: replace(varied(body, n), delay=0.03)) as endpoint:
        known(store, endpoint.url, "one", max_concurrency=2)
        known(store, endpoint.url, "two")
        batch_id = submitted(store, BatchSpec(arms=(KNAPSACK,), baselines=("random",)))
        assert ran(store, batch_id, concurrency=8).state == "complete"
        assert endpoint.peak <= 2


def test_a_batch_of_an_old_family_version_says_so(store, monkeypatch):
    """Its shards fail with the reason; other families go on; nothing crashes."""
    from solvers import registry

    arms = tuple(Arm(families=(name,), sizes=("xs",), instances=3) for name in ("knapsack", "jacobi"))
    with Endpoint(varied) as endpoint:
        known(store, endpoint.url)
        batch_id = submitted(store, BatchSpec(arms=arms, baselines=("random",)))
        monkeypatch.setattr(type(registry.get("jacobi")), "version", 2)
        ended = ran(store, batch_id)
    assert ended.state == "paused"
    assert count(store, Shard, Shard.state == "failed", Shard.error.like("%version 1%")) == 1
    assert count(store, Shard, Shard.state == "complete", Shard.batch_id == batch_id) == 1


KILLED = """
import asyncio, os, signal, sys
from sqlalchemy import event
from sqlalchemy.orm import Session
from probe.running import run
from probe.store.sessions import Store
from tests.test_running import FAST, Watch
if __name__ == "__main__":
    url, batch_id, fatal = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    commits = 0

    def committed(session):
        global commits
        commits += 1
        if commits >= fatal:
            os.kill(os.getpid(), signal.SIGKILL)

    if fatal:
        event.listen(Session, "after_commit", committed)
    asyncio.run(run(Store(url), batch_id, concurrency=4, progress=Watch(), policy=FAST, processes=1))
"""


def test_killed_at_any_commit_a_resumed_run_ends_with_the_same_table(sqlite, tmp_path):
    """SIGKILL after the n-th commit: only calls in flight are asked twice, and the table is the undisturbed one."""
    from probe.store.sessions import open_store

    spec = BatchSpec(arms=(Arm(families=("knapsack",), sizes=("xs",), instances=12),), baselines=("random",))
    with Endpoint(varied) as endpoint:
        calm = open_store(f"sqlite:///{tmp_path / 'calm.sqlite3'}")
        known(calm, endpoint.url)
        calm_id = submitted(calm, spec)
        ran(calm, calm_id, concurrency=4)
        expected = rows_of(calm, calm_id)
        store = open_store(sqlite)
        known(store, endpoint.url)
        batch_id = submitted(store, spec)
        before, kills = len(endpoint.requests), 0
        script = tmp_path / "killed.py"
        script.write_text(KILLED)
        for fatal in (2, 4, 5, 6, 7, 9):
            child = subprocess.run(
                [sys.executable, script, sqlite, str(batch_id), str(fatal)],
                check=False,
                capture_output=True,
                timeout=60,
                env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])},
            )
            assert child.returncode in (0, -signal.SIGKILL), child.stderr
            kills += child.returncode == -signal.SIGKILL
        assert kills >= 3
        assert ran(store, batch_id, concurrency=4).state == "complete"
        asked = len(endpoint.requests) - before
    assert rows_of(store, batch_id) == expected
    assert asked <= 12 + 4 * kills + kills  # the calls in flight at each kill, and finding out capabilities again
    sound(store)


def test_ctrl_c_stores_the_calls_in_flight_and_says_how_to_go_on(tmp_path):
    """SIGINT: no new calls, those in flight are stored, exit code 1, and `probe resume` completes the batch."""

    def slow(body, number):
        from dataclasses import replace

        return replace(varied(body, number), delay=0.3 if number else 0)

    home = os.environ | {"PROBE_HOME": str(tmp_path)}
    probe = [sys.executable, "-m", "probe.cli"]
    with Endpoint(slow) as endpoint:
        subprocess.run([*probe, "models", "add", "tiny", "--url", endpoint.url, "--model", "m"], env=home, check=True)
        command = [*probe, "run", "--families", "knapsack", "--sizes", "xs", "--instances", "30", "--name", "night"]
        child = subprocess.Popen([*command, "--concurrency", "3"], env=home, stderr=subprocess.PIPE, text=True)
        while len(endpoint.requests) < 8:
            time.sleep(0.02)
            assert child.poll() is None, child.stderr.read()
        child.send_signal(signal.SIGINT)
        _, said = child.communicate(timeout=30)
        assert child.returncode == 1
        assert "probe resume night" in said
        status = subprocess.run(
            [*probe, "status", "night", "--json"], env=home, check=True, capture_output=True, text=True
        )
        standing = json.loads(status.stdout)
        assert standing["state"] == "paused"
        asked = len(endpoint.requests) - 1
        assert standing["trials"] == asked  # whatever was asked is stored
        done = subprocess.run([*probe, "resume", "night"], env=home, check=False, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert len(endpoint.requests) == 31


def test_ctrl_c_while_preparing_ends_at_once_and_is_not_complete(tmp_path):
    """The processes that prepare are ended; the batch is paused, and going on completes it."""
    home = os.environ | {"PROBE_HOME": str(tmp_path)}
    probe = [sys.executable, "-m", "probe.cli"]
    command = [*probe, "run", "--families", "bin_packing", "--sizes", "xl", "--models", "none", "--name", "slow"]
    child = subprocess.Popen([*command, "--instances", "200"], env=home, stderr=subprocess.PIPE, text=True)
    time.sleep(5)
    child.send_signal(signal.SIGINT)
    _, said = child.communicate(timeout=20)
    assert child.returncode == 1, said
    assert "probe resume slow" in said
    status = subprocess.run([*probe, "status", "slow", "--json"], env=home, check=True, capture_output=True, text=True)
    assert json.loads(status.stdout)["state"] == "paused"


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
