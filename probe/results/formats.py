"""Result tables as text: for the terminal, as CSV, JSON and GitHub's markdown."""

import csv
import io
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from textwrap import wrap
from typing import Any

from probe.errors import RequestError
from probe.results.cells import Cell, ResultTable
from probe.results.columns import SPLITS, human_size
from probe.results.comparing import MCNEMAR, SWAPS, Comparison, Contrast
from probe.results.counting import ANSWERS, MEASURES
from probe.results.statistics import FEWEST_CLUSTERS, Difference, Interval

FORMATS = ("table", "csv", "json", "markdown")
UNDEFINED = "–"
MEASURED = {  # measure -> (heading of its column, what it is)
    "satisfaction_micro": ("satisfied", "share of all constraints that are satisfied"),
    "satisfaction_macro": (
        "satisfied (macro)",
        "mean over instances of the share of their constraints that are satisfied",
    ),
    "satisfaction_given_wellformed": (
        "satisfied (well-formed)",
        "share of the constraints of well-formed answers that are satisfied",
    ),
    "feasible": ("feasible", "share of answers that satisfy every constraint"),
    "feasible_core": ("feasible core", "share of answers that satisfy every constraint but the target"),
    "optimal": ("optimal", "share of answers that are feasible and optimal"),
}
COUNTED = {  # what the denominator of a measure counts
    "satisfaction_micro": "constraints",
    "satisfaction_macro": "instances",
    "satisfaction_given_wellformed": "constraints",
} | dict.fromkeys(ANSWERS, "answers")
BESIDE = ("feasible", "optimal")  # rates shown beside the measure
CAUSES = {"transport_error": "err", "no_reply": "none", "cap_hit": "cap"}
SIZE_COLUMNS = ("params", "active_params")
TESTS = {SWAPS: "paired test by swapping the sides of whole instances", MCNEMAR: "McNemar's mid-p"}
RATE_PARTS = ("rate", "low", "high", "n", "clusters")
RATES = (*MEASURES, "corrected", "gap", "chance", "over_families", "a", "b")
BASELINE_MARK = "·"
GAP = "  "  # between columns
LONGEST_HEADING = 9  # is broken only beyond, and beyond what stands below it
NARROWEST = 8  # a column of names is not broken further
BOLD, DIM = "1", "2"  # of ANSI's styles


def render(table: ResultTable | Comparison, format: str = "table", *, width: int = 100, colour: bool = False) -> str:
    """Return a table as text in one of `FORMATS`; only CSV ends with a newline.

    ``width`` and ``colour`` are the terminal's, for "table" alone: intervals stand below their rates where they don't
    fit beside them. Raises RequestError for an unknown format.
    """
    match format:
        case "table":
            return _terminal(grid(table), width, colour)
        case "csv":
            return _csv(table)
        case "json":
            return json.dumps(plain(table), indent=2, ensure_ascii=False, allow_nan=False)
        case "markdown":
            return _markdown(grid(table))
    raise RequestError(f"format: unknown {format!r}; one of {', '.join(FORMATS)}")


def plain(table: ResultTable | Comparison) -> dict[str, Any]:
    """Return a table as JSON."""
    rows: Sequence[Cell | Contrast] = table.cells if isinstance(table, ResultTable) else table.rows
    compared = (
        {}
        if isinstance(table, ResultTable)
        else {"compare": {"column": table.column, "a": table.sides[0], "b": table.sides[1]}}
    )
    return {
        **compared,
        "by": list(table.by),
        "measure": table.measure,
        "baseline": table.baseline,
        "judge_version": table.judge_version,
        "rows": [row.plain() for row in rows],
        "notes": table.notes,
    }


def grid(table: ResultTable | Comparison) -> "Grid":
    """Return what is printed of a table."""
    return _grid_of_cells(table) if isinstance(table, ResultTable) else _grid_of_contrasts(table)


# --- values -----------------------------------------------------------------------------------------------------------


def percent(rate: float | None) -> str:
    """Return a rate in percent with one decimal; a dash where it is undefined."""
    return UNDEFINED if rate is None else f"{_rounded(rate)} %"


def limits(interval: Interval | None) -> str:
    """Return an interval's limits in percent, empty where it has none."""
    if interval is None or interval.low is None or interval.high is None:
        return ""
    return f"[{_rounded(interval.low)}, {_rounded(interval.high)}]"


def _rounded(share: float) -> str:
    return f"{round(100 * share, 1) + 0.0:.1f}"  # + 0.0: no "-0.0"


def _with_limits(interval: Interval | None) -> tuple[str, ...]:
    text = percent(None if interval is None else interval.rate)
    return (text, limits(interval)) if limits(interval) else (text,)


