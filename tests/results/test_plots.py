"""Plots: what is drawn where, what is said about it, and files that need nothing else."""

import itertools
import math
from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest

from probe.asking.judging import OUTCOMES, UNSCORED
from probe.errors import RequestError, WorkError
from probe.results.cells import MEASURES, Cell, ResultTable
from probe.results.plots import HEIGHT, WIDTH, save, size_curve
from probe.results.statistics import Interval

SIZES = (134_515_008, 268_000_000, 494_000_000, 1_240_000_000, 1_540_000_000, 2_600_000_000)
TEN = dict(zip("abcdefghij", (*SIZES, 7_250_000_000, 7_600_000_000, 8_000_000_000, 72_000_000_000), strict=True))


def cell(name, params=None, kind="endpoint", rate=0.5, chance=0.34, low=0.05):
    interval = None if rate is None else Interval(rate, max(0, rate - low), min(1, rate + 0.05), 4800, 20)
    by_chance = None if chance is None else Interval(chance, chance - 0.01, chance + 0.01, 4800, 20)
    return Cell(
        group={"model": name, "params": params},
        kind=kind,
        n_trials=400,
        n_instances=20,
        outcomes=dict.fromkeys(OUTCOMES, 0),
        unscored=dict.fromkeys(UNSCORED, 0),
        rates=dict.fromkeys(MEASURES, interval),
        chance=by_chance,
        corrected=None,
        gap=None,
    )


BASELINES = [
    cell(name, kind="baseline", rate=rate)
    for name, rate in (("blank", 0.12), ("random", 0.34), ("greedy", 0.88), ("exact", 1.0))
]


def table(*cells, notes=()):
    return ResultTable(("model", "params"), "satisfaction_micro", "random", 3, [*BASELINES, *cells], list(notes))


def models(**params):
    return table(*(cell(name, size, rate=0.4 + i / 50) for i, (name, size) in enumerate(params.items())))


def data(spec, mark):
    """All rows drawn by one kind of mark."""
    layers = [layer for layer in spec["layer"] if layer["mark"]["type"] == mark]
    return [row for layer in layers for row in layer["data"]["values"]]


def subtitle(spec):
    return " ".join(spec["title"]["subtitle"])


def texts(path):
    return [element.text for element in ElementTree.parse(path).iter() if element.tag.endswith("text")]


def test_each_model_of_known_size_is_a_point_with_its_interval():
    """Points stand at size and rate, bars from the lower to the upper limit."""
    points = data(size_curve(models(small=SIZES[0], large=SIZES[5])), "point")
    assert [p["model"] for p in points] == ["small", "large"]
    assert [p["rate"] for p in points] == pytest.approx([0.4, 0.42])
    assert [p["x"] for p in points] == pytest.approx([SIZES[0], SIZES[5]])
    assert [p["low"] for p in points] == pytest.approx([0.35, 0.37])
    assert [p["high"] for p in points] == pytest.approx([0.45, 0.47])


def test_chance_published_claim_and_baselines_are_drawn_and_named(tmp_path):
    """Bands and lines have their texts in the picture; `exact`, a check of the judge, has no line."""
    spec = size_curve(models(small=SIZES[0], large=SIZES[5]))
    assert [(b["kind"], b["low"], b["high"]) for b in data(spec, "rect")] == [
        ("published", 0.55, 0.6),
        ("chance", pytest.approx(0.33), pytest.approx(0.35)),
    ]
    save(spec, tmp_path / "size.svg")
    found = texts(tmp_path / "size.svg")
    for text in ("small", "large", "published claim 55 to 60 %", "chance (random) 33.0 to 35.0 %"):
        assert text in found
    assert {"blank 12.0 %", "random 34.0 %", "greedy 88.0 %"} < set(found)
    assert not any(text and text.startswith("exact") for text in found)


def test_chance_that_differs_by_model_is_one_band_over_all():
    """The band reaches from the lowest to the highest limit and says that it is of all models."""
    spec = size_curve(table(cell("a", SIZES[0], chance=0.2), cell("b", SIZES[1], chance=0.4)))
    [band] = [row for row in data(spec, "rect") if row["kind"] == "chance"]
    assert (band["low"], band["high"]) == (pytest.approx(0.19), pytest.approx(0.41))
    assert band["text"] == "chance (random, all models) 19.0 to 41.0 %"


def test_nothing_is_left_out_in_silence():
    """Models without size or rate, and the table's notes, stand under the title."""
    unsized, unrated = cell("unsized", None), cell("unrated", SIZES[1], rate=None)
    said = subtitle(size_curve(table(cell("a", SIZES[0]), unsized, unrated, notes=["Rows pool two versions."])))
    assert "Left out, size unknown: unsized." in said
    assert "Left out, no scored answer: unrated." in said
    assert "Rows pool two versions." in said


def test_denominators_and_judge_are_named():
    """How many constraints of how many instances, and the judge's version, stand under the title."""
    assert "judge version 3. Per model: 4,800 constraints of 20 instances." in subtitle(size_curve(models(a=10**9)))


