"""Commands that show: results, trials, show."""

import os
import shutil
import sys
from typing import Annotated

import typer

from probe.cli import common
from probe.errors import RequestError

Option = typer.Option
Where = Annotated[list[str] | None, Option(metavar="KEY=VALUE", help="keep rows of this value (repeatable)")]
FORMATS = ("table", "csv", "json", "markdown")


def register(app: typer.Typer) -> None:
    """Add the commands to the tree."""
    for command in (results, trials, show):
        app.command()(command)


def results(
    batch: Annotated[str | None, Option(help="id or name; all batches without it")] = None,
    by: Annotated[str | None, Option(metavar="COLUMN,…", help="what a row is; model without it")] = None,
    where: Where = None,
    compare: Annotated[
        str | None, Option(metavar="A,B", help="two models, or two values of a column (channel=json,text), paired")
    ] = None,
    measure: Annotated[str, Option(help="the rate shown beside its chance level")] = "satisfaction_micro",
    baseline: Annotated[str, Option(help="the baseline that chance means")] = "random",
    output: Annotated[str, Option("--format", help="table, csv, json or markdown")] = "table",
) -> None:
    """Print a result table: rates with intervals, denominators and chance levels; or a paired comparison."""
    from probe.results.cells import ResultTable, result_table
    from probe.results.comparing import Comparison, default_by
    from probe.results.comparing import compare as compared
    from probe.results.formats import BESIDE, render

    if output not in FORMATS:
        raise RequestError(f"--format {output!r}: one of {', '.join(FORMATS)}")
    store = common.store()
    with store.reading() as session:
        batch_id = common.find_batch(session, batch).id if batch else None
        rest = common.pairs(where), batch_id, baseline, measure
        table: ResultTable | Comparison
        if compare is None:
            rates = None if output in ("json", "csv") else BESIDE
            table = result_table(session, common.names("model" if by is None else by), *rest, rates)
        else:
            table = compared(session, compare, default_by(compare) if by is None else common.names(by), *rest)
    if isinstance(table, ResultTable) and not table.cells:
        common.say("no results yet; `probe run --help`")
    if output == "table":
        colour = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
        print(render(table, "table", width=shutil.get_terminal_size((140, 24)).columns, colour=colour))
    else:
        print(render(table, output), end="" if output == "csv" else "\n")


def trials(
    batch: Annotated[str | None, Option(help="id or name")] = None,
    where: Where = None,
    limit: Annotated[int, Option(help="how many at most; the newest first")] = 20,
    as_json: Annotated[bool, Option("--json")] = False,
) -> None:
    """List trials: keys are model, family, kind, size, variant, modules, seed, mode, channel, effort, batch, outcome,
    position and sample."""
    from probe.store.queries import list_trials

    if limit < 1:
        raise RequestError(f"--limit {limit}: give a whole number from 1")
    store = common.store()
    with store.reading() as session:
        batch_id = common.find_batch(session, batch).id if batch else None
        rows, total = list_trials(session, batch_id, common.pairs(where), limit)
    if as_json:
        common.print_json({"trials": rows, "total": total})
        return
    for row in rows:
        print(
            f"{row['id']:>8}  {row['model']}  {row['family']} {row['size']} #{row['index']} {row['mode']}"
            f"  {row['outcome']}  {row['satisfied']}/{row['constraints']}"
        )
    if total > len(rows):
        common.say(f"{len(rows)} of {total} trials; more with --limit")


def show(trial: int, as_json: Annotated[bool, Option("--json")] = False) -> None:
    """Show one trial: the problem, the reply, what was read in it, and each constraint with its slack."""
    from probe.store.queries import describe_trial, render_trial

    store = common.store()
    with store.reading() as session:
        described = describe_trial(session, trial)
    if described is None:
        raise RequestError(f"there is no trial {trial}; `probe trials` lists them")
    if as_json:
        common.print_json(described)
    else:
        print(render_trial(described))
