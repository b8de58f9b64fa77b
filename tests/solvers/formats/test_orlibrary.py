"""OR-Library files: each kind on two or three entities, several problems in a file, and decimals."""

from fractions import Fraction

import pytest

from solvers.formats.common import FormatError
from solvers.formats.orlibrary import (
    Assignment,
    BinPacking,
    GeneralizedAssignment,
    MultiKnapsack,
    SetCover,
    Warehouses,
    read_assign,
    read_binpack,
    read_bpp,
    read_cap,
    read_gap,
    read_mknap,
    read_scp,
)
from tests.solvers.formats import public

KNAPSACK = "3 2 9.5\n5 4.5 3\n1 2 3\n3 2\n1\n4 5\n"
GAP = "2 3\n1 2 3\n4 5 6\n7 8 9\n3 2 1\n10 11\n"
COVER = "2 3\n5 6 7\n2\n1 3\n1\n2\n"
CAP = "2 3\n10 7500.50\n20 0\n5\n1 2\n6\n3 4.25\n7\n5 6\n"


def test_multi_dimensional_knapsacks():
    """Values, a row of weights per constraint, capacities; the best value is None where the file says 0."""
    hand = MultiKnapsack((5, Fraction(9, 2), 3), ((1, 2, 3), (3, 2, 1)), (4, 5), Fraction(19, 2))
    assert read_mknap("2\n" + KNAPSACK + KNAPSACK.replace("9.5", "0")) == (
        hand,
        MultiKnapsack(hand.value, hand.weight, hand.capacity, None),
    )


def test_a_single_knapsack_needs_no_count():
    """A file that starts with the sizes holds one problem."""
    assert read_mknap(KNAPSACK) == read_mknap("1\n" + KNAPSACK)


def test_assignment():
    """The number of workers, then their costs by task, wherever lines end."""
    assert read_assign("2\n1 2 3\n4") == Assignment(((1, 2), (3, 4)))


def test_generalized_assignments():
    """Costs, resources and capacities by agent; several problems."""
    hand = GeneralizedAssignment(((1, 2, 3), (4, 5, 6)), ((7, 8, 9), (3, 2, 1)), (10, 11))
    assert read_gap("2\n" + GAP + GAP) == (hand, hand)


def test_bins():
    """A name, capacity, items and the best known, then sizes, which may have decimals."""
    assert read_binpack("2\n u3_00\n 10 3 2\n4\n5\n6\n t2_00\n 10.0 2 1\n4.5\n5.5\n") == (
        BinPacking("u3_00", (4, 5, 6), 10, 2),
        BinPacking("t2_00", (Fraction(9, 2), Fraction(11, 2)), 10, 1),
    )
    assert read_bpp("3\n10\n4\n5\n6\n") == BinPacking("", (4, 5, 6), 10, None)


def test_cover():
    """Costs by column; of each row how many columns cover it, and which, from 1."""
    assert read_scp(COVER) == SetCover((5, 6, 7), ((0, 2), (1,)))


def test_warehouses():
    """Capacity and fixed cost by warehouse; demand and the cost of all of it by customer."""
    hand = Warehouses((10, 20), (Fraction(15001, 2), 0), (5, 6, 7), ((1, 2), (3, Fraction(17, 4)), (5, 6)))
    assert read_cap(CAP) == hand


def test_public_instances():
    """Sizes as published, and what the files themselves say is best."""
    assert [(len(k.value), len(k.weight), k.best) for k in read_mknap(public("knapsack/mknap1.txt"))] == [
        (6, 10, 3800),
        (10, 10, Fraction(87061, 10)),
        (15, 10, 4015),
    ]
    cover = read_scp(public("set_cover/scp41.txt"))
    assert (len(cover.rows), len(cover.cost)) == (200, 1000)
    assert [(b.name, len(b.size), b.best) for b in read_binpack(public("bin_packing/u120.txt"))] == [
        ("u120_01", 120, 49),
        ("u120_04", 120, 50),
        ("u120_10", 120, 52),
    ]
    (triplets,) = read_binpack(public("bin_packing/t60.txt"))
    assert sum(triplets.size) == triplets.best * triplets.capacity


@pytest.mark.parametrize(
    ("read", "text", "message"),
    [
        (read_mknap, "", "line 1: expected the number of problems, found the end of the numbers"),
        (read_mknap, "1000000000", "line 1: expected the number of problems (1 to 1000), found '1000000000'"),
        (read_mknap, "1\n1000000000 2 0", "line 2: expected the number of items (1 to 10000), found '1000000000'"),
        (read_mknap, "1\n3 1000000000 0", "line 2: expected the number of constraints (1 to 10000)"),
        (read_mknap, KNAPSACK.replace("4.5", "4,5"), "line 2: expected a value, found '4,5'"),
        (read_mknap, KNAPSACK.replace("4 5\n", "4\n"), "line 6: expected a capacity, found the end of the numbers"),
        (read_mknap, KNAPSACK + "7", "line 7: expected the end of the numbers, found '7'"),
        (read_assign, "1000000000\n1", "line 1: expected the number of workers (1 to 1000), found '1000000000'"),
        (read_assign, "2\n1 2\n3\n", "line 3: expected a cost, found the end of the numbers"),
        (read_assign, "2\n1 2\n3 x\n", "line 3: expected a cost (an integer), found 'x'"),
        (read_gap, "2\n" + GAP, "line 7: expected the number of agents, found the end of the numbers"),
        (read_gap, "1\n" + GAP.replace("7 8 9", "7 -8 9"), "line 5: expected a resource (0 to 1000000000000)"),
        (read_binpack, "1\nu3\n10 3 4\n", "line 3: expected the number of bins in the best solution known (0 to 3)"),
        (read_binpack, "1\nu3\n10 3 2\n4\n5\n", "line 5: expected a size, found the end of the numbers"),
        (read_binpack, "1\n", "line 1: expected a problem's name, found the end of the numbers"),
        (read_bpp, "3\n10\n4\n5\nx\n", "line 5: expected a size, found 'x'"),
        (read_bpp, "1000000000\n", "line 1: expected the number of items (1 to 10000), found '1000000000'"),
        (read_scp, "1000000000 3\n", "line 1: expected the number of rows (1 to 100000), found '1000000000'"),
        (read_scp, COVER.replace("1 3", "1 4"), "line 4: expected a column (1 to 3), found '4'"),
        (read_scp, COVER.replace("2\n1 3", "0"), "line 3: expected the number of columns that cover the row (1 to 3)"),
        (read_scp, COVER + "9", "line 7: expected the end of the numbers, found '9'"),
        (read_cap, CAP.replace("10 7500", "capacity 7500"), "line 2: expected a capacity and a fixed cost"),
        (
            read_cap,
            CAP.replace("5 6\n", "5\n"),
            "line 9: expected the cost of a customer's whole demand, found the end",
        ),
    ],
)
def test_broken_files(read, text, message):
    """The message names the line, what was expected there and what stood there."""
    with pytest.raises(FormatError) as caught:
        read(text)
    assert str(caught.value).startswith(message)
