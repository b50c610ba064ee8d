"""Writes a pipeline's rules as one JSON document, from which rows can be made again. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from sentinel_etl.config.event_type import EventType, label_of
from sentinel_etl.config.risk_weights import as_scored, weighted_columns
from sentinel_etl.extract.statements import LARGEST_CHANGE, select_events, source_key
from sentinel_etl.lineage.trace import from_sql
from sentinel_etl.pipeline import Pipeline
from sentinel_etl.source.sql import compile_sql
from sentinel_etl.type_mapping.source_types import unlabelled
from sentinel_etl.warehouse.types import server_type
from sentinel_etl.window import Window

__all__ = ["Rules", "describe_rules", "hash_rules", "statement_for"]

Rules = Mapping[str, Any]

# A window that no run has: its bounds show where a statement has the run's own. The microseconds are nobody's filter.
MARKED = Window(
    datetime(1999, 12, 30, 11, 22, 33, 123457, tzinfo=UTC), datetime(1999, 12, 31, 11, 22, 33, 765431, tzinfo=UTC)
)
SHIFTS = {"": timedelta(0), " - 25 h": -LARGEST_CHANGE, " + 25 h": LARGEST_CHANGE}


def describe_rules(pipeline: Pipeline) -> dict[str, Any]:
    """Write everything that decides what a run writes, as JSON has it; no key and no password is in it.

    ``event_types`` has each entry's ``statement`` with ``{window start}`` and ``{window end}`` for the window's bounds,
    and the parts that it is made of. Weights are by column and value, as text: a value is known by how it is written.
    """
    return {
        "fact_table": {
            "name": pipeline.fact_table.name,
            "columns": {column.name: server_type(column) for column in pipeline.fact_table.columns},
        },
        "event_types": {name: describe_entry(kind) for name, kind in pipeline.event_types.items()},
        "details": {
            label: {name: str(found) for name, found in by_type.items()}
            for label, by_type in pipeline.detail_columns.items()
        },
        "risk_weights": [
            [
                place.event_type,
                place.column,
                {as_scored(value): float(weight) for value, weight in place.values.items()},
            ]
            for place in weighted_columns(pipeline.risk_weights)
        ],
        "coalesce": {target: list(sources) for target, sources in pipeline.coalesce.items()},
        "unknown_values": [[list(group), list(values)] for group, values in pipeline.unknown_values.items()],
        "text_lengths": dict(pipeline.text_lengths),
        "bounds": {name: list(ends) for name, ends in pipeline.bounds.items()},
        "personal": sorted(pipeline.personal_columns),
        "personal_data": pipeline.pii,
        "time_zone": str(pipeline.zone),
    }


def describe_entry(kind: EventType) -> dict[str, Any]:
    return {
        "statement": mark_bounds(compile_sql(select_events(kind, MARKED))),
        "key": compile_sql(source_key(kind)),
        "timestamp": compile_sql(kind.timestamp),
        "joins": {
            from_sql(join.table): f"{'LEFT ' if join.outer else ''}JOIN ON {compile_sql(join.on)}"
            for join in kind.joins
        },
        "filters": [compile_sql(condition) for condition in kind.filters],
        "columns": {label_of(column): compile_sql(unlabelled(column)) for column in kind.columns},
    }


def mark_bounds(sql: str) -> str:
    """Put marks in the place of the marked window's bounds."""
    for mark, text in bounds_of(MARKED).items():
        sql = sql.replace(text, mark)
    return sql


def statement_for(statement: str, window: Window) -> str:
    """Put a window's bounds in the place of a kept statement's marks."""
    for mark, text in bounds_of(window).items():
        statement = statement.replace(mark, text)
    return statement


def bounds_of(window: Window) -> dict[str, str]:
    """List how statements write a window's bounds, and the bounds shifted as for a column on a zone's clocks."""
    return {
        f"{{window {name}{suffix}}}": (bound + shift).isoformat(sep=" ")
        for name, bound in (("start", window.start), ("end", window.end))
        for suffix, shift in SHIFTS.items()
    }


def hash_rules(rules: Rules) -> str:
    """Fingerprint the rules: 12 hexadecimal digits, equal where the documents are."""
    return hashlib.sha256(json.dumps(rules, default=str).encode()).hexdigest()[:12]
