"""Project files: both layouts of one project of four activities, and a public instance in both."""

import pytest

from solvers.formats.common import FormatError
from solvers.formats.psplib import Project, read_patterson, read_sm
from tests.solvers.formats import public

SM = """****
file with basedata            : hand.bas
****
projects                      :  1
jobs (incl. supersource/sink ):  4
horizon                       :  9
RESOURCES
  - renewable                 :  2   R
  - nonrenewable              :  0   N
  - doubly constrained        :  0   D
****
PRECEDENCE RELATIONS:
jobnr.    #modes  #successors   successors
   1        1          2           2   3
   2        1          1           4
   3        1          1           4
   4        1          0
****
REQUESTS/DURATIONS:
jobnr. mode duration  R 1  R 2
--------------------------------
  1      1     0       0    0
  2      1     3       4    0
  3      1     2       1    5
  4      1     0       0    0
****
RESOURCEAVAILABILITIES:
  R 1  R 2
    4    6
****
"""
RCP = "4 2\n4 6\n\n0 0 0 2 2 3\n3 4 0 1 4\n2 1 5 1\n 4\n0 0 0 0\n"
HAND = Project((0, 3, 2, 0), ((1, 2), (3,), (3,), ()), ((0, 0), (4, 0), (1, 5), (0, 0)), (4, 6), 9)


def test_psplibs_layout():
    """Durations, successors, requests and availabilities come from their tables, the horizon from the heading."""
    assert read_sm(SM) == HAND


def test_pattersons_layout():
    """The same project; lines may end anywhere, and the horizon is the sum of the durations."""
    project = read_patterson(RCP)
    assert (project.duration, project.successors) == (HAND.duration, HAND.successors)
    assert (project.demand, project.capacity, project.horizon) == (HAND.demand, HAND.capacity, 5)


def test_public_instance_in_both_layouts():
    """j301_1: 30 activities, a source and a sink, four resources, and a horizon that equals the sum of durations."""
    project = read_sm(public("project_planning/j301_1.sm"))
    assert (len(project.duration), project.capacity, project.horizon) == (32, (12, 13, 4, 12), 158)
    assert (project.successors[0], project.demand[1], project.duration[1]) == ((1, 2, 3), (4, 0, 0, 0), 8)
    assert read_patterson(public("project_planning/j301_1.rcp")) == project


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (SM, "", "line 1: expected a line 'jobs : number', found the end of the file"),
        ("sink ):  4", "sink ):  1000000000", "line 5: expected the value of 'jobs' (1 to 10000), found '1000000000'"),
        ("horizon", "limit", "line 30: expected a line 'horizon : number', found the end of the file"),
        ("0   N", "2   N", "line 9: expected the value of '- nonrenewable' (0 to 0), found '2'"),
        ("PRECEDENCE RELATIONS:", "RELATIONS:", "line 30: expected 'PRECEDENCE RELATIONS:', found the end of the file"),
        ("jobnr.    #modes", "number    #modes", "line 13: expected a heading that starts with 'jobnr.'"),
        ("   4        1          0\n", "", "line 16: expected 4 rows below 'PRECEDENCE RELATIONS:', found 3"),
        ("  4      1     0       0    0\n", "", "line 24: expected 4 rows below 'REQUESTS/DURATIONS:', found 3"),
        ("2           2   3", "3           2   3", "line 14: expected 3 successors, found 2"),
        ("2           2   3", "2           2   5", "line 14: expected a successor (1 to 4), found '5'"),
        ("   2        1          1", "   2        3          1", "line 15: expected one mode (1 to 1), found '3'"),
        ("3       4    0", "3       4", "line 23: expected activity, mode, duration and 2 requests, found 4 words"),
        ("3       4    0", "3       4    x", "line 23: expected a request (an integer), found 'x'"),
        ("3       4    0", "-3       4    0", "line 23: expected a duration (0 to 1000000), found '-3'"),
        ("    4    6\n", "    4\n", "line 29: expected 2 availabilities, found 1"),
    ],
)
def test_broken_files(old, new, message):
    """The message names the line, what was expected there and what stood there."""
    with pytest.raises(FormatError) as caught:
        read_sm(SM.replace(old, new, 1))
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (RCP, "", "line 1: expected the number of activities, found the end of the numbers"),
        ("4 2\n", "1000000000 2\n", "line 1: expected the number of activities (1 to 10000), found '1000000000'"),
        ("4 2\n", "4 1000000000\n", "line 1: expected the number of resources (0 to 100), found '1000000000'"),
        ("2 2 3", "9 2 3", "line 4: expected the number of successors (0 to 4), found '9'"),
        ("2 2 3", "2 2 7", "line 4: expected a successor (1 to 4), found '7'"),
        ("0 0 0 0\n", "0 0 0\n", "line 8: expected the number of successors, found the end of the numbers"),
        ("0 0 0 0\n", "0 0 0 0 5\n", "line 8: expected the end of the numbers, found '5'"),
        ("3 4 0", "3 four 0", "line 5: expected a request (an integer), found 'four'"),
    ],
)
def test_broken_files_of_pattersons_layout(old, new, message):
    """The message names the line, what was expected there and what stood there."""
    with pytest.raises(FormatError) as caught:
        read_patterson(RCP.replace(old, new, 1))
    assert str(caught.value) == message


def test_activities_stand_in_order():
    """A table that numbers its rows otherwise would be read wrongly, so it is not read."""
    with pytest.raises(FormatError, match="line 15: expected activity 2, found '3'"):
        read_sm(SM.replace("   2        1          1", "   3        1          1"))
