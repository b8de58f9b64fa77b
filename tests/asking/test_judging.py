"""Judging: what a reply scores, by every outcome of the ledger, and that a stored answer scores the same for ever."""

import json
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from functools import cache
from itertools import combinations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from probe.asking import baselines
from probe.asking.judging import (
    FEASIBLE,
    OUTCOMES,
    UNSCORED,
    exact_json,
    failed,
    judge_answer,
    judge_reply,
    judge_stored,
    primal_gap,
)
from probe.asking.posed import Posed
from probe.asking.reading import read
from probe.asking.records import LONGEST_ERROR, record
from solvers import registry
from solvers.names import Names
from solvers.optimization.knapsack import Knapsack, KnapsackData
from solvers.problem import Instance, constraint_ids, examine
from tests.solvers.optimization import instance_of

FAMILIES = tuple(registry.modules())
EVERY = [(name, mode) for name in FAMILIES for mode in registry.get(name).modes]
SCHEMA = {"type": "object", "properties": {"x": {"type": "array", "items": {"type": "number"}}}, "required": ["x"]}


@cache
def posed_at(family, mode="final", size="xs", index=0):
    found, _ = registry.get(family).instance(size, 7, index)
    assert isinstance(found, Instance)
    return Posed(found, mode)


def written(posed, answer):
    """An answer as a model would write it."""
    return json.dumps(posed.shape.write(answer, posed.instance.names))


def subsets(posed):
    """Every answer to a knapsack that satisfies every constraint, with its value, by trying all."""
    count = len(posed.instance.data.value)
    for size in range(count + 1):
        for chosen in map(frozenset, combinations(range(count), size)):
            if all(check.satisfied for check in examine(posed.constraints, chosen)):
                yield chosen, sum(posed.instance.data.value[i] for i in chosen)


def short_of_best():
    """A knapsack with a feasible answer that is worth less than the optimum, and that answer."""
    for index in range(20):
        posed = posed_at("knapsack", size="s", index=index)
        for chosen, value in subsets(posed):
            if value < posed.instance.optimum:
                return posed, chosen, value
    raise AssertionError("no knapsack leaves room between target and optimum")


# --- the ledger -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("family", "mode"), EVERY)
def test_the_exact_answer_reaches_the_top(family, mode):
    """The exact answer is optimal; a procedure has no objective, so feasible is its top and it has no gap."""
    posed = posed_at(family, mode)
    verdict = judge_reply(posed, written(posed, posed.family.exact(posed.instance, mode)), "stop")
    if posed.objective is None:
        assert (verdict.outcome, verdict.objective, verdict.gap) == ("feasible", None, None)
    else:
        assert (verdict.outcome, verdict.objective, verdict.gap) == ("optimal", posed.instance.optimum, 0)
    assert verdict.satisfied == len(verdict.checks) == len(posed.constraints)
    assert verdict.scored
    assert verdict.error is None


def test_an_answer_short_of_the_optimum_is_feasible_with_its_gap():
    """A feasible answer is worth its own recomputed objective, and its gap says how far from the best it is."""
    posed, chosen, value = short_of_best()
    verdict = judge_reply(posed, written(posed, chosen), "stop")
    best = posed.instance.optimum
    assert (verdict.outcome, verdict.objective) == ("feasible", value)
    assert verdict.gap == round(Fraction(best - value, best) * 1_000_000) > 0


def test_another_answer_of_the_same_worth_is_optimal():
    """Ties are fine: by brute force, every answer worth the optimum is optimal, stored or not, and no other is."""
    data = KnapsackData((6, 6, 5, 3), ((4, 4, 3, 2),), (7,), conflicts=(), requires=(), least=1)
    _, instance = instance_of(Knapsack, data, modules=())
    posed = Posed(instance, "final")
    best = [chosen for chosen, value in subsets(posed) if value == 11]
    assert best == [{0, 2}, {1, 2}]
    assert instance.answer in best
    assert all(value <= 11 for _, value in subsets(posed))
    for chosen in best:
        verdict = judge_reply(posed, written(posed, chosen), "stop")
        assert (verdict.outcome, verdict.objective, verdict.gap) == ("optimal", 11, 0)


