"""Simulate studies with a known truth and write docs/statistics.md.

``python -m tests.simulate [--replications N] [--seed N] [--processes N]``. The figures depend on the first two alone.
Exit code 1 where one leaves the band that the page promises; the page is written all the same.
"""

import argparse
import os
import sys
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path

from tests.simulate.studies import STUDIES
from tests.simulate.tables import FULL, Table

PAGE = Path(__file__).parents[2] / "docs" / "statistics.md"
TEMPLATE = Path(__file__).with_name("page.md")


def page(tables: Mapping[str, Table], replications: int, seed: int) -> str:
    """Return the page: the template with figures filled in."""
    shown = {}
    for name, table in tables.items():
        fewer = f" From {table.replications:,} studies." if table.replications != replications else ""
        shown[name] = f"{table.about}{fewer}\n\n{table.markdown()}"
    return TEMPLATE.read_text(encoding="utf-8").format(replications=f"{replications:,}", seed=seed, **shown)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulate", description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--replications", type=int, default=FULL, metavar="N")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    given = parser.parse_args()
    with ProcessPoolExecutor(given.processes, get_context("spawn")) as pool:
        running = {study.__name__: pool.submit(study, given.replications, given.seed) for study in STUDIES}
        for done in as_completed(running.values()):
            table = done.result()
            print(f"{table.title}: {len(table.missed) or 'nothing'} outside its band", file=sys.stderr, flush=True)
    tables = {name: done.result() for name, done in running.items()}
    PAGE.write_text(page(tables, given.replications, given.seed), encoding="utf-8")
    missed = [miss for table in tables.values() for miss in table.missed]
    print(*missed, f"wrote {PAGE.relative_to(Path.cwd()) if PAGE.is_relative_to(Path.cwd()) else PAGE}", sep="\n")
    return int(bool(missed))


if __name__ == "__main__":
    sys.exit(main())
