"""The name of a run: a new one, and which one can be given."""

from __future__ import annotations

import re
import secrets
from datetime import UTC, datetime

from sentinel_etl.errors import ConfigurationError

__all__ = ["check_run_id", "new_run_id"]


def new_run_id(now: datetime | None = None) -> str:
    """Make a run id: its start in UTC and a random tail, safe in names of tables and files."""
    return f"{now or datetime.now(UTC):%Y%m%dt%H%M%S}_{secrets.token_hex(3)}"


def check_run_id(run_id: str) -> str:
    """Refuse a name that could not stand in the names of tables and files.

    Raises:
        ConfigurationError: it has other characters than letters, digits and ``_``, or more than 64.
    """
    if not re.fullmatch(r"[A-Za-z0-9_]{1,64}", run_id, re.ASCII):
        raise ConfigurationError(
            f"run_id: expected up to 64 letters, digits and _, found {run_id[:80]!r}. Leave it out for a new one"
        )
    return run_id
