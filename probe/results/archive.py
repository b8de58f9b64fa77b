"""Writing archives: batches with everything that led to their tables, in a form that outlives the database."""

import base64
import re
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from probe.asking.measures import unpack
from probe.asking.presentation import Presentation
from probe.errors import RequestError, StateError, WorkError
from probe.preparing import unpack_document
from probe.results import archive_format as form
from probe.results.archive_format import (
    AnswerLine,
    BatchLine,
    BlockLine,
    CallPart,
    InstanceLine,
    KindPart,
    ModelLine,
    PresentationLine,
    QuestionPart,
    RejudgedPart,
    ShardLine,
    TallyPart,
    TrialPart,
    Writer,
    packed,
)
from probe.results.files import replacing
from probe.store import tables as t
from probe.store.queries import find_batch
from probe.store.sessions import Store, in_groups
from probe.store.work import ACTIVE

SECRET = re.compile(r"(api|access|auth)[-_]?(key|token)|authorization|bearer|credential|passw|secret", re.IGNORECASE)


@dataclass(frozen=True)
class Archived:
    """What an archive holds; ``digest`` identifies it, ``left_out``: (batch, reason)."""

    batches: int
    trials: int
    digest: str
    left_out: list[tuple[str, str]]


@dataclass(frozen=True)
class Refs:
    """What an archive calls the rows of this database, by id."""

    models: dict[int, ModelLine]
    presentations: dict[int, PresentationLine]
    blocks: dict[int, BlockLine]
    questions: dict[int, tuple[int, Any]]  # block, mode


def write_archive(store: Store, file: Path, names: Sequence[str] = ()) -> Archived:
    """Archive the batches named, or all that are not being asked, as one state of the database.

    Memory holds a trial at a time and a few facts of each shard. Raises RequestError where there is no such batch or
    none at all, StateError where a named one is being asked.
    """
    with store.reading() as session:
        batches, left_out = _chosen(session, names)
        refs = references(session, [batch.id for batch in batches])
        trials = 0
        with replacing(file) as target, zipfile.ZipFile(target, "w", compresslevel=form.LEVEL) as zipped:
            writer = Writer(zipped)
            lines = []
            for number, batch in enumerate(batches, 1):
                entry = form.ANSWERS.format(number)
                lines.append(_batch(session, batch, entry, refs))
                with writer.entry(entry) as add:
                    for line in answers(session, batch.id, refs):
                        trials += isinstance(line, AnswerLine) and line.trial is not None
                        add(packed(line))
            with writer.entry(form.BASELINES) as add:
                for line in answers(session, None, refs):
                    add(packed(line))
            with writer.entry(form.BATCHES) as add:
                for batch_line in lines:
                    add(packed(batch_line))
            with writer.entry(form.BLOCKS) as add:
                for block_id, block in sorted(refs.blocks.items(), key=lambda pair: _order(pair[1])):
                    add(packed(block))
                    for instance in _instances(session, block_id):
                        add(packed(instance))
            with writer.entry(form.MODELS) as add:
                for ref in sorted({model.ref: model for model in refs.models.values()}.items()):
                    add(packed(ref[1]))
            with writer.entry(form.PRESENTATIONS) as add:
                for presentation in sorted(refs.presentations.values(), key=lambda line: line.ref):
                    add(packed(presentation))
            identity = writer.close()
    return Archived(len(batches), trials, identity, left_out)


def references(session: Session, batches: Sequence[int]) -> Refs:
    """Return what batches refer to: their models, presentations and questions, and the baselines."""
    asked: dict[int, tuple[int, Any]] = {}
    shards = select(t.Shard.question_id).where(t.Shard.batch_id.in_(batches))
    planned = select(t.BatchQuestion.question_id).where(t.BatchQuestion.batch_id.in_(batches))
    questions = select(t.Question).where(or_(t.Question.id.in_(shards), t.Question.id.in_(planned)))
    for question in session.scalars(questions):
        asked[question.id] = (question.block_id, question.mode)
    used = select(t.Shard.model_id, t.Shard.presentation_id).where(t.Shard.batch_id.in_(batches)).distinct()
    pairs = session.execute(used).all()
    return Refs(
        _models(session, {pair[0] for pair in pairs}),
        _presentations(session, {pair[1] for pair in pairs if pair[1] is not None}),
        _blocks(session, sorted({block for block, _ in asked.values()})),
        asked,
    )


def answers(session: Session, batch: int | None, refs: Refs) -> Iterator[ShardLine | AnswerLine]:
    """Yield the shards of a batch (None: complete ones of baselines) with their answers.

    In the order in which they were made, which restoring keeps: sums of floats, and so the last digits of a table,
    depend on it.
    """
    shards: list[t.Shard] = []
    if batch is not None:
        shards += session.scalars(select(t.Shard).where(t.Shard.batch_id == batch))
    else:
        for some in in_groups(sorted(refs.questions)):
            mine = (t.Shard.batch_id.is_(None), t.Shard.question_id.in_(some), t.Shard.state == "complete")
            shards += session.scalars(select(t.Shard).where(*mine))
    for shard in sorted(shards, key=lambda shard: shard.id):
        found = list(_answers(session, shard.id))
        yield _shard(session, shard, refs, len(found))
        yield from found


