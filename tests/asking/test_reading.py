"""Reading answers out of replies: neither too strict nor too lenient, bounded, and never a value that doesn't fit.

`replies.jsonl` holds replies in the styles of many models with what a fair examiner reads in each, decided by hand.
"""

import json
import random
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from probe.asking.judging import exact_json
from probe.asking.reading import read


def one(key: str, value: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": {key: value}, "required": [key], "additionalProperties": False}


def partial(properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
        "x-partial": True,
    }


def subset(key: str, labels: list[Any]) -> dict[str, Any]:
    return one(key, {"type": "array", "items": {"enum": labels}, "maxItems": len(labels), "uniqueItems": True})


@pytest.mark.parametrize("key", ["start time", "licence_fees", "van-loads", "Vans"])
@pytest.mark.parametrize("text", ["{}", "Here it is: {}", "```json\n{}\n```", "I think\n\n{}\n\nLet me check that."])
def test_a_key_of_several_words_is_found(key: str, text: str) -> None:
    """Cover stories name things in two words: a key with a blank, a dash or capitals is read like any other."""
    schema = one(key, {"type": "array", "items": {"enum": [1, 2, 3]}, "maxItems": 3, "uniqueItems": True})
    for written in (key, key.replace(" ", "_"), key.upper()):
        found = read(text.replace("{}", json.dumps({written: [2, 3]})), schema)
        assert (found.status, found.value) == ("read", {key: [2, 3]})


def row(count: int, entry: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"type": "array", "items": entry, "minItems": count, "maxItems": count, **more}


START = {"type": "integer", "minimum": 0}
JOBS = {str(j + 1): row(steps, START, **{"x-partial": True}) for j, steps in enumerate((3, 2, 3))}
PAIR = row(2, {"type": "number"})
SCHEMAS = {
    "subset": subset("items", list(range(1, 17))),
    "guests": subset("guests", ["Alice", "Bob", "north dock"]),
    "bins": one("assignment", partial({str(i): {"enum": [1, 2, 3]} for i in range(1, 7)})),
    "starts": one(
        "starts", partial({str(j + 1): row(n, START, **{"x-partial": True}) for j, n in enumerate((3, 2, 3))})
    ),
    "vector": one("x", PAIR),
    "vectors": one("iterates", row(3, PAIR, **{"x-partial": True})),
}
REPLIES = [json.loads(line) for line in (Path(__file__).parent / "replies.jsonl").read_text("utf-8").splitlines()]


def comparable(value: Any, schema: str) -> Any:
    """The value with exact numbers, which the corpus writes as texts."""
    if isinstance(value, dict):
        return {k: comparable(v, schema) for k, v in value.items()}
    if isinstance(value, list):
        return [comparable(v, schema) for v in value]
    return Fraction(value) if value is not None and schema in ("vector", "vectors") else value


def relaxed(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema for another validator, which doesn't know that entries may be missing."""
    lacking = ("required", "minItems") if schema.get("x-partial") else ()
    kept = {k: v for k, v in schema.items() if k not in (*lacking, "x-partial")}
    if "properties" in kept:
        kept["properties"] = {k: relaxed(v) for k, v in kept["properties"].items()}
    if "items" in kept:
        kept["items"] = relaxed(kept["items"])
    return kept


EXACT = jsonschema.validators.extend(
    jsonschema.Draft202012Validator,
    type_checker=jsonschema.Draft202012Validator.TYPE_CHECKER.redefine(
        "number", lambda _, v: isinstance(v, int | Decimal | Fraction) and not isinstance(v, bool)
    ).redefine("integer", lambda _, v: isinstance(v, int) and not isinstance(v, bool)),
)
VALIDATORS = {name: EXACT(relaxed(schema)) for name, schema in SCHEMAS.items()}


def check(text: str, schema: str) -> None:
    """A reading is consistent, and its value fits the schema in the eyes of another validator."""
    reading = read(text, SCHEMAS[schema])
    assert (reading.status == "read") == (reading.value is not None)
    assert (reading.status == "malformed") <= (reading.error is not None)
    assert len(set(reading.repairs)) == len(reading.repairs)
    if reading.value is not None:
        VALIDATORS[schema].validate(reading.value)


@pytest.mark.parametrize("reply", REPLIES, ids=[reply["id"] for reply in REPLIES])
def test_a_reply_is_read_as_a_fair_examiner_reads_it(reply):
    """Status, exact value and, where the corpus names them, the repairs in their order."""
    reading = read(reply["text"], SCHEMAS[reply["schema"]])
    assert reading.status == reply["status"], reading
    assert comparable(reading.value, reply["schema"]) == comparable(reply["value"], reply["schema"])
    if "repairs" in reply:
        assert list(reading.repairs) == reply["repairs"]


def test_the_corpus_is_broad():
    """Hundreds of replies of every status, right and wrong ones for each schema, none twice."""
    assert len(REPLIES) >= 300
    assert len({(reply["schema"], reply["text"]) for reply in REPLIES}) == len(REPLIES)
    assert {reply["status"] for reply in REPLIES} == {"read", "malformed", "unparsed", "refusal", "empty"}
    for schema in SCHEMAS:
        assert {"read", "malformed"} <= {reply["status"] for reply in REPLIES if reply["schema"] == schema}


CLEAN = {
    "subset": '{"items": [1, 4, 16]}',
    "guests": '{"guests": ["Alice", "north dock"]}',
    "bins": '{"assignment": {"1": 1, "2": 1, "3": 2, "4": 1, "5": 2, "6": 3}}',
    "starts": '{"starts": {"1": [0, 3, 8], "2": [3, 8], "3": [0, 5, 9]}}',
    "vector": '{"x": [-0.5, 12.125]}',
    "vectors": '{"iterates": [[1, 0.5], [0.75, 0.5], [0.8, -0.4]]}',
}


@pytest.mark.parametrize("schema", SCHEMAS)
def test_a_truncated_answer_is_never_completed(schema):
    """No proper beginning of an answer is read, fenced or not."""
    for lead in ("", "Answer: ", "```json\n"):
        for end in range(len(CLEAN[schema])):
            reading = read(lead + CLEAN[schema][:end], SCHEMAS[schema])
            assert reading.status in ("unparsed", "empty"), reading


@pytest.mark.parametrize("schema", SCHEMAS)
@pytest.mark.parametrize(
    "around", ["{}", "Answer: {}", "```json\n{}\n```", "<think>{{</think>\n{}\n\nDone. [1]", "{}\n[2]"]
)
def test_what_stands_around_an_answer_does_not_change_it(schema, around):
    """The quick way for clean JSON and the tolerant parser read the same."""
    expected = json.loads(CLEAN[schema], parse_float=Decimal)
    assert read(around.replace("{}", CLEAN[schema]), SCHEMAS[schema]).value == expected


@pytest.mark.parametrize("schema", SCHEMAS)
@pytest.mark.parametrize(
    "thought",
    [
        "<think>{}",
        "[THINK]so {}",
        "<reasoning>\n{}\n",
        "<|channel|>analysis<|message|>{}",
        "<think>a</think>b<think>{}",
    ],
)
def test_a_truncated_thought_is_never_an_answer(schema, thought):
    """An answer that a model only thought of, in a thought that was cut off, is not read."""
    reading = read(thought.replace("{}", CLEAN[schema]), SCHEMAS[schema])
    assert (reading.status, reading.value) == ("unparsed", None)


def test_a_long_thought_is_gone_before_a_long_reply_is_cut():
    """Cutting 200,000 characters must not cut off the tag that says that a thought is one."""
    long = "<think>" + "hm " * 100_000 + '{"items": [1]}'
    assert read(long, SCHEMAS["subset"]).status == "unparsed"
    reading = read(long + '</think>{"items": [2]}', SCHEMAS["subset"])
    assert (reading.value, reading.repairs) == ({"items": [2]}, ("think",))
    reading = read("hm " * 100_000 + '{"items": [3]}', SCHEMAS["subset"])
    assert (reading.value, reading.repairs) == ({"items": [3]}, ("cut", "prose"))


def test_what_follows_a_cut_is_not_the_start_of_the_reply():
    """A bare list counts as the answer where the reply starts with it, not where the cut happens to fall."""
    assert read("[2] is chosen.", SCHEMAS["subset"]).status == "read"
    assert read("weights: " + "[2] is ".ljust(200_000, "a"), SCHEMAS["subset"]).status == "unparsed"


def test_numbers_are_exact():
    """One tenth is one tenth; integers are int; nothing is a float."""
    reading = read('{"x": [0.1, 3.0]}', SCHEMAS["vector"])
    assert reading.value == {"x": [Fraction(1, 10), 3]}
    assert [type(v) for v in reading.value["x"]] == [Decimal, int]
    assert read('{"x": ["3/7", -1e-3]}', SCHEMAS["vector"]).value == {"x": [Fraction(3, 7), Decimal("-0.001")]}


@pytest.mark.parametrize(
    ("schema", "text", "error"),
    [
        ("subset", '{"items": [1, 2, 99]}', "$.items[2]: 99 is not one of 1..16"),
        ("subset", '{"items": [4, 4]}', "$.items: 4 is given twice"),
        ("subset", '{"total": 4}', '$: "items" is missing'),
        ("bins", '{"assignment": {"7": 1}}', '$.assignment: "7" is not one of its keys'),
        ("starts", '{"starts": {"1": [0, -1]}}', "$.starts.1[1]: -1 is out of range"),
        ("vector", '{"x": [1]}', "$.x: 1 entries instead of at least 2"),
        ("vector", '{"x": [1, NaN]}', "$.x[1]: NaN is not a number"),
        ("vector", '{"x": [1, 1e999999999]}', "$.x[1]: the number has too many digits"),
        ("vector", '{"x": [1, true]}', "$.x[1]: true is not a number"),
    ],
)
def test_a_malformed_answer_says_where_and_why(schema, text, error):
    """The error names the place in the answer and the rule."""
    reading = read(text, SCHEMAS[schema])
    assert (reading.status, reading.error) == ("malformed", error)


@pytest.mark.parametrize("written", ["[3]", "['3']", '["item 3"]', "[#3]", "[3.0]", "[03]"])
def test_ids_have_the_type_of_the_schema(written):
    """However an id is written, it is read as the schema's own label, a number or a text."""
    for label in (3, "3"):
        assert read(f'{{"items": {written}}}', subset("items", [label, 4])).value == {"items": [label]}


def test_a_label_that_could_be_two_is_none():
    """Case is overlooked only where one label is left."""
    assert read('{"items": ["Ab"]}', subset("items", ["ab", "cd"])).value == {"items": ["ab"]}
    assert read('{"items": ["Ab"]}', subset("items", ["ab", "AB"])).status == "malformed"


def test_a_stored_answer_reads_back_as_itself():
    """What the judge keeps of a reply gives the same value again, so that it can be judged again."""
    for reply in REPLIES:
        value = read(reply["text"], SCHEMAS[reply["schema"]]).value
        if value is not None:
            assert read(exact_json(value), SCHEMAS[reply["schema"]]).value == value


HOSTILE = (
    *("{", "[", '{"a":', "\\", "<think>", '"', "'", '{"', "{'", "[1,", "[{", "{“", "[#", "{//", "\\{", '{\\"', "[("),
    *("{a", '{"a" ', "</think>", "<|channel|>", "```", "{}", "[]", "[1],", '{"items":[1,2]}', '{"items":[1,99]}'),
    *('{"items":', "[1", "\n", "[\\frac{1}{", "answer [1,2] ", "{'a':'b 'c", "-", "9", " ", "I am sorry "),
)


@pytest.mark.timeout(20)
@pytest.mark.parametrize("schema", ["subset", "bins"])
@pytest.mark.parametrize("piece", HOSTILE)
def test_hostile_replies_take_no_time(piece, schema):
    """200,000 characters of anything are read in a fraction of a second, without a crash."""
    for lead in ("", "{", '{"items": "', "<think></think>"):
        check(lead + piece * (200_000 // len(piece)), schema)


def test_deep_nesting_is_no_candidate():
    """Nesting beyond 50 is skipped whole: nothing inside it is an answer, what follows it is."""
    deep = "[" * 60 + "1" + "]" * 60
    assert read(deep, SCHEMAS["subset"]).status == "unparsed"
    assert read(f'{{"items": [3], "proof": {deep}}}', SCHEMAS["subset"]).status == "unparsed"
    assert read(deep + ' {"items": [3]}', SCHEMAS["subset"]).value == {"items": [3]}


FRAGMENTS = (
    *"{}[]()<>\"'`\\:,.#/-−+0123456789eE \n",
    *('"items"', "items", "item 3", '"x"', '"assignment"', '"1"', "1.5", "3/7", "true", "None", "NaN", "```json\n"),
    *("<think>", "</think>", "\\boxed{", "\\frac{1}{2}", "“", "…", "answer: ", "Alice"),
)
TEXTS = st.one_of(st.text(max_size=60), st.lists(st.sampled_from(FRAGMENTS), max_size=30).map("".join))


@settings(max_examples=300, deadline=None)
@given(TEXTS, st.sampled_from(list(SCHEMAS)))
def test_any_text_can_be_read(text, schema):
    """No text raises, and no value is read that doesn't fit."""
    check(text, schema)


@settings(max_examples=400, deadline=None)
@given(st.sampled_from(REPLIES), st.randoms(use_true_random=False), st.sampled_from(list(SCHEMAS)))
def test_garbled_replies_never_give_a_value_that_does_not_fit(reply, chance: random.Random, other):
    """Characters dropped, doubled, swapped or inserted anywhere in a reply; also under another schema."""
    text = list(reply["text"])
    for _ in range(chance.randint(1, 4)):
        at = chance.randint(0, len(text))
        match chance.randint(0, 2):
            case 0:
                del text[at : at + chance.randint(1, 5)]
            case 1:
                text[at:at] = text[at : at + chance.randint(1, 8)]
            case _:
                text.insert(at, chance.choice("{}[]()\"'\\,:<>#/0199-.eE\n "))
    check("".join(text), reply["schema"])
    check(reply["text"], other)
