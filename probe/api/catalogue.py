"""Models and endpoints.

A submitter may add models, but may not make the workers hand out their keys or call what lies inside: only an admin may
name a new pair of URL and key variable, change the limits of a known endpoint, or allow an internal address.
"""

from typing import Annotated, Any
from urllib.parse import urlsplit

from fastapi import APIRouter, Path
from fastapi.responses import Response
from sqlalchemy import select
from sqlalchemy.orm import Session

from probe import models
from probe.api.access import Reader
from probe.api.once import AdminOfTheSame, Answer, Submitter
from probe.api.pages import Page
from probe.api.problems import ProblemError, documented, missing
from probe.api.schemas import EndpointRow, ModelRow, NewModel, Paged, when
from probe.asking.addresses import is_internal
from probe.errors import RequestError
from probe.store.tables import Endpoint, Model

router = APIRouter()
Name = Annotated[str, Path(max_length=100, examples=["tiny"])]


def _model(model: Model, endpoint: Endpoint) -> dict[str, Any]:
    facts = ("params", "active_params", "layers", "width", "training", "lineage", "reasoning", "price_in", "price_out")
    return {
        "id": model.id,
        "name": model.name,
        "url": endpoint.url,
        "model": model.served_id,
        "key_variable": endpoint.key_variable or None,
        "endpoint_id": endpoint.id,
        **{name: getattr(model, name) for name in facts},
        "extra_body": model.extra_body,
        "capabilities": model.capabilities,
        "added_at": when(model.added_at),
    }


def _models() -> Any:
    return (
        select(Model, Endpoint)
        .join(Endpoint, Model.endpoint_id == Endpoint.id)
        .where(Model.removed_at.is_(None), Model.kind == "endpoint")
    )


@router.get("/models", tags=["models"], response_model=Paged[ModelRow])
def list_models(store: Reader, page: Page) -> dict[str, Any]:
    """List the models of the catalogue, the newest first."""
    query = _models().order_by(Model.id.desc()).limit(page.limit + 1)
    if page.before is not None:
        query = query.where(Model.id < page.before)
    with store.reading() as session:
        return page.page([(model.id, _model(model, endpoint)) for model, endpoint in session.execute(query)])


@router.get("/models/{name:path}", tags=["models"], response_model=ModelRow, responses=documented(404))
def show_model(store: Reader, name: Name) -> dict[str, Any]:
    """Show a model."""
    with store.reading() as session:
        row = session.execute(_models().where(Model.name == name)).first()
        if row is None:
            raise missing(f"model {name!r}", "/api/v1/models")
        return _model(*row)


@router.post(
    "/models",
    tags=["models"],
    status_code=201,
    response_model=ModelRow,
    responses={
        201: {"headers": {"Location": {"description": "Where the model is.", "schema": {"type": "string"}}}},
        **documented(409, 413),
    },
)
def add_model(change: Submitter, given: NewModel) -> Response:
    """Add a model at an OpenAI-compatible endpoint.

    Its key is named by an environment variable of the workers, never sent here. It takes the scope admin to name a key
    for a new endpoint, to change the limits of a known one, and for `allow_internal`.
    """
    named = given.model_dump(exclude={"model", "key_env", "allow_internal"})
    facts = models.ModelFacts(served_id=given.model, key_variable=given.key_env, **named).checked()
    if given.allow_internal and not change.caller.admin:
        raise ProblemError(403, "only a token of scope admin may allow internal addresses", "allow_internal")
    inside = not given.allow_internal and is_internal(urlsplit(given.url).hostname or "")

    def act(session: Session, now: float) -> Answer:
        endpoint = models.endpoint_of(session, facts)
        if inside and (endpoint is None or not endpoint.internal):
            raise RequestError(
                "--url: its host leads to an internal address, or nowhere; give a public one, or let an admin add it"
                " with allow_internal"
            )
        if not change.caller.admin:
            _check_submitter(facts, endpoint)
        models.add(session, facts, now, internal=given.allow_internal)
        row = session.execute(_models().where(Model.name == facts.name)).one()
        return Answer(201, _model(*row), f"/api/v1/models/{facts.name}", changed=False)

    return change.perform(act)


def _check_submitter(facts: models.ModelFacts, endpoint: Endpoint | None) -> None:
    """Raise ProblemError for what only an admin may do."""
    if endpoint is None and facts.key_variable:
        raise ProblemError(
            403, "only a token of scope admin may name a key for a new endpoint: it would be sent there", "key_env"
        )
    for name in ("rpm", "tpm", "max_concurrency") if endpoint is not None else ():
        if getattr(facts, name) is not None:
            raise ProblemError(403, f"only a token of scope admin may change {name} of a known endpoint", name)


@router.delete(
    "/models/{name:path}",
    tags=["models"],
    status_code=204,
    response_class=Response,
    responses=documented(404, 413),
)
def remove_model(change: AdminOfTheSame, name: Name) -> Response:
    """Take a model out of the catalogue; its results stay."""

    def act(session: Session, now: float) -> Answer:
        try:
            models.remove(session, name, now)
        except RequestError:
            raise missing(f"model {name!r}", "/api/v1/models") from None
        return Answer(204, None, changed=False)

    return change.perform(act)


@router.get("/endpoints", tags=["endpoints"], response_model=Paged[EndpointRow])
def list_endpoints(store: Reader, page: Page) -> dict[str, Any]:
    """List endpoints with their limits and the state of their circuits."""
    query = select(Endpoint).order_by(Endpoint.id.desc()).limit(page.limit + 1)
    if page.before is not None:
        query = query.where(Endpoint.id < page.before)
    with store.reading() as session:
        now = store.now(session)
        rows = list(session.scalars(query))
        names: dict[int, list[str]] = {row.id: [] for row in rows}
        of_rows = _models().where(Endpoint.id.in_(list(names))).order_by(Model.name)
        for model, endpoint in session.execute(of_rows):
            names[endpoint.id].append(model.name)
    return page.page([(row.id, _endpoint(row, names[row.id], now)) for row in rows])


def _endpoint(row: Endpoint, names: list[str], now: float) -> dict[str, Any]:
    return {
        "id": row.id,
        "url": row.url,
        "key_variable": row.key_variable or None,
        "internal": row.internal,
        "models": names,
        "rpm": row.rpm,
        "tpm": row.tpm,
        "max_concurrency": row.max_concurrency,
        "slots": row.slots,
        "circuit": "open" if row.open_until > now else "closed",
        "open_until": when(row.open_until) if row.open_until > now else None,
        "reason": row.reason,
        "paused_until": when(row.paused_until) if row.paused_until > now else None,
    }
