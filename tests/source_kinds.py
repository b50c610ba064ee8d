"""Source databases of another kind than usual: ``TEST_SOURCE=german``, ``latin1`` or ``german,latin1`` for `make test`.

Whatever a database has set for its sessions, and whatever its encoding is, every test must pass all the same. In
LATIN1 stands the sample city, with its texts in ASCII; databases that a test fills by itself are in UTF-8. A test that
writes into the city what LATIN1 has no letters for is skipped, there alone.
"""

from __future__ import annotations

import os
import sys
from typing import Any

import pytest

__all__ = ["CITY", "NEEDS_LETTERS", "create_source", "is_beyond_latin1", "write_city_in_ascii"]

# The template of a database that is to hold the sample city.
CITY = "the sample city"

SETTINGS = {
    "datestyle": "German",
    "timezone": "America/New_York",
    "intervalstyle": "iso_8601",
    "bytea_output": "escape",
    "extra_float_digits": "0",
}


def kinds_of_source() -> set[str]:
    kinds = {*os.environ.get("TEST_SOURCE", "").split(",")} - {""}
    if unknown := kinds - {"german", "latin1"}:
        raise ValueError(f"TEST_SOURCE: expected german, latin1 or german,latin1, found {', '.join(sorted(unknown))}")
    return kinds


# For tests of the city's own letters, which are not there where its texts are in ASCII.
NEEDS_LETTERS = pytest.mark.skipif("latin1" in kinds_of_source(), reason="in LATIN1 the city's texts are in ASCII")


def create_source(name: str, template: str | None) -> list[str]:
    """Write the statements that make a database of the kind that is asked for."""
    kinds = kinds_of_source()
    create = f"CREATE DATABASE {name} TEMPLATE {'template0' if template in (None, CITY) else template}"
    if template in (None, CITY):  # a server has an encoding and a locale of its own; a copy has its template's
        encoding = "LATIN1" if "latin1" in kinds and template == CITY else "UTF8"
        create += f" ENCODING '{encoding}' LC_COLLATE 'C' LC_CTYPE 'C'"
    settings = SETTINGS if "german" in kinds else {}
    return [create, *(f"ALTER DATABASE {name} SET {each} = '{value}'" for each, value in settings.items())]


def is_beyond_latin1(failure: str) -> bool:
    """Tell whether a test failed because it wrote what a source in LATIN1 has no letters for."""
    return "latin1" in kinds_of_source() and 'has no equivalent in encoding "LATIN1"' in failure


def write_city_in_ascii() -> None:
    """Let the sample city's texts be ASCII where the source is in LATIN1, which has no Kannada."""
    if "latin1" not in kinds_of_source():
        return
    for module in [each for name, each in sys.modules.items() if name.startswith("sentinel_etl.city.")]:
        for name, value in list(vars(module).items()):
            if name.isupper():
                setattr(module, name, in_ascii(value))


def in_ascii(value: Any) -> Any:
    if isinstance(value, str):
        return "".join(letter if letter.isascii() else f"u{ord(letter):x}" for letter in value)
    if isinstance(value, tuple | list):
        return type(value)(map(in_ascii, value))
    if isinstance(value, dict):
        return {key: in_ascii(each) for key, each in value.items()}
    return value
