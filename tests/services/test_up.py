"""`probe up` as the README has it: nothing configured, one command, and another terminal."""

import os
import re
import shlex
import signal
import subprocess
import sys
import tempfile
import urllib.request
from pathlib import Path

from probe.supervising import free_port
from tests.cli.test_readme import SERVICE, commands
from tests.endpoint import Endpoint
from tests.runs import varied
from tests.services.service import wait_until


def left(folder):
    """The processes that have something to do with a folder."""
    rows = subprocess.run(["ps", "-ww", "-eo", "pid=,args="], capture_output=True, text=True, check=True).stdout
    return [row for row in rows.splitlines() if folder in row]


def processes(group, part):
    """The processes of a group whose command line has this part."""
    rows = subprocess.run(["ps", "-ww", "-eo", "pid=,pgid=,args="], capture_output=True, text=True, check=True).stdout
    found = [row.split(None, 2) for row in rows.splitlines()]
    return [int(pid) for pid, pgid, args in found if int(pgid) == group and part in args]


def test_everything_on_one_machine_and_nothing_left_of_it():
    """Servers, workers, clock and API start; a batch and a schedule go through; API and clock are killed and come back;
    SIGTERM ends all of it."""
    with tempfile.TemporaryDirectory() as folder, Endpoint(varied) as endpoint:
        Path(folder).chmod(0o755)
        clean = {k: v for k, v in os.environ.items() if not k.startswith("PROBE_")}
        environment = clean | {"PROBE_HOME": f"{folder}/home", "TMPDIR": folder}
        port, log = free_port(), Path(folder, "log")
        first, *others = commands(SERVICE)
        with log.open("wb") as out:
            command = [
                sys.executable,
                "-m",
                "probe.cli",
                *shlex.split(first)[1:],
                "--port",
                str(port),
                "--prepare",
                "1",
            ]
            up = subprocess.Popen(command, env=environment, cwd=folder, stderr=out, stdout=out, start_new_session=True)
        try:
            wait_until(lambda: "working: " in log.read_text())
            environment |= dict(re.findall(r"export (PROBE_\w+)=(\S+)", log.read_text()))
            assert {"PROBE_DATABASE_URL", "PROBE_BROKER_URL"} <= environment.keys()
            where = {"env": environment, "cwd": folder, "capture_output": True, "text": True}
            for line in others:
                words = line.replace("http://127.0.0.1:8080/v1", endpoint.url)
                program = f"{shlex.quote(sys.executable)} -m probe.cli {words.removeprefix('probe ')}"
                done = subprocess.run(program, shell=True, check=False, **where)
                assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}\n{log.read_text()}"
            wait_until(lambda: answered(f"http://127.0.0.1:{port}/readyz"))
            for part in (f"api --port {port}", "celery -A workers.app --quiet beat"):
                (old,) = processes(up.pid, part)
                os.kill(old, signal.SIGKILL)
                wait_until(lambda part=part, old=old: processes(up.pid, part) not in ([], [old]))
            wait_until(lambda: answered(f"http://127.0.0.1:{port}/readyz"))
        finally:
            up.send_signal(signal.SIGTERM)
            assert up.wait(60) == 0
        assert left(folder) == []


def answered(url):
    """Whether the API is there."""
    try:
        with urllib.request.urlopen(url, timeout=5) as reply:
            return reply.status == 200
    except OSError:
        return False
