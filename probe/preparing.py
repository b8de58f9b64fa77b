"""Preparing: instances with their exact answers and the baselines' answers, block by block, in worker processes."""

import json
import math
import time
import zlib
from dataclasses import dataclass, replace
from typing import Any

from probe.asking import baselines
from probe.asking.judging import judge_reply
from probe.asking.measures import POSITIONS
from probe.asking.posed import load
from probe.asking.records import Record, record
from solvers import registry
from solvers.problem import Hole, Mode


@dataclass(frozen=True)
class BlockWork:
    """Positions [first, last) of a block to be made, as plain data for a worker process."""

    block_id: int
    family: str
    size: str
    modules: tuple[str, ...]
    variant: str
    seed: int
    number: int
    first: int
    last: int


@dataclass(frozen=True)
class Prepared:
    """What became of a `BlockWork`: documents by position, holes with their reasons, discarded attempts by position
    and reason."""

    work: BlockWork
    instances: tuple[tuple[int, str, bool | None, bytes], ...]  # (position, key, greedy_fails, document)
    holes: dict[str, dict[str, int]]
    discards: dict[int, dict[str, int]]
    knobs: dict[str, int]
    seconds: float


def pack_document(document: dict[str, Any]) -> bytes:
    """Return an instance's JSON as the database keeps it."""
    return zlib.compress(json.dumps(document, separators=(",", ":")).encode(), 6)


def unpack_document(blob: bytes) -> dict[str, Any]:
    """Return the JSON of a kept instance."""
    document: dict[str, Any] = json.loads(zlib.decompress(blob))
    return document


def make(work: BlockWork, seconds: float = math.inf) -> Prepared:
    """Generate and solve the positions of a block (CPU bound; runs in a worker process).

    After ``seconds`` it leaves the rest: the result's ``work`` ends where it came to, one position at least.
    """
    began = time.monotonic()
    family = registry.get(work.family)
    instances: list[tuple[int, str, bool | None, bytes]] = []
    holes: dict[str, dict[str, int]] = {}
    discards: dict[int, dict[str, int]] = {}
    solving = 0.0
    for position in range(work.first, work.last):
        if position > work.first and time.monotonic() - began > seconds:
            work = replace(work, last=position)
            break
        index = work.number * POSITIONS + position
        found, dropped = family.instance(work.size, work.seed, index, work.modules, work.variant)
        discards[position] = dict(dropped)
        if isinstance(found, Hole):
            holes[str(position)] = dict(found.reasons)
            continue
        solving += found.proof.seconds
        instances.append((position, found.key, found.greedy_fails, pack_document(family.dump(found))))
    knobs = family.sizes[work.size].plain()
    return Prepared(work, tuple(instances), holes, discards, knobs, solving)


def give_up(work: BlockWork) -> Prepared:
    """Return the first position of a block as a hole: whoever tried to make it died."""
    first = replace(work, last=work.first + 1)
    return Prepared(
        first, (), {str(work.first): {"poison": 1}}, {}, registry.get(work.family).sizes[work.size].plain(), 0.0
    )


@dataclass(frozen=True)
class BaselineWork:
    """A baseline's shard: the documents of its positions, asked in one mode."""

    shard_id: int
    baseline: str
    mode: Mode
    documents: tuple[tuple[int, bytes], ...]


def answer(work: BaselineWork) -> list[Record]:
    """Return a baseline's judged answers (CPU bound; runs in a worker process).

    They are written as text and read by the judge like any model's.
    """
    out = []
    for position, blob in work.documents:
        posed = load(unpack_document(blob), work.mode)
        for sample in range(baselines.samples(work.baseline)):
            given = baselines.answer(posed, work.baseline, sample)
            if given is not None:
                text = json.dumps(posed.shape.write(given, posed.instance.names))
                out.append(record(posed, position, sample, judge_reply(posed, text, "stop")))
    return out
