"""A connection to one endpoint: bodies out, bodies in, bounded, with the key kept inside.

It is the openai package's own HTTP client on aiohttp. The package's API client above it builds and checks typed
objects, which takes longer than the call itself; its exceptions are raised all the same.
"""

import json
import os
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from probe.errors import RequestError, WorkError

if TYPE_CHECKING:
    import httpx2
    from openai import APIStatusError

MAX_BODY = 8 << 20  # bytes of a response; a longer one is a failure
CONNECT_TIMEOUT = 10.0  # seconds


class EndpointError(WorkError):
    """An endpoint can't be used as it is configured. The message says why and what to do; it never holds a key."""


class Connection:
    """A client of one endpoint together with its key, which never leaves it."""

    def __init__(self, url: str, key_variable: str | None, connections: int) -> None:
        """EndpointError if the variable that should hold the key doesn't."""
        import httpx2
        from openai import DefaultAioHttpClient

        check_url(url)
        self._key = read_key(key_variable)
        key = self._key or ""  # as JSON writes it, too: some servers put a backslash before each slash
        self._spellings = {key, json.dumps(key)[1:-1], key.replace("/", "\\/")} - {""}
        # Nothing of a key or organisation that happens to be in the environment is sent along.
        self._headers = {
            "Content-Type": "application/json",
            "Accept-Encoding": "identity",  # a bound on the body must bound what it unpacks to
        }
        if self._key:
            self._headers["Authorization"] = f"Bearer {self._key}"
        self._urls: dict[str, httpx2.URL] = {}
        self._base, self._parsed = url.rstrip("/"), httpx2.URL
        self._client = DefaultAioHttpClient(
            limits=httpx2.Limits(max_connections=connections),
            timeout=httpx2.Timeout(None, connect=CONNECT_TIMEOUT),
            follow_redirects=False,  # another server would be measured, and given the key
            event_hooks={"response": [_bound]},
        )

    async def post(self, path: str, content: bytes) -> bytes:
        """The body of a successful response; the client's exceptions, or `UnacceptableBodyError`, for anything else.

        This is the HTTP client under the API's: building and checking the API client's typed objects takes five times
        as long as the call itself.
        """
        return await self._send("POST", path, content)

    async def get(self, path: str) -> bytes:
        """As `post`."""
        return await self._send("GET", path, None)

    async def _send(self, method: str, path: str, content: bytes | None) -> bytes:
        if path not in self._urls:  # parsing one takes a tenth of a call
            self._urls[path] = self._parsed(self._base + path)
        response = await self._client.request(method, self._urls[path], content=content, headers=self._headers)
        if not response.is_success:
            raise _status_error(response)
        return self._without_key(response.content)

    async def close(self) -> None:
        await self._client.aclose()

    def hide(self, text: str) -> str:
        """The text without the key."""
        for spelling in self._spellings:
            text = text.replace(spelling, "[key]")
        return text

    def _without_key(self, body: bytes) -> bytes:
        # A short "key" is a placeholder like "none" or "1", and may rightly be part of an answer.
        if self._key and len(self._key) >= 8:
            for spelling in self._spellings:
                body = body.replace(spelling.encode(), b"[key]")
        return body


class UnacceptableBodyError(Exception):
    """A response body that isn't read: too long, or compressed although that wasn't asked for."""


def _status_error(response: "httpx2.Response") -> "APIStatusError":
    """The API client's exception for a response without success; its body is the error object where there is one."""
    from openai import APIStatusError

    try:
        body = json.loads(response.content)
    except (ValueError, RecursionError):
        body = response.text
    error = body.get("error", body) if isinstance(body, dict) else body
    return APIStatusError(f"HTTP {response.status_code}", response=response, body=error)


async def _bound(response: "httpx2.Response") -> None:
    """Refuses a body that is compressed or announced as too long, and reads one that says nothing of its length."""
    import httpx2

    if (coding := response.headers.get("content-encoding", "identity")) != "identity":
        raise UnacceptableBodyError(f"the body is compressed ({coding[:20]}), which wasn't asked for")
    length = response.headers.get("content-length")
    if length is not None:
        if not length.isdecimal() or len(length) > 18 or int(length) > MAX_BODY:
            raise UnacceptableBodyError(f"body too large: {length[:20]} bytes, more than {MAX_BODY}")
        return
    stream, body = response.stream, bytearray()
    assert isinstance(stream, httpx2.AsyncByteStream)
    try:
        async for chunk in stream:
            body += chunk
            if len(body) > MAX_BODY:
                raise UnacceptableBodyError(f"body too large: more than {MAX_BODY} bytes")
    finally:
        await stream.aclose()
    response.stream = httpx2.ByteStream(bytes(body))


def check_url(url: str) -> None:
    """RequestError, which repeats no secret, unless the URL is one to put "/chat/completions" behind."""
    try:
        parts = urlsplit(url)
        secret = "@" in parts.netloc or bool(parts.query or parts.fragment)
        usable = secret or (parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0)
    except ValueError:  # a port that is none, or half of an IPv6 address
        usable = secret = False
    if secret:
        raise RequestError(
            "the url holds a user name, password, query or fragment: give the base URL alone, "
            "and name the variable that holds the key"
        )
    if not usable:
        shown = "" if any(mark in url for mark in "@?#") else f" {url!r}"
        raise RequestError(f"the url{shown} is none: give the endpoint's base URL, like http://127.0.0.1:8080/v1")


def read_key(variable: str | None) -> str | None:
    """The key in this environment variable. EndpointError, naming the variable, if there is none that can be sent."""
    if variable is None:
        return None
    key = os.environ.get(variable, "").strip()
    if not key:
        raise EndpointError(f"the environment variable {variable} isn't set: set it to the endpoint's key")
    if not key.isascii() or not key.isprintable() or " " in key:
        raise EndpointError(f"the environment variable {variable} holds no key: it has a space or a special character")
    return key
