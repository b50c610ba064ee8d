"""ClickHouse's column types: what they hold, and the Arrow types that carry them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache

import pyarrow as pa

from sentinel_etl.errors import ConfigurationError

__all__ = ["COMPARABLE", "LOADED_TYPES", "FactType", "fact_type"]


@dataclass(frozen=True)
class FactType:
    """One type of a column, or of an array's elements.

    ``name``      as ClickHouse writes it, without Nullable and LowCardinality
    ``kind``      its row in `pairs.PAIRS`
    ``arrow``     what carries it; text where Arrow has no type of its own for it
    ``nullable``  whether it holds NULL
    ``item``      an array's elements
    """

    name: str
    kind: str
    arrow: pa.DataType
    nullable: bool = False
    item: FactType | None = None

    @property
    def parameters(self) -> str:
        return self.name.partition("(")[2].removesuffix(")")

    @property
    def digits(self) -> int:
        """Digits behind the point: of a Decimal, or of a DateTime64's seconds."""
        if self.kind == "decimal":
            return int(self.parameters.split(",")[-1])
        return int(self.parameters.partition(",")[0]) if self.name.startswith("DateTime64") else 0

    @property
    def bits(self) -> int:
        return int(re.sub(r"\D", "", self.name.partition("(")[0]) or 0)

    @property
    def members(self) -> list[str]:
        """The values of an Enum."""
        quoted = re.findall(r"'((?:[^'\\]|\\.|'')*)'", self.parameters)
        return [re.sub(r"\\(.)|'(')", r"\1\2", each) for each in quoted]


PLAIN: dict[str, tuple[str, pa.DataType]] = {
    "Bool": ("boolean", pa.bool_()),
    "Date": ("date", pa.date32()),
    "Date32": ("date", pa.date32()),
    "Float32": ("single", pa.float32()),
    "Float64": ("double", pa.float64()),
    "String": ("string", pa.string()),
    **{f"Int{bits}": ("integer", getattr(pa, f"int{bits}")()) for bits in (8, 16, 32, 64)},
    **{f"UInt{bits}": ("integer", getattr(pa, f"uint{bits}")()) for bits in (8, 16, 32, 64)},
    **{f"{sign}Int{bits}": ("big integer", pa.string()) for sign in ("", "U") for bits in (128, 256)},
    "UUID": ("uuid", pa.string()),
    "IPv4": ("ipv4", pa.string()),
    "IPv6": ("ipv6", pa.string()),
    "JSON": ("json", pa.string()),
    "Map(String,String)": ("map", pa.map_(pa.string(), pa.string())),
}

LOADED_TYPES = (
    f"{', '.join(name.replace(',', ', ') for name in PLAIN)}, DateTime, DateTime64(0…9), Decimal(P, S), Enum8, Enum16, "
    "FixedString(N), and Nullable, LowCardinality and Array of these"
)

# Kinds whose values can be compared with a number; others stand as text in Arrow.
COMPARABLE = frozenset({"integer", "decimal", "double", "single"})

# The unit that a DateTime64's digits fit in. PostgreSQL has microseconds, so 7 and 8 digits need no more.
UNITS = {0: "s", 1: "ms", 2: "ms", 3: "ms", 4: "us", 5: "us", 6: "us", 7: "us", 8: "us", 9: "ns"}
UNIT_DIGITS = {"s": 0, "ms": 3, "us": 6, "ns": 9}


@cache
def fact_type(server_type: str) -> FactType:
    """Read a ClickHouse type's name.

    Raises:
        ConfigurationError: a type that this project does not load.
    """
    name, nullable = server_type.strip(), False
    while wrapped := re.fullmatch(r"(Nullable|LowCardinality)\((.+)\)", name, re.DOTALL):
        nullable = nullable or wrapped[1] == "Nullable"
        name = wrapped[2]
    if item := re.fullmatch(r"Array\((.+)\)", name, re.DOTALL):
        each = fact_type(item[1])
        return FactType(name, "array", pa.list_(each.arrow), False, each)
    kind, arrow = plain_type(name) or (None, None)
    if kind is None:
        raise ConfigurationError(f"expected a type among {LOADED_TYPES}; found {name}")
    return FactType(name, kind, arrow, nullable)


def plain_type(name: str) -> tuple[str, pa.DataType] | None:
    if (plain := PLAIN.get(name.replace(" ", ""))) is not None:
        return plain
    if instant := re.fullmatch(r"DateTime64\((\d)(?:, *'(.+)')?\)", name):
        return "instant", pa.timestamp(UNITS[int(instant[1])], tz=instant[2] or "UTC")
    if instant := re.fullmatch(r"DateTime(?:\('(.+)'\))?", name):
        return "instant", pa.timestamp("s", tz=instant[1] or "UTC")
    if decimal := re.fullmatch(r"Decimal\((\d+), *(\d+)\)", name):
        precision, digits = int(decimal[1]), int(decimal[2])
        if 1 <= precision <= 76 and digits <= precision:
            return "decimal", (pa.decimal128 if precision <= 38 else pa.decimal256)(precision, digits)
    if re.fullmatch(r"FixedString\([1-9]\d*\)", name):
        return "fixed string", pa.string()
    if re.fullmatch(r"Enum(?:8|16)?\(.+\)", name, re.DOTALL):
        return "enum", pa.string()
    return None
