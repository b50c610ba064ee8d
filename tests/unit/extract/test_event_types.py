from __future__ import annotations

import re
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

import pytest
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Date,
    DateTime,
    Float,
    ForeignKey,
    Index,
    Interval,
    MetaData,
    Numeric,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    and_,
    case,
    cast,
    func,
    literal,
    or_,
    select,
    type_coerce,
)
from sqlalchemy.dialects.postgresql import INET, JSONB
from sqlalchemy.orm import aliased

from sentinel_etl.config.event_config import COMMON_COLUMNS, EVENT_CONFIG
from sentinel_etl.config.event_type import EventType
from sentinel_etl.config.parse_config import parse_event_config
from sentinel_etl.config.source_models import Officer, Patrol, PatrolLog, Remark, VehicleCheck
from sentinel_etl.errors import ConfigurationError
from sentinel_etl.extract.check_source import differences_of
from sentinel_etl.extract.statements import count_events, select_events
from sentinel_etl.source.sql import compile_sql
from sentinel_etl.window import Window

WINDOW = Window(datetime(2026, 11, 21, 0, 30, tzinfo=UTC), datetime(2026, 11, 22, 0, 30, tzinfo=UTC))

# The least that an entry can be.
ENTRY: dict[str, Any] = {
    "model": Remark,
    "timestamp": Remark.created_at,
    "key": Remark.remark_id,
    "columns": [Remark.remark_text],
}

# Another team's tables, as plain Tables.
OTHER = MetaData()
CALLS = Table(
    "calls",
    OTHER,
    Column("call_id", BigInteger, primary_key=True),
    Column("reference", Uuid),
    Column("at", DateTime(timezone=True)),
    Column("wall_clock", DateTime),
    Column("day", Date),
    Column("payload", JSONB),
    Column("price", Numeric(10, 2)),
    Column("ratio", Float),
    Column("host", INET),
    Column("waited", Interval),
    Column("region_id", BigInteger),
    Column("line_number", BigInteger),
)
LINES = Table(
    "lines",
    OTHER,
    Column("region_id", BigInteger, primary_key=True),
    Column("line_number", BigInteger, primary_key=True),
    Column("serial", BigInteger),
    Column("badge", BigInteger),
    Column("half", BigInteger),
    Column("in_use", Boolean),
    Column("title", Text),
    UniqueConstraint("serial"),
)
Index("lines_badge", LINES.c.badge, unique=True)
Index("lines_half", LINES.c.half, unique=True, postgresql_where=LINES.c.in_use)
CALL: dict[str, Any] = {"model": CALLS, "timestamp": CALLS.c.at, "key": CALLS.c.call_id, "columns": [CALLS.c.ratio]}


# Without the time of arrival, which adds a condition of its own to each statement.
WHO = tuple(name for name in COMMON_COLUMNS if name != "received_at")


def parse(entry: dict[str, Any]) -> EventType:
    return parse_event_config({"SEEN": entry}, common_columns=WHO)["SEEN"]


def refusal(entry: dict[str, Any]) -> str:
    with pytest.raises(ConfigurationError) as refused:
        parse(entry)
    return str(refused.value)


def sql(event_type: EventType) -> str:
    """Compile as PostgreSQL gets it, on one line."""
    return re.sub(r"\s+", " ", compile_sql(select_events(event_type, WINDOW)))


def test_the_least_entry_reads_its_key_its_timestamp_and_its_columns() -> None:
    kind = parse_event_config({"SEEN": ENTRY}, common_columns=())["SEEN"]
    assert sql(kind) == (
        "SELECT remarks.remark_id AS source_key, remarks.created_at AS event_timestamp, "
        "CAST(remarks.remark_text AS TEXT) AS remark_text FROM remarks "
        "WHERE remarks.created_at >= '2026-11-21 00:30:00+00:00' AND remarks.created_at < '2026-11-22 00:30:00+00:00'"
    )


def test_microseconds_of_the_window_reach_postgresql() -> None:
    window = Window(WINDOW.start.replace(microsecond=1), WINDOW.end.replace(microsecond=999_999))
    text = compile_sql(select_events(parse(ENTRY), window))
    assert "'2026-11-21 00:30:00.000001+00:00'" in text
    assert "'2026-11-22 00:30:00.999999+00:00'" in text


