"""Restoring archives: what one holds is stored beside what is there, in one transaction, once.

Instances and baselines are shared: what is there already must be the same, and only what is missing is added. A model
is taken for one that is there where all its facts agree; else it is stored as a removed one, which has results but is
asked nothing. An archive names no key's variable that is stored with a new endpoint: whoever made the archive must not
be able to have a key sent to an address of his.
"""

import base64
import binascii
import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby, islice
from pathlib import Path
from typing import Any

import numpy as np
from sqlalchemy import insert, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from probe import batches, models
from probe.asking.baselines import BASELINES
from probe.asking.connection import MAX_BODY
from probe.asking.judging import judge_answer
from probe.asking.measures import POSITIONS, pack
from probe.asking.posed import load
from probe.asking.records import KindResult, Record
from probe.errors import RequestError
from probe.preparing import pack_document
from probe.results import archive_format as form
from probe.results.archive import answers, model_line, references
from probe.results.archive_format import (
    AnswerLine,
    Archive,
    BatchLine,
    BlockLine,
    CallPart,
    InstanceLine,
    Lines,
    ModelLine,
    PresentationLine,
    ShardLine,
    packed,
)
from probe.store import tables as t
from probe.store import work
from probe.store.sessions import Store, get_or_create, insert_new, insert_rows
from probe.submitting import presentation_id, stored_spec
from probe.upkeep import broken_tallies
from solvers import registry
from solvers.keys import base_key, digest

AT_ONCE = 50  # answers written by one statement
ELSEWHERE = "restore the archive into a new database: set PROBE_DATABASE_URL=sqlite:////path/to/new.sqlite3"


@dataclass
class Restored:
    """What became of an archive: names of the batches stored and of those that were there, and how many trials came."""

    digest: str
    stored: list[str] = field(default_factory=list)
    known: list[str] = field(default_factory=list)
    trials: int = 0


@dataclass
class _Places:
    """The rows of this database that an archive's references stand for."""

    models: dict[str, int] = field(default_factory=dict)
    baselines: set[str] = field(default_factory=set)  # references of baselines
    presentations: dict[str, int] = field(default_factory=dict)
    blocks: dict[str, tuple[int, BlockLine]] = field(default_factory=dict)
    questions: dict[tuple[str, str], int] = field(default_factory=dict)
    shards: list[int] = field(default_factory=list)  # those stored

    def question(self, session: Session, block: str, mode: str) -> int:
        """Return the row of a question."""
        if (block, mode) not in self.questions:
            key = {"block_id": _known(self.blocks, block, "block")[0], "mode": mode}
            self.questions[block, mode] = get_or_create(session, t.Question, key)
        return self.questions[block, mode]


def restore(store: Store, file: Path) -> Restored:
    """Store an archive's batches; those that are there already, answer for answer, are left as they are.

    All or nothing: one transaction, after every checksum was verified. Raises RequestError where the file is not a
    whole archive, contradicts itself, or contradicts what is in the database.
    """
    with form.opened(file) as archive:
        done = Restored(archive.digest)
        try:
            with store.writing() as session:
                _restore(session, store.now(session), archive, done)
        except IntegrityError:
            raise RequestError(
                "it holds something twice, or another process stored the same meanwhile; nothing was stored, try again"
            ) from None
    return done


def _restore(session: Session, now: float, archive: Archive, done: Restored) -> None:
    places = _Places()
    with archive.lines(form.MODELS) as lines:
        _models(session, now, lines, places)
    with archive.lines(form.PRESENTATIONS) as lines:
        _presentations(session, lines, places)
    with archive.lines(form.BLOCKS) as lines:
        _blocks(session, lines, places)
    with archive.lines(form.BASELINES) as lines:
        for shard, found in _shards(lines):
            _baseline(session, lines, places, shard, list(found))
    entries = set()
    with archive.lines(form.BATCHES) as lines:
        while (batch := lines.next(BatchLine)) is not None:
            entries.add(batch.entry)
            _batch(session, archive, lines, places, batch, done)
    if unclaimed := set(archive.manifest.entries) - entries - {*form.SHARED, form.README}:
        raise RequestError(f"no batch of the archive has the answers in {min(unclaimed)}")
    if broken := next(broken_tallies(session, places.shards), None):
        raise RequestError(f"it contradicts itself: {broken.partition(' (')[0]}")


def _known(places: dict[str, Any], ref: str, what: str) -> Any:
    if ref not in places:
        raise RequestError(f"the archive speaks of a {what} {ref} that it doesn't hold")
    return places[ref]


# --- what is shared ---------------------------------------------------------------------------------------------------


