"""Counting: which shards a table speaks of, and their tallies added up, without a look at single trials.

Everything is an array over shards. A tally's matrix is read only as far as the measures that are wanted reach: those
that most tables want stand first in it (`probe.asking.measures.FIRST`).
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Select, case, func, select
from sqlalchemy.orm import Session

from probe.asking.judging import UNSCORED
from probe.asking.measures import FIRST, POSITIONS
from probe.errors import RequestError
from probe.results.columns import BY, COLUMNS, SPLITS, Catalogue, Labels, kept
from probe.store.sessions import in_groups
from probe.store.tables import Shard, Tally

Array = NDArray[Any]  # (…, POSITIONS, 2) where it is a measure's counts n and y
Mask = NDArray[np.bool_]

MEASURES = {  # what --measure takes: the tally's measure behind it
    "satisfaction_micro": "constraints",
    "satisfaction_macro": "constraints",
    "satisfaction_given_wellformed": "wellformed",
    "feasible": "feasible",
    "feasible_core": "feasible_core",
    "optimal": "optimal",
}
SATISFACTION = ("satisfaction_micro", "satisfaction_macro")  # what is defined for a part of the constraints
ANSWERS = ("feasible", "feasible_core", "optimal")  # of which each trial is one
IN_MEMORY = 2_000  # packed tallies held at once
MAPPED = 1 << 31  # bytes of an SQLite file that are read in place
SCAN = 4  # from a quarter of all tallies on they are read in passing, not one by one
MEASURE_BYTES = POSITIONS * 2 * 4  # of a measure in a packed matrix
_SHARD, _TALLY = Shard.__table__.c, Tally.__table__.c  # without what the ORM adds to each row
STATES = ("pending", "complete", "failed", "cancelled")
INDEX = {"models": "model", "presentations": "presentation", "batches": "batch", "questions": "question"}


@dataclass(frozen=True)
class Shards:
    """Shards as arrays, in order of id; batch and presentation are 0 for a baseline's. ``state``: of `STATES`."""

    id: Labels
    batch: Labels
    model: Labels
    presentation: Labels
    question: Labels
    first: Labels
    last: Labels
    state: Labels

    def only(self, rows: Array) -> "Shards":
        """Return some of the shards, by a mask or by numbers in order."""
        return Shards(*(getattr(self, name)[rows] for name in self.__dataclass_fields__))

    def __len__(self) -> int:
        return self.id.size


def shards(session: Session, batch: int | None = None) -> Shards:
    """Return all shards, or those of a batch and of the baselines."""
    columns = [_SHARD.id, func.coalesce(_SHARD.batch_id, 0), _SHARD.model_id, func.coalesce(_SHARD.presentation_id, 0)]
    state = case(*((_SHARD.state == name, i) for i, name in enumerate(STATES)))
    query = select(*columns, _SHARD.question_id, _SHARD.first, _SHARD.last, state)
    if batch is not None:
        query = query.where((_SHARD.batch_id == batch) | _SHARD.batch_id.is_(None))
    rows = session.connection().execute(query).all()
    table = np.fromiter(chain.from_iterable(rows), np.intp, 8 * len(rows)).reshape(-1, 8)
    return Shards(*np.ascontiguousarray(table[np.argsort(table[:, 0])].T))


def holding(known: Catalogue, every: Shards, where: Mapping[str, str]) -> Mask:
    """Return which shards meet all conditions; those on answers leave baselines in. Raises RequestError."""
    out = np.ones(len(every), bool)
    for name, text in where.items():
        rows = kept(known, name, text)
        table = COLUMNS[name].of
        found = rows[known.of(name).places(getattr(every, INDEX[table]))]
        out &= found if table == "questions" else found | (every.batch == 0)
    return out


def selected(session: Session, known: Catalogue, where: Mapping[str, str], batch: int | None) -> tuple[Shards, int]:
    """Return the shards that a table speaks of, and how many of canaries are left out.

    Canaries, the same few instances every night, are left out unless batches are named. Raises RequestError.
    """
    every = shards(session, batch)
    every = every.only(holding(known, every, where))
    if batch is not None or "batch" in where:
        return every, 0
    canary = np.array([row is not None and bool(row.canary) for row in known.batches.rows])
    left_out = canary[known.batches.places(every.batch)]
    return every.only(~left_out), int(left_out.sum())


def values(known: Catalogue, of: Shards, name: str) -> tuple[list[Any], Labels]:
    """Return the values that a column has, and by shard which of them."""
    facts, column = known.of(name), COLUMNS[name]
    distinct: dict[Any, int] = {}
    codes = np.array([distinct.setdefault(value, len(distinct)) for value in facts.values(column)], np.intp)
    return list(distinct), codes[facts.places(getattr(of, INDEX[column.of]))]


