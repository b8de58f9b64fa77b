"""Commands that ask: run, resume, retry, status, spec, judge, rejudge."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from probe.cli import common
from probe.cli.progress import progress
from probe.errors import RequestError

if TYPE_CHECKING:
    from probe.batches import BatchSpec
    from probe.store.sessions import Store

CONCURRENCY = 64


def register(app: typer.Typer) -> None:
    """Add the commands to the tree."""
    app.command("run", help="Ask models and print how they did; everything is stored as it comes.")(asking(_go))
    app.command("submit", help="Queue a batch for the workers (`probe worker`, `probe up`).")(asking(_queue))
    for command in (resume, retry, status, rejudge, judge):
        app.command()(command)
    app.command("spec")(print_spec)


Option = typer.Option


def asking(proceed: Callable[["Store", int, int, bool], None]) -> Callable[..., None]:
    """Return a command that stores a batch, and then goes on with store, batch, concurrency and whether JSON is asked.

    Its flags are the keys of a spec file.
    """

    def command(
        families: Annotated[str | None, Option(metavar="NAME,…", help="all, optimization, numerics or names")] = None,
        sizes: Annotated[str | None, Option(metavar="xs,s,m,l,xl")] = None,
        models: Annotated[
            str | None, Option(metavar="NAME,…", help="all, none or names of `probe models list`")
        ] = None,
        baselines: Annotated[str | None, Option(metavar="NAME,…", help="all, none or names")] = None,
        instances: Annotated[int | None, Option(help="instances of each family and size  [20]")] = None,
        samples: Annotated[int | None, Option(help="answers of a model to each instance  [1]")] = None,
        variants: Annotated[str | None, Option(metavar="NAME,…")] = None,
        modules: Annotated[str | None, Option(metavar="NAME,…", help="default, none, all or names")] = None,
        channels: Annotated[
            str | None, Option(metavar="text,json,tool", help="how answers are asked for  [json]")
        ] = None,
        modes: Annotated[str | None, Option(metavar="final,trace", help="what numerics families are asked")] = None,
        seed: Annotated[int | None, Option(help="which instances  [7]")] = None,
        concurrency: Annotated[int | None, Option(help="calls open at once at each endpoint  [64]")] = None,
        examples: Annotated[int | None, Option(help="worked examples in the prompt  [0]")] = None,
        coverage: Annotated[
            str | None, Option(metavar="joint|each|pairs|none", help="modules that an example shows  [joint]")
        ] = None,
        warning: Annotated[bool, Option("--warning", help="warn that the problem may differ from a known one")] = False,
        temperature: Annotated[float | None, Option(help="[0]")] = None,
        effort: Annotated[str | None, Option(metavar="low|medium|high", help="reasoning effort")] = None,
        answer_tokens: Annotated[int | None, Option(help="cap of one answer  [1024]")] = None,
        name: Annotated[str | None, Option(help="name of the batch; the same name and spec resume")] = None,
        spec: Annotated[Path | None, Option(metavar="FILE.toml", help="a spec file (`probe spec` prints one)")] = None,
        max_calls: Annotated[int | None, Option(help="stop cleanly at this many calls")] = None,
        max_total_tokens: Annotated[
            int | None, Option("--max-total-tokens", "--max-tokens", help="stop cleanly at this many tokens")
        ] = None,
        max_cost: Annotated[float | None, Option(help="stop cleanly at this many USD")] = None,
        dry_run: Annotated[bool, Option("--dry-run", help="print calls, tokens, time, cost, power")] = False,
        as_json: Annotated[bool, Option("--json", help="print the result as JSON")] = False,
    ) -> None:
        from probe import batches

        arm = {"families": families, "sizes": sizes, "variants": variants, "modules": modules, "modes": modes}
        arm |= {"instances": instances, "seed": seed}  # type: ignore[dict-item]
        flags: dict[str, Any] = arm | {
            "models": models,
            "baselines": baselines,
            "samples": samples,
            "channels": channels,
            "examples": examples,
            "coverage": coverage,
            "warning": warning or None,
            "temperature": temperature,
            "effort": effort,
            "answer-tokens": answer_tokens,
            "name": name,
            "concurrency": concurrency,
            "max-calls": max_calls,
            "max-total-tokens": max_total_tokens,
            "max-cost": max_cost,
        }
        given = {key: value for key, value in flags.items() if value is not None}
        if spec is not None:
            wanted, limits = batches.read_spec(spec, given)
        else:
            wanted, limits = batches.from_table(given)
            wanted = batches.checked(wanted)
        store = common.store()
        if dry_run:
            _dry_run(store, wanted, limits.get("concurrency", CONCURRENCY), as_json)
            return
        batch_id = _submit(store, wanted, limits)
        proceed(store, batch_id, limits.get("concurrency", CONCURRENCY), as_json)

    return command


def _submit(store: "Store", spec: "BatchSpec", limits: dict[str, Any]) -> int:
    from probe import models
    from probe.store.tables import Model
    from probe.submitting import submit

    with store.writing() as session:
        chosen = {model.id for model in models.resolve(session, spec.models)}
        models.check_keys([pair for pair in models.listing(session) if pair[0].id in chosen])
        if not session.query(Model).filter(Model.kind == "endpoint").count() and spec.models == ("all",):
            common.say("note: there are no models yet, so only the baselines answer; `probe models add --help`")
        submitted = submit(session, store.now(session), spec, limits.get("name"), _caps(limits))
    if not submitted.new:
        common.say(f"batch {submitted.name}: going on where it stood")
    return submitted.batch_id


def _checked(limits: dict[str, Any]) -> dict[str, Any]:
    """Return the limits that are given. Raises RequestError where one is out of range."""
    from probe.batches import from_table

    return from_table({key: value for key, value in limits.items() if value is not None})[1]


def _caps(limits: dict[str, Any]) -> dict[str, Any]:
    """Return limits as a batch stores them."""
    names = {"max_calls": "max-calls", "max_tokens": "max-total-tokens", "max_cost": "max-cost"}
    names |= {"concurrency": "concurrency"}
    return {column: limits.get(key) for column, key in names.items()}


def _go(store: "Store", batch_id: int, concurrency: int, as_json: bool) -> None:
    """Run a batch to its end and print its table."""
    from probe.results.cells import result_table
    from probe.results.formats import render
    from probe.running import run as run_batch
    from probe.store.tables import Batch

    with progress() as shown:
        ran = asyncio.run(run_batch(store, batch_id, concurrency=concurrency, progress=shown))
    with store.reading() as session:
        name = session.get_one(Batch, batch_id).name
        table = result_table(session, ("model",), batch=batch_id)
    if as_json:
        common.print_json({"batch": name, "state": ran.state, "errors": ran.errors} | json.loads(render(table, "json")))
    elif table.cells:
        print(render(table, "table"))
    for who, error in ran.errors.items():
        common.say(f"error: {who}: {error}")
    if ran.state == "budget_reached":
        common.say(f"batch {name} stopped at its limit; raise it and go on: probe resume {name} --max-calls N")
    elif ran.state == "running":
        common.say(f"batch {name}: another process is asking the rest; probe status {name} shows how it stands")
    elif ran.state == "cancelled":
        common.say(f"batch {name} was cancelled; what was answered is stored")
    elif ran.state == "paused":
        common.say(f"batch {name} is paused; what was answered is stored. Go on: probe resume {name}")
    elif ran.state == "complete" and ran.errors:
        common.say(f"batch {name}: not every answer got through; when the cause is mended: probe retry {name}")
    elif ran.state == "complete":
        common.say(f"batch {name} is complete. By family: probe results --batch {name} --by model,family")
    elif ran.state == "failed":
        common.say(f"what was answered is stored; when the cause is mended: probe resume {name}")
    if ran.errors or ran.state in ("failed", "paused", "cancelled"):
        raise typer.Exit(1)


def _queue(store: "Store", batch_id: int, concurrency: int, as_json: bool) -> None:
    """Leave a batch to the workers, and wake them."""
    from probe.controls import queue
    from probe.doorbell import Doorbell
    from probe.settings import settings
    from probe.store.tables import Batch

    with store.writing() as session:
        batch = session.get_one(Batch, batch_id)
        queue(session, batch)
        name, state = batch.name, batch.state
    broker = settings().broker_url
    rung = Doorbell(broker).ring("prepare", "ask")
    if as_json:
        common.print_json({"batch": name, "id": batch_id, "state": state, "rung": rung})
        return
    common.say(f"batch {name} is {state}; probe watch {name}")
    if state == "queued" and not rung:
        reason = "no broker is configured" if broker is None else "the broker can't be reached"
        common.say(f"note: {reason}; a running worker finds the batch within a minute all the same")


def _dry_run(store: "Store", spec: "BatchSpec", concurrency: int, as_json: bool) -> None:
    from probe.planning import plan, render_plan

    with store.reading() as session:
        planned = plan(session, spec, concurrency)
    if as_json:
        common.print_json(planned.plain())
    else:
        print(render_plan(planned))


def resume(
    batch: str,
    concurrency: Annotated[int, Option(help="calls open at once at each endpoint")] = CONCURRENCY,
    max_calls: Annotated[int | None, Option(help="a new limit")] = None,
    max_total_tokens: Annotated[int | None, Option("--max-total-tokens", "--max-tokens", help="a new limit")] = None,
    max_cost: Annotated[float | None, Option(help="a new limit, USD")] = None,
    queue: Annotated[bool, Option("--queue", help="leave it to the workers")] = False,
    as_json: Annotated[bool, Option("--json")] = False,
) -> None:
    """Go on with a batch where it stands; nothing that was answered is asked again."""
    from probe import controls

    caps = {"max-calls": max_calls, "max-total-tokens": max_total_tokens, "max-cost": max_cost}
    limits = _caps(_checked({"concurrency": concurrency} | caps))
    store = common.store()
    with store.writing() as session:
        found = common.find_batch(session, batch)
        controls.limit(session, found, {key: value for key, value in limits.items() if value is not None})
        batch_id = found.id
    (_queue if queue else _go)(store, batch_id, concurrency, as_json)


def retry(
    batch: str,
    concurrency: Annotated[int, Option()] = CONCURRENCY,
    queue: Annotated[bool, Option("--queue", help="leave it to the workers")] = False,
) -> None:
    """Ask a batch's trials that got no reply once more."""
    from probe.rejudging import retry as take_back

    _checked({"concurrency": concurrency})
    store = common.store()
    with store.writing() as session:
        found = common.find_batch(session, batch)
        taken, left = take_back(session, store.now(session), found)
        batch_id = found.id
    common.say(f"{taken} trial{'s' if taken != 1 else ''} to ask again")
    if left:
        common.say(f"{left} more in the hands of a process that asks; when it has ended: probe retry {batch}")
    if taken:
        (_queue if queue else _go)(store, batch_id, concurrency, False)


