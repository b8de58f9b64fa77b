"""Cells: every number equals a count over single trials; what can't be compared is refused or said."""

import math
import random
import shutil
from collections import Counter, defaultdict

import numpy as np
import pytest
from sqlalchemy import insert, select, text, update

from probe.asking.judging import JUDGE_VERSION, OUTCOMES, UNSCORED
from probe.asking.measures import pack, tally, unpack
from probe.batches import Arm, BatchSpec
from probe.controls import queue
from probe.errors import RequestError, WorkError
from probe.rejudging import rejudge
from probe.results import statistics as s
from probe.results.cells import result_table
from probe.results.columns import BY, COLUMNS
from probe.results.counting import MEASURES
from probe.store import tables as t
from probe.store.sessions import Store, open_store
from probe.submitting import extend
from probe.upkeep import prune
from tests.endpoint import Endpoint
from tests.results.study import KINDS, answer, fill
from tests.runs import known, ran, submitted, varied


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    """An SQLite file with results, to be copied."""
    file = tmp_path_factory.mktemp("results") / "probe.sqlite3"
    store = open_store(f"sqlite:///{file}")
    with store.writing() as session:
        fill(session)
    store.dispose()
    return file


@pytest.fixture
def study(filled, tmp_path):
    """A store with results."""
    store = Store(f"sqlite:///{shutil.copy(filled, tmp_path / 'probe.sqlite3')}")
    yield store
    store.dispose()


# --- the same by counting single trials -------------------------------------------------------------------------------

TRIALS = """
    SELECT trial.id, trial.position, trial.outcome, trial.constraints, trial.satisfied, trial.gap, shard.question_id,
      shard.batch_id, model.name AS model, model.kind AS model_kind, model.params, model.reasoning,
      family_version.name AS family, block.id AS block, block.size, block.number, block.variant, question.mode,
      presentation.channel, presentation.effort
    FROM trial JOIN shard ON trial.shard_id = shard.id JOIN model ON shard.model_id = model.id
      JOIN question ON shard.question_id = question.id JOIN block ON question.block_id = block.id
      JOIN family_version ON block.family_version_id = family_version.id
      LEFT JOIN presentation ON shard.presentation_id = presentation.id"""


def trials(session):
    """Every trial as a mapping, with its results by constraint kind."""
    kinds = defaultdict(dict)
    for trial, kind, n, y in session.execute(
        text("SELECT trial_id, kind, constraints, satisfied FROM constraint_result")
    ):
        kinds[trial][kind] = (n, y)
    return [dict(row._mapping) | {"kinds": kinds[row.id]} for row in session.execute(text(TRIALS))]


def base(trial):
    return (trial["family"], trial["size"], trial["number"], trial["position"])


def instance(trial):
    return (trial["block"], trial["position"])


def asked(trial):
    return (trial["question_id"], trial["position"])


def counted(trial, measure):
    """(n, y) of one trial, None where it doesn't count."""
    if trial["outcome"] in UNSCORED:
        return None
    if measure in ("satisfaction_micro", "satisfaction_macro"):
        return trial["constraints"], trial["satisfied"]
    if measure == "satisfaction_given_wellformed":
        well = trial["outcome"] in ("infeasible", "feasible", "optimal")
        return (trial["constraints"], trial["satisfied"]) if well else None
    if measure == "feasible":
        return 1, int(trial["constraints"] == trial["satisfied"])
    if measure == "feasible_core":
        return 1, int(all(n == y for kind, (n, y) in trial["kinds"].items() if kind not in ("floor", "target")))
    if measure == "optimal":
        return (1, int(trial["outcome"] == "optimal")) if trial["family"] in ("packing", "knapsack") else None
    if measure == "gap":
        return None if trial["gap"] is None else (1, trial["gap"] / 1e6)
    return trial["kinds"].get(measure)  # a constraint kind


def pairs(rows, chance, measure):
    """[(trial, n, y, expected y of the baseline)], None where the baseline lacks an answer."""
    rates = defaultdict(lambda: [0, 0])
    for trial in chance:
        if found := counted(trial, measure):
            rates[asked(trial)][0] += found[0]
            rates[asked(trial)][1] += found[1]
    out = []
    for trial in rows:
        if found := counted(trial, measure):
            n, y = rates[asked(trial)]
            out.append((trial, *found, found[0] * y / n if n else None))
    return out