def test_a_violated_constraint_makes_an_answer_infeasible():
    """What is read and breaks a rule is infeasible: each constraint is told, none is worth an objective."""
    posed = posed_at("knapsack")
    verdict = judge_reply(posed, '{"items": [1, 2, 3, 4, 5, 6]}', "stop")
    assert verdict.outcome == "infeasible"
    assert (verdict.objective, verdict.gap) == (None, None)
    assert not {c.id: c.satisfied for c in verdict.checks}["capacity.1"]
    assert 0 < verdict.satisfied < len(verdict.checks)


ANSWERS = {
    "": "no_reply",
    " \n ": "no_reply",
    "<think>Items 1 and 2 fit.</think>": "no_reply",
    "I'm sorry, but I can't help with that.": "refusal",
    "There are many good choices here.": "unparsed",
    '{"items": [1, 2': "unparsed",
    '{"items": [1, 1]}': "malformed",
    '{"items": [7]}': "malformed",
    '{"items": [-1]}': "malformed",
    '{"items": [true]}': "malformed",
    '{"items": [1.5]}': "malformed",
    '{"items": [null]}': "malformed",
    '{"items": "all"}': "malformed",
}


@pytest.mark.parametrize(("text", "outcome"), ANSWERS.items())
def test_a_reply_without_an_answer_satisfies_nothing(text, outcome):
    """Each way of giving no answer has its own outcome; all constraints count, none is satisfied."""
    posed = posed_at("knapsack")
    verdict = judge_reply(posed, text, "stop")
    assert verdict.outcome == outcome
    assert verdict.scored == (outcome not in UNSCORED)
    assert (verdict.satisfied, len(verdict.checks)) == (0, len(posed.constraints))
    assert (verdict.answer, verdict.objective, verdict.gap, verdict.written) == (None, None, None, ())
    assert (verdict.error is None) == (outcome in ("no_reply", "refusal"))


@pytest.mark.parametrize("reason", ["length", "max_tokens", "MAX_TOKENS"])
@pytest.mark.parametrize("text", [text for text, outcome in ANSWERS.items()])
def test_a_reply_cut_off_at_the_cap_without_an_answer_is_the_caps_fault(text, reason):
    """What a model would have said is unknown where the cap cut it off: the trial is unscored."""
    verdict = judge_reply(posed_at("knapsack"), text, reason)
    assert verdict.outcome == "cap_hit"
    assert not verdict.scored


@pytest.mark.parametrize(("family", "mode"), EVERY)
def test_a_complete_answer_counts_even_where_the_reply_was_cut_off_after_it(family, mode):
    """The answer stood there before the cap was reached: it is judged as any other, and the cut is noted."""
    posed = posed_at(family, mode)
    answer = written(posed, posed.family.exact(posed.instance, mode))
    whole, cut = judge_reply(posed, answer, "stop"), judge_reply(posed, f"{answer}\n\nLet me check that agai", "length")
    assert cut == replace(whole, repairs=("prose", "cut_after_answer"))


def test_an_answer_that_was_being_replaced_when_the_cap_came_does_not_count():
    """A draft is no answer where the cap cut off a later one; said by a model that ended by itself, it is."""
    text = 'First {"items": [1]}, but better is {"items": [1, 2'
    assert judge_reply(posed_at("knapsack"), text, "length").outcome == "cap_hit"
    assert judge_reply(posed_at("knapsack"), text, "stop").answer == '{"items":[1]}'


