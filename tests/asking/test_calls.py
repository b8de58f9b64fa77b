"""Calling an endpoint: what is sent, what is read, and what becomes of every way in which a call can fail."""

import asyncio
import gzip
import json
import logging
import socket
import time
import tracemalloc
from collections.abc import Callable, Coroutine
from email.utils import formatdate
from typing import Any

import pytest

from probe.asking.calls import (
    Attempt,
    Caller,
    CallResult,
    Facts,
    Request,
    RetryPolicy,
    Target,
    read_reply,
    read_retry_after,
    request_body,
)
from probe.asking.connection import EndpointError
from probe.asking.limits import Limits
from probe.errors import RequestError
from tests.endpoint import (
    MEGABYTE,
    Endpoint,
    Respond,
    Script,
    answers,
    big_body,
    completion,
    cut_body,
    drips,
    fails,
    half_body,
    hangs,
    html,
    invalid_utf8,
    resets,
    says,
    says_tool,
    thinks,
)

SCHEMA = {"type": "object", "properties": {"x": {"type": "integer"}}}
KEY = "sk-verysecret/0123456789"


def request(form: Any = "text", **changes: Any) -> Request:
    given = {"messages": ({"role": "user", "content": "2 + 2?"},), "form": form, "schema": SCHEMA, "answer_tokens": 20}
    return Request(**{**given, **changes})


class Time:
    """A clock that only the waits between attempts advance."""

    def __init__(self) -> None:
        self.now = 0.0
        self.waits: list[float] = []

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.waits.append(seconds)


def target(url: str, **changes: Any) -> Target:
    return Target(**{"url": url, "model": "m", "key_variable": None, **changes})


def calls(
    url: str, act: Callable[[Caller], Coroutine[Any, Any, Any]], clock: Time | None = None, **changes: Any
) -> Any:
    """What `act` gives when it is run with a caller in an event loop of its own."""

    async def main() -> Any:
        where = target(url, **{key: changes.pop(key) for key in ("key_variable", "extra_body") if key in changes})
        limits = changes.pop("limits", None) or Limits(8, clock=clock or time.monotonic)
        if clock is not None:
            changes["sleep"] = clock.sleep
        async with Caller(where, limits, **changes) as caller:
            return await act(caller)

    return asyncio.run(main())


def ask(script: Script, form: Any = "text", clock: Time | None = None, **changes: Any) -> tuple[CallResult, Endpoint]:
    """The result of one call, without waiting between attempts, and the endpoint that saw it."""
    with Endpoint(script) as endpoint:
        result = calls(endpoint.url, lambda caller: caller.call(request(form)), clock or Time(), **changes)
    return result, endpoint


def kinds(result: CallResult) -> list[str]:
    return [attempt.kind for attempt in result.attempts]


# What is sent


def test_a_request_says_what_was_asked_and_nothing_else():
    """Settings left at None aren't sent; extra_body is merged in."""
    with Endpoint(says("4")) as endpoint:
        calls(endpoint.url, lambda caller: caller.call(request()), extra_body={"top_k": 1})
        full = request(temperature=0.5, effort="low", seed=3)
        calls(endpoint.url, lambda caller: caller.call(full))
    messages = [{"role": "user", "content": "2 + 2?"}]
    assert endpoint.bodies[0] == {"model": "m", "messages": messages, "max_tokens": 20, "top_k": 1}
    assert endpoint.bodies[1] == {
        "model": "m",
        "messages": messages,
        "max_tokens": 20,
        "temperature": 0.5,
        "seed": 3,
        "reasoning_effort": "low",
    }
    assert endpoint.requests[0].path == "/v1/chat/completions"


def test_what_an_endpoint_was_found_not_to_accept_isnt_sent():
    """The facts name the field of the answer cap and leave out temperature and seed."""
    facts = Facts(token_field="max_completion_tokens", accepts_temperature=False, accepts_seed=False)
    body = request_body(target("http://h/v1"), request(temperature=0.5, seed=3), facts)
    assert body == {"model": "m", "messages": request().messages, "max_completion_tokens": 20}


