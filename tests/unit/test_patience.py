"""What is tried again and for how long, and how long an answer is waited for."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import adbc_driver_manager as adbc
import psycopg
import pytest
from sqlalchemy import Engine, create_engine
from sqlalchemy.exc import DBAPIError

from sentinel_etl.retry import LIMITS_OPTION, TimeLimits, try_again
from sentinel_etl.source.connection import source_may_recover
from sentinel_etl.threads import Waiter


def patient(seconds: float) -> Engine:
    return create_engine("sqlite://", execution_options={LIMITS_OPTION: TimeLimits(retry_seconds=seconds)})


def failing(times: int, error: Exception) -> Callable[[], int]:
    """Make a function that fails so many times, then tells how often it was called."""
    calls = 0

    def call() -> int:
        nonlocal calls
        calls += 1
        if calls <= times:
            raise error
        return calls

    return call


def is_passing(error: BaseException) -> bool:
    return isinstance(error, ConnectionError)


def test_a_passing_error_is_tried_again_until_it_has_passed() -> None:
    assert try_again(patient(20), is_passing)(failing(3, ConnectionResetError())) == 4


def test_another_error_is_raised_at_once() -> None:
    call = failing(1, KeyError("a"))
    with pytest.raises(KeyError):
        try_again(patient(20), is_passing)(call)
    assert call() == 2


def test_after_the_seconds_that_are_set_the_last_error_is_raised() -> None:
    started = time.monotonic()
    with pytest.raises(ConnectionRefusedError):
        try_again(patient(0.5), is_passing)(failing(10**6, ConnectionRefusedError()))
    assert 0.1 < time.monotonic() - started < 10


def test_an_engine_without_seconds_is_asked_once() -> None:
    call = failing(1, ConnectionResetError())
    with pytest.raises(ConnectionResetError):
        try_again(create_engine("sqlite://"), is_passing)(call)
    assert call() == 2


@pytest.fixture
def waiter() -> Iterator[Waiter]:
    waiter = Waiter()
    yield waiter
    waiter.close()


def test_an_answer_in_time_is_given_and_an_error_raised(waiter: Waiter) -> None:
    assert waiter.call(5, lambda a, b: a + b, 1, 2) == 3
    with pytest.raises(KeyError):
        waiter.call(5, {}.__getitem__, "a")
    assert waiter.call(5, int, "4") == 4


def test_an_answer_that_is_late_is_given_up(waiter: Waiter) -> None:
    started = time.monotonic()
    with pytest.raises(TimeoutError, match=r"no answer within 0\.1 s"):
        waiter.call(0.1, time.sleep, 10)
    assert time.monotonic() - started < 9


def test_calls_share_a_thread_that_ends_with_the_waiter(waiter: Waiter) -> None:
    threads = {waiter.call(5, threading.current_thread) for _ in range(3)}
    waiter.close()
    [thread] = threads
    thread.join(5)
    assert not thread.is_alive()


def adbc_error(sqlstate: str | None, message: str = "IO: [libpq] Failed to connect") -> adbc.Error:
    return adbc.OperationalError(message, status_code=adbc.AdbcStatusCode.IO, sqlstate=sqlstate)


@pytest.mark.parametrize(
    ("error", "recovers"),
    [
        pytest.param(psycopg.errors.ConnectionTimeout("connection timeout expired"), True, id="no answer in time"),
        pytest.param(psycopg.errors.ConnectionFailure("gone"), True, id="class 08"),
        pytest.param(psycopg.errors.AdminShutdown("stopped"), True, id="57P01"),
        pytest.param(psycopg.errors.CrashShutdown("crashed"), True, id="57P02"),
        pytest.param(psycopg.errors.CannotConnectNow("starting"), True, id="57P03"),
        pytest.param(psycopg.errors.TooManyConnections("full"), True, id="53300"),
        pytest.param(psycopg.errors.InvalidPassword("who?"), False, id="28P01"),
        pytest.param(psycopg.errors.InvalidCatalogName("where?"), False, id="3D000"),
        pytest.param(psycopg.errors.InsufficientPrivilege("no"), False, id="42501"),
        pytest.param(adbc_error("57P01"), True, id="57P01 of ADBC"),
        pytest.param(adbc_error("42501"), False, id="42501 of ADBC"),
        pytest.param(adbc_error(None), True, id="ADBC without a state"),
        pytest.param(TimeoutError("no answer within 1 s"), True, id="ADBC without an answer"),
        pytest.param(KeyError("a"), False, id="no failure to connect"),
    ],
)
def test_a_source_may_recover_from_what_the_sqlstate_says_will_pass(error: Exception, recovers: bool) -> None:
    assert source_may_recover(error) is recovers
    assert source_may_recover(DBAPIError("SELECT 1", {}, error)) is recovers


@pytest.mark.parametrize(
    ("message", "recovers"),
    [
        ("connection refused", True),
        ("FATAL: the database system is in recovery mode", True),
        ("FATAL: sorry, too many clients already", True),
        ('FATAL: password authentication failed for user "a"', False),
        ('FATAL: database "a" does not exist', False),
        ("FATAL: no pg_hba.conf entry for host", False),
    ],
)
def test_a_source_that_refuses_who_asks_is_not_asked_again(message: str, recovers: bool) -> None:
    assert source_may_recover(psycopg.OperationalError(message)) is recovers
    assert source_may_recover(adbc_error(None, message)) is recovers