def grouped(known: Catalogue, of: Shards, names: Sequence[str]) -> list[tuple[tuple[Any, ...], Labels]]:
    """Return (values of the columns, numbers of the shards that have them) for each combination that there is."""
    found = [values(known, of, name) for name in names]
    groups, labels = combined([codes for _, codes in found], len(of))
    order = np.argsort(labels, kind="stable")
    parts = np.split(order, np.cumsum(np.bincount(labels, minlength=len(groups)))[:-1]) if len(groups) else []
    return [
        (tuple(v[i] for (v, _), i in zip(found, key, strict=True)), part)
        for key, part in zip(groups, parts, strict=True)
    ]


def combined(codes: Sequence[Labels], size: int) -> tuple[Array, Labels]:
    """Return the distinct combinations of labels (combinations, labels), and by element which it has."""
    label, groups = np.zeros(size, np.intp), np.zeros((min(size, 1), 0), np.intp)
    for code in codes:
        top = int(code.max(initial=0)) + 1
        pairs, label = np.unique(label * top + code, return_inverse=True)
        groups = np.column_stack([groups[pairs // top], pairs % top])
    return groups, label


def asked(known: Catalogue, of: Shards) -> Mask:
    """Return by question (in the catalogue's order) the positions that shards ask, (questions, POSITIONS)."""
    out = np.zeros((len(known.questions.rows), POSITIONS), bool)
    place = known.questions.places(of.question)
    for code in np.unique((place * (POSITIONS + 1) + of.first) * (POSITIONS + 1) + of.last).tolist():
        rest, last = divmod(code, POSITIONS + 1)
        question, first = divmod(rest, POSITIONS + 1)
        out[question, first:last] = True
    return out


@dataclass(frozen=True)
class Split:
    """What rows are split by, and which constraints they count: the parts that are wanted, None for all.

    ``shown``: each part has a row of its own; else they are counted together.
    """

    name: str
    wanted: frozenset[str] | None
    shown: bool

    def parts(self, measures: Iterable[str]) -> dict[str, list[str]]:
        """Return the rows' names with the tallies' measures that each counts."""
        start = SPLITS[self.name]
        names = sorted(m.removeprefix(start) for m in measures if m.startswith(start))
        found = [name for name in names if self.wanted is None or name in self.wanted]
        if self.shown:
            return {name: [start + name] for name in found}
        return {"": [start + name for name in found]} if found else {}


def columns_of(
    by: Sequence[str], where: Mapping[str, str], measure: str
) -> tuple[tuple[str, ...], dict[str, str], Split | None]:
    """Return plain columns, plain conditions, and what constraints are split by. Raises RequestError."""
    if unknown := [name for name in by if name not in BY]:
        raise RequestError(f"by: unknown {', '.join(unknown)}; one or more of {', '.join(BY)}")
    if len(set(by)) < len(by):
        raise RequestError(f"by: {', '.join(by)} names a column twice")
    if measure not in MEASURES:
        raise RequestError(f"measure: unknown {measure!r}; one of {', '.join(MEASURES)}")
    splits = list(dict.fromkeys(name for name in (*by, *where) if name in SPLITS))
    if len(splits) > 1:
        raise RequestError("by: constraint_kind and constraint_class can't be split by at once")
    plain = {name: text for name, text in where.items() if name not in SPLITS}
    if not splits:
        return tuple(by), plain, None
    if measure not in SATISFACTION:
        raise RequestError(f"measure: {measure} is not defined by {splits[0]}; {' and '.join(SATISFACTION)} are")
    text = where.get(splits[0])
    wanted = None if text is None else frozenset(part.strip() for part in text.split(","))
    return tuple(name for name in by if name not in SPLITS), plain, Split(splits[0], wanted, splits[0] in by)


# --- tallies ----------------------------------------------------------------------------------------------------------


def added(counts: Array, labels: Labels, size: int) -> Array:
    """Add counts (rows, …) by label, (size, …)."""
    out = np.zeros((size, *counts.shape[1:]), np.int64 if counts.dtype.kind == "i" else counts.dtype)
    order = np.argsort(labels, kind="stable")
    labels = labels[order]
    starts = np.flatnonzero(np.diff(labels, prepend=-1))
    rank = np.arange(labels.size) - np.repeat(starts, np.diff(starts, append=labels.size))
    for i in range(int(rank.max(initial=-1)) + 1):  # in each round a label comes once; faster than np.add.at
        now = rank == i
        out[labels[now]] += counts[order[now]]
    return out


@dataclass(frozen=True)
class Tallies:
    """What shards left, for the measures that were wanted.

    ``done``: which shards left a tally. ``places``: by measure and shard the number of its counts among ``counts`` of
    the measure, -1 where the shard has none.
    """

    shards: Shards
    done: Mask
    versions: set[int]  # of the judge
    places: dict[str, Labels]
    counts: dict[str, Array]

    def added(self, measure: str, rows: Labels, labels: Labels, size: int) -> Array:
        """Add a measure of some shards by label, (size, POSITIONS, 2)."""
        if measure not in self.counts:
            return np.zeros((size, POSITIONS, 2), np.int64)
        place = self.places[measure][rows]
        have = place >= 0
        return added(self.counts[measure][place[have]], labels[have], size)

    def summed(self, measures: Iterable[str], rows: Labels, labels: Labels, size: int) -> Array:
        """Add some measures of some shards by label, (size, POSITIONS, 2)."""
        out = np.zeros((size, POSITIONS, 2), np.int64)
        for measure in measures:
            out += self.added(measure, rows, labels, size)
        return out

    def trials(self, rows: Labels, labels: Labels, size: int) -> tuple[Array, Array]:
        """Return how many trials of some shards there are by label, and how many of them are scored."""
        found = [self.added(f"outcome:{outcome}", rows, labels, size) for outcome in UNSCORED]
        return found[0][..., 0], found[0][..., 0] - sum(counts[..., 1] for counts in found)

    def having(self, measure: str) -> Mask:
        """Return which shards counted a measure."""
        return self.places[measure] >= 0 if measure in self.places else np.zeros(len(self.shards), bool)


def read(session: Session, of: Shards, wanted: Callable[[str], bool], total: int) -> Tallies:
    """Read the tallies of shards, those measures that are wanted; ``total``: how many tallies there are about."""
    reach = _reach(wanted)
    done, versions = np.zeros(len(of), bool), set[int]()
    pieces: dict[str, list[tuple[Labels, Array]]] = {}
    short: list[int] = []  # shards whose tally reaches further
    lists: dict[str, tuple[list[str], list[int]]] = {}

    def take(rows: Iterable[Any], whole: bool) -> None:
        by_list: dict[str, tuple[list[int], list[bytes]]] = {}
        for shard, version, names, packed_matrix in rows:
            versions.add(version)
            ids, packed = by_list.setdefault(names, ([], []))
            ids.append(shard)
            packed.append(packed_matrix or b"")  # SQLite: the part of an empty blob is NULL
        for names, (ids, packed) in by_list.items():
            if names not in lists:
                found = [(i, name) for i, name in enumerate(names.split("\n")) if wanted(name)]
                lists[names] = [name for _, name in found], [i for i, _ in found]
            listed, at = lists[names]
            place = np.searchsorted(of.id, ids)
            done[place] = True
            matrix = np.frombuffer(b"".join(packed), "<i4").reshape(len(ids), -1, POSITIONS, 2)
            if not whole and at and at[-1] >= matrix.shape[1]:
                short.extend(ids)  # an older tally, in another order
                continue
            for name, i in zip(listed, at, strict=True):
                pieces.setdefault(name, []).append((place, matrix[:, i].copy()))

    for rows in _rows(session, of, reach, len(of) * SCAN > total):
        take(rows, reach is None)
    if short:
        late = of.only(np.searchsorted(of.id, np.sort(np.array(short, np.intp))))
        for rows in _rows(session, late, None, len(late) * SCAN > total):
            take(rows, True)
    places, counts = {}, {}
    for name, found in pieces.items():
        places[name] = np.full(len(of), -1, np.intp)
        order = np.concatenate([place for place, _ in found])
        places[name][order] = np.arange(order.size)
        counts[name] = np.concatenate([matrix for _, matrix in found])
    return Tallies(of, done, versions, places, counts)


def _reach(wanted: Callable[[str], bool]) -> int | None:
    """Return how many measures of a matrix have to be read, None for all."""
    if wanted("kind:") or wanted("class:"):
        return None
    return max((i + 1 for i, name in enumerate(FIRST) if wanted(name)), default=1)


def _rows(session: Session, of: Shards, reach: int | None, scan: bool) -> Iterable[Sequence[Any]]:
    """Yield (shard, judge version, measures, matrix as far as wanted) of the tallies that there are, some at once."""
    if not len(of):
        return
    matrix = _TALLY.matrix if reach is None else func.substr(_TALLY.matrix, 1, reach * MEASURE_BYTES)
    query: Select[Any] = select(_TALLY.shard_id, _TALLY.judge_version, _TALLY.measures, matrix)
    connection = session.connection()
    if not scan:
        for some in in_groups(of.id.tolist()):
            yield connection.execute(query.where(_TALLY.shard_id.in_(some))).all()
        return
    if connection.dialect.name == "sqlite":  # read in place: half the time
        connection.exec_driver_sql(f"PRAGMA mmap_size={MAPPED}")
    ids = set(of.id.tolist())
    between = query.where(_TALLY.shard_id.between(int(of.id[0]), int(of.id[-1])))
    everything = len(ids) == of.id[-1] - of.id[0] + 1
    for rows in connection.execute(between, execution_options={"yield_per": IN_MEMORY}).partitions():
        yield rows if everything else [row for row in rows if row[0] in ids]
