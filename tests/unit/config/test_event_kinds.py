from __future__ import annotations

from dataclasses import replace
from typing import Any

import clinics
import many_nights
import pytest

from sentinel_etl.config.event_kinds import CITY_KINDS, EventKinds
from sentinel_etl.errors import ConfigurationError
from sentinel_etl.pipeline import SENTINEL


def test_the_sample_city_says_what_its_event_types_are_evidence_of() -> None:
    assert SENTINEL.event_kinds == CITY_KINDS
    assert set(CITY_KINDS.named) <= set(SENTINEL.event_types)
    columns = [column for by_column in CITY_KINDS.steps.values() for column in by_column]
    assert set(columns) <= set(SENTINEL.fact_table.columns.keys())


def test_a_pipeline_need_not_say_anything() -> None:
    assert clinics.NAMED.event_kinds == EventKinds()
    clinics.NAMED.check()
    # One that takes the sample city's pipeline and has other event types keeps what it does not use.
    many_nights.PIPELINE.check()


@pytest.mark.parametrize(
    ("kinds", "sentence"),
    [
        pytest.param(EventKinds(emergencies=("ADMISION",)), "event types, ADMISSION; found ADMISION", id="no type"),
        pytest.param(EventKinds(emergencies="ADMISSION"), "emergencies: expected a tuple of event types", id="a text"),  # type: ignore[arg-type]
        pytest.param({"emergencies": ()}, "expected EventKinds", id="a dictionary"),
        pytest.param(EventKinds(reported=("ADMISSION",), found=("ADMISSION",)), "ADMISSION in both", id="both"),
        pytest.param(
            EventKinds(steps={"ADMISSION": {"wrad": {"RED": "arrives"}}}),
            r"steps\.ADMISSION\.wrad: expected a column of the fact table",
            id="no column",
        ),
        pytest.param(
            EventKinds(steps={"ADMISSION": {"urgency": {"RED": "comes"}}}),  # type: ignore[dict-item]
            "expected arrives, leaves, works, rests, found comes",
            id="no step",
        ),
    ],
)
def test_what_cannot_be_is_refused(kinds: Any, sentence: str) -> None:
    with pytest.raises(ConfigurationError, match=sentence):
        replace(clinics.NAMED, event_kinds=kinds).check()