def status(
    batch: Annotated[str | None, typer.Argument(help="id or name; all batches without it")] = None,
    as_json: Annotated[bool, Option("--json")] = False,
) -> None:
    """Show how batches stand."""
    from sqlalchemy import select

    from probe.planning import standing
    from probe.store.tables import Batch

    store = common.store()
    with store.reading() as session:
        if batch is not None:
            rows = [standing(session, common.find_batch(session, batch))]
        else:
            rows = [standing(session, row) for row in session.scalars(select(Batch).order_by(Batch.id))]
    if as_json:
        common.print_json(rows[0] if batch is not None else {"batches": rows})
        return
    if not rows:
        common.say("no batches yet; `probe run --help`")
    for row in rows:
        outcomes = ", ".join(f"{name} {count}" for name, count in row["outcomes"].items() if count)
        cost = "" if row["cost"] is None else f", {row['cost']:.4f} USD"
        print(
            f"{row['id']}  {row['name']}  {row['state']}  {row['trials']} of {row['planned']} trials,"
            f" {row['calls']} calls, {row['tokens']} tokens{cost}" + (f"  ({outcomes})" if outcomes else "")
        )
        if row["discards"] or row["holes"]:
            reasons = ", ".join(f"{reason} {count}" for reason, count in sorted(row["discards"].items()))
            print(f"   instances: {row['holes']} holes; discarded attempts: {reasons or 'none'}")
        for note in row["notes"]:
            print(f"   note: {note}")


def print_spec() -> None:
    """Print a commented spec file."""
    from probe.batches import TEMPLATE

    print(TEMPLATE, end="")


def rejudge() -> None:
    """Judge every stored reply again with this program's judge, without a new call, and print what changed."""
    from probe.rejudging import rejudge as judge_again

    changes = judge_again(common.store())
    print(f"{changes.trials} trials judged again")
    for (old, new), count in sorted(changes.moved.items()):
        print(f"  {old} -> {new}: {count}")
    print(f"  same outcome, another count of satisfied constraints: {changes.recounted}")
    if changes.skipped:
        print(f"  left alone (of a family version that this program no longer has): {changes.skipped}")


def judge(file: Path) -> None:
    """Judge replies obtained elsewhere: JSON lines with family, size, seed, index, reply (mode, modules, variant)."""
    from probe.judging_files import judge_lines

    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise RequestError(f"{file}: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise RequestError(f"{file}: not a UTF-8 text file") from None
    for verdict in judge_lines(lines, str(file)):
        print(json.dumps(verdict, ensure_ascii=False))
