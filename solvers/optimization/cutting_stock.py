"""Cutting stock with rolls of several widths (Gilmore and Gomory 1961): pieces of given widths from cheap rolls.

The core is the textbook problem, with a cost for each type of roll; where rolls have no cost, they are counted.
Modules: ``knife_limit`` (pieces cut from a roll), ``mix_limit`` (different products of a roll), ``trim_limit``
(what is left of a roll that is used), ``overrun`` (pieces cut beyond the demand), ``incompatible`` (two products not
from one roll), ``max_rolls`` and ``stock_limit`` (rolls used, of all types and of one).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import combinations, pairwise
from typing import TYPE_CHECKING, Any, ClassVar

from solvers.constrained import Fits, Optimization
from solvers.keys import Stream
from solvers.names import Costume, Names, sentence, table
from solvers.problem import Constraint, Data, Famous, Instance, Knobs, Objective, ladder
from solvers.shapes import GridOf, Partial
from solvers.sketches import Panels, limited, stacked

if TYPE_CHECKING:
    from ortools.sat.python import cp_model

Pair = tuple[int, int]
Plan = Partial[Pair, int]  # roll, product -> pieces


@dataclass(frozen=True, kw_only=True)
class CuttingStockKnobs(Knobs):
    products: int
    filled: int  # rolls that a plan hidden in the data cuts
    types: int
    spare: int  # rolls of each type offered beyond these
    limited: int  # types of which no more than these may be used
    incompatible: int


@dataclass(frozen=True)
class CuttingStockData(Data):
    piece: tuple[int, ...]  # width, by product
    demand: tuple[int, ...]  # pieces, by product
    width: tuple[int, ...]  # of a roll, by type
    offered: tuple[int, ...]  # rolls, by type; they are numbered type by type
    cost: tuple[int, ...] = ()  # of a roll, by type; none: the rolls used are counted
    knives: int = 0  # pieces of a roll
    mixed: int = 0  # products cut from a roll
    trim: int = 0  # width left of a roll used
    over: int = 0  # pieces of a product beyond its demand
    incompatible: tuple[Pair, ...] = ()
    most: int = 0  # rolls used
    limited: tuple[Pair, ...] = ()  # (type, rolls of it used)

    @property
    def type_of(self) -> tuple[int, ...]:
        """The type of each roll."""
        return tuple(t for t, count in enumerate(self.offered) for _ in range(count))


class Cuts(dict[Pair, "cp_model.IntVar"]):
    """The solver's variables: ``x[i, j]`` pieces of product j from roll i; whether any, made when asked for.

    ``free``: nothing has fixed them to an answer.
    """

    free = True

    def __init__(self, model: "cp_model.CpModel", pieces: Mapping[Pair, "cp_model.IntVar"]) -> None:
        super().__init__(pieces)
        self._model = model
        self._some: dict[tuple[Pair, ...], cp_model.IntVar] = {}

    def some(self, cells: Sequence[Pair]) -> "cp_model.IntVar":
        """Return the variable that says whether there is a piece in some of these cells."""
        key = tuple(cells)
        if key not in self._some:
            self._some[key] = some = self._model.new_bool_var(f"some{key}")
            total = sum(self[cell] for cell in key)
            self._model.add(total >= 1).only_enforce_if(some)
            self._model.add(total == 0).only_enforce_if(~some)
        return self._some[key]

    def used(self, i: int) -> "cp_model.IntVar":
        """Return the variable that says whether roll ``i`` is used."""
        return self.some([cell for cell in self if cell[0] == i])

    def order(self, alike: Sequence[Pair], products: int) -> None:
        """Order rolls that every rule treats alike, so that no plan is searched twice: of each pair, the first has no
        fewer pieces, a product's pieces counting more than those of the products before."""
        if self.free:
            for first, second in alike:
                more, less = (sum((j + 1) * self[i, j] for j in range(products)) for i in (first, second))
                self._model.add(more >= less)


