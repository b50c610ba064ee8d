"""Where a patrol is at any moment, and what its phone makes of that."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sentinel_etl.city.patrols import DAY, PatrolPlan
from sentinel_etl.city.places import METRES_PER_DEGREE, Places
from sentinel_etl.city.randomness import Bools, Floats, Ints, chance, draw

__all__ = [
    "Fixes",
    "Moments",
    "Track",
    "Visits",
    "arrivals",
    "fix_positions",
    "follow",
    "moments_at",
    "night_weights",
    "visit_hotspots",
]

NIGHT_S = 86_400.0
CRUISING_M_S = (2.5, 9.0)
DAY_WATCH_WEIGHT = 0.08

NO_FIX_SHARE = 0.04
ZERO_FIX_SHARE = 0.015
ACCURACY_M = (3.0, 60.0)
POOR_ACCURACY_SHARE, POOR_ACCURACY_M = 0.02, 3_000.0

DEAD_ZONE_SHARE, DEAD_ZONE_MEDIAN_S, DEAD_ZONE_LONGEST_S = 0.03, 15 * 60.0, 4 * 3_600.0
NEXT_DAY_SHARE, NEXT_DAY_LONGEST_S = 0.003, 10 * 3_600.0


@dataclass(frozen=True)
class Visits:
    """Stays at hotspots, one element each, in each patrol's own order.

    ``arrive`` and ``leave`` are seconds of the night, ``travel`` the seconds under way before.
    ``heat`` is the hotspot's of that night; ``hotspot`` its index within the patrol's station.
    """

    patrol: Ints
    hotspot: Ints
    arrive: Floats
    leave: Floats
    travel: Floats
    heat: Floats
    after_dark: Bools


@dataclass(frozen=True)
class Track:
    """All patrols' ways as one broken line, so that one interpolation serves every row.

    ``key`` is ``patrol * NIGHT_S * 2 + seconds``; ``speed`` (m/s) and ``heading`` (degrees, NaN when
    standing) hold from each corner to the next, as do the drifts (degrees per second).
    """

    key: Floats
    lat: Floats
    lon: Floats
    lat_drift: Floats
    lon_drift: Floats
    speed: Floats
    heading: Floats


@dataclass(frozen=True)
class Moments:
    """Things that happen: the patrol's row number, the visit's (-1: none) and the second of the night."""

    patrol: Ints
    visit: Ints
    time: Floats

    def __getitem__(self, rows: Ints | Bools) -> Moments:
        return Moments(self.patrol[rows], self.visit[rows], self.time[rows])


@dataclass(frozen=True)
class Fixes:
    """What the phones reported: degrees, metres, m/s and degrees; NaN where they had nothing."""

    latitude: Floats
    longitude: Floats
    accuracy: Floats
    speed: Floats
    heading: Floats


def visit_hotspots(rng: np.random.Generator, places: Places, plan: PatrolPlan, heat: Floats, laps: int) -> Visits:
    """Time each patrol's stops, ``laps`` times round its route."""
    stops = plan.visited.length
    count = stops * laps
    patrol = np.repeat(np.arange(len(stops)), count)
    turn = np.arange(len(patrol)) - np.repeat(np.cumsum(count) - count, count)
    hotspot = plan.visited.hotspot[plan.visited.offset[patrol] + turn % np.maximum(stops[patrol], 1)]

    station = plan.station[patrol]
    lat, lon = places.hotspot_lat[station, hotspot], places.hotspot_lon[station, hotspot]
    came_lat = np.where(turn == 0, places.station_lat[station], np.roll(lat, 1))
    came_lon = np.where(turn == 0, places.station_lon[station], np.roll(lon, 1))
    # The 0.4 of a slot that is left over at the end is for the way back.
    slot = ((plan.end - plan.start) / (count + 0.4))[patrol]
    share = 0.30 + 0.30 * rng.random(len(patrol))
    cruising = CRUISING_M_S[0] + (CRUISING_M_S[1] - CRUISING_M_S[0]) * rng.random(len(patrol))
    travel = np.minimum(0.9 * share * slot, _distance_m(came_lat, came_lon, lat, lon) / cruising)
    arrive = plan.start[patrol] + (turn + share) * slot

    last = turn == count[patrol] - 1
    back = np.minimum(
        0.4 * slot, _distance_m(lat, lon, places.station_lat[station], places.station_lon[station]) / cruising
    )
    leave = np.where(last, plan.end[patrol] - back, np.roll(arrive - travel, -1))
    after_dark = plan.watch[patrol] != DAY
    return Visits(patrol, hotspot, arrive, leave, travel, heat[station, hotspot], after_dark)


