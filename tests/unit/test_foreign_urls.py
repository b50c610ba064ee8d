"""URLs of databases or drivers that are not ours, whose driver may not be installed either."""

from __future__ import annotations

import pytest

from sentinel_etl.errors import ConfigurationError
from sentinel_etl.source.connection import open_source
from sentinel_etl.warehouse.engine import open_warehouse

OTHERS = ["mysql", "oracle", "sqlite", "mssql+pyodbc", "no+driver"]


@pytest.mark.parametrize("drivername", [*OTHERS, "postgresql+psycopg2", "postgresql+asyncpg", "clickhouse+http"])
def test_a_source_of_another_driver_is_told_in_a_sentence(drivername: str) -> None:
    url = f"{drivername}://etl:secret@127.0.0.1:1/city"
    with pytest.raises(ConfigurationError, match=r"SENTINEL_SOURCE_URL: expected postgresql.*found ") as caught:
        open_source(url)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("drivername", [*OTHERS, "postgresql", "clickhouse+asynch", "clickhousedb"])
def test_a_warehouse_of_another_driver_is_told_in_a_sentence(drivername: str) -> None:
    url = f"{drivername}://etl:secret@127.0.0.1:1/city"
    with pytest.raises(
        ConfigurationError, match=r"SENTINEL_WAREHOUSE_URL: expected clickhouse\+http.*found "
    ) as caught:
        open_warehouse(url)
    assert "secret" not in str(caught.value)
