"""The fact table `patrol_events`, defined once: DDL, Arrow schema and docs all come from here."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Literal

from clickhouse_sqlalchemy import Table, engines, types
from sqlalchemy import Column, MetaData, text

from sentinel_etl.config.dimensions import Dimensions

__all__ = [
    "ENGINE_COLUMNS",
    "PARTITION_KEYS",
    "PartitionBy",
    "build_patrol_events",
    "content_columns",
    "rejected_name",
    "shown_columns",
]


PartitionBy = Literal["month", "week", "day"]

# Each expression is the text in which the server reports the key (system.tables.partition_key).
PARTITION_KEYS: dict[PartitionBy, str] = {
    "month": "toYYYYMM(shift_date)",
    "week": "toMonday(shift_date)",
    "day": "shift_date",
}

# What the engine itself needs of any fact table, whatever else a team keeps in its own.
ENGINE_COLUMNS = ("event_id", "event_timestamp", "event_type", "shift_date", "run_id", "loaded_at")

# Stamped by the run that wrote a row; all other columns are the row's content.
RUN_COLUMNS = ("run_id", "loaded_at")

# What may be shown of a row: which, when, where and how risky, but nothing that a person said, and
# nothing about a person who is not an officer. A dimension stands by its role.
SHOWN = (
    "event_id",
    "event_timestamp",
    "event_type",
    "station",
    "place",
    "latitude",
    "longitude",
    "base_risk_score",
    "risk_reasons",
)

TEXT = types.String
INTEGER = types.Int64
DECIMAL = types.Float64
INSTANT = types.DateTime64(6, "UTC")
KEYWORD = types.LowCardinality(types.String)


def optional(column_type: Any) -> Any:
    return types.Nullable(column_type)


def optional_keyword() -> Any:
    return types.LowCardinality(types.Nullable(types.String))


def value_range(least: float | None, most: float | None) -> dict[str, Any]:
    """State a column's range, ends included; None: no end. A value outside is told of, not refused."""
    return {"range": (least, most)}


def build_patrol_events(partition_by: PartitionBy = "month", cluster: str | None = None) -> Table:
    """Build the fact table; ``comment`` of each column is its line in the docs."""
    return Table(
        "patrol_events",
        MetaData(),
        Column(
            "event_id",
            TEXT,
            comment="TYPE:source key, its parts joined by colons; the same event has the same id in every run",
        ),
        Column("patrol_id", INTEGER, comment="patrol during which it happened"),
        Column("officer_id", INTEGER, comment="who reported it, or else who was assigned"),
        Column("event_timestamp", INSTANT, comment="when it happened, by the phone's clock"),
        Column("received_at", optional(INSTANT), comment="when the row arrived in the source, by the server's clock"),
        Column("event_date", types.Date, comment="local calendar date of event_timestamp"),
        Column("shift_date", types.Date, comment="operational night: local date of event_timestamp − 06:00"),
        Column("event_type", KEYWORD, comment="entry of EVENT_CONFIG"),
        Column("station_id", INTEGER, comment="station that sent the patrol"),
        Column("vehicle_id", optional(INTEGER), comment="vehicle of the patrol"),
        Column("latitude", optional(DECIMAL), comment="degrees north, WGS 84"),
        Column("longitude", optional(DECIMAL), comment="degrees east, WGS 84"),
        Column("accuracy", optional(DECIMAL), comment="radius of the position, m", info=value_range(0, None)),
        Column("speed", optional(DECIMAL), comment="m/s", info=value_range(0, None)),
        Column("heading", optional(DECIMAL), comment="degrees clockwise from north", info=value_range(0, 360)),
        Column("hotspot_id", optional(INTEGER), comment="hotspot concerned"),
        Column("remark_text", optional(TEXT), comment="officer's words"),
        Column("remark_length", optional(types.Int32), comment="characters in remark_text", info=value_range(0, None)),
        Column(
            "new_priority_ranking",
            optional(types.Int16),
            comment="hotspot's new priority, 1 is highest",
            info=value_range(1, None),
        ),
        Column("visited_hotspots", types.Array(INTEGER), comment="hotspots visited, once the patrol finished"),
        Column("hotspots_to_visit", types.Array(INTEGER), comment="hotspots on the patrol's list"),
        Column("assigned_crew_ids", types.Array(INTEGER), comment="officers of the crew"),
        Column("vehicle_plate_number", optional(TEXT), comment="plate of the vehicle checked"),
        Column("suspicious_activity", optional(types.Boolean), comment="whether the check found something"),
        Column("suspicion_details", optional(TEXT), comment="what it found"),
        Column("stranger_name", optional(TEXT), comment="name that the person gave"),
        Column("stranger_purpose", optional(TEXT), comment="purpose that the person gave"),
        Column("stranger_id_type", optional_keyword(), comment="kind of document shown"),
        Column("stranger_id_details", optional(TEXT), comment="the document's number"),
        Column("emergency_category", optional_keyword(), comment="kind of emergency"),
        Column("feedback_text", optional(TEXT), comment="feedback on the patrol"),
        Column("geofence_event_type", optional_keyword(), comment="ENTER, EXIT or DWELL"),
        Column("patrol_status_at_event", optional_keyword(), comment="started, paused, resumed or finished"),
        Column(
            "base_risk_score",
            DECIMAL,
            comment="sum of RISK_WEIGHTS that apply, risk points, undecayed",
            info=value_range(0, None),
        ),
        Column("risk_reasons", types.Array(TEXT), comment="the weights that were added, one line each"),
        Column("details_json", optional(TEXT), comment="source columns without a column here, as JSON"),
        Column("media_ref", optional(TEXT), comment="key of a photo or recording"),
        Column("run_id", TEXT, server_default=text("''"), comment="run that wrote the row"),
        Column("loaded_at", INSTANT, server_default=text("now64(6)"), comment="when that run wrote it"),
        engines.MergeTree(
            partition_by=text(PARTITION_KEYS[partition_by]),
            order_by=("shift_date", "station_id", "event_type", "event_timestamp", "event_id"),
        ),
        clickhouse_cluster=cluster,
    )


def shown_columns(names: Collection[str], dimensions: Dimensions, personal: Collection[str] = ()) -> tuple[str, ...]:
    """List the columns that may be shown of a row, of those that there are."""
    wanted = dict.fromkeys(dimensions.column(name) for name in SHOWN)
    return tuple(name for name in wanted if name in names and name not in personal)


def rejected_name(fact_table: Table) -> str:
    """Name the table of the rows that the fact table did not take."""
    return f"{fact_table.name}_rejected"


def content_columns(table: Table) -> list[str]:
    """List the columns that depend on the source alone, not on the run that wrote them."""
    return [column.name for column in table.columns if column.name not in RUN_COLUMNS]