def _worst(cell: Cell) -> str:
    return "" if cell.worst_case is None else f"[{', '.join(map(_rounded, cell.worst_case))}]"


def points(found: Difference) -> tuple[str, ...]:
    """Return a difference of rates in points with its limits."""
    text = f"{100 * found.difference:+.1f}"
    if found.low is None or found.high is None:
        return (text,)
    return text, f"[{_rounded(found.low)}, {_rounded(found.high)}]"


def shown_p(value: float) -> str:
    """Return a p value in three decimals."""
    return "<0.001" if value < 0.001 else f"{value:.3f}"


def _both(rates: Sequence[float | None]) -> tuple[str, ...]:
    """Return two rates, one where they are the same."""
    first, second = map(percent, rates)
    return (first,) if first == second else (f"{first},", second)


def _value(name: str, value: Any) -> str:
    if value is None:
        return UNDEFINED
    if isinstance(value, bool):
        return "yes" if value else "no"
    if name in SIZE_COLUMNS:
        return human_size(value)
    if name == "modules" and value == "":
        return "none"
    return str(value)


def _unscored(cell: Cell) -> tuple[str, ...]:
    found = [f"{count} {CAUSES[cause]}" for cause, count in cell.unscored.items() if count]
    return (*(f"{text}," for text in found[:-1]), found[-1]) if found else ("0",)


# --- text -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Shown:
    """A column of numbers: its heading, and its texts by row, each in parts that stand below one another where the
    terminal is narrow.

    ``under``: there the column stands below the one before it. ``extra``: there it is left out first.
    """

    heading: str
    texts: Sequence[tuple[str, ...]]
    under: bool = False
    extra: bool = False


@dataclass(frozen=True)
class Grid:
    """What is printed: text before, names at the left of each row, columns of numbers, text after."""

    lead: Sequence[str]
    by: Sequence[str]
    names: Sequence[Sequence[str]]
    baselines: Sequence[bool]  # by row
    columns: Sequence[Shown]
    notes: Sequence[str]


def _grid_of_cells(table: ResultTable) -> Grid:
    cells, measure = table.cells, table.measure
    version = UNDEFINED if table.judge_version is None else table.judge_version
    heading, meaning = MEASURED[measure]
    rates = [cell.rates[measure] for cell in cells]
    columns = [
        Shown("trials", [(f"{cell.n_trials:,}",) for cell in cells]),
        Shown("inst.", [(f"{cell.n_instances:,}",) for cell in cells], under=True),
        Shown("n", [(UNDEFINED if rate is None else f"{rate.n:,}",) for rate in rates], under=True),
        Shown(heading, [_with_limits(rate) for rate in rates]),
        Shown("chance", [(percent(None if cell.chance is None else cell.chance.rate),) for cell in cells]),
        Shown("corrected", [_with_limits(cell.corrected) for cell in cells]),
    ]
    if not any(name in SPLITS for name in table.by):  # else rows don't speak of whole answers
        for name in BESIDE:
            if name != measure and all(name in cell.rates for cell in cells):
                columns.append(Shown(name, [_with_limits(cell.rates[name]) for cell in cells], extra=True))
    columns.append(Shown("unscored", [_unscored(cell) for cell in cells]))
    if any(cell.worst_case for cell in cells):
        columns.append(Shown("worst case", [(_worst(cell),) for cell in cells], under=True))
    lead = [
        f"{heading}: {meaning} ({measure}), with 95 % intervals clustered by instance; n: how many {COUNTED[measure]}.",
        f"chance: the same of the baseline {table.baseline} on the same instances;"
        f" corrected: (rate - chance) / (1 - chance). Judge version {version}.",
    ]
    notes = []
    if any(sum(cell.unscored.values()) for cell in cells):
        notes.append(
            "Unscored trials (err: transport error, none: no reply, cap: cut off at the cap on answer tokens) count"
            f" among the trials but in no rate. Worst case: {heading} if all of them were wrong, and if all were right."
        )
    if any(rate is not None and rate.low is None for rate in rates):
        notes.append("A rate of fewer than 5 instances has no interval.")
    names = [[_value(name, cell.group[name]) for name in table.by] for cell in cells]
    return Grid(lead, table.by, names, [cell.kind == "baseline" for cell in cells], columns, [*notes, *table.notes])


