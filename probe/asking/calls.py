"""Calling a model: one request becomes one reply or one failure, with every attempt on record.

The client never retries by itself: it would send a call again unseen, and pay for it again. The retries here happen
inside a real deadline (the client's own timeout is per read: an endpoint that drips a byte a second never meets it).
"""

import asyncio
import json
import math
import random
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self

from probe.asking.connection import Connection, UnacceptableBodyError, check_url
from probe.asking.limits import Limits
from probe.errors import RequestError

if TYPE_CHECKING:
    from probe.asking.presentation import Form

MAX_ERROR = 500  # characters of an error kept
MAX_COUNT = 2**31 - 1  # tokens; a larger count is nonsense, and would not fit the database
THROTTLED = frozenset({429, 503, 529})
TRANSIENT = frozenset({408, 409, *range(500, 600)}) - THROTTLED
NO_MONEY = frozenset({"insufficient_quota", "billing_hard_limit_reached"})  # 429s that waiting doesn't cure
RESERVED = frozenset({"model", "messages", "stream", "n"})  # fields that extra_body must not touch
ALTERNATIVES = frozenset({"anyOf", "oneOf", "allOf", "prefixItems"})  # keywords that hold a list of schemas

Kind = Literal["ok", "throttle", "transient", "permanent", "cancelled"]


@dataclass(frozen=True)
class Target:
    """Where and how to call: `url` is the base (http://127.0.0.1:8080/v1), `model` the id served there.

    `key_variable` names the environment variable of the key, None if the endpoint needs none. `extra_body` is merged
    into every request body. `reasoning`: the model thinks before it answers.
    """

    url: str
    model: str
    key_variable: str | None = None
    extra_body: Mapping[str, object] = field(default_factory=dict)
    reasoning: bool = False

    def __post_init__(self) -> None:
        check_url(self.url)
        if clash := sorted(RESERVED & self.extra_body.keys()):
            raise RequestError(f"extra_body sets {', '.join(clash)}, which the service sets itself: leave it out")


@dataclass(frozen=True)
class Facts:
    """What an endpoint was found to accept (see `capabilities.settle`)."""

    token_field: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    accepts_temperature: bool = True
    accepts_seed: bool = True


@dataclass(frozen=True)
class Request:
    """One question to a model. `schema` is the JSON schema of its answer, asked for in the way `form` says.

    None leaves temperature, effort (low, medium, high) or seed to the endpoint.
    """

    messages: tuple[Mapping[str, str], ...]
    form: "Form"
    schema: Mapping[str, object]
    answer_tokens: int
    temperature: float | None = None
    effort: str | None = None
    seed: int | None = None

    def most_tokens(self) -> int:
        """Tokens this call may cost at worst: the prompt at three characters a token, and the whole answer cap."""
        return sum(len(message["content"]) for message in self.messages) // 3 + self.answer_tokens


@dataclass(frozen=True)
class Reply:
    """What came back, as far as it could be read; what is absent or of a wrong type is None.

    Texts hold no NUL and no lone surrogate (databases refuse both): these became U+FFFD. `raw` is the response body.
    """

    form: "Form"
    raw: bytes = field(repr=False)
    text: str | None = None
    tool_arguments: str | None = None
    reasoning: str | None = None
    refusal: str | None = None
    finish_reason: str | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    reasoning_tokens: int | None = None
    served_model: str | None = None
    fingerprint: str | None = None

    @property
    def answer_text(self) -> str | None:
        """The tool's arguments, else the text, else the reasoning of a JSON form if it is a JSON value.

        The last: servers that constrain the output and split off the reasoning put the answer on the wrong side.
        """
        if self.tool_arguments is not None:
            return self.tool_arguments
        if self.text is not None and self.text.strip():
            return self.text
        if self.form in ("json_schema", "json_object") and self.reasoning is not None:
            try:
                if isinstance(json.loads(self.reasoning), dict | list):
                    return self.reasoning
            except (ValueError, RecursionError):
                pass
        return self.text


@dataclass(frozen=True)
class Attempt:
    """One request as it was sent. `started` is Unix time; `retry_after` seconds; `error` has at most 500 characters.

    Tokens are None where the endpoint didn't say.
    """

    number: int
    started: float
    seconds: float
    kind: Kind
    status: int | None = None
    error: str | None = None
    retry_after: float | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None


