"""Gathers the rows that are no events in a staging table of their own.

A row of the source is either loaded as it is or put here; nothing is lost, bent to fit, or able to stop the
other rows.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from clickhouse_sqlalchemy import Table
from sqlalchemy import Engine

from sentinel_etl.arrow import as_frame
from sentinel_etl.load.load import load_data
from sentinel_etl.warehouse.rows import now_for
from sentinel_etl.warehouse.tables import create_staging

__all__ = ["Rejected", "RejectedRows"]

# What is held in memory before it is written to staging.
FLUSH_ROWS, FLUSH_BYTES = 20_000, 64 << 20


@dataclass(frozen=True)
class Rejected:
    """The rows that a run rejected.

    ``counts``     (event type, reason) → rows
    ``in_window``  event type → rows that the source counts in the window, so not those that lie in no night
    ``by_night``   (night, event type, reason) → rows; the night is None of those that lie in none
    ``staging``    where they stand; None: there are none
    """

    counts: Mapping[tuple[str, str], int]
    in_window: Mapping[str, int]
    staging: Table | None
    by_night: Mapping[tuple[date | None, str, str], int] = field(default_factory=dict)

    def tabulate(self) -> pd.DataFrame:
        """Tabulate: event_type, reason, rows (int64)."""
        rows = [(kind, reason, count) for (kind, reason), count in sorted(self.counts.items())]
        frame = pd.DataFrame(rows, columns=["event_type", "reason", "rows"])
        return frame.astype({"event_type": "str", "reason": "str", "rows": "int64"})


@dataclass
class RejectedRows:
    """Takes rejected rows from any thread, and writes them to a staging table of the run's, made when needed.

    ``table`` is the rejected table. An interruption leaves the staging table, which the next run sweeps.
    """

    table: Table
    run_id: str
    warehouse: Engine
    by_night: Counter[tuple[date | None, str, str]] = field(default_factory=Counter)
    in_window: Counter[str] = field(default_factory=Counter)
    staging: Table | None = None
    held: list[pa.Table] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, rows: pa.Table) -> None:
        """Take rows of `transform.rejected.REJECTED`."""
        if not rows.num_rows:
            return
        with self.lock:
            self.by_night.update(count_rows(rows))
            windowed = rows.filter(pc.is_valid(rows["event_timestamp"]))
            self.in_window.update(windowed["event_type"].to_pylist())
            self.held.append(rows)
            held, size = (sum(getattr(table, name) for table in self.held) for name in ("num_rows", "nbytes"))
            if held >= FLUSH_ROWS or size >= FLUSH_BYTES:
                self.flush()

    def finish(self) -> Rejected:
        """Write what is held still, and give what there is now."""
        with self.lock:
            self.flush()
            counts: Counter[tuple[str, str]] = Counter()
            for (_, kind, reason), rows in self.by_night.items():
                counts[kind, reason] += rows
            return Rejected(dict(counts), dict(self.in_window), self.staging, dict(self.by_night))

    def flush(self) -> None:
        if not self.held:
            return
        if self.staging is None:
            self.staging = create_staging(self.table, self.run_id, self.warehouse)
        stamped = as_frame(pa.concat_tables(self.held)).assign(run_id=self.run_id, loaded_at=now_for(self.table))
        load_data(stamped, self.staging, self.warehouse)
        self.held.clear()


def count_rows(rows: pa.Table) -> dict[tuple[date | None, str, str], int]:
    """Count rows by night, event type and reason."""
    keys = ["shift_date", "event_type", "reason"]
    counted = rows.group_by(keys).aggregate([([], "count_all")])
    columns = (counted[name].to_pylist() for name in (*keys, "count_all"))
    return {(night, kind, reason): count for night, kind, reason, count in zip(*columns, strict=True)}
