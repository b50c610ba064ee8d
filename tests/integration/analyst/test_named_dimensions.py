"""The analyst's questions of a fact table whose dimensions have other names and types than the sample city's."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import clinics
import pytest
from sqlalchemy import Engine

from sentinel_etl.analyst import questions
from sentinel_etl.analyst.ranking.as_of import risk_as_of
from sentinel_etl.analyst.ranking.evaluate import evaluate_history
from sentinel_etl.analyst.ranking.history import read_history
from sentinel_etl.analyst.ranking.presence import read_hours
from sentinel_etl.config.event_kinds import EventKinds
from sentinel_etl.errors import ConfigurationError, NothingThere
from sentinel_etl.pipeline import Pipeline
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


@pytest.fixture
def kinds() -> Pipeline:
    """The clinic, with its admissions as emergencies, and as what tells that a nurse comes to a bed and leaves it."""
    steps: dict[str, Any] = {"ADMISSION": {"urgency": {"RED": "arrives", "GREEN": "leaves"}}}
    told = EventKinds(emergencies=("ADMISSION",), reported=("ADMISSION",), steps=steps)
    return replace(clinics.NAMED, event_kinds=told)


def test_a_ranking_is_read_by_places_and_cells_of_any_type(loaded: Engine, kinds: Pipeline) -> None:
    period = Window(Window.night(clinics.NIGHTS[0]).start, MORNING)
    places = read_history(loaded, kinds, period, half_lives=[72.0], with_weights=True)
    assert places.places == ("DOOR", "WINDOW")
    # One of ten has neither bed nor position.
    assert places.emergencies.groupby("place")["events"].sum().to_dict() == {-1: 36, 0: 180, 1: 144}
    assert [name for name, _ in places.weights] == ["urgency=RED", "urgency=GREEN", "bed=DOOR"]
    asked = questions.hotspot_risk(loaded, MORNING, pipeline=kinds).set_index("bed")["risk"]
    day_before = questions.hotspot_risk(loaded, Window.night(clinics.NIGHTS[2]).start, pipeline=kinds).set_index("bed")
    assert risk_as_of(places, "risk_0", 72.0)[-1] == pytest.approx(
        day_before["risk"].reindex(["DOOR", "WINDOW"]).to_numpy(float)
    )
    assert asked.gt(day_before["risk"]).all()
    cells = read_history(loaded, kinds, period, "cell", half_lives=[72.0])
    assert len(cells.places) == 15
    assert cells.emergencies.groupby(cells.emergencies["place"] >= 0)["events"].sum().to_dict() == {
        False: 36,
        True: 324,
    }
    assert evaluate_history(places, warm_up=1).nights == 2


def test_cells_are_ranked_where_no_place_may_be_shown_and_hours_are_counted(loaded: Engine, kinds: Pipeline) -> None:
    period = Window(Window.night(clinics.NIGHTS[0]).start, MORNING)
    bedless = replace(kinds, dimensions=replace(kinds.dimensions, place="no_such_column", words={}))
    assert len(read_history(loaded, bedless, period, "cell", half_lives=[72.0]).places) == 15
    with pytest.raises(NothingThere, match="named_events has no column no_such_column to rank"):
        read_history(loaded, bedless, period, half_lives=[72.0])
    hours = read_hours(loaded, kinds, period)
    assert set(hours["place"]) == {"WINDOW"}  # where all the red ones are
    assert hours["hours"].gt(0).all()


def test_a_question_that_the_fact_table_has_no_columns_for_names_them(loaded: Engine) -> None:
    with pytest.raises(ConfigurationError, match="expected hotspot_id and base_risk_score among the columns of uns"):
        questions.hotspot_risk(loaded, MORNING, pipeline=clinics.UNSCORED)
