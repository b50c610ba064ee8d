"""When cron is to start a run: 06:00 in the team's zone, in the hours of the server's. Pure, but for the clock."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta, tzinfo
from zoneinfo import ZoneInfo

from sentinel_etl.window import NIGHT_STARTS

__all__ = ["Schedule", "make_schedule"]


ALARM_AFTER = timedelta(minutes=45)
DAY = timedelta(days=1)


@dataclass(frozen=True)
class Schedule:
    """The server's times of the run, of the alarm and of the hours between, as in a crontab; and both zones' names."""

    run: str
    alarm: str
    hourly: str
    zone: str
    server: str
    run_at: str


def make_schedule(zone: ZoneInfo, now: datetime, server: tzinfo | None = None) -> Schedule:
    """Find the earliest time on the server's clocks at which it is past 06:00 in the zone all through the year.

    ``server``: None is the zone of the machine's clocks. Where one of the two has summer time and the other has
    not, the time that 06:00 is on the server changes: the later one is never too early.
    """
    today = now.astimezone(zone).date()
    behind = []
    for number in range(366):
        there = datetime.combine(today + number * DAY, NIGHT_STARTS, zone).astimezone(UTC)
        behind.append(there.astimezone(server).replace(tzinfo=UTC) - there.astimezone(zone).replace(tzinfo=UTC))
    run = datetime.combine(today, NIGHT_STARTS) + max(behind)
    name = now.astimezone(server).tzname() or "the server's zone"
    times = cron_time(run.time()), cron_time((run + ALARM_AFTER).time()), every_hour_but(run.hour)
    return Schedule(*times, zone.key, name, f"{run:%H:%M}")


def cron_time(at: time) -> str:
    return f"{at.minute} {at.hour}"


def every_hour_but(hour: int) -> str:
    """Write five past each hour but the run's own, which the run would find locked."""
    spans = [(hour + 1, 23), (0, hour - 1)]
    return f"5 {','.join(f'{first}-{last}' for first, last in spans if first <= last)}"
