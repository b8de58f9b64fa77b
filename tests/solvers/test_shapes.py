"""Shapes: what is written is read back, what is malformed is refused, and the solver's variables hold an answer."""

import json
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from ortools.sat.python import cp_model

from solvers.keys import Stream
from solvers.names import Names
from solvers.problem import Absent
from solvers.shapes import (
    AmountOf,
    GridOf,
    Joint,
    MapOf,
    OrderOf,
    Partial,
    RoutesOf,
    SetsOf,
    Starts,
    SubsetOf,
    TourOf,
    VectorOf,
    along,
    exact_fraction,
    in_order,
)

PROFILE = settings(derandomize=True, deadline=None, database=None, max_examples=25)
SUBSET = SubsetOf("item", 5)
MAP = MapOf("item", 4, "bin", 3)
STARTS = Starts("job", ((3, 2), (1, 4, 2)), 20)
FINAL = VectorOf("x", 2, 3, 10)
TRACE = VectorOf("x", 2, 3, 10, rows=3)
SETS = SetsOf("item", 3, "bin", 3)
AMOUNT = AmountOf("item", (3, 0, 5), "flow")
GRID = GridOf("item", "bin", ((3, 2, 1), (0, 4, 1)))
ORDER = OrderOf("item", 4)
TOUR = TourOf("item", 5)
ROUTES = RoutesOf("job", 2, "item", 4)
JOINT = Joint((SubsetOf("bin", 3), MapOf("item", 3, "bin", 3)))
SHAPES = {
    "subset": SUBSET,
    "map": MAP,
    "starts": STARTS,
    "sets": SETS,
    "amount": AMOUNT,
    "grid": GRID,
    "order": ORDER,
    "tour": TOUR,
    "routes": ROUTES,
    "joint": JOINT,
    "final": FINAL,
    "trace": TRACE,
}
SOLVED = {name: shape for name, shape in SHAPES.items() if name not in ("final", "trace")}
EMPTY_IF_LEFT_OUT = ("sets", "routes")
DISGUISE = Names(
    {"item": ("crate", "crates"), "job": ("order", "orders"), "bin": ("van", "vans"), "x": ("u", "us")},
    {
        "item": ("K7", "K2", "K9", "K4", "K1"),
        "bin": ("red", "7", "blue"),
        "job": ("north", "south"),
    },
)
every = pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
solved = pytest.mark.parametrize("shape", SOLVED.values(), ids=SOLVED)


@every
@pytest.mark.parametrize("names", [Names(), DISGUISE], ids=["plain", "disguised"])
def test_what_is_written_is_read_back(shape: Any, names: Names) -> None:
    """Random and mutated answers fit the schema as JSON and come back as they were, in any names."""
    schema = Draft202012Validator(shape.schema(names))

    @PROFILE
    @given(st.text(max_size=6), st.integers(0, 5))
    def holds(word: str, steps: int) -> None:
        stream = Stream(word)
        answer = shape.random(stream)
        for _ in range(steps):
            answer = shape.mutated(answer, stream)
        value = json.loads(json.dumps(shape.write(answer, names)))
        schema.validate(value)
        assert shape.parse(value, names) == answer

    holds()


@every
def test_a_mutation_changes_one_thing(shape: Any) -> None:
    """A mutated answer differs from its original in exactly one entity (in an order, places are changed; a stop leaves
    a route for another), and any entity may change."""
    name = kind_of(shape)
    answer, changed = shape.random(Stream("start")), set()
    for k in range(200):
        differing = differences(answer, shape.mutated(answer, Stream(str(k))))
        assert len(differing) in {"order": (2,), "tour": (2, 3, 4), "routes": (1, 2)}.get(name, (1,))
        changed |= differing
    movable = {"subset": 5, "map": 4, "starts": 5, "sets": 3, "amount": 2, "grid": 5, "order": 4, "tour": 5}
    assert len(changed) == (movable | {"routes": 2, "joint": 6, "final": 2, "trace": 6})[name]


def kind_of(shape: Any) -> str:
    return next(name for name, known in SHAPES.items() if known is shape)


