"""Presentation: how a question is put, and that nothing in the prompt gives its answer away."""

import dataclasses
import re
from functools import cache

import pytest

from probe.asking import presentation
from probe.asking.posed import Posed
from probe.asking.presentation import CHANNELS, FORM_OF, WARNING, Presentation, estimated_tokens, messages, prompt
from probe.batches import BOUNDS
from solvers import registry
from solvers.problem import Hole, Instance

EVERY = [(name, mode) for name in registry.modules() for mode in registry.get(name).modes]


@cache
def posed_at(family, mode="final", size="xs", index=0):
    found, _ = registry.get(family).instance(size, 7, index)
    assert isinstance(found, Instance)
    return Posed(found, mode)


@pytest.mark.parametrize("channel", CHANNELS)
@pytest.mark.parametrize(("family", "mode"), EVERY)
def test_every_prompt_holds_the_statement_and_the_form_of_the_answer(family, mode, channel):
    """Whatever the channel: one user message with the problem, the answer's form and what to do; nothing unfilled."""
    posed = posed_at(family, mode)
    ((message),) = messages(posed, Presentation(channel=channel, form=FORM_OF[channel]))
    assert message["role"] == "user"
    assert message["content"].count(posed.statement) == 1
    assert message["content"].count(posed.form) == 1
    assert message["content"].startswith(posed.statement)
    assert "{form}" not in message["content"]
    assert WARNING not in message["content"]


@pytest.mark.parametrize(("family", "mode"), EVERY)
def test_channels_differ_in_how_the_answer_is_handed_in(family, mode):
    """The problem is the same; the last lines differ."""
    posed = posed_at(family, mode)
    asked = {channel: prompt(posed, Presentation(channel=channel)) for channel in CHANNELS}
    assert len(set(asked.values())) == len(CHANNELS)
    assert "by one call of the tool" in asked["tool"]
    assert "this JSON object only" in asked["json"]
    assert "End your reply with this JSON object" in asked["text"]


def test_the_warning_is_there_when_asked_for():
    """It stands before the problem, once, and changes nothing else."""
    posed = posed_at("knapsack")
    warned, plain = prompt(posed, Presentation(warning=True)), prompt(posed, Presentation())
    assert warned == f"{WARNING}\n\n{plain}"


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize(("family", "mode"), EVERY)
def test_examples_are_worked_counted_and_the_same_every_time(family, mode, count):
    """As many examples as asked for, numbered, each with its answer, before the problem; the same in every prompt."""
    posed, other = posed_at(family, mode), posed_at(family, mode, "s")
    shown = prompt(posed, Presentation(examples=count))
    assert re.findall(r"^Example (\d+)$", shown, re.MULTILINE) == [str(i) for i in range(1, count + 1)]
    assert shown.count("\nAnswer: {") == count
    assert shown.endswith(f"Now the problem to solve.\n\n{prompt(posed, Presentation())}")
    before = shown.removesuffix(prompt(posed, Presentation()))
    assert before == prompt(other, Presentation(examples=count)).removesuffix(prompt(other, Presentation()))
    presentation.examples.cache_clear()
    assert prompt(posed, Presentation(examples=count)) == shown


@pytest.mark.parametrize(("family", "mode"), EVERY)
def test_more_examples_begin_with_the_same_ones(family, mode):
    """A study of the number of examples adds examples and exchanges none; no two are the same."""
    modules = registry.get(family).module_names
    four = presentation.examples(family, modules, mode, 4)
    assert presentation.examples(family, modules, mode, 2) == four[:2]
    assert presentation.examples(family, modules, mode, 0) == ()
    assert len(set(four)) == 4


