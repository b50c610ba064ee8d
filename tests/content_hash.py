"""The checksum by which tests tell whether two tables hold the same."""

from __future__ import annotations

from clickhouse_sqlalchemy import Table
from sqlalchemy import ColumnElement, func

from sentinel_etl.warehouse.rows import row_hash


def content_hash(table: Table) -> ColumnElement[str]:
    """Build the order-free checksum of a set of rows' content, as 16 hex digits.

    A sum, not an exclusive or, so that a row standing twice does not cancel itself out.
    """
    return func.hex(func.sumWithOverflow(row_hash(table)))
