"""Batches over the API: submitted, watched, steered, as on the command line."""

import json

import pytest
from sqlalchemy import select, update

from probe import schedules
from probe.batches import BatchSpec
from probe.planning import standing
from probe.results.cells import result_table
from probe.results.formats import plain
from probe.store.queries import describe_trial
from probe.store.tables import Batch, Model, Schedule, ScheduleRun, Shard, Trial
from tests.api.conftest import NAMED, SPEC, add_model, client_of
from tests.endpoint import Endpoint
from tests.runs import KNAPSACK, count, known, ran, submitted, varied


def queued(client, **more):
    """The id of a batch that the API submitted."""
    return client.post("/api/v1/batches", json=SPEC | more).json()["id"]


def test_a_batch_is_submitted_and_found(api, empty):
    """201 with its place; there it is as `probe status` shows it, with its limits and its complete spec."""
    answer = api.post("/api/v1/batches", json=NAMED | {"max-calls": 9, "max_cost": 2.5, "concurrency": 3})
    assert (answer.status_code, answer.json()["state"]) == (201, "queued")
    found = api.get(answer.headers["Location"]).json()
    assert found == answer.json()
    assert found["limits"] == {"max_calls": 9, "max_total_tokens": None, "max_cost": 2.5, "concurrency": 3}
    with empty.reading() as session:
        batch = session.get_one(Batch, found["id"])
        assert standing(session, batch).items() <= found.items()
        assert found["spec"] == batch.spec


def test_what_the_api_queues_is_what_the_command_line_runs(api, empty):
    """The same spec of either is the same batch; asked, its table is the same."""
    with Endpoint(varied) as endpoint:
        known(empty, endpoint.url)
        spec = {"models": ["tiny"], "baselines": "random", "families": ["knapsack"], "sizes": "xs", "instances": 6}
        batch_id = api.post("/api/v1/batches", json={"name": "one", **spec}).json()["id"]
        assert submitted(empty, BatchSpec(arms=(KNAPSACK,), models=("tiny",), baselines=("random",)), "one") == batch_id
        assert ran(empty, batch_id).state == "complete"
    answer = api.get(f"/api/v1/batches/{batch_id}").json()
    assert (answer["state"], answer["trials"], answer["calls"]) == ("complete", 6, 6)
    table = api.get("/api/v1/results", params={"batch": "one", "by": "model,family"}).json()
    with empty.reading() as session:
        assert table == json.loads(json.dumps(plain(result_table(session, ("model", "family"), batch=batch_id))))


def test_the_same_name_and_spec_is_the_same_batch(api):
    """200 instead of 201; with another spec it is refused, and the answer names the field."""
    first, again = (api.post("/api/v1/batches", json=NAMED) for _ in range(2))
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json()["id"] == again.json()["id"]
    other = api.post("/api/v1/batches", json=NAMED | {"samples": 2})
    assert (other.status_code, other.json()["errors"][0]["field"]) == (409, "name")
    assert len(api.get("/api/v1/batches").json()["items"]) == 1


def test_each_submission_without_a_name_is_a_new_batch(api):
    """So is it on the command line."""
    assert queued(api) != queued(api)


def test_a_batch_too_large_is_refused_before_it_is_made(api, empty):
    """A million instances of every family would hold the database for minutes."""
    answer = api.post("/api/v1/batches", json={"models": ["none"], "instances": 1_000_000, "samples": 10_000})
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "instances")
    assert count(empty, Batch) == 0


def test_nothing_has_changed_since_the_last_look(api):
    """Whoever polls with the ETag gets 304 and no body until something happens."""
    path = f"/api/v1/batches/{queued(api)}"
    tag = api.get(path).headers["ETag"]
    for known_tag in (tag, f"W/{tag}", f'"other", {tag}', "*"):
        answer = api.get(path, headers={"If-None-Match": known_tag})
        assert (answer.status_code, answer.content, answer.headers["ETag"]) == (304, b"", tag)
    api.post(f"{path}/pause")
    answer = api.get(path, headers={"If-None-Match": tag})
    assert (answer.status_code, answer.json()["state"]) == (200, "paused")
    assert answer.headers["ETag"] != tag


