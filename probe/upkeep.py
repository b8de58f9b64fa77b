"""Upkeep of the database: is it sound, a copy of it, and dropping old raw replies."""

import os
import re
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import URL, func, select, text, update
from sqlalchemy.orm import Session

import migrations
from probe.asking.judging import UNSCORED
from probe.asking.measures import Matrix, unpack
from probe.doctor import Check, judge_revision
from probe.errors import RequestError, WorkError
from probe.store.sessions import Store, in_groups
from probe.store.tables import Batch, BatchOutcome, Call, ConstraintResult, Shard, Tally, Trial

SHOWN = 5  # broken ones that a message names
UNITS = {"h": 3600.0, "d": 86400.0, "w": 7 * 86400.0}
RESTORE = "restore the last copy, and tell how this came about: it is a bug, or a broken disk"


# --- is it sound ------------------------------------------------------------------------------------------------------


def examine(store: Store) -> Iterator[Check]:
    """Check a database: its tables, its references, and what must hold of trials, tallies and counts."""
    found = store.revision()
    yield judge_revision(found, migrations.revisions())
    if found != migrations.revisions()[-1]:
        return
    with store.reading() as session:
        if session.get_bind().dialect.name == "sqlite":
            yield _judged("file", _integrity(session), "every page and index is as it should be")
            yield _judged("references", _references(session), "each row that another refers to is there")
        yield _judged("trials", _doubled(session), "each trial is there once")
        ids = list(session.scalars(select(Shard.id).order_by(Shard.id)))
        yield _judged(
            "tallies", list(broken_tallies(session, ids)), "the tally of each complete shard is what its trials say"
        )
        fine = "what batches have used and got is what calls and trials say"
        yield _judged("counts", _counts(session), fine, f"probe rejudge counts trials anew; else {RESTORE}")


def _judged(name: str, broken: Sequence[str], fine: str, remedy: str = RESTORE) -> Check:
    if not broken:
        return Check(name, "ok", fine)
    more = f" and {len(broken) - SHOWN} more" if len(broken) > SHOWN else ""
    return Check(name, "fail", "; ".join(broken[:SHOWN]) + more, remedy)


def _integrity(session: Session) -> list[str]:
    return [line for (line,) in session.execute(text("PRAGMA integrity_check")) if line != "ok"]


def _references(session: Session) -> list[str]:
    rows = session.execute(text("PRAGMA foreign_key_check"))
    return [f"row {row[1]} of {row[0]} refers to a row of {row[2]} that is gone" for row in rows]


def _doubled(session: Session) -> list[str]:
    key = (Trial.shard_id, Trial.position, Trial.sample)
    rows = session.execute(select(*key).group_by(*key).having(func.count() > 1).limit(10 * SHOWN))
    return [f"shard {row[0]} has position {row[1]}, sample {row[2]} twice" for row in rows]


def broken_tallies(session: Session, ids: Sequence[int]) -> Iterator[str]:
    """Yield what is wrong with shards: the tally of a complete one is the sums over its trials and their results by
    kind, others have none."""
    for some in in_groups(ids):
        query = select(Shard.id, Shard.state).where(Shard.id.in_(some))
        states: dict[int, str] = {row[0]: row[1] for row in session.execute(query)}
        counted = {shard_id: Sums() for shard_id in some}
        tallied: dict[int, Sums] = {}
        trials = select(
            Trial.shard_id, Trial.outcome, func.count(), func.sum(Trial.constraints), func.sum(Trial.satisfied)
        )
        mine = trials.where(Trial.shard_id.in_(some)).group_by(Trial.shard_id, Trial.outcome)
        for shard_id, outcome, count, constraints, satisfied in session.execute(mine):
            counted[shard_id].add(f"outcome:{outcome}", count, count)
            if outcome not in UNSCORED:
                counted[shard_id].add("constraints", int(constraints), int(satisfied))
        n, y = func.sum(ConstraintResult.constraints), func.sum(ConstraintResult.satisfied)
        kinds = (
            select(Trial.shard_id, ConstraintResult.kind, n, y)
            .join(Trial, ConstraintResult.trial_id == Trial.id)
            .where(Trial.shard_id.in_(some), Trial.outcome.not_in(UNSCORED))
            .group_by(Trial.shard_id, ConstraintResult.kind)
        )
        for shard_id, kind, constraints, satisfied in session.execute(kinds):
            counted[shard_id].add(f"kind:{kind}", int(constraints), int(satisfied))
        rows = select(Tally.shard_id, Tally.measures, Tally.matrix).where(Tally.shard_id.in_(some))
        for shard_id, measures, matrix in session.execute(rows):
            tallied[shard_id] = _sums(unpack(measures, matrix))
        for shard_id in some:
            if (states[shard_id] == "complete") != (shard_id in tallied):
                yield f"shard {shard_id} is {states[shard_id]} and has {'a' if shard_id in tallied else 'no'} tally"
            elif shard_id in tallied and tallied[shard_id].kept != counted[shard_id].kept:
                yield f"shard {shard_id}'s tally is not what its trials say (probe rejudge makes it anew)"