@dataclass(frozen=True)
class CallResult:
    """The reply, or the reason why there is none, and every attempt made for it."""

    attempts: tuple[Attempt, ...]
    reply: Reply | None
    failure: str | None
    stopped: bool = False  # ``may_try`` forbade the next attempt


@dataclass(frozen=True)
class RetryPolicy:
    """How long to go on. `deadline`: seconds a call may take from its first request on, waits between attempts
    included (waiting for a slot of our own limits isn't the endpoint's doing, and doesn't count).

    The n-th wait is drawn evenly from [0, min(cap, base * 2^(n-1))], or is what the endpoint asks for. Ten throttled
    attempts wait about a minute together: long enough for a limit per minute to pass.
    """

    attempts: int = 5  # that fail in transit
    throttles: int = 10  # that are told to come later
    deadline: float = 600.0
    base: float = 0.5
    cap: float = 30.0


class UnreadableBodyError(ValueError):
    """A response body that was read, and is no chat completion."""


class Caller:
    """One client for one target, to be used within one event loop of one process (`async with Caller(…) as caller`).

    `limits` are shared by all callers of the endpoint in this loop. `facts` may be replaced between calls. `sleep` is
    what waits between attempts. Entering raises `EndpointError` if the key's variable isn't set.
    """

    def __init__(
        self,
        target: Target,
        limits: Limits,
        policy: RetryPolicy | None = None,
        facts: Facts | None = None,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self.target, self.limits = target, limits
        self.policy = policy or RetryPolicy()
        self.facts = facts or Facts()
        self._sleep = sleep

    async def __aenter__(self) -> Self:
        self._connection = Connection(self.target.url, self.target.key_variable, self.limits.most)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._connection.close()

    async def call(
        self,
        request: Request,
        record: list[Attempt] | None = None,
        may_try: Callable[[], bool] = lambda: True,
    ) -> CallResult:
        """Asks until there is a reply, a permanent failure, or no attempt or time left.

        `record` is extended by the attempts made, also when the call is cancelled. `may_try` is asked before each
        attempt whether it may be made.
        """
        made: list[Attempt] = []
        try:
            return await self._call(request, made, may_try)
        finally:
            if record is not None:
                record.extend(made)

    async def _call(self, request: Request, made: list[Attempt], may_try: Callable[[], bool]) -> CallResult:
        policy, tokens = self.policy, request.most_tokens()
        body = json.dumps(request_body(self.target, request, self.facts), allow_nan=False).encode()
        remaining, throttles, others = policy.deadline, 0, 0
        while True:
            try:
                slot = self.limits.slot(tokens)
            except RequestError as error:
                return CallResult(tuple(made), None, str(error))
            async with slot:
                if not may_try():
                    slot.used = 0
                    return CallResult(tuple(made), None, "stopped", stopped=True)
                reply = await self._attempt(request.form, body, remaining, made)
                attempt = made[-1]
                slot.used = tokens_used(attempt)
            if reply is not None:
                return CallResult(tuple(made), reply, None)

            throttled = attempt.kind == "throttle"
            throttles, others = throttles + throttled, others + (not throttled)
            count, most = (throttles, policy.throttles) if throttled else (others, policy.attempts)
            wait = attempt.retry_after or random.uniform(0, min(policy.cap, policy.base * 2 ** (count - 1)))
            if throttled:  # all calls to the endpoint wait, whether or not this one goes on
                self.limits.trouble(min(wait, policy.deadline))
            elif attempt.kind == "transient" and attempt.status is None:  # no answer in time, or no connection
                self.limits.trouble()
            remaining -= attempt.seconds + wait
            failure = None
            if attempt.kind == "permanent":
                failure = attempt.error
            elif count >= most:
                failure = f"{count} attempts were {'throttled' if throttled else 'lost'}, the last: {attempt.error}"
            elif remaining <= 0:
                failure = f"the deadline of {policy.deadline:g} s leaves no time to try again: {attempt.error}"
            if failure is not None:
                return CallResult(tuple(made), None, failure)
            await self._sleep(wait)

    async def _attempt(self, form: "Form", body: bytes, seconds: float, made: list[Attempt]) -> Reply | None:
        """One request on the wire, within so many seconds; whatever becomes of it is appended to `made`."""
        started, clock = time.time(), time.perf_counter()
        reply, ending = None, Ending("cancelled")
        try:
            async with asyncio.timeout(seconds):
                reply = read_reply(await self._connection.post("/chat/completions", body), form)
            ending = Ending("ok", 200)
        except Exception as error:  # noqa: BLE001  (stored: whatever a server makes the client raise is its failure)
            ending = read_ending(error, seconds)
        finally:
            text = None if ending.error is None else self._connection.hide(ending.error)[:MAX_ERROR]
            made.append(
                Attempt(
                    number=len(made) + 1,
                    started=started,
                    seconds=time.perf_counter() - clock,
                    kind=ending.kind,
                    status=ending.status,
                    error=text,
                    retry_after=ending.retry_after,
                    prompt_tokens=reply.prompt_tokens if reply else None,
                    completion_tokens=reply.completion_tokens if reply else None,
                )
            )
        return reply


def tokens_used(attempt: Attempt) -> int | None:
    """Tokens an attempt used as far as they are known: none if it was turned away, None if nobody said."""
    if attempt.kind == "throttle":
        return 0
    if attempt.prompt_tokens is None or attempt.completion_tokens is None:
        return None
    return attempt.prompt_tokens + attempt.completion_tokens


def request_body(target: Target, request: Request, facts: Facts) -> dict[str, Any]:
    """The JSON body of a chat completion request."""
    body: dict[str, Any] = {"model": target.model, "messages": request.messages}
    body[facts.token_field] = request.answer_tokens
    if request.temperature is not None and facts.accepts_temperature:
        body["temperature"] = request.temperature
    if request.seed is not None and facts.accepts_seed:
        body["seed"] = request.seed
    if request.effort is not None:
        body["reasoning_effort"] = request.effort
    schema = bare(request.schema) if request.form in ("json_schema", "tool") else {}
    if request.form == "json_schema":
        # Without "strict": with it, OpenAI refuses schemas that use uniqueItems or optional fields.
        body["response_format"] = {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema}}
    elif request.form == "json_object":
        body["response_format"] = {"type": "json_object"}
    elif request.form == "tool":
        function = {"name": "answer", "description": "Gives the answer.", "parameters": schema}
        body["tools"] = [{"type": "function", "function": function}]
        body["tool_choice"] = {"type": "function", "function": {"name": "answer"}}
    return {**body, **target.extra_body}


