"""What wrong answers are: stored answers matched with what their own instance suggests and with what others do.

Tallies say how often a wrong value is an attractor, but not how often it would be one by chance. Chance is the same
values matched with the attractors of *other* instances of the same block, with the same tolerance (permutation).
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from sqlalchemy import select
from sqlalchemy.orm import Session

from probe.asking.measures import POSITIONS
from probe.asking.posed import Posed
from probe.asking.posed import load as pose
from probe.asking.reading import read
from probe.preparing import unpack_document
from probe.results.evidence import Arm
from probe.store import work
from probe.store.sessions import in_groups
from probe.store.tables import Question, Shard, Trial
from solvers.procedure import Procedure, Vector, allowed, classify

OWN, OTHER = "own:", "other:"  # measures of an arm here: matches with its own instance's attractor, and with others'
JUMPS = ("converged", "start", "nice")  # what a wrong final value may be that no step led to
GREEDY_FAILS = "greedy_fails"
WRONG = {"numerics": ("infeasible",), "optimization": ("infeasible", "feasible")}  # outcomes of well-formed answers
MOST_ANSWERS = 300  # instances of a model whose answers are matched, spread over its blocks
FEWEST_POSITIONS = 5  # of a block
MOST_SAMPLES = 4  # of an instance
OTHERS = 4  # instances that stand for chance


@dataclass(frozen=True)
class Known:
    """An instance and what it suggests, computed once: a limit takes hundreds of exact steps."""

    posed: Posed

    @cached_property
    def attractors(self) -> tuple[Vector, Vector | None, tuple[Vector, ...]]:
        """Start, limit and iterates before the last of a procedure."""
        family, instance = self.posed.family, self.posed.instance
        assert isinstance(family, Procedure)
        return family.start(instance.data), family.limit(instance), instance.answer[:-1]

    @cached_property
    def greedy(self) -> Any:
        """The obvious heuristic's answer."""
        return self.posed.family.greedy_answer(self.posed.instance)


Matches = dict[str, tuple[int, int]]  # attractor -> an answer's wrong values, those that are it
Matcher = Callable[[Known, Any, Known], Matches]  # (asked, answer, the instance whose attractors count)


def load(session: Session, arms: Iterable[Arm]) -> list[Arm]:
    """Return arms of wrong answers: fresh final values of procedures, and answers where greedy fails.

    Counts are, by position, ``own:X`` (wrong values, those that are X) and ``other:X`` (the same against up to `OTHERS`
    other instances), X one of `JUMPS`, or ``greedy`` for whole answers. Bounded: about `MOST_ANSWERS` instances a
    model, the first ones of each of its blocks.
    """
    wanted = _spread([arm for arm in arms if _matched(arm)])
    blocks = _blocks(session, [arm.shards[0] for arm, _ in wanted])
    known: dict[tuple[int, int], dict[int, Known]] = {}
    out = []
    for arm, last in wanted:
        block = blocks[arm.shards[0]]
        if (block, last) not in known:
            known[block, last] = _known(session, block, last, arm.mode)
        if counts := _counts(known[block, last], _answers(session, arm, last), MATCHERS[arm.kind]):
            out.append(replace(arm, counts=counts))
    return out


def _spread(arms: Sequence[Arm]) -> list[tuple[Arm, int]]:
    """Return the arms whose answers are matched, and below which position: of a model with many every second, third …

    So models that were asked the same are matched on the same.
    """
    of_model: dict[tuple[int, str], list[Arm]] = {}
    for arm in arms:
        of_model.setdefault((arm.subject.id, arm.kind), []).append(arm)
    out = []
    for own in of_model.values():
        every = -(-len(own) * FEWEST_POSITIONS // MOST_ANSWERS)
        some = sorted(own, key=lambda arm: (arm.base, arm.shards))[::every]
        out += [(arm, min(POSITIONS, MOST_ANSWERS // len(some))) for arm in some]
    return out


def _matched(arm: Arm) -> bool:
    """Return whether an arm's wrong answers are matched with anything."""
    if arm.manner is None or arm.mode != "final":
        return False
    return arm.variant == (GREEDY_FAILS if arm.kind == "optimization" else "fresh")


def _blocks(session: Session, shards: Sequence[int]) -> dict[int, int]:
    """Return shard -> its block."""
    out: dict[int, int] = {}
    query = select(Shard.id, Question.block_id).join(Question, Shard.question_id == Question.id)
    for some in in_groups(shards):
        for shard, block in session.execute(query.where(Shard.id.in_(some))):
            out[shard] = block
    return out


def _known(session: Session, block: int, last: int, mode: Any) -> dict[int, Known]:
    """Return a block's first instances by position; none where their family has moved on: they can't be judged."""
    documents = work.instance_documents(session, block, 0, last)
    try:
        return {position: Known(pose(unpack_document(one), mode)) for position, one in sorted(documents.items())}
    except (KeyError, ValueError):
        return {}


def _answers(session: Session, arm: Arm, last: int) -> list[tuple[int, str]]:
    """Return (position, answer) of an arm's wrong answers at positions below ``last``."""
    query = (
        select(Trial.position, Trial.answer)
        .where(Trial.shard_id.in_(arm.shards), Trial.position < last, Trial.sample < MOST_SAMPLES)
        .where(Trial.outcome.in_(WRONG[arm.kind]), Trial.answer.is_not(None))
        .order_by(Trial.position, Trial.sample, Trial.id)
    )
    return [(position, answer) for position, answer in session.execute(query) if answer is not None]


def _counts(known: Mapping[int, Known], answers: Iterable[tuple[int, str]], matcher: Matcher) -> dict[str, Any]:
    """Return the counts (POSITIONS, 2) of an arm's wrong answers."""
    out: dict[str, Any] = {}
    positions = list(known)
    for position, text in answers:
        if position not in known:
            continue
        one = known[position]
        reading = read(text, one.posed.schema)
        if reading.status != "read":
            continue
        answer = one.posed.shape.parse(reading.value, one.posed.instance.names)
        at = positions.index(position)
        others = [known[p] for p in (*positions[at + 1 :], *positions[:at])][:OTHERS]
        for prefix, instances in ((OWN, [one]), (OTHER, others)):
            for instance in instances:
                for name, matches in matcher(one, answer, instance).items():
                    counts = out.setdefault(prefix + name, np.zeros((POSITIONS, 2), np.int64))
                    counts[position] += matches
    return out


def _jumps(asked: Known, answer: Any, other: Known) -> Matches:
    """Return what the wrong final values of a procedure are, as `solvers.procedure.classify` says."""
    instance = asked.posed.instance
    places, truth, values = instance.knobs["places"], instance.answer[-1], answer[-1]
    start, limit, earlier = other.attractors
    if len(start) != len(truth):
        return {}
    wrong = [k for k, v in enumerate(truth) if abs(values[k] - v) > allowed(places)]
    found = Counter[str](
        classify(values[k], truth[k], start[k], limit[k] if limit else None, [row[k] for row in earlier], places)
        for k in wrong
    )
    return {name: (len(wrong), found[name]) for name in JUMPS}


def _greedy(asked: Known, answer: Any, other: Known) -> Matches:
    """Return whether an answer is the obvious heuristic's."""
    return {"greedy": (1, int(answer == other.greedy))}


MATCHERS: dict[str, Matcher] = {"numerics": _jumps, "optimization": _greedy}
