"""Fixtures of the API's tests: a database with a finished batch, and the API served on a real socket."""

import shutil
import threading
from contextlib import contextmanager

import httpx2
import pytest
import uvicorn

from probe import models, schedules, tokens
from probe.api.app import listening, make_app
from probe.batches import BatchSpec
from probe.store.sessions import Store, open_store
from probe.store.tables import ScheduleRun
from tests.endpoint import Endpoint
from tests.runs import KNAPSACK, known, ran, submitted, varied

SPEC = {
    "models": ["none"],
    "baselines": ["random"],
    "arm": [{"families": ["knapsack"], "sizes": ["xs"], "instances": 3}],
}
NAMED = {"name": "mine", **SPEC}


@contextmanager
def served(store, **options):
    """Serve the API from a thread; yields its URL."""
    server = uvicorn.Server(uvicorn.Config(make_app(store, **options), log_level="critical", ws="none"))
    with listening("127.0.0.1", 0) as bound:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]})
        thread.start()
        try:
            yield f"http://127.0.0.1:{bound.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()


@contextmanager
def client_of(store, token=None, **options):
    """Serve the API; yields a client of it."""
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    with (
        served(store, **options) as url,
        httpx2.Client(base_url=url, headers=headers, timeout=60, trust_env=False) as c,
    ):
        yield c


def token_of(store, scopes, name=None, lifetime=None):
    """Make a token."""
    with store.writing() as session:
        return tokens.create(session, store.now(session), name or f"a-{scopes}", scopes.split(","), lifetime)


def fill(store):
    """Let a model and two baselines answer six instances: batch 1, complete."""
    with Endpoint(varied) as endpoint:
        known(store, endpoint.url)
        batch_id = submitted(store, BatchSpec(arms=(KNAPSACK,), baselines=("random", "greedy")), name="first")
        assert ran(store, batch_id).state == "complete"


@contextmanager
def example_server(folder, filled=None):
    """Serve what the examples of docs/api.md are run on; yields its URL and the database's.

    ``filled``: a database with a finished batch, to be copied.
    """
    home = f"sqlite:///{folder / 'examples.sqlite3'}"
    if filled is not None:
        shutil.copy(filled, folder / "examples.sqlite3")
    store = open_store(home)
    if filled is None:
        fill(store)
    with store.writing() as session:
        plan = schedules.Plan(name="nightly", cron="0 2 * * *", zone="Europe/Paris", spec=BatchSpec(arms=(KNAPSACK,)))
        nightly = schedules.add(session, store.now(session), plan)
        for run in ({"due": 86400.0, "state": "skipped", "reason": "too late"}, {"due": 172800.0, "state": "waiting"}):
            session.add(ScheduleRun(schedule_id=nightly.id, **run))
            session.flush()
    with served(store) as url:
        yield url, home
    store.dispose()


@pytest.fixture(scope="session")
def filled_sqlite(migrated_sqlite, tmp_path_factory):
    """An SQLite file with a finished batch, to be copied."""
    file = shutil.copy(migrated_sqlite, tmp_path_factory.mktemp("filled") / "probe.sqlite3")
    store = Store(f"sqlite:///{file}")
    fill(store)
    store.dispose()
    return file


@pytest.fixture
def filled(filled_sqlite, tmp_path):
    """A store with a finished batch."""
    store = Store(f"sqlite:///{shutil.copy(filled_sqlite, tmp_path / 'filled.sqlite3')}")
    yield store
    store.dispose()


@pytest.fixture
def empty(migrated_sqlite, tmp_path):
    """A store without rows."""
    store = Store(f"sqlite:///{shutil.copy(migrated_sqlite, tmp_path / 'empty.sqlite3')}")
    yield store
    store.dispose()


@pytest.fixture
def api(empty):
    """A client of the API on an empty database."""
    with client_of(empty) as client:
        yield client


@pytest.fixture
def full(filled):
    """A client of the API on a database with a finished batch."""
    with client_of(filled) as client:
        yield client


def operations(app):
    """Every (method, path) of an application, as its OpenAPI document has them, with its parameters."""
    return {
        (method.upper(), path): operation.get("parameters", [])
        for path, item in app.openapi()["paths"].items()
        for method, operation in item.items()
    }


def add_model(store, name, url="http://127.0.0.1:9/v1", **facts):
    """Put a model into the catalogue."""
    with store.writing() as session:
        return models.add(session, models.ModelFacts(name=name, url=url, served_id=name, **facts), store.now(session))
