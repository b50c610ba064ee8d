"""Finds the home folder, reads the names and values of its ``.env``, and tells names of ours that are misspelt."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterable
from difflib import get_close_matches
from pathlib import Path

from dotenv.parser import Binding, parse_stream

from sentinel_etl.errors import ConfigurationError

__all__ = ["HOME", "PREFIX", "describe_unknown", "home_is_named", "project_home", "read_env_file"]


PREFIX = "SENTINEL_"
HOME = f"{PREFIX}HOME"

CHECKOUT = Path(__file__).resolve().parents[1]  # where this is one

# How alike a name without our prefix must be to one of ours to be taken for it misspelt, of 1.
ALIKE = 0.9


def project_home() -> Path:
    """Find the folder that holds ``.env``, the pipeline's module, ``notebooks/``, ``runs/`` and ``.sentinel/``.

    ``SENTINEL_HOME`` where it is set; else the working directory where its ``.env`` has settings of ours; else
    the checkout this package stands in; else the working directory. Where cron happens to start the command
    there is none of ours, so it does not depend on that.
    """
    if named := os.environ.get(HOME):
        return Path(named).expanduser().resolve()
    return Path.cwd() if has_settings(Path(".env")) or not in_checkout() else CHECKOUT


def home_is_named() -> bool:
    """Tell whether the home is one on purpose, and not only where the command happens to start."""
    return bool(os.environ.get(HOME)) or has_settings(Path(".env")) or in_checkout()


def in_checkout() -> bool:
    return (CHECKOUT / "pyproject.toml").is_file()


def has_settings(file: Path) -> bool:
    """Tell whether a ``.env`` names one of our settings, or cannot be read, which who reads it next tells."""
    try:
        return file.is_file() and PREFIX in file.read_text(encoding="utf-8", errors="replace").upper()
    except OSError:
        return True


def read_env_file(file: Path, encoding: str | None, known: Collection[str]) -> dict[str, str]:
    """Read name → value by python-dotenv's rules for quotes, escapes and comments; ``$`` is a plain character.

    Names come as they are written. Lines of other programs that cannot be read are left out.
    https://saurabh-kumar.com/python-dotenv/#file-format

    Raises:
        ConfigurationError: a line of ours that cannot be read, or that another line's quote has taken in.
    """
    found: dict[str, str] = {}
    with file.open(encoding=encoding) as stream:
        for binding in parse_stream(stream):
            if (line := unreadable_line(binding, known)) is not None:
                raise ConfigurationError(
                    f"settings: expected NAME=value in line {line} of {file}, found none that can be read. "
                    "Look for a quote that does not end, or for text after it"
                )
            if binding.key and binding.value is not None:
                found[binding.key] = binding.value
    return found


def unreadable_line(binding: Binding, known: Collection[str]) -> int | None:
    """Tell the first line of what should be a setting of ours and cannot be read as one."""
    text = binding.original.string
    first = binding.original.line + text[: len(text) - len(text.lstrip())].count("\n")
    if binding.error:
        return first if any(is_ours(word, known) for word in re.findall(r"[\w-]+", text)) else None
    name = binding.key or ""
    if binding.value is None:
        return first if is_ours(name, known) else None
    lines = text.strip().split("\n")
    taken_in = (number for number, line in enumerate(lines) if number and is_ours(name_in(line), known))
    return next((first + number for number in taken_in), None)


def name_in(line: str) -> str:
    """Find the name that a line would give a value, were it not within quotes; empty: none."""
    found = re.match(r"\s*(?:export\s+)?([\w-]+)\s*=", line)
    return found[1] if found else ""


def is_ours(name: str, known: Collection[str]) -> bool:
    upper = name.upper()
    return upper.startswith(PREFIX.rstrip("_")) or nearest(upper, known, ALIKE) is not None


def nearest(name: str, known: Collection[str], alike: float = 0.0) -> str | None:
    close = get_close_matches(re.sub(r"\W", "_", name.upper()), known, n=1, cutoff=alike)
    return close[0] if close else None


def describe_unknown(names: Iterable[str], known: Collection[str], others: Collection[str] = ()) -> list[str]:
    """Tell which names look like settings of ours and are none, each with the nearest that is.

    ``others`` begin like ours, and are read elsewhere.
    """
    unknown = [name for name in names if name.upper() not in known and name not in others]
    ours = [name for name in unknown if name.upper().startswith(PREFIX) or nearest(name, known, ALIKE)]
    return [f"{name}; did you mean {nearest(name, known)}?" for name in sorted(ours)]