@pytest.mark.parametrize(
    "more", [{}, {"timestamp": Remark.created_at, "key": Remark.remark_id}], ids=["left out", "said"]
)
def test_an_entry_may_leave_out_its_key_and_its_timestamp(more: dict[str, Any]) -> None:
    # fmt: off
    entry = {
        'model': Remark,
        'joins': [(Patrol, and_(Remark.patrol_id == Patrol.patrol_id, Patrol.patrol_status == 'COMPLETED'))],
        'columns': [Remark.remark_id, Patrol.start_time],
    }
    # fmt: on
    kind = parse_event_config({"HIGH_INTEGRITY_VISITS": entry | more})["HIGH_INTEGRITY_VISITS"]
    assert kind.labels[-2:] == ("remark_id", "start_time")
    assert sql(kind) == (
        "SELECT remarks.remark_id AS source_key, remarks.created_at AS event_timestamp, "
        "remarks.patrol_id AS patrol_id, patrols.station_id AS station_id, patrols.vehicle_id AS vehicle_id, "
        "remarks.created_by_officer_id AS created_by_officer_id, "
        "patrols.assigned_to_officer_id AS assigned_to_officer_id, remarks.received_at AS received_at, "
        "remarks.remark_id AS remark_id, patrols.start_time AS start_time "
        "FROM remarks JOIN patrols ON remarks.patrol_id = patrols.patrol_id "
        "AND patrols.patrol_status = 'COMPLETED' "
        "WHERE remarks.created_at >= '2026-11-21 00:30:00+00:00' AND remarks.created_at < '2026-11-22 00:30:00+00:00' "
        "AND (remarks.received_at >= '0001-01-01 00:00:00+00' AND remarks.received_at <= '9999-12-31 00:00:00+00') "
        "IS NOT false "
        "AND (patrols.start_time >= '0001-01-01 00:00:00+00' AND patrols.start_time <= '9999-12-31 00:00:00+00') "
        "IS NOT false"
    )


UNLABELLED = [
    pytest.param(func.lower(Remark.remark_text), "lower(remarks.remark_text)", id="function"),
    pytest.param(cast(Remark.remark_text, Text), "CAST(remarks.remark_text AS TEXT)", id="cast"),
    pytest.param(Remark.latitude + 1, "remarks.latitude + :latitude_1", id="sum"),
    pytest.param(literal(1), ":param_1", id="literal"),
    pytest.param(
        case((Remark.latitude > 1, 1), else_=None),
        "CASE WHEN (remarks.latitude > :latitude_1) THEN :param_1 END",
        id="case",
    ),
    pytest.param(~Remark.latitude.is_(None), "remarks.latitude IS NOT NULL", id="condition"),
    pytest.param(type_coerce(Remark.remark_text, Text), "remarks.remark_text", id="type_coerce"),
]


@pytest.mark.parametrize(("expression", "text"), UNLABELLED)
def test_an_expression_without_a_label_is_refused(expression: Any, text: str) -> None:
    assert refusal(ENTRY | {"columns": [expression]}) == (
        f"EVENT_CONFIG: SEEN.columns: expected a .label(name) on the expression {text}"
    )


