"""Many nights moved by the command, one group at a time and two: the table is what one clean pass leaves."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine
from two_months import ALL_NIGHTS, MORNING_AFTER, fingerprint, move_to_two_months

from sentinel_etl.config.fact_table import PartitionBy, build_patrol_events
from sentinel_etl.context import open_context
from sentinel_etl.databases import Databases
from sentinel_etl.errors import SentinelError, SourceUnreachable, WindowError, WindowLocked
from sentinel_etl.ledger.ledger import RunRecord, read_runs, record_run
from sentinel_etl.ledger.states import RunState
from sentinel_etl.operations.backfill import backfill_table, plan_backfill, raise_for_groups
from sentinel_etl.operations.groups import Group, GroupResult
from sentinel_etl.pipeline import SENTINEL
from sentinel_etl.run.run_window import run_window
from sentinel_etl.settings import Settings
from sentinel_etl.source.locks import hold_locks
from sentinel_etl.warehouse.query import run_statement
from sentinel_etl.warehouse.tables import ETL_RUNS, create_table
from sentinel_etl.window import Window

NOTEBOOKS = Path(__file__).parents[3] / "notebooks"

NIGHTS = ("2026-11-29", "2026-12-01")
NOVEMBER = "2026-11-29T00:30:00Z..2026-12-01T00:30:00Z"
DECEMBER = "2026-12-01T00:30:00Z..2026-12-02T00:30:00Z"


def shown(groups: Sequence[Group]) -> list[tuple[str, str, int]]:
    return [(group.partition, str(group.window), group.nights) for group in groups]


@pytest.fixture
def plan(settings: Settings) -> Callable[..., list[tuple[str, str, int]]]:
    """Plan with the test's own databases."""

    def planned(first: date, last: date, missing_only: bool = False, **given: Any) -> list[tuple[str, str, int]]:
        after = {"now": datetime(2026, 12, 3, 0, 40, tzinfo=UTC)}
        with open_context(settings.model_copy(update=after | given)) as context:
            return shown(plan_backfill(context, first, last, missing_only=missing_only))

    return planned


@pytest.mark.parametrize(
    ("partition_by", "expected"),
    [
        pytest.param(
            "month",
            [
                ("202611", "2026-11-28T00:30:00Z..2026-12-01T00:30:00Z", 3),
                ("202612", "2026-12-01T00:30:00Z..2026-12-03T00:30:00Z", 2),
            ],
            id="month",
        ),
        pytest.param(
            "week",
            [
                ("20261123", "2026-11-28T00:30:00Z..2026-11-30T00:30:00Z", 2),
                ("20261130", "2026-11-30T00:30:00Z..2026-12-03T00:30:00Z", 3),
            ],
            id="week",
        ),
        pytest.param(
            "day",
            [
                ("20261128", "2026-11-28T00:30:00Z..2026-11-29T00:30:00Z", 1),
                ("20261129", "2026-11-29T00:30:00Z..2026-11-30T00:30:00Z", 1),
                ("20261130", "2026-11-30T00:30:00Z..2026-12-01T00:30:00Z", 1),
                ("20261201", "2026-12-01T00:30:00Z..2026-12-02T00:30:00Z", 1),
                ("20261202", "2026-12-02T00:30:00Z..2026-12-03T00:30:00Z", 1),
            ],
            id="day",
        ),
    ],
)
def test_the_nights_of_one_partition_are_one_group(
    plan: Callable[..., list[tuple[str, str, int]]], partition_by: PartitionBy, expected: list[tuple[str, str, int]]
) -> None:
    assert plan(date(2026, 11, 28), date(2026, 12, 2), partition_by=partition_by) == expected


def test_the_partitions_are_those_of_the_table_that_is_there(
    plan: Callable[..., list[tuple[str, str, int]]], warehouse: Engine
) -> None:
    create_table(warehouse, build_patrol_events("week"))
    groups = plan(date(2026, 11, 20), date(2026, 11, 23), partition_by="month")
    assert [(partition, nights) for partition, _, nights in groups] == [("20261116", 3), ("20261123", 1)]


def note(warehouse: Engine, night: date, state: RunState = RunState.PUBLISHED, event_types: Sequence[str] = ()) -> None:
    """Write a run of one night to the ledger."""
    create_table(warehouse, ETL_RUNS)
    types = tuple(event_types or SENTINEL.event_types)
    record_run(RunRecord(f"run_{night}_{state}", "patrol_events", Window.night(night), types, state), warehouse)


