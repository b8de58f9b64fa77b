"""Who asks, and what they may: bearer tokens with the scopes read < submit < admin.

Without any token in the database the API is open, but only on the loopback interface, and only to programs: a page in a
browser could otherwise be made to call it (by a name that points here, or across sites).
"""

from contextlib import suppress
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Annotated
from urllib.parse import SplitResult, urlsplit

from fastapi import Depends, Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer, SecurityScopes

from probe import tokens
from probe.api.problems import ProblemError
from probe.store.sessions import Store, StoreError

CHALLENGE = {"WWW-Authenticate": 'Bearer realm="solver-probe"'}
bearer = HTTPBearer(auto_error=False, description="A token of `probe token create`. Scopes: read < submit < admin.")


@dataclass(frozen=True)
class Caller:
    """Who asks: a token's name, empty where the API is open."""

    name: str
    admin: bool


def is_loopback(host: str) -> bool:
    """Return whether only this machine reaches a server that is bound to a host."""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


async def store_of(request: Request) -> Store:
    """Return the application's database."""
    store: Store = request.app.state.store
    return store


def authorised(
    request: Request,
    needed: SecurityScopes,
    credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)],
) -> Caller:
    """Return who asks. Raises ProblemError where they may not."""
    store: Store = request.app.state.store
    with store.reading() as session:
        if not tokens.exist(session):
            _check_open(request)
            return Caller("", admin=True)
        token = None
        if credentials is not None:
            now = store.now(session)
            token = tokens.find(session, now, credentials.credentials)
    if credentials is None:
        raise ProblemError(
            401, "send a token as Authorization: Bearer TOKEN; `probe token create` makes one", headers=CHALLENGE
        )
    if token is None:
        detail = "the token is unknown, expired or revoked; `probe token create` makes a new one"
        raise ProblemError(401, detail, headers=CHALLENGE)
    for scope in needed.scopes:
        if not tokens.allows(token, scope):
            raise ProblemError(
                403,
                f"this takes a token of scope {scope}; {token.name} has {token.scopes}. `probe token create` makes one",
            )
    if not tokens.is_noted(token, now):
        with suppress(StoreError), store.writing() as session:  # whether it can be noted or not, they may
            tokens.note_use(session, now, token)
    return Caller(token.name, admin=tokens.allows(token, "admin"))


def _check_open(request: Request) -> None:
    """Raise ProblemError where the API must not be open: to other machines, and to pages of other sites."""
    if not request.app.state.loopback:
        raise ProblemError(
            401, "there is no token yet; on the server: probe token create NAME --scopes admin", headers=CHALLENGE
        )
    host, origin = request.headers.get("host", ""), request.headers.get("origin")
    if not is_loopback(_split(f"//{host}").hostname or "") or (origin is not None and _split(origin).netloc != host):
        raise ProblemError(
            403,
            "without tokens only programs of this machine are served, by its own name; probe token create makes one",
        )


def _split(url: str) -> SplitResult:
    try:
        return urlsplit(url)
    except ValueError:  # half of an IPv6 address
        return urlsplit("")


async def _reading(
    store: Annotated[Store, Depends(store_of)], _caller: Annotated[Caller, Depends(authorised)]
) -> Store:
    return store


Reader = Annotated[Store, Security(_reading, scopes=["read"])]
