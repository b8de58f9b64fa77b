"""The heat map: models by constraint kind or class, with rates, intervals and how they stand to chance."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy.orm import Session

from probe.errors import RequestError, WorkError
from probe.results.cells import Cell, ResultTable, result_table
from probe.results.columns import SPLITS, human_size
from probe.results.formats import UNDEFINED, percent
from probe.results.plots.frame import (
    FONT,
    GREY,
    INK,
    Spec,
    Wanted,
    caveats,
    counts,
    described,
    framed,
    layer,
    text_layer,
    tooltip,
)
from probe.results.statistics import Interval

CELL_WIDTH, CELL_HEIGHT = 62, 32
PALE, DARK = "#F2F7FB", "#08306B"  # of 0 and 100 %: one hue, so that it reads in grey
TURN = 0.5  # rate from which texts are white
ABOVE, BELOW = "▲", "▼"  # better, worse than chance by the interval of the corrected rate


def draw(session: Session, wanted: Wanted) -> Spec:
    """Return the heat map of what is wanted."""
    options = dict(wanted.options)
    by = options.pop("by", "constraint_kind")
    if by not in SPLITS:
        raise RequestError(f"--by {by}: the plot kinds takes one of {', '.join(SPLITS)}")
    table = result_table(session, ("model", by), wanted.where, wanted.batch, **options)
    return heat_map(table, result_table(session, ("model", "params"), wanted.where, wanted.batch, **options))


def heat_map(table: ResultTable, models: ResultTable) -> Spec:
    """Return the heat map of a table by model and constraint kind or class, in its order of models.

    ``models``: the same by model and params. Raises WorkError where no model has a rate.
    """
    params = {cell.group["model"]: cell.group["params"] for cell in models.cells}
    [split] = [name for name in table.by if name in SPLITS]
    drawn = [cell for cell in table.cells if cell.kind == "endpoint" or cell.group["model"] == table.baseline]
    rated = [cell for cell in drawn if cell.kind == "endpoint" and cell.rates[table.measure] is not None]
    if not rated:
        raise WorkError("plot kinds: no model has a scored answer to these questions; ask some with `probe run`")
    columns = list(dict.fromkeys(_column(cell, table.baseline, params) for cell in drawn))
    parts = _hardest_last(rated, split, table.measure)
    by_place = {(_column(cell, table.baseline, params), cell.group[split]): cell for cell in drawn}
    rows = [_entry(column, part, by_place.get((column, part)), table.measure) for part in parts for column in columns]
    denominators = [
        {"part": part, "text": counts((_n(c.rates[table.measure]) for c in rated if c.group[split] == part), " – ")}
        for part in parts
    ]
    x: Spec = {
        "field": "column",
        "type": "nominal",
        "sort": columns,
        "axis": {"orient": "top", "labelAngle": -40, "title": None, "domain": False, "ticks": False},
    }
    y: Spec = {
        "field": "part",
        "type": "nominal",
        "sort": parts,
        "axis": {"title": split.replace("_", " "), "domain": False, "ticks": False},
    }
    colour = {
        "field": "rate",
        "type": "quantitative",
        "scale": {"domain": [0, 1], "range": [PALE, DARK], "interpolate": "rgb"},
        "legend": {"title": "satisfied", "format": ".0%", "orient": "right", "offset": 90, "gradientLength": 120},
    }
    ink = {"condition": {"test": f"datum.rate >= {TURN}", "value": "white"}, "value": INK}
    said = tooltip(["model: column", f"{split}: part", "rate: shown", "chance", "corrected", "n", "instances"])
    known = [row for row in rows if row["rate"] is not None]
    centred = {"align": "center", "limit": CELL_WIDTH}
    width = CELL_WIDTH * len(columns)
    layers = [
        layer(rows, "rect", {"x": x, "y": y}, fill="white", stroke="#BBBBBB", strokeWidth=0.6),
        layer(known, "rect", {"x": x, "y": y, "color": colour, "tooltip": said}, stroke="white", strokeWidth=1.5),
        text_layer(rows, {"x": x, "y": y, "color": ink}, dy=-5, fontSize=FONT + 1, **centred),
        layer(known, "text", {"x": x, "y": y, "color": ink, "text": {"field": "limits"}}, dy=8, fontSize=9, **centred),
        text_layer(denominators, {"x": {"value": width + 8}, "y": y}, color=GREY),
        text_layer([{"text": "n per model"}], {"x": {"value": width + 8}, "y": {"value": -10}}, color=GREY),
    ]
    title = f"Constraints satisfied by model and {split.replace('_', ' ')}"
    size = {"width": width, "height": CELL_HEIGHT * len(parts), "layer": layers}
    return framed(
        title,
        _told(table, rated, [cell for cell in models.cells if cell.kind == "endpoint"]),
        size | {"resolve": {"scale": {"color": "independent"}}},
    )


def _column(cell: Cell, baseline: str, params: dict[str, int | None]) -> str:
    name = str(cell.group["model"])
    if cell.kind == "baseline":
        return f"{name} (chance)"
    size = params.get(name)
    return name if size is None else f"{human_size(size)} · {name}"


def _hardest_last(cells: Sequence[Cell], split: str, measure: str) -> list[str]:
    """Return the kinds or classes by their mean rate over models, the lowest last."""
    rates: dict[str, list[float]] = {}
    for cell in cells:
        if (rate := cell.rates[measure]) is not None:
            rates.setdefault(cell.group[split], []).append(rate.rate)
    return sorted(rates, key=lambda part: (-sum(rates[part]) / len(rates[part]), part))


def _entry(column: str, part: str, cell: Cell | None, measure: str) -> dict[str, Any]:
    rate = None if cell is None else cell.rates[measure]
    if cell is None or rate is None:
        return {"column": column, "part": part, "rate": None, "text": UNDEFINED}
    low, high = rate.low, rate.high
    return {
        "column": column,
        "part": part,
        "rate": rate.rate,
        "text": f"{100 * rate.rate:.0f}{_against_chance(cell)}",
        "limits": "" if low is None or high is None else f"{100 * low:.0f} – {100 * high:.0f}",
        "shown": described(rate),
        "chance": percent(None if cell.chance is None else cell.chance.rate),
        "corrected": described(cell.corrected),
        "n": rate.n,
        "instances": cell.n_instances,
    }


def _against_chance(cell: Cell) -> str:
    """Return a mark where a model's rate is told apart from chance."""
    if cell.kind == "baseline" or cell.corrected is None or cell.corrected.low is None or cell.corrected.high is None:
        return ""
    return f" {ABOVE}" if cell.corrected.low > 0 else f" {BELOW}" if cell.corrected.high < 0 else ""


def _n(rate: Interval | None) -> int:
    return 0 if rate is None else rate.n


def _told(table: ResultTable, rated: Sequence[Cell], models: Sequence[Cell]) -> list[str]:
    version = "" if table.judge_version is None else f" Judge version {table.judge_version}."
    return [
        f"Percent of the constraints of each row that are satisfied ({table.measure}), with 95 % intervals clustered by"
        f" instance below. {ABOVE} {BELOW}: above, below chance ({table.baseline} on the same instances; interval of"
        f" the corrected rate excludes 0); no mark: not told apart from chance, or not known.{version}",
        f"n per model: constraints counted, of {counts(cell.n_instances for cell in rated)} instances a cell;"
        f" {UNDEFINED}: not asked. Rows by mean rate, columns by size.",
        *caveats(models, table.measure, table.baseline, table.notes),
    ]
