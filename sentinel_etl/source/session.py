"""What every session on the source has set, whatever server, database, role or URL say: it would change values. Pure.

The rest is the user's: what the URL's ``options`` set (search_path, role, time limits) is obeyed.
"""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import URL

__all__ = [
    "INSUFFICIENT_PRIVILEGE",
    "PINNED",
    "describe_denial",
    "describe_end",
    "own_options",
    "pin_statement",
    "session_options",
]


# How a value reads as text, and which rows there are. Each is in every PostgreSQL since 9.5.
# https://www.postgresql.org/docs/current/runtime-config-client.html
PINNED: Mapping[str, str] = {
    "timezone": "UTC",
    "datestyle": "ISO,YMD",
    "intervalstyle": "postgres",
    "bytea_output": "hex",
    "extra_float_digits": "3",  # the shortest text that is the same number
    "lc_monetary": "C",
    "lc_numeric": "C",
    "lc_time": "C",
    "xmlbinary": "base64",
    "standard_conforming_strings": "on",
    "transform_null_equals": "off",
    # A table whose policy would hide rows from this role is an error, and not a smaller night.
    # https://www.postgresql.org/docs/current/ddl-rowsecurity.html
    "row_security": "off",
}


# https://www.postgresql.org/docs/current/errcodes-appendix.html
INSUFFICIENT_PRIVILEGE = "42501"


def describe_denial(reason: str) -> str:
    """Say what PostgreSQL refuses the session's role, a right or a policy, and what to do."""
    return (
        f"expected the source's role to be allowed to read every row; found: {reason}. Grant it SELECT there and "
        "USAGE on the schema, or EXECUTE where a function is named; where a row-level security policy is named, "
        "BYPASSRLS, or read through a role that sees every row"
    )


# What ends a session or a statement from outside, by the server's words: an SQLSTATE is not always at hand, and
# 57014 and 55P03 have several causes. Then what it is, and what to do.
# https://www.postgresql.org/docs/current/runtime-config-client.html#RUNTIME-CONFIG-CLIENT-STATEMENT
ENDS: Mapping[str, tuple[str, str]] = {
    "transaction timeout": (
        "its transaction_timeout ended the transaction in which everything is read",
        "Have that raised for our role (ALTER ROLE … SET transaction_timeout = 0), or load a shorter window",
    ),
    "idle-in-transaction timeout": (
        "its idle_in_transaction_session_timeout ended a session that waited for the run to read on",
        "Raise SENTINEL_STATEMENT_TIMEOUT_SECONDS, which sets it, or load a shorter window",
    ),
    "idle-session timeout": (
        "its idle_session_timeout ended a session that waited for the run",
        "Have that raised for our role (ALTER ROLE … SET idle_session_timeout = 0)",
    ),
    "lock timeout": (
        "its lock_timeout ended the wait for a table that somebody has locked, such as a migration",
        "Run it again afterwards, or raise lock_timeout for our role or in the URL's options",
    ),
    "statement timeout": (
        "its statement_timeout ended a short statement of ours",
        "Raise it for our role or in the URL's options",
    ),
    "user request": ("somebody cancelled the statement (pg_cancel_backend)", "Ask who did, then run it again"),
    "administrator command": (
        "an administrator ended the session (pg_terminate_backend) or the server",
        "Ask who did, then run it again",
    ),
    "conflict with recovery": (
        "the standby gave up the statement for what it had to replay",
        "Raise max_standby_streaming_delay there, set hot_standby_feedback, or read from the primary",
    ),
}


def describe_end(reason: str) -> str | None:
    """Say what ended a session or a statement from outside, and what to do; none where it ended otherwise."""
    for words, (what, remedy) in ENDS.items():
        if f"due to {words}" in reason:
            return f"found that {what}. {remedy}"
    return None


def session_options(url: URL) -> str:
    """Write libpq's ``options`` of a session: the URL's own, then what is pinned, which so has the last word."""
    own = own_options(url)
    return " ".join([*([own] if own else []), *(f"-c {name}={value}" for name, value in PINNED.items())])


def own_options(url: URL) -> str:
    """Write the URL's own ``options``, which may be given in parts."""
    given = url.query.get("options", "")
    return given if isinstance(given, str) else " ".join(given)


def pin_statement() -> str:
    """Write the statement that pins them in a transaction that is open."""
    pinned = ", ".join(f"set_config('{name}', '{value}', true)" for name, value in PINNED.items())
    return f"SELECT {pinned}"