def test_each_form_asks_for_its_answer_in_its_own_way():
    """The schema goes into the response format or the tool; the tool must be called."""
    body = {form: request_body(target("http://h/v1"), request(form), Facts()) for form in ("json_schema", "tool")}
    assert body["json_schema"]["response_format"]["json_schema"] == {"name": "answer", "schema": SCHEMA}
    assert body["tool"]["tools"][0]["function"]["parameters"] == SCHEMA
    assert body["tool"]["tool_choice"]["function"]["name"] == body["tool"]["tools"][0]["function"]["name"]
    plain = request_body(target("http://h/v1"), request("json_object"), Facts())
    assert plain["response_format"] == {"type": "json_object"}


@pytest.mark.parametrize("form", ["json_schema", "tool"])
def test_our_own_keywords_of_a_schema_stay_at_home(form: Any):
    """At any depth; a property, a listed value or a text that looks like one is none."""
    rows = {"type": "array", "items": {"enum": ["x-1"]}, "x-partial": True}
    inner = {"properties": {"x-1": rows, "b": rows}, "required": ["x-1"], "x-partial": True}
    schema = {"properties": {"starts": inner}, "anyOf": [{"x-note": {"a": 1}, "minProperties": 1}], "x-partial": True}
    bare_rows = {"type": "array", "items": {"enum": ["x-1"]}}
    sent = {
        "properties": {"starts": {"properties": {"x-1": bare_rows, "b": bare_rows}, "required": ["x-1"]}},
        "anyOf": [{"minProperties": 1}],
    }
    body = request_body(target("http://h/v1"), request(form, schema=schema), Facts())
    if form == "tool":
        assert body["tools"][0]["function"]["parameters"] == sent
    else:
        assert body["response_format"]["json_schema"]["schema"] == sent
    assert schema["x-partial"] is True


@pytest.mark.parametrize("field", ["stream", "messages", "model", "n"])
def test_extra_body_must_not_replace_the_question(field: str):
    """The error names the field."""
    with pytest.raises(RequestError, match=field):
        target("http://h/v1", extra_body={field: True})


@pytest.mark.parametrize(
    "url",
    [
        "localhost:8080",
        "ftp://h/v1",
        "http://",
        "http://[h/v1",
        "http://h:port/v1",
        "http://me:pw@h/v1",
        "me:pw@h/v1",
        "http://h/v1?key=pw",
        "http://h:port/v1?key=pw",
        "http://h/v1#pw",
    ],
)
def test_a_url_that_cant_be_called_or_holds_a_secret_is_refused(url: str):
    """The error says what to give instead, and doesn't repeat a password."""
    with pytest.raises(RequestError, match="give the") as error:
        target(url)
    assert "pw" not in str(error.value)


# What is read


def test_a_reply_holds_all_that_the_endpoint_said():
    """Text, finish reason, usage, served model, fingerprint and the body itself; the attempt is on record."""
    usage = {"prompt_tokens": 9, "completion_tokens": 5, "completion_tokens_details": {"reasoning_tokens": 2}}
    script = answers(completion({"content": "4"}, "length", usage, system_fingerprint="fp"))
    result, endpoint = ask(script)
    reply = result.reply
    assert result.failure is None
    assert reply is not None
    assert (reply.text, reply.answer_text, reply.finish_reason, reply.served_model) == ("4", "4", "length", "served")
    assert (reply.prompt_tokens, reply.completion_tokens, reply.reasoning_tokens) == (9, 5, 2)
    assert (reply.fingerprint, reply.raw) == ("fp", script.body)
    (attempt,) = result.attempts
    assert (attempt.number, attempt.kind, attempt.status, attempt.error) == (1, "ok", 200, None)
    assert (attempt.prompt_tokens, attempt.completion_tokens) == (9, 5)
    assert abs(attempt.started - time.time()) < 60
    assert len(endpoint.requests) == 1


@pytest.mark.parametrize("usage", [None, "none", [], {"prompt_tokens": "7", "completion_tokens": True}])
def test_usage_that_is_absent_or_nonsense_is_unknown_not_zero(usage: Any):
    """The counts are None."""
    reply = read_reply(says("4", usage=usage).body, "text")
    assert (reply.text, reply.prompt_tokens, reply.completion_tokens) == ("4", None, None)
    reply = read_reply(says("4", usage={"prompt_tokens": -1, "completion_tokens": 10**400}).body, "text")
    assert (reply.prompt_tokens, reply.completion_tokens) == (None, None)


