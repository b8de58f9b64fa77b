"""Weighted set cover (Chvatal 1979): choose sets that together contain every element, as cheaply as possible.

Modules: ``conflict`` (two sets exclude each other), ``max_sets``, ``double_cover`` (some elements are to be in two
chosen sets) and ``requires`` (a set only with another).
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any, ClassVar

from solvers.constrained import Fits, Optimization
from solvers.formats.orlibrary import read_scp
from solvers.keys import Stream
from solvers.names import Names, sentence, table
from solvers.problem import Constraint, Data, Instance, Knobs, Objective, ladder
from solvers.shapes import SubsetOf
from solvers.sketches import Bars, grid

if TYPE_CHECKING:
    from ortools.sat.python import cp_model

Chosen = frozenset[int]


@dataclass(frozen=True, kw_only=True)
class SetCoverKnobs(Knobs):
    sets: int
    elements: int
    hidden: int  # sets of a cover hidden in the data
    conflicts: int
    requires: int
    doubles: int  # elements to be covered twice


@dataclass(frozen=True)
class SetCoverData(Data):
    cost: tuple[int, ...]  # by set
    members: tuple[tuple[int, ...], ...]  # by set, its elements
    conflicts: tuple[tuple[int, int], ...] = ()
    requires: tuple[tuple[int, int], ...] = ()  # (set, the one that it needs)
    doubles: tuple[int, ...] = ()
    most: int = 0

    @property
    def elements(self) -> int:
        """The number of elements."""
        return 1 + max(e for members in self.members for e in members)

    def holding(self, element: int) -> tuple[int, ...]:
        """Return the sets that contain an element."""
        return tuple(i for i, members in enumerate(self.members) if element in members)


@dataclass(frozen=True)
class Cover(Constraint[Chosen, "list[cp_model.IntVar]"]):
    """``holding``: the sets that contain the element."""

    kind: ClassVar[str] = "cover"
    constraint_class: ClassVar[str] = "structure"
    hereditary: ClassVar[bool] = False
    element: int
    holding: tuple[int, ...]

    def say(self, names: Names) -> str:
        return f"Every {names.word('element')} is in at least one of the chosen {names.all('set')}."

    def check(self, answer: Chosen) -> int:
        return len(answer.intersection(self.holding)) - 1

    def post(self, model: "cp_model.CpModel", x: "list[cp_model.IntVar]") -> None:
        model.add_bool_or([x[i] for i in self.holding])


@dataclass(frozen=True)
class DoubleCover(Constraint[Chosen, "list[cp_model.IntVar]"]):
    kind: ClassVar[str] = "double_cover"
    constraint_class: ClassVar[str] = "structure"
    hereditary: ClassVar[bool] = False
    element: int
    holding: tuple[int, ...]
    limit: int = 2

    def say(self, names: Names) -> str:
        element, sets = sentence(names.one("element", self.element)), names.all("set")
        return f"{element} is in at least {self.limit} of the chosen {sets}."

    def check(self, answer: Chosen) -> int:
        return sum(i in answer for i in self.holding) - self.limit

    def post(self, model: "cp_model.CpModel", x: "list[cp_model.IntVar]") -> None:
        model.add(sum(x[i] for i in self.holding) >= self.limit)


@dataclass(frozen=True)
class Conflict(Constraint[Chosen, "list[cp_model.IntVar]"]):
    kind: ClassVar[str] = "conflict"
    constraint_class: ClassVar[str] = "logical"
    pair: tuple[int, int]

    def say(self, names: Names) -> str:
        first, second = (names.one("set", i) for i in self.pair)
        return f"{sentence(first)} and {second} are not both chosen."

    def check(self, answer: Chosen) -> int:
        return 1 - len(answer.intersection(self.pair))

    def post(self, model: "cp_model.CpModel", x: "list[cp_model.IntVar]") -> None:
        model.add_at_most_one(x[i] for i in self.pair)


@dataclass(frozen=True)
class Requires(Constraint[Chosen, "list[cp_model.IntVar]"]):
    kind: ClassVar[str] = "requires"
    constraint_class: ClassVar[str] = "logical"
    hereditary: ClassVar[bool] = False
    set: int
    needed: int

    def say(self, names: Names) -> str:
        first, needed = names.one("set", self.set), names.one("set", self.needed)
        return f"If {first} is chosen, {needed} is chosen too."

    def check(self, answer: Chosen) -> int:
        return -1 if self.set in answer and self.needed not in answer else 0

    def vacuous(self, answer: Chosen) -> bool:
        return self.set not in answer

    def post(self, model: "cp_model.CpModel", x: "list[cp_model.IntVar]") -> None:
        model.add_implication(x[self.set], x[self.needed])


@dataclass(frozen=True)
class MaxSets(Constraint[Chosen, "list[cp_model.IntVar]"]):
    kind: ClassVar[str] = "max_sets"
    constraint_class: ClassVar[str] = "capacity"
    limit: int

    def say(self, names: Names) -> str:
        return f"At most {self.limit} {names.all('set')} are chosen."

    def check(self, answer: Chosen) -> int:
        return self.limit - len(answer)

    def post(self, model: "cp_model.CpModel", x: "list[cp_model.IntVar]") -> None:
        model.add(sum(x) <= self.limit)


@dataclass(frozen=True)
class TotalCost(Objective[Chosen, "list[cp_model.IntVar]"]):
    direction: ClassVar[Any] = "min"
    cost: tuple[int, ...]

    def noun(self, names: Names) -> str:
        return f"the total {names.word('cost')} of the chosen {names.all('set')}"

    def of(self, answer: Chosen) -> int:
        return sum(self.cost[i] for i in answer)

    def post(self, model: "cp_model.CpModel", x: "list[cp_model.IntVar]") -> Any:
        return sum(cost * x[i] for i, cost in enumerate(self.cost))


@dataclass(frozen=True)
class CostSaved(TotalCost):
    """The mirror of the total cost: what the sets that are left out would have cost."""

    direction: ClassVar[Any] = "max"

    def noun(self, names: Names) -> str:
        return f"the total {names.word('cost')} of the {names.all('set')} that are not chosen"

    def of(self, answer: Chosen) -> int:
        return sum(cost for i, cost in enumerate(self.cost) if i not in answer)

    def post(self, model: "cp_model.CpModel", x: "list[cp_model.IntVar]") -> Any:
        return sum(cost * (1 - x[i]) for i, cost in enumerate(self.cost))


class CoverOf(SubsetOf):
    linearized: ClassVar[bool] = True


def from_file(text: str) -> SetCoverData:
    """Return the problem of an OR-Library file scp*: its rows are the elements, its columns the sets.

    Raises FormatError.
    """
    read = read_scp(text)
    members: list[list[int]] = [[] for _ in read.cost]
    for element, holding in enumerate(read.rows):
        for i in sorted(set(holding)):
            members[i].append(element)
    return SetCoverData(read.cost, tuple(map(tuple, members)))


class SetCover(Optimization[SetCoverData, Chosen, "list[cp_model.IntVar]"]):
    name: ClassVar[str] = "set_cover"
    version: ClassVar[int] = 1
    title: ClassVar[str] = "Set cover"
    data = SetCoverData
    sizes: ClassVar[Any] = ladder(
        SetCoverKnobs,
        sets=(7, 11, 18, 26, 36),
        elements=(6, 10, 18, 26, 38),
        hidden=(3, 4, 6, 8, 10),
        conflicts=(2, 4, 8, 13, 20),
        requires=(1, 2, 4, 6, 9),
        doubles=(1, 2, 3, 5, 7),
    )
    core_kinds: ClassVar[tuple[str, ...]] = ("cover",)
    modules: ClassVar[Any] = {
        "double_cover": lambda d: [DoubleCover(e, d.holding(e)) for e in d.doubles],
        "conflict": lambda d: [Conflict(pair) for pair in d.conflicts],
        "requires": lambda d: [Requires(i, j) for i, j in d.requires],
        "max_sets": lambda d: [MaxSets(d.most)],
    }
    target_share: ClassVar[Fraction] = Fraction(105, 100)
    formats: ClassVar[Any] = {"orlibrary": from_file}

    def draw(self, knobs: SetCoverKnobs, stream: Stream) -> SetCoverData:
        """Hide a cover in the data that keeps every rule; a rule concerns sets that look as good as the hidden ones."""
        n, m = knobs.sets, knobs.elements
        hidden = sorted(stream("hidden").sample(range(n), knobs.hidden))
        others = [i for i in range(n) if i not in hidden]
        members: list[set[int]] = [set() for _ in range(n)]
        for k, e in enumerate(stream("parts").shuffled(range(m))):
            members[hidden[k % len(hidden)]].add(e)
        for e in range(m):
            members[stream(f"other {e}").choice(others)].add(e)
        doubles = sorted(stream("doubles").sample(range(m), knobs.doubles))
        for e in doubles:
            members[stream(f"double {e}").choice([i for i in hidden if e not in members[i]])].add(e)
        # Hidden sets are large: few of them do, though smaller ones cost less for each element.
        usual = max(2, m // knobs.hidden)
        for i, more in enumerate(stream("size").integers(n, 0, max(1, m // 9))):
            spare = [e for e in stream(f"more {i}").shuffled(range(m)) if e not in members[i]]
            members[i] |= set(spare[: max(0, usual + more + (i in hidden) - len(members[i]))])
        gain = stream("cost").integers(n, 0, 9)
        cost = tuple(gain[i] + len(members[i]) * (8 + len(members[i])) // 2 for i in range(n))
        # The cheaper two thirds, by what an element costs: that such sets exclude each other is felt.
        cheap = sorted(range(n), key=lambda i: Fraction(cost[i], len(members[i])))[: (2 * n + 2) // 3]
        clashes = [
            (i, j)
            for i in sorted(cheap)
            for j in sorted(cheap)
            if i < j and members[i] & members[j] and not {i, j} <= set(hidden)
        ]
        conflicts = sorted(stream("conflicts").sample(clashes, min(knobs.conflicts, len(clashes))))
        # A set that needs another one: not a hidden one that needs one from outside, and no pair that excludes itself.
        wanting = [
            (i, j)
            for i in range(n)
            for j in range(n)
            if i != j and (i not in hidden or j in hidden) and tuple(sorted((i, j))) not in conflicts
        ]
        chains = {i: (i, j) for i, j in stream("requires").shuffled(wanting)}  # one for each set
        return SetCoverData(
            cost=cost,
            members=tuple(tuple(sorted(one)) for one in members),
            conflicts=tuple(conflicts),
            requires=tuple(sorted(stream("needing").sample(sorted(chains.values()), knobs.requires))),
            doubles=tuple(doubles),
            most=len(hidden),
        )

    def form(self, d: SetCoverData) -> CoverOf:
        return CoverOf("set", len(d.cost))

    def core(self, d: SetCoverData) -> list[Constraint[Chosen, Any]]:
        return [Cover(e, d.holding(e)) for e in range(d.elements)]

    def objective(self, d: SetCoverData) -> TotalCost:
        return TotalCost(d.cost)

    def greedy(self, d: SetCoverData, fits: Fits[Chosen]) -> Chosen:
        """Chvatal's: the set that costs least for each element that it covers anew, until all are covered."""
        chosen: Chosen = frozenset()
        missing = set(range(d.elements))
        while missing:
            useful = [i for i in range(len(d.cost)) if missing.intersection(d.members[i]) and fits(chosen | {i})]
            if not useful:
                break
            best = min(useful, key=lambda i: Fraction(d.cost[i], len(missing.intersection(d.members[i]))))
            chosen |= {best}
            missing.difference_update(d.members[best])
        return chosen

    def entities(self, d: SetCoverData) -> Mapping[str, int]:
        return {"set": len(d.cost), "element": d.elements}

    def intro(self, d: SetCoverData, names: Names) -> str:
        sets, elements = names.all("set"), names.all("element")
        rows = [
            (
                names.label("set", i),
                d.cost[i],
                ", ".join(names.label("element", e) for e in names.listed("element", d.elements) if e in d.members[i]),
            )
            for i in names.listed("set", len(d.cost))
        ]
        listing = table([names.word("set"), names.word("cost"), f"its {elements}"], rows)
        every = names.several("element", names.listed("element", d.elements))
        return f"Choose some of these {sets}, so that they contain {every}.\n\n{listing}"

    def inverted(self, d: SetCoverData) -> CostSaved:
        return CostSaved(d.cost)

    def distracted(self, d: SetCoverData, extra: int, stream: Stream) -> SetCoverData:
        """Add sets that hold a part of another one and cost more than it."""
        count = extra * len(d.cost)
        cost, members = list(d.cost), list(d.members)
        for k in range(count):
            part = stream(f"set {k}")
            model = part("model").integer(0, len(d.cost) - 1)
            kept = max(1, len(d.members[model]) - part("less").integer(1, 2))
            members.append(tuple(sorted(part("members").sample(d.members[model], kept))))
            cost.append(d.cost[model] + part("more").integer(3, 12))
        return replace(d, cost=tuple(cost), members=tuple(members))

    def sketch(self, instance: Instance) -> Bars:
        """Return which elements each set contains, those of chosen sets coloured."""
        d: SetCoverData = instance.data  # type: ignore[assignment]
        names = instance.names
        sets, elements = names.listed("set", len(d.cost)), names.listed("element", d.elements)
        cells = {
            (a, b): ("", "chosen" if i in instance.answer else "")
            for a, i in enumerate(sets)
            for b, e in enumerate(elements)
            if e in d.members[i]
        }
        rows = [f"{names.one('set', i)} ({names.word('cost')} {d.cost[i]})" for i in sets]
        return grid(rows, [names.label("element", e) for e in elements], cells, names.all("element"))
