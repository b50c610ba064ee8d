"""Real databases for the tests: one local stack a session, or servers given; a database of its own for each test."""

from __future__ import annotations

import os
import signal
import tempfile
from collections.abc import Callable, Generator, Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from adversity.soak import EXPLORED, SOAK, TALLY, lines
from given_servers import (
    GIVEN_SOURCE,
    GIVEN_WAREHOUSE,
    NEEDS_LOCAL_STACK,
    check_servers,
    drop_source,
    drop_warehouse,
    finish,
    given_or,
    maintenance,
    new_name,
)
from loopback_server import LoopbackServer, loopback_server
from source_kinds import CITY, create_source, is_beyond_latin1, write_city_in_ascii
from sqlalchemy import Engine, make_url

from sentinel_etl.city import City, create_source_tables, load_city, load_nights
from sentinel_etl.databases import Databases
from sentinel_etl.local.stack import LocalStack, start_stack, stop_stack
from sentinel_etl.settings import Settings
from sentinel_etl.source.connection import open_source
from sentinel_etl.warehouse.engine import open_warehouse
from sentinel_etl.warehouse.query import run_statement

LAST_NIGHT = date(2026, 11, 21)
MORNING = datetime(2026, 11, 22, 0, 40, tzinfo=UTC)  # 06:10 in the city
NIGHTS = 3
EVENTS_PER_NIGHT = 600


TESTS = Path(__file__).parent
STACKS_OF_THEIR_OWN = (TESTS / "adversity", TESTS / "integration" / "local", TESTS / "docs" / "test_doc_examples.py")


# What `make test` leaves to `make test-long`: faults of every kind, every example of the pages, and what takes longest,
# so that it ends within ten minutes. `.ci/run` runs both.
LONG = (
    TESTS / "adversity",
    TESTS / "browser" / "test_hostile_texts_in_chromium.py",
    TESTS / "docs" / "test_doc_examples.py",
    *(
        TESTS / "integration" / name
        for name in (
            "analyst/test_as_of_run.py",
            "analyst/test_named_dimensions.py",
            "analyst/test_ranked_city.py",
            "audit/test_each_night.py",
            "ledger/test_presence.py",
            "ledger/test_vanished_nights.py",
            "lineage/test_told_runs.py",
            "notebook/test_any_pipeline.py",
            "notebook/test_beside_the_verdict.py",
            "notebook/test_installed.py",
            "notebook/test_lab.py",
            "notebook/test_runs.py",
            "notebook/test_stopped_runs.py",
            "onboarding/test_init.py",
            "operations/test_backfill_progress.py",
            "operations/test_dask.py",
            "operations/test_dask_faults.py",
            "operations/test_diff.py",
            "operations/test_ends_of_groups.py",
            "operations/test_heal_repeated_keys.py",
            "operations/test_nights_of_a_group.py",
            "operations/test_notifications.py",
            "operations/test_open_nights.py",
            "operations/test_operations.py",
            "operations/test_personal_policies.py",
            "operations/test_recreate.py",
            "operations/test_replay.py",
            "operations/test_stale_nights.py",
            "operations/test_undo.py",
            "publish/test_exchange.py",
            "publish/test_lost_locks.py",
            "publish/test_other_nights.py",
            "reconcile/test_changes_later.py",
            "run/test_completeness_of_nights.py",
            "run/test_dead_runs.py",
            "run/test_dropped_event_types.py",
            "run/test_fact_tables.py",
            "run/test_hostile_rows.py",
            "run/test_reruns.py",
            "run/test_time_of_the_night.py",
            "run/test_typed_values.py",
            "source/test_gentle_guest.py",
            "source/test_time_limits.py",
            "transform/test_personal_data.py",
            "warehouse/test_profiles.py",
            "test_controls_benchmark.py",
            "test_given_servers.py",
        )
    ),
)
# Of these `make test` has all cases: they need no database, or share one run of it all.
WHOLE = (TESTS / "unit", TESTS / "integration" / "cli" / "test_foreign_project.py")


