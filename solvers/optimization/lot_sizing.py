"""Capacitated lot sizing of several products over periods (Pochet and Wolsey 2006; Wagner and Whitin 1958).

Modules: ``min_lot`` (a lot is nothing or at least so many), ``storage_limit``, ``end_stock``, ``max_setups`` (products
that a period makes) and ``shelf_life``.
"""

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import accumulate
from typing import TYPE_CHECKING, Any, ClassVar

from solvers.constrained import Fits, Optimization
from solvers.keys import Stream
from solvers.names import Names
from solvers.problem import Constraint, Data, Famous, Instance, Knobs, Objective, ladder
from solvers.shapes import GridOf, Partial
from solvers.sketches import Bars, grid

if TYPE_CHECKING:
    from ortools.sat.python import cp_model

Plan = Partial[tuple[int, int], int]  # (product, period) -> units
Pairs = tuple[tuple[int, int], ...]
Matrix = tuple[tuple[int, ...], ...]


@dataclass(frozen=True, kw_only=True)
class LotSizingKnobs(Knobs):
    products: int
    periods: int
    setups: int  # products that the plan hidden in the data makes in a period, at most
    lots: int  # products with a least lot
    ends: int  # products of which stock is left at the end; the others may spoil


@dataclass(frozen=True)
class LotSizingData(Data):
    demand: Matrix  # by product, by period
    setup: Matrix  # cost, by product, by period
    price: Matrix  # cost of a unit made, by product, by period; empty: nothing
    holding: tuple[int, ...]  # cost of a unit in stock at the end of a period, by product
    hours: tuple[int, ...]  # of a unit made, by product
    opening: tuple[int, ...]  # stock, by product
    capacity: tuple[int, ...]  # hours, by period
    lots: Pairs  # (product, least units if any)
    storage: int
    ends: Pairs  # (product, least stock at the end)
    setups: int
    keeps: Pairs  # (product, periods)

    def needed(self, product: int, periods: int) -> int:
        """Return how much of a product must be made to meet the demand of the first periods."""
        return sum(self.demand[product][:periods]) - self.opening[product]


@dataclass(frozen=True)
class Demand(Constraint[Plan, "dict[tuple[int, int], cp_model.IntVar]"]):
    """``limit``: what must be made by the end of the period; the slack is the stock."""

    kind: ClassVar[str] = "demand"
    constraint_class: ClassVar[str] = "balance"
    hereditary: ClassVar[bool] = False
    product: int
    period: int
    limit: int

    def say(self, names: Names) -> str:
        return f"The stock of every {names.word('product')} at the end of every {names.word('period')} is not negative."

    def check(self, answer: Plan) -> int:
        return sum(answer[self.product, t] for t in range(self.period + 1)) - self.limit

    def post(self, model: "cp_model.CpModel", x: "dict[tuple[int, int], cp_model.IntVar]") -> None:
        model.add(sum(x[self.product, t] for t in range(self.period + 1)) >= self.limit)


@dataclass(frozen=True)
class Capacity(Constraint[Plan, "dict[tuple[int, int], cp_model.IntVar]"]):
    kind: ClassVar[str] = "capacity"
    constraint_class: ClassVar[str] = "capacity"
    period: int
    hours: tuple[int, ...]
    limit: int

    def say(self, names: Names) -> str:
        return f"Production takes at most {self.limit} {names.word('hours')} in {names.one('period', self.period)}."

    def check(self, answer: Plan) -> int:
        return self.limit - sum(hours * answer[i, self.period] for i, hours in enumerate(self.hours))

    def post(self, model: "cp_model.CpModel", x: "dict[tuple[int, int], cp_model.IntVar]") -> None:
        model.add(sum(hours * x[i, self.period] for i, hours in enumerate(self.hours)) <= self.limit)


