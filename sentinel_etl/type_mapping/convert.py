"""Turns carried values into a fact type's, value by value without loss. Pure."""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Callable, Mapping
from datetime import timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.compute as pc

from sentinel_etl.arrow import list_elements, local_date, rebuild_lists
from sentinel_etl.errors import SchemaMismatch
from sentinel_etl.type_mapping.fact_types import UNIT_DIGITS, FactType

__all__ = ["convert", "find_misfits"]


def convert(values: pa.ChunkedArray, fact: FactType, zone: ZoneInfo) -> pa.ChunkedArray:
    """Convert a column to the fact type's Arrow type.

    Text is read as what PostgreSQL writes. A number's NaN becomes NULL; an instant becomes the date in ``zone``.

    Raises:
        SchemaMismatch: no value of the column's type can be one of the fact type.
        ArrowInvalid: some value cannot, such as a number beyond the type, or digits that it has no place for.
    """
    if values.type == fact.arrow and (fact.item or fact).kind in AS_IT_IS:
        return values
    if pa.types.is_dictionary(values.type):
        values = values.cast(values.type.value_type)
    if pa.types.is_null(values.type):
        return pa.chunked_array([pa.nulls(len(values), fact.arrow)])
    if fact.item and pa.types.is_list(values.type):
        return convert_lists(values, fact.item, zone)
    found = arrow_family(values.type)
    if fact.kind not in TAKEN.get(found, ()):
        raise SchemaMismatch(f"no value of a column of {values.type} is one of {fact.name}")
    if found == "text" and (read := READERS.get(fact.kind)):
        return read(values, fact)
    if fact.kind == "date" and found == "instant":
        return local_date(values, zone, timedelta(0))
    if fact.kind == "big integer" or (fact.kind == "decimal" and found == "integer"):
        return READERS[fact.kind](values.cast(pa.string()), fact)
    if fact.kind == "single" and found == "float":
        return to_single(values)
    converted = values.cast(fact.arrow)
    if fact.kind == "instant":
        refuse_finer(converted, fact)
    return converted


def convert_lists(lists: pa.ChunkedArray, item: FactType, zone: ZoneInfo) -> pa.ChunkedArray:
    return rebuild_lists(lists, convert(list_elements(lists), item, zone))


def find_misfits(values: pa.ChunkedArray, fact: FactType, zone: ZoneInfo, first: int = 0) -> list[int]:
    """Find the rows whose value does not fit, by halving: a stretch that fits is done with at once."""
    try:
        convert(values, fact, zone)
        return []
    except (pa.ArrowInvalid, SchemaMismatch):
        if len(values) == 1:
            return [first]
    half = len(values) // 2
    before = find_misfits(values.slice(0, half), fact, zone, first)
    return before + find_misfits(values.slice(half), fact, zone, first + half)


def arrow_family(kind: pa.DataType) -> str:
    tests: tuple[tuple[str, Callable[[pa.DataType], bool]], ...] = (
        ("boolean", pa.types.is_boolean),
        ("integer", pa.types.is_integer),
        ("float", pa.types.is_floating),
        ("decimal", pa.types.is_decimal),
        ("text", pa.types.is_string),
        ("text", pa.types.is_large_string),
        ("bytes", pa.types.is_binary),
        ("date", pa.types.is_date),
        ("map", pa.types.is_map),
    )
    if pa.types.is_timestamp(kind):
        return "clock" if kind.tz is None else "instant"
    return next((name for name, fits in tests if fits(kind)), "other")


# By family of the Arrow type: the kinds of `fact_types.FactType` that `pairs.PAIRS` has for what is carried so, and
# those that a frame made by hand may hold besides, where Arrow's own cast raises rather than change a value.
NUMBER_KINDS = ("integer", "big integer", "decimal", "double", "single", "string")
TAKEN: Mapping[str, tuple[str, ...]] = {
    "boolean": ("boolean", "integer", "string"),
    "integer": NUMBER_KINDS,
    "float": ("double", "single", "integer"),
    "decimal": NUMBER_KINDS,
    "text": (*NUMBER_KINDS, "boolean", "fixed string", "enum", "uuid", "ipv4", "ipv6", "json", "map"),
    "bytes": ("string",),
    "date": ("date", "string"),
    "instant": ("instant", "date"),
    "map": ("map",),
}


# Kinds whose Arrow type holds no value that the fact type does not; what it does not hold of dates is the contract's.
AS_IT_IS = frozenset({"boolean", "integer", "double", "single", "decimal", "date", "string", "map"})


