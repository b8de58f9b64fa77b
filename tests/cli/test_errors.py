"""A wrong request ends with one clear line that names the field, and exit code 2; failed work with exit code 1."""

import json
import sqlite3

import pytest

from tests.endpoint import Endpoint, fails
from tests.runs import varied

WRONG = [
    (["run", "--families", "knapsak"], "knapsak"),
    (["run", "--sizes", "huge"], "sizes"),
    (["run", "--models", "nobody"], "nobody"),
    (["run", "--baselines", "wise"], "baselines"),
    (["run", "--instances", "0"], "instances"),
    (["run", "--channels", "fax"], "channels"),
    (["run", "--modes", "dance"], "modes"),
    (["run", "--modules", "conflict,nonsense"], "nonsense"),
    (["run", "--seed", "-3"], "seed"),
    (["run", "--temperature", "9"], "temperature"),
    (["run", "--effort", "heroic"], "effort"),
    (["run", "--concurrency", "0"], "concurrency"),
    (["run", "--max-calls", "0"], "max-calls"),
    (["run", "--spec", "absent.toml"], "absent.toml"),
    (["run", "--families", "knapsack", "--modes", "trace"], "modes"),
    (["run", "--models", "none", "--baselines", "none"], "models"),
    (["run", "--max-cost", "inf"], "max-cost"),
    (["resume", "nothing"], "nothing"),
    (["resume", "nothing", "--concurrency", "0"], "concurrency"),
    (["resume", "nothing", "--max-calls", "0"], "max-calls"),
    (["resume", "nothing", "--max-total-tokens", "-1"], "max-total-tokens"),
    (["resume", "nothing", "--max-cost", "nan"], "max-cost"),
    (["resume", "nothing", "--max-cost", "inf"], "max-cost"),
    (["retry", "nothing", "--concurrency", "0"], "concurrency"),
    (["status", "nothing"], "nothing"),
    (["results", "--by", "colour"], "colour"),
    (["results", "--where", "family"], "--where"),
    (["results", "--where", "colour=red"], "colour"),
    (["results", "--where", "params=big"], "params"),
    (["results", "--measure", "charm"], "charm"),
    (["results", "--format", "poem"], "poem"),
    (["show", "12"], "12"),
    (["trials", "--where", "colour=red"], "colour"),
    (["trials", "--limit", "0"], "--limit"),
    (["plot", "dream", "-o", "x.png"], "dream"),
    (["sample", "knapsak"], "knapsak"),
    (["sample", "knapsack", "--size", "huge"], "huge"),
    (["sample", "knapsack", "--mode", "trace"], "--mode"),
    (["sample", "knapsack", "--modules", "nonsense"], "nonsense"),
    (["sample", "knapsack", "--index", "-1"], "--index"),
    (["judge", "absent.jsonl"], "absent.jsonl"),
    (["models", "add", "all", "--url", "http://h/v1", "--model", "m"], "all"),
    (["models", "add", "a", "--url", "ftp://h", "--model", "m"], "--url"),
    (["models", "add", "a", "--url", "http://user:secret@h/v1", "--model", "m"], "--url"),
    (["models", "add", "a", "--url", "http://h/v1?key=secret", "--model", "m"], "--url"),
    (["models", "add", "a", "--url", "http://h/v1#secret", "--model", "m"], "--url"),
    (["models", "add", "a", "--url", "http://h/v1", "--model", "m", "--key-env", "sk-123"], "--key-env"),
    (["models", "discover", "http://h/v1?key=secret"], "--url"),
    (["models", "discover", "http://h/v1", "--key-env", "sk-123"], "--key-env"),
    (["models", "move", "nobody", "--url", "http://h/v1"], "nobody"),
    (["models", "move", "nobody", "--url", "http://h/v1?key=secret"], "--url"),
    (["models", "move", "nobody", "--url", "http://h/v1", "--key-env", "sk-123"], "--key-env"),
    (["models", "add", "a", "--url", "http://h/v1", "--model", "m", "--params", "0.5"], "--params"),
    (["models", "add", "a", "--url", "http://h/v1", "--model", "m", "--price-in", "1"], "--price-out"),
    (["models", "add", "a", "--url", "http://h/v1", "--model", "m", "--extra-body", "["], "--extra-body"),
    (["models", "remove", "nobody"], "nobody"),
]


