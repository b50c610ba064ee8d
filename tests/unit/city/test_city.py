from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from source_kinds import NEEDS_LETTERS

from sentinel_etl import city as city_package
from sentinel_etl.city import EMERGENCY_CATEGORIES, City, city_tables, night_tables
from sentinel_etl.city.rhythm import hotspot_heat, night_volume
from sentinel_etl.config.source_models import SourceBase
from sentinel_etl.errors import ConfigurationError

CITY = City()
THURSDAY, SATURDAY = date(2026, 11, 19), date(2026, 11, 21)
NIGHTLY = (
    "patrols",
    "patrol_logs",
    "remarks",
    "vehicle_checks",
    "stranger_encounters",
    "emergency_incidents",
    "feedback",
    "geofence_logs",
)
SENT_BY_PHONE = NIGHTLY[1:]
OFFICER_COLUMNS = ("created_by_officer_id", "assigned_to_officer_id")


@pytest.fixture(scope="module")
def static() -> dict[str, pa.Table]:
    return city_tables(CITY)


@pytest.fixture(scope="module")
def night() -> dict[str, pa.Table]:
    return night_tables(CITY, THURSDAY, 20_000)


def events_by_type(tables: dict[str, pa.Table]) -> dict[str, int]:
    """Count a night's rows the way EVENT_CONFIG reads them."""
    patrols, remarks, checks = tables["patrols"], tables["remarks"], tables["vehicle_checks"]
    completed = patrols.filter(pc.equal(patrols["patrol_status"], "COMPLETED"))["patrol_id"]
    visits = remarks.filter(pc.is_in(remarks["patrol_id"], value_set=completed.combine_chunks()))
    return {
        "PATROL_STATUS": tables["patrol_logs"].num_rows,
        "REMARK": remarks.num_rows,
        "HIGH_INTEGRITY_VISITS": visits.num_rows - visits["hotspot_id"].null_count,
        "PRIORITY_CHANGE": remarks.num_rows - remarks["new_priority_ranking"].null_count,
        "VEHICLE_CHECK": checks.num_rows,
        "SUSPICIOUS_VEHICLE": pc.sum(checks["suspicious_activity"]).as_py() or 0,
        "STRANGER_ENCOUNTER": tables["stranger_encounters"].num_rows,
        "EMERGENCY_INCIDENT": tables["emergency_incidents"].num_rows,
        "FEEDBACK": tables["feedback"].num_rows,
        "GEOFENCE": tables["geofence_logs"].num_rows,
    }


def ids(table: pa.Table, column: str) -> set[int]:
    return set(pc.drop_null(table[column]).to_pylist())


def share(mask: pa.ChunkedArray) -> float:
    return float(pc.mean(pc.fill_null(mask, False)).as_py())


def test_all_lists_the_public_names() -> None:
    assert city_package.__all__ == [
        "EMERGENCY_CATEGORIES",
        "City",
        "city_tables",
        "create_source_tables",
        "load_city",
        "load_night",
        "load_nights",
        "night_tables",
    ]


@pytest.mark.parametrize("name", SourceBase.metadata.tables)
def test_every_table_has_exactly_its_models_columns(
    name: str, static: dict[str, pa.Table], night: dict[str, pa.Table]
) -> None:
    model = SourceBase.metadata.tables[name]
    assert (static | night)[name].column_names == [column.name for column in model.columns]


@pytest.mark.parametrize("name", SourceBase.metadata.tables)
def test_columns_that_the_model_requires_have_no_nulls(
    name: str, static: dict[str, pa.Table], night: dict[str, pa.Table]
) -> None:
    table = (static | night)[name]
    required = [column.name for column in SourceBase.metadata.tables[name].columns if not column.nullable]
    assert {column: table[column].null_count for column in required} == dict.fromkeys(required, 0)


@pytest.mark.parametrize("name", SourceBase.metadata.tables)
def test_every_foreign_key_finds_its_row(name: str, static: dict[str, pa.Table], night: dict[str, pa.Table]) -> None:
    tables = static | night
    for key in SourceBase.metadata.tables[name].foreign_keys:
        referred = ids(tables[key.column.table.name], key.column.name)
        assert ids(tables[name], key.parent.name) <= referred, key.parent.name


