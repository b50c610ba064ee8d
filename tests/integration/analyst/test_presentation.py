"""The presentation layer on the real engine, against sums over the same rows in pandas and h3."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import h3
import numpy as np
import pandas as pd
import pytest
from clickhouse_sqlalchemy import Table
from scipy import stats
from sqlalchemy import Column, Engine, MetaData, event, false

from benchmarks.emerging import judge_cells
from sentinel_etl.analyst.questions import (
    emerging_threats,
    fill_in,
    hotspot_risk,
    incident_heatmap,
    officer_activity,
    station_activity,
    write_question,
)
from sentinel_etl.config.fact_table import INTEGER, build_patrol_events
from sentinel_etl.errors import ConfigurationError, SentinelError
from sentinel_etl.load.load import load_data
from sentinel_etl.pipeline import SENTINEL
from sentinel_etl.publish.by_partition import switch_by_partition
from sentinel_etl.publish.publish_window import publish_window
from sentinel_etl.publish.turn import Turn
from sentinel_etl.warehouse.projections import PROJECTIONS, projection_statement
from sentinel_etl.warehouse.provision import add_projections, create_views, prepare_fact_table
from sentinel_etl.warehouse.query import query_df, run_statement
from sentinel_etl.warehouse.render import find_templates
from sentinel_etl.warehouse.tables import create_staging, create_table
from sentinel_etl.warehouse.views import FALSE_DISCOVERY_RATE, REFERENCE_WEEKS, VIEWS, Terms, view_statement
from sentinel_etl.window import CITY_ZONE, NIGHT_STARTS, Window, shift_date_of

FIRST_NIGHT = date(2026, 3, 1)
NIGHTS = 120
LAST_MORNING = datetime(2026, 6, 29, 0, 30, tzinfo=UTC)  # 06:00 in the city, after the last night
ROWS = 6_000
PIPELINE = replace(SENTINEL, fact_table=build_patrol_events())

# In the middle of a night, on its edges to the microsecond, before all rows and after them.
INSTANTS = [
    pytest.param(datetime(2026, 6, 20, 18, 17, 3, 250_001, tzinfo=UTC), id="inside a night"),
    pytest.param(datetime(2026, 6, 20, 0, 30, tzinfo=UTC), id="at 06:00 exactly"),
    pytest.param(datetime(2026, 6, 20, 0, 29, 59, 999_999, tzinfo=UTC), id="a microsecond before"),
    pytest.param(datetime(2026, 6, 20, 23, 59, 59, tzinfo=UTC), id="another UTC date than the night's"),
    pytest.param(datetime(2026, 3, 1, 12, 0, tzinfo=UTC), id="in the first night"),
    pytest.param(datetime(2026, 2, 1, tzinfo=UTC), id="before all"),
    pytest.param(LAST_MORNING, id="after all"),
    pytest.param(datetime(2026, 8, 1, 3, 0, tzinfo=UTC), id="long after all"),
]


IN_THE_FOURTH_WEEK = datetime(2026, 3, 24, 0, 0, tzinfo=UTC)
TURNED = [*(each.values[0] for each in INSTANTS[:4]), IN_THE_FOURTH_WEEK]


def make_events(rows: int = ROWS, seed: int = 3) -> pd.DataFrame:
    """Draw events over the nights; an event stands on each edge, and some positions are none."""
    random = np.random.default_rng(seed)
    start = datetime(2026, 3, 1, 0, 30, tzinfo=UTC)
    edges = [start, LAST_MORNING - timedelta(microseconds=1), datetime(2026, 6, 20, 0, 30, tzinfo=UTC)]
    offsets = random.integers(0, NIGHTS * 86_400_000_000, rows - len(edges))
    moments = [*edges, *(start + timedelta(microseconds=int(offset)) for offset in offsets)]
    patrol = random.integers(0, 12, rows)
    spot = random.integers(0, 7, rows)
    latitude = np.round(12.9 + 0.02 * spot + random.normal(0, 0.002, rows), 6)
    longitude = np.round(77.5 + 0.02 * patrol + random.normal(0, 0.002, rows), 6)
    latitude[:5], longitude[5:8] = [np.nan, 95.0, np.inf, -np.inf, 12.9], [181.0, np.inf, np.nan]
    nights = [shift_date_of(moment, CITY_ZONE) for moment in moments]
    return pd.DataFrame(
        {
            "event_id": [f"REMARK:{n}" for n in range(rows)],
            "patrol_id": [int(night.strftime("%y%m%d")) * 100 + p for night, p in zip(nights, patrol, strict=True)],
            "officer_id": patrol * 10 + random.integers(0, 2, rows),
            "event_timestamp": pd.Series(moments).astype("datetime64[us, UTC]"),
            "event_date": [moment.astimezone(CITY_ZONE).date() for moment in moments],
            "shift_date": nights,
            "event_type": "REMARK",
            "station_id": patrol % 4,
            "latitude": pd.Series(latitude).astype("Float64"),
            "longitude": pd.Series(longitude).astype("Float64"),
            "hotspot_id": pd.Series(spot).where(spot > 0).astype("Int64"),
            "base_risk_score": np.where(random.random(rows) < 0.3, 0.0, random.uniform(0.5, 80, rows)),
        }
    )


def place_events(*rows: tuple[datetime, float, float, float]) -> pd.DataFrame:
    """Make events of (instant, score, latitude, longitude)."""
    moments, scores, latitudes, longitudes = zip(*rows, strict=True)
    return make_events(len(moments)).assign(
        event_timestamp=pd.Series(moments).astype("datetime64[us, UTC]"),
        shift_date=[shift_date_of(moment, CITY_ZONE) for moment in moments],
        base_risk_score=scores,
        latitude=latitudes,
        longitude=longitudes,
    )


def make_turns() -> pd.DataFrame:
    """Make the events of three places that turn in the week before each of some instants."""
    moments = [moment - timedelta(hours=6 * n) for moment in TURNED for n in range(28)]
    spots = [(12.95, 77.55), (12.99, 77.61), (13.01, 77.51)]
    rows = [(moment, 30.0, *spots[n % len(spots)]) for n, moment in enumerate(moments)]
    return place_events(*rows).assign(event_id=[f"REMARK:turned {n}" for n in range(len(rows))])


@pytest.fixture(scope="module")
def events() -> pd.DataFrame:
    return pd.concat([make_events(), make_turns()], ignore_index=True)


def fill(warehouse: Engine, events: pd.DataFrame, projections: bool = True) -> Engine:
    create_table(warehouse, PIPELINE.fact_table)
    if projections:
        add_projections(warehouse, PIPELINE.fact_table)
    load_columns(warehouse, PIPELINE.fact_table, events)
    return warehouse


def load_columns(warehouse: Engine, table: Table, events: pd.DataFrame) -> None:
    """Load events that have some of the table's columns; the others take their defaults."""
    columns = [Column(name, table.c[name].type) for name in events.columns]
    load_data(events.reset_index(drop=True), Table(table.name, MetaData(), *columns), warehouse)


