"""Pictures of single instances: a sketch of the exact answer as a Vega-Lite specification."""

import json
from collections.abc import Iterable, Sequence
from itertools import combinations, pairwise, zip_longest
from math import atan2, degrees, floor, hypot, log10, pi
from textwrap import wrap
from typing import Any

from probe.results.plots.frame import BLUE, GREY, SCHEMA, Box, Spec, overlap, spread
from solvers import registry
from solvers.names import sentence
from solvers.problem import Instance
from solvers.procedure import decimal
from solvers.sketches import Bar, Bars, Curves, Edge, Graph, Panels, Sketch

WIDTH, ROW, SIDE = 560, 26, 420  # pixels: of a chart, of a row of bars, of a graph
HEIGHT, LOW = 260, 150  # pixels: of curves, alone and with other charts
# Okabe and Ito's palette (2008), then Tol's muted one: told apart by the colour-blind
COLOURS = [
    *("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#882255", "#44AA99", "#999933", "#332288"),
    *("#CC6677", "#117733", "#DDCC77", "#AA4499", "#F0E442", "#88CCEE"),
]
SHAPES = ["circle", "square", "triangle-up", "diamond", "cross", "triangle-down"]
LIGHT, INK = "#CCCCCC", "#222222"
LINE_LETTERS = 95  # of a line under the title
FULL_ROWS = 18  # rows of full height; more of them are slimmer
FONT, SMALL = 11, 10  # sizes of labels, pixels
LETTER, BOLD = 0.56, 0.7  # a generous mean width of a letter, per pixel of its size
LONG_LEGEND = 10  # entries from which on a legend has two columns
LABELLED = 13  # pixels from the name of a curve to the next one
TINY = 1e-9


def picture(instance: Instance) -> Spec:
    """Return a picture of an instance with its exact answer."""
    family = registry.get(instance.family)
    return {
        "$schema": SCHEMA,
        "title": {"text": sentence(family.title), "subtitle": _subtitle(instance), "anchor": "start", "offset": 12},
        "background": "white",
        "padding": 12,
        "config": {
            "font": "sans-serif",
            "view": {"stroke": None},
            "axis": {"gridColor": "#EEEEEE", "titleFontWeight": "normal", "labelLimit": 300},
            "legend": {"labelLimit": 240},
            "title": {"fontSize": 14, "subtitleFontSize": 12, "subtitleColor": GREY, "subtitlePadding": 5},
            "aria": False,
        },
    } | charts(family.sketch(instance))


def charts(sketch: Sketch) -> Spec:
    """Return the charts of a sketch, one below the other; a group has one colour in all, told in one legend."""
    parts = sketch.parts if isinstance(sketch, Panels) else (sketch,)
    palette = _palette(group for part in parts for group in _groups(part))
    drawn: list[Spec] = []
    told: set[str] = set()
    for part in parts:
        groups = set(_groups(part))
        drawn.append(_drawn(part, palette, legend=not groups <= told, alone=len(parts) == 1))
        told |= groups
    scales = {"color": "independent", "shape": "independent"}
    return {"vconcat": drawn, "spacing": 22, "resolve": {"scale": scales}}


def _subtitle(instance: Instance) -> list[str]:
    """Return what stands under the title: size, variant, modules, and the optimum or the number of steps."""
    objective = registry.get(instance.family).objective_of(instance)
    told = [f"Size {instance.size}"]
    if instance.variant != "fresh":
        told.append(f"variant {instance.variant}")
    if instance.modules:
        told.append("with " + ", ".join(instance.modules))
    if "steps" in instance.knobs:
        told.append(f"{instance.knobs['steps']} steps")
    lines = wrap(", ".join(told).replace("_", " "), LINE_LETTERS)
    if objective is not None and instance.optimum is not None:
        best = {"max": "the most", "min": "the least"}[objective.direction]
        noun = sentence(objective.noun(instance.names))
        lines += wrap(f"{noun}: {decimal(instance.optimum)} ({best} possible)", LINE_LETTERS)
    return lines


# --- colours ----------------------------------------------------------------------------------------------------------


def _groups(part: Bars | Graph | Curves) -> list[str]:
    """Return the groups of a sketch that have a name, in the order of their colours; those of edges before others."""
    if isinstance(part, Bars):
        return _sorted(bar.group for bar in part.bars)
    if isinstance(part, Graph):
        return [*_sorted(edge.group for edge in part.edges), *_sorted(node.group for node in part.nodes)]
    return []


