"""Plots: what is drawn where, what is said about it, and files that need nothing else."""

import dataclasses
import itertools
import json
import math
import re
from html.parser import HTMLParser
from xml.etree import ElementTree

import numpy as np
import pytest
from sqlalchemy import insert, update

from probe.asking.judging import OUTCOMES, UNSCORED
from probe.errors import RequestError, WorkError
from probe.results import evidence
from probe.results.cells import Cell, ResultTable
from probe.results.counting import MEASURES
from probe.results.evidence import Arm, Base, Manner, Subject
from probe.results.plots import PLOTS, draw, save
from probe.results.plots.attractors import attractor_shares
from probe.results.plots.kinds import heat_map
from probe.results.plots.outcomes import LOOKS, ledger
from probe.results.plots.size import HEIGHT, WIDTH, size_curve
from probe.results.plots.survival import survival_curves
from probe.results.statistics import Interval
from probe.store import tables as t
from probe.store.sessions import open_store
from solvers.procedure import ATTRACTORS
from tests.results.study import fill

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
    """All rows drawn by one kind of mark, in all panels."""
    panels = spec.get("vconcat") or spec.get("hconcat") or spec.get("concat") or [spec]
    layers = [layer for panel in panels for layer in panel["layer"] if layer["mark"]["type"] == mark]
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
        at, wide = WIDTH * (math.log10(label["x"]) - low) / (high - low), 5.5 * len(label["text"])
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


HOSTILE = "</script><script>alert(1)</script>\"'&<b>"


def test_a_hostile_name_stays_text(tmp_path):
    """In the page a name can't end the script that holds the data; in the SVG it is escaped."""
    spec = size_curve(models(**{HOSTILE: SIZES[0]}))
    for ending in ("svg", "html"):
        save(spec, tmp_path / f"size.{ending}")
        assert "<script>alert" not in (tmp_path / f"size.{ending}").read_text()
    assert "\\u003c/script>" in (tmp_path / "size.html").read_text()
    assert HOSTILE in texts(tmp_path / "size.svg")


def test_another_measure_has_its_own_axis_and_no_published_band():
    """The published claim speaks of satisfied constraints only."""
    spec = size_curve(ResultTable(("model", "params"), "feasible", "random", 1, [cell("a", SIZES[0])]))
    assert [band["kind"] for band in data(spec, "rect")] == ["chance"]
    assert "Share of answers that satisfy every constraint" in subtitle(spec)
    assert spec["title"]["text"] == "Feasible by model size"


# --- kinds ------------------------------------------------------------------------------------------------------------


def part(name, kind, rate, above=0.0, of="endpoint"):
    """A cell of a table by constraint kind; ``above``: its corrected rate, ± 0.1."""
    given = cell(name, kind=of, rate=rate)
    return dataclasses.replace(
        given,
        group={"model": name, "constraint_kind": kind},
        corrected=Interval(above, above - 0.1, above + 0.1, 4800, 20),
    )


def by_kind(*cells):
    return ResultTable(("model", "constraint_kind"), "satisfaction_micro", "random", 1, list(cells))


def test_the_heat_map_shows_each_rate_its_interval_and_how_it_stands_to_chance():
    """A cell says rate, limits, and above or below chance where the corrected rate's interval excludes 0."""
    cells = [part("a", "easy", 0.9, 0.5), part("a", "hard", 0.2, -0.5), part("a", "odd", 0.5, 0.05)]
    spec = heat_map(by_kind(*cells), models(a=SIZES[0]))
    shown = {row["part"]: row for row in data(spec, "text") if "column" in row}
    assert {name: row["text"] for name, row in shown.items()} == {"easy": "90 ▲", "hard": "20 ▼", "odd": "50"}
    assert shown["easy"]["limits"] == "85 – 95"
    assert {row["column"] for row in shown.values()} == {"135M · a"}


def test_the_heat_map_has_chance_as_a_column_and_the_hardest_kind_last():
    """Other baselines stay out; what was not asked is an open cell."""
    cells = [part("random", "hard", 0.1, of="baseline"), part("blank", "hard", 0.0, of="baseline")]
    cells += [part("a", "hard", 0.2), part("a", "easy", 0.9), part("b", "easy", 0.7)]
    spec = heat_map(by_kind(*cells), models(a=SIZES[0], b=None))
    y, x = (spec["layer"][0]["encoding"][name]["sort"] for name in "yx")
    assert y == ["easy", "hard"]
    assert x == ["random (chance)", "135M · a", "b"]
    [hole] = [row for row in data(spec, "text") if row.get("column") == "b" and row.get("part") == "hard"]
    assert hole["text"] == "–"
    assert {row["part"]: row["text"] for row in data(spec, "text") if "column" not in row and "part" in row} == {
        "easy": "4,800",
        "hard": "4,800",
    }


