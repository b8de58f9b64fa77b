"""Benches: `python -m tests.bench [NAME…]` measures, prints a table and exits 1 where a figure misses its floor.

Rates are compared side by side: A and B take turns within one run, on the same machine under the same load, and the
medians of the rounds are set against each other. Nothing here is a test: timings depend on the machine.
"""

import argparse
import sys
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

from solvers import registry
from solvers.problem import Family
from tests.bench import measuring

ROUNDS = 3
CONCURRENCY = 64
SERVICE_TRIALS = 2500
NIGHTLY = 50_000
FAMILY_INSTANCES = 21
INSPECT = Path(".venv-bench/bin/python")


@dataclass(frozen=True)
class Figure:
    """What was measured, and what it must be: `floor` is the least (the most where `at_most`), `aim` what we want."""

    name: str
    value: float
    floor: float
    aim: float | None
    unit: str
    detail: str
    at_most: bool = False

    @property
    def missed(self) -> bool:
        return self.value > self.floor if self.at_most else self.value < self.floor


def rates(first, second) -> tuple[float, float, str]:
    """Run two measurements in turn; return the median of each one's trials per second, and the rounds in words.

    CPU is told beside: it is hardly disturbed by what else the machine does.
    """
    rounds = [(first(), second()) for _ in range(ROUNDS)]
    ours, theirs = (median(map(measuring.rate, column)) for column in zip(*rounds, strict=True))
    cpu = (median(1000 * m["cpu"] / m["trials"] for m in column) for column in zip(*rounds, strict=True))
    words = "  ".join(f"{measuring.rate(a):.0f}:{measuring.rate(b):.0f}" for a, b in rounds)
    return ours, theirs, f"{words}  CPU ms/trial {':'.join(f'{ms:.2f}' for ms in cpu)}"


def bare(folder: Path) -> Iterator[Figure]:
    """Trials per second, each judged and stored, against a bare loop of the client that drops its answers."""
    with measuring.endpoint() as url:
        ours, theirs, rounds = rates(
            lambda: measuring.run_probe(url, 250, 16, CONCURRENCY),
            lambda: measuring.child("bare", url, 4000, CONCURRENCY),
        )
    yield Figure("run / bare loop", ours / theirs, 1.0, 2.0, "x", f"{ours:.0f} / {theirs:.0f} trials/s  ({rounds})")


def inspect(folder: Path) -> Iterator[Figure]:
    """The same against inspect_ai, between start and end of its `eval()`."""
    if not INSPECT.exists():
        sys.exit(f"inspect: there is no {INSPECT}; `make bench` makes it")
    prompts = folder / "prompts.json"
    with measuring.endpoint() as url:
        measuring.save_prompts(prompts, 500)
        script = Path(__file__).with_name("inspect_child.py")
        ours, theirs, rounds = rates(
            lambda: measuring.run_probe(url, 250, 16, CONCURRENCY),
            lambda: measuring.json_of([INSPECT, script, url, prompts, CONCURRENCY, folder / "logs"]),
        )
    yield Figure("run / inspect_ai", ours / theirs, 10, 20, "x", f"{ours:.0f} / {theirs:.1f} trials/s  ({rounds})")


def memory(folder: Path) -> Iterator[Figure]:
    """Peak resident size of the process that runs a batch of 50,000 trials, against one of 5,000."""
    with measuring.endpoint() as url:
        small, large = (measuring.run_probe(url, 500, samples, CONCURRENCY) for samples in (10, 100))
    assert (small["trials"], large["trials"]) == (5000, 50000)
    detail = f"{large['peak']:.0f} / {small['peak']:.0f} MB"
    yield Figure("memory, 50,000 / 5,000 trials", large["peak"] / small["peak"], 1.3, None, "x", detail, True)
    detail = f"{measuring.rate(large):.0f} trials/s"
    yield Figure("memory, 50,000 trials", large["peak"], 300, None, "MB", detail, True)


def service(folder: Path) -> Iterator[Figure]:
    """Queued batches through PostgreSQL, broker and workers against `probe run` on the same server and instant
    endpoint; two processes that ask against one; a nightly run of slow answers; what a million queued trials cost.

    Each has a database of its own: a worker takes shards of whatever runs in its own.
    """
    with measuring.endpoint() as url, measuring.servers() as (server, brokers):
        one, two, alone = (measuring.database(server, name) for name in ("one", "two", "alone"))
        with measuring.workers(one, brokers[0], 1) as single, measuring.workers(two, brokers[1], 2) as pair:
            places = ((one, brokers[0], single), (two, brokers[1], pair))
            for place in places:
                measuring.queued(url, *place, 250)  # instances are made, modules imported
            rounds = [
                (
                    *(measuring.queued(url, *place, SERVICE_TRIALS) for place in places),
                    measuring.child("local", url, alone, SERVICE_TRIALS, CONCURRENCY),
                )
                for _ in range(ROUNDS)
            ]
            yield from beside(rounds)
            yield from nightly(url, one, brokers[0], single)
        yield from million(measuring.database(server, "million"), brokers[2])


