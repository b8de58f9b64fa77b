"""Put on PYTHONPATH of a process under test: kills it at a commit, or gives it other constants.

PROBE_FAULT is "QUEUE:NUMBER:before|after:FILE": the process that works on this queue dies at its commit of this number,
unless FILE exists, which it makes first: so it happens once.

PROBE_CONSTANTS is "module.NAME=value;…": what takes a minute in earnest takes a second in a test. PROBE_POLICY is
"field=value;…", other defaults of RetryPolicy. PROBE_CLOCK: seconds that this process's clock is ahead.
"""

import ast
import importlib
import os
import signal
import sys
import time


def install(fault):
    """Let this process, and those it forks, die as the fault says."""
    queue, number, moment, file = fault.split(":", 3)
    arguments = sys.orig_argv
    if "celery" not in arguments or "worker" not in arguments or arguments[arguments.index("-Q") + 1] != queue:
        return
    from sqlalchemy import event
    from sqlalchemy.orm import Session

    commits = 0

    def counted(_session):
        nonlocal commits
        commits += 1
        if commits == int(number):
            try:
                os.close(os.open(file, os.O_CREAT | os.O_EXCL))
            except FileExistsError:
                return
            os.kill(os.getpid(), signal.SIGKILL)

    event.listen(Session, "before_commit" if moment == "before" else "after_commit", counted)


def replace(constants):
    """Set constants of modules."""
    for setting in constants.split(";"):
        name, _, value = setting.partition("=")
        module, _, attribute = name.rpartition(".")
        found = importlib.import_module(module)
        assert hasattr(found, attribute), name
        setattr(found, attribute, ast.literal_eval(value))


def give_up_sooner(policy):
    """Set defaults of RetryPolicy."""
    from probe.asking.calls import RetryPolicy

    names = list(RetryPolicy.__dataclass_fields__)
    defaults = list(RetryPolicy.__init__.__defaults__)
    for setting in policy.split(";"):
        name, _, value = setting.partition("=")
        defaults[names.index(name)] = ast.literal_eval(value)
    RetryPolicy.__init__.__defaults__ = tuple(defaults)


def shift(seconds):
    """Let this process's clock be wrong."""
    right = time.time
    time.time = lambda: right() + seconds


if "PROBE_FAULT" in os.environ:
    install(os.environ["PROBE_FAULT"])
if "PROBE_CONSTANTS" in os.environ:
    replace(os.environ["PROBE_CONSTANTS"])
if "PROBE_POLICY" in os.environ:
    give_up_sooner(os.environ["PROBE_POLICY"])
if "PROBE_CLOCK" in os.environ:
    shift(float(os.environ["PROBE_CLOCK"]))
