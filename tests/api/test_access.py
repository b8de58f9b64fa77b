"""Who may what: every route, every scope, every way a token can be over."""

import pytest
from sqlalchemy import select, update

from probe import tokens
from probe.api.app import make_app
from probe.store.tables import Token
from tests.api.conftest import NAMED, SPEC, add_model, client_of, operations, token_of

SCOPES = {  # what each route takes; None: everybody may
    ("GET", "/healthz"): None,
    ("GET", "/readyz"): None,
    ("GET", "/metrics"): "read",
    ("GET", "/api/v1/batches"): "read",
    ("POST", "/api/v1/batches"): "submit",
    ("GET", "/api/v1/batches/{batch_id}"): "read",
    ("PATCH", "/api/v1/batches/{batch_id}"): "submit",
    ("DELETE", "/api/v1/batches/{batch_id}"): "admin",
    ("POST", "/api/v1/batches/{batch_id}/pause"): "submit",
    ("POST", "/api/v1/batches/{batch_id}/resume"): "submit",
    ("POST", "/api/v1/batches/{batch_id}/cancel"): "submit",
    ("POST", "/api/v1/batches/{batch_id}/retry"): "submit",
    ("GET", "/api/v1/trials"): "read",
    ("GET", "/api/v1/trials/{trial_id}"): "read",
    ("GET", "/api/v1/instances"): "read",
    ("GET", "/api/v1/instances/{instance_id}"): "read",
    ("GET", "/api/v1/models"): "read",
    ("GET", "/api/v1/models/{name}"): "read",
    ("POST", "/api/v1/models"): "submit",
    ("DELETE", "/api/v1/models/{name}"): "admin",
    ("GET", "/api/v1/endpoints"): "read",
    ("GET", "/api/v1/schedules"): "read",
    ("POST", "/api/v1/schedules"): "submit",
    ("POST", "/api/v1/schedules/{name}/run"): "submit",
    ("POST", "/api/v1/schedules/{name}/pause"): "submit",
    ("POST", "/api/v1/schedules/{name}/resume"): "submit",
    ("DELETE", "/api/v1/schedules/{name}"): "admin",
    ("GET", "/api/v1/schedules/{name}"): "read",
    ("GET", "/api/v1/schedules/{name}/runs"): "read",
    ("GET", "/api/v1/results"): "read",
    ("GET", "/api/v1/findings"): "read",
}
WRONG = {"sizes": ["no such size"]}  # whoever may submit it is told so


def asked(client, method, path, token=None):
    """The status of a request that changes nothing even where it is allowed."""
    headers = {} if token is None else {"Authorization": token}
    for name in ("{batch_id}", "{trial_id}", "{instance_id}"):
        path = path.replace(name, "999")
    body = {"json": WRONG} if method in ("POST", "PATCH") else {}
    return client.request(method, path.replace("{name}", "nobody"), headers=headers, **body)


def test_every_route_has_a_scope(empty):
    """A route that this page does not name fails here: nobody forgets to say what it takes."""
    assert set(operations(make_app(empty))) == set(SCOPES)


def test_every_route_with_every_token(empty):
    """401 without a valid token, 403 with one of a lower scope, and never either with one that suffices."""
    valid = {scope: token_of(empty, scope) for scope in tokens.SCOPES}
    token_of(empty, "admin", "old", lifetime=60)
    over = {"unknown": "probe_nonsense", "expired": token_of(empty, "admin", "late", 60)}
    over["revoked"] = token_of(empty, "admin", "gone")
    with empty.writing() as session:
        tokens.revoke(session, empty.now(session), "gone")
        session.execute(update(Token).where(Token.name == "late").values(expires_at=1.0))
    with client_of(empty) as client:
        for (method, path), scope in SCOPES.items():
            refused = [None, "", "Bearer", "Basic YTpi", *(f"Bearer {text}" for text in over.values())]
            refused.append(f"bearer {valid['admin']} ")
            for header in refused[:-1]:
                answer = asked(client, method, path, header)
                assert (answer.status_code == 401) == (scope is not None), (method, path, header)
                if scope is not None:
                    assert answer.headers["WWW-Authenticate"].startswith("Bearer")
                    assert answer.headers["Content-Type"] == "application/problem+json"
            for own, text in valid.items():
                status = asked(client, method, path, f"Bearer {text}").status_code
                enough = scope is None or tokens.SCOPES.index(own) >= tokens.SCOPES.index(scope)
                assert (status == 403) == (not enough), (method, path, own, status)
                assert status != 401
                assert status < 500


def test_without_any_token_this_machine_is_served(api):
    """A first look needs no token."""
    assert api.get("/api/v1/batches").status_code == 200
    assert api.post("/api/v1/batches", json=NAMED).status_code == 201


def test_revoking_the_last_token_does_not_open_the_api(empty):
    """A token that is over still says that tokens are wanted."""
    token_of(empty, "admin", "only")
    with empty.writing() as session:
        tokens.revoke(session, empty.now(session), "only")
    with client_of(empty) as client:
        assert client.get("/api/v1/batches").status_code == 401


