"""What holds for every family, as plain functions of a family.

Each property takes a family (a registered one, or one with a planted bug) and, where it looks at instances, which ones;
it raises AssertionError naming family, instance and constraint. `EVERY`, `OPTIMIZATION` and `NUMERICS` list them.
"""

import copy
import dataclasses
import json
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Any

from jsonschema import Draft202012Validator

from solvers.constrained import Optimization
from solvers.keys import Stream, canonical
from solvers.names import Names
from solvers.problem import SIZES, Hole, Instance, constraint_ids, examine
from solvers.procedure import Procedure, decimal
from tests.solvers.specimens import (
    CROWD,
    SEED,
    Listening,
    answers,
    arms_at,
    crowd,
    feasible,
    heard,
    instance_at,
    joint,
    pool,
    renamings,
    sample,
    where,
)
from tests.solvers.suite_faces import (
    absent_entities_fail,
    ceilings_stay_broken,
    faces_agree,
    objective_agrees,
    sentences_name_their_own_entities,
    strange_values_fail,
    whole_instances_agree,
)
from tests.solvers.suite_procedures import NUMERICS
from tests.solvers.suite_variants import VARIANTS, every_twin

TOKENS = 4000  # a rendered question at size m, at three characters a token
TRIVIAL = Fraction(1, 20)  # of the instances at size m may fall to a baseline without thought


# --- the exact answer -------------------------------------------------------------------------------------------------


def exact_passes_and_is_proven(family: Any, instances: Sequence[Instance] | None = None) -> None:
    """The exact answer passes every constraint, is worth what is stored, is proven, and no found answer beats it."""
    for instance in instances or sample(family):
        for mode in family.modes:
            constraints, right = family.constraints(instance, mode), family.exact(instance, mode)
            failed = [check.id for check in examine(constraints, right) if not check.satisfied]
            assert not failed, where(family, instance, f"mode {mode}: the exact answer violates {failed}")
        objective = family.objective_of(instance)
        if objective is None:
            assert instance.proof.status in ("OPTIMAL", "FEASIBLE", "EXACT"), where(family, instance, instance.proof)
            continue
        assert instance.proof.status == "OPTIMAL", where(family, instance, instance.proof)
        value = objective.of(right)
        off = max(abs(value - instance.optimum), abs(value - instance.proof.bound))
        assert off <= objective.tolerance, where(
            family, instance, f"objective {value}, stored {instance.optimum}, proven {instance.proof.bound}"
        )
        rules = [c for c in constraints if c.kind != "target"]
        sign = 1 if objective.direction == "max" else -1
        for answer in pool(family, instance, "final"):
            if feasible(rules, answer):
                found = objective.of(answer)
                assert sign * found <= sign * value + objective.tolerance, where(
                    family, instance, f"{answer} is worth {found} > {value}"
                )


def instances_survive_storage(family: Any, instances: Sequence[Instance] | None = None) -> None:
    """An instance comes back from JSON as it was, in its own names or in a disguise."""
    for instance in instances or sample(family):
        for names in [instance.names, *renamings(family, instance, family.modes[-1])]:
            named = dataclasses.replace(instance, names=names)
            loaded = family.load(json.loads(json.dumps(family.dump(named))))
            assert loaded == named, where(family, instance, f"loaded {loaded}")
            assert canonical(family.dump(loaded)) == canonical(family.dump(named)), where(family, instance)


# --- the form of an answer --------------------------------------------------------------------------------------------