def _chosen(session: Session, names: Sequence[str]) -> tuple[list[t.Batch], list[tuple[str, str]]]:
    """Return the batches to be archived, in a fixed order, and those left out with the reason."""
    if names:
        found = {batch.id: batch for batch in (find_batch(session, name) for name in names)}
        if busy := [batch.name for batch in found.values() if batch.state in ACTIVE]:
            raise StateError(f"batch {busy[0]!r} is being asked; wait for its end, or first: probe pause {busy[0]}")
        chosen, left_out = list(found.values()), []
    else:
        every = list(session.scalars(select(t.Batch)))
        chosen = [batch for batch in every if batch.state not in ACTIVE]
        left_out = [(batch.name, f"it is {batch.state}") for batch in every if batch.state in ACTIVE]
    if not chosen:
        raise RequestError("there are no batches to be archived; `probe status` lists them")
    return sorted(chosen, key=lambda batch: (batch.created_at, batch.name)), left_out


# --- what is shared ---------------------------------------------------------------------------------------------------


def model_line(model: t.Model, endpoint: t.Endpoint | None) -> ModelLine:
    """Return a model as an archive holds it."""
    own = ("name", "kind", "served_id", "params", "active_params", "layers", "width", "training", "reasoning")
    line = ModelLine(
        ref="0" * 32,
        url=endpoint.url if endpoint else None,
        key_variable=endpoint.key_variable if endpoint else "",
        extra_body=_veiled(model.extra_body),
        added_at=model.added_at if endpoint else 0.0,  # a baseline's row is made on first use
        **{name: getattr(model, name) for name in (*own, "lineage", "price_in", "price_out")},
    )
    return line.model_copy(update={"ref": line.identity})


def _veiled(value: Any) -> Any:
    """Return JSON with the values of what looks like a secret veiled."""
    if isinstance(value, dict):
        return {k: "***" if SECRET.search(k) else _veiled(v) for k, v in value.items()}
    return [_veiled(v) for v in value] if isinstance(value, list) else value


def _models(session: Session, ids: set[int]) -> dict[int, ModelLine]:
    rows = session.execute(select(t.Model, t.Endpoint).outerjoin(t.Endpoint, t.Model.endpoint_id == t.Endpoint.id))
    chosen = {m.id: model_line(m, endpoint) for m, endpoint in rows if m.id in ids or m.kind == "baseline"}
    first: dict[str, ModelLine] = {}  # rows of the same facts are one model
    for line in sorted(chosen.values(), key=lambda line: (line.added_at, line.key_variable)):
        first.setdefault(line.ref, line)
    return {id_: first[line.ref] for id_, line in chosen.items()}


def _presentations(session: Session, ids: set[int]) -> dict[int, PresentationLine]:
    out = {}
    for row in session.scalars(select(t.Presentation)):
        if row.id in ids:
            how = Presentation(**{name: getattr(row, name) for name in Presentation.__dataclass_fields__})
            out[row.id] = PresentationLine(ref=row.digest, presentation=how)
    return out


def _blocks(session: Session, ids: Sequence[int]) -> dict[int, BlockLine]:
    out = {}
    for some in in_groups(ids):
        counted = select(t.Instance.block_id, func.count()).where(t.Instance.block_id.in_(some))
        instances = {row[0]: row[1] for row in session.execute(counted.group_by(t.Instance.block_id))}
        query = (
            select(t.Block, t.FamilyVersion)
            .join(t.FamilyVersion, t.Block.family_version_id == t.FamilyVersion.id)
            .where(t.Block.id.in_(some))
        )
        for block, version in session.execute(query):
            named = ("size", "seed", "number", "variant", "modules", "knobs", "prepared", "discards", "holes")
            line = BlockLine(
                ref="0" * 32,
                family=version.name,
                version=version.version,
                kind=version.kind,  # type: ignore[arg-type]
                instances=instances.get(block.id, 0),
                **{name: getattr(block, name) for name in named},
            )
            out[block.id] = line.model_copy(update={"ref": line.identity})
    return out


def _instances(session: Session, block_id: int) -> Iterator[InstanceLine]:
    rows = session.scalars(select(t.Instance).where(t.Instance.block_id == block_id).order_by(t.Instance.position))
    for row in rows:
        document = unpack_document(row.document)
        yield InstanceLine(position=row.position, key=row.key, greedy_fails=row.greedy_fails, document=document)


# --- batches and answers ----------------------------------------------------------------------------------------------