def differences(one: Any, other: Any) -> set[Any]:
    """Return the entities in which two answers differ."""
    if isinstance(one, frozenset):
        return set(one ^ other)
    if isinstance(one, dict):
        assert one.keys() == other.keys()
        return {key for key in one if one[key] != other[key]}
    if any(isinstance(part, frozenset | dict) for part in one):
        return {(k, entity) for k, part in enumerate(one) for entity in differences(part, other[k])}
    return {(r, c) for r, row in enumerate(one) for c, v in enumerate(row) if other[r][c] != v}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("subset", {"items": [0]}),
        ("subset", {"items": [6]}),
        ("subset", {"items": [-1]}),
        ("subset", {"items": ["1"]}),
        ("subset", {"items": [True]}),
        ("subset", {"items": [2, 2]}),
        ("subset", {"items": [1.5]}),
        ("subset", {"items": 1}),
        ("subset", {"items": None}),
        ("subset", {}),
        ("subset", {"items": [1], "why": "it is best"}),
        ("subset", [1, 2]),
        ("map", {"assignment": {"1": 1, "2": 1, "3": 1, "4": 4}}),
        ("map", {"assignment": {"1": 1, "2": 1, "3": 1, "5": 1}}),
        ("map", {"assignment": {"1": 1, "2": 1, "3": 1, "4": 1, "5": 1}}),
        ("map", {"assignment": {"1": 1, "2": 1, "3": 1, "4": True}}),
        ("map", {"assignment": {"1": 1, "2": 1, "3": 1, "4": [1]}}),
        ("map", {"assignment": [1, 1, 1, 1]}),
        ("starts", {"starts": {"1": [0, -1], "2": [0, 1, 2]}}),
        ("starts", {"starts": {"1": [0, 1.5], "2": [0, 1, 2]}}),
        ("starts", {"starts": {"1": [0, True], "2": [0, 1, 2]}}),
        ("starts", {"starts": {"1": [0, 1, 2], "2": [0, 1, 2]}}),
        ("starts", {"starts": {"1": [0, "1"], "2": [0, 1, 2]}}),
        ("starts", {"starts": {"1": [0, 1], "2": [0, 1, 2], "3": []}}),
        ("sets", {"assignment": {"1": [1, 1]}}),
        ("sets", {"assignment": {"1": [4]}}),
        ("sets", {"assignment": {"4": [1]}}),
        ("sets", {"assignment": {"1": 1}}),
        ("amount", {"flow": {"1": -1, "2": 0, "3": 0}}),
        ("amount", {"flow": {"1": 0.5, "2": 0, "3": 0}}),
        ("amount", {"flow": {"1": True, "2": 0, "3": 0}}),
        ("amount", {"flow": {"1": 0, "2": 0, "3": 0, "4": 0}}),
        ("amount", {"flow": [0, 0, 0]}),
        ("grid", {"plan": {"1": [0, 0], "2": [0, 0, 0]}}),
        ("grid", {"plan": {"1": [0, 0, 0, 0], "2": [0, 0, 0]}}),
        ("grid", {"plan": {"1": [0, 0, -1], "2": [0, 0, 0]}}),
        ("order", {"order": [1, 2, 3, 3]}),
        ("order", {"order": [1, 2, 3, 5]}),
        ("order", {"order": [1, 2, 3, 4, 1]}),
        ("tour", {"tour": [1, 2, 3, 4, 5, 1]}),
        ("tour", {"tour": [1, 2, 3, 4, 6]}),
        ("routes", {"routes": {"1": [1, 1], "2": []}}),
        ("routes", {"routes": {"1": [5], "2": []}}),
        ("routes", {"routes": {"3": [1]}}),
        ("joint", {"bins": [1]}),
        ("joint", {"bins": [1], "assignment": {"1": 4}}),
        ("joint", {"bins": [1], "assignment": {}, "more": 1}),
        ("final", {"x": [1]}),
        ("final", {"x": [1, 2, 3]}),
        ("final", {"x": [1, "2"]}),
        ("final", {"x": [1, True]}),
        ("final", {"x": [1, None]}),
        ("trace", {"iterates": [[1, 2], [1], [1, 2]]}),
        ("trace", {"iterates": [[1, 2], [1, 2], [1, 2], [1, 2]]}),
        ("trace", {"x": [[1, 2]]}),
    ],
)
def test_malformed_answers_do_not_fit(name: str, value: Any) -> None:
    """Unknown or negative ids, duplicates, wrong types, booleans as numbers and extra keys are refused."""
    assert not Draft202012Validator(SHAPES[name].schema(Names())).is_valid(value)


