"""The workshop: making instances and answering baselines, and storing what came of it.

`prepare` serves one run with a pool of processes, `prepare_due` is a worker's turn: both take question by question.
"""

import asyncio
import functools
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import connection
from typing import Any, TypeVar

from sqlalchemy.orm import Session

from probe.asking.records import Record
from probe.desk import Desk
from probe.preparing import BaselineWork, Prepared, answer, give_up, make
from probe.store import preparations, work
from probe.store.preparations import Preparation
from probe.store.sessions import Store

T = TypeVar("T")
CHUNK_SECONDS = 5.0  # of making instances before what there is gets stored
Database = Callable[[Callable[[Session, float], T]], Awaitable[T]]


def _begin_process() -> None:
    """Leave Ctrl-C to the parent, and end with it however it ends: a killed parent must leave no process behind."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    assert parent is not None

    def watch() -> None:
        connection.wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


async def prepare(desk: Desk, processes: int) -> None:
    """Make a batch's missing instances, then the baselines' answers, in processes; give up where the run stops.

    An instance in work can't be called back: the processes are ended and it is made again the next time.
    """
    context = multiprocessing.get_context("spawn")  # this process has threads: a fork could hang
    pool = ProcessPoolExecutor(processes, context, _begin_process)
    making = asyncio.create_task(_make_all(desk, pool, processes))
    stopped = asyncio.create_task(desk.stop.wait())
    try:
        await asyncio.wait((making, stopped), return_when=asyncio.FIRST_COMPLETED)
        if making.done():
            making.result()
            desk.ready = True
    finally:
        making.cancel()
        stopped.cancel()
        if not desk.ready:
            for child in multiprocessing.active_children():
                child.terminate()
        await asyncio.gather(making, stopped, return_exceptions=True)
        await asyncio.to_thread(pool.shutdown, cancel_futures=True)
        await desk.announce(done=True)


async def _make_all(desk: Desk, pool: ProcessPoolExecutor, processes: int) -> None:
    """Take questions that killed their makers one after the other, then the rest side by side."""
    loop = asyncio.get_running_loop()
    total = await desk.database(lambda session, _: preparations.missing(session, desk.batch_id))
    done = 0
    desk.progress.preparing(done, total)

    async def saved(made: Prepared) -> None:
        nonlocal done
        done += made.work.last - made.work.first
        desk.progress.preparing(min(done, total), total)
        await desk.announce()

    def run(function: Callable[..., T], *args: Any) -> Awaitable[T]:
        return loop.run_in_executor(pool, function, *args)

    async def take(suspects: bool) -> None:
        while (taken := await _leased(desk, suspects)) is not None:
            await _do(taken, desk.database, run, saved)

    await take(suspects=True)
    async with asyncio.TaskGroup() as group:
        for _ in range(processes):
            group.create_task(take(suspects=False))


async def _leased(desk: Desk, suspects: bool) -> Preparation | None:
    """Lease the next question of a batch; one that is leased in the moment in which the run stops is given back."""
    leasing = asyncio.ensure_future(desk.database(functools.partial(_lease, desk.batch_id, suspects)))
    try:
        return await asyncio.shield(leasing)
    except asyncio.CancelledError:
        if (taken := await leasing) is not None:
            await desk.database(lambda session, _: preparations.release(session, taken))
        raise


def _lease(batch_id: int | None, suspects: bool | None, session: Session, now: float) -> Preparation | None:
    return preparations.lease(session, now, batch_id, suspects)


async def _do(
    taken: Preparation,
    database: Database[Any],
    run: Callable[..., Awaitable[Any]],
    saved: Callable[[Prepared], Awaitable[None]],
    stopped: Callable[[], bool] = lambda: False,
) -> None:
    """Make what a question lacks and give it back; ``run`` calls a function elsewhere, ``saved`` hears of progress."""
    block, poisoned = taken.block, taken.poisoned
    try:
        while block is not None and not stopped():
            wanted = replace(block, last=block.first + 1) if taken.alone else block
            made: Prepared = give_up(wanted) if poisoned else await run(make, wanted, CHUNK_SECONDS)
            poisoned = False
            block = await database(lambda session, now, made=made: preparations.save(session, now, taken, made))  # type: ignore[misc]
            await saved(made)
        if block is not None or stopped():
            return
        if taken.block is not None and taken.baselines:
            return  # its turn for baselines comes after the instances of the others
        for shard in await database(lambda session, now: preparations.baselines_to_answer(session, now, taken)):
            records = await run(answer, shard)
            await database(functools.partial(_save_baseline, shard, records))
        await database(lambda session, _: preparations.complete(session, taken))
    finally:
        await asyncio.shield(database(lambda session, _: preparations.release(session, taken)))


def _save_baseline(shard: BaselineWork, records: list[Record], session: Session, _: float) -> None:
    preparations.save_baseline(session, shard, records)


def prepare_due(
    store: Store,
    stopped: Callable[[], bool],
    seconds: float,
    saved: Callable[[], object] = lambda: None,
    more: Callable[[], object] = lambda: None,
) -> bool:
    """Take question after question of all batches that are queued or running; return whether some are left.

    It ends when nothing is due, when ``stopped`` or after so many seconds. ``saved`` is called when instances are
    stored, ``more`` when there is work that others could share, both at most every few seconds.
    """
    end = time.monotonic() + seconds
    saved, more = seldom(saved), seldom(more)

    def over() -> bool:
        return stopped() or time.monotonic() > end

    async def database(write: Callable[[Session, float], T]) -> T:
        return store.patiently(write)

    async def run(function: Callable[..., T], *args: Any) -> T:
        return function(*args)

    async def tell(_: Prepared) -> None:
        saved()

    while not over():
        taken = store.patiently(functools.partial(_lease, None, None))
        if taken is None:
            return False
        more()
        asyncio.run(_do(taken, database, run, tell, over))
        store.patiently(lambda session, now, taken=taken: work.close_batch(session, now, taken.batch_id))  # type: ignore[misc]
    return True


def seldom(act: Callable[[], object], seconds: float = 5.0) -> Callable[[], object]:
    """Return ``act`` such that it is done only where it was not done for so many seconds."""
    last = -seconds

    def now_and_then() -> None:
        nonlocal last
        if time.monotonic() - last >= seconds:
            last = time.monotonic()
            act()

    return now_and_then
