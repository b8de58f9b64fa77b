"""What holds for every procedure; see `tests.solvers.suite`."""

from collections.abc import Callable, Sequence
from fractions import Fraction
from itertools import product
from typing import Any

from solvers.keys import Stream
from solvers.problem import Instance
from tests.solvers.specimens import crowd, joint, where


def half_even(value: Fraction, places: int) -> Fraction:
    """Return a value rounded to decimals, ties to even, in integers only."""
    unit = 10**places
    whole, rest = divmod(abs(value.numerator) * unit, value.denominator)
    if 2 * rest > value.denominator or (2 * rest == value.denominator and whole % 2 == 1):
        whole += 1
    return Fraction(whole if value >= 0 else -whole, unit)


def rounding(places: int) -> Callable[[Fraction], Fraction]:
    """Return the rounding that a step is handed."""
    return lambda value: half_even(Fraction(value), places)


def trace_is_what_the_steps_give(family: Any, instances: Sequence[Instance] | None = None) -> None:
    """Driving the step by hand, with rounding of our own, gives the stored trace; its last step moves.

    Each new component is rounded once, as it is computed: it comes from the rounding, or is an old one kept.
    """
    for instance in instances or [*joint(family), *crowd(family)[:20]]:
        places, d = instance.knobs["places"], instance.data
        x, rows = family.start(d), []
        for number in range(1, instance.knobs["steps"] + 1):
            given: list[Fraction] = []

            def rounded(value: Fraction, given: list[Fraction] = given, places: int = places) -> Fraction:
                given.append(half_even(Fraction(value), places))
                return given[-1]

            new = family.step(d, x, rounded)
            spot = where(family, instance, f"step {number}")
            assert all(v in given or v in x for v in new), f"{spot}: {new} holds values that were not rounded"
            assert len(given) <= len(new), f"{spot}: {len(given)} roundings for {len(new)} components"
            before, x = x, new
            rows.append(x)
        assert tuple(rows) == instance.answer, where(
            family, instance, f"stored trace {instance.answer}, recomputed {rows}"
        )
        assert rows[-1] != before, where(family, instance, "the last step stands still")


def iterates_are_judged(family: Any, instances: Sequence[Instance] | None = None) -> None:
    """Mode `trace` asks each component of each iterate, `final` those of the last; half a unit off passes, more fails;
    of whole numbers anything off fails.

    What is wrong in one component is reported there and nowhere else.
    """
    for instance in instances or joint(family):
        steps, half = instance.knobs["steps"], Fraction(1, 2 * 10 ** instance.knobs["places"])
        whole = instance.knobs["places"] == 0
        width = len(family.start(instance.data))
        for mode in family.modes:
            constraints, right = family.constraints(instance, mode), family.exact(instance, mode)
            asked = range(1, steps + 1) if mode == "trace" else (steps,)
            places = [(c.step, c.component) for c in constraints]
            assert places == [(s, c) for s in asked for c in range(width)], where(family, instance, f"{mode}: {places}")
            for row in range(len(right)):
                for column in range(width):
                    for delta, holds in (
                        *((sign * half, not whole) for sign in (1, -1)),
                        *((sign * half * 3 / 2, False) for sign in (1, -1)),
                    ):
                        answer = tuple(
                            tuple(v + delta * ((r, c) == (row, column)) for c, v in enumerate(values))
                            for r, values in enumerate(right)
                        )
                        failed = [(c.row, c.component) for c in constraints if c.check(answer) < 0]
                        assert failed == ([] if holds else [(row, column)]), where(
                            family, instance, f"mode {mode}: ({row}, {column}) off by {delta} fails {failed}"
                        )


def labels_tell_slips_from_consequences(family: Any, instances: Sequence[Instance] | None = None) -> None:
    """The exact trace is all right. After one slip, honest steps from it are propagated (or restored by luck), the true
    values are restored, and only the slip is local; in mode `final` no label is given unless one step is asked."""
    for instance in instances or joint(family):
        places, d = instance.knobs["places"], instance.data
        right = family.exact(instance, "trace")
        for mode in family.modes:
            for w in family.written(instance, mode, family.exact(instance, mode)):
                known = mode == "trace" or instance.knobs["steps"] == 1
                assert (w.label, w.follows, w.attractor) == (("right", True, None) if known else (None, None, None)), (
                    where(family, instance, f"exact, mode {mode}: {w}")
                )
        width = len(right[0])
        for row, column in product(range(len(right)), sorted({0, width - 1})):  # a step may ignore one of the two
            slip = tuple(v + Fraction(3, 10**places) * (c == column) for c, v in enumerate(right[row]))
            honest = [*right[:row], slip]
            try:
                while len(honest) < len(right):
                    honest.append(family.step(d, honest[-1], rounding(places)))
            except ArithmeticError:
                continue
            for later in (tuple(honest), (*right[:row], slip, *right[row + 1 :])):
                for w in family.written(instance, "trace", later):
                    at, true = w.step - 1, later[w.step - 1][w.component] == right[w.step - 1][w.component]
                    sound = at == 0 or later[at - 1] == right[at - 1]
                    own = later == tuple(honest)
                    expected = ("right" if sound else "restored") if true else "local" if sound else "propagated"
                    spot = where(
                        family, instance, f"slip in component {column} of iterate {row + 1}, own steps {own}: {w}"
                    )
                    assert w.label == expected, f"{spot}, expected {expected}"
                    assert not own or w.follows == ((at, w.component) != (row, column)), spot
                    assert (w.attractor is None) == true, spot
        shape, stream = family.shape(instance, "trace"), Stream(f"{instance.key}/written")
        zero = ((Fraction(0),) * len(right[0]),) * len(right)
        for answer in [zero, shape.random(stream), shape.empty(), right[:1]]:  # never a crash
            assert len(family.written(instance, "trace", answer)) == sum(map(len, answer))


NUMERICS = (trace_is_what_the_steps_give, iterates_are_judged, labels_tell_slips_from_consequences)
