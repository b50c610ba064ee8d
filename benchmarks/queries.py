"""Times the six presentation queries on ten years of synthetic events: p50, p95, and a ratio.

The rival of each is the same statement with projections switched off, in the same run: what the
aggregation costs from raw rows. Rows are made in the warehouse itself, in the proportions of the
sample city at 13,700 events a night: 12 stations, 120 hotspots, 300 officers, 495 patrols, a third of
the events with a score, busy Fridays and Saturdays, a tenth of the hotspots with a third of the events.

    python -m benchmarks.queries --rows 5000000
"""

from __future__ import annotations

import calendar
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import Any

import pandas as pd
from sqlalchemy import Engine

from benchmarks.measure import measure, ratio_line
from benchmarks.stand import open_stand, parse_arguments
from sentinel_etl.analyst import questions as presentation
from sentinel_etl.config.fact_table import build_patrol_events
from sentinel_etl.pipeline import SENTINEL
from sentinel_etl.warehouse.decay import DEFAULT_HALF_LIFE_HOURS
from sentinel_etl.warehouse.projections import CELL_RESOLUTION
from sentinel_etl.warehouse.provision import prepare_fact_table
from sentinel_etl.warehouse.query import query_df, run_statement

FIRST_MONTH, MONTHS = date(2016, 12, 1), 120
AS_OF = datetime(2026, 11, 29, 20, 30, tzinfo=UTC)  # 02:00 in the city: a night is cut
FORTNIGHT = (AS_OF - timedelta(days=14)).date()
OTHER_HALF_LIFE_HOURS = 48.0
# Monday to Sunday, in proportion to the sample city's week.
NIGHT_WEIGHTS = (17, 17, 18, 19, 23, 25, 20)
DEFAULTS = {
    "half_life_hours": DEFAULT_HALF_LIFE_HOURS,
    "since": presentation.ALL_NIGHTS,
    "resolution": CELL_RESOLUTION,
    "limit": 20,
}
BARS_MS = {"last 14 days": 50, "all history": 300}
PIPELINE = replace(SENTINEL, fact_table=build_patrol_events())

# Event type: share of events (the sample city's), risk points, whether it names a hotspot.
KINDS = {
    "GEOFENCE": (0.325, "0", 1),
    "PATROL_STATUS": (0.155, "0", 0),
    "REMARK": (0.11, "1", 1),
    "VEHICLE_CHECK": (0.11, "2", 0),
    "HIGH_INTEGRITY_VISITS": (0.10, "0", 1),
    "STRANGER_ENCOUNTER": (0.055, "6", 0),
    "FEEDBACK": (0.03, "1", 0),
    "PRIORITY_CHANGE": (0.09, "4 + n % 9", 1),
    "SUSPICIOUS_VEHICLE": (0.0155, "12", 0),
    "EMERGENCY_INCIDENT": (0.0095, "30 + 5 * (n % 10)", 0),
}

INSERT_MONTH = """
INSERT INTO patrol_events (event_id, patrol_id, officer_id, event_timestamp, event_date, shift_date, event_type,
    station_id, vehicle_id, latitude, longitude, accuracy, hotspot_id, remark_text, remark_length,
    base_risk_score, risk_reasons)
WITH number + {first} AS n,
    (k, salt) -> cityHash64(k, salt) / 18446744073709551616. AS u,
    {nights}[1 + cityHash64(n, 1) % {nights_weight}] AS day,
    toDate('{month}') + (day - 1) AS night,
    cityHash64(n, 2) % 495 AS crew,
    1 + crew % 12 AS station,
    1 + toInt64(floor(10 * pow(u(n, 3), 2))) AS spot,
    u(n, 4) AS kind,
    multiIf({types}) AS type,
    toInt64(1800e6 + 86400e6 * (u(n, 5) + u(n, 6)) / 2) AS into_night,
    toDateTime64(night, 6, 'UTC') + toIntervalMicrosecond(into_night) AS moment,
    sqrt(-2 * log(u(n, 7) + 1e-12)) AS far,
    2 * pi() * u(n, 8) AS bearing,
    2 * pi() * u(station, 100 + spot) AS side,
    u(n, 9) < 0.05 AS lost,
    multiIf({scores}) AS score,
    type IN ('REMARK', 'PRIORITY_CHANGE') AS is_remark
SELECT concat(type, ':', toString(n)), (toInt64(toUInt32(night)) - 10957) * 1000 + crew,
    station * 1000 + 1 + intDiv(crew, 12) % 25, moment, toDate(moment + toIntervalMinute(330)), night, type,
    station, station * 100 + 1 + crew % 6,
    if(lost, NULL, round(12.97 + 0.055 * sin(station * 2.4) * sqrt(station / 12) + 0.012 * sin(side)
        + 0.0015 * far * sin(bearing), 6)),
    if(lost, NULL, round(77.59 + 0.055 * cos(station * 2.4) * sqrt(station / 12) + 0.012 * cos(side)
        + 0.0015 * far * cos(bearing), 6)),
    round(4 + 12 * u(n, 10), 1), if(type IN ({at_hotspot}), toNullable(station * 100 + spot), NULL),
    if(is_remark, concat('all quiet at corner ', toString(spot)), NULL), if(is_remark, 21, NULL),
    score, if(score > 0, [concat('event_type=', type, ' +', toString(score))], [])
FROM numbers({rows})
"""


