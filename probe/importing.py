"""Importing: problems of public files, stored with their proven answers in a block of their own."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from probe.asking.measures import POSITIONS
from probe.batches import Asked
from probe.errors import RequestError
from probe.preparing import BlockWork, Prepared, pack_document
from probe.store import preparations
from probe.store.sessions import Store
from probe.store.tables import Block, Question
from probe.submitting import question
from solvers.problem import Family

LARGEST_FILE = 20_000_000  # bytes


@dataclass(frozen=True)
class Imported:
    """What became of the problems: (name, position) of those stored, (name, reason) of those left out."""

    stored: list[tuple[str, int]]
    left_out: list[tuple[str, str]]


def problems_of(family: Family[Any, Any], file: Path, format_: str | None) -> Sequence[Any]:
    """Return the data of each problem in a file. Raises RequestError naming the line of what is wrong."""
    if not family.formats:
        raise RequestError(f"{family.name}: no public format is known for it")
    if format_ is None and len(family.formats) > 1:
        raise RequestError(f"--format: name one of {', '.join(family.formats)}")
    read = family.formats.get(format_ or next(iter(family.formats)))
    if read is None:
        raise RequestError(f"--format {format_!r}: {family.name} reads {', '.join(family.formats)}")
    try:
        if file.stat().st_size > LARGEST_FILE:
            raise RequestError(f"{file}: larger than {LARGEST_FILE // 10**6} MB")
        text = file.read_text(encoding="utf-8")
    except OSError as error:
        raise RequestError(f"{file}: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise RequestError(f"{file}: not a UTF-8 text file") from None
    try:
        found = read(text)
    except ValueError as error:
        raise RequestError(f"{file}: {error}") from None
    return found if isinstance(found, tuple) else (found,)


def import_problems(
    store: Store, family: Family[Any, Any], problems: Sequence[tuple[str, Any]], size: str, seed: int
) -> Imported:
    """Solve problems and store those that are proven, behind those that are there; the others are left out."""
    with store.writing() as session:
        block_id, first = _block(session, family, size, seed)
    stored: list[tuple[str, int]] = []
    left_out: list[tuple[str, str]] = []
    rows: list[tuple[int, str, bool | None, bytes]] = []
    for name, d in problems:
        position = first + len(rows)
        if position >= POSITIONS:
            left_out.append((name, f"{POSITIONS} are imported under this size and seed; take another --seed"))
            continue
        found = family.imported(d, size, seed, position)
        if isinstance(found, str):
            left_out.append((name, found))
            continue
        rows.append((position, found.key, found.greedy_fails, pack_document(family.dump(found))))
        stored.append((name, position))
    if rows:
        last = first + len(rows)
        span = BlockWork(block_id, family.name, size, (), "imported", seed, 0, first, last)
        knobs = family.sizes[size].plain()
        with store.writing() as session:
            if not preparations.save_block(session, Prepared(span, tuple(rows), {}, {}, knobs, 0.0)):
                raise RequestError("--seed: another process imported under it meanwhile; try again")
    return Imported(stored, left_out)


def _block(session: Any, family: Family[Any, Any], size: str, seed: int) -> tuple[int, int]:
    """Return the block of imported problems and the first position that is free."""
    asked = Asked(family.name, size, "imported", (), family.modes[0], seed, 0, 0, 1)
    block_id = session.get_one(Question, question(session, asked)).block_id
    return block_id, session.get_one(Block, block_id).prepared