@pytest.hookimpl(wrapper=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> Generator[None]:
    """Mark the long tail before tests are shuffled and chosen; then leave the quick tests for the end.

    There they fill up the time until the slowest file is done. Where servers are given, tests of the local stack
    itself say nothing of them, and are skipped.
    """
    mark_long_tail(items)
    yield
    for item in items:
        if is_among(item.path, STACKS_OF_THEIR_OWN):
            item.add_marker(NEEDS_LOCAL_STACK)
    items.sort(key=lambda item: "unit" in item.path.parts)


def is_among(path: Path, places: tuple[Path, ...]) -> bool:
    return any(path.is_relative_to(place) for place in places)


def mark_long_tail(items: list[pytest.Item]) -> None:
    """Mark as long what is in `LONG`, and of each test that needs databases all cases but the first."""
    seen = set[str]()
    for item in items:
        test = item.nodeid.partition("[")[0]
        again = test in seen and hasattr(item, "callspec") and not is_among(item.path, WHOLE)
        if again or is_among(item.path, LONG):
            item.add_marker("long")
        seen.add(test)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.failed and is_beyond_latin1(str(report.longrepr)):
        report.outcome = "skipped"
        report.longrepr = (str(item.path), 0, "Skipped: it writes what LATIN1 has no letters for")
    return report


def pytest_configure() -> None:
    """Take Ctrl-C again where whoever started the tests has it ignored, as nohup and a shell's ``&`` do.

    What is ignored stays so in the processes that tests start, of which some are stopped by Ctrl-C.
    https://docs.python.org/3/library/signal.html#signal.SIG_IGN and execve(2)
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


SERVERS = pytest.StashKey[list[str]]()


def pytest_sessionstart(session: pytest.Session) -> None:
    """See that the servers given can be used, before any worker of pytest-xdist starts."""
    if not hasattr(session.config, "workerinput"):
        session.config.stash[SERVERS] = check_servers()


@pytest.hookimpl(trylast=True)  # after pytest-xdist has ended its workers
def pytest_sessionfinish(session: pytest.Session) -> None:
    """In a worker of pytest-xdist: hand over what its tests have tried and found. Else: clean the servers given."""
    if (output := getattr(session.config, "workeroutput", None)) is not None:
        output["tried"] = dict(TALLY), EXPLORED
    elif SERVERS in session.config.stash:
        session.config.stash[SERVERS] += finish()


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Add up what the workers have tried; one that has crashed has handed over nothing."""
    tally, explored = getattr(node, "workeroutput", {}).get("tried", ({}, {}))
    TALLY.update(tally)
    EXPLORED.update(explored)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Name the servers given. At the end of `make soak`: a line for each promise."""
    if config.stash.get(SERVERS, None):
        terminalreporter.section("servers given")
        for line in config.stash[SERVERS]:
            terminalreporter.write_line(line)
    if SOAK:
        terminalreporter.section("promises")
        for line in lines():
            terminalreporter.write_line(line)


@pytest.fixture(autouse=True)
def no_settings_from_outside(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Tests see neither the developer's SENTINEL_* variables nor an .env file."""
    for name in os.environ:
        if name.startswith("SENTINEL_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("SENTINEL_HOME", str(tmp_path))


@pytest.fixture(scope="session")
def stack() -> Iterator[LocalStack]:
    """The servers that are given, or a running local stack, stopped and forgotten at the end."""
    if GIVEN_SOURCE is not None and GIVEN_WAREHOUSE is not None:
        yield given_or(None)
        return
    with tempfile.TemporaryDirectory(prefix="sentinel-") as folder:
        state_dir = Path(folder) / "state"
        try:
            yield given_or(start_stack(state_dir))
        finally:
            stop_stack(state_dir)


@pytest.fixture(scope="session")
def make_source(stack: LocalStack) -> Iterator[Callable[[str | None], Engine]]:
    """Make a PostgreSQL database, empty or a copy of a template, and open it."""
    engines: list[Engine] = []

    def make(template: str | None = None) -> Engine:
        name = new_name()
        with maintenance(stack.source_url) as run:
            for statement in create_source(name, template):
                run(statement)
        url = make_url(stack.source_url).set(database=name)
        engines.append(open_source(url.render_as_string(hide_password=False)))
        return engines[-1]

    yield make
    for engine in engines:
        engine.dispose()


@pytest.fixture(scope="session")
def new_role(stack: LocalStack) -> Callable[[], str]:
    """Choose the name of a role that a test makes; skip the test where the source's user may make none."""
    with maintenance(stack.source_url) as run:
        allowed = run("SELECT rolsuper OR rolcreaterole FROM pg_roles WHERE rolname = current_user").scalar_one()

    def choose() -> str:
        if not allowed:
            pytest.skip("the user of SENTINEL_TEST_SOURCE_URL may not create roles")
        return new_name()

    return choose


@pytest.fixture(scope="session")
def make_warehouse(stack: LocalStack) -> Callable[[], Engine]:
    """Make an empty ClickHouse database and open it."""
    server = open_warehouse(stack.warehouse_url)

    def make() -> Engine:
        name = new_name()
        run_statement(server, f"CREATE DATABASE {name} ENGINE = Atomic")
        url = make_url(stack.warehouse_url).set(database=name)
        return open_warehouse(url.render_as_string(hide_password=False))

    return make


@pytest.fixture(scope="session")
def city_template(make_source: Callable[[str | None], Engine]) -> str:
    """Name a database that holds a small sample city of three nights; copy it, do not change it."""
    engine = make_source(CITY)
    write_city_in_ascii()
    city = City()
    create_source_tables(engine)
    load_city(engine, city)
    load_nights(engine, city, LAST_NIGHT, NIGHTS, EVENTS_PER_NIGHT, received_before=MORNING)
    engine.dispose()  # PostgreSQL copies only a template that nobody is connected to
    return str(engine.url.database)


@pytest.fixture
def source_engine(make_source: Callable[[str | None], Engine]) -> Iterator[Engine]:
    """An empty PostgreSQL database."""
    engine = make_source(None)
    yield engine
    drop_source(engine)


@pytest.fixture
def city(make_source: Callable[[str | None], Engine], city_template: str) -> Iterator[Engine]:
    """A PostgreSQL database of one's own with the sample city's three nights."""
    engine = make_source(city_template)
    yield engine
    drop_source(engine)


@pytest.fixture
def warehouse(make_warehouse: Callable[[], Engine]) -> Iterator[Engine]:
    """An empty ClickHouse database."""
    engine = make_warehouse()
    yield engine
    drop_warehouse(engine)


@pytest.fixture
def databases(city: Engine, warehouse: Engine) -> Databases:
    """The sample city and an empty warehouse."""
    return Databases(city, warehouse)


@pytest.fixture
def settings(databases: Databases, tmp_path: Path) -> Settings:
    """Settings that name both databases, at ten past six after the last night."""
    return Settings(
        source_url=databases.source.url.render_as_string(hide_password=False),
        warehouse_url=databases.warehouse.url.render_as_string(hide_password=False),
        now=MORNING,
        runs_dir=tmp_path / "runs",
        notebooks_dir=TESTS.parent / "notebooks",
        state_dir=tmp_path / "state",
    )


@pytest.fixture
def environment(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """The same settings as environment variables, for commands and kernels."""
    for name, value in settings.model_dump().items():
        secret = getattr(value, "get_secret_value", None)
        if value is not None:
            monkeypatch.setenv(f"SENTINEL_{name.upper()}", secret() if secret else str(value))
    return settings


@pytest.fixture
def server() -> Iterator[LoopbackServer]:
    """An HTTP server that keeps what is posted to it."""
    with loopback_server() as server:
        yield server
