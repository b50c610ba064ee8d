"""The views' and projections' SQL as text: whole statements, which agree where a projection is to be used."""

from __future__ import annotations

import re
import tomllib
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from jinja2 import UndefinedError

from sentinel_etl.config.fact_table import build_patrol_events
from sentinel_etl.warehouse.decay import DEFAULT_HALF_LIFE_HOURS
from sentinel_etl.warehouse.projections import CELL_RESOLUTION, PROJECTIONS
from sentinel_etl.warehouse.render import render_sql, write_literal
from sentinel_etl.warehouse.views import VIEWS, Terms, view_statement

ROOT = Path(__file__).parents[3]
FACT_TABLE = build_patrol_events()
KNOWN = Terms(as_of=datetime(2026, 6, 20, 18, 17, 3, 250_001, tzinfo=UTC), latitude_first=True, resolution=9)

PARAMETERS = {
    "hotspot_risk": {"as_of", "half_life_hours", "since"},
    "station_activity": {"as_of", "since"},
    "officer_activity": {"as_of", "since"},
    "incident_heatmap": {"as_of", "resolution", "since"},
    "emerging_threats": {"as_of", "half_life_hours", "limit", "resolution"},
}


def parameters_of(statement: str) -> set[str]:
    return set(re.findall(r"\{(\w+):", statement))


@pytest.mark.parametrize("name", VIEWS)
def test_a_view_has_its_parameters_and_no_other(name: str) -> None:
    assert parameters_of(view_statement(name, FACT_TABLE)) == PARAMETERS[name]


@pytest.mark.parametrize("name", VIEWS)
def test_a_question_knows_its_instant(name: str) -> None:
    written = view_statement(name, FACT_TABLE, KNOWN)
    assert parameters_of(written) <= PARAMETERS[name] - {"as_of"}
    assert "toDateTime64('2026-06-20 18:17:03.250001', 6, 'UTC') AS asked_at" in written
    assert "1781979423250001 AS asked_us" in written
    assert "[toDate('2026-06-20')" in written


@pytest.mark.parametrize(("name", "nights"), [("station_activity", 1), ("hotspot_risk", 2), ("emerging_threats", 10)])
def test_a_night_is_cut_at_the_instant_and_at_each_week_before_it_that_counts(name: str, nights: int) -> None:
    (listed,) = re.findall(r"\[(.*)\] AS cut_nights", view_statement(name, FACT_TABLE, KNOWN))
    found = re.findall(r"\d{4}-\d\d-\d\d", listed)
    assert found == [f"{date.fromordinal(date(2026, 6, 20).toordinal() - 7 * week)}" for week in range(nights)]


@pytest.mark.parametrize("name", VIEWS)
def test_a_statement_begins_so_that_it_may_be_sent_twice(name: str) -> None:
    assert view_statement(name, FACT_TABLE).startswith("WITH")


@pytest.mark.parametrize("name", VIEWS)
def test_what_a_projection_keeps_stands_to_the_letter_in_its_views(name: str) -> None:
    terms = Terms(latitude_first=True, resolution=CELL_RESOLUTION)
    asked = squeeze(view_statement(name, FACT_TABLE, terms))
    asked = asked.replace("{half_life_hours:Float64}", repr(DEFAULT_HALF_LIFE_HOURS))
    asked = asked.replace(f"greatest({CELL_RESOLUTION}, {{resolution:UInt8}})", str(CELL_RESOLUTION))
    kept = squeeze(VIEWS[name].define(FACT_TABLE).removeprefix("SELECT").partition("GROUP BY")[0])
    missing = {column for column in split_columns(kept) if column not in asked} - {"shift_date", "station_id"}
    # The heatmap alone asks for less than its projection has: risk that does not fade.
    assert {"exp2(" in column for column in missing} == ({True} if name == "incident_heatmap" else set())


def squeeze(statement: str) -> str:
    return re.sub(r"\( | (?=\))", lambda found: found[0].strip(), " ".join(statement.split()))


def split_columns(columns: str) -> list[str]:
    """Split at the commas that stand in no parentheses."""
    found, depth = [""], 0
    for character in columns:
        depth += (character == "(") - (character == ")")
        if character == "," and not depth:
            found.append("")
        else:
            found[-1] += character
    return [column.strip() for column in found]


@pytest.mark.parametrize("projection", PROJECTIONS, ids=lambda projection: projection.name)
def test_a_projection_groups_by_the_columns_it_begins_with(projection: object) -> None:
    columns, _, keys = squeeze(projection.define(FACT_TABLE).removeprefix("SELECT")).partition("GROUP BY ")
    kept = split_columns(columns)
    assert kept[: len(split_columns(keys))] == split_columns(keys)
    assert kept[len(split_columns(keys))] == "count()"


@pytest.mark.parametrize(
    ("value", "written"),
    [
        pytest.param(72.0, "72.0", id="a float keeps its point, and with it its type"),
        pytest.param(20, "20", id="a whole number"),
        pytest.param(date(2026, 3, 5), "toDate('2026-03-05')", id="a night"),
        pytest.param(
            datetime.fromisoformat("2026-06-20T06:00:00.000001+05:30"),
            "toDateTime64('2026-06-20 00:30:00.000001', 6, 'UTC')",
            id="an instant, in UTC",
        ),
        pytest.param("it's \\ {{ 1 }}", "'it\\'s \\\\ {{ 1 }}'", id="a text of any characters"),
    ],
)
def test_a_value_is_written_as_clickhouse_reads_it(value: date | float | str, written: str) -> None:
    assert write_literal(value) == written


def test_a_name_that_a_template_needs_and_does_not_get_is_an_error() -> None:
    with pytest.raises(UndefinedError, match="half_life_hours"):
        render_sql("sentinel_etl.warehouse", "projections/hotspot_nights", station=None, place="hotspot_id")


def test_every_template_is_packaged() -> None:
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]
    packaged = {
        path
        for package, patterns in declared.items()
        for pattern in patterns
        for path in (ROOT / package.replace(".", "/")).glob(pattern)
    }
    assert set((ROOT / "sentinel_etl").rglob("*.j2")) <= packaged