def clusters(counts, key=base):
    """Sums of (n, y, …) by key, as columns."""
    sums = defaultdict(lambda: None)
    for trial, *values in counts:
        old = sums[key(trial)]
        sums[key(trial)] = values if old is None else [a + b for a, b in zip(old, values, strict=True)]
    return list(zip(*sums.values(), strict=True))


def close(interval, expected):
    """Whether two intervals are the same, but for rounding."""
    if interval is None or expected is None:
        return interval is expected
    return all(
        a is b or (a is not None and b is not None and math.isclose(a, b, rel_tol=1e-9, abs_tol=1e-12))
        for a, b in ((getattr(interval, n), getattr(expected, n)) for n in ("rate", "low", "high", "n", "clusters"))
    )


def check(cell, rows, chance, measure="satisfaction_micro", kind=None):
    """Compare a cell with counts over its single trials and those of the baseline."""
    outcomes = Counter(trial["outcome"] for trial in rows)
    assert cell.n_trials == len(rows)
    assert cell.n_instances == len({instance(trial) for trial in rows})
    assert cell.outcomes == {o: outcomes[o] for o in OUTCOMES}
    assert cell.unscored == {o: outcomes[o] for o in UNSCORED}
    for name in ("satisfaction_micro", "satisfaction_given_wellformed", "feasible", "feasible_core", "optimal"):
        found = [(trial, *got) for trial in rows if (got := counted(trial, kind or name))]
        if kind and name != "satisfaction_micro":
            assert cell.rates[name] is None
        else:
            assert close(cell.rates[name], s.ratio(*clusters(found)) if found else None), name
    shares = by_instance(rows, kind or "satisfaction_micro")
    mean = cell.rates["satisfaction_macro"]
    assert (mean is None) == (not shares)
    if mean:
        assert mean.rate == pytest.approx(sum(shares.values()) / len(shares), abs=1e-12)
        assert (mean.n, mean.clusters) == (len(shares), len(bases(rows, shares)))
    gaps = [(trial, *got) for trial in rows if (got := counted(trial, "gap"))]
    assert kind is not None or close(cell.gap, s.ratio(*clusters(gaps), counts=False) if gaps else None)
    both = pairs(rows, chance, kind or measure)
    if not both or any(expected is None for *_, expected in both):
        assert cell.chance is None
        assert cell.corrected is None
    elif measure != "satisfaction_macro":
        n, y, expected = clusters(both)
        assert close(cell.chance, s.ratio(n, expected, counts=False))
        assert close(cell.corrected, s.corrected(n, y, n, expected))
        total = sum(n)
        assert cell.chance.rate == pytest.approx(sum(expected) / total)


def by_instance(rows, measure):
    """Share of an instance's constraints that is satisfied, over all that is pooled."""
    found = [(trial, *got) for trial in rows if (got := counted(trial, measure))]
    sums = defaultdict(lambda: [0, 0])
    for trial, n, y in found:
        sums[instance(trial)][0] += n
        sums[instance(trial)][1] += y
    return {key: y / n for key, (n, y) in sums.items()}


def bases(rows, shares):
    return {base(trial) for trial in rows if instance(trial) in shares}


def comparable(session):
    """All trials that tables show: of a baseline, those on what a model was asked."""
    spans = session.execute(text("SELECT question_id, first, last FROM shard WHERE batch_id IS NOT NULL"))
    joined = {(question, position) for question, first, last in spans for position in range(first, last)}
    return [trial for trial in trials(session) if trial["model_kind"] == "endpoint" or asked(trial) in joined]


def of_cell(rows, cell):
    """The trials of a cell."""
    names = [name for name in cell.group if name != "constraint_kind"]
    return [trial for trial in rows if all(trial[name] == cell.group[name] for name in names)]


def of_models(rows):
    return [trial for trial in rows if trial["model_kind"] == "endpoint"]


def of_baseline(rows, name):
    return [trial for trial in rows if trial["model"] == name]


BYS = (
    ("model",),
    ("model", "family"),
    ("family", "model", "size"),
    ("size",),
    ("params",),
    ("reasoning", "mode"),
    ("model", "channel", "variant"),
    ("effort",),
    (),
)


@pytest.mark.parametrize("by", BYS, ids=",".join)
def test_every_number_is_a_count_over_single_trials(study, by):
    """Rates, counts, gaps, chance and intervals of each cell are those of its trials, pooled by base."""
    with study.reading() as session:
        table, rows = result_table(session, by), comparable(session)
    shown = rows if "model" in by else of_models(rows)
    for cell in table.cells:
        check(cell, of_cell(shown, cell), of_baseline(rows, "random"))
    assert sum(cell.n_trials for cell in table.cells) == len(shown)


