"""Vehicle routing files: CVRPLIB's sections, Solomon's table, and how distances are cut."""

import pytest

from solvers.formats.common import FormatError
from solvers.formats.cvrplib import read_cvrp, read_solomon
from tests.solvers.formats import public

VRP = """NAME : hand-n3-k2
COMMENT : by hand
TYPE : CVRP
DIMENSION : 3
EDGE_WEIGHT_TYPE : EUC_2D
CAPACITY : 10
NODE_COORD_SECTION
1 0 0
2 3 4
3 0 8
DEMAND_SECTION
1 0
2 6
3 7
DEPOT_SECTION
1
-1
EOF
"""
SOLOMON = """hand

VEHICLE
NUMBER CAPACITY
 2 10

CUSTOMER
CUST NO. XCOORD. YCOORD. DEMAND READY TIME DUE DATE SERVICE TIME

0 0 0 0 0 100 0
1 1 1 6 5 20 9
2 3 4 7 0 50 9
"""


def test_capacities():
    """Matrix, demand, capacity and the number of vehicles in the name; no windows, no service."""
    problem = read_cvrp(VRP)
    assert problem.matrix == ((0, 5, 8), (5, 0, 5), (8, 5, 0))
    assert (problem.demand, problem.capacity, problem.vehicles) == ((0, 6, 7), 10, 2)
    assert (problem.windows, problem.service, problem.scale) == (None, (0, 0, 0), 1)


def test_the_depot_comes_first():
    """A depot other than node 1 becomes node 0; the customers keep their order."""
    problem = read_cvrp(VRP.replace("SECTION\n1\n-1", "SECTION\n 2 -1").replace("1 0\n2 6\n3 7", "1 6\n2 0\n3 7"))
    assert problem.matrix == ((0, 5, 5), (5, 0, 8), (5, 8, 0))
    assert problem.demand == (0, 6, 7)


@pytest.mark.parametrize(
    ("old", "new", "vehicles"),
    [
        ("by hand", "(Augerat et al, No of trucks: 5, Optimal value: 661)", 5),
        ("by hand", "(Min no of trucks: 4)", 4),
        ("-k2", "", None),
        ("CAPACITY : 10", "CAPACITY : 10\nVEHICLES : 3", 3),
    ],
)
def test_number_of_vehicles(old, new, vehicles):
    """It stands in the keyword VEHICLES, else in the comment, else in the name, or nowhere."""
    assert read_cvrp(VRP.replace(old, new)).vehicles == vehicles


def test_time_windows_and_service():
    """The sections that VRPLIB adds to the format."""
    sections = "TIME_WINDOW_SECTION\n1 0 100\n2 5 20\n3 0 50\nSERVICE_TIME_SECTION\n1 0\n2 9\n3 8\nDEPOT_SECTION"
    problem = read_cvrp(VRP.replace("DEPOT_SECTION", sections).replace("CVRP", "VRPTW"))
    assert problem.windows == ((0, 100), (5, 20), (0, 50))
    assert problem.service == (0, 9, 8)


def test_one_service_time_for_all_customers():
    """The keyword SERVICE_TIME holds for each customer, not for the depot."""
    assert read_cvrp(VRP.replace("CAPACITY : 10", "CAPACITY : 10\nSERVICE_TIME : 7")).service == (0, 7, 7)


def test_public_instance_of_explicit_distances():
    """E-n13-k4 and the problem of Dantzig and Ramser are the same numbers, read by rows of either triangle."""
    lower = read_cvrp(public("vehicle_routing/E-n13-k4.vrp"))
    upper = read_cvrp(public("vehicle_routing/dantzig-ramser.vrp"))
    assert lower.matrix[1][0] == upper.matrix[0][1] == 9
    assert (lower.matrix[2][:2], upper.matrix[0][1:4]) == ((14, 21), (9, 14, 21))
    assert (lower.vehicles, upper.vehicles, sum(lower.demand)) == (4, 4, 18200)