@pytest.mark.parametrize(("expression", "text"), UNLABELLED)
def test_the_same_expression_is_read_under_its_label(expression: Any, text: str) -> None:
    assert parse(ENTRY | {"columns": [expression.label("measured")]}).labels[-1] == "measured"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        pytest.param(
            {"filter": []},
            "SEEN.filter: not a key of an entry; expected model, timestamp, key, columns, joins, filters, "
            "changes_later; did you mean 'filters'?",
            id="unknown key with a suggestion",
        ),
        pytest.param(
            {"zzz": 1},
            "SEEN.zzz: not a key of an entry; expected model, timestamp, key, columns, joins, filters, changes_later",
            id="unknown key like nothing",
        ),
        pytest.param(
            {"model": "remarks"}, "SEEN.model: expected a mapped class or a Table, found 'remarks'", id="model is text"
        ),
        pytest.param({"model": None}, "SEEN.model: expected a mapped class or a Table, found None", id="model is None"),
        pytest.param({"columns": []}, "SEEN.columns: expected at least one column, found none", id="no columns"),
        pytest.param(
            {"columns": [Remark]},
            "SEEN.columns (name the columns; a whole table is SELECT *): expected columns or expressions, "
            "found <class 'sentinel_etl.config.source_models.Remark'>",
            id="a whole model in the columns",
        ),
        pytest.param(
            {"columns": Remark},
            "SEEN.columns (name the columns; a whole table is SELECT *): expected a list, "
            "found <class 'sentinel_etl.config.source_models.Remark'>",
            id="a whole model as the columns",
        ),
        pytest.param(
            {"columns": ["remark_text"]},
            "SEEN.columns (name the columns; a whole table is SELECT *): expected columns or expressions, "
            "found 'remark_text'",
            id="a column's name",
        ),
        pytest.param(
            {"columns": [Remark.latitude, Remark.longitude.label("latitude")]},
            "SEEN.columns: latitude stands twice; give one a .label(name)",
            id="a label twice",
        ),
        *(
            pytest.param(
                {"columns": [Remark.remark_text.label(label)]},
                f"SEEN.columns: {label} is a name that the engine gives; choose another label",
                id=f"reserved {label}",
            )
            for label in (
                *("event_type", "event_timestamp", "source_key", "event_id", "event_date", "shift_date"),
                *("base_risk_score", "risk_reasons", "run_id", "loaded_at"),
            )
        ),
        pytest.param(
            {"columns": [Officer.full_name]},
            "SEEN.columns: officers.full_name reads officers, which the entry neither models nor joins; "
            "expected one of remarks",
            id="a column of a table not joined",
        ),
        pytest.param(
            {"timestamp": Patrol.start_time},
            "SEEN.timestamp: patrols.start_time reads patrols, which the entry neither models nor joins; "
            "expected one of remarks",
            id="a timestamp of a table not joined",
        ),
        pytest.param(
            {"key": (Remark.remark_id, Patrol.patrol_id)},
            "SEEN.key: patrols.patrol_id reads patrols, which the entry neither models nor joins; "
            "expected one of remarks",
            id="a key of a table not joined",
        ),
        pytest.param(
            {"filters": [Patrol.patrol_status == "COMPLETED"]},
            "SEEN.filters: patrols.patrol_status = :patrol_status_1 reads patrols, which the entry neither models "
            "nor joins; expected one of remarks",
            id="a filter on a table not joined",
        ),
        pytest.param({"filters": [True]}, "SEEN.filters: expected columns or expressions, found True", id="bare True"),
        pytest.param(
            {"timestamp": "created_at"},
            "SEEN.timestamp: expected columns or expressions, found 'created_at'",
            id="a timestamp's name",
        ),
        pytest.param(
            {"timestamp": Remark.remark_text},
            "SEEN.timestamp: expected a column of type timestamp with time zone, found remarks.remark_text of type "
            "TEXT; for a column without a zone write func.timezone('Asia/Kolkata', column)",
            id="text as timestamp",
        ),
        pytest.param(
            {"joins": [(Patrol,)]},
            "SEEN.joins: expected (model, on) or (model, on, {'outer': True, 'one_to_many': True}), "
            "found (<class 'sentinel_etl.config.source_models.Patrol'>,)",
            id="a join without its condition",
        ),
        pytest.param(
            {"joins": [(Patrol, Remark.patrol_id == Patrol.patrol_id, {"outr": True})]},
            "SEEN.joins: expected (model, on) or (model, on, {'outer': True, 'one_to_many': True}), "
            "found the options {'outr': True}",
            id="an unknown join option",
        ),
        pytest.param(
            {"joins": [(Patrol, Remark.patrol_id == Patrol.patrol_id, {"outer": "no"})]},
            "SEEN.joins: expected (model, on) or (model, on, {'outer': True, 'one_to_many': True}), "
            "found the options {'outer': 'no'}",
            id="a join option that is neither True nor False",
        ),
        pytest.param(
            {"joins": [(Patrol, Remark.patrol_id == Patrol.patrol_id, ["outer"])]},
            "SEEN.joins: expected (model, on) or (model, on, {'outer': True, 'one_to_many': True}), "
            "found the options ['outer']",
            id="join options that are a list",
        ),
        pytest.param(
            {"joins": Patrol},
            "SEEN.joins: expected a list, found <class 'sentinel_etl.config.source_models.Patrol'>",
            id="a model as joins",
        ),
        pytest.param(
            {"joins": [("patrols", Remark.patrol_id == Patrol.patrol_id)]},
            "SEEN.joins: expected a mapped class or a Table, found 'patrols'",
            id="a joined table's name",
        ),
        pytest.param(
            {"joins": [(Patrol, "remarks.patrol_id = patrols.patrol_id")]},
            "SEEN.joins: expected columns or expressions, found 'remarks.patrol_id = patrols.patrol_id'",
            id="a condition as text",
        ),
        pytest.param(
            {"joins": [(PatrolLog, PatrolLog.patrol_id == Remark.patrol_id)]},
            "SEEN.joins: patrol_logs is not joined on a unique key (patrol_logs.patrol_id = remarks.patrol_id), so one "
            "event could become several; join on its primary key, or say {'one_to_many': True} and put its key into "
            "the entry's key",
            id="a join that fans out",
        ),
    ],
)
def test_a_wrong_entry_is_refused_by_its_name_key_and_expectation(change: dict[str, Any], message: str) -> None:
    assert refusal(ENTRY | change) == f"EVENT_CONFIG: {message}"


