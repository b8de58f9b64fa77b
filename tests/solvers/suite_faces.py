"""Say, check and post of every constraint and objective tested against each other; see `tests.solvers.suite`."""

import dataclasses
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Any

from solvers import exact
from solvers.keys import Stream
from solvers.problem import Absent, Constraint, Instance, examine
from solvers.shapes import MapOf, OrderOf, Partial
from tests.solvers.specimens import Listening, answers, joint, pool, sample, slack_of, where, with_ids


def slid(constraint: Constraint[Any, Any], answer: Any, spot: str) -> list[Constraint[Any, Any]]:
    """Return the constraint with its limit moved so that the answer's slack is 0 and -1; where quantities are written
    with decimals, ten tolerances on either side of the bound."""
    slack, slope = constraint.check(answer), slope_of(constraint, answer, spot)
    ends = (10 * constraint.tolerance, -10 * constraint.tolerance) if constraint.tolerance else (0, -1)
    moved = [widened(constraint, slope * (to - slack)) for to in ends]
    slacks = tuple(c.check(answer) for c in moved)
    assert slacks == ends, f"{spot}: slid to slack {ends} the check gives {slacks}"
    return moved


def slope_of(constraint: Constraint[Any, Any], answer: Any, spot: str) -> int:
    """Return the slope with which the limit enters the slack: 1 or -1."""
    slope = widened(constraint, 1).check(answer) - constraint.check(answer)
    assert slope in (1, -1), f"{spot}: the limit enters the slack with slope {slope}"
    return int(slope)


def widened(constraint: Any, by: Any) -> Any:
    """Return the constraint with its limit moved."""
    return dataclasses.replace(constraint, limit=constraint.limit + by)


def nearest(constraint: Constraint[Any, Any], tried: Sequence[Any]) -> list[Any]:
    """Return answers with different slacks, the two nearest to the bound on either side of it."""
    by_slack = {slack_of(constraint, answer): answer for answer in tried}
    slacks = sorted(slack for slack in by_slack if slack is not None)
    below, above = [s for s in slacks if s < 0], [s for s in slacks if s >= 0]
    return [by_slack[slack] for slack in below[-2:] + above[:2]]


def faces_agree(family: Any, instances: Sequence[Instance] | None = None, kinds: Sequence[str] | None = None) -> None:
    """Each constraint alone: the check accepts an answer exactly if the solver does, at the bound and just beyond it.

    A constraint with a limit is slid to each answer; another is compared on each answer and on those nearest to its
    bound. Of sizes above s, three constraints of a kind.
    """
    seen: dict[str, set[bool]] = defaultdict(set)
    for instance in instances or joint(family):
        shape, small = family.shape(instance, "final"), instance.size in ("xs", "s")
        candidates = answers(family, instance, "final", 2 if small else 1)
        crowded = pool(family, instance, "final")
        within: dict[int, bool] = {}  # by answer of the pool
        candidates = [answer for answer in candidates if in_domain(shape, answer)]
        lacking = [answer for _, _, answer in shape.lacking(candidates[0])]
        told: dict[int, list[tuple[str, Any, Any, bool]]] = defaultdict(list)  # by answer
        for id_, constraint in with_ids(family, instance, None if small else 3):
            if kinds is not None and constraint.kind not in kinds:
                continue
            spot = where(family, instance, id_)
            present = [answer for answer in candidates if slack_of(constraint, answer) is not None]
            if hasattr(constraint, "limit"):
                trials = [(moved, answer) for answer in present for moved in slid(constraint, answer, spot)]
                # Nothing is too much for a floor or too little for a ceiling; for an equality it is.
                trials += [(widened(met, by), answer) for met, answer in trials[:1] for by in (1, -1)]
            else:
                near = nearest(constraint, crowded)
                within |= {id(answer): in_domain(shape, answer) for answer in near if id(answer) not in within}
                bordering = [answer for answer in near if within[id(answer)]]
                trials = [(constraint, answer) for answer in [*present, *bordering]]
                if any(slack_of(constraint, answer) is None for answer in lacking):
                    seen[constraint.kind].add(False)
            for trial, answer in trials:
                told[id(answer)].append((spot, trial, answer, trial.check(answer) >= 0))
        for group in told.values():
            # What the solver admits together, it admits alone: one question for all that the checks accept.
            accepted = [trial for _, trial, _, holds in group if holds]
            together = exact.admits(shape, accepted, group[0][2])
            for spot, trial, answer, holds in group:
                posted = (holds and together) or exact.admits(shape, [trial], answer)
                assert holds == posted, f"{spot}: check says {holds}, the solver {posted} on {answer} for {trial}"
                seen[trial.kind].add(holds)
    for kind in family.constraint_kinds if kinds is None else kinds:
        assert seen[kind] == {True, False}, f"{family.name}: {kind} was only ever seen {seen[kind] or 'absent'}"


