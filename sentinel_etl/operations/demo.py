"""The demonstration: the local stack, a sample city with its nights, and last night's run."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from sentinel_etl.city import City, create_source_tables, load_city, load_nights
from sentinel_etl.context import Context, open_context
from sentinel_etl.errors import ConfigurationError
from sentinel_etl.ledger.standing import read_standing
from sentinel_etl.local.stack import start_stack
from sentinel_etl.notebook.execute import run_notebook
from sentinel_etl.notebook.kernel_process import KernelProcess
from sentinel_etl.notebook.notebook_run import NotebookRun
from sentinel_etl.run.run_window import run_window
from sentinel_etl.settings import Settings, load_settings
from sentinel_etl.warehouse.provision import prepare_tables
from sentinel_etl.window import Window, nights_between

__all__ = ["prepare_city", "run_demo"]


HISTORY_NIGHTS = 28  # four of each weekday, which is what a night is compared with
EVENTS_PER_NIGHT = 5_000


def run_demo(
    settings: Settings | None = None,
    say: Callable[[str], None] = lambda line: None,
    kernel: KernelProcess | None = None,
) -> NotebookRun:
    """Make the sample city up to last night, load its history, and execute the nightly notebook.

    Each part is left as it is where it is there already, so a second demonstration only runs the
    notebook again, over the same rows. It writes to the local stack alone. ``say`` is told each step;
    ``kernel`` waits to become the notebook's, as for `run_notebook`.

    Raises:
        ConfigurationError: a database URL is set, so there might be a live database behind it.
    """
    settings = settings or load_settings()
    if settings.source_url is not None or settings.warehouse_url is not None:
        raise ConfigurationError(
            "demo: expected no SENTINEL_SOURCE_URL and no SENTINEL_WAREHOUSE_URL, because it writes a sample "
            "city into the source; found one. Unset them, or use `sentinel-etl run`"
        )
    if "deadline" not in settings.model_fields_set:  # a demonstration is at any hour
        settings = settings.model_copy(update={"deadline": None})
    say("local stack: PostgreSQL and ClickHouse")
    start_stack(settings.state_dir)
    with open_context(settings) as context:
        say(f"sample city: {HISTORY_NIGHTS} nights of history, and last night")
        prepare_city(context)
        say("nightly run: notebooks/etl_nightly.ipynb")
        return run_notebook("etl_nightly", context=context, kernel=kernel)


def prepare_city(context: Context) -> None:
    """Write the sample city's rows up to now into the source, and its history into the warehouse.

    Rows that a phone has yet to send are left out, as they would be. Running it again adds only what
    is missing. An interruption leaves whole nights in the source, and in the warehouse what
    `run_window` leaves.
    """
    settings, pipeline, source = context.settings, context.pipeline, context.source
    last = Window.latest(settings.now or datetime.now(UTC), settings.zone)
    shift_date = last.shift_dates(settings.zone)[0]
    city = City(timezone=settings.timezone)
    create_source_tables(source)
    load_city(source, city)
    load_nights(source, city, shift_date, HISTORY_NIGHTS + 1, EVENTS_PER_NIGHT, received_before=last.end)
    prepare_tables(context.warehouse, pipeline.fact_table, pipeline.zone, pipeline.breakdown)
    history = nights_between(shift_date - timedelta(days=HISTORY_NIGHTS), shift_date - timedelta(days=1), settings.zone)
    due = sorted(read_standing(history, pipeline, context.warehouse, source).due)
    if due:
        whole = Window.nights(due[0], due[-1], settings.zone)
        run_window(whole, context=context)
