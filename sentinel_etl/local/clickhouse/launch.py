"""Starts, finds and stops the process of the local ClickHouse endpoint, which outlives its starter."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Final

import psutil

from sentinel_etl.errors import WarehouseUnreachable
from sentinel_etl.local.credentials import Login, write_private
from sentinel_etl.local.ports import HOST
from sentinel_etl.local.processes import RunningService, end_process, last_lines, live_process, wait_until_ready

__all__ = ["DATA_FOLDER", "USER", "find_endpoint", "http_get", "start_endpoint", "stop_endpoint"]


MODULE: Final = "sentinel_etl.local.clickhouse.server"
USER: Final = "sentinel"
DATA_FOLDER: Final = "clickhouse"
PID_FILE: Final = "clickhouse.pid"
START_SECONDS: Final = 30.0
STOP_SECONDS: Final = 20.0  # a merge in progress ends, or is dropped, in a few
PING_SECONDS: Final = 2.0


def start_endpoint(state_dir: Path, login: Login) -> None:
    """Start the ClickHouse endpoint, detached, unless it is there, and wait until it answers.

    A shell starts it in the background of a session of its own and exits, so that it is no child
    of ours: no zombie stays when it ends, and no Ctrl-C reaches it. An interruption before the
    pid is written leaves an endpoint that its command line gives away.

    Raises:
        WarehouseUnreachable: it ended, or does not answer in time; with its last words.
    """
    data, log = state_dir / DATA_FOLDER, state_dir / "clickhouse.log"
    offset = log.stat().st_size if log.exists() else 0
    found = wait_until_ready(lambda: find_endpoint(state_dir), START_SECONDS)
    if found is None:
        data.mkdir(mode=0o700, exist_ok=True)
        command = [sys.executable, "-m", MODULE, "--data", str(data), "--port", str(login.port)]
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
            write_private(state_dir / PID_FILE, _process_record(psutil.Process(int(launcher.stdout))))
        found = wait_until_ready(lambda: find_endpoint(state_dir), START_SECONDS)
    if found and found.ready:
        return
    raise WarehouseUnreachable(
        f"the local ClickHouse endpoint: expected /ping to answer on port {login.port} within "
        f"{START_SECONDS:.0f} s, found {'no answer yet' if found else 'that it ended'}, and in its "
        f"log {last_lines(log, offset)!r}; mend what {log} names, or stop it with `sentinel-etl local down` "
        f"and try again, or set SENTINEL_WAREHOUSE_URL to a ClickHouse of your own"
    )


def stop_endpoint(state_dir: Path) -> None:
    """Stop the endpoint: SIGTERM lets it close its engine, SIGKILL follows; finished statements stay."""
    if endpoint := find_endpoint(state_dir):
        end_process(endpoint.process, (signal.SIGTERM, signal.SIGKILL), STOP_SECONDS)
    (state_dir / PID_FILE).unlink(missing_ok=True)


def find_endpoint(state_dir: Path) -> RunningService | None:
    """Find the live endpoint on this stack's data: by its pid file, else by its command line."""
    data = str(state_dir / DATA_FOLDER)
    with suppress(FileNotFoundError, ValueError, KeyError):
        record = json.loads((state_dir / PID_FILE).read_text())
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
        if MODULE not in line or line[line.index("--data") + 1] != data:
            return None
        if live_process(process.pid) and process.uids().effective in (0, Path(data).stat().st_uid):
            port = int(line[line.index("--port") + 1])
            return RunningService(process, port, ready=http_get(port, "/ping") == "Ok.\n")
    return None


def _process_record(process: psutil.Process) -> dict[str, int]:
    # Whole seconds: the clock from which the start is reckoned is corrected in smaller steps.
    return {"pid": process.pid, "started": round(process.create_time())}


def http_get(port: int, path: str, headers: dict[str, str] | None = None) -> str | None:
    """Ask the endpoint; None where it does not answer, or not with 200."""
    connection = http.client.HTTPConnection(HOST, port, timeout=PING_SECONDS)
    try:
        connection.request("GET", path, headers=headers or {})
        answer = connection.getresponse()
        return answer.read().decode() if answer.status == http.client.OK else None
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()
