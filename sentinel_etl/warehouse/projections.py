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

from sentinel_etl.config.dimensions import CITY, Dimensions
from sentinel_etl.warehouse.ddl import on_cluster, quote_identifier, storage_name
from sentinel_etl.warehouse.decay import DEFAULT_HALF_LIFE_HOURS
from sentinel_etl.warehouse.key_columns import key_columns
from sentinel_etl.warehouse.render import render_sql
from sentinel_etl.warehouse.types import server_type

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
    """One aggregate of each night: ``template`` under ``sql/projections``, by the ``roles`` that it cannot do without.

    ``fades``: whether it keeps risk that decays, for which the instants must be DateTime64.
    """

    name: str
    template: str
    roles: tuple[str, ...]
    fades: bool = False

    def define(self, table: Table, dimensions: Dimensions = CITY) -> str:
        return render_sql(
            "sentinel_etl.warehouse",
            f"projections/{self.template}",
            **key_columns(table, dimensions),
            half_life_hours=repr(DEFAULT_HALF_LIFE_HOURS),
            cell_resolution=CELL_RESOLUTION,
        )

    def find_unfit(self, table: Table, dimensions: Dimensions = CITY) -> str:
        """Say in one sentence what it needs of the fact table and does not find; empty where it has all."""
        wanted = [*(dimensions.column(role) for role in self.roles), "base_risk_score"]
        if missing := [name for name in wanted if name not in table.columns]:
            own = "; a pipeline may name its own in `dimensions`" if missing != ["base_risk_score"] else ""
            return f"expected {' and '.join(missing)} among the columns of {table.name}{own}"
        keys = key_columns(table, dimensions)
        for role in self.roles:
            key = keys[role]
            if role in ("latitude", "longitude") and key and not key.is_number:
                return f"expected {table.name}.{key.name} to be a number, degrees; found {key.fact.name}"
        stamp = server_type(table.c.event_timestamp)
        if self.fades and not stamp.startswith("DateTime64"):
            return f"expected {table.name}.event_timestamp to be a DateTime64, found {stamp}"
        taken = [each.name for each in keys.values() if each and each.name in WORDS]
        return f"expected dimensions of other names than its own columns'; found {', '.join(taken)}" if taken else ""


# What the views call their own columns: a dimension of the same name could not be told from them.
WORDS = frozenset(
    {
        *("asked_at", "asked_us", "change", "cut_nights", "events", "folded", "last_event", "nights"),
        *("mean_latitude", "mean_longitude", "nights_active"),
        *("officers", "patrols", "risk", "risk_points", "risk_week_before", "risks", "shift_date", "week"),
    }
)

# The half-life is in the name, so that a new default adds a projection and leaves the old one alone.
HALF_LIFE = f"{DEFAULT_HALF_LIFE_HOURS:g}h".replace(".", "_")

HOTSPOT_NIGHTS = Projection(f"hotspot_nights_{HALF_LIFE}", "hotspot_nights", ("place",), fades=True)
STATION_NIGHTS = Projection("station_nights", "station_nights", ("station",))
OFFICER_NIGHTS = Projection("officer_nights", "officer_nights", ("person",))
INCIDENT_CELLS = Projection(f"incident_cells_{HALF_LIFE}", "incident_cells", ("latitude", "longitude"), fades=True)
PROJECTIONS = (HOTSPOT_NIGHTS, STATION_NIGHTS, OFFICER_NIGHTS, INCIDENT_CELLS)


def projection_statement(
    table: Table, present: Collection[str] = (), dimensions: Dimensions = CITY
) -> tuple[list[str], str]:
    """Write the ALTER that adds to a table the projections it has the columns for and has not yet.

    ``present``: those that it has. Returns the added ones' names with the statement; no names where
    there is nothing to add. On a cluster it is the table that holds the rows that has them.
    """
    added = [each for each in PROJECTIONS if each.name not in present and not each.find_unfit(table, dimensions)]
    # Another run may add them at the same time.
    parts = [
        f"ADD PROJECTION IF NOT EXISTS {quote_identifier(one.name)} ({one.define(table, dimensions)})" for one in added
    ]
    statement = f"ALTER TABLE {quote_identifier(storage_name(table))}{on_cluster(table)} {', '.join(parts)}"
    return [one.name for one in added], statement
