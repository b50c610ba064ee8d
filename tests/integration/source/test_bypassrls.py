"""A role that bypasses row-level security, on a PostgreSQL of this test's own: who makes one must be a superuser."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from given_servers import NEEDS_LOCAL_SOURCE
from sqlalchemy import Engine

from sentinel_etl.city import City, create_source_tables, load_city, load_nights
from sentinel_etl.errors import SchemaMismatch
from sentinel_etl.local.ports import HOST, choose_free_port
from sentinel_etl.local.postgres import cluster
from sentinel_etl.local.postgres.server import start_server, stop_server
from sentinel_etl.run.run_window import run_window
from sentinel_etl.settings import Settings
from sentinel_etl.source.connection import connect_source, open_source
from sentinel_etl.window import Window

NIGHT = date(2026, 11, 21)
POLICY = (
    "ALTER TABLE feedback ENABLE ROW LEVEL SECURITY",
    "ALTER TABLE feedback FORCE ROW LEVEL SECURITY",
    "CREATE POLICY a_quarter ON feedback FOR SELECT USING (mod(feedback_id, 4) = 0)",
)
ROLES = {"bound": "NOBYPASSRLS", "unbound": "BYPASSRLS"}


@pytest.fixture
def port() -> Iterator[int]:
    """Start a PostgreSQL that has a role which bypasses policies, and one that does not."""
    with tempfile.TemporaryDirectory(prefix="sentinel-") as folder:
        Path(folder).chmod(0o755)  # where the tests are root's, the server is another user's
        data, port = Path(folder) / "data", choose_free_port()
        cluster.create_cluster(data, "word")
        roles = (f"CREATE ROLE {name} LOGIN {right} PASSWORD 'word'" for name, right in ROLES.items())
        cluster._run_single_user(data, *roles)
        start_server(data, port, Path(folder) / "log")
        yield port
        stop_server(data)


def open_as(role: str, port: int) -> Engine:
    return open_source(f"postgresql+psycopg://{role}:word@{HOST}:{port}/{cluster.DATABASE}")


@pytest.fixture
def owner(port: int) -> Iterator[Engine]:
    """Fill a small city whose feedback a policy hides for three quarters, from its owner, too."""
    engine = open_as(cluster.OWNER, port)
    city = City()
    create_source_tables(engine)
    load_city(engine, city)
    load_nights(engine, city, NIGHT, 1, 300, received_before=datetime(2026, 11, 22, 0, 30, tzinfo=UTC))
    with connect_source(engine) as connection:
        for statement in (*POLICY, f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {', '.join(ROLES)}"):
            connection.exec_driver_sql(statement)
    yield engine
    engine.dispose()


@NEEDS_LOCAL_SOURCE  # only a superuser may make a role that bypasses policies
def test_a_role_that_bypasses_policies_loads_every_row_and_one_that_does_not_is_refused(
    owner: Engine, port: int, warehouse: Engine
) -> None:
    unbound, bound = open_as("unbound", port), open_as("bound", port)
    try:
        with connect_source(unbound) as connection:
            rows = connection.exec_driver_sql("SELECT count(*) FROM feedback").scalar_one()
        assert rows > 0
        with pytest.raises(SchemaMismatch, match='policy for table "feedback"'):
            run_window(Window.night(NIGHT), source=bound, warehouse=warehouse, settings=Settings())
        result = run_window(Window.night(NIGHT), source=unbound, warehouse=warehouse, settings=Settings())
        published = result.counts.set_index("event_type")["published"]
        assert (result.published, published["FEEDBACK"]) == (True, rows)
    finally:
        unbound.dispose()
        bound.dispose()
