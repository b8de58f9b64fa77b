"""Measures: what a trial adds to its shard's tally, by hand, and that a tally survives being kept."""

from collections import defaultdict
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe.asking import baselines
from probe.asking.judging import OUTCOMES, UNSCORED, Verdict, failed, judge_answer
from probe.asking.measures import FIRST, POSITIONS, counts, pack, tally, unpack
from probe.asking.posed import Posed
from probe.batches import SHARD_TRIALS, sample_ranges
from solvers import registry
from solvers.numerics.jacobi import Jacobi, JacobiData
from solvers.problem import SIZES, Check, Instance
from solvers.procedure import ATTRACTORS, LABELS, Written
from tests.solvers.numerics.handmade import given as instance_of

EVERY = [(name, mode) for name in registry.modules() for mode in registry.get(name).modes]


def posed_at(family, mode="final", size="xs"):
    found, _ = registry.get(family).instance(size, 7, 0)
    assert isinstance(found, Instance)
    return Posed(found, mode)


def check(kind, satisfied, constraint_class=None):
    return Check(f"{kind}.1", kind, constraint_class or kind, satisfied, None)


CHECKS = (
    check("capacity", True),
    check("capacity", False),
    check("conflict", True, "logical"),
    check("requires", False, "logical"),
    check("target", True),
)


def scored(counted):
    """What a trial counts beside its outcome."""
    return {name: pair for name, pair in counted.items() if not name.startswith("outcome:")}


def test_an_infeasible_answer_by_hand():
    """Five constraints, three satisfied: pooled, by kind and by class; well-formed; neither feasible nor optimal."""
    assert scored(counts(posed_at("knapsack"), Verdict("infeasible", CHECKS))) == {
        "constraints": (5, 3),
        "wellformed": (5, 3),
        "feasible": (1, 0),
        "feasible_core": (1, 0),
        "optimal": (1, 0),
        "kind:capacity": (2, 1),
        "kind:conflict": (1, 1),
        "kind:requires": (1, 0),
        "kind:target": (1, 1),
        "class:capacity": (2, 1),
        "class:logical": (2, 1),
        "class:target": (1, 1),
    }


def test_feasible_core_forgives_the_target_alone():
    """All but the target hold: infeasible, but comparable with benchmarks that set no target."""
    missed = (check("capacity", True), check("target", False))
    counted = counts(posed_at("knapsack"), Verdict("infeasible", missed))
    assert (counted["feasible"], counted["feasible_core"]) == ((1, 0), (1, 1))


def test_a_refusal_is_no_feasible_core_even_where_there_is_only_a_target():
    """No answer satisfies nothing, so it isn't feasible in any sense."""
    counted = counts(posed_at("knapsack"), Verdict("refusal", (check("target", False),)))
    assert (counted["feasible"], counted["feasible_core"]) == ((1, 0), (1, 0))


@pytest.mark.parametrize("outcome", ["refusal", "unparsed", "malformed"])
def test_a_scored_trial_without_an_answer_fails_every_constraint(outcome):
    """It counts in every rate but the one of well-formed answers."""
    posed = posed_at("knapsack")
    counted, n = counts(posed, failed(posed, outcome)), len(posed.constraints)
    assert counted["constraints"] == (n, 0)
    assert "wellformed" not in counted
    assert "gap" not in counted
    assert all(y == 0 for name, (_, y) in counted.items() if name != f"outcome:{outcome}")


@pytest.mark.parametrize("outcome", UNSCORED)
@pytest.mark.parametrize(("family", "mode"), EVERY)
def test_an_unscored_trial_counts_in_outcomes_only(family, mode, outcome):
    """An instrument's failure is in no rate's n; it is counted as what it is."""
    posed = posed_at(family, mode)
    assert counts(posed, failed(posed, outcome)) == {f"outcome:{o}": (1, int(o == outcome)) for o in OUTCOMES}


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_each_trial_has_exactly_one_outcome(outcome):
    """The outcomes' y add up to the number of trials, each with the same n."""
    posed = posed_at("knapsack")
    ledger = {name: pair for name, pair in counts(posed, failed(posed, outcome)).items() if name.startswith("outcome:")}
    assert len(ledger) == len(OUTCOMES)
    assert {n for n, _ in ledger.values()} == {1}
    assert [name for name, (_, y) in ledger.items() if y] == [f"outcome:{outcome}"]


