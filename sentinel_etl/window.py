"""The half-open stretch of time that one run moves."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from sentinel_etl.errors import WindowError
from sentinel_etl.wording import plural

__all__ = [
    "CITY_ZONE",
    "FIRST_NIGHT",
    "LAST_NIGHT",
    "NIGHT_STARTS",
    "Window",
    "check_calendar",
    "check_ended",
    "list_nights",
    "night_starts",
    "night_stretches",
    "nights_between",
    "parse_instant",
]


CITY_ZONE = ZoneInfo("Asia/Kolkata")

# The hour at which one operational night ends and the next begins. An event at 05:59 belongs
# to the night before, one at 06:00 to the night that is coming.
NIGHT_STARTS = time(6, 0)


def parse_instant(text: str) -> datetime:
    """Read an ISO 8601 instant such as ``2026-11-22T06:00:00+05:30``.

    Raises:
        WindowError: not ISO 8601, or without an offset from UTC.
    """
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        raise WindowError(f"expected an instant such as 2026-11-22T06:00:00+05:30, found {text!r}") from None
    if instant.tzinfo is None:
        raise WindowError(f"expected an instant with a time zone, found {text!r}; add one, such as +05:30")
    return instant


@dataclass(frozen=True, order=True)
class Window:
    """``[start, end)``, timezone-aware, kept in UTC.

    Raises:
        WindowError: a bound without a time zone, or an end that is not after the start.
    """

    start: datetime
    end: datetime

    def __post_init__(self) -> None:
        for name in ("start", "end"):
            bound = getattr(self, name)
            if not isinstance(bound, datetime) or bound.tzinfo is None:
                raise WindowError(
                    f"window {name}: expected a datetime with a time zone, found {bound!r}; add one, such as +05:30"
                )
            object.__setattr__(self, name, bound.astimezone(UTC))
        if self.end <= self.start:
            raise WindowError(
                f"window: expected an end after its start, found start {self.start.isoformat()} "
                f"and end {self.end.isoformat()}"
            )

    @classmethod
    def ending(cls, at: datetime, hours: float = 24, zone: ZoneInfo = CITY_ZONE) -> Window:
        """Make the window of ``hours`` that ends at ``at``.

        Whole days are counted on the wall clock of ``zone``: 24 hours before 06:00 is 06:00 the
        day before, also where the clocks change in between (so 23 or 25 elapsed hours). A day that the zone has left
        out is none. What is left over is counted in elapsed time.
        """
        if at.tzinfo is None:
            raise WindowError(f"window end: expected a time zone, found {at.isoformat()}; add +05:30, say")
        if not hours > 0:
            raise WindowError(f"window hours: expected a number above 0, found {hours}")
        days, rest = divmod(hours, 24)
        try:
            start = days_before(at.astimezone(zone), int(days), zone).astimezone(UTC) - timedelta(hours=rest)
        except (OverflowError, ValueError):
            raise WindowError(
                f"window hours: expected a start within the calendar, found {hours} {plural(hours, 'hour')}"
            ) from None
        return cls(start, at)

    @classmethod
    def latest(cls, now: datetime, zone: ZoneInfo = CITY_ZONE) -> Window:
        """Make the night's window that ended at the last 06:00 on ``zone``'s clocks."""
        if now.tzinfo is None:
            raise WindowError(f"now: expected a time zone, found {now.isoformat()}")
        local = now.astimezone(zone)
        end = datetime.combine(local.date(), NIGHT_STARTS, zone)
        if end > local:
            end -= timedelta(days=1)
        return cls.ending(end, 24, zone)

    @classmethod
    def night(cls, shift_date: date, zone: ZoneInfo = CITY_ZONE) -> Window:
        """Make the window of one operational night: 06:00 of ``shift_date`` to 06:00 of the next."""
        return cls.nights(shift_date, shift_date, zone)

    @classmethod
    def nights(cls, first: date, last: date, zone: ZoneInfo = CITY_ZONE) -> Window:
        """Make the window of the nights ``first`` to ``last``, both included."""
        return cls(night_starts(first, zone), night_starts(last + timedelta(days=1), zone))

    def shift_dates(self, zone: ZoneInfo = CITY_ZONE) -> list[date]:
        """List the operational nights that the window touches, in order."""
        first = shift_date_of(self.start, zone)
        last = shift_date_of(self.end - timedelta(microseconds=1), zone)
        return nights_between(first, last, zone)

    def whole_nights(self, zone: ZoneInfo = CITY_ZONE) -> list[date]:
        """List the operational nights that lie in the window from their start to their end, in order."""
        nights = [(shift_date, Window.night(shift_date, zone)) for shift_date in self.shift_dates(zone)]
        return [shift_date for shift_date, night in nights if self.start <= night.start and night.end <= self.end]

    def local(self, zone: ZoneInfo = CITY_ZONE) -> str:
        """Write the window on ``zone``'s clocks, for people."""
        start, end = self.start.astimezone(zone), self.end.astimezone(zone)
        return f"{start:%Y-%m-%d %H:%M} → {end:%Y-%m-%d %H:%M} {end.tzname()}"

    def __str__(self) -> str:
        return f"{self.start:%Y-%m-%dT%H:%M:%SZ}..{self.end:%Y-%m-%dT%H:%M:%SZ}"


