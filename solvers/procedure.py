"""Iterative procedures: one step function gives the text, the exact trace, the judge of each iterate and its label.

The rounding rule is part of the problem: it is stated, passed into ``step``, and truth is computed under it, in exact
rational arithmetic.
"""

import dataclasses
from abc import abstractmethod
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from math import lcm
from typing import Any, ClassVar, Generic, Literal, TypeAlias

from solvers import variants
from solvers.keys import Stream
from solvers.names import Names, table
from solvers.problem import (
    VARIANTS,
    Absent,
    Constraint,
    D,
    Family,
    Hole,
    Instance,
    Knobs,
    Mode,
    Number,
    Objective,
    Proof,
)
from solvers.shapes import Rows, VectorOf
from solvers.sketches import Curves, Panels, Sketch

Vector: TypeAlias = tuple[Fraction, ...]
Rounding: TypeAlias = Callable[[Fraction], Fraction]
Label = Literal["right", "local", "propagated", "restored"]
Attractor = Literal["converged", "start", "other_iterate", "nice", "none"]
LABELS: tuple[Label, ...] = ("right", "local", "propagated", "restored")
ATTRACTORS: tuple[Attractor, ...] = ("converged", "start", "other_iterate", "nice", "none")

CONVERGED_WITHIN = 500  # steps in which the procedure must come to rest for its limit to count as known
GUARD = 6  # decimals beyond the stated ones with which the limit is sought
REST = 4  # decimals beyond the stated ones in which a state at rest no longer changes
VISIBLE = 10  # units of the last decimal below which a value is not told apart from another (whole numbers: 1)
BOUND = 10**6  # larger iterates are a diverging draw
CORRUPTIONS = 10  # tries to corrupt an iterate so that the next one shows it


@dataclass(frozen=True, kw_only=True)
class ProcedureKnobs(Knobs):
    """Steps asked for and decimals that each new value is rounded to."""

    steps: int
    places: int


def half_even(places: int) -> Rounding:
    """Return rounding to ``places`` decimals, ties to the even last digit (IEEE 754 roundTiesToEven)."""
    unit = 10**places
    return lambda value: Fraction(round(value * unit), unit)


