"""A scriptable OpenAI-compatible endpoint on a real socket.

In tests, `with Endpoint(says("4")) as endpoint:` serves at `endpoint.url` from a thread of its own and keeps what
it was asked in `endpoint.requests`. The script is one `Respond`, a list of them (played in order, the last one
repeated), or a function of (request body, number of the request from 0).

`python -m tests.endpoint --port 8080 --answer '{"x": 1}'` is the other mode: one fixed answer, given as fast as
Python can, for measuring callers.
"""

import argparse
import asyncio
import json
import socket
import struct
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import Any, Self

MEGABYTE = 1 << 20


@dataclass(frozen=True)
class Respond:
    """What the endpoint does with one request. `cut`: bytes of the body sent before the connection is closed."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    delay: float = 0.0  # seconds before the first byte
    drip: float | None = None  # seconds between single bytes of the body
    cut: int | None = None
    chunks: tuple[bytes, ...] | None = None  # instead of `body`, and without a Content-Length
    reset: bool = False  # the connection is reset, nothing is answered
    hang: bool = False  # nothing is answered until the client goes away


@dataclass(frozen=True)
class Received:
    """One request as it arrived. `body` is the decoded JSON, None if it was none; header names are lower case."""

    path: str
    headers: Mapping[str, str]
    body: Any
    time: float  # time.monotonic()


Script = Respond | Sequence[Respond] | Callable[[Any, int], Respond]


def completion(message: Mapping[str, Any], finish: str = "stop", usage: Any = ..., **rest: Any) -> dict[str, Any]:
    """A chat completion as the API documents it. `usage=None` leaves the usage out."""
    if usage is ...:
        usage = {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}
    choice = {"index": 0, "message": {"role": "assistant", **message}, "finish_reason": finish}
    body = {"id": "c-1", "object": "chat.completion", "created": 1, "model": "served", "choices": [choice], **rest}
    return body if usage is None else {**body, "usage": usage}


def answers(body: Any, status: int = 200, **how: Any) -> Respond:
    """Any JSON value as the response body."""
    return Respond(status, json.dumps(body).encode(), **how)


def says(text: str | None, *, finish: str = "stop", usage: Any = ..., **message: Any) -> Respond:
    """An answer in the message's content; further fields of the message by name (`reasoning_content=…`)."""
    return answers(completion({"content": text, **message}, finish, usage))


def says_tool(arguments: Any, name: str = "answer") -> Respond:
    """An answer as the arguments of a tool call: a JSON text, as the API has it, or whatever a server sends."""
    call = {"id": "t-1", "type": "function", "function": {"name": name, "arguments": arguments}}
    return answers(completion({"content": None, "tool_calls": [call]}, "tool_calls"))


def thinks(reasoning: str, text: str | None = None, **how: Any) -> Respond:
    """Reasoning beside the content, which may be null."""
    return says(text, reasoning_content=reasoning, **how)


def fails(status: int, message: str = "no", *, retry_after: object = None, **error: Any) -> Respond:
    """An error in the API's form; further fields of the error by name (`code=…`, `param=…`)."""
    headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
    return answers({"error": {"message": message, **error}}, status, headers=headers)


def html(status: int = 200) -> Respond:
    """The page of a proxy in between."""
    page = b"<html><body><h1>Bad gateway</h1></body></html>"
    return Respond(status, page, {"Content-Type": "text/html"})


