"""Where each fact column comes from, against tables written by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from clickhouse_sqlalchemy import Table as FactTable
from clickhouse_sqlalchemy import engines, types
from clinics import BARE, NAMED
from foreign.opera import OPERA
from payments import BY_BOTH
from pydantic import SecretStr
from sqlalchemy import (
    BigInteger,
    Column,
    DateTime,
    MetaData,
    String,
    Table,
    Text,
    and_,
    case,
    func,
    literal,
    literal_column,
    select,
    text,
    union_all,
)

from sentinel_etl.errors import ConfigurationError
from sentinel_etl.lineage.lineage import Lineage
from sentinel_etl.lineage.source_columns import columns_of, tables_of
from sentinel_etl.lineage.trace import trace_lineage
from sentinel_etl.pipeline import SENTINEL, Pipeline

TABLES = {
    "PATROL_STATUS": "patrol_logs",
    "REMARK": "remarks",
    "HIGH_INTEGRITY_VISITS": "remarks",
    "PRIORITY_CHANGE": "remarks",
    "VEHICLE_CHECK": "vehicle_checks",
    "SUSPICIOUS_VEHICLE": "vehicle_checks",
    "STRANGER_ENCOUNTER": "stranger_encounters",
    "EMERGENCY_INCIDENT": "emergency_incidents",
    "FEEDBACK": "feedback",
    "GEOFENCE": "geofence_logs",
}
KEYS = {"patrol_logs": "patrol_log_id", "feedback": "feedback_id", "geofence_logs": "geofence_log_id"}
KEYS |= {"remarks": "remark_id", "vehicle_checks": "vehicle_check_id"}
KEYS |= {"stranger_encounters": "stranger_encounter_id", "emergency_incidents": "emergency_incident_id"}
REMARKS = ("REMARK", "HIGH_INTEGRITY_VISITS", "PRIORITY_CHANGE")
CHECKS = ("VEHICLE_CHECK", "SUSPICIOUS_VEHICLE")
BY_CREATOR = ("PATROL_STATUS", *REMARKS, *CHECKS, "STRANGER_ENCOUNTER")
WITH_MEDIA = ("REMARK", *CHECKS, "STRANGER_ENCOUNTER", "EMERGENCY_INCIDENT")


def own(sources: str, *kinds: str) -> dict[str, str]:
    """Write the same columns of each event type's own table; ``~`` stands for the table."""
    return {kind: sources.replace("~", TABLES[kind]) for kind in kinds or TABLES}


# Fact column → event type → the columns it is made of, and behind ``/`` those that decide about it.
CITY: dict[str, dict[str, str]] = {
    "event_id": {kind: f"{table}.{KEYS[table]}" for kind, table in TABLES.items()},
    "patrol_id": own("~.patrol_id"),
    "officer_id": own("~.created_by_officer_id patrols.assigned_to_officer_id", *BY_CREATOR)
    | own("~.created_by_officer_id ~.assigned_to_officer_id", "EMERGENCY_INCIDENT")
    | own("~.assigned_to_officer_id", "FEEDBACK", "GEOFENCE"),
    "event_timestamp": own("~.created_at"),
    "received_at": own("~.received_at"),
    "event_date": own("~.created_at"),
    "shift_date": own("~.created_at"),
    "event_type": own(""),
    "station_id": own("patrols.station_id"),
    "vehicle_id": own("patrols.vehicle_id"),
    "latitude": own("~.latitude / ~.longitude"),
    "longitude": own("~.longitude / ~.latitude"),
    "accuracy": own("~.accuracy"),
    "speed": own("~.speed", "PATROL_STATUS", "GEOFENCE"),
    "heading": own("~.heading", "PATROL_STATUS", "GEOFENCE"),
    "hotspot_id": own("~.hotspot_id", *REMARKS, "GEOFENCE"),
    "remark_text": own("~.remark_text", "REMARK", "PRIORITY_CHANGE"),
    "remark_length": own("~.remark_text", "REMARK", "PRIORITY_CHANGE"),
    "new_priority_ranking": own("~.new_priority_ranking", "PRIORITY_CHANGE"),
    "visited_hotspots": own("patrols.visited_hotspots / ~.patrol_status", "PATROL_STATUS"),
    "hotspots_to_visit": own("patrols.hotspots_to_visit", "PATROL_STATUS"),
    "assigned_crew_ids": own("patrols.assigned_crew_ids", "PATROL_STATUS"),
    "vehicle_plate_number": own("~.plate_number", *CHECKS),
    "suspicious_activity": own("~.suspicious_activity", *CHECKS),
    "suspicion_details": own("~.suspicion_details", *CHECKS),
    "stranger_name": own("~.name", "STRANGER_ENCOUNTER"),
    "stranger_purpose": own("~.purpose", "STRANGER_ENCOUNTER"),
    "stranger_id_type": own("~.id_type", "STRANGER_ENCOUNTER"),
    "stranger_id_details": own("~.id_details", "STRANGER_ENCOUNTER"),
    "emergency_category": own("~.category", "EMERGENCY_INCIDENT"),
    "feedback_text": own("~.feedback_text", "FEEDBACK"),
    "geofence_event_type": own("~.geofence_event_type", "GEOFENCE"),
    "patrol_status_at_event": own("~.patrol_status", "PATROL_STATUS"),
    "base_risk_score": own("")
    | own("~.new_priority_ranking", "PRIORITY_CHANGE")
    | own("~.id_type", "STRANGER_ENCOUNTER")
    | own("~.category", "EMERGENCY_INCIDENT"),
    "details_json": own("~.remark_id patrols.start_time", "HIGH_INTEGRITY_VISITS")
    | own("~.details", "EMERGENCY_INCIDENT"),
    "media_ref": own("~.media_ref", *WITH_MEDIA),
    "run_id": {},
    "loaded_at": {},
}
CITY["risk_reasons"] = CITY["base_risk_score"]


