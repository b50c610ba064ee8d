"""A pipeline's module beside ``.env``: found from everywhere, and never mistaken for another of its name."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from sentinel_etl.errors import ConfigurationError
from sentinel_etl.pipeline import load_pipeline
from sentinel_etl.settings import Settings, load_settings

TEAM = "from dataclasses import replace\nfrom sentinel_etl import SENTINEL\n"
PIPELINE = f"{TEAM}PIPELINE = replace(SENTINEL, event_config={{'REMARK': SENTINEL.event_config['REMARK']}})\n"
SCRIPT = Path(sys.executable).with_name("sentinel-etl")


@pytest.fixture(autouse=True)
def path_and_modules_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "modules", dict(sys.modules))


def write(folder: Path, name: str, text: str) -> Path:
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text, encoding="utf-8")
    return folder / name


def plan(folder: Path, *command: str, **settings: str) -> subprocess.CompletedProcess[str]:
    outside = {name: value for name, value in os.environ.items() if not name.startswith(("SENTINEL_", "PYTHONPATH"))}
    return subprocess.run(
        [*(command or [str(SCRIPT)]), "plan"], cwd=folder, env={**outside, **settings}, capture_output=True, text=True
    )


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home folder with ``.env``, ``pipeline.py``, and a module that it imports."""
    write(tmp_path, ".env", "SENTINEL_PIPELINE=pipeline:PIPELINE\nSENTINEL_TIMEZONE=America/New_York\n")
    write(tmp_path, "our_models.py", PIPELINE)
    write(tmp_path, "pipeline.py", "from our_models import PIPELINE\n")
    return tmp_path


@pytest.mark.parametrize("command", [[str(SCRIPT)], [sys.executable, "-m", "sentinel_etl"]], ids=["script", "module"])
def test_the_command_finds_a_pipeline_beside_the_env_file(command: list[str], home: Path) -> None:
    done = plan(home, *command)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[0] == "-- REMARK"


def test_the_command_finds_it_from_another_folder(home: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    done = plan(tmp_path_factory.mktemp("elsewhere"), SENTINEL_HOME=str(home))
    assert (done.returncode, done.stdout.splitlines()[0]) == (0, "-- REMARK")


def test_a_pipeline_of_the_home_reads_the_settings_of_its_env_file(home: Path) -> None:
    write(home, "our_models.py", f"{PIPELINE}from sentinel_etl import load_settings\nZONE = load_settings().zone\n")
    write(home, "pipeline.py", "from our_models import PIPELINE, ZONE\nassert ZONE.key == 'America/New_York'\n")
    assert plan(home).returncode == 0


def test_a_package_of_the_home_may_hold_the_pipeline(home: Path) -> None:
    write(home, "team_a/__init__.py", "")
    write(home, "team_a/models.py", PIPELINE)
    write(home, "team_a/events.py", "from team_a.models import PIPELINE\n")
    assert plan(home, SENTINEL_PIPELINE="team_a.events:PIPELINE").returncode == 0


def test_a_file_of_the_home_takes_the_place_of_no_library(home: Path) -> None:
    for name in ("queue.py", "sqlalchemy.py", "click.py"):
        write(home, name, "raise RuntimeError('not the library')\n")
    assert plan(home).returncode == 0


def test_a_pipeline_named_as_a_module_of_python_is_refused(home: Path) -> None:
    write(home, "calendar.py", PIPELINE)
    done = plan(home, SENTINEL_PIPELINE="calendar:PIPELINE")
    assert (done.returncode, done.stderr) == (
        2,
        f"sentinel-etl: SENTINEL_PIPELINE: expected one module named calendar, found {home / 'calendar.py'} and "
        "Python's own. Rename the first\n",
    )


@pytest.mark.parametrize("name", ["pipeline", "our_models"], ids=["the pipeline", "what it imports"])
def test_a_module_that_is_installed_too_is_refused(
    name: str, home: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    elsewhere = write(tmp_path_factory.mktemp("installed"), f"{name}.py", PIPELINE)
    done = plan(home, PYTHONPATH=str(elsewhere.parent))
    assert (done.returncode, done.stderr) == (
        2,
        f"sentinel-etl: SENTINEL_PIPELINE: expected one module named {name}, found {home / name}.py and {elsewhere}. "
        "Rename the first\n",
    )


def test_a_folder_of_the_home_does_not_lose_to_a_package_that_is_installed(
    home: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    write(home, "team_b/events.py", PIPELINE)
    elsewhere = write(tmp_path_factory.mktemp("installed"), "team_b/__init__.py", "")
    done = plan(home, SENTINEL_PIPELINE="team_b.events:PIPELINE", PYTHONPATH=str(elsewhere.parents[1]))
    assert done.returncode == 2
    assert f"expected one module named team_b, found {home / 'team_b'} and {elsewhere}. Rename" in done.stderr


def test_a_module_of_another_home_that_is_loaded_already_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = write(tmp_path, "one/pipeline_of_two.py", PIPELINE)
    two = write(tmp_path, "two/pipeline_of_two.py", PIPELINE)
    settings = Settings(pipeline="pipeline_of_two:PIPELINE")
    monkeypatch.setenv("SENTINEL_HOME", str(one.parent))
    assert list(load_pipeline(settings).event_types) == ["REMARK"]
    monkeypatch.setenv("SENTINEL_HOME", str(two.parent))
    with pytest.raises(ConfigurationError, match=f"found {two} and {one}. Rename the first"):
        load_pipeline(settings)


def test_a_home_that_is_on_the_path_already_is_one_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, "pipeline_on_path.py", PIPELINE)
    monkeypatch.syspath_prepend(tmp_path)
    assert list(load_pipeline(Settings(pipeline="pipeline_on_path:PIPELINE")).event_types) == ["REMARK"]


def test_a_module_that_is_nowhere_is_told_with_where_it_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as refused:
        load_pipeline(load_settings().model_copy(update={"pipeline": "nowhere:PIPELINE"}))
    assert str(refused.value) == (
        "SENTINEL_PIPELINE: expected module:attribute, found 'nowhere:PIPELINE': No module named 'nowhere', neither in "
        f"{tmp_path} nor installed"
    )
