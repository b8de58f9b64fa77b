"""Schedules: a spec that is asked again at due times, each of them exactly once, and what became of every one.

All times are the database's. A due time is dealt with by inserting its run, which a unique key allows once, in the
transaction that also submits its batches: any number of processes may sweep.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice, takewhile
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from probe import models
from probe.batches import MOST_LIMIT, MOST_SEED, BatchSpec, checked, expand
from probe.cron import due_times, expression, written, zone_named
from probe.errors import RequestError, StateError, WorkError
from probe.results.nights import changes
from probe.store.sessions import insert_ignore, insert_new
from probe.store.tables import Batch, Schedule, ScheduleRun
from probe.submitting import stored_spec, submit
from solvers.keys import Stream, digest

CATCH_UP = ("latest", "skip")
OVERLAP = ("skip", "queue")
ENDED = ("complete", "budget_reached", "cancelled", "failed")  # states of a batch that nobody goes on with
STATES = ("complete", "budget_reached", "queued", "running", "paused", "cancelled", "failed")  # from good to bad
BY_POLICY = ("overlap:", "paused:")  # reasons of runs that were not meant to take place
GRACE = 6 * 3600  # seconds after which a due time that nobody saw is not made up for
ON_TIME = 300  # seconds: workers look every minute, so what nobody saw for longer was missed
MOST_DUE = 10_000  # due times of a schedule that one sweep deals with
MOST_CANARIES = 1000  # instances of an arm
KINDS = ("calls", "tokens", "cost")  # what is limited
LIMITS = tuple(f"{span}_{kind}" for span in ("max", "day") for kind in KINDS)
DAY = 86400


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What `probe schedule add` takes. ``max_*`` limit a run, ``day_*`` all runs of a day (UTC).

    ``canary_instances``: of each arm, asked unchanged at every run beside the fresh ones; 0: none.
    """

    name: str
    cron: str
    zone: str
    spec: BatchSpec
    catch_up: str = "latest"
    overlap: str = "skip"
    canary_instances: int = 10
    max_calls: int | None = None
    max_tokens: int | None = None
    max_cost: float | None = None
    day_calls: int | None = None
    day_tokens: int | None = None
    day_cost: float | None = None
    concurrency: int | None = None
    webhook: str | None = None


def _check(plan: Plan) -> None:
    """Raise RequestError naming the field that is wrong."""
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9._-]{0,63}", plan.name):
        raise RequestError(
            f"name: {plan.name[:80]!r}: give letters, digits and . _ - after a first letter (at most 64): batches are"
            " named after it"
        )
    for field, allowed in (("catch_up", CATCH_UP), ("overlap", OVERLAP)):
        if getattr(plan, field) not in allowed:
            raise RequestError(f"{field.replace('_', '-')}: unknown {getattr(plan, field)!r}; {' or '.join(allowed)}")
    if not 0 <= plan.canary_instances <= MOST_CANARIES:
        raise RequestError(f"canary: {plan.canary_instances} is not between 0 and {MOST_CANARIES}")
    for field in LIMITS:
        value = getattr(plan, field)
        if value is not None and not 0 < value <= MOST_LIMIT:
            shown = field.replace("_", "-").replace("max-tokens", "max-total-tokens")
            raise RequestError(f"{shown}: {value} is not above 0 and at most {MOST_LIMIT:g}")
    if plan.webhook is not None:
        check_webhook(plan.webhook)


def _checked(spec: BatchSpec) -> BatchSpec:
    """Return a checked spec, which may be one already. Raises RequestError, also for what is no longer there."""
    return checked(replace(spec, baselines=spec.baselines or ("none",)))


def check_webhook(url: str) -> None:
    """Raise RequestError, which repeats no secret, unless a URL can be posted to.

    Any host will do: who may name internal ones is for the caller to decide.
    """
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable or not url.isprintable() or not url.isascii() or " " in url or "@" in parts.netloc:
        raise RequestError("webhook: give an http or https URL without a user name, like https://example.org/hook")


# --- keeping schedules ------------------------------------------------------------------------------------------------