@dataclass(frozen=True)
class MinLot(Constraint[Plan, "dict[tuple[int, int], cp_model.IntVar]"]):
    kind: ClassVar[str] = "min_lot"
    constraint_class: ClassVar[str] = "logical"
    hereditary: ClassVar[bool] = False
    product: int
    period: int
    least: int

    def say(self, names: Names) -> str:
        product, period = names.one("product", self.product), names.word("period")
        return f"In every {period} the units made of {product} are either 0 or at least {self.least}."

    def check(self, answer: Plan) -> int:
        lot = answer[self.product, self.period]
        return lot - self.least if lot else 0

    def vacuous(self, answer: Plan) -> bool:
        return answer.get((self.product, self.period)) == 0

    def post(self, model: "cp_model.CpModel", x: "dict[tuple[int, int], cp_model.IntVar]") -> None:
        none = model.new_bool_var("none")
        model.add(x[self.product, self.period] == 0).only_enforce_if(none)
        model.add(x[self.product, self.period] >= self.least).only_enforce_if(~none)


@dataclass(frozen=True)
class StorageLimit(Constraint[Plan, "dict[tuple[int, int], cp_model.IntVar]"]):
    """``needed``: what all products together need by the end of the period, so that their stock is 0."""

    kind: ClassVar[str] = "storage_limit"
    constraint_class: ClassVar[str] = "capacity"
    period: int
    products: int
    needed: int
    limit: int

    def say(self, names: Names) -> str:
        products, period = names.all("product"), names.word("period")
        return f"The stock of all {products} together at the end of every {period} is at most {self.limit}."

    def check(self, answer: Plan) -> int:
        made = sum(answer[i, t] for i in range(self.products) for t in range(self.period + 1))
        return self.limit - (made - self.needed)

    def post(self, model: "cp_model.CpModel", x: "dict[tuple[int, int], cp_model.IntVar]") -> None:
        made = sum(x[i, t] for i in range(self.products) for t in range(self.period + 1))
        model.add(made <= self.limit + self.needed)


@dataclass(frozen=True)
class EndStock(Constraint[Plan, "dict[tuple[int, int], cp_model.IntVar]"]):
    """``needed``: what must be made of the product to meet all demand."""

    kind: ClassVar[str] = "end_stock"
    constraint_class: ClassVar[str] = "balance"
    hereditary: ClassVar[bool] = False
    product: int
    periods: int
    needed: int
    limit: int

    def say(self, names: Names) -> str:
        product, period = names.one("product", self.product), names.word("period")
        return f"The stock of {product} at the end of the last {period} is at least {self.limit}."

    def check(self, answer: Plan) -> int:
        return sum(answer[self.product, t] for t in range(self.periods)) - self.needed - self.limit

    def post(self, model: "cp_model.CpModel", x: "dict[tuple[int, int], cp_model.IntVar]") -> None:
        model.add(sum(x[self.product, t] for t in range(self.periods)) >= self.needed + self.limit)


@dataclass(frozen=True)
class MaxSetups(Constraint[Plan, "dict[tuple[int, int], cp_model.IntVar]"]):
    kind: ClassVar[str] = "max_setups"
    constraint_class: ClassVar[str] = "structure"
    period: int
    products: int
    limit: int

    def say(self, names: Names) -> str:
        return f"In every {names.word('period')} at most {self.limit} different {names.all('product')} are made."

    def check(self, answer: Plan) -> int:
        return self.limit - sum(answer[i, self.period] > 0 for i in range(self.products))

    def post(self, model: "cp_model.CpModel", x: "dict[tuple[int, int], cp_model.IntVar]") -> None:
        made = [model.new_bool_var(f"made{i}") for i in range(self.products)]
        for i, variable in enumerate(made):
            model.add(x[i, self.period] == 0).only_enforce_if(~variable)
        model.add(sum(made) <= self.limit)


@dataclass(frozen=True)
class ShelfLife(Constraint[Plan, "dict[tuple[int, int], cp_model.IntVar]"]):
    """``limit``: the demand of the periods that the product keeps for; ``needed``: so much made leaves no stock."""

    kind: ClassVar[str] = "shelf_life"
    constraint_class: ClassVar[str] = "temporal"
    product: int
    period: int
    keeps: int
    needed: int
    limit: int

    def say(self, names: Names) -> str:
        product, period = names.one("product", self.product), names.word("period")
        following = f"{self.keeps} {names.all('period')} that follow" if self.keeps > 1 else f"{period} that follows"
        return (
            f"The stock of {product} at the end of every {period} but the last is at most its demand in the"
            f" {following}, or in as many of them as there are."
        )

    def check(self, answer: Plan) -> int:
        stock = sum(answer[self.product, t] for t in range(self.period + 1)) - self.needed
        return self.limit - stock

    def post(self, model: "cp_model.CpModel", x: "dict[tuple[int, int], cp_model.IntVar]") -> None:
        model.add(sum(x[self.product, t] for t in range(self.period + 1)) <= self.needed + self.limit)


