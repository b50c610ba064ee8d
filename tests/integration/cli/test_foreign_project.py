"""A database that nobody here would design goes through every command and notebook, by the command line."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import Engine

from sentinel_etl.warehouse.query import run_statement

CHECKOUT = Path(__file__).parents[3]
FOREIGN = CHECKOUT / "tests" / "foreign"
NOTEBOOKS = sorted(path.stem for path in (CHECKOUT / "notebooks").glob("*.ipynb"))

# In this order, over the same three nights.
COMMANDS = {
    "check": "check",
    "plan": "plan",
    "schema apply": "schema apply",
    "dry run": "run --dry-run",
    "run": "run",
    "backfill": "backfill --from 2026-11-19 --to 2026-11-21",
    "reconcile": "reconcile",
    "edits": "",
    "reconcile after edits": "reconcile",
    "heal": "reconcile --heal",
    "undo": "undo",
    "heal again": "reconcile --heal",
    "reconcile after healing": "reconcile",
    "diff": "diff",
    "status": "status",
    "schema diff": "schema diff",
    "runs": "runs list",
    "query": 'query "SELECT count() FROM `House Events`"',
    "suggest": """suggest '"Opera House".scan'""",
}
# These find something, and say so by their exit code.
EXIT_CODES = {"reconcile after edits": 5}

# One row of every table, and in the wide one every column of one row.
EDITS = """
SET search_path TO "Opera House";
UPDATE "Order" SET "discount %" = 12.5 WHERE "No." = 200;
UPDATE "Order Line" SET "table" = 'moved' WHERE "No." = 200 AND "line" = 1;
UPDATE happening SET mood = 'quiet' WHERE "Id" = md5('2')::uuid;
UPDATE scan SET gate = '2001:db8::7:7' WHERE "scanId" = 400;
UPDATE "complaint book" SET "text" = 'louder' WHERE n = 15;
UPDATE "every type" SET {} WHERE "smallint" = 20;
RESET search_path;
"""
SAID = (
    "SELECT event_type, count() FROM \"House Events\" WHERE shift_date = '{}' GROUP BY event_type ORDER BY event_type"
)
# By hand, with the house's nights from 06:00 in Berlin.
COUNTED = """
SELECT 'COMPLAINT', count(*) FROM "Opera House"."v Complaint" WHERE {0} <= "written on" AND "written on" < {1}
UNION ALL SELECT 'EVERY_TYPE', count(*) FROM "Opera House"."every type" WHERE {0} <= created_at AND created_at < {1}
UNION ALL SELECT 'ORDER', count(*) FROM "Opera House"."Order" WHERE {0} <= "when" AND "when" < {1}
UNION ALL SELECT 'ORDER_LINE', count(*) FROM "Opera House"."Order Line" WHERE {0} <= "at" AND "at" < {1}
UNION ALL SELECT 'PERFORMANCE', count(*) FROM "Opera House".happening WHERE "Kind" = 'perf'
    AND {0} <= "at" AT TIME ZONE 'Europe/Berlin' AND "at" AT TIME ZONE 'Europe/Berlin' < {1}
UNION ALL SELECT 'REHEARSAL', count(*) FROM "Opera House".happening WHERE "Kind" = 'rehe'
    AND {0} <= "at" AT TIME ZONE 'Europe/Berlin' AND "at" AT TIME ZONE 'Europe/Berlin' < {1}
UNION ALL SELECT 'SCAN', count(*) FROM "Opera House".scan WHERE ok AND {0} <= "scanned at" AND "scanned at" < {1}
"""


@dataclass(frozen=True)
class Project:
    """Another team's home folder: its pipeline, its `.env`, its two databases, and what each command did there."""

    home: Path
    source: Engine
    warehouse: Engine
    done: dict[str, subprocess.CompletedProcess[str]]

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        # The console script: unlike `python -m` it does not put the current folder on the path.
        script = Path(sys.executable).with_name("sentinel-etl")
        environment = {name: value for name, value in os.environ.items() if not name.startswith("SENTINEL_")}
        return subprocess.run(
            [script, *arguments], env=environment, cwd=self.home, capture_output=True, text=True, check=False
        )

    def execute(self, statements: str) -> None:
        with self.source.begin() as connection:
            connection.exec_driver_sql(statements.replace("%", "%%"))


