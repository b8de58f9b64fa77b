"""Reading single trials back: lists for people, and one trial with everything that led to its verdict."""

import json
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from probe.asking.calls import UnreadableBodyError, read_reply
from probe.asking.judging import judge_stored
from probe.asking.measures import POSITIONS
from probe.asking.posed import Posed, load
from probe.asking.presentation import Presentation, prompt
from probe.errors import RequestError, WorkError
from probe.preparing import unpack_document
from probe.store.tables import Batch, Block, Call, FamilyVersion, Instance, Model, Question, Shard, Trial
from probe.store.tables import Presentation as PresentationRow
from solvers import registry
from solvers.problem import constraint_ids
from solvers.procedure import decimal

KEYS: dict[str, Any] = {
    "model": Model.name,
    "family": FamilyVersion.name,
    "kind": FamilyVersion.kind,
    "size": Block.size,
    "variant": Block.variant,
    "modules": Block.modules,
    "seed": Block.seed,
    "mode": Question.mode,
    "channel": PresentationRow.channel,
    "effort": PresentationRow.effort,
    "batch": Batch.name,
    "outcome": Trial.outcome,
    "position": Trial.position,
    "sample": Trial.sample,
}


def joined(*columns: Any) -> Any:
    """Return the query of trials with the rows around them."""
    return (
        select(*columns)
        .select_from(Trial)
        .join(Shard, Trial.shard_id == Shard.id)
        .join(Model, Shard.model_id == Model.id)
        .join(Question, Shard.question_id == Question.id)
        .join(Block, Question.block_id == Block.id)
        .join(FamilyVersion, Block.family_version_id == FamilyVersion.id)
        .outerjoin(PresentationRow, Shard.presentation_id == PresentationRow.id)
        .outerjoin(Batch, Shard.batch_id == Batch.id)
    )


def find_batch(session: Session, given: str) -> Batch:
    """Return the batch of a name or an id. Raises RequestError."""
    batch = session.scalar(select(Batch).where(Batch.name == given))
    if batch is None and given.isdecimal() and len(given) < 18:
        batch = session.get(Batch, int(given))
    if batch is None:
        raise RequestError(f"there is no batch {given!r}; `probe status` lists them")
    return batch


def list_trials(
    session: Session, batch_id: int | None, where: dict[str, str], limit: int
) -> tuple[list[dict[str, Any]], int]:
    """Return (the newest ``limit`` trials, how many there are). Raises RequestError for unknown keys."""
    met = conditions(None if batch_id is None else [batch_id], where)
    total = int(session.scalar(joined(func.count(Trial.id)).where(*met)) or 0)
    return trials_before(session, batch_id, where, limit), total


def trials_before(
    session: Session, batch_id: int | None, where: dict[str, str], limit: int, before: int | None = None
) -> list[dict[str, Any]]:
    """Return the newest ``limit`` trials with ids below ``before``. Raises RequestError for unknown keys."""
    columns = (
        Trial.id,
        Model.name.label("model"),
        FamilyVersion.name.label("family"),
        Block.size,
        Block.seed,
        (Block.number * POSITIONS + Trial.position).label("index"),
        Question.mode,
        PresentationRow.channel,
        Trial.sample,
        Trial.outcome,
        Trial.satisfied,
        Trial.constraints,
        Batch.name.label("batch"),
    )
    met = conditions(None if batch_id is None else [batch_id], where)
    query = joined(*columns).where(*met).order_by(Trial.id.desc()).limit(limit)
    rows = session.execute(query if before is None else query.where(Trial.id < before))
    return [dict(row._mapping) for row in rows]


def conditions(batch_ids: Sequence[int] | None, where: Mapping[str, str]) -> list[Any]:
    """Return what trials must meet: of these batches, with these values. Raises RequestError for unknown keys."""
    found = []
    for key, text in where.items():
        if key not in KEYS:
            raise RequestError(f"where: unknown {key!r}; one of {', '.join(KEYS)}")
        values: list[Any] = text.split(",")
        if key in ("seed", "position", "sample"):
            if not all(value.isdecimal() and len(value) < 20 and int(value) < 2**63 for value in values):
                raise RequestError(f"where: {key}={text!r} is not a number")
            values = [int(value) for value in values]
        if key == "modules":
            values = ["" if value == "none" else value for value in values]
        absent = [KEYS[key].is_(None)] if key == "effort" and "none" in values else []
        found.append(or_(KEYS[key].in_(values), *absent))
    if batch_ids is not None:
        found.append(Shard.batch_id.in_(batch_ids))
    return found


