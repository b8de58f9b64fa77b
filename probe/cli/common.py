"""What commands share: the database, names in lists, printing."""

import json
import sys
from typing import TYPE_CHECKING, Any

from probe.errors import RequestError

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from probe.store.sessions import Store
    from probe.store.tables import Batch


def store() -> "Store":
    """Return the database that the settings name, made and migrated if need be."""
    from probe.settings import settings
    from probe.store.sessions import open_store

    return open_store(settings().database_url)


def names(text: str) -> tuple[str, ...]:
    """Return the names in a list parted by commas."""
    return tuple(part.strip() for part in text.split(",") if part.strip())


def pairs(values: list[str] | None) -> dict[str, str]:
    """Return ``key=value`` texts as a mapping. Raises RequestError."""
    out = {}
    for text in values or []:
        key, equals, value = text.partition("=")
        if not equals:
            raise RequestError(f"--where {text!r}: write key=value, such as family=knapsack")
        out[key.strip()] = value.strip()
    return out


def say(text: str) -> None:
    """Tell the user something that is not a result."""
    print(text, file=sys.stderr)


def print_json(value: Any) -> None:
    """Print one JSON object to stdout."""
    print(json.dumps(value, indent=2, ensure_ascii=False))


def plain_number(value: Any) -> int | float:
    """Return a whole number, or the decimal nearest to a fraction."""
    return int(value) if value == int(value) else float(value)


def find_batch(session: "Session", given: str) -> "Batch":
    """Return the batch of an id or a name. Raises RequestError."""
    from probe.store import queries

    return queries.find_batch(session, given)


def family_named(name: str) -> Any:
    """Return a family. Raises RequestError for an unknown name."""
    from solvers import registry

    try:
        return registry.get(name)
    except KeyError as error:
        raise RequestError(str(error.args[0])) from None