def test_both_databases_give_the_same_numbers(store):
    """On SQLite and PostgreSQL alike the numbers are those of the trials."""
    with store.writing() as session:
        fill(session)
    with store.reading() as session:
        table, rows = result_table(session, ("model", "size"), {"family": "packing"}), comparable(session)
    rows = [trial for trial in rows if trial["family"] == "packing"]
    for cell in table.cells:
        check(cell, of_cell(rows, cell), of_baseline(rows, "random"))
    assert len(table.cells) == 5 + 4 * 2


@pytest.mark.parametrize("by", [("model", "constraint_kind"), ("constraint_kind",), ("family", "constraint_kind")])
def test_parts_by_constraint_kind_count_that_kind_alone(study, by):
    """Split by kind, rates, chance and correction count that kind's constraints in the questions that have it."""
    with study.reading() as session:
        table, rows = result_table(session, by), comparable(session)
    shown = rows if "model" in by else of_models(rows)
    for cell in table.cells:
        kind = cell.group["constraint_kind"]
        having = [trial for trial in shown if kind in dict(KINDS[trial["family"]])]
        check(cell, of_cell(having, cell), of_baseline(rows, "random"), kind=kind)
    assert {cell.group["constraint_kind"] for cell in table.cells} == {"capacity", "pair", "floor"}


def test_parts_by_constraint_class_add_up_to_the_whole(study):
    """Every constraint is in one class: their counts add up to those of the model."""
    with study.reading() as session:
        whole, parts = result_table(session), result_table(session, ("model", "constraint_class"))
    for cell in whole.cells:
        mine = [part for part in parts.cells if part.group["model"] == cell.group["model"]]
        rates = [part.rates["satisfaction_micro"] for part in mine]
        total = cell.rates["satisfaction_micro"]
        assert sum(rate.n for rate in rates) == total.n
        assert sum(rate.n * rate.rate for rate in rates) == pytest.approx(total.n * total.rate)


@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize("baseline", ["random", "blank", "exact"])
def test_chance_and_correction_are_those_of_the_measure_and_baseline(study, measure, baseline):
    """Chance is the chosen baseline's rate of the chosen measure, weighted as the model's trials; 1 can't be beaten."""
    with study.reading() as session:
        table, rows = result_table(session, ("model", "family"), None, None, baseline, measure), comparable(session)
    for cell in table.cells:
        check(cell, of_cell(rows, cell), of_baseline(rows, baseline), measure)
        if baseline == "exact" and cell.chance:
            assert (cell.chance.rate, cell.corrected) == (1, None)


def test_macro_is_corrected_by_macro(study):
    """With the macro measure chance is the mean over instances of the baseline's share, and so is what is corrected."""
    with study.reading() as session:
        table = result_table(session, ("model",), {"variant": "fresh"}, 1, measure="satisfaction_macro")
        rows = [trial for trial in comparable(session) if trial["variant"] == "fresh"]
    endpoints = [cell for cell in table.cells if cell.kind == "endpoint"]
    assert len(endpoints) == 3
    for cell in endpoints:
        mine = [trial for trial in of_cell(rows, cell) if trial["batch_id"] == 1]
        n, y, expected = map(np.array, clusters(pairs(mine, of_baseline(rows, "random"), "satisfaction_macro")))
        assert len(set(n)) > 1
        assert close(cell.rates["satisfaction_macro"], s.macro(n, y))
        mean, chance = cell.rates["satisfaction_macro"].rate, float(np.mean(expected / n))
        assert cell.chance.rate == pytest.approx(chance)
        assert cell.corrected.rate == pytest.approx((mean - chance) / (1 - chance))


def test_macro_is_no_more_certain_than_its_constraints_allow(study):
    """Where instances are alike by luck, the macro interval is that of as many independent constraints."""
    n, y = np.array([4, 8, 16] * 10), np.array([2, 4, 9] * 10)
    with study.writing() as session:
        shard = session.execute(text("SELECT min(id) FROM shard WHERE batch_id = 1")).scalar_one()
        pairs = enumerate(zip(n, y, strict=True))
        names, matrix = pack(*tally((i, {"constraints": pair, "outcome:transport_error": (1, 0)}) for i, pair in pairs))
        session.execute(update(t.Tally).where(t.Tally.shard_id == shard).values(measures=names, matrix=matrix))
        session.execute(text("DELETE FROM tally WHERE shard_id <> :id"), {"id": shard})
    with study.reading() as session:
        [cell] = result_table(session).cells
    assert close(cell.rates["satisfaction_macro"], s.macro(n, y))
    assert close(cell.rates["satisfaction_micro"], s.ratio(n, y))