@dataclass(frozen=True)
class TotalCost(Objective[Plan, "dict[tuple[int, int], cp_model.IntVar]"]):
    direction: ClassVar[Any] = "min"
    demand: Matrix
    setup: Matrix
    price: Matrix
    holding: tuple[int, ...]
    opening: tuple[int, ...]

    def noun(self, names: Names) -> str:
        unit = ", unit" if self.price else ""
        return f"the total of all set-up{unit} and {names.all('holding cost')}"

    def of(self, answer: Plan) -> int:
        total = 0
        for i, row in enumerate(self.demand):
            stock = self.opening[i]
            for t, sold in enumerate(row):
                lot = answer[i, t]
                stock += lot - sold
                total += self.holding[i] * stock + (self.setup[i][t] if lot else 0)
                total += self.price[i][t] * lot if self.price else 0
        return total

    def post(self, model: "cp_model.CpModel", x: "dict[tuple[int, int], cp_model.IntVar]") -> Any:
        periods = len(self.demand[0])
        terms: list[Any] = []
        for (i, t), lot in x.items():
            made = model.new_bool_var(f"made{i},{t}")
            model.add(lot == 0).only_enforce_if(~made)
            # A unit made in period t is in stock at the end of it and of all that follow.
            unit = self.holding[i] * (periods - t) + (self.price[i][t] if self.price else 0)
            terms += [self.setup[i][t] * made, unit * lot]
        sold = sum(
            holding * (periods * opening - sum(accumulate(row)))
            for holding, opening, row in zip(self.holding, self.opening, self.demand, strict=True)
        )
        return sum(terms) + sold


def uncapacitated(demand: tuple[int, ...], setup: tuple[int, ...], holding: int) -> LotSizingData:
    """Return a single product's problem in which any period could make all."""
    return LotSizingData(
        demand=(demand,),
        setup=(setup,),
        price=(),
        holding=(holding,),
        hours=(1,),
        opening=(0,),
        capacity=(sum(demand),) * len(demand),
        lots=(),
        storage=0,
        ends=(),
        setups=1,
        keeps=(),
    )


def largest(fits: Fits[Plan], plan: Plan, cell: tuple[int, int], wanted: int) -> int:
    """Return the largest lot up to what is wanted that fits: if one does not fit, no larger one does."""
    return bisect_left(range(1, wanted + 1), True, key=lambda lot: not fits(Partial({**plan, cell: lot})))


FAMOUS = (
    Famous(
        "Wagner-Whitin",
        "s",
        uncapacitated(
            (69, 29, 36, 61, 61, 26, 34, 67, 45, 67, 79, 56),
            (85, 102, 102, 101, 98, 114, 105, 86, 119, 110, 98, 114),
            1,
        ),
        864,
        "Wagner and Whitin, Dynamic version of the economic lot size model, Management Science 5, 1958",
    ),
)


