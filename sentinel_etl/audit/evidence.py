"""Gives a failed check the first rows that it speaks of, without personal data, and the query that shows more."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pandas as pd
from sqlalchemy import Engine

from sentinel_etl.audit.checks import Check
from sentinel_etl.audit.gate_registry import GATES
from sentinel_etl.audit.scene import Scene
from sentinel_etl.warehouse.names import write_statement
from sentinel_etl.warehouse.query import query_df

__all__ = ["attach_evidence"]

EXAMPLES = 5


def attach_evidence(checks: Sequence[Check], now: Scene, published: Scene, warehouse: Engine) -> list[Check]:
    """Give each failed check its first rows, read where they stand ``now``, and the query that shows more of them.

    The query reads where the rows will be: as ``published``, or where they are now if a check blocks. Reads only.
    """
    later = now if any(check.blocks for check in checks) else published
    explained = []
    for check in checks:
        build = GATES[check.gate].evidence
        if not check.passed and build is not None:
            rows = query_df(warehouse, build(now, check.subjects).limit(EXAMPLES))
            query = write_statement(build(later, check.subjects), warehouse.dialect)
            check = replace(check, examples=examples_of(rows), query=" ".join(query.split()))
        explained.append(check)
    return explained


def examples_of(rows: pd.DataFrame) -> tuple[dict[str, str], ...]:
    return tuple({str(name): evidence_text(value) for name, value in row.items()} for row in rows.to_dict("records"))


def evidence_text(value: Any) -> str:
    if isinstance(value, pd.Timestamp):
        return value.strftime("%Y-%m-%d %H:%M:%SZ")
    if hasattr(value, "__len__") and not isinstance(value, str):
        return "; ".join(map(str, value))
    if value is None or value is pd.NA or value != value:
        return "NULL"
    return f"{value:.6g}" if isinstance(value, float) else str(value)
