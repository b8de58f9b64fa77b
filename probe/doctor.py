"""The doctor: looks at each part that the service rests on, and says what to do where one is ill.

What is judged is apart from how it is looked at: the functions of the first half take plain facts.
"""

import asyncio
import os
import shutil
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

import migrations
from probe import schedules
from probe.controls import OPEN
from probe.cron import written
from probe.settings import Settings
from probe.store import work
from probe.store.preparations import LEASE_SECONDS as PREPARE_SECONDS
from probe.store.sessions import Store, StoreError, shown
from probe.store.tables import Batch, BatchQuestion, Call, Endpoint, Model, Shard, Worker

State = Literal["ok", "warn", "fail"]
STATES: tuple[State, ...] = ("ok", "warn", "fail")
LONGEST_SKEW = 2.0  # seconds between two clocks that are worth a word
SEEN_SECONDS = 180.0  # a worker says every minute that it lives
OVERDUE_SECONDS = 300.0  # that a schedule may be late: every worker looks once a minute
STILL_SECONDS = 300.0  # without anything leased or asked while work is due
OLDEST_POSTGRESQL = 14  # older ones are not maintained any more
LITTLE, TOO_LITTLE = 1 << 30, 100 << 20  # free bytes
ENDPOINT_SECONDS = 10.0  # that an endpoint may take to list its models
GONE_SECONDS = 86400.0  # workers not seen for longer are history


@dataclass(frozen=True)
class Check:
    """What one look found: a part, how it is, in words, and what to do about it."""

    name: str
    state: State
    what: str
    remedy: str = ""


def worst(checks: Iterable[Check]) -> State:
    """Return the worst state of all."""
    return STATES[max((STATES.index(check.state) for check in checks), default=0)]


# --- what is judged ---------------------------------------------------------------------------------------------------


def problem(name: str, error: Exception) -> Check:
    """Return the check of a part that raised an error: these say in one line what is wrong, and then what to do."""
    what, _, remedy = str(error).removeprefix(f"{name} ").partition("; ")
    return Check(name, "fail", what, remedy)


def judge_revision(found: str | None, known: list[str]) -> Check:
    """Are the tables those of this program?"""
    if found == known[-1]:
        return Check("migrations", "ok", f"revision {found}, as this program needs it")
    have = "there are no tables" if found is None else f"revision {found}, this program needs {known[-1]}"
    return Check(
        "migrations", "fail", have, "stop the workers, make a copy (probe db backup FILE), then probe db upgrade"
    )


def judge_journal(mode: str) -> Check:
    """Can readers and the writer work side by side?"""
    if mode == "wal":
        return Check("journal", "ok", "SQLite writes ahead (WAL): readers and the writer don't wait for each other")
    return Check(
        "journal",
        "warn",
        f"SQLite's journal mode is {mode!r}: readers and the writer wait for each other",
        "probe db upgrade turns WAL on; on a network file system it can't be: use a local disk, or PostgreSQL",
    )


def judge_server(number: int) -> Check:
    """Is the PostgreSQL server one that is maintained? ``number``: as 180004 for 18.4."""
    name = f"PostgreSQL {number // 10000}.{number % 10000}"
    if number // 10000 >= OLDEST_POSTGRESQL:
        return Check("server", "ok", name)
    return Check("server", "warn", f"{name} is no longer maintained", f"upgrade to {OLDEST_POSTGRESQL} or newer")


def judge_clock(skew: float) -> Check:
    """Does this machine's clock agree with the database's? ``skew``: seconds that it is ahead."""
    said = f"this machine's clock is {abs(skew):.1f} s {'ahead of' if skew > 0 else 'behind'} the database's"
    if abs(skew) <= LONGEST_SKEW:
        return Check("clock", "ok", said)
    remedy = "set it by NTP; leases don't mind (they use the database's clock), but logs and calls are dated wrongly"
    return Check("clock", "warn", said, remedy)


@dataclass(frozen=True)
class WorkerFacts:
    """A worker as it signed in: when it was last seen (seconds ago), how far its clock is ahead, its version."""

    name: str
    ago: float
    skew: float
    version: str


