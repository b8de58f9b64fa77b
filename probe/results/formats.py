"""Result tables as text: for the terminal, as CSV, JSON and GitHub's markdown."""

import csv
import io
import json
import re
from collections.abc import Sequence
from itertools import zip_longest
from textwrap import wrap
from typing import Any

from probe.errors import RequestError
from probe.results.cells import Cell, ResultTable
from probe.results.statistics import Interval

FORMATS = ("table", "csv", "json", "markdown")
UNDEFINED = "–"
MEASURED = {  # measure -> (heading of its column, what it is)
    "satisfaction_micro": ("satisfied", "share of all constraints that are satisfied"),
    "satisfaction_macro": ("satisfied", "mean over instances of the share of their constraints that are satisfied"),
    "satisfaction_given_wellformed": (
        "satisfied",
        "share of the constraints of well-formed answers that are satisfied",
    ),
    "feasible": ("feasible", "share of answers that satisfy every constraint"),
    "feasible_core": ("feasible core", "share of answers that satisfy every constraint but the target"),
    "optimal": ("optimal", "share of answers that are feasible and optimal"),
}
CAUSES = {"transport_error": "err", "no_reply": "none", "cap_hit": "cap"}
SIZE_COLUMNS = ("params", "active_params")
SIZE_UNITS = ((10**12, "T"), (10**9, "B"), (10**6, "M"), (10**3, "K"))
BASELINE_MARK = "·"
GAP = "  "  # between columns
NARROWEST = 8  # a column of names is not broken further
BOLD, DIM = "1", "2"  # of ANSI's styles


def render(table: ResultTable, format: str = "table", *, width: int = 100, colour: bool = False) -> str:
    """Return a table as text in one of `FORMATS`; only CSV ends with a newline.

    ``width`` and ``colour`` are the terminal's, for "table" alone: intervals stand below their rates where they don't
    fit beside them. Raises RequestError for an unknown format.
    """
    match format:
        case "table":
            return _terminal(table, width, colour)
        case "csv":
            return _csv(table)
        case "json":
            return json.dumps(plain(table), indent=2, ensure_ascii=False, allow_nan=False)
        case "markdown":
            return _markdown(table)
    raise RequestError(f"format: unknown {format!r}; one of {', '.join(FORMATS)}")


def plain(table: ResultTable) -> dict[str, Any]:
    """Return a table as JSON."""
    return {
        "by": list(table.by),
        "measure": table.measure,
        "baseline": table.baseline,
        "judge_version": table.judge_version,
        "rows": [cell.plain() for cell in table.cells],
        "notes": table.notes,
    }


# --- values -----------------------------------------------------------------------------------------------------------


def human_size(params: int) -> str:
    """Return a number of parameters in three digits: 135M, 1.54B, 7B."""
    for unit, name in SIZE_UNITS:
        if params >= unit * 0.9995:  # 999.6M is 1B
            return f"{params / unit:.3g}{name}"
    return str(params)


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


def _with_limits(interval: Interval | None, apart: str = " ") -> str:
    text = percent(None if interval is None else interval.rate)
    return f"{text}{apart}{limits(interval)}" if limits(interval) else text


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


def _unscored(cell: Cell, apart: str) -> str:
    found = [f"{count} {CAUSES[cause]}" for cause, count in cell.unscored.items() if count]
    return apart.join(found) or "0"


# --- text -------------------------------------------------------------------------------------------------------------


def _headings(table: ResultTable) -> list[str]:
    """Return the columns' names after those of ``by``."""
    extra = [name for name in ("feasible", "optimal") if name != table.measure and _whole_trials(table)]
    return ["trials", "inst.", MEASURED[table.measure][0], "chance", "corrected", *extra, "unscored"]


def _whole_trials(table: ResultTable) -> bool:
    """Return whether rows speak of whole answers, not of the constraints of one kind."""
    return not any(name in ("constraint_kind", "constraint_class") for name in table.by)


def _entries(table: ResultTable, cell: Cell, apart: str) -> list[str]:
    """Return a row's texts under `_headings`; ``apart`` parts what belongs together."""
    values = {
        "trials": f"{cell.n_trials:,}",
        "inst.": f"{cell.n_instances:,}",
        "chance": percent(None if cell.chance is None else cell.chance.rate),
        "corrected": _with_limits(cell.corrected, apart),
        "feasible": _rate_only(cell, "feasible"),
        "optimal": _rate_only(cell, "optimal"),
        "unscored": _unscored(cell, ", " if apart == " " else apart),
        MEASURED[table.measure][0]: _with_limits(cell.rates[table.measure], apart),
    }
    return [values[name] for name in _headings(table)]


def _rate_only(cell: Cell, measure: str) -> str:
    rate = cell.rates[measure]
    return percent(None if rate is None else rate.rate)


def _lead(table: ResultTable) -> list[str]:
    """Return what a reader must know before the rows."""
    version = UNDEFINED if table.judge_version is None else table.judge_version
    heading, meaning = MEASURED[table.measure]
    return [
        f"{heading}: {meaning} ({table.measure}), with 95 % intervals clustered by instance.",
        f"chance: the same of the baseline {table.baseline} on the same instances;"
        f" corrected: (rate - chance) / (1 - chance). Judge version {version}.",
    ]


def _tail(table: ResultTable) -> list[str]:
    """Return what a reader must know after the rows."""
    cells = table.cells
    out = []
    if any(sum(cell.unscored.values()) for cell in cells):
        out.append(
            "Unscored trials (err: transport error, none: no reply, cap: cut off at the cap on answer tokens) count"
            " among the trials but in no rate."
        )
    measured = [cell.rates[table.measure] for cell in cells]
    if any(rate is not None and rate.low is None for rate in measured):
        out.append("A rate of fewer than 5 instances has no interval.")
    return [*out, *table.notes]


