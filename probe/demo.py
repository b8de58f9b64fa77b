"""The demonstration: two real local models of different sizes and all baselines, measured on six families.

Everything goes through the same functions as `probe run`, into the default database. Run again, nothing that was
answered is asked again.
"""

import argparse
import asyncio
import os
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from probe.cli import common
from probe.cli.progress import progress
from probe.errors import RequestError, WorkError
from probe.local import LOCAL_MODELS, LocalError, LocalModel, fetch, serve

if TYPE_CHECKING:
    from probe.batches import BatchSpec
    from probe.store.sessions import Store

FAMILIES = ("knapsack", "bin_packing", "job_shop", "newton", "jacobi", "gradient_descent")
SIZE = "xs"
ANSWER_TOKENS = 256
PARALLEL = 2  # requests that the local server answers at a time: more gain nothing on a small machine
PLOT = Path("demo-size.png")
WIDTH = 124  # columns where there is no terminal


def batch_name(model: LocalModel, instances: int) -> str:
    """Return the name of a model's batch: the same name resumes."""
    return f"demo-{instances}-{model.name}"


def demo_spec(model: LocalModel, instances: int) -> "BatchSpec":
    """Return what a model is asked."""
    from probe.batches import Arm, BatchSpec, checked

    return checked(
        BatchSpec(
            arms=(Arm(families=FAMILIES, sizes=(SIZE,), instances=instances),),
            models=(model.name,),
            channels=("json",),
            answer_tokens=ANSWER_TOKENS,
        )
    )


def is_complete(store: "Store", name: str, spec: "BatchSpec") -> bool:
    """Return whether the batch of a name was asked to its end, by this very spec."""
    from sqlalchemy import select

    from probe.store.tables import Batch

    with store.reading() as session:
        batch = session.scalar(select(Batch).where(Batch.name == name))
    return batch is not None and batch.state == "complete" and batch.spec_digest == spec.digest


def measure(model: LocalModel, specs: "Mapping[str, BatchSpec]", threads: int | None = None) -> None:
    """Fetch and serve a model, ask it batch by batch (name -> spec), and stop its server.

    ``threads`` of its server: one a core where None. Raises LocalError, RequestError, WorkError.
    """
    store = common.store()
    left = {name: spec for name, spec in specs.items() if not is_complete(store, name, spec)}
    if not left:
        common.say(f"{model.name}: everything is answered already")
        return
    path = fetch(model)
    common.say(f"{model.name}: starting llama.cpp's server")
    base = model.training == "base"
    with serve(path, name=model.name, base=base, n_parallel=PARALLEL, n_threads=threads or os.cpu_count()) as url:
        add_or_move(store, model, url)
        for name, spec in left.items():
            ask(store, model, name, spec)


def add_or_move(store: "Store", model: LocalModel, url: str) -> None:
    """Put a local model into the catalogue, or give the one that is there its server's new address."""
    from probe import models

    with store.writing() as session:
        if models.move(session, model.name, url):
            return
        facts = models.ModelFacts(
            name=model.name,
            url=url,
            served_id=model.name,
            params=model.params,
            active_params=model.active_params,
            layers=model.layers,
            width=model.width,
            training=model.training,
            lineage=model.lineage,
            reasoning=model.reasoning,
        )
        models.add(session, facts, store.now(session))


def ask(store: "Store", model: LocalModel, name: str, spec: "BatchSpec") -> None:
    """Run one batch to its end. Raises RequestError and WorkError."""
    from probe.running import run
    from probe.submitting import submit

    with store.writing() as session:
        submitted = submit(session, store.now(session), spec, name)
    with progress() as shown:
        ran = asyncio.run(run(store, submitted.batch_id, concurrency=PARALLEL, progress=shown))
    if ran.state != "complete":
        causes = "; ".join(ran.errors.values()) or "interrupted"
        raise WorkError(f"{model.name}: {ran.state} ({causes}); what was answered is stored, start again to go on")


def show(instances: int) -> None:
    """Print the tables, draw the plot, and say what to type next."""
    from probe.results import plots
    from probe.results.cells import result_table
    from probe.results.formats import render

    batches = ",".join(batch_name(model, instances) for model in LOCAL_MODELS)
    store = common.store()
    with store.reading() as session:
        for by in (("model", "params"), ("model", "family")):
            table = result_table(session, by, {"batch": batches})
            print(render(table, "table", width=shutil.get_terminal_size((WIDTH, 24)).columns))
            print()
        plots.save(plots.draw(session, "size", where={"batch": batches}), PLOT)
    first = batch_name(LOCAL_MODELS[0], instances)
    print(
        f"The plot of satisfaction by model size is in {PLOT}.\n\n"
        "What next:\n"
        f"  .venv/bin/probe results --where batch={batches} --by model,constraint_class\n"
        f"  .venv/bin/probe trials --batch {first}      then  .venv/bin/probe show TRIAL\n"
        "  .venv/bin/probe sample job_shop --size m --answer\n"
        "  .venv/bin/probe models add NAME --url URL --model ID     then  .venv/bin/probe run --models NAME"
    )


def exit_code(act: Callable[[], None], again: str) -> int:
    """Do something and return the exit code; ``again``: what is said of going on after an interruption."""
    try:
        act()
    except RequestError as error:
        common.say(f"error: {error}")
        return 2
    except (LocalError, WorkError) as error:
        common.say(f"error: {error}")
        return 1
    except KeyboardInterrupt:
        common.say(f"interrupted; what was answered is stored, {again}")
        return 130
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the demonstration; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m probe.demo", description=__doc__)
    parser.add_argument("--instances", type=int, default=20, help="instances of each family (default 20)")
    instances: int = parser.parse_args(arguments).instances
    if instances < 1:
        parser.error(f"--instances {instances}: give a whole number from 1")

    def act() -> None:
        for model in LOCAL_MODELS:
            measure(model, {batch_name(model, instances): demo_spec(model, instances)})
        show(instances)

    return exit_code(act, "`make demo` goes on")


if __name__ == "__main__":
    sys.exit(main())
