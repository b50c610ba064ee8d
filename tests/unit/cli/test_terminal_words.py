"""What is written for people at a terminal: widths, sizes in words, colours."""

from __future__ import annotations

import os
import sys
from datetime import UTC, datetime

import click
import pandas as pd
import pytest

from sentinel_etl.audit.checks import Check, Severity
from sentinel_etl.cli.archived_runs import describe_passed
from sentinel_etl.cli.local import describe_service, write_size
from sentinel_etl.cli.run import write_counts
from sentinel_etl.cli.terminal import colour_verdicts, fit_table
from sentinel_etl.ledger.states import RunState
from sentinel_etl.local.status import ServiceStatus

RUNS = pd.DataFrame(
    {
        "run_id": ["20261122t003000_abc123"],
        "verdict": ["PUBLISHED WITH WARNINGS"],
        "events": ["5,384"],
        "report": ["runs/2026-11-21/etl_nightly_20261121T0030Z-20261122T0030Z_20261122t003000_abc123.html"],
    }
)


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    for name in ("NO_COLOR", "TERM"):
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


@pytest.mark.parametrize("columns", [160, 100, 80, 60, 40])
def test_a_table_fits_the_terminal(terminal: pytest.MonkeyPatch, columns: int) -> None:
    terminal.setenv("COLUMNS", str(columns))
    lines = fit_table(RUNS, ["report"]).splitlines()
    assert max(map(len, lines)) <= columns
    assert lines[0].split()[:3] == ["run_id", "verdict", "events"]
    assert ("report" in lines[0]) is (columns > 150)


def test_a_text_is_cut_in_its_middle(terminal: pytest.MonkeyPatch) -> None:
    terminal.setenv("COLUMNS", "50")
    [_, line] = fit_table(RUNS, ["report"]).splitlines()
    assert line.split()[0].startswith("202611")
    assert line.split()[0].endswith("c123")
    assert "…" in line


def test_a_table_that_goes_to_a_file_is_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    assert RUNS["report"][0] in fit_table(RUNS, ["report"])


@pytest.mark.parametrize(
    ("size", "words"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (4_096, "4 kB"),
        (1_500_000, "1.5 MB"),
        (107_868_160, "108 MB"),
        (999_999_999, "1.0 GB"),
        (12_345_678_901, "12 GB"),
    ],
)
def test_a_size_is_written_for_people(size: int, words: str) -> None:
    assert write_size(size) == words


def test_a_service_is_told_in_words_and_what_it_lacks_is_none() -> None:
    since = datetime(2026, 11, 21, 20, 5, tzinfo=UTC)
    up = describe_service(ServiceStatus("postgres", True, 7, 5432, "18.1", since, 107_868_160))
    assert list(up.values()) == ["postgres", "running", "7", "5432", "18.1", "2026-11-21 20:05 UTC", "108 MB"]
    down = describe_service(ServiceStatus("postgres", False, None, None, None, None, 0))
    assert list(down.values()) == ["postgres", "stopped", None, None, None, None, "0 B"]


@pytest.mark.parametrize(
    ("verdict", "colour"),
    [
        (RunState.PUBLISHED, "green"),
        (RunState.PUBLISHED_WITH_WARNINGS, "yellow"),
        (RunState.NOT_PUBLISHED, "red"),
        (RunState.FAILED, "red"),
        (RunState.NO_END, "red"),
        (RunState.DRY_RUN, "cyan"),
    ],
)
@pytest.mark.usefixtures("terminal")
def test_a_verdict_has_its_colour(verdict: RunState, colour: str) -> None:
    assert colour_verdicts(f"x {verdict} y") == f"x {click.style(verdict, fg=colour, bold=True)} y"


@pytest.mark.parametrize(("name", "value"), [("NO_COLOR", "1"), ("TERM", "dumb")])
def test_who_wants_no_colour_gets_none(terminal: pytest.MonkeyPatch, name: str, value: str) -> None:
    terminal.setenv(name, value)
    assert colour_verdicts("PUBLISHED") == "PUBLISHED"
    terminal.setenv(name, "")
    assert colour_verdicts("PUBLISHED") != "PUBLISHED"
    assert name in os.environ


def test_checks_that_passed_are_one_line() -> None:
    checks = [Check(f"c{n}", Severity.WARN, True, "x", "x") for n in range(5)]
    assert describe_passed(checks) == ["ok      5 checks: c0, c1, c2, and 2 more"]
    assert describe_passed(checks[:1]) == ["ok      1 check: c0"]
    assert describe_passed([]) == []


def test_a_run_s_counts_are_a_row_for_each_event_type_and_their_sum() -> None:
    counts = {
        "REMARK": {"source": 1234, "staged": 1234, "published": 0},
        "FEEDBACK": {"source": 5, "staged": 5, "published": 5},
    }
    assert write_counts(counts).splitlines() == [
        "          source  staged  published",
        "REMARK      1234    1234          0",
        "FEEDBACK       5       5          5",
        "total       1239    1239          5",
    ]