@pytest.mark.parametrize("outcome", OUTCOMES[:6])
@pytest.mark.parametrize(("family", "mode"), EVERY)
def test_the_denominator_is_fixed_by_the_instance(family, mode, outcome):
    """Whatever became of a trial, it lists the same constraints under the same ids."""
    posed = posed_at(family, mode)
    exact = judge_answer(posed, posed.family.exact(posed.instance, mode))
    none = failed(posed, outcome, "why")
    assert [c.id for c in none.checks] == [c.id for c in exact.checks] == constraint_ids(posed.constraints)
    assert [(c.kind, c.constraint_class) for c in none.checks] == [(c.kind, c.constraint_class) for c in exact.checks]
    assert (none.outcome, none.satisfied, none.error) == (outcome, 0, "why")


def test_outcomes_are_parted_into_unscored_failed_read_and_feasible():
    """The ledger's groups hold known outcomes only and don't overlap."""
    assert set(UNSCORED) | set(FEASIBLE) < set(OUTCOMES)
    assert not set(UNSCORED) & set(FEASIBLE)
    assert len(OUTCOMES) == len(set(OUTCOMES)) == 9


@pytest.mark.parametrize("baseline", baselines.BASELINES)
@pytest.mark.parametrize("size", ["xs", "m"])
@pytest.mark.parametrize(("family", "mode"), EVERY)
def test_a_baselines_answer_is_judged_and_never_crashes(family, mode, size, baseline):
    """Every baseline of every family and mode goes through the judge, read from text as a model's is."""
    posed = posed_at(family, mode, size)
    answer = baselines.answer(posed, baseline, 0)
    if answer is None:
        assert baseline in ("greedy", "template")
        return
    verdict = judge_reply(posed, written(posed, answer), "stop")
    assert verdict.scored
    assert (verdict.outcome in FEASIBLE) == (verdict.satisfied == len(posed.constraints))
    if baseline == "exact":
        assert verdict.outcome in FEASIBLE
    if baseline == "blank":
        assert verdict.outcome in ("infeasible", "malformed")


def test_an_answer_that_lacks_entities_fails_what_names_them():
    """A packing without item 1 violates its placement and every rule about it, and is otherwise judged as it is."""
    posed = posed_at("bin_packing")
    value = posed.shape.write(posed.instance.answer, posed.instance.names)
    del value["assignment"]["1"]
    verdict = judge_reply(posed, json.dumps(value), "stop")
    missed = {c.id for c in verdict.checks if c.slack is None}
    assert verdict.outcome == "infeasible"
    assert "placed.1" in missed
    assert missed == {c.id for c in verdict.checks if not c.satisfied}
    assert "missing_entries" in verdict.repairs


def test_an_empty_vector_is_malformed_and_an_empty_trace_wrong_everywhere():
    """A final vector has a fixed length; of a trace the missing iterates are wrong. Neither satisfies anything."""
    final, trace = posed_at("jacobi"), posed_at("jacobi", "trace")
    for posed, text, outcome in ((final, '{"x": []}', "malformed"), (trace, '{"iterates": []}', "infeasible")):
        verdict = judge_reply(posed, text, "stop")
        assert (verdict.outcome, verdict.satisfied, len(verdict.checks)) == (outcome, 0, len(posed.constraints))
    assert judge_reply(trace, '{"iterates": [[]]}', "stop").outcome == "malformed"
    assert judge_answer(final, ()).satisfied == 0


@pytest.mark.parametrize("entry", ["NaN", "Infinity", "-Infinity", "1e999", "1e-999", "1e16", '"NaN"', "true", "null"])
@pytest.mark.parametrize(
    ("family", "mode", "text"),
    [
        ("jacobi", "final", '{"x": [ENTRY, 1]}'),
        ("jacobi", "trace", '{"iterates": [[1, 1], [ENTRY, 1]]}'),
        ("job_shop", "final", '{"starts": {"1": [ENTRY, 9], "2": [0, 5]}}'),
    ],
)
def test_what_is_no_number_of_this_world_is_malformed(family, mode, text, entry):
    """Neither a number nor a stand-in for one: NaN, infinities, overflowing and truth values don't fit."""
    verdict = judge_reply(posed_at(family, mode), text.replace("ENTRY", entry), "stop")
    assert verdict.outcome == "malformed"