class LotSizing(Optimization[LotSizingData, Plan, "dict[tuple[int, int], cp_model.IntVar]"]):
    name: ClassVar[str] = "lot_sizing"
    version: ClassVar[int] = 1
    title: ClassVar[str] = "Lot sizing"
    data = LotSizingData
    sizes: ClassVar[Any] = ladder(
        LotSizingKnobs,
        products=(2, 2, 3, 4, 4),
        periods=(3, 5, 6, 6, 7),
        setups=(1, 1, 2, 3, 3),
        lots=(1, 1, 2, 2, 3),
        ends=(1, 1, 2, 2, 2),
    )
    core_kinds: ClassVar[tuple[str, ...]] = ("demand", "capacity")
    modules: ClassVar[Any] = {
        "min_lot": lambda d: [MinLot(i, t, least) for i, least in d.lots for t in range(len(d.capacity))],
        "storage_limit": lambda d: [
            StorageLimit(t, len(d.demand), sum(d.needed(i, t + 1) for i in range(len(d.demand))), d.storage)
            for t in range(len(d.capacity))
        ],
        "end_stock": lambda d: [
            EndStock(i, len(d.capacity), d.needed(i, len(d.capacity)), least) for i, least in d.ends
        ],
        "max_setups": lambda d: [MaxSetups(t, len(d.demand), d.setups) for t in range(len(d.capacity))],
        "shelf_life": lambda d: [
            ShelfLife(i, t, keeps, d.needed(i, t + 1), sum(d.demand[i][t + 1 : t + 1 + keeps]))
            for i, keeps in d.keeps
            for t in range(len(d.capacity) - 1)
        ],
    }
    target_share: ClassVar[Fraction] = Fraction(105, 100)

    def draw(self, knobs: LotSizingKnobs, stream: Stream) -> LotSizingData:
        """Hide a plan in the data that makes few products in a period; rules touch it."""
        n, periods = knobs.products, knobs.periods
        demand = stream("demand").matrix(n, periods, 6, 20)
        hours = stream("hours").integers(n, 1, 2)
        base = stream("setup").integers(n, 20, 55)
        swing = stream("swing").matrix(n, periods, 80, 120)
        made = [
            {t % n, *stream(f"made {t}").sample([i for i in range(n) if i != t % n], knobs.setups - 1)}
            for t in range(periods)
        ]
        ends = sorted(stream("end").sample(range(n), knobs.ends))
        left = dict(zip(ends, stream("left").integers(knobs.ends, 3, 12), strict=True))
        lot = [[0] * periods for _ in range(n)]
        opening, keeps = [0] * n, [1] * n
        for i in range(n):
            starts = [t for t in range(periods) if i in made[t]]
            opening[i] = sum(demand[i][: starts[0]])
            spans = list(zip(starts, [*starts[1:], periods], strict=True))
            for start, end in spans:
                lot[i][start] = sum(demand[i][start:end])
            lot[i][starts[-1]] += left.get(i, 0)
            keeps[i] = max(1, starts[0] - 1, *(end - start - 1 for start, end in spans))
        stock = [
            sum(opening[i] + sum(lot[i][: t + 1]) - sum(demand[i][: t + 1]) for i in range(n)) for t in range(periods)
        ]
        busy = [sum(hours[i] * lot[i][t] for i in range(n)) for t in range(periods)]
        spare, usual = stream("spare").integers(periods, 0, 6), sum(busy) // periods
        small = sorted(stream("small").sample(range(n), knobs.lots))
        return LotSizingData(
            demand=demand,
            setup=tuple(tuple(cost * s // 100 for s in row) for cost, row in zip(base, swing, strict=True)),
            price=stream("price").matrix(n, periods, 2, 8),
            holding=stream("holding").integers(n, 1, 3),
            hours=hours,
            opening=tuple(opening),
            capacity=tuple(max(hours_, usual) + more for hours_, more in zip(busy, spare, strict=True)),
            lots=tuple((i, max(2, min(lot_ for lot_ in lot[i] if lot_) * 4 // 5)) for i in small),
            storage=max(stock) + stream("room").integer(0, 2),
            ends=tuple(sorted(left.items())),
            setups=knobs.setups,
            keeps=tuple((i, keeps[i]) for i in range(n) if i not in left),
        )

    def form(self, d: LotSizingData) -> GridOf:
        # Wider than what is allowed, so that an answer can be wrong.
        most = tuple(tuple(have // hours * 5 // 4 + 1 for have in d.capacity) for hours in d.hours)
        return GridOf("product", "period", most)

    def core(self, d: LotSizingData) -> list[Constraint[Plan, Any]]:
        return [
            *(Demand(i, t, d.needed(i, t + 1)) for i in range(len(d.demand)) for t in range(len(d.capacity))),
            *(Capacity(t, d.hours, have) for t, have in enumerate(d.capacity)),
        ]

    def objective(self, d: LotSizingData) -> TotalCost:
        return TotalCost(d.demand, d.setup, d.price, d.holding, d.opening)

    def greedy(self, d: LotSizingData, fits: Fits[Plan]) -> Plan:
        """Lot for lot, from the last period back: what does not fit there is made in the period before.

        What costs most to hold is made first, so that it is not what must be made early.
        """
        periods = len(d.capacity)
        answer: Plan = Partial({(i, t): 0 for i in range(len(d.demand)) for t in range(periods)})
        left = [0] * len(d.demand)
        for t in reversed(range(periods)):
            for i in sorted(range(len(left)), key=lambda i: -d.holding[i]):
                stocked = max(0, -d.needed(i, t))
                left[i] += max(0, d.demand[i][t] - stocked)
                lot = largest(fits, answer, (i, t), left[i])
                answer = Partial({**answer, (i, t): lot})
                left[i] -= lot
        return answer

    def intro(self, d: LotSizingData, names: Names) -> str:
        product, period = names.word("product"), names.word("period")
        last = names.one("period", names.listed("period", len(d.capacity))[-1])
        paid = f"Making any of a {product} in a {period} costs its set-up cost of that {period} once"
        columns = {"hours": d.hours, "holding cost": d.holding, "opening stock": d.opening}
        tables = [
            names.table("product", columns),
            f"Demand:\n{names.matrix('product', d.demand, 'period')}",
            f"Set-up cost:\n{names.matrix('product', d.setup, 'period')}",
        ]
        if d.price:
            paid += " and its unit cost for each unit made"
            tables.append(f"Unit cost:\n{names.matrix('product', d.price, 'period')}")
        sentences = [
            f"Decide how many units of each of these {names.all('product')} to make in each of {len(d.capacity)}"
            f" {names.all('period')}, which follow each other as listed, up to {last}.",
            f"The stock of a {product} at the end of a {period} is its {names.word('opening stock')} plus all units"
            f" made up to then minus all its demand up to then, this {period} included in both; units are whole.",
            f"{paid}; each unit in stock at the end of a {period} costs its {names.word('holding cost')}.",
            f"A unit takes its {names.word('hours')} to make.",
        ]
        return "\n\n".join([" ".join(sentences), *tables])

    def entities(self, d: LotSizingData) -> Mapping[str, int]:
        return {"product": len(d.demand)}

    def famous(self) -> Sequence[Famous[LotSizingData]]:
        return FAMOUS

    def perturb(self, d: LotSizingData, stream: Stream) -> LotSizingData:
        """Change demand and set-up cost of three periods each by up to a half."""
        periods = range(len(d.capacity))
        sold, paid = (stream(part).sample(periods, 3) for part in ("demand", "setup"))
        demand = tuple(
            tuple(v * stream(f"demand {t}").integer(50, 150) // 100 if t in sold else v for t, v in enumerate(row))
            for row in d.demand
        )
        setup = tuple(
            tuple(v * stream(f"setup {t}").integer(50, 150) // 100 if t in paid else v for t, v in enumerate(row))
            for row in d.setup
        )
        return replace(d, demand=demand, setup=setup, capacity=(sum(map(sum, demand)),) * len(d.capacity))

    def sketch(self, instance: Instance) -> Bars:
        """Return demand, production and stock of each product, and the hours used of those there, by period."""
        d: LotSizingData = instance.data  # type: ignore[assignment]
        names, plan = instance.names, instance.answer
        periods = names.listed("period", len(d.capacity))
        rows: list[str] = []
        cells: dict[tuple[int, int], tuple[str, str]] = {}
        for i in names.listed("product", len(d.demand)):
            made = [plan[i, t] for t in periods]
            stock = [d.opening[i] + sum(made[: t + 1]) - sum(d.demand[i][: t + 1]) for t in periods]
            for what, values in (("demand", d.demand[i]), ("made", made), ("stock", stock)):
                group = "" if what == "demand" else what
                cells |= {(len(rows), t): (str(v), group) for t, v in enumerate(values) if v}
                rows.append(f"{names.one('product', i)}: {what}")
        hours = [sum(d.hours[i] * plan[i, t] for i in range(len(d.demand))) for t in periods]
        cells |= {(len(rows), t): (f"{used}/{d.capacity[t]}", "") for t, used in enumerate(hours)}
        columns = [names.label("period", t) for t in periods]
        return grid([*rows, names.word("hours")], columns, cells, names.all("period"))
