"""MATPOWER case files (Zimmerman et al. 2011), as PGLib-OPF uses them: numbers of a power network, no statements."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

from solvers.formats.common import MAX_ENTITIES, FormatError, Row, counted, integer, lines, number, quoted

TABLES = ("bus", "gen", "branch", "gencost")

_SET = re.compile(r"mpc\.([A-Za-z_0-9]+)\s*(=?)(.*)", re.DOTALL)
_NAME = re.compile(r"function\s+mpc\s*=\s*([A-Za-z_0-9]+)")
_BREAK = re.compile(r"[\s,]+")


@dataclass(frozen=True)
class Bus:
    """MW and MVAr at nominal voltage; kV, degrees, per unit. ``kind``: 1 PQ, 2 PV, 3 reference, 4 isolated."""

    number: int
    kind: int
    load: Fraction
    reactive_load: Fraction
    shunt: Fraction
    reactive_shunt: Fraction
    area: Fraction
    voltage: Fraction
    angle: Fraction
    base_kv: Fraction
    zone: Fraction
    voltage_max: Fraction
    voltage_min: Fraction


@dataclass(frozen=True)
class Generator:
    """MW and MVAr. ``on``: whether it is in service."""

    bus: int
    on: bool
    output: Fraction
    reactive: Fraction
    reactive_max: Fraction
    reactive_min: Fraction
    voltage: Fraction
    base_mva: Fraction
    output_max: Fraction
    output_min: Fraction


@dataclass(frozen=True)
class Branch:
    """Per unit, MVA and degrees. A rate of 0 is no limit; a ``ratio`` of 0 is a line, which has none."""

    start: int
    end: int
    on: bool
    resistance: Fraction
    reactance: Fraction
    charging: Fraction
    rate_a: Fraction
    rate_b: Fraction
    rate_c: Fraction
    ratio: Fraction
    shift: Fraction
    angle_min: Fraction
    angle_max: Fraction


@dataclass(frozen=True)
class Cost:
    """Cost per hour of a generator's output in MW.

    ``coefficients``: of a polynomial, the highest power first (model 2). ``points``: (MW, cost) of a piecewise linear
    function (model 1). One of the two is empty.
    """

    startup: Fraction
    shutdown: Fraction
    coefficients: tuple[Fraction, ...]
    points: tuple[tuple[Fraction, Fraction], ...]


@dataclass(frozen=True)
class Case:
    """``costs``: of active power, by generator; empty where the file has none."""

    name: str
    base_mva: Fraction
    buses: tuple[Bus, ...]
    generators: tuple[Generator, ...]
    branches: tuple[Branch, ...]
    costs: tuple[Cost, ...]


def read_case(text: str) -> Case:
    """Return a MATPOWER case: its base, buses, generators, branches and costs; other fields are left out.

    Raises FormatError, for statements that compute too: only numbers are read.
    """
    name, base, tables, last = _matrices(text)
    for table in TABLES[:3]:
        if table not in tables:
            raise FormatError(last, f"the matrix mpc.{table}", "the end of the file")
    if base is None:
        raise FormatError(last, "mpc.baseMVA", "the end of the file")
    buses = tuple(_bus(row) for row in tables["bus"])
    numbers: set[int] = set()
    for row, bus in zip(tables["bus"], buses, strict=True):
        if bus.number in numbers:
            raise FormatError(row.line, "each bus once", f"bus {bus.number} again")
        numbers.add(bus.number)
    for table, ends in (("gen", 1), ("branch", 2)):
        for row in tables[table]:
            for word in row.words[:ends]:
                if integer(word, row.line, "a bus number") not in numbers:
                    raise FormatError(row.line, "the number of a bus", quoted(word))
    generators = tuple(_generator(row) for row in tables["gen"])
    costs = tables.get("gencost", [])
    if len(costs) not in (0, len(generators), 2 * len(generators)):
        raise FormatError(costs[-1].line, f"costs of {counted(len(generators), 'generator')}", str(len(costs)))
    return Case(
        name,
        base,
        buses,
        generators,
        tuple(_branch(row) for row in tables["branch"]),
        tuple(_cost(row) for row in costs[: len(generators)]),
    )


def _matrices(text: str) -> tuple[str, Fraction | None, dict[str, list[Row]], int]:
    """Return the case's name, its base, the rows of its matrices and the last line."""
    name, base = "", None
    tables: dict[str, list[Row]] = {}
    source = ((line, code.split("%", 1)[0].strip()) for line, code in lines(text))
    for line, code in source:
        if found := _NAME.match(code):
            name = found[1]
        assigned = _SET.match(code)
        if assigned is None or assigned[1] not in ("baseMVA", *TABLES):
            continue
        field, equals, value = assigned.groups()
        if not equals:
            raise FormatError(line, f"mpc.{field} = numbers", "a statement")
        if field in tables or (field == "baseMVA" and base is not None):
            raise FormatError(line, f"mpc.{field} once", "it again")
        if field == "baseMVA":
            base = Fraction(number(value.strip().removesuffix(";").strip(), line, "a number for mpc.baseMVA"))
        elif not value.strip().startswith("["):
            raise FormatError(line, f"'[' and the rows of mpc.{field}", quoted(value.strip()))
        else:
            tables[field] = _matrix(line, value.strip()[1:], source)
    return name, base, tables, text.count("\n") + 1