class Sums:
    """Counts (n, y) by measure, those without any left out."""

    def __init__(self) -> None:
        self.kept: dict[str, tuple[int, int]] = {}

    def add(self, measure: str, n: int, y: int) -> None:
        """Add to a measure's counts."""
        before = self.kept.get(measure, (0, 0))
        if n:
            self.kept[measure] = (before[0] + n, before[1] + y)


def _sums(counts: Any) -> Sums:
    """Return what of a tally can be compared: constraints, kinds, and how many trials had each outcome."""
    out = Sums()
    measure: str
    matrix: Matrix
    for measure, matrix in counts.items():
        n, y = (int(total) for total in matrix.sum(axis=0))
        if measure.startswith("outcome:"):
            out.add(measure, y, y)
        elif measure == "constraints" or measure.startswith("kind:"):
            out.add(measure, n, y)
    return out


def _counts(session: Session) -> list[str]:
    joined = select(Shard.batch_id, Trial.outcome, func.count()).join(Shard, Trial.shard_id == Shard.id)
    rows = session.execute(joined.where(Shard.batch_id.is_not(None)).group_by(Shard.batch_id, Trial.outcome))
    really: dict[tuple[int, str], int] = {(row[0], row[1]): row[2] for row in rows}  # type: ignore[misc]
    kept = session.execute(select(BatchOutcome.batch_id, BatchOutcome.outcome, BatchOutcome.trials))
    counted = {(row[0], row[1]): row[2] for row in kept if row[2]}
    out = [
        f"batch {key[0]} counts {counted.get(key, 0)} trials {key[1]}, there are {really.get(key, 0)}"
        for key in sorted(really.keys() | counted.keys())
        if really.get(key, 0) != counted.get(key, 0)
    ]
    tokens = func.sum(Call.charged_prompt_tokens + Call.charged_answer_tokens)
    calls = select(Shard.batch_id, func.count(), tokens).join(Shard, Call.shard_id == Shard.id)
    used = {row[0]: (row[1], int(row[2])) for row in session.execute(calls.group_by(Shard.batch_id))}
    for batch_id, *said in session.execute(select(Batch.id, Batch.used_calls, Batch.used_tokens).order_by(Batch.id)):
        if tuple(said) != used.get(batch_id, (0, 0)):
            there = used.get(batch_id, (0, 0))
            out.append(
                f"batch {batch_id} has used {said[0]} calls and {said[1]} tokens, its calls say {there[0]}, {there[1]}"
            )
    return out


# --- a copy of it -----------------------------------------------------------------------------------------------------


def backup(store: Store, target: Path) -> None:
    """Copy the database into a new file while others work with it.

    Raises RequestError where the file is there, or where pg_dump, which copies PostgreSQL, is not.
    """
    if target.exists():
        raise RequestError(f"{target} is there already; a copy never replaces anything: name a new file")
    store.check()
    if store.engine.dialect.name == "sqlite":
        _copy_sqlite(store, target)
    else:
        _dump_postgresql(store.engine.url, target)


