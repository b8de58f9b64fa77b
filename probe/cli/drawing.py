"""Commands that draw: plot, report."""

from pathlib import Path
from typing import Annotated

import typer

from probe.cli import common

Option = typer.Option
Batch = Annotated[str | None, Option(help="id or name; all batches without it")]
Where = Annotated[list[str] | None, Option(metavar="KEY=VALUE", help="keep rows of this value (repeatable)")]
NAMES = "size, kinds, survival, outcomes, novelty, attractors, compare, nights"


def register(app: typer.Typer) -> None:
    """Add the commands to the tree."""
    for command in (plot, report):
        app.command()(command)


def plot(
    name: Annotated[str, typer.Argument(help=f"one of {NAMES}")],
    output: Annotated[Path, Option("-o", "--output", help="FILE.png, FILE.svg or FILE.html")],
    batch: Batch = None,
    where: Where = None,
    measure: Annotated[str | None, Option(help="the rate that is drawn  [satisfaction_micro]")] = None,
    baseline: Annotated[str | None, Option(help="the baseline that chance means  [random]")] = None,
    by: Annotated[str | None, Option(help="of kinds: constraint_kind or constraint_class")] = None,
    compare: Annotated[str | None, Option(metavar="A,B", help="of compare: two models")] = None,
    schedule: Annotated[str | None, Option(metavar="NAME", help="of nights: the runs of a schedule")] = None,
) -> None:
    """Draw a plot: a picture, or a page that shows the numbers where the pointer rests and needs no network."""
    from probe.results import plots

    plots.check_ending(output)
    options = {"measure": measure, "baseline": baseline, "by": by, "compare": compare, "schedule": schedule}
    store = common.store()
    with store.reading() as session:
        batch_id = common.find_batch(session, batch).id if batch else None
        spec = plots.draw(session, name, batch_id, common.pairs(where), **options)
    plots.save(spec, output)
    common.say(f"wrote {output}")


def report(
    output: Annotated[
        Path, Option("-o", "--output", help="FILE.html, or FILE.md with its plots in a folder beside it")
    ],
    batch: Batch = None,
    where: Where = None,
    title: Annotated[str | None, Option(help="its heading")] = None,
) -> None:
    """Write a report: tables, plots, findings, methods, versions, costs, and the command behind every number."""
    from probe.results import report as reports

    reports.check_ending(output)
    store = common.store()
    with store.reading() as session:
        batch_id = common.find_batch(session, batch).id if batch else None
        document = reports.report(session, batch_id, common.pairs(where), title)
    for file in reports.save(document, output):
        common.say(f"wrote {file}")
