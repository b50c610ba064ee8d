"""The document of a pipeline's rules: whole, the same for every window, and without a secret."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, date, datetime

import pytest
from clinics import ADMISSIONS, BARE, NAMED
from foreign.opera import OPERA
from pydantic import SecretStr
from sqlalchemy import func

from sentinel_etl.extract.statements import list_statements
from sentinel_etl.pipeline import SENTINEL, Pipeline
from sentinel_etl.rules.describe import describe_rules, hash_rules, statement_for
from sentinel_etl.rules.stored import restore_pipeline
from sentinel_etl.warehouse.types import fact_types
from sentinel_etl.window import Window

WINDOWS = [
    Window.night(date(2026, 11, 21)),
    Window(datetime(2026, 3, 29, 0, 0, 0, 5, tzinfo=UTC), datetime(2026, 3, 29, 9, 17, tzinfo=UTC)),
]
CLOCKED = replace(
    BARE,
    event_config={
        "ADMISSION": {
            "model": ADMISSIONS,
            "timestamp": func.timezone("Europe/Paris", func.timezone("UTC", ADMISSIONS.c.admitted_at)),
            "columns": [ADMISSIONS.c.urgency],
        }
    },
)
PIPELINES = {"the sample city": SENTINEL, "times without a zone": CLOCKED, "a clinic": NAMED, "an opera": OPERA}


@pytest.mark.parametrize("pipeline", PIPELINES.values(), ids=PIPELINES)
@pytest.mark.parametrize("window", WINDOWS, ids=["a night", "a few hours"])
def test_a_kept_statement_is_the_one_that_is_sent_for_any_window(pipeline: Pipeline, window: Window) -> None:
    rules = json.loads(json.dumps(describe_rules(pipeline)))
    kept = {name: statement_for(entry["statement"], window) for name, entry in rules["event_types"].items()}
    assert kept == list_statements(pipeline.event_types, window)


@pytest.mark.parametrize("pipeline", PIPELINES.values(), ids=PIPELINES)
def test_the_rules_hold_no_window(pipeline: Pipeline) -> None:
    text = json.dumps(describe_rules(pipeline))
    assert "1999-12" not in text
    assert "{window start" in text
    assert "{window end" in text


def test_the_rules_hold_neither_key_nor_password() -> None:
    key = SecretStr("hunter2" * 5)
    assert "hunter2" not in json.dumps(describe_rules(replace(SENTINEL, pii="hash", pii_key=key)))


def test_equal_pipelines_have_equal_hashes_and_others_have_others() -> None:
    weights = {**SENTINEL.risk_weights, "stranger_id_type": {"NONE": 9.0}}
    hashes = [
        hash_rules(describe_rules(each))
        for each in (SENTINEL, replace(SENTINEL), replace(SENTINEL, risk_weights=weights))
    ]
    assert hashes[0] == hashes[1] != hashes[2]


@pytest.mark.parametrize("pipeline", PIPELINES.values(), ids=PIPELINES)
def test_what_is_taken_up_again_transforms_as_what_was_written_down(pipeline: Pipeline) -> None:
    stored = restore_pipeline(json.loads(json.dumps(describe_rules(pipeline))), pipeline, "again")
    assert stored.fact_types == fact_types(pipeline.fact_table)
    assert stored.detail_columns == pipeline.detail_columns
    assert stored.personal_columns == pipeline.personal_columns
    assert (stored.coalesce, stored.bounds, stored.zone) == (pipeline.coalesce, pipeline.bounds, pipeline.zone)
    assert stored.unknown_values == pipeline.unknown_values
    assert stored.schema.equals(pipeline.schema)