@pytest.mark.parametrize(
    ("message", "text", "arguments"),
    [
        ({"content": None}, None, None),
        ({}, None, None),
        ({"content": {"x": 1}}, None, None),
        ({"content": [{"type": "text", "text": "a"}, {"type": "image"}, 3, {"type": "text", "text": "b"}]}, "ab", None),
        ({"content": []}, None, None),
        ({"content": "t", "tool_calls": None}, "t", None),
        ({"content": "t", "tool_calls": "x"}, "t", None),
        (
            {"content": "t", "tool_calls": [None, 1, {}, {"function": None}, {"function": {"name": "answer"}}]},
            "t",
            None,
        ),
        ({"content": "t", "tool_calls": [{"function": {"arguments": 7}}]}, "t", None),
        ({"tool_calls": [{"function": {"arguments": {"x": 1}}}]}, None, '{"x": 1}'),
        ({"tool_calls": [{"function": {"name": 1, "arguments": "{"}}]}, None, "{"),
        (
            {
                "tool_calls": [
                    {"function": {"name": "think", "arguments": "a"}},
                    {"function": {"name": "answer", "arguments": "b"}},
                ]
            },
            None,
            "b",
        ),
    ],
)
def test_a_message_of_any_shape_is_read_as_far_as_it_goes(message: Any, text: str | None, arguments: str | None):
    """Parts are joined, malformed tool calls passed over, the call of `answer` preferred; nothing crashes."""
    reply = read_reply(json.dumps({"choices": [{"message": message}]}).encode(), "tool")
    assert (reply.text, reply.tool_arguments) == (text, arguments)


def test_the_answer_is_taken_from_the_tool_then_the_text():
    """The arguments of a call count before any text beside it."""
    result, _ = ask(says_tool('{"x": 4}'), "tool")
    assert result.reply is not None
    assert result.reply.answer_text == '{"x": 4}'
    assert result.reply.finish_reason == "tool_calls"


def test_json_that_landed_in_the_reasoning_is_the_answer_of_a_json_form_only():
    """Thoughts that are no JSON never are, and in the text form nothing is."""
    landed = thinks('{"x": 4}').body
    assert read_reply(landed, "json_schema").answer_text == '{"x": 4}'
    assert read_reply(landed, "json_schema").text is None
    assert read_reply(landed, "text").answer_text is None
    assert read_reply(thinks("Let me think: 4").body, "json_schema").answer_text is None
    assert read_reply(thinks("7").body, "json_schema").answer_text is None
    assert read_reply(thinks('{"x": 1}', '{"x": 2}').body, "json_object").answer_text == '{"x": 2}'
    assert read_reply(says(None, reasoning="r").body, "text").reasoning == "r"


def test_a_refusal_is_kept_apart_from_the_text():
    """As OpenAI sends it with structured outputs."""
    reply = read_reply(says(None, refusal="I can't").body, "json_schema")
    assert (reply.refusal, reply.answer_text) == ("I can't", None)


def test_texts_are_fit_for_any_database():
    """NUL and halves of surrogate pairs are replaced, whole pairs and other scripts kept."""
    reply = read_reply(says("a\0b\ud83dc\U0001f600é").body, "text")
    assert reply.text == "a\ufffdb\ufffdc\U0001f600é"


# Failures


GARBLED = {
    "html": html(),
    "half a body": half_body(),
    "body cut off": cut_body(),
    "invalid utf-8": invalid_utf8(),
    "connection reset": resets(),
    "empty body": Respond(),
    "no content": Respond(204),
    "no choices": answers({"error": {"message": "upstream died"}}),
    "choices empty": answers({"choices": []}),
    "choices null": answers({"choices": None}),
    "choice no object": answers({"choices": ["x"]}),
    "message null": answers({"choices": [{"message": None}]}),
    "a list": answers([1]),
    "a number": answers(1),
    "nested too deeply": Respond(body=b"[" * 200_000),
    "not HTTP": Respond(headers={"X\r\nno colon here": "x"}),
    "408": fails(408),
    "409": fails(409),
    "500": fails(500),
    "502 page": html(502),
    "error body nested too deeply": Respond(500, b'{"error":{"message":' + b"[" * 100_000),
    "error of odd types": answers({"error": {"message": {"a": 1}, "code": {}, "type": [], "param": 3}}, 500),
    "error as text": answers("no", 500),
}