def _batch(session: Session, batch: t.Batch, entry: str, refs: Refs) -> BatchLine:
    questions = []
    for row in session.scalars(select(t.BatchQuestion).where(t.BatchQuestion.batch_id == batch.id)):
        block, mode = refs.questions[row.question_id]
        ordered = (*_order(refs.blocks[block]), mode)
        part = QuestionPart(
            block=refs.blocks[block].ref,
            mode=mode,
            last=row.last,
            state=row.state,  # type: ignore[arg-type]
            error=row.error,
        )
        questions.append((ordered, part))
    own = ("name", "spec", "spec_digest", "state", "canary", "created_at", "finished_at", "notes", "concurrency")
    limits = ("max_calls", "max_tokens", "max_cost", "used_calls", "used_tokens", "used_cost")
    return BatchLine(
        entry=entry,
        questions=[part for _, part in sorted(questions, key=lambda pair: pair[0])],
        **{name: getattr(batch, name) for name in (*own, *limits)},
    )


def _order(block: BlockLine) -> tuple[Any, ...]:
    return (block.family, block.version, block.size, block.seed, block.number, block.variant, block.modules)


def _shard(session: Session, shard: t.Shard, refs: Refs, count: int) -> ShardLine:
    block, mode = refs.questions[shard.question_id]
    tally = session.get(t.Tally, shard.id)
    log = session.scalars(select(t.Rejudged).where(t.Rejudged.shard_id == shard.id))
    part = None
    if tally is not None:
        counts = unpack(tally.measures, tally.matrix)
        if any(matrix[: shard.first].any() or matrix[shard.last :].any() for matrix in counts.values()):
            raise WorkError(f"shard {shard.id}'s tally counts what it was not asked; `probe db check` tells more")
        measures = {name: matrix[shard.first : shard.last].tolist() for name, matrix in counts.items()}
        part = TallyPart(judge_version=tally.judge_version, measures=_pairs(measures))
    moves: list[RejudgedPart] = []
    for row in log:
        moves.append(RejudgedPart(**{name: getattr(row, name) for name in RejudgedPart.model_fields}))
    return ShardLine(
        model=refs.models[shard.model_id].ref,
        block=refs.blocks[block].ref,
        mode=mode,
        presentation=refs.presentations[shard.presentation_id].ref if shard.presentation_id is not None else None,
        asked_channel=shard.asked_channel,
        first=shard.first,
        last=shard.last,
        first_sample=shard.first_sample,
        last_sample=shard.last_sample,
        state=shard.state,  # type: ignore[arg-type]
        error=shard.error,
        tally=part,
        rejudged=sorted(moves, key=lambda move: (move.at, move.old_version)),
        answers=count,
    )


def _pairs(measures: dict[str, Any]) -> dict[str, list[tuple[int, int]]]:
    return {name: [(n, y) for n, y in cells] for name, cells in measures.items()}


def _answers(session: Session, shard_id: int) -> Iterator[AnswerLine]:
    """Yield what a shard holds, by position and sample; at most `probe.batches.SHARD_TRIALS` trials at a time."""
    kinds: dict[int, list[KindPart]] = {}
    mine = select(t.ConstraintResult).join(t.Trial, t.ConstraintResult.trial_id == t.Trial.id)
    for row in session.scalars(mine.where(t.Trial.shard_id == shard_id)):
        part = KindPart(kind=row.kind, constraints=row.constraints, satisfied=row.satisfied, failed=row.failed)
        kinds.setdefault(row.trial_id, []).append(part)
    trials: dict[tuple[int, int], TrialPart] = {}
    of_trial = [name for name in TrialPart.model_fields if name != "kinds"]
    for trial in session.scalars(select(t.Trial).where(t.Trial.shard_id == shard_id)):
        parts = sorted(kinds.get(trial.id, ()), key=lambda part: part.kind)
        fields = {name: getattr(trial, name) for name in of_trial}
        trials[trial.position, trial.sample] = TrialPart(kinds=parts, **fields)
    calls: dict[tuple[int, int], list[CallPart]] = {}
    of_call = [name for name in CallPart.model_fields if not name.startswith("raw")]
    for call in session.scalars(select(t.Call).where(t.Call.shard_id == shard_id).order_by(t.Call.number)):
        fields = {name: getattr(call, name) for name in of_call} | _raw(call.raw)
        calls.setdefault((call.position, call.sample), []).append(CallPart(**fields))
    session.expunge_all()  # a session remembers what it read
    for place in sorted(trials.keys() | calls.keys()):
        yield AnswerLine(position=place[0], sample=place[1], trial=trials.get(place), calls=calls.get(place, []))


def _raw(stored: bytes | None) -> dict[str, Any]:
    """Return a reply's body as text where it is one."""
    if stored is None:
        return {"raw": None, "raw_base64": None}
    body = zlib.decompress(stored)
    try:
        return {"raw": body.decode(), "raw_base64": None}
    except UnicodeDecodeError:
        return {"raw": None, "raw_base64": base64.b64encode(body).decode()}
