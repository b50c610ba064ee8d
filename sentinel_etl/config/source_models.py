"""The sample source: the tables that officers' phones write into.

``created_at`` is the phone's clock, when the thing happened; ``received_at`` is the server's,
when the row arrived. A phone without signal sends hours later, so the two can lie far apart.
All timestamps carry a time zone. Positions are degrees (WGS 84), accuracy metres, speed m/s,
heading degrees clockwise from north.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import BigInteger, DateTime, ForeignKey, SmallInteger, Text, func
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, declared_attr, mapped_column

__all__ = [
    "EmergencyIncident",
    "Feedback",
    "GeofenceLog",
    "Hotspot",
    "Officer",
    "Patrol",
    "PatrolLog",
    "Remark",
    "SourceBase",
    "Station",
    "StrangerEncounter",
    "Vehicle",
    "VehicleCheck",
]


class SourceBase(DeclarativeBase):
    """Base of the source's models; its metadata holds the twelve tables."""

    type_annotation_map: ClassVar[dict[Any, Any]] = {
        int: BigInteger,
        str: Text,
        datetime: DateTime(timezone=True),
        dict[str, Any]: JSONB,
        list[int]: ARRAY(BigInteger),
    }


class SentByPhone:
    """Columns of every row that a phone writes during a patrol."""

    @declared_attr
    def patrol_id(cls) -> Mapped[int]:
        return mapped_column(ForeignKey("patrols.patrol_id"))

    latitude: Mapped[float | None]
    longitude: Mapped[float | None]
    accuracy: Mapped[float | None]
    created_at: Mapped[datetime] = mapped_column(index=True)
    received_at: Mapped[datetime] = mapped_column(server_default=func.now())


class Station(SourceBase):
    __tablename__ = "stations"

    station_id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    latitude: Mapped[float]
    longitude: Mapped[float]


class Officer(SourceBase):
    __tablename__ = "officers"

    officer_id: Mapped[int] = mapped_column(primary_key=True)
    station_id: Mapped[int] = mapped_column(ForeignKey("stations.station_id"))
    full_name: Mapped[str]
    badge_number: Mapped[str] = mapped_column(unique=True)


class Vehicle(SourceBase):
    __tablename__ = "vehicles"

    vehicle_id: Mapped[int] = mapped_column(primary_key=True)
    station_id: Mapped[int] = mapped_column(ForeignKey("stations.station_id"))
    plate_number: Mapped[str] = mapped_column(unique=True)


class Hotspot(SourceBase):
    __tablename__ = "hotspots"

    hotspot_id: Mapped[int] = mapped_column(primary_key=True)
    station_id: Mapped[int] = mapped_column(ForeignKey("stations.station_id"))
    name: Mapped[str]
    latitude: Mapped[float]
    longitude: Mapped[float]
    priority_ranking: Mapped[int] = mapped_column(SmallInteger)


class Patrol(SourceBase):
    """One crew's shift. ``patrol_status``: PLANNED, IN_PROGRESS, COMPLETED or ABORTED."""

    __tablename__ = "patrols"

    patrol_id: Mapped[int] = mapped_column(primary_key=True)
    station_id: Mapped[int] = mapped_column(ForeignKey("stations.station_id"))
    vehicle_id: Mapped[int | None] = mapped_column(ForeignKey("vehicles.vehicle_id"))
    assigned_to_officer_id: Mapped[int] = mapped_column(ForeignKey("officers.officer_id"))
    patrol_status: Mapped[str]
    start_time: Mapped[datetime] = mapped_column(index=True)
    end_time: Mapped[datetime | None]
    hotspots_to_visit: Mapped[list[int] | None]
    visited_hotspots: Mapped[list[int] | None]
    assigned_crew_ids: Mapped[list[int] | None]


class PatrolLog(SentByPhone, SourceBase):
    """A change of a patrol's state. ``patrol_status``: started, paused, resumed or finished."""

    __tablename__ = "patrol_logs"

    patrol_log_id: Mapped[int] = mapped_column(primary_key=True)
    created_by_officer_id: Mapped[int] = mapped_column(ForeignKey("officers.officer_id"))
    patrol_status: Mapped[str]
    speed: Mapped[float | None]
    heading: Mapped[float | None]


class Remark(SentByPhone, SourceBase):
    """An officer's note on a hotspot; with ``new_priority_ranking``, a change of its priority."""

    __tablename__ = "remarks"

    remark_id: Mapped[int] = mapped_column(primary_key=True)
    created_by_officer_id: Mapped[int] = mapped_column(ForeignKey("officers.officer_id"))
    hotspot_id: Mapped[int | None] = mapped_column(ForeignKey("hotspots.hotspot_id"))
    remark_text: Mapped[str | None]
    new_priority_ranking: Mapped[int | None] = mapped_column(SmallInteger)
    media_ref: Mapped[str | None]


class VehicleCheck(SentByPhone, SourceBase):
    __tablename__ = "vehicle_checks"

    vehicle_check_id: Mapped[int] = mapped_column(primary_key=True)
    created_by_officer_id: Mapped[int] = mapped_column(ForeignKey("officers.officer_id"))
    plate_number: Mapped[str]
    suspicious_activity: Mapped[bool | None]
    suspicion_details: Mapped[str | None]
    media_ref: Mapped[str | None]


class StrangerEncounter(SentByPhone, SourceBase):
    __tablename__ = "stranger_encounters"

    stranger_encounter_id: Mapped[int] = mapped_column(primary_key=True)
    created_by_officer_id: Mapped[int] = mapped_column(ForeignKey("officers.officer_id"))
    name: Mapped[str | None]
    purpose: Mapped[str | None]
    id_type: Mapped[str | None]
    id_details: Mapped[str | None]
    media_ref: Mapped[str | None]


class EmergencyIncident(SentByPhone, SourceBase):
    """``created_by_officer_id`` is empty where the control room, not a phone, opened the incident."""

    __tablename__ = "emergency_incidents"

    emergency_incident_id: Mapped[int] = mapped_column(primary_key=True)
    created_by_officer_id: Mapped[int | None] = mapped_column(ForeignKey("officers.officer_id"))
    assigned_to_officer_id: Mapped[int | None] = mapped_column(ForeignKey("officers.officer_id"))
    category: Mapped[str]
    details: Mapped[dict[str, Any] | None]
    media_ref: Mapped[str | None]


class Feedback(SentByPhone, SourceBase):
    __tablename__ = "feedback"

    feedback_id: Mapped[int] = mapped_column(primary_key=True)
    assigned_to_officer_id: Mapped[int] = mapped_column(ForeignKey("officers.officer_id"))
    feedback_text: Mapped[str | None]


class GeofenceLog(SentByPhone, SourceBase):
    """A crossing of a hotspot's fence. ``geofence_event_type``: ENTER, EXIT or DWELL."""

    __tablename__ = "geofence_logs"

    geofence_log_id: Mapped[int] = mapped_column(primary_key=True)
    assigned_to_officer_id: Mapped[int] = mapped_column(ForeignKey("officers.officer_id"))
    hotspot_id: Mapped[int] = mapped_column(ForeignKey("hotspots.hotspot_id"))
    geofence_event_type: Mapped[str]
    speed: Mapped[float | None]
    heading: Mapped[float | None]
