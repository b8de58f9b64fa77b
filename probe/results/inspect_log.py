"""Logs for the viewer of inspect_ai: one for each model of a batch, a sample for each trial.

The format is version 2 of inspect_ai's JSON log (https://inspect.aisi.org.uk/eval-logs.html). Samples are written one
by one, so that memory holds one question's instances at a time. A trial that the instrument failed is a sample with an
error and without scores, as it is in no rate here.
"""

import json
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version as installed
from pathlib import Path
from typing import IO, Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from probe.asking.calls import Reply
from probe.asking.judging import CAPPED, FEASIBLE, UNSCORED
from probe.errors import RequestError
from probe.results.files import replacing
from probe.results.replies import Replied, replied
from probe.store import queries
from probe.store import tables as t
from solvers.keys import digest

LOG_VERSION = 2
SCORES = ("satisfaction", "feasible", "optimal")
MOVED_ON = "(asked in a version of its family that this program no longer has)"


def write_logs(
    session: Session, output: Path, batches: Sequence[int] | None = None, where: Mapping[str, str] | None = None
) -> list[Path]:
    """Write the logs of the models' trials into a folder, which is made, or the only one to a file that ends with
    .json, and return the files.

    Raises RequestError for unknown keys in ``where``, where there are no trials, or several logs for one file.
    """
    met = [t.Model.kind == "endpoint", *queries.conditions(batches, where or {})]
    columns = (t.Batch.id, t.Model.id, t.Batch.name, t.Model.name, t.Batch.created_at)
    query = queries.joined(*columns).where(*met).distinct()
    found = session.execute(query.order_by(t.Batch.id, t.Model.id)).all()
    if not found:
        raise RequestError("no model has answered anything there; `probe trials` lists trials")
    single = output.suffix == ".json"
    if single and len(found) > 1:
        some = ", ".join(f"{batch} x {model}" for _, _, batch, model, _ in found[:4])
        raise RequestError(
            f"--output {output}: there are {len(found)} logs ({some} …), one for each model of a batch; name a folder,"
            " or choose with --batch and --where model=NAME"
        )
    if not single:
        try:
            output.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RequestError(f"--output {output}: {error.strerror or error}") from None
    files = []
    for batch_id, model_id, batch_name, model_name, created in found:
        # The viewer lists only what is named so: time, task, model, id.
        at = datetime.fromtimestamp(created, UTC).strftime("%Y-%m-%dT%H-%M-%S+00-00")
        names = [re.sub(r"[^A-Za-z0-9.-]", "-", name)[:80] for name in (batch_name, model_name)]
        file = output if single else output / f"{at}_{names[0]}_{names[1]}_{batch_id}-{model_id}.json"
        with replacing(file) as target:
            _write(session, target, batch_id, model_id, where or {})
        files.append(file)
    return files


def _write(session: Session, target: IO[bytes], batch_id: int, model_id: int, where: Mapping[str, str]) -> None:
    """Write a log: its header, then its samples."""
    header = _header(session, batch_id, model_id, where)
    text = json.dumps(header, ensure_ascii=False)
    target.write(text[:-1].encode() + b',"samples":[')
    between = b"\n"
    for some in replied(session, [batch_id], where, t.Model.id == model_id):
        for one in some:
            target.write(between + json.dumps(_sample(one), ensure_ascii=False).encode())
            between = b",\n"
    target.write(b"\n]}\n")


def _header(session: Session, batch_id: int, model_id: int, where: Mapping[str, str]) -> dict[str, Any]:
    batch, model = session.get_one(t.Batch, batch_id), session.get_one(t.Model, model_id)
    met = [t.Model.id == model_id, *queries.conditions([batch_id], where)]
    shares = func.sum(t.Trial.satisfied * 1.0 / t.Trial.constraints)
    columns = (func.count(), shares, func.max(t.Trial.sample), func.max(t.Trial.judge_version))
    keys = (t.FamilyVersion.kind, t.Trial.outcome)
    rows = session.execute(queries.joined(*keys, *columns).where(*met).group_by(*keys)).all()
    trials = sum(row[2] for row in rows)
    scored = [(kind, outcome, n, float(share)) for kind, outcome, n, share, *_ in rows if outcome not in UNSCORED]
    sums = {  # (n, sum) of each score
        "satisfaction": [(n, share) for _, _, n, share in scored],
        "feasible": [(n, n * (outcome in FEASIBLE)) for _, outcome, n, _ in scored],
        "optimal": [(n, n * (outcome == "optimal")) for kind, outcome, n, _ in scored if kind == "optimization"],
    }
    mine = (t.Shard.batch_id == batch_id, t.Shard.model_id == model_id)
    used = func.sum(t.Call.prompt_tokens), func.sum(t.Call.answer_tokens), func.sum(t.Call.reasoning_tokens)
    ends = func.min(t.Call.started_at), func.max(t.Call.started_at + t.Call.seconds)
    calls = session.execute(select(*used, *ends).join(t.Shard, t.Call.shard_id == t.Shard.id).where(*mine)).one()
    spec = batch.spec
    identity = digest([batch.name, batch.created_at, model.name, dict(where)])
    config = {"temperature": spec.get("temperature"), "max_tokens": spec.get("answer_tokens")}
    facts = ("params", "active_params", "layers", "width", "training", "lineage", "reasoning")
    return {
        "version": LOG_VERSION,
        "status": "success" if batch.state == "complete" else "cancelled",
        "eval": {
            "eval_id": identity,
            "run_id": identity,
            "created": _iso(batch.created_at),
            "task": f"solver-probe/{batch.name}",
            "task_id": identity,
            "task_version": 0,
            "dataset": {"name": batch.name, "samples": trials, "shuffled": False},
            "model": model.name,
            "model_generate_config": {key: value for key, value in config.items() if value is not None},
            "config": {"epochs": 1 + max(row[4] for row in rows)},
            "packages": {"solver-probe": installed("solver-probe")},
            "scorers": [{"name": name} for name in SCORES],
            "metadata": {
                "spec": spec,
                "judge_version": max(row[5] for row in rows),
                "served_id": model.served_id,
                **{name: getattr(model, name) for name in facts},
            },
        },
        "plan": {"name": "plan", "steps": [{"solver": "generate", "params": {}}]},
        "results": {
            "total_samples": trials,
            "completed_samples": sum(n for _, _, n, _ in scored),
            "scores": [_score(name, trials, pairs) for name, pairs in sums.items()],
        },
        "stats": {
            "started_at": _iso(calls[3] or batch.created_at),
            "completed_at": _iso(calls[4] or batch.finished_at or batch.created_at),
            "model_usage": {model.name: _usage(*(int(number or 0) for number in calls[:3]))},
        },
    }


