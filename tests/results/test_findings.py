"""Findings: what all of them share, from stored answers to what `probe findings` prints."""

import json
import shutil
import tomllib
from dataclasses import replace

import numpy as np
import pytest

from probe.batches import Arm, BatchSpec, checked, from_table
from probe.results import evidence
from probe.results import findings as claims
from probe.results.cells import result_table
from probe.results.findings import deciding as d
from probe.results.findings import scaling, spending, voting
from probe.results.findings.rendering import number, plain, render
from probe.results.statistics import ratio
from probe.store.sessions import Store, open_store
from tests.api.conftest import client_of
from tests.endpoint import Endpoint
from tests.endpoint import answers as serves
from tests.results import simulated as sim
from tests.runs import known, ran, submitted, varied

SIZES = dict(zip("abcdefg", (1e8, 3e8, 1e9, 3e9, 1e10, 3e10, None), strict=True))
INSTANCES = 20


@pytest.fixture(scope="module")
def answered(tmp_path_factory):
    """A database in which seven models, six of known size, answered the same; one of them some more, otherwise."""
    file = tmp_path_factory.mktemp("findings") / "probe.sqlite3"
    store = open_store(f"sqlite:///{file}")

    def script(body, request):
        body["messages"][-1]["content"] += body["model"]  # models differ
        return varied(body, request)

    with Endpoint(script) as endpoint:
        for name, params in SIZES.items():
            known(store, endpoint.url, name, params=None if params is None else int(params))
        arm = Arm(families=("knapsack",), sizes=("xs",), instances=INSTANCES)
        first = BatchSpec(arms=(arm,), models=tuple(SIZES), baselines=("random", "greedy", "blank"))
        assert ran(store, submitted(store, first, "first")).state == "complete"
        other = BatchSpec(arms=(replace(arm, instances=3),), models=("a",), baselines=("random",), channels=("text",))
        assert ran(store, submitted(store, other, "second")).state == "complete"
    store.dispose()
    return file


@pytest.fixture
def answers(answered, tmp_path):
    """A store with these answers."""
    store = Store(f"sqlite:///{shutil.copy(answered, tmp_path / 'probe.sqlite3')}")
    yield store
    store.dispose()


def of_claim(found, claim):
    (one,) = [one for one in found if one.claim.number == claim]
    return one


# --- from stored answers to a finding ---------------------------------------------------------------------------------


def test_a_finding_rests_on_the_numbers_of_the_result_table(answers):
    with answers.reading() as session:
        found = of_claim(claims.findings(session), 6)
        rows = result_table(session, ("model", "channel"), {"channel": "json"}).cells
    cells = {cell.group["model"]: cell for cell in rows}
    (models,) = [part for part in found.parts if part.title == "Models"]
    assert [row[0] for row in models.rows] == list("abcdef")
    for name, params, rate, corrected, _ in models.rows:
        cell = cells[name]
        assert params == SIZES[name]
        assert rate.value == cell.rates["satisfaction_micro"].rate
        assert (rate.low, rate.high) == (cell.rates["satisfaction_micro"].low, cell.rates["satisfaction_micro"].high)
        assert corrected.value == pytest.approx(cell.corrected.rate)
    assert {e.what: e.value for e in found.baselines} == {
        name: pytest.approx(cells[name].rates["satisfaction_micro"].rate) for name in ("blank", "random", "greedy")
    }
    assert (found.models, found.instances) == (6, INSTANCES)
    assert [(one.what, one.why) for one in found.excluded] == [("g", "its number of parameters is not known")]


def test_the_batch_alone_counts_where_one_is_named_and_stands_in_the_command(answers):
    with answers.reading() as session:
        everything, second = claims.findings(session), claims.findings(session, batch=2)
    assert of_claim(everything, 6).models == 6
    assert of_claim(second, 6).models == 0
    assert of_claim(second, 6).rows.endswith("--batch second")


def test_no_claim_is_decided_without_answers(store):
    with store.reading() as session:
        found = claims.findings(session)
    assert [one.claim.number for one in found] == list(range(1, 12)) == list(claims.CLAIMS)
    for one in found:
        assert one.verdict == "undecided"
        assert one.p is None
        assert one.plan == one.claim.plan


