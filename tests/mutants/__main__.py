"""Show every mutant to the tests: ``python -m tests.mutants [FAMILY ...] [--processes N]``.

Prints by family how many mutants of its predicates were seen, by the shared suite and by the family's own tests, and
every survivor. Exit code 1 where a survivor is not explained, or an explained one was seen after all.
"""

import argparse
import os
import sys
from collections import Counter
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context

from solvers import registry
from tests.mutants.explained import EXPLAINED
from tests.mutants.finding import ROOT, Found, predicates, tried

SHARED = "shared"  # the row of the predicates that several families have


def report(results: list[Found]) -> int:
    """Print what was found; return the exit code."""
    rows: dict[str, Counter[str]] = {}
    for one in results:
        row = rows.setdefault(one.families[0] if len(one.families) == 1 else SHARED, Counter())
        row.update(one.seen)
        row.update(seen=sum(one.seen.values()), total=sum(one.seen.values()) + len(one.survivors))
    survivors = [mutant for one in results for mutant in one.survivors]
    unexplained = [mutant for mutant in survivors if mutant not in EXPLAINED]
    tried_here = tuple(f"{one.where}: " for one in results)
    stale = [mutant for mutant in EXPLAINED if mutant.startswith(tried_here) and mutant not in survivors]
    print(f"{'family':<22}{'mutants':>8}{'seen':>8}{'share':>9}{'suite':>8}{'own tests':>11}")
    for name, row in [*sorted(rows.items()), ("all", sum(rows.values(), Counter()))]:
        share = f"{100 * row['seen'] / row['total']:.1f} %"
        print(f"{name:<22}{row['total']:>8}{row['seen']:>8}{share:>9}{row['suite']:>8}{row['own']:>11}")
    for mutant in survivors:
        if mutant in EXPLAINED:
            print(f"changes nothing: {mutant}\n    {EXPLAINED[mutant]}")
    for mutant in unexplained:
        print(f"not seen: {mutant}")
    for mutant in stale:
        print(f"explained, but seen: {mutant}")
    changing = sum(row["total"] for row in rows.values()) - (len(survivors) - len(unexplained))
    seen = sum(row["seen"] for row in rows.values())
    seconds = sum(one.seconds for one in results)
    print(
        f"seen: {seen} of {changing} mutants that change something ({100 * seen / changing:.1f} %);"
        f" {len(survivors) - len(unexplained)} more change nothing; {seconds:.0f} s of processor time"
    )
    return int(bool(unexplained or stale))


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("families", nargs="*", metavar="FAMILY", help=f"{', '.join(registry.modules())}; default: all")
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    given = parser.parse_args()
    if unknown := set(given.families) - set(registry.modules()):
        parser.error(f"no family {', '.join(sorted(unknown))}")
    os.chdir(ROOT)
    wanted = [p.where for p in predicates() if not given.families or set(p.families) & set(given.families)]
    results = []
    with ProcessPoolExecutor(given.processes, mp_context=get_context("spawn")) as processes:
        for done in as_completed(processes.submit(tried, where) for where in wanted):
            results.append(done.result())
            if sys.stderr.isatty():
                print(f"\r{len(results)} of {len(wanted)} predicates", end="", file=sys.stderr)
    if sys.stderr.isatty():
        print(file=sys.stderr)
    return report(sorted((one for one in results if one.seen or one.survivors), key=lambda one: one.where))


if __name__ == "__main__":
    sys.exit(main())
