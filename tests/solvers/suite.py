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
from functools import cache
from itertools import combinations
from typing import Any

from jsonschema import Draft202012Validator

from solvers import exact
from solvers.keys import Stream, canonical
from solvers.problem import SIZES, Absent, Constraint, Hole, Instance, Names, Untrue, constraint_ids, examine
from solvers.shapes import Partial

SEED = 7
TOKENS = 4000  # a rendered question at size m, at three characters a token
TRIVIAL = Fraction(1, 20)  # of the instances at size m may fall to a baseline without thought
CROWD = 60  # instances that shares and collisions are counted over
POOL = 60  # steps of the walk that looks for answers on both sides of a constraint
WORDS = ("amber", "birch", "cedar", "delta", "ember", "fjord", "grove", "haven", "islet", "jetty")


# --- what is looked at ------------------------------------------------------------------------------------------------


def arms(family: Any) -> list[tuple[str, ...]]:
    """Return the module sets: none, each alone, each pair, all."""
    names = family.module_names
    return list(dict.fromkeys([(), *((name,) for name in names), *combinations(names, 2), names]))


@cache
def instance_at(family: Any, size: str, index: int, modules: tuple[str, ...] | None = None) -> Instance:
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
def joint(family: Any) -> list[Instance]:
    """Return instances of each size with every module on: every constraint kind occurs."""
    return [instance_at(family, size, index) for size in SIZES for index in range(1 if size in ("l", "xl") else 2)]


@cache
def sample(family: Any) -> list[Instance]:
    """Return instances of every size and module set; of the large sizes only with no module and with all."""
    out = []
    for size in SIZES:
        sets = arms(family) if size not in ("l", "xl") else arms(family)[:1] + arms(family)[-1:]
        out += [instance_at(family, size, index, modules) for index, modules in enumerate(sets)]
    return out


@cache
def crowd(family: Any) -> list[Instance]:
    """Return many instances of size m with every module on."""
    return [instance_at(family, "m", 20 * index) for index in range(CROWD)]


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
        assert value == instance.optimum == instance.proof.bound, where(
            family, instance, f"objective {value}, stored {instance.optimum}, proven {instance.proof.bound}"
        )
        rules = [c for c in constraints if c.kind != "target"]
        sign = 1 if objective.direction == "max" else -1
        for answer in pool(family, instance, "final"):
            if all(check.satisfied for check in examine(rules, answer)):
                found = objective.of(answer)
                assert sign * found <= sign * value, where(family, instance, f"{answer} is worth {found} > {value}")


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
    for instance in instances or sample(family):
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
    for instance in instances or [instance_at(family, "xs", 0), instance_at(family, "s", 0)]:
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


# --- say, check, post -------------------------------------------------------------------------------------------------


def slid(constraint: Constraint[Any, Any], answer: Any, spot: str) -> list[Constraint[Any, Any]]:
    """Return the constraint with its limit moved so that the answer's slack is 0 and -1."""
    limit, slack = constraint.limit, constraint.check(answer)  # type: ignore[attr-defined]
    slope = dataclasses.replace(constraint, limit=limit + 1).check(answer) - slack  # type: ignore[type-var]
    assert slope in (1, -1), f"{spot}: the limit enters the slack with slope {slope}"
    moved = [dataclasses.replace(constraint, limit=limit - slope * (slack - to)) for to in (0, -1)]  # type: ignore[type-var]
    slacks = [c.check(answer) for c in moved]
    assert slacks == [0, -1], f"{spot}: slid to slack 0 and -1 the check gives {slacks}"
    return moved