@pytest.mark.parametrize("number", range(1, 12))
def test_every_plan_is_a_spec_that_run_takes(number):
    claim = claims.of_number(number)
    spec, limits = from_table(tomllib.loads(claim.plan))
    assert checked(spec).arms
    assert "name" not in limits  # else the second run would be refused


def test_tokens_and_majorities_are_read_from_calls_and_trials(store):
    """What an answer costs depends on the effort; the commonest of three equal answers is that answer."""

    def script(body, request):
        tokens = 40 if body.get("reasoning_effort") == "high" else 10
        reply = json.loads(varied(body, request).body)
        return serves(reply | {"usage": {"prompt_tokens": 7, "completion_tokens": tokens, "total_tokens": 7 + tokens}})

    with Endpoint(script) as endpoint:
        known(store, endpoint.url, "thinker", reasoning=True)
        arm = Arm(families=("knapsack",), sizes=("xs",), instances=4)
        for effort in ("low", "high"):
            spec = BatchSpec(arms=(arm,), baselines=("random",), effort=effort, samples=3, temperature=0.5)
            assert ran(store, submitted(store, spec)).state == "complete"
    with store.reading() as session:
        arms = evidence.load(session, lambda name: True)
        spent, voted = spending.load(session, arms), voting.load(session, arms)
    asked = {arm.manner.effort: arm for arm in arms if arm.manner is not None}
    assert {effort: spent[arm.shards[0]] for effort, arm in asked.items()} == {"low": (12, 120), "high": (12, 480)}
    assert {arm.manner.effort for arm in voted} == {"low", "high"}
    for arm in voted:
        feasible = asked[arm.manner.effort].counts["feasible"]
        assert (arm.counts[voting.MAJORITY] * 3).tolist() == feasible.tolist()
    (samples,) = [part for part in scaling.thinking(arms, spent, voted).parts if part.title == "More samples"]
    assert [row[:3] for row in samples.rows] == [("thinker", "low", 3), ("thinker", "high", 3)]
    for *_, one, best, commonest in samples.rows:
        assert one.value == best.value == commonest.value  # it always answers the same


# --- what all claims share --------------------------------------------------------------------------------------------


def answering(count, instances=30, **more):
    rng = np.random.default_rng(3)
    return sim.satisfaction(rng, sim.models(sim.ladder(count)), [0.5] * count, instances, **more)


def of_models(arms):
    return d.chosen(arms)


def test_the_largest_group_that_was_asked_the_same_in_the_same_manner_counts():
    same, otherwise = answering(4), of_models(answering(4, manner=replace(sim.PLAIN, answer_tokens=64)))
    others = [arm for arm in otherwise if arm.subject.name in ("m1", "m2")]
    extra = of_models(answering(5))[-1:]  # m5 was asked the same, but by fewer tokens
    extra = [replace(arm, manner=replace(sim.PLAIN, answer_tokens=64)) for arm in extra]
    of, left = d.panel([*of_models(same), *others, *extra])
    assert sorted(subject.name for subject in of) == ["m1", "m2", "m3", "m4"]
    assert {arm.manner for arms in of.values() for arm in arms} == {sim.PLAIN}
    assert [one.what for one in left] == ["m5"]


def test_only_positions_that_all_were_asked_count():
    longer, shorter = of_models(answering(2, 40)), of_models(answering(2, 25))
    of, left = d.panel([longer[0], shorter[1]])
    assert [np.count_nonzero(d.counted(arms, "constraints")[0]) for arms in of.values()] == [25, 25]
    assert not left


def test_too_few_common_instances_are_no_panel():
    of, left = d.panel(of_models(answering(3, d.FEWEST_INSTANCES - 1)))
    assert not of
    assert len(left) == 3


def test_a_model_whose_answers_the_instrument_lost_has_no_value():
    arms = answering(3)
    lost = replace(arms[0], counts=arms[0].counts | {"outcome:no_reply": arms[0].counts["outcome:no_reply"].copy()})
    lost.counts["outcome:no_reply"][:10, 1] = 1
    of, _ = d.panel(of_models([lost, *arms[1:]]))
    found, left = d.values(of, d.of_baseline(arms))
    assert [v.subject.name for v in found] == ["m2", "m3"]
    assert [(one.what, one.why) for one in left] == [("m1", "33 % of its answers failed by the instrument")]


