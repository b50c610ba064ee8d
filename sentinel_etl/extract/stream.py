"""Streams all event types of a window out of one snapshot, and counts there what was to be read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Protocol

import pandas as pd
import pyarrow as pa
from sqlalchemy import Engine, union_all

from sentinel_etl.arrow import as_frame
from sentinel_etl.config.event_type import EventType
from sentinel_etl.extract.read import extract_batches
from sentinel_etl.extract.refused import select_nightless, select_refused
from sentinel_etl.extract.statements import count_events
from sentinel_etl.source.snapshot import BATCH_BYTES, Snapshot, open_snapshot
from sentinel_etl.stopwatch import Stopwatch
from sentinel_etl.threads import settle_in_background, throttle
from sentinel_etl.window import Window

__all__ = ["Extraction", "ReadingLimits", "extract_window"]

# Far above what `batch_rows` ordinary rows hold, far below what one Arrow text column can (2 GiB).
PENDING_BYTES = 256 << 20


class ReadingLimits(Protocol):
    """The settings that reading obeys."""

    @property
    def batch_rows(self) -> int: ...
    @property
    def statement_timeout_seconds(self) -> int: ...
    @property
    def source_max_rows_per_second(self) -> int: ...


@dataclass(frozen=True)
class Extraction:
    """A window that is being read.

    ``batches``  {event type: frame of its rows}, about ``batch_rows`` rows together, as they are read
    ``counts``   event type → rows in the same snapshot, known some time after the last batch: a future
    """

    batches: Iterator[dict[str, pd.DataFrame]]
    counts: Future[dict[str, int]]


def extract_window(
    kinds: Iterable[EventType],
    window: Window,
    source: Engine,
    limits: ReadingLimits,
    clock: Stopwatch,
    take_refused: Callable[[pa.RecordBatch], None],
) -> Extraction:
    """Begin to read the window's rows of the event types, all in one snapshot.

    Nothing is read before the first batch is asked for. After the last one the rows are counted in the same
    snapshot, in the background, and those that no event can be made of are read and handed to
    ``take_refused``, from a thread; then the snapshot ends. An interruption leaves nothing.

    Raises:
        SchemaMismatch, SourceUnreachable: where the batches or the counts are asked for.
    """
    counts: Future[dict[str, int]] = Future()
    return Extraction(read_batches(list(kinds), window, source, limits, clock, take_refused, counts), counts)


def read_batches(
    kinds: list[EventType],
    window: Window,
    source: Engine,
    limits: ReadingLimits,
    clock: Stopwatch,
    take_refused: Callable[[pa.RecordBatch], None],
    counts: Future[dict[str, int]],
) -> Iterator[dict[str, pd.DataFrame]]:
    """Read about ``batch_rows`` rows at a time; a batch is also full at `PENDING_BYTES`.

    A remark may be as long as PostgreSQL lets it be.
    """
    pending: dict[str, list[pa.RecordBatch]] = {}
    rows, size = 0, 0
    read: Counter[str] = Counter()
    limit = limits.source_max_rows_per_second
    # A throttled reader takes small bites, so that the source never works in bursts.
    batch_bytes = BATCH_BYTES if not limit else BATCH_BYTES // 16
    with ExitStack() as held:
        snapshot = held.enter_context(open_snapshot(source, limits.statement_timeout_seconds, batch_bytes, limit))
        for kind in kinds:
            for batch in clock.busy("extract", throttle(extract_batches(kind, window, snapshot), limit)):
                read[kind.name] += batch.num_rows
                pending.setdefault(kind.name, []).append(batch)
                rows, size = rows + batch.num_rows, size + batch.nbytes
                if rows >= limits.batch_rows or size >= PENDING_BYTES:
                    yield as_frames(pending)
                    pending, rows, size = {}, 0, 0
        if pending:
            yield as_frames(pending)
        kept = held.pop_all()

    def count() -> dict[str, int]:
        with kept, clock.measure("count"):
            counted = snapshot.count(count_events(kind, window) for kind in kinds)
            short = [kind for kind in kinds if counted[kind.name] != read[kind.name]]
            read_refused(kinds, short, window, snapshot, take_refused)
            return counted

    settle_in_background(counts, count)


def read_refused(
    kinds: Iterable[EventType],
    short: Iterable[EventType],
    window: Window,
    snapshot: Snapshot,
    take_refused: Callable[[pa.RecordBatch], None],
) -> None:
    """Read what no event can be made of: rows in no night of all types, and the window's of types read ``short``."""
    nightless = union_all(*map(select_nightless, kinds))
    for statement in (nightless, *(select_refused(kind, window) for kind in short)):
        for batch in snapshot.read(statement, "refused rows"):
            take_refused(batch)


def as_frames(batches: Mapping[str, list[pa.RecordBatch]]) -> dict[str, pd.DataFrame]:
    return {name: as_frame(pa.Table.from_batches(held)) for name, held in batches.items()}
