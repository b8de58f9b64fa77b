"""What every iterative procedure shares: rounding, acceptance, statement, and what is said of a wrong iterate."""

from dataclasses import dataclass, replace
from fractions import Fraction

import pytest
from hypothesis import given as sampled
from hypothesis import strategies as st

from solvers.names import Names
from solvers.problem import Data, Hole, Instance, examine, ladder
from solvers.procedure import ATTRACTORS, LABELS, Procedure, ProcedureKnobs, classify, decimal, half_even
from tests.solvers.numerics.handmade import HOSTILE, given, nearest, vector


@dataclass(frozen=True)
class HeronData(Data):
    number: int
    start: Fraction


class Heron(Procedure[HeronData]):
    """Square roots as Heron of Alexandria took them: x becomes (x + number / x) / 2."""

    name, version, title, data = "heron", 1, "Heron's rule", HeronData
    sizes = ladder(ProcedureKnobs, steps=1, places=4)
    drawn = HeronData(2, Fraction(1))

    def draw(self, knobs, stream):
        return self.drawn

    def start(self, d):
        return (d.start,)

    def step(self, d, x, rounded):
        return (rounded((x[0] + d.number / x[0]) / 2),)

    def intro(self, d, names):
        return f"The square root of {d.number} is sought."

    def say(self, d, names):
        return f"the new {names.word('x')} is half the sum of {names.word('x')} and {d.number} / {names.word('x')}."


@dataclass(frozen=True)
class AffineData(Data):
    rate: Fraction
    start: Fraction


class Affine(Heron):
    """x becomes rate * x."""

    name, data = "affine", AffineData
    sizes = ladder(ProcedureKnobs, steps=8, places=4)

    def __init__(self, rate: str, start: int = 3) -> None:
        self.drawn = AffineData(Fraction(rate), Fraction(start))

    def step(self, d, x, rounded):
        return (rounded(d.rate * x[0]),)


HERON = Heron()
# 1, then 3/2, 17/12 = 1.41666… and (1.4167 + 2/1.4167)/2 = 1.414215…
ROOT = given(HERON, HeronData(2, Fraction(1)), steps=3, places=4)


def labels(*values: str) -> list[str | None]:
    """Return the labels of a scalar trace."""
    return [w.label for w in HERON.written(ROOT, "trace", tuple(vector(v) for v in values))]


class TestRounding:
    """The stated rounding: to the nearest, a tie to the even last digit."""

    @pytest.mark.parametrize(
        ("value", "rounded"),
        [("0.00005", "0"), ("0.00015", "0.0002"), ("-0.00005", "0"), ("-0.00015", "-0.0002"), ("2/3", "0.6667")],
    )
    def test_ties_go_to_the_even_digit(self, value, rounded):
        """Half a unit rounds to the even neighbour on both sides of zero."""
        assert half_even(4)(Fraction(value)) == Fraction(rounded)

    @sampled(st.fractions(max_denominator=10**6), st.integers(0, 6))
    def test_is_the_nearer_neighbour(self, value, places):
        """It agrees with a comparison of both neighbours."""
        assert half_even(places)(value) == nearest(value, places)

    @pytest.mark.parametrize(
        ("value", "text"),
        [(3, "3"), (Fraction(-1, 2), "-0.5"), (Fraction(7, 100), "0.07"), (Fraction(1, 3), "1/3"), (0, "0")],
    )
    def test_a_number_is_written_as_a_decimal_where_it_is_one(self, value, text):
        """No digit is lost: thirds stay fractions."""
        assert decimal(value) == text

    @sampled(st.fractions(max_denominator=10**6))
    def test_text_of_a_number_is_read_back(self, value):
        """What the statement prints is the number that the judge uses."""
        assert Fraction(decimal(value)) == value


