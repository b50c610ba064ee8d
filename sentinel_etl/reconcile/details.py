"""Writes ``details_json`` in PostgreSQL's SQL, to the letter as `transform.details` writes it."""

from __future__ import annotations

import json
from collections.abc import Sequence

from sentinel_etl.type_mapping.source_types import SourceType

__all__ = ["details_sql"]


QUOTED = "to_json({value}::text)::text"

# A double: whole numbers by their digits, an infinity as Arrow names it, NaN as NULL. `type_mapping.number_texts`.
FLOAT = (
    "CASE WHEN {value} = 'NaN' THEN NULL WHEN {value} = 'Infinity' THEN '\"inf\"' "
    "WHEN {value} = '-Infinity' THEN '\"-inf\"' WHEN {value} = trunc({value}) "
    "AND abs({value}) < CASE pg_typeof({value}) WHEN 'real'::regtype THEN 16777216 ELSE 9007199254740992 END "
    "THEN {value}::bigint::text ELSE {value}::text END"
)
NUMERIC = (
    "CASE WHEN {value}::text = 'NaN' THEN NULL WHEN {value}::text LIKE '%Infinity' THEN to_json({value}::text)::text "
    "ELSE {value}::text END"
)
INSTANT = (
    "CASE WHEN isfinite({value}) "
    "THEN to_char({value} AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"') ELSE {value}::text END"
)

# By family: a member's value as JSON.
JSON_TEXTS = {
    "boolean": "{value}::text",
    "integer": "{value}::text",
    "oid": "{value}::text",
    "float": FLOAT,
    "numeric": NUMERIC,
    "hstore": "to_json({value}::jsonb::text)::text",
    "timestamp with time zone": f"'\"' || {INSTANT} || '\"'",
}

ARRAY = (
    "CASE WHEN {value} IS NOT NULL THEN '[' || coalesce((SELECT string_agg(coalesce({item}, 'null'), ',' "
    "ORDER BY place) FROM unnest({value}) WITH ORDINALITY AS listed(element, place)), '') || ']' END"
)


def details_sql(labels: Sequence[str], columns: Sequence[str], types: Sequence[SourceType]) -> str:
    """Write the object of the members ``labels`` whose values have the SQL of ``columns``.

    The first is the row's own ``details_json``: alone it stays as it is, and beside others it is JSON already.
    """
    rest = [member_sql(*each) for each in zip(labels[1:], columns[1:], types[1:], strict=True)]
    if not rest:
        return columns[0]
    own = f"coalesce(',{member_name(labels[0])}:' || {columns[0]}, '')"
    members = " || ".join(rest)
    return f"CASE WHEN ({members}) = '' THEN {columns[0]} ELSE '{{' || substr({own} || {members}, 2) || '}}' END"


def member_sql(label: str, column: str, found: SourceType) -> str:
    return f"coalesce(',{member_name(label)}:' || {value_sql(column, found)}, '')"


def member_name(label: str) -> str:
    return json.dumps(label).replace("'", "''")


def value_sql(column: str, found: SourceType) -> str:
    if found.item is None:
        return f"({JSON_TEXTS.get(found.family, QUOTED).replace('{value}', column)})"
    item = JSON_TEXTS.get(found.item.family, QUOTED).replace("{value}", "element")
    return f"({ARRAY.replace('{item}', f'({item})').replace('{value}', column)})"
