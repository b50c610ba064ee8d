"""One run in a process of its own, which can be stopped at a named point and killed there.

The package knows nothing of this: the points are put around its functions in this process alone.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from multiprocessing.connection import Connection
from typing import Any

from adversity.oracle import WEIGHTS
from sentinel_etl.config.fact_table import PartitionBy, build_patrol_events
from sentinel_etl.errors import SentinelError
from sentinel_etl.extract import stream
from sentinel_etl.pipeline import SENTINEL, Pipeline
from sentinel_etl.publish import by_exchange, publish_window, switch, versions
from sentinel_etl.run import fill_staging, held_locks, judge, stages
from sentinel_etl.run import run_window as run
from sentinel_etl.run.run_window import run_window
from sentinel_etl.settings import Settings
from sentinel_etl.source.connection import open_source
from sentinel_etl.warehouse.engine import open_warehouse
from sentinel_etl.window import Window

Stop = Callable[[], None]


@dataclass(frozen=True)
class Task:
    """What the process is to do: one window, as a run of its own."""

    source_url: str
    warehouse_url: str
    window: Window
    partition_by: PartitionBy = "month"
    point: str = ""
    run_id: str | None = None
    settings: dict[str, Any] = field(default_factory=dict)


def pipeline_of(partition_by: PartitionBy) -> Pipeline:
    return replace(SENTINEL, fact_table=build_patrol_events(partition_by), risk_weights=WEIGHTS)


PIPELINE = pipeline_of("month")  # for notebooks: SENTINEL_PIPELINE=adversity.child:PIPELINE


def settings_of(task: Task) -> Settings:
    # Small batches, so that one small night is loaded in several pieces; and a clock by which the window has ended.
    own = {"batch_rows": 150, "retry_seconds": 0, "now": task.window.end + timedelta(minutes=10)}
    return Settings(lock_wait_seconds=30).model_copy(update=own | task.settings)


def before(module: Any, name: str) -> Callable[[Stop], None]:
    """Stop before a call of the function that the module knows by this name."""

    def arm(stop: Stop) -> None:
        called = getattr(module, name)

        def stopping(*arguments: Any, **named: Any) -> Any:
            stop()
            return called(*arguments, **named)

        setattr(module, name, stopping)

    return arm


def after(module: Any, name: str, call: int = 1) -> Callable[[Stop], None]:
    """Stop after the function's first call, or a later one."""

    def arm(stop: Stop) -> None:
        called, calls = getattr(module, name), 0

        def stopping(*arguments: Any, **named: Any) -> Any:
            nonlocal calls
            result = called(*arguments, **named)
            calls += 1
            if calls == call:
                stop()
            return result

        setattr(module, name, stopping)

    return arm


def amid(module: Any, name: str, position: int = 0, item: int = 2) -> Callable[[Stop], None]:
    """Stop when the function that takes items asks for its second one."""

    def arm(stop: Stop) -> None:
        called = getattr(module, name)

        def counted(items: Any) -> Iterator[Any]:
            for number, value in enumerate(items, start=1):
                if number == item:
                    stop()
                yield value

        def stopping(*arguments: Any, **named: Any) -> Any:
            given = list(arguments)
            given[position] = counted(given[position])
            return called(*given, **named)

        setattr(module, name, stopping)

    return arm


def either(*arms: Callable[[Stop], None]) -> Callable[[Stop], None]:
    """Stop wherever one of them does first: a switch is done in one of two ways."""

    def arm(stop: Stop) -> None:
        for one in arms:
            one(stop)

    return arm


# Name of a point → how this process is made to stop there. In the order of a run, but for `BESIDE`.
POINTS: dict[str, Callable[[Stop], None]] = {
    "locks held": before(run, "sweep_staging"),
    "staging made": after(run, "create_staging"),
    "rows taken out": after(publish_window, "set_apart"),
    "amid extraction": amid(stream, "throttle", item=1),
    "amid load": amid(fill_staging, "load_stream"),
    "rows staged": before(judge, "audit_staging"),
    "audit passed": before(stages, "publish_window"),
    "table awaited": before(held_locks, "table_lock"),
    "clone made": before(by_exchange, "check_clone"),
    "switch ready": before(held_locks, "note_switch"),  # whichever way it is done, the locks are checked next
    "locks checked": either(before(by_exchange, "exchange_statement"), before(switch, "attach_statements")),
    "switch done": either(after(by_exchange, "exchange"), after(switch, "attach_staged")),
    "half kept": before(versions, "rename_statement"),
    "all published": before(stages, "drop_staging"),
    "staging dropped": after(stages, "drop_staging"),
    "ledger written": after(run, "record_run", call=2),
}
# A point of the thread that takes rows out while others are read: how far the run itself has come there is open.
BESIDE = "rows taken out"


def work(task: Task, pipe: Connection) -> None:
    """Do the task; tell ``started``, ``stopped`` at its point, and at last how it ended.

    At the point it waits for a word, or for its end.
    """
    stopped = False

    def stop() -> None:
        nonlocal stopped
        if not stopped:
            stopped = True
            pipe.send(("stopped", task.point))
            try:
                pipe.recv()
            except EOFError:  # whoever watches is gone
                os._exit(1)

    if task.point:
        POINTS[task.point](stop)
    settings = settings_of(task)
    try:
        connect, answer, again = (
            settings.connect_timeout_seconds,
            settings.statement_timeout_seconds,
            settings.retry_seconds,
        )
        source = open_source(task.source_url, connect, answer_seconds=answer, retry_seconds=again)
        warehouse = open_warehouse(task.warehouse_url, connect, answer_seconds=answer, retry_seconds=again)
        pipe.send(("started", ""))
        result = run_window(
            task.window,
            source=source,
            warehouse=warehouse,
            pipeline=pipeline_of(task.partition_by),
            run_id=task.run_id,
            allow_shrink=True,
            settings=settings,
        )
    except SentinelError as error:
        pipe.send(("failed", (type(error).__name__, error.exit_code, str(error))))
    except Exception as error:  # noqa: BLE001 - for the watcher to judge
        pipe.send(("broken", f"{type(error).__name__}: {error}"))
    else:
        pipe.send(("done", result.verdict))
