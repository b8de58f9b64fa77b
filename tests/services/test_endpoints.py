"""One batch over many endpoints, each ill in a way of its own: every trial ends with the right outcome, and the
healthy endpoint never notices."""

import hashlib
import json
from collections import defaultdict
from contextlib import ExitStack

import pytest
from sqlalchemy import select

from probe.batches import Arm, BatchSpec
from probe.store.tables import Call, Model, Shard, Trial
from probe.store.tables import Endpoint as EndpointRow
from tests.endpoint import (
    MEGABYTE,
    Endpoint,
    Respond,
    answers,
    big_body,
    completion,
    cut_body,
    fails,
    half_body,
    hangs,
    html,
    invalid_utf8,
    resets,
)
from tests.runs import known, sound
from tests.services.service import ended, queued, service

SPEC = BatchSpec(arms=(Arm(families=("knapsack",), sizes=("xs",), instances=8),), baselines=("blank",))
ANSWER = json.dumps({"items": [1, 3]})
DEADLINE = 6.0  # seconds; ten minutes, for these tests
POLICY = f"attempts=2;throttles=3;deadline={DEADLINE};base=0.01;cap=0.02"
GOOD = answers(completion({"content": ANSWER}))

# Sent instead of an answer to every second question: what is on record of the call that was lost.
LOST = {
    "hangs": (hangs(), "no answer within the"),
    "resets": (resets(), ""),
    "500": (fails(500, "boom"), "HTTP 500: boom"),
    "half on the wire": (cut_body(ANSWER), ""),
    "half a JSON": (half_body(ANSWER), "JSON"),
    "200 MB announced": (Respond(headers={"Content-Length": str(200 * MEGABYTE)}), "body too large"),
    "200 MB": (big_body(200, announced=False), "body too large"),
    "no UTF-8": (invalid_utf8(), ""),
    "wrong JSON": (answers({"result": [1, 2]}), "no choice"),
    "a page": (html(), ""),
    "a bad gateway": (html(502), "HTTP 502"),
    "refused": (fails(400, "too long"), "HTTP 400: too long"),
}
# Sent before an answer, or as one: nothing is lost.
KEPT = {
    "healthy": GOOD,
    "slow": Respond(body=GOOD.body, delay=0.5),
    "429": fails(429, "slow down"),
    "429 with retry-after": fails(429, "slow down", retry_after=1),
    "another model": answers(completion({"content": ANSWER}, model="smaller")),
}
TURNED_AWAY = ("429", "429 with retry-after")


def ill(body):
    """Whether a question is one of the half that an endpoint is ill for; never the one that settles what it accepts."""
    prompt = body["messages"][-1]["content"]
    return "Name two colours" not in prompt and hashlib.sha256(prompt.encode()).digest()[0] % 2 == 0


def losing(fault):
    return lambda body, _: fault if ill(body) else GOOD


def keeping(name, how):
    """A script that gives ``how`` to ill questions, but only the first time where that is no answer."""
    seen = set()

    def script(body, _):
        prompt = body["messages"][-1]["content"]
        if not ill(body) or (name in TURNED_AWAY and prompt in seen):
            return GOOD
        seen.add(prompt)
        return how

    return script


def ledger(store, batch_id):
    """Of each model, position -> (outcome, error, calls)."""
    with store.reading() as session:
        mine = (Shard.batch_id == batch_id,)
        trials = session.execute(
            select(Model.name, Trial).join(Shard, Trial.shard_id == Shard.id).join(Model).where(*mine)
        )
        found = defaultdict(dict)
        for name, trial in trials:
            calls = select(Call).where(Call.shard_id == trial.shard_id, Call.position == trial.position)
            found[name][trial.position] = (
                trial.outcome,
                trial.error,
                session.scalars(calls.order_by(Call.number)).all(),
            )
    return found


@pytest.fixture
def rows(pg_store, valkey, tmp_path):
    """What the ledger holds when the batch is complete."""
    scripts = {name: losing(fault) for name, (fault, _) in LOST.items()}
    scripts |= {name: keeping(name, how) for name, how in KEPT.items()}
    with ExitStack() as stack:
        for name, script in scripts.items():
            known(pg_store, stack.enter_context(Endpoint(script)).url, name.replace(" ", "-"))
        stack.enter_context(service(pg_store, valkey, tmp_path / "log", PROBE_POLICY=POLICY))
        batch_id = queued(pg_store, valkey, SPEC)
        assert ended(pg_store, batch_id, 150) == "complete"
    sound(pg_store)
    return ledger(pg_store, batch_id)


def test_every_fault_of_an_endpoint_has_its_outcome_and_touches_no_other(rows):
    """Lost answers are unscored, with the reason and each attempt on record; what was only late or elsewhere counts."""
    sick = {position for position, (outcome, _, _) in rows["500"].items() if outcome == "transport_error"}
    assert 0 < len(sick) < 8
    assert {name: len(found) for name, found in rows.items()} == dict.fromkeys(rows, 8)
    wrong = []
    for name, (_, reason) in LOST.items():
        once = name in ("refused", "hangs")
        for position, (outcome, error, calls) in rows[name.replace(" ", "-")].items():
            kinds = [call.kind for call in calls]
            if position in sick:
                fits = reason in error and kinds in (["permanent"], ["transient"] if once else ["transient"] * 2)
                fits &= outcome == "transport_error"
            else:
                fits = outcome != "transport_error" and kinds == ["ok"]
            wrong += [] if fits else [(name, position, outcome, error, kinds)]
    for name in KEPT:
        for position, (outcome, error, calls) in rows[name.replace(" ", "-")].items():
            away = name in TURNED_AWAY and position in sick
            kinds = [call.kind for call in calls]
            fits = outcome != "transport_error" and kinds == (["throttle", "ok"] if away else ["ok"])
            wrong += [] if fits else [(name, position, outcome, error, kinds)]
    assert wrong == []
    assert len(rows) == len(LOST) + len(KEPT)
    assert {calls[-1].served_model for p, (_, _, calls) in rows["another-model"].items() if p in sick} == {"smaller"}


def test_an_endpoint_that_stays_down_is_given_up(pg_store, valkey, tmp_path):
    """Each time in a row that it is down it is left alone for longer; then the batch fails, and says why."""
    short = "probe.seats.CLOSED_SECONDS=(0.2,0.5);probe.running.MOST_OPENED=3"
    with Endpoint(fails(500, "out of order")) as endpoint:
        known(pg_store, endpoint.url)
        with service(pg_store, valkey, tmp_path / "log", PROBE_CONSTANTS=short, PROBE_POLICY=POLICY):
            batch_id = queued(pg_store, valkey, SPEC)
            assert ended(pg_store, batch_id) == "failed"
    with pg_store.reading() as session:
        reasons = session.scalars(select(Shard.error).where(Shard.batch_id == batch_id)).all()
        assert session.scalars(select(EndpointRow.opened)).one() == 3
    assert reasons
    assert all("down 3 times in a row" in reason and "out of order" in reason for reason in reasons)
    sound(pg_store)
