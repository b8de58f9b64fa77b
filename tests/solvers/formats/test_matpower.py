"""MATPOWER cases: two buses by hand, the ways in which a matrix can be written, and public cases."""

from fractions import Fraction

import pytest

from solvers.formats.common import FormatError
from solvers.formats.matpower import Branch, Bus, Cost, Generator, read_case
from tests.solvers.formats import public

CASE = """function mpc = hand2
% mpc.bus = [ 9 9 9 ];
mpc.version = '2';
mpc.baseMVA = 100.0;
mpc.areas = [
1 1;
];
mpc.bus = [
1 3 0.0 0.0 0.0 0.0 1 1.0 0.0 230.0 1 1.1 0.9;
7 1 50.5 10 0 0 1 1 0 230 1 1.1 .9; % the load
];
mpc.gen = [
1 40 0 30 -30 1 100 1 60 0 0 Inf;
];
mpc.branch = [
1 7 0.00281 0.0281 0.00712 400 400 400 0 0 1 -30 30;
];
mpc.gencost = [
2 0 0 3 0.01 14.5 1e2;
];
mpc.bus_name = {
'Bus 1  HV';
'Bus 7  HV';
};
"""


def test_case_by_hand():
    """Columns are decimals, exactly; comments, other fields and further columns are left out."""
    case = read_case(CASE)
    assert (case.name, case.base_mva) == ("hand2", 100)
    assert case.buses[1] == Bus(
        7, 1, Fraction(101, 2), *map(Fraction, (10, 0, 0, 1, 1, 0, 230, 1)), Fraction(11, 10), Fraction(9, 10)
    )
    assert case.generators == (Generator(1, True, *map(Fraction, (40, 0, 30, -30, 1, 100, 60, 0))),)
    assert case.branches == (
        Branch(
            1,
            7,
            True,
            Fraction("0.00281"),
            Fraction("0.0281"),
            Fraction("0.00712"),
            *map(Fraction, (400, 400, 400, 0, 0, -30, 30)),
        ),
    )
    assert case.costs == (Cost(Fraction(0), Fraction(0), (Fraction(1, 100), Fraction(29, 2), Fraction(100)), ()),)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        pytest.param("mpc.gen = [\n1 40", "mpc.gen = [ 1 40", id="first row beside the bracket"),
        pytest.param("60 0 0 Inf;\n];", "60 0 0 Inf];", id="last row beside the bracket"),
        pytest.param("1 40 0 30 -30", "1, 40,\t0 , 30 ... continued\n -30", id="commas and a continued line"),
        pytest.param("60 0 0 Inf;", "60 0 0 Inf", id="a row that its line ends"),
        pytest.param("mpc.gencost", "\n\nmpc.gencost", id="blank lines"),
        pytest.param("mpc.gencost = [\n", "mpc.gencost=[ % costs\n% of one\n", id="comments in a matrix"),
        pytest.param("14.5 1e2;", "14.5 1e2 0 0;", id="padding of a cost"),
        pytest.param("100.0;", "100.00", id="base without its semicolon"),
        pytest.param("\n", "\r\n", id="line ends of Windows"),
    ],
)
def test_ways_of_writing(old, new):
    """However a matrix is laid out, it reads the same."""
    assert read_case(CASE.replace(old, new)) == read_case(CASE)


def test_rows_in_one_line():
    """Semicolons part rows."""
    rows = "1 7 0 1 0 9 9 9 0 0 1 -30 30; 7 1 0 2 0 9 9 9 0 0 0 -30 30"
    old = "1 7 0.00281 0.0281 0.00712 400 400 400 0 0 1 -30 30"
    branches = read_case(CASE.replace(old, rows)).branches
    assert [(b.start, b.end, b.on, b.reactance) for b in branches] == [(1, 7, True, 1), (7, 1, False, 2)]


def test_piecewise_linear_cost():
    """Model 1 lists points."""
    cost = read_case(CASE.replace("2 0 0 3 0.01 14.5 1e2", "1 5 6 2 0 0 60 900")).costs[0]
    assert cost == Cost(Fraction(5), Fraction(6), (), ((Fraction(0), Fraction(0)), (Fraction(60), Fraction(900))))


