"""One pool of processes that prepare, for all runs of a test process: to start one takes seconds of processor time."""

from concurrent.futures import BrokenExecutor, ProcessPoolExecutor

from probe import workshop

IDLE = []  # pools that no run uses at the moment


def alive(pool):
    """Whether a pool still works: a run that is stopped ends the processes of all."""
    try:
        return pool.submit(int).result() == 0
    except (BrokenExecutor, RuntimeError):
        return False


class Kept(ProcessPoolExecutor):
    """A pool that goes on after the run that used it."""

    def shutdown(self, wait=True, *, cancel_futures=False):
        if alive(self):
            IDLE.append(self)
        else:
            super().shutdown(wait, cancel_futures=cancel_futures)


def kept(processes, context, begin):
    """Return a pool of so many processes: one that is idle, or a new one."""
    for pool in [pool for pool in IDLE if pool._max_workers == processes]:
        IDLE.remove(pool)
        if alive(pool):
            return pool
    return Kept(processes, context, begin)


def keep_pools():
    """Have the runs in this process share their pools."""
    workshop.ProcessPoolExecutor = kept
