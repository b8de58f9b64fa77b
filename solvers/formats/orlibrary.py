"""OR-Library (Beasley 1990) files: knapsacks, assignment, bins, covers and warehouses; and Scholl's bins."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from solvers.formats.common import MAX_NODES, Number, Numbers, Row, rows

MAX_PROBLEMS = 1_000
MAX_ROWS = 10_000

P = TypeVar("P")


@dataclass(frozen=True)
class MultiKnapsack:
    """Maximise ``value`` under each row of ``weight`` <= ``capacity``. ``best``: as the file states, None for 0."""

    value: tuple[Number, ...]
    weight: tuple[tuple[Number, ...], ...]
    capacity: tuple[Number, ...]
    best: Number | None


@dataclass(frozen=True)
class Assignment:
    """``cost`` by worker, by task."""

    cost: tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class GeneralizedAssignment:
    """``cost`` and ``resource`` by agent, by job; ``capacity`` by agent.

    The format doesn't say whether ``cost`` is to be minimised or maximised: files gap1 to gap12 are maximised.
    """

    cost: tuple[tuple[int, ...], ...]
    resource: tuple[tuple[int, ...], ...]
    capacity: tuple[int, ...]


@dataclass(frozen=True)
class BinPacking:
    """``best``: the number of bins of the best solution known, as the file states; None where the format has none."""

    name: str
    size: tuple[Number, ...]
    capacity: Number
    best: int | None


@dataclass(frozen=True)
class SetCover:
    """``cost`` by column; ``rows``: the columns that cover each row."""

    cost: tuple[int, ...]
    rows: tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class Warehouses:
    """``capacity`` and ``fixed`` by warehouse, ``demand`` by customer.

    ``cost``: by customer, by warehouse, of serving *all* demand of the customer from there.
    """

    capacity: tuple[Number, ...]
    fixed: tuple[Number, ...]
    demand: tuple[Number, ...]
    cost: tuple[tuple[Number, ...], ...]


def _whole(text: str, read: Callable[[Numbers], P]) -> P:
    source = Numbers(rows(text))
    problem = read(source)
    source.finish()
    return problem


def _several(text: str, read: Callable[[Numbers], P]) -> tuple[P, ...]:
    return _whole(text, lambda source: tuple([read(source) for _ in range(source.count("problems", 1, MAX_PROBLEMS))]))


def read_mknap(text: str) -> tuple[MultiKnapsack, ...]:
    """Return the multi-dimensional knapsacks of a file: mknap1 and mknapcb*, or a single one without their number.

    Raises FormatError.
    """
    first: Row | None = next(iter(rows(text)), None)
    if first is not None and len(first.words) > 1:
        return (_whole(text, _multi_knapsack),)
    return _several(text, _multi_knapsack)


def _multi_knapsack(source: Numbers) -> MultiKnapsack:
    n = source.count("items", 1, MAX_ROWS)
    m = source.count("constraints", 1, MAX_ROWS)
    best = source.number("the best value known, or 0")
    return MultiKnapsack(
        value=source.numbers(n, "a value"),
        weight=tuple(source.numbers(n, "a weight") for _ in range(m)),
        capacity=source.numbers(m, "a capacity"),
        best=best or None,
    )


def read_assign(text: str) -> Assignment:
    """Return a file assign*: the number of workers, then a square matrix of costs. Raises FormatError."""
    return _whole(text, lambda source: Assignment(_matrix(source, source.count("workers", 1, MAX_NODES))))


def _matrix(source: Numbers, n: int) -> tuple[tuple[int, ...], ...]:
    return tuple(source.integers(n, "a cost") for _ in range(n))


def read_gap(text: str) -> tuple[GeneralizedAssignment, ...]:
    """Return the generalised assignment problems of a file gap*. Raises FormatError."""
    return _several(text, _generalized)


def _generalized(source: Numbers) -> GeneralizedAssignment:
    agents = source.count("agents", 1, MAX_ROWS)
    jobs = source.count("jobs", 1, MAX_ROWS)
    return GeneralizedAssignment(
        cost=tuple(source.integers(jobs, "a cost") for _ in range(agents)),
        resource=tuple(source.integers(jobs, "a resource") for _ in range(agents)),
        capacity=source.integers(agents, "a capacity"),
    )


def read_binpack(text: str) -> tuple[BinPacking, ...]:
    """Return the bin packing problems of a file binpack*. Raises FormatError."""
    return _several(text, _binpack)


def _binpack(source: Numbers) -> BinPacking:
    name = source.word("a problem's name")
    capacity = source.number("the capacity")
    items = source.count("items", 1, MAX_ROWS)
    best = source.integer("the number of bins in the best solution known", 0, items)
    return BinPacking(name, source.numbers(items, "a size"), capacity, best)


def read_bpp(text: str) -> BinPacking:
    """Return a file of Scholl, Klein and Juergens (1997): number of items, capacity, sizes. Raises FormatError."""
    return _whole(text, _bpp)


def _bpp(source: Numbers) -> BinPacking:
    items = source.count("items", 1, MAX_ROWS)
    capacity = source.number("the capacity")
    return BinPacking("", source.numbers(items, "a size"), capacity, None)


def read_scp(text: str) -> SetCover:
    """Return a file scp*: rows and columns, costs, then of each row how many columns cover it and which.

    Raises FormatError.
    """
    return _whole(text, _set_cover)


def _set_cover(source: Numbers) -> SetCover:
    m = source.count("rows")
    n = source.count("columns")
    cost = source.integers(n, "a cost")
    covered = []
    for _ in range(m):
        by = source.count("columns that cover the row", 1, n)
        covered.append(tuple(column - 1 for column in source.integers(by, "a column", 1, n)))
    return SetCover(cost, tuple(covered))


def read_cap(text: str) -> Warehouses:
    """Return a file cap*: warehouses and customers, capacity and fixed cost of each warehouse, demand and costs of each
    customer. Files capa, capb and capc name no capacity: write one in. Raises FormatError."""
    return _whole(text, _warehouses)


def _warehouses(source: Numbers) -> Warehouses:
    m = source.count("warehouses", 1, MAX_ROWS)
    n = source.count("customers", 1, MAX_ROWS)
    stated = [source.numbers(2, "a capacity and a fixed cost") for _ in range(m)]
    demand, cost = [], []
    for _ in range(n):
        demand.append(source.number("a demand"))
        cost.append(source.numbers(m, "the cost of a customer's whole demand"))
    return Warehouses(tuple(c for c, _ in stated), tuple(f for _, f in stated), tuple(demand), tuple(cost))