def _models(session: Session, now: float, lines: Lines, places: _Places) -> None:
    rows = session.execute(
        select(t.Model, t.Endpoint)
        .outerjoin(t.Endpoint, t.Model.endpoint_id == t.Endpoint.id)
        .order_by(t.Model.removed_at.is_not(None), t.Model.id)
    )
    here: dict[str, int] = {}
    for model, endpoint in rows:
        here.setdefault(model_line(model, endpoint).ref, model.id)
    ids = models.baseline_ids(session, now)
    while (line := lines.next(ModelLine)) is not None:
        if line.ref != line.identity:
            raise lines.wrong("ref is not the digest of the model's facts")
        if (line.kind == "endpoint") != (line.url is not None) or (line.kind == "baseline" and line.name not in ids):
            raise lines.wrong(f"{line.name!r} is neither a model at an endpoint nor one of {', '.join(BASELINES)}")
        if line.kind == "baseline":
            places.baselines.add(line.ref)
            places.models[line.ref] = ids[line.name]
        else:
            places.models[line.ref] = here.get(line.ref) or _removed_model(session, now, lines, line)


def _removed_model(session: Session, now: float, lines: Lines, line: ModelLine) -> int:
    assert line.url is not None
    try:
        models.check_endpoint(line.url, line.key_variable)
    except RequestError as error:
        raise lines.wrong(str(error)) from None
    own = session.scalar(
        select(t.Endpoint.id).where(t.Endpoint.url == line.url, t.Endpoint.key_variable == line.key_variable)
    )
    endpoint = own or get_or_create(session, t.Endpoint, {"url": line.url, "key_variable": ""}, internal=False)
    facts = line.model_dump(exclude={"ref", "url", "key_variable"})
    added = insert(t.Model).values(**facts, endpoint_id=endpoint, removed_at=now, capabilities={})
    return int(session.execute(added.returning(t.Model.id)).scalar_one())


def _presentations(session: Session, lines: Lines, places: _Places) -> None:
    while (line := lines.next(PresentationLine)) is not None:
        if line.ref != line.presentation.digest:
            raise lines.wrong("ref is not the digest of the presentation")
        places.presentations[line.ref] = presentation_id(session, line.presentation)


def _blocks(session: Session, lines: Lines, places: _Places) -> None:
    while (line := lines.next(BlockLine)) is not None:
        if line.ref != line.identity:
            raise lines.wrong("ref is not the digest of the block's key")
        made = list(lines.some(InstanceLine, line.instances))
        places.blocks[line.ref] = (_block(session, lines, line, made), line)


def _block(session: Session, lines: Lines, line: BlockLine, made: Sequence[InstanceLine]) -> int:
    """Store a block as far as it is longer than what is there, and return its id."""
    version = get_or_create(session, t.FamilyVersion, {"name": line.family, "version": line.version}, kind=line.kind)
    key = {name: getattr(line, name) for name in ("size", "seed", "number", "variant", "modules")}
    block_id = get_or_create(session, t.Block, {"family_version_id": version} | key, knobs=line.knobs, **UNMADE)
    row = session.get_one(t.Block, block_id, with_for_update=True)
    named = f"{line.family} version {line.version}, {line.size}, seed {line.seed}, block {line.number}, {line.variant}"
    keys = {one.position: one.key for one in made}
    if len(keys) != len(made) or any(position >= line.prepared for position in keys):
        raise lines.wrong(f"{named}: an instance stands twice, or beyond what was prepared")
    stored = select(t.Instance.position, t.Instance.key).where(t.Instance.block_id == block_id)
    here: dict[int, str] = {row[0]: row[1] for row in session.execute(stored)}
    both = range(min(row.prepared, line.prepared))
    if row.knobs != line.knobs or any(here.get(position) != keys.get(position) for position in both):
        raise RequestError(f"{named}: the instances here are others than the archive's; {ELSEWHERE}")
    if line.prepared > row.prepared:
        new = [one for one in made if one.position >= row.prepared]
        for one in new:
            if problem := _problem(line, one):
                raise lines.wrong(f"{named}, position {one.position}: {problem}")
        rows = [
            {"block_id": block_id, "position": one.position, "key": one.key, "greedy_fails": one.greedy_fails}
            | {"document": pack_document(one.document)}
            for one in new
        ]
        insert_rows(session, t.Instance, rows)
        row.prepared, row.discards, row.holes = line.prepared, line.discards, line.holes
    return block_id


UNMADE: dict[str, Any] = {"prepared": 0, "discards": {}, "holes": {}}


