"""The local stack: PostgreSQL and a ClickHouse endpoint that outlive the command that started them.

All state is in one folder: ``credentials.json``, ``postgres/``, ``clickhouse/``, a log of each, the
endpoint's pid file and the lock. A folder made here has mode 0700; in one that was there before,
whose mode is its owner's choice, each of these is closed to others by itself.
"""

from __future__ import annotations

import fcntl
import http.client
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import psutil
import psycopg
from sqlalchemy import URL, make_url

from sentinel_etl.errors import SentinelError, SourceUnreachable, WarehouseUnreachable
from sentinel_etl.local import postgres
from sentinel_etl.local.postgres import RunningService, end_process, last_lines, live_process, wait_until_ready

__all__ = ["LocalStack", "ServiceStatus", "stack_status", "start_stack", "stop_stack"]


POSTGRESQL: Final = "postgresql"
CLICKHOUSE: Final = "clickhouse"
DATA_FOLDERS: Final = {POSTGRESQL: "postgres", CLICKHOUSE: "clickhouse"}
ENDPOINT: Final = "sentinel_etl.local.clickhouse.server"
USER: Final = "sentinel"
HOST: Final = "127.0.0.1"
# Below what Linux and macOS give to outgoing connections (ip(7), ip_local_port_range), so that
# none of those takes a kept port while the stack is down.
PORTS: Final = range(20_000, 32_000)
PORT_ATTEMPTS: Final = 5
PORT_SECONDS: Final = 2.0
ENDPOINT_START_SECONDS: Final = 30.0
ENDPOINT_STOP_SECONDS: Final = 20.0  # a merge in progress ends, or is dropped, in a few
LOCK_SECONDS: Final = 240.0  # longer than another process's slowest start
PING_SECONDS: Final = 2.0


@dataclass(frozen=True)
class LocalStack:
    """Where the running stack answers: two SQLAlchemy URLs, passwords included."""

    source_url: str
    warehouse_url: str

    def __repr__(self) -> str:
        source, warehouse = make_url(self.source_url), make_url(self.warehouse_url)
        return f"LocalStack(source_url={source!r}, warehouse_url={warehouse!r})"


@dataclass(frozen=True)
class ServiceStatus:
    """What is true of one service now; ``running`` means that it answers."""

    name: str
    running: bool
    pid: int | None
    port: int | None
    version: str | None
    since: datetime | None
    data_bytes: int


@dataclass(frozen=True)
class _Login:
    port: int
    password: str = field(repr=False)


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
        logins = _read_logins(state_dir)
        if logins is None or not all(_answers(name, state_dir, login) for name, login in logins.items()):
            if not state_dir.exists():
                state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
            with _locked(state_dir):
                logins = _prepare(state_dir)
                for name in DATA_FOLDERS:
                    logins = _start_service(name, state_dir, logins)
    return _stack_at(logins)


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
        logins = _read_logins(state_dir) or {}
        return [_status(name, state_dir, logins.get(name)) for name in DATA_FOLDERS]


def _status(name: str, state_dir: Path, login: _Login | None) -> ServiceStatus:
    found = _find_service(name, state_dir)
    running = found is not None and found.ready
    return ServiceStatus(
        name=name,
        running=running,
        pid=found.process.pid if found else None,
        port=found.port if found else login.port if login else None,
        version=_ask_version(name, login) if login and running else None,
        since=datetime.fromtimestamp(found.process.create_time(), UTC) if found else None,
        data_bytes=_size_on_disk(state_dir / DATA_FOLDERS[name]),
    )


def _prepare(state_dir: Path) -> dict[str, _Login]:
    """Make sure of the logins, and of a PostgreSQL cluster that knows them.

    Lost logins are replaced by new ones. They are saved last: an interruption before that makes
    the next call begin again, with others.
    """
    data = state_dir / DATA_FOLDERS[POSTGRESQL]
    known = _read_logins(state_dir)
    logins = known or {name: _Login(_free_port(), secrets.token_urlsafe(24)) for name in DATA_FOLDERS}
    if known is None:
        _stop_services(state_dir)
    if not data.exists():
        postgres.create_cluster(data, logins[POSTGRESQL].password)
    elif known is None:
        postgres.set_password(data, logins[POSTGRESQL].password)
    if known is None:
        _save_logins(state_dir, logins)
    return logins


