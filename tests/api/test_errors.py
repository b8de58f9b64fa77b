"""Errors are problems: which field, why, and the way out. The server's own health; what it shows to Prometheus."""

import http.client
import socket
from urllib.parse import urlsplit

import pytest
from sqlalchemy import text

from probe.api.guard import MAX_BODY
from probe.store.sessions import Store
from probe.store.tables import Batch
from tests.api.conftest import SPEC, client_of, served
from tests.runs import count

JSON = {"Content-Type": "application/json"}


def problem(answer, status, field=None):
    """Check that an answer is a problem of this status, naming this field; return it."""
    assert answer.status_code == status, answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    told = answer.json()
    assert set(told) == {"type", "title", "status", "detail", "instance", "errors"}
    assert (told["status"], told["instance"]) == (status, answer.request.url.path)
    assert told["detail"]
    if field is not None:
        assert field in [error["field"] for error in told["errors"]], told
    return told


def test_what_is_not_there(api):
    """404 names what was asked for and where the list is."""
    assert "/api/v1/batches" in problem(api.get("/api/v1/batches/7"), 404)["detail"]
    assert "openapi.json" in problem(api.get("/api/v1/nothing"), 404)["detail"]
    problem(api.get("/api/v1/batches/"), 404)
    for path in ("trials/7", "instances/7", "models/nobody", "schedules/never", "schedules/never/runs"):
        problem(api.get(f"/api/v1/{path}"), 404)


def test_what_can_not_be_done_here(api):
    """405 says what can."""
    answer = api.put("/api/v1/batches/7")
    assert "DELETE" in problem(answer, 405)["detail"]
    assert answer.headers["Allow"] == "DELETE, GET, PATCH"


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        ({"sizes": ["huge"]}, "sizes"),
        ({"arm": [{}, {"sizes": ["huge"]}]}, "arm.1.sizes"),
        ({"arm": [{"colour": 1}]}, "arm.0.colour"),
        ({"arm": {"sizes": ["s"]}}, "arm"),
        ({"families": ["knapsak"]}, "families"),
        ({"models": ["nobody"]}, "models"),
        ({"models": ["none"], "baselines": ["none"]}, "models"),
        ({"answer-tokens": 0}, "answer_tokens"),
        ({"samples": True}, "samples"),
        ({"temperature": 9}, "temperature"),
        ({"max_calls": -1}, "max_calls"),
        ({"name": " "}, "name"),
        ({"name": "x" * 201}, "name"),
        ({"name": "a\0b"}, "name"),
        ({"colour": "red"}, "colour"),
        ({"warning": None}, "warning"),
    ],
)
def test_a_wrong_spec_names_its_field(api, spec, field):
    """Keys of arms by their place."""
    problem(api.post("/api/v1/batches", json=spec), 422, field)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"{", 400),
        (b"\xff\xfe", 400),
        (b"[" * 100_000, 400),
        (b'{"seed": ' + b"9" * 5000 + b"}", 400),
        (b"", 422),
        (b"[]", 422),
        (b"null", 422),
        (b'"text"', 422),
        (b'{"temperature": NaN}', 422),
        (b'{"max_cost": 1e999}', 422),
        (b'{"name": "\\ud800"}', 422),
        (b'{"name": ' + b"[" * 200 + b"]" * 200 + b"}", 422),
    ],
)
def test_a_body_that_says_nothing(api, empty, body, status):
    """What can't be read is 400, what isn't a spec 422; neither leaves a row."""
    problem(api.post("/api/v1/batches", content=body, headers=JSON), status)
    assert count(empty, Batch) == 0


def test_a_body_of_another_type_is_not_guessed_at(api):
    """The answer says which type is wanted."""
    answer = api.post("/api/v1/batches", content=b'{"sizes": ["s"]}', headers={"Content-Type": "text/plain"})
    assert "application/json" in problem(answer, 422, "body")["detail"]


