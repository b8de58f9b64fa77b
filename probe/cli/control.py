"""Commands that steer a batch: pause, cancel, delete, watch."""

import time
from typing import Annotated, Any

import typer

from probe.cli import common
from probe.errors import RequestError

Option = typer.Option
OPEN = ("queued", "running")


def register(app: typer.Typer) -> None:
    """Add the commands to the tree."""
    for command in (pause, cancel, delete, watch):
        app.command()(command)


def pause(batch: str) -> None:
    """Let nothing more of a batch be asked; calls in flight are stored, `probe resume` goes on."""
    from probe import controls

    with common.store().writing() as session:
        found = common.find_batch(session, batch)
        controls.pause(session, found)
        name = found.name
    common.say(f"paused {name}; a process that asks it stops within half a minute. Go on: probe resume {name}")


def cancel(batch: str) -> None:
    """Give up for good what of a batch is not asked yet; what was answered stays."""
    from probe import controls

    store = common.store()
    with store.writing() as session:
        found = common.find_batch(session, batch)
        controls.cancel(session, store.now(session), found)
        name = found.name
    common.say(f"cancelled {name}; what was answered stays: probe results --batch {name}")


def delete(batch: str) -> None:
    """Remove a batch and everything that models answered in it."""
    from probe import controls

    store = common.store()
    with store.writing() as session:
        found = common.find_batch(session, batch)
        name = found.name
        controls.delete(session, store.now(session), found)
    common.say(f"deleted {name}; its instances and baselines stay, for other batches")


def watch(batch: str, interval: Annotated[float, Option(metavar="SECONDS", help="between two looks")] = 2.0) -> None:
    """Show how a batch gets on until nobody asks it any more."""
    from probe.planning import standing

    if not interval > 0:
        raise RequestError(f"--interval {interval}: give a number of seconds above 0")
    store = common.store()
    began, first = time.monotonic(), None
    while True:
        with store.reading() as session:
            now = standing(session, common.find_batch(session, batch))
        first = now["trials"] if first is None else first
        print(line(now, now["trials"] - first, time.monotonic() - began), flush=True)
        if now["state"] not in OPEN:
            break
        time.sleep(interval)
    if now["state"] != "complete":
        raise typer.Exit(1)


def line(now: dict[str, Any], fresh: int, seconds: float) -> str:
    """Return one look at a batch: progress, rate, time left, spend, failures by cause."""
    left = now["planned"] - now["trials"]
    rate = fresh / seconds if seconds else 0.0
    parts = [f"{now['name']}: {now['state']}", f"{now['trials']} of {now['planned']} trials"]
    if rate and left > 0 and now["state"] in OPEN:
        parts.append(f"{rate:.1f} a second, about {left / rate:.0f} s left")
    parts.append(f"{now['calls']} calls, {now['tokens']} tokens")
    if now["cost"]:
        parts.append(f"{now['cost']:.4f} USD")
    failures = {name: now["outcomes"].get(name, 0) for name in ("transport_error", "no_reply", "cap_hit", "refusal")}
    parts += [f"{name} {count}" for name, count in failures.items() if count]
    parts += [f"{', '.join(names)} waits for a worker that has {key}" for key, names in now.get("keys", {}).items()]
    parts += [f"{w['endpoint']} is left alone until {w['until'][11:19]} UTC" for w in now.get("waiting", ())]
    return ", ".join(parts)
