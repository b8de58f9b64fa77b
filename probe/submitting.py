"""Submitting: a checked spec becomes a batch with its shards, in one transaction; what must be prepared for it."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from sqlalchemy import func, insert, select, update
from sqlalchemy.orm import Session

from probe import models
from probe.asking import baselines
from probe.asking.presentation import Presentation
from probe.batches import Asked, BatchSpec, expand, sample_ranges
from probe.errors import RequestError, StateError
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
    return Submitted(batch.id, batch.name, new=True)


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


def blocks_to_prepare(session: Session, batch_id: int, spec: BatchSpec) -> list[BlockWork]:
    """Return what is not yet made of the blocks that a batch asks.

    They are those of its shards, whatever version of a family these are of (a batch without models has no shards: then
    those of its spec). Shards of blocks that this program can no longer make fail.
    """
    if session.scalar(select(tables.Shard.id).where(tables.Shard.batch_id == batch_id).limit(1)) is None:
        wanted = _blocks_of_spec(session, spec)
    else:
        rows = session.execute(
            select(tables.Question.block_id, func.max(tables.Shard.last))
            .join(tables.Shard, tables.Shard.question_id == tables.Question.id)
            .where(tables.Shard.batch_id == batch_id, tables.Shard.state == "pending")
            .group_by(tables.Question.block_id)
            .order_by(func.min(tables.Shard.id))
        )
        wanted = {row[0]: row[1] for row in rows}
    missing = []
    for block_id, last in wanted.items():
        block = session.get_one(tables.Block, block_id)
        version = session.get_one(tables.FamilyVersion, block.family_version_id)
        if block.prepared >= last:
            continue
        if version.name not in registry.modules() or registry.get(version.name).version != version.version:
            _fail_old(session, batch_id, block_id, f"family {version.name} has left version {version.version} behind")
            continue
        modules = tuple(name for name in block.modules.split("+") if name)
        where = (block.size, modules, block.variant, block.seed, block.number)
        missing.append(BlockWork(block.id, version.name, *where, block.prepared, last))
    return missing


def _blocks_of_spec(session: Session, spec: BatchSpec) -> dict[int, int]:
    """Return block -> positions that a spec asks of it."""
    wanted: dict[int, int] = {}
    for asked in expand(spec):
        block_id = session.get_one(tables.Question, question(session, asked)).block_id
        wanted[block_id] = max(asked.last, wanted.get(block_id, 0))
    return wanted


def _fail_old(session: Session, batch_id: int, block_id: int, error: str) -> None:
    questions = select(tables.Question.id).where(tables.Question.block_id == block_id)
    session.execute(
        update(tables.Shard)
        .where(tables.Shard.batch_id == batch_id, tables.Shard.question_id.in_(questions))
        .where(tables.Shard.state == "pending", tables.Shard.lease_token.is_(None))
        .values(state="failed", error=error)
    )


def baselines_to_answer(session: Session, now: float, asked: Asked, names: Sequence[str]) -> list[BaselineWork]:
    """Return the baseline shards of one question that are not complete; makes missing ones.

    A question's baseline shards cover the prepared prefix: a longer prefix adds a shard for the rest.
    """
    ids = models.baseline_ids(session, now)
    question_id = question(session, asked)
    block_id = session.get_one(tables.Question, question_id).block_id
    block = session.get_one(tables.Block, block_id, with_for_update=True)
    last = min(asked.last, block.prepared)
    found = []
    for name in names:
        query = select(tables.Shard).where(
            tables.Shard.batch_id.is_(None),
            tables.Shard.model_id == ids[name],
            tables.Shard.question_id == question_id,
        )
        shards = list(session.scalars(query))
        covered = max((shard.last for shard in shards), default=0)
        if covered < last:
            shard = tables.Shard(
                model_id=ids[name],
                question_id=question_id,
                first=covered,
                last=last,
                first_sample=0,
                last_sample=baselines.samples(name),
            )
            session.add(shard)
            session.flush()
            shards.append(shard)
        for shard in shards:
            if shard.state == "pending":
                documents = instance_documents(session, block_id, shard.first, shard.last)
                found.append(BaselineWork(shard.id, name, asked.mode, tuple(sorted(documents.items()))))  # type: ignore[arg-type]
    return found
