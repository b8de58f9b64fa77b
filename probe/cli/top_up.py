"""The command that extends a batch until its intervals are narrow enough."""

import asyncio
from typing import TYPE_CHECKING, Annotated, Any

import typer

from probe.cli import common
from probe.errors import RequestError

if TYPE_CHECKING:
    from probe.store.sessions import Store

Option = typer.Option
CONCURRENCY = 64


def register(app: typer.Typer) -> None:
    """Add the command to the tree."""
    app.command("top-up")(top_up)


def top_up(
    batch: str,
    measure: Annotated[
        str, Option(help="the rate whose interval counts (probe results --measure)")
    ] = "satisfaction_micro",
    width: Annotated[float, Option(help="from low to high: 0.1 is ten points")] = 0.1,
    max_instances: Annotated[int | None, Option(help="most instances of each family and size")] = None,
    concurrency: Annotated[int, Option(help="calls open at once at each endpoint")] = CONCURRENCY,
    dry_run: Annotated[bool, Option("--dry-run", help="only say what the next round would ask and cost")] = False,
    queue: Annotated[bool, Option("--queue", help="leave one round to the workers")] = False,
    as_json: Annotated[bool, Option("--json")] = False,
) -> None:
    """Ask more instances until the interval of a measure is narrow enough for every model; at most five rounds."""
    from probe import controls, topping_up
    from probe.batches import from_table
    from probe.submitting import extend

    from_table({"concurrency": concurrency})
    if max_instances is not None and max_instances < 1:
        raise RequestError(f"max-instances: {max_instances} is not a whole number from 1")
    store = common.store()
    rounds = 0
    while True:
        with store.reading() as session:
            found = common.find_batch(session, batch)
            batch_id, name = found.id, found.name
            topping_up.check(found, width)
            present = topping_up.widths(session, found, measure)
            done = topping_up.next_round(session, found, measure, width, max_instances, concurrency)
            had = tuple(int(arm["instances"]) for arm in found.spec["arms"])
        if done is None or dry_run or rounds == topping_up.ROUNDS or done.instances == had:
            break
        if not as_json:
            common.say(topping_up.render(done, measure, width))
        with store.writing() as session:
            found = common.find_batch(session, batch)
            topping_up.check(found, width)
            extend(session, found, done.instances)
            controls.queue(session, found)
        rounds += 1
        if queue:
            _ring(name, as_json, done.plain())
            return
        state = _run(store, batch_id, concurrency)
        if state != "complete":
            common.say(
                f"batch {name} is {state} in the middle of a round; go on: probe resume {name}, then top up again"
            )
            raise typer.Exit(1)
    if as_json:
        outcome: dict[str, Any] = {"batch": name, "measure": measure, "rounds": rounds, "narrow": done is None}
        outcome |= {"widths": dict(present), "instances": list(had)}
        common.print_json(outcome | {"next": None if done is None else done.plain()})
    elif done is None:
        shown = ", ".join(f"{model} {100 * (w or 0):.1f}" for model, w in present.items())
        print(
            f"{name}: {measure} is known within {100 * width:.1f} points (widths: {shown}) after {rounds} more rounds"
        )
    elif dry_run:
        print(topping_up.render(done, measure, width))
    if done is not None and not dry_run:
        why = f"{max_instances} instances" if done.instances == had else f"{rounds} rounds"
        common.say(f"batch {name}: the intervals are not narrow enough yet after {why}; widths: {dict(present)}")
        raise typer.Exit(1)


def _run(store: "Store", batch_id: int, concurrency: int) -> str:
    from probe.cli.progress import progress
    from probe.running import run

    with progress() as shown:
        ran = asyncio.run(run(store, batch_id, concurrency=concurrency, progress=shown))
    for who, error in ran.errors.items():
        common.say(f"error: {who}: {error}")
    return ran.state


def _ring(name: str, as_json: bool, planned: dict[str, Any]) -> None:
    from probe.doorbell import Doorbell
    from probe.settings import settings

    rung = Doorbell(settings().broker_url).ring("prepare", "ask")
    if as_json:
        common.print_json({"batch": name, "state": "queued", "rung": rung, "next": planned})
        return
    common.say(f"batch {name} is queued for another round; probe watch {name}, and then top up again")
    if not rung:
        common.say("note: no broker was reached; a running worker finds the batch within a minute all the same")