@pytest.mark.parametrize(
    ("coverage", "shown"),
    [
        ("joint", [("conflict", "requires", "minimum_count")]),
        ("none", [()]),
        ("each", [("conflict",), ("requires",), ("minimum_count",)]),
        ("pairs", [("conflict", "requires"), ("conflict", "minimum_count"), ("requires", "minimum_count")]),
    ],
)
def test_coverage_says_which_modules_the_examples_show(coverage, shown):
    """Four examples show the modules together, none, one each in turn, or a pair each in turn, and no others."""
    said = {"conflict": "not both chosen", "requires": "is chosen too", "minimum_count": "items are chosen."}
    every = tuple(said)
    texts = presentation.examples("knapsack", every, "final", 4, coverage)
    expected = [shown[k % len(shown)] for k in range(4)]
    assert [tuple(m for m in every if said[m] in text) for text in texts] == expected


def test_coverage_of_too_few_modules_shows_what_there_is():
    """A question with one module has no pairs, one without modules has nothing to show alone."""
    assert presentation.module_sets(("conflict",), "pairs") == [("conflict",)]
    assert presentation.module_sets((), "each") == [()]


def test_examples_have_the_modules_of_the_question():
    """A question without modules isn't preceded by examples with them."""
    bare, _ = registry.get("knapsack").instance("xs", 7, 0, ())
    assert "not both chosen" not in prompt(Posed(bare, "final"), Presentation(examples=2))
    assert "not both chosen" in prompt(posed_at("knapsack"), Presentation(examples=2))


@pytest.mark.parametrize("family", registry.modules())
def test_no_user_can_ask_for_an_example(family):
    """Examples come from a seed below the least that may be asked for, and share no key or data with other seeds."""
    assert BOUNDS["seed"][0] > presentation.EXAMPLE_SEED
    kind = registry.get(family)

    def drawn(seed):
        found = [kind.instance("xs", seed, index)[0] for index in range(10)]
        return [one for one in found if not isinstance(one, Hole)]

    examples = drawn(presentation.EXAMPLE_SEED)
    for seed in (0, 1, 7):
        asked = drawn(seed)
        assert not {one.key for one in examples} & {one.key for one in asked}
        assert not {repr(one.data) for one in examples} & {repr(one.data) for one in asked}


def _with_other_answer(posed):
    """The same question, its stored answer, optimum, proof and mark of difficulty replaced."""
    instance, shape = posed.instance, posed.family.shape(posed.instance, posed.family.modes[-1])
    answer = instance.answer
    if posed.family.kind == "numerics":
        answer = tuple(tuple(v + 12345 for v in row) for row in answer)
    else:
        answer = shape.empty()
    proof = dataclasses.replace(instance.proof, bound=987654, effort=987654.0, status="987654")
    optimum = None if instance.optimum is None else 987654
    changed = dataclasses.replace(
        instance, answer=answer, optimum=optimum, proof=proof, greedy_fails=not instance.greedy_fails
    )
    return Posed(changed, posed.mode)


@pytest.mark.parametrize("channel", CHANNELS)
@pytest.mark.parametrize(("family", "mode"), EVERY)
def test_the_prompt_does_not_depend_on_the_exact_answer(family, mode, channel):
    """With another answer, optimum and proof stored, text and schema are the same: they can't give anything away."""
    posed = posed_at(family, mode, "m")
    other = _with_other_answer(posed)
    used = Presentation(channel=channel, examples=1, warning=True)
    assert prompt(other, used) == prompt(posed, used)
    assert other.schema == posed.schema


OTHER = {
    "channel": "json",
    "form": "json_object",
    "examples": 2,
    "coverage": "each",
    "warning": True,
    "template": presentation.TEMPLATE + 1,
    "temperature": None,
    "effort": "low",
    "answer_tokens": 1025,
}


@pytest.mark.parametrize("field", [field.name for field in dataclasses.fields(Presentation)])
def test_the_digest_differs_with_every_field(field):
    """Two presentations that differ in anything are never taken for one."""
    changed = dataclasses.replace(Presentation(), **{field: OTHER[field]})
    assert changed.digest != Presentation().digest
    assert dataclasses.replace(changed, **{field: getattr(Presentation(), field)}).digest == Presentation().digest


def test_tokens_are_estimated_cautiously():
    """Three characters a token, rounded up, and never none."""
    assert [estimated_tokens(text) for text in ("", "ab", "abc", "x" * 300)] == [1, 1, 2, 101]
