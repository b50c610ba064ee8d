"""One night of the sample city, as the phones sent it: the eight tables that grow."""

from __future__ import annotations

from datetime import date

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sentinel_etl.city import entries
from sentinel_etl.city.patrols import COMPLETED, patrols_table
from sentinel_etl.city.places import City, lay_out
from sentinel_etl.city.randomness import Ints, Stream, draw
from sentinel_etl.city.shift import Night, begin_night, nullable, receive, sent_by_phone
from sentinel_etl.city.tracks import Moments, night_weights
from sentinel_etl.city.vocabulary import DWELL, ENTER, EXIT, GEOFENCE_EVENT_TYPES, PATROL_LOG_STATUSES
from sentinel_etl.config.source_models import SourceBase

__all__ = ["night_tables"]

# Share of patrols with none, one, two or three pauses.
PAUSES = np.array([0.20, 0.45, 0.30, 0.05])
STARTED, PAUSED, RESUMED, FINISHED = range(len(PATROL_LOG_STATUSES))
# A fence is noticed this many seconds before or after its middle is.
FENCE_DELAY_S = 8.0


def night_tables(city: City, shift_date: date, events: int = 5_000) -> dict[str, pa.Table]:
    """Generate the rows of one operational night, 06:00 to 06:00 local.

    The tables are patrols, patrol_logs, remarks, vehicle_checks, stranger_encounters,
    emergency_incidents, feedback and geofence_logs, in an order in which foreign keys can be
    loaded, each with exactly its model's columns; ``details`` has Arrow's json type. ``events``
    is what an average night holds, over all ten event types: a quiet Monday has a seventh less, a
    Saturday a quarter more. Rows follow from the arguments alone, whatever other nights hold.

    Raises:
        ConfigurationError: a date before 2000, or a number of events that ids have no room for.
    """
    night = begin_night(city, shift_date, events)
    patrols = patrols_table(night.stream(Stream.ROSTERS), city, night.plan, night.first_id, night.start_us)
    tables = {
        name: _keyed(night, name, columns)
        for name, columns in {
            "patrol_logs": _patrol_logs(night),
            "remarks": entries.remarks(night),
            "vehicle_checks": entries.vehicle_checks(night),
            "stranger_encounters": entries.stranger_encounters(night),
            "emergency_incidents": entries.emergency_incidents(night),
            "feedback": entries.feedback(night),
        }.items()
    }
    counted = sum(table.num_rows for table in tables.values()) + _rows_counted_twice(night, tables["remarks"])
    crossings = max(len(GEOFENCE_EVENT_TYPES), night.volume - counted)
    tables["geofence_logs"] = _keyed(night, "geofence_logs", _geofence_logs(night, crossings))
    return {"patrols": patrols} | tables


def _keyed(night: Night, name: str, columns: dict[str, pa.Array]) -> pa.Table:
    """Number the rows in the order of their arrival and put the columns into the model's order."""
    table = SourceBase.metadata.tables[name]
    (key,) = table.primary_key.columns
    ids = pa.array(night.first_id + np.arange(len(columns["patrol_id"])))
    return pa.table({key.name: ids} | columns).select([column.name for column in table.columns])


def _rows_counted_twice(night: Night, remarks: pa.Table) -> int:
    """Count the events that are a second reading of a row: visits, priority changes, suspicions."""
    completed = night.plan.status[remarks["patrol_id"].to_numpy() - night.first_id] == COMPLETED
    visits = pc.and_(remarks["hotspot_id"].is_valid(), pa.array(completed))
    return int(pc.sum(visits).as_py()) + night.quota.priority_changes + night.quota.suspicious_vehicles


