"""The vocabulary of a problem: constraint, objective, instance, family.

A constraint is one object with three faces: ``say`` (the sentence the model reads), ``check`` (the signed slack of an
answer) and ``post`` (its posting to the exact solver). ``check`` and ``post`` share numbers, never an expression, so
that each can test the other.
"""

import dataclasses
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Literal, TypeAlias, TypeVar

from solvers.keys import Stream, base_key, digest
from solvers.names import Costume, Names, sentence

if TYPE_CHECKING:
    from ortools.sat.python import cp_model

    from solvers.shapes import Shape
    from solvers.sketches import Sketch

Number: TypeAlias = int | Fraction
Mode = Literal["final", "trace"]
SIZES = ("xs", "s", "m", "l", "xl")
VARIANTS = (
    "fresh",
    "perturbed",
    "renamed",
    "reordered",
    "distractors",
    "distractors_2x",
    "distractors_4x",
    "costume",
    "inverted",
    "greedy_fails",
    "step_correct",
    "step_corrupted",
    "famous",
    "imported",
)
WITHOUT_MODULES = ("famous", "perturbed", "imported")  # a published problem is its family's core
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


class Constraint(Generic[A, X]):
    """One condition on an answer. Subclasses are frozen dataclasses whose fields are all that their faces read.

    A bound is always a field named ``limit``, entering the slack with slope 1 or -1, so that tests can slide it.
    ``hereditary``: once violated, no addition to the answer mends it (true of ceilings, false of floors).
    ``tolerance``: how far beyond the bound an answer may lie and still satisfy it; above 0 only for quantities that are
    written with decimals, and stated.
    """

    kind: ClassVar[str]
    constraint_class: ClassVar[str]
    hereditary: ClassVar[bool] = True

    @property
    def tolerance(self) -> Number:
        """How far beyond the bound an answer may lie."""
        return 0

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
        satisfied = slack is not None and slack >= -constraint.tolerance
        checks.append(Check(id_, constraint.kind, constraint.constraint_class, satisfied, slack, satisfied and vacuous))
    return checks


class Objective(Generic[A, X]):
    """What is optimised; like a constraint it says, computes and posts itself."""

    direction: ClassVar[Literal["max", "min"]]

    @property
    def tolerance(self) -> Number:
        """How far from the optimum a value may lie and still count as optimal; above 0 only with decimals."""
        return 0

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

    @property
    def tolerance(self) -> Number:
        return self.objective.tolerance

    def say(self, names: Names) -> str:
        side = "at least" if self.objective.direction == "max" else "at most"
        return f"{sentence(self.objective.noun(names))} is {side} {self.limit}."

    def check(self, answer: A) -> Number:
        value = self.objective.of(answer)
        return value - self.limit if self.objective.direction == "max" else self.limit - value

    def post(self, model: "cp_model.CpModel", x: X) -> None:
        total = self.objective.post(model, x)
        # CP-SAT's models and MathOpt's have different words for it; MathOpt's take no fractions.
        add: Any = getattr(model, "add", None) or model.add_linear_constraint
        limit = self.limit if isinstance(self.limit, int) else float(self.limit)
        add(total >= limit if self.objective.direction == "max" else total <= limit)


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
    blocks trivial answers, ``optimum`` the proven objective; both None where the family has no objective. ``given``:
    the number of a procedure's iterates that the statement gives away (variants `step_correct`, `step_corrupted`).
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
    given: int = 0

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


@dataclass(frozen=True)
class Famous(Generic[D]):
    """A textbook or benchmark instance: its published name, optimum (None: a procedure) and source.

    ``size``: the rung of the family's ladder that it is nearest to.
    """

    name: str
    size: str
    data: D
    optimum: Number | None
    source: str


