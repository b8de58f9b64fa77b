"""What an endpoint accepts and serves, found out by asking it."""

import asyncio
import json
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from probe.asking.calls import (
    Attempt,
    Caller,
    CallResult,
    Facts,
    Reply,
    Request,
    UnreadableBodyError,
    read_ending,
)
from probe.asking.connection import Connection, EndpointError

if TYPE_CHECKING:
    from probe.asking.presentation import Channel, Form

LADDER: "dict[Channel, tuple[Form, ...]]" = {
    "text": ("text",),
    "json": ("json_schema", "json_object", "text"),
    "tool": ("tool", "text"),
}
USED: "dict[Form, Channel]" = {"text": "text", "json_schema": "json", "json_object": "json", "tool": "tool"}

# Written with the keywords that answers' schemas use, so that an endpoint that refuses them is found out here.
SCHEMA = {
    "type": "object",
    "properties": {
        "colours": {"type": "array", "items": {"enum": ["red", "blue"]}, "maxItems": 2, "uniqueItems": True},
    },
    "required": ["colours"],
    "additionalProperties": False,
}
QUESTION = "Name two colours."  # says nothing of JSON: a model that isn't held to the schema answers in prose
JSON_QUESTION = (
    'Name two colours. Reply with a JSON object like {"colours": ["red", "blue"]}.'  # as json_object demands
)
ANSWER_TOKENS = 256
REASONING_TOKENS = 4096  # a model that thinks first needs them before it says a word


@dataclass(frozen=True, kw_only=True)
class Settled(Facts):
    """How an endpoint will be asked on a channel: the channel and form it gets to use, and what it accepts beside.

    `notes`: each thing it refused or didn't heed, in its own words.
    """

    channel: "Channel"
    form: "Form"
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class ServedModel:
    """A model as an endpoint lists it; what it doesn't tell is None.

    `n_params` is the number of parameters, `n_embd` the width, `n_vocab` the number of tokens it knows, `n_ctx` the
    longest context in tokens, `size` bytes.
    """

    id: str
    n_params: int | None = None
    n_embd: int | None = None
    n_vocab: int | None = None
    n_ctx: int | None = None
    size: int | None = None


async def settle(caller: Caller, channel: "Channel") -> Settled:
    """Finds the form in which this endpoint can be asked on this channel, by one tiny call a step.

    json goes from a schema to any JSON object to text, tool to text, when the endpoint refuses. A refused token field,
    temperature or seed is replaced or left out. An endpoint that accepts a form and doesn't heed it is taken at its
    word, and this noted. Leaves what it found in `caller.facts`. EndpointError if the endpoint can't be reached, lets
    us not in, or refuses plain text too.
    """
    notes: list[str] = []
    for form in LADDER[channel]:
        result, facts, replaced = await _ask(caller, form)
        if result.reply is not None:
            unheeded = _unheeded(result.reply, form)
            settled = Settled(
                channel=USED[form],
                form=form,
                token_field=facts.token_field,
                accepts_temperature=facts.accepts_temperature,
                accepts_seed=facts.accepts_seed,
                notes=(*notes, *replaced, *([unheeded] if unheeded else [])),
            )
            caller.facts = settled
            return settled
        if not result.attempts:  # our own limits don't allow even this call
            raise EndpointError(result.failure)
        last = result.attempts[-1]
        if form == "text" or not _refused(last):
            target = caller.target
            raise EndpointError(_explanation(target.url, target.key_variable, last.status, result.failure))
        notes.append(f"{form} refused: {result.failure}")
    raise AssertionError("every ladder ends in text")


async def _ask(caller: Caller, form: "Form") -> tuple[CallResult, Facts, list[str]]:
    """One form's call, repeated with other fields while the endpoint refuses those; what it took; what it refused."""
    facts, notes = Facts(), list[str]()
    request = Request(
        messages=({"role": "user", "content": JSON_QUESTION if form == "json_object" else QUESTION},),
        form=form,
        schema=SCHEMA,
        answer_tokens=REASONING_TOKENS if caller.target.reasoning else ANSWER_TOKENS,
        temperature=0.0,
        seed=0,
    )
    while True:
        caller.facts = facts
        result = await caller.call(request)
        if result.reply is not None or not result.attempts:
            return result, facts, notes
        changed = _without_refused(facts, result.attempts[-1])
        if changed is None:
            return result, facts, notes
        facts, what = changed
        notes.append(f"{what}: {result.failure}")


