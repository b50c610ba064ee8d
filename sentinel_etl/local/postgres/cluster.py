"""Prepares the local stack's PostgreSQL cluster: its role, its database, its password."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import IO, Final

from sentinel_etl.errors import SourceUnreachable
from sentinel_etl.local.postgres.binaries import INSTEAD, popen, server_user
from sentinel_etl.local.postgres.server import clear_remains

__all__ = ["DATABASE", "OWNER", "create_cluster", "set_password"]


DATABASE: Final = "city"
OWNER: Final = "sentinel"


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
        user = server_user()
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
    clear_remains(data)
    _run_single_user(data, f"ALTER ROLE {OWNER} PASSWORD {_literal(password)}")


def _run_single_user(data: Path, *statements: str) -> None:
    """Run statements, one a line, in PostgreSQL's single-user mode, which asks for no password."""
    _run_binary(
        data,
        ["postgres", "-c", "exit_on_error=on", "-c", "log_min_error_statement=panic", "postgres"],
        text="".join(f"{statement}\n" for statement in statements),
    )


def _run_binary(data: Path, command: list[str], *, stdin: IO[bytes] | None = None, text: str = "") -> None:
    """Run one of the binaries on the data directory to its end, on ``stdin`` or on ``text``."""
    process = popen(data, command, stdin=stdin or subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    output, _ = process.communicate(None if stdin else text.encode())
    if process.returncode != 0:
        found = " ".join(output.decode(errors="replace").split())[-600:]
        raise SourceUnreachable(
            f"the local PostgreSQL: expected {command[0]} to prepare {data}, found {found!r}; "
            f"make room or mend the folder, {INSTEAD}"
        )


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
