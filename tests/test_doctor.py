"""The doctor: each part is judged from plain facts, and each complaint comes with what to do."""

import json
import sqlite3
import sys
from pathlib import Path

import pytest

from probe import doctor
from probe.batches import BatchSpec
from probe.cli import main
from probe.doctor import Check, WorkerFacts
from probe.seats import open_circuit
from probe.store.tables import Worker
from tests.endpoint import Endpoint, fails
from tests.runs import KNAPSACK, known, submitted, varied

KNAPSACK_SPEC = BatchSpec(arms=(KNAPSACK,))
WORKER = WorkerFacts("host 1", ago=30, skew=0.1, version="1.0")


# --- what is judged ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("check", "state", "says"),
    [
        (doctor.judge_revision("0003", ["0002", "0003"]), "ok", "0003"),
        (doctor.judge_revision("0002", ["0002", "0003"]), "fail", "this program needs 0003"),
        (doctor.judge_revision(None, ["0003"]), "fail", "no tables"),
        (doctor.judge_journal("wal"), "ok", "WAL"),
        (doctor.judge_journal("delete"), "warn", "'delete'"),
        (doctor.judge_server(180004), "ok", "PostgreSQL 18.4"),
        (doctor.judge_server(130021), "warn", "no longer maintained"),
        (doctor.judge_clock(1.9), "ok", "1.9 s ahead"),
        (doctor.judge_clock(-2.1), "warn", "2.1 s behind"),
        (doctor.judge_sweep(20, waiting=1), "ok", "20 s ago"),
        (doctor.judge_sweep(600, waiting=0), "ok", "no batch waits"),
        (doctor.judge_sweep(600, waiting=1), "warn", "for 10 min"),
        (doctor.judge_sweep(None, waiting=1), "warn", "nobody ever looked"),
        (doctor.judge_flow(due=2, held=3, still=999, living=True, pausing=0), "ok", "3 pieces of work in hand"),
        (doctor.judge_flow(due=0, held=0, still=999, living=True, pausing=2), "ok", "2 endpoints are left alone"),
        (doctor.judge_flow(due=2, held=0, still=10, living=True, pausing=0), "ok", "2 batches have work that is due"),
        (doctor.judge_flow(due=2, held=0, still=999, living=True, pausing=0), "fail", "nothing moved for 17 min"),
        (doctor.judge_flow(due=1, held=0, still=999, living=False, pausing=0), "warn", "1 batch has work"),
        (doctor.judge_served("http://a", ["m"], ["m", "n"]), "ok", "serves m"),
        (doctor.judge_served("http://a", ["m", "o"], ["m", "n"]), "warn", "does not list o"),
        (
            doctor.judge_endpoint("http://a", 5.0, 60.0, "connection refused"),
            "warn",
            "1970-01-01T00:01Z: connection refused",
        ),
        (doctor.judge_schedules({}), "ok", "no schedules"),
        (doctor.judge_schedules({"nightly": 299.0}), "ok", "1 schedule, none overdue"),
        (doctor.judge_schedules({"nightly": 600.0, "weekly": 0.0}), "warn", "nightly was due 10 min ago"),
        (doctor.judge_keys("b", {"MY_KEY": ["m", "n"]})[0], "warn", "m, n waits for a worker that has MY_KEY"),
        (doctor.judge_disk(Path("/data"), 5 << 30), "ok", "5.4 GB free in /data"),
        (doctor.judge_disk(Path("/data"), 500 << 20), "warn", "524.3 MB free"),
        (doctor.judge_disk(Path("/data"), 5 << 20), "fail", "5.2 MB free"),
    ],
)
def test_each_part_is_judged(check, state, says):
    """What is not fine comes with a remedy, what is fine without."""
    assert (check.state, bool(check.remedy)) == (state, state != "ok")
    assert says in check.what


def test_an_endpoint_whose_circuit_is_closed_has_nothing_to_tell():
    """The circuit's time is over, or it was never open."""
    assert doctor.judge_endpoint("http://a", 5.0, 5.0, "connection refused") is None


@pytest.mark.parametrize(
    ("workers", "waiting", "states", "says"),
    [
        ([WORKER], 1, ["ok"], "1 lives: host 1"),
        ([], 0, ["ok"], "none was ever seen"),
        ([], 2, ["warn"], "2 batches wait"),
        ([WorkerFacts("host 1", 7200, 0.0, "1.0")], 1, ["warn"], "the last was seen 2 h ago"),
        ([WorkerFacts("host 1", 7200, 9.0, "0.9"), WORKER], 1, ["ok"], "1 lives"),  # the dead have no faults
        ([WorkerFacts("host 1", 5, -3.0, "1.0")], 1, ["ok", "warn"], "3.0 s behind"),
        ([WorkerFacts("host 1", 5, 0.0, "0.9")], 1, ["ok", "warn"], "runs version 0.9, this is 1.0"),
    ],
)
def test_workers_are_judged(workers, waiting, states, says):
    """Whether they live, are of this version, and know what time it is."""
    checks = doctor.judge_workers(workers, waiting, "1.0")
    assert [check.state for check in checks] == states
    assert any(says in check.what for check in checks)


