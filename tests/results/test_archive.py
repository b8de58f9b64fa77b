"""Archives: the same data give the same file, restoring one gives the same tables, and nothing wrong gets in."""

import hashlib
import json
import re
import shutil
import zipfile

import pytest
from sqlalchemy import delete, func, select, update

from probe import controls, models
from probe.batches import Arm, BatchSpec
from probe.errors import RequestError, StateError
from probe.rejudging import rejudge
from probe.results import archive_format as form
from probe.results.archive import write_archive
from probe.results.cells import result_table
from probe.results.columns import COLUMNS
from probe.results.formats import render
from probe.results.restoring import restore
from probe.store.queries import describe_trial, find_batch
from probe.store.sessions import Store
from probe.store.tables import Batch, BatchQuestion, Block, Call, Endpoint, Instance, Model, Shard, Tally, Trial
from probe.upkeep import examine, prune
from tests.endpoint import Endpoint as ScriptedEndpoint
from tests.endpoint import says
from tests.results.conftest import ARMS
from tests.runs import known, ran, submitted, varied

EMPTY = (Model, Endpoint, Batch, BatchQuestion, Block, Instance, Shard, Call, Trial, Tally)


@pytest.fixture(scope="module")
def archive(study, tmp_path_factory):
    """The archive of the study."""
    file = tmp_path_factory.mktemp("archive") / "study.zip"
    write_archive(study, file)
    return file


@pytest.fixture
def target(migrated_sqlite, tmp_path):
    """An empty database to restore into; where SQLite and PostgreSQL might differ, `store` is either."""
    store = Store(f"sqlite:///{shutil.copy(migrated_sqlite, tmp_path / 'target.sqlite3')}")
    yield store
    store.dispose()


ROWS = (("model",), (*COLUMNS,), ("model", "family", "constraint_kind"))


def tables(store):
    """The tables of all batches and of each: pooled, as fine as they can be, and by constraint kind."""
    out = {}
    with store.reading() as session:
        batches = {name: id_ for id_, name in session.execute(select(Batch.id, Batch.name))}
        for name, batch_id in (batches | {"": None}).items():
            for by in ROWS:
                out[name, by] = render(result_table(session, by, batch=batch_id), "json")
    return out


def counted(store):
    """How many rows there are of each kind."""
    with store.reading() as session:
        return {table.__tablename__: session.scalar(select(func.count()).select_from(table)) for table in EMPTY}


def entries(file):
    """The entries of an archive."""
    with zipfile.ZipFile(file) as zipped:
        return {name: zipped.read(name) for name in zipped.namelist()}


def rebuilt(file, target, change, honest=True):
    """Write an archive with ``change`` applied to its entries; ``honest``: with a manifest that fits them."""
    content = entries(file)
    change(content)
    if honest:
        manifest = json.loads(content[form.MANIFEST])
        for name in manifest["entries"].keys() | content.keys() - {form.MANIFEST}:
            if name not in content:
                del manifest["entries"][name]
            else:
                text = content[name]
                said = {"sha256": hashlib.sha256(text).hexdigest(), "bytes": len(text), "lines": text.count(b"\n")}
                manifest["entries"][name] = said
        content[form.MANIFEST] = json.dumps(manifest).encode()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as zipped:
        for name, text in content.items():
            zipped.writestr(name, text)
    return target


def edited(name, old, new, count=1):
    """A change of the first lines of an entry that match."""

    def change(content):
        text = content[name].decode()
        assert re.search(old, text), (name, old)
        content[name] = re.sub(old, new, text, count=count).encode()

    return change


def refused(store, file, match):
    """Restoring fails with this message, and the database is what it was."""
    before = counted(store)
    with pytest.raises(RequestError, match=match):
        restore(store, file)
    assert counted(store) == before


# --- writing ----------------------------------------------------------------------------------------------------------


