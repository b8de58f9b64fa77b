"""Seats and rations: what all processes together may do at an endpoint, agreed in the database."""

import random

import pytest

from probe import models, seats
from probe.seats import Report, agree, fair, get_up, open_circuit
from probe.store.tables import Endpoint, Model, Seat


@pytest.fixture
def endpoint_id(store):
    with store.writing() as session:
        facts = models.ModelFacts(name="tiny", url="http://127.0.0.1:9/v1", served_id="tiny", max_concurrency=10)
        return session.get_one(Model, models.add(session, facts, store.now(session))).endpoint_id


def limited(store, endpoint_id, **limits):
    with store.writing() as session:
        row = session.get_one(Endpoint, endpoint_id)
        for name, value in limits.items():
            setattr(row, name, value)


@pytest.mark.parametrize(
    ("cap", "wishes", "shares"),
    [
        (10, [8, 8], [5, 5]),
        (10, [2, 8, 8], [2, 4, 4]),
        (10, [1, 1], [1, 1]),
        (3, [8, 8], [2, 1]),
        (1, [4, 4, 4], [1, 0, 0]),
    ],
)
def test_shares_are_fair(cap, wishes, shares):
    """Equal but for those who wish for less; nobody gets more than the wish, all together no more than the cap."""
    assert fair(cap, wishes) == shares


@pytest.mark.parametrize("seed", range(3))
def test_slots_never_exceed_the_limit_whoever_comes_and_goes(store, endpoint_id, seed):
    """Four processes come, call, go and die in any order: the calls open never exceed the endpoint's limit."""
    draw = random.Random(seed)
    slots: dict[str, int] = {}
    open_: dict[str, int] = {}
    now = 1000.0
    for _ in range(150):
        now += draw.choice([0.05, 0.2, 0.5])  # all renew their seats in time
        who = draw.choice("abcd")
        with store.writing() as session:
            if draw.random() < 0.1 and who in slots and not open_[who]:
                get_up(session, now, endpoint_id, who, Report(wish=8))
                del slots[who], open_[who]
                continue
            allowed = agree(session, now, endpoint_id, who, Report(wish=8, open=open_.get(who, 0)))
        slots[who] = allowed.slots
        most = max(allowed.slots, open_.get(who, 0))
        open_[who] = draw.randint(0, most) if allowed.slots >= open_.get(who, 0) else draw.randint(0, open_[who])
        assert sum(open_.values()) <= 10
    assert sum(slots.values()) > 0


def test_a_seat_that_is_not_renewed_is_free(store, endpoint_id):
    """A process that stands still loses its slots to another, and gets some again when it wakes."""
    with store.writing() as session:
        assert agree(session, 0.0, endpoint_id, "a", Report(wish=10)).slots == 10
        assert agree(session, 1.0, endpoint_id, "b", Report(wish=10)).slots == 0
        assert agree(session, 2.0, endpoint_id, "a", Report(wish=10, open=7)).slots == 7
        assert agree(session, 3.0, endpoint_id, "b", Report(wish=10)).slots == 3
        later = 3.0 + seats.SEAT_SECONDS + 1
        assert agree(session, later, endpoint_id, "b", Report(wish=10)).slots == 10
        assert agree(session, later + 1, endpoint_id, "a", Report(wish=10)).slots == 0


def test_the_limit_is_halved_by_trouble_and_creeps_up_again(store, endpoint_id):
    """One cut in a while, however many calls were turned away; then a tenth more each time that all of it was used."""
    found = []
    with store.writing() as session:
        agree(session, 100.0, endpoint_id, "a", Report(wish=10))
        for at in (101.0, 102.0, 103.0):
            found.append(agree(session, at, endpoint_id, "a", Report(wish=10, troubled=True)).slots)
        at = 103.0
        for _ in range(8):
            at += seats.GROW_SECONDS
            found.append(agree(session, at, endpoint_id, "a", Report(wish=10, peak=10)).slots)
    assert found == [5, 5, 5, 6, 7, 8, 9, 10, 10, 10, 10]
    with store.reading() as session:
        assert session.get_one(Endpoint, endpoint_id).slots is None


def test_a_limit_that_is_not_used_does_not_grow(store, endpoint_id):
    """Nobody knows what the endpoint would bear."""
    with store.writing() as session:
        agree(session, 100.0, endpoint_id, "a", Report(wish=10))
        agree(session, 101.0, endpoint_id, "a", Report(wish=10, troubled=True))
        assert agree(session, 200.0, endpoint_id, "a", Report(wish=10, peak=2)).slots == 5


def test_a_pause_that_one_process_was_asked_for_holds_for_all(store, endpoint_id):
    """`retry-after: 30` of one call."""
    with store.writing() as session:
        agree(session, 100.0, endpoint_id, "a", Report(wish=5, troubled=True, pause=30.0))
        assert agree(session, 110.0, endpoint_id, "b", Report(wish=5)).pause == pytest.approx(20.0)
        assert agree(session, 131.0, endpoint_id, "b", Report(wish=5)).pause == 0.0


@pytest.mark.parametrize("seed", range(3))
def test_rations_of_any_minute_stay_within_both_limits(store, endpoint_id, seed):
    """Calls begin within their ration's time; whenever that is, no window of 60 s holds more than allowed."""
    limited(store, endpoint_id, rpm=30, tpm=5000)
    draw, starts, now, unused = random.Random(seed), [], 1000.0, {}
    while now < 1400.0:
        now += draw.uniform(0.1, 3.0)
        demand = [draw.randint(1, 900) for _ in range(draw.randint(0, 12))]
        with store.writing() as session:
            given = agree(session, now, endpoint_id, draw.choice("ab"), Report(wish=5, demand=demand, unused=unused))
        unused = {}
        if given.ration is not None:
            ration, requests, tokens = given.ration
            used = draw.randint(0, requests)
            assert tokens == sum(demand[:requests])
            starts += [(now + draw.uniform(0, seats.USE_SECONDS), size) for size in demand[:used]]
            if used < requests:
                unused = {ration: (requests - used, sum(demand[used:requests]))}
    windows = [[size for at, size in starts if end - 60 < at <= end] for end, _ in starts]
    assert max(map(len, windows)) <= 30
    assert max(map(sum, windows)) <= 5000
    assert max(map(sum, windows)) > 4000 or max(map(len, windows)) > 25  # they are used, too


def test_a_circuit_stays_open_longer_each_time_until_an_answer_comes(store, endpoint_id):
    """15, 30, 60 … seconds, ten minutes at most."""
    with store.writing() as session:
        now, waits = 1000.0, []
        for _ in range(8):
            open_circuit(session, now, endpoint_id, "gone")
            open_circuit(session, now + 1, endpoint_id, "gone")  # another process found out as well
            waits.append(session.get_one(Endpoint, endpoint_id).open_until - now)
            now += waits[-1] + 1
        assert waits == [15, 30, 60, 120, 240, 480, 600, 600]
        agree(session, now, endpoint_id, "a", Report(wish=1, answered=True))
        row = session.get_one(Endpoint, endpoint_id)
        assert (row.opened, row.open_until, row.reason) == (0, 0.0, None)
        assert session.query(Seat).count() == 1