def faces_agree(family: Any, instances: Sequence[Instance] | None = None, kinds: Sequence[str] | None = None) -> None:
    """Each constraint alone: the check accepts an answer exactly if the solver does, at the bound and just beyond it.

    A constraint without a limit is compared on one answer for each slack found. Large instances: four of a kind.
    """
    seen: dict[str, set[bool]] = defaultdict(set)
    for instance in instances or joint(family):
        shape, large = family.shape(instance, "final"), instance.size in ("l", "xl")
        candidates, crowded = answers(family, instance, "final", 1 if large else 3), pool(family, instance, "final")
        lacking = [answer for _, _, answer in shape.lacking(candidates[0])]
        for id_, constraint in with_ids(family, instance, 4 if large else None):
            if kinds is not None and constraint.kind not in kinds:
                continue
            spot = where(family, instance, id_)
            if hasattr(constraint, "limit"):
                trials = [
                    (moved, answer)
                    for answer in candidates
                    if slack_of(constraint, answer) is not None
                    for moved in slid(constraint, answer, spot)
                ]
            else:
                by_slack = {slack_of(constraint, answer): answer for answer in [*crowded, *lacking]}
                seen[constraint.kind] |= {False} if None in by_slack else set()
                trials = [(constraint, answer) for slack, answer in by_slack.items() if slack is not None]
            for trial, answer in trials:
                accepted = trial.check(answer) >= 0
                if not exact.admits(shape, [], answer):  # outside the solver's domain: see whole_instances_agree
                    continue
                posted = exact.admits(shape, [trial], answer)
                assert accepted == posted, f"{spot}: check says {accepted}, the solver {posted} on {answer} for {trial}"
                seen[constraint.kind].add(accepted)
    for kind in family.constraint_kinds if kinds is None else kinds:
        assert seen[kind] == {True, False}, f"{family.name}: {kind} was only ever seen {seen[kind] or 'never'}"


def reads_back(shape: Any, answer: Any) -> bool:
    """Return whether the solver's variables can hold an answer."""
    from ortools.sat.python import cp_model

    model, solver = cp_model.CpModel(), cp_model.CpSolver()
    x = shape.variables(model)
    shape.fix(model, x, answer)
    solver.parameters.num_workers = 1
    return solver.solve(model) == cp_model.OPTIMAL and shape.read(solver.value, x) == answer


def posted_value(shape: Any, objective: Any, answer: Any) -> int | None:
    """Return what the posted objective is worth with the solver's variables fixed to an answer."""
    from ortools.sat.python import cp_model

    model, solver = cp_model.CpModel(), cp_model.CpSolver()
    x = shape.variables(model)
    shape.fix(model, x, answer)
    total = objective.post(model, x)
    (model.maximize if objective.direction == "max" else model.minimize)(total)
    solver.parameters.num_workers = 1
    return int(solver.value(total)) if solver.solve(model) == cp_model.OPTIMAL else None


def whole_instances_agree(family: Any, instances: Sequence[Instance] | None = None) -> None:
    """All constraints together: the judge accepts an answer exactly if the solver does.

    The solver refuses an answer that lacks an entity wherever its variables can hold such an answer, and the judge
    refuses every answer outside the solver's domain.
    """
    for instance in instances or sample(family):
        shape, constraints = family.shape(instance, "final"), family.constraints(instance, "final")
        tried = answers(family, instance, "final", 2)
        for answer in [*tried, *(a for _, _, a in list(shape.lacking(tried[0]))[:2]), shape.empty()]:
            checks = examine(constraints, answer)
            accepted = all(check.satisfied for check in checks)
            spot = where(family, instance, f"answer {answer}")
            if reads_back(shape, answer):
                posted = exact.admits(shape, constraints, answer)
                assert accepted == posted, f"{spot}: the judge says {accepted}, the solver {posted}"
            else:
                assert not accepted, f"{spot}: accepted, though the solver's variables can't hold it"


def objective_agrees(family: Any, instances: Sequence[Instance] | None = None) -> None:
    """The objective computed from an answer is what the posted objective is worth there; the target is on it."""
    for instance in instances or sample(family):
        shape, objective = family.shape(instance, "final"), family.objective_of(instance)
        for answer in answers(family, instance, "final", 3):
            if not reads_back(shape, answer):
                continue
            try:
                value = objective.of(answer)
            except Absent:
                continue
            posted = posted_value(shape, objective, answer)
            assert value == posted, where(family, instance, f"objective of {answer}: computed {value}, posted {posted}")


class Watching(Partial[Any, Any]):
    """A partial answer that remembers whether it was asked for something it lacks."""

    asked = False

    def __missing__(self, entity: Any) -> Any:
        self.asked = True
        return super().__missing__(entity)