@pytest.fixture(scope="module")
def facts(make_warehouse: Callable[[], Engine], events: pd.DataFrame) -> Engine:
    """The events in a fact table with its projections."""
    return fill(make_warehouse(), events)


@pytest.fixture(scope="module")
def bare_facts(make_warehouse: Callable[[], Engine], events: pd.DataFrame) -> Engine:
    """The same events in a fact table without any."""
    warehouse = make_warehouse()
    run_statement(warehouse, f"DROP TABLE IF EXISTS {PIPELINE.fact_table.name}")
    filled = fill(warehouse, events.head(0), projections=False)
    for projection in PROJECTIONS:
        run_statement(warehouse, f"ALTER TABLE patrol_events DROP PROJECTION IF EXISTS {projection.name}")
    return fill(filled, events, projections=False)


def risk_by_hand(events: pd.DataFrame, key: str, as_of: datetime, half_life_hours: float) -> pd.Series:
    """Sum score·2^(−age/half-life) event by event, leaving out what is older than 53 half-lives."""
    counted = events[events[key].notna() & (events["event_timestamp"] <= as_of)]
    ages = (as_of - counted["event_timestamp"]) / pd.Timedelta(hours=1)
    counted = counted.assign(risk=counted["base_risk_score"] * np.exp2(-ages / half_life_hours))
    return counted.groupby(key)["risk"].sum()