@pytest.mark.parametrize("garbled", GARBLED.values(), ids=GARBLED.keys())
def test_what_goes_wrong_in_transit_is_tried_again(garbled: Respond):
    """One such response costs one attempt, with its reason on record; the next one is the reply."""
    result, endpoint = ask([garbled, says("4")])
    assert kinds(result) == ["transient", "ok"]
    assert result.reply is not None
    assert result.reply.text == "4"
    assert result.attempts[0].error
    assert [attempt.number for attempt in result.attempts] == [1, 2]
    assert len(endpoint.requests) == 2


def test_five_lost_attempts_are_a_failure_and_all_on_record():
    """As many rows as the endpoint saw requests; waits double up to their bound and are drawn below it."""
    clock = Time()
    result, endpoint = ask(fails(500, "boom"), clock=clock)
    assert result.reply is None
    assert kinds(result) == ["transient"] * 5
    assert len(endpoint.requests) == 5
    assert result.failure == "5 attempts were lost, the last: HTTP 500: boom"
    assert len(clock.waits) == 4
    assert all(0 <= wait <= bound for wait, bound in zip(clock.waits, [0.5, 1, 2, 4], strict=True))


def test_an_endpoint_nobody_serves_is_a_failure_that_names_the_cause():
    """Refused connections are tried again, then reported."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/v1"
        result = calls(url, lambda caller: caller.call(request()), Time())
    assert kinds(result) == ["transient"] * 5
    assert "Connect call failed" in (result.failure or "")
    assert result.attempts[0].status is None


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 413, 422])
def test_what_the_endpoint_refuses_is_not_asked_twice(status: int):
    """Other 4xx are final at the first attempt, with the endpoint's own words."""
    result, endpoint = ask(fails(status, "no such thing", param="temperature"))
    assert kinds(result) == ["permanent"]
    assert result.failure == f"HTTP {status}: no such thing (temperature)"
    assert result.attempts[0].status == status
    assert len(endpoint.requests) == 1


@pytest.mark.parametrize("field", ["code", "type"])
def test_an_empty_account_is_no_throttle(field: str):
    """429 with insufficient_quota: waiting doesn't help, so nobody waits."""
    result, endpoint = ask(fails(429, "pay first", **{field: "insufficient_quota"}))
    assert kinds(result) == ["permanent"]
    assert len(endpoint.requests) == 1


@pytest.mark.parametrize("status", [429, 503, 529])
def test_a_throttled_call_waits_as_long_as_it_is_told(status: int):
    """Retry-After is honoured and recorded; then the call goes on."""
    clock = Time()
    result, _ = ask([fails(status, retry_after=7), says("4")], clock=clock)
    assert kinds(result) == ["throttle", "ok"]
    assert clock.waits == [7]
    assert result.attempts[0].retry_after == 7


def test_throttled_attempts_are_bounded_apart_from_lost_ones():
    """Ten throttled ones and no more; four lost ones in between don't end a call."""
    result, endpoint = ask(fails(429))
    assert kinds(result) == ["throttle"] * 10
    assert len(endpoint.requests) == 10
    result, _ = ask([fails(500), fails(429), fails(500), fails(429), fails(500), fails(429), fails(500), says("4")])
    assert result.reply is not None
    assert len(result.attempts) == 8


def test_being_told_to_wait_beyond_the_deadline_ends_the_call():
    """Nobody waits an hour for one answer."""
    clock = Time()
    result, _ = ask(fails(429, "busy", retry_after=3600), clock=clock)
    assert clock.waits == []
    assert result.failure == "the deadline of 600 s leaves no time to try again: HTTP 429: busy"
    assert result.attempts[0].retry_after == 3600


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "3"}, 3),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after-ms": "1500", "retry-after": "9"}, 1.5),
        ({"retry-after": formatdate(1000 + 42, usegmt=True)}, 42),
        ({"retry-after": formatdate(1000 - 42, usegmt=True)}, None),
        ({"retry-after": "-1"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after-ms": "soon"}, None),
    ],
)
def test_retry_after_is_seconds_milliseconds_or_a_date(headers: dict[str, str], seconds: float | None):
    """Nonsense and times past count as not said."""
    assert read_retry_after(headers, now=1000.0) == seconds