def _start_service(name: str, state_dir: Path, logins: dict[str, _Login]) -> dict[str, _Login]:
    """Start a service that is not there, on its kept port or on a new one where that is taken.

    One that is there is waited for and never killed: it may be busy with somebody's query. A new
    port is saved before the start, so that what is saved is where the service listens.
    """
    for attempt in range(1, PORT_ATTEMPTS + 1):
        found, kept = _find_service(name, state_dir), logins[name].port
        port = found.port if found else kept if _port_comes_free(kept) else _free_port()
        if port != kept:
            logins = logins | {name: replace(logins[name], port=port)}
            _save_logins(state_dir, logins)
        try:
            if name == POSTGRESQL:
                data = state_dir / DATA_FOLDERS[name]
                postgres.start_server(data, port, state_dir / "postgres.log")
            else:
                _start_endpoint(state_dir, logins[name])
            break
        except SentinelError:
            # Another port helps only where a stranger took this one after we had looked.
            if attempt == PORT_ATTEMPTS or _find_service(name, state_dir) or _port_is_free(port):
                raise
    return logins


def _stop_services(state_dir: Path) -> None:
    if endpoint := _find_endpoint(state_dir):
        end_process(endpoint.process, (signal.SIGTERM, signal.SIGKILL), ENDPOINT_STOP_SECONDS)
    (state_dir / "clickhouse.pid").unlink(missing_ok=True)
    postgres.stop_server(state_dir / DATA_FOLDERS[POSTGRESQL])


def _find_service(name: str, state_dir: Path) -> RunningService | None:
    if name == POSTGRESQL:
        return postgres.find_server(state_dir / DATA_FOLDERS[name])
    return _find_endpoint(state_dir)


def _answers(name: str, state_dir: Path, login: _Login) -> bool:
    found = _find_service(name, state_dir)
    return found is not None and found.ready and found.port == login.port


def _start_endpoint(state_dir: Path, login: _Login) -> None:
    """Start the ClickHouse endpoint, detached, unless it is there, and wait until it answers.

    A shell starts it in the background of a session of its own and exits, so that it is no child
    of ours: no zombie stays when it ends, and no Ctrl-C reaches it. An interruption before the
    pid is written leaves an endpoint that its command line gives away.

    Raises:
        WarehouseUnreachable: it ended, or does not answer in time; with its last words.
    """
    data, log = state_dir / DATA_FOLDERS[CLICKHOUSE], state_dir / "clickhouse.log"
    offset = log.stat().st_size if log.exists() else 0
    found = wait_until_ready(lambda: _find_endpoint(state_dir), ENDPOINT_START_SECONDS)
    if found is None:
        data.mkdir(mode=0o700, exist_ok=True)
        command = [sys.executable, "-m", ENDPOINT, "--data", str(data), "--port", str(login.port)]
        with log.open("ab") as sink:
            log.chmod(0o600)
            launcher = subprocess.run(  # noqa: S603  # our own module, our own folder
                ["/bin/sh", "-c", '"$@" >&2 & echo $!', "sh", *command, "--user", USER, "--database", USER],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=sink,
                cwd=state_dir,
                env=os.environ | {"SENTINEL_LOCAL_PASSWORD": login.password},
                start_new_session=True,
                umask=0o077,
                check=True,
            )
        with suppress(psutil.NoSuchProcess):
            _write_private(state_dir / "clickhouse.pid", _process_record(psutil.Process(int(launcher.stdout))))
        found = wait_until_ready(lambda: _find_endpoint(state_dir), ENDPOINT_START_SECONDS)
    if found and found.ready:
        return
    raise WarehouseUnreachable(
        f"the local ClickHouse endpoint: expected /ping to answer on port {login.port} within "
        f"{ENDPOINT_START_SECONDS:.0f} s, found {'no answer yet' if found else 'that it ended'}, and in its "
        f"log {last_lines(log, offset)!r}; mend what {log} names, or stop it with `sentinel-etl local down` "
        f"and try again, or set SENTINEL_WAREHOUSE_URL to a ClickHouse of your own"
    )


def _find_endpoint(state_dir: Path) -> RunningService | None:
    """Find the live endpoint on this stack's data: by its pid file, else by its command line."""
    data = str(state_dir / DATA_FOLDERS[CLICKHOUSE])
    with suppress(FileNotFoundError, ValueError, KeyError):
        record = json.loads((state_dir / "clickhouse.pid").read_text())
        process = live_process(record["pid"])
        if process and _process_record(process) == record and (found := _as_endpoint(process, data)):
            return found
    others = (_as_endpoint(process, data) for process in psutil.process_iter())
    return next((found for found in others if found), None)


