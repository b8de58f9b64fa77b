"""Commands about what is asked by itself: schedule add, list, history, run, pause, resume, remove."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from probe.cli import common

if TYPE_CHECKING:
    from probe.store.tables import Schedule

Option = typer.Option


def register(app: typer.Typer) -> None:
    """Add the commands to the tree."""
    schedule = typer.Typer(help="What is asked again at due times.", no_args_is_help=True)
    schedule.command("list")(list_)
    for command in (add, history, run, pause, resume, remove):
        schedule.command()(command)
    app.add_typer(schedule, name="schedule")


def add(
    name: Annotated[str, typer.Argument(help="its batches are called NAME-<due time>")],
    cron: Annotated[str, Option(help="minute hour day month weekday, such as '0 2 * * *', or @daily, @hourly …")],
    tz: Annotated[str, Option(help="IANA time zone, such as Europe/Paris")],
    spec: Annotated[Path, Option(metavar="FILE.toml", help="what is asked (`probe spec` prints one)")],
    catch_up: Annotated[
        str, Option(metavar="latest|skip", help="after a stop: run the latest due time if at most 6 h late, or none")
    ] = "latest",
    overlap: Annotated[
        str, Option(metavar="skip|queue", help="while the last run is still going: skip this one, or let it wait")
    ] = "skip",
    canary: Annotated[
        int, Option(metavar="N", help="instances of each arm asked unchanged at every run, beside the fresh ones")
    ] = 10,
    max_calls: Annotated[int | None, Option(help="of one run")] = None,
    max_total_tokens: Annotated[
        int | None, Option("--max-total-tokens", "--max-tokens", help="of one run, prompts and answers")
    ] = None,
    max_cost: Annotated[float | None, Option(help="of one run, USD")] = None,
    day_calls: Annotated[int | None, Option(help="of all runs of a day (UTC)")] = None,
    day_tokens: Annotated[int | None, Option(help="of all runs of a day (UTC)")] = None,
    day_cost: Annotated[float | None, Option(help="of all runs of a day (UTC), USD")] = None,
    webhook: Annotated[str | None, Option(metavar="URL", help="gets one POST of JSON for every finished run")] = None,
) -> None:
    """Ask a spec at due times, each run with fresh instances. `probe worker` must run somewhere."""
    from probe import schedules
    from probe.batches import read_spec

    flags = {"max-calls": max_calls, "max-total-tokens": max_total_tokens, "max-cost": max_cost}
    wanted, limits = read_spec(spec, {key: value for key, value in flags.items() if value is not None})
    plan = schedules.Plan(
        name=name,
        cron=cron,
        zone=tz,
        spec=wanted,
        catch_up=catch_up,
        overlap=overlap,
        canary_instances=canary,
        max_calls=limits.get("max-calls"),
        max_tokens=limits.get("max-total-tokens"),
        max_cost=limits.get("max-cost"),
        day_calls=day_calls,
        day_tokens=day_tokens,
        day_cost=day_cost,
        concurrency=limits.get("concurrency"),
        webhook=webhook,
    )
    store = common.store()
    with store.writing() as session:
        now = store.now(session)
        schedule = schedules.add(session, now, plan)
        due = _next(schedule, now)
    common.say(f"added {name}; next due {due}. At once: probe schedule run {name}")


def list_(as_json: Annotated[bool, Option("--json")] = False) -> None:
    """List the schedules: when they are due next, how the last run went."""
    from probe import schedules

    store = common.store()
    with store.reading() as session:
        now = store.now(session)
        rows = [schedules.shown(session, schedule, now) for schedule in schedules.listing(session)]
    if as_json:
        common.print_json({"schedules": rows})
        return
    if not rows:
        common.say("no schedules yet; `probe schedule add --help`")
    for row in rows:
        due = "paused" if row["paused"] else f"next due {row['next_due']}"
        last = f"; last {_line(row['last_run'])}" if row["last_run"] else ""
        print(f"{row['name']}  {row['cron']}  {row['tz']}  {due}{last}")


def history(
    name: str,
    limit: Annotated[int, Option(min=1, max=10_000, help="runs shown")] = 20,
    as_json: Annotated[bool, Option("--json")] = False,
    check: Annotated[
        bool, Option("--check", help="exit code 1 where the last run failed, was missed, or something changed")
    ] = False,
) -> None:
    """Show the latest runs of a schedule, newest first: state, duration, spend, what changed."""
    from probe import schedules

    with common.store().reading() as session:
        schedule = schedules.find(session, name)
        runs = schedules.history(session, schedule, limit)
        wrong = schedules.problem(session, schedule) if check else None
    if as_json:
        common.print_json({"schedule": name, "runs": runs})
    for run in [] if as_json else runs:
        print(_line(run))
        for model, change in run["changes"].get("models", {}).items():
            for text in _changes(change):
                print(f"   {model}: {text}")
    if not runs and not as_json:
        common.say(f"{name} has not been due yet; at once: probe schedule run {name}")
    if wrong is not None:
        common.say(f"{name}: {wrong}")
        raise typer.Exit(1)


def run(name: str) -> None:
    """Run a schedule at once, beside its due times."""
    from probe import schedules

    store = common.store()
    with store.writing() as session:
        started, names = schedules.run_now(session, store.now(session), name)
        reason = started.reason
    if not names:
        common.say(f"{name} waits ({reason})")
    for batch in names:
        common.say(f"submitted {batch}; how it gets on: probe watch {batch}")


def pause(name: str) -> None:
    """Let due times pass; what is being asked goes on."""
    from probe import schedules

    with common.store().writing() as session:
        schedules.pause(session, name)
    common.say(f"paused {name}; its due times are recorded as skipped. Go on: probe schedule resume {name}")


def resume(name: str) -> None:
    """Start at the next due time again."""
    from probe import schedules

    store = common.store()
    with store.writing() as session:
        now = store.now(session)
        schedules.resume(session, now, name)
        due = _next(schedules.find(session, name), now)
    common.say(f"resumed {name}; next due {due}")


def remove(name: str) -> None:
    """Remove a schedule and its history; its batches and their results stay."""
    from probe import schedules

    with common.store().writing() as session:
        schedules.remove(session, name)
    common.say(f"removed {name}; its batches stay: probe status")


def _next(schedule: "Schedule", now: float) -> str:
    from probe.cron import written
    from probe.schedules import next_due

    due = next_due(schedule, now)
    return "never" if due is None else written(due)


def _line(run: dict[str, Any]) -> str:
    """Return a run in one line."""
    parts = [run["due"], run["state"] if run["outcome"] in (None, "complete") else f"{run['state']}: {run['outcome']}"]
    if run["seconds"] is not None:
        parts.append(f"{run['seconds']:.0f} s")
    if run["batch"] is not None:
        spend = run["spend"]
        cost = f", {spend['cost']:.4f} USD" if spend["cost"] else ""
        parts.append(f"{spend['calls']} calls, {spend['tokens']} tokens{cost}")
    if run["changed"]:
        parts.append("changed")
    return "  ".join(parts) + (f"  ({run['reason']})" if run["reason"] else "")


def _changes(change: dict[str, Any]) -> list[str]:
    """Return what changed of a model, in words."""
    texts = []
    if change["moved"]:
        drift = change["drift"]
        texts.append(
            f"satisfied {100 * drift['before']:.1f} % of the canaries' constraints, now {100 * drift['after']:.1f} %"
            f" ({drift['window']} nights, z {drift['z']:.1f})"
        )
    for sign, words in (("served_model", "another model serves it"), ("fingerprint", "another fingerprint")):
        if change[f"new_{sign}"]:
            texts.append(f"{words}: {', '.join(change[f'new_{sign}'])}")
    return texts