def test_the_same_data_give_the_same_bytes(study, archive, tmp_path):
    """Entries stand in a fixed order, with fixed times; every checksum is right; the digest is the manifest's."""
    done = write_archive(study, tmp_path / "again.zip")
    assert (tmp_path / "again.zip").read_bytes() == archive.read_bytes()
    content = entries(archive)
    manifest = json.loads(content[form.MANIFEST])
    assert done.digest == hashlib.sha256(content[form.MANIFEST]).hexdigest()
    assert {name: said["sha256"] for name, said in manifest["entries"].items()} == {
        name: hashlib.sha256(text).hexdigest() for name, text in content.items() if name != form.MANIFEST
    }
    with zipfile.ZipFile(archive) as zipped:
        assert {info.date_time for info in zipped.infolist()} == {form.FIXED_TIME}
    assert [path.name for path in tmp_path.iterdir()] == ["again.zip"]


def test_an_archive_holds_what_was_asked_replied_and_judged_readably(study, archive):
    """The trial that `probe show` shows is there: its instance, its raw reply, its verdict; so are spec and seed."""
    content = entries(archive)
    lines = [json.loads(line) for line in content["answers/0001.jsonl"].splitlines()]
    with study.reading() as session:
        trials = session.scalars(select(Trial).join(Shard).where(Shard.batch_id.is_not(None))).all()
        described = describe_trial(session, next(trial.id for trial in trials if trial.outcome == "infeasible"))
    replies = [call["raw"] for line in lines for call in line.get("calls", ())]
    assert len(replies) == len(trials)
    assert all(json.loads(reply)["choices"] for reply in replies)
    assert any(described["reply"]["text"] in (json.loads(r)["choices"][0]["message"]["content"] or "") for r in replies)
    assert [line["trial"]["outcome"] for line in lines if "trial" in line].count("infeasible") == sum(
        trial.outcome == "infeasible" for trial in trials
    )
    assert described["key"].encode() in content[form.BLOCKS]
    batch = json.loads(content[form.BATCHES].splitlines()[0])
    assert batch["spec"]["arms"][0]["seed"] == 7
    assert all(name in content[form.README].decode() for name in (form.MANIFEST, form.BLOCKS, "probe import"))


def test_no_secret_is_written(study, archive):
    """Of a key only its variable's name; values of extra_body that look like secrets are veiled."""
    everything = b"".join(entries(archive).values())
    assert b"sk-1" not in everything
    assert b'"extra_body":{"api_key":"***"}' in everything


def test_what_is_being_asked_is_left_out_or_refused(source, tmp_path):
    """All batches: those that are done; a named one that is not: the way out."""
    with source.writing() as session:
        session.execute(update(Batch).where(Batch.name == "main").values(state="running"))
    done = write_archive(source, tmp_path / "all.zip")
    assert (done.batches, done.left_out) == (1, [("main", "it is running")])
    with pytest.raises(StateError, match="probe pause main"):
        write_archive(source, tmp_path / "one.zip", ["main"])
    with pytest.raises(RequestError, match="no batch 'other'"):
        write_archive(source, tmp_path / "one.zip", ["other"])
    assert not (tmp_path / "one.zip").exists()


# --- restoring --------------------------------------------------------------------------------------------------------


def test_restoring_gives_equal_tables(study, archive, store):
    """In another database, SQLite or PostgreSQL: every table, chance levels included; and it is a sound database."""
    done = restore(store, archive)
    assert (done.stored, done.known, done.trials) == (["main", "thoughtless"], [], 128)
    assert tables(store) == tables(study)
    assert json.loads(tables(study)["main", ("model",)])["rows"][-1]["chance"]["rate"] > 0
    assert [check for check in examine(store) if check.state == "fail"] == []


def test_a_restored_database_gives_the_same_archive(archive, store, tmp_path):
    """To the byte: nothing of the first database was in it, and nothing got lost."""
    restore(store, archive)
    write_archive(store, tmp_path / "again.zip")
    assert entries(tmp_path / "again.zip") == entries(archive)
    assert (tmp_path / "again.zip").read_bytes() == archive.read_bytes()


