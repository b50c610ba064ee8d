"""Hands a run's verdict from the process that ran to the one that started it, past both databases."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from sentinel_etl.brief import read_brief
from sentinel_etl.files import write_atomically
from sentinel_etl.ledger.states import RunState

__all__ = ["hand_over", "take_over"]


def hand_over(run: Mapping[str, Any]) -> None:
    """Write how a run ended to the file that this process's brief names, if it names one.

    ``run`` is as `read_runs` gives it. An interruption leaves no file, or a whole one.
    """
    if file := read_brief().verdict:
        write_atomically(Path(file), json.dumps(run, default=write_moment))


def take_over(file: Path, run_id: str) -> dict[str, Any]:
    """Read how a run ended, as `read_runs` gives it; empty where it has not come so far, or was another's."""
    if not file.is_file():
        return {}
    run: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    if run["run_id"] != run_id:
        return {}
    moments = ("window_start", "window_end", "started_at", "updated_at", "switched_at")
    read = {name: datetime.fromisoformat(run[name]) if run[name] else None for name in moments}
    return run | read | {"state": RunState(run["state"]), "event_types": tuple(run["event_types"])}


def write_moment(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)