def absent_entities_fail(family: Any, instances: Sequence[Instance] | None = None) -> None:
    """An answer lacking an entity fails each constraint that names it or asks for it, and so is never feasible."""
    for instance in instances or joint(family):
        for mode in family.modes:
            shape, constraints = family.shape(instance, mode), family.constraints(instance, mode)
            named = []
            for constraint in constraints:
                ear = Listening(instance.names)
                constraint.say(ear)
                named.append(ear.__dict__["labelled"])
            stream = Stream(f"{instance.key}/lacking")
            for answer in [family.exact(instance, mode), shape.random(stream)]:
                for entity, i, lacking in shape.lacking(answer):
                    checks = examine(constraints, lacking)
                    spot = where(family, instance, f"without {entity} {i}: ")
                    assert not all(check.satisfied for check in checks), f"{spot} {lacking} is feasible"
                    for constraint, check, names in zip(constraints, checks, named, strict=True):
                        assert not (check.satisfied and (entity, i) in names), f"{spot} {check.id} holds yet names it"
                        if isinstance(lacking, Partial) and check.satisfied:
                            watched = Watching(lacking)
                            slack_of(constraint, watched)
                            assert not watched.asked, f"{spot} {check.id} holds though what it asks for is absent"


def named_entities_matter(family: Any, instances: Sequence[Instance] | None = None) -> None:
    """Of a choice: each entity that a constraint's sentence names moves its slack, in or out, for some answer."""
    for instance in instances or joint(family):
        shape = family.shape(instance, "final")
        tried = [a for a in pool(family, instance, "final") if isinstance(a, frozenset)]
        for id_, constraint in with_ids(family, instance):
            ear = Listening(instance.names)
            constraint.say(ear)
            for entity, i in ear.__dict__["labelled"] if tried else ():
                moved = any(constraint.check(a) != constraint.check(a ^ {i}) for a in tried)
                assert entity != shape.entity or moved, where(
                    family, instance, f"{id_} names {entity} {i} without heeding it: {constraint.say(instance.names)}"
                )


# --- the statement ----------------------------------------------------------------------------------------------------


def stands_in(number: Any, text: str) -> bool:
    """Return whether a number stands in a text as a number of its own."""
    return re.search(rf"(?<![\w.-]){re.escape(str(number))}(?!\w|\.\d)", text) is not None


def statement_names_every_rule(family: Any, instances: Sequence[Instance] | None = None) -> None:
    """Each constraint's sentence stands in the statement, in any names, with its limit; kinds share no sentence."""
    for instance in instances or joint(family):
        for mode in family.modes:
            for names in [instance.names, *renamings(family, instance, mode)]:
                named = dataclasses.replace(instance, names=names)
                statement, kind_of = family.statement(named, mode), {}
                constraints = family.constraints(named, mode)
                for id_, constraint in zip(constraint_ids(constraints), constraints, strict=True):
                    sentence = constraint.say(names)
                    spot = where(family, instance, f"{id_} says {sentence!r}")
                    assert len(sentence) > 1 and sentence.strip() == sentence and sentence.endswith("."), spot
                    assert re.search(rf"(^|\d\. ){re.escape(sentence)}$", statement, re.MULTILINE), f"{spot}: unstated"
                    assert kind_of.setdefault(sentence, constraint.kind) == constraint.kind, (
                        f"{spot}, as does {kind_of[sentence]}"
                    )
                    if family.kind == "optimization" and hasattr(constraint, "limit"):
                        assert stands_in(constraint.limit, sentence), f"{spot} without its limit {constraint.limit}"
                        for moved in (constraint.limit + 1, constraint.limit - 1):
                            other = dataclasses.replace(constraint, limit=moved).say(names)
                            assert other != sentence, f"{spot} whatever the limit"
                            assert stands_in(moved, other), f"{spot}; with limit {moved}: {other!r}"
                objective = family.objective_of(named)
                assert objective is None or objective.say(names) in statement, where(family, instance, "objective")


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
    """No number of the data, no limit, no rounding and no count of steps can change without changing the statement."""
    for instance in instances or joint(family):
        mode = family.modes[-1]
        before = family.statement(instance, mode)

        def changed(field: str, path: tuple[Any, ...], instance: Instance = instance, before: str = before) -> bool:
            for by in (1, -1):
                value = replaced(getattr(instance.data, field), path, by)
                data = dataclasses.replace(instance.data, **{field: value})
                try:
                    return family.statement(dataclasses.replace(instance, data=data), family.modes[-1]) != before
                except (LookupError, ValueError, ArithmeticError):
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
                    left = re.search(rf"\b{re.escape(term)}(s|es)?\b", text, re.IGNORECASE)
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
                    assert mark not in seen, f"{family.name} m: (seed, index, attempt) {at} repeats {seen[mark]}: {mark}"
                    seen[mark] = at


