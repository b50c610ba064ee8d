"""Reading the source: what comes out, in one snapshot, without a trace."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from sqlalchemy import (
    BigInteger,
    Column,
    DateTime,
    Double,
    Engine,
    Interval,
    MetaData,
    Numeric,
    Select,
    Table,
    Text,
    create_engine,
    func,
    select,
    text,
)
from sqlalchemy.dialects import postgresql

from sentinel_etl.city import create_source_tables
from sentinel_etl.config.event_config import EVENT_CONFIG
from sentinel_etl.config.parse_config import parse_event_config
from sentinel_etl.config.source_models import Remark
from sentinel_etl.errors import ConfigurationError, SchemaMismatch, SourceUnreachable
from sentinel_etl.extract.check_source import check_source
from sentinel_etl.extract.read import extract_batches, extract_data
from sentinel_etl.extract.statements import count_events
from sentinel_etl.source.snapshot import Snapshot, open_snapshot
from sentinel_etl.window import Window

NIGHT = Window(datetime(2026, 11, 21, 0, 30, tzinfo=UTC), datetime(2026, 11, 22, 0, 30, tzinfo=UTC))
EMPTY = Window(datetime(2020, 1, 1, tzinfo=UTC), datetime(2020, 1, 2, tzinfo=UTC))
INSTANT = pa.timestamp("us", tz="UTC")

EVENT_TYPES = parse_event_config(EVENT_CONFIG)

FEEDBACK = [
    ("source_key", pa.int64()),
    ("event_timestamp", INSTANT),
    ("patrol_id", pa.int64()),
    ("station_id", pa.int64()),
    ("vehicle_id", pa.int64()),
    ("assigned_to_officer_id", pa.int64()),
    ("received_at", INSTANT),
    ("feedback_text", pa.string()),
    ("latitude", pa.float64()),
    ("longitude", pa.float64()),
    ("accuracy", pa.float64()),
]
PATROL_STATUS = [
    *FEEDBACK[:5],
    ("created_by_officer_id", pa.int64()),
    ("assigned_to_officer_id", pa.int64()),
    ("received_at", INSTANT),
    ("patrol_status_at_event", pa.string()),
    *((name, pa.float64()) for name in ("latitude", "longitude", "accuracy", "speed", "heading")),
    *((name, pa.list_(pa.int64())) for name in ("hotspots_to_visit", "assigned_crew_ids", "visited_hotspots")),
]


def types_of(frame: pd.DataFrame) -> list[tuple[str, pa.DataType]]:
    schema = pa.Schema.from_pandas(frame, preserve_index=False)
    return [(field.name, plain(field.type)) for field in schema]


def plain(kind: pa.DataType) -> pa.DataType:
    """Forget the name of a list's items, which says nothing."""
    return pa.list_(kind.value_type) if pa.types.is_list(kind) else kind


@pytest.mark.parametrize(
    ("event_type", "columns"),
    [pytest.param("FEEDBACK", FEEDBACK, id="feedback"), pytest.param("PATROL_STATUS", PATROL_STATUS, id="patrol logs")],
)
@pytest.mark.parametrize("window", [NIGHT, EMPTY], ids=["a night", "an empty window"])
def test_columns_and_types_are_the_entry_s_whatever_the_window_holds(
    city: Engine, event_type: str, columns: list[tuple[str, pa.DataType]], window: Window
) -> None:
    frame = extract_data(event_type, window, city)
    assert types_of(frame) == columns
    assert all(isinstance(kind, pd.ArrowDtype) for kind in frame.dtypes)
    assert frame.empty is (window == EMPTY)


def test_the_rows_are_the_source_s_with_null_kept_as_null(city: Engine) -> None:
    with city.begin() as connection:
        expected = connection.exec_driver_sql(
            "SELECT f.feedback_id, f.created_at, f.patrol_id, p.station_id, p.vehicle_id, f.assigned_to_officer_id, "
            "f.received_at, f.feedback_text, f.latitude, f.longitude, f.accuracy "
            "FROM feedback f JOIN patrols p USING (patrol_id) "
            "WHERE created_at >= '2026-11-21 00:30:00+00' AND created_at < '2026-11-22 00:30:00+00' ORDER BY 1"
        ).all()
    frame = extract_data("FEEDBACK", NIGHT, city).sort_values("source_key")
    rows = pa.Table.from_pandas(frame, preserve_index=False).to_pylist()
    assert [tuple(row.values()) for row in rows] == [tuple(row) for row in expected]
    assert any(row["feedback_text"] is None for row in rows)