# --- traces -----------------------------------------------------------------------------------------------------------


def arm(name, rates, size="s", family="jacobi", kind="endpoint", mode="trace", params=None, n=1):
    """Twenty instances of one block; ``rates``: measure -> how many of the 20 n counted hold."""
    counts = {}
    for measure, held in rates.items():
        counts[measure] = np.zeros((50, 2), np.int64)
        counts[measure][:20, 0] = n
        counts[measure][: round(held * 20), 1] = n
    subject = Subject(hash(name) % 1000, name, kind, params=params)
    base = Base(family, 1, size, 7, 0)
    manner = Manner("json") if kind == "endpoint" else None
    return Arm(subject, manner, base, "numerics", "fresh", frozenset(), mode, counts)


def lasting(*rates):
    return {f"survives:{k}": rate for k, rate in enumerate(rates, 1)}


def test_survival_has_a_panel_a_size_and_a_curve_a_model():
    """Sizes along the ladder; rates, limits and traces counted are those of the arms; blank is left out."""
    arms = [arm("big", lasting(1, 0.8), params=10**10), arm("tiny", lasting(0.5, 0.25), params=10**8)]
    arms += [arm("tiny", lasting(0.1), size="xs", params=10**8), arm("random", lasting(0, 0), kind="baseline")]
    arms += [arm("blank", lasting(0, 0), kind="baseline"), arm("exact", lasting(1, 1), kind="baseline")]
    spec = survival_curves(arms)
    assert [panel["title"]["text"] for panel in spec["vconcat"]] == ["size xs", "size s"]
    rows = {(row["name"], row["k"]): row for row in data({"layer": spec["vconcat"][1]["layer"]}, "point")}
    assert {key: row["rate"] for key, row in rows.items()} == {
        ("random", 1): 0,
        ("random", 2): 0,
        ("tiny", 1): 0.5,
        ("tiny", 2): 0.25,
        ("big", 1): 1,
        ("big", 2): 0.8,
    }
    assert rows["tiny", 2]["low"] < 0.25 < rows["tiny", 2]["high"]
    assert rows["tiny", 2]["traces"] == 20


def test_a_survival_line_breaks_where_families_have_no_more_iterates():
    """A share of other families is no continuation: it would seem that traces rise from the dead."""
    spec = survival_curves([arm("a", lasting(0.5, 0.1)), arm("a", lasting(0.9, 0.8, 0.8), family="newton")])
    runs = {row["k"]: row["run"] for row in data(spec, "line")}
    assert runs == {1: "jacobi, newton", 2: "jacobi, newton", 3: "newton"}


def test_names_of_curves_do_not_hide_each_other():
    """Fourteen models that end alike: names at the right edge keep their distance within the panel."""
    spec = survival_curves([arm(f"model-{i}", lasting(0.9, 0.5), params=10**9 + i) for i in range(14)])
    [panel] = spec["vconcat"]
    labels = sorted(panel["height"] * row["to"] for row in data(spec, "text"))
    assert len(labels) == 14
    assert min(b - a for a, b in itertools.pairwise(labels)) >= 13.9
    assert 0 <= labels[0] <= labels[-1] <= panel["height"]
    drawn = panel["layer"][0]["encoding"]
    looks = list(zip(*(drawn[name]["scale"]["range"] for name in ("color", "strokeDash")), strict=True))
    assert len({(colour, tuple(dash)) for colour, dash in looks}) == 14


def falls(**shares):
    return {f"attractor:{name}": shares.get(name, 0.0) for name in ATTRACTORS}


def test_attractors_stand_beside_what_wrong_values_without_thought_are():
    """Chance is the baseline's share on the same instances; each share with its denominator."""
    without = arm("random", falls(nice=0.25, none=0.75), kind="baseline", n=5)
    spec = attractor_shares([arm("a", falls(converged=0.5, none=0.5), n=2), without])
    rows = {(row["row"], row["attractor"]): row for row in data(spec, "point")}
    assert rows["a", "converged"]["rate"] == 0.5
    assert rows["a", "converged"]["chance"] == 0
    assert rows["a", "nice"]["chance"] == 0.25
    assert rows["random", "nice"]["chance"] is None
    assert {row["text"] for row in data(spec, "text")} == {"40 of 20 inst.", "100 of 20 inst."}


def test_final_values_stand_beside_what_they_are_of_other_instances():
    """Chance by permutation is drawn where wrong answers were matched with other instances: of final values only."""
    matched = arm("a", {"own:nice": 0.5, "other:nice": 0.3}, mode="final")
    spec = attractor_shares([arm("a", falls(nice=1), mode=mode) for mode in ("final", "trace")], permuted=[matched])
    other = {(row["row"], row["attractor"]): row["other"] for row in data(spec, "point")}
    assert other["a · final", "nice"] == 0.3
    assert {place for place, value in other.items() if value is not None} == {("a · final", "nice")}
    assert "Crosses: chance by permutation" in subtitle(spec)


