"""How the fact table is partitioned, and which partitions a window touches."""

from __future__ import annotations

from datetime import date, timedelta
from zoneinfo import ZoneInfo

from clickhouse_sqlalchemy import Table
from sqlalchemy import Engine

from sentinel_etl.config.fact_table import PARTITION_KEYS, PartitionBy
from sentinel_etl.errors import SchemaMismatch
from sentinel_etl.warehouse.catalog import read_partition_key
from sentinel_etl.warehouse.ddl import storage_name
from sentinel_etl.window import Window

__all__ = ["partition_ids", "partition_scheme"]


def partition_scheme(fact_table: Table, warehouse: Engine) -> PartitionBy:
    """Ask the server how the fact table is partitioned; what stands there wins over settings.

    Raises:
        SchemaMismatch: a partition key that this project does not write.
    """
    key = read_partition_key(warehouse, storage_name(fact_table))
    for scheme, expression in PARTITION_KEYS.items():
        if key == expression:
            return scheme
    raise SchemaMismatch(
        f"table {fact_table.name}: expected a partition key among {', '.join(PARTITION_KEYS.values())}; "
        f"found {key or 'none'}"
    )


def partition_ids(window: Window, scheme: PartitionBy, zone: ZoneInfo) -> list[str]:
    """List the partitions that the window touches, by the ids that ClickHouse gives them.

    https://clickhouse.com/docs/engines/table-engines/mergetree-family/custom-partitioning-key
    """

    def identify(night: date) -> str:
        if scheme == "month":
            return f"{night:%Y%m}"
        return f"{night - timedelta(days=night.weekday() if scheme == 'week' else 0):%Y%m%d}"

    return sorted({identify(night) for night in window.shift_dates(zone)})