def _copy_sqlite(store: Store, target: Path) -> None:
    try:
        os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except OSError as error:
        raise RequestError(f"{target} can't be made: {error.strerror}; name another file") from None
    try:
        with closing(store.engine.raw_connection()) as source, closing(sqlite3.connect(target)) as copy:
            source.driver_connection.backup(copy)  # type: ignore[union-attr]
            (said,) = copy.execute("PRAGMA quick_check").fetchone()
            if said != "ok":
                raise WorkError(f"the copy is damaged ({said}); check the disk, and the database: probe db check")
    except BaseException as error:
        target.unlink(missing_ok=True)
        if isinstance(error, sqlite3.Error):
            raise WorkError(f"copying failed: {error}; nothing was left behind") from error
        raise


def _dump_postgresql(url: URL, target: Path) -> None:
    password = url.password or url.query.get("password")
    bare = url.set(drivername="postgresql", password=None).difference_update_query(
        [k for k in url.query if "password" in k]
    )
    where = bare.render_as_string(hide_password=False)
    command = ["pg_dump", "--format=custom", f"--file={target}", f"--dbname={where}"]
    if (program := shutil.which("pg_dump")) is None:
        said = " ".join([*command[:3], f"--dbname='{where}'"])
        hint = " (with PGPASSWORD, or a .pgpass file)" if password else ""
        raise RequestError(f"PostgreSQL is copied by pg_dump, which is not on the path here; run{hint}: {said}")
    environment = os.environ | ({"PGPASSWORD": str(password)} if password else {})
    done = subprocess.run([program, *command[1:]], env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        target.unlink(missing_ok=True)
        raise WorkError(f"pg_dump failed: {' '.join(done.stderr.split())}; nothing was left behind")


# --- old raw replies --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Pruned:
    """What was, or would be, dropped."""

    batches: int
    replies: int
    size: int  # bytes as stored


def seconds_of(span: str) -> float:
    """Return the seconds of a time span such as 90d. Raises RequestError."""
    found = re.fullmatch(r"([0-9]{1,6})([hdw])", span.strip())
    if found is None:
        raise RequestError(f"older-than: {span!r} is no time span; write hours, days or weeks: 12h, 90d, 8w")
    return int(found[1]) * UNITS[found[2]]


def prune(store: Store, older_than: float, dry_run: bool = False) -> Pruned:
    """Drop the raw replies of batches that were complete so many seconds ago.

    Answers, verdicts, tallies and what calls have used stay, so that no table changes and rejudging works on. The
    replies that the judge failed on stay too: nothing else is left of them.
    """
    with store.reading() as session:
        old = store.now(session) - older_than
        batches = select(Batch.id).where(Batch.state == "complete", Batch.finished_at < old)
        rows = session.execute(select(Shard.id, Shard.batch_id).where(Shard.batch_id.in_(batches)).order_by(Shard.id))
        shards: dict[int, Any] = {row[0]: row[1] for row in rows}
    touched: set[int] = set()
    replies = freed = 0
    for some in in_groups(list(shards)):
        with store.reading() if dry_run else store.writing() as session:
            judged = (
                select(Trial.id)
                .where(Trial.shard_id == Call.shard_id, Trial.position == Call.position, Trial.sample == Call.sample)
                .where(Trial.outcome != "transport_error")
            )
            mine = (Call.shard_id.in_(some), Call.raw.is_not(None), judged.exists())
            counts = select(Call.shard_id, func.count(), func.sum(func.length(Call.raw))).where(*mine)
            for shard_id, count, length in session.execute(counts.group_by(Call.shard_id)):
                touched.add(shards[shard_id])
                replies, freed = replies + count, freed + int(length)
            if not dry_run:
                session.execute(
                    update(Call).where(*mine).values(raw=None), execution_options={"synchronize_session": False}
                )
    return Pruned(len(touched), replies, freed)
