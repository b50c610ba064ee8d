from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pytest

from sentinel_etl.arrow import as_arrow, as_frame
from sentinel_etl.errors import SchemaMismatch
from sentinel_etl.pipeline import SENTINEL
from sentinel_etl.transform.concatenate import concatenate
from sentinel_etl.transform.facts import transform_data
from sentinel_etl.transform.misfits import sort_rows

MOMENT = datetime(2026, 11, 21, 17, tzinfo=UTC)


def sorted_rows(**columns: Any) -> tuple[list[str], dict[str, str]]:
    """Sort rows of these columns; return the event_ids that are events, and the reason of each that is not."""
    rows = len(next(iter(columns.values())))
    always: dict[str, Any] = {
        "source_key": [str(n) for n in range(rows)],
        "event_timestamp": pa.array([MOMENT] * rows, pa.timestamp("us", tz="UTC")),
        "patrol_id": [1] * rows,
        "station_id": [1] * rows,
        "created_by_officer_id": [1] * rows,
    }
    frame = concatenate({"REMARK": as_frame(pa.table({**always, **columns}))})
    facts, rejected = sort_rows(frame, SENTINEL)
    reasons = dict(zip(rejected["event_id"].to_pylist(), rejected["reason"].to_pylist(), strict=True))
    assert len(reasons) == rejected.num_rows
    return as_arrow(facts)["event_id"].to_pylist(), reasons


CASES: dict[str, tuple[dict[str, Any], str]] = {
    "a number that overflows": ({"new_priority_ranking": [1, 40_000, None]}, "a value that does not fit Int16"),
    "a word for a truth": ({"suspicious_activity": ["true", "perhaps", None]}, "a value that does not fit Bool"),
    "a fraction for an id": ({"hotspot_id": [1.0, 1.5, None]}, "a value that does not fit Int64"),
    "an infinite latitude": ({"latitude": [90.0, float("-inf"), float("nan")]}, "outside -90 to 90"),
    "a longitude beyond the date line": ({"longitude": [-180.0, 180.1, None]}, "outside -180 to 180"),
    "an array with a NULL": ({"visited_hotspots": [[], [1, None], None]}, "an array with a NULL in it"),
    "nobody": ({"created_by_officer_id": [1, None, 2]}, "no value, and the fact table needs one"),
    "bytes that are no text": ({"remark_text": [b"a", b"\xff", None]}, "a value that does not fit String"),
    "a time beyond DateTime64": (
        {"event_timestamp": pa.array([MOMENT, datetime(1899, 1, 1, tzinfo=UTC), MOMENT], pa.timestamp("us", tz="UTC"))},
        "outside 1900-01-01 to 2299-12-31",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_the_row_that_does_not_fit_is_rejected_and_its_neighbours_are_not(name: str) -> None:
    columns, reason = CASES[name]
    events, rejected = sorted_rows(**columns)
    assert events == ["REMARK:0", "REMARK:2"]
    assert list(rejected) == ["REMARK:1"]
    assert rejected["REMARK:1"].endswith(f": {reason}")


def test_a_night_beyond_date_is_rejected_and_not_wrapped() -> None:
    late = pa.array([datetime(2150, 1, 1, tzinfo=UTC), MOMENT], pa.timestamp("us", tz="UTC"))
    assert sorted_rows(event_timestamp=late) == (
        ["REMARK:1"],
        {"REMARK:0": "event_date: outside 1970-01-01 to 2149-06-06"},
    )


def test_an_extra_of_bytes_that_are_no_text_costs_no_row() -> None:
    events, rejected = sorted_rows(scan=[b"a", b"\xff", b"c", None])
    assert events == ["REMARK:0", "REMARK:1", "REMARK:2", "REMARK:3"]
    assert rejected == {}


def test_several_misfits_are_each_found() -> None:
    ranks = [1, 40_000, 2, 50_000, 3, 60_000]
    assert sorted_rows(new_priority_ranking=ranks)[0] == ["REMARK:0", "REMARK:2", "REMARK:4"]


def test_columns_that_fit_in_no_row_are_the_configuration_s_fault_and_reject_nothing() -> None:
    with pytest.raises(SchemaMismatch, match="visited_hotspots"):
        sorted_rows(visited_hotspots=[1, 2])


def test_rows_that_all_fit_are_those_of_the_transformation() -> None:
    frame = concatenate(
        {
            "REMARK": as_frame(
                pa.table(
                    {
                        "source_key": ["1"],
                        "event_timestamp": pa.array([MOMENT], pa.timestamp("us", tz="UTC")),
                        "patrol_id": [1],
                        "station_id": [1],
                        "created_by_officer_id": [1],
                        "remark_text": ["ಸಹಾಯ"],
                    }
                )
            )
        }
    )
    facts, rejected = sort_rows(frame, SENTINEL)
    assert rejected.num_rows == 0
    assert as_arrow(facts).equals(as_arrow(transform_data(frame, SENTINEL)))


def test_the_raw_form_is_json_whatever_the_values() -> None:
    columns = {
        "new_priority_ranking": [40_000],
        "accuracy": [float("inf")],
        "visited_hotspots": [[1, None]],
        "scan": [b"\x00\xff"],
        "remark_text": ["\ud83d\ude00".encode("utf-16", "surrogatepass").decode("utf-16")],
    }
    rows = {
        **columns,
        "source_key": ["7"],
        "event_timestamp": pa.array([MOMENT], pa.timestamp("us", tz="UTC")),
        "vehicle_id": pa.array([None], pa.int64()),
    }
    _, rejected = sort_rows(concatenate({"REMARK": as_frame(pa.table(rows))}), SENTINEL)
    assert json.loads(rejected["raw"][0].as_py()) == {
        "event_timestamp": "2026-11-21 17:00:00+00:00",
        "new_priority_ranking": 40_000,
        "accuracy": "inf",
        "visited_hotspots": [1, None],
        "scan": "00ff",
        "remark_text": "😀",
    }


def test_a_text_in_no_known_encoding_costs_its_row_alone() -> None:
    """As a database in SQL_ASCII holds it, which checks nothing."""
    texts = pa.array([b"fine", b"caf\xe9", b"\xff\xfe"], pa.binary()).view(pa.string())
    events, rejected = sorted_rows(remark_text=texts, stranger_purpose=texts)
    assert events == ["REMARK:0"]
    assert list(rejected) == ["REMARK:1", "REMARK:2"]
