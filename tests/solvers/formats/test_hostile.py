"""No text crashes a reader: it is read, or refused with a line number."""

from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from solvers.formats import cvrplib, dimacs, jsplib, matpower, orlibrary, psplib, tsplib
from solvers.formats.common import MAX_CHARACTERS, FormatError
from tests.solvers.formats import public
from tests.solvers.formats.test_cvrplib import SOLOMON, VRP
from tests.solvers.formats.test_dimacs import CNF, COL, MAX, MIN
from tests.solvers.formats.test_jsplib import TAILLARD
from tests.solvers.formats.test_matpower import CASE
from tests.solvers.formats.test_orlibrary import CAP, COVER, GAP, KNAPSACK
from tests.solvers.formats.test_psplib import RCP, SM
from tests.solvers.formats.test_tsplib import explicit, plane

GOOD = [
    (tsplib.read_tsp, plane("EUC_2D", ("0", "0"), ("3.5", "4"), ("1e3", "-2"))),
    (tsplib.read_tsp, plane("GEO", ("38.24", "20.42"), ("39.57", "26.15"))),
    (tsplib.read_tsp, plane("ATT", ("0", "0"), ("3", "4"))),
    (tsplib.read_tsp, explicit("LOWER_DIAG_ROW", "0\n1 0\n2 3 0")),
    (jsplib.read_job_shop, " instance two\n +++\n 2 2\n 0 3 1 2\n 1 2 0 4\n +++\n"),
    (jsplib.read_taillard, TAILLARD),
    (cvrplib.read_cvrp, VRP),
    (cvrplib.read_solomon, SOLOMON),
    (psplib.read_sm, SM),
    (psplib.read_patterson, RCP),
    (orlibrary.read_mknap, "1\n" + KNAPSACK),
    (orlibrary.read_assign, "2\n1 2\n3 4"),
    (orlibrary.read_gap, "1\n" + GAP),
    (orlibrary.read_binpack, "1\nu3_00\n10 3 2\n4\n5\n6\n"),
    (orlibrary.read_bpp, "3\n10\n4\n5\n6\n"),
    (orlibrary.read_scp, COVER),
    (orlibrary.read_cap, CAP),
    (dimacs.read_col, COL),
    (dimacs.read_cnf, CNF + "%\n0\n"),
    (dimacs.read_wcnf, "p wcnf 2 2 10\n10 1 -2 0\n3 2 0\n"),
    (dimacs.read_max_flow, MAX),
    (dimacs.read_min_cost_flow, MIN),
    (matpower.read_case, CASE),
]
READERS = sorted({read for read, _ in GOOD}, key=lambda read: read.__qualname__)
NASTY = [
    *("", "-1", "0", "1", "2", "1e9", "1000000000", "9" * 30, "1e99", "-1e99", "1e-99", "0.5", "1/0", "nan", "inf"),
    *("٣", "x", ":", ":::", "EOF", "%", "%\n", "#", "[", "]", "];", "...", "\n", "\x00", "\x1c", "\u2028", "\ufeff"),
    *("NAME : x\n", "X_SECTION\n", "p cnf 1 1\n", "mpc.bus = [\n", "+++", "****\n", "VEHICLE", "jobs : 5\n"),
]


def survives(read, text):
    """Read a text or be refused with the message that every reader gives."""
    try:
        read(text)
    except FormatError as refused:
        error = refused
    else:
        return
    assert 1 <= error.line <= text.count("\n") + 1
    assert str(error) == f"line {error.line}: expected {error.expected}, found {error.found}"
    assert len(str(error)) < 400


@pytest.mark.parametrize(("read", "text"), GOOD)
def test_the_good_files_are_good(read, text):
    """What is mutated below is read as it stands."""
    assert read(text)


@pytest.mark.parametrize(("read", "text"), GOOD)
def test_every_truncation(read, text):
    """A file that ends anywhere is read or refused."""
    for end in range(len(text)):
        survives(read, text[:end])


@pytest.mark.parametrize("index", range(len(GOOD)))
@settings(max_examples=60, deadline=None, derandomize=True, database=None)
@given(data=st.data())
def test_mutations(index, data):
    """Words replaced, lines dropped, doubled or swapped, and pieces of nonsense anywhere."""
    read, text = GOOD[index]
    for _ in range(data.draw(st.integers(1, 4))):
        lines = text.split("\n")
        i, j = (data.draw(st.integers(0, len(lines) - 1)) for _ in range(2))
        match data.draw(st.sampled_from(["word", "word", "word", "drop", "double", "swap", "insert"])):
            case "word":
                words = lines[i].split(" ")
                words[data.draw(st.integers(0, len(words) - 1))] = data.draw(st.sampled_from(NASTY))
                lines[i] = " ".join(words)
            case "drop":
                del lines[i]
            case "double":
                lines.insert(j, lines[i])
            case "swap":
                lines[i], lines[j] = lines[j], lines[i]
            case _:
                at = data.draw(st.integers(0, len(lines[i])))
                lines[i] = lines[i][:at] + data.draw(st.sampled_from(NASTY)) + lines[i][at:]
        text = "\n".join(lines) or " "
    survives(read, text)


@pytest.mark.parametrize("read", READERS, ids=lambda read: read.__name__)
@settings(max_examples=40, deadline=None, derandomize=True, database=None)
@given(raw=st.binary(max_size=300) | st.text("0123456789 -.:\n#%[]=epcnaR", max_size=300).map(str.encode))
def test_noise(read, raw):
    """Bytes of any kind, decoded as files are."""
    survives(read, raw.decode("utf-8", errors="replace"))


@cache
def huge():
    """Return a text one character too long."""
    return "1" * (MAX_CHARACTERS + 1)


@pytest.mark.parametrize("read", READERS, ids=lambda read: read.__name__)
def test_a_file_too_long(read):
    """The length of a file is bounded before anything is read."""
    with pytest.raises(FormatError, match=f"line 1: expected a file of at most {MAX_CHARACTERS} characters, found one"):
        read(huge())


@pytest.mark.parametrize("read", READERS, ids=lambda read: read.__name__)
def test_files_of_another_format(read):
    """The public files of all formats are read or refused by every reader."""
    for name in ("tsp/burma14.tsp", "job_shop/ft06.txt", "set_cover/scpe1.txt", "power/pglib_opf_case5_pjm.m"):
        survives(read, public(name))
