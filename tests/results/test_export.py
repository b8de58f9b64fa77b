"""Exports: trials, results by kind, cells and preference pairs hold what the database and the judge say."""

import csv
import json
import sys
import zlib
from pathlib import Path

import pyarrow.parquet
import pytest
from sqlalchemy import func, select, update

from probe.asking.judging import judge_reply
from probe.asking.posed import load
from probe.errors import RequestError
from probe.preparing import unpack_document
from probe.results import exports
from probe.results.cells import result_table
from probe.results.columns import BY
from probe.results.preferences import write_preferences
from probe.results.rows import Column, documented, write_rows
from probe.store.queries import describe_trial
from probe.store.tables import Batch, Call, ConstraintResult, Instance, Shard, Trial
from tests.results.conftest import FORMULA

DOCS = (Path(__file__).parents[2] / "docs" / "export.md").read_text(encoding="utf-8")


def exported(store, file, kind=exports.trial_pages, columns=exports.TRIALS, batches=None, **where):
    """The rows of an exported file."""
    with store.reading() as session:
        count = write_rows(file, columns, kind(session, batches, where))
    rows = pyarrow.parquet.read_table(file).to_pylist() if file.suffix == ".parquet" else read_csv(file)
    assert len(rows) == count
    return rows


def read_csv(file):
    with file.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def preferences(store, file, **options):
    """(the pairs, what was left out)."""
    with store.reading() as session:
        done = write_preferences(session, file, **options)
    pairs = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    assert len(pairs) == done.written
    return pairs, done.left_out


# --- trials, results by kind, cells -----------------------------------------------------------------------------------


def test_every_trial_stands_there_once_as_probe_show_tells_it(study, tmp_path):
    """Models' and baselines': facts of model and instance, outcome, counts, use of tokens."""
    rows = exported(study, tmp_path / "trials.parquet")
    with study.reading() as session:
        assert [row["trial"] for row in rows] == list(session.scalars(select(Trial.id).order_by(Trial.id)))
        for row in rows[::17]:
            told = describe_trial(session, row["trial"])
            same = ("model", "key", "family", "size", "mode", "sample", "outcome", "satisfied", "objective", "answer")
            assert {name: row[name] for name in same} == {name: told[name] for name in same}
            assert row["constraints"] == len(told["checks"])
            assert row["gap"] == (None if told["gap"] is None else round(told["gap"] * 1e6))
            assert row["calls"] == len(told["calls"])
            if told["calls"]:
                assert (row["prompt_tokens"], row["answer_tokens"], row["fingerprint"]) == (7, 3, FORMULA)
    tiny = next(row for row in rows if row["model"] == "tiny")
    assert (tiny["params"], tiny["lineage"], tiny["reasoning"], tiny["seed"]) == (135_000_000, "Tiny", False, 7)
    baseline = next(row for row in rows if row["model"] == "random")
    assert (baseline["batch"], baseline["model_kind"], baseline["channel"]) == (None, "baseline", None)


def test_a_reanalysis_of_the_exported_trials_gives_the_table(study, tmp_path):
    """Satisfied of all constraints, over scored trials: the rate of the result table, from nothing but the file."""
    rows = exported(study, tmp_path / "trials.parquet")
    with study.reading() as session:
        batch = session.scalars(select(Batch.id).where(Batch.name == "main")).one()
        cells = {cell.group["model"]: cell for cell in result_table(session, ("model",), batch=batch).cells}
    for model in ("tiny", "large", "exact"):
        mine = [row for row in rows if row["model"] == model and row["scored"]]
        share = sum(row["satisfied"] for row in mine) / sum(row["constraints"] for row in mine)
        assert share == pytest.approx(cells[model].rates["satisfaction_micro"].rate)


def test_types_are_those_of_the_columns(study, tmp_path):
    """Parquet carries them, with what each column means; a column without any value has its type all the same."""
    exported(study, tmp_path / "t.parquet")
    schema = pyarrow.parquet.read_schema(tmp_path / "t.parquet")
    kinds = {"text": "string", "whole": "int64", "number": "double", "flag": "bool"}
    for column in exports.TRIALS:
        field = schema.field(column.name)
        assert (str(field.type), field.metadata[b"about"].decode()) == (kinds[column.type], column.about)


