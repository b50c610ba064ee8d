"""What a control has asked: the places' ranking under other weights, and what a place's risk is made of. Pure."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import pandas as pd

from sentinel_etl.config.dimensions import CITY, Dimensions
from sentinel_etl.report.hotspots import write_trend
from sentinel_etl.report.pages import Page, lines_page, name_key, table_page
from sentinel_etl.report.sections import needs
from sentinel_etl.report.weights import describe_move

__all__ = ["place_table", "trial_table"]


@needs("place", "base_risk_score")
def trial_table(ranking: pd.DataFrame, chosen: object = None, most: int = 10, dimensions: Dimensions = CITY) -> Page:
    """Rows per place that would lead: its rank and risk as stored and as asked, and its trend.

    In: `trial.rank_places_under`. The chosen place has a row, whatever its rank, and is flagged.
    """
    place = dimensions.place
    if ranking.empty:
        return lines_page([f"No {dimensions.word(place)} has any risk of these events."])
    ranks = ranking["risk_as_stored"].rank(ascending=False, method="first").astype("int64").to_list()
    shown = ranking.assign(rank_after=range(1, len(ranking) + 1), rank_before=ranks)
    shown = shown[
        (shown["rank_after"] <= most).to_numpy(bool) | (shown[place] == chosen).to_numpy(bool, na_value=False)
    ]
    pairs = list(zip(shown["rank_before"], shown["rank_after"], strict=True))
    table = pd.DataFrame(
        {
            "rank": [f"{before} → {after}" for before, after in pairs],
            "move": [describe_move(*pair) for pair in pairs],
            "risk as stored": [f"{risk:,.1f}" for risk in shown["risk_as_stored"].astype("float64")],
            "would be": [f"{risk:,.1f}" for risk in shown["risk"].astype("float64")],
            "against the week before": [
                write_trend(float(risk), float(before))
                for risk, before in zip(shown["risk"], shown["risk_week_before"], strict=True)
            ],
        }
    )
    table.index = [name_key(place, key, dimensions) for key in shown[place]]
    flagged = [] if chosen is None else [name_key(place, chosen, dimensions)]
    return table_page(table, flagged, numbers=["risk as stored", "would be"])


@needs("place", "base_risk_score")
def place_table(parts: pd.DataFrame, chosen: object, zone: ZoneInfo, dimensions: Dimensions = CITY) -> Page:
    """Rows per event type: its part of the risk that is left at the chosen place; in: `trial.explain_place`."""
    name = name_key(dimensions.place, chosen, dimensions)
    if parts.empty:
        return lines_page([f"{name}: none of these events is left."])
    total = float(parts["risk"].sum())
    table = pd.DataFrame(
        {
            f"risk left at {name}": [f"{risk:,.1f}" for risk in parts["risk"].astype("float64")],
            "share": [f"{float(risk) / (total or 1.0):.0%}" for risk in parts["risk"]],
            "events with a score": parts["events"].astype("int64").to_list(),
            "last one": [f"{moment.astimezone(zone):%a %d %b %H:%M}" for moment in parts["last_event"]],
        },
        index=[str(name) for name in parts["event_type"]],
    )
    return table_page(table, numbers=table.columns[:1])
