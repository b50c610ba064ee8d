"""How much of what is known of places depends on where patrols are; in: `analyst.ranking.Presence`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from sentinel_etl.config.dimensions import CITY, Dimensions
from sentinel_etl.report.figure_style import PALETTE, WIDTH, draw_axes, finish_figure, house_style
from sentinel_etl.report.pages import Page, lines_page, name_key, short_name, table_page

__all__ = ["presence_figure", "presence_page", "presence_table"]


class Measured(Protocol):
    """What is read of an `analyst.ranking.Presence`."""

    @property
    def places(self) -> pd.DataFrame: ...
    @property
    def rank_correlation(self) -> Mapping[str, Any]: ...
    @property
    def doubling(self) -> Mapping[str, Any]: ...


def presence_page(found: Measured, caveat: str) -> Page:
    """Say how events rise with patrols' hours, and what that does and does not mean."""
    lines = [
        f"At the same place, in nights of twice the patrol-hours, {name} events are × {write_association(each)}"
        for name, each in found.doubling.items()
    ]
    lines += [
        f"Ranked by {name}: the places' risk and their patrol-hours have a rank correlation of "
        f"{write_association(each)}"
        for name, each in found.rank_correlation.items()
    ]
    return lines_page([*lines, caveat])


def write_association(found: Any) -> str:
    if not np.isfinite(found.value):
        return "– (too few places)"
    return f"{found.value:.2f} [{found.low:.2f}, {found.high:.2f}]"


def presence_table(found: Measured, most: int = 12, dimensions: Dimensions = CITY) -> Page:
    """Rows per place, the highest risk first: patrol-hours, events of either kind, and its rank both ways."""
    rows = found.places.head(most)
    table = pd.DataFrame(
        {
            "patrol-hours": rows["hours"].round().astype("int64"),
            "reported": rows["reported"],
            "found": rows["found"],
            "reported per 10 h": 10 * rows["reported_per_hour"],
            "found per 10 h": 10 * rows["found_per_hour"],
            "rank": rows["rank"],
            "rank by reports alone": rows["rank_reported"],
        }
    )
    table.index = pd.Index([name_key(dimensions.place, key, dimensions) for key in rows.index])
    return table_page(table)


def presence_figure(found: Measured, dimensions: Dimensions = CITY) -> Figure:
    """Draw each place's risk over the hours that patrols were there: as it is ranked, and of reported events alone."""
    panels = {"risk": "as it is", "risk_reported": "reported events alone"}
    with house_style():
        figure, axes = draw_axes(1, 2, figsize=(WIDTH, 3.8))
        for axis, (column, name), colour in zip(axes, panels.items(), (PALETTE[1], PALETTE[0]), strict=True):
            hours, risk = found.places["hours"], found.places[column]
            axis.scatter(hours, risk, s=22, color=colour, alpha=0.75, lw=0)
            for key in risk.sort_values(ascending=False).index[:3]:
                axis.annotate(
                    short_name(name_key(dimensions.place, key, dimensions)),
                    (hours[key], risk[key]),
                    xytext=(-6, 0),
                    textcoords="offset points",
                    ha="right",
                    va="center",
                    size=8,
                )
            correlation = write_association(found.rank_correlation[name])
            axis.set_title(f"ranked by {name}: rank correlation {correlation}", loc="left")
            axis.set_ylim(bottom=0)
            axis.set_xlim(left=0)
            axis.grid()
        axes[0].set_ylabel("risk left, risk points")
        figure.supxlabel("hours that patrols were there", fontsize="medium")
    return finish_figure(
        figure,
        f"Risk over patrol-hours of {len(found.places)} places. Rank correlation "
        + ", ".join(f"{name} {write_association(each)}" for name, each in found.rank_correlation.items()),
    )
