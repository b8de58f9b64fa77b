"""Finding out what an endpoint accepts and serves: each refusal leads one step on, and is noted."""

import asyncio
import socket
from typing import Any

import pytest

from probe.asking.calls import Caller, Request, RetryPolicy, Target
from probe.asking.capabilities import ServedModel, Settled, served_models, settle
from probe.asking.connection import EndpointError
from probe.asking.limits import Limits
from probe.errors import WorkError
from tests.endpoint import (
    Endpoint,
    Respond,
    Script,
    answers,
    fails,
    hangs,
    html,
    refuses,
    says,
    says_tool,
    thinks,
)

COLOURS = '{"colours": ["red"]}'


async def at_once(_: float) -> None:
    """No waiting between attempts."""


def settled(
    script: Script, channel: Any, *, reasoning: bool = False, key_variable: str | None = None, **after: Any
) -> tuple[Settled, Endpoint]:
    """What is settled with an endpoint, after which one call with the given fields is made."""

    async def main() -> Settled:
        target = Target(endpoint.url, "m", key_variable, reasoning=reasoning)
        async with Caller(target, Limits(1), RetryPolicy(throttles=2), sleep=at_once) as caller:
            found = await settle(caller, channel)
            if after:
                await caller.call(Request(({"role": "user", "content": "?"},), found.form, {}, 5, **after))
            return found

    with Endpoint(script) as endpoint:
        return asyncio.run(main()), endpoint


def forms(endpoint: Endpoint) -> list[str]:
    """The form each request asked for."""
    return [
        "tool" if "tools" in body else body.get("response_format", {"type": "text"})["type"] for body in endpoint.bodies
    ]


@pytest.mark.parametrize(
    ("channel", "reply", "form"),
    [("text", says("red, blue"), "text"), ("json", says(COLOURS), "json_schema"), ("tool", says_tool(COLOURS), "tool")],
)
def test_an_endpoint_that_does_as_asked_is_settled_by_one_call(channel: Any, reply: Respond, form: str):
    """The channel asked for is used, with nothing to note."""
    found, endpoint = settled(reply, channel)
    assert found == Settled(channel=channel, form=form, notes=())  # type: ignore[arg-type]
    assert len(endpoint.requests) == 1


@pytest.mark.parametrize("status", [400, 404, 422, 500, 501])
def test_json_falls_back_to_an_object_when_the_schema_is_refused(status: int):
    """Whatever status the server refuses with; the note has its words."""
    found, endpoint = settled(refuses("response_format.json_schema", status=status, otherwise=says(COLOURS)), "json")
    assert (found.channel, found.form) == ("json", "json_object")
    assert len(found.notes) == 1
    assert found.notes[0].startswith("json_schema refused: ")
    assert f"HTTP {status}: Unsupported parameter: 'response_format' json_schema" in found.notes[0]
    assert "JSON" in endpoint.bodies[-1]["messages"][0]["content"]  # without the word, OpenAI refuses json_object


def test_json_falls_back_to_text_when_objects_are_refused_too():
    """Three calls; the channel used is text, and both refusals are noted."""
    found, endpoint = settled(refuses("response_format"), "json")
    assert (found.channel, found.form) == ("text", "text")
    assert forms(endpoint) == ["json_schema", "json_object", "text"]
    assert [note.split(":")[0] for note in found.notes] == ["json_schema refused", "json_object refused"]


def test_tool_falls_back_to_text():
    """A server without tools."""
    found, endpoint = settled(refuses("tools"), "tool")
    assert (found.channel, found.form) == ("text", "text")
    assert forms(endpoint) == ["tool", "text"]


