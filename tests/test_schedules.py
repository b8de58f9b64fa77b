"""Schedules: every due time becomes exactly one run, whoever sweeps; what is missed or has changed is said."""

import json
import multiprocessing
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest
from sqlalchemy import insert, select, update

from probe import controls, models, schedules
from probe.asking.judging import OUTCOMES
from probe.asking.measures import pack
from probe.batches import Arm, BatchSpec, expand
from probe.cron import written
from probe.errors import RequestError
from probe.results.cells import result_table
from probe.schedules import Plan, canary_spec, seeded
from probe.store.sessions import Store
from probe.store.tables import Batch, Call, Schedule, ScheduleRun, Shard, Tally, Trial
from probe.submitting import stored_spec
from probe.webhooks import notify
from tests.due import expected
from tests.endpoint import Endpoint, answers, drips, fails, hangs
from tests.runs import KNAPSACK, count, known, ran, sound, varied

SPEC = BatchSpec(arms=(replace(KNAPSACK, instances=3),), baselines=())
NOWHERE = "http://127.0.0.1:9/v1"
HOUR, DAY = 3600, 86400


def at(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


def nightly(**changed):
    base = Plan(name="nightly", cron="0 2 * * *", zone="UTC", spec=SPEC, canary_instances=0)
    return replace(base, **changed)


def added(store, now="2027-03-01", model=True, **changed):
    """Add a model and a schedule, as of a time."""
    if model:
        known(store, NOWHERE)
    with store.writing() as session:
        return schedules.add(session, at(now), nightly(**changed)).id


def swept(store, now):
    with store.writing() as session:
        return schedules.sweep(session, at(now) if isinstance(now, str) else now)


def ended(store, state="complete", **used):
    """Let all batches that are open end, by another's hand."""
    with store.writing() as session:
        session.execute(update(Batch).where(Batch.state == "queued").values(state=state, **used))


def finished(store, now):
    with store.writing() as session:
        return len(schedules.finish(session, at(now)))


def runs(store, name="nightly"):
    """(due, state, reason) of a schedule's runs, oldest first."""
    return [(run["due"], run["state"], run["reason"]) for run in history(store, name)]


def history(store, name="nightly"):
    with store.reading() as session:
        return schedules.history(session, schedules.find(session, name), 10_000)[::-1]


def problem(store, name="nightly"):
    with store.reading() as session:
        return schedules.problem(session, schedules.find(session, name))


# --- due times become batches -----------------------------------------------------------------------------------------


def test_a_due_time_becomes_one_batch_named_after_it(store):
    """Before it nothing happens, after it everything has happened."""
    added(store)
    assert swept(store, "2027-03-01T01:59:59") == []
    assert swept(store, "2027-03-01T02:00:10") == ["nightly-2027-03-01T02:00Z"]
    assert swept(store, "2027-03-01T02:01:10") == []
    assert runs(store) == [("2027-03-01T02:00Z", "submitted", None)]
    with store.reading() as session:
        batch = session.scalars(select(Batch)).one()
        assert (batch.state, batch.canary) == ("queued", False)
        assert batch.schedule_id == session.scalars(select(Schedule.id)).one()


def test_how_late_a_schedule_is(store):
    """Seconds since the first due time that nobody has dealt with: what `probe doctor` looks at."""
    added(store)

    def late(now):
        with store.reading() as session:
            return schedules.late(schedules.find(session, "nightly"), at(now))

    assert late("2027-03-01T01:59") == 0
    assert late("2027-03-01T02:10") == 600
    assert late("2027-03-02T02:10") == 86400 + 600
    swept(store, "2027-03-02T02:10")
    assert late("2027-03-02T02:11") == 0


def test_the_run_and_its_batch_are_one_transaction(store):
    """A process that dies in between leaves neither; the next one makes both."""
    added(store)

    def dies():
        with store.writing() as session:
            assert schedules.sweep(session, at("2027-03-01T02:00:10"))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        dies()
    assert runs(store) == []
    assert count(store, Batch) == 0
    assert swept(store, "2027-03-01T02:01:10") == ["nightly-2027-03-01T02:00Z"]


def test_a_due_time_is_dealt_with_once_even_if_it_comes_back(store):
    """The unique key decides, not what the schedule remembers."""
    added(store)
    assert swept(store, "2027-03-01T02:00:10")
    ended(store)
    with store.writing() as session:
        session.execute(update(Schedule).values(since=at("2027-03-01")))
    assert swept(store, "2027-03-01T02:00:20") == []
    assert count(store, Batch) == 1
    assert count(store, ScheduleRun) == 1


CRONS = ("10 0-23 * * *", "25 * * * *")  # at fixed times: once in a repeated hour; every hour
CHANGES = {
    "Europe/Paris": ("2027-03-28", "2027-10-31"),
    "America/New_York": ("2027-03-14", "2027-11-07"),
    "Australia/Lord_Howe": ("2027-04-04", "2027-10-03"),
}
NEVER = at("2100-01-01")


def windows():
    """(schedules by name, their due times, start) around each change of the clocks, in order of time."""
    found = []
    for zone, days in CHANGES.items():
        for day in days:
            start, end = at(day) - 0.9 * DAY, at(day) + 1.0 * DAY
            plans = {f"{zone.rpartition('/')[2]}-{day}-{i}": (cron, zone) for i, cron in enumerate(CRONS)}
            dues = {name: expected(cron, zone, start, end) for name, (cron, _) in plans.items()}
            found.append((plans, dues, start))
    return sorted(found, key=lambda window: window[2])


def moments(dues):
    """When to sweep, so that no schedule is due twice in between: the earlier one would be taken for missed."""
    times = sorted((due, name) for name, of_name in dues.items() for due in of_name)
    found, seen = [], set()
    for (_, name), (before, _) in zip(times, [(0.0, ""), *times], strict=False):
        if name in seen:
            found.append(before)
            seen.clear()
        seen.add(name)
    return [*found, times[-1][0]]


def race(url, barrier, first):
    """Sweep through all windows, each time at the same moment as the other process."""
    store = Store(url)
    for plans, dues, start in windows():
        if first:
            with store.writing() as session:
                session.execute(update(Schedule).values(since=NEVER))  # the earlier windows are over
                for name, (cron, zone) in plans.items():
                    schedules.add(session, start, nightly(name=name, cron=cron, zone=zone))
        for moment in moments(dues):
            barrier.wait(60)
            with store.writing() as session:
                schedules.sweep(session, moment + 7)
                session.execute(update(Batch).where(Batch.state == "queued").values(state="complete"))
        barrier.wait(60)
    store.dispose()


@pytest.mark.parametrize("store", ["postgresql"], indirect=True)  # SQLite has one writer at a time anyway
def test_two_sweepers_run_each_of_500_due_times_once(store):
    """Two processes at once, in three zones, over both changes of their clocks: none lost, none twice."""
    known(store, NOWHERE)
    wanted = {name: times for _, dues, _ in windows() for name, times in dues.items()}
    assert sum(map(len, wanted.values())) >= 500
    spawn = multiprocessing.get_context("spawn")
    barrier = spawn.Barrier(2)
    url = store.engine.url.render_as_string(hide_password=False)
    store.dispose()
    sweepers = [spawn.Process(target=race, args=(url, barrier, first)) for first in (True, False)]
    for sweeper in sweepers:
        sweeper.start()
    for sweeper in sweepers:
        sweeper.join(240)
    assert [sweeper.exitcode for sweeper in sweepers] == [0, 0]
    for name, times in wanted.items():
        assert runs(store, name) == [(written(due), "submitted", None) for due in times]
    with store.reading() as session:
        names = list(session.scalars(select(Batch.name)))
    assert sorted(names) == sorted(f"{name}-{written(due)}" for name, times in wanted.items() for due in times)


def test_sweepers_of_many_schedules_wait_for_each_other(store):
    """Eight at once, five schedules due: five batches, nobody fails."""
    known(store, NOWHERE)
    for number in range(5):
        added(store, model=False, name=f"n{number}")
    gate = threading.Barrier(8)

    def one(_):
        gate.wait(30)
        return swept(store, "2027-03-01T02:00:10")

    with ThreadPoolExecutor(8) as pool:
        names = sorted(name for found in pool.map(one, range(8)) for name in found)
    assert names == [f"n{number}-2027-03-01T02:00Z" for number in range(5)]


# --- what was missed --------------------------------------------------------------------------------------------------


LATER = "missed: a later due time took its place"


def test_after_a_stop_the_latest_due_time_runs_once(store):
    """The others are in the history."""
    added(store, cron="0 * * * *")
    assert swept(store, "2027-03-01T04:30") == ["nightly-2027-03-01T04:00Z"]
    assert runs(store) == [
        *((f"2027-03-01T0{hour}:00Z", "skipped", LATER) for hour in (1, 2, 3)),
        ("2027-03-01T04:00Z", "submitted", None),
    ]


@pytest.mark.parametrize(
    ("catch_up", "seen", "reason"),
    [
        ("latest", "2027-03-01T08:00:00", None),
        ("latest", "2027-03-01T08:00:01", "missed: seen 6.0 h late, more than the grace of 6.0 h"),
        ("skip", "2027-03-01T02:05:00", None),
        ("skip", "2027-03-01T02:09:00", "missed: seen 9 min late, and catch-up is skip"),
    ],
)
def test_how_late_a_due_time_may_run(store, catch_up, seen, reason):
    """`latest` makes up for one up to six hours late, `skip` for none; either way it is in the history."""
    added(store, catch_up=catch_up)
    assert bool(swept(store, seen)) == (reason is None)
    assert runs(store) == [("2027-03-01T02:00Z", "submitted" if reason is None else "skipped", reason)]
    assert problem(store) == (None if reason is None else f"the run of 2027-03-01T02:00Z was skipped: {reason}")
    assert swept(store, "2027-03-02T02:00") or reason is None  # then the next night


def test_a_long_stop_is_recorded_in_parts(store, monkeypatch):
    """Each sweep deals with so many due times; the latest still runs once they have been told."""
    monkeypatch.setattr(schedules, "MOST_DUE", 100)
    added(store, cron="*/10 * * * *")
    assert [len(swept(store, "2027-03-03T00:05")) for _ in range(3)] == [0, 0, 1]
    found = runs(store)
    assert len(found) == 2 * 144
    assert {state for _, state, _ in found[:-1]} == {"skipped"}
    assert found[-1] == ("2027-03-03T00:00Z", "submitted", None)


def test_a_paused_schedule_lets_due_times_pass(store):
    """They are recorded; after resuming the next one runs, none is made up for."""
    added(store, cron="0 * * * *")
    with store.writing() as session:
        schedules.pause(session, "nightly")
    assert swept(store, "2027-03-01T01:00") == []
    with store.writing() as session:
        schedules.resume(session, at("2027-03-01T02:30"), "nightly")
    assert swept(store, "2027-03-01T02:31") == []
    assert swept(store, "2027-03-01T03:00") == ["nightly-2027-03-01T03:00Z"]
    paused = "paused: the schedule was paused"
    assert runs(store)[:2] == [(f"2027-03-01T0{hour}:00Z", "skipped", paused) for hour in (1, 2)]
    assert problem(store) is None


# --- while another run is going on ------------------------------------------------------------------------------------


def test_an_overlapping_run_is_skipped(store):
    """And recorded; that is policy, not trouble."""
    added(store, cron="0 * * * *")
    assert swept(store, "2027-03-01T01:00")
    assert swept(store, "2027-03-01T02:00") == []
    assert runs(store)[1] == ("2027-03-01T02:00Z", "skipped", "overlap: the run of 2027-03-01T01:00Z is still going")
    ended(store)
    assert finished(store, "2027-03-01T02:30") == 1
    assert problem(store) is None
    assert swept(store, "2027-03-01T03:00") == ["nightly-2027-03-01T03:00Z"]


def test_an_overlapping_run_waits_its_turn(store):
    """With `queue`: one after the other, in order, each under its own due time."""
    added(store, cron="0 * * * *", overlap="queue")
    assert swept(store, "2027-03-01T01:00")
    assert swept(store, "2027-03-01T02:00") == swept(store, "2027-03-01T03:00") == []
    assert [state for _, state, _ in runs(store)] == ["submitted", "waiting", "waiting"]
    ended(store)
    assert swept(store, "2027-03-01T03:10") == ["nightly-2027-03-01T02:00Z"]
    assert swept(store, "2027-03-01T03:11") == []
    ended(store)
    assert swept(store, "2027-03-01T03:20") == ["nightly-2027-03-01T03:00Z"]
    assert {reason for _, _, reason in runs(store)} == {None}


@pytest.mark.parametrize("state", ["complete", "cancelled", "failed", "budget_reached"])
def test_a_batch_that_has_ended_holds_nothing_up(store, state):
    """However it ended, and if it was deleted too."""
    added(store)
    assert swept(store, "2027-03-01T02:00")
    ended(store, state)
    assert swept(store, "2027-03-02T02:00") == ["nightly-2027-03-02T02:00Z"]
    with store.writing() as session:
        for batch in session.scalars(select(Batch)).all():
            controls.delete(session, at("2027-03-02"), batch)
    assert swept(store, "2027-03-03T02:00") == ["nightly-2027-03-03T02:00Z"]


def test_a_run_can_be_asked_for_at_once(store):
    """It is due at that moment, paused or not, and doesn't move the due times."""
    added(store)
    with store.writing() as session:
        schedules.pause(session, "nightly")
        run, names = schedules.run_now(session, at("2027-03-01T01:00:30.5"), "nightly")
        assert (run.state, names) == ("submitted", ["nightly-2027-03-01T01:00:30.500Z"])
        schedules.resume(session, at("2027-03-01T01:01"), "nightly")
    with pytest.raises(RequestError, match=r"still going.*cancel"), store.writing() as session:
        schedules.run_now(session, at("2027-03-01T01:02"), "nightly")
    ended(store)
    assert swept(store, "2027-03-01T02:00") == ["nightly-2027-03-01T02:00Z"]
    assert len(runs(store)) == 2


# --- what is asked ----------------------------------------------------------------------------------------------------


def test_each_run_asks_fresh_instances_and_the_same_canaries(store):
    """Seeds follow from name and due time; those of the canary from the name alone."""
    arms = (Arm(families=("knapsack",), sizes=("xs", "s"), instances=20),)
    added(store, spec=replace(SPEC, arms=arms), canary_instances=4)
    nights = []
    for day in (1, 2):
        names = swept(store, f"2027-03-0{day}T02:00")
        assert names == [f"nightly-2027-03-0{day}T02:00Z", f"nightly-2027-03-0{day}T02:00Z-canary"]
        with store.reading() as session:
            nights.append([session.scalars(select(Batch).where(Batch.name == name)).one() for name in names])
        ended(store)
    (one, canary), (two, again) = nights
    assert stored_spec(one.spec).arms[0].seed != stored_spec(two.spec).arms[0].seed
    assert canary.spec_digest == again.spec_digest
    assert (one.canary, canary.canary) == (False, True)
    asked = expand(stored_spec(canary.spec))
    assert [(a.size, a.last - a.first) for a in asked] == [("xs", 4), ("s", 4)]
    assert stored_spec(canary.spec).baselines == ()


def test_arms_that_pair_still_pair():
    """Arms of one seed share the new one, arms of two don't."""
    arms = (Arm(seed=7), Arm(seed=7, variants=("renamed",)), Arm(seed=8))
    first, second, third = (arm.seed for arm in seeded(BatchSpec(arms=arms), ["n", "2027-03-01T02:00Z"]).arms)
    assert first == second != third
    assert first != seeded(BatchSpec(arms=arms), ["n", "2027-03-02T02:00Z"]).arms[0].seed
    assert canary_spec(BatchSpec(arms=arms), "n", 0) is None
    assert canary_spec(BatchSpec(arms=arms), "n", 5) != canary_spec(BatchSpec(arms=arms), "m", 5)


def test_without_a_model_there_is_no_canary(store):
    """Nobody's answers could change."""
    added(store, model=False, spec=replace(SPEC, models=("none",), baselines=("random",)), canary_instances=5)
    assert swept(store, "2027-03-01T02:00") == ["nightly-2027-03-01T02:00Z"]


def test_models_are_those_of_the_night(store):
    """`all` means all that there are then; one that was removed is the schedule's trouble, not the others'."""
    added(store, name="a", spec=replace(SPEC, models=("tiny",)))
    added(store, name="b", model=False)
    known(store, NOWHERE, name="other")
    with store.writing() as session:
        models.remove(session, "tiny", at("2027-03-01"))
    assert swept(store, "2027-03-01T02:00") == ["b-2027-03-01T02:00Z"]
    ((_, state, reason),) = runs(store, "a")
    assert state == "skipped"
    assert reason.startswith("failed: models: there is no model tiny")
    assert "there is no model tiny" in problem(store, "a")
    with store.reading() as session:
        assert stored_spec(session.scalars(select(Batch)).one().spec).models == ("other",)


def test_a_batch_of_another_hand_is_not_taken_for_the_schedules(store):
    """A name that is taken is said."""
    added(store)
    with store.writing() as session:
        spec = seeded(SPEC, ["nightly", "2027-03-01T02:00Z"])
        from probe.submitting import submit

        submit(session, 0.0, spec, "nightly-2027-03-01T02:00Z")
    assert swept(store, "2027-03-01T02:00") == []
    assert "there is a batch" in runs(store)[0][2]
    assert count(store, Batch) == 1


# --- budgets ----------------------------------------------------------------------------------------------------------


def limits_of(store):
    with store.reading() as session:
        rows = session.scalars(select(Batch).where(Batch.state == "queued").order_by(Batch.id)).all()
        return [(row.max_calls, row.max_tokens, row.max_cost) for row in rows]


def test_a_run_gets_what_is_left_of_its_day(store):
    """The smaller one of its own limit and the day's rest; nothing left: skipped, and the next day it runs."""
    added(store, cron="0 */6 * * *", max_calls=100, day_calls=150, day_tokens=9000)
    assert swept(store, "2027-03-01T06:00")
    assert limits_of(store) == [(100, 9000, None)]
    ended(store, used_calls=90, used_tokens=1000)
    assert swept(store, "2027-03-01T12:00")
    assert limits_of(store) == [(60, 8000, None)]
    ended(store, "budget_reached", used_calls=60, used_tokens=500)
    assert swept(store, "2027-03-01T18:00") == []
    reason = "budget: the 150 calls of this day (UTC) are used up"
    assert runs(store)[-1] == ("2027-03-01T18:00Z", "skipped", reason)
    assert reason in problem(store)
    with pytest.raises(RequestError, match="used up"), store.writing() as session:
        schedules.run_now(session, at("2027-03-01T19:00"), "nightly")
    assert swept(store, "2027-03-02T00:00")
    assert limits_of(store) == [(100, 9000, None)]


def test_canary_and_fresh_ones_share_the_limits_of_a_run(store):
    """By the number of their instances: together never more."""
    with store.writing() as session:
        facts = models.ModelFacts(name="tiny", url=NOWHERE, served_id="m", price_in=1.0, price_out=2.0)
        models.add(session, facts, 0.0)
    arm = replace(KNAPSACK, instances=30)
    plan = {
        "spec": replace(SPEC, arms=(arm,)),
        "canary_instances": 10,
        "max_calls": 101,
        "max_tokens": 10,
        "max_cost": 2.0,
    }
    added(store, model=False, **plan)
    assert swept(store, "2027-03-01T02:00")
    assert limits_of(store) == [(75, 7, 1.5), (26, 3, 0.5)]


def test_a_limit_of_cost_needs_prices(store):
    """As for any batch."""
    with pytest.raises(RequestError, match=r"max-cost.*has no price"):
        added(store, day_cost=5.0)


# --- what became of it ------------------------------------------------------------------------------------------------


def test_a_finished_run_says_state_duration_and_spend(store):
    """As soon as both its batches have ended; the worse of their states is the run's."""
    added(store, canary_instances=2)
    assert swept(store, "2027-03-01T02:00:30")
    with store.writing() as session:
        fresh, canary = session.scalars(select(Batch).order_by(Batch.id))
        fresh.state, fresh.finished_at, fresh.used_calls, fresh.used_cost = "complete", at("2027-03-01T02:10"), 3, 0.5
    assert finished(store, "2027-03-01T02:11") == 0
    with store.writing() as session:
        row = session.get_one(Batch, canary.id)
        row.state, row.finished_at, row.used_calls, row.used_tokens = "failed", at("2027-03-01T02:12"), 2, 70
    assert finished(store, "2027-03-01T02:13") == 1
    assert finished(store, "2027-03-01T02:14") == 0
    (run,) = history(store)
    assert run == {
        "schedule": "nightly",
        "due": "2027-03-01T02:00Z",
        "state": "finished",
        "outcome": "failed",
        "reason": None,
        "batch": "nightly-2027-03-01T02:00Z",
        "canary": "nightly-2027-03-01T02:00Z-canary",
        "started_at": "2027-03-01T02:00:30Z",
        "finished_at": "2027-03-01T02:12Z",
        "seconds": 690.0,
        "spend": {"calls": 5, "tokens": 70, "cost": 0.5},
        "changed": False,
        "changes": run["changes"],
    }
    assert problem(store) == "the run of 2027-03-01T02:00Z failed"


def test_removing_a_schedule_keeps_its_batches(store):
    """Its history goes; a new one of the same name starts afresh."""
    added(store, canary_instances=2)
    assert swept(store, "2027-03-01T02:00")
    with store.writing() as session:
        schedules.remove(session, "nightly")
    assert count(store, ScheduleRun) == 0
    with store.reading() as session:
        batches = session.scalars(select(Batch).order_by(Batch.id)).all()
        assert [(batch.schedule_id, batch.canary) for batch in batches] == [(None, False), (None, True)]
    with pytest.raises(RequestError, match="there is no schedule"):
        runs(store)
    added(store, now="2027-03-01T03:00", model=False)
    assert swept(store, "2027-03-02T02:00")


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"name": "7th"}, "name"),
        ({"name": "a/b"}, "name"),
        ({"name": "n" * 65}, "name"),
        ({"cron": "0 2 * *"}, "cron"),
        ({"zone": "Mars/Phobos"}, "tz"),
        ({"catch_up": "all"}, "catch-up"),
        ({"overlap": "both"}, "overlap"),
        ({"canary_instances": -1}, "canary"),
        ({"max_calls": 0}, "max-calls"),
        ({"max_tokens": 10**16}, "max-total-tokens"),
        ({"day_cost": float("nan")}, "day-cost"),
        ({"webhook": "ftp://example.org"}, "webhook"),
        ({"webhook": "http://user:secret@example.org"}, "webhook"),
        ({"webhook": "http://[::1/"}, "webhook"),
        ({"webhook": "http://a b/"}, "webhook"),
        ({"spec": replace(SPEC, models=("nobody",))}, "models"),
        ({"spec": replace(SPEC, models=("none",))}, "models"),
        ({"spec": replace(SPEC, samples=0)}, "samples"),
    ],
)
def test_wrong_schedules_are_refused_by_field(store, changed, field):
    """And leave nothing; no message repeats a secret."""
    with pytest.raises(RequestError, match=f"^{field}: ") as error:
        added(store, **changed)
    assert "secret" not in str(error.value)
    assert count(store, Schedule) == 0


