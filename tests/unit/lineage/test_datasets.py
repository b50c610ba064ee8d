"""How a run's tables are named for a collector of lineage."""

from __future__ import annotations

import pytest
from sqlalchemy import create_engine, make_url

from sentinel_etl.lineage.datasets import Site, source_authority
from sentinel_etl.lineage.lineage import SourceTable

SITE = Site("postgres://db:5432", "city", "public", "clickhouse://ch:8123", "sentinel")


@pytest.mark.parametrize(
    ("url", "authority"),
    [
        ("postgresql+psycopg://etl:hunter2@db.example.org:6432/city", "db.example.org:6432"),
        ("postgresql+psycopg://etl:hunter2@db.example.org/city?sslmode=require", "db.example.org:5432"),
        ("postgresql+psycopg://etl@[::1]:5433/city", "[::1]:5433"),
        ("postgresql+psycopg:///city", "localhost:5432"),
        ("postgresql+psycopg:///city?host=/var/run/postgresql&port=5433", "localhost:5433"),
        ("postgresql+psycopg:///city?host=a:6001&host=b:6002", "a:6001"),
        ("postgresql+psycopg:///city?host=a,b&port=6001,6002", "a:6001"),
    ],
)
def test_a_source_is_named_by_its_host_and_port_alone(url: str, authority: str) -> None:
    assert source_authority(make_url(url)) == authority


def test_a_table_is_named_with_its_database_and_schema() -> None:
    assert SITE.source_table(SourceTable("patrols")) == "city.public.patrols"
    assert SITE.source_table(SourceTable("Order", "Opera House")) == "city.Opera House.Order"
    assert SITE.fact_table("patrol_events") == "sentinel.patrol_events"


def test_a_site_is_read_off_the_engines_without_what_they_log_in_with() -> None:
    source = create_engine("postgresql+psycopg://etl:hunter2@db/city")
    warehouse = create_engine("clickhouse+http://etl:hunter2@ch/sentinel")
    assert Site.of(source, warehouse) == SITE