def in_domain(shape: Any, answer: Any) -> bool:
    """Return whether the solver's variables can take an answer's values (see whole_instances_agree on the others)."""
    return exact.admits(shape, [], answer)


def held(shape: Any, constraints: Sequence[Any], objective: Any, answer: Any) -> tuple[bool, Any, Any]:
    """Return what the solver says with its variables fixed to an answer: whether it finds that feasible, the answer as
    it stands in its variables (they may not be able to hold it), and what the posted objective is worth."""
    done, x = exact.run(shape, constraints, objective, fixed=answer)
    if done.ending != "optimal":
        return False, None, None
    value = None if done.objective is None else exact.exact_bound(done.objective, shape.continuous)
    return True, shape.read(done.value, x), value


def whole_instances_agree(family: Any, instances: Sequence[Instance] | None = None) -> None:
    """All constraints together: the judge accepts an answer exactly if the solver does.

    The solver refuses an answer that lacks an entity wherever its variables can hold such an answer, and the judge
    refuses every answer outside the solver's domain.
    """
    for instance in instances or sample(family):
        shape, constraints = family.shape(instance, "final"), family.constraints(instance, "final")
        tried = answers(family, instance, "final", 1)
        for answer in [*tried, *(a for _, _, a in list(shape.lacking(tried[0]))[:2]), shape.empty()]:
            checks = examine(constraints, answer)
            accepted = all(check.satisfied for check in checks)
            spot = where(family, instance, f"answer {answer}")
            if shape.continuous:
                agree_beyond_tolerance(shape, constraints, answer, spot)
                continue
            admitted, read, _ = held(shape, constraints, None, answer)
            if admitted and read != answer:
                assert not accepted, f"{spot}: accepted, though the solver's variables can't hold it"
            else:
                assert accepted == admitted, f"{spot}: the judge says {accepted}, the solver {admitted}"


def agree_beyond_tolerance(shape: Any, constraints: Sequence[Any], answer: Any, spot: str) -> None:
    """What the judge accepts, the solver accepts with every bound two tolerances wider; what the judge refuses by ten
    tolerances or more, the solver refuses even so."""
    slacks = [slack_of(constraint, answer) for constraint in constraints]
    if None in slacks:
        return  # judged as failed; the solver, free to choose what is missing, may well find an answer
    wide = [widened(c, slope_of(c, answer, spot) * 2 * c.tolerance) for c in constraints]
    admitted = exact.admits(shape, wide, answer)
    pairs = list(zip(slacks, constraints, strict=True))
    if all(slack >= -c.tolerance for slack, c in pairs):
        assert admitted, f"{spot}: the judge accepts it, the solver refuses it"
    elif any(slack <= -10 * c.tolerance for slack, c in pairs):
        assert not admitted, f"{spot}: the judge refuses it, the solver accepts it"


def objective_agrees(family: Any, instances: Sequence[Instance] | None = None) -> None:
    """The objective computed from an answer is what the posted objective is worth there; the target is on it. (It is
    the same whatever modules are on.)"""
    for instance in instances or joint(family):
        shape, objective = family.shape(instance, "final"), family.objective_of(instance)
        for answer in answers(family, instance, "final", 3):
            admitted, read, posted = held(shape, [], objective, answer)
            if not admitted:  # the answer is out of the domain, or the posted objective forbids it
                admitted, read, posted = held(shape, [], None, answer)
            if not admitted or read != answer:
                continue
            try:
                value = objective.of(answer)
            except Absent:
                continue
            spot = where(family, instance, f"objective of {answer}: computed {value}, posted {posted}")
            assert posted is not None, spot
            assert abs(value - posted) <= objective.tolerance, spot


class Watching(Partial[Any, Any]):
    """A partial answer that remembers whether it was asked for something it lacks."""

    asked = False

    def __missing__(self, entity: Any) -> Any:
        self.asked = True
        return super().__missing__(entity)


