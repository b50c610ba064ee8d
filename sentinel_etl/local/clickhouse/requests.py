"""Reads a request of ClickHouse's HTTP interface: who asks, for what, in which surroundings.

After ClickHouse's src/Server/HTTPHandler.cpp and its documentation of the HTTP interface.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hmac
import re
import uuid
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field, replace
from urllib.parse import parse_qsl, unquote_plus

from starlette.datastructures import Headers
from starlette.types import Receive

from sentinel_etl.local.clickhouse.bodies import BodyDecoder, parse_multipart
from sentinel_etl.local.clickhouse.errors import Code, StatementFailed
from sentinel_etl.local.clickhouse.jobs import ExternalTable, SessionKey, StatementJob, checked_format
from sentinel_etl.wording import plural

__all__ = ["ClientGone", "QueryRequest", "RequestLimits", "check_credentials", "receive_request"]


# ClickHouse's defaults: default_session_timeout and max_session_timeout of its server settings.
DEFAULT_SESSION_TIMEOUT_S = 60
MAX_SESSION_TIMEOUT_S = 3600

# URL parameters that are neither settings nor query parameters; some say nothing to this endpoint.
_RESERVED = frozenset(
    {
        "buffer_size",
        "client_protocol_version",
        "close_session",
        "compress",
        "database",
        "decompress",
        "default_format",
        "password",
        "query",
        "query_id",
        "quota_key",
        "role",
        "session_check",
        "session_id",
        "session_timeout",
        "stacktrace",
        "user",
        "wait_end_of_query",
    }
)
_URL_CREDENTIAL = re.compile(rb"(?:^|&)(user|password)=([^&]*+)")
_MOST_PARAMETERS = 10_000

# Bytes of a decoded body handed on at a time.
_PIECE_BYTES = 1024 * 1024

# What belongs to an external table of a multipart request: name_format, name_structure, name_types.
_TABLE_SUFFIXES = ("_format", "_structure", "_types")


@dataclass(frozen=True)
class RequestLimits:
    """How much one client may ask of the process.

    Attributes:
        connections: statements running at a time; further ones wait. Each may use every core.
        body_bytes: decoded bytes of a request's body. An insert is streamed, so this bounds disk,
            not memory.
        statement_bytes: bytes of a statement other than a streamed INSERT; it is held in memory. The
            engine's max_query_size (256 KiB by default) applies besides.
        url_bytes: bytes of URL and headers together, as ClickHouse's http_max_uri_size.
        grace_s: seconds that running requests have to finish after SIGTERM.
    """

    connections: int = 16
    body_bytes: int = 16 * 1024**3
    statement_bytes: int = 64 * 1024**2
    url_bytes: int = 1024**2
    grace_s: int = 5


class ClientGone(Exception):
    """The client hung up before its request or our answer was complete."""


@dataclass(frozen=True)
class QueryRequest:
    """One request. ``sql`` is the URL's part of the statement; a body follows it.

    ``tables`` holds the URL's words about external tables, by parameter name.
    """

    sql: str
    job: StatementJob
    default_format: str
    answer_encodings: str
    wait_end: bool
    tables: Mapping[str, str] = field(default_factory=dict)


def _credentials(headers: Headers, parameters: Mapping[str, str]) -> tuple[str, str]:
    in_headers = "x-clickhouse-user" in headers or "x-clickhouse-key" in headers
    in_url = "user" in parameters or "password" in parameters
    authorization = headers.get("authorization", "")
    if in_headers + in_url + bool(authorization) > 1:
        raise StatementFailed(
            Code.AUTHENTICATION_FAILED,
            "Invalid authentication: it is not allowed to use more than one of X-ClickHouse headers, "
            "Authorization HTTP header and authentication via parameters.",
        )
    if in_headers:
        return headers.get("x-clickhouse-user", "default"), headers.get("x-clickhouse-key", "")
    if authorization:
        scheme, _, encoded = authorization.partition(" ")
        try:
            decoded = base64.b64decode(encoded, validate=True).decode("utf-8", "surrogateescape")
        except binascii.Error:
            decoded = ""
        if scheme.lower() != "basic":
            raise StatementFailed(
                Code.AUTHENTICATION_FAILED,
                f"Invalid authentication: '{scheme}' HTTP Authorization scheme is not supported.",
            )
        user, _, password = decoded.partition(":")
        return user, password
    return parameters.get("user", "default"), parameters.get("password", "")


def check_credentials(headers: Headers, query_string: bytes, user: str, password: str) -> None:
    """Check name and password, given by Basic auth, X-ClickHouse headers or URL parameters.

    Raises:
        StatementFailed: AUTHENTICATION_FAILED.
    """
    # Of who has not given a password yet, only the two names are looked for, in their plain spelling.
    in_url = dict(_URL_CREDENTIAL.findall(query_string))
    given = {
        name.decode(): unquote_plus(value.decode("latin-1"), errors="surrogateescape") for name, value in in_url.items()
    }
    asked_user, asked_password = _credentials(headers, given)
    # Both are compared, whatever the first says, in a time that does not depend on what is wrong.
    same_user = hmac.compare_digest(_raw(asked_user), _raw(user))
    same_password = hmac.compare_digest(_raw(asked_password), _raw(password))
    if not same_user & same_password:
        raise StatementFailed(
            Code.AUTHENTICATION_FAILED,
            f"{asked_user}: Authentication failed: password is incorrect, or there is no user with such name.",
        )


def _raw(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _parameters(query_string: bytes) -> dict[str, str]:
    # Counted before they are parsed: a million of them would keep everybody else waiting.
    if query_string.count(b"&") >= _MOST_PARAMETERS:
        raise StatementFailed(
            Code.BAD_ARGUMENTS, f"Too many parameters in the URL: expected at most {_MOST_PARAMETERS}."
        )
    return dict(parse_qsl(query_string.decode("latin-1"), keep_blank_values=True, errors="surrogateescape"))


def _flag(parameters: Mapping[str, str], name: str) -> bool:
    return parameters.get(name, "0").lower() in ("1", "true")


def _session(parameters: Mapping[str, str]) -> SessionKey | None:
    if "session_id" not in parameters:
        return None
    stated = parameters.get("session_timeout", str(DEFAULT_SESSION_TIMEOUT_S))
    if not stated.isascii() or not stated.isdigit():
        raise StatementFailed(Code.INVALID_SESSION_TIMEOUT, f"Invalid session timeout: '{stated}'.")
    if int(stated) > MAX_SESSION_TIMEOUT_S:
        raise StatementFailed(
            Code.INVALID_SESSION_TIMEOUT,
            f"Session timeout '{stated}' is larger than max_session_timeout: {MAX_SESSION_TIMEOUT_S}.",
        )
    return SessionKey(parameters["session_id"], int(stated), parameters.get("session_check") == "1")


def _read_request(
    method: str, headers: Headers, query_string: bytes, form: Mapping[str, str] | None = None
) -> QueryRequest:
    """Read a request's URL and headers, and the plain fields of its ``form`` where it is multipart.

    Settings are whatever the URL names and this interface does not: an unknown one is the engine's
    to refuse. GET and HEAD may only read.

    Raises:
        StatementFailed: INVALID_SESSION_TIMEOUT; UNKNOWN_FORMAT; BAD_ARGUMENTS for too many parameters, or a
            query id with control characters; NOT_IMPLEMENTED for ``compress=1`` and ``decompress=1``, the
            native protocol's framing, which this endpoint does not speak.
    """
    parameters = _parameters(query_string) | dict(form or {})
    for framing in ("compress", "decompress"):
        if _flag(parameters, framing):
            raise StatementFailed(
                Code.NOT_IMPLEMENTED,
                f"{framing}=1 is not spoken here: use Content-Encoding, or Accept-Encoding with "
                "enable_http_compression=1.",
            )
    multipart = form is not None
    settings: dict[str, str] = {}
    bound: dict[str, str] = {}
    tables: dict[str, str] = {}
    for name, value in parameters.items():
        if name in _RESERVED or not name:
            continue
        if name.startswith("param_"):
            bound[name.removeprefix("param_")] = value
        elif multipart and name.endswith(_TABLE_SUFFIXES):
            tables[name] = value
        else:
            settings[name] = value
    query_id = parameters.get("query_id") or headers.get("x-clickhouse-query-id") or str(uuid.uuid4())
    if not query_id.isprintable():  # it is sent back in a header
        raise StatementFailed(Code.BAD_ARGUMENTS, "Invalid query_id: expected characters that can be printed.")
    job = StatementJob(
        query_id=query_id,
        database=headers.get("x-clickhouse-database") or parameters.get("database") or None,
        settings=settings,
        parameters=bound,
        read_only=method in ("GET", "HEAD") or settings.get("readonly", "0") != "0",
        session=_session(parameters),
    )
    compresses = _flag(parameters, "enable_http_compression")
    return QueryRequest(
        sql=parameters.get("query", ""),
        job=job,
        default_format=checked_format(
            headers.get("x-clickhouse-format") or parameters.get("default_format") or "TabSeparated"
        ),
        answer_encodings=headers.get("accept-encoding", "") if compresses else "",
        wait_end=_flag(parameters, "wait_end_of_query"),
        tables=tables,
    )


async def _decoded_body(receive: Receive, encoding: str, limit: int) -> AsyncIterator[bytes]:
    """Receive the request's body, decoded, in pieces of about a megabyte.

    Raises:
        ClientGone: the connection closed first.
        StatementFailed: CANNOT_DECOMPRESS, or QUERY_IS_TOO_LARGE beyond ``limit`` decoded bytes.
    """
    decoder = BodyDecoder(encoding)
    gathered = bytearray()
    total = 0
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        more = message.get("more_body", False)
        for piece in decoder.feed(message.get("body", b"")):
            gathered += piece
            total += len(piece)
            if total > limit:
                raise StatementFailed(
                    Code.QUERY_IS_TOO_LARGE,
                    f"Request body is too large: expected at most {limit} {plural(limit, 'byte')}.",
                )
            if len(gathered) >= _PIECE_BYTES:
                yield bytes(gathered)
                gathered.clear()
    decoder.finish()
    if gathered:
        yield bytes(gathered)


async def receive_request(
    method: str, headers: Headers, query_string: bytes, receive: Receive, limits: RequestLimits
) -> tuple[QueryRequest, AsyncIterator[bytes]]:
    """Read what stands before the body; a multipart body is read whole, as it holds parameters and tables.

    Raises:
        StatementFailed: as :func:`_read_request` and :func:`parse_multipart`.
    """
    encoding = headers.get("content-encoding", "")
    content_type = headers.get("content-type", "")
    if not content_type.startswith("multipart/form-data"):
        return _read_request(method, headers, query_string), _decoded_body(receive, encoding, limits.body_bytes)
    body = _decoded_body(receive, encoding, limits.statement_bytes)
    whole = b"".join([piece async for piece in body])
    parts = await asyncio.to_thread(parse_multipart, content_type, whole)
    form = {part.name: part.content.decode("utf-8", "surrogateescape") for part in parts if not part.is_file}
    request = _read_request(method, headers, query_string, form)
    tables = tuple(ExternalTable.described(part.name, part.content, request.tables) for part in parts if part.is_file)
    return replace(request, job=replace(request.job, tables=tables)), _nothing()


async def _nothing() -> AsyncIterator[bytes]:
    return
    yield b""