def test_a_batch_is_paused_resumed_and_cancelled(api):
    """Each is accepted for the workers to see, and refused where the state doesn't allow it."""
    path = f"/api/v1/batches/{queued(api)}"
    becomes = {"pause": "paused", "resume": "queued", "cancel": "cancelled"}
    for verb in ("pause", "pause", "resume", "resume", "cancel"):
        answer = api.post(f"{path}/{verb}")
        assert (answer.status_code, answer.headers["Location"], answer.json()["state"]) == (202, path, becomes[verb])
    for verb in ("pause", "resume", "cancel", "retry"):
        answer = api.post(f"{path}/{verb}")
        assert answer.status_code == 409
        assert "cancelled" in answer.json()["detail"]


@pytest.mark.parametrize("state", ["paused", "failed", "budget_reached"])
def test_a_batch_that_stopped_is_resumed_with_a_higher_limit(api, empty, state):
    """PATCH raises it at once, resume takes it along; null takes it away; what isn't given stays."""
    path = f"/api/v1/batches/{queued(api, max_calls=5, max_total_tokens=100)}"
    with empty.writing() as session:
        session.execute(update(Batch).values(state=state))
    raised = api.patch(path, json={"max_calls": 50}).json()
    assert (raised["state"], raised["limits"]["max_calls"], raised["limits"]["max_total_tokens"]) == (state, 50, 100)
    going = api.post(f"{path}/resume", json={"max_calls": None, "max_cost": 3}).json()
    assert going["state"] == "queued"
    assert going["limits"] == {"max_calls": None, "max_total_tokens": 100, "max_cost": 3, "concurrency": None}


def test_a_limit_of_cost_needs_prices(full):
    """A limit that can't be kept is refused."""
    answer = full.patch("/api/v1/batches/1", json={"max_cost": 3})
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "max_cost")


def test_a_complete_batch_stays_complete(full):
    """There is nothing to resume or to ask again, and that is no error; there is nothing to pause."""
    assert full.post("/api/v1/batches/1/resume").json()["state"] == "complete"
    answer = full.post("/api/v1/batches/1/retry").json()
    assert (answer["taken"], answer["left"], answer["batch"]["state"]) == (0, 0, "complete")
    assert full.post("/api/v1/batches/1/pause").status_code == 409


def test_trials_without_a_reply_are_asked_again(full, filled):
    """retry takes them back and queues the batch."""
    with filled.writing() as session:
        lost = session.scalars(select(Trial.id).join(Shard).where(Shard.batch_id == 1).limit(2)).all()
        session.execute(update(Trial).where(Trial.id.in_(lost)).values(outcome="no_reply"))
    answer = full.post("/api/v1/batches/1/retry").json()
    assert (answer["taken"], answer["batch"]["state"], answer["batch"]["trials"]) == (2, "queued", 4)


def test_a_batch_is_deleted(full, filled):
    """Not while a worker holds a shard of it; then it is gone, and what all batches share stays."""
    with filled.writing() as session:
        session.execute(
            update(Shard).where(Shard.batch_id == 1).values(state="pending", lease_token="t", lease_until=9e9)
        )
    assert full.delete("/api/v1/batches/1").status_code == 409
    with filled.writing() as session:
        session.execute(update(Shard).values(lease_token=None, lease_until=None))
    answer = full.delete("/api/v1/batches/1")
    assert (answer.status_code, answer.content) == (204, b"")
    assert full.get("/api/v1/batches/1").status_code == 404
    assert count(filled, Trial) > 0  # the baselines'


