"""The nights of a window of several, each with its rows and the verdict of its checks. One night's report has none."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from sentinel_etl.audit.checks import Check, Severity, failures_first
from sentinel_etl.report.figure_style import (
    BEFORE,
    FAILED,
    INK,
    TONIGHT,
    WIDTH,
    draw_axes,
    finish_figure,
    house_style,
)
from sentinel_etl.report.pages import Page, table_page, with_note
from sentinel_etl.report.quality import label_nights
from sentinel_etl.report.render import render_macro
from sentinel_etl.run.result import RunResult
from sentinel_etl.wording import list_some, plural

__all__ = ["nights_figure", "nights_table"]

TITLE = "Night by night"

MOST_ROWS = 62  # two months, each night of which is shown; of more, those with a failed check

HATCH = "///"  # what was rejected
HEADROOM = 1.25  # above the highest bar, for its letter

# How a night is drawn, by the worst of its failed checks: colour, the letter above it, and words.
MARKS: dict[Severity | None, tuple[str, str, str]] = {
    None: (BEFORE, "", "its checks passed"),
    Severity.WARN: (TONIGHT, "W", "W: a check warned"),
    Severity.BLOCK: (FAILED, "F", "F: a check stopped publishing"),
}


def nights_table(result: RunResult) -> Page | None:
    """Show each night's rows, rejected rows, mean score and failed checks; None of a window within one night.

    ``before`` are the rows that were loaded before the run, and stand only where there were some.
    """
    if result.by_night is None:
        return None
    nights, failed = result.by_night, failed_by_night(result)
    wanted = pd.Series(True, index=nights.index)
    if len(nights) > MOST_ROWS:
        wanted = nights["shift_date"].isin(list(failed))
    rows = nights[wanted][:MOST_ROWS]
    table = rows[["rows", "rejected"]].copy()
    if nights["before"].any():
        table["before"] = rows["before"]
    if "mean_risk" in rows.columns:
        table["mean risk"] = rows["mean_risk"]
    table["checks"] = [
        list_some((f"{check.severity}: {check.name}" for check in failed.get(night, ())), 3) or "ok"
        for night in rows["shift_date"]
    ]
    page = with_note(
        table_page(table.set_axis(rows["shift_date"].astype("str")), [str(night) for night in failed]),
        note_of(result, nights, len(rows)),
    )
    heading = render_macro("heading", text=TITLE, level=2)
    return Page(render_macro("stacked", pages=[Page(heading, TITLE), page]), f"{TITLE}\n{page}")


def note_of(result: RunResult, nights: pd.DataFrame, shown: int) -> str:
    """Say what the table does not: nights that are not shown, and failed checks of the window as a whole."""
    more = len(nights) - shown
    told = [f"and {more:,} more {plural(more, 'night')}"] if more else []
    whole = [check.name for check in failures_first(result.checks) if not check.passed and not check.nights]
    told += [f"failed in the window as a whole: {list_some(whole)}"] if whole else []
    return "; ".join(told)


def failed_by_night(result: RunResult) -> dict[date, list[Check]]:
    """Gather the failed checks of each night that they name, those that stopped publishing first."""
    found: dict[date, list[Check]] = {}
    for check in failures_first(result.checks):
        for night in check.nights if not check.passed else ():
            found.setdefault(date.fromisoformat(night), []).append(check)
    return found


def nights_figure(result: RunResult) -> Figure | None:
    """Draw each night's rows, and below them its mean score where there is one; None of a window within one night."""
    if result.by_night is None:
        return None
    nights, failed = result.by_night, failed_by_night(result)
    worst = [failed[night][0].severity if night in failed else None for night in nights["shift_date"]]
    scored = "mean_risk" in nights.columns and bool(nights["mean_risk"].notna().any())
    with house_style():
        figure, grid = draw_axes(1 + scored, 1, figsize=(WIDTH, 3.4 if scored else 2.4), sharex=True, squeeze=False)
        panels: Sequence[Axes] = list(grid.flat)
        draw_rows(panels[0], nights, worst)
        if scored:
            panels[1].plot(nights.index, nights["mean_risk"], marker="o", markersize=4, color=INK)
            panels[1].set_ylabel("mean score,\nrisk points")
            panels[1].set_ylim(0, HEADROOM * max(1.0, nights["mean_risk"].max()))
            panels[1].grid(axis="y")
        label_nights(panels[-1], list(nights["shift_date"]))
        used = [mark for severity, mark in MARKS.items() if severity in worst]
        handles = [Patch(color=colour, label=words) for colour, _, words in used]
        if nights["rejected"].any():
            handles.append(Patch(facecolor="white", edgecolor=INK, hatch=HATCH, label="rejected rows"))
        figure.legend(handles=handles, loc="outside upper right", ncols=len(handles))
    return finish_figure(figure)


def draw_rows(axis: Axes, nights: pd.DataFrame, worst: Sequence[Severity | None]) -> None:
    """Draw a bar a night, its rejected rows on top of it, and above both the letter of its verdict."""
    axis.bar(nights.index, nights["rows"], width=0.8, color=[MARKS[severity][0] for severity in worst])
    some = nights[nights["rejected"] > 0]
    hatched: dict[str, Any] = {"facecolor": "white", "edgecolor": INK, "hatch": HATCH, "linewidth": 0.6}
    axis.bar(some.index, some["rejected"], bottom=some["rows"], width=0.8, **hatched)
    for position, top, severity in zip(nights.index, nights["rows"] + nights["rejected"], worst, strict=True):
        axis.annotate(
            MARKS[severity][1],
            (position, top),
            xytext=(0, 3),
            textcoords="offset points",
            ha="center",
            color=MARKS[severity][0],
            fontweight="bold",
        )
    axis.set_ylabel("rows a night")
    axis.set_ylim(0, HEADROOM * max(1, (nights["rows"] + nights["rejected"]).max()))
    axis.yaxis.set_major_formatter("{x:,.0f}")
    axis.grid(axis="y")
