"""Shift scheduling: each constraint on three employees worked out by hand, the optimum by all rosters and by SCIP."""

from dataclasses import replace
from itertools import combinations, product

import pytest
from ortools.linear_solver import pywraplp

from solvers.exact import solve
from solvers.keys import Stream
from solvers.names import Names
from solvers.optimization.shift_scheduling import (
    Availability,
    BudgetLeft,
    Fairness,
    MaxOvertime,
    MaxTotal,
    MinCoverage,
    NoDouble,
    ShiftScheduling,
    ShiftSchedulingData,
    Skill,
    TotalWage,
)
from solvers.problem import SIZES, Target
from solvers.shapes import Partial, SetsOf
from tests.solvers.optimization import agreed, draws, instance_of, instances, violated

# Shifts 1 and 2 are on one day. Shift 2 needs a skill that employee 2 lacks.
DATA = ShiftSchedulingData(
    day=(1, 1, 2),
    hours=(6, 8, 4),
    skill=(0, 1, 0),
    least=(1, 1, 2),
    wage=(10, 14, 11),
    skills=((0, 1), (0,), (0, 1)),
    most=(2, 2, 1),
    regular=(8, 8, 8),
    overtime=(2, 4, 0),
    gap=1,
    absences=((0, (1,)),),
)
SHAPE = SetsOf("employee", 3, "shift", 3)
SKILL = Skill(1, 3, (0, 2))
COVERAGE = MinCoverage(2, 3, 2)
NO_DOUBLE = NoDouble(0, (1, 1, 2))
MAX_TOTAL = MaxTotal(0, 3, 2)
OVERTIME = MaxOvertime(0, (6, 8, 4), 8, 2)
FAIRNESS = Fairness(3, 3, 1)
AVAILABILITY = Availability(0, (1, 2))
TARGET = Target(TotalWage((10, 14, 11), 3), 45)


def roster(*shifts):
    """Return the answer in which employees 1, 2 and 3 work these shifts (from 0): "02" is the first and the last."""
    return Partial({e: frozenset(map(int, own)) for e, own in enumerate(shifts)})


@pytest.mark.parametrize(
    ("constraint", "shifts", "slack"),
    [
        pytest.param(SKILL, ("", "", ""), 0, id="skill trivial"),
        pytest.param(SKILL, ("1", "12", ""), -1, id="skill fails"),
        pytest.param(SKILL, ("01", "02", "1"), 0, id="skill holds"),
        pytest.param(COVERAGE, ("012", "012", "012"), 1, id="min_coverage trivial"),
        pytest.param(COVERAGE, ("01", "01", "2"), -1, id="min_coverage fails"),
        pytest.param(COVERAGE, ("2", "2", ""), 0, id="min_coverage holds"),
        pytest.param(NO_DOUBLE, ("", "01", "01"), 0, id="no_double trivial"),
        pytest.param(NO_DOUBLE, ("01", "", ""), -1, id="no_double fails"),
        pytest.param(NO_DOUBLE, ("12", "", ""), 0, id="no_double holds"),
        pytest.param(MAX_TOTAL, ("", "012", "012"), 2, id="max_total trivial"),
        pytest.param(MAX_TOTAL, ("012", "", ""), -1, id="max_total fails"),
        pytest.param(MAX_TOTAL, ("02", "", ""), 0, id="max_total holds"),
        pytest.param(OVERTIME, ("", "012", "012"), 2, id="max_overtime trivial"),
        pytest.param(OVERTIME, ("1", "", ""), 2, id="max_overtime trivial, just the regular hours"),
        pytest.param(OVERTIME, ("12", "", ""), -2, id="max_overtime fails"),
        pytest.param(OVERTIME, ("02", "", ""), 0, id="max_overtime holds"),
        pytest.param(Fairness(3, 2, 1), ("01", "0", ""), -1, id="fairness looks at every employee"),
        pytest.param(FAIRNESS, ("0", "1", "2"), 1, id="fairness trivial"),
        pytest.param(FAIRNESS, ("02", "1", ""), -1, id="fairness fails"),
        pytest.param(FAIRNESS, ("01", "2", "2"), 0, id="fairness holds"),
        pytest.param(AVAILABILITY, ("", "12", "12"), 0, id="availability trivial"),
        pytest.param(AVAILABILITY, ("012", "", ""), -2, id="availability fails, twice"),
        pytest.param(AVAILABILITY, ("0", "", ""), 0, id="availability holds"),
        pytest.param(TARGET, ("", "", ""), 45, id="target trivial"),
        pytest.param(TARGET, ("01", "2", "02"), -11, id="target fails"),
        pytest.param(TARGET, ("02", "2", "1"), 0, id="target holds"),
    ],
)
def test_slack_of_each_constraint(constraint, shifts, slack):
    """Predicate and solver agree with the slack worked out by hand."""
    assert agreed(SHAPE, constraint, roster(*shifts)) == slack


