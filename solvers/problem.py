"""The vocabulary of a problem: constraint, objective, instance, family.

A constraint is one object with three faces: ``say`` (the sentence the model reads), ``check`` (the signed slack of an
answer) and ``post`` (its posting to the exact solver). ``check`` and ``post`` share numbers, never an expression, so
that each can test the other.
"""

import dataclasses
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Literal, TypeAlias, TypeVar

from solvers.keys import Stream, base_key, digest

if TYPE_CHECKING:
    from ortools.sat.python import cp_model

    from solvers.shapes import Shape

Number: TypeAlias = int | Fraction
Mode = Literal["final", "trace"]
SIZES = ("xs", "s", "m", "l", "xl")
VARIANTS = ("fresh",)
ATTEMPTS = 40  # draws of one index before its position is left a hole

A = TypeVar("A")  # an answer as the shape parses it
X = TypeVar("X")  # a shape's solver variables
D = TypeVar("D", bound="Data")
K = TypeVar("K", bound="Knobs")


class Absent(LookupError):  # noqa: N818 (a condition of the answer, not a fault)
    """Raised inside ``check`` where the answer lacks the entity asked for: the constraint is then not satisfied."""


class Untrue(RuntimeError):  # noqa: N818
    """A solver's answer failed its own check: a fault of the family, never stored."""


@dataclass(frozen=True, kw_only=True)
class Knobs:
    """Typed difficulty settings of a family."""

    def plain(self) -> dict[str, int]:
        """Return the settings as JSON."""
        return dataclasses.asdict(self)


def ladder(knobs: type[K], **values: int | tuple[int, int, int, int, int]) -> dict[str, K]:
    """Return the knobs of the sizes xs s m l xl; a single number holds for every size."""
    return {
        size: knobs(**{name: v if isinstance(v, int) else v[i] for name, v in values.items()})
        for i, size in enumerate(SIZES)
    }


def _encode(value: Any) -> Any:
    if isinstance(value, Fraction):
        return {"/": [value.numerator, value.denominator]}
    if isinstance(value, tuple):
        return [_encode(v) for v in value]
    return value


def _decode(value: Any) -> Any:
    if isinstance(value, dict):
        return Fraction(*value["/"])
    if isinstance(value, list):
        return tuple(_decode(v) for v in value)
    return value


@dataclass(frozen=True)
class Data:
    """The numbers of one instance: integers, fractions, texts and tuples of these."""

    def plain(self) -> dict[str, Any]:
        """Return the numbers as JSON; a fraction is ``{"/": [numerator, denominator]}``."""
        return {f.name: _encode(getattr(self, f.name)) for f in dataclasses.fields(self)}

    @classmethod
    def from_plain(cls: type[D], plain: Mapping[str, Any]) -> D:
        """Return what ``plain`` wrote."""
        return cls(**{name: _decode(value) for name, value in plain.items()})


@dataclass(frozen=True)
class Names:
    """The words for entities and terms in a statement; disguises change only these.

    ``words``: term -> (singular, plural). ``labels``: entity -> the labels of 0, 1, 2 … (1, 2, 3 … where not given).
    """

    words: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    labels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def word(self, term: str) -> str:
        """Return the singular of a term."""
        return self.words[term][0] if term in self.words else term

    def all(self, term: str) -> str:
        """Return the plural of a term."""
        return self.words[term][1] if term in self.words else f"{term}s"

    def label(self, entity: str, i: int) -> str:
        """Return what entity number ``i`` (from 0) is called in an answer."""
        return self.labels[entity][i] if entity in self.labels else str(i + 1)

    def one(self, entity: str, i: int) -> str:
        """Return entity number ``i`` in words: "item 3"."""
        return f"{self.word(entity)} {self.label(entity, i)}"

    def several(self, entity: str, ids: Iterable[int]) -> str:
        """Return entities in words: "items 1, 2 and 5"."""
        labels = [self.label(entity, i) for i in ids]
        if len(labels) == 1:
            return f"{self.word(entity)} {labels[0]}"
        return f"{self.all(entity)} {', '.join(labels[:-1])} and {labels[-1]}"


