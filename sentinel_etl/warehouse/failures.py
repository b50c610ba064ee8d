"""Tells ClickHouse's failures apart: a connection that broke, a login refused, a statement refused."""

from __future__ import annotations

import errno
import os
import re

import requests
from clickhouse_connect.driver.exceptions import ClickHouseError
from clickhouse_sqlalchemy.drivers.http.exceptions import HTTPException
from clickhouse_sqlalchemy.exceptions import DatabaseException
from sqlalchemy import URL, Engine
from urllib3.exceptions import HTTPError

from sentinel_etl.errors import SentinelError, WarehouseUnreachable
from sentinel_etl.loopback import proxy_variable
from sentinel_etl.origin import advice_for
from sentinel_etl.warehouse.address import authority, complete_port, describe_warehouse, is_secure
from sentinel_etl.wording import without_statement

__all__ = [
    "CONNECTION_ERRORS",
    "READONLY",
    "SETTING_CODES",
    "server_code",
    "server_sentence",
    "warehouse_failed",
    "warehouse_may_recover",
]


# The server's own numbers of its errors; clickhouse_driver uses the first two for its own, too.
# https://github.com/ClickHouse/ClickHouse/blob/master/src/Common/ErrorCodes.cpp
SOCKET_TIMEOUT = 209
NETWORK_ERROR = 210
ALL_CONNECTION_TRIES_FAILED = 279  # by the server, to its shards
NOT_ENOUGH_SPACE = 243
UNKNOWN_DATABASE = 81
# Unknown user, wrong password, password required, authentication failed.
LOGIN_CODES = (192, 193, 194, 516)

READONLY = 164

# Unknown setting, and two that say that this user may not set it: readonly, or bounded to other values.
SETTING_CODES = (115, READONLY, 452)

# OpenSSL's words; a check that failed fails again.
UNTRUSTED = "CERTIFICATE_VERIFY_FAILED"

# The operating system's words, which the server repeats under many codes.
DISK_FULL = os.strerror(errno.ENOSPC)

# What the drivers of the engine raise. An error of clickhouse_driver comes within a DatabaseException.
CONNECTION_ERRORS = (DatabaseException, OSError, EOFError)

# A connection that was not made, or broke, or an answer that did not come. urllib3's stand behind
# those of clickhouse-connect.
TRANSPORT_ERRORS = (
    requests.ConnectionError,
    requests.Timeout,
    requests.exceptions.ChunkedEncodingError,
    HTTPError,
    ConnectionError,
    TimeoutError,
    EOFError,
)


REFUSED = "the warehouse refused a statement"


def server_code(error: BaseException | None) -> int | None:
    """Give the server's number for an error; None where it was not the server that failed."""
    if not isinstance(error, DatabaseException | ClickHouseError):
        return None
    cause = error.orig if isinstance(error, DatabaseException) else error
    # Of an HTTP answer clickhouse-sqlalchemy 0.3.2 keeps the text alone, and HTTP's status as its code.
    code: int | None = None if isinstance(cause, HTTPException) else getattr(cause, "code", None)
    if code is None:
        # clickhouse-connect reads a header, which a proxy may have taken away.
        found = re.search(r"Code: (\d+)", str(cause))
        code = int(found[1]) if found else None
    return code


def warehouse_may_recover(error: BaseException) -> bool:
    """Tell whether a failure may pass: a server that is away or starting, a connection that broke."""
    code = server_code(error)
    if UNTRUSTED in str(error):
        return False
    if code is not None:
        return code in (SOCKET_TIMEOUT, NETWORK_ERROR, ALL_CONNECTION_TRIES_FAILED)
    if isinstance(error, ClickHouseError | WarehouseUnreachable):
        return error.__cause__ is not None and warehouse_may_recover(error.__cause__)
    return isinstance(error, TRANSPORT_ERRORS)


def warehouse_failed(engine: Engine, error: Exception) -> SentinelError:
    """Tell a broken or refused connection from a statement that the server refused."""
    message = without_statement(" ".join(str(error).split()))
    code = server_code(error)
    login = code in LOGIN_CODES or (code == UNKNOWN_DATABASE and names(message, engine.url.database))
    if code is not None and not login and code not in (SOCKET_TIMEOUT, NETWORK_ERROR):
        message = server_sentence(error)
        if code == NOT_ENOUGH_SPACE or DISK_FULL in message:
            message = f"its disk is full; free some space there, then run it again ({message})"
        return SentinelError(f"{REFUSED}: {message[:600]}")
    if UNTRUSTED in message:
        return WarehouseUnreachable(
            f"expected ClickHouse at {authority(engine.url)} to show a certificate that is trusted here; found: "
            f"{shorten_certificate_error(message)}. Name the file of its authority in SENTINEL_WAREHOUSE_URL, as "
            "?protocol=https&verify=/path/ca.pem over HTTP, as ?secure=True&ca_certs=/path/ca.pem over native"
        )
    reason = "the user, password or database is refused" if login else shorten_connection_error(message)
    return WarehouseUnreachable(
        f"expected {describe_warehouse(engine.url)}; found: "
        f"{reason}. {advice_for(engine, 'SENTINEL_WAREHOUSE_URL')}{'' if login else blame(engine.url)}"
    )


def names(message: str, database: str | None) -> bool:
    """Tell whether an unknown database is the URL's own, and not one that a statement names."""
    return re.search(rf"(?<!\w){re.escape(database or 'default')}(?!\w)", message) is not None


def server_sentence(error: BaseException) -> str:
    """Give the server's sentence and its name for the error, without what stands around them for programs.

    That is what the drivers and each server on the way put before it, all that a parser would have liked better,
    the server's version and the address.
    """
    message = without_statement(" ".join(str(error).split()))
    sentence = re.sub(r"\s*\(for url [^()]*\)$", "", message)
    sentence = re.sub(r"\.? Stack trace: .*", "", sentence)
    sentence = re.sub(r"^.*?\bCode: \d+\. DB::Exception: (?:Received from \S+ DB::Exception: )?", "", sentence)
    sentence = re.sub(r" Expected one of: .*(?= \([A-Z_]+\))", "", sentence)
    sentence = re.sub(r" \(version [^()]*(?:\([^()]*\))?\)\.?", "", sentence)
    sentence = re.sub(r"( \([A-Z_]+\))\1+", r"\1", sentence).removeprefix(f"{REFUSED}: ")
    return sentence.strip() or message


def blame(url: URL) -> str:
    """Name the environment's variable that sends a request through a proxy; empty: none does."""
    if url.get_driver_name() != "http":
        return ""
    name = proxy_variable(f"{'https' if is_secure(url) else 'http'}://{authority(complete_port(url))}/")
    where = "sends it through a proxy: unset it, or name the host in no_proxy"
    return f". In the environment {name} {where}" if name else ""


def shorten_connection_error(message: str) -> str:
    """Shorten what is printed; nothing is decided by these words."""
    known = re.search(r"Connection refused|timed out|Name or service not known|Connection reset|Broken pipe", message)
    return known[0] if known else message[:200]


def shorten_certificate_error(message: str) -> str:
    known = re.search(r"certificate verify failed: ([^(\[\]]+)", message)
    return known[1].strip() if known else "that it is not"
