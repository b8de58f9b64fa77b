"""Rejudging: verdicts recomputed from stored replies, without a new call; and asking failed trials again."""

import zlib
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.orm import Session

from probe.asking.calls import CallResult, UnreadableBodyError, read_reply
from probe.asking.judging import JUDGE_VERSION, Verdict, judge_stored
from probe.asking.measures import pack, tally
from probe.asking.posed import Posed, load
from probe.asking.records import Record, record
from probe.preparing import unpack_document
from probe.running import judge_result
from probe.store import work
from probe.store.sessions import Store
from probe.store.tables import (
    Batch,
    Block,
    Call,
    ConstraintResult,
    FamilyVersion,
    Presentation,
    Question,
    Rejudged,
    Shard,
    Tally,
    Trial,
)
from solvers import registry


@dataclass
class Changes:
    """What rejudging did: trials judged, moves (old outcome, new outcome) -> trials, trials with another count."""

    trials: int = 0
    moved: Counter[tuple[str, str]] = field(default_factory=Counter)
    recounted: int = 0
    skipped: int = 0  # trials of a family version that this program no longer has


def rejudge(store: Store) -> Changes:
    """Recompute every verdict of every complete shard; a shard's verdicts and tally change in one transaction.

    At the end the trials of each batch are counted anew, which mends counts that were wrong.
    """
    changes = Changes()
    with store.reading() as session:
        ids = list(session.scalars(select(Shard.id).where(Shard.state == "complete").order_by(Shard.id)))
    for shard_id in ids:
        with store.writing() as session:
            _rejudge_shard(session, shard_id, store.now(session), changes)
    with store.reading() as session:
        batches = list(session.scalars(select(Batch.id).order_by(Batch.id)))
    for batch_id in batches:
        with store.writing() as session:
            work.recount_outcomes(session, batch_id)
    return changes


def _rejudge_shard(session: Session, shard_id: int, now: float, changes: Changes) -> None:
    shard = session.get_one(Shard, shard_id)
    question = session.get_one(Question, shard.question_id)
    block = session.get_one(Block, question.block_id)
    version = session.get_one(FamilyVersion, block.family_version_id)
    trials = list(session.scalars(select(Trial).where(Trial.shard_id == shard_id).order_by(Trial.id)))
    if version.name not in registry.modules() or registry.get(version.name).version != version.version:
        changes.skipped += len(trials)
        return
    form = None
    if shard.presentation_id is not None:
        form = session.get_one(Presentation, shard.presentation_id).form
    documents = work.instance_documents(session, block.id, shard.first, shard.last)
    posed = {p: load(unpack_document(blob), question.mode) for p, blob in documents.items()}  # type: ignore[arg-type]
    replies = _replies(session, shard_id)
    records: list[tuple[Trial, Record]] = []
    for trial in trials:
        verdict = _verdict(posed[trial.position], trial, replies.get((trial.position, trial.sample)), form)
        records.append((trial, record(posed[trial.position], trial.position, trial.sample, verdict)))
    changed = 0
    moved: Counter[str] = Counter()
    for trial, new in records:
        changes.trials += 1
        if trial.outcome != new.outcome:
            changes.moved[trial.outcome, new.outcome] += 1
            moved[trial.outcome] -= 1
            moved[new.outcome] += 1
        elif trial.satisfied != new.satisfied:
            changes.recounted += 1
        changed += (trial.outcome, trial.satisfied) != (new.outcome, new.satisfied)
    old_version = session.get_one(Tally, shard_id).judge_version
    if not changed and old_version == JUDGE_VERSION:
        return
    ids = [trial.id for trial in trials]
    session.execute(delete(ConstraintResult).where(ConstraintResult.trial_id.in_(ids)))
    rows: list[dict[str, Any]] = []
    for trial, new in records:
        for name in ("outcome", "answer", "constraints", "satisfied", "objective", "gap"):
            setattr(trial, name, getattr(new, name))
        if (trial.position, trial.sample) in replies:  # else repairs and error can't be known again
            trial.repairs, trial.error = new.repairs, new.error
        trial.judge_version = JUDGE_VERSION
        rows += [
            {"trial_id": trial.id, "kind": k.kind, "constraints": k.constraints}
            | {"satisfied": k.satisfied, "failed": k.failed}
            for k in new.kinds
        ]
    if rows:
        session.execute(insert(ConstraintResult), rows)
    names, matrix = pack(*tally((new.position, new.counts) for _, new in records))
    session.execute(
        update(Tally)
        .where(Tally.shard_id == shard_id)
        .values(judge_version=JUDGE_VERSION, measures=names, matrix=matrix)
    )
    if shard.batch_id is not None:
        work.count_outcomes(session, shard.batch_id, moved)
    session.add(
        Rejudged(shard_id=shard_id, at=now, old_version=old_version, new_version=JUDGE_VERSION, changed=changed)
    )


def _replies(session: Session, shard_id: int) -> dict[tuple[int, int], bytes]:
    """Return the raw body of the last answered attempt of each trial that still has one."""
    query = select(Call.position, Call.sample, Call.raw).where(Call.shard_id == shard_id, Call.raw.is_not(None))
    return {(p, sample): raw for p, sample, raw in session.execute(query.order_by(Call.number)) if raw is not None}


def _verdict(posed: Posed, trial: Trial, raw: bytes | None, form: Any) -> Verdict:
    if raw is None:
        return judge_stored(posed, trial.outcome, trial.answer)  # type: ignore[arg-type]
    try:
        reply = read_reply(zlib.decompress(raw), form)
    except UnreadableBodyError as error:
        return judge_result(posed, CallResult((), None, str(error)))
    return judge_result(posed, CallResult((), reply, None))


def retry(session: Session, now: float, batch: Batch) -> tuple[int, int]:
    """Take back a batch's trials that got no reply, so that resuming asks them again.

    Returns how many were taken back, and how many were left because another process holds their shards. A trial that
    hit its cap would hit it again: it stays.
    """
    lost = Trial.outcome.in_(("transport_error", "no_reply"))
    has_lost = select(Trial.id).where(Trial.shard_id == Shard.id, lost).exists()
    query = select(Shard.id).where(Shard.batch_id == batch.id, work.unheld(Shard, now), has_lost).order_by(Shard.id)
    taken: Counter[str] = Counter()
    for shard_id in session.scalars(query.with_for_update()).all():
        gone = delete(Trial).where(Trial.shard_id == shard_id, lost)
        taken.update(session.scalars(gone.returning(Trial.outcome)).all())
        session.execute(delete(Tally).where(Tally.shard_id == shard_id))
        # An expired lease ends here: its late owner would leave a tally with the trials that are gone.
        session.execute(update(Shard).where(Shard.id == shard_id).values(state="pending", **work.FREE))
    if taken:
        batch.state, batch.finished_at = "queued", None
        session.flush()
        work.count_outcomes(session, batch.id, {outcome: -trials for outcome, trials in taken.items()})
    of_batch = select(func.count(Trial.id)).join(Shard, Trial.shard_id == Shard.id).where(Shard.batch_id == batch.id)
    return taken.total(), session.scalars(of_batch.where(lost)).one()
