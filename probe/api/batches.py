"""Batches: submit, look, steer."""

import json
from hashlib import sha256
from typing import Annotated, Any

from fastapi import APIRouter, Body, Header, Query
from fastapi.responses import JSONResponse, Response
from sqlalchemy import select
from sqlalchemy.orm import Session

from probe import controls
from probe.api.access import Reader
from probe.api.once import AdminOfTheSame, Answer, Submitter, SubmitterOfTheSame
from probe.api.pages import Page
from probe.api.problems import documented, missing
from probe.api.schemas import BatchDetail, BatchRow, Id, Limits, Paged, Retried, Spec, columns, when
from probe.batches import BatchSpec, checked, from_table, shards_asked
from probe.errors import RequestError
from probe.planning import standing
from probe.rejudging import retry
from probe.store.tables import Batch, Schedule
from probe.submitting import submit

STATES = ("queued", "running", "paused", "complete", "cancelled", "failed", "budget_reached")
MOST_SHARDS = 25_000  # of one model in one batch
LOCATION = {"Location": {"description": "Where the batch is.", "schema": {"type": "string"}}}
REPLAYED = {"Idempotency-Replayed": {"description": "true: answered from memory.", "schema": {"type": "string"}}}
ACTS: dict[str, Any] = {  # what routes that steer a batch have in common
    "status_code": 202,
    "responses": {202: {"headers": LOCATION | REPLAYED}, **documented(404, 409, 413)},
}

router = APIRouter(prefix="/batches", tags=["batches"])


def read_spec(spec: dict[str, Any]) -> tuple[BatchSpec, dict[str, Any]]:
    """Return (checked spec, limits). Raises RequestError, also for one that would hold the database for minutes."""
    wanted, limits = from_table(spec)
    wanted = checked(wanted)
    if (shards := shards_asked(wanted)) > MOST_SHARDS:
        raise RequestError(
            f"instances: this would be {shards} shards of each model, more than {MOST_SHARDS}; split it into several"
            " batches"
        )
    return wanted, limits


def _row(session: Session, batch: Batch) -> dict[str, Any]:
    schedule = None if batch.schedule_id is None else session.get(Schedule, batch.schedule_id)
    return {
        "id": batch.id,
        "name": batch.name,
        "state": batch.state,
        "created_at": when(batch.created_at),
        "finished_at": when(batch.finished_at),
        "limits": {
            "max_calls": batch.max_calls,
            "max_total_tokens": batch.max_tokens,
            "max_cost": batch.max_cost,
            "concurrency": batch.concurrency,
        },
        "schedule": None if schedule is None else schedule.name,
        "canary": batch.canary,
    }


def _detail(session: Session, batch: Batch) -> dict[str, Any]:
    session.flush()
    return _row(session, batch) | standing(session, batch) | {"spec": batch.spec}


def _found(session: Session, batch_id: int, *, change: bool = False) -> Batch:
    batch = session.get(Batch, batch_id, with_for_update=change or None)
    if batch is None:
        raise missing(f"batch {batch_id}", "/api/v1/batches")
    return batch


def _changed(session: Session, batch: Batch, status: int = 202) -> Answer:
    return Answer(status, _detail(session, batch), f"/api/v1/batches/{batch.id}")


@router.post(
    "",
    status_code=201,
    response_model=BatchDetail,
    responses={
        201: {"description": "A new batch.", "headers": LOCATION | REPLAYED},
        200: {"description": "The same name and spec were submitted before: that batch.", "model": BatchDetail},
        **documented(409, 413),
    },
)
def submit_batch(change: Submitter, spec: Annotated[Spec, Body()]) -> Response:
    """Queue a batch.

    The body is a spec as `probe spec` prints it, as JSON, with an optional name and limits. The same name with another
    spec is refused (409).
    """
    wanted, limits = read_spec(spec)

    def act(session: Session, now: float) -> Answer:
        done = submit(session, now, wanted, limits.get("name"), columns(limits))
        return _changed(session, session.get_one(Batch, done.batch_id), 201 if done.new else 200)

    return change.perform(act)


