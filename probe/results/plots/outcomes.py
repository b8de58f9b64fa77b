"""The ledger of outcomes: where every answer that was asked for ended, by model and channel."""

from collections.abc import Sequence

from sqlalchemy.orm import Session

from probe.asking.judging import OUTCOMES
from probe.errors import WorkError
from probe.results.cells import Cell, ResultTable, result_table
from probe.results.formats import limits, percent
from probe.results.plots.frame import INK, LINE, Spec, Wanted, framed, layer, text_layer, tooltip

WIDTH, BAR = 640, 26  # of a bar of 100 %, and the height of a row, pixels
LETTER_ROOM, SHARE_ROOM = 11, 48  # pixels a segment needs for its letter, for its share too
# Outcomes from best to worst with letter, colour and colour of texts. Blue: read; orange: not read; grey: failures of
# the instrument. Each group runs from dark to light, so that neighbours differ in grey; the letters tell groups apart.
LOOKS: dict[str, tuple[str, str, str]] = {
    "optimal": ("O", "#00446B", "white"),
    "feasible": ("F", "#4A9BD1", INK),
    "infeasible": ("I", "#CFE6F5", INK),
    "malformed": ("M", "#8A5A00", "white"),
    "unparsed": ("U", "#E69F00", INK),
    "refusal": ("R", "#FBE3B0", INK),
    "cap_hit": ("C", "#555555", "white"),
    "no_reply": ("N", "#999999", INK),
    "transport_error": ("T", "#DDDDDD", INK),
}
if set(LOOKS) != set(OUTCOMES):
    raise AssertionError("every outcome needs a look")


def draw(session: Session, wanted: Wanted) -> Spec:
    """Return the ledger of what is wanted."""
    return ledger(result_table(session, ("model", "channel"), wanted.where, wanted.batch))


def ledger(table: ResultTable) -> Spec:
    """Return a bar a row of a table by model and channel, in its order. Raises WorkError where no model answered."""
    cells = [cell for cell in table.cells if cell.group["model"] != "exact"]  # a check of the judge
    if not any(cell.kind == "endpoint" for cell in cells):
        raise WorkError("plot outcomes: no model has answered anything here; ask some with `probe run`")
    names = [_name(cell) for cell in cells]
    segments = [segment for cell in cells for segment in _segments(cell)]
    seen = [outcome for outcome in LOOKS if any(s["outcome"] == outcome for s in segments)]
    margin = [{"row": _name(cell), "text": _counted(cell)} for cell in cells]
    y: Spec = {
        "field": "row",
        "type": "nominal",
        "sort": names,
        "axis": {"title": None, "domain": False, "ticks": False},
        "scale": {"paddingInner": 0.25},
    }
    x = {"type": "quantitative", "scale": {"domain": [0, 1], "nice": False}}
    axis = {"title": "share of all answers asked for", "format": ".0%", "grid": False}
    said = tooltip(["row", "outcome", "share: shown", "answers: count", "asked"])
    of_colour = {"domain": list(LOOKS), "range": [colour for _, colour, _ in LOOKS.values()]}
    colour = {"field": "outcome", "type": "nominal", "scale": of_colour, "legend": None}
    extent = {"x": {"field": "from", "axis": axis} | x, "x2": {"field": "to"}, "y": y}
    ink = {"color": {"field": "ink", "type": "nominal", "scale": None}}
    layers = [
        layer(segments, "bar", extent | {"color": colour, "tooltip": said}, stroke="#444444", strokeWidth=0.6),
        text_layer(
            [s for s in segments if s["text"]],
            {"x": {"field": "middle"} | x, "y": y} | ink,
            align="center",
            limit=WIDTH,
        ),
        text_layer(margin, {"x": {"value": WIDTH + 10}, "y": y}),
        *_key(seen),
    ]
    body = {"width": WIDTH, "height": BAR * len(cells), "layer": layers}
    return framed("Where answers ended, by model and channel", _told(table), body)


def _name(cell: Cell) -> str:
    return str(cell.group["model"]) if cell.kind == "baseline" else f"{cell.group['model']} · {cell.group['channel']}"


def _segments(cell: Cell) -> list[Spec]:
    out, start = [], 0.0
    for outcome, (letter, _, ink) in LOOKS.items():
        count = cell.outcomes.get(outcome, 0)
        if not count:
            continue
        share = count / cell.n_trials
        room = WIDTH * share
        text = f"{letter} {100 * share:.0f} %" if room >= SHARE_ROOM else letter if room >= LETTER_ROOM else ""
        out.append(
            {"row": _name(cell), "outcome": outcome, "from": start, "to": start + share, "middle": start + share / 2}
            | {"text": text, "ink": ink, "shown": percent(share), "count": count, "asked": cell.n_trials}
        )
        start += share
    return out


def _counted(cell: Cell) -> str:
    feasible = cell.rates["feasible"]
    rate = "" if feasible is None else f" · feasible {percent(feasible.rate)} {limits(feasible)}".rstrip()
    return f"{cell.n_trials:,} answers · {cell.n_instances:,} inst.{rate}"


def _key(seen: Sequence[str]) -> list[Spec]:
    """Return the key above the bars: in the order of the segments, which a legend would not promise."""
    step = WIDTH / max(5, min(len(seen), 6))
    lines = -(-len(seen) // round(WIDTH / step))
    entries: list[Spec] = []
    for i, outcome in enumerate(seen):
        letter, colour, ink = LOOKS[outcome]
        down, across = divmod(i, round(WIDTH / step))
        entries.append(
            {"x": across * step, "y": -12 - LINE * 1.4 * (lines - 1 - down), "letter": letter, "colour": colour}
            | {"ink": ink, "text": outcome.replace("_", " ")}
        )

    def at(dx: float) -> Spec:
        place = {"type": "quantitative", "scale": None, "axis": None}
        moved = [entry | {"x": entry["x"] + dx} for entry in entries]
        return {"data": {"values": moved}, "encoding": {"x": {"field": "x"} | place, "y": {"field": "y"} | place}}

    def drawn(dx: float, mark: Spec, **encoding: Spec) -> Spec:
        spec = at(dx)
        return spec | {"mark": mark, "encoding": spec["encoding"] | encoding}

    fill = {"color": {"field": "colour", "type": "nominal", "scale": None}}
    inked = {"color": {"field": "ink", "type": "nominal", "scale": None}}
    text = {"type": "text", "baseline": "middle", "fontSize": 10}
    square = {"type": "square", "size": 230, "opacity": 1, "stroke": "#444444", "strokeWidth": 0.6, "filled": True}
    return [
        drawn(8, square, **fill),
        drawn(8, text | {"align": "center"}, text={"field": "letter"}, **inked),
        drawn(20, text | {"align": "left", "color": INK}, text={"field": "text"}),
    ]


def _told(table: ResultTable) -> list[str]:
    version = "" if table.judge_version is None else f" Judge version {table.judge_version}."
    return [
        f"Every answer that was asked for ended in one of these outcomes; the share of each.{version}",
        "At the right: answers and instances, and the share of feasible ones (optimal included) among the scored"
        " answers with its 95 % interval clustered by instance. C, N and T are failures of the instrument: unscored,"
        " in no rate. Rows without channel are baselines, which answer without thought.",
        *table.notes,
    ]
