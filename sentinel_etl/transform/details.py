"""Writes what the fact table has no column for into ``details_json``. Pure.

`reconcile.details` writes the same text in PostgreSQL's SQL.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import partial

import pyarrow as pa
import pyarrow.compute as pc

from sentinel_etl.arrow import list_elements, list_rows, put_column, rebuild_lists
from sentinel_etl.pipeline import Pipeline
from sentinel_etl.transform.steps import Steps
from sentinel_etl.type_mapping.number_texts import number_text
from sentinel_etl.type_mapping.source_types import NUMBERS, SourceType

__all__ = ["put_details"]


def put_details(events: pa.Table, names: list[str], pipeline: Pipeline, steps: Steps) -> pa.Table:
    """Write the columns ``names`` into ``details_json``, as one JSON object a row without its NULLs.

    Its members are in the pipeline's order, whatever event types a batch holds. A row that has a ``details_json``
    of its own keeps it: alone as it is, else under the key ``details``.
    """
    known = [name for name in pipeline.detail_columns if name in names]
    names = [*known, *(name for name in names if name not in known)]
    if "details_json" in events.column_names:
        own = steps.apply("details_json", "text", as_text, events["details_json"])
    else:
        own = pa.chunked_array([pa.nulls(events.num_rows, pa.string())])
    # A hash is a text, whatever it is of.
    types = {name: each for name, each in pipeline.detail_columns.items() if name not in pipeline.altered_columns}
    columns = (pa.table({"value": events[name], "numeric": is_numeric(events, types.get(name, {}))}) for name in names)
    written = (
        steps.apply(name, "text", partial(write_member, name), column)
        for name, column in zip(names, columns, strict=True)
    )
    members = pc.binary_join_element_wise(*written, "")
    own_name = pipeline.own_details if "details" not in names else "details_json"
    body = pc.binary_join_element_wise(json_member(own_name, own), members, "")
    whole = pc.binary_join_element_wise(pa.scalar("{"), pc.utf8_slice_codeunits(body, 1), pa.scalar("}"), "")
    return put_column(events, "details_json", pc.if_else(pc.equal(members, ""), own, whole))


def as_text(column: pa.ChunkedArray) -> pa.ChunkedArray:
    return column.cast(pa.string())


def write_member(name: str, column: pa.Table) -> pa.ChunkedArray:
    return json_member(name, json_value(column["value"], column["numeric"]))


def is_numeric(events: pa.Table, types: Mapping[str, SourceType]) -> pa.ChunkedArray:
    """Tell of which rows a text of the column is a number or a truth, in JSON's words already."""
    plain = [name for name, found in types.items() if (found.item or found).family in {*NUMBERS, "boolean"}]
    return pc.is_in(events["event_type"], pa.array(plain, pa.string()))


def json_member(name: str, values: pa.ChunkedArray) -> pa.ChunkedArray:
    """Write ``,"name":value`` for each value, and nothing for a NULL."""
    return pc.fill_null(pc.binary_join_element_wise(pa.scalar(f",{json.dumps(name)}:"), values, ""), "")


def json_value(column: pa.ChunkedArray, numeric: pa.ChunkedArray) -> pa.ChunkedArray:
    """Write each value as JSON (RFC 8259): numbers and lists as such, all else as a string.

    ``numeric`` tells which texts are numbers. NaN is NULL, and an infinity, which JSON has no word for, a string.
    """
    if pa.types.is_list(column.type):
        return json_list(column, numeric)
    if pa.types.is_boolean(column.type) or pa.types.is_integer(column.type):
        return column.cast(pa.string())
    if pa.types.is_floating(column.type):
        return json_number(number_text(column))
    if pa.types.is_string(column.type) and pc.any(numeric).as_py():
        return pc.if_else(numeric, json_number(column), json_string(column))
    if pa.types.is_timestamp(column.type):
        zone = "" if column.type.tz is None else "Z"
        # Without its zone an instant is UTC, and Arrow writes it twenty times as fast.
        clock = column.cast(pa.timestamp(column.type.unit)).cast(pa.string())
        return json_string(pc.binary_join_element_wise(pc.replace_substring(clock, " ", "T"), pa.scalar(zone), ""))
    if pa.types.is_binary(column.type):
        return json_string(hex_text(column))
    return json_string(column.cast(pa.string()))


def hex_text(values: pa.ChunkedArray) -> pa.ChunkedArray:
    r"""Write bytes as PostgreSQL does: ``\x00ff``. Not all are a text.

    https://www.postgresql.org/docs/current/datatype-binary.html#DATATYPE-BINARY-BYTEA-HEX-FORMAT
    """
    return pa.chunked_array(
        [[value if value is None else f"\\x{value.hex()}" for value in values.to_pylist()]], pa.string()
    )


def json_number(texts: pa.ChunkedArray) -> pa.ChunkedArray:
    known = pc.if_else(pc.equal(texts, "NaN"), pa.scalar(None, texts.type), texts)
    return pc.if_else(pc.match_substring_regex(known, "^-?[Ii]nf"), json_string(known), known)


def json_string(texts: pa.ChunkedArray) -> pa.ChunkedArray:
    """Quote and escape each text (RFC 8259 §7)."""
    for character in ("\\", '"'):
        texts = pc.replace_substring(texts, character, "\\" + character)
    if pc.any(pc.match_substring_regex(texts, r"[\x00-\x1f]")).as_py():
        for code in range(0x20):
            texts = pc.replace_substring(texts, chr(code), json.dumps(chr(code))[1:-1])
    return pc.binary_join_element_wise(pa.scalar('"'), texts, pa.scalar('"'), "")


def json_list(lists: pa.ChunkedArray, numeric: pa.ChunkedArray) -> pa.ChunkedArray:
    places = pa.array(list_rows(lists))
    items = json_value(list_elements(lists), pa.chunked_array([numeric.combine_chunks().take(places)]))
    texts = rebuild_lists(lists, pc.fill_null(items, "null"))
    written = pc.binary_join_element_wise(pa.scalar("["), pc.binary_join(texts, ","), pa.scalar("]"), "")
    return pc.if_else(lists.is_valid(), written, pa.scalar(None, pa.string()))
