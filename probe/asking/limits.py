"""How many calls may be open at an endpoint, and how many requests and tokens may start there within a minute."""

import asyncio
import math
import time
from collections import deque
from collections.abc import Callable
from types import TracebackType

from probe.errors import RequestError

WINDOW = 60.0  # seconds; what "a minute" means in rpm and tpm
TICK = 0.001  # seconds; the least wait where there is one: what rounds to none would let a call in too early


class _Start:
    """A call that started: when, how many tokens count for it, and whether it still counts."""

    __slots__ = ("counts", "time", "tokens")

    def __init__(self, at: float, tokens: int) -> None:
        self.time, self.tokens, self.counts = at, tokens, True


class Slot:
    """The right to make one call, held by `async with`.

    `used`: set it to what the call used (prompt and completion tokens) and the reservation is corrected at the end of
    the block; left at None, e.g. after a timeout, the reservation stands.
    """

    __slots__ = ("_limits", "_start", "reserved", "used")

    def __init__(self, limits: "Limits", tokens: int) -> None:
        self._limits = limits
        self._start: _Start | None = None
        self.reserved = tokens
        self.used: int | None = None

    async def __aenter__(self) -> "Slot":
        self._start = await self._limits._acquire(self.reserved)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._limits._release(self._start, self.used)


class Limits:
    """Limits that all calls to one endpoint from one event loop share. Waiters are served in order of arrival.

    At most `concurrency` slots are held at once; in no half-open window of 60 s do more than `rpm` slots begin, nor
    slots whose tokens (as reserved, corrected once the use is known) sum to more than `tpm` at the time the last of
    them begins. `clock` gives seconds.
    """

    def __init__(
        self,
        concurrency: int,
        rpm: int | None = None,
        tpm: int | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        for name, value in (("concurrency", concurrency), ("rpm", rpm), ("tpm", tpm)):
            if value is not None and value < 1:
                raise RequestError(f"{name} is {value}: it must be at least 1 (leave rpm and tpm out for no limit)")
        self.concurrency, self.rpm, self.tpm = concurrency, rpm, tpm
        self._clock = clock
        self._open = 0
        self._paused_until = -math.inf
        self._starts: deque[_Start] = deque()  # the last minute's, oldest first; kept only under rpm or tpm
        self._tokens = 0  # sum over _starts
        self._waiters: deque[tuple[asyncio.Future[_Start | None], int]] = deque()
        self._timer: asyncio.TimerHandle | None = None

    def slot(self, tokens: int = 0) -> Slot:
        """A slot that reserves `tokens`, to be entered with `async with`.

        RequestError if no minute could ever hold so many.
        """
        if self.tpm is not None and tokens > self.tpm:
            raise RequestError(
                f"one call may use {tokens} tokens, more than the endpoint's limit of {self.tpm} tokens a minute: "
                "lower the answer-token cap or raise the limit (--tpm)"
            )
        return Slot(self, tokens)

    def pause(self, seconds: float) -> None:
        """Lets no slot begin for this many seconds from now. Never shortens a pause."""
        self._paused_until = max(self._paused_until, self._clock() + seconds)

    def paused_for(self) -> float:
        """Seconds until the pause ends, 0 if there is none."""
        return max(0.0, self._paused_until - self._clock())

    async def _acquire(self, tokens: int) -> _Start | None:
        if not self._waiters and self._wait(tokens) == 0:
            return self._begin(tokens)
        granted: asyncio.Future[_Start | None] = asyncio.get_running_loop().create_future()
        waiter = (granted, tokens)
        self._waiters.append(waiter)
        if len(self._waiters) == 1:
            self._serve()
        try:
            return await granted
        except asyncio.CancelledError:
            if granted.done() and not granted.cancelled():  # granted and cancelled in the same turn of the loop
                self._release(granted.result(), used=0)
            elif waiter in self._waiters:
                self._waiters.remove(waiter)
                self._serve()
            raise

    def _release(self, start: _Start | None, used: int | None) -> None:
        self._open -= 1
        if start is not None and used is not None and start.counts:
            self._tokens += used - start.tokens
            start.tokens = used
        if self._waiters:
            self._serve()

    def _begin(self, tokens: int) -> _Start | None:
        self._open += 1
        if self.rpm is None and self.tpm is None:
            return None
        start = _Start(self._clock(), tokens)
        self._starts.append(start)
        self._tokens += tokens
        return start

    def _serve(self) -> None:
        """Grants slots to the waiters in front; if time alone will free the next one, comes back then."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while self._waiters:
            granted, tokens = self._waiters[0]
            if granted.cancelled():
                self._waiters.popleft()
                continue
            wait = self._wait(tokens)
            if wait > 0:
                if wait < math.inf:
                    self._timer = asyncio.get_running_loop().call_later(wait + TICK, self._serve)
                return
            self._waiters.popleft()
            granted.set_result(self._begin(tokens))

    def _wait(self, tokens: int) -> float:
        """Seconds until a slot may begin as far as time decides; infinite while a release has to come first."""
        if self._open >= self.concurrency:
            return math.inf
        now = self._clock()
        wait = max(0.0, self._paused_until - now)
        if self.rpm is None and self.tpm is None:
            return wait
        while self._starts and self._starts[0].time <= now - WINDOW:
            over = self._starts.popleft()
            over.counts = False
            self._tokens -= over.tokens
        if self.rpm is not None and len(self._starts) >= self.rpm:
            wait = max(wait, self._starts[-self.rpm].time + WINDOW - now, TICK)
        if self.tpm is not None:
            left, excess = 0, self._tokens + tokens - self.tpm
            for start in self._starts:
                if left >= excess:
                    break
                left += start.tokens
                wait = max(wait, start.time + WINDOW - now, TICK)
        return wait
