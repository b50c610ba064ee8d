"""What the nightly notebook shows: verdict, counts, audit, reconciliation, preview, timings, plan.

Tables hold no personal data: names, documents, plates and free text stay in the warehouse.
"""

from __future__ import annotations

from datetime import timedelta
from html import escape
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd

from sentinel_etl.pipeline import Pipeline
from sentinel_etl.report.pages import Page, table_page
from sentinel_etl.report.style import FAILED, INK, VERDICT_COLOURS
from sentinel_etl.result import RunResult
from sentinel_etl.source import compile_sql
from sentinel_etl.window import Window

__all__ = [
    "audit_table",
    "counts_table",
    "nulls_table",
    "plan_page",
    "preview_table",
    "reconciliation_table",
    "timings_table",
    "verdict_page",
]

# What a preview may show of a row: who, when, where and how risky, but nothing that a person said,
# and nothing about a person who is not an officer.
PREVIEW_COLUMNS = (
    "event_id",
    "event_timestamp",
    "station_id",
    "hotspot_id",
    "latitude",
    "longitude",
    "base_risk_score",
    "risk_reasons",
)


def verdict_page(result: RunResult, zone: ZoneInfo) -> Page:
    """Show the verdict, failed checks, the window, how many events, and the command that does it again."""
    events = int(result.counts["published"].sum())
    colour = VERDICT_COLOURS.get(result.verdict, FAILED)
    failed = sorted((c for c in result.checks if not c.passed), key=lambda c: c.severity != "block")
    lines = [
        *(f"{c.severity}: {c.name}: expected {c.expected}, observed {c.observed}" for c in failed),
        f"{result.window.local(zone)}  ({result.window})",
        f"{int(result.counts['source'].sum()):,} events in the source, {events:,} in the warehouse"
        f" · {result.how or 'nothing published'}",
        f"run {result.run_id} · version {result.code_version} · configuration {result.config_hash}",
        f"again: {rerun_command(result, zone)}",
    ]
    body = "".join(f"<div>{escape(line)}</div>" for line in lines)
    html = (
        f'<div style="border-left:8px solid {colour};padding:.4em 1em;color:{INK}">'
        f'<div style="font-size:1.6em;font-weight:700;color:{colour}">{escape(result.verdict)}</div>{body}</div>'
    )
    return Page(html, "\n".join([result.verdict, *lines]))


def rerun_command(result: RunResult, zone: ZoneInfo) -> str:
    """Write the command that does this run again: the same window and event types."""
    window = result.window
    hours = 24.0 * len(window.shift_dates(zone))
    if Window.ending(window.end, hours, zone) != window:
        hours = (window.end - window.start).total_seconds() / 3600
    parts = ["sentinel-etl run", f"--window-end {window.end.astimezone(zone).isoformat()}"]
    parts += [f"--window-hours {hours:g}"] if hours != 24 else []
    if result.limited:
        parts += [f"--event-type {name}" for name in result.counts["event_type"]]
    return " ".join(parts)


def plan_page(pipeline: Pipeline, window: Window, event_types: list[str] | None = None) -> Page:
    """Show the statement of each event type, folded, as PostgreSQL will get it."""
    statements = {
        name: compile_sql(kind.select(window)) for name, kind in pipeline.select_event_types(event_types).items()
    }
    html = "".join(
        f"<details><summary>{escape(name)}</summary><pre style='white-space:pre-wrap'>{escape(sql)}</pre></details>"
        for name, sql in statements.items()
    )
    return Page(html, "\n\n".join(f"-- {name}\n{sql}" for name, sql in statements.items()))


