"""The contract of the frames that are loaded: columns, types, nullability and ranges of the fact table."""

from __future__ import annotations

from collections import Counter

import pandas as pd
import pandera.pandas as pa
from clickhouse_sqlalchemy import Table
from pandera.errors import SchemaErrors

from sentinel_etl.audit.checks import Check, tell
from sentinel_etl.config.fact_table import RUN_COLUMNS
from sentinel_etl.errors import SchemaMismatch
from sentinel_etl.warehouse.types import arrow_schema

__all__ = ["build_contract", "check_contract", "judge_ranges", "ranges_of"]


RANGE_CHECKS = ("at least", "at most")


def ranges_of(table: Table) -> dict[str, tuple[float | None, float | None]]:
    """Collect the ranges that the table's columns state: column → least and most, ends included."""
    return {column.name: column.info["range"] for column in table.columns if "range" in column.info}


def build_contract(table: Table) -> pa.DataFrameSchema:
    """Build the contract of the rows that a run sends: the table's content columns, in their order."""
    ranges = ranges_of(table)
    columns = {}
    for field in arrow_schema(table):
        if field.name in RUN_COLUMNS:
            continue
        least, most = ranges.get(field.name, (None, None))
        checks = [pa.Check.ge(least, error="at least")] if least is not None else []
        checks += [pa.Check.le(most, error="at most")] if most is not None else []
        columns[field.name] = pa.Column(pd.ArrowDtype(field.type), checks, nullable=field.nullable)
    return pa.DataFrameSchema(columns, strict=True, ordered=True)


def check_contract(frame: pd.DataFrame, contract: pa.DataFrameSchema) -> Counter[str]:
    """Check a frame against the contract, whole columns at a time; count the values out of range by column.

    The frame is not changed.

    Raises:
        SchemaMismatch: a column that lacks, is not known or has another type, or a NULL that may not be.
    """
    try:
        contract.validate(frame, lazy=True)
    except SchemaErrors as errors:
        cases = errors.failure_cases
        outside = cases["check"].astype("str").isin(RANGE_CHECKS)
        broken = cases[~outside].drop_duplicates(["column", "check"])
        if len(broken):
            told = "; ".join(
                f"{row.column if isinstance(row.column, str) else row.failure_case}: expected {row.check}"
                for row in broken.itertuples()
            )
            raise SchemaMismatch(f"transform: the rows to load break the fact table's contract: {told}") from None
        return Counter(cases.loc[outside, "column"])
    return Counter()


def judge_ranges(outside: Counter[str], table: Table) -> Check:
    """Judge the values out of range, counted by column."""
    ranges = ranges_of(table)
    told = {name: f"{name} in {rows:,} rows" for name, rows in sorted(outside.items())}
    expected = ", ".join(describe_range(name, *ranges[name]) for name in told) or f"{len(ranges)} columns in range"
    return tell("values lie in their ranges", told, expected, "all within")


def describe_range(name: str, least: float | None, most: float | None) -> str:
    if least is not None and most is not None:
        return f"{name} from {least:g} to {most:g}"
    return f"{name} at least {least:g}" if least is not None else f"{name} at most {most:g}"