def sources(lineage: Lineage) -> dict[str, dict[str, str]]:
    """Write what was found as the tables here are written."""
    found: dict[str, dict[str, str]] = {}
    for column in lineage.columns:
        found[column.column] = {}
        for origin in column.origins:
            made = " ".join(str(each) for each in origin.columns if not each.decides)
            deciding = " ".join(str(each) for each in origin.columns if each.decides)
            found[column.column][origin.event_type] = f"{made} / {deciding}".strip() if deciding else made
    return found


def steps(lineage: Lineage, column: str, event_type: str) -> tuple[str, ...]:
    [found] = [each for each in lineage.columns if each.column == column]
    [origin] = [each for each in found.origins if each.event_type == event_type]
    return origin.steps


def rules(lineage: Lineage, column: str) -> tuple[str, ...]:
    [found] = [each for each in lineage.columns if each.column == column]
    return found.rules


def test_each_column_of_the_city_has_the_sources_that_a_person_wrote_down() -> None:
    assert sources(trace_lineage(SENTINEL)) == CITY


def test_each_column_of_the_fact_table_is_told_in_its_order() -> None:
    for pipeline in (SENTINEL, OPERA, NAMED, BARE, BY_BOTH):
        assert [each.column for each in trace_lineage(pipeline).columns] == pipeline.fact_table.columns.keys()


def test_a_theatres_columns_are_found_through_aliases_and_inheritance() -> None:
    found, house = sources(trace_lineage(OPERA)), "Opera House."
    assert found["event_id"]["ORDER"] == f"{house}Order.season {house}Order.No."
    assert found["group"] == {
        "ORDER": f"{house}Order.group",
        "ORDER_LINE": f"{house}Order.group",  # of the order that is joined under another name
        "REHEARSAL": f"{house}happening.group",
        "PERFORMANCE": f"{house}happening.group",
    }
    assert found["shift_date"]["REHEARSAL"] == f"{house}happening.at"
    assert found["details_json"]["ORDER"] == f"{house}Group.User / {house}Group.limit"
    assert found["base_risk_score"]["PERFORMANCE"] == f"{house}happening.mood"
    assert found["base_risk_score"]["COMPLAINT"] == ""
    entries = {entry.event_type: entry for entry in trace_lineage(OPERA).entries}
    assert entries["PERFORMANCE"].filters == ('"Opera House".happening."Kind" IN (\'perf\')',)
    assert [str(column) for column in entries["PERFORMANCE"].filtered] == [f"{house}happening.Kind"]
    [join] = entries["ORDER_LINE"].joins
    assert join.table == '"Opera House"."Order" AS bought'
    assert [join.outer for join in entries["REHEARSAL"].joins] == [True]


