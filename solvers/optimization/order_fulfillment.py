"""Order fulfilment: from stock, from vendors or by assembly, as cheaply as possible.

A transportation problem whose sources share stock through bills of materials (Pochet and Wolsey 2006, chapter 13;
Chopra and Meindl 2016, chapter 15, on sourcing). The constraint kinds are those of ConstraintBench's order fulfilment
domain. Modules: ``deadline``, ``budget``, ``margin``, ``vendor_policy``, ``min_order_qty`` and ``capacity``.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any, ClassVar

from solvers.constrained import Fits, Optimization
from solvers.keys import Stream
from solvers.names import Names
from solvers.problem import Constraint, Data, Instance, Knobs, Objective, ladder
from solvers.shapes import GridOf, Partial
from solvers.sketches import Bars, stacked

if TYPE_CHECKING:
    from ortools.sat.python import cp_model

Cell = tuple[int, int]  # (line, source)
Supply = Partial[Cell, int]
Pairs = tuple[tuple[int, int], ...]
Terms = tuple[tuple[int, int, int], ...]
STOCK, WORKSHOP = 0, 1  # the first sources; the others are vendors


@dataclass(frozen=True, kw_only=True)
class OrderFulfillmentKnobs(Knobs):
    customers: int
    lines: int
    products: int  # at most as many as lines
    kits: int  # products that the workshop makes
    vendors: int
    countries: int
    units: int  # most in a line
    urgent: int  # customers with a deadline
    choosy: int  # customers that some vendors may not serve
    minimums: int  # vendors with a least quantity


@dataclass(frozen=True)
class OrderFulfillmentData(Data):
    customer: tuple[int, ...]  # by line
    product: tuple[int, ...]  # by line
    units: tuple[int, ...]  # by line
    stock: tuple[int, ...]  # by product
    value: tuple[int, ...]  # selling price of a unit, by product
    offers: tuple[tuple[int, int, int, int], ...]  # (product, source, price of a unit, days)
    bill: Terms  # (product made, component, units of it)
    country: tuple[int, ...]  # by vendor
    minutes: tuple[int, ...]  # of a unit, by source
    deadlines: Pairs  # (customer, day)
    budgets: Pairs  # (customer, cost)
    margin: int  # %
    policies: tuple[tuple[int, tuple[int, ...]], ...]  # (customer, countries of its vendors)
    minimums: Pairs  # (source, units)
    time: int  # minutes

    def cells(self, lines: Iterable[int]) -> tuple[tuple[int, int, int, int], ...]:
        """Return (line, source, price, days) of each source that offers the product of a line."""
        return tuple((k, s, price, day) for k in lines for p, s, price, day in self.offers if p == self.product[k])

    @property
    def kinds(self) -> tuple[str, ...]:
        """What each source is."""
        return ("stock", "workshop", *("vendor" for _ in self.country))

    def vendors(self) -> range:
        """Return the sources that are vendors."""
        return range(2, len(self.minutes))

    def of_customer(self, customer: int) -> list[int]:
        """Return the lines of a customer's order."""
        return [k for k, o in enumerate(self.customer) if o == customer]

    def of_product(self, product: int) -> list[int]:
        """Return the lines of a product."""
        return [k for k, p in enumerate(self.product) if p == product]


@dataclass(frozen=True)
class Demand(Constraint[Supply, "dict[Cell, cp_model.IntVar]"]):
    """The slack is minus the units too many or too few."""

    kind: ClassVar[str] = "demand"
    constraint_class: ClassVar[str] = "balance"
    hereditary: ClassVar[bool] = False
    line: int
    sources: int
    limit: int

    def say(self, names: Names) -> str:
        line, units, sources = names.word("line"), names.word("units"), names.all("source")
        return f"Every {line} gets exactly its {units}, from all {sources} together."

    def check(self, answer: Supply) -> int:
        return -abs(sum(answer[self.line, s] for s in range(self.sources)) - self.limit)

    def post(self, model: "cp_model.CpModel", x: "dict[Cell, cp_model.IntVar]") -> None:
        model.add(sum(x[self.line, s] for s in range(self.sources)) == self.limit)


@dataclass(frozen=True)
class Barred(Constraint[Supply, "dict[Cell, cp_model.IntVar]"]):
    """Some cells are 0; the slack is minus the units in them."""

    cells: tuple[Cell, ...]

    def check(self, answer: Supply) -> int:
        return -sum(answer[cell] for cell in self.cells)

    def post(self, model: "cp_model.CpModel", x: "dict[Cell, cp_model.IntVar]") -> None:
        for cell in self.cells:
            model.add(x[cell] == 0)


