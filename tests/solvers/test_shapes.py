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
from solvers.shapes import MapOf, Partial, Starts, SubsetOf, VectorOf, exact_fraction

PROFILE = settings(derandomize=True, deadline=None, database=None, max_examples=25)
SUBSET = SubsetOf("item", 5)
MAP = MapOf("item", 4, "bin", 3)
STARTS = Starts("job", ((3, 2), (1, 4, 2)), 20)
FINAL = VectorOf("x", 2, 3, 10)
TRACE = VectorOf("x", 2, 3, 10, rows=3)
SHAPES = {"subset": SUBSET, "map": MAP, "starts": STARTS, "final": FINAL, "trace": TRACE}
SOLVED = {name: SHAPES[name] for name in ("subset", "map", "starts")}
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
    """A mutated answer differs from its original in exactly one entity, and any entity may change."""
    answer, changed = shape.random(Stream("start")), set()
    for k in range(200):
        one = differences(answer, shape.mutated(answer, Stream(str(k))))
        assert len(one) == 1
        changed |= one
    assert len(changed) == {"subset": 5, "map": 4, "starts": 5, "final": 2, "trace": 6}[kind_of(shape)]


def kind_of(shape: Any) -> str:
    return next(name for name, known in SHAPES.items() if known is shape)


def differences(one: Any, other: Any) -> set[Any]:
    """Return the entities in which two answers differ."""
    if isinstance(one, frozenset):
        return set(one ^ other)
    if isinstance(one, dict):
        assert one.keys() == other.keys()
        return {key for key in one if one[key] != other[key]}
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
    assert bool(lacking) == any(True for _ in parts(shape.schema(Names())))
    for _, _, less in lacking:
        assert len(less) < len(answer)
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
    assert len(shape.empty()) == 0


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
        (key,) = shape.schema(names)["properties"]
        assert f'{{"{key}": ' in shape.form(names)
    assert "item" not in SUBSET.form(DISGUISE)
    assert "bin" not in MAP.form(DISGUISE)
