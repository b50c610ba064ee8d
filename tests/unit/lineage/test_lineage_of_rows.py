"""What lineage says of columns holds of rows: a value that goes missing in the source changes only what hangs on it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from pydantic import SecretStr

from sentinel_etl.lineage.trace import trace_lineage
from sentinel_etl.pipeline import SENTINEL
from sentinel_etl.transform.concatenate import concatenate
from sentinel_etl.transform.facts import transform_data

MOMENT = datetime(2026, 11, 21, 20, tzinfo=UTC)
# Family of a type in the source → Arrow's type, a value that may mean unknown, and one that does not.
VALUES: dict[str, tuple[pa.DataType, Any, Any]] = {
    "integer": (pa.int64(), 0, 1),
    "float": (pa.float64(), 0.0, 5.5),
    "text": (pa.string(), "", "NONE"),
    "boolean": (pa.bool_(), False, True),
    "json": (pa.string(), "{}", '{"a": 1}'),
    "timestamp with time zone": (pa.timestamp("us", "UTC"), MOMENT, MOMENT),
    "array of integer": (pa.list_(pa.int64()), [], [1, 2]),
}
PIPELINE = replace(SENTINEL, pii="hash", pii_key=SecretStr("k" * 32))


def facts(kind: str, row: dict[str, Any], types: dict[str, str]) -> dict[str, Any]:
    """Transform one row of the source."""
    columns = {name: pa.array([value], VALUES[types[name]][0]) for name, value in row.items()}
    columns |= {"source_key": pa.array([1]), "event_timestamp": pa.array([MOMENT], pa.timestamp("us", "UTC"))}
    frame = pa.table(columns).to_pandas(types_mapper=pd.ArrowDtype)
    found: dict[str, Any] = transform_data(concatenate({kind: frame}), PIPELINE).iloc[0].to_dict()
    return found


@pytest.mark.parametrize("kind", list(SENTINEL.event_types))
@pytest.mark.parametrize("unknown", [True, False], ids=["values that mean unknown", "plain values"])
def test_only_what_reads_a_column_changes_with_it(kind: str, unknown: bool) -> None:
    found = trace_lineage(PIPELINE)
    origins = [(column.column, o) for column in found.columns for o in column.origins if o.event_type == kind]
    reading: dict[str, set[str]] = {}
    types: dict[str, str] = {}
    for column, origin in origins:
        for read in origin.reads:
            reading.setdefault(read.label, set()).add(column)
            types[read.label] = read.type
    labels = [label for label in types if label not in ("source_key", "event_timestamp")]
    row = {label: VALUES[types[label]][1 if unknown else 2] for label in labels}
    whole = facts(kind, row, types)
    for label in labels:
        changed = facts(kind, row | {label: None}, types)
        differing = {name for name in whole if str(whole[name]) != str(changed[name])}
        assert differing <= reading[label], label


def test_each_column_that_a_value_is_made_of_changes_it() -> None:
    found = trace_lineage(PIPELINE).of_column("details_json")
    labels = {read.label for origin in found.columns[0].origins for read in origin.reads}
    assert labels == {"remark_id", "start_time", "details_json"}
    types = {"remark_id": "integer", "start_time": "timestamp with time zone"}
    row = {"remark_id": 4, "start_time": MOMENT}
    whole = facts("HIGH_INTEGRITY_VISITS", row, types)["details_json"]
    assert [facts("HIGH_INTEGRITY_VISITS", row | {name: None}, types)["details_json"] for name in row] == [
        '{"start_time":"2026-11-21T20:00:00.000000Z"}',
        '{"remark_id":4}',
    ]
    assert whole == '{"remark_id":4,"start_time":"2026-11-21T20:00:00.000000Z"}'
