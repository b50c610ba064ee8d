"""The states of the model: tables, runs, locks, and what the fact table has to hold."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

FACT = "FACT"
TABLE_LOCK = "FACT table"
KEPT = "before "

# All rows of one key (a night, or an event that changes its night) as one run wrote them: the key, and that run.
Row = tuple[str, str]
# The rows of each partition. A row that is there twice stands there twice.
Content = frozenset[tuple[str, tuple[Row, ...]]]
# What is done, and with what: tables, partitions, locks.
Step = tuple[str, ...]


@dataclass(frozen=True, eq=False)  # by identity: states hold them, and are hashed often
class Job:
    """What a run is to publish: the keys of its window, and the staged keys of each partition that it touches."""

    name: str
    window: frozenset[str]
    staged: tuple[tuple[str, tuple[str, ...]], ...]
    parts: int = 1  # of the staging table
    only_sweeps: bool = False  # as a run does after it has published, when it has no lock any more

    @property
    def replaced(self) -> frozenset[str]:
        """The keys whose earlier rows go: those of the window, and those that are staged."""
        return self.window.union(*(keys for _, keys in self.staged))


@dataclass(frozen=True)
class Protocol:
    """How runs publish, and how much goes wrong meanwhile; each field after ``attempts`` can change one thing."""

    faults: int = 1  # kills and lost sessions, in all
    attempts: int = 2  # of each job
    fenced_at_start: bool = True
    fenced_before_clone: bool = True
    table_locked: bool = True
    table_lock_session: str = "session"
    cloned_under_lock: bool = True
    checked: bool = True
    probes_by_locking: bool = False  # finds out whether a run lives by taking its lock for a moment
    attach_takes_time: bool = False  # other statements come between its begin and its end
    drop_waits: bool = True  # SYNC
    exchange_repeated: bool = False  # is sent again where its answer was lost
    by_replace: bool = False  # the way before: the other rows are copied into staging, which replaces the partition
    restart_revives: bool = False  # what was replaced: a server before 26.6, ClickHouse#107605


class Run(NamedTuple):
    """One attempt at a job: what it has still to do, and the locks of its sessions."""

    job: Job
    attempt: int
    todo: tuple[Step, ...]
    locks: frozenset[tuple[str, str]] = frozenset()  # session, lock
    lost: frozenset[str] = frozenset()  # sessions that are gone; it does not know
    passed: bool = False  # since then another run has begun to clone
    state: str = "works"

    @property
    def run_id(self) -> str:
        return f"{self.job.name}{self.attempt}"

    def ended(self, state: str) -> Run:
        """Its sessions are closed, so its locks are free; its tables stay."""
        return Run(self.job, self.attempt, (), state=state)


class State(NamedTuple):
    tables: frozenset[tuple[str, Content]]
    runs: tuple[Run, ...]
    published: tuple[Content, ...]  # what FACT has to hold: at the start, and after each switch
    faults: int  # that are still to come
    outdated: Content = frozenset()  # taken out by REPLACE PARTITION, and still on the disk
    broken: str = ""  # the promise that the last step broke


def rows_in(content: Content, partition: str) -> tuple[Row, ...]:
    return next((rows for name, rows in content if name == partition), ())


def put(content: Content, partition: str, rows: tuple[Row, ...]) -> Content:
    """Make these the partition's rows; one without rows is no partition."""
    others = frozenset(pair for pair in content if pair[0] != partition)
    return others | {(partition, tuple(sorted(rows)))} if rows else others


def add(content: Content, partition: str, rows: tuple[Row, ...]) -> Content:
    return put(content, partition, rows_in(content, partition) + rows)


def remove(content: Content, partition: str, keys: frozenset[str]) -> Content:
    return put(content, partition, tuple(row for row in rows_in(content, partition) if row[0] not in keys))


def staged_rows(run: Run) -> Content:
    return frozenset((name, tuple((key, run.run_id) for key in keys)) for name, keys in run.job.staged if keys)


def publish(content: Content, run: Run) -> Content:
    """Say what the table has to hold after the run's switch, by whatever statements that comes about."""
    for partition, _ in run.job.staged:
        content = remove(content, partition, run.job.replaced)
    for partition, rows in staged_rows(run):
        content = add(content, partition, rows)
    return content
