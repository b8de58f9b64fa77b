"""Specs that are wrong in at least one place, by the thousand; the same for the same seed."""

import json
from collections.abc import Iterator
from random import Random
from typing import Any

VALID = {
    "models": ["none"],
    "baselines": ["random"],
    "samples": 1,
    "arm": [{"families": ["knapsack"], "sizes": ["xs"], "instances": 2, "seed": 7}],
}
NOT_NAMES = [None, True, 7, 0.5, {}, [[]], [1], ["knapsack", None], {"0": "s"}, [{}], ["\ud800"], ["s\0"]]
NOT_WHOLE = [None, "7", "", 0.5, -1, [], {}, [1], True, False, 10**19, -(10**30), 1e300, float("nan"), float("inf")]
NOT_NUMBER = [None, "0", -0.1, 1e16, float("inf"), float("nan"), -float("inf"), [], {}, True, 10**400]
NOT_TEXT = [None, 7, 0.5, True, [], {}, ["a"], "a\0b", "\ud800"]
NOT_BOOL = [None, 0, 1, "true", "", [], {}]
UNKNOWN = ["no-such", "", " ", "'; DROP TABLE batch; --", "../../etc/passwd", "ﬀ", "😀" * 50, "x" * 5000, "%s%n"]
OF_ARM: dict[str, list[Any]] = {
    "families": [*NOT_NAMES, *([name] for name in UNKNOWN), []],
    "sizes": [*NOT_NAMES, *([name] for name in UNKNOWN), ["xs", "xxl"], []],
    "variants": [*NOT_NAMES, *([name] for name in UNKNOWN), ["fresh", "stale"], []],
    "modules": [*NOT_NAMES, *([name] for name in UNKNOWN), ["default", "no-such"]],
    "modes": [*NOT_NAMES, *([name] for name in UNKNOWN), ["trace"], []],
    "instances": [*NOT_WHOLE, 0, 1_000_001],
    "seed": [*NOT_WHOLE, 2**62 + 1],
}
OF_SPEC: dict[str, list[Any]] = {
    "models": [*NOT_NAMES, *([name] for name in UNKNOWN), ["all", "none"]],
    "baselines": [*NOT_NAMES, *([name] for name in UNKNOWN), ["random", "wise"], []],
    "channels": [*NOT_NAMES, *([name] for name in UNKNOWN), ["json", "fax"], []],
    "samples": [*NOT_WHOLE, 0, 10_001],
    "examples": [*NOT_WHOLE, 21],
    "coverage": [*NOT_TEXT, *UNKNOWN],
    "warning": NOT_BOOL,
    "temperature": [*NOT_NUMBER, 2.5],
    "effort": [*NOT_TEXT, *UNKNOWN],
    "answer_tokens": [*NOT_WHOLE, 0, 1_000_001],
    "answer-tokens": [*NOT_WHOLE, 0],
    "name": [*NOT_TEXT, "", " ", "\n", "x" * 201],
    "max_calls": [*NOT_WHOLE, 0],
    "max-total-tokens": [*NOT_WHOLE, 0],
    "max_cost": [*NOT_NUMBER, 0],
    "concurrency": [*NOT_WHOLE, 0],
    "arm": [None, [], True, 7, "s", {}, [1], [None], [[]], ["s"], [{}, 5], {"sizes": ["s"]}, [{"samples": 1}]],
}


def bodies(number: int, seed: int) -> Iterator[bytes]:
    """Yield so many request bodies, each wrong."""
    random = Random(seed)
    ways = [_spec] * 8 + [_torn, _odd_key, _noise]
    for _ in range(number):
        yield random.choice(ways)(random)


def _spec(random: Random) -> bytes:
    """A spec with one to three wrong values."""
    spec = json.loads(json.dumps(VALID))
    for _ in range(random.choice((1, 1, 2, 3))):
        whole = isinstance(spec["arm"], list) and spec["arm"] and isinstance(spec["arm"][0], dict)
        if whole and random.random() < 0.5:
            key = random.choice(list(OF_ARM))
            spec["arm"][0][key] = random.choice(OF_ARM[key])
        else:
            key = random.choice(list(OF_SPEC))
            spec[key] = random.choice(OF_SPEC[key])
    return json.dumps(spec).encode()


def _odd_key(random: Random) -> bytes:
    """A key that is unknown, stands in the wrong place, or twice in two spellings."""
    spec = json.loads(json.dumps(VALID))
    match random.randrange(4):
        case 0:
            spec[random.choice(UNKNOWN)] = random.choice(NOT_NAMES)
        case 1:
            spec["arm"][0][random.choice([*UNKNOWN, "samples", "models", "name", "arm"])] = 1
        case 2:
            spec |= {"answer_tokens": 9, "answer-tokens": 9}
        case _:
            spec["spec"] = dict(spec)
    return json.dumps(spec).encode()


def _torn(random: Random) -> bytes:
    """The beginning of a spec."""
    whole = json.dumps(VALID).encode()
    return whole[: random.randrange(len(whole) - 1)]


def _noise(random: Random) -> bytes:
    """Bytes, deep nesting, or JSON that is no object."""
    match random.randrange(4):
        case 0:
            return random.randbytes(random.randrange(1, 60))
        case 1:
            return b"[" * random.randrange(1, 5000)
        case 2:
            return b'{"samples": ' + b"9" * random.randrange(20, 6000) + b"}"
        case _:
            return json.dumps(random.choice([None, 7, "text", [], [VALID], True])).encode()
