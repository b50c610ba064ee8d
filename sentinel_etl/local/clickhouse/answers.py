"""Answers of ClickHouse's HTTP interface: headers, held-back starts, errors in mid-stream."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import re
import secrets
import string
import tempfile
from pathlib import Path
from typing import IO

from starlette.types import Send

from sentinel_etl.local.clickhouse.bodies import BodyEncoder
from sentinel_etl.local.clickhouse.jobs import Outcome

__all__ = ["Answer", "ResultPipe", "choose_encoding", "content_type_of"]


# Bytes held back before an answer starts, so that an early failure still has a status of its own:
# ClickHouse's DBMS_DEFAULT_BUFFER_SIZE.
HOLD_BACK_BYTES = 1024 * 1024

# Bytes of an answer with wait_end_of_query=1 that are kept in memory; the rest waits in a file.
_SPOOL_BYTES = 16 * 1024 * 1024

_PIPE_BYTES = 1024 * 1024

# Order of preference in ClickHouse's chooseHTTPCompressionMethod (src/IO/CompressionMethod.cpp).
_ANSWER_ENCODINGS = ("zstd", "br", "lz4", "gzip", "deflate")

_CONTENT_TYPES = {
    "csv": "text/csv; charset=UTF-8; header=absent",
    "csvwithnames": "text/csv; charset=UTF-8; header=present",
    "csvwithnamesandtypes": "text/csv; charset=UTF-8; header=present",
    "json": "application/json; charset=UTF-8",
    "jsoncompact": "application/json; charset=UTF-8",
    "jsoneachrow": "application/x-ndjson; charset=UTF-8",
    "markdown": "text/markdown; charset=UTF-8",
    "tabseparated": "text/tab-separated-values; charset=UTF-8",
    "tabseparatedwithnames": "text/tab-separated-values; charset=UTF-8",
    "tabseparatedwithnamesandtypes": "text/tab-separated-values; charset=UTF-8",
    "tsv": "text/tab-separated-values; charset=UTF-8",
    "xml": "application/xml; charset=UTF-8",
}
_BINARY_FORMATS = (
    *("arrow", "avro", "bson", "msgpack", "native"),
    *("npy", "orc", "parquet", "protobuf", "rowbinary"),
)


def content_type_of(format_name: str) -> str:
    """Find a format's media type, as IOutputFormat::getContentType of ClickHouse gives it."""
    name = format_name.lower()
    if name.startswith(_BINARY_FORMATS):
        return "application/octet-stream"
    return _CONTENT_TYPES.get(name, "text/plain; charset=UTF-8")


def choose_encoding(accepted: str) -> str | None:
    """Choose an answer's encoding from ``Accept-Encoding``, in ClickHouse's order of preference.

    A method with ``q=0`` is left out; other weights are not looked at, as in ClickHouse.
    """
    names: set[str] = set()
    for entry in accepted.lower().split(","):
        name, _, weight = entry.partition(";")
        if not re.fullmatch(r"\s*q=0(\.0*)?\s*", weight):
            names.add(name.strip())
    return next((name for name in _ANSWER_ENCODINGS if name in names), None)


def summary_of(outcome: Outcome) -> str:
    """Render ``X-ClickHouse-Summary``: a JSON object whose numbers are strings."""
    counts = {
        "read_rows": outcome.read_rows,
        "read_bytes": outcome.read_bytes,
        "written_rows": outcome.written_rows,
        "written_bytes": outcome.written_bytes,
        "total_rows_to_read": outcome.read_rows,
        "result_rows": outcome.result_rows or outcome.written_rows,
        "result_bytes": outcome.result_bytes or outcome.written_bytes,
        "elapsed_ns": round(outcome.elapsed_s * 1e9),
    }
    return json.dumps({name: str(count) for name, count in counts.items()}, separators=(",", ":"))


