"""Rows with typed columns, written as parquet or CSV page by page."""

import csv
import io
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal

from probe.errors import RequestError
from probe.results.files import replacing

ENDINGS = (".parquet", ".csv")
FORMULA = ("=", "+", "-", "@", "\t", "\n")  # what a spreadsheet takes for the start of a formula
Type = Literal["text", "whole", "number", "flag"]
Page = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Column:
    """A column: its name, type and meaning. ``foreign``: its texts were written by a model, an endpoint or a user."""

    name: str
    type: Type
    about: str
    foreign: bool = False


def write_rows(file: Path, columns: Sequence[Column], pages: Iterable[Page]) -> int:
    """Write pages of rows (values by column; None: not known) and return how many rows there were.

    The file's ending says how. Raises RequestError for another one, for one that can't be written, and for parquet
    without pyarrow.
    """
    if file.suffix not in ENDINGS:
        raise RequestError(f"--output {file}: the name must end with {' or '.join(ENDINGS)}")
    arrow = _arrow() if file.suffix == ".parquet" else None
    with replacing(file) as target:
        return _parquet(arrow, target, columns, pages) if arrow else _csv(target, columns, pages)


def _arrow() -> Any:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise RequestError(
            "parquet needs pyarrow: pip install 'solver-probe[export]'; or write to a file that ends with .csv"
        ) from None
    return pyarrow


def _parquet(arrow: Any, target: IO[bytes], columns: Sequence[Column], pages: Iterable[Page]) -> int:
    types = {"text": arrow.string(), "whole": arrow.int64(), "number": arrow.float64(), "flag": arrow.bool_()}
    schema = arrow.schema([arrow.field(c.name, types[c.type], metadata={"about": c.about}) for c in columns])
    rows = 0
    with arrow.parquet.ParquetWriter(target, schema, compression="zstd") as writer:
        for page in pages:
            table = {c.name: [row[c.name] for row in page] for c in columns}
            writer.write_table(arrow.table(table, schema=schema))
            rows += len(page)
    return rows


def _csv(target: IO[bytes], columns: Sequence[Column], pages: Iterable[Page]) -> int:
    rows = 0
    text = io.TextIOWrapper(target, encoding="utf-8", newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([c.name for c in columns])
    for page in pages:
        writer.writerows([_plain(row[c.name], c.foreign) for c in columns] for row in page)
        rows += len(page)
    text.flush()
    text.detach()
    return rows


def _plain(value: Any, foreign: bool) -> Any:
    """Return a value as CSV has it: a foreign text that a spreadsheet would run gets an apostrophe in front (OWASP,
    "CSV Injection")."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if foreign and isinstance(value, str):
        value = re.sub("\r\n?", "\n", value).replace("\0", "\ufffd")  # csv writes a bare \r without quotes
        return f"'{value}" if value.startswith(FORMULA) else value
    return value


def documented(columns: Iterable[Column]) -> Iterator[str]:
    """Yield the lines of a markdown table of columns."""
    yield "| column | type | what it is |"
    yield "|---|---|---|"
    for c in columns:
        yield f"| `{c.name}` | {c.type} | {c.about} |"
