"""The local stack: PostgreSQL and a ClickHouse endpoint that outlive the command that started them.

All state is in one folder: ``credentials.json``, ``postgres/``, ``clickhouse/``, a log of each, the
endpoint's pid file and the lock. A folder made here has mode 0700; in one that was there before,
whose mode is its owner's choice, each of these is closed to others by itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import psutil
from filelock import FileLock, Timeout
from sqlalchemy import URL, make_url

from sentinel_etl.errors import SentinelError, SourceUnreachable
from sentinel_etl.local.clickhouse import launch
from sentinel_etl.local.credentials import CLICKHOUSE, POSTGRESQL, SERVICES, Login, new_logins, read_logins, save_logins
from sentinel_etl.local.ports import HOST, choose_free_port, port_comes_free, port_is_free
from sentinel_etl.local.postgres import cluster, server
from sentinel_etl.local.processes import RunningService
from sentinel_etl.local.status import ServiceStatus, describe_service

__all__ = ["LocalStack", "ServiceStatus", "stack_exists", "stack_status", "start_stack", "stop_stack"]


DATA_FOLDERS: Final = {POSTGRESQL: "postgres", CLICKHOUSE: launch.DATA_FOLDER}
PORT_ATTEMPTS: Final = 5
LOCK_SECONDS: Final = 240.0  # longer than another process's slowest start


@dataclass(frozen=True)
class LocalStack:
    """Where the running stack answers: two SQLAlchemy URLs, passwords included."""

    source_url: str
    warehouse_url: str

    def __repr__(self) -> str:
        source, warehouse = make_url(self.source_url), make_url(self.warehouse_url)
        return f"LocalStack(source_url={source!r}, warehouse_url={warehouse!r})"


def start_stack(state_dir: Path) -> LocalStack:
    """Start what is not running, wait until both services answer, and say where.

    Ports and passwords are chosen once and kept, so the URLs stay the same; only a port that a
    stranger holds is replaced. Processes that call this at the same instant get the same stack.
    An interruption leaves services that are up or still starting; the next call picks them up.

    Raises:
        SourceUnreachable: PostgreSQL cannot be started, or the state folder cannot be used.
        WarehouseUnreachable: the ClickHouse endpoint cannot be started.
    """
    state_dir = state_dir.resolve()
    with _plain_errors(state_dir):
        logins = read_logins(state_dir)
        if logins is None or not all(_service_answers(name, state_dir, login) for name, login in logins.items()):
            if not state_dir.exists():
                state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
            with _locked(state_dir):
                logins = _prepare(state_dir)
                for name in SERVICES:
                    logins = _start_service(name, state_dir, logins)
    return _stack_at(logins)


def stack_exists(state_dir: Path) -> bool:
    """Tell whether a stack was ever made there, running or not."""
    return any((state_dir / name).is_dir() for name in DATA_FOLDERS.values())


def stop_stack(state_dir: Path) -> None:
    """Stop both services, cleanly where they let us; data, ports and passwords stay.

    Only what is this stack's by its command line is stopped, whatever the pid files say. An
    interruption leaves one service running; the next call stops it.
    """
    state_dir = state_dir.resolve()
    if state_dir.is_dir():
        with _plain_errors(state_dir), _locked(state_dir):
            _stop_services(state_dir)


def stack_status(state_dir: Path) -> list[ServiceStatus]:
    """Say what is true of both services now; changes nothing and waits for no lock."""
    state_dir = state_dir.resolve()
    with _plain_errors(state_dir):
        logins = read_logins(state_dir) or {}
        return [
            describe_service(name, _find_service(name, state_dir), logins.get(name), state_dir / DATA_FOLDERS[name])
            for name in SERVICES
        ]


def _prepare(state_dir: Path) -> dict[str, Login]:
    """Make sure of the logins, and of a PostgreSQL cluster that knows them.

    Lost logins are replaced by new ones. They are saved last: an interruption before that makes
    the next call begin again, with others.
    """
    data = state_dir / DATA_FOLDERS[POSTGRESQL]
    known = read_logins(state_dir)
    logins = known or new_logins()
    if known is None:
        _stop_services(state_dir)
    if not data.exists():
        cluster.create_cluster(data, logins[POSTGRESQL].password)
    elif known is None:
        cluster.set_password(data, logins[POSTGRESQL].password)
    if known is None:
        save_logins(state_dir, logins)
    return logins


def _start_service(name: str, state_dir: Path, logins: dict[str, Login]) -> dict[str, Login]:
    """Start a service that is not there, on its kept port or on a new one where that is taken.

    One that is there is waited for and never killed: it may be busy with somebody's query. A new
    port is saved before the start, so that what is saved is where the service listens.
    """
    for attempt in range(1, PORT_ATTEMPTS + 1):
        found, kept = _find_service(name, state_dir), logins[name].port
        port = found.port if found else kept if port_comes_free(kept) else choose_free_port()
        if port != kept:
            logins = logins | {name: replace(logins[name], port=port)}
            save_logins(state_dir, logins)
        try:
            if name == POSTGRESQL:
                data = state_dir / DATA_FOLDERS[name]
                server.start_server(data, port, state_dir / "postgres.log")
            else:
                launch.start_endpoint(state_dir, logins[name])
            break
        except SentinelError:
            # Another port helps only where a stranger took this one after we had looked.
            if attempt == PORT_ATTEMPTS or _find_service(name, state_dir) or port_is_free(port):
                raise
    return logins


def _stop_services(state_dir: Path) -> None:
    launch.stop_endpoint(state_dir)
    server.stop_server(state_dir / DATA_FOLDERS[POSTGRESQL])


def _find_service(name: str, state_dir: Path) -> RunningService | None:
    if name == POSTGRESQL:
        return server.find_server(state_dir / DATA_FOLDERS[name])
    return launch.find_endpoint(state_dir)


def _service_answers(name: str, state_dir: Path, login: Login) -> bool:
    found = _find_service(name, state_dir)
    return found is not None and found.ready and found.port == login.port


def _stack_at(logins: dict[str, Login]) -> LocalStack:
    databases = {
        POSTGRESQL: ("postgresql+psycopg", cluster.OWNER, cluster.DATABASE),
        CLICKHOUSE: ("clickhouse+http", launch.USER, launch.USER),
    }
    urls = {
        name: URL.create(driver, user, logins[name].password, HOST, logins[name].port, database)
        for name, (driver, user, database) in databases.items()
    }
    return LocalStack(
        source_url=urls[POSTGRESQL].render_as_string(hide_password=False),
        warehouse_url=urls[CLICKHOUSE].render_as_string(hide_password=False),
    )


@contextmanager
def _locked(state_dir: Path) -> Iterator[None]:
    """Hold the stack's lock, which the kernel releases when its holder dies (flock(2)); its file stays."""
    try:
        held = FileLock(state_dir / "lock", mode=0o600).acquire(timeout=LOCK_SECONDS)
    except Timeout:
        raise SourceUnreachable(
            f"the local stack: expected the lock of {state_dir} within {LOCK_SECONDS:.0f} s, "
            f"found another process starting or stopping the stack; wait for it, or end it"
        ) from None
    with held:
        yield


@contextmanager
def _plain_errors(state_dir: Path) -> Iterator[None]:
    """Turn what the operating system refuses into one sentence."""
    try:
        yield
    except (OSError, psutil.Error) as error:
        raise SourceUnreachable(
            f"the local stack: expected to keep its state in {state_dir} and to run its services, found "
            f"{error}; mend that, or name another folder in SENTINEL_STATE_DIR"
        ) from error
