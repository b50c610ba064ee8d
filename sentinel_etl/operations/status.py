"""Answers whether last night is in, and which nights are not, from the ledger and the fact table's rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sentinel_etl.audit.checks import Check, describe_checks
from sentinel_etl.audit.time_gates import TIME_GATES
from sentinel_etl.context import Context
from sentinel_etl.errors import AuditFailed
from sentinel_etl.ledger.nights import OpenNight, open_nights
from sentinel_etl.ledger.policies import OtherPolicy, find_other_policy
from sentinel_etl.ledger.presence import ExpiredRows, LostRows
from sentinel_etl.ledger.standing import DeadRun, read_standing
from sentinel_etl.ledger.states import RunState
from sentinel_etl.operations.progress import BackfillProgress, find_under_way
from sentinel_etl.rules.stale import StaleNights, find_stale_nights
from sentinel_etl.settings import choose_window
from sentinel_etl.warehouse.catalog import measure_kept
from sentinel_etl.warehouse.tables import BEFORE_MARK
from sentinel_etl.window import CITY_ZONE, nights_between
from sentinel_etl.wording import list_some, plural

__all__ = ["Status", "read_status"]

MOST_NIGHTS = 10  # named of those that are missing, and of those that have lost rows


@dataclass(frozen=True)
class Status:
    """How the last nights stand, by the ledger and by the fact table's rows.

    ``late``     how long ago the last night ended
    ``missing``  nights that are not in by the ledger; ``open``: of them those with a part loaded, and the night that
                 is under way where it has one; ``dead``: those whose run has died and has not been done again
    ``lost``     nights that have other rows than their last run left; ``expired``: the fact table's TTL took them
    ``warnings`` what the run that published last night found of its time
    ``other_policy`` nights, of all, that hold personal data under another policy than the one that is set
    ``stale``    nights, of all, that were loaded under other rules than today's
    ``under_way`` backfills and runs that are at work
    ``kept``     states of before that can be gone back to; ``kept_bytes``: what they alone hold on the disk
    """

    last_night: date
    late: timedelta
    nights: int
    missing: tuple[date, ...]
    last_run: Mapping[str, Any]
    lost: tuple[LostRows, ...] = ()
    kept: int = 0
    kept_bytes: int = 0
    open: tuple[OpenNight, ...] = ()
    dead: tuple[DeadRun, ...] = ()
    expired: tuple[ExpiredRows, ...] = ()
    zone: ZoneInfo = CITY_ZONE
    other_policy: OtherPolicy | None = None
    stale: StaleNights | None = None
    warnings: tuple[Check, ...] = ()
    under_way: tuple[BackfillProgress, ...] = ()

    @property
    def is_in(self) -> bool:
        return self.last_night not in self.missing and self.last_gap is None

    @property
    def last_loss(self) -> LostRows | None:
        return next((one for one in self.lost if one.shift_date == self.last_night), None)

    @property
    def last_gap(self) -> LostRows | ExpiredRows | None:
        """What is wrong with last night's rows, although the ledger says that it is in.

        A TTL that takes some of them, as those of one event type, is meant to.
        """
        of_last = (one for one in self.expired if one.shift_date == self.last_night and not one.found)
        return self.last_loss or next(of_last, None)

    def raise_if_missing(self) -> None:
        """Raise where last night is not in the warehouse.

        Raises:
            AuditFailed: with what to do.
        """
        if self.is_in:
            return
        if self.last_night in self.missing:
            part = next((one for one in self.open if one.shift_date == self.last_night), None)
            found = f"it is open, {part.describe(self.zone)} are loaded" if part else "it is not"
            ended = self.last_run and not part
            cause = f"; its last run ended {self.last_run['state']}: {self.last_run['cause']}" if ended else ""
            dead = next((f"; {one.cause}" for one in self.dead if one.shift_date == self.last_night), cause)
            raise AuditFailed(
                f"expected the night {self.last_night} to be published, {self.late} after it ended; {found}{dead}. "
                "Run `sentinel-etl run`"
            )
        if self.last_loss:
            raise AuditFailed(f"{self.last_loss}. Run `sentinel-etl run`, which loads it again")
        raise AuditFailed(
            f"{self.last_gap}. Lengthen the table's TTL with ALTER TABLE … MODIFY TTL, then load it again"
        )

    def as_dict(self) -> dict[str, Any]:
        return {
            "last_night": str(self.last_night),
            "is_in": self.is_in,
            "late_seconds": int(self.late.total_seconds()),
            "missing": [str(night) for night in self.missing],
            "open": [
                {"night": str(one.shift_date), "loaded": one.describe(self.zone), "under_way": self.is_under_way(one)}
                for one in self.open
            ],
            "dead": [one.as_dict() for one in self.dead],
            "warnings": [describe_checks([check]) for check in self.warnings],
            "lost": [one.as_dict() for one in self.lost],
            "expired": [one.as_dict() for one in self.expired],
            "other_policy": self.other_policy.as_dict() if self.other_policy else None,
            "stale": self.stale.as_dict() if self.stale else None,
            "under_way": [one.describe() for one in self.under_way],
            "kept_versions": self.kept,
            "kept_bytes": self.kept_bytes,
            "last_run": {key: self.last_run.get(key) for key in ("run_id", "state", "cause", "report_path")},
        }

    def __str__(self) -> str:
        lines = [self.describe_last()]
        if self.last_run:
            lines.append(f"last run {self.last_run['run_id']}: {self.last_run['state']}")
            lines.append(f"report runs/{self.last_run['report_path']}" if self.last_run["report_path"] else "no report")
        lines += [f"under way: {one.describe()}" for one in self.under_way]
        lines += [f"warning: {describe_checks([check])}" for check in self.warnings]
        missing = list_some(map(str, self.missing), MOST_NIGHTS, ", ") or "none"
        lines.append(f"missing of the last {f'{self.nights} nights' if self.nights != 1 else 'night'}: {missing}")
        lines += [self.describe_open(one) for one in self.open if one.shift_date != self.last_night]
        again = "`sentinel-etl backfill --missing-only` loads it again"
        due: tuple[DeadRun | LostRows, ...] = (*self.dead, *self.lost)
        losses = [f"{one}; {again}" for one in due if one.shift_date != self.last_night]
        losses += [str(one) for one in self.expired if one is not self.last_gap]
        more = len(losses) - MOST_NIGHTS
        lines += [*losses[:MOST_NIGHTS], *([f"and {more} more {plural(more, 'night')}"] if more > 0 else [])]
        if self.other_policy:
            lines.append(f"warning: {self.other_policy.describe(self.last_night)}{self.kept_too}")
        if self.stale:
            lines.append(f"warning: {self.stale}")
        if self.kept:
            lines.append(
                f"kept states to go back to: {self.kept}, which alone {plural(self.kept, 'holds', 'hold')} "
                f"{self.kept_bytes / 1e6:,.1f} MB"
            )
        return "\n".join(lines)

    @property
    def kept_too(self) -> str:
        return "; the kept states have it as it was until later runs drop them" if self.kept else ""

    def describe_last(self) -> str:
        """Write how last night stands."""
        if self.last_night in self.missing:
            for dead in (one for one in self.dead if one.shift_date == self.last_night):
                return str(dead)
            for part in (one for one in self.open if one.shift_date == self.last_night):
                return self.describe_open(part)
            return f"night {self.last_night}: MISSING, {self.late} after it ended"
        return str(self.last_gap or f"night {self.last_night}: in")

    def describe_open(self, night: OpenNight) -> str:
        when = "it is under way" if self.is_under_way(night) else "the rest is due"
        return f"night {night.shift_date}: OPEN, {night.describe(self.zone)} are loaded; {when}"

    def is_under_way(self, night: OpenNight) -> bool:
        return night.shift_date > self.last_night


def read_status(context: Context, nights: int = 7) -> Status:
    """Read the ledger, and compare it with the calendar and with the fact table's rows.

    Raises:
        WarehouseUnreachable: the ledger cannot be read.
    """
    settings, pipeline, warehouse = context.settings, context.pipeline, context.warehouse
    kept, kept_bytes = measure_kept(warehouse, pipeline.fact_table.name, BEFORE_MARK)
    window = choose_window(settings=settings)
    last = window.shift_dates(settings.zone)[-1]
    calendar = nights_between(last - timedelta(days=nights - 1), last, settings.zone)[::-1]
    late = (settings.now or datetime.now(UTC)) - window.end
    # The ledger is not made here where it is not there: who may only read asks, too.
    standing = read_standing(calendar, pipeline, warehouse, context.source)
    under_way = open_nights([last + timedelta(days=1)], pipeline.event_types, standing.runs, settings.zone)
    covering = [run for run in standing.runs if run["window_start"] < window.end and run["window_end"] > window.start]
    return Status(
        last_night=last,
        late=timedelta(seconds=int(late.total_seconds())),
        nights=nights,
        missing=standing.missing,
        last_run=covering[0] if covering else {},
        lost=standing.lost,
        kept=kept,
        kept_bytes=kept_bytes,
        open=(*under_way, *standing.open),
        dead=standing.dead,
        expired=standing.expired,
        zone=settings.zone,
        other_policy=find_other_policy(standing.runs, pipeline),
        stale=find_stale_nights(standing.runs, pipeline, warehouse),
        warnings=tuple(find_time_warnings(covering)),
        under_way=tuple(find_under_way(context)) if any_running(standing.runs) else (),
    )


def any_running(runs: Sequence[Mapping[str, Any]]) -> bool:
    return any(run["backfill"] or run["state"] is RunState.RUNNING for run in runs)


def find_time_warnings(runs: Sequence[Mapping[str, Any]]) -> list[Check]:
    """Give the failed checks of when the night came in, of the newest of the runs that is published."""
    published = next((run for run in runs if run["state"].is_published), None)
    checks = [Check.from_dict(kept) for kept in published["checks"]] if published else []
    return [check for check in checks if not check.passed and check.gate in {gate.id for gate in TIME_GATES}]
