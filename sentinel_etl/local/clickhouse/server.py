"""The local warehouse: ClickHouse's HTTP interface in front of the embedded engine.

::

    SENTINEL_LOCAL_PASSWORD=… python -m sentinel_etl.local.clickhouse.server \\
        --data DIR --port PORT --user NAME --database NAME [--allow postgresql]

It listens on 127.0.0.1 only. ``/ping`` answers once the engine is open. SIGTERM lets running
requests finish for a few seconds, cancels the rest, and closes the engine.

Of what a server does it does not do: progress headers while a statement runs, ``compress=1`` and
``decompress=1``, roles, quotas, several users, several statements in one request.
A request's ``query_id`` stands in ``system.processes`` as ``log_comment``, and ``KILL QUERY WHERE
query_id = …`` is understood so.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Iterable
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from sentinel_etl.errors import ConfigurationError, SentinelError
from sentinel_etl.local.clickhouse.confinement import confine, limit_process, wipe_environment
from sentinel_etl.local.clickhouse.endpoint import Endpoint
from sentinel_etl.local.clickhouse.engine import Engine
from sentinel_etl.local.clickhouse.requests import RequestLimits
from sentinel_etl.local.clickhouse.rights import ALLOWABLE

__all__ = ["create_app", "serve"]


PASSWORD_VARIABLE = "SENTINEL_LOCAL_PASSWORD"  # noqa: S105

# Seconds that an idle connection stays open: longer than a notebook's pause between two cells.
KEEP_ALIVE_S = 60

# Seconds between two looks for sessions past their timeout.
SESSION_SWEEP_S = 5


async def _ok(request: Request) -> PlainTextResponse:
    return PlainTextResponse("Ok.\n")


def create_app(engine: Engine, user: str, password: str, limits: RequestLimits) -> Starlette:
    """Make the ASGI application for an engine that is open.

    Its lifespan ends by cancelling what still runs; closing the engine is the caller's.
    """
    endpoint = Endpoint(engine, user, password, limits)

    async def drop_sessions() -> None:
        while True:
            await asyncio.sleep(SESSION_SWEEP_S)
            await asyncio.to_thread(engine.drop_expired_sessions)

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        sweeper = asyncio.create_task(drop_sessions())
        try:
            yield
        finally:
            sweeper.cancel()
            await endpoint.close()

    routes = [
        Route("/", endpoint),
        Route("/ping", _ok),
        Route("/replicas_status", _ok),
    ]
    return Starlette(routes=routes, lifespan=lifespan)


class _ExpectedBreaks(logging.Filter):
    """Leaves out uvicorn's complaint about an answer that is broken off on purpose."""

    def filter(self, record: logging.LogRecord) -> bool:
        return "without completing response" not in record.getMessage()


def serve(
    data: Path,
    port: int,
    user: str,
    password: str,
    database: str = "sentinel",
    allow: Iterable[str] = (),
) -> None:
    """Serve a data directory on 127.0.0.1 until SIGTERM or SIGINT, in a process of its own.

    The process is confined for good: it reaches no other files, makes no sockets, starts no programs.
    ``port`` 0 takes a free one; the line ``listening on 127.0.0.1:PORT`` on stdout says which, the next
    one what the kernel confines. What an interruption leaves is said at
    :class:`~sentinel_etl.local.clickhouse.engine.Engine`; starting again on the same directory is safe.

    Raises:
        DataDirectoryInUse: another process serves the directory.
        ConfigurationError: an empty password, or a port that is taken.
    """
    if not password:
        raise ConfigurationError(f"{PASSWORD_VARIABLE} is empty: expected the password of {user!r}")
    limits = RequestLimits()
    with _bound_socket(port) as listener:
        engine = Engine(data, database, allow)
        try:
            engine.prepare()
            limit_process()
            wipe_environment(engine.allow)
            own = [engine.temporary, engine.tables, engine.pipes, engine.spool]
            confinement = confine(own, [engine.config.parent], engine.allow)
            engine.open()
            config = uvicorn.Config(
                create_app(engine, user, password, limits),
                http="h11",
                lifespan="on",
                log_config=None,
                access_log=False,
                server_header=False,
                h11_max_incomplete_event_size=limits.url_bytes,
                timeout_keep_alive=KEEP_ALIVE_S,
                timeout_graceful_shutdown=limits.grace_s,
            )
            # A line for who starts this process: with port 0, nothing else says which port it is.
            print(f"listening on 127.0.0.1:{listener.getsockname()[1]}", confinement, sep="\n", flush=True)
            uvicorn.Server(config).run(sockets=[listener])
        finally:
            engine.close()


def _bound_socket(port: int) -> socket.socket:
    # asyncio switches Nagle's delay off only for a socket that names its protocol; with the delay,
    # every answer takes 40 ms more.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(("127.0.0.1", port))
    except OSError as error:
        listener.close()
        raise ConfigurationError(f"port {port} of 127.0.0.1 cannot be had: {error.strerror}") from None
    return listener


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m sentinel_etl.local.clickhouse.server",
        description=f"Serve the local warehouse on 127.0.0.1; its password is read from {PASSWORD_VARIABLE}.",
    )
    parser.add_argument("--data", type=Path, required=True, help="data directory; made if absent")
    parser.add_argument("--port", type=int, required=True, help="TCP port on 127.0.0.1; 0: a free one")
    parser.add_argument("--user", default="sentinel", help="the one user's name")
    parser.add_argument("--database", default="sentinel", help="database to make and to use by default")
    parser.add_argument(
        "--allow",
        action="append",
        default=[],
        choices=sorted(ALLOWABLE),
        help="a table function and engine to allow although it reaches outside; may be repeated",
    )
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Run the server process; the exit code is 0, or that of the error it prints."""
    given = _arguments().parse_args(arguments)
    layout = "%(levelname)s %(name)s: %(message)s"
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format=layout)
    logging.getLogger("uvicorn.error").addFilter(_ExpectedBreaks())
    logging.getLogger("python_multipart").setLevel(logging.ERROR)  # a form that cannot be read is answered
    # uvicorn raises the signal that stopped it once more when all is closed.
    signal.signal(signal.SIGTERM, lambda number, frame: None)
    signal.signal(signal.SIGINT, lambda number, frame: None)
    try:
        serve(
            given.data,
            given.port,
            given.user,
            os.environ.get(PASSWORD_VARIABLE, ""),
            given.database,
            given.allow,
        )
    except SentinelError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
