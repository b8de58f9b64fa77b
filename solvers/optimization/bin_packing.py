"""Bin packing with bins of several types (Friesen and Langston 1986), sizes in one or two dimensions.

The core is the textbook problem, with a cost for each type of bin; where bins have no cost, they are counted. Modules
are the constraint kinds that ConstraintBench (arXiv 2602.22465) has for bin packing: ``max_bins``, ``bin_type_limit``,
``min_fill_rate``, ``weight_balance``, ``fragile`` (no heavy item beside a fragile one), ``must_together``,
``incompatible``.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import combinations, pairwise, product
from math import lcm
from typing import TYPE_CHECKING, Any, ClassVar

from solvers.constrained import Fits, Optimization
from solvers.formats import orlibrary
from solvers.formats.orlibrary import read_binpack, read_bpp
from solvers.keys import Stream
from solvers.names import Costume, Names, sentence, table
from solvers.problem import Constraint, Data, Famous, Instance, Knobs, Objective, ladder
from solvers.shapes import MapOf, Partial
from solvers.sketches import Panels, limited, stacked

if TYPE_CHECKING:
    from ortools.sat.python import cp_model

Packing = Partial[int, int]  # item -> bin
Pair = tuple[int, int]


@dataclass(frozen=True, kw_only=True)
class BinPackingKnobs(Knobs):
    items: int
    filled: int  # bins that a packing hidden in the data fills
    types: int
    spare: int  # bins of each type offered beyond these
    limited: int  # types of which no more than these may be used
    fragile: int
    together: int
    incompatible: int
    slack: int  # most room that the hidden packing leaves in the fullest bin of a type, in either dimension


@dataclass(frozen=True)
class BinPackingData(Data):
    size: tuple[tuple[int, ...], ...]  # by dimension, by item
    capacity: tuple[tuple[int, ...], ...]  # by dimension, by type
    offered: tuple[int, ...]  # bins, by type; they are numbered type by type
    cost: tuple[int, ...] = ()  # of a bin, by type; none: the bins used are counted
    most: int = 0  # bins used
    limited: tuple[Pair, ...] = ()  # (type, bins of it used)
    fill: int = 0  # of a bin used, % of its volume
    balance: int = 0  # difference in weight of two bins used
    heavy: int = 0  # weight that may lie beside a fragile item
    fragile: tuple[int, ...] = ()
    together: tuple[Pair, ...] = ()
    incompatible: tuple[Pair, ...] = ()

    @property
    def type_of(self) -> tuple[int, ...]:
        """The type of each bin."""
        return tuple(t for t, count in enumerate(self.offered) for _ in range(count))

    def of_type(self, t: int) -> tuple[int, ...]:
        """Return the bins of type ``t``."""
        return tuple(j for j, other in enumerate(self.type_of) if other == t)

    @property
    def terms(self) -> tuple[str, ...]:
        """What each dimension is called."""
        return ("size",) if len(self.size) == 1 else ("volume", "weight")


class Places(dict[Pair, "cp_model.IntVar"]):
    """The solver's variables: ``x[i, j]``, item i is in bin j; ``used(j)``, something is, made when first asked for."""

    def __init__(self, model: "cp_model.CpModel", inside: Mapping[Pair, "cp_model.IntVar"]) -> None:
        super().__init__(inside)
        self._model = model
        self._used: dict[int, cp_model.IntVar] = {}

    def used(self, j: int) -> "cp_model.IntVar":
        """Return the variable that says whether bin ``j`` holds an item."""
        if j not in self._used:
            self._used[j] = self._model.new_bool_var(f"used{j}")
            self._model.add_max_equality(self._used[j], [x for (_, other), x in self.items() if other == j])
        return self._used[j]

    def load(self, j: int, size: Sequence[int]) -> Any:
        """Return what the items in bin ``j`` add up to."""
        return sum(size[i] * x for (i, other), x in self.items() if other == j)


