"""`probe api` and `probe token`, as processes: what is printed where, and how they end."""

import os
import re
import signal
import socket
import subprocess
import sys

import httpx2
import pytest

from probe.api.app import listening

PROBE = [sys.executable, "-m", "probe.cli"]


@pytest.fixture
def probe(tmp_path):
    """Run `probe` in a process with a database of its own; returns what became of it."""

    def call(*arguments):
        how = {"capture_output": True, "text": True, "timeout": 100, "env": environment(tmp_path)}
        return subprocess.run([*PROBE, *arguments], check=False, **how)

    return call


def environment(folder):
    return os.environ | {"PROBE_HOME": str(folder), "PROBE_DATABASE_URL": ""}


@pytest.fixture
def api(tmp_path):
    """A running `probe api`; yields (process, URL)."""
    pipes = {"stderr": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "env": environment(tmp_path)}
    with subprocess.Popen([*PROBE, "api", "--port", "0"], **pipes) as process:
        try:
            yield process, re.search(r"serving (http://127\.0\.0\.1:\d+/api/v1)", process.stderr.readline())[1]
        finally:
            process.kill()


def test_it_serves_until_it_is_told_to_stop(api):
    """Its address stands on stderr from the moment it answers; SIGTERM ends it with 0; stdout stays empty."""
    process, url = api
    assert httpx2.get(f"{url}/batches", trust_env=False, timeout=60).json()["items"] == []
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (0, "")
    assert '"GET /api/v1/batches HTTP/1.1" 200' in err


def test_tokens_from_first_to_last(probe, api):
    """Other machines are served only once there is a token; it is printed once, listed, and revoked."""
    _, url = api
    refused = probe("api", "--host", "0.0.0.0")
    assert (refused.returncode, "probe token create" in refused.stderr) == (2, True)
    made = probe("token", "create", "ci", "--scopes", "read", "--expires", "30d")
    assert (made.returncode, made.stdout.startswith("probe_")) == (0, True)
    bearer = {"Authorization": f"Bearer {made.stdout.strip()}"}

    def status(**headers):
        return httpx2.get(f"{url}/batches", headers=headers, trust_env=False, timeout=60).status_code

    assert (status(), status(**bearer)) == (401, 200)
    listed = probe("token", "list")
    assert re.fullmatch(r"ci  read  valid, until \d{4}-\S+ \S+ UTC, last used \d{4}-\S+ \S+ UTC\n", listed.stdout)
    assert made.stdout.strip() not in listed.stdout
    assert probe("token", "revoke", "ci").returncode == 0
    assert (status(), status(**bearer)) == (401, 401)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["token", "create", "x", "--scopes", "write"], "write"),
        (["token", "create", "x", "--scopes", "read", "--expires", "soon"], "soon"),
        (["token", "revoke", "nobody"], "nobody"),
    ],
)
def test_a_wrong_request_is_one_clear_line(probe, arguments, named):
    """Exit code 2."""
    done = probe(*arguments)
    assert (done.returncode, named in done.stderr) == (2, True)


def test_a_port_that_is_taken_is_named(probe, api):
    """Exit code 1, and the way out."""
    taken = api[1].removeprefix("http://127.0.0.1:").removesuffix("/api/v1")
    done = probe("api", "--port", taken)
    assert (done.returncode, taken in done.stderr, "--port" in done.stderr) == (1, True, True)


def test_help_imports_no_web_framework():
    """`probe --help` stays quick."""
    code = "import sys; from probe.cli.app import app; print({'fastapi', 'uvicorn', 'sqlalchemy'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "set()\n"


def test_answers_are_sent_without_delay():
    """asyncio turns Nagle's algorithm off only where the protocol is named: else each answer waits 40 ms."""
    with listening("127.0.0.1", 0) as bound:
        assert bound.proto == socket.IPPROTO_TCP
