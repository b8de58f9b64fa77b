"""Plots: one Vega-Lite specification each, written as PNG, SVG or a page that needs no network."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from sqlalchemy.orm import Session

from probe.errors import RequestError
from probe.results.plots import attractors, compare, kinds, nights, novelty, outcomes, size, survival
from probe.results.plots.frame import Spec, Wanted, check_ending, save

__all__ = ["PLOTS", "Plot", "Spec", "check_ending", "draw", "save"]


@dataclass(frozen=True)
class Plot:
    """A plot by name: what it shows, which options it takes, and how it is drawn from the database.

    ``draw`` raises RequestError for a wrong option, WorkError where there is nothing to draw.
    """

    shows: str
    options: tuple[str, ...]
    draw: Callable[[Session, Wanted], Spec]


PLOTS: dict[str, Plot] = {
    "size": Plot("satisfaction by model size, beside chance and baselines", ("measure", "baseline"), size.draw),
    "kinds": Plot(
        "heat map of models by constraint kind or class (--by constraint_class)",
        ("by", "measure", "baseline"),
        kinds.draw,
    ),
    "survival": Plot("how many traces are right up to each iterate", (), survival.draw),
    "outcomes": Plot("the share of every outcome by model and channel", (), outcomes.draw),
    "novelty": Plot("famous, perturbed and fresh instances by size", ("measure", "baseline"), novelty.draw),
    "attractors": Plot("what wrong iterates are, beside chance", ("baseline",), attractors.draw),
    "compare": Plot(
        "paired differences of two models by family (--compare A,B)",
        ("compare", "by", "measure", "baseline"),
        compare.draw,
    ),
    "nights": Plot("rates night by night, of a schedule with its drift alarms", ("schedule", "measure"), nights.draw),
}


def draw(
    session: Session, name: str, batch: int | None = None, where: Mapping[str, str] | None = None, **options: str | None
) -> Spec:
    """Return a plot of everything answered (of one batch), kept by ``where`` as in result tables.

    ``options``: those of the plot (`Plot.options`); None stands for its default. Raises RequestError for an unknown
    plot, an option that it does not take or a wrong value, WorkError where there is nothing to draw.
    """
    if name not in PLOTS:
        raise RequestError(f"plot {name!r}: one of {', '.join(PLOTS)}")
    plot, given = PLOTS[name], {key: value for key, value in options.items() if value is not None}
    if foreign := [key for key in given if key not in plot.options]:
        takes = ", ".join(f"--{option}" for option in ("batch", "where", *plot.options))
        raise RequestError(f"--{foreign[0]}: the plot {name} does not take it; it takes {takes}")
    return plot.draw(session, Wanted(batch, dict(where or {}), given))
