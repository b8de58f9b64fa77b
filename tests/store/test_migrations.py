"""Migrations: they make exactly the tables the program works with, on either database, and never lose a row."""

import shutil
import sys

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.exc import IntegrityError

import migrations
from migrations.__main__ import main as write_revision
from probe.store import tables
from probe.store.sessions import Store, StoreError, open_store
from probe.store.tables import Table


def described(engine):
    """All that the database says about its tables, by table, in no order."""
    inspector = sa.inspect(engine)

    def plain(thing):
        return {k: plain(v) if isinstance(v, dict) else str(v) for k, v in thing.items()}

    def ordered(things):
        return sorted((plain(thing) for thing in things), key=str)

    return {
        name: {
            "columns": [plain(column) for column in inspector.get_columns(name)],
            "primary key": plain(inspector.get_pk_constraint(name)),
            "foreign keys": ordered(inspector.get_foreign_keys(name)),
            "unique": ordered(inspector.get_unique_constraints(name)),
            "checks": ordered(inspector.get_check_constraints(name)),
            "indexes": ordered(inspector.get_indexes(name)),
        }
        for name in inspector.get_table_names()
        if name != "alembic_version"
    }


@pytest.fixture
def history(tmp_path, monkeypatch):
    """A copy of the migrations in place of the program's, to add revisions to."""
    folder = tmp_path / "history"
    shutil.copytree(migrations.FOLDER, folder, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(migrations, "FOLDER", folder)
    return folder


def add_revision(history, upgrade):
    """Add the next revision with these lines."""
    known = migrations.revisions()
    number = f"{len(known) + 1:04d}"
    (history / "versions" / f"{number}_next.py").write_text(
        "import sqlalchemy as sa\nfrom alembic import op\n"
        f"revision, down_revision = {number!r}, {known[-1]!r}\n"
        f"def upgrade():\n    {upgrade}\n"
    )


REBUILD_MODEL = (
    "with op.batch_alter_table('model', recreate='auto') as table:\n"
    "        table.create_check_constraint('ck_model_name', \"name <> ''\")"
)


def filled(store):
    """Put one row into each table; return how many rows each table has."""
    with store.writing() as session:
        for row in rows():
            session.add(row)
            session.flush()
    return counts(store)


def batch(**other):
    """A batch."""
    return tables.Batch(**{"name": "b", "spec": {}, "spec_digest": "d", "state": "queued", "created_at": 0.0, **other})


def model(**other):
    """A model at the one endpoint."""
    return tables.Model(**{"name": "n", "kind": "endpoint", "endpoint_id": 1, "added_at": 0.0, **other})


def instance(**other):
    """An instance at the block's first position."""
    return tables.Instance(**{"block_id": 1, "position": 0, "key": "k", "document": b"", **other})


def shard(**other):
    """A shard of the one question: its second sample."""
    asked = {"batch_id": 1, "model_id": 1, "presentation_id": 1, "asked_channel": "json", "question_id": 1}
    return tables.Shard(**{**asked, "first": 0, "last": 50, "first_sample": 1, "last_sample": 2, **other})


def call(**other):
    """The first attempt at the first answer."""
    answer = {"shard_id": 1, "position": 0, "sample": 0, "charged_prompt_tokens": 7, "charged_answer_tokens": 3}
    return tables.Call(**{**answer, "number": 1, "kind": "ok", "started_at": 0.0, "seconds": 0.1, **other})


def trial(**other):
    """The first answer."""
    answer = {"shard_id": 1, "position": 0, "sample": 0}
    return tables.Trial(
        **{**answer, "outcome": "feasible", "constraints": 2, "satisfied": 2, "judge_version": 1, **other}
    )


def schedule(**other):
    """Every night."""
    policies = {"catch_up": "latest", "overlap": "skip", "canary_instances": 0}
    spec = {"cron": "@daily", "zone": "UTC", "spec": {}}
    return tables.Schedule(**{"name": "nightly", "created_at": 0.0, "since": 0.0, **spec, **policies, **other})


def rows():
    """One row of every table, in the order of their foreign keys; in a new database each gets the id 1."""
    return [
        tables.Endpoint(url="http://a"),
        model(name="m"),
        tables.FamilyVersion(name="f", version=1, kind="optimization"),
        tables.Block(family_version_id=1, size="s", knobs={}, seed=7, number=0, variant="fresh", modules=""),
        instance(),
        tables.Question(block_id=1, mode="final"),
        tables.Presentation(
            digest="d", channel="json", form="tool", examples=0, warning=False, template=1, answer_tokens=9
        ),
        schedule(),
        batch(),
        tables.BatchOutcome(batch_id=1, outcome="optimal", trials=1),
        tables.BatchQuestion(batch_id=1, question_id=1, last=50),
        tables.ScheduleRun(schedule_id=1, due=0.0, state="submitted", batch_id=1),
        shard(first_sample=0, last_sample=1),
        call(),
        trial(),
        tables.ConstraintResult(trial_id=1, kind="capacity", constraints=2, satisfied=2),
        tables.Tally(shard_id=1, judge_version=1, measures="m", matrix=b""),
        tables.Rejudged(shard_id=1, at=0.0, old_version=1, new_version=2, changed=0),
        tables.Seat(endpoint_id=1, token="t", until=0.0, wish=1, slots=1),
        tables.Ration(endpoint_id=1, at=0.0, requests=1, tokens=1),
        tables.Token(name="t", digest="d", scopes="read", created_at=0.0),
        tables.Idempotency(who="", key="k", digest="d", status=201, body={}, at=0.0),
        tables.Worker(name="host 1", version="1", started_at=0.0, seen_at=0.0, skew=0.0),
    ]


def counts(store):
    """The number of rows by table."""
    with store.reading() as session:
        return {
            name: session.scalar(sa.select(sa.func.count()).select_from(table))
            for name, table in Table.metadata.tables.items()
        }


# --- what they make ---------------------------------------------------------------------------------------------------


def test_up_down_and_up_again(database):
    """The way down leaves no table behind, and the way up works from there."""
    store = open_store(database)
    before = described(store.engine)
    with store.migrating() as config:
        command.downgrade(config, "base")
    assert described(store.engine) == {}
    with pytest.raises(StoreError, match="probe db upgrade"):
        store.check()
    store.upgrade()
    assert described(store.engine) == before
    store.dispose()


def test_alembic_finds_no_difference_to_the_tables(store):
    """Whoever changes a table writes a migration: `python -m migrations "What changes"`."""
    with store.engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), Table.metadata) == []


