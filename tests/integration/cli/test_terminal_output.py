"""The commands at a real terminal: its width is kept, verdicts have colours, files get neither."""

from __future__ import annotations

import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios
from datetime import UTC, datetime, timedelta

import pytest
from click.testing import CliRunner
from sqlalchemy import Engine

from sentinel_etl.cli.main import cli
from sentinel_etl.ledger.ledger import RunRecord, record_run
from sentinel_etl.ledger.states import RunState
from sentinel_etl.pipeline import SENTINEL
from sentinel_etl.settings import Settings
from sentinel_etl.warehouse.tables import ETL_RUNS, create_table
from sentinel_etl.window import Window

END = datetime(2026, 11, 22, 0, 30, tzinfo=UTC)


@pytest.fixture
def two_runs(environment: Settings, warehouse: Engine) -> Settings:
    """A ledger of two runs, the later of which published with warnings, each with its report."""
    create_table(warehouse, ETL_RUNS)
    for back, state in ((1, RunState.FAILED), (0, RunState.PUBLISHED_WITH_WARNINGS)):
        end = END - timedelta(days=back)
        run_id = f"{end:%Y%m%dt%H%M%S}_abc12{back}"
        window = Window(end - timedelta(days=1), end)
        record_run(RunRecord(run_id, SENTINEL.fact_table.name, window, ("REMARK",), state, started_at=end), warehouse)
        night = environment.runs_dir / f"{end - timedelta(days=1):%Y-%m-%d}"
        night.mkdir(parents=True)
        span = f"{window.start:%Y%m%dT%H%MZ}-{window.end:%Y%m%dT%H%MZ}"
        (night / f"etl_nightly_{span}_{run_id}.ipynb").write_text("{}", encoding="utf-8")
    return environment


def at_terminal(columns: int, *command: str, **environment: str) -> str:
    """Run a command at a terminal of so many columns, and give what it shows."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    given = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "NO_COLOR", "TERM")}
    words = [sys.executable, "-m", "sentinel_etl", *command]
    with subprocess.Popen(words, stdout=theirs, env={**given, "TERM": "xterm", **environment}) as running:
        os.close(theirs)
        shown = b""
        try:
            while part := os.read(ours, 65_536):
                shown += part
        except OSError:  # Linux ends a terminal that nobody holds so
            pass
        os.close(ours)
    assert running.returncode == 0, shown
    return shown.decode().replace("\r\n", "\n")


@pytest.mark.usefixtures("two_runs")
def test_the_list_of_runs_fits_the_terminal_and_shows_verdicts_in_colour() -> None:
    shown = at_terminal(90, "runs", "list", NO_COLOR="1")
    assert max(map(len, shown.splitlines())) <= 90
    assert "\x1b" not in shown
    coloured = at_terminal(90, "runs", "list")
    assert "\x1b[33m\x1b[1mPUBLISHED WITH WARNINGS\x1b[0m" in coloured
    assert "\x1b[31m\x1b[1mFAILED\x1b[0m" in coloured


@pytest.mark.usefixtures("two_runs")
def test_a_file_gets_the_whole_table_without_colours() -> None:
    shown = CliRunner().invoke(cli, ["runs", "list"]).output
    assert "\x1b" not in shown
    assert shown.count(".ipynb") == 2


@pytest.mark.usefixtures("two_runs")
@pytest.mark.parametrize("words", [["show", "latest"], ["show"]], ids=" ".join)
def test_the_latest_run_is_shown_without_its_id(words: list[str]) -> None:
    shown = CliRunner().invoke(cli, ["runs", *words])
    assert shown.output.startswith("run      20261122t003000_abc120\nverdict  PUBLISHED WITH WARNINGS\n")


@pytest.mark.usefixtures("environment")
def test_the_latest_of_no_runs_is_one_sentence() -> None:
    asked = CliRunner().invoke(cli, ["runs", "show", "latest"])
    assert "expected a run in the ledger or the runs folder, found none" in str(asked.exception)


def test_check_says_which_databases_it_asked(environment: Settings, city: Engine, warehouse: Engine) -> None:
    said = CliRunner().invoke(cli, ["check"]).output.splitlines()
    source, house = city.url, warehouse.url
    assert said[-1] == (
        f"asked PostgreSQL at {source.host}:{source.port}, database {source.database} and "
        f"ClickHouse at {house.host}:{house.port}, database {house.database}"
    )
    assert str(source.password) not in said[-1]
    assert environment.source_url is not None
