"""Whatever is sent: an answer, never a fault of the server, never a row that nobody meant."""

import asyncio
import json
from collections import Counter
from itertools import product

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import checks
from sqlalchemy import func, select

from probe.api import batches
from probe.api.app import make_app
from probe.store.tables import Table
from tests.api.conftest import SPEC, client_of, example_server, fill, operations
from tests.api.malformed import bodies
from tests.api.test_access import SCOPES

MALFORMED = 10_000
EXAMPLES = 4  # of each route


def rows(store):
    """How many rows each table has."""
    with store.reading() as session:
        return {name: session.scalar(select(func.count()).select_from(t)) for name, t in Table.metadata.tables.items()}


# --- malformed specs --------------------------------------------------------------------------------------------------


async def posted(app, path, bodies):
    """Post bodies to an application in this process; yield (body, status, answer)."""
    head = {"type": "http", "method": "POST", "path": path, "raw_path": path.encode(), "root_path": ""}
    head |= {"http_version": "1.1", "scheme": "http", "query_string": b"", "asgi": {"version": "3.0"}}
    head |= {"server": ("127.0.0.1", 80), "client": ("127.0.0.1", 1)}
    headers = [(b"host", b"127.0.0.1"), (b"content-type", b"application/json")]
    for body in bodies:
        sent, waiting = [], [{"type": "http.request", "body": body, "more_body": False}]

        async def receive(waiting=waiting):
            return waiting.pop() if waiting else {"type": "http.disconnect"}

        async def send(message, sent=sent):
            sent.append(message)

        length = (b"content-length", str(len(body)).encode())
        await app({**head, "headers": [*headers, length]}, receive, send)
        told = json.loads(b"".join(message.get("body", b"") for message in sent[1:]))
        yield body, sent[0]["status"], told


def test_malformed_specs_leave_nothing(empty):
    """Ten thousand: each is refused with a problem that tells something, none leaves a row, none is a fault."""
    app, before = make_app(empty), rows(empty)

    async def post():
        return [row async for row in posted(app, "/api/v1/batches", bodies(MALFORMED, seed=7))]

    answers = asyncio.run(post())
    assert len(answers) == MALFORMED
    odd = [(body[:300], status) for body, status, told in answers if status not in (400, 422) or not told["detail"]]
    assert odd == []
    named = sum(bool(told["errors"] and told["errors"][0]["field"]) for _, _, told in answers)
    assert named > 0.9 * MALFORMED
    assert rows(empty) == before


# --- SQL --------------------------------------------------------------------------------------------------------------

INJECTIONS = (
    "' OR '1'='1",
    "'; DROP TABLE batch; --",
    "x' UNION SELECT digest FROM token --",
    "%' OR name LIKE '%",
    "%s %(name)s :name ?",
    "é\u2028\U0001f600",
)
LISTS = ("batches", "trials", "instances", "models", "endpoints", "schedules")


def test_sql_in_a_filter_is_only_text(store):
    """Every text parameter of every GET, on either database: nothing is found by it, nothing is lost."""
    fill(store)
    before = rows(store)
    tried = 0
    with client_of(store) as client:
        for (method, path), parameters in operations(make_app(store)).items():
            names = [p["name"] for p in parameters if p["in"] == "query" and p["name"] != "limit"]
            for name, text in product(names if method == "GET" else (), INJECTIONS):
                columns = ("family", "model", "seed") if name == "where" else ()
                for value in [f"{column}={text}" for column in columns] or [text]:
                    filled_in = path.replace("{instance_id}", "1").replace("{name}", "x")
                    answer = client.get(filled_in, params={name: value})
                    assert answer.status_code in (200, 404, 422), (path, name, value, answer.text)
                    found = answer.json().get("items", []) + answer.json().get("rows", [])
                    assert [row for row in found if row.get("kind_of_row") != "baseline"] == [], (path, name, value)
                    tried += 1
            if "{name}" in path and method == "GET":
                for text in INJECTIONS:
                    assert client.get(path.replace("{name}", text)).status_code == 404
    assert tried > 20 * len(INJECTIONS)
    assert rows(store) == before


# --- the whole document -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def document(tmp_path_factory, filled_sqlite):
    """The OpenAPI document of a server that is filled; batches are kept small so that many fit into the time."""
    with (
        pytest.MonkeyPatch.context() as patch,
        example_server(tmp_path_factory.mktemp("fuzzed"), filled_sqlite) as (url, _),
    ):
        patch.setattr(batches, "MOST_SHARDS", 12)
        yield schemathesis.openapi.from_url(f"{url}/api/v1/openapi.json")


CHECKS = [
    checks.not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
]


def test_every_route_keeps_to_its_document(document):
    """Asked rightly and wrongly: no fault, and statuses, headers and bodies are as the OpenAPI document says."""
    tried, answered = [], Counter()
    everything = sorted((found.ok() for found in document.get_all_operations()), key=lambda o: o.method == "delete")
    for operation, mode in product(everything, schemathesis.GenerationMode):
        tried.append((operation.method.upper(), operation.path))
        if mode.is_negative and not (operation.body or operation.query or operation.path_parameters):
            continue  # nothing of it can be wrong

        there = {"batch_id": 1, "trial_id": 1, "instance_id": 1}
        there["name"] = "nightly" if "schedules" in operation.path else "tiny"
        known = {name: there[name] for name in there if f"{{{name}}}" in operation.path}

        @settings(
            max_examples=EXAMPLES,
            deadline=None,
            derandomize=True,
            database=None,
            phases=[Phase.explicit, Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(operation.as_strategy(generation_mode=mode, path_parameters=None if mode.is_negative else known))
        def keeps(case):
            answered.update([case.call_and_validate(checks=CHECKS).status_code])

        keeps()
    assert {200, 201, 202, 204, 404, 422} <= set(answered)
    assert set(tried) == set(SCOPES)


def test_a_spec_by_the_document_is_a_spec(empty):
    """The example of the document can be submitted as it stands."""
    app = make_app(empty)
    example = app.openapi()["paths"]["/api/v1/batches"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    with client_of(empty) as client:
        assert client.post("/api/v1/batches", json=example["examples"][0]).status_code == 201
        assert client.post("/api/v1/batches", json=SPEC).status_code == 201
