"""Entries that leave out what the model says, loaded into real databases."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from sqlalchemy import and_, text

from sentinel_etl.config.source_models import Patrol, Remark
from sentinel_etl.databases import Databases
from sentinel_etl.extract.read import extract_data
from sentinel_etl.pipeline import SENTINEL, Pipeline
from sentinel_etl.reconcile.compare import compare_fingerprints
from sentinel_etl.run.run_window import run_window
from sentinel_etl.settings import Settings
from sentinel_etl.warehouse.query import run_statement
from sentinel_etl.window import Window

NIGHT = Window(datetime(2026, 11, 21, 0, 30, tzinfo=UTC), datetime(2026, 11, 22, 0, 30, tzinfo=UTC))

# fmt: off
ENTRIES = {
    'HIGH_INTEGRITY_VISITS': {
        'model': Remark,
        'joins': [(Patrol, and_(Remark.patrol_id == Patrol.patrol_id, Patrol.patrol_status == 'COMPLETED'))],
        'columns': [Remark.remark_id, Patrol.start_time],
    },
}
# fmt: on

EXPECTED = text(
    "SELECT 'HIGH_INTEGRITY_VISITS:' || r.remark_id, r.created_at FROM remarks r JOIN patrols p USING (patrol_id) "
    "WHERE p.patrol_status = 'COMPLETED' AND r.created_at >= '2026-11-21 00:30Z' AND r.created_at < '2026-11-22 00:30Z'"
)


@pytest.fixture
def pipeline() -> Pipeline:
    return replace(SENTINEL, event_config=ENTRIES)


def test_the_least_entry_is_loaded_as_it_is_printed(databases: Databases, pipeline: Pipeline) -> None:
    pipeline.check()
    result = run_window(
        NIGHT, source=databases.source, warehouse=databases.warehouse, pipeline=pipeline, settings=Settings()
    )
    assert result.verdict == "PUBLISHED"
    with databases.source.connect() as connection:
        expected = sorted(tuple(row) for row in connection.execute(EXPECTED))
    rows = run_statement(
        databases.warehouse, "SELECT event_id, event_timestamp, details_json FROM patrol_events ORDER BY event_id"
    )
    found = sorted((str(row[0]), row[1] if row[1].tzinfo else row[1].replace(tzinfo=UTC)) for row in rows)
    assert len(found) > 0
    assert found == expected
    assert all('"remark_id":' in row[2] and '"start_time":' in row[2] for row in rows)
    nights = NIGHT.shift_dates(pipeline.zone)
    compared = compare_fingerprints(nights, pipeline, databases.source, databases.warehouse)
    assert compared[["keys", "content"]].to_numpy().all()


def test_the_least_entry_is_extracted_by_itself(databases: Databases) -> None:
    frame = extract_data("HIGH_INTEGRITY_VISITS", NIGHT, databases.source, config=ENTRIES)
    with databases.source.connect() as connection:
        expected = {row[0] for row in connection.execute(EXPECTED)}
    assert {f"HIGH_INTEGRITY_VISITS:{key}" for key in frame["source_key"]} == expected


def test_the_least_entry_is_extracted_by_another_default_timestamp(databases: Databases) -> None:
    entry = {"VISIT": {"model": Patrol, "columns": [Patrol.patrol_status]}}
    frame = extract_data("VISIT", NIGHT, databases.source, config=entry, default_timestamp="start_time")
    with databases.source.connect() as connection:
        expected = connection.scalar(
            text(
                "SELECT count(*) FROM patrols "
                "WHERE start_time >= '2026-11-21 00:30Z' AND start_time < '2026-11-22 00:30Z'"
            )
        )
    assert len(frame) == expected > 0
