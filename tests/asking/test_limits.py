"""Limits of an endpoint: how many calls at once, how many requests and tokens a minute.

Time is virtual: the event loop's clock jumps to the next timer, so that minutes pass at once and exactly.
"""

import asyncio
import random
import selectors
from collections.abc import Coroutine
from typing import Any

import pytest

from probe.asking.limits import Limits
from probe.errors import RequestError


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop in which waiting takes no time."""

    def __init__(self) -> None:
        self.now = 0.0
        loop = self

        class Selector(selectors.SelectSelector):
            def select(self, timeout: float | None = None) -> Any:
                assert timeout is not None, "everything waits for ever"
                loop.now += timeout
                return super().select(0)

        super().__init__(Selector())

    def time(self) -> float:
        return self.now


def run(test: Coroutine[Any, Any, None]) -> None:
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(test)


def limits(*args: Any, **kwargs: Any) -> Limits:
    return Limits(*args, **kwargs, clock=asyncio.get_running_loop().time)


def most_in_a_minute(starts: list[tuple[float, int]]) -> tuple[int, int]:
    """Most requests and most tokens in any half-open window of 60 s; the worst one ends at a start."""
    windows = [[tokens for at, tokens in starts if end - 60 < at <= end] for end, _ in starts]
    return max(len(window) for window in windows), max(sum(window) for window in windows)


def test_no_more_than_concurrency_slots_are_open_at_once():
    """Of a hundred calls, exactly four are under way at any time while there is work."""

    async def main() -> None:
        shared, now_open, seen = limits(4), 0, []

        async def call() -> None:
            nonlocal now_open
            async with shared.slot():
                now_open += 1
                seen.append(now_open)
                await asyncio.sleep(random.random())
                now_open -= 1

        await asyncio.gather(*(call() for _ in range(100)))
        assert max(seen) == 4
        assert seen[3:].count(4) == 97

    run(main())


@pytest.mark.parametrize("seed", range(5))
def test_no_minute_ever_holds_more_requests_or_tokens_than_allowed(seed: int):
    """Whatever the arrival times, sizes and durations, every window of 60 s stays within rpm and tpm."""

    async def main() -> None:
        draw, starts = random.Random(seed), []
        shared = limits(20, rpm=30, tpm=10_000)

        async def call(tokens: int, arrival: float, seconds: float) -> None:
            await asyncio.sleep(arrival)
            async with shared.slot(tokens):
                starts.append((asyncio.get_running_loop().time(), tokens))
                await asyncio.sleep(seconds)

        drawn = [(draw.randint(1, 900), draw.choice([0, 100 * draw.random()]), 30 * draw.random()) for _ in range(300)]
        await asyncio.gather(*(call(*one) for one in drawn))
        requests, tokens = most_in_a_minute(starts)
        assert len(starts) == 300
        assert requests <= 30
        assert tokens <= 10_000
        assert tokens > 9_000 or requests == 30  # the limits are used, too

    run(main())


def test_a_limit_of_requests_is_used_up_at_once_and_then_again_a_minute_later():
    """Seven requests at 3 a minute start at 0, 60 and 120 s."""

    async def main() -> None:
        shared, starts = limits(100, rpm=3), []

        async def call() -> None:
            async with shared.slot():
                starts.append(round(asyncio.get_running_loop().time()))

        await asyncio.gather(*(call() for _ in range(7)))
        assert starts == [0, 0, 0, 60, 60, 60, 120]

    run(main())


@pytest.mark.parametrize("limit", [{"rpm": 1}, {"tpm": 1}])
def test_a_minute_that_is_over_only_by_rounding_isnt_over(limit: dict[str, int]):
    """Where start + 60 - now rounds to 0 while start is still later than now - 60, the next call waits."""
    start = next(at for at in (random.Random(i).uniform(0, 60) for i in range(1000)) if at + 60 - 60 < at)
    now = start

    async def main() -> None:
        nonlocal now
        shared = Limits(10, **limit, clock=lambda: now)
        async with shared.slot(1):
            now = start + 60

        async def call() -> float:
            async with shared.slot(1):
                return now

        waiting = asyncio.create_task(call())
        await asyncio.sleep(0.01)
        now = start + 60.001
        assert await waiting == start + 60.001

    asyncio.run(main())


def test_tokens_reserved_and_not_used_are_given_back():
    """A call that used less than it reserved makes room within the minute; one of unknown use doesn't."""

    async def main(used: int | None, expected: float) -> None:
        shared = limits(10, tpm=1000)
        async with shared.slot(1000) as slot:
            await asyncio.sleep(1)
            slot.used = used
        async with shared.slot(900):
            assert round(asyncio.get_running_loop().time()) == expected

    run(main(100, 1))
    run(main(None, 60))
    run(main(5000, 60))