def test_a_name_is_given_once(store):
    """The message says how to free it."""
    added(store)
    with pytest.raises(RequestError, match="probe schedule remove nightly"):
        added(store, model=False)


# --- what changed -----------------------------------------------------------------------------------------------------


def answered(store, name, held, model="m1", prints="fp1"):
    """Fill in the tallies of a batch: ``held`` of 10 constraints at each position; one call says who answered."""
    with store.writing() as session:
        batch = session.scalars(select(Batch).where(Batch.name == name)).one()
        for shard in session.scalars(select(Shard).where(Shard.batch_id == batch.id)).all():
            span = slice(shard.first, shard.last)
            names = ["constraints", *(f"outcome:{outcome}" for outcome in OUTCOMES)]
            matrix = np.zeros((len(names), 50, 2), np.int32)
            matrix[0, span] = np.stack([np.full(50, 10), held], axis=1)[span]
            matrix[1:, span, 0] = 1
            matrix[names.index("outcome:feasible"), span, 1] = 1
            measures, packed = pack(names, matrix)
            session.execute(insert(Tally).values(shard_id=shard.id, judge_version=1, measures=measures, matrix=packed))
            call = {"kind": "ok", "started_at": 0.0, "seconds": 0.1, "number": 1, "sample": 0, "position": 0}
            charged = {"charged_prompt_tokens": 1, "charged_answer_tokens": 1}
            signs = {"served_model": model, "fingerprint": prints}
            session.execute(insert(Call).values(shard_id=shard.id, **call, **charged, **signs))
            shard.state = "complete"
        batch.state = "complete"