def assert_risk(found: pd.DataFrame, column: str, expected: pd.Series, tolerance: float = 1e-9) -> None:
    """Compare by hotspot; what the frame leaves out must be below double precision."""
    known = dict(zip(found["hotspot_id"], found[column], strict=True))
    assert set(known) <= set(expected.index)
    for hotspot, risk in expected.items():
        assert known.get(hotspot, 0.0) == pytest.approx(risk, rel=tolerance, abs=1e-12)


@pytest.mark.parametrize("half_life_hours", [72.0, 31.7, 1.0, 8_760.0])
@pytest.mark.parametrize("as_of", INSTANTS)
def test_hotspot_risk_is_the_sum_over_the_events(
    facts: Engine, events: pd.DataFrame, as_of: datetime, half_life_hours: float
) -> None:
    found = hotspot_risk(facts, as_of, half_life_hours, pipeline=PIPELINE)
    week_before = as_of - timedelta(days=7)
    assert_risk(found, "risk", risk_by_hand(events, "hotspot_id", as_of, half_life_hours))
    before = risk_by_hand(events, "hotspot_id", week_before, half_life_hours)
    zeros = pd.Series(0.0, index=found["hotspot_id"])
    assert_risk(found, "risk_week_before", before.combine_first(zeros))
    assert list(found["risk"]) == sorted(found["risk"], reverse=True)
    assert list(found["change"]) == list(found["risk"] - found["risk_week_before"])


def test_the_projection_and_the_rows_agree_at_random_instants(facts: Engine, bare_facts: Engine) -> None:
    random = np.random.default_rng(11)
    for seconds in random.uniform(0, NIGHTS * 86_400, 4):
        as_of = datetime(2026, 3, 1, 0, 30, tzinfo=UTC) + timedelta(seconds=float(seconds))
        for question in (hotspot_risk, emerging_threats, station_activity, officer_activity, incident_heatmap):
            with_projections = question(facts, as_of, pipeline=PIPELINE)
            without = question(bare_facts, as_of, pipeline=PIPELINE)
            pd.testing.assert_frame_equal(with_projections, without, rtol=1e-9, atol=1e-9)


PROJECTION_OF = {
    "hotspot_risk": "hotspot_nights_72h",
    "station_activity": "station_nights",
    "officer_activity": "officer_nights",
    "incident_heatmap": "incident_cells_72h",
    "emerging_threats": "incident_cells_72h",
}
PARAMETERS = {"half_life_hours": 72.0, "since": date(2026, 3, 5), "resolution": 9, "limit": 20}
AS_OF = datetime(2026, 6, 20, 18, 17, 3, 250_001, tzinfo=UTC)


def ask_with(warehouse: Engine, name: str, settings: str, **changes: object) -> pd.DataFrame:
    question = write_question(name, warehouse, AS_OF, PIPELINE, {**PARAMETERS, **changes})
    return query_df(warehouse, f"{question} SETTINGS {settings}")


def ask_view(warehouse: Engine, name: str, settings: str) -> pd.DataFrame:
    """Ask the view itself, as any client can, which has to work out all that `write_question` knows."""
    wanted = {"as_of": "2026-06-20 18:17:03.250001", **PARAMETERS}
    written = view_statement(name, PIPELINE.fact_table)
    given = ", ".join(f"{key} = '{value}'" for key, value in wanted.items() if f"{{{key}:" in written)
    return query_df(warehouse, f"SELECT * FROM {name}({given}) SETTINGS {settings}")


@pytest.mark.parametrize("name", VIEWS)
def test_whole_nights_are_read_from_the_projection(facts: Engine, name: str) -> None:
    forced = f"force_optimize_projection = 1, force_optimize_projection_name = '{PROJECTION_OF[name]}'"
    assert not ask_with(facts, name, forced).empty