def test_only_the_missing_nights_are_planned_and_a_published_one_cuts_a_group(
    plan: Callable[..., list[tuple[str, str, int]]], warehouse: Engine
) -> None:
    note(warehouse, date(2026, 11, 12))
    note(warehouse, date(2026, 11, 15), RunState.PUBLISHED_WITH_WARNINGS)
    note(warehouse, date(2026, 11, 11), RunState.FAILED)
    note(warehouse, date(2026, 11, 13), RunState.NOT_PUBLISHED)
    note(warehouse, date(2026, 11, 14), event_types=["REMARK"])
    assert plan(date(2026, 11, 10), date(2026, 11, 16), missing_only=True) == [
        ("202611", "2026-11-10T00:30:00Z..2026-11-12T00:30:00Z", 2),
        ("202611", "2026-11-13T00:30:00Z..2026-11-15T00:30:00Z", 2),
        ("202611", "2026-11-16T00:30:00Z..2026-11-17T00:30:00Z", 1),
    ]
    assert plan(date(2026, 11, 10), date(2026, 11, 16)) == [("202611", "2026-11-10T00:30:00Z..2026-11-17T00:30:00Z", 7)]
    assert plan(date(2026, 11, 12), date(2026, 11, 12), missing_only=True) == []


def test_a_last_night_before_the_first_is_refused(plan: Callable[..., list[tuple[str, str, int]]]) -> None:
    with pytest.raises(WindowError, match="expected --to on or after --from, found 2026-11-21 to 2026-11-20"):
        plan(date(2026, 11, 21), date(2026, 11, 20))


ONE, TWO = (Group("202611", Window.night(date(2026, 11, night)), 1) for night in (20, 21))
DONE = GroupResult(ONE, RunState.PUBLISHED, "", "", 812, "2026-11-20/etl.ipynb")
LOCKED = GroupResult(ONE, RunState.FAILED, "another run holds it", "WindowLocked", 0, "")


def test_the_table_names_every_group_and_those_not_reached() -> None:
    table = backfill_table([ONE, TWO], [DONE])
    assert table.to_dict("split")["columns"] == ["partition", "window", "nights", "verdict", "rows", "report"]
    assert table.to_dict("split")["data"] == [
        ["202611", "2026-11-20T00:30:00Z..2026-11-21T00:30:00Z", 1, "PUBLISHED", 812, "2026-11-20/etl.ipynb"],
        ["202611", "2026-11-21T00:30:00Z..2026-11-22T00:30:00Z", 1, "LEFT", 0, ""],
    ]


@pytest.mark.parametrize(
    ("results", "kind", "sentence"),
    [
        pytest.param(
            [LOCKED, DONE], WindowLocked, "1 of 2 groups failed; the first: another run holds it", id="failed"
        ),
        pytest.param(
            [DONE],
            SentinelError,
            "stopped: 1 of 2 groups are left; run it again with --missing-only",
            id="left",
        ),
        pytest.param(
            [GroupResult(TWO, RunState.FAILED, "gone", "SourceUnreachable", 0, ""), LOCKED],
            SourceUnreachable,
            "2 of 2 groups failed; the first: gone",
            id="the first decides",
        ),
    ],
)
def test_a_backfill_ends_with_the_first_failure_s_class_or_with_what_is_left(
    results: list[GroupResult], kind: type[SentinelError], sentence: str
) -> None:
    with pytest.raises(SentinelError) as raised:
        raise_for_groups([ONE, TWO], results)
    assert (type(raised.value), str(raised.value)) == (kind, sentence)


def test_a_backfill_of_which_every_group_is_published_raises_nothing() -> None:
    raise_for_groups([ONE], [DONE])


@dataclass(frozen=True)
class Place:
    """A city and a warehouse, and the command's environment for them."""

    databases: Databases
    environment: dict[str, str]
    runs: Path

    def start(self, *arguments: str, **more: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "sentinel_etl", "backfill", *arguments],
            env={**self.environment, **more},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=self.runs.parent,
            start_new_session=True,  # a process group of its own, as a terminal gives it
        )

    def backfill(self, first: str, last: str, *arguments: str, **more: str) -> tuple[int, list[dict[str, Any]], str]:
        """Run the command to its end: exit code, table of groups, what it says on stderr."""
        process = self.start("--from", first, "--to", last, "--json", *arguments, **more)
        printed, said = process.communicate(timeout=300)
        return process.returncode, json.loads(printed) if printed else [], own_words(said)

    def reports(self) -> list[str]:
        return sorted(str(path.relative_to(self.runs)) for path in self.runs.glob("*/*"))


