"""How busy a night is and where it is bad: pure functions of the calendar."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np

from sentinel_etl.city.places import City, lay_out
from sentinel_etl.city.randomness import Floats, Stream, generator

__all__ = ["Quota", "day_number", "hotspot_heat", "night_volume", "plan_quota"]

EPOCH = date(2000, 1, 1)

# Monday to Sunday; the mean is 1, so that `events` is what an average night holds.
WEEKDAY_FACTOR = (0.86, 0.86, 0.90, 0.95, 1.15, 1.25, 1.03)
FESTIVALS = {(1, 14), (8, 15), (11, 1), (12, 24), (12, 31)}
FESTIVAL_FACTOR = 1.4
HOT_NIGHT_SHARE, HOT_NIGHT_FACTOR = 0.01, 1.25
NIGHTLY_VARIATION = 0.10

# Above this volume more GPS points per patrol arrive, not more patrols: a city has only so many
# crews. People's own entries then grow with 15 % of the volume.
ORDINARY_EVENTS = 100_000
EVENTS_PER_PATROL = 25
PEOPLE_SHARE_BEYOND = 0.15


def day_number(shift_date: date) -> int:
    """Count the days since 2000-01-01, which is what ids and seeds are made from."""
    return (shift_date - EPOCH).days


def night_volume(city: City, shift_date: date, events: int) -> int:
    """Say how many events the night holds, given what an average night holds."""
    rng = generator(Stream.RHYTHM, city.seed, day_number(shift_date))
    factor = WEEKDAY_FACTOR[shift_date.weekday()] * (1 + NIGHTLY_VARIATION * (2 * rng.random() - 1))
    if rng.random() < HOT_NIGHT_SHARE:
        factor *= HOT_NIGHT_FACTOR
    if (shift_date.month, shift_date.day) in FESTIVALS:
        factor *= FESTIVAL_FACTOR
    return max(1, round(events * factor))


def hotspot_heat(city: City, shift_date: date) -> Floats:
    """Say how bad each hotspot is that night, ``[station, hotspot]``; 1 is ordinary.

    Slow waves over the calendar around the long-run unrest. Each station's second hotspot is
    restless: it swells elevenfold over three weeks and sinks again, each station in its own turn,
    so that on any date some place in the city has been getting worse for a fortnight.
    """
    unrest = lay_out(city).unrest
    rng = generator(Stream.RHYTHM, city.seed)
    period_days = 60 + 120 * rng.random(unrest.shape)
    phase = rng.random(unrest.shape)
    swing = np.full(unrest.shape, 0.25)
    if unrest.shape[1] > 1:
        period_days[:, 1] = 42
        phase[:, 1] = np.arange(unrest.shape[0]) / unrest.shape[0]
        swing[:, 1] = 1.2
    wave = np.sin(2 * np.pi * (day_number(shift_date) / period_days + phase))
    return np.asarray(unrest * np.exp(swing * wave))


@dataclass(frozen=True)
class Quota:
    """How many rows a night holds. Geofence rows are not here: they fill what is left."""

    patrols: int
    laps: int
    remarks: int
    priority_changes: int
    vehicle_checks: int
    suspicious_vehicles: int
    stranger_encounters: int
    emergency_incidents: int
    feedback: int


def plan_quota(volume: int) -> Quota:
    """Share a night's volume among the tables that people write."""
    beyond = max(0, volume - ORDINARY_EVENTS)
    ordinary = volume - beyond
    people = ordinary + PEOPLE_SHARE_BEYOND * beyond

    def share(of: float, part: float, least: int = 1) -> int:
        return max(least, round(of * part))

    remarks, checks = share(people, 0.12, 2), share(people, 0.12, 2)
    return Quota(
        patrols=share(ordinary, 1 / EVENTS_PER_PATROL, 4),
        laps=1 + min(3, beyond // (2 * ORDINARY_EVENTS)),
        remarks=remarks,
        priority_changes=share(remarks, 0.15),
        vehicle_checks=checks,
        suspicious_vehicles=share(checks, 0.12),
        stranger_encounters=share(people, 0.06),
        emergency_incidents=share(people, 0.01, 2),
        feedback=share(people, 0.03),
    )