@dataclass(frozen=True)
class Bins(MapOf):
    def variables(self, model: "cp_model.CpModel") -> Places:
        return Places(model, super().variables(model))


def loads(answer: Packing, size: Sequence[int]) -> dict[int, int]:
    """Return what each bin used holds, of all items."""
    held: dict[int, int] = {}
    for i, one in enumerate(size):
        held[answer[i]] = held.get(answer[i], 0) + one
    return held


@dataclass(frozen=True)
class Placed(Constraint[Packing, Places]):
    kind: ClassVar[str] = "placed"
    constraint_class: ClassVar[str] = "structure"
    item: int
    bins: int

    def say(self, names: Names) -> str:
        return f"Every {names.word('item')} is in exactly one {names.word('bin')}."

    def check(self, answer: Packing) -> int:
        return 0 if 0 <= answer[self.item] < self.bins else -1

    def post(self, model: "cp_model.CpModel", x: Places) -> None:
        model.add_exactly_one(x[self.item, j] for j in range(self.bins))


@dataclass(frozen=True)
class Capacity(Constraint[Packing, Places]):
    """``type`` is None where all bins are alike."""

    kind: ClassVar[str] = "capacity"
    constraint_class: ClassVar[str] = "capacity"
    bin: int
    type: int | None
    term: str
    size: tuple[int, ...]
    limit: int

    def say(self, names: Names) -> str:
        where = names.word("bin") + ("" if self.type is None else f" of {names.one('type', self.type)}")
        return f"In each {where}, the total {names.word(self.term)} of the {names.all('item')} is at most {self.limit}."

    def check(self, answer: Packing) -> int:
        return self.limit - sum(self.size[i] for i, j in answer.items() if j == self.bin)

    def post(self, model: "cp_model.CpModel", x: Places) -> None:
        load = x.load(self.bin, self.size)
        model.add(load <= self.limit)
        if self.limit >= 0:  # implied, and what makes the bound on the number of bins strong
            model.add(load <= self.limit * x.used(self.bin))


@dataclass(frozen=True)
class MaxBins(Constraint[Packing, Places]):
    kind: ClassVar[str] = "max_bins"
    constraint_class: ClassVar[str] = "capacity"
    bins: int
    limit: int

    def say(self, names: Names) -> str:
        return f"The number of {names.all('bin')} that are used is at most {self.limit}."

    def check(self, answer: Packing) -> int:
        return self.limit - len(set(answer.values()))

    def post(self, model: "cp_model.CpModel", x: Places) -> None:
        model.add(sum(x.used(j) for j in range(self.bins)) <= self.limit)


@dataclass(frozen=True)
class BinTypeLimit(Constraint[Packing, Places]):
    kind: ClassVar[str] = "bin_type_limit"
    constraint_class: ClassVar[str] = "capacity"
    type: int
    bins: tuple[int, ...]  # those of the type
    limit: int

    def say(self, names: Names) -> str:
        return (
            f"The number of {names.all('bin')} of {names.one('type', self.type)} that are used is at most {self.limit}."
        )

    def check(self, answer: Packing) -> int:
        return self.limit - len(set(self.bins).intersection(answer.values()))

    def post(self, model: "cp_model.CpModel", x: Places) -> None:
        model.add(sum(x.used(j) for j in self.bins) <= self.limit)


