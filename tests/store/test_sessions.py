"""Sessions: what a transaction promises on either database, and what a user is told when the database fails."""

import multiprocessing
import os
import resource
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa
from sqlalchemy import func, insert, make_url, select, text
from sqlalchemy.exc import DBAPIError, IntegrityError

from probe.errors import WorkError
from probe.store import sessions
from probe.store.sessions import Store, StoreError, get_or_create, insert_ignore, insert_rows, open_store, shown
from probe.store.tables import Endpoint, FamilyVersion, Model


def at_once(count, function):
    """Run a function in forked processes that start together; return what each returned, or its error's repr."""
    fork = multiprocessing.get_context("fork")
    barrier, results = fork.Barrier(count), fork.SimpleQueue()

    def run():
        barrier.wait()
        try:
            results.put(function())
        except Exception as error:  # noqa: BLE001 (the test looks at it)
            results.put(repr(error))

    processes = [fork.Process(target=run) for _ in range(count)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * count
    return [results.get() for _ in range(count)]


def endpoints(store):
    """How many endpoints are stored."""
    with store.reading() as session:
        return session.scalar(select(func.count()).select_from(Endpoint))


def refusal(url):
    """The one line a user is told when a database can't be opened."""
    with pytest.raises(StoreError) as caught:
        open_store(url)
    assert isinstance(caught.value, WorkError)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# --- transactions -----------------------------------------------------------------------------------------------------


def test_writing_commits_at_the_end_or_not_at_all(store):
    """What an error interrupts is not stored."""
    with store.writing() as session:
        session.add(Endpoint(url="http://kept"))
    with pytest.raises(ZeroDivisionError), store.writing() as session:  # noqa: PT012
        session.add(Endpoint(url="http://lost"))
        session.flush()
        session.add(1 // 0)
    with store.reading() as session:
        assert session.scalars(select(Endpoint.url)).all() == ["http://kept"]


def test_objects_can_be_used_after_their_session(store):
    """Rows read or written stay readable when the session is over."""
    with store.writing() as session:
        session.add(written := Endpoint(url="http://a"))
    with store.reading() as session:
        read = session.scalars(select(Endpoint)).one()
    assert (written.url, read.url, read.id) == ("http://a", "http://a", written.id)


def test_a_reading_session_sees_one_state(store):
    """A table computed from several queries never mixes two states of the database."""
    with store.reading() as session:
        before = session.scalar(select(func.count()).select_from(Endpoint))
        with store.writing() as other:
            other.add(Endpoint(url="http://new"))
        assert session.scalar(select(func.count()).select_from(Endpoint)) == before == 0
    assert endpoints(store) == 1


def test_a_reading_session_refuses_to_write(store):
    """A write in the wrong session is an error of the program, not silently rolled back; writing goes on working."""
    with pytest.raises(DBAPIError, match=r"read-?only"), store.reading() as session:
        session.execute(insert(Endpoint).values(url="http://a"))
    with store.writing() as session:
        session.add(Endpoint(url="http://b"))
    assert endpoints(store) == 1


def test_a_refused_row_is_the_callers_affair(store):
    """A constraint's refusal stays SQLAlchemy's IntegrityError: it is no failure of the database."""
    with pytest.raises(IntegrityError), store.writing() as session:
        session.add_all([Endpoint(url="http://a"), Endpoint(url="http://a")])


def test_foreign_keys_hold(store):
    """No row refers to a row that isn't there."""
    with pytest.raises(IntegrityError), store.writing() as session:
        session.add(Model(name="m", kind="endpoint", endpoint_id=5, added_at=0.0))


def test_now_is_the_databases_time_and_moves_within_a_transaction(store):
    """Leases are dated by one clock; it is finer than a second, and long transactions don't stop it."""
    with store.reading() as session:
        first = store.now(session)
        until = time.monotonic() + 5
        while (later := store.now(session)) == first and time.monotonic() < until:
            pass
    assert 0 < later - first < 1
    assert abs(first - time.time()) < 60


def test_counting_up_in_four_processes_loses_nothing(database):
    """Read, then update, then commit: no update is lost and no process is told the database is locked."""
    store = open_store(database)
    with store.writing() as session:
        session.add(FamilyVersion(name="f", version=0, kind="optimization"))

    def count():
        for _ in range(50):
            with store.writing() as session:
                row = session.scalars(select(FamilyVersion).with_for_update()).one()
                row.version = row.version + 1
        return "done"

    assert at_once(4, count) == ["done"] * 4
    with store.reading() as session:
        assert session.scalar(select(FamilyVersion.version)) == 200
    store.dispose()


def test_a_forked_process_gets_connections_of_its_own(store):
    """A worker that forks after the first query shares no connection with its parent."""
    parent = (os.getpid(), id(store.engine))
    with store.reading() as session:
        session.execute(text("SELECT 1"))
    [(pid, engine)] = at_once(1, lambda: (os.getpid(), id(store.engine)))
    assert pid != parent[0]
    assert engine != parent[1]
    assert endpoints(store) == 0


# --- bulk writes ------------------------------------------------------------------------------------------------------


def test_insert_rows_fills_in_the_defaults(store):
    """Rows are plain dicts; columns left out take their default; no rows is nothing to do."""
    with store.writing() as session:
        insert_rows(session, Endpoint, [])
        insert_rows(session, Endpoint, [{"url": f"http://{i}", "rpm": i} for i in range(2500)])
    with store.reading() as session:
        assert session.scalar(select(func.sum(Endpoint.rpm))) == 2499 * 1250
        assert session.scalars(select(Endpoint.key_variable).distinct()).all() == [""]


def test_insert_ignore_keeps_what_is_there(store):
    """A row that is there already is left as it is, the others are inserted, and other constraints still hold."""
    with store.writing() as session:
        insert_ignore(session, Endpoint, [])
        insert_ignore(session, Endpoint, [{"url": "http://1", "rpm": 1}])
        insert_ignore(session, Endpoint, [{"url": "http://1", "rpm": 5}, {"url": "http://2", "rpm": 2}])
    with store.reading() as session:
        assert dict(session.execute(select(Endpoint.url, Endpoint.rpm)).all()) == {"http://1": 1, "http://2": 2}
    with pytest.raises(IntegrityError), store.writing() as session:
        insert_ignore(session, Model, [{"name": "m", "kind": "neither", "added_at": 0.0}])


def test_get_or_create_makes_a_row_once(store):
    """The second call returns the first one's row, whatever else it brings; None in the key is a value like others."""
    with store.writing() as session:
        first = get_or_create(session, Endpoint, {"url": "http://1", "key_variable": ""}, rpm=1)
        again = get_or_create(session, Endpoint, {"url": "http://1", "key_variable": ""}, rpm=2)
        other = get_or_create(session, Endpoint, {"url": "http://1", "key_variable": "KEY"})
        baseline = {"name": "blank", "removed_at": None}
        models = {get_or_create(session, Model, baseline, kind="baseline", added_at=float(i)) for i in range(3)}
    assert first == again != other
    assert len(models) == 1
    with store.reading() as session:
        assert session.get(Endpoint, first).rpm == 1
        assert session.scalar(select(Model.added_at)) == 0.0


def test_get_or_create_in_four_processes_makes_a_row_once(database):
    """Processes that submit the same at once agree on one row."""
    store = open_store(database)

    def make():
        ids = []
        for i in range(20):
            with store.writing() as session:
                ids.append(get_or_create(session, Endpoint, {"url": f"http://{i}", "key_variable": ""}))
        return ids

    results = at_once(4, make)
    assert results == [results[0]] * 4
    assert len(set(results[0])) == endpoints(store) == 20
    store.dispose()


# --- opening ----------------------------------------------------------------------------------------------------------


def test_opening_an_empty_database_in_four_processes_at_once(database):
    """Whoever comes first makes the tables; the others wait and go on."""
    url = (
        database if database.startswith("postgresql") else database.replace("probe.sqlite3", "new/folder/probe.sqlite3")
    )

    def opened():
        store = open_store(url)
        store.check()
        return endpoints(store)

    assert at_once(4, opened) == [0] * 4


def test_sqlite_lets_readers_work_beside_the_writer(store):
    """A reader isn't held up by a writer, and sees nothing of what isn't committed."""
    with store.writing() as session:
        session.add(Endpoint(url="http://a"))
        session.flush()
        assert endpoints(store) == 0


def test_sqlite_files_are_opened_in_wal_mode(sqlite):
    """Also one that came back from a copy in another mode."""
    file = make_url(sqlite).database
    open_store(sqlite).dispose()
    with closing(sqlite3.connect(file)) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        connection.execute("PRAGMA journal_mode=DELETE")
    store = open_store(sqlite)
    with store.reading() as session:
        pragmas = [session.scalar(text(f"PRAGMA {name}")) for name in ("journal_mode", "synchronous", "busy_timeout")]
    assert pragmas == ["wal", 1, 10_000]
    store.dispose()


def test_check_makes_nothing(sqlite):
    """A look at a database that isn't there says how to make it, and leaves no file behind."""
    with pytest.raises(StoreError, match=r"no such file.*probe db upgrade"):
        Store(sqlite).check()
    assert not Path(make_url(sqlite).database).exists()


def test_check_wants_the_tables_of_this_program(database):
    """An empty database is told apart from a broken one."""
    if database.startswith("sqlite"):
        Path(make_url(database).database).touch()
    store = Store(database)
    with pytest.raises(StoreError, match="probe db upgrade"):
        store.check()
    store.upgrade()
    store.check()
    store.dispose()


def test_a_database_of_a_newer_program_is_refused_and_left_alone(database):
    """An older program never touches what it can't understand."""
    store = open_store(database)
    with store.writing() as session:
        session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    assert "made by a newer solver-probe (revision 9999); upgrade the program" in refusal(database)
    with pytest.raises(StoreError, match="newer"):
        store.check()
    with pytest.raises(StoreError, match="newer"):
        store.upgrade()
    with store.reading() as session:
        assert session.scalar(text("SELECT version_num FROM alembic_version")) == "9999"
    store.dispose()


def test_a_database_of_another_program_is_refused_and_left_alone(database):
    """No tables are added beside someone else's."""
    engine = sa.create_engine(database)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE model (name TEXT)"))
    assert "tables of another program" in refusal(database)
    assert sa.inspect(engine).get_table_names() == ["model"]
    engine.dispose()


def test_another_programs_sqlite_file_keeps_every_byte(sqlite):
    """Not even its journal mode is changed."""
    file = Path(make_url(sqlite).database)
    connection = sqlite3.connect(file)
    connection.execute("CREATE TABLE theirs (x)")
    connection.commit()
    connection.close()
    before = file.read_bytes()
    refusal(sqlite)
    assert file.read_bytes() == before
    assert [f.name for f in file.parent.iterdir()] == [file.name]


def test_a_text_file_is_not_a_database(tmp_path):
    """A wrong path is named, and the file there is left as it is."""
    file = tmp_path / "notes.txt"
    file.write_text("These are notes, and long enough to be taken for a page of a database." * 99)
    said = refusal(f"sqlite:///{file}")
    assert str(file) in said
    assert "not a database" in said
    assert "PROBE_DATABASE_URL" in said
    assert file.read_text().startswith("These are notes")


def test_a_folder_that_cannot_be_made(tmp_path):
    """The message says what stands in the way and how to name another place."""
    (tmp_path / "taken").write_text("a file")
    said = refusal(f"sqlite:///{tmp_path}/taken/probe.sqlite3")
    assert "folder can't be made" in said
    assert "PROBE_HOME" in said


def test_a_folder_in_place_of_the_file(tmp_path):
    """SQLite can't open it; the message says so."""
    assert "can't be opened" in refusal(f"sqlite:///{tmp_path}")


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("probe.sqlite3", "can't be read"),
        ("postgresql://user:secret@host:secret/db", "can't be read"),
        ("mysql://user:secret@host/db?password=secret", "mysql is not supported"),
        ("sqlite+aiosqlite:///file", "not supported"),
        ("sqlite://", "in memory"),
        ("sqlite:///:memory:", "in memory"),
    ],
)
def test_a_url_that_cannot_be_meant(url, words):
    """The message shows which URLs can, and no password."""
    said = refusal(url)
    assert words in said
    assert "sqlite:////path/to/file" in said
    assert "secret" not in said


