"""Due times of cron expressions in a time zone, right over changes of its clocks.

cronsim reads the expression and walks along the clock on the wall; which moments have that clock is decided here
(cronsim's own way over a change by half an hour, as on Lord Howe Island, loses due times).
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from heapq import heappop, heappush
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from probe.errors import RequestError

ALIASES = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
LONGEST = 200  # characters of an expression
WIDEST = timedelta(hours=25)  # further apart, one clock never shows an earlier time at a later moment


def expression(text: str) -> str:
    """Return a cron expression as five fields. Raises RequestError where it isn't one, or never comes true."""
    fields = " ".join(ALIASES.get(text.strip().lower(), text).split())
    ways = "give minute, hour, day, month and weekday such as '0 2 * * *', or one of " + ", ".join(ALIASES)
    if len(fields) > LONGEST or len(fields.split()) != 5:
        raise RequestError(f"cron: {text[:LONGEST]!r} has not five fields; {ways}")
    try:
        next(CronSim(fields, datetime(2000, 1, 1)))  # noqa: DTZ001  (a time on the wall)
    except (CronSimError, ValueError) as error:
        raise RequestError(f"cron: {text!r}: {error}; {ways}") from None
    except StopIteration:
        raise RequestError(f"cron: {text!r} never comes true; {ways}") from None
    return fields


def zone_named(name: str) -> ZoneInfo:
    """Return a time zone. Raises RequestError for an unknown name."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # unknown; not the form of a name; a folder
        raise RequestError(f"tz: there is no time zone {name!r}; give an IANA name such as Europe/Paris") from None


def due_times(cron: str, zone: ZoneInfo, since: float) -> Iterator[float]:
    """Yield the due times of five fields later than ``since``, in order, each once, without end.

    As Debian's cron has it: where minute or hour starts with ``*``, every moment that fits is due, so a repeated hour
    twice and a skipped one never. Else every time on the wall is due once: in a repeated hour the first time, in a
    skipped one as soon as that is over.
    """
    minute, hour, *_ = cron.split()
    every = minute.startswith("*") or hour.startswith("*")
    waiting: list[float] = []  # due, but an earlier one may still come
    last = since
    for clock in CronSim(cron, _at(since, zone) - WIDEST):
        settled = (clock - WIDEST).replace(tzinfo=zone).timestamp()
        while waiting and waiting[0] <= settled:
            if (due := heappop(waiting)) > last:  # two times on the wall may fall on the end of the same gap
                yield (last := due)
        for moment in _moments(clock, zone, every):
            heappush(waiting, moment)
    yield from sorted(moment for moment in set(waiting) if moment > last)  # the calendar ends


def _at(moment: float, zone: ZoneInfo) -> datetime:
    """Return what a clock on the wall shows."""
    return datetime.fromtimestamp(moment, zone).replace(tzinfo=None, fold=0)


def _moments(clock: datetime, zone: ZoneInfo, every: bool) -> list[float]:
    """Return the moments that are due when a clock on the wall should show a time."""
    both = sorted({clock.replace(tzinfo=zone, fold=fold).timestamp() for fold in (0, 1)})
    shown = [moment for moment in both if _at(moment, zone) == clock]
    if every:
        return shown
    if shown:
        return shown[:1]
    while _at(later := clock.replace(tzinfo=zone).timestamp(), zone) != clock:  # until the gap is over
        clock += timedelta(minutes=1)
    return [later]


def written(moment: float) -> str:
    """Return a moment in UTC as text, as short as it can be: 2027-03-28T01:00Z."""
    at = datetime.fromtimestamp(round(moment, 3), UTC)
    precision = "minutes" if at.second == at.microsecond == 0 else "milliseconds" if at.microsecond else "seconds"
    return at.replace(tzinfo=None).isoformat(timespec=precision) + "Z"