def add(session: Session, now: float, plan: Plan) -> Schedule:
    """Store a schedule; its first due time is the next one. Raises RequestError."""
    _check(plan)
    cron, zone = expression(plan.cron), zone_named(plan.zone)
    spec = _checked(plan.spec)
    answering = models.resolve(session, spec.models)
    if plan.max_cost is not None or plan.day_cost is not None:
        models.check_priced(answering)
    if not spec.baselines and spec.models == ("none",):
        raise RequestError("models: neither a model nor a baseline is to answer; name some in the spec")
    if session.scalar(select(Schedule.id).where(Schedule.name == plan.name)) is not None:
        raise StateError(f"name: there is a schedule {plan.name!r}; probe schedule remove {plan.name}")
    same = {name: getattr(plan, name) for name in ("name", "catch_up", "overlap", "canary_instances", "webhook")}
    limits = {name: getattr(plan, name) for name in (*LIMITS, "concurrency")}
    schedule = Schedule(
        **same, **limits, cron=cron, zone=zone.key, spec=spec.plain(), paused=False, created_at=now, since=now
    )
    session.add(schedule)
    session.flush()
    return schedule


def find(session: Session, name: str, *, lock: bool = False) -> Schedule:
    """Return a schedule, to be changed with ``lock``. Raises RequestError where there is none."""
    query = select(Schedule).where(Schedule.name == name)
    schedule = session.scalar(query.with_for_update() if lock else query)
    if schedule is None:
        raise RequestError(f"there is no schedule {name!r}; `probe schedule list` shows them")
    return schedule


def listing(session: Session) -> list[Schedule]:
    """Return all schedules by name."""
    return list(session.scalars(select(Schedule).order_by(Schedule.name)))


def pause(session: Session, name: str) -> None:
    """Let due times pass, recorded as skipped, until the schedule is resumed."""
    find(session, name, lock=True).paused = True


def resume(session: Session, now: float, name: str) -> None:
    """Start at the next due time again; those in between stay skipped."""
    schedule = find(session, name, lock=True)
    if schedule.paused:
        _due(session, now, schedule)  # so that none of them counts as missed
        schedule.paused, schedule.since = False, max(now, schedule.since)


def remove(session: Session, name: str) -> None:
    """Remove a schedule and its history; its batches stay."""
    session.delete(find(session, name, lock=True))


def next_due(schedule: Schedule, now: float) -> float | None:
    """Return the next due time after ``now``."""
    return next(due_times(schedule.cron, zone_named(schedule.zone), now), None)


def late(schedule: Schedule, now: float) -> float:
    """Return the seconds since the first due time that nobody has dealt with; 0 where all are."""
    first = next_due(schedule, schedule.since)
    return 0.0 if first is None else max(0.0, now - first)


# --- what is due ------------------------------------------------------------------------------------------------------


def sweep(session: Session, now: float) -> list[str]:
    """Submit what is due and record what was missed; return the names of the batches submitted.

    Schedules are locked in one order, so sweepers wait for each other and never hold each other up for good.
    """
    names: list[str] = []
    for schedule in session.scalars(select(Schedule).order_by(Schedule.id).with_for_update()).all():
        names += _queued(session, now, schedule)
        names += _due(session, now, schedule)
    return names


def run_now(session: Session, now: float, name: str) -> tuple[ScheduleRun, list[str]]:
    """Run a schedule at once, paused or not; return (run, names of its batches: none where it waits).

    Raises RequestError where another run is going on and the schedule skips then, and where no budget is left.
    """
    schedule = find(session, name, lock=True)
    run = _claimed(session, schedule, now)
    if run is None:  # by another one in the same millisecond
        raise StateError(f"schedule {name!r} was started this very moment; probe schedule history {name}")
    if (other := _going(session, schedule, run)) is not None:
        if schedule.overlap == "skip":
            raise StateError(
                f"schedule {name!r}: its run of {written(other.due)} is still going; wait for its end, or cancel its"
                f" batch (probe schedule history {name} names it)"
            )
        run.state, run.reason = "waiting", _overlap(other)
        return run, []
    return run, _submit(session, now, schedule, run)


