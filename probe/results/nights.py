"""What changed from one run of a schedule to the next: a model's canary rate, and who says it answered."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from probe.asking.measures import POSITIONS, unpack
from probe.results.statistics import REFERENCE_NIGHTS, WINDOWS, drift, drift_threshold
from probe.store.tables import Call, Model, ScheduleRun, Shard, Tally

SIGNS = ("served_model", "fingerprint")  # by which an endpoint says who answers
MOST_SIGNS = 20  # a sign with more values in one run identifies nothing
MEASURE = "constraints"
MOST_NIGHTS = 400  # that are looked back


def changes(session: Session, run: ScheduleRun) -> dict[str, Any]:
    """Return as JSON what changed against the schedule's finished runs; they keep what they were compared by.

    A reported drift is the new normal: the reference of that model starts anew with the run that reported it.
    """
    earlier = (ScheduleRun.schedule_id == run.schedule_id, ScheduleRun.state == "finished", ScheduleRun.due < run.due)
    newest = select(ScheduleRun).where(*earlier).order_by(ScheduleRun.due.desc()).limit(MOST_NIGHTS)
    past = session.scalars(newest).all()[::-1]
    batches = [batch for batch in (run.batch_id, run.canary_id) if batch is not None]
    asked = select(Shard.model_id).where(Shard.batch_id.in_(batches))
    shown = {model.id: model.name for model in session.scalars(select(Model).where(Model.id.in_(asked)))}
    signs = _signs(session, batches)
    threshold = drift_threshold(len(shown))
    of_models: dict[str, Any] = {}
    for model_id, name in sorted(shown.items(), key=lambda pair: pair[1]):
        before = [night.changes["models"][name] for night in past if name in night.changes.get("models", {})]
        start = max((i for i, night in enumerate(past) if _said(night, name, "moved")), default=0)
        nights = [night.canary_id for night in (*past[start:], run) if night.canary_id is not None]
        found, seen = _drift(session, model_id, nights, run.canary_id)
        moved = found is not None and abs(found["z"]) >= threshold
        now = {sign: signs.get((model_id, sign), []) for sign in SIGNS}
        new = {sign: _new(now[sign], [model[sign] for model in before]) for sign in SIGNS}
        of_models[name] = {
            "changed": moved or any(new.values()),
            "moved": moved,
            "nights": seen,
            "drift": None if found is None else found | {"threshold": round(threshold, 2)},
            **now,
            **{f"new_{sign}": values for sign, values in new.items()},
        }
    return {"changed": any(model["changed"] for model in of_models.values()), "models": of_models}


def _said(night: ScheduleRun, name: str, what: str) -> bool:
    return bool(night.changes.get("models", {}).get(name, {}).get(what))


def _signs(session: Session, batches: list[int]) -> dict[tuple[int, str], list[str]]:
    """Return by model and sign what its endpoint said in some batches."""
    out: dict[tuple[int, str], list[str]] = {}
    for sign in SIGNS:
        column = getattr(Call, sign)
        query = select(Shard.model_id, column).join(Shard, Call.shard_id == Shard.id).distinct()
        values: dict[int, list[str]] = {}
        for model_id, value in session.execute(query.where(Shard.batch_id.in_(batches), column.is_not(None))):
            values.setdefault(model_id, []).append(value)
        out |= {(model_id, sign): sorted(said) for model_id, said in values.items() if len(said) <= MOST_SIGNS}
    return out


def _new(now: list[str], before: list[list[str]]) -> list[str]:
    """Return the values that were not there the last time that there were any."""
    last = next((values for values in reversed(before) if values), now)
    return [value for value in now if value not in last]


def _drift(
    session: Session, model_id: int, nights: list[int], tonight: int | None
) -> tuple[dict[str, Any] | None, int]:
    """Return (the drift of a model's canary rate up to tonight, over how many nights), in batches from old to new.

    Nights judged by another version of the judge are left out.
    """
    judged = select(Shard.batch_id, func.max(Tally.judge_version).label("version")).join(
        Tally, Tally.shard_id == Shard.id
    )
    rows = session.execute(
        judged.where(Shard.model_id == model_id, Shard.batch_id.in_(nights)).group_by(Shard.batch_id)
    )
    versions: dict[int | None, int] = {row[0]: row[1] for row in rows}
    if tonight not in versions:
        return None, 0
    nights = [night for night in nights if versions.get(night) == versions[tonight]]
    longest = max(WINDOWS)
    ends = nights if len(nights) <= REFERENCE_NIGHTS + longest else nights[:REFERENCE_NIGHTS] + nights[-longest:]
    tallies = session.execute(
        select(Shard.batch_id, Shard.asked_channel, Shard.question_id, Tally.measures, Tally.matrix)
        .join(Tally, Tally.shard_id == Shard.id)
        .where(Shard.model_id == model_id, Shard.batch_id.in_(ends), Tally.judge_version == versions[tonight])
    ).all()
    found = drift(_rates(tallies, ends))
    if found is None:
        return None, len(nights)
    numbers = {"z": round(found.z, 3), "before": round(found.before, 5), "after": round(found.after, 5)}
    return numbers | {"window": found.window, "instances": found.instances}, len(nights)


def _rates(tallies: Sequence[Any], nights: list[int]) -> NDArray[np.float64]:
    """Return the share of satisfied constraints by night and instance, NaN where nothing was counted."""
    places: dict[tuple[str, int], int] = {}
    for row in tallies:
        places.setdefault((row.asked_channel, row.question_id), len(places))
    counts = np.zeros((len(nights), len(places), POSITIONS, 2))
    order = {night: i for i, night in enumerate(nights)}
    for row in tallies:
        counted = unpack(row.measures, row.matrix)
        if MEASURE in counted:
            counts[order[row.batch_id], places[row.asked_channel, row.question_id]] += counted[MEASURE]
    n, y = counts.reshape(len(nights), -1, 2).transpose(2, 0, 1)
    rates = np.full(n.shape, np.nan)
    np.divide(y, n, out=rates, where=n > 0)
    return rates