def _score(name: str, trials: int, pairs: Sequence[tuple[int, float]]) -> dict[str, Any]:
    """Return the mean of a score over the trials that have one."""
    n, total = sum(pair[0] for pair in pairs), sum(pair[1] for pair in pairs)
    metrics = {"mean": {"name": "mean", "value": total / n}} if n else {}
    return {"name": name, "scorer": name, "scored_samples": n, "unscored_samples": trials - n, "metrics": metrics}


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")


def _usage(prompt: int, answer: int, reasoning: int | None) -> dict[str, int]:
    usage = {"input_tokens": prompt, "output_tokens": answer, "total_tokens": prompt + answer}
    return usage | ({"reasoning_tokens": reasoning} if reasoning else {})


def _sample(one: Replied) -> dict[str, Any]:
    trial, call = one.trial, one.call
    if one.posed is not None:
        asked, target = one.prompt, json.dumps(one.exact)
    else:
        asked, target = [{"role": "user", "content": MOVED_ON}], ""
    facts = one.facts
    place = [facts[name] for name in ("family", "size", "seed", "index", "variant", "mode")]
    said = _assistant(one.reply, one.model.name)
    usage = None
    if call is not None and call.prompt_tokens is not None and call.answer_tokens is not None:
        usage = _usage(call.prompt_tokens, call.answer_tokens, call.reasoning_tokens)
    sample: dict[str, Any] = {
        "id": "/".join(map(str, [*place, one.shard.asked_channel, one.key])),
        "epoch": trial.sample + 1,
        "uuid": digest([one.batch.name, trial.id])[:22],
        "input": asked,
        "target": target,
        "messages": [*asked, *([said] if said else [])],
        "output": {
            "model": one.model.name,
            "choices": [{"message": said, "stop_reason": _stop(call)}] if said else [],
            "completion": (one.reply.text or "") if one.reply else "",
            **({"usage": usage} if usage else {}),
            **({"time": call.seconds} if call else {}),
        },
        "scores": _scores(one),
        "metadata": facts
        | {
            "trial": trial.id,
            "outcome": trial.outcome,
            "satisfied": trial.satisfied,
            "constraints": trial.constraints,
            "gap": None if trial.gap is None else trial.gap / 1e6,
            "repairs": trial.repairs,
            "judge_version": trial.judge_version,
            "prompt_as_asked": one.as_asked,
            "reply_kept": one.reply is not None,
        },
        "model_usage": {one.model.name: usage} if usage else {},
    }
    if call is not None:
        sample |= {"started_at": _iso(call.started_at), "completed_at": _iso(call.started_at + call.seconds)}
        sample |= {"total_time": call.seconds}
    if trial.outcome in UNSCORED:
        text = f"{trial.outcome}: {trial.error or 'no answer'}"
        sample["error"] = {"message": text, "traceback": "", "traceback_ansi": ""}
    return sample


def _scores(one: Replied) -> dict[str, Any]:
    """Return a trial's scores; of one that the instrument failed there are none."""
    trial = one.trial
    if trial.outcome in UNSCORED:
        return {}
    told = f"{trial.outcome}: {trial.satisfied} of {trial.constraints} constraints satisfied"
    if trial.error:
        told += f" ({trial.error})"
    values = {
        "satisfaction": trial.satisfied / trial.constraints,
        "feasible": int(trial.outcome in FEASIBLE),
    }
    if one.family.kind == "optimization":
        values["optimal"] = int(trial.outcome == "optimal")
    return {name: {"value": value, "answer": trial.answer, "explanation": told} for name, value in values.items()}


def _assistant(reply: Reply | None, model: str) -> dict[str, Any] | None:
    """Return the model's message, None where there is none."""
    if reply is None:
        return None
    message: dict[str, Any] = {"role": "assistant", "content": reply.text or reply.refusal or "", "model": model}
    message["source"] = "generate"
    if reply.reasoning:
        parts = [{"type": "reasoning", "reasoning": reply.reasoning}, {"type": "text", "text": message["content"]}]
        message["content"] = parts
    if reply.tool_arguments is not None:
        call: dict[str, Any] = {"id": "call_1", "function": "answer", "type": "function", "arguments": {}}
        try:
            arguments = json.loads(reply.tool_arguments)
        except (ValueError, RecursionError) as error:
            arguments, call["parse_error"] = None, f"{error}: {reply.tool_arguments}"
        call["arguments"] = arguments if isinstance(arguments, dict) else {"": arguments}
        message["tool_calls"] = [call]
    return message


def _stop(call: t.Call | None) -> str:
    reason = call.finish_reason if call else None
    if reason in CAPPED:
        return "max_tokens"
    return reason if reason in ("stop", "tool_calls", "content_filter") else "unknown"