def test_a_missing_chance_level_is_said():
    """Without the baseline's answers there is no band, and a line that says why."""
    spec = size_curve(table(cell("a", SIZES[0], chance=None)))
    assert [band["kind"] for band in data(spec, "rect")] == ["published"]
    assert "No chance level: the baseline random has not answered" in subtitle(spec)


@pytest.mark.parametrize("count", [1, 2, 3, 10])
@pytest.mark.parametrize("rate", [0.0, 0.5, 1.0])
def test_names_of_models_hide_neither_each_other_nor_leave_the_plot(count, rate):
    """Each name has its own place inside the plotting area, also where rates are equal or at a border."""
    names = {f"model-{name}-instruct": size for name, size in itertools.islice(TEN.items(), count)}
    spec = size_curve(table(*(cell(name, size, rate=rate) for name, size in names.items())))
    x = spec["layer"][-1]["encoding"]["x"]["scale"]["domain"]
    low, high = map(math.log10, x)
    boxes = []
    for label in spec["layer"][-1]["data"]["values"]:
        at, wide = WIDTH * (math.log10(label["x"]) - low) / (high - low), 5.5 * len(label["name"])
        left = at - wide * {"left": 0, "center": 0.5, "right": 1}[label["align"]]
        boxes.append((left, left + wide, HEIGHT * (1 - label["y"])))
        assert -1 <= left <= left + wide <= WIDTH + 1
        assert 0 <= boxes[-1][2] <= HEIGHT
    for a, b in itertools.combinations(boxes, 2):
        assert a[1] <= b[0] or b[1] <= a[0] or abs(a[2] - b[2]) >= 11
    assert len(boxes) == count


def test_names_of_levels_do_not_hide_each_other():
    """The texts at the right edge keep their distance, however near their levels are."""
    close = [cell(name, kind="baseline", rate=0.34 + i / 1000) for i, name in enumerate(("blank", "random", "greedy"))]
    shown = ResultTable(("model", "params"), "satisfaction_micro", "random", 1, [*close, cell("a", 10**9)])
    labels = sorted(HEIGHT * row["label"] for row in data(size_curve(shown), "text") if "label" in row)
    assert len(labels) == 5
    assert min(b - a for a, b in itertools.pairwise(labels)) >= 13


def test_models_of_one_size_stand_side_by_side():
    """Equal sizes don't hide each other, the order is kept, and the text says that they were moved."""
    spec = size_curve(models(a=7 * 10**9, b=7 * 10**9, c=SIZES[0]))
    points = data(spec, "point")
    assert [p["model"] for p in points] == ["c", "a", "b"]
    assert points[1]["x"] < 7e9 < points[2]["x"]
    assert {p["params"] for p in points[1:]} == {"7B"}
    assert "side by side" in subtitle(spec)
    assert "side by side" not in subtitle(size_curve(models(a=SIZES[0], b=SIZES[5])))


@pytest.mark.parametrize(("ending", "start"), [("png", b"\x89PNG"), ("svg", b"<svg"), ("html", b"<!DOCTYPE html>")])
def test_files_are_what_their_names_end_with_and_the_same_each_time(tmp_path, ending, start):
    """Each ending gives its format; the same data gives the same bytes."""
    spec = size_curve(models(a=SIZES[0], b=SIZES[1]))
    for name in ("one", "two"):
        save(spec, tmp_path / f"{name}.{ending}")
    one, two = ((tmp_path / f"{name}.{ending}").read_bytes() for name in ("one", "two"))
    assert one == two
    assert one.lstrip()[: len(start)].lower() == start.lower()


def test_pages_need_no_network(tmp_path):
    """The page holds the program that draws it: no script, style or picture is fetched."""
    save(size_curve(models(a=SIZES[0], b=SIZES[1])), tmp_path / "size.html")
    page = (tmp_path / "size.html").read_text()
    assert len(page) > 500_000
    fetched = []

    class Tags(HTMLParser):
        def handle_starttag(self, tag, attributes):
            fetched.extend(value for name, value in attributes if name in ("src", "href"))

    Tags().feed(page)
    assert fetched == []
    assert "cdn." not in page


def test_wrong_files_are_refused(tmp_path):
    """An unknown ending, and a place that can't be written, name the file and the way out; nothing is written."""
    spec = size_curve(models(a=SIZES[0]))
    with pytest.raises(RequestError, match=r"size\.pdf: the name must end with \.png, \.svg or \.html"):
        save(spec, tmp_path / "size.pdf")
    with pytest.raises(RequestError, match=r"nowhere/size\.svg: can't be written .*choose another place"):
        save(spec, tmp_path / "nowhere" / "size.svg")
    assert list(tmp_path.iterdir()) == []


def test_tables_that_cannot_be_drawn_are_refused():
    """A table by other columns, and one without models of known size, say what is needed."""
    with pytest.raises(RequestError, match="by model and params, not by family"):
        size_curve(ResultTable(("family",), "satisfaction_micro", "random", 1, []))
    with pytest.raises(WorkError, match="no model of known size has a scored answer"):
        size_curve(table(cell("unsized", None)))
