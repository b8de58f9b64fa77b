"""The model catalogue: who answers, where, and the facts about size that tables are ordered by."""

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from probe.asking.baselines import BASELINES
from probe.asking.connection import check_url
from probe.errors import RequestError, StateError
from probe.store.sessions import get_or_create
from probe.store.tables import Endpoint, Model, Shard

RESERVED = ("all", "none", *BASELINES)
TRAINING = ("base", "sft", "rl", "dpo", "distilled", "unknown")
LONGEST_URL = 2000
KEY_STARTS = ("sk-", "sk_", "gsk_", "hf_", "xai-", "AIza")  # of keys that well-known services hand out


@dataclass(frozen=True, kw_only=True)
class ModelFacts:
    """What `probe models add` takes.

    ``params``: total parameters, ``active_params``: used for one token (mixtures of experts), ``layers`` x ``width``:
    depth and hidden size, ``lineage``: what models trained alike share. Prices in USD per million tokens.
    """

    name: str
    url: str
    served_id: str
    key_variable: str = ""
    params: int | None = None
    active_params: int | None = None
    layers: int | None = None
    width: int | None = None
    training: str | None = None
    lineage: str | None = None
    reasoning: bool = False
    price_in: float | None = None
    price_out: float | None = None
    rpm: int | None = None
    tpm: int | None = None
    max_concurrency: int | None = None
    extra_body: dict[str, Any] = field(default_factory=dict)

    def checked(self) -> "ModelFacts":
        """Return these facts. Raises RequestError naming the field that is wrong."""
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._:/@+-]{0,99}", self.name) or self.name in RESERVED:
            raise RequestError(
                f"name {self.name!r}: give letters, digits and . _ : / @ + - (at most 100), none of"
                f" {', '.join(RESERVED)}"
            )
        check_endpoint(self.url, self.key_variable)
        if self.training is not None and self.training not in TRAINING:
            raise RequestError(f"--training {self.training!r}: one of {', '.join(TRAINING)}")
        if self.lineage is not None and not 1 <= len(self.lineage.strip()) <= 100:
            raise RequestError("--lineage: give a name of at most 100 characters, such as Qwen2.5")
        for name in ("params", "active_params", "layers", "width", "rpm", "tpm", "max_concurrency"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise RequestError(f"--{name.replace('_', '-')} {value}: give a whole number from 1")
        if self.params and self.active_params and self.active_params > self.params:
            raise RequestError(f"--active-params {self.active_params} is more than --params {self.params}")
        for name in ("price_in", "price_out"):
            if (getattr(self, name) or 0) < 0:
                raise RequestError(f"--{name.replace('_', '-')}: a price is not negative")
        if (self.price_in is None) != (self.price_out is None):
            raise RequestError("--price-in and --price-out go together")
        return self


def check_endpoint(url: str, key_variable: str = "") -> None:
    """Raise RequestError where a URL or a key's variable can't be used or holds a secret, which it doesn't repeat."""
    if len(url) > LONGEST_URL:  # what an index of PostgreSQL takes
        raise RequestError(f"--url: longer than {LONGEST_URL} characters; give the base URL alone")
    try:
        check_url(url)
    except RequestError as error:
        raise RequestError(f"--url: {error}") from None
    mixed = re.search("[a-z]", key_variable) and re.search("[0-9]", key_variable)
    looks_like_a_key = (
        key_variable.startswith(KEY_STARTS) or len(key_variable) > 100 or (len(key_variable) >= 20 and mixed)
    )
    if looks_like_a_key or not re.fullmatch(r"([A-Za-z_][A-Za-z0-9_]*)?", key_variable):
        raise RequestError("--key-env: give the name of an environment variable, such as MY_KEY, not the key itself")


def endpoint_of(session: Session, facts: ModelFacts) -> Endpoint | None:
    """Return the known endpoint that a model would be added at."""
    key = (Endpoint.url == facts.url.rstrip("/"), Endpoint.key_variable == facts.key_variable)
    return session.scalar(select(Endpoint).where(*key))


def add(session: Session, facts: ModelFacts, now: float, *, internal: bool = True) -> int:
    """Store a model and return its id. Raises StateError for a name that is taken.

    ``internal``: a new endpoint may lie at an internal address. What a known one may is only ever widened.
    """
    facts.checked()
    if session.scalar(select(Model.id).where(Model.name == facts.name, Model.removed_at.is_(None))):
        raise StateError(f"name: there is a model {facts.name!r} already; `probe models remove {facts.name}` first")
    endpoint = endpoint_of(session, facts)
    if endpoint is None:
        endpoint = Endpoint(url=facts.url.rstrip("/"), key_variable=facts.key_variable, internal=internal)
        session.add(endpoint)
    elif internal:
        endpoint.internal = True
    for limit in ("rpm", "tpm", "max_concurrency"):
        if getattr(facts, limit) is not None:  # the endpoint's other models share its limits
            setattr(endpoint, limit, getattr(facts, limit))
    session.flush()
    own = ("name", "served_id", "params", "active_params", "layers", "width", "training", "lineage", "reasoning")
    priced = ("price_in", "price_out", "extra_body")
    model = Model(
        kind="endpoint",
        endpoint_id=endpoint.id,
        added_at=now,
        **{name: getattr(facts, name) for name in (*own, *priced)},
    )
    session.add(model)
    session.flush()
    return model.id


def move(session: Session, name: str, url: str, key_variable: str | None = None) -> bool:
    """Give a known model another URL, in its batches too; False where there is no such model.

    ``key_variable``: "" for none, None to leave it. What the former endpoint allows goes along; what it was found to
    accept is found out anew. Raises RequestError for a URL or a variable that can't be used.
    """
    check_endpoint(url, key_variable or "")
    row = session.execute(
        select(Model, Endpoint)
        .join(Endpoint, Model.endpoint_id == Endpoint.id)
        .where(Model.name == name, Model.removed_at.is_(None))
    ).first()
    if row is None:
        return False
    model, endpoint = row
    variable = endpoint.key_variable if key_variable is None else key_variable
    allowed = {name: getattr(endpoint, name) for name in ("rpm", "tpm", "max_concurrency")}
    key = {"url": url.rstrip("/"), "key_variable": variable}
    endpoint_id = get_or_create(session, Endpoint, key, **allowed)
    if endpoint_id != endpoint.id:
        model.endpoint_id, model.capabilities = endpoint_id, {}
    return True


def listing(session: Session, kind: str = "endpoint") -> list[tuple[Model, Endpoint | None]]:
    """Return the models that are not removed, by size, each with its endpoint."""
    rows = session.execute(
        select(Model, Endpoint)
        .outerjoin(Endpoint, Model.endpoint_id == Endpoint.id)
        .where(Model.removed_at.is_(None), Model.kind == kind)
        .order_by(Model.params, Model.name)
    )
    return [(model, endpoint) for model, endpoint in rows]


def remove(session: Session, name: str, now: float) -> None:
    """Take a model out of the catalogue; its results stay. Raises RequestError for an unknown name."""
    done = session.execute(
        update(Model)
        .where(Model.name == name, Model.kind == "endpoint", Model.removed_at.is_(None))
        .values(removed_at=now)
        .returning(Model.id)
    ).all()
    if not done:
        raise RequestError(f"there is no model {name!r}; `probe models list` shows them")


def resolve(session: Session, wanted: tuple[str, ...]) -> list[Model]:
    """Return the models named; ``("all",)`` and ``("none",)`` are understood. Raises RequestError for unknown ones."""
    known = {model.name: model for model, _ in listing(session)}
    if wanted == ("all",):
        return list(known.values())
    if wanted == ("none",):
        return []
    if unknown := [name for name in wanted if name not in known]:
        raise RequestError(
            f"models: there is no model {', '.join(unknown)}; known: {', '.join(known) or 'none yet'}."
            " Add one with `probe models add NAME --url URL --model ID`"
        )
    return [known[name] for name in wanted]


def of_batch(session: Session, batch_id: int) -> list[Model]:
    """Return the models that a batch asks, removed ones too."""
    asked = select(Shard.model_id).where(Shard.batch_id == batch_id)
    return list(session.scalars(select(Model).where(Model.id.in_(asked)).order_by(Model.params, Model.id)))


def check_priced(models: Iterable[Model]) -> None:
    """Raise RequestError where a model has no price, so that a limit of cost could not be kept."""
    if free := [model.name for model in models if model.price_in is None or model.price_out is None]:
        raise RequestError(
            f"max-cost: model {', '.join(free)} has no price, so its cost is unknown; limit max-calls or"
            " max-total-tokens, or add it again with --price-in and --price-out and start a new batch"
        )


def check_keys(models: list[tuple[Model, Endpoint | None]]) -> None:
    """Raise RequestError where a model's key variable is not set in the environment."""
    for model, endpoint in models:
        variable = endpoint.key_variable if endpoint else ""
        if variable and not os.environ.get(variable):
            raise RequestError(
                f"model {model.name}: its key is read from the environment variable {variable}, which is not set;"
                f" `export {variable}=…` and try again"
            )


def baseline_ids(session: Session, now: float) -> dict[str, int]:
    """Return the id of each baseline among the models; makes those rows on first use."""
    query = select(Model.name, Model.id).where(Model.kind == "baseline")
    known = {row.name: row.id for row in session.execute(query)}
    for name in BASELINES:
        if name not in known:
            row = Model(name=name, kind="baseline", added_at=now)
            session.add(row)
            session.flush()
            known[name] = row.id
    return known
