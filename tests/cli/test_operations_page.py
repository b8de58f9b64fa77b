"""docs/operations.md says what is so: its commands work, its settings are all there are."""

import re
import shlex
import sys
from pathlib import Path

import pytest

from probe.cli import main
from probe.settings import Settings
from tests.endpoint import Endpoint
from tests.runs import varied

PAGE = (Path(__file__).parents[2] / "docs" / "operations.md").read_text(encoding="utf-8")
COMMANDS = [
    line
    for block in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
    for line in block.splitlines()
    if line.startswith("probe ")
]
ENDLESS = ("probe up", "probe worker")  # tests/services starts those


def test_every_command_that_ends_works(tmp_path, monkeypatch, capsys):
    """In their order, in one folder, with one database: each ends with exit code 0."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PROBE_HOME", str(tmp_path))
    models = {"data": [{"id": "served-name"}]}
    with Endpoint(varied, models) as endpoint:
        for line in COMMANDS:
            wanted = f"{line} --help" if line.startswith(ENDLESS) else line
            monkeypatch.setattr(sys, "argv", shlex.split(wanted.replace("http://127.0.0.1:8080/v1", endpoint.url)))
            with pytest.raises(SystemExit) as ended:
                main()
            said = capsys.readouterr()
            assert ended.value.code == 0, f"{line}\n{said.out}\n{said.err}"
    assert (tmp_path / "copy-of-the-database").stat().st_size > 0


def test_flags_of_endless_commands_exist(monkeypatch, capsys):
    """`probe worker` has the flags that the page and its unit file use."""
    monkeypatch.setattr(sys, "argv", ["probe", "worker", "--help"])
    with pytest.raises(SystemExit):
        main()
    help_text = capsys.readouterr().out
    used = set(re.findall(r"probe worker.*?(--[a-z]+)|`(--(?:prepare|ask|control)) N`", PAGE))
    for flag in {name for pair in used for name in pair if name}:
        assert flag in help_text


def test_the_table_of_settings_is_complete():
    """Each setting has a row, and each row is a setting."""
    rows = set(re.findall(r"^\| `PROBE_([A-Z_]+)` \|", PAGE, re.MULTILINE))
    assert rows == {name.upper() for name in Settings.model_fields}


def test_the_table_of_checks_is_complete(monkeypatch):
    """Each part that the doctor looks at is explained."""
    source = (Path(__file__).parents[2] / "probe" / "doctor.py").read_text(encoding="utf-8")
    names = set(re.findall(r'Check\(\s*"([a-z]+)"', source)) - {"program"}
    table = PAGE.partition("## Is all well?")[2].partition("## ")[0]
    assert names == set(
        re.findall(r"`([a-z]+)`", "".join(line.split("|")[1] for line in table.splitlines() if "|" in line))
    )
