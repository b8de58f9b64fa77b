"""Result tables as text: what stands where, in which precision, and what is said about it."""

import csv
import io
import json
import re
from dataclasses import replace

import pytest

from probe.asking.judging import OUTCOMES, UNSCORED
from probe.errors import RequestError
from probe.results.cells import Cell, ResultTable
from probe.results.columns import human_size
from probe.results.comparing import SWAPS, Comparison, Contrast
from probe.results.counting import MEASURES
from probe.results.formats import FORMATS, render
from probe.results.statistics import Difference, Interval

RATE = Interval(0.5714285714285714, 0.52, 0.6211, 4200, 20)


def cell(group, kind="endpoint", unscored=(), **more):
    """A cell with plausible numbers, but for those given."""
    causes = dict.fromkeys(UNSCORED, 0) | dict(unscored)
    values = {
        "n_trials": 400,
        "n_instances": 20,
        "outcomes": dict.fromkeys(OUTCOMES, 0) | causes | {"infeasible": 400},
        "rates": dict.fromkeys(MEASURES, RATE) | {"feasible": Interval(0.125, 0.1, 0.15, 400, 20), "optimal": None},
        "chance": Interval(0.342, 0.33, 0.35, 4200, 20),
        "corrected": Interval(-0.0004, -0.123, 0.1, 4200, 20),
        "gap": None,
    }
    return Cell(group, kind, unscored=causes, **values | more)


def table(cells, by=("model",), measure="satisfaction_micro", notes=()):
    return ResultTable(by, measure, "random", 3, list(cells), list(notes))


TWO = table(
    [cell({"model": "random"}, "baseline"), cell({"model": "tiny-135m"}, unscored={"cap_hit": 2, "no_reply": 1})]
)
FAMILIES = ("bin_packing", "gradient_descent", "job_shop")
WIDE = table(
    [cell({"model": "SmolLM2-135M-Instruct", "family": family}) for family in FAMILIES]
    + [cell({"model": "greedy", "family": family}, "baseline") for family in FAMILIES],
    by=("model", "family"),
)


def row_of(text, name):
    return next(line for line in text.splitlines() if line.strip("· |*").startswith(name))


def test_a_row_gives_rate_interval_chance_correction_and_denominators():
    """Percent with one decimal, the limits in brackets, causes of unscored trials counted apart, a dash for nothing."""
    assert re.split(r" {2,}", row_of(render(TWO, width=160), "tiny-135m")) == [
        *("tiny-135m", "400", "20", "4,200", "57.1 % [52.0, 62.1]", "34.2 %", "0.0 % [-12.3, 10.0]"),
        *("12.5 % [10.0, 15.0]", "–", "1 none, 2 cap"),
    ]


def test_the_head_says_what_the_numbers_are():
    """Measure, baseline, level and clustering of intervals, and the judge's version stand above the rows."""
    head = render(TWO, width=140).split("─")[0]
    for words in ("satisfaction_micro", "baseline random", "95 % intervals clustered by instance", "Judge version 3"):
        assert words in head


def test_baselines_look_different():
    """A baseline is marked in every text, and dim where there is colour."""
    assert "\n· random " in render(TWO)
    assert "\x1b[2m· random" in render(TWO, colour=True)
    assert "| *random* |" in render(TWO, "markdown")


def test_without_colour_there_are_no_escapes():
    """What is piped is plain text."""
    assert "\x1b" in render(TWO, colour=True)
    assert "\x1b" not in render(TWO)


@pytest.mark.parametrize("shown", [TWO, WIDE], ids=["by model", "by model and family"])
@pytest.mark.parametrize("width", [100, 140])
def test_tables_fit_their_width_and_lose_nothing(shown, width):
    """At 100 columns no line is longer, and every number and letter of a name is still there."""
    text = render(shown, width=width)
    assert max(map(len, text.splitlines())) <= width
    assert text.count("57.1 %") == text.count("[52.0, 62.1]") == len(shown.cells)
    letters = "".join(text.split())
    for name in {part for c in shown.cells for value in c.group.values() for part in re.split(r"[-_]", value)}:
        assert name in letters


@pytest.mark.parametrize("shown", [TWO, WIDE], ids=["by model", "by model and family"])
def test_at_80_columns_what_stands_beside_the_measure_gives_way(shown):
    """On a narrow terminal the measure keeps its interval, chance and denominators; what is left out is said."""
    text = render(shown, width=80)
    assert max(map(len, text.splitlines())) <= 80
    assert text.count("[52.0, 62.1]") == text.count("34.2 %") == text.count("4,200") == len(shown.cells)
    assert "Too narrow for feasible and optimal" in " ".join(text.split())