def days_before(at: datetime, days: int, zone: ZoneInfo) -> datetime:
    """Step back on the wall clock by days that there were."""
    start = at - timedelta(days=days)
    while more := days - len(nights_between(start.date(), at.date() - timedelta(days=1), zone)):
        start -= timedelta(days=more)
    return start


def nights_between(first: date, last: date, zone: ZoneInfo = CITY_ZONE) -> list[date]:
    """List the nights ``first`` to ``last``, but for one that never was, as 2011-12-30 in Pacific/Apia."""
    days = (first + timedelta(days=n) for n in range((last - first).days + 1))
    return [day for day in days if has_night(day, zone)]


def has_night(shift_date: date, zone: ZoneInfo) -> bool:
    """Tell whether the clocks of ``zone`` have gone through it: who crosses the date line westwards leaves one out."""
    return night_starts(shift_date, zone) < night_starts(shift_date + timedelta(days=1), zone)


def night_starts(shift_date: date, zone: ZoneInfo = CITY_ZONE) -> datetime:
    """Tell when a night starts, in UTC; one that never was starts when the next one does."""
    return datetime.combine(shift_date, NIGHT_STARTS, zone).astimezone(UTC)


def shift_date_of(instant: datetime, zone: ZoneInfo = CITY_ZONE) -> date:
    """Tell the operational night of ``instant``: its local date, six hours earlier on the wall clock."""
    wall = instant.astimezone(zone).replace(tzinfo=None)
    return (wall - timedelta(hours=NIGHT_STARTS.hour)).date()


def night_stretches(nights: Iterable[date]) -> list[tuple[date, date]]:
    """Join nights that follow each other: the first and the last of each stretch, in order."""
    stretches: list[tuple[date, date]] = []
    for night in sorted(nights):
        if stretches and night - stretches[-1][1] <= timedelta(days=1):
            stretches[-1] = (stretches[-1][0], night)
        else:
            stretches.append((night, night))
    return stretches


def list_nights(nights: Collection[date], most: int = 3) -> str:
    """Write nights, those that follow each other as a stretch: ``2026-11-15 to 2026-11-17, 2026-11-20``."""
    stretches = night_stretches(nights)
    named = [str(first) if first == last else f"{first} to {last}" for first, last in stretches[:most]]
    rest = sum((last - first).days + 1 for first, last in stretches[most:])
    return ", ".join([*named, *([f"and {rest:,} more {plural(rest, 'night')}"] if rest else [])])


def check_ended(window: Window, now: datetime, zone: ZoneInfo = CITY_ZONE) -> None:
    """Refuse a window that has not ended yet: what is still to happen in it would count as loaded.

    Raises:
        WindowError: as it says.
    """
    if window.end > now:
        raise WindowError(
            f"window: expected an end that has passed, found {window.local(zone)}, and it is "
            f"{now.astimezone(zone):%Y-%m-%d %H:%M}. Run it once it has ended; `sentinel-etl run --so-far` loads what "
            "there is of the night under way"
        )


# The nights that the warehouse can hold: a Date goes from 1970-01-01 to 2149-06-06, and a night's events
# reach into the next day.
# https://clickhouse.com/docs/sql-reference/data-types/date
FIRST_NIGHT, LAST_NIGHT = date(1970, 1, 2), date(2149, 6, 4)


def check_calendar(window: Window) -> None:
    """Refuse a window that reaches beyond the nights that the warehouse can hold.

    Raises:
        WindowError: as it says.
    """
    nights = window.start.date(), window.end.date()
    if nights[0] < FIRST_NIGHT or nights[1] > LAST_NIGHT:
        raise WindowError(
            f"window: expected nights from {FIRST_NIGHT} to {LAST_NIGHT}, which a Date of the warehouse can hold; "
            f"found {window}"
        )
