"""Notes: what a reader of a table must know and can't see in its rows."""

from collections.abc import Iterable, Sequence

import numpy as np

from probe.results.columns import Catalogue
from probe.results.counting import STATES, Mask, Tallies


def about(known: Catalogue, tallies: Tallies, models: Mask, canaries: int, by: Sequence[str]) -> list[str]:
    """Return what is true of any table over some shards; ``models``: which of them are a model's.

    ``canaries``: how many shards of canaries were left out.
    """
    of, notes = tallies.shards, []
    if unfinished := int((models & ~tallies.done).sum()):
        states = ", ".join(sorted(STATES[i] for i in np.unique(of.state[models & ~tallies.done])))
        notes.append(
            f"{unfinished} of {int(models.sum())} shards have no results ({states}): this table lacks their trials."
        )
    if canaries:
        notes.append(f"{canaries} shards of canaries, the same few instances every night, are left out.")
    batches = known.batches.some(of.batch[models])
    if topped := sorted(batch.name for batch in batches if _topped_up(batch.notes)):
        notes.append(
            f"Topped up: {', '.join(topped)} (instances were added until intervals were narrow, whatever the rates)."
        )
    done = of.only(tallies.done)
    questions = known.questions.some(done.question)
    families = sorted({row.family for row in questions})
    if len(families) > 1 and "family" not in by:
        notes.append(f"Rows pool up to {len(families)} families: intervals speak of these families, not of others.")
    for name, ids in gathered((row.name, row.id) for row in known.models.some(done.model)).items():
        if len(ids) > 1:
            notes.append(f"{len(ids)} models have borne the name {name}: its rows pool them.")
    for name, versions in gathered({(row.family, row.version) for row in questions}).items():
        if len(versions) > 1:
            notes.append(f"Versions {', '.join(map(str, sorted(versions)))} of {name} are pooled.")
    return notes


def _topped_up(notes: object) -> bool:
    from probe.submitting import FORMER

    return isinstance(notes, dict) and FORMER in notes


def gathered(pairs: Iterable[tuple[str, int]]) -> dict[str, set[int]]:
    """Return name -> what belongs to it, names in order."""
    out: dict[str, set[int]] = {}
    for name, value in sorted(pairs):
        out.setdefault(name, set()).add(value)
    return out