def watching(answer: Any) -> Any:
    """Return an answer whose parts remember what they are asked for, None where it has no such parts."""
    if isinstance(answer, Partial):
        return Watching(answer)
    if isinstance(answer, tuple) and any(isinstance(part, Partial) for part in answer):
        return tuple(Watching(part) if isinstance(part, Partial) else part for part in answer)
    return None


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
                parts = list(shape.lacking(answer))
                halved = Counter((entity, i) for entity, i, _ in parts)  # two quantities of it: one is still there
                for entity, i, lacking in parts:
                    checks = examine(constraints, lacking)
                    spot = where(family, instance, f"without {entity} {i}: ")
                    assert not all(check.satisfied for check in checks), f"{spot} {lacking} is feasible"
                    for constraint, check, names in zip(constraints, checks, named, strict=True):
                        named_all = check.satisfied and (entity, i) in names and halved[entity, i] == 1
                        assert not named_all, f"{spot} {check.id} holds yet names it"
                        if check.satisfied and (watched := watching(lacking)) is not None:
                            slack_of(constraint, watched)
                            asked = watched if isinstance(watched, tuple) else (watched,)
                            assert not any(getattr(part, "asked", False) for part in asked), (
                                f"{spot} {check.id} holds though what it asks for is absent"
                            )


def strange_values_fail(family: Any, instances: Sequence[Instance] | None = None) -> None:
    """A value that no reader lets through (a thing that there is not, a place before the first) is refused by the judge
    too: by a constraint of class structure, whatever the others make of it."""
    for instance in instances or joint(family):
        shape = family.shape(instance, "final")
        strange = (-1, shape.targets) if isinstance(shape, MapOf) else (-1,) if isinstance(shape, OrderOf) else ()
        right = family.exact(instance, "final")
        rules = [c for c in family.constraints(instance, "final") if c.constraint_class == "structure"]
        for entity, value in ((entity, value) for entity in (right if strange else ()) for value in strange):
            answer = Partial({**right, entity: value})
            assert any(rule.check(answer) < 0 for rule in rules), where(family, instance, f"{answer} passes")


def ceilings_stay_broken(family: Any, instances: Sequence[Instance] | None = None) -> None:
    """A constraint that calls itself hereditary is right: where a part of an answer violates it, so does the whole."""
    for instance in instances or joint(family):
        shape, constraints = family.shape(instance, "final"), with_ids(family, instance)
        for whole in answers(family, instance, "final", 3):
            parts = list(shape.smaller(whole))
            for id_, constraint in constraints:
                if constraint.hereditary:
                    slack = slack_of(constraint, whole)
                    for part in parts if slack is not None and slack >= 0 else ():
                        less = slack_of(constraint, part)
                        assert less is None or less >= 0, where(family, instance, f"{id_}: {whole} mends {part}")


def numbers_in(value: Any) -> Iterator[Any]:
    """Yield the numbers in a constraint's fields."""
    if dataclasses.is_dataclass(value):
        for field in dataclasses.fields(value):
            yield from numbers_in(getattr(value, field.name))
    elif isinstance(value, (tuple, list, frozenset)):
        for part in value:
            yield from numbers_in(part)
    elif isinstance(value, (int, Fraction)):
        yield value


def sentences_name_their_own_entities(family: Any, instances: Sequence[Instance] | None = None) -> None:
    """A sentence names entities that its constraint holds in its fields (or all of a kind), among them the one in the
    field of that name; and of a choice, each one named moves the slack, in or out, for some answer."""
    for instance in instances or joint(family):
        shape = family.shape(instance, "final")
        tried = [a for a in pool(family, instance, "final") if isinstance(a, frozenset)]
        for id_, constraint in with_ids(family, instance):
            ear = Listening(instance.names)
            sentence = constraint.say(ear)
            labelled, held = ear.__dict__["labelled"], set(numbers_in(constraint))
            for entity, i in labelled:
                spot = where(family, instance, f"{id_} says {sentence!r}: {entity} {i}")
                whole = {k for e, k in labelled if e == entity}
                own = getattr(constraint, entity, None)
                assert not isinstance(own, int) or own in whole, f"{spot}, not its own {own}"
                assert i in held or (len(whole) > 1 and whole == set(range(len(whole)))), f"{spot} is none of its own"
                if tried and entity == shape.entity:
                    moved = any(constraint.check(a) != constraint.check(a ^ {i}) for a in tried)
                    assert moved, f"{spot} makes no difference"
