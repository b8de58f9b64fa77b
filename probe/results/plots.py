"""Plots of result tables: one Vega-Lite specification each, written as PNG, SVG or a page that needs no network."""

import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from textwrap import wrap
from typing import Any

from probe.errors import RequestError, WorkError
from probe.results.cells import Cell, ResultTable
from probe.results.formats import human_size, percent
from probe.results.statistics import Interval

Spec = dict[str, Any]

WIDTH, HEIGHT = 640, 420  # of the plotting area, pixels
SUBTITLE_LETTERS = 125  # of a line under the title
PUBLISHED = (0.55, 0.60)  # the published plateau of constraint satisfaction, arXiv 2603.23004
SCHEMA, VERSION = "https://vega.github.io/schema/vega-lite/v6.json", "6.1"
# Okabe and Ito's palette (2008), told apart by the colour-blind; in grey they differ in lightness, and by their dashes
BLUE, ORANGE, GREEN, GREY = "#0072B2", "#E69F00", "#009E73", "#555555"
RULES = {  # baselines drawn as lines; `exact` is a check of the judge, not a comparison
    "blank": [2, 3],
    "random": [1, 0],
    "greedy": [8, 4],
    "template": [8, 3, 2, 3],
}
FONT = 11  # size of labels, pixels
LETTER = 0.55 * FONT  # a generous mean width of a letter
LINE = FONT + 3
BESIDE = 5  # models closer than this on the axis, in pixels, are set side by side
SCALE = 2  # pixels of a PNG per pixel of the specification


def size_curve(table: ResultTable) -> Spec:
    """Return constraint satisfaction against parameters, from a table by model and params.

    A point with its interval is a model; the bands are chance and the published plateau, the lines baselines. Raises
    RequestError for another table, WorkError where no model has both a size and a rate.
    """
    if set(table.by) != {"model", "params"}:
        raise RequestError(f"plot size: give a table by model and params, not by {', '.join(table.by) or 'nothing'}")
    models = [cell for cell in table.cells if cell.kind == "endpoint"]
    points = [cell for cell in models if cell.group["params"] and _rate(cell) is not None]
    points.sort(key=lambda cell: cell.group["params"])
    if not points:
        raise WorkError(
            "plot size: no model of known size has a scored answer; give sizes with `probe models add --params`"
        )
    domain = _domain([cell.group["params"] for cell in points])
    true = [_x(cell.group["params"], domain) for cell in points]
    placed = _beside(true)
    rows = [_point(cell, x, domain) for cell, x in zip(points, placed, strict=True)]
    levels = _levels(table, points)
    label_rows = _label_points(rows, domain)
    layers = [
        _band([level for level in levels if level["kind"] == "published"], GREEN, 0.22, [5, 3]),
        _band([level for level in levels if level["kind"] == "chance"], ORANGE, 0.35, [1, 0]),
        *(_rule(level) for level in levels if level["kind"] == "baseline"),
        *_margin(levels),
        *_points(rows, domain, label_rows),
    ]
    return {
        "$schema": SCHEMA,
        "title": {
            "text": "Constraint satisfaction by model size",
            "subtitle": _subtitle(table, models, points, moved=placed != true),
            "anchor": "start",
            "subtitleColor": GREY,
            "offset": 14,
        },
        "width": WIDTH,
        "height": HEIGHT,
        "background": "white",
        "padding": 12,
        "layer": layers,
        "config": {"font": "sans-serif", "view": {"stroke": "#999999"}, "axis": {"gridColor": "#EEEEEE"}},
    }


PLOTS: dict[str, Callable[[ResultTable], Spec]] = {"size": size_curve}


def save(spec: Spec, path: Path) -> None:
    """Write a plot as what its name ends with: .png, .svg or .html. Raises RequestError for another ending or a file
    that can't be written."""
    ending = path.suffix.lower()
    if ending not in (".png", ".svg", ".html"):
        raise RequestError(f"output {path}: the name must end with .png, .svg or .html")
    import vl_convert

    if ending == ".png":
        content = vl_convert.vegalite_to_png(spec, vl_version=VERSION, scale=SCALE)
    elif ending == ".svg":
        content = vl_convert.vegalite_to_svg(spec, vl_version=VERSION).encode()
    else:
        content = vl_convert.vegalite_to_html(spec, vl_version=VERSION, bundle=True).encode()
    try:
        path.write_bytes(content)
    except OSError as error:
        raise RequestError(f"output {path}: can't be written ({error.strerror}); choose another place") from None


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


def spread(wanted: Sequence[float], apart: float, low: float, high: float) -> list[float]:
    """Return places near the wanted ones, in their order, at least ``apart`` from each other and within the ends."""
    order = sorted(range(len(wanted)), key=lambda i: wanted[i])
    places = [wanted[i] for i in order]
    for i in range(len(places)):
        places[i] = max(places[i], places[i - 1] + apart if i else low)
    for i in reversed(range(len(places))):
        places[i] = min(places[i], places[i + 1] - apart if i + 1 < len(places) else high)
    out = [0.0] * len(wanted)
    for i, place in zip(order, places, strict=True):
        out[i] = place
    return out