def test_twins_and_repeated_answers_are_one_cluster(study):
    """Twins of a base, modes, samples, channels and models don't make intervals look more certain than bases do."""
    with study.reading() as session:
        [cell] = result_table(session, ()).cells
        rows = of_models(comparable(session))
    rate = cell.rates["satisfaction_micro"]
    assert rate.clusters == len({base(trial) for trial in rows if trial["outcome"] not in UNSCORED})
    assert rate.clusters < cell.n_instances < cell.n_trials


@pytest.mark.parametrize("by", [("model",), ("family",)], ids=",".join)
def test_every_rate_has_its_chance_level(study, by):
    """Each rate has the baseline's rate beside it, weighted as the row's own trials."""
    with study.reading() as session:
        table, rows = result_table(session, by), comparable(session)
    shown = rows if "model" in by else of_models(rows)
    for cell in table.cells:
        for name in cell.rates:
            both = pairs(of_cell(shown, cell), of_baseline(rows, "random"), name)
            if not both or any(expected is None for *_, expected in both):
                assert cell.chances[name] is None
            elif name == "satisfaction_macro":
                sums = defaultdict(lambda: np.zeros(2))
                for trial, n, _, expected in both:
                    sums[instance(trial)] += (n, expected)
                assert cell.chances[name] == pytest.approx(np.mean([y / n for n, y in sums.values()]))
            else:
                n, _, expected = map(sum, list(zip(*both, strict=True))[1:])
                assert cell.chances[name] == pytest.approx(expected / n)


@pytest.mark.parametrize("measure", ["satisfaction_micro", "satisfaction_macro", "feasible", "optimal"])
def test_the_worst_case_counts_unscored_trials_as_wrong_and_as_right(study, measure):
    """As many constraints as the instance has; without unscored trials there is no such band."""
    with study.reading() as session:
        table, rows = result_table(session, ("model", "family"), measure=measure), comparable(session)
    for cell in table.cells:
        mine = of_cell(rows, cell)
        if not any(trial["outcome"] in UNSCORED for trial in mine) or cell.rates[measure] is None:
            assert cell.worst_case is None
            continue
        whole = len(KINDS[cell.group["family"]]) if measure in ("satisfaction_micro", "satisfaction_macro") else 1
        for right, found in zip((False, True), cell.worst_case, strict=True):
            sums = defaultdict(lambda: np.zeros(2))
            for trial in mine:
                sums[instance(trial)] += counted(trial, measure) or (whole, whole * right)
            each = np.array(list(sums.values()))
            n, y = each.sum(axis=0)
            expected = np.mean(each[:, 1] / each[:, 0]) if measure == "satisfaction_macro" else y / n
            assert found == pytest.approx(expected)


@pytest.mark.parametrize("measure", ["satisfaction_micro", "satisfaction_macro", "feasible"])
def test_pooled_families_have_the_mean_over_families_beside(study, measure):
    """A claim about other families rests on the rates of these; a row of one family has none."""
    with study.reading() as session:
        cells = result_table(session, ("model",), measure=measure).cells
        apart = result_table(session, ("model", "family"), measure=measure).cells
    assert all(cell.over_families is None for cell in apart)
    for cell in cells:
        rates = [c.rates[measure].rate for c in apart if c.group["model"] == cell.group["model"]]
        assert close(cell.over_families, s.mean(rates) if len(rates) > 1 else None)


def test_a_table_of_one_measure_has_the_same_numbers(study):
    """What isn't wanted isn't counted; what is stays the same."""
    with study.reading() as session:
        for measure in MEASURES:
            few = result_table(session, ("model",), measure=measure, rates=()).cells
            full = result_table(session, ("model",), measure=measure).cells
            assert [list(cell.rates) for cell in few] == [[measure]] * len(few)
            for one, all_ in zip(few, full, strict=True):
                assert one.rates[measure] == all_.rates[measure]
                for name in ("group", "n_trials", "n_instances", "unscored", "chance", "corrected", "worst_case"):
                    assert getattr(one, name) == getattr(all_, name)