def test_each_change_that_may_mean_work_rings(empty):
    """The workers are woken after the commit, and only where something was done."""
    rung = []

    def ring():
        rung.append(count(empty, Batch))

    with client_of(empty, ring=ring) as client:
        path = client.post("/api/v1/batches", json=NAMED).headers["Location"]
        assert rung == [1]
        client.post("/api/v1/batches", json={"sizes": ["no"]})
        client.post(f"{path}/resume")
        assert rung == [1, 1]


# --- lists ------------------------------------------------------------------------------------------------------------


def pages(client, path, **params):
    """All items of a list, read page by page."""
    items, cursor = [], params.pop("cursor", None)
    while True:
        answer = client.get(path, params=params | ({"cursor": cursor} if cursor else {}))
        assert answer.status_code == 200, answer.text
        assert len(answer.json()["items"]) <= params["limit"]
        items += answer.json()["items"]
        if (cursor := answer.json()["next_cursor"]) is None:
            return items


def test_a_list_is_read_page_by_page_while_it_grows(api):
    """Each row once, the newest first; what is added meanwhile doesn't push rows from page to page."""
    ids = [queued(api) for _ in range(5)]
    first = api.get("/api/v1/batches", params={"limit": 2}).json()
    queued(api)
    rest = pages(api, "/api/v1/batches", limit=2, cursor=first["next_cursor"])
    assert [row["id"] for row in first["items"] + rest] == ids[::-1]


@pytest.mark.parametrize("cursor", ["", "x", "%", "MTI", "dHJpYWxzOjE", "YmF0Y2hlczotMQ", "é" * 20, "A" * 200])
def test_a_cursor_of_something_else_is_refused(api, cursor):
    """Not one of another list either (the fifth is one of trials)."""
    answer = api.get("/api/v1/batches", params={"cursor": cursor})
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "cursor")


def test_batches_are_found_by_state_and_name(full):
    """Both filters are exact."""
    queued(full, name="second")
    assert [row["name"] for row in full.get("/api/v1/batches?state=queued").json()["items"]] == ["second"]
    assert [row["name"] for row in full.get("/api/v1/batches?name=first").json()["items"]] == ["first"]
    assert full.get("/api/v1/batches?name=fir").json()["items"] == []


def test_trials_are_found_and_shown(full, filled):
    """As `probe trials` and `probe show`, with the constraints that failed."""
    items = pages(full, "/api/v1/trials", limit=4, batch="first")
    assert len(items) == 6
    assert {row["model"] for row in items} == {"tiny"}
    some = full.get("/api/v1/trials", params={"model": "greedy,random", "family": "knapsack", "limit": 500}).json()
    assert {row["model"] for row in some["items"]} == {"greedy", "random"}
    wrong = next(row for row in items if row["outcome"] == "infeasible")
    shown = full.get(f"/api/v1/trials/{wrong['id']}").json()
    with filled.reading() as session:
        described = json.loads(json.dumps(describe_trial(session, wrong["id"])))
    assert described.items() <= shown.items()
    assert shown["failed"] == [check["id"] for check in described["checks"] if not check["satisfied"]] != []
    assert "choices" not in shown["reply"]
    assert shown["reply"]["text"]


def test_instances_are_found_and_shown(full):
    """By key or by what they are; with statement, constraints and exact answer."""
    rows = full.get("/api/v1/instances", params={"family": "knapsack", "size": "xs", "seed": 7}).json()["items"]
    assert sorted(row["index"] for row in rows) == list(range(6))
    (one,) = full.get("/api/v1/instances", params={"key": rows[0]["key"]}).json()["items"]
    assert one == rows[0]
    shown = full.get(f"/api/v1/instances/{one['id']}").json()
    assert one.items() <= shown.items()
    assert all(constraint["says"] for constraint in shown["constraints"])
    assert set(shown["exact"]) <= set(shown["schema"]["properties"])
    assert full.get(f"/api/v1/instances/{one['id']}?mode=trace").status_code == 422