@dataclass(frozen=True)
class Offer(Barred):
    kind: ClassVar[str] = "offer"
    constraint_class: ClassVar[str] = "domain"

    def say(self, names: Names) -> str:
        line, source = names.word("line"), names.word("source")
        return f"No {line} gets {names.word('units')} from a {source} that does not offer its {names.word('product')}."


@dataclass(frozen=True)
class VendorPolicy(Barred):
    kind: ClassVar[str] = "vendor_policy"
    constraint_class: ClassVar[str] = "logical"
    customer: int
    countries: tuple[int, ...]

    def say(self, names: Names) -> str:
        countries, customer = names.several("country", self.countries), names.one("customer", self.customer)
        return f"Of the vendors, only those of {countries} serve {customer}."


@dataclass(frozen=True)
class Ceiling(Constraint[Supply, "dict[Cell, cp_model.IntVar]"]):
    """A weighted sum of cells is bounded. ``terms``: (line, source, weight)."""

    constraint_class: ClassVar[str] = "capacity"
    terms: Terms
    limit: int

    def check(self, answer: Supply) -> int:
        return self.limit - sum(each * answer[k, s] for k, s, each in self.terms)

    def post(self, model: "cp_model.CpModel", x: "dict[Cell, cp_model.IntVar]") -> None:
        model.add(sum(each * x[k, s] for k, s, each in self.terms) <= self.limit)


@dataclass(frozen=True)
class Stock(Ceiling):
    kind: ClassVar[str] = "stock"
    product: int

    def say(self, names: Names) -> str:
        product, units, had = names.word("product"), names.word("units"), names.word("in stock")
        return f"Of a {product} that is no component, at most the {units} {had} are taken."


@dataclass(frozen=True)
class BillOfMaterials(Stock):
    kind: ClassVar[str] = "bill_of_materials"

    def say(self, names: Names) -> str:
        product, units, had = names.word("product"), names.word("units"), names.word("in stock")
        return (
            f"Of a {product} that is a component, at most the {units} {had} are taken, those that the workshop uses"
            " included."
        )


@dataclass(frozen=True)
class Budget(Ceiling):
    kind: ClassVar[str] = "budget"
    customer: int

    def say(self, names: Names) -> str:
        return (
            f"The {names.word('units')} of {names.one('customer', self.customer)} cost at most {self.limit} in total."
        )


@dataclass(frozen=True)
class Capacity(Ceiling):
    kind: ClassVar[str] = "capacity"

    def say(self, names: Names) -> str:
        units, minutes, lines = names.word("units"), names.word("minutes"), names.all("line")
        return (
            f"Handling takes at most {self.limit} {minutes} ({units} times the {minutes} of their"
            f" {names.word('source')}, summed over all {lines})."
        )


@dataclass(frozen=True)
class Deadline(Constraint[Supply, "dict[Cell, cp_model.IntVar]"]):
    """The slack is the time from the arrival of a line's last units to the deadline. ``days``: (source, days)."""

    kind: ClassVar[str] = "deadline"
    constraint_class: ClassVar[str] = "temporal"
    line: int
    customer: int
    days: Pairs
    limit: int

    def say(self, names: Names) -> str:
        customer, units, sources = names.one("customer", self.customer), names.word("units"), names.all("source")
        return f"The {units} of {customer} come only from {sources} that need at most {self.limit} days for them."

    def check(self, answer: Supply) -> int:
        return self.limit - max(days if answer[self.line, s] else 0 for s, days in self.days)

    def post(self, model: "cp_model.CpModel", x: "dict[Cell, cp_model.IntVar]") -> None:
        for s, days in self.days:
            used = model.new_bool_var(f"used{s}")
            model.add(x[self.line, s] == 0).only_enforce_if(~used)
            model.add(days * used <= self.limit)