def judge_workers(workers: list[WorkerFacts], waiting: int, own_version: str) -> list[Check]:
    """Do workers live, with right clocks and this version? ``waiting``: batches that are queued or running."""
    living = [w for w in workers if w.ago <= SEEN_SECONDS]
    if not living:
        last = min((w.ago for w in workers), default=None)
        seen = "none was ever seen" if last is None else f"the last was seen {duration(last)} ago"
        if not waiting:
            return [Check("workers", "ok", f"none lives ({seen}), and no batch waits for one")]
        few = f"{waiting} batch{'es wait' if waiting > 1 else ' waits'}"
        return [Check("workers", "warn", f"none lives ({seen}), but {few}", "start one: probe worker, or probe up")]
    said = f"{len(living)} live{'s' if len(living) == 1 else ''}: {', '.join(w.name for w in living)}"
    out = [Check("workers", "ok", said)]
    for w in living:
        if w.version != own_version:
            what = f"{w.name} runs version {w.version}, this is {own_version}"
            out.append(Check("workers", "warn", what, "restart it with the same version"))
        if abs(w.skew) > LONGEST_SKEW:
            what = (
                f"the clock of {w.name} is {abs(w.skew):.1f} s {'ahead of' if w.skew > 0 else 'behind'} the database's"
            )
            out.append(Check("workers", "warn", what, "set it by NTP"))
    return out


def judge_sweep(ago: float | None, waiting: int) -> Check:
    """Does somebody look for lost work and due schedules? ``ago``: seconds since the last look, None: never."""
    if ago is not None and ago <= SEEN_SECONDS:
        return Check("sweep", "ok", f"the last look for lost work and due schedules was {duration(ago)} ago")
    said = "nobody ever looked" if ago is None else f"nobody has looked for {duration(ago)}"
    said += " for lost work and due schedules"
    if not waiting:
        return Check("sweep", "ok", f"{said}; no batch waits")
    return Check("sweep", "warn", said, "start a worker (each looks once a minute): probe worker, or probe up")


def judge_flow(due: int, held: int, still: float, living: bool, pausing: int) -> Check:
    """Does queued work move? ``due``: batches with work that could be done now, ``held``: leases that are live,
    ``still``: seconds since anything was leased, asked or queued, ``living``: workers are there, ``pausing``: endpoints
    whose circuit is open."""
    if held:
        return Check("work", "ok", f"{held} piece{'s' if held > 1 else ''} of work in hand")
    if not due:
        alone = f"; {pausing} endpoint{'s are' if pausing > 1 else ' is'} left alone for a while" if pausing else ""
        return Check("work", "ok", f"nothing is due{alone}")
    said = f"{due} batch{'es have' if due > 1 else ' has'} work that is due, and nothing moved for {duration(still)}"
    if living and still > STILL_SECONDS:
        return Check("work", "fail", said, "the workers live but don't work: read their logs, then restart them")
    return Check(
        "work", "ok" if living else "warn", said, "" if living else "start a worker: probe worker, or probe up"
    )


def judge_keys(batch: str, keys: Mapping[str, Sequence[str]]) -> list[Check]:
    """Has some worker the keys that a batch needs? ``keys``: models by the variable that none had."""
    return [
        Check(
            "keys",
            "warn",
            f"batch {batch}: {', '.join(models)} waits for a worker that has {variable}",
            f"export {variable}=… where a worker runs, and restart it",
        )
        for variable, models in keys.items()
    ]


def judge_schedules(late: Mapping[str, float]) -> Check:
    """Does somebody start what is due? ``late``: seconds since the due time that each schedule has missed so far."""
    overdue = {name: seconds for name, seconds in late.items() if seconds > OVERDUE_SECONDS}
    if not overdue:
        count = f"{len(late)} schedule{'' if len(late) == 1 else 's'}" if late else "no schedules"
        return Check("schedules", "ok", f"{count}, none overdue")
    said = ", ".join(f"{name} was due {duration(seconds)} ago" for name, seconds in overdue.items())
    return Check("schedules", "warn", said, "start a worker (each looks once a minute): probe worker, or probe up")


def judge_endpoint(url: str, now: float, open_until: float, reason: str | None) -> Check | None:
    """Is an endpoint left alone for a while?"""
    if open_until <= now:
        return None
    remedy = "mend it; it is tried again by itself then"
    return Check("endpoint", "warn", f"{url} is left alone until {written(open_until)}: {reason or 'unknown'}", remedy)


def judge_served(url: str, wanted: Iterable[str], served: Iterable[str]) -> Check:
    """Does an endpoint serve the models that are known at it?"""
    have = set(served)
    if missing := sorted(set(wanted) - have):
        what = f"{url} answers, but does not list {', '.join(missing)}"
        return Check("endpoint", "warn", what, "probe models discover URL shows what it serves; add that instead")
    return Check("endpoint", "ok", f"{url} answers and serves {', '.join(sorted(set(wanted)))}")


