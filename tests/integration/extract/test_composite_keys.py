"""Keys of several parts: two different keys are never one value, and the ids that warehouses hold stay as they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from typing import Any

import pandas as pd
import pytest
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Date,
    DateTime,
    Engine,
    MetaData,
    Numeric,
    Table,
    Text,
    Time,
    insert,
)
from sqlalchemy.dialects import postgresql

from sentinel_etl.databases import Databases
from sentinel_etl.extract.read import extract_data
from sentinel_etl.pipeline import SENTINEL, Pipeline
from sentinel_etl.reconcile.compare import compare_fingerprints
from sentinel_etl.run.run_window import run_window
from sentinel_etl.settings import Settings
from sentinel_etl.warehouse.query import run_statement
from sentinel_etl.window import Window

NIGHT = Window.night(date(2026, 11, 21))
NOON = NIGHT.start
TEXTS = [None, "", "a", "b", "c", ":", "\\", "\\:", "a:b", "b:c", "N", "\\N", ":\\N", "a\\", "\\\\", "::", "\\N:\\N"]

LETTERS = Table(
    "letters",
    MetaData(),
    Column("id", BigInteger, primary_key=True),
    Column("at", DateTime(timezone=True)),
    Column("office", Text),
    Column("reference", Text),
)


def entry(table: Table, *key: str) -> dict[str, Any]:
    parts = tuple(table.c[name] for name in key)
    return {"model": table, "timestamp": table.c.at, "key": parts, "columns": [table.c.id]}


def keys_of(source: Engine, table: Table, *key: str) -> list[Any]:
    frame = extract_data("LETTER", NIGHT, source, {"LETTER": entry(table, *key)}, ())
    return [None if pd.isna(value) else value for value in frame.sort_values("id")["source_key"].astype(object)]


def fill(source: Engine, table: Table, rows: Sequence[dict[str, Any]]) -> None:
    table.metadata.create_all(source)
    with source.begin() as connection:
        connection.execute(insert(table), [{"at": NOON, "id": place, **row} for place, row in enumerate(rows)])


def test_two_different_keys_of_two_texts_are_never_the_same_value(source_engine: Engine) -> None:
    pairs = [(first, second) for first in TEXTS for second in TEXTS]
    fill(source_engine, LETTERS, [{"office": first, "reference": second} for first, second in pairs])
    keys = keys_of(source_engine, LETTERS, "office", "reference")
    known = [key for key in keys if key is not None]
    assert len(set(known)) == len(known) == len(pairs) - 1
    assert [pair for pair, key in zip(pairs, keys, strict=True) if key is None] == [(None, None)]


@pytest.mark.parametrize(
    ("office", "reference", "key"),
    [
        pytest.param("north", "A-1", "north:A-1", id="plain"),
        pytest.param("a:b", "c", "a\\:b:c", id="a colon in the first"),
        pytest.param("a", "b:c", "a:b\\:c", id="a colon in the second"),
        pytest.param("a\\", "b", "a\\\\:b", id="a backslash"),
        pytest.param("a", None, "a:\\N", id="NULL"),
        pytest.param("a", "", "a:", id="empty"),
        pytest.param("a", "\\N", "a:\\\\N", id="the text that NULL is written as"),
        pytest.param("ಉತ್ತರ", "%s 'x'", "ಉತ್ತರ:%s 'x'", id="other characters"),
    ],
)
def test_a_texts_colons_and_backslashes_are_escaped_and_null_is_told_from_empty(
    source_engine: Engine, office: str | None, reference: str | None, key: str
) -> None:
    fill(source_engine, LETTERS, [{"office": office, "reference": reference}])
    assert keys_of(source_engine, LETTERS, "office", "reference") == [key]


MANY_TYPES = Table(
    "many_types",
    MetaData(),
    Column("id", BigInteger, primary_key=True),
    Column("at", DateTime(timezone=True)),
    Column("number", Numeric),
    Column("flag", Boolean),
    Column("day", Date),
    Column("clock", Time),
    Column("token", postgresql.UUID(as_uuid=False)),
    Column("bytes", postgresql.BYTEA),
    Column("machine", postgresql.MACADDR),
    Column("padded", postgresql.CHAR(4)),
    Column("mood", postgresql.ENUM("calm", name="mood")),
    Column("lasted", postgresql.INTERVAL),
)


def test_a_composite_key_without_colons_in_its_texts_is_written_as_it_always_was(source_engine: Engine) -> None:
    """Warehouses hold these ids: a change of a single byte would make new events of the old ones."""
    row = {
        **{"id": 12, "number": "3.40", "flag": True, "day": "2026-11-21", "clock": "10:20:30", "mood": "calm"},
        **{"token": "6f2c0c6e-3f0e-4a9e-8d5e-0a1b2c3d4e5f", "bytes": b"\\:", "machine": "08:00:2b:01:02:03"},
        **{"padded": "ab", "lasted": "1 day 02:03:04"},
    }
    fill(source_engine, MANY_TYPES, [row])
    names = [column.name for column in MANY_TYPES.columns]
    with source_engine.connect() as connection:
        before = connection.exec_driver_sql(f"SELECT concat_ws(':', {', '.join(names)}) FROM many_types").scalar()
    assert keys_of(source_engine, MANY_TYPES, *names) == [before]
    assert keys_of(source_engine, MANY_TYPES, "id", "id") == ["12:12"]


def letters(*key: str) -> Pipeline:
    config = {"LETTER": {**entry(LETTERS, *key), "columns": [LETTERS.c.id.label("patrol_id"), *constants()]}}
    return replace(SENTINEL, event_config=config, coalesce={}, common_columns=(), risk_weights={}, personal={})


def constants() -> list[Any]:
    return [LETTERS.c.id.label(name) for name in ("officer_id", "station_id")]


@pytest.mark.parametrize(
    ("key", "rows", "ids", "without"),
    [
        pytest.param(
            ("office", "reference"),
            [("a:b", "c"), ("a", "b:c"), ("a", None), (None, "a"), (None, None), ("", "")],
            ["LETTER::", "LETTER:\\N:a", "LETTER:a:\\N", "LETTER:a:b\\:c", "LETTER:a\\:b:c"],
            1,
            id="of two columns",
        ),
        pytest.param(("office",), [("", None), (None, None), ("\\N", None)], ["LETTER:", "LETTER:\\N"], 1, id="of one"),
    ],
)
def test_both_sides_name_each_event_alike_and_a_row_without_a_key_is_rejected(
    source_engine: Engine,
    warehouse: Engine,
    key: tuple[str, ...],
    rows: list[tuple[str | None, str | None]],
    ids: list[str],
    without: int,
) -> None:
    fill(source_engine, LETTERS, [{"office": office, "reference": reference} for office, reference in rows])
    pipeline = letters(*key)
    databases = Databases(source_engine, warehouse)
    result = run_window(
        NIGHT, source=databases.source, warehouse=warehouse, pipeline=pipeline, settings=Settings(lookback_nights=0)
    )
    assert result.rejected.to_dict("records") == [
        {"event_type": "LETTER", "reason": "event_id: no value, and the fact table needs one", "rows": without}
    ]
    found = run_statement(warehouse, "SELECT event_id FROM patrol_events ORDER BY 1")
    assert [name for (name,) in found] == ids
    assert run_statement(warehouse, "SELECT DISTINCT event_id FROM patrol_events_rejected") == [("LETTER",)]

    def compared() -> list[tuple[Any, ...]]:
        table = compare_fingerprints([date(2026, 11, 21)], pipeline, source_engine, warehouse)
        return list(table[["source", "warehouse", "keys", "content"]].itertuples(index=False, name=None))

    assert compared() == [(len(rows), len(rows), True, True)]
    # The row with an empty key is an event, and is compared as one.
    with source_engine.begin() as connection:
        connection.exec_driver_sql("UPDATE letters SET id = 77 WHERE office = ''")
    assert compared() == [(len(rows), len(rows), True, False)]
