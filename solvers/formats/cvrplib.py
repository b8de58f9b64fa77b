"""CVRPLIB (Uchoa et al. 2017) and Solomon's layout (1987): vehicle routing with capacities and time windows."""

import re
from dataclasses import dataclass
from functools import partial

from solvers.formats.common import (
    LARGEST,
    MAX_NODES,
    FormatError,
    Row,
    counted,
    integer,
    is_number,
    number,
    quoted,
    rows,
)
from solvers.formats.tsplib import Matrix, Specification, by_node, cut, distances, planar, specification

Window = tuple[int, int]

_SECTIONS = {
    "NODE_COORD_SECTION",
    "EDGE_WEIGHT_SECTION",
    "DISPLAY_DATA_SECTION",
    "DEMAND_SECTION",
    "DEPOT_SECTION",
    "TIME_WINDOW_SECTION",
    "SERVICE_TIME_SECTION",
}


@dataclass(frozen=True)
class VehicleRouting:
    """Node 0 is the depot; the customers follow in the order of the file.

    ``vehicles``: the number that the file names, None where it names none (a CVRPLIB file names the least number that
    the demand allows). ``windows``: by node, earliest and latest start of service, None where the format has none.
    Distances, windows and service times are in units of ``1 / scale`` of the file's.
    """

    name: str
    comment: str
    matrix: Matrix
    demand: tuple[int, ...]
    capacity: int
    vehicles: int | None
    windows: tuple[Window, ...] | None
    service: tuple[int, ...]
    scale: int = 1


def read_cvrp(text: str) -> VehicleRouting:
    """Return a .vrp file: capacities, time windows, service times. Raises FormatError, for other restrictions too."""
    spec = specification(text)
    if "TYPE" in spec.keywords:
        spec.choice("TYPE", ("CVRP", "VRPTW", "CVRPTW"))
    spec.refuse(["DISTANCE", *(key for key in spec.keywords if key.startswith("VEHICLES_"))])
    spec.refuse(name for name in spec.sections if name not in _SECTIONS)
    matrix = distances(spec)
    n = len(matrix)
    depot = _depot(spec, n)
    order = [depot, *(node for node in range(n) if node != depot)]
    demand = _by_node(spec, "DEMAND_SECTION", n)
    if demand[depot]:
        raise FormatError(spec.section("DEMAND_SECTION")[0], "a demand of 0 at the depot", str(demand[depot]))
    windows = _windows(spec, n)
    service = _service(spec, n)
    return VehicleRouting(
        name=spec.value("NAME", ""),
        comment=spec.value("COMMENT", ""),
        matrix=tuple(tuple(matrix[i][j] for j in order) for i in order),
        demand=tuple(demand[i] for i in order),
        capacity=spec.integer("CAPACITY", 0, LARGEST),
        vehicles=_vehicles(spec),
        windows=windows and tuple(windows[i] for i in order),
        service=tuple(service[i] if i != depot else 0 for i in order),
    )


def _by_node(spec: Specification, name: str, n: int) -> list[int]:
    what = f"a number of {name}"
    return [integer(words[0], line, what) for line, words in by_node(spec, name, n, 1)]


def _depot(spec: Specification, n: int) -> int:
    heading, section = spec.section("DEPOT_SECTION")
    words = [(word, line) for line, words in section for word in words]
    depots = [integer(word, line, "a depot's node, then -1", 1, n) for word, line in words if word != "-1"]
    if len(depots) != 1:
        raise FormatError(heading, "one depot", counted(len(depots), "depot"))
    return depots[0] - 1


def _windows(spec: Specification, n: int) -> tuple[Window, ...] | None:
    if "TIME_WINDOW_SECTION" not in spec.sections:
        return None
    return tuple(_window(row, 0, 1) for row in by_node(spec, "TIME_WINDOW_SECTION", n, 2))


def _window(row: Row, first: int, scale: int) -> Window:
    ready, due = (integer(word, row.line, "a time") for word in row.words[first : first + 2])
    if ready > due:
        raise FormatError(row.line, "a time window that opens before it closes", f"{ready} to {due}")
    return ready * scale, due * scale


def _service(spec: Specification, n: int) -> list[int]:
    if "SERVICE_TIME_SECTION" in spec.sections:
        return _by_node(spec, "SERVICE_TIME_SECTION", n)
    return [spec.integer("SERVICE_TIME", 0, LARGEST) if "SERVICE_TIME" in spec.keywords else 0] * n


def _vehicles(spec: Specification) -> int | None:
    if "VEHICLES" in spec.keywords:
        return spec.integer("VEHICLES", 1, MAX_NODES)
    found = re.search(
        r"no\.? of (?:trucks|vehicles)\s*:?\s*([1-9][0-9]{0,3})", spec.value("COMMENT", ""), re.IGNORECASE
    )
    found = found or re.search(r"-k([1-9][0-9]{0,3})$", spec.value("NAME", ""))
    return int(found[1]) if found else None


def read_solomon(text: str, scale: int = 10) -> VehicleRouting:
    """Return a file of Solomon's layout: name, VEHICLE table, CUSTOMER table with the depot as customer 0.

    Distances are cut (not rounded) to ``1 / scale``: to one decimal, as published optima of these problems are.
    Raises FormatError.
    """
    given = rows(text)
    if not given:
        raise FormatError(1, "a name", "an empty file")
    at = next((i for i, row in enumerate(given) if row.words[0].upper() == "VEHICLE"), None)
    last = given[-1].line
    if at is None or at + 2 >= len(given):
        raise FormatError(last, "VEHICLE, its heading, then number and capacity", "the end of the file")
    fleet = given[at + 2]
    if len(fleet.words) != 2:
        raise FormatError(fleet.line, "number of vehicles and capacity", counted(len(fleet.words), "word"))
    vehicles = integer(fleet.words[0], fleet.line, "the number of vehicles", 1, MAX_NODES)
    capacity = integer(fleet.words[1], fleet.line, "the capacity")
    table = [row for row in given[at + 3 :] if is_number(row.words[0])]
    heading = next((row for row in given[at + 3 :] if row.words[0].upper() == "CUSTOMER"), None)
    if heading is None or not table:
        raise FormatError(last, "CUSTOMER and its table", "the end of the file")
    if len(table) > MAX_NODES:
        raise FormatError(table[MAX_NODES].line, f"at most {MAX_NODES} customers", "one more")
    for customer, row in enumerate(table):
        if len(row.words) != 7:
            raise FormatError(
                row.line,
                "customer, x, y, demand, ready time, due date and service time",
                counted(len(row.words), "word"),
            )
        if row.words[0] != str(customer):
            raise FormatError(row.line, f"customer {customer}", quoted(row.words[0]))
    points = [
        (number(row.words[1], row.line, "a coordinate"), number(row.words[2], row.line, "a coordinate"))
        for row in table
    ]
    return VehicleRouting(
        name=" ".join(given[0].words) if at else "",
        comment="",
        matrix=planar(points, partial(cut, scale=scale)),
        demand=tuple(integer(row.words[3], row.line, "a demand") for row in table),
        capacity=capacity,
        vehicles=vehicles,
        windows=tuple(_window(row, 4, scale) for row in table),
        service=tuple(integer(row.words[6], row.line, "a service time") * scale for row in table),
        scale=scale,
    )
