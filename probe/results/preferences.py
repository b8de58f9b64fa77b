"""Preference pairs for training: the exact answer chosen, the model's own wrong answer rejected.

Each line is what trainers of preference models take (prompt, chosen, rejected: lists of messages; `tools` where there
is one). The prompt is what the model saw. The chosen answer is written as the channel wants it, so that it differs
from the rejected one in the answer and not in the form that was asked for.
"""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from probe.asking.calls import CallResult, Reply
from probe.errors import RequestError
from probe.results.files import replacing
from probe.results.replies import Replied, replied
from probe.running import judge_result
from probe.store import tables as t
from solvers import registry
from solvers.keys import digest

WRONG = ("refusal", "unparsed", "malformed", "infeasible", "feasible")  # scored, and not the best that there is
READ = ("infeasible", "feasible")  # an answer that was read: its violations are its own


@dataclass
class Pairs:
    """How many pairs were written, and how many wrong answers were left out, by reason."""

    written: int = 0
    left_out: Counter[str] = field(default_factory=Counter)


def write_preferences(
    session: Session,
    file: Path,
    batches: Sequence[int] | None = None,
    where: Mapping[str, str] | None = None,
    kinds: Sequence[str] = (),
) -> Pairs:
    """Write a pair for each wrong answer of a model, once each, as JSON lines.

    ``kinds``: only answers that violate a constraint of one of these kinds. Unscored trials, the instrument's failures,
    are never used. Raises RequestError for unknown keys in ``where``, a kind that no family has, or another ending.
    """
    if file.suffix != ".jsonl":
        raise RequestError(f"--output {file}: the name must end with .jsonl")
    known = sorted({kind for family in registry.families() for kind in family.constraint_kinds})
    if unknown := [kind for kind in kinds if kind not in known]:
        raise RequestError(f"--kinds: unknown {unknown[0]!r}; some of {', '.join(known)}")
    done = Pairs()
    with replacing(file) as target:
        for pair in pairs(session, batches, where or {}, frozenset(kinds), done):
            target.write(json.dumps(pair).encode() + b"\n")
            done.written += 1
    return done


def pairs(
    session: Session, batches: Sequence[int] | None, where: Mapping[str, str], kinds: frozenset[str], done: Pairs
) -> Iterator[dict[str, Any]]:
    """Yield pairs, and count in ``done`` what is left out and why."""
    seen: set[str] = set()
    question = None
    for some in replied(session, batches, where, t.Trial.outcome.in_(WRONG)):
        violated = _violated(session, [one.trial.id for one in some])
        for one in some:
            if question != one.shard.question_id:
                question, seen = one.shard.question_id, set()  # other questions have other prompts
            broken = violated.get(one.trial.id, []) if one.trial.outcome in READ else []
            if kinds and not kinds.intersection(broken):
                continue
            pair = _pair(one, broken)
            if isinstance(pair, str):
                done.left_out[pair] += 1
                continue
            if pair is None:
                continue
            identity = digest([pair["prompt"], pair.get("tools"), pair["rejected"]])
            if identity in seen:
                done.left_out["the same answer to the same prompt stands there already"] += 1
                continue
            seen.add(identity)
            yield pair


def _violated(session: Session, ids: Sequence[int]) -> dict[int, list[str]]:
    query = select(t.ConstraintResult).where(
        t.ConstraintResult.trial_id.in_(ids), t.ConstraintResult.satisfied < t.ConstraintResult.constraints
    )
    out: dict[int, list[str]] = {}
    for row in session.scalars(query):
        out.setdefault(row.trial_id, []).append(row.kind)
    return {trial: sorted(found) for trial, found in out.items()}


def _pair(one: Replied, violated: list[str]) -> dict[str, Any] | str | None:
    """Return the pair of a wrong answer, the reason why there is none, or None where the answer is right."""
    posed, trial = one.posed, one.trial
    if posed is None:
        return "its family has moved on to another version"
    if trial.outcome == "feasible" and posed.objective is None:
        return None
    if not one.as_asked:
        return "it was asked with another version of the prompt's template"
    if one.reply is None:
        return "its raw reply was pruned"
    verdict = judge_result(posed, CallResult((), one.reply, None))
    if (verdict.outcome, verdict.satisfied) != (trial.outcome, trial.satisfied):
        return "this program judges it otherwise (run probe rejudge)"
    pair: dict[str, Any] = {"prompt": one.prompt, "chosen": [_best(one)], "rejected": [_own(one.reply)]}
    if one.tools:
        pair["tools"] = one.tools
    return pair | {
        "metadata": one.facts
        | {
            "trial": trial.id,
            "batch": one.batch.name,
            "model": one.model.name,
            "outcome": trial.outcome,
            "violated": violated,
            "satisfied": trial.satisfied,
            "constraints": trial.constraints,
            "gap": None if trial.gap is None else trial.gap / 1e6,
            "judge_version": trial.judge_version,
        }
    }


def _best(one: Replied) -> dict[str, Any]:
    """Return the message by which the model would have given the exact answer through its channel."""
    text = json.dumps(one.exact)
    return _called(text) if one.presentation.form == "tool" else {"role": "assistant", "content": text}


def _own(reply: Reply) -> dict[str, Any]:
    """Return the message by which the model answered, as it wrote it."""
    if reply.tool_arguments is not None:
        return _called(reply.tool_arguments) | {"content": reply.text or ""}
    return {"role": "assistant", "content": reply.answer_text or reply.refusal or ""}


def _called(arguments: str) -> dict[str, Any]:
    call = {"id": "call_1", "type": "function", "function": {"name": "answer", "arguments": arguments}}
    return {"role": "assistant", "content": "", "tool_calls": [call]}