@dataclass(frozen=True)
class Margin(Constraint[Supply, "dict[Cell, cp_model.IntVar]"]):
    """The slack is in hundredths. ``prices``: (source, price)."""

    kind: ClassVar[str] = "margin"
    constraint_class: ClassVar[str] = "capacity"
    line: int
    prices: Pairs
    sales: int
    percent: int

    def say(self, names: Names) -> str:
        line, units, value = names.word("line"), names.word("units"), names.word("selling price")
        return (
            f"Every {line} keeps a margin of at least {self.percent} %: its {units} cost at most {100 - self.percent} %"
            f" of its sales (the {units} ordered times the {value})."
        )

    def check(self, answer: Supply) -> int:
        cost = sum(price * answer[self.line, s] for s, price in self.prices)
        return (100 - self.percent) * self.sales - 100 * cost

    def post(self, model: "cp_model.CpModel", x: "dict[Cell, cp_model.IntVar]") -> None:
        cost = sum(price * x[self.line, s] for s, price in self.prices)
        model.add(100 * cost + self.percent * self.sales <= 100 * self.sales)


@dataclass(frozen=True)
class MinOrderQty(Constraint[Supply, "dict[Cell, cp_model.IntVar]"]):
    kind: ClassVar[str] = "min_order_qty"
    constraint_class: ClassVar[str] = "logical"
    hereditary: ClassVar[bool] = False
    source: int
    lines: int
    least: int

    def say(self, names: Names) -> str:
        lines, source, units = names.all("line"), names.one("source", self.source), names.word("units")
        return f"All {lines} together get either no {units} or at least {self.least} from {source}."

    def check(self, answer: Supply) -> int:
        bought = sum(answer[k, self.source] for k in range(self.lines))
        return bought - self.least if bought else 0

    def vacuous(self, answer: Supply) -> bool:
        return not any(answer.get((k, self.source)) for k in range(self.lines))

    def post(self, model: "cp_model.CpModel", x: "dict[Cell, cp_model.IntVar]") -> None:
        bought, none = sum(x[k, self.source] for k in range(self.lines)), model.new_bool_var("none")
        model.add(bought == 0).only_enforce_if(none)
        model.add(bought >= self.least).only_enforce_if(~none)


@dataclass(frozen=True)
class TotalCost(Objective[Supply, "dict[Cell, cp_model.IntVar]"]):
    """``prices``: (line, source, price)."""

    direction: ClassVar[Any] = "min"
    prices: Terms

    def noun(self, names: Names) -> str:
        return f"the total cost ({names.word('units')} times their price, summed over all {names.all('line')})"

    def of(self, answer: Supply) -> int:
        return sum(price * answer[k, s] for k, s, price in self.prices)

    def post(self, model: "cp_model.CpModel", x: "dict[Cell, cp_model.IntVar]") -> Any:
        return sum(price * x[k, s] for k, s, price in self.prices)


@dataclass(frozen=True)
class TotalGain(TotalCost):
    """The mirror of the total cost: what is left of the sales."""

    direction: ClassVar[Any] = "max"
    sales: int

    def noun(self, names: Names) -> str:
        units, value = names.word("units"), names.word("selling price")
        return (
            f"the total gain (the {units} that are ordered times their {value}, minus {units} supplied times their"
            f" price, summed over all {names.all('line')})"
        )

    def of(self, answer: Supply) -> int:
        return self.sales - sum(price * answer[k, s] for k, s, price in self.prices)

    def post(self, model: "cp_model.CpModel", x: "dict[Cell, cp_model.IntVar]") -> Any:
        return self.sales - sum(price * x[k, s] for k, s, price in self.prices)


