"""How long a database is waited for, and what is tried again: nothing waits for ever.

Three limits, all settings: seconds for a connection to be made, seconds for an answer, and seconds
over which what failed for a passing reason is tried again.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from queue import Empty, Queue
from typing import Any, TypeVar

import psycopg
import requests
from sqlalchemy import Engine
from tenacity import Retrying, retry_if_exception, stop_after_delay, wait_random_exponential

__all__ = [
    "KEEPALIVE",
    "RETRY_OPTION",
    "SERVER_KEEPALIVE",
    "PatientConnection",
    "PatientSession",
    "call_within",
    "try_again",
]

Answer = TypeVar("Answer")

# libpq's: a peer whose machine or network is gone is given up within a minute, also by a session
# that only holds a lock. https://www.postgresql.org/docs/current/libpq-connect.html
KEEPALIVE = {
    "keepalives_idle": 20,  # seconds
    "keepalives_interval": 10,  # seconds
    "keepalives_count": 3,
    "tcp_user_timeout": 50_000,  # milliseconds
}

# The server's, as options of a session: it frees the locks of a client whose machine is gone as soon.
SERVER_KEEPALIVE = (
    "-c tcp_keepalives_idle=20 -c tcp_keepalives_interval=10 -c tcp_keepalives_count=3 -c tcp_user_timeout=50s"
)

# An engine's execution option: seconds over which its connections and read-only statements are tried again.
RETRY_OPTION = "sentinel_retry_seconds"

FIRST_PAUSE_SECONDS = 0.3
LONGEST_PAUSE_SECONDS = 5


def try_again(engine: Engine, passing: Callable[[BaseException], bool]) -> Retrying:
    """Make the retrying of what is safe to do twice: connecting, reading, idempotent statements.

    Errors that are ``passing`` are tried again after pauses that grow, within the engine's own
    seconds; the last one is raised as it came.
    """
    return Retrying(
        retry=retry_if_exception(passing),
        stop=stop_after_delay(float(engine.get_execution_options().get(RETRY_OPTION, 0))),
        wait=wait_random_exponential(FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS),
        reraise=True,
    )


def call_within(seconds: float, function: Callable[..., Answer], *arguments: Any) -> Answer:
    """Call a function that waits for a peer in C code, and wait for it no longer than so many seconds.

    After that its thread is left behind, and whatever the function uses must never be touched again.

    Raises:
        TimeoutError: no answer in time.
    """
    answer: Queue[tuple[Any, BaseException | None]] = Queue(1)

    def call() -> None:
        try:
            answer.put((function(*arguments), None))
        except BaseException as error:  # noqa: BLE001 - whatever it is, the caller is to raise it
            answer.put((None, error))

    threading.Thread(target=call, name="waiting for an answer", daemon=True).start()
    try:
        value, error = answer.get(timeout=seconds)
    except Empty:
        raise TimeoutError(f"no answer within {seconds:g} s") from None
    if error is not None:
        raise error
    result: Answer = value
    return result


class PatientConnection(psycopg.Connection[Any]):
    """A psycopg connection whose statements are waited for so many seconds, and that is then shut."""

    answer_seconds: float | None = None

    def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
        limit = timeout if timeout is not None else self.answer_seconds
        started = time.monotonic()
        try:
            return super().wait(gen, interval, limit)
        except psycopg.OperationalError:
            if timeout is not None or limit is None or time.monotonic() - started < limit:
                raise
            self.shut()
            raise psycopg.OperationalError(f"no answer within {limit:g} s") from None

    def shut(self) -> None:
        """Shut the socket, so that nothing on this connection waits again."""
        with suppress(OSError), socket.socket(fileno=socket.dup(self.pgconn.socket)) as peer:
            peer.shutdown(socket.SHUT_RDWR)


class PatientSession(requests.Session):  # type: ignore[misc]
    """An HTTP session that knows how long to wait for a connection and for each piece of an answer.

    Name and password are sent in UTF-8.
    """

    def __init__(self, connect_seconds: float, answer_seconds: float) -> None:
        super().__init__()
        self.patience = (connect_seconds, answer_seconds)

    def request(self, *arguments: Any, **named: Any) -> requests.Response:
        if isinstance(auth := named.get("auth"), tuple):
            # As clickhouse-connect does; requests by itself would write Latin-1.
            named["auth"] = tuple(str(part).encode() for part in auth)
        own = named.get("timeout")  # where the URL names one, it is the answer's
        patience = self.patience if own is None else (self.patience[0], own)
        return super().request(*arguments, **{**named, "timeout": patience})
