"""Before and while: what a batch would take and could detect, and how it stands."""

from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from probe import models
from probe.asking import baselines
from probe.asking.posed import Posed
from probe.asking.presentation import estimated_tokens, prompt
from probe.batches import Asked, BatchSpec, expand
from probe.budget import use
from probe.store import work
from probe.store.tables import Batch, Block, Call, FamilyVersion, Model, Question, Shard, Trial
from probe.submitting import stored_spec
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

    A batch without models counts the answers of its baselines: nobody else is asked.
    """
    shards = work.shard_counts(session, batch.id)
    if shards:
        asked, outcomes = _asked_of_models(session, batch.id)
    else:
        asked, outcomes = _asked_of_baselines(session, batch)
    ids = {block_id for block_id, *_ in asked}
    blocks = {block.id: block for block in session.scalars(select(Block).where(Block.id.in_(ids)))}
    planned = 0 if shards else outcomes.total()
    ends: dict[int, int] = {}
    discards: Counter[str] = Counter()
    for block_id, first, last, samples in asked:
        holes = blocks[block_id].holes
        planned += samples * sum(str(position) not in holes for position in range(first, last))
        ends[block_id] = max(last, ends.get(block_id, 0))
    for block in blocks.values():
        discards.update(block.discards)
    used = work.spent(session, batch.id)
    return {
        "id": batch.id,
        "name": batch.name,
        "state": batch.state,
        "planned": planned,
        "trials": outcomes.total(),
        "shards": shards,
        "discards": dict(discards),
        "holes": sum(int(position) < ends[block.id] for block in blocks.values() for position in block.holes),
        "outcomes": dict(outcomes),
        "calls": used.calls,
        "tokens": used.tokens,
        "cost": used.cost,
        "notes": list(batch.notes.get("notes", [])),
    }


Span = tuple[int, int, int, int]  # block, first position, last position (not included), answers to each of them


def _asked_of_models(session: Session, batch_id: int) -> tuple[list[Span], Counter[str]]:
    """Return what a batch's shards ask, and how many of its trials had each outcome."""
    where = (Question.block_id, Shard.first, Shard.last)
    spans = select(*where, func.sum(Shard.last_sample - Shard.first_sample)).group_by(*where)
    rows = session.execute(spans.join(Shard, Shard.question_id == Question.id).where(Shard.batch_id == batch_id))
    asked = [(block_id, first, last, int(samples)) for block_id, first, last, samples in rows]
    query = select(Trial.outcome, func.count()).join(Shard, Trial.shard_id == Shard.id)
    found = session.execute(query.where(Shard.batch_id == batch_id).group_by(Trial.outcome))
    return asked, Counter({row[0]: row[1] for row in found})


def _asked_of_baselines(session: Session, batch: Batch) -> tuple[list[Span], Counter[str]]:
    """Return what a spec's baselines have not answered yet, and how many of their trials had each outcome.

    A baseline answers the prefix of a question in order; what a family does not offer leaves no trials.
    """
    spec = stored_spec(batch.spec)
    questions = _questions(session, spec)
    shards = (
        select(Shard.question_id, Model.name, func.max(Shard.last))
        .join(Model, Shard.model_id == Model.id)
        .where(Shard.batch_id.is_(None), Shard.state == "complete", Shard.question_id.in_(questions))
        .group_by(Shard.question_id, Model.name)
    )
    answered = {(question_id, name): last for question_id, name, last in session.execute(shards)}
    asked = [
        (block_id, min(answered.get((question_id, name), 0), last), last, baselines.samples(name))
        for question_id, (block_id, last) in questions.items()
        for name in spec.baselines
    ]
    outcomes: Counter[str] = Counter()
    for last in {last for _, last in questions.values()}:
        mine = [question_id for question_id, (_, end) in questions.items() if end == last]
        found = session.execute(
            select(Trial.outcome, func.count())
            .join(Shard, Trial.shard_id == Shard.id)
            .join(Model, Shard.model_id == Model.id)
            .where(Shard.batch_id.is_(None), Shard.question_id.in_(mine), Trial.position < last)
            .where(Model.name.in_(spec.baselines))
            .group_by(Trial.outcome)
        )
        outcomes.update({row[0]: row[1] for row in found})
    return asked, outcomes


def _questions(session: Session, spec: BatchSpec) -> dict[int, tuple[int, int]]:
    """Return question -> (block, last position) of a spec, those of a family's newest version."""
    last = {(a.family, a.size, a.seed, a.number, a.variant, "+".join(a.modules), a.mode): a.last for a in expand(spec)}
    key = (FamilyVersion.name, Block.size, Block.seed, Block.number, Block.variant, Block.modules, Question.mode)
    rows = session.execute(
        select(Question.id, Block.id, *key)
        .join(Block, Question.block_id == Block.id)
        .join(FamilyVersion, Block.family_version_id == FamilyVersion.id)
        .where(FamilyVersion.name.in_({asked[0] for asked in last}))
        .order_by(FamilyVersion.version)
    )
    newest = {tuple(rest): (question_id, block_id) for question_id, block_id, *rest in rows}
    return {newest[asked][0]: (newest[asked][1], end) for asked, end in last.items() if asked in newest}