def sentence(text: str) -> str:
    """Return ``text`` with a capital first letter."""
    return text[:1].upper() + text[1:]


class Constraint(Generic[A, X]):
    """One condition on an answer. Subclasses are frozen dataclasses whose fields are all that their faces read.

    A bound is always a field named ``limit``, entering the slack with slope 1 or -1, so that tests can slide it.
    ``hereditary``: once violated, no addition to the answer mends it (true of ceilings, false of floors).
    """

    kind: ClassVar[str]
    constraint_class: ClassVar[str]
    hereditary: ClassVar[bool] = True

    def say(self, names: Names) -> str:
        """Return the English sentence that states the constraint; constraints may share one."""
        raise NotImplementedError

    def check(self, answer: A) -> Number:
        """Return the signed slack: >= 0 where the answer satisfies the constraint. Raises `Absent`."""
        raise NotImplementedError

    def post(self, model: "cp_model.CpModel", x: X) -> None:
        """Add the constraint to the solver's model. Procedures have no solver: their second face is the step."""
        raise NotImplementedError(f"{self.kind} is not posted to a solver")

    def vacuous(self, answer: A) -> bool:
        """Return whether the answer satisfies the constraint only because its condition does not apply."""
        return False


@dataclass(frozen=True)
class Check:
    """What became of one constraint. ``slack`` is None where the answer lacks an entity that it names."""

    id: str
    kind: str
    constraint_class: str
    satisfied: bool
    slack: Number | None
    vacuous: bool = False


def constraint_ids(constraints: Sequence[Constraint[Any, Any]]) -> list[str]:
    """Return an id for each constraint: its kind and its number among those of that kind, from 1."""
    seen: Counter[str] = Counter()
    ids = []
    for constraint in constraints:
        seen[constraint.kind] += 1
        ids.append(f"{constraint.kind}.{seen[constraint.kind]}")
    return ids


def examine(constraints: Sequence[Constraint[A, Any]], answer: A) -> list[Check]:
    """Return the check of every constraint; lists all violations and never raises for a parsed answer."""
    checks = []
    for id_, constraint in zip(constraint_ids(constraints), constraints, strict=True):
        try:
            slack: Number | None = constraint.check(answer)
            vacuous = constraint.vacuous(answer)
        except Absent:
            slack, vacuous = None, False
        satisfied = slack is not None and slack >= 0
        checks.append(Check(id_, constraint.kind, constraint.constraint_class, satisfied, slack, satisfied and vacuous))
    return checks


class Objective(Generic[A, X]):
    """What is optimised; like a constraint it says, computes and posts itself."""

    direction: ClassVar[Literal["max", "min"]]

    def noun(self, names: Names) -> str:
        """Return the quantity in words: "the total value of the chosen items"."""
        raise NotImplementedError

    def of(self, answer: A) -> Number:
        """Return the objective of an answer. Raises `Absent`."""
        raise NotImplementedError

    def post(self, model: "cp_model.CpModel", x: X) -> Any:
        """Return the solver's expression of the objective."""
        raise NotImplementedError

    def say(self, names: Names) -> str:
        """Return the sentence that states the objective."""
        return f"{'Maximise' if self.direction == 'max' else 'Minimise'} {self.noun(names)}."


@dataclass(frozen=True)
class Target(Constraint[A, X]):
    """A floor (or ceiling) on the objective, so that a trivial answer does not pass."""

    kind: ClassVar[str] = "target"
    constraint_class: ClassVar[str] = "target"
    hereditary: ClassVar[bool] = False
    objective: Objective[A, X]
    limit: int

    def say(self, names: Names) -> str:
        side = "at least" if self.objective.direction == "max" else "at most"
        return f"{sentence(self.objective.noun(names))} is {side} {self.limit}."

    def check(self, answer: A) -> Number:
        value = self.objective.of(answer)
        return value - self.limit if self.objective.direction == "max" else self.limit - value

    def post(self, model: "cp_model.CpModel", x: X) -> None:
        total = self.objective.post(model, x)
        model.add(total >= self.limit if self.objective.direction == "max" else total <= self.limit)