def _problem(block: BlockLine, one: InstanceLine) -> str | None:
    """Return why an instance can't be what its line says; None where this program finds nothing wrong.

    It must be of its block, and its exact answer must pass: whoever runs the same questions later gets it from here.
    """
    said = {name: getattr(block, name) for name in ("family", "version", "size", "seed", "variant", "knobs")}
    modules, index = [name for name in block.modules.split("+") if name], block.number * POSITIONS + one.position
    said |= {"modules": modules, "index": index}
    if wrong := [name for name, value in said.items() if one.document.get(name) != value]:
        return f"its {wrong[0]} is not that of its block"
    attempt = one.document.get("attempt")
    base = base_key(block.family, block.version, block.knobs, block.seed, index, attempt)  # type: ignore[arg-type]
    if one.key != digest([base, block.variant, sorted(modules)]):
        return "its key is not that of what it says"
    if block.family not in registry.modules() or registry.get(block.family).version != block.version:
        return None
    family = registry.get(block.family)
    if block.size not in family.sizes or family.sizes[block.size].plain() != block.knobs:
        return f"its knobs are not those of {block.family} {block.size}"
    try:
        posed = load(one.document, family.modes_of(block.variant)[0])
        verdict = judge_answer(posed, family.exact(posed.instance, posed.mode))
    except Exception as error:  # noqa: BLE001  (whatever a made-up document may bring about)
        return f"it can't be read ({type(error).__name__}: {error})"
    return None if all(check.satisfied for check in verdict.checks) else "its exact answer is wrong"


# --- answers ----------------------------------------------------------------------------------------------------------


def _shards(lines: Lines) -> Iterator[tuple[ShardLine, Iterator[AnswerLine]]]:
    """Yield shards, each with its answers, which must be taken before the next."""
    while (shard := lines.next(ShardLine)) is not None:
        if not (shard.first < shard.last and shard.first_sample < shard.last_sample):
            raise lines.wrong("the shard asks nothing")
        if (shard.tally is not None) != (shard.state == "complete"):
            raise lines.wrong("a shard has a tally where it is complete, and only there")
        if any(
            len(cells) != shard.last - shard.first for cells in (shard.tally.measures if shard.tally else {}).values()
        ):
            raise lines.wrong("a measure of the tally has not as many pairs as the shard has positions")
        yield shard, _within(lines, shard)


def _within(lines: Lines, shard: ShardLine) -> Iterator[AnswerLine]:
    for line in lines.some(AnswerLine, shard.answers):
        if not (shard.first <= line.position < shard.last and shard.first_sample <= line.sample < shard.last_sample):
            raise lines.wrong("the answer is none to what its shard asks")
        yield line


def _baseline(session: Session, lines: Lines, places: _Places, shard: ShardLine, found: list[AnswerLine]) -> None:
    """Store what a baseline answered at positions at which it has not answered here."""
    if shard.model not in places.baselines or shard.presentation or shard.asked_channel or shard.state != "complete":
        raise lines.wrong("this is not a complete shard of a baseline")
    model_id, question_id = places.models[shard.model], places.question(session, shard.block, shard.mode)
    mine = (t.Shard.batch_id.is_(None), t.Shard.model_id == model_id, t.Shard.question_id == question_id)
    taken: set[int] = set()
    for other in session.scalars(select(t.Shard).where(*mine)):
        if other.state != "complete" and other.first < shard.last and shard.first < other.last:
            raise RequestError(
                "a baseline is being answered here on the same instances; let the batch that asks it finish"
                f" (`probe status` lists them), or {ELSEWHERE}"
            )
        taken.update(range(other.first, other.last))
    free = [position for position in range(shard.first, shard.last) if position not in taken]
    for _, run in groupby(enumerate(free), lambda pair: pair[1] - pair[0]):
        span = [position for _, position in run]
        of_span = [line for line in found if span[0] <= line.position <= span[-1]]
        asked = {"batch_id": None, "model_id": model_id, "presentation_id": None, "question_id": question_id}
        _store(session, lines, places, shard, asked | {"first": span[0], "last": span[-1] + 1}, of_span)


