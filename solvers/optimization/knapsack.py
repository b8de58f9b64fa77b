"""0-1 knapsack with several dimensions (Kellerer, Pferschy and Pisinger 2004, chapter 9) and logical side constraints.

Modules: ``conflict`` (two items exclude each other), ``requires`` (an item only with another), ``minimum_count``.
"""

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any, ClassVar

from solvers.keys import Stream
from solvers.problem import Constraint, Data, Fits, Knobs, Names, Objective, Optimization, ladder, sentence, table
from solvers.shapes import SubsetOf

if TYPE_CHECKING:
    from ortools.sat.python import cp_model

Chosen = frozenset[int]
DIMENSIONS = ("weight", "volume", "cost")


@dataclass(frozen=True, kw_only=True)
class KnapsackKnobs(Knobs):
    items: int
    dimensions: int
    conflicts: int
    requires: int
    fill: int  # capacity, % of the total in each dimension


@dataclass(frozen=True)
class KnapsackData(Data):
    value: tuple[int, ...]
    size: tuple[tuple[int, ...], ...]  # by dimension, by item
    limit: tuple[int, ...]
    conflicts: tuple[tuple[int, int], ...]
    requires: tuple[tuple[int, int], ...]  # (item, the one that it needs)
    least: int


@dataclass(frozen=True)
class Capacity(Constraint[Chosen, "list[cp_model.IntVar]"]):
    kind: ClassVar[str] = "capacity"
    constraint_class: ClassVar[str] = "capacity"
    dimension: int
    size: tuple[int, ...]
    limit: int

    def say(self, names: Names) -> str:
        what = names.word(DIMENSIONS[self.dimension])
        return f"The total {what} of the chosen {names.all('item')} is at most {self.limit}."

    def check(self, answer: Chosen) -> int:
        return self.limit - sum(self.size[i] for i in answer)

    def post(self, model: "cp_model.CpModel", x: "list[cp_model.IntVar]") -> None:
        model.add(sum(size * x[i] for i, size in enumerate(self.size)) <= self.limit)


@dataclass(frozen=True)
class Conflict(Constraint[Chosen, "list[cp_model.IntVar]"]):
    kind: ClassVar[str] = "conflict"
    constraint_class: ClassVar[str] = "logical"
    pair: tuple[int, int]

    def say(self, names: Names) -> str:
        first, second = (names.one("item", i) for i in self.pair)
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
    item: int
    needed: int

    def say(self, names: Names) -> str:
        item, needed = names.one("item", self.item), names.one("item", self.needed)
        return f"If {item} is chosen, {needed} is chosen too."

    def check(self, answer: Chosen) -> int:
        return 0 if self.item not in answer or self.needed in answer else -1

    def vacuous(self, answer: Chosen) -> bool:
        return self.item not in answer

    def post(self, model: "cp_model.CpModel", x: "list[cp_model.IntVar]") -> None:
        model.add_implication(x[self.item], x[self.needed])


@dataclass(frozen=True)
class MinimumCount(Constraint[Chosen, "list[cp_model.IntVar]"]):
    kind: ClassVar[str] = "minimum_count"
    constraint_class: ClassVar[str] = "logical"
    hereditary: ClassVar[bool] = False
    limit: int

    def say(self, names: Names) -> str:
        return f"At least {self.limit} {names.all('item')} are chosen."

    def check(self, answer: Chosen) -> int:
        return len(answer) - self.limit

    def post(self, model: "cp_model.CpModel", x: "list[cp_model.IntVar]") -> None:
        model.add(sum(x) >= self.limit)


@dataclass(frozen=True)
class TotalValue(Objective[Chosen, "list[cp_model.IntVar]"]):
    direction: ClassVar[Any] = "max"
    value: tuple[int, ...]

    def noun(self, names: Names) -> str:
        return f"the total {names.word('value')} of the chosen {names.all('item')}"

    def of(self, answer: Chosen) -> int:
        return sum(self.value[i] for i in answer)

    def post(self, model: "cp_model.CpModel", x: "list[cp_model.IntVar]") -> Any:
        return sum(value * x[i] for i, value in enumerate(self.value))


class Knapsack(Optimization[KnapsackData, Chosen, "list[cp_model.IntVar]"]):
    name: ClassVar[str] = "knapsack"
    version: ClassVar[int] = 1
    title: ClassVar[str] = "0-1 knapsack"
    data = KnapsackData
    sizes: ClassVar[Any] = ladder(
        KnapsackKnobs,
        items=(6, 10, 16, 26, 40),
        dimensions=(1, 2, 2, 3, 3),
        conflicts=(2, 4, 8, 16, 30),
        requires=(1, 2, 4, 6, 10),
        fill=45,
    )
    core_kinds: ClassVar[tuple[str, ...]] = ("capacity",)
    modules: ClassVar[Any] = {
        "conflict": lambda d: [Conflict(pair) for pair in d.conflicts],
        "requires": lambda d: [Requires(item, needed) for item, needed in d.requires],
        "minimum_count": lambda d: [MinimumCount(d.least)],
    }
    target_share: ClassVar[Fraction] = Fraction(95, 100)

    def draw(self, knobs: KnapsackKnobs, stream: Stream) -> KnapsackData:
        n = knobs.items
        size = stream("size").matrix(knobs.dimensions, n, 5, 40)
        # Values follow the sizes (plus a gain), so that no item is obviously good.
        gain = stream("gain").integers(n, 0, 15)
        logic = stream("logic").pairs(n, knobs.conflicts + knobs.requires)
        mixed = stream("order").shuffled(logic)
        flips = stream("flip").integers(knobs.requires, 0, 1)
        return KnapsackData(
            value=tuple(sum(row[i] for row in size) // knobs.dimensions + gain[i] for i in range(n)),
            size=size,
            limit=tuple(sum(row) * knobs.fill // 100 for row in size),
            conflicts=tuple(sorted(mixed[: knobs.conflicts])),
            requires=tuple(
                (j, i) if flip else (i, j) for (i, j), flip in zip(sorted(mixed[knobs.conflicts :]), flips, strict=True)
            ),
            least=n * knobs.fill // 100 + stream("least").integer(0, 1),
        )

    def form(self, d: KnapsackData) -> SubsetOf:
        return SubsetOf("item", len(d.value))

    def core(self, d: KnapsackData) -> list[Constraint[Chosen, Any]]:
        return [Capacity(k, size, limit) for k, (size, limit) in enumerate(zip(d.size, d.limit, strict=True))]

    def objective(self, d: KnapsackData) -> TotalValue:
        return TotalValue(d.value)

    def greedy(self, d: KnapsackData, fits: Fits[Chosen]) -> Chosen:
        def density(i: int) -> Fraction:
            return Fraction(d.value[i], sum(size[i] for size in d.size))

        return self.form(d).first_fit(sorted(range(len(d.value)), key=lambda i: -density(i)), fits)

    def intro(self, d: KnapsackData, names: Names) -> str:
        terms = ["value", *DIMENSIONS[: len(d.size)]]
        rows = [(names.label("item", i), value, *(size[i] for size in d.size)) for i, value in enumerate(d.value)]
        listing = table([names.word("item"), *map(names.word, terms)], rows)
        return f"Choose some of these {names.all('item')}.\n\n{listing}"
