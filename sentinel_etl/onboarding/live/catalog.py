"""Reads from PostgreSQL's catalog what reflection does not tell of a table."""

from __future__ import annotations

import re
from typing import Any

from sqlalchemy import Connection, text

from sentinel_etl.onboarding.live.live_table import Partitions

__all__ = ["estimate_rows", "read_columns", "read_partitions", "read_root"]


# `to_jsonb` gives NULL for a column that an older server's catalog does not have. A tree's first column serves a
# range; so do BRIN's columns, all of them.
# https://www.postgresql.org/docs/current/catalog-pg-attribute.html
# https://www.postgresql.org/docs/current/catalog-pg-index.html
COLUMNS = text(
    """
    SELECT a.attname AS name, format_type(a.atttypid, a.atttypmod) AS type_name,
           NOT (a.attnotnull OR t.typnotnull) AS nullable,
           coalesce(pg_get_expr(d.adbin, d.adrelid), '') AS default,
           coalesce(to_jsonb(a) ->> 'attgenerated', '') <> '' AS generated,
           has_column_privilege(c.oid, a.attnum, 'SELECT') AS readable,
           (SELECT array_agg(e.enumlabel::text ORDER BY e.enumsortorder) FROM pg_enum e
             WHERE e.enumtypid IN (t.oid, t.typbasetype)) AS labels,
           (SELECT array_agg(pg_get_constraintdef(k.oid)) FROM pg_constraint k
             WHERE k.contype = 'c' AND (k.contypid = t.oid OR (k.conrelid = c.oid AND k.conkey = ARRAY[a.attnum])))
               AS checks,
           EXISTS (SELECT FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid JOIN pg_am m ON m.oid = x.relam
                    WHERE i.indrelid = c.oid AND i.indisvalid AND i.indpred IS NULL
                      AND (m.amname = 'btree' AND i.indkey[0] = a.attnum
                           OR m.amname = 'brin' AND a.attnum = ANY (i.indkey::int2[]))) AS indexed
      FROM pg_class c
      JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
      JOIN pg_type t ON t.oid = a.atttypid
      LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
     WHERE c.oid = :oid
     ORDER BY a.attnum
    """
)

# 16 is UPDATE. https://www.postgresql.org/docs/current/catalog-pg-trigger.html
UPDATE_TRIGGERS = text(
    """
    SELECT p.prosrc AS source, encode(g.tgargs, 'escape') AS arguments
      FROM pg_trigger g JOIN pg_proc p ON p.oid = g.tgfoid
     WHERE g.tgrelid = :oid AND NOT g.tgisinternal AND g.tgtype::int & 16 <> 0
    """
)

PARTITIONS = text(
    """
    SELECT pg_get_partkeydef(p.partrelid) AS key, p.partdefid <> 0 AS has_default,
           ARRAY(SELECT pg_get_expr(c.relpartbound, c.oid) FROM pg_inherits h JOIN pg_class c ON c.oid = h.inhrelid
                  WHERE h.inhparent = p.partrelid) AS bounds
      FROM pg_partitioned_table p
     WHERE p.partrelid = :oid
    """
)

ROOT = text("SELECT pg_partition_root(oid)::regclass::text FROM pg_class WHERE oid = :oid AND relispartition")

# -1: never counted. https://www.postgresql.org/docs/current/catalog-pg-class.html
ESTIMATE = text(
    """
    SELECT coalesce(CASE WHEN bool_or(c.reltuples < 0) THEN -1 ELSE sum(c.reltuples) END, -1)::bigint
      FROM pg_class c
     WHERE c.oid = :oid AND c.relkind IN ('r', 'm', 'f')
        OR c.relkind = 'r' AND c.oid IN (SELECT relid FROM pg_partition_tree(:oid) WHERE isleaf)
    """
)

LISTED = re.compile(r"= ANY \(+(?:ARRAY)?\[(.+)\]")
QUOTED = re.compile(r"'((?:[^']|'')*)'")
DATED_END = re.compile(r"TO \('(\d{4}-\d\d-\d\d)[^']*'")


def read_columns(connection: Connection, oid: int) -> list[dict[str, Any]]:
    """Read the table's columns in order, each with what a `LiveColumn` says of the catalog."""
    triggers = connection.execute(UPDATE_TRIGGERS, {"oid": oid}).all()
    columns = []
    for row in connection.execute(COLUMNS, {"oid": oid}).mappings():
        found = dict(row)
        found["labels"] = tuple(found["labels"] or listed_labels(found.pop("checks") or ()))
        found.pop("checks", None)
        found["triggered"] = any(is_set(row["name"], source, arguments) for source, arguments in triggers)
        columns.append(found)
    return columns


def listed_labels(checks: list[str] | tuple[str, ...]) -> list[str]:
    """Read the texts that a CHECK constraint lists: ``status IN ('OPEN', 'DONE')``, as PostgreSQL writes it."""
    for check in checks:
        if listed := LISTED.search(check):
            return [label.replace("''", "'") for label in QUOTED.findall(listed[1])]
    return []


def is_set(column: str, source: str, arguments: str) -> bool:
    """Tell whether a trigger's function sets the column: it assigns it, or is given its name, as `moddatetime` is."""
    assigned = re.search(rf'\bnew\s*\.\s*"?{re.escape(column)}"?\s*:?=', source, re.IGNORECASE)
    return assigned is not None or column in arguments.split("\\000")


def read_partitions(connection: Connection, oid: int) -> Partitions | None:
    row = connection.execute(PARTITIONS, {"oid": oid}).one_or_none()
    if row is None:
        return None
    ends = [found[1] for bound in row.bounds if (found := DATED_END.search(bound or ""))]
    dated = len(ends) == len(row.bounds) and not row.has_default
    return Partitions(row.key, len(row.bounds), max(ends, default="") if dated else "")


def read_root(connection: Connection, oid: int) -> str:
    """Read the name of the table that a partition is of, as SQL would write it; empty: it is no partition."""
    return str(connection.execute(ROOT, {"oid": oid}).scalar() or "")


def estimate_rows(connection: Connection, oid: int) -> int:
    """Read how many rows the server takes a table to have; -1: it does not know, or it is a view."""
    return int(connection.execute(ESTIMATE, {"oid": oid}).scalar_one())
