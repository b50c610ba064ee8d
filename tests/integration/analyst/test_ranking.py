"""The ranking's history as the real engine sums it, against sums over the same rows in pandas and h3."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any

import clinics
import h3
import numpy as np
import pandas as pd
import pytest
from clickhouse_sqlalchemy import Table
from sqlalchemy import Column, Engine, MetaData

from sentinel_etl.analyst.questions import hotspot_risk
from sentinel_etl.analyst.ranking.as_of import count_known, happened, is_known, risk_as_of
from sentinel_etl.analyst.ranking.evaluate import evaluate_history
from sentinel_etl.analyst.ranking.history import History, read_history
from sentinel_etl.analyst.ranking.presence import read_hours
from sentinel_etl.analyst.ranking.week import foretold_last_week
from sentinel_etl.config.dimensions import Dimensions
from sentinel_etl.config.event_kinds import EventKinds
from sentinel_etl.config.fact_table import build_patrol_events
from sentinel_etl.errors import NothingThere
from sentinel_etl.load.load import load_data
from sentinel_etl.pipeline import SENTINEL
from sentinel_etl.warehouse.query import run_statement
from sentinel_etl.warehouse.tables import create_table
from sentinel_etl.window import CITY_ZONE, Window, night_starts, shift_date_of

FIRST, NIGHTS, SPOTS = date(2026, 6, 1), 40, 12
PERIOD = Window(night_starts(FIRST), night_starts(FIRST + timedelta(days=NIGHTS)))
HALF_LIVES = (72.0, 24.0)
PIPELINE = replace(SENTINEL, fact_table=build_patrol_events())
CATEGORIES = {"FIRE": 25.0, "MEDICAL": 10.0}


def make_events(seed: int = 4, rows: int = 4_000) -> pd.DataFrame:
    """Draw remarks that name a hotspot, and emergencies that only have a position; one in ten arrives late."""
    random = np.random.default_rng(seed)
    moments = [PERIOD.start + timedelta(seconds=float(each)) for each in random.uniform(0, NIGHTS * 86_400 - 1, rows)]
    lags = np.where(random.random(rows) < 0.1, random.uniform(0, 200_000, rows), random.uniform(0, 60, rows))
    emergency = random.random(rows) < 0.3
    spot = random.integers(0, SPOTS, rows)
    far = np.where(random.random(rows) < 0.1, 0.02, 0.0)
    category = random.choice(list(CATEGORIES), rows)
    return pd.DataFrame(
        {
            "event_id": [f"E:{n}" for n in range(rows)],
            "patrol_id": spot,
            "officer_id": spot,
            "event_timestamp": pd.Series(moments).astype("datetime64[us, UTC]"),
            "received_at": pd.Series(
                [moment + timedelta(seconds=float(lag)) for moment, lag in zip(moments, lags, strict=True)]
            )
            .astype("datetime64[us, UTC]")
            .where(random.random(rows) < 0.95),
            "event_date": [moment.astimezone(CITY_ZONE).date() for moment in moments],
            "shift_date": [shift_date_of(moment, CITY_ZONE) for moment in moments],
            "event_type": np.where(emergency, "EMERGENCY_INCIDENT", "REMARK"),
            "station_id": spot % 3,
            "latitude": pd.Series(12.9 + 0.01 * spot + far + random.normal(0, 2e-4, rows)).astype("Float64"),
            "longitude": pd.Series(77.5 + 0.01 * spot + random.normal(0, 2e-4, rows)).astype("Float64"),
            "hotspot_id": pd.Series(spot + 100).where(~emergency).astype("Int64"),
            "emergency_category": pd.Series(category).where(emergency).astype("string"),
            "base_risk_score": np.where(emergency, 20 + pd.Series(category).map(CATEGORIES), 1.0),
        }
    )


def fill(warehouse: Engine, events: pd.DataFrame) -> Engine:
    create_table(warehouse, PIPELINE.fact_table)
    add(warehouse, events)
    return warehouse


def add(warehouse: Engine, events: pd.DataFrame) -> None:
    columns = [Column(name, PIPELINE.fact_table.c[name].type) for name in events.columns]
    load_data(events.reset_index(drop=True), Table(PIPELINE.fact_table.name, MetaData(), *columns), warehouse)


@pytest.fixture(scope="module")
def events() -> pd.DataFrame:
    return make_events()


@pytest.fixture(scope="module")
def facts(make_warehouse: Callable[[], Engine], events: pd.DataFrame) -> Engine:
    return fill(make_warehouse(), events)


def read(warehouse: Engine, by: Any = "place", **more: Any) -> History:
    return read_history(warehouse, PIPELINE, PERIOD, by, half_lives=HALF_LIVES, **more)


def known_by(events: pd.DataFrame, morning: datetime) -> pd.DataFrame:
    arrived = events["received_at"].fillna(events["event_timestamp"])
    return events[(events["event_timestamp"] < morning) & (arrived < morning)]


def mornings() -> list[datetime]:
    return [night_starts(FIRST + timedelta(days=night)) for night in range(NIGHTS)]


def test_risk_as_of_each_morning_is_that_of_the_rows_that_had_arrived(facts: Engine, events: pd.DataFrame) -> None:
    history = read(facts)
    for number, half_life in enumerate(HALF_LIVES):
        risk = risk_as_of(history, f"risk_{number}", half_life)
        for night, morning in enumerate(mornings()):
            rows = known_by(events, morning).dropna(subset="hotspot_id")
            ages = (pd.Timestamp(morning) - rows["event_timestamp"]) / pd.Timedelta(hours=1)
            expected = (rows["base_risk_score"] * np.exp2(-ages / half_life)).groupby(rows["hotspot_id"]).sum()
            np.testing.assert_allclose(risk[night], expected.reindex(history.places, fill_value=0), rtol=1e-9)


def test_risk_as_of_a_morning_is_the_questions_where_nothing_came_late(
    make_warehouse: Callable[[], Engine], events: pd.DataFrame
) -> None:
    warehouse = fill(
        make_warehouse(), events.assign(received_at=pd.Series(pd.NaT, events.index, dtype="datetime64[us, UTC]"))
    )
    history = read(warehouse)
    ranked = hotspot_risk(warehouse, mornings()[-1], pipeline=PIPELINE).set_index("hotspot_id")["risk"]
    np.testing.assert_allclose(
        risk_as_of(history, "risk_0", 72.0)[-1], ranked.reindex(history.places).to_numpy(float), rtol=1e-9
    )


def test_risk_in_cells_is_that_of_the_rows_that_had_arrived(facts: Engine, events: pd.DataFrame) -> None:
    history = read(facts, "cell")
    cells = pd.Series([h3.latlng_to_cell(*pair, 9) for pair in events[["latitude", "longitude"]].to_numpy(float)])
    assert set(history.places) == set(cells)
    risk, known, found = risk_as_of(history, "risk_0", 72.0), is_known(history), happened(history)
    for night, morning in enumerate(mornings()):
        rows = known_by(events, morning)
        ages = (pd.Timestamp(morning) - rows["event_timestamp"]) / pd.Timedelta(hours=1)
        expected = (rows["base_risk_score"] * np.exp2(-ages / 72)).groupby(cells[rows.index]).sum()
        np.testing.assert_allclose(risk[night], expected.reindex(history.places, fill_value=0), rtol=1e-9)
        assert {place for place, is_there in zip(history.places, known[night], strict=True) if is_there} == set(
            cells[rows.index]
        )
    emergencies = events["event_type"] == "EMERGENCY_INCIDENT"
    assert found.sum() == emergencies.sum()
    expected = cells[emergencies].value_counts().reindex(history.places, fill_value=0)
    np.testing.assert_array_equal(found.sum(axis=0), expected)


def test_an_emergency_that_names_no_place_is_the_nearest_ones_within_reach(facts: Engine, events: pd.DataFrame) -> None:
    history = read(facts)
    rows = events[events["event_type"] == "EMERGENCY_INCIDENT"]
    near = (rows["latitude"].astype(float) - 12.9 - 0.01 * rows["patrol_id"]).abs() < 0.01
    later = rows["shift_date"] > FIRST  # in the first night nobody knows yet where places are
    expected = (rows.loc[near & later, "patrol_id"] + 100).value_counts().reindex(history.places, fill_value=0)
    np.testing.assert_array_equal(happened(history)[1:].sum(axis=0), expected)
    assert happened(history)[0].sum() == 0
    assert history.emergencies["events"].sum() == len(rows)


def test_counts_of_weeks_before_are_of_what_had_arrived(facts: Engine, events: pd.DataFrame) -> None:
    history = read(facts, "cell")
    cells = pd.Series([h3.latlng_to_cell(*pair, 9) for pair in events[["latitude", "longitude"]].to_numpy(float)])
    for nights in (7, 28):
        counts = count_known(history, nights)
        for night, morning in enumerate(mornings()):
            rows = known_by(events, morning)
            since = FIRST + timedelta(days=night - nights)
            rows = rows[(rows["event_type"] == "EMERGENCY_INCIDENT") & (rows["shift_date"] >= since)]
            expected = cells[rows.index].value_counts().reindex(history.places, fill_value=0)
            np.testing.assert_array_equal(counts[night], expected)


@pytest.mark.parametrize("by", ["place", "cell"])
def test_nothing_that_comes_later_moves_a_morning(
    make_warehouse: Callable[[], Engine], events: pd.DataFrame, by: str
) -> None:
    """Change everything that happened or arrived from one morning on: the mornings before rank as they did."""
    cut = 25
    morning = mornings()[cut]
    before = known_by(events, morning)
    others = make_events(seed=9)
    arrived = others["received_at"].fillna(others["event_timestamp"])
    after = others[(others["event_timestamp"] >= morning) | (arrived >= morning)]
    warehouse = make_warehouse()
    fill(warehouse, pd.concat([before, after.assign(event_id="N" + after["event_id"])]))
    one, other = read(fill(make_warehouse(), events), by), read(warehouse, by)
    columns = {name: one.places.index(name) for name in one.places if name in other.places}
    places = {name: other.places.index(name) for name in columns}
    for of in (lambda each: risk_as_of(each, "risk_0", 72.0), lambda each: count_known(each, 28), is_known):
        left, right = of(one)[: cut + 1], of(other)[: cut + 1]
        np.testing.assert_array_equal(left[:, list(columns.values())], right[:, list(places.values())])
        # What only the future knows has no rank before.
        assert not np.delete(left, list(columns.values()), axis=1).any()
        assert not np.delete(right, list(places.values()), axis=1).any()


def test_a_weight_s_share_is_what_the_score_would_lack_without_it(facts: Engine, events: pd.DataFrame) -> None:
    history = read(facts, "cell", with_weights=True)
    number = [name for name, _ in history.weights].index("emergency_category=FIRE")
    share = history.weights[number][1] * risk_as_of(history, f"weight_{number}", 72.0)
    fires = events["emergency_category"].eq("FIRE").fillna(False).to_numpy(bool)
    without = events["base_risk_score"] - np.where(fires, 25.0, 0.0)
    cells = pd.Series([h3.latlng_to_cell(*pair, 9) for pair in events[["latitude", "longitude"]].to_numpy(float)])
    morning = mornings()[-1]
    rows = known_by(events, morning)
    ages = (pd.Timestamp(morning) - rows["event_timestamp"]) / pd.Timedelta(hours=1)
    expected = (without[rows.index] * np.exp2(-ages / 72)).groupby(cells[rows.index]).sum()
    risk = risk_as_of(history, "risk_0", 72.0)[-1]
    np.testing.assert_allclose(risk - share[-1], expected.reindex(history.places, fill_value=0), rtol=1e-9)


def test_the_whole_evaluation_comes_of_a_real_history(facts: Engine) -> None:
    for by in ("place", "cell"):
        found = evaluate_history(read(facts, by, with_weights=True), by)
        assert found.nights == NIGHTS - 10
        assert set(found.measures["horizon"]) == {"night", "week"}
        assert set(found.weights["weight"]) >= {"emergency_category=FIRE", "event_type=EMERGENCY_INCIDENT"}
        assert found.measures["value"].notna().all()


def test_a_history_without_any_emergency_says_so(make_warehouse: Callable[[], Engine]) -> None:
    warehouse = make_warehouse()
    create_table(warehouse, PIPELINE.fact_table)
    assert run_statement(warehouse, "SELECT count() FROM patrol_events")[0][0] == 0
    assert read(warehouse).places == ()


STEPS = [
    # outing, minutes after the night's start, event type, the step's word, hotspot
    (1, 0, "PATROL_STATUS", "started", None),
    (1, 10, "GEOFENCE", "ENTER", 100),
    (1, 30, "GEOFENCE", "DWELL", 100),
    (1, 40, "GEOFENCE", "EXIT", 100),  # 30 minutes at 100
    (1, 60, "GEOFENCE", "ENTER", 101),
    (1, 70, "PATROL_STATUS", "paused", None),
    (1, 90, "PATROL_STATUS", "resumed", None),
    (1, 100, "GEOFENCE", "EXIT", 101),  # 40 minutes at 101, 20 of them a rest
    (1, 120, "GEOFENCE", "ENTER", 100),
    (1, 150, "GEOFENCE", "ENTER", 101),  # the leaving of 100 was lost: 30 minutes
    (1, 155, "PATROL_STATUS", "finished", None),  # 5 minutes at 101; nothing after counts
    (1, 500, "GEOFENCE", "EXIT", 101),
    (2, 20, "GEOFENCE", "DWELL", 100),  # no word of its start: 40 minutes at 100 beside the first
    (2, 60, "GEOFENCE", "EXIT", 100),
    (3, 30, "GEOFENCE", "EXIT", 100),  # an exit without an entry is no time at all
]


def test_patrol_hours_are_those_between_arriving_and_leaving_without_rests(
    make_warehouse: Callable[[], Engine],
) -> None:
    start = night_starts(FIRST)
    rows = pd.DataFrame(STEPS, columns=["patrol_id", "minute", "event_type", "word", "hotspot_id"])
    fences = rows["event_type"] == "GEOFENCE"
    moments = [start + timedelta(minutes=int(minute)) for minute in rows["minute"]]
    events = rows.assign(
        event_id=[f"S:{n}" for n in range(len(rows))],
        officer_id=1,
        station_id=1,
        event_timestamp=pd.Series(moments).astype("datetime64[us, UTC]"),
        event_date=start.astimezone(CITY_ZONE).date(),
        shift_date=FIRST,
        hotspot_id=rows["hotspot_id"].astype("Int64"),
        geofence_event_type=rows["word"].where(fences).astype("string"),
        patrol_status_at_event=rows["word"].where(~fences).astype("string"),
        base_risk_score=0.0,
    ).drop(columns=["minute", "word"])
    warehouse = fill(make_warehouse(), events)
    hours = read_hours(warehouse, PIPELINE, PERIOD).set_index("place")["hours"]
    assert hours.to_dict() == pytest.approx({"100": (30 + 30 + 40) / 60, "101": (40 - 20 + 5) / 60})


def test_last_week_is_told_in_one_line(facts: Engine) -> None:
    line = str(foretold_last_week(PERIOD.end, PIPELINE, facts))
    assert re.fullmatch(
        r"last week the top 10 of 12 hotspots held \d+% of the \d+ emergencies at hotspots; "
        r"counting alone \d+%, chance 83%",
        line,
    )


def test_last_week_is_the_sum_of_its_mornings_each_by_what_it_knew(facts: Engine) -> None:
    found = foretold_last_week(PERIOD.end, PIPELINE, facts)
    period = Window(night_starts(FIRST + timedelta(days=5)), PERIOD.end)
    history = read_history(facts, PIPELINE, period, half_lives=[72.0])
    risk, counts, then = risk_as_of(history, "risk_0", 72.0), count_known(history, 28), happened(history)
    for share, scores in ((found.by_risk, risk), (found.by_counts, counts)):
        hits = 0.0
        for night in range(-7, 0):
            order = pd.Series(scores[night]).sort_values(ascending=False, kind="stable")
            tied = order == order.iloc[9]
            above = (order > order.iloc[9]).to_numpy()
            value = then[night][order.index]
            hits += value[above].sum() + value[tied.to_numpy()].mean() * (10 - above.sum())
        assert share == pytest.approx(hits / then[-7:].sum())


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"dimensions": Dimensions(place="corner_id")}, "has no column corner_id to rank"),
        ({"event_kinds": EventKinds()}, "does not say which event types are emergencies"),
        ({"fact_table": clinics.WITH_STATION}, "has no column hotspot_id to rank"),
    ],
    ids=["no place", "no emergencies", "another fact table"],
)
def test_a_pipeline_that_cannot_be_ranked_says_why(facts: Engine, changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(NothingThere, match=sentence):
        foretold_last_week(PERIOD.end, replace(PIPELINE, **changes), facts)


def test_a_short_history_has_no_line(facts: Engine) -> None:
    with pytest.raises(NothingThere, match="it needs 21 nights of the last 35 that have scores at places; found 20"):
        foretold_last_week(night_starts(FIRST + timedelta(days=20)), PIPELINE, facts)