def night(store, day, rate, rng, **signs):
    """Let a run take place with canaries that hold at a rate; return what it found of the model."""
    moment = at("2027-03-01") + day * DAY + 2 * HOUR
    names = swept(store, moment)
    for name in names:
        answered(store, name, np.where(rng.random(50) < rate, 10, 0), **signs)
    with store.writing() as session:
        schedules.finish(session, moment + HOUR)
    return history(store)[-1]["changes"]["models"]["tiny"]


def test_a_model_that_gets_worse_is_flagged_once(store):
    """Not before 15 nights, not by chance; after the flag its rate is the new normal."""
    added(store, spec=replace(SPEC, arms=(replace(KNAPSACK, instances=1),)), canary_instances=40)
    rng = np.random.default_rng(11)
    quiet = [night(store, day, 0.8, rng) for day in range(20)]
    assert [found["drift"] is None for found in quiet] == [True] * 14 + [False] * 6
    assert not any(found["changed"] for found in quiet)
    assert problem(store) is None
    worse = [night(store, day, 0.4, rng) for day in range(20, 24)]
    flagged = [day for day, found in enumerate(worse) if found["moved"]]
    assert len(flagged) == 1
    found = worse[flagged[0]]
    assert found["drift"]["z"] < -found["drift"]["threshold"] == -4.0
    assert found["drift"]["before"] == pytest.approx(0.8, abs=0.05)
    assert found["drift"]["after"] == pytest.approx(0.4, abs=0.2)
    last = night(store, 24, 0.4, rng)
    assert (last["changed"], last["drift"], last["nights"]) == (False, None, 24 - 20 - flagged[0] + 1)


