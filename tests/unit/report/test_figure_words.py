"""What figures say to who cannot see them: the number that each is drawn for; and a figure of nothing is not drawn."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import h3
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from sentinel_etl import report
from sentinel_etl.errors import NothingThere
from sentinel_etl.ledger.nights import NightCoverage, NightState
from sentinel_etl.report import explorer, hotspots, weights
from sentinel_etl.report.city_map import city_map_figure

KOLKATA = ZoneInfo("Asia/Kolkata")
AS_OF = datetime(2026, 11, 22, 0, 30, tzinfo=UTC)
NIGHTS = [date(2026, 11, 20), date(2026, 11, 21)]


def scores(*rows: tuple[str, float, int]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["event_type", "base_risk_score", "events"])


TONIGHT = scores(("EMERGENCY", 30, 1), ("EMERGENCY", 80, 3), ("REMARK", 0, 5), ("REMARK", 4, 15))
BEFORE = scores(("EMERGENCY", 30, 10), ("EMERGENCY", 60, 10), ("REMARK", 0, 90), ("REMARK", 4, 10))
BY_STATION = TONIGHT.assign(station_id=[3, 3, 4, 4])

RANKING = pd.DataFrame({"hotspot_id": [301, 101], "risk": [400.0, 200.0], "risk_week_before": [500.0, 50.0]})
PLACES = pd.DataFrame({"hotspot_id": [301, 101], "latitude": [12.97, 12.99], "longitude": [77.59, 77.59]})
INCIDENTS = pd.DataFrame({"cell": [h3.latlng_to_cell(12.97, 77.59, 8)], "events": [56]})
EMERGING = INCIDENTS.head(0)

COUNTS = pd.DataFrame(
    {"shift_date": NIGHTS, "event_type": ["REMARK"] * 2, "source": [1_000, 1_200], "warehouse": [1_000, 1_195]}
)
HOURS = pd.DataFrame({"shift_date": NIGHTS, "hour": [23, 23], "risk_points": [40.0, 60.0]})
LOADS = pd.DataFrame({"events": [1, 2, 30, 40], "risk_points": [4.0, 6.0, 50.0, 70.0]})
LAGS = pd.DataFrame(
    {"event_type": ["REMARK"] * 2, "lag": ["up to 1 min", "later"], "events": [90, 10], "after_night": [1, 1]}
)
NULLS = pd.DataFrame({"speed": [0.25, 0.50], "vehicle_id": [0.1, 0.1]}, index=NIGHTS)
COMPARED = pd.DataFrame(
    {
        "event_type": ["REMARK", "FIRE"],
        "station_id": [3, 4],
        "score_before": [1.0, 40.0],
        "score_after": [2.0, 80.0],
        "events": [10, 1],
        "example": ["REMARK:1", "FIRE:1"],
    }
)


def cover(*states: NightState) -> list[NightCoverage]:
    return [NightCoverage(NIGHTS[0] + timedelta(days=n), state, None) for n, state in enumerate(states)]


FIGURES: list[tuple[str, Callable[[], Figure], str]] = [
    (
        "boxes",
        lambda: report.risk_box_figure(TONIGHT, BEFORE),
        "Boxes of scores, this window above the nights before. Median risk points: "
        "EMERGENCY 80, 30 before, highest 80; REMARK 4, 0 before, highest 4",
    ),
    (
        "boxes without a past",
        lambda: report.risk_box_figure(BY_STATION, BY_STATION.head(0), by="station_id"),
        "Boxes of scores, this window above the nights before. Median risk points: "
        "station 3 80, none before, highest 80; station 4 4, none before, highest 4",
    ),
    (
        "histogram",
        lambda: report.risk_histogram_figure(TONIGHT, BEFORE),
        "Share of events in each band of 5 risk points, this window against the nights before, 2 event types. "
        "Furthest moved: EMERGENCY, PSI 2.82",
    ),
    (
        "cumulative shares",
        lambda: report.risk_ecdf_figure(TONIGHT, BEFORE),
        "Share of events up to each score, this window against the nights before, 2 event types. "
        "Furthest moved: EMERGENCY, KS 0.75",
    ),
    (
        "cumulative shares without a past",
        lambda: report.risk_ecdf_figure(BY_STATION, BY_STATION.head(0), by="station_id"),
        "Share of events up to each score, this window against the nights before, 2 stations. "
        "There is nothing before to compare with",
    ),
    (
        "calendar",
        lambda: report.coverage_figure(cover(NightState.PUBLISHED, NightState.MISSING, NightState.PUBLISHED)),
        "Calendar of 3 nights, 2026-11-20 to 2026-11-22: 2 published, 1 missing (2026-11-21)",
    ),
    (
        "reconciliation",
        lambda: report.reconciliation_figure(COUNTS),
        "Events of 2 nights, 1,000 to 1,200 in the source. "
        "The warehouse differs in 1 night, most in that of 2026-11-21: -5",
    ),
    (
        "reconciliation without a difference",
        lambda: report.reconciliation_figure(COUNTS.head(1)),
        "Events of 1 night, 1,000 to 1,000 in the source, as many in the warehouse",
    ),
    (
        "NULL shares",
        lambda: report.nulls_over_time_figure(NULLS),
        "Share of NULLs less its median, 2 columns, 2 nights. "
        "Furthest from it: speed in the night of 2026-11-20, -12.5 percentage points",
    ),
    (
        "lags",
        lambda: report.lag_figure(LAGS),
        "Share of events that have arrived by the time since they happened, 1 event type. "
        "Least in the first class, up to 1 min: REMARK, 90.0 %",
    ),
    (
        "ranking",
        lambda: hotspots.ranking_figure({72.0: RANKING, 12.0: RANKING.tail(1)}),
        "The first hotspots by the risk left. First at a half-life of 12 h 101, 200 risk points, rising; "
        "of 72 h 301, 400 risk points, falling",
    ),
    (
        "history",
        lambda: hotspots.history_figure({AS_OF - timedelta(days=1): RANKING.tail(1), AS_OF: RANKING}, 24.0, KOLKATA),
        "Risk left of 2 hotspots, day by day, and how it will fade. "
        "hotspot 301 leads: 0 risk points at first, 400 at last",
    ),
    (
        "map",
        lambda: city_map_figure(INCIDENTS, RANKING, PLACES, None, EMERGING, nights=28),
        "Map of 1 cell, up to 2.0 incidents a night in one; 0 emerging cells; most risk is left at 301, 400 points",
    ),
    (
        "breakdown",
        lambda: explorer.breakdown_figure(TONIGHT, "event_type", nights=1),
        "Events, spread of scores and risk points a night of 2 event types. "
        "Most points: EMERGENCY, 270 a night, 82% of all",
    ),
    (
        "hours",
        lambda: explorer.hours_figure(HOURS),
        "Risk points by hour of the night. The median night has most from 23:00, 50 in the hour; "
        "of the week Sat 23:00 has, 60 in the mean",
    ),
    (
        "loads",
        lambda: explorer.officer_load_figure(LOADS),
        "How many events officers report in a night, 4 nights, and the risk points that they meet. "
        "The median by events in the night: 1: 4 points, 31 to 40: 70 points",
    ),
    (
        "score shifts",
        lambda: weights.score_shift_figure(COMPARED),
        "Share of events in each score band under both sets of weights. "
        "The mean score: FIRE 40.0 to 80.0; REMARK 1.0 to 2.0",
    ),
    (
        "ranks",
        lambda: weights.ranks_figure(weights.rank_by_points(COMPARED, "station_id", 1), None),
        "Risk points a night under both sets of weights. stations: 4 leads with 80 after 40, 0 of 2 change their rank",
    ),
]


@pytest.mark.parametrize(("draw", "words"), [pytest.param(draw, words, id=name) for name, draw, words in FIGURES])
def test_a_figure_says_the_number_that_it_is_drawn_for(draw: Callable[[], Figure], words: str) -> None:
    assert draw().words == words  # type: ignore[attr-defined]


NOTHING = TONIGHT.head(0)

OF_NOTHING: list[tuple[str, Callable[[], Figure], str]] = [
    ("scores", lambda: report.risk_box_figure(NOTHING, NOTHING), "no group of events has more than one score"),
    ("reconciliation", lambda: report.reconciliation_figure(COUNTS.head(0)), "neither has an event in these nights"),
    ("NULL shares", lambda: report.nulls_over_time_figure(NULLS * 0), "no value of these nights is NULL"),
    ("lags", lambda: report.lag_figure(LAGS.assign(events=0)), "the source has no event in these nights"),
    ("ranking", lambda: hotspots.ranking_figure({72.0: RANKING.head(0)}), "no hotspot has any risk"),
    ("history", lambda: hotspots.history_figure({AS_OF: RANKING.head(0)}, 24.0, KOLKATA), "no hotspot has any"),
    (
        "map",
        lambda: city_map_figure(INCIDENTS.head(0), RANKING, PLACES * np.nan, None, EMERGING, nights=28),
        "nothing of these nights has a position",
    ),
    ("breakdown", lambda: explorer.breakdown_figure(NOTHING, "event_type", 1), "no event of these nights names one"),
    ("hours", lambda: explorer.hours_figure(HOURS.head(0)), "these nights have no event"),
    ("loads", lambda: explorer.officer_load_figure(LOADS.head(0)), "no event of these nights names who was there"),
    ("ranks", lambda: weights.ranks_figure(None, None), "no event names one"),
]


@pytest.mark.parametrize(("draw", "reason"), [pytest.param(draw, why, id=name) for name, draw, why in OF_NOTHING])
def test_a_figure_of_nothing_is_not_drawn_and_says_why(draw: Callable[[], Figure], reason: str) -> None:
    with pytest.raises(NothingThere, match=reason):
        draw()


def test_words_hold_no_more_names_than_can_be_listened_to() -> None:
    many = pd.concat([scores((f"TYPE_{n}", 1, 5), (f"TYPE_{n}", 9, 4)) for n in range(20)])
    words = report.risk_box_figure(many, many.head(0)).words  # type: ignore[attr-defined]
    assert words.endswith("; and 14 more")
    assert words.count("TYPE_") == 6
    assert len(words) < 400
