"""The size curve: a rate against parameters, beside chance, the baselines and the published plateau."""

import math
from collections.abc import Iterator, Sequence

from sqlalchemy.orm import Session

from probe.errors import RequestError, WorkError
from probe.results.cells import Cell, ResultTable, result_table
from probe.results.columns import human_size
from probe.results.counting import SATISFACTION
from probe.results.formats import MEASURED, percent
from probe.results.plots.frame import (
    BASELINE_DASHES,
    BLUE,
    GREEN,
    GREY,
    LETTER,
    LINE,
    NAMES,
    ORANGE,
    Box,
    Spec,
    Wanted,
    caveats,
    counts,
    described,
    ends,
    framed,
    layer,
    overlap,
    share,
    spread,
    text_layer,
    tooltip,
)
from probe.results.statistics import Interval

WIDTH, HEIGHT = 640, 420  # of the plotting area, pixels
PUBLISHED = (0.55, 0.60)  # the published plateau of constraint satisfaction, arXiv 2603.23004
BESIDE = 5  # models closer than this on the axis, in pixels, are set side by side


def draw(session: Session, wanted: Wanted) -> Spec:
    """Return the size curve of what is wanted."""
    return size_curve(result_table(session, ("model", "params"), wanted.where, wanted.batch, **wanted.options))


def size_curve(table: ResultTable) -> Spec:
    """Return a rate against parameters, from a table by model and params.

    A point with its interval is a model; the bands are chance and the published plateau, the lines baselines. Raises
    RequestError for another table, WorkError where no model has both a size and a rate.
    """
    if set(table.by) != {"model", "params"}:
        raise RequestError(f"plot size: give a table by model and params, not by {', '.join(table.by) or 'nothing'}")
    models = [cell for cell in table.cells if cell.kind == "endpoint"]
    points = [cell for cell in models if cell.group["params"] and cell.rates[table.measure] is not None]
    points.sort(key=lambda cell: cell.group["params"])
    if not points:
        raise WorkError(
            "plot size: no model of known size has a scored answer; ask some with `probe run`, give sizes with"
            " `probe models add --params`"
        )
    domain = _domain([cell.group["params"] for cell in points])
    true = [_x(cell.group["params"], domain) for cell in points]
    placed = _beside(true)
    rows = [_point(cell, table.measure, x, domain) for cell, x in zip(points, placed, strict=True)]
    levels = _levels(table, points)
    layers = [
        _band([level for level in levels if level["kind"] == "published"], GREEN, 0.22, [5, 3]),
        _band([level for level in levels if level["kind"] == "chance"], ORANGE, 0.35, [1, 0]),
        *(_rule(level) for level in levels if level["kind"] == "baseline"),
        *_margin(levels),
        *_points(rows, table.measure, domain, _label_points(rows, domain)),
    ]
    title = "Constraint satisfaction" if table.measure in SATISFACTION else table.measure.replace("_", " ").capitalize()
    told = _told(table, models, points, moved=placed != true)
    return framed(f"{title} by model size", told, {"width": WIDTH, "height": HEIGHT, "layer": layers})


# --- places -----------------------------------------------------------------------------------------------------------


def _domain(sizes: Sequence[int]) -> tuple[float, float]:
    """Return the ends of the axis of sizes: a little beyond the models, and at least a decade."""
    low, high = math.log10(min(sizes)), math.log10(max(sizes))
    margin = max(0.1 * (high - low), (1 - (high - low)) / 2, 0.15)
    return 10 ** (low - margin), 10 ** (high + margin)


def _x(size: float, domain: tuple[float, float]) -> float:
    """Return the pixel of a size."""
    low, high = map(math.log10, domain)
    return WIDTH * (math.log10(size) - low) / (high - low)


def _size(x: float, domain: tuple[float, float]) -> float:
    """Return the size at a pixel."""
    low, high = map(math.log10, domain)
    return float(10 ** (low + (high - low) * x / WIDTH))


def _y(rate: float) -> float:
    """Return the pixel of a rate, counted downwards."""
    return HEIGHT * (1 - rate)


def _beside(xs: Sequence[float]) -> list[float]:
    """Return the pixels of models in order of size, those that would hide each other moved apart."""
    groups: list[list[float]] = []
    for x in xs:
        if groups and x - groups[-1][-1] < BESIDE:
            groups[-1].append(x)
        else:
            groups.append([x])
    out = []
    for group in groups:
        middle = sum(group) / len(group)
        spread = [middle + 2 * BESIDE * (i - (len(group) - 1) / 2) for i in range(len(group))]
        out += spread if len(group) > 1 else group
    return out


