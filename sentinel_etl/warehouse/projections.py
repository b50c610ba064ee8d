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
from sentinel_etl.warehouse.render import render_sql

__all__ = [
    "CELL_RESOLUTION",
    "HOTSPOT_NIGHTS",
    "INCIDENT_CELLS",
    "OFFICER_NIGHTS",
    "PROJECTIONS",
    "STATION_NIGHTS",
    "WRITE_SETTINGS",
    "Projection",
    "projection_statement",
]


# H3 resolution of the kept cells: edges of about 200 m, a block or two.
# https://h3geo.org/docs/core-library/restable
CELL_RESOLUTION = 9

# geoToH3 costs 0.7 µs a row: to be given to statements that write, so that it is worked out only for
# the rows whose cell is asked for, and not for all of them before `if` chooses.
# https://clickhouse.com/docs/operations/settings/settings#short_circuit_function_evaluation
WRITE_SETTINGS = {"short_circuit_function_evaluation": "force_enable"}


@dataclass(frozen=True)
class Projection:
    """One aggregate of each night: ``template`` under ``sql/projections``; ``reads`` are the fact columns it needs."""

    name: str
    template: str
    reads: frozenset[str]

    @property
    def definition(self) -> str:
        return render_sql(
            "sentinel_etl.warehouse",
            f"projections/{self.template}",
            half_life_hours=repr(DEFAULT_HALF_LIFE_HOURS),
            cell_resolution=CELL_RESOLUTION,
        )


COMMON = frozenset({"shift_date", "event_timestamp", "base_risk_score"})
# The half-life is in the name, so that a new default adds a projection and leaves the old one alone.
HALF_LIFE = f"{DEFAULT_HALF_LIFE_HOURS:g}h".replace(".", "_")

HOTSPOT_NIGHTS = Projection(f"hotspot_nights_{HALF_LIFE}", "hotspot_nights", COMMON | {"station_id", "hotspot_id"})
STATION_NIGHTS = Projection("station_nights", "station_nights", COMMON | {"station_id", "patrol_id", "officer_id"})
OFFICER_NIGHTS = Projection("officer_nights", "officer_nights", COMMON | {"station_id", "officer_id", "patrol_id"})
INCIDENT_CELLS = Projection(f"incident_cells_{HALF_LIFE}", "incident_cells", COMMON | {"latitude", "longitude"})
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
