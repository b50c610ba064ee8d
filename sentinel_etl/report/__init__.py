"""What the notebooks show: small functions that return a figure or a short table.

`pages` holds the tables' form, `style` the figures' one house style; the others are named after the
notebook or the question that they serve. All are pure: frames in, page or figure out.
"""

from sentinel_etl.report.nightly import (
    audit_table,
    counts_table,
    nulls_table,
    plan_page,
    preview_table,
    reconciliation_table,
    timings_table,
    verdict_page,
)
from sentinel_etl.report.pages import Page, show_value, table_page
from sentinel_etl.report.risk import risk_ecdf_figure, risk_histogram_figure, risk_table

__all__ = [
    "Page",
    "audit_table",
    "counts_table",
    "nulls_table",
    "plan_page",
    "preview_table",
    "reconciliation_table",
    "risk_ecdf_figure",
    "risk_histogram_figure",
    "risk_table",
    "show_value",
    "table_page",
    "timings_table",
    "verdict_page",
]