def test_attractors_of_both_modes_are_told_apart():
    """A final value has no later iterate to be taken for: modes are never pooled."""
    spec = attractor_shares([arm("a", falls(none=1), mode=mode) for mode in ("final", "trace")])
    assert {row["row"] for row in data(spec, "point")} == {"a · final", "a · trace"}
    assert "No chance level: the baseline random wrote no wrong value" in subtitle(spec)


# --- outcomes ---------------------------------------------------------------------------------------------------------


def ended(name, channel, kind="endpoint", **outcomes):
    given = dataclasses.replace(cell(name, kind=kind), group={"model": name, "channel": channel})
    return dataclasses.replace(given, outcomes=dict.fromkeys(OUTCOMES, 0) | outcomes, n_trials=sum(outcomes.values()))


def test_the_ledger_shows_every_outcome_of_everything_asked():
    """Segments fill the bar, best first; unscored ones are in it; baselines have no channel."""
    cells = [
        ended("random", None, "baseline", infeasible=100),
        ended("a", "json", optimal=20, infeasible=70, cap_hit=10),
    ]
    spec = ledger(ResultTable(("model", "channel"), "satisfaction_micro", "random", 1, cells))
    rows = [row for row in data(spec, "bar") if row["row"] == "a · json"]
    assert [(row["outcome"], row["from"], row["to"]) for row in rows] == [
        ("optimal", 0, pytest.approx(0.2)),
        ("infeasible", pytest.approx(0.2), pytest.approx(0.9)),
        ("cap_hit", pytest.approx(0.9), pytest.approx(1)),
    ]
    assert [row["text"] for row in rows] == ["O 20 %", "I 70 %", "C 10 %"]
    assert {row["row"] for row in data(spec, "bar")} == {"random", "a · json"}
    assert any("feasible 50.0 % [45.0, 55.0]" in row["text"] for row in data(spec, "text"))


def lightness(colour):
    """Relative luminance of sRGB, 0 to 1."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_the_ledger_reads_in_grey():
    """Neighbouring outcomes differ in lightness, letters differ from each other and stand out from their segment."""
    assert set(LOOKS) == set(OUTCOMES)
    shades = [lightness(colour) for _, colour, _ in LOOKS.values()]
    assert min(abs(a - b) for a, b in itertools.pairwise(shades)) > 0.1
    assert len({letter for letter, _, _ in LOOKS.values()}) == len(OUTCOMES)
    for _, colour, ink in LOOKS.values():
        dark, light = sorted([lightness(colour), 1.0 if ink == "white" else lightness(ink)])
        assert (light + 0.05) / (dark + 0.05) >= 4.5  # contrast as of WCAG 2


# --- from a database --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """Two batches; the second stands for the canary of a schedule's only run, the twins for perturbed instances."""
    store = open_store(f"sqlite:///{tmp_path_factory.mktemp('plots') / 'probe.sqlite3'}")
    with store.writing() as session:
        fill(session)
        session.execute(update(t.Block).where(t.Block.variant == "renamed").values(variant="perturbed"))
        how = {"cron": "0 2 * * *", "zone": "UTC", "spec": {}, "catch_up": "latest", "overlap": "skip"}
        session.execute(
            insert(t.Schedule).values(id=1, name="nightly", canary_instances=9, created_at=0.0, since=0.0, **how)
        )
        moved = {"moved": True, "drift": {"z": -5.25}, "new_served_model": [HOSTILE], "new_fingerprint": []}
        run = {"due": 86_400.0, "state": "finished", "batch_id": 1, "canary_id": 2}
        session.execute(insert(t.ScheduleRun).values(schedule_id=1, changes={"models": {"small": moved}}, **run))
        session.execute(update(t.Batch).where(t.Batch.id == 2).values(canary=True))
    yield store
    store.dispose()


def drawn(study, name, **how):
    with study.reading() as session:
        return draw(session, name, **how)


def test_novelty_compares_the_same_families_by_size(study):
    """A panel a model, a point a size and variant; the rate equals the table's."""
    spec = drawn(study, "novelty", where={"model": "small,large"})
    assert [panel["title"]["text"] for panel in spec["concat"]] == ["small", "large"]
    [panel, _] = spec["concat"]
    points = data({"layer": panel["layer"]}, "point")
    assert {(row["size"], row["variant"]) for row in points} == set(
        itertools.product(("xs", "s"), ("perturbed", "fresh"))
    )
    assert all(row["low"] < row["rate"] < row["high"] and 0 < row["chance"] < 1 for row in points)
    assert "Families: packing, sweeps." in subtitle(spec)


