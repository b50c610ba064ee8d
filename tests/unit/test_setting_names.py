"""Names of settings that are misspelt, lines of ``.env`` that hide one, passwords with an ``@`` in them."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from sqlalchemy import make_url

from sentinel_etl.cli.main import main
from sentinel_etl.errors import ConfigurationError
from sentinel_etl.settings import load_settings

MISSPELT = {
    "SENTINEL_SORCE_URL": "SENTINEL_SOURCE_URL",
    "SENTINEL_SOURCEURL": "SENTINEL_SOURCE_URL",
    "SENTINEL_WAREHOUSE": "SENTINEL_WAREHOUSE_URL",
    "sentinel_timezon": "SENTINEL_TIMEZONE",
    "SENTINEL_HOMES": "SENTINEL_HOME",
    "SENTINEL__LOADER": "SENTINEL_LOADER",
    "SENTINAL_WAREHOUSE_URL": "SENTINEL_WAREHOUSE_URL",
    "SENTINELSOURCE_URL": "SENTINEL_SOURCE_URL",
}


def refusal() -> str:
    with pytest.raises(ConfigurationError) as refused:
        load_settings()
    return str(refused.value)


@pytest.mark.parametrize("name", MISSPELT)
@pytest.mark.parametrize("value", ["x", ""], ids=["a value", "no value"])
def test_a_misspelt_variable_is_refused_with_the_nearest_right_name(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    assert refusal() == (
        f"settings: expected only names that are settings, found {name}; did you mean {MISSPELT[name]}?"
    )


@pytest.mark.parametrize("name", [*MISSPELT, "SENTINEL-SOURCE-URL"])
def test_a_misspelt_name_in_the_env_file_is_refused_with_the_nearest_right_name(name: str, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(f"{name}=x\n", encoding="utf-8")
    said = refusal()
    assert f"found {name}; did you mean {MISSPELT.get(name, 'SENTINEL_SOURCE_URL')}?" in said
    assert str(tmp_path / ".env") in said


def test_a_home_that_the_env_file_of_another_names_is_refused(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(f"SENTINEL_HOME={tmp_path}\n", encoding="utf-8")
    assert load_settings().runs_dir == tmp_path / "runs"
    (tmp_path / ".env").write_text("SENTINEL_HOME=/srv/elsewhere\n", encoding="utf-8")
    assert refusal().endswith(
        f"found SENTINEL_HOME in {tmp_path / '.env'}; it names the folder of .env, so only a variable can"
    )


def test_a_home_that_is_no_folder_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SENTINEL_HOME", str(tmp_path / "sentinal"))
    assert refusal().startswith(f"settings: SENTINEL_HOME: expected a folder, found none at {tmp_path / 'sentinal'}. ")
    assert list(tmp_path.iterdir()) == []


def test_all_misspelt_names_are_told_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SENTINEL_LODER", "arrow")
    (tmp_path / ".env").write_text("SENTINEL_TIMEZON=Europe/London\n", encoding="utf-8")
    said = refusal()
    assert "SENTINEL_LODER; did you mean SENTINEL_LOADER?" in said
    assert "SENTINEL_TIMEZON; did you mean SENTINEL_TIMEZONE?" in said


@pytest.mark.parametrize(
    "name",
    ["SENTINEL_ETL", "SENTINEL_LOCAL_PASSWORD", "SENTINEL_TEST_SOURCE_URL", "SENTRY_DSN", "SOURCE_URL", "TIMEZONE"],
)
def test_a_name_that_is_read_elsewhere_is_no_misspelt_one(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "x")
    assert load_settings().loader == "auto"


def test_a_misspelt_name_is_exit_2_and_starts_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv("SENTINEL_SORCE_URL", "postgresql://reader:hunter2@db.example/patrols")
    monkeypatch.setattr(sys, "argv", ["sentinel-etl", "status"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    printed = capsys.readouterr()
    assert (printed.out, "hunter2" in printed.err) == ("", False)
    assert list(tmp_path.iterdir()) == []


# Lines of .env → the number of the line that cannot be read.
HIDDEN: dict[str, tuple[str, int]] = {
    "no underscore": ("SENTINEL SOURCE_URL=x\n", 1),
    "a colon and a space": ("SENTINEL_SOURCE_URL: x\n", 1),
    "a command before the name": ("set SENTINEL_SOURCE_URL=x\n", 1),
    "a misspelt name without a value": ("UNRELATED=1\nSENTINAL_SOURCE_URL x\n", 2),
    "within the quotes of another": ("UNRELATED=1\nOTHER='a\nSENTINEL_SOURCE_URL=x\nb'\n", 3),
    "within the quotes of ours": ('SENTINEL_PII_KEY="a\nexport SENTINEL_SOURCE_URL=x\n#"\n', 2),
}


@pytest.mark.parametrize("case", HIDDEN)
def test_a_line_that_hides_a_setting_is_refused_by_its_number(case: str, tmp_path: Path) -> None:
    text, line = HIDDEN[case]
    (tmp_path / ".env").write_text(text, encoding="utf-8")
    assert refusal().startswith(f"settings: expected NAME=value in line {line} of {tmp_path / '.env'}, found none")


@pytest.mark.parametrize("other", ["'a\nb'", '"-----BEGIN KEY-----\nx=\n-----END KEY-----"'])
def test_another_program_s_value_of_several_lines_is_let_be(other: str, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(f"KEY={other}\nSENTINEL_LOADER=arrow\n", encoding="utf-8")
    assert load_settings().loader == "arrow"


@pytest.mark.parametrize("password", ["p@ss", "@", "p@@ss@", "a:p@ss", "p/a@ss", "100%@x", "p#@x#@y", "p?x@y"])
@pytest.mark.parametrize("user", ["reader", "reader@example.org"])
@pytest.mark.parametrize("setting", ["source_url", "source_replica_url", "warehouse_url"])
def test_a_password_with_an_at_sign_is_taken_as_it_is_written(
    setting: str, user: str, password: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"SENTINEL_{setting.upper()}", f"postgresql://{user}:{password}@db.example:5433/patrols?a=b@c")
    url = make_url(getattr(load_settings(), setting).get_secret_value())
    found = (url.username, url.password, url.host, url.port, url.database, dict(url.query))
    assert json.dumps(found) == json.dumps((user, password, "db.example", 5433, "patrols", {"a": "b@c"}))
