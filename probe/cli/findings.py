"""The command that judges the published claims: findings."""

import shutil
from typing import Annotated

import typer

from probe.cli import common
from probe.errors import RequestError

Option = typer.Option


def register(app: typer.Typer) -> None:
    """Add the command to the tree."""
    app.command()(findings)


def findings(
    batch: Annotated[str | None, Option(help="id or name; all batches without it")] = None,
    claim: Annotated[int | None, Option(metavar="N", help="one claim, with its tables")] = None,
    plan: Annotated[int | None, Option(metavar="N", help="print a spec of a batch that decides claim N")] = None,
    output: Annotated[str, Option("--format", help="table, json or markdown")] = "table",
) -> None:
    """Judge each published claim by what is stored: supported, refuted or undecided, and why."""
    from probe.results import findings as claims
    from probe.results.findings.rendering import FORMATS, render

    if output not in FORMATS:
        raise RequestError(f"--format {output!r}: one of {', '.join(FORMATS)}")
    if claim is not None:
        claims.of_number(claim)
    store = common.store()
    with store.reading() as session:
        if plan is not None:
            print(claims.plan(session, plan), end="")
            return
        found = claims.findings(session, common.find_batch(session, batch).id if batch else None)
    shown = [one for one in found if claim in (None, one.claim.number)]
    print(render(shown, output, width=shutil.get_terminal_size((100, 24)).columns, parts=claim is not None))