@dataclass(frozen=True)
class Proof:
    """Why the exact answer is exact: the solver's status and bound, and what they cost.

    ``effort`` is machine-independent (CP-SAT's deterministic time; steps for a procedure), ``seconds`` is not.
    """

    status: str
    bound: Number | None
    effort: float
    solver: str
    seconds: float = field(compare=False, default=0.0)


@dataclass(frozen=True)
class Instance:
    """A base with its variant and modules applied, its data and its exact answer.

    ``answer`` is the shape's parsed answer (for a procedure: every iterate, oldest first). ``target`` is the limit that
    blocks trivial answers, ``optimum`` the proven objective; both None where the family has no objective.
    """

    family: str
    version: int
    size: str
    knobs: Mapping[str, int]
    seed: int
    index: int
    attempt: int
    modules: tuple[str, ...]
    data: Data
    answer: Any
    proof: Proof
    target: int | None = None
    optimum: Number | None = None
    greedy_fails: bool | None = None
    variant: str = "fresh"
    names: Names = field(default_factory=Names)

    @property
    def base_key(self) -> str:
        """The key of the base: the same for all twins."""
        return base_key(self.family, self.version, self.knobs, self.seed, self.index, self.attempt)

    @property
    def key(self) -> str:
        """The key of this instance: base, variant and modules."""
        return digest([self.base_key, self.variant, sorted(self.modules)])


@dataclass(frozen=True)
class Hole:
    """An index without an instance: every attempt was discarded. ``reasons`` counts why."""

    reasons: Mapping[str, int]


