"""Tells ClickHouse's failures apart: a connection that broke, a login refused, a statement refused."""

from __future__ import annotations

import re

import requests
from clickhouse_connect.driver.exceptions import ClickHouseError
from clickhouse_driver.errors import Error as NativeError
from clickhouse_sqlalchemy.exceptions import DatabaseException
from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from sentinel_etl.errors import SentinelError, WarehouseUnreachable

__all__ = ["warehouse_failed"]


# A server that is away or starting, and a connection that broke, may be back: others' words and ours.
PASSING = re.compile(
    r"Connection refused|Connection reset|Connection aborted|Broken pipe|timed out|Remote end closed|"
    r"Max retries exceeded|Unexpected EOF|Temporary failure in name resolution|Code: (209|210|279)"
)


def warehouse_failed(engine: Engine, error: Exception) -> SentinelError:
    """Tell a broken or refused connection from a statement that the server refused."""
    cause = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
    message = " ".join(str(cause).split())
    refused = re.search(r"Code: (\d+)", message)
    # 192-194 and 516: unknown user or wrong password; 81: unknown database; 209, 210: the network
    # (ClickHouse's src/Common/ErrorCodes.cpp).
    if refused and int(refused[1]) not in (81, 192, 193, 194, 209, 210, 516):
        if "No space left" in message or refused[1] == "243":
            message = f"its disk is full; free some space there, then run it again ({message})"
        return SentinelError(f"the warehouse refused a statement: {message[:600]}")
    login = refused and int(refused[1]) not in (209, 210)
    reason = "the user, password or database is refused" if login else shorten_connection_error(message)
    return WarehouseUnreachable(
        f"expected ClickHouse at {engine.url.host}:{engine.url.port}, database {engine.url.database}; found: "
        f"{reason}. Check that it runs and that SENTINEL_WAREHOUSE_URL is right"
    )


def shorten_connection_error(message: str) -> str:
    known = re.search(r"Connection refused|timed out|Name or service not known|Connection reset|Broken pipe", message)
    return known[0] if known else message[:200]


CONNECTION_ERRORS = (DBAPIError, DatabaseException, requests.RequestException, NativeError, OSError, EOFError)


def may_pass(error: BaseException) -> bool:
    """Tell whether it was the connection that failed, for a reason that may pass."""
    return isinstance(error, (*CONNECTION_ERRORS, ClickHouseError, WarehouseUnreachable)) and bool(
        PASSING.search(" ".join(str(error).split()))
    )