def _refused(attempt: Attempt) -> bool:
    """Whether the endpoint dislikes what it is asked, rather than who asks, where or how often.

    A 5xx that stays counts: llama.cpp's server once answered 500 to a response format it didn't know.
    """
    status = attempt.status or 0
    return attempt.kind != "throttle" and status >= 400 and status not in (401, 402, 403, 407)


def _without_refused(facts: Facts, attempt: Attempt) -> tuple[Facts, str] | None:
    """The facts after a refusal that names a field which can be replaced or left out, and what changed."""
    if attempt.kind != "permanent" or not _refused(attempt):
        return None
    named = set(re.findall(r"\w+", attempt.error or ""))
    if "max_tokens" in named and facts.token_field == "max_tokens":
        return replace(facts, token_field="max_completion_tokens"), "max_completion_tokens sent, max_tokens refused"
    if "temperature" in named and facts.accepts_temperature:
        return replace(facts, accepts_temperature=False), "temperature left out"
    if "seed" in named and facts.accepts_seed:
        return replace(facts, accepts_seed=False), "seed left out"
    return None


def _unheeded(reply: Reply, form: "Form") -> str | None:
    """What the endpoint accepted and didn't do."""
    if form == "text":
        return None
    if form == "tool" and reply.tool_arguments is None:
        return "tool not enforced: accepted, but not called"
    try:
        value = json.loads(reply.answer_text or "")
    except (ValueError, RecursionError):
        value = None
    if isinstance(value, dict) and (form == "json_object" or _fits(value)):
        return None
    if reply.finish_reason == "length":
        return f"{form} accepted; the answer was cut off, so that whether it is enforced isn't known"
    what = "JSON object" if form == "json_object" else "schema"
    return f"{what} not enforced: {form} accepted, but the answer doesn't fit"


def _fits(value: dict[str, Any]) -> bool:
    """Whether the value fits SCHEMA."""
    colours = value.get("colours")
    if len(value) != 1 or not isinstance(colours, list):
        return False
    return all(colour in ["red", "blue"] and colours.count(colour) == 1 for colour in colours)


async def served_models(url: str, key_variable: str | None = None, seconds: float = 30.0) -> list[ServedModel]:
    """The models an endpoint lists at /models, in its order. EndpointError if it doesn't within so many seconds."""
    connection = Connection(url, key_variable, connections=1)
    try:
        async with asyncio.timeout(seconds):
            return read_models(await connection.get("/models"))
    except Exception as error:  # noqa: BLE001  (whatever a server makes the client raise is the server's failure)
        ending = read_ending(error, seconds)
        text = connection.hide(ending.error or "")[:500]
        raise EndpointError(_explanation(url, key_variable, ending.status, text)) from None
    finally:
        await connection.close()


def read_models(raw: bytes) -> list[ServedModel]:
    """The models in the body of GET /models: a list, or an object with it as `data`; sizes from llama.cpp's `meta`."""
    try:
        body = json.loads(raw.decode())
    except (ValueError, RecursionError):
        raise UnreadableBodyError("the list of models is no JSON") from None
    rows = body.get("data") if isinstance(body, dict) else body
    if not isinstance(rows, list):
        raise UnreadableBodyError('the list of models has no "data"')
    models = []
    for row in rows:
        if not isinstance(row, dict) or not isinstance(row.get("id"), str):
            continue
        given = row.get("meta")
        meta = given if isinstance(given, dict) else {}
        models.append(
            ServedModel(
                id=row["id"],
                n_params=_whole(meta.get("n_params")),
                n_embd=_whole(meta.get("n_embd")),
                n_vocab=_whole(meta.get("n_vocab")),
                n_ctx=_whole(meta.get("n_ctx_train")) or _whole(row.get("max_model_len")),
                size=_whole(meta.get("size")),
            )
        )
    return models


def _whole(value: Any) -> int | None:
    """A positive whole number that a database can store, else None."""
    return value if isinstance(value, int) and value is not True and 0 < value < 2**63 else None


def _explanation(url: str, key_variable: str | None, status: int | None, failure: str | None) -> str:
    """What is wrong with an endpoint and what to do about it."""
    if status in (401, 403):
        key = f"check the key in {key_variable}" if key_variable else "name the variable of its key (--key-env)"
        return f"{url} lets us not in ({failure}): {key}"
    if status is None:
        return f"{url} can't be used: {failure}: check that it is running and that the URL is right"
    if status == 200:
        return f"{url} doesn't answer like an OpenAI-compatible endpoint: {failure}: check the URL"
    if status == 404:
        return f"{url} doesn't know the path or the model ({failure}): check the URL and the model's id"
    return f"{url} refuses: {failure}"
