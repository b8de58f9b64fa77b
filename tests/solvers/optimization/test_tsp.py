"""Travelling salesman: each constraint on four cities worked out by hand, the optimum by dynamic programming."""

from dataclasses import replace
from itertools import combinations
from pathlib import Path

import pytest

from solvers.exact import solve
from solvers.formats.common import FormatError
from solvers.keys import Stream
from solvers.names import Names
from solvers.optimization.tsp import (
    FAMOUS,
    ForbiddenArc,
    Length,
    Precedence,
    TimeWindow,
    Tsp,
    TspData,
    TspKnobs,
    Visited,
    arrivals,
    from_file,
    shortest,
)
from solvers.problem import SIZES, Absent, Target
from solvers.shapes import TourOf
from solvers.shapes.orders import along, rounded_up
from tests.solvers.optimization import agreed, draws, instance_of, instances, violated

# Tours from city 1 on: 1234 is 11 long, 1243 20, 1324 25, 1342 18, 1423 21, 1432 13.
# City 2 is open from 3 to 14, city 3 from 10 to 20; city 3 comes before city 2; city 3 does not follow city 4 directly.
DISTANCE = ((0, 2, 9, 5), (1, 0, 3, 8), (7, 4, 0, 2), (4, 6, 3, 0))
DATA = TspData(DISTANCE, windows=((1, 3, 14), (2, 10, 20)), precedences=((2, 1),), forbidden=((3, 2),))
SHAPE = TourOf("city", 4)
VISITED = Visited(2)
WINDOW = TimeWindow(1, DISTANCE, DATA.opening(), 14)
PRECEDENCE = Precedence((2, 1), 4)
FORBIDDEN = ForbiddenArc((3, 2))
TARGET = Target(Length(DISTANCE), 13)
PUBLIC = Path(__file__).parents[2] / "data" / "public" / "tsp"


def tour(cities):
    """Return the answer that visits cities, numbered from 1, in this order."""
    return rounded_up([int(city) - 1 for city in cities])


@pytest.mark.parametrize(
    ("constraint", "cities", "slack"),
    [
        pytest.param(VISITED, "1432", 0, id="visited trivial"),
        pytest.param(VISITED, "124", None, id="visited fails"),
        pytest.param(VISITED, "13", 0, id="visited holds"),
        pytest.param(WINDOW, "1234", 12, id="time_window trivial: reached at 2"),
        pytest.param(WINDOW, "1342", -4, id="time_window fails: 9, waits to 10, 12, 18"),
        pytest.param(WINDOW, "1324", 0, id="time_window holds: 9, waits to 10, 14"),
        pytest.param(WINDOW, "1432", 0, id="time_window holds: 5, 8, waits to 10, 14"),
        pytest.param(WINDOW, "134", None, id="time_window fails without its city"),
        pytest.param(WINDOW, "234", None, id="time_window fails without a start"),
        pytest.param(PRECEDENCE, "1324", 0, id="precedence trivial"),
        pytest.param(PRECEDENCE, "1234", -1, id="precedence fails"),
        pytest.param(PRECEDENCE, "1342", 0, id="precedence holds"),
        pytest.param(PRECEDENCE, "124", None, id="precedence fails without the first"),
        pytest.param(PRECEDENCE, "134", None, id="precedence fails without the second"),
        pytest.param(FORBIDDEN, "1234", 0, id="forbidden_arc trivial"),
        pytest.param(FORBIDDEN, "1432", -1, id="forbidden_arc fails"),
        pytest.param(FORBIDDEN, "1423", 0, id="forbidden_arc holds"),
        pytest.param(FORBIDDEN, "123", None, id="forbidden_arc fails without the first"),
        pytest.param(FORBIDDEN, "124", None, id="forbidden_arc fails without the second"),
        pytest.param(TARGET, "1234", 2, id="target trivial"),
        pytest.param(TARGET, "1342", -5, id="target fails"),
        pytest.param(TARGET, "1432", 0, id="target holds"),
    ],
)
def test_slack_of_each_constraint(constraint, cities, slack):
    """Predicate and solver agree with the slack worked out by hand."""
    assert agreed(SHAPE, constraint, tour(cities)) == slack


