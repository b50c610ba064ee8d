"""Reads a notebook's file, and says in one sentence what is wrong with it."""

from __future__ import annotations

import re
from pathlib import Path

import nbformat

from sentinel_etl.errors import ConfigurationError

__all__ = ["KERNEL", "read_notebook"]


# The name of the kernel that comes with every interpreter; runs use this interpreter's own.
KERNEL = "python3"


def read_notebook(path: Path) -> nbformat.NotebookNode:
    """Read a notebook, of format 4 or an older one brought up to it, that a run can execute.

    Raises:
        ConfigurationError: the file cannot be read as one, or its kernel is not Python's own.
    """
    try:
        text = path.read_text(encoding="utf-8")
        notebook = nbformat.reads(text, as_version=4)
        nbformat.validate(notebook)
    except OSError as error:
        raise ConfigurationError(f"{path.name}: expected a notebook, found: {error.strerror}") from None
    except Exception as error:  # noqa: BLE001 - nbformat raises whatever the file's shape leads to
        raise ConfigurationError(f"{path.name}: expected a notebook, found {describe(path, error)}") from None
    name = notebook.metadata.get("kernelspec", {}).get("name", "")
    if name != KERNEL:
        found = f"the kernel {name!r}" if name else "no kernel"
        raise ConfigurationError(
            f"{path.name}: expected a notebook for the kernel {KERNEL!r}, which is this interpreter's own; found "
            f"{found}. Choose Python 3 for it in JupyterLab, and save it"
        )
    return notebook


def describe(path: Path, error: Exception) -> str:
    """Say what a file holds that is no notebook."""
    text = path.read_bytes()
    if not text.strip():
        return "an empty file"
    if marker := re.search(rb"^<{7} ", text, re.MULTILINE):
        line = text.count(b"\n", 0, marker.start()) + 1
        return f"the conflict markers of a merge in line {line}. Settle the merge, then run it again"
    said = " ".join(str(error).split()) or type(error).__name__
    return f"what nbformat cannot read: {said[:200]}"
