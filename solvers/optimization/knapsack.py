"""0-1 knapsack with several dimensions (Kellerer, Pferschy and Pisinger 2004, chapter 9) and logical side constraints.

Modules: ``conflict`` (two items exclude each other), ``requires`` (an item only with another), ``minimum_count``.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any, ClassVar

from solvers.constrained import Fits, Optimization
from solvers.keys import Stream
from solvers.names import Costume, Names, sentence
from solvers.problem import Constraint, Data, Famous, Instance, Knobs, Objective, ladder
from solvers.shapes import SubsetOf
from solvers.sketches import Panels, limited, stacked

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


FAMOUS = (
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
        listing = names.table("item", {"value": d.value, **dict(zip(DIMENSIONS, d.size, strict=False))})
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
        words = [names.word(DIMENSIONS[k]) for k in range(len(d.size))]
        return Panels(
            (
                stacked([names.one("item", i) for i in order], values, names.word("value")),
                limited(stacked(words, loads, f"by chosen {names.word('item')}; line: at most"), d.limit),
            )
        )
