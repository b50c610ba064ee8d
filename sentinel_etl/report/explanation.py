"""The parts of one event's score, for a person who wants to add them up."""

from __future__ import annotations

import math
import re
from typing import Any
from zoneinfo import ZoneInfo

import pandas as pd

from sentinel_etl.arrow import as_arrow
from sentinel_etl.config.dimensions import CITY, Dimensions
from sentinel_etl.config.risk_weights import RiskWeights
from sentinel_etl.report.pages import Page, name_key, table_page
from sentinel_etl.report.render import render_macro
from sentinel_etl.transform.risk import as_written, score_events

__all__ = ["explanation_page"]

# As `score_events` writes a reason: emergency_category=FIRE +25, RENTAL.rating=R +2. A value may hold any sign.
REASON = re.compile(r"(?P<column>[\w.]+)=(?P<value>.*) \+(?P<points>\S+)", re.DOTALL)


def explanation_page(event: pd.DataFrame, weights: RiskWeights, zone: ZoneInfo, dimensions: Dimensions = CITY) -> Page:
    """Show how one event came by its score.

    In: one row with ``event_id``, ``event_timestamp`` (UTC), ``base_risk_score`` (risk points),
    ``risk_reasons`` (list of strings), where there are such the station and the place, and the
    columns that the weights name. Shown: each weight that was added, and the sum; a line where the sum
    is not the score, and one where the weights given would make another score.
    """
    row = {str(name): event[name].iloc[0] for name in event.columns}
    parts = [match.groupdict() for reason in row["risk_reasons"] if (match := REASON.fullmatch(reason))]
    points = [float(part["points"]) for part in parts]
    table = pd.DataFrame(
        {"value": [*(part["value"] for part in parts), ""], "points": [*points, math.fsum(points)]},
        index=[*(part["column"] for part in parts), "sum"],
    )
    score = float(row["base_risk_score"])
    title, subtitle = f"{row['event_id']}: base_risk_score {as_written(score)}", where_and_when(row, zone, dimensions)
    notes = [] if parts else ["No weight applies to it."]
    if not math.isclose(math.fsum(points), score, rel_tol=1e-9, abs_tol=1e-9):
        notes.append(f"The parts add up to {as_written(math.fsum(points))}, not to base_risk_score.")
    today = float(score_events(as_arrow(event), weights)[0][0].as_py())
    if not math.isclose(today, score, rel_tol=1e-9, abs_tol=1e-9):
        notes.append(f"It was loaded under other weights; those of today would make it {as_written(today)}.")
    page = table_page(table)
    html = render_macro("explanation", title=title, subtitle=subtitle, table=page, notes=notes)
    return Page(html, "\n".join([title, subtitle, page.text, *notes]))


def where_and_when(row: dict[str, Any], zone: ZoneInfo, dimensions: Dimensions) -> str:
    moment = pd.Timestamp(row["event_timestamp"])
    local = (moment.tz_localize("UTC") if moment.tzinfo is None else moment).tz_convert(zone.key)
    places = [
        name_place(name, row[name], dimensions)
        for name in (dimensions.station, dimensions.place)
        if name in row and not pd.isna(row[name])
    ]
    return " · ".join([f"{local:%Y-%m-%d %H:%M:%S} {local.tzname()}", *places])


def name_place(column: str, key: object, dimensions: Dimensions) -> str:
    named = name_key(column, key, dimensions)
    return named if named != str(key) else f"{dimensions.word(column)} {key}"