def test_an_unknown_event_type_is_refused_before_anything_connects() -> None:
    nowhere = create_engine("postgresql+psycopg://nobody@127.0.0.1:1/nothing")
    with pytest.raises(ConfigurationError, match=r"expected an event type among PATROL_STATUS, .*; found 'REMARKS'"):
        extract_data("REMARKS", NIGHT, nowhere)


AWKWARD = Table(
    "awkward",
    MetaData(),
    Column("id", BigInteger, primary_key=True),
    Column("at", DateTime(timezone=True), index=True),
    Column("amount", Numeric(12, 2)),
    Column("address", postgresql.INET),
    Column("token", postgresql.UUID),
    Column("payload", postgresql.JSONB),
    Column("lasted", Interval),
    Column("mood", postgresql.ENUM("calm", "tense", name="mood")),
    Column("tags", postgresql.ARRAY(Text)),
)


def test_types_without_an_arrow_form_come_as_text(source_engine: Engine) -> None:
    AWKWARD.metadata.create_all(source_engine)
    with source_engine.begin() as connection:
        connection.exec_driver_sql(
            "INSERT INTO awkward VALUES (1, '2026-11-21 12:00:00+00', 12.34, '10.0.0.1', "
            "'6f2c0c6e-3f0e-4a9e-8d5e-0a1b2c3d4e5f', '{\"a\": [1, null]}', '90 minutes', 'tense', '{a,NULL,\"b,c\"}'), "
            "(2, '2026-11-21 13:00:00+00', NULL, NULL, NULL, NULL, NULL, NULL, NULL)"
        )
    entry = {"model": AWKWARD, "timestamp": AWKWARD.c.at, "key": AWKWARD.c.id, "columns": list(AWKWARD.c)[2:]}
    frame = extract_data("AWKWARD", NIGHT, source_engine, {"AWKWARD": entry}).sort_values("source_key")
    first, second = pa.Table.from_pandas(frame, preserve_index=False).to_pylist()
    assert first == {
        "source_key": 1,
        "event_timestamp": datetime(2026, 11, 21, 12, tzinfo=UTC),
        "amount": "12.34",
        "address": "10.0.0.1/32",
        "token": "6f2c0c6e-3f0e-4a9e-8d5e-0a1b2c3d4e5f",
        "payload": '{"a": [1, null]}',
        "lasted": "01:30:00",
        "mood": "tense",
        "tags": ["a", None, "b,c"],
    }
    assert {name: value for name, value in second.items() if value is not None} == {
        "source_key": 2,
        "event_timestamp": datetime(2026, 11, 21, 13, tzinfo=UTC),
    }


def test_an_interval_of_postgresql_s_own_type_comes_as_text_too(source_engine: Engine) -> None:
    AWKWARD.metadata.create_all(source_engine)
    with source_engine.begin() as connection:
        connection.exec_driver_sql(
            "INSERT INTO awkward (id, at, lasted) VALUES (1, '2026-11-21 12:00:00+00', '90 minutes')"
        )
    reflected = Table("awkward", MetaData(), autoload_with=source_engine)
    entry = {"model": reflected, "timestamp": reflected.c.at, "key": reflected.c.id, "columns": [reflected.c.lasted]}
    frame = extract_data("AWKWARD", NIGHT, source_engine, {"AWKWARD": entry})
    assert frame["lasted"].tolist() == ["01:30:00"]


INSERT_FEEDBACK = (
    "INSERT INTO feedback (feedback_id, patrol_id, assigned_to_officer_id, created_at) "
    "SELECT 7, patrol_id, assigned_to_officer_id, '2026-11-21 20:00:00+00' FROM patrols LIMIT 1"
)


@pytest.mark.parametrize(
    "read_before", [pytest.param(True, id="after a statement"), pytest.param(False, id="before any statement")]
)
def test_rows_written_after_the_snapshot_opened_are_not_seen(city: Engine, read_before: bool) -> None:
    kind = EVENT_TYPES["FEEDBACK"]
    before = len(extract_data("FEEDBACK", NIGHT, city))
    with open_snapshot(city) as snapshot:
        if read_before:
            snapshot.count([count_events(EVENT_TYPES["REMARK"], NIGHT)])
        with city.begin() as connection:
            connection.exec_driver_sql(INSERT_FEEDBACK)
            connection.exec_driver_sql("DELETE FROM vehicle_checks")
        assert sum(batch.num_rows for batch in extract_batches(kind, NIGHT, snapshot)) == before
        counts = snapshot.count(count_events(EVENT_TYPES[name], NIGHT) for name in ("FEEDBACK", "VEHICLE_CHECK"))
    assert counts["FEEDBACK"] == before
    assert counts["VEHICLE_CHECK"] > 0
    assert len(extract_data("FEEDBACK", NIGHT, city)) == before + 1


