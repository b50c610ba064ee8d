"""Fact tables of other teams: many partitions, a TTL, odd names of columns, other types of the engine's columns."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from clickhouse_sqlalchemy import Table as FactTable
from clickhouse_sqlalchemy import engines, types
from sqlalchemy import BigInteger, Column, DateTime, Engine, MetaData, Table, Text, text

from sentinel_etl.load.load import Loader
from sentinel_etl.pipeline import Pipeline
from sentinel_etl.reconcile.compare import compare_fingerprints
from sentinel_etl.run.result import RunResult
from sentinel_etl.run.run_window import run_window
from sentinel_etl.settings import Settings
from sentinel_etl.warehouse.query import query_df, run_statement
from sentinel_etl.window import Window

LOADERS: list[Loader] = ["arrow", "to_sql"]
NIGHT = Window(datetime(2026, 11, 21, 0, 30, tzinfo=UTC), datetime(2026, 11, 22, 0, 30, tzinfo=UTC))
INSTANT = types.DateTime64(6, "UTC")


def notes_table() -> Table:
    return Table(
        "notes",
        MetaData(),
        Column("note_id", Text, primary_key=True),
        Column("at", DateTime(timezone=True), index=True),
        Column("number", BigInteger),
        Column("words", Text),
    )


def fact_table(
    *more: Column[Any],
    partition_by: str = "toYYYYMM(shift_date)",
    event_timestamp: Any = INSTANT,
    run_id: Any = types.String,
    loaded_at: Any = INSTANT,
) -> FactTable:
    return FactTable(
        "note_events",
        MetaData(),
        Column("event_id", types.String),
        Column("event_timestamp", event_timestamp),
        Column("event_type", types.LowCardinality(types.String)),
        Column("shift_date", types.Date),
        Column("number", types.Int64),
        *more,
        Column("run_id", run_id),
        Column("loaded_at", loaded_at),
        engines.MergeTree(partition_by=text(partition_by), order_by=("shift_date", "event_type", "event_id")),
    )


def note_pipeline(table: FactTable, notes: Table, **labels: str) -> Pipeline:
    """A pipeline of one event type; ``labels``: source column → the fact table's."""
    columns = [notes.c[name].label(label) for name, label in ({"number": "number"} | labels).items()]
    entry = {"model": notes, "timestamp": notes.c.at, "key": notes.c.note_id, "columns": columns}
    return Pipeline(event_config={"NOTE": entry}, fact_table=table)


@pytest.fixture
def move(source_engine: Engine, warehouse: Engine) -> Callable[..., RunResult]:
    """Run a window of the notes; the source's rows are given."""

    def run(
        pipeline: Pipeline, rows: list[dict[str, Any]], window: Window = NIGHT, loader: Loader = "arrow"
    ) -> RunResult:
        notes = notes_table()
        notes.create(source_engine, checkfirst=True)
        with source_engine.begin() as connection:
            connection.execute(notes.delete())
            connection.execute(notes.insert(), rows)
        pipeline.check()
        settings = Settings(loader=loader, lookback_nights=0)
        return run_window(
            window, source=source_engine, warehouse=warehouse, pipeline=pipeline, settings=settings, allow_shrink=True
        )

    return run


def note(key: str, at: datetime = NIGHT.start, number: int = 1, words: str | None = "ok") -> dict[str, Any]:
    return {"note_id": key, "at": at, "number": number, "words": words}


@pytest.mark.parametrize("loader", LOADERS)
def test_a_window_of_more_than_100_partitions_is_loaded_and_loaded_again(
    move: Callable[..., RunResult], warehouse: Engine, loader: Loader
) -> None:
    window = Window(NIGHT.start - timedelta(days=150), NIGHT.end)
    rows = [note(str(day), NIGHT.start - timedelta(days=day)) for day in range(150)]
    pipeline = note_pipeline(fact_table(partition_by="shift_date"), notes_table())
    for _ in range(2):
        assert move(pipeline, rows, window, loader).verdict.is_published
        assert run_statement(warehouse, "SELECT count(), uniqExact(shift_date) FROM note_events") == [(150, 150)]