def test_tallies_in_any_order_give_the_same_table(study):
    """A tally whose measures stand in another order, as older ones do, is read as far as needed."""
    with study.reading() as session:
        before = [result_table(session, ("model",), rates=rates).cells for rates in ((), None)]
    with study.writing() as session:
        for row in session.query(t.Tally):
            counts = unpack(row.measures, row.matrix)
            names = sorted(counts, reverse=True)
            row.measures, row.matrix = pack(names, np.array([counts[name] for name in names]))
    with study.reading() as session:
        assert [result_table(session, ("model",), rates=rates).cells for rates in ((), None)] == before


@pytest.mark.parametrize("seed", [1, 2])
def test_numbers_are_those_of_the_trials_through_rejudging_pruning_and_topping_up(store, seed):
    """After each of them, whatever the answers were, a table is what counting the trials gives."""
    families = ("knapsack",)
    spec = BatchSpec(
        arms=(Arm(families=families, sizes=("xs",), instances=8, seed=seed),), samples=2, baselines=("random",)
    )

    def equal():
        with store.reading() as session:
            table, rows = result_table(session, ("model", "family")), comparable(session)
        assert sum(cell.n_trials for cell in table.cells) == len(rows)
        for cell in table.cells:
            check(cell, of_cell(rows, cell), of_baseline(rows, "random"))
        return [cell.plain() for cell in table.cells]

    with Endpoint(varied) as endpoint:
        known(store, endpoint.url)
        batch = submitted(store, spec)
        ran(store, batch)
        first = equal()
        with store.writing() as session:  # other replies to half of the trials: another judge reads them otherwise
            replies = session.scalars(select(t.Call.id).where(t.Call.raw.is_not(None)).order_by(t.Call.id)).all()
            for old, new in zip(replies[::2], replies[1::2], strict=False):
                raw = session.get_one(t.Call, new).raw
                session.execute(update(t.Call).where(t.Call.id == old).values(raw=raw))
            session.execute(update(t.Tally).values(judge_version=0))
        assert rejudge(store).moved
        rejudged = equal()
        assert rejudged != first
        with store.writing() as session:
            session.execute(update(t.Batch).values(finished_at=0.0))
        assert prune(store, 1.0).replies
        assert equal() == rejudged
        with store.writing() as session:
            found = session.get_one(t.Batch, batch)
            extend(session, found, (13,))
            queue(session, found)
        ran(store, batch)
        assert equal() != rejudged
    assert f"Topped up: {found.name}" in notes(store, "model")


# --- which trials -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("where", "holds"),
    [
        ({"family": "packing"}, lambda trial: trial["family"] == "packing"),
        ({"size": "xs,s", "mode": "trace"}, lambda trial: trial["mode"] == "trace"),
        ({"params": "7e9"}, lambda trial: trial["params"] == 7_000_000_000),
        ({"params": "none"}, lambda trial: trial["params"] is None),
        ({"reasoning": "true"}, lambda trial: trial["model"] == "large"),
        ({"effort": "none"}, lambda trial: trial["effort"] is None),
        ({"model": "small, large"}, lambda trial: trial["model"] in ("small", "large")),
        ({"batch": "two"}, lambda trial: trial["batch_id"] == 2),
        ({"modules": ""}, lambda trial: True),
        ({"modules": "none"}, lambda trial: True),
        ({"decade": "100M-1B"}, lambda trial: trial["params"] == 135_000_000),
        ({"active_params": "7e9"}, lambda trial: trial["model"] == "large"),
        ({"lineage": "none"}, lambda trial: True),
        ({"night": "1970-01-01"}, lambda trial: True),
        ({"presentation": "text effort=low tokens=512"}, lambda trial: trial["channel"] == "text"),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else "",
)
def test_where_keeps_the_trials_that_fit(study, where, holds):
    """A condition keeps exactly the models' trials that meet it."""
    with study.reading() as session:
        cells = result_table(session, ("model",), where).cells
        rows = [trial for trial in of_models(trials(session)) if holds(trial)]
    found = {cell.group["model"]: cell.n_trials for cell in cells if cell.kind == "endpoint"}
    assert found == Counter(trial["model"] for trial in rows)


def test_conditions_on_models_leave_the_baselines_for_comparison(study):
    """The baselines stay, on the questions of the models that are kept."""
    with study.reading() as session:
        cells = result_table(session, ("model",), {"model": "unsized"}).cells
        rows = [trial for trial in comparable(session) if trial["size"] == "xs" and trial["position"] < 12]
    expected = Counter(trial["model"] for trial in rows if trial["model_kind"] == "baseline")
    assert {cell.group["model"]: cell.n_trials for cell in cells if cell.kind == "baseline"} == expected


