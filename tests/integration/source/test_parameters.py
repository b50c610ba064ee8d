"""What a URL asks for after its ``?``: each driver gets what is its own, and nobody's is refused."""

from __future__ import annotations

import time
from typing import Any

import pytest
from sqlalchemy import Engine, func, select

from sentinel_etl.errors import ConfigurationError
from sentinel_etl.source.connection import connect_source, open_source
from sentinel_etl.source.snapshot import open_snapshot

NOWHERE = "postgresql+psycopg://etl:secret@127.0.0.1:1/city"


def with_query(engine: Engine, query: dict[str, Any]) -> str:
    return engine.url.update_query_dict(query).render_as_string(hide_password=False)


@pytest.mark.parametrize(
    ("query", "attribute", "value"),
    [
        pytest.param({"prepare_threshold": "0"}, "prepare_threshold", 0, id="prepare at once"),
        pytest.param({"prepare_threshold": "None"}, "prepare_threshold", None, id="prepare never"),
        pytest.param({}, "prepare_threshold", 5, id="psycopg's own threshold"),
        pytest.param({"autocommit": "true"}, "autocommit", True, id="each statement by itself"),
        pytest.param({"autocommit": "false"}, "autocommit", False, id="statements in a transaction"),
    ],
)
def test_what_is_psycopg_s_has_its_meaning_there_and_does_not_reach_adbc(
    source_engine: Engine, query: dict[str, Any], attribute: str, value: Any
) -> None:
    engine = open_source(with_query(source_engine, query))
    with engine.connect() as connection:
        assert getattr(connection.connection.driver_connection, attribute) == value
    with open_snapshot(engine) as snapshot:
        assert snapshot.read_whole(select(func.count().label("n")))["n"].to_pylist() == [1]
    engine.dispose()


@pytest.mark.parametrize(
    "query",
    [
        pytest.param({"sslmode": "allow", "target_session_attrs": "read-write"}, id="libpq's"),
        pytest.param(
            {"connect_timeout": "7", "keepalives_idle": "11", "tcp_user_timeout": "9000"}, id="libpq's limits"
        ),
        pytest.param({"options": ("-c geqo=off", "-c jit=off")}, id="options in two parts"),
    ],
)
def test_what_is_libpq_s_reaches_both_drivers(source_engine: Engine, query: dict[str, Any]) -> None:
    engine = open_source(with_query(source_engine, query))
    with connect_source(engine) as connection, open_snapshot(engine) as snapshot:
        given = connection.connection.driver_connection.info.get_parameters()  # type: ignore[union-attr]
        assert {name: given[name] for name in query if name != "options"} == {
            name: value for name, value in query.items() if name != "options"
        }
        assert snapshot.read_whole(select(func.count().label("n")))["n"].to_pylist() == [1]
    engine.dispose()


REFUSED = {
    "one that nobody knows": ("bogus=1", r"reads from a URL, found bogus. Take it out of the URL"),
    "a misspelt one": ("sslmod=require", r"found sslmod; did you mean sslmode\?"),
    "psycopg's object": ("row_factory=dict_row", r"reads from a URL, found row_factory"),
    "psycopg's other object": ("cursor_factory=x", r"reads from a URL, found cursor_factory"),
    "psycopg's context": ("context=x", r"reads from a URL, found context"),
    "an engine's option": ("isolation_level=SERIALIZABLE", r"reads from a URL, found isolation_level"),
    "a pool's option": ("pool_size=3", r"reads from a URL, found pool_size"),
    "no number": ("prepare_threshold=often", r"prepare_threshold to be a whole number or none, found 'often'"),
    "a negative number": ("prepare_threshold=-1", r"prepare_threshold to be a whole number or none, found '-1'"),
    "no truth value": ("autocommit=perhaps", r"autocommit to be true or false, found 'perhaps'"),
    "one twice": ("sslmode=prefer&sslmode=require", r"the parameter sslmode once, found it 2 times"),
    "a value that libpq refuses": ("sslmode=bogus", r'libpq can use, found: invalid sslmode value: "bogus"'),
    "a time that libpq refuses": ("keepalives_idle=x", r'libpq can use, found: invalid integer value "x"'),
    "no time to connect in": ("connect_timeout=soon", r"libpq can use, found: bad value for connect_timeout: 'soon'"),
    "a service that is none": ("service=nowhere", r'libpq can use, found: definition of service "nowhere"'),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_parameter_that_cannot_be_used_is_one_sentence_at_once(case: str) -> None:
    query, message = REFUSED[case]
    started = time.monotonic()
    with pytest.raises(ConfigurationError, match=rf"^SENTINEL_SOURCE_URL: expected .*{message}") as caught:
        open_source(f"{NOWHERE}?{query}", retry_seconds=60)
    assert caught.value.exit_code == 2
    assert "secret" not in str(caught.value)
    assert "\n" not in str(caught.value)
    assert time.monotonic() - started < 30


@pytest.mark.parametrize(
    ("options", "message"),
    [
        pytest.param("-c bogus=1", 'unrecognized configuration parameter "bogus"', id="a setting that is none"),
        pytest.param("-c jit=perhaps", 'parameter "jit" requires a Boolean value', id="a value that is none"),
        pytest.param(
            "-c geqo_threshold=0", 'outside the valid range for parameter "geqo_threshold"', id="out of range"
        ),
        pytest.param("-c fsync=off", 'parameter "fsync" cannot be changed now', id="a setting of the server"),
        pytest.param("bogus", "invalid command-line argument", id="no option"),
    ],
)
def test_options_that_the_server_refuses_are_one_sentence_at_once(
    source_engine: Engine, options: str, message: str
) -> None:
    started = time.monotonic()
    with pytest.raises(ConfigurationError, match=message) as caught:
        open_source(with_query(source_engine, {"options": options}), retry_seconds=60)
    assert caught.value.exit_code == 2
    assert time.monotonic() - started < 30
