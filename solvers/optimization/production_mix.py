"""Production mix: what to make of limited resources (Hillier and Lieberman 2021, chapter 3; Winston 2004, chapter 3).

The constraint kinds are those of ConstraintBench's production mix domain. Modules: ``utilisation_cap``, ``min_profit``,
``minimum_variety``, ``max_single_product``, ``linked_production``, ``product_ratio`` and ``min_batch``.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any, ClassVar

from solvers.constrained import Fits, Optimization
from solvers.keys import Stream
from solvers.names import Costume, Names
from solvers.problem import Constraint, Data, Famous, Instance, Knobs, Objective, ladder
from solvers.shapes import AmountOf, Partial
from solvers.sketches import Panels, limited, stacked

if TYPE_CHECKING:
    from ortools.sat.python import cp_model

Units = Partial[int, int]  # product -> units
Pairs = tuple[tuple[int, int], ...]
Triples = tuple[tuple[int, int, int], ...]


@dataclass(frozen=True, kw_only=True)
class ProductionMixKnobs(Knobs):
    products: int
    resources: int
    lines: int
    made: int  # products that the plan hidden in the data makes
    units: int  # most that it makes of one
    least: int  # products that must be made
    caps: int  # on utilisation; floors on the profit of a line
    logic: int  # links, ratios and batches, each


@dataclass(frozen=True)
class ProductionMixData(Data):
    profit: tuple[int, ...]  # by product
    use: tuple[tuple[int, ...], ...]  # by resource, by product
    available: tuple[int, ...]  # by resource
    most: tuple[int, ...]  # by product; empty: not bounded
    least: Pairs  # (product, units)
    line: tuple[int, ...]  # by product; empty: there are none
    caps: Pairs  # (resource, % of what is available)
    floors: Pairs  # (line, profit)
    variety: int
    share: int  # of one product in all units, %
    links: Triples  # (product, the one that it needs, least units of that one)
    ratios: Triples  # (product, the one that it follows, % of the units of that one)
    batches: Pairs  # (product, least units if any)


@dataclass(frozen=True)
class ResourceLimit(Constraint[Units, "list[cp_model.IntVar]"]):
    kind: ClassVar[str] = "resource_limit"
    constraint_class: ClassVar[str] = "capacity"
    resource: int
    use: tuple[int, ...]
    limit: int

    def say(self, names: Names) -> str:
        resource = names.one("resource", self.resource)
        return f"The {names.all('product')} use at most {self.limit} of {resource} in total."

    def check(self, answer: Units) -> int:
        return self.limit - sum(use * answer[i] for i, use in enumerate(self.use))

    def post(self, model: "cp_model.CpModel", x: "list[cp_model.IntVar]") -> None:
        model.add(sum(use * units for use, units in zip(self.use, x, strict=True)) <= self.limit)


@dataclass(frozen=True)
class UtilisationCap(ResourceLimit):
    kind: ClassVar[str] = "utilisation_cap"
    percent: int

    def say(self, names: Names) -> str:
        resource = names.one("resource", self.resource)
        products = names.all("product")
        return f"The {products} use at most {self.percent} % of what there is of {resource}, which is {self.limit}."


@dataclass(frozen=True)
class MaxProduction(Constraint[Units, "list[cp_model.IntVar]"]):
    kind: ClassVar[str] = "max_production"
    constraint_class: ClassVar[str] = "domain"
    product: int
    limit: int

    def say(self, names: Names) -> str:
        return f"The {names.word('units')} of every {names.word('product')} are at most its {names.word('maximum')}."

    def check(self, answer: Units) -> int:
        return self.limit - answer[self.product]

    def post(self, model: "cp_model.CpModel", x: "list[cp_model.IntVar]") -> None:
        model.add(x[self.product] <= self.limit)


@dataclass(frozen=True)
class MinProduction(Constraint[Units, "list[cp_model.IntVar]"]):
    kind: ClassVar[str] = "min_production"
    constraint_class: ClassVar[str] = "domain"
    hereditary: ClassVar[bool] = False
    product: int
    limit: int

    def say(self, names: Names) -> str:
        return f"The {names.word('units')} of {names.one('product', self.product)} are at least {self.limit}."

    def check(self, answer: Units) -> int:
        return answer[self.product] - self.limit

    def post(self, model: "cp_model.CpModel", x: "list[cp_model.IntVar]") -> None:
        model.add(x[self.product] >= self.limit)


@dataclass(frozen=True)
class MinProfit(Constraint[Units, "list[cp_model.IntVar]"]):
    """What the products of one line bring: of all products together, the target asks more."""

    kind: ClassVar[str] = "min_profit"
    constraint_class: ClassVar[str] = "capacity"
    hereditary: ClassVar[bool] = False
    line: int
    profit: Pairs  # (product, profit)
    limit: int

    def say(self, names: Names) -> str:
        profit, of = names.word("profit"), f"the {names.all('product')} of {names.one('line', self.line)}"
        return (
            f"The total {profit} of {of} ({names.word('units')} times {profit}, summed over them) is at least"
            f" {self.limit}."
        )

    def check(self, answer: Units) -> int:
        return sum(profit * answer[i] for i, profit in self.profit) - self.limit

    def post(self, model: "cp_model.CpModel", x: "list[cp_model.IntVar]") -> None:
        model.add(sum(profit * x[i] for i, profit in self.profit) >= self.limit)


@dataclass(frozen=True)
class MinimumVariety(Constraint[Units, "list[cp_model.IntVar]"]):
    kind: ClassVar[str] = "minimum_variety"
    constraint_class: ClassVar[str] = "structure"
    hereditary: ClassVar[bool] = False
    products: int
    limit: int

    def say(self, names: Names) -> str:
        return f"At least {self.limit} {names.all('product')} have 1 or more {names.word('units')} each."

    def check(self, answer: Units) -> int:
        return sum(answer[i] > 0 for i in range(self.products)) - self.limit

    def post(self, model: "cp_model.CpModel", x: "list[cp_model.IntVar]") -> None:
        counted = [model.new_bool_var(f"counted{i}") for i in range(self.products)]
        for i, variable in enumerate(counted):
            model.add(x[i] >= variable)
        model.add(sum(counted) >= self.limit)


@dataclass(frozen=True)
class MaxSingleProduct(Constraint[Units, "list[cp_model.IntVar]"]):
    """The slack is in hundredths of a unit."""

    kind: ClassVar[str] = "max_single_product"
    constraint_class: ClassVar[str] = "balance"
    hereditary: ClassVar[bool] = False
    product: int
    products: int
    percent: int

    def say(self, names: Names) -> str:
        units, product, products = names.word("units"), names.word("product"), names.all("product")
        return f"The {units} of every {product} are at most {self.percent} % of the {units} of all {products} together."

    def check(self, answer: Units) -> int:
        return self.percent * sum(answer[i] for i in range(self.products)) - 100 * answer[self.product]

    def post(self, model: "cp_model.CpModel", x: "list[cp_model.IntVar]") -> None:
        model.add(100 * x[self.product] <= self.percent * sum(x))


@dataclass(frozen=True)
class LinkedProduction(Constraint[Units, "list[cp_model.IntVar]"]):
    kind: ClassVar[str] = "linked_production"
    constraint_class: ClassVar[str] = "logical"
    hereditary: ClassVar[bool] = False
    product: int
    needed: int
    least: int

    def say(self, names: Names) -> str:
        product, needed = names.one("product", self.product), names.one("product", self.needed)
        return f"If {product} has 1 or more {names.word('units')}, {needed} has at least {self.least}."

    def check(self, answer: Units) -> int:
        spare = answer[self.needed] - self.least
        return spare if answer[self.product] > 0 else max(spare, 0)

    def vacuous(self, answer: Units) -> bool:
        return answer.get(self.product) == 0

    def post(self, model: "cp_model.CpModel", x: "list[cp_model.IntVar]") -> None:
        none = model.new_bool_var("none")
        model.add(x[self.product] == 0).only_enforce_if(none)
        model.add(x[self.needed] >= self.least).only_enforce_if(~none)


@dataclass(frozen=True)
class ProductRatio(Constraint[Units, "list[cp_model.IntVar]"]):
    """The slack is in hundredths of a unit."""

    kind: ClassVar[str] = "product_ratio"
    constraint_class: ClassVar[str] = "balance"
    hereditary: ClassVar[bool] = False
    product: int
    followed: int
    percent: int

    def say(self, names: Names) -> str:
        units, product, other = names.word("units"), names.one("product", self.product), self.followed
        return (
            f"The {units} of {product} are at least {self.percent} % of the {units} of {names.one('product', other)}."
        )

    def check(self, answer: Units) -> int:
        return 100 * answer[self.product] - self.percent * answer[self.followed]

    def post(self, model: "cp_model.CpModel", x: "list[cp_model.IntVar]") -> None:
        model.add(100 * x[self.product] >= self.percent * x[self.followed])


@dataclass(frozen=True)
class MinBatch(Constraint[Units, "list[cp_model.IntVar]"]):
    kind: ClassVar[str] = "min_batch"
    constraint_class: ClassVar[str] = "logical"
    hereditary: ClassVar[bool] = False
    product: int
    least: int

    def say(self, names: Names) -> str:
        return (
            f"The {names.word('units')} of {names.one('product', self.product)} are either 0 or at least {self.least}."
        )

    def check(self, answer: Units) -> int:
        return answer[self.product] - self.least if answer[self.product] else 0

    def vacuous(self, answer: Units) -> bool:
        return answer.get(self.product) == 0

    def post(self, model: "cp_model.CpModel", x: "list[cp_model.IntVar]") -> None:
        none = model.new_bool_var("none")
        model.add(x[self.product] == 0).only_enforce_if(none)
        model.add(x[self.product] >= self.least).only_enforce_if(~none)


@dataclass(frozen=True)
class TotalProfit(Objective[Units, "list[cp_model.IntVar]"]):
    direction: ClassVar[Any] = "max"
    profit: tuple[int, ...]

    def noun(self, names: Names) -> str:
        units, profit = names.word("units"), names.word("profit")
        return f"the total {profit} ({units} times {profit}, summed over all {names.all('product')})"

    def of(self, answer: Units) -> int:
        return sum(profit * answer[i] for i, profit in enumerate(self.profit))

    def post(self, model: "cp_model.CpModel", x: "list[cp_model.IntVar]") -> Any:
        return sum(profit * units for profit, units in zip(self.profit, x, strict=True))


@dataclass(frozen=True)
class ProfitForgone(Objective[Units, "list[cp_model.IntVar]"]):
    """The mirror of the total profit: what is missing to as many units as allowed of every product."""

    direction: ClassVar[Any] = "min"
    profit: tuple[int, ...]
    most: tuple[int, ...]

    def noun(self, names: Names) -> str:
        product, profit = names.word("product"), names.word("profit")
        return (
            f"the total {profit} forgone (for every {product} its {profit} times the {names.word('units')} by which it"
            f" stays below its {names.word('maximum')}, summed)"
        )

    def of(self, answer: Units) -> int:
        return sum(profit * (self.most[i] - answer[i]) for i, profit in enumerate(self.profit))

    def post(self, model: "cp_model.CpModel", x: "list[cp_model.IntVar]") -> Any:
        full = sum(profit * most for profit, most in zip(self.profit, self.most, strict=True))
        return full - sum(profit * units for profit, units in zip(self.profit, x, strict=True))


def plain(profit: tuple[int, ...], use: tuple[tuple[int, ...], ...], available: tuple[int, ...]) -> ProductionMixData:
    """Return a product mix with limited resources and no other rule."""
    nothing: Any = dict.fromkeys(("most", "least", "line", "caps", "floors", "links", "ratios", "batches"), ())
    return ProductionMixData(profit=profit, use=use, available=available, variety=0, share=100, **nothing)


FAMOUS = (
    Famous(
        "Wyndor Glass",
        "xs",
        plain((3, 5), ((1, 0), (0, 2), (3, 2)), (4, 12, 18)),
        36,
        "Hillier and Lieberman, Introduction to Operations Research, section 3.1",
    ),
    Famous(
        "Giapetto's Woodcarving",
        "xs",
        plain((3, 2), ((2, 1), (1, 1), (1, 0)), (100, 80, 40)),
        180,
        "Winston, Operations Research: Applications and Algorithms, section 3.1",
    ),
    # Labour in half hours; the third and fourth resources are carpentry and the demand for tables.
    Famous(
        "Dakota Furniture",
        "s",
        plain((60, 30, 20), ((8, 6, 1), (8, 4, 3), (4, 3, 1), (0, 1, 0)), (48, 40, 16, 5)),
        280,
        "Winston, Operations Research: Applications and Algorithms, section 4.5",
    ),
)
COSTUMES = (
    Costume(
        "A publishing house fixes the print runs of the season.",
        {
            "product": ("title", "titles"),
            "resource": ("press", "presses"),
            "line": ("imprint", "imprints"),
            "units": ("copies", "copies"),
            "profit": ("royalty", "royalties"),
            "maximum": ("ceiling", "ceilings"),
        },
    ),
    Costume(
        "A field kitchen plans the dishes that it will serve at a festival.",
        {
            "product": ("dish", "dishes"),
            "resource": ("ingredient", "ingredients"),
            "line": ("counter", "counters"),
            "units": ("portions", "portions"),
            "profit": ("surplus", "surpluses"),
            "maximum": ("demand", "demands"),
        },
    ),
    Costume(
        "A botanical garden raises seedlings for its spring sale.",
        {
            "product": ("plant", "plants"),
            "resource": ("supply", "supplies"),
            "line": ("glasshouse", "glasshouses"),
            "units": ("trays", "trays"),
            "profit": ("yield", "yields"),
            "maximum": ("bound", "bounds"),
        },
    ),
)


class ProductionMix(Optimization[ProductionMixData, Units, "list[cp_model.IntVar]"]):
    name: ClassVar[str] = "production_mix"
    version: ClassVar[int] = 1
    title: ClassVar[str] = "Production mix"
    data = ProductionMixData
    sizes: ClassVar[Any] = ladder(
        ProductionMixKnobs,
        products=(3, 6, 11, 14, 17),
        resources=(2, 4, 7, 8, 9),
        lines=(2, 2, 3, 4, 5),
        made=(3, 6, 10, 13, 15),
        units=(6, 12, 20, 24, 28),
        least=(1, 1, 2, 3, 4),
        caps=(1, 1, 2, 3, 3),
        logic=(1, 2, 3, 4, 6),
    )
    core_kinds: ClassVar[tuple[str, ...]] = ("resource_limit", "max_production", "min_production")
    modules: ClassVar[Any] = {
        "utilisation_cap": lambda d: [
            UtilisationCap(r, d.use[r], d.available[r] * percent // 100, percent) for r, percent in d.caps
        ],
        "min_profit": lambda d: [
            MinProfit(k, tuple((i, d.profit[i]) for i, line in enumerate(d.line) if line == k), limit)
            for k, limit in d.floors
        ],
        "minimum_variety": lambda d: [MinimumVariety(len(d.profit), d.variety)],
        "max_single_product": lambda d: [MaxSingleProduct(i, len(d.profit), d.share) for i in range(len(d.profit))],
        "linked_production": lambda d: [LinkedProduction(*link) for link in d.links],
        "product_ratio": lambda d: [ProductRatio(*ratio) for ratio in d.ratios],
        "min_batch": lambda d: [MinBatch(i, least) for i, least in d.batches],
    }
    target_share: ClassVar[Fraction] = Fraction(95, 100)
    costumes = COSTUMES

    def draw(self, knobs: ProductionMixKnobs, stream: Stream) -> ProductionMixData:
        """Hide a plan in the data that keeps every rule; rules touch it, and hold back what pays more."""
        n, count = knobs.products, knobs.logic
        made = sorted(stream("made").sample(range(n), knobs.made))
        units = [0] * n
        for i, amount in zip(
            made, stream("units").integers(knobs.made, max(2, knobs.units // 4), knobs.units), strict=True
        ):
            units[i] = amount
        # No resource without a use.
        use = tuple(
            tuple(max(0, u, 2 * (i == made[r % knobs.made])) for i, u in enumerate(row))
            for r, row in enumerate(stream("use").matrix(knobs.resources, n, -2, 9))
        )
        used = [sum(u * units[i] for i, u in enumerate(row)) for row in use]
        # Profits follow the use of resources, so that no product is obviously good.
        gain = stream("gain").integers(n, 0, 12)
        profit = tuple(4 + gain[i] + 4 * sum(row[i] for row in use) // knobs.resources for i in range(n))
        room = stream("room").integers(n, 1, knobs.units)
        most = tuple(units[i] + room[i] if units[i] else knobs.units // 2 + room[i] for i in range(n))

        caps = sorted(stream("cap").sample(range(knobs.resources), knobs.caps))
        percents = dict(zip(caps, (stream(f"percent {r}").choice((70, 80, 90)) for r in caps), strict=True))
        spare = stream("spare").integers(knobs.resources, 0, knobs.units // 2)
        # Under a cap, what is available is a multiple of 10, so that the cap is a whole number.
        available = tuple(
            10 * -(-used[r] * 10 // percents[r]) if r in percents else used[r] + spare[r]
            for r in range(knobs.resources)
        )
        poor = sorted(made, key=lambda i: Fraction(profit[i], 1 + sum(row[i] for row in use)))
        must = sorted(poor[: knobs.least])
        free = [i for i in range(n) if i not in must]

        def part_of(part: str, whole: int) -> int:
            return stream(part).integer(max(1, whole // 2), whole)

        line = tuple(stream("line").shuffled([i % knobs.lines for i in range(n)]))
        earned = [sum(profit[i] * units[i] for i in range(n) if line[i] == k) for k in range(knobs.lines)]
        floors = sorted(stream("floor").sample([k for k in range(knobs.lines) if earned[k]], knobs.caps))
        links = [(i, j) for i in free for j in range(n) if i != j and j not in must and (units[j] or not units[i])]
        ratios = [(i, j) for k, i in enumerate(poor) for j in poor[k + 1 :]]
        total = sum(units)
        return ProductionMixData(
            profit=profit,
            use=use,
            available=available,
            most=most,
            least=tuple((i, part_of(f"least {i}", units[i])) for i in must),
            line=line,
            caps=tuple(sorted(percents.items())),
            floors=tuple((k, earned[k] * stream(f"floor {k}").integer(85, 100) // 100) for k in floors),
            variety=knobs.made,
            share=-(-100 * max(units) // total) + stream("share").integer(0, 1),
            links=tuple(
                (i, j, part_of(f"link {i} {j}", units[j] or most[j]))
                for i, j in sorted(stream("link").sample(links, count))
            ),
            ratios=tuple(
                (i, j, 100 * units[i] // units[j] // 5 * 5) for i, j in sorted(stream("ratio").sample(ratios, count))
            ),
            batches=tuple(
                (i, max(2, part_of(f"batch {i}", units[i] or most[i])))
                for i in sorted(stream("batch").sample(free, count))
            ),
        )

    def form(self, d: ProductionMixData) -> AmountOf:
        # Wider than what is allowed, so that an answer can be wrong.
        most = d.most or tuple(
            min(have // row[i] for row, have in zip(d.use, d.available, strict=True) if row[i])
            for i in range(len(d.profit))
        )
        return AmountOf("product", tuple(m + m // 4 + 1 for m in most), "units")

    def core(self, d: ProductionMixData) -> list[Constraint[Units, Any]]:
        return [
            *(ResourceLimit(r, row, have) for r, (row, have) in enumerate(zip(d.use, d.available, strict=True))),
            *(MaxProduction(i, most) for i, most in enumerate(d.most)),
            *(MinProduction(i, least) for i, least in d.least),
        ]

    def objective(self, d: ProductionMixData) -> TotalProfit:
        return TotalProfit(d.profit)

    def inverted(self, d: ProductionMixData) -> ProfitForgone:
        return ProfitForgone(d.profit, d.most)

    def greedy(self, d: ProductionMixData, fits: Fits[Units]) -> Units:
        """What must be made, then as much as fits, from the best profit for the share of the resources used down."""
        answer: Units = Partial(dict.fromkeys(range(len(d.profit)), 0) | dict(d.least))

        def density(i: int) -> Fraction:
            share = sum(Fraction(row[i], have) for row, have in zip(d.use, d.available, strict=True))
            return d.profit[i] / (share or Fraction(1, 1000))

        most = self.form(d).most
        for i in sorted(answer, key=lambda i: -density(i)):
            for units in range(most[i], answer[i], -1):
                if fits(candidate := Partial({**answer, i: units})):
                    answer = candidate
                    break
        return answer

    def intro(self, d: ProductionMixData, names: Names) -> str:
        product, units, profit = names.word("product"), names.word("units"), names.word("profit")
        columns: dict[str, Sequence[object]] = {"profit": d.profit}
        told = [f"the {profit} that each of its {units} brings"]
        if d.most:
            columns["maximum"] = d.most
            told.append(f"its {names.word('maximum')} of {units}")
        if d.line:
            columns["line"] = [names.label("line", k) for k in d.line]
            told.append(f"its {names.word('line')}")
        said = " and ".join([", ".join(told[:-1]), told[-1]] if len(told) > 1 else told)
        needs = [[row[i] for row in d.use] for i in range(len(d.profit))]
        return (
            f"Decide how many whole {units} of every {product} to produce. The first table says of every {product}"
            f" {said}; the second, how much of every {names.word('resource')} each of its {units} uses.\n\n"
            f"{names.table('product', columns)}\n\n{names.matrix('product', needs, 'resource')}"
        )

    def entities(self, d: ProductionMixData) -> Mapping[str, int]:
        lines = {"line": 1 + max(d.line)} if d.line else {}
        return {"product": len(d.profit), "resource": len(d.available), **lines}

    def distracted(self, d: ProductionMixData, extra: int, stream: Stream) -> ProductionMixData:
        """Add resources of which there is more than of another one that every product needs at least as much of."""
        count, n = extra * len(d.available), len(d.profit)
        like = stream("like").integers(count, 0, len(d.available) - 1)
        less, more = stream("less").matrix(count, n, 0, 2), stream("more").integers(count, 1, 20)
        return replace(
            d,
            use=d.use
            + tuple(
                tuple(max(0, u - by) for u, by in zip(d.use[r], row, strict=True))
                for r, row in zip(like, less, strict=True)
            ),
            available=d.available + tuple(d.available[r] + by for r, by in zip(like, more, strict=True)),
        )

    def famous(self) -> Sequence[Famous[ProductionMixData]]:
        return FAMOUS

    def perturb(self, d: ProductionMixData, stream: Stream) -> ProductionMixData:
        """Change what is available by up to a third, and the profit of one product by up to a half."""
        changed = stream("product").integer(0, len(d.profit) - 1)
        other = max(1, d.profit[changed] * stream("profit").integer(50, 150) // 100)
        return replace(
            d,
            profit=tuple(other if i == changed else profit for i, profit in enumerate(d.profit)),
            available=tuple(
                max(1, have * stream(f"available {r}").integer(67, 133) // 100) for r, have in enumerate(d.available)
            ),
        )

    def sketch(self, instance: Instance) -> Panels:
        """Return the units of each product, and what they use of each resource."""
        d: ProductionMixData = instance.data  # type: ignore[assignment]
        names, units = instance.names, instance.answer
        products, resources = names.listed("product", len(d.profit)), names.listed("resource", len(d.available))
        word = {i: names.one("product", i) for i in products}
        made = stacked(
            [f"{word[i]} ({names.word('profit')} {d.profit[i]})" for i in products],
            [[(str(units[i]), units[i], word[i])] for i in products],
            f"{names.word('units')}; line: {names.word('maximum')}" if d.most else names.word("units"),
        )
        used = stacked(
            [names.one("resource", r) for r in resources],
            [[(names.label("product", i), d.use[r][i] * units[i], word[i]) for i in products] for r in resources],
            f"used by each {names.word('product')}; line: what there is",
        )
        return Panels(
            (
                limited(made, [d.most[i] for i in products]) if d.most else made,
                limited(used, [d.available[r] for r in resources]),
            )
        )