def test_the_database_itself_finds_no_difference_to_the_tables(store, request):
    """Checks, conditions of indexes, names and rules of deletion, which Alembic doesn't compare, are the same too."""
    url = request.getfixturevalue(store.engine.dialect.name)
    engine = sa.create_engine(url.replace("probe.sqlite3", "tables.sqlite3"))  # a file beside the store's
    Table.metadata.create_all(engine)
    assert described(store.engine) == described(engine)
    engine.dispose()


def test_names_mean_the_same_on_both_databases():
    """No name is cut, so that a migration can drop by it: PostgreSQL allows 63 characters."""
    names = [c.name for t in Table.metadata.tables.values() for c in [*t.constraints, *t.indexes]]
    assert [name for name in names if name is None or len(name) > 63] == []


def test_revisions_are_the_files_in_order():
    """The revision is read off the file's name, so both must agree, in one line of descent."""
    script = ScriptDirectory(str(migrations.FOLDER))
    assert [revision.revision for revision in script.walk_revisions()][::-1] == migrations.revisions()


# --- what holds in the database ---------------------------------------------------------------------------------------


def test_every_table_takes_a_row(store):
    """The rows the other tests vary are in order; none of the tables is forgotten here."""
    assert filled(store) == dict.fromkeys(Table.metadata.tables, 1)


BASELINE = {"batch_id": None, "presentation_id": None, "asked_channel": None}


