"""Tells a collector of lineage that a run has begun and how it ended."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from sentinel_etl.context import Context
from sentinel_etl.errors import SentinelError
from sentinel_etl.ledger.ledger import STAGES_ONLY, RunRecord
from sentinel_etl.ledger.states import RunState
from sentinel_etl.lineage.collector import open_collector
from sentinel_etl.lineage.datasets import Site
from sentinel_etl.pipeline import Pipeline
from sentinel_etl.settings import Settings

__all__ = ["tell_failure", "tell_run"]


@contextmanager
def tell_run(record: RunRecord, context: Context) -> Iterator[Callable[[RunRecord], None]]:
    """Tell of a run that is done within the block; the function that is lent takes its closed record.

    An error that leaves the block is told as the run's failure. A dry run is not told: it moves nothing. An
    interruption leaves a run that the collector knows to be under way.
    """
    collector = None if record.how == STAGES_ONLY else open_collector(context.settings)
    if collector is None:
        yield lambda closed: None
        return
    pipeline, site = context.pipeline, Site.of(context.source, context.warehouse)
    ends: list[RunRecord] = []
    collector.send(lambda: make("START", record, pipeline, site))
    try:
        yield ends.append
    except BaseException as error:
        problem = describe_failure(error)
        collector.send(lambda: make("FAIL", record, pipeline, site, problem))
        collector.finish()
        raise
    closed = ends[-1]
    if closed.state is RunState.NOT_PUBLISHED:
        collector.send(lambda: make("FAIL", closed, pipeline, site, closed.cause))
    else:
        collector.send(lambda: make("COMPLETE", closed, pipeline, site))
    collector.finish()


def tell_failure(record: RunRecord, pipeline: Pipeline, error: SentinelError, settings: Settings) -> None:
    """Tell that a run failed which could not tell it: its kernel died, or it never came as far as its first row."""
    collector = open_collector(settings)
    if collector is not None:
        collector.send(lambda: make("FAIL", record, pipeline, None, str(error)))
        collector.finish()


def make(*arguments: Any) -> Any:
    """Make an event, in the collector's thread: openlineage takes a second to import."""
    from sentinel_etl.lineage.events import make_event

    return make_event(*arguments)


def describe_failure(error: BaseException) -> str:
    """Say why a run failed; of an error that is not ours only its class, for its words may hold anything."""
    if isinstance(error, KeyboardInterrupt):
        return "stopped by Ctrl-C or SIGTERM"
    return str(error) if isinstance(error, SentinelError) else type(error).__name__
