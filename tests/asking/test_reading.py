"""Reading answers out of replies: neither too strict nor too lenient, bounded, and never a value that doesn't fit.

`replies.jsonl` holds replies in the styles of many models with what a fair examiner reads in each, decided by hand.
"""

import json
import random
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from time import perf_counter
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from probe.asking.reading import read


def one(key: str, value: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": {key: value}, "required": [key], "additionalProperties": False}


def partial(properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
        "x-partial": True,
    }


def subset(key: str, labels: list[Any]) -> dict[str, Any]:
    return one(key, {"type": "array", "items": {"enum": labels}, "maxItems": len(labels), "uniqueItems": True})


def row(count: int, entry: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"type": "array", "items": entry, "minItems": count, "maxItems": count, **more}


START = {"type": "integer", "minimum": 0}
PAIR = row(2, {"type": "number"})
SCHEMAS = {
    "subset": subset("items", list(range(1, 17))),
    "guests": subset("guests", ["Alice", "Bob", "north dock"]),
    "bins": one("assignment", partial({str(i): {"enum": [1, 2, 3]} for i in range(1, 7)})),
    "starts": one("starts", partial({str(j + 1): row(n, START, **{"x-partial": True}) for j, n in enumerate((3, 2, 3))})),
    "vector": one("x", PAIR),
    "vectors": one("iterates", row(3, PAIR, **{"x-partial": True})),
}
REPLIES = [json.loads(line) for line in (Path(__file__).parent / "replies.jsonl").read_text("utf-8").splitlines()]


def comparable(value: Any, schema: str) -> Any:
    """The value with exact numbers, which the corpus writes as texts."""
    if isinstance(value, dict):
        return {k: comparable(v, schema) for k, v in value.items()}
    if isinstance(value, list):
        return [comparable(v, schema) for v in value]
    return Fraction(value) if value is not None and schema in ("vector", "vectors") else value
