"""The one table of type mapping: which fact types take a source family without loss, and how both engines write it.

`Pipeline.check` refuses every pair that is not here, `convert.convert` obeys it value by value, and reconciliation
writes values with the SQL of a pair: alike in both engines where the values are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sentinel_etl.type_mapping.fact_types import FactType
from sentinel_etl.type_mapping.source_types import SourceType

__all__ = ["KIND_NAMES", "PAIRS", "Pair", "find_pair", "remedy_for", "takers_of"]


@dataclass(frozen=True)
class Pair:
    """How PostgreSQL and ClickHouse write a value as one text; ``{value}`` is its SQL.

    In ``source`` also ``{zone}``, the pipeline's. None: the two cannot be compared, because ``unlike``.
    """

    source: str | None
    fact: str | None
    unlike: str = ""


AS_TEXT = Pair("{value}::text", "toString({value})")

# A number without the zeros at its end: ClickHouse writes a Decimal without them, PostgreSQL with.
PLAIN = "CASE WHEN {text} LIKE '%.%' THEN rtrim(rtrim({text}, '0'), '.') ELSE {text} END"
NUMERIC = "nullif({value}, 'NaN')::text"
MONEY = "{value}::numeric::text"
DECIMAL = (
    "if(position(toString({value}), '.') = 0, toString({value}), replaceRegexpOne(toString({value}), '\\\\.?0*$', ''))"
)

# A double as the hexadecimal digits of its bits, which no way of writing it rounds. The fact table has no NaN: it is
# NULL there. PostgreSQL raises where a numeric is beyond, which since the night was loaded it may be.
DOUBLE = "lower(leftPad(hex(reinterpretAsUInt64({value})), 16, '0'))"
SINGLE = "lower(leftPad(hex(reinterpretAsUInt32({value})), 8, '0'))"
FLOAT_BITS = Pair("encode(float8send(nullif({value}::float8, 'NaN')), 'hex')", DOUBLE)
NUMERIC_BITS = Pair(
    "CASE WHEN {value} IN (0, 'NaN') OR {value}::text LIKE '%Infinity' OR abs({value}) BETWEEN 1e-307 AND 1.79e308 "
    "THEN encode(float8send(nullif({value}::float8, 'NaN')), 'hex') ELSE {value}::text END",
    DOUBLE,
)
SINGLE_BITS = (
    "CASE WHEN {value} IN (0, 'NaN') OR {value}::text LIKE '%Infinity' OR abs({value}) BETWEEN 1e-37 AND 3.4e38 "
    "THEN encode(float4send(nullif({value}::float4, 'NaN')), 'hex') ELSE {value}::text END"
)
# A real is a single whatever its size.
REAL_BITS = (
    "CASE WHEN pg_typeof({value}) = 'real'::regtype THEN encode(float4send(nullif({value}::float4, 'NaN')), 'hex') "
    f"ELSE {SINGLE_BITS} END"
)
MICROSECONDS = Pair(
    "CASE WHEN isfinite({value}) THEN (extract(epoch from {value}) * 1000000)::bigint::text ELSE {value}::text END",
    "toString(toUnixTimestamp64Micro(toDateTime64({value}, 6, 'UTC')))",
)
# Key by key in the order of their bytes, each text behind its length.
MAP = Pair(
    "(SELECT coalesce(string_agg(octet_length(convert_to(key, 'UTF8')) || ':' || key || "
    "octet_length(convert_to(value, 'UTF8')) || ':' || value, '' ORDER BY key COLLATE \"C\"), '') "
    "FROM jsonb_each_text(CASE jsonb_typeof({value}::jsonb) WHEN 'object' THEN {value}::jsonb END))",
    "arrayStringConcat(arrayMap(key -> concat(toString(length(key)), ':', key, toString(length({value}[key])), ':', "
    "{value}[key]), arraySort(mapKeys({value}))))",
)

PAIRS: Mapping[str, Mapping[str, Pair]] = {
    "boolean": {
        "boolean": Pair("{value}::int::text", "toString(toUInt8({value}))"),
        "integer": Pair("{value}::int::text", "toString({value})"),
        "string": AS_TEXT,
    },
    "integer": {
        "integer": AS_TEXT,
        "big integer": AS_TEXT,
        "decimal": Pair("{value}::text", DECIMAL),
        "double": FLOAT_BITS,
        "string": AS_TEXT,
    },
    "oid": {
        "integer": AS_TEXT,
        "big integer": AS_TEXT,
        "string": AS_TEXT,
    },
    "float": {
        "double": FLOAT_BITS,
        "single": Pair(REAL_BITS, SINGLE),
    },
    "numeric": {
        "integer": Pair(PLAIN.format(text=NUMERIC), "toString({value})"),
        "big integer": Pair(PLAIN.format(text=NUMERIC), "toString({value})"),
        "decimal": Pair(PLAIN.format(text=NUMERIC), DECIMAL),
        "double": NUMERIC_BITS,
        "single": Pair(SINGLE_BITS, SINGLE),
        "string": Pair(NUMERIC, "toString({value})"),
    },
    "money": {
        "decimal": Pair(PLAIN.format(text=MONEY), DECIMAL),
        "string": AS_TEXT,
    },
    "text": {
        "string": AS_TEXT,
        "fixed string": AS_TEXT,
        "enum": AS_TEXT,
        "boolean": Pair(
            "CASE WHEN lower({value}) IN ('true', '1') THEN '1' WHEN lower({value}) IN ('false', '0') THEN '0' END",
            "toString(toUInt8({value}))",
        ),
    },
    "bytes": {
        "string": Pair("encode({value}, 'hex')", "lower(hex({value}))"),
    },
    "uuid": {
        "uuid": AS_TEXT,
        "string": AS_TEXT,
    },
    "inet": {
        "ipv4": Pair("host({value})", "toString({value})"),
        "ipv6": Pair("encode(substr(inet_send({value}), 5), 'hex')", "lower(hex({value}))"),
        "string": AS_TEXT,
    },
    "json": {
        "string": AS_TEXT,
        "map": MAP,
        "json": Pair(None, None, "the two engines write JSON each in its own way"),
    },
    "hstore": {
        "map": MAP,
    },
    "date": {
        "date": AS_TEXT,
        "string": AS_TEXT,
    },
    "timestamp without time zone": {
        "string": AS_TEXT,
    },
    "timestamp with time zone": {
        "instant": MICROSECONDS,
        "date": Pair("timezone('{zone}', {value})::date::text", "toString({value})"),
    },
    "other": {
        "string": AS_TEXT,
    },
}

# What a user may write instead, where a family's values do not go into a fact type as they are.
REMEDIES: Mapping[str, str] = {
    "timestamp without time zone": "Say its zone with func.timezone('Asia/Kolkata', column)",
    "date": "Say its zone with func.timezone('Asia/Kolkata', cast(column, DateTime))",
    "timestamp with time zone": "Write cast(column, Text) for its text",
    "float": "Take Float64, or write cast(column, Numeric)",
}
COMMON_REMEDY = "Cast the column in EVENT_CONFIG, or change the fact table's column"

# Words for the kinds of fact types, in messages and in the reference.
KIND_NAMES: Mapping[str, str] = {
    "boolean": "Bool",
    "integer": "Int8…Int64, UInt8…UInt64",
    "big integer": "Int128, Int256, UInt128, UInt256",
    "decimal": "Decimal",
    "double": "Float64",
    "single": "Float32",
    "string": "String",
    "fixed string": "FixedString",
    "enum": "Enum8, Enum16",
    "uuid": "UUID",
    "ipv4": "IPv4",
    "ipv6": "IPv6",
    "json": "JSON",
    "map": "Map(String, String)",
    "date": "Date, Date32",
    "instant": "DateTime, DateTime64",
}


def takers_of(source: SourceType) -> str:
    """Name the fact types that take the family."""
    if source.item:
        return f"Array of {takers_of(source.item)}"
    return ", ".join(KIND_NAMES[kind] for kind in PAIRS.get(source.family, {})) or "none"


def remedy_for(source: SourceType) -> str:
    return REMEDIES.get(source.family, COMMON_REMEDY)


# An array: element by element in order, each behind its length, ~ for NULL. No array and an empty one are the same.
SOURCE_ARRAY = (
    "(SELECT coalesce(string_agg(coalesce(octet_length(convert_to(item, 'UTF8')) || ':' || item, '~'), '' "
    "ORDER BY place), '') FROM (SELECT {item} AS item, place FROM unnest({value}) "
    "WITH ORDINALITY AS listed(element, place)) AS items)"
)
FACT_ARRAY = (
    "arrayStringConcat(arrayMap(element -> ifNull(concat(toString(length({item})), ':', {item}), '~'), {value}))"
)

# The same for what has digits alone, which PostgreSQL joins by itself in a tenth of the time.
INTEGERS = Pair(
    "'[' || coalesce(array_to_string({value}, ',', '~'), '') || ']'",
    "concat('[', arrayStringConcat(arrayMap(each -> ifNull(toString(each), '~'), {value}), ','), ']')",
)


def find_pair(source: SourceType, fact: FactType) -> Pair | None:
    """Find how values of a source type go into a fact type; None: not without loss."""
    if source.item is None or fact.item is None:
        return None if source.item or fact.item else PAIRS.get(source.family, {}).get(fact.kind)
    pair = find_pair(source.item, fact.item)
    if pair is None or pair.source is None or pair.fact is None:
        return pair
    if source.item.family == "integer" and fact.item.kind == "integer":
        return INTEGERS
    return Pair(
        SOURCE_ARRAY.replace("{item}", pair.source.replace("{value}", "element")),
        FACT_ARRAY.replace("{item}", pair.fact.replace("{value}", "element")),
    )