@pytest.mark.parametrize(
    ("channel", "reply", "form", "note"),
    [
        ("json", says("Red and blue."), "json_schema", "schema not enforced"),
        ("json", says('{"colors": ["red"]}'), "json_schema", "schema not enforced"),
        ("json", says('{"colours": ["green"]}'), "json_schema", "schema not enforced"),
        ("json", says('["red"]'), "json_schema", "schema not enforced"),
        ("json", says(None), "json_schema", "schema not enforced"),
        ("json", says("Red a", finish="length"), "json_schema", "isn't known"),
        ("tool", says("Red and blue."), "tool", "tool not enforced"),
        ("tool", says_tool("red"), "tool", "schema not enforced"),
    ],
)
def test_an_endpoint_that_accepts_and_doesnt_heed_is_kept_and_noted(channel: Any, reply: Respond, form: str, note: str):
    """The form stays what was asked for, so that models are compared under the same request."""
    found, endpoint = settled(reply, channel)
    assert (found.channel, found.form) == (channel, form)
    assert len(found.notes) == 1
    assert note in found.notes[0]
    assert len(endpoint.requests) == 1


def test_json_in_the_reasoning_counts_as_heeded():
    """As servers do that split off the reasoning of a constrained answer."""
    found, _ = settled(thinks(COLOURS), "json")
    assert found.notes == ()


def test_a_refused_token_field_is_replaced_and_refused_settings_are_left_out():
    """Each is noted, and calls made afterwards keep to it."""

    def script(body: Any, number: int) -> Respond:
        return refuses("max_tokens", "temperature", "seed", otherwise=says("red"))(body, number)

    found, endpoint = settled(script, "text", temperature=1.0, seed=5)
    assert (found.token_field, found.accepts_temperature, found.accepts_seed) == ("max_completion_tokens", False, False)
    assert len(found.notes) == 3
    assert all("HTTP 400: Unsupported parameter" in note for note in found.notes)
    assert endpoint.bodies[-1].keys() == {"model", "messages", "max_completion_tokens"}


def test_a_refusal_that_names_a_field_without_meaning_it_doesnt_cost_that_field():
    """A server that repeats the whole request in each error: temperature is still sent once the form is right."""

    def script(body: Any, _: int) -> Respond:
        if "response_format" in body:
            return fails(400, "can't do this: " + " ".join(["max_tokens", "temperature", "seed", "response_format"]))
        return says("red")

    found, _ = settled(script, "json")
    assert found.form == "text"
    assert (found.token_field, found.accepts_temperature, found.accepts_seed) == ("max_tokens", True, True)


def test_a_reasoning_model_gets_room_to_think():
    """Else its tiny answer would be cut off before it begins."""
    _, plain = settled(says("red"), "text")
    _, thinking = settled(says("red"), "text", reasoning=True)
    assert thinking.bodies[0]["max_tokens"] > 10 * plain.bodies[0]["max_tokens"]


@pytest.mark.parametrize("status", [401, 403])
def test_an_endpoint_that_lets_us_not_in_names_the_variable_of_the_key(status: int, monkeypatch: pytest.MonkeyPatch):
    """URL, status and variable, but not the key; no further form is tried."""
    monkeypatch.setenv("SOME_KEY", "sk-verysecret")
    asked = []

    def script(body: Any, _: int) -> Respond:
        asked.append(body)
        return fails(status, "wrong key sk-verysecret")

    with pytest.raises(EndpointError) as error:
        settled(script, "json", key_variable="SOME_KEY")
    message = str(error.value)
    assert len(asked) == 1
    assert "http://127.0.0.1:" in message
    assert f"HTTP {status}" in message
    assert "check the key in SOME_KEY" in message
    assert "verysecret" not in message
    with pytest.raises(EndpointError, match="--key-env"):
        settled(fails(status), "json")


def test_a_key_that_isnt_set_is_reported_before_any_call(monkeypatch: pytest.MonkeyPatch):
    """It says which variable to set."""
    monkeypatch.delenv("SOME_KEY", raising=False)
    with pytest.raises(EndpointError, match="variable SOME_KEY isn't set"):
        settled(says("red"), "text", key_variable="SOME_KEY")


