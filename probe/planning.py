"""Before and while: what a batch would take and could detect, and how it stands."""

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Text, cast, func, select
from sqlalchemy.orm import Session

from probe import models
from probe.asking import baselines
from probe.asking.judging import OUTCOMES
from probe.asking.measures import unpack
from probe.asking.posed import Posed
from probe.asking.presentation import estimated_tokens, prompt
from probe.batches import Asked, BatchSpec, expand
from probe.budget import use
from probe.store import work
from probe.store.sessions import database_time, in_groups
from probe.store.tables import Batch, BatchQuestion, Block, Call, Endpoint, FamilyVersion, Model, Question, Shard, Tally
from probe.submitting import stored_spec
from solvers import registry
from solvers.problem import Instance

RATE = 0.57  # the middle of the published plateau: where power is planned
RHO = 0.1  # correlation of constraints of one instance that planning assumes
AT_ONCE = 5000  # ids in one statement
SAMPLE_INDEXES = 5  # indexes tried for an instance whose prompt stands for its question's


@dataclass(frozen=True)
class Plan:
    """What a batch would take. Tokens and cost are the worst case: every answer as long as its cap."""

    models: list[str]
    questions: int
    instances: int
    calls: int
    prompt_tokens: int
    answer_tokens: int
    cost: float | None  # USD; None where a model has no price
    seconds: float | None  # from the median call of each model so far; None where one was never called
    constraints_per_instance: float | None
    detectable_difference: float | None  # between two models on these instances, 80 % power, as a share

    def plain(self) -> dict[str, Any]:
        """Return the plan as JSON."""
        return asdict(self)


def plan(session: Session, spec: BatchSpec, concurrency: int) -> Plan:
    """Return what a checked spec would take, without storing anything."""
    from probe.results.statistics import minimum_detectable_difference

    answering = models.resolve(session, spec.models)
    asked = expand(spec)
    prompts = 0
    constraints = 0
    lengths: dict[tuple[str, str, str, tuple[str, ...], str], tuple[int, int]] = {}
    for one in asked:
        key = (one.family, one.size, one.variant, one.modules, one.mode)
        if key not in lengths:
            posed = _sample(one)
            lengths[key] = (0, 0)
            if posed is not None:
                tokens = sum(estimated_tokens(prompt(posed, p)) for p in spec.presentations())
                lengths[key] = (tokens, len(posed.constraints))
        prompts += lengths[key][0] * (one.last - one.first)
        constraints += lengths[key][1] * (one.last - one.first)
    instances = sum(one.last - one.first for one in asked)
    calls_each = instances * spec.samples * len(spec.channels)
    seconds = _seconds(session, [model.id for model in answering], calls_each, concurrency)
    cost: float | None = 0.0
    for model in answering:
        if model.price_in is None or model.price_out is None or cost is None:
            cost = None
        else:
            priced = (model.price_in, model.price_out)
            cost += use(0, prompts * spec.samples, calls_each * spec.answer_tokens, priced).cost
    mean = constraints / instances if instances and constraints else None
    return Plan(
        models=[model.name for model in answering],
        questions=len(asked),
        instances=instances,
        calls=calls_each * len(answering),
        prompt_tokens=prompts * spec.samples * len(answering),
        answer_tokens=calls_each * spec.answer_tokens * len(answering),
        cost=cost,
        seconds=seconds,
        constraints_per_instance=mean,
        detectable_difference=minimum_detectable_difference(RATE, instances, mean, RHO) if mean else None,
    )


def _sample(asked: Asked) -> Posed | None:
    for index in range(SAMPLE_INDEXES):
        found, _ = registry.get(asked.family).instance(asked.size, asked.seed, index, asked.modules, asked.variant)
        if isinstance(found, Instance):
            return Posed(found, asked.mode)  # type: ignore[arg-type]
    return None


