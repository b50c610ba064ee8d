"""What the nightly notebook shows below its verdict: counts, audit, reconciliation, preview, timings, plan.

Tables hold no personal data: names, documents, plates and free text stay in the warehouse.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd

from sentinel_etl.audit.checks import failures_first
from sentinel_etl.errors import NothingThere
from sentinel_etl.extract.statements import list_statements
from sentinel_etl.ledger.states import RunState
from sentinel_etl.pipeline import Pipeline
from sentinel_etl.report.pages import Page, table_page
from sentinel_etl.report.render import render_macro
from sentinel_etl.report.sections import needs
from sentinel_etl.window import Window

if TYPE_CHECKING:
    from sentinel_etl.run.result import RunResult

__all__ = [
    "audit_table",
    "counts_table",
    "nulls_table",
    "plan_page",
    "preview_table",
    "reconciliation_table",
    "riskiest_table",
    "timings_table",
]


def plan_page(pipeline: Pipeline, window: Window, event_types: list[str] | None = None) -> Page:
    """Show the statement of each event type, folded, as PostgreSQL will get it."""
    statements = list_statements(pipeline.select_event_types(event_types), window)
    html = render_macro("statements", sql_by_name=statements)
    return Page(html, "\n\n".join(f"-- {name}\n{sql}" for name, sql in statements.items()))


def counts_table(result: RunResult) -> Page:
    """Rows per event type: source, staged, published (where the run published nothing: what the warehouse has).

    A week before, the usual night, and the change.

    The median is that of the nights before, 28 at most; ``change`` is this window over it. Several nights have none
    of these: `nights_table` shows each. Rejected rows have a column where there are any. Flagged are the types whose
    sides differ, and those that a failed check names.
    """
    counts = result.counts.set_index("event_type").rename_axis(None)
    rejected = rejected_counts(counts)
    table = counts[["source", "staged", "published"]]
    if rejected.any():
        table.insert(1, "rejected", rejected)
    accepted = counts["source"] - rejected
    published = accepted if result.verdict is RunState.DRY_RUN else counts["published"]
    differing = table.index[(accepted != counts["staged"]) | (accepted != published)]
    named = {subject for check in result.checks if not check.passed for subject in check.subjects}
    flagged = {*differing, *named.intersection(table.index)}
    table = pd.concat([table, table.sum().to_frame("total").T])
    if not result.published:
        table = table.rename(columns={"published": "in the warehouse"})
    past = spread_counts(result.before.counts, list(result.counts["event_type"]))
    if len(past) and result.by_night is None:
        week_ago = result.window.shift_dates(result.zone)[0] - timedelta(days=7)
        table["week before"] = past.loc[week_ago].astype("Int64") if week_ago in past.index else pd.NA
        table[f"{len(past)}-night median"] = past.median().round().astype("Int64")
        change = table["source"] / past.median() - 1
        table["change"] = [f"{share:+.0%}" if np.isfinite(share) else "–" for share in change]
    return table_page(table, flagged)


def rejected_counts(counts: pd.DataFrame) -> pd.Series:
    """Give the rejected rows of each event type: 0 where none were counted."""
    return counts["rejected"] if "rejected" in counts.columns else pd.Series(0, index=counts.index)


def spread_counts(counts: pd.DataFrame, event_types: list[str]) -> pd.DataFrame:
    """Spread counts over nights (rows) and event types (columns), with a total."""
    plain = counts.assign(shift_date=[pd.Timestamp(d).date() for d in counts["shift_date"]])
    wide = plain.pivot_table(index="shift_date", columns="event_type", values="events", aggfunc="sum", fill_value=0)
    wide = wide.reindex(columns=event_types, fill_value=0).astype("float64")
    return wide.assign(total=wide.sum(axis=1))


def nulls_table(result: RunResult, most: int = 8) -> Page:
    """The columns whose share of NULLs has changed most against the nights before, by event type.

    Flagged are the columns that the gate warns of.

    Raises:
        NothingThere: there are no nights before.
    """
    if result.before.nulls.empty:
        raise NothingThere("What is unknown: left out, there are no nights before to compare with")
    both = null_changes(result)[:most]
    table = pd.DataFrame(
        {
            "event type": both["event_type"].astype("str"),
            "events": both["events"].astype("Int64"),
            "NULL": [f"{share:.1%}" for share in both["share"]],
            "nights before": [f"{share:.1%}" for share in both["share_before"]],
            "change": [f"{change:+.1%}" for change in both["change"]],
        }
    )
    warned = {subject for check in result.checks if not check.passed for subject in check.subjects}
    return table_page(table.set_axis(both["column"].astype("str")), warned)


def null_changes(result: RunResult) -> pd.DataFrame:
    """Compare the NULL shares with the nights before: event_type, column, share, share_before, change, events."""
    both = result.tonight.nulls.merge(result.before.nulls, on=["event_type", "column"], suffixes=("", "_before"))
    both = both.assign(change=both["share"] - both["share_before"])
    return both.sort_values("change", key=abs, ascending=False, kind="stable", ignore_index=True)


def reconciliation_table(result: RunResult) -> Page:
    """Source against warehouse after the run: rows that arrived during it, and the difference left.

    Rejected rows are no difference: they stand in a table of their own.
    """
    counts = result.counts.set_index("event_type").rename_axis(None)
    rejected = rejected_counts(counts)
    table = pd.DataFrame(
        {
            "in snapshot": counts["source"],
            "source now": counts["source_now"],
            "rejected": rejected,
            "warehouse": counts["published"],
            "arrived since": counts["source_now"] - counts["source"],
            "difference": counts["published"] + rejected - counts["source"],
        }
    )
    return table_page(table, table.index[(table["arrived since"] != 0) | (table["difference"] != 0)])


def audit_table(result: RunResult) -> Page:
    """The audit's checks, failures first: result, severity, expected, observed."""
    checks = failures_first(result.checks)
    table = pd.DataFrame(
        [("ok" if c.passed else "FAILED", c.severity, c.expected, c.observed) for c in checks],
        index=[c.name for c in checks],
        columns=["result", "severity", "expected", "observed"],
    )
    return table_page(table, [c.name for c in checks if not c.passed])


