"""Schedules and their history."""

from typing import Annotated, Any

from fastapi import APIRouter, Path
from sqlalchemy import select
from sqlalchemy.orm import Session

from probe.api.access import Reader
from probe.api.pages import Page
from probe.api.problems import documented, missing
from probe.api.schemas import Paged, RunRow, ScheduleRow, when
from probe.store.tables import Batch, Schedule, ScheduleRun

router = APIRouter(prefix="/schedules", tags=["schedules"])
Name = Annotated[str, Path(max_length=200, examples=["nightly"])]


def _schedule(row: Schedule) -> dict[str, Any]:
    plain = ("id", "name", "cron", "zone", "paused", "catch_up", "overlap", "canary_instances", "spec")
    return {
        **{name: getattr(row, name) for name in plain},
        "limits": {"max_calls": row.max_calls, "max_total_tokens": row.max_tokens, "max_cost": row.max_cost},
        "day_limits": {"max_calls": row.day_calls, "max_total_tokens": row.day_tokens, "max_cost": row.day_cost},
        "created_at": when(row.created_at),
    }


def _found(session: Session, name: str) -> Schedule:
    row = session.scalar(select(Schedule).where(Schedule.name == name))
    if row is None:
        raise missing(f"schedule {name!r}", "/api/v1/schedules")
    return row


@router.get("", response_model=Paged[ScheduleRow])
def list_schedules(store: Reader, page: Page) -> dict[str, Any]:
    """List schedules, the newest first."""
    query = select(Schedule).order_by(Schedule.id.desc()).limit(page.limit + 1)
    if page.before is not None:
        query = query.where(Schedule.id < page.before)
    with store.reading() as session:
        return page.page([_schedule(row) for row in session.scalars(query)])


@router.get("/{name}", response_model=ScheduleRow, responses=documented(404))
def show_schedule(store: Reader, name: Name) -> dict[str, Any]:
    """Show a schedule."""
    with store.reading() as session:
        return _schedule(_found(session, name))


@router.get("/{name}/runs", response_model=Paged[RunRow], responses=documented(404))
def list_runs(store: Reader, page: Page, name: Name) -> dict[str, Any]:
    """List the due times of a schedule and what became of each, missed ones too."""
    with store.reading() as session:
        query = (
            select(ScheduleRun, Batch.state)
            .outerjoin(Batch, ScheduleRun.batch_id == Batch.id)
            .where(ScheduleRun.schedule_id == _found(session, name).id)
            .order_by(ScheduleRun.id.desc())
            .limit(page.limit + 1)
        )
        if page.before is not None:
            query = query.where(ScheduleRun.id < page.before)
        return page.page([_run(run, state) for run, state in session.execute(query)])


def _run(run: ScheduleRun, batch_state: str | None) -> dict[str, Any]:
    return {
        "id": run.id,
        "due": when(run.due),
        "state": run.state,
        "reason": run.reason,
        "batch_id": run.batch_id,
        "canary_id": run.canary_id,
        "batch_state": batch_state,
        "started_at": when(run.started_at),
        "finished_at": when(run.finished_at),
        "changes": run.changes,
    }
