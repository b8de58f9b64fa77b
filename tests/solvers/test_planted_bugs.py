"""The suite is itself tested: a bug planted in a family makes a property fail that the family as it is passes.

A bug is planted by subclassing, in one face of one kind of constraint or in one method of the family. A planted change
that changes nothing there is to see (a sentence without a number can't lose it) is no bug, and told by comparison.
"""

import dataclasses
import itertools
import re
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from functools import cache
from itertools import cycle
from typing import Any

import pytest

from solvers import registry
from solvers.constrained import Optimization
from solvers.keys import Stream, base_key
from solvers.names import Names
from solvers.problem import Absent, Instance
from solvers.procedure import Procedure, decimal, half_even
from tests.solvers import suite, suite_faces, suite_procedures
from tests.solvers.specimens import answers, crowd, pool, slack_of, small

OPTIMIZATION = [family.name for family in registry.families() if isinstance(family, Optimization)]
NUMERICS = [family.name for family in registry.families() if isinstance(family, Procedure)]


def fails(family: Any, holds: Any, *args: Any, **kwargs: Any) -> bool:
    """Return whether a property fails for a family."""
    try:
        holds(family, *args, **kwargs)
    except AssertionError:
        return True
    return False


@cache
def passes_unplanted(name: str, holds: Any) -> bool:
    """Return whether the family as it is has a property, on the instances that the planted ones are shown."""
    family = registry.get(name)
    return not fails(family, holds, small(family))


def planted(family: Any, **methods: Any) -> Any:
    """Return a family with some methods replaced; a replacement gets the original method first."""
    kind = type(family)

    def bind(name: str, change: Any) -> Any:
        original = getattr(kind, name)
        return lambda self, *args, **kwargs: change(lambda *a, **k: original(self, *a, **k), *args, **kwargs)

    return type(f"Planted{kind.__name__}", (kind,), {name: bind(name, m) for name, m in methods.items()})()


def refaced(original: Any, **faces: Any) -> Any:
    """Return a constraint or objective with some faces replaced; a replacement gets the original object first."""

    def bind(change: Any) -> Any:
        return lambda self, *args: change(plain(self, type(original)), *args)

    kind = type(f"Planted{type(original).__name__}", (type(original),), {n: bind(f) for n, f in faces.items()})
    return plain(original, kind)


def plain(value: Any, kind: type) -> Any:
    """Return a dataclass object as one of another class with the same fields."""
    return kind(**{field.name: getattr(value, field.name) for field in dataclasses.fields(value)})


def with_faces(family: Any, kind: str, change: Callable[[Any, Sequence[Any]], Any]) -> Any:
    """Return a family whose constraints of one kind are changed; the change sees all constraints of the instance."""

    def constraints(original: Any, instance: Instance, mode: str) -> list[Any]:
        every = original(instance, mode)
        return [change(c, every) if c.kind == kind else c for c in every]

    return planted(family, constraints=constraints)


def kinds() -> Iterator[Any]:
    """Yield constraint kinds of each optimization family, another third at each call: each bug is planted in every
    family, and several bugs in each kind (`make mutants` changes every predicate in every place)."""
    part = next(PARTS)
    for place, name in enumerate(OPTIMIZATION):
        for kind in registry.get(name).constraint_kinds[(part + place) % 3 :: 3]:
            yield pytest.param(name, kind, id=f"{name}-{kind}")


PARTS = cycle(range(3))


# --- check and post ---------------------------------------------------------------------------------------------------


def one_of(constraint: Any) -> Any:
    """Return the least that a bug moves a bound by: one, or twenty tolerances of quantities with decimals."""
    return 20 * constraint.tolerance or 1


def moved(constraint: Any, by: int) -> Any:
    return dataclasses.replace(constraint, limit=constraint.limit + by * one_of(constraint))


def check_off(by: int) -> Any:
    return lambda c, every: refaced(c, check=lambda real, answer: real.check(answer) + by * one_of(c))


def post_nothing(c: Any, every: Sequence[Any]) -> Any:
    return refaced(c, post=lambda real, model, x: None)


def post_off(by: int) -> Any:
    return lambda c, every: refaced(c, post=lambda real, model, x: moved(real, by).post(model, x))


def post_more(c: Any, every: Sequence[Any]) -> Any:
    """Post the target as well: too strong for every other kind."""

    def post(real: Any, model: Any, x: Any) -> None:
        real.post(model, x)
        every[-1].post(model, x)

    return refaced(c, post=post)


