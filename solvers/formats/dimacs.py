"""DIMACS files: graph colouring (.col), formulas (.cnf, .wcnf), maximum flow (.max) and minimum cost flow (.min)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from solvers.formats.common import LARGEST, MAX_ENTITIES, FormatError, Numbers, Row, counted, integer, rows

Clause = tuple[int, ...]


@dataclass(frozen=True)
class Graph:
    """``edges``: pairs i < j of vertices from 0, sorted, each once."""

    vertices: int
    edges: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Formula:
    """``clauses``: variable v from 1 as literal v or -v. ``weights``: by clause, None where the format has none.

    ``top``: clauses of this weight or more are hard; None where all are soft.
    """

    variables: int
    clauses: tuple[Clause, ...]
    weights: tuple[int, ...] | None = None
    top: int | None = None


@dataclass(frozen=True)
class MaxFlow:
    """``arcs``: (tail, head, capacity), nodes from 0."""

    nodes: int
    source: int
    sink: int
    arcs: tuple[tuple[int, int, int], ...]


@dataclass(frozen=True)
class MinCostFlow:
    """``supply`` by node, negative for demand; ``arcs``: (tail, head, least flow, capacity, cost per unit)."""

    nodes: int
    supply: tuple[int, ...]
    arcs: tuple[tuple[int, int, int, int, int], ...]


@dataclass(frozen=True)
class _Problem:
    kind: str
    sizes: tuple[int, ...]
    line: int
    rows: Sequence[Row]
    last: int


def _problem(text: str, kinds: Sequence[str], nouns: Sequence[str], most: int | None = None) -> _Problem:
    """Return the problem line ``p KIND SIZE …`` and the rows below it, without comments.

    ``most``: how many sizes may follow where that is more than ``nouns``.
    """
    given = [row for row in rows(text) if row.words[0] != "c"]
    form = f"'p {'|'.join(kinds)} {' '.join(nouns)}'"
    if not given:
        raise FormatError(1, form, "no problem line")
    line, words = given[0]
    sizes = words[2:]
    if words[:1] != ("p",) or words[1:2] == () or words[1] not in kinds:
        raise FormatError(line, form, str(given[0]))
    if not len(nouns) <= len(sizes) <= (most or len(nouns)):
        raise FormatError(line, form, str(given[0]))
    return _Problem(
        words[1],
        tuple(
            integer(word, line, f"the number of {nouns[i]}" if i < len(nouns) else "a weight", int(not i), high)
            for i, word in enumerate(sizes)
            for high in [MAX_ENTITIES if i < len(nouns) else LARGEST]
        ),
        line,
        given[1:],
        given[-1].line,
    )


def _fields(row: Row, nouns: Sequence[str]) -> tuple[str, ...]:
    """Return the words behind the first, of which there must be as many as nouns."""
    if len(row.words) != len(nouns) + 1:
        raise FormatError(row.line, f"'{row.words[0]} {' '.join(nouns)}'", str(row))
    return row.words[1:]


def _ends(row: Row, words: Sequence[str], nodes: int) -> tuple[int, int]:
    tail, head = (integer(word, row.line, "a node", 1, nodes) - 1 for word in words)
    if tail == head:
        raise FormatError(row.line, "two different nodes", f"{tail + 1} twice")
    return tail, head


def _arcs(problem: _Problem, count: int) -> Iterator[Row]:
    """Yield the arc lines, of which there must be ``count``."""
    found = 0
    for row in problem.rows:
        if row.words[0] == "a":
            found += 1
            yield row
        elif row.words[0] != "n":
            raise FormatError(row.line, "a line n or a", str(row))
    if found != count:
        raise FormatError(problem.last, counted(count, "arc"), str(found))


def read_col(text: str) -> Graph:
    """Return a graph file. Lines other than ``e`` (weights, geometry) are left out; edges may be listed both ways.

    Raises FormatError.
    """
    problem = _problem(text, ("edge", "edges", "col"), ("vertices", "edges"))
    vertices, announced = problem.sizes
    listed, edges = 0, set()
    for row in problem.rows:
        if row.words[0] == "e":
            listed += 1
            tail, head = _ends(row, _fields(row, ("vertex", "vertex")), vertices)
            edges.add((min(tail, head), max(tail, head)))
        elif row.words[0] not in ("n", "d", "v", "x"):
            raise FormatError(row.line, "a line e", str(row))
    # Files count an edge that is listed both ways once or twice.
    if announced not in (listed, len(edges)):
        raise FormatError(problem.last, counted(announced, "edge"), str(listed))
    return Graph(vertices, tuple(sorted(edges)))


def read_cnf(text: str) -> Formula:
    """Return a formula in conjunctive normal form; a line % ends it, as in SATLIB's files. Raises FormatError."""
    problem = _problem(text, ("cnf",), ("variables", "clauses"))
    variables, count = problem.sizes
    clauses = _clauses(problem, variables, count)
    return Formula(variables, tuple(clauses))