@dataclass(frozen=True)
class Rolls(GridOf):
    def variables(self, model: "cp_model.CpModel") -> Cuts:
        return Cuts(model, super().variables(model))

    def fix(self, model: "cp_model.CpModel", x: Any, answer: Plan) -> None:
        super().fix(model, x, answer)
        x.free = False


def uses(answer: Plan, roll: int, products: int) -> bool:
    """Return whether any piece is cut from a roll."""
    return any(answer[roll, j] > 0 for j in range(products))


@dataclass(frozen=True)
class Demand(Constraint[Plan, Cuts]):
    """The limit stands in the table of products."""

    kind: ClassVar[str] = "demand"
    constraint_class: ClassVar[str] = "balance"
    hereditary: ClassVar[bool] = False
    product: int
    rolls: int
    limit: int

    def say(self, names: Names) -> str:
        pieces, product = names.all("piece"), names.word("product")
        return f"The number of {pieces} of any one {product} that are cut is at least its {names.word('demand')}."

    def check(self, answer: Plan) -> int:
        return sum(answer[i, self.product] for i in range(self.rolls)) - self.limit

    def post(self, model: "cp_model.CpModel", x: Cuts) -> None:
        model.add(sum(x[i, self.product] for i in range(self.rolls)) >= self.limit)


@dataclass(frozen=True)
class RollWidth(Constraint[Plan, Cuts]):
    """The limit stands in the table of types."""

    kind: ClassVar[str] = "roll_width"
    constraint_class: ClassVar[str] = "capacity"
    roll: int
    piece: tuple[int, ...]
    limit: int

    def say(self, names: Names) -> str:
        roll, width = names.word("roll"), names.word("width")
        return (
            f"The total {width} of the {names.all('piece')} cut from any one {roll} is at most the {width} of the"
            f" {roll}."
        )

    def check(self, answer: Plan) -> int:
        return self.limit - sum(width * answer[self.roll, j] for j, width in enumerate(self.piece))

    def post(self, model: "cp_model.CpModel", x: Cuts) -> None:
        load = sum(width * x[self.roll, j] for j, width in enumerate(self.piece))
        model.add(load <= self.limit)
        if self.limit >= 0:  # implied, and what makes the bound on the cost strong
            model.add(load <= self.limit * x.used(self.roll))


@dataclass(frozen=True)
class KnifeLimit(Constraint[Plan, Cuts]):
    kind: ClassVar[str] = "knife_limit"
    constraint_class: ClassVar[str] = "capacity"
    roll: int
    products: int
    limit: int

    def say(self, names: Names) -> str:
        return f"The number of {names.all('piece')} cut from any one {names.word('roll')} is at most {self.limit}."

    def check(self, answer: Plan) -> int:
        return self.limit - sum(answer[self.roll, j] for j in range(self.products))

    def post(self, model: "cp_model.CpModel", x: Cuts) -> None:
        model.add(sum(x[self.roll, j] for j in range(self.products)) <= self.limit)


@dataclass(frozen=True)
class MixLimit(Constraint[Plan, Cuts]):
    kind: ClassVar[str] = "mix_limit"
    constraint_class: ClassVar[str] = "logical"
    roll: int
    products: int
    limit: int

    def say(self, names: Names) -> str:
        return (
            f"The number of different {names.all('product')} of which {names.all('piece')} are cut from any one"
            f" {names.word('roll')} is at most {self.limit}."
        )

    def check(self, answer: Plan) -> int:
        return self.limit - sum(answer[self.roll, j] > 0 for j in range(self.products))

    def post(self, model: "cp_model.CpModel", x: Cuts) -> None:
        model.add(sum(x.some([(self.roll, j)]) for j in range(self.products)) <= self.limit)


