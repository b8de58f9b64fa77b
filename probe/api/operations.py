"""Health, readiness and Prometheus metrics."""

from collections.abc import Iterator
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import PlainTextResponse
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from probe.api.access import Reader, store_of
from probe.api.problems import documented
from probe.api.schemas import Health
from probe.store.sessions import Store
from probe.store.tables import Batch, BatchOutcome, Endpoint, Shard, Worker

router = APIRouter(tags=["operations"])
RECENT = 180.0  # seconds: a worker says every minute that it lives

Sample = tuple[dict[str, str], float]


@router.get("/healthz", response_model=Health)
def health() -> dict[str, str]:
    """Say that the server lives. No token."""
    return {"status": "ok"}


@router.get("/readyz", response_model=Health, responses=documented(503))
def readiness(store: Annotated[Store, Depends(store_of)]) -> dict[str, str]:
    """Say whether it can serve: the database is reachable and migrated (else 503). No token."""
    store.check()
    return {"status": "ready"}


@router.get(
    "/metrics",
    response_class=PlainTextResponse,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}, **documented(401, 403, 503)},
)
def metrics(store: Reader, request: Request) -> PlainTextResponse:
    """Give counts in Prometheus' text format; a scrape configuration holds the token as `authorization`."""
    with store.reading() as session:
        lines = list(_exposed(session, store.now(session)))
    return PlainTextResponse("\n".join(lines) + "\n", media_type="text/plain; version=0.0.4")


def _exposed(session: Session, now: float) -> Iterator[str]:
    """Yield the lines of every metric."""
    states = session.execute(select(Batch.state, func.count()).group_by(Batch.state))
    yield from _metric("probe_batches", "Batches by state.", [({"state": s}, n) for s, n in states])
    pending = session.scalar(select(func.count(Shard.id)).where(Shard.state == "pending")) or 0
    held = (Shard.lease_token.is_not(None), Shard.lease_until > now)
    leased = session.scalar(select(func.count(Shard.id)).where(*held))
    yield from _metric("probe_shards_pending", "Shards that are not finished, leased ones too.", [({}, pending)])
    yield from _metric("probe_shards_leased", "Shards in a worker's hands.", [({}, leased or 0)])
    trials = session.scalar(select(func.sum(BatchOutcome.trials))) or 0  # kept counts: there may be many millions
    yield from _metric("probe_trials", "Stored trials of models.", [({}, trials)])
    calls = session.scalar(select(func.sum(Batch.used_calls))) or 0
    yield from _metric("probe_calls", "Calls of all batches, every attempt.", [({}, calls)])
    endpoints = [({"id": str(e.id), "url": e.url}, e) for e in session.scalars(select(Endpoint).order_by(Endpoint.id))]
    opened = [(labels, float(e.open_until > now)) for labels, e in endpoints]
    yield from _metric("probe_endpoint_circuit_open", "1: it fails, nobody asks it for a while.", opened)
    slots = [(labels, float(e.slots)) for labels, e in endpoints if e.slots is not None]
    yield from _metric("probe_endpoint_slots", "Calls open at once that it was found to bear.", slots)
    seen = list(session.execute(select(Worker.name, Worker.seen_at, Worker.skew).where(Worker.seen_at > now - RECENT)))
    yield from _metric("probe_workers", "Workers seen in the last three minutes.", [({}, len(seen))])
    ages = [({"worker": name}, round(now - at, 3)) for name, at, _ in seen]
    yield from _metric("probe_worker_seen_seconds", "Seconds since a worker was seen.", ages)
    skews = [({"worker": name}, skew) for name, _, skew in seen]
    yield from _metric("probe_worker_clock_skew_seconds", "Seconds that its clock is ahead of the database's.", skews)


def _metric(name: str, about: str, samples: list[Sample]) -> Iterator[str]:
    yield f"# HELP {name} {about}"
    yield f"# TYPE {name} gauge"
    for labels, value in samples:
        pairs = ",".join(f'{key}="{_escaped(text)}"' for key, text in labels.items())
        yield f"{name}{{{pairs}}} {value:g}" if pairs else f"{name} {value:g}"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')