def test_the_gap_is_of_feasible_answers_with_an_objective():
    """An optimal answer has gap 0 and a feasible one its own; an infeasible one has none, rather than the largest."""
    posed, good = posed_at("knapsack"), (check("capacity", True),)
    assert counts(posed, Verdict("optimal", good, "{}", 9, 0))["gap"] == (1, 0)
    assert counts(posed, Verdict("optimal", good, "{}", 9, 0))["optimal"] == (1, 1)
    assert counts(posed, Verdict("feasible", good, "{}", 8, 111_111))["gap"] == (1, 111_111)
    assert "gap" not in counts(posed, Verdict("infeasible", CHECKS))


def test_a_procedure_is_never_optimal():
    """Where nothing is optimised, "optimal" is undefined, and not 0."""
    posed = posed_at("jacobi")
    counted = counts(posed, judge_answer(posed, posed.family.exact(posed.instance, "final")))
    assert counted["feasible"] == (1, 1)
    assert "optimal" not in counted
    assert "gap" not in counted


@pytest.mark.parametrize("baseline", baselines.BASELINES)
@pytest.mark.parametrize(("family", "mode"), EVERY)
def test_kinds_and_classes_add_up_to_all_constraints(family, mode, baseline):
    """Every constraint is of one kind and of one class."""
    posed = posed_at(family, mode, "s")
    answer = baselines.answer(posed, baseline, 0)
    counted = counts(posed, failed(posed, "unparsed") if answer is None else judge_answer(posed, answer))
    for prefix in ("kind:", "class:"):
        pairs = np.array([pair for name, pair in counted.items() if name.startswith(prefix)])
        assert tuple(pairs.sum(axis=0)) == counted["constraints"]


# --- what memory offers ----------------------------------------------------------------------------------------------


def perturbed(family, size):
    """A perturbed instance as posed, and the answer that memory offers for it."""
    found, _ = registry.get(family).instance(size, 7, 0, variant="perturbed")
    original, _ = registry.get(family).instance(
        size, 7, 0, variant="famous" if registry.get(family).kind == "optimization" else "fresh"
    )
    return Posed(found, "final"), registry.get(family).exact(original, "final")


@pytest.mark.parametrize(("family", "size"), [("knapsack", "s"), ("knapsack", "m"), ("jacobi", "s"), ("newton", "s")])
def test_an_answer_from_memory_is_counted(family, size):
    """On a perturbed instance the original's answer counts as recalled and is not optimal; the right one does not."""
    posed, remembered = perturbed(family, size)
    memory, right = (judge_answer(posed, answer) for answer in (remembered, baselines.answer(posed, "exact", 0)))
    assert counts(posed, memory)["recalled"] == (1, 1)
    assert memory.outcome in ("infeasible", "feasible")
    assert counts(posed, right)["recalled"] == (1, 0)
    assert counts(posed, failed(posed, "unparsed"))["recalled"] == (1, 0)
    assert "recalled" not in counts(posed, failed(posed, "cap_hit"))


def test_without_a_memory_nothing_is_recalled():
    """On a fresh instance there is nothing to be counted."""
    posed = posed_at("knapsack", "final", "s")
    assert "recalled" not in counts(posed, judge_answer(posed, baselines.answer(posed, "exact", 0)))


# --- traces -----------------------------------------------------------------------------------------------------------

