"""PSPLIB (Kolisch and Sprecher 1996): single-mode projects, in its own layout (.sm) and Patterson's (.rcp)."""

from collections.abc import Sequence
from dataclasses import dataclass

from solvers.formats.common import FormatError, Numbers, Row, counted, indices, integer, quoted, rows

MAX_ACTIVITIES = 10_000
MAX_RESOURCES = 100
LONGEST = 10**6  # of one activity, and of any demand or capacity


@dataclass(frozen=True)
class Project:
    """Activity 0 is the source and the last one the sink, both of duration 0.

    ``successors`` by activity; ``demand`` by activity, by resource, per unit of time; ``capacity`` by resource;
    ``horizon``: a time by which all can be done one after the other.
    """

    duration: tuple[int, ...]
    successors: tuple[tuple[int, ...], ...]
    demand: tuple[tuple[int, ...], ...]
    capacity: tuple[int, ...]
    horizon: int


def read_sm(text: str) -> Project:
    """Return a .sm file: one project, one mode, renewable resources only. Raises FormatError."""
    given = rows(text)
    last = given[-1].line if given else 1
    jobs = _headed(given, "jobs", last, 1, MAX_ACTIVITIES)
    horizon = _headed(given, "horizon", last, 0, LONGEST * MAX_ACTIVITIES)
    resources = _headed(given, "- renewable", last, 1, MAX_RESOURCES)
    for other in ("- nonrenewable", "- doubly constrained"):
        _headed(given, other, last, 0, 0)
    relations = _table(given, "PRECEDENCE RELATIONS:", "jobnr.", jobs, last)
    requests = _table(given, "REQUESTS/DURATIONS:", "jobnr.", jobs, last)
    available = _table(given, "RESOURCEAVAILABILITIES:", "R", 1, last)[0]
    return Project(
        duration=tuple(integer(_request(row, resources)[2], row.line, "a duration", 0, LONGEST) for row in requests),
        successors=tuple(_successors(row, jobs) for row in relations),
        demand=tuple(Numbers([row]).integers(3 + resources, "a request", 0, LONGEST)[3:] for row in requests),
        capacity=_capacity(available, resources),
        horizon=horizon,
    )


def _headed(given: Sequence[Row], label: str, last: int, low: int, high: int) -> int:
    """Return the first integer behind the colon of the row that starts with a label."""
    for line, words in given:
        head, _, value = " ".join(words).partition(":")
        if head.startswith(label) and value.strip():
            return integer(value.split()[0], line, f"the value of '{label}'", low, high)
    raise FormatError(last, f"a line '{label} : number'", "the end of the file")


def _table(given: Sequence[Row], title: str, heading: str, count: int, last: int) -> list[Row]:
    """Return the rows below a title and its heading, up to the ruler, of which there must be ``count``."""
    words = tuple(title.split())
    at = next((i for i, row in enumerate(given) if row.words == words), None)
    if at is None:
        raise FormatError(last, f"'{title}'", "the end of the file")
    if at + 1 >= len(given) or given[at + 1].words[0] != heading:
        raise FormatError(min(given[at].line + 1, last), f"a heading that starts with '{heading}'", "another line")
    table: list[Row] = []
    for row in given[at + 2 :]:
        if row.words[0].startswith("*"):
            break
        if not row.words[0].startswith("-"):
            table.append(row)
    for number, row in enumerate(table[:count] if heading == "jobnr." else (), start=1):
        if row.words[0] != str(number):
            raise FormatError(row.line, f"activity {number}", quoted(row.words[0]))
    if len(table) != count:
        line = table[count].line if len(table) > count else (table[-1] if table else given[at + 1]).line
        raise FormatError(line, f"{counted(count, 'row')} below '{title}'", str(len(table)))
    return table


def _successors(row: Row, jobs: int) -> tuple[int, ...]:
    if len(row.words) < 3:
        raise FormatError(row.line, "activity, modes and number of successors", counted(len(row.words), "word"))
    integer(row.words[1], row.line, "one mode", 1, 1)
    count = integer(row.words[2], row.line, "the number of successors", 0, jobs)
    if len(row.words) != 3 + count:
        raise FormatError(row.line, counted(count, "successor"), str(len(row.words) - 3))
    return indices(row.words[3:], row.line, "a successor", jobs)


def _request(row: Row, resources: int) -> tuple[str, ...]:
    if len(row.words) != 3 + resources:
        raise FormatError(
            row.line, f"activity, mode, duration and {counted(resources, 'request')}", counted(len(row.words), "word")
        )
    return row.words


def _capacity(row: Row, resources: int) -> tuple[int, ...]:
    if len(row.words) != resources:
        raise FormatError(row.line, counted(resources, "availability").replace("ys", "ies"), str(len(row.words)))
    return Numbers([row]).integers(resources, "an availability", 0, LONGEST)


def read_patterson(text: str) -> Project:
    """Return a .rcp file: sizes, availabilities, then duration, requests and successors of each activity.

    The layout names no horizon: it is the sum of the durations. Raises FormatError.
    """
    source = Numbers(rows(text))
    jobs = source.count("activities", 1, MAX_ACTIVITIES)
    resources = source.count("resources", 0, MAX_RESOURCES)
    capacity = source.integers(resources, "an availability", 0, LONGEST)
    duration, demand, successors = [], [], []
    for _ in range(jobs):
        duration.append(source.integer("a duration", 0, LONGEST))
        demand.append(source.integers(resources, "a request", 0, LONGEST))
        following = source.count("successors", 0, jobs)
        successors.append(tuple(a - 1 for a in source.integers(following, "a successor", 1, jobs)))
    source.finish()
    return Project(tuple(duration), tuple(successors), tuple(demand), capacity, sum(duration))
