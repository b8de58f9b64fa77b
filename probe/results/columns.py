"""Columns: what a row of a table can be, and which answers a condition keeps.

A column is a fact of a model, a presentation, a batch or a question. These are few beside the shards, so they are read
whole and shards are told apart by numpy.
"""

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import select
from sqlalchemy.orm import Session

from probe.asking.baselines import BASELINES
from probe.errors import RequestError
from probe.store.tables import Batch, Block, FamilyVersion, Model, Presentation, Question, ScheduleRun
from solvers.problem import SIZES

Labels = NDArray[np.intp]

LARGEST = 2**63 - 1  # integer of the databases
SIZE_UNITS = ((10**12, "T"), (10**9, "B"), (10**6, "M"), (10**3, "K"))


def human_size(params: int) -> str:
    """Return a number of parameters in three digits: 135M, 1.54B, 7B."""
    for unit, name in SIZE_UNITS:
        if params >= unit * 0.9995:  # 999.6M is 1B
            return f"{params / unit:.3g}{name}"
    return str(params)


def decade(params: int | None) -> str | None:
    """Return the power of ten and the next one between which a size lies: 100M-1B."""
    if not params or params < 1:
        return None
    power = len(str(params)) - 1
    return f"{human_size(10**power)}-{human_size(10 ** (power + 1))}"


DECADES = [decade(10**power) for power in range(20)]


def manner(row: Any) -> str:
    """Return what a presentation is in words; what most are is not said: json, text examples=2 effort=low."""
    said = {
        "form": row.form if row.form == "json_object" else None,  # the channel implies the others
        "examples": row.examples or None,
        "coverage": row.coverage if row.examples and row.coverage != "joint" else None,
        "temperature": "default" if row.temperature is None else row.temperature or None,
        "effort": row.effort,
        "tokens": row.answer_tokens if row.answer_tokens != 1024 else None,
        "template": row.template if row.template != 1 else None,
    }
    parts = [
        f"{name}={value:g}" if isinstance(value, float) else f"{name}={value}" for name, value in said.items() if value
    ]
    return " ".join([row.channel, *(["warning"] if row.warning else []), *parts])


@dataclass(frozen=True)
class Column:
    """A fact of one of the tables of a `Catalogue`; ``kind``: the type of its values."""

    of: str
    value: Callable[[Any], Any]
    kind: type = str
    nullable: bool = True


def _fact(of: str, name: str, kind: type = str, nullable: bool = True) -> Column:
    return Column(of, lambda row: getattr(row, name), kind, nullable)


COLUMNS: dict[str, Column] = {
    "model": _fact("models", "name", nullable=False),
    "params": _fact("models", "params", int),
    "decade": Column("models", lambda row: decade(row.params)),
    "active_params": Column("models", lambda row: row.active_params or row.params, int),
    "layers": _fact("models", "layers", int),
    "depth": _fact("models", "layers", int),
    "width": _fact("models", "width", int),
    "training": _fact("models", "training"),
    "lineage": _fact("models", "lineage"),
    "reasoning": _fact("models", "reasoning", bool, nullable=False),
    "family": _fact("questions", "family", nullable=False),
    "kind": _fact("questions", "kind", nullable=False),
    "size": _fact("questions", "size", nullable=False),
    "variant": _fact("questions", "variant", nullable=False),
    "modules": _fact("questions", "modules", nullable=False),
    "seed": _fact("questions", "seed", int, nullable=False),
    "mode": _fact("questions", "mode", nullable=False),
    "presentation": _fact("presentations", "label", nullable=False),
    "channel": _fact("presentations", "channel", nullable=False),
    "form": _fact("presentations", "form", nullable=False),
    "examples": _fact("presentations", "examples", int, nullable=False),
    "coverage": _fact("presentations", "coverage", nullable=False),
    "warning": _fact("presentations", "warning", bool, nullable=False),
    "temperature": _fact("presentations", "temperature", float),
    "effort": _fact("presentations", "effort"),
    "answer_tokens": _fact("presentations", "answer_tokens", int, nullable=False),
    "batch": _fact("batches", "name", nullable=False),
    "night": _fact("batches", "night", nullable=False),
}
OF_ANSWERS = tuple(name for name, column in COLUMNS.items() if column.of != "questions")
SPLITS = {"constraint_kind": "kind:", "constraint_class": "class:"}
BY = (*COLUMNS, *SPLITS)


@dataclass(frozen=True)
class Facts:
    """A table's rows by id, in order of id; id 0, with row None, stands for none."""

    ids: Labels
    rows: Sequence[Any]

    def places(self, ids: Labels) -> Labels:
        """Return where the rows of some ids stand."""
        return np.searchsorted(self.ids, ids)

    def values(self, column: Column) -> list[Any]:
        """Return a column's value in every row; None where there is no row."""
        return [None if row is None else column.value(row) for row in self.rows]

    def some(self, ids: Labels) -> list[Any]:
        """Return the rows of some ids, each once, in order of id."""
        return [self.rows[place] for place in self.places(np.unique(ids)).tolist()]


@dataclass(frozen=True)
class Labelled:
    """A row with what the program adds to it."""

    row: Any
    more: Mapping[str, Any]

    def __getattr__(self, name: str) -> Any:
        return self.more[name] if name in self.more else getattr(self.row, name)


