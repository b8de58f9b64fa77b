"""What holds for every variant that a family offers; see `tests.solvers.suite`."""

import dataclasses
import json
import re
from collections.abc import Iterator
from fractions import Fraction
from functools import cache
from typing import Any

from solvers import exact
from solvers.names import Names
from solvers.problem import Absent, Hole, Instance, examine
from solvers.variants import EXTRA
from tests.solvers.specimens import SEED, pool, where
from tests.solvers.suite_procedures import half_even

DISGUISES = ("renamed", "reordered", "costume")
SIZES = ("xs", "s", "m")
TRIED = 8  # indexes looked at for an instance of a variant


@cache
def twins(family: Any, variant: str) -> list[tuple[Instance, Instance | None]]:
    """Return instances of a variant with every module, one of each small size, each with the fresh one of its index."""
    found = []
    for size in SIZES:
        for index in range(TRIED):
            twin, _ = family.instance(size, SEED, index, family.module_names, variant)
            if isinstance(twin, Instance):
                base = None
                if variant != "famous" and not (variant == "perturbed" and family.kind == "optimization"):
                    base, _ = family.instance(size, SEED, index, family.module_names)
                    assert isinstance(base, Instance)
                found.append((twin, base))
                break
    return found


def every_twin(family: Any, *variants: str) -> Iterator[tuple[Instance, Any]]:
    for variant in variants or family.variants[1:]:
        if variant in family.variants and variant != "imported":  # from a file of the user's
            yield from twins(family, variant)


def variants_are_offered(family: Any) -> None:
    """Each variant offered has instances: at every small size, but for those that depend on what an index holds."""
    least = {"fresh", "renamed"}
    least |= {"reordered", "greedy_fails"} if hasattr(family, "greedy") else set()
    least |= {"perturbed", "step_correct", "step_corrupted"} if hasattr(family, "step") else set()
    assert least <= set(family.variants), f"{family.name}: {least - set(family.variants)} is not offered"
    for variant in (v for v in family.variants if v != "imported"):
        some = variant in ("famous", "greedy_fails") or (variant == "perturbed" and family.kind == "optimization")
        got = [twin.size for twin, _ in twins(family, variant)]
        assert got if some else got == list(SIZES), f"{family.name}: {variant} has instances at {got} only"


def variants_carry_the_answer(family: Any) -> None:
    """Whatever the variant, the exact answer passes and is worth the optimum, the instance survives storage, has a key
    of its own, and (but for a marked one) says something else than its base."""
    for twin, base in every_twin(family):
        spot = where(family, twin, twin.variant)
        assert family.instance(twin.size, SEED, twin.index, twin.modules, twin.variant)[0] == twin, f"{spot} made twice"
        assert family.load(json.loads(json.dumps(family.dump(twin)))) == twin, f"{spot} does not survive storage"
        for mode in family.modes_of(twin.variant):
            constraints, right = family.constraints(twin, mode), family.exact(twin, mode)
            failed = [check.id for check in examine(constraints, right) if not check.satisfied]
            assert not failed, f"{spot} {mode}: the exact answer violates {failed}"
            shape = family.shape(twin, mode)
            value = json.loads(json.dumps(shape.write(right, twin.names)))
            assert shape.parse(value, twin.names) == right, f"{spot}: {value}"
            if base is not None:
                told = family.statement(twin, mode) != family.statement(base, mode)
                assert told == (twin.variant != "greedy_fails"), f"{spot}: statement"
        objective = family.objective_of(twin)
        if objective is not None:
            assert abs(objective.of(right) - twin.optimum) <= objective.tolerance, spot
        if base is not None:
            assert twin.base_key == base.base_key, spot
            assert twin.key != base.key, spot


def disguises_change_names_only(family: Any) -> None:
    """A disguised twin has the data, the answer and the constraints of its base, and other words for them."""
    for twin, base in every_twin(family, *DISGUISES):
        spot = where(family, twin, twin.variant)
        assert dataclasses.replace(twin, names=Names(), variant="fresh") == base, spot
        for entity, labels in twin.names.labels.items():
            assert len(set(labels)) == len(labels) == family.entities(twin.data)[entity], f"{spot}: {entity}"
        if twin.variant == "renamed":
            text = family.statement(twin, family.modes[-1])
            for entity, labels in twin.names.labels.items():
                assert not set(labels) - set(re.findall(r"\w+", text)), f"{spot}: a {entity} is not named"
        if twin.variant == "costume":
            text = family.statement(twin, family.modes[-1])
            for term, (one, several) in twin.names.words.items():
                plain = re.search(rf"\b{term}(s|es)?\b", text.removeprefix(twin.names.story), re.IGNORECASE)
                assert plain is None or term in (one, several), f"{spot}: {term} is still called so"


def reordered_twins_list_the_same(family: Any) -> None:
    """Listed in another order, with the labels as they were, a statement has the same words, in another order."""
    for twin, base in every_twin(family, "reordered"):
        spot = where(family, twin, twin.variant)
        listed = family.statement(dataclasses.replace(base, names=Names(order=twin.names.order)), "final")
        plain = family.statement(base, "final")
        words = [sorted(re.findall(r"\d+\.\d+|\w+", text)) for text in (listed, plain)]
        assert words[0] == words[1], f"{spot}: other words"
        first = next(iter(family.entities(base.data)))
        backwards = {first: tuple(reversed(range(family.entities(base.data)[first])))}
        turned = family.statement(dataclasses.replace(base, names=Names(order=backwards)), "final")
        assert turned != plain, f"{spot}: the order of {first} does not show"
        for entity, labels in twin.names.labels.items():
            order = twin.names.order[entity]
            assert [labels[i] for i in order] == [str(k + 1) for k in range(len(order))], f"{spot}: {entity}"