def test_an_equal_city_has_equal_rows() -> None:
    assert city_tables(City()) == city_tables(City(seed=20))
    assert city_tables(City()) != city_tables(City(seed=21))


def test_a_night_is_the_same_every_time_it_is_generated() -> None:
    assert night_tables(City(), THURSDAY, 2_000) == night_tables(City(), THURSDAY, 2_000)


@pytest.mark.parametrize(
    "other",
    [(City(seed=21), THURSDAY, 2_000), (CITY, SATURDAY, 2_000), (CITY, THURSDAY, 2_001)],
    ids=["seed", "date", "events"],
)
def test_another_seed_date_or_size_is_another_night(other: tuple[City, date, int]) -> None:
    one, another = night_tables(CITY, THURSDAY, 2_000), night_tables(*other)
    for name in NIGHTLY:
        if "latitude" in one[name].column_names:
            assert one[name]["latitude"].to_pylist()[:20] != another[name]["latitude"].to_pylist()[:20]


def test_a_night_does_not_depend_on_the_nights_generated_before_it() -> None:
    alone = night_tables(City(), SATURDAY, 1_000)
    night_tables(City(), SATURDAY - timedelta(days=1), 3_000)
    assert night_tables(City(), SATURDAY, 1_000) == alone


def test_ids_tell_the_date_and_never_collide(night: dict[str, pa.Table]) -> None:
    first = (THURSDAY - date(2000, 1, 1)).days * 10_000_000
    for name in NIGHTLY:
        assert night[name].column(0).to_pylist() == list(range(first, first + night[name].num_rows))


@pytest.mark.parametrize("shift_date", [THURSDAY + timedelta(days=n) for n in range(14)], ids=str)
def test_every_event_type_occurs_on_a_night_of_500(shift_date: date) -> None:
    assert min(events_by_type(night_tables(CITY, shift_date, 500)).values()) > 0


@pytest.mark.parametrize("events", [500, 5_000, 20_000, 150_000])
def test_the_ten_event_types_add_up_to_the_nights_volume(events: int) -> None:
    counts = events_by_type(night_tables(CITY, THURSDAY, events))
    assert sum(counts.values()) == night_volume(CITY, THURSDAY, events)
    assert 0.8 * events < sum(counts.values()) < 1.1 * events


def test_geofence_crossings_are_the_largest_share_and_dominate_large_nights() -> None:
    for events, least in ((5_000, 0.3), (300_000, 0.6)):
        counts = events_by_type(night_tables(CITY, THURSDAY, events))
        assert max(counts, key=lambda name: counts[name]) == "GEOFENCE"
        assert counts["GEOFENCE"] > least * sum(counts.values())


def test_a_night_of_one_event_is_still_a_night() -> None:
    assert all(table.num_rows > 0 for table in night_tables(CITY, THURSDAY, 1).values())


@pytest.mark.parametrize("zone", ["Asia/Kolkata", "UTC", "America/New_York"])
@pytest.mark.parametrize("shift_date", [THURSDAY, date(2026, 3, 7), date(2026, 10, 31)], ids=str)
def test_every_event_falls_into_the_operational_night(zone: str, shift_date: date) -> None:
    local = ZoneInfo(zone)
    begins = datetime(shift_date.year, shift_date.month, shift_date.day, 6, tzinfo=local)
    ends = begins + timedelta(days=1)
    tables = night_tables(City(timezone=zone), shift_date, 20_000)
    for name in SENT_BY_PHONE:
        span = pc.min_max(tables[name]["created_at"]).as_py()
        assert begins <= span["min"].astimezone(local) <= span["max"].astimezone(local) < ends, name
    assert begins <= pc.min(tables["patrols"]["start_time"]).as_py().astimezone(local)
    assert pc.max(tables["patrols"]["end_time"]).as_py().astimezone(local) < ends