# 4x + y = 9, x + 4y = 6 from (0, 0), each new value to 2 decimals; it tends to (2, 1).
#   step 1: 9/4 = 2.25, 6/4 = 1.5     step 2: 7.5/4 = 1.875 -> 1.88 (tie to even), 3.75/4 = 0.9375 -> 0.94
#   step 3: (9 - 0.94)/4 = 2.015 -> 2.02 (tie to even), (6 - 1.88)/4 = 1.03
SYSTEM = instance_of(Jacobi(), JacobiData(((4, 1), (1, 4)), (9, 6), (0, 0)), steps=3, places=2)
EXACT = [["2.25", "1.5"], ["1.88", "0.94"], ["2.02", "1.03"]]


def judged(rows, mode="trace"):
    posed = Posed(SYSTEM, mode)
    return counts(posed, judge_answer(posed, tuple(tuple(map(Fraction, row)) for row in rows)))


def test_the_trace_that_the_rest_of_this_page_is_about():
    """The iterates worked out above are the exact ones: all survive, follow and are right."""
    counted = judged(EXACT)
    assert counted["constraints"] == (6, 6)
    assert [counted[f"survives:{k}"] for k in (1, 2, 3)] == [(1, 1)] * 3
    assert [counted[f"follows:{k}"] for k in (1, 2, 3)] == [(1, 1)] * 3
    assert {name: counted[f"label:{name}"] for name in LABELS} == {
        "right": (6, 6),
        "local": (6, 0),
        "propagated": (6, 0),
        "restored": (6, 0),
    }
    assert not any(name.startswith("attractor:") for name in counted)


def test_one_slip_that_is_carried_on():
    """Step 1 has a slip in y (1.6 for 1.5): local. From (2.25, 1.6) follow x = 1.85 and y = 0.94, then (2.02, 1.04).

    x of step 2 is propagated, y of step 2 right though its step had an error: restored. Then x is restored and y
    propagated.
    """
    counted = judged([["2.25", "1.6"], ["1.85", "0.94"], ["2.02", "1.04"]])
    assert counted["constraints"] == (6, 3)
    assert {name: counted[f"label:{name}"] for name in LABELS} == {
        "right": (6, 1),
        "local": (6, 1),
        "propagated": (6, 2),
        "restored": (6, 2),
    }
    assert [counted[f"survives:{k}"] for k in (1, 2, 3)] == [(1, 0)] * 3
    assert [counted[f"follows:{k}"] for k in (1, 2, 3)] == [(1, 0), (1, 1), (1, 1)]


def test_survival_ends_at_the_first_wrong_iterate():
    """Later right iterates don't revive a trace."""
    counted = judged([EXACT[0], ["1.88", "0.5"], EXACT[2]])
    assert [counted[f"survives:{k}"] for k in (1, 2, 3)] == [(1, 1), (1, 0), (1, 0)]


def test_missing_iterates_do_not_survive_and_are_not_followed():
    """A trace that stops early dies there; of what isn't written nothing can follow, and nothing is labelled."""
    counted = judged(EXACT[:1])
    assert [counted[f"survives:{k}"] for k in (1, 2, 3)] == [(1, 1), (1, 0), (1, 0)]
    assert counted["follows:1"] == (1, 1)
    assert not {"follows:2", "follows:3"} & set(counted)
    assert counted["label:right"] == (2, 2)
    assert counted["constraints"] == (6, 2)


def test_wrong_values_by_what_they_are():
    """Of the wrong components: 2 is where the iteration tends to, 0 its start, 1.5 another iterate's, 5 a round one,
    3.17 nothing known. Right ones aren't counted."""
    counted = judged([["2", "0"], ["5", "1.5"], ["2.02", "3.17"]])
    assert {name: counted[f"attractor:{name}"] for name in ATTRACTORS} == {
        "converged": (5, 1),
        "start": (5, 1),
        "other_iterate": (5, 1),
        "nice": (5, 1),
        "none": (5, 1),
    }