@pytest.mark.parametrize(("name", "kind"), list(kinds()))
@pytest.mark.parametrize("by", [1, -1])
def test_a_predicate_off_by_one_is_exposed(name: str, kind: str, by: int) -> None:
    """A check that is one too lenient or one too strict disagrees with the solver, whatever the kind."""
    family = registry.get(name)
    bug = with_faces(family, kind, check_off(by))
    shown = [(family.constraints(i, "final"), pool(family, i, "final")) for i in small(family)]
    tried = [(c, crowded) for constraints, crowded in shown for c in constraints]
    slacks = {slack_of(c, answer) for c, crowded in tried if c.kind == kind for answer in crowded} - {None}
    # Without a limit, a predicate that no answer fails by one (or just meets) can't be off by one.
    seen = any(hasattr(c, "limit") for c, _ in tried if c.kind == kind) or (-1 if by == 1 else 0) in slacks
    assert passes_unplanted(name, suite_faces.faces_agree)
    assert fails(bug, suite_faces.faces_agree, small(family), [kind]) == seen


@pytest.mark.parametrize(("name", "kind"), list(kinds()))
def test_a_constraint_that_is_not_posted_is_exposed(name: str, kind: str) -> None:
    """The solver accepts what the judge refuses: seen alone, or where an entity is lacking in the whole instance."""
    family = registry.get(name)
    bug = with_faces(family, kind, post_nothing)
    assert passes_unplanted(name, suite_faces.faces_agree)
    assert passes_unplanted(name, suite_faces.whole_instances_agree)
    assert fails(bug, suite_faces.faces_agree, small(family), [kind]) or fails(
        bug, suite_faces.whole_instances_agree, small(family)
    )


@pytest.mark.parametrize(("name", "kind"), list(kinds()))
def test_a_posting_off_by_one_or_too_strong_is_exposed(name: str, kind: str) -> None:
    """A bound posted one off to either side, or a posting that restricts more, disagrees with the predicate."""
    family = registry.get(name)
    some = next(c for c in family.constraints(small(family)[0], "final") if c.kind == kind)
    changes = [post_off(1), post_off(-1)] if hasattr(some, "limit") else [post_more]
    for change in changes:
        assert fails(with_faces(family, kind, change), suite_faces.faces_agree, small(family), [kind])


@pytest.mark.parametrize(("name", "kind"), list(kinds()))
def test_absence_taken_for_satisfaction_is_exposed(name: str, kind: str) -> None:
    """A check that asks for an entity, doesn't find it and is content, fails; so is one that names it."""
    family = registry.get(name)

    def lenient(real: Any, answer: Any) -> Any:
        try:
            return real.check(answer)
        except Absent:
            return 0

    bug = with_faces(family, kind, lambda c, every: refaced(c, check=lenient))
    lacks = any(
        slack_of(c, answer) is None
        for i in small(family)
        for _, _, answer in family.shape(i, "final").lacking(family.exact(i, "final"))
        for c in family.constraints(i, "final")
        if c.kind == kind
    )
    assert passes_unplanted(name, suite_faces.absent_entities_fail)
    assert fails(bug, suite_faces.absent_entities_fail, small(family)) == lacks


def test_a_floor_that_calls_itself_a_ceiling_is_exposed() -> None:
    """A heuristic told that a violated floor can't be mended would stop too early: the suite sees the wrong mark."""
    family = registry.get("knapsack")
    assert passes_unplanted("knapsack", suite_faces.ceilings_stay_broken)
    for kind in ("requires", "minimum_count", "target"):
        bug = with_faces(family, kind, lambda c, every: plain(c, type("Planted", (type(c),), {"hereditary": True})))
        assert fails(bug, suite_faces.ceilings_stay_broken, small(family)), kind


# --- say --------------------------------------------------------------------------------------------------------------


def say_number(text: str) -> Any:
    """Return a change that writes something else where the sentence states its limit."""

    def change(c: Any, every: Sequence[Any]) -> Any:
        def say(real: Any, names: Names) -> str:
            if not hasattr(real, "limit"):
                return real.say(names)
            wrong = text or decimal(real.limit + 1)
            return re.sub(rf"(?<![\w.-]){re.escape(decimal(real.limit))}(?!\w|\.\d)", wrong, real.say(names))

        return refaced(c, say=say)

    return change


