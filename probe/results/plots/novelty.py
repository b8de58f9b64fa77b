"""Novelty against size: famous, perturbed and fresh instances of the same families along the ladder of sizes."""

from collections.abc import Sequence

from sqlalchemy.orm import Session

from probe.errors import WorkError
from probe.results.cells import Cell, ResultTable, result_table
from probe.results.formats import MEASURED, percent
from probe.results.plots.frame import (
    BLUE,
    FONT,
    GREEN,
    GREY,
    INK,
    LINE,
    NAMES,
    VERMILION,
    Spec,
    Wanted,
    caveats,
    counts,
    described,
    ends,
    framed,
    layer,
    share,
    sizes_in_order,
    spread,
    text_layer,
    tooltip,
)

NOVELTY = {  # variant -> how it is drawn, from the best known to the new
    "famous": {"colour": VERMILION, "dash": [1, 0], "shape": "square"},
    "perturbed": {"colour": GREEN, "dash": [6, 3], "shape": "triangle-up"},
    "fresh": {"colour": BLUE, "dash": [2, 2], "shape": "circle"},
}
STEP, HEIGHT, COLUMNS = 64, 190, 3  # pixels a size, pixels of a panel, panels a row
APART = 13  # pixels between the variants of one size


def draw(session: Session, wanted: Wanted) -> Spec:
    """Return novelty by size of what is wanted: of the families that have at least two of the variants in it."""
    where = dict(wanted.where)
    named = [name.strip() for name in where.get("variant", ",".join(NOVELTY)).split(",")]
    where["variant"] = ",".join(name for name in named if name in NOVELTY) or "none of these"
    found = result_table(session, ("family", "variant"), where, wanted.batch, **wanted.options)
    variants: dict[str, set[str]] = {}
    for cell in found.cells:
        variants.setdefault(cell.group["family"], set()).add(cell.group["variant"])
    most = max(variants.values(), key=len, default=set())
    families = sorted(family for family, of in variants.items() if of == most)
    if len(most) < 2:
        raise WorkError(
            "plot novelty: no family was asked in two of the variants famous, perturbed and fresh here;"
            " `probe run --variants famous,perturbed,fresh` asks them"
        )
    where["family"] = ",".join(families)
    table = result_table(session, ("model", "size", "variant"), where, wanted.batch, **wanted.options)
    return novelty_by_size(table, families, sorted(set(variants) - set(families)))


def novelty_by_size(table: ResultTable, families: Sequence[str], without: Sequence[str]) -> Spec:
    """Return a panel a model, from a table by model, size and variant; ``without``: families left out.

    Raises WorkError where no model has a rate.
    """
    cells = [cell for cell in table.cells if cell.kind == "endpoint" and cell.rates[table.measure] is not None]
    if not cells:
        raise WorkError("plot novelty: no model has a scored answer to these questions; ask some with `probe run`")
    sizes = sizes_in_order(cell.group["size"] for cell in cells)
    models = list(dict.fromkeys(cell.group["model"] for cell in cells))
    panels = [
        _panel(
            model,
            sizes,
            [cell for cell in cells if cell.group["model"] == model],
            table.measure,
            first=i % COLUMNS == 0,
        )
        for i, model in enumerate(models)
    ]
    version = "" if table.judge_version is None else f" Judge version {table.judge_version}."
    told = [
        f"{MEASURED[table.measure][1].capitalize()} ({table.measure}), with 95 % intervals clustered by instance."
        f" Grey bars: chance ({table.baseline} on the same instances).{version}",
        f"A point: {counts(rate.n for cell in cells if (rate := cell.rates[table.measure]) is not None)} counted, of"
        f" {counts(cell.n_instances for cell in cells)} instances. Families: {', '.join(families)}."
        + (f" Left out, not asked in all these variants: {', '.join(without)}." if without else ""),
        "famous: the textbook's numbers; perturbed: the same with changed numbers; fresh: newly drawn, of that size.",
        *caveats(cells, table.measure, table.baseline, table.notes),
    ]
    return framed("Novelty against size", told, {"concat": panels, "columns": COLUMNS})


def _panel(model: str, sizes: Sequence[str], cells: Sequence[Cell], measure: str, first: bool) -> Spec:
    width = STEP * len(sizes)
    rows: list[Spec] = []
    for cell in cells:
        rate = cell.rates[measure]
        assert rate is not None
        low, high = ends(rate)
        variant = cell.group["variant"]
        place = (sizes.index(cell.group["size"]) + 0.5) * STEP
        place += (list(NOVELTY).index(variant) - (len(NOVELTY) - 1) / 2) * APART
        rows.append(
            {"x": place, "size": cell.group["size"], "variant": variant, "rate": rate.rate, "low": low, "high": high}
            | {"shown": described(rate), "n": rate.n, "instances": cell.n_instances}
            | {"chance": None if cell.chance is None else cell.chance.rate}
            | {"chance_shown": percent(None if cell.chance is None else cell.chance.rate)}
        )
    x: Spec = {
        "type": "quantitative",
        "scale": {"domain": [0, width], "nice": False},
        "axis": {
            "title": "size",
            "values": [(i + 0.5) * STEP for i in range(len(sizes))],
            "labelExpr": " : ".join(f"datum.value == {(i + 0.5) * STEP} ? '{size}'" for i, size in enumerate(sizes))
            + " : ''",
            "grid": False,
        },
    }
    names = [name for name in NOVELTY if any(row["variant"] == name for row in rows)]
    y_axis = {"title": MEASURED[measure][0] if first else None, "format": ".0%", "tickCount": 5}

    def scaled(what: str) -> Spec:
        scale = {"domain": names, "range": [NOVELTY[name][what] for name in names]}
        return {"field": "variant", "type": "nominal", "scale": scale, "legend": None}

    hue = {"color": scaled("colour")}
    at = {"x": {"field": "x"} | x, "y": share("rate", axis=y_axis)}
    bar = {"x": {"field": "x"} | x, "y": share("low"), "y2": {"field": "high"}}
    said = {"tooltip": tooltip(["size", "variant", "rate: shown", "chance: chance_shown", "n", "instances"])}
    with_chance = [row for row in rows if row["chance"] is not None]
    last = [[row for row in rows if row["variant"] == name][-1] for name in names]
    places = spread([HEIGHT * (1 - row["rate"]) for row in last], LINE, 0, HEIGHT)
    labels = [
        {
            "variant": row["variant"],
            "text": row["variant"],
            "x": row["x"],
            "from": row["rate"],
            "to": 1 - place / HEIGHT,
        }
        for row, place in zip(last, places, strict=True)
    ]
    tie = {"x": {"field": "x"} | x, "x2": {"value": width + 8}, "y": share("from"), "y2": {"field": "to"}}
    chance = {"x": {"field": "x"} | x, "y": share("chance")}
    return {
        "title": {"text": model, "anchor": "start", "fontSize": FONT + 1, "limit": width + 70, "color": INK},
        "width": width,
        "height": HEIGHT,
        "layer": [
            layer(with_chance, "tick", chance, color=GREY, thickness=2.5, size=APART - 2, orient="horizontal"),
            layer(rows, "line", at | hue | {"strokeDash": scaled("dash")}, strokeWidth=1.4),
            layer(rows, "rule", bar | hue, strokeWidth=1.4),
            layer(rows, "point", at | hue | {"shape": scaled("shape")} | said, filled=True, size=50, opacity=1),
            layer(labels, "rule", tie | hue, strokeWidth=0.6, opacity=0.6),
            text_layer(labels, {"x": {"value": width + 10}, "y": share("to")}, limit=NAMES),
        ],
    }