def test_a_throttle_holds_all_calls_to_the_endpoint():
    """After a 429, no call that shares the limits is sent before its time is over."""

    def script(_: Any, number: int) -> Respond:
        return Respond(429, headers={"retry-after-ms": "300"}) if number == 0 else says("4")

    async def act(caller: Caller) -> list[CallResult]:
        first = asyncio.create_task(caller.call(request()))
        while caller.limits.paused_for() == 0:
            await asyncio.sleep(0.001)
        return await asyncio.gather(first, *(caller.call(request()) for _ in range(5)))

    with Endpoint(script) as endpoint:
        results = calls(endpoint.url, act)
    assert all(result.reply is not None for result in results)
    times = [received.time for received in endpoint.requests]
    assert len(times) == 7
    assert min(times[1:]) - times[0] >= 0.3


@pytest.mark.parametrize("slow", [hangs(), drips(seconds=0.1)], ids=["silence", "drip"])
def test_the_deadline_is_real(slow: Respond):
    """An endpoint that never answers, or a byte at a time, is left at the deadline; the attempt is on record."""
    result, endpoint = ask(slow, policy=RetryPolicy(deadline=0.3))
    assert kinds(result) == ["transient"]
    assert result.attempts[0].error == "no answer within the 0.3 s that were left"
    assert "deadline of 0.3 s" in (result.failure or "")
    assert len(endpoint.requests) == 1


def test_waiting_for_a_slot_of_our_own_is_not_the_endpoints_delay():
    """Four calls of 0.2 s through one slot each meet a deadline of 0.5 s."""

    async def act(caller: Caller) -> list[CallResult]:
        return await asyncio.gather(*(caller.call(request()) for _ in range(4)))

    with Endpoint(Respond(body=says("4").body, delay=0.2)) as endpoint:
        results = calls(endpoint.url, act, limits=Limits(1), policy=RetryPolicy(deadline=0.5, attempts=1))
    assert [kinds(result) for result in results] == [["ok"]] * 4
    assert endpoint.peak == 1


@pytest.mark.parametrize("announced", [True, False])
def test_a_body_too_large_is_never_held(announced: bool):
    """200 MB, announced or streamed: the call fails at once, having held a bounded part of it."""
    body = Respond(headers={"Content-Length": str(200 * MEGABYTE)}) if announced else big_body(200, announced=False)
    tracemalloc.start()
    try:
        result, endpoint = ask(body)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert kinds(result) == ["permanent"]
    assert "too large" in (result.failure or "")
    assert len(endpoint.requests) == 1
    assert peak < 60 * MEGABYTE


def test_a_body_that_would_unpack_to_anything_is_not_unpacked():
    """Compression isn't asked for; a body that comes compressed all the same is refused."""
    bomb = Respond(body=gzip.compress(bytes(50 * MEGABYTE)), headers={"Content-Encoding": "gzip"})
    result, endpoint = ask(bomb)
    assert kinds(result) == ["permanent"]
    assert "gzip" in (result.failure or "")
    assert endpoint.requests[0].headers["accept-encoding"] == "identity"


def test_a_streamed_body_without_length_is_read():
    """Chunked transfer is as good as a Content-Length."""
    whole = says("4").body
    result, _ = ask(Respond(chunks=(whole[:10], whole[10:])))
    assert result.reply is not None
    assert result.reply.raw == whole


def test_redirects_are_reported_not_followed():
    """Another server would be measured, and get the key."""
    with Endpoint(says("4")) as other:
        result, _ = ask(Respond(307, headers={"Location": other.url + "/chat/completions"}))
        assert other.requests == []
    assert kinds(result) == ["permanent"]
    assert result.failure == f"HTTP 307: redirected to {other.url}/chat/completions: give the URL it answers at"


def test_a_cancelled_call_leaves_its_attempts_and_its_slot():
    """Cancellation goes through; what was sent is in the caller's own list, and the slot can be had again."""
    record: list[Attempt] = []

    async def act(caller: Caller) -> CallResult:
        task = asyncio.create_task(caller.call(request(), record))
        while len(endpoint.requests) < 2:
            await asyncio.sleep(0.001)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return await caller.call(request())

    with Endpoint([fails(500), hangs(), says("4")]) as endpoint:
        result = calls(endpoint.url, act, limits=Limits(1), policy=RetryPolicy(base=0.0))
    assert [attempt.kind for attempt in record] == ["transient", "cancelled"]
    assert kinds(result) == ["ok"]


