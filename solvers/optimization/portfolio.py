"""Portfolio selection in whole lots with linear risk (Mansini, Ogryczak and Speranza 2015, chapters 2 and 4).

The constraint kinds are those of ConstraintBench's portfolio domain. Modules: ``min_if_invested``, ``sector_cap``,
``sector_floor``, ``group_cap``, ``group_floor``, ``combined_limit``, ``diversification``, ``liquidity``, ``mandatory``,
``exclusion``, ``conditional`` and ``risk``.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any, ClassVar

from solvers.constrained import Fits, Optimization
from solvers.keys import Stream
from solvers.names import Names
from solvers.problem import Constraint, Data, Instance, Knobs, Objective, ladder
from solvers.shapes import AmountOf, Partial
from solvers.sketches import Panels, limited, stacked

if TYPE_CHECKING:
    from ortools.sat.python import cp_model

Lots = Partial[int, int]  # asset -> lots
Pairs = tuple[tuple[int, int], ...]


@dataclass(frozen=True, kw_only=True)
class PortfolioKnobs(Knobs):
    assets: int
    sectors: int
    groups: int
    budget: int  # in lots
    held: int  # assets in the portfolio that is hidden in the data
    bounds: int  # caps and floors of each kind
    minimums: int
    links: int  # exclusions, conditions and combined limits, each


@dataclass(frozen=True)
class PortfolioData(Data):
    gain: tuple[int, ...]  # expected return of a lot in basis points, by asset
    risk: tuple[int, ...]  # by asset
    most: tuple[int, ...]  # by asset
    sector: tuple[int, ...]  # by asset
    group: tuple[int, ...]  # by asset
    liquid: tuple[bool, ...]  # by asset
    budget: int
    minimums: Pairs  # (asset, least lots if any)
    sector_caps: Pairs  # (sector, most lots)
    sector_floors: Pairs  # (sector, least lots)
    group_caps: Pairs
    group_floors: Pairs
    combined: tuple[tuple[int, int, int], ...]  # (asset, asset, most lots of both)
    least_assets: int
    least_liquid: int
    mandatory: Pairs  # (asset, least lots)
    exclusions: Pairs
    conditions: tuple[tuple[int, int, int], ...]  # (asset, the one that it needs, least lots of that one)
    most_risk: int

    def of_sector(self, sector: int) -> tuple[int, ...]:
        """Return the assets of a sector."""
        return tuple(i for i, s in enumerate(self.sector) if s == sector)

    def of_group(self, group: int) -> tuple[int, ...]:
        """Return the assets of a group."""
        return tuple(i for i, g in enumerate(self.group) if g == group)


@dataclass(frozen=True)
class Budget(Constraint[Lots, "list[cp_model.IntVar]"]):
    """The whole budget is invested; the slack is minus the lots too many or too few."""

    kind: ClassVar[str] = "budget"
    constraint_class: ClassVar[str] = "balance"
    hereditary: ClassVar[bool] = False
    assets: int
    limit: int

    def say(self, names: Names) -> str:
        return f"The {names.word('lots')} of all {names.all('asset')} together are exactly {self.limit}."

    def check(self, answer: Lots) -> int:
        return -abs(sum(answer[i] for i in range(self.assets)) - self.limit)

    def post(self, model: "cp_model.CpModel", x: "list[cp_model.IntVar]") -> None:
        model.add(sum(x) == self.limit)


@dataclass(frozen=True)
class MaxAllocation(Constraint[Lots, "list[cp_model.IntVar]"]):
    kind: ClassVar[str] = "max_allocation"
    constraint_class: ClassVar[str] = "domain"
    asset: int
    limit: int

    def say(self, names: Names) -> str:
        return f"The {names.word('lots')} of every {names.word('asset')} are at most its {names.word('maximum')}."

    def check(self, answer: Lots) -> int:
        return self.limit - answer[self.asset]

    def post(self, model: "cp_model.CpModel", x: "list[cp_model.IntVar]") -> None:
        model.add(x[self.asset] <= self.limit)


@dataclass(frozen=True)
class MinIfInvested(Constraint[Lots, "list[cp_model.IntVar]"]):
    kind: ClassVar[str] = "min_if_invested"
    constraint_class: ClassVar[str] = "logical"
    hereditary: ClassVar[bool] = False
    asset: int
    least: int

    def say(self, names: Names) -> str:
        return f"The {names.word('lots')} of {names.one('asset', self.asset)} are either 0 or at least {self.least}."

    def check(self, answer: Lots) -> int:
        return answer[self.asset] - self.least if answer[self.asset] else 0

    def vacuous(self, answer: Lots) -> bool:
        return answer.get(self.asset) == 0

    def post(self, model: "cp_model.CpModel", x: "list[cp_model.IntVar]") -> None:
        none = model.new_bool_var("none")
        model.add(x[self.asset] == 0).only_enforce_if(none)
        model.add(x[self.asset] >= self.least).only_enforce_if(~none)


@dataclass(frozen=True)
class Cap(Constraint[Lots, "list[cp_model.IntVar]"]):
    """Some assets hold at most so many lots together."""

    constraint_class: ClassVar[str] = "capacity"
    members: tuple[int, ...]
    limit: int

    def check(self, answer: Lots) -> int:
        return self.limit - sum(answer[i] for i in self.members)

    def post(self, model: "cp_model.CpModel", x: "list[cp_model.IntVar]") -> None:
        model.add(sum(x[i] for i in self.members) <= self.limit)


@dataclass(frozen=True)
class Floor(Constraint[Lots, "list[cp_model.IntVar]"]):
    """Some assets hold at least so many lots together."""

    constraint_class: ClassVar[str] = "capacity"
    hereditary: ClassVar[bool] = False
    members: tuple[int, ...]
    limit: int

    def check(self, answer: Lots) -> int:
        return sum(answer[i] for i in self.members) - self.limit

    def post(self, model: "cp_model.CpModel", x: "list[cp_model.IntVar]") -> None:
        model.add(sum(x[i] for i in self.members) >= self.limit)


def together(names: Names, of: str) -> str:
    """Return how a sentence on the lots of several assets begins."""
    return f"The {names.word('lots')} of {of} together are"


@dataclass(frozen=True)
class SectorCap(Cap):
    kind: ClassVar[str] = "sector_cap"
    sector: int

    def say(self, names: Names) -> str:
        of = f"the {names.all('asset')} of {names.one('sector', self.sector)}"
        return f"{together(names, of)} at most {self.limit}."


@dataclass(frozen=True)
class SectorFloor(Floor):
    kind: ClassVar[str] = "sector_floor"
    sector: int

    def say(self, names: Names) -> str:
        of = f"the {names.all('asset')} of {names.one('sector', self.sector)}"
        return f"{together(names, of)} at least {self.limit}."


@dataclass(frozen=True)
class GroupCap(Cap):
    kind: ClassVar[str] = "group_cap"
    group: int

    def say(self, names: Names) -> str:
        of = f"the {names.all('asset')} of {names.one('group', self.group)}"
        return f"{together(names, of)} at most {self.limit}."


@dataclass(frozen=True)
class GroupFloor(Floor):
    kind: ClassVar[str] = "group_floor"
    group: int

    def say(self, names: Names) -> str:
        of = f"the {names.all('asset')} of {names.one('group', self.group)}"
        return f"{together(names, of)} at least {self.limit}."


@dataclass(frozen=True)
class CombinedLimit(Cap):
    kind: ClassVar[str] = "combined_limit"

    def say(self, names: Names) -> str:
        return f"{together(names, names.several('asset', self.members))} at most {self.limit}."


@dataclass(frozen=True)
class Liquidity(Floor):
    kind: ClassVar[str] = "liquidity"

    def say(self, names: Names) -> str:
        of = f"the {names.word('liquid')} {names.all('asset')}"
        return f"{together(names, of)} at least {self.limit}."


@dataclass(frozen=True)
class Mandatory(Constraint[Lots, "list[cp_model.IntVar]"]):
    kind: ClassVar[str] = "mandatory"
    constraint_class: ClassVar[str] = "domain"
    hereditary: ClassVar[bool] = False
    asset: int
    limit: int

    def say(self, names: Names) -> str:
        return f"The {names.word('lots')} of {names.one('asset', self.asset)} are at least {self.limit}."

    def check(self, answer: Lots) -> int:
        return answer[self.asset] - self.limit

    def post(self, model: "cp_model.CpModel", x: "list[cp_model.IntVar]") -> None:
        model.add(x[self.asset] >= self.limit)


@dataclass(frozen=True)
class Diversification(Constraint[Lots, "list[cp_model.IntVar]"]):
    kind: ClassVar[str] = "diversification"
    constraint_class: ClassVar[str] = "structure"
    hereditary: ClassVar[bool] = False
    assets: int
    limit: int

    def say(self, names: Names) -> str:
        return f"At least {self.limit} {names.all('asset')} have 1 or more {names.word('lots')} each."

    def check(self, answer: Lots) -> int:
        return sum(answer[i] > 0 for i in range(self.assets)) - self.limit

    def post(self, model: "cp_model.CpModel", x: "list[cp_model.IntVar]") -> None:
        counted = [model.new_bool_var(f"counted{i}") for i in range(self.assets)]
        for i, variable in enumerate(counted):
            model.add(x[i] >= variable)
        model.add(sum(counted) >= self.limit)


@dataclass(frozen=True)
class Exclusion(Constraint[Lots, "list[cp_model.IntVar]"]):
    kind: ClassVar[str] = "exclusion"
    constraint_class: ClassVar[str] = "logical"
    pair: tuple[int, int]

    def say(self, names: Names) -> str:
        return f"Of {names.several('asset', self.pair)} at most one has 1 or more {names.word('lots')}."

    def check(self, answer: Lots) -> int:
        first, second = (answer[i] for i in self.pair)
        return 0 if first == 0 or second == 0 else -1

    def post(self, model: "cp_model.CpModel", x: "list[cp_model.IntVar]") -> None:
        which = model.new_bool_var("which")
        model.add(x[self.pair[0]] == 0).only_enforce_if(which)
        model.add(x[self.pair[1]] == 0).only_enforce_if(~which)


@dataclass(frozen=True)
class Conditional(Constraint[Lots, "list[cp_model.IntVar]"]):
    kind: ClassVar[str] = "conditional"
    constraint_class: ClassVar[str] = "logical"
    hereditary: ClassVar[bool] = False
    asset: int
    needed: int
    least: int

    def say(self, names: Names) -> str:
        asset, needed, lots = names.one("asset", self.asset), names.one("asset", self.needed), names.word("lots")
        return f"If {asset} has 1 or more {lots}, {needed} has at least {self.least}."

    def check(self, answer: Lots) -> int:
        spare = answer[self.needed] - self.least
        return spare if answer[self.asset] > 0 else max(spare, 0)

    def vacuous(self, answer: Lots) -> bool:
        return answer.get(self.asset) == 0

    def post(self, model: "cp_model.CpModel", x: "list[cp_model.IntVar]") -> None:
        none = model.new_bool_var("none")
        model.add(x[self.asset] == 0).only_enforce_if(none)
        model.add(x[self.needed] >= self.least).only_enforce_if(~none)


@dataclass(frozen=True)
class Risk(Constraint[Lots, "list[cp_model.IntVar]"]):
    kind: ClassVar[str] = "risk"
    constraint_class: ClassVar[str] = "capacity"
    risk: tuple[int, ...]
    limit: int

    def say(self, names: Names) -> str:
        lots, risk = names.word("lots"), names.word("risk")
        return f"The total {risk} ({lots} times {risk}, summed over all {names.all('asset')}) is at most {self.limit}."

    def check(self, answer: Lots) -> int:
        return self.limit - sum(risk * answer[i] for i, risk in enumerate(self.risk))

    def post(self, model: "cp_model.CpModel", x: "list[cp_model.IntVar]") -> None:
        model.add(sum(risk * lots for risk, lots in zip(self.risk, x, strict=True)) <= self.limit)


@dataclass(frozen=True)
class TotalReturn(Objective[Lots, "list[cp_model.IntVar]"]):
    direction: ClassVar[Any] = "max"
    gain: tuple[int, ...]

    def noun(self, names: Names) -> str:
        lots, gain = names.word("lots"), names.word("return")
        return f"the total {gain} ({lots} times {gain}, summed over all {names.all('asset')})"

    def of(self, answer: Lots) -> int:
        return sum(gain * answer[i] for i, gain in enumerate(self.gain))

    def post(self, model: "cp_model.CpModel", x: "list[cp_model.IntVar]") -> Any:
        return sum(gain * lots for gain, lots in zip(self.gain, x, strict=True))


@dataclass(frozen=True)
class ReturnForgone(Objective[Lots, "list[cp_model.IntVar]"]):
    """The mirror of the total return: what is missing to as many lots as allowed of every asset."""

    direction: ClassVar[Any] = "min"
    gain: tuple[int, ...]
    most: tuple[int, ...]

    def noun(self, names: Names) -> str:
        asset, gain = names.word("asset"), names.word("return")
        return (
            f"the total {gain} forgone (for every {asset} its {gain} times the {names.word('lots')} by which it stays"
            f" below its {names.word('maximum')}, summed)"
        )

    def of(self, answer: Lots) -> int:
        return sum(gain * (self.most[i] - answer[i]) for i, gain in enumerate(self.gain))

    def post(self, model: "cp_model.CpModel", x: "list[cp_model.IntVar]") -> Any:
        full = sum(gain * most for gain, most in zip(self.gain, self.most, strict=True))
        return full - sum(gain * lots for gain, lots in zip(self.gain, x, strict=True))


class Portfolio(Optimization[PortfolioData, Lots, "list[cp_model.IntVar]"]):
    name: ClassVar[str] = "portfolio"
    version: ClassVar[int] = 1
    title: ClassVar[str] = "Portfolio selection"
    data = PortfolioData
    sizes: ClassVar[Any] = ladder(
        PortfolioKnobs,
        assets=(5, 8, 14, 20, 28),
        sectors=(2, 3, 5, 6, 8),
        groups=(2, 2, 4, 5, 6),
        budget=(12, 30, 80, 120, 160),
        held=(4, 6, 10, 14, 19),
        bounds=(1, 1, 2, 2, 3),
        minimums=(1, 2, 4, 6, 8),
        links=(1, 1, 2, 3, 4),
    )
    core_kinds: ClassVar[tuple[str, ...]] = ("budget", "max_allocation")
    modules: ClassVar[Any] = {
        "min_if_invested": lambda d: [MinIfInvested(i, least) for i, least in d.minimums],
        "sector_cap": lambda d: [SectorCap(d.of_sector(s), limit, s) for s, limit in d.sector_caps],
        "sector_floor": lambda d: [SectorFloor(d.of_sector(s), limit, s) for s, limit in d.sector_floors],
        "group_cap": lambda d: [GroupCap(d.of_group(g), limit, g) for g, limit in d.group_caps],
        "group_floor": lambda d: [GroupFloor(d.of_group(g), limit, g) for g, limit in d.group_floors],
        "combined_limit": lambda d: [CombinedLimit((i, j), limit) for i, j, limit in d.combined],
        "diversification": lambda d: [Diversification(len(d.gain), d.least_assets)],
        "liquidity": lambda d: [Liquidity(tuple(i for i, yes in enumerate(d.liquid) if yes), d.least_liquid)],
        "mandatory": lambda d: [Mandatory(i, limit) for i, limit in d.mandatory],
        "exclusion": lambda d: [Exclusion(pair) for pair in d.exclusions],
        "conditional": lambda d: [Conditional(i, needed, least) for i, needed, least in d.conditions],
        "risk": lambda d: [Risk(d.risk, d.most_risk)],
    }
    target_share: ClassVar[Fraction] = Fraction(95, 100)

    def draw(self, knobs: PortfolioKnobs, stream: Stream) -> PortfolioData:
        """Hide a portfolio in the data that keeps every rule; rules touch it, and hold back what pays more."""
        n, budget = knobs.assets, knobs.budget
        risk = stream("risk").integers(n, 2, 30)
        # Returns follow the risks, so that no asset is obviously good.
        gain = tuple(150 + 30 * r + extra for r, extra in zip(risk, stream("gain").integers(n, -120, 120), strict=True))
        sector = tuple(stream("sector").shuffled([i % knobs.sectors for i in range(n)]))
        group = tuple(stream("group").shuffled([i % knobs.groups for i in range(n)]))
        lots = self.hidden(knobs, sector, stream("held"))
        held = [i for i in range(n) if lots[i]]
        share = budget // knobs.held
        room = stream("room").integers(n, 1, share // 2 + 1)
        most = tuple(lots[i] + room[i] if lots[i] else share // 2 + room[i] for i in range(n))

        def tolerance(part: str, count: int) -> tuple[int, ...]:
            return stream(part).integers(count, 0, max(1, budget // 20))

        def bounds(part: str, of: tuple[int, ...]) -> tuple[Pairs, Pairs]:
            """Return caps of the places that pay most and floors of those that pay least."""
            places = range(max(of) + 1)
            inside = [sum(lots[i] for i in range(n) if of[i] == p) for p in places]
            full = [sum(most[i] for i in range(n) if of[i] == p) for p in places]
            mean = [Fraction(sum(gain[i] for i in range(n) if of[i] == p), of.count(p)) for p in places]
            poor = sorted((p for p in places if inside[p]), key=lambda p: mean[p])[: knobs.bounds]
            rich = sorted((p for p in places if p not in poor), key=lambda p: -mean[p])[: knobs.bounds]
            over, under = tolerance(f"{part} cap", knobs.bounds), tolerance(f"{part} floor", knobs.bounds)
            caps = ((p, min(inside[p] + more, full[p] - 1)) for p, more in zip(rich, over, strict=True))
            floors = ((p, max(inside[p] - less, 1)) for p, less in zip(poor, under, strict=True))
            return tuple(sorted(caps)), tuple(sorted(floors))

        sector_caps, sector_floors = bounds("sector", sector)
        group_caps, group_floors = bounds("group", group)
        mandatory = sorted(sorted(held, key=lambda i: gain[i])[: knobs.bounds])
        free = [i for i in range(n) if i not in mandatory]
        small = sorted(stream("minimum").sample(free, knobs.minimums))

        def attractive(part: str, pairs: list[tuple[int, int]], worth: Callable[[int, int], int]) -> Pairs:
            ranked = sorted(pairs, key=lambda pair: -worth(*pair))[: max(knobs.links, len(pairs) // 2)]
            return tuple(sorted(stream(part).sample(ranked, knobs.links)))

        def both(i: int, j: int) -> int:
            return gain[i] + gain[j]

        pairs = [(i, j) for i in free for j in free if i < j]
        exclusions = attractive("exclusion", [p for p in pairs if not (lots[p[0]] and lots[p[1]])], both)
        others = [p for p in pairs if p not in exclusions and (lots[p[0]] or lots[p[1]])]
        combined = attractive("combined", others, both)
        # An asset that pays less is needed for one that pays more.
        needs = [(i, j) for i in free for j in free if gain[i] > gain[j] and (lots[j] or not lots[i])]
        needs = [(i, j) for i, j in needs if (min(i, j), max(i, j)) not in exclusions]
        conditions = attractive("condition", needs, lambda i, j: gain[i] - gain[j])

        def part_of(part: str, whole: int) -> int:
            return stream(part).integer(max(1, whole // 2), whole)

        calm = sorted(held, key=lambda i: risk[i])[0]
        tame = sorted(range(n), key=lambda i: risk[i])[: 1 + n * 3 // 5]
        liquid = {calm, *stream("liquid").sample(tame, n * 2 // 5)}
        return PortfolioData(
            gain=gain,
            risk=risk,
            most=most,
            sector=sector,
            group=group,
            liquid=tuple(i in liquid for i in range(n)),
            budget=budget,
            minimums=tuple((i, max(2, part_of(f"minimum {i}", lots[i] or most[i]))) for i in small),
            sector_caps=sector_caps,
            sector_floors=sector_floors,
            group_caps=group_caps,
            group_floors=group_floors,
            combined=tuple(
                (i, j, lots[i] + lots[j] + more)
                for (i, j), more in zip(combined, stream("more").integers(knobs.links, 0, 1), strict=True)
            ),
            least_assets=len(held),
            least_liquid=max(1, sum(lots[i] for i in liquid) - tolerance("liquidity", 1)[0]),
            mandatory=tuple((i, part_of(f"mandatory {i}", lots[i])) for i in mandatory),
            exclusions=exclusions,
            conditions=tuple((i, j, part_of(f"condition {i} {j}", lots[j] or most[j])) for i, j in conditions),
            most_risk=sum(r * lots[i] for i, r in enumerate(risk)) + 4 * tolerance("risk", 1)[0],
        )

    def hidden(self, knobs: PortfolioKnobs, sector: tuple[int, ...], stream: Stream) -> tuple[int, ...]:
        """Return the lots of a portfolio that invests the budget in some assets of every sector."""
        order = stream("order").shuffled(range(knobs.assets))
        firsts = [next(i for i in order if sector[i] == s) for s in range(knobs.sectors)]
        held = [*firsts, *(i for i in order if i not in firsts)][: knobs.held]
        weight = stream("weight").integers(knobs.held, 1, 9)
        spare = knobs.budget - 2 * knobs.held
        lots = [0] * knobs.assets
        for i, w in zip(held, weight, strict=True):
            lots[i] = 2 + spare * w // sum(weight)
        lots[held[0]] += knobs.budget - sum(lots)
        return tuple(lots)

    def form(self, d: PortfolioData) -> AmountOf:
        # Wider than what is allowed, so that an answer can be wrong.
        return AmountOf("asset", tuple(most + most // 4 + 1 for most in d.most), "lots")

    def core(self, d: PortfolioData) -> list[Constraint[Lots, Any]]:
        return [Budget(len(d.gain), d.budget), *(MaxAllocation(i, most) for i, most in enumerate(d.most))]

    def objective(self, d: PortfolioData) -> TotalReturn:
        return TotalReturn(d.gain)

    def inverted(self, d: PortfolioData) -> ReturnForgone:
        return ReturnForgone(d.gain, d.most)

    def greedy(self, d: PortfolioData, fits: Fits[Lots]) -> Lots:
        """From the best return down, as many lots as the ceilings allow until the budget is spent."""
        answer: Lots = Partial(dict.fromkeys(range(len(d.gain)), 0))
        left = d.budget
        for i in sorted(answer, key=lambda i: -d.gain[i]):
            for lots in range(min(left, d.most[i]), 0, -1):
                if fits(candidate := Partial({**answer, i: lots})):
                    answer, left = candidate, left - lots
                    break
        return answer

    def intro(self, d: PortfolioData, names: Names) -> str:
        lots, assets = names.word("lots"), names.all("asset")
        columns = {
            "return": d.gain,
            "risk": d.risk,
            "maximum": d.most,
            "sector": [names.label("sector", s) for s in d.sector],
            "group": [names.label("group", g) for g in d.group],
            "liquid": ["yes" if yes else "no" for yes in d.liquid],
        }
        return (
            f"Divide a budget over these {assets} in whole {lots} of $1,000 each. The table says of every"
            f" {names.word('asset')} the expected {names.word('return')} of each of its {lots} (in basis points), its"
            f" {names.word('risk')} score, its {names.word('maximum')} of {lots}, its {names.word('sector')} and"
            f" {names.word('group')}, and whether it is {names.word('liquid')}.\n\n{names.table('asset', columns)}"
        )

    def entities(self, d: PortfolioData) -> Mapping[str, int]:
        return {"asset": len(d.gain), "sector": 1 + max(d.sector), "group": 1 + max(d.group)}

    def sketch(self, instance: Instance) -> Panels:
        """Return the lots of each asset with its maximum, and all lots with the budget, coloured by sector."""
        d: PortfolioData = instance.data  # type: ignore[assignment]
        names, lots = instance.names, instance.answer
        assets, sector = names.listed("asset", len(d.gain)), [names.one("sector", s) for s in d.sector]
        held = sorted(assets, key=lambda i: d.sector[i])
        parts = [[(str(lots[i]), lots[i], sector[i])] for i in assets]
        word = names.word("lots")
        rows = [f"{names.one('asset', i)} ({names.word('return')} {d.gain[i]})" for i in assets]
        each = stacked(rows, parts, f"{word}; line: {names.word('maximum')}")
        whole = stacked(
            ["all"], [[(names.label("asset", i), lots[i], sector[i]) for i in held]], f"{word}; line: budget"
        )
        return Panels((limited(each, [d.most[i] for i in assets]), limited(whole, [d.budget])))