def refuse(wrong: Any, what: str) -> None:
    if pc.any(pc.fill_null(wrong, False)).as_py():
        raise pa.ArrowInvalid(what)


# What is nearer to zero loses digits even as a double or a single: it is refused, as what is beyond.
LEAST = {pa.float64(): 1e-307, pa.float32(): 1e-37}

# Room for any bigint.
WHOLE = pa.decimal128(38, 0)


def to_single(values: pa.ChunkedArray) -> pa.ChunkedArray:
    singles = values.cast(pa.float32())
    size = pc.abs(values)
    beyond = pc.and_(pc.is_inf(singles), pc.is_finite(values))
    refuse(pc.or_(beyond, pc.and_(pc.greater(size, 0.0), pc.less(size, LEAST[pa.float32()]))), "beyond Float32")
    return singles


def refuse_finer(instants: pa.ChunkedArray, fact: FactType) -> None:
    """Refuse what the type's last digit rounds away, where Arrow's unit has more digits."""
    more = UNIT_DIGITS[fact.arrow.unit] - fact.digits
    if more > 0 and fact.name.startswith("DateTime64"):
        ticks = instants.cast(pa.int64())
        step = pa.scalar(10**more, pa.int64())
        refuse(pc.not_equal(pc.multiply(pc.divide(ticks, step), step), ticks), "an instant with more digits")


def read_digits(texts: pa.ChunkedArray) -> pa.ChunkedArray:
    """Take from a number's text what is not the number: money's sign and commas; and NaN, which is no number."""
    if pc.any(pc.match_substring(texts, "$")).as_py():
        texts = pc.replace_substring_regex(texts, r"[$,]", "")
    return pc.if_else(pc.equal(texts, "NaN"), pa.scalar(None, texts.type), texts)


