"""The analyst's questions of a fact table whose dimensions have other names and types than the sample city's."""

from __future__ import annotations

from datetime import UTC, datetime

import clinics
import pytest
from sqlalchemy import Engine

from sentinel_etl.analyst import questions
from sentinel_etl.errors import ConfigurationError
from sentinel_etl.run.run_window import run_window
from sentinel_etl.settings import Settings
from sentinel_etl.window import Window

MORNING = datetime(2026, 11, 22, 0, 30, tzinfo=UTC)


@pytest.fixture
def loaded(source_engine: Engine, warehouse: Engine) -> Engine:
    clinics.fill_clinic(source_engine)
    for night in clinics.NIGHTS:
        run_window(
            Window.night(night),
            source=source_engine,
            warehouse=warehouse,
            pipeline=clinics.NAMED,
            settings=Settings(),
        )
    return warehouse


def test_questions_are_answered_in_the_pipeline_s_own_columns(loaded: Engine) -> None:
    wards = questions.station_activity(loaded, MORNING, pipeline=clinics.NAMED)
    assert wards[["ward_id", "nights_active", "patrols", "officers", "events"]].values.tolist() == [
        ["<b>C</b>", 3, 6, 4, 108],
        ["B'2", 3, 6, 4, 108],
        ["Ågren", 3, 6, 4, 108],
    ]
    nurses = questions.officer_activity(loaded, MORNING, pipeline=clinics.NAMED)
    assert sorted(nurses["nurse"]) == [f"00000000-0000-0000-0000-00000000000{n}" for n in range(4)]
    assert nurses["events"].sum() == 3 * 108
    places = questions.hotspot_risk(loaded, MORNING, pipeline=clinics.NAMED)
    assert places[["bed", "events"]].values.tolist() == [["WINDOW", 144], ["DOOR", 180]]
    cells = questions.incident_heatmap(loaded, MORNING, pipeline=clinics.NAMED)
    assert cells["events"].sum() == 3 * 108
    assert cells.attrs["events_without_position"] == 36


def test_a_question_that_the_fact_table_has_no_columns_for_names_them(loaded: Engine) -> None:
    with pytest.raises(ConfigurationError, match="expected hotspot_id and base_risk_score among the columns of uns"):
        questions.hotspot_risk(loaded, MORNING, pipeline=clinics.UNSCORED)
