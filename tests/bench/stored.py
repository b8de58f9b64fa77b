"""A store of a million made-up trials with their tallies, written directly: what tables are timed on.

24,000 shards: 10 models in 2 presentations answer 42 positions of each of 1,200 questions (20 families, 5 sizes, 12
blocks), and so do 4 baselines, in shards of their own. A tally has 40 measures, as those of the larger families.
"""

import numpy as np
from sqlalchemy import insert

from probe.asking.baselines import BASELINES
from probe.asking.judging import JUDGE_VERSION, OUTCOMES, UNSCORED
from probe.asking.measures import FIRST, POSITIONS, pack
from probe.store import tables as t
from probe.store.sessions import Store

MODELS, CHANNELS, FAMILIES, SIZES, BLOCKS, ASKED = 10, ("json", "text"), 20, ("xs", "s", "m", "l", "xl"), 12, 42
CLASSES = ("capacity", "logical", "structure", "target")
KINDS = ("capacity", "distinct", "floor", "incompatible", "precedes", "together", "window")
MORE = (*(f"label:{i}" for i in range(4)), *(f"attractor:{i}" for i in range(5)), *(f"survives:{k}" for k in range(5)))
NAMES = [*FIRST, *(f"class:{c}" for c in CLASSES), *(f"kind:{k}" for k in KINDS), *sorted(MORE)]
SHARES = np.array([0.004, 0.003, 0.003, 0.01, 0.02, 0.03, 0.73, 0.1, 0.1])  # of `OUTCOMES`
CONSTRAINTS = len(KINDS) * 2  # of an instance: two of each kind
TRIAL = ("shard_id", "position", "sample", "outcome", "answer", "repairs", "constraints", "satisfied", "gap")
ANSWER = '{"items": [1, 3, 4, 8, 11, 17, 21, 22, 30, 31, 38, 40, 41, 47]}'
AT_ONCE = 600  # shards written by one statement


def fill(store: Store) -> int:
    """Write the study to an empty database; returns the number of the models' trials."""
    draw = np.random.default_rng(1)
    with store.writing() as session:
        _catalogue(session)
        pairs = [(model, channel) for model in range(1, MODELS + 1) for channel in range(1, len(CHANNELS) + 1)]
        asked = [(question, *pair) for question in range(1, FAMILIES * len(SIZES) * BLOCKS + 1) for pair in pairs]
        answered = [(question, MODELS + 1 + k, None) for question, *_ in asked[:: len(pairs)] for k in range(4)]
        shards = [
            {
                "id": i,
                "batch_id": channel and 1,
                "model_id": model,
                "presentation_id": channel,
                "asked_channel": channel and CHANNELS[channel - 1],
                "question_id": question,
                "first": 0,
                "last": ASKED,
                "first_sample": 0,
                "last_sample": 1,
                "state": "complete",
                "attempts": 0,
            }
            for i, (question, model, channel) in enumerate([*asked, *answered], 1)
        ]
        for start in range(0, len(shards), AT_ONCE):
            some = shards[start : start + AT_ONCE]
            session.execute(insert(t.Shard), some)
            matrices, trials = _made(draw, np.array([shard["model_id"] for shard in some]))
            packed = [pack(NAMES, matrix) for matrix in matrices]
            tallies = [
                {"shard_id": shard["id"], "judge_version": JUDGE_VERSION, "measures": names, "matrix": matrix}
                for shard, (names, matrix) in zip(some, packed, strict=True)
            ]
            session.execute(insert(t.Tally), tallies)
            _pour(session, [(shard["id"], *row) for shard, rows in zip(some, trials, strict=True) for row in rows])
    return len(asked) * ASKED


