"""``sentinel-etl init``: from a database that nobody here designed to a report, by two commands."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from rental_shop import NOW, ZONE, open_shop
from sqlalchemy import Engine, text

from sentinel_etl.ledger.ledger import read_runs
from sentinel_etl.warehouse.query import run_statement

SCRIPT = str(Path(sys.executable).with_name("sentinel-etl"))
NOWHERE = {
    "SENTINEL_SOURCE_URL": "postgresql+psycopg://u:a-secret-word@127.0.0.1:1/nowhere",
    "SENTINEL_WAREHOUSE_URL": "clickhouse+http://u:a-secret-word@127.0.0.1:1/nowhere",
}


def url_of(engine: Engine) -> str:
    return engine.url.render_as_string(hide_password=False)


def start(folder: Path, *command: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run a command as a user does: with the clock that the test needs, and no other settings than those given."""
    outside = {name: value for name, value in os.environ.items() if not name.startswith(("SENTINEL_", "PYTHONPATH"))}
    given = {**outside, "SENTINEL_NOW": NOW, "SENTINEL_RETRY_SECONDS": "0", **settings}
    return subprocess.run(command, cwd=folder, env=given, capture_output=True, text=True, timeout=300)


def init(folder: Path, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    return start(folder, SCRIPT, "init", *arguments, **settings)


@dataclass(frozen=True)
class Started:
    """A project that `init` has written, what it said, and what the first run said."""

    folder: Path
    source: Engine
    warehouse: Engine
    init: subprocess.CompletedProcess[str]
    run: subprocess.CompletedProcess[str]

    @property
    def passwords(self) -> list[str]:
        return [str(engine.url.password) for engine in (self.source, self.warehouse)]


@pytest.fixture(scope="module")
def shop(
    make_source: Callable[[str | None], Engine],
    make_warehouse: Callable[[], Engine],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Started]:
    """The two commands, over the rental shop, from an empty folder."""
    source, warehouse, outside = make_source(None), make_warehouse(), tmp_path_factory.mktemp("desk")
    open_shop(source)
    urls = {"SENTINEL_SOURCE_URL": url_of(source), "SENTINEL_WAREHOUSE_URL": url_of(warehouse)}
    first = init(outside, "pagila", "--zone", ZONE, "--tables", "rental,payment", **urls)
    folder = outside / "pagila"
    assert first.returncode == 0, first.stderr
    yield Started(folder, source, warehouse, first, start(folder, SCRIPT, "run"))
    source.dispose()
    warehouse.dispose()


def test_init_checks_tries_last_night_and_says_the_next_command(shop: Started) -> None:
    said = shop.init.stdout.splitlines()
    assert shop.init.stderr == ""
    assert said[0] == "pagila: a project for RENTAL, PAYMENT"
    assert re.fullmatch(r"2 event types checked, 0 differences?", said[1])
    assert said[2].startswith("asked PostgreSQL at ")
    assert said[3] == "DRY RUN  2026-11-21 06:00 → 2026-11-22 06:00 EST"
    assert said[-1] == "next: cd pagila && sentinel-etl run"
    assert sorted(run["state"] for run in read_runs(shop.warehouse)) == ["DRY RUN", "PUBLISHED"]


def test_the_second_command_leaves_a_report_and_the_night_s_rows(shop: Started) -> None:
    assert (shop.run.returncode, shop.run.stderr) == (0, "")
    assert shop.run.stdout.startswith("PUBLISHED")
    assert len(list((shop.folder / "runs" / "2026-11-21").glob("etl_nightly_*.html"))) == 2
    counted = "SELECT event_type, count() FROM pagila_events GROUP BY event_type ORDER BY event_type"
    with shop.source.connect() as connection:
        night = "BETWEEN timestamptz '2026-11-21 06:00-05' AND timestamptz '2026-11-22 05:59:59.999999-05'"
        rentals = connection.scalar(text(f"SELECT count(*) FROM rental WHERE rental_date {night}"))
        payments = connection.scalar(text(f"SELECT count(*) FROM payment WHERE payment_date {night}"))
    assert [tuple(row) for row in run_statement(shop.warehouse, counted)] == [
        ("PAYMENT", payments),
        ("RENTAL", rentals),
    ]


def test_nothing_is_written_outside_of_the_folder(shop: Started) -> None:
    assert [path.name for path in shop.folder.parent.iterdir()] == ["pagila"]
    own = {path.name for path in shop.folder.iterdir()} - {"__pycache__"}
    assert own == {
        *(".env", ".gitignore", "README.md", "crontab", "grants_source.sql", "grants_warehouse.sql", "models.py"),
        *("pipeline.py", "runs", "tests", "verify.sql"),
    }


def test_passwords_stand_in_the_env_file_alone_which_is_its_owner_s(shop: Started) -> None:
    assert (shop.folder / ".env").stat().st_mode & 0o777 == 0o600
    texts = [shop.init.stdout, shop.init.stderr, shop.run.stdout, shop.run.stderr]
    texts += [
        path.read_text("utf-8", "replace") for path in shop.folder.rglob("*") if path.is_file() and path.name != ".env"
    ]
    assert not [word for word in shop.passwords if any(word in each for each in texts)]


def test_plan_connects_to_nothing(shop: Started) -> None:
    done = start(shop.folder, SCRIPT, "plan", **NOWHERE)
    assert (done.returncode, done.stderr) == (0, "")
    assert re.findall(r"^-- (\w+)$", done.stdout, flags=re.MULTILINE) == ["RENTAL", "PAYMENT"]


def test_the_project_s_own_tests_pass(shop: Started) -> None:
    done = start(shop.folder, sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "error")
    assert done.returncode == 0, done.stdout
    assert "5 passed" in done.stdout


def test_both_halves_of_each_comparison_by_hand_answer_alike(shop: Started) -> None:
    written = (shop.folder / "verify.sql").read_text(encoding="utf-8").replace("2026-11-14", "2026-11-21")
    parts = re.findall(r"^-- (\w+), in (\w+)\n(.+?);$", written, flags=re.MULTILINE | re.DOTALL)
    assert [part[:2] for part in parts] == [
        (name, database) for name in ("RENTAL", "PAYMENT") for database in ("PostgreSQL", "ClickHouse")
    ]
    for (_, _, ours), (_, _, theirs) in zip(parts[::2], parts[1::2], strict=True):
        with shop.source.connect() as connection:
            found = connection.exec_driver_sql(ours.replace("2026-11-14", "2026-11-21")).all()
        night = [tuple(map(str, row)) for row in found if str(row[0]) == "2026-11-21"]
        assert [tuple(map(str, row)) for row in run_statement(shop.warehouse, theirs)] == night
        assert len(night) == 1


def test_the_crontab_starts_the_run_in_this_folder_from_another_one(shop: Started) -> None:
    written = (shop.folder / "crontab").read_text(encoding="utf-8")
    assert f'SENTINEL_HOME="{shop.folder}"' in written
    assert ZONE in written
    (alarm,) = [line for line in written.splitlines() if "status" in line and line[0].isdigit()]
    given = dict(re.findall(r'^(\w+)="?([^"\n]*)"?$', written, flags=re.MULTILINE))
    words = [f"{name}={value}" for name, value in {**given, "SENTINEL_NOW": NOW}.items()]
    done = start(Path("/"), "env", "-i", *words, "sh", "-c", re.split(r"\s+", alarm, maxsplit=5)[5])
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    if shutil.which("crontab"):
        assert start(shop.folder, "crontab", "-n", "crontab").returncode == 0


def test_the_role_that_the_grants_make_may_read_what_is_needed_and_no_more(shop: Started) -> None:
    tables = ("rental", "payment", "inventory", "film", "customer", "staff")
    asked = ", ".join(f"has_table_privilege('sentinel_reader', '{table}', 'SELECT')" for table in tables)
    with shop.source.connect() as connection, connection.begin() as granting:
        connection.exec_driver_sql((shop.folder / "grants_source.sql").read_text(encoding="utf-8"))
        rights = connection.exec_driver_sql(f"SELECT {asked}").one()
        granting.rollback()
    assert [table for table, granted in zip(tables, rights, strict=True) if granted] == list(tables[:4])


@pytest.mark.parametrize(
    ("arguments", "settings", "code", "message"),
    [
        pytest.param((), {}, 2, "init: expected --source, --warehouse, --zone, --tables, found none.", id="nothing"),
        pytest.param(
            ("--zone", "Mars/Base", "--tables", "rental"), NOWHERE, 2, "settings: SENTINEL_TIMEZONE:", id="a zone"
        ),
        pytest.param(
            ("--zone", ZONE, "--tables", "rental"), NOWHERE, 3, "expected PostgreSQL at 127.0.0.1:1", id="no source"
        ),
        pytest.param(
            ("--source", "mysql://u:a-secret-word@h/d", "--zone", ZONE, "--tables", "rental"),
            NOWHERE,
            2,
            "SENTINEL_SOURCE_URL: expected",
            id="another database",
        ),
    ],
)
def test_what_cannot_be_started_is_one_sentence_and_leaves_nothing(
    arguments: tuple[str, ...], settings: dict[str, str], code: int, message: str, tmp_path: Path
) -> None:
    done = init(tmp_path, "project", *arguments, **settings)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (code, "", 1), done.stderr
    assert message in done.stderr
    assert "a-secret-word" not in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_table_that_is_not_there_leaves_nothing(shop: Started, tmp_path: Path) -> None:
    urls = {"SENTINEL_SOURCE_URL": url_of(shop.source), "SENTINEL_WAREHOUSE_URL": url_of(shop.warehouse)}
    done = init(tmp_path, "project", "--zone", ZONE, "--tables", "rental,paymnet", **urls)
    assert (done.returncode, done.stdout) == (2, "")
    assert "Did you mean payment" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_warehouse_that_does_not_answer_leaves_nothing(shop: Started, tmp_path: Path) -> None:
    urls = {**NOWHERE, "SENTINEL_SOURCE_URL": url_of(shop.source)}
    done = init(tmp_path, "project", "--zone", ZONE, "--tables", "rental", **urls)
    assert (done.returncode, done.stdout) == (4, "")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_empty_stays_as_it_is(shop: Started) -> None:
    before = {path: path.read_bytes() for path in shop.folder.rglob("*") if path.is_file()}
    done = init(shop.folder.parent, "pagila", "--zone", ZONE, "--tables", "rental", **NOWHERE)
    assert done.returncode == 2
    assert f"init: expected {shop.folder} to be empty, or not to be there; found .env in it." in done.stderr
    assert {path: path.read_bytes() for path in shop.folder.rglob("*") if path.is_file()} == before


ODD = """
CREATE SCHEMA "Shop";
CREATE TYPE "Shop"."Kind" AS ENUM ('a', 'it''s', 'ü');
CREATE DOMAIN "Shop".code AS varchar(12) CHECK (VALUE <> '');
CREATE DOMAIN "Shop".kinds AS "Shop"."Kind"[];
CREATE TABLE "Shop"."Group" ("Id" bigint PRIMARY KEY, "class" text, "Order" integer);
CREATE TABLE "Shop"."Order" (
    "Id" uuid PRIMARY KEY, "Group" bigint REFERENCES "Shop"."Group", "when" timestamptz NOT NULL, "at clocks" timestamp,
    "day" date, small smallint, "int" integer, big bigint, "real" real, "double" double precision, exact numeric(38, 9),
    wide numeric, price money, flag boolean, fixed char(4), "varchar" varchar(20), "select" text, "Kind" "Shop"."Kind",
    kinds "Shop"."Kind"[], "domain kinds" "Shop".kinds, code "Shop".code, codes "Shop".code[], ip inet, net cidr,
    mac macaddr, doc jsonb, plain json, lasts interval, clock time, zoned timetz, bits bit(8), more bit varying(5),
    raw bytea, words tsvector, place point, range int4range, ids bigint[], grid integer[][], prices numeric(9, 3)[],
    oid oid, path xml, half numeric(4, -2)
);
CREATE INDEX ON "Shop"."Order" ("when");
INSERT INTO "Shop"."Group" VALUES (1, 'first', 7);
INSERT INTO "Shop"."Order" SELECT
    gen_random_uuid(), 1, timestamptz '2026-11-21 12:00-05' + n * interval '1 min', '2026-11-21 12:00', '2026-11-21', 1,
    n, 3, 1.5, 2.5, 1.000000001, 12345678901234567890.5, 9.99, true, 'ab', 'v', 't', 'it''s', '{a,ü}',
    '{a}', 'c', '{x,y}', '10.0.0.1', '10.0.0.0/8', '08:00:2b:01:02:03',
    '{"a": 1}', '[1]', '1 day', '12:00', '12:00+01', B'10101010', B'101', '\\x01', 'a b', point(1, 2), '[1,5)',
    ARRAY[1, NULL], ARRAY[[1, 2], [3, 4]], ARRAY[1.5], 42, NULL, 1200
  FROM generate_series(1, 20) n;
ANALYZE;
"""


@pytest.fixture
def odd(source_engine: Engine, warehouse: Engine) -> dict[str, str]:
    """A schema with names that SQL and Python have for themselves, and a column of each type."""
    with source_engine.begin() as connection:
        connection.exec_driver_sql(ODD)
    return {"SENTINEL_SOURCE_URL": url_of(source_engine), "SENTINEL_WAREHOUSE_URL": url_of(warehouse)}


def test_every_type_and_name_comes_through_both_commands(
    odd: dict[str, str], warehouse: Engine, tmp_path: Path
) -> None:
    done = init(tmp_path, "My Shop", "--zone", ZONE, "--tables", '"Shop"."Order"', **odd)
    assert done.returncode == 0, done.stderr + done.stdout
    done = start(tmp_path / "My Shop", SCRIPT, "run")
    assert done.returncode == 0, done.stderr
    (row,) = run_statement(warehouse, "SELECT count(), min(`int`), max(`int`), any(code) FROM my_shop_events")
    assert tuple(row) == (20, 1, 20, "c")
    tests = start(tmp_path / "My Shop", sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider")
    assert tests.returncode == 0, tests.stdout


TWINS = """
CREATE SCHEMA a; CREATE SCHEMA b;
CREATE TABLE a.visit (
    visit_id integer PRIMARY KEY, at timestamptz NOT NULL, amount numeric(4, 2), state text, n smallint
);
CREATE TABLE b.visit (
    visit_id uuid PRIMARY KEY, at timestamptz NOT NULL, amount numeric(9, 1), state date, n text
);
INSERT INTO a.visit VALUES (1, '2026-11-21 12:00-05', 12.25, 'open', 3);
INSERT INTO b.visit VALUES (gen_random_uuid(), '2026-11-21 12:00-05', 12345678.5, '2026-11-21', 'three');
"""


def test_tables_of_one_name_and_columns_of_one_name_and_two_types_go_side_by_side(
    source_engine: Engine, warehouse: Engine, tmp_path: Path
) -> None:
    with source_engine.begin() as connection:
        connection.exec_driver_sql(TWINS)
    urls = {"SENTINEL_SOURCE_URL": url_of(source_engine), "SENTINEL_WAREHOUSE_URL": url_of(warehouse)}
    done = init(tmp_path, "twins", "--zone", ZONE, "--tables", "a.visit,b.visit", **urls)
    assert done.returncode == 0, done.stderr + done.stdout
    assert "twins: a project for VISIT, VISIT_2" in done.stdout
    assert start(tmp_path / "twins", SCRIPT, "run").returncode == 0
    found: list[Any] = list(
        run_statement(warehouse, "SELECT event_type, toString(amount) FROM twins_events ORDER BY 1")
    )
    assert [tuple(row) for row in found] == [("VISIT", "12.25"), ("VISIT_2", "12345678.5")]