@pytest.fixture(scope="module")
def project(
    make_source: Callable[[str | None], Engine],
    make_warehouse: Callable[[], Engine],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Project]:
    home = tmp_path_factory.mktemp("home")
    project = Project(home, make_source(None), make_warehouse(), {})
    project.execute((FOREIGN / "schema.sql").read_text())
    (home / "opera.py").write_text((FOREIGN / "opera.py").read_text())
    urls = [engine.url.render_as_string(hide_password=False) for engine in (project.source, project.warehouse)]
    (home / ".env").write_text(
        f"SENTINEL_SOURCE_URL={urls[0]}\nSENTINEL_WAREHOUSE_URL={urls[1]}\nSENTINEL_PIPELINE=opera:OPERA\n"
        "SENTINEL_TIMEZONE=Europe/Berlin\nSENTINEL_NOW=2026-11-22T06:10:00+01:00\n"
    )
    (home / ".env").chmod(0o600)
    for name, command in COMMANDS.items():
        if command:
            project.done[name] = project.run(*shlex.split(command))
        else:
            project.execute(EDITS.format(", ".join(edits_of_every_type())))
    with ThreadPoolExecutor(2) as pool:
        ran = pool.map(lambda name: project.run("run", "--notebook", name), NOTEBOOKS)
        project.done.update(zip(NOTEBOOKS, ran, strict=True))
    yield project
    project.source.dispose()
    project.warehouse.dispose()


def edits_of_every_type() -> list[str]:
    """Give each column that the pipeline reads of the wide table another value."""
    values = {
        "integer": "7",
        "bigint": "7",
        "oid": "7",
        "numeric": "7.00000000000000000007",
        "numeric(20,6)": "7.000007",
        "real": "0.7",
        "double": "7e-300",
        "boolean": 'NOT "boolean"',
        "text": "'seven'",
        "varchar": "'seven'",
        "char": "'7'",
        "name": "'seven'",
        "bytea": r"'\x07ff'",
        "uuid": "md5('7')::uuid",
        "inet": "'7.7.7.7'",
        "cidr": "'7.0.0.0/8'",
        "macaddr": "'07:07:07:07:07:07'",
        "json": "'[7]'",
        "jsonb": "'[7]'",
        "date": "'2177-07-07'",
        "timestamp": "'1777-07-07 07:07:07'",
        "timestamptz": "'1977-07-07 07:07:07+00'",
        "time": "'07:07'",
        "timetz": "'07:07+07'",
        "interval": "'7 years'",
        "money": "'7'",
        "enum": "'RIOT'",
        "domain": "7",
        "bit": "B'01110111'",
        "range": "'empty'",
        "integers": "'{7}'",
        "numerics": "'{7.7}'",
        "texts": "'{seven}'",
        "instants": "'{1977-07-07 07:07:07+00}'",
        "enums": "'{RIOT,RIOT}'",
        "domains": "'{B7}'",
    }
    return [f'"{name}" = {value}' for name, value in values.items()]


@pytest.mark.parametrize("name", [*(name for name, command in COMMANDS.items() if command), *NOTEBOOKS])
def test_each_command_and_notebook_does_its_work(project: Project, name: str) -> None:
    done = project.done[name]
    assert done.returncode == EXIT_CODES.get(name, 0), done.stdout + done.stderr
    assert "Traceback" not in done.stderr + done.stdout
    assert "unexpected" not in done.stderr


@pytest.mark.parametrize("night", [19, 20, 21])
def test_each_night_has_the_rows_that_the_source_has_by_hand(project: Project, night: int) -> None:
    bounds = [f"'2026-11-{day} 05:00+00'::timestamptz" for day in (night, night + 1)]
    with project.source.connect() as connection:
        rows = connection.exec_driver_sql(COUNTED.format(*bounds)).all()
    found = run_statement(project.warehouse, SAID.format(f"2026-11-{night}"))
    assert [tuple(row) for row in found] == [tuple(row) for row in rows]
    assert all(count > 0 for _, count in rows)


def test_the_edits_are_told_of_and_then_loaded(project: Project) -> None:
    told = project.done["reconcile after edits"].stdout
    edited = ["COMPLAINT", "EVERY_TYPE", "ORDER", "ORDER_LINE", "REHEARSAL", "SCAN"]
    assert sorted(line.split()[1] for line in told.splitlines() if line.endswith("differ")) == edited
    assert "0 changed" in project.done["reconcile after healing"].stdout
    [(moved, discount)] = run_statement(
        project.warehouse,
        "SELECT countIf(JSONExtractString(details_json, 'table') = 'moved'), "
        "anyIf(discount, event_id = 'ORDER:26:200') "
        'FROM "House Events"',
    )
    assert (int(moved), float(discount)) == (1, 12.5)


def test_the_pages_name_a_column_of_the_sample_city_only_to_say_that_it_is_not_there(project: Project) -> None:
    pages = [*project.home.glob("runs/**/*.html")]
    assert (project.home / "runs" / "index.html") in pages
    assert len(pages) > len(NOTEBOOKS)
    # The tutorial shows the sample city's entry, and tries a copy of the pipeline's own.
    for page in [page for page in pages if not page.name.startswith("add_an_event_type")]:
        lines = [line for line in page.read_text(encoding="utf-8").splitlines() if "has no column" not in line]
        words = "\n".join(lines)
        assert [word for word in ("hotspot_id", "officer_id", "patrol_events", "KeyError") if word in words] == [], page