def _grid_of_contrasts(found: Comparison) -> Grid:
    (a, b), rows = found.sides, found.rows
    version = UNDEFINED if found.judge_version is None else found.judge_version
    meaning = MEASURED[found.measure][1]
    columns = [
        Shown("inst.", [(f"{row.difference.clusters:,}",) for row in rows]),
        Shown(a, [_with_limits(row.sides[0]) for row in rows]),
        Shown(b, [_with_limits(row.sides[1]) for row in rows]),
        Shown("chance", [_both(row.chance) for row in rows]),
        Shown("difference", [points(row.difference) for row in rows]),
        Shown("p", [(shown_p(row.difference.p),) for row in rows]),
        Shown("Holm", [(shown_p(row.holm),) for row in rows], under=True),
        Shown("BH", [(shown_p(row.benjamini_hochberg),) for row in rows], under=True),
    ]
    tests = " and ".join(sorted({TESTS[row.test] for row in rows}))
    lead = [
        f"{a} against {b}: {meaning} ({found.measure}), on the same base instances, asked the same but for"
        f" {found.column}.",
        f"difference: {a} minus {b} in points, with 95 % intervals clustered by instance; p: {tests}; Holm and BH"
        " (Benjamini-Hochberg): p adjusted over the rows.",
        f"chance: the same of the baseline {found.baseline} on the same instances. Judge version {version}.",
    ]
    names = [[_value(name, row.group[name]) for name in found.by] for row in rows]
    few = (
        ["A difference of fewer than 5 instances has no interval."]
        if any(row.difference.clusters < FEWEST_CLUSTERS for row in rows)
        else []
    )
    return Grid(lead, found.by, names, [False] * len(rows), columns, [*few, *found.notes])


def _terminal(grid: Grid, width: int, colour: bool) -> str:
    lead = [line for text in grid.lead for line in wrap(text, width)]
    if any(grid.baselines):
        lead.append(f"{BASELINE_MARK} baseline: answers made without a model")
    names = [
        [f"{BASELINE_MARK} {of[0]}", *of[1:]] if b else of for of, b in zip(grid.names, grid.baselines, strict=True)
    ]
    marked, notes = replace(grid, names=names), list(grid.notes)
    rows = _beside(marked)
    if _width(rows) > width:
        rows = _stacked(marked, width)
    if _width(rows) > width and (left_out := [column.heading for column in grid.columns if column.extra]):
        rows = _stacked(replace(marked, columns=[column for column in grid.columns if not column.extra]), width)
        notes.append(f"Too narrow for {' and '.join(left_out)}: use --measure, --format or a wider terminal.")
    styled = [_styled(line, style) if colour else line for style, line in rows]
    lines = [line for note in notes for line in wrap(f"Note: {note}", width, subsequent_indent="  ")]
    return "\n".join([*lead, "", *styled, *(["", *lines] if lines else [])])


def _width(rows: Sequence[tuple[str, str]]) -> int:
    return max(len(line) for _, line in rows)


def _styled(line: str, style: str) -> str:
    """Return a line in one of ANSI's styles."""
    return f"\x1b[{style}m{line}\x1b[0m" if style else line


def _beside(grid: Grid) -> list[tuple[str, str]]:
    """Return (style, line) of a header and of every row, intervals beside their rates."""
    header = [*grid.by, *(column.heading for column in grid.columns)]
    rows = [[*names, *(" ".join(column.texts[i]) for column in grid.columns)] for i, names in enumerate(grid.names)]
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    lines = [[_line(row, widths, len(grid.by))] for row in [header, *rows]]
    return _with_rule(grid, lines[0], lines[1:], widths)


def _stacked(grid: Grid, width: int) -> list[tuple[str, str]]:
    """Return (style, line) of a header and of every row, intervals below their rates and long names broken."""
    headings: list[list[str]] = []
    texts: list[list[list[str]]] = []  # by column and row
    for column in grid.columns:
        parts = [list(text) for text in column.texts]
        if column.under:
            headings[-1].append(column.heading)
            texts[-1] = [[*above, *below] for above, below in zip(texts[-1], parts, strict=True)]
        else:
            headings.append(_broken(column.heading, max([LONGEST_HEADING, *(len(p) for t in parts for p in t)])))
            texts.append(parts)
    taken = [
        max(len(part) for text in [heading, *column] for part in text)
        for heading, column in zip(headings, texts, strict=True)
    ]
    widths = [max(map(len, column)) for column in zip(grid.by, *grid.names, strict=True)] if grid.by else []
    while widths and sum(widths) + sum(taken) + len(GAP) * (len(widths) + len(taken) - 1) > width:
        widest = max(range(len(widths)), key=lambda i: widths[i])
        if widths[widest] <= NARROWEST:
            break  # the terminal breaks what is left
        widths[widest] -= 1
    widths += taken

    def lines(names: Sequence[str], numbers: Sequence[Sequence[str]]) -> list[str]:
        cut = [_broken(name, w) for name, w in zip(names, widths, strict=False)]
        return [_line(parts, widths, len(grid.by)) for parts in zip_longest(*cut, *numbers, fillvalue="")]

    rows = [lines(names, [column[i] for column in texts]) for i, names in enumerate(grid.names)]
    return _with_rule(grid, lines(grid.by, headings), rows, widths)