def test_another_served_model_or_fingerprint_is_flagged(store):
    """Against the run before; the value is named, and what has been there stays quiet."""
    added(store, canary_instances=5)
    rng = np.random.default_rng(1)
    assert not night(store, 0, 0.5, rng)["changed"]
    swapped = night(store, 1, 0.5, rng, model="m2")
    assert (swapped["changed"], swapped["new_served_model"], swapped["new_fingerprint"]) == (True, ["m2"], [])
    assert problem(store) == "the run of 2027-03-02T02:00Z: tiny changed"
    assert not night(store, 2, 0.5, rng, model="m2")["changed"]
    printed = night(store, 3, 0.5, rng, model="m2", prints="fp2")
    assert (printed["changed"], printed["moved"], printed["new_fingerprint"]) == (True, False, ["fp2"])
    assert not night(store, 4, 0.5, rng, model="m2", prints=None)["changed"]  # it said nothing that night
    assert not night(store, 5, 0.5, rng, model="m2", prints="fp2")["changed"]


def test_canaries_are_no_results(store):
    """The same few instances every night would drown the others: they show where their batch is named."""
    added(store, canary_instances=30)
    night(store, 0, 0.5, np.random.default_rng(1))
    with store.reading() as session:
        (cell,) = result_table(session, ("batch",)).cells
        assert cell.group["batch"] == "nightly-2027-03-01T02:00Z"
        canary = session.scalars(select(Batch).where(Batch.canary)).one()
        (named,) = result_table(session, ("batch",), batch=canary.id).cells
        (where,) = result_table(session, ("batch",), {"batch": canary.name}).cells
    assert named.group["batch"] == where.group["batch"] == canary.name