class TestAcceptance:
    """Which draws become instances."""

    @pytest.mark.parametrize(
        ("family", "reason"),
        [
            (Affine("1"), "last step stands still"),
            (Affine("0"), "last step stands still"),
            (Affine("10"), "diverges"),
            (Affine("-1"), "does not converge"),
            (Affine("101/100"), "does not converge"),
            (Affine("1/3"), "last iterate looks converged"),  # 3 / 3^8 = 0.0005: 5 units of the last decimal
        ],
    )
    def test_a_draw_whose_answer_says_nothing_is_discarded_with_its_reason(self, family, reason):
        """The last iterate must exist, move, and differ visibly from a limit that exists."""
        assert family.accept("m", 7, 0, 0, ()) == reason

    def test_an_undefined_step_discards_the_draw(self):
        """Division by zero on the exact trace is a reason, no crash."""
        family = Heron()
        family.drawn = HeronData(2, Fraction(0))
        assert family.accept("m", 7, 0, 0, ()) == "undefined step"

    def test_an_index_without_acceptable_draw_is_a_hole(self):
        """All attempts are counted by their reason."""
        found, _ = Affine("1").instance("m", 7, 0)
        assert found == Hole({"last step stands still": 40})

    def test_an_accepted_draw_keeps_its_trace(self):
        """3 / 2^k, each value rounded as it is computed: 0.09375 -> 0.0938, 0.0469, 0.02345 -> 0.0234 (tie), 0.0117."""
        accepted = Affine("1/2").accept("m", 7, 0, 0, ())
        assert isinstance(accepted, Instance)
        assert [decimal(v) for (v,) in accepted.answer] == [
            *("1.5", "0.75", "0.375", "0.1875"),
            *("0.0938", "0.0469", "0.0234", "0.0117"),
        ]

    def test_the_limit_is_what_exact_iteration_tends_to(self):
        """At 1 decimal 0.9 x comes to rest at 0.4 (0.36 is rounded up to it); the limit is 0 all the same."""
        family = Affine("9/10")
        instance = given(family, AffineData(Fraction(9, 10), Fraction(10)), steps=60, places=1)
        assert instance.answer[-1] == vector("0.4")
        assert family.limit(instance) == (0,)


class TestStatement:
    """The text holds what the judge uses."""

    def test_names_start_rounding_tolerance_and_number_of_steps(self):
        """Nothing that decides about right or wrong is left to convention."""
        text = HERON.statement(ROOT, "final")
        for part in (
            "Start: x = 1.",
            "rounded to 4 decimals (to the nearest; a tie goes to the even last digit)",
            "after exactly 3 steps",
            "a difference of at most 0.00005 is allowed",
        ):
            assert part in text

    def test_asks_for_every_step_in_trace_mode(self):
        """The number of iterates is stated."""
        assert "every one of the 3 steps" in HERON.statement(ROOT, "trace")

    @pytest.mark.parametrize(
        ("given_", "said"),
        [(1, "The first of the 3 steps is done. It gave:"), (2, "The first 2 of the 3 steps are done. They gave:")],
    )
    def test_says_which_steps_are_done(self, given_, said):
        """One step is done, several are."""
        assert said in HERON.statement(replace(ROOT, given=given_), "final")

    def test_a_single_step_and_a_single_decimal_are_no_plurals(self):
        """1 step, 1 decimal."""
        single = given(HERON, HeronData(2, Fraction(1)), steps=1, places=1)
        for mode in HERON.modes:
            assert "after exactly 1 step;" in HERON.statement(single, mode)
            assert "rounded to 1 decimal (" in HERON.statement(single, mode)

    def test_whole_numbers_are_asked_for_exactly(self):
        """Where nothing is rounded, a half would pass for both of its neighbours."""
        whole = given(HERON, HeronData(2, Fraction(1)), steps=1, places=0)
        assert "must equal exactly the value that these rules give (a difference of 0)." in HERON.statement(
            whole, "final"
        )
        for value, satisfied in (("2", True), ("2.0", True), ("1.5", False), ("2.000001", False), ("1", False)):
            checks = examine(HERON.constraints(whole, "final"), (vector(value),))
            assert [c.satisfied for c in checks] == [satisfied]

    def test_a_disguise_changes_the_word_of_the_state_everywhere(self):
        """Statement and answer form use the instance's names."""
        names = Names({"x": ("level", "levels")})
        disguised = given(HERON, HeronData(2, Fraction(1)), steps=3, places=4)
        object.__setattr__(disguised, "names", names)
        assert "Start: level = 1." in HERON.statement(disguised, "final")
        assert HERON.shape(disguised, "final").form(names).endswith('{"level": [level]}')

    def test_components_are_numbered_where_a_term_has_several(self):
        """A state of several terms names each of its components in the order of the answer."""
        shape = HERON.shape(ROOT, "final")
        assert shape.labels(Names()) == ["x"]
        several = type(shape)("state", 3, 4, 10, parts=(("x", 2), ("v", 1)))
        assert several.labels(Names()) == ["x_1", "x_2", "v"]
        assert several.form(Names()).endswith('{"state": [x_1, x_2, v]}')
        assert type(shape)("x", 2, 4, 10).labels(Names()) == ["x_1", "x_2"]