def _label_points(rows: Sequence[Spec], domain: tuple[float, float]) -> list[Spec]:
    """Return where each point's name stands: the nearest place around it that hides least of the others."""
    taken: list[Box] = [(row["px"] - 6, _y(row["high"]) - 4, row["px"] + 6, _y(row["low"]) + 4) for row in rows]
    out = []
    for row in rows:
        box, _, align, far = min(_places(row, taken), key=lambda place: place[1])
        taken.append(box)
        middle = (box[1] + box[3]) / 2
        edge = {"left": box[0], "right": box[2], "center": row["px"]}[align]
        near = {"left": edge - 1, "right": edge + 1, "center": edge}[align]  # where the line to the point ends
        end = middle if align != "center" else box[1] if box[1] > _y(row["rate"]) else box[3]
        out.append(
            {"text": row["model"], "align": align, "x": _size(edge, domain), "y": 1 - middle / HEIGHT, "far": far}
            | {"from_x": row["x"], "from_y": row["rate"], "to_x": _size(near, domain), "to_y": 1 - end / HEIGHT}
        )
    return out


def _places(row: Spec, taken: Sequence[Box]) -> Iterator[tuple[Box, float, str, bool]]:
    """Yield where a point's name may stand: its box, how bad that is, how it is aligned, whether it needs a line."""
    x, y, wide = row["px"], _y(row["rate"]), min(NAMES, LETTER * len(row["model"]))
    for align, left in (("left", x + 8), ("right", x - 8 - wide), ("center", x - wide / 2)):
        for shift in (0, -1, 1, -2, 2, -3, 3, -4, 4, -6, 6, -8, 8, -11, 11):
            top = y + shift * LINE - LINE / 2
            if align == "center":  # above or below the bar
                if not shift:
                    continue
                top += _y(row["low"] if shift > 0 else row["high"]) - y
            box = (left, top, left + wide, top + LINE)
            outside = wide * LINE - overlap(box, (0, 0, WIDTH, HEIGHT))
            hidden = sum(overlap(box, other) for other in taken)
            yield box, 5 * outside + 3 * hidden + 3 * abs(top + LINE / 2 - y), align, shift != 0


# --- what is drawn ----------------------------------------------------------------------------------------------------


def _rate(cell: Cell, measure: str) -> Interval:
    rate = cell.rates[measure]
    assert rate is not None
    return rate


def _point(cell: Cell, measure: str, px: float, domain: tuple[float, float]) -> Spec:
    rate = _rate(cell, measure)
    low, high = ends(rate)
    return {
        "model": cell.group["model"],
        "px": px,
        "x": _size(px, domain),
        "params": human_size(cell.group["params"]),
        "rate": rate.rate,
        "low": low,
        "high": high,
        "shown": described(rate),
        "chance": percent(None if cell.chance is None else cell.chance.rate),
        "n": rate.n,
        "instances": cell.n_instances,
        "unscored": sum(cell.unscored.values()),
    }


def _levels(table: ResultTable, points: Sequence[Cell]) -> list[Spec]:
    """Return the bands and lines across the plot, with the texts that name them at its right edge."""
    levels: list[Spec] = []
    if table.measure in SATISFACTION:
        low, high = PUBLISHED
        text = f"published claim {100 * low:.0f} to {100 * high:.0f} %"
        levels.append({"kind": "published", "low": low, "high": high, "text": text})
    chances = [cell.chance for cell in points if cell.chance is not None]
    if chances:
        low, high = min(ends(c)[0] for c in chances), max(ends(c)[1] for c in chances)
        rates = {round(c.rate, 3) for c in chances}
        of = "" if len(rates) == 1 else ", all models"
        text = f"chance ({table.baseline}{of}) {100 * low:.1f} to {100 * high:.1f} %"
        levels.append({"kind": "chance", "low": low, "high": high, "text": text})
    for cell in table.cells:
        rate, name = cell.rates[table.measure], cell.group["model"]
        if cell.kind == "baseline" and name in BASELINE_DASHES and rate is not None:
            text = f"{name} {percent(rate.rate)}"
            levels.append({"kind": "baseline", "low": rate.rate, "high": rate.rate, "text": text, "name": name})
    wanted = [_y((level["low"] + level["high"]) / 2) for level in levels]
    for level, y, place in zip(levels, wanted, spread(wanted, LINE, 0, HEIGHT), strict=True):
        level |= {"at": 1 - y / HEIGHT, "label": 1 - place / HEIGHT}
    return levels


