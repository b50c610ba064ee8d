"""Reads the staged rows that the report shows."""

from __future__ import annotations

from collections.abc import Collection

import pandas as pd
from clickhouse_sqlalchemy import Table
from clickhouse_sqlalchemy import select as select_in_clickhouse
from sqlalchemy import Engine, func, select, tuple_

from sentinel_etl.config.fact_table import content_columns
from sentinel_etl.warehouse.key_columns import readable
from sentinel_etl.warehouse.query import query_df

__all__ = ["read_examples", "read_riskiest"]


def read_examples(staging: Table, warehouse: Engine, hidden: Collection[str] = ()) -> pd.DataFrame:
    """Read the earliest row of each event type, in order of event type, without the ``hidden`` columns."""
    first = select(staging.c.event_type, func.min(staging.c.event_timestamp)).group_by(staging.c.event_type)
    columns = [readable(staging.c[name]) for name in content_columns(staging) if name not in hidden]
    statement = (
        select_in_clickhouse(*columns)
        .where(tuple_(staging.c.event_type, staging.c.event_timestamp).in_(first))
        .order_by(staging.c.event_type, staging.c.event_id)
        .limit_by([staging.c.event_type], limit=1)
    )
    return query_df(warehouse, statement)


def read_riskiest(staging: Table, warehouse: Engine, shown: Collection[str], most: int = 10) -> pd.DataFrame:
    """Read the rows with the highest scores, highest first, of the columns ``shown``; none without scores."""
    columns = [readable(staging.c[name]) for name in shown]
    score = staging.c.get("base_risk_score")
    if score is None:
        return pd.DataFrame(columns=[column.name for column in columns])
    return query_df(warehouse, select(*columns).order_by(score.desc(), staging.c.event_id).limit(most))
