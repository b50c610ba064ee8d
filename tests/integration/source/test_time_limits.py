"""What the server, the database or the role may end of a run, and how that is told: by the setting's own name."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import date
from threading import Thread
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import Engine, func, select, text

from sentinel_etl.errors import SourceUnreachable
from sentinel_etl.extract.read import extract_batches
from sentinel_etl.pipeline import SENTINEL
from sentinel_etl.run.run_window import run_window
from sentinel_etl.settings import Settings
from sentinel_etl.source.connection import connect_source, open_source
from sentinel_etl.source.locks import hold_locks
from sentinel_etl.source.snapshot import open_snapshot
from sentinel_etl.window import Window

NIGHT = Window.night(date(2026, 11, 21))
ONE: Any = select(func.count().label("n"))


def set_on_database(source: Engine, setting: str, value: str) -> None:
    with connect_source(source) as connection:
        connection.exec_driver_sql(f"ALTER DATABASE {source.url.database} SET {setting} = '{value}'")


def with_options(source: Engine, options: str) -> str:
    return source.url.update_query_dict({"options": options}).render_as_string(hide_password=False)


def test_a_session_that_holds_locks_outlives_the_server_s_limit_for_idle_ones(source_engine: Engine) -> None:
    set_on_database(source_engine, "idle_session_timeout", "300ms")
    with hold_locks(source_engine, ["a"], "a test", 0) as locks:
        time.sleep(0.8)
        locks.check()


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("idle_session_timeout", "1s"),
        ("idle_in_transaction_session_timeout", "100ms"),
        ("lock_timeout", "1s"),
        ("statement_timeout", "3s"),
        ("default_transaction_read_only", "on"),
        ("default_transaction_isolation", "serializable"),
        ("default_transaction_deferrable", "on"),
        ("tcp_user_timeout", "1s"),
    ],
)
def test_a_run_does_not_depend_on_what_the_database_has_set(
    city: Engine, warehouse: Engine, setting: str, value: str
) -> None:
    set_on_database(city, setting, value)
    assert run_window(NIGHT, source=city, warehouse=warehouse, settings=Settings()).verdict == "PUBLISHED"


def test_statements_wait_for_no_serializable_transaction_of_others(source_engine: Engine) -> None:
    for setting, value in (("isolation", "serializable"), ("deferrable", "on"), ("read_only", "on")):
        set_on_database(source_engine, f"default_transaction_{setting}", value)
    with connect_source(source_engine) as connection:
        assert connection.exec_driver_sql("SHOW transaction_isolation").scalar() == "read committed"


def test_a_transaction_that_the_server_ends_is_told_by_its_setting(city: Engine, warehouse: Engine) -> None:
    with connect_source(city) as connection:
        if int(connection.exec_driver_sql("SHOW server_version_num").scalar_one()) < 170_000:
            pytest.skip("PostgreSQL has transaction_timeout since 17")
    set_on_database(city, "transaction_timeout", "200ms")
    settings = Settings(source_max_rows_per_second=200)
    sentence = (
        r"broke off while rows were read; found that its transaction_timeout ended .*ALTER ROLE … SET transaction_t"
    )
    with pytest.raises(SourceUnreachable, match=sentence) as caught:
        run_window(NIGHT, source=city, warehouse=warehouse, settings=settings)
    assert "another run" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_transaction_that_idles_too_long_is_told_by_the_setting_that_limits_it(source_engine: Engine) -> None:
    sentence = "idle_in_transaction_session_timeout .* Raise SENTINEL_STATEMENT_TIMEOUT_SECONDS"
    with open_snapshot(source_engine, statement_timeout_seconds=1) as snapshot:
        time.sleep(1.5)
        with pytest.raises(SourceUnreachable, match=sentence):
            snapshot.read_whole(ONE)


@contextmanager
def pooler() -> Iterator[int]:
    """Answer every start of a session as pgbouncer does where it is given options; no pooler is at hand to run."""
    said = b"SFATAL\0C08P01\0Munsupported startup parameter: options\0\0"
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            with suppress(OSError):
                while True:
                    with server.accept()[0] as peer:
                        while peer.recv(1 << 16)[4:8] in (b"\x04\xd2\x16\x2f", b"\x04\xd2\x16\x30"):
                            peer.sendall(b"N")  # neither TLS nor GSSAPI
                        peer.sendall(b"E" + (len(said) + 4).to_bytes(4, "big") + said)

        thread = Thread(target=answer)
        thread.start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)
        thread.join()


def test_a_pooler_is_told_from_a_server_that_is_away() -> None:
    started = time.monotonic()
    sentence = r"expected PostgreSQL at .* itself; found a pooler .*unsupported startup parameter: options\)\. Name the"
    with pooler() as port, pytest.raises(SourceUnreachable, match=sentence):
        open_source(f"postgresql://etl@127.0.0.1:{port}/city", retry_seconds=60)
    assert time.monotonic() - started < 30


@contextmanager
def locked(source: Engine, table: str) -> Iterator[None]:
    with source.begin() as connection:
        connection.execute(text(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE"))
        yield


def test_a_table_that_is_locked_for_too_long_is_told_by_the_setting(city: Engine) -> None:
    impatient = open_source(with_options(city, "-c lock_timeout=100"))
    sentence = r"\[extract · REMARK\] .* its lock_timeout ended the wait for a table that somebody has locked"
    with (
        locked(city, "remarks"),
        open_snapshot(impatient) as snapshot,
        pytest.raises(SourceUnreachable, match=sentence),
    ):
        list(extract_batches(SENTINEL.event_types["REMARK"], NIGHT, snapshot))
    impatient.dispose()


def test_a_statement_timeout_of_the_url_is_told_by_its_name(source_engine: Engine) -> None:
    impatient = open_source(with_options(source_engine, "-c statement_timeout=100"))
    with (
        pytest.raises(SourceUnreachable, match="to answer; found that its statement_timeout ended"),
        connect_source(impatient) as connection,
    ):
        connection.exec_driver_sql("SELECT pg_sleep(5)")
    impatient.dispose()


END: dict[str, tuple[str, str]] = {
    "cancelled": ("pg_cancel_backend", r"somebody cancelled the statement \(pg_cancel_backend\)"),
    # While rows stream, libpq may see the end of the connection before the server's last words.
    "ended": ("pg_terminate_backend", r"ended the session \(pg_terminate_backend\)|server closed the connection"),
}


def end(source: Engine, function: str, pid: int) -> None:
    with source.connect() as connection:
        connection.execute(text(f"SELECT {function}(:pid)"), {"pid": pid})


@pytest.mark.parametrize("case", END)
def test_a_reading_that_somebody_ends_is_told_so_and_not_as_a_timeout(source_engine: Engine, case: str) -> None:
    function, words = END[case]
    numbers = select(func.generate_series(1, 3_000_000).label("n"))
    with open_snapshot(source_engine, batch_bytes=1 << 16) as snapshot:
        pid = snapshot.read_whole(select(func.pg_backend_pid().label("pid")))["pid"][0].as_py()
        batches = snapshot.read(numbers, "NUMBERS")
        next(batches)
        end(source_engine, function, pid)
        with pytest.raises(SourceUnreachable, match=words) as caught:
            list(batches)
    assert "SENTINEL_STATEMENT_TIMEOUT_SECONDS" not in str(caught.value)


def test_a_session_with_locks_that_an_administrator_ends_says_so(source_engine: Engine) -> None:
    holder = f"holder {uuid4().hex}"
    with hold_locks(source_engine, ["a"], holder, 0) as locks:
        with source_engine.connect() as connection:
            connection.execute(
                text("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE application_name = :name"),
                {"name": holder},
            )
        with pytest.raises(SourceUnreachable, match=r"another run may be at work.* \(pg_terminate_backend\)"):
            locks.check()


def test_a_session_that_an_administrator_ends_amid_a_check_says_so_in_one_line(source_engine: Engine) -> None:
    def ask_twice() -> None:
        with connect_source(source_engine) as connection:
            pid = connection.exec_driver_sql("SELECT pg_backend_pid()").scalar_one()
            end(source_engine, "pg_terminate_backend", int(pid))
            time.sleep(0.3)
            connection.exec_driver_sql("SELECT 1")

    with pytest.raises(SourceUnreachable, match="pg_terminate_backend") as caught:
        ask_twice()
    assert "\n" not in str(caught.value)