def _due(session: Session, now: float, schedule: Schedule) -> list[str]:
    """Deal with the due times since the last look: run the latest if it may still run, record the others."""
    times = due_times(schedule.cron, zone_named(schedule.zone), schedule.since)
    coming = takewhile(lambda due: due <= now, times)
    dues = list(islice(coming, MOST_DUE))
    if not dues:
        return []
    schedule.since = latest = dues[-1]
    reason = LATER if next(coming, None) is not None else _why_not(schedule, now - latest)
    skipped = [(due, PAUSED if schedule.paused else LATER) for due in dues[:-1]]
    skipped += [(latest, reason)] if reason is not None else []
    rows = [{"schedule_id": schedule.id, "due": due, "state": "skipped", "reason": why} for due, why in skipped]
    insert_ignore(session, ScheduleRun, rows)
    if reason is not None or (run := _claimed(session, schedule, latest)) is None:
        return []
    if (other := _going(session, schedule, run)) is not None:
        run.state = "waiting" if schedule.overlap == "queue" else "skipped"
        run.reason = _overlap(other)
        return []
    return _try(session, now, schedule, run)


LATER, PAUSED = "missed: a later due time took its place", "paused: the schedule was paused"


def _why_not(schedule: Schedule, late: float) -> str | None:
    """Return why the latest due time, seen so many seconds late, does not run; None where it does."""
    if schedule.paused:
        return PAUSED
    if schedule.catch_up == "skip" and late > ON_TIME:
        return f"missed: seen {_span(late)} late, and catch-up is skip"
    if late > GRACE:
        return f"missed: seen {_span(late)} late, more than the grace of {_span(GRACE)}"
    return None


def _queued(session: Session, now: float, schedule: Schedule) -> list[str]:
    """Submit the first run that waits, where none is going on any more."""
    waiting = select(ScheduleRun).where(ScheduleRun.schedule_id == schedule.id, ScheduleRun.state == "waiting")
    run = session.scalar(waiting.order_by(ScheduleRun.due).limit(1))
    if run is None or schedule.paused or _open(session, schedule) is not None:
        return []
    run.state, run.reason = "submitted", None
    return _try(session, now, schedule, run)


def _claimed(session: Session, schedule: Schedule, due: float) -> ScheduleRun | None:
    """Return the new run of a due time, None where somebody else deals with it."""
    new = insert_new(session, ScheduleRun, schedule_id=schedule.id, due=due, state="submitted")
    return None if new is None else session.get_one(ScheduleRun, new)


def _open(session: Session, schedule: Schedule) -> ScheduleRun | None:
    """Return a run whose batches have not all ended."""
    going = (ScheduleRun.schedule_id == schedule.id, ScheduleRun.state == "submitted", Batch.state.not_in(ENDED))
    batch = (ScheduleRun.batch_id == Batch.id) | (ScheduleRun.canary_id == Batch.id)
    return session.scalar(select(ScheduleRun).join(Batch, batch).where(*going).order_by(ScheduleRun.due).limit(1))


def _going(session: Session, schedule: Schedule, new: ScheduleRun) -> ScheduleRun | None:
    """Return a run that a new one must not overtake."""
    waiting = select(ScheduleRun).where(ScheduleRun.schedule_id == schedule.id, ScheduleRun.state == "waiting")
    return _open(session, schedule) or session.scalar(waiting.where(ScheduleRun.id != new.id).limit(1))


def _overlap(other: ScheduleRun) -> str:
    return f"overlap: the run of {written(other.due)} {'waits' if other.state == 'waiting' else 'is still going'}"


def _span(seconds: float) -> str:
    return f"{seconds / 3600:.1f} h" if seconds >= 3600 else f"{seconds / 60:.0f} min"


# --- a run's batches --------------------------------------------------------------------------------------------------


def _try(session: Session, now: float, schedule: Schedule, run: ScheduleRun) -> list[str]:
    """Submit a run's batches, or record why that can't be: one schedule's trouble is not the others'."""
    try:
        with session.begin_nested():
            return _submit(session, now, schedule, run)
    except (RequestError, WorkError) as error:
        text = str(error)
        run.state, run.reason = "skipped", text if text.startswith("budget:") else f"failed: {text}"
        return []


