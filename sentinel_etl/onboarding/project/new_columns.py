"""The types of a fact table's new columns: one for what several entries fill, and as source. Pure."""

from __future__ import annotations

import re

__all__ = ["merge_types", "write_type"]


# Digits that the values of an integer type may have.
DIGITS = {"Int16": 5, "Int32": 10, "Int64": 19, "UInt32": 10}
MOST_DIGITS = 76

TEXTS = {"LowCardinality(Nullable(String))", "Nullable(String)"}


def merge_types(one: str, other: str) -> str | None:
    """Find the type that holds the values of two without loss; None: there is none, so they need a column each."""
    if one == other:
        return one
    if {one, other} <= TEXTS:
        return "Nullable(String)"
    first, second = (re.fullmatch(r"Nullable\((.+)\)", name) for name in (one, other))
    if first is None or second is None:
        return None
    if first[1] in DIGITS and second[1] in DIGITS:
        wider = max(first[1], second[1], key=DIGITS.__getitem__)
        return "Nullable(Int64)" if "UInt32" in (first[1], second[1]) else f"Nullable({wider})"
    shapes = [decimal_shape(each[1]) for each in (first, second)]
    if shapes[0] is None or shapes[1] is None:
        return None
    whole, behind = (max(parts) for parts in zip(shapes[0], shapes[1], strict=True))
    return f"Nullable(Decimal({whole + behind}, {behind}))" if whole + behind <= MOST_DIGITS else None


def decimal_shape(name: str) -> tuple[int, int] | None:
    """Read how many digits stand before and behind the point."""
    if name in DIGITS:
        return DIGITS[name], 0
    found = re.fullmatch(r"Decimal\((\d+), (\d+)\)", name)
    return (int(found[1]) - int(found[2]), int(found[2])) if found else None


def write_type(name: str) -> str:
    """Write a type that ClickHouse names as clickhouse-sqlalchemy spells it: ``types.Nullable(types.String)``."""
    outer, _, inner = name.partition("(")
    inner = inner.removesuffix(")")
    if outer in ("Nullable", "LowCardinality", "Array"):
        return f"types.{outer}({write_type(inner)})"
    if outer == "Map":
        return f"types.Map({', '.join(write_type(each.strip()) for each in inner.split(','))})"
    if outer == "Bool":
        return "types.Boolean"
    return f"types.{outer}({inner})".replace("'", '"') if inner else f"types.{outer}"