def test_restoring_twice_is_restoring_once(archive, store, study):
    """Also into the database that it came from."""
    restore(store, archive)
    before = counted(store)
    done = restore(store, archive)
    assert (done.stored, done.known, done.trials) == ([], ["main", "thoughtless"], 0)
    assert counted(store) == before
    before = counted(study)
    assert restore(study, archive).known == ["main", "thoughtless"]
    assert counted(study) == before


def test_a_deleted_batch_comes_back(archive, source):
    """With the same models, instances and baselines as before."""
    before, made = tables(source), counted(source)
    with source.writing() as session:
        controls.delete(session, source.now(session), find_batch(session, "main"))
    assert restore(source, archive).stored == ["main"]
    assert (tables(source), counted(source)) == (before, made)


def test_rejudging_and_showing_work_on_what_was_restored(archive, target):
    """Raw replies, instances and presentations are all there."""
    restore(target, archive)
    changes = rejudge(target)
    assert (changes.trials > 128, changes.recounted, changes.skipped, changes.moved) == (True, 0, 0, {})
    with target.reading() as session:
        trial = session.scalars(select(Trial.id).join(Shard).where(Shard.batch_id.is_not(None))).first()
        assert "reply" in describe_trial(session, trial)


def test_pruned_replies_stay_pruned_and_tables_equal(source, target, tmp_path):
    """What was pruned before archiving is said to be so, and changes no table."""
    with source.writing() as session:
        session.execute(update(Batch).values(finished_at=1.0))
    assert prune(source, 3600.0).replies == 128
    write_archive(source, tmp_path / "pruned.zip")
    restore(target, tmp_path / "pruned.zip")
    assert tables(target) == tables(source)
    with target.reading() as session:
        assert session.scalar(select(func.count()).where(Call.raw.is_not(None))) == 0


def test_a_reply_that_is_no_text_survives(source, target, tmp_path):
    """Bytes that are no UTF-8 come back as they were."""
    import zlib

    with source.writing() as session:
        call = session.scalars(select(Call)).first()
        call.raw = zlib.compress(b"\xff\0\xfe")
        place = (call.position, call.sample)
    write_archive(source, tmp_path / "odd.zip")
    restore(target, tmp_path / "odd.zip")
    with target.reading() as session:
        found = session.scalars(select(Call.raw).where(Call.position == place[0], Call.sample == place[1]))
        assert b"\xff\0\xfe" in [zlib.decompress(raw) for raw in found]


def test_an_unfinished_batch_is_restored_as_it_stood(source, target, tmp_path):
    """Pending shards and their notes are a part of the table."""
    with source.writing() as session:
        shard = session.scalars(select(Shard).where(Shard.batch_id.is_not(None))).first()
        session.execute(delete(Tally).where(Tally.shard_id == shard.id))
        session.execute(delete(Trial).where(Trial.shard_id == shard.id, Trial.position > 2))
        shard.state = "pending"
        session.execute(update(Batch).where(Batch.id == shard.batch_id).values(state="paused", finished_at=None))
    write_archive(source, tmp_path / "paused.zip")
    restore(target, tmp_path / "paused.zip")
    assert tables(target) == tables(source)
    assert "have no results (pending)" in tables(target)["main", ("model",)]


def test_a_restored_model_is_asked_nothing_and_sent_no_key(source, target, tmp_path):
    """It is removed, at an endpoint without key that must not lie inside: the address is that of whoever made it."""
    with source.writing() as session:
        session.execute(update(Endpoint).values(key_variable="MY_KEY"))
    write_archive(source, tmp_path / "keyed.zip")
    assert b'"key_variable":"MY_KEY"' in entries(tmp_path / "keyed.zip")[form.MODELS]
    restore(target, tmp_path / "keyed.zip")
    assert restore(target, tmp_path / "keyed.zip").stored == []
    with target.reading() as session:
        assert [(row.key_variable, row.internal) for row in session.scalars(select(Endpoint))] == [("", False)]
        assert models.listing(session) == []
        assert len(models.of_batch(session, find_batch(session, "main").id)) == 2