def test_a_whole_start_time_may_be_written_with_a_decimal_point():
    """3.0 is the whole number 3, and the repair is named; 3.5 is no start time."""
    posed = posed_at("job_shop")
    exact = written(posed, posed.instance.answer)
    value = json.loads(exact)
    pointed = json.dumps(value | {"starts": {job: [float(s) for s in row] for job, row in value["starts"].items()}})
    verdict = judge_reply(posed, pointed, "stop")
    assert verdict == replace(judge_reply(posed, exact, "stop"), repairs=("integral_float",))
    assert judge_reply(posed, pointed.replace(".0", ".5"), "stop").outcome == "malformed"


# --- the gap ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "optimum", "gap"),
    [
        (100, 100, 0),
        (0, 0, 0),
        (80, 100, 200_000),  # maximising: 20 / 100
        (125, 100, 200_000),  # minimising: 25 / 125
        (-80, -100, 200_000),
        (-125, -100, 200_000),
        (2, 3, 333_333),
        (Fraction(1, 3), Fraction(1, 2), 333_333),
        (0, 100, 1_000_000),
        (100, 0, 1_000_000),
        (-1, 100, 1_000_000),
        (1, -100, 1_000_000),
        (10**30 + 10**24, 10**30, 1),
    ],
)
def test_the_primal_gap_is_berthold_s(value, optimum, gap):
    """|z - z*| / max(|z|, |z*|) in parts per million; 1 where the signs differ, 0 where both are 0."""
    assert primal_gap(value, optimum) == gap


@given(st.fractions(), st.fractions())
def test_the_primal_gap_is_symmetric_and_between_none_and_all(z, best):
    """Either direction of optimisation gives the same gap, between 0 and a million."""
    assert 0 <= primal_gap(z, best) == primal_gap(best, z) <= 1_000_000
    assert primal_gap(z, z) == 0


# --- stored answers ---------------------------------------------------------------------------------------------------

NUMBERS = st.one_of(
    st.integers(-(10**15), 10**15).map(str),
    st.from_regex(r"-?[0-9]{1,15}\.[0-9]{1,25}", fullmatch=True),
    st.from_regex(r"-?0?\.[0-9]{1,39}(e-[0-9]{1,2})?", fullmatch=True),
    st.from_regex(r"-?[1-9]\.[0-9]{30,39}[eE]-[0-9]{1,2}", fullmatch=True),
    st.from_regex(r'"-?[0-9]{1,40}/[1-9][0-9]{0,38}"', fullmatch=True),
    st.from_regex(r"[0-9]{1,3}[eE][+]?[0-9]{1,2}", fullmatch=True),
    st.sampled_from(["0.5", "-0.0", "1e-40", '"0.25"', '"1,234,567"', "−3", '"\\\\frac{1}{3}"', "1.0", "NaN"]),
)


@settings(max_examples=400, deadline=None)
@given(NUMBERS)
@example("1.234567890123456789012345678901234567890e-6")
@example(".0000000000000000000000000000000000000001e-40")
@example("1234567890123456789012345678901234567891e-40")
@example('"1234567890123456789012345678901234567891/1234567890123456789012345678901234567892"')
def test_a_number_that_was_read_is_kept_digit_by_digit(number):
    """What is read of a stored answer equals what was read of the reply, however long the number; it is JSON."""
    first = read(f'{{"x": [{number}]}}', SCHEMA)
    if first.status == "read":
        kept = exact_json(first.value)
        json.loads(kept)
        assert read(kept, SCHEMA).value == first.value


