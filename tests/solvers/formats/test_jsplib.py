"""Job shop files: both layouts on two jobs, and OR-Library's names around them."""

import pytest

from solvers.formats.common import FormatError
from solvers.formats.jsplib import JobShop, read_job_shop, read_taillard
from tests.solvers.formats import public

TWO = JobShop("", ((0, 1), (1, 0)), ((3, 2), (2, 4)))
TAILLARD = "2 2 840612802 398197754 6 6\nTimes\n3 2\n2 4\nMachines\n1 2\n2 1\n"


def test_standard_layout():
    """Jobs and machines, then machine and duration of each step; comments are left out."""
    assert read_job_shop("# two jobs\n2 2\n0 3 1 2 # the first\n\n1 2 0 4\n") == TWO


def test_names_of_or_library():
    """Names, rulers and titles may stand around the numbers; the name is the one behind "instance"."""
    text = " instance two\n\n +++++\n Two by hand, 2x2\n 2 2\n 0  3  1  2\n 1  2  0  4\n +++++\n"
    assert read_job_shop(text) == JobShop("two", TWO.machine, TWO.duration)


def test_taillards_layout():
    """Times and machines stand in matrices of their own; machines count from 1; a line of titles may come first."""
    assert read_taillard(TAILLARD) == TWO
    assert read_taillard("Nb of jobs, Nb of Machines, Time seed, Machine seed, bounds\n" + TAILLARD) == TWO


def test_both_layouts_of_a_public_instance():
    """ft06, written in Taillard's layout, reads the same."""
    shop = read_job_shop(public("job_shop/ft06.txt"))
    assert (len(shop.machine), shop.machine[0], shop.duration[0]) == (6, (2, 0, 1, 3, 5, 4), (1, 3, 6, 7, 3, 6))
    times = "\n".join(" ".join(map(str, row)) for row in shop.duration)
    machines = "\n".join(" ".join(str(m + 1) for m in row) for row in shop.machine)
    again = read_taillard(f"6 6\nTimes\n{times}\nMachines\n{machines}\n")
    assert (again.machine, again.duration) == (shop.machine, shop.duration)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "line 1: expected the numbers of jobs and machines, found the end of the file"),
        ("two\njobs", "line 2: expected the numbers of jobs and machines, found the end of the file"),
        ("2\n", "line 1: expected the numbers of jobs and machines, found '2'"),
        ("0 2\n", "line 1: expected the number of jobs (1 to 100000), found '0'"),
        ("1000000000 2\n0 3 1 2", "line 1: expected the number of jobs (1 to 100000), found '1000000000'"),
        ("99999 2\n0 3 1 2", "line 2: expected 99999 jobs, found 1"),
        ("2 2\n0 3 1 2\n1 2 0 4 5", "line 3: expected 2 'machine duration' pairs, found 5 numbers"),
        ("2 2\n0 3 1 2", "line 2: expected 2 jobs, found 1"),
        ("1 2\n0 3 1 2\n1 2 0 4", "line 3: expected the end after 1 job, found another row"),
        ("1 2\n0 3 2 2", "line 2: expected a machine's number (0 to 1), found '2'"),
        ("1 2\n0 3 0 2", "line 2: expected each machine once, found machine 0 again"),
        ("1 2\n0 3 1 -2", "line 2: expected a duration (0 to 1000000000), found '-2'"),
        ("1 2\n0 3 1 2.5", "line 2: expected a duration (an integer), found '2.5'"),
        ("2 2\n0 3 1 2\nand\n1 2 0 4", "line 3: expected a row of numbers, found 'and'"),
    ],
)
def test_broken_files(text, message):
    """The message names the line, what was expected there and what stood there."""
    with pytest.raises(FormatError) as caught:
        read_job_shop(text)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Times", "line 1: expected the numbers of jobs and machines, found the end of the file"),
        ("2\n", "line 1: expected the numbers of jobs and machines, found '2'"),
        (TAILLARD.replace("Times", "Time"), "line 2: expected 'Times', found 'Time'"),
        (TAILLARD.replace("2 4\n", "2\n"), "line 4: expected 2 numbers, found 1"),
        (TAILLARD.replace("2 4\n", ""), "line 4: expected 2 numbers, found 1"),
        (TAILLARD.replace("2 1\n", ""), "line 6: expected 2 jobs, found 1"),
        (TAILLARD.replace("2 1\n", "2 0\n"), "line 7: expected a machine's number (1 to 2), found '0'"),
        (TAILLARD.replace("2 1\n", "2 2\n"), "line 7: expected each machine once, found machine 2 again"),
        (TAILLARD[: TAILLARD.index("Machines")], "line 4: expected 'Machines', found the end"),
        (TAILLARD + "1 2\n", "line 8: expected the end after 2 jobs, found another row"),
    ],
)
def test_broken_files_of_taillards_layout(text, message):
    """The message names the line, what was expected there and what stood there."""
    with pytest.raises(FormatError) as caught:
        read_taillard(text)
    assert str(caught.value) == message
