"""`patrol_events_rejected`: rows that are no events, each with its reason and its raw form.

A row of the source is either loaded as it is or put here; nothing is lost, bent to fit, or able to
stop the other rows. The check is over whole columns, and looks for single rows only where a column
does not pass.
"""

from __future__ import annotations

import json
import re
import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from clickhouse_sqlalchemy import Table, engines, types
from sqlalchemy import Column, Engine, MetaData, and_, func, literal_column, not_, or_, select

from sentinel_etl.concatenate import as_arrow, as_frame
from sentinel_etl.ddl import cluster_of, delete_statements, has_id, merge_statements, switch_statements
from sentinel_etl.errors import SchemaMismatch
from sentinel_etl.fact_table import (
    INSTANT,
    KEYWORD,
    RUN_COLUMNS,
    TEXT,
    content_columns,
    optional,
    rejected_name,
    row_hash,
    server_type,
)
from sentinel_etl.load import load_data
from sentinel_etl.personal import protect_row
from sentinel_etl.pipeline import Pipeline
from sentinel_etl.publish import count_rows, is_staged, rows_of_window
from sentinel_etl.source import hold_locks
from sentinel_etl.staging import create_staging
from sentinel_etl.transform import local_date, prepare_events, transform_data
from sentinel_etl.warehouse import query_df, run_statement
from sentinel_etl.window import NIGHT_STARTS, Window

__all__ = ["Rejects", "build_rejected", "publish_rejected", "reject_surplus", "sort_rows"]

# What ClickHouse's types of time can hold; a value beyond would be wrapped, or cut to another.
# https://clickhouse.com/docs/sql-reference/data-types/date and …/date32, …/datetime, …/datetime64
RANGES: Mapping[str, tuple[date, date]] = {
    "Date": (date(1970, 1, 1), date(2149, 6, 6)),
    "Date32": (date(1900, 1, 1), date(2299, 12, 31)),
    "DateTime": (datetime(1970, 1, 1, tzinfo=UTC), datetime(2106, 2, 7, 6, 28, 15, tzinfo=UTC)),
    "DateTime64": (datetime(1900, 1, 1, tzinfo=UTC), datetime(2299, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)),
}

# The one partition of a table that has no partition key.
WHOLE = "all"

# Rows held in memory before they are written to staging.
FLUSH_ROWS = 20_000

REJECTED = pa.schema(
    [
        pa.field("event_id", pa.string()),
        pa.field("event_type", pa.string()),
        pa.field("event_timestamp", pa.timestamp("us", tz="UTC")),
        pa.field("shift_date", pa.date32()),
        pa.field("reason", pa.string()),
        pa.field("raw", pa.string()),
    ]
)


def build_rejected(fact_table: Table) -> Table:
    """Build the table of the rows that the fact table did not take; it stands beside it.

    Not partitioned: what a run found is put in by switching the whole table, which is small.
    """
    return Table(
        rejected_name(fact_table),
        MetaData(),
        Column("event_id", TEXT, comment="TYPE:source key of the event that it would have been"),
        Column("event_type", KEYWORD, comment="entry of EVENT_CONFIG"),
        Column("event_timestamp", optional(INSTANT), comment="when it happened; NULL where it lies in no night"),
        Column("shift_date", optional(types.Date), comment="operational night; NULL where it lies in none"),
        Column("reason", TEXT, comment="column: what is wrong with it; never the value"),
        Column("raw", TEXT, comment="the source's row as JSON, without its NULLs; personal data as SENTINEL_PII says"),
        Column("run_id", TEXT, comment="run that found it"),
        Column("loaded_at", INSTANT, comment="when that run wrote it"),
        engines.MergeTree(order_by=("event_type", "event_id")),
        clickhouse_cluster=cluster_of(fact_table),
    )


def sort_rows(frame: pd.DataFrame, pipeline: Pipeline) -> tuple[pd.DataFrame, pa.Table]:
    """Turn raw events into fact rows, and put apart those that cannot be any.

    In: what `concatenate` returns. Out: fact rows as of `transform_data`; and a table of `REJECTED`,
    one row for each event that did not fit. Row-wise, so any batching sorts alike.

    Raises:
        SchemaMismatch: the columns themselves, not single values, do not fit the fact table.
    """
    events = as_arrow(frame)
    reasons = np.full(events.num_rows, None, dtype=object)
    try:
        facts = as_arrow(transform_data(frame, pipeline))
    except (SchemaMismatch, pa.ArrowInvalid):
        transform_data(frame.iloc[:0], pipeline)  # where no row at all is too many, it is no row's fault
        note_misfits(prepare_events(events, pipeline), pipeline.schema, reasons)
        note_untransformable(events, pipeline, reasons)
        facts = transform_rest(events, pipeline, reasons)
    flaws = np.full(facts.num_rows, None, dtype=object)
    note_flaws(facts, pipeline, flaws)
    if pd.notna(flaws).any():
        reasons[pd.isna(reasons)] = flaws
        facts = facts.filter(pa.array(pd.isna(flaws)))
    refused = pd.notna(reasons)
    if not refused.any():
        return as_frame(facts), REJECTED.empty_table()
    return as_frame(facts), rejected_rows(events.filter(pa.array(refused)), reasons[refused], pipeline)


