"""Before and while: what a batch would take and could detect, and how it stands."""

from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from probe import models
from probe.asking.posed import Posed
from probe.asking.presentation import estimated_tokens, prompt
from probe.batches import BatchSpec, expand
from probe.budget import use
from probe.store import work
from probe.store.tables import Batch, Block, Call, Question, Shard, Trial
from solvers import registry
from solvers.problem import Instance

RATE = 0.57  # the middle of the published plateau: where power is planned
RHO = 0.1  # correlation of constraints of one instance that planning assumes
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
    lengths: dict[tuple[str, str, tuple[str, ...], str], tuple[int, int]] = {}
    for one in asked:
        key = (one.family, one.size, one.modules, one.mode)
        if key not in lengths:
            posed = _sample(one.family, one.size, one.modules, one.mode, one.seed)
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


def _sample(family: str, size: str, modules: tuple[str, ...], mode: Any, seed: int) -> Posed | None:
    for index in range(SAMPLE_INDEXES):
        found, _ = registry.get(family).instance(size, seed, index, modules)
        if isinstance(found, Instance):
            return Posed(found, mode)
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
    """Return how a batch stands, as JSON."""
    shards = work.shard_counts(session, batch.id)
    span = (Shard.last - Shard.first) * (Shard.last_sample - Shard.first_sample)
    planned = session.scalar(select(func.coalesce(func.sum(span), 0)).where(Shard.batch_id == batch.id))
    query = select(Trial.outcome, func.count()).join(Shard, Trial.shard_id == Shard.id)
    outcomes = {
        row[0]: row[1] for row in session.execute(query.where(Shard.batch_id == batch.id).group_by(Trial.outcome))
    }
    used = work.spent(session, batch.id)
    asked = select(Shard.question_id).where(Shard.batch_id == batch.id).distinct()
    of_batch = select(Question.block_id).where(Question.id.in_(asked))
    blocks = session.execute(select(Block.discards, Block.holes).where(Block.id.in_(of_batch))).all()
    discards: Counter[str] = Counter()
    for block in blocks:
        discards.update(block.discards)
    return {
        "id": batch.id,
        "name": batch.name,
        "state": batch.state,
        "planned": int(planned or 0),
        "trials": sum(outcomes.values()),
        "shards": shards,
        "discards": dict(discards),
        "holes": sum(len(block.holes) for block in blocks),
        "outcomes": outcomes,
        "calls": used.calls,
        "tokens": used.tokens,
        "cost": used.cost,
        "notes": list(batch.notes.get("notes", [])),
    }