def valued(*rates, chance=0.35):
    arms = sim.satisfaction(np.random.default_rng(3), sim.models(sim.ladder(len(rates))), rates, 100, chance=chance)
    return d.values(d.panel(of_models(arms))[0], d.of_baseline(arms))[0]


def test_models_at_floor_or_ceiling_are_told():
    low, mid, high = valued(0.35, 0.6, 0.99)
    assert (low.at_floor, mid.at_floor, high.at_floor) == (True, False, False)
    assert (low.at_ceiling, mid.at_ceiling, high.at_ceiling) == (False, False, True)
    assert d.at_the_ends([low, mid, mid]) is None
    assert "random" in d.at_the_ends([low, high, mid])


def test_what_size_takes():
    many = valued(*[0.6] * 6)
    assert d.too_few(many) is None
    assert "5 models" in d.too_few(many[:5])
    narrow = [replace(v, subject=replace(v.subject, params=int(1e9 * (1 + i)))) for i, v in enumerate(many)]
    assert "0.8 decades" in d.too_few(narrow)


def test_chance_weighs_instances_as_the_answers_do():
    (model,) = sim.models([1e9])
    mine = sim.arms(model, {"constraints": (np.array([4, 0, 8]), np.array([2, 0, 8]))})
    random = sim.arms(sim.RANDOM, {"constraints": (np.array([20, 20, 40]), np.array([5, 20, 10]))}, manner=None)
    n, y = d.chance(mine, d.of_baseline(random), "constraints")
    assert n[:3].tolist() == [4, 0, 8]
    assert y[:3].tolist() == [1, 0, 2]


def test_chance_is_unknown_where_the_baseline_lacks_an_answer():
    (model,) = sim.models([1e9])
    mine = sim.arms(model, {"constraints": (4, np.array([2, 3]))})
    random = sim.arms(sim.RANDOM, {"constraints": (np.array([20, 0]), np.array([5, 0]))}, manner=None)
    assert d.chance(mine, d.of_baseline(random), "constraints") is None


def test_what_was_not_counted_lines_up_as_zeros():
    (model,) = sim.models([1e9])
    first, second = sim.arms(model, {"constraints": (4, np.full(100, 2))})
    lost = replace(first, counts={name: c for name, c in first.counts.items() if name != "constraints"})
    n, _ = d.counted([second, lost], "constraints")
    assert n.tolist() == [0] * 50 + [4] * 50


# --- tests ------------------------------------------------------------------------------------------------------------


def test_lack_of_data_never_shows_a_difference_to_be_small():
    noisy = d.estimate("x", 0.0, 0.2, 10, margin=0.05)
    assert not noisy.within
    assert not noisy.above(-0.05)
    assert not d.estimate("x", 0.0, None, 10, margin=0.05).within
    assert not d.estimate("x", 0.0, 0.0, 10, margin=0.05).within
    assert d.estimate("x", 0.0, 0.01, 10, margin=0.05).within


def test_an_estimate_agrees_with_its_tests():
    """95 % interval above a limit: p below 5 %; 90 % interval inside the margin: TOST below 5 %."""
    one = d.estimate("x", 0.12, 0.03, 20, margin=0.05)
    assert one.above(0.05)
    assert one.p_beyond < 0.05
    assert one.p < 0.001
    around = d.estimate("level", 0.58, 0.004, 30, unit="share", margin=0.025, centre=0.575)
    assert around.within
    assert around.p_beyond == 1


def test_the_mean_over_models_is_no_surer_than_the_models():
    sure = [d.estimate("m", value, 0.001, 50) for value in (0.1, 0.3, 0.5, 0.7)]
    unsure = [d.estimate("m", 0.4, 0.2, 50) for _ in range(4)]
    assert d.over_models("mean", sure).error == pytest.approx(np.std([0.1, 0.3, 0.5, 0.7], ddof=1) / 2)
    assert d.over_models("mean", unsure).error == pytest.approx(0.1)
    assert d.over_models("mean", sure[:1]).low is None
    assert d.over_models("mean", []) is None