def say_other_kind(c: Any, every: Sequence[Any]) -> Any:
    return refaced(c, say=lambda real, names: next(o for o in every if o.kind != c.kind).say(names))


def say_sibling(c: Any, every: Sequence[Any]) -> Any:
    """Say the sentence of the first constraint of the kind."""
    first = next(o for o in every if o.kind == c.kind)
    return c if c is first else refaced(c, say=lambda real, names: first.say(names))


def say_nothing(c: Any, every: Sequence[Any]) -> Any:
    return refaced(c, say=lambda real, names: "")


@pytest.mark.parametrize(("name", "kind"), list(kinds()))
@pytest.mark.parametrize("change", [say_number(""), say_number("a few"), say_other_kind, say_sibling, say_nothing])
def test_a_sentence_that_states_something_else_is_exposed(name: str, kind: str, change: Any) -> None:
    """A wrong number, no number, another kind's rule, a sibling's entities or nothing at all: one property fails."""
    family = registry.get(name)
    bug = with_faces(family, kind, change)
    holding = (suite.statement_names_every_rule, suite_faces.sentences_name_their_own_entities)
    pairs = [zip(*(f.constraints(i, "final") for f in (family, bug)), strict=True) for i in small(family)]
    differs = any(a.say(Names()) != b.say(Names()) for pair in pairs for a, b in pair)
    assert all(passes_unplanted(name, holds) for holds in holding)
    assert any(fails(bug, holds, small(family)) for holds in holding) == differs


@pytest.mark.parametrize(("name", "kind"), list(kinds()))
def test_a_statement_without_one_of_its_rules_is_exposed(name: str, kind: str) -> None:
    """A statement that leaves out the sentences of one kind fails."""
    family = registry.get(name)

    def statement(original: Any, instance: Instance, mode: str) -> str:
        rules = {c.say(instance.names) for c in family.constraints(instance, mode) if c.kind == kind}
        return "\n".join(line for line in original(instance, mode).splitlines() if not line.endswith(tuple(rules)))

    assert fails(planted(family, statement=statement), suite.statement_names_every_rule, small(family))


@pytest.mark.parametrize("name", OPTIMIZATION + NUMERICS)
def test_a_number_that_is_not_stated_is_exposed(name: str) -> None:
    """A statement that shows the same number whatever the data hold fails, whichever field it is."""
    family = registry.get(name)
    assert passes_unplanted(name, suite.statement_names_every_number)
    for field in dataclasses.fields(family.data):
        if not any(True for _ in suite.leaves(getattr(small(family)[0].data, field.name))):
            continue

        def statement(original: Any, instance: Instance, mode: str, field: str = field.name) -> str:
            first = next(i for i in small(family) if i.key == instance.key)
            data = dataclasses.replace(instance.data, **{field: getattr(first.data, field)})
            return original(dataclasses.replace(instance, data=data), mode)

        bug = planted(family, statement=statement)
        assert fails(bug, suite.statement_names_every_number, small(family)), field.name


@pytest.mark.parametrize("name", OPTIMIZATION + NUMERICS)
def test_a_word_that_a_disguise_does_not_reach_is_exposed(name: str) -> None:
    """A statement that ignores the instance's names fails."""
    family = registry.get(name)

    def statement(original: Any, instance: Instance, mode: str) -> str:
        return original(dataclasses.replace(instance, names=Names()), mode)

    assert fails(planted(family, statement=statement), suite.disguises_reach_every_word, small(family)[:1])


# --- objective and target ---------------------------------------------------------------------------------------------


def with_objective(family: Any, **faces: Any) -> Any:
    return planted(family, objective=lambda original, d: refaced(original(d), **faces))


@pytest.mark.parametrize("name", OPTIMIZATION)
def test_a_wrong_objective_is_exposed(name: str) -> None:
    """An objective computed or posted one off, or with one of its numbers misread, disagrees with its other face."""
    family = registry.get(name)
    assert passes_unplanted(name, suite_faces.objective_agrees)
    wrong = [
        with_objective(family, of=lambda real, answer: real.of(answer) + 1),
        with_objective(family, post=lambda real, model, x: real.post(model, x) - 1),
    ]
    for bug in wrong:
        assert fails(bug, suite_faces.objective_agrees, small(family))


