from __future__ import annotations

from dataclasses import replace

import clinics
import pytest

from sentinel_etl.config.dimensions import Dimensions
from sentinel_etl.errors import ConfigurationError
from sentinel_etl.warehouse.views import readable_views


def test_a_pipeline_may_name_its_own_and_need_not_have_any() -> None:
    clinics.NAMED.check()
    clinics.BARE.check()
    assert clinics.NAMED.roles == {
        "station": "ward_id",
        "place": "bed",
        "person": "nurse",
        "outing": "shift",
        "latitude": "north",
        "longitude": "east",
    }
    assert clinics.BARE.roles == {}


@pytest.mark.parametrize(
    ("dimensions", "sentence"),
    [
        pytest.param(Dimensions(station="wrad_id"), r"dimensions.station.wrad_id: expected a column of named_events"),
        pytest.param(Dimensions(latitude="urgency"), "dimensions.latitude: expected a column of numbers, degrees"),
        pytest.param(Dimensions(arrival="urgency"), "dimensions.arrival: expected a DateTime or a DateTime64; found"),
        pytest.param(Dimensions(words={"wrad": "ward"}), "dimensions.words: expected columns that are dimensions"),
        pytest.param({"station": "ward_id"}, "dimensions: expected Dimensions"),
    ],
    ids=["no column", "no number", "no instant", "a word of no dimension", "a dictionary"],
)
def test_a_dimension_that_cannot_be_is_refused(dimensions: Dimensions, sentence: str) -> None:
    with pytest.raises(ConfigurationError, match=sentence):
        replace(clinics.NAMED, dimensions=dimensions).check()


def test_a_personal_column_cannot_be_named() -> None:
    with pytest.raises(ConfigurationError, match=r"dimensions\.station: expected a column that is not personal"):
        replace(clinics.NAMED, personal={"ward_id": "says where somebody lies"}).check()


def test_words_are_made_of_the_column_or_said() -> None:
    dimensions = Dimensions(words={"bed": "kind of bed"})
    assert [dimensions.word(name) for name in ("ward_id", "bed", "home_branch_id")] == [
        "ward",
        "kind of bed",
        "home branch",
    ]


def test_views_are_those_that_the_fact_table_has_the_columns_for() -> None:
    named = readable_views(clinics.NAMED.fact_table, clinics.NAMED.breakdown)
    assert named == ["hotspot_risk", "station_activity", "officer_activity", "incident_heatmap", "emerging_threats"]
    assert readable_views(clinics.NAMED.fact_table) == []
    # A view would have two columns of that name.
    assert readable_views(clinics.NAMED.fact_table, Dimensions(station="shift_date")) == []