def test_passwords_are_not_shown():
    """Neither in what is shown of a URL nor in a store's repr."""
    url = "postgresql://user:secret@host/db?sslpassword=secret&sslmode=require"
    assert "secret" not in shown(url) + repr(Store(url))
    assert shown(url).startswith("postgresql://user:***@host/db?")
    assert "sslmode=require" in shown(url)


# --- failures ---------------------------------------------------------------------------------------------------------


def fill(store, first, last):
    """Write rows of more than 200 bytes each."""
    with store.writing() as session:
        insert_rows(session, Endpoint, [{"url": f"http://{i:0200}"} for i in range(first, last)])


def test_a_full_disk_loses_nothing_else(sqlite):
    """The transaction is not half written, the file stays sound, and the same command works when there is space."""
    store = open_store(sqlite)
    fill(store, 0, 10)
    with store.engine.connect() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar()
        connection.exec_driver_sql(f"PRAGMA max_page_count={pages + 2}")
    with pytest.raises(StoreError, match="the disk or the quota is full; nothing was half written"):
        fill(store, 10, 2000)
    with store.engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA integrity_check").scalar() == "ok"
        assert connection.scalar(select(func.count()).select_from(Endpoint)) == 10
        connection.exec_driver_sql("PRAGMA max_page_count=1000000")
    fill(store, 10, 2000)
    assert endpoints(store) == 2000
    store.dispose()


