"""Every command of the README does what it says: they are run one after the other, against a real endpoint."""

import re
import shlex
import shutil
import sys
from pathlib import Path

import pytest

from probe.cli import main
from tests.endpoint import Endpoint
from tests.runs import varied

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
LOCAL, SERVICE = README.split("## The service")


def commands(text):
    """The commands of a text, in their order."""
    blocks = re.findall(r"```sh\n(.*?)```", text, re.DOTALL)
    return [line for block in blocks for line in block.splitlines() if line.startswith("probe ")]


COMMANDS = commands(LOCAL)  # those of the service are run in tests/services
PUBLIC = Path(__file__).parents[1] / "data" / "public"
FILES = (
    "job_shop/ft06.txt",
    "graph_coloring/queen5_5.col",
    "power/pglib_opf_case5_pjm.m",
    "power/pglib_opf_case14_ieee.m",
)
MODELS = {"object": "list", "data": [{"id": "served-name", "object": "model", "meta": {"n_params": 7_000_000_000}}]}


def test_the_readme_has_commands():
    """The README shows how to run, to read results and to look at instances."""
    assert {"run", "results", "show", "plot", "models", "sample"} <= {line.split()[1] for line in COMMANDS}


def test_every_command_of_the_readme_works(tmp_path, monkeypatch, capsys):
    """In their order, in one folder, with one database: each ends with exit code 0."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PROBE_HOME", str(tmp_path))
    for file in FILES:
        shutil.copy(PUBLIC / file, tmp_path)
    with Endpoint(varied, MODELS) as endpoint:
        for line in COMMANDS:
            monkeypatch.setattr(sys, "argv", shlex.split(line.replace("http://127.0.0.1:8080/v1", endpoint.url)))
            with pytest.raises(SystemExit) as ended:
                main()
            said = capsys.readouterr()
            assert ended.value.code == 0, f"{line}\n{said.out}\n{said.err}"
            if not line.startswith(("probe models", "probe plot", "probe report", "probe export")):
                assert said.out.strip(), line
    assert (tmp_path / "satisfaction.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("command", ["demo", "test", "lint", "bench"])
def test_make_targets_that_are_named_exist(command):
    """What README and CONTRIBUTING tell people to type is a target of the Makefile."""
    makefile = (Path(__file__).parents[2] / "Makefile").read_text(encoding="utf-8")
    assert re.search(rf"^{command}:", makefile, re.MULTILINE)
