"""What the benchmarks stand on: a local stack of their own, sample cities in it, empty warehouses.

The stack's state is kept in `.sentinel/bench`, because a city of ten million events and a warehouse
of ten years take minutes to make and are the same every time; `make clean` removes it. It runs while a benchmark does.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from uuid import uuid4

from sqlalchemy import Engine, create_engine, make_url, text

from sentinel_etl.allocator import choose_allocator
from sentinel_etl.city import City, create_source_tables, load_city, load_nights
from sentinel_etl.local.stack import LocalStack, start_stack, stop_stack
from sentinel_etl.settings import Settings
from sentinel_etl.source.connection import open_source
from sentinel_etl.warehouse.engine import open_warehouse
from sentinel_etl.warehouse.query import run_statement
from sentinel_etl.window import Window

__all__ = ["CHECKOUT", "LAST_NIGHT", "Stand", "nights_until", "open_stand", "parse_arguments", "start_run", "url_of"]

CHECKOUT = Path(__file__).resolve().parents[1]
LAST_NIGHT = date(2026, 11, 21)


def parse_arguments(
    doc: str | None, arguments: list[str] | None, runs: int, **options: tuple[int, str]
) -> argparse.Namespace:
    """Read a benchmark's arguments: --runs, --state, and its own whole numbers as (default, help)."""
    parser = argparse.ArgumentParser(description=(doc or "").splitlines()[0])
    parser.add_argument("--runs", type=int, default=runs, help="measured runs, of which the median counts")
    parser.add_argument("--state", type=Path, default=CHECKOUT / ".sentinel" / "bench", help="the stack's folder")
    for name, (default, meaning) in options.items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=int, default=default, help=meaning)
    return parser.parse_args(arguments)


def nights_until(last: date, nights: int) -> Window:
    """Make the window of so many nights, of which ``last`` is the last."""
    return Window(Window.night(last - timedelta(days=nights - 1)).start, Window.night(last).end)


def url_of(engine: Engine) -> str:
    return engine.url.render_as_string(hide_password=False)


@dataclass(frozen=True)
class Stand:
    """A running stack, and what benchmarks need of it."""

    stack: LocalStack

    @contextmanager
    def city(self, nights: int, events: int) -> Iterator[Engine]:
        """Lend the sample city with so many nights, the last of which is `LAST_NIGHT`, of so many events each.

        Made where it is not there yet. An interruption leaves a database that the next call drops.
        """
        name, part = f"city_{nights}x{events}", f"city_{nights}x{events}_part"
        maintenance = create_engine(self.stack.source_url, isolation_level="AUTOCOMMIT")
        with maintenance.connect() as connection:
            there = connection.scalar(text("SELECT count(*) FROM pg_database WHERE datname = :name"), {"name": name})
            if not there:
                print(f"making a city of {nights} x {events:,} events, once", file=sys.stderr, flush=True)
                connection.execute(text(f"DROP DATABASE IF EXISTS {part}"))
                connection.execute(text(f"CREATE DATABASE {part}"))
                engine = self.open_city(part)
                create_source_tables(engine)
                load_city(engine, City())
                load_nights(engine, City(), LAST_NIGHT, nights, events)
                with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as session:
                    session.execute(text("VACUUM ANALYZE"))
                engine.dispose()
                connection.execute(text(f"ALTER DATABASE {part} RENAME TO {name}"))
        maintenance.dispose()
        engine = self.open_city(name)
        try:
            yield engine
        finally:
            engine.dispose()

    def open_city(self, name: str) -> Engine:
        return open_source(make_url(self.stack.source_url).set(database=name).render_as_string(hide_password=False))

    @contextmanager
    def warehouse(self) -> Iterator[Engine]:
        """Lend an empty warehouse database, dropped afterwards."""
        name = f"bench_{uuid4().hex[:12]}"
        with self.kept_warehouse(name) as engine:
            try:
                yield engine
            finally:
                run_statement(engine, f"DROP DATABASE {name} SYNC")

    @contextmanager
    def kept_warehouse(self, name: str) -> Iterator[Engine]:
        """Lend a warehouse database that stays for the next time; made where it is not there."""
        maintenance = open_warehouse(self.stack.warehouse_url)
        run_statement(maintenance, f"CREATE DATABASE IF NOT EXISTS {name} ENGINE = Atomic")
        url = make_url(self.stack.warehouse_url).set(database=name)
        engine = open_warehouse(url.render_as_string(hide_password=False))
        try:
            yield engine
        finally:
            engine.dispose()
            maintenance.dispose()


def environment(source: Engine, warehouse: Engine, **settings: object) -> dict[str, str]:
    """Make the environment of a child process that runs between these databases."""
    mine = {name: value for name, value in os.environ.items() if not name.startswith("SENTINEL_")}
    given = {"source_url": url_of(source), "warehouse_url": url_of(warehouse), **settings}
    return {**mine, **{f"SENTINEL_{name.upper()}": str(value) for name, value in given.items()}}


def start_run(source: Engine, warehouse: Engine, window: Window, **settings: object) -> subprocess.Popen[str]:
    """Start `one_run`, which waits for the end of its standard input."""
    hours = (window.end - window.start) / timedelta(hours=1)
    return subprocess.Popen(  # noqa: S603
        [sys.executable, "-m", "benchmarks.one_run", window.end.isoformat(), str(hours)],
        env=environment(source, warehouse, **settings),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def plain_settings(**given: object) -> Settings:
    """Make settings of the defaults alone, whatever the developer's environment says."""
    for name in [name for name in os.environ if name.startswith("SENTINEL_")]:
        del os.environ[name]
    return Settings(**given)  # type: ignore[arg-type]


@contextmanager
def open_stand(state: Path) -> Iterator[Stand]:
    """Start the stack of a state folder and stop it at the end; a run's process has the command's allocator."""
    choose_allocator(for_children=True)
    try:
        yield Stand(start_stack(state))
    finally:
        stop_stack(state)
