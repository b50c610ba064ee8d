"""What one run is to do, and with what: settled before its first stage, and not changed after."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property
from importlib.metadata import version

from clickhouse_sqlalchemy import Table

from sentinel_etl.brief import read_brief
from sentinel_etl.config.event_type import EventType
from sentinel_etl.context import Context
from sentinel_etl.ledger.ledger import STAGES_ONLY, RunRecord
from sentinel_etl.rules.describe import Rules, describe_rules, hash_rules
from sentinel_etl.stopwatch import Stopwatch
from sentinel_etl.warehouse.tables import build_rejected
from sentinel_etl.window import Window

__all__ = ["Job"]


@dataclass(frozen=True)
class Job:
    """One run of one window.

    ``event_types``   the types to move; ``dry_run`` stages and audits, then publishes nothing
    ``allow_shrink``  publish even if a loaded night lost most of its rows
    ``clock``         adds up what each phase takes
    """

    run_id: str
    window: Window
    event_types: Mapping[str, EventType]
    context: Context
    dry_run: bool = False
    allow_shrink: bool = False
    clock: Stopwatch = field(default_factory=Stopwatch)

    @property
    def names(self) -> list[str]:
        return list(self.event_types)

    @property
    def limited(self) -> bool:
        """Whether the run is limited to some of the pipeline's event types."""
        return len(self.event_types) < len(self.context.pipeline.event_types)

    @property
    def owned_types(self) -> list[str] | None:
        """The event types whose rows of the window are the run's: None, of every one, unless it is limited to some.

        A fact table belongs to one pipeline, so a type that the configuration has no more is nobody else's.
        """
        return self.names if self.limited else None

    @property
    def max_shrink(self) -> float:
        """The share of a loaded night's rows that may go: the setting's where it is given, or else the pipeline's."""
        settings, own = self.context.settings, self.context.pipeline.gate_limits.max_shrink
        return settings.max_shrink if own is None or "max_shrink" in settings.model_fields_set else own

    @property
    def fact_table(self) -> Table:
        return self.context.pipeline.fact_table

    @cached_property
    def rejected_table(self) -> Table:
        return build_rejected(self.fact_table)

    @cached_property
    def rules(self) -> Rules:
        """What decides what the run writes, whole."""
        return describe_rules(self.context.pipeline)

    @cached_property
    def record(self) -> RunRecord:
        """The ledger's row of the run as it begins."""
        return RunRecord(
            run_id=self.run_id,
            fact_table=self.fact_table.name,
            window=self.window,
            event_types=tuple(self.event_types),
            config_hash=hash_rules(self.rules),
            code_version=version("sentinel-warehouse-etl"),
            how=STAGES_ONLY if self.dry_run else "",
            pii=self.context.pipeline.pii_policy,
            backfill=read_brief().backfill,
        )

    @cached_property
    def nights(self) -> list[date]:
        """The operational nights that the window touches, in order."""
        return self.window.shift_dates(self.context.pipeline.zone)

    @property
    def first_night(self) -> date:
        return self.nights[0]

    @property
    def is_one_night(self) -> bool:
        return self.window == Window.night(self.first_night, self.context.pipeline.zone)
