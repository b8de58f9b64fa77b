"""What variants of any family share: disguises, which change a statement's names and nothing else.

A disguise is drawn from a stream of the base and the variant's name, so a base has one twin of each kind.
"""

import dataclasses
import re
from typing import Any

from solvers.keys import Stream
from solvers.names import Names
from solvers.problem import Family, Hole, Instance

LETTERS = "BCDFGHJKLMNPQRSTVWXZ"  # of labels: no vowels, so that no word arises
QUANTITIES = ("u", "w", "z", "p", "s", "r", "t", "q", "h", "k", "m", "n")  # that rename x, y, v
EXTRA = {"distractors": 1, "distractors_2x": 2, "distractors_4x": 4}  # entities added, in multiples of those there


def stream_of(base: Instance, variant: str) -> Stream:
    """Return the stream that a variant of a base draws from."""
    return Stream(f"{base.base_key}/variant/{variant}")


def disguised(base: Instance, variant: str, names: Names) -> Instance:
    """Return the twin that differs in its names alone: data, constraints, exact answer and target are the base's."""
    return dataclasses.replace(base, variant=variant, names=names)


def renamed(family: Family[Any, Any], base: Instance) -> Instance:
    """Return the twin whose entities have codes for labels ("K47") and whose quantities have other letters."""
    stream = stream_of(base, "renamed")
    counts = family.entities(base.data)
    initials = stream("initials").sample(LETTERS, len(counts))
    labels = {}
    for initial, (entity, count) in zip(initials, counts.items(), strict=True):
        low = 10 if count <= 45 else 100
        numbers = stream(entity).sample(range(low, 10 * low), count)
        labels[entity] = tuple(f"{initial}{number}" for number in numbers)
    text = family.statement(base, family.modes[-1])
    free = [q for q in QUANTITIES if not re.search(rf"(?<![A-Za-z]){q}(?![A-Za-z])", text, re.IGNORECASE)]
    variables = family.variables(base.data)
    letters = stream("letters").sample(free, len(variables))
    words = {term: (letter, letter) for term, letter in zip(variables, letters, strict=True)}
    return disguised(base, "renamed", Names(words, labels))


def reordered(family: Family[Any, Any], base: Instance) -> Instance:
    """Return the isomorphic twin: entities are listed in another order and numbered by it."""
    return disguised(base, "reordered", shuffled(family, base, stream_of(base, "reordered")))


def shuffled(family: Family[Any, Any], base: Instance, stream: Stream) -> Names:
    """Return names under which the entities of an instance are listed in random order, numbered 1, 2, 3 …"""
    order, labels = {}, {}
    for entity, count in family.entities(base.data).items():
        order[entity] = tuple(stream(entity).shuffled(range(count)))
        place = {i: str(position) for position, i in enumerate(order[entity], 1)}
        labels[entity] = tuple(place[i] for i in range(count))
    return Names(labels=labels, order=order)


def costumed(family: Family[Any, Any], base: Instance) -> Instance:
    """Return the twin that tells another story; stories take turns by index."""
    costume = family.costumes[base.index % len(family.costumes)]
    return disguised(base, "costume", Names(words=costume.words, story=costume.story))


def greedy_fails(base: Instance) -> Instance | Hole:
    """Return the base itself where the obvious heuristic fails, a hole elsewhere."""
    return dataclasses.replace(base, variant="greedy_fails") if base.greedy_fails else Hole({"greedy succeeds": 1})