def own_words(said: str) -> str:
    """Leave out what a kernel says when it is stopped in the wrong instant."""
    return "".join(line for line in said.splitlines(keepends=True) if not line.startswith("[IPKernelApp]"))


@pytest.fixture
def place(databases: Databases, settings: Settings, tmp_path: Path) -> Place:
    move_to_two_months(databases.source)
    return make_place(databases, tmp_path)


def make_place(databases: Databases, home: Path, notebooks: Path = NOTEBOOKS) -> Place:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SENTINEL_")}
    environment |= {
        "SENTINEL_HOME": str(home),
        "SENTINEL_NOW": "2026-12-02T06:10:00+05:30",
        "SENTINEL_NOTEBOOKS_DIR": str(notebooks),
        "SENTINEL_SOURCE_URL": databases.source.url.render_as_string(hide_password=False),
        "SENTINEL_WAREHOUSE_URL": databases.warehouse.url.render_as_string(hide_password=False),
    }
    return Place(databases, environment, home / "runs")


def clean_pass(databases: Databases, window: Window, warehouse: Engine) -> tuple[int, str]:
    """Move the whole window once into a fresh warehouse and fingerprint it."""
    settings = Settings(now=MORNING_AFTER)
    result = run_window(window, source=databases.source, warehouse=warehouse, pipeline=SENTINEL, settings=settings)
    assert result.verdict == "PUBLISHED"
    return fingerprint(warehouse)


def runs_of(databases: Databases) -> list[tuple[str, str, str]]:
    """List the ledger's runs: window, state, report; in order of their windows."""
    return sorted(
        (str(Window(run["window_start"], run["window_end"])), run["state"], run["report_path"])
        for run in read_runs(databases.warehouse)
    )


def writers(databases: Databases) -> list[tuple[str, int, int]]:
    """Count the runs that wrote each partition's rows, and its parts."""
    found = run_statement(
        databases.warehouse,
        "SELECT _partition_id, uniqExact(run_id), uniqExact(_part) FROM patrol_events GROUP BY 1 ORDER BY 1",
    )
    return [(str(name), int(runs), int(parts)) for name, runs, parts in found]


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_backfill_leaves_what_one_clean_pass_leaves_with_one_run_and_one_report_a_group(
    place: Place, make_warehouse: Callable[[], Engine], jobs: int
) -> None:
    # A night of November is there already: the month is rewritten once, not once a night.
    run_window(
        Window.night(date(2026, 11, 30)),
        source=place.databases.source,
        warehouse=place.databases.warehouse,
        pipeline=SENTINEL,
        settings=Settings(now=MORNING_AFTER),
        run_id="before",
    )
    code, groups, said = place.backfill(*NIGHTS, "--jobs", str(jobs))
    assert (code, said) == (0, "")
    assert [(g["partition"], g["window"], g["nights"], g["verdict"]) for g in groups] == [
        ("202611", NOVEMBER, 2, "PUBLISHED"),
        ("202612", DECEMBER, 1, "PUBLISHED"),
    ]
    rows, content = fingerprint(place.databases.warehouse)
    assert sum(group["rows"] for group in groups) == rows
    assert (rows, content) == clean_pass(place.databases, ALL_NIGHTS, make_warehouse())
    assert writers(place.databases) == [("202611", 1, 1), ("202612", 1, 1)]

    reports = [group["report"] for group in groups]
    assert [report.split("/")[0] for report in reports] == ["2026-11-30", "2026-12-01"]
    assert place.reports() == sorted([*reports, *(report.replace(".ipynb", ".html") for report in reports)])
    assert runs_of(place.databases) == [
        (NOVEMBER, "PUBLISHED", reports[0]),
        ("2026-11-30T00:30:00Z..2026-12-01T00:30:00Z", "PUBLISHED", ""),
        (DECEMBER, "PUBLISHED", reports[1]),
    ]