def test_a_quota_reached_is_no_crash(sqlite):
    """A limit of the operating system on the file's size is told like a full disk, and costs nothing stored before."""
    store = open_store(sqlite)
    fill(store, 0, 10)

    def write_against_limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, resource.RLIM_INFINITY))
        fill(store, 10, 2000)

    [said] = at_once(1, write_against_limit)
    assert "StoreError" in said
    assert "nothing was half written" in said
    assert endpoints(store) == 10
    store.dispose()


def test_a_lock_that_is_not_released(sqlite, monkeypatch):
    """After the wait the message says who is in the way."""
    monkeypatch.setattr(sessions, "LOCK_SECONDS", 0)
    one, other = open_store(sqlite), open_store(sqlite)
    with one.writing() as session:
        session.add(Endpoint(url="http://one"))
        session.flush()
        with pytest.raises(StoreError, match="locked: another process"):
            fill(other, 0, 1)
    fill(other, 0, 1)
    assert endpoints(one) == 2
    one.dispose()
    other.dispose()


@pytest.mark.parametrize("journal", ["wal", "delete"])
def test_a_read_only_file_can_be_read(sqlite, journal):
    """Results can be read, also of a published copy; a write is told that the file is read-only."""
    open_store(sqlite).dispose()
    with closing(sqlite3.connect(make_url(sqlite).database)) as connection:
        connection.execute(f"PRAGMA journal_mode={journal}")
    store = open_store(f"sqlite:///file:{make_url(sqlite).database}?mode=ro&uri=true")
    assert endpoints(store) == 0
    with pytest.raises(StoreError, match="read-only"), store.writing() as session:
        session.add(Endpoint(url="http://a"))
    store.dispose()