def cut_body(text: str = "4") -> Respond:
    """The connection is closed after half of the promised body."""
    whole = says(text)
    return replace(whole, cut=len(whole.body) // 2)


def half_body(text: str = "4") -> Respond:
    """Half a JSON body, delivered properly."""
    whole = says(text)
    return replace(whole, body=whole.body[: len(whole.body) // 2])


def drips(text: str = "4", seconds: float = 1.0) -> Respond:
    """One byte of the body at a time."""
    return replace(says(text), drip=seconds)


def hangs() -> Respond:
    """Silence."""
    return Respond(hang=True)


def resets() -> Respond:
    """A reset connection."""
    return Respond(reset=True)


def big_body(megabytes: int, *, announced: bool = True) -> Respond:
    """A body of spaces, its length announced or not."""
    if announced:
        return Respond(body=b" " * (megabytes * MEGABYTE))
    return Respond(chunks=(b" " * MEGABYTE,) * megabytes)


def invalid_utf8() -> Respond:
    """A well-formed answer but for two bytes that are not UTF-8."""
    return Respond(body=says("HERE").body.replace(b"HERE", b"\xff\xfe"))


def refuses(*fields: str, status: int = 400, otherwise: Respond | None = None) -> Callable[[Any, int], Respond]:
    """A script that answers, but refuses requests with one of these fields; `response_format.json_schema` works."""

    def script(body: Any, number: int) -> Respond:
        for name in fields:
            outer, _, kind = name.partition(".")
            if outer in body and (not kind or body[outer].get("type") == kind):
                return fails(status, f"Unsupported parameter: '{outer}' {kind}".strip(), param=outer)
        return otherwise if otherwise is not None else says("4")

    return script


class Endpoint:
    """Serves a script at `url` while the `with` block lasts. An error in the script is raised at its end."""

    def __init__(self, script: Script, models: Any = None) -> None:
        """`models`: the body of GET /v1/models, or a `Respond`."""
        self.requests: list[Received] = []  # POSTs, in order of arrival
        self.peak = 0  # most requests open at once
        self.url = ""
        self._script = script
        self._models = models if isinstance(models, Respond) else answers(models or {"data": [{"id": "served"}]})
        self._open = 0
        self._error: Exception | None = None
        self._started = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)

    @property
    def bodies(self) -> list[Any]:
        return [request.body for request in self.requests]

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._started.wait(10), "the endpoint did not start"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)
        if self._error is not None and error is None:
            raise self._error

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        tasks: set[asyncio.Task[None]] = set()

        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            tasks.add(task)
            try:
                while await self._one(reader, writer):
                    pass
            except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
                pass  # the client left, or the test is over
            finally:
                tasks.discard(task)
                writer.close()

        server = await asyncio.start_server(connected, "127.0.0.1", 0, backlog=1024)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
        self._started.set()
        await self._stop.wait()
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Answers one request; False when the connection is to be closed."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        method, path, _ = head[0].split(" ", 2)
        pairs = (line.partition(":") for line in head[1:] if line)
        headers = {name.lower(): value.strip() for name, _, value in pairs}
        raw = await reader.readexactly(int(headers.get("content-length", 0)))
        self._open += 1
        self.peak = max(self.peak, self._open)
        try:
            return await self._send(self._chosen(method, path, headers, raw), reader, writer)
        finally:
            self._open -= 1

    def _chosen(self, method: str, path: str, headers: Mapping[str, str], raw: bytes) -> Respond:
        if method == "GET":
            return self._models if path.endswith("/models") else fails(404, "no such page")
        number = len(self.requests)
        try:
            body = json.loads(raw)
        except ValueError:
            body = None
        self.requests.append(Received(path, headers, body, time.monotonic()))
        try:
            if isinstance(self._script, Respond):
                return self._script
            if isinstance(self._script, Sequence):
                return self._script[min(number, len(self._script) - 1)]
            return self._script(body, number)
        except Exception as error:  # noqa: BLE001  (raised again in the test's own thread)
            self._error = error
            return fails(500, f"the test's script failed: {error!r}")

    async def _send(self, how: Respond, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        if how.hang:
            await reader.read()
            return False
        await asyncio.sleep(how.delay)
        if how.reset:
            linger = struct.pack("ii", 1, 0)  # closing then sends RST
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            return False
        length = {"Transfer-Encoding": "chunked"} if how.chunks is not None else {"Content-Length": len(how.body)}
        given = {"Content-Type": "application/json", **length, **how.headers}
        lines = [f"HTTP/1.1 {how.status} Scripted", *(f"{name}: {value}" for name, value in given.items())]
        writer.write("\r\n".join([*lines, "", ""]).encode("latin-1"))
        for part in how.chunks or ():
            writer.write(b"%x\r\n%b\r\n" % (len(part), part))
            await writer.drain()
        if how.chunks is not None:
            writer.write(b"0\r\n\r\n")
        elif how.drip is None:
            writer.write(how.body[: how.cut])
        else:
            for byte in how.body[: how.cut]:
                writer.write(bytes([byte]))
                await writer.drain()
                await asyncio.sleep(how.drip)
        await writer.drain()
        return how.cut is None


class Instant(asyncio.Protocol):
    """The same bytes for every POST, on keep-alive connections; GET gets the list of models."""

    def __init__(self, answer: bytes, models: bytes, delay: float) -> None:
        self._answer, self._models, self._delay = answer, models, delay
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            head = self._buffer[:end].lower()
            at = head.find(b"content-length:")
            length = 0 if at < 0 else int(head[at + 15 :].split(b"\r\n", 1)[0])
            if len(self._buffer) < end + 4 + length:
                return
            self._buffer = self._buffer[end + 4 + length :]
            reply = self._models if head.startswith(b"get ") else self._answer
            if self._delay:
                asyncio.get_running_loop().call_later(self._delay, self._transport.write, reply)
            else:
                self._transport.write(reply)


def _response(body: Any) -> bytes:
    raw = json.dumps(body).encode()
    return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (len(raw), raw)


async def _serve_instantly(port: int, answer: str, delay: float) -> None:
    reply = _response(completion({"content": answer}))
    models = _response({"object": "list", "data": [{"id": "served", "object": "model"}]})
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Instant(reply, models, delay), "127.0.0.1", port, backlog=1024)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="An endpoint that gives one fixed answer, at once.")
    parser.add_argument("--port", type=int, default=0, help="0: a free one; the URL is printed")
    parser.add_argument("--answer", default="4", help="the content of every message")
    parser.add_argument("--delay", type=float, default=0.0, help="seconds before each answer")
    given = parser.parse_args()
    asyncio.run(_serve_instantly(given.port, given.answer, given.delay))