def parts(schema: Any) -> Iterator[Any]:
    """Yield the schemas within a schema that allow missing entries."""
    if isinstance(schema, dict):
        if schema.get("x-partial"):
            yield schema
        for part in schema.values():
            yield from parts(part)


@every
def test_only_entries_marked_partial_can_be_left_out(shape: Any) -> None:
    """What `lacking` leaves out is what the schema marks, and it is read back as left out."""
    answer = shape.random(Stream("whole"))
    lacking = list(shape.lacking(answer))
    marked = any(True for _ in parts(shape.schema(Names())))
    assert bool(lacking) == (marked and kind_of(shape) not in EMPTY_IF_LEFT_OUT)
    for _, _, less in lacking:
        assert held(less) < held(answer)
        assert shape.parse(shape.write(less, Names()), Names()) == less


def test_an_absent_entity_is_told_from_a_zero() -> None:
    """Asking a partial answer for what it lacks raises `Absent`, naming the entity; zero is a value."""
    answer = Partial({0: 0})
    assert answer[0] == 0
    with pytest.raises(Absent) as raised:
        answer[3]
    assert raised.value.args == (3,)


@every
def test_the_blank_answer_lacks_everything(shape: Any) -> None:
    """The answer that says nothing holds nothing."""
    assert held(shape.empty()) == 0


def held(answer: Any) -> int:
    """Return how many things an answer holds."""
    if isinstance(answer, dict):
        return sum(len(v) if isinstance(v, frozenset | tuple) else 1 for v in answer.values())
    if isinstance(answer, tuple) and any(isinstance(part, frozenset | dict) for part in answer):
        return sum(map(held, answer))
    return len(answer)


@every
def test_an_answer_less_one_element_is_smaller(shape: Any) -> None:
    """What a heuristic had before its last step holds less, for each element that can be taken back."""
    answer = shape.random(Stream("whole"))
    smaller = list(shape.smaller(answer))
    assert smaller or kind_of(shape) == "final"
    assert all(held(less) < held(answer) for less in smaller)


@pytest.mark.parametrize("name", EMPTY_IF_LEFT_OUT)
def test_who_is_left_out_has_nothing(name: str) -> None:
    """A worker or a vehicle that an answer doesn't name has the empty set, the empty route."""
    shape, key = SHAPES[name], {"sets": "assignment", "routes": "routes"}[name]
    assert shape.parse({key: {}}, Names()) == shape.empty()
    assert held(shape.parse({key: {"2": [3]}}, Names())) == 1


def test_a_tour_is_the_same_wherever_it_begins() -> None:
    """The list of a tour may begin anywhere; it is written from the first entity on, and its direction counts."""
    tour = TOUR.parse({"tour": [3, 1, 5, 2, 4]}, Names())
    assert tour == TOUR.parse({"tour": [1, 5, 2, 4, 3]}, Names())
    assert tour != TOUR.parse({"tour": [1, 3, 4, 2, 5]}, Names())
    assert TOUR.write(tour, Names()) == {"tour": [1, 5, 2, 4, 3]}
    assert along(tour) == [0, 4, 1, 3, 2]


def test_an_order_gives_the_place_of_each() -> None:
    """The list of an order says who is first; the answer says at which place each is."""
    order = ORDER.parse({"order": [3, 1, 4, 2]}, Names())
    assert order == {2: 0, 0: 1, 3: 2, 1: 3}
    assert in_order(order) == [2, 0, 3, 1]


def test_a_grid_is_read_in_the_order_in_which_its_columns_are_listed() -> None:
    """Under other labels and another order of listing, the same answer is written by these, and read back."""
    names = Names(labels={"item": ("2", "1"), "bin": ("2", "3", "1")}, order={"item": (1, 0), "bin": (2, 0, 1)})
    answer = Partial({(0, 0): 3, (0, 1): 2, (0, 2): 1, (1, 0): 0, (1, 1): 4, (1, 2): 9})
    assert GRID.write(answer, names) == {"plan": {"1": [9, 0, 4], "2": [1, 3, 2]}}
    assert GRID.parse(GRID.write(answer, names), names) == answer
    assert "of bins 1, 2, 3, in this order" in GRID.form(names)


