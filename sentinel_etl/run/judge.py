"""Judges staged rows: the audit's checks, against the source, the nights before and what readers see now."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pandas as pd
from clickhouse_sqlalchemy import Table

from sentinel_etl.audit.changes.changes import Changes
from sentinel_etl.audit.changes.rerun import find_rerun_changes
from sentinel_etl.audit.checks import Check
from sentinel_etl.audit.completeness import FEWEST_NIGHTS, Completeness, forecast
from sentinel_etl.audit.each_night import HeldNights, check_each_accepted, judge_each_night
from sentinel_etl.audit.evidence import attach_evidence
from sentinel_etl.audit.history import HISTORY_NIGHTS, Measures, add_up, measure_before, measure_rows
from sentinel_etl.audit.history_gates import judge_history
from sentinel_etl.audit.late_gates import check_late, check_settled
from sentinel_etl.audit.night_gates import check_moved, check_one_night
from sentinel_etl.audit.other_nights import OtherNights, find_other_nights
from sentinel_etl.audit.preview import read_examples, read_riskiest
from sentinel_etl.audit.scene import Scene
from sentinel_etl.audit.staged import audit_staging, hold_nights, name_nights
from sentinel_etl.audit.tabulate_nights import tabulate_nights
from sentinel_etl.audit.window_gates import check_ranges
from sentinel_etl.ledger.nights import loaded_nights, nights_before
from sentinel_etl.ledger.standing import DeadRun, find_dead_runs
from sentinel_etl.ledger.versions import last_switch
from sentinel_etl.reconcile.arrivals import count_arrivals
from sentinel_etl.reconcile.compare import find_settling_nights
from sentinel_etl.reconcile.counts import count_warehouse, find_late_rows
from sentinel_etl.run.fill_staging import Staged
from sentinel_etl.run.job import Job
from sentinel_etl.threads import background
from sentinel_etl.warehouse.rows import hash_content
from sentinel_etl.window import NIGHT_STARTS

__all__ = ["Judged", "judge", "look_back"]


@dataclass(frozen=True)
class LookedBack:
    """What has changed in earlier nights since they were loaded: `RunResult.late`, and what was meant to.

    ``dead``: those whose run has died and has not been done again.
    ``completeness``: what is still to come of the night itself, by how the earlier ones came; None: it cannot be told.
    """

    late: pd.DataFrame
    settling: pd.DataFrame
    dead: Sequence[DeadRun]
    completeness: Completeness | None


def look_back(job: Job) -> LookedBack:
    """Compare the earlier nights that are loaded again; none where the run is limited to some types."""
    context = job.context
    limit = context.settings.statement_timeout_seconds
    before = [] if job.limited else nights_before(job.first_night, context.settings.lookback_nights)
    nights = loaded_nights(before, context.pipeline, context.warehouse)
    given = (nights, context.pipeline, context.reader, context.warehouse, limit)
    dead = find_dead_runs(before, context.pipeline, context.warehouse, context.source)
    completeness = forecast_rest(job, before)
    return LookedBack(find_late_rows(*given), find_settling_nights(*given), dead, completeness)


def forecast_rest(job: Job, before: Sequence[date]) -> Completeness | None:
    """Forecast how many rows of the night are still to come; None: it ended long ago, or is no whole night alone."""
    context, zone = job.context, job.context.pipeline.zone
    now, end = context.settings.now or datetime.now(UTC), job.window.end
    if not (job.is_one_night and len(before) >= FEWEST_NIGHTS and end <= now):
        return None
    until = next((each for each in next_marks(end, zone) if each > now), None)
    if until is None:
        return None
    nights = [*before, job.first_night]
    limit = context.settings.statement_timeout_seconds
    counts = count_arrivals(nights, now - end, until - end, context.pipeline, context.reader, limit)
    if counts.empty:
        return None
    *past, (known, _) = counts[["known", "came"]].to_numpy().tolist()
    return forecast([(before, came) for before, came in past], known, now, until)


def next_marks(end: datetime, zone: ZoneInfo) -> list[datetime]:
    """List until when rows of a night that ended then may be expected: noon, and the next night's end."""
    morning = end.astimezone(zone)
    noon = datetime.combine(morning.date(), time(12), zone)
    return [noon, datetime.combine(morning.date() + timedelta(days=1), NIGHT_STARTS, zone)]


@dataclass(frozen=True)
class Judged:
    """What the audit made of the staged rows: its checks, and what the report shows of them.

    ``staged``   event type → rows in staging
    ``others``   the staged events that stand outside of the window, as of the switch that was the last at ``looked_at``
    ``changes``  against what readers see; None: they see nothing of the window
    ``nights``   `RunResult.by_night`; None: the window lies in one night
    ``content``  the hash of the staged rows
    ``completeness``  what is still to come; None: it cannot be told
    """

    checks: tuple[Check, ...]
    tonight: Measures
    before: Measures
    late: pd.DataFrame
    preview: pd.DataFrame
    riskiest: pd.DataFrame
    staged: Mapping[str, int]
    others: OtherNights
    looked_at: datetime | None
    changes: Changes | None
    nights: pd.DataFrame | None
    content: str
    completeness: Completeness | None

    @property
    def blocked(self) -> list[Check]:
        return [check for check in self.checks if check.blocks]

    @property
    def warned(self) -> list[Check]:
        return [check for check in self.checks if not check.passed and not check.blocks]