@pytest.mark.parametrize("loader", LOADERS)
@pytest.mark.parametrize(
    "name",
    [
        "per%cent",
        "per%%cent",
        "%s",
        "back`tick",
        'double"quote',
        "single'quote",
        "back\\slash",
        "colon:words",
        ":words",
        "question?mark",
        "two words",
        " spaces ",
        "ಮಾತು",
        "select",
        "index",
        "from",
        "double__under",
        "{words}",
        "{words:String}",
        "a.b",
        "a,b",
        "(a)",
        "semi;colon",
        "-- comment",
        "/* comment",
        "UPPER",
        "1st",
        "$1",
        "@a",
        "sum VALUES (a)",
        "values",
        "final",
        "interval",
        "true",
        "nan",
    ],
)
def test_a_column_of_any_name_is_loaded_audited_published_reconciled_and_read(
    move: Callable[..., RunResult], source_engine: Engine, warehouse: Engine, name: str, loader: Loader
) -> None:
    table = fact_table(Column(name, types.Nullable(types.String)))
    pipeline = note_pipeline(table, notes_table(), words=name)
    rows = [note("1", words="100% 'x'"), note("2", words=None), note("3", NIGHT.end - timedelta(seconds=1))]
    for _ in range(2):
        result = move(pipeline, rows, loader=loader)
        assert result.verdict.is_published, [str(check) for check in result.checks if not check.passed]
    found = query_df(warehouse, table.select().order_by(table.c.event_id))
    assert found[name].to_list() == ["100% 'x'", None, "ok"] or found[name].isna().to_list() == [False, True, False]
    compared = compare_fingerprints([NIGHT.shift_dates(pipeline.zone)[0]], pipeline, source_engine, warehouse)
    assert compared[["source", "warehouse", "keys", "content"]].values.tolist() == [[3, 3, True, True]]


@pytest.mark.parametrize(
    "ttl", ["shift_date + INTERVAL 1 YEAR", "toDateTime(event_timestamp) + INTERVAL 1 YEAR DELETE"]
)
def test_a_table_with_a_ttl_takes_a_night_within_it_and_will_let_its_rows_expire(
    move: Callable[..., RunResult], warehouse: Engine, ttl: str
) -> None:
    pipeline = note_pipeline(fact_table(), notes_table())
    recent = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0) - timedelta(days=2)
    night = Window.ending(recent + timedelta(hours=12), 24, pipeline.zone)
    assert move(pipeline, [note("1", recent)], night).verdict.is_published
    run_statement(warehouse, f"ALTER TABLE note_events MODIFY TTL {ttl}")
    result = move(pipeline, [note("1", recent), note("2", recent)], night)
    assert result.verdict.is_published
    assert [check.passed for check in result.checks if check.gate == "rows_not_expired"] == [True]
    statement = (
        "SELECT sum(rows), min(delete_ttl_info_min) > now() FROM system.parts WHERE active "
        "AND database = currentDatabase() AND table = 'note_events'"
    )
    assert run_statement(warehouse, statement) == [(2, 1)]


def test_a_night_that_the_table_s_ttl_has_expired_is_one_sentence_and_not_lost_rows(
    move: Callable[..., RunResult], warehouse: Engine
) -> None:
    pipeline = note_pipeline(fact_table(), notes_table())
    move(pipeline, [note("1")])
    old = datetime(2020, 5, 5, 12, tzinfo=UTC)
    night = Window(datetime(2020, 5, 5, 0, 30, tzinfo=UTC), datetime(2020, 5, 6, 0, 30, tzinfo=UTC))
    run_statement(warehouse, "ALTER TABLE note_events MODIFY TTL shift_date + INTERVAL 1 YEAR")
    result = move(pipeline, [note("1", old), note("2", old)], night)
    failed = [check for check in result.checks if not check.passed and check.blocks]
    assert [(check.gate, check.expected) for check in failed] == [
        ("rows_not_expired", "no row past the TTL of note_events")
    ]
    assert failed[0].observed == (
        "some or all of 2 rows past it, which ClickHouse would drop at the next merge; load no night that is so old, "
        "or lengthen the TTL with ALTER TABLE note_events MODIFY TTL"
    )


