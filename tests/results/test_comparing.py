"""Comparisons: every number equals a count over single trials in pairs; what can't be compared is refused."""

import shutil
from collections import defaultdict

import numpy as np
import pytest
from sqlalchemy import text, update

from probe.errors import RequestError
from probe.results import statistics as s
from probe.results.comparing import MCNEMAR, SWAPS, compare, default_by
from probe.store import tables as t
from probe.store.sessions import Store, open_store
from tests.results.study import fill
from tests.results.test_cells import base, counted, of_baseline, trials

MANNER = ("channel", "effort")
MATCHED = ("model", "variant", "mode", *MANNER)


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    """An SQLite file with results in which both batches are also asked in the other's manner, and its trials."""
    file = tmp_path_factory.mktemp("compared") / "probe.sqlite3"
    store = open_store(f"sqlite:///{file}")
    with store.writing() as session:
        fill(session)
        session.execute(text("UPDATE presentation SET effort = NULL"))
        rows = trials(session)
    store.dispose()
    return file, rows


@pytest.fixture
def study(filled, tmp_path):
    """A store with results."""
    store = Store(f"sqlite:///{shutil.copy(filled[0], tmp_path / 'probe.sqlite3')}")
    yield store
    store.dispose()


def compared(store, pair, by=(), **more):
    with store.reading() as session:
        return compare(session, pair, by, **more)


def paired(rows, column, values, measure, by=()):
    """By row: {base: [n, y of a, n, y of b]} summed over what both answered, of several samples the mean; and how many
    bases one side alone answered."""
    cells = defaultdict(lambda: [[], []])
    for trial in rows:
        if trial["model_kind"] == "endpoint" and trial[column] in values and (found := counted(trial, measure)):
            key = (*(trial[name] for name in MATCHED if name != column), base(trial))
            cells[tuple(trial[name] for name in by), key][values.index(trial[column])].append(found)
    out, seen = defaultdict(lambda: defaultdict(lambda: np.zeros(4))), defaultdict(lambda: (set(), set()))
    for (row, key), sides in cells.items():
        for i in range(2):
            if sides[i]:
                seen[row][i].add(key[-1])
        if all(sides):
            means = [np.mean(side, axis=0) for side in sides]
            if measure == "satisfaction_macro":
                means = [(1, y / n) for n, y in means]
            out[row][key[-1]] += np.concatenate(means)
    return out, {row: tuple(len(side - set(out[row])) for side in seen[row]) for row in seen}


@pytest.mark.parametrize("measure", ["satisfaction_micro", "satisfaction_macro", "feasible", "optimal"])
@pytest.mark.parametrize(
    ("column", "values", "by"),
    [
        ("model", ("small", "large"), ()),
        ("model", ("small", "large"), ("family", "variant")),
        ("channel", ("json", "text"), ("model",)),
        ("variant", ("fresh", "renamed"), ("model", "family")),
        ("mode", ("final", "trace"), ("model",)),
    ],
    ids=str,
)
def test_every_number_is_a_count_over_pairs(filled, study, column, values, by, measure):
    """Rates, difference, interval, p and what is left out are those of the same base instances asked the same else."""
    expected, alone = paired(filled[1], column, values, measure, by)
    pair = f"{column}={','.join(values)}"
    if not any(expected.values()):  # a method's answers have no optimum
        with pytest.raises(RequestError, match="have no scored answer to the same question"):
            compared(study, pair, by, measure=measure)
        return
    found = compared(study, pair, by, measure=measure)
    assert {tuple(row.group.values()) for row in found.rows} == {row for row in expected if expected[row]}
    for row in found.rows:
        key = tuple(row.group[name] for name in by)
        na, ya, nb, yb = np.array(list(expected[key].values())).T
        difference = s.paired_difference(na, ya, nb, yb)
        assert row.difference.difference == pytest.approx(difference.difference, abs=1e-12)
        assert row.difference.clusters == len(na)
        if difference.low is None:
            assert row.difference.low is None
        else:
            assert (row.difference.low, row.difference.high) == pytest.approx((difference.low, difference.high))
        assert [side.rate for side in row.sides] == pytest.approx([ya.sum() / na.sum(), yb.sum() / nb.sum()])
        assert row.left_out == alone[key]
        if row.test == MCNEMAR:
            assert row.difference.p == s.mcnemar_mid_p(int((ya > yb).sum()), int((yb > ya).sum()))
        else:
            assert row.difference.p == pytest.approx(difference.p, abs=0.05)


def test_one_binary_trial_an_instance_is_tested_by_mcnemar(study):
    """Where each base is one trial on both sides; pooled or graded answers are tested by swapping whole instances."""
    alone = {"variant": "fresh", "family": "packing", "size": "s"}
    assert {row.test for row in compared(study, "small,large", where=alone, batch=1, measure="feasible").rows} == {
        MCNEMAR
    }
    assert {row.test for row in compared(study, "small,large", where=alone, batch=1).rows} == {SWAPS}
    assert {row.test for row in compared(study, "small,large", measure="feasible").rows} == {SWAPS}


