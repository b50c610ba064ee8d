"""The ranking held to what followed in the sample city, as it is and with its places shuffled between nights."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, timedelta

import numpy as np
import pandas as pd
import pytest
from clickhouse_sqlalchemy import Table
from sqlalchemy import Column, Engine, MetaData

from sentinel_etl.analyst.ranking.evaluate import Evaluation, evaluate_history
from sentinel_etl.analyst.ranking.history import read_history
from sentinel_etl.city import City, city_tables, night_tables
from sentinel_etl.load.load import load_data
from sentinel_etl.pipeline import SENTINEL
from sentinel_etl.warehouse.tables import create_table
from sentinel_etl.window import Window, night_starts

FIRST, NIGHTS, EVENTS = date(2026, 6, 1), 76, 2_500
FACTS = SENTINEL.fact_table
METRES = np.array([110_630.0, 108_500.0])


def make_events(seed: int, shuffled: bool) -> pd.DataFrame:
    """Make remarks at hotspots and emergencies near them; ``shuffled``: each night its events change places."""
    city, random = City(seed=seed, stations=6), np.random.default_rng(seed)
    spots = city_tables(city)["hotspots"].to_pandas()
    frames = []
    for night in (FIRST + timedelta(days=number) for number in range(NIGHTS)):
        tables = night_tables(city, night, EVENTS)
        remarks = tables["remarks"].to_pandas().dropna(subset="hotspot_id").assign(event_type="REMARK", score=1.0)
        calls = tables["emergency_incidents"].to_pandas().assign(event_type="EMERGENCY_INCIDENT", score=30.0)
        far = (
            calls[["latitude", "longitude"]].to_numpy()[:, None] - spots[["latitude", "longitude"]].to_numpy()
        ) * METRES
        distance = np.hypot(far[..., 0], far[..., 1])
        near = np.nan_to_num(distance, nan=np.inf)
        calls["hotspot_id"] = spots["hotspot_id"].to_numpy()[near.argmin(axis=1)]
        both = pd.concat([remarks, calls[near.min(axis=1) < 250]], ignore_index=True)
        if shuffled:
            exchanged = dict(zip(spots["hotspot_id"], random.permutation(spots["hotspot_id"]), strict=True))
            both["hotspot_id"] = both["hotspot_id"].map(exchanged)
        frames.append(both.assign(shift_date=night))
    events = pd.concat(frames, ignore_index=True)
    return pd.DataFrame(
        {
            "event_id": [f"E:{number}" for number in range(len(events))],
            "patrol_id": 1,
            "officer_id": 1,
            "event_timestamp": events["created_at"].astype("datetime64[us, UTC]"),
            "received_at": events["received_at"].astype("datetime64[us, UTC]"),
            "event_date": events["shift_date"],
            "shift_date": events["shift_date"],
            "event_type": events["event_type"],
            "station_id": 1,
            "hotspot_id": events["hotspot_id"].astype("Int64"),
            "base_risk_score": events["score"],
        }
    )


def evaluate(warehouse: Engine, events: pd.DataFrame) -> Evaluation:
    create_table(warehouse, FACTS)
    columns = [Column(name, FACTS.c[name].type) for name in events.columns]
    load_data(events, Table(FACTS.name, MetaData(), *columns), warehouse)
    end: datetime = night_starts(FIRST + timedelta(days=NIGHTS))
    history = read_history(warehouse, SENTINEL, Window(night_starts(FIRST), end), half_lives=[72.0])
    return evaluate_history(history, warm_up=14)


def rates(found: Evaluation) -> pd.DataFrame:
    rows = found.measures
    rows = rows[(rows["horizon"] == "night") & (rows["measure"] != "RRI") & rows["share"].isin([0.1, 0.2])]
    return rows[rows["ranking"] == "risk"]


@pytest.mark.parametrize("seed", [20, 21, 22])
def test_the_sample_city_is_foretold_better_than_by_chance_and_shuffled_it_is_not(
    make_warehouse: Callable[[], Engine], seed: int
) -> None:
    found = evaluate(make_warehouse(), make_events(seed, shuffled=False))
    assert found.nights == 62
    assert found.elsewhere == 0
    assert (rates(found)["low"] > rates(found)["chance"]).all()
    shuffled = evaluate(make_warehouse(), make_events(seed, shuffled=True))
    assert shuffled.nights == 62
    told = rates(shuffled)
    np.testing.assert_allclose(told["value"], told["chance"], rtol=0.3)
    assert ((told["low"] <= told["chance"]) & (told["chance"] <= told["high"])).mean() >= 0.6
    assert abs(shuffled.paired["difference"]).max() < 0.06