@pytest.mark.parametrize(("arguments", "named"), WRONG, ids=[" ".join(arguments) for arguments, _ in WRONG])
def test_a_wrong_request_is_one_clear_line(probe, tmp_path, arguments, named):
    """Exit code 2, nothing on stdout, one line that names what is wrong, and no batch or model left behind."""
    code, out, err = probe(*arguments)
    assert code == 2, err
    assert out == ""
    assert named in err
    assert err.startswith("error: ")
    assert len(err.strip().splitlines()) == 1
    file = tmp_path / "solver-probe.sqlite3"
    if file.exists():
        with sqlite3.connect(file) as connection:
            for table in ("batch", "shard", "model", "endpoint"):
                query = f"SELECT count(*) FROM {table}" + (" WHERE kind = 'endpoint'" if table == "model" else "")
                assert connection.execute(query).fetchone() == (0,)


SPECS = {
    "samples = [\n": "document",
    'samples = "two"': "line 1: samples",
    "# a comment\nsamplez = 2": "line 2: samplez",
    '[[arm]]\nfamilies = ["knapsack"]\n[[arm]]\nsizes = ["huge"]': "line 4: arm 2: sizes",
    "instances = -1": "line 1: instances",
    "warning = 1": "line 1: warning",
    'arm = "x"': "arm",
}


@pytest.mark.parametrize("text", SPECS)
def test_a_malformed_spec_file_names_line_and_field(probe, tmp_path, text):
    """The message says where in the file."""
    (tmp_path / "spec.toml").write_text(text)
    code, _, err = probe("run", "--spec", "spec.toml", "--models", "none")
    assert code == 2
    assert SPECS[text] in err


def test_a_key_variable_that_is_not_set_is_named_before_any_call(probe):
    """The variable's name, never a value; nothing is asked."""
    with Endpoint(varied) as endpoint:
        probe("models", "add", "tiny", "--url", endpoint.url, "--model", "m", "--key-env", "TINY_KEY")
        code, _, err = probe("run", "--families", "knapsack", "--sizes", "xs")
        assert (code, len(endpoint.requests)) == (2, 0)
    assert "TINY_KEY" in err


def test_an_endpoint_that_is_not_there_fails_the_work(probe):
    """Exit code 1; the baselines are answered all the same; resume is named."""
    probe("models", "add", "tiny", "--url", "http://127.0.0.1:9/v1", "--model", "m")
    code, out, err = probe("run", "--families", "knapsack", "--sizes", "xs", "--instances", "5", "--name", "b")
    assert code == 1
    assert "127.0.0.1:9" in err
    assert "probe resume b" in err
    assert "exact" in out


def test_a_model_is_moved_to_another_url_and_its_batches_go_on_there(probe, tmp_path):
    """What was submitted with a wrong URL isn't lost; key variable and limits go along unless they are given anew."""
    wrong = ["--url", "http://127.0.0.1:9/v1", "--key-env", "TINY_KEY", "--rpm", "60000"]
    probe("models", "add", "tiny", *wrong, "--model", "m")
    run = ["--families", "knapsack", "--sizes", "xs", "--instances", "5", "--baselines", "random", "--name", "b"]
    with Endpoint(varied) as endpoint, pytest.MonkeyPatch.context() as environment:
        environment.setenv("TINY_KEY", "a-key")
        assert probe("run", *run)[0] == 1
        code, _, err = probe("models", "move", "tiny", "--url", endpoint.url + "/")
        assert code == 0, err
        assert json.loads(probe("models", "list", "--json")[1])["models"][0]["key_variable"] == "TINY_KEY"
        code, out, err = probe("resume", "b")
        assert code == 0, err
        probe("models", "move", "tiny", "--url", endpoint.url, "--key-env", "")
        (listed,) = json.loads(probe("models", "list", "--json")[1])["models"]
    assert (listed["url"], listed["key_variable"]) == (endpoint.url, None)
    assert listed["capabilities"] == {}  # another server may accept less
    with sqlite3.connect(tmp_path / "solver-probe.sqlite3") as connection:
        assert set(connection.execute("SELECT rpm FROM endpoint")) == {(60000,)}
    assert "tiny" in out


