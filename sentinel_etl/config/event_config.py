"""EVENT_CONFIG: which rows of the source are events, and which of their columns we keep.

An entry is data. It names

``model``      the table whose rows are the events
``timestamp``  when the event happened; the window is a filter on it. It may be left out: it is then the
               model's column of the pipeline's ``default_timestamp``, `DEFAULT_TIMESTAMP` here
``key``        the column, or tuple of columns, that identifies a row; ``event_id`` is ``TYPE:key``. It may be
               left out: it is then the model's primary key
``columns``    what to read; a label names the fact table's column. A column that the fact table
               does not have is kept in ``details_json``
``joins``      optional list of ``(model, on)`` or ``(model, on, {'outer': True, 'one_to_many': True})``
``filters``    optional list of conditions
``changes_later``  optional list of those of the columns that are filled in or changed after the event: a night's
               NULLs in them, and scores that hang on them, are not judged against nights that have settled, and
               the look-back says when an earlier night is to be loaded again for them

Joins, filters and ``case`` run in PostgreSQL. To add an event type, add an entry.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import and_, case

from sentinel_etl.config.source_models import (
    EmergencyIncident,
    Feedback,
    GeofenceLog,
    Patrol,
    PatrolLog,
    Remark,
    StrangerEncounter,
    VehicleCheck,
)

__all__ = [
    "BOUNDS",
    "COALESCE",
    "COMMON_COLUMNS",
    "DEFAULT_TIMESTAMP",
    "EVENT_CONFIG",
    "PERSONAL",
    "UNKNOWN_VALUES",
]


EVENT_CONFIG: dict[str, dict[str, Any]] = {
    "PATROL_STATUS": {
        "model": PatrolLog,
        "timestamp": PatrolLog.created_at,
        "key": PatrolLog.patrol_log_id,
        "joins": [(Patrol, PatrolLog.patrol_id == Patrol.patrol_id)],
        "columns": [
            PatrolLog.patrol_status.label("patrol_status_at_event"),
            PatrolLog.latitude,
            PatrolLog.longitude,
            PatrolLog.accuracy,
            PatrolLog.speed,
            PatrolLog.heading,
            Patrol.hotspots_to_visit,
            Patrol.assigned_crew_ids,
            # A patrol under way still changes the list; only a finished one has visited it.
            case((PatrolLog.patrol_status == "finished", Patrol.visited_hotspots), else_=None).label(
                "visited_hotspots"
            ),
        ],
    },
    "REMARK": {
        "model": Remark,
        "timestamp": Remark.created_at,
        "key": Remark.remark_id,
        "joins": [(Patrol, Remark.patrol_id == Patrol.patrol_id)],
        "columns": [
            Remark.remark_text,
            Remark.hotspot_id,
            Remark.latitude,
            Remark.longitude,
            Remark.accuracy,
            Remark.media_ref,
        ],
    },
    "HIGH_INTEGRITY_VISITS": {
        "model": Remark,
        "timestamp": Remark.created_at,
        "key": Remark.remark_id,
        "joins": [(Patrol, and_(Remark.patrol_id == Patrol.patrol_id, Patrol.patrol_status == "COMPLETED"))],
        "filters": [Remark.hotspot_id.is_not(None)],
        "columns": [
            Remark.remark_id,
            Patrol.start_time,
            Remark.hotspot_id,
            Remark.latitude,
            Remark.longitude,
            Remark.accuracy,
        ],
    },
    "PRIORITY_CHANGE": {
        "model": Remark,
        "timestamp": Remark.created_at,
        "key": Remark.remark_id,
        "joins": [(Patrol, Remark.patrol_id == Patrol.patrol_id)],
        "filters": [Remark.new_priority_ranking.is_not(None)],
        "columns": [
            Remark.new_priority_ranking,
            Remark.hotspot_id,
            Remark.remark_text,
            Remark.latitude,
            Remark.longitude,
            Remark.accuracy,
        ],
    },
    "VEHICLE_CHECK": {
        "model": VehicleCheck,
        "timestamp": VehicleCheck.created_at,
        "key": VehicleCheck.vehicle_check_id,
        "joins": [(Patrol, VehicleCheck.patrol_id == Patrol.patrol_id)],
        "columns": [
            VehicleCheck.plate_number.label("vehicle_plate_number"),
            VehicleCheck.suspicious_activity,
            VehicleCheck.suspicion_details,
            VehicleCheck.latitude,
            VehicleCheck.longitude,
            VehicleCheck.accuracy,
            VehicleCheck.media_ref,
        ],
    },
    "SUSPICIOUS_VEHICLE": {
        "model": VehicleCheck,
        "timestamp": VehicleCheck.created_at,
        "key": VehicleCheck.vehicle_check_id,
        "joins": [(Patrol, VehicleCheck.patrol_id == Patrol.patrol_id)],
        "filters": [VehicleCheck.suspicious_activity.is_(True)],
        "columns": [
            VehicleCheck.plate_number.label("vehicle_plate_number"),
            VehicleCheck.suspicious_activity,
            VehicleCheck.suspicion_details,
            VehicleCheck.latitude,
            VehicleCheck.longitude,
            VehicleCheck.accuracy,
            VehicleCheck.media_ref,
        ],
    },
    "STRANGER_ENCOUNTER": {
        "model": StrangerEncounter,
        "timestamp": StrangerEncounter.created_at,
        "key": StrangerEncounter.stranger_encounter_id,
        "joins": [(Patrol, StrangerEncounter.patrol_id == Patrol.patrol_id)],
        "columns": [
            StrangerEncounter.name.label("stranger_name"),
            StrangerEncounter.purpose.label("stranger_purpose"),
            StrangerEncounter.id_type.label("stranger_id_type"),
            StrangerEncounter.id_details.label("stranger_id_details"),
            StrangerEncounter.latitude,
            StrangerEncounter.longitude,
            StrangerEncounter.accuracy,
            StrangerEncounter.media_ref,
        ],
    },
    "EMERGENCY_INCIDENT": {
        "model": EmergencyIncident,
        "timestamp": EmergencyIncident.created_at,
        "key": EmergencyIncident.emergency_incident_id,
        "joins": [(Patrol, EmergencyIncident.patrol_id == Patrol.patrol_id)],
        "columns": [
            EmergencyIncident.category.label("emergency_category"),
            EmergencyIncident.details.label("details_json"),
            EmergencyIncident.latitude,
            EmergencyIncident.longitude,
            EmergencyIncident.accuracy,
            EmergencyIncident.media_ref,
        ],
    },
    "FEEDBACK": {
        "model": Feedback,
        "timestamp": Feedback.created_at,
        "key": Feedback.feedback_id,
        "joins": [(Patrol, Feedback.patrol_id == Patrol.patrol_id)],
        "columns": [
            Feedback.feedback_text,
            Feedback.latitude,
            Feedback.longitude,
            Feedback.accuracy,
        ],
    },
    "GEOFENCE": {
        "model": GeofenceLog,
        "timestamp": GeofenceLog.created_at,
        "key": GeofenceLog.geofence_log_id,
        "joins": [(Patrol, GeofenceLog.patrol_id == Patrol.patrol_id)],
        "columns": [
            GeofenceLog.geofence_event_type,
            GeofenceLog.hotspot_id,
            GeofenceLog.latitude,
            GeofenceLog.longitude,
            GeofenceLog.accuracy,
            GeofenceLog.speed,
            GeofenceLog.heading,
        ],
    },
}

# Who, where, and when the row arrived: read for every entry whose model or joins have a column of that name, the
# model's before a join's, so that no entry has to repeat them.
COMMON_COLUMNS: tuple[str, ...] = (
    "patrol_id",
    "station_id",
    "vehicle_id",
    "created_by_officer_id",
    "assigned_to_officer_id",
    "received_at",
)

# When an event happened, where an entry names no timestamp: the model's column of this name.
DEFAULT_TIMESTAMP = "created_at"

# Fact column ← source columns, the first that is not NULL wins: who did it before who was sent.
COALESCE: dict[str, tuple[str, ...]] = {
    "officer_id": ("officer_id", "created_by_officer_id", "assigned_to_officer_id"),
}

# Values that phones send for "unknown"; all columns of a group must match for it to become NULL.
UNKNOWN_VALUES: dict[tuple[str, ...], tuple[float, ...]] = {
    ("latitude", "longitude"): (0.0, 0.0),  # no fix: a point in the Gulf of Guinea
    ("speed",): (-1.0,),  # m/s; CLLocation documents a negative speed as invalid
    ("heading",): (-1.0,),  # degrees; CLLocation documents a negative course as invalid
}

# Fact column → least and greatest value that it can have. A row beyond them is rejected, not mended: a
# position that is nowhere on Earth is no statement that the position is unknown.
BOUNDS: dict[str, tuple[float, float]] = {
    "latitude": (-90.0, 90.0),  # degrees, WGS 84
    "longitude": (-180.0, 180.0),
}

# Columns that say something about a person who is not an officer → why. Reports never show them;
# SENTINEL_PII decides whether the warehouse keeps, hashes or drops them. What stands in details_json by
# a label of its own is classed by that label.
PERSONAL: dict[str, str] = {
    "stranger_name": "name",
    "stranger_id_details": "number of a document",
    "vehicle_plate_number": "names its keeper",
    "stranger_purpose": "free text",
    "remark_text": "free text",
    "suspicion_details": "free text",
    "feedback_text": "free text",
    "details_json": "free text",  # of an emergency; elsewhere it is put together from other columns
}