def _submit(session: Session, now: float, schedule: Schedule, run: ScheduleRun) -> list[str]:
    """Submit the batches of a run. Raises RequestError."""
    spec = _checked(stored_spec(schedule.spec))
    limits = _limits(session, now, schedule)
    fresh = seeded(spec, [schedule.name, written(run.due)])
    canary = canary_spec(spec, schedule.name, schedule.canary_instances)
    name = f"{schedule.name}-{written(run.due)}"
    run.started_at = now
    if canary is None or not models.resolve(session, spec.models):
        run.batch_id = _stored(session, now, schedule, fresh, name, limits)
        return [name]
    own, others = _split(limits, _asked(canary) / (_asked(canary) + _asked(fresh)))
    run.batch_id = _stored(session, now, schedule, fresh, name, others)
    run.canary_id = _stored(session, now, schedule, canary, f"{name}-canary", own)
    session.get_one(Batch, run.canary_id).canary = True
    return [name, f"{name}-canary"]


def _stored(
    session: Session, now: float, schedule: Schedule, spec: BatchSpec, name: str, limits: dict[str, Any]
) -> int:
    submitted = submit(session, now, spec, name, limits)
    if not submitted.new:
        raise RequestError(f"there is a batch {name!r} already, which this schedule did not make")
    batch = session.get_one(Batch, submitted.batch_id)
    batch.schedule_id, batch.concurrency = schedule.id, schedule.concurrency
    return batch.id


def seeded(spec: BatchSpec, key: list[str]) -> BatchSpec:
    """Return a spec with seeds that depend on ``key``; arms of the same seed share the new one, so they still pair."""
    new = {arm.seed: Stream(digest([*key, arm.seed])).integer(0, MOST_SEED) for arm in spec.arms}
    return replace(spec, arms=tuple(replace(arm, seed=new[arm.seed]) for arm in spec.arms))


def canary_spec(spec: BatchSpec, name: str, instances: int) -> BatchSpec | None:
    """Return what a schedule of this name asks unchanged at every run, None where nothing.

    Without baselines: it is compared with its own past alone.
    """
    if not instances:
        return None
    arms = tuple(replace(arm, instances=instances) for arm in spec.arms)
    return seeded(replace(spec, arms=arms, baselines=()), [name, "canary"])


def _asked(spec: BatchSpec) -> int:
    return sum(asked.last - asked.first for asked in expand(spec))


def _limits(session: Session, now: float, schedule: Schedule) -> dict[str, Any]:
    """Return the limits of a run: its own, and what is left of the day's. Raises RequestError where that is nothing."""
    used = session.execute(
        select(*(func.coalesce(func.sum(getattr(Batch, f"used_{kind}")), 0) for kind in KINDS)).where(
            Batch.schedule_id == schedule.id, Batch.created_at >= now - now % DAY
        )
    ).one()
    limits: dict[str, Any] = {}
    for kind, spent in zip(KINDS, used, strict=True):
        run, day = getattr(schedule, f"max_{kind}"), getattr(schedule, f"day_{kind}")
        left = None if day is None else day - (float(spent) if kind == "cost" else int(spent))
        if left is not None and left <= 0:
            what = f"{day:g} USD" if kind == "cost" else f"{day} {kind}"
            raise RequestError(f"budget: the {what} of this day (UTC) are used up")
        limits[f"max_{kind}"] = min((limit for limit in (run, left) if limit is not None), default=None)
    return limits


def _split(limits: dict[str, Any], share: float) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return limits as (a share of each, rounded up; the rest): together they are never more."""
    own: dict[str, Any] = {}
    for name, limit in limits.items():
        own[name] = limit if limit is None else limit * share if name == "max_cost" else math.ceil(limit * share)
    return own, {name: limit if limit is None else limit - own[name] for name, limit in limits.items()}


# --- what became of it ------------------------------------------------------------------------------------------------


def finish(session: Session, now: float) -> list[ScheduleRun]:
    """Close the runs whose batches have all ended: say when, and what changed against the schedule's past."""
    done = []
    going = select(ScheduleRun).where(ScheduleRun.state == "submitted").order_by(ScheduleRun.id)
    for run in session.scalars(going.with_for_update(skip_locked=True)).all():
        batches = batches_of(session, run)
        if any(batch.state not in ENDED for batch in batches):
            continue
        run.state = "finished"
        run.finished_at = max((batch.finished_at or now for batch in batches), default=now)
        run.changes = changes(session, run)
        run.told = session.get_one(Schedule, run.schedule_id).webhook is None
        done.append(run)
    return done


