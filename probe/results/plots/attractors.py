"""Attractors: what the wrong values of procedures are, by model, beside what wrong values without thought are."""

from collections.abc import Sequence

from sqlalchemy.orm import Session

from probe.errors import WorkError
from probe.results import evidence, wrong_answers
from probe.results.evidence import Arm, aligned, by_instance
from probe.results.formats import percent
from probe.results.plots.frame import (
    BLUE,
    FONT,
    GREY,
    INK,
    Spec,
    Wanted,
    asked,
    baselines_in_order,
    described,
    ends,
    framed,
    layer,
    models_in_order,
    rate_of,
    text_layer,
    tooltip,
)
from probe.results.statistics import Interval, ratio
from probe.results.wrong_answers import OTHER
from solvers.procedure import ATTRACTORS

MEASURE = "attractor:"
MEANS = {  # title of a panel
    "converged": "the converged value",
    "start": "the start value",
    "other_iterate": "another iterate",
    "nice": "a nice number",
    "none": "none of these",
}
WIDTH, ROW = 130, 24  # of a panel, of a row, pixels


def draw(session: Session, wanted: Wanted) -> Spec:
    """Return the attractors of what is wanted."""
    arms = evidence.load(session, lambda name: name.startswith((MEASURE, "outcome:")), wanted.batch, wanted.where)
    wrong = [arm for arm in arms if arm.kind == "numerics"]
    return attractor_shares(arms, wanted.options.get("baseline", "random"), wrong_answers.load(session, wrong))


def attractor_shares(arms: Sequence[Arm], baseline: str = "random", permuted: Sequence[Arm] = ()) -> Spec:
    """Return a panel an attractor, in it a row a model and mode. Raises WorkError without any wrong value.

    ``permuted``: arms of final values matched with other instances (`probe.results.wrong_answers`).
    """
    first = f"{MEASURE}{ATTRACTORS[0]}"
    models, baselines = asked(arms, first)
    if not models:
        raise WorkError(
            "plot attractors: no model wrote a wrong value of a procedure here; `probe run --families numerics --modes"
            " final,trace` asks for some"
        )
    modes = sorted({arm.mode for arm in models})
    groups = [
        (name, mode, [arm for arm in of if arm.subject.name == name and arm.mode == mode])
        for of, names in ((baselines, baselines_in_order(baselines)), (models, models_in_order(models)))
        for name in names
        for mode in modes
    ]
    rows: list[Spec] = []
    for name, mode, mine in groups:
        without = [arm for arm in baselines if arm.subject.name == baseline and arm.mode == mode]
        label = name if len(modes) == 1 else f"{name} · {mode}"
        for attractor in ATTRACTORS:
            if (rate := rate_of(mine, f"{MEASURE}{attractor}")) is None:
                continue
            model = mine[0].subject.kind == "endpoint"
            chance = _chance(mine, without, f"{MEASURE}{attractor}") if model else None
            others = [arm for arm in permuted if (arm.subject.name, arm.mode) == (name, mode)]
            elsewhere = rate_of(others, f"{OTHER}{attractor}")
            low, high = ends(rate)
            rows.append(
                {
                    "row": label,
                    "name": name,
                    "attractor": attractor,
                    "rate": rate.rate,
                    "low": low,
                    "high": high,
                    "model": model,
                }
                | {"shown": described(rate), "wrong": rate.n, "instances": rate.clusters}
                | {"chance": None if chance is None else chance.rate}
                | {"chance_shown": percent(None if chance is None else chance.rate)}
                | {"other": None if elsewhere is None else elsewhere.rate, "other_shown": described(elsewhere)}
            )
    labels = list(dict.fromkeys(row["row"] for row in rows))
    panels = [
        _panel(name, [row for row in rows if row["attractor"] == name], labels, first=name == ATTRACTORS[0])
        for name in ATTRACTORS
    ]
    panels[-1]["layer"].append(_denominators([row for row in rows if row["attractor"] == ATTRACTORS[0]], labels))
    without_thought = dict.fromkeys(row["name"] for row in rows if not row["model"])
    matched = any(row["other"] is not None for row in rows)
    known = any(row["chance"] is not None for row in rows)
    told = [
        "Share of the wrong values that are each of these, with 95 % intervals clustered by instance. A value counts as"
        " the first that fits; iterates of answers that could not be read are not among them.",
        f"At the right: wrong values counted, of how many instances. Modes: {', '.join(modes)}.",
        f"Without thought: {', '.join(without_thought)}. Upright bars: what the wrong values of {baseline} are on the"
        " same instances, weighted as the row's own."
        if known
        else f"No chance level: the baseline {baseline} wrote no wrong value on the same instances.",
    ]
    if matched:
        told.append(
            "Crosses: chance by permutation, the share of these wrong final values that equal the attractor of other"
            " instances of their block (a sample of the answers)."
        )
    return framed("What wrong iterates are", told, {"hconcat": panels})