class OrderFulfillment(Optimization[OrderFulfillmentData, Supply, "dict[Cell, cp_model.IntVar]"]):
    name: ClassVar[str] = "order_fulfillment"
    version: ClassVar[int] = 1
    title: ClassVar[str] = "Order fulfilment"
    data = OrderFulfillmentData
    sizes: ClassVar[Any] = ladder(
        OrderFulfillmentKnobs,
        customers=(2, 3, 7, 8, 10),
        lines=(3, 5, 10, 13, 16),
        products=(3, 4, 7, 9, 10),
        kits=(1, 1, 2, 2, 3),
        vendors=(2, 2, 3, 4, 4),
        countries=(2, 2, 3, 3, 3),
        units=(6, 10, 16, 20, 24),
        urgent=(1, 2, 4, 5, 6),
        choosy=(1, 1, 3, 3, 4),
        minimums=(1, 1, 2, 3, 3),
    )
    core_kinds: ClassVar[tuple[str, ...]] = ("demand", "offer", "stock", "bill_of_materials")
    modules: ClassVar[Any] = {
        "deadline": lambda d: [
            Deadline(k, customer, tuple((s, day) for _, s, _, day in d.cells([k])), limit)
            for customer, limit in d.deadlines
            for k in d.of_customer(customer)
            if any(day > limit for *_, day in d.cells([k]))
        ],
        "budget": lambda d: [
            Budget(tuple(cell[:3] for cell in d.cells(d.of_customer(customer))), limit, customer)
            for customer, limit in d.budgets
        ],
        "margin": lambda d: [
            Margin(k, tuple((s, price) for _, s, price, _ in d.cells([k])), d.units[k] * d.value[p], d.margin)
            for k, p in enumerate(d.product)
        ],
        "vendor_policy": lambda d: [
            VendorPolicy(
                tuple(
                    (k, s) for k in d.of_customer(customer) for s in d.vendors() if d.country[s - 2] not in countries
                ),
                customer,
                countries,
            )
            for customer, countries in d.policies
        ],
        "min_order_qty": lambda d: [MinOrderQty(s, len(d.units), least) for s, least in d.minimums],
        "capacity": lambda d: [
            Capacity(tuple((k, s, each) for k in range(len(d.units)) for s, each in enumerate(d.minutes)), d.time)
        ],
    }
    target_share: ClassVar[Fraction] = Fraction(105, 100)

    def draw(self, knobs: OrderFulfillmentKnobs, stream: Stream) -> OrderFulfillmentData:
        """Hide a plan in the data that keeps every rule; rules touch it, and hold back what is cheaper."""
        n, vendors = knobs.products, range(2, 2 + knobs.vendors)
        plain = range(n - knobs.kits)
        # Every product is ordered; no customer has a product twice.
        product: Sequence[int] = stream("product").shuffled(range(n)) + list(
            stream("again").integers(knobs.lines - n, 0, n - 1)
        )
        ranked = sorted(range(knobs.lines), key=lambda k: product[k])
        place = sorted((rank % knobs.customers, k) for rank, k in enumerate(ranked))
        customer, product = [o for o, _ in place], [product[k] for _, k in place]
        units = stream("units").integers(knobs.lines, max(2, knobs.units // 3), knobs.units)

        bill = tuple(
            (p, c, stream(f"each {p} {c}").integer(1, 2))
            for p in range(len(plain), n)
            for c in sorted(stream(f"bill {p}").sample(plain, 2))
        )
        base = list(stream("base").integers(len(plain), 12, 60))
        base += [5 + sum(each * base[c] for q, c, each in bill if q == p) for p in range(len(plain), n)]
        offers = []
        for p in range(n):
            offers.append((p, STOCK, base[p] * stream(f"held {p}").integer(85, 95) // 100, 1))
            if p not in plain:
                making = stream(f"making {p}")
                offers.append((p, WORKSHOP, base[p] * making.integer(75, 92) // 100, making.integer(3, 6)))
            selling = sorted(stream(f"sells {p}").sample(vendors, stream(f"sellers {p}").integer(2, knobs.vendors)))
            days = stream(f"days {p}").sample(range(2, 15), len(selling))
            for s, day in zip(selling, days, strict=True):
                # Who is slow is cheap.
                price = base[p] * (118 - 2 * day + stream(f"price {p} {s}").integer(-4, 4)) // 100
                offers.append((p, s, max(1, price), day))
        country = tuple(stream("country").shuffled([i % knobs.countries for i in range(knobs.vendors)]))
        minutes = (
            stream("picking").integer(1, 2),
            stream("assembly").integer(4, 7),
            *stream("unloading").integers(knobs.vendors, 2, 4),
        )

        def suppliers(line: int) -> list[tuple[int, int, int]]:
            """Return the sources of a line, each with price and days."""
            return [(s, price, day) for p, s, price, day in offers if p == product[line]]

        lines_of = [[k for k in range(knobs.lines) if customer[k] == o] for o in range(knobs.customers)]
        shunned = {}
        for o in sorted(stream("choosy").sample(range(knobs.customers), knobs.choosy)):
            home = sorted({country[s - 2] for k in lines_of[o] for s, _, _ in suppliers(k) if s in vendors})
            shunned[o] = stream(f"shunned {o}").choice(home)
        urgent = sorted(stream("urgent").sample(range(knobs.customers), knobs.urgent))
        supply: dict[Cell, int] = {}
        for k in range(knobs.lines):
            known, taste = suppliers(k), stream(f"taste {k}")
            slowest = max(day for _, _, day in known)
            options = [
                (price, s)
                for s, price, day in known
                if (s not in vendors or country[s - 2] != shunned.get(customer[k]))
                and (day < slowest or customer[k] not in urgent)
            ]
            first = min(taste.sample(options, min(2 + customer[k] % 2, len(options))))[1]
            second = taste.choice(options)[1]
            part = taste.integer(2, units[k] - 2) if units[k] >= 4 and second != first else 0
            supply[k, first] = units[k] - part
            if part:
                supply[k, second] = part
        return self.ruled(
            OrderFulfillmentData(
                customer=tuple(customer),
                product=tuple(product),
                units=units,
                stock=(0,) * n,
                value=(0,) * n,
                offers=tuple(offers),
                bill=bill,
                country=country,
                minutes=minutes,
                deadlines=tuple((o, 0) for o in urgent),
                budgets=tuple((o, 0) for o in range(knobs.customers)),
                margin=stream("margin").choice((10, 15, 20, 25)),
                policies=tuple(
                    (o, tuple(c for c in range(knobs.countries) if c != shun)) for o, shun in shunned.items()
                ),
                minimums=tuple((s, 0) for s in sorted(stream("minimum").sample(vendors, knobs.minimums))),
                time=0,
            ),
            supply,
            stream("slack"),
        )

    def ruled(self, d: OrderFulfillmentData, supply: Mapping[Cell, int], stream: Stream) -> OrderFulfillmentData:
        """Return the data with every bound set to what a plan needs, or a little wider."""
        cells = d.cells(range(len(d.units)))
        cost = {
            k: sum(price * supply.get((k, s), 0) for i, s, price, _ in cells if i == k) for k in range(len(d.units))
        }

        def due(customer: int) -> int:
            mine = d.cells(d.of_customer(customer))
            used = max(day for k, s, _, day in mine if (k, s) in supply)
            return min(used + stream(f"due {customer}").integer(0, 2), max(day for *_, day in mine) - 1)

        def taken(product: int) -> int:
            return sum(each * supply.get((k, s), 0) for k, s, each in self.uses(d, product))

        def value(product: int) -> int:
            least = max(Fraction(100 * cost[k], (100 - d.margin) * d.units[k]) for k in d.of_product(product))
            return -(-least.numerator // least.denominator)

        def least(source: int) -> int:
            bought = sum(supply.get((k, source), 0) for k in range(len(d.units)))
            usual = max(d.units)
            return stream(f"least {source}").integer(*((bought * 3 // 4 + 1, bought) if bought else (usual, 2 * usual)))

        spent = {customer: sum(cost[k] for k in d.of_customer(customer)) for customer, _ in d.budgets}
        busy = sum(d.minutes[s] * units for (_, s), units in supply.items())
        room = stream("room").integers(len(d.stock), 0, 2)
        return replace(
            d,
            stock=tuple(taken(p) + more for p, more in enumerate(room)),
            value=tuple(value(p) for p in range(len(d.value))),
            deadlines=tuple((customer, due(customer)) for customer, _ in d.deadlines),
            budgets=tuple((o, spent[o] * stream(f"budget {o}").integer(100, 104) // 100) for o, _ in d.budgets),
            minimums=tuple((s, least(s)) for s, _ in d.minimums),
            time=busy * stream("time").integer(100, 103) // 100,
        )

    def uses(self, d: OrderFulfillmentData, product: int) -> Terms:
        """Return (line, source, units of the product that one unit from there takes out of stock)."""
        direct = [(k, STOCK, 1) for k in d.of_product(product)]
        return (
            *direct,
            *((k, WORKSHOP, each) for made, c, each in d.bill if c == product for k in d.of_product(made)),
        )

    def form(self, d: OrderFulfillmentData) -> GridOf:
        return GridOf("line", "source", tuple((units,) * len(d.minutes) for units in d.units), "supply")

    def core(self, d: OrderFulfillmentData) -> list[Constraint[Supply, Any]]:
        lines, sources, components = range(len(d.units)), range(len(d.minutes)), {c for _, c, _ in d.bill}
        barred = {k: set(sources) - {s for _, s, _, _ in d.cells([k])} for k in lines}
        stocks = [(p, self.uses(d, p), had) for p, had in enumerate(d.stock)]
        return [
            *(Demand(k, len(sources), units) for k, units in enumerate(d.units)),
            *(Offer(tuple((k, s) for s in sorted(barred[k]))) for k in lines if barred[k]),
            *(Stock(uses, had, p) for p, uses, had in stocks if uses and p not in components),
            *(BillOfMaterials(uses, had, p) for p, uses, had in stocks if uses and p in components),
        ]

    def objective(self, d: OrderFulfillmentData) -> TotalCost:
        return TotalCost(tuple(cell[:3] for cell in d.cells(range(len(d.units)))))

    def inverted(self, d: OrderFulfillmentData) -> TotalGain:
        sales = sum(units * d.value[p] for units, p in zip(d.units, d.product, strict=True))
        return TotalGain(self.objective(d).prices, sales)

    def greedy(self, d: OrderFulfillmentData, fits: Fits[Supply]) -> Supply:
        """The most urgent orders first, each line from the cheapest source on, as many units as fit."""
        answer: Supply = Partial({(k, s): 0 for k in range(len(d.units)) for s in range(len(d.minutes))})
        due = dict(d.deadlines)
        for k in sorted(range(len(d.units)), key=lambda k: due.get(d.customer[k], 99)):
            left = d.units[k]
            for _, s in sorted((price, s) for _, s, price, _ in d.cells([k])):
                for units in range(left, 0, -1):
                    if fits(candidate := Partial({**answer, (k, s): units})):
                        answer, left = candidate, left - units
                        break
        return answer

    def intro(self, d: OrderFulfillmentData, names: Names) -> str:
        units, product, source = names.word("units"), names.word("product"), names.word("source")
        lines = {
            "customer": [names.label("customer", c) for c in d.customer],
            "product": [names.label("product", p) for p in d.product],
            "units": d.units,
        }
        sources = {
            "kind": d.kinds,
            "country": ["-", "-", *(names.label("country", c) for c in d.country)],
            "minutes": d.minutes,
        }
        offered = {(p, s): f"{price} / {days}" for p, s, price, days in d.offers}
        offers = [[offered.get((p, s), "-") for s in range(len(d.minutes))] for p in range(len(d.stock))]
        bills = [
            f"To make one of {names.one('product', p)}, the workshop uses "
            + " and ".join(f"{each} of {names.one('product', c)}" for q, c, each in d.bill if q == p)
            + " out of stock."
            for p in dict.fromkeys(p for p, _, _ in d.bill)
        ]
        return "\n\n".join(
            [
                f"Decide for every {names.word('line')} of the orders of these {names.all('customer')} how many whole"
                f" {units} of its {product} come from every {source}.",
                names.table("line", lines),
                f"Every {source}, with the {names.word('minutes')} that handling one of its {units} takes:\n"
                + names.table("source", sources),
                names.table("product", {"in stock": d.stock, "selling price": d.value}),
                f"What the {names.all('source')} offer: price of one / days that it needs (-: not offered). The price"
                " of what the workshop makes includes its components.\n" + names.matrix("product", offers, "source"),
                *bills,
            ]
        )

    def sketch(self, instance: Instance) -> Bars:
        """Return how many units of each line come from each source."""
        d: OrderFulfillmentData = instance.data  # type: ignore[assignment]
        names, supply = instance.names, instance.answer
        rows = [f"{names.one('line', k)} ({names.one('product', p)})" for k, p in enumerate(d.product)]
        sources = [f"{names.one('source', s)} ({kind})" for s, kind in enumerate(d.kinds)]
        parts = [
            [(str(supply[k, s]), supply[k, s], source) for s, source in enumerate(sources)] for k in range(len(rows))
        ]
        return stacked(rows, parts, names.word("units"))

    def entities(self, d: OrderFulfillmentData) -> Mapping[str, int]:
        return {
            "line": len(d.units),
            "source": len(d.minutes),
            "customer": 1 + max(d.customer),
            "product": len(d.stock),
            "country": 1 + max(d.country),
        }

    def distracted(self, d: OrderFulfillmentData, extra: int, stream: Stream) -> OrderFulfillmentData:
        """Add products that nobody orders and the workshop has no use for."""
        n, count = len(d.stock), extra * len(d.stock)
        made = {p for p, _, _ in d.bill}
        like = stream("like").integers(count, 0, n - 1)
        swing = stream("swing").integers(count, 80, 120)
        offers = tuple(
            (n + new, s, max(1, price * by // 100), days)
            for new, (p, by) in enumerate(zip(like, swing, strict=True))
            for q, s, price, days in d.offers
            if q == p and (s != WORKSHOP or p not in made)
        )
        return replace(
            d,
            stock=d.stock + stream("stock").integers(count, 0, max(d.stock)),
            value=d.value + tuple(d.value[p] * by // 100 for p, by in zip(like, swing, strict=True)),
            offers=d.offers + offers,
        )