def test_a_comparison_has_a_row_a_family_and_one_over_all(study):
    """The difference is the first minus the second, with both rates beside it."""
    rows = data(drawn(study, "compare", compare="large,small", batch=1), "point")
    assert [row["row"] for row in rows] == ["packing", "sweeps", "all of these"]
    assert all(row["low"] < row["difference"] < row["high"] for row in rows)
    assert rows[-1]["difference"] > 0
    assert [row["total"] for row in rows] == [False, False, True]


def test_nights_of_a_schedule_show_both_rates_and_its_alarms(study):
    """The canary's and the fresh instances' rate of a night; drift and a new name stand where they were seen."""
    spec = drawn(study, "nights", schedule="nightly", where={"model": "small"})
    assert [(row["kind"], row["when"], row["batch"]) for row in data(spec, "point")] == [
        ("fresh instances", "1970-01-02 00:00", "one"),
        ("canary", "1970-01-02 00:00", "two"),
    ]
    alarms = {row["text"] for row in data(spec, "rule") if "drift" in row}
    assert alarms == {"drift, z -5.2", f"new served model {HOSTILE}"}


def test_nights_without_a_schedule_are_batches(study):
    """Canaries are left out: they belong to their schedule."""
    assert {row["batch"] for row in data(drawn(study, "nights"), "point")} == {"one"}


@pytest.mark.parametrize("name", ["size", "kinds", "outcomes", "novelty", "nights"])
def test_plots_are_drawn_from_a_database(study, tmp_path, name):
    """Each becomes a picture, the same twice, and says what is counted."""
    spec = drawn(study, name)
    save(spec, tmp_path / "plot.svg")
    assert len(texts(tmp_path / "plot.svg")) > 10
    assert json.dumps(drawn(study, name)) == json.dumps(spec)
    assert "inst" in subtitle(spec)


def test_conditions_keep_rows_in_plots_from_tallies(study):
    """`--where` and `--batch` mean what they mean for tables."""
    with study.reading() as session:
        every = evidence.load(session, lambda name: name == "constraints")
        some = evidence.load(session, lambda name: name == "constraints", where={"model": "small", "family": "sweeps"})
        with pytest.raises(RequestError, match="where: unknown 'colour'"):
            evidence.load(session, lambda _: True, where={"colour": "red"})
    assert {(a.subject.name, a.base.family) for a in some if a.subject.kind == "endpoint"} == {("small", "sweeps")}
    assert {a.base.family for a in every} == {"packing", "sweeps"}


@pytest.mark.parametrize(
    ("name", "options", "error", "text"),
    [
        ("dream", {}, RequestError, "plot 'dream': one of size, kinds"),
        ("size", {"schedule": "x"}, RequestError, "--schedule: the plot size does not take it; it takes --batch"),
        ("kinds", {"by": "family"}, RequestError, "--by family: the plot kinds takes one of constraint_kind"),
        ("size", {"measure": "beauty"}, RequestError, "measure: unknown 'beauty'"),
        ("size", {"baseline": "luck"}, RequestError, "baseline: unknown 'luck'"),
        ("nights", {"measure": "beauty"}, RequestError, "measure: unknown 'beauty'"),
        ("nights", {"schedule": "weekly"}, RequestError, "weekly"),
        ("nights", {"batch": 1}, RequestError, "leave --batch and --where batch out"),
        ("compare", {}, RequestError, "give the two models that are compared, as --compare A,B"),
        ("compare", {"compare": "small"}, RequestError, "not two models A,B"),
        ("survival", {}, WorkError, "`probe run --families numerics --modes trace` asks some"),
        ("attractors", {}, WorkError, "`probe run --families numerics --modes final,trace` asks for some"),
        ("novelty", {"where": {"variant": "fresh"}}, WorkError, "`probe run --variants famous,perturbed,fresh` asks"),
        ("outcomes", {"where": {"model": "random"}}, WorkError, "no model has answered anything here"),
        ("kinds", {"where": {"model": "random"}}, WorkError, "no model has a scored answer"),
    ],
)
def test_what_cannot_be_drawn_says_what_to_do(study, name, options, error, text):
    """Wrong options are requests to mend; missing data names the run that makes them."""
    with pytest.raises(error, match=re.escape(text)):
        drawn(study, name, **options)


def test_every_plot_is_told_of(probe):
    """`probe plot --help` names each, and a file of another kind is refused before anything is read."""
    _, out, _ = probe("plot", "--help")
    assert all(name in out for name in PLOTS)
    assert probe("plot", "size", "-o", "size.pdf")[0] == 2