def _patrol_logs(night: Night) -> dict[str, pa.Array]:
    """Report each patrol's start, its pauses and, where it got that far, its end."""
    rng, plan = night.stream(Stream.PATROL_LOGS), night.plan
    out = np.flatnonzero(plan.out)
    pauses = draw(rng, PAUSES, len(out))
    count = 1 + 2 * pauses + plan.finished[out]
    patrol = np.repeat(out, count)
    turn = np.arange(len(patrol)) - np.repeat(np.cumsum(count) - count, count)
    last = plan.finished[patrol] & (turn == np.repeat(count, count) - 1)
    status = np.where(turn == 0, STARTED, np.where(last, FINISHED, np.where(turn % 2 == 1, PAUSED, RESUMED)))

    # Each pair of pause and resumption has an equal stretch of the patrol, so pairs never overlap.
    pair, stretch = (turn - 1) // 2, 0.9 / np.maximum(np.repeat(pauses, count), 1)
    begun = (0.6 * rng.random(len(out) * 4))[4 * np.searchsorted(out, patrol) + np.maximum(pair, 0)]
    lasted = np.where(status == RESUMED, 0.05 + 0.20 * rng.random(len(patrol)), 0.0)
    portion = 0.05 + (pair + begun + lasted) * stretch
    portion[status == STARTED], portion[status == FINISHED] = 0.0, 1.0
    time = plan.start[patrol] + portion * (plan.end - plan.start)[patrol]

    rows = receive(rng, Moments(patrol, np.full(len(patrol), -1), time))
    columns, fixes = sent_by_phone(rng, night, rows)
    return columns | {
        "created_by_officer_id": pa.array(plan.crew[rows.moments.patrol, 0]),
        "patrol_status": pa.array(PATROL_LOG_STATUSES).take(pa.array(status[rows.order])),
        "speed": nullable(fixes.speed),
        "heading": nullable(fixes.heading),
    }


def _geofence_logs(night: Night, crossings: int) -> dict[str, pa.Array]:
    """Let fences be crossed: an ENTER and an EXIT per visit as far as they go, then DWELLs between."""
    rng, plan, visits = night.stream(Stream.GEOFENCE_LOGS), night.plan, night.visits
    visit, kind = _crossings(rng, night, crossings)
    stay = visits.leave[visit] - visits.arrive[visit]
    shift = FENCE_DELAY_S * rng.random(crossings)
    portion = rng.random(crossings)
    time = np.select(
        [kind == ENTER, kind == EXIT],
        [visits.arrive[visit] - shift, visits.leave[visit] + shift],
        visits.arrive[visit] + portion * stay,
    )
    holder = (rng.random(len(visits.patrol)) ** 2 * plan.crew_size[visits.patrol]).astype(np.int64)

    rows = receive(rng, Moments(visits.patrol[visit], visit, time))
    patrol, at = rows.moments.patrol, rows.moments.visit
    columns, fixes = sent_by_phone(rng, night, rows)
    hotspots = lay_out(night.city).hotspot_id(plan.station[patrol], visits.hotspot[at])
    return columns | {
        "assigned_to_officer_id": pa.array(plan.crew[patrol, holder[at]]),
        "hotspot_id": pa.array(hotspots),
        "geofence_event_type": pa.array(GEOFENCE_EVENT_TYPES).take(pa.array(kind[rows.order])),
        "speed": nullable(fixes.speed),
        "heading": nullable(fixes.heading),
    }


def _crossings(rng: np.random.Generator, night: Night, count: int) -> tuple[Ints, Ints]:
    """Choose which visit each crossing belongs to, and its kind."""
    visits = len(night.visits.patrol)
    both = np.repeat(np.arange(visits), 2)
    kinds = np.tile([ENTER, EXIT], visits)
    if count < len(both):
        kept = rng.permutation(len(both))[:count]
        return both[kept], kinds[kept]
    dwelling = draw(rng, night_weights(night.visits), count - len(both))
    return (
        np.concatenate([both, dwelling]),
        np.concatenate([kinds, np.full(len(dwelling), DWELL)]).astype(np.int64),
    )
