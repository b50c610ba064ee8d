"""Bad input at the command line: one clear sentence, the documented exit code, and nothing done."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest
from given_servers import passwords_of
from sqlalchemy import Engine, make_url

from sentinel_etl.errors import WindowError
from sentinel_etl.warehouse.query import run_statement
from sentinel_etl.window import Window

CHECKOUT = Path(__file__).parents[3]

# What another team might write: an entry with a column that the source does not have.
WRONG_PIPELINE = """
from dataclasses import replace
from sqlalchemy import Column, Text
from sentinel_etl.pipeline import SENTINEL
from sentinel_etl.config.source_models import Remark

Remark.__table__.append_column(Column("mood", Text))
ENTRY = {**SENTINEL.event_config["REMARK"], "columns": [Remark.__table__.c.mood.label("remark_text")]}
WRONG = replace(SENTINEL, event_config={**SENTINEL.event_config, "REMARK": ENTRY})
"""


@dataclass(frozen=True)
class Case:
    """A command, the settings changed for it, the exit code and what its one sentence holds."""

    arguments: list[str]
    exit_code: int
    sentence: list[str]
    settings: dict[str, str] = field(default_factory=dict)


UNREACHABLE_SOURCE = "postgresql+psycopg://officer:hidden-word@127.0.0.1:1/city"
UNREACHABLE_WAREHOUSE = "clickhouse+http://officer:hidden-word@127.0.0.1:1/night"

CASES = {
    "unreachable source": Case(
        ["run"],
        3,
        ["expected PostgreSQL at 127.0.0.1:1, database city", "SENTINEL_SOURCE_URL"],
        {"SENTINEL_SOURCE_URL": UNREACHABLE_SOURCE},
    ),
    "unreachable warehouse": Case(
        ["run"],
        4,
        ["expected ClickHouse at 127.0.0.1:1, database night", "Connection refused", "SENTINEL_WAREHOUSE_URL"],
        {"SENTINEL_WAREHOUSE_URL": UNREACHABLE_WAREHOUSE},
    ),
    "wrong password of the source": Case(
        ["check"],
        3,
        ["expected PostgreSQL at", 'password authentication failed for user "sentinel"'],
        {"SENTINEL_SOURCE_URL": "wrong password"},
    ),
    "wrong password of the warehouse": Case(
        ["query", "SELECT 1"],
        4,
        ["expected ClickHouse at", "the user, password or database is refused"],
        {"SENTINEL_WAREHOUSE_URL": "wrong password"},
    ),
    "unknown event type": Case(
        ["run", "--event-type", "REMARKS"],
        2,
        ["event types: expected some of PATROL_STATUS, REMARK,", "found REMARKS"],
    ),
    "an entry that names a missing column": Case(
        ["run"],
        2,
        ["REMARK: expected a column remarks.mood; the source has accuracy,"],
        {"SENTINEL_PIPELINE": "wrong_pipeline:WRONG"},
    ),
    "a window end without a time zone": Case(
        ["run", "--window-end", "2026-11-22T06:00:00"],
        2,
        ["expected an instant with a time zone, found '2026-11-22T06:00:00'; add one, such as +05:30"],
    ),
    "a window of no length": Case(
        ["run", "--dry-run", "--window-hours", "0"], 2, ["window hours: expected a number above 0"]
    ),
    "a typo in a parameter": Case(
        ["run", "-p", "window_hour", "6"],
        2,
        [
            "etl_nightly.ipynb: expected parameters among window_end, ",
            "found 'window_hour'; did you mean 'window_hours'?",
        ],
    ),
    "a parameter of the wrong type": Case(
        ["run", "-p", "window_hours", "many"], 2, ["etl_nightly.ipynb: window_hours: expected float, found 'many'"]
    ),
    "a table that is not there": Case(
        ["suggest", "remark"],
        2,
        ["table: expected a table or view of the source", "found none of the name 'remark'. Did you mean remarks?"],
    ),
    "a table without a time": Case(
        ["suggest", "officers"], 2, ["officers: expected a column of type timestamp or date", "found officer_id, "]
    ),
    "a parameter that is not YAML": Case(["run", "-p", "event_types", "[REMARK"], 2, ["-p: expected a YAML value"]),
}


@dataclass(frozen=True)
class Bench:
    """Where the commands run: one city, one warehouse, one runs folder for all."""

    warehouse: Engine
    environment: dict[str, str]
    passwords: tuple[str, ...]

    def run(self, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
        environment = dict(self.environment)
        for name, value in settings.items():
            if value == "wrong password":
                url = make_url(environment[name]).set(username="sentinel", password="hidden-word")
                value = url.render_as_string(hide_password=False)
            environment[name] = value
        return subprocess.run(
            [sys.executable, "-m", "sentinel_etl", *arguments],
            env=environment,
            cwd=environment["SENTINEL_HOME"],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )


@pytest.fixture(scope="module")
def bench(
    make_source: Callable[[str | None], Engine],
    make_warehouse: Callable[[], Engine],
    city_template: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Bench]:
    source, warehouse = make_source(city_template), make_warehouse()
    home = tmp_path_factory.mktemp("home")
    (home / "wrong_pipeline.py").write_text(WRONG_PIPELINE)
    urls = [engine.url.render_as_string(hide_password=False) for engine in (source, warehouse)]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SENTINEL_")} | {
        "PYTHONPATH": f"{home}{os.pathsep}{os.environ.get('PYTHONPATH', CHECKOUT)}",
        "SENTINEL_HOME": str(home),
        "SENTINEL_NOTEBOOKS_DIR": str(CHECKOUT / "notebooks"),
        "SENTINEL_NOW": "2026-11-22T06:10:00+05:30",
        "SENTINEL_RETRY_SECONDS": "0",
        "SENTINEL_SOURCE_URL": urls[0],
        "SENTINEL_WAREHOUSE_URL": urls[1],
    }
    yield Bench(warehouse, environment, (*passwords_of(source, warehouse), "hidden-word"))
    source.dispose()
    warehouse.dispose()


@pytest.fixture(scope="module")
def outcomes(bench: Bench) -> dict[str, subprocess.CompletedProcess[str]]:
    """Run every case once, three at a time."""
    with ThreadPoolExecutor(3) as pool:
        done = pool.map(lambda case: bench.run(*case.arguments, **case.settings), CASES.values())
        return dict(zip(CASES, done, strict=True))


@pytest.mark.parametrize("name", CASES)
def test_bad_input_is_one_clear_sentence_and_its_exit_code(
    outcomes: dict[str, subprocess.CompletedProcess[str]], bench: Bench, name: str
) -> None:
    case, done = CASES[name], outcomes[name]
    assert done.returncode == case.exit_code, done.stderr
    said, *notes = done.stderr.splitlines()
    assert said.startswith("sentinel-etl: ")
    for part in case.sentence:
        assert part in said
    assert all(note.startswith("report of the failed run: ") for note in notes)
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    for password in bench.passwords:
        assert password not in done.stderr


def test_bad_input_leaves_nothing_published_and_nothing_half_written(
    outcomes: dict[str, subprocess.CompletedProcess[str]], bench: Bench
) -> None:
    assert len(outcomes) == len(CASES)
    rows = run_statement(
        bench.warehouse,
        "SELECT name, total_rows FROM system.tables WHERE database = currentDatabase() AND name != 'etl_runs'",
    )
    tables = dict(map(tuple, rows))
    assert tables in ({}, {"patrol_events": 0})
    runs = Path(bench.environment["SENTINEL_HOME"]) / "runs"
    assert [path.name for path in runs.rglob("*.part*")] == []


def test_reports_of_failed_runs_hold_no_password(
    outcomes: dict[str, subprocess.CompletedProcess[str]], bench: Bench
) -> None:
    kept = sorted((Path(bench.environment["SENTINEL_HOME"]) / "runs").rglob("*.*"))
    assert sorted({path.suffix for path in kept}) == [".html", ".ipynb"]
    for path in kept:
        words = path.read_text(encoding="utf-8")
        assert [password for password in bench.passwords if password in words] == [], path


def test_a_refused_parameter_starts_no_notebook(
    outcomes: dict[str, subprocess.CompletedProcess[str]], bench: Bench
) -> None:
    for name in ("a typo in a parameter", "a parameter of the wrong type", "a window end without a time zone"):
        assert "report of the failed run" not in outcomes[name].stderr


def test_verbose_shows_the_traceback_and_still_no_password(bench: Bench) -> None:
    done = bench.run("--verbose", "query", "SELECT 1", SENTINEL_WAREHOUSE_URL="wrong password")
    assert done.returncode == 4
    assert "Traceback (most recent call last)" in done.stderr
    assert [password for password in bench.passwords if password in done.stderr + done.stdout] == []


NINE = datetime(2026, 11, 21, 9, tzinfo=UTC)


@pytest.mark.parametrize(
    ("start", "end", "sentence"),
    [
        pytest.param(NINE, NINE.replace(hour=8), "expected an end after its start", id="the end before the start"),
        pytest.param(NINE, NINE, "expected an end after its start", id="the end at the start"),
        pytest.param(NINE.replace(tzinfo=None), NINE, "window start: expected a datetime with a time", id="no zone"),
        pytest.param(NINE, NINE.replace(tzinfo=None), "window end: expected a datetime with a time", id="no end zone"),
        pytest.param("2026-11-21", NINE, "window start: expected a datetime with a time zone", id="a text"),
    ],
)
def test_a_window_that_cannot_be_is_refused_in_the_library(start: datetime, end: datetime, sentence: str) -> None:
    with pytest.raises(WindowError, match=sentence) as caught:
        Window(start, end)
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("hours", [0, -24, float("nan"), float("inf"), 1e12], ids=str)
def test_a_window_of_no_possible_length_is_refused_in_the_library(hours: float) -> None:
    with pytest.raises(WindowError, match="window hours: expected a"):
        Window.ending(NINE, hours)
