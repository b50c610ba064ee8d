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
from sentinel_etl.warehouse.names import write_short_statement
from sentinel_etl.warehouse.query import query_df

__all__ = ["attach_evidence"]

EXAMPLES = 5


def attach_evidence(
    checks: Sequence[Check], now: Scene, published: Scene, warehouse: Engine, *, dry_run: bool = False
) -> list[Check]:
    """Give each failed check its first rows, read where they stand ``now``, and the query that shows more of them.

    The query reads where the rows will be: as ``published``, or where they are now if nothing is to be published;
    `Check.answers` says until when. Reads only.
    """
    if any(check.blocks for check in checks):
        later, answers = now, "until a later run of the window publishes"
    elif dry_run:
        later, answers = now, f"until the next run of {now.facts.name}"
    else:
        later, answers = published, "until the window is loaded again"
    explained = []
    for check in checks:
        build = GATES[check.gate].evidence
        if not check.passed and build is not None:
            rows = query_df(warehouse, build(now.narrow(check.nights), check.subjects).limit(EXAMPLES))
            query = write_short_statement(build(later.narrow(check.nights), check.subjects))
            check = replace(check, examples=examples_of(rows), query=query, answers=answers)
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