def test_an_application_that_others_reach_is_never_open(empty):
    """Were the last token's row deleted while it is served, everything would be refused."""
    with client_of(empty, loopback=False) as client:
        assert client.get("/api/v1/batches").status_code == 401
        assert client.get("/healthz").status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Host": "evil.example:8000"},
        {"Host": "127.0.0.1.evil.example"},
        {"Host": ""},
        {"Host": "["},
        {"Origin": "http://["},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://localhost:1"},
    ],
)
def test_a_page_of_another_site_cant_use_the_open_api(api, headers):
    """Neither under a name of its own that leads here, nor across sites."""
    answer = api.post("/api/v1/batches/1/cancel", headers=headers)
    assert answer.status_code in (400, 403)
    assert api.post("/api/v1/batches/1/cancel").status_code == 404


def test_a_token_is_kept_as_its_hash_alone(empty):
    """Whoever reads the database can't call the API with it."""
    text = token_of(empty, "read")
    with empty.reading() as session:
        kept = session.execute(select(Token)).scalar_one()
        assert text not in str(vars(kept))
        assert len(kept.digest) == 64


def test_when_a_token_was_used_last_is_known_to_the_hour(empty):
    """One write an hour is enough to find tokens that nobody needs any more."""
    text = token_of(empty, "read")
    with client_of(empty, text) as client:
        for noted, kept in [(None, False), (5.0, False), (9e9, True)]:
            with empty.writing() as session:
                session.execute(update(Token).values(used_at=noted))
            assert client.get("/api/v1/batches").status_code == 200
            with empty.reading() as session:
                used = session.scalars(select(Token.used_at)).one()
            assert used is not None
            assert (used == noted) == kept


# --- endpoints that nobody should be able to reach through the workers ------------------------------------------------

INTERNAL = (
    "http://127.0.0.1:8080/v1",
    "http://localhost/v1",
    "http://2130706433/v1",
    "http://0x7f.1/v1",
    "http://[::1]/v1",
    "http://[::ffff:10.0.0.1]/v1",
    "http://169.254.169.254/latest",
    "http://10.1.2.3/v1",
    "http://no-such-host.invalid/v1",
)
PUBLIC = "https://93.184.215.14/v1"


@pytest.mark.parametrize("url", INTERNAL)
@pytest.mark.parametrize("scope", ["submit", "admin"])
def test_an_internal_endpoint_is_refused(empty, url, scope):
    """Whoever adds it: it must be said that it is meant, and only an admin may say so."""
    with client_of(empty, token_of(empty, scope)) as client:
        wanted = {"name": "m", "url": url, "model": "m"}
        answer = client.post("/api/v1/models", json=wanted)
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "url")
        allowed = client.post("/api/v1/models", json=wanted | {"allow_internal": True})
        assert allowed.status_code == (201 if scope == "admin" else 403)


def test_a_submitter_cant_have_keys_sent_elsewhere(empty):
    """A key may be named for an endpoint that is known with it, not for one of the submitter's own."""
    add_model(empty, "known", PUBLIC, key_variable="THE_KEY")
    with client_of(empty, token_of(empty, "submit")) as client:
        wanted = {"name": "m", "model": "m", "key_env": "THE_KEY"}
        answer = client.post("/api/v1/models", json=wanted | {"url": "https://93.184.215.15/v1"})
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (403, "key_env")
        assert client.post("/api/v1/models", json=wanted | {"url": PUBLIC}).status_code == 201


def test_a_submitter_cant_change_the_limits_of_a_known_endpoint(empty):
    """All its models share them."""
    add_model(empty, "known", PUBLIC, rpm=10)
    wanted = {"name": "m", "url": PUBLIC, "model": "m", "rpm": 10**6}
    with client_of(empty, token_of(empty, "submit")) as client:
        answer = client.post("/api/v1/models", json=wanted)
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (403, "rpm")
    with client_of(empty, token_of(empty, "admin")) as client:
        assert client.post("/api/v1/models", json=wanted).status_code == 201
        assert client.get("/api/v1/endpoints").json()["items"][0]["rpm"] == 10**6


def test_a_submitter_cant_name_a_webhook(empty):
    """The workers call it."""
    wanted = {"name": "n", "cron": "@daily", "tz": "UTC", "spec": SPEC}
    with client_of(empty, token_of(empty, "submit")) as client:
        answer = client.post("/api/v1/schedules", json=wanted | {"webhook": PUBLIC})
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (403, "webhook")
        assert client.post("/api/v1/schedules", json=wanted).status_code == 201


def test_what_an_endpoint_may_be_is_kept_for_the_workers(empty):
    """They look again before they call: a name may lead elsewhere by then."""
    with client_of(empty, token_of(empty, "admin")) as client:
        client.post("/api/v1/models", json={"name": "out", "url": PUBLIC, "model": "m"})
        client.post("/api/v1/models", json={"name": "in", "url": INTERNAL[0], "model": "m", "allow_internal": True})
        found = {row["models"][0]: row["internal"] for row in client.get("/api/v1/endpoints").json()["items"]}
        assert found == {"out": False, "in": True}
