"""Findings as text for the terminal, as markdown and as JSON."""

import json
from collections.abc import Sequence
from textwrap import wrap
from typing import Any

from probe.errors import RequestError
from probe.results.columns import human_size
from probe.results.findings.deciding import RULES_VERSION, Estimate, Finding, Part
from probe.results.formats import UNDEFINED

FORMATS = ("table", "json", "markdown")
HEADINGS = ("claim", "", "verdict", "effect", "models", "instances")
INDENT = 12  # of texts beside their names


def render(found: Sequence[Finding], format: str = "table", *, width: int = 100, parts: bool = False) -> str:
    """Return findings as text in one of `FORMATS`. Raises RequestError for an unknown one.

    ``parts``: with their tables of parts, which the other formats have anyway; ``width``: the terminal's.
    """
    match format:
        case "table":
            return _terminal(found, width, parts)
        case "json":
            return json.dumps(plain(found), indent=2, ensure_ascii=False, allow_nan=False)
        case "markdown":
            return _markdown(found)
    raise RequestError(f"--format {format!r}: one of {', '.join(FORMATS)}")


def plain(found: Sequence[Finding]) -> dict[str, Any]:
    """Return findings as JSON: shares and differences of shares as numbers from -1 to 1."""
    return {"rules_version": RULES_VERSION, "findings": [_plain(one) for one in found]}


def _plain(one: Finding) -> dict[str, Any]:
    effect = one.effect
    return {
        "claim": one.claim.number,
        "title": one.claim.title,
        "published": one.claim.published,
        "source": one.claim.source,
        "verdict": one.verdict,
        "reason": one.reason,
        "what": effect.what if effect else None,
        "effect": effect.value if effect else None,
        "low": effect.low if effect else None,
        "high": effect.high if effect else None,
        "unit": effect.unit if effect else None,
        "n": one.instances,
        "models": one.models,
        "p": one.p,
        "p_holm": one.p_holm,
        "test": one.test,
        "estimates": [_numbers(e) for e in one.estimates],
        "baselines": [_numbers(e) for e in one.baselines],
        "excluded": [{"what": e.what, "why": e.why} for e in one.excluded],
        "parts": [_plain_part(part) for part in filled(one)],
        "rule": {"supported": one.claim.supported, "refuted": one.claim.refuted, "needs": one.claim.needs},
        "decides": one.more_data,
        "plan": one.plan,
        "rows": one.rows,
    }


def _numbers(one: Estimate) -> dict[str, Any]:
    shown = ("what", "value", "low", "high", "unit", "p", "margin", "p_within", "p_beyond")
    return {name: getattr(one, name) for name in shown}


def _plain_part(part: Part) -> dict[str, Any]:
    rows = [[_numbers(v) if isinstance(v, Estimate) else v for v in row] for row in part.rows]
    return {"title": part.title, "columns": list(part.columns), "rows": rows}


# --- values -----------------------------------------------------------------------------------------------------------


def number(one: Estimate | None) -> str:
    """Return an estimate with its interval: shares in percent, differences in points."""
    if one is None:
        return UNDEFINED
    if one.unit.endswith("share"):
        value, unit = _percent(one.value), " %"
        limits = [] if one.low is None or one.high is None else [_percent(one.low), _percent(one.high)]
    elif one.unit.startswith("difference"):
        value, unit = _points(one.value), f" points{one.unit.removeprefix('difference')}"
        limits = [] if one.low is None or one.high is None else [_points(one.low), _points(one.high)]
    else:
        value, unit = f"{one.value:.3g}", "" if one.unit == "number" else f" {one.unit}"
        limits = [] if one.low is None or one.high is None else [f"{one.low:.3g}", f"{one.high:.3g}"]
    return f"{value}{unit}" + (f" [{', '.join(limits)}]" if limits else "")


def _percent(share: float) -> str:
    return f"{round(100 * share, 1) + 0.0:.1f}"


def _points(share: float) -> str:
    return f"{round(100 * share, 1) + 0.0:+.1f}"


def _tests(one: Estimate) -> str:
    """Return the p values that an estimate has."""
    out = []
    if one.p is not None and not one.unit.endswith("share"):
        out.append(f"p for 0 {_p(one.p)}")
    if one.margin is not None and one.p_within is not None:
        around = f"{100 * one.centre:.1f} ± " if one.centre else "±"
        out.append(f"p of TOST inside {around}{100 * one.margin:g} points {_p(one.p_within)}")
    return ", ".join(out)


