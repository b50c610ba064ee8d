"""`etl_rules`: the rules that runs had, whole, so that what a hash stands for can be read again."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import Any

import pyarrow as pa
from clickhouse_sqlalchemy import select
from sqlalchemy import Engine

from sentinel_etl.ledger.ledger import read_clock
from sentinel_etl.retry import try_again
from sentinel_etl.warehouse.catalog import has_table
from sentinel_etl.warehouse.contract import fit_table
from sentinel_etl.warehouse.failures import warehouse_may_recover
from sentinel_etl.warehouse.insert import insert_sql
from sentinel_etl.warehouse.query import query_rows
from sentinel_etl.warehouse.tables import ETL_RULES

__all__ = ["keep_rules", "read_rules"]


def keep_rules(config_hash: str, rules: Mapping[str, Any], warehouse: Engine) -> None:
    """Keep the rules, where they are not kept yet.

    One row is one block, written in whole or not at all; two runs that keep the same rules at once keep them once.
    """
    if config_hash in read_rules([config_hash], warehouse):
        return
    row = {"config_hash": config_hash, "rules": json.dumps(rules, default=str), "kept_at": read_clock(warehouse)}
    rows = fit_table(pa.Table.from_pylist([row]), ETL_RULES)
    try_again(warehouse, warehouse_may_recover)(insert_sql, [rows], ETL_RULES, warehouse)


def read_rules(hashes: Collection[str], warehouse: Engine) -> dict[str, dict[str, Any]]:
    """Read the rules of these hashes, as far as they are kept: a run of an older version has kept none."""
    if not hashes or not has_table(warehouse, ETL_RULES.name):
        return {}
    columns = ETL_RULES.c
    statement = select(columns.config_hash, columns.rules).where(columns.config_hash.in_(sorted(hashes)))
    return {str(name): json.loads(rules) for name, rules in query_rows(warehouse, statement)}