def test_a_run_with_errors_is_no_success_whatever_its_state(probe):
    """All answers lost: the batch is through, but the exit code is 1, and `retry` is named instead of "complete"."""

    def refuses(body, number):
        return varied(body, number) if "colours" in body["messages"][-1]["content"] else fails(400, "no")

    with Endpoint(refuses) as endpoint:
        probe("models", "add", "tiny", "--url", endpoint.url, "--model", "m")
        code, out, err = probe(
            "run", "--families", "knapsack", "--sizes", "xs", "--instances", "5", "--name", "b", "--json"
        )
    assert json.loads(out)["state"] == "complete"
    assert code == 1
    assert "is complete" not in err
    assert "probe retry b" in err


def test_a_limit_of_cost_needs_the_prices_of_a_batchs_models(probe):
    """`resume` refuses one that could not be kept, as `run` does, and changes nothing; other limits are fine."""
    with Endpoint(varied) as endpoint:
        probe("models", "add", "tiny", "--url", endpoint.url, "--model", "m")
        run = ["--families", "knapsack", "--sizes", "xs", "--instances", "5", "--baselines", "none"]
        probe("run", *run, "--name", "b", "--max-calls", "2")
        code, _, err = probe("resume", "b", "--max-calls", "9", "--max-cost", "1")
        assert (code, "max-cost" in err, "tiny" in err) == (2, True, True)
        assert json.loads(probe("status", "b", "--json")[1])["trials"] == 2
        assert probe("resume", "b", "--max-calls", "5")[0] == 0
        probe("models", "add", "priced", "--url", endpoint.url, "--model", "m", "--price-in", "1", "--price-out", "1")
        probe("run", *run, "--name", "c", "--models", "priced", "--max-calls", "2")
        assert probe("resume", "c", "--max-calls", "5", "--max-cost", "1")[0] == 0


KEYS = ["sk-abc", "sk_abc", "gsk_abc", "hf_abc", "xai-abc", "AIzaSy", "a1b2c3d4e5f6a7b8c9d0", "two words", "v1:1234"]


@pytest.mark.parametrize("key", KEYS)
def test_a_key_in_place_of_its_variable_is_refused_and_not_repeated(probe, key):
    """What looks like a key reaches neither the database nor the terminal; names in use for variables are fine."""
    for command in (["add", "a", "--url", "http://h/v1", "--model", "m"], ["discover", "http://127.0.0.1:9/v1"]):
        code, out, err = probe("models", *command, "--key-env", key)
        assert code == 2
        assert "--key-env" in err
        assert key not in out + err
    for i, name in enumerate(
        ("OPENAI_API_KEY", "my_key", "TEAM_2_OF_THE_LAB_API_KEY", "a_long_name_without_any_digit")
    ):
        code, _, err = probe("models", "add", f"m{i}", "--url", "http://h/v1", "--model", "m", "--key-env", name)
        assert code == 0, err


def test_discovered_models_are_added_beside_those_that_are_there(probe):
    """A name that is taken, or can't be one, is reported and left out; the others are added and listed."""
    served = {"data": [{"id": "org/tiny"}, {"id": "odd name"}, {"id": "other/tiny"}, {"id": "big"}]}
    with Endpoint(varied, served) as endpoint:
        probe("models", "add", "big", "--url", endpoint.url, "--model", "m")
        code, out, err = probe("models", "discover", endpoint.url, "--add")
    assert code == 0, err
    assert out.split("\n")[:4] == ["org/tiny", "odd name", "other/tiny", "big"]
    assert [line for line in err.splitlines() if line.startswith("added ")] == ["added tiny"]
    left_out = [line.split(":")[0] for line in err.splitlines() if line.startswith("left out ")]
    assert left_out == ["left out odd name", "left out other/tiny", "left out big"]
    listed = json.loads(probe("models", "list", "--json")[1])["models"]
    assert {model["name"]: model["model"] for model in listed} == {"big": "m", "tiny": "org/tiny"}


