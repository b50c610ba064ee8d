"""Runs the local stack's PostgreSQL on a data directory, whatever an earlier server left there.

Each function acts on one data directory, whose folder is the stack's; its caller holds the
stack's lock. The server listens on 127.0.0.1 only, asks for a scram-sha-256 password, and has no
Unix socket, so that the length of a path never matters.
"""

from __future__ import annotations

import shlex
import signal
import socket
import struct
import subprocess
from pathlib import Path
from typing import Final

import psutil

from sentinel_etl.errors import SourceUnreachable
from sentinel_etl.local.ports import HOST
from sentinel_etl.local.postgres.binaries import INSTEAD, popen
from sentinel_etl.local.processes import (
    RunningService,
    command_line,
    end_process,
    last_lines,
    live_process,
    wait_until_ready,
)

__all__ = ["clear_remains", "find_server", "start_server", "stop_server"]


SERVER_SETTINGS: Final = {
    "listen_addresses": HOST,
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
    if process is None or f"cluster_name={_cluster_name(data)}" not in command_line(process):
        return None
    port, status = int(lines[3]), lines[7].strip() if len(lines) > 7 else ""
    return RunningService(process, port, ready=status == "ready" and _answers(port))


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
        clear_remains(data)
        options = SERVER_SETTINGS | {"port": str(port), "cluster_name": _cluster_name(data)}
        switches = shlex.join(part for name, value in options.items() for part in ("-c", f"{name}={value}"))
        command = ["pg_ctl", "start", "--wait", f"--timeout={START_SECONDS}", "--options", switches]
        with log.open("ab") as sink:
            log.chmod(0o600)
            popen(data, command, stdin=subprocess.DEVNULL, stdout=sink, stderr=sink).wait()
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
    clear_remains(data)


def clear_remains(data: Path) -> None:
    """End the backends that outlive a killed postmaster, and remove its ``postmaster.pid``.

    PostgreSQL refuses to start while a backend of the old server lives, and while the pid in the
    file belongs to any process of the same user, as it may after a reboot. Neither is a server:
    on live data the shared memory interlock still refuses a second one.
    """
    if not data.exists() or find_server(data):
        return
    title = f"postgres: {_cluster_name(data)}: "
    for process in psutil.process_iter():
        if any(part.startswith(title) for part in command_line(process)):
            end_process(process, (signal.SIGQUIT, signal.SIGKILL), 5.0)
    (data / "postmaster.pid").unlink(missing_ok=True)


def _cluster_name(data: Path) -> str:
    """Name the cluster after its folder's device and inode, which survive a rename, not a copy.

    It stands in the command line of the server and in the title of every backend, which all users
    may read; their working directory would need CAP_SYS_PTRACE, which containers drop.
    """
    folder = data.stat()
    return f"sentinel-{folder.st_dev:x}-{folder.st_ino:x}"


def _answers(port: int) -> bool:
    """Ask the server whether it would use TLS, which it answers before any password, with one byte.

    A server that was just killed still has a process and a file that says ready. The request is
    SSLRequest of PostgreSQL's protocol 3.0, "Message Formats".
    """
    try:
        with socket.create_connection((HOST, port), timeout=2.0) as connection:
            connection.sendall(struct.pack("!ii", 8, 80877103))
            return connection.recv(1) in (b"S", b"N")
    except OSError:
        return False
