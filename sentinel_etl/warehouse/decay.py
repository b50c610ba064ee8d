"""How risk fades with time: the mathematics, apart from any database. Pure.

An event of ``s`` risk points at the instant ``t`` is worth ``s·e^(−λ(T−t))`` at ``T``, with
``λ = ln 2 / half-life``: half of it after one half-life, a quarter after two. A place's risk at
``T`` is the sum over its events up to ``T``.

The sum may be kept by nights, because the part that depends on ``T`` can be taken out of it::

    Σ s·e^(−λ(T−t)) = e^(−λ(T−d)) · Σ s·e^(λ(t−d))

for any fixed instant ``d`` of the night. Here ``d`` is 00:00 UTC of its ``shift_date``, whatever the
city's zone: a night lies between 8 hours before and 43 hours after it (zones reach from UTC−12 to
UTC+14, a night from 06:00 to the next 06:00), so both exponents stay small where it matters. Powers
of two are written instead of powers of e: ``e^(−λx) = 2^(−x/half-life)``.
"""

from __future__ import annotations

import math

from sentinel_etl.errors import ConfigurationError

__all__ = [
    "DEFAULT_HALF_LIFE_HOURS",
    "MIN_HALF_LIFE_HOURS",
    "NEGLIGIBLE_HALF_LIVES",
    "check_half_life",
]


# Hours after which an event weighs half. Three nights: what happened on Friday still counts on
# Monday, last week's has faded to a fifth. The city's starting point, as RISK_WEIGHTS are.
DEFAULT_HALF_LIFE_HOURS = 72.0

# Hours. Below it 2^((t−d)/half-life) could leave the range of a double within a night: 43 h / 0.1 h
# makes 2^430, the largest double is just under 2^1024.
MIN_HALF_LIFE_HOURS = 0.1

# Half-lives after which an event is left out: it adds less than 2^−53 of its points, the spacing of
# doubles (IEEE 754 binary64) at 1. It is 37/λ hours, 159 days at the default half-life.
NEGLIGIBLE_HALF_LIVES = 53


def check_half_life(half_life_hours: float) -> float:
    """Return the half-life, in hours, as a float.

    Raises:
        ConfigurationError: not a finite number of at least `MIN_HALF_LIFE_HOURS`.
    """
    number = isinstance(half_life_hours, int | float) and not isinstance(half_life_hours, bool)
    if not number or not math.isfinite(half_life_hours) or half_life_hours < MIN_HALF_LIFE_HOURS:
        raise ConfigurationError(
            f"half_life_hours: expected a number of hours of at least {MIN_HALF_LIFE_HOURS}, found {half_life_hours!r}"
        )
    return float(half_life_hours)