def test_most_events_fall_into_the_night_shift_and_some_incidents_do_not(night: dict[str, pa.Table]) -> None:
    dark = datetime(2026, 11, 19, 22, tzinfo=ZoneInfo(CITY.timezone)).astimezone(UTC)
    by_day = {name: share(pc.less(night[name]["created_at"], pa.scalar(dark))) for name in SENT_BY_PHONE}
    assert by_day["geofence_logs"] < 0.08
    assert 0.05 < by_day["emergency_incidents"] < 0.25


def test_timestamps_have_microseconds(night: dict[str, pa.Table]) -> None:
    assert len(set(pc.microsecond(night["geofence_logs"]["created_at"]).to_pylist())) > 500


def test_a_patrols_log_runs_from_started_over_pauses_to_finished(night: dict[str, pa.Table]) -> None:
    logs = night["patrol_logs"].sort_by([("patrol_id", "ascending"), ("created_at", "ascending")])
    of_patrol: dict[int, list[str]] = {}
    for patrol, status in zip(logs["patrol_id"].to_pylist(), logs["patrol_status"].to_pylist(), strict=True):
        of_patrol.setdefault(patrol, []).append(status)
    outcome = dict(
        zip(
            night["patrols"]["patrol_id"].to_pylist(),
            night["patrols"]["patrol_status"].to_pylist(),
            strict=True,
        )
    )
    for patrol, sequence in of_patrol.items():
        finished = outcome[patrol] in {"COMPLETED", "ABORTED"}
        pauses = (len(sequence) - 1 - finished) // 2
        assert sequence == ["started", *["paused", "resumed"] * pauses, *["finished"] * finished]
    assert set(of_patrol) == {patrol for patrol, status in outcome.items() if status != "PLANNED"}


def test_most_patrols_complete_and_every_outcome_occurs(night: dict[str, pa.Table]) -> None:
    outcomes = night["patrols"]["patrol_status"].to_pylist()
    assert set(outcomes) == {"PLANNED", "IN_PROGRESS", "COMPLETED", "ABORTED"}
    assert outcomes.count("COMPLETED") > 0.75 * len(outcomes)


def test_patrols_visit_their_hotspots_in_the_planned_order(night: dict[str, pa.Table]) -> None:
    planned_ones = night["patrols"].filter(night["patrols"]["hotspots_to_visit"].is_valid())
    assert 0.9 * night["patrols"].num_rows < planned_ones.num_rows < night["patrols"].num_rows
    for patrol in planned_ones.to_pylist():
        planned, visited = patrol["hotspots_to_visit"], patrol["visited_hotspots"]
        assert len(set(planned)) == len(planned) > 0
        if patrol["patrol_status"] == "PLANNED":
            assert visited is None
        else:
            assert visited == [hotspot for hotspot in planned if hotspot in visited]


