"""The stages of one run of one window, in order: read → transform → load → audit → publish → reconcile."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version

import pandas as pd
import pyarrow as pa
from clickhouse_sqlalchemy import Table
from sqlalchemy import Engine, union_all

from sentinel_etl.arrow import as_arrow, as_frame
from sentinel_etl.audit.checks import Check, describe_checks
from sentinel_etl.audit.contract import build_contract, check_contract, judge_ranges
from sentinel_etl.audit.evidence import attach_evidence
from sentinel_etl.audit.history import Measures, measure_before, measure_rows
from sentinel_etl.audit.judge import judge_history, judge_late
from sentinel_etl.audit.preview import read_examples, read_riskiest
from sentinel_etl.audit.staged import audit_staging, check_rejected, most_rejected
from sentinel_etl.config.event_type import EventType
from sentinel_etl.extract.read import extract_batches
from sentinel_etl.extract.refused import select_nightless, select_refused
from sentinel_etl.extract.statements import count_events
from sentinel_etl.ledger.nights import nights_before
from sentinel_etl.load.load import load_stream
from sentinel_etl.load.rejected import Rejects, reject_surplus
from sentinel_etl.load.staging import create_staging, drop_staging, sweep_staging
from sentinel_etl.pipeline import Pipeline
from sentinel_etl.publish.partitions import partition_ids, partition_scheme
from sentinel_etl.publish.publish_rejected import publish_rejected
from sentinel_etl.publish.publish_window import publish_window
from sentinel_etl.reconcile.counts import count_source, count_warehouse, find_late_rows
from sentinel_etl.run.provenance import config_hash, name_versions
from sentinel_etl.run.result import RunResult
from sentinel_etl.run.stopwatch import Stopwatch
from sentinel_etl.settings import Settings
from sentinel_etl.source.locks import hold_locks, run_lock
from sentinel_etl.source.snapshot import BATCH_BYTES, Snapshot, open_snapshot
from sentinel_etl.threads import background, prefetch, throttle
from sentinel_etl.transform.concatenate import concatenate
from sentinel_etl.transform.misfits import sort_rows
from sentinel_etl.warehouse.tables import build_rejected
from sentinel_etl.window import Window

__all__ = ["WindowRun"]


# Far above what `batch_rows` ordinary rows hold, far below what one Arrow text column can (2 GiB).
PENDING_BYTES = 256 << 20


@dataclass(frozen=True)
class Judged:
    """What the audit made of the staged rows: its checks, and what the report shows of them."""

    checks: list[Check]
    tonight: Measures
    before: Measures
    late: pd.DataFrame
    preview: pd.DataFrame
    riskiest: pd.DataFrame
    staged: Mapping[str, int]

    @property
    def blocked(self) -> list[Check]:
        return [check for check in self.checks if check.severity == "block" and not check.passed]

    @property
    def warned(self) -> list[Check]:
        return [check for check in self.checks if check.severity == "warn" and not check.passed]

    @property
    def verdict(self) -> str:
        if self.blocked:
            return "NOT PUBLISHED"
        return "PUBLISHED WITH WARNINGS" if self.warned else "PUBLISHED"


@dataclass
class WindowRun:
    """One run of one window: its fixed parts, what it measures on the way, and its stages in order."""

    window: Window
    source: Engine
    reader: Engine
    warehouse: Engine
    pipeline: Pipeline
    event_types: Mapping[str, EventType]
    settings: Settings
    run_id: str
    clock: Stopwatch = field(default_factory=Stopwatch)
    nulls: Counter[str] = field(default_factory=Counter)
    read_counts: Counter[str] = field(default_factory=Counter)
    outside: Counter[str] = field(default_factory=Counter)
    source_counts: dict[str, int] = field(default_factory=dict)
    rejects: Rejects = field(init=False)
    # Waits for the count in the snapshot, once everything has been read.
    counted: Callable[[], None] = field(init=False)

    def __post_init__(self) -> None:
        self.rejects = Rejects(self.pipeline, self.run_id, self.warehouse)

    def execute(self, *, dry_run: bool, allow_shrink: bool) -> RunResult:
        """Go through the stages; the lock on the partitions is held from the first to the last."""
        with self.hold_partitions() as (partitions, check_held):
            sweep_staging(self.pipeline.fact_table, self.source, self.warehouse)
            staging = create_staging(self.pipeline.fact_table, self.run_id, self.warehouse)
            late = self.look_back()
            self.stage(staging)
            with self.clock.measure("audit"):
                judged = self.judge_staging(staging, late, allow_shrink)
            how = ""
            recounting = background(self.recount)
            if not judged.blocked and not dry_run:
                with self.clock.measure("publish"):
                    how = self.publish(staging, partitions, check_held)
            with self.clock.measure("reconcile"):
                counts = self.reconcile(judged.staged, recounting())
            if not judged.blocked:
                for table in [staging] if self.rejects.staging is None else [staging, self.rejects.staging]:
                    drop_staging(table, self.warehouse)
        return RunResult(
            run_id=self.run_id,
            window=self.window,
            verdict="DRY RUN" if dry_run and not judged.blocked else judged.verdict,
            cause=describe_checks(judged.blocked or judged.warned),
            counts=counts,
            rejected=self.rejects.table(),
            late=judged.late,
            checks=tuple(judged.checks),
            timings={},
            how=how,
            preview=judged.preview,
            riskiest=judged.riskiest,
            tonight=judged.tonight,
            before=judged.before,
            config_hash=config_hash(self.pipeline, self.window),
            code_version=version("sentinel-warehouse-etl"),
            zone=self.pipeline.zone,
            versions=name_versions(self.source, self.warehouse),
            limited=len(self.event_types) < len(self.pipeline.event_types),
        )

    def judge_staging(self, staging: Table, counting: Callable[[], pd.DataFrame], allow_shrink: bool) -> Judged:
        """Check the staged rows, and read from them what the report shows. Only a surplus row is moved."""
        self.nulls.subtract(reject_surplus(staging, self.rejects, most_rejected(self.source_counts)))
        self.rejects.flush()
        measuring = background(lambda: self.measure(staging))
        checks = [
            check_rejected(self.rejects.in_window, self.rejects.counts, self.source_counts),
            *self.audit(staging, allow_shrink),
            judge_ranges(self.outside, self.pipeline.fact_table),
        ]
        preview = read_examples(staging, self.warehouse, self.pipeline.personal)
        tonight, before = measuring()
        late = counting()
        checks += [*self.judge(tonight, before), *self.judge_late(late)]
        return Judged(
            checks=self.explain(checks, staging),
            tonight=tonight,
            before=before,
            late=late,
            preview=preview,
            riskiest=read_riskiest(staging, self.warehouse),
            staged=count_warehouse(staging, self.window, list(self.event_types), self.warehouse),
        )

    def measure(self, staging: Table) -> tuple[Measures, Measures]:
        """Measure the staged rows, and those of the nights before."""
        return measure_rows(staging, self.warehouse), measure_before(self.window, self.pipeline, self.warehouse)

    def publish(self, staging: Table, partitions: Sequence[str], check_held: Callable[[], None]) -> str:
        """Put the rejected rows and then the facts in the place of the window's earlier ones; say how."""
        names = list(self.event_types)
        publish_rejected(self.rejects, self.window, names, self.source, self.settings.lock_wait_seconds)
        return publish_window(
            staging, self.pipeline.fact_table, self.window, names, partitions, self.warehouse, check_held
        )

    @contextmanager
    def hold_partitions(self) -> Iterator[tuple[list[str], Callable[[], None]]]:
        """Lock the partitions that the window touches, and the run's own name, which shows it alive.

        Gives the partitions, and a function that checks that the locks are still held.
        """
        fact_table = self.pipeline.fact_table
        scheme = partition_scheme(fact_table, self.warehouse)
        partitions = partition_ids(self.window, scheme, self.pipeline.zone)
        locks = [f"{fact_table.name} partition {partition}" for partition in partitions]
        with hold_locks(
            self.source,
            [*locks, run_lock(self.run_id)],
            f"sentinel-etl run {self.run_id}",
            self.settings.lock_wait_seconds,
        ) as check_held:
            yield partitions, check_held

    def stage(self, staging: Table) -> None:
        """Stream the window into staging; reading, transforming, loading and the source's count overlap."""
        facts = prefetch(self.transform(prefetch(self.read(), depth=1)), depth=1)
        with self.clock.measure("load"):
            load_stream(self.clock.waited("load", facts), staging, self.warehouse, loader=self.settings.loader)
        self.counted()

    def read(self) -> Iterator[dict[str, pd.DataFrame]]:
        """Read all event types in one snapshot, about ``batch_rows`` rows at a time; then begin to count them there.

        A batch is also full at `PENDING_BYTES`: a remark may be as long as PostgreSQL lets it be. The count
        goes on while what was read last is loaded, and ends the snapshot.
        """
        pending: dict[str, list[pa.RecordBatch]] = {}
        rows, size = 0, 0
        limit = self.settings.source_max_rows_per_second
        # A throttled reader takes small bites, so that the source never works in bursts.
        batch_bytes = BATCH_BYTES if not limit else BATCH_BYTES // 16
        with ExitStack() as held:
            snapshot = held.enter_context(
                open_snapshot(self.reader, self.settings.statement_timeout_seconds, batch_bytes)
            )
            for kind in self.event_types.values():
                batches = throttle(extract_batches(kind, self.window, snapshot), limit)
                for batch in self.clock.busy("extract", batches):
                    self.read_counts[kind.name] += batch.num_rows
                    pending.setdefault(kind.name, []).append(batch)
                    rows, size = rows + batch.num_rows, size + batch.nbytes
                    if rows >= self.settings.batch_rows or size >= PENDING_BYTES:
                        yield as_frames(pending)
                        pending, rows, size = {}, 0, 0
            if pending:
                yield as_frames(pending)
            kept = held.pop_all()
        self.counted = background(lambda: self.count(snapshot, kept))

    def count(self, snapshot: Snapshot, kept: ExitStack) -> None:
        """Count in the snapshot what was to be read, and end it."""
        with kept, self.clock.measure("count"):
            self.source_counts = snapshot.count(count_events(kind, self.window) for kind in self.event_types.values())
            self.read_refused(snapshot)

    def read_refused(self, snapshot: Snapshot) -> None:
        """Read in the same snapshot what no event can be made of; in the window few types have any."""
        kinds = self.event_types.values()
        short = [kind for kind in kinds if self.source_counts[kind.name] != self.read_counts[kind.name]]
        nightless = union_all(*map(select_nightless, kinds))
        for statement in (nightless, *(select_refused(kind, self.window) for kind in short)):
            for batch in snapshot.read(statement, "refused rows"):
                self.rejects.add_refused(batch)

    def transform(self, batches: Iterator[dict[str, pd.DataFrame]]) -> Iterator[pd.DataFrame]:
        loaded_at = pd.Timestamp(datetime.now(UTC))
        contract = build_contract(self.pipeline.fact_table)

        def transform_batch(frames: dict[str, pd.DataFrame]) -> pd.DataFrame:
            with self.clock.measure("transform"):
                facts, rejected = sort_rows(concatenate(frames), self.pipeline)
                self.rejects.add(rejected)
                self.outside.update(check_contract(facts, contract))
                columns = as_arrow(facts)
                self.nulls.update({name: columns[name].null_count for name in columns.column_names})
                return facts.assign(run_id=self.run_id, loaded_at=loaded_at)

        # `map`, unlike a loop's variable, does not hold a batch while the next one is waited for.
        yield from map(transform_batch, batches)

    def audit(self, staging: Table, allow_shrink: bool) -> list[Check]:
        return audit_staging(
            staging,
            self.pipeline.fact_table,
            self.window,
            self.source_counts,
            self.rejects.in_window,
            self.nulls,
            self.warehouse,
            self.settings.max_shrink,
            allow_shrink,
        )

    def judge(self, tonight: Measures, before: Measures) -> list[Check]:
        """Judge one whole night by the nights before; part of one, or several, cannot be compared so."""
        one_night = self.window == Window.night(self.window.shift_dates(self.pipeline.zone)[0], self.pipeline.zone)
        whole = len(self.event_types) == len(self.pipeline.event_types)
        return judge_history(before, tonight) if one_night and whole else []

    def look_back(self) -> Callable[[], pd.DataFrame]:
        """Count earlier nights again while this one is moved; the function returned waits for the answer."""
        nights = nights_before(self.window.shift_dates(self.pipeline.zone)[0], self.settings.lookback_nights)
        if len(self.event_types) < len(self.pipeline.event_types):
            nights = []
        limit = self.settings.statement_timeout_seconds
        return background(lambda: find_late_rows(nights, self.pipeline, self.reader, self.warehouse, limit))

    def judge_late(self, late: pd.DataFrame) -> list[Check]:
        return [judge_late(late, self.settings.lookback_nights)] if self.settings.lookback_nights else []

    def explain(self, checks: Sequence[Check], staging: Table) -> list[Check]:
        """Give the failed checks their first rows and the query that shows more."""
        nights = self.window.shift_dates(self.pipeline.zone)
        whole = len(self.event_types) == len(self.pipeline.event_types)
        types = [] if whole else list(self.event_types)
        facts, refused = self.pipeline.fact_table, self.rejects.staging
        rejected = None if refused is None else (refused, build_rejected(facts))
        return attach_evidence(checks, staging, facts, self.window, types, nights, self.warehouse, rejected)

    def recount(self) -> dict[str, int]:
        """Count the source's rows of the window as they are now."""
        limit = self.settings.statement_timeout_seconds
        return count_source(self.event_types.values(), self.window, self.reader, limit)

    def reconcile(self, staged: Mapping[str, int], now: Mapping[str, int]) -> pd.DataFrame:
        """Count what is published: the columns of `RunResult.counts`, with the source's rows of ``now``."""
        names = list(self.event_types)
        published = count_warehouse(self.pipeline.fact_table, self.window, names, self.warehouse)
        sides = {
            "source": self.source_counts,
            "staged": staged,
            "rejected": self.rejects.in_window,
            "published": published,
            "source_now": now,
        }
        return pd.DataFrame(
            {
                "event_type": names,
                **{side: [counts.get(name, 0) for name in names] for side, counts in sides.items()},
            }
        )


def as_frames(batches: Mapping[str, list[pa.RecordBatch]]) -> dict[str, pd.DataFrame]:
    return {name: as_frame(pa.Table.from_batches(held)) for name, held in batches.items()}