@pytest.mark.parametrize("name", ["hotspot_risk", "emerging_threats"])
def test_another_half_life_is_summed_from_the_rows(facts: Engine, name: str) -> None:
    forced = f"force_optimize_projection_name = '{PROJECTION_OF[name]}'"
    with pytest.raises(SentinelError, match=PROJECTION_OF[name]):
        ask_with(facts, name, forced, half_life_hours=72.5)


@pytest.mark.parametrize("name", VIEWS)
def test_the_view_gives_what_the_function_gives(facts: Engine, name: str) -> None:
    create_views(facts, PIPELINE.fact_table, PIPELINE.zone)
    asked = ask_with(facts, name, "max_threads = 1")
    forced = f"max_threads = 1, force_optimize_projection_name = '{PROJECTION_OF[name]}'"
    pd.testing.assert_frame_equal(ask_view(facts, name, forced), asked)


@pytest.mark.parametrize("as_of", INSTANTS)
def test_stations_and_officers_are_counted_as_pandas_counts_them(
    facts: Engine, events: pd.DataFrame, as_of: datetime
) -> None:
    since = date(2026, 3, 20)
    counted = events[(events["event_timestamp"] <= as_of) & (events["shift_date"] >= since)]
    for question, key in ((station_activity, "station_id"), (officer_activity, "officer_id")):
        found = question(facts, as_of, since=since, pipeline=PIPELINE).set_index(key)
        groups = counted.groupby(key)
        assert dict(found["events"]) == dict(groups.size())
        assert dict(found["patrols"]) == dict(groups["patrol_id"].nunique())
        assert dict(found["risk_points"]) == pytest.approx(dict(groups["base_risk_score"].sum()), rel=1e-12)
        assert dict(found["last_event"]) == dict(groups["event_timestamp"].max())
        if key == "station_id":
            assert dict(found["officers"]) == dict(groups["officer_id"].nunique())
            assert dict(found["nights_active"]) == dict(groups["shift_date"].nunique())


def cells_by_hand(events: pd.DataFrame, resolution: int) -> pd.Series:
    """Ask the h3 library, position by position; NULL where there is none on Earth."""

    def find(latitude: object, longitude: object) -> str | None:
        if pd.isna(latitude) or pd.isna(longitude) or abs(latitude) > 90 or abs(longitude) > 180:
            return None
        cell = h3.latlng_to_cell(latitude, longitude, max(resolution, 9))
        return cell if resolution >= 9 else h3.cell_to_parent(cell, resolution)

    pairs = zip(events["latitude"], events["longitude"], strict=True)
    return pd.Series([find(*pair) for pair in pairs], index=events.index)


@pytest.mark.parametrize("resolution", [5, 8, 9, 11])
def test_heatmap_cells_are_those_of_the_h3_library(facts: Engine, events: pd.DataFrame, resolution: int) -> None:
    counted = events[(events["event_timestamp"] <= AS_OF) & (events["base_risk_score"] > 0)]
    cells = cells_by_hand(counted, resolution)
    found = incident_heatmap(facts, AS_OF, resolution, pipeline=PIPELINE)
    assert dict(zip(found["cell"], found["events"], strict=True)) == dict(cells.value_counts())
    assert found.attrs["events_without_position"] == cells.isna().sum() > 0
    for column in ("latitude", "longitude"):
        means = counted.groupby(cells)[column].mean()
        assert dict(zip(found["cell"], found[column], strict=True)) == pytest.approx(dict(means), rel=1e-12)


@pytest.mark.parametrize("order", ["lat_lon", "lon_lat"])
def test_cells_do_not_depend_on_the_servers_argument_order(bare_facts: Engine, facts: Engine, order: str) -> None:
    create_views(bare_facts, PIPELINE.fact_table, PIPELINE.zone)
    expected = ask_with(facts, "incident_heatmap", "max_threads = 1")
    setting = f"geotoh3_argument_order = '{order}'"
    terms = Terms(PIPELINE.zone, AS_OF, latitude_first=order == "lat_lon")
    question = fill_in(view_statement("incident_heatmap", PIPELINE.fact_table, terms), PARAMETERS)
    for found in (
        ask_view(bare_facts, "incident_heatmap", setting),
        query_df(bare_facts, f"{question} SETTINGS {setting}"),
    ):
        pd.testing.assert_frame_equal(found, expected, rtol=1e-12)