def test_three_shifts_on_one_day_are_two_too_many():
    """The slack counts the shifts that have to go."""
    assert agreed(SHAPE, NoDouble(0, (4, 4, 4)), roster("012", "", "")) == -2


@pytest.mark.parametrize(
    ("modules", "optimum"),
    [
        ((), 41),  # employee 1 works all, employee 3 the third shift with them
        (("no_double",), 42),  # shift 2 goes to employee 3
        (("max_total",), 45),  # employee 1 twice, employees 2 and 3 once each
        (("max_overtime",), 45),  # shift 2 takes all hours of employee 3; 1 and 3 to employee 1, 3 to employee 2
        (("fairness",), 45),
        (("availability",), 42),
        (None, 45),
    ],
)
def test_optimum_worked_by_hand(modules, optimum):
    """The tiny instance has the optimum that pen and paper give; every arm has the joint arm's target."""
    _, instance = instance_of(ShiftScheduling, DATA, modules)
    assert (instance.optimum, instance.proof.status, instance.proof.bound) == (optimum, "OPTIMAL", optimum)
    assert instance.target == 45


def staffs(d, s, modules):
    """Yield the sets of employees who may work a shift together, as far as the shift alone can tell."""
    away = {e for e, shifts in d.absences if s in shifts} if "availability" in modules else set()
    able = [e for e, own in enumerate(d.skills) if d.skill[s] in own and e not in away]
    for count in range(d.least[s], len(able) + 1):
        yield from combinations(able, count)


def least_wage(d, modules):
    best = None
    employees = range(len(d.wage))
    for plan in product(*(list(staffs(d, s, modules)) for s in range(len(d.day)))):
        counts = [sum(e in staff for staff in plan) for e in employees]
        if "max_total" in modules and any(count > most for count, most in zip(counts, d.most, strict=True)):
            continue
        if "fairness" in modules and max(counts) - min(counts) > d.gap:
            continue
        if "no_double" in modules and any(
            e in plan[r] and e in plan[s]
            for r, s in combinations(range(len(plan)), 2)
            if d.day[r] == d.day[s]
            for e in employees
        ):
            continue
        if "max_overtime" in modules and any(
            sum(hours for hours, staff in zip(d.hours, plan, strict=True) if e in staff) > d.regular[e] + d.overtime[e]
            for e in employees
        ):
            continue
        wage = sum(d.wage[e] for staff in plan for e in staff)
        best = wage if best is None else min(best, wage)
    return best


def arms(family):
    names = family.module_names
    return [arm for count in range(len(names) + 1) for arm in combinations(names, count)]


def optimum(family, d, modules):
    return solve(family.form(d), family.arm(d, modules), family.objective(d)).objective


def test_optimum_equals_brute_force():
    """On 256 instances, over all sets of modules, the proven optimum is the best of all rosters."""
    family = ShiftScheduling()
    for index, d in enumerate(draws(family, "xs", 256)):
        modules = arms(family)[index % 32]
        assert optimum(family, d, modules) == least_wage(d, modules)


