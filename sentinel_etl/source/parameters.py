"""What a source's URL may ask for after its ``?``: what libpq reads, and what of psycopg's a text can say. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from typing import Any

from psycopg.pq import Conninfo
from sqlalchemy import URL

from sentinel_etl.errors import ConfigurationError

__all__ = ["LIBPQ_NAMES", "find_unusable", "take_driver_parameters"]


# https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-PARAMKEYWORDS
LIBPQ_NAMES = frozenset(option.keyword.decode() for option in Conninfo.get_defaults())

# Those that may stand in a URL more than once: SQLAlchemy joins the hosts, we the options.
REPEATABLE = ("host", "port", "options")

# What libpq says of a value that it cannot use, before it goes to the network, and what the server says of
# ``options`` that it cannot set. Words must do: neither gives an SQLSTATE.
UNUSABLE = re.compile(
    r"(?:connection is bad: |^)(invalid .*|definition of service .*|bad value for .*)|"
    r"(invalid integer value .*)|FATAL: +"
    r"(unrecognized configuration parameter .*|invalid (?:value for parameter|command-line argument) .*"
    r"|parameter \".*\" (?:requires|cannot be) .*|.* outside the valid range for parameter .*"
    r"|permission denied to set parameter .*)"
)


def find_unusable(reason: str) -> str | None:
    """Tell which parameter was refused, in the words of who refused it; none where something else went wrong."""
    found = UNUSABLE.search(reason)
    return next(filter(None, found.groups())).strip() if found else None


def threshold_of(text: str) -> int | None:
    """Read how often a statement is sent before it is prepared; ``none``: it never is, for a pooler's sake."""
    if not re.fullmatch(r"[0-9]+|none", text.lower()):
        raise ValueError(text)
    return None if text.lower() == "none" else int(text)


def truth_of(text: str) -> bool:
    return {"true": True, "1": True, "on": True, "false": False, "0": False, "off": False}[text.lower()]


# https://www.psycopg.org/psycopg3/docs/api/connections.html#psycopg.Connection.connect
# Its factories and context are Python objects, which no URL can name.
DRIVER_PARAMETERS: Mapping[str, tuple[Callable[[str], Any], str]] = {
    "prepare_threshold": (threshold_of, "a whole number or none"),
    "autocommit": (truth_of, "true or false"),
}


def take_driver_parameters(url: URL, setting: str) -> tuple[URL, dict[str, Any]]:
    """Part a URL into what libpq reads and what only psycopg does, by name → value.

    Raises:
        ConfigurationError: a parameter that neither knows, one given twice, or a value of psycopg's that is none.
    """
    driver: dict[str, Any] = {}
    for name, given in url.query.items():
        if name not in LIBPQ_NAMES and name not in DRIVER_PARAMETERS:
            close = get_close_matches(name, [*LIBPQ_NAMES, *DRIVER_PARAMETERS], n=1)
            hint = f"; did you mean {close[0]}?" if close else ". Take it out of the URL"
            raise ConfigurationError(
                f"{setting}: expected after its ? only parameters that libpq or psycopg reads from a URL, "
                f"found {name}{hint}"
            )
        if not isinstance(given, str):
            if name not in REPEATABLE:
                raise ConfigurationError(f"{setting}: expected the parameter {name} once, found it {len(given)} times")
        elif name in DRIVER_PARAMETERS:
            read, expected = DRIVER_PARAMETERS[name]
            try:
                driver[name] = read(given)
            except (KeyError, ValueError):
                raise ConfigurationError(f"{setting}: expected {name} to be {expected}, found {given!r}") from None
    return url.difference_update_query(driver), driver