def read_wcnf(text: str) -> Formula:
    """Return a formula of weighted clauses: ``p wcnf variables clauses [top]``. Raises FormatError."""
    problem = _problem(text, ("wcnf",), ("variables", "clauses"), most=3)
    variables, count, *top = problem.sizes
    weights: list[int] = []
    clauses = _clauses(problem, variables, count, weights)
    return Formula(variables, tuple(clauses), tuple(weights), top[0] if top else None)


def _clauses(problem: _Problem, variables: int, count: int, weights: list[int] | None = None) -> list[Clause]:
    """Return the clauses, each ended by 0, wherever lines end; where ``weights`` is given, fill it."""
    end = next((i for i, row in enumerate(problem.rows) if row.words[0] == "%"), len(problem.rows))
    source = Numbers(problem.rows[:end], problem.last)
    clauses = []
    for _ in range(count):
        if weights is not None:
            weights.append(source.integer("a clause's weight", 0, LARGEST))
        clause = []
        while literal := source.integer("a literal, or 0 at the end of a clause", -variables, variables):
            clause.append(literal)
        clauses.append(tuple(clause))
    if not source.ended:
        raise FormatError(source.line, f"the end after {counted(count, 'clause')}", "more numbers")
    return clauses


def read_max_flow(text: str) -> MaxFlow:
    """Return a maximum flow file. Raises FormatError."""
    problem = _problem(text, ("max",), ("nodes", "arcs"))
    nodes, count = problem.sizes
    ends: dict[str, int] = {}
    for row in problem.rows:
        if row.words[0] == "n":
            node, which = _fields(row, ("node", "s|t"))
            if which not in ("s", "t") or which in ends:
                raise FormatError(row.line, "one source s and one sink t", str(row))
            ends[which] = integer(node, row.line, "a node", 1, nodes) - 1
    for which, noun in (("s", "source"), ("t", "sink")):
        if which not in ends:
            raise FormatError(problem.last, f"a {noun} 'n node {which}'", "none")
    if ends["s"] == ends["t"]:
        raise FormatError(problem.last, "a source that is not the sink", f"node {ends['s'] + 1} as both")
    arcs = []
    for row in _arcs(problem, count):
        tail, head, capacity = _fields(row, ("tail", "head", "capacity"))
        arcs.append((*_ends(row, (tail, head), nodes), integer(capacity, row.line, "a capacity")))
    return MaxFlow(nodes, ends["s"], ends["t"], tuple(arcs))


def read_min_cost_flow(text: str) -> MinCostFlow:
    """Return a minimum cost flow file. Raises FormatError."""
    problem = _problem(text, ("min",), ("nodes", "arcs"))
    nodes, count = problem.sizes
    supply: dict[int, int] = {}
    for row in problem.rows:
        if row.words[0] == "n":
            word, flow = _fields(row, ("node", "flow"))
            node = integer(word, row.line, "a node", 1, nodes) - 1
            if node in supply:
                raise FormatError(row.line, "each node once", f"node {node + 1} again")
            supply[node] = integer(flow, row.line, "a supply", -LARGEST, LARGEST)
    arcs = []
    for row in _arcs(problem, count):
        tail, head, low, high, cost = _fields(row, ("tail", "head", "low", "capacity", "cost"))
        least, capacity = integer(low, row.line, "a least flow"), integer(high, row.line, "a capacity")
        if least > capacity:
            raise FormatError(row.line, "a least flow of at most the capacity", f"{least} > {capacity}")
        ends = _ends(row, (tail, head), nodes)
        arcs.append((*ends, least, capacity, integer(cost, row.line, "a cost", -LARGEST, LARGEST)))
    return MinCostFlow(nodes, tuple(supply.get(node, 0) for node in range(nodes)), tuple(arcs))