def test_a_model_that_is_here_with_the_same_facts_is_the_same_model(study, archive, target):
    """Its restored answers join the catalogue's row; one of the same name with other facts stays apart."""
    with study.reading() as session:
        url = session.scalars(select(Endpoint.url)).one()
    known(target, url, "large", params=7_000_000_000, reasoning=True, price_in=1.0, price_out=2.5)
    known(target, url, "tiny", params=999)
    restore(target, archive)
    with target.reading() as session:
        of_batch = {model.name: model for model in models.of_batch(session, find_batch(session, "main").id)}
        assert of_batch["large"].removed_at is None
        assert (of_batch["tiny"].params, of_batch["tiny"].removed_at is None) == (135_000_000, False)
        note = "2 models have borne the name tiny"
        assert not any(note in text for text in result_table(session, batch=1).notes)


def test_instances_and_baselines_are_merged_with_those_that_are_here(study, archive, target):
    """Whether fewer or more were made here: nothing is made twice, nothing counted twice, nothing lost."""
    arm = Arm(families=("knapsack",), sizes=("xs",), instances=3)
    longer = Arm(families=("jacobi",), sizes=("xs",), modes=("trace",), instances=9)
    with ScriptedEndpoint(lambda body, number: says("none")) as endpoint:
        known(target, endpoint.url, "own")
        ran(target, submitted(target, BatchSpec(arms=(arm, longer), baselines=("random",)), "own"))
    restore(target, archive)
    assert [check for check in examine(target) if check.state == "fail"] == []
    mine, theirs = tables(target), tables(study)
    assert {key: value for key, value in mine.items() if key[0] in ("main", "thoughtless")} == {
        key: value for key, value in theirs.items() if key[0]
    }


def test_another_batch_of_the_name_is_refused(archive, target):
    """With the way out, and without leaving anything of the archive behind."""
    with ScriptedEndpoint(varied) as endpoint:
        known(target, endpoint.url, "own")
        ran(target, submitted(target, BatchSpec(arms=(ARMS[1],), baselines=("none",)), "thoughtless"))
    refused(target, archive, "batch 'thoughtless' is here already.*PROBE_DATABASE_URL")


def test_other_answers_under_the_same_name_and_spec_are_refused(archive, source):
    """The same batch judged otherwise since is not the same."""
    with source.writing() as session:
        trial = session.scalars(select(Trial).join(Shard).where(Shard.batch_id.is_not(None))).first()
        trial.judge_version = 99
    refused(source, archive, "batch 'main' is here already")


def test_other_instances_under_the_same_key_are_refused(archive, target):
    """Instances are shared by all batches of a database, so they can't be two things."""
    restore(target, archive)
    with target.writing() as session:
        session.execute(update(Instance).where(Instance.position == 1).values(key="0" * 32))
    refused(target, archive, "instances here are others than the archive's")


# --- what is refused --------------------------------------------------------------------------------------------------


def without(name):
    return lambda content: content.pop(name)


def renamed(old, new):
    def change(content):
        content[new] = content.pop(old)

    return change