def describe_trial(session: Session, trial_id: int) -> dict[str, Any] | None:
    """Return everything about a trial as JSON, None where there is none of this id.

    Checks are computed from the answer that was read, under this program's judge. Raises WorkError where the family
    has moved on.
    """
    trial = session.get(Trial, trial_id)
    if trial is None:
        return None
    shard = session.get_one(Shard, trial.shard_id)
    question = session.get_one(Question, shard.question_id)
    instance = session.scalars(
        select(Instance).where(Instance.block_id == question.block_id, Instance.position == trial.position)
    ).one()
    posed = _posed(instance, question.mode)
    used = Presentation()
    if shard.presentation_id is not None:
        row = session.get_one(PresentationRow, shard.presentation_id)
        used = Presentation(**{name: getattr(row, name) for name in Presentation.__dataclass_fields__})
    verdict = judge_stored(posed, trial.outcome, trial.answer)  # type: ignore[arg-type]
    calls = list(
        session.scalars(
            select(Call)
            .where(Call.shard_id == shard.id, Call.position == trial.position, Call.sample == trial.sample)
            .order_by(Call.number)
        )
    )
    return {
        "id": trial.id,
        "model": session.get_one(Model, shard.model_id).name,
        "key": instance.key,
        "family": posed.instance.family,
        "size": posed.instance.size,
        "mode": question.mode,
        "sample": trial.sample,
        "prompt": prompt(posed, used) if shard.presentation_id is not None else posed.statement,
        "reply": _reply(calls, used),
        "calls": [_call(call) for call in calls],
        "outcome": trial.outcome,
        "error": trial.error,
        "answer": trial.answer,
        "repairs": [name for name in trial.repairs.split(",") if name],
        "exact": json.dumps(posed.shape.write(posed.family.exact(posed.instance, posed.mode), posed.instance.names)),
        "objective": trial.objective,
        "optimum": None if posed.instance.optimum is None else str(posed.instance.optimum),
        "gap": None if trial.gap is None else trial.gap / 1e6,
        "satisfied": trial.satisfied,
        "checks": [
            {
                "id": check.id,
                "class": check.constraint_class,
                "says": constraint.say(posed.instance.names),
                "satisfied": check.satisfied,
                "slack": None if check.slack is None else decimal(check.slack),
                "vacuous": check.vacuous,
            }
            for check, constraint in zip(verdict.checks, posed.constraints, strict=True)
        ],
        "written": [vars(component) for component in verdict.written],
    }


def instances_before(
    session: Session, where: dict[str, Any], limit: int, before: int | None = None
) -> list[dict[str, Any]]:
    """Return the newest ``limit`` instances with ids below ``before``; ``where``: values by key of `INSTANCE_KEYS`."""
    index = (Block.number * POSITIONS + Instance.position).label("index")
    columns = [column.label(key) for key, column in INSTANCE_KEYS.items()]
    query = (
        select(Instance.id, *columns, FamilyVersion.version, index, Instance.greedy_fails)
        .join(Block, Instance.block_id == Block.id)
        .join(FamilyVersion, Block.family_version_id == FamilyVersion.id)
        .where(*(INSTANCE_KEYS[key] == value for key, value in where.items()))
        .order_by(Instance.id.desc())
        .limit(limit)
    )
    rows = session.execute(query if before is None else query.where(Instance.id < before))
    return [dict(row._mapping) for row in rows]


INSTANCE_KEYS: dict[str, Any] = {
    "key": Instance.key,
    "family": FamilyVersion.name,
    "size": Block.size,
    "seed": Block.seed,
    "variant": Block.variant,
    "modules": Block.modules,
}