@dataclass(frozen=True)
class TrimLimit(Constraint[Plan, Cuts]):
    """Nothing is trimmed from a roll that is not used."""

    kind: ClassVar[str] = "trim_limit"
    constraint_class: ClassVar[str] = "balance"
    hereditary: ClassVar[bool] = False
    roll: int
    piece: tuple[int, ...]
    width: int
    limit: int

    def say(self, names: Names) -> str:
        roll, width, pieces = names.word("roll"), names.word("width"), names.all("piece")
        return (
            f"Of any {roll} that is used, the {width} minus the total {width} of the {pieces} cut from it is at most"
            f" {self.limit}."
        )

    def check(self, answer: Plan) -> int:
        if not uses(answer, self.roll, len(self.piece)):
            return self.limit
        return self.limit - self.width + sum(width * answer[self.roll, j] for j, width in enumerate(self.piece))

    def vacuous(self, answer: Plan) -> bool:
        return all(answer.get((self.roll, j)) == 0 for j in range(len(self.piece)))

    def post(self, model: "cp_model.CpModel", x: Cuts) -> None:
        load = sum(width * x[self.roll, j] for j, width in enumerate(self.piece))
        model.add(self.width * x.used(self.roll) - load <= self.limit)


@dataclass(frozen=True)
class Overrun(Constraint[Plan, Cuts]):
    kind: ClassVar[str] = "overrun"
    constraint_class: ClassVar[str] = "capacity"
    product: int
    rolls: int
    demand: int
    limit: int

    def say(self, names: Names) -> str:
        pieces, product, demand = names.all("piece"), names.word("product"), names.word("demand")
        return f"The number of {pieces} of any one {product} that are cut is at most its {demand} plus {self.limit}."

    def check(self, answer: Plan) -> int:
        return self.limit + self.demand - sum(answer[i, self.product] for i in range(self.rolls))

    def post(self, model: "cp_model.CpModel", x: Cuts) -> None:
        model.add(sum(x[i, self.product] for i in range(self.rolls)) - self.demand <= self.limit)


@dataclass(frozen=True)
class Incompatible(Constraint[Plan, Cuts]):
    """The slack is 0, or minus the number of rolls with pieces of both."""

    kind: ClassVar[str] = "incompatible"
    constraint_class: ClassVar[str] = "logical"
    pair: Pair
    rolls: int

    def say(self, names: Names) -> str:
        products, pieces = names.several("product", self.pair), names.all("piece")
        return f"{sentence(pieces)} of {products} are not cut from the same {names.word('roll')}."

    def check(self, answer: Plan) -> int:
        return -sum(all(answer[i, j] > 0 for j in self.pair) for i in range(self.rolls))

    def post(self, model: "cp_model.CpModel", x: Cuts) -> None:
        for i in range(self.rolls):
            model.add_at_most_one(x.some([(i, j)]) for j in self.pair)


@dataclass(frozen=True)
class MaxRolls(Constraint[Plan, Cuts]):
    kind: ClassVar[str] = "max_rolls"
    constraint_class: ClassVar[str] = "capacity"
    rolls: int
    products: int
    limit: int

    def say(self, names: Names) -> str:
        return f"The number of {names.all('roll')} that are used is at most {self.limit}."

    def check(self, answer: Plan) -> int:
        return self.limit - sum(uses(answer, i, self.products) for i in range(self.rolls))

    def post(self, model: "cp_model.CpModel", x: Cuts) -> None:
        model.add(sum(x.used(i) for i in range(self.rolls)) <= self.limit)


@dataclass(frozen=True)
class StockLimit(Constraint[Plan, Cuts]):
    kind: ClassVar[str] = "stock_limit"
    constraint_class: ClassVar[str] = "capacity"
    type: int
    rolls: tuple[int, ...]  # those of the type
    products: int
    limit: int

    def say(self, names: Names) -> str:
        of = names.one("type", self.type)
        return f"The number of {names.all('roll')} of {of} that are used is at most {self.limit}."

    def check(self, answer: Plan) -> int:
        return self.limit - sum(uses(answer, i, self.products) for i in self.rolls)

    def post(self, model: "cp_model.CpModel", x: Cuts) -> None:
        model.add(sum(x.used(i) for i in self.rolls) <= self.limit)


