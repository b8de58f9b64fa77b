"""Stored replies beside what was asked: a question's trials with instance, prompt and the reply as it came."""

import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from probe.asking.calls import Reply, UnreadableBodyError, bare, read_reply
from probe.asking.measures import POSITIONS
from probe.asking.posed import Posed, load
from probe.asking.presentation import TEMPLATE, Presentation, messages
from probe.preparing import unpack_document
from probe.store import queries
from probe.store import tables as t
from probe.store.work import instance_documents
from solvers import registry


@dataclass(frozen=True)
class Replied:
    """A trial of a model with what led to it. ``posed``: None where this program no longer has the family's version;
    ``call``: the last one, None where there was none; ``reply``: None where none came or it was pruned."""

    trial: t.Trial
    model: t.Model
    batch: t.Batch
    shard: t.Shard
    family: t.FamilyVersion
    block: t.Block
    mode: str
    presentation: Presentation
    key: str
    posed: Posed | None
    call: t.Call | None
    reply: Reply | None

    @property
    def facts(self) -> dict[str, Any]:
        """What was asked."""
        return {
            "family": self.family.name,
            "family_version": self.family.version,
            "size": self.block.size,
            "seed": self.block.seed,
            "index": self.block.number * POSITIONS + self.trial.position,
            "variant": self.block.variant,
            "modules": [name for name in self.block.modules.split("+") if name],
            "mode": self.mode,
            "key": self.key,
            "channel": self.presentation.channel,
            "sample": self.trial.sample,
        }

    @property
    def exact(self) -> Any:
        """The exact answer as a model would write it, as JSON."""
        assert self.posed is not None
        instance = self.posed.instance
        return self.posed.shape.write(self.posed.family.exact(instance, self.posed.mode), instance.names)

    @property
    def as_asked(self) -> bool:
        """Whether this program would ask with the same words."""
        return self.posed is not None and self.presentation.template == TEMPLATE

    @property
    def prompt(self) -> list[dict[str, str]]:
        """The messages that the model saw."""
        assert self.posed is not None
        return [dict(message) for message in messages(self.posed, self.presentation)]

    @property
    def tools(self) -> list[dict[str, Any]]:
        """The tool that the model had, if any."""
        assert self.posed is not None
        if self.presentation.form != "tool":
            return []
        function = {"name": "answer", "description": "Gives the answer.", "parameters": bare(self.posed.schema)}
        return [{"type": "function", "function": function}]


def replied(
    session: Session, batches: Sequence[int] | None, where: Mapping[str, str], *more: Any
) -> Iterator[list[Replied]]:
    """Yield the trials of models that meet the conditions, question by question and then shard by shard.

    Each list holds a shard's; those of one instance stand in consecutive lists. Memory holds a question's instances
    and a shard's replies. Raises RequestError for unknown keys in ``where``.
    """
    met = [t.Model.kind == "endpoint", *queries.conditions(batches, where), *more]
    shards = queries.joined(t.Shard.id, t.Question.id, t.Question.mode, t.Block.id).where(*met).distinct()
    block: tuple[int, str] | None = None
    posed: dict[int, tuple[str, Posed | None]] = {}
    for shard_id, _, mode, block_id in session.execute(shards.order_by(t.Question.id, t.Shard.id)).all():
        if block != (block_id, mode):
            block, posed = (block_id, mode), _posed(session, block_id, mode)
        entities = queries.joined(t.Trial, t.Model, t.Batch, t.Shard, t.FamilyVersion, t.Block, t.Presentation)
        found = entities.where(t.Shard.id == shard_id, *met).order_by(t.Trial.position, t.Trial.sample)
        calls = _calls(session, shard_id)
        out = []
        for trial, model, batch, shard, family, of, row in session.execute(found):
            how = Presentation(**{name: getattr(row, name) for name in Presentation.__dataclass_fields__})
            call = calls.get((trial.position, trial.sample))
            key, asked = posed[trial.position]
            rows = (trial, model, batch, shard, family, of)
            out.append(Replied(*rows, mode, how, key, asked, call, _reply(call, how)))
        session.expunge_all()
        yield out


def _posed(session: Session, block_id: int, mode: Any) -> dict[int, tuple[str, Posed | None]]:
    keys = {
        row[0]: row[1]
        for row in session.execute(select(t.Instance.position, t.Instance.key).where(t.Instance.block_id == block_id))
    }
    out: dict[int, tuple[str, Posed | None]] = {}
    for position, blob in instance_documents(session, block_id, 0, POSITIONS).items():
        document = unpack_document(blob)
        name = document["family"]
        known = name in registry.modules() and registry.get(name).version == document["version"]
        out[position] = (keys[position], load(document, mode) if known else None)
    return out


def _calls(session: Session, shard_id: int) -> dict[tuple[int, int], t.Call]:
    query = select(t.Call).where(t.Call.shard_id == shard_id).order_by(t.Call.number)
    return {(call.position, call.sample): call for call in session.scalars(query)}


def _reply(call: t.Call | None, how: Presentation) -> Reply | None:
    if call is None or call.raw is None:
        return None
    try:
        return read_reply(zlib.decompress(call.raw), how.form)
    except UnreadableBodyError:
        return None
