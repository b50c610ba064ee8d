"""Reads what PostgreSQL writes for a value of a type that Arrow has none for, without loss. Pure."""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from sentinel_etl.type_mapping.fact_types import FactType
from sentinel_etl.type_mapping.unfit import cast_values, refuse, refuse_each

__all__ = ["LEAST", "READERS"]


# What is nearer to zero loses digits even as a double or a single: it is refused, as what is beyond.
LEAST = {pa.float64(): 1e-307, pa.float32(): 1e-37}

# Room for any bigint.
WHOLE = pa.decimal128(38, 0)


def read_digits(texts: pa.ChunkedArray) -> pa.ChunkedArray:
    """Take from a number's text what is not the number: money's sign and commas; and NaN, which is no number."""
    if pc.any(pc.match_substring(texts, "$")).as_py():
        texts = pc.replace_substring_regex(texts, r"[$,]", "")
    return pc.if_else(pc.equal(texts, "NaN"), pa.scalar(None, texts.type), texts)


def whole_digits(texts: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.replace_substring_regex(read_digits(texts), r"\.0*$", "")


def read_integer(texts: pa.ChunkedArray, fact: FactType) -> pa.ChunkedArray:
    return cast_values(whole_digits(texts), fact.arrow)


def read_big_integer(texts: pa.ChunkedArray, fact: FactType) -> pa.ChunkedArray:
    digits = whole_digits(texts)
    refuse(pc.invert(pc.match_substring_regex(digits, r"^-?\d+$")), "a text that is no integer")
    signed = fact.name.startswith("I")
    low = -(2 ** (fact.bits - 1)) if signed else 0
    high = 2 ** (fact.bits - signed)
    refuse_each(digits, lambda text: low <= int(text) < high, f"an integer beyond {fact.name}")
    return digits


def read_float(texts: pa.ChunkedArray, fact: FactType) -> pa.ChunkedArray:
    digits = read_digits(texts)
    numbers = cast_values(digits, fact.arrow)
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
    return cast_values(number, fact.arrow)


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
    refuse_each(hosts, lambda host: is_readable(wanted, host), f"no address of {fact.name}")
    return hosts


def is_readable(read: Callable[[str], object], text: str) -> bool:
    try:
        read(text)
    except (ValueError, RecursionError):
        return False
    return True


def read_json(texts: pa.ChunkedArray, fact: FactType) -> pa.ChunkedArray:
    refuse_each(texts, is_kept_document, "a text that is no JSON object, or one that ClickHouse's JSON would change")
    return texts


def is_kept_document(text: str) -> bool:
    try:
        value = json.loads(text, parse_int=Decimal, parse_float=Decimal, object_pairs_hook=Members)
        return isinstance(value, Members) and is_kept(value)
    except (ArithmeticError, ValueError, RecursionError):
        return False


class Members(list[tuple[str, Any]]):
    """The members of a JSON object, in order, with those that stand twice."""


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
    refuse_each(texts, is_map, "a JSON value that is no object of texts")
    maps = [None if text is None else list(json.loads(text).items()) for text in texts.to_pylist()]
    return pa.chunked_array([pa.array(maps, fact.arrow)])


def is_map(text: str) -> bool:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return False
    return isinstance(value, dict) and all(isinstance(each, str) for each in value.values())


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
