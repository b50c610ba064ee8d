from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

import sentinel_etl
from sentinel_etl.env_file import project_home
from sentinel_etl.errors import ConfigurationError
from sentinel_etl.settings import Settings, load_settings

PASSWORD = "hunter2-secret"
SOURCE_URL = f"postgresql+psycopg://reader:{PASSWORD}@db.example/patrols"


def refusal() -> str:
    with pytest.raises(ConfigurationError) as refused:
        load_settings()
    return str(refused.value)


def test_the_defaults_are_the_local_stack_in_the_city(tmp_path: Path) -> None:
    defaults = {
        "source_url": None,
        "source_replica_url": None,
        "source_max_rows_per_second": 0,
        "warehouse_url": None,
        "warehouse_cluster": "",
        "timezone": "Asia/Kolkata",
        "now": None,
        "pipeline": "sentinel_etl.pipeline:SENTINEL",
        "risk_weights": None,
        "partition_by": "month",
        "loader": "auto",
        "batch_rows": 64_000,
        "max_shrink": 0.5,
        "lock_wait_seconds": 30.0,
        "connect_timeout_seconds": 10,
        "statement_timeout_seconds": 900,
        "cell_timeout_seconds": 3_600,
        "runs_dir": tmp_path / "runs",
        "notebooks_dir": tmp_path / "notebooks",
        "state_dir": tmp_path / ".sentinel",
    }
    read = load_settings().model_dump()
    assert {name: read[name] for name in defaults} == defaults


def test_every_setting_has_its_help() -> None:
    assert [name for name, field in Settings.model_fields.items() if not field.description] == []


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        ("TIMEZONE", "Mars/Base", "Value error, expected an IANA zone such as Asia/Kolkata, found 'Mars/Base'"),
        ("TIMEZONE", "../etc/passwd", "Value error, expected an IANA zone such as Asia/Kolkata, found '../etc/passwd'"),
        ("TIMEZONE", "Asia", "Value error, expected an IANA zone such as Asia/Kolkata, found 'Asia'"),
        ("NOW", "2026-11-22T06:10:00", "Input should have timezone info"),
        ("PARTITION_BY", "year", "Input should be 'month', 'week' or 'day'"),
        ("LOADER", "csv", "Input should be 'auto', 'arrow' or 'to_sql'"),
        ("BATCH_ROWS", "999", "Input should be greater than or equal to 1000"),
        ("BATCH_ROWS", "many", "Input should be a valid integer, unable to parse string as an integer"),
        ("MAX_SHRINK", "1.1", "Input should be less than or equal to 1"),
        ("MAX_SHRINK", "-0.1", "Input should be greater than or equal to 0"),
        ("LOCK_WAIT_SECONDS", "-1", "Input should be greater than or equal to 0"),
        ("CONNECT_TIMEOUT_SECONDS", "0", "Input should be greater than or equal to 1"),
        ("STATEMENT_TIMEOUT_SECONDS", "0", "Input should be greater than or equal to 1"),
        ("CELL_TIMEOUT_SECONDS", "0", "Input should be greater than or equal to 1"),
    ],
)
def test_a_value_that_cannot_be_used_is_refused_by_its_variables_name(
    variable: str, value: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"SENTINEL_{variable}", value)
    assert refusal() == f"settings: SENTINEL_{variable}: {message}"


@pytest.mark.parametrize(
    ("variable", "value", "name", "read"),
    [
        ("TIMEZONE", "Europe/London", "timezone", "Europe/London"),
        ("NOW", "2026-11-22T06:10:00+05:30", "now", datetime(2026, 11, 22, 0, 40, tzinfo=UTC)),
        ("PARTITION_BY", "day", "partition_by", "day"),
        ("LOADER", "to_sql", "loader", "to_sql"),
        ("BATCH_ROWS", "1000", "batch_rows", 1_000),
        ("MAX_SHRINK", "0", "max_shrink", 0.0),
        ("MAX_SHRINK", "1", "max_shrink", 1.0),
        ("LOCK_WAIT_SECONDS", "0", "lock_wait_seconds", 0.0),
        ("CONNECT_TIMEOUT_SECONDS", "1", "connect_timeout_seconds", 1),
    ],
)
def test_a_value_at_the_edge_is_read(
    variable: str, value: str, name: str, read: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"SENTINEL_{variable}", value)
    assert getattr(load_settings(), name) == read


def test_all_problems_are_reported_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SENTINEL_BATCH_ROWS", "1")
    monkeypatch.setenv("SENTINEL_LOADER", "csv")
    text = refusal()
    assert "SENTINEL_BATCH_ROWS: " in text
    assert "; " in text
    assert "SENTINEL_LOADER: " in text


