"""One label of several types, and texts that a type pads: each event type's rows arrive as they are, and are scored."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from clickhouse_sqlalchemy import Table as FactTable
from clickhouse_sqlalchemy import engines, types
from sqlalchemy import CHAR, BigInteger, Column, DateTime, Double, Engine, MetaData, Numeric, Table, text

from sentinel_etl.pipeline import Pipeline
from sentinel_etl.reconcile.compare import compare_fingerprints
from sentinel_etl.run.run_window import run_window
from sentinel_etl.settings import Settings
from sentinel_etl.warehouse.query import run_statement
from sentinel_etl.window import Window

NIGHT = Window(datetime(2026, 11, 21, 0, 30, tzinfo=UTC), datetime(2026, 11, 22, 0, 30, tzinfo=UTC))
AT = datetime(2026, 11, 21, 12, tzinfo=UTC)

# Event type → the type of its amount, and the amount.
AMOUNTS: dict[str, tuple[Any, str]] = {
    "WHOLE": (BigInteger(), "9007199254740993"),
    "BROKEN": (Double(), "0.1"),
    "EXACT": (Numeric(30, 10), "12345678901234567890.0123456789"),
}


def build_pipeline(amount: Any) -> Pipeline:
    metadata, config = MetaData(), {}
    for name, (kind, _) in AMOUNTS.items():
        table = Table(
            name.lower(),
            metadata,
            Column("id", BigInteger, primary_key=True),
            Column("at", DateTime(timezone=True), index=True),
            Column("amount", kind),
            Column("extra", kind),
            Column("colour", CHAR(6)),
        )
        columns = [table.c.amount, table.c.extra, table.c.colour]
        config[name] = {"model": table, "timestamp": table.c.at, "key": table.c.id, "columns": columns}
    facts = FactTable(
        "amounts",
        MetaData(),
        Column("event_id", types.String),
        Column("event_timestamp", types.DateTime64(6, "UTC")),
        Column("event_type", types.String),
        Column("shift_date", types.Date),
        Column("amount", amount),
        Column("colour", types.Nullable(types.String)),
        Column("base_risk_score", types.Float64),
        Column("details_json", types.Nullable(types.String)),
        Column("run_id", types.String),
        Column("loaded_at", types.DateTime64(6, "UTC")),
        engines.MergeTree(partition_by=text("shift_date"), order_by=("shift_date", "event_type", "event_id")),
    )
    return Pipeline(config, facts, risk_weights={"colour": {"RED": 10.0}})


def fill(source: Engine) -> None:
    with source.begin() as connection:
        for name, (kind, amount) in AMOUNTS.items():
            written = kind.compile(dialect=source.dialect)
            connection.execute(
                text(
                    f"CREATE TABLE {name.lower()} (id bigint PRIMARY KEY, at timestamptz, amount {written}, "
                    f"extra {written}, colour char(6))"
                )
            )
            connection.execute(
                text(f"INSERT INTO {name.lower()} VALUES (1, :at, {amount}, {amount}, 'RED')"), {"at": AT}
            )


def test_one_label_of_an_integer_a_double_and_a_numeric_keeps_each_one_s_digits(
    source_engine: Engine, warehouse: Engine
) -> None:
    pipeline = build_pipeline(types.Nullable(types.Decimal(38, 10)))
    fill(source_engine)
    with source_engine.begin() as connection:
        connection.execute(text("UPDATE broken SET amount = NULL"))  # a double goes into no Decimal
    del pipeline.event_config["BROKEN"]["columns"][0]  # type: ignore[attr-defined]
    pipeline.check()
    result = run_window(
        NIGHT, source=source_engine, warehouse=warehouse, pipeline=pipeline, settings=Settings(), allow_shrink=True
    )
    assert result.verdict.is_published
    stored = run_statement(
        warehouse,
        "SELECT event_type, toString(amount), details_json, base_risk_score FROM amounts ORDER BY event_type",
        repeatable=True,
    )
    assert [(name, amount) for name, amount, *_ in stored] == [
        ("BROKEN", None),
        ("EXACT", AMOUNTS["EXACT"][1]),
        ("WHOLE", AMOUNTS["WHOLE"][1]),
    ]
    assert {name: details for name, _, details, _ in stored} == {
        name: f'{{"extra":{amount}}}' for name, (_, amount) in AMOUNTS.items()
    }
    assert all(json.loads(details) for _, _, details, _ in stored)
    assert [float(score) for *_, score in stored] == [10.0, 10.0, 10.0]
    compared = compare_fingerprints(NIGHT.shift_dates(pipeline.zone), pipeline, source_engine, warehouse)
    assert compared["content"].all()


def test_a_double_s_column_takes_what_a_double_holds_and_rejects_an_integer_that_none_does(
    source_engine: Engine, warehouse: Engine
) -> None:
    pipeline = build_pipeline(types.Nullable(types.Float64))
    fill(source_engine)
    with source_engine.begin() as connection:
        connection.execute(text("INSERT INTO whole VALUES (2, :at, 2, 2, 'BLUE')"), {"at": AT})
    pipeline.check()
    result = run_window(
        NIGHT, source=source_engine, warehouse=warehouse, pipeline=pipeline, settings=Settings(), allow_shrink=True
    )
    assert result.verdict.is_published
    stored = run_statement(warehouse, "SELECT event_id, amount FROM amounts ORDER BY event_id", repeatable=True)
    assert [(event_id, float(amount)) for event_id, amount in stored] == [
        ("BROKEN:1", 0.1),
        ("EXACT:1", float(AMOUNTS["EXACT"][1])),
        ("WHOLE:2", 2.0),
    ]
    assert result.rejected["reason"].tolist() == ["amount: a value that does not fit Float64"]
