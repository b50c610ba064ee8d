"""How long what failed is tried again: nothing waits for ever. Which failures may pass, each database says itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Engine
from tenacity import Retrying, retry_if_exception, stop_after_delay, wait_random_exponential

__all__ = ["LIMITS_OPTION", "TimeLimits", "limits_of", "try_again"]


FIRST_PAUSE_SECONDS = 0.3
LONGEST_PAUSE_SECONDS = 5

# An engine carries its limits as an execution option of this name, for the clients that are made from its URL.
LIMITS_OPTION = "sentinel_limits"


@dataclass(frozen=True)
class TimeLimits:
    """How long a database is waited for, in seconds.

    A connection may take ``connect_seconds``, an answer, or each piece of one, ``answer_seconds``. What
    is safe to do twice is tried again over ``retry_seconds``.
    """

    connect_seconds: float = 10
    answer_seconds: float = 900
    retry_seconds: float = 0


def limits_of(engine: Engine) -> TimeLimits:
    limits = engine.get_execution_options().get(LIMITS_OPTION)
    return limits if isinstance(limits, TimeLimits) else TimeLimits()


def try_again(engine: Engine, may_recover: Callable[[BaseException], bool]) -> Retrying:
    """Make the retrying of what is safe to do twice: connecting, reading, idempotent statements.

    Errors that the database ``may_recover`` from are tried again after pauses that grow, within the
    engine's own seconds; the last one is raised as it came.
    """
    return Retrying(
        retry=retry_if_exception(may_recover),
        stop=stop_after_delay(limits_of(engine).retry_seconds),
        wait=wait_random_exponential(FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS),
        reraise=True,
    )