def test_arrivals_of_a_tour():
    """To wait delays what follows; the start is left at time 0."""
    assert arrivals(tour("1432"), DISTANCE, DATA.opening()) == {0: 0, 3: 5, 2: 8, 1: 14}
    with pytest.raises(Absent):
        arrivals(tour("234"), DISTANCE, DATA.opening())


@pytest.mark.parametrize(
    ("modules", "optimum"),
    [
        ((), 11),  # 1234
        (("time_window",), 11),
        (("precedence",), 13),  # 1432
        (("forbidden_arc",), 11),
        (("precedence", "forbidden_arc"), 18),  # 1342
        (None, 25),  # 1324: 1342 reaches city 2 at 18
    ],
)
def test_optimum_worked_by_hand(modules, optimum):
    """The tiny instance has the optimum that pen and paper give; every arm has the joint arm's target."""
    _, instance = instance_of(Tsp, DATA, modules)
    assert (instance.optimum, instance.proof.status, instance.proof.bound) == (optimum, "OPTIMAL", optimum)
    assert instance.target == 26


def shortest_tour(d, modules):
    """Return the length of the shortest tour by the dynamic programming of Held and Karp.

    Of each set of visited cities and last one of them, all pairs of length and time that no other pair beats in both.
    """
    n = len(d.distance)
    opens = {city: opening for city, opening, _ in d.windows} if "time_window" in modules else {}
    closes = {city: closing for city, _, closing in d.windows} if "time_window" in modules else {}
    before = d.precedences if "precedence" in modules else ()
    banned = d.forbidden if "forbidden_arc" in modules else ()
    front = {(frozenset([0]), 0): [(0, 0)]}
    for _ in range(n - 1):
        ahead = {}
        for (seen, here), pairs in front.items():
            for j in set(range(n)) - seen:
                if (here, j) in banned or any(second == j and first not in seen for first, second in before):
                    continue
                way = d.distance[here][j]
                reached = ahead.setdefault((seen | {j}, j), [])
                reached += [
                    (length + way, max(time + way, opens.get(j, 0)))
                    for length, time in pairs
                    if time + way <= closes.get(j, time + way)
                ]
        front = {state: undominated(pairs) for state, pairs in ahead.items()}
    return min(
        length + d.distance[here][0]
        for (_, here), pairs in front.items()
        for length, _ in pairs
        if (here, 0) not in banned
    )


def undominated(pairs):
    best = []
    for length, time in sorted(set(pairs)):
        if not best or time < best[-1][1]:
            best.append((length, time))
    return best


def test_optimum_equals_dynamic_programming():
    """On 240 instances of 6 and 8 cities, over all sets of modules, the proven optimum is Held and Karp's."""
    family = Tsp()
    arms = [arm for count in range(4) for arm in combinations(family.module_names, count)]
    wider = TspKnobs(cities=8, windows=3, precedences=2, forbidden=4, detour=20)
    problems = [*draws(family, "xs", 200), *(family.draw(wider, Stream(f"wider {i}")) for i in range(40))]
    for index, d in enumerate(problems):
        modules = arms[index % len(arms)]
        solution = solve(family.form(d), family.arm(d, modules), family.objective(d))
        assert solution.objective == shortest_tour(d, modules), (index, modules)


@pytest.mark.parametrize("one", FAMOUS, ids=lambda one: one.name)
def test_a_famous_matrix_has_its_published_optimum(one):
    """The matrix is square and symmetric, and the solver proves the optimum that the source names."""
    family, matrix = Tsp(), one.data.distance
    assert matrix == tuple(zip(*matrix, strict=True))
    assert all(row[i] == 0 for i, row in enumerate(matrix))
    assert solve(family.form(one.data), family.core(one.data), family.objective(one.data)).objective == one.optimum