def judge_disk(folder: Path, free: int) -> Check:
    """Is there room for answers?"""
    said = f"{size(free)} free in {folder}"
    if free >= LITTLE:
        return Check("disk", "ok", said)
    remedy = "free some space; probe prune --older-than 90d drops old raw replies and keeps the verdicts"
    return Check("disk", "fail" if free < TOO_LITTLE else "warn", said, remedy)


def duration(seconds: float) -> str:
    """Return a time span as people say it."""
    for unit, length in (("days", 86400.0), ("h", 3600.0), ("min", 60.0)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{max(seconds, 0):.0f} s"


def size(count: float) -> str:
    """Return a number of bytes as people say it."""
    for unit in ("bytes", "KB", "MB", "GB"):
        if count < 1000 or unit == "GB":
            break
        count /= 1000
    return f"{count:.0f} {unit}" if unit == "bytes" else f"{count:.1f} {unit}"


# --- how it is looked at ----------------------------------------------------------------------------------------------


def examine(settings: Settings) -> Iterator[Check]:
    """Look at one part after the other; changes nothing but for a message through the broker."""
    own = version("solver-probe")
    yield Check("program", "ok", f"solver-probe {own}, Python {sys.version.split()[0]}")
    store = Store(settings.database_url)
    try:
        yield from _database(store, own)
    finally:
        store.dispose()
    yield _broker(settings.broker_url)
    yield _disk(store.file.parent if store.file is not None else settings.home)
    yield _solver()


def _database(store: Store, own: str) -> Iterator[Check]:
    try:
        found = store.revision()
        where = shown(store.engine.url)
        file = store.file
        kind = where if file is None else f"{file} ({size(file.stat().st_size)})"
        yield Check("database", "ok", kind)
        yield judge_revision(found, migrations.revisions())
        with store.reading() as session:
            yield _server(session)
            before = time.time()
            now = store.now(session)
            yield judge_clock((before + time.time()) / 2 - now)
        if found != migrations.revisions()[-1]:
            return  # the rest can't be asked
        with store.reading() as session:
            yield from _work(session, now, own)
            endpoints = _endpoints(session)
        yield from asyncio.run(_asked(endpoints, now))
    except StoreError as error:
        yield problem("database", error)


def _server(session: Session) -> Check:
    if session.get_bind().dialect.name == "sqlite":
        return judge_journal(str(session.execute(text("PRAGMA journal_mode")).scalar_one()))
    return judge_server(int(session.execute(text("SHOW server_version_num")).scalar_one()))


def _work(session: Session, now: float, own: str) -> Iterator[Check]:
    waiting = session.scalar(select(func.count()).where(Batch.state.in_(work.ACTIVE))) or 0
    rows = session.scalars(select(Worker).where(Worker.seen_at > now - GONE_SECONDS).order_by(Worker.id))
    facts = [WorkerFacts(w.name, now - w.seen_at, w.skew, w.version) for w in rows]
    yield from judge_workers(facts, waiting, own)
    yield judge_sweep(min((w.ago for w in facts), default=None), waiting)
    preparing = (
        select(BatchQuestion.batch_id).join(Batch).where(Batch.state.in_(work.ACTIVE), BatchQuestion.state.in_(OPEN))
    )
    due = {batch_id for suspects in (False, True) for batch_id, _ in work.due(session, now, suspects)}
    due |= set(session.scalars(preparing.distinct()))
    held = 0
    moved = session.scalar(select(func.max(Batch.created_at)).where(Batch.state.in_(work.ACTIVE))) or 0.0
    for table, lasts in ((Shard, work.LEASE_SECONDS), (BatchQuestion, PREPARE_SECONDS)):
        leased = select(func.count(), func.max(table.lease_until)).where(table.lease_token.is_not(None))
        live, _ = session.execute(leased.where(table.lease_until > now)).one()
        _, until = session.execute(leased).one()
        held, moved = held + live, max(moved, (until or lasts) - lasts)
    moved = max(moved, session.scalar(select(Call.started_at).order_by(Call.id.desc()).limit(1)) or 0.0)
    pausing = session.scalar(select(func.count()).where(Endpoint.open_until > now)) or 0
    living = any(w.ago <= SEEN_SECONDS for w in facts)
    yield judge_flow(len(due), held, now - moved, living, pausing)
    for batch in session.scalars(select(Batch).where(Batch.state.in_(work.ACTIVE)).order_by(Batch.id)):
        yield from judge_keys(batch.name, work.keyless(session, batch))
    yield judge_schedules({s.name: schedules.late(s, now) for s in schedules.listing(session) if not s.paused})


@dataclass(frozen=True)
class _At:
    """An endpoint and what is known at it."""

    url: str
    key_variable: str
    open_until: float
    reason: str | None
    models: tuple[str, ...]


def _endpoints(session: Session) -> list[_At]:
    rows = session.execute(
        select(Endpoint, Model.served_id)
        .join(Model, Model.endpoint_id == Endpoint.id)
        .where(Model.removed_at.is_(None))
    )
    found: dict[int, tuple[Endpoint, list[str]]] = {}
    for endpoint, served_id in rows:
        found.setdefault(endpoint.id, (endpoint, []))[1].append(served_id or "")
    return [_At(e.url, e.key_variable, e.open_until, e.reason, tuple(m)) for e, m in found.values()]


async def _asked(endpoints: list[_At], now: float) -> list[Check]:
    """Ask all endpoints side by side for their models."""
    if not endpoints:
        return [Check("endpoint", "ok", "no models are known yet (probe models add)")]
    checks = await asyncio.gather(*(_endpoint(endpoint, now) for endpoint in endpoints))
    return [check for several in checks for check in several]


async def _endpoint(endpoint: _At, now: float) -> list[Check]:
    from probe.asking.capabilities import served_models
    from probe.asking.connection import EndpointError

    alone = judge_endpoint(endpoint.url, now, endpoint.open_until, endpoint.reason)
    out = [] if alone is None else [alone]
    variable = endpoint.key_variable
    if variable and not os.environ.get(variable, "").strip():
        what = f"{endpoint.url}: the variable {variable} that holds its key is not set here"
        return [*out, Check("endpoint", "fail", what, f"export {variable}=… here and where the workers run")]
    try:
        served = await served_models(endpoint.url, variable or None, ENDPOINT_SECONDS)
    except EndpointError as error:
        what, _, remedy = str(error).rpartition(": ")
        return [*out, Check("endpoint", "fail", what, remedy)]
    return [*out, judge_served(endpoint.url, endpoint.models, (model.id for model in served))]


def _broker(url: str | None) -> Check:
    if url is None:
        return Check("broker", "ok", "none is configured: `probe run` needs none, workers do (PROBE_BROKER_URL)")
    from probe.doorbell import round_trip, shown_broker

    where = shown_broker(url)
    try:
        seconds = round_trip(url)
    except Exception as error:  # noqa: BLE001  (each transport has errors of its own)
        words = " ".join(str(error).split()) or type(error).__name__
        remedy = "check that it runs, and host, port, user and password of PROBE_BROKER_URL; no work is lost meanwhile"
        return Check("broker", "fail", f"{where}: {words}", remedy)
    return Check("broker", "ok", f"{where}: a message came back after {1000 * seconds:.0f} ms")


def _disk(folder: Path) -> Check:
    there = next(f for f in (folder.absolute(), *folder.absolute().parents) if f.exists())
    return judge_disk(there, shutil.disk_usage(there).free)


def _solver() -> Check:
    """Make one tiny instance with its proof."""
    began = time.monotonic()
    try:
        from solvers import registry
        from solvers.problem import Instance

        found, _ = registry.get("knapsack").instance("xs", 7, 0)
    except Exception as error:  # noqa: BLE001  (a broken installation fails in its own ways)
        what = f"it can't be used: {type(error).__name__}: {error}"
        return Check("solver", "fail", what, "install the program again: pip install --force-reinstall ortools")
    if not isinstance(found, Instance):
        return Check("solver", "fail", "a tiny knapsack was not solved to its optimum", "report this as a bug")
    return Check("solver", "ok", f"a tiny knapsack was solved and proven in {time.monotonic() - began:.1f} s")


def plain(checks: list[Check]) -> dict[str, Any]:
    """Return checks as JSON."""
    return {"state": worst(checks), "checks": [asdict(check) for check in checks]}


def render(check: Check) -> str:
    """Return a check as text."""
    line = f"{check.state:<5} {check.name:<11} {check.what}"
    return line if not check.remedy else f"{line}\n{'':<18}-> {check.remedy}"
