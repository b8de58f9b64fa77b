"""Due times found the slow way: by walking through every minute and looking at the clock on the wall."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from cronsim import CronSim


def expected(cron, zone, since, end):
    """Due times in (since, end]. A job at fixed times is not due at a time shown before, and makes up for a gap."""
    rule = CronSim(cron, datetime(2000, 1, 1))  # noqa: DTZ001
    minute, hour, *_ = cron.split()
    every = minute.startswith("*") or hour.startswith("*")
    minutes = timedelta(minutes=1)
    start = int(since) // 60 * 60 - 86400 * 2
    latest = shown(start - 60, zone)
    due = []
    for moment in range(start, int(end) + 1, 60):
        wall = shown(moment, zone)
        if every:
            hit = fits(rule, wall)
        else:
            hit = False
            while latest < wall:  # one step, none in a repeated hour, many over a gap
                latest += minutes
                hit = hit or fits(rule, latest)
        if hit and moment > since:
            due.append(float(moment))
    return due


def shown(moment, zone):
    return datetime.fromtimestamp(moment, UTC).astimezone(ZoneInfo(zone)).replace(tzinfo=None, fold=0)


def fits(rule, wall):
    clock = wall.minute in rule.minutes and wall.hour in rule.hours
    return clock and wall.month in rule.months and rule.match_day(wall.date())