def test_a_damaged_file_is_told(sqlite):
    """Corruption is named as such."""
    store = open_store(sqlite)
    fill(store, 10, 2000)
    store.dispose()
    file = Path(make_url(sqlite).database)
    with file.open("r+b") as stream:
        stream.seek(4096)
        stream.write(os.urandom(file.stat().st_size - 4096))
    with pytest.raises(StoreError, match="damaged"):
        endpoints(store)
    store.dispose()


def test_a_server_that_is_not_there(tmp_path):
    """The message repeats the server's words and names what to check."""
    said = refusal(f"postgresql://user:secret@/db?host={tmp_path}")
    assert "check that the server runs" in said
    assert "secret" not in said


def test_a_database_that_is_not_there(postgresql):
    """A server without the database is told from a server that doesn't answer."""
    url = make_url(postgresql).set(database="nowhere")
    assert 'database "nowhere" does not exist' in refusal(url.render_as_string(hide_password=False))


@pytest.fixture
def guarded(postgresql):
    """A PostgreSQL database's URL as a user with a password and no rights."""
    engine = sa.create_engine(postgresql)
    with engine.begin() as connection:
        connection.execute(text("DROP ROLE IF EXISTS guarded"))
        connection.execute(text("CREATE ROLE guarded LOGIN PASSWORD 'right-secret'"))
    yield make_url(postgresql).set(username="guarded", password="right-secret")
    with engine.begin() as connection:
        connection.execute(text("DROP ROLE guarded"))
    engine.dispose()


def test_a_wrong_password_is_not_shown(guarded):
    """The message says that the password is wrong, not what it was."""
    said = refusal(guarded.set(password="wrong-secret").render_as_string(hide_password=False))
    assert "password authentication failed" in said
    assert "secret" not in said


def test_a_user_without_rights(guarded):
    """The message names the right that is missing."""
    said = refusal(guarded.render_as_string(hide_password=False))
    assert "GRANT CREATE" in said
    assert "secret" not in said


def end_connections(url):
    """End all other connections to a database, as a restart of the server does."""
    with psycopg.connect(make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)) as admin:
        admin.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


def test_a_lost_connection_is_told(postgresql):
    """A server's restart costs the transaction it interrupts."""
    store = open_store(postgresql)
    with pytest.raises(StoreError, match="connection was lost"), store.writing() as session:  # noqa: PT012
        session.add(Endpoint(url="http://lost"))
        session.flush()
        end_connections(postgresql)
        session.execute(text("SELECT 1"))
    assert endpoints(store) == 0
    store.dispose()


def test_a_restart_between_transactions_is_not_noticed(postgresql):
    """A connection that died while nobody used it is replaced."""
    store = open_store(postgresql)
    assert endpoints(store) == 0
    end_connections(postgresql)
    assert endpoints(store) == 0
    store.dispose()