def lenient(schema: Any) -> Any:
    """Return the schema as a reader applies it that takes missing entries as absent."""
    if isinstance(schema, list):
        return [lenient(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    dropped = ("required", "minItems", "x-partial") if schema.get("x-partial") else ()
    return {key: lenient(part) for key, part in schema.items() if key not in dropped}


def answers_survive_writing(family: Any, instances: Sequence[Instance] | None = None) -> None:
    """Answers written as a model would write them fit the schema and are read back, in any names; blanks too."""
    for instance in instances or joint(family):
        for mode in family.modes:
            shape = family.shape(instance, mode)
            for names in [instance.names, *renamings(family, instance, mode)]:
                schema = json.loads(json.dumps(shape.schema(names)))
                Draft202012Validator.check_schema(schema)
                strict, loose = Draft202012Validator(schema), Draft202012Validator(lenient(schema))
                complete = answers(family, instance, mode, 1)
                partial = [answer for _, _, answer in list(shape.lacking(complete[0]))[:3]]
                for answer in [*complete, *partial, shape.empty()]:
                    value = json.loads(json.dumps(shape.write(answer, names)))
                    spot = where(family, instance, f"mode {mode}: {value}")
                    if answer == shape.empty() and mode == "final" and family.kind == "numerics":
                        assert not loose.is_valid(value), f"{spot}: a vector without numbers passes for an answer"
                        continue
                    # A heuristic may leave entities out, a blank always does.
                    whole = answer is complete[0] or (answer in complete and answer != family.greedy_answer(instance))
                    assert (strict if whole else loose).is_valid(value), f"{spot} does not fit {schema}"
                    assert shape.parse(value, names) == answer, f"{spot} is read as {shape.parse(value, names)}"


def spoilt(value: Any) -> Iterator[Any]:
    """Yield copies of a JSON value with one part replaced by something of another kind, dropped, doubled or added."""
    if isinstance(value, dict):
        yield {**value, "surplus": 1}
        for key, part in value.items():
            yield {k: v for k, v in value.items() if k != key}
            yield from ({**value, key: bad} for bad in spoilt(part))
    elif isinstance(value, list):
        yield [*value, *value[:1]]
        yield value[:-1]
        for k, part in enumerate(value):
            yield from ([*value[:k], bad, *value[k + 1 :]] for bad in spoilt(part))
    yield from (None, True, -1, 10**40, 0.5, "zz", [], {})


def no_reply_crashes_the_judge(family: Any, instances: Sequence[Instance] | None = None) -> None:
    """Whatever fits the schema can be read and judged, with one check for each constraint; booleans never fit."""
    for instance in instances or [*joint(family)[:4:2]]:
        for mode in family.modes:
            shape, names = family.shape(instance, mode), instance.names
            constraints = family.constraints(instance, mode)
            schema = Draft202012Validator(lenient(shape.schema(names)))
            for bad in spoilt(shape.write(family.exact(instance, mode), names)):
                if not schema.is_valid(bad):
                    continue
                spot = where(family, instance, f"mode {mode}: {bad}")
                assert "true" not in json.dumps(bad), f"{spot} fits the schema"
                try:
                    checks = examine(constraints, shape.parse(bad, names))
                except Exception as fault:
                    raise AssertionError(f"{spot}: judging it raises {fault!r}") from fault
                assert len(checks) == len(constraints), spot


# --- the statement ----------------------------------------------------------------------------------------------------


READ = (LookupError, ValueError, ArithmeticError)  # raised where a moved number is an index out of range


def stands_in(number: Any, text: str) -> bool:
    """Return whether a number stands in a text as a number of its own."""
    return re.search(rf"(?<![\w.-]){re.escape(decimal(number))}(?!\w|\.\d)", text) is not None


def statement_names_every_rule(family: Any, instances: Sequence[Instance] | None = None) -> None:
    """Each constraint's sentence stands in the statement, in any names, with its limit; kinds share no sentence.

    A sentence may leave its limit to a table: then a number of the data that is stated moves the limit.
    """
    for instance in instances or joint(family):
        for mode in family.modes:
            silent: dict[str, str] = {}
            for names in [instance.names, *renamings(family, instance, mode)]:
                named = dataclasses.replace(instance, names=names)
                statement, kind_of = family.statement(named, mode), {}
                constraints = family.constraints(named, mode)
                for id_, constraint in zip(constraint_ids(constraints), constraints, strict=True):
                    sentence = constraint.say(names)
                    spot = where(family, instance, f"{id_} says {sentence!r}")
                    assert re.fullmatch(r"\S.*[^\s.]\.", sentence), f"{spot}: no sentence"
                    assert re.search(rf"(^|\d\. ){re.escape(sentence)}$", statement, re.MULTILINE), f"{spot}: unstated"
                    other_kind = kind_of.setdefault(sentence, constraint.kind)
                    assert other_kind == constraint.kind, f"{spot}, as does {other_kind}"
                    if hasattr(constraint, "limit") and not limit_is_said(constraint, names, spot):
                        silent[id_] = spot
                objective = family.objective_of(named)
                assert objective is None or objective.say(names) in statement, where(family, instance, "objective")
            unstated = set(silent) - limits_moved_by_stated_numbers(family, instance, mode) if silent else set()
            assert not unstated, f"{silent[min(unstated)]} without its limit, and no table states it"


def limit_is_said(constraint: Any, names: Names, spot: str) -> bool:
    """Return whether a sentence states the limit and follows it; raises where it states another number for it."""
    limits = [constraint.limit, constraint.limit + 1, constraint.limit - 1]
    sentences = [dataclasses.replace(constraint, limit=limit).say(names) for limit in limits]
    if len(set(sentences)) == 1:
        return False
    for limit, sentence in zip(limits, sentences, strict=True):
        assert stands_in(limit, sentence), f"{spot}; with limit {limit}: {sentence!r}"
    return True


def limits_moved_by_stated_numbers(family: Any, instance: Instance, mode: str) -> set[str]:
    """Return the ids of constraints whose limit moves with some number of the data that moves the statement too."""
    moved: set[str] = set()
    before, statement = family.constraints(instance, mode), family.statement(instance, mode)
    for field in dataclasses.fields(instance.data):
        value = getattr(instance.data, field.name)
        for path in leaves(value):
            data = dataclasses.replace(instance.data, **{field.name: replaced(value, path, 1)})
            other = dataclasses.replace(instance, data=data)
            try:
                after = family.constraints(other, mode)
                if len(after) != len(before) or family.statement(other, mode) == statement:
                    continue
            except READ:
                continue
            for id_, old, new in zip(constraint_ids(before), before, after, strict=True):
                if old.kind == new.kind and getattr(old, "limit", None) != getattr(new, "limit", None):
                    moved.add(id_)
    return moved


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the path of each number or text in nested tuples."""
    if isinstance(value, tuple):
        for k, part in enumerate(value):
            yield from leaves(part, (*path, k))
    elif value is not None:
        yield path


def replaced(value: Any, path: tuple[Any, ...], by: int) -> Any:
    """Return nested tuples with the leaf at ``path`` moved by a number (a text made longer)."""
    if not path:
        return value + "x" if isinstance(value, str) else not value if isinstance(value, bool) else value + by
    return (*value[: path[0]], replaced(value[path[0]], path[1:], by), *value[path[0] + 1 :])


def statement_names_every_number(family: Any, instances: Sequence[Instance] | None = None) -> None:
    """No number of the data, no limit, no rounding and no count of steps can change without changing the statement.

    Of a field with more than a hundred numbers, at least fifty spread over it are tried.
    """
    for instance in instances or joint(family):
        mode = family.modes[-1]
        before = family.statement(instance, mode)

        def changed(field: str, path: tuple[Any, ...], instance: Instance = instance, before: str = before) -> bool:
            for by in (1, -1):
                value = replaced(getattr(instance.data, field), path, by)
                data = dataclasses.replace(instance.data, **{field: value})
                try:
                    return family.statement(dataclasses.replace(instance, data=data), family.modes[-1]) != before
                except READ:
                    continue  # an index moved out of range: the statement reads it
            return True

        for field in dataclasses.fields(instance.data):
            paths = list(leaves(getattr(instance.data, field.name)))
            for path in paths[:: -(-len(paths) // 100)] if paths else ():
                assert changed(field.name, path), where(family, instance, f"{field.name}{list(path)} is not stated")
        if instance.target is not None:
            other = dataclasses.replace(instance, target=instance.target + 1)
            assert family.statement(other, mode) != before, where(family, instance, "the target is not stated")
        if family.kind == "numerics":
            for knob in ("steps", "places"):
                knobs = {**instance.knobs, knob: instance.knobs[knob] + 1}
                other = dataclasses.replace(instance, knobs=knobs)
                for asked in family.modes:
                    assert family.statement(other, asked) != family.statement(instance, asked), where(
                        family, instance, f"mode {asked}: {knob} is not stated"
                    )


def disguises_reach_every_word(family: Any, instances: Sequence[Instance] | None = None) -> None:
    """A renamed instance shows its new words and all its labels and no old word."""
    for instance in instances or joint(family):
        for mode in family.modes:
            terms = heard(family, instance, mode).__dict__["terms"]
            labels = Listening()
            family.shape(instance, mode).schema(labels)
            for names in renamings(family, instance, mode)[:2]:
                named = dataclasses.replace(instance, names=names)
                text = f"{family.statement(named, mode)}\n{family.shape(named, mode).form(names)}"
                for term in terms:
                    left = re.search(rf"\b{re.escape(term)}(s|es)?(\b|_)", text, re.IGNORECASE)
                    assert not left, where(family, instance, f"the disguise leaves {left and left[0]!r} in {text!r}")
                for entity, i in labels.__dict__["labelled"]:
                    assert re.search(rf"\b{names.label(entity, i)}\b", text, re.IGNORECASE), where(
                        family, instance, f"nothing says that there is a {entity} called {names.label(entity, i)}"
                    )


def questions_fit(family: Any, instances: Sequence[Instance] | None = None) -> None:
    """At size m, statement and form of the answer fit the budget of a prompt."""
    for instance in instances or crowd(family):
        for mode in family.modes:
            text = family.statement(instance, mode) + family.shape(instance, mode).form(instance.names)
            assert len(text) <= 3 * TOKENS, where(family, instance, f"mode {mode}: {len(text) // 3} tokens")


# --- keys and twins ---------------------------------------------------------------------------------------------------


def fingerprint(family: Any, instance: Instance) -> str:
    """Return the canonical text of an instance, without the seconds that its proof took."""
    plain = copy.deepcopy(family.dump(instance))
    del plain["proof"]["seconds"]
    return canonical(plain | {"key": instance.key, "statement": family.statement(instance, family.modes[-1])})


def fingerprints(family: Any) -> list[str]:
    """Return the canonical texts of freshly made instances of the small sizes."""
    return [
        fingerprint(family, found) if not isinstance(found, Hole) else "hole"
        for size in ("xs", "s", "m")
        for found, _ in (family.instance(size, SEED, index) for index in range(2))
    ]


def same_key_same_instance(family: Any) -> None:
    """Making an instance again gives the same bytes."""
    first, second = fingerprints(family), fingerprints(family)
    assert first == second, f"{family.name}: made twice, an instance differs"


def seeds_share_nothing(family: Any) -> None:
    """Neighbouring seeds, indexes and attempts share no key and no data."""
    seen: dict[str, tuple[int, int, int]] = {}
    for seed in (SEED, SEED + 1):
        for index in range(CROWD):
            for attempt in (0, 1):
                at, stream = (seed, index, attempt), family.stream("m", seed, index, attempt)
                data = canonical(family.draw(family.sizes["m"], stream).plain())
                for mark in (stream.key, data):
                    assert mark not in seen, (
                        f"{family.name} m: (seed, index, attempt) {at} repeats {seen[mark]}: {mark}"
                    )
                    seen[mark] = at


def twins_line_up(family: Any) -> None:
    """Whatever modules are on, an index holds the same base, data and target; only the keys differ."""
    places = (("xs", 3), ("s", 4), ("m", 6))
    for place, (size, index) in enumerate(places):
        sets = arms_at(family, place, len(places))
        found = {modules: family.instance(size, SEED, index, modules)[0] for modules in sets}
        twins = [twin for twin in found.values() if not isinstance(twin, Hole)]
        same = {(t.attempt, t.base_key, t.target, canonical(t.data.plain())) for t in twins}
        assert len(same) == 1, f"{family.name} {size}/{SEED}/{index}: twins differ: {sorted(s[:3] for s in same)}"
        assert len({t.key for t in twins}) == len(twins), f"{family.name} {size}/{SEED}/{index}: twins share a key"


# --- baselines --------------------------------------------------------------------------------------------------------


def trivial_answers_fail(family: Any, instances: Sequence[Instance] | None = None) -> None:
    """At size m, the blank answer and random ones are feasible on at most 5 % of instances, the answer of a template
    never: without any module, so all the more with some, which only add constraints."""
    crowded = instances or crowd(family)
    for mode in family.modes:
        for modules in dict.fromkeys(((), family.module_names)):
            passed: dict[str, int] = defaultdict(int)
            for instance in crowded:
                # The twin with these modules has the same data and target (twins_line_up).
                twin = dataclasses.replace(instance, modules=modules)
                shape, constraints = family.shape(twin, mode), family.constraints(twin, mode)
                tried = {"blank": shape.empty(), "random": shape.random(Stream(f"{twin.key}/random"))}
                template = family.template_answer(twin, mode)
                if template is not None:
                    tried["template"] = template
                for name, answer in tried.items():
                    passed[name] += feasible(constraints, answer)
            for name, count in passed.items():
                most = 0 if name == "template" else TRIVIAL * len(crowded)
                assert count <= most, (
                    f"{family.name} m, mode {mode}, modules {modules}: {name} is feasible on {count} of {len(crowded)}"
                )


def targets_bite(family: Any, instances: Sequence[Instance] | None = None) -> None:
    """The target asks for the family's share of the joint optimum, and for more than greedy where there is room."""
    for instance in instances or [*joint(family), *crowd(family)]:
        objective = family.objective_of(instance)
        sign = 1 if objective.direction == "max" else -1
        optimum, target = instance.optimum, instance.target
        spot = where(family, instance, f"target {target}, optimum {optimum}")
        assert sign * target <= sign * optimum, f"{spot}: out of reach"
        assert sign * (target - optimum * family.target_share) > -1, f"{spot}: below {family.target_share} of it"
        rules = [c for c in family.constraints(instance, "final") if c.kind != "target"]
        greedy = family.greedy_answer(instance)
        reached = objective.of(greedy) if feasible(rules, greedy) else None
        if reached is not None and reached != optimum:
            assert sign * reached < sign * target, f"{spot}: greedy's {reached} passes"
        fails = reached is None or abs(reached - optimum) * 20 >= abs(optimum)
        assert instance.greedy_fails == fails, f"{spot}: greedy_fails stored {instance.greedy_fails}, found {fails}"


# --- the ladder -------------------------------------------------------------------------------------------------------


def sizes_grow(family: Any) -> None:
    """From size to size no fewer constraints; from xs to xl a longer statement and a longer answer."""
    assert tuple(family.sizes) == SIZES, f"{family.name}: sizes {tuple(family.sizes)}"
    mode = family.modes[-1]
    row = [instance_at(family, size, 0, family.module_names) for size in SIZES]
    counts = [len(family.constraints(instance, mode)) for instance in row]
    assert counts == sorted(counts), f"{family.name}: constraints by size {counts}"
    for what, ends in {
        "statement": [len(family.statement(i, mode)) for i in (row[0], row[-1])],
        "answer": [
            len(json.dumps(family.shape(i, mode).write(family.exact(i, mode), Names()))) for i in (row[0], row[-1])
        ],
    }.items():
        assert ends[0] < ends[1], f"{family.name}: the {what} has {ends[0]} characters at xs, {ends[1]} at xl"


def kinds_are_declared(family: Any, instances: Sequence[Instance] | None = None) -> None:
    """An instance with every module has exactly the declared constraint kinds; one without has none of the modules'."""
    for instance in instances or joint(family):
        kinds = {c.kind for mode in family.modes for c in family.constraints(instance, mode)}
        assert kinds == set(family.constraint_kinds), where(family, instance, f"has {sorted(kinds)}")
        bare = dataclasses.replace(instance, modules=())
        left = {c.kind for c in family.constraints(bare, family.modes[-1])} & set(family.module_names)
        assert not left, where(family, instance, f"{left} though switched off")


EVERY = (
    exact_passes_and_is_proven,
    instances_survive_storage,
    answers_survive_writing,
    no_reply_crashes_the_judge,
    absent_entities_fail,
    statement_names_every_rule,
    statement_names_every_number,
    disguises_reach_every_word,
    questions_fit,
    same_key_same_instance,
    seeds_share_nothing,
    twins_line_up,
    trivial_answers_fail,
    sizes_grow,
    kinds_are_declared,
)
OPTIMIZATION = (
    faces_agree,
    whole_instances_agree,
    objective_agrees,
    strange_values_fail,
    ceilings_stay_broken,
    sentences_name_their_own_entities,
    targets_bite,
)


def variants_are_stated(family: Any) -> None:
    """Statements, forms and storage of variants keep what those of fresh instances keep."""
    for twin, _ in every_twin(family):
        if twin.size == "s":
            mode_family = family if family.modes == family.modes_of(twin.variant) else only_final(family)
            statement_names_every_rule(mode_family, [twin])
            answers_survive_writing(mode_family, [twin])
            # What only a module reads is stated with it; names that list a number of entities hold it fixed.
            if twin.modules == family.module_names and not twin.names.order:
                statement_names_every_number(mode_family, [twin])
            if isinstance(family, Optimization):
                whole_instances_agree(family, [twin])
                objective_agrees(family, [twin])
                if twin.variant == "inverted":
                    faces_agree(family, [twin], ["target"])


def only_final(family: Any) -> Any:
    """Return the family as one that is asked in mode `final` only."""
    return type(f"Final{type(family).__name__}", (type(family),), {"modes": ("final",)})()


def properties(family: Any) -> tuple[Any, ...]:
    """Return the properties that a family must have."""
    own = OPTIMIZATION if isinstance(family, Optimization) else NUMERICS if isinstance(family, Procedure) else ()
    return (*EVERY, *VARIANTS, variants_are_stated, *own)
