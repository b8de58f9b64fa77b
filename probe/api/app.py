"""The application, and serving it."""

import json
import signal
import socket
from collections.abc import Callable
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import APIRouter, FastAPI
from fastapi.openapi.utils import get_openapi
from starlette.middleware import Middleware

from probe import tokens
from probe.api import batches, catalogue, findings, operations, problems, results, schedules, trials
from probe.api.access import is_loopback
from probe.api.guard import Guard
from probe.errors import RequestError, WorkError
from probe.store.sessions import Store

ABOUT = """\
Queue batches of optimization problems for language models, watch them, read result tables.

Errors are `application/problem+json` (RFC 9457); `errors` names the fields. Lists are paged by `limit` and `cursor`.
POSTs take an `Idempotency-Key`: the same key with the same request is done once and answered the same for 24 hours.
Tokens (`probe token create`) are sent as `Authorization: Bearer TOKEN`; scopes: read < submit < admin. Without any
token only programs of the same machine are served.
"""
EXAMPLES = Path(__file__).with_name("examples.json")  # `make docs` writes it
GRACE = 10  # seconds that requests get to end when the server is stopped


def make_app(store: Store, *, loopback: bool = True, ring: Callable[[], object] = lambda: None) -> FastAPI:
    """Return the application on a database.

    ``loopback``: only this machine reaches it, so that no token is needed. ``ring`` is called after each change that
    may mean new work; it must not raise.
    """
    app = FastAPI(
        title="solver-probe",
        version=version("solver-probe"),
        description=ABOUT,
        openapi_url="/api/v1/openapi.json",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        middleware=[Middleware(Guard)],
    )
    app.state.store, app.state.loopback, app.state.ring = store, loopback, ring
    api = APIRouter(prefix="/api/v1", responses=problems.documented(400, 401, 403, 422, 503))
    for part in (batches, trials, catalogue, schedules, results, findings):
        api.include_router(part.router)
    app.include_router(api)
    app.include_router(operations.router)
    problems.install(app)
    app.openapi = cache(lambda: _document(app))  # type: ignore[method-assign]
    return app


def _document(app: FastAPI) -> dict[str, Any]:
    """Return the OpenAPI document, with the shape of problems, and with answers that a real server gave as examples."""
    document = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
    schemas = document["components"]["schemas"]
    problem = problems.Problem.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas |= problem.pop("$defs") | {"Problem": problem}
    examples = json.loads(EXAMPLES.read_text(encoding="utf-8"))
    for path, item in document["paths"].items():
        for method, operation in item.items():
            (scope,) = [scope for one in operation.get("security", []) for scope in one["HTTPBearer"]] or ["none"]
            operation["description"] = f"{operation.get('description', '')}\n\nScope: {scope}.".strip()
            for status, example in examples.get(f"{method.upper()} {path}", {}).items():
                for content in operation["responses"][status].get("content", {}).values():
                    content["example"] = example
    return document


def listening(host: str, port: int) -> socket.socket:
    """Return a socket that listens.

    Its protocol is named because only then asyncio sends without Nagle's delay, which costs 40 ms a request.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((host, port))
        bound.listen(2048)
    except BaseException:
        bound.close()
        raise
    return bound


def serve(store: Store, host: str, port: int, ring: Callable[[], object], started: Callable[[str], None]) -> None:
    """Serve until SIGTERM or SIGINT; ``started`` is told the address.

    Raises RequestError where other machines would be served without tokens, WorkError where the port can't be had.
    """
    loopback = is_loopback(host)
    with store.reading() as session:
        if not loopback and not tokens.exist(session):
            raise RequestError(
                f"--host {host}: other machines would be served without a token; first: probe token create NAME"
                " --scopes admin"
            )
    try:
        bound = listening(host, port)
    except OSError as error:
        raise WorkError(
            f"{host}, port {port}: {error.strerror or error}; choose another with --host or --port"
        ) from None
    config = uvicorn.Config(
        make_app(store, loopback=loopback, ring=ring),
        log_config=LOGGING,
        timeout_graceful_shutdown=GRACE,
        server_header=False,
        ws="none",
    )
    # uvicorn ends well on both, then raises them again for whoever was there before it: the exit code must stay 0.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    shown = f"[{host}]" if ":" in host else host
    with bound:
        started(f"http://{shown}:{bound.getsockname()[1]}/api/v1")
        uvicorn.Server(config).run(sockets=[bound])


LOGGING: dict[str, Any] = {  # all of it to stderr: stdout is for results
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s %(message)s"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line", "stream": "ext://sys.stderr"}},
    "loggers": {
        "uvicorn": {"handlers": ["stderr"], "level": "WARNING", "propagate": False},
        "uvicorn.access": {"handlers": ["stderr"], "level": "INFO", "propagate": False},
        "probe.api": {"handlers": ["stderr"], "level": "INFO", "propagate": False},
    },
}
