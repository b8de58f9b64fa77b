"""Logs for inspect_ai: what its reader finds in them is what is stored here.

`make test` checks against the JSON schema of inspect_ai 0.3.285's logs; `make inspect` also has the package read them,
out of its own environment (PROBE_INSPECT names the Python that has it).
"""

import json
import os
import subprocess
from pathlib import Path

import jsonschema
import pytest
from sqlalchemy import func, select

from probe.errors import RequestError
from probe.results.inspect_log import write_logs
from probe.store.queries import describe_trial
from probe.store.tables import Batch, Call, Model, Shard, Trial

HERE = Path(__file__).parent
SCHEMA = json.loads((HERE / "inspect_log.schema.json").read_text(encoding="utf-8"))
PYTHON = os.environ.get("PROBE_INSPECT")


@pytest.fixture(scope="module")
def logs(study, tmp_path_factory):
    """The logs of the study, by model, and their folder."""
    folder = tmp_path_factory.mktemp("logs") / "new"
    with study.reading() as session:
        files = write_logs(session, folder)
    found = [json.loads(file.read_text(encoding="utf-8")) for file in files]
    return {log["eval"]["model"]: log for log in found}, folder


def rates(study, model):
    """Means over the scored trials of a model: share satisfied, feasible."""
    with study.reading() as session:
        query = select(Trial).join(Shard).join(Model, Shard.model_id == Model.id).where(Model.name == model)
        trials = [t for t in session.scalars(query) if t.outcome not in ("transport_error", "no_reply", "cap_hit")]
    shares = [trial.satisfied / trial.constraints for trial in trials]
    return sum(shares) / len(shares), sum(t.outcome in ("feasible", "optimal") for t in trials) / len(trials)


def test_a_log_for_each_model_of_a_batch_is_one_of_inspect_ai(logs):
    """By the schema of its own classes, without a name that it doesn't know; sample and epoch are unique."""
    by_model, folder = logs
    assert by_model.keys() == {"tiny", "large"}
    assert len(list(folder.iterdir())) == 2
    for log in by_model.values():
        jsonschema.Draft202012Validator(SCHEMA).validate(log)
        places = [(sample["id"], sample["epoch"]) for sample in log["samples"]]
        assert len(places) == len(set(places)) == log["eval"]["dataset"]["samples"] == 64


def test_samples_say_what_trials_say(logs, study):
    """Prompt, reply, exact answer, scores and tokens; an instrument's failure is an error without scores."""
    by_model, _ = logs
    with study.reading() as session:
        outcomes = set()
        for log in by_model.values():
            for sample in log["samples"][::3]:
                told = describe_trial(session, sample["metadata"]["trial"])
                outcomes.add(told["outcome"])
                assert sample["input"] == [{"role": "user", "content": told["prompt"]}]
                assert json.loads(sample["target"]) == json.loads(told["exact"])
                message = sample["output"]["choices"][0]["message"]
                if told["reply"]["tool_arguments"]:
                    assert message["tool_calls"][0]["arguments"] == json.loads(told["reply"]["tool_arguments"])
                else:
                    assert message["content"] == (told["reply"]["text"] or message["content"])
                unscored = told["outcome"] in ("no_reply", "cap_hit")
                assert ("error" in sample, not sample["scores"]) == (unscored, unscored)
                if not unscored:
                    share = told["satisfied"] / len(told["checks"])
                    assert sample["scores"]["satisfaction"]["value"] == share
                assert sample["model_usage"][log["eval"]["model"]]["total_tokens"] == 10
        assert {"infeasible", "unparsed", "malformed", "no_reply", "cap_hit", "refusal"} <= outcomes


def test_results_are_means_over_scored_trials(logs, study):
    """And the usage is that of all calls."""
    by_model, _ = logs
    for model, log in by_model.items():
        satisfied, feasible = rates(study, model)
        means = {score["name"]: score["metrics"]["mean"]["value"] for score in log["results"]["scores"]}
        assert means["satisfaction"] == pytest.approx(satisfied)
        assert means["feasible"] == pytest.approx(feasible)
        with study.reading() as session:
            mine = select(func.count()).select_from(Call).join(Shard).join(Model, Shard.model_id == Model.id)
            calls = session.scalar(mine.where(Model.name == model))
        assert log["stats"]["model_usage"][model]["total_tokens"] == 10 * calls


def test_one_log_goes_into_one_file(study, tmp_path):
    """Several need a folder; none is an error."""
    with study.reading() as session:
        batch = session.scalars(select(Batch.id).where(Batch.name == "main")).one()
        assert write_logs(session, tmp_path / "a.json", [batch], {"model": "tiny"}) == [tmp_path / "a.json"]
        with pytest.raises(RequestError, match=r"2 logs \(main x tiny, main x large"):
            write_logs(session, tmp_path / "b.json")
        with pytest.raises(RequestError, match="no model has answered"):
            write_logs(session, tmp_path / "logs", where={"outcome": "transport_error"})
        (tmp_path / "taken").write_text("")
        with pytest.raises(RequestError, match="--output"):
            write_logs(session, tmp_path / "taken")
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["a.json", "taken"]


if PYTHON:

    def test_inspect_ai_reads_them(logs):
        """The real package lists the files, reads them whole, by header and by summaries, and finds the same."""
        by_model, folder = logs
        command = [PYTHON, str(HERE.parent / "bench" / "inspect_log.py"), "read", str(folder)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        found = {log["model"]: log for log in json.loads(done.stdout)}
        assert found.keys() == by_model.keys()
        for model, log in by_model.items():
            theirs = found[model]
            assert (theirs["task"], theirs["status"]) == ("solver-probe/main", "success")
            assert theirs["means"] == {
                score["name"]: pytest.approx(score["metrics"]["mean"]["value"]) for score in log["results"]["scores"]
            }
            assert theirs["usage"][model]["total_tokens"] == log["stats"]["model_usage"][model]["total_tokens"]
            assert theirs["summaries"] == len(theirs["samples"]) == len(log["samples"])
            for mine, other in zip(log["samples"], theirs["samples"], strict=True):
                assert (other["id"], other["epoch"]) == (mine["id"], mine["epoch"])
                assert other["prompt"] == mine["input"][0]["content"]
                assert other["scores"] == {name: score["value"] for name, score in mine["scores"].items()}
                assert (other["error"] is None) == ("error" not in mine)
                assert other["roles"] == ["user", "assistant"]
                calls = mine["messages"][-1].get("tool_calls", [])
                assert other["calls"] == [call["arguments"] for call in calls]