def test_pages_of_any_size_give_the_same_rows(study, tmp_path, monkeypatch):
    """Also where the trials of one shard stand on several pages; CSV and parquet agree."""
    whole = exported(study, tmp_path / "a.parquet")
    monkeypatch.setattr(exports, "PAGE", 7)
    assert exported(study, tmp_path / "b.parquet") == whole
    assert pyarrow.parquet.ParquetFile(tmp_path / "b.parquet").num_row_groups > 30
    for row, text in zip(whole, exported(study, tmp_path / "c.csv"), strict=True):
        assert text["trial"] == str(row["trial"])
        assert text["scored"] == ("true" if row["scored"] else "false")
        assert text["gap"] == ("" if row["gap"] is None else str(row["gap"]))
        assert text["seconds"] == ("" if row["seconds"] is None else repr(row["seconds"]))


def test_batch_and_where_choose(study, tmp_path):
    """A batch comes with the baselines on its questions, another condition with what meets it."""
    with study.reading() as session:
        thoughtless = session.scalars(select(Batch.id).where(Batch.name == "thoughtless")).one()
        main = session.scalars(select(Batch.id).where(Batch.name == "main")).one()
    rows = exported(study, tmp_path / "a.csv", batches=[main])
    assert {row["batch"] for row in rows} == {"main", ""}
    assert {row["model"] for row in rows} == {"tiny", "large", "blank", "random", "greedy", "exact", "template"}
    assert exported(study, tmp_path / "b.csv", batches=[thoughtless]) == []  # no model was asked
    rows = exported(study, tmp_path / "c.csv", family="jacobi", model="tiny,exact")
    assert {(row["family"], row["model"]) for row in rows} == {("jacobi", "tiny"), ("jacobi", "exact")}
    with pytest.raises(RequestError, match="where: unknown 'colour'"):
        exported(study, tmp_path / "d.csv", colour="red")
    assert not (tmp_path / "d.csv").exists()


def test_results_by_kind_add_up_to_the_trials(study, tmp_path):
    """Of every scored trial; the failed ids are those that `probe show` marks."""
    rows = exported(study, tmp_path / "k.parquet", exports.constraint_pages, exports.CONSTRAINTS)
    with study.reading() as session:
        assert len(rows) == session.scalar(select(func.count()).select_from(ConstraintResult))
        trials = {row.id: row for row in session.scalars(select(Trial))}
        for row in rows[::41]:
            told = describe_trial(session, row["trial"])
            failed = [check["id"] for check in told["checks"] if not check["satisfied"]]
            mine = [name for name in failed if name.rpartition(".")[0] == row["constraint_kind"]]
            assert row["failed"] == ",".join(mine)
            assert row["kind_satisfied"] == row["kind_constraints"] - len(mine)
    sums = {}
    for row in rows:
        n, y = sums.get(row["trial"], (0, 0))
        sums[row["trial"]] = (n + row["kind_constraints"], y + row["kind_satisfied"])
    assert sums == {id_: (trials[id_].constraints, trials[id_].satisfied) for id_ in sums}
    assert {id_ for id_, t in trials.items() if t.outcome in ("no_reply", "cap_hit", "transport_error")}.isdisjoint(
        sums
    )


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_cells_are_those_of_the_table(study, tmp_path, ending):
    """Every number of every row, whatever it is split by."""
    with study.reading() as session:
        table = result_table(session, (*BY[:-2], "constraint_kind"))
    file = tmp_path / f"cells.{ending}"
    assert write_rows(file, exports.cell_columns(table), exports.cell_pages(table)) == len(table.cells)
    rows = read_csv(file) if ending == "csv" else pyarrow.parquet.read_table(file).to_pylist()
    for row, cell in zip(rows, table.cells, strict=True):
        rate = cell.rates["satisfaction_micro"]
        found = (row["n_trials"], row["satisfaction_micro"], row["satisfaction_micro_clusters"], row["constraint_kind"])
        wanted = (cell.n_trials, rate and rate.rate, rate and rate.clusters, cell.group["constraint_kind"])
        assert tuple(map(str, found)) == tuple("" if v is None and ending == "csv" else str(v) for v in wanted)