def bare(schema: Mapping[str, Any]) -> dict[str, Any]:
    """A JSON schema without our own keywords, which start with "x-": some endpoints refuse what they don't know.

    Property names and listed values are no keywords and stay as they are.
    """
    out: dict[str, Any] = {}
    for key, value in schema.items():
        if key.startswith("x-"):
            continue
        if key == "properties":
            out[key] = {name: bare(part) for name, part in value.items()}
        elif type(value) is dict and key != "const":
            out[key] = bare(value)
        elif type(value) is list and key in ALTERNATIVES:
            out[key] = [bare(part) for part in value]
        else:
            out[key] = value
    return out


def read_reply(raw: bytes, form: "Form") -> Reply:
    """The reply in a response body. UnreadableBodyError if there is no choice with a message in it."""
    try:
        body = json.loads(raw.decode())
    except (ValueError, RecursionError) as error:
        raise UnreadableBodyError(f"the body is no JSON ({type(error).__name__}): {_excerpt(raw)}") from None
    choices = _of(body, "choices", list)
    message = _of(choices[0], "message", dict) if choices else None
    if message is None:
        raise UnreadableBodyError(f"the body holds no choice with a message: {_message(body) or _excerpt(raw)}")
    usage = _of(body, "usage", dict)
    return Reply(
        form=form,
        raw=raw,
        text=_text(message.get("content")),
        tool_arguments=_tool_arguments(message),
        reasoning=_text(message.get("reasoning_content")) or _text(message.get("reasoning")),
        refusal=_text(message.get("refusal")),
        finish_reason=_text(choices[0].get("finish_reason")),
        prompt_tokens=_count(usage, "prompt_tokens"),
        completion_tokens=_count(usage, "completion_tokens"),
        reasoning_tokens=_count(_of(usage, "completion_tokens_details", dict), "reasoning_tokens"),
        served_model=_text(body.get("model")),
        fingerprint=_text(body.get("system_fingerprint")),
    )


