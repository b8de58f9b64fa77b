"""Pictures of single instances: a sketch of the exact answer as a Vega-Lite specification."""

from typing import Any

from probe.results.plots import GREY, SCHEMA, Spec
from solvers import registry
from solvers.problem import Instance
from solvers.procedure import decimal
from solvers.sketches import Bars, Curves, Graph

WIDTH, ROW, SIDE = 560, 26, 420  # pixels: of a chart, of a row of bars, of a graph
# Okabe and Ito's palette (2008), then Tol's muted one: told apart by the colour-blind
COLOURS = ["#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#882255", "#44AA99", "#999933"]
LIGHT = "#BBBBBB"
CAPTION_LETTERS = 90


def picture(instance: Instance) -> Spec:
    """Return a picture of an instance with its exact answer."""
    family = registry.get(instance.family)
    sketch = family.sketch(instance)
    objective = family.objective_of(instance)
    caption = f"{family.title}, size {instance.size}"
    if objective is not None:
        caption += f"; {objective.noun(instance.names)}: {decimal(instance.optimum or 0)}"
    draw: Any = {Bars: _bars, Graph: _graph, Curves: _curves}[type(sketch)]
    frame: Spec = {
        "$schema": SCHEMA,
        "title": {"text": caption[:CAPTION_LETTERS], "anchor": "start", "fontSize": 13, "offset": 10},
        "background": "white",
        "padding": 12,
        "config": {"font": "sans-serif", "view": {"stroke": None}, "axis": {"gridColor": "#EEEEEE"}},
    }
    drawn: Spec = draw(sketch)
    return frame | drawn


def _colour(field: str, groups: list[str], legend: bool) -> dict[str, Any]:
    """Return colours by group; "" is grey and in no legend."""
    named = [group for group in groups if group]
    scale = {"domain": [*named, ""], "range": [*(COLOURS[k % len(COLOURS)] for k in range(len(named))), LIGHT]}
    shown = {"values": named, "title": None} if legend and 1 < len(named) <= len(COLOURS) else None
    return {"field": field, "type": "nominal", "scale": scale, "legend": shown}


def _bars(sketch: Bars) -> Spec:
    groups = list(dict.fromkeys(bar.group for bar in sketch.bars))
    rows = [vars(bar) | {"middle": (bar.start + bar.end) / 2} for bar in sketch.bars]
    y = {
        "field": "row",
        "type": "nominal",
        "sort": list(sketch.rows),
        "title": None,
        "scale": {"domain": list(sketch.rows)},
    }
    limits = [{"row": row, "limit": limit} for row, limit in sketch.limits]
    return {
        "width": WIDTH,
        "height": {"step": ROW},
        "layer": [
            {
                "data": {"values": rows},
                "mark": {"type": "bar", "stroke": "white", "height": ROW - 6},
                "encoding": {
                    "y": y,
                    "x": {"field": "start", "type": "quantitative", "title": sketch.axis},
                    "x2": {"field": "end"},
                    "color": _colour("group", groups, legend=True),
                },
            },
            {
                "data": {"values": rows},
                "mark": {"type": "text", "fontSize": 10, "color": "black"},
                "encoding": {"y": y, "x": {"field": "middle", "type": "quantitative"}, "text": {"field": "label"}},
            },
            {
                "data": {"values": limits},
                "mark": {"type": "tick", "color": "black", "thickness": 2, "height": ROW},
                "encoding": {"y": y, "x": {"field": "limit", "type": "quantitative"}},
            },
        ],
    }


def _graph(sketch: Graph) -> Spec:
    nodes = [vars(node) for node in sketch.nodes]
    edges, heads = [], []
    for edge in sketch.edges:
        a, b = sketch.nodes[edge.tail], sketch.nodes[edge.head]
        length = max(((a.x - b.x) ** 2 + (a.y - b.y) ** 2) ** 0.5, 1e-9)
        middle = {"mx": a.x + 0.4 * (b.x - a.x), "my": a.y + 0.4 * (b.y - a.y)}
        edges.append({"x": a.x, "y": a.y, "x2": b.x, "y2": b.y, "group": edge.group, "label": edge.label} | middle)
        if sketch.arrows:
            back = min(0.12, 0.4 * length) / length
            at = {"x": b.x - back * (b.x - a.x), "y": b.y - back * (b.y - a.y)}
            heads.append(at | {"group": edge.group, "angle": _angle(b.x - a.x, b.y - a.y)})
    plain = {"axis": None, "scale": {"domain": _ends(sketch)}}
    x, y = ({"field": name, "type": "quantitative"} | plain for name in ("x", "y"))
    colour = _colour("group", list(dict.fromkeys(edge.group for edge in sketch.edges)), legend=True)
    fill = _colour("group", list(dict.fromkeys(node.group for node in sketch.nodes)), legend=False)
    return {
        "width": SIDE,
        "height": SIDE,
        "resolve": {"scale": {"color": "independent"}},
        "layer": [
            {
                "data": {"values": edges},
                "mark": {"type": "rule", "strokeWidth": 2},
                "encoding": {"x": x, "y": y, "x2": {"field": "x2"}, "y2": {"field": "y2"}, "color": colour},
            },
            {
                "data": {"values": heads},
                "mark": {"type": "point", "shape": "triangle-up", "filled": True, "size": 70, "opacity": 1},
                "encoding": {
                    "x": x,
                    "y": y,
                    "angle": {"field": "angle", "type": "quantitative", "scale": None},
                    "color": colour | {"legend": None},
                },
            },
            {
                "data": {"values": edges},
                "mark": {"type": "text", "fontSize": 10, "color": GREY, "dy": -6},
                "encoding": {"x": x | {"field": "mx"}, "y": y | {"field": "my"}, "text": {"field": "label"}},
            },
            {
                "data": {"values": nodes},
                "mark": {"type": "circle", "size": 480, "opacity": 1, "stroke": "white"},
                "encoding": {"x": x, "y": y, "color": fill},
            },
            {
                "data": {"values": nodes},
                "mark": {"type": "text", "fontSize": 11, "fontWeight": "bold"},
                "encoding": {"x": x, "y": y, "text": {"field": "label"}},
            },
        ],
    }


def _ends(sketch: Graph) -> list[float]:
    """Return one domain for both axes, so that a circle stays a circle."""
    places = [place for node in sketch.nodes for place in (node.x, node.y)]
    margin = 0.12 * (max(places) - min(places) or 1)
    return [min(places) - margin, max(places) + margin]


def _angle(dx: float, dy: float) -> float:
    """Return the clockwise turn from upwards to a direction, in degrees."""
    from math import atan2, degrees

    return degrees(atan2(dx, dy))


def _curves(sketch: Curves) -> Spec:
    rows = [{"x": x, "y": y, "series": series} for x, y, series in sketch.points]
    series = list(dict.fromkeys(row["series"] for row in rows))
    return {
        "width": WIDTH,
        "height": 260,
        "data": {"values": rows},
        "mark": {"type": "line", "point": {"size": 40}},
        "encoding": {
            "x": {"field": "x", "type": "quantitative", "title": sketch.axis, "axis": {"tickMinStep": 1}},
            "y": {"field": "y", "type": "quantitative", "title": "value", "scale": {"zero": False}},
            "color": _colour("series", [str(s) for s in series], legend=True),
        },
    }
