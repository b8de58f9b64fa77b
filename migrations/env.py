"""Run by Alembic: migrates the connection that the caller left in ``config.attributes``, in the caller's transaction.

On SQLite the connection's foreign keys must be off: Alembic changes a table by dropping and rebuilding it, and with
foreign keys on the drop deletes the rows of other tables that refer to it. They are checked afterwards instead.
"""

from alembic import context

from probe.store.tables import Table

connection = context.config.attributes["connection"]
sqlite = connection.dialect.name == "sqlite"
if sqlite and connection.exec_driver_sql("PRAGMA foreign_keys").scalar():
    raise RuntimeError("foreign keys are on: migrating this connection would delete rows")

context.configure(connection=connection, target_metadata=Table.metadata, render_as_batch=sqlite)
context.run_migrations()

if sqlite and (broken := connection.exec_driver_sql("PRAGMA foreign_key_check").all()):
    tables = ", ".join(sorted({row[0] for row in broken}))
    raise RuntimeError(f"the migration left {len(broken)} rows without the row they refer to, in {tables}")
