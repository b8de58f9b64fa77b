"""The command that hands results over to other programs: export."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from probe.cli import common
from probe.errors import RequestError

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

Option = typer.Option
TABLES = ("trials", "constraints", "cells")
KINDS = (*TABLES, "preferences", "inspect", "archive")


def register(app: typer.Typer) -> None:
    """Add the command to the tree."""
    app.command()(export)


def export(
    kind: Annotated[str, typer.Argument(help=", ".join(KINDS))],
    output: Annotated[
        Path,
        Option("-o", "--output", help="FILE.parquet or FILE.csv; FILE.jsonl; FILE.json or a folder; FILE.zip"),
    ],
    batch: Annotated[
        list[str] | None, Option(metavar="BATCH", help="id or name (repeatable); all batches without it")
    ] = None,
    where: Annotated[list[str] | None, Option(metavar="KEY=VALUE", help="keep rows of this value (repeatable)")] = None,
    by: Annotated[str | None, Option(metavar="COLUMN,…", help="of cells: what a row is  [model]")] = None,
    kinds: Annotated[
        str | None, Option(metavar="KIND,…", help="of preferences: answers that violate constraints of these kinds")
    ] = None,
) -> None:
    """Write results to a file for other programs: what each kind holds stands in docs/export.md."""
    if kind not in KINDS:
        raise RequestError(f"export {kind!r}: one of {', '.join(KINDS)}")
    if by is not None and kind != "cells":
        raise RequestError("--by: only cells have rows to choose")
    if kinds is not None and kind != "preferences":
        raise RequestError(f"--kinds: of preferences, not of {kind}")
    names, conditions = batch or [], common.pairs(where)
    if kind == "archive":
        if conditions:
            raise RequestError("--where: an archive holds whole batches; choose them with --batch")
        _archive(output, names)
        return
    with common.store().reading() as session:
        batches = [common.find_batch(session, name).id for name in names] or None
        if kind in TABLES:
            _table(session, kind, output, batches, conditions, common.names(by or "model"))
        elif kind == "preferences":
            _preferences(session, output, batches, conditions, common.names(kinds or ""))
        else:
            _inspect(session, output, batches, conditions)


def _table(
    session: "Session",
    kind: str,
    output: Path,
    batches: list[int] | None,
    where: dict[str, str],
    by: tuple[str, ...],
) -> None:
    from probe.results import exports
    from probe.results.cells import result_table
    from probe.results.rows import write_rows

    if kind == "trials":
        rows = write_rows(output, exports.TRIALS, exports.trial_pages(session, batches, where))
    elif kind == "constraints":
        rows = write_rows(output, exports.CONSTRAINTS, exports.constraint_pages(session, batches, where))
    else:
        if batches is not None and len(batches) > 1:
            raise RequestError("--batch: cells are of one batch or of all; --where batch=ONE,OTHER pools some")
        table = result_table(session, by, where, batches[0] if batches else None)
        rows = write_rows(output, exports.cell_columns(table), exports.cell_pages(table))
        for note in table.notes:
            common.say(f"note: {note}")
    common.say(f"wrote {output}: {rows} rows")


def _preferences(
    session: "Session", output: Path, batches: list[int] | None, where: dict[str, str], kinds: tuple[str, ...]
) -> None:
    from probe.results.preferences import write_preferences

    done = write_preferences(session, output, batches, where, kinds)
    for reason, count in sorted(done.left_out.items()):
        common.say(f"left out {count}: {reason}")
    common.say(f"wrote {output}: {done.written} pairs")


def _inspect(session: "Session", output: Path, batches: list[int] | None, where: dict[str, str]) -> None:
    from probe.results.inspect_log import write_logs

    for file in write_logs(session, output, batches, where):
        print(file)
    common.say(f"look at them: inspect view --log-dir {output.parent if output.suffix else output}")


def _archive(output: Path, names: list[str]) -> None:
    from probe.results.archive import write_archive

    if output.suffix != ".zip":
        raise RequestError(f"--output {output}: the name must end with .zip")
    done = write_archive(common.store(), output, names)
    for name, reason in done.left_out:
        common.say(f"left out {name}: {reason}")
    common.say(
        f"wrote {output}: {done.batches} batches, {done.trials} trials; its digest, to be cited, is {done.digest}"
    )
