"""What tests of the service share: a `probe worker` as a user starts it, on real servers, and what holds at the end."""

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import contextmanager, suppress
from pathlib import Path

from sqlalchemy import func, select

from probe.batches import Arm, BatchSpec
from probe.controls import queue
from probe.doorbell import Doorbell
from probe.store.tables import Batch, BatchQuestion, Call, Seat, Shard, Trial
from tests.runs import count, rows_of, sound, submitted

FAULTS = Path(__file__).with_name("faults")
PATIENCE = 90  # seconds until a batch must have ended
ENDED = ("complete", "failed", "cancelled", "budget_reached", "paused")
SPEC = BatchSpec(arms=(Arm(families=("knapsack", "jacobi"), sizes=("xs",), instances=60),), baselines=("random",))


class Service:
    """A `probe worker` in a process group of its own."""

    def __init__(self, store, broker, log, *, ask=1, prepare=1, control=0, **environment):
        self.store, self.broker = store, broker
        self.processes = {"--prepare": prepare, "--ask": ask, "--control": control}
        self.log = log
        url = store.engine.url.render_as_string(hide_password=False)
        self.environment = {
            **os.environ,
            "PROBE_DATABASE_URL": url,
            "PROBE_BROKER_URL": broker,
            "PROBE_SWEEP_SECONDS": "1",
            "PROBE_CONCURRENCY": "8",
            "PYTHONPATH": os.pathsep.join([str(FAULTS), os.environ.get("PYTHONPATH", "")]),
            **environment,
        }
        self.process = None

    def start(self):
        """Start it, and what it logs goes to a file."""
        flags = [str(part) for pair in self.processes.items() for part in pair]
        command = [sys.executable, "-m", "probe.cli", "worker", *flags]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                command, env=self.environment, stderr=log, stdout=log, start_new_session=True
            )
        return self

    def pids(self, queue=None):
        """The processes of the group: all, or those that work on a queue, the main one first."""
        found = subprocess.run(
            ["ps", "-ww", "-eo", "pid=,pgid=,args="], capture_output=True, text=True, check=True
        ).stdout.splitlines()
        rows = [line.split(None, 2) for line in found]
        mine = [(int(pid), args) for pid, pgid, args in rows if int(pgid) == self.process.pid]
        return sorted(pid for pid, args in mine if queue is None or f"-Q {queue} " in args)

    def kill(self, *pids):
        """Kill processes as a crash does."""
        for pid in pids:
            os.kill(pid, signal.SIGKILL)

    def kill_all(self):
        """Kill the whole group."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def stop(self):
        """Stop it as an operator does; return the exit code."""
        if self.process is None or self.process.poll() is not None:
            return None
        self.process.terminate()
        return self.process.wait(60)


@contextmanager
def service(store, broker, log, **how):
    """A running `probe worker`, ended at the end; nothing of it is left."""
    running = Service(store, broker, log, **how).start()
    try:
        yield running
    finally:
        running.stop()
        try:
            wait_until(lambda: not running.pids(), 10)  # what has ended is still listed for a moment
        finally:
            for pid in running.pids():
                with suppress(ProcessLookupError):
                    running.kill(pid)


def queued(store, broker, spec=SPEC, name=None, **limits):
    """Submit a batch for the workers, and ring."""
    batch_id = submitted(store, spec, name, **limits)
    with store.writing() as session:
        queue(session, session.get_one(Batch, batch_id))
    door = Doorbell(broker)
    door.ring("prepare", "ask")
    door.close()
    return batch_id


def state_of(store, batch_id):
    with store.reading() as session:
        return session.get_one(Batch, batch_id).state


def wait_until(what, seconds=PATIENCE):
    """Wait until something holds; say so where it never does."""
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "it did not come to that"
        time.sleep(0.05)


def ended(store, batch_id, seconds=PATIENCE):
    """Wait until a batch has ended; return its state."""
    wait_until(lambda: state_of(store, batch_id) in ENDED, seconds)
    return state_of(store, batch_id)


def answers(store, batch_id):
    """How many trials of a batch are stored."""
    return count(store, Trial, Trial.shard_id.in_(select(Shard.id).where(Shard.batch_id == batch_id)))


def asked_twice(endpoint):
    """How many requests repeated an earlier one (what an endpoint accepts is tried with a prompt of its own)."""
    prompts = Counter(request.body["messages"][-1]["content"] for request in endpoint.requests)
    return sum(n - 1 for prompt, n in prompts.items() if "Name two colours" not in prompt)


def whole(store, batch_id, undisturbed):
    """What holds at the end, whatever happened: the same table, no trial twice or missing, nothing held."""
    sound(store)
    assert rows_of(store, batch_id) == undisturbed
    with store.reading() as session:
        assert session.scalar(select(func.count()).where(BatchQuestion.lease_token.is_not(None))) == 0
        batch = session.get_one(Batch, batch_id)
        calls = session.scalar(
            select(func.count(Call.id)).join(Shard, Call.shard_id == Shard.id).where(Shard.batch_id == batch_id)
        )
        assert batch.used_calls == calls


def seats(store):
    return count(store, Seat)
