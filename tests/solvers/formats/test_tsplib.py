"""TSPLIB: each weight type and each layout of a matrix, against distances worked out by hand and published tours."""

import pytest

from solvers.formats.common import FormatError
from solvers.formats.tsplib import read_tsp
from tests.solvers.formats import public

# TSPLIB's optimal tours.
BURMA14 = "1 2 14 3 4 5 6 12 7 13 8 11 9 10"
ULYSSES16 = "1 14 13 12 7 6 15 5 11 9 10 16 3 2 4 8"
BERLIN52 = (
    "1 49 32 45 19 41 8 9 10 43 33 51 11 52 14 13 47 26 27 28 12 25 4 6 15 5 24 48 38 37 40 39 36 35 34 44 46 16 29 50"
    " 20 23 30 2 7 42 21 17 3 18 31 22"
)
ATT48 = (
    "1 8 38 31 44 18 7 28 6 37 19 27 17 43 30 36 46 33 20 47 21 32 39 48 5 42 24 10 45 35 4 26 2 29 34 41 16 22 3 23 14"
    " 25 13 11 12 15 40 9"
)


def plane(kind, *points):
    """Return a file of points under a weight type."""
    rows = "".join(f"{i} {x} {y}\n" for i, (x, y) in enumerate(points, start=1))
    return (
        f"NAME: hand\nTYPE: TSP\nCOMMENT: by hand\nDIMENSION: {len(points)}\n"
        f"EDGE_WEIGHT_TYPE: {kind}\nNODE_COORD_SECTION\n{rows}EOF\n"
    )


def explicit(layout, numbers, n=3):
    """Return a file with an explicit matrix."""
    return (
        f"NAME: hand\nTYPE: TSP\nDIMENSION: {n}\nEDGE_WEIGHT_TYPE: EXPLICIT\nEDGE_WEIGHT_FORMAT: {layout}\n"
        f"EDGE_WEIGHT_SECTION\n{numbers}\nEOF\n"
    )


@pytest.mark.parametrize(
    ("kind", "point", "distance"),
    [
        pytest.param("EUC_2D", ("3", "4"), 5, id="whole"),
        pytest.param("EUC_2D", ("1", "1"), 1, id="1.41 down"),
        pytest.param("EUC_2D", ("2", "2"), 3, id="2.83 up"),
        pytest.param("EUC_2D", ("1.5", "2"), 3, id="2.5 exactly: up"),
        pytest.param("EUC_2D", ("1.5e+00", "-2.0"), 3, id="exponent and sign"),
        pytest.param("CEIL_2D", ("1", "1"), 2, id="1.41 up"),
        pytest.param("CEIL_2D", ("3", "4"), 5, id="whole stays"),
        pytest.param("CEIL_2D", ("0", "0"), 0, id="the same place"),
        pytest.param("ATT", ("10", "0"), 4, id="sqrt(100 / 10) = 3.16: nint is 3, below it, so 4"),
        pytest.param("ATT", ("3", "1"), 1, id="sqrt(10 / 10) = 1"),
        pytest.param("ATT", ("8", "0"), 3, id="sqrt(64 / 10) = 2.53: nint is 3"),
        pytest.param("ATT", ("0.5", "0"), 1, id="sqrt(0.025) = 0.16: nint is 0, below it, so 1"),
    ],
)
def test_distance_from_the_origin(kind, point, distance):
    """Each weight type rounds as TSPLIB 95 says, at ties too."""
    assert read_tsp(plane(kind, ("0", "0"), point)).matrix == ((0, distance), (distance, 0))


def test_geographical_distance():
    """Coordinates are DDD.MM: along the equator 90 degrees are a quarter of the circumference, 10019.1 km."""
    assert read_tsp(plane("GEO", ("0.0", "0.0"), ("0.0", "90.0"))).matrix[0][1] == 10020  # int(10019.1 + 1.0)
    # 30 minutes are half a degree: 6378.388 * 3.141592 / 360 = 55.66
    assert read_tsp(plane("GEO", ("0.0", "0.0"), ("0.30", "0.0"))).matrix[0][1] == 56
    # South and west count from 0 downwards: -0.30 is half a degree too.
    assert read_tsp(plane("GEO", ("0.0", "0.0"), ("-0.30", "0.0"))).matrix[0][1] == 56
    # Two nodes in one place are 1 apart by TSPLIB's formula; a node is 0 from itself.
    assert read_tsp(plane("GEO", ("1.0", "1.0"), ("1.0", "1.0"))).matrix == ((0, 1), (1, 0))


@pytest.mark.parametrize(
    ("file", "published", "length"),
    [
        pytest.param("burma14.tsp", BURMA14, 3323, id="GEO"),
        pytest.param("ulysses16.tsp", ULYSSES16, 6859, id="GEO ulysses16"),
        pytest.param("berlin52.tsp", BERLIN52, 7542, id="EUC_2D"),
        pytest.param("att48.tsp", ATT48, 10628, id="ATT"),
        pytest.param("dantzig42.tsp", " ".join(map(str, range(1, 43))), 699, id="LOWER_DIAG_ROW"),
    ],
)
def test_length_of_the_published_tour(file, published, length):
    """The optimal tours have their published lengths."""
    matrix = read_tsp(public(f"tsp/{file}")).matrix
    tour = [int(node) - 1 for node in published.split()]
    assert sorted(tour) == list(range(len(matrix)))
    assert sum(matrix[a][b] for a, b in zip(tour, [*tour[1:], tour[0]], strict=True)) == length


