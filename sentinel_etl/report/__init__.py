"""What the notebooks show: small functions that return a figure or a short table.

`pages` holds the tables' form, `style` the figures' one house style; the others are named after the
notebook or the question that they serve. All are pure: frames in, page or figure out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sentinel_etl.lazy_names import lazy_names

if TYPE_CHECKING:
    from sentinel_etl.report.nightly import (
        audit_table,
        counts_table,
        nulls_table,
        plan_page,
        preview_table,
        reconciliation_table,
        riskiest_table,
        timings_table,
    )
    from sentinel_etl.report.nights import nights_figure, nights_table
    from sentinel_etl.report.pages import Page, show_value, table_page
    from sentinel_etl.report.quality import (
        coverage_figure,
        coverage_table,
        forecast_table,
        lag_figure,
        lag_table,
        nights_differing_table,
        nulls_over_time_figure,
        reconciliation_figure,
    )
    from sentinel_etl.report.render import FAILED_SECTION
    from sentinel_etl.report.risk import risk_box_figure, risk_ecdf_figure, risk_histogram_figure, risk_table
    from sentinel_etl.report.sections import LeftOut, Sections
    from sentinel_etl.report.verdict import changes_page, failure_page, first_screen, verdict_page

__all__ = [
    "FAILED_SECTION",
    "LeftOut",
    "Page",
    "Sections",
    "audit_table",
    "changes_page",
    "counts_table",
    "coverage_figure",
    "coverage_table",
    "failure_page",
    "first_screen",
    "forecast_table",
    "lag_figure",
    "lag_table",
    "nights_differing_table",
    "nights_figure",
    "nights_table",
    "nulls_over_time_figure",
    "nulls_table",
    "plan_page",
    "preview_table",
    "reconciliation_figure",
    "reconciliation_table",
    "risk_box_figure",
    "risk_ecdf_figure",
    "risk_histogram_figure",
    "risk_table",
    "riskiest_table",
    "show_value",
    "table_page",
    "timings_table",
    "verdict_page",
]

# Where each name is: who shows a table need not wait for what draws figures.
MODULES = {
    "audit_table": "nightly",
    "counts_table": "nightly",
    "nulls_table": "nightly",
    "plan_page": "nightly",
    "preview_table": "nightly",
    "reconciliation_table": "nightly",
    "riskiest_table": "nightly",
    "timings_table": "nightly",
    "nights_figure": "nights",
    "nights_table": "nights",
    "Page": "pages",
    "show_value": "pages",
    "table_page": "pages",
    "coverage_figure": "quality",
    "coverage_table": "quality",
    "lag_figure": "quality",
    "forecast_table": "quality",
    "lag_table": "quality",
    "nights_differing_table": "quality",
    "nulls_over_time_figure": "quality",
    "reconciliation_figure": "quality",
    "risk_box_figure": "risk",
    "risk_ecdf_figure": "risk",
    "risk_histogram_figure": "risk",
    "risk_table": "risk",
    "FAILED_SECTION": "render",
    "LeftOut": "sections",
    "Sections": "sections",
    "changes_page": "verdict",
    "failure_page": "verdict",
    "first_screen": "verdict",
    "verdict_page": "verdict",
}

if not TYPE_CHECKING:
    __getattr__, __dir__ = lazy_names(__name__, MODULES)