@dataclass(frozen=True)
class Price(Objective[Plan, Cuts]):
    """What the rolls used cost; ``counted``: each costs 1, and the text speaks of their number.

    ``alike``: pairs of neighbouring rolls of one type.
    """

    direction: ClassVar[Any] = "min"
    products: int
    cost: tuple[int, ...]  # by roll
    counted: bool
    alike: tuple[Pair, ...]

    def noun(self, names: Names) -> str:
        rolls = names.all("roll")
        return f"the number of {rolls} used" if self.counted else f"the total {names.word('cost')} of the {rolls} used"

    def of(self, answer: Plan) -> int:
        return sum(cost for i, cost in enumerate(self.cost) if uses(answer, i, self.products))

    def post(self, model: "cp_model.CpModel", x: Cuts) -> Any:
        x.order(self.alike, self.products)
        return sum(cost * x.used(i) for i, cost in enumerate(self.cost))


@dataclass(frozen=True)
class PriceSaved(Price):
    """The mirror of the price: what the rolls left whole would cost."""

    direction: ClassVar[Any] = "max"

    def noun(self, names: Names) -> str:
        of = f"of the {names.all('roll')} that are not used"
        return f"the number {of}" if self.counted else f"the total {names.word('cost')} {of}"

    def of(self, answer: Plan) -> int:
        return sum(0 if uses(answer, i, self.products) else cost for i, cost in enumerate(self.cost))

    def post(self, model: "cp_model.CpModel", x: Cuts) -> Any:
        x.order(self.alike, self.products)
        return sum(cost * (1 - x.used(i)) for i, cost in enumerate(self.cost))


FAMOUS = (
    Famous(
        "cutstock",
        "s",
        CuttingStockData(piece=(7, 5, 3), demand=(2, 2, 4), width=(10,), offered=(8,)),
        4,
        "Puchinger 2007, cutstock.mzn of the MiniZinc benchmarks",
    ),
)
COSTUMES = (
    Costume(
        "A sawmill cuts boards to length from the logs in its yard.",
        {
            "roll": ("log", "logs"),
            "piece": ("board", "boards"),
            "product": ("format", "formats"),
            "type": ("grade", "grades"),
            "width": ("length", "lengths"),
            "cost": ("price", "prices"),
        },
    ),
    Costume(
        "A shipyard takes its ropes from drums.",
        {
            "roll": ("drum", "drums"),
            "piece": ("rope", "ropes"),
            "product": ("sort", "sorts"),
            "type": ("make", "makes"),
            "width": ("length", "lengths"),
            "cost": ("value", "values"),
        },
    ),
    Costume(
        "A glazier cuts panes from long strips of glass.",
        {
            "roll": ("strip", "strips"),
            "piece": ("pane", "panes"),
            "product": ("window", "windows"),
            "type": ("batch", "batches"),
            "width": ("breadth", "breadths"),
            "cost": ("fee", "fees"),
        },
    ),
)


