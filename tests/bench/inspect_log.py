"""What inspect_ai itself says of its logs, run by the Python of .venv-bench.

`inspect_log.py read FOLDER` prints what it reads in the logs of a folder that its viewer would list, as JSON;
`inspect_log.py schema FILE` writes the JSON schema of its logs, without events, which ours have none of.
"""

import json
import sys
from pathlib import Path

import inspect_ai
from inspect_ai.log import EvalLog, list_eval_logs, read_eval_log, read_eval_log_sample_summaries

LEFT_OUT = ("events", "timelines", "events_data", "attachments", "sandbox", "error_retries", "log_updates")
LEFT_OUT += ("config_updates", "reductions", "connection_limit_history", "model_roles", "viewer", "approval", "review")


def schema():
    """The schema, closed: a name that inspect_ai doesn't know would be dropped unseen."""
    whole = EvalLog.model_json_schema()
    definitions = whole.pop("$defs")
    for one in (whole, *definitions.values()):
        for name in LEFT_OUT:
            one.get("properties", {}).pop(name, None)
        if "properties" in one:
            one["additionalProperties"] = False
    kept, new = {}, [whole]
    while new:
        for part in json.dumps(new.pop()).split('"#/$defs/')[1:]:
            name = part.partition('"')[0]
            if name not in kept:
                kept[name] = definitions[name]
                new.append(definitions[name])
    said = f"Of inspect_ai {inspect_ai.__version__}, by tests/bench/inspect_log.py."
    return {"$comment": said, "$defs": dict(sorted(kept.items())), **bare(whole)}


def bare(value):
    """A schema's object without what only people read."""
    return {key: part for key, part in value.items() if key not in ("description", "title", "default")}


def read(folder):
    """What is in each log, by the package's own reader; its header alone must say the same."""
    out = []
    for info in list_eval_logs(folder):
        log = read_eval_log(info)
        assert read_eval_log(info, header_only=True).results == log.results
        summaries = read_eval_log_sample_summaries(info)
        out.append(
            {
                "task": log.eval.task,
                "model": log.eval.model,
                "status": log.status,
                "means": {score.name: score.metrics["mean"].value for score in log.results.scores},
                "usage": {name: usage.model_dump(exclude_none=True) for name, usage in log.stats.model_usage.items()},
                "summaries": len(summaries),
                "samples": [
                    {
                        "id": sample.id,
                        "epoch": sample.epoch,
                        "roles": [message.role for message in sample.messages],
                        "prompt": sample.messages[0].text,
                        "completion": sample.output.completion,
                        "calls": [call.arguments for call in getattr(sample.messages[-1], "tool_calls", None) or []],
                        "scores": {name: score.value for name, score in (sample.scores or {}).items()},
                        "error": sample.error.message if sample.error else None,
                        "tokens": {name: usage.total_tokens for name, usage in sample.model_usage.items()},
                    }
                    for sample in log.samples
                ],
            }
        )
    return out


if __name__ == "__main__":
    what, where = sys.argv[1:]
    if what == "schema":
        Path(where).write_text(json.dumps(schema(), separators=(",", ":"), sort_keys=True) + "\n", encoding="utf-8")
    else:
        print(json.dumps(read(where)))
