"""Submitting: a checked spec becomes a batch with its questions and shards, in one transaction."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from sqlalchemy import ColumnElement, func, select, update
from sqlalchemy.orm import Session

from probe import controls, models
from probe.asking.presentation import Presentation
from probe.batches import Asked, BatchSpec, expand, sample_ranges
from probe.errors import RequestError, StateError
from probe.store import tables
from probe.store.sessions import get_or_create, insert_ignore, insert_rows
from probe.store.work import FREE
from solvers import registry

FORMER = "former"  # key of a batch's notes: digests of the specs that it had before it was extended


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
    """Store a batch and its shards; the same name and spec is the same batch, also where it was extended since.

    ``limits``: max_calls, max_tokens, max_cost. Raises RequestError for an unknown model, StateError for the same name
    with another spec, RequestError for a limit of cost where a model has no price.
    """
    limits = limits or {}
    answering = models.resolve(session, spec.models)
    spec = replace(spec, models=tuple(model.name for model in answering))
    known = session.scalar(select(tables.Batch).where(tables.Batch.name == name)) if name else None
    if known is not None:
        if spec.digest not in (known.spec_digest, *known.notes.get(FORMER, ())):
            raise StateError(
                f"name: batch {name!r} exists with another spec; choose another name, or `probe resume {name}` goes on"
                " with the stored one"
            )
        controls.limit(session, known, {key: value for key, value in limits.items() if value is not None})
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
    asks = expand(spec)
    asked = list(zip(questions(session, asks), asks, strict=True))
    add_shards(session, batch.id, spec, [model.id for model in answering], asked)
    session.flush()
    remember_questions(session, batch.id, spec)
    return Submitted(batch.id, batch.name, new=True)


def add_shards(
    session: Session, batch_id: int, spec: BatchSpec, model_ids: Sequence[int], asks: Sequence[tuple[int, Asked]]
) -> int:
    """Store the shards of (question id, what is asked of it) for models, and return how many they are."""
    presentations = [(p.channel, presentation_id(session, p)) for p in spec.presentations()]
    rows = [
        {
            "batch_id": batch_id,
            "model_id": model_id,
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
        for question_id, asked in asks
        for first_sample, last_sample in sample_ranges(asked.last - asked.first, spec.samples)
        for model_id in model_ids
        for channel, presentation in presentations
    ]
    insert_rows(session, tables.Shard, rows)
    return len(rows)


def extend(session: Session, batch: tables.Batch, instances: Sequence[int]) -> int:
    """Let a batch ask more: so many instances in each of its arms. Returns how many shards that adds.

    What was asked stays as it is: new shards cover only positions beyond. The spec becomes the larger one; the digest
    of each former one is kept, so that submitting it again under the batch's name still means this batch. The batch is
    left to `controls.queue`. Raises RequestError where that can't be, for an arm that would shrink, and where a family
    has got another version since.
    """
    session.refresh(batch, with_for_update=True)
    old = stored_spec(batch.spec)
    if len(instances) != len(old.arms) or any(n < arm.instances for n, arm in zip(instances, old.arms, strict=True)):
        raise RequestError("instances: a batch is only extended; give each arm at least as many as it has")
    new = replace(old, arms=tuple(replace(arm, instances=n) for arm, n in zip(old.arms, instances, strict=True)))
    if new.digest == old.digest:
        return 0
    remember_questions(session, batch.id, old)
    _check_versions(session, batch.id)
    ends = {replace(asked, last=0): asked.last for asked in expand(old)}
    asks = [replace(asked, first=ends.get(replace(asked, last=0), 0)) for asked in expand(new)]
    asks = [asked for asked in asks if asked.last > asked.first]
    added = list(zip(questions(session, asks), asks, strict=True))
    mine = tables.Shard.batch_id == batch.id
    model_ids = session.scalars(select(tables.Shard.model_id).where(mine).distinct()).all()
    shards = add_shards(session, batch.id, new, sorted(model_ids), added)
    for question_id, asked in added:
        row = {"batch_id": batch.id, "question_id": question_id}
        row_id = get_or_create(session, tables.BatchQuestion, row, last=asked.last, state="pending", attempts=0)
        # Whoever holds the question's lease would call it complete at the former end: the lease ends here.
        again = {"last": asked.last, "state": "pending", "attempts": 0, "error": None}
        mine = tables.BatchQuestion.id == row_id
        session.execute(update(tables.BatchQuestion).where(mine).values(**again, **FREE))
    former = [*batch.notes.get(FORMER, ()), batch.spec_digest]
    batch.notes = batch.notes | {FORMER: list(dict.fromkeys(former))}
    batch.spec, batch.spec_digest = new.plain(), new.digest
    return shards


def _check_versions(session: Session, batch_id: int) -> None:
    """Raise RequestError where a batch asks a version of a family that this program no longer has."""
    query = (
        select(tables.FamilyVersion.name, tables.FamilyVersion.version)
        .join(tables.Block, tables.Block.family_version_id == tables.FamilyVersion.id)
        .join(tables.Question, tables.Question.block_id == tables.Block.id)
        .join(tables.BatchQuestion, tables.BatchQuestion.question_id == tables.Question.id)
        .where(tables.BatchQuestion.batch_id == batch_id)
        .distinct()
    )
    for name, version in session.execute(query):
        if name not in registry.modules() or registry.get(name).version != version:
            raise RequestError(
                f"family {name}: the batch asks version {version}, which this program no longer has, so more of it"
                " can't be made; run the spec under another name"
            )


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
        every = expand(spec)
        for question_id, asked in zip(questions(session, every), every, strict=True):
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
    """Return the question that is asked; makes family version, block and question on first use."""
    return questions(session, [asked])[0]


def questions(session: Session, asks: Sequence[Asked]) -> list[int]:
    """Return the question of each thing asked, in few statements: a batch may have thousands."""
    versions: dict[str, int] = {}
    for name in sorted({asked.family for asked in asks}):
        family = registry.get(name)
        key = {"name": name, "version": family.version}
        versions[name] = get_or_create(session, tables.FamilyVersion, key, kind=family.kind)

    def block(asked: Asked) -> tuple[Any, ...]:
        modules = "+".join(asked.modules)
        return versions[asked.family], asked.size, asked.seed, asked.number, asked.variant, modules

    names = ("family_version_id", "size", "seed", "number", "variant", "modules")
    wanted = {block(asked): asked for asked in asks}
    among = [
        getattr(tables.Block, name).in_(sorted({key[k] for key in wanted}))
        for k, name in enumerate(names)
        if name != "number"
    ]
    among.append(tables.Block.number <= max((asked.number for asked in asks), default=0))
    blocks = _ids(session, tables.Block, names, among, [(key, _fresh(asked)) for key, asked in wanted.items()])
    keys = [(blocks[block(asked)], asked.mode) for asked in asks]
    these = [tables.Question.block_id.in_(select(tables.Block.id).where(*among))]
    ids = _ids(session, tables.Question, ("block_id", "mode"), these, [(key, {}) for key in dict.fromkeys(keys)])
    return [ids[key] for key in keys]


def _fresh(asked: Asked) -> dict[str, Any]:
    """Return the columns of a block that nothing is made of yet."""
    knobs = registry.get(asked.family).sizes[asked.size].plain()
    return {"knobs": knobs, "prepared": 0, "discards": {}, "holes": {}}


def _ids(
    session: Session,
    table: type[tables.Block] | type[tables.Question],
    names: Sequence[str],
    among: Sequence[ColumnElement[bool]],
    rows: Sequence[tuple[tuple[Any, ...], dict[str, Any]]],
) -> dict[tuple[Any, ...], int]:
    """Return key -> id of rows, given as (key, rest) and made where they are missing; all are ``among`` those read."""
    read = select(table.id, *(getattr(table, name) for name in names)).where(*among)
    found = {tuple(key): row_id for row_id, *key in session.execute(read)}
    if missing := [dict(zip(names, key, strict=True)) | rest for key, rest in rows if key not in found]:
        insert_ignore(session, table, missing)
        found = {tuple(key): row_id for row_id, *key in session.execute(read)}
    return found


def stored_spec(plain: Mapping[str, Any]) -> BatchSpec:
    """Return the spec that a batch was submitted with."""
    from probe.batches import Arm

    def listed(values: Mapping[str, Any]) -> dict[str, Any]:
        return {key: tuple(v) if isinstance(v, list) else v for key, v in values.items()}

    arms = tuple(Arm(**listed(arm)) for arm in plain["arms"])
    return BatchSpec(**(listed(plain) | {"arms": arms}))
