"""What plots share: their frame, colours, places of texts, data as arms, and the files."""

import html
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from textwrap import wrap
from typing import Any

import numpy as np

from probe.errors import RequestError
from probe.results.cells import Cell
from probe.results.evidence import Arm, Asked, by_instance
from probe.results.files import write
from probe.results.formats import limits, percent
from probe.results.statistics import Interval, ratio
from solvers.problem import SIZES

Spec = dict[str, Any]

SCHEMA, VERSION = "https://vega.github.io/schema/vega-lite/v6.json", "6.1"
SCALE = 2  # pixels of a PNG per pixel of the specification
SUBTITLE_LETTERS = 125  # of a line under the title
FONT = 11  # size of labels, pixels
LETTER = 0.55 * FONT  # a generous mean width of a letter
LINE = FONT + 3
NAMES = 300  # pixels after which a name is cut
# Okabe and Ito's palette (2008), told apart by the colour-blind; in grey they differ in lightness, and by their dashes
BLUE, ORANGE, GREEN, VERMILION = "#0072B2", "#E69F00", "#009E73", "#D55E00"
PURPLE, SKY, BLACK = "#CC79A7", "#56B4E9", "#000000"
GREY, INK = "#555555", "#222222"
COLOURS = (BLUE, VERMILION, GREEN, PURPLE, ORANGE, BLACK, SKY)
DASHES = ([1, 0], [7, 3], [2, 2], [8, 3, 2, 3])
SHAPES = ("circle", "square", "triangle-up", "diamond", "cross")
BASELINE_DASHES = {  # `exact` is a check of the judge, not a comparison: it is drawn nowhere
    "blank": [2, 3],
    "random": [1, 0],
    "greedy": [8, 4],
    "template": [8, 3, 2, 3],
}


@dataclass(frozen=True)
class Wanted:
    """What a plot is drawn from: one batch or all, conditions as of result tables, options of the plot."""

    batch: int | None = None
    where: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, str] = field(default_factory=dict)


# --- frame ------------------------------------------------------------------------------------------------------------


def framed(title: str, told: Sequence[str], body: Spec) -> Spec:
    """Return a whole specification; ``told``: sentences under the title, which say what is counted."""
    return {
        "$schema": SCHEMA,
        "title": {
            "text": title,
            "subtitle": [line for text in told for line in wrap(text, SUBTITLE_LETTERS)],
            "anchor": "start",
            "subtitleColor": GREY,
            "offset": 14,
        },
        "background": "white",
        "padding": 12,
        **body,
        "config": {
            "font": "sans-serif",
            "view": {"stroke": "#999999"},
            "axis": {"gridColor": "#EEEEEE", "labelLimit": NAMES},
            "concat": {"spacing": 18},
        },
    }


def share(name: str, **more: Any) -> Spec:
    """Return the encoding of a share from 0 to 1."""
    return {"field": name, "type": "quantitative", "scale": {"domain": [0, 1], "nice": False}, "title": None} | more


def tooltip(texts: Sequence[str]) -> list[Spec]:
    """Return the encoding of what a pointer shows: fields, "label: field" where the label differs."""
    out = []
    for text in texts:
        title, _, name = text.rpartition(": ")
        out.append({"field": name, "type": "nominal", "title": title or name})
    return out


def layer(rows: Sequence[Spec], mark: str, encoding: Spec, **how: Any) -> Spec:
    """Return a layer that draws rows by marks of one type."""
    return {"data": {"values": list(rows)}, "mark": {"type": mark, **how}, "encoding": encoding}


def text_layer(rows: Sequence[Spec], encoding: Spec, **how: Any) -> Spec:
    """Return a layer of texts (field ``text``), cut where they are too long."""
    how = {"align": "left", "baseline": "middle", "fontSize": FONT, "color": INK, "limit": NAMES} | how
    return layer(rows, "text", encoding | {"text": {"field": "text"}}, **how)


# --- what is said -----------------------------------------------------------------------------------------------------


def described(interval: Interval | None) -> str:
    """Return a rate with its limits as text."""
    return f"{percent(None if interval is None else interval.rate)} {limits(interval)}".rstrip()


def ends(interval: Interval) -> tuple[float, float]:
    """Return an interval's limits; the rate where it has none."""
    return (
        interval.rate if interval.low is None else interval.low,
        interval.rate if interval.high is None else interval.high,
    )


def counts(values: Iterable[int], apart: str = " to ") -> str:
    """Return the range of some counts as text."""
    found = list(values)
    low, high = min(found), max(found)
    return f"{low:,}" if low == high else f"{low:,}{apart}{high:,}"


