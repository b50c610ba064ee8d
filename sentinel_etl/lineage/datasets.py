"""Names of a run's tables, as OpenLineage names datasets. Pure.

https://openlineage.io/docs/spec/naming has PostgreSQL: ``postgres://host:port`` and ``database.schema.table``. It
does not have ClickHouse, so its tables are named as those of a server with databases and no schemas are, MySQL's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from sqlalchemy import URL, Engine

from sentinel_etl.lineage.lineage import SourceTable
from sentinel_etl.warehouse.address import authority, complete_port

__all__ = ["Site"]


@dataclass(frozen=True)
class Site:
    """Where a run's tables are: the namespaces of both databases, and what completes a table's name.

    No user, no password and no parameter of a URL is among it.
    """

    source: str
    source_database: str
    default_schema: str
    warehouse: str
    warehouse_database: str

    @classmethod
    def of(cls, source: Engine, warehouse: Engine) -> Self:
        """Read it off the engines; ``source`` has connected, so that its default schema is known."""
        schema = source.dialect.default_schema_name or "public"
        return cls(
            f"postgres://{source_authority(source.url)}",
            str(source.url.database),
            schema,
            f"clickhouse://{authority(complete_port(warehouse.url))}",
            str(warehouse.url.database),
        )

    def source_table(self, table: SourceTable) -> str:
        return f"{self.source_database}.{table.schema or self.default_schema}.{table.name}"

    def fact_table(self, name: str) -> str:
        return f"{self.warehouse_database}.{name}"


def source_authority(url: URL) -> str:
    """Write the host, the first of several, and its port; a local socket is this machine's."""
    given: str | Sequence[str] = url.host or url.query.get("host") or ""
    first = (given if isinstance(given, str) else given[0]).split(",")[0]
    host, _, own_port = first.rpartition(":") if first.count(":") == 1 else (first, "", "")
    ports = url.query.get("port") or ""
    port = own_port or url.port or (ports if isinstance(ports, str) else ports[0]).split(",")[0] or 5432
    if not host or host.startswith("/"):
        host = "localhost"
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
