"""Writes numbers as text, as PostgreSQL and the fingerprint's SQL write them. Pure."""

from __future__ import annotations

from decimal import Decimal, localcontext
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sentinel_etl.arrow import as_one

__all__ = ["number_text"]

# Whole numbers below have the same digits as an integer has.
EXACT = {pa.float32(): 2.0**24, pa.float64(): 2.0**53}

# Between them Arrow writes a number with a fraction as PostgreSQL does: its shortest digits, without an exponent.
ARROW_FROM, ARROW_TO = 1e-3, 1e5

# Enough for any double's own, all of them, and for the middle of two.
EXACT_DIGITS = 1_100

# From so many digits before the point on PostgreSQL writes an exponent.
DIGITS = {pa.float32(): 6, pa.float64(): 15}


def number_text(numbers: pa.ChunkedArray) -> pa.ChunkedArray:
    """Write each number: whole ones by their digits, others by the fewest that are the same number; infinities by name.

    The text of a whole number does not depend on whether it comes as an integer or as a double.
    """
    if not pa.types.is_floating(numbers.type):
        return numbers.cast(pa.string())
    size = pc.abs(numbers)
    whole = pc.and_(pc.equal(pc.trunc(numbers), numbers), pc.less(size, pa.scalar(EXACT[numbers.type], numbers.type)))
    plain = pc.and_(pc.greater_equal(size, ARROW_FROM), pc.less(size, ARROW_TO))
    digits = pc.if_else(whole, numbers, pa.scalar(None, numbers.type)).cast(pa.int64()).cast(pa.string())
    texts = pc.if_else(whole, digits, numbers.cast(pa.string()))
    odd = pc.and_(pc.invert(whole), pc.invert(plain))
    if not pc.any(odd).as_py():
        return texts
    places = as_one(pc.fill_null(odd, False))
    values = as_one(numbers).filter(places).to_numpy(zero_copy_only=False)
    with localcontext(prec=EXACT_DIGITS), np.errstate(over="ignore"):  # beside the greatest number stands infinity
        written = pa.array([with_exponent(value, DIGITS[numbers.type]) for value in values], pa.string())
    return pa.chunked_array([pc.replace_with_mask(as_one(texts), places, written)])


def with_exponent(value: np.floating[Any], most: int) -> str:
    """Write a number as PostgreSQL does: with an exponent below 1e-4 and above ``most`` digits.

    https://www.postgresql.org/docs/current/datatype-numeric.html#DATATYPE-FLOAT
    """
    if not np.isfinite(value):
        return "NaN" if np.isnan(value) else "inf" if value > 0 else "-inf"
    number = shortest_digits(value)
    exponent = number.adjusted()
    if -4 <= exponent < most:
        return f"{number:f}"
    sign, digits, _ = number.as_tuple()
    fraction = "".join(map(str, digits[1:]))
    point = f".{fraction}" if fraction else ""
    return f"{'-' * sign}{digits[0]}{point}e{exponent:+03d}"


def shortest_digits(value: np.floating[Any]) -> Decimal:
    """Find the fewest digits that are nearer to the value than to any other of its type.

    Digits right between two values, which the rule of rounding to even would read back, are not enough for
    PostgreSQL, and are for Arrow and Python.
    """
    exact = Decimal(float(value))
    ends = (value.dtype.type(-np.inf), value.dtype.type(np.inf))
    below, above = ((exact + Decimal(float(np.nextafter(value, end)))) / 2 for end in ends)
    shortest = Decimal(np.format_float_scientific(value, unique=True))
    precision = len(shortest.normalize().as_tuple().digits)
    while not below < shortest < above:
        precision += 1
        shortest = Decimal(f"{exact:.{precision - 1}e}")
    return shortest.normalize()