def test_the_worst_case_of_unscored_trials_stands_beside_them():
    """Where trials are unscored, the rate if all were wrong and if all were right is shown, and said what it is."""
    cells = [cell({"model": "a"}, unscored={"cap_hit": 2}, worst_case=(0.561, 0.573)), cell({"model": "b"})]
    text = render(table(cells), width=160)
    assert row_of(text, "a").endswith("2 cap  [56.1, 57.3]")
    assert row_of(text, "b").endswith("0")
    assert "Worst case: satisfied if all of them were wrong" in " ".join(text.split())
    assert "worst case" not in render(TWO, width=160)


def contrast(group, p=0.0004, **more):
    """A row of a comparison with plausible numbers."""
    a, b = Interval(0.362, 0.335, 0.39, 2514, 123), Interval(0.653, 0.617, 0.687, 2518, 123)
    difference = Difference(-0.291, -0.34, -0.243, 0.02, 120.0, p, 123)
    values = {"chance": (0.27, 0.27), "test": SWAPS, "left_out": (2, 3), "holm": 0.012, "benjamini_hochberg": 0.008}
    return Contrast(group, (a, b), difference=difference, **values | more)


COMPARED = Comparison(
    "model",
    ("small", "large"),
    ("family",),
    "feasible",
    "random",
    3,
    [contrast({"family": "job_shop"})],
    ["Left out: 5."],
)


def test_a_comparison_gives_both_rates_the_difference_and_raw_and_adjusted_p():
    """Rates in percent, the difference in points with its sign, small p as such, one chance level if both have it."""
    assert re.split(r" {2,}", row_of(render(COMPARED, width=160), "job_shop")) == [
        *("job_shop", "123", "36.2 % [33.5, 39.0]", "65.3 % [61.7, 68.7]", "27.0 %", "-29.1 [-34.0, -24.3]"),
        *("<0.001", "0.012", "0.008"),
    ]
    two = replace(COMPARED, rows=[contrast({"family": "job_shop"}, chance=(0.27, 0.31))])
    assert "27.0 %, 31.0 %" in render(two, width=160)


@pytest.mark.parametrize("width", [80, 120, 200])
def test_a_comparison_fits_its_width_and_says_what_is_compared(width):
    """Head and notes name both sides, what differs, the test and the adjustments."""
    text = render(COMPARED, width=width)
    words = " ".join(text.split())
    assert max(map(len, text.splitlines())) <= width
    for part in (
        "small against large",
        "asked the same but for model",
        "swapping",
        "Holm",
        "Benjamini-Hochberg",
        "Left out: 5.",
    ):
        assert part in words


def test_a_comparison_is_the_same_in_every_format():
    """JSON nests, CSV has a column a number, Markdown is a table."""
    found = json.loads(render(COMPARED, "json"))
    assert found["compare"] == {"column": "model", "a": "small", "b": "large"}
    assert found["rows"] == [json.loads(json.dumps(COMPARED.rows[0].plain()))]
    [row] = csv.DictReader(io.StringIO(render(COMPARED, "csv")))
    assert (float(row["a"]), float(row["b_low"]), float(row["difference"])) == (0.362, 0.617, -0.291)
    assert (float(row["p"]), float(row["holm"]), row["only_a"], row["side_b"]) == (0.0004, 0.012, "2", "large")
    assert "| family | inst. | small | large | chance | difference | p | Holm | BH |" in render(COMPARED, "markdown")


def test_long_names_break_after_their_separators():
    """A model's name is broken where a reader would break it."""
    lines = [line.split("  ")[0].strip() for line in render(WIDE, width=100).splitlines()]
    at = lines.index("SmolLM2-")
    assert lines[at : at + 3] == ["SmolLM2-", "135M-", "Instruct"]


def test_a_rate_of_few_instances_has_no_interval_and_says_so():
    """Below 5 clusters the rate stands alone, with a note."""
    few = Interval(0.5, None, None, 30, 3)
    text = render(table([cell({"model": "a"}, rates=dict.fromkeys(MEASURES, few))]), width=140)
    assert re.search(r"50\.0 %  ", text)
    assert "fewer than 5 instances has no interval" in text
    assert "no interval" not in render(TWO)


def test_unscored_trials_are_explained_where_there_are_some():
    """The note on unscored trials appears with the first of them."""
    assert "no rate" in " ".join(render(TWO).split())
    assert "Unscored" not in render(table([cell({"model": "a"})]))