@pytest.mark.parametrize("name", ["burma14", "ulysses16", "gr17"])
def test_a_famous_matrix_is_that_of_the_public_file(name):
    """What is typed here is what the public file makes of coordinates or lists."""
    known = {one.name: one.data for one in FAMOUS}
    assert from_file((PUBLIC / f"{name}.tsp").read_text(encoding="utf-8")) == known[name]


def test_an_asymmetric_file_is_read():
    """A full matrix is read by rows, from row to column; what stands on the diagonal does not matter."""
    text = (
        "NAME: tiny\nTYPE: ATSP\nDIMENSION: 3\nEDGE_WEIGHT_TYPE: EXPLICIT\nEDGE_WEIGHT_FORMAT: FULL_MATRIX\n"
        "EDGE_WEIGHT_SECTION\n9999 1 2\n3 9999 4\n5 6 9999\nEOF\n"
    )
    family, d = Tsp(), from_file(text)
    assert [row[i + 1 :] + row[:i] for i, row in enumerate(d.distance)] == [(1, 2), (4, 3), (5, 6)]
    assert solve(family.form(d), family.core(d), family.objective(d)).objective == 1 + 4 + 5
    with pytest.raises(FormatError, match="line 8"):
        from_file(text.replace("3 9999 4", "3 x 4"))


@pytest.mark.parametrize("size", SIZES)
def test_draws_are_sound(size):
    """No way round is shorter, rules concern different cities, and some tour keeps all of them."""
    family = Tsp()
    for d in draws(family, size, 10):
        knobs = family.sizes[size]
        assert (len(d.distance), len(d.windows), len(d.precedences), len(d.forbidden)) == (
            knobs.cities,
            knobs.windows,
            knobs.precedences,
            knobs.forbidden,
        )
        assert shortest(d.distance) == d.distance
        assert min(way for i, row in enumerate(d.distance) for j, way in enumerate(row) if i != j) > 0
        assert len({city for city, _, _ in d.windows}) == knobs.windows
        assert all(city > 0 and 0 <= opening <= closing for city, opening, closing in d.windows)
        assert all(0 < first != second > 0 for first, second in d.precedences)
        assert all(first != second for first, second in d.forbidden)
        assert solve(family.form(d), family.arm(d, family.module_names), None).status == "optimal"


def test_statement_says_every_number():
    """The statement lists all distances by row and column and states each rule."""
    family, instance = instance_of(Tsp, DATA)
    text = family.statement(instance, "final")
    assert text.startswith("Find a round tour through these cities. It leaves city 1 at time 0 and ends there;")
    assert (
        "from \\ to | city 1 | city 2 | city 3 | city 4\n1 | 0 | 2 | 9 | 5\n2 | 1 | 0 | 3 | 8\n3 | 7 | 4 | 0 | 2\n"
        "4 | 4 | 6 | 3 | 0\n"
    ) in text
    assert "1. Every city is visited exactly once.\n" in text
    assert "2. City 2 is reached at time 14 at the latest; a tour that reaches it before time 3 waits there" in text
    assert "3. City 3 is reached at time 20 at the latest; a tour that reaches it before time 10 waits there" in text
    assert "4. City 3 is visited before city 2.\n" in text
    assert "5. The tour does not go directly from city 4 to city 3.\n" in text
    assert "6. The length of the tour (with the way back) is at most 26.\n" in text
    assert text.endswith("Objective: Minimise the length of the tour (with the way back).")


def test_statement_uses_the_names_given():
    """Renamed cities appear by their labels, in the matrix too, listed in the order of the names."""
    names = Names({"city": ("farm", "farms")}, {"city": ("P", "Q", "R", "S")}, {"city": (3, 2, 1, 0)})
    assert PRECEDENCE.say(names) == "Farm R is visited before farm Q."
    assert FORBIDDEN.say(names) == "The tour does not go directly from farm S to farm R."
    text = Tsp().intro(DATA, names)
    assert "It leaves farm P at time 0" in text
    assert "from \\ to | farm S | farm R | farm Q | farm P\nS | 0 | 3 | 6 | 4\n" in text