@pytest.mark.parametrize(
    "statement",
    [
        pytest.param("DELETE FROM feedback", id="a deletion"),
        pytest.param("CREATE TABLE mine (id int)", id="a table"),
        pytest.param("SELECT nextval('made_up')", id="a sequence"),
    ],
)
def test_the_snapshot_refuses_to_write(city: Engine, statement: str) -> None:
    with city.begin() as connection:
        connection.exec_driver_sql("CREATE SEQUENCE made_up")

    def write(snapshot: Snapshot) -> None:
        with snapshot.connection.cursor() as cursor:
            cursor.execute(statement)
            cursor.fetchall()  # the driver sends a SELECT only now

    with open_snapshot(city) as snapshot, pytest.raises(Exception, match="in a read-only transaction"):
        write(snapshot)


def test_reading_takes_no_lock_that_stops_a_writer(city: Engine) -> None:
    with open_snapshot(city) as snapshot:
        list(extract_batches(EVENT_TYPES["FEEDBACK"], NIGHT, snapshot))
        with city.connect() as connection:
            modes = connection.exec_driver_sql(
                "SELECT DISTINCT l.mode FROM pg_locks l JOIN pg_class c ON c.oid = l.relation "
                "WHERE c.relname = 'feedback' AND l.pid <> pg_backend_pid()"
            ).scalars()
            assert list(modes) == ["AccessShareLock"]


def test_the_snapshot_s_session_ends_with_the_block_also_where_it_fails(city: Engine) -> None:
    pids = []

    def fail() -> None:
        with open_snapshot(city) as snapshot:
            pids.extend(snapshot.read_whole(select(func.pg_backend_pid().label("pid")))["pid"].to_pylist())
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    with city.connect() as connection:
        gone = text("SELECT count(*) FROM pg_stat_activity WHERE pid = :pid")
        for _ in range(50):
            if connection.scalar(gone, {"pid": pids[0]}) == 0:
                break
            connection.rollback()
            time.sleep(0.1)
        assert connection.scalar(gone, {"pid": pids[0]}) == 0


SLOW = select(func.pg_sleep(5).cast(Text).label("slept"))


def test_a_statement_that_takes_too_long_is_cancelled_and_says_which_setting(city: Engine) -> None:
    with (
        open_snapshot(city, statement_timeout_seconds=1) as snapshot,
        pytest.raises(SourceUnreachable, match=r"\[extract · REMARK\] .* SENTINEL_STATEMENT_TIMEOUT_SECONDS"),
    ):
        list(snapshot.read(SLOW, "REMARK"))


def test_a_count_that_takes_too_long_says_which_setting_too(city: Engine) -> None:
    slept = SLOW.subquery().c.slept
    slow: Select[Any] = select(func.count().label("rows"), slept.label("event_type")).group_by(slept)
    with (
        open_snapshot(city, statement_timeout_seconds=1) as snapshot,
        pytest.raises(SourceUnreachable, match="SENTINEL_STATEMENT_TIMEOUT_SECONDS"),
    ):
        snapshot.count([slow])


def test_a_source_that_breaks_off_is_one_sentence(city: Engine) -> None:
    with open_snapshot(city) as snapshot:
        backend = snapshot.read_whole(select(func.pg_backend_pid().label("pid")))["pid"][0].as_py()
        with city.begin() as connection:
            connection.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": backend})
        with pytest.raises(SourceUnreachable, match=r"\[extract · FEEDBACK\] the source broke off") as caught:
            list(extract_batches(EVENT_TYPES["FEEDBACK"], NIGHT, snapshot))
    assert "\n" not in str(caught.value)


OTHER = MetaData()
RENAMED = Table(
    "feedback",
    OTHER,
    Column("feedback_id", BigInteger, primary_key=True),
    Column("created_at", DateTime(timezone=True)),
    Column("feedback_words", Text),
)
NOWHERE = Table(
    "complaints",
    OTHER,
    Column("complaint_id", BigInteger, primary_key=True),
    Column("created_at", DateTime(timezone=True)),
)
RETYPED = Table(
    "remarks",
    OTHER,
    Column("remark_id", BigInteger, primary_key=True),
    Column("created_at", DateTime(timezone=True)),
    Column("remark_text", Double),
    Column("hotspot_id", postgresql.ARRAY(BigInteger)),
)


def entry(table: Table, *columns: str) -> dict[str, Any]:
    key = next(iter(table.primary_key))
    return {"model": table, "timestamp": table.c.created_at, "key": key, "columns": [table.c[c] for c in columns]}


