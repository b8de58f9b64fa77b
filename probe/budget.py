"""Budgets: calls, tokens and money that a batch may use. The worst case is reserved before a call, settled after it."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from probe.store.work import Spent

Prices = tuple[float, float]  # USD per million prompt tokens, per million answer tokens
ROUNDING = 1e-9  # USD by which sums of prices may be off: three times 0.1 adds up to more than 0.3


@dataclass(frozen=True)
class Use:
    """Calls, tokens and USD, reserved or used."""

    calls: int
    tokens: int
    cost: float

    def __add__(self, other: "Use") -> "Use":
        return Use(self.calls + other.calls, self.tokens + other.tokens, self.cost + other.cost)

    def __sub__(self, other: "Use") -> "Use":
        return Use(self.calls - other.calls, self.tokens - other.tokens, self.cost - other.cost)


def use(calls: int, prompt_tokens: int, answer_tokens: int, prices: Prices | None) -> Use:
    """Return what calls use; they cost nothing where there is no price (a limit of cost demands one)."""
    cost = (prompt_tokens * prices[0] + answer_tokens * prices[1]) / 1e6 if prices else 0.0
    return Use(calls, prompt_tokens + answer_tokens, cost)


class Budget:
    """The limits of a batch (None: no limit), what is used and what is reserved of them, in one event loop."""

    def __init__(self, max_calls: int | None, max_tokens: int | None, max_cost: float | None, spent: Spent) -> None:
        self.limits = (max_calls, max_tokens, max_cost)
        self.used = _use(spent)
        self.settled = self.committed = Use(0, 0, 0.0)  # of this process's calls
        self.reserved = Use(0, 0, 0.0)
        self.reached = False
        self._waiting: list[asyncio.Future[None]] = []

    def fits(self, more: Use) -> bool:
        """Return whether the limits have room for ``more`` beside what is used and reserved."""
        total = self.used + self.reserved + more
        amounts = (total.calls, total.tokens, total.cost - ROUNDING)
        return all(limit is None or amount <= limit for amount, limit in zip(amounts, self.limits, strict=True))

    async def reserve(self, worst: Use, stop: asyncio.Event) -> bool:
        """Reserve the worst case of one call; False where the budget is reached or the run stops.

        While other calls are open their settling may make room, so this waits for them.
        """
        while not self.fits(worst):
            if stop.is_set():
                return False
            if self.reserved.calls == 0:
                self.reached = True
                return False
            settled: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.append(settled)
            await settled
        self.reserved += worst
        return True

    def settle(self, worst: Use, actual: Use) -> None:
        """Put what a call used in the place of what was reserved for it."""
        self.reserved -= worst
        self.used += actual
        self.settled += actual
        waiting, self._waiting = self._waiting, []
        for settled in waiting:
            if not settled.done():
                settled.set_result(None)

    def learn(self, total: Spent, mine: Use) -> None:
        """Take over what the database has counted, ``mine`` of it just now by this process: others may ask too."""
        self.committed += mine
        self.used = _use(total) - self.committed + self.settled


def _use(spent: Spent) -> Use:
    return Use(spent.calls, spent.tokens, spent.cost or 0.0)


class Charge:
    """What one call holds of the budget: a worst case for each attempt, the first of them reserved already."""

    def __init__(self, budget: Budget, worst: Use) -> None:
        self.budget, self.worst, self.held, self.attempts = budget, worst, worst, 0

    def another(self) -> bool:
        """Make room for the next attempt; False where the budget has none for a repeated one."""
        self.attempts += 1
        if self.attempts > 1:
            if not self.budget.fits(self.worst):
                self.budget.reached = True
                return False
            self.budget.reserved += self.worst
            self.held += self.worst
        return True

    def settle(self, tokens: Sequence[tuple[int, int]], prices: Prices | None) -> None:
        """Replace what is held by what the attempts used, given as (prompt, answer) tokens of each."""
        actual = Use(0, 0, 0.0)
        for prompt, answer in tokens:
            actual += use(1, prompt, answer, prices)
        self.budget.settle(self.held, actual)


def used_by(attempt: tuple[str, int | None, int | None], prompt: int, answer: int) -> tuple[int, int]:
    """Return the prompt and answer tokens that an attempt, given as (kind, prompt, answer), is charged with.

    A throttled attempt used none; one whose use is unknown counts as the worst case.
    """
    kind, used_prompt, used_answer = attempt
    if kind == "throttle":
        return 0, 0
    if used_prompt is None or used_answer is None:
        return prompt, answer
    return used_prompt, used_answer