class Family(ABC, Generic[D, A]):
    """A kind of problem. Use `solvers.optimization` or `solvers.numerics` families through the registry."""

    name: ClassVar[str]
    version: ClassVar[int]
    kind: ClassVar[Literal["optimization", "numerics"]]
    title: ClassVar[str]
    sizes: ClassVar[Mapping[str, Knobs]]
    modes: ClassVar[tuple[Mode, ...]] = ("final",)
    data: type[D]  # the class of an instance's numbers

    @property
    def module_names(self) -> tuple[str, ...]:
        """The optional constraint kinds, in the order of their statement."""
        return ()

    @property
    @abstractmethod
    def constraint_kinds(self) -> tuple[str, ...]:
        """Every constraint kind that an instance can have."""

    @abstractmethod
    def accept(self, size: str, seed: int, index: int, attempt: int, modules: tuple[str, ...]) -> Instance | Hole | str:
        """Return one attempt as an instance with proven answer, or the reason for which it is discarded.

        Whether an attempt is discarded depends on the base alone, never on ``modules``, so that twins line up: an arm
        that can't be proven on an accepted base is a hole.
        """

    @abstractmethod
    def shape(self, instance: Instance, mode: Mode) -> "Shape[A, Any]":
        """Return the form of an answer."""

    @abstractmethod
    def constraints(self, instance: Instance, mode: Mode) -> list[Constraint[A, Any]]:
        """Return every constraint that is stated and counted."""

    @abstractmethod
    def statement(self, instance: Instance, mode: Mode) -> str:
        """Return the problem in words: every number and rule that the judge uses, no answer format."""

    @abstractmethod
    def exact(self, instance: Instance, mode: Mode) -> A:
        """Return the exact answer."""

    @abstractmethod
    def objective_of(self, instance: Instance) -> Objective[A, Any] | None:
        """Return the objective, None where there is none."""

    def greedy_answer(self, instance: Instance) -> A | None:
        """Return the obvious heuristic's answer, None where the family has none."""
        return None

    def template_answer(self, instance: Instance, mode: Mode) -> A | None:
        """Return the answer of one who recognises the template only, None where the family has none."""
        return None

    def instance(
        self, size: str, seed: int, index: int, modules: tuple[str, ...] | None = None
    ) -> tuple[Instance | Hole, Counter[str]]:
        """Return the first accepted attempt of an index and the count of discarded ones by reason.

        Raises ValueError for an unknown size or module.
        """
        if size not in self.sizes:
            raise ValueError(f"family {self.name} has no size {size!r}; sizes: {', '.join(self.sizes)}")
        chosen = self.module_names if modules is None else modules
        if unknown := set(chosen) - set(self.module_names):
            raise ValueError(
                f"family {self.name} has no module {', '.join(sorted(unknown))};"
                f" modules: {', '.join(self.module_names) or 'none'}"
            )
        ordered = tuple(m for m in self.module_names if m in chosen)
        discards: Counter[str] = Counter()
        for attempt in range(ATTEMPTS):
            result = self.accept(size, seed, index, attempt, ordered)
            if not isinstance(result, str):
                return result, discards
            discards[result] += 1
        return Hole(dict(discards)), discards

    def stream(self, size: str, seed: int, index: int, attempt: int) -> Stream:
        """Return the stream that one attempt at a base draws from."""
        return Stream(base_key(self.name, self.version, self.sizes[size].plain(), seed, index, attempt))

    def dump(self, instance: Instance) -> dict[str, Any]:
        """Return an instance as JSON; `load` reads it back."""
        plain = {
            f.name: getattr(instance, f.name)
            for f in dataclasses.fields(Instance)
            if f.name not in ("data", "answer", "proof", "names", "optimum", "knobs")
        }
        shape = self.shape(instance, self.modes[-1])
        return plain | {
            "modules": list(instance.modules),
            "knobs": dict(instance.knobs),
            "data": instance.data.plain(),
            "optimum": _encode(instance.optimum),
            "answer": shape.write(instance.answer, Names()),
            "proof": dataclasses.asdict(instance.proof) | {"bound": _encode(instance.proof.bound)},
            "names": {"words": dict(instance.names.words), "labels": dict(instance.names.labels)},
        }

    def load(self, plain: Mapping[str, Any]) -> Instance:
        """Return the instance that `dump` wrote. Raises ValueError for another version of the family."""
        if (plain["family"], plain["version"]) != (self.name, self.version):
            raise ValueError(
                f"instance is of {plain['family']} version {plain['version']},"
                f" this is {self.name} version {self.version}"
            )
        names = Names(
            {k: (v[0], v[1]) for k, v in plain["names"]["words"].items()},
            {k: tuple(v) for k, v in plain["names"]["labels"].items()},
        )
        fields = dict(plain) | {
            "modules": tuple(plain["modules"]),
            "data": self.data.from_plain(plain["data"]),
            "optimum": _decode(plain["optimum"]),
            "answer": None,
            "proof": Proof(**(plain["proof"] | {"bound": _decode(plain["proof"]["bound"])})),
            "names": names,
        }
        blank = Instance(**fields)
        shape = self.shape(blank, self.modes[-1])
        return dataclasses.replace(blank, answer=shape.parse(plain["answer"], Names()))


