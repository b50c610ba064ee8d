"""Runs a producer ahead of its consumer, so that reading, transforming and loading overlap."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from queue import Full, Queue
from typing import TypeVar

import pyarrow as pa

from sentinel_etl.patience import settle

__all__ = ["background", "prefetch", "throttle"]

Item = TypeVar("Item")

_END = object()


def background(work: Callable[[], Item]) -> Callable[[], Item]:
    """Do the work in a thread; the function returned waits for it, and returns or raises what it did.

    Who fails meanwhile need not wait: the thread is no reason for the process to live on.
    """
    future: Future[Item] = Future()
    threading.Thread(target=settle, args=(future, work), name="background", daemon=True).start()
    return future.result


def prefetch(items: Iterable[Item], depth: int = 2) -> Iterator[Item]:
    """Yield the items, in order, while a thread works at most ``depth`` of them ahead.

    An exception of the producer is raised here, in its place. When the consumer stops early, the
    producer is closed, so that its connections end with it.
    """
    queue: Queue[object] = Queue(maxsize=depth)
    stopped = threading.Event()

    def put(item: object) -> bool:
        while not stopped.is_set():
            try:
                queue.put(item, timeout=0.1)
                return True
            except Full:
                continue
        return False

    def produce() -> None:
        iterator = iter(items)
        try:
            for item in iterator:
                if not put(item):
                    break
            put(_END)
        except BaseException as error:  # noqa: BLE001 - whatever it is, the consumer is to raise it
            put(error)
        finally:
            close = getattr(iterator, "close", None)
            if close is not None:
                close()

    worker = threading.Thread(target=produce, name="prefetch", daemon=True)
    worker.start()
    try:
        while (item := queue.get()) is not _END:
            if isinstance(item, BaseException):
                raise item
            yield item  # type: ignore[misc]  # the queue holds items, the end, or an exception
    finally:
        stopped.set()
        worker.join()


def throttle(batches: Iterable[pa.RecordBatch], rows_per_second: int) -> Iterator[pa.RecordBatch]:
    """Yield the batches no faster than so many rows a second, on the whole; 0 is no limit.

    A consumer that does not read makes PostgreSQL wait at its socket, so this slows the server's own
    work, and not only ours.
    """
    started, rows = time.monotonic(), 0
    for batch in batches:
        yield batch
        rows += batch.num_rows
        if rows_per_second:
            time.sleep(max(0.0, rows / rows_per_second - (time.monotonic() - started)))
