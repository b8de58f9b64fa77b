"""Judging: from a reply to a verdict. An answer is scored by its own recomputed objective and by every constraint.

Raising `JUDGE_VERSION` is forced by a golden corpus whenever reading or checking changes what a stored reply scores.
"""

import json
from dataclasses import dataclass, replace
from decimal import Decimal
from fractions import Fraction
from typing import Any, Literal, get_args

from probe.asking.fitting import MOST_DIGITS
from probe.asking.posed import Posed
from probe.asking.reading import Reading, read
from solvers.problem import Check, Number, constraint_ids, examine
from solvers.procedure import Procedure, Written

JUDGE_VERSION = 1

Outcome = Literal[
    "transport_error",
    "no_reply",
    "cap_hit",
    "refusal",
    "unparsed",
    "malformed",
    "infeasible",
    "feasible",
    "optimal",
]
OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)
UNSCORED: tuple[Outcome, ...] = ("transport_error", "no_reply", "cap_hit")
FEASIBLE: tuple[Outcome, ...] = ("feasible", "optimal")
CAPPED = ("length", "max_tokens", "MAX_TOKENS")  # finish reasons that mean: cut off at the cap


@dataclass(frozen=True)
class Verdict:
    """A trial's outcome, its check of every constraint, objective and gap.

    ``answer``: the JSON text that was read. ``gap``: parts per million, None unless feasible with an objective.
    ``written``: what each component of a procedure's answer is, empty elsewhere. ``recalled``: it is what memory offers
    (variant `perturbed`; None elsewhere).
    """

    outcome: Outcome
    checks: tuple[Check, ...]
    answer: str | None = None
    objective: Number | None = None
    gap: int | None = None
    written: tuple[Written, ...] = ()
    recalled: bool | None = None
    repairs: tuple[str, ...] = ()
    error: str | None = None

    @property
    def scored(self) -> bool:
        """Whether the trial counts: it does unless the instrument failed."""
        return self.outcome not in UNSCORED

    @property
    def satisfied(self) -> int:
        """The number of satisfied constraints."""
        return sum(check.satisfied for check in self.checks)


def primal_gap(value: Number, optimum: Number) -> int:
    """Return the primal gap |z - z*| / max(|z|, |z*|) in parts per million, 0 … 1,000,000 (Berthold 2013, "Measuring
    the impact of primal heuristics"): 0 where both are equal, 1 where their signs differ."""
    z, best = Fraction(value), Fraction(optimum)
    if z == best:
        return 0
    if z * best <= 0:
        return 1_000_000
    return round(abs(z - best) / max(abs(z), abs(best)) * 1_000_000)


def exact_json(value: Any) -> str:
    """Return a read value as JSON text without loss: decimals digit by digit, other fractions as "p/q"."""
    if isinstance(value, dict):
        return "{" + ",".join(f"{json.dumps(k)}:{exact_json(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(map(exact_json, value)) + "]"
    if isinstance(value, Decimal):
        return _exact_decimal(value)
    if isinstance(value, Fraction):
        return str(value.numerator) if value.denominator == 1 else f'"{value.numerator}/{value.denominator}"'
    return json.dumps(value)


def _exact_decimal(value: Decimal) -> str:
    """Return a read decimal in a form that the reader takes again: it takes `MOST_DIGITS` digits and as large an
    exponent, so one with more decimals is written in quotes, as all decimals and an exponent."""
    sign, digits, exponent = value.as_tuple()
    if not isinstance(exponent, int):
        raise ValueError(f"{value} is not finite")
    if exponent > -MOST_DIGITS:
        return f"{value:f}"
    decimals = "".join(map(str, digits)).rjust(MOST_DIGITS, "0")
    return f'"{"-" * sign}.{decimals}e{exponent + MOST_DIGITS}"'


def failed(posed: Posed, outcome: Outcome, error: str | None = None, repairs: tuple[str, ...] = ()) -> Verdict:
    """Return the verdict of a trial without an answer: no constraint is satisfied."""
    checks = tuple(
        Check(id_, c.kind, c.constraint_class, False, None)
        for id_, c in zip(constraint_ids(posed.constraints), posed.constraints, strict=True)
    )
    return Verdict(outcome, checks, error=error, repairs=repairs)


def judge_answer(posed: Posed, answer: Any, text: str | None = None, repairs: tuple[str, ...] = ()) -> Verdict:
    """Return the verdict of a parsed answer."""
    checks = tuple(examine(posed.constraints, answer))
    instance, objective, family = posed.instance, posed.objective, posed.family
    written = tuple(family.written(instance, posed.mode, answer)) if isinstance(family, Procedure) else ()
    verdict = Verdict(
        "infeasible",
        checks,
        text,
        written=written,
        recalled=family.recalled(instance, posed.mode, answer),
        repairs=repairs,
    )
    if not all(check.satisfied for check in checks):
        return verdict
    if objective is None or instance.optimum is None:
        return replace(verdict, outcome="feasible")
    value = objective.of(answer)
    best = abs(Fraction(value) - Fraction(instance.optimum)) <= objective.tolerance
    gap = 0 if best else primal_gap(value, instance.optimum)
    return replace(verdict, outcome="optimal" if best else "feasible", objective=value, gap=gap)


def judge_reading(posed: Posed, reading: Reading, capped: bool) -> Verdict:
    """Return the verdict of what was read in a reply; ``capped``: the endpoint cut the reply off at its cap.

    A complete answer counts even where the reply was cut after it; without one, or where a later answer was being
    written, the cap is to blame and not the model.
    """
    if capped and "truncated_candidate" in reading.repairs:
        return failed(posed, "cap_hit", "a later answer was cut off", reading.repairs)
    if reading.status == "read":
        repairs = (*reading.repairs, "cut_after_answer") if capped else reading.repairs
        answer = posed.shape.parse(reading.value, posed.instance.names)
        return judge_answer(posed, answer, exact_json(reading.value), repairs)
    if capped:
        return failed(posed, "cap_hit", reading.error, reading.repairs)
    outcome: dict[str, Outcome] = {
        "empty": "no_reply",
        "refusal": "refusal",
        "unparsed": "unparsed",
        "malformed": "malformed",
    }
    return failed(posed, outcome[reading.status], reading.error, reading.repairs)


def judge_reply(posed: Posed, text: str, finish_reason: str | None) -> Verdict:
    """Return the verdict of a reply's text."""
    return judge_reading(posed, read(text, posed.schema), finish_reason in CAPPED)


def judge_stored(posed: Posed, outcome: Outcome, answer: str | None) -> Verdict:
    """Return the verdict of a stored trial from the answer that was read then (its raw reply may be pruned)."""
    if answer is None:
        return failed(posed, outcome)
    return judge_reading(posed, read(answer, posed.schema), capped=False)