def test_a_condition_may_name_baselines(study):
    """Named baselines are shown, the others not."""
    with study.reading() as session:
        cells = result_table(session, ("model",), {"model": "small,greedy"}).cells
        alone = result_table(session, ("model",), {"model": "greedy"}).cells
    assert [cell.group["model"] for cell in cells] == ["greedy", "small"]
    assert [cell.group["model"] for cell in alone] == ["greedy"]


def test_a_batch_shows_its_own_trials_and_the_baselines_on_its_instances(study):
    """Baselines are joined on the positions that the batch asks, though they have answered more."""
    with study.reading() as session:
        for batch, last in ((1, 12), (2, 20)):
            cells = result_table(session, ("model",), batch=batch).cells
            rows = trials(session)
            questions = {trial["question_id"] for trial in rows if trial["batch_id"] == batch}
            for cell in cells:
                mine = [
                    trial
                    for trial in of_baseline(rows, cell.group["model"])
                    if trial["batch_id"] == batch
                    or (trial["batch_id"] is None and trial["question_id"] in questions and trial["position"] < last)
                ]
                check(cell, mine, of_baseline(rows, "random"))


def test_a_batch_without_models_shows_what_the_baselines_answered(store):
    """Where only baselines answer, the batch's questions come from its spec."""
    from probe.batches import Arm, BatchSpec
    from probe.submitting import question, submit

    arm = Arm(families=("knapsack",), sizes=("xs",), instances=3)
    spec = BatchSpec(arms=(arm,), models=(), baselines=("blank",))
    with store.writing() as session:
        from probe.batches import expand
        from probe.models import baseline_ids

        batch = submit(session, 0.0, spec).batch_id
        ids = baseline_ids(session, 0.0)
        for asked_ in (*expand(spec), *expand(BatchSpec(arms=(Arm(families=("job_shop",), sizes=("xs",)),)))):
            shard = {"question_id": question(session, asked_), "model_id": ids["blank"], "first": 0, "last": 10}
            shard |= {"first_sample": 0, "last_sample": 1, "batch_id": None}
            answer(session, random.Random(1), shard, "packing", "exact")
    with store.reading() as session:
        [cell] = result_table(session, ("model", "family"), batch=batch).cells
        everything = result_table(session, ("model", "family")).cells
    assert cell.group == {"model": "blank", "family": "knapsack"}
    assert cell.n_trials == 3
    assert [c.group["family"] for c in everything] == ["job_shop", "knapsack"]


def test_rows_stand_in_the_order_of_reading(study):
    """Baselines from blank to exact, then models by size, those of unknown size last; sizes by the ladder."""
    with study.reading() as session:
        names = [cell.group["model"] for cell in result_table(session).cells]
        sizes = [cell.group["size"] for cell in result_table(session, ("size",)).cells]
    assert names == ["blank", "random", "greedy", "exact", "small", "large", "unsized"]
    assert sizes == ["xs", "s"]


def test_rows_may_be_decades_presentations_and_nights(study):
    """Sizes are binned in their order, presentations said in words, a night is the UTC date when a batch was due."""
    with study.writing() as session:
        schedule = {
            "name": "nightly",
            "cron": "0 2 * * *",
            "zone": "UTC",
            "spec": {},
            "catch_up": "skip",
            "overlap": "skip",
        }
        more = {"canary_instances": 0, "paused": False, "created_at": 0.0, "since": 0.0}
        session.execute(insert(t.Schedule).values(id=1, **schedule, **more))
        run = {"schedule_id": 1, "due": 1_764_028_800.0 - 1, "state": "finished", "batch_id": 2, "told": True}
        session.execute(insert(t.ScheduleRun).values(**run, changes={}))
    with study.reading() as session:
        shown = {
            name: [cell.group[name] for cell in result_table(session, (name,)).cells]
            for name in ("decade", "presentation", "night")
        }
    assert shown == {
        "decade": [None, "100M-1B", "1B-10B"],
        "presentation": ["json tokens=512", "text effort=low tokens=512"],
        "night": ["1970-01-01", "2025-11-24"],
    }


