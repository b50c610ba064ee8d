"""Writes what the fact table has no column for into ``details_json``. Pure."""

from __future__ import annotations

import json

import pyarrow as pa
import pyarrow.compute as pc

from sentinel_etl.arrow import empty_for_null, put_column


def put_details(events: pa.Table, names: list[str]) -> pa.Table:
    """Write the columns ``names`` into ``details_json``, as one JSON object a row without its NULLs.

    A row that has a ``details_json`` of its own keeps it: alone as it is, else under the key ``details``.
    """
    if "details_json" in events.column_names:
        own = events["details_json"].cast(pa.string())
    else:
        own = pa.chunked_array([pa.nulls(events.num_rows, pa.string())])
    own_name = "details" if "details" not in names else "details_json"
    members = pc.binary_join_element_wise(*(json_member(name, json_value(events[name])) for name in names), "")
    body = pc.binary_join_element_wise(json_member(own_name, own), members, "")
    written = pc.binary_join_element_wise(pa.scalar("{"), pc.utf8_slice_codeunits(body, 1), pa.scalar("}"), "")
    return put_column(events, "details_json", pc.if_else(pc.equal(members, ""), own, written))


def json_member(name: str, values: pa.ChunkedArray) -> pa.ChunkedArray:
    """Write ``,"name":value`` for each value, and nothing for a NULL."""
    return pc.fill_null(pc.binary_join_element_wise(pa.scalar(f",{json.dumps(name)}:"), values, ""), "")


def json_value(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Write each value as JSON (RFC 8259): numbers and lists as such, all else as a string."""
    if pa.types.is_list(column.type):
        return json_list(column)
    if pa.types.is_boolean(column.type) or pa.types.is_integer(column.type):
        return column.cast(pa.string())
    if pa.types.is_floating(column.type):
        # JSON has no word for an infinity.
        return pc.if_else(pc.is_finite(column), column.cast(pa.string()), json_string(column.cast(pa.string())))
    if pa.types.is_timestamp(column.type):
        zone = "" if column.type.tz is None else "Z"
        # Without its zone an instant is UTC, and Arrow writes it twenty times as fast.
        clock = column.cast(pa.timestamp(column.type.unit)).cast(pa.string())
        return json_string(pc.binary_join_element_wise(pc.replace_substring(clock, " ", "T"), pa.scalar(zone), ""))
    return json_string(column.cast(pa.string()))


def json_string(texts: pa.ChunkedArray) -> pa.ChunkedArray:
    """Quote and escape each text (RFC 8259 §7)."""
    for character in ("\\", '"'):
        texts = pc.replace_substring(texts, character, "\\" + character)
    if pc.any(pc.match_substring_regex(texts, r"[\x00-\x1f]")).as_py():
        for code in range(0x20):
            texts = pc.replace_substring(texts, chr(code), json.dumps(chr(code))[1:-1])
    return pc.binary_join_element_wise(pa.scalar('"'), texts, pa.scalar('"'), "")


def json_list(lists: pa.ChunkedArray) -> pa.ChunkedArray:
    filled = empty_for_null(lists)
    items = pc.fill_null(json_value(pa.chunked_array([filled.flatten()])), "null").combine_chunks()
    texts = pa.ListArray.from_arrays(filled.offsets, items)
    written = pc.binary_join_element_wise(pa.scalar("["), pc.binary_join(texts, ","), pa.scalar("]"), "")
    return pc.if_else(lists.is_valid(), pa.chunked_array([written]), pa.scalar(None, pa.string()))
