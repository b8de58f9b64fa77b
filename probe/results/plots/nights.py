"""Night by night: a model's rate in the runs of a schedule, or in the batches of each day, with drift alarms."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from math import ceil, floor
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from probe.errors import RequestError, WorkError
from probe.results.cells import Cell, ResultTable, result_table
from probe.results.counting import MEASURES
from probe.results.formats import MEASURED
from probe.results.nights import MOST_NIGHTS, SIGNS
from probe.results.plots.frame import (
    BLUE,
    FONT,
    GREY,
    INK,
    LINE,
    ORANGE,
    VERMILION,
    Spec,
    Wanted,
    counts,
    described,
    ends,
    framed,
    layer,
    share,
    spread,
    text_layer,
    tooltip,
)
from probe.store.tables import Batch, ScheduleRun

WIDTH, HEIGHT, LOW = 640, 130, 90  # of a panel, pixels; height where there are many
MANY = 4  # panels
DAY = 86_400.0  # seconds
MOST_TICKS = 7
CANARY, FRESH, BATCH = "canary", "fresh instances", "batch"
STYLES = {BATCH: (BLUE, [1, 0], "circle"), CANARY: (BLUE, [1, 0], "circle"), FRESH: (ORANGE, [5, 3], "diamond")}
APART = 5  # pixels between the two rates of one night


@dataclass(frozen=True)
class Night:
    """A batch with the moment it belongs to (seconds since 1970), which of a night's rates it is, and what changed."""

    at: float
    batch: str
    kind: str
    changes: dict[str, Any]  # by model, as of `probe.results.nights.changes`


def draw(session: Session, wanted: Wanted) -> Spec:
    """Return the nights of a schedule, or of all batches (canaries aside), day by day."""
    options = dict(wanted.options)
    name = options.pop("schedule", None)
    measure = options.get("measure", "satisfaction_micro")
    if measure not in MEASURES:
        raise RequestError(f"measure: unknown {measure!r}; one of {', '.join(MEASURES)}")
    if wanted.batch is not None or "batch" in wanted.where:
        raise RequestError("plot nights: it shows batches over time; leave --batch and --where batch out")
    nights = _of_batches(session) if name is None else _of_schedule(session, name)
    if not nights:
        raise WorkError(
            "plot nights: there is no batch yet; ask one with `probe run`"
            if name is None
            else f"plot nights: no run of the schedule {name} has finished; `probe schedule history {name}` lists them"
        )
    where = {**wanted.where, "batch": ",".join(night.batch for night in nights)}
    return history(result_table(session, ("model", "batch"), where, measure=measure), nights, name)


def _of_batches(session: Session) -> list[Night]:
    newest = select(Batch).where(Batch.canary.is_(False)).order_by(Batch.created_at.desc()).limit(MOST_NIGHTS)
    return [Night(batch.created_at, batch.name, BATCH, {}) for batch in session.scalars(newest).all()[::-1]]


def _of_schedule(session: Session, name: str) -> list[Night]:
    """Return the finished runs of a schedule, old to new. Raises RequestError for an unknown name."""
    from probe import schedules

    schedule = schedules.find(session, name)
    done = (ScheduleRun.schedule_id == schedule.id, ScheduleRun.state == "finished")
    runs = session.scalars(select(ScheduleRun).where(*done).order_by(ScheduleRun.due.desc()).limit(MOST_NIGHTS)).all()
    return [
        Night(run.due, batch.name, CANARY if batch.canary else FRESH, run.changes.get("models", {}))
        for run in runs[::-1]
        for batch in schedules.batches_of(session, run)
    ]


def history(table: ResultTable, nights: Sequence[Night], schedule: str | None) -> Spec:
    """Return a panel a model, from a table by model and batch. Raises WorkError where no model has a rate."""
    rated = [cell for cell in table.cells if cell.kind == "endpoint" and cell.rates[table.measure] is not None]
    by_place = {(cell.group["model"], cell.group["batch"]): cell for cell in rated}
    if not by_place:
        raise WorkError("plot nights: no model has a scored answer in these batches; `probe status` shows them")
    models = list(dict.fromkeys(cell.group["model"] for cell in rated))
    first, last = nights[0].at, nights[-1].at
    margin = max(0.03 * (last - first), DAY / 2)
    domain = (first - margin, last + margin)
    per_pixel = (domain[1] - domain[0]) / WIDTH
    panels = []
    for model in models:
        rows = [
            _entry(night, by_place[model, night.batch], table.measure, per_pixel)
            for night in nights
            if (model, night.batch) in by_place
        ]
        panels.append(
            _panel(model, rows, _alarms(model, nights), domain, table.measure, HEIGHT if len(models) <= MANY else LOW)
        )
    version = "" if table.judge_version is None else f" Judge version {table.judge_version}."
    told = [
        f"{MEASURED[table.measure][1].capitalize()} ({table.measure}), with 95 % intervals clustered by instance."
        f" A point: {counts(rate.n for cell in rated if (rate := cell.rates[table.measure]) is not None)} counted, of"
        f" {counts(cell.n_instances for cell in rated)} instances. Times are UTC.{version}",
        "Grey bars: chance on the same instances, where it is known."
        if any(cell.chance is not None for cell in rated)
        else f"No chance level: the baseline {table.baseline} has not answered these questions.",
    ]
    if schedule is None:
        told.append("A point is a batch, at the time when it was queued; batches may ask different questions.")
    else:
        told.append(
            "canary: the same instances every night, by which drift is judged; fresh instances: new ones every night."
            " Upright lines: drift alarm (heavy), another served model or fingerprint than before (dashed)."
        )
    of = "batch by batch" if schedule is None else f"night by night: schedule {schedule}"
    return framed(f"{MEASURED[table.measure][0].capitalize()} {of}", [*told, *table.notes], {"vconcat": panels})