def _p(value: float) -> str:
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def shown(column: str, value: Any) -> str:
    """Return a value of a part's column as text."""
    match value:
        case None:
            return UNDEFINED
        case Estimate():
            return number(value)
        case int() if column == "parameters":
            return human_size(value)
        case float():
            return f"{value:.3g}"
    return str(value)


# --- text -------------------------------------------------------------------------------------------------------------


def facts(one: Finding) -> list[tuple[str, str]]:
    """Return a finding as (name, text), the verdict and what it rests on first."""
    claim, out = one.claim, [("why", f"{one.reason}.")]
    if one.effect is not None:
        out.append(("effect", _described(one.effect)))
    if one.p is not None:
        adjusted = "" if one.p_holm is None else f", {_p(one.p_holm)} after Holm over all claims"
        out.append(("test", f"{one.test}: p {_p(one.p)}{adjusted}"))
    out += [("also", _described(e)) for e in one.estimates]
    out.append(("data", f"{one.models} models, {one.instances} instances"))
    if one.baselines:
        scores = "; ".join(f"{e.what} {number(e)}" for e in one.baselines)
        out.append(("baselines", f"on the same instances, without thought: {scores}"))
    by_reason: dict[str, list[str]] = {}
    for e in one.excluded:
        by_reason.setdefault(e.why, []).append(e.what)
    out += [("excluded", f"{', '.join(what)}: {why}") for why, what in by_reason.items()]
    out += [("claimed", f"{claim.published} ({claim.source})"), ("supported", f"if {claim.supported}")]
    out += [("refuted", f"if {claim.refuted}"), ("needs", claim.needs)]
    if one.more_data is not None:
        out.append(("more data", one.more_data))
    if one.plan is not None:
        out.append(("to decide", f"probe findings --plan {claim.number} > spec.toml; probe run --spec spec.toml"))
    return [*out, ("rows", one.rows)]


def _described(one: Estimate) -> str:
    tests = _tests(one)
    return f"{one.what}: {number(one)}" + (f" ({tests})" if tests else "")


def summary(found: Sequence[Finding]) -> list[tuple[str, ...]]:
    """Return a row a finding under `HEADINGS`."""
    return [
        (str(f.claim.number), f.claim.title, f.verdict, number(f.effect), str(f.models), str(f.instances))
        for f in found
    ]


LEAD = (
    f"Rules of version {RULES_VERSION}, fixed before data; intervals are 95 %. The unit of every statement about models"
    " is the model. Undecided: the data show neither."
)


def _terminal(found: Sequence[Finding], width: int, parts: bool) -> str:
    lines = [*wrap(LEAD, width), "", *_columns(HEADINGS, summary(found))]
    for one in found:
        lines += ["", f"{one.claim.number}. {one.claim.title}: {one.verdict.upper()}"]
        for name, text in facts(one):
            beside = wrap(text, max(20, width - INDENT), break_long_words=False, break_on_hyphens=False)
            lines += [f"{name if not i else '':<{INDENT - 2}}  {line}".rstrip() for i, line in enumerate(beside)]
        for part in filled(one) if parts else ():
            rows = [tuple(shown(c, v) for c, v in zip(part.columns, row, strict=True)) for row in part.rows]
            lines += ["", f"{part.title}:", *_columns(part.columns, rows)]
    return "\n".join(lines)


def filled(one: Finding) -> list[Part]:
    """Return the tables of parts that have rows."""
    return [part for part in one.parts if part.rows]


def _columns(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    out = ["  ".join(text.ljust(w) for text, w in zip(row, widths, strict=True)).rstrip() for row in [header, *rows]]
    return [out[0], "─" * (sum(widths) + 2 * (len(widths) - 1)), *out[1:]]


def _markdown(found: Sequence[Finding]) -> str:
    lines = [LEAD, "", *_rows(HEADINGS, summary(found))]
    for one in found:
        lines += ["", f"## {one.claim.number}. {one.claim.title}: {one.verdict}", ""]
        lines += [f"- **{name}** {_escaped(text)}" for name, text in facts(one)]
        for part in filled(one):
            rows = [tuple(shown(c, v) for c, v in zip(part.columns, row, strict=True)) for row in part.rows]
            lines += ["", f"{part.title}:", "", *_rows(part.columns, rows)]
    return "\n".join(lines)


def _rows(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    out = [f"| {' | '.join(_escaped(text) for text in row)} |" for row in [header, *rows]]
    return [out[0], "|" + "---|" * len(header), *out[1:]]


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("|", "\\|")
