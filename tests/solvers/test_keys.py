"""Keys and streams: the same on every machine, and independent of each other."""

import dataclasses
from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from solvers.keys import WORD, Stream, base_key, canonical, digest

PROFILE = settings(derandomize=True, deadline=None, database=None, max_examples=60)
BASE = {"family": "knapsack", "version": 1, "knobs": {"items": 6, "fill": 45}, "seed": 7, "index": 0, "attempt": 0}
DIGEST = "0cd1815628877fc2ca4ef2a690d32040"
KEY = "468af105bcda4c2bed050bff10cea9ea"
FIRST = 9363238707648704975
DRAWN = (6, 68, 69, 30, 82, 96, 4, 51, 30, 35)
SHUFFLED = [5, 2, 0, 6, 4, 7, 1, 3]
PAIRS = ((1, 2), (1, 3), (1, 4), (2, 3))


def test_canonical_text_does_not_depend_on_order() -> None:
    """The one text of a value: keys sorted, no spaces, letters as they are."""
    assert canonical({"b": [1, 2.5, None], "a": "ü"}) == canonical({"a": "ü", "b": [1, 2.5, None]})
    assert canonical({"b": [1, 2.5, None], "a": "ü"}) == '{"a":"ü","b":[1,2.5,null]}'


def test_keys_and_draws_are_these_for_ever() -> None:
    """Stored keys and instances stay valid: a change of these values is a change of every instance."""
    key = base_key(**BASE)
    assert (digest([1, "a"]), key) == (DIGEST, KEY)
    stream = Stream(key)("weight")
    assert (stream.word(), stream.integers(10, 0, 99)) == (FIRST, DRAWN)
    assert Stream("k").shuffled(range(8)) == SHUFFLED
    assert Stream("k").pairs(5, 4) == PAIRS


def test_first_words_are_the_hash_of_key_and_counter() -> None:
    """The stream can be recomputed elsewhere: BLAKE2b of ``key#0``, ``key#1`` … read as big-endian words of 64 bits."""
    import hashlib

    words = [
        int.from_bytes(hashlib.blake2b(b"some key#%d" % block).digest()[8 * i : 8 * i + 8], "big")
        for block in range(3)
        for i in range(8)
    ]
    stream = Stream("some key")
    assert [stream.word() for _ in range(24)] == words


@pytest.mark.parametrize("part", list(BASE))
def test_each_part_of_a_base_changes_its_key(part: str) -> None:
    """Family, version, every knob, seed, index and attempt are all in the key."""
    other = {"family": "bin_packing", "knobs": {"items": 6, "fill": 46}}.get(part) or int(str(BASE[part])) + 1
    assert base_key(**{**BASE, part: other}) != base_key(**BASE)


def test_seed_and_index_do_not_add_up() -> None:
    """Neighbouring seeds share no key: seed + 1 at index is not seed at index + 1."""
    grid = [{"seed": s, "index": i, "attempt": a} for s in range(12) for i in range(12) for a in range(4)]
    keys = {base_key(**{**BASE, **at}) for at in grid}
    assert len(keys) == len(grid)
    assert len({Stream(key).integers(4, 0, WORD - 1) for key in keys}) == len(grid)


def test_a_named_stream_does_not_notice_its_siblings() -> None:
    """What one part draws, and how much, moves no other part; asking twice gives the same stream anew."""
    busy, idle = Stream("k"), Stream("k")
    busy("weight").integers(100, 0, 9)
    busy.integers(5, 0, 9)
    assert busy("value").integers(20, 0, 10**6) == idle("value").integers(20, 0, 10**6)
    assert idle("value").word() != idle("weight").word()
    assert idle("value").word() != Stream("k").word()


@PROFILE
@given(st.text(max_size=10), st.integers(-(2**70), 2**70), st.integers(0, 2**63))
def test_integers_lie_in_their_bounds(key: str, low: int, span: int) -> None:
    """Both ends are included and nothing lies outside, however wide the range."""
    assert all(low <= v <= low + span for v in Stream(key).integers(5, low, low + span))


@PROFILE
@given(st.text(max_size=10), st.integers(0, 12))
def test_shuffles_keep_and_samples_choose(key: str, n: int) -> None:
    """A shuffle is a permutation, a sample has no repeats, pairs are different, ordered and sorted."""
    stream = Stream(key)
    assert sorted(stream.shuffled(range(n))) == list(range(n))
    chosen = stream.sample(range(n), n // 2)
    assert len(set(chosen)) == n // 2
    assert set(chosen) <= set(range(n))
    pairs = stream.pairs(n, n * (n - 1) // 4)
    assert all(0 <= i < j < n for i, j in pairs)
    assert all(a < b for a, b in pairwise(pairs))


def test_draws_are_uniform() -> None:
    """Of 60,000 draws from six values each comes up within four standard deviations of 10,000 times."""
    counts = Counter(Stream("dice").integers(60_000, 1, 6))
    assert sorted(counts) == [1, 2, 3, 4, 5, 6]
    assert all(abs(count - 10_000) < 4 * (60_000 * 5 / 36) ** 0.5 for count in counts.values())
    first = Counter(Stream(str(k)).shuffled(range(4))[0] for k in range(4000))
    assert all(abs(count - 1000) < 4 * (4000 * 3 / 16) ** 0.5 for count in first.values())


def test_a_wide_range_is_not_biased_by_the_remainder() -> None:
    """Of a range of two thirds of 2^64 both halves are drawn alike (a remainder would draw the lower one twice)."""
    span = 2 * WORD // 3
    low = sum(v < span // 2 for v in Stream("wide").integers(4000, 0, span - 1))
    assert abs(low - 2000) < 4 * 1000**0.5


def test_impossible_draws_are_refused() -> None:
    """An empty range and a sample larger than its source name what was asked."""
    with pytest.raises(ValueError, match="no integer between 3 and 2"):
        Stream("k").integer(3, 2)
    with pytest.raises(ValueError, match="cannot take 4 of 3"):
        Stream("k").sample("abc", 4)
    with pytest.raises(ValueError, match="cannot take -1 of 3"):
        Stream("k").sample("abc", -1)


def test_twins_share_the_base_and_not_the_key() -> None:
    """Variant and modules are no part of the base key; the order in which modules are named is no part of any."""
    from solvers import registry

    instance, _ = registry.get("knapsack").instance("xs", 7, 0)
    fewer = dataclasses.replace(instance, modules=instance.modules[1:])
    turned = dataclasses.replace(instance, modules=instance.modules[::-1])
    other = dataclasses.replace(instance, variant="renamed")
    assert instance.base_key == fewer.base_key == other.base_key
    assert instance.key == turned.key
    assert len({instance.key, fewer.key, other.key}) == 3