def counts_table(result: RunResult) -> Page:
    """Rows per event type: source, staged, published; a week before, the usual night, and the change.

    ``median`` is that of the nights before; ``change`` is this window over it.
    """
    table = result.counts.set_index("event_type")[["source", "staged", "published"]].rename_axis(None)
    differing = table.index[(table["source"] != table["staged"]) | (table["source"] != table["published"])]
    table = pd.concat([table, table.sum().to_frame("total").T])
    past = nights_before(result.before.counts, list(result.counts["event_type"]))
    if len(past):
        week_ago = result.window.shift_dates(result.zone)[0] - timedelta(days=7)
        table["a week before"] = past.loc[week_ago].astype("Int64") if week_ago in past.index else pd.NA
        table["median"] = past.median().round().astype("Int64")
        change = table["source"] / past.median() - 1
        table["change"] = [f"{share:+.0%}" if np.isfinite(share) else "–" for share in change]
    return table_page(table, differing)


def nights_before(counts: pd.DataFrame, event_types: list[str]) -> pd.DataFrame:
    """Spread counts over nights (rows) and event types (columns), with a total."""
    plain = counts.assign(shift_date=[pd.Timestamp(d).date() for d in counts["shift_date"]])
    wide = plain.pivot_table(index="shift_date", columns="event_type", values="events", aggfunc="sum", fill_value=0)
    wide = wide.reindex(columns=event_types, fill_value=0).astype("float64")
    return wide.assign(total=wide.sum(axis=1))


def nulls_table(result: RunResult, most: int = 5) -> Page:
    """The columns whose share of NULLs has changed most against the nights before, over all events."""
    now = result.tonight.nulls.set_index("column")["share"]
    past = result.before.nulls.set_index("column")["share"].reindex(now.index)
    change = (now - past).abs().sort_values(ascending=False, kind="stable")
    rows = {
        name: (f"{now[name]:.1%}", f"{past[name]:.1%}", f"{now[name] - past[name]:+.1%}")
        for name in change.index[:most]
    }
    return table_page(pd.DataFrame.from_dict(rows, orient="index", columns=["NULL", "before", "change"]))


def reconciliation_table(result: RunResult) -> Page:
    """Source against warehouse after the run: rows that arrived during it, and the difference left."""
    counts = result.counts.set_index("event_type").rename_axis(None)
    table = pd.DataFrame(
        {
            "in snapshot": counts["source"],
            "source now": counts["source_now"],
            "warehouse": counts["published"],
            "arrived since": counts["source_now"] - counts["source"],
            "warehouse − snapshot": counts["published"] - counts["source"],
        }
    )
    return table_page(table, table.index[(table["arrived since"] != 0) | (table["warehouse − snapshot"] != 0)])


def audit_table(result: RunResult) -> Page:
    """The audit's checks, failures first: result, severity, expected, observed."""
    checks = sorted(result.checks, key=lambda c: (c.passed, c.severity != "block"))
    table = pd.DataFrame(
        [("ok" if c.passed else "FAILED", c.severity, c.expected, c.observed) for c in checks],
        index=[c.name for c in checks],
        columns=["result", "severity", "expected", "observed"],
    )
    return table_page(table, [c.name for c in checks if not c.passed])


def preview_table(result: RunResult, zone: ZoneInfo) -> Page:
    """The earliest event of each type, on the city's clocks, without personal data."""
    rows = result.preview
    table = rows[[name for name in PREVIEW_COLUMNS if name in rows.columns]].copy()
    table["event_timestamp"] = pd.to_datetime(rows["event_timestamp"], utc=True).dt.tz_convert(zone.key)
    table["event_timestamp"] = table["event_timestamp"].dt.strftime("%d %b %H:%M:%S")
    for name in table.columns.intersection(["station_id", "hotspot_id"]):
        table[name] = table[name].astype("Int64").astype("string")
    for name in table.columns.intersection(["latitude", "longitude"]):
        table[name] = table[name].astype("Float64").round(4).astype("string")
    if "risk_reasons" in table.columns:
        table["risk_reasons"] = table["risk_reasons"].map(lambda reasons: "; ".join(reasons) or "none")
    table.index = pd.Index(table.pop("event_id"), name=None)
    return table_page(table)


def timings_table(result: RunResult) -> Page:
    """Seconds busy per phase; extract, transform and load overlap within the total."""
    return table_page(pd.DataFrame({"seconds": pd.Series(dict(result.timings))}))
