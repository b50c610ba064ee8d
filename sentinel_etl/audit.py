"""Judges a run's staged rows before anyone may read them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from clickhouse_sqlalchemy import Table
from sqlalchemy import Engine, func, literal_column, select

from sentinel_etl.fact_table import is_nullable
from sentinel_etl.gates import GATES, Check, Severity
from sentinel_etl.publish import count_rows, rows_of_window
from sentinel_etl.warehouse import run_statement
from sentinel_etl.window import Window

__all__ = ["audit_staging", "check_complete"]


def audit_staging(
    staging: Table,
    fact_table: Table,
    window: Window,
    source_counts: Mapping[str, int],
    frame_nulls: Mapping[str, int],
    warehouse: Engine,
    max_shrink: float,
    allow_shrink: bool,
) -> list[Check]:
    """Check the staging table against the source's snapshot, the frames that were sent, and history.

    ``source_counts``: rows per event type, counted by the source in the same snapshot.
    ``frame_nulls``: NULLs per column in the frames that were loaded. Reads only.
    """
    event_types = list(source_counts)
    totals, staged_counts, staged_nulls = measure_staging(staging, frame_nulls, warehouse)
    outside = count_rows(staging, ~rows_of_window(staging, window, event_types), warehouse)
    before = count_rows(fact_table, rows_of_window(fact_table, window, event_types), warehouse)
    return [
        check_counts(source_counts, staged_counts),
        check(
            "keys are unique",
            totals["rows"] == totals["keys"],
            f"{totals['rows']} distinct event_id",
            f"{totals['keys']} distinct event_id; a join of the entry repeats rows"
            if totals["rows"] != totals["keys"]
            else f"{totals['keys']} distinct event_id",
        ),
        check_nulls(frame_nulls, staged_nulls),
        check("rows lie in the window", outside == 0, "0 rows outside", f"{outside} rows outside"),
        check(
            "scores are finite and not negative",
            totals["bad_scores"] == 0,
            "0 bad scores",
            f"{totals['bad_scores']} bad scores",
        ),
        check_shrink(before, totals["rows"], max_shrink, allow_shrink),
        check(
            "the window has events",
            totals["rows"] > 0,
            "at least 1 event",
            f"{totals['rows']} events",
        ),
    ]


def check(
    name: str,
    passed: bool,
    expected: str,
    observed: str,
    subjects: Iterable[str] = (),
    severity: Severity | None = None,
) -> Check:
    return Check(name, severity or GATES[name].severity, bool(passed), expected, observed, tuple(subjects))


def measure_staging(
    staging: Table, columns: Mapping[str, int], warehouse: Engine
) -> tuple[dict[str, int], dict[str, int], dict[str, int]]:
    """Measure staging in two passes: totals and NULLs, then rows per event type."""
    nullable = [column for column in staging.columns if is_nullable(column) and column.name in columns]
    score = staging.c.get("base_risk_score")
    bad = literal_column("0") if score is None else func.countIf(func.isFinite(score) == 0) + func.countIf(score < 0)
    measures = {
        "rows": func.count(),
        "keys": func.uniqExact(staging.c.event_id),
        "bad_scores": bad,
        **{column.name: func.countIf(func.isNull(column)) for column in nullable},
    }
    row = run_statement(warehouse, select(*(m.label(f"m{n}") for n, m in enumerate(measures.values()))))[0]
    measured = {name: int(value) for name, value in zip(measures, row, strict=True)}
    totals = {name: measured.pop(name) for name in ("rows", "keys", "bad_scores")}
    counted = run_statement(warehouse, select(staging.c.event_type, func.count()).group_by(staging.c.event_type))
    return totals, {str(name): int(rows) for name, rows in counted}, measured


def check_complete(lacking: Mapping[str, int]) -> Check:
    """Judge the rows that lack a column which the fact table requires; they are not in staging."""
    observed = ", ".join(f"{name} NULL in {rows}" for name, rows in lacking.items()) or "0 rows without"
    return check("rows have what is required", not lacking, "0 rows without", observed, lacking)


def check_counts(source: Mapping[str, int], staged: Mapping[str, int]) -> Check:
    differing = [name for name in sorted({*source, *staged}) if source.get(name, 0) != staged.get(name, 0)]
    if differing:
        expected = ", ".join(f"{name} {source.get(name, 0)}" for name in differing)
        observed = ", ".join(f"{name} {staged.get(name, 0)}" for name in differing)
    else:
        expected = observed = f"{sum(source.values())} rows of {len(source)} event types"
    return check("staged rows equal the source's", not differing, expected, observed, differing)


def check_nulls(frames: Mapping[str, int], staged: Mapping[str, int]) -> Check:
    differing = [name for name in staged if staged[name] != frames[name]]
    if differing:
        expected = ", ".join(f"{name} {frames[name]}" for name in differing)
        observed = ", ".join(f"{name} {staged[name]}" for name in differing)
    else:
        expected = observed = f"{sum(staged.values())} NULLs in {len(staged)} columns"
    return check("NULLs arrived as NULLs", not differing, expected, observed, differing)


def check_shrink(before: int, after: int, max_shrink: float, allow_shrink: bool) -> Check:
    """The collapse guard: a re-run that loses most of a loaded window is a broken source, mostly."""
    least = int(before * (1 - max_shrink)) if before else 0
    collapsed = after < max(least, 1 if before else 0)
    hint = "; if the source really lost them, run again with --allow-shrink" if collapsed else ""
    return check(
        "the window has not collapsed",
        not collapsed,
        f"at least {max(least, 1 if before else 0)} rows, after {before} before" if before else "no earlier rows",
        f"{after} rows{hint}",
        severity="warn" if allow_shrink else None,
    )