def test_hotspots_crew_and_vehicle_belong_to_the_patrols_station(night: dict[str, pa.Table]) -> None:
    for patrol in night["patrols"].to_pylist():
        station = patrol["station_id"]
        assert {hotspot // 100 for hotspot in patrol["hotspots_to_visit"] or []} <= {station}
        assert patrol["vehicle_id"] is None or patrol["vehicle_id"] // 100 == station
        assert {officer // 1_000 for officer in patrol["assigned_crew_ids"] or []} <= {station}


def test_the_lead_is_first_of_the_crew_and_nobody_is_in_it_twice(night: dict[str, pa.Table]) -> None:
    crews = night["patrols"].filter(night["patrols"]["assigned_crew_ids"].is_valid())
    assert 0 < crews.num_rows < night["patrols"].num_rows
    for lead, crew in zip(
        crews["assigned_to_officer_id"].to_pylist(), crews["assigned_crew_ids"].to_pylist(), strict=True
    ):
        assert crew[0] == lead
        assert len(set(crew)) == len(crew)


def test_on_an_ordinary_night_nobody_serves_twice_in_a_watch() -> None:
    patrols = night_tables(CITY, THURSDAY, 5_000)["patrols"].to_pylist()
    for one in patrols:
        for other in patrols:
            if one["patrol_id"] < other["patrol_id"] and one["start_time"].hour == other["start_time"].hour:
                assert not set(one["assigned_crew_ids"] or []) & set(other["assigned_crew_ids"] or [])


def test_arrays_are_filled_empty_and_absent() -> None:
    patrols = night_tables(CITY, SATURDAY, 20_000)["patrols"]
    lengths = set(pc.list_value_length(patrols["visited_hotspots"]).to_pylist())
    assert {None, 0, 3} <= lengths


@pytest.mark.parametrize("name", ["remarks", "vehicle_checks", "geofence_logs"])
def test_gaps_and_zero_fixes_have_their_share(name: str, night: dict[str, pa.Table]) -> None:
    latitude, accuracy = night[name]["latitude"], night[name]["accuracy"]
    zero = pc.equal(latitude, 0.0)
    assert 0.02 < latitude.null_count / len(latitude) < 0.06
    assert latitude.null_count == accuracy.null_count == night[name]["longitude"].null_count
    assert 0.005 < share(zero) < 0.03
    assert pc.min(accuracy.filter(pc.fill_null(zero, False))).as_py() >= 1_000


def test_accuracy_is_3_to_60_metres_with_a_heavy_tail(night: dict[str, pa.Table]) -> None:
    accuracy = pc.drop_null(night["geofence_logs"]["accuracy"])
    assert pc.min(accuracy).as_py() >= 3
    assert 0.01 < share(pc.greater(accuracy, 60.0)) < 0.06
    assert 5 < pc.approximate_median(accuracy).as_py() < 15


def test_a_fence_is_crossed_near_its_hotspot(static: dict[str, pa.Table], night: dict[str, pa.Table]) -> None:
    logs = night["geofence_logs"]
    good = logs.filter(pc.less(logs["accuracy"], 20.0))
    places = static["hotspots"].select(["hotspot_id", "latitude", "longitude"])
    near = good.select(["hotspot_id", "latitude", "longitude"]).join(places, "hotspot_id", right_suffix="_of_hotspot")
    north = (near["latitude"].to_numpy() - near["latitude_of_hotspot"].to_numpy()) * 110_630
    east = (near["longitude"].to_numpy() - near["longitude_of_hotspot"].to_numpy()) * 108_500
    assert float(np.quantile(np.hypot(north, east), 0.99)) < 120


def test_speed_is_that_of_a_vehicle_and_heading_a_bearing(night: dict[str, pa.Table]) -> None:
    speed, heading = (pc.drop_null(night["geofence_logs"][name]) for name in ("speed", "heading"))
    assert pc.min(speed).as_py() >= 0
    assert pc.max(speed).as_py() < 30
    assert pc.min(heading).as_py() >= 0
    assert pc.max(heading).as_py() < 360


def test_crossings_enter_before_they_exit(night: dict[str, pa.Table]) -> None:
    logs = night["geofence_logs"]
    crossed = logs.filter(pc.not_equal(logs["geofence_event_type"], "DWELL"))
    times: dict[tuple[int, int], dict[str, datetime]] = {}
    for row in crossed.to_pylist():
        visit = times.setdefault((row["patrol_id"], row["hotspot_id"]), {})
        visit[row["geofence_event_type"]] = row["created_at"]
    both = [visit for visit in times.values() if len(visit) == 2]
    assert len(both) > 500
    assert all(visit["ENTER"] < visit["EXIT"] for visit in both)


def test_ids_follow_arrival_and_not_the_phones_clock(night: dict[str, pa.Table]) -> None:
    logs = night["geofence_logs"]
    received, created = logs["received_at"].to_pylist(), logs["created_at"].to_pylist()
    assert received == sorted(received)
    assert created != sorted(created)


def test_most_rows_arrive_within_a_minute_and_a_few_after_the_night() -> None:
    logs = night_tables(CITY, THURSDAY, 150_000)["geofence_logs"]
    seconds = (logs["received_at"].to_numpy() - logs["created_at"].to_numpy()) / np.timedelta64(1, "s")
    closes = datetime(2026, 11, 20, 6, tzinfo=ZoneInfo(CITY.timezone)).astimezone(UTC)
    assert np.mean(seconds < 60) > 0.92
    assert 0.02 < np.mean((seconds > 150) & (seconds < 4.1 * 3_600)) < 0.04
    assert 0.002 < share(pc.greater_equal(logs["received_at"], pa.scalar(closes))) < 0.007
    assert pc.max(logs["received_at"]).as_py() < closes + timedelta(hours=10)


def test_a_few_phones_run_ahead_of_the_server(night: dict[str, pa.Table]) -> None:
    logs = night["geofence_logs"]
    ahead = pc.less(logs["received_at"], logs["created_at"])
    assert 0 < share(ahead) < 0.06
    lead = logs["created_at"].to_numpy() - logs["received_at"].to_numpy()
    assert lead.max() <= np.timedelta64(90, "s")


def test_the_control_room_opens_incidents_without_a_phone(night: dict[str, pa.Table]) -> None:
    incidents = night["emergency_incidents"]
    created, assigned = (incidents[name].is_valid().to_numpy() for name in OFFICER_COLUMNS)
    assert (created | assigned).all()
    assert {(True, True), (True, False), (False, True)} == set(zip(created, assigned, strict=True))


def test_incidents_have_known_categories_and_nested_details(night: dict[str, pa.Table]) -> None:
    incidents = night["emergency_incidents"]
    assert set(incidents["category"].to_pylist()) <= set(EMERGENCY_CATEGORIES)
    details = incidents["details"].to_pylist()
    described = [json.loads(text) for text in details if text is not None]
    assert 0 < len(described) < len(details)
    assert all(1 <= item["severity"] <= 5 and item["persons"]["involved"] > 0 for item in described)


def test_suspicion_is_true_false_and_unknown_and_explained_when_true(night: dict[str, pa.Table]) -> None:
    checks = night["vehicle_checks"]
    assert set(checks["suspicious_activity"].to_pylist()) == {True, False, None}
    suspicious = pc.fill_null(checks["suspicious_activity"], False)
    explained = checks["suspicion_details"].is_valid()
    assert share(explained.filter(suspicious)) > 0.7
    assert share(explained.filter(pc.invert(suspicious))) < 0.05


@NEEDS_LETTERS
def test_remarks_carry_every_script_and_every_awkward_character() -> None:
    texts = night_tables(CITY, SATURDAY, 20_000)["remarks"]["remark_text"]
    everything = "".join(pc.drop_null(texts).to_pylist())
    for piece in ("ಶಾಂತ", "सब", "அமைதி", "ٹھیک", "👮🏽‍♀️", "'", '"', "\\", "\n", "\t"):
        assert piece in everything, piece
    assert texts.null_count > 0
    assert "" in texts.to_pylist()
    assert max(map(len, pc.drop_null(texts).to_pylist())) > 200


def test_plates_are_mostly_clean_and_some_come_back_every_night() -> None:
    one, another = (night_tables(CITY, day, 20_000)["vehicle_checks"]["plate_number"] for day in (THURSDAY, SATURDAY))
    clean = r"^[A-Z]{2}-[0-9]{2}-[A-Z]{1,2}-[0-9]{4}$"
    assert 0.8 < share(pc.match_substring_regex(one, clean)) < 0.99
    assert len(set(one.to_pylist()) & set(another.to_pylist())) >= 30


def test_priority_rankings_stay_within_the_stations_hotspots(night: dict[str, pa.Table]) -> None:
    remarks = night["remarks"]
    span = pc.min_max(remarks["new_priority_ranking"]).as_py()
    assert span["min"] >= 1
    assert span["max"] <= CITY.hotspots_per_station
    changed = remarks.filter(remarks["new_priority_ranking"].is_valid())
    assert changed["hotspot_id"].null_count == 0


@pytest.mark.parametrize("name", ["remarks", "vehicle_checks", "stranger_encounters", "emergency_incidents"])
def test_some_rows_have_a_photo(name: str, night: dict[str, pa.Table]) -> None:
    keys = pc.drop_null(night[name]["media_ref"])
    assert 0 < len(keys) < night[name].num_rows
    assert all(key.startswith(f"patrol-media/2026/11/19/{name}/") for key in keys.to_pylist())


def test_weekends_are_busier_and_festivals_busier_still() -> None:
    volumes: dict[int, list[int]] = {}
    for n in range(140):
        day = date(2026, 3, 2) + timedelta(days=n)
        volumes.setdefault(day.weekday(), []).append(night_volume(CITY, day, 5_000))
    mean = {weekday: sum(counts) / len(counts) for weekday, counts in volumes.items()}
    assert max(mean, key=lambda weekday: mean[weekday]) == 5
    assert mean[5] > 1.25 * mean[1]
    assert 4_600 < sum(mean.values()) / 7 < 5_400
    assert night_volume(CITY, date(2026, 12, 31), 5_000) > 1.15 * mean[date(2026, 12, 31).weekday()]


def test_on_any_date_some_place_has_been_getting_worse_for_a_fortnight() -> None:
    for n in range(0, 365, 5):
        today = date(2026, 1, 1) + timedelta(days=n)
        before, now = (hotspot_heat(CITY, today - timedelta(days=back)) for back in (14, 0))
        assert (now / before).max() > 2.5


def test_notorious_places_stay_the_worst(static: dict[str, pa.Table]) -> None:
    first = static["hotspots"].slice(0, 1).to_pylist()[0]
    assert first["priority_ranking"] == 1
    yearly = np.mean([hotspot_heat(CITY, date(2026, 1, 1) + timedelta(days=n)) for n in range(0, 365, 7)], axis=0)
    assert yearly.argmax(axis=1)[0] == 0


def test_hot_places_have_more_suspicious_vehicles_per_check() -> None:
    checks = night_tables(CITY, THURSDAY, 150_000)["vehicle_checks"]
    stations = checks["patrol_id"]
    assert len(stations) > 10_000
    heat = hotspot_heat(CITY, THURSDAY)
    hot_latitude = city_tables(CITY)["hotspots"]["latitude"][int(heat.argmax())].as_py()
    near = pc.less(pc.abs(pc.subtract(checks["latitude"], hot_latitude)), 0.001)
    suspicious = pc.fill_null(checks["suspicious_activity"], False)
    assert share(suspicious.filter(pc.fill_null(near, False))) > 1.3 * share(suspicious)


def test_a_city_of_another_size_has_as_many_rows_as_it_says() -> None:
    town = City(stations=14, officers_per_station=2, vehicles_per_station=1, hotspots_per_station=1)
    rows = {name: table.num_rows for name, table in city_tables(town).items()}
    assert rows == {"stations": 14, "officers": 28, "vehicles": 14, "hotspots": 14}
    assert min(events_by_type(night_tables(town, THURSDAY, 2_000)).values()) > 0


@pytest.mark.parametrize(
    ("parameters", "complaint"),
    [
        ({"stations": 0}, "City.stations: expected 1 to 999, found 0"),
        ({"hotspots_per_station": 100}, "City.hotspots_per_station: expected 1 to 99, found 100"),
        ({"seed": -1}, "City.seed"),
        ({"timezone": "Asia/Atlantis"}, "City.timezone: expected an IANA zone"),
    ],
    ids=["no station", "too many hotspots", "negative seed", "unknown zone"],
)
def test_a_city_that_cannot_be_is_refused(parameters: dict[str, int | str], complaint: str) -> None:
    with pytest.raises(ConfigurationError, match=complaint):
        City(**parameters)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("shift_date", "events", "complaint"),
    [
        (date(1999, 12, 31), 5_000, "expected 2000-01-01 or later"),
        (THURSDAY, 0, "expected 1 to 5000000, found 0"),
        (THURSDAY, 5_000_001, "expected 1 to 5000000, found 5000001"),
    ],
    ids=["before 2000", "no events", "too many events"],
)
def test_a_night_without_room_for_its_ids_is_refused(shift_date: date, events: int, complaint: str) -> None:
    with pytest.raises(ConfigurationError, match=complaint):
        night_tables(CITY, shift_date, events)