@pytest.mark.parametrize("path", ["/api/v1/batches", "/api/v1/batches/1/pause", "/api/v1/models"])
def test_a_body_too_large_is_refused(api, path):
    """413, announced or in chunks, for a route that reads a body and for one that doesn't."""
    large = b" " * (MAX_BODY + 1)
    problem(api.post(path, content=large, headers=JSON), 413, "body")
    problem(api.post(path, content=iter([large[: MAX_BODY // 2]] * 3), headers=JSON), 413, "body")


def test_a_body_that_is_only_announced_is_refused_at_once(empty):
    """Nobody waits for a terabyte."""
    with served(empty) as url:
        connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=30)
        connection.putrequest("POST", "/api/v1/batches")
        connection.putheader("Content-Length", str(2**40))
        connection.endheaders()
        assert connection.getresponse().status == 413
        connection.close()


def test_the_largest_body_is_read(api):
    """The limit is the limit."""
    body = b'{"sizes": ["no"]}'.ljust(MAX_BODY)
    problem(api.post("/api/v1/batches", content=body, headers=JSON), 422, "sizes")


@pytest.mark.parametrize("path", ["models/%00", "trials?model=%00", "results?where=family%3D%00"])
def test_nul_characters_are_refused(api, path):
    """PostgreSQL could not compare with them."""
    answer = api.get(f"/api/v1/{path}")
    assert (answer.status_code, answer.json()["status"]) == (400, 400)


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("batches?limit=0", "limit"),
        ("batches?limit=501", "limit"),
        ("batches?state=asleep", "state"),
        ("trials?batch=none", "batch"),
        ("trials?position=x", "where"),
        ("instances?seed=x", "seed"),
        ("instances?seed=9223372036854775808", "seed"),
        ("results?by=colour", "by"),
        ("results?where=colour%3Dred", "where"),
        ("results?where=family", "where"),
        ("results?measure=joy", "measure"),
        ("results?baseline=wise", "baseline"),
        ("results?batch=none", "batch"),
        ("batches/9223372036854775808", "batch_id"),
        ("batches/0", "batch_id"),
    ],
)
def test_a_wrong_parameter_is_named(api, query, field):
    """422 with the parameter."""
    problem(api.get(f"/api/v1/{query}"), 422, field)


def test_a_fault_of_the_server_is_a_problem_too(empty, monkeypatch):
    """500 tells no secret of the server; its log does."""
    monkeypatch.setattr("probe.api.trials.queries.trials_before", lambda *_: 1 / 0)
    with client_of(empty) as client:
        assert "division" not in str(problem(client.get("/api/v1/trials"), 500))


def test_a_database_that_is_away_is_said_so(tmp_path):
    """503 with Retry-After and no path or password; the server lives on and is not ready."""
    store = Store(f"sqlite:///{tmp_path / 'away' / 'probe.sqlite3'}")
    with client_of(store) as client:
        answer = client.get("/api/v1/batches")
        assert str(tmp_path) not in str(problem(answer, 503))
        assert answer.headers["Retry-After"]
        problem(client.get("/readyz"), 503)
        assert client.get("/healthz").json() == {"status": "ok"}


def test_a_database_of_another_version_is_not_served(api, empty):
    """Ready is: reachable and migrated."""
    assert api.get("/readyz").json() == {"status": "ready"}
    with empty.writing() as session:
        session.execute(text("UPDATE alembic_version SET version_num = '0001'"))
    problem(api.get("/readyz"), 503)


def test_half_a_request_harms_nobody(empty):
    """A client that goes away in the middle of its body leaves the server as it was."""
    with served(empty) as url:
        at = urlsplit(url)
        for part in (b"POST /api/v1/batches HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{", b"nonsense\r\n\r\n"):
            with socket.create_connection((at.hostname, at.port)) as connection:
                connection.sendall(part)
        connection = http.client.HTTPConnection(at.netloc, timeout=30)
        connection.request("GET", "/healthz")
        assert connection.getresponse().status == 200
        connection.close()


def test_metrics_are_what_prometheus_reads(full):
    """Every line is a comment or a sample; each metric is declared once, before its samples."""
    full.post("/api/v1/batches", json=SPEC)
    answer = full.get("/metrics")
    assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    samples, declared = {}, []
    for line in answer.text.splitlines():
        if line.startswith("# TYPE"):
            declared.append(line.split()[2])
        elif not line.startswith("#"):
            name, _, value = line.rpartition(" ")
            assert name.partition("{")[0] == declared[-1]
            samples[name] = float(value)
    assert len(declared) == len(set(declared))
    assert samples['probe_batches{state="complete"}'] == samples['probe_batches{state="queued"}'] == 1
    assert samples["probe_calls"] == 6
    assert samples["probe_workers"] == samples["probe_shards_leased"] == 0
    (circuit,) = [value for name, value in samples.items() if name.startswith("probe_endpoint_circuit_open")]
    assert circuit == 0
