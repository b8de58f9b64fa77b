"""`probe schedule`: what a user types, what is printed, and how a monitor hears of trouble by the exit code."""

import json
import shutil
from datetime import UTC, datetime

import pytest
from sqlalchemy import select, update

from probe import schedules
from probe.store.sessions import Store
from probe.store.tables import Batch, ScheduleRun

SPEC = """
baselines = ["none"]
max-calls = 500
concurrency = 8
[[arm]]
families = ["knapsack"]
sizes = ["xs"]
instances = 3
"""
NIGHTLY = ("schedule", "add", "nightly", "--cron", "@daily", "--tz", "Europe/Paris", "--spec", "spec.toml")


@pytest.fixture
def probe(probe, tmp_path, migrated_sqlite):
    """`probe` on a database with a model, and the spec file that the commands name."""
    (tmp_path / "spec.toml").write_text(SPEC)
    shutil.copy(migrated_sqlite, tmp_path / "solver-probe.sqlite3")
    probe("models", "add", "tiny", "--url", "http://127.0.0.1:9/v1", "--model", "m")
    return probe


@pytest.fixture
def store(probe):
    """The database behind the commands."""
    from probe.settings import settings

    store = Store(settings().database_url)
    yield store
    store.dispose()


def listed(probe):
    return json.loads(probe("schedule", "list", "--json")[1])["schedules"]


def runs(probe, *arguments):
    code, out, err = probe("schedule", "history", "nightly", "--json", *arguments)
    return json.loads(out)["runs"], code, err


def end(store, state="complete"):
    """Let what was submitted end, and its run be closed."""
    with store.writing() as session:
        session.execute(update(Batch).values(state=state, finished_at=store.now(session), used_calls=6, used_tokens=90))
        schedules.finish(session, store.now(session))


def test_a_schedule_is_added_with_everything_said_about_it(probe):
    """Flags beat the spec file; the list shows all but the secret part of the webhook."""
    policies = ("--catch-up", "skip", "--overlap", "queue", "--canary", "5")
    limits = ("--max-calls", "99", "--day-tokens", "1000", "--max-total-tokens", "700")
    code, out, err = probe(*NIGHTLY, *policies, *limits, "--webhook", "https://hooks.example.org/T0/secret")
    assert (code, out) == (0, "")
    assert err.startswith("added nightly; next due 2")
    assert "probe schedule run nightly" in err
    (shown,) = listed(probe)
    assert set(shown) == {
        *("name", "cron", "tz", "spec", "catch_up", "overlap", "canary_instances", "max_calls", "max_tokens"),
        *("max_cost", "day_calls", "day_tokens", "day_cost", "concurrency", "paused", "webhook", "created_at"),
        *("next_due", "last_run"),
    }
    wanted = {"cron": "0 0 * * *", "tz": "Europe/Paris", "catch_up": "skip", "overlap": "queue", "canary_instances": 5}
    wanted |= {"max_calls": 99, "max_tokens": 700, "max_cost": None, "day_tokens": 1000, "concurrency": 8}
    wanted |= {"webhook": "https://hooks.example.org/…", "paused": False, "last_run": None}
    assert wanted.items() <= shown.items()
    local = datetime.fromisoformat(shown["next_due"]).astimezone(UTC)
    assert (local.hour, local.minute) in {(22, 0), (23, 0)}  # midnight in Paris
    assert "nightly  0 0 * * *  Europe/Paris  next due 2" in probe("schedule", "list")[1]


def test_a_run_from_submission_to_history(probe, store):
    """Started by hand; `history` says how it went, as text and as JSON of one shape."""
    probe(*NIGHTLY, "--canary", "2")
    assert probe("schedule", "history", "nightly")[2].startswith("nightly has not been due yet")
    code, _, err = probe("schedule", "run", "nightly")
    assert code == 0
    assert err.count("submitted nightly-2") == 2
    (run,), code, _ = runs(probe, "--check")
    assert (run["state"], run["outcome"], code) == ("submitted", "queued", 0)
    assert probe("schedule", "run", "nightly")[0] == 2  # still going
    end(store)
    (run,), code, _ = runs(probe, "--check")
    assert code == 0
    assert set(run) == {
        *("schedule", "due", "state", "outcome", "reason", "batch", "canary", "started_at", "finished_at"),
        *("seconds", "spend", "changed", "changes"),
    }
    assert (run["state"], run["outcome"], run["changed"]) == ("finished", "complete", False)
    assert run["spend"] == {"calls": 12, "tokens": 180, "cost": 0.0}
    assert run["canary"] == f"{run['batch']}-canary"
    assert probe("status", run["batch"])[0] == 0
    text = probe("schedule", "history", "nightly")[1]
    assert text.startswith(f"{run['due']}  finished  ")
    assert "12 calls, 180 tokens" in text
    assert f"last {run['due']}  finished" in probe("schedule", "list")[1]


