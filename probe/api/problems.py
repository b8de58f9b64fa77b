"""Errors as `application/problem+json` (RFC 9457): what is wrong, in which field, and the way out."""

import logging
import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from starlette.exceptions import HTTPException

from probe.errors import RequestError, StateError, WorkError
from probe.store.sessions import StoreError

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER = {"Retry-After": "10"}  # of a database that can't be used for the moment
LONGEST_MESSAGE = 1000
# "arm 2: sizes: …", "--key-env: …", "name 'all': …"
NAMED = re.compile(r"(?:arm (?P<arm>\d+): )?(?:--(?P<flag>[a-z][a-z-]*)|(?P<field>[a-z][a-z_-]*)(?=:|\b [0-9'\"]))")
FLAG = re.compile(r"--([a-z][a-z-]*)")

logger = logging.getLogger(__name__)


class Fault(BaseModel):
    """One thing that is wrong with a request."""

    field: str = Field(description="Where: a key of the body, a parameter or a header; empty: the request as a whole.")
    message: str


class Problem(BaseModel):
    """Why a request failed (RFC 9457)."""

    type: str = Field("about:blank", description="Always about:blank: the status says it all.")
    title: str = Field(description="The status in words.")
    status: int
    detail: str = Field(description="What is wrong, and the way out.")
    instance: str = Field(description="The path that was asked for.")
    errors: list[Fault] = Field([], description="The fields that are wrong.")


class ProblemError(Exception):
    """A request that ends with this status."""

    def __init__(
        self, status: int, detail: str, field: str | None = None, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(detail)
        self.status, self.detail, self.headers = status, detail, dict(headers or {})
        self.errors = [] if field is None else [{"field": field, "message": detail}]


def missing(what: str, where: str) -> ProblemError:
    """Return the error for something that is not there; ``where`` lists what is."""
    return ProblemError(404, f"there is no {what}; GET {where} lists what there is")


def problem(
    path: str,
    status: int,
    detail: str,
    errors: list[dict[str, str]] | None = None,
    headers: Mapping[str, str] | None = None,
) -> JSONResponse:
    """Return the response for an error."""
    body = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": _shown(detail),
        "instance": _shown(path),
        "errors": [{name: _shown(text) for name, text in error.items()} for error in errors or []],
    }
    return JSONResponse(body, status, dict(headers or {}), MEDIA_TYPE)


def _shown(text: str) -> str:
    """Return a text, which may quote anything that was sent, as it can be sent back."""
    return text[:LONGEST_MESSAGE].encode("utf-8", "replace").decode()


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the error responses of a route for the OpenAPI document."""
    return {
        status: {
            "description": DESCRIPTIONS[status],
            "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
        }
        for status in statuses
    }


DESCRIPTIONS = {
    400: "The request can't be read: no JSON, or a NUL character.",
    401: "No token, or one that is unknown, expired or revoked.",
    403: "The token has not the scope that this takes.",
    404: "What the path names is not there.",
    409: "What the request speaks of is not in a state for it.",
    413: "The body is larger than 1 MB.",
    422: "A field is wrong; `errors` names it.",
    503: "The database can't be used for the moment.",
}


def field_of(message: str) -> str:
    """Return the field that a RequestError's message begins with, empty where it names none."""
    found = NAMED.match(message)
    if found is None:
        return ""
    name = (found["flag"] or found["field"]).replace("-", "_")
    name = "" if name == "model" else name
    return f"arm.{int(found['arm']) - 1}.{name}" if found["arm"] else name


def install(app: FastAPI) -> None:
    """Let every error of the application end as a problem."""
    handlers: dict[Any, Any] = {
        ProblemError: _asked_for,
        RequestError: _wrong,
        RequestValidationError: _invalid,
        HTTPException: _http,
        WorkError: _failed,
        PoolTimeoutError: _busy,
        Exception: _broken,
    }
    for kind, handler in handlers.items():
        app.add_exception_handler(kind, handler)


async def _asked_for(request: Request, error: ProblemError) -> JSONResponse:
    return problem(request.url.path, error.status, error.detail, error.errors, error.headers)


async def _wrong(request: Request, error: RequestError) -> JSONResponse:
    text, field = str(error), field_of(str(error))
    if text.startswith("--"):  # what are flags on the command line are keys here
        text = FLAG.sub(lambda flag: flag[1].replace("-", "_"), text)
    status = 409 if isinstance(error, StateError) else 422
    return problem(request.url.path, status, text, [{"field": field, "message": text}])


async def _invalid(request: Request, error: RequestValidationError) -> JSONResponse:
    faults = [_fault(one) for one in error.errors()[:20]]
    unread = any(one["type"] == "json_invalid" for one in error.errors())
    detail = "; ".join(f"{fault['field']}: {fault['message']}" for fault in faults)
    return problem(request.url.path, 400 if unread else 422, detail, faults)


def _fault(error: Mapping[str, Any]) -> dict[str, str]:
    """Return one of pydantic's errors; its place without "body", "query" and the like."""
    where, *place = error["loc"]
    if error["type"] == "json_invalid":
        return {"field": "body", "message": f"this is not JSON: {error['ctx']['error']} at character {place[0]}"}
    if where == "body" and not place:
        return {"field": "body", "message": f"{error['msg']}; send a JSON object as Content-Type: application/json"}
    return {"field": ".".join(str(part) for part in place) or str(where), "message": str(error["msg"])}


async def _http(request: Request, error: HTTPException) -> JSONResponse:
    path = request.url.path
    detail, headers = str(error.detail), dict(error.headers or {})
    if error.status_code == 404:
        detail = f"there is no {path}; GET /api/v1/openapi.json lists what there is"
    elif error.status_code == 405:
        allowed = ", ".join(sorted(_methods(request.app, path)))
        detail, headers = f"{request.method} is not possible here; allowed: {allowed}", {"Allow": allowed}
    elif error.status_code == 400:
        detail = "the body is not JSON that can be read: too deeply nested, or a number of thousands of digits"
    return problem(path, error.status_code, detail, headers=headers)


def _methods(app: FastAPI, path: str) -> set[str]:
    """Return what can be done at a path: the router names only the first of several routes."""
    found = {"GET"} if path == app.openapi_url else set()
    for template, operations in app.openapi()["paths"].items():
        parts = re.findall(r"{\w+}|[^{]+", template)
        pattern = "".join(PARAMETER.get(part, "[^/]+") if part[0] == "{" else re.escape(part) for part in parts)
        if re.fullmatch(pattern, path):
            found |= {method.upper() for method in operations}
    return found


PARAMETER = {"{name}": ".+"}  # names of models may hold slashes


async def _failed(request: Request, error: WorkError) -> JSONResponse:
    if isinstance(error, StoreError):
        logger.error("%s %s: %s", request.method, request.url.path, error)
        return problem(request.url.path, 503, "the database can't be used for the moment", headers=RETRY_AFTER)
    return problem(request.url.path, 409, str(error))


async def _busy(request: Request, _error: PoolTimeoutError) -> JSONResponse:
    return problem(request.url.path, 503, "too many requests at once; come again later", headers=RETRY_AFTER)


async def _broken(request: Request, _error: Exception) -> JSONResponse:
    return problem(request.url.path, 500, "this is a fault of the server; its log tells more")
