"""Instance keys and the random streams derived from them.

Every draw comes from BLAKE2b in counter mode over a key, so an instance is the same on every machine, Python and
numpy version, and streams of different keys share nothing. ``seed + index`` is never used: generators seeded that way
share instances between neighbouring seeds.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import TypeVar

T = TypeVar("T")

WORD = 1 << 64


def canonical(value: object) -> str:
    """Return the one JSON text of ``value`` (sorted keys, no spaces) that hashes and comparisons use."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def digest(value: object) -> str:
    """Return 32 hexadecimal digits that identify a JSON value."""
    return hashlib.blake2b(canonical(value).encode(), digest_size=16).hexdigest()


def base_key(family: str, version: int, knobs: Mapping[str, object], seed: int, index: int, attempt: int) -> str:
    """Return the key of one attempt at one base.

    Variants and modules are no part of it: twins share the base and differ in what they say they differ in.
    """
    return digest([family, version, knobs, seed, index, attempt])


class Stream:
    """A stream of random integers that depends on its key alone.

    ``stream("weight")`` is a stream of its own: what one part draws moves no other part.
    """

    def __init__(self, key: str) -> None:
        self.key = key
        self._prefix = key.encode()
        self._block = 0
        self._words: list[int] = []

    def __call__(self, name: str) -> "Stream":
        return Stream(f"{self.key}/{name}")

    def word(self) -> int:
        """Return the next 64 random bits."""
        if not self._words:
            data = hashlib.blake2b(self._prefix + b"#%d" % self._block).digest()
            self._block += 1
            self._words = [int.from_bytes(data[i : i + 8], "big") for i in range(56, -1, -8)]
        return self._words.pop()

    def integer(self, low: int, high: int) -> int:
        """Return a uniform integer in [low, high], both included (by rejection: no modulo bias)."""
        span = high - low + 1
        if span < 1:
            raise ValueError(f"no integer between {low} and {high}")
        bound = WORD - WORD % span
        word = self.word()
        while word >= bound:
            word = self.word()
        return low + word % span

    def integers(self, count: int, low: int, high: int) -> tuple[int, ...]:
        """Return ``count`` uniform integers in [low, high]."""
        return tuple(self.integer(low, high) for _ in range(count))

    def matrix(self, rows: int, columns: int, low: int, high: int) -> tuple[tuple[int, ...], ...]:
        """Return a ``rows`` x ``columns`` matrix of uniform integers in [low, high]."""
        return tuple(self.integers(columns, low, high) for _ in range(rows))

    def choice(self, values: Sequence[T]) -> T:
        """Return one of ``values``."""
        return values[self.integer(0, len(values) - 1)]

    def shuffled(self, values: Sequence[T]) -> list[T]:
        """Return ``values`` in random order (Fisher and Yates)."""
        out = list(values)
        for i in range(len(out) - 1, 0, -1):
            j = self.integer(0, i)
            out[i], out[j] = out[j], out[i]
        return out

    def sample(self, values: Sequence[T], count: int) -> list[T]:
        """Return ``count`` different ones of ``values`` in random order."""
        if not 0 <= count <= len(values):
            raise ValueError(f"cannot take {count} of {len(values)}")
        return self.shuffled(values)[:count]

    def pairs(self, n: int, count: int) -> tuple[tuple[int, int], ...]:
        """Return ``count`` different unordered pairs i < j of 0..n-1, sorted."""
        return tuple(sorted(self.sample([(i, j) for i in range(n) for j in range(i + 1, n)], count)))