def test_a_spreadsheet_runs_nothing_that_a_model_wrote(study, source, tmp_path):
    """A foreign text that begins like a formula gets an apostrophe in CSV, and none in parquet; NUL goes."""
    row = next(row for row in exported(study, tmp_path / "t.csv") if row["fingerprint"])
    assert row["fingerprint"] == f"'{FORMULA}"
    columns = [Column("mine", "number", "ours"), Column("theirs", "text", "foreign", foreign=True)]
    texts = ["=1+1", "+1", "-1", "@A1", "\tx", "\rx", "a\0b", 'say "no",\nplease', "fine"]
    write_rows(tmp_path / "x.csv", columns, [[{"mine": -1.5, "theirs": text} for text in texts]])
    found = read_csv(tmp_path / "x.csv")
    assert [row["theirs"] for row in found] == [f"'{t}" for t in texts[:5]] + ["'\nx", "a\ufffdb", *texts[7:]]
    assert {row["mine"] for row in found} == {"-1.5"}


def test_other_endings_and_places_are_refused(study, tmp_path, monkeypatch):
    """With the way out; parquet without pyarrow too. Nothing is left behind."""
    with pytest.raises(RequestError, match=r"must end with \.parquet or \.csv"):
        exported(study, tmp_path / "t.xlsx")
    with pytest.raises(RequestError, match="can't be written"):
        exported(study, tmp_path / "no" / "t.csv")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(RequestError, match=r"pip install 'solver-probe\[export\]'"):
        exported(study, tmp_path / "t.parquet")
    assert list(tmp_path.iterdir()) == []


def test_every_column_is_documented():
    """docs/export.md has the columns as they are exported."""
    for columns in (exports.TRIALS, exports.CONSTRAINTS, exports.CELLS):
        assert "\n".join(documented(columns)) in DOCS


# --- preference pairs -------------------------------------------------------------------------------------------------


def judged(store, pair, message):
    """The verdict of a message of a pair, by the judge."""
    with store.reading() as session:
        instance = session.scalars(select(Instance).where(Instance.key == pair["metadata"]["key"])).one()
        posed = load(unpack_document(instance.document), pair["metadata"]["mode"])
    calls = message.get("tool_calls")
    return judge_reply(posed, calls[0]["function"]["arguments"] if calls else message["content"], "stop")


def test_the_chosen_answer_scores_full_and_the_rejected_one_what_is_stored(study, tmp_path):
    """By the judge, in the channel's own form; the prompt is what the model saw."""
    pairs, _ = preferences(study, tmp_path / "p.jsonl")
    assert {pair["metadata"]["channel"] for pair in pairs} == {"text", "tool"}
    assert {"infeasible", "malformed", "unparsed", "refusal"} <= {pair["metadata"]["outcome"] for pair in pairs}
    for pair in pairs:
        facts = pair["metadata"]
        [chosen], [rejected] = pair["chosen"], pair["rejected"]
        best, own = judged(study, pair, chosen), judged(study, pair, rejected)
        assert best.outcome == ("optimal" if facts["family"] == "knapsack" else "feasible")
        assert best.satisfied == len(best.checks) == facts["constraints"]
        if facts["outcome"] != "refusal":  # the endpoint's word, not the text's
            assert (own.outcome, own.satisfied) == (facts["outcome"], facts["satisfied"])
        assert ("tool_calls" in chosen, "tools" in pair) == (facts["channel"] == "tool",) * 2
        with study.reading() as session:
            told = describe_trial(session, facts["trial"])
        assert pair["prompt"] == [{"role": "user", "content": told["prompt"]}]
        broken = {check["id"].rpartition(".")[0] for check in told["checks"] if not check["satisfied"]}
        assert facts["violated"] == (sorted(broken) if facts["outcome"] == "infeasible" else [])


def test_unscored_and_right_answers_are_never_used(study, tmp_path):
    """Neither is a wrong answer of a model, nor is a baseline's."""
    pairs, _ = preferences(study, tmp_path / "p.jsonl")
    assert {pair["metadata"]["outcome"] for pair in pairs} <= {
        "refusal", "unparsed", "malformed", "infeasible", "feasible",
    }  # fmt: skip
    assert {pair["metadata"]["model"] for pair in pairs} == {"tiny", "large"}


def test_the_same_pair_stands_there_once(study, tmp_path):
    """Two models, two samples: what is left out is counted, and everything wrong is one or the other."""
    pairs, left_out = preferences(study, tmp_path / "p.jsonl")
    assert len({json.dumps([pair["prompt"], pair["rejected"]]) for pair in pairs}) == len(pairs)
    wrong = Trial.outcome.in_(("refusal", "unparsed", "malformed", "infeasible"))
    with study.reading() as session:
        query = select(func.count()).select_from(Trial).join(Shard).where(Shard.batch_id.is_not(None), wrong)
        assert len(pairs) + left_out.total() == session.scalar(query)
    assert list(left_out) == ["the same answer to the same prompt stands there already"]


