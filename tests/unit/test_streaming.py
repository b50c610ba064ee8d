from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Callable, Iterator
from itertools import islice

import pytest

from sentinel_etl.errors import SourceUnreachable
from sentinel_etl.threads import prefetch


class Producer:
    """Counts what it has made, and notes when and where it was closed."""

    def __init__(self, items: int, fails_at: int | None = None, error: BaseException | None = None) -> None:
        self.items, self.fails_at, self.error = items, fails_at, error
        self.made = 0
        self.closed = threading.Event()
        self.thread: threading.Thread | None = None

    def __iter__(self) -> Iterator[int]:
        self.thread = threading.current_thread()
        try:
            for item in range(self.items):
                if item == self.fails_at and self.error is not None:
                    raise self.error
                self.made += 1
                yield item
        finally:
            self.closed.set()


def wait_until(condition: Callable[[], bool], seconds: float = 5.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "nothing happened in time"
        time.sleep(0.005)


@pytest.mark.parametrize("items", [0, 1, 2, 500])
@pytest.mark.parametrize("depth", [1, 2, 7])
def test_all_items_come_in_order(items: int, depth: int) -> None:
    assert list(prefetch(range(items), depth)) == list(range(items))


def test_none_and_false_are_items_like_others() -> None:
    assert list(prefetch([None, False, 0, ""])) == [None, False, 0, ""]


@pytest.mark.parametrize(
    "error",
    [SourceUnreachable("gone", stage="extract"), ValueError("bad"), KeyboardInterrupt()],
    ids=["ours", "another's", "an interrupt"],
)
def test_the_producers_exception_comes_in_its_place_and_as_itself(error: BaseException) -> None:
    producer = Producer(10, fails_at=3, error=error)
    stream = prefetch(producer)
    assert list(islice(stream, 3)) == [0, 1, 2]
    with pytest.raises(type(error)) as raised:
        next(stream)
    assert raised.value is error
    assert producer.closed.is_set()


def test_an_exception_before_the_first_item_is_raised() -> None:
    with pytest.raises(ValueError, match="at once"):
        next(prefetch(Producer(3, fails_at=0, error=ValueError("at once"))))


@pytest.mark.parametrize("taken", [1, 2, 5])
@pytest.mark.parametrize("depth", [1, 2, 4])
def test_the_producer_works_at_most_depth_items_ahead(depth: int, taken: int) -> None:
    producer = Producer(1_000)
    stream = prefetch(producer, depth)
    for _ in range(taken):
        next(stream)
    wait_until(lambda: producer.made == taken + depth)
    time.sleep(0.05)  # time in which a producer without a bound would run on
    assert producer.made == taken + depth
    stream.close()  # type: ignore[attr-defined]


def test_a_consumer_that_stops_early_closes_the_producer() -> None:
    producer = Producer(1_000)
    items = iter(producer)  # held here, so that nothing but a close() can end it
    stream = prefetch(items)
    assert list(islice(stream, 2)) == [0, 1]
    stream.close()  # type: ignore[attr-defined]
    assert producer.closed.is_set()
    assert producer.made < 10


def test_a_consumer_that_fails_closes_the_producer() -> None:
    producer = Producer(1_000)

    def consume() -> None:
        for _ in prefetch(producer):
            raise RuntimeError("the load failed")

    with pytest.raises(RuntimeError, match="the load failed"):
        consume()
    wait_until(producer.closed.is_set)


def test_stopping_a_chain_of_stages_closes_the_first() -> None:
    producer = Producer(1_000)
    stages = prefetch(2 * item for item in prefetch(iter(producer)))
    assert list(islice(stages, 3)) == [0, 2, 4]
    stages.close()  # type: ignore[attr-defined]
    wait_until(producer.closed.is_set)


def test_the_producer_works_in_another_thread_that_ends_with_it() -> None:
    producer = Producer(3)
    assert list(prefetch(producer)) == [0, 1, 2]
    assert producer.thread is not threading.current_thread()
    assert producer.thread is not None
    assert not producer.thread.is_alive()


def test_producing_and_consuming_overlap() -> None:
    """The producer makes the next item while the consumer still holds this one."""
    producer = Producer(2)
    stream = prefetch(producer)
    next(stream)
    wait_until(lambda: producer.made == 2)
    assert list(stream) == [1]


def test_an_item_is_let_go_of_once_the_consumer_has_done_with_it() -> None:
    class Item:
        pass

    made: list[weakref.ref[Item]] = []

    def items() -> Iterator[Item]:
        for _ in range(10):
            item = Item()
            made.append(weakref.ref(item))
            yield item
            del item

    stream = prefetch(items(), depth=1)
    for number in range(10):
        taken = next(stream)
        wait_until(lambda ahead=number + 2: len(made) == ahead or len(made) == 10)
        assert sum(each() is not None for each in made) == (2 if number < 9 else 1)
        assert taken is made[number]()
        del taken
    stream.close()  # type: ignore[attr-defined]