def count_weeks(events: pd.DataFrame, cells: pd.Series, as_of: datetime) -> pd.DataFrame:
    """Count each cell's incidents in the seven days up to as_of, and in those of the weeks before."""
    ages = as_of - events["event_timestamp"]
    back = (ages // pd.Timedelta(days=7)).where(ages >= pd.Timedelta(0), -1)
    counted = pd.crosstab(cells, back).reindex(columns=range(REFERENCE_WEEKS + 1), fill_value=0)
    return counted[counted.sum(axis=1) > 0]


@pytest.mark.parametrize("as_of", INSTANTS[:4])
@pytest.mark.parametrize("half_life_hours", [72.0, 100.0, 1.0])
@pytest.mark.parametrize("resolution", [7, 9])
def test_a_threat_is_measured_against_its_own_share_of_the_weeks_before(
    facts: Engine, events: pd.DataFrame, as_of: datetime, half_life_hours: float, resolution: int
) -> None:
    scored = events[events["base_risk_score"] > 0]
    scored = scored.assign(cell=cells_by_hand(scored, resolution))
    weeks = count_weeks(scored, scored["cell"], as_of)
    judged = judge_cells(weeks.to_numpy("int64"))
    judged.index = weeks.index[judged.index]
    named = judged[judged["q_value"] <= FALSE_DISCOVERY_RATE].sort_values("p_value")
    found = emerging_threats(facts, as_of, half_life_hours, resolution=resolution, limit=10_000, pipeline=PIPELINE)
    assert not found.empty
    assert set(found["cell"]) == set(named.index)
    assert list(found["p_value"]) == sorted(found["p_value"])
    assert set(found["weeks"]) == {REFERENCE_WEEKS}
    risk = risk_by_hand(scored, "cell", as_of, half_life_hours)
    by_cell = found.set_index("cell")
    assert dict(by_cell["risk"]) == pytest.approx({cell: risk[cell] for cell in by_cell.index}, rel=1e-9, abs=1e-9)
    assert dict(by_cell["by_chance"]) == pytest.approx(dict(named["p_value"] * len(judged)), rel=1e-6)
    for column in ("events", "expected", "p_value", "q_value"):
        assert dict(by_cell[column]) == pytest.approx(dict(named[column]), rel=1e-6)


COUNTS = [1, 2, 3, 5, 8, 13, 30, 60, 150, 400, 1_000, 5_000]
MEANS = [0.01, 0.126, 0.9, 2.5, 7.3, 29.7, 58.0, 140.0, 970.0, 4_900.0]
VARIANCES = [1.0002, 1.02, 1.125, 1.5, 2.3, 6.0, 25.0]


def test_the_servers_tail_of_the_negative_binomial_is_scipys(facts: Engine) -> None:
    template = find_templates("sentinel_etl.warehouse").get_template("surprise.sql.j2")
    tail = template.make_module().upper_tail("count", "mean", "variance")
    grid = [(k, mean, ratio) for k in COUNTS for mean in MEANS for ratio in VARIANCES]
    rows = ", ".join(f"({k}, {mean}, {ratio})" for k, mean, ratio in grid)
    names = "row.1 AS count, row.2 AS mean, row.3 AS variance"
    asked = f"SELECT {tail} AS tail FROM (SELECT arrayJoin([{rows}]) AS row, {names})"
    found = query_df(facts, asked)["tail"].to_numpy()
    for (k, mean, ratio), value in zip(grid, found, strict=True):
        expected = stats.nbinom.sf(k - 1, mean / (ratio - 1), 1 / ratio) if k > mean else 1.0
        assert value == pytest.approx(expected, rel=1e-6, abs=1e-290), (k, mean, ratio)


def test_a_quiet_corner_that_turns_is_named_and_a_bad_one_that_is_as_bad_as_ever_is_not(warehouse: Engine) -> None:
    nights = [datetime(2026, 6, 20, 18, 0, tzinfo=UTC) - timedelta(days=day) for day in range(77)]
    bad = [(moment, 80.0, 12.95, 77.55) for moment in nights]
    turned = [(moment, 30.0, 12.99, 77.61) for moment in nights[:5]]
    found = emerging_threats(fill(warehouse, place_events(*bad, *turned)), nights[0], pipeline=PIPELINE)
    assert list(found["cell"]) == [h3.latlng_to_cell(12.99, 77.61, 9)]
    assert (found["events"][0], found["by_chance"][0] < 0.01) == (5, True)


def test_a_city_that_gets_busier_everywhere_or_lacks_nights_has_no_emerging_place(warehouse: Engine) -> None:
    """A place is judged by its share of the city: what happens to all of it is told by the gates on volumes."""
    start = datetime(2026, 6, 20, 18, 0, tzinfo=UTC)
    spots = [(12.9 + 0.01 * n, 77.55) for n in range(8)]
    missing = {*range(8, 14), 30}
    events = [
        (start - timedelta(days=day, minutes=n), 30.0, *spot)
        for day in range(77)
        if day not in missing
        for spot in spots
        for n in range(12 if day < 7 else 6)
    ]
    assert emerging_threats(fill(warehouse, place_events(*events)), start, pipeline=PIPELINE).empty


def test_nothing_is_a_threat_while_there_is_nothing_to_compare_with(facts: Engine) -> None:
    """One week alone does not tell how far counts scatter."""
    first_week = datetime(2026, 3, 8, 0, 0, tzinfo=UTC)
    assert emerging_threats(facts, first_week, pipeline=PIPELINE).empty
    assert emerging_threats(facts, first_week + timedelta(days=9), pipeline=PIPELINE).empty
    assert set(emerging_threats(facts, IN_THE_FOURTH_WEEK, pipeline=PIPELINE)["weeks"]) == {2}


def test_projections_follow_rows_through_redo_upon_redo(warehouse: Engine) -> None:
    rows = make_events(2_000)
    table = PIPELINE.fact_table
    fill(warehouse, rows.head(0))
    window = Window(datetime(2026, 3, 1, 0, 30, tzinfo=UTC), LAST_MORNING)
    may = Window(datetime(2026, 5, 4, 0, 30, tzinfo=UTC), datetime(2026, 5, 20, 0, 30, tzinfo=UTC))
    in_may = (rows["event_timestamp"] >= may.start) & (rows["event_timestamp"] < may.end)
    # A part of the parts' rows goes, all of them, and some from parts that have lost rows before.
    redone = {"first": (window, 1), "some": (may, 2), "all": (window, 3), "some again": (may, 4), "once more": (may, 5)}
    found = rows
    for run, (of, factor) in redone.items():
        touched = in_may if of is may else in_may | True
        found = found.assign(base_risk_score=found["base_risk_score"].where(~touched, rows["base_risk_score"] * factor))
        staging = create_staging(table, run.replace(" ", "_"), warehouse)
        staged = found[touched]
        for part in (staged[:150], staged[150:]):
            load_columns(warehouse, staging, part)
        months = [f"2026{month:02}" for month in range(3, 7)]
        publish_window(staging, table, of, ["REMARK"], months, False, warehouse, Turn(run.replace(" ", "_")))
        ranked = hotspot_risk(warehouse, LAST_MORNING, pipeline=PIPELINE)
        assert_risk(ranked, "risk", risk_by_hand(found, "hotspot_id", LAST_MORNING, 72.0))
        for name in VIEWS:
            # The first night of all, which this one also asks for, is read where a part has rows that are masked.
            forced = f"force_optimize_projection_name = '{PROJECTION_OF[name]}'"
            with_projections = ask_with(
                warehouse, name, "optimize_use_projections = 1" if name == "emerging_threats" else forced
            )
            without = ask_with(warehouse, name, "optimize_use_projections = 0")
            pd.testing.assert_frame_equal(with_projections, without, rtol=1e-9)
        there = "active AND database = currentDatabase() AND table = 'patrol_events'"
        [[unprojected]] = run_statement(
            warehouse, f"SELECT countIf(length(projections) < 4) FROM system.parts WHERE {there}"
        )
        assert unprojected == 0


@pytest.mark.parametrize("unscored", ["the first part", "the last part"])
def test_a_switch_by_partition_moves_one_part_also_where_a_staged_part_has_no_score(
    warehouse: Engine, unscored: str
) -> None:
    events = make_events(4_000)
    march = events[events["shift_date"] < date(2026, 4, 1)].reset_index(drop=True)
    parts = [march.assign(base_risk_score=0.0)[:500], march[500:]]
    prepare_fact_table(warehouse, PIPELINE.fact_table, PIPELINE.zone)
    staging = create_staging(PIPELINE.fact_table, "two_parts", warehouse)
    for part in parts if unscored == "the first part" else reversed(parts):
        load_columns(warehouse, staging, part)
    how = switch_by_partition(PIPELINE.fact_table, staging, ["202603"], false(), warehouse, Turn("two_parts"))
    assert how == "attach 202603"
    there = "active AND database = currentDatabase() AND table = 'patrol_events'"
    [found] = run_statement(warehouse, f"SELECT sum(rows), count() FROM system.parts WHERE {there}")
    assert tuple(found) == (len(march), 1)


def projections_of(warehouse: Engine) -> set[str]:
    names = "SELECT name FROM system.projections WHERE database = currentDatabase() AND table = 'patrol_events'"
    return {row[0] for row in run_statement(warehouse, names)}


def statements_of(warehouse: Engine, action: Callable[[], object]) -> list[str]:
    """List the statements that an action sends."""
    sent: list[str] = []

    def note(connection: object, statement: object, *rest: object) -> None:
        sent.append(" ".join(str(statement).split()))

    event.listen(warehouse, "before_execute", note)
    try:
        action()
    finally:
        event.remove(warehouse, "before_execute", note)
    return sent


def test_a_fact_table_is_made_with_projections_and_views(warehouse: Engine) -> None:
    prepare_fact_table(warehouse, PIPELINE.fact_table, PIPELINE.zone)
    assert projections_of(warehouse) == {projection.name for projection in PROJECTIONS}
    kinds = run_statement(warehouse, "SELECT engine, name FROM system.tables WHERE database = currentDatabase()")
    assert sorted(map(tuple, kinds)) == [("MergeTree", "patrol_events"), *(("View", name) for name in sorted(VIEWS))]


def test_a_fact_table_that_is_as_it_should_be_costs_three_looks_at_the_catalog(warehouse: Engine) -> None:
    prepare_fact_table(warehouse, PIPELINE.fact_table, PIPELINE.zone)
    sent = statements_of(warehouse, lambda: prepare_fact_table(warehouse, PIPELINE.fact_table, PIPELINE.zone))
    create, *looks = sent
    assert create.startswith("CREATE TABLE IF NOT EXISTS")
    read = [look.partition(" FROM ")[2].partition(" ")[0] for look in looks]
    assert read == ["system.columns", "system.tables", "system.tables"]


def test_a_table_from_before_gets_its_projections_and_keeps_those_it_has(warehouse: Engine) -> None:
    create_table(warehouse, PIPELINE.fact_table)
    assert add_projections(warehouse, PIPELINE.fact_table) == [projection.name for projection in PROJECTIONS]
    run_statement(warehouse, "ALTER TABLE patrol_events DROP PROJECTION station_nights")
    assert add_projections(warehouse, PIPELINE.fact_table) == ["station_nights"]
    assert add_projections(warehouse, PIPELINE.fact_table) == []
    assert projections_of(warehouse) == {projection.name for projection in PROJECTIONS}


def test_a_view_of_another_version_is_replaced_and_nothing_else_is_touched(warehouse: Engine) -> None:
    prepare_fact_table(warehouse, PIPELINE.fact_table, PIPELINE.zone)
    assert create_views(warehouse, PIPELINE.fact_table, PIPELINE.zone) == []
    elsewhere = replace(PIPELINE, zone=ZoneInfo("Europe/London"))
    assert create_views(warehouse, elsewhere.fact_table, elsewhere.zone) == list(VIEWS)
    assert create_views(warehouse, elsewhere.fact_table, elsewhere.zone) == []


@pytest.mark.parametrize(
    "theirs",
    [
        pytest.param("TABLE hotspot_risk (n Int64) ENGINE = MergeTree ORDER BY n", id="a table"),
        pytest.param("VIEW hotspot_risk AS SELECT 1 AS n", id="a view"),
        pytest.param(
            "VIEW hotspot_risk AS SELECT 1 AS n COMMENT 'sentinel-etl hotspot_risk of other_events, version 0'",
            id="another fact table's view",
        ),
    ],
)
def test_what_others_have_by_a_views_name_is_left_alone(warehouse: Engine, theirs: str) -> None:
    run_statement(warehouse, f"CREATE {theirs}")
    prepare_fact_table(warehouse, PIPELINE.fact_table, PIPELINE.zone)
    assert list(query_df(warehouse, "SELECT * FROM hotspot_risk").columns) == ["n"]


def test_two_that_prepare_the_same_fact_table_at_once_do_not_get_in_each_others_way(warehouse: Engine) -> None:
    with ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(prepare_fact_table, warehouse, PIPELINE.fact_table, PIPELINE.zone) for _ in range(4)]:
            done.result()
    assert projections_of(warehouse) == {projection.name for projection in PROJECTIONS}
    assert create_views(warehouse, PIPELINE.fact_table, PIPELINE.zone) == []