@dataclass(frozen=True)
class Catalogue:
    """What shards speak of.

    Numbers by question, in their order: ``blocks``, ``bases`` (the block before variants and modules), ``families``.
    """

    models: Facts
    presentations: Facts
    batches: Facts
    questions: Facts
    blocks: Labels
    bases: Labels
    families: Labels

    def of(self, name: str) -> Facts:
        """Return the table that a column is a fact of."""
        facts: Facts = getattr(self, COLUMNS[name].of)
        return facts


def catalogue(session: Session) -> Catalogue:
    """Read what shards speak of."""
    facts = "id name kind params active_params layers width training lineage reasoning"
    models = session.execute(select(*_columns(Model, facts)).order_by(Model.id)).all()
    how = "id digest channel form examples warning template temperature effort answer_tokens coverage"
    presentations = session.execute(select(*_columns(Presentation, how)).order_by(Presentation.id)).all()
    names = Counter(manner(row) for row in presentations)
    labelled = [
        Labelled(row, {"label": manner(row) if names[manner(row)] == 1 else f"{manner(row)} #{row.digest[:6]}"})
        for row in presentations
    ]
    due: dict[int | None, float] = {}
    for batch, canary, at in session.execute(select(ScheduleRun.batch_id, ScheduleRun.canary_id, ScheduleRun.due)):
        due |= {batch: at, canary: at}
    batches = session.execute(
        select(Batch.id, Batch.name, Batch.canary, Batch.created_at, Batch.notes).order_by(Batch.id)
    )
    dated = [Labelled(row, {"night": _night(due.get(row.id, row.created_at))}) for row in batches]
    questions = session.execute(
        select(
            Question.id,
            Question.mode,
            Question.block_id,
            FamilyVersion.name.label("family"),
            FamilyVersion.version,
            FamilyVersion.kind,
            *(getattr(Block, name) for name in ("size", "seed", "number", "variant", "modules")),
        )
        .join(Block, Question.block_id == Block.id)
        .join(FamilyVersion, Block.family_version_id == FamilyVersion.id)
        .order_by(Question.id)
    ).all()
    return Catalogue(
        models=_facts(models),
        presentations=_facts(labelled),
        batches=_facts(dated),
        questions=_facts(questions),
        blocks=numbered([(), *((*_base(row), row.variant, row.modules) for row in questions)]),
        bases=numbered([(), *map(_base, questions)]),
        families=numbered([(), *((row.family,) for row in questions)]),
    )


def numbered(keys: Sequence[tuple[Any, ...]]) -> Labels:
    """Return the keys as numbers 0, 1 … in their own order, so that sums come out alike in any database."""
    numbers = {key: i for i, key in enumerate(sorted(set(keys)))}
    return np.array([numbers[key] for key in keys], np.intp)


def _base(row: Any) -> tuple[Any, ...]:
    return row.family, row.version, row.size, row.seed, row.number


def _columns(table: Any, names: str) -> list[Any]:
    return [getattr(table, name) for name in names.split()]


def _facts(rows: Sequence[Any]) -> Facts:
    return Facts(np.array([0, *(row.id for row in rows)], np.intp), [None, *rows])


def _night(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d")


# --- conditions -------------------------------------------------------------------------------------------------------


def kept(known: Catalogue, name: str, text: str) -> NDArray[np.bool_]:
    """Return which rows of a column's table have one of the values, parted by commas. Raises RequestError."""
    if name not in COLUMNS:
        raise RequestError(f"where: unknown {name!r}; one of {', '.join(BY)}")
    column, texts = COLUMNS[name], [part.strip() for part in text.split(",")]
    if name == "model":
        names = {*known.models.values(column), *BASELINES}
        if unknown := [part for part in texts if part not in names]:
            raise RequestError(f"where: there is no model {', '.join(unknown)}; `probe models list` shows them")
    wanted = {value_of(name, part) for part in texts}
    rows = known.of(name).rows
    return np.array([row is not None and column.value(row) in wanted for row in rows], bool)


def value_of(name: str, text: str) -> Any:
    """Return a value, written as users write it, in the type of its column. Raises RequestError."""
    column = COLUMNS[name]
    if text == "none" and column.nullable:
        return None
    if name == "modules" and text == "none":
        return ""
    try:
        if column.kind is bool:
            return {"true": True, "yes": True, "false": False, "no": False}[text.lower()]
        if column.kind is int:
            return _whole(text)
        if column.kind is float and not math.isfinite(float(text)):
            raise ValueError(text)
        return column.kind(text)
    except (ValueError, KeyError, OverflowError):
        wanted = {bool: "true or false", int: "a whole number"}.get(column.kind, "a number")
        raise RequestError(f"where: {name}={text!r} is not {wanted}") from None


def _whole(text: str) -> int:
    """Return a whole number, also one written as 7e9. Raises ValueError or OverflowError."""
    try:
        value = int(text)
    except ValueError:
        value = int(float(text))
        if value != float(text):
            raise
    if abs(value) > LARGEST:
        raise OverflowError(text)
    return value


# --- order ------------------------------------------------------------------------------------------------------------


def order(name: str, value: Any, known: Catalogue) -> tuple[Any, ...]:
    """Return the sort key of a value: baselines before models, models by size, ladders in their order."""
    if name == "model":
        if value in BASELINES:
            return (0, BASELINES.index(value), value)
        sizes = [row.params for row in known.models.rows if row is not None and row.name == value]
        size = next((size for size in sizes if size is not None), None)
        return (1, size is None, size or 0, value)
    for column, ladder in (("size", SIZES), ("decade", DECADES)):
        if name == column and value in ladder:
            return (1, ladder.index(value), value)
    return (value is not None, value if isinstance(value, int | float) else 0, str(value))
