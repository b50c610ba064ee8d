"""What an executed notebook leaves: its archived files, and its row in the ledger."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sentinel_etl.window import Window

__all__ = ["NotebookRun"]


@dataclass(frozen=True)
class NotebookRun:
    """An executed notebook: its archived files and its row in the ledger, where it has one."""

    run_id: str
    window: Window
    report: Path
    page: Path
    record: Mapping[str, Any]