def test_kinds_choose_by_what_is_violated(study, tmp_path):
    """Only answers that were read, and break a constraint of one of the kinds."""
    whole, _ = preferences(study, tmp_path / "a.jsonl")
    some, _ = preferences(study, tmp_path / "b.jsonl", kinds=["capacity"])
    assert some == [pair for pair in whole if "capacity" in pair["metadata"]["violated"]] != []
    with pytest.raises(RequestError, match="--kinds: unknown 'gravity'"):
        preferences(study, tmp_path / "c.jsonl", kinds=["gravity"])
    with pytest.raises(RequestError, match=r"must end with \.jsonl"):
        preferences(study, tmp_path / "c.json")


def test_what_is_left_out_is_told_with_the_reason(source, tmp_path):
    """Pruned replies, another template, a verdict that this program would not give."""
    with source.writing() as session:
        trials = [
            trial
            for trial in session.scalars(select(Trial).join(Shard).where(Shard.batch_id.is_not(None)))
            if trial.outcome == "infeasible"
        ]
        mine = (Call.shard_id == trials[0].shard_id, Call.position == trials[0].position)
        session.execute(update(Call).where(*mine, Call.sample == trials[0].sample).values(raw=None))
        trials[1].satisfied += 1
    _, left_out = preferences(source, tmp_path / "p.jsonl")
    assert left_out["its raw reply was pruned"] == 1
    assert left_out["this program judges it otherwise (run probe rejudge)"] == 1


def test_a_hostile_reply_stays_one_line(source, tmp_path):
    """Line ends, NULs and quotes of a reply are escaped, and come back as the judge reads them."""
    text = 'line\nbreak\u2028"quoted"\0 and no answer'
    body = {"choices": [{"message": {"role": "assistant", "content": text}, "finish_reason": "stop"}]}
    with source.writing() as session:
        trial = session.scalars(select(Trial).join(Shard).where(Trial.outcome == "unparsed")).first()
        mine = (Call.shard_id == trial.shard_id, Call.position == trial.position, Call.sample == trial.sample)
        session.execute(update(Call).where(*mine).values(raw=zlib.compress(json.dumps(body).encode())))
    pairs, _ = preferences(source, tmp_path / "p.jsonl")
    assert text.replace("\0", "\ufffd") in [pair["rejected"][0]["content"] for pair in pairs]


# --- the command ------------------------------------------------------------------------------------------------------


def test_the_command(probe, study, monkeypatch):
    """Each kind, as a user types it; what is wrong is told with exit code 2."""
    monkeypatch.setenv("PROBE_DATABASE_URL", f"sqlite:///{study.file}")
    for arguments, said in [
        (("trials", "-o", "t.csv", "--batch", "main", "--where", "family=jacobi"), "wrote t.csv: "),
        (("constraints", "-o", "c.parquet"), "wrote c.parquet: "),
        (("cells", "-o", "cells.csv", "--by", "model,family"), "wrote cells.csv: 12 rows"),
        (("preferences", "-o", "p.jsonl", "--kinds", "capacity,conflict"), "left out "),
        (("inspect", "-o", "logs"), "inspect view --log-dir logs"),
    ]:
        code, _, err = probe("export", *arguments)
        assert (code, said in err) == (0, True), err
    for arguments, said in [
        (("trials", "-o", "t.csv", "--by", "model"), "--by: only cells"),
        (("cells", "-o", "t.csv", "--kinds", "capacity"), "--kinds: of preferences"),
        (("cells", "-o", "t.csv", "--by", "colour"), "by: unknown colour"),
        (("cells", "-o", "t.csv", "--batch", "main", "--batch", "thoughtless"), "--batch: cells are of one"),
        (("archive", "-o", "t.zip", "--where", "family=jacobi"), "--where: an archive holds whole"),
        (("trials", "-o", "t.csv", "--batch", "none"), "no batch 'none'"),
        (("trials", "-o", "t.csv", "--where", "family"), "write key=value"),
    ]:
        code, _, err = probe("export", *arguments)
        assert (code, said in err) == (2, True), (arguments, err)