def _sorted(groups: Iterable[str]) -> list[str]:
    """Return the names among groups, "job 2" before "job 10"."""
    return sorted(
        {group for group in groups if group},
        key=lambda group: [(int(part), "") if part.isdecimal() else (-1, part) for part in group.split()],
    )


def _drawn(part: Bars | Graph | Curves, palette: dict[str, str], legend: bool, alone: bool) -> Spec:
    """Return a sketch as a chart; ``legend``: with one, as no chart above has it."""
    if isinstance(part, Bars):
        return _bars(part, palette, legend)
    return _graph(part, palette, legend) if isinstance(part, Graph) else _curves(part, HEIGHT if alone else LOW)


def _palette(groups: Iterable[str]) -> dict[str, str]:
    """Return the colour of each group; "" is grey, blue where there are no others."""
    named = list(dict.fromkeys(groups))
    return {group: COLOURS[k % len(COLOURS)] for k, group in enumerate(named)} | {"": LIGHT if named else BLUE}


def _coloured(palette: dict[str, str], groups: Iterable[str], legend: bool) -> dict[str, Any]:
    """Return the encoding of groups as colours, with a legend of those that have a name and a colour of their own."""
    named = list(dict.fromkeys(groups))
    shown = {"values": named, "title": None, "columns": 1 + (len(named) >= LONG_LEGEND), "symbolType": "square"}
    return {
        "field": "group",
        "type": "nominal",
        "scale": {"domain": list(palette), "range": list(palette.values())},
        "legend": shown if legend and 0 < len(named) <= len(COLOURS) else None,
    }


def _ink(colour: str) -> str:
    """Return the colour of text that is read best on a colour (the contrast of WCAG 2)."""
    red, green, blue = (int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5))
    light = sum(
        w * (v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4)
        for w, v in ((0.2126, red), (0.7152, green), (0.0722, blue))
    )
    return "white" if 1.05 / (light + 0.05) > (light + 0.05) / 0.05 else "black"


PLAIN = {"type": "nominal", "scale": None}  # the field holds colours, sizes or angles themselves


def _halo(data: list[Spec], encoding: Spec, mark: Spec) -> list[Spec]:
    """Return text on a white rim, readable on lines."""
    rim = {"stroke": "white", "strokeWidth": 3, "strokeJoin": "round", "color": "white"}
    return [
        {"data": {"values": data}, "mark": {"type": "text", **mark, **more}, "encoding": encoding}
        for more in (rim, {"color": INK})
    ]


# --- bars -------------------------------------------------------------------------------------------------------------


