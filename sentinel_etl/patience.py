"""How long a database is waited for, and what is tried again: nothing waits for ever.

Three limits, all settings: seconds for a connection to be made, seconds for an answer, and seconds
over which what failed for a passing reason is tried again.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from queue import SimpleQueue
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
    "Waiter",
    "settle",
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


class Waiter:
    """Calls functions that wait for a peer in C code, and waits for each no longer than it is told to.

    They run in one thread, of its own: an allocator keeps what it has for a thread, and lets a thread that ends
    take some of that along. After a call that took too long the thread is left behind, and neither the
    waiter nor what the function used may be touched again.
    """

    def __init__(self) -> None:
        self.calls: SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None] = SimpleQueue()
        threading.Thread(target=self.work, name="waiting for an answer", daemon=True).start()

    def work(self) -> None:
        while (call := self.calls.get()) is not None:
            settle(*call)
            del call  # or its answer, which may be a large batch, would live until the next

    def call(self, seconds: float, function: Callable[..., Answer], *arguments: Any) -> Answer:
        """Call the function and give its answer, or raise what it raised.

        Raises:
            TimeoutError: no answer in time.
        """
        answer: Future[Answer] = Future()
        self.calls.put((answer, partial(function, *arguments)))
        try:
            return answer.result(seconds)
        except TimeoutError:
            if answer.done():
                raise  # the function's own
            raise TimeoutError(f"no answer within {seconds:g} s") from None

    def close(self) -> None:
        """End the thread once it has nothing to do."""
        self.calls.put(None)


def settle(future: Future[Answer], work: Callable[[], Answer]) -> None:
    """Do the work, and give the future what it returns or raises."""
    try:
        future.set_result(work())
    except BaseException as error:  # noqa: BLE001 - whatever it is, who waits is to raise it
        future.set_exception(error)


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