@pytest.mark.parametrize("loader", LOADERS)
@pytest.mark.parametrize(
    "columns",
    [
        pytest.param({"loaded_at": types.DateTime}, id="loaded_at DateTime"),
        pytest.param({"loaded_at": types.DateTime("Asia/Kolkata")}, id="loaded_at DateTime in a zone"),
        pytest.param({"loaded_at": types.DateTime64(3, "UTC")}, id="loaded_at to the millisecond"),
        pytest.param({"loaded_at": types.DateTime64(9, "UTC")}, id="loaded_at to the nanosecond"),
        pytest.param({"loaded_at": types.DateTime64(0, "UTC")}, id="loaded_at to the second"),
        pytest.param({"loaded_at": types.Nullable(INSTANT)}, id="loaded_at that may be NULL"),
        pytest.param({"event_timestamp": types.DateTime64(6, "Asia/Kolkata")}, id="event_timestamp in a zone"),
        pytest.param({"event_timestamp": types.DateTime("UTC")}, id="event_timestamp DateTime"),
        pytest.param({"event_timestamp": types.DateTime64(0)}, id="event_timestamp to the second"),
        pytest.param({"event_timestamp": types.DateTime64(3, "UTC")}, id="event_timestamp to the millisecond"),
        pytest.param({"event_timestamp": types.DateTime64(9, "UTC")}, id="event_timestamp to the nanosecond"),
        pytest.param({"run_id": types.LowCardinality(types.String)}, id="run_id LowCardinality"),
    ],
)
def test_the_engine_s_columns_may_be_of_other_types(
    move: Callable[..., RunResult], warehouse: Engine, columns: dict[str, Any], loader: Loader
) -> None:
    pipeline = note_pipeline(fact_table(**columns), notes_table())
    before = datetime.now(UTC).replace(microsecond=0)
    rows = [note("1"), note("2", NIGHT.end - timedelta(milliseconds=1000))]
    for _ in range(2):
        assert move(pipeline, rows, loader=loader).verdict.is_published
    statement = (
        "SELECT toUnixTimestamp(loaded_at), toUnixTimestamp(event_timestamp), length(run_id) > 0 FROM note_events "
        "ORDER BY event_id"
    )
    found = [tuple(row) for row in run_statement(warehouse, statement)]
    assert [row[1] for row in found] == [int(row["at"].timestamp()) for row in rows]
    assert all(before.timestamp() <= row[0] <= datetime.now(UTC).timestamp() and row[2] for row in found)


@pytest.mark.parametrize("loader", LOADERS)
def test_hundreds_of_long_keys_that_repeat_are_each_kept_once(
    move: Callable[..., RunResult], source_engine: Engine, warehouse: Engine, loader: Loader
) -> None:
    notes = notes_table()
    pipeline = note_pipeline(fact_table(), notes)
    twice = Table("twice", MetaData(), Column("n", BigInteger))
    rows = [note(f"{n:04}" + "ಕ" * 296, number=int(n < 900)) for n in range(4_600)]
    twice.create(source_engine)
    with source_engine.begin() as connection:
        connection.execute(twice.insert(), [{"n": n} for n in range(2)])
    entry = {**pipeline.event_config["NOTE"], "joins": [(twice, twice.c.n <= notes.c.number, {"one_to_many": True})]}
    repeated = Pipeline(event_config={"NOTE": entry}, fact_table=pipeline.fact_table)
    result = move(repeated, rows, loader=loader)
    assert int(result.rejected["rows"].sum()) == 900
    assert run_statement(warehouse, "SELECT count(), uniqExact(event_id) FROM note_events") == [(4_600, 4_600)]