def test_no_more_calls_are_open_than_the_limits_allow():
    """The endpoint itself never sees more than the concurrency, and sees that much."""

    async def act(caller: Caller) -> list[CallResult]:
        return await asyncio.gather(*(caller.call(request()) for _ in range(40)))

    with Endpoint(Respond(body=says("4").body, delay=0.02)) as endpoint:
        calls(endpoint.url, act, limits=Limits(5))
    assert endpoint.peak == 5
    assert len(endpoint.requests) == 40


def test_a_call_that_no_minute_can_hold_fails_without_being_sent():
    """Its failure says which limit."""
    result, endpoint = ask(says("4"), limits=Limits(1, tpm=10))
    assert result.attempts == ()
    assert "limit of 10 tokens a minute" in (result.failure or "")
    assert endpoint.requests == []


def test_each_event_loop_has_a_client_of_its_own():
    """Calls in one loop after another work, as in a worker that runs one loop a task."""
    with Endpoint(says("4")) as endpoint:
        for _ in range(2):
            assert kinds(calls(endpoint.url, lambda caller: caller.call(request()))) == ["ok"]


# Keys


def test_the_key_is_read_from_its_variable_and_sent(monkeypatch: pytest.MonkeyPatch):
    """As a bearer token; nothing else of the environment goes along."""
    monkeypatch.setenv("SOME_KEY", KEY + "\n")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-other")
    monkeypatch.setenv("OPENAI_ORG_ID", "org-other")
    _, endpoint = ask(says("4"), key_variable="SOME_KEY")
    _, keyless = ask(says("4"))
    assert endpoint.requests[0].headers["authorization"] == f"Bearer {KEY}"
    assert "authorization" not in keyless.requests[0].headers
    assert "other" not in repr([endpoint.requests, keyless.requests])


@pytest.mark.parametrize("value", [None, "", "  ", "two words", "bell\a", "schlüssel"])
def test_a_key_that_is_missing_or_cant_be_sent_is_reported_before_any_call(
    value: str | None, monkeypatch: pytest.MonkeyPatch
):
    """The error names the variable, not its value."""
    monkeypatch.delenv("SOME_KEY", raising=False)
    if value is not None:
        monkeypatch.setenv("SOME_KEY", value)
    with Endpoint(says("4")) as endpoint, pytest.raises(EndpointError, match="variable SOME_KEY") as error:
        calls(endpoint.url, lambda caller: caller.call(request()), key_variable="SOME_KEY")
    assert endpoint.requests == []
    assert "words" not in str(error.value)


@pytest.mark.parametrize("status", [200, 400, 401, 429, 500])
@pytest.mark.parametrize("place", ["json", "text", "escaped", "header"])
def test_the_key_appears_nowhere_even_if_the_endpoint_echoes_it(
    status: int, place: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    """Not in attempts, failures, replies, representations or logs, however an endpoint writes it."""
    monkeypatch.setenv("SOME_KEY", KEY)
    caplog.set_level(logging.DEBUG)

    def script(_: Any, __: int) -> Respond:
        echoed = "x" * 460 + endpoint.requests[-1].headers["authorization"]  # across the bound of an error
        if place == "text":
            return Respond(status, echoed.encode())
        if place == "header":
            return Respond(307, headers={"Location": "/" + endpoint.requests[-1].headers["authorization"]})
        body = says(echoed).body if status == 200 else fails(status, echoed).body
        return Respond(status, body.replace(b"/", b"\\/") if place == "escaped" else body)

    async def act(caller: Caller) -> str:
        result = await caller.call(request())
        raw = result.reply.raw.decode() if result.reply else ""
        assert all(len(attempt.error or "") <= 500 for attempt in result.attempts)
        return repr([result, raw, caller, caller.target, vars(caller.target)])

    with Endpoint(script) as endpoint:
        seen = calls(endpoint.url, act, Time(), key_variable="SOME_KEY")
    for text in (seen, caplog.text):
        assert KEY not in text
        assert "verysecret" not in text


def test_a_placeholder_for_a_key_is_not_cut_out_of_answers(monkeypatch: pytest.MonkeyPatch):
    """Whoever sets the key of a local server to "1" still gets the ones in the answer."""
    monkeypatch.setenv("SOME_KEY", "1")
    result, _ = ask(says("211"), key_variable="SOME_KEY")
    assert result.reply is not None
    assert result.reply.text == "211"