def test_two_nights_on_a_real_endpoint(store):
    """Asked, judged, compared: the canaries are the very same requests, the fresh ones are not."""
    served = []

    def script(body, number):
        return answers({**json.loads(varied(body, number).body), "model": served[-1], "system_fingerprint": "fp"})

    with Endpoint(script) as endpoint:
        known(store, endpoint.url)
        added(store, model=False, canary_instances=4)
        asked = []
        for day, model in ((1, "big-1"), (2, "big-2")):
            served.append(model)
            seen = {}
            for name in swept(store, f"2027-03-0{day}T02:00"):
                with store.reading() as session:
                    batch = session.scalars(select(Batch).where(Batch.name == name)).one()
                before = len(endpoint.requests)
                assert ran(store, batch.id).state == "complete"
                prompts = [str(body["messages"][-1]["content"]) for body in endpoint.bodies[before:]]
                seen[batch.canary] = {prompt for prompt in prompts if "knapsack" in prompt.lower() or len(prompt) > 200}
            asked.append(seen)
            assert finished(store, f"2027-03-0{day}T03:00") == 1
    assert asked[0][True] == asked[1][True]
    assert len(asked[0][True]) == 4
    assert not asked[0][False] & asked[1][False]
    one, two = (run["changes"] for run in history(store))
    assert one["models"]["tiny"]["served_model"] == ["big-1"]
    assert (one["changed"], two["changed"]) == (False, True)
    assert two["models"]["tiny"]["new_served_model"] == ["big-2"]
    assert count(store, Trial) == 2 * (3 + 4)
    sound(store)