def batches_of(session: Session, run: ScheduleRun) -> Sequence[Batch]:
    """Return the batches of a run that are still there, the canary last."""
    return session.scalars(
        select(Batch).where(Batch.id.in_([run.batch_id, run.canary_id])).order_by(Batch.canary)
    ).all()


def history(session: Session, schedule: Schedule, limit: int) -> list[dict[str, Any]]:
    """Return the latest runs of a schedule as JSON, newest first."""
    runs = select(ScheduleRun).where(ScheduleRun.schedule_id == schedule.id).order_by(ScheduleRun.due.desc())
    return [described(session, schedule, run) for run in session.scalars(runs.limit(limit))]


def described(session: Session, schedule: Schedule, run: ScheduleRun) -> dict[str, Any]:
    """Return a run as JSON. ``outcome``: the worst state of its batches, None without any."""
    batches = batches_of(session, run)
    names: dict[bool, str] = {batch.canary: batch.name for batch in batches}
    ended = run.started_at is not None and run.finished_at is not None
    return {
        "schedule": schedule.name,
        "due": written(run.due),
        "state": run.state,
        "outcome": max((batch.state for batch in batches), key=STATES.index, default=None),
        "reason": run.reason,
        "batch": names.get(False),
        "canary": names.get(True),
        "started_at": None if run.started_at is None else written(run.started_at),
        "finished_at": None if run.finished_at is None else written(run.finished_at),
        "seconds": round(run.finished_at - run.started_at, 3) if ended else None,  # type: ignore[operator]
        "spend": {kind: sum(getattr(batch, f"used_{kind}") for batch in batches) for kind in KINDS},
        "changed": bool(run.changes.get("changed")),
        "changes": run.changes,
    }


def shown(session: Session, schedule: Schedule, now: float) -> dict[str, Any]:
    """Return a schedule as JSON. Of its webhook only the host: the rest may hold a secret."""
    due = next_due(schedule, now)
    hook = urlsplit(schedule.webhook or "")
    same = ("catch_up", "overlap", "canary_instances", *LIMITS, "concurrency", "paused")
    return {
        "name": schedule.name,
        "cron": schedule.cron,
        "tz": schedule.zone,
        "spec": schedule.spec,
        **{name: getattr(schedule, name) for name in same},
        "webhook": f"{hook.scheme}://{hook.hostname}/…" if schedule.webhook else None,
        "created_at": written(schedule.created_at),
        "next_due": None if schedule.paused or due is None else written(due),
        "last_run": next(iter(history(session, schedule, 1)), None),
    }


def problem(session: Session, schedule: Schedule) -> str | None:
    """Return what is wrong with the last run that took place, or should have; None where nothing is.

    Wrong is: it was skipped other than by policy, it failed or was cancelled, or something changed.
    """
    runs = select(ScheduleRun).where(
        ScheduleRun.schedule_id == schedule.id,
        ScheduleRun.state.in_(("finished", "skipped")),
        *(func.coalesce(ScheduleRun.reason, "").not_like(f"{start}%") for start in BY_POLICY),
    )
    run = session.scalar(runs.order_by(ScheduleRun.due.desc()).limit(1))
    if run is None:
        return None
    shown = described(session, schedule, run)
    where = f"the run of {shown['due']}"
    if run.state == "skipped":
        return f"{where} was skipped: {run.reason}"
    if shown["outcome"] in ("failed", "cancelled"):
        return f"{where} {'was ' if shown['outcome'] == 'cancelled' else ''}{shown['outcome']}"
    if shown["changed"]:
        changed = [name for name, model in run.changes["models"].items() if model["changed"]]
        return f"{where}: {', '.join(changed)} changed"
    return None
