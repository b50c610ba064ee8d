"""Makes a loaded night again under today's rules, in a dry run: what a changed rule would do to it."""

from __future__ import annotations

from datetime import date

from sentinel_etl.context import Context
from sentinel_etl.errors import ConfigurationError
from sentinel_etl.run.result import RunResult
from sentinel_etl.run.run_window import run_window
from sentinel_etl.window import Window

__all__ = ["try_night"]


def try_night(context: Context, night: date) -> RunResult:
    """Make a night again in a dry run, which stages and audits and publishes nothing.

    ``changes`` of the result are against what readers see now; the dry run is in the ledger.

    Raises:
        ConfigurationError: the night is not loaded, so there is nothing to compare with.
        SentinelError: as `run_window`.
    """
    result = run_window(Window.night(night, context.pipeline.zone), context=context, dry_run=True)
    if result.changes is None:
        raise ConfigurationError(
            f"--effect: expected a night that is loaded, found none of {night}. Load it with `sentinel-etl backfill "
            f"--from {night} --to {night}`"
        )
    return result
