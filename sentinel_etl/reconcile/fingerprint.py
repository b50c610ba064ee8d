"""Writes, in each engine's SQL, one number for a set of events: equal on both sides where the events are.

Each engine writes an event as the same text and takes the first 8 bytes of its MD5, which both have, as
a signed integer; the sum over the events is the fingerprint. A sum has no order, and two equal rows do
not cancel out. MD5 is no secret here: it only has to spread. The statements are templates under ``sql``.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any
from zoneinfo import ZoneInfo

from clickhouse_sqlalchemy import Table
from sqlalchemy import ColumnElement, Select, Text, cast, column, func, literal, select, true

from sentinel_etl.config.event_type import EventType
from sentinel_etl.config.fact_table import rejected_name
from sentinel_etl.extract.lost_rows import loosen_joins
from sentinel_etl.extract.statements import happened_in, night_of, source_key
from sentinel_etl.reconcile.covered import Covered
from sentinel_etl.source.sql import compile_sql
from sentinel_etl.warehouse.ddl import DIALECT as CLICKHOUSE
from sentinel_etl.warehouse.ddl import quote_identifier
from sentinel_etl.warehouse.render import render_sql
from sentinel_etl.warehouse.rows import rows_of_window
from sentinel_etl.warehouse.tables import build_rejected
from sentinel_etl.window import Window

__all__ = ["rejected_statement", "source_statement", "warehouse_statement"]


# The server's encodings whose bytes are UTF-8's, or in SQL_ASCII whatever was written, which is loaded as it is.
AS_STORED = ("UTF8", "SQL_ASCII")


def source_statement(
    kind: EventType,
    window: Window,
    zone: ZoneInfo,
    content: Sequence[Covered],
    rejected: Collection[str] = (),
    encoding: str = "UTF8",
) -> str:
    """Write the statement that fingerprints the source's events of each night of the window.

    Columns out: ``event_type``, ``shift_date``, ``rows``, ``keys`` and ``content`` (sums, as text). It
    counts what `count_events` counts; ``content`` leaves out the ids that are ``rejected``. ``encoding`` is the
    server's: text is compared as UTF-8, which is what the warehouse has.
    """
    columns = [value.label(name) for each in content for name, value in each.named_values().items()]
    return render_sql(
        "sentinel_etl.reconcile",
        "source_fingerprint",
        events=compile_sql(select_identified(kind, window, zone, rejected).add_columns(*columns)),
        fields=[
            each.write_source([compile_sql(column(name)) for name in each.named_values()], zone.key) for each in content
        ],
        converted=encoding not in AS_STORED,
    )


def select_identified(kind: EventType, window: Window, zone: ZoneInfo, rejected: Collection[str]) -> Select[Any]:
    """Build the statement that selects what `count_events` counts: ``event_type, shift_date, event_id, accepted``."""
    rows = loosen_joins(kind)
    event_id = literal(f"{kind.name}:", Text) + cast(source_key(kind), Text)
    event_id = func.coalesce(event_id, kind.name)  # as `transform.rejected` names a row without a key
    return (
        select(
            literal(kind.name, Text).label("event_type"),
            night_of(kind, zone).label("shift_date"),
            event_id.label("event_id"),
            (event_id.not_in(list(rejected)) if rejected else true()).label("accepted"),
        )
        .select_from(rows.source)
        .where(happened_in(kind, window), rows.counted)
    )


def warehouse_statement(table: Table, kind: EventType, window: Window, content: Sequence[Covered]) -> str:
    """Write the statement that fingerprints a type's fact rows of each night, but for its rejected ids; as above."""
    return render_sql(
        "sentinel_etl.reconcile",
        "warehouse_fingerprint",
        table=quote_identifier(table.name),
        rejected_table=quote_identifier(rejected_name(table)),
        is_owned=write_condition(rows_of_window(table, window, [kind.name])),
        is_rejected=write_condition(rows_of_window(build_rejected(table), window, [kind.name])),
        fields=[each.write_fact() for each in content],
    )


def rejected_statement(rejected: Table, window: Window, event_types: Collection[str]) -> str:
    """Write the statement that fingerprints the keys of the rejected rows of each night."""
    return render_sql(
        "sentinel_etl.reconcile",
        "rejected_fingerprint",
        table=quote_identifier(rejected.name),
        is_owned=write_condition(rows_of_window(rejected, window, list(event_types))),
    )


def write_condition(condition: ColumnElement[bool]) -> str:
    """Write a condition in ClickHouse's SQL, its values quoted by the dialect."""
    return str(condition.compile(dialect=CLICKHOUSE, compile_kwargs={"literal_binds": True}))
