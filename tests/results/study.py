"""A study of made-up trials, written to a database as running writes them: what tables are checked against."""

import itertools
import random
from fractions import Fraction
from types import SimpleNamespace

from sqlalchemy import insert

from probe.asking.baselines import BASELINES, samples
from probe.asking.judging import JUDGE_VERSION, UNSCORED, Verdict
from probe.asking.records import record
from probe.store import tables as t
from probe.store import work
from solvers.problem import Check

KINDS = {  # family -> (constraint kind, class) of its constraints
    "packing": [("capacity", "capacity")] * 3 + [("pair", "logical")] * 2 + [("floor", "target")],
    "sweeps": [("capacity", "iterate")] * 4,
}
SKILL = {"small": 0.4, "large": 0.8, "unsized": 0.6, "blank": 0.05, "random": 0.3, "greedy": 0.9, "exact": 1.0}
PARAMS = {"small": 135_000_000, "large": 7_000_000_000, "unsized": None}
ANSWERED = ("random", "blank", "greedy", "exact")  # baselines with results; `template` has none


def verdict(rng, family, skill, of_model):
    """A random verdict of the kind that judging gives; only a model's trials fail by the instrument."""
    unscored = (3, 1, 1) if of_model else (0, 0, 0)
    outcome = rng.choices((None, "refusal", "malformed", *UNSCORED), (20, 1, 2, *unscored))[0]
    if outcome and skill < 1:
        return Verdict(outcome, tuple(Check(f"{k}.{i}", k, c, False, None) for i, (k, c) in enumerate(KINDS[family])))
    share = min(1, max(0, rng.gauss(skill, 0.25))) if skill < 1 else 1
    checks = [
        Check(f"{k}.{i}", k, c, rng.random() < share or skill == 1, Fraction(1))
        for i, (k, c) in enumerate(KINDS[family])
    ]
    if not all(check.satisfied for check in checks):
        return Verdict("infeasible", tuple(checks))
    if family != "packing":
        return Verdict("feasible", tuple(checks))
    gap = 0 if skill == 1 else rng.choice((0, 20_000, 333_333, 1_000_000))
    return Verdict("feasible" if gap else "optimal", tuple(checks), objective=7, gap=gap)


def answer(session, rng, shard, family, model):
    """Write a shard's trials and tally as running does."""
    shard_id = session.execute(
        insert(t.Shard).values(state="pending", attempts=0, **shard).returning(t.Shard.id)
    ).scalar()
    posed = SimpleNamespace(
        objective=object() if family == "packing" else None, mode="final", instance=SimpleNamespace(variant="fresh")
    )
    records = [
        record(posed, position, sample, verdict(rng, family, SKILL[model], model in PARAMS))
        for position in range(shard["first"], shard["last"])
        for sample in range(shard["first_sample"], shard["last_sample"])
        if (shard["question_id"] + position) % 11  # a hole
    ]
    work.save_trials(session, [(shard_id, r) for r in records])
    assert work.finish_shard(session, shard_id, None, [(r.position, r.counts) for r in records], JUDGE_VERSION)
    return shard_id


def fill(session):
    """Two batches of three models over two families, two sizes, twins and modes, with the baselines' answers."""
    rng = random.Random(5)
    session.execute(insert(t.Endpoint).values(id=1, url="http://127.0.0.1/v1", key_variable=""))
    ids = {name: i for i, name in enumerate((*PARAMS, *BASELINES), 1)}
    for name, i in ids.items():
        of = {"kind": "endpoint", "endpoint_id": 1} if name in PARAMS else {"kind": "baseline"}
        row = {"id": i, "name": name, "params": PARAMS.get(name), "reasoning": name == "large", "added_at": 0.0}
        session.execute(insert(t.Model).values(**row, **of, extra_body={}, capabilities={}))
    how = {"form": "text", "examples": 0, "warning": False, "template": 1, "answer_tokens": 512}
    for i, channel in enumerate(("json", "text"), 1):
        row = {"id": i, "digest": channel, "channel": channel, "temperature": 0.0, "effort": None if i == 1 else "low"}
        session.execute(insert(t.Presentation).values(**row, **how))
    for i, name in enumerate(("one", "two"), 1):
        row = {"id": i, "name": name, "spec": {}, "spec_digest": name, "state": "complete", "created_at": 0.0}
        session.execute(insert(t.Batch).values(**row, notes={}))
    for i, (family, kind) in enumerate((("packing", "optimization"), ("sweeps", "numerics")), 1):
        session.execute(insert(t.FamilyVersion).values(id=i, name=family, version=1, kind=kind))
    arms = itertools.product(enumerate(KINDS, 1), ("xs", "s"), (0, 1), ("fresh", "renamed"))
    for block, ((version, family), size, number, variant) in enumerate(arms, 1):
        row = {"id": block, "family_version_id": version, "size": size, "seed": 7, "number": number, "variant": variant}
        session.execute(insert(t.Block).values(**row, knobs={}, modules="", prepared=50, discards={}, holes={}))
        for mode in ("final", "trace") if family == "sweeps" else ("final",):
            key = {"block_id": block, "mode": mode}
            question = session.execute(insert(t.Question).values(**key).returning(t.Question.id)).scalar()
            for model, shard in shards(family, size, twice=number == 0 and variant == "fresh"):
                shard |= {"question_id": question, "model_id": ids[model]}
                answer(session, rng, shard, family, model)


def shards(family, size, twice):
    """(model, shard) of a question; ``twice``: the second batch asks it too, a longer prefix, otherwise, 4 samples."""
    one = {"first": 0, "last": 12, "first_sample": 0, "last_sample": 1, "presentation_id": 1, "asked_channel": "json"}
    two = one | {"batch_id": 2, "last": 20, "presentation_id": 2, "asked_channel": "text"}
    for name in PARAMS:
        if size == "xs" or name != "unsized":
            yield name, one | {"batch_id": 1}
        for first in (0, 2) if twice and name != "unsized" else ():
            yield name, two | {"first_sample": first, "last_sample": first + 2}
    for name in ANSWERED if family == "packing" else [name for name in ANSWERED if name != "greedy"]:
        for first, last in ((0, 12), (12, 20)):
            of_none = {"batch_id": None, "presentation_id": None, "asked_channel": None, "first": first, "last": last}
            yield name, one | of_none | {"last_sample": samples(name)}