@pytest.fixture
def city_tables(source_engine: Engine) -> Engine:
    """The source's tables, empty."""
    create_source_tables(source_engine)
    return source_engine


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        pytest.param(
            {"COMPLAINT": entry(RENAMED, "feedback_words")},
            r"\[extract · COMPLAINT\] expected the source to have every column .*feedback_words",
            id="a column",
        ),
        pytest.param(
            {"COMPLAINT": entry(NOWHERE, "complaint_id")},
            r"\[extract · COMPLAINT\] expected the source to have every table .*complaints",
            id="a table",
        ),
    ],
)
def test_what_the_source_does_not_have_is_named_with_its_entry(
    city_tables: Engine, config: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(SchemaMismatch, match=sentence):
        extract_data("COMPLAINT", NIGHT, city_tables, config)


def differences(config: dict[str, Any], engine: Engine) -> list[tuple[bool, str]]:
    found = check_source(parse_event_config(config).values(), engine)
    return [(difference.blocking, str(difference)) for difference in found]


def test_the_sample_config_and_the_sample_source_agree(city_tables: Engine) -> None:
    assert differences(EVENT_CONFIG, city_tables) == []


def test_a_renamed_column_is_a_difference_that_names_what_is_there(city_tables: Engine) -> None:
    assert differences({"COMPLAINT": entry(RENAMED, "feedback_words")}, city_tables) == [
        (
            True,
            "COMPLAINT: expected a column feedback.feedback_words; the source has accuracy, assigned_to_officer_id, "
            "created_at, feedback_id, feedback_text, latitude, longitude, patrol_id, received_at: "
            "was it renamed to feedback_text?",
        )
    ]


def test_a_missing_table_is_one_difference(city_tables: Engine) -> None:
    assert differences({"COMPLAINT": entry(NOWHERE, "complaint_id")}, city_tables) == [
        (True, "COMPLAINT: expected a table complaints; the source has none that we may see")
    ]


def test_a_retyped_column_is_a_difference_with_both_types(city_tables: Engine) -> None:
    assert differences({"NOTE": entry(RETYPED, "remark_text", "hotspot_id")}, city_tables) == [
        (True, "NOTE: expected remarks.remark_text to be double precision; the source has text"),
        (True, "NOTE: expected remarks.hotspot_id to be bigint[]; the source has bigint"),
    ]


def test_types_of_one_family_are_no_difference(city_tables: Engine) -> None:
    with city_tables.begin() as connection:
        connection.exec_driver_sql(
            "ALTER TABLE remarks ALTER hotspot_id TYPE integer, ALTER remark_text TYPE varchar(500), "
            "ALTER latitude TYPE real, ALTER new_priority_ranking TYPE integer"
        )
    assert differences({"REMARK": EVENT_CONFIG["REMARK"]}, city_tables) == []


def test_a_time_filter_without_an_index_is_a_warning_with_its_remedy(city_tables: Engine) -> None:
    with city_tables.begin() as connection:
        connection.exec_driver_sql("DROP INDEX ix_remarks_created_at")
    assert differences({"REMARK": EVENT_CONFIG["REMARK"]}, city_tables) == [
        (
            False,
            "REMARK: expected an index on remarks.created_at, the time filter; every run reads the whole table. "
            "CREATE INDEX CONCURRENTLY ON remarks (created_at)",
        )
    ]


def test_an_index_in_which_the_time_comes_second_is_none(city_tables: Engine) -> None:
    with city_tables.begin() as connection:
        connection.exec_driver_sql("DROP INDEX ix_remarks_created_at")
        connection.exec_driver_sql("CREATE INDEX ON remarks (patrol_id, created_at)")
    config = {"NOTE": {**EVENT_CONFIG["REMARK"], "model": Remark.__table__, "timestamp": Remark.__table__.c.created_at}}
    assert [blocking for blocking, _ in differences(config, city_tables)] == [False]


def test_a_view_needs_no_index_of_its_own_but_the_one_under_it(city_tables: Engine) -> None:
    with city_tables.begin() as connection:
        connection.exec_driver_sql(
            "CREATE VIEW complaints AS SELECT feedback_id AS complaint_id, created_at FROM feedback"
        )
    config = {"C": entry(NOWHERE, "complaint_id")}
    assert differences(config, city_tables) == []
    with city_tables.begin() as connection:
        connection.exec_driver_sql("DROP INDEX ix_feedback_created_at")
    assert differences(config, city_tables) == [
        (
            False,
            "C: expected an index on feedback.created_at, the time filter; every run reads the whole table. "
            "CREATE INDEX CONCURRENTLY ON feedback (created_at)",
        )
    ]
