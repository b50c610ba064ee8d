"""The embedded ClickHouse engine: its data directory, its access rights, its connections.

Every statement without a session gets a connection of its own: opening one to the running engine
costs about 0.2 ms (measured, chdb 4.4), it starts with the default settings, and closing it takes
every ``SET``, parameter and temporary table along. So nothing can leak from one request into the
next, and nothing needs to be appended to anyone's SQL.
"""

from __future__ import annotations

import json
import os
import shutil
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from sentinel_etl.errors import ConfigurationError, SentinelError
from sentinel_etl.local.clickhouse.errors import Code, StatementFailed
from sentinel_etl.local.clickhouse.inserts import InsertStream, PipeFolder, open_pipe_folder, with_tables
from sentinel_etl.local.clickhouse.jobs import (
    Outcome,
    SessionKey,
    StatementJob,
    assignments,
    query,
    quote_name,
    quote_string,
    settings_of,
)
from sentinel_etl.local.clickhouse.rights import ALLOWABLE, Reach, reach_of, write_engine_config

__all__ = ["DataDirectoryInUse", "Engine"]


# Seconds that a request waits for its session before it is refused.
SESSION_WAIT_S = 0.5


class DataDirectoryInUse(SentinelError):
    """Another process holds the data directory."""


@dataclass
class _Session:
    """A client's session. ``before`` and ``database`` are what its own SET and USE have made of it."""

    connection: Any
    database: str
    expires: float
    busy: bool = True
    before: dict[str, str | None] = field(default_factory=dict)