def follow(places: Places, plan: PatrolPlan, visits: Visits) -> Track:
    """Draw every patrol's way: station, each hotspot from arrival to leaving, station."""
    out = np.flatnonzero(plan.out)
    station = plan.station
    at_station = (places.station_lat[station], places.station_lon[station])
    at_hotspot = tuple(
        where[station[visits.patrol], visits.hotspot] for where in (places.hotspot_lat, places.hotspot_lon)
    )
    first = np.flatnonzero(np.diff(visits.patrol, prepend=-1) != 0)
    leaving = visits.patrol[first]
    patrol = np.concatenate([out, leaving, visits.patrol, visits.patrol, out])
    time = np.concatenate(
        [
            plan.start[out],
            visits.arrive[first] - visits.travel[first],
            visits.arrive,
            visits.leave,
            plan.end[out],
        ]
    )
    lat, lon = (
        np.concatenate([home[out], home[leaving], hotspot, hotspot, home[out]])
        for home, hotspot in zip(at_station, at_hotspot, strict=True)
    )
    order = np.lexsort((time, patrol))
    patrol, time, lat, lon = patrol[order], time[order], lat[order], lon[order]

    same = np.diff(patrol, append=-1) == 0
    seconds = np.where(same, np.maximum(np.diff(time, append=time[-1]), 1e-3), np.inf)
    lat_drift = np.diff(lat, append=lat[-1]) / seconds
    lon_drift = np.diff(lon, append=lon[-1]) / seconds
    north, east = METRES_PER_DEGREE
    speed = np.hypot(lat_drift * north, lon_drift * east)
    heading = np.where(speed > 0.1, np.degrees(np.arctan2(lon_drift * east, lat_drift * north)) % 360, np.nan)
    return Track(patrol * NIGHT_S * 2 + time, lat, lon, lat_drift, lon_drift, speed, heading)


def moments_at(
    rng: np.random.Generator, visits: Visits, weights: Floats, count: int, under_way: float = 0.0
) -> Moments:
    """Pick ``count`` moments at hotspots by weight; a share of them ``under_way`` to the hotspot."""
    visit = draw(rng, weights, count)
    stay, portion = visits.leave[visit] - visits.arrive[visit], rng.random(count)
    moving = chance(rng, under_way, count)
    time = visits.arrive[visit] + np.where(moving, -visits.travel[visit], stay) * portion
    return Moments(visits.patrol[visit], np.where(moving, -1, visit), time)


def night_weights(visits: Visits, day_weight: float = DAY_WATCH_WEIGHT) -> Floats:
    """Weigh the visits by heat; those of the day watch count ``day_weight`` as much."""
    return np.asarray(visits.heat * np.where(visits.after_dark, 1.0, day_weight))


def fix_positions(rng: np.random.Generator, track: Track, moments: Moments) -> Fixes:
    """Let the phones take their fixes: noise of the accuracy they state, gaps and 0,0 among them."""
    size = len(moments.time)
    key = moments.patrol * NIGHT_S * 2 + moments.time
    corner = np.searchsorted(track.key, key, side="right") - 1
    accuracy = ACCURACY_M[0] + np.exp(1.6 + 0.8 * rng.standard_normal(size))
    accuracy = np.where(
        chance(rng, POOR_ACCURACY_SHARE, size),
        ACCURACY_M[1] * np.exp(rng.random(size) * np.log(POOR_ACCURACY_M / ACCURACY_M[1])),
        np.minimum(accuracy, ACCURACY_M[1]),
    )
    north, east = METRES_PER_DEGREE
    since = key - track.key[corner]
    lat = track.lat[corner] + track.lat_drift[corner] * since
    lon = track.lon[corner] + track.lon_drift[corner] * since
    lat += 0.5 * accuracy * rng.standard_normal(size) / north
    lon += 0.5 * accuracy * rng.standard_normal(size) / east
    wobble = rng.random(size)
    speed = track.speed[corner] * (0.75 + 0.5 * wobble) + 0.6 * wobble
    heading = (track.heading[corner] + 24 * (rng.random(size) - 0.5)) % 360

    kind = rng.random(size)
    absent, zero = kind < NO_FIX_SHARE, kind > 1 - ZERO_FIX_SHARE
    accuracy[zero] = 1_000 + 4_000 * rng.random(int(zero.sum()))
    for values in (lat, lon):
        values[zero] = 0.0
    for values in (lat, lon, accuracy, speed, heading):
        values[absent] = np.nan
    return Fixes(
        latitude=np.round(lat, 7),
        longitude=np.round(lon, 7),
        accuracy=np.round(accuracy, 1),
        speed=np.round(speed, 2),
        heading=np.round(heading, 1) % 360,
    )


def arrivals(rng: np.random.Generator, time: Floats) -> Floats:
    """Say when each row reached the server, in seconds of the night.

    Mostly seconds later; about one in thirty waits out a dead zone, and three in a thousand come
    in the ten hours after the night has closed.
    """
    size = len(time)
    delay = 0.3 - 3.0 * np.log1p(-rng.random(size))
    kind = rng.random(size)
    waiting = DEAD_ZONE_MEDIAN_S * np.exp(rng.standard_normal(size))
    delay = np.where(kind < DEAD_ZONE_SHARE, np.clip(waiting, 60.0, DEAD_ZONE_LONGEST_S), delay)
    next_day = NIGHT_S + NEXT_DAY_LONGEST_S * rng.random(size)
    return np.where(kind > 1 - NEXT_DAY_SHARE, next_day, time + delay)


def _distance_m(lat_a: Floats, lon_a: Floats, lat_b: Floats, lon_b: Floats) -> Floats:
    north, east = METRES_PER_DEGREE
    return np.asarray(np.hypot((lat_b - lat_a) * north, (lon_b - lon_a) * east))