def test_a_final_answer_has_attractors_but_no_labels():
    """Without the iterates before it, what a final value follows from is unknown."""
    counted = judged([["2.25", "1.03"]], "final")
    assert counted["constraints"] == (2, 1)
    assert counted["attractor:other_iterate"] == (1, 1)
    assert not any(name.startswith(("label:", "survives:", "follows:")) for name in counted)


def test_a_trace_that_cannot_be_read_survives_no_step():
    """It was asked for every iterate and gave none."""
    posed = Posed(SYSTEM, "trace")
    counted = counts(posed, failed(posed, "malformed"))
    assert [counted[f"survives:{k}"] for k in (1, 2, 3)] == [(1, 0)] * 3
    assert not any(name.startswith(("label:", "attractor:", "follows:")) for name in counted)


def test_an_iterate_follows_only_if_all_its_components_do():
    """One component beside the step is enough for the iterate not to follow."""
    written = (Written(1, 0, "right", True, None), Written(1, 1, "local", False, "none"))
    counted = counts(Posed(SYSTEM, "trace"), Verdict("infeasible", (check("iterate", False),), written=written))
    assert counted["follows:1"] == (1, 0)


# --- tallies ----------------------------------------------------------------------------------------------------------


def test_a_tally_adds_trials_of_one_position_and_keeps_positions_apart():
    """Samples of an instance are summed at its place; what was never counted is (0, 0) there."""
    names, matrix = tally([(0, {"a": (5, 3)}), (0, {"a": (5, 4), "b": (1, 1)}), (49, {"a": (2, 0)})])
    assert names == ["a", "b"]
    assert matrix.shape == (2, POSITIONS, 2)
    assert matrix[0, 0].tolist() == [10, 7]
    assert matrix[0, 49].tolist() == [2, 0]
    assert matrix[1, 0].tolist() == [1, 1]
    assert matrix.sum() == 10 + 7 + 2 + 1 + 1


COUNTS = st.dictionaries(
    st.sampled_from(["constraints", "gap", "kind:capacity", "outcome:optimal", "survives:12"]),
    st.tuples(st.integers(0, 10**4), st.integers(0, 10**6)),
)


@given(st.lists(st.tuples(st.integers(0, POSITIONS - 1), COUNTS), max_size=12))
def test_a_tally_is_kept_and_read_back_as_it_was(trials):
    """Packing loses nothing, whatever was counted, nothing at all included; the sums are those of plain Python."""
    names, matrix = tally(trials)
    kept = unpack(*pack(names, matrix))
    sums = defaultdict(lambda: [0, 0])
    for position, trial in trials:
        for measure, (n, y) in trial.items():
            sums[measure, position][0] += n
            sums[measure, position][1] += y
    assert list(kept) == names
    assert sorted(names) == sorted({measure for measure, _ in sums})
    assert names == [n for n in FIRST if n in names] + sorted(set(names) - set(FIRST))
    for measure, rows in kept.items():
        assert rows.tolist() == [sums.get((measure, position), [0, 0]) for position in range(POSITIONS)]


def test_a_packed_tally_is_little_endian_on_every_machine():
    """The bytes are part of the database's format: 32 bits a number, lowest byte first, n before y."""
    names, blob = pack(*tally([(1, {"a": (258, 1)})]))
    assert names == "a"
    assert len(blob) == POSITIONS * 2 * 4
    assert blob[8:16] == bytes([2, 1, 0, 0, 1, 0, 0, 0])


def test_the_largest_shard_fits_into_32_bits():
    """Most trials of one position in one shard times the largest count of one trial stays below 2^31."""
    most = max(high - low for low, high in sample_ranges(1, 10_000))
    assert most == SHARD_TRIALS
    constraints = max(len(posed_at(family, mode, size).constraints) for family, mode in EVERY for size in SIZES)
    largest = max(1_000_000, constraints)
    _, matrix = tally([(0, {"gap": (1, 1_000_000), "constraints": (constraints, constraints)})] * most)
    assert matrix[1, 0].tolist() == [most, most * 1_000_000]
    assert most * largest < 2**31
