"""0-1 knapsack with several dimensions (Kellerer, Pferschy and Pisinger 2004, chapter 9) and logical side constraints.

Modules: ``conflict`` (two items exclude each other), ``requires`` (an item only with another), ``minimum_count``.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from math import lcm
from typing import TYPE_CHECKING, Any, ClassVar

from solvers.constrained import Fits, Optimization
from solvers.formats.orlibrary import MultiKnapsack, read_mknap
from solvers.keys import Stream
from solvers.names import Costume, Names, sentence
from solvers.problem import Constraint, Data, Famous, Instance, Knobs, Number, Objective, ladder
from solvers.shapes import SubsetOf
from solvers.sketches import Panels, limited, stacked

if TYPE_CHECKING:
    from ortools.sat.python import cp_model

Chosen = frozenset[int]
DIMENSIONS = ("weight", "volume", "cost")


def measured(dimension: int) -> str:
    """Return the term for what an item needs in a dimension; only public files have more than three."""
    return DIMENSIONS[dimension] if dimension < len(DIMENSIONS) else f"use of resource {dimension + 1}"


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
        what = names.word(measured(self.dimension))
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


@dataclass(frozen=True)
class ValueLeft(TotalValue):
    """The mirror of the total value: what the items left behind are worth."""

    direction: ClassVar[Any] = "min"

    def noun(self, names: Names) -> str:
        return f"the total {names.word('value')} of the {names.all('item')} that are not chosen"

    def of(self, answer: Chosen) -> int:
        return sum(value for i, value in enumerate(self.value) if i not in answer)

    def post(self, model: "cp_model.CpModel", x: "list[cp_model.IntVar]") -> Any:
        return sum(value * (1 - x[i]) for i, value in enumerate(self.value))


def plain(value: tuple[int, ...], size: tuple[int, ...], limit: int) -> KnapsackData:
    """Return a knapsack with one capacity and no side constraints."""
    return KnapsackData(value=value, size=(size,), limit=(limit,), conflicts=(), requires=(), least=0)


def from_file(problem: MultiKnapsack) -> KnapsackData:
    """Return a problem of an OR-Library file mknap*; numbers with decimals are in units that make them whole."""
    rows = [whole((*size, most)) for size, most in zip(problem.weight, problem.capacity, strict=True)]
    return KnapsackData(
        value=whole(problem.value),
        size=tuple(row[:-1] for row in rows),
        limit=tuple(row[-1] for row in rows),
        conflicts=(),
        requires=(),
        least=0,
    )


def whole(numbers: Sequence[Number]) -> tuple[int, ...]:
    """Return numbers in the largest unit, 1 or a part of it, of which each is a multiple."""
    unit = lcm(*(Fraction(one).denominator for one in numbers))
    return tuple(int(one * unit) for one in numbers)


PETERSEN_1 = """6 10 3800
100 600 1200 2400 500 2000
8 12 13 64 22 41
8 12 13 75 22 41
3 6 4 18 6 4
5 10 8 32 6 12
5 13 8 42 6 20
5 13 8 48 6 20
0 0 0 0 8 0
3 0 4 0 8 0
3 2 4 0 8 4
3 2 4 8 8 4
80 96 20 36 44 48 10 18 22 24
"""
PETERSEN_3 = """15 10 4015
100 220 90 400 300 400 205 120 160 580 400 140 100 1300 650
8 24 13 80 70 80 45 15 28 90 130 32 20 120 40
8 44 13 100 100 90 75 25 28 120 130 32 40 160 40
3 6 4 20 20 30 8 3 12 14 40 6 3 20 5
5 9 6 40 30 40 16 5 18 24 60 16 11 30 25
5 11 7 50 40 40 19 7 18 29 70 21 17 30 25
5 11 7 55 40 40 21 9 18 29 70 21 17 35 25
0 0 1 10 4 10 0 6 0 6 32 3 0 70 10
3 4 5 20 14 20 6 12 10 18 42 9 12 100 20
3 6 9 30 29 20 12 12 10 30 42 18 18 110 20
3 8 9 35 29 20 16 15 10 30 42 20 18 120 20
550 700 130 240 280 310 110 205 260 275
"""
PETERSEN = "Petersen, Computational experience with variants of the Balas algorithm, 1967; OR-Library mknap1"
FAMOUS = (
    Famous("petersen 1", "xs", from_file(*read_mknap(PETERSEN_1)), 3800, PETERSEN),
    Famous(
        "p01",
        "s",
        plain((92, 57, 49, 68, 60, 43, 67, 84, 87, 72), (23, 31, 29, 44, 53, 38, 63, 85, 89, 82), 165),
        309,
        "Burkardt, data set KNAPSACK_01, Florida State University",
    ),
    Famous(
        "p07",
        "m",
        plain(
            (135, 139, 149, 150, 156, 163, 173, 184, 192, 201, 210, 214, 221, 229, 240),
            (70, 73, 77, 80, 82, 87, 90, 94, 98, 106, 110, 113, 115, 118, 120),
            750,
        ),
        1458,
        "Kreher and Stinson, Combinatorial Algorithms, 1998",
    ),
    Famous("petersen 3", "l", from_file(*read_mknap(PETERSEN_3)), 4015, PETERSEN),
)
COSTUMES = (
    Costume(
        "A rescue helicopter has room for part of the supplies that wait at the depot.",
        {"item": ("crate", "crates"), "value": ("benefit", "benefits"), "cost": ("fuel", "fuels")},
    ),
    Costume(
        "A radio station fills an evening and weighs which songs to play.",
        {
            "item": ("song", "songs"),
            "value": ("popularity", "popularities"),
            "weight": ("duration", "durations"),
            "volume": ("licence fee", "licence fees"),
            "cost": ("rehearsal", "rehearsals"),
        },
    ),
    Costume(
        "A council decides which projects of a neighbourhood to fund.",
        {
            "item": ("project", "projects"),
            "value": ("score", "scores"),
            "weight": ("price", "prices"),
            "volume": ("staff time", "staff times"),
            "cost": ("land use", "land uses"),
        },
    ),
)


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
    costumes = COSTUMES
    formats: ClassVar[Any] = {"orlibrary": lambda text: tuple(map(from_file, read_mknap(text)))}

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
            return Fraction(d.value[i], max(1, sum(size[i] for size in d.size)))

        return self.form(d).first_fit(sorted(range(len(d.value)), key=lambda i: -density(i)), fits)

    def intro(self, d: KnapsackData, names: Names) -> str:
        listing = names.table("item", {"value": d.value, **{measured(k): size for k, size in enumerate(d.size)}})
        return f"Choose some of these {names.all('item')}.\n\n{listing}"

    def entities(self, d: KnapsackData) -> Mapping[str, int]:
        return {"item": len(d.value)}

    def inverted(self, d: KnapsackData) -> ValueLeft:
        return ValueLeft(d.value)

    def distracted(self, d: KnapsackData, extra: int, stream: Stream) -> KnapsackData:
        """Add items that are larger in some dimension than all that may be chosen: none of them fits."""
        count = extra * len(d.value)
        low, high = min(d.value), max(d.value)
        dimension = stream("dimension").integers(count, 0, len(d.size) - 1)
        excess = stream("excess").integers(count, 1, 20)
        size = [list(stream(f"size {k}").integers(count, min(row), max(row))) for k, row in enumerate(d.size)]
        for i, (k, more) in enumerate(zip(dimension, excess, strict=True)):
            size[k][i] = d.limit[k] + more
        return replace(
            d,
            value=d.value + stream("value").integers(count, low, high),
            size=tuple(row + tuple(new) for row, new in zip(d.size, size, strict=True)),
        )

    def famous(self) -> Sequence[Famous[KnapsackData]]:
        return FAMOUS

    def perturb(self, d: KnapsackData, stream: Stream) -> KnapsackData:
        """Change three values and each capacity by up to a fifth."""
        changed = stream("items").sample(range(len(d.value)), 3)
        value = tuple(
            max(1, v * stream(f"value {i}").integer(80, 120) // 100) if i in changed else v
            for i, v in enumerate(d.value)
        )
        limit = tuple(v * stream(f"limit {k}").integer(80, 110) // 100 for k, v in enumerate(d.limit))
        return replace(d, value=value, limit=limit)

    def sketch(self, instance: Instance) -> Panels:
        d: KnapsackData = instance.data  # type: ignore[assignment]
        names, order = instance.names, instance.names.listed("item", len(d.value))
        group = {i: "chosen" if i in instance.answer else "" for i in order}
        values = [[(str(d.value[i]), d.value[i], group[i])] for i in order]
        loads = [[(names.label("item", i), size[i], "chosen") for i in order if group[i]] for size in d.size]
        words = [names.word(measured(k)) for k in range(len(d.size))]
        return Panels(
            (
                stacked([names.one("item", i) for i in order], values, names.word("value")),
                limited(stacked(words, loads, f"by chosen {names.word('item')}; line: at most"), d.limit),
            )
        )
