"""The history of the tables: Alembic revisions, numbered in the names of the files of `versions`, one after another.

    python -m migrations "What changes"

writes the next revision from the difference between the tables and the history; read it before you keep it.
"""

from pathlib import Path

FOLDER = Path(__file__).parent


def revisions() -> list[str]:
    """Return all revisions, oldest first, without importing Alembic (it costs each command 0.1 s)."""
    return sorted(file.name.partition("_")[0] for file in (FOLDER / "versions").glob("[0-9]*_*.py"))