def scip(d, modules):
    """Return the optimum of a linear model for SCIP, in which counts are compared pair by pair."""
    solver = pywraplp.Solver.CreateSolver("SCIP")
    employees, shifts = range(len(d.wage)), range(len(d.day))
    x = [[solver.BoolVar("") for _ in shifts] for _ in employees]
    for s in shifts:
        solver.Add(sum(x[e][s] for e in employees if d.skill[s] in d.skills[e]) >= d.least[s])
        for e in employees:
            x[e][s].SetUb(int(d.skill[s] in d.skills[e]))
    if "availability" in modules:
        for e, absences in d.absences:
            for s in absences:
                x[e][s].SetUb(0)
    for e in employees:
        if "max_total" in modules:
            solver.Add(sum(x[e]) <= d.most[e])
        if "max_overtime" in modules:
            solver.Add(sum(d.hours[s] * x[e][s] for s in shifts) <= d.regular[e] + d.overtime[e])
        for f in employees if "fairness" in modules else ():
            solver.Add(sum(x[e]) - sum(x[f]) <= d.gap)
        for r, s in combinations(shifts, 2) if "no_double" in modules else ():
            if d.day[r] == d.day[s]:
                solver.Add(x[e][r] + x[e][s] <= 1)
    solver.Minimize(sum(d.wage[e] * x[e][s] for e in employees for s in shifts))
    assert solver.Solve() == solver.OPTIMAL
    return round(solver.Objective().Value())


def test_optimum_equals_that_of_another_solver():
    """On 64 instances of size s, over all sets of modules, SCIP finds the same optimum."""
    family = ShiftScheduling()
    for index, d in enumerate(draws(family, "s", 64)):
        modules = arms(family)[index % 32]
        assert optimum(family, d, modules) == scip(d, modules)


@pytest.mark.parametrize("size", SIZES)
def test_drawn_data_are_sound(size):
    """Each shift needs somebody, each skill is had, absences are some shifts, and no limit lets one work everything."""
    family, knobs = ShiftScheduling(), ShiftScheduling().sizes[size]
    for d in draws(family, size, 20):
        assert all(1 <= least <= knobs.staff for least in d.least)
        assert set(d.day) == set(range(1, knobs.days + 1))
        assert {k for own in d.skills for k in own} == set(range(knobs.skills))
        assert set(d.skill) <= set(range(knobs.skills))
        assert len(d.absences) == knobs.absent
        assert all(0 < len(set(shifts)) < knobs.shifts for _, shifts in d.absences)
        assert all(most < knobs.shifts for most in d.most)
        assert all(a + b < sum(d.hours) for a, b in zip(d.regular, d.overtime, strict=True))
        assert 1 <= d.gap < knobs.shifts


def test_what_is_left_mirrors_the_wage():
    """Wage and rest add up to the budget, whatever the roster."""
    wage, left = TotalWage((10, 14, 11), 3), BudgetLeft((10, 14, 11), 3, 105)
    assert left.of(roster("02", "2", "1")) == 105 - 45
    for shifts in product(("", "0", "12", "012"), repeat=3):
        assert left.of(roster(*shifts)) + wage.of(roster(*shifts)) == 105


def test_distractors_are_of_no_use():
    """What is added is required by no shift: skills, each of them had by somebody."""
    family = ShiftScheduling()
    for d in draws(family, "s", 10):
        for extra in (1, 2, 4):
            crowd = family.distracted(d, extra, Stream(f"crowd {extra}"))
            assert replace(crowd, skills=d.skills) == d
            before = family.entities(d)
            assert family.entities(crowd) == {**before, "skill": (1 + extra) * before["skill"]}
            assert {k for own in crowd.skills for k in own} == set(range((1 + extra) * before["skill"]))


