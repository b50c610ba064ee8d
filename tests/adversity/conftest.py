"""A local stack of these tests' own, because they kill its processes."""

from __future__ import annotations

import json
import socket
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import create_engine, make_url, text

from adversity.bench import LAST, NIGHTS, Bench
from sentinel_etl.city import City, create_source_tables, load_city, load_nights
from sentinel_etl.local.stack import LocalStack, start_stack, stop_stack
from sentinel_etl.source.connection import open_source
from sentinel_etl.warehouse.engine import open_warehouse
from sentinel_etl.warehouse.query import run_statement


@pytest.fixture(scope="session")
def mortal_dir() -> Iterator[Path]:
    """The folder of a stack whose processes may be killed."""
    with tempfile.TemporaryDirectory(prefix="sentinel-") as folder:
        state_dir = Path(folder) / "state"
        write_logins(state_dir)
        try:
            yield state_dir
        finally:
            stop_stack(state_dir)


# Everything that a URL, a shell, an SQL literal, a header or a JSON file could stumble over.
PASSWORD = "p@ss:/?#%[] \"'&+=\\\\$ü{n}"


def write_logins(state_dir: Path) -> None:
    """Choose the passwords of a stack that is not there yet, where it keeps them."""
    state_dir.mkdir(mode=0o700)
    ports = free_ports(2)
    logins = {
        name: {"port": port, "password": PASSWORD.format(n=number)}
        for number, (name, port) in enumerate(zip(("postgresql", "clickhouse"), ports, strict=True))
    }
    (state_dir / "credentials.json").write_text(json.dumps(logins))


def free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


@pytest.fixture(scope="session")
def mortal_city(mortal_dir: Path) -> str:
    """Name a database of that stack with the sample city's three nights; copy it, do not change it."""
    stack = start_stack(mortal_dir)
    name = "mortal_city"
    create_database(stack, name, "template0")
    engine = open_source(source_url(stack, name))
    create_source_tables(engine)
    load_city(engine, City())
    load_nights(engine, City(), LAST, len(NIGHTS), 300)
    engine.dispose()
    return name


def create_database(stack: LocalStack, name: str, template: str) -> None:
    maintenance = create_engine(stack.source_url, isolation_level="AUTOCOMMIT")
    with maintenance.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name} TEMPLATE {template}"))
    maintenance.dispose()


def source_url(stack: LocalStack, name: str) -> str:
    return make_url(stack.source_url).set(database=name).render_as_string(hide_password=False)


@pytest.fixture(scope="session")
def make_bench(mortal_dir: Path, mortal_city: str) -> Iterator[Callable[..., Bench]]:
    """Make a bench: a copy of the city, and an empty warehouse."""
    benches: list[Bench] = []

    def make(partition_by: str = "month") -> Bench:
        stack = start_stack(mortal_dir)
        name = f"test_{uuid4().hex[:12]}"
        create_database(stack, name, mortal_city)
        maintenance = open_warehouse(stack.warehouse_url)
        run_statement(maintenance, f"CREATE DATABASE {name} ENGINE = Atomic")
        maintenance.dispose()
        warehouse = make_url(stack.warehouse_url).set(database=name).render_as_string(hide_password=False)
        bench = Bench(
            mortal_dir,
            open_source(source_url(stack, name), retry_seconds=120),  # a killed PostgreSQL recovers for as long
            open_warehouse(warehouse, retry_seconds=120),
            partition_by,
        )
        benches.append(bench)
        return bench

    yield make
    for bench in benches:
        bench.source.dispose()
        bench.warehouse.dispose()