def beside(rounds: list[tuple[dict[str, float], ...]]) -> Iterator[Figure]:
    """One process that asks, two of them, and `probe run`, each a measurement a round.

    Two can't be twice as fast on two cores that endpoint, database and broker share: CPU a trial tells whether they
    are in each other's way.
    """
    one, two, run = (median(map(measuring.rate, column)) for column in zip(*rounds, strict=True))
    ms = [median(1000 * m["cpu"] / m["trials"] for m in column) for column in zip(*rounds, strict=True)]
    words = "  ".join(":".join(f"{measuring.rate(m):.0f}" for m in row) for row in rounds)
    told = f"one:two:run, trials/s  {words}"
    yield Figure(
        "service / run", median(measuring.rate(r[0]) / measuring.rate(r[2]) for r in rounds), 0.8, 1, "x", told
    )
    yield Figure("CPU, service / run", ms[0] / ms[2], 1.25, 1, "x", f"{ms[0]:.2f} / {ms[2]:.2f} ms a trial", True)
    yield Figure("two processes / one", two / one, 1.0, 1.6, "x", f"{two:.0f} / {one:.0f} trials/s; run {run:.0f}")
    yield Figure("CPU, two / one", ms[1] / ms[0], 1.25, 1, "x", f"{ms[1]:.2f} / {ms[0]:.2f} ms a trial", True)