class CuttingStock(Optimization[CuttingStockData, Plan, Cuts]):
    name: ClassVar[str] = "cutting_stock"
    version: ClassVar[int] = 1
    title: ClassVar[str] = "Cutting stock"
    data = CuttingStockData
    sizes: ClassVar[Any] = ladder(
        CuttingStockKnobs,
        products=(3, 4, 5, 6, 7),
        filled=(2, 3, 4, 5, 5),
        types=(2, 2, 3, 3, 3),
        spare=1,
        limited=(1, 1, 2, 2, 2),
        incompatible=(1, 1, 2, 3, 4),
    )
    core_kinds: ClassVar[tuple[str, ...]] = ("demand", "roll_width")
    modules: ClassVar[Any] = {
        "knife_limit": lambda d: [KnifeLimit(i, len(d.piece), d.knives) for i in range(sum(d.offered))],
        "mix_limit": lambda d: [MixLimit(i, len(d.piece), d.mixed) for i in range(sum(d.offered))],
        "trim_limit": lambda d: [TrimLimit(i, d.piece, d.width[t], d.trim) for i, t in enumerate(d.type_of)],
        "overrun": lambda d: [Overrun(j, sum(d.offered), demand, d.over) for j, demand in enumerate(d.demand)],
        "incompatible": lambda d: [Incompatible(pair, sum(d.offered)) for pair in d.incompatible],
        "max_rolls": lambda d: [MaxRolls(sum(d.offered), len(d.piece), d.most)],
        "stock_limit": lambda d: [
            StockLimit(t, tuple(i for i, other in enumerate(d.type_of) if other == t), len(d.piece), limit)
            for t, limit in d.limited
        ],
    }
    target_share: ClassVar[Fraction] = Fraction(105, 100)
    costumes = COSTUMES

    def draw(self, knobs: CuttingStockKnobs, stream: Stream) -> CuttingStockData:
        """Hide a plan in the data that meets every rule; rolls are as wide as it needs, a little wider where types
        differ."""
        n, k = knobs.products, knobs.filled
        piece = tuple(stream("piece").sample(range(14, 52), n))
        apart = stream("apart").sample(
            [(a, b) for a, b in combinations(range(n), 2) if (b - a) % k], knobs.incompatible
        )
        nominal = stream("nominal").integers(k, 95, 150)
        plan = [self.pattern(stream(f"roll {i}"), piece, range(i % n, n, k), nominal[i], apart) for i in range(k)]
        held = [sum(many * width for many, width in zip(row, piece, strict=True)) for row in plan]
        # Types by width: each fits some of the hidden rolls, the fullest of them closely.
        order = sorted(range(k), key=held.__getitem__)
        cuts = [k * t // knobs.types for t in range(knobs.types + 1)]
        groups = [order[a:b] for a, b in pairwise(cuts)]
        room = stream("room").integers(knobs.types, 0, 4)
        width = [max(held[i] for i in group) + more for group, more in zip(groups, room, strict=True)]
        rate = [60 + 20 * t + more for t, more in enumerate(stream("rate").integers(knobs.types, 0, 20))]
        kinds = stream("types").shuffled(range(knobs.types))
        place = {t: s for s, t in enumerate(kinds)}
        limited_ = stream("limited").sample(range(1, knobs.types), min(knobs.limited, knobs.types - 1))
        return CuttingStockData(
            piece=piece,
            demand=tuple(map(sum, zip(*plan, strict=True))),
            width=tuple(width[t] for t in kinds),
            offered=tuple(len(groups[t]) + knobs.spare + (t == 0) for t in kinds),
            cost=tuple(width[t] * rate[t] // 100 for t in kinds),
            knives=max(map(sum, plan)),
            mixed=max(sum(many > 0 for many in row) for row in plan),
            trim=max(width[t] - held[i] for t, group in enumerate(groups) for i in group),
            over=stream("over").integer(1, 2),
            incompatible=tuple(sorted(apart)),
            most=k,
            limited=tuple(sorted((place[t], len(groups[t])) for t in limited_)),
        )

    def pattern(
        self, stream: Stream, piece: Sequence[int], first: Sequence[int], width: int, apart: Sequence[Pair]
    ) -> list[int]:
        """Return how many pieces of each product are cut from a roll: one of each of ``first``, then what fits of up to
        three products."""
        row, own = [0] * len(piece), list(first)
        for j in own:
            row[j] = 1
        for j in stream("others").shuffled(range(len(piece))):
            if len(own) < 3 and j not in own and not any({j, other} == set(pair) for other in own for pair in apart):
                own.append(j)
        left = width - sum(piece[j] for j in first)
        draws = stream("pieces")
        while fitting := [j for j in own if piece[j] <= left]:
            j = draws.choice(fitting)
            row[j] += 1
            left -= piece[j]
        return row

    def form(self, d: CuttingStockData) -> Any:
        return Rolls("roll", "product", tuple(tuple(d.width[t] // one for one in d.piece) for t in d.type_of))

    def core(self, d: CuttingStockData) -> list[Constraint[Plan, Cuts]]:
        return [
            *(Demand(j, sum(d.offered), demand) for j, demand in enumerate(d.demand)),
            *(RollWidth(i, d.piece, d.width[t]) for i, t in enumerate(d.type_of)),
        ]

    def prices(self, d: CuttingStockData) -> tuple[int, tuple[int, ...], bool, tuple[Pair, ...]]:
        """Return the fields of the objective."""
        alike = tuple((i, i + 1) for i, (t, other) in enumerate(pairwise(d.type_of)) if t == other)
        return len(d.piece), tuple(d.cost[t] if d.cost else 1 for t in d.type_of), not d.cost, alike

    def objective(self, d: CuttingStockData) -> Price:
        return Price(*self.prices(d))

    def inverted(self, d: CuttingStockData) -> PriceSaved:
        return PriceSaved(*self.prices(d))

    def greedy(self, d: CuttingStockData, fits: Fits[Plan]) -> Plan:
        """First fit decreasing: the widest pieces first, each from the first roll that it fits, cheap rolls first."""
        cost, type_of = self.prices(d)[1], d.type_of
        rolls = sorted(range(len(cost)), key=lambda i: Fraction(cost[i], d.width[type_of[i]]))
        answer: Plan = Partial({(i, j): 0 for i in rolls for j in range(len(d.piece))})
        for j in sorted(range(len(d.piece)), key=lambda j: -d.piece[j]):
            for _ in range(d.demand[j]):
                further = (Partial({**answer, (i, j): answer[i, j] + 1}) for i in rolls)
                answer = next(filter(fits, further), answer)
        return answer

    def entities(self, d: CuttingStockData) -> Mapping[str, int]:
        types = {"type": len(d.offered)} if len(d.offered) > 1 else {}
        return {"product": len(d.piece), "roll": sum(d.offered), **types}

    def intro(self, d: CuttingStockData, names: Names) -> str:
        count, type_of = sum(d.offered), d.type_of
        order = names.listed("roll", count)
        roll, piece, width = (names.word(term) for term in ("roll", "piece", "width"))
        parts = [
            f"Cut {names.all('piece')} of these {names.all('product')} from {names.several('roll', order)}: decide how"
            f" many {names.all('piece')} of each {names.word('product')} are cut from each {roll}. A {roll} is used if"
            f" at least one {piece} is cut from it. The {width} of a {names.word('product')} is that of each of"
            f" its {names.all('piece')}, its {names.word('demand')} is a number of {names.all('piece')}.",
            names.table("product", {"width": d.piece, "demand": d.demand}),
        ]
        if len(d.offered) > 1:
            rows = [
                (
                    names.label("type", t),
                    ", ".join(names.label("roll", i) for i in order if type_of[i] == t),
                    d.width[t],
                    *d.cost[t : t + 1],
                )
                for t in names.listed("type", len(d.offered))
            ]
            header = [names.word("type"), names.all("roll"), width, *([names.word("cost")] if d.cost else [])]
            parts += [f"The {names.all('roll')} are of {len(rows)} {names.all('type')}.", table(header, rows)]
        else:
            parts.append(f"Each {roll} has a {width} of {d.width[0]}.")
        return "\n\n".join(parts)

    def famous(self) -> Sequence[Famous[CuttingStockData]]:
        return FAMOUS

    def perturb(self, d: CuttingStockData, stream: Stream) -> CuttingStockData:
        """Change the width of the rolls and some of the pieces' widths; each piece still fits some roll."""
        width = max(d.piece) + stream("width").integer(0, 6)
        piece = tuple(max(1, one + stream(f"piece {j}").integer(-1, 1)) for j, one in enumerate(d.piece))
        return replace(d, width=(max(width, *piece),), piece=piece)

    def sketch(self, instance: Instance) -> Panels:
        """Return the rolls with their pieces side by side, and their widths."""
        d: CuttingStockData = instance.data  # type: ignore[assignment]
        names, answer = instance.names, instance.answer
        products, rolls = names.listed("product", len(d.piece)), names.listed("roll", sum(d.offered))
        loads = [
            [
                (names.label("product", j), d.piece[j], names.one("product", j))
                for j in products
                for _ in range(answer[i, j])
            ]
            for i in rolls
        ]
        rows = stacked([names.one("roll", i) for i in rolls], loads, f"{names.word('width')}; line: at most")
        return Panels((limited(rows, [d.width[d.type_of[i]] for i in rolls]),))