def test_greedy_inserts_what_adds_least():
    """After 1 2, city 3 behind 2 adds 9, as city 4 before 2 does; where 3 is to come before 2, it is city 4."""
    family = Tsp()
    assert family.greedy(DATA, family.fits(family.core(DATA))) == tour("1234")
    assert family.greedy(DATA, family.fits(family.arm(DATA, ("precedence",)))) == tour("1432")


@pytest.mark.parametrize("size", SIZES)
def test_greedy_breaks_no_ceiling(size):
    """Greedy reaches no city too late and keeps the order; under the core alone its tour has all cities."""
    family = Tsp()
    for d in draws(family, size, 5):
        constraints = family.arm(d, family.module_names)
        answer = family.greedy(d, family.fits(constraints))
        assert all(family.fits([c])(answer) for c in constraints)
        assert len(family.greedy(d, family.fits(family.core(d)))) == len(d.distance)


def test_a_perturbed_matrix_keeps_its_form():
    """Some distances change, in both directions alike, none below 1; the diagonal stays 0."""
    family = Tsp()
    for one in FAMOUS:
        d = family.perturb(one.data, Stream(f"perturb {one.name}"))
        assert d != one.data
        assert replace(d, distance=()) == replace(one.data, distance=())
        assert d.distance == tuple(zip(*d.distance, strict=True))
        assert all((way == 0) == (i == j) for i, row in enumerate(d.distance) for j, way in enumerate(row))


def test_the_sketch_draws_the_tour():
    """One node for each city, one arc from each, where it is."""
    family, instance = instance_of(Tsp, DATA)
    sketch = family.sketch(instance)
    assert [node.label for node in sketch.nodes] == ["1", "3", "2", "4"]
    assert [(edge.tail, edge.head) for edge in sketch.edges] == [(0, 1), (1, 2), (2, 3), (3, 0)]


def latest(answer, c):
    """Return the tour with the city of a window moved to where it is reached last."""
    rest = [i for i in along(answer) if i != c.city]
    moved = [rounded_up([*rest[:k], c.city, *rest[k:]]) for k in range(1, len(rest) + 1)]
    return min(moved, key=c.check)


def swapped(answer, c):
    exchange = dict(zip(c.pair, reversed(c.pair), strict=True))
    return rounded_up([exchange.get(i, i) for i in along(answer)])


def joined(answer, c):
    first, second = c.arc
    return rounded_up([first, second, *(i for i in along(answer, first) if i not in c.arc)])


def farthest(answer, c):
    """Return the tour that always goes on to the city farthest away."""
    order = [0]
    while len(order) < len(answer):
        row = c.objective.distance[order[-1]]
        order.append(max(set(answer) - set(order), key=row.__getitem__))
    return rounded_up(order)


MUTATIONS = {
    "visited": lambda answer, c: rounded_up([i for i in along(answer) if i != c.city]),
    "time_window": latest,
    "precedence": swapped,
    "forbidden_arc": joined,
    "target": farthest,
}


@pytest.mark.parametrize("kind", Tsp().constraint_kinds)
def test_a_breaking_mutation_is_reported(kind):
    """The exact answer, mutated to break one constraint, is reported as breaking it by judge and solver."""
    family = Tsp()
    for instance in instances(family, "s", 5):
        for constraint in family.constraints(instance, "final"):
            if constraint.kind == kind:
                mutant = MUTATIONS[kind](instance.answer, constraint)
                assert constraint not in violated(family, instance, instance.answer)
                assert constraint in violated(family, instance, mutant)
                slack = agreed(family.shape(instance, "final"), constraint, mutant)
                assert slack is None or slack < 0
