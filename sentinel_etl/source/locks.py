"""The locks that runs hold in PostgreSQL: of the partitions that they write, and of their own name."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from sqlalchemy import BigInteger, Connection, DateTime, Engine, Integer, Text, column, func, select, table, text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from sentinel_etl.errors import SourceUnreachable, WindowLocked
from sentinel_etl.source.connection import connect_source
from sentinel_etl.source.session import describe_end

__all__ = [
    "SessionLocks",
    "held_names",
    "hold_locks",
    "partition_lock",
    "run_lock",
    "session_name",
    "session_names",
    "table_lock",
    "try_lock",
    "withdrawal_lock",
]


# PostgreSQL cuts a session's name at NAMEDATALEN - 1 bytes.
# https://www.postgresql.org/docs/current/runtime-config-logging.html#GUC-APPLICATION-NAME
SESSION_NAME_BYTES = 63

# The advisory locks that somebody holds. The two halves of a 64-bit key stand apart in this view, which shows the
# whole server's, although each database has its own.
# https://www.postgresql.org/docs/current/view-pg-locks.html
HELD_LOCKS = (
    text(
        "SELECT pid, (classid::bigint << 32) | objid::bigint AS key FROM pg_locks "
        "WHERE locktype = 'advisory' AND granted AND objsubid = 1 "
        "AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
    )
    .columns(column("pid", Integer), column("key", BigInteger))
    .subquery("held")
)
SESSIONS = table(
    "pg_stat_activity",
    column("pid", Integer),
    column("application_name", Text),
    column("backend_start", DateTime(timezone=True)),
)

# A session that holds locks has nothing to say while the run works, however long that is. Servers before 14 know no
# such limit, so it cannot be an option of the session.
# https://www.postgresql.org/docs/current/runtime-config-client.html#GUC-IDLE-SESSION-TIMEOUT
IDLE_WITHOUT_END = text("SELECT set_config(name, '0', false) FROM pg_settings WHERE name = 'idle_session_timeout'")


@dataclass(frozen=True)
class SessionLocks:
    """The advisory locks of one PostgreSQL session: they are lost together, or not at all."""

    connection: Connection
    wait_seconds: float

    def check(self) -> None:
        """Raise where the session is gone.

        Raises:
            SourceUnreachable: it is, and its locks with it.
        """
        try:
            self.connection.scalar(select(1))
        except DBAPIError as error:
            reason = str(error.orig).strip().partition("\n")[0]
            raise SourceUnreachable(
                "expected to hold the window's locks until it is published; found that the session which held "
                "them is gone, so another run may be at work. Nothing more was published; run it again. The session "
                f"is gone because: {describe_end(reason) or reason}",
                stage="publish",
            ) from error

    @contextmanager
    def hold(self, names: Iterable[str]) -> Iterator[None]:
        """Hold a lock for each further name while the block lasts.

        Raises:
            WindowLocked: another session still holds one after the time to wait.
            SourceUnreachable: the session is gone.
        """
        self.check()
        taken = self.take(names)
        try:
            yield
        finally:
            with suppress(SQLAlchemyError):
                for name in taken:
                    self.connection.execute(select(func.pg_advisory_unlock(lock_key(name))))

    def take(self, names: Iterable[str]) -> list[str]:
        """Take the locks in sorted order, so that two runs cannot wait for each other."""
        deadline = time.monotonic() + self.wait_seconds
        wanted = sorted(names)
        for name in wanted:
            while not try_lock(self.connection, name):
                if time.monotonic() >= deadline:
                    raise locked(self.connection, name, self.wait_seconds)
                time.sleep(0.2)
        return wanted


@contextmanager
def hold_locks(engine: Engine, names: Iterable[str], holder: str, wait_seconds: float) -> Iterator[SessionLocks]:
    """Hold a session advisory lock for each name while the block lasts; gives the session, which can hold more.

    The locks live in the server and die with the connection: a killed run leaves none. They work on a hot
    standby, and not through a pooler in transaction mode.
    https://www.postgresql.org/docs/current/explicit-locking.html#ADVISORY-LOCKS

    Raises:
        WindowLocked: another session still holds one after ``wait_seconds``.
    """
    with connect_source(engine) as connection:
        connection.execute(select(func.set_config("application_name", cut_session_name(holder), False)))
        connection.execute(IDLE_WITHOUT_END)
        locks = SessionLocks(connection, wait_seconds)
        try:
            locks.take(names)
            yield locks
        finally:
            # Said, not left to the end of the session, which the server may notice only later: whoever
            # comes next finds them free.
            # A session that is gone has freed them, and SQLAlchemy then asks for a rollback first.
            with suppress(SQLAlchemyError):
                connection.execute(select(func.pg_advisory_unlock_all()))
            # Back in the pool a session that could not say so would keep them.
            connection.invalidate()


def lock_key(name: str) -> int:
    """Map a name to the 64-bit key of an advisory lock, the same on every machine."""
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "big", signed=True)


def try_lock(connection: Connection, name: str) -> bool:
    """Take the name's lock for this session, and tell whether that was possible; it does not wait."""
    return bool(connection.scalar(select(func.pg_try_advisory_lock(lock_key(name)))))


def held_names(connection: Connection, names: Iterable[str]) -> set[str]:
    """Tell whose locks of these names somebody holds."""
    held = set(connection.scalars(select(HELD_LOCKS.c.key)))
    return {name for name in names if lock_key(name) in held}


def session_names(connection: Connection) -> set[str]:
    """List the names that the server's sessions have given themselves."""
    return set(connection.scalars(select(SESSIONS.c.application_name)))


def locked(connection: Connection, name: str, waited_seconds: float) -> WindowLocked:
    holder = connection.execute(
        select(SESSIONS.c.application_name, SESSIONS.c.pid, SESSIONS.c.backend_start)
        .join_from(HELD_LOCKS, SESSIONS, HELD_LOCKS.c.pid == SESSIONS.c.pid)
        .where(HELD_LOCKS.c.key == lock_key(name))
    ).first()
    who = f"{holder[0]} (since {holder[2]:%Y-%m-%d %H:%M:%S} UTC, PostgreSQL pid {holder[1]})" if holder else "a run"
    return WindowLocked(
        f"expected {name} to be free within {waited_seconds:g} s; {who} holds it. Wait for that run, then "
        "run this again; or raise SENTINEL_LOCK_WAIT_SECONDS"
    )


def partition_lock(table: str, partition: str) -> str:
    """Name the lock of who changes a partition of a table."""
    return f"{table} partition {partition}"


def table_lock(table: str) -> str:
    """Name the lock of who switches a table, held for the switch alone."""
    return f"{table} table"


def withdrawal_lock(table: str) -> str:
    """Name the lock of who drops an empty table for good, or makes it anew, held for that alone."""
    return f"{table} withdrawal"


def run_lock(run_id: str) -> str:
    """Name the lock that a run holds while it lives."""
    return f"run {run_id}"


def session_name(run_id: str) -> str:
    """Name a run's session that holds its locks, or waits for them."""
    return cut_session_name(f"sentinel-etl run {run_id}")


def cut_session_name(name: str) -> str:
    return name.encode()[:SESSION_NAME_BYTES].decode(errors="ignore")
