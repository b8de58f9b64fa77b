"""Public instances are proven to their published optimum: reading, core constraints and objective are the textbook's.

What is here and who published it: tests/data/public/SOURCES.md.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from solvers import exact, registry
from solvers.constrained import Optimization

PUBLIC = Path(__file__).parents[1] / "data" / "public"
LISTED: list[dict[str, Any]] = json.loads((PUBLIC / "optima.json").read_text(encoding="utf-8"))
EFFORT = 60.0  # deterministic seconds
LEAST = 40


def provable(entry: dict[str, Any]) -> bool:
    """Return whether a family reads the file and is known to prove it within seconds."""
    if not entry["quick"] or entry["family"] not in registry.modules():
        return False
    if entry["file"].endswith("case3_lmbd.m"):  # its costs are quadratic: refused by the reader of the family
        return False
    return entry["format"] in registry.get(entry["family"]).formats


KNOWN = list(filter(provable, LISTED))


def name(entry: dict[str, Any]) -> str:
    return entry["file"] + ("" if entry["problem"] is None else f"-{entry['problem']}")


@pytest.mark.parametrize("entry", KNOWN, ids=map(name, KNOWN))
def test_the_published_optimum_is_proven(entry: dict[str, Any]) -> None:
    """The solver proves the published value, and its answer passes the family's own predicates."""
    family = registry.get(entry["family"])
    assert isinstance(family, Optimization)
    read = family.formats[entry["format"]]((PUBLIC / entry["file"]).read_text(encoding="utf-8"))
    problems = read if isinstance(read, tuple) else (read,)
    d = problems[(entry["problem"] or 1) - 1]
    solution = exact.solve(family.form(d), family.core(d), family.objective(d), EFFORT)
    assert solution.status == "optimal"
    assert solution.objective is not None
    printed = 1e-4 * abs(entry["optimum"]) if family.form(d).continuous else 0  # published with five digits
    assert abs(float(solution.objective) - entry["optimum"]) <= printed


def test_there_are_enough_of_them() -> None:
    """At least forty, of at least ten families, each with its source."""
    assert len(KNOWN) >= LEAST
    assert len({entry["family"] for entry in KNOWN}) >= 10
    assert all(entry["source"] for entry in KNOWN)
    assert len(set(map(name, KNOWN))) == len(KNOWN)