@pytest.mark.parametrize("key", ["model", "columns"])
def test_a_missing_key_is_named(key: str) -> None:
    entry = {name: value for name, value in ENTRY.items() if name != key}
    assert refusal(entry) == (f"EVENT_CONFIG: SEEN.{key}: missing; every entry names model, columns")


@pytest.mark.parametrize("name", ["seen", "SEEN-IT", "1SEEN", "", "SEEN\n", "SEEN:1"])
def test_a_name_that_would_not_do_in_an_event_id_is_refused(name: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        parse_event_config({name: ENTRY})
    assert str(refused.value) == f"EVENT_CONFIG: {name!r}: expected a name of capitals, digits and underscores"


def test_an_empty_config_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"^EVENT_CONFIG: expected at least one event type, found none$"):
        parse_event_config({})


def test_all_entries_problems_are_reported_at_once() -> None:
    config = {
        "FIRST": ENTRY | {"columns": []},
        "SOUND": ENTRY,
        "SECOND": ENTRY | {"model": 3},
        "THIRD": ENTRY | {"timestamp": Remark.remark_id},
    }
    with pytest.raises(ConfigurationError) as refused:
        parse_event_config(config)
    lines = str(refused.value).splitlines()
    assert [line.removeprefix("EVENT_CONFIG: ").strip().partition(":")[0] for line in lines] == [
        "FIRST.columns",
        "SECOND.model",
        "THIRD.timestamp",
    ]


@pytest.mark.parametrize(
    ("column", "type_name"),
    [
        pytest.param(CALLS.c.wall_clock, "DATETIME", id="without time zone"),
        pytest.param(CALLS.c.day, "DATE", id="date"),
    ],
)
def test_a_timestamp_without_a_time_zone_is_refused(column: Any, type_name: str) -> None:
    assert refusal(CALL | {"timestamp": column}) == (
        f"EVENT_CONFIG: SEEN.timestamp: expected a column of type timestamp with time zone, found {column} of type "
        f"{type_name}; for a column without a zone write func.timezone('Asia/Kolkata', column)"
    )


def test_a_timestamp_without_a_time_zone_is_read_in_the_zone_that_the_message_names() -> None:
    kind = parse(CALL | {"timestamp": func.timezone("Asia/Kolkata", CALLS.c.wall_clock)})
    assert "timezone('Asia/Kolkata', calls.wall_clock) AS event_timestamp" in sql(kind)


def test_all_problems_of_an_entry_are_reported_at_once() -> None:
    entry = ENTRY | {"model": 3, "filters": [True], "joins": Patrol, "colums": []}
    del entry["columns"]
    assert refusal(entry).splitlines() == [
        "EVENT_CONFIG: SEEN.model: expected a mapped class or a Table, found 3",
        "  SEEN.columns: missing; every entry names model, columns",
        "  SEEN.joins: expected a list, found <class 'sentinel_etl.config.source_models.Patrol'>",
        "  SEEN.filters: expected columns or expressions, found True",
        "  SEEN.colums: not a key of an entry; expected model, timestamp, key, columns, joins, filters, changes_later; "
        "did you mean 'columns'?",
    ]


def test_a_problem_that_several_values_share_is_reported_once() -> None:
    assert refusal(ENTRY | {"filters": [True, True]}) == (
        "EVENT_CONFIG: SEEN.filters: expected columns or expressions, found True"
    )


def test_an_entry_that_is_no_dictionary_is_refused() -> None:
    assert refusal(None) == "EVENT_CONFIG: SEEN: expected a dictionary, found None"  # type: ignore[arg-type]