def test_a_correction_after_its_minute_changes_nothing():
    """A slow call's use, known only after its minute is over, isn't counted twice nor taken off twice."""

    async def main() -> None:
        shared, loop = limits(10, tpm=1000), asyncio.get_running_loop()
        async with shared.slot(1000) as slow:
            async with shared.slot(1000):
                assert round(loop.time()) == 60
            slow.used = 0
        async with shared.slot(1000):
            assert round(loop.time()) == 120

    run(main())


def test_waiters_are_served_in_order_of_arrival():
    """A small call that would fit doesn't overtake a big one that waits for tokens."""

    async def main() -> None:
        shared, order = limits(10, tpm=1000), []

        async def call(name: str, tokens: int) -> None:
            async with shared.slot(tokens):
                order.append((name, round(asyncio.get_running_loop().time())))

        await asyncio.gather(call("first", 600), call("big", 900), call("small", 50))
        assert order == [("first", 0), ("big", 60), ("small", 60)]

    run(main())


@pytest.mark.parametrize("seed", range(5))
def test_cancelled_waiters_leak_no_slot(seed: int):
    """After calls were cancelled while they waited, ran, or were just being let in, all slots can be had again."""

    async def main() -> None:
        shared, draw, loop = limits(3), random.Random(seed), asyncio.get_running_loop()

        async def call() -> None:
            async with shared.slot():
                await asyncio.sleep(draw.choice([0, 1, 2]))

        tasks = [asyncio.create_task(call()) for _ in range(200)]
        for _ in range(40):
            await asyncio.sleep(draw.choice([0, 1]))
            for task in draw.sample(tasks, 10):
                task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        before = loop.time()
        async with shared.slot(), shared.slot(), shared.slot():
            assert loop.time() == before
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(1), shared.slot():
                    pass

    run(main())


def test_a_slot_granted_to_a_waiter_that_is_cancelled_in_the_same_moment_goes_to_the_next():
    """Release and cancellation in one turn of the loop: the waiter behind still gets in."""

    async def main() -> None:
        shared, entered = limits(1), []

        async def call(name: str) -> None:
            async with shared.slot():
                entered.append(name)

        async with shared.slot():
            first, second = asyncio.create_task(call("first")), asyncio.create_task(call("second"))
            await asyncio.sleep(0)
        first.cancel()
        await asyncio.gather(first, second, return_exceptions=True)
        assert entered == ["second"]

    run(main())


def test_a_pause_holds_every_new_call_and_is_never_shortened():
    """No slot begins during a pause; a shorter pause on top doesn't end it sooner; open calls go on."""

    async def main() -> None:
        shared, loop = limits(10), asyncio.get_running_loop()
        async with shared.slot():
            shared.pause(30)
            shared.pause(5)
            assert shared.paused_for() == 30
            async with shared.slot():
                assert round(loop.time()) == 30
        assert shared.paused_for() == 0

    run(main())


def test_a_pause_that_is_prolonged_while_calls_wait_holds_them_longer():
    """Waiters that were to be let in at the end of a pause wait for the end of the longer one."""

    async def main() -> None:
        shared, loop = limits(10), asyncio.get_running_loop()
        shared.pause(10)
        loop.call_later(5, shared.pause, 20)
        async with shared.slot():
            assert round(loop.time()) == 25

    run(main())


def test_a_call_larger_than_a_minutes_tokens_is_refused_with_the_way_out():
    """It would wait for ever; the error names the limit and the option."""
    with pytest.raises(RequestError, match=r"5000 tokens, more than .* 1000 tokens a minute: .*--tpm"):
        Limits(1, tpm=1000).slot(5000)


@pytest.mark.parametrize("wrong", [{"concurrency": 0}, {"concurrency": 1, "rpm": 0}, {"concurrency": 1, "tpm": -1}])
def test_limits_below_one_are_refused(wrong: dict[str, int]):
    """A limit of zero would mean waiting for ever."""
    with pytest.raises(RequestError, match="must be at least 1"):
        Limits(**wrong)
