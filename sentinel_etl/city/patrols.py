"""One night's patrols: who goes out, when, where to, and how it ended.

Times are seconds after the night's start (06:00 local, 24 h before its end) until a table is made.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from sentinel_etl.city.places import City, Places, lay_out
from sentinel_etl.city.randomness import Bools, Floats, Ints, chance, draw
from sentinel_etl.city.vocabulary import PATROL_STATUSES

__all__ = ["COMPLETED", "DAY", "PatrolPlan", "Routes", "patrols_table", "plan_patrols"]

HOUR = 3_600.0
PLANNED, IN_PROGRESS, COMPLETED, ABORTED = range(len(PATROL_STATUSES))
STATUS_SHARES = np.array([0.03, 0.05, 0.86, 0.06])

# (earliest start, latest start, shortest, longest) in seconds: the day watch, then the two halves
# of the night, 22:00 to 01:25 and 01:30 to 04:55, so that a crew can rest between them.
DAY, EVENING, MORNING = range(3)
WATCHES = np.array(
    [
        (2.0 * HOUR, 4.0 * HOUR, 5.0 * HOUR, 9.0 * HOUR),
        (16.0 * HOUR, 16.5 * HOUR, 150 * 60.0, 175 * 60.0),
        (19.5 * HOUR, 20.0 * HOUR, 150 * 60.0, 175 * 60.0),
    ]
)
DAY_WATCH_SHARE = 0.06
OVERTIME_S = (20 * 60.0, 45 * 60.0)
STOPS = (3, 7)
LARGEST_CREW = 4
SKIPPED_STOP_SHARE = 0.12
MISSING_ROSTER_SHARE, MISSING_PLAN_SHARE = 0.02, 0.02
SKEWED_PHONE_SHARE, LARGEST_SKEW_S = 0.04, 90.0


@dataclass(frozen=True)
class Routes:
    """A list of hotspots per patrol: patrol ``p`` has ``hotspot[offset[p]:offset[p + 1]]``.

    ``hotspot`` is the index within the patrol's station.
    """

    hotspot: Ints
    offset: Ints

    @property
    def length(self) -> Ints:
        return np.diff(self.offset)


@dataclass(frozen=True)
class PatrolPlan:
    """The night's patrols, one element each; ids are row numbers until a table is made.

    ``end`` is also set for a patrol that never reported its end, as the time it fell silent.
    ``crew`` is ``[patrol, member]`` officer ids, lead first, of which ``crew_size`` count.
    ``skew`` is how many seconds the crew's phone clock runs ahead. ``vehicle`` is an index within
    the station, -1 on foot; ``watch`` and ``status`` are the codes above.
    """

    station: Ints
    watch: Ints
    status: Ints
    start: Floats
    end: Floats
    vehicle: Ints
    crew: Ints
    crew_size: Ints
    skew: Floats
    to_visit: Routes
    visited: Routes

    @property
    def out(self) -> Bools:
        """Which patrols left their station at all."""
        return np.asarray(self.status != PLANNED)

    @property
    def finished(self) -> Bools:
        return np.asarray((self.status == COMPLETED) | (self.status == ABORTED))


def plan_patrols(rng: np.random.Generator, city: City, heat: Floats, patrols: int) -> PatrolPlan:
    """Plan the night. Its first patrol after dark is completed and visits every stop."""
    day = max(1, round(DAY_WATCH_SHARE * patrols))
    number = np.arange(patrols)
    turn = np.where(number < day, number, number - day)
    station = turn % city.stations
    half, slot = (turn // city.stations) % 2, turn // city.stations // 2
    watch = np.where(number < day, DAY, np.where(half == 0, EVENING, MORNING))

    status = np.where(watch == DAY, COMPLETED, draw(rng, STATUS_SHARES, patrols))
    status[day] = COMPLETED
    start, end, progress = _schedule(rng, watch, status)
    crew, crew_size = _assign_crews(rng, city, lay_out(city), station, watch, slot)
    to_visit, visited = _choose_stops(rng, heat, station, progress, day)
    on_foot = slot % 8 >= city.vehicles_per_station
    return PatrolPlan(
        station=station,
        watch=watch,
        status=status,
        start=start,
        end=end,
        vehicle=np.where(on_foot, -1, slot % 8),
        crew=crew,
        crew_size=crew_size,
        skew=np.where(chance(rng, SKEWED_PHONE_SHARE, patrols), 1.0, 0.0)
        * LARGEST_SKEW_S
        * (2 * rng.random(patrols) - 1),
        to_visit=to_visit,
        visited=visited,
    )


def _schedule(rng: np.random.Generator, watch: Ints, status: Ints) -> tuple[Floats, Floats, Floats]:
    """Time the patrols: (start, end, share of the plan that was carried out)."""
    size = len(watch)
    earliest, latest, shortest, longest = WATCHES[watch].T
    start = earliest + (latest - earliest) * rng.random(size)
    planned = shortest + (longest - shortest) * rng.random(size)
    progress = np.where(status == ABORTED, 0.15 + 0.45 * rng.random(size), 1.0)
    progress[status == PLANNED] = 0.0
    overtime = OVERTIME_S[0] + (OVERTIME_S[1] - OVERTIME_S[0]) * rng.random(size)
    end = start + planned * progress + np.where(status == IN_PROGRESS, overtime, 0.0)
    return start, end, progress


def _assign_crews(
    rng: np.random.Generator, city: City, places: Places, station: Ints, watch: Ints, slot: Ints
) -> tuple[Ints, Ints]:
    """Deal each station's shuffled officers out to its patrols of one watch.

    Nobody serves twice in a watch while there are enough officers; a very busy night goes round again.
    """
    officers = city.officers_per_station
    per_watch = int(slot.max()) + 1
    largest = min(LARGEST_CREW, officers, max(2, officers // per_watch))
    shuffled = np.argsort(rng.random((city.stations, len(WATCHES), officers)), axis=-1)
    seat = (slot[:, None] * largest + np.arange(largest)) % officers
    crew = places.officer_id(station[:, None], shuffled[station[:, None], watch[:, None], seat])
    tosses = rng.integers(1, largest + 1, size=(2, len(station)))
    return crew, tosses.max(axis=0).astype(np.int64)


def _choose_stops(
    rng: np.random.Generator, heat: Floats, station: Ints, progress: Floats, complete: int
) -> tuple[Routes, Routes]:
    """Choose hotspots by heat, in order of bearing, and drop the ones that were not reached."""
    size, hotspots = len(station), heat.shape[1]
    ranks = np.argsort(np.argsort(-np.log1p(-rng.random((size, hotspots))) / heat[station], axis=1), axis=1)
    wanted = np.minimum(rng.integers(*STOPS, size=size), hotspots)
    first = rng.integers(0, hotspots, size=size)
    route = (first[:, None] + np.arange(hotspots)) % hotspots
    planned = np.take_along_axis(ranks < wanted[:, None], route, axis=1)

    reached = np.cumsum(planned, axis=1) <= np.floor(progress * wanted)[:, None]
    kept = rng.random((size, hotspots)) >= SKIPPED_STOP_SHARE
    kept[complete] = True
    return _routes(route, planned), _routes(route, planned & reached & kept)


def _routes(route: Ints, marked: Bools) -> Routes:
    return Routes(route[marked], np.concatenate([[0], np.cumsum(marked.sum(axis=1))]).astype(np.int64))


def patrols_table(rng: np.random.Generator, city: City, plan: PatrolPlan, first_id: int, start_us: int) -> pa.Table:
    """Make the ``patrols`` table; ``start_us`` is the night's start, microseconds since 1970 UTC."""
    places, size = lay_out(city), len(plan.station)
    began, ended = ((start_us + np.rint(t * 1e6)).astype(np.int64) for t in (plan.start, plan.end))
    clock = pa.timestamp("us", "UTC")
    members = np.arange(plan.crew.shape[1]) < plan.crew_size[:, None]
    return pa.table(
        {
            "patrol_id": first_id + np.arange(size),
            "station_id": places.station_id(plan.station),
            "vehicle_id": pa.array(places.vehicle_id(plan.station, plan.vehicle), mask=plan.vehicle < 0),
            "assigned_to_officer_id": plan.crew[:, 0],
            "patrol_status": pa.array(PATROL_STATUSES).take(pa.array(plan.status)),
            "start_time": pa.array(began).cast(clock),
            "end_time": pa.array(ended, mask=~plan.finished).cast(clock),
            "hotspots_to_visit": _id_lists(places, plan.station, plan.to_visit, chance(rng, MISSING_PLAN_SHARE, size)),
            "visited_hotspots": _id_lists(places, plan.station, plan.visited, ~plan.out),
            "assigned_crew_ids": _lists(plan.crew[members], plan.crew_size, chance(rng, MISSING_ROSTER_SHARE, size)),
        }
    )


def _id_lists(places: Places, station: Ints, routes: Routes, missing: Bools) -> pa.ListArray:
    ids = places.hotspot_id(np.repeat(station, routes.length), routes.hotspot)
    return _lists(ids, routes.length, missing)


def _lists(values: Ints, length: Ints, missing: Bools) -> pa.ListArray:
    """Cut ``values`` into lists; a missing one is NULL, an empty one stays empty."""
    offsets = np.concatenate([[0], np.cumsum(length)])
    return pa.ListArray.from_arrays(pa.array(offsets.astype(np.int32)), pa.array(values), mask=pa.array(missing))