# --- telling ----------------------------------------------------------------------------------------------------------


def due_again(store):
    """Let a minute pass."""
    with store.writing() as session:
        session.execute(update(ScheduleRun).values(tell_at=0.0))


def told(store):
    with store.reading() as session:
        run = session.scalars(select(ScheduleRun)).one()
        return run.told, run.tellings, run.reason


def one_finished(store, url):
    added(store, webhook=url)
    assert swept(store, "2027-03-01T02:00")
    ended(store, used_calls=3)
    assert finished(store, "2027-03-01T02:30") == 1


def test_a_finished_run_is_told_once(store):
    """One POST of what the history says, however many tell."""
    with Endpoint(answers({})) as receiver:
        one_finished(store, f"{receiver.url}/hook?key=1")
        with ThreadPoolExecutor(4) as pool:
            assert sum(pool.map(lambda _: notify(store), range(4))) == 1
        assert notify(store) == 0
        (request,) = receiver.requests
    assert request.path == "/v1/hook?key=1"
    assert request.body == history(store)[0]
    assert request.body["spend"]["calls"] == 3
    assert request.headers["idempotency-key"].startswith("schedule-run-")
    assert told(store) == (True, 1, None)


def test_telling_is_tried_three_times(store):
    """A minute apart; then the failure is in the history."""
    with Endpoint([fails(500), answers({}, 302, headers={"Location": "/v1/elsewhere"}), fails(404)]) as receiver:
        one_finished(store, receiver.url)
        assert notify(store) == notify(store) == 0  # the second comes within the minute
        assert told(store) == (False, 1, "webhook: the receiver answered 500 (try 1 of 3)")
        for _ in range(3):
            due_again(store)
            assert notify(store) == 0
        assert len(receiver.requests) == 3
        assert {request.path for request in receiver.requests} == {"/v1"}  # redirects are not followed
    assert told(store) == (True, 3, "webhook: the receiver answered 404 (try 3 of 3)")
    assert problem(store) is None


