"""Job shop files: the standard layout (JSPLIB, OR-Library's jobshop1 and flowshop1) and Taillard's."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from solvers.formats.common import MAX_ENTITIES, FormatError, Numbers, Row, counted, integer, is_number, rows

LONGEST = 10**9  # of one operation


@dataclass(frozen=True)
class JobShop:
    """``machine`` and ``duration`` by job, by step; machines are numbered from 0 and each job visits each once."""

    name: str
    machine: tuple[tuple[int, ...], ...]
    duration: tuple[tuple[int, ...], ...]


def read_job_shop(text: str) -> JobShop:
    """Return a file "jobs machines", then a row of "machine duration" pairs for each job.

    Comments start with #; names and rulers (+++) may stand before and after, as in OR-Library. Raises FormatError.
    """
    name, given, last = _without_names(text)
    if not given:
        raise FormatError(last, "the numbers of jobs and machines", "the end of the file")
    jobs, machines = _size(given[0], 2)
    body = given[1:]
    for row in body[:jobs]:
        if len(row.words) != 2 * machines:
            raise FormatError(row.line, f"{machines} 'machine duration' pairs", counted(len(row.words), "number"))
    _exactly(body, jobs, "job", last)
    return JobShop(
        name,
        tuple(_route(Row(row.line, row.words[::2]), machines, 0) for row in body),
        tuple(_durations(Row(row.line, row.words[1::2])) for row in body),
    )


def read_taillard(text: str) -> JobShop:
    """Return a file of Taillard's layout: jobs and machines, "Times" and their matrix, "Machines" and theirs.

    Machines are numbered from 1 there. What follows the two sizes (seeds, bounds) is left out. Raises FormatError.
    """
    given = rows(text)
    last = given[-1].line if given else 1
    start = next((i for i, row in enumerate(given) if is_number(row.words[0])), None)
    if start is None:
        raise FormatError(last, "the numbers of jobs and machines", "the end of the file")
    jobs, machines = _size(given[start])
    body = given[start + 1 :]
    cut = 1 + jobs
    times = _matrix(body[:cut], "times", jobs, machines, last)
    routes = _matrix(body[cut:], "machines", jobs, machines, last)
    return JobShop("", tuple(_route(row, machines, 1) for row in routes), tuple(_durations(row) for row in times))


def _without_names(text: str) -> tuple[str, list[Row], int]:
    """Return the name, the rows of numbers and the last line."""
    given = rows(text, "#")
    body = [i for i, row in enumerate(given) if all(map(is_number, row.words))]
    first, end = (body[0], body[-1]) if body else (len(given), len(given))
    for row in given[first:end]:
        if not all(map(is_number, row.words)):
            raise FormatError(row.line, "a row of numbers", str(row))
    titles = [row.words for row in given[:first] if set("".join(row.words)) != {"+"}]
    named = next((words[1:] for words in titles if words[0] == "instance"), titles[0] if titles else ())
    return " ".join(named), given[first : end + 1], given[-1].line if given else 1


def _size(row: Row, length: int | None = None) -> tuple[int, int]:
    if len(row.words) < 2 or len(row.words) != (length or len(row.words)):
        raise FormatError(row.line, "the numbers of jobs and machines", str(row))
    jobs, machines = (
        integer(word, row.line, f"the number of {noun}", 1, MAX_ENTITIES)
        for word, noun in zip(row.words, ("jobs", "machines"), strict=False)
    )
    return jobs, machines


def _exactly(body: Sequence[Row], count: int, noun: str, last: int) -> None:
    if len(body) > count:
        raise FormatError(body[count].line, f"the end after {counted(count, noun)}", "another row")
    if len(body) < count:
        raise FormatError(last, counted(count, noun), str(len(body)))


def _matrix(given: Sequence[Row], title: str, jobs: int, machines: int, last: int) -> Sequence[Row]:
    if not given or given[0].words[0].lower() != title:
        raise FormatError(given[0].line if given else last, f"'{title.title()}'", str(given[0]) if given else "the end")
    for row in given[1:]:
        if len(row.words) != machines:
            raise FormatError(row.line, counted(machines, "number"), str(len(row.words)))
    _exactly(given[1:], jobs, "job", last)
    return given[1:]


def _route(row: Row, machines: int, first: int) -> tuple[int, ...]:
    what = "a machine's number"
    route = tuple(integer(word, row.line, what, first, first + machines - 1) - first for word in row.words)
    if len(set(route)) != machines:
        again, _ = Counter(route).most_common(1)[0]
        raise FormatError(row.line, "each machine once", f"machine {again + first} again")
    return route


def _durations(row: Row) -> tuple[int, ...]:
    return Numbers([row]).integers(len(row.words), "a duration", 0, LONGEST)