def test_discovering_an_endpoint_that_is_not_there_fails_the_work(probe):
    """One line, exit code 1."""
    code, _, err = probe("models", "discover", "http://127.0.0.1:9/v1")
    assert code == 1
    assert "127.0.0.1:9" in err


def test_a_database_of_a_newer_version_is_refused(probe, tmp_path):
    """Exit code 1, and the file is untouched."""
    probe("db", "upgrade")
    file = tmp_path / "solver-probe.sqlite3"
    with sqlite3.connect(file) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    code, _, err = probe("status")
    assert code == 1
    assert "newer" in err


def test_an_unwritable_path_is_named(probe, tmp_path, monkeypatch):
    """A file where the folder should be."""
    (tmp_path / "taken").write_text("")
    monkeypatch.setenv("PROBE_HOME", str(tmp_path / "taken"))
    code, _, err = probe("status")
    assert code == 2
    assert "PROBE_HOME" in err


def test_a_plot_to_an_unwritable_place_is_named(probe):
    """The path and the way out, after the work that leads to it."""
    with Endpoint(varied) as endpoint:
        probe("models", "add", "tiny", "--url", endpoint.url, "--model", "m", "--params", "1e8")
        probe("run", "--families", "knapsack", "--sizes", "xs", "--instances", "5")
    code, _, err = probe("plot", "size", "-o", "absent/folder/x.png")
    assert code == 2, err
    assert "absent/folder" in err


def test_a_dry_run_prints_and_stores_nothing(probe, tmp_path):
    """Calls, tokens, cost, power; no batch."""
    with Endpoint(varied) as endpoint:
        prices = ["--price-in", "1", "--price-out", "2"]
        probe("models", "add", "tiny", "--url", endpoint.url, "--model", "m", *prices)
        code, out, _ = probe("run", "--families", "knapsack,newton", "--sizes", "xs,s", "--samples", "2", "--dry-run")
        assert (code, len(endpoint.requests)) == (0, 0)
    assert "calls         160" in out
    assert "USD" in out
    assert "detects" in out
    with sqlite3.connect(tmp_path / "solver-probe.sqlite3") as connection:
        assert connection.execute("SELECT count(*) FROM batch").fetchone() == (0,)


def test_judging_replies_from_elsewhere(probe, tmp_path):
    """A file of replies gives a verdict a line, by the same judge; a bad line is named with its number."""
    file = tmp_path / "replies.jsonl"
    line = '{"family": "knapsack", "size": "xs", "seed": 7, "index": 0, "reply": "{\\"items\\": []}"}'
    file.write_text(line + "\n")
    code, out, err = probe("judge", "replies.jsonl")
    assert code == 0, err
    assert '"outcome": "infeasible"' in out
    file.write_text(line + "\n" + line.replace("xs", "huge") + "\n")
    code, out, err = probe("judge", "replies.jsonl")
    assert (code, out) == (2, "")
    assert "line 2" in err


def test_help_of_every_command_says_what_it_does(probe):
    """Each command has a help text."""
    code, out, _ = probe("--help")
    assert code == 0
    commands = [line.split()[0] for line in out.split("Commands:")[1].splitlines() if line.strip()]
    for command in commands:
        code, text, _ = probe(command, "--help")
        assert code == 0
        assert len(text.split("Options:", maxsplit=1)[0].strip().splitlines()) >= 2


def test_a_cost_limit_without_prices_is_refused_for_a_known_batch_too(probe):
    """The same name again with --max-cost would otherwise never be held."""
    with Endpoint(varied) as endpoint:
        probe("models", "add", "tiny", "--url", endpoint.url, "--model", "m")
        command = ["run", "--families", "knapsack", "--sizes", "xs", "--instances", "5", "--name", "b"]
        assert probe(*command)[0] == 0
        code, _, err = probe(*command, "--max-cost", "1")
    assert code == 2
    assert "max-cost: model tiny has no price" in err