class Family(ABC, Generic[D, A]):
    """A kind of problem. Use `solvers.optimization` or `solvers.numerics` families through the registry.

    ``costumes``: its cover stories. ``formats``: public format -> reader of a file's text, which returns its data (a
    tuple where the file holds several problems) and raises ValueError naming the line.
    """

    name: ClassVar[str]
    version: ClassVar[int]
    kind: ClassVar[Literal["optimization", "numerics"]]
    title: ClassVar[str]
    sizes: ClassVar[Mapping[str, Knobs]]
    modes: ClassVar[tuple[Mode, ...]] = ("final",)
    costumes: ClassVar[tuple[Costume, ...]] = ()
    formats: ClassVar[Mapping[str, Callable[[str], Any]]] = {}
    data: type[D]  # the class of an instance's numbers

    @property
    def module_names(self) -> tuple[str, ...]:
        """The optional constraint kinds, in the order of their statement."""
        return ()

    @property
    @abstractmethod
    def constraint_kinds(self) -> tuple[str, ...]:
        """Every constraint kind that an instance can have."""

    @property
    def variants(self) -> tuple[str, ...]:
        """The variants that are offered, in the order of `VARIANTS`."""
        return ("fresh",)

    def modes_of(self, variant: str) -> tuple[Mode, ...]:
        """Return the modes in which a variant can be asked."""
        return self.modes

    def entities(self, d: D) -> Mapping[str, int]:
        """Return entity -> how many there are, of each that a statement lists by label."""
        return {}

    def variables(self, d: D) -> tuple[str, ...]:
        """Return the terms that stand for quantities (x, v): letters that `renamed` may replace by others."""
        return ()

    def famous(self) -> Sequence[Famous[D]]:
        """Return the textbook or benchmark instances."""
        return ()

    def perturb(self, d: D, stream: Stream) -> D:
        """Return an altered twin for which what is remembered of ``d`` is wrong: some other numbers for a famous
        problem, another rule (damping, coefficient, order of updates) for a procedure. It has the same shape."""
        raise NotImplementedError

    def derive(self, base: Instance, variant: str) -> Instance | Hole:
        """Return a variant of an instance, with its exact answer; a hole where it has none."""
        raise NotImplementedError

    def remembered(self, size: str, seed: int, index: int, variant: str) -> tuple[Instance | Hole, Counter[str]]:
        """Return a famous instance, or one perturbed from it, and the count of discarded attempts by reason."""
        raise NotImplementedError

    def imported(self, d: D, size: str, seed: int, index: int) -> Instance | str:
        """Return data of a public file as an instance, or the reason for which it can't be one."""
        return f"{self.name} has no public format"

    def recalled(self, instance: Instance, mode: Mode, answer: A) -> bool | None:
        """Return whether an answer is what memory offers: right for the problem that ``instance`` was perturbed from.

        None where there is nothing to be remembered.
        """
        return None

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

    @abstractmethod
    def sketch(self, instance: Instance) -> "Sketch":
        """Return what a picture of an instance's exact answer shows."""

    def template_answer(self, instance: Instance, mode: Mode) -> A | None:
        """Return the answer of one who recognises the template only, None where the family has none."""
        return None

    def instance(
        self, size: str, seed: int, index: int, modules: tuple[str, ...] | None = None, variant: str = "fresh"
    ) -> tuple[Instance | Hole, Counter[str]]:
        """Return the first accepted attempt of an index under a variant and the count of discarded ones by reason.

        Raises ValueError for an unknown size, module or variant.
        """
        if size not in self.sizes:
            raise ValueError(f"family {self.name} has no size {size!r}; sizes: {', '.join(self.sizes)}")
        chosen = self.module_names if modules is None else modules
        if unknown := set(chosen) - set(self.module_names):
            raise ValueError(
                f"family {self.name} has no module {', '.join(sorted(unknown))};"
                f" modules: {', '.join(self.module_names) or 'none'}"
            )
        if variant not in self.variants:
            raise ValueError(f"family {self.name} has no variant {variant!r}; variants: {', '.join(self.variants)}")
        if variant == "imported":
            return Hole({"not imported": 1}), Counter()
        if variant == "famous" or (variant == "perturbed" and self.kind == "optimization"):
            return self.remembered(size, seed, index, variant)
        ordered = tuple(m for m in self.module_names if m in chosen)
        discards: Counter[str] = Counter()
        for attempt in range(ATTEMPTS):
            result = self.accept(size, seed, index, attempt, ordered)
            if isinstance(result, str):
                discards[result] += 1
                continue
            if isinstance(result, Hole) or variant == "fresh":
                return result, discards
            return self.derive(result, variant), discards
        return Hole(dict(discards)), discards

    def stored(self, instance: Instance) -> "Shape[A, Any]":
        """Return the shape in which an instance's answer is stored."""
        return self.shape(instance, self.modes[-1])

    def stream(self, size: str, seed: int, index: int, attempt: int) -> Stream:
        """Return the stream that one attempt at a base draws from."""
        return Stream(base_key(self.name, self.version, self.sizes[size].plain(), seed, index, attempt))

    def dump(self, instance: Instance) -> dict[str, Any]:
        """Return an instance as JSON; `load` reads it back."""
        plain = {
            f.name: getattr(instance, f.name)
            for f in dataclasses.fields(Instance)
            if f.name not in ("data", "answer", "proof", "names", "optimum", "knobs")
            and (f.name != "given" or instance.given)
        }
        names = instance.names
        return plain | {
            "modules": list(instance.modules),
            "knobs": dict(instance.knobs),
            "data": instance.data.plain(),
            "optimum": _encode(instance.optimum),
            "answer": self.stored(instance).write(instance.answer, Names()) if instance.answer is not None else None,
            "proof": dataclasses.asdict(instance.proof) | {"bound": _encode(instance.proof.bound)},
            "names": {"words": dict(names.words), "labels": dict(names.labels)}
            | ({"order": dict(names.order)} if names.order else {})
            | ({"story": names.story} if names.story else {}),
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
            {k: tuple(v) for k, v in plain["names"].get("order", {}).items()},
            plain["names"].get("story", ""),
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
        if plain["answer"] is None:
            return blank
        return dataclasses.replace(blank, answer=self.stored(blank).parse(plain["answer"], Names()))