@pytest.mark.parametrize("name", ["source_url", "source_replica_url", "warehouse_url", "now", "risk_weights"])
def test_an_empty_string_means_unset(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"SENTINEL_{name.upper()}", "")
    assert getattr(load_settings(), name) is None


@pytest.mark.parametrize(
    ("name", "default"), [("runs_dir", "runs"), ("notebooks_dir", "notebooks"), ("state_dir", ".sentinel")]
)
def test_an_empty_folder_means_unset(name: str, default: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(f"SENTINEL_{name.upper()}", "")
    assert getattr(load_settings(), name) == tmp_path / default


def test_the_env_file_of_the_home_folder_is_read(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(
        f"SENTINEL_TIMEZONE=Europe/London\nSENTINEL_SOURCE_URL='{SOURCE_URL}'\nUNRELATED=1\n", encoding="utf-8"
    )
    settings = load_settings()
    assert settings.zone.key == "Europe/London"
    assert settings.source_url is not None
    assert settings.source_url.get_secret_value() == SOURCE_URL


# A line of .env → the value.
LINES: dict[str, tuple[str, str]] = {
    "a dollar and braces": ("SENTINEL_SOURCE_URL=a${HOME}b", "a${HOME}b"),
    "a dollar": ("SENTINEL_SOURCE_URL=a$HOME$$b", "a$HOME$$b"),
    "a dollar and a default": ('SENTINEL_SOURCE_URL="a${NONE:-x}b"', "a${NONE:-x}b"),
    "a dollar in single quotes": ("SENTINEL_SOURCE_URL='a${HOME}b'", "a${HOME}b"),
    "another setting's name": ("SENTINEL_LOADER=arrow\nSENTINEL_SOURCE_URL=${SENTINEL_LOADER}", "${SENTINEL_LOADER}"),
    "a hash": ("SENTINEL_SOURCE_URL=a#b", "a#b"),
    "a hash first": ("SENTINEL_SOURCE_URL=#b", "#b"),
    "a hash in quotes": ("SENTINEL_SOURCE_URL='a #b' # a comment", "a #b"),
    "a comment": ("SENTINEL_SOURCE_URL=a # b", "a"),
    "a backslash": (r"SENTINEL_SOURCE_URL=a\nb\\c", r"a\nb\\c"),
    "a backslash in single quotes": (r"SENTINEL_SOURCE_URL='a\nb'", r"a\nb"),
    "a backslash in double quotes": (r'SENTINEL_SOURCE_URL="a\\nb"', r"a\nb"),
    "a single quote within": ("SENTINEL_SOURCE_URL=a'b", "a'b"),
    "a double quote within": ('SENTINEL_SOURCE_URL=a"b', 'a"b'),
    "one quote in the other": ("""SENTINEL_SOURCE_URL="a'b\"""", "a'b"),
    "an escaped quote": (r"SENTINEL_SOURCE_URL='a\'b'", "a'b"),
    "spaces about it": ("SENTINEL_SOURCE_URL =  a b  ", "a b"),
    "spaces in quotes": ("SENTINEL_SOURCE_URL=' a '", " a "),
    "export": ("export SENTINEL_SOURCE_URL=a", "a"),
    "small letters": ("sentinel_source_url=a", "a"),
    "lines that end in CRLF": ("SENTINEL_LOADER=arrow\r\nSENTINEL_SOURCE_URL=a\r\n", "a"),
    "a byte order mark": ("\ufeffSENTINEL_SOURCE_URL=a", "a"),
    "no line end": ("UNRELATED\n\n# a comment\nSENTINEL_SOURCE_URL=a", "a"),
    "another tool's line": ("if [ -n 'x ]\nSENTINEL_SOURCE_URL=a", "a"),
}


@pytest.mark.parametrize("case", LINES)
def test_a_value_of_the_env_file_is_what_stands_there(
    case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", "/somewhere")
    line, value = LINES[case]
    (tmp_path / ".env").write_bytes(line.encode())
    url = load_settings().source_url
    assert url is not None
    assert url.get_secret_value() == value


@pytest.mark.parametrize(
    "line",
    [
        pytest.param(f"SENTINEL_SOURCE_URL='{PASSWORD}", id="a quote that does not end"),
        pytest.param(f'SENTINEL_SOURCE_URL="{PASSWORD}" and more', id="text after the quote"),
        pytest.param("SENTINEL_SOURCE_URL", id="no value"),
        pytest.param(f"export SENTINEL_SOURCE_URL '{PASSWORD}'", id="no equals sign"),
    ],
)
def test_a_line_of_the_env_file_that_cannot_be_read_is_refused_and_not_left_out(line: str, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(f"UNRELATED=1\n\n{line}\nSENTINEL_LOADER=arrow\n", encoding="utf-8")
    said = refusal()
    assert said.startswith(f"settings: expected NAME=value in line 3 of {tmp_path / '.env'}, found none")
    assert PASSWORD not in said


def test_a_variable_comes_before_the_env_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".env").write_text("SENTINEL_LOADER=arrow\nSENTINEL_BATCH_ROWS=2000\n", encoding="utf-8")
    monkeypatch.setenv("SENTINEL_LOADER", "to_sql")
    settings = load_settings()
    assert (settings.loader, settings.batch_rows) == ("to_sql", 2_000)


def test_an_env_file_of_the_working_directory_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / ".env").write_text("SENTINEL_LOADER=arrow\n", encoding="utf-8")
    monkeypatch.chdir(elsewhere)
    assert load_settings().loader == "auto"


def test_a_problem_in_the_env_file_is_named_like_the_variable(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("SENTINEL_LOADER=csv\n", encoding="utf-8")
    assert refusal() == "settings: SENTINEL_LOADER: Input should be 'auto', 'arrow' or 'to_sql'"


def test_an_env_file_that_is_not_utf_8_is_refused(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(b"SENTINEL_TIMEZONE=\xff\n")
    assert ".env" in refusal()


def test_a_relative_folder_is_below_home_wherever_the_command_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir("/")
    monkeypatch.setenv("SENTINEL_RUNS_DIR", "archive/runs")
    monkeypatch.setenv("SENTINEL_STATE_DIR", "/var/lib/sentinel")
    settings = load_settings()
    assert settings.runs_dir == tmp_path / "archive" / "runs"
    assert settings.state_dir == Path("/var/lib/sentinel")


def test_a_tilde_is_the_users_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "someone"))
    monkeypatch.setenv("SENTINEL_RUNS_DIR", "~/runs")
    assert load_settings().runs_dir == tmp_path / "someone" / "runs"


def test_a_relative_weights_file_is_below_home_wherever_the_command_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir("/")
    monkeypatch.setenv("SENTINEL_RISK_WEIGHTS", "weights.yaml")
    assert load_settings().risk_weights == tmp_path / "weights.yaml"


def test_without_a_named_home_the_checkout_is_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("SENTINEL_HOME")
    monkeypatch.chdir(tmp_path)
    checkout = Path(sentinel_etl.__file__).parents[1]
    assert project_home() == (checkout if (checkout / "notebooks").is_dir() else tmp_path)


def test_a_working_directory_whose_env_file_has_our_settings_is_home(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("SENTINEL_HOME")
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_text("export sentinel_timezone=America/New_York\n", encoding="utf-8")
    assert project_home() == tmp_path
    assert load_settings().timezone == "America/New_York"


def test_a_working_directory_whose_env_file_is_another_programs_is_not_home(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("SENTINEL_HOME")
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_text("DJANGO_SECRET=x\n", encoding="utf-8")
    checkout = Path(sentinel_etl.__file__).parents[1]
    assert project_home() == (checkout if (checkout / "notebooks").is_dir() else tmp_path)


def test_a_named_home_goes_before_the_working_directory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    here = tmp_path / "here"
    here.mkdir()
    (here / ".env").write_text("SENTINEL_TIMEZONE=America/New_York\n", encoding="utf-8")
    monkeypatch.chdir(here)
    assert project_home() == tmp_path


@pytest.mark.parametrize("show", [repr, str], ids=["repr", "str"])
def test_a_password_is_never_shown(show: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SENTINEL_SOURCE_URL", SOURCE_URL)
    monkeypatch.setenv("SENTINEL_SOURCE_REPLICA_URL", SOURCE_URL)
    monkeypatch.setenv("SENTINEL_WAREHOUSE_URL", f"clickhouse+http://default:{PASSWORD}@ch.example/default")
    text = show(load_settings())
    assert "source_url=SecretStr('**********')" in text
    assert PASSWORD not in text


def test_a_problem_elsewhere_does_not_show_the_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SENTINEL_SOURCE_URL", SOURCE_URL)
    monkeypatch.setenv("SENTINEL_LOADER", PASSWORD)
    assert PASSWORD not in refusal()


def test_settings_cannot_be_changed_under_a_runs_feet() -> None:
    with pytest.raises(ValueError, match="frozen"):
        load_settings().loader = "arrow"