def test_history_tells_a_monitor_by_its_exit_code(probe, store):
    """1 where the last run failed or something changed, 0 otherwise, and without --check always."""
    probe(*NIGHTLY)
    assert runs(probe, "--check") == ([], 0, "")
    probe("schedule", "run", "nightly")
    end(store, "failed")
    _, code, err = runs(probe, "--check")
    assert code == 1
    assert err.strip().endswith("failed")
    assert runs(probe)[1] == 0
    drift = {"z": -5.1, "threshold": 4.0, "window": 3, "before": 0.8, "after": 0.5, "instances": 30}
    model = {"changed": True, "moved": True, "nights": 20, "drift": drift, "served_model": ["b"], "fingerprint": []}
    changes = {"changed": True, "models": {"tiny": model | {"new_served_model": ["b"], "new_fingerprint": []}}}
    with store.writing() as session:
        session.execute(update(Batch).values(state="complete"))
        session.execute(update(ScheduleRun).values(changes=changes))
    code, out, err = probe("schedule", "history", "nightly", "--check")
    assert (code, err.strip().partition(": ")[0]) == (1, "nightly")
    assert "tiny changed" in err
    assert "tiny: satisfied 80.0 % of the canaries' constraints, now 50.0 % (3 nights, z -5.1)" in out
    assert "tiny: another model serves it: b" in out


def test_pause_resume_remove(probe, store):
    """Each says what it did; removing keeps the batches."""
    probe(*NIGHTLY)
    assert "paused nightly" in probe("schedule", "pause", "nightly")[2]
    assert listed(probe)[0]["paused"] is True
    assert "paused" in probe("schedule", "list")[1]
    assert "resumed nightly; next due 2" in probe("schedule", "resume", "nightly")[2]
    probe("schedule", "run", "nightly")
    assert "its batches stay" in probe("schedule", "remove", "nightly")[2]
    assert listed(probe) == []
    assert "no schedules yet" in probe("schedule", "list")[2]
    with store.reading() as session:
        assert len(session.scalars(select(Batch)).all()) == 2


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ((*NIGHTLY[:3], "--cron", "0 2 * *", *NIGHTLY[5:]), "cron"),
        ((*NIGHTLY[:5], "--tz", "Mars/Phobos", *NIGHTLY[7:]), "tz"),
        ((*NIGHTLY[:7], "--spec", "absent.toml"), "absent.toml"),
        ((*NIGHTLY, "--catch-up", "all"), "catch-up"),
        ((*NIGHTLY, "--overlap", "both"), "overlap"),
        ((*NIGHTLY, "--canary", "-1"), "canary"),
        ((*NIGHTLY, "--max-calls", "0"), "max-calls"),
        ((*NIGHTLY, "--max-cost", "5"), "max-cost"),
        ((*NIGHTLY, "--day-calls", "0"), "day-calls"),
        ((*NIGHTLY, "--webhook", "example.org"), "webhook"),
        (("schedule", "history", "absent"), "absent"),
        (("schedule", "run", "absent"), "absent"),
        (("schedule", "pause", "absent"), "absent"),
        (("schedule", "resume", "absent"), "absent"),
        (("schedule", "remove", "absent"), "absent"),
    ],
)
def test_a_wrong_request_is_one_line_and_exit_code_2(probe, arguments, named):
    """It names the field; nothing is stored."""
    code, out, err = probe(*arguments)
    assert (code, out) == (2, "")
    assert err.startswith("error: ")
    assert named in err
    assert listed(probe) == []