def _batch(session: Session, archive: Archive, lines: Lines, places: _Places, batch: BatchLine, done: Restored) -> None:
    known = session.scalar(select(t.Batch).where(t.Batch.name == batch.name))
    if known is not None:
        if not _same(session, archive, batch, known):
            raise RequestError(
                f"batch {batch.name!r} is here already, with another spec or other answers (or judged anew, or pruned"
                f" since); {ELSEWHERE}"
            )
        done.known.append(batch.name)
        return
    _check_spec(lines, batch)
    values = batch.model_dump(exclude={"entry", "questions"})
    batch_id = insert_new(session, t.Batch, **values)
    assert batch_id is not None
    questions = [
        {
            "batch_id": batch_id,
            "question_id": places.question(session, part.block, part.mode),
            "last": part.last,
            "state": part.state,
            "attempts": 0,
            "error": part.error,
        }
        for part in batch.questions
    ]
    insert_rows(session, t.BatchQuestion, questions)
    with archive.lines(batch.entry) as answered:
        for shard, found in _shards(answered):
            if shard.model in places.baselines or shard.presentation is None or shard.asked_channel is None:
                raise answered.wrong("this is not a shard of a model")
            asked = {
                "batch_id": batch_id,
                "model_id": _known(places.models, shard.model, "model"),
                "presentation_id": _known(places.presentations, shard.presentation, "presentation"),
                "question_id": places.question(session, shard.block, shard.mode),
            }
            span = {"first": shard.first, "last": shard.last}
            done.trials += _store(session, answered, places, shard, asked | span, found)
    work.recount_outcomes(session, batch_id)
    done.stored.append(batch.name)


def _same(session: Session, archive: Archive, batch: BatchLine, known: t.Batch) -> bool:
    """Return whether a batch here has the same spec and the same answers: whether it would be archived alike."""
    said = archive.manifest.entries.get(batch.entry)
    if said is None or known.spec_digest != batch.spec_digest:
        return False
    seen = hashlib.sha256()
    for line in answers(session, known.id, references(session, [known.id])):
        seen.update(packed(line))
    return seen.hexdigest() == said.sha256


def _check_spec(lines: Lines, batch: BatchLine) -> None:
    try:
        spec = stored_spec(batch.spec)
        batches.checked(spec)
    except RequestError as error:
        raise lines.wrong(f"spec of {batch.name!r}: {error}") from None
    except (TypeError, KeyError, AttributeError):
        raise lines.wrong(f"spec of {batch.name!r}: not one of this program") from None
    if spec.digest != batch.spec_digest:
        raise lines.wrong(f"spec of {batch.name!r}: not that of its digest")


def _store(
    session: Session,
    lines: Lines,
    places: _Places,
    shard: ShardLine,
    asked: dict[str, Any],
    found: Iterable[AnswerLine],
) -> int:
    """Store a shard, or the part of it that ``asked`` says, with its answers; return how many trials that were."""
    span = {"first_sample": shard.first_sample, "last_sample": shard.last_sample}
    row = {"asked_channel": shard.asked_channel, "state": shard.state, "attempts": 0, "error": shard.error}
    shard_id = insert_new(session, t.Shard, **asked, **span, **row)
    if shard_id is None:
        raise lines.wrong("the shard stands there twice")
    places.shards.append(shard_id)
    stored, answered = 0, iter(found)
    while group := list(islice(answered, AT_ONCE)):
        trials = [(shard_id, _record(line)) for line in group if line.trial is not None]
        work.save_trials(session, trials)
        stored += len(trials)
        calls = [
            {"shard_id": shard_id, "position": line.position, "sample": line.sample}
            | call.model_dump(exclude={"raw", "raw_base64"})
            | {"raw": _raw(lines, call)}
            for line in group
            for call in line.calls
        ]
        insert_rows(session, t.Call, calls)
    if shard.tally is not None:
        first, last = asked["first"], asked["last"]
        matrix = np.zeros((len(shard.tally.measures), POSITIONS, 2), np.int32)
        for i, cells in enumerate(shard.tally.measures.values()):
            matrix[i, first:last] = cells[first - shard.first : last - shard.first]
        names, packed_matrix = pack(list(shard.tally.measures), matrix)
        tally = {"shard_id": shard_id, "judge_version": shard.tally.judge_version}
        insert_rows(session, t.Tally, [tally | {"measures": names, "matrix": packed_matrix}])
    insert_rows(session, t.Rejudged, [{"shard_id": shard_id} | part.model_dump() for part in shard.rejudged])
    return stored


def _record(line: AnswerLine) -> Record:
    assert line.trial is not None
    fields = line.trial.model_dump(exclude={"kinds"})
    kinds = tuple(KindResult(**part.model_dump()) for part in line.trial.kinds)
    return Record(position=line.position, sample=line.sample, kinds=kinds, counts={}, **fields)


def _raw(lines: Lines, call: CallPart) -> bytes | None:
    """Return a reply's body as the database keeps it."""
    body = call.raw.encode() if call.raw is not None else None
    if call.raw_base64 is not None:
        try:
            body = base64.b64decode(call.raw_base64, validate=True)
        except binascii.Error:
            raise lines.wrong("raw_base64 is not base64") from None
    if body is not None and len(body) > MAX_BODY:
        raise lines.wrong(f"a reply is larger than {MAX_BODY} bytes")
    return None if body is None else work.compress(body)
