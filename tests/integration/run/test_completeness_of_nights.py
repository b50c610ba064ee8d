"""How many rows of last night are still to come, told by its run, and looked at again when they have come."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date, datetime, timedelta

import pandas as pd
import pytest
from sqlalchemy import Engine

from sentinel_etl import report
from sentinel_etl.analyst.quality import check_forecasts
from sentinel_etl.city import City, create_source_tables, load_city, load_nights
from sentinel_etl.context import Context
from sentinel_etl.databases import Databases
from sentinel_etl.errors import NothingThere
from sentinel_etl.ledger.ledger import read_runs
from sentinel_etl.pipeline import SENTINEL
from sentinel_etl.reconcile.arrivals import count_arrivals
from sentinel_etl.run.run_window import run_window
from sentinel_etl.settings import Settings
from sentinel_etl.window import Window

LAST = date(2026, 11, 21)
NIGHTS = 6
END = Window.night(LAST).end
MORNING = END + timedelta(minutes=10)
NOON = END + timedelta(hours=6)


@pytest.fixture(scope="module")
def whole_city(make_source: Callable[[str | None], Engine]) -> Engine:
    """Six nights of the city with all that came late, also after this morning."""
    engine = make_source(None)
    city = City()
    create_source_tables(engine)
    load_city(engine, city)
    load_nights(engine, city, LAST, NIGHTS, 900)
    return engine


@pytest.fixture
def context(whole_city: Engine, warehouse: Engine) -> Context:
    return Context(Settings(now=MORNING, lookback_nights=5), SENTINEL, Databases(whole_city, warehouse))


def at(context: Context, now: datetime) -> Context:
    return replace(context, settings=context.settings.model_copy(update={"now": now}))


def test_the_morning_s_run_says_what_is_still_to_come_and_noon_proves_it(context: Context) -> None:
    result = run_window(Window.night(LAST), context=context)
    found = result.completeness
    assert found is not None
    assert (found.at, found.until) == (MORNING, NOON)
    assert 0.9 < found.share < 1
    line = f"{100 * found.share:.1f}% in; "
    assert line in str(report.verdict_page(result, SENTINEL.zone))
    assert " more expected by noon, " in str(report.verdict_page(result, SENTINEL.zone))
    [run] = read_runs(context.warehouse)
    assert run["completeness"] == found.as_dict()
    with pytest.raises(NothingThere, match="no night's forecast is due"):
        check_forecasts(Window.night(LAST), SENTINEL, context.source, context.warehouse)
    window = Window(Window.night(LAST).start, Window.night(LAST + timedelta(days=1)).end)
    checked = check_forecasts(window, SENTINEL, context.source, context.warehouse)
    assert list(checked.index) == [LAST]
    row = checked.loc[LAST]
    assert row["known"] == found.known
    assert row["came"] > 0
    assert bool(row["within"]) == (found.low <= row["came"] <= found.high)
    assert f"{int(row['within'])} of 1 night within the interval" in str(report.forecast_table(checked))


def test_arrivals_are_counted_by_the_night_s_own_end(context: Context) -> None:
    early, late = MORNING - END, NOON - END
    nights = [LAST - timedelta(days=back) for back in (2, 1, 0)]
    counts = count_arrivals(nights, early, late, SENTINEL, context.source)
    assert list(counts.index) == nights
    assert (counts["known"] > 0).all()
    one = count_arrivals([LAST], early, late, SENTINEL, context.source)
    pd.testing.assert_frame_equal(one, counts.tail(1))


@pytest.mark.parametrize(
    ("now", "until"),
    [
        (END + timedelta(hours=5, minutes=59), NOON),
        (END + timedelta(hours=6), END + timedelta(days=1)),
        (END + timedelta(hours=23), END + timedelta(days=1)),
    ],
)
def test_a_run_later_in_the_day_looks_to_the_next_mark(context: Context, now: datetime, until: datetime) -> None:
    found = run_window(Window.night(LAST), context=at(context, now), dry_run=True).completeness
    assert found is not None
    assert found.until == until


def test_a_night_that_ended_long_ago_and_a_window_that_is_no_night_have_no_forecast(context: Context) -> None:
    later = at(context, END + timedelta(hours=25))
    assert run_window(Window.night(LAST), context=later, dry_run=True).completeness is None
    part = Window(Window.night(LAST).start, END - timedelta(hours=3))
    assert run_window(part, context=context, dry_run=True).completeness is None
    some = run_window(Window.night(LAST), context=context, event_types=["REMARK"], dry_run=True)
    assert some.completeness is None
    none = replace(context, settings=context.settings.model_copy(update={"lookback_nights": 0}))
    assert run_window(Window.night(LAST), context=none, dry_run=True).completeness is None
