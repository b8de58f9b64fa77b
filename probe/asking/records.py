"""Records: a verdict as the database keeps it, compact and free of objects that only the judge needs."""

from collections import Counter
from dataclasses import dataclass

from probe.asking.judging import JUDGE_VERSION, Verdict
from probe.asking.measures import Counts, counts
from probe.asking.posed import Posed

LONGEST_ERROR = 500


@dataclass(frozen=True)
class KindResult:
    """A trial's results of one constraint kind; ``failed``: the numbers of the failed ones, joined by ","."""

    kind: str
    constraints: int
    satisfied: int
    failed: str


@dataclass(frozen=True)
class Record:
    """One trial as kept, and what it adds to its shard's tally."""

    position: int
    sample: int
    outcome: str
    answer: str | None
    repairs: str
    error: str | None
    constraints: int
    satisfied: int
    objective: str | None
    gap: int | None
    kinds: tuple[KindResult, ...]
    counts: Counts
    judge_version: int = JUDGE_VERSION


def _storable(error: str) -> str:
    """Return an error as any database takes it: it may quote a reply, which may hold NUL or half a surrogate pair."""
    return "".join(" " if c.isspace() else c if c.isprintable() else "\ufffd" for c in error[:LONGEST_ERROR])


def record(posed: Posed, position: int, sample: int, verdict: Verdict) -> Record:
    """Return the record of a verdict."""
    total = Counter(check.kind for check in verdict.checks)
    failed: dict[str, list[str]] = {kind: [] for kind in total}
    for check in verdict.checks:
        if not check.satisfied:
            failed[check.kind].append(check.id.rpartition(".")[2])
    return Record(
        position=position,
        sample=sample,
        outcome=verdict.outcome,
        answer=verdict.answer,
        repairs=",".join(verdict.repairs),
        error=_storable(verdict.error) if verdict.error else None,
        constraints=len(verdict.checks),
        satisfied=verdict.satisfied,
        objective=None if verdict.objective is None else str(verdict.objective),
        gap=verdict.gap,
        # Of an unscored trial no constraint counts.
        kinds=tuple(KindResult(k, n, n - len(failed[k]), ",".join(failed[k])) for k, n in total.items())
        if verdict.scored
        else (),
        counts=counts(posed, verdict),
    )