def _as_endpoint(process: psutil.Process, data: str) -> RunningService | None:
    """Read the process as the endpoint on ``data``; None where it is anything else.

    Another user's process that only claims to be it would be sent the password: the endpoint runs
    as the owner of its data, or as root.
    """
    with suppress(psutil.NoSuchProcess, psutil.AccessDenied, FileNotFoundError, ValueError, IndexError):
        line = process.cmdline()
        if ENDPOINT not in line or line[line.index("--data") + 1] != data:
            return None
        if live_process(process.pid) and process.uids().effective in (0, Path(data).stat().st_uid):
            port = int(line[line.index("--port") + 1])
            return RunningService(process, port, ready=_http_get(port, "/ping") == "Ok.\n")
    return None


def _process_record(process: psutil.Process) -> dict[str, int]:
    # Whole seconds: the clock from which the start is reckoned is corrected in smaller steps.
    return {"pid": process.pid, "started": round(process.create_time())}


def _http_get(port: int, path: str, headers: dict[str, str] | None = None) -> str | None:
    connection = http.client.HTTPConnection(HOST, port, timeout=PING_SECONDS)
    try:
        connection.request("GET", path, headers=headers or {})
        answer = connection.getresponse()
        return answer.read().decode() if answer.status == http.client.OK else None
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


def _ask_version(name: str, login: _Login) -> str | None:
    if name == CLICKHOUSE:
        keys = {"X-ClickHouse-User": USER, "X-ClickHouse-Key": login.password}
        version = _http_get(login.port, "/?query=SELECT%20version()", keys)
        return version and version.strip()
    try:
        with psycopg.connect(
            host=HOST,
            port=login.port,
            user=postgres.OWNER,
            password=login.password,
            dbname=postgres.DATABASE,
            connect_timeout=int(PING_SECONDS),
        ) as connection:
            return connection.info.parameter_status("server_version")
    except psycopg.Error:
        return None


def _stack_at(logins: dict[str, _Login]) -> LocalStack:
    places = {
        POSTGRESQL: ("postgresql+psycopg", postgres.OWNER, postgres.DATABASE),
        CLICKHOUSE: ("clickhouse+http", USER, USER),
    }
    urls = {
        name: URL.create(driver, user, logins[name].password, HOST, logins[name].port, database)
        for name, (driver, user, database) in places.items()
    }
    return LocalStack(
        source_url=urls[POSTGRESQL].render_as_string(hide_password=False),
        warehouse_url=urls[CLICKHOUSE].render_as_string(hide_password=False),
    )


def _read_logins(state_dir: Path) -> dict[str, _Login] | None:
    """Read the kept ports and passwords; None where there are none, or none that can be read."""
    try:
        kept = json.loads((state_dir / "credentials.json").read_text())
        return {name: _Login(**kept[name]) for name in DATA_FOLDERS}
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None


def _save_logins(state_dir: Path, logins: dict[str, _Login]) -> None:
    _write_private(state_dir / "credentials.json", {name: asdict(login) for name, login in logins.items()})


def _write_private(path: Path, content: object) -> None:
    """Write JSON that only its owner may read; an interruption leaves the old file or the new."""
    unfinished = path.with_suffix(".new")
    unfinished.unlink(missing_ok=True)
    with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as stream:
        json.dump(content, stream)
        stream.flush()
        os.fsync(stream.fileno())
    unfinished.replace(path)


@contextmanager
def _locked(state_dir: Path) -> Iterator[None]:
    """Hold the stack's lock, which the kernel releases when its holder dies (flock(2))."""
    with os.fdopen(os.open(state_dir / "lock", os.O_RDWR | os.O_CREAT, 0o600), "w") as stream:
        deadline = time.monotonic() + LOCK_SECONDS
        while True:
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise SourceUnreachable(
                        f"the local stack: expected the lock of {state_dir} within {LOCK_SECONDS:.0f} s, "
                        f"found another process starting or stopping the stack; wait for it, or end it"
                    ) from None
                time.sleep(0.02)
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


def _port_is_free(port: int) -> bool:
    with socket.socket() as probe:
        # As the servers do: a connection of the last one in TIME_WAIT does not hold the port.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
        return True


def _port_comes_free(port: int) -> bool:
    """Give a killed server a moment: a child that it had just forked holds the port until it has closed it."""
    deadline = time.monotonic() + PORT_SECONDS
    while not (free := _port_is_free(port)) and time.monotonic() < deadline:
        time.sleep(0.02)
    return free


def _free_port() -> int:
    """Choose a free port. Nobody holds it until it is used; who starts a service looks again."""
    while True:
        port = secrets.choice(PORTS)
        if _port_is_free(port):
            return port


def _size_on_disk(folder: Path) -> int:
    size = 0
    for path in folder.rglob("*"):
        with suppress(FileNotFoundError):  # a live database removes files while we count
            size += path.lstat().st_blocks * 512
    return size
