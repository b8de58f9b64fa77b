"""Submitting: a checked spec becomes a batch with its shards, in one transaction; what must be prepared for it."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from probe import models
from probe.asking import baselines
from probe.asking.presentation import Presentation
from probe.batches import Asked, BatchSpec, expand, sample_ranges
from probe.errors import RequestError
from probe.preparing import BaselineWork, BlockWork
from probe.store import tables
from probe.store.sessions import get_or_create
from probe.store.work import instance_documents
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

    ``limits``: max_calls, max_tokens, max_cost. Raises RequestError for an unknown model, for the same name with
    another spec, and for a limit of cost where a model has no price.
    """
    limits = limits or {}
    answering = models.resolve(session, spec.models)
    spec = replace(spec, models=tuple(model.name for model in answering))
    known = session.scalar(select(tables.Batch).where(tables.Batch.name == name)) if name else None
    if known is not None:
        if known.spec_digest != spec.digest:
            raise RequestError(
                f"name: batch {name!r} exists with another spec; choose another name, or `probe resume {name}` goes on"
                " with the stored one"
            )
        for limit, value in limits.items():
            if value is not None:
                setattr(known, limit, value)
        return Submitted(known.id, known.name, new=False)
    if limits.get("max_cost") is not None and (free := [m.name for m in answering if m.price_in is None]):
        raise RequestError(
            f"max-cost: model {', '.join(free)} has no price; add it again with --price-in and --price-out"
        )
    if not answering and not spec.baselines:
        raise RequestError(
            "models: neither a model nor a baseline is to answer; name some with --models or --baselines"
        )
    batch = tables.Batch(
        name=name or f"new {digest_suffix(now)}",
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
    return Submitted(batch.id, batch.name, new=True)


def digest_suffix(now: float) -> str:
    """Return a provisional name's suffix; the final name is made of the batch's id."""
    return f"{now:.6f}"


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


def blocks_to_prepare(session: Session, spec: BatchSpec) -> list[BlockWork]:
    """Return what is not yet made of the blocks that a spec asks."""
    wanted: dict[int, BlockWork] = {}
    for asked in expand(spec):
        question_row = session.get(tables.Question, question(session, asked))
        assert question_row is not None
        block = session.get(tables.Block, question_row.block_id)
        assert block is not None
        before = wanted.get(block.id)
        last = max(asked.last, before.last if before else 0)
        if block.prepared < last:
            wanted[block.id] = BlockWork(
                block.id,
                asked.family,
                asked.size,
                asked.modules,
                asked.variant,
                asked.seed,
                asked.number,
                block.prepared,
                last,
            )
    return list(wanted.values())


def baselines_to_answer(session: Session, now: float, spec: BatchSpec) -> Iterator[BaselineWork]:
    """Yield the baseline shards that a spec needs and that are not complete; makes missing ones.

    A question's baseline shards cover the prepared prefix: a longer prefix adds a shard for the rest.
    """
    ids = models.baseline_ids(session, now)
    for asked in expand(spec):
        question_id = question(session, asked)
        for name in spec.baselines:
            query = select(tables.Shard).where(
                tables.Shard.batch_id.is_(None),
                tables.Shard.model_id == ids[name],
                tables.Shard.question_id == question_id,
            )
            shards = list(session.scalars(query))
            covered = max((shard.last for shard in shards), default=0)
            if covered < asked.last:
                shard = tables.Shard(
                    model_id=ids[name],
                    question_id=question_id,
                    first=covered,
                    last=asked.last,
                    first_sample=0,
                    last_sample=baselines.samples(name),
                )
                session.add(shard)
                session.flush()
                shards.append(shard)
            block_id = session.scalars(select(tables.Question.block_id).where(tables.Question.id == question_id)).one()
            for shard in shards:
                if shard.state == "pending":
                    documents = instance_documents(session, block_id, shard.first, shard.last)
                    yield BaselineWork(shard.id, name, asked.mode, tuple(sorted(documents.items())))  # type: ignore[arg-type]
