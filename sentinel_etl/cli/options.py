"""Options and output that several commands share."""

from __future__ import annotations

import os
from pathlib import Path

import click

__all__ = ["as_json", "display_path"]


as_json = click.option("--json", "as_json", is_flag=True, help="Print one line of JSON instead of text.")


def display_path(path: Path) -> str:
    """Write a path as the user would: relative to the working directory where it lies below it."""
    relative = os.path.relpath(path)
    return str(path) if relative.startswith("..") else relative
