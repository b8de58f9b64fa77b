"""What tests of running share: a tiny model, a batch, a run, and what holds after each."""

import asyncio
import hashlib
import json

from sqlalchemy import func, select

from probe import models
from probe.asking.calls import RetryPolicy
from probe.batches import Arm, checked
from probe.results.cells import result_table
from probe.running import run
from probe.store.tables import BatchOutcome, ConstraintResult, Shard, Tally, Trial
from probe.submitting import submit
from tests.endpoint import says

FAST = RetryPolicy(attempts=3, throttles=3, base=0.001, cap=0.002, deadline=20)
KNAPSACK = Arm(families=("knapsack",), sizes=("xs",), instances=6)


class Watch:
    """Progress that only takes notes."""

    def __init__(self):
        self.notes, self.outcomes, self.prepared = [], [], (0, 0)

    def preparing(self, done, total):
        self.prepared = (done, total)

    def asking(self, model, total):
        pass

    def answered(self, model, outcome):
        self.outcomes.append(outcome)

    def note(self, text):
        self.notes.append(text)


def varied(body, number):
    """An answer that depends on the prompt alone: sometimes feasible, sometimes not, sometimes not readable."""
    prompt = body["messages"][-1]["content"]
    draw = hashlib.sha256(prompt.encode()).digest()
    if draw[0] % 5 == 0:
        return says("I would rather not show numbers.")
    chosen = [i + 1 for i in range(6) if draw[1] >> i & 1]
    return says(json.dumps({"items": chosen, "assignment": {str(i): 1 for i in range(1, 7)}}))


def known(store, url, name="tiny", **facts):
    with store.writing() as session:
        models.add(session, models.ModelFacts(name=name, url=url, served_id=name, **facts), store.now(session))


def submitted(store, spec, name=None, **limits):
    with store.writing() as session:
        return submit(session, store.now(session), checked(spec), name, limits).batch_id


def ran(store, batch_id, watch=None, concurrency=8, policy=FAST):
    return asyncio.run(
        run(store, batch_id, concurrency=concurrency, progress=watch or Watch(), policy=policy, processes=1)
    )


def rows_of(store, batch_id, by=("model", "family")):
    with store.reading() as session:
        return [cell.plain() for cell in result_table(session, by, batch=batch_id).cells]


def count(store, what, *conditions):
    with store.reading() as session:
        return session.scalar(select(func.count()).select_from(what).where(*conditions))


def outcomes_of_trials(session):
    """(batch, outcome) -> trials, counted one by one."""
    query = select(Shard.batch_id, Trial.outcome, func.count()).join(Shard, Trial.shard_id == Shard.id)
    rows = session.execute(query.where(Shard.batch_id.is_not(None)).group_by(Shard.batch_id, Trial.outcome))
    return {(batch_id, outcome): trials for batch_id, outcome, trials in rows}


def sound(store):
    """What holds after every run: each trial once, no lease left, tallies equal what trials and results say."""
    with store.reading() as session:
        keys = session.execute(select(Trial.shard_id, Trial.position, Trial.sample)).all()
        assert len(keys) == len(set(keys))
        assert not session.scalar(select(func.count()).where(Shard.lease_token.is_not(None)))
        kept = session.execute(select(BatchOutcome.batch_id, BatchOutcome.outcome, BatchOutcome.trials))
        assert {(row[0], row[1]): row[2] for row in kept if row[2]} == outcomes_of_trials(session)
        for shard in session.scalars(select(Shard).where(Shard.state == "complete")):
            tally = session.get_one(Tally, shard.id)
            from probe.asking.measures import unpack

            counted = unpack(tally.measures, tally.matrix)
            scored = (Trial.shard_id == shard.id, Trial.outcome.not_in(("transport_error", "no_reply", "cap_hit")))
            sums = session.execute(select(func.sum(Trial.constraints), func.sum(Trial.satisfied)).where(*scored)).one()
            constraints = counted["constraints"].sum(axis=0) if "constraints" in counted else (0, 0)
            assert tuple(int(v or 0) for v in sums) == tuple(int(v) for v in constraints)
            kinds = session.execute(
                select(
                    ConstraintResult.kind,
                    func.sum(ConstraintResult.constraints),
                    func.sum(ConstraintResult.satisfied),
                )
                .join(Trial)
                .where(*scored)
                .group_by(ConstraintResult.kind)
            )
            for kind, n, y in kinds:
                assert tuple(counted[f"kind:{kind}"].sum(axis=0)) == (n, y)
