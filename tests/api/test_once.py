"""Idempotency-Key: whoever doesn't know whether a request got through sends it again, and it is done once."""

from concurrent.futures import ThreadPoolExecutor

import httpx2
import pytest
from sqlalchemy import update

from probe.store.tables import Batch, Idempotency, Model
from tests.api.conftest import SPEC, client_of, served, token_of
from tests.runs import count

KEY = {"Idempotency-Key": "5c1f7a90"}


def test_the_same_request_again_is_answered_from_memory(api, empty):
    """Status, body and Location are the first ones, whatever happened since; a header says so."""
    first = api.post("/api/v1/batches", json=SPEC, headers=KEY)
    assert "Idempotency-Replayed" not in first.headers
    api.post(first.headers["Location"] + "/pause")
    again = api.post("/api/v1/batches", json=SPEC, headers=KEY)
    assert again.headers["Idempotency-Replayed"] == "true"
    assert (again.status_code, again.content) == (201, first.content)
    assert again.headers["Location"] == first.headers["Location"]
    assert count(empty, Batch) == 1


@pytest.mark.parametrize("path", ["/api/v1/batches", "/api/v1/models", "/api/v1/batches/1/pause"])
def test_another_request_under_the_same_key_is_refused(api, path):
    """Another body or another path: the key was taken by mistake."""
    api.post("/api/v1/batches", json=SPEC, headers=KEY)
    model = {"name": "m", "url": "https://93.184.215.14/v1", "model": "m"}
    answer = api.post(path, json=model if path.endswith("models") else SPEC | {"samples": 2}, headers=KEY)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "Idempotency-Key")


def test_a_request_that_failed_leaves_its_key_free(api, empty):
    """Nothing was done, so nothing is remembered: corrected, it goes through."""
    assert api.post("/api/v1/batches", json=SPEC | {"samples": 0}, headers=KEY).status_code == 422
    assert api.post("/api/v1/batches", json=SPEC | {"models": ["nobody"]}, headers=KEY).status_code == 422
    assert count(empty, Idempotency) == 0
    assert api.post("/api/v1/batches", json=SPEC, headers=KEY).status_code == 201


def test_keys_are_forgotten_after_a_day(api, empty):
    """Then the key is as good as new, and old rows are gone."""
    api.post("/api/v1/batches", json=SPEC, headers=KEY)
    with empty.writing() as session:
        session.execute(update(Idempotency).values(at=Idempotency.at - 24 * 3600 - 1))
    again = api.post("/api/v1/batches", json=SPEC, headers=KEY)
    assert "Idempotency-Replayed" not in again.headers
    assert (count(empty, Batch), count(empty, Idempotency)) == (2, 1)


def test_each_caller_has_keys_of_its_own(empty):
    """Two people may choose the same key."""
    for name in ("ada", "bob"):
        with client_of(empty, token_of(empty, "submit", name)) as client:
            assert client.post("/api/v1/batches", json=SPEC, headers=KEY).status_code == 201
    assert count(empty, Batch) == 2


@pytest.mark.parametrize("key", ["", "a b", "é", "x" * 256])
def test_a_key_that_cant_be_kept_is_refused(api, key):
    """The header is named."""
    answer = api.post("/api/v1/batches", json=SPEC, headers=[("Idempotency-Key", key.encode())])
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "Idempotency-Key")


def at_once(url, requests):
    """Send requests at the same time; return the answers."""

    def send(request):
        with httpx2.Client(base_url=url, timeout=60, trust_env=False) as client:
            return client.post(request[0], json=request[1], headers=request[2])

    with ThreadPoolExecutor(len(requests)) as pool:
        return list(pool.map(send, requests))


def test_at_once_it_is_done_once(store):
    """Eight times the same request at the same time: one batch, one answer, seven replays."""
    with served(store) as url:
        answers = at_once(url, [("/api/v1/batches", SPEC, KEY)] * 8)
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.content for answer in answers}) == 1
    assert sum("Idempotency-Replayed" in answer.headers for answer in answers) == 7
    assert count(store, Batch) == 1


def test_at_once_a_name_is_one_batch(store):
    """Without a key too: one is new, the others find it, and nobody is told of a broken constraint."""
    with served(store) as url:
        answers = at_once(url, [("/api/v1/batches", SPEC | {"name": "one"}, {})] * 8)
    assert sorted(answer.status_code for answer in answers) == [200] * 7 + [201]
    assert count(store, Batch) == 1


def test_at_once_a_model_is_added_once(store):
    """The others are told that there is one."""
    model = {"name": "m", "url": "https://93.184.215.14/v1", "model": "m"}
    with served(store) as url:
        answers = at_once(url, [("/api/v1/models", model, {})] * 8)
    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 7
    assert count(store, Model) == 1