def test_solomons_table():
    """Distances are cut to one decimal: sqrt(2) = 1.41 is 14 tenths, sqrt(13) = 3.61 is 36; times scale along."""
    problem = read_solomon(SOLOMON)
    assert problem.matrix == ((0, 14, 50), (14, 0, 36), (50, 36, 0))
    assert (problem.name, problem.demand, problem.capacity, problem.vehicles) == ("hand", (0, 6, 7), 10, 2)
    assert problem.windows == ((0, 1000), (50, 200), (0, 500))
    assert (problem.service, problem.scale) == ((0, 90, 90), 10)


def test_another_scale():
    """Whole units: distances are cut, not rounded."""
    assert read_solomon(SOLOMON, scale=1).matrix == ((0, 1, 5), (1, 0, 3), (5, 3, 0))
    assert read_solomon(SOLOMON, scale=1).windows == ((0, 100), (5, 20), (0, 50))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "line 1: expected the keyword DIMENSION, found the end of the file"),
        (VRP.replace("CVRP", "PDPTW"), "line 3: expected TYPE of CVRP, VRPTW, CVRPTW, found 'PDPTW'"),
        (VRP.replace(" : 3", " : 1000000000"), "line 4: expected DIMENSION (1 to 1000), found '1000000000'"),
        (VRP.replace("CAPACITY : 10\n", ""), "line 17: expected the keyword CAPACITY, found the end of the file"),
        (VRP.replace("3 7\n", ""), "line 13: expected 3 nodes in DEMAND_SECTION, found 2"),
        (VRP.replace("3 7", "3 7 8"), "line 14: expected a node and 1 number, found 3 words"),
        (VRP.replace("3 7", "3 x"), "line 14: expected a number of DEMAND_SECTION (an integer), found 'x'"),
        (VRP.replace("1 0\n2 6", "1 5\n2 6"), "line 11: expected a demand of 0 at the depot, found 5"),
        (VRP.replace("\n1\n-1", "\n-1"), "line 15: expected one depot, found 0 depots"),
        (VRP.replace("\n1\n-1", "\n1\n2\n-1"), "line 15: expected one depot, found 2 depots"),
        (VRP.replace("\n1\n-1", "\n9\n-1"), "line 16: expected a depot's node, then -1 (1 to 3), found '9'"),
        (VRP[: VRP.index("DEPOT")], "line 15: expected the section DEPOT_SECTION, found the end of the file"),
        (VRP.replace("CAPACITY", "DISTANCE : 9\nCAPACITY"), "line 6: expected only restrictions that are read"),
        (VRP.replace("DEPOT", "BACKHAUL_SECTION\nDEPOT"), "line 15: expected only restrictions that are read"),
        (
            VRP.replace("DEPOT", "TIME_WINDOW_SECTION\n1 0 9\n2 9 8\n3 0 9\nDEPOT"),
            "line 17: expected a time window that opens before it closes, found 9 to 8",
        ),
    ],
)
def test_broken_files(text, message):
    """The message names the line; a restriction that is not read is no file to be solved without it."""
    with pytest.raises(FormatError) as caught:
        read_cvrp(text)
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "line 1: expected a name, found an empty file"),
        ("hand\n", "line 1: expected VEHICLE, its heading, then number and capacity, found the end of the file"),
        (SOLOMON.replace(" 2 10\n", " 2 10 3\n"), "line 5: expected number of vehicles and capacity, found 3 words"),
        (SOLOMON.replace(" 2 10\n", " x 10\n"), "line 5: expected the number of vehicles (an integer), found 'x'"),
        (SOLOMON[: SOLOMON.index("CUSTOMER")], "line 5: expected CUSTOMER and its table, found the end of the file"),
        (
            SOLOMON.replace("5 20 9", "5 20"),
            "line 11: expected customer, x, y, demand, ready time, due date and service time, found 6 words",
        ),
        (SOLOMON.replace("2 3 4 7", "3 3 4 7"), "line 12: expected customer 2, found '3'"),
        (SOLOMON.replace("2 3 4 7", "2 3 y 7"), "line 12: expected a coordinate, found 'y'"),
        (SOLOMON.replace("5 20 9", "25 20 9"), "line 11: expected a time window that opens before it closes"),
    ],
)
def test_broken_tables(text, message):
    """The message names the line, what was expected there and what stood there."""
    with pytest.raises(FormatError) as caught:
        read_solomon(text)
    assert str(caught.value).startswith(message)
