"""What a bench measures in a process of its own: `python -m tests.bench.child NAME ARGUMENT…` prints one JSON object.

seconds: of the measured part alone, everything imported before; cpu: seconds of both kinds used in it by this process;
peak: the process's greatest resident size so far, in MB.
"""

import asyncio
import json
import resource
import sys
import time
from pathlib import Path

ANSWER_TOKENS = 256


def prompts(count):
    """The same prompts for everyone who is measured: `count` trials over 250 knapsacks, as `probe run` words them."""
    from probe.asking.posed import Posed
    from probe.asking.presentation import Presentation, prompt
    from solvers import registry
    from solvers.problem import Instance

    made = (registry.get("knapsack").instance("xs", 7, index)[0] for index in range(250))
    texts = [prompt(Posed(one, "final"), Presentation()) for one in made if isinstance(one, Instance)]
    return [texts[i % len(texts)] for i in range(count)]


def spec(instances, samples, models=()):
    """The spec of `probe run --families knapsack --sizes xs --channels text --baselines blank`."""
    from probe.batches import checked, from_table

    table = {"families": "knapsack", "sizes": "xs", "channels": "text", "baselines": "blank" if not models else "none"}
    table |= {"instances": instances, "samples": samples, "models": ",".join(models) or "none"}
    return checked(from_table(table | {"answer-tokens": ANSWER_TOKENS})[0])


def probe(url, folder, instances, samples, concurrency):
    """Prepare, then measure `probe.running.run` from its first statement to its last: settling what the endpoint
    accepts, leasing, asking, judging, storing every trial and its calls, tallies, closing the batch."""
    import httpx2  # noqa: F401
    import openai  # noqa: F401

    from probe import models
    from probe.cli.progress import progress
    from probe.running import run
    from probe.store.sessions import open_store
    from probe.submitting import submit

    store = open_store(f"sqlite:///{Path(folder) / 'bench.sqlite3'}")

    def go(wanted):
        with store.writing() as session:
            batch = submit(session, store.now(session), wanted).batch_id
        with progress() as shown:
            clock = Clock()
            ran = asyncio.run(run(store, batch, concurrency=int(concurrency), progress=shown))
            used = clock.read()
        assert ran.state == "complete", ran
        return batch, used

    go(spec(int(instances), 1))
    with store.writing() as session:
        models.add(session, models.ModelFacts(name="m", url=url, served_id="served"), store.now(session))
    batch, used = go(spec(int(instances), int(samples), ["m"]))
    return used | {"trials": stored(store, batch)}


def local(url, database, trials, concurrency):
    """`probe run` over so many trials of prepared instances, from its first statement to its last; everything is
    imported before."""
    from probe.cli.progress import progress
    from probe.running import run

    store, batch = queued(url, database, 250)
    with progress() as shown:
        asyncio.run(run(store, batch, concurrency=int(concurrency), progress=shown))
    store, batch = queued(url, database, int(trials))
    with progress() as shown:
        clock = Clock()
        ran = asyncio.run(run(store, batch, concurrency=int(concurrency), progress=shown))
        used = clock.read()
    assert ran.state == "complete", ran
    return used | {"trials": stored(store, batch)}


def service(url, database, trials, broker, concurrency):
    """The same through the service: from queueing the batch until it is complete."""
    from probe import controls
    from probe.doorbell import Doorbell
    from probe.store.tables import Batch

    store, batch = queued(url, database, int(trials), concurrency=int(concurrency))
    bell = Doorbell(broker)
    bell.ring("control")  # connects
    clock = Clock()
    with store.writing() as session:
        controls.queue(session, session.get_one(Batch, batch))
    bell.ring("prepare", "ask")
    while True:
        with store.reading() as session:
            state = session.get_one(Batch, batch).state
        if state not in ("queued", "running"):
            break
        time.sleep(0.05)
    assert state == "complete", state
    return clock.read() | {"trials": stored(store, batch), "steady": steady(store, batch)}


def steady(store, batch):
    """Calls a second between a fifth and four fifths of a batch."""
    from sqlalchemy import select

    from probe.store.tables import Call, Shard

    with store.reading() as session:
        starts = sorted(session.scalars(select(Call.started_at).join(Shard).where(Shard.batch_id == batch)))
    first, last = len(starts) // 5, 4 * len(starts) // 5
    return (last - first) / (starts[last] - starts[first])


