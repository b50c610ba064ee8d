"""Measures a run's staged rows, and checks them before anyone may read them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from zoneinfo import ZoneInfo

from clickhouse_sqlalchemy import Table
from sqlalchemy import ColumnElement, Engine, func, literal_column, select

from sentinel_etl.audit.checks import Check
from sentinel_etl.audit.each_night import HeldNights, RowsByNight, check_each_event, check_each_kept
from sentinel_etl.audit.window_gates import (
    check_counts,
    check_expired,
    check_keys,
    check_nulls,
    check_scores,
    check_window,
    is_beyond,
)
from sentinel_etl.warehouse.catalog import count_expired, has_ttl
from sentinel_etl.warehouse.ddl import storage_name
from sentinel_etl.warehouse.query import run_statement
from sentinel_etl.warehouse.rows import count_rows, rows_of_window
from sentinel_etl.warehouse.types import is_nullable
from sentinel_etl.window import Window, list_nights

__all__ = ["audit_staging", "hold_nights", "name_nights"]


def hold_nights(
    staging: Table,
    fact_table: Table,
    window: Window,
    zone: ZoneInfo,
    warehouse: Engine,
    rejected: Mapping[tuple[date | None, str, str], int],
    owned_types: Sequence[str] | None = None,
) -> HeldNights:
    """Count what the window's nights hold, by night and event type: one aggregate of each table, however many nights.

    ``owned_types``: the event types whose loaded rows of the window go; None: all.
    """
    return HeldNights(
        nights=window.shift_dates(zone),
        whole=window.whole_nights(zone),
        zone=zone,
        loaded=count_by_night(fact_table, rows_of_window(fact_table, window, owned_types), warehouse),
        staged=count_by_night(staging, None, warehouse),
        rejected=rejected,
        limited=owned_types or (),
    )


def count_by_night(table: Table, condition: ColumnElement[bool] | None, warehouse: Engine) -> RowsByNight:
    keys = [func.toString(table.c.shift_date), func.toString(table.c.event_type)]
    counted = select(*keys, func.count()).group_by(*keys)
    rows = run_statement(warehouse, counted if condition is None else counted.where(condition), repeatable=True)
    found: dict[date, dict[str, int]] = {}
    for night, kind, count in rows:
        found.setdefault(date.fromisoformat(str(night)), {})[str(kind)] = int(count)
    return found


def name_nights(check: Check, staging: Table, fact_table: Table, warehouse: Engine) -> Check:
    """Name the nights of a window of several in which a check of ranges has found values beyond them."""
    if check.passed:
        return check
    found = count_by_night(staging, is_beyond(staging, fact_table, check.subjects), warehouse)
    observed = f"{check.observed}; in {list_nights(found)}"
    return replace(check, observed=observed, nights=tuple(map(str, sorted(found))))


def audit_staging(
    staging: Table,
    fact_table: Table,
    window: Window,
    source_counts: Mapping[str, int],
    rejected_counts: Mapping[str, int],
    sent_nulls: Mapping[str, int],
    warehouse: Engine,
    max_shrink: float,
    allow_shrink: bool,
    held: HeldNights,
) -> list[Check]:
    """Check the staging table against the source's snapshot, the frames that were sent, and what is loaded.

    ``source_counts``: rows per event type, counted by the source in the same snapshot;
    ``rejected_counts``: those of them that were rejected, which must be all that staging lacks.
    ``sent_nulls``: NULLs per column in the frames that were loaded. Reads only.
    """
    event_types = list(source_counts)
    staged = measure_staging(staging, sent_nulls, warehouse)
    outside = count_rows(staging, ~rows_of_window(staging, window, event_types), warehouse)
    by_type: Counter[str] = Counter()
    for kinds in held.staged.values():
        by_type.update(kinds)
    checks = [
        check_counts(source_counts, by_type, rejected_counts),
        check_keys(staged.rows, staged.keys),
        check_nulls(sent_nulls, staged.nulls),
        check_window(outside),
        check_scores(staged.bad_scores),
        check_each_kept(held, max_shrink, allow_shrink),
        check_each_event(held),
    ]
    storage = storage_name(staging)
    expiring = has_ttl(warehouse, storage)
    return checks + ([check_expired(count_expired(warehouse, storage), fact_table)] if expiring else [])


@dataclass(frozen=True)
class StagedMeasures:
    """What staging holds: rows, distinct keys, bad scores; NULLs by column."""

    rows: int
    keys: int
    bad_scores: int
    nulls: Mapping[str, int]


def measure_staging(staging: Table, columns: Mapping[str, int], warehouse: Engine) -> StagedMeasures:
    """Measure staging in one pass: totals, and the NULLs of ``columns``."""
    nullable = [column for column in staging.columns if is_nullable(column) and column.name in columns]
    score = staging.c.get("base_risk_score")
    bad = literal_column("0") if score is None else func.countIf(func.isFinite(score) == 0) + func.countIf(score < 0)
    nulls = [func.countIf(func.isNull(column)) for column in nullable]
    measures = [func.count(), func.uniqExact(staging.c.event_id), bad, *nulls]
    labelled = (measure.label(f"m{n}") for n, measure in enumerate(measures))
    found = run_statement(warehouse, select(*labelled), repeatable=True)
    rows, keys, bad_scores, *counted = map(int, found[0]) if found else [0] * len(measures)
    return StagedMeasures(
        rows=rows,
        keys=keys,
        bad_scores=bad_scores,
        nulls=dict(zip((column.name for column in nullable), counted, strict=True)),
    )
