"""The query endpoint of the local warehouse: one request in, one answer out."""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TypeVar

from starlette.datastructures import Headers
from starlette.types import Receive, Scope, Send

from sentinel_etl.local.clickhouse.answers import Answer, ResultPipe, choose_encoding, content_type_of
from sentinel_etl.local.clickhouse.engine import Engine
from sentinel_etl.local.clickhouse.errors import Code, StatementFailed
from sentinel_etl.local.clickhouse.jobs import Outcome, StatementJob, quote_string
from sentinel_etl.local.clickhouse.requests import (
    ClientGone,
    QueryRequest,
    RequestLimits,
    check_credentials,
    receive_request,
)
from sentinel_etl.local.clickhouse.sql_guard import (
    InsertHead,
    Statement,
    kill_by_client_id,
    read_insert_head,
    read_statement,
)

__all__ = ["Endpoint"]


log = logging.getLogger(__name__)

_T = TypeVar("_T")

DISPLAY_NAME = "sentinel-local"

# Bytes within which the words FORMAT or VALUES of an INSERT must come for its data to be streamed.
_INSERT_HEAD_BYTES = 1024 * 1024


class Endpoint:
    """The query endpoint, an ASGI application."""

    def __init__(self, engine: Engine, user: str, password: str, limits: RequestLimits) -> None:
        self._engine = engine
        self._user = user
        self._password = password
        self._limits = limits
        # A few threads over the limit, so that KILL QUERY gets through when all slots are taken.
        self._threads = ThreadPoolExecutor(limits.connections + 4, thread_name_prefix="statement")
        self._slots = asyncio.Semaphore(limits.connections)
        self._running: set[str] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        answer = Answer(send, None, self._engine.spool, wait_end=True)
        try:
            check_credentials(headers, scope["query_string"], self._user, self._password)
            if scope["method"] not in ("GET", "HEAD", "POST"):
                await _answer_method(scope["method"], send)
                return
            request, body = await receive_request(
                scope["method"], headers, scope["query_string"], receive, self._limits
            )
            for table in request.job.tables:
                await self._parsed(_latin(table.definition))
            answer.close()
            encoding = choose_encoding(request.answer_encodings)
            answer = Answer(send, encoding, self._engine.spool, request.wait_end)
            await self._serve(request, body, receive, answer)
        except ClientGone:
            log.info("a client hung up")
        except StatementFailed as error:
            await answer.fail(error.http_status, error.code, error.rendered(self._engine.version))
        finally:
            answer.close()

    async def close(self) -> None:
        """Cancel what still runs and wait for its threads."""
        await asyncio.to_thread(self._engine.kill_all)
        await asyncio.to_thread(self._threads.shutdown)

    async def _run(self, call: Callable[..., _T], *arguments: object) -> _T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, call, *arguments)

    async def _serve(self, request: QueryRequest, body: AsyncIterator[bytes], receive: Receive, answer: Answer) -> None:
        query_id = request.job.query_id
        if query_id in self._running:
            raise StatementFailed(
                Code.QUERY_WITH_SAME_ID_IS_ALREADY_RUNNING, f"Query with id = {query_id} is already running."
            )
        answer.headers |= {
            "X-ClickHouse-Server-Display-Name": DISPLAY_NAME,
            "X-ClickHouse-Query-Id": query_id,
            "X-ClickHouse-Timezone": self._engine.timezone,
        }
        self._running.add(query_id)
        try:
            text, head = await self._statement_text(request, body)
            if head is not None:
                async with self._slots:
                    outcome = await self._insert(request.job, head, text[head.data_start :], body)
                await answer.finish(outcome)
                return
            await self._serve_statement(request, await self._parsed(text), receive, answer)
        finally:
            self._running.discard(query_id)

    async def _parsed(self, text: str) -> Statement:
        return await self._read(read_statement, text, self._engine.reach)

    async def _insert_head(self, text: str, complete: bool) -> InsertHead | None:
        return await self._read(read_insert_head, text, complete, self._engine.reach)

    async def _read(self, read: Callable[..., _T], text: str, *arguments: object) -> _T:
        # A long text is read in a thread: a megabyte of INSERT … SELECT takes a second.
        if len(text) < 65_536:
            return read(text, *arguments)
        return await self._run(read, text, *arguments)

    async def _statement_text(self, request: QueryRequest, body: AsyncIterator[bytes]) -> tuple[str, InsertHead | None]:
        """Read the statement: the URL's part, a line break, the body, as ClickHouse joins them.

        Reading stops behind the head of an INSERT whose data follows.
        """
        text = _latin(request.sql + "\n" if request.sql else "")
        head = await self._insert_head(text, False) if text else None
        pieces = [text]
        size, may_insert = len(text), True
        if head is None:
            async for piece in body:
                pieces.append(piece.decode("latin-1"))
                size += len(piece)
                if size > self._limits.statement_bytes:
                    raise StatementFailed(
                        Code.QUERY_IS_TOO_LARGE,
                        f"Statement is too large: expected at most {self._limits.statement_bytes} bytes.",
                    )
                if may_insert:
                    text = "".join(pieces)
                    if head := await self._insert_head(text, False):
                        return text, head
                    may_insert = size < _INSERT_HEAD_BYTES
            text = "".join(pieces)
            head = await self._insert_head(text, True) if may_insert else None
        return text, head

    async def _insert(self, job: StatementJob, head: InsertHead, first: str, body: AsyncIterator[bytes]) -> Outcome:
        """Stream an INSERT's data into the engine: at most two pieces are held at a time.

        A body that breaks off, or a piece that does not parse, cancels the insert; what stays then
        is said at :class:`~sentinel_etl.local.clickhouse.inserts.InsertStream`.
        """
        stream = await self._run(self._engine.begin_insert, job, _utf8(head.target), _utf8(head.clauses), head.format)
        under_way: asyncio.Future[None] | None = None
        try:
            if first:
                await self._run(stream.append, first.encode("latin-1"))
            async for piece in body:
                if under_way is not None:
                    await under_way
                # The next piece arrives while the engine parses this one.
                under_way = asyncio.ensure_future(self._run(stream.append, piece))
            if under_way is not None:
                await under_way
            return await self._run(stream.finish)
        except BaseException:
            if under_way is not None:
                await asyncio.wait([under_way])
            await asyncio.shield(self._run(stream.cancel))
            raise

    async def _serve_statement(
        self, request: QueryRequest, statement: Statement, receive: Receive, answer: Answer
    ) -> None:
        job = replace(request.job, changes_session=statement.verb in ("set", "use"))
        if job.session is not None and job.read_only and not statement.reads_only:
            # readonly cannot be taken off a session's connection again, so it is not put on it.
            raise StatementFailed(Code.READONLY, f"{self._user}: Cannot execute query in readonly mode.")
        format_name = statement.format or request.default_format
        answer.headers["Content-Type"] = content_type_of(format_name)
        if statement.verb == "kill":
            statement = await self._run(kill_by_client_id, statement)
            await answer.finish_with(await self._run(self._engine.execute, job, _utf8(statement.text), format_name))
            return
        async with self._slots:
            if statement.streams:
                answer.headers["X-ClickHouse-Format"] = format_name
                await self._select(job, statement, format_name, receive, answer)
                return
            outcome = await self._run(self._engine.execute, job, _utf8(statement.text), format_name)
        if outcome.output:
            answer.headers["X-ClickHouse-Format"] = format_name
        await answer.finish_with(outcome)

    async def _select(
        self, job: StatementJob, statement: Statement, format_name: str, receive: Receive, answer: Answer
    ) -> None:
        """Stream a SELECT's result; a client that hangs up cancels the query."""
        name = uuid.uuid4().hex
        path = self._engine.make_pipe(name)
        pipe = ResultPipe(path)
        sql = _utf8(statement.into_file(_latin(quote_string(str(path))), format_name))
        done = asyncio.ensure_future(self._run(self._engine.execute, job, sql, format_name))
        listening = asyncio.ensure_future(_hangs_up(receive))
        piped = asyncio.ensure_future(self._pump(pipe, done, answer))
        try:
            await asyncio.wait([listening, piped], return_when=asyncio.FIRST_COMPLETED)
            if not piped.done():
                raise ClientGone
            await answer.finish(piped.result())
        finally:
            for task in (listening, piped):
                task.cancel()
            await asyncio.wait([listening, piped])
            pipe.close()
            if not done.done():
                # A query that has nothing to write does not notice that its pipe is gone.
                await asyncio.shield(self._run(self._engine.kill_reader, name))
                await asyncio.wait([done])
            if not done.cancelled():
                done.exception()

    @staticmethod
    async def _pump(pipe: ResultPipe, done: asyncio.Future[Outcome], answer: Answer) -> Outcome:
        # The last piece waits for the statement's end: a client that has read the end of its format
        # sends its next request at once, and must find the session free.
        last = b""
        while piece := await pipe.read(done):
            if last:
                await answer.write(last)
            last = piece
        outcome = done.result()
        await answer.write(last)
        return outcome


async def _hangs_up(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _latin(text: str) -> str:
    return text.encode("utf-8", "surrogateescape").decode("latin-1")


def _utf8(text: str) -> str:
    return text.encode("latin-1").decode("utf-8", "surrogateescape")


async def _answer_method(method: str, send: Send) -> None:
    status = 204 if method == "OPTIONS" else 405
    headers = [(b"allow", b"GET, HEAD, POST, OPTIONS")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": b""})