def test_a_table_gets_the_projections_that_its_columns_allow() -> None:
    assert projection_statement(PIPELINE.fact_table)[0] == [projection.name for projection in PROJECTIONS]
    assert projection_statement(Table("other", MetaData(), Column("event_id", INTEGER)))[0] == []


@pytest.mark.parametrize("zone", ["Asia/Kolkata", "Europe/London", "America/St_Johns", "Pacific/Kiritimati"])
def test_the_server_reckons_an_instants_night_as_the_loader_does(facts: Engine, zone: str) -> None:
    quarter_hours = [datetime(2026, month, day, tzinfo=UTC) for month, day in ((3, 7), (3, 28), (10, 24), (10, 31))]
    instants = [start + timedelta(minutes=15 * n) for start in quarter_hours for n in range(250)]
    array = ", ".join(f"'{instant:%Y-%m-%d %H:%M:%S}'" for instant in instants)
    nights = find_templates("sentinel_etl.warehouse").get_template("nights.sql.j2")
    terms = {"zone": zone, "night_starts": NIGHT_STARTS.hour}
    night = nights.make_module(terms).night_of("toDateTime64(instant, 6, 'UTC')")
    found = query_df(facts, f"SELECT {night} AS night FROM (SELECT arrayJoin([{array}]) AS instant)")
    assert list(found["night"]) == [shift_date_of(instant, ZoneInfo(zone)) for instant in instants]


@pytest.mark.parametrize(
    ("question", "message"),
    [
        pytest.param(
            lambda w: hotspot_risk(w, datetime(2026, 6, 1)), "as_of: expected a datetime with a time", id="naive"
        ),
        pytest.param(lambda w: hotspot_risk(w, datetime(2200, 1, 1, tzinfo=UTC)), "as_of: expected a year", id="far"),
        pytest.param(lambda w: hotspot_risk(w, AS_OF, 0), "half_life_hours: expected", id="half-life"),
        pytest.param(lambda w: station_activity(w, AS_OF, since=AS_OF), "since: expected the date", id="instant"),
        pytest.param(lambda w: incident_heatmap(w, AS_OF, 16), "resolution: expected", id="resolution"),
        pytest.param(lambda w: emerging_threats(w, AS_OF, limit=0), "limit: expected", id="limit"),
    ],
)
def test_a_question_that_cannot_be_is_refused_before_it_is_asked(
    facts: Engine, question: Callable[[Engine], object], message: str
) -> None:
    with pytest.raises(ConfigurationError, match=f"^{message}"):
        question(facts)