class ResultPipe:
    """The named pipe through which a SELECT leaves the engine in the format asked for.

    ``Connection.send_query`` cannot serve: it formats each block by itself, so that ArrowStream,
    JSON, Parquet and every format with a header come out as several documents. Written into a
    pipe by ``INTO OUTFILE``, the result is one document, and a slow client slows the query.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        # Open for writing too: the pipe never reports an end, and the engine never waits to open it.
        # The end is known from the statement being over.
        self._descriptor = os.open(path, os.O_RDWR | os.O_NONBLOCK)
        if hasattr(fcntl, "F_SETPIPE_SZ"):
            fcntl.fcntl(self._descriptor, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)

    async def read(self, done: asyncio.Future[Outcome]) -> bytes:
        """Read what there is, waiting for some; empty when the statement is ``done`` and all is read."""
        loop = asyncio.get_running_loop()
        while True:
            finished = done.done()
            try:
                return os.read(self._descriptor, _PIPE_BYTES)
            except BlockingIOError:
                if finished:
                    return b""
            woken = asyncio.Event()

            def wake(_: object = None, woken: asyncio.Event = woken) -> None:
                woken.set()

            loop.add_reader(self._descriptor, wake)
            done.add_done_callback(wake)
            try:
                await woken.wait()
            finally:
                done.remove_done_callback(wake)
                loop.remove_reader(self._descriptor)

    def close(self) -> None:
        """Close and remove the pipe; a query that still writes to it fails."""
        os.close(self._descriptor)
        self._path.unlink(missing_ok=True)


class Answer:
    """One answer: held back at first, then streamed.

    An error before the start has its status. One after it is written into the body between
    ``__exception__`` marks with the tag of ``X-ClickHouse-Exception-Tag``, and the connection closes
    without the last chunk, as ClickHouse has done since 25.11: no client takes it for a whole answer.
    """

    def __init__(self, send: Send, encoding: str | None, spool_dir: Path, wait_end: bool) -> None:
        self._send = send
        self._encoding = encoding
        self._encoder = BodyEncoder(encoding) if encoding else None
        self._limit = None if wait_end else HOLD_BACK_BYTES
        self._held: IO[bytes] = tempfile.SpooledTemporaryFile(_SPOOL_BYTES, dir=str(spool_dir))  # noqa: SIM115
        self._tag = "".join(secrets.choice(string.ascii_lowercase) for _ in range(16))
        self.headers: dict[str, str] = {"X-ClickHouse-Exception-Tag": self._tag}
        self.started = False

    async def write(self, data: bytes) -> None:
        if self.started:
            await self._send_body(data)
            return
        self._held.write(data)
        if self._limit is not None and self._held.tell() > self._limit:
            await self._start(200, Outcome())

    async def finish(self, outcome: Outcome) -> None:
        """End a whole answer; the summary is complete where nothing had been sent before."""
        if not self.started:
            if self._encoder is None:
                self.headers["Content-Length"] = str(self._held.tell())
            await self._start(200, outcome)
        await self._end()

    async def finish_with(self, outcome: Outcome) -> None:
        """Send a whole answer whose body the outcome holds."""
        await self.write(outcome.output)
        await self.finish(outcome)

    async def fail(self, status: int, code: int, text: str) -> None:
        """End with an error, by status or, once rows have been sent, in the body."""
        message = text.encode("utf-8", "surrogateescape")
        if self.started:
            tag = self._tag.encode()
            block = b"\r\n__exception__\r\n%b\r\n%b%d %b\r\n__exception__\r\n"
            await self._send_body(block % (tag, message, len(message), tag))
            if self._encoder is not None:
                await self._send_raw(self._encoder.finish())
            return
        self._held.seek(0)
        self._held.truncate()
        self._held.write(message)
        self.headers["X-ClickHouse-Exception-Code"] = str(code)
        self.headers["Content-Type"] = "text/plain; charset=UTF-8"
        if self._encoder is None:
            self.headers["Content-Length"] = str(len(message))
        await self._start(status, Outcome())
        await self._end()

    def close(self) -> None:
        self._held.close()

    async def _start(self, status: int, outcome: Outcome) -> None:
        self.started = True
        self.headers["X-ClickHouse-Summary"] = summary_of(outcome)
        if self._encoding:
            self.headers["Content-Encoding"] = self._encoding
        raw = [(name.lower().encode(), value.encode("latin-1", "replace")) for name, value in self.headers.items()]
        await self._send({"type": "http.response.start", "status": status, "headers": raw})
        self._held.seek(0)
        while piece := self._held.read(HOLD_BACK_BYTES):
            await self._send_body(piece)

    async def _send_body(self, data: bytes) -> None:
        if self._encoder is not None:
            # Off the event loop: a megabyte takes Brotli some 10 ms.
            data = await asyncio.to_thread(self._encoder.feed, data)
        await self._send_raw(data)

    async def _send_raw(self, data: bytes) -> None:
        if data:
            await self._send({"type": "http.response.body", "body": data, "more_body": True})

    async def _end(self) -> None:
        rest = self._encoder.finish() if self._encoder is not None else b""
        await self._send({"type": "http.response.body", "body": rest, "more_body": False})
