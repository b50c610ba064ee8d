"""What ends a process that is at work: Ctrl-C, or SIGTERM, which is taken for one; and the error that it becomes."""

from __future__ import annotations

from sentinel_etl.errors import Stopped, Terminated

__all__ = ["Termination", "stopped_by"]


class Termination(KeyboardInterrupt):
    """SIGTERM, raised where Ctrl-C would be, so that both end what is under way in one way."""


def stopped_by(interrupt: KeyboardInterrupt, rest: str) -> Stopped:
    """Make the error of what an interrupt ended; ``rest`` says what is left, and what to do."""
    return Terminated(f"stopped: {rest}") if isinstance(interrupt, Termination) else Stopped(f"stopped: {rest}")
