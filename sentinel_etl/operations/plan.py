"""Tells what today's rules would do to the nights that are loaded, before anything is done."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Engine

from sentinel_etl.databases import opened_warehouse
from sentinel_etl.errors import SentinelError
from sentinel_etl.ledger.kept_rules import read_rules
from sentinel_etl.ledger.ledger import list_runs
from sentinel_etl.pipeline import Pipeline
from sentinel_etl.rules.compare import RuleChange, compare_rules
from sentinel_etl.rules.describe import describe_rules
from sentinel_etl.rules.stale import StaleNights, find_stale_nights
from sentinel_etl.settings import Settings

__all__ = ["Comparison", "compare_with_last"]


@dataclass(frozen=True)
class Comparison:
    """How today's rules differ from those that are in the warehouse.

    ``reason``   why nothing was compared; empty: it was
    ``run_id``   the last run that has published
    ``changes``  how today's rules differ from that run's
    ``stale``    all nights that were loaded under other rules than today's
    """

    reason: str = ""
    run_id: str = ""
    changes: tuple[RuleChange, ...] = ()
    stale: StaleNights | None = None

    def as_dict(self) -> dict[str, Any]:
        return {
            "not_compared": self.reason,
            "last_run": self.run_id,
            "changes": [change.as_dict() for change in self.changes],
            "stale": self.stale.as_dict() if self.stale else None,
        }

    def __str__(self) -> str:
        if self.reason:
            return f"not compared with the last run's rules: {self.reason}"
        if self.changes:
            lines = [f"other rules than those of the last run, {self.run_id}:", *(f"  {each}" for each in self.changes)]
        else:
            lines = [f"the rules are those of the last run, {self.run_id}"]
        if not self.stale:
            return "\n".join([*lines, "no night was loaded under other rules"])
        nights = self.stale.nights
        lines.append(f"loaded under other rules: {self.stale.span}")
        lines.append(f"  what that does to a night: sentinel-etl plan --effect {nights[-1]}")
        return "\n".join([*lines, "  to load them again: sentinel-etl backfill --stale"])


def compare_with_last(settings: Settings, pipeline: Pipeline) -> Comparison:
    """Compare today's rules with those of the runs in the ledger, where the warehouse answers. Starts nothing."""
    try:
        with warehouse_if_there(settings) as warehouse:
            if warehouse is None:
                return Comparison("the local stack is not running")
            return compare_in(warehouse, pipeline)
    except SentinelError as error:
        return Comparison(str(error))


def compare_in(warehouse: Engine, pipeline: Pipeline) -> Comparison:
    runs = list_runs(pipeline.fact_table, warehouse)
    last = next((run for run in runs if run["state"].is_published and run["config_hash"]), None)
    if last is None:
        return Comparison(f"no run has published to {pipeline.fact_table.name} yet")
    kept = read_rules([last["config_hash"]], warehouse)
    if not kept:
        return Comparison(f"the last run, {last['run_id']}, is of a version that did not keep its rules")
    changes = compare_rules(kept[last["config_hash"]], describe_rules(pipeline))
    return Comparison("", last["run_id"], tuple(changes), find_stale_nights(runs, pipeline, warehouse))


@contextmanager
def warehouse_if_there(settings: Settings) -> Iterator[Engine | None]:
    """Open the warehouse, asked once; None: it would be the local stack's, which is down."""
    if settings.warehouse_url is None:
        from sentinel_etl.local.stack import stack_status

        if not all(service.running for service in stack_status(settings.state_dir)):
            yield None
            return
    with opened_warehouse(settings) as warehouse:
        yield warehouse