def _bars(sketch: Bars, palette: dict[str, str], legend: bool) -> Spec:
    places = [*(v for bar in sketch.bars for v in (bar.start, bar.end)), *(limit for _, limit in sketch.limits)]
    low, high = min([0.0, *places]), max([TINY, *places, len(sketch.columns)])
    height = ROW if len(sketch.rows) <= FULL_ROWS else max(13, FULL_ROWS * ROW // len(sketch.rows))
    texts = _texts(sketch, palette, WIDTH / (high - low), low)
    y = {
        "field": "row",
        "type": "nominal",
        "sort": None,
        "title": None,
        "scale": {"domain": list(sketch.rows)},
        "axis": {"labelFontSize": FONT if height > 16 else SMALL - 1, "ticks": False, "domain": False},
    }
    x = {"type": "quantitative", "scale": {"domain": [low, high], "nice": False, "zero": False}, "title": sketch.axis}
    x["axis"] = _columns(sketch.columns) if sketch.columns else _ticks(low, high, places)
    layers: list[Spec] = [
        {
            "data": {"values": [vars(bar) for bar in sketch.bars]},
            "mark": {"type": "bar", "stroke": "white", "height": height - (2 if sketch.columns else 5)},
            "encoding": {
                "y": y,
                "x": x | {"field": "start"},
                "x2": {"field": "end"},
                "color": _coloured(palette, _groups(sketch), legend),
            },
        },
        {
            "data": {"values": texts},
            "mark": {"type": "text", "fontSize": SMALL if height > 16 else SMALL - 1, "align": {"expr": "datum.align"}},
            "encoding": {
                "y": y,
                "x": x | {"field": "at"},
                "text": {"field": "label"},
                "color": {"field": "ink", **PLAIN},
            },
        },
    ]
    if sketch.limits:
        layers.append(
            {
                "data": {"values": [{"row": row, "limit": limit} for row, limit in sketch.limits]},
                "mark": {"type": "tick", "color": "black", "thickness": 2, "height": height},
                "encoding": {"y": y, "x": x | {"field": "limit"}},
            }
        )
    return {"width": WIDTH, "height": {"step": height}, "layer": layers}


def _texts(sketch: Bars, palette: dict[str, str], scale: float, low: float) -> list[Spec]:
    """Return the labels of bars where they fit: inside, else behind the bar, else nowhere."""
    found: list[Spec] = []
    rows: dict[str, list[Bar]] = {row: [] for row in sketch.rows}
    for bar in sorted(sketch.bars, key=lambda bar: bar.start):
        rows[bar.row].append(bar)
    for row, bars in rows.items():
        limits = [limit for at, limit in sketch.limits if at == row]
        for bar, following in zip_longest(bars, bars[1:]):
            wide = LETTER * SMALL * len(bar.label)
            if wide <= scale * (bar.end - bar.start) - 1:
                ink = _ink(palette[bar.group])
                found.append(
                    {"row": row, "at": (bar.start + bar.end) / 2, "label": bar.label, "align": "center", "ink": ink}
                )
                continue
            at = bar.end + 4 / scale
            for limit in sorted(limits):
                if bar.end - 1 / scale <= limit <= at + wide / scale:
                    at = limit + 4 / scale
            if scale * ((low + WIDTH / scale if following is None else following.start) - at) >= wide:
                found.append({"row": row, "at": at, "label": bar.label, "align": "left", "ink": INK})
    return found


def _columns(columns: Sequence[str]) -> Spec:
    """Return the axis of a grid: the name of each column, upright where it is too long."""
    upright = max(map(len, columns)) * LETTER * FONT > WIDTH / len(columns) - 4
    turned = {"labelAngle": -90, "labelAlign": "right", "labelBaseline": "middle"} if upright else {"labelAngle": 0}
    return {
        "values": [k + 0.5 for k in range(len(columns))],
        "labelExpr": f"{json.dumps(list(columns))}[floor(datum.value)]",
        "labelOverlap": False,
        "labelFontSize": FONT,
        "ticks": False,
        "grid": False,
        "domain": False,
        **turned,
    }


def _ticks(low: float, high: float, places: Sequence[float], most: int = 12) -> Spec:
    """Return an axis with round numbers from ``low`` to ``high``; with whole ones where all places are."""
    span = max(high - low, TINY)
    step = 10.0 ** floor(log10(span / most))
    whole = all(float(place).is_integer() for place in places)
    if whole:
        step = max(step, 1.0)
    step *= next(factor * 10**k for k in range(9) for factor in (1, 2, 5) if span / (step * factor * 10**k) <= most)
    values = [round(k * step, 9) for k in range(-int(-low // step), int(high // step) + 1)]
    return {"values": values, "format": ",d"} if whole else {"values": values}


# --- graphs -----------------------------------------------------------------------------------------------------------

Point = tuple[float, float]
MARGIN, DOT = 26, 4.0  # pixels: round a graph, the radius of a node without label
CROWD = 60  # nodes; with more of them edges are straight and without labels
GAP, PUSHES = 16.0, 60  # pixels between nodes, and how often they are pushed apart
ASIDE, ACROSS = 20.0, 5.0  # as bad as so many square pixels hidden: a label beside its edge, on a dot of another one
STRIDE = 6.0  # pixels between the dots of an edge that labels shall not hide
BENDS = (0, 18, -18, 34, -34, 52, -52)  # pixels by which an arc is bent to pass beside nodes


def _graph(sketch: Graph, palette: dict[str, str], legend: bool) -> Spec:
    radius = [_radius(node.label) for node in sketch.nodes]
    at, width, height = _pixels(sketch, radius)
    taken: list[Box] = [(x - r, y - r, x + r, y + r) for (x, y), r in zip(at, radius, strict=True)]
    lines, heads, labels = [], [], []
    arcs = {(edge.tail, edge.head) for edge in sketch.edges}
    edges = sorted(sketch.edges, key=lambda edge: edge.group != "")  # the grey ones below
    crowded = len(sketch.nodes) > CROWD
    paths = [
        [at[edge.tail], at[edge.head]]
        if crowded
        else _path(edge, at, radius, sketch.arrows and (edge.head, edge.tail) in arcs)
        for edge in edges
    ]
    notes = _notes(sketch, at, radius, [] if crowded else paths)
    taken += [_box(note["x"], note["y"], note["label"]) for note in notes]
    passed = [[] if crowded else _dots(path) for path in paths]
    for k, (edge, path) in enumerate(zip(edges, paths, strict=True)):
        lines += [
            {"x": x, "y": y, "edge": k, "place": place, "group": edge.group, "width": 2.5 if edge.group else 1.2}
            for place, (x, y) in enumerate(path)
        ]
        if sketch.arrows and _length(path) > 1:
            rim = max(r - hypot(x - path[-1][0], y - path[-1][1]) for (x, y), r in zip(at, radius, strict=True))
            heads.append(_head(path, rim) | {"group": edge.group})
        if edge.label and not crowded:
            others = [dot for j, own in enumerate(passed) if j != k for dot in own]
            x, y = _beside(path, edge.label, taken, others)
            taken.append(_box(x, y, edge.label))
            labels.append({"x": x, "y": y, "label": edge.label})
    across, up = (
        {"field": name, "type": "quantitative", "axis": None, "scale": {"domain": [0, most], "nice": False}}
        for name, most in (("x", width), ("y", height))
    )
    colour = _coloured(palette, _groups(sketch), legend)
    nodes = [
        {"x": x, "y": y, "label": node.label, "group": node.group, "size": pi * r * r, "ink": _ink(palette[node.group])}
        for node, (x, y), r in zip(sketch.nodes, at, radius, strict=True)
    ]
    layers: list[Spec] = [
        {
            "data": {"values": lines},
            "mark": {"type": "line", "interpolate": "natural"},
            "encoding": {
                "x": across,
                "y": up,
                "detail": {"field": "edge"},
                "order": {"field": "place"},
                "color": colour,
                "strokeWidth": {"field": "width", **PLAIN},
            },
        },
        {
            "data": {"values": heads},
            "mark": {"type": "point", "shape": "triangle-up", "filled": True, "size": 60, "opacity": 1},
            "encoding": {"x": across, "y": up, "angle": {"field": "angle", **PLAIN}, "color": colour},
        },
        {
            "data": {"values": nodes},
            "mark": {"type": "circle", "opacity": 1, "stroke": "white"},
            "encoding": {"x": across, "y": up, "color": colour, "size": {"field": "size", **PLAIN}},
        },
        {
            "data": {"values": nodes},
            "mark": {"type": "text", "fontSize": FONT, "fontWeight": "bold"},
            "encoding": {"x": across, "y": up, "text": {"field": "label"}, "color": {"field": "ink", **PLAIN}},
        },
        *_halo([*labels, *notes], {"x": across, "y": up, "text": {"field": "label"}}, {"fontSize": SMALL}),
    ]
    shown = [layer for layer in layers if layer["data"]["values"]]
    spec: Spec = {"width": width, "height": height, "layer": shown}
    if sketch.caption:
        spec["title"] = {"text": sketch.caption, "orient": "bottom", "fontSize": FONT, "fontWeight": "normal"}
    return spec


def _pixels(sketch: Graph, radius: Sequence[float]) -> tuple[list[Point], float, float]:
    """Return where the nodes are, upwards and to the right, and the sides of the picture: with many nodes larger."""
    xs, ys = [node.x for node in sketch.nodes], [node.y for node in sketch.nodes]
    side = SIDE * max(0.6, min(2.0, (len(sketch.nodes) / 14) ** 0.5))
    scale = min(side / max(max(ys) - min(ys), TINY), 1.4 * side / max(max(xs) - min(xs), TINY))
    at = _apart([(scale * x, scale * y) for x, y in zip(xs, ys, strict=True)], radius)
    left, low = min(x for x, _ in at) - MARGIN, min(y for _, y in at) - MARGIN
    at = [(x - left, y - low) for x, y in at]
    return at, max(x for x, _ in at) + MARGIN, max(y for _, y in at) + MARGIN


def _apart(at: list[Point], radius: Sequence[float]) -> list[Point]:
    """Return places at which no two labelled nodes touch: those that do are pushed apart again and again."""
    large = [k for k, r in enumerate(radius) if r > DOT]
    for _ in range(PUSHES):
        for i, j in combinations(large, 2):
            dx, dy = at[j][0] - at[i][0], at[j][1] - at[i][1]
            if not (dx or dy):
                dx = TINY
            gap = hypot(dx, dy)
            push = (radius[i] + radius[j] + GAP - gap) / 2 / gap
            if push > 0:
                at[i] = (at[i][0] - push * dx, at[i][1] - push * dy)
                at[j] = (at[j][0] + push * dx, at[j][1] + push * dy)
    return at


def _radius(label: str) -> float:
    return max(12.0, BOLD * FONT * len(label) / 2 + 5) if label else DOT


def _box(x: float, y: float, label: str) -> Box:
    wide = LETTER * SMALL * len(label) / 2 + 1
    return (x - wide, y - 6, x + wide, y + 6)


def _notes(sketch: Graph, at: Sequence[Point], radius: Sequence[float], paths: Sequence[Sequence[Point]]) -> list[Spec]:
    """Return the nodes' notes: below the node, above it or beside it, where they lie on fewest edges."""
    passed = [dot for path in paths for dot in _dots(path)]
    found: list[Spec] = []
    for node, (x, y), r in zip(sketch.nodes, at, radius, strict=True):
        if node.note:
            wide = LETTER * SMALL * len(node.note) / 2 + 3
            places = [(x, y - r - 8), (x, y + r + 8), (x + r + wide, y), (x - r - wide, y)]
            boxes = {place: _box(*place, node.note) for place in places}
            hits = {place: _hits(box, passed) + (box[0] < 0 or box[1] < 0) for place, box in boxes.items()}
            best = min(places, key=lambda place: hits[place])
            found.append({"x": best[0], "y": best[1], "label": node.note})
    return found


def _path(edge: Edge, at: Sequence[Point], radius: Sequence[float], twin: bool) -> list[Point]:
    """Return the way of an edge: straight, or bent to the side of its twin the other way and past other nodes."""
    a, b = at[edge.tail], at[edge.head]
    others = [
        (node, r)
        for k, (node, r) in enumerate(zip(at, radius, strict=True))
        if r > DOT and k not in (edge.tail, edge.head)
    ]

    def near(path: list[Point]) -> float:
        return sum(max(0.0, r + 4 - min(_away(node, p, q) for p, q in pairwise(path))) for node, r in others)

    ways = [_bent(a, b, bend) for bend in (BENDS[1::2] if twin else BENDS)]
    return next((way for way in ways if not near(way)), None) or min(ways, key=near)


def _bent(a: Point, b: Point, bend: float) -> list[Point]:
    """Return a line, or an arc whose middle lies ``bend`` to the left of it."""
    if not bend:
        return [a, b]
    (ax, ay), (bx, by) = a, b
    length = max(hypot(bx - ax, by - ay), TINY)
    mx, my = (ax + bx) / 2 - 2 * bend * (by - ay) / length, (ay + by) / 2 + 2 * bend * (bx - ax) / length
    shares = [k / 10 for k in range(11)]
    return [
        ((1 - t) ** 2 * ax + 2 * t * (1 - t) * mx + t * t * bx, (1 - t) ** 2 * ay + 2 * t * (1 - t) * my + t * t * by)
        for t in shares
    ]


def _away(node: Point, p: Point, q: Point) -> float:
    """Return the distance of a node from the line between two points."""
    dx, dy = q[0] - p[0], q[1] - p[1]
    share = ((node[0] - p[0]) * dx + (node[1] - p[1]) * dy) / max(dx * dx + dy * dy, TINY)
    share = min(1.0, max(0.0, share))
    return hypot(p[0] + share * dx - node[0], p[1] + share * dy - node[1])


def _along(path: Sequence[Point], way: float) -> tuple[Point, Point]:
    """Return the point at a distance from the start of a path, and the direction there."""
    for p, q in pairwise(path):
        length = hypot(q[0] - p[0], q[1] - p[1])
        if way <= length or q is path[-1]:
            share = min(1.0, way / max(length, TINY))
            step = (q[0] - p[0], q[1] - p[1])
            return (p[0] + share * step[0], p[1] + share * step[1]), step
        way -= length
    raise ValueError("a path has two points or more")


def _length(path: Sequence[Point]) -> float:
    return sum(hypot(q[0] - p[0], q[1] - p[1]) for p, q in pairwise(path))


def _dots(path: Sequence[Point]) -> list[Point]:
    """Return points of a path, evenly spaced."""
    return [_along(path, STRIDE * k)[0] for k in range(int(_length(path) / STRIDE))]


def _hits(box: Box, dots: Sequence[Point]) -> int:
    return sum(box[0] < x < box[2] and box[1] < y < box[3] for x, y in dots)


def _head(path: Sequence[Point], radius: float) -> Spec:
    """Return the head of an arrow that ends at the rim of its node."""
    length = _length(path)
    (x, y), (dx, dy) = _along(path, max(length - radius - 4, 0.4 * length))
    return {"x": x, "y": y, "angle": degrees(atan2(dx, dy))}


def _beside(path: Sequence[Point], label: str, taken: Sequence[Box], others: Sequence[Point]) -> Point:
    """Return the place on a path, near its middle, where a label hides least; ``others``: dots of other edges."""
    length = _length(path)
    places = []
    for share in (0.5, 0.42, 0.58, 0.35, 0.65, 0.29, 0.71, 0.23, 0.77):
        (x, y), (dx, dy) = _along(path, share * length)
        turn = 11 / max(hypot(dx, dy), TINY)
        places += [(side != 0, (x - side * turn * dy, y + side * turn * dx)) for side in (0, 1, -1)]

    def bad(place: tuple[bool, Point]) -> float:
        aside, (x, y) = place
        box = _box(x, y, label)
        return aside * ASIDE + sum(overlap(box, other) for other in taken) + ACROSS * _hits(box, others)

    return min(places, key=bad)[1]


# --- curves -----------------------------------------------------------------------------------------------------------


def _curves(sketch: Curves, least: int) -> Spec:
    series = list(dict.fromkeys(name for _, _, name in sketch.points))
    colours = [COLOURS[k % len(COLOURS)] for k in range(len(series))]
    xs, ys = [x for x, _, _ in sketch.points], [y for _, y, _ in sketch.points]
    low_x = min([0.0, *xs])
    room = (max(ys) - min(ys) or abs(max(ys)) or 1.0) * 0.06
    low, high = min(ys) - room, max(ys) + room
    height = max(least, LABELLED * (len(series) + 1))
    last = {name: (x, y) for x, y, name in sketch.points}
    wanted = [height * (high - last[name][1]) / (high - low) for name in series]
    ends = [
        {"x": last[name][0], "y": last[name][1], "at": high - place / height * (high - low), "series": name}
        | {"label": f"{name} = {last[name][1]:.10g}"}
        for name, place in zip(series, spread(wanted, LABELLED, 4, height - 4), strict=True)
    ]
    rows = [{"x": x, "y": y, "series": name} for x, y, name in sketch.points]
    x: Spec = {
        "type": "quantitative",
        "title": sketch.axis,
        "scale": {"domain": [low_x, max(xs)], "nice": False},
        "axis": _ticks(low_x, max(xs), xs),
    }
    y: Spec = {"type": "quantitative", "title": sketch.value, "scale": {"domain": [low, high], "nice": False}}
    colour = {"field": "series", "type": "nominal", "scale": {"domain": series, "range": colours}, "legend": None}
    shapes = [SHAPES[k % len(SHAPES)] for k in range(len(series))]
    shape = {"field": "series", "type": "nominal", "scale": {"domain": series, "range": shapes}, "legend": None}
    return {
        "width": WIDTH,
        "height": height,
        "layer": [
            {
                "data": {"values": rows},
                "mark": {"type": "line", "strokeWidth": 2},
                "encoding": {"x": x | {"field": "x"}, "y": y | {"field": "y"}, "color": colour},
            },
            {
                "data": {"values": rows},
                "mark": {"type": "point", "filled": True, "size": 55, "opacity": 1},
                "encoding": {"x": x | {"field": "x"}, "y": y | {"field": "y"}, "color": colour, "shape": shape},
            },
            {
                "data": {"values": ends},
                "mark": {"type": "rule", "strokeWidth": 1},
                "encoding": {
                    "x": x | {"field": "x"},
                    "x2": {"value": WIDTH + 14},
                    "y": y | {"field": "y"},
                    "y2": {"field": "at"},
                    "color": colour,
                },
            },
            {
                "data": {"values": ends},
                "mark": {"type": "text", "align": "left", "fontSize": FONT, "color": INK},
                "encoding": {"x": {"value": WIDTH + 18}, "y": y | {"field": "at"}, "text": {"field": "label"}},
            },
        ],
    }