def queued(url, database, trials, **limits):
    """A store with a batch of so many trials over 250 prepared instances, which nobody works on yet."""
    from probe import models
    from probe.running import run
    from probe.store.sessions import open_store
    from probe.store.tables import Batch, Model
    from probe.submitting import submit

    class Silent:
        def __getattr__(self, name):
            return lambda *_: None

    name = f"m{url.rpartition(':')[2].partition('/')[0]}"  # the port's
    store = open_store(database)
    with store.writing() as session:
        if session.query(Model).filter(Model.name == name).count() == 0:
            models.add(session, models.ModelFacts(name=name, url=url, served_id="served"), store.now(session))
        made = submit(session, store.now(session), spec(250, 1)).batch_id
    asyncio.run(run(store, made, concurrency=1, progress=Silent()))
    with store.writing() as session:
        batch = submit(session, store.now(session), spec(250, trials // 250, [name]), limits=limits).batch_id
        session.get_one(Batch, batch).state = "paused"
    return store, batch


def million(database):
    """Seconds to submit 1,000,000 trials, and to look at how they stand (medians of 9): the batch, and what is due of
    it before any instance is made and when all are."""
    from statistics import median

    from sqlalchemy import update

    from probe import models
    from probe.planning import standing
    from probe.store import work
    from probe.store.sessions import open_store
    from probe.store.tables import Batch, Block
    from probe.submitting import submit

    store = open_store(database)
    with store.writing() as session:
        for k in range(4):
            facts = models.ModelFacts(name=f"m{k}", url="http://127.0.0.1:9/v1", served_id=f"m{k}")
            models.add(session, facts, store.now(session))
    wanted = spec(250_000, 1, [f"m{k}" for k in range(4)])
    clock = Clock()
    with store.writing() as session:
        batch = submit(session, store.now(session), wanted).batch_id
    submitting = clock.read()

    def look(what):
        times = []
        for _ in range(9):
            clock = Clock()
            with store.reading() as session:
                what(session)
            times.append(clock.read()["seconds"])
        return median(times)

    def stands(session):
        return standing(session, session.get_one(Batch, batch))

    def due(session):
        return work.due(session, store.now(session), suspects=False)

    with store.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("ANALYZE")  # as PostgreSQL does by itself within a minute
    with store.reading() as session:
        planned = stands(session)["planned"]
    found = {"batch": batch, "trials": planned, "standing": look(stands), "unprepared": look(due)}
    with store.writing() as session:
        session.execute(update(Block).values(prepared=50))
    return submitting | found | {"due": look(due)}


GROUPED = """
    SELECT shard.model_id, sum(constraints), sum(satisfied)
    FROM trial JOIN shard ON shard.id = shard_id JOIN question ON question.id = question_id
      JOIN block ON block.id = block_id
    WHERE outcome NOT IN ('transport_error', 'no_reply', 'cap_hit') AND batch_id IS NOT NULL
    GROUP BY shard.model_id, family_version_id, size, seed, number, position"""


def tables(database):
    """Seconds of tables over a million stored trials, and of grouping the trials, which gives one of them exactly."""
    from statistics import median

    import numpy as np
    from sqlalchemy import select, text

    from probe.results.cells import result_table
    from probe.results.comparing import compare
    from probe.results.statistics import ratio
    from probe.store.sessions import open_store
    from probe.store.tables import Model
    from tests.bench.stored import fill

    store = open_store(database)
    trials = fill(store)

    def timed(make, rounds):
        times = []
        for _ in range(rounds):
            clock = Clock()
            with store.reading() as session:
                made = make(session)
            times.append(clock.read()["seconds"])
        return median(times), made

    def grouped(session):
        return np.array(session.connection().execute(text(GROUPED)).cursor.fetchall(), np.int64)

    made = {
        "one": lambda session: result_table(session, ("model",), rates=()),
        "shown": lambda session: result_table(session, ("model",), rates=("feasible", "optimal")),
        "all": lambda session: result_table(session, ("model",)),
        "families": lambda session: result_table(session, ("model", "family")),
        "kinds": lambda session: result_table(session, ("model", "constraint_kind")),
        "compare": lambda session: compare(session, "model-0,model-5", ("family",)),
    }
    found = {name: timed(make, 5) for name, make in made.items()}
    seconds, rows = timed(grouped, 3)
    with store.reading() as session:
        ids = dict(session.execute(select(Model.name, Model.id)).all())
    for cell in found["one"][1].cells:
        if cell.kind == "endpoint":
            mine = rows[rows[:, 0] == ids[cell.group["model"]]]
            assert cell.rates["satisfaction_micro"] == ratio(mine[:, 1], mine[:, 2]), cell
    return {name: took for name, (took, _) in found.items()} | {"grouped": seconds, "trials": trials}


def stored(store, batch):
    """The number of a batch's scored trials, each with its call and its results by constraint kind."""
    from sqlalchemy import exists, func, select

    from probe.store.tables import Call, ConstraintResult, Shard, Trial

    call = exists().where(Call.shard_id == Trial.shard_id, Call.position == Trial.position, Call.sample == Trial.sample)
    kinds = exists().where(ConstraintResult.trial_id == Trial.id)
    query = select(func.count()).select_from(Trial).join(Shard, Trial.shard_id == Shard.id)
    with store.reading() as session:
        return session.scalar(query.where(Shard.batch_id == batch, call, kinds))


def bare(url, trials, concurrency):
    """The bare loop: one client, so many tasks, each awaits one `create` after the other and drops the answer."""
    from openai import AsyncOpenAI

    left = prompts(int(trials))

    async def ask(client):
        while left:
            message = {"role": "user", "content": left.pop()}
            await client.chat.completions.create(
                model="served", messages=[message], temperature=0, max_tokens=ANSWER_TOKENS, seed=7
            )

    async def loop():
        async with AsyncOpenAI(base_url=url, api_key="none", max_retries=0) as client, asyncio.TaskGroup() as group:
            for _ in range(int(concurrency)):
                group.create_task(ask(client))

    clock = Clock()
    asyncio.run(loop())
    return clock.read() | {"trials": int(trials)}


class Clock:
    """Wall, CPU and memory since its making."""

    def __init__(self):
        self.wall, self.cpu = time.perf_counter(), time.process_time()

    def read(self):
        seconds, cpu = time.perf_counter() - self.wall, time.process_time() - self.cpu
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 << 20 if sys.platform == "darwin" else 1 << 10)
        return {"seconds": seconds, "cpu": cpu, "peak": peak}


if __name__ == "__main__":
    measured = {
        "probe": probe,
        "bare": bare,
        "local": local,
        "service": service,
        "million": million,
        "tables": tables,
        "prompts": lambda count: prompts(int(count)),
    }
    print(json.dumps(measured[sys.argv[1]](*sys.argv[2:])))