def test_a_config_that_is_no_dictionary_is_refused() -> None:
    with pytest.raises(ConfigurationError) as refused:
        parse_event_config([])  # type: ignore[arg-type]
    assert str(refused.value) == "EVENT_CONFIG: expected a dictionary of event types, found []"


def test_a_config_may_be_any_mapping() -> None:
    config = MappingProxyType({"SEEN": MappingProxyType(ENTRY)})
    assert sql(parse_event_config(config, WHO)["SEEN"]) == sql(parse(ENTRY))


@pytest.mark.parametrize("key", ["columns", "filters", "joins"])
@pytest.mark.parametrize("values", [set(), "", {}, iter(())], ids=["a set", "text", "a dictionary", "an iterator"])
def test_only_a_list_or_a_tuple_has_an_order_to_read_columns_in(key: str, values: Any) -> None:
    said = refusal(ENTRY | {key: values})
    assert said.startswith(f"EVENT_CONFIG: SEEN.{key}")
    assert said.endswith(f": expected a list, found {values!r}")


def test_an_empty_key_is_refused() -> None:
    assert refusal(ENTRY | {"key": ()}).startswith("EVENT_CONFIG: SEEN.key: expected")


def test_a_join_condition_on_a_table_that_is_not_joined_is_refused() -> None:
    condition = and_(Remark.patrol_id == Patrol.patrol_id, Officer.station_id == 1)
    assert refusal(ENTRY | {"joins": [(Patrol, condition)]}).startswith("EVENT_CONFIG: SEEN.joins:")


UNIQUE_JOINS = [
    pytest.param(
        and_(LINES.c.region_id == CALLS.c.region_id, LINES.c.line_number == CALLS.c.line_number), id="composite key"
    ),
    pytest.param(
        and_(CALLS.c.region_id == LINES.c.region_id, LINES.c.line_number == 7), id="composite key, a part fixed"
    ),
    pytest.param(LINES.c.serial == CALLS.c.call_id, id="unique constraint"),
    pytest.param(CALLS.c.call_id == LINES.c.badge, id="unique index"),
    pytest.param(
        and_(LINES.c.serial == CALLS.c.call_id, LINES.c.title.like("A%"), LINES.c.in_use.is_(True)), id="and more"
    ),
]


@pytest.mark.parametrize("condition", UNIQUE_JOINS)
def test_a_join_on_a_unique_key_is_accepted(condition: Any) -> None:
    kind = parse(CALL | {"joins": [(LINES, condition)], "columns": [LINES.c.title]})
    assert "FROM calls JOIN lines ON" in sql(kind)


FANNING_JOINS = [
    pytest.param(LINES.c.region_id == CALLS.c.region_id, id="half of a composite key"),
    pytest.param(or_(LINES.c.serial == CALLS.c.call_id, LINES.c.badge == CALLS.c.call_id), id="or"),
    pytest.param(LINES.c.serial >= CALLS.c.call_id, id="not an equality"),
    pytest.param(LINES.c.serial == LINES.c.badge, id="the joined table with itself"),
    pytest.param(LINES.c.serial + CALLS.c.call_id == 3, id="an expression"),
    pytest.param(
        LINES.c.half == CALLS.c.call_id,
        id="partial unique index",
    ),
]


@pytest.mark.parametrize("condition", FANNING_JOINS)
def test_a_join_that_may_repeat_an_event_is_refused(condition: Any) -> None:
    assert "lines is not joined on a unique key" in refusal(CALL | {"joins": [(LINES, condition)]})


def test_a_join_of_an_alias_that_may_repeat_an_event_is_refused() -> None:
    crew = aliased(Officer, name="crew")
    refusal(ENTRY | {"joins": [(crew, crew.station_id == Remark.created_by_officer_id)]})


@pytest.mark.parametrize("condition", FANNING_JOINS[:4])
def test_a_join_that_repeats_events_on_purpose_says_so(condition: Any) -> None:
    entry = CALL | {
        "joins": [(LINES, condition, {"one_to_many": True})],
        "key": (CALLS.c.call_id, LINES.c.region_id, LINES.c.line_number),
    }
    assert sql(parse(entry)).startswith(
        "SELECT CASE WHEN (calls.call_id IS NOT NULL OR lines.region_id IS NOT NULL OR lines.line_number IS NOT NULL) "
        "THEN concat_ws(':', CASE WHEN (calls.call_id IS NULL) THEN '\\N' ELSE concat(calls.call_id) END, "
        "CASE WHEN (lines.region_id IS NULL) THEN '\\N' ELSE concat(lines.region_id) END, "
        "CASE WHEN (lines.line_number IS NULL) THEN '\\N' ELSE concat(lines.line_number) END) END AS source_key, "
    )