@dataclass(frozen=True)
class MinFillRate(Constraint[Packing, Places]):
    """The slack is in whole percent of the bin that is filled least, rounded down."""

    kind: ClassVar[str] = "min_fill_rate"
    constraint_class: ClassVar[str] = "balance"
    hereditary: ClassVar[bool] = False
    term: str
    size: tuple[int, ...]
    capacity: tuple[int, ...]  # by bin
    limit: int

    def say(self, names: Names) -> str:
        return (
            f"In each {names.word('bin')} that is used, the total {names.word(self.term)} of the {names.all('item')} is"
            f" at least {self.limit} % of the most that is allowed there."
        )

    def check(self, answer: Packing) -> int:
        return min(100 * load // self.capacity[j] for j, load in loads(answer, self.size).items()) - self.limit

    def post(self, model: "cp_model.CpModel", x: Places) -> None:
        for j, capacity in enumerate(self.capacity):
            model.add(100 * x.load(j, self.size) >= self.limit * capacity).only_enforce_if(x.used(j))


@dataclass(frozen=True)
class WeightBalance(Constraint[Packing, Places]):
    kind: ClassVar[str] = "weight_balance"
    constraint_class: ClassVar[str] = "balance"
    hereditary: ClassVar[bool] = False
    term: str
    size: tuple[int, ...]
    bins: int
    limit: int

    def say(self, names: Names) -> str:
        return (
            f"The total {names.word(self.term)} of the {names.all('item')} in any two {names.all('bin')} that are used"
            f" differs by at most {self.limit}."
        )

    def check(self, answer: Packing) -> int:
        held = loads(answer, self.size).values()
        return self.limit - (max(held) - min(held))

    def post(self, model: "cp_model.CpModel", x: Places) -> None:
        least, most = (model.new_int_var(0, sum(self.size), end) for end in ("least", "most"))
        for j in range(self.bins):
            model.add(x.load(j, self.size) <= most)
            model.add(x.load(j, self.size) >= least).only_enforce_if(x.used(j))
        model.add(most - least <= self.limit)


@dataclass(frozen=True)
class Fragile(Constraint[Packing, Places]):
    """``limit``: the largest weight of another item in the bin."""

    kind: ClassVar[str] = "fragile"
    constraint_class: ClassVar[str] = "logical"
    item: int
    bins: int
    term: str
    size: tuple[int, ...]
    limit: int

    def say(self, names: Names) -> str:
        item, where = sentence(names.one("item", self.item)), names.word("bin")
        return (
            f"{item} is fragile: every other {names.word('item')} in its {where} has a {names.word(self.term)} of at"
            f" most {self.limit}."
        )

    def check(self, answer: Packing) -> int:
        home = answer[self.item]
        return self.limit - max((self.size[i] for i, j in answer.items() if j == home and i != self.item), default=0)

    def post(self, model: "cp_model.CpModel", x: Places) -> None:
        for j in range(self.bins):
            for i, size in enumerate(self.size):
                if i != self.item:
                    model.add(size * x[i, j] <= self.limit).only_enforce_if(x[self.item, j])


@dataclass(frozen=True)
class MustTogether(Constraint[Packing, Places]):
    kind: ClassVar[str] = "must_together"
    constraint_class: ClassVar[str] = "logical"
    pair: Pair
    bins: int

    def say(self, names: Names) -> str:
        return f"{sentence(names.several('item', self.pair))} are in the same {names.word('bin')}."

    def check(self, answer: Packing) -> int:
        first, second = self.pair
        return 0 if answer[first] == answer[second] else -1

    def post(self, model: "cp_model.CpModel", x: Places) -> None:
        first, second = self.pair
        for j in range(self.bins):
            model.add(x[first, j] == x[second, j])


@dataclass(frozen=True)
class Incompatible(Constraint[Packing, Places]):
    kind: ClassVar[str] = "incompatible"
    constraint_class: ClassVar[str] = "logical"
    pair: Pair
    bins: int

    def say(self, names: Names) -> str:
        return f"{sentence(names.several('item', self.pair))} are not in the same {names.word('bin')}."

    def check(self, answer: Packing) -> int:
        first, second = self.pair
        return -1 if answer[first] == answer[second] else 0

    def post(self, model: "cp_model.CpModel", x: Places) -> None:
        for j in range(self.bins):
            model.add_at_most_one(x[i, j] for i in self.pair)


@dataclass(frozen=True)
class Price(Objective[Packing, Places]):
    """What the bins used cost; ``counted``: each costs 1, and the text speaks of their number."""

    direction: ClassVar[Any] = "min"
    items: int
    cost: tuple[int, ...]  # by bin
    counted: bool

    def noun(self, names: Names) -> str:
        bins = names.all("bin")
        return f"the number of {bins} used" if self.counted else f"the total {names.word('cost')} of the {bins} used"

    def of(self, answer: Packing) -> int:
        return sum(self.cost[j] for j in {answer[i] for i in range(self.items)})

    def post(self, model: "cp_model.CpModel", x: Places) -> Any:
        return sum(cost * x.used(j) for j, cost in enumerate(self.cost))


@dataclass(frozen=True)
class PriceSaved(Price):
    """The mirror of the price: what the bins left empty would cost."""

    direction: ClassVar[Any] = "max"

    def noun(self, names: Names) -> str:
        bins = names.all("bin")
        of = f"of the {bins} that are not used"
        return f"the number {of}" if self.counted else f"the total {names.word('cost')} {of}"

    def of(self, answer: Packing) -> int:
        return sum(self.cost) - super().of(answer)

    def post(self, model: "cp_model.CpModel", x: Places) -> Any:
        return sum(self.cost) - super().post(model, x)


def textbook(size: tuple[int, ...], capacity: int) -> BinPackingData:
    """Return the problem of packing items into as few bins of one capacity as possible.

    Two more bins are offered than first fit decreasing fills.
    """
    left: list[int] = []
    for one in sorted(size, reverse=True):
        home = next((j for j, room in enumerate(left) if one <= room), None)
        if home is None:
            left.append(capacity - one)
        else:
            left[home] -= one
    return BinPackingData(size=(size,), capacity=((capacity,),), offered=(len(left) + 2,))


def from_file(problem: orlibrary.BinPacking) -> BinPackingData:
    """Return the problem of a public file, in whole numbers: decimals are multiplied away."""
    unit = lcm(*(Fraction(one).denominator for one in (*problem.size, problem.capacity)))
    return textbook(tuple(int(one * unit) for one in problem.size), int(problem.capacity * unit))


def priced(cost: Sequence[int], count: Iterable[int]) -> int:
    """Return what so many of each kind cost, or hold."""
    return sum(one * many for one, many in zip(cost, count, strict=True))


def cheapest_cover(
    cost: Sequence[int], capacity: Sequence[Sequence[int]], needed: Sequence[int], offered: Sequence[int]
) -> int:
    """Return the least cost of bins whose capacities together reach what is needed in each dimension."""
    return min(
        priced(cost, count)
        for count in product(*(range(most + 1) for most in offered))
        if all(priced(row, count) >= need for row, need in zip(capacity, needed, strict=True))
    )


TRIES = 200  # of capacities and costs under which the hidden packing's bins are the cheapest that hold everything
BURKARDT = "Burkardt, data set BIN_PACKING, Florida State University"
FAMOUS = (
    Famous("BIN_PACKING p01", "s", textbook((70, 60, 50, 33, 33, 33, 11, 7, 3), 100), 4, BURKARDT),
    Famous("BIN_PACKING p03", "s", textbook((49, 41, 34, 33, 29, 26, 26, 22, 20, 19), 100), 3, BURKARDT),
    Famous("BIN_PACKING p02", "m", textbook((99, 94, 79, 64, 50, 46, 43, 37, 32, 19, 18, 7, 6, 3), 100), 7, BURKARDT),
)
COSTUMES = (
    Costume(
        "A family moves house; what does not fit into one van goes into another.",
        {
            "item": ("box", "boxes"),
            "bin": ("van", "vans"),
            "type": ("make", "makes"),
            "volume": ("room", "rooms"),
            "cost": ("rent", "rents"),
        },
    ),
    Costume(
        "A data centre places programs on servers.",
        {
            "item": ("program", "programs"),
            "bin": ("server", "servers"),
            "type": ("model", "models"),
            "volume": ("memory", "memories"),
            "weight": ("power", "powers"),
            "cost": ("price", "prices"),
        },
    ),
    Costume(
        "A school divides its pupils' projects among exhibition tables.",
        {
            "item": ("project", "projects"),
            "bin": ("table", "tables"),
            "type": ("kind", "kinds"),
            "volume": ("area", "areas"),
            "weight": ("noise", "noises"),
            "cost": ("fee", "fees"),
        },
    ),
)


class BinPacking(Optimization[BinPackingData, Packing, Places]):
    name: ClassVar[str] = "bin_packing"
    version: ClassVar[int] = 3
    title: ClassVar[str] = "Bin packing"
    data = BinPackingData
    sizes: ClassVar[Any] = ladder(
        BinPackingKnobs,
        items=(6, 9, 15, 19, 24),
        filled=(2, 3, 3, 4, 4),
        types=(2, 2, 3, 3, 3),
        spare=1,
        limited=(1, 1, 2, 2, 2),
        fragile=(1, 2, 3, 4, 5),
        together=(1, 1, 2, 3, 4),
        incompatible=(1, 2, 3, 4, 6),
        slack=8,
    )
    core_kinds: ClassVar[tuple[str, ...]] = ("placed", "capacity")
    modules: ClassVar[Any] = {
        "max_bins": lambda d: [MaxBins(sum(d.offered), d.most)],
        "bin_type_limit": lambda d: [BinTypeLimit(t, d.of_type(t), limit) for t, limit in d.limited],
        "min_fill_rate": lambda d: [
            MinFillRate(d.terms[0], d.size[0], tuple(d.capacity[0][t] for t in d.type_of), d.fill)
        ],
        "weight_balance": lambda d: [WeightBalance(d.terms[-1], d.size[-1], sum(d.offered), d.balance)],
        "fragile": lambda d: [Fragile(i, sum(d.offered), d.terms[-1], d.size[-1], d.heavy) for i in d.fragile],
        "must_together": lambda d: [MustTogether(pair, sum(d.offered)) for pair in d.together],
        "incompatible": lambda d: [Incompatible(pair, sum(d.offered)) for pair in d.incompatible],
    }
    target_share: ClassVar[Fraction] = Fraction(105, 100)
    costumes = COSTUMES
    formats: ClassVar[Any] = {
        "orlibrary": lambda text: tuple(map(from_file, read_binpack(text))),
        "scholl": lambda text: from_file(read_bpp(text)),
    }

    def draw(self, knobs: BinPackingKnobs, stream: Stream) -> BinPackingData:
        """Hide a packing in the data that meets every rule.

        Of its bins every other one holds a heavy item, the others hold items that may lie beside a fragile one. What
        cheaper bins hold together is (but for one draw in thirty of the large sizes) too little: so all arms have the
        same optimum, and a tight one.
        """
        n, k = knobs.items, knobs.filled
        home = stream("home").shuffled([i % k for i in range(n)])
        bins = [[i for i in range(n) if home[i] == j] for j in range(k)]
        heavy = stream("heavy").integer(18, 24)
        volume = list(stream("volume").integers(n, 8, 40))
        weight = list(stream("light").integers(n, 6, heavy))
        for j in range(0, k, 2):
            first, *others = bins[j]
            weight[first] = stream(f"heavy {j}").integer(heavy + 1, heavy + 16)
            for i in others:
                weight[i] = stream(f"beside {i}").integer(3, heavy - 6)
        # Types by volume: each fits some of the hidden bins closely, all of them once their items have grown.
        order = sorted(range(k), key=lambda j: sum(volume[i] for i in bins[j]))
        groups = [order[a:b] for a, b in pairwise(k * t // knobs.types for t in range(knobs.types + 1))]
        for group in groups:
            fullest = sum(volume[i] for i in bins[group[-1]])
            for j in group[:-1]:
                missing = fullest - sum(volume[i] for i in bins[j]) - stream(f"grown {j}").integer(0, knobs.slack)
                for share, i in enumerate(bins[j]):
                    volume[i] += max(0, missing + share) // len(bins[j])
        size = (tuple(volume), tuple(weight))
        held = [[sum(row[i] for i in inside) for inside in bins] for row in size]
        least = [[max(row[j] for j in group) for group in groups] for row in held]
        offered = [len(group) + knobs.spare + (t == 0) for t, group in enumerate(groups)]
        for attempt in range(TRIES):
            terms = stream(f"terms {attempt}")
            room = (knobs.slack // 2, knobs.slack)
            capacity = [[one + terms.integer(0, most) for one in row] for row, most in zip(least, room, strict=True)]
            cost = [one * terms.integer(85, 115) // 100 for one in capacity[0]]
            if cheapest_cover(cost, capacity, [sum(row) for row in size], offered) >= priced(cost, map(len, groups)):
                break
        kinds = stream("types").shuffled(range(knobs.types))
        place = {t: s for s, t in enumerate(kinds)}
        limited = stream("limited").sample(range(1, knobs.types), knobs.limited)
        pairs = list(combinations(range(n), 2))
        within = [(i, j) for i, j in pairs if home[i] == home[j]]
        fragile = stream("fragile").sample([i for i in range(n) if home[i] % 2], knobs.fragile)
        parted = {(i, j) for i in fragile for j in range(n) if weight[j] > heavy}  # by that rule already
        across = [(i, j) for i, j in pairs if home[i] != home[j] and not parted & {(i, j), (j, i)}]
        fullness = [100 * held[0][j] // capacity[0][t] for t, group in enumerate(groups) for j in group]
        return BinPackingData(
            size=size,
            capacity=tuple(tuple(row[t] for t in kinds) for row in capacity),
            offered=tuple(offered[t] for t in kinds),
            cost=tuple(cost[t] for t in kinds),
            most=k,
            limited=tuple(sorted((place[t], len(groups[t])) for t in limited)),
            fill=min(fullness) - stream("fill").integer(0, 3),
            balance=max(held[1]) - min(held[1]) + stream("balance").integer(0, 4),
            heavy=heavy,
            fragile=tuple(sorted(fragile)),
            together=tuple(sorted(stream("together").sample(within, knobs.together))),
            incompatible=tuple(sorted(stream("apart").sample(across, knobs.incompatible))),
        )

    def form(self, d: BinPackingData) -> Any:
        return Bins("item", len(d.size[0]), "bin", sum(d.offered))

    def core(self, d: BinPackingData) -> list[Constraint[Packing, Any]]:
        alike = len(d.offered) == 1
        return [
            *(Placed(i, sum(d.offered)) for i in range(len(d.size[0]))),
            *(
                Capacity(j, None if alike else t, term, size, limits[t])
                for term, size, limits in zip(d.terms, d.size, d.capacity, strict=True)
                for j, t in enumerate(d.type_of)
            ),
        ]

    def prices(self, d: BinPackingData) -> tuple[int, tuple[int, ...], bool]:
        """Return the fields of the objective."""
        return len(d.size[0]), tuple(d.cost[t] if d.cost else 1 for t in d.type_of), not d.cost

    def objective(self, d: BinPackingData) -> Price:
        return Price(*self.prices(d))

    def inverted(self, d: BinPackingData) -> PriceSaved:
        return PriceSaved(*self.prices(d))

    def distracted(self, d: BinPackingData, extra: int, stream: Stream) -> BinPackingData:
        """Add types of bins in which no item fits, too small in one dimension."""
        count = extra * len(d.offered)
        short = stream("short").integers(count, 0, len(d.size) - 1)
        capacity = []
        for k, (size, limits) in enumerate(zip(d.size, d.capacity, strict=True)):
            usual = stream(f"usual {k}").integers(count, min(limits), max(limits))
            little = stream(f"little {k}").integers(count, 1, min(size) - 1)
            new = (little[t] if short[t] == k else usual[t] for t in range(count))
            capacity.append((*limits, *new))
        return replace(
            d,
            capacity=tuple(capacity),
            offered=d.offered * (1 + extra),
            cost=(*d.cost, *stream("cost").integers(count, min(d.cost) // 2, max(d.cost))),
        )

    def greedy(self, d: BinPackingData, fits: Fits[Packing]) -> Packing:
        """First fit decreasing, by size relative to the largest bin; the bins that are cheap for their volume first."""
        cost, type_of = self.prices(d)[1], d.type_of
        rows = [(size, max(limits)) for size, limits in zip(d.size, d.capacity, strict=True)]
        bulk = [sum(Fraction(size[i], most) for size, most in rows) for i in range(len(d.size[0]))]
        items = sorted(range(len(bulk)), key=lambda i: -bulk[i])
        bins = sorted(range(len(cost)), key=lambda j: Fraction(cost[j], d.capacity[0][type_of[j]]))
        answer: Packing = self.form(d).first_fit(items, fits, bins)
        return answer

    def entities(self, d: BinPackingData) -> Mapping[str, int]:
        types = {"type": len(d.offered)} if len(d.offered) > 1 else {}
        return {"item": len(d.size[0]), "bin": sum(d.offered), **types}

    def intro(self, d: BinPackingData, names: Names) -> str:
        count, type_of = sum(d.offered), d.type_of
        order = names.listed("bin", count)
        one, bins = names.word("bin"), names.several("bin", order)
        parts = [
            f"Put each of these {names.all('item')} in one of {bins}. A {one} is used if there is at least one"
            f" {names.word('item')} in it.",
            names.table("item", dict(zip(d.terms, d.size, strict=True))),
        ]
        if len(d.offered) > 1:
            types = names.listed("type", len(d.offered))
            own = {t: ", ".join(names.label("bin", j) for j in order if type_of[j] == t) for t in types}
            rows = [(names.label("type", t), own[t], *d.cost[t:][:1]) for t in types]
            header = [names.word("type"), names.all("bin"), *([names.word("cost")] if d.cost else [])]
            parts += [f"The {names.all('bin')} are of {len(types)} {names.all('type')}.", table(header, rows)]
        return "\n\n".join(parts)

    def famous(self) -> Sequence[Famous[BinPackingData]]:
        return FAMOUS

    def perturb(self, d: BinPackingData, stream: Stream) -> BinPackingData:
        """Make the bins smaller and change some sizes a little."""
        capacity = d.capacity[0][0] * stream("capacity").integer(70, 92) // 100
        changed = stream("items").sample(range(len(d.size[0])), 3)
        size = tuple(
            min(capacity, max(1, one + stream(f"size {i}").choice((-3, -2, -1, 1, 2, 3)) * (i in changed)))
            for i, one in enumerate(d.size[0])
        )
        return replace(d, size=(size,), capacity=((capacity,),))

    def sketch(self, instance: Instance) -> Panels:
        """Return the bins with their items end to end, once for each dimension, and the capacity."""
        d: BinPackingData = instance.data  # type: ignore[assignment]
        names, packing = instance.names, instance.answer
        items, bins = names.listed("item", len(d.size[0])), names.listed("bin", sum(d.offered))
        fragile = d.fragile if "fragile" in instance.modules else ()
        held = {j: [i for i in items if packing[i] == j] for j in bins}
        parts = []
        for term, size, capacity in zip(d.terms, d.size, d.capacity, strict=True):
            loads = [
                [(names.label("item", i), size[i], "fragile" if i in fragile else "") for i in held[j]] for j in bins
            ]
            rows = stacked([names.one("bin", j) for j in bins], loads, f"{names.word(term)}; line: at most")
            parts.append(limited(rows, [capacity[d.type_of[j]] for j in bins]))
        return Panels(tuple(parts))