@router.get("", response_model=Paged[BatchRow])
def list_batches(
    store: Reader,
    page: Page,
    state: Annotated[str | None, Query(json_schema_extra={"enum": list(STATES)})] = None,
    name: Annotated[str | None, Query(description="The batch of exactly this name.")] = None,
    schedule: Annotated[str | None, Query(description="Batches of this schedule.")] = None,
) -> dict[str, Any]:
    """List batches, the newest first."""
    if state is not None and state not in STATES:
        raise RequestError(f"state: unknown; one of {', '.join(STATES)}")
    query = select(Batch).order_by(Batch.id.desc()).limit(page.limit + 1)
    if page.before is not None:
        query = query.where(Batch.id < page.before)
    if state is not None:
        query = query.where(Batch.state == state)
    if name is not None:
        query = query.where(Batch.name == name)
    if schedule is not None:
        query = query.join(Schedule, Batch.schedule_id == Schedule.id).where(Schedule.name == schedule)
    with store.reading() as session:
        return page.page([(batch.id, _row(session, batch)) for batch in session.scalars(query)])


@router.get(
    "/{batch_id}",
    response_model=BatchDetail,
    responses={
        200: {"headers": {"ETag": {"description": "Send it as If-None-Match.", "schema": {"type": "string"}}}},
        304: {"description": "Nothing changed since the answer with this ETag."},
        **documented(404),
    },
)
def show_batch(
    store: Reader,
    batch_id: Id,
    if_none_match: Annotated[
        str | None, Header(alias="If-None-Match", description="The ETag of an earlier answer.")
    ] = None,
) -> Response:
    """Show how a batch stands: progress, spend, failures by cause."""
    with store.reading() as session:
        body = _detail(session, _found(session, batch_id))
    tag = f'"{sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()[:32]}"'
    known = [part.strip().removeprefix("W/") for part in (if_none_match or "").split(",")]
    if tag in known or known == ["*"]:
        return Response(status_code=304, headers={"ETag": tag})
    return JSONResponse(body, headers={"ETag": tag})


@router.patch("/{batch_id}", response_model=BatchDetail, responses=documented(404, 413))
def change_limits(change: SubmitterOfTheSame, batch_id: Id, limits: Limits) -> Response:
    """Set limits of a batch; one that stopped at its limit goes on when it is resumed."""

    def act(session: Session, now: float) -> Answer:
        batch = _found(session, batch_id, change=True)
        controls.limit(session, batch, limits.columns())
        return Answer(200, _detail(session, batch))

    return change.perform(act)


@router.post("/{batch_id}/pause", response_model=BatchDetail, **ACTS)
def pause_batch(change: Submitter, batch_id: Id) -> Response:
    """Let nothing more be asked until the batch is resumed; calls in flight are stored."""

    def act(session: Session, now: float) -> Answer:
        batch = _found(session, batch_id, change=True)
        controls.pause(session, batch)
        return _changed(session, batch)

    return change.perform(act)


@router.post("/{batch_id}/resume", response_model=BatchDetail, **ACTS)
def resume_batch(change: Submitter, batch_id: Id, limits: Annotated[Limits | None, Body()] = None) -> Response:
    """Let the workers go on with a batch, with new limits if given; nothing answered is asked again."""

    def act(session: Session, now: float) -> Answer:
        batch = _found(session, batch_id, change=True)
        if limits is not None:
            controls.limit(session, batch, limits.columns())
        controls.queue(session, batch)
        return _changed(session, batch)

    return change.perform(act)


@router.post("/{batch_id}/cancel", response_model=BatchDetail, **ACTS)
def cancel_batch(change: Submitter, batch_id: Id) -> Response:
    """Give up for good what is not asked yet; what was answered stays."""

    def act(session: Session, now: float) -> Answer:
        batch = _found(session, batch_id, change=True)
        controls.cancel(session, now, batch)
        return _changed(session, batch)

    return change.perform(act)


@router.post("/{batch_id}/retry", response_model=Retried, **ACTS)
def retry_batch(change: Submitter, batch_id: Id) -> Response:
    """Ask trials that got no reply once more."""

    def act(session: Session, now: float) -> Answer:
        batch = _found(session, batch_id, change=True)
        controls.check_open(batch)
        taken, left = retry(session, now, batch)
        body = {"taken": taken, "left": left, "batch": _detail(session, batch)}
        return Answer(202, body, f"/api/v1/batches/{batch.id}")

    return change.perform(act)


@router.delete("/{batch_id}", status_code=204, response_class=Response, responses=documented(404, 409, 413))
def delete_batch(change: AdminOfTheSame, batch_id: Id) -> Response:
    """Remove a batch and everything that models answered in it."""

    def act(session: Session, now: float) -> Answer:
        controls.delete(session, now, _found(session, batch_id, change=True))
        return Answer(204, None)

    return change.perform(act)