def test_p_is_adjusted_over_the_rows(study):
    """Holm and Benjamini-Hochberg are taken over the table that is shown."""
    rows = compared(study, "variant=fresh,renamed", ("model", "family")).rows
    p = [row.difference.p for row in rows]
    assert len(p) > 3
    assert [row.holm for row in rows] == pytest.approx(list(s.holm(p)))
    assert [row.benjamini_hochberg for row in rows] == pytest.approx(list(s.benjamini_hochberg(p)))


def test_chance_is_the_baselines_rate_on_each_sides_questions(filled, study):
    """Where both sides have the same questions it is one number, among twins each has its own."""
    models = compared(study, "small,large").rows[0].chance
    assert models[0] == models[1] is not None
    [row] = compared(study, "variant=fresh,renamed", where={"model": "small", "mode": "final"}, batch=1).rows
    rows = of_baseline(filled[1], "random")
    assert row.chance[0] != row.chance[1]
    assert all(0 < chance < 1 for chance in row.chance)
    everything = [counted(trial, "satisfaction_micro") for trial in rows]
    overall = sum(y for _, y in everything) / sum(n for n, _ in everything)
    assert row.chance == pytest.approx((overall, overall), abs=0.05)


def test_parts_of_constraints_are_compared_apart(study):
    """By constraint kind there is a row each, and a condition keeps some."""
    rows = compared(study, "small,large", ("constraint_kind",)).rows
    assert [row.group["constraint_kind"] for row in rows] == ["capacity", "floor", "pair"]
    [floor] = compared(study, "small,large", where={"constraint_kind": "floor"}).rows
    assert floor.difference == rows[1].difference


def test_a_model_is_compared_with_a_baseline(study):
    """The baseline has no manner: its answers to the same questions are the pairs."""
    [row] = compared(study, "large,random").rows
    assert row.difference.difference > 0.2
    assert row.sides[1].rate == pytest.approx(row.chance[0])


@pytest.mark.parametrize(
    ("pair", "by"), [("small,large", ()), ("reasoning=true,false", ()), ("channel=json,text", ("model",))]
)
def test_a_row_is_a_model_unless_models_are_compared(pair, by):
    """What a row is without --by."""
    assert default_by(pair) == by


def test_what_one_side_alone_answered_is_said(study):
    """Left out, and how many; unscored trials too."""
    notes = " ".join(compared(study, "small,unsized").notes)
    assert "instances are left out because only small has a scored answer to them." in notes
    assert "trials of unsized are unscored: they are in no pair." in notes


@pytest.mark.parametrize(
    ("pair", "more", "named"),
    [
        ("small", {}, "is not two models"),
        ("small,small", {}, "is not two models"),
        ("small,nobody", {}, "no answers with model=nobody here; there are large, small, unsized"),
        ("channel=json,tool", {}, "no answers with channel=tool"),
        ("family=packing,sweeps", {}, "have no instance in common"),
        ("constraint_kind=pair,floor", {}, "one answer has constraints of each constraint_kind"),
        ("warning=maybe,true", {}, "warning='maybe' is not true or false"),
        ("small,large", {"by": ("params",)}, "by: params may differ between the two"),
        ("small,large", {"by": ("colour",)}, "by: unknown colour"),
        ("small,large", {"measure": "luck"}, "measure: unknown 'luck'"),
        ("small,large", {"baseline": "luck"}, "baseline: unknown 'luck'"),
        ("small,unsized", {"where": {"size": "s"}}, "no answers with model=unsized here"),
    ],
    ids=str,
)
def test_wrong_requests_name_the_field_and_the_way_out(study, pair, more, named):
    """What isn't known, or makes no pair, is refused."""
    with pytest.raises(RequestError, match=named):
        compared(study, pair, **more)


def test_what_is_not_comparable_is_refused_with_the_reason(study):
    """No instance in common, another manner, other caps on answer tokens, other versions of the judge."""
    with pytest.raises(
        RequestError, match=r"never asked the same question in the same way \(channel json against text\)"
    ):
        compared(study, "batch=one,two", ("model",))
    with study.writing() as session:
        more = {"channel": "json", "answer_tokens": 2048}
        session.execute(update(t.Presentation).where(t.Presentation.id == 2).values(**more))
    with pytest.raises(RequestError, match="one had a cap of 512 answer tokens, two one of 2048"):
        compared(study, "batch=one,two", ("model",))
    assert compared(study, "answer_tokens=512,2048", ("model",)).rows
    with study.writing() as session:
        mine = session.query(t.Shard.id).filter(t.Shard.batch_id == 2)
        session.execute(update(t.Tally).where(t.Tally.shard_id.in_(mine)).values(judge_version=99))
    with pytest.raises(RequestError, match="probe rejudge"):
        compared(study, "answer_tokens=512,2048", ("model",))
    with study.writing() as session:
        session.execute(text("UPDATE tally SET judge_version = 1"))
        for model in (1, 2):  # each keeps the blocks of one number
            of_block = "SELECT question.id FROM question JOIN block ON block.id = block_id WHERE number = :number"
            session.execute(
                text(f"DELETE FROM shard WHERE model_id = :model AND question_id IN ({of_block})"),
                {"model": model, "number": model - 1},
            )
    with pytest.raises(RequestError, match="small and large answered no instance in common"):
        compared(study, "small,large")
