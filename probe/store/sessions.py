"""Sessions on the database, SQLite or PostgreSQL alike, and its failures in plain words."""

import os
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.orm import Session
from sqlalchemy.pool import NullPool

import migrations
from probe.errors import WorkError
from probe.store.tables import Table

if TYPE_CHECKING:
    from alembic.config import Config

DRIVERS = {"sqlite", "sqlite+pysqlite", "postgresql", "postgresql+psycopg"}
VERSION_TABLE = "alembic_version"
LOCK_SECONDS = 10  # how long SQLite waits for another process's write
CONNECT_SECONDS = 10
IDLE_SECONDS = 30  # that a writer may stand still in mid transaction: then PostgreSQL ends it, and frees its locks
KEEPALIVE = {"keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 3}  # a server's machine may vanish
MIGRATION_LOCK = 7_762_643  # PostgreSQL's advisory locks are numbers; any fixed one will do

FULL = "the disk or the quota is full; nothing was half written; free some space and run the same command again"
READ_ONLY = "it is read-only; make it writable, or name another database with PROBE_DATABASE_URL"
ELSEWHERE = "name another with PROBE_DATABASE_URL"
SQLITE_PROBLEMS = {  # by primary result code, https://sqlite.org/rescode.html
    5: f"it is locked: another process has been writing for {LOCK_SECONDS} s; end that one, or run this one again",
    8: READ_ONLY,
    10: "reading or writing the file failed: the disk is full, over quota or broken; nothing was half written; free"
    " some space and run the same command again",
    11: "the file is damaged; restore it from a copy",
    13: FULL,
    14: f"the file can't be opened or made; check its folder, or {ELSEWHERE}",
    26: f"the file is not a database; {ELSEWHERE}",
}
SQLITE_READ_ONLY = 8
POSTGRESQL_PROBLEMS = {  # by SQLSTATE, https://www.postgresql.org/docs/current/errcodes-appendix.html
    "25006": READ_ONLY,
    "40P01": "two processes waited for each other; nothing was half written; run the same command again",
    "42501": "its user may not do this; grant it the right to create and change tables (GRANT CREATE ON SCHEMA …)",
    "53100": FULL,
}
POSTGRESQL_READ_ONLY = "25006"


PATIENCE = 600.0  # seconds that a worker waits for a database that is away
FIRST_WAIT, LONGEST_WAIT = 0.1, 5.0  # seconds between two tries
PASSING_SQLITE = 5  # locked
PASSING_POSTGRESQL = (  # deadlock; it stood still; the server ends, crashed, is starting
    "40P01",
    "25P03",
    "57P01",
    "57P02",
    "57P03",
)
T = TypeVar("T")
AT_ONCE = 500  # ids named by one statement


class StoreError(WorkError):
    """The database can't be used: one line that says which, why, and the way out; passwords are not shown.

    ``passing``: it may work again by itself.
    """

    def __init__(self, message: str, passing: bool = False) -> None:
        super().__init__(message)
        self.passing = passing


class Store:
    """The database: one lazily made engine a process, made anew after a fork."""

    def __init__(self, url: str) -> None:
        """Take SQLAlchemy's URL of an SQLite file or a PostgreSQL database; nothing is opened yet."""
        self._url = _parsed(url)
        self._sqlite = self._url.get_backend_name() == "sqlite"
        self._engines: dict[int, sa.Engine] = {}  # by process; an inherited one is kept, since closing it would harm

    def __repr__(self) -> str:
        return f"Store({shown(self._url)})"

    @property
    def engine(self) -> sa.Engine:
        """This process's engine; a plain connection of it only reads on SQLite."""
        pid = os.getpid()
        if pid not in self._engines:
            self._engines[pid] = _sqlite_engine(self._url) if self._sqlite else _postgresql_engine(self._url)
        return self._engines[pid]

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """Give a session that sees one state of the database throughout and can't write."""
        options = {} if self._sqlite else {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
        with self._explained(writing=False), Session(self.engine.execution_options(**options)) as session:
            session.expire_on_commit = False
            if not self._sqlite:  # it holds no locks, and may be worked on for long
                session.execute(sa.text("SET LOCAL idle_in_transaction_session_timeout = 0"))
            yield session

    @contextmanager
    def writing(self) -> Iterator[Session]:
        """Give a session that commits at the end and rolls back on an error.

        SQLite: the database's only writer from the start (a read turned write would fail or lose updates).
        PostgreSQL: what is read to be changed needs ``with_for_update()``.
        """
        engine = self.engine.execution_options(sqlite_writes=True)
        with self._explained(), Session(engine, expire_on_commit=False) as session, session.begin():
            yield session

    def patiently(self, write: Callable[[Session, float], T], seconds: float = PATIENCE) -> T:
        """Run ``write(session, now)`` in one transaction, again and again while the database is away.

        So many seconds; then the StoreError is raised. ``write`` may run after a commit whose end nobody knows:
        ``session.info["again"]`` tells it that the connection was lost before.
        """
        again = False

        def transact() -> T:
            nonlocal again
            try:
                with self.writing() as session:
                    session.info["again"] = again
                    return write(session, self.now(session))
            finally:
                again = True

        return _while_passing(transact, seconds)

    def now(self, session: Session) -> float:
        """Return the database's time (see `database_time`)."""
        return database_time(session)

    def upgrade(self) -> None:
        """Make the database where there is none and migrate it to this program's tables; safe in several processes."""
        # Some of SQLite's locks are not waited for: another process makes the file.
        _while_passing(self._upgrade, LOCK_SECONDS if self._sqlite else 0.0)

    def _upgrade(self) -> None:
        self._make_folder()
        current = self._is_current()
        self._log_ahead()
        if current:
            return
        from alembic import command

        with self.migrating() as config:
            self._revision(config.attributes["connection"])  # another process may have been faster, and newer
            command.upgrade(config, "head")

    def check(self) -> None:
        """Raise StoreError unless the database is there, reachable and at this program's revision."""
        if self.revision() != migrations.revisions()[-1]:
            raise self._error("its tables are not those of this program; run `probe db upgrade`")

    def revision(self) -> str | None:
        """Return the revision of the tables, None where there are none. Raises StoreError where it can't be known."""
        if self.file is not None and not self.file.exists():
            raise self._error("there is no such file; `probe db upgrade` makes it")
        with self._explained(), self.engine.connect() as connection:
            return self._revision(connection)

    def dispose(self) -> None:
        """Close this process's connections; the store can be used again."""
        if (engine := self._engines.pop(os.getpid(), None)) is not None:
            engine.dispose()

    @contextmanager
    def migrating(self) -> Iterator["Config"]:
        """Hold the database for a migration, in one transaction: gives the configuration for Alembic's commands."""
        from alembic.config import Config

        make = _sqlite_engine if self._sqlite else _postgresql_engine
        engine = make(self._url, poolclass=NullPool, **({"foreign_keys": False} if self._sqlite else {"idle": 0}))
        with self._explained(), engine.execution_options(sqlite_writes=True).begin() as connection:
            if not self._sqlite:
                connection.execute(sa.select(sa.func.pg_advisory_xact_lock(MIGRATION_LOCK)))
            config = Config()
            config.set_main_option("script_location", str(migrations.FOLDER).replace("%", "%%"))
            config.attributes["connection"] = connection
            yield config

    @property
    def file(self) -> Path | None:
        """SQLite's file; None for a server, or a `file:` URI, which is left to SQLite."""
        name = self._url.database or ""
        return Path(name) if self._sqlite and not name.startswith("file:") else None

    def _make_folder(self) -> None:
        if self.file is not None:
            try:
                self.file.parent.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise self._error(
                    f"its folder can't be made ({error.strerror}); set PROBE_HOME or PROBE_DATABASE_URL to a place you"
                    " can write to"
                ) from error

    def _log_ahead(self) -> None:
        """Let readers and the writer work side by side. The file keeps the mode: set it only where the file is ours."""
        if not self._sqlite:
            return
        with self._explained(), closing(self.engine.raw_connection()) as connection:
            try:
                connection.cursor().execute("PRAGMA journal_mode=WAL")
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode != SQLITE_READ_ONLY:  # nobody writes there, so nobody is in the way
                    raise

    def _is_current(self) -> bool:
        with self._explained(), self.engine.connect() as connection:
            return self._revision(connection) == migrations.revisions()[-1]

    def _revision(self, connection: sa.Connection) -> str | None:
        """Return the database's revision, None where it is empty; raise StoreError where this program can't know it."""
        names = sa.inspect(connection).get_table_names()
        found: str | None = None
        if VERSION_TABLE in names:
            found = connection.execute(sa.text(f"SELECT version_num FROM {VERSION_TABLE}")).scalar()
        elif names:
            raise self._error(f"it holds tables of another program; {ELSEWHERE}")
        if found is not None and found not in migrations.revisions():
            raise self._error(f"it was made by a newer solver-probe (revision {found}); upgrade the program")
        return found

    @contextmanager
    def _explained(self, *, writing: bool = True) -> Iterator[None]:
        try:
            yield
        except (DBAPIError, sqlite3.Error) as error:
            if (problem := _problem(error, writing)) is None:
                raise
            raise self._error(problem, _passes(error)) from error

    def _error(self, problem: str, passing: bool = False) -> StoreError:
        return StoreError(f"database {shown(self._url)}: {problem}", passing)


def open_store(url: str) -> Store:
    """Open the database, made or migrated where needed. Raises StoreError with one clear line."""
    store = Store(url)
    try:
        store.upgrade()
    except BaseException:
        store.dispose()
        raise
    return store


def database_time(session: Session) -> float:
    """Return the database's time in seconds since 1970, to the millisecond."""
    if session.get_bind().dialect.name == "sqlite":  # before 3.42 unixepoch() knows whole seconds only
        clock = sa.text("SELECT (julianday('now') - 2440587.5) * 86400.0")
    else:
        clock = sa.text("SELECT extract(epoch FROM clock_timestamp())::float8")
    return float(session.execute(clock).scalar_one())


def shown(url: str | sa.URL) -> str:
    """Return a URL fit to be shown: without its passwords."""
    url = sa.make_url(url)
    return url.set(query={k: "***" if "password" in k else v for k, v in url.query.items()}).render_as_string()


def in_groups(ids: Sequence[T], size: int = AT_ONCE) -> Iterator[Sequence[T]]:
    """Yield ids in groups that one statement can name."""
    for start in range(0, len(ids), size):
        yield ids[start : start + size]


def insert_rows(session: Session, table: type[Table], rows: Sequence[dict[str, Any]]) -> None:
    """Insert rows of the same columns, in few statements."""
    if rows:
        session.execute(sa.insert(_core(table)), rows)


def insert_ignore(session: Session, table: type[Table], rows: Sequence[dict[str, Any]]) -> None:
    """Insert rows of the same columns, except those that a unique constraint refuses."""
    if rows:
        session.execute(_dialect(session).insert(_core(table)).on_conflict_do_nothing(), rows)


def add_up(session: Session, table: type[Table], column: str, rows: Sequence[dict[str, Any]]) -> None:
    """Insert rows; where one is there with the same primary key, add to its ``column`` instead."""
    if rows:
        core = _core(table)
        new = _dialect(session).insert(core)
        more = {column: core.c[column] + new.excluded[column]}
        session.execute(new.on_conflict_do_update(index_elements=[*core.primary_key], set_=more), rows)


def get_or_create(session: Session, table: type[Table], key: Mapping[str, Any], **rest: Any) -> int:
    """Return the id of the row with this key, inserted with the other columns where it is missing.

    ``key`` must be unique by a constraint (None: IS NULL), which makes this safe when two processes do it at once.
    """
    found = insert_new(session, table, **rest | dict(key))
    if found is None:
        columns = _core(table).c
        found = session.execute(sa.select(columns.id).where(*(columns[k] == v for k, v in key.items()))).scalar_one()
    return int(found)


def insert_new(session: Session, table: type[Table], **row: Any) -> int | None:
    """Insert a row and return its id, None where a unique constraint refuses it."""
    new = _dialect(session).insert(_core(table)).values(**row).on_conflict_do_nothing()
    return cast(int | None, session.execute(new.returning(_core(table).c.id)).scalar())


def _core(table: type[Table]) -> sa.Table:
    return cast(sa.Table, table.__table__)


def _dialect(session: Session) -> Any:
    """Return the module of the session's dialect: both have the same ON CONFLICT, with no common type."""
    return sqlite if session.get_bind().dialect.name == "sqlite" else postgresql


def _parsed(url: str) -> sa.URL:
    ways = "use sqlite:////path/to/file or postgresql://user:password@host/database"
    try:
        parsed = sa.make_url(url)
    except (ArgumentError, ValueError):  # their messages may hold a part of the password
        raise StoreError(f"the database URL can't be read; {ways}") from None
    if parsed.drivername not in DRIVERS:
        raise StoreError(f"database {shown(parsed)}: {parsed.drivername} is not supported; {ways}")
    if parsed.get_backend_name() == "sqlite" and parsed.database in {None, "", ":memory:"}:
        raise StoreError(f"database {shown(parsed)}: a database in memory would be lost; {ways}")
    return parsed


def _sqlite_engine(url: sa.URL, *, foreign_keys: bool = True, **options: Any) -> sa.Engine:
    engine = sa.create_engine(url, **options)

    @event.listens_for(engine, "connect")
    def connected(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # Python's sqlite3 begins too late, and not before a SELECT
        for pragma in (
            f"busy_timeout={LOCK_SECONDS * 1000}",
            "synchronous=NORMAL",
            f"foreign_keys={'ON' if foreign_keys else 'OFF'}",
        ):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def begun(connection: sa.Connection) -> None:
        writes = connection.get_execution_options().get("sqlite_writes", False)
        connection.exec_driver_sql(f"PRAGMA query_only={'OFF' if writes else 'ON'}")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def _postgresql_engine(url: sa.URL, *, idle: int | None = None, **options: Any) -> sa.Engine:
    defaults = KEEPALIVE | {"connect_timeout": CONNECT_SECONDS}
    defaults = {name: value for name, value in defaults.items() if name not in url.query}
    engine = sa.create_engine(url, pool_pre_ping=True, connect_args=defaults, **options)

    @event.listens_for(engine, "connect")
    def connected(connection: Any, _record: Any) -> None:
        connection.execute(f"SET idle_in_transaction_session_timeout = '{IDLE_SECONDS if idle is None else idle}s'")
        connection.commit()

    return engine


def _while_passing(act: Callable[[], T], seconds: float) -> T:
    """Return what ``act`` does, tried again for so many seconds while the database's failure may go away by itself."""
    end, wait = time.monotonic() + seconds, FIRST_WAIT
    while True:
        try:
            return act()
        except StoreError as error:
            if not error.passing or time.monotonic() + wait > end:
                raise
        time.sleep(wait)
        wait = min(2 * wait, LONGEST_WAIT)


def _passes(error: DBAPIError | sqlite3.Error) -> bool:
    """Return whether an error may go away by itself: a lock, a lost connection, a server that is not there."""
    code = getattr(error.orig if isinstance(error, DBAPIError) else error, "sqlite_errorcode", None)
    if code is not None:
        return bool(code & 0xFF == PASSING_SQLITE)
    if not isinstance(error, DBAPIError):
        return False
    state = getattr(error.orig, "sqlstate", None)
    return error.statement is None or error.connection_invalidated or state in PASSING_POSTGRESQL


def _problem(error: DBAPIError | sqlite3.Error, writing: bool) -> str | None:
    """Return what a user can do something about; None for the rest, and for a write in a reading session."""
    code = getattr(error.orig if isinstance(error, DBAPIError) else error, "sqlite_errorcode", None)
    if code is not None:
        return SQLITE_PROBLEMS.get(code & 0xFF) if writing or code != SQLITE_READ_ONLY else None
    assert isinstance(error, DBAPIError)
    words = " ".join(str(error.orig).split())
    if error.connection_invalidated:
        return f"the connection was lost ({words}); nothing was half written; run the same command again"
    if error.statement is None:  # it failed while connecting
        return f"{words}; check that the server runs, and host, database, user and password of PROBE_DATABASE_URL"
    state = getattr(error.orig, "sqlstate", None)
    return POSTGRESQL_PROBLEMS.get(str(state)) if writing or state != POSTGRESQL_READ_ONLY else None