def test_statement_says_every_number():
    """The statement lists employees and shifts and states each rule."""
    family, instance = instance_of(ShiftScheduling, DATA)
    text = family.statement(instance, "final")
    assert "employee | wage | skills\n1 | 10 | 1, 2\n2 | 14 | 1\n3 | 11 | 1, 2\n" in text
    assert "shift | day | hours | skill\n1 | 1 | 6 | 1\n2 | 1 | 8 | 2\n3 | 2 | 4 | 1\n" in text
    assert "1. Everybody who works a shift has the skill that the shift requires.\n" in text
    assert "2. The number of employees who work shift 1 is at least 1.\n" in text
    assert "4. The number of employees who work shift 3 is at least 2.\n" in text
    assert "5. No employee works two shifts on the same day.\n" in text
    assert "6. The number of shifts that employee 1 works is at most 2.\n" in text
    assert "9. Employee 1 works at most 2 hours of overtime, which are the hours beyond 8 in total.\n" in text
    assert "12. The numbers of shifts that any two employees work differ by at most 1.\n" in text
    assert "13. Employee 1 is not available for shift 2.\n" in text
    assert "14. The total wage of all shifts worked is at most 45." in text
    assert text.endswith("Objective: Minimise the total wage of all shifts worked.")


def test_statement_names_no_module_that_is_off():
    """Overtime, availability and fairness are told only where they count."""
    family, instance = instance_of(ShiftScheduling, DATA, ())
    text = family.statement(instance, "final")
    assert not any(word in text for word in ("overtime", "available", "differ", "same day"))


def test_statement_uses_the_names_given():
    """Renamed entities appear in the sentences."""
    names = Names({"employee": ("nurse", "nurses"), "shift": ("watch", "watches")}, {"employee": ("Ada", "Bo", "Cy")})
    assert OVERTIME.say(names) == "Nurse Ada works at most 2 hours of overtime, which are the hours beyond 8 in total."
    assert AVAILABILITY.say(names) == "Nurse Ada is not available for watches 2 and 3."
    assert COVERAGE.say(names) == "The number of nurses who work watch 3 is at least 2."


@pytest.mark.parametrize("size", SIZES)
def test_greedy_breaks_no_ceiling(size):
    """Greedy violates no limit and staffs no shift beyond its need; what it may miss are coverage and fairness."""
    family = ShiftScheduling()
    for d in draws(family, size, 5):
        constraints = family.arm(d, family.module_names)
        answer = family.greedy(d, family.fits(constraints))
        assert all(c.check(answer) >= 0 for c in constraints if c.hereditary)
        assert all(c.check(answer) <= 0 for c in constraints if c.kind == "min_coverage")


def _with(answer, e, shifts):
    return Partial({**answer, e: answer[e] | frozenset(shifts)})


MUTATIONS = {
    "skill": lambda answer, c: _with(answer, min(set(range(c.employees)) - set(c.skilled)), {c.shift}),
    "min_coverage": lambda answer, c: Partial({e: shifts - {c.shift} for e, shifts in answer.items()}),
    "no_double": lambda answer, c: _with(answer, c.employee, range(len(c.day))),
    "max_total": lambda answer, c: _with(answer, c.employee, range(c.shifts)),
    "max_overtime": lambda answer, c: _with(answer, c.employee, range(len(c.hours))),
    "fairness": lambda answer, c: Partial({**answer, 0: frozenset(), 1: frozenset(range(c.shifts))}),
    "availability": lambda answer, c: _with(answer, c.employee, c.absences[:1]),
    "target": lambda answer, c: Partial({e: frozenset(range(c.objective.shifts)) for e in answer}),
}


@pytest.mark.parametrize("kind", ShiftScheduling().constraint_kinds)
def test_a_breaking_mutation_is_reported(kind):
    """The exact answer, mutated to break one constraint, is reported as breaking it by judge and solver."""
    family = ShiftScheduling()
    for instance in instances(family, "s", 5):
        for constraint in family.constraints(instance, "final"):
            if constraint.kind == kind and len(getattr(constraint, "skilled", ())) < 7:
                mutant = MUTATIONS[kind](instance.answer, constraint)
                assert constraint not in violated(family, instance, instance.answer)
                assert constraint in violated(family, instance, mutant)
                assert agreed(family.shape(instance, "final"), constraint, mutant) < 0