def describe_instance(session: Session, instance_id: int, mode: str | None = None) -> dict[str, Any] | None:
    """Return an instance as JSON, None where there is none of this id: statement, constraints and exact answer.

    ``mode``: as it is asked; the family's first mode without it. Raises RequestError for a mode that it has not,
    WorkError where the family has moved on.
    """
    row = session.get(Instance, instance_id)
    if row is None:
        return None
    posed = _posed(row, mode)
    instance = posed.instance
    return {
        "id": row.id,
        "key": row.key,
        "family": instance.family,
        "version": instance.version,
        "size": instance.size,
        "seed": instance.seed,
        "index": instance.index,
        "variant": instance.variant,
        "modules": "+".join(instance.modules),
        "greedy_fails": row.greedy_fails,
        "mode": posed.mode,
        "statement": posed.statement,
        "schema": posed.schema,
        "constraints": [
            {"id": id_, "kind": c.kind, "class": c.constraint_class, "says": c.say(instance.names)}
            for id_, c in zip(constraint_ids(posed.constraints), posed.constraints, strict=True)
        ],
        "optimum": None if instance.optimum is None else str(instance.optimum),
        "exact": posed.shape.write(posed.family.exact(instance, posed.mode), instance.names),
    }


def _posed(row: Instance, mode: str | None) -> Posed:
    document = unpack_document(row.document)
    try:
        modes = registry.get(document["family"]).modes_of(document.get("variant", "fresh"))
        if mode is not None and mode not in modes:
            raise RequestError(f"mode: {document['family']} is not asked for {mode}; one of {', '.join(modes)}")
        return load(document, mode or modes[0])
    except (KeyError, ValueError) as error:
        if isinstance(error, RequestError):
            raise
        raise WorkError(f"instance {row.key} can't be read: {error.args[0]}; its trials and results stay") from None


def _reply(calls: list[Call], used: Presentation) -> dict[str, Any] | None:
    """Return the parts of the last reply, None where there is none or it was pruned."""
    if not calls or calls[-1].raw is None:
        return None
    try:
        reply = read_reply(zlib.decompress(calls[-1].raw), used.form)
    except UnreadableBodyError:
        return None
    return {"text": reply.text, "tool_arguments": reply.tool_arguments, "reasoning": reply.reasoning}


def _call(call: Call) -> dict[str, Any]:
    names = ("number", "kind", "status", "error", "seconds", "finish_reason", "prompt_tokens", "answer_tokens")
    return {name: getattr(call, name) for name in (*names, "reasoning_tokens", "served_model", "fingerprint")}


def render_trial(described: dict[str, Any]) -> str:
    """Return a described trial as text."""
    reply = described["reply"] or {}
    lines = [
        f"trial {described['id']}: {described['model']}, {described['family']} {described['size']}"
        f" ({described['mode']}), instance {described['key']}",
        "",
        "--- asked ---",
        described["prompt"],
        "",
        "--- replied ---",
    ]
    said = [f"[{name}] {text}" for name, text in reply.items() if text]
    lines += said or ["(no reply stored)"]
    for call in described["calls"]:
        parts = [f"{name} {value}" for name, value in call.items() if value is not None]
        lines.append("call: " + ", ".join(parts))
    lines += ["", "--- read ---", f"outcome {described['outcome']}"]
    if described["answer"] is not None:
        lines.append(f"answer  {described['answer']}")
    lines.append(f"exact   {described['exact']}")
    if described["repairs"]:
        lines.append(f"repairs {', '.join(described['repairs'])}")
    if described["error"]:
        lines.append(f"error   {described['error']}")
    if described["objective"] is not None:
        lines.append(
            f"objective {described['objective']}, optimum {described['optimum']}, gap {100 * described['gap']:.2f} %"
        )
    lines += ["", f"--- constraints: {described['satisfied']} of {len(described['checks'])} satisfied ---"]
    for check in described["checks"]:
        mark = "ok  " if check["satisfied"] else "FAIL"
        slack = "no answer" if check["slack"] is None else f"slack {check['slack']}"
        lines.append(
            f"{mark} {check['id']:<20} {slack:<14} {check['says']}" + (" (vacuous)" if check["vacuous"] else "")
        )
    if described["written"]:
        lines += ["", "--- components ---"]
        lines += [
            f"step {w['step']} component {w['component'] + 1}: {w['label'] or '-'}"
            + (f", wrong value is: {w['attractor']}" if w["attractor"] else "")
            for w in described["written"]
        ]
    return "\n".join(lines)