def _entry(night: Night, cell: Cell, measure: str, per_pixel: float) -> Spec:
    rate = cell.rates[measure]
    assert rate is not None
    low, high = ends(rate)
    aside = APART * per_pixel if night.kind == FRESH else 0.0
    return {
        "kind": night.kind,
        "at": 1000 * (night.at + aside),
        "when": _when(night.at),
        "batch": night.batch,
        "rate": rate.rate,
        "low": low,
        "high": high,
        "shown": described(rate),
        "n": rate.n,
        "instances": cell.n_instances,
        "chance": None if cell.chance is None else cell.chance.rate,
    }


def _when(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M")


def _alarms(model: str, nights: Sequence[Night]) -> list[Spec]:
    """Return what a schedule's runs said of a model: drift, or another name or fingerprint of who answers."""
    out = []
    for at, changes in {night.at: night.changes.get(model, {}) for night in nights}.items():
        if changes.get("moved"):
            drift = changes.get("drift") or {}
            text = f"drift, z {drift['z']:+.1f}" if "z" in drift else "drift"
            out.append({"at": 1000 * at, "text": text, "drift": True, "when": _when(at)})
        for sign in SIGNS:
            if values := changes.get(f"new_{sign}"):
                text = f"new {sign.replace('_', ' ')} {', '.join(map(str, values))}"
                out.append({"at": 1000 * at, "text": text, "drift": False, "when": _when(at)})
    return out


def _days(domain: tuple[float, float]) -> list[float]:
    """Return some midnights (UTC) within the ends, evenly apart, as milliseconds."""
    first, last = ceil(domain[0] / DAY), floor(domain[1] / DAY)
    return [1000 * DAY * day for day in range(first, last + 1, ceil((last - first + 1) / MOST_TICKS) or 1)]


def _panel(
    model: str,
    rows: Sequence[Spec],
    alarms: Sequence[Spec],
    domain: tuple[float, float],
    measure: str,
    height: float,
) -> Spec:
    x: Spec = {
        "type": "temporal",
        "scale": {"type": "utc", "domain": [1000 * domain[0], 1000 * domain[1]], "nice": False},
        "axis": {"title": None, "format": "%Y-%m-%d", "grid": False, "values": _days(domain)},
    }
    kinds = [kind for kind in STYLES if any(row["kind"] == kind for row in rows)]

    def scaled(i: int) -> Spec:
        scale = {"domain": kinds, "range": [STYLES[kind][i] for kind in kinds]}
        return {"field": "kind", "type": "nominal", "scale": scale, "legend": None}

    hue = {"color": scaled(0)}
    y_axis = {"title": MEASURED[measure][0], "format": ".0%", "tickCount": 4}
    at = {"x": {"field": "at"} | x, "y": share("rate", axis=y_axis)}
    bar = {"x": {"field": "at"} | x, "y": share("low"), "y2": {"field": "high"}}
    said = {"tooltip": tooltip(["night: when", "kind", "rate: shown", "n", "instances", "batch"])}
    with_chance = [row for row in rows if row["chance"] is not None]
    last = [[row for row in rows if row["kind"] == kind][-1] for kind in kinds]
    places = spread([height * (1 - row["rate"]) for row in last], LINE, 0, height)
    labels = [{"text": row["kind"], "y": place} for row, place in zip(last, places, strict=True)]
    chance = {"x": {"field": "at"} | x, "y": share("chance")}
    drift, signs = ([alarm for alarm in alarms if alarm["drift"] is so] for so in (True, False))
    upright = {"x": {"field": "at"} | x, "tooltip": tooltip(["night: when", "what: text"])}
    middle = 500 * (domain[0] + domain[1])
    texts = [alarm | {"y": 8 + LINE * (i % 3)} for i, alarm in enumerate(alarms)]
    sides = [("left", [t for t in texts if t["at"] <= middle]), ("right", [t for t in texts if t["at"] > middle])]
    down = {"field": "y", "type": "quantitative", "scale": None, "axis": None}
    return {
        "title": {"text": model, "anchor": "start", "fontSize": FONT + 1, "limit": WIDTH, "color": INK},
        "width": WIDTH,
        "height": height,
        "layer": [
            layer(drift, "rule", upright, color=VERMILION, strokeWidth=2.5),
            layer(signs, "rule", upright, color=GREY, strokeWidth=1.2, strokeDash=[4, 3]),
            layer(with_chance, "tick", chance, color=GREY, thickness=2, size=8, orient="horizontal"),
            layer(rows, "line", at | hue | {"strokeDash": scaled(1)}, strokeWidth=1.2),
            layer(rows, "rule", bar | hue, strokeWidth=1.2),
            layer(rows, "point", at | hue | {"shape": scaled(2)} | said, filled=True, size=40, opacity=1),
            *(
                text_layer(some, {"x": {"field": "at"} | x, "y": down}, align=side, dx=-4 if side == "right" else 4)
                for side, some in sides
            ),
            text_layer(labels if len(kinds) > 1 else [], {"x": {"value": WIDTH + 6}, "y": down}),
        ],
    }