def _seconds(session: Session, ids: list[int], calls: int, concurrency: int) -> float | None:
    """Return the time of the slowest model, each asked beside the others; None where one was never called."""
    total = 0.0
    for model_id in ids:
        query = select(Call.seconds).join(Shard, Call.shard_id == Shard.id).where(Shard.model_id == model_id)
        seen = sorted(session.scalars(query.where(Call.kind == "ok").order_by(Call.id.desc()).limit(500)))
        if not seen:
            return None
        total = max(total, seen[len(seen) // 2] * calls / concurrency)
    return total


def render_plan(planned: Plan) -> str:
    """Return a plan as text."""
    lines = [
        f"models        {', '.join(planned.models) or 'none: only the baselines answer'}",
        f"questions     {planned.questions} (blocks x modes), {planned.instances} instances",
        f"calls         {planned.calls}",
        f"tokens        about {planned.prompt_tokens} in, at most {planned.answer_tokens} out",
        "cost          "
        + ("unknown: a model has no price" if planned.cost is None else f"at most {planned.cost:.4f} USD"),
        "time          "
        + ("unknown until each model has answered once" if planned.seconds is None else f"{planned.seconds:.0f} s"),
    ]
    if planned.detectable_difference is not None:
        lines.append(
            f"detects       a difference of {100 * planned.detectable_difference:.1f} points between two models"
            f" (80 % power, {planned.constraints_per_instance:.0f} constraints an instance correlated {RHO:g}, near"
            f" {100 * RATE:.0f} %)"
        )
    return "\n".join(lines)


def standing(session: Session, batch: Batch) -> dict[str, Any]:
    """Return how a batch stands, as JSON. ``planned`` trials leave out positions that are known to have no instance.

    A batch without models counts the answers of its baselines: nobody else is asked. Nothing is counted trial by trial:
    a batch may have millions, and may be looked at every second.
    """
    shards, planned = work.shard_counts(session, batch.id)
    if shards:
        asks = _asks(session, batch.id)
        questions, discards = _holes(session, asks), _discards(session, asks)
        planned -= _in_holes(session, batch.id, questions)
        outcomes = Counter(work.outcome_counts(session, batch.id))
    else:
        spec = stored_spec(batch.spec)
        questions = _questions(session, spec)
        discards = _sum({asked.block_id: asked.discards for asked in questions.values()}.values())
        left, outcomes = _asked_of_baselines(session, spec, questions)
        planned = left + outcomes.total()
    holes = {(asked.block_id, p) for asked in questions.values() for p in asked.holes if int(p) < asked.last}
    used = work.spent(session, batch.id)
    waiting = _waiting(session, batch)
    keys = work.keyless(session, batch)
    told = [
        f"{', '.join(names)} waits for a worker that has {key}: set it where one runs" for key, names in keys.items()
    ]
    told += [f"endpoint {w['endpoint']} is left alone until {w['until'][11:19]} UTC: {w['reason']}" for w in waiting]
    return {
        "id": batch.id,
        "name": batch.name,
        "state": batch.state,
        "planned": planned,
        "trials": outcomes.total(),
        "shards": shards,
        "discards": dict(discards),
        "holes": len(holes),
        "outcomes": dict(outcomes),
        "calls": used.calls,
        "tokens": used.tokens,
        "cost": used.cost,
        "waiting": waiting,
        "keys": keys,
        "notes": [*batch.notes.get("notes", []), *told],
    }


def _sum(counts: Iterable[dict[str, int]]) -> Counter[str]:
    total: Counter[str] = Counter()
    for count in counts:
        total.update(count)
    return total


def _waiting(session: Session, batch: Batch) -> list[dict[str, Any]]:
    """Return the endpoints that nobody asks for the time being although the batch has work for them."""
    if batch.state not in work.ACTIVE:
        return []
    left = select(Shard.id).where(Shard.batch_id == batch.id, Shard.model_id == Model.id, Shard.state == "pending")
    rows = session.execute(
        select(Endpoint.url, Endpoint.open_until, Endpoint.reason, Model.name)
        .join(Model, Model.endpoint_id == Endpoint.id)
        .where(Endpoint.open_until > database_time(session), left.exists())
        .order_by(Endpoint.id, Model.id)
    )
    found: dict[tuple[str, float, str], list[str]] = {}
    for url, until, reason, model in rows:
        found.setdefault((url, until, reason or "it could not be asked"), []).append(model)
    return [
        {"endpoint": url, "models": names, "until": f"{datetime.fromtimestamp(until, UTC):%Y-%m-%dT%H:%M:%SZ}"}
        | {"reason": reason}
        for (url, until, reason), names in found.items()
    ]


@dataclass(frozen=True)
class _Asked:
    """A question of which positions [0, last) are asked, with the holes and discarded attempts of its block."""

    block_id: int
    last: int
    holes: dict[str, Any]
    discards: dict[str, int]


def _asks(session: Session, batch_id: int) -> Any:
    """Return the query of a batch's questions, each with the end of what is asked of it."""
    asks = select(BatchQuestion.question_id, BatchQuestion.last).where(BatchQuestion.batch_id == batch_id)
    if session.execute(asks.limit(1)).first() is None:  # a batch of version 0.1.0 that was not touched since
        asks = select(Shard.question_id, func.max(Shard.last).label("last")).where(Shard.batch_id == batch_id)
        asks = asks.group_by(Shard.question_id)
    return asks.subquery()


def _discards(session: Session, asks: Any) -> Counter[str]:
    """Return how many attempts at the blocks of questions were discarded, by reason; equal blocks are read once."""
    written = cast(Block.discards, Text)
    blocks = select(Question.block_id).join(asks, asks.c.question_id == Question.id).distinct().subquery()
    query = select(written, func.count()).join(blocks, blocks.c.block_id == Block.id).where(written != "{}")
    total: Counter[str] = Counter()
    for text, times in session.execute(query.group_by(written)):
        for reason, count in json.loads(text).items():
            total[reason] += count * times
    return total


def _holes(session: Session, asks: Any) -> dict[int, _Asked]:
    """Return those of the questions whose blocks have holes."""
    rows = session.execute(
        select(Question.id, Question.block_id, asks.c.last, Block.holes)
        .join(asks, asks.c.question_id == Question.id)
        .join(Block, Question.block_id == Block.id)
        .where(cast(Block.holes, Text) != "{}")
    )
    return {question_id: _Asked(block_id, last, holes, {}) for question_id, block_id, last, holes in rows}


def _in_holes(session: Session, batch_id: int, questions: dict[int, _Asked]) -> int:
    """Return how many of the trials that a batch's shards ask have no instance."""
    count = 0
    for some in in_groups(list(questions), AT_ONCE):
        query = select(Shard.question_id, Shard.first, Shard.last, Shard.last_sample - Shard.first_sample)
        mine = query.where(Shard.batch_id == batch_id, Shard.question_id.in_(some))
        for question_id, first, last, samples in session.execute(mine):
            count += samples * sum(first <= int(position) < last for position in questions[question_id].holes)
    return count


def _asked_of_baselines(session: Session, spec: BatchSpec, questions: dict[int, _Asked]) -> tuple[int, Counter[str]]:
    """Return how much a spec's baselines have not answered yet, and how many of their trials had each outcome.

    A baseline answers the prefix of a question in order; what a family does not offer leaves no trials.
    """
    answered: dict[tuple[int, str], int] = {}
    outcomes: Counter[str] = Counter()
    for some in in_groups(list(questions), AT_ONCE):
        shards = (
            select(Shard.question_id, Model.name, Shard.last, Tally.measures, Tally.matrix)
            .join(Model, Shard.model_id == Model.id)
            .join(Tally, Tally.shard_id == Shard.id)
            .where(Shard.batch_id.is_(None), Shard.question_id.in_(some))
            .where(Model.name.in_(spec.baselines))
        )
        for question_id, name, last, measures, matrix in session.execute(shards):
            answered[question_id, name] = max(last, answered.get((question_id, name), 0))
            counted = unpack(measures, matrix)
            for outcome in OUTCOMES:
                if (trials := counted.get(f"outcome:{outcome}")) is not None:
                    outcomes[outcome] += int(trials[: questions[question_id].last, 1].sum())
    left = 0
    for question_id, asked in questions.items():
        for name in spec.baselines:
            todo = range(answered.get((question_id, name), 0), asked.last)
            left += baselines.samples(name) * sum(str(position) not in asked.holes for position in todo)
    return left, +outcomes


def _questions(session: Session, spec: BatchSpec) -> dict[int, _Asked]:
    """Return question -> what a spec asks of its block, for the newest version of each family."""
    last = {(a.family, a.size, a.seed, a.number, a.variant, "+".join(a.modules), a.mode): a.last for a in expand(spec)}
    key = (FamilyVersion.name, Block.size, Block.seed, Block.number, Block.variant, Block.modules, Question.mode)
    rows = session.execute(
        select(Question.id, Block.id, Block.holes, Block.discards, *key)
        .join(Block, Question.block_id == Block.id)
        .join(FamilyVersion, Block.family_version_id == FamilyVersion.id)
        .where(FamilyVersion.name.in_({asked[0] for asked in last}))
        .order_by(FamilyVersion.version)
    )
    newest: dict[tuple[Any, ...], tuple[int, _Asked]] = {}
    for question_id, block_id, holes, discards, *rest in rows:
        if (end := last.get(tuple(rest))) is not None:
            newest[tuple(rest)] = (question_id, _Asked(block_id, end, holes, discards))
    return dict(newest.values())