Box = tuple[float, float, float, float]  # left, top, right, bottom


def overlap(a: Box, b: Box) -> float:
    """Return the area that two boxes share."""
    return max(0.0, min(a[2], b[2]) - max(a[0], b[0])) * max(0.0, min(a[3], b[3]) - max(a[1], b[1]))


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
            {"name": row["model"], "align": align, "x": _size(edge, domain), "y": 1 - middle / HEIGHT, "far": far}
            | {"from_x": row["x"], "from_y": row["rate"], "to_x": _size(near, domain), "to_y": 1 - end / HEIGHT}
        )
    return out


def _places(row: Spec, taken: Sequence[Box]) -> Iterator[tuple[Box, float, str, bool]]:
    """Yield where a point's name may stand: its box, how bad that is, how it is aligned, whether it needs a line."""
    x, y, wide = row["px"], _y(row["rate"]), LETTER * len(row["model"])
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


def _rate(cell: Cell) -> Interval | None:
    return cell.rates["satisfaction_micro"]


def _ends(interval: Interval) -> tuple[float, float]:
    """Return an interval's limits; the rate where it has none."""
    return (
        interval.rate if interval.low is None else interval.low,
        interval.rate if interval.high is None else interval.high,
    )


def _point(cell: Cell, px: float, domain: tuple[float, float]) -> Spec:
    rate = _rate(cell)
    assert rate is not None
    low, high = _ends(rate)
    return {
        "model": cell.group["model"],
        "px": px,
        "x": _size(px, domain),
        "params": human_size(cell.group["params"]),
        "rate": rate.rate,
        "low": low,
        "high": high,
        "chance": percent(None if cell.chance is None else cell.chance.rate),
        "constraints": rate.n,
        "instances": cell.n_instances,
        "unscored": sum(cell.unscored.values()),
    }


def _levels(table: ResultTable, points: Sequence[Cell]) -> list[Spec]:
    """Return the bands and lines across the plot, with the texts that name them at its right edge."""
    low, high = PUBLISHED
    levels: list[Spec] = [
        {
            "kind": "published",
            "low": low,
            "high": high,
            "text": f"published claim {100 * low:.0f} to {100 * high:.0f} %",
        }
    ]
    chances = [cell.chance for cell in points if cell.chance is not None]
    if chances:
        low, high = min(_ends(c)[0] for c in chances), max(_ends(c)[1] for c in chances)
        rates = {round(c.rate, 3) for c in chances}
        of = "" if len(rates) == 1 else ", all models"
        text = f"chance ({table.baseline}{of}) {100 * low:.1f} to {100 * high:.1f} %"
        levels.append({"kind": "chance", "low": low, "high": high, "text": text})
    for cell in table.cells:
        rate, name = _rate(cell), cell.group["model"]
        if cell.kind == "baseline" and name in RULES and rate is not None:
            text = f"{name} {percent(rate.rate)}"
            levels.append({"kind": "baseline", "low": rate.rate, "high": rate.rate, "text": text, "name": name})
    wanted = [_y((level["low"] + level["high"]) / 2) for level in levels]
    for level, y, place in zip(levels, wanted, spread(wanted, LINE, 0, HEIGHT), strict=True):
        level |= {"at": 1 - y / HEIGHT, "label": 1 - place / HEIGHT}
    return levels


def _on_rates(name: str, **more: Any) -> Spec:
    return {"field": name, "type": "quantitative", "scale": {"domain": [0, 1], "nice": False}, "title": None} | more


def _band(levels: Sequence[Spec], colour: str, opacity: float, dash: Sequence[int]) -> Spec:
    mark = {"type": "rect", "color": colour, "opacity": opacity, "stroke": colour, "strokeDash": list(dash)}
    return {
        "data": {"values": list(levels)},
        "mark": mark | {"strokeWidth": 1.2, "strokeOpacity": 1},
        "encoding": {"x": {"value": 0}, "x2": {"value": WIDTH}, "y": _on_rates("low"), "y2": {"field": "high"}},
    }


def _rule(level: Spec) -> Spec:
    return {
        "data": {"values": [level]},
        "mark": {"type": "rule", "color": GREY, "strokeWidth": 1.4, "strokeDash": RULES[level["name"]]},
        "encoding": {"x": {"value": 0}, "x2": {"value": WIDTH}, "y": _on_rates("at")},
    }


def _margin(levels: Sequence[Spec]) -> list[Spec]:
    """Return the texts at the right edge, each tied to its level."""
    return [
        {
            "data": {"values": list(levels)},
            "mark": {"type": "rule", "color": GREY, "strokeWidth": 0.8},
            "encoding": {
                "x": {"value": WIDTH},
                "x2": {"value": WIDTH + 12},
                "y": _on_rates("at"),
                "y2": {"field": "label"},
            },
        },
        {
            "data": {"values": list(levels)},
            "mark": {"type": "text", "align": "left", "baseline": "middle", "fontSize": FONT, "color": "#222222"},
            "encoding": {"x": {"value": WIDTH + 15}, "y": _on_rates("label"), "text": {"field": "text"}},
        },
    ]