ANSWERED = "answers/0001.jsonl"
SCORED = r'("outcome":"refusal"[^\n]{0,300}?"satisfied":)'
CONTRADICTIONS = {
    "a satisfied constraint more": (edited(ANSWERED, SCORED + "0", r"\g<1>1"), "itself"),
    "another outcome": (edited(ANSWERED, '"outcome":"infeasible"', '"outcome":"optimal"'), "itself"),
    "an outcome that is none": (edited(ANSWERED, '"outcome":"infeasible"', '"outcome":"splendid"'), "trial.outcome"),
    "a tally of a trial more": (edited(ANSWERED, r'("constraints":\[\[)', r"\g<1>1"), "itself"),
    "a huge count": (edited(ANSWERED, r'("constraints":\[\[)', r"\g<1>99999999999"), "less than"),
    "a field more": (edited(ANSWERED, '"outcome":', '"extra":1,"outcome":'), "Extra inputs"),
    "a NUL": (edited(ANSWERED, '"repairs":""', r'"repairs":"\\u0000"'), "NUL"),
    "no JSON": (edited(ANSWERED, "^{", "["), "line 1"),
    "an answer twice": (edited(ANSWERED, '"position":1,"sample":0', '"position":0,"sample":0'), "twice"),
    "an answer elsewhere": (edited(ANSWERED, '"position":1,"sample":0', '"position":41,"sample":0'), "none to what"),
    "more answers said": (edited(ANSWERED, '"answers":12', '"answers":13'), "Field required"),
    "an unknown model": (edited(ANSWERED, '"model":"[0-9a-f]{32}"', f'"model":"{"0" * 32}"'), "a model 0000"),
    "an unknown block": (edited(ANSWERED, '"block":"[0-9a-f]{32}"', f'"block":"{"0" * 32}"'), "a block 0000"),
    "a changed model": (edited(form.MODELS, '"params":135000000', '"params":7000000000'), "digest of the model"),
    "a key in the URL": (edited(form.MODELS, '/v1","key_variable":"', '/v1","key_variable":"sk-live-1'), "not the key"),
    "a changed way of asking": (edited(form.PRESENTATIONS, '"examples":0', '"examples":3'), "digest of the pres"),
    "another seed": (edited(form.BLOCKS, '"seed":7', '"seed":8'), "digest of the block"),
    "another optimum": (edited(form.BLOCKS, r'"items":\[[0-9,]*\]', '"items":[]'), "answer is wrong"),
    "no such instance": (edited(form.BLOCKS, '"data":{', '"data":{"more":1,'), "can't be read"),
    "a hole": (edited(form.BLOCKS, '"position":5', '"position":9'), "beyond what was prepared"),
    "a changed spec": (edited(form.BATCHES, '"samples":2', '"samples":3'), "not that of its digest"),
    "a spec of nonsense": (edited(form.BATCHES, '"samples":2', '"samples":-2'), "spec of 'main': samples"),
    "a batch that runs": (edited(form.BATCHES, '"state":"complete","canary"', '"state":"running","canary"'), "state"),
    "a batch without answers": (edited(form.BATCHES, ANSWERED, "answers/0009.jsonl"), "no answers/0009"),
    "a batch less": (edited(form.BATCHES, r"\A[^\n]*\n", ""), "no batch of the archive has"),
    "a way out of the folder": (renamed(ANSWERED, "../../answers.jsonl"), "is no file of an archive"),
    "an absolute path": (renamed(ANSWERED, "/tmp/answers.jsonl"), "is no file of an archive"),
    "a file less": (without(form.BASELINES), f"holds no {form.BASELINES}"),
}  # fmt: skip


@pytest.mark.parametrize("what", CONTRADICTIONS)
def test_an_archive_that_contradicts_itself_is_refused(what, archive, tmp_path, empty):
    """Even where whoever changed it made the checksums anew. Nothing is stored, nothing is written beside it."""
    change, match = CONTRADICTIONS[what]
    file = rebuilt(archive, tmp_path / "changed.zip", change)
    refused(empty, file, match)
    assert {path.name for path in tmp_path.iterdir()} <= {"changed.zip", "empty.sqlite3"}


@pytest.fixture(scope="module")
def empty(migrated_sqlite, tmp_path_factory):
    """A database in which nothing is ever stored."""
    file = tmp_path_factory.mktemp("empty") / "empty.sqlite3"
    store = Store(f"sqlite:///{shutil.copy(migrated_sqlite, file)}")
    yield store
    store.dispose()