def test_p_is_adjusted_over_the_findings_that_have_one():
    found = [
        d.Finding(claim=claims.CLAIMS[i], verdict="undecided", reason="", p=p)
        for i, p in ((1, 0.01), (2, None), (3, 0.04))
    ]
    assert [one.p_holm for one in d.adjusted(found)] == [0.02, None, 0.04]


# --- what is printed --------------------------------------------------------------------------------------------------


def test_numbers_read_as_percent_and_points():
    assert number(d.of_rate("x", ratio([10] * 10, [5] * 10))) == "50.0 % [39.0, 61.0]"
    assert (
        number(d.estimate("x", 0.0123, 0.005, 1e6, unit="difference per decade"))
        == "+1.2 points per decade [+0.3, +2.2]"
    )
    assert number(d.estimate("x", -0.01, None, 0)) == "-1.0 points"
    assert number(None) == "–"


def test_findings_are_told_with_verdict_effect_interval_and_what_would_decide(probe, answered, tmp_path, monkeypatch):
    monkeypatch.setenv("PROBE_DATABASE_URL", f"sqlite:///{shutil.copy(answered, tmp_path / 'copy.sqlite3')}")
    code, out, _ = probe("findings")
    assert code == 0
    assert "6. Plateau of constraint satisfaction: UNDECIDED" in out
    assert "on the same instances, without thought: blank" in out
    assert "probe findings --plan 6 > spec.toml" in out
    code, out, _ = probe("findings", "--claim", "6")
    assert code == 0
    assert out.count("UNDECIDED") == 1
    assert "corrected for chance" in out
    code, out, _ = probe("findings", "--format", "json")
    (six,) = [one for one in json.loads(out)["findings"] if one["claim"] == 6]
    assert six["low"] < six["effect"] < six["high"]
    assert (six["n"], six["models"], six["unit"]) == (INSTANCES, 6, "difference per decade")
    code, out, _ = probe("findings", "--format", "markdown", "--batch", "first")
    assert "| 6 | Plateau of constraint satisfaction | undecided |" in out


def test_the_rows_behind_a_finding_are_shown_by_the_command_that_it_names(probe, answered, tmp_path, monkeypatch):
    monkeypatch.setenv("PROBE_DATABASE_URL", f"sqlite:///{shutil.copy(answered, tmp_path / 'copy.sqlite3')}")
    _, out, _ = probe("findings", "--format", "json")
    for one in json.loads(out)["findings"]:
        code, _, err = probe(*one["rows"].split()[1:])
        assert code == 0, err


def test_a_plan_is_a_spec_file_with_its_cost(probe, tmp_path):
    code, out, _ = probe("findings", "--plan", "9")
    assert code == 0
    assert "# Asked of each model: 500 times." in out
    (tmp_path / "spec.toml").write_text(out)
    code, out, _ = probe("run", "--spec", str(tmp_path / "spec.toml"), "--dry-run", "--json")
    assert code == 0
    assert json.loads(out)["instances"] == 500


@pytest.mark.parametrize("flags", [("--claim", "12"), ("--plan", "0"), ("--format", "yaml"), ("--batch", "none-such")])
def test_a_wrong_request_names_what_is_wrong(probe, flags):
    code, out, err = probe("findings", *flags)
    assert (code, out) == (2, "")
    assert flags[1] in err


def test_markdown_keeps_its_columns():
    part = d.Part("Models", ("model", "rate"), (("a|b", 0.5),))
    one = d.Finding(claim=claims.CLAIMS[6], verdict="undecided", reason="because", parts=(part,))
    assert "| a\\|b | 0.5 |" in render([one], "markdown")
    assert plain([one])["findings"][0]["parts"] == [
        {"title": "Models", "columns": ["model", "rate"], "rows": [["a|b", 0.5]]}
    ]


def test_the_api_gives_what_the_command_prints(answers):
    with answers.reading() as session:
        expected = json.loads(render(claims.findings(session), "json"))
    with client_of(answers) as client:
        assert client.get("/api/v1/findings").json() == expected
        (six,) = client.get("/api/v1/findings", params={"claim": 6}).json()["findings"]
        assert six == expected["findings"][5]
        wrong = client.get("/api/v1/findings", params={"claim": 12})
        assert (wrong.status_code, wrong.json()["errors"][0]["field"]) == (422, "claim")
        assert client.get("/api/v1/findings", params={"batch": "none-such"}).status_code == 422