def without(answer: Any, k: int) -> Any:
    """Return an answer in which the k-th entity adds nothing: not chosen, or doing as another one does."""
    if isinstance(answer, tuple):
        part = k % len(answer)
        return (*answer[:part], without(answer[part], k // len(answer)), *answer[part + 1 :])
    if isinstance(answer, frozenset):
        return answer - {sorted(answer)[k % len(answer)]} if answer else answer
    entities = sorted(answer)
    ignored, other = entities[k % len(entities)], entities[(k + 1) % len(entities)]
    return type(answer)({**answer, ignored: answer[other]})


@pytest.mark.parametrize("name", OPTIMIZATION)
def test_an_objective_that_misses_an_entity_is_exposed(name: str) -> None:
    """An objective that leaves out what one entity adds fails, wherever an answer looked at shows it."""
    family, shown = registry.get(name), 0
    for k in range(6):
        bug = with_objective(family, of=lambda real, answer, k=k: real.of(without(answer, k)))
        seen = [
            (family.objective_of(i).of(a), bug.objective_of(i).of(a))
            for i in small(family)
            for a in [family.exact(i, "final"), *answers(family, i, "final", 3)[-6:]]
        ]
        differs = any(right != wrong for right, wrong in seen)
        assert fails(bug, suite_faces.objective_agrees, small(family)) >= differs
        shown += differs
    assert shown


@pytest.mark.parametrize("name", OPTIMIZATION)
def test_a_wrong_direction_is_exposed(name: str) -> None:
    """Maximising what is to be minimised fails: the exact answer is not the best found, or misses the target."""
    family = registry.get(name)

    def objective(original: Any, d: Any) -> Any:
        real = original(d)
        other = "min" if real.direction == "max" else "max"
        return plain(real, type("Planted", (type(real),), {"direction": other}))

    assert passes_unplanted(name, suite.exact_passes_and_is_proven)
    for methods in ({"objective": objective}, {"objective_of": objective}):
        bug = planted(family, **methods)
        assert fails(bug, suite.exact_passes_and_is_proven, small(family)), list(methods)


@pytest.mark.parametrize("name", OPTIMIZATION)
def test_a_target_that_blocks_nothing_or_everything_is_exposed(name: str) -> None:
    """A target below the family's share, or beyond the optimum, fails; so does a wrong mark of greedy's failure."""
    family, some = registry.get(name), small(registry.get(name))
    sign = 1 if family.objective(some[0].data).direction == "max" else -1
    assert passes_unplanted(name, suite.targets_bite)
    for off in (-1, 1):
        wrong = [dataclasses.replace(i, target=i.optimum + sign * off * (1 + abs(i.optimum))) for i in some]
        assert fails(family, suite.targets_bite, wrong)
    assert fails(family, suite.targets_bite, [dataclasses.replace(i, greedy_fails=not i.greedy_fails) for i in some])


def test_a_target_within_reach_of_the_blank_answer_is_exposed() -> None:
    """A knapsack whose target is nothing is solved by choosing nothing, and the share of such instances shows it."""
    family = registry.get("knapsack")
    some = crowd(family)[:20]
    assert not fails(family, suite.trivial_answers_fail, some)
    assert fails(family, suite.trivial_answers_fail, [dataclasses.replace(i, target=0) for i in some])


# --- keys and twins ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", OPTIMIZATION + NUMERICS)
def test_a_stream_by_seed_plus_index_is_exposed(name: str) -> None:
    """Streams keyed by seed + index, or without the attempt, share instances between neighbours."""
    family = registry.get(name)

    def by_sum(original: Any, size: str, seed: int, index: int, attempt: int) -> Stream:
        knobs = family.sizes[size].plain()
        return Stream(base_key(family.name, family.version, knobs, 0, seed + index, attempt))

    def without_attempt(original: Any, size: str, seed: int, index: int, attempt: int) -> Stream:
        return original(size, seed, index, 0)

    assert not fails(family, suite.seeds_share_nothing)
    assert fails(planted(family, stream=by_sum), suite.seeds_share_nothing)
    assert fails(planted(family, stream=without_attempt), suite.seeds_share_nothing)


@pytest.mark.parametrize("name", OPTIMIZATION + NUMERICS)
def test_a_draw_that_depends_on_the_process_is_exposed(name: str) -> None:
    """A draw that remembers earlier draws makes other instances of the same key."""
    family, count = registry.get(name), itertools.count()
    bug = planted(family, draw=lambda original, knobs, stream: original(knobs, stream(f"draw {next(count)}")))
    assert fails(bug, suite.same_key_same_instance)


@pytest.mark.parametrize("name", [n for n in OPTIMIZATION if registry.get(n).module_names][::3])
def test_twins_that_part_are_exposed(name: str) -> None:
    """Acceptance or a target that depends on the modules switched on puts different bases in one position."""
    family = registry.get(name)

    def choosy(original: Any, size: str, seed: int, index: int, attempt: int, modules: tuple[str, ...]) -> Any:
        return "discarded" if not modules and attempt == 0 else original(size, seed, index, attempt, modules)

    def own_target(original: Any, size: str, seed: int, index: int, attempt: int, modules: tuple[str, ...]) -> Any:
        found = original(size, seed, index, attempt, modules)
        more = len(modules)
        return dataclasses.replace(found, target=found.target + more) if isinstance(found, Instance) else found

    assert not fails(family, suite.twins_line_up)
    for accept in (choosy, own_target):
        assert fails(planted(family, accept=accept), suite.twins_line_up)


@pytest.mark.parametrize("name", OPTIMIZATION + NUMERICS)
def test_a_loss_in_storage_or_writing_is_exposed(name: str) -> None:
    """An instance stored without its proof's effort, or an answer read one entity off, does not come back."""
    family = registry.get(name)

    def dump(original: Any, instance: Instance) -> Any:
        plain_ = original(instance)
        return {**plain_, "proof": {**plain_["proof"], "effort": 0.0}}

    def shape(original: Any, instance: Instance, mode: str) -> Any:
        real = original(instance, mode)

        def parse(self: Any, value: Any, names: Names) -> Any:
            return real.mutated(real.parse(value, names), Stream("slip"))

        return plain(real, type("Planted", (type(real),), {"parse": parse}))

    assert passes_unplanted(name, suite.instances_survive_storage)
    assert passes_unplanted(name, suite.answers_survive_writing)
    lossy = [dataclasses.replace(i, proof=dataclasses.replace(i.proof, effort=1.5)) for i in small(family)]
    assert fails(planted(family, dump=dump), suite.instances_survive_storage, lossy)
    assert fails(planted(family, shape=shape), suite.answers_survive_writing, small(family))


# --- procedures -------------------------------------------------------------------------------------------------------


class Sequential(Procedure[Any]):
    """Gauss-Seidel sweeps: the smallest procedure in which a component uses another new one."""

    name, version, title = "sequential", 1, "sweeps"

    def draw(self, knobs: Any, stream: Stream) -> Any:
        raise NotImplementedError

    def start(self, d: Any) -> Any:
        return (Fraction(0), Fraction(0))

    def step(self, d: Any, x: Any, rounded: Any) -> Any:
        first = rounded((5 + 2 * x[1]) / Fraction(7))
        return first, rounded((1 - 3 * first) / Fraction(7))

    def intro(self, d: Any, names: Names) -> str:
        return ""

    def say(self, d: Any, names: Names) -> str:
        return ""


def wrong_traces(family: Any, instance: Instance) -> dict[str, Any]:
    """Return traces of an instance as wrong procedures would store them."""
    d, steps, places = instance.data, instance.knobs["steps"], instance.knobs["places"]
    rounded = half_even(places)

    def drive(step: Callable[[Any], Any], show: Callable[[Any], Any] = lambda x: x) -> Any:
        x, rows = family.start(d), []
        for _ in range(steps):
            x = step(x)
            rows.append(show(x))
        return tuple(rows)

    def all_rounded(x: Any) -> Any:
        return tuple(map(rounded, x))

    def truncated(value: Fraction) -> Fraction:
        return Fraction(int(value * 10**places), 10**places)

    return {
        "one step late": (family.start(d), *instance.answer)[:-1],
        "one step early": (*instance.answer[1:], family.step(d, instance.answer[-1], rounded)),
        "rounded at the end only": drive(lambda x: family.step(d, x, lambda v: v), all_rounded),
        "rounded once a sweep": drive(lambda x: all_rounded(family.step(d, x, lambda v: v))),
        "truncated": drive(lambda x: family.step(d, x, truncated)),
        "one place more": drive(lambda x: family.step(d, x, half_even(places + 1))),
    }


@pytest.mark.parametrize("name", NUMERICS)
def test_a_wrong_trace_is_exposed(name: str) -> None:
    """A trace off by one step, or rounded at the end, once a sweep, by cutting off or to other places, fails.

    (In some procedures no component uses another new one: there, rounding once a sweep is no other rule.)
    """
    family = registry.get(name)
    assert passes_unplanted(name, suite_procedures.trace_is_what_the_steps_give)
    exposed = set()
    for instance in [*small(family), *crowd(family)[:10]]:
        for bug, trace in wrong_traces(family, instance).items():
            shown = fails(
                family, suite_procedures.trace_is_what_the_steps_give, [dataclasses.replace(instance, answer=trace)]
            )
            assert shown == (trace != instance.answer), bug
            exposed |= {bug} if shown else set()
    wanted = {"one step late", "one step early"}
    if small(family)[0].knobs["places"]:  # whole numbers need no rounding
        wanted |= {"rounded at the end only", "truncated", "one place more"}
    assert exposed >= wanted


def test_rounding_once_a_sweep_is_exposed() -> None:
    """Where a component uses another new one, rounding once a sweep gives another trace, and the suite sees it."""
    family, instance = Sequential(), small(registry.get(NUMERICS[0]))[-1]
    knobs = {**instance.knobs, "steps": 4, "places": 6}
    right = dataclasses.replace(instance, knobs=knobs, answer=family.trace(None, 4, half_even(6)))
    wrong = dataclasses.replace(right, answer=wrong_traces(family, right)["rounded once a sweep"])
    assert not fails(family, suite_procedures.trace_is_what_the_steps_give, [right])
    assert fails(family, suite_procedures.trace_is_what_the_steps_give, [wrong])


@pytest.mark.parametrize("name", NUMERICS)
def test_a_step_that_rounds_too_little_or_too_much_is_exposed(name: str) -> None:
    """A step that ignores the rounding it is handed, or rounds something more, fails though its trace agrees."""
    family = registry.get(name)

    def never(original: Any, d: Any, x: Any, rounded: Any) -> Any:
        return original(d, x, lambda value: value)

    def more(original: Any, d: Any, x: Any, rounded: Any) -> Any:
        return original(d, tuple(map(rounded, x)), rounded)

    for step in (never, more):
        bug = planted(family, step=step)
        rows = [
            dataclasses.replace(i, answer=bug.trace(i.data, i.knobs["steps"], half_even(i.knobs["places"])))
            for i in small(family)
        ]
        assert fails(bug, suite_procedures.trace_is_what_the_steps_give, rows)


@pytest.mark.parametrize("name", NUMERICS)
def test_iterates_judged_wrongly_are_exposed(name: str) -> None:
    """Counting too few or too many components, asking the wrong iterate or allowing twice the difference fails."""
    family = registry.get(name)
    assert passes_unplanted(name, suite_procedures.iterates_are_judged)

    def twice(original: Any, instance: Instance, mode: str) -> Any:
        return [dataclasses.replace(c, limit=2 * c.limit or Fraction(1, 2)) for c in original(instance, mode)]

    def fewer(original: Any, instance: Instance, mode: str) -> Any:
        return original(instance, mode)[1:]

    def first(original: Any, instance: Instance, mode: str) -> Any:
        width = len(family.start(instance.data))
        return original(instance, "trace")[:width] if mode == "final" else original(instance, mode)

    def always_trace(original: Any, instance: Instance, mode: str) -> Any:
        return original(instance, "trace")

    for constraints in (twice, fewer, first, always_trace):
        assert fails(planted(family, constraints=constraints), suite_procedures.iterates_are_judged, small(family))


@pytest.mark.parametrize("name", NUMERICS)
@pytest.mark.parametrize(("is_", "said"), [("propagated", "local"), ("restored", "right"), ("local", "propagated")])
def test_a_wrong_label_is_exposed(name: str, is_: str, said: str) -> None:
    """Labels that take consequences for slips, luck for skill or slips for consequences fail."""
    family = registry.get(name)

    def written(original: Any, instance: Instance, mode: str, answer: Any) -> Any:
        found = original(instance, mode, answer)
        return [dataclasses.replace(w, label=said if w.label == is_ else w.label) for w in found]

    assert passes_unplanted(name, suite_procedures.labels_tell_slips_from_consequences)
    bug = planted(family, written=written)
    assert fails(bug, suite_procedures.labels_tell_slips_from_consequences, small(family))
