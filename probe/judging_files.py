"""Judging replies that were obtained elsewhere: one JSON object a line, verdicts out, nothing stored."""

import json
from collections.abc import Iterable, Iterator
from typing import Any

from probe.asking.judging import judge_reply
from probe.asking.posed import Posed
from probe.errors import RequestError
from solvers import registry
from solvers.problem import Hole

NEEDED = {"family": str, "size": str, "seed": int, "index": int, "reply": str}


def judge_lines(lines: Iterable[str], where: str) -> Iterator[dict[str, Any]]:
    """Yield the verdict of each line. Raises RequestError naming line and field, before anything is judged."""
    parsed = [_parse(text, f"{where}, line {i}") for i, text in enumerate(lines, 1) if text.strip()]
    for entry, posed in parsed:
        verdict = judge_reply(posed, entry["reply"], entry.get("finish_reason"))
        yield {
            "key": posed.instance.key,
            "outcome": verdict.outcome,
            "satisfied": verdict.satisfied,
            "constraints": len(verdict.checks),
            "objective": None if verdict.objective is None else str(verdict.objective),
            "optimum": None if posed.instance.optimum is None else str(posed.instance.optimum),
            "failed": [check.id for check in verdict.checks if not check.satisfied],
            "repairs": list(verdict.repairs),
            "error": verdict.error,
        }


def _parse(text: str, where: str) -> tuple[dict[str, Any], Posed]:
    try:
        entry = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise RequestError(f"{where}: not JSON ({error})") from None
    if not isinstance(entry, dict):
        raise RequestError(f"{where}: not a JSON object")
    for field, kind in NEEDED.items():
        if not isinstance(entry.get(field), kind) or isinstance(entry.get(field), bool):
            raise RequestError(f"{where}: {field} is missing or of the wrong type; needed: {', '.join(NEEDED)}")
    if entry["family"] not in registry.modules():
        raise RequestError(f"{where}: family: unknown {entry['family']!r}; one of {', '.join(registry.modules())}")
    family = registry.get(entry["family"])
    mode = entry.get("mode", "final")
    variant = entry.get("variant", "fresh")
    if not isinstance(variant, str) or variant not in family.variants:
        raise RequestError(f"{where}: variant: {family.name} has {', '.join(family.variants)}")
    if mode not in family.modes_of(variant):
        raise RequestError(f"{where}: mode: {family.name} can be asked for {', '.join(family.modes_of(variant))}")
    modules = entry.get("modules")
    if modules is not None and not (isinstance(modules, list) and all(isinstance(m, str) for m in modules)):
        raise RequestError(f"{where}: modules: give a list of names")
    try:
        chosen = None if modules is None else tuple(modules)
        found, _ = family.instance(entry["size"], entry["seed"], entry["index"], chosen, variant)
    except ValueError as error:
        raise RequestError(f"{where}: {error}") from None
    if isinstance(found, Hole):
        raise RequestError(f"{where}: index {entry['index']} is a hole: no attempt could be proven")
    return entry, Posed(found, mode)
