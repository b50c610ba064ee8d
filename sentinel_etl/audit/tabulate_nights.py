"""Tabulates the nights of a window, for its report. Pure."""

from __future__ import annotations

from collections import Counter
from datetime import date

import pandas as pd

from sentinel_etl.audit.each_night import HeldNights
from sentinel_etl.audit.history import Measures

__all__ = ["tabulate_nights"]


def tabulate_nights(held: HeldNights, staged: Measures) -> pd.DataFrame:
    """Give `RunResult.by_night`: a row for each night that the window touches, also for those without any event."""
    rejected: Counter[date | None] = Counter()
    for (night, _, _), rows in held.rejected.items():
        rejected[night] += rows
    columns = {
        "shift_date": pd.Series(held.nights, dtype=object),
        "rows": [held.total(held.staged, night) for night in held.nights],
        "rejected": [rejected[night] for night in held.nights],
        "before": [held.total(held.loaded, night) for night in held.nights],
    }
    table = pd.DataFrame(columns)
    if "base_risk_score" in staged.scores.columns:
        table["mean_risk"] = table["shift_date"].map(mean_scores(staged.scores)).astype("float64")
    return table


def mean_scores(scores: pd.DataFrame) -> dict[date, float]:
    """Average the scores of each night's events that score at all, as the runs index does."""
    scoring = scores[scores["base_risk_score"] > 0]
    points = (scoring["base_risk_score"] * scoring["events"]).groupby(scoring["shift_date"]).sum()
    return dict(points / scoring.groupby("shift_date")["events"].sum())
