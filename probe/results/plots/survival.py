"""Survival of iterates: the share of traces that are right up to each iterate, by model and size."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy.orm import Session

from probe.errors import WorkError
from probe.results import evidence
from probe.results.evidence import Arm
from probe.results.plots.frame import (
    BASELINE_DASHES,
    FONT,
    GREY,
    LINE,
    Spec,
    Wanted,
    asked,
    baselines_in_order,
    counts,
    described,
    ends,
    framed,
    layer,
    models_in_order,
    rate_of,
    share,
    sizes_in_order,
    spread,
    style,
    text_layer,
    tooltip,
)

WIDTH, HEIGHT = 560, 220  # of one panel, pixels
MEASURE = "survives:"
APART = 7  # pixels between the points of two series at one iterate


def draw(session: Session, wanted: Wanted) -> Spec:
    """Return the survival curves of what is wanted."""
    return survival_curves(evidence.load(session, lambda name: name.startswith(MEASURE), wanted.batch, wanted.where))


def survival_curves(arms: Sequence[Arm]) -> Spec:
    """Return a panel a size, in it a curve a model. Raises WorkError where no model was asked for traces."""
    models, baselines = asked(arms, f"{MEASURE}1")
    if not models:
        raise WorkError(
            "plot survival: no model was asked for traces here; `probe run --families numerics --modes trace` asks some"
        )
    series = [(name, style(i)) for i, name in enumerate(models_in_order(models))]
    plain = [
        (name, {"colour": GREY, "dash": BASELINE_DASHES[name], "shape": "circle"})
        for name in baselines_in_order(baselines)
        if name != "blank"  # it writes nothing: none of its traces survives
    ]
    panels = []
    for size in sizes_in_order(arm.base.size for arm in models):
        here = [arm for arm in (*models, *baselines) if arm.base.size == size]
        panels.append(_panel(size, here, dict(plain + series)))
    families = sorted({arm.base.family for arm in models})
    told = [
        "Share of traces whose iterates 1 to k are all right, of those that were asked for at least k iterates, with"
        " 95 % intervals clustered by instance; unscored trials (failures of the instrument) are left out. A trace"
        " that lacks an iterate does not survive it.",
        f"Below each k: traces counted per model. Families: {', '.join(families)}; lines break where some of them have"
        " no more iterates." + (f" Without thought: {', '.join(name for name, _ in plain)}." if plain else ""),
    ]
    body = {"vconcat": panels}
    return framed("Survival of iterates by model and size", told, body)


def _panel(size: str, arms: Sequence[Arm], styles: Mapping[str, Any]) -> Spec:
    names = [name for name in styles if any(arm.subject.name == name for arm in arms)]
    steps = sorted({int(name.partition(":")[2]) for arm in arms for name in arm.counts})
    height = max(HEIGHT, LINE * len(names))
    apart = min(APART, WIDTH / len(steps) / (len(names) + 1))
    first, last = 0.5, steps[-1] + 0.5
    per_pixel = (last - first) / WIDTH
    asked_for = [sorted({arm.base.family for arm in arms if f"{MEASURE}{k}" in arm.counts}) for k in steps]
    rows: list[Spec] = []
    for i, name in enumerate(names):
        mine = [arm for arm in arms if arm.subject.name == name]
        shift = (i - (len(names) - 1) / 2) * apart * per_pixel
        for families, k in zip(asked_for, steps, strict=True):
            if (rate := rate_of(mine, f"{MEASURE}{k}")) is None:
                continue
            low, high = ends(rate)
            rows.append(
                {
                    "name": name,
                    "run": ", ".join(families),
                    "k": k,
                    "x": k + shift,
                    "rate": rate.rate,
                    "low": low,
                    "high": high,
                }
                | {"shown": described(rate), "traces": rate.n, "instances": rate.clusters}
                | {"baseline": mine[0].subject.kind == "baseline"}
            )
    names = [name for name in names if any(row["name"] == name for row in rows)]
    traces = {k: [row["traces"] for row in rows if row["k"] == k and not row["baseline"]] for k in steps}
    below = " : ".join(f"datum.value == {k} ? ['{k}', '{counts(n, '–')}']" for k, n in traces.items() if n)
    x: Spec = {
        "type": "quantitative",
        "scale": {"domain": [first, last], "nice": False},
        "axis": {
            "title": "iterate k, traces",
            "values": steps,
            "labelExpr": f"{below} : [datum.value]",
            "grid": False,
        },
    }
    y_axis = {"title": "traces right up to k", "format": ".0%", "tickCount": 5}
    colour = _scale("colour", names, styles)
    hue = {"color": {"field": "name", "type": "nominal"} | colour}
    at = {"x": {"field": "x"} | x, "y": share("rate", axis=y_axis)}
    dash = {"strokeDash": {"field": "name", "type": "nominal"} | _scale("dash", names, styles)}
    shape = {"shape": {"field": "name", "type": "nominal"} | _scale("shape", names, styles)}
    bar = {"x": {"field": "x"} | x, "y": share("low"), "y2": {"field": "high"}}
    said = {"tooltip": tooltip(["model: name", "iterate: k", "right up to k: shown", "traces", "instances"])}
    return {
        "title": {"text": f"size {size}", "anchor": "start", "fontSize": FONT + 1},
        "width": WIDTH,
        "height": height,
        "layer": [
            layer(rows, "line", at | hue | dash | {"detail": {"field": "run", "type": "nominal"}}, strokeWidth=1.6),
            layer(rows, "rule", bar | hue, strokeWidth=1.2),
            layer(rows, "point", at | hue | shape | said, filled=True, size=45, opacity=1),
            *_names(rows, names, height, last - first, x, hue),
        ],
    }


def _scale(what: str, names: Sequence[str], styles: Mapping[str, Any]) -> Spec:
    return {"scale": {"domain": list(names), "range": [styles[name][what] for name in names]}, "legend": None}


def _names(rows: Sequence[Spec], names: Sequence[str], height: float, wide: float, x: Spec, hue: Spec) -> list[Spec]:
    """Return each series' name at the right edge, tied to its last point."""
    ends_ = [[row for row in rows if row["name"] == name][-1] for name in names]
    places = spread([height * (1 - row["rate"]) for row in ends_], LINE, 0, height)
    labels = [
        {"name": row["name"], "text": row["name"], "x": row["x"], "from": row["rate"], "to": 1 - place / height}
        for row, place in zip(ends_, places, strict=True)
    ]
    tie = {"x": {"field": "x"} | x, "x2": {"value": WIDTH + 12}, "y": share("from"), "y2": {"field": "to"}}
    return [
        layer(labels, "rule", tie | hue, strokeWidth=0.6, opacity=0.6),
        text_layer(labels, {"x": {"value": WIDTH + 15}, "y": share("to")}),
    ]
