"""Threads and signals: work in the background, waits with a limit, and an end that nothing breaks off."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from functools import partial
from queue import SimpleQueue
from typing import Any, TypeVar

import pyarrow as pa

__all__ = ["Waiter", "background", "interrupts_ignored", "prefetch", "settle", "throttle"]


Answer = TypeVar("Answer")


class Waiter:
    """Calls functions that wait for a peer in C code, and waits for each no longer than it is told to.

    They run in one thread, of its own: an allocator keeps what it has for a thread, and lets a thread that ends
    take some of that along. After a call that took too long the thread is left behind, and neither the
    waiter nor what the function used may be touched again.
    """

    def __init__(self) -> None:
        self.calls: SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None] = SimpleQueue()
        threading.Thread(target=self.work, name="waiting for an answer", daemon=True).start()

    def work(self) -> None:
        while (call := self.calls.get()) is not None:
            settle(*call)
            del call  # or its answer, which may be a large batch, would live until the next

    def begin(self, function: Callable[..., Answer], *arguments: Any) -> Future[Answer]:
        """Have the function called after those before it, and do not wait."""
        answer: Future[Answer] = Future()
        self.calls.put((answer, partial(function, *arguments)))
        return answer

    def call(self, seconds: float, function: Callable[..., Answer], *arguments: Any) -> Answer:
        """Call the function and give its answer, or raise what it raised.

        Raises:
            TimeoutError: no answer in time.
        """
        answer = self.begin(function, *arguments)
        try:
            return answer.result(seconds)
        except TimeoutError:
            if answer.done():
                raise  # the function's own
            raise TimeoutError(f"no answer within {seconds:g} s") from None

    def close(self) -> None:
        """End the thread once it has nothing to do."""
        self.calls.put(None)


def settle(future: Future[Answer], work: Callable[[], Answer]) -> None:
    """Do the work, and give the future what it returns or raises."""
    try:
        future.set_result(work())
    except BaseException as error:  # noqa: BLE001 - whatever it is, who waits is to raise it
        future.set_exception(error)


Item = TypeVar("Item")

_END = object()


def background(work: Callable[[], Item]) -> Callable[[], Item]:
    """Do the work in a thread; the function returned waits for it, and returns or raises what it did.

    Who fails meanwhile need not wait: the thread is no reason for the process to live on.
    """
    future: Future[Item] = Future()
    settle_in_background(future, work)
    return future.result


def settle_in_background(future: Future[Item], work: Callable[[], Item]) -> None:
    """Do the work in a thread, and give the future what it returns or raises."""
    threading.Thread(target=settle, args=(future, work), name="background", daemon=True).start()


def prefetch(items: Iterable[Item], depth: int = 2) -> Iterator[Item]:
    """Yield the items, in order, while a thread works at most ``depth`` of them ahead.

    An item is let go of as soon as it has been handed over, so what is in memory are the ``depth`` ones and
    what the consumer keeps. An exception of the producer is raised here, in its place. When the consumer
    stops early, the producer is closed, so that its connections end with it.
    """
    queue: SimpleQueue[object] = SimpleQueue()
    room = threading.Semaphore(depth)
    stopped = threading.Event()

    def produce() -> None:
        iterator = iter(items)

        def produce_one() -> bool:
            item = next(iterator, _END)
            queue.put(item)
            return item is not _END

        try:
            while room.acquire() and not stopped.is_set() and produce_one():
                pass
        except BaseException as error:  # noqa: BLE001 - whatever it is, the consumer is to raise it
            queue.put(error)
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
            room.release()
            yield item  # type: ignore[misc]  # the queue holds items, the end, or an exception
            del item
    finally:
        stopped.set()
        room.release()
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


@contextmanager
def interrupts_ignored() -> Iterator[None]:
    """Let no further SIGINT break off what ends an interrupted piece of work; signals come to the main thread alone.

    https://docs.python.org/3/library/signal.html#signals-and-threads
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
