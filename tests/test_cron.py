"""Due times: the clock on the wall decides, each is due once whatever the clocks do, wrong expressions are named."""

from datetime import UTC, datetime, timedelta
from itertools import islice, takewhile
from zoneinfo import ZoneInfo

import pytest
from cronsim import CronSim

from probe.cron import due_times, expression, written, zone_named
from probe.errors import RequestError
from tests.due import expected

CHANGES = {  # days on which clocks change, in 2027 unless said otherwise
    "Europe/Paris": ("2027-03-28", "2027-10-31"),
    "America/New_York": ("2027-03-14", "2027-11-07"),
    "Australia/Lord_Howe": ("2027-04-04", "2027-10-03"),  # by half an hour
    "Pacific/Chatham": ("2027-04-04", "2027-09-26"),  # 12:45 from UTC
    "Antarctica/Troll": ("2027-03-28", "2027-10-31"),  # by two hours
    "America/Santiago": ("2027-04-04", "2027-09-05"),  # at midnight
    "Pacific/Apia": ("2011-12-29", "2011-12-31"),  # left a day out
    "Asia/Kolkata": ("2027-03-28", "2027-10-31"),  # never changes
}
CRONS = (
    "30 2 * * *",
    "0 2 * * *",
    "0,30 1-3 * * *",
    "15 0,1,2,3 * * *",
    "5 0 * * *",
    "45 1 * * SUN",
    "*/15 * * * *",
    "0 * * * *",
    "30 */3 * * *",
    "*/15 2,0 * * *",
    "* 2 * * *",
    "0 0 1 * MON",
)


def at(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


def up_to(end, cron, zone, since):
    return list(takewhile(lambda due: due <= end, due_times(cron, ZoneInfo(zone), since)))


@pytest.mark.parametrize("cron", CRONS)
def test_due_times_are_what_a_walk_through_every_minute_finds(cron):
    """In eight zones over both changes of their clocks, from any second on."""
    for zone, days in CHANGES.items():
        for day in days:
            since, end = at(day) - 1.5 * 86400 + 17, at(day) + 2 * 86400
            assert up_to(end, cron, zone, since) == expected(cron, zone, since, end), (zone, day)


@pytest.mark.parametrize("cron", CRONS)
def test_the_start_does_not_move_due_times(cron):
    """Looking from any moment inside a change gives the rest of the same list."""
    for zone in ("Europe/Paris", "Australia/Lord_Howe"):
        for day in CHANGES[zone]:
            start, end = at(day) - 86400, at(day) + 86400
            whole = up_to(end, cron, zone, start)
            for since in range(int(start), int(end), 7777):
                assert up_to(end, cron, zone, since) == [due for due in whole if due > since]


@pytest.mark.parametrize(
    ("cron", "day", "due"),
    [
        ("30 2 * * *", "2027-03-28", ["2027-03-27T01:30Z", "2027-03-28T01:00Z", "2027-03-29T00:30Z"]),
        ("30 2 * * *", "2027-10-31", ["2027-10-30T00:30Z", "2027-10-31T00:30Z", "2027-11-01T01:30Z"]),
        ("0 2,3 * * *", "2027-03-28", ["2027-03-27T01:00Z", "2027-03-27T02:00Z", "2027-03-28T01:00Z"]),
    ],
)
def test_a_skipped_hour_runs_once_and_a_repeated_one_once(cron, day, due):
    """In Paris 02:30 is missing on 28 March 2027 and comes twice on 31 October; two jobs of the gap are one."""
    found = due_times(cron, ZoneInfo("Europe/Paris"), at(day) - 86400)
    assert [written(moment) for moment in islice(found, 3)] == due


@pytest.mark.parametrize("zone", ["Europe/Paris", "America/New_York", "Asia/Kolkata", "UTC"])
def test_where_clocks_change_by_whole_hours_cronsim_says_the_same(zone):
    """A second opinion, over a month and a change, or over most of a year."""
    for cron in CRONS:
        often = "*" in cron.split()[:2] or cron.startswith("*/")
        since, end = at("2027-03-01"), at("2027-04-10" if often else "2028-01-01")
        theirs = (moment.timestamp() for moment in CronSim(cron, datetime.fromtimestamp(since, ZoneInfo(zone))))
        assert up_to(end, cron, zone, since) == list(takewhile(lambda due, end=end: due <= end, theirs))


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        ("@daily", "0 0 * * *"),
        ("@Hourly", "0 * * * *"),
        ("@weekly", "0 0 * * 0"),
        ("@monthly", "0 0 1 * *"),
        ("@yearly", "0 0 1 1 *"),
        ("  0   2 * * mon-fri ", "0 2 * * mon-fri"),
    ],
)
def test_aliases_and_spaces_are_understood(text, fields):
    """What people write in crontabs."""
    assert expression(text) == fields


@pytest.mark.parametrize(
    "text",
    ["", "* * * *", "* * * * * *", "61 * * * *", "@reboot", "0 0 30 2 *", "9" * 5000 + " * * * *", "é * * * *", "a b"],
)
def test_what_is_no_expression_is_refused(text):
    """In one line that names the field; a time that never comes is none either."""
    with pytest.raises(RequestError, match=r"^cron: ") as error:
        expression(text)
    assert len(str(error.value)) < 500


@pytest.mark.parametrize("name", ["", "Mars/Phobos", "Europe", "../etc/passwd", "a\0b", "é"])
def test_what_is_no_time_zone_is_refused(name):
    """Names come from people."""
    with pytest.raises(RequestError, match=r"^tz: "):
        zone_named(name)


def test_moments_are_written_as_short_as_they_can_be():
    """They name batches."""
    moment = datetime(2027, 3, 28, 1, 0, tzinfo=UTC)
    texts = [written((moment + timedelta(milliseconds=ms)).timestamp()) for ms in (0, 5000, 5250)]
    assert texts == ["2027-03-28T01:00Z", "2027-03-28T01:00:05Z", "2027-03-28T01:00:05.250Z"]