def test_an_outer_join_is_outer_only_where_the_entry_says_so() -> None:
    condition = LINES.c.serial == CALLS.c.call_id
    inner = parse(CALL | {"joins": [(LINES, condition)]})
    outer = parse(CALL | {"joins": [(LINES, condition, {"outer": True})]})
    assert "FROM calls JOIN lines ON" in sql(inner)
    assert "FROM calls LEFT OUTER JOIN lines ON" in sql(outer)


def test_a_joins_options_default_to_an_inner_join_of_one_row() -> None:
    condition = LINES.c.serial == CALLS.c.call_id
    (join,) = parse(CALL | {"joins": [(LINES, condition, {})]}).joins
    assert (join.outer, join.one_to_many) == (False, False)


def test_a_join_may_be_outer_and_one_to_many_at_once() -> None:
    condition = LINES.c.region_id == CALLS.c.region_id
    (join,) = parse(CALL | {"joins": [(LINES, condition, {"outer": True, "one_to_many": True})]}).joins
    assert (join.table, join.on, join.outer, join.one_to_many) == (LINES, condition, True, True)


def test_an_outer_join_that_may_repeat_an_event_is_refused_too() -> None:
    condition = LINES.c.region_id == CALLS.c.region_id
    refused = refusal(CALL | {"joins": [(LINES, condition, {"outer": True})]})
    assert "lines is not joined on a unique key" in refused


@pytest.mark.parametrize("join", [(LINES, True, {}, {}), [LINES, True], "no", 3], ids=["four", "a list", "text", "3"])
def test_a_join_is_a_tuple_of_two_or_three(join: Any) -> None:
    assert refusal(CALL | {"joins": [join]}) == (
        "EVENT_CONFIG: SEEN.joins: expected (model, on) or (model, on, {'outer': True, 'one_to_many': True}), "
        f"found {join!r}"
    )


def test_filters_and_case_run_in_the_statement() -> None:
    visited = case((PatrolLog.patrol_status == "finished", Patrol.visited_hotspots), else_=None)
    kind = parse(
        {
            "model": PatrolLog,
            "timestamp": PatrolLog.created_at,
            "key": PatrolLog.patrol_log_id,
            "joins": [(Patrol, PatrolLog.patrol_id == Patrol.patrol_id)],
            "filters": [PatrolLog.speed > 3, Patrol.patrol_status.in_(["COMPLETED", "it's"])],
            "columns": [visited.label("visited_hotspots")],
        }
    )
    text = sql(kind)
    assert "CASE WHEN (patrol_logs.patrol_status = 'finished') THEN patrols.visited_hotspots END AS" in text
    assert (
        "AND patrol_logs.created_at < '2026-11-22 00:30:00+00:00' AND patrol_logs.speed > 3 "
        "AND patrols.patrol_status IN ('COMPLETED', 'it''s') AND "
    ) in text


def test_a_boolean_filter_is_written_as_postgresql_knows_it() -> None:
    kind = parse(
        {
            "model": VehicleCheck,
            "timestamp": VehicleCheck.created_at,
            "key": VehicleCheck.vehicle_check_id,
            "columns": [VehicleCheck.plate_number],
            "filters": [VehicleCheck.suspicious_activity.is_(True)],
        }
    )
    assert sql(kind).endswith("AND vehicle_checks.suspicious_activity IS true")


@pytest.mark.parametrize(
    ("condition", "text"),
    [
        pytest.param(Remark.remark_text == "it's", "remarks.remark_text = 'it''s'", id="quote"),
        pytest.param(Remark.remark_text == "नमस्ते :name", "remarks.remark_text = 'नमस्ते :name'", id="unicode and colon"),
        pytest.param(
            Remark.remark_text == "100%",
            "remarks.remark_text = '100%'",
            id="percent sign",
        ),
        pytest.param(
            Remark.remark_id % 2 == 0,
            "remarks.remark_id % 2 = 0",
            id="modulo",
        ),
        pytest.param(
            Remark.remark_text.regexp_match(r"\d+"),
            r"remarks.remark_text ~ '\d+'",
            id="backslash",
        ),
    ],
)
def test_a_filters_literal_reaches_postgresql_as_it_was_written(condition: Any, text: str) -> None:
    assert sql(parse(ENTRY | {"filters": [condition]})).endswith(f"< '2026-11-22 00:30:00+00:00' AND {text}")