def nightly(at_once: str, database: str, broker: str, worker: int) -> Iterator[Figure]:
    """At an endpoint of 20 ms with 256 calls open (12,800 trials a second) the core of a process that asks is the
    limit: the same process at an endpoint that answers at once tells how much it can do. Where the endpoint is slower
    than that, its own rate is the limit. Rates are those between a fifth and four fifths of a batch."""
    with measuring.endpoint(0.02) as url:
        rounds = [
            (
                measuring.queued(url, database, broker, worker, NIGHTLY // ROUNDS, 256),
                measuring.queued(at_once, database, broker, worker, SERVICE_TRIALS, CONCURRENCY),
            )
            for _ in range(ROUNDS)
        ]
    night, limit = (median(m["steady"] for m in column) for column in zip(*rounds, strict=True))
    ms = [median(1000 * m["cpu"] / m["trials"] for m in column) for column in zip(*rounds, strict=True)]
    told = f"{night:.0f} / {limit:.0f} trials/s, CPU {ms[0]:.2f} / {ms[1]:.2f} ms, peak {rounds[-1][0]['peak']:.0f} MB"
    yield Figure("nightly, 20 ms / at once", night / limit, 0.9, 1, "x", told)
    calls, seconds = 256, 2.0
    with measuring.endpoint(seconds) as url:
        slow = measuring.queued(url, database, broker, worker, 40 * calls, calls)
    told = f"{slow['steady']:.0f} / {calls / seconds:.0f} trials/s, {calls} calls open at {seconds:.0f} s"
    yield Figure("nightly / endpoint's rate", slow["steady"] * seconds / calls, 0.9, 1, "x", told)


def million(database: str, broker: str) -> Iterator[Figure]:
    """A million queued trials in 20,000 shards: submitting them, and looking at them."""
    queued = measuring.child("million", database)
    told = f"{queued['trials']} trials, CPU {queued['cpu']:.1f} s"
    yield Figure("submit 1,000,000 trials", queued["seconds"], 30, None, "s", told, True)
    looks = (("status", "standing"), ("queue, none prepared", "unprepared"), ("queue, all prepared", "due"))
    for name, key in looks:
        yield Figure(f"{name} meanwhile", 1000 * queued[key], 50, None, "ms", "", True)
    found = measuring.watched(database, broker, int(queued["batch"]))
    yield Figure("/metrics meanwhile", 1000 * found["metrics"], 50, None, "ms", "through the API", True)
    for name in ("API", "beat"):
        before, after = found[name]
        told = f"{before:.0f} MB, then {after:.0f} MB"
        yield Figure(f"memory of {name}, later / before", after / before, 1.1, 1, "x", told, True)


def tables(folder: Path) -> Iterator[Figure]:
    """Milliseconds of tables over a million stored trials, and one of them against the GROUP BY that it equals."""
    for name in ("SQLite", "PostgreSQL"):
        with (
            measuring.servers() if name == "PostgreSQL" else nullcontext((f"sqlite:///{folder}/t.sqlite3", "")) as (
                at,
                _,
            )
        ):
            took = measuring.child("tables", at)
        told = f"of {took['trials']:,} trials"
        yield Figure(f"{name}: one measure", 1000 * took["one"], 250, None, "ms", told, True)
        for table in ("shown", "all", "families", "kinds", "compare"):
            yield Figure(f"{name}: {table}", 1000 * took[table], 1000, None, "ms", told, True)
        faster = took["grouped"] / took["one"]
        yield Figure(f"{name}: GROUP BY / one", faster, 4, None, "x", f"{1000 * took['grouped']:.0f} ms, equal numbers")


def startup(folder: Path) -> Iterator[Figure]:
    """Wall of whole commands in fresh processes."""
    for command, floor in (("--help", 0.4), ("families", 1.0)):
        times = [measuring.command(command).seconds for _ in range(7)]
        figure = Figure(f"probe {command}", median(times), floor, None, "s", f"up to {max(times):.2f}", True)
        yield figure
        if figure.missed:
            print("\n".join(["slowest imports (cumulative):", *measuring.slowest_imports(command)]), file=sys.stderr)


def instances(folder: Path) -> Iterator[Figure]:
    """Wall of `probe run` over 10,000 new knapsacks of size s, on two cores.

    A run in which nobody answers is refused, so `blank` does: the figure holds its 10,000 judged answers too.
    """
    wanted = {"families": "knapsack", "sizes": "s", "instances": 10000, "models": "none", "baselines": "blank"}
    flags = [part for key, value in wanted.items() for part in (f"--{key}", str(value))]
    done = measuring.command("run", *flags, cores=2)
    stored = done.count("instance"), done.count("trial")
    assert stored == (10000, 10000), stored
    detail = "made, solved and stored; and 10,000 blank answers judged"
    yield Figure("10,000 knapsacks", done.seconds, 60, None, "s", detail, True)


def families(folder: Path) -> Iterator[Figure]:
    """Median milliseconds in which one process makes an instance of size m with all modules and proves its answer."""
    took = {family: milliseconds(family) for family in registry.families()}
    constrained = {f.name: ms for f, ms in took.items() if f.kind == "optimization"}
    procedures = {f.name: ms for f, ms in took.items() if f.kind == "numerics"}
    for kind in (constrained, procedures):
        print("  ".join(f"{name} {ms:.1f}" for name, ms in sorted(kind.items(), key=lambda item: item[1])))
    fast = sum(ms <= 50 for ms in constrained.values())
    yield Figure("constrained within 50 ms", fast, 20, None, "", f"of {len(constrained)} families")
    for name, kind, most in (("constrained", constrained, 2000), ("procedure", procedures, 5)):
        slowest = max(kind, key=lambda family: kind[family])
        yield Figure(f"slowest {name}", kind[slowest], most, None, "ms", slowest, True)


def milliseconds(family: Family[Any, Any]) -> float:
    """Return the median time of making an instance of size m."""
    times = []
    for index in range(FAMILY_INSTANCES):
        began = perf_counter()
        family.instance("m", 11, index)
        times.append(1000 * (perf_counter() - began))
    return median(times[1:])  # the first one imports the solver


BENCHES: dict[str, Callable[[Path], Iterator[Figure]]] = {
    "startup": startup,
    "bare": bare,
    "inspect": inspect,
    "memory": memory,
    "instances": instances,
    "families": families,
    "service": service,
    "tables": tables,
}


def show(figure: Figure) -> None:
    sign, aim = "<=" if figure.at_most else ">=", "" if figure.aim is None else f", aim {figure.aim:g}"
    bound = f"{sign} {figure.floor:g} {figure.unit}{aim}"
    print(f"{figure.name:<30} {figure.value:>8.2f} {figure.unit:<3} {bound:<20} {figure.detail}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__.partition("\n")[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"all of {', '.join(BENCHES)} if none is given")
    names = parser.parse_args().names or list(BENCHES)
    if unknown := set(names) - BENCHES.keys():
        parser.error(f"no bench {', '.join(sorted(unknown))}; there are {', '.join(BENCHES)}")
    print(f"{measuring.machine()}; rounds as probe:other\n")
    missed = []
    for name in names:
        with TemporaryDirectory() as folder:
            for figure in BENCHES[name](Path(folder)):
                show(figure)
                missed += [figure] if figure.missed else []
    for figure in missed:
        above = "at most" if figure.at_most else "at least"
        print(
            f"missed: {figure.name} is {figure.value:.2f} {figure.unit}, must be {above} {figure.floor:g}",
            file=sys.stderr,
        )
    sys.exit(bool(missed))


if __name__ == "__main__":
    main()