def test_other_teams_columns_are_found_by_their_own_names() -> None:
    clinic = sources(trace_lineage(NAMED))
    assert clinic["urgency"] == {"ADMISSION": "clinic.admissions.urgency"}
    assert clinic["base_risk_score"] == {"ADMISSION": "clinic.admissions.urgency clinic.admissions.bed"}
    assert sources(trace_lineage(BARE))["details_json"] == {"ADMISSION": "clinic.admissions.urgency"}
    payments = sources(trace_lineage(BY_BOTH))
    assert payments["event_id"] == {"PAYMENT": "payments.payment_id payments.paid_at"}
    assert {payments[name]["PAYMENT"] for name in ("patrol_id", "officer_id", "station_id")} == {"payments.place"}
    assert payments["media_ref"] == {}
    assert rules(trace_lineage(BY_BOTH), "media_ref") == ("no event type fills it: NULL",)
    assert rules(trace_lineage(BY_BOTH), "visited_hotspots") == ("no event type fills it: []",)


def test_what_is_done_on_the_way_is_told_in_its_order() -> None:
    found = trace_lineage(SENTINEL)
    assert steps(found, "officer_id", "REMARK") == (
        "the first that is not NULL of created_by_officer_id, assigned_to_officer_id",
        "integer → Int64",
    )
    assert steps(found, "latitude", "REMARK") == ("float → Float64", "NULL where latitude is 0 and longitude is 0")
    assert rules(found, "latitude") == ("a row outside of -90 to 90 is rejected",)
    assert steps(found, "remark_length", "REMARK")[-1] == "characters in remark_text"
    assert steps(found, "shift_date", "REMARK")[-1] == (
        "its date on the clocks of Asia/Kolkata, the day beginning at 06:00"
    )
    assert steps(found, "details_json", "HIGH_INTEGRITY_VISITS") == ("a JSON object of remark_id, start_time",)
    assert steps(found, "base_risk_score", "STRANGER_ENCOUNTER") == (
        "event_type=STRANGER_ENCOUNTER +6",
        "stranger_id_type=NONE +8",
        "the sum of these weights",
    )
    assert steps(found, "base_risk_score", "GEOFENCE") == ("0: no weight applies",)
    assert rules(found, "run_id") == ("the id of the run that wrote the row",)


@pytest.mark.parametrize(
    ("policy", "done"),
    [
        ("keep", "kept as it is"),
        ("hash", "replaced by its hash, HMAC-SHA-256 under SENTINEL_PII_KEY"),
        ("drop", "dropped: NULL"),
    ],
)
def test_the_policy_for_personal_data_is_told_where_there_is_some(policy: Any, done: str) -> None:
    found = trace_lineage(replace(SENTINEL, pii=policy, pii_key=SecretStr("k" * 32)))
    assert steps(found, "stranger_name", "STRANGER_ENCOUNTER")[-1] == f"personal data (name): {done}"
    assert steps(found, "details_json", "EMERGENCY_INCIDENT")[-1] == f"personal data (free text): {done}"
    assert not any("personal" in step for step in steps(found, "remark_length", "REMARK"))
    assert not any("personal" in step for step in steps(found, "station_id", "REMARK"))


SOURCE = MetaData(schema="shop")
SALES = Table(
    "sales",
    SOURCE,
    Column("sale_id", BigInteger, primary_key=True),
    Column("sold_at", DateTime(timezone=True)),
    Column("seller", Text),
    Column("buyer", Text),
    Column("net", BigInteger),
    Column("tax", BigInteger),
    Column("tags", Text),
)
PEOPLE = Table("people", SOURCE, Column("name", String(9), primary_key=True), Column("town", Text), Column("age", Text))
SELLER, BUYER = PEOPLE.alias("seller"), PEOPLE.alias("buyer")
TOTALS = select(SALES.c.seller, func.sum(SALES.c.net).label("sold")).where(SALES.c.tax > 0).group_by(SALES.c.seller)
EITHER = union_all(select(PEOPLE.c.name.label("who")), select(SALES.c.buyer.label("who"))).subquery("either")
RECURSIVE = select(PEOPLE.c.name).cte("line", recursive=True)
RECURSIVE = RECURSIVE.union_all(select(PEOPLE.c.town).where(PEOPLE.c.name == RECURSIVE.c.name))