@pytest.mark.parametrize(
    ("column", "text"),
    [
        pytest.param(CALLS.c.payload, "CAST(calls.payload AS TEXT) AS payload", id="JSONB"),
        pytest.param(CALLS.c.reference, "CAST(calls.reference AS TEXT) AS reference", id="UUID"),
        pytest.param(CALLS.c.host, "CAST(calls.host AS TEXT) AS host", id="INET"),
        pytest.param(CALLS.c.waited, "CAST(calls.waited AS TEXT) AS waited", id="interval"),
        pytest.param(CALLS.c.price, "nullif(CAST(calls.price AS TEXT), 'NaN') AS price", id="numeric"),
        pytest.param(CALLS.c.ratio, "calls.ratio AS ratio", id="float, as it is"),
        pytest.param(CALLS.c.payload.label("extra"), "CAST(calls.payload AS TEXT) AS extra", id="labelled"),
        pytest.param(
            func.coalesce(CALLS.c.price, 0).label("cost"),
            "nullif(CAST(coalesce(calls.price, 0) AS TEXT), 'NaN') AS cost",
            id="expression",
        ),
    ],
)
def test_what_the_driver_cannot_hand_over_is_cast_in_the_statement(column: Any, text: str) -> None:
    assert f"AS event_timestamp, {text} FROM calls" in sql(parse(CALL | {"columns": [column]}))


@pytest.mark.parametrize("column", [CALLS.c.reference, CALLS.c.price], ids=["UUID", "numeric"])
def test_a_key_that_the_driver_cannot_hand_over_is_cast_in_the_statement(column: Any) -> None:
    assert sql(parse(CALL | {"key": column})).startswith("SELECT CAST(")


def test_a_composite_key_is_joined_by_colons() -> None:
    kind = parse(CALL | {"key": (CALLS.c.region_id, CALLS.c.reference)})
    assert sql(kind).startswith(
        "SELECT CASE WHEN (calls.region_id IS NOT NULL OR calls.reference IS NOT NULL) "
        "THEN concat_ws(':', CASE WHEN (calls.region_id IS NULL) THEN '\\N' ELSE concat(calls.region_id) END, "
        "CASE WHEN (calls.reference IS NULL) THEN '\\N' ELSE concat(calls.reference) END) END AS source_key, "
    )


def test_the_count_reads_the_same_rows_as_the_statement() -> None:
    kind = parse(
        ENTRY
        | {
            "joins": [(Patrol, Remark.patrol_id == Patrol.patrol_id, {"outer": True})],
            "filters": [Remark.hotspot_id.is_not(None)],
        }
    )
    counted = re.sub(r"\s+", " ", compile_sql(count_events(kind, WINDOW)))
    rows_read = sql(kind).partition(" FROM ")[2]
    assert counted == f"SELECT count(*) AS rows, 'SEEN' AS event_type FROM {rows_read}"


def test_common_columns_are_read_from_the_model_before_a_join_and_once() -> None:
    entry = ENTRY | {
        "joins": [(Patrol, Remark.patrol_id == Patrol.patrol_id)],
        "columns": [Remark.remark_text, Patrol.vehicle_id],
    }
    kind = parse_event_config({"SEEN": entry})["SEEN"]
    assert kind.labels == (
        "patrol_id",
        "station_id",
        "created_by_officer_id",
        "assigned_to_officer_id",
        "received_at",
        "remark_text",
        "vehicle_id",
    )
    assert "remarks.patrol_id AS patrol_id" in sql(kind)


def test_a_mapped_class_may_be_joined_under_two_aliases() -> None:
    author, crew = aliased(Officer, name="author"), aliased(Officer, name="crew")
    kind = parse(
        ENTRY
        | {
            "joins": [
                (Patrol, Remark.patrol_id == Patrol.patrol_id),
                (author, author.officer_id == Remark.created_by_officer_id),
                (crew, crew.officer_id == Patrol.assigned_to_officer_id),
            ],
            "columns": [author.full_name.label("author_name"), crew.full_name.label("crew_name")],
        }
    )
    assert "CAST(author.full_name AS TEXT) AS author_name, CAST(crew.full_name AS TEXT) AS crew_name" in sql(kind)


