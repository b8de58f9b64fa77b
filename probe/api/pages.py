"""Pages of long lists: an opaque cursor names where the next one begins, however much is added meanwhile."""

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, Query, Request

from probe.errors import RequestError

LARGEST = 2**63 - 1  # id of a row


@dataclass(frozen=True)
class Window:
    """What a page asks for: at most ``limit`` rows with ids below ``before`` (None: from the newest on)."""

    name: str
    limit: int
    before: int | None

    def page(self, rows: Sequence[tuple[int, dict[str, Any]]]) -> dict[str, Any]:
        """Return the page of ``limit + 1`` rows, given with their ids; the last tells only that there is more."""
        kept = rows[: self.limit]
        cursor = self._cursor(kept[-1][0]) if len(rows) > self.limit else None
        return {"items": [row for _, row in kept], "next_cursor": cursor}

    def _cursor(self, last: int) -> str:
        return base64.urlsafe_b64encode(f"{self.name}:{last}".encode()).decode().rstrip("=")


async def window(
    request: Request,
    limit: Annotated[int, Query(ge=1, le=500, description="How many at most.")] = 50,
    cursor: Annotated[
        str | None, Query(max_length=200, description="`next_cursor` of the page before; the newest come first.")
    ] = None,
) -> Window:
    """Return the page that a request asks for. Raises RequestError for a cursor of nothing, or of another list."""
    name = request.url.path.rpartition("/api/v1/")[2]
    return Window(name, limit, None if cursor is None else _read(cursor, name))


def _read(cursor: str, name: str) -> int:
    try:
        text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode("ascii")
    except (binascii.Error, ValueError):
        text = ""
    of, _, last = text.rpartition(":")
    if of != name or not last.isdecimal() or not 0 < int(last) <= LARGEST:
        raise RequestError("cursor: this is not a cursor of this list; take next_cursor of the page before, unchanged")
    return int(last)


Page = Annotated[Window, Depends(window)]