def twins_line_up(family: Any) -> None:
    """Whatever modules are on, an index holds the same base, data and target; only the keys differ."""
    for size, index in (("xs", 3), ("s", 4), ("s", 5), ("m", 6)):
        found = {modules: family.instance(size, SEED, index, modules)[0] for modules in arms(family)}
        twins = [twin for twin in found.values() if not isinstance(twin, Hole)]
        same = {(t.attempt, t.base_key, t.target, canonical(t.data.plain())) for t in twins}
        assert len(same) == 1, f"{family.name} {size}/{SEED}/{index}: twins differ: {sorted(s[:3] for s in same)}"
        assert len({t.key for t in twins}) == len(twins), f"{family.name} {size}/{SEED}/{index}: twins share a key"


# --- baselines --------------------------------------------------------------------------------------------------------


def trivial_answers_fail(family: Any, instances: Sequence[Instance] | None = None) -> None:
    """At size m, whatever modules are on, the blank answer and random ones are feasible on at most 5 % of instances,
    and the answer of a template never."""
    crowded = instances or crowd(family)
    for mode in family.modes:
        for modules in arms(family):
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
                    passed[name] += all(check.satisfied for check in examine(constraints, answer))
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
        reached = objective.of(greedy) if all(c.satisfied for c in examine(rules, greedy)) else None
        if reached is not None and reached != optimum:
            assert sign * reached < sign * target, f"{spot}: greedy's {reached} passes"
        fails = reached is None or abs(reached - optimum) * 20 >= abs(optimum)
        assert instance.greedy_fails == fails, f"{spot}: greedy_fails stored {instance.greedy_fails}, found {fails}"


# --- the ladder -------------------------------------------------------------------------------------------------------


def sizes_grow(family: Any) -> None:
    """From size to size no fewer constraints; from xs to xl a longer statement and no shorter answer."""
    assert tuple(family.sizes) == SIZES, f"{family.name}: sizes {tuple(family.sizes)}"
    mode = family.modes[-1]
    row = [instance_at(family, size, 0) for size in SIZES]
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


# --- procedures -------------------------------------------------------------------------------------------------------


def half_even(value: Fraction, places: int) -> Fraction:
    """Return a value rounded to decimals, ties to even, in integers only."""
    unit = 10**places
    whole, rest = divmod(abs(value.numerator) * unit, value.denominator)
    if 2 * rest > value.denominator or (2 * rest == value.denominator and whole % 2 == 1):
        whole += 1
    return Fraction(whole if value >= 0 else -whole, unit)


def trace_is_what_the_steps_give(family: Any, instances: Sequence[Instance] | None = None) -> None:
    """Driving the step by hand, with rounding of our own, gives the stored trace; its last step moves.

    Each new component is rounded once, as it is computed: it comes from the rounding, or is an old one kept.
    """
    for instance in instances or [*joint(family), *crowd(family)[:20]]:
        places, d = instance.knobs["places"], instance.data
        x, rows = family.start(d), []
        for number in range(1, instance.knobs["steps"] + 1):
            given: list[Fraction] = []

            def rounded(value: Fraction, given: list[Fraction] = given, places: int = places) -> Fraction:
                given.append(half_even(Fraction(value), places))
                return given[-1]

            new = family.step(d, x, rounded)
            spot = where(family, instance, f"step {number}")
            assert all(v in given or v in x for v in new), f"{spot}: {new} holds values that were not rounded"
            assert len(given) <= len(new), f"{spot}: {len(given)} roundings for {len(new)} components"
            before, x = x, new
            rows.append(x)
        assert tuple(rows) == instance.answer, where(
            family, instance, f"stored trace {instance.answer}, recomputed {rows}"
        )
        assert rows[-1] != before, where(family, instance, "the last step stands still")