Fits: TypeAlias = Callable[[A], bool]


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return rows as lines of cells parted by bars, the header first."""
    return "\n".join(" | ".join(str(cell) for cell in row) for row in [header, *rows])


class Optimization(Family[D, A], Generic[D, A, X]):
    """A constrained optimization problem: data, constraints, an objective; the exact answer by a solver.

    An author writes `draw`, `form`, `core`, `objective`, `greedy`, `intro` and `modules`. The base adds the `Target`.
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

    @property
    def module_names(self) -> tuple[str, ...]:
        return tuple(self.modules)

    @property
    def constraint_kinds(self) -> tuple[str, ...]:
        return (*self.core_kinds, *self.modules, "target")

    def arm(self, d: D, modules: Sequence[str]) -> list[Constraint[A, X]]:
        """Return core and module constraints, without the target."""
        return [*self.core(d), *(c for m in modules for c in self.modules[m](d))]

    def accept(self, size: str, seed: int, index: int, attempt: int, modules: tuple[str, ...]) -> Instance | Hole | str:
        from solvers import exact

        knobs = self.sizes[size]
        d = self.draw(knobs, self.stream(size, seed, index, attempt))
        # The joint arm (all modules on) decides acceptance and target for every arm: so all arms line up.
        joint = self.arm(d, self.module_names)
        solution = exact.solve(self.form(d), joint, self.objective(d))
        if solution.status != "optimal":
            return solution.status
        assert solution.objective is not None
        target = self.target(d, joint, solution.objective)
        if modules != self.module_names:
            solution = exact.solve(self.form(d), self.arm(d, modules), self.objective(d))
            if solution.status != "optimal":
                return Hole({f"arm {solution.status}": 1})
        assert solution.objective is not None
        greedy = self.greedy(d, self.fits(self.arm(d, modules)))
        return Instance(
            family=self.name,
            version=self.version,
            size=size,
            knobs=knobs.plain(),
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

    def fits(self, constraints: Sequence[Constraint[A, X]]) -> Fits[A]:
        """Return the test that a greedy heuristic asks: no hereditary constraint violated by what is there."""
        ceilings = [c for c in constraints if c.hereditary]

        def fits(answer: A) -> bool:
            for constraint in ceilings:
                try:
                    if constraint.check(answer) < 0:
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
        reached = self.value(d, joint, self.greedy(d, self.fits(joint)))
        share = optimum * self.target_share
        if self.objective(d).direction == "max":
            floor = -(-share.numerator // share.denominator)
            return floor if reached is None else max(floor, int(min(reached + 1, optimum)))
        ceiling = share.numerator // share.denominator
        return ceiling if reached is None else min(ceiling, int(max(reached - 1, optimum)))

    def far(self, d: D, constraints: Sequence[Constraint[A, X]], greedy: A, optimum: Number) -> bool:
        """Return whether greedy fails: infeasible, or at least 5 % off the optimum."""
        reached = self.value(d, constraints, greedy)
        return reached is None or Fraction(reached - optimum) ** 2 * 400 >= optimum**2

    def shape(self, instance: Instance, mode: Mode) -> "Shape[A, X]":
        return self.form(instance.data)  # type: ignore[arg-type]

    def constraints(self, instance: Instance, mode: Mode) -> list[Constraint[A, X]]:
        d: D = instance.data  # type: ignore[assignment]
        assert instance.target is not None
        return [*self.arm(d, instance.modules), Target(self.objective(d), instance.target)]

    def objective_of(self, instance: Instance) -> Objective[A, X]:
        return self.objective(instance.data)  # type: ignore[arg-type]

    def exact(self, instance: Instance, mode: Mode) -> A:
        answer: A = instance.answer
        return answer

    def greedy_answer(self, instance: Instance) -> A | None:
        d: D = instance.data  # type: ignore[assignment]
        return self.greedy(d, self.fits(self.arm(d, instance.modules)))

    def statement(self, instance: Instance, mode: Mode) -> str:
        d: D = instance.data  # type: ignore[assignment]
        # Constraints may share a sentence (one per pair of operations on a machine): said once.
        rules = list(dict.fromkeys(c.say(instance.names) for c in self.constraints(instance, mode)))
        return "\n\n".join(
            [
                self.intro(d, instance.names),
                "Rules:\n" + "\n".join(f"{i}. {rule}" for i, rule in enumerate(rules, 1)),
                f"Objective: {self.objective(d).say(instance.names)}",
            ]
        )