def test_a_condition_on_constraints_counts_those_alone(study):
    """Without rows by kind the kinds that are named are pooled, with them they are the rows."""
    with study.reading() as session:
        apart = result_table(session, ("model", "constraint_kind")).cells
        pooled = result_table(session, ("model",), {"constraint_kind": "capacity,pair"}).cells
        rows = result_table(session, ("constraint_kind",), {"constraint_kind": "pair"}).cells
    assert [cell.group["constraint_kind"] for cell in rows] == ["pair"]
    for cell in pooled:
        of = [c.rates["satisfaction_micro"] for c in apart if c.group["model"] == cell.group["model"]]
        kinds = [c.group["constraint_kind"] for c in apart if c.group["model"] == cell.group["model"]]
        kept = [rate for rate, kind in zip(of, kinds, strict=True) if kind != "floor"]
        rate = cell.rates["satisfaction_micro"]
        assert rate.n == sum(r.n for r in kept)
        assert rate.rate * rate.n == pytest.approx(sum(r.rate * r.n for r in kept))


@pytest.mark.parametrize("name", BY)
def test_every_column_can_be_grouped_by(study, name):
    """Each documented column makes a table whose trials are all of the models', plus baselines by model."""
    with study.reading() as session:
        table, rows = result_table(session, (name,)), of_models(trials(session))
    if name in COLUMNS:
        assert sum(cell.n_trials for cell in table.cells if cell.kind == "endpoint") == len(rows)
    assert all(list(cell.group) == [name] for cell in table.cells)


# --- what is refused, and what is said --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("request_", "named"),
    [
        ({"by": ("modle",)}, "by: unknown modle"),
        ({"by": ("model", "model")}, "by: .* twice"),
        ({"by": ("constraint_kind", "constraint_class")}, "by: .* at once"),
        ({"by": ("constraint_kind",), "measure": "feasible"}, "measure: feasible is not defined by constraint_kind"),
        ({"measure": "accuracy"}, "measure: unknown 'accuracy'; one of satisfaction_micro"),
        ({"baseline": "chance"}, "baseline: unknown 'chance'; one of blank, random"),
        ({"where": {"colour": "red"}}, "where: unknown 'colour'"),
        ({"where": {"constraint_kind": "capacity"}, "measure": "optimal"}, "measure: optimal is not defined by"),
        ({"where": {"params": "big"}}, "where: params='big' is not a whole number"),
        ({"where": {"params": "1.5"}}, "where: params='1.5' is not a whole number"),
        ({"where": {"seed": "9" * 30}}, "where: seed=.* is not a whole number"),
        ({"where": {"seed": "none"}}, "where: seed='none' is not a whole number"),
        ({"where": {"temperature": "nan"}}, "where: temperature='nan' is not a number"),
        ({"where": {"reasoning": "maybe"}}, "where: reasoning='maybe' is not true or false"),
        ({"where": {"model": "smal"}}, "where: there is no model smal"),
        ({"batch": 99}, "batch: there is no batch 99"),
    ],
    ids=str,
)
def test_wrong_requests_name_the_field_and_the_way_out(study, request_, named):
    """What isn't known is refused, never ignored."""
    with study.reading() as session, pytest.raises(RequestError, match=named):
        result_table(session, **request_)


def test_two_judge_versions_never_share_a_table(study):
    """Results of two judges are refused with the way out; a table without the other one's is fine."""
    with study.writing() as session:
        newer = session.query(t.Shard.id).filter(t.Shard.batch_id == 2)
        session.execute(update(t.Tally).where(t.Tally.shard_id.in_(newer)).values(judge_version=JUDGE_VERSION + 1))
    with study.reading() as session:
        with pytest.raises(WorkError, match="probe rejudge"):
            result_table(session)
        assert result_table(session, batch=1).judge_version == JUDGE_VERSION


def test_no_chance_level_where_the_baseline_lacks_an_answer(study):
    """One missing baseline answer leaves the cell without chance and correction; cells that don't need it keep it."""
    with study.writing() as session:
        lost = session.execute(
            select(t.Shard.id)
            .join(t.Model, t.Shard.model_id == t.Model.id)
            .join(t.Question, t.Shard.question_id == t.Question.id)
            .join(t.Block, t.Question.block_id == t.Block.id)
            .where(t.Model.name == "random", t.Block.size == "s", t.Shard.first == 0)
            .limit(1)
        ).scalar_one()
        session.execute(text("DELETE FROM tally WHERE shard_id = :id"), {"id": lost})
    with study.reading() as session:
        cells = result_table(session, ("model", "size")).cells
    for cell in cells:
        if cell.kind == "endpoint":
            missing = cell.group["size"] == "s"
            assert (cell.chance is None, cell.corrected is None) == (missing, missing)