def test_costs_of_reactive_power_are_left_out():
    """Twice as many rows as generators: the second half is reactive power."""
    twice = CASE.replace("2 0 0 3 0.01 14.5 1e2;", "2 0 0 1 3;\n2 0 0 1 4;")
    assert [c.coefficients for c in read_case(twice).costs] == [(3,)]


def test_a_case_without_costs():
    """Costs are needed for optimal flows only."""
    start = CASE.index("mpc.gencost")
    assert read_case(CASE[:start]).costs == ()


@pytest.mark.parametrize(
    ("name", "buses", "branches"),
    [("case5_pjm", 5, 6), ("case14_ieee", 14, 20), ("case57_ieee", 57, 80), ("case118_ieee", 118, 186)],
)
def test_public_cases(name, buses, branches):
    """Nodes and edges are as many as PGLib's baseline says, and each generator has its cost."""
    case = read_case(public(f"power/pglib_opf_{name}.m"))
    assert (case.name, len(case.buses), len(case.branches)) == (f"pglib_opf_{name}", buses, branches)
    assert len(case.costs) == len(case.generators)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (CASE, "", "line 1: expected the matrix mpc.bus, found the end of the file"),
        ("mpc.branch", "mpc.brunch", "line 25: expected the matrix mpc.branch, found the end of the file"),
        ("mpc.baseMVA", "mpc.base", "line 25: expected mpc.baseMVA, found the end of the file"),
        ("100.0;", "1e3 * 2;", "line 4: expected a number for mpc.baseMVA, found '1e3 * 2'"),
        ("mpc.gen =", "mpc.gen(1, 2) =", "line 12: expected mpc.gen = numbers, found a statement"),
        ("mpc.gen = [", "mpc.gen = zeros(3);", "line 12: expected '[' and the rows of mpc.gen, found 'zeros(3);'"),
        ("mpc.gen = [", "mpc.bus = [", "line 12: expected mpc.bus once, found it again"),
        ("100.0;", "100.0;\nmpc.baseMVA = 1;", "line 5: expected mpc.baseMVA once, found it again"),
        ("60 0 0 Inf;\n];", "60 0 0 Inf]';", 'line 13: expected the end of the matrix, found "\';"'),
        ("0.0281", "1/3", "line 16: expected x, found '1/3'"),
        ("0.0281", "Inf", "line 16: expected x, found 'Inf'"),
        ("0 0 1 -30 30;", "0 0 1;", "line 16: expected at least 13 columns (fbus, tbus, r"),
        ("1 7 0.0", "1 8 0.0", "line 16: expected the number of a bus, found '8'"),
        ("7 1 50.5", "1 1 50.5", "line 10: expected each bus once, found bus 1 again"),
        ("7 1 50.5", "7 5 50.5", "line 10: expected a bus type (1 to 4), found '5'"),
        ("7 1 50.5", "7.5 1 50.5", "line 10: expected a bus number (an integer), found '7.5'"),
        ("2 0 0 3 0.01", "3 0 0 3 0.01", "line 19: expected a cost model (1 to 2), found '3'"),
        ("2 0 0 3 0.01", "2 0 0 4 0.01", "line 19: expected 4 numbers behind n, found 3"),
        ("2 0 0 3 0.01", "2 0 0 1000000000 0.01", "line 19: expected the number of coefficients or points (1 to 1000)"),
        ("2 0 0 3 0.01 14.5 1e2;", "2 0 0 1 3;\n2 0 0 1 3;\n2 0 0 1 3;", "line 21: expected costs of 1 generator"),
        ("];\nmpc.bus_name = {\n'Bus 1  HV';\n'Bus 7  HV';\n};\n", "", "line 20: expected ']' at the end of a matrix"),
    ],
)
def test_broken_files(old, new, message):
    """The message names the line; what computes is not read, so that nothing is solved but what is written."""
    with pytest.raises(FormatError) as caught:
        read_case(CASE.replace(old, new, 1))
    assert str(caught.value).startswith(message)