@pytest.mark.parametrize("format_", ["table", "markdown"])
def test_notes_stand_below(format_):
    """What would mislead a reader is said below the rows."""
    text = render(table([cell({"model": "a"})], notes=["Rows pool 2 models."]), format_)
    assert text.splitlines()[-1].endswith("Rows pool 2 models.")


@pytest.mark.parametrize(
    ("measure", "headings"),
    [
        ("satisfaction_macro", ["satisfied (macro)", "chance", "corrected", "feasible", "optimal"]),
        ("feasible", ["feasible", "chance", "corrected", "optimal"]),
        ("feasible_core", ["feasible core", "chance", "corrected", "feasible", "optimal"]),
    ],
)
def test_the_chosen_measure_has_its_column(measure, headings):
    """The measure with its interval comes first and is not repeated."""
    text = render(table([cell({"model": "a"})], measure=measure), "markdown")
    [heading] = [line for line in text.splitlines() if line.startswith("| model")]
    assert heading == f"| model | trials | inst. | n | {' | '.join(headings)} | unscored |"


def test_parts_of_constraints_have_no_columns_of_whole_answers():
    """By constraint kind, feasible and optimal make no sense and aren't shown."""
    text = render(table([cell({"constraint_kind": "capacity"})], by=("constraint_kind",)), width=140)
    assert "feasible" not in text
    assert "optimal" not in text


@pytest.mark.parametrize(
    ("params", "shown"),
    [
        *((134_515_008, "135M"), (7_000_000_000, "7B"), (1_543_714_304, "1.54B"), (999_600_000, "1B")),
        *((2 * 10**12, "2T"), (500_000, "500K"), (12, "12")),
    ],
)
def test_sizes_are_written_as_people_write_them(params, shown):
    """Three digits and a unit."""
    assert human_size(params) == shown
    text = render(table([cell({"params": params})], by=("params",)), width=140)
    assert row_of(text, shown).split()[0] == shown


def test_values_of_columns_are_readable():
    """Flags are yes or no, no modules is none, what is not given is a dash."""
    by = ("reasoning", "modules", "effort")
    assert row_of(render(table([cell(dict(zip(by, (True, "", None), strict=True)))], by=by), width=140), "yes").split()[
        :3
    ] == ["yes", "none", "–"]


def test_markdown_is_one_table_with_as_many_cells_in_each_line():
    """GitHub needs equal cells in every line; a bar in a name is escaped."""
    text = render(table([cell({"model": "a|b"}), cell({"model": "c"})]), "markdown")
    lines = [line for line in text.splitlines() if line.startswith("|")]
    assert len(lines) == 4
    assert len({len(re.findall(r"(?<!\\)\|", line)) for line in lines}) == 1
    assert set(lines[1]) == set("|-:")


def test_csv_has_one_column_a_number_in_full_precision():
    """Numbers are read back exactly; what is undefined is empty; nothing is in percent."""
    rows = list(csv.DictReader(io.StringIO(render(TWO, "csv"))))
    assert [row["model"] for row in rows] == ["random", "tiny-135m"]
    row = rows[1]
    assert float(row["satisfaction_micro"]) == RATE.rate
    assert (float(row["feasible_low"]), int(row["feasible_n"])) == (0.1, 400)
    assert (row["optimal"], row["optimal_low"], row["gap"]) == ("", "", "")
    assert (row["outcome_cap_hit"], row["kind_of_row"], row["baseline"], row["judge_version"]) == (
        *("2", "endpoint", "random"),
        "3",
    )
    assert "%" not in render(TWO, "csv")


def test_json_is_one_object_with_the_table_around_its_rows():
    """The keys are fixed, the rows those of the cells; undefined is null."""
    found = json.loads(render(table(TWO.cells, notes=["Something."]), "json"))
    assert list(found) == ["by", "measure", "baseline", "judge_version", "rows", "notes"]
    assert found["rows"] == [json.loads(json.dumps(c.plain())) for c in TWO.cells]
    assert found["rows"][0]["optimal"] is None
    assert (found["by"], found["notes"]) == (["model"], ["Something."])


@pytest.mark.parametrize("format_", FORMATS)
def test_an_empty_table_renders(format_):
    """Without cells every format still gives something valid."""
    text = render(table([]), format_)
    assert text
    if format_ == "json":
        assert json.loads(text)["rows"] == []
    if format_ == "table":
        assert "(no results)" in text


def test_an_unknown_format_is_refused():
    """The error names the formats there are."""
    with pytest.raises(RequestError, match="format: unknown 'xml'; one of table, csv, json, markdown"):
        render(TWO, "xml")
