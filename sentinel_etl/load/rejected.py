"""Gathers the rows that are no events in a staging table of their own."""

from __future__ import annotations

import json
import threading
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from clickhouse_sqlalchemy import Table
from sqlalchemy import Engine, func, literal_column, select

from sentinel_etl.arrow import as_arrow, as_frame
from sentinel_etl.config.fact_table import RUN_COLUMNS, content_columns
from sentinel_etl.load.load import load_data
from sentinel_etl.load.staging import create_staging
from sentinel_etl.pipeline import Pipeline
from sentinel_etl.transform.misfits import rejected_table, write_raw
from sentinel_etl.transform.personal import protect_row
from sentinel_etl.warehouse.ddl import delete_statements, has_id
from sentinel_etl.warehouse.query import query_df, run_statement
from sentinel_etl.warehouse.rows import row_hash
from sentinel_etl.warehouse.tables import build_rejected

__all__ = ["Rejects", "reject_surplus"]


# What is held in memory before it is written to staging.
FLUSH_ROWS, FLUSH_BYTES = 20_000, 64 << 20


@dataclass
class Rejects:
    """Gathers a run's rejected rows in a staging table of its own, and counts them.

    ``counts``: (event type, reason) → rows; ``in_window``: event type → rows that the source counts
    in the window, so not those that lie in no night.
    """

    pipeline: Pipeline
    run_id: str
    warehouse: Engine
    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    in_window: Counter[str] = field(default_factory=Counter)
    staging: Table | None = None
    held: list[pa.Table] = field(default_factory=list)
    lock: threading.RLock = field(default_factory=threading.RLock)

    def add(self, rows: pa.Table) -> None:
        """Take rows of `REJECTED`; reader and transformer each do so from a thread of their own."""
        if rows.num_rows:
            with self.lock:
                self.hold(rows)

    def hold(self, rows: pa.Table) -> None:
        for pair, count in zip(*pair_counts(rows), strict=True):
            self.counts[pair] += count
        windowed = rows.filter(pc.is_valid(rows["event_timestamp"]))
        self.in_window.update(windowed["event_type"].to_pylist())
        self.held.append(rows)
        rows, size = (sum(getattr(table, name) for table in self.held) for name in ("num_rows", "nbytes"))
        if rows >= FLUSH_ROWS or size >= FLUSH_BYTES:
            self.flush()

    def add_refused(self, batch: pa.RecordBatch) -> None:
        """Take rows that the source told apart: event_type, source_key, event_timestamp, reason, raw."""
        rows = pa.Table.from_batches([batch])
        raw = [write_raw(protect_row(read_raw(text), self.pipeline)) for text in rows["raw"].to_pylist()]
        kinds, keys, reasons = (rows[name].cast(pa.string()) for name in ("event_type", "source_key", "reason"))
        self.add(rejected_table(kinds, keys, rows["event_timestamp"], reasons, raw, self.pipeline))

    def flush(self) -> None:
        """Write what is held to the staging table, made when first needed."""
        if not self.held:
            return
        if self.staging is None:
            self.staging = create_staging(build_rejected(self.pipeline.fact_table), self.run_id, self.warehouse)
        stamped = as_frame(pa.concat_tables(self.held)).assign(run_id=self.run_id, loaded_at=pd.Timestamp.now("UTC"))
        load_data(stamped, self.staging, self.warehouse)
        self.held.clear()

    def table(self) -> pd.DataFrame:
        """Tabulate: event_type, reason, rows (int64)."""
        rows = [(kind, reason, count) for (kind, reason), count in sorted(self.counts.items())]
        frame = pd.DataFrame(rows, columns=["event_type", "reason", "rows"])
        return frame.astype({"event_type": "str", "reason": "str", "rows": "int64"})


def pair_counts(rows: pa.Table) -> tuple[list[tuple[str, str]], list[int]]:
    counted = rows.group_by(["event_type", "reason"]).aggregate([([], "count_all")])
    pairs = zip(counted["event_type"].to_pylist(), counted["reason"].to_pylist(), strict=True)
    return list(pairs), counted["count_all"].to_pylist()


def read_raw(text: str) -> dict[str, Any]:
    """Read the JSON objects that `refused.raw_json` wrote, one a line."""
    row: dict[str, Any] = {}
    for line in text.split("\n"):
        row |= json.loads(line)
    return row


def reject_surplus(staging: Table, rejects: Rejects, most: int) -> Counter[str]:
    """Move all but one of the staged rows of each event_id to the rejected ones; return their NULLs by column.

    Which row stays is a matter of the rows' content alone: the earliest, then the least by its hash. Where
    more than ``most`` rows are surplus nothing is moved: that is no slip of the source but a wrong key,
    and the audit says so.
    """
    totals = select(func.count(), func.uniqExact(staging.c.event_id))
    rows, keys = run_statement(rejects.warehouse, totals)[0]
    nulls: Counter[str] = Counter()
    if rows == keys or rows - keys > most:
        return nulls
    names = content_columns(staging)
    repeated = select(staging.c.event_id).group_by(staging.c.event_id).having(func.count() > 1)
    ids = sorted(str(row[0]) for row in run_statement(rejects.warehouse, repeated))
    for first in range(0, len(ids), 1_000):
        some = ids[first : first + 1_000]
        order = (staging.c.event_id, staging.c.event_timestamp, row_hash(staging))
        statement = select(*(staging.c[name] for name in (*names, *RUN_COLUMNS))).where(literal_column(has_id(some)))
        found = as_arrow(query_df(rejects.warehouse, statement.order_by(*order)))
        ids_found = found["event_id"].to_pylist()
        stays = [place == 0 or ids_found[place - 1] != ids_found[place] for place in range(len(ids_found))]
        surplus = found.filter(pc.invert(pa.array(stays)))
        for deletion in delete_statements(staging, some):
            run_statement(rejects.warehouse, deletion)
        load_data(as_frame(found.filter(pa.array(stays))), staging, rejects.warehouse)
        nulls.update({name: surplus[name].null_count for name in names})
        rejects.add(surplus_rows(surplus.select(names), rejects.pipeline))
    return nulls


def surplus_rows(surplus: pa.Table, pipeline: Pipeline) -> pa.Table:
    kinds = surplus["event_type"].cast(pa.string())
    raw = [write_raw(row) for row in surplus.to_pylist()]  # protected when it was staged
    reasons = pa.array(["event_id: another row of the source has the same key"] * surplus.num_rows, pa.string())
    ids = surplus["event_id"].cast(pa.string())
    return rejected_table(kinds, ids, surplus["event_timestamp"], reasons, raw, pipeline).set_column(0, "event_id", ids)
