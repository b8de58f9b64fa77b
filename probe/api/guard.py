"""What is true of every request before a handler sees it: a bounded body, no NUL characters."""

import math
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from probe.api.problems import ProblemError, problem

MAX_BODY = 1 << 20  # bytes
DEEPEST = 32  # levels of a JSON body
HEADERS = [(b"x-content-type-options", b"nosniff"), (b"cache-control", b"no-cache")]


class Guard:
    """The outermost layer of the application."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer what can't be accepted; pass on the rest with its body as one message."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *HEADERS]
            await send(message)

        path = scope["path"]
        if "\0" in path or b"%00" in scope["query_string"]:
            answer = problem(path.replace("\0", ""), 400, "path or query hold a NUL character (%00); leave it out")
            await answer(scope, receive, sending)
            return
        body = await _read(scope, receive)
        if body is None:
            answer = problem(
                path,
                413,
                f"the body is larger than {MAX_BODY} bytes; split it",
                [{"field": "body", "message": "too large"}],
            )
            await answer(scope, receive, sending)
            return
        messages = iter([{"type": "http.request", "body": body, "more_body": False}])

        async def received() -> Message:
            return next(messages, None) or await receive()

        await self.app(scope, received, sending)


async def _read(scope: Scope, receive: Receive) -> bytes | None:
    """Return the whole body, None where it is too large; one that says so is not even read."""
    length = dict(scope["headers"]).get(b"content-length", b"0")
    if length.isdigit() and int(length[:20]) > MAX_BODY:
        return None
    body = bytearray()
    while True:
        message = await receive()
        body += message.get("body", b"")
        if len(body) > MAX_BODY:
            return None
        if not message.get("more_body", False):
            return bytes(body)


def check_storable(value: Any) -> None:
    """Raise ProblemError, naming the field, unless a database can hold every text and number of a JSON value."""
    todo = [("", value, 0)]
    while todo:
        where, found, depth = todo.pop()
        if depth > DEEPEST:
            raise ProblemError(422, f"nested more than {DEEPEST} levels deep", where.partition(".")[0])
        match found:
            case str() if "\0" in found or any("\ud800" <= c <= "\udfff" for c in found):
                raise ProblemError(422, "a text holds a NUL character or half a surrogate pair; leave it out", where)
            case float() if not math.isfinite(found):
                raise ProblemError(422, "a number is not finite", where)
            case list():
                todo += [(f"{where}.{i}" if where else str(i), item, depth + 1) for i, item in enumerate(found)]
            case dict():
                todo += [(where, key, depth) for key in found]
                todo += [(f"{where}.{key}" if where else key, item, depth + 1) for key, item in found.items()]