@pytest.mark.parametrize("name", [ANSWERED, form.BASELINES, form.BATCHES, form.BLOCKS, form.MODELS, form.README])
def test_a_changed_file_is_refused_by_its_checksum(name, archive, tmp_path, empty):
    """Whichever it is, and however little was changed."""

    def change(content):
        content[name] = content[name].replace(b"e", b"a", 1)

    refused(empty, rebuilt(archive, tmp_path / "c.zip", change, honest=False), f"{name} is not what manifest.json says")


@pytest.mark.parametrize("kept", [0.0, 0.1, 0.5, 0.99])
def test_a_cut_file_is_refused(kept, archive, tmp_path, empty):
    """A download that ended early."""
    content = archive.read_bytes()
    (tmp_path / "cut.zip").write_bytes(content[: int(kept * len(content))])
    refused(empty, tmp_path / "cut.zip", "not a whole archive")


def test_a_flipped_bit_is_refused(archive, tmp_path, empty):
    """Somewhere in the middle of the packed bytes."""
    content = bytearray(archive.read_bytes())
    content[len(content) // 3] ^= 4
    (tmp_path / "flipped.zip").write_bytes(content)
    refused(empty, tmp_path / "flipped.zip", "not a whole archive|is not what")


def test_a_bomb_is_refused_before_it_is_unpacked(archive, tmp_path, empty):
    """What would unpack to far more than such files hold."""

    def change(content):
        content[ANSWERED] += b" " * (1 << 25)

    refused(empty, rebuilt(archive, tmp_path / "bomb.zip", change), "would unpack to 3[0-9],[0-9]{3},[0-9]{3} bytes")


def test_another_version_is_refused(archive, tmp_path, empty):
    """With the way out."""
    file = rebuilt(archive, tmp_path / "new.zip", edited(form.MANIFEST, '"version": 1', '"version": 2'), honest=False)
    refused(empty, file, "version 2, this program reads 1; upgrade solver-probe")


def test_what_is_no_archive_is_refused(tmp_path, empty):
    """Another ZIP, another file, no file."""
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as zipped:
        zipped.writestr("hello.txt", "hello")
    refused(empty, tmp_path / "other.zip", "not an archive of solver-probe")
    (tmp_path / "text.zip").write_text("hello")
    refused(empty, tmp_path / "text.zip", "not a whole archive")
    refused(empty, tmp_path / "none.zip", "No such file")


# --- commands ---------------------------------------------------------------------------------------------------------


def test_the_commands(probe, tmp_path):
    """`probe export archive` and `probe import`, as a user types them."""
    arms = ["--families", "knapsack", "--sizes", "xs", "--instances", "3", "--baselines", "random,exact"]
    assert probe("run", *arms, "--models", "none", "--name", "first")[0] == 0
    before = probe("results", "--batch", "first", "--format", "json")[1]
    code, out, err = probe("export", "archive", "--batch", "first", "-o", "first.zip")
    assert (code, out) == (0, "")
    digest = re.search(r"its digest, to be cited, is ([0-9a-f]{64})", err)[1]
    assert probe("delete", "first")[0] == 0
    code, out, err = probe("import", "first.zip")
    assert (code, out) == (0, "restored first\n"), err
    assert digest in err
    assert probe("import", "first.zip")[1] == "here already first\n"
    assert probe("results", "--batch", "first", "--format", "json")[1] == before
    for arguments, said in [
        (("export", "archive", "-o", "first.tar"), "must end with .zip"),
        (("export", "archive", "--batch", "none", "-o", "a.zip"), "no batch 'none'"),
        (("export", "archive", "-o", "no/folder/a.zip"), "can't be written"),
        (("export", "nonsense", "-o", "a.zip"), "one of"),
        (("import", "none.zip"), "No such file"),
        (("import", "first.zip", "other.txt"), "restored alone"),
        (("import", "knapsack"), "name the files"),
    ]:
        code, _, err = probe(*arguments)
        assert (code, said in err) == (2, True), (arguments, err)