REFUSED = {
    "a shard with a batch but no presentation": ("ck_shard_batch", lambda: shard(presentation_id=None)),
    "a shard with a presentation but no batch": ("ck_shard_batch", lambda: shard(batch_id=None)),
    "a shard in an unknown state": ("ck_shard_state", lambda: shard(state="leased")),
    "the same shard twice": ("uq_shard_asked", lambda: shard(first_sample=0)),
    "a shard of no question": ("fk_shard_question_id", lambda: shard(question_id=2)),
    "a batch in an unknown state": ("ck_batch_state", lambda: batch(name="c", state="done")),
    "two batches of one name": ("uq_batch_name", lambda: batch(state="running")),
    "two models of one name": ("uq_model_name", lambda: model(name="m")),
    "a model of an unknown kind": ("ck_model_kind", lambda: model(kind="other", endpoint_id=None)),
    "a model at no endpoint": ("ck_model_endpoint", lambda: model(endpoint_id=None)),
    "a baseline at an endpoint": ("ck_model_endpoint", lambda: model(kind="baseline")),
    "two trials of one answer": ("uq_trial_shard_id_position_sample", lambda: trial(judge_version=2)),
    "two calls of one attempt": ("uq_call_shard_id_position_sample_number", lambda: call(kind="throttle")),
    "a question twice": ("uq_question_block_id_mode", lambda: tables.Question(block_id=1, mode="final")),
    "a question asked twice by a batch": (
        "uq_batch_question_batch_id_question_id",
        lambda: tables.BatchQuestion(batch_id=1, question_id=1, last=7),
    ),
    "a due time twice": (
        "uq_schedule_run_schedule_id_due",
        lambda: tables.ScheduleRun(schedule_id=1, due=0.0, state="skipped"),
    ),
    "an unknown policy": ("ck_schedule_overlap", lambda: schedule(name="x", overlap="pile up")),
    "two instances at one position": ("uq_instance_block_id_position", lambda: instance(key="other")),
}


@pytest.mark.parametrize(("constraint", "row"), REFUSED.values(), ids=REFUSED)
def test_the_database_refuses(store, constraint, row):
    """What must not be is refused by the database itself, whoever writes it."""
    before = filled(store)
    with pytest.raises(IntegrityError) as caught, store.writing() as session:
        session.add(row())
    assert said(store, constraint) in str(caught.value.orig)
    assert counts(store) == before


def said(store, constraint):
    """What the database's refusal says of a constraint; SQLite names columns or nothing where it isn't a check."""
    kind, table = constraint.split("_", 1)
    table = next(name for name in sorted(Table.metadata.tables, key=len, reverse=True) if table.startswith(name))
    if store.engine.dialect.name == "postgresql" or kind == "ck":
        return constraint
    return {"uq": f"UNIQUE constraint failed: {table}.", "fk": "FOREIGN KEY constraint failed"}[kind]


def test_a_baseline_answers_a_question_once(store):
    """Two processes that answer the same baseline leave one shard; other positions and baselines are other shards."""
    filled(store)
    with store.writing() as session:
        session.add(model(name="blank", kind="baseline", endpoint_id=None))
        session.flush()
        session.add(shard(model_id=2, **BASELINE))
    with pytest.raises(IntegrityError) as caught, store.writing() as session:
        session.add(shard(model_id=2, **BASELINE, first_sample=5))
    assert said(store, "uq_shard_baseline") in str(caught.value.orig)
    with store.writing() as session:
        session.add(shard(model_id=2, **BASELINE, first=50, last=100))


def test_a_removed_models_name_can_be_used_again(store):
    """A removed model keeps its row and its results; several of the same name may be gone."""
    filled(store)
    for at in (1.0, 2.0):
        with store.writing() as session:
            session.execute(sa.update(tables.Model).where(tables.Model.removed_at.is_(None)).values(removed_at=at))
            session.add(model(name="m", added_at=at))
    assert counts(store)["model"] == 3


def test_a_deleted_batch_takes_its_answers_with_it_and_nothing_else(store):
    """Instances, questions, models and presentations stay for the others."""
    before = filled(store)
    with store.writing() as session:
        session.execute(sa.delete(tables.Batch))
    gone = {
        "batch",
        "batch_outcome",
        "batch_question",
        "shard",
        "call",
        "trial",
        "constraint_result",
        "tally",
        "rejudged",
    }
    assert counts(store) == {name: 0 if name in gone else n for name, n in before.items()}


# --- how they run -----------------------------------------------------------------------------------------------------