def distractors_do_not_matter(family: Any) -> None:
    """With more entities, the optimum is the same, and the base's answer still reaches it."""
    for twin, base in every_twin(family, *EXTRA):
        spot = where(family, twin, twin.variant)
        before, after = family.entities(base.data), family.entities(twin.data)
        more = [e for e in before if after[e] > before[e]]
        assert more, f"{spot}: nothing was added"
        assert all(after[e] in (before[e], (1 + EXTRA[twin.variant]) * before[e]) for e in before), f"{spot}: {after}"
        assert (twin.optimum, twin.target) == (base.optimum, base.target), spot
        rules = family.arm(twin.data, twin.modules)
        again = exact.solve(family.form(twin.data), rules, family.objective(twin.data))
        assert again.objective == twin.optimum, f"{spot}: solved again it is worth {again.objective}"


def mirrors_are_mirrors(family: Any) -> None:
    """The mirrored objective has the other direction, and its sum with the first is the same for every complete answer;
    so the same answers reach the target."""
    for twin, base in every_twin(family, "inverted"):
        spot = where(family, twin, twin.variant)
        one, other = family.objective_of(base), family.objective_of(twin)
        assert {one.direction, other.direction} == {"min", "max"}, spot
        total = base.optimum + twin.optimum
        targets = [family.constraints(instance, "final")[-1] for instance in (base, twin)]
        assert all(target.kind == "target" for target in targets)
        for answer in pool(family, base, "final"):
            try:
                value = one.of(answer)
            except Absent:
                continue  # a heuristic may leave entities out
            assert value + other.of(answer) == total, f"{spot}: {answer}"
            assert targets[0].check(answer) == targets[1].check(answer), f"{spot}: {answer}"


def famous_ones_are_known(family: Any) -> None:
    """A famous instance has its published optimum; what is right for it is wrong for a perturbed one, and recalled."""
    assert len({one.name for one in family.famous()}) == len(family.famous())
    for one in family.famous():
        assert one.size in family.sizes, one.name
        assert one.source, one.name
    for twin, _ in every_twin(family, "famous"):
        known = [one for one in family.famous() if one.size == twin.size][twin.index]
        assert twin.optimum == known.optimum, where(family, twin, known.name)
        assert twin.data == known.data, where(family, twin, known.name)
        assert family.recalled(twin, "final", family.exact(twin, "final")) is None
    if family.kind == "optimization":
        for twin, _ in every_twin(family, "perturbed"):
            spot = where(family, twin, "perturbed")
            original, _ = family.instance(twin.size, SEED, twin.index % len(family.famous()), (), "famous")
            if isinstance(original, Hole):
                continue
            assert family.recalled(twin, "final", original.answer) is True, spot
            assert family.recalled(twin, "final", twin.answer) is False, spot
            assert family.shape(twin, "final").schema(Names()) == family.shape(original, "final").schema(Names()), spot


def continued_procedures_ask_one_step(family: Any) -> None:
    """Teacher forcing: the iterates so far stand in the statement, and the last component asked is what the step gives
    from the last of them, be it the true one or a corrupted one."""
    for twin, base in every_twin(family, "step_correct", "step_corrupted"):
        spot = where(family, twin, twin.variant)
        places, steps = twin.knobs["places"], twin.knobs["steps"]

        def rounded(value: Fraction, places: int = places) -> Fraction:
            return half_even(Fraction(value), places)

        assert twin.given == steps - 1 == len(twin.answer) - 1, spot
        assert twin.answer[-1] == family.step(twin.data, twin.answer[-2], rounded), spot
        assert (twin.answer == base.answer) == (twin.variant == "step_correct"), spot
        assert twin.answer[: steps - 2] == base.answer[: steps - 2], spot
        assert len(family.constraints(twin, "final")) == len(twin.answer[-1]), spot
        right = family.exact(twin, "final")
        assert {w.label for w in family.written(twin, "final", right)} == {"right"}, spot
        wrong = (tuple(v + 1 for v in right[0]),)
        assert {w.label for w in family.written(twin, "final", wrong)} == {"local"}, spot


def altered_procedures_mislead_memory(family: Any) -> None:
    """An altered method gives another last iterate than the method as it is known, and the known one is recalled."""
    for twin, base in every_twin(family, "perturbed") if hasattr(family, "step") else ():
        spot = where(family, twin, twin.variant)
        for mode in family.modes:
            assert family.recalled(twin, mode, family.exact(base, mode)) is True, spot
            assert family.recalled(twin, mode, family.exact(twin, mode)) is False, spot
            assert family.recalled(base, mode, family.exact(base, mode)) is None, spot
            assert family.recalled(twin, mode, ()) is False, spot


VARIANTS = (
    variants_are_offered,
    variants_carry_the_answer,
    disguises_change_names_only,
    reordered_twins_list_the_same,
    distractors_do_not_matter,
    mirrors_are_mirrors,
    famous_ones_are_known,
    continued_procedures_ask_one_step,
    altered_procedures_mislead_memory,
)