def preview_table(result: RunResult, zone: ZoneInfo) -> Page:
    """The earliest event of each type, on the city's clocks, without personal data."""
    return events_page(result, result.preview, zone)


@needs("base_risk_score")
def riskiest_table(result: RunResult, zone: ZoneInfo) -> Page:
    """The ten events with the highest scores, and the weights that made them; without personal data."""
    rows = result.riskiest
    if not rows.empty and not rows["base_risk_score"].any():
        raise NothingThere("The ten highest scores: left out, no event of this window has a score")
    return events_page(result, rows, zone)


def events_page(result: RunResult, rows: pd.DataFrame, zone: ZoneInfo) -> Page:
    """Show fact rows for people: only the columns that may be shown, times on the city's clocks."""
    table = rows[[name for name in result.shown if name in rows.columns and name != "event_type"]].copy()
    table["event_timestamp"] = pd.to_datetime(rows["event_timestamp"], utc=True).dt.tz_convert(zone.key)
    table["event_timestamp"] = table["event_timestamp"].dt.strftime("%d %b %H:%M:%S")
    dimensions = result.dimensions
    for name in table.columns.intersection([dimensions.station, dimensions.place]):
        table[name] = write_key(table[name])
    for name in table.columns.intersection([dimensions.latitude, dimensions.longitude]):
        degrees = [None if pd.isna(value) else f"{round(float(value), 4)}" for value in table[name]]
        table[name] = pd.array(degrees, dtype="string")
    if "risk_reasons" in table.columns:
        table["risk_reasons"] = table["risk_reasons"].map(lambda reasons: "; ".join(reasons) or "none")
    table.index = pd.Index(table.pop("event_id"), name=None)
    return table_page(table)


def write_key(values: pd.Series) -> pd.Series:
    """Write what tells places apart: a number without thousands and decimals, whatever else there is as it stands."""
    texts = [None if pd.isna(value) else write_value(value) for value in values]
    return pd.Series(pd.array(texts, dtype="string"), index=values.index)


def write_value(value: object) -> str:
    whole = isinstance(value, float | np.floating) and float(value).is_integer()
    return f"{value:.0f}" if whole else str(value)


def timings_table(result: RunResult) -> Page:
    """Seconds busy per phase; extract, transform and load overlap within the total."""
    return table_page(pd.DataFrame({"seconds": pd.Series(dict(result.timings))}))