def _chance(mine: Sequence[Arm], without: Sequence[Arm], measure: str) -> Interval | None:
    """Return a baseline's rate on the instances of some arms, weighted as these; None where they share none."""
    _, [(n, _), (n_base, y_base)] = aligned(by_instance(mine, measure), by_instance(without, measure))
    return ratio(n, n * y_base / n_base, counts=False) if n.size else None


def _rows(labels: Sequence[str], shown: bool) -> Spec:
    """Return the encoding of rows, their names ``shown`` or not."""
    axis: Spec = {"title": None, "domain": False, "ticks": False, "grid": True, "labelPadding": 8} | (
        {} if shown else {"labels": False}
    )
    return {"field": "row", "type": "nominal", "sort": list(labels), "axis": axis, "scale": {"domain": list(labels)}}


def _panel(attractor: str, rows: Sequence[Spec], labels: Sequence[str], first: bool) -> Spec:
    y = _rows(labels, first)
    x = {"type": "quantitative", "scale": {"domain": [0, 1], "nice": False}}
    axis = {"title": "share of wrong values", "format": ".0%", "values": [0, 0.5, 1]}
    colour = {"color": {"condition": {"test": "datum.model", "value": BLUE}, "value": GREY}}
    said = {
        "tooltip": tooltip(
            [
                "row",
                "attractor",
                "share: shown",
                "chance: chance_shown",
                "other instances: other_shown",
                "wrong",
                "instances",
            ]
        )
    }
    with_chance = [row for row in rows if row["chance"] is not None]
    return {
        "title": {"text": MEANS[attractor], "frame": "group", "anchor": "start", "fontSize": FONT, "color": INK},
        "width": WIDTH,
        "height": ROW * len(labels),
        "layer": [
            layer(with_chance, "tick", {"x": {"field": "chance"} | x, "y": y}, color=GREY, thickness=3, size=ROW - 10),
            layer(rows, "rule", {"x": {"field": "low"} | x, "x2": {"field": "high"}, "y": y} | colour, strokeWidth=1.8),
            layer(
                rows,
                "point",
                {"x": {"field": "rate", "axis": axis} | x, "y": y} | colour | said,
                shape="circle",
                filled=True,
                size=50,
                opacity=1,
            ),
            layer(
                [row for row in rows if row["other"] is not None],
                "point",
                {"x": {"field": "other"} | x, "y": y},
                shape="M-1,-1L1,1M-1,1L1,-1",
                color=INK,
                size=60,
                strokeWidth=1.6,
                opacity=1,
            ),
        ],
    }


def _denominators(rows: Sequence[Spec], labels: Sequence[str]) -> Spec:
    texts = [{"row": row["row"], "text": f"{row['wrong']:,} of {row['instances']:,} inst."} for row in rows]
    return text_layer(texts, {"x": {"value": WIDTH + 10}, "y": _rows(labels, shown=False)}, color=GREY)