class Engine:
    """The one embedded engine of this process.

    ``data`` is a directory of its own, made if absent: ``engine/`` holds the tables, the rest is
    rewritten at each start. :meth:`prepare` comes first, then :meth:`open`, which loads the engine.
    All methods block; any thread may call them.

    A ``kill -9`` at any instant leaves every finished statement in place: a MergeTree part is
    renamed into the table before the statement returns, and opening the directory again drops
    unfinished parts.
    """

    def __init__(self, data: Path, database: str = "sentinel", allow: Iterable[str] = ()) -> None:
        self.data = data.expanduser().resolve()
        self.database = database
        self.allow = frozenset(allow)
        self.pipes = self.data / "pipes"
        self.spool = self.data / "spool"
        self.temporary = self.data / "tmp"
        self.version = ""
        self.timezone = ""
        self.reach = Reach({}, frozenset())
        # The kernel's lock (flock(2)): it ends with the process. Whichever thread closes the engine gives it back.
        self._lock = FileLock(self.data / "lock", thread_local=False)
        self._pipe_folder = PipeFolder(self.pipes, str(self.pipes))
        self._keeper: Any = None
        self._keeper_lock = threading.Lock()
        self._sessions: dict[str, _Session] = {}
        self._sessions_lock = threading.Condition()
        if unknown := self.allow - ALLOWABLE.keys():
            raise ConfigurationError(f"allow: expected some of {sorted(ALLOWABLE)}, found {sorted(unknown)}")
        # chdb reads what a path has of these as options. Below the working directory, no folder above is in the path.
        near = Path(os.path.relpath(self.data))
        near = self.data if ".." in near.parts else near
        if found := set("?#%'&") & set(str(near)):
            raise ConfigurationError(f"data directory: {near} has {sorted(found)} in it, which chdb reads as options")
        self.tables = near / "engine"
        self.config = near / "config" / "config.xml"

    def prepare(self) -> None:
        """Take the data directory and make the folders in it.

        Raises:
            DataDirectoryInUse: another process has it. Nothing was changed.
        """
        self.data.mkdir(parents=True, exist_ok=True)
        self._take_lock()
        for scratch in (self.pipes, self.spool, self.temporary):
            shutil.rmtree(scratch, ignore_errors=True)
            scratch.mkdir(mode=0o700)
        self._pipe_folder = open_pipe_folder(self.pipes)
        self.tables.mkdir(exist_ok=True)
        write_engine_config(self.config, self.allow)

    def open(self) -> None:
        """Load the engine over the prepared directory, and make the database where it is absent."""
        self._keeper = self._connect(f"?config-file={self.config}")
        # The engine's own `default` database lies over the file system, so ours is another one.
        self._ask(f"CREATE DATABASE IF NOT EXISTS {quote_name(self.database)} ENGINE = Atomic")
        self.reach = reach_of(self._ask("SELECT name FROM system.table_functions").split(), self.allow)
        self.version, self.timezone = self._ask("SELECT version(), timezone()").rstrip("\n").split("\t")

    def close(self) -> None:
        """Cancel what runs, then close every connection and the engine with the last of them."""
        if self._keeper is not None:
            self.kill_all()
            with self._sessions_lock:
                for session in self._sessions.values():
                    session.connection.close()
                self._sessions.clear()
            self._keeper.close()
            self._keeper = None
        self._lock.release()

    def _take_lock(self) -> None:
        try:
            self._lock.acquire(blocking=False)
        except Timeout:
            raise DataDirectoryInUse(
                f"{self.data} is in use by another process: one process owns a data directory. "
                "Use that one's port, or stop it."
            ) from None

    def _connect(self, options: str) -> Any:
        # chdb takes a second to import, and its import alone opens and closes an engine.
        from chdb.state.sqlitelike import Connection

        try:
            return Connection(f"{self.tables}{options}")
        except RuntimeError as error:
            raise StatementFailed.raised_by_engine(error) from None

    def _ask(self, sql: str) -> str:
        with self._keeper_lock:
            return str(self._keeper.query(sql, "TabSeparated"))

    @contextmanager
    def workspace(self, job: StatementJob) -> Iterator[Any]:
        """Lend a connection that has the job's database and settings.

        Raises:
            StatementFailed: UNKNOWN_DATABASE, UNKNOWN_SETTING, a value that does not parse, or the
                session's state.
        """
        if job.session is not None:
            with (
                self._session(job.session) as session,
                _session_changed(session) if job.changes_session else _surrounded(session, job),
            ):
                yield session.connection
            return
        database = f"?database={self.database}" if job.database in (None, self.database) else ""
        connection = self._connect(database)
        try:
            if not database:
                query(connection, f"USE {quote_name(str(job.database))}")
            query(connection, assignments(settings_of(job)))
            yield connection
        finally:
            connection.close()

    @contextmanager
    def _session(self, key: SessionKey) -> Iterator[_Session]:
        now = time.monotonic()
        with self._sessions_lock:
            self._drop_expired(now)
            # A client that leaves a stream early may be back before its query has been cancelled.
            self._sessions_lock.wait_for(lambda: self._is_free(key.name), SESSION_WAIT_S)
            session = self._sessions.get(key.name)
            if session is None:
                if key.must_exist:
                    raise StatementFailed(Code.SESSION_NOT_FOUND, f"Session {key.name} not found.")
                session = _Session(self._connect(f"?database={self.database}"), self.database, now)
                self._sessions[key.name] = session
            elif session.busy:
                raise StatementFailed(Code.SESSION_IS_LOCKED, f"Session {key.name} is locked by a concurrent client.")
            session.busy = True
        try:
            yield session
        finally:
            with self._sessions_lock:
                session.busy = False
                session.expires = time.monotonic() + key.timeout_s
                self._sessions_lock.notify_all()

    def _is_free(self, name: str) -> bool:
        session = self._sessions.get(name)
        return session is None or not session.busy

    def _drop_expired(self, now: float) -> None:
        expired = [name for name, one in self._sessions.items() if not one.busy and one.expires < now]
        for name in expired:
            self._sessions.pop(name).connection.close()

    def drop_expired_sessions(self) -> None:
        with self._sessions_lock:
            self._drop_expired(time.monotonic())

    def execute(self, job: StatementJob, sql: str, format_name: str) -> Outcome:
        """Run one statement to its end.

        What writes is as in ClickHouse: an INSERT SELECT that fails keeps the blocks it had written.

        Raises:
            StatementFailed: with the engine's code.
        """
        with (
            self.workspace(job) as connection,
            with_tables(connection, job.tables, self._pipe_folder, self.kill_reader),
        ):
            return query(connection, sql, format_name, job.parameters)

    def begin_insert(self, job: StatementJob, target: str, clauses: str, format_name: str) -> InsertStream:
        """Open an INSERT whose data follows in pieces: ``target`` is what stands before its SETTINGS, ``clauses``.

        What it meets before the first piece, such as a table that is not there, is raised with that.
        """
        stack = ExitStack()
        try:
            connection = stack.enter_context(self.workspace(job))
            return InsertStream(
                connection, target, clauses, format_name, self._pipe_folder, self.kill_reader, stack, job.parameters
            )
        except BaseException:
            stack.close()
            raise

    def kill_reader(self, pipe_name: str) -> None:
        """Cancel the statement that uses a pipe, whose name is in its text."""
        named = f"position(query, {quote_string(pipe_name)}) > 0"
        self._ask(f"KILL QUERY WHERE {named} AND query NOT LIKE 'KILL%' ASYNC")

    def kill_all(self) -> None:
        """Cancel every running statement."""
        self._ask("KILL QUERY WHERE query NOT LIKE 'KILL%' ASYNC")

    def make_pipe(self, name: str) -> Path:
        """Make the named pipe that a SELECT writes its result to."""
        return self._pipe_folder.make(name)


@contextmanager
def _surrounded(session: _Session, job: StatementJob) -> Iterator[None]:
    """Put the job's database and settings on a session's connection, and take them off again.

    A session keeps what its statements SET; what a request's URL sets is for that request alone.
    """
    connection = session.connection
    settings = {"log_comment": job.query_id, **job.settings}
    settings.pop("readonly", None)
    if unseen := settings.keys() - session.before.keys():
        # 5 ms, so it is asked once per setting and session: only SET changes the answer.
        names = ", ".join(quote_string(name) for name in unseen)
        sql = f"SELECT name, value, changed FROM system.settings WHERE name IN ({names})"
        rows = map(json.loads, query(connection, sql, "JSONCompactEachRow").output.splitlines())
        session.before |= {name: value if changed else None for name, value, changed in rows}
    try:
        if job.database is not None:
            query(connection, f"USE {quote_name(job.database)}")
        query(connection, assignments(settings))
        yield
    finally:
        query(connection, f"USE {quote_name(session.database)}")
        known = {name: session.before[name] for name in settings if name in session.before}
        query(connection, assignments(known))


@contextmanager
def _session_changed(session: _Session) -> Iterator[None]:
    """Note what a SET or USE statement makes of a session."""
    try:
        yield
    finally:
        session.before.clear()
        current = query(session.connection, "SELECT currentDatabase()", "TabSeparatedRaw")
        session.database = current.output.decode()[:-1]
