"""Shift scheduling (a domain of ConstraintBench; Ernst et al. 2004 survey the field): skilled employees staff shifts.

Modules: ``no_double`` (two shifts on one day), ``max_total`` (shifts), ``max_overtime`` (hours beyond regular ones),
``fairness`` (numbers of shifts) and ``availability``.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any, ClassVar

from solvers.constrained import Fits, Optimization
from solvers.keys import Stream
from solvers.names import Names, sentence, table
from solvers.problem import Constraint, Data, Instance, Knobs, Objective, ladder
from solvers.shapes import Partial, SetsOf
from solvers.sketches import Bars, grid

if TYPE_CHECKING:
    from ortools.sat.python import cp_model

Roster = Partial[int, frozenset[int]]  # employee -> shifts
LENGTHS = (4, 6, 8, 10)  # of a shift, hours


@dataclass(frozen=True, kw_only=True)
class ShiftSchedulingKnobs(Knobs):
    employees: int
    shifts: int
    days: int
    skills: int
    staff: int  # most that a shift needs
    absent: int  # employees who are not always available


@dataclass(frozen=True)
class ShiftSchedulingData(Data):
    day: tuple[int, ...]  # by shift
    hours: tuple[int, ...]  # by shift
    skill: tuple[int, ...]  # by shift
    least: tuple[int, ...]  # by shift, employees
    wage: tuple[int, ...]  # by employee, for a shift
    skills: tuple[tuple[int, ...], ...]  # by employee
    most: tuple[int, ...]  # by employee, shifts
    regular: tuple[int, ...]  # by employee, hours
    overtime: tuple[int, ...]  # by employee, most hours beyond
    gap: int  # between the numbers of shifts of any two employees
    absences: tuple[tuple[int, tuple[int, ...]], ...]  # (employee, shifts)


@dataclass(frozen=True)
class Skill(Constraint[Roster, "dict[tuple[int, int], cp_model.IntVar]"]):
    kind: ClassVar[str] = "skill"
    constraint_class: ClassVar[str] = "domain"
    shift: int
    employees: int
    skilled: tuple[int, ...]

    def say(self, names: Names) -> str:
        shift, skill = names.word("shift"), names.word("skill")
        return f"Everybody who works a {shift} has the {skill} that the {shift} requires."

    def check(self, answer: Roster) -> int:
        return -sum(self.shift in answer[e] for e in range(self.employees) if e not in self.skilled)

    def post(self, model: "cp_model.CpModel", x: "dict[tuple[int, int], cp_model.IntVar]") -> None:
        for e in set(range(self.employees)).difference(self.skilled):
            model.add(x[e, self.shift] == 0)


@dataclass(frozen=True)
class MinCoverage(Constraint[Roster, "dict[tuple[int, int], cp_model.IntVar]"]):
    kind: ClassVar[str] = "min_coverage"
    constraint_class: ClassVar[str] = "structure"
    hereditary: ClassVar[bool] = False
    shift: int
    employees: int
    limit: int

    def say(self, names: Names) -> str:
        who = names.all("employee")
        return f"The number of {who} who work {names.one('shift', self.shift)} is at least {self.limit}."

    def check(self, answer: Roster) -> int:
        return sum(self.shift in answer[e] for e in range(self.employees)) - self.limit

    def post(self, model: "cp_model.CpModel", x: "dict[tuple[int, int], cp_model.IntVar]") -> None:
        model.add(sum(x[e, self.shift] for e in range(self.employees)) >= self.limit)


@dataclass(frozen=True)
class NoDouble(Constraint[Roster, "dict[tuple[int, int], cp_model.IntVar]"]):
    kind: ClassVar[str] = "no_double"
    constraint_class: ClassVar[str] = "temporal"
    employee: int
    day: tuple[int, ...]  # by shift

    def say(self, names: Names) -> str:
        return f"No {names.word('employee')} works two {names.all('shift')} on the same {names.word('day')}."

    def check(self, answer: Roster) -> int:
        days = [self.day[s] for s in answer[self.employee]]
        return len(set(days)) - len(days)

    def post(self, model: "cp_model.CpModel", x: "dict[tuple[int, int], cp_model.IntVar]") -> None:
        for day in sorted(set(self.day)):
            model.add_at_most_one(x[self.employee, s] for s, own in enumerate(self.day) if own == day)


@dataclass(frozen=True)
class MaxTotal(Constraint[Roster, "dict[tuple[int, int], cp_model.IntVar]"]):
    kind: ClassVar[str] = "max_total"
    constraint_class: ClassVar[str] = "capacity"
    employee: int
    shifts: int
    limit: int

    def say(self, names: Names) -> str:
        shifts, employee = names.all("shift"), names.one("employee", self.employee)
        return f"The number of {shifts} that {employee} works is at most {self.limit}."

    def check(self, answer: Roster) -> int:
        return self.limit - len(answer[self.employee])

    def post(self, model: "cp_model.CpModel", x: "dict[tuple[int, int], cp_model.IntVar]") -> None:
        model.add(sum(x[self.employee, s] for s in range(self.shifts)) <= self.limit)


@dataclass(frozen=True)
class MaxOvertime(Constraint[Roster, "dict[tuple[int, int], cp_model.IntVar]"]):
    kind: ClassVar[str] = "max_overtime"
    constraint_class: ClassVar[str] = "capacity"
    employee: int
    hours: tuple[int, ...]  # by shift
    regular: int
    limit: int

    def say(self, names: Names) -> str:
        who, hours = sentence(names.one("employee", self.employee)), names.word("hours")
        return (
            f"{who} works at most {self.limit} {hours} of overtime, which are the {hours} beyond {self.regular} in"
            " total."
        )

    def check(self, answer: Roster) -> int:
        return self.limit - max(0, sum(self.hours[s] for s in answer[self.employee]) - self.regular)

    def post(self, model: "cp_model.CpModel", x: "dict[tuple[int, int], cp_model.IntVar]") -> None:
        over = model.new_int_var(0, sum(self.hours), f"overtime{self.employee}")
        model.add(sum(hours * x[self.employee, s] for s, hours in enumerate(self.hours)) <= self.regular + over)
        model.add(over <= self.limit)


@dataclass(frozen=True)
class Fairness(Constraint[Roster, "dict[tuple[int, int], cp_model.IntVar]"]):
    kind: ClassVar[str] = "fairness"
    constraint_class: ClassVar[str] = "balance"
    hereditary: ClassVar[bool] = False
    employees: int
    shifts: int
    limit: int

    def say(self, names: Names) -> str:
        shifts, employees = names.all("shift"), names.all("employee")
        return f"The numbers of {shifts} that any two {employees} work differ by at most {self.limit}."

    def check(self, answer: Roster) -> int:
        counts = [len(answer[e]) for e in range(self.employees)]
        return self.limit - (max(counts) - min(counts))

    def post(self, model: "cp_model.CpModel", x: "dict[tuple[int, int], cp_model.IntVar]") -> None:
        fewest = model.new_int_var(0, self.shifts, "fewest")
        for e in range(self.employees):
            count = sum(x[e, s] for s in range(self.shifts))
            model.add(count >= fewest)
            model.add(count <= fewest + self.limit)


@dataclass(frozen=True)
class Availability(Constraint[Roster, "dict[tuple[int, int], cp_model.IntVar]"]):
    kind: ClassVar[str] = "availability"
    constraint_class: ClassVar[str] = "domain"
    employee: int
    absences: tuple[int, ...]

    def say(self, names: Names) -> str:
        who = sentence(names.one("employee", self.employee))
        return f"{who} is not available for {names.several('shift', self.absences)}."

    def check(self, answer: Roster) -> int:
        return -len(answer[self.employee].intersection(self.absences))

    def post(self, model: "cp_model.CpModel", x: "dict[tuple[int, int], cp_model.IntVar]") -> None:
        for s in self.absences:
            model.add(x[self.employee, s] == 0)


@dataclass(frozen=True)
class TotalWage(Objective[Roster, "dict[tuple[int, int], cp_model.IntVar]"]):
    direction: ClassVar[Any] = "min"
    wage: tuple[int, ...]
    shifts: int

    def noun(self, names: Names) -> str:
        return f"the total {names.word('wage')} of all {names.all('shift')} worked"

    def of(self, answer: Roster) -> int:
        return sum(wage * len(answer[e]) for e, wage in enumerate(self.wage))

    def post(self, model: "cp_model.CpModel", x: "dict[tuple[int, int], cp_model.IntVar]") -> Any:
        return sum(wage * x[e, s] for e, wage in enumerate(self.wage) for s in range(self.shifts))


@dataclass(frozen=True)
class BudgetLeft(TotalWage):
    """The mirror of the total wage: what it leaves of a budget that would pay everybody for every shift."""

    direction: ClassVar[Any] = "max"
    budget: int

    def noun(self, names: Names) -> str:
        wage, shifts = names.word("wage"), names.all("shift")
        return f"what is left of a budget of {self.budget} after the total {wage} of all {shifts} worked"

    def of(self, answer: Roster) -> int:
        return self.budget - super().of(answer)

    def post(self, model: "cp_model.CpModel", x: "dict[tuple[int, int], cp_model.IntVar]") -> Any:
        return self.budget + sum(-wage * x[e, s] for e, wage in enumerate(self.wage) for s in range(self.shifts))


class ShiftScheduling(Optimization[ShiftSchedulingData, Roster, "dict[tuple[int, int], cp_model.IntVar]"]):
    name: ClassVar[str] = "shift_scheduling"
    version: ClassVar[int] = 1
    title: ClassVar[str] = "Shift scheduling"
    data = ShiftSchedulingData
    sizes: ClassVar[Any] = ladder(
        ShiftSchedulingKnobs,
        employees=(4, 7, 12, 16, 20),
        shifts=(3, 5, 9, 12, 15),
        days=(2, 3, 4, 5, 6),
        skills=(2, 3, 4, 4, 5),
        staff=(2, 3, 4, 5, 6),
        absent=(2, 4, 8, 10, 12),
    )
    core_kinds: ClassVar[tuple[str, ...]] = ("skill", "min_coverage")
    modules: ClassVar[Any] = {
        "no_double": lambda d: [NoDouble(e, d.day) for e in range(len(d.wage))],
        "max_total": lambda d: [MaxTotal(e, len(d.day), limit) for e, limit in enumerate(d.most)],
        "max_overtime": lambda d: [
            MaxOvertime(e, d.hours, regular, limit)
            for e, (regular, limit) in enumerate(zip(d.regular, d.overtime, strict=True))
        ],
        "fairness": lambda d: [Fairness(len(d.wage), len(d.day), d.gap)],
        "availability": lambda d: [Availability(e, absences) for e, absences in d.absences],
    }
    target_share: ClassVar[Fraction] = Fraction(105, 100)

    def draw(self, knobs: ShiftSchedulingKnobs, stream: Stream) -> ShiftSchedulingData:
        """Hide a roster in the data that spreads the shifts evenly; what it needs is the least coverage."""
        employees, shifts = range(knobs.employees), range(knobs.shifts)
        day = tuple(sorted(s % knobs.days for s in shifts))
        hours = tuple(LENGTHS[k] for k in stream("hours").integers(knobs.shifts, 0, len(LENGTHS) - 1))
        skills = self.abilities(knobs, stream("skills"))
        skill, plan = self.plan(knobs, day, skills, stream("plan"))
        worked = [[s for s in shifts if e in plan[s]] for e in employees]
        load = [sum(hours[s] for s in own) for own in worked]
        fewer, extra = (
            stream("regular").integers(knobs.employees, 0, 3),
            stream("extra").integers(knobs.employees, 1, 5),
        )
        regular = tuple(max(4, own - 2 * less) for own, less in zip(load, fewer, strict=True))
        count, spare = [len(own) for own in worked], stream("most").integers(knobs.employees, 0, 1)
        absences = []
        for e in sorted(stream("absent").sample(employees, knobs.absent)):
            could = [s for s in shifts if s not in worked[e] and skill[s] in skills[e]]
            others = [s for s in shifts if s not in worked[e]]
            some = stream(f"absences {e}")
            absences.append(
                (e, tuple(sorted(some.shuffled(could or others)[: some.integer(1, 1 + knobs.shifts // 4)])))
            )
        return ShiftSchedulingData(
            day=tuple(1 + d for d in day),
            hours=hours,
            skill=skill,
            least=tuple(map(len, plan)),
            wage=stream("wage").integers(knobs.employees, 60, 160),
            skills=skills,
            # Nobody may work everything: a limit would say nothing.
            most=tuple(min(max(1, c + more), knobs.shifts - 1) for c, more in zip(count, spare, strict=True)),
            regular=regular,
            overtime=tuple(
                min(max(0, own - usual) + 2 * more, sum(hours) - 2 - usual)
                for own, usual, more in zip(load, regular, extra, strict=True)
            ),
            gap=max(1, max(count) - min(count)),
            absences=tuple(absences),
        )

    def abilities(self, knobs: ShiftSchedulingKnobs, stream: Stream) -> tuple[tuple[int, ...], ...]:
        """Return the skills of each employee: each is had by somebody, and nobody has all."""
        first = stream("first").shuffled([e % knobs.skills for e in range(knobs.employees)])
        more = stream("more").integers(knobs.employees, 0, knobs.skills // 2)
        return tuple(
            tuple(sorted({k, *stream(str(e)).sample([o for o in range(knobs.skills) if o != k], count)}))
            for e, (k, count) in enumerate(zip(first, more, strict=True))
        )

    def plan(
        self, knobs: ShiftSchedulingKnobs, day: Sequence[int], skills: Sequence[Sequence[int]], stream: Stream
    ) -> tuple[tuple[int, ...], list[list[int]]]:
        """Return for each shift its skill and who works it: those with the fewest shifts so far, once a day."""
        skill, plan = [0] * knobs.shifts, [list[int]() for _ in range(knobs.shifts)]
        wanted = stream("staff").integers(knobs.shifts, (knobs.staff + 1) // 2, knobs.staff)
        for s in stream("order").shuffled(range(knobs.shifts)):
            busy = {e for other, staff in enumerate(plan) if day[other] == day[s] for e in staff}
            worked = [sum(e in staff for staff in plan) for e in range(knobs.employees)]
            rested = sorted(stream(f"who {s}").shuffled(range(knobs.employees)), key=worked.__getitem__)
            staffs = {
                k: [e for e in rested if k in skills[e] and e not in busy][: wanted[s]] for k in range(knobs.skills)
            }
            choices = stream(f"skill {s}").shuffled(range(knobs.skills))
            skill[s] = max(choices, key=lambda k: (len(staffs[k]), -sum(worked[e] for e in staffs[k])))
            plan[s] = staffs[skill[s]]
        return tuple(skill), plan

    def form(self, d: ShiftSchedulingData) -> SetsOf:
        return SetsOf("employee", len(d.wage), "shift", len(d.day))

    def core(self, d: ShiftSchedulingData) -> list[Constraint[Roster, Any]]:
        employees = len(d.wage)
        skilled = [tuple(e for e, own in enumerate(d.skills) if k in own) for k in d.skill]
        return [
            *(Skill(s, employees, some) for s, some in enumerate(skilled)),
            *(MinCoverage(s, employees, limit) for s, limit in enumerate(d.least)),
        ]

    def objective(self, d: ShiftSchedulingData) -> TotalWage:
        return TotalWage(d.wage, len(d.day))

    def greedy(self, d: ShiftSchedulingData, fits: Fits[Roster]) -> Roster:
        """Staff one shift after the other with the cheapest employees whom it fits."""
        shape = self.form(d)
        answer = shape.empty()
        for s, needed in enumerate(d.least):
            for e in sorted(range(len(d.wage)), key=lambda e: d.wage[e]):
                candidate = shape.with_pair(answer, e, s)
                if sum(s in shifts for shifts in answer.values()) < needed and fits(candidate):
                    answer = candidate
        return answer

    def entities(self, d: ShiftSchedulingData) -> Mapping[str, int]:
        return {"employee": len(d.wage), "shift": len(d.day), "skill": 1 + max(map(max, d.skills))}

    def intro(self, d: ShiftSchedulingData, names: Names) -> str:
        skills = names.listed("skill", self.entities(d)["skill"])
        wage, hours, employee, shift = map(names.word, ("wage", "hours", "employee", "shift"))
        staff = table(
            [employee, wage, names.all("skill")],
            [
                (names.label("employee", e), d.wage[e], ", ".join(names.label("skill", k) for k in skills if k in own))
                for e, own in ((e, d.skills[e]) for e in names.listed("employee", len(d.wage)))
            ],
        )
        shifts = names.table(
            "shift", {"day": d.day, "hours": d.hours, "skill": [names.label("skill", k) for k in d.skill]}
        )
        return (
            f"Decide which of these {names.all('shift')} each of these {names.all('employee')} works. Several"
            f" {names.all('employee')} can work the same {shift}, and every {employee} can work several"
            f" {names.all('shift')} or none. For each {shift} worked, the {employee} is paid the {wage} in the table,"
            f" whatever the {hours}.\n\n{staff}\n\n{shifts}"
        )

    def inverted(self, d: ShiftSchedulingData) -> BudgetLeft:
        return BudgetLeft(d.wage, len(d.day), sum(d.wage) * len(d.day))

    def distracted(self, d: ShiftSchedulingData, extra: int, stream: Stream) -> ShiftSchedulingData:
        """Add skills that no shift asks for."""
        count, employees = self.entities(d)["skill"], len(d.wage)
        new = range(count, (1 + extra) * count)
        having = {k: stream(f"skill {k}").sample(range(employees), 1 + employees // 3) for k in new}
        return replace(d, skills=tuple(own + tuple(k for k in new if e in having[k]) for e, own in enumerate(d.skills)))

    def sketch(self, instance: Instance) -> Bars:
        """Return who works which shift, and who else has the skill and is there; below, how many a shift needs."""
        d: ShiftSchedulingData = instance.data  # type: ignore[assignment]
        names, shifts = instance.names, instance.names.listed("shift", len(d.day))
        staff = names.listed("employee", len(d.wage))
        away = dict(d.absences) if "availability" in instance.modules else {}
        cells = {
            (a, b): ("", "works" if s in instance.answer[e] else "")
            for a, e in enumerate(staff)
            for b, s in enumerate(shifts)
            if s in instance.answer[e] or (d.skill[s] in d.skills[e] and s not in away.get(e, ()))
        }
        cells |= {(len(staff), b): (str(d.least[s]), "") for b, s in enumerate(shifts)}
        rows = [f"{names.one('employee', e)} ({names.word('wage')} {d.wage[e]})" for e in staff]
        columns = [f"{names.label('shift', s)} ({names.word('day')} {d.day[s]})" for s in shifts]
        return grid([*rows, "needed"], columns, cells, f"{names.all('shift')}; grey: could work it")
