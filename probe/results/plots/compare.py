"""The forest plot: a paired difference of two models (or two values of a column) by family, and over all."""

from collections.abc import Sequence
from math import ceil

from sqlalchemy.orm import Session

from probe.errors import RequestError
from probe.results.comparing import Comparison, Contrast, compare
from probe.results.formats import MEASURED, UNDEFINED, percent, points, shown_p
from probe.results.plots.frame import BLACK, BLUE, GREY, INK, NAMES, Spec, Wanted, framed, layer, text_layer, tooltip

WIDTH, ROW = 460, 26  # of the plotting area, of a row, pixels
ALL = "all of these"
LEAST = 0.05  # half width of the axis: a difference of nothing is not blown up


def draw(session: Session, wanted: Wanted) -> Spec:
    """Return the forest plot of what is wanted: option ``compare``, two models A,B or COLUMN=A,B."""
    options = dict(wanted.options)
    pair, by = options.pop("compare", ""), options.pop("by", "family")
    if not pair:
        raise RequestError("plot compare: give the two models that are compared, as --compare A,B")
    names = tuple(name.strip() for name in by.split(",") if name.strip())
    rows = compare(session, pair, names, wanted.where, wanted.batch, **options)
    return forest(rows, compare(session, pair, (), wanted.where, wanted.batch, **options))


def forest(found: Comparison, over_all: Comparison) -> Spec:
    """Return a row a contrast, in their order, and one over all below."""
    rows = [_entry(" · ".join(str(value) for value in row.group.values()), row, total=False) for row in found.rows]
    rows += [_entry(ALL, row, total=True) for row in over_all.rows]
    labels = [row["row"] for row in rows]
    reach = max([LEAST, *(abs(value) for row in rows for value in (row["low"], row["high"], row["difference"]))])
    reach = ceil(20 * reach) / 20
    y: Spec = {
        "field": "row",
        "type": "nominal",
        "scale": {"domain": labels},
        "axis": {"title": None, "domain": False, "ticks": False, "grid": True},
    }
    x = {"type": "quantitative", "scale": {"domain": [-reach, reach], "nice": False}}
    a, b = found.sides
    axis = {
        "title": f"difference, points: {a} minus {b}",
        "labelExpr": "format(100 * datum.value, '+.0f')",
        "tickCount": 7,
        "titleLimit": WIDTH + NAMES,
    }
    said = tooltip(
        ["row", "difference: shown", f"{a}: a", f"{b}: b", "chance", "p", "p (Holm): holm", "instances", "test"]
    )
    colour = {"color": {"condition": {"test": "datum.total", "value": BLACK}, "value": BLUE}}
    shape = {"shape": {"condition": {"test": "datum.total", "value": "diamond"}, "value": "circle"}}
    better = [
        {"x": WIDTH / 2 - 8, "text": f"← better: {b}", "align": "right"},
        {"x": WIDTH / 2 + 8, "text": f"better: {a} →", "align": "left"},
    ]
    place = {"x": {"field": "x", "type": "quantitative", "scale": None}, "y": {"value": -12}}
    layers = [
        layer([{"zero": 0}], "rule", {"x": {"field": "zero"} | x}, color=GREY),
        layer(rows, "rule", {"x": {"field": "low"} | x, "x2": {"field": "high"}, "y": y} | colour, strokeWidth=2),
        layer(
            rows,
            "point",
            {"x": {"field": "difference", "axis": axis} | x, "y": y, "tooltip": said} | colour | shape,
            filled=True,
            size=70,
            opacity=1,
        ),
        *(text_layer([text], place, align=text["align"], color=GREY, limit=WIDTH / 2) for text in better),
        text_layer(rows, {"x": {"value": WIDTH + 10}, "y": y}, color=INK, limit=2 * NAMES),
    ]
    body = {"width": WIDTH, "height": ROW * len(rows), "layer": layers}
    return framed(f"{a} against {b}, on the same instances", _told(found, over_all), body)


def _entry(label: str, row: Contrast, *, total: bool) -> Spec:
    d = row.difference
    known = d.low is not None and d.high is not None
    a, b = (percent(side.rate) for side in row.sides)
    chance = " and ".join(percent(value) for value in dict.fromkeys(row.chance))
    return {
        "row": label,
        "difference": d.difference,
        "low": d.low if known else d.difference,
        "high": d.high if known else d.difference,
        "total": total,
        "text": f"{a} against {b} · {d.clusters:,} inst. · p {shown_p(row.difference.p if total else row.holm)}",
        "shown": " ".join(points(d)),
        "a": a,
        "b": b,
        "chance": chance or UNDEFINED,
        "p": shown_p(d.p),
        "holm": shown_p(row.holm),
        "instances": d.clusters,
        "test": row.test,
    }


def _told(found: Comparison, over_all: Comparison) -> list[str]:
    version = "" if found.judge_version is None else f" Judge version {found.judge_version}."
    chance: Sequence[float | None] = over_all.rows[0].chance if over_all.rows else ()
    return [
        f"Difference in points of the {MEASURED[found.measure][1]} ({found.measure}), paired by base instance, with"
        f" 95 % intervals clustered by instance.{version}",
        f"At the right: both rates, instances in common, p (of rows adjusted by Holm). Chance ({found.baseline}) on"
        f" all of these: {' and '.join(percent(value) for value in dict.fromkeys(chance))}."
        + ("" if all(row.difference.low is not None for row in found.rows) else " A bare point has no interval."),
        *over_all.notes,
    ]
