"""What the fact table must hold, by SQL written here by hand: nothing of it comes from the package.

PostgreSQL writes each row that should be there as one text and hashes it; ClickHouse does the same
with each row that is there. A state of the table is the number of its rows and the sum of their
hashes modulo 2^64, so a row that is lost, doubled, changed or made up shows.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sqlalchemy import Engine

# The weights that these tests run with, so that scores can be worked out in the oracle, too.
WEIGHTS: dict[str, dict[str | bool | int, float]] = {
    "event_type": {"EMERGENCY_INCIDENT": 20.0, "SUSPICIOUS_VEHICLE": 12.5, "STRANGER_ENCOUNTER": 6.0, "REMARK": 1.0},
    "emergency_category": {"ARMED_ROBBERY": 60.0, "BURGLARY": 30.0, "MEDICAL": 10.0, "TRAFFIC_ACCIDENT": 10.0},
}

# Column of the fact table → how its value is written as text.
COLUMNS = {
    "event_id": "plain",
    "patrol_id": "plain",
    "officer_id": "plain",
    "event_timestamp": "instant",
    "received_at": "instant",
    "event_date": "plain",
    "shift_date": "plain",
    "event_type": "plain",
    "station_id": "plain",
    "vehicle_id": "plain",
    "latitude": "plain",
    "longitude": "plain",
    "accuracy": "plain",
    "speed": "plain",
    "heading": "plain",
    "hotspot_id": "plain",
    "remark_text": "plain",
    "remark_length": "plain",
    "new_priority_ranking": "plain",
    "visited_hotspots": "array",
    "hotspots_to_visit": "array",
    "assigned_crew_ids": "array",
    "vehicle_plate_number": "plain",
    "suspicious_activity": "plain",
    "suspicion_details": "plain",
    "stranger_name": "plain",
    "stranger_purpose": "plain",
    "stranger_id_type": "plain",
    "stranger_id_details": "plain",
    "emergency_category": "plain",
    "feedback_text": "plain",
    "geofence_event_type": "plain",
    "patrol_status_at_event": "plain",
    "base_risk_score": "plain",
    "risk_reasons": "array",
    "details_json": "plain",
    "media_ref": "plain",
}

NO_FIX = "e.latitude = 0 AND e.longitude = 0"
PLACE = {
    "latitude": f"CASE WHEN {NO_FIX} THEN NULL ELSE nullif(e.latitude, 'NaN') END",
    "longitude": f"CASE WHEN {NO_FIX} THEN NULL ELSE nullif(e.longitude, 'NaN') END",
    "accuracy": "e.accuracy",
}
MOTION = {"speed": "nullif(e.speed, -1)", "heading": "nullif(e.heading, -1)"}
REPORTER = {"officer_id": "coalesce(e.created_by_officer_id, p.assigned_to_officer_id)"}
CHECKED = {
    "vehicle_plate_number": "e.plate_number",
    "suspicious_activity": "e.suspicious_activity",
    "suspicion_details": "e.suspicion_details",
    "media_ref": "e.media_ref",
}

# Event type → table, its key, a condition, and what fills the columns that not every type has.
EVENTS: dict[str, tuple[str, str, str, dict[str, str]]] = {
    "PATROL_STATUS": (
        "patrol_logs",
        "patrol_log_id",
        "true",
        {
            **REPORTER,
            **MOTION,
            "patrol_status_at_event": "e.patrol_status",
            "hotspots_to_visit": "p.hotspots_to_visit",
            "assigned_crew_ids": "p.assigned_crew_ids",
            "visited_hotspots": "CASE e.patrol_status WHEN 'finished' THEN p.visited_hotspots END",
        },
    ),
    "REMARK": (
        "remarks",
        "remark_id",
        "true",
        {
            **REPORTER,
            "remark_text": "e.remark_text",
            "remark_length": "length(e.remark_text)",
            "hotspot_id": "e.hotspot_id",
            "media_ref": "e.media_ref",
        },
    ),
    "HIGH_INTEGRITY_VISITS": (
        "remarks",
        "remark_id",
        "p.patrol_status = 'COMPLETED' AND e.hotspot_id IS NOT NULL",
        {
            **REPORTER,
            "hotspot_id": "e.hotspot_id",
            "details_json": '\'{"remark_id":\' || e.remark_id || \',"start_time":"\' || '
            "to_char(p.start_time AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US') || 'Z\"}'",
        },
    ),
    "PRIORITY_CHANGE": (
        "remarks",
        "remark_id",
        "e.new_priority_ranking IS NOT NULL",
        {
            **REPORTER,
            "new_priority_ranking": "e.new_priority_ranking",
            "remark_text": "e.remark_text",
            "remark_length": "length(e.remark_text)",
            "hotspot_id": "e.hotspot_id",
        },
    ),
    "VEHICLE_CHECK": ("vehicle_checks", "vehicle_check_id", "true", {**REPORTER, **CHECKED}),
    "SUSPICIOUS_VEHICLE": ("vehicle_checks", "vehicle_check_id", "e.suspicious_activity", {**REPORTER, **CHECKED}),
    "STRANGER_ENCOUNTER": (
        "stranger_encounters",
        "stranger_encounter_id",
        "true",
        {
            **REPORTER,
            "stranger_name": "e.name",
            "stranger_purpose": "e.purpose",
            "stranger_id_type": "e.id_type",
            "stranger_id_details": "e.id_details",
            "media_ref": "e.media_ref",
        },
    ),
    "EMERGENCY_INCIDENT": (
        "emergency_incidents",
        "emergency_incident_id",
        "true",
        {
            "officer_id": "coalesce(e.created_by_officer_id, e.assigned_to_officer_id)",
            "emergency_category": "e.category",
            "details_json": "e.details::text",
            "media_ref": "e.media_ref",
        },
    ),
    "FEEDBACK": (
        "feedback",
        "feedback_id",
        "true",
        {"officer_id": "e.assigned_to_officer_id", "feedback_text": "e.feedback_text"},
    ),
    "GEOFENCE": (
        "geofence_logs",
        "geofence_log_id",
        "true",
        {
            **MOTION,
            "officer_id": "e.assigned_to_officer_id",
            "hotspot_id": "e.hotspot_id",
            "geofence_event_type": "e.geofence_event_type",
        },
    ),
}


@dataclass(frozen=True)
class Event:
    """What a row that should be there is known by: its night, its instant, and the hash of its text."""

    night: date
    moment: datetime
    digest: str


@dataclass(frozen=True)
class State:
    """What a set of rows is known by; states of disjoint sets add up."""

    rows: int = 0
    checksum: int = 0

    def __add__(self, other: State) -> State:
        return State(self.rows + other.rows, (self.checksum + other.checksum) % 2**64)

    def __str__(self) -> str:
        return f"{self.rows} rows, {self.checksum:016x}"


def text_of(column: str, value: str) -> str:
    """Write a PostgreSQL expression as text, as `READ` writes the column in ClickHouse."""
    if COLUMNS[column] == "array":
        return f"'[' || coalesce(array_to_string({value}, ','), '') || ']'"
    if COLUMNS[column] == "instant":
        return f"to_char({value} AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US')"
    return f"coalesce(({value})::text, '~')"


def weighed(column: str, value: str) -> tuple[str, str]:
    """Write a weight and its reason as SQL for a value of one column."""
    cases = {name: weight for name, weight in WEIGHTS[column].items() if weight}
    score = " ".join(f"WHEN '{name}' THEN {weight}" for name, weight in cases.items())
    reason = " ".join(f"WHEN '{name}' THEN '{column}={name} +{weight:g}'" for name, weight in cases.items())
    return f"CASE {value} {score} ELSE 0 END", f"CASE {value} {reason} END"


def select_events(event_type: str, zone: str) -> str:
    table, key, condition, own = EVENTS[event_type]
    by_type, by_category = weighed("event_type", f"'{event_type}'"), weighed("emergency_category", "NULL")
    if "emergency_category" in own:
        by_category = weighed("emergency_category", own["emergency_category"])
    values = {
        **dict.fromkeys(COLUMNS, "NULL"),
        **PLACE,
        "event_id": f"'{event_type}:' || e.{key}",
        "patrol_id": "e.patrol_id",
        "event_timestamp": "e.created_at",
        "received_at": "e.received_at",
        "event_date": f"(e.created_at AT TIME ZONE '{zone}')::date",
        "shift_date": f"((e.created_at AT TIME ZONE '{zone}') - interval '6 hours')::date",
        "event_type": f"'{event_type}'",
        "station_id": "p.station_id",
        "vehicle_id": "p.vehicle_id",
        "base_risk_score": f"({by_type[0]} + {by_category[0]})::float8",
        "risk_reasons": f"array_remove(ARRAY[{by_type[1]}, {by_category[1]}], NULL)",
        **own,
    }
    for column in ("visited_hotspots", "hotspots_to_visit", "assigned_crew_ids"):
        values[column] = f"({values[column]})::bigint[]"
    written = " || chr(31) || ".join(text_of(column, values[column]) for column in COLUMNS)
    return (
        f"SELECT {values['event_id']} AS event_id, {values['shift_date']} AS night, e.created_at AS moment, "
        f"md5({written}) AS hash "
        f"FROM {table} e JOIN patrols p ON p.patrol_id = e.patrol_id "
        f"WHERE {condition} AND e.created_at >= %(start)s AND e.created_at < %(end)s"
    )


def expected_rows(
    source: Engine, start: datetime, end: datetime, zone: str = "Asia/Kolkata"
) -> dict[str, tuple[date, str]]:
    """Work out from the source which rows of ``[start, end)`` should be there: event id → night, hash."""
    events = expected_events(source, start, end, zone)
    return {event_id: (event.night, event.digest) for event_id, event in events.items()}


def expected_events(source: Engine, start: datetime, end: datetime, zone: str = "Asia/Kolkata") -> dict[str, Event]:
    """Work out from the source which rows of ``[start, end)`` should be there, by their event id."""
    statement = " UNION ALL ".join(select_events(event_type, zone) for event_type in EVENTS)
    with source.connect() as connection:
        found = connection.exec_driver_sql(statement, {"start": start, "end": end})
        return {event_id: Event(night, moment, digest) for event_id, night, moment, digest in found}


def expected_states(source: Engine, nights: Iterable[date]) -> dict[date, State]:
    """Work out each night's state; a night is 06:00 to 06:00 in Kolkata, which is half past midnight in UTC."""
    wanted = sorted(nights)
    states = dict.fromkeys(wanted, State())
    start, end = (f"{night}T00:30:00+00:00" for night in (wanted[0], wanted[-1] + timedelta(days=1)))
    rows = expected_rows(source, datetime.fromisoformat(start), datetime.fromisoformat(end))
    for night, digest in rows.values():
        if night in states:
            states[night] += state_of_row(digest)
    return states


def state_of_row(digest: str) -> State:
    return State(1, int(digest[:16], 16))


def sum_states(states: Mapping[date, State]) -> State:
    return sum(states.values(), State())


def written_by_clickhouse(column: str) -> str:
    if COLUMNS[column] == "array":
        return f"concat('[', arrayStringConcat(arrayMap(v -> toString(v), {column}), ','), ']')"
    return f"ifNull(toString({column}), '~')"


ROW_TEXT = f"arrayStringConcat([{', '.join(written_by_clickhouse(column) for column in COLUMNS)}], char(31))"

# One statement, so that a reader sees one instant.
READ_STATE = (
    f"SELECT count(), sumWithOverflow(reinterpretAsUInt64(reverse(substring(MD5({ROW_TEXT}), 1, 8)))) "
    "FROM patrol_events"
)
READ_ROWS = f"SELECT event_id, lower(hex(MD5({ROW_TEXT}))) FROM patrol_events"