def _band(levels: Sequence[Spec], colour: str, opacity: float, dash: Sequence[int]) -> Spec:
    across = {"x": {"value": 0}, "x2": {"value": WIDTH}, "y": share("low"), "y2": {"field": "high"}}
    stroke = {"stroke": colour, "strokeDash": list(dash), "strokeWidth": 1.2, "strokeOpacity": 1}
    return layer(levels, "rect", across, color=colour, opacity=opacity, **stroke)


def _rule(level: Spec) -> Spec:
    across = {"x": {"value": 0}, "x2": {"value": WIDTH}, "y": share("at")}
    return layer([level], "rule", across, color=GREY, strokeWidth=1.4, strokeDash=BASELINE_DASHES[level["name"]])


def _margin(levels: Sequence[Spec]) -> list[Spec]:
    """Return the texts at the right edge, each tied to its level."""
    tie = {"x": {"value": WIDTH}, "x2": {"value": WIDTH + 12}, "y": share("at"), "y2": {"field": "label"}}
    return [
        layer(levels, "rule", tie, color=GREY, strokeWidth=0.8),
        text_layer(levels, {"x": {"value": WIDTH + 15}, "y": share("label")}),
    ]


def _points(rows: Sequence[Spec], measure: str, domain: tuple[float, float], labels: Sequence[Spec]) -> list[Spec]:
    """Return the models' intervals, points and names."""
    decades = range(math.floor(math.log10(domain[0])), math.ceil(math.log10(domain[1])) + 1)
    ticks = [m * 10**d for d in decades for m in (1, 3) if domain[0] <= m * 10**d <= domain[1]]
    units = ("1e12", "T"), ("1e9", "B"), ("1e6", "M"), ("1e3", "K")
    unit = " : ".join(f"datum.value >= {size} ? datum.value / {size} + '{name}'" for size, name in units)

    def x(name: str) -> Spec:
        return {
            "field": name,
            "type": "quantitative",
            "scale": {"type": "log", "domain": list(domain), "nice": False},
            "axis": {
                "title": "parameters in total (logarithmic)",
                "values": ticks,
                "labelExpr": f"{unit} : datum.value",
            },
        }

    title = "constraints satisfied" if measure in SATISFACTION else MEASURED[measure][0]
    y_axis = {"title": title, "format": ".0%", "tickCount": 10}
    said = tooltip(["model", "params", "rate: shown", "chance", "counted: n", "instances", "unscored"])
    far = [label for label in labels if label["far"]]
    tie = {"x": x("from_x"), "x2": {"field": "to_x"}, "y": share("from_y"), "y2": {"field": "to_y"}}
    bar = {"x": x("x"), "y": share("low", axis=y_axis), "y2": {"field": "high"}}
    named = {"x": x("x"), "y": share("y")}
    aligned = {"align": {"expr": "datum.align"}}
    return [
        layer(far, "rule", tie, color=GREY, strokeWidth=0.7),
        layer(rows, "rule", bar, color=BLUE, strokeWidth=2),
        layer(
            rows,
            "point",
            {"x": x("x"), "y": share("rate"), "tooltip": said},
            shape="circle",
            filled=True,
            color=BLUE,
            size=60,
            opacity=1,
        ),
        text_layer(labels, named, stroke="white", strokeWidth=3, strokeJoin="round", **aligned),
        text_layer(labels, named, **aligned),
    ]


def _told(table: ResultTable, models: Sequence[Cell], points: Sequence[Cell], moved: bool) -> list[str]:
    """Return what stands under the title: estimate, denominators, what was left out and what misleads."""
    version = "" if table.judge_version is None else f"; judge version {table.judge_version}"
    what = {
        "satisfaction_micro": "Share of all constraints satisfied (micro)",
        "satisfaction_macro": "Mean share of an instance's constraints that are satisfied (macro)",
    }.get(table.measure, MEASURED[table.measure][1].capitalize())
    of = "constraints of " if table.measure == "satisfaction_micro" else "counted, of "
    told = [
        f"{what} with 95 % intervals clustered by instance{version}. Per model:"
        f" {counts(_rate(cell, table.measure).n for cell in points)} {of}"
        f"{counts(cell.n_instances for cell in points)} instances."
    ]
    if unsized := [cell.group["model"] for cell in models if not cell.group["params"]]:
        told.append(f"Left out, size unknown: {', '.join(unsized)}.")
    if unrated := [c.group["model"] for c in models if c.group["params"] and c.rates[table.measure] is None]:
        told.append(f"Left out, no scored answer: {', '.join(unrated)}.")
    if moved:
        told.append("Models of nearly the same size stand side by side.")
    return [*told, *caveats(points, table.measure, table.baseline, table.notes)]
