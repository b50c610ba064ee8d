"""What is true of a service of the stack now: whether it answers, where, since when, how large it is."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import psycopg

from sentinel_etl.local.clickhouse.launch import USER, http_get
from sentinel_etl.local.credentials import CLICKHOUSE, Login
from sentinel_etl.local.ports import HOST
from sentinel_etl.local.postgres.cluster import DATABASE, OWNER
from sentinel_etl.local.processes import RunningService
from sentinel_etl.loopback import without_libpq_variables

__all__ = ["ServiceStatus", "describe_service"]


CONNECT_SECONDS: Final = 2


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


def describe_service(name: str, found: RunningService | None, login: Login | None, data: Path) -> ServiceStatus:
    """Put together what its process, its kept login, an answer of its own and its data directory say."""
    running = found is not None and found.ready
    return ServiceStatus(
        name=name,
        running=running,
        pid=found.process.pid if found else None,
        port=found.port if found else login.port if login else None,
        version=_ask_version(name, login) if login and running else None,
        since=datetime.fromtimestamp(found.process.create_time(), UTC) if found else None,
        data_bytes=_size_on_disk(data),
    )


def _ask_version(name: str, login: Login) -> str | None:
    if name == CLICKHOUSE:
        keys = {"X-ClickHouse-User": USER, "X-ClickHouse-Key": login.password}
        version = http_get(login.port, "/?query=SELECT%20version()", keys)
        return version and version.strip()
    try:
        with without_libpq_variables(HOST):
            connecting = psycopg.connect(
                host=HOST,
                port=login.port,
                user=OWNER,
                password=login.password,
                dbname=DATABASE,
                connect_timeout=CONNECT_SECONDS,
            )
        with connecting as connection:
            return connection.info.parameter_status("server_version")
    except psycopg.Error:
        return None


def _size_on_disk(folder: Path) -> int:
    size = 0
    for path in folder.rglob("*"):
        with suppress(FileNotFoundError):  # a live database removes files while we count
            size += path.lstat().st_blocks * 512
    return size
