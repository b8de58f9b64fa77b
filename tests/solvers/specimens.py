"""What the properties of the shared suite look at: instances, answers and names of a family."""

import dataclasses
from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import combinations
from typing import Any

from solvers.keys import Stream
from solvers.names import Names
from solvers.problem import SIZES, Absent, Constraint, Hole, Instance, Untrue, constraint_ids

SEED = 7
LARGE = ("l", "xl")
CROWD = 40  # instances that shares and collisions are counted over
BASES = 4  # indexes over which the module sets of one size are spread: arms on one base share a proof
POOL = 60  # steps of the walk that looks for answers on both sides of a constraint
WORDS = ("amber", "birch", "cedar", "delta", "ember", "fjord", "grove", "haven", "islet", "jetty")


def arms(family: Any) -> list[tuple[str, ...]]:
    """Return the module sets: none, each alone, each pair, all."""
    names = family.module_names
    return list(dict.fromkeys([(), *((name,) for name in names), *combinations(names, 2), names]))


def arms_at(family: Any, place: int, places: int) -> list[tuple[str, ...]]:
    """Return the module sets that are looked at in one of several places: none, each alone, all, and this place's share
    of the pairs, so that each pair is looked at somewhere."""
    names = family.module_names
    pairs = list(combinations(names, 2))
    return list(dict.fromkeys([(), *((name,) for name in names), *pairs[place::places], names]))


@cache
def instance_at(family: Any, size: str, index: int, modules: tuple[str, ...]) -> Instance:
    """Return the instance of an index, or of the next one that is no hole."""
    for i in range(index, index + 10):
        try:
            found, _ = family.instance(size, SEED, i, modules)
        except Untrue as fault:
            raise AssertionError(f"{family.name} {size}/{SEED}/{i} {modules}: {fault}") from fault
        if not isinstance(found, Hole):
            return found
    raise AssertionError(f"{family.name} {size}: ten holes from index {index} on, modules {modules}: {found.reasons}")


@cache
def small(family: Any) -> list[Instance]:
    """Return instances of the sizes below l with every module on: every constraint kind occurs."""
    return [
        instance_at(family, size, index, family.module_names) for size in SIZES if size not in LARGE for index in (0, 1)
    ]


@cache
def joint(family: Any) -> list[Instance]:
    """Return instances of each size with every module on."""
    return [*small(family), *(instance_at(family, size, 0, family.module_names) for size in LARGE)]


@cache
def sample(family: Any) -> list[Instance]:
    """Return instances of every size with no module, with each alone and with all (of the large sizes only with none
    and with all), and of each pair of modules at one of the small sizes."""
    out = []
    for place, size in enumerate(SIZES):
        if size in LARGE:
            out += [instance_at(family, size, 0, modules) for modules in dict.fromkeys(((), family.module_names))]
        else:
            sets = arms_at(family, place, len(SIZES) - len(LARGE))
            out += [instance_at(family, size, number % BASES, modules) for number, modules in enumerate(sets)]
    return out


@cache
def crowd(family: Any) -> list[Instance]:
    """Return many instances of size m with every module on."""
    return [instance_at(family, "m", 20 * index, family.module_names) for index in range(CROWD)]


def where(family: Any, instance: Instance, what: object = "") -> str:
    modules = "+".join(instance.modules) or "no module"
    return f"{family.name} {instance.size}/{instance.seed}/{instance.index} ({modules}, key {instance.key}) {what}"


def walk(shape: Any, answer: Any, stream: Stream, steps: int) -> Iterator[Any]:
    """Yield mutations of mutations of an answer, returning to it every fifth step."""
    current = answer
    for k in range(steps):
        current = shape.mutated(answer if k % 5 == 0 else current, stream)
        yield current


def answers(family: Any, instance: Instance, mode: str, count: int = 3) -> list[Any]:
    """Return the exact answer, the heuristic's, and ``count`` each of random ones and of mutations of the exact one."""
    shape, stream = family.shape(instance, mode), Stream(f"{instance.key}/answers")
    right, greedy = family.exact(instance, mode), family.greedy_answer(instance)
    return [
        right,
        *([] if greedy is None else [greedy]),
        *(shape.random(stream) for _ in range(count)),
        *walk(shape, right, stream, count),
    ]


def pool(family: Any, instance: Instance, mode: str) -> list[Any]:
    """Return many answers, for properties that only check them."""
    shape, stream = family.shape(instance, mode), Stream(f"{instance.key}/pool")
    return [
        *answers(family, instance, mode, POOL // 4),
        *walk(shape, family.exact(instance, mode), stream, POOL),
        *walk(shape, shape.random(stream), stream, POOL),
    ]


def slack_of(constraint: Constraint[Any, Any], answer: Any) -> Any:
    """Return the slack, None where the answer lacks an entity."""
    try:
        return constraint.check(answer)
    except Absent:
        return None


def feasible(constraints: Sequence[Constraint[Any, Any]], answer: Any) -> bool:
    """Return whether an answer passes every constraint; it is not shown to those after the first that it violates."""
    for constraint in constraints:
        slack = slack_of(constraint, answer)
        if slack is None or slack < -constraint.tolerance:
            return False
    return True


def with_ids(family: Any, instance: Instance, most: int | None = None) -> list[tuple[str, Constraint[Any, Any]]]:
    """Return the constraints with their ids; with ``most``, that many of each kind, spread over its list."""
    constraints = family.constraints(instance, "final")
    by_kind: dict[str, list[Any]] = defaultdict(list)
    for pair in zip(constraint_ids(constraints), constraints, strict=True):
        by_kind[pair[1].kind].append(pair)
    return [
        pair for pairs in by_kind.values() for pair in (pairs if most is None else pairs[:: -(-len(pairs) // most)])
    ]


class Listening(Names):
    """Names that remember which terms and which labels were asked for."""

    def __init__(self, names: Names | None = None) -> None:
        names = names or Names()
        super().__init__(names.words, names.labels)
        self.__dict__.update(terms=set(), labelled=set())

    def word(self, term: str) -> str:
        self.__dict__["terms"].add(term)
        return super().word(term)

    def all(self, term: str) -> str:
        self.__dict__["terms"].add(term)
        return super().all(term)

    def label(self, entity: str, i: int) -> str:
        self.__dict__["labelled"].add((entity, i))
        return super().label(entity, i)


def heard(family: Any, instance: Instance, mode: str) -> Listening:
    """Return the terms and labels that statement, form and schema of an instance ask for."""
    ear = Listening(instance.names)
    shape = family.shape(instance, mode)
    family.statement(dataclasses.replace(instance, names=ear), mode)
    shape.form(ear)
    shape.schema(ear)
    return ear


def renamings(family: Any, instance: Instance, mode: str) -> list[Names]:
    """Return disguises of an instance: other words with labels like "K7", and with words as labels."""
    ear = heard(family, instance, mode)
    terms, labelled = sorted(ear.__dict__["terms"]), ear.__dict__["labelled"]
    words = {term: (f"quux{chr(97 + k)}", f"quux{chr(97 + k)}en") for k, term in enumerate(terms)}
    counts = {entity: 1 + max(i for e, i in labelled if e == entity) for entity, _ in labelled}
    coded, worded = {}, {}
    for k, (entity, count) in enumerate(sorted(counts.items())):
        coded[entity] = tuple(f"{chr(75 + k)}{(7 * i + 3) % (count * 8)}x{i}" for i in range(count))
        worded[entity] = tuple(f"{WORDS[i % 10]}{chr(97 + k)}{chr(97 + i // 10)}" for i in range(count))
    return [Names(words, coded), Names(words, worded), Names({}, coded)]
