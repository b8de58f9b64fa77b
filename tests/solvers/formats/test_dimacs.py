"""DIMACS files: graphs, formulas and flows, worked by hand; counts that do not agree with their problem line."""

import pytest

from solvers.formats.common import FormatError
from solvers.formats.dimacs import (
    Formula,
    Graph,
    MaxFlow,
    MinCostFlow,
    read_cnf,
    read_col,
    read_max_flow,
    read_min_cost_flow,
    read_wcnf,
)
from tests.solvers.formats import public

COL = "c by hand\np edge 3 2\nn 1 5\ne 1 2\ne 3 2\n"
CNF = "c by hand\np cnf 3 2\n1 -2 0\n3 2\n-1 0\n"
MAX = "c by hand\np max 3 2\nn 1 s\nn 3 t\na 1 2 5\na 2 3 4\n"
MIN = "c by hand\np min 3 2\nn 1 4\nn 3 -4\na 1 2 0 5 7\na 2 3 1 4 -2\n"


@pytest.mark.parametrize("kind", ["edge", "edges", "col"])
def test_graph(kind):
    """Vertices count from 0 and each edge stands once, its smaller end first; lines other than e are left out."""
    assert read_col(COL.replace("edge", kind)) == Graph(3, ((0, 1), (1, 2)))


@pytest.mark.parametrize("announced", [2, 4])
def test_edges_listed_both_ways(announced):
    """Files that list an edge both ways count it once or twice."""
    text = f"p edge 3 {announced}\ne 1 2\ne 2 1\ne 2 3\ne 3 2\n"
    assert read_col(text) == Graph(3, ((0, 1), (1, 2)))


def test_formula():
    """A clause ends with 0, wherever lines end."""
    assert read_cnf(CNF) == Formula(3, ((1, -2), (3, 2, -1)))


def test_end_of_satlibs_files():
    """SATLIB's files end with a line % and a stray 0."""
    assert read_cnf(CNF + "%\n0\n\n") == read_cnf(CNF)


def test_weighted_formula():
    """Each clause starts with its weight; from the top weight on it is hard."""
    assert read_wcnf("p wcnf 2 2 10\n10 1 -2 0\n3 2 0\n") == Formula(2, ((1, -2), (2,)), (10, 3), 10)
    assert read_wcnf("p wcnf 2 2\n10 1 -2 0\n3 2 0\n").top is None


def test_maximum_flow():
    """One source, one sink, arcs with capacities; nodes count from 0."""
    assert read_max_flow(MAX) == MaxFlow(3, 0, 2, ((0, 1, 5), (1, 2, 4)))


def test_minimum_cost_flow():
    """Supplies by node, 0 where none is stated; arcs with least flow, capacity and cost."""
    assert read_min_cost_flow(MIN) == MinCostFlow(3, (4, 0, -4), ((0, 1, 0, 5, 7), (1, 2, 1, 4, -2)))


@pytest.mark.parametrize(
    ("file", "vertices", "edges"),
    [("myciel3", 11, 20), ("myciel4", 23, 71), ("myciel5", 47, 236), ("queen5_5", 25, 160), ("queen6_6", 36, 290)],
)
def test_public_graphs(file, vertices, edges):
    """Vertices and edges are as many as published (queens: half of what the benchmark counts)."""
    graph = read_col(public(f"graph_coloring/{file}.col"))
    assert (graph.vertices, len(graph.edges)) == (vertices, edges)


def test_public_formula():
    """hole6: 42 variables, 133 clauses."""
    formula = read_cnf(public("max_sat/hole6.cnf"))
    assert (formula.variables, len(formula.clauses)) == (42, 133)


@pytest.mark.parametrize(
    ("read", "text", "message"),
    [
        (read_col, "", "line 1: expected 'p edge|edges|col vertices edges', found no problem line"),
        (read_col, "e 1 2\n", "line 1: expected 'p edge|edges|col vertices edges', found 'e 1 2'"),
        (read_col, "p\n", "line 1: expected 'p edge|edges|col vertices edges', found 'p'"),
        (read_col, "p cnf 3 2\n", "line 1: expected 'p edge|edges|col vertices edges', found 'p cnf 3 2'"),
        (read_col, "p edge 3\n", "line 1: expected 'p edge|edges|col vertices edges', found 'p edge 3'"),
        (read_col, "p edge 1000000000 1\ne 1 2", "line 1: expected the number of vertices (1 to 100000), found"),
        (read_col, COL.replace("\ne 3 2", "\ne 3"), "line 5: expected 'e vertex vertex', found 'e 3'"),
        (read_col, COL.replace("\ne 3 2", "\ne 4 2"), "line 5: expected a node (1 to 3), found '4'"),
        (read_col, COL.replace("\ne 3 2", "\ne 2 2"), "line 5: expected two different nodes, found 2 twice"),
        (read_col, COL.replace("\ne 3 2", "\nf 3 2"), "line 5: expected a line e, found 'f 3 2'"),
        (read_col, COL.replace("\ne 3 2\n", "\n"), "line 4: expected 2 edges, found 1"),
        (read_cnf, "p cnf 3 1000000000\n1 0", "line 1: expected the number of clauses (0 to 100000), found"),
        (read_cnf, CNF.replace("-2", "-4"), "line 3: expected a literal, or 0 at the end of a clause (-3 to 3), found"),
        (read_cnf, CNF.replace("-1 0", "-1"), "line 5: expected a literal, or 0 at the end of a clause, found the end"),
        (read_cnf, CNF.replace("3 2\n1", "3 3\n1"), "line 5: expected a literal, or 0 at the end of a clause, found"),
        (read_cnf, CNF + "1 0\n", "line 6: expected the end after 2 clauses, found more numbers"),
        (read_cnf, CNF.replace("1 -2 0", "% -2 0"), "line 5: expected a literal, or 0 at the end of a clause, found"),
        (read_wcnf, "p wcnf 2 1\n-1 2 0\n", "line 2: expected a clause's weight (0 to 1000000000000), found '-1'"),
        (read_max_flow, MAX.replace("n 3 t\n", ""), "line 5: expected a sink 'n node t', found none"),
        (read_max_flow, MAX.replace("n 3 t", "n 3 s"), "line 4: expected one source s and one sink t, found 'n 3 s'"),
        (read_max_flow, MAX.replace("n 3 t", "n 1 t"), "line 6: expected a source that is not the sink, found node 1"),
        (read_max_flow, MAX.replace("2 3 4", "2 3"), "line 6: expected 'a tail head capacity', found 'a 2 3'"),
        (read_max_flow, MAX.replace("2 3 4", "2 3 -4"), "line 6: expected a capacity (0 to 1000000000000), found '-4'"),
        (read_max_flow, MAX.replace("a 2 3 4\n", ""), "line 5: expected 2 arcs, found 1"),
        (read_max_flow, MAX.replace("a 2", "b 2"), "line 6: expected a line n or a, found 'b 2 3 4'"),
        (read_min_cost_flow, MIN.replace("n 3", "n 1"), "line 4: expected each node once, found node 1 again"),
        (read_min_cost_flow, MIN.replace("1 4 -2", "5 4 -2"), "line 6: expected a least flow of at most the capacity"),
        (read_min_cost_flow, MIN.replace("1 4 -2", "1 4"), "line 6: expected 'a tail head low capacity cost', found"),
    ],
)
def test_broken_files(read, text, message):
    """The message names the line, what was expected there and what stood there."""
    with pytest.raises(FormatError) as caught:
        read(text)
    assert str(caught.value).startswith(message)