def whole_digits(texts: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.replace_substring_regex(read_digits(texts), r"\.0*$", "")


def read_integer(texts: pa.ChunkedArray, fact: FactType) -> pa.ChunkedArray:
    return whole_digits(texts).cast(fact.arrow)


def read_big_integer(texts: pa.ChunkedArray, fact: FactType) -> pa.ChunkedArray:
    digits = whole_digits(texts)
    refuse(pc.invert(pc.match_substring_regex(digits, r"^-?\d+$")), "a text that is no integer")
    signed = fact.name.startswith("I")
    low = -(2 ** (fact.bits - 1)) if signed else 0
    high = 2 ** (fact.bits - signed)
    for text in pc.unique(digits).to_pylist():
        if text is not None and not low <= int(text) < high:
            raise pa.ArrowInvalid(f"an integer beyond {fact.name}")
    return digits


def read_float(texts: pa.ChunkedArray, fact: FactType) -> pa.ChunkedArray:
    digits = read_digits(texts)
    numbers = digits.cast(fact.arrow)
    named = pc.match_substring_regex(digits, "^-?[Ii]nf(inity)?$")
    beyond = pc.and_(pc.is_inf(numbers), pc.invert(named))
    near = pc.less(pc.abs(numbers), pa.scalar(LEAST[fact.arrow], fact.arrow))
    vanishing = pc.and_(near, pc.match_substring_regex(digits, r"^-?[0.]*[1-9]"))
    refuse(pc.or_(beyond, vanishing), f"a number beyond {fact.name}")
    # What may be a bigint, and so an id, must stay the one that it is: whether it came as a number or as a text.
    whole = pc.if_else(pc.match_substring_regex(digits, r"^-?\d{16,19}$"), digits, pa.scalar(None, digits.type))
    if whole.null_count < len(whole):
        rounded = pc.if_else(whole.is_valid(), numbers, pa.scalar(None, numbers.type)).cast(WHOLE, safe=False)
        refuse(pc.not_equal(whole.cast(WHOLE), rounded), f"digits that {fact.name} rounds")
    return numbers


def read_decimal(texts: pa.ChunkedArray, fact: FactType) -> pa.ChunkedArray:
    digits = read_digits(texts)
    refuse(pc.invert(pc.match_substring_regex(digits, r"^-?\d+(\.\d+)?$")), "a text that is no number")
    # The zeros at the end are no digits that could be lost.
    plain = pc.replace_substring_regex(digits, r"(\.\d*?)0+$", r"\1")
    number = pc.if_else(pc.match_substring(digits, "."), pc.replace_substring_regex(plain, r"\.$", ""), digits)
    # Arrow 24 reads a text of a hundred digits as another number.
    before = pc.utf8_length(pc.replace_substring_regex(number, r"^-?0*|\..*$", ""))
    behind = pc.utf8_length(pc.replace_substring_regex(number, r"^[^.]*\.?", ""))
    room = fact.arrow.precision - fact.digits
    refuse(pc.or_(pc.greater(before, room), pc.greater(behind, fact.digits)), "more digits than the type has")
    return number.cast(fact.arrow)


def read_members(texts: pa.ChunkedArray, fact: FactType) -> pa.ChunkedArray:
    known = pc.is_in(texts, pa.array(fact.members, texts.type))
    refuse(pc.and_(pc.is_valid(texts), pc.invert(known)), f"no member of {fact.name}")
    return texts


def read_fixed(texts: pa.ChunkedArray, fact: FactType) -> pa.ChunkedArray:
    refuse(pc.not_equal(pc.binary_length(texts), int(fact.parameters)), f"a text of another length than {fact.name}")
    return texts


UUID = r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"


def read_uuid(texts: pa.ChunkedArray, fact: FactType) -> pa.ChunkedArray:
    refuse(pc.invert(pc.match_substring_regex(texts, UUID)), "a text that is no UUID")
    return texts


def read_address(texts: pa.ChunkedArray, fact: FactType) -> pa.ChunkedArray:
    """Read a host's address; one of a network, or of the other version, is refused."""
    hosts = pc.replace_substring_regex(texts, r"/32$" if fact.kind == "ipv4" else r"/128$", "")
    wanted = ipaddress.IPv4Address if fact.kind == "ipv4" else ipaddress.IPv6Address
    for host in pc.unique(hosts).to_pylist():
        try:
            if host is not None:
                wanted(host)
        except ValueError:
            raise pa.ArrowInvalid(f"no address of {fact.name}") from None
    return hosts


def read_json(texts: pa.ChunkedArray, fact: FactType) -> pa.ChunkedArray:
    for text in pc.unique(texts).to_pylist():
        if text is not None:
            value = read_document(text, parse_int=Decimal, parse_float=Decimal, object_pairs_hook=Members)
            if not (isinstance(value, Members) and is_kept(value)):
                raise pa.ArrowInvalid("a JSON document that ClickHouse's JSON would change")
    return texts


class Members(list[tuple[str, Any]]):
    """The members of a JSON object, in order, with those that stand twice."""


def read_document(text: str, **named: Any) -> Any:
    try:
        return json.loads(text, **named)
    except (ValueError, RecursionError):
        raise pa.ArrowInvalid("a text that is no JSON") from None


# ClickHouse's JSON reads an integer as Int64 or UInt64, another number as Float64.
# https://clickhouse.com/docs/sql-reference/data-types/newjson
EXACT_IN_DOUBLE = 2**53


def is_kept(value: Any) -> bool:
    """Tell whether ClickHouse's JSON keeps a value as it is.

    It loses NULL members, empty objects and what Float64 rounds; a point in a name is a path to it; an array of
    several types becomes one of one type.
    """
    if isinstance(value, Members):
        names = [name for name, _ in value]
        plain = len(set(names)) == len(names) and all(name and "." not in name for name in names)
        return plain and all(each is not None and each != Members() and is_kept(each) for _, each in value)
    if isinstance(value, list):
        kinds = {type(each) for each in value if each is not None}
        return len(kinds) <= 1 and list not in kinds and all(map(is_kept, value))
    if isinstance(value, Decimal):
        if value == value.to_integral_value():
            return abs(value) <= EXACT_IN_DOUBLE
        return Decimal(repr(float(value))) == value
    return True


def read_map(texts: pa.ChunkedArray, fact: FactType) -> pa.ChunkedArray:
    """Read JSON objects whose values are texts; a NULL object is an empty map."""
    maps = [None if text is None else read_pairs(text) for text in texts.to_pylist()]
    return pa.chunked_array([pa.array(maps, fact.arrow)])


def read_pairs(text: str) -> list[tuple[str, str]]:
    value = read_document(text)
    if not isinstance(value, dict) or not all(isinstance(each, str) for each in value.values()):
        raise pa.ArrowInvalid("a JSON value that is no object of texts")
    return list(value.items())


READERS: Mapping[str, Callable[[pa.ChunkedArray, FactType], pa.ChunkedArray]] = {
    "integer": read_integer,
    "big integer": read_big_integer,
    "double": read_float,
    "single": read_float,
    "decimal": read_decimal,
    "enum": read_members,
    "fixed string": read_fixed,
    "uuid": read_uuid,
    "ipv4": read_address,
    "ipv6": read_address,
    "json": read_json,
    "map": read_map,
}
