"""Source databases of another kind than usual: ``TEST_SOURCE=german`` or ``TEST_SOURCE=latin1`` before ``make test``.

Whatever a database has set for its sessions, and whatever its encoding is, every test must pass all the same.
"""

from __future__ import annotations

import os
import sys
from typing import Any

from sqlalchemy import Engine, text

__all__ = ["create_source", "source_is", "write_city_in_ascii"]

SETTINGS = {
    "datestyle": "German",
    "timezone": "America/New_York",
    "intervalstyle": "iso_8601",
    "bytea_output": "escape",
    "extra_float_digits": "0",
}


def kind_of_source() -> str:
    kind = os.environ.get("TEST_SOURCE", "")
    if kind not in ("", "german", "latin1"):
        raise ValueError(f"TEST_SOURCE: expected german or latin1, found {kind!r}")
    return kind


def create_source(name: str, template: str | None) -> list[str]:
    """Write the statements that make a database of the kind that is asked for."""
    kind = kind_of_source()
    create = f"CREATE DATABASE {name} TEMPLATE {template or 'template0'}"
    if kind == "latin1" and template is None:
        create += " ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C'"
    settings = SETTINGS if kind == "german" else {}
    return [create, *(f"ALTER DATABASE {name} SET {each} = '{value}'" for each, value in settings.items())]


def source_is(engine: Engine, encoding: str) -> bool:
    with engine.connect() as connection:
        return connection.scalar(text("SELECT current_setting('server_encoding')")) == encoding


def write_city_in_ascii() -> None:
    """Let the sample city's texts be ASCII where the source is in LATIN1, which has no Kannada."""
    if kind_of_source() != "latin1":
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