def _terminal(table: ResultTable, width: int, colour: bool) -> str:
    lead = [line for text in _lead(table) for line in wrap(text, width)]
    if any(cell.kind == "baseline" for cell in table.cells):
        lead.append(f"{BASELINE_MARK} baseline: answers made without a model")
    rows = _beside(table)
    if max(len(line) for _, line in rows) > width:
        rows = _stacked(table, width)
    styled = [_styled(line, style) if colour else line for style, line in rows]
    return "\n".join([*lead, "", *styled, *_closing(table, width)])


def _closing(table: ResultTable, width: int) -> list[str]:
    lines = [line for note in _tail(table) for line in wrap(f"Note: {note}", width, subsequent_indent="  ")]
    return ["", *lines] if lines else []


def _styled(line: str, style: str) -> str:
    """Return a line in one of ANSI's styles."""
    return f"\x1b[{style}m{line}\x1b[0m" if style else line


def _beside(table: ResultTable) -> list[tuple[str, str]]:
    """Return (style, line) of a header and of every row, intervals beside their rates."""
    rows = [[*_names(table, cell), *_entries(table, cell, " ")] for cell in table.cells]
    header = [*table.by, *_headings(table)]
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    lines = [_line(row, widths, len(table.by)) for row in [header, *rows]]
    return _with_rule(table, lines[0], [[line] for line in lines[1:]], widths)


def _stacked(table: ResultTable, width: int) -> list[tuple[str, str]]:
    """Return (style, line) of a header and of every row, intervals below their rates and long names broken."""
    entries = [_entries(table, cell, "\n") for cell in table.cells]
    headings = _headings(table)
    taken = [
        max(len(part) for text in column for part in text.split("\n"))
        for column in zip(headings, *entries, strict=True)
    ]
    names = [_names(table, cell) for cell in table.cells]
    widths = [max(map(len, column)) for column in zip(table.by, *names, strict=True)]
    while widths and sum(widths) + sum(taken) + len(GAP) * (len(widths) + len(taken) - 1) > width:
        widest = max(range(len(widths)), key=lambda i: widths[i])
        if widths[widest] <= NARROWEST:
            break  # the terminal breaks what is left: no column is dropped
        widths[widest] -= 1
    widths += taken

    def lines(texts: Sequence[str]) -> list[str]:
        cut = [_broken(text, widths[i]) for i, text in enumerate(texts[: len(table.by)])]
        cut += [text.split("\n") for text in texts[len(table.by) :]]
        return [_line(parts, widths, len(table.by)) for parts in zip_longest(*cut, fillvalue="")]

    header = lines([*table.by, *headings])
    return _with_rule(table, "\n".join(header), [lines([*n, *e]) for n, e in zip(names, entries, strict=True)], widths)


def _with_rule(
    table: ResultTable, header: str, rows: Sequence[Sequence[str]], widths: Sequence[int]
) -> list[tuple[str, str]]:
    out = [(BOLD, line) for line in header.split("\n")]
    out.append(("", "─" * (sum(widths) + len(GAP) * (len(widths) - 1))))
    for cell, lines in zip(table.cells, rows, strict=True):
        out += [(DIM if cell.kind == "baseline" else "", line) for line in lines]
    return out if rows else [*out, ("", "(no results)")]


def _names(table: ResultTable, cell: Cell) -> list[str]:
    """Return what a row is, baselines marked."""
    names = [_value(name, cell.group[name]) for name in table.by]
    return [f"{BASELINE_MARK} {names[0]}", *names[1:]] if cell.kind == "baseline" else names


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


def _markdown(table: ResultTable) -> str:
    def row(texts: Sequence[str]) -> str:
        return "| " + " | ".join(text.replace("\\", "\\\\").replace("|", "\\|") for text in texts) + " |"

    lines = [row([*table.by, *_headings(table)])]
    lines.append("|" + "---|" * len(table.by) + "---:|" * len(_headings(table)))
    for cell in table.cells:
        texts = [_value(name, cell.group[name]) for name in table.by]
        if cell.kind == "baseline":
            texts[0] = f"*{texts[0]}*"
        lines.append(row([*texts, *_entries(table, cell, " ")]))
    tail = [f"- {note}" for note in _tail(table)]
    if any(cell.kind == "baseline" for cell in table.cells):
        tail.insert(0, "- Rows in italics are baselines: answers made without a model.")
    return "\n".join([*_lead(table), "", *lines, *(["", *tail] if tail else [])])


# --- numbers ----------------------------------------------------------------------------------------------------------


def _csv(table: ResultTable) -> str:
    """Return one line a row and one column a number, in full precision; an undefined number is empty."""
    out = io.StringIO()
    rows = [_flat(table, cell) for cell in table.cells]
    # Without rows there is no telling more than these columns.
    writer = csv.DictWriter(out, list(rows[0]) if rows else list(table.by), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


def _flat(table: ResultTable, cell: Cell) -> dict[str, Any]:
    flat: dict[str, Any] = dict(cell.group)
    flat |= {"kind_of_row": cell.kind, "n_trials": cell.n_trials, "n_instances": cell.n_instances}
    flat |= {f"outcome_{name}": count for name, count in cell.outcomes.items()}
    for name, interval in (cell.rates | {"corrected": cell.corrected, "gap": cell.gap, "chance": cell.chance}).items():
        for part in ("rate", "low", "high", "n", "clusters"):
            flat[name if part == "rate" else f"{name}_{part}"] = None if interval is None else getattr(interval, part)
    return flat | {"measure": table.measure, "baseline": table.baseline, "judge_version": table.judge_version}