def test_stored_text_is_exact_json():
    """Decimals are written digit by digit, other fractions as texts, the rest as JSON."""
    value = {"é": [1, Decimal("0.10"), Decimal("1E-7"), Fraction(-1, 3), Fraction(4, 2)], "b": {"1": "x"}}
    assert exact_json(value) == '{"\\u00e9":[1,0.10,0.0000001,"-1/3",2],"b":{"1":"x"}}'


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_a_stored_answer_scores_what_its_reply_scored(data):
    """The verdict can be recomputed from the answer that was read: same outcome, checks, objective, gap, labels."""
    family, mode = data.draw(st.sampled_from([pair for pair in EVERY if registry.get(pair[0]).kind == "numerics"]))
    posed = posed_at(family, mode)
    row = st.lists(NUMBERS, min_size=posed.shape.components, max_size=posed.shape.components)
    if mode == "final":
        text = f'{{"{Names().word(posed.shape.term)}": [{", ".join(data.draw(row))}]}}'
    else:
        rows = data.draw(st.lists(row, max_size=posed.shape.rows + 1))
        text = '{"iterates": [' + ", ".join(f"[{', '.join(r)}]" for r in rows) + "]}"
    verdict = judge_reply(posed, text, data.draw(st.sampled_from(["stop", "length"])))
    again = judge_stored(posed, verdict.outcome, verdict.answer)
    assert replace(again, repairs=(), error=None) == replace(verdict, repairs=(), error=None)


@pytest.mark.parametrize(("family", "mode"), EVERY)
def test_every_outcome_is_recomputed_from_what_is_stored(family, mode):
    """With an answer the judge judges it again; without one the outcome stands, with nothing satisfied."""
    posed = posed_at(family, mode)
    for answer in (posed.family.exact(posed.instance, mode), baselines.answer(posed, "random", 0)):
        verdict = judge_reply(posed, written(posed, answer), "stop")
        assert judge_stored(posed, verdict.outcome, verdict.answer) == verdict
    for outcome in OUTCOMES[:6]:
        assert judge_stored(posed, outcome, None) == failed(posed, outcome)


# --- records ----------------------------------------------------------------------------------------------------------


def test_a_record_lists_failures_by_kind():
    """Of each kind: how many, how many satisfied, the numbers of the failed ones; sums are the trial's."""
    posed = posed_at("knapsack")
    verdict = judge_reply(posed, '{"items": [1, 2, 3, 4, 5, 6]}', "stop")
    kept = record(posed, 3, 1, verdict)
    assert (kept.position, kept.sample, kept.outcome, kept.answer) == (3, 1, "infeasible", '{"items":[1,2,3,4,5,6]}')
    assert (kept.constraints, kept.satisfied) == (len(verdict.checks), verdict.satisfied)
    assert sum(k.constraints for k in kept.kinds) == kept.constraints
    assert sum(k.satisfied for k in kept.kinds) == kept.satisfied
    listed = {f"{k.kind}.{number}" for k in kept.kinds for number in k.failed.split(",") if number}
    assert listed == {c.id for c in verdict.checks if not c.satisfied}


def test_an_unscored_trial_has_no_constraint_results():
    """An instrument's failure says nothing about any constraint."""
    posed = posed_at("knapsack")
    assert record(posed, 0, 0, failed(posed, "no_reply")).kinds == ()
    assert record(posed, 0, 0, failed(posed, "refusal")).kinds != ()


@pytest.mark.parametrize("hostile", ["\x00", "\ud800", "\x1b"])
def test_an_error_can_be_stored_whatever_the_reply_held(hostile):
    """No database takes a NUL or half a surrogate pair, and no terminal should take an escape sequence."""
    posed = posed_at("knapsack")
    kept = record(posed, 0, 0, judge_reply(posed, f'{{"items": [a{hostile}b]}}', "stop"))
    assert kept.outcome == "malformed"
    assert hostile not in kept.error
    kept.error.encode()
    long = record(posed, 0, 0, failed(posed, "transport_error", hostile + "x" * 10_000))
    assert len(long.error) == LONGEST_ERROR
    long.error.encode()
