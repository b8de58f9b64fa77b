"""Constrained optimization: data, constraints and an objective; the exact answer by a solver."""

import dataclasses
from abc import abstractmethod
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from math import ceil, floor
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Literal, TypeAlias

from solvers import variants
from solvers.keys import Stream, digest
from solvers.names import Names
from solvers.problem import (
    ATTEMPTS,
    VARIANTS,
    A,
    Absent,
    Constraint,
    D,
    Family,
    Famous,
    Hole,
    Instance,
    Mode,
    Number,
    Objective,
    Target,
    Untrue,
    X,
    examine,
)

if TYPE_CHECKING:
    from solvers.shapes import Shape
    from solvers.sketches import Sketch

Fits: TypeAlias = Callable[[A], bool]


class Optimization(Family[D, A], Generic[D, A, X]):
    """A constrained optimization problem.

    An author writes `draw`, `form`, `core`, `objective`, `greedy`, `intro`, `entities` and `modules`; for variants,
    where they make sense, `costumes`, `inverted`, `distracted`, `famous` and `perturb`. The base adds the `Target`.
    ``target_share``: the limit of the target as a share of the optimum, moved beyond what greedy reaches where the
    optimum leaves room for it.
    """

    kind: ClassVar[Literal["optimization", "numerics"]] = "optimization"
    modules: ClassVar[Mapping[str, Callable[[Any], Sequence[Constraint[Any, Any]]]]] = {}
    core_kinds: ClassVar[tuple[str, ...]]
    target_share: ClassVar[Fraction]

    @abstractmethod
    def draw(self, knobs: Any, stream: Stream) -> D:
        """Return random data; a named stream per part, so that switching one part moves no other."""

    @abstractmethod
    def form(self, d: D) -> "Shape[A, X]":
        """Return the shape of an answer to this data."""

    @abstractmethod
    def core(self, d: D) -> Sequence[Constraint[A, X]]:
        """Return the constraints that every instance has."""

    @abstractmethod
    def objective(self, d: D) -> Objective[A, X]:
        """Return what is optimised."""

    @abstractmethod
    def greedy(self, d: D, fits: Fits[A]) -> A:
        """Return the obvious heuristic's answer; ``fits`` says whether no hereditary constraint is violated so far."""

    @abstractmethod
    def intro(self, d: D, names: Names) -> str:
        """Return the story and the tables: every number that the constraints' sentences don't say."""

    @abstractmethod
    def entities(self, d: D) -> Mapping[str, int]:
        """Return entity -> how many there are, of each that the statement lists by label."""

    def inverted(self, d: D) -> Objective[A, X] | None:
        """Return the mirrored objective: of the other direction, with the same sum of both for every answer."""
        return None

    def distracted(self, d: D, extra: int, stream: Stream) -> D | None:
        """Return the data with ``extra`` times as many further entities, numbered last, that no good answer uses."""
        return None

    @property
    def module_names(self) -> tuple[str, ...]:
        return tuple(self.modules)

    @property
    def constraint_kinds(self) -> tuple[str, ...]:
        return (*self.core_kinds, *self.modules, "target")

    @property
    def variants(self) -> tuple[str, ...]:
        offered = {"fresh", "renamed", "reordered", "greedy_fails"}
        if type(self).inverted is not Optimization.inverted:
            offered.add("inverted")
        if type(self).distracted is not Optimization.distracted:
            offered.update(variants.EXTRA)
        if self.costumes:
            offered.add("costume")
        if self.famous():
            offered.update(("famous", "perturbed"))
        if self.formats:
            offered.add("imported")
        return tuple(variant for variant in VARIANTS if variant in offered)

    def arm(self, d: D, modules: Sequence[str]) -> list[Constraint[A, X]]:
        """Return core and module constraints, without the target."""
        return [*self.core(d), *(c for m in modules for c in self.modules[m](d))]

    def accept(self, size: str, seed: int, index: int, attempt: int, modules: tuple[str, ...]) -> Instance | Hole | str:
        d = self.draw(self.sizes[size], self.stream(size, seed, index, attempt))
        return self.proven(d, size, seed, index, attempt, modules, self.module_names)

    def proven(
        self,
        d: D,
        size: str,
        seed: int,
        index: int,
        attempt: int,
        modules: tuple[str, ...],
        joint: tuple[str, ...],
    ) -> Instance | Hole | str:
        """Return data as an instance with its proven answer, or the reason for which it is discarded.

        The arm with the modules ``joint`` decides acceptance and target for every arm: so all arms line up.
        """
        from solvers import exact

        together = self.arm(d, joint)
        solution = exact.solve(self.form(d), together, self.objective(d))
        if solution.status != "optimal":
            return solution.status
        assert solution.objective is not None
        target = self.target(d, together, solution.objective)
        if modules != joint:
            solution = exact.solve(self.form(d), self.arm(d, modules), self.objective(d))
            if solution.status != "optimal":
                return Hole({f"arm {solution.status}": 1})
        assert solution.objective is not None
        greedy = self.greedy(d, self.fits(self.arm(d, modules)))
        return Instance(
            family=self.name,
            version=self.version,
            size=size,
            knobs=self.sizes[size].plain(),
            seed=seed,
            index=index,
            attempt=attempt,
            modules=modules,
            data=d,
            answer=solution.answer,
            proof=solution.proof,
            target=target,
            optimum=solution.objective,
            greedy_fails=self.far(d, self.arm(d, modules), greedy, solution.objective),
        )

    # --- variants -----------------------------------------------------------------------------------------------------

    def derive(self, base: Instance, variant: str) -> Instance | Hole:
        if variant == "renamed":
            return variants.renamed(self, base)
        if variant == "reordered":
            return variants.reordered(self, base)
        if variant == "costume":
            return variants.costumed(self, base)
        if variant == "greedy_fails":
            return variants.greedy_fails(base)
        return self.mirrored(base) if variant == "inverted" else self.crowded(base, variant)

    def mirrored(self, base: Instance) -> Instance:
        """Return the twin with the mirrored objective: the same answer is optimal, the target asks the same of it."""
        d: D = base.data  # type: ignore[assignment]
        mirror = self.inverted(d)
        assert mirror is not None
        assert base.target is not None
        total = self.objective(d).of(base.answer) + mirror.of(base.answer)
        return dataclasses.replace(
            base,
            variant="inverted",
            target=int(total - base.target),
            optimum=total - base.optimum,  # type: ignore[operator]
            proof=dataclasses.replace(base.proof, bound=total - base.proof.bound),  # type: ignore[operator]
        )

    def crowded(self, base: Instance, variant: str) -> Instance | Hole:
        """Return the twin with further entities that don't matter: solved again, it has the optimum of the base."""
        from solvers import exact

        d: D = base.data  # type: ignore[assignment]
        stream = variants.stream_of(base, variant)
        crowd = self.distracted(d, variants.EXTRA[variant], stream("data"))
        if crowd is None:
            return Hole({"no distractors": 1})
        arm = self.arm(crowd, base.modules)
        solution = exact.solve(self.form(crowd), arm, self.objective(crowd))
        if solution.status != "optimal":
            return Hole({f"distracted {solution.status}": 1})
        if solution.objective != base.optimum or self.value(crowd, arm, base.answer) != base.optimum:
            return Hole({"a distractor matters": 1})
        greedy = self.greedy(crowd, self.fits(arm))
        twin = dataclasses.replace(
            base,
            variant=variant,
            data=crowd,
            proof=solution.proof,
            greedy_fails=self.far(crowd, arm, greedy, solution.objective),  # type: ignore[arg-type]
        )
        return dataclasses.replace(twin, names=variants.shuffled(self, twin, stream("order")))

    def remembered(self, size: str, seed: int, index: int, variant: str) -> tuple[Instance | Hole, Counter[str]]:
        known = [one for one in self.famous() if one.size == size]
        if not known or (variant == "famous" and index >= len(known)):
            return Hole({f"only {len(known)} famous instances": 1}), Counter()
        one = known[index % len(known)]
        if variant == "famous":
            found = self.proven(one.data, size, 0, index, 0, (), ())
            if not isinstance(found, Instance) or found.optimum != one.optimum:
                raise Untrue(f"{self.name} {one.name}: published optimum {one.optimum}, found {found}")
            return dataclasses.replace(found, variant="famous"), Counter()
        discards: Counter[str] = Counter()
        stream = Stream(digest([self.name, self.version, "perturbed", one.name, seed, index]))
        for attempt in range(ATTEMPTS):
            d = self.perturb(one.data, stream(str(attempt)))
            found = self.proven(d, size, seed, index, attempt, (), ())
            if isinstance(found, Instance):
                found = dataclasses.replace(found, variant="perturbed")
                if found.optimum != one.optimum and not self.recalled(found, "final", found.answer):
                    return found, discards
                found = "optimum unchanged"
            discards[found if isinstance(found, str) else "unproven"] += 1
        return Hole(dict(discards)), discards

    def imported(self, d: D, size: str, seed: int, index: int) -> Instance | str:
        found = self.proven(d, size, seed, index, 0, (), ())
        return dataclasses.replace(found, variant="imported") if isinstance(found, Instance) else str(found)

    def original(self, instance: Instance) -> Famous[D]:
        """Return the famous instance that a perturbed one was made of."""
        known = [one for one in self.famous() if one.size == instance.size]
        return known[instance.index % len(known)]

    def recalled(self, instance: Instance, mode: Mode, answer: A) -> bool | None:
        if instance.variant != "perturbed":
            return None
        one = self.original(instance)
        return self.value(one.data, self.core(one.data), answer) == one.optimum

    # --- the obvious heuristic and the target -------------------------------------------------------------------------

    def fits(self, constraints: Sequence[Constraint[A, X]]) -> Fits[A]:
        """Return the test that a greedy heuristic asks: no hereditary constraint violated by what is there."""
        ceilings = [c for c in constraints if c.hereditary]

        def fits(answer: A) -> bool:
            for place, constraint in enumerate(ceilings):
                try:
                    if constraint.check(answer) < -constraint.tolerance:
                        ceilings.insert(0, ceilings.pop(place))  # likely to be what the next answer violates
                        return False
                except Absent:
                    continue
            return True

        return fits

    def value(self, d: D, constraints: Sequence[Constraint[A, X]], answer: A) -> Number | None:
        """Return the objective of a feasible answer, None of an infeasible one."""
        if all(check.satisfied for check in examine(constraints, answer)):
            return self.objective(d).of(answer)
        return None

    def target(self, d: D, joint: Sequence[Constraint[A, X]], optimum: Number) -> int:
        """Return the target's limit: a share of the optimum, and beyond greedy where the optimum leaves room."""
        objective = self.objective(d)
        reached = self.value(d, joint, self.greedy(d, self.fits(joint)))
        share, step = optimum * self.target_share, 1 + objective.tolerance
        if objective.direction == "max":
            return ceil(share) if reached is None else max(ceil(share), floor(min(reached + step, optimum)))
        return floor(share) if reached is None else min(floor(share), ceil(max(reached - step, optimum)))

    def far(self, d: D, constraints: Sequence[Constraint[A, X]], greedy: A, optimum: Number) -> bool:
        """Return whether greedy fails: infeasible, or at least 5 % off the optimum."""
        reached = self.value(d, constraints, greedy)
        return reached is None or Fraction(reached - optimum) ** 2 * 400 >= optimum**2

    def greedy_answer(self, instance: Instance) -> A | None:
        d: D = instance.data  # type: ignore[assignment]
        return self.greedy(d, self.fits(self.arm(d, instance.modules)))

    # --- what is asked ------------------------------------------------------------------------------------------------

    def shape(self, instance: Instance, mode: Mode) -> "Shape[A, X]":
        return self.form(instance.data)  # type: ignore[arg-type]

    def constraints(self, instance: Instance, mode: Mode) -> list[Constraint[A, X]]:
        d: D = instance.data  # type: ignore[assignment]
        assert instance.target is not None
        return [*self.arm(d, instance.modules), Target(self.objective_of(instance), instance.target)]

    def objective_of(self, instance: Instance) -> Objective[A, X]:
        d: D = instance.data  # type: ignore[assignment]
        mirror = self.inverted(d) if instance.variant == "inverted" else None
        return mirror or self.objective(d)

    def exact(self, instance: Instance, mode: Mode) -> A:
        answer: A = instance.answer
        return answer

    def sketch(self, instance: Instance) -> "Sketch":
        from solvers import sketches

        return sketches.of_shape(self.shape(instance, "final"), instance.answer, instance.names)

    def statement(self, instance: Instance, mode: Mode) -> str:
        d: D = instance.data  # type: ignore[assignment]
        names = instance.names
        # Constraints may share a sentence (one per pair of operations on a machine): said once.
        rules = list(dict.fromkeys(c.say(names) for c in self.constraints(instance, mode)))
        return "\n\n".join(
            [
                *([names.story] if names.story else []),
                self.intro(d, names),
                "Rules:\n" + "\n".join(f"{i}. {rule}" for i, rule in enumerate(rules, 1)),
                f"Objective: {self.objective_of(instance).say(names)}",
            ]
        )