SHOP = FactTable(
    "sales_events",
    MetaData(),
    Column("event_id", types.String),
    Column("event_timestamp", types.DateTime64(6, "UTC")),
    Column("event_type", types.String),
    Column("shift_date", types.Date),
    Column("value", types.Nullable(types.Int64)),
    Column("other", types.Nullable(types.Int64)),
    Column("run_id", types.String),
    Column("loaded_at", types.DateTime64(6, "UTC")),
    engines.MergeTree(partition_by=text("toYYYYMM(shift_date)"), order_by=("shift_date", "event_type", "event_id")),
)


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        pytest.param(literal("till 4"), "", id="a constant"),
        pytest.param(SALES.c.net + SALES.c.tax, "shop.sales.net shop.sales.tax", id="a sum"),
        pytest.param(func.coalesce(SELLER.c.town, BUYER.c.town), "shop.people.town", id="two aliases of one table"),
        pytest.param(
            case((and_(SALES.c.net > 0, SELLER.c.age == "9"), BUYER.c.town), else_=SALES.c.tags),
            "shop.people.town shop.sales.tags / shop.sales.net shop.people.age",
            id="a CASE of several columns",
        ),
        pytest.param(
            case({"a": SALES.c.net}, value=SALES.c.tags, else_=None),
            "shop.sales.net / shop.sales.tags",
            id="a CASE of one value",
        ),
        pytest.param(
            case((SALES.c.net > 0, SALES.c.net), else_=0), "shop.sales.net", id="a CASE of the value that it asks for"
        ),
        pytest.param(
            TOTALS.subquery().c.sold, "shop.sales.net / shop.sales.tax shop.sales.seller", id="a subquery's sum"
        ),
        pytest.param(
            select(PEOPLE.c.town).where(PEOPLE.c.name == SALES.c.buyer).scalar_subquery(),
            "shop.people.town / shop.people.name shop.sales.buyer",
            id="a query within",
        ),
        pytest.param(EITHER.c.who, "shop.people.name shop.sales.buyer", id="a union"),
        pytest.param(RECURSIVE.c.name, "shop.people.name shop.people.town", id="a recursive query"),
        pytest.param(
            func.string_to_table(SALES.c.tags, ",").table_valued("tag").c.tag, "shop.sales.tags", id="a function's rows"
        ),
        pytest.param(func.unnest(SALES.c.tags).column_valued("tag"), "shop.sales.tags", id="a function's one column"),
        pytest.param(
            func.count(SALES.c.net).filter(SALES.c.tax > 0), "shop.sales.net / shop.sales.tax", id="a filtered sum"
        ),
    ],
)
def test_an_expression_reads_the_columns_that_stand_behind_it(expression: Any, expected: str) -> None:
    found = columns_of(expression).each_once()
    made = " ".join(dict.fromkeys(str(each) for each in found if not each.decides))
    deciding = " ".join(dict.fromkeys(str(each) for each in found if each.decides))
    assert (f"{made} / {deciding}" if deciding else made) == expected


def shop(entry: dict[str, Any]) -> Pipeline:
    return Pipeline(event_config={"SALE": entry}, fact_table=SHOP)


def test_the_tables_of_an_entry_are_those_behind_its_joins_and_the_queries_within() -> None:
    town = select(PEOPLE.c.town).where(PEOPLE.c.name == SALES.c.buyer).scalar_subquery()
    entry = {"model": SALES, "timestamp": SALES.c.sold_at, "columns": [SALES.c.net.label("value"), town.label("other")]}
    [found] = trace_lineage(shop(entry)).entries
    assert [str(table) for table in found.tables] == ["shop.sales", "shop.people"]
    assert {str(table) for table in tables_of(RECURSIVE)} == {"shop.people"}
    assert [str(table) for table in tables_of(EITHER)] == ["shop.people", "shop.sales"]


def test_what_is_written_as_text_is_said_not_to_be_known() -> None:
    entry = {
        "model": SALES,
        "timestamp": SALES.c.sold_at,
        "columns": [literal_column("net * 2", BigInteger).label("value"), SALES.c.tax.label("other")],
    }
    [value] = [each for each in trace_lineage(shop(entry)).columns if each.column == "value"]
    [[read]] = [origin.reads for origin in value.origins]
    assert (read.columns, read.expression, read.opaque) == ((), "net * 2", True)


def test_a_column_that_is_not_there_is_told_with_the_nearest_name() -> None:
    with pytest.raises(ConfigurationError, match=r"found 'latitud'\. Did you mean latitude\?$"):
        trace_lineage(SENTINEL).of_column("latitud")
    with pytest.raises(ConfigurationError, match=r"found 'xyzzy'\. It has event_id, event_timestamp"):
        trace_lineage(BARE).of_column("xyzzy")


def test_one_column_comes_with_the_event_types_that_fill_it() -> None:
    found = trace_lineage(SENTINEL).of_column("speed")
    assert [column.column for column in found.columns] == ["speed"]
    assert [entry.event_type for entry in found.entries] == ["PATROL_STATUS", "GEOFENCE"]
