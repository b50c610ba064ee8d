"""Takes staged rows that have one key with another row out of staging, but for one of each."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from clickhouse_sqlalchemy import Table
from sqlalchemy import ColumnElement, Engine, func, literal_column, select

from sentinel_etl.arrow import as_arrow, as_frame
from sentinel_etl.config.fact_table import RUN_COLUMNS, content_columns
from sentinel_etl.load.load import load_data
from sentinel_etl.warehouse.ddl import has_id, split_ids
from sentinel_etl.warehouse.moves import delete_statements
from sentinel_etl.warehouse.query import query_df, run_statement
from sentinel_etl.warehouse.rows import row_hash
from sentinel_etl.warehouse.types import fact_types
from sentinel_etl.warehouse.wire import read_back

__all__ = ["take_surplus"]


def take_surplus(staging: Table, most: int, warehouse: Engine) -> Iterator[pa.Table]:
    """Take all but one of the staged rows of each event_id out of staging; yield the content of those taken.

    Which row stays is a matter of the rows' content alone: the earliest, then the least by its hash. Where
    more than ``most`` rows are surplus nothing is taken: that is no slip of the source but a wrong key,
    and the audit says so. An interruption leaves a staging table that lacks rows, which nobody publishes.
    """
    totals = select(func.count(), func.uniqExact(staging.c.event_id))
    [(rows, keys)] = run_statement(warehouse, totals, repeatable=True) or [(0, 0)]
    if rows == keys or rows - keys > most:
        return
    names = content_columns(staging)
    repeated = select(staging.c.event_id).group_by(staging.c.event_id).having(func.count() > 1)
    ids = sorted(str(row[0]) for row in run_statement(warehouse, repeated, repeatable=True))
    order = (staging.c.event_id, staging.c.event_timestamp, row_hash(staging))
    facts = fact_types(staging)
    columns: list[ColumnElement[Any]] = [
        literal_column(read_back(name, facts[name])).label(name) for name in (*names, *RUN_COLUMNS)
    ]
    for some in split_ids(ids):
        statement = select(*columns).select_from(staging).where(literal_column(has_id(some))).order_by(*order)
        found = as_arrow(query_df(warehouse, statement))
        ids_found = found["event_id"].to_pylist()
        stays = pa.array([row == 0 or ids_found[row - 1] != ids_found[row] for row in range(len(ids_found))])
        for deletion in delete_statements(staging, some):
            run_statement(warehouse, deletion)
        load_data(as_frame(found.filter(stays)), staging, warehouse)
        yield found.filter(pc.invert(stays)).select(names)
