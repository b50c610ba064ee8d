"""Ports and passwords of the stack's services, kept in a file that only their owner may read."""

from __future__ import annotations

import json
import secrets
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final

from sentinel_etl.files import write_atomically
from sentinel_etl.local.ports import choose_free_port

__all__ = ["CLICKHOUSE", "POSTGRESQL", "SERVICES", "Login", "new_logins", "read_logins", "save_logins", "write_private"]


POSTGRESQL: Final = "postgresql"
CLICKHOUSE: Final = "clickhouse"
SERVICES: Final = (POSTGRESQL, CLICKHOUSE)


@dataclass(frozen=True)
class Login:
    """Where a service listens on loopback, and its password."""

    port: int
    password: str = field(repr=False)


def new_logins() -> dict[str, Login]:
    """Choose a free port and a password for each service."""
    return {name: Login(choose_free_port(), secrets.token_urlsafe(24)) for name in SERVICES}


def read_logins(state_dir: Path) -> dict[str, Login] | None:
    """Read the kept ports and passwords; None where there are none, or none that can be read."""
    try:
        kept = json.loads((state_dir / "credentials.json").read_text())
        return {name: Login(**kept[name]) for name in SERVICES}
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None


def save_logins(state_dir: Path, logins: dict[str, Login]) -> None:
    """Keep the logins; an interruption leaves the old file or the new."""
    write_private(state_dir / "credentials.json", {name: asdict(login) for name, login in logins.items()})


def write_private(path: Path, content: object) -> None:
    """Write JSON that only its owner may read; an interruption leaves the old file or the new."""
    write_atomically(path, json.dumps(content), private=True)
