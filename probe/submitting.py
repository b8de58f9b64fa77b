"""Submitting: a checked spec becomes a batch with its questions and shards, in one transaction."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from sqlalchemy import func, insert, select
from sqlalchemy.orm import Session

from probe import models
from probe.asking.presentation import Presentation
from probe.batches import Asked, BatchSpec, expand, sample_ranges
from probe.errors import RequestError, StateError
from probe.store import tables
from probe.store.sessions import get_or_create, insert_rows
from solvers import registry


@dataclass(frozen=True)
class Submitted:
    """A batch as stored; ``new``: it was not there before."""

    batch_id: int
    name: str
    new: bool


def submit(
    session: Session,
    now: float,
    spec: BatchSpec,
    name: str | None = None,
    limits: Mapping[str, Any] | None = None,
) -> Submitted:
    """Store a batch and its shards; the same name and spec is the same batch.

    ``limits``: max_calls, max_tokens, max_cost. Raises RequestError for an unknown model, StateError for the same name
    with another spec, RequestError for a limit of cost where a model has no price.
    """
    limits = limits or {}
    answering = models.resolve(session, spec.models)
    spec = replace(spec, models=tuple(model.name for model in answering))
    known = session.scalar(select(tables.Batch).where(tables.Batch.name == name)) if name else None
    if known is not None:
        if known.spec_digest != spec.digest:
            raise StateError(
                f"name: batch {name!r} exists with another spec; choose another name, or `probe resume {name}` goes on"
                " with the stored one"
            )
        if limits.get("max_cost") is not None:
            models.check_priced(models.of_batch(session, known.id))
        for limit, value in limits.items():
            if value is not None:
                setattr(known, limit, value)
        return Submitted(known.id, known.name, new=False)
    if limits.get("max_cost") is not None:
        models.check_priced(answering)
    if not answering and not spec.baselines:
        raise RequestError(
            "models: neither a model nor a baseline is to answer; name some with --models or --baselines"
        )
    batch = tables.Batch(
        name=name or f"new {now:.6f}",  # its final name is made of its id
        spec=spec.plain(),
        spec_digest=spec.digest,
        state="queued",
        created_at=now,
        **limits,
    )
    session.add(batch)
    session.flush()
    if name is None:
        batch.name = f"run-{batch.id}"
    presentations = [(p.channel, presentation_id(session, p)) for p in spec.presentations()]
    rows: list[dict[str, Any]] = []
    for asked in expand(spec):
        question_id = question(session, asked)
        for first_sample, last_sample in sample_ranges(asked.last - asked.first, spec.samples):
            rows += [
                {
                    "batch_id": batch.id,
                    "model_id": model.id,
                    "presentation_id": presentation,
                    "asked_channel": channel,
                    "question_id": question_id,
                    "first": asked.first,
                    "last": asked.last,
                    "first_sample": first_sample,
                    "last_sample": last_sample,
                    "state": "pending",
                    "attempts": 0,
                }
                for model in answering
                for channel, presentation in presentations
            ]
    if rows:
        session.execute(insert(tables.Shard), rows)
    session.flush()
    remember_questions(session, batch.id, spec)
    return Submitted(batch.id, batch.name, new=True)


def remember_questions(session: Session, batch_id: int, spec: BatchSpec) -> None:
    """Store what a batch asks, question by question, unless it is there (batches of version 0.1.0 have none)."""
    asks = tables.BatchQuestion.batch_id == batch_id
    if session.scalar(select(tables.BatchQuestion.id).where(asks).limit(1)) is not None:
        return
    last: dict[int, int] = {}
    shards = select(tables.Shard.question_id, func.max(tables.Shard.last)).where(tables.Shard.batch_id == batch_id)
    for question_id, end in session.execute(shards.group_by(tables.Shard.question_id)):
        last[question_id] = end
    if not last:  # no model is asked
        for asked in expand(spec):
            question_id = question(session, asked)
            last[question_id] = max(asked.last, last.get(question_id, 0))
    insert_rows(
        session,
        tables.BatchQuestion,
        [
            {"batch_id": batch_id, "question_id": question_id, "last": end, "state": "pending", "attempts": 0}
            for question_id, end in sorted(last.items())
        ],
    )


def presentation_id(session: Session, presentation: Presentation) -> int:
    """Return the row of a presentation."""
    return get_or_create(session, tables.Presentation, {"digest": presentation.digest}, **asdict(presentation))


def question(session: Session, asked: Asked) -> int:
    """Return the question that is asked; makes family version and block on first use."""
    family = registry.get(asked.family)
    version_key = {"name": family.name, "version": family.version}
    version_id = get_or_create(session, tables.FamilyVersion, version_key, kind=family.kind)
    block_key = {
        "family_version_id": version_id,
        "size": asked.size,
        "seed": asked.seed,
        "number": asked.number,
        "variant": asked.variant,
        "modules": "+".join(asked.modules),
    }
    fresh: dict[str, Any] = {"prepared": 0, "discards": {}, "holes": {}}
    knobs = family.sizes[asked.size].plain()
    block_id = get_or_create(session, tables.Block, block_key, knobs=knobs, **fresh)
    return get_or_create(session, tables.Question, {"block_id": block_id, "mode": asked.mode})


def stored_spec(plain: Mapping[str, Any]) -> BatchSpec:
    """Return the spec that a batch was submitted with."""
    from probe.batches import Arm

    def listed(values: Mapping[str, Any]) -> dict[str, Any]:
        return {key: tuple(v) if isinstance(v, list) else v for key, v in values.items()}

    arms = tuple(Arm(**listed(arm)) for arm in plain["arms"])
    return BatchSpec(**(listed(plain) | {"arms": arms}))