def _points(rows: Sequence[Spec], domain: tuple[float, float], labels: Sequence[Spec]) -> list[Spec]:
    """Return the models' intervals, points and names."""
    decades = range(math.floor(math.log10(domain[0])), math.ceil(math.log10(domain[1])) + 1)
    ticks = [m * 10**d for d in decades for m in (1, 3) if domain[0] <= m * 10**d <= domain[1]]
    unit = "datum.value >= 1e12 ? datum.value / 1e12 + 'T' : datum.value >= 1e9 ? datum.value / 1e9 + 'B'"
    unit += (
        " : datum.value >= 1e6 ? datum.value / 1e6 + 'M' : datum.value >= 1e3 ? datum.value / 1e3 + 'K' : datum.value"
    )

    def x(name: str) -> Spec:
        return {
            "field": name,
            "type": "quantitative",
            "scale": {"type": "log", "domain": list(domain), "nice": False},
            "axis": {"title": "parameters in total (logarithmic)", "values": ticks, "labelExpr": unit},
        }

    y_axis = {"title": "constraints satisfied", "format": ".0%", "tickCount": 10}
    names = ("model", "params", "chance", "constraints", "instances", "unscored")
    tooltip: list[Spec] = [{"field": name, "type": "nominal"} for name in names]
    tooltip[2:2] = [{"field": name, "type": "quantitative", "format": ".1%"} for name in ("rate", "low", "high")]
    far = [label for label in labels if label["far"]]
    return [
        {
            "data": {"values": far},
            "mark": {"type": "rule", "color": GREY, "strokeWidth": 0.7},
            "encoding": {
                "x": x("from_x"),
                "x2": {"field": "to_x"},
                "y": _on_rates("from_y"),
                "y2": {"field": "to_y"},
            },
        },
        {
            "data": {"values": list(rows)},
            "mark": {"type": "rule", "color": BLUE, "strokeWidth": 2},
            "encoding": {"x": x("x"), "y": _on_rates("low", axis=y_axis), "y2": {"field": "high"}},
        },
        {
            "data": {"values": list(rows)},
            "mark": {"type": "point", "shape": "circle", "filled": True, "color": BLUE, "size": 60, "opacity": 1},
            "encoding": {"x": x("x"), "y": _on_rates("rate"), "tooltip": tooltip},
        },
        {
            "data": {"values": list(labels)},
            "mark": {
                "type": "text",
                "align": {"expr": "datum.align"},
                "baseline": "middle",
                "fontSize": FONT,
                "stroke": "white",
                "strokeWidth": 3,
                "strokeJoin": "round",
            },
            "encoding": {"x": x("x"), "y": _on_rates("y"), "text": {"field": "name"}},
        },
        {
            "data": {"values": list(labels)},
            "mark": {"type": "text", "align": {"expr": "datum.align"}, "baseline": "middle", "fontSize": FONT},
            "encoding": {"x": x("x"), "y": _on_rates("y"), "text": {"field": "name"}},
        },
    ]


def _subtitle(table: ResultTable, models: Sequence[Cell], points: Sequence[Cell], moved: bool) -> list[str]:
    """Return what stands under the title: estimate, denominators, what was left out and what misleads."""
    version = "" if table.judge_version is None else f"; judge version {table.judge_version}"
    rates = [rate for cell in points if (rate := _rate(cell)) is not None]
    told = [
        f"Share of all constraints satisfied (micro) with 95 % intervals clustered by instance{version}. "
        f"Per model: {_range([rate.n for rate in rates])} constraints"
        f" of {_range([cell.n_instances for cell in points])} instances."
    ]
    if any(rate.low is None for rate in rates):
        told.append("A rate of fewer than 5 instances has no interval.")
    if all(cell.chance is None for cell in points):
        told.append(f"No chance level: the baseline {table.baseline} has not answered these questions.")
    if unscored := sum(sum(cell.unscored.values()) for cell in points):
        told.append(f"{unscored:,} unscored trials (failures of the instrument) are left out.")
    unsized = [cell.group["model"] for cell in models if not cell.group["params"]]
    if unsized:
        told.append(f"Left out, size unknown: {', '.join(unsized)}.")
    if unrated := [c.group["model"] for c in models if c.group["params"] and _rate(c) is None]:
        told.append(f"Left out, no scored answer: {', '.join(unrated)}.")
    if moved:
        told.append("Models of nearly the same size stand side by side.")
    return [line for text in [*told, *table.notes] for line in wrap(text, SUBTITLE_LETTERS)]


def _range(counts: Sequence[int]) -> str:
    low, high = min(counts), max(counts)
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"