@pytest.mark.parametrize(
    ("layout", "numbers"),
    [
        ("FULL_MATRIX", "0 1 2\n1 0 3\n2 3 0"),
        ("FULL_MATRIX", "9999 1 2 1 9999\n3 2 3 9999"),
        ("UPPER_ROW", "1 2\n3"),
        ("LOWER_ROW", "1\n2 3"),
        ("UPPER_DIAG_ROW", "0 1 2\n0 3\n0"),
        ("LOWER_DIAG_ROW", "0\n1 0\n2 3 0"),
        ("UPPER_COL", "1\n2 3"),
        ("LOWER_COL", "1 2\n3"),
        ("UPPER_DIAG_COL", "0\n1 0\n2 3 0"),
        ("LOWER_DIAG_COL", "0 1 2\n0 3\n0"),
    ],
)
def test_layouts_of_a_matrix(layout, numbers):
    """Every layout of the same distances reads alike, wherever its lines end and whatever its diagonal holds."""
    assert read_tsp(explicit(layout, numbers)).matrix == ((0, 1, 2), (1, 0, 3), (2, 3, 0))


def test_asymmetric_matrix():
    """A full matrix is read by rows: from, then to."""
    text = explicit("FULL_MATRIX", "0 1\n2 0", 2).replace("TYPE: TSP", "TYPE: ATSP")
    assert read_tsp(text).matrix == ((0, 1), (2, 0))


def test_name_and_comment():
    """Name and comment are kept; nodes may be listed in any order, and the last line may be missing."""
    text = plane("EUC_2D", ("0", "0"), ("3", "4")).replace("1 0 0\n2 3 4\nEOF\n", "2 3 4\n1 0 0")
    problem = read_tsp(text)
    assert (problem.name, problem.comment, problem.matrix) == ("hand", "by hand", ((0, 5), (5, 0)))


GOOD = plane("EUC_2D", ("0", "0"), ("3", "4"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "line 1: expected the keyword TYPE, found the end of the file"),
        (GOOD.replace("TYPE: TSP", "TYPE: TOUR"), "line 2: expected TYPE of TSP, ATSP, found 'TOUR'"),
        (GOOD.replace("N: 2", "N: 1000000000"), "line 4: expected DIMENSION (1 to 1000), found '1000000000'"),
        (GOOD.replace("N: 2", "N: two"), "line 4: expected DIMENSION (an integer), found 'two'"),
        (GOOD.replace("DIMENSION: 2\n", ""), "line 8: expected the keyword DIMENSION, found the end of the file"),
        (GOOD.replace("N: 2", "N: 3"), "line 8: expected 3 nodes in NODE_COORD_SECTION, found 2"),
        (GOOD.replace("2 3 4", "2 3"), "line 8: expected a node and 2 numbers, found 2 words"),
        (GOOD.replace("2 3 4", "2 3 x"), "line 8: expected a coordinate, found 'x'"),
        (GOOD.replace("2 3 4", "3 3 4"), "line 8: expected a node (1 to 2), found '3'"),
        (GOOD.replace("2 3 4", "1 3 4"), "line 8: expected each node once, found node 1 again"),
        (
            GOOD.replace("EUC_2D", "XRAY1"),
            "line 5: expected EDGE_WEIGHT_TYPE of EXPLICIT, GEO, EUC_2D, CEIL_2D, ATT, found 'XRAY1'",
        ),
        (GOOD.replace("NODE_COORD", "FIXED_EDGES"), "line 6: expected only restrictions that are read"),
        (GOOD.replace("COMMENT: by hand", "by hand"), "line 3: expected 'KEYWORD : value' or a section"),
        (GOOD.replace("COMMENT: by hand", "NAME: x"), "line 3: expected each keyword once, found 'NAME' again"),
        (GOOD.replace("EOF", "NODE_COORD_SECTION"), "line 9: expected each section once"),
        (GOOD.replace("NODE_COORD", "DISPLAY_DATA"), "line 9: expected the section NODE_COORD_SECTION"),
        (explicit("UPPER_ROW", "1 2"), "line 7: expected a distance, found the end of the numbers"),
        (explicit("UPPER_ROW", ""), "line 6: expected a distance, found the end of the numbers"),
        (explicit("UPPER_ROW", "1 2\n3 4"), "line 8: expected the end of the numbers, found '4'"),
        (explicit("UPPER_ROW", "1 -2\n3"), "line 7: expected a distance (0 to 1000000000000), found '-2'"),
        (explicit("UPPER_ROW", "1 2.5\n3"), "line 7: expected a distance (an integer), found '2.5'"),
        (explicit("FUNCTION", "1 2\n3"), "line 5: expected EDGE_WEIGHT_FORMAT of FULL_MATRIX"),
    ],
)
def test_broken_files(text, message):
    """The message names the line, what was expected there and what stood there."""
    with pytest.raises(FormatError) as caught:
        read_tsp(text)
    assert str(caught.value).startswith(message)
