"""How many calls may be open at an endpoint, and how many requests and tokens may start there within a minute."""

import asyncio
import math
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from types import TracebackType

from probe.errors import RequestError

WINDOW = 60.0  # seconds; what "a minute" means in rpm and tpm
TICK = 0.001  # seconds; the least wait where there is one: what rounds to none would let a call in too early


@dataclass
class Ration:
    """Calls and tokens that this process may start at an endpoint until ``until`` (by the limits' clock)."""

    id: int
    requests: int
    tokens: int
    until: float


class _Start:
    """A call that started: when, how many tokens count for it, of which ration, and whether it still counts."""

    __slots__ = ("counts", "ration", "time", "tokens")

    def __init__(self, at: float, tokens: int, ration: int | None) -> None:
        self.time, self.tokens, self.ration, self.counts = at, tokens, ration, True


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
        self.most = concurrency  # that `grant` may give back later
        self.clock = clock
        self._open = 0
        self._paused_until = -math.inf
        self._starts: deque[_Start] = deque()  # the last minute's, oldest first; kept only under rpm or tpm
        self._tokens = 0  # sum over _starts
        self._waiters: deque[tuple[asyncio.Future[_Start | None], int]] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._rations: deque[Ration] | None = None  # None: these limits are nobody else's
        self._unused: dict[int, tuple[int, int]] = {}  # by ration: requests and tokens to be given back
        self.hungry = asyncio.Event()  # a call waits for a ration
        self._peak = 0
        self._troubled = False
        self._asked_until = -math.inf  # what the endpoint itself asked for since `troubles`

    @property
    def open(self) -> int:
        """How many slots are held."""
        return self._open

    def trouble(self, wait: float = 0.0) -> None:
        """The endpoint turned a call away, and asked to come later, or let it time out."""
        self._troubled = True
        self._asked_until = max(self._asked_until, self.clock() + wait)
        self.pause(wait)

    def troubles(self) -> tuple[bool, float]:
        """Return whether there was trouble since last time, and for how many seconds to wait by it."""
        found = self._troubled, max(0.0, self._asked_until - self.clock())
        self._troubled, self._asked_until = False, -math.inf
        return found

    def peak(self) -> int:
        """Return how many slots were held at most since last time."""
        peak, self._peak = self._peak, self._open
        return peak

    def share(self) -> None:
        """Let slots begin only on rations from now on: other processes ask at the same endpoint."""
        self._rations = deque()

    def grant(self, slots: int) -> None:
        """Let so many slots be held at once; those above that which are held already go on."""
        self.concurrency = slots
        if self._waiters:
            self._serve()

    def feed(self, ration: Ration) -> None:
        """Let slots begin on a ration."""
        assert self._rations is not None
        self._rations.append(ration)
        self._serve()

    def demand(self) -> list[int]:
        """Return the tokens of the calls that wait, as far as slots are free, the first one first."""
        self.hungry.clear()
        free = max(0, self.concurrency - self._open)
        return [tokens for granted, tokens in islice(self._waiters, free) if not granted.cancelled()]

    def unused(self) -> dict[int, tuple[int, int]]:
        """Return what can be given back of rations, by ration, as (requests, tokens); it is said once."""
        self._drop_expired()
        unused, self._unused = self._unused, {}
        return unused

    def _drop_expired(self) -> None:
        while self._rations and (self._rations[0].until <= self.clock() or self._rations[0].requests == 0):
            over = self._rations.popleft()
            self._give_back(over.id, over.requests, over.tokens)

    def _give_back(self, ration: int, requests: int, tokens: int) -> None:
        if requests or tokens:
            before = self._unused.get(ration, (0, 0))
            self._unused[ration] = (before[0] + requests, before[1] + tokens)

    def _fitting(self, tokens: int) -> Ration | None:
        """Return a ration that a call of so many tokens can begin on."""
        self._drop_expired()
        return next((r for r in self._rations or () if r.requests and r.tokens >= tokens), None)

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
        self._paused_until = max(self._paused_until, self.clock() + seconds)

    def paused_for(self) -> float:
        """Seconds until the pause ends, 0 if there is none."""
        return max(0.0, self._paused_until - self.clock())

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
        if start is not None and used is not None:
            if start.ration is not None:
                self._give_back(start.ration, 0, start.tokens - used)
            if start.counts:
                self._tokens += used - start.tokens
            start.tokens = used
        if self._waiters:
            self._serve()

    def _begin(self, tokens: int) -> _Start | None:
        self._open += 1
        self._peak = max(self._peak, self._open)
        if self.rpm is None and self.tpm is None:
            return None
        ration = self._fitting(tokens) if self._rations is not None else None
        if ration is not None:
            ration.requests, ration.tokens = ration.requests - 1, ration.tokens - tokens
        start = _Start(self.clock(), tokens, ration.id if ration else None)
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
        now = self.clock()
        wait = max(0.0, self._paused_until - now)
        if self.rpm is None and self.tpm is None:
            return wait
        if self._rations is not None and wait == 0 and self._fitting(tokens) is None:
            self.hungry.set()
            return math.inf
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