def test_a_baseline_without_answers_is_said(study):
    """A table without its chance level says so and shows the rest."""
    with study.reading() as session:
        table = result_table(session, baseline="template")
    assert all(cell.chance is None for cell in table.cells)
    assert any("no answers of the baseline template" in note for note in table.notes)


def notes(store, *by, **more):
    with store.reading() as session:
        return " ".join(result_table(session, by, **more).notes)


def test_models_that_did_not_answer_the_same_are_said(study):
    """A table names how much each model answered and how much they share; where all did, it says nothing."""
    with study.reading() as session:
        spans = session.execute(
            text(
                "SELECT DISTINCT model.name, question_id, first, last FROM shard JOIN model ON model.id = model_id"
                " WHERE batch_id = 1"
            )
        ).all()
    count = Counter()
    for name, _, first, last in spans:
        count[name] += last - first
    said = notes(study, "model", batch=1)
    assert f"large {count['large']}, small {count['small']}, unsized {count['unsized']}" in said
    assert f"{count['unsized']} in common" in said
    assert "same questions" not in notes(study, "model", batch=1, where={"size": "xs"})


def test_models_asked_in_other_ways_are_said(study):
    """A model that was asked by another channel too isn't compared in silence."""
    assert "same ways" in notes(study, "model", where={"size": "xs"})
    assert "same ways" not in notes(study, "model", where={"size": "xs"}, batch=1)


def test_pooling_is_said(study):
    """Rows that pool models, versions of a family, or models of one name say so."""
    assert "Rows pool the answers of 3 models: large, small, unsized." in notes(study, "family")
    with study.writing() as session:
        session.execute(insert(t.FamilyVersion).values(id=3, name="packing", version=2, kind="optimization"))
        session.execute(
            update(t.Block).where(t.Block.family_version_id == 1, t.Block.size == "s").values(family_version_id=3)
        )
        session.execute(update(t.Model).where(t.Model.name == "small").values(removed_at=1.0))
        session.execute(update(t.Model).where(t.Model.name == "unsized").values(name="small"))
    said = notes(study, "model")
    assert "Versions 1, 2 of packing are pooled." in said
    assert "2 models have borne the name small" in said


def test_canaries_left_out_are_said(study):
    """The same few instances every night are in no table unless their batch is named."""
    with study.writing() as session:
        session.execute(update(t.Batch).where(t.Batch.id == 2).values(canary=True))
        shards = session.execute(text("SELECT count(*) FROM shard WHERE batch_id = 2")).scalar_one()
    assert f"{shards} shards of canaries" in notes(study, "model")
    assert "canaries" not in notes(study, "model", where={"batch": "two"})


def test_unfinished_shards_are_said(study):
    """A table of a batch that isn't done says what it lacks."""
    assert "shards have no results" not in notes(study, "model")
    with study.writing() as session:
        shard = session.execute(text("SELECT min(id) FROM shard WHERE batch_id = 1")).scalar_one()
        session.execute(text("DELETE FROM tally WHERE shard_id = :id"), {"id": shard})
        session.execute(update(t.Shard).where(t.Shard.id == shard).values(state="failed"))
    assert "1 of " in (said := notes(study, "model", batch=1))
    assert "shards have no results (failed)" in said


def test_a_baseline_that_has_no_answers_to_some_families_is_said(study):
    """Greedy answers optimization alone: its row is not comparable with the others over all families."""
    assert "The baseline greedy answered only 8 of the 24 blocks" in notes(study, "model")
    assert "greedy" not in notes(study, "model", where={"family": "packing"})


def test_an_empty_database_gives_an_empty_table(store):
    """Without results there are no cells, no judge version and no error."""
    with store.reading() as session:
        table = result_table(session, BY[:3])
    assert (table.cells, table.judge_version, table.notes) == ([], None, [])


def test_json_of_a_cell_has_its_documented_shape(study):
    """Keys and nesting are fixed; what is undefined is null."""
    with study.reading() as session:
        cell = next(c for c in result_table(session, ("model", "family")).cells if c.group["family"] == "sweeps")
    plain = cell.plain()
    assert set(plain) == {
        *("model", "family", "kind_of_row", "n_trials", "n_instances", "unscored", "outcomes", "corrected", "gap"),
        *("chance", "worst_case", "over_families", *MEASURES),
    }
    assert set(plain["satisfaction_micro"]) == {"rate", "low", "high", "n", "clusters", "chance"}
    assert plain["optimal"] is plain["gap"] is None
    assert list(plain["unscored"]) == list(UNSCORED)
    assert list(plain["outcomes"]) == list(OUTCOMES)
