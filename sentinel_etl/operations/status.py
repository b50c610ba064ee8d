"""Answers whether last night is in, and which nights are missing, from the ledger."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from sentinel_etl.context import Context
from sentinel_etl.errors import AuditFailed
from sentinel_etl.ledger.ledger import read_runs, runs_of
from sentinel_etl.ledger.nights import missing_nights
from sentinel_etl.ledger.presence import LostRows, find_lost
from sentinel_etl.settings import choose_window
from sentinel_etl.warehouse.catalog import has_table, measure_kept
from sentinel_etl.warehouse.tables import BEFORE_MARK, ETL_RUNS
from sentinel_etl.wording import plural

__all__ = ["Status", "read_status"]


@dataclass(frozen=True)
class Status:
    """How the last nights stand, by the ledger and by the fact table's rows.

    ``late``     how long ago the last night ended
    ``lost``     nights that have other rows than their last run left
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

    @property
    def is_in(self) -> bool:
        return self.last_night not in self.missing and self.last_loss is None

    @property
    def last_loss(self) -> LostRows | None:
        return next((one for one in self.lost if one.shift_date == self.last_night), None)

    def raise_if_missing(self) -> None:
        """Raise where last night is not in the warehouse.

        Raises:
            AuditFailed: with what to do.
        """
        if self.last_loss:
            raise AuditFailed(f"{self.last_loss}. Run `sentinel-etl run`, which loads it again")
        if not self.is_in:
            cause = f"; its last run ended {self.last_run['state']}: {self.last_run['cause']}" if self.last_run else ""
            raise AuditFailed(
                f"expected the night {self.last_night} to be published, {self.late} after it ended; it is "
                f"not{cause}. Run `sentinel-etl run`"
            )

    def as_dict(self) -> dict[str, Any]:
        return {
            "last_night": str(self.last_night),
            "is_in": self.is_in,
            "late_seconds": int(self.late.total_seconds()),
            "missing": [str(night) for night in self.missing],
            "lost": [one.as_dict() for one in self.lost],
            "kept_versions": self.kept,
            "kept_bytes": self.kept_bytes,
            "last_run": {key: self.last_run.get(key) for key in ("run_id", "state", "cause", "report_path")},
        }

    def __str__(self) -> str:
        if self.last_loss:
            lines = [str(self.last_loss)]
        else:
            lines = [f"night {self.last_night}: {'in' if self.is_in else f'MISSING, {self.late} after it ended'}"]
        if self.last_run:
            lines.append(f"last run {self.last_run['run_id']}: {self.last_run['state']}")
            lines.append(f"report runs/{self.last_run['report_path']}" if self.last_run["report_path"] else "no report")
        missing = ", ".join(map(str, self.missing)) or "none"
        lines.append(f"missing of the last {f'{self.nights} nights' if self.nights != 1 else 'night'}: {missing}")
        lines += [f"{one}; `sentinel-etl backfill --missing-only` loads it again" for one in self.earlier_losses]
        if self.kept:
            lines.append(
                f"kept states to go back to: {self.kept}, which alone {plural(self.kept, 'holds', 'hold')} "
                f"{self.kept_bytes / 1e6:,.1f} MB"
            )
        return "\n".join(lines)

    @property
    def earlier_losses(self) -> list[LostRows]:
        return [one for one in self.lost if one is not self.last_loss]


def read_status(context: Context, nights: int = 7) -> Status:
    """Read the ledger, and compare it with the calendar and with the fact table's rows.

    Raises:
        WarehouseUnreachable: the ledger cannot be read.
    """
    settings, pipeline, warehouse = context.settings, context.pipeline, context.warehouse
    # Not made here where it is not there: who may only read asks, too.
    runs = read_runs(warehouse, runs_of(pipeline.fact_table)) if has_table(warehouse, ETL_RUNS.name) else []
    kept, kept_bytes = measure_kept(warehouse, pipeline.fact_table.name, BEFORE_MARK)
    window = choose_window(settings=settings)
    last = window.shift_dates(settings.zone)[-1]
    calendar = [last - timedelta(days=n) for n in range(nights)]
    late = (settings.now or datetime.now(UTC)) - window.end
    covering = [run for run in runs if run["window_start"] < window.end and run["window_end"] > window.start]
    return Status(
        last_night=last,
        late=timedelta(seconds=int(late.total_seconds())),
        nights=nights,
        missing=tuple(missing_nights(calendar, pipeline.event_types, runs, settings.zone)),
        last_run=covering[0] if covering else {},
        lost=tuple(find_lost(calendar, runs, pipeline.fact_table, warehouse)),
        kept=kept,
        kept_bytes=kept_bytes,
    )