def test_an_instance_that_a_family_left_behind_is_told_apart(full, filled, monkeypatch):
    """Its family has moved on: 409 with the reason, and the lists still show it."""
    from solvers import registry

    monkeypatch.setattr(type(registry.get("knapsack")), "version", 99)
    for path in ("/api/v1/instances/1", "/api/v1/trials/1"):
        answer = full.get(path)
        assert (answer.status_code, "version" in answer.json()["detail"]) == (409, True)
    assert full.get("/api/v1/instances").json()["items"]


def test_results_are_those_of_the_command_line(full, filled):
    """by, where, measure and baseline mean the same."""
    asked = {"by": "model,constraint_kind", "where": ["family=knapsack", "size=xs"], "measure": "satisfaction_macro"}
    table = full.get("/api/v1/results", params=asked | {"baseline": "greedy"}).json()
    with filled.reading() as session:
        where = {"family": "knapsack", "size": "xs"}
        same = result_table(session, ("model", "constraint_kind"), where, None, "greedy", "satisfaction_macro")
    assert table == json.loads(json.dumps(plain(same)))
    assert table["rows"]


# --- the catalogue ----------------------------------------------------------------------------------------------------

TINY = {"name": "org/tiny", "url": "http://127.0.0.1:9/v1", "model": "t", "params": 7, "allow_internal": True}


def test_a_model_is_added_and_removed(api, empty):
    """With the facts that `probe models add` takes; its key is only ever named."""
    facts = {"key_env": "MY_KEY", "price_in": 1, "price_out": 2.5, "rpm": 60, "extra_body": {"top_k": 1}}
    answer = api.post("/api/v1/models", json=TINY | facts)
    assert (answer.status_code, answer.headers["Location"]) == (201, "/api/v1/models/org/tiny")
    assert api.get(answer.headers["Location"]).json() == answer.json()
    assert answer.json()["key_variable"] == "MY_KEY"
    assert [row["name"] for row in api.get("/api/v1/models").json()["items"]] == ["org/tiny"]
    again = api.post("/api/v1/models", json=TINY)
    assert (again.status_code, again.json()["errors"][0]["field"]) == (409, "name")
    assert api.delete("/api/v1/models/org/tiny").status_code == 204
    assert api.delete("/api/v1/models/org/tiny").status_code == 404
    assert api.get("/api/v1/models").json()["items"] == []
    assert count(empty, Model) == 1  # its results stay, and so does its row


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"name": "all"}, "name"),
        ({"name": "a b"}, "name"),
        ({"url": "ftp://a"}, "url"),
        ({"url": "https://user:secret@host/v1"}, "url"),
        ({"key_env": "sk-123"}, "key_env"),
        ({"training": "taught"}, "training"),
        ({"params": 0}, "params"),
        ({"params": 5, "active_params": 6}, "active_params"),
        ({"price_in": 1}, "price_in"),
        ({"extra_body": {"a": "\0"}}, "extra_body.a"),
        ({"extra_body": {"\ud800": 1}}, "extra_body"),
        ({"key": "sk-123"}, "key"),
    ],
)
def test_wrong_facts_of_a_model_are_named(api, wrong, field):
    """422, the field, and never a secret."""
    body = json.dumps(TINY | wrong)
    answer = api.post("/api/v1/models", content=body, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, field)
    assert "secret" not in answer.text
    assert "sk-123" not in answer.text


def test_an_endpoint_shows_how_it_is_doing(api, empty):
    """Limits, slots, and the circuit with its reason while it is open."""
    from probe.store.tables import Endpoint as Row

    add_model(empty, "a", rpm=60)
    add_model(empty, "b")
    (row,) = api.get("/api/v1/endpoints").json()["items"]
    assert (row["models"], row["rpm"], row["circuit"], row["open_until"]) == (["a", "b"], 60, "closed", None)
    with empty.writing() as session:
        session.execute(update(Row).values(open_until=4e9, reason="HTTP 503", slots=4))
    (row,) = api.get("/api/v1/endpoints").json()["items"]
    assert (row["circuit"], row["reason"], row["slots"]) == ("open", "HTTP 503", 4)
    assert row["open_until"].startswith("2096-10-02T")