def iterates_are_judged(family: Any, instances: Sequence[Instance] | None = None) -> None:
    """Mode `trace` asks each component of each iterate, `final` those of the last; half a unit off passes, more fails.

    What is wrong in one component is reported there and nowhere else.
    """
    for instance in instances or joint(family):
        steps, half = instance.knobs["steps"], Fraction(1, 2 * 10 ** instance.knobs["places"])
        width = len(family.start(instance.data))
        for mode in family.modes:
            constraints, right = family.constraints(instance, mode), family.exact(instance, mode)
            asked = range(1, steps + 1) if mode == "trace" else (steps,)
            places = [(c.step, c.component) for c in constraints]
            assert places == [(s, c) for s in asked for c in range(width)], where(family, instance, f"{mode}: {places}")
            for row in range(len(right)):
                for column in range(width):
                    for delta, holds in ((half, True), (-half, True), (half * 3 / 2, False), (-half * 3 / 2, False)):
                        answer = tuple(
                            tuple(v + delta * ((r, c) == (row, column)) for c, v in enumerate(values))
                            for r, values in enumerate(right)
                        )
                        failed = [(c.row, c.component) for c in constraints if c.check(answer) < 0]
                        assert failed == ([] if holds else [(row, column)]), where(
                            family, instance, f"mode {mode}: ({row}, {column}) off by {delta} fails {failed}"
                        )


def labels_tell_slips_from_consequences(family: Any, instances: Sequence[Instance] | None = None) -> None:
    """The exact trace is all right. After one slip, honest steps from it are propagated (or restored by luck), the true
    values are restored, and only the slip is local; in mode `final` no label is given unless one step is asked."""
    for instance in instances or joint(family):
        places, d = instance.knobs["places"], instance.data
        right = family.exact(instance, "trace")
        for mode in family.modes:
            for w in family.written(instance, mode, family.exact(instance, mode)):
                known = mode == "trace" or instance.knobs["steps"] == 1
                assert (w.label, w.follows, w.attractor) == (("right", True, None) if known else (None, None, None)), (
                    where(family, instance, f"exact, mode {mode}: {w}")
                )
        for row in range(len(right)):
            slip = (right[row][0] + Fraction(3, 10**places), *right[row][1:])
            honest = [*right[:row], slip]
            try:
                while len(honest) < len(right):
                    honest.append(family.step(d, honest[-1], lambda value: half_even(Fraction(value), places)))
            except ZeroDivisionError:
                continue
            for later in (tuple(honest), (*right[:row], slip, *right[row + 1 :])):
                for w in family.written(instance, "trace", later):
                    at, true = w.step - 1, later[w.step - 1][w.component] == right[w.step - 1][w.component]
                    sound = at == 0 or later[at - 1] == right[at - 1]
                    own = later == tuple(honest)
                    expected = ("right" if sound else "restored") if true else "local" if sound else "propagated"
                    spot = where(family, instance, f"slip in iterate {row + 1}, own steps {own}: {w}")
                    assert w.label == expected, f"{spot}, expected {expected}"
                    assert not own or w.follows == ((at, w.component) != (row, 0)), spot
                    assert (w.attractor is None) == true, spot
        shape, stream = family.shape(instance, "trace"), Stream(f"{instance.key}/written")
        zero = ((Fraction(0),) * len(right[0]),) * len(right)
        for answer in [zero, shape.random(stream), shape.empty(), right[:1]]:  # never a crash
            assert len(family.written(instance, "trace", answer)) == sum(map(len, answer))


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
OPTIMIZATION = (faces_agree, whole_instances_agree, objective_agrees, named_entities_matter, targets_bite)
NUMERICS = (trace_is_what_the_steps_give, iterates_are_judged, labels_tell_slips_from_consequences)


def properties(kind: str) -> tuple[Any, ...]:
    """Return the properties of a kind of family."""
    return EVERY + (OPTIMIZATION if kind == "optimization" else NUMERICS)