def test_a_receiver_comes_back(store):
    """The next try clears the note."""
    with Endpoint([fails(503), answers({})]) as receiver:
        one_finished(store, receiver.url)
        notify(store)
        due_again(store)
        assert notify(store) == 1
    assert told(store) == (True, 2, None)


@pytest.mark.parametrize("how", [hangs, lambda: drips("x" * 100, seconds=0.2)])
def test_a_receiver_that_does_not_answer_is_left(store, monkeypatch, how):
    """One POST has so many seconds as a whole; its body is not waited for."""
    monkeypatch.setattr("probe.webhooks.SECONDS", 0.5)
    with Endpoint(how()) as receiver:
        one_finished(store, receiver.url)
        taken = notify(store)
    assert told(store)[:2] == (bool(taken), 1)
    assert taken or told(store)[2].startswith("webhook: ")


def test_nobody_is_there(store):
    """The note doesn't repeat the URL, which may hold a secret."""
    one_finished(store, "http://127.0.0.1:9/secret")
    assert notify(store) == 0
    assert told(store) == (False, 1, "webhook: could not be reached (ConnectError) (try 1 of 3)")


def test_without_a_webhook_nobody_is_told(store):
    """Nor is it looked for."""
    one_finished(store, None)
    assert notify(store) == 0
    assert told(store) == (True, 0, None)
