"""Sections of a report: drawn, left out with a line, or named where they fail."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import clinics
import pytest

from sentinel_etl.config.dimensions import Dimensions
from sentinel_etl.errors import ConfigurationError, NothingThere
from sentinel_etl.pipeline import SENTINEL
from sentinel_etl.report import FAILED_SECTION, LeftOut, Page, Sections
from sentinel_etl.report.sections import needs

NAMED, BARE = clinics.NAMED, clinics.BARE


@needs("station")
def tell(text: str, by: str = "", dimensions: Dimensions | None = None) -> Page:
    return Page(text, f"{text} {by} {dimensions.word(by) if dimensions else ''}".strip())


@needs(optional=("places",))
def draw_map(cells: str, places: str | None) -> Page:
    return Page(cells, f"{cells} {places}")


def fail(*given: Any) -> Page:
    raise KeyError("station_id")


def nothing(*given: Any) -> Page:
    raise NothingThere("no night is loaded")


def refuse(*given: Any) -> Page:
    raise ConfigurationError("as_of: expected an instant")


def test_a_section_gets_the_pipeline_s_column_and_words() -> None:
    assert repr(Sections(NAMED)(tell, "by", by="place")) == "by bed kind of bed"
    assert repr(Sections(SENTINEL)(tell, "by", by="place")) == "by hotspot_id hotspot"


def test_a_section_without_its_column_is_one_line_and_told_once() -> None:
    section = Sections(BARE)
    line = section(tell, "anything")
    reason = "bare_events has no column station_id; a pipeline may name its own in `dimensions`"
    assert repr(line) == f"Tell: left out, {reason}"
    assert section.heading("By {}", "station") is None
    assert section(tell, "again") == line, "who told it tells it again when it is run again"
    assert repr(Sections(BARE).heading("By {}", "station")) == f"By station: left out, {reason}"
    assert repr(Sections(NAMED).heading("By {}", "station")) == "By ward"


def test_a_personal_column_is_no_dimension() -> None:
    personal = replace(NAMED, dimensions=Dimensions(), fact_table=clinics.WITH_STATION, personal={"station_id": "who"})
    assert repr(Sections(personal)(tell, "x")) == "Tell: left out, station_id of station_events is personal"
    assert "station_id" not in personal.shown_columns


def test_what_is_made_of_what_is_left_out_is_left_out_too() -> None:
    section = Sections(SENTINEL)
    read = section.read(nothing)
    assert isinstance(read, LeftOut)
    assert not read
    assert repr(section(tell, read["any"])) == "no night is loaded"
    assert section(draw_map, read, "here") is None
    assert repr(section(draw_map, "cells", read)) == "cells None"
    assert section.pair(nothing) == (read, read)


def test_a_section_that_fails_is_named_in_the_page_and_to_whoever_executes_it() -> None:
    line = Sections(SENTINEL)(fail)
    assert repr(line) == "Fail: not drawn, KeyError: 'station_id'"
    assert line._repr_mimebundle_()[1] == {FAILED_SECTION: "Fail: not drawn, KeyError: 'station_id'"}
    assert Sections(SENTINEL)(nothing)._repr_mimebundle_()[1] == {}


def test_an_error_that_says_what_to_do_is_raised() -> None:
    with pytest.raises(ConfigurationError, match="expected an instant"):
        Sections(SENTINEL)(refuse)