def judge(job: Job, staged: Staged, looked_back: Callable[[], LookedBack]) -> Judged:
    """Check the staged rows, and read from them what the report shows; the last waits for `look_back`. Reads only."""
    context, table, facts = job.context, staged.table, job.fact_table
    warehouse, pipeline = context.warehouse, context.pipeline
    dimensions = pipeline.breakdown
    with job.clock.measure("audit"):
        by_night = len(job.nights) > 1
        measuring = background(
            lambda: (
                measure_rows(table, warehouse, dimensions=dimensions, by_night=by_night),
                measure_before(job.first_night, facts, warehouse, dimensions=dimensions, by_night=by_night),
            )
        )
        hashing = background(lambda: hash_content(table, warehouse))
        looked_at = last_switch(facts, warehouse)
        looking = background(lambda: look_elsewhere(job, table))
        comparing = background(
            lambda: find_rerun_changes(table, job.window, job.event_types, looking(), context.pipeline, warehouse)
        )
        refused = staged.rejected.by_night
        held = hold_nights(table, facts, job.window, pipeline.zone, warehouse, refused, job.owned_types)
        checks = check_staged(job, staged, held)
        preview = read_examples(table, warehouse, context.pipeline.personal)
        tonight, before = measuring()
        others, earlier = looking(), looked_back()
        checks += [check_one_night(others, job.event_types), check_moved(others)]
        checks += judge_past(job, before, tonight)
        nights = context.settings.lookback_nights
        checks += [check_late(earlier.late, nights, pipeline.gate_limits, earlier.settling)] if nights else []
        checks += [check_settled({str(one.shift_date): one.cause for one in earlier.dead})] if earlier.dead else []
        return Judged(
            checks=tuple(explain(job, staged, checks)),
            tonight=add_up(tonight),
            before=add_up(before),
            nights=tabulate_nights(held, tonight) if by_night else None,
            late=earlier.late,
            preview=preview,
            riskiest=read_riskiest(table, warehouse, context.pipeline.shown_columns),
            staged=count_warehouse(table, job.window, job.names, warehouse),
            others=others,
            looked_at=looked_at,
            changes=comparing(),
            content=hashing(),
            completeness=earlier.completeness,
        )


def check_staged(job: Job, staged: Staged, held: HeldNights) -> list[Check]:
    """Check the staged rows against the source's snapshot and what is loaded."""
    facts, warehouse, pipeline = job.fact_table, job.context.warehouse, job.context.pipeline
    source, rejected = staged.extracted.counts, staged.rejected
    ranges = check_ranges(staged.outside, facts, pipeline.bounds)
    return [
        check_each_accepted(held, rejected.in_window, source, pipeline.gate_limits),
        *audit_staging(
            staged.table,
            facts,
            job.window,
            source,
            rejected.in_window,
            staged.nulls,
            warehouse,
            job.max_shrink,
            job.allow_shrink,
            held,
        ),
        name_nights(ranges, staged.table, facts, warehouse) if held.is_several else ranges,
    ]


def judge_past(job: Job, before: Measures, tonight: Measures) -> list[Check]:
    """Judge the window by the nights before: each of its whole nights, for a part cannot be compared with a whole."""
    pipeline = job.context.pipeline
    limits, settling, dimensions = pipeline.gate_limits, pipeline.settling, pipeline.breakdown
    if job.limited:
        return []
    if len(job.nights) > 1:
        return judge_each_night(before, tonight, job.window, pipeline.zone, limits, settling, dimensions)
    return judge_history(before, tonight, limits, settling, dimensions) if job.is_one_night else []


def look_elsewhere(job: Job, staging: Table) -> OtherNights:
    """Find the staged events that stand outside of the window: the rows of other nights that publishing would take."""
    context = job.context
    return find_other_nights(
        staging,
        job.fact_table,
        job.window,
        job.event_types,
        context.pipeline.zone,
        context.reader,
        context.warehouse,
        context.settings.statement_timeout_seconds,
    )


def explain(job: Job, staged: Staged, checks: list[Check]) -> list[Check]:
    """Give the failed checks their first rows and the query that shows more."""
    types = job.names if job.limited else []
    past_from = str(job.first_night - timedelta(days=HISTORY_NIGHTS))
    refused, pipeline = staged.rejected.staging, job.context.pipeline
    now, published = (
        Scene(
            rows,
            job.fact_table,
            job.window,
            types,
            str(job.first_night),
            past_from,
            rejected,
            pipeline.shown_columns,
            pipeline.breakdown,
            job.is_one_night,
        )
        for rows, rejected in (
            (staged.table, refused),
            (job.fact_table, None if refused is None else job.rejected_table),
        )
    )
    return attach_evidence(checks, now, published, job.context.warehouse, dry_run=job.dry_run)