def _of(container: object, key: str, kind: type) -> Any:
    """The value of a key if the container is an object and the value of this type, else None."""
    value = container.get(key) if isinstance(container, dict) else None
    return value if isinstance(value, kind) else None


def _count(usage: object, key: str) -> int | None:
    value = _of(usage, key, int)
    return value if value is not None and value is not True and 0 <= value <= MAX_COUNT else None


def _text(value: object) -> str | None:
    """A text, or the texts of a list of parts, that a database can store."""
    if isinstance(value, list):
        parts = [part for part in (_of(item, "text", str) for item in value) if part is not None]
        value = "".join(parts) if parts else None
    return _storable(value) if isinstance(value, str) else None


def _storable(text: str) -> str:
    """The text with U+FFFD in place of NUL and lone surrogates, which no database takes."""
    if not text.isascii():
        text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text.replace("\0", "\ufffd")


def _tool_arguments(message: Mapping[str, Any]) -> str | None:
    """The arguments of the call of `answer`, else of the first call; some servers send an object, not its text."""
    functions = [_of(call, "function", dict) for call in _of(message, "tool_calls", list) or ()]
    called = [function for function in functions if function is not None and function.get("arguments") is not None]
    called.sort(key=lambda function: function.get("name") != "answer")
    if not called:
        return None
    arguments = called[0]["arguments"]
    return _text(json.dumps(arguments) if isinstance(arguments, dict) else arguments)


def _message(body: object) -> str | None:
    """The message of an error body in one of the usual places."""
    error = body.get("error", body) if isinstance(body, dict) else body
    for key in ("message", "detail", "error"):
        if isinstance(error, dict) and error.get(key):
            error = error[key]
            break
    if not error:
        return None
    try:
        return " ".join((error if isinstance(error, str) else json.dumps(error)).split())
    except RecursionError:
        return None


def _excerpt(raw: bytes) -> str:
    return " ".join(raw[: 2 * MAX_ERROR].decode(errors="replace").split()) or "it is empty"


@dataclass(frozen=True)
class Ending:
    """What an attempt came to: the part of `Attempt` that an exception determines."""

    kind: Kind
    status: int | None = None
    error: str | None = None
    retry_after: float | None = None


def read_ending(error: Exception, seconds: float) -> Ending:
    """What kind of ending an exception of the client is, and its cause in words (unbounded, and not yet safe)."""
    from openai import APIStatusError

    if isinstance(error, APIStatusError):
        status, headers = error.status_code, error.response.headers
        text = f"HTTP {status}: {_message(error.body) or 'no message'}"
        if (name := _of(error.body, "param", str)) and name not in text:
            text += f" ({name})"
        if 300 <= status < 400:
            text = f"HTTP {status}: redirected to {headers.get('location')}: give the URL it answers at"
        kind: Kind = "permanent"
        if status in THROTTLED and not {_of(error.body, key, str) for key in ("code", "type")} & NO_MONEY:
            kind = "throttle"
        elif status in TRANSIENT:
            kind = "transient"
        return Ending(kind, status, _storable(text), read_retry_after(headers, time.time()))
    if isinstance(error, UnacceptableBodyError):
        return Ending("permanent", 200, _storable(str(error)))
    if isinstance(error, UnreadableBodyError):
        return Ending("transient", 200, _storable(str(error)))
    if isinstance(error, TimeoutError):
        return Ending("transient", None, f"no answer within the {seconds:.3g} s that were left")
    cause: BaseException = error
    while cause.__cause__ is not None and str(cause.__cause__):
        cause = cause.__cause__  # the client says "Connection error.", the system below it which
    return Ending("transient", None, _storable(f"{type(cause).__name__}: {cause}"))


def read_retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """Seconds an endpoint asks to wait, None if it doesn't say or says nonsense. `now` is Unix time, for dates."""
    milliseconds, text = headers.get("retry-after-ms"), headers.get("retry-after")
    try:
        if milliseconds is not None:
            seconds = float(milliseconds) / 1000
        elif text is not None:
            seconds = float(text)
        else:
            return None
    except ValueError:
        try:
            seconds = parsedate_to_datetime(text or "").timestamp() - now
        except (ValueError, OverflowError):
            return None
    return seconds if math.isfinite(seconds) and seconds >= 0 else None