def transform_rest(events: pa.Table, pipeline: Pipeline, reasons: np.ndarray) -> pa.Table:
    return as_arrow(transform_data(as_frame(events.filter(pa.array(pd.isna(reasons)))), pipeline))


def note_misfits(prepared: pa.Table, schema: pa.Schema, reasons: np.ndarray) -> None:
    """Give a reason to each row with a value that its fact column's type cannot hold."""
    for name in prepared.column_names:
        if name in schema.names:
            column, wanted = prepared[name], schema.field(name).type
            for row in uncastable(column, wanted):
                reasons[row] = reasons[row] or f"{name}: {column.type} that does not fit {wanted}"


def uncastable(column: pa.ChunkedArray, wanted: pa.DataType, first: int = 0) -> list[int]:
    """Find the rows whose value cannot be cast, by halving: a stretch that can be cast is done with at once."""
    with suppress(pa.ArrowInvalid):
        column.cast(wanted)
        return []
    if len(column) == 1:
        return [first]
    half = len(column) // 2
    return uncastable(column.slice(0, half), wanted, first) + uncastable(column.slice(half), wanted, first + half)


def note_untransformable(events: pa.Table, pipeline: Pipeline, reasons: np.ndarray) -> None:
    """Give a reason to each row that fails for what no column by itself shows, by halving."""
    waiting = [np.flatnonzero(pd.isna(reasons))]
    while waiting:
        rows = waiting.pop()
        if not len(rows):
            continue
        try:
            transform_data(as_frame(events.take(pa.array(rows))), pipeline)
        except (SchemaMismatch, pa.ArrowInvalid) as error:
            if len(rows) == 1:
                # The error's own words may quote the value.
                reasons[rows[0]] = f"transform: {type(error.__cause__ or error).__name__}"
            else:
                waiting += [rows[: len(rows) // 2], rows[len(rows) // 2 :]]


def note_flaws(facts: pa.Table, pipeline: Pipeline, reasons: np.ndarray) -> None:
    """Give a reason to each fact row that the fact table cannot hold, or that is nowhere on Earth."""
    for column in pipeline.fact_table.columns:
        name = column.name
        if name not in facts.column_names:
            continue
        values, wanted = facts[name], pipeline.schema.field(name)
        if not wanted.nullable and values.null_count:
            note(reasons, pc.is_null(values), f"{name}: no value, and the fact table needs one")
        if pa.types.is_list(wanted.type):
            note_null_elements(values, name, reasons)
        plain = re.sub(r"Nullable\(|LowCardinality\(", "", server_type(column)).partition("(")[0].rstrip(")")
        for low, high in filter(None, (RANGES.get(plain), pipeline.bounds.get(name))):
            note_outside(values, name, low, high, reasons)


def note(reasons: np.ndarray, wrong: pa.ChunkedArray, reason: str) -> None:
    rows = pc.fill_null(wrong, False).to_numpy() & pd.isna(reasons)
    reasons[rows] = reason


def note_outside(values: pa.ChunkedArray, name: str, low: Any, high: Any, reasons: np.ndarray) -> None:
    found = pc.min_max(values)
    least, most = found["min"], found["max"]
    if not least.is_valid:
        return
    bounds = [pa.scalar(bound).cast(values.type) for bound in (low, high)]
    if pc.less(least, bounds[0]).as_py() or pc.greater(most, bounds[1]).as_py():
        outside = pc.or_(pc.less(values, bounds[0]), pc.greater(values, bounds[1]))
        shown = [f"{bound:%Y-%m-%d}" if isinstance(bound, date) else f"{bound:g}" for bound in (low, high)]
        note(reasons, outside, f"{name}: outside {shown[0]} to {shown[1]}")


def note_null_elements(lists: pa.ChunkedArray, name: str, reasons: np.ndarray) -> None:
    """ClickHouse has no Array(Nullable) here: an element that is unknown cannot be told from 0."""
    if pc.list_flatten(lists).null_count == 0:
        return
    whole = lists.combine_chunks()
    whole = whole if isinstance(whole, pa.Array) else pa.concat_arrays(whole.chunks)
    rows = pc.list_parent_indices(whole).filter(pc.is_null(pc.list_flatten(whole)))
    wrong = np.zeros(len(whole), dtype=bool)
    wrong[rows.to_numpy()] = True
    note(reasons, pa.chunked_array([pa.array(wrong)]), f"{name}: an array with a NULL in it")


def rejected_rows(events: pa.Table, reasons: np.ndarray, pipeline: Pipeline) -> pa.Table:
    """Write raw events as rows of the rejected table."""
    kinds, keys = events["event_type"].cast(pa.string()), events["source_key"].cast(pa.string())
    drop = {"event_type", "source_key"}
    raw = [
        write_raw(protect_row({name: value for name, value in row.items() if name not in drop}, pipeline))
        for row in events.to_pylist()
    ]
    return rejected_table(kinds, keys, events["event_timestamp"], pa.array(list(reasons), pa.string()), raw, pipeline)


def rejected_table(
    kinds: pa.ChunkedArray,
    keys: pa.ChunkedArray,
    times: pa.ChunkedArray,
    reasons: Any,
    raw: list[str],
    pipeline: Pipeline,
) -> pa.Table:
    times = within(times.cast(pa.timestamp("us", tz="UTC")), *RANGES["DateTime64"])
    nights = local_date(times, pipeline.zone, timedelta(hours=NIGHT_STARTS.hour))
    columns = {
        "event_id": pc.binary_join_element_wise(kinds, pc.fill_null(keys, ""), ":"),
        "event_type": kinds,
        "event_timestamp": times,
        "shift_date": within(nights, *RANGES["Date"]),
        "reason": reasons,
        "raw": pa.array(raw, pa.string()),
    }
    return pa.table(columns, schema=REJECTED)


def within(values: pa.ChunkedArray, low: date, high: date) -> pa.ChunkedArray:
    """Give NULL for the values that the warehouse's type cannot hold."""
    bounds = [pa.scalar(bound).cast(values.type) for bound in (low, high)]
    outside = pc.or_(pc.less(values, bounds[0]), pc.greater(values, bounds[1]))
    return pc.if_else(outside, pa.scalar(None, values.type), values)


def write_raw(row: Mapping[str, Any]) -> str:
    """Write a row as one JSON object (RFC 8259) without its NULLs."""
    known = {name: plain_json(value) for name, value in row.items() if value is not None}
    text = json.dumps(known, ensure_ascii=False, allow_nan=False)
    try:
        text.encode()
    except UnicodeEncodeError:  # half of a surrogate pair, which UTF-8 has no bytes for
        return json.dumps(known, allow_nan=False)
    return text


def plain_json(value: Any) -> Any:
    """Give a value that JSON has: an infinity or a date as text, bytes as hexadecimal digits."""
    if isinstance(value, list):
        return [plain_json(item) for item in value]
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, float) and not np.isfinite(value):
        return str(value)
    return value if isinstance(value, str | int | float | bool | None) else str(value)


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
        if sum(table.num_rows for table in self.held) >= FLUSH_ROWS:
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


def publish_rejected(
    rejects: Rejects, window: Window, event_types: Sequence[str], source: Engine, wait_seconds: float
) -> None:
    """Put a run's rejected rows in the place of those that an earlier run of the window left.

    The table's other rows are copied into staging, and the whole is switched in one step, so readers see
    the rejected rows of before or of after. A lock of the table's own keeps runs of other partitions out
    meanwhile. An interruption leaves the rows of before and a staging table, which the next run sweeps;
    the same run again ends in the same rows. Nothing is done where there was nothing and is nothing.
    """
    rejects.flush()
    warehouse, rejected = rejects.warehouse, build_rejected(rejects.pipeline.fact_table)
    nightless = and_(rejected.c.event_timestamp.is_(None), rejected.c.event_type.in_(list(event_types)))
    mine = or_(func.ifNull(rows_of_window(rejected, window, event_types), literal_column("0")), nightless)
    if rejects.staging is None and not count_rows(rejected, mine, warehouse):
        return
    staging = rejects.staging
    if staging is None:
        staging = rejects.staging = create_staging(rejected, rejects.run_id, warehouse)
    with hold_locks(
        source, [f"{rejected.name} table"], f"sentinel-etl run {rejects.run_id}", wait_seconds
    ) as check_held:
        names = [column.name for column in rejected.columns]
        kept = select(rejected).where(not_(or_(mine, is_staged(rejected, staging))))
        run_statement(warehouse, staging.insert().from_select(names, kept))
        left = count_rows(staging, literal_column("1"), warehouse)
        statements = merge_statements(staging, WHOLE) if left else []
        check_held()
        for statement in [*statements, *switch_statements(rejected, staging, WHOLE, "REPLACE" if left else "DROP")]:
            run_statement(warehouse, statement)
