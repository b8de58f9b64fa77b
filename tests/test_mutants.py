"""The mutants are what they are said to be, and the tests see a sample of them (`make mutants` shows them all)."""

from dataclasses import dataclass

import pytest

from solvers import registry
from solvers.problem import Constraint
from tests.mutants import __main__ as command
from tests.mutants.explained import EXPLAINED
from tests.mutants.finding import Found, predicates, tried
from tests.mutants.making import mutants


@dataclass(frozen=True)
class Few(Constraint[frozenset[int], None]):
    """At most some, and none of one."""

    one: int
    limit: int

    def check(self, answer: frozenset[int]) -> int:
        return self.limit - len(answer) if self.one not in answer else -1


def test_a_predicate_is_changed_in_one_place_at_a_time():
    """Constants, signs, terms, operands, comparisons, branches and fields: each change once, and none twice."""
    found = list(mutants(Few.check, "few", {"limit": ("one",), "one": ("limit",)}))
    whole = "self.limit - len(answer) if self.one not in answer else -1"
    assert [mutant.what for mutant in found] == [
        f"return {whole} -> return 0",
        f"return {whole} -> return -1",
        f"return {whole} -> return -({whole})",
        f"return {whole} -> return ({whole}) + 1",
        f"return {whole} -> return ({whole}) - 1",
        f"{whole} -> self.limit - len(answer)",
        "self.one not in answer -> self.one in answer",
        "self.one -> self.limit",
        "self.limit - len(answer) -> self.limit + len(answer)",
        "self.limit - len(answer) -> self.limit",
        "self.limit - len(answer) -> -len(answer)",
        "self.limit - len(answer) -> len(answer) - self.limit",
        "self.limit -> self.one",
        "-1 -> 1",
        "1 -> 0",
    ]
    assert len({mutant.source for mutant in found}) == len(found)


@pytest.mark.parametrize(
    "where",
    ["knapsack Requires.check", "knapsack ValueLeft.of", "set_cover DoubleCover.check", "jacobi Jacobi.step"],
)
def test_the_shared_suite_sees_a_sample(where):
    """Each third mutant of a few predicates is seen, and the predicates as they are pass."""
    found = tried(where, 3, ("suite",))
    assert found.seen["suite"] >= 3
    assert not found.survivors


def test_nobody_sees_what_is_shown_to_nobody():
    """Every mutant survives where no test is run: what is counted as seen comes from the tests."""
    found = tried("knapsack Capacity.check", 3, ())
    assert not found.seen
    assert len(found.survivors) >= 3


def test_every_predicate_of_every_family_is_there():
    """Each constraint kind, objective and step belongs to a predicate, and each explanation to a mutant."""
    held = {(family, kind) for p in predicates() for family in p.families for kind in p.kinds}
    for family in registry.families():
        kinds = [
            "of" if kind == "target" else "step" if kind == "iterate" else kind for kind in family.constraint_kinds
        ]
        assert {(family.name, kind) for kind in kinds} <= held, family.name
    assert set(EXPLAINED) <= {str(mutant) for p in predicates() for mutant in p.mutants()}


@pytest.mark.parametrize(
    ("survivors", "code", "said"),
    [
        ((), 0, "seen: 3 of 3 mutants that change something (100.0 %); 0 more change nothing"),
        (("knapsack Capacity.check: 1 -> 2",), 1, "not seen: knapsack Capacity.check: 1 -> 2"),
    ],
)
def test_a_survivor_that_nobody_explains_is_printed_and_fails(capsys, survivors, code, said):
    """The exit code tells whether all is seen or explained."""
    found = Found("knapsack Capacity.check", ("knapsack",), {"suite": 2, "own": 1}, survivors, 1.0)
    assert command.report([found]) == code
    assert said in capsys.readouterr().out


def test_an_explanation_of_what_is_seen_is_stale(capsys, monkeypatch):
    """An explained mutant that the tests see after all is no longer explained by anything."""
    monkeypatch.setitem(EXPLAINED, "knapsack Capacity.check: 1 -> 2", "of no use")
    found = Found("knapsack Capacity.check", ("knapsack",), {"suite": 2}, (), 1.0)
    assert command.report([found]) == 1
    assert "explained, but seen: knapsack Capacity.check: 1 -> 2" in capsys.readouterr().out