def test_a_group_that_fails_stops_no_other_and_its_class_is_the_exit_code(
    place: Place, make_warehouse: Callable[[], Engine]
) -> None:
    with hold_locks(place.databases.source, ["patrol_events partition 202611"], "someone else", 0):
        code, groups, said = place.backfill(*NIGHTS, SENTINEL_LOCK_WAIT_SECONDS="0")
    assert code == WindowLocked.exit_code == 6
    assert [(group["partition"], group["verdict"]) for group in groups] == [
        ("202611", "FAILED"),
        ("202612", "PUBLISHED"),
    ]
    assert said.count("\n") == 1
    assert said.startswith("sentinel-etl: 1 of 2 groups failed; the first: expected patrol_events partition 202611 ")
    assert "; someone else (since " in said

    code, groups, said = place.backfill(*NIGHTS, "--missing-only")
    assert (code, said, [group["window"] for group in groups]) == (0, "", [NOVEMBER])
    assert fingerprint(place.databases.warehouse) == clean_pass(place.databases, ALL_NIGHTS, make_warehouse())
    assert place.backfill(*NIGHTS, "--missing-only") == (0, [], "")


# The run alone, without a page about it: what is tested here is when a group begins.
SHORT_NOTEBOOK = {
    "cells": [
        {
            "cell_type": "code",
            "execution_count": None,
            "id": "given",
            "metadata": {"tags": ["parameters"]},
            "outputs": [],
            "source": 'window_end: str = ""\nwindow_hours: float = 24\nrun_id: str = ""\nallow_shrink: bool = False',
        },
        {
            "cell_type": "code",
            "execution_count": None,
            "id": "run",
            "metadata": {},
            "outputs": [],
            "source": "from sentinel_etl import choose_window, run_window\n"
            "run_window(choose_window(window_end, window_hours), run_id=run_id).raise_for_verdict()",
        },
    ],
    "metadata": {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}},
    "nbformat": 4,
    "nbformat_minor": 5,
}


@dataclass(frozen=True)
class Interrupted:
    """A backfill of five days that Ctrl-C met in its first group."""

    place: Place
    code: int
    verdicts: list[str]
    said: str


@pytest.fixture(scope="module")
def interrupted(
    make_source: Callable[[str | None], Engine],
    make_warehouse: Callable[[], Engine],
    city_template: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Interrupted]:
    databases = Databases(make_source(city_template), make_warehouse())
    home = tmp_path_factory.mktemp("interrupted")
    (home / "etl_nightly.ipynb").write_text(json.dumps(SHORT_NOTEBOOK))
    place = make_place(databases, home, notebooks=home)
    place.environment["SENTINEL_PARTITION_BY"] = "day"
    process = place.start("--from", "2026-11-17", "--to", "2026-11-21", "--json")
    try:
        create_table(databases.warehouse, ETL_RUNS)
        deadline = time.monotonic() + 120
        while not read_runs(databases.warehouse):
            assert time.monotonic() < deadline, "no group began"
            assert process.poll() is None, process.communicate()
            time.sleep(0.1)
        os.killpg(process.pid, signal.SIGINT)
        printed, said = process.communicate(timeout=300)
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()
    yield Interrupted(place, process.returncode, [group["verdict"] for group in json.loads(printed)], own_words(said))
    databases.source.dispose()
    databases.warehouse.dispose()


def test_ctrl_c_finishes_what_is_under_way_and_says_what_is_left(interrupted: Interrupted) -> None:
    left = interrupted.verdicts.count("LEFT")
    assert 1 <= left <= 4
    assert interrupted.verdicts[-left:] == ["LEFT"] * left
    assert interrupted.said == (
        f"sentinel-etl: stopped: {left} of 5 groups are left; run it again with --missing-only\n"
    )
    assert interrupted.code == 130
    finished = [state for _, state, _ in runs_of(interrupted.place.databases) if state.startswith("PUBLISHED")]
    assert len(finished) >= 5 - left


def test_ctrl_c_finishes_the_group_under_way_and_no_other(interrupted: Interrupted) -> None:
    assert interrupted.verdicts == ["PUBLISHED WITH WARNINGS", "LEFT", "LEFT", "LEFT", "LEFT"]


def test_after_ctrl_c_the_missing_nights_complete_the_table(
    interrupted: Interrupted, make_warehouse: Callable[[], Engine]
) -> None:
    place = interrupted.place
    code, groups, said = place.backfill("2026-11-17", "2026-11-21", "--missing-only")
    assert (code, said, len(groups)) == (0, "", interrupted.verdicts.count("LEFT"))
    three_nights = Window(datetime(2026, 11, 19, 0, 30, tzinfo=UTC), datetime(2026, 11, 22, 0, 30, tzinfo=UTC))
    clean = make_warehouse()
    assert fingerprint(place.databases.warehouse) == clean_pass(place.databases, three_nights, clean)
    clean.dispose()
