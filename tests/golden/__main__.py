"""Write the golden corpus: ``python -m tests.golden [--unreleased]``.

It refuses to write over a changed verdict, instance or prompt whose version is the old one, because stored results
carry that version. ``--unreleased``: the change is to something that nobody has results of.
"""

import json
import sys
from collections.abc import Iterator
from typing import Any

from probe.asking import baselines
from probe.asking.posed import Posed
from solvers import registry
from solvers.keys import Stream
from solvers.problem import examine
from tests.golden import INSTANCES, REPLIES, SEED, fingerprint, judged, posed_at, unversioned

FARTHEST = 500  # complete answers looked at for one that violates a kind

# (family, size, index, mode, reply, finish reason). Capitals stand for answers: EXACT, GREEDY and so on, as JSON;
# BREAKS k: one that violates constraint kind k.
Case = tuple[str, str, int, str, str, str]
NAMES = tuple(registry.modules())
EVERY = [(name, mode) for name in NAMES for mode in registry.get(name).modes]
CASES: list[Case] = [
    *((name, "xs", 0, mode, "EXACT", "stop") for name, mode in EVERY),
    *((name, "s", 1, mode, "I tried a few things.\n\n```json\nEXACT\n```\n", "stop") for name, mode in EVERY),
    *((name, "s", 2, mode, "RANDOM", "stop") for name, mode in EVERY),
    *((name, "xs", 1, mode, "BLANK", "stop") for name, mode in EVERY),
    *((name, "m", 0, mode, "MUTATED", "stop") for name, mode in EVERY),
    *(
        (name, "m", 1, mode, "TEMPLATE" if registry.get(name).kind == "numerics" else "GREEDY", "stop")
        for name, mode in EVERY
    ),
    *((name, "xs", 0, mode, "CUT", "stop") for name, mode in EVERY),
    *((name, "s", 3, "final", f"BREAKS {k}", "stop") for name in NAMES for k in registry.get(name).constraint_kinds),
    ("knapsack", "xs", 0, "final", '{"items": [1, 2, 3, 4, 5, 6]}', "stop"),
    ("bin_packing", "xs", 0, "final", '{"assignment": {"1": 1, "2": 1, "3": 1, "4": 1, "5": 1, "6": 1}}', "stop"),
    ("job_shop", "xs", 0, "final", '{"starts": {"1": [0, 0], "2": [0, 0]}}', "stop"),
    ("newton", "xs", 0, "final", '{"state": ["1/3"]}', "stop"),
    ("jacobi", "xs", 0, "final", '{"x": [0.333333333333333333333333333333333333, 1e-39]}', "stop"),
    ("jacobi", "xs", 0, "final", '{"x": [NaN, 1e999]}', "stop"),
    ("jacobi", "xs", 0, "final", '{"x": [1, 2, 3]}', "stop"),
    ("gradient_descent", "xs", 0, "trace", '{"iterates": [[1, 2, 3]]}', "stop"),
    ("job_shop", "xs", 0, "final", '{"starts": {"1": [0.0, 9.0], "2": [0.0, 9.0]}}', "stop"),
    ("job_shop", "xs", 0, "final", '{"starts": {"1": [0, 9]}}', "stop"),
    ("job_shop", "xs", 0, "final", '{"starts": {"1": [0, -1], "2": [0, 9]}}', "stop"),
    ("job_shop", "xs", 0, "final", "EXACT\n\nLet me check this onc", "length"),
    ("bin_packing", "xs", 0, "final", "CUT", "length"),
    ("bin_packing", "xs", 0, "final", '{"assignment": {"item 1": "bin 1", "item 2": "bin 1"}}', "stop"),
    ("bin_packing", "xs", 0, "final", '{"assignment": {"1": 1, "1": 2}}', "stop"),
    ("knapsack", "xs", 0, "final", "", "stop"),
    ("knapsack", "xs", 0, "final", "", "length"),
    ("knapsack", "xs", 0, "final", "<think>Items 1 and 2 fit.", "length"),
    ("knapsack", "xs", 0, "final", "I'm sorry, but I can't help with that.", "stop"),
    ("knapsack", "xs", 0, "final", "This is a knapsack problem; dynamic programming solves it.", "stop"),
    ("knapsack", "xs", 0, "final", '{"items": [1, 1, 2]}', "stop"),
    ("knapsack", "xs", 0, "final", '{"items": [0, 99]}', "stop"),
    ("knapsack", "xs", 0, "final", '{"items": [true]}', "stop"),
    ("knapsack", "xs", 0, "final", "{'items': (1, 2,)}", "stop"),
    ("knapsack", "xs", 0, "final", 'First {"items": [1]}, but better is {"items": [1, 2]}.', "stop"),
    ("knapsack", "xs", 0, "final", "The answer is $\\boxed{\\{1, 2\\}}$.", "stop"),
    ("knapsack", "xs", 0, "final", '{"answer": {"Items": ["1", "item 2"]}, "note": "done"}', "stop"),
]


def walk(posed: Posed) -> Iterator[Any]:
    """Yield answers further and further away from the exact one, then those that lack an entity."""
    exact, stream = baselines.answer(posed, "exact", 0), Stream(f"{posed.instance.key}/golden")
    current = exact
    for k in range(FARTHEST):
        current = posed.shape.mutated(exact if k % 10 == 0 else current, stream)
        yield current
    yield from (answer for _, _, answer in posed.shape.lacking(exact))


def breaking(posed: Posed, kind: str) -> Any:
    """Return the first answer of the walk that violates a constraint of a kind."""
    for answer in walk(posed):
        if any(check.kind == kind and not check.satisfied for check in examine(posed.constraints, answer)):
            return answer
    raise LookupError(f"{posed.instance.family}: no answer found that violates {kind!r}")


def entries() -> Iterator[dict[str, Any]]:
    """Yield the cases with their replies spelt out, judged."""
    for name, size, index, mode, pattern, finish_reason in CASES:
        posed = posed_at(registry.get(name), size, index, mode)
        shape = posed.shape
        answers = {baseline.upper(): baselines.answer(posed, baseline, 0) for baseline in baselines.BASELINES}
        answers["MUTATED"] = next(walk(posed))
        texts = {
            word: json.dumps(shape.write(answer, posed.instance.names))
            for word, answer in answers.items()
            if answer is not None
        }
        if pattern.startswith("BREAKS "):
            answer = breaking(posed, pattern.removeprefix("BREAKS "))
            texts[pattern] = json.dumps(shape.write(answer, posed.instance.names))
        texts["CUT"] = texts["EXACT"][:-3]
        reply = pattern
        for word, text in texts.items():
            reply = reply.replace(word, text)
        given = {"family": name, "size": size, "seed": SEED, "index": index, "mode": mode}
        yield judged(given | {"reply": reply, "finish_reason": finish_reason})


def main() -> int:
    """Write the corpus; 1 where a version has to be raised first."""
    replies = list(entries())
    instances = {name: fingerprint(name) for name in NAMES}
    if (changes := unversioned(replies, instances)) and "--unreleased" not in sys.argv[1:]:
        print("Not written. Raise first:", *changes, sep="\n  ", file=sys.stderr)
        return 1
    REPLIES.write_text("".join(json.dumps(entry) + "\n" for entry in replies), encoding="utf-8")
    INSTANCES.write_text(json.dumps(instances, indent=1) + "\n", encoding="utf-8")
    print(f"{len(replies)} replies, {sum(len(one['sizes']) for one in instances.values())} instances")
    return 0


if __name__ == "__main__":
    sys.exit(main())
