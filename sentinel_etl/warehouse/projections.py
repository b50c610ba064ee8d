"""Aggregate projections of the fact table: sums by night that ClickHouse keeps up to date by itself.

A projection is a hidden aggregate inside each part: written with its rows, moved with them by
`ATTACH PARTITION` and `REPLACE PARTITION`, and read in their place where a query asks for what it
holds. Whoever asks need not know: the same statement on a table without them, or on parts written
before they were added, gives the same answer from the rows, later.
https://clickhouse.com/docs/sql-reference/statements/alter/projection
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from clickhouse_sqlalchemy import Table

from sentinel_etl.warehouse.ddl import on_cluster, quote_identifier, storage_name
from sentinel_etl.warehouse.decay import DEFAULT_HALF_LIFE_HOURS

__all__ = [
    "CELL_RESOLUTION",
    "DISTINCT_NIGHTS",
    "DISTINCT_OFFICERS",
    "DISTINCT_PATROLS",
    "HOTSPOT_NIGHTS",
    "INCIDENT_CELLS",
    "IS_INCIDENT",
    "OFFICER_NIGHTS",
    "PROJECTIONS",
    "STATION_NIGHTS",
    "WRITE_SETTINGS",
    "Projection",
    "cell",
    "folded_risk",
    "projection_statement",
]


# H3 resolution of the kept cells: edges of about 200 m, a block or two.
# https://h3geo.org/docs/core-library/restable
CELL_RESOLUTION = 9

# Hours from the night's reference instant, 00:00 UTC of its shift_date, to the event: `decay`.
HOURS_INTO_NIGHT = "(toUnixTimestamp64Micro(event_timestamp) - toInt64(shift_date) * 86400000000) / 3600000000"

# Whether an event counts as an incident. A key of the projection by cells, not a WHERE of it: a part of
# none but routine events would have an empty projection, so none, and ClickHouse merges only parts
# that have the same ones (MergeTreeDataMergerMutator).
IS_INCIDENT = "base_risk_score > 0"

# geoToH3 costs 0.7 µs a row: to be given to statements that write, so that it is worked out only for
# the rows whose cell is asked for, and not for all of them before `if` chooses.
# https://clickhouse.com/docs/operations/settings/settings#short_circuit_function_evaluation
WRITE_SETTINGS = {"short_circuit_function_evaluation": "force_enable"}


def folded_risk(half_life: str) -> str:
    """Write the sum that `decay.fold_night` computes; ``half_life`` is SQL for Float64 hours.

    Projection and query must agree to the letter and the constant's type, or the rows are read.
    """
    return f"sum(base_risk_score * exp2({HOURS_INTO_NIGHT} / {half_life}))"


def cell(resolution: str, first: str = "latitude", second: str = "longitude") -> str:
    """Write the H3 cell of an incident; NULL where its position is unknown or is none on Earth.

    `geoToH3` raises on an infinite number, and also on one that only stands behind a NULL, so what it
    is given is made harmless first. It takes latitude before longitude: see `views` for servers where
    it does not.
    """
    known = f"{IS_INCIDENT} AND abs(latitude) <= 90 AND abs(longitude) <= 180"
    first, second = (f"if({known}, assumeNotNull({name}), 0.)" for name in (first, second))
    return f"if({known}, geoToH3({first}, {second}, {resolution}), NULL)"


@dataclass(frozen=True)
class Projection:
    """One aggregate: ``keys`` always follow shift_date; ``reads`` are the fact columns it needs."""

    name: str
    reads: frozenset[str]
    keys: tuple[str, ...]
    aggregates: tuple[str, ...]

    @property
    def definition(self) -> str:
        keys = ", ".join(("shift_date", *self.keys))
        return f"SELECT {keys}, {', '.join(self.aggregates)} GROUP BY {keys}"


# Sets, so that each is counted once over several nights: bitmaps, exact, and merged in half the time
# that uniqExact takes. The order of the ids is lost in toUInt64, what tells them apart is not.
DISTINCT_NIGHTS = "groupBitmapState(toUInt64(shift_date))"
DISTINCT_PATROLS = "groupBitmapState(toUInt64(patrol_id))"
DISTINCT_OFFICERS = "groupBitmapState(toUInt64(officer_id))"

ALWAYS = ("count()", "sum(base_risk_score)", "max(event_timestamp)")
COMMON = frozenset({"shift_date", "event_timestamp", "base_risk_score"})
# The half-life is in the name, so that a new default adds a projection and leaves the old one alone.
DECAYED = folded_risk(f"{DEFAULT_HALF_LIFE_HOURS!r}")
HALF_LIFE = f"{DEFAULT_HALF_LIFE_HOURS:g}h".replace(".", "_")

HOTSPOT_NIGHTS = Projection(
    name=f"hotspot_nights_{HALF_LIFE}",
    reads=COMMON | {"station_id", "hotspot_id"},
    keys=("station_id", "hotspot_id"),
    aggregates=(*ALWAYS, DECAYED),
)
STATION_NIGHTS = Projection(
    name="station_nights",
    reads=COMMON | {"station_id", "patrol_id", "officer_id"},
    keys=("station_id",),
    aggregates=(*ALWAYS, DISTINCT_NIGHTS, DISTINCT_PATROLS, DISTINCT_OFFICERS),
)
OFFICER_NIGHTS = Projection(
    name="officer_nights",
    reads=COMMON | {"station_id", "officer_id", "patrol_id"},
    keys=("station_id", "officer_id"),
    aggregates=(*ALWAYS, DISTINCT_PATROLS),
)
INCIDENT_CELLS = Projection(
    name=f"incident_cells_{HALF_LIFE}",
    reads=COMMON | {"latitude", "longitude"},
    keys=(IS_INCIDENT, cell(str(CELL_RESOLUTION))),
    aggregates=(*ALWAYS, DECAYED, "avg(latitude)", "avg(longitude)"),
)
PROJECTIONS = (HOTSPOT_NIGHTS, STATION_NIGHTS, OFFICER_NIGHTS, INCIDENT_CELLS)


def projection_statement(table: Table, present: Collection[str] = ()) -> tuple[list[str], str]:
    """Write the ALTER that adds to a table the projections it has the columns for and has not yet.

    ``present``: those that it has. Returns the added ones' names with the statement; no names where
    there is nothing to add. On a cluster it is the table that holds the rows that has them.
    """
    columns = set(table.columns.keys())
    added = [each for each in PROJECTIONS if each.name not in present and each.reads <= columns]
    # Another run may add them at the same time.
    parts = [f"ADD PROJECTION IF NOT EXISTS {quote_identifier(one.name)} ({one.definition})" for one in added]
    statement = f"ALTER TABLE {quote_identifier(storage_name(table))}{on_cluster(table)} {', '.join(parts)}"
    return [one.name for one in added], statement
