"""Bin packing with bins of different capacities (Friesen and Langston 1986): use as few bins as possible.

Modules: ``conflict`` (two items not in one bin) and ``fragile`` (the load of a bin is bounded by each fragile item in
it, as in bin packing with fragile objects: Clautiaux, Dell'Amico, Iori and Khanafer 2014).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any, ClassVar

from solvers.constrained import Fits, Optimization
from solvers.keys import Stream
from solvers.names import Names, sentence
from solvers.problem import Constraint, Data, Knobs, Objective, ladder
from solvers.shapes import MapOf, Partial

if TYPE_CHECKING:
    from ortools.sat.python import cp_model

Packing = Partial[int, int]  # item -> bin


@dataclass(frozen=True, kw_only=True)
class BinPackingKnobs(Knobs):
    items: int
    filled: int  # bins that a packing hidden in the data fills
    spare: int  # bins offered beyond these
    conflicts: int
    fragile: int
    slack: int  # most room that the hidden packing leaves in a bin


@dataclass(frozen=True)
class BinPackingData(Data):
    size: tuple[int, ...]  # by item
    capacity: tuple[int, ...]  # by bin
    conflicts: tuple[tuple[int, int], ...]
    fragile: tuple[tuple[int, int], ...]  # (item, the load that it bears)


@dataclass(frozen=True)
class Placed(Constraint[Packing, "dict[tuple[int, int], cp_model.IntVar]"]):
    kind: ClassVar[str] = "placed"
    constraint_class: ClassVar[str] = "structure"
    item: int
    bins: int

    def say(self, names: Names) -> str:
        return f"Every {names.word('item')} is in exactly one {names.word('bin')}."

    def check(self, answer: Packing) -> int:
        return 0 if 0 <= answer[self.item] < self.bins else -1

    def post(self, model: "cp_model.CpModel", x: "dict[tuple[int, int], cp_model.IntVar]") -> None:
        model.add_exactly_one(x[self.item, j] for j in range(self.bins))


@dataclass(frozen=True)
class Capacity(Constraint[Packing, "dict[tuple[int, int], cp_model.IntVar]"]):
    kind: ClassVar[str] = "capacity"
    constraint_class: ClassVar[str] = "capacity"
    bin: int
    size: tuple[int, ...]
    limit: int

    def say(self, names: Names) -> str:
        what, where = names.word("size"), names.one("bin", self.bin)
        return f"The total {what} of the {names.all('item')} in {where} is at most {self.limit}."

    def check(self, answer: Packing) -> int:
        return self.limit - sum(self.size[i] for i, j in answer.items() if j == self.bin)

    def post(self, model: "cp_model.CpModel", x: "dict[tuple[int, int], cp_model.IntVar]") -> None:
        model.add(sum(size * x[i, self.bin] for i, size in enumerate(self.size)) <= self.limit)


@dataclass(frozen=True)
class Conflict(Constraint[Packing, "dict[tuple[int, int], cp_model.IntVar]"]):
    kind: ClassVar[str] = "conflict"
    constraint_class: ClassVar[str] = "logical"
    pair: tuple[int, int]
    bins: int

    def say(self, names: Names) -> str:
        return f"{sentence(names.several('item', self.pair))} are not in the same {names.word('bin')}."

    def check(self, answer: Packing) -> int:
        first, second = self.pair
        return -1 if answer[first] == answer[second] else 0

    def post(self, model: "cp_model.CpModel", x: "dict[tuple[int, int], cp_model.IntVar]") -> None:
        for j in range(self.bins):
            model.add_at_most_one(x[i, j] for i in self.pair)


@dataclass(frozen=True)
class Fragile(Constraint[Packing, "dict[tuple[int, int], cp_model.IntVar]"]):
    kind: ClassVar[str] = "fragile"
    constraint_class: ClassVar[str] = "logical"
    item: int
    bins: int
    size: tuple[int, ...]
    limit: int

    def say(self, names: Names) -> str:
        item, items = names.one("item", self.item), names.all("item")
        return (
            f"{sentence(item)} is fragile: the total {names.word('size')} of the {items} in its {names.word('bin')},"
            f" {item} included, is at most {self.limit}."
        )

    def check(self, answer: Packing) -> int:
        home = answer[self.item]
        return self.limit - sum(self.size[i] for i, j in answer.items() if j == home)

    def post(self, model: "cp_model.CpModel", x: "dict[tuple[int, int], cp_model.IntVar]") -> None:
        for j in range(self.bins):
            load = sum(size * x[i, j] for i, size in enumerate(self.size))
            model.add(load <= self.limit).only_enforce_if(x[self.item, j])


@dataclass(frozen=True)
class BinsUsed(Objective[Packing, "dict[tuple[int, int], cp_model.IntVar]"]):
    direction: ClassVar[Any] = "min"
    items: int
    bins: int

    def noun(self, names: Names) -> str:
        return f"the number of {names.all('bin')} used"

    def of(self, answer: Packing) -> int:
        return len({answer[i] for i in range(self.items)})

    def post(self, model: "cp_model.CpModel", x: "dict[tuple[int, int], cp_model.IntVar]") -> Any:
        used = [model.new_bool_var(f"used{j}") for j in range(self.bins)]
        for j, variable in enumerate(used):
            model.add_max_equality(variable, [x[i, j] for i in range(self.items)])
        return sum(used)


class BinPacking(Optimization[BinPackingData, Packing, "dict[tuple[int, int], cp_model.IntVar]"]):
    name: ClassVar[str] = "bin_packing"
    version: ClassVar[int] = 1
    title: ClassVar[str] = "Bin packing"
    data = BinPackingData
    sizes: ClassVar[Any] = ladder(
        BinPackingKnobs,
        items=(6, 9, 15, 20, 26),
        filled=(2, 3, 4, 5, 5),
        spare=(1, 2, 2, 2, 2),
        conflicts=(2, 4, 8, 12, 16),
        fragile=(1, 2, 3, 4, 5),
        slack=8,
    )
    core_kinds: ClassVar[tuple[str, ...]] = ("placed", "capacity")
    modules: ClassVar[Any] = {
        "conflict": lambda d: [Conflict(pair, len(d.capacity)) for pair in d.conflicts],
        "fragile": lambda d: [Fragile(item, len(d.capacity), d.size, limit) for item, limit in d.fragile],
    }
    target_share: ClassVar[Fraction] = Fraction(1)

    def draw(self, knobs: BinPackingKnobs, stream: Stream) -> BinPackingData:
        """Hide a nearly full packing in the data.

        The volume of the items exceeds what any fewer of the offered bins hold: so all arms need the same number of
        bins, and their common target is tight for each.
        """
        n, filled = knobs.items, knobs.filled
        size = stream("size").integers(n, 10, 40)
        home = stream("home").shuffled([i % filled for i in range(n)])
        load = [sum(size[i] for i in range(n) if home[i] == j) for j in range(filled)]
        room = stream("room").integers(filled, 1, knobs.slack)
        tight = [held + left for held, left in zip(load, room, strict=True)]
        # The spare bins may replace the smallest ones: what they add together stays below what is missing.
        missing = min(tight) - sum(room) - 1
        spare = stream("spare").integers(knobs.spare, min(tight), min(max(tight), min(tight) + missing // knobs.spare))
        apart = [(i, j) for i in range(n) for j in range(i + 1, n) if home[i] != home[j]]
        fragile = stream("fragile").sample(range(n), knobs.fragile)
        bears = stream("bears").integers(knobs.fragile, 0, knobs.slack // 4)
        return BinPackingData(
            size=size,
            capacity=tuple(stream("order").shuffled([*tight, *spare])),
            conflicts=tuple(sorted(stream("apart").sample(apart, knobs.conflicts))),
            # Below the largest capacity, or the rule would say nothing.
            fragile=tuple(
                sorted((i, min(load[home[i]] + more, max(tight) - 1)) for i, more in zip(fragile, bears, strict=True))
            ),
        )

    def form(self, d: BinPackingData) -> MapOf:
        return MapOf("item", len(d.size), "bin", len(d.capacity))

    def core(self, d: BinPackingData) -> list[Constraint[Packing, Any]]:
        return [
            *(Placed(i, len(d.capacity)) for i in range(len(d.size))),
            *(Capacity(j, d.size, limit) for j, limit in enumerate(d.capacity)),
        ]

    def objective(self, d: BinPackingData) -> BinsUsed:
        return BinsUsed(len(d.size), len(d.capacity))

    def greedy(self, d: BinPackingData, fits: Fits[Packing]) -> Packing:
        """First fit decreasing, the largest bins first."""
        items = sorted(range(len(d.size)), key=lambda i: -d.size[i])
        bins = sorted(range(len(d.capacity)), key=lambda j: -d.capacity[j])
        return self.form(d).first_fit(items, fits, bins)

    def intro(self, d: BinPackingData, names: Names) -> str:
        bins = names.several("bin", names.listed("bin", len(d.capacity)))
        listing = names.table("item", {"size": d.size})
        return f"Put each of these {names.all('item')} in one of {bins}.\n\n{listing}"

    def entities(self, d: BinPackingData) -> Mapping[str, int]:
        return {"item": len(d.size), "bin": len(d.capacity)}
