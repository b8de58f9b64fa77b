"""Write the next revision: ``python -m migrations "What changes"``."""

import sys
import tempfile
from pathlib import Path

from alembic import command

from migrations import revisions
from probe.store.sessions import Store


def main() -> None:
    """Migrate a new database to the latest revision, compare it with the tables, write what differs."""
    if len(sys.argv) != 2:
        sys.exit('usage: python -m migrations "What changes"')
    number = f"{len(revisions()) + 1:04d}"
    with tempfile.TemporaryDirectory() as folder:
        store = Store(f"sqlite:///{Path(folder, 'history.sqlite3')}")
        with store.migrating() as config:
            command.upgrade(config, "head")
            command.revision(config, sys.argv[1], autogenerate=True, rev_id=number)


if __name__ == "__main__":
    main()
