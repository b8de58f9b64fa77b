"""Changing something, once: effect, answer and Idempotency-Key are written in one transaction."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from typing import Annotated, Any

from fastapi import Depends, Header, Request, Security
from fastapi.responses import JSONResponse, Response
from sqlalchemy import delete, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from probe.api.access import Caller, authorised, store_of
from probe.api.guard import check_storable
from probe.api.problems import ProblemError
from probe.store.sessions import Store, get_or_create
from probe.store.tables import Idempotency

KEPT = 24 * 3600.0  # seconds
REPLAYED = {"Idempotency-Replayed": "true"}
AGAIN = ("23505", "40001", "40P01")  # PostgreSQL: somebody else was faster, or both waited for each other
TRIES = 3

Key = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        description="Any text of your own: the same key with the same request is answered from memory for 24 hours.",
        min_length=1,
        max_length=255,
        pattern=r"^[!-~]+$",
        examples=["5c1f7a90"],
    ),
]


@dataclass(frozen=True)
class Answer:
    """What a change is answered with."""

    status: int
    body: dict[str, Any] | None
    location: str | None = None
    changed: bool = True  # there may be new work

    def response(self, **headers: str) -> Response:
        """Return it as a response."""
        if self.location is not None:
            headers["Location"] = self.location
        if self.body is None:
            return Response(status_code=self.status, headers=headers)
        return JSONResponse(self.body, self.status, headers)


@dataclass(frozen=True)
class Change:
    """A request that changes something: where, by whom, and what makes it the same request again."""

    store: Store
    caller: Caller
    key: str | None
    digest: str
    ring: Callable[[], object]

    def perform(self, act: Callable[[Session, float], Answer]) -> Response:
        """Run ``act(session, now)`` in one transaction and return its answer, or the one that its key has already."""
        for left in reversed(range(TRIES)):
            try:
                answer, replayed = self._perform(act)
            except DBAPIError as error:
                if not left or getattr(error.orig, "sqlstate", None) not in AGAIN:
                    raise
            else:
                break
        if replayed:
            return answer.response(**REPLAYED)
        if answer.changed:
            self.ring()
        return answer.response()

    def _perform(self, act: Callable[[Session, float], Answer]) -> tuple[Answer, bool]:
        with self.store.writing() as session:
            now = self.store.now(session)
            if self.key is None:
                return act(session, now), False
            session.execute(delete(Idempotency).where(Idempotency.at < now - KEPT))
            mine = {"who": self.caller.name, "key": self.key}
            # A second request of the same key waits here for the end of the first.
            row_id = get_or_create(session, Idempotency, mine, digest=self.digest, status=0, body={}, at=now)
            row = session.scalars(select(Idempotency).where(Idempotency.id == row_id).with_for_update()).one()
            if row.digest != self.digest:
                raise ProblemError(
                    422, "this key was used for another request in the last 24 hours; take a new one", "Idempotency-Key"
                )
            if row.status:
                return Answer(row.status, row.body["body"], row.body["location"]), True
            answer = act(session, now)
            row.status, row.body = answer.status, {"body": answer.body, "location": answer.location}
            return answer, False


async def _sound_body(request: Request) -> bytes:
    """Return the body. Raises RequestError where a database could not hold what it says."""
    body = await request.body()
    try:
        value = json.loads(body) if body else None
    except (ValueError, RecursionError):
        value = None  # the handler's own reading of it says what is wrong
    check_storable(value)
    return body


async def _change(
    request: Request,
    store: Annotated[Store, Depends(store_of)],
    caller: Annotated[Caller, Depends(authorised)],
    body: Annotated[bytes, Depends(_sound_body)],
    key: Key = None,
) -> Change:
    digest = sha256(b"\n".join((request.method.encode(), request.url.path.encode(), body))).hexdigest()
    return Change(store, caller, key, digest, request.app.state.ring)


async def _unkeyed(
    request: Request,
    store: Annotated[Store, Depends(store_of)],
    caller: Annotated[Caller, Depends(authorised)],
    body: Annotated[bytes, Depends(_sound_body)],
) -> Change:
    return await _change(request, store, caller, body)


Submitter = Annotated[Change, Security(_change, scopes=["submit"])]
SubmitterOfTheSame = Annotated[Change, Security(_unkeyed, scopes=["submit"])]  # PATCH: twice is as once
AdminOfTheSame = Annotated[Change, Security(_unkeyed, scopes=["admin"])]