def test_an_older_database_is_migrated_when_opened_and_keeps_every_row(database, history):
    """A table rebuilt on SQLite keeps the rows of the tables that refer to it, and the new constraint holds."""
    store = open_store(database)
    before = filled(store)
    add_revision(history, REBUILD_MODEL)
    with pytest.raises(StoreError, match="probe db upgrade"):
        store.check()
    store.dispose()
    store = open_store(database)
    store.check()
    assert counts(store) == before
    with pytest.raises(IntegrityError), store.writing() as session:
        session.add(model(name=""))
    store.dispose()


def test_foreign_keys_hold_after_a_migration(database, history):
    """They are off on SQLite only while it migrates."""
    store = open_store(database)
    add_revision(history, REBUILD_MODEL)
    store.upgrade()
    filled(store)
    with pytest.raises(IntegrityError), store.writing() as session:
        session.execute(sa.delete(tables.Model))
    store.dispose()


def test_a_migration_that_fails_changes_nothing(database, history):
    """Its steps before the failure are undone, and the database is usable by the program that made it."""
    store = open_store(database)
    before = filled(store)
    add_revision(history, "op.drop_table('constraint_result'); op.execute('INSERT INTO nowhere VALUES (1)')")
    with pytest.raises(sa.exc.DBAPIError, match="nowhere"):
        store.upgrade()
    assert counts(store) == before
    store.dispose()


def test_a_migration_that_leaves_rows_hanging_is_undone(sqlite, history):
    """What foreign keys would have refused is found before the commit."""
    store = open_store(sqlite)
    before = filled(store)
    add_revision(history, "op.execute('DELETE FROM shard')")
    with pytest.raises(RuntimeError, match=r"4 rows .* call, rejudged, tally, trial"):
        store.upgrade()
    assert counts(store) == before
    store.dispose()


def test_migrating_with_foreign_keys_on_is_refused(sqlite):
    """Alembic would delete rows without an error."""
    store = open_store(sqlite)
    with store.migrating() as config, store.engine.connect() as wrong:
        right = config.attributes["connection"]
        config.attributes["connection"] = wrong
        with pytest.raises(RuntimeError, match="foreign keys are on"):
            command.upgrade(config, "head")
        config.attributes["connection"] = right
    store.dispose()


def test_a_folder_with_a_percent_sign(sqlite, tmp_path, monkeypatch):
    """Wherever the program is installed, it finds its migrations."""
    folder = tmp_path / "100%(x)s"
    shutil.copytree(migrations.FOLDER, folder)
    monkeypatch.setattr(migrations, "FOLDER", folder)
    store = open_store(sqlite)
    store.check()
    store.dispose()


def test_the_next_revision_is_written_from_the_difference(sqlite, history, monkeypatch):
    """`python -m migrations "Words"` writes what the tables have more than the history; it runs as it is."""
    column = sa.Column("remark", sa.Text)
    monkeypatch.setattr(sys, "argv", ["migrations", "Remarks on endpoints"])
    table = Table.metadata.tables["endpoint"]
    table.append_column(column)
    try:
        write_revision()
    finally:
        table._columns.remove(column)
    assert migrations.revisions()[-1] == f"{len(migrations.revisions()):04d}"
    written = history / "versions" / f"{migrations.revisions()[-1]}_remarks_on_endpoints.py"
    assert written.read_text().startswith('"""Remarks on endpoints."""')
    store = Store(sqlite)
    store.upgrade()
    assert "remark" in {c["name"] for c in sa.inspect(store.engine).get_columns("endpoint")}
    store.dispose()


def test_the_service_counts_what_was_there_before_it(store):
    """Calls, tokens and outcomes of batches that version 0.1.0 asked; from then on every write counts."""
    filled(store)
    with store.migrating() as config:
        command.downgrade(config, "0002")
    store.upgrade()
    with store.reading() as session:
        used = session.execute(sa.select(tables.Batch.used_calls, tables.Batch.used_tokens)).one()
        charged = tables.Call.charged_prompt_tokens + tables.Call.charged_answer_tokens
        assert tuple(used) == tuple(session.execute(sa.select(sa.func.count(), sa.func.sum(charged))).one())
        kept = sa.select(tables.BatchOutcome.batch_id, tables.BatchOutcome.outcome, tables.BatchOutcome.trials)
        counted = sa.select(sa.literal(1), tables.Trial.outcome, sa.func.count()).group_by(tables.Trial.outcome)
        assert session.execute(kept).all() == session.execute(counted).all() != []