@pytest.mark.parametrize(
    ("script", "words"),
    [
        (fails(429, "busy"), "HTTP 429: busy"),
        (fails(402, "pay"), "HTTP 402: pay"),
        (fails(404, "no model m"), "check the URL and the model's id"),
        (fails(400, "no"), "HTTP 400: no"),
        (html(), "doesn't answer like an OpenAI-compatible endpoint"),
        (Respond(301, headers={"Location": "/elsewhere"}), "redirected to /elsewhere"),
    ],
)
def test_an_endpoint_that_cant_be_used_at_all_is_an_error_that_says_why(script: Script, words: str):
    """Rather than a fallback to a channel that wouldn't work either."""
    with pytest.raises(EndpointError) as error:
        settled(script, "json")
    assert words in str(error.value)
    assert "http://127.0.0.1:" in str(error.value)
    assert isinstance(error.value, WorkError)


def test_an_endpoint_that_isnt_there_is_an_error_that_names_it():
    """For settling and for listing alike."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/v1"

        async def main() -> None:
            async with Caller(Target(url, "m"), Limits(1), sleep=at_once) as caller:
                await settle(caller, "json")

        with pytest.raises(EndpointError, match=f"{url} can't be used.*Connect call failed"):
            asyncio.run(main())
        with pytest.raises(EndpointError, match=f"{url} can't be used.*Connect call failed"):
            asyncio.run(served_models(url))


def listed(models: Any, **how: Any) -> list[ServedModel]:
    with Endpoint(says("4"), models) as endpoint:
        return asyncio.run(served_models(endpoint.url, **how))


def test_served_models_are_listed_with_the_sizes_the_endpoint_tells():
    """llama.cpp tells parameters, width, vocabulary, context and bytes; vLLM the context; others nothing."""
    meta = {"vocab_type": 2, "n_vocab": 49152, "n_ctx_train": 8192, "n_embd": 576, "n_params": 134515008, "size": 10**8}
    body = {
        "object": "list",
        "models": [{"name": "small"}],
        "data": [
            {"id": "small", "object": "model", "meta": meta},
            {"id": "vllm", "max_model_len": 4096},
            {"id": "odd", "meta": {"n_params": "7B", "n_embd": -1, "n_vocab": True, "size": 2**70}},
            {"id": "bare", "meta": None},
            {"id": 3},
            "x",
        ],
    }
    expected = [
        ServedModel("small", n_params=134515008, n_embd=576, n_vocab=49152, n_ctx=8192, size=10**8),
        ServedModel("vllm", n_ctx=4096),
        ServedModel("odd"),
        ServedModel("bare"),
    ]
    assert listed(body) == expected
    assert listed(answers(body["data"])) == expected  # a bare list, as some endpoints give


@pytest.mark.parametrize("wrong", [html(), answers({"x": 1}), answers(3), answers({"data": {}}), Respond(body=b"\xff")])
def test_a_page_that_lists_no_models_is_an_error(wrong: Respond):
    """It says that the URL may be wrong."""
    with pytest.raises(EndpointError, match=r"doesn't answer like an OpenAI-compatible endpoint.*check the URL"):
        listed(wrong)


def test_an_endpoint_that_doesnt_list_its_models_in_time_is_an_error():
    """Silence ends after the given time."""
    with pytest.raises(EndpointError, match=r"no answer within the 0\.2 s"):
        listed(hangs(), seconds=0.2)


def test_a_list_behind_a_key_needs_it(monkeypatch: pytest.MonkeyPatch):
    """401 names the variable; the key itself stays out of the message."""
    monkeypatch.setenv("SOME_KEY", "sk-verysecret")
    with pytest.raises(EndpointError, match="SOME_KEY") as error:
        listed(fails(401, "not sk-verysecret"), key_variable="SOME_KEY")
    assert "verysecret" not in str(error.value)
