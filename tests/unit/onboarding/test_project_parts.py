"""The parts of a project that `init` writes: types, hours, names, settings, rights."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from clickhouse_sqlalchemy import types
from sqlalchemy import BigInteger, Column, Integer, MetaData, Table

from sentinel_etl.cli.init import split_names
from sentinel_etl.errors import ConfigurationError
from sentinel_etl.onboarding.project.draft_project import Draft
from sentinel_etl.onboarding.project.new_columns import merge_types, write_type
from sentinel_etl.onboarding.project.schedule import make_schedule
from sentinel_etl.onboarding.project.write_project import check_folder, dotenv_quoted, granted, python, render
from sentinel_etl.settings import Settings
from sentinel_etl.warehouse.types import server_type
from sentinel_etl.window import Window

DEPLOY = Path(__file__).parents[3] / "deploy"
NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
KEYWORD = "LowCardinality(Nullable(String))"


@pytest.mark.parametrize(
    ("one", "other", "merged"),
    [
        ("Nullable(Int32)", "Nullable(Int32)", "Nullable(Int32)"),
        ("Nullable(Int16)", "Nullable(Int64)", "Nullable(Int64)"),
        ("Nullable(UInt32)", "Nullable(Int32)", "Nullable(Int64)"),
        (KEYWORD, "Nullable(String)", "Nullable(String)"),
        ("Nullable(Decimal(4, 2))", "Nullable(Decimal(6, 1))", "Nullable(Decimal(7, 2))"),
        ("Nullable(Decimal(4, 2))", "Nullable(Int32)", "Nullable(Decimal(12, 2))"),
        ("Nullable(Decimal(76, 0))", "Nullable(Decimal(76, 9))", None),
        ("Nullable(Int32)", "Nullable(String)", None),
        ("Nullable(Float64)", "Nullable(Decimal(4, 2))", None),
        ("Array(Nullable(Int32))", "Nullable(Int32)", None),
    ],
)
def test_what_two_entries_fill_has_one_type_that_holds_both(one: str, other: str, merged: str | None) -> None:
    assert merge_types(one, other) == merged
    assert merge_types(other, one) == merged


@pytest.mark.parametrize(
    "name",
    [
        *(f"Nullable(Int{bits})" for bits in (16, 32, 64)),
        *("Nullable(UInt32)", "Nullable(Bool)", "Nullable(Float32)", "Nullable(Float64)", "Nullable(Date32)"),
        *("Nullable(UUID)", "Nullable(String)", KEYWORD, "Nullable(Decimal(4, 2))", "Nullable(Decimal(76, 10))"),
        *("Nullable(DateTime64(6, 'UTC'))", "Map(String, String)", "Array(Nullable(Int64))"),
        *("Array(Nullable(Decimal(4, 2)))", "Array(Nullable(DateTime64(6, 'UTC')))"),
    ],
)
def test_the_source_of_a_type_is_that_type(name: str) -> None:
    written = eval(write_type(name), {"types": types})  # noqa: S307 - what the project's module would say
    assert server_type(Column("x", written)) == name


@pytest.mark.parametrize(
    ("zone", "server", "run", "alarm"),
    [
        pytest.param("Asia/Kolkata", "UTC", "30 0", "15 1", id="no summer time"),
        pytest.param("America/New_York", "UTC", "0 11", "45 11", id="summer time in the zone"),
        pytest.param("UTC", "Europe/London", "0 7", "45 7", id="summer time on the server"),
        pytest.param("America/New_York", "America/New_York", "0 6", "45 6", id="one zone"),
        pytest.param("Asia/Kolkata", "America/New_York", "30 20", "15 21", id="the day before"),
        pytest.param("Pacific/Auckland", "UTC", "0 18", "45 18", id="a zone far ahead"),
    ],
)
def test_cron_starts_when_it_is_past_six_in_the_zone_all_through_the_year(
    zone: str, server: str, run: str, alarm: str
) -> None:
    schedule = make_schedule(ZoneInfo(zone), NOW, ZoneInfo(server))
    assert (schedule.run, schedule.alarm, schedule.zone) == (run, alarm, zone)


@pytest.mark.parametrize(
    ("given", "names"),
    [
        (["a,b"], ["a", "b"]),
        (["a, b", "c"], ["a", "b", "c"]),
        (['"Odd, name",s."T""x"'], ['"Odd, name"', 's."T""x"']),
        ([",", ""], []),
    ],
)
def test_tables_are_split_at_commas_outside_of_quotes(given: list[str], names: list[str]) -> None:
    assert split_names(given) == names


@pytest.mark.parametrize("password", ["plain", "it's", 'a"b', "a\\b", "a #b", "$HOME", "{{ x }}", "a\\'b", "ü"])
def test_a_url_in_the_env_file_is_read_as_it_was_given(password: str, tmp_path: Path) -> None:
    url = f"postgresql://u:{password}@h/d"
    (tmp_path / ".env").write_text(f"SENTINEL_SOURCE_URL={dotenv_quoted(url)}\n", encoding="utf-8")
    read = Settings(_env_file=tmp_path / ".env").source_url
    assert read is not None
    assert read.get_secret_value() == url


@pytest.mark.parametrize(
    "value", ["plain", 'a"b\\c', "two\nlines", "ü", {"x": 0, 'a"b': 0}, {f"k{n}": 0 for n in range(40)}]
)
def test_a_value_as_python_is_that_value(value: object) -> None:
    assert eval(python(value)) == value  # noqa: S307 - what the project's module would say


def draft_of(tables: dict[str, Table], schemas: dict[str, str]) -> Draft:
    zone = ZoneInfo("Asia/Kolkata")
    return Draft(zone, Window.night(date(2026, 11, 21), zone), tables=tables, schemas=schemas)


def test_the_rights_are_those_that_the_deployed_files_give() -> None:
    names = "patrols patrol_logs remarks vehicle_checks stranger_encounters emergency_incidents feedback geofence_logs"
    metadata = MetaData()
    tables = {name: Table(name, metadata, Column("x", Integer)) for name in names.split()}
    rights = granted(draft_of(tables, dict.fromkeys(tables, "public")))
    assert render("grants_source.sql", rights) == (DEPLOY / "grants_source.sql").read_text(encoding="utf-8")
    written = render("grants_warehouse.sql", {"database": "sentinel"})
    assert written == (DEPLOY / "grants_warehouse.sql").read_text(encoding="utf-8")


def test_rights_name_tables_of_other_schemas_and_odd_names_in_quotes() -> None:
    order = Table("Order", MetaData(), Column("x", BigInteger), schema="Shop")
    assert granted(draft_of({"order": order}, {"order": "Shop"})) == {
        "schemas": ['"Shop"'],
        "tables": ['"Shop"."Order"'],
    }


def test_the_crontab_does_what_the_deployed_one_does() -> None:
    zone = ZoneInfo("Asia/Kolkata")
    values = {"at": make_schedule(zone, NOW, zone), "home": "/srv/sentinel", "program": "/srv/bin/sentinel-etl"}
    written, deployed = render("crontab", values), (DEPLOY / "crontab").read_text(encoding="utf-8")
    commands = [line for line in deployed.splitlines() if "* * *" in line]
    expected = [line.replace(".venv/bin/sentinel-etl", '"$SENTINEL_ETL"') for line in commands]
    assert [line for line in written.splitlines() if "* * *" in line] == expected


@pytest.mark.parametrize("name", ["a_file", "full", "a_link", "nowhere/project"])
def test_a_folder_that_holds_something_is_refused(name: str, tmp_path: Path) -> None:
    (tmp_path / "a_file").touch()
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / ".hidden").touch()
    (tmp_path / "empty").mkdir()
    (tmp_path / "a_link").symlink_to(tmp_path / "empty")
    with pytest.raises(ConfigurationError, match="init: expected "):
        check_folder(tmp_path / name)


@pytest.mark.parametrize("name", ["empty", "new"])
def test_a_folder_that_is_empty_or_not_there_is_taken(name: str, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    check_folder(tmp_path / name)