def test_an_aliased_table_is_checked_against_the_source_under_its_own_name() -> None:
    author = aliased(Officer, name="author")
    kind = parse(
        ENTRY | {"joins": [(author, author.officer_id == Remark.created_by_officer_id)], "columns": [author.full_name]}
    )
    assert {table.name for table, _ in kind.table_columns()} == {"remarks", "officers"}


def test_a_difference_in_an_aliased_table_is_reported() -> None:
    author = aliased(Officer, name="author")
    kind = parse(
        ENTRY | {"joins": [(author, author.officer_id == Remark.created_by_officer_id)], "columns": [author.full_name]}
    )
    assert [difference.message for difference in differences_of(kind, {})] == [
        "expected a table officers; the source has none that we may see",
        "expected a table remarks; the source has none that we may see",
    ]


def test_every_column_that_a_statement_touches_is_listed_for_the_check() -> None:
    kind = parse_event_config(
        {
            "SEEN": ENTRY
            | {
                "joins": [(Patrol, and_(Remark.patrol_id == Patrol.patrol_id, Patrol.patrol_status == "COMPLETED"))],
                "filters": [Remark.hotspot_id.is_not(None)],
                "columns": [func.lower(Remark.remark_text).label("said")],
            }
        },
        common_columns=(),
    )["SEEN"]
    assert sorted((table.name, column) for table, column in kind.table_columns()) == [
        ("patrols", "patrol_id"),
        ("patrols", "patrol_status"),
        ("remarks", "created_at"),
        ("remarks", "hotspot_id"),
        ("remarks", "patrol_id"),
        ("remarks", "remark_id"),
        ("remarks", "remark_text"),
    ]


def test_a_subquery_may_be_joined_since_its_author_chose_its_rows() -> None:
    latest = select(PatrolLog.patrol_id, func.max(PatrolLog.speed).label("top_speed")).group_by(PatrolLog.patrol_id)
    fastest = latest.subquery("fastest")
    kind = parse(
        ENTRY | {"joins": [(fastest, fastest.c.patrol_id == Remark.patrol_id)], "columns": [fastest.c.top_speed]}
    )
    assert "JOIN (SELECT patrol_logs.patrol_id AS patrol_id, max(patrol_logs.speed) AS top_speed" in sql(kind)


def test_a_foreign_key_alone_does_not_make_a_join_unique() -> None:
    notes = Table(
        "notes",
        MetaData(),
        Column("note_id", BigInteger, primary_key=True),
        Column("call_id", ForeignKey(CALLS.c.call_id)),
    )
    assert "notes is not joined on a unique key" in refusal(
        CALL | {"joins": [(notes, notes.c.call_id == CALLS.c.call_id)]}
    )


def test_a_value_that_no_driver_carries_is_left_out_of_the_statement_and_counted() -> None:
    arrays = parse(
        {
            "model": Patrol,
            "timestamp": Patrol.start_time,
            "key": Patrol.patrol_id,
            "columns": [Patrol.assigned_crew_ids, Patrol.end_time],
        }
    )
    ends = (
        "AND (array_ndims(patrols.assigned_crew_ids) = 1 AND array_lower(patrols.assigned_crew_ids, 1) IN (0, 1)) "
        "IS NOT false AND (patrols.end_time >= '0001-01-01 00:00:00+00' AND patrols.end_time <= "
        "'9999-12-31 00:00:00+00') IS NOT false"
    )
    assert sql(arrays).endswith(ends)
    assert "array_ndims" not in compile_sql(count_events(arrays, WINDOW))


def test_the_count_keeps_what_an_inner_join_would_lose_and_leaves_out_what_it_filters() -> None:
    kind = parse_event_config(EVENT_CONFIG)["HIGH_INTEGRITY_VISITS"]
    assert compile_sql(count_events(kind, WINDOW)).replace("\n", "") == (
        "SELECT count(*) AS rows, 'HIGH_INTEGRITY_VISITS' AS event_type "
        "FROM remarks LEFT OUTER JOIN patrols ON remarks.patrol_id = patrols.patrol_id "
        "WHERE remarks.created_at >= '2026-11-21 00:30:00+00:00' AND remarks.created_at < '2026-11-22 00:30:00+00:00' "
        "AND (patrols.patrol_id IS NULL AND remarks.hotspot_id IS NOT NULL OR patrols.patrol_id IS NOT NULL "
        "AND remarks.hotspot_id IS NOT NULL AND patrols.patrol_status = 'COMPLETED')"
    )