def caveats(cells: Sequence[Cell], measure: str, baseline: str, notes: Sequence[str]) -> list[str]:
    """Return what must be said of the cells drawn, whatever the plot, and a table's notes."""
    rates = [rate for cell in cells if (rate := cell.rates[measure]) is not None]
    told = []
    if any(rate.low is None for rate in rates):
        told.append("A rate of fewer than 5 instances has no interval.")
    if all(cell.chance is None for cell in cells) and not any("no chance level" in note for note in notes):
        told.append(f"No chance level: the baseline {baseline} has not answered these questions.")
    if unscored := sum(sum(cell.unscored.values()) for cell in cells):
        told.append(f"{unscored:,} unscored trials (failures of the instrument) are left out.")
    return [*told, *notes]


# --- places -----------------------------------------------------------------------------------------------------------


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


def sizes_in_order(sizes: Iterable[str]) -> list[str]:
    """Return sizes along the ladder, others after it."""
    return sorted(set(sizes), key=lambda size: (SIZES.index(size) if size in SIZES else len(SIZES), size))


# --- styles -----------------------------------------------------------------------------------------------------------


def style(i: int) -> Spec:
    """Return colour, dash and shape of the i-th series: all differ from its neighbours', so that it reads in grey."""
    return {"colour": COLOURS[i % len(COLOURS)], "dash": DASHES[i % len(DASHES)], "shape": SHAPES[i % len(SHAPES)]}


# --- arms -------------------------------------------------------------------------------------------------------------


def asked(arms: Sequence[Arm], measure: str) -> tuple[list[Arm], list[Arm]]:
    """Return the arms of models that counted a measure, and those of baselines cut down to what a model was asked."""
    models = [arm for arm in arms if arm.subject.kind == "endpoint" and measure in arm.counts]
    positions: dict[Asked, Any] = {}
    for arm in models:
        there = np.maximum.reduce([matrix[:, :1] for matrix in arm.counts.values()]) > 0
        positions[arm.asked] = positions.get(arm.asked, False) | there
    baselines = [
        replace(arm, counts={name: matrix * positions[arm.asked] for name, matrix in arm.counts.items()})
        for arm in arms
        if arm.subject.kind == "baseline" and arm.subject.name in BASELINE_DASHES and arm.asked in positions
    ]
    return models, baselines


def models_in_order(arms: Iterable[Arm]) -> list[str]:
    """Return the names of models by size, those of unknown size last."""
    sizes = {arm.subject.name: arm.subject.params for arm in arms}
    return sorted(sizes, key=lambda name: (sizes[name] is None, sizes[name] or 0, name))


def baselines_in_order(arms: Iterable[Arm]) -> list[str]:
    """Return the names of baselines in their fixed order."""
    found = {arm.subject.name for arm in arms}
    return [name for name in BASELINE_DASHES if name in found]


def rate_of(arms: Iterable[Arm], measure: str) -> Interval | None:
    """Return a measure's rate over arms, clustered by base instance; None where nothing was counted."""
    pairs = np.array(list(by_instance(arms, measure).values()), float).reshape(-1, 2)
    return ratio(pairs[:, 0], pairs[:, 1])


# --- files ------------------------------------------------------------------------------------------------------------


def save(spec: Spec, path: Path) -> None:
    """Write a plot as what its name ends with: .png, .svg or .html. Raises RequestError for another ending or a file
    that can't be written."""
    import vl_convert

    if (ending := check_ending(path)) == ".png":
        content = vl_convert.vegalite_to_png(spec, vl_version=VERSION, scale=SCALE)
    else:
        content = (svg(spec) if ending == ".svg" else page(spec)).encode()
    write(path, content)


def check_ending(path: Path) -> str:
    """Return what a file's name ends with. Raises RequestError where no plot is written so."""
    ending = path.suffix.lower()
    if ending not in (".png", ".svg", ".html"):
        raise RequestError(f"output {path}: the name must end with .png, .svg or .html")
    return ending


def svg(spec: Spec) -> str:
    """Return a plot as an SVG document."""
    import vl_convert

    return vl_convert.vegalite_to_svg(spec, vl_version=VERSION)


def page(spec: Spec) -> str:
    """Return a plot as a page that shows what a pointer rests on, and fetches nothing.

    The converter writes the data into a script as plain JSON: a name that holds ``</script>`` would end it.
    """
    import vl_convert

    whole = vl_convert.vegalite_to_html(spec, vl_version=VERSION, bundle=True)
    head, start, rest = whole.rpartition('<div id="vega-chart"></div>')
    before, mark, after = rest.partition("const spec = ")
    data, newline, tail = after.partition("\n")
    if not (start and mark and newline):
        raise RuntimeError("vl-convert's page has another form than this version's")
    title = f"<title>{html.escape(spec['title']['text'])}</title>"
    head = head.replace("<html>", '<html lang="en">', 1).replace("<title>Chart</title>", title, 1)
    return head + start + before + mark + data.replace("<", "\\u003c") + newline + tail
