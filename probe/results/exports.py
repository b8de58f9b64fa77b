"""Exports of trials, results by constraint kind and cells: everything that a reanalysis needs, page by page."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import and_, or_, select
from sqlalchemy.orm import Session

from probe.asking.judging import OUTCOMES, UNSCORED
from probe.asking.measures import POSITIONS
from probe.results.cells import ResultTable
from probe.results.columns import BY, COLUMNS
from probe.results.formats import flat
from probe.results.rows import Column, Page, Type
from probe.store import queries
from probe.store import tables as t
from probe.store.sessions import in_groups

PAGE = 5000  # trials in memory
TYPES: dict[type, Type] = {str: "text", int: "whole", float: "number", bool: "flag"}

FACTS: dict[str, tuple[Any, str]] = {  # of a trial, in one query: column -> (where it stands, what it is)
    "trial": (t.Trial.id, "number of the trial: probe show NUMBER"),
    "batch": (t.Batch.name, "the batch; empty for a baseline, whose answers all batches share"),
    "canary": (t.Batch.canary, "asked unchanged every night; in no table unless named"),
    "model": (t.Model.name, "who answered"),
    "model_kind": (t.Model.kind, "endpoint or baseline"),
    "served_id": (t.Model.served_id, "what the endpoint calls the model"),
    "lineage": (t.Model.lineage, "what models trained alike share"),
    "params": (t.Model.params, "total parameters"),
    "active_params": (t.Model.active_params, "parameters used for a token"),
    "layers": (t.Model.layers, "depth"),
    "width": (t.Model.width, "hidden size"),
    "training": (t.Model.training, "base, sft, rl …"),
    "reasoning": (t.Model.reasoning, "whether it thinks before it answers"),
    "family": (t.FamilyVersion.name, "family of the problem"),
    "family_kind": (t.FamilyVersion.kind, "optimization or numerics"),
    "family_version": (t.FamilyVersion.version, "version of its draw and statement"),
    "size": (t.Block.size, "xs, s, m, l or xl"),
    "seed": (t.Block.seed, "seed of the instance"),
    "index": (t.Block.number * POSITIONS + t.Trial.position, "index of the instance: the same index, the same base"),
    "variant": (t.Block.variant, "how the instance was derived from its base"),
    "modules": (t.Block.modules, "optional constraint kinds switched on, joined by +"),
    "key": (t.Instance.key, "key of the instance: the cluster of intervals is (family … index), twins share it"),
    "greedy_fails": (t.Instance.greedy_fails, "whether the obvious heuristic fails on it"),
    "mode": (t.Question.mode, "final or trace"),
    "channel": (t.Presentation.channel, "text, json or tool; empty for a baseline, as are the next nine"),
    "asked_channel": (t.Shard.asked_channel, "the channel that was wanted"),
    "form": (t.Presentation.form, "what the endpoint was asked for"),
    "examples": (t.Presentation.examples, "worked examples in the prompt"),
    "coverage": (t.Presentation.coverage, "modules that they show"),
    "warning": (t.Presentation.warning, "whether the prompt warned of known problems"),
    "template": (t.Presentation.template, "version of the prompt's template"),
    "temperature": (t.Presentation.temperature, "temperature asked for"),
    "effort": (t.Presentation.effort, "reasoning effort asked for"),
    "answer_cap": (t.Presentation.answer_tokens, "most tokens of an answer"),
    "sample": (t.Trial.sample, "number of the answer to this question"),
    "outcome": (t.Trial.outcome, f"{', '.join(OUTCOMES)}"),
    "constraints": (t.Trial.constraints, "constraints of the instance"),
    "satisfied": (t.Trial.satisfied, "those that the answer satisfies"),
    "objective": (t.Trial.objective, "value of a feasible answer, exact: whole or p/q"),
    "gap": (t.Trial.gap, "primal gap of a feasible answer in parts per million"),
    "answer": (t.Trial.answer, "the JSON that was read in the reply"),
    "repairs": (t.Trial.repairs, "what had to be overlooked to read it, joined by commas"),
    "error": (t.Trial.error, "why nothing was read, or what doesn't fit"),
    "judge_version": (t.Trial.judge_version, "version of the judge"),
}
SCORED = Column("scored", "flag", f"false: {', '.join(UNSCORED)}, failures of the instrument, in no rate")
CALLED = (  # of the calls made for it
    Column("calls", "whole", "attempts made for the answer"),
    Column("seconds", "number", "that the last attempt took"),
    Column("started_at", "number", "when it began, seconds since 1970 (UTC)"),
    Column("finish_reason", "text", "why the endpoint stopped writing", foreign=True),
    Column("prompt_tokens", "whole", "as the endpoint counted"),
    Column("answer_tokens", "whole", "as the endpoint counted, reasoning included"),
    Column("reasoning_tokens", "whole", "as the endpoint counted"),
    Column("served_model", "text", "what the endpoint says has answered", foreign=True),
    Column("fingerprint", "text", "of the endpoint's system", foreign=True),
)
FOREIGN = ("batch", "model", "served_id", "lineage", "training", "answer", "error")


def _column(name: str) -> Column:
    of, about = FACTS[name]
    return Column(name, TYPES[of.type.python_type], about, name in FOREIGN)


TRIALS = (*(_column(name) for name in FACTS), SCORED, *CALLED)
ASKED = ("trial", "batch", "model", "model_kind", "params", "family", "family_version", "size", "seed", "index")
SHARED = (*ASKED, "variant", "modules", "key", "mode", "channel", "effort", "sample", "outcome", "judge_version")
CONSTRAINTS = (
    *(_column(name) for name in SHARED),
    Column("constraint_kind", "text", "kind of the constraints"),
    Column("kind_constraints", "whole", "constraints of this kind in the instance"),
    Column("kind_satisfied", "whole", "those that the answer satisfies"),
    Column("failed", "text", "ids of the others, as in probe show, joined by commas"),
)


def trial_pages(session: Session, batches: Sequence[int] | None, where: Mapping[str, str]) -> Iterator[Page]:
    """Yield the trials, those of baselines on the same questions included, by number, as rows of `TRIALS`.

    Raises RequestError for unknown keys in ``where``.
    """
    for page in _pages(session, batches, where, tuple(FACTS)):
        called = _called(session, {row["shard"] for row in page})
        for row in page:
            row["scored"] = row["outcome"] not in UNSCORED
            row.update(called.get((row["shard"], row["position"], row["sample"]), NOT_CALLED))
        yield page


def constraint_pages(session: Session, batches: Sequence[int] | None, where: Mapping[str, str]) -> Iterator[Page]:
    """Yield results by constraint kind, a row for each scored trial and kind, as rows of `CONSTRAINTS`."""
    for page in _pages(session, batches, where, SHARED):
        trials = {row["trial"]: row for row in page}
        span = t.ConstraintResult.trial_id.between(page[0]["trial"], page[-1]["trial"])
        rows = []
        for result in session.execute(
            select(t.ConstraintResult.__table__).where(span).order_by(t.ConstraintResult.trial_id)
        ):
            if result.trial_id in trials:
                failed = [f"{result.kind}.{number}" for number in result.failed.split(",") if number]
                counts = {"kind_constraints": result.constraints, "kind_satisfied": result.satisfied}
                kind = {"constraint_kind": result.kind, "failed": ",".join(failed)}
                rows.append(trials[result.trial_id] | kind | counts)
        yield sorted(rows, key=lambda row: (row["trial"], row["constraint_kind"]))


def _pages(
    session: Session, batches: Sequence[int] | None, where: Mapping[str, str], names: Sequence[str]
) -> Iterator[list[dict[str, Any]]]:
    """Yield trials page by page, each page by a condition on the number (so that none costs more than the first)."""
    met = queries.conditions(None, where)
    if batches is not None:
        asked = select(t.Shard.question_id).where(t.Shard.batch_id.in_(batches))
        of_baseline = and_(t.Shard.batch_id.is_(None), t.Shard.question_id.in_(asked))
        met.append(or_(t.Shard.batch_id.in_(batches), of_baseline))
    columns = [FACTS[name][0].label(name) for name in names]
    query = (
        queries.joined(*columns, t.Shard.id.label("shard"), t.Trial.position)
        .join(t.Instance, and_(t.Instance.block_id == t.Block.id, t.Instance.position == t.Trial.position))
        .where(*met)
        .order_by(t.Trial.id)
        .limit(PAGE)
    )
    last = 0
    while page := [dict(row._mapping) for row in session.execute(query.where(t.Trial.id > last))]:
        last = page[-1]["trial"]
        yield page


NOT_CALLED: dict[str, Any] = {c.name: None for c in CALLED} | {"calls": 0}


def _called(session: Session, shards: set[int]) -> dict[tuple[int, int, int], dict[str, Any]]:
    """Return what calls say of answers, by shard, position and sample."""
    out: dict[tuple[int, int, int], dict[str, Any]] = {}
    columns = [getattr(t.Call, c.name) for c in CALLED if c.name != "calls"]
    for some in in_groups(sorted(shards)):
        mine = t.Call.shard_id.in_(some)
        query = select(t.Call.shard_id, t.Call.position, t.Call.sample, t.Call.number, *columns).where(mine)
        for row in session.execute(query.order_by(t.Call.number)):
            place = (row.shard_id, row.position, row.sample)
            calls = out[place]["calls"] + 1 if place in out else 1
            out[place] = {c.name: getattr(row, c.name) for c in CALLED if c.name != "calls"} | {"calls": calls}
    return out


# --- cells ------------------------------------------------------------------------------------------------------------


def cell_columns(table: ResultTable) -> list[Column]:
    """Return the columns of a result table's cells."""
    out = []
    for name in table.by:
        kind: Type = TYPES[COLUMNS[name].kind] if name in COLUMNS else "text"
        out.append(Column(name, kind, f"the cell's {name}", foreign=name in ("model", "batch")))
    out.append(Column("kind_of_row", "text", "endpoint or baseline"))
    out += [Column(name, "whole", about) for name, about in COUNTED.items()]
    out += [Column(f"outcome_{name}", "whole", f"answers that are {name}") for name in OUTCOMES]
    out += [
        Column(f"worst_case_{e}", "number", f"the measure if all unscored trials were {e}") for e in ("wrong", "right")
    ]
    for name, about in RATES.items():
        out.append(Column(name, "number", about))
        out += [Column(f"{name}_{end}", "number", f"{end} end of its 95 % interval") for end in ("low", "high")]
        out.append(Column(f"{name}_n", "number", "its denominator"))
        out.append(Column(f"{name}_clusters", "whole", "independent instances behind it"))
    out += [Column("measure", "text", "what chance and corrected speak of"), Column("baseline", "text", "whose chance")]
    return [*out, Column("judge_version", "whole", "version of the judge")]


COUNTED = {"n_trials": "answers asked for, unscored ones too", "n_instances": "distinct instances"}
RATES = {
    "satisfaction_micro": "share of all constraints that are satisfied",
    "satisfaction_macro": "mean over instances of the share of their constraints that are satisfied",
    "satisfaction_given_wellformed": "the same as the first, of well-formed answers",
    "feasible": "share of answers that satisfy every constraint",
    "feasible_core": "the same but for the target",
    "optimal": "share of answers that are feasible and optimal",
    "corrected": "(rate - chance) / (1 - chance)",
    "gap": "mean primal gap of feasible answers, 0 to 1",
    "chance": "the baseline's rate on the same instances",
    "over_families": "mean of the measure over families, with Student's t over them; empty for fewer than two",
}
CELLS = cell_columns(ResultTable(BY, "", "", None, []))


def cell_pages(table: ResultTable) -> Iterator[Page]:
    """Yield the cells of a table as rows of `cell_columns`."""
    yield flat(table)