class TestJudging:
    """One constraint a component."""

    def test_half_a_unit_of_the_last_decimal_is_allowed(self):
        """More digits than asked for do not hurt; half a unit is in, beyond it is out."""
        rules = HERON.constraints(ROOT, "final")
        for value, satisfied in (("1.4142136", True), ("1.41425", True), ("1.414251", False), ("1.41414", False)):
            assert [c.satisfied for c in examine(rules, (vector(value),))] == [satisfied]

    def test_a_missing_iterate_fails_its_own_constraints_only(self):
        """The denominator is that of the instance, however short the answer."""
        checks = examine(HERON.constraints(ROOT, "trace"), (vector("1.5"),))
        assert [(c.satisfied, c.slack is None) for c in checks] == [(True, False), (False, True), (False, True)]


class TestLabels:
    """Right, local, propagated, restored: what a step is, given the model's own previous iterate."""

    def test_the_exact_trace_is_right_throughout(self):
        """No label but right, and every step follows."""
        written = HERON.written(ROOT, "trace", ROOT.answer)
        assert [(w.step, w.component, w.label, w.follows, w.attractor) for w in written] == [
            (k, 0, "right", True, None) for k in (1, 2, 3)
        ]

    def test_one_error_then_steps_that_follow_from_it(self):
        """(1.6 + 2/1.6)/2 = 1.425 and (1.425 + 2/1.425)/2 = 1.41425… follow from a wrong 1.6."""
        assert labels("1.6", "1.425", "1.4143") == ["local", "propagated", "propagated"]

    def test_right_again_after_an_error_is_restored(self):
        """1.4167 does not follow from 1.6; the next step starts from a right value again."""
        assert labels("1.6", "1.4167", "1.4142") == ["local", "restored", "right"]

    def test_a_restored_value_may_follow(self):
        """Contraction forgets: (1.4168 + 2/1.4168)/2 = 1.4142… whether one starts from 1.4167 or 1.4168."""
        written = HERON.written(ROOT, "trace", tuple(vector(v) for v in ("1.5", "1.4168", "1.4142")))
        assert [(w.label, w.follows) for w in written[1:]] == [("local", False), ("restored", True)]

    def test_two_errors_of_ones_own_are_both_local(self):
        """A wrong value that does not follow from a wrong one is a new error."""
        assert labels("1.6", "1.5", "1.4") == ["local", "local", "local"]

    def test_a_step_undefined_from_the_own_iterate_is_a_wrong_iterate(self):
        """Nothing follows from x = 0, so what stands after it is a local error: no crash."""
        assert labels("0", "5", "2.7") == ["local", "local", "propagated"]

    def test_digits_beyond_the_stated_ones_do_not_make_an_error(self):
        """1.4166667 is right; what follows from the rounded 1.4167 is right after it."""
        assert labels("1.5", "1.4166667", "1.4142157") == ["right", "right", "right"]

    def test_going_on_with_digits_beyond_the_stated_ones_is_a_local_error(self):
        """1.23454 stands for 1.2345, whose tenfold is 12.345: 12.3454 comes from a value that was not rounded."""
        tenfold = Affine("10")
        instance = given(tenfold, AffineData(Fraction(10), Fraction("0.12345")), steps=2, places=4)
        written = tenfold.written(instance, "trace", (vector("1.23454"), vector("12.3454")))
        assert [(w.label, w.follows) for w in written] == [("right", True), ("local", False)]

    def test_components_that_are_missing_are_not_listed(self):
        """A short trace has labels for what it holds."""
        assert labels("1.5") == ["right"]
        assert HERON.written(ROOT, "trace", ()) == []

    def test_final_mode_has_no_label_but_an_attractor(self):
        """The previous iterate is unknown there."""
        (written,) = HERON.written(ROOT, "final", (vector("1"),))
        assert (written.step, written.label, written.follows, written.attractor) == (3, None, None, "start")

    def test_a_single_step_is_judged_from_the_start_in_final_mode(self):
        """With one step asked, the previous iterate is the start."""
        single = given(HERON, HeronData(2, Fraction(1)), steps=1, places=4)
        (written,) = HERON.written(single, "final", (vector("1.7"),))
        assert (written.label, written.follows) == ("local", False)

    @sampled(st.lists(HOSTILE, min_size=3, max_size=3))
    def test_labels_keep_their_definitions_whatever_is_written(self, values):
        """Right or restored exactly where the constraint holds; propagated follows, local does not; never a crash."""
        answer = tuple((v,) for v in values)
        checks = examine(HERON.constraints(ROOT, "trace"), answer)
        sound = True
        for written, check in zip(HERON.written(ROOT, "trace", answer), checks, strict=True):
            assert written.label in LABELS
            assert (written.label in ("right", "restored")) == check.satisfied
            assert (written.label in ("local", "propagated")) == (written.attractor in ATTRACTORS)
            if check.satisfied:
                assert written.label == ("right" if sound else "restored")
            else:
                assert (written.label == "propagated") == written.follows
                assert not (sound and written.follows)
            sound = check.satisfied


