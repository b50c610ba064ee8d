"""Checks a run's staged rows before anyone may read them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from clickhouse_sqlalchemy import Table
from sqlalchemy import Engine, func, literal_column, select

from sentinel_etl.audit.checks import Check
from sentinel_etl.config.gates import GATES, Severity
from sentinel_etl.warehouse.query import run_statement
from sentinel_etl.warehouse.rows import count_rows, rows_of_window
from sentinel_etl.warehouse.types import is_nullable
from sentinel_etl.window import Window

__all__ = ["audit_staging", "check_rejected", "most_rejected"]


def audit_staging(
    staging: Table,
    fact_table: Table,
    window: Window,
    source_counts: Mapping[str, int],
    rejected_counts: Mapping[str, int],
    frame_nulls: Mapping[str, int],
    warehouse: Engine,
    max_shrink: float,
    allow_shrink: bool,
) -> list[Check]:
    """Check the staging table against the source's snapshot, the frames that were sent, and history.

    ``source_counts``: rows per event type, counted by the source in the same snapshot;
    ``rejected_counts``: those of them that were rejected, which must be all that staging lacks.
    ``frame_nulls``: NULLs per column in the frames that were loaded. Reads only.
    """
    event_types = list(source_counts)
    totals, staged_counts, staged_nulls = measure_staging(staging, frame_nulls, warehouse)
    outside = count_rows(staging, ~rows_of_window(staging, window, event_types), warehouse)
    before = count_rows(fact_table, rows_of_window(fact_table, window, event_types), warehouse)
    return [
        check_counts(source_counts, staged_counts, rejected_counts),
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


def most_rejected(source: Mapping[str, int]) -> int:
    """Give how many of the source's rows may be rejected before nothing is published."""
    gate = GATES["rows are accepted"]
    return max(gate.least, int(gate.limit * sum(source.values())))


def check_rejected(
    in_window: Mapping[str, int], reasons: Mapping[tuple[str, str], int], source: Mapping[str, int]
) -> Check:
    """Judge the rejected rows: those of the window, by event type; and all, by event type and reason."""
    rejected, most = sum(in_window.values()), most_rejected(source)
    most_first = sorted(reasons.items(), key=lambda each: (-each[1], each[0]))
    told = [f"{kind} {rows} × {reason}" for (kind, reason), rows in most_first]
    more = f"; and {len(told) - 5} more reasons" if len(told) > 5 else ""
    blocks = rejected > most
    return check(
        "rows are accepted",
        not told,
        f"at most {most} rows rejected" if blocks else "0 rows rejected",
        ("; ".join(told[:5]) + more) or "0 rows rejected",
        sorted({kind for kind, _ in reasons}),
        "block" if blocks else None,
    )


def check_counts(source: Mapping[str, int], staged: Mapping[str, int], rejected: Mapping[str, int]) -> Check:
    """Each row of the source is in staging, or is rejected; none is in neither."""
    found = {name: staged.get(name, 0) + rejected.get(name, 0) for name in {*source, *staged, *rejected}}
    differing = [name for name in sorted(found) if source.get(name, 0) != found[name]]
    if differing:
        expected = ", ".join(f"{name} {source.get(name, 0)}" for name in differing)
        observed = ", ".join(f"{name} {found[name]}" for name in differing)
    else:
        expected = observed = f"{sum(source.values())} rows of {len(source)} event types"
        observed += f", {sum(rejected.values())} of them rejected" if sum(rejected.values()) else ""
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
