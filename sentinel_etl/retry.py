"""What is tried again, and for how long: nothing waits for ever."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import Engine
from tenacity import Retrying, retry_if_exception, stop_after_delay, wait_random_exponential

__all__ = ["RETRY_OPTION", "try_again"]


# An engine's execution option: seconds over which its connections and read-only statements are tried again.
RETRY_OPTION = "sentinel_retry_seconds"

FIRST_PAUSE_SECONDS = 0.3
LONGEST_PAUSE_SECONDS = 5


def try_again(engine: Engine, passing: Callable[[BaseException], bool]) -> Retrying:
    """Make the retrying of what is safe to do twice: connecting, reading, idempotent statements.

    Errors that are ``passing`` are tried again after pauses that grow, within the engine's own
    seconds; the last one is raised as it came.
    """
    return Retrying(
        retry=retry_if_exception(passing),
        stop=stop_after_delay(float(engine.get_execution_options().get(RETRY_OPTION, 0))),
        wait=wait_random_exponential(FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS),
        reraise=True,
    )