class TestAttractors:
    """What a wrong value equals: the truth here is 0.7778, start 0, limit 0.8, other iterates 2, 0.6667 and 1."""

    @pytest.mark.parametrize(
        ("value", "attractor"),
        [
            ("0.8", "converged"),
            ("0.80005", "converged"),
            ("0.80006", "none"),
            ("0", "start"),
            ("0.6667", "other_iterate"),
            ("1", "other_iterate"),  # also a whole number: the more specific reading counts
            ("3", "nice"),
            ("-0.5", "nice"),
            ("0.75", "none"),
            ("0.7788", "none"),
        ],
    )
    def test_names_the_most_specific_one(self, value, attractor):
        """Equal means within half a unit; nice means at most a quarter of the decimals."""
        truth, start, limit, *others = vector("0.7778", 0, "0.8", 2, "0.6667", 1)
        assert classify(Fraction(value), truth, start, limit, others, 4) == attractor

    def test_a_slip_in_the_last_digits_is_no_jump_to_a_limit_nearby(self):
        """Where truth and limit are 9 units apart, writing the limit proves nothing; 10 units apart it does."""
        limit = Fraction("0.8")
        assert classify(limit, Fraction("0.7991"), Fraction(0), limit, [], 4) == "none"
        assert classify(limit, Fraction("0.799"), Fraction(0), limit, [], 4) == "converged"

    def test_without_limit_nothing_is_converged(self):
        """A procedure that does not come to rest has no converged value."""
        assert classify(Fraction("0.8"), Fraction("0.7"), Fraction(0), None, [], 4) == "nice"

    def test_the_template_baseline_writes_the_limit(self):
        """It repeats the converged value in place of every iterate."""
        assert HERON.template_answer(ROOT, "trace") == (vector("1.4142"),) * 3
        assert HERON.template_answer(ROOT, "final") == (vector("1.4142"),)
