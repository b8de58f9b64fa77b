"""Commands that keep the service in order: doctor, db, prune."""

from pathlib import Path
from typing import Annotated

import typer

from probe.cli import common

Option = typer.Option


def register(app: typer.Typer) -> None:
    """Add the commands to the tree."""
    for command in (doctor, prune):
        app.command()(command)
    db = typer.Typer(help="The database.", no_args_is_help=True)
    db.command("upgrade")(db_upgrade)
    db.command("check")(db_check)
    db.command("backup")(db_backup)
    app.add_typer(db, name="db")


def doctor(as_json: Annotated[bool, Option("--json", help="print the checks as JSON")] = False) -> None:
    """Look at everything the service rests on, and say what to do about what is wrong; exit 1 if anything fails."""
    from probe.doctor import Check, examine, plain, render, worst
    from probe.settings import settings

    checks: list[Check] = []
    for check in examine(settings()):
        checks.append(check)
        if not as_json:
            print(render(check), flush=True)
    if as_json:
        common.print_json(plain(checks))
    if worst(checks) == "fail":
        raise typer.Exit(1)


def db_upgrade() -> None:
    """Make the database, or bring it to this program's version."""
    from probe.settings import settings
    from probe.store.sessions import open_store

    open_store(settings().database_url)
    common.say("the database is up to date")


def db_check(as_json: Annotated[bool, Option("--json", help="print the checks as JSON")] = False) -> None:
    """Check that the database is sound: tables, references, and that trials, tallies and counts agree."""
    from probe.doctor import plain, render, worst
    from probe.settings import settings
    from probe.store.sessions import Store
    from probe.upkeep import examine

    checks = list(examine(Store(settings().database_url)))
    if as_json:
        common.print_json(plain(checks))
    else:
        for check in checks:
            print(render(check))
    if worst(checks) == "fail":
        raise typer.Exit(1)


def db_backup(file: Path) -> None:
    """Copy the database into a new file while others work with it (PostgreSQL: by pg_dump)."""
    from probe.doctor import size
    from probe.settings import settings
    from probe.store.sessions import Store
    from probe.upkeep import backup

    backup(Store(settings().database_url), file)
    common.say(f"copied to {file} ({size(file.stat().st_size)})")


def prune(
    older_than: Annotated[str, Option(metavar="SPAN", help="since when batches must be complete: 12h, 90d, 8w")],
    dry_run: Annotated[bool, Option("--dry-run", help="only say what would be dropped")] = False,
    as_json: Annotated[bool, Option("--json")] = False,
) -> None:
    """Drop the raw replies of old batches; answers, verdicts and tallies stay, so no table changes."""
    from dataclasses import asdict

    from probe.doctor import size
    from probe.upkeep import prune as drop
    from probe.upkeep import seconds_of

    seconds = seconds_of(older_than)
    dropped = drop(common.store(), seconds, dry_run)
    if as_json:
        common.print_json(asdict(dropped) | {"dry_run": dry_run})
        return
    batches = f"{dropped.batches} batch{'' if dropped.batches == 1 else 'es'}"
    replies = f"{dropped.replies} raw repl{'y' if dropped.replies == 1 else 'ies'}"
    common.say(f"{'would drop' if dry_run else 'dropped'} {replies} of {batches}, {size(dropped.size)} as stored")
    if dropped.replies and not dry_run:
        common.say("the database uses the room for what comes next; its file does not shrink by itself")
