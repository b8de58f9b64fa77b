"""Whatever happens to a run - kills, interrupts, races, dead endpoints - nothing is lost and nothing counted twice."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

from probe.batches import Arm, BatchSpec
from probe.preparing import make
from probe.rejudging import rejudge
from probe.settings import DATABASE
from probe.store import preparations, work
from probe.store.sessions import open_store
from probe.store.tables import BatchQuestion, Shard, Trial
from tests.endpoint import Endpoint, fails, says
from tests.runs import KNAPSACK, count, known, ran, rows_of, sound, submitted, varied


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
    specs = [BatchSpec(arms=(Arm(families=("knapsack",), sizes=("xs",), instances=n),)) for n in (8, 3)]
    with Endpoint(varied) as endpoint:
        known(store, endpoint.url)
        longer, shorter = (submitted(store, spec) for spec in specs)
        with store.writing() as session:
            taken = preparations.lease(session, store.now(session), longer)
        made = [make(block) for block in (taken.block, replace(taken.block, last=3))]
        with store.writing() as session:
            assert preparations.save_block(session, made[1])
            assert preparations.save_block(session, made[0])
            assert not preparations.save_block(session, made[1])
            preparations.release(session, taken)
        for batch_id in (shorter, longer):
            assert ran(store, batch_id).state == "complete"
    sound(store)
    rows = {row["model"]: row for row in rows_of(store, longer, ("model",))}
    assert {rows[name]["n_instances"] for name in ("tiny", "random", "exact")} == {8}
    assert rows["tiny"]["chance"] is not None


def test_a_process_never_takes_its_own_expired_lease_over(store, monkeypatch):
    """A call slower than its lease is still written once, and the run ends."""

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
        monkeypatch.setattr(type(registry.get("jacobi")), "version", 3)
        ended = ran(store, batch_id)
    assert ended.state == "failed"
    assert count(store, Shard, Shard.state == "failed", Shard.error.like("%version 2%")) == 1
    assert count(store, Shard, Shard.state == "complete", Shard.batch_id == batch_id) == 1


KILLED = """
import asyncio, os, signal, sys
from sqlalchemy import event
from sqlalchemy.orm import Session
from probe.running import run
from probe.store.sessions import Store
from tests.runs import FAST, Watch
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
    store = open_store(f"sqlite:///{tmp_path / DATABASE}")
    child = subprocess.Popen([*command, "--instances", "200"], env=home, stderr=subprocess.PIPE, text=True)
    while not count(store, BatchQuestion, BatchQuestion.lease_token.is_not(None)):
        assert child.poll() is None, child.stderr.read()
        time.sleep(0.02)
    store.dispose()
    child.send_signal(signal.SIGINT)
    _, said = child.communicate(timeout=60)
    assert child.returncode == 1, said
    assert "probe resume slow" in said
    status = subprocess.run([*probe, "status", "slow", "--json"], env=home, check=True, capture_output=True, text=True)
    assert json.loads(status.stdout)["state"] == "paused"
