"""The workshop of a run: processes that make instances and answer baselines, and what is stored of their work."""

import asyncio
import multiprocessing
import os
import signal
import threading
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import connection

from sqlalchemy.orm import Session

from probe import submitting
from probe.asking.judging import JUDGE_VERSION
from probe.asking.records import Record
from probe.batches import Asked, BatchSpec, expand
from probe.desk import Desk
from probe.preparing import BaselineWork, BlockWork, Prepared, answer, make
from probe.store import work

BASELINES_AT_ONCE = 4  # questions whose baselines are answered at the same time


def _begin_process() -> None:
    """Leave Ctrl-C to the parent, and end with it however it ends: a killed parent must leave no process behind."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    assert parent is not None

    def watch() -> None:
        connection.wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


async def prepare(desk: Desk, spec: BatchSpec, blocks: list[BlockWork], processes: int) -> None:
    """Make missing instances, then the baselines' answers, in worker processes; give up where the run stops.

    A block in work can't be called back: the processes are ended and what they made is made again the next time.
    """
    context = multiprocessing.get_context("spawn")  # this process has threads: a fork could hang
    pool = ProcessPoolExecutor(processes, context, _begin_process)
    making = asyncio.create_task(_make_all(desk, pool, spec, blocks))
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
        await _announce(desk, done=True)


async def _make_all(desk: Desk, pool: ProcessPoolExecutor, spec: BatchSpec, blocks: list[BlockWork]) -> None:
    await _prepare_blocks(desk, pool, blocks)
    await _announce(desk, done=True)
    await _answer_baselines(desk, pool, spec)


async def _announce(desk: Desk, done: bool = False) -> None:
    async with desk.prepared:
        desk.preparing = desk.preparing and not done
        desk.saved += 1
        desk.prepared.notify_all()


async def _prepare_blocks(desk: Desk, pool: ProcessPoolExecutor, blocks: list[BlockWork]) -> None:
    loop = asyncio.get_running_loop()
    total = sum(block.last - block.first for block in blocks)
    done = 0
    desk.progress.preparing(done, total)
    for future in asyncio.as_completed([loop.run_in_executor(pool, make, block) for block in blocks]):
        result = await future
        await desk.database(partial(_save_block, result))
        done += result.work.last - result.work.first
        desk.progress.preparing(done, total)
        await _announce(desk)


def _save_block(made: Prepared, session: Session, _: float) -> bool:
    return work.save_block(session, made)


async def _answer_baselines(desk: Desk, pool: ProcessPoolExecutor, spec: BatchSpec) -> None:
    """Answer and judge what the baselines have not yet, question by question, a few at a time."""
    loop = asyncio.get_running_loop()
    room = asyncio.Semaphore(BASELINES_AT_ONCE)

    async def one(asked: Asked) -> None:
        async with room:
            shards = await desk.database(partial(_baselines_of, asked, spec.baselines))
            for shard in shards:
                records = await loop.run_in_executor(pool, answer, shard)
                await desk.database(partial(_save_baseline, shard, records))

    async with asyncio.TaskGroup() as group:
        for asked in expand(spec):
            group.create_task(one(asked))


def _baselines_of(asked: Asked, names: Sequence[str], session: Session, now: float) -> list[BaselineWork]:
    return submitting.baselines_to_answer(session, now, asked, names)


def _save_baseline(shard: BaselineWork, records: list[Record], session: Session, _: float) -> None:
    """Store a baseline's answers with their tally, unless another process was faster."""
    tallied = [(r.position, r.counts) for r in records]
    if work.finish_shard(session, shard.shard_id, None, tallied, JUDGE_VERSION):
        work.save_trials(session, [(shard.shard_id, r) for r in records])