def _matrix(line: int, code: str, source: Iterator[tuple[int, str]]) -> list[Row]:
    """Return the rows of a matrix up to its bracket; ``code`` is what its first line holds."""
    table: list[Row] = []
    pending: list[str] = []  # of a row that goes on in the next line
    while True:
        code, bracket, rest = code.partition("]")
        if bracket and rest.strip() not in ("", ";"):
            raise FormatError(line, "the end of the matrix", quoted(rest.strip()))
        code, continued, _ = code.partition("...")
        for i, part in enumerate(code.split(";")):
            if i:
                _add(table, pending, line)
            pending.append(part)
        if bracket or not continued:
            _add(table, pending, line)
        if bracket:
            return table
        following = next(source, None)
        if following is None:
            raise FormatError(line, "']' at the end of a matrix", "the end of the file")
        line, code = following


def _add(table: list[Row], parts: list[str], line: int) -> None:
    """Move the parts of a row, if there are any words in them, to the table."""
    words = tuple(word for word in _BREAK.split(" ".join(parts)) if word)
    parts.clear()
    if words and len(table) == MAX_ENTITIES:
        raise FormatError(line, f"at most {MAX_ENTITIES} rows", "one more")
    if words:
        table.append(Row(line, words))


def _columns(row: Row, names: str) -> list[Fraction]:
    """Return the columns that a row must have at least; those behind them may hold anything (Inf, multipliers)."""
    expected = names.split()
    if len(row.words) < len(expected):
        raise FormatError(row.line, f"at least {len(expected)} columns ({', '.join(expected)})", str(len(row.words)))
    return [Fraction(number(word, row.line, name)) for word, name in zip(row.words, expected, strict=False)]


def _bus(row: Row) -> Bus:
    columns = _columns(row, "bus type Pd Qd Gs Bs area Vm Va baseKV zone Vmax Vmin")
    which = integer(row.words[0], row.line, "a bus number")
    return Bus(which, integer(row.words[1], row.line, "a bus type", 1, 4), *columns[2:])


def _generator(row: Row) -> Generator:
    columns = _columns(row, "bus Pg Qg Qmax Qmin Vg mBase status Pmax Pmin")
    bus = integer(row.words[0], row.line, "a bus number")
    return Generator(bus, columns[7] > 0, *columns[1:7], *columns[8:])


def _branch(row: Row) -> Branch:
    columns = _columns(row, "fbus tbus r x b rateA rateB rateC ratio angle status angmin angmax")
    start, end = (integer(word, row.line, "a bus number") for word in row.words[:2])
    return Branch(start, end, columns[10] > 0, *columns[2:10], *columns[11:])


def _cost(row: Row) -> Cost:
    _, startup, shutdown, _ = _columns(row, "model startup shutdown n")
    model = integer(row.words[0], row.line, "a cost model", 1, 2)
    count = integer(row.words[3], row.line, "the number of coefficients or points", 1, 1_000)
    width = count if model == 2 else 2 * count
    stated = row.words[4 : 4 + width]
    if len(stated) < width:
        raise FormatError(row.line, f"{counted(width, 'number')} behind n", str(len(stated)))
    values = tuple(Fraction(number(word, row.line, "a coefficient or a point")) for word in stated)
    if model == 2:
        return Cost(startup, shutdown, values, ())
    return Cost(startup, shutdown, (), tuple(zip(values[::2], values[1::2], strict=True)))
