"""Budgets: limits that hold whatever is open at once, calls that wait for room, and a clean stop."""

import asyncio
import random

import pytest

from probe.budget import Budget, Charge, Use, use, used_by
from probe.store.work import Spent

NOTHING = Spent(0, 0, 0.0)
PRICES = (3.0, 15.0)


def run(coroutine):
    """Run a test's coroutine; one that waits for what never comes fails."""

    async def bounded():
        async with asyncio.timeout(20):
            return await coroutine

    return asyncio.run(bounded())


async def settled(task):
    """Whether a task is done once everything that can go on has."""
    for _ in range(5):
        await asyncio.sleep(0)
    return task.done()


def test_use_is_tokens_of_both_kinds_at_their_prices():
    """Prices are USD per million, prompt and answer apart; without a price nothing is charged."""
    assert use(2, 1_000_000, 200_000, PRICES) == Use(2, 1_200_000, 6.0)
    assert use(1, 10, 20, None) == Use(1, 30, 0.0)
    assert use(1, 10, 20, None) + use(2, 1, 1, None) == Use(3, 32, 0.0)
    assert use(3, 10, 20, None) - use(1, 10, 0, None) == Use(2, 20, 0.0)


def test_no_limit_is_never_reached():
    """None means: as much as there is."""
    budget = Budget(None, None, None, Spent(10**9, 10**12, None))
    assert budget.fits(Use(10**6, 10**9, 1e6))


@pytest.mark.parametrize(
    ("limits", "more", "fits"),
    [
        ((10, None, None), Use(3, 0, 0.0), True),
        ((10, None, None), Use(4, 0, 0.0), False),
        ((None, 1000, None), Use(1, 300, 0.0), True),
        ((None, 1000, None), Use(1, 301, 0.0), False),
        ((None, None, 2.0), Use(1, 1, 0.5), True),
        ((None, None, 2.0), Use(1, 1, 0.75), False),
        ((10, 1000, 2.0), Use(3, 300, 0.5), True),
        ((10, 1000, 2.0), Use(3, 300, 0.75), False),
    ],
)
def test_what_was_spent_before_counts(limits, more, fits):
    """A resumed batch goes on from what it has used: 7 calls, 700 tokens, 1.50 USD. A limit may be used up exactly."""
    assert Budget(*limits, Spent(7, 700, 1.5)).fits(more) is fits


def test_reserving_takes_room_and_settling_gives_back_what_was_not_used():
    """The worst case is held while a call is open; afterwards only what it used."""

    async def story():
        budget = Budget(None, 100, None, NOTHING)
        assert await budget.reserve(Use(1, 60, 0.0), asyncio.Event())
        assert (budget.reserved, budget.used) == (Use(1, 60, 0.0), Use(0, 0, 0.0))
        assert not budget.fits(Use(1, 60, 0.0))
        budget.settle(Use(1, 60, 0.0), Use(1, 10, 0.0))
        assert (budget.reserved, budget.used) == (Use(0, 0, 0.0), Use(1, 10, 0.0))
        assert budget.fits(Use(1, 60, 0.0))

    run(story())


def test_a_call_waits_while_others_are_open_and_goes_on_when_they_leave_room():
    """The worst case of two calls is too much; what the first really used leaves room for the second."""

    async def story():
        budget, stop = Budget(None, 100, None, NOTHING), asyncio.Event()
        assert await budget.reserve(Use(1, 60, 0.0), stop)
        second = asyncio.create_task(budget.reserve(Use(1, 60, 0.0), stop))
        assert not await settled(second)
        budget.settle(Use(1, 60, 0.0), Use(1, 40, 0.0))
        assert await second
        assert not budget.reached

    run(story())


def test_the_budget_is_reached_when_no_open_call_can_make_room():
    """With nothing open, what doesn't fit never will: refused at once, and said so."""

    async def story():
        budget, stop = Budget(None, 100, None, NOTHING), asyncio.Event()
        assert await budget.reserve(Use(1, 60, 0.0), stop)
        second = asyncio.create_task(budget.reserve(Use(1, 60, 0.0), stop))
        assert not await settled(second)
        budget.settle(Use(1, 60, 0.0), Use(1, 50, 0.0))
        assert await second is False
        assert budget.reached
        assert await budget.reserve(Use(1, 50, 0.0), stop)  # a smaller one still fits

    run(story())