@pytest.mark.parametrize("name", ["subset", "tour", "joint"])
def test_schemas_list_labels_in_the_order_of_the_statement(name: str) -> None:
    """The enumeration of a reordered instance's labels gives the original order away no more than its text does."""
    shape = SHAPES[name]
    count = {"subset": 5, "tour": 5, "joint": 3}[name]
    order = tuple(reversed(range(count)))
    labels = tuple(str(count - i) for i in range(count))
    names = Names(labels=dict.fromkeys(("item", "bin"), labels), order=dict.fromkeys(("item", "bin"), order))
    for enum in enums(shape.schema(names)):
        assert enum == sorted(enum)


def enums(schema: Any) -> Iterator[Any]:
    """Yield the enumerations within a schema."""
    if isinstance(schema, dict):
        if "enum" in schema:
            yield schema["enum"]
        for part in schema.values():
            yield from enums(part)


@solved
def test_the_solver_holds_the_answer_it_is_fixed_to(shape: Any) -> None:
    """Variables fixed to an answer can take only its values: they are read back as that answer."""
    for k in range(10):
        answer = shape.random(Stream(str(k)))
        model, solver = cp_model.CpModel(), cp_model.CpSolver()
        x = shape.variables(model)
        shape.fix(model, x, answer)
        assert solver.solve(model) == cp_model.OPTIMAL
        assert shape.read(solver.value, x) == answer


@solved
def test_two_answers_at_once_are_impossible(shape: Any) -> None:
    """Fixing the variables to two different answers leaves no solution: nothing is left free."""
    answer = shape.random(Stream("one"))
    for k in range(10):
        model = cp_model.CpModel()
        x = shape.variables(model)
        shape.fix(model, x, answer)
        shape.fix(model, x, shape.mutated(answer, Stream(str(k))))
        assert cp_model.CpSolver().solve(model) == cp_model.INFEASIBLE


def test_random_starts_and_their_mutations_are_within_the_horizon() -> None:
    """The solver's variables can take any start that is drawn or reached by mutation."""
    stream = Stream("long walk")
    answer = STARTS.random(stream)
    for _ in range(300):
        answer = STARTS.mutated(answer, stream)
        assert all(0 <= start <= STARTS.horizon for start in answer.values())


def test_first_fit_takes_what_fits_in_order() -> None:
    """Items are taken in the given order as long as they fit; a map leaves out what fits nowhere."""
    assert SUBSET.first_fit([4, 3, 2, 1, 0], lambda chosen: sum(chosen) <= 5) == {4, 1, 0}
    full = MAP.first_fit([3, 0, 1, 2], lambda a: max(list(a.values()).count(j) for j in range(3)) <= 1)
    assert full == {3: 0, 0: 1, 1: 2}


def test_a_written_decimal_is_the_exact_number() -> None:
    """A float stands for the decimal it prints as, so 0.1 is one tenth; written values print exactly."""
    assert exact_fraction(0.1) == Fraction(1, 10)
    assert exact_fraction(-2.675) == Fraction(-2675, 1000)
    assert exact_fraction(10**40) == 10**40
    assert exact_fraction(1e308) == 10**308
    rows = ((Fraction(1, 8), Fraction(-3)),)
    assert json.dumps(FINAL.write(rows, Names())) == '{"x": [0.125, -3]}'


@every
def test_the_form_names_the_keys_of_the_answer(shape: Any) -> None:
    """The pattern in words shows the very keys of the schema, in the names of the instance."""
    for names in (Names(), DISGUISE):
        form = shape.form(names)
        for key in shape.schema(names)["properties"]:
            assert f'"{key}": ' in form[form.index("{") :]
    assert "item" not in SUBSET.form(DISGUISE)
    assert "bin" not in MAP.form(DISGUISE)


def test_a_joint_shape_is_linearized_where_a_part_is() -> None:
    """Tours and routes ask the solver for the full linear relaxation, and so does what holds one of them."""
    assert [name for name, shape in SHAPES.items() if shape.linearized] == ["tour", "routes"]
    assert Joint((SUBSET, TOUR)).linearized
