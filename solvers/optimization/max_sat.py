"""Partial weighted maximum satisfiability (Li and Manyà, Handbook of Satisfiability, 2009): hard and soft clauses.

The hard clauses are rules, the soft ones are worth their weights. A plain formula (DIMACS cnf) has soft clauses only,
each worth 1: it is satisfiable exactly if its optimum is the number of its clauses.

Modules: ``at_most`` and ``exactly`` (of some variables, so many are true) and ``parity`` (an even or odd number is).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import count
from typing import TYPE_CHECKING, Any, ClassVar

from solvers.constrained import Fits, Optimization
from solvers.formats.common import FormatError, rows
from solvers.formats.dimacs import Formula, read_cnf, read_wcnf
from solvers.keys import Stream
from solvers.names import Names, sentence
from solvers.problem import Constraint, Data, Instance, Knobs, Objective, ladder
from solvers.shapes import SubsetOf
from solvers.sketches import Panels, stacked

if TYPE_CHECKING:
    from ortools.sat.python import cp_model

Truth = frozenset[int]  # the variables that are true
Literal = tuple[int, int]  # (variable, 1: it is to be true, 0: false)
Clause = tuple[Literal, ...]


@dataclass(frozen=True, kw_only=True)
class MaxSatKnobs(Knobs):
    variables: int
    hard: int
    soft: int
    caps: int  # groups of which so many at most are true
    counts: int  # groups of which exactly so many are true
    parities: int
    heaviest: int = 9  # weights are 1 to this


@dataclass(frozen=True)
class MaxSatData(Data):
    variables: int
    hard: tuple[Clause, ...]
    soft: tuple[Clause, ...]
    weight: tuple[int, ...]  # by soft clause
    caps: tuple[tuple[tuple[int, ...], int], ...]  # (variables, how many of them at most)
    counts: tuple[tuple[tuple[int, ...], int], ...]  # (variables, how many of them)
    parities: tuple[tuple[tuple[int, ...], int], ...]  # (variables, 1: an odd number of them, 0: an even one)


def condition(names: Names, clause: Clause) -> str:
    """Return a clause in words: "variable 3 is true or variable 5 is false"."""
    return " or ".join(f"{names.one('variable', i)} is {('false', 'true')[sign]}" for i, sign in clause)


@dataclass(frozen=True)
class HardClause(Constraint[Truth, "list[cp_model.IntVar]"]):
    """The slack is the number of literals that hold beyond the one that must."""

    kind: ClassVar[str] = "clause"
    constraint_class: ClassVar[str] = "logical"
    hereditary: ClassVar[bool] = False
    clause: Clause

    def say(self, names: Names) -> str:
        return f"{sentence(condition(names, self.clause))}."

    def check(self, answer: Truth) -> int:
        return sum((i in answer) == bool(sign) for i, sign in self.clause) - 1

    def post(self, model: "cp_model.CpModel", x: "list[cp_model.IntVar]") -> None:
        model.add_bool_or(x[i] if sign else x[i].negated() for i, sign in self.clause)


@dataclass(frozen=True)
class AtMost(Constraint[Truth, "list[cp_model.IntVar]"]):
    kind: ClassVar[str] = "at_most"
    constraint_class: ClassVar[str] = "capacity"
    group: tuple[int, ...]
    limit: int

    def say(self, names: Names) -> str:
        return f"Of {names.several('variable', self.group)}, the number of true ones is at most {self.limit}."

    def check(self, answer: Truth) -> int:
        return self.limit - len(answer.intersection(self.group))

    def post(self, model: "cp_model.CpModel", x: "list[cp_model.IntVar]") -> None:
        model.add(sum(x[i] for i in self.group) <= self.limit)


@dataclass(frozen=True)
class Exactly(Constraint[Truth, "list[cp_model.IntVar]"]):
    kind: ClassVar[str] = "exactly"
    constraint_class: ClassVar[str] = "balance"
    hereditary: ClassVar[bool] = False
    group: tuple[int, ...]
    number: int

    def say(self, names: Names) -> str:
        return f"Of {names.several('variable', self.group)}, the number of true ones is exactly {self.number}."

    def check(self, answer: Truth) -> int:
        return -abs(len(answer.intersection(self.group)) - self.number)

    def post(self, model: "cp_model.CpModel", x: "list[cp_model.IntVar]") -> None:
        model.add(sum(x[i] for i in self.group) == self.number)


@dataclass(frozen=True)
class Parity(Constraint[Truth, "list[cp_model.IntVar]"]):
    kind: ClassVar[str] = "parity"
    constraint_class: ClassVar[str] = "logical"
    hereditary: ClassVar[bool] = False
    group: tuple[int, ...]
    odd: int

    def say(self, names: Names) -> str:
        which = ("even", "odd")[self.odd]
        return f"Of {names.several('variable', self.group)}, the number of true ones is {which}."

    def check(self, answer: Truth) -> int:
        return 0 if len(answer.intersection(self.group)) % 2 == self.odd else -1

    def post(self, model: "cp_model.CpModel", x: "list[cp_model.IntVar]") -> None:
        literals = [x[i] for i in self.group]
        model.add_bool_xor(literals if self.odd else [*literals, True])


@dataclass(frozen=True)
class SatisfiedWeight(Objective[Truth, "list[cp_model.IntVar]"]):
    direction: ClassVar[Any] = "max"
    soft: tuple[Clause, ...]
    weight: tuple[int, ...]

    def noun(self, names: Names) -> str:
        return f"the total {names.word('weight')} of the satisfied {names.all('clause')}"

    def of(self, answer: Truth) -> int:
        return sum(
            weight
            for clause, weight in zip(self.soft, self.weight, strict=True)
            if any((i in answer) == bool(sign) for i, sign in clause)
        )

    def post(self, model: "cp_model.CpModel", x: "list[cp_model.IntVar]") -> Any:
        satisfied = [model.new_bool_var(f"clause{k}") for k in range(len(self.soft))]
        for clause, holds in zip(self.soft, satisfied, strict=True):
            model.add_max_equality(holds, [x[i] if sign else 1 - x[i] for i, sign in clause])
        return sum(weight * holds for weight, holds in zip(self.weight, satisfied, strict=True))


@dataclass(frozen=True)
class UnsatisfiedWeight(SatisfiedWeight):
    """The mirror of the satisfied weight."""

    direction: ClassVar[Any] = "min"

    def noun(self, names: Names) -> str:
        return f"the total {names.word('weight')} of the {names.all('clause')} that are not satisfied"

    def of(self, answer: Truth) -> int:
        return sum(
            weight
            for clause, weight in zip(self.soft, self.weight, strict=True)
            if all((i in answer) != bool(sign) for i, sign in clause)
        )

    def post(self, model: "cp_model.CpModel", x: "list[cp_model.IntVar]") -> Any:
        return sum(self.weight) - super().post(model, x)


def from_cnf(text: str) -> MaxSatData:
    """Return a plain formula: all its clauses are soft and worth 1. Raises FormatError."""
    return _of(read_cnf(text), text)


def from_wcnf(text: str) -> MaxSatData:
    """Return a weighted formula: clauses that reach the top weight are hard. Raises FormatError."""
    return _of(read_wcnf(text), text)


def _of(found: Formula, text: str) -> MaxSatData:
    line = next(row.line for row in rows(text) if row.words[0] == "p")
    weights = found.weights or (1,) * len(found.clauses)
    top = max(weights, default=0) + 1 if found.top is None else found.top
    if not all(found.clauses):
        raise FormatError(line, "a literal in every clause", f"none in clause {found.clauses.index(()) + 1}")
    clauses = [tuple((abs(literal) - 1, int(literal > 0)) for literal in clause) for clause in found.clauses]
    soft = [(clause, weight) for clause, weight in zip(clauses, weights, strict=True) if weight < top]
    if not soft:
        raise FormatError(line, "a soft clause", "none")
    return MaxSatData(
        variables=found.variables,
        hard=tuple(clause for clause, weight in zip(clauses, weights, strict=True) if weight >= top),
        soft=tuple(clause for clause, _ in soft),
        weight=tuple(weight for _, weight in soft),
        caps=(),
        counts=(),
        parities=(),
    )


class MaxSat(Optimization[MaxSatData, Truth, "list[cp_model.IntVar]"]):
    name: ClassVar[str] = "max_sat"
    version: ClassVar[int] = 1
    title: ClassVar[str] = "Maximum satisfiability"
    data = MaxSatData
    sizes: ClassVar[Any] = ladder(
        MaxSatKnobs,
        variables=(5, 9, 16, 24, 32),
        hard=(4, 7, 13, 20, 28),
        soft=(8, 15, 28, 44, 60),
        caps=(1, 1, 1, 2, 2),
        counts=(1, 1, 1, 2, 2),
        parities=(1, 1, 2, 2, 3),
    )
    core_kinds: ClassVar[tuple[str, ...]] = ("clause",)
    modules: ClassVar[Any] = {
        "at_most": lambda d: [AtMost(group, most) for group, most in d.caps],
        "exactly": lambda d: [Exactly(group, number) for group, number in d.counts],
        "parity": lambda d: [Parity(group, odd) for group, odd in d.parities],
    }
    target_share: ClassVar[Fraction] = Fraction(95, 100)
    formats: ClassVar[Any] = {"dimacs": from_cnf, "wcnf": from_wcnf}

    def draw(self, knobs: MaxSatKnobs, stream: Stream) -> MaxSatData:
        """Hide truth values in the data that satisfy all hard clauses and rules, half of the variables true.

        Hard clauses have two or three literals, soft ones one to three: a single one is satisfied by chance only every
        second time.
        """
        n = knobs.variables
        hidden = set(stream("hidden").sample(range(n), n // 2))

        def clauses(own: Stream, widths: Sequence[int], hard: bool) -> list[Clause]:
            """Return different clauses; hard ones hold in the hidden answer, and none follows from a shorter one."""
            found: list[Clause] = []
            for k in count():
                if len(found) == len(widths):
                    return found
                variables = sorted(own(f"variables {k}").sample(range(n), widths[len(found)]))
                signs = own(f"signs {k}").integers(len(variables), 0, 1)
                clause = tuple(zip(variables, signs, strict=True))
                wrong = all((i in hidden) != bool(sign) for i, sign in clause)
                follows = wrong or any(set(old) <= set(clause) for old in found)
                if clause not in found and not (hard and follows):
                    found.append(clause)
            raise AssertionError

        def group(own: Stream, least: int, most: int) -> tuple[tuple[int, ...], int]:
            """Return four variables, of which so many are true in the hidden answer, and how many are."""
            tries = (tuple(sorted(own(str(k)).sample(range(n), 4))) for k in count())
            return next((g, len(hidden.intersection(g))) for g in tries if least <= len(hidden.intersection(g)) <= most)

        widths = stream("widths").integers(knobs.soft, 1, 3)
        caps = [group(stream(f"cap {k}"), 1, 2) for k in range(knobs.caps)]
        counts = [group(stream(f"count {k}"), 1, 3) for k in range(knobs.counts)]
        parities = [group(stream(f"parity {k}"), 0, 4) for k in range(knobs.parities)]
        return MaxSatData(
            variables=n,
            hard=tuple(sorted(clauses(stream("hard"), [2 + (2 * k >= knobs.hard) for k in range(knobs.hard)], True))),
            soft=tuple(clauses(stream("soft"), widths, False)),
            weight=stream("weight").integers(knobs.soft, 1, knobs.heaviest),
            caps=tuple(sorted(caps)),
            counts=tuple(sorted(counts)),
            parities=tuple(sorted((g, number % 2) for g, number in parities)),
        )

    def form(self, d: MaxSatData) -> SubsetOf:
        return SubsetOf("variable", d.variables)

    def core(self, d: MaxSatData) -> list[Constraint[Truth, Any]]:
        return [HardClause(clause) for clause in d.hard]

    def objective(self, d: MaxSatData) -> SatisfiedWeight:
        return SatisfiedWeight(d.soft, d.weight)

    def inverted(self, d: MaxSatData) -> UnsatisfiedWeight:
        return UnsatisfiedWeight(d.soft, d.weight)

    def greedy(self, d: MaxSatData, fits: Fits[Truth]) -> Truth:
        """Set one variable after the other as its open clauses ask (Johnson 1974): a clause counts its weight, halved
        for each literal it still has. A hard clause weighs more than all soft ones."""
        above = 1 + sum(d.weight)
        left = [(dict(clause), above) for clause in d.hard]
        left += [(dict(clause), weight) for clause, weight in zip(d.soft, d.weight, strict=True)]
        chosen: Truth = frozenset()
        for i in range(d.variables):
            pull = [Fraction(0), Fraction(0)]  # towards false, towards true
            for open_, weight in left:
                if i in open_:
                    pull[open_[i]] += Fraction(weight, 2 ** len(open_))
            value = int(pull[1] > pull[0] and fits(chosen | {i}))
            chosen |= {i} if value else set()
            left = [(open_, weight) for open_, weight in left if open_.get(i) != value]
            for open_, _ in left:
                open_.pop(i, None)
        return chosen

    def intro(self, d: MaxSatData, names: Names) -> str:
        variables = names.several("variable", names.listed("variable", d.variables))
        clause, how = names.word("clause"), names.word("condition")
        return (
            f"Choose which of the {d.variables} {variables} are true; those that are not chosen are false."
            f" A {clause} is satisfied if at least one of the parts of its {how} that “or” joins holds; then its"
            f" {names.word('weight')} counts.\n\n"
        ) + names.table("clause", {"condition": [condition(names, one) for one in d.soft], "weight": d.weight})

    def entities(self, d: MaxSatData) -> Mapping[str, int]:
        return {"clause": len(d.soft), "variable": d.variables}

    def sketch(self, instance: Instance) -> Panels:
        d: MaxSatData = instance.data  # type: ignore[assignment]
        names, chosen = instance.names, instance.answer
        clauses, labels = names.listed("clause", len(d.soft)), [names.label("variable", i) for i in range(d.variables)]
        holds = ["satisfied" if any((i in chosen) == sign for i, sign in clause) else "" for clause in d.soft]
        parts = [" or ".join(labels[i] if sign else f"not {labels[i]}" for i, sign in clause) for clause in d.soft]
        weights = [[(str(d.weight[k]), d.weight[k], holds[k])] for k in clauses]
        truth = [
            [(labels[i], 1.0, "") for i in names.listed("variable", d.variables) if (i in chosen) == true]
            for true in (True, False)
        ]
        return Panels(
            (
                stacked([f"{names.one('clause', k)}: {parts[k]}" for k in clauses], weights, names.word("weight")),
                stacked(["true", "false"], truth, names.all("variable")),
            )
        )
