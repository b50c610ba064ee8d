"""What a run gives back: counts, checks, timings and the verdict."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from zoneinfo import ZoneInfo

import pandas as pd

from sentinel_etl.audit.changes.changes import Changes
from sentinel_etl.audit.checks import Check, describe_checks
from sentinel_etl.audit.completeness import Completeness
from sentinel_etl.audit.history import Measures
from sentinel_etl.config.dimensions import CITY, Dimensions
from sentinel_etl.errors import AuditFailed
from sentinel_etl.ledger.ledger import RunRecord
from sentinel_etl.ledger.nights import OpenNight
from sentinel_etl.ledger.presence import NightRows
from sentinel_etl.ledger.states import RunState
from sentinel_etl.run.fill_staging import Staged
from sentinel_etl.run.job import Job
from sentinel_etl.run.judge import Judged
from sentinel_etl.run.provenance import name_code
from sentinel_etl.run.stages import Published, Reconciled
from sentinel_etl.window import Window

__all__ = ["RunResult", "make_result"]


def empty(**types: str) -> pd.DataFrame:
    return pd.DataFrame({name: pd.Series(dtype=kind) for name, kind in types.items()})


@dataclass(frozen=True)
class RunResult:
    """What one run did.

    ``verdict``  PUBLISHED, PUBLISHED WITH WARNINGS, NOT PUBLISHED or DRY RUN; ``cause`` says why
    ``counts``   event_type, and rows (int64): source (in the snapshot), staged and rejected (together
                 the source's), published (in the fact table after the run, whichever run put them
                 there), and source_now (when the run ended: more than source means late rows)
    ``timings``  phase → seconds busy; extract, transform and load overlap, total is wall time
    ``how``      how the fact table was switched
    ``nights``   night → its rows after the switch, and their digest: the window's, and those that an event has
                 moved from
    ``preview``  the earliest fact row of each event type
    ``riskiest`` the ten fact rows with the highest scores, of the columns that may be shown
    ``limited``  whether the run was limited to some event types
    ``tonight``  the window's counts, NULL shares and scores; ``before``: those of the nights before
    ``versions`` of what ran: name → version
    ``rejected`` event_type, reason, rows (int64) that are no events; those that lie in no night are
                 counted here alone
    ``late``     shift_date, event_type, source, warehouse (int64 rows) of earlier nights that have changed
                 in the source since they were loaded
    ``moved``    event_type, shift_date, rows (int64) of other nights that go, because their event is in
                 this window now
    ``dimensions`` what the pipeline calls its own; ``shown``: the columns that may be shown of a row
    ``content``  the hash of the staged rows: equal where a run of the window stages the same
    ``completeness``  what is still to come of the night; None: it ended long ago, or is no whole night
    ``open``     the window's nights of which only a part is loaded, by this run and those before it
    ``by_night`` of a window that touches several nights: shift_date, rows (staged), rejected, before (rows that
                 were loaded), and mean_risk of the events that score, where there is a score; else None
    ``changes``  what is staged against what readers saw before the run; None: they saw nothing of the window
    """

    run_id: str
    window: Window
    verdict: RunState
    cause: str
    counts: pd.DataFrame
    checks: tuple[Check, ...]
    timings: Mapping[str, float]
    how: str
    preview: pd.DataFrame
    tonight: Measures
    before: Measures
    config_hash: str
    code_version: str
    zone: ZoneInfo
    content: str = ""
    completeness: Completeness | None = None
    limited: bool = False
    riskiest: pd.DataFrame = field(default_factory=pd.DataFrame)
    versions: Mapping[str, str] = field(default_factory=dict)
    nights: Mapping[date, NightRows] = field(default_factory=dict)
    rejected: pd.DataFrame = field(default_factory=lambda: empty(event_type="str", reason="str", rows="int64"))
    late: pd.DataFrame = field(
        default_factory=lambda: empty(shift_date="object", event_type="str", source="int64", warehouse="int64")
    )
    moved: pd.DataFrame = field(default_factory=lambda: empty(event_type="str", shift_date="object", rows="int64"))
    by_night: pd.DataFrame | None = None
    changes: Changes | None = None
    dimensions: Dimensions = CITY
    shown: tuple[str, ...] = ()
    open: tuple[OpenNight, ...] = ()

    @property
    def published(self) -> bool:
        return self.verdict.is_published

    def raise_for_verdict(self) -> None:
        """Raise where the run was to publish and did not.

        Raises:
            AuditFailed: with the failed checks and the next step.
        """
        if self.verdict is RunState.NOT_PUBLISHED:
            raise AuditFailed(
                f"{self.cause}. Nothing was published; the staged rows are kept in the warehouse, in "
                f"the table that ends in {self.run_id}, until a later run of the window publishes",
                stage="audit",
                window=self.window,
            )

    def close_record(self, record: RunRecord) -> RunRecord:
        """Complete the ledger's record of this run."""
        sides = self.counts.set_index("event_type")
        if not self.published:
            sides = sides.assign(published=0)  # what is there is another run's
        return replace(
            record,
            state=self.verdict,
            cause=self.cause,
            source_rows=int(sides["source"].sum()),
            published_rows=int(sides["published"].sum()),
            counts=json.loads(sides.to_json(orient="index")),
            changes=self.changes.as_record() if self.changes else {},
            timings={phase: round(seconds, 3) for phase, seconds in self.timings.items()},
            checks=tuple(check.as_dict() for check in self.checks),
            how=self.how,
            nights={str(night): rows for night, rows in self.nights.items()},
            content=self.content,
            completeness=self.completeness.as_dict() if self.completeness else {},
            versions={**self.versions, **name_code()},
        )


def make_result(
    job: Job,
    staged: Staged,
    judged: Judged,
    published: Published,
    reconciled: Reconciled,
    versions: Mapping[str, str],
    timed: Sequence[Check] = (),
) -> RunResult:
    """Put together what the stages returned; ``timed`` are the checks of when, which wait for publishing."""
    pipeline = job.context.pipeline
    warned = [*judged.warned, *(check for check in timed if not check.passed)]
    if judged.blocked:
        verdict = RunState.NOT_PUBLISHED
    elif job.dry_run:
        verdict = RunState.DRY_RUN
    else:
        verdict = RunState.PUBLISHED_WITH_WARNINGS if warned else RunState.PUBLISHED
    return RunResult(
        run_id=job.run_id,
        window=job.window,
        verdict=verdict,
        cause=describe_checks(judged.blocked or warned),
        counts=reconciled.counts,
        rejected=staged.rejected.tabulate(),
        late=judged.late,
        moved=judged.others.moved,
        by_night=judged.nights,
        changes=judged.changes,
        checks=(*judged.checks, *timed),
        timings=job.clock.rounded(),
        how=published.how,
        nights=published.nights,
        preview=judged.preview,
        riskiest=judged.riskiest,
        tonight=judged.tonight,
        before=judged.before,
        config_hash=job.record.config_hash,
        code_version=job.record.code_version,
        content=judged.content,
        completeness=judged.completeness,
        zone=pipeline.zone,
        versions=versions,
        limited=job.limited,
        dimensions=pipeline.breakdown,
        shown=pipeline.shown_columns,
    )