def test_the_worst_of_all_counts():
    """A warning is worse than nothing, a failure than a warning."""
    ok, warn, fail = (Check("x", state, "") for state in doctor.STATES)
    assert [doctor.worst(checks) for checks in ([], [ok], [ok, warn, ok], [fail, warn])] == ["ok", "ok", "warn", "fail"]


# --- the command ------------------------------------------------------------------------------------------------------


@pytest.fixture
def examined(tmp_path, monkeypatch, capsys):
    """`probe doctor --json` with a home of its own: exit code and (name, state, what) of each check."""
    monkeypatch.setenv("PROBE_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)

    def run(**environment):
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(sys, "argv", ["probe", "doctor", "--json"])
        with pytest.raises(SystemExit) as ended:
            main()
        said = json.loads(capsys.readouterr().out)
        return ended.value.code, [(check["name"], check["state"], check["what"]) for check in said["checks"]]

    return run


def found(checks, name):
    return [(state, what) for part, state, what in checks if part == name]


def test_without_a_database_it_says_how_to_make_one(examined, tmp_path):
    """And makes none."""
    code, checks = examined()
    assert code == 1
    [(state, what)] = found(checks, "database")
    assert (state, "no such file" in what) == ("fail", True)
    assert [state for state, _ in found(checks, "solver")] == ["ok"]
    assert not list(tmp_path.glob("*.sqlite3"))


def test_a_healthy_service_is_found_healthy(store, examined):
    """On either database: exit code 0."""
    url = store.engine.url.render_as_string(hide_password=False)
    with Endpoint(varied) as endpoint:
        known(store, endpoint.url, "served")
        code, checks = examined(PROBE_DATABASE_URL=url)
    assert {state for _, state, _ in checks} == {"ok"}
    assert code == 0
    names = {name for name, _, _ in checks}
    assert {"program", "database", "migrations", "clock", "workers", "sweep", "work"} < names
    assert {"endpoint", "broker", "disk", "solver"} < names


def test_what_is_ill_is_told_with_why(store, examined):
    """A key that is not set, an endpoint that is down and left alone, one that refuses, a worker with a wrong clock."""
    url = store.engine.url.render_as_string(hide_password=False)
    with Endpoint(varied) as endpoint, Endpoint(varied, fails(503, "overloaded")) as refusing:
        known(store, endpoint.url, "keyed", key_variable="A_KEY_NOT_SET")
        known(store, refusing.url, "refused")
        known(store, "http://127.0.0.1:9/v1", "down")
        with store.writing() as session:
            now = store.now(session)
            open_circuit(session, now, 3, "connection refused")
            session.add(Worker(name="host 1", version="0.0.1", started_at=now, seen_at=now, skew=30.0))
        submitted(store, KNAPSACK_SPEC)
        code, checks = examined(PROBE_DATABASE_URL=url)
    assert code == 1
    endpoints = found(checks, "endpoint")
    assert any(state == "fail" and "A_KEY_NOT_SET" in what for state, what in endpoints)
    assert any(state == "warn" and "is left alone until" in what for state, what in endpoints)
    assert any(state == "fail" and "127.0.0.1:9/v1 can't be used" in what for state, what in endpoints)
    assert any(state == "fail" and "503" in what for state, what in endpoints)
    assert [state for state, _ in found(checks, "workers")] == ["ok", "warn", "warn"]
    assert [state for state, _ in found(checks, "work")] == ["ok"]  # it was queued a moment ago


def test_an_old_database_is_not_asked_further(examined, tmp_path):
    """It is told to upgrade; brokers, disk and solver are looked at all the same."""
    sqlite3.connect(tmp_path / "solver-probe.sqlite3").close()
    code, checks = examined()
    assert code == 1
    assert found(checks, "migrations")[0][0] == "fail"
    assert not found(checks, "workers")
    assert found(checks, "solver")


def test_a_broker_that_is_away_is_told_without_its_password(store, examined):
    """The work is safe all the same."""
    url = store.engine.url.render_as_string(hide_password=False)
    code, checks = examined(PROBE_DATABASE_URL=url, PROBE_BROKER_URL="redis://:geheim@127.0.0.1:1/0")
    assert code == 1
    [(state, what)] = found(checks, "broker")
    assert state == "fail"
    assert "127.0.0.1:1" in what
    assert "geheim" not in what