def test_a_stop_ends_the_waiting_when_the_open_calls_are_done():
    """A stopped run waits for the calls in flight and starts no other; the budget isn't what ended it."""

    async def story():
        budget, stop = Budget(2, None, None, NOTHING), asyncio.Event()
        assert await budget.reserve(Use(2, 10, 0.0), stop)
        waiting = asyncio.create_task(budget.reserve(Use(2, 10, 0.0), stop))
        assert not await settled(waiting)
        stop.set()
        budget.settle(Use(2, 10, 0.0), Use(1, 10, 0.0))
        assert await waiting is False
        assert not budget.reached

    run(story())


def test_a_cancelled_wait_hurts_nobody():
    """One that gave up waiting holds nothing and doesn't disturb the settling that the others wait for."""

    async def story():
        budget, stop = Budget(1, None, None, NOTHING), asyncio.Event()
        worst = Use(1, 1, 0.0)
        assert await budget.reserve(worst, stop)
        first, second = (asyncio.create_task(budget.reserve(worst, stop)) for _ in range(2))
        assert not await settled(first)
        first.cancel()
        assert await settled(first)
        budget.settle(worst, Use(0, 0, 0.0))
        assert await second
        assert budget.reserved == worst

    run(story())


@pytest.mark.parametrize(
    ("limits", "spent"),
    [
        ((100, None, None), NOTHING),
        ((None, 5_000, None), NOTHING),
        ((None, None, 0.04), NOTHING),
        ((150, 9_000, 0.09), Spent(30, 2_000, 0.01)),
    ],
)
def test_no_limit_is_exceeded_however_many_calls_are_open(limits, spent):
    """40 callers at once, each using anything up to its worst case: used and reserved never exceed a limit, and in the
    end less than one worst case is left of one of them."""

    async def story():
        budget, stop, rng = Budget(*limits, spent), asyncio.Event(), random.Random(7)
        worst = use(1, 100, 50, PRICES)
        most_open = 0

        async def caller():
            nonlocal most_open
            while await budget.reserve(worst, stop):
                most_open = max(most_open, budget.reserved.calls)
                for _ in range(rng.randrange(4)):
                    await asyncio.sleep(0)
                total = budget.used + budget.reserved
                for amount, limit in zip((total.calls, total.tokens, total.cost), limits, strict=True):
                    assert limit is None or amount <= limit
                budget.settle(worst, use(1, rng.randint(1, 100), rng.randint(0, 50), PRICES))

        await asyncio.gather(*(caller() for _ in range(40)))
        assert most_open > 10
        assert budget.reserved.calls == budget.reserved.tokens == 0
        assert budget.reserved.cost == pytest.approx(0.0, abs=1e-12)
        assert budget.reached
        assert not budget.fits(worst)
        assert budget.used.calls > spent.calls

    run(story())


def test_a_limit_of_calls_is_used_up_to_the_last_one():
    """Exactly as many calls as allowed are made."""

    async def story():
        budget, stop = Budget(17, None, None, NOTHING), asyncio.Event()
        made = 0

        async def caller():
            nonlocal made
            while await budget.reserve(Use(1, 10, 0.0), stop):
                made += 1
                await asyncio.sleep(0)
                budget.settle(Use(1, 10, 0.0), Use(1, 5, 0.0))

        await asyncio.gather(*(caller() for _ in range(5)))
        assert made == 17

    run(story())


def test_a_limit_of_cost_is_used_up_to_the_last_cent():
    """Three calls of 0.10 USD fit into 0.30 USD, though in floating point they add up to a bit more."""

    async def story():
        budget, stop, made = Budget(None, None, 0.3, NOTHING), asyncio.Event(), 0
        worst = use(1, 100_000, 0, (1.0, 1.0))
        while await budget.reserve(worst, stop):
            made += 1
            budget.settle(worst, worst)
        assert made == 3

    run(story())


@pytest.mark.parametrize(
    ("attempt", "expected"),
    [
        (("ok", 100, 20), (100, 20)),
        (("throttle", None, None), (0, 0)),
        (("transient", None, None), (500, 64)),
        (("ok", 100, None), (500, 64)),
    ],
)
def test_what_an_attempt_is_charged_with(attempt, expected):
    """A throttled attempt used no tokens; one that doesn't say counts as the worst case."""
    assert used_by(attempt, 500, 64) == expected


def test_a_repeated_attempt_needs_room_of_its_own():
    """A call may be repeated only while the limit has room for one more worst case."""

    async def story():
        budget, stop, worst = Budget(3, None, None, NOTHING), asyncio.Event(), use(1, 10, 10, None)
        assert await budget.reserve(worst, stop)
        charge = Charge(budget, worst)
        assert [charge.another() for _ in range(4)] == [True, True, True, False]
        assert budget.reached
        charge.settle([(1, 1)] * 3, None)
        assert (budget.used.calls, budget.reserved.calls) == (3, 0)

    run(story())
