"""A warehouse on an IPv6 address, and behind TLS with an authority of its own: every driver finds it, and checks it."""

from __future__ import annotations

import ssl
import time
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
from clickhouse_sqlalchemy import Table, engines, types
from forwarders import forwarded, make_authority
from sqlalchemy import URL, Column, Engine, MetaData

from sentinel_etl.errors import ConfigurationError, WarehouseUnreachable
from sentinel_etl.load.load import load_data
from sentinel_etl.warehouse.engine import open_warehouse
from sentinel_etl.warehouse.query import query_df, run_statement
from sentinel_etl.warehouse.tables import create_table

NUMBERS = Table("numbers", MetaData(), Column("n", types.Int64), engines.MergeTree(order_by=("n",)))


def use_both_drivers(engine: Engine) -> list[int]:
    create_table(engine, NUMBERS)
    load_data(pd.DataFrame({"n": [1]}), NUMBERS, engine, loader="to_sql")
    load_data(pd.DataFrame({"n": [2]}), NUMBERS, engine, loader="arrow")
    assert [n for (n,) in run_statement(engine, "SELECT n FROM numbers ORDER BY n")] == [1, 2]
    found = [int(n) for n in query_df(engine, "SELECT n FROM numbers ORDER BY n")["n"]]
    engine.dispose()
    return found


def spelt(url: URL, **changed: object) -> str:
    return url.set(**changed).render_as_string(hide_password=False)


def test_a_warehouse_on_an_ipv6_address_is_loaded_and_read(warehouse: Engine) -> None:
    with forwarded((str(warehouse.url.host), int(warehouse.url.port or 0)), "::1") as port:
        engine = open_warehouse(spelt(warehouse.url, host="::1", port=port))
        assert use_both_drivers(engine) == [1, 2]


@pytest.mark.parametrize("protocol", ["http", "native"])
def test_nobody_at_an_ipv6_address_is_told_with_brackets(protocol: str) -> None:
    with pytest.raises(WarehouseUnreachable, match=r"expected ClickHouse at \[::1\]:1, database x; found: Connection"):
        open_warehouse(f"clickhouse+{protocol}://officer:secret@[::1]:1/x")


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ssl.SSLContext]:
    return make_authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def secure_port(warehouse: Engine, authority: tuple[Path, ssl.SSLContext]) -> Iterator[int]:
    with forwarded((str(warehouse.url.host), int(warehouse.url.port or 0)), context=authority[1]) as port:
        yield port


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_both_drivers_check_the_certificate_against_the_url_s_authority(
    warehouse: Engine, authority: tuple[Path, ssl.SSLContext], secure_port: int, host: str
) -> None:
    query = {"protocol": "https", "verify": str(authority[0])}
    assert use_both_drivers(open_warehouse(spelt(warehouse.url, host=host, port=secure_port, query=query))) == [1, 2]


@pytest.mark.filterwarnings("ignore::urllib3.exceptions.InsecureRequestWarning")
def test_both_drivers_check_nothing_where_the_url_says_so(warehouse: Engine, secure_port: int) -> None:
    query = {"protocol": "https", "verify": "no"}
    assert use_both_drivers(open_warehouse(spelt(warehouse.url, port=secure_port, query=query))) == [1, 2]


@pytest.mark.parametrize("query", [{"protocol": "https"}, {"protocol": "https", "verify": "True"}])
def test_a_certificate_of_an_unknown_authority_is_one_sentence_and_is_not_tried_again(
    warehouse: Engine, secure_port: int, query: dict[str, str]
) -> None:
    started = time.monotonic()
    with pytest.raises(WarehouseUnreachable, match="to show a certificate that is trusted here; found: unable to get"):
        open_warehouse(spelt(warehouse.url, port=secure_port, query=query), retry_seconds=60)
    assert time.monotonic() - started < 30


def test_a_certificate_of_an_unknown_authority_is_one_sentence_over_native(
    authority: tuple[Path, ssl.SSLContext], warehouse: Engine, secure_port: int
) -> None:
    url = f"clickhouse+native://officer:secret@127.0.0.1:{secure_port}/x?secure=True"
    with pytest.raises(WarehouseUnreachable, match="to show a certificate that is trusted here; found: unable to get"):
        open_warehouse(url)


@pytest.mark.parametrize(
    "url",
    [
        "clickhouse+http://officer:secret@127.0.0.1:1/x?protocol=https&verify={file}",
        "clickhouse+native://officer:secret@127.0.0.1:1/x?secure=True&verify=True&ca_certs={file}",
    ],
)
def test_a_file_of_certificates_that_is_not_there_or_is_none_is_one_sentence(tmp_path: Path, url: str) -> None:
    with pytest.raises(ConfigurationError, match=r"expected a file of certificates in PEM at .*, found none"):
        open_warehouse(url.format(file=tmp_path / "none.pem"))
    (tmp_path / "words.pem").write_text("words")
    with pytest.raises(ConfigurationError, match=r"words\.pem, found one that cannot be used"):
        open_warehouse(url.format(file=tmp_path / "words.pem"))


@pytest.mark.parametrize(
    ("url", "port"),
    [
        ("clickhouse+http://officer:secret@127.0.0.1/x", 8123),
        ("clickhouse+http://officer:secret@127.0.0.1/x?protocol=https", 8443),
        ("clickhouse+native://officer:secret@127.0.0.1/x", 9000),
        ("clickhouse+native://officer:secret@127.0.0.1/x?secure=True", 9440),
    ],
)
def test_a_url_without_a_port_means_the_protocol_s_own(url: str, port: int) -> None:
    with pytest.raises(WarehouseUnreachable, match=f"expected ClickHouse at 127.0.0.1:{port}, "):
        open_warehouse(url)
