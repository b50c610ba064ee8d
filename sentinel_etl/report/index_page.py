"""Renders the runs index: a calendar of nights and a table of runs, one page that needs nothing else."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import groupby
from typing import NamedTuple
from urllib.parse import quote
from zoneinfo import ZoneInfo

from sentinel_etl.ledger.archive import ArchivedRun
from sentinel_etl.ledger.nights import NIGHT_MARKS, NIGHT_STATES, NightCoverage, list_shown
from sentinel_etl.report.render import render_template

__all__ = ["Measure", "render_index"]


SPARK_NIGHTS = 14  # up to a run's night, in its row: two of each weekday
TREND_NIGHTS = 91  # in the two charts: a quarter, still a line and not a smear at a phone's width


class Cell(NamedTuple):
    """A day of the calendar, and the id of the row that it leads to; no night: outside what is shown."""

    day: date
    night: NightCoverage | None
    row: str


@dataclass(frozen=True)
class Measure:
    """What a night holds: events, and the mean score (risk points) of those that score at all."""

    events: int
    risk: float | None


@dataclass(frozen=True)
class Spark:
    """A line over nights, drawn: ``lines`` between gaps and the last night's ``dot``, in SVG units."""

    lines: tuple[str, ...]
    dot: tuple[float, float] | None
    lowest: float | None
    highest: float | None
    last: float | None


def render_index(
    runs: Sequence[ArchivedRun],
    nights: Sequence[NightCoverage],
    measures: Mapping[date, Measure],
    written_at: datetime,
    zone: ZoneInfo,
    under_way: Sequence[NightCoverage] = (),
) -> str:
    """Render the page. ``runs`` come newest first; ``nights`` in order, the last one is last night.

    ``under_way``: the night after it, where a part of it is loaded; the calendar alone shows it.
    """
    days = [night.shift_date for night in nights]
    events = {day: float(measures[day].events) if day in measures else None for day in days}
    risk = {day: measures[day].risk if day in measures else None for day in days}
    return render_template(
        "index_page.html.j2",
        csp_hash=csp_hash,
        row_id=row_id,
        href=quote,
        last=nights[-1],
        last_measure=measures.get(days[-1]),
        last_row=row_of(nights[-1]),
        months=list(calendar_months([*nights, *under_way])),
        counts={state: sum(night.state == state for night in [*nights, *under_way]) for state in NIGHT_MARKS},
        marks=NIGHT_MARKS,
        legend=list_shown([*nights, *under_way]),
        verdict_states=NIGHT_STATES,
        rows=list(table_rows(runs, nights)),
        measures=measures,
        event_sparks=spark_by_night(events, from_zero=True),
        risk_sparks=spark_by_night(risk, from_zero=True),
        trend_nights=len(days[-TREND_NIGHTS:]),
        trend_from=days[-TREND_NIGHTS:][0],
        event_trend=draw_trend(list(events.values())[-TREND_NIGHTS:], 600, 90, from_zero=True),
        risk_trend=draw_trend(list(risk.values())[-TREND_NIGHTS:], 600, 90, from_zero=True),
        written_at=written_at.astimezone(zone),
    )


def csp_hash(inline: str) -> str:
    """Name an inline script or style in a Content-Security-Policy, so that no other one runs.

    https://www.w3.org/TR/CSP3/#grammardef-hash-source
    """
    return "sha256-" + base64.b64encode(hashlib.sha256(str(inline).encode()).digest()).decode()


def row_id(name: str) -> str:
    """Make an id of a run id, which a user may have chosen."""
    return "run-" + re.sub(r"[^A-Za-z0-9_-]", "-", name)


def row_of(night: NightCoverage) -> str:
    """Name the row that a night's cell leads to."""
    return row_id(night.run.run_id) if night.run else f"missing-{night.shift_date}"


def calendar_months(nights: Sequence[NightCoverage]) -> Iterator[tuple[date, list[list[Cell | None]]]]:
    """Lay the nights out by month, in weeks from Monday; None pads a week."""
    known = {night.shift_date: night for night in nights}
    for _, month in groupby(known, key=lambda day: (day.year, day.month)):
        days = list(month)
        first = days[0].replace(day=1)
        after = (first + timedelta(days=31)).replace(day=1)
        cells: list[Cell | None] = [None] * first.weekday()
        for day in (first + timedelta(days=number) for number in range((after - first).days)):
            night = known.get(day)
            cells.append(Cell(day, night, row_of(night) if night else ""))
        cells += [None] * (-len(cells) % 7)
        weeks = [cells[week : week + 7] for week in range(0, len(cells), 7)]
        yield first, [week for week in weeks if any(cell and cell.night for cell in week)]


def table_rows(
    runs: Sequence[ArchivedRun], nights: Sequence[NightCoverage]
) -> Iterator[tuple[ArchivedRun | None, list[date], str]]:
    """Give a row for each run and for each stretch of nights without one, the newest night first."""
    rows: list[tuple[date, int, ArchivedRun | None, list[date]]] = [
        (run.last_night, -index, run, []) for index, run in enumerate(runs)
    ]
    stretches = groupby(enumerate(nights), key=lambda item: item[1].run is None)
    for is_missing, stretch in stretches:
        if is_missing:
            days = [night.shift_date for _, night in stretch]
            rows.append((days[-1], 1, None, days))
    last = nights[-1].shift_date
    for _, _, run, days in sorted(rows, key=lambda row: row[:2], reverse=True):
        if run is not None:
            yield run, [], run.redo
        elif days == [last]:
            yield None, days, "sentinel-etl run"
        else:
            yield None, days, f"sentinel-etl backfill --from {days[0]} --to {days[-1]} --missing-only"


def spark_by_night(values: Mapping[date, float | None], *, from_zero: bool = False) -> dict[date, Spark]:
    """Draw, for each night, the line of the nights up to it; all of them on one scale."""
    heights = list(values.values())
    known = [height for height in heights if height is not None]
    scale = (min(known, default=0.0), max(known, default=0.0))
    upto = {day: heights[max(0, index - SPARK_NIGHTS) : index] for index, day in enumerate(values, start=1)}
    return {day: draw_trend(shown, 84, 20, scale, from_zero=from_zero) for day, shown in upto.items()}


def draw_trend(
    values: Sequence[float | None],
    width: int,
    height: int,
    scale: tuple[float, float] | None = None,
    *,
    from_zero: bool = False,
) -> Spark:
    """Draw a line over equally spaced values; a value that is None leaves a gap."""
    known = [value for value in values if value is not None]
    if not known:
        return Spark((), None, None, None, None)
    low, high = scale or (min(known), max(known))
    low = 0.0 if from_zero else low
    margin = 3
    step = (width - 2 * margin) / max(1, len(values) - 1)
    start = width - margin - step * (len(values) - 1)

    def point(index: int, value: float) -> tuple[float, float]:
        share = (value - low) / (high - low) if high > low else 0.5
        return round(start + index * step, 1), round(height - margin - share * (height - 2 * margin), 1)

    lines = []
    for gap, stretch in groupby(enumerate(values), key=lambda item: item[1] is None):
        if not gap:
            points = [point(index, value) for index, value in stretch if value is not None]
            # A lone night between gaps is drawn as a short dash.
            points += [(points[0][0] + 1, points[0][1])] if len(points) == 1 else []
            lines.append(" ".join(f"{x:g},{y:g}" for x, y in points))
    last = values[-1]
    dot = point(len(values) - 1, last) if last is not None else None
    return Spark(tuple(lines), dot, min(known), max(known), last)
