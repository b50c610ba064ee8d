"""A night's frame: its ids, clock, plan and tracks, which every table of it is drawn on."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

import numpy as np
import pyarrow as pa

from sentinel_etl.city.patrols import PatrolPlan, plan_patrols
from sentinel_etl.city.places import City, lay_out
from sentinel_etl.city.randomness import Bools, Floats, Ints, Stream, generator
from sentinel_etl.city.rhythm import Quota, day_number, hotspot_heat, night_volume, plan_quota
from sentinel_etl.city.tracks import (
    Fixes,
    Moments,
    Track,
    Visits,
    arrivals,
    fix_positions,
    follow,
    visit_hotspots,
)
from sentinel_etl.errors import ConfigurationError

__all__ = [
    "IDS_PER_NIGHT",
    "Arrivals",
    "Night",
    "begin_night",
    "first_id",
    "nullable",
    "receive",
    "sent_by_phone",
]

IDS_PER_NIGHT = 10_000_000
NIGHT_ENDS = time(6)
CLOCK = pa.timestamp("us", "UTC")
LARGEST_NIGHT = 5_000_000


@dataclass(frozen=True)
class Night:
    """What one night's tables share. ``start_us``: 24 h before its end, microseconds since 1970 UTC."""

    city: City
    shift_date: date
    events: int
    volume: int
    start_us: int
    heat: Floats
    quota: Quota
    plan: PatrolPlan
    visits: Visits
    track: Track

    @property
    def first_id(self) -> int:
        return first_id(self.shift_date)

    def stream(self, stream: Stream) -> np.random.Generator:
        return generator(stream, self.city.seed, day_number(self.shift_date), self.events)

    def timestamps(self, seconds: Floats) -> pa.Array:
        """Turn seconds of the night into timestamps in UTC."""
        return pa.array(self.start_us + np.rint(seconds * 1e6).astype(np.int64)).cast(CLOCK)


@dataclass(frozen=True)
class Arrivals:
    """A table's rows in the order in which the server got them; ``received`` is seconds of the night."""

    moments: Moments
    received: Floats
    order: Ints


def first_id(shift_date: date) -> int:
    """Say where a night's ids begin; they stay below the next night's."""
    return day_number(shift_date) * IDS_PER_NIGHT


def begin_night(city: City, shift_date: date, events: int) -> Night:
    """Plan a night.

    Raises:
        ConfigurationError: a date before 2000, or a number of events that ids have no room for.
    """
    if day_number(shift_date) < 0:
        raise ConfigurationError(f"shift_date: expected 2000-01-01 or later, found {shift_date}")
    if not 1 <= events <= LARGEST_NIGHT:
        raise ConfigurationError(f"events: expected 1 to {LARGEST_NIGHT}, found {events}")
    volume = night_volume(city, shift_date, events)
    quota, heat, places = plan_quota(volume), hotspot_heat(city, shift_date), lay_out(city)
    key = (city.seed, day_number(shift_date), events)
    plan = plan_patrols(generator(Stream.PATROLS, *key), city, heat, quota.patrols)
    visits = visit_hotspots(generator(Stream.VISITS, *key), places, plan, heat, quota.laps)
    return Night(
        city=city,
        shift_date=shift_date,
        events=events,
        volume=volume,
        start_us=_start_us(city, shift_date),
        heat=heat,
        quota=quota,
        plan=plan,
        visits=visits,
        track=follow(places, plan, visits),
    )


def _start_us(city: City, shift_date: date) -> int:
    # Reckoned back from the end: where a clock change shortens the night to 23 hours, its last
    # hours stay inside it, and the first hour of the 24 is one in which nothing happens.
    end = datetime.combine(shift_date + timedelta(days=1), NIGHT_ENDS, tzinfo=city.zone).astimezone(UTC)
    return round((end - timedelta(hours=24)).timestamp()) * 1_000_000


def receive(rng: np.random.Generator, moments: Moments) -> Arrivals:
    """Put rows into the order of their arrival, which is the order of their ids."""
    received = arrivals(rng, moments.time)
    order = np.argsort(received, kind="stable")
    return Arrivals(moments[order], received[order], order)


def sent_by_phone(
    rng: np.random.Generator, night: Night, rows: Arrivals, skewed: Bools | None = None
) -> tuple[dict[str, pa.Array], Fixes]:
    """Make the columns that every phone sends: patrol, position and the two clocks.

    ``skewed`` says which rows bear the phone's own clock; all of them by default.
    """
    patrol = rows.moments.patrol
    skew = night.plan.skew[patrol] if skewed is None else night.plan.skew[patrol] * skewed
    fixes = fix_positions(rng, night.track, rows.moments)
    columns = {
        "patrol_id": pa.array(night.first_id + patrol),
        "latitude": nullable(fixes.latitude),
        "longitude": nullable(fixes.longitude),
        "accuracy": nullable(fixes.accuracy),
        "created_at": night.timestamps(rows.moments.time + skew),
        "received_at": night.timestamps(rows.received),
    }
    return columns, fixes


def nullable(values: Floats) -> pa.Array:
    """Make an Arrow column in which NaN is NULL."""
    return pa.array(values, from_pandas=True)
