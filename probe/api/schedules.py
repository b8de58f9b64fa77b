"""Schedules and their history."""

from typing import Annotated, Any

from fastapi import APIRouter, Path
from fastapi.responses import Response
from sqlalchemy import select
from sqlalchemy.orm import Session

from probe import schedules
from probe.api.access import Reader
from probe.api.batches import read_spec
from probe.api.once import AdminOfTheSame, Answer, Submitter
from probe.api.pages import Page
from probe.api.problems import ProblemError, documented, field_of, missing
from probe.api.schemas import NewSchedule, Paged, RunRow, ScheduleRow, columns
from probe.errors import RequestError
from probe.store.tables import Schedule, ScheduleRun

LOCATION = {"Location": {"description": "Where to look.", "schema": {"type": "string"}}}

router = APIRouter(prefix="/schedules", tags=["schedules"])
Name = Annotated[str, Path(max_length=200, examples=["nightly"])]


def _found(session: Session, name: str, *, change: bool = False) -> Schedule:
    query = select(Schedule).where(Schedule.name == name)
    row = session.scalar(query.with_for_update() if change else query)
    if row is None:
        raise missing(f"schedule {name!r}", "/api/v1/schedules")
    return row


@router.get("", response_model=Paged[ScheduleRow])
def list_schedules(store: Reader, page: Page) -> dict[str, Any]:
    """List schedules, the newest first: when they are due next, how the last run went."""
    query = select(Schedule).order_by(Schedule.id.desc()).limit(page.limit + 1)
    if page.before is not None:
        query = query.where(Schedule.id < page.before)
    with store.reading() as session:
        now = store.now(session)
        return page.page([(row.id, schedules.shown(session, row, now)) for row in session.scalars(query)])


@router.get("/{name}", response_model=ScheduleRow, responses=documented(404))
def show_schedule(store: Reader, name: Name) -> dict[str, Any]:
    """Show a schedule."""
    with store.reading() as session:
        return schedules.shown(session, _found(session, name), store.now(session))


@router.get("/{name}/runs", response_model=Paged[RunRow], responses=documented(404))
def list_runs(store: Reader, page: Page, name: Name) -> dict[str, Any]:
    """List the due times of a schedule and what became of each, missed ones too."""
    with store.reading() as session:
        schedule = _found(session, name)
        query = select(ScheduleRun).where(ScheduleRun.schedule_id == schedule.id).order_by(ScheduleRun.id.desc())
        if page.before is not None:
            query = query.where(ScheduleRun.id < page.before)
        runs = session.scalars(query.limit(page.limit + 1))
        return page.page([(run.id, schedules.described(session, schedule, run)) for run in runs])


@router.post(
    "",
    status_code=201,
    response_model=ScheduleRow,
    responses={201: {"headers": LOCATION}, **documented(409, 413)},
)
def add_schedule(change: Submitter, given: NewSchedule) -> Response:
    """Ask a spec at due times, each run with fresh instances.

    The first due time is the next one. It takes the scope admin to name a webhook: the workers call it.
    """
    if given.webhook is not None and not change.caller.admin:
        raise ProblemError(403, "only a token of scope admin may name a webhook: the workers call it", "webhook")
    try:
        spec, limits = read_spec(given.spec)
    except RequestError as error:
        raise ProblemError(422, str(error), f"spec.{field_of(str(error))}") from None
    same = ("name", "cron", "catch_up", "overlap", "day_calls", "day_tokens", "day_cost", "webhook")
    plan = schedules.Plan(
        zone=given.tz,
        spec=spec,
        canary_instances=given.canary,
        **columns(limits),
        **{name: getattr(given, name) for name in same},
    )

    def act(session: Session, now: float) -> Answer:
        row = schedules.add(session, now, plan)
        return Answer(201, schedules.shown(session, row, now), f"/api/v1/schedules/{row.name}", changed=False)

    return change.perform(act)


@router.post(
    "/{name}/run",
    status_code=202,
    response_model=RunRow,
    responses={202: {"headers": LOCATION}, **documented(404, 409, 413)},
)
def run_schedule(change: Submitter, name: Name) -> Response:
    """Run a schedule at once, beside its due times, paused or not."""

    def act(session: Session, now: float) -> Answer:
        schedule = _found(session, name, change=True)
        run, _ = schedules.run_now(session, now, name)
        session.flush()
        return Answer(202, schedules.described(session, schedule, run), f"/api/v1/schedules/{name}/runs")

    return change.perform(act)


@router.post("/{name}/pause", response_model=ScheduleRow, responses=documented(404, 413))
def pause_schedule(change: Submitter, name: Name) -> Response:
    """Let due times pass, recorded as skipped; what is being asked goes on."""

    def act(session: Session, now: float) -> Answer:
        schedule = _found(session, name, change=True)
        schedules.pause(session, name)
        return Answer(200, schedules.shown(session, schedule, now), changed=False)

    return change.perform(act)


@router.post("/{name}/resume", response_model=ScheduleRow, responses=documented(404, 413))
def resume_schedule(change: Submitter, name: Name) -> Response:
    """Start at the next due time again."""

    def act(session: Session, now: float) -> Answer:
        schedule = _found(session, name, change=True)
        schedules.resume(session, now, name)
        return Answer(200, schedules.shown(session, schedule, now), changed=False)

    return change.perform(act)


@router.delete("/{name}", status_code=204, response_class=Response, responses=documented(404, 413))
def remove_schedule(change: AdminOfTheSame, name: Name) -> Response:
    """Remove a schedule and its history; its batches stay."""

    def act(session: Session, now: float) -> Answer:
        _found(session, name, change=True)
        schedules.remove(session, name)
        return Answer(204, None, changed=False)

    return change.perform(act)