NIGHTLY = {"name": "nightly", "cron": "0 2 * * *", "tz": "Europe/Paris", "spec": SPEC | {"max_calls": 9}, "canary": 2}


def test_a_schedule_is_added_run_paused_and_removed(api, empty):
    """As by `probe schedule`, and shown as there; its batches stay."""
    added = api.post("/api/v1/schedules", json=NIGHTLY | {"webhook": "https://hook.example/secret", "day_calls": 100})
    assert (added.status_code, added.headers["Location"]) == (201, "/api/v1/schedules/nightly")
    with empty.reading() as session:
        shown = schedules.shown(session, schedules.find(session, "nightly"), empty.now(session))
    assert added.json() == json.loads(json.dumps(shown))
    assert (shown["max_calls"], shown["day_calls"], "secret" in added.text) == (9, 100, False)
    assert api.get("/api/v1/schedules").json()["items"] == [shown]

    path = "/api/v1/schedules/nightly"
    run = api.post(f"{path}/run")
    assert (run.status_code, run.headers["Location"], run.json()["state"]) == (202, f"{path}/runs", "submitted")
    assert api.post(f"{path}/run").status_code == 409  # the last one is still going
    assert api.post(f"{path}/pause").json()["paused"] is True
    assert api.post(f"{path}/resume").json()["paused"] is False
    (row,) = api.get(f"{path}/runs").json()["items"]
    assert row == run.json()
    names = {row["name"] for row in api.get("/api/v1/batches?schedule=nightly").json()["items"]}
    assert names == {row["batch"]}  # no model, no canary
    assert api.get(path).json()["last_run"] == row

    assert api.delete(path).status_code == 204
    assert api.get(path).status_code == 404
    assert count(empty, Batch) == 1


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"name": "a b"}, "name"),
        ({"cron": "at night"}, "cron"),
        ({"cron": "0 0 30 2 *"}, "cron"),
        ({"tz": "Mars/Olympus"}, "tz"),
        ({"tz": "../../etc/passwd"}, "tz"),
        ({"spec": {"sizes": ["huge"]}}, "spec.sizes"),
        ({"spec": {"arm": [{}, {"sizes": ["huge"]}]}}, "spec.arm.1.sizes"),
        ({"spec": {"instances": 1_000_000, "samples": 10_000}}, "spec.instances"),
        ({"spec": 7}, "spec"),
        ({"catch_up": "all"}, "catch_up"),
        ({"overlap": "pile"}, "overlap"),
        ({"canary": -1}, "canary"),
        ({"day_cost": 5, "spec": SPEC | {"models": ["tiny"]}}, "day_cost"),
        ({"webhook": "ftp://a"}, "webhook"),
        ({"colour": 1}, "colour"),
    ],
)
def test_a_wrong_schedule_names_its_field(api, empty, wrong, field):
    """422, and no row."""
    add_model(empty, "tiny")
    answer = api.post("/api/v1/schedules", json=NIGHTLY | wrong)
    assert answer.status_code == 422, answer.text
    assert answer.json()["errors"][0]["field"] in (field, "max_cost" if field == "day_cost" else field)
    assert count(empty, Schedule) == 0


def test_a_schedule_shows_what_was_missed(api, empty):
    """Every due time, skipped ones with the reason."""
    api.post("/api/v1/schedules", json=NIGHTLY)
    with empty.writing() as session:
        session.add(ScheduleRun(schedule_id=1, due=86400.0, state="skipped", reason="too late"))
    (run,) = api.get("/api/v1/schedules/nightly/runs").json()["items"]
    assert (run["due"][:10], run["state"], run["reason"], run["batch"]) == ("1970-01-02", "skipped", "too late", None)
    again = api.post("/api/v1/schedules", json=NIGHTLY)
    assert (again.status_code, again.json()["errors"][0]["field"]) == (409, "name")