def dot(row: Sequence[int], x: Vector) -> Fraction:
    """Return the sum of the products; reduced once, it takes a third of the time of sums of fractions."""
    common = lcm(*(v.denominator for v in x))
    return Fraction(sum(a * v.numerator * (common // v.denominator) for a, v in zip(row, x, strict=True)), common)


@dataclass(frozen=True)
class Iterate(Constraint[Rows, None]):
    """One component of one iterate equals its exact value; ``limit``: what it may be off (see `allowed`).

    ``row`` is the iterate's place in the answer, ``step`` its number in the procedure.
    """

    kind: ClassVar[str] = "iterate"
    constraint_class: ClassVar[str] = "iterate"
    row: int
    step: int
    component: int
    value: Fraction
    limit: Fraction

    def say(self, names: Names) -> str:
        if self.limit == 0:
            return "Every component asked for must equal exactly the value that these rules give (a difference of 0)."
        return (
            "Every component asked for must equal the value that these rules give"
            f" (a difference of at most {decimal(self.limit)} is allowed)."
        )

    def check(self, answer: Rows) -> Number:
        if self.row >= len(answer):
            raise Absent(self.step)
        return self.limit - abs(answer[self.row][self.component] - self.value)


@dataclass(frozen=True)
class Written:
    """What one component of an answer is: its label against the model's own previous iterate, and, where it is wrong,
    which attractor it equals.

    ``follows``: it is what the step gives from the model's own previous iterate. ``label``: *right* (equal to the exact
    trace), *restored* (right, though some component of the previous iterate was wrong: by ``follows`` a step that
    forgot the error is told from a value that came from elsewhere), *propagated* (wrong, and follows from a previous
    iterate that was wrong), *local* (wrong, and does not follow).
    """

    step: int
    component: int
    label: Label | None
    follows: bool | None
    attractor: Attractor | None


class Procedure(Family[D, Rows], Generic[D]):
    """An iterative numerical method. An author writes `draw`, `start`, `step`, `intro` and `say`; and `perturb`, which
    alters the method, so that what one remembers of it gives other values (`variables` where the state is not made of
    `parts`). ``settles``: the iterates tend to a limit, so that a draw without one is discarded.
    """

    kind: ClassVar[Literal["optimization", "numerics"]] = "numerics"
    modes: ClassVar[tuple[Mode, ...]] = ("final", "trace")
    state: ClassVar[str] = "x"  # the word for a state in statement and answer
    settles: ClassVar[bool] = True

    @abstractmethod
    def draw(self, knobs: Any, stream: Stream) -> D:
        """Return random data."""

    @abstractmethod
    def start(self, d: D) -> Vector:
        """Return the state before the first step."""

    @abstractmethod
    def step(self, d: D, x: Vector, rounded: Rounding) -> Vector:
        """Return the next state, a function of ``x`` and the data alone. Raises ArithmeticError where undefined."""

    @abstractmethod
    def intro(self, d: D, names: Names) -> str:
        """Return what is given: every number of the problem."""

    @abstractmethod
    def say(self, d: D, names: Names) -> str:
        """Return one step in words."""

    def parts(self, d: D) -> tuple[tuple[str, int], ...]:
        """Return the terms that a state consists of, in its order, each with its number of components."""
        return ((self.state, len(self.start(d))),)

    def variables(self, d: D) -> tuple[str, ...]:
        return tuple(term for term, _ in self.parts(d))

    @property
    def constraint_kinds(self) -> tuple[str, ...]:
        return ("iterate",)

    @property
    def variants(self) -> tuple[str, ...]:
        offered = {"fresh", "renamed", "step_correct", "step_corrupted"}
        if type(self).perturb is not Family.perturb:
            offered.add("perturbed")
        if self.costumes:
            offered.add("costume")
        if self.famous():
            offered.add("famous")
        return tuple(variant for variant in VARIANTS if variant in offered)

    def modes_of(self, variant: str) -> tuple[Mode, ...]:
        return ("final",) if variant in ("step_correct", "step_corrupted") else self.modes

    def trace(self, d: D, steps: int, rounded: Rounding) -> Rows:
        """Return the iterates after steps 1 … ``steps``. Raises ArithmeticError (OverflowError: diverging)."""
        x, rows = self.start(d), []
        for _ in range(steps):
            x = self.step(d, x, rounded)
            if any(abs(v) > BOUND for v in x):
                raise OverflowError("the iterates diverge")
            rows.append(x)
        return tuple(rows)

    def converged(self, d: D, x: Vector, places: int) -> Vector | None:
        """Return what the procedure tends to from ``x``, rounded to ``places``; None where it does not come to rest.

        It is sought with `GUARD` more decimals: rounded to few, the iterates may stall or cycle some way off the limit.
        """
        fine, rest = half_even(places + GUARD), Fraction(1, 10 ** (places + REST))
        try:
            for _ in range(CONVERGED_WITHIN):
                following = self.step(d, x, fine)
                if all(abs(v - w) <= rest for v, w in zip(following, x, strict=True)):
                    return tuple(map(half_even(places), following))
                if any(abs(v) > BOUND for v in following):
                    return None
                x = following
        except ArithmeticError:
            return None
        return None

    def limit(self, instance: Instance) -> Vector | None:
        """Return what the exact trace of an instance tends to (`converged` from its last iterate)."""
        return _limit(self, instance.data, instance.answer[-1], instance.knobs["places"])

    def accept(self, size: str, seed: int, index: int, attempt: int, modules: tuple[str, ...]) -> Instance | Hole | str:
        d = self.draw(self.sizes[size], self.stream(size, seed, index, attempt))
        return self.traced(d, size, seed, index, attempt)

    def traced(self, d: D, size: str, seed: int, index: int, attempt: int) -> Instance | str:
        """Return data as an instance with its exact trace, or the reason for which it is discarded."""
        knobs = self.sizes[size]
        assert isinstance(knobs, ProcedureKnobs)
        rounded = half_even(knobs.places)
        try:
            rows = self.trace(d, knobs.steps, rounded)
        except OverflowError:
            return "diverges"
        except ArithmeticError:
            return "undefined step"
        if rows[-1] == (rows[-2] if len(rows) > 1 else self.start(d)):
            return "last step stands still"
        limit = _limit(self, d, rows[-1], knobs.places)
        if limit is None and self.settles:
            return "does not converge"
        if limit is not None and not visible(rows[-1], limit, knobs.places):
            return "last iterate looks converged"
        return Instance(
            family=self.name,
            version=self.version,
            size=size,
            knobs=knobs.plain(),
            seed=seed,
            index=index,
            attempt=attempt,
            modules=(),
            data=d,
            answer=rows,
            proof=Proof("EXACT", None, float(knobs.steps), "rational arithmetic"),
        )

    # --- variants -----------------------------------------------------------------------------------------------------

    def derive(self, base: Instance, variant: str) -> Instance | Hole:
        if variant == "renamed":
            return variants.renamed(self, base)
        if variant == "costume":
            return variants.costumed(self, base)
        return self.altered(base) if variant == "perturbed" else self.continued(base, variant)

    def altered(self, base: Instance) -> Instance | Hole:
        """Return the twin with an altered method, whose last iterate differs visibly from the remembered one's."""
        d: D = base.data  # type: ignore[assignment]
        stream = variants.stream_of(base, "perturbed")
        other = self.traced(self.perturb(d, stream), base.size, base.seed, base.index, base.attempt)
        if isinstance(other, str):
            return Hole({f"altered: {other}": 1})
        if not visible(other.answer[-1], base.answer[-1], base.knobs["places"]):
            return Hole({"the alteration doesn't show": 1})
        return dataclasses.replace(other, variant="perturbed")

    def continued(self, base: Instance, variant: str) -> Instance | Hole:
        """Return the twin that gives all iterates but the last and asks for that: as they are, or with one value of the
        last given one corrupted; then the next iterate is the one that follows from the corrupted value."""
        d: D = base.data  # type: ignore[assignment]
        rows: Rows = base.answer
        given = len(rows) - 1
        if given == 0:
            return Hole({"no earlier iterate": 1})
        twin = dataclasses.replace(base, variant=variant, given=given)
        if variant == "step_correct":
            return twin
        stream = variants.stream_of(base, variant)
        places = base.knobs["places"]
        rounded = half_even(places)
        for attempt in range(CORRUPTIONS):
            last = self.corrupted(rows[-2], stream(str(attempt)), rounded)
            try:
                new = self.step(d, last, rounded)
            except ArithmeticError:
                continue
            if new != last and visible(new, rows[-1], places) and max(map(abs, new)) <= BOUND:
                return dataclasses.replace(twin, answer=(*rows[:-2], last, new))
        return Hole({"no corruption shows": 1})

    def corrupted(self, x: Vector, stream: Stream, rounded: Rounding) -> Vector:
        """Return an iterate with one component moved by 5 to 30 % of it (of 1, where it is smaller)."""
        c = stream("component").integer(0, len(x) - 1)
        share = Fraction(stream("share").integer(5, 30) * stream("sign").choice((-1, 1)), 100)
        return tuple(rounded(v + share * max(abs(v), Fraction(1))) if k == c else v for k, v in enumerate(x))

    def remembered(self, size: str, seed: int, index: int, variant: str) -> tuple[Instance | Hole, Counter[str]]:
        known = [one for one in self.famous() if one.size == size]
        if index >= len(known):
            return Hole({f"only {len(known)} famous instances": 1}), Counter()
        found = self.traced(known[index].data, size, 0, index, 0)
        if isinstance(found, str):
            return Hole({found: 1}), Counter()
        return dataclasses.replace(found, variant="famous"), Counter()

    def recalled(self, instance: Instance, mode: Mode, answer: Rows) -> bool | None:
        if instance.variant != "perturbed":
            return None
        off = allowed(instance.knobs["places"])
        last = _unaltered(self, instance.size, instance.seed, instance.index, instance.attempt)
        rows = instance.knobs["steps"] if mode == "trace" else 1
        return len(answer) == rows and all(abs(v - w) <= off for v, w in zip(answer[-1], last, strict=True))

    # --- what is asked ------------------------------------------------------------------------------------------------

    def shape(self, instance: Instance, mode: Mode) -> VectorOf:
        rows = instance.knobs["steps"] - instance.given if mode == "trace" else None
        return self.vectors(instance, rows)

    def stored(self, instance: Instance) -> VectorOf:
        return self.vectors(instance, instance.knobs["steps"])

    def vectors(self, instance: Instance, rows: int | None) -> VectorOf:
        """Return the shape of one state or of ``rows`` states."""
        d: D = instance.data  # type: ignore[assignment]
        parts = self.parts(d)
        return VectorOf(
            self.state, sum(n for _, n in parts), instance.knobs["places"], self.spread(d), rows, parts=parts
        )

    def spread(self, d: D) -> int:
        """Return a bound of the values that a well-formed guess would lie in: that of the data and the start."""
        numbers = [abs(v) for v in self.start(d)]

        def collect(value: Any) -> None:
            if isinstance(value, tuple):
                for v in value:
                    collect(v)
            elif isinstance(value, int):
                numbers.append(Fraction(abs(value)))
            elif isinstance(value, Fraction):
                numbers.append(abs(value))

        collect(tuple(vars(d).values()))
        return int(max(numbers, default=Fraction(1))) + 1

    def constraints(self, instance: Instance, mode: Mode) -> list[Constraint[Rows, Any]]:
        rows: Rows = instance.answer
        first = instance.given if mode == "trace" else len(rows) - 1
        off = allowed(instance.knobs["places"])
        return [
            Iterate(row, first + row + 1, c, value, off)
            for row, values in enumerate(rows[first:])
            for c, value in enumerate(values)
        ]

    def objective_of(self, instance: Instance) -> Objective[Rows, Any] | None:
        return None

    def exact(self, instance: Instance, mode: Mode) -> Rows:
        rows: Rows = instance.answer
        return rows[instance.given :] if mode == "trace" else rows[-1:]

    def template_answer(self, instance: Instance, mode: Mode) -> Rows | None:
        """Return the converged value in place of every iterate: what a model that jumps to the limit writes."""
        limit = self.limit(instance)
        if limit is None:
            return None
        return (limit,) * (instance.knobs["steps"] - instance.given if mode == "trace" else 1)

    def statement(self, instance: Instance, mode: Mode) -> str:
        d: D = instance.data  # type: ignore[assignment]
        names, places, steps = instance.names, instance.knobs["places"], instance.knobs["steps"]
        labels = self.shape(instance, mode).labels(names)
        start = spoken(dict(zip(labels, self.start(d), strict=True)))
        what = f"{', '.join(labels)} (in this order)" if len(labels) > 1 else labels[0]
        history = ""
        if instance.given:
            rows = [(k, *map(decimal, row)) for k, row in enumerate(instance.answer[: instance.given], 1)]
            done = f"first {instance.given} of the {steps} steps are done. They gave"
            if instance.given == 1:
                done = f"first of the {steps} steps is done. It gave"
            history = (
                f"The {done}:\n"
                f"{table(['step', *labels], rows)}\n"
                f"Go on from the values after step {instance.given} exactly as they stand here."
            )
        asked = (
            f"Give {what} after every one of the {steps} steps, first step first."
            if mode == "trace" and steps > 1
            else f"Give {what} after exactly {steps} step{'s' if steps > 1 else ''}; do not stop earlier, do not go on."
        )
        rules = list(dict.fromkeys(c.say(names) for c in self.constraints(instance, mode)))
        return "\n\n".join(
            [
                *([names.story] if names.story else []),
                self.intro(d, names),
                f"Start: {start}.",
                f"One step: {self.say(d, names)}",
                rounding_rule(labels, places),
                *([history] if history else []),
                "\n".join([asked, *rules]),
            ]
        )

    def sketch(self, instance: Instance) -> Sketch:
        """Return a curve for each component; those of a term with several have a panel of their own."""
        d: D = instance.data  # type: ignore[assignment]
        labels = self.shape(instance, "final").labels(instance.names)
        rows = [self.start(d), *instance.answer]
        panels: dict[str, list[int]] = {}
        for term, count in self.parts(d):
            place = sum(map(len, panels.values()))
            panels.setdefault(term if count > 1 else "", []).extend(range(place, place + count))
        curves = [
            Curves("step", tuple((k, float(x[c]), labels[c]) for c in own for k, x in enumerate(rows)), term or "value")
            for term, own in panels.items()
        ]
        return curves[0] if len(curves) == 1 else Panels(tuple(curves))

    def written(self, instance: Instance, mode: Mode, answer: Rows) -> list[Written]:
        """Return what each component of an answer is; components that the answer lacks are not listed.

        ``label`` and ``follows`` need the model's own previous iterate, so they are None in mode `final` (unless one
        step is asked). A step that is undefined from the model's own iterate gives nothing that could follow.
        ``attractor`` is None for a right component.
        """
        d: D = instance.data  # type: ignore[assignment]
        exact, places = self.exact(instance, mode), instance.knobs["places"]
        rounded, off = half_even(places), allowed(places)
        start, first = self.start(d), len(instance.answer) - len(exact)
        out: list[Written] = []
        previous: Vector | None = None
        if first == instance.given:
            previous = instance.answer[first - 1] if first else start
        sound = True
        for row, (values, truth) in enumerate(zip(answer, exact, strict=False)):
            own = None if previous is None else self._following(d, previous, rounded)
            right = tuple(abs(v - t) <= off for v, t in zip(values, truth, strict=True))
            for c, value in enumerate(values):
                follows = None if previous is None else own is not None and abs(value - own[c]) <= off
                attractor: Attractor | None = None
                if not right[c]:
                    limit = self.limit(instance)
                    others = [r[c] for k, r in enumerate(instance.answer) if k != first + row]
                    attractor = classify(value, truth[c], start[c], None if limit is None else limit[c], others, places)
                label = None if follows is None else label_of(right[c], sound, follows)
                out.append(Written(first + row + 1, c, label, follows, attractor))
            # A right component stands for the exact value, so that digits written beyond the stated ones don't
            # make what rightly follows from the stated ones wrong.
            previous = tuple(t if r else v for v, t, r in zip(values, truth, right, strict=True))
            sound = all(right)
        return out

    def _following(self, d: D, x: Vector, rounded: Rounding) -> Vector | None:
        try:
            return self.step(d, x, rounded)
        except ArithmeticError:
            return None


# Judging asks for the limit of an instance once per wrong answer, and the step is exact arithmetic.
@lru_cache(maxsize=1024)
def _limit(family: Procedure[Any], d: Any, x: Vector, places: int) -> Vector | None:
    return family.converged(d, x, places)


def rounding_rule(labels: Sequence[str], places: int) -> str:
    """Return the rule by which new values are rounded, in words."""
    if places == 0:
        return "Every value is a whole number: nothing is rounded."
    decimals = f"{places} decimal{'s' if places > 1 else ''}"
    return (
        f"Rounding: every new value of {', '.join(labels)} is rounded to {decimals} (to the nearest; a tie goes"
        " to the even last digit) as soon as it is computed. Where a rule uses a new value, and in the next step, it is"
        " the rounded value that is used. Nothing else is rounded: all other arithmetic is exact."
    )


@lru_cache(maxsize=1024)
def _unaltered(family: Procedure[Any], size: str, seed: int, index: int, attempt: int) -> Vector:
    base = family.accept(size, seed, index, attempt, ())
    assert isinstance(base, Instance)
    last: Vector = base.answer[-1]
    return last


def allowed(places: int) -> Fraction:
    """Return how far a value may lie from the exact one: half a unit of the last decimal; a whole number not at all,
    for between two of them a half would pass for both."""
    return Fraction(1, 2 * 10**places) if places else Fraction(0)


def resolution(places: int) -> Fraction:
    """Return the difference from which on two values are told apart: a slip in the last digits is smaller."""
    return Fraction(VISIBLE, 10**places) if places else Fraction(1)


def visible(x: Vector, other: Vector, places: int) -> bool:
    """Return whether two states can be told apart in some component."""
    return max(abs(v - w) for v, w in zip(x, other, strict=True)) >= resolution(places)


def label_of(right: bool, sound: bool, follows: bool) -> Label:
    """Return the label of a component (see `Written`); ``sound``: every component of the previous iterate was right."""
    if right:
        return "right" if sound else "restored"
    return "propagated" if follows else "local"


def classify(
    value: Fraction, truth: Fraction, start: Fraction, limit: Fraction | None, others: Sequence[Fraction], places: int
) -> Attractor:
    """Return what a wrong value is: the converged value, the start value, another iterate's, a nice one, or none.

    Equal means: no further off than is `allowed`. Nice: it has at most a quarter of the stated decimals (a whole number
    or, at 4 places, one decimal); where whole numbers are asked, none is nicer than another. A value within the
    `resolution` of ``truth`` is none of these: where an attractor lies that near, a slip in the last digits would hit
    it too.
    """
    off = allowed(places)
    if abs(value - truth) < resolution(places):
        return "none"
    if limit is not None and abs(value - limit) <= off:
        return "converged"
    if abs(value - start) <= off:
        return "start"
    if any(abs(value - other) <= off for other in others):
        return "other_iterate"
    if places and (value * 10 ** (places // 4)).denominator == 1:
        return "nice"
    return "none"


def decimal(value: Fraction | int) -> str:
    """Return a number as text: a finite decimal where it is one, else a fraction."""
    value = Fraction(value)
    if value.denominator == 1:
        return str(value.numerator)
    rest, places = value.denominator, 0
    twos = fives = 0
    while rest % 2 == 0:
        rest, twos = rest // 2, twos + 1
    while rest % 5 == 0:
        rest, fives = rest // 5, fives + 1
    if rest != 1:
        return f"{value.numerator}/{value.denominator}"
    places = max(twos, fives)
    digits = str(abs(value.numerator) * 10**places // value.denominator).rjust(places + 1, "0")
    return f"{'-' if value < 0 else ''}{digits[:-places]}.{digits[-places:]}"


def spoken(values: Mapping[str, Fraction | int]) -> str:
    """Return named numbers as text: "a = 1, b = 0.5"."""
    return ", ".join(f"{name} = {decimal(v)}" for name, v in values.items())