@dataclass(frozen=True)
class Question:
    """One presentation function, what it is given, and over what span of history."""

    view: str
    span: str
    given: Mapping[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        half_life = self.given.get("half_life_hours")
        return f"{self.view}, {half_life:g} h" if half_life else self.view

    def ask(self, warehouse: Engine) -> pd.DataFrame:
        function: Callable[..., pd.DataFrame] = getattr(presentation, self.view)
        return function(warehouse, AS_OF, pipeline=PIPELINE, **self.given)

    def ask_rows(self, warehouse: Engine) -> pd.DataFrame:
        """Run the same statement with projections switched off."""
        statement = presentation.write_question(self.view, warehouse, AS_OF, PIPELINE, {**DEFAULTS, **self.given})
        return query_df(warehouse, f"{statement} SETTINGS optimize_use_projections = 0")


def questions() -> Iterator[Question]:
    """List the six queries, each over the last fortnight and over all history where it has a choice."""
    other = {"half_life_hours": OTHER_HALF_LIFE_HOURS}
    for view, given in (
        ("hotspot_risk", {}),
        ("hotspot_risk", other),
        ("station_activity", {}),
        ("officer_activity", {}),
        ("incident_heatmap", {}),
    ):
        yield Question(view, "last 14 days", {**given, "since": FORTNIGHT})
        yield Question(view, "all history", given)
    yield Question("emerging_threats", "all history")


def month_statement(month: date, rows: int, first: int) -> str:
    """Write the INSERT of one month's events; ``first`` numbers them on from the month before."""
    days = calendar.monthrange(month.year, month.month)[1]
    nights = [day for day in range(1, days + 1) for _ in range(NIGHT_WEIGHTS[month.replace(day=day).weekday()])]
    reached, types = 0.0, []
    for kind, (share, _, _) in KINDS.items():
        reached += share
        types += [f"kind < {reached:.6f}", f"'{kind}'"]
    scores = [part for kind, (_, points, _) in KINDS.items() for part in (f"type = '{kind}'", points)]
    return INSERT_MONTH.format(
        first=first,
        nights=nights,
        nights_weight=len(nights),
        month=month,
        types=", ".join([*types, "'GEOFENCE'"]),
        scores=", ".join([*scores, "0"]),
        at_hotspot=", ".join(f"'{kind}'" for kind, (_, _, named) in KINDS.items() if named),
        rows=rows,
    )


def build(warehouse: Engine, rows: int) -> float:
    """Fill the fact table month by month and return the seconds it took."""
    prepare_fact_table(warehouse, PIPELINE.fact_table, PIPELINE.zone)
    start, first = time.perf_counter(), 0
    for number in range(MONTHS):
        years, offset = divmod(FIRST_MONTH.month - 1 + number, 12)
        month = date(FIRST_MONTH.year + years, offset + 1, 1)
        until = rows * (number + 1) // MONTHS
        run_statement(warehouse, month_statement(month, until - first, first).replace(":", "\\:"))
        first = until
        if number % 12 == 11:
            print(f"{month:%Y}: {first:,} rows, {time.perf_counter() - start:.0f} s", flush=True)
    return time.perf_counter() - start


def describe_size(warehouse: Engine) -> str:
    table = "database = currentDatabase() AND active"
    parts = run_statement(warehouse, f"SELECT count(), sum(rows), sum(bytes_on_disk) FROM system.parts WHERE {table}")
    kept = run_statement(
        warehouse,
        f"SELECT name, sum(rows), sum(bytes_on_disk) FROM system.projection_parts WHERE {table} GROUP BY name",
    )
    lines = [f"{parts[0][1]:,} rows in {parts[0][0]} parts, {parts[0][2] / 2**20:,.0f} MiB with projections"]
    lines += [f"  {name}: {rows:,} rows, {size / 2**20:,.0f} MiB" for name, rows, size in sorted(map(tuple, kept))]
    return "\n".join(lines)


def time_question(question: Question, warehouse: Engine, runs: int, rival_runs: int) -> str:
    """Time one question with and without projections and write a line of figures."""
    ours = measure(partial(question.ask, warehouse), runs)
    raw = measure(partial(question.ask_rows, warehouse), rival_runs, warm_up=1)
    bar = BARS_MS[question.span]
    met = "met" if ours.p95 * 1000 <= bar else "MISSED"
    return (
        f"{question.name:20} {question.span:13} best {ours.best * 1000:6.1f} ms  p50 {ours.median * 1000:6.1f} ms  "
        f"p95 {ours.p95 * 1000:6.1f} ms  "
        f"(bar {bar}: {met})  " + ratio_line("p50", ours.median * 1000, "the rows", raw.median * 1000, "ms")
    )


def compare(warehouse: Engine, rows: int, runs: int, rival_runs: int) -> None:
    """Fill the warehouse where it is empty, then time every question."""
    prepare_fact_table(warehouse, PIPELINE.fact_table, PIPELINE.zone)
    if not run_statement(warehouse, "SELECT count() FROM patrol_events")[0][0]:
        print(f"built in {build(warehouse, rows):.0f} s")
    print(describe_size(warehouse))
    empty = measure(partial(query_df, warehouse, "SELECT 1"), runs)
    print(f"SELECT 1, for comparison: best {empty.best * 1000:.1f} ms  p95 {empty.p95 * 1000:.1f} ms")
    for question in questions():
        print(time_question(question, warehouse, runs, rival_runs), flush=True)


def main(arguments: list[str] | None = None) -> None:
    given = parse_arguments(
        __doc__,
        arguments,
        runs=40,
        rows=(50_000_000, "synthetic events over ten years"),
        rival_runs=(3, "measured runs of each rival"),
    )
    with open_stand(given.state) as stand, stand.kept_warehouse(f"ten_years_{given.rows}") as warehouse:
        compare(warehouse, given.rows, given.runs, given.rival_runs)


if __name__ == "__main__":
    main()