def _catalogue(session) -> None:
    session.execute(insert(t.Endpoint).values(id=1, url="http://127.0.0.1/v1", key_variable=""))
    for i in range(MODELS):
        row = {"id": i + 1, "name": f"model-{i}", "params": 10 ** (8 + i // 3) * (1 + i % 3), "reasoning": i % 2 == 1}
        of = {"kind": "endpoint", "endpoint_id": 1, "extra_body": {}, "capabilities": {}, "added_at": 0.0}
        session.execute(insert(t.Model).values(**row, **of))
    for i, name in enumerate(BASELINES):
        row = {"id": MODELS + 1 + i, "name": name, "kind": "baseline", "added_at": 0.0}
        session.execute(insert(t.Model).values(**row, reasoning=False, extra_body={}, capabilities={}))
    how = {"form": "text", "examples": 0, "warning": False, "template": 1, "answer_tokens": 512, "temperature": 0.0}
    for i, channel in enumerate(CHANNELS, 1):
        session.execute(insert(t.Presentation).values(id=i, digest=channel, channel=channel, **how))
    row = {"id": 1, "name": "all", "spec": {}, "spec_digest": "all", "state": "complete", "created_at": 0.0}
    session.execute(insert(t.Batch).values(**row, notes={}))
    block = 0
    for family in range(1, FAMILIES + 1):
        kind = "numerics" if family % 4 == 0 else "optimization"
        session.execute(insert(t.FamilyVersion).values(id=family, name=f"family_{family:02}", version=1, kind=kind))
        for size in SIZES:
            for number in range(BLOCKS):
                block += 1
                row = {"id": block, "family_version_id": family, "size": size, "seed": 7, "number": number}
                more = {"variant": "fresh", "modules": "", "knobs": {}, "prepared": 50, "discards": {}, "holes": {}}
                session.execute(insert(t.Block).values(**row, **more))
                session.execute(insert(t.Question).values(id=block, block_id=block, mode="final"))


def _made(draw: np.random.Generator, models: np.ndarray) -> tuple[np.ndarray, list[list[tuple]]]:
    """Return the matrices of shards of some models, (shards, measures, POSITIONS, 2), and by shard its trials."""
    size, model = (len(models), ASKED), models[:, None]
    outcome = draw.choice(len(OUTCOMES), size, p=SHARES)
    outcome = np.where(model > MODELS, OUTCOMES.index("infeasible"), outcome)
    scored, well = outcome >= len(UNSCORED), outcome >= OUTCOMES.index("infeasible")
    feasible, optimal = outcome >= OUTCOMES.index("feasible"), outcome == OUTCOMES.index("optimal")
    held = draw.random((*size, len(KINDS), 2)) < 0.3 + 0.05 * (model % 10)[..., None, None]
    held = np.where(feasible[..., None, None], True, held & well[..., None, None]).sum(axis=3)
    held[well & ~feasible & (held.sum(axis=2) == CONSTRAINTS), 0] = 1
    satisfied, gap = held.sum(axis=2), np.where(feasible & ~optimal, draw.integers(1, 900_000, size), 0)
    counts = {
        "constraints": (CONSTRAINTS * scored, satisfied),
        "wellformed": (CONSTRAINTS * well, satisfied),
        "feasible": (scored, feasible),
        "feasible_core": (scored, feasible),
        "optimal": (scored, optimal),
        "gap": (feasible, gap),
    }
    counts |= {f"outcome:{name}": (1, outcome == i) for i, name in enumerate(OUTCOMES)}
    counts |= {f"kind:{name}": (2 * scored, held[..., i]) for i, name in enumerate(KINDS)}
    for i, name in enumerate(CLASSES):
        part = held[..., 2 * i : 2 * i + 2]
        counts[f"class:{name}"] = (2 * part.shape[2] * scored, part.sum(axis=2))
    counts |= {name: (5 * scored, draw.integers(0, 5, size) * scored) for name in MORE}
    matrices = np.zeros((len(models), len(NAMES), POSITIONS, 2), np.int32)
    for i, name in enumerate(NAMES):
        for k in range(2):
            matrices[:, i, :ASKED, k] = counts[name][k]
    columns = (outcome.tolist(), satisfied.tolist(), np.where(feasible, gap, -1).tolist())
    trials = [
        [
            (i, 0, OUTCOMES[o], ANSWER, "", CONSTRAINTS, y, None if g < 0 else g)
            for i, (o, y, g) in enumerate(zip(*of, strict=True))
        ]
        for of in zip(*columns, strict=True)
    ]
    return matrices, trials


def _pour(session, rows) -> None:
    """Insert trials by the driver's fastest way."""
    raw = session.connection().connection.driver_connection
    columns = ", ".join((*TRIAL, "judge_version"))
    if session.get_bind().dialect.name == "sqlite":
        marks = ", ".join("?" * len(TRIAL))
        raw.executemany(f"INSERT INTO trial ({columns}) VALUES ({marks}, {JUDGE_VERSION})", rows)
        return
    with raw.cursor() as cursor, cursor.copy(f"COPY trial ({columns}) FROM STDIN") as copy:
        for row in rows:
            copy.write_row((*row, JUDGE_VERSION))