def _with_rule(
    grid: Grid, header: Sequence[str], rows: Sequence[Sequence[str]], widths: Sequence[int]
) -> list[tuple[str, str]]:
    out = [(BOLD, line) for line in header]
    out.append(("", "─" * (sum(widths) + len(GAP) * (len(widths) - 1))))
    for baseline, lines in zip(grid.baselines, rows, strict=True):
        out += [(DIM if baseline else "", line) for line in lines]
    return out if rows else [*out, ("", "(no results)")]


def _line(texts: Sequence[str], widths: Sequence[int], left: int) -> str:
    """Return texts in columns, the first ``left`` of them flush left."""
    pairs = enumerate(zip(texts, widths, strict=True))
    return GAP.join(text.ljust(w) if i < left else text.rjust(w) for i, (text, w) in pairs).rstrip()


def _broken(text: str, width: int) -> list[str]:
    """Return a name in lines of at most ``width``, broken after its separators where it has some."""
    lines = [""]
    for piece in re.findall(r"[^-_/.:@+ ]*[-_/.:@+ ]|[^-_/.:@+ ]+", text):
        if len(lines[-1]) + len(piece) > width and lines[-1]:
            lines.append("")
        lines[-1] += piece
        while len(lines[-1]) > width:
            lines[-1:] = [lines[-1][:width], lines[-1][width:]]
    return [line.rstrip() for line in lines]


def _markdown(grid: Grid) -> str:
    def row(texts: Sequence[str]) -> str:
        return "| " + " | ".join(text.replace("\\", "\\\\").replace("|", "\\|") for text in texts) + " |"

    lines = [row([*grid.by, *(column.heading for column in grid.columns)])]
    lines.append("|" + "---|" * len(grid.by) + "---:|" * len(grid.columns))
    for i, (names, baseline) in enumerate(zip(grid.names, grid.baselines, strict=True)):
        first = [f"*{names[0]}*", *names[1:]] if baseline else names
        lines.append(row([*first, *(" ".join(column.texts[i]) for column in grid.columns)]))
    tail = [f"- {note}" for note in grid.notes]
    if any(grid.baselines):
        tail.insert(0, "- Rows in italics are baselines: answers made without a model.")
    return "\n".join([*grid.lead, "", *lines, *(["", *tail] if tail else [])])


# --- numbers ----------------------------------------------------------------------------------------------------------


def _csv(table: ResultTable | Comparison) -> str:
    """Return one line a row and one column a number, in full precision; an undefined number is empty."""
    out = io.StringIO()
    rows = flat(table)
    # Without rows there is no telling more than these columns.
    names = list(dict.fromkeys(name for row in rows for name in row)) or list(table.by)
    writer = csv.DictWriter(out, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


def flat(table: ResultTable | Comparison) -> list[dict[str, Any]]:
    """Return the rows of a table as plain values: a rate under its own name, its limits and denominators behind it."""
    about = {"measure": table.measure, "baseline": table.baseline, "judge_version": table.judge_version}
    if isinstance(table, Comparison):
        about |= {"compare": table.column, "side_a": table.sides[0], "side_b": table.sides[1]}
    return [_flat(row, table.by) | about for row in plain(table)["rows"]]


def _flat(row: dict[str, Any], by: Sequence[str]) -> dict[str, Any]:
    """Return a row of JSON as columns: ``feasible``, ``feasible_low`` … of a rate, ``outcome_X`` of the counts."""
    flat: dict[str, Any] = {}
    for name, value in row.items():
        if name in RATES and name not in by:
            parts = value or {}
            keys = dict.fromkeys([*RATE_PARTS, *parts])
            flat |= {name if key == "rate" else f"{name}_{key}": parts.get(key) for key in keys}
        elif name == "worst_case":
            flat |= {f"worst_case_{key}": (value or {}).get(key) for key in ("wrong", "right")}
        elif name == "outcomes":
            flat |= {f"outcome_{key}": count for key, count in value.items()}
        elif isinstance(value, dict) and name != "unscored":  # which the outcomes hold too
            flat |= {key if key in (name, *("only_a", "only_b")) else f"{name}_{key}": v for key, v in value.items()}
        elif name != "unscored":
            flat[name] = value
    return flat
