"""The presentation layer's SQL, written once: parameterized views, and what `presentation` runs.

Every statement is made of two parts, because an aggregate of a whole night can be read from a
projection and a night that the question cuts in two cannot::

    whole nights (projection)  UNION ALL  the cut nights' rows up to the cut  →  one sum

A ``{name:Type}`` is a parameter: ClickHouse's own in a view, a literal in `presentation`.
https://clickhouse.com/docs/sql-reference/statements/create/view#parameterized-view
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from clickhouse_sqlalchemy import Table

from sentinel_etl.warehouse.ddl import quote_identifier
from sentinel_etl.warehouse.decay import NEGLIGIBLE_HALF_LIVES
from sentinel_etl.warehouse.projections import (
    CELL_RESOLUTION,
    DISTINCT_NIGHTS,
    DISTINCT_OFFICERS,
    DISTINCT_PATROLS,
    HOTSPOT_NIGHTS,
    INCIDENT_CELLS,
    IS_INCIDENT,
    OFFICER_NIGHTS,
    STATION_NIGHTS,
    Projection,
    cell,
    folded_risk,
)
from sentinel_etl.window import CITY_ZONE, NIGHT_STARTS, shift_date_of

__all__ = [
    "LATITUDE_FIRST",
    "REFERENCE_WEEKS",
    "SMALLEST_SPREAD",
    "VIEWS",
    "Terms",
    "View",
    "readable_views",
    "view_statement",
]


AS_OF = "{as_of:DateTime64(6, 'UTC')}"
HALF_LIFE = "{half_life_hours:Float64}"
SINCE = "{since:Date}"
RESOLUTION = "{resolution:UInt8}"
LIMIT = "{limit:UInt32}"

# Weeks that emerging_threats compares with: two months, long enough for a spread to mean something,
# short enough for the season to be the same.
REFERENCE_WEEKS = 8

# Risk points, added to nothing: the least spread that a place's weeks are taken to have. Below five
# routine remarks a difference between two weeks is chance, however even the weeks before were.
SMALLEST_SPREAD = 5.0

WEEK_MICROSECONDS = 7 * 24 * 3_600_000_000
WEEK_HOURS = 7 * 24

# What h3.latlng_to_cell(10, 20, 0) returns. geoToH3 took longitude first before 25.5, and does so
# where geotoh3_argument_order says; the server works this out once per statement, not per row.
# https://clickhouse.com/docs/sql-reference/functions/geo/h3#geotoh3
CELL_OF_10_NORTH_20_EAST = 0x806BFFFFFFFFFFF
LATITUDE_FIRST = f"geoToH3(10., 20., 0) = {CELL_OF_10_NORTH_20_EAST}"
SOME_CELL = 0x8960145B487FFFF  # of resolution 9

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Columns = Mapping[str, str]


def night_of(instant: str, zone: ZoneInfo) -> str:
    """Write the shift_date of an instant: its local date, or the day before it ahead of 06:00."""
    local = f"toTimeZone({instant}, '{zone.key}')"
    return f"toDate({local}) - (toHour({local}) < {NIGHT_STARTS.hour})"


@dataclass(frozen=True)
class Terms:
    """What a statement is reckoned from: worked out by itself in a view, and known in one question.

    A server plans a question for longer than it computes it, and the longer, the more there is to fold.
    """

    zone: ZoneInfo = CITY_ZONE
    as_of: datetime | None = None  # None: the view's parameter
    latitude_first: bool | None = None  # how the server's geoToH3 takes a place; None: the statement finds out
    resolution: int | None = None  # of the cells asked for; None: the view's parameter

    def constants(self, weeks: int = 0) -> str:
        """Write what is worked out once.

        ``asked_at``; ``asked_us``, the same in microseconds since 1970; ``cut_nights``, which hold
        ``asked_at`` and the instants whole weeks before it.
        """
        if self.as_of is None:
            night = night_of("asked_at - toIntervalWeek(weeks)", self.zone)
            return (
                f"WITH {AS_OF} AS asked_at, toUnixTimestamp64Micro(asked_at) AS asked_us, "
                f"arrayMap(weeks -> {night}, range({weeks + 1})) AS cut_nights"
            )
        moment = self.as_of.astimezone(UTC)
        cuts = [moment - timedelta(weeks=back) for back in range(weeks + 1)]
        nights = ", ".join(f"toDate('{shift_date_of(cut, self.zone)}')" for cut in cuts)
        return (
            f"WITH toDateTime64('{moment:%Y-%m-%d %H:%M:%S.%f}', 6, 'UTC') AS asked_at, "
            f"{(moment - EPOCH) // timedelta(microseconds=1)} AS asked_us, "
            f"[{nights}] AS cut_nights"
        )

    def cell_of_event(self) -> str:
        """Write the H3 cell in the resolution asked for, or in the finer one of which that is made."""
        resolution = f"greatest({CELL_RESOLUTION}, {RESOLUTION})"
        right, swapped = cell(resolution), cell(resolution, "longitude", "latitude")
        if self.latitude_first is None:
            return f"if({LATITUDE_FIRST}, {right}, {swapped})"
        return right if self.latitude_first else swapped

    def cell_of_nights(self) -> str:
        """Write the H3 cell in the resolution asked for, of the row of ``nights``.

        Coarser cells are parents in H3's own hierarchy: a child may reach a little over its parent's edge.
        https://h3geo.org/docs/highlights/indexing
        h3ToParent raises also on what stands behind a NULL, so that is given some cell first.
        """
        if self.resolution is not None and self.resolution >= CELL_RESOLUTION:
            return "nights.cell"
        return (
            f"if(isNull(nights.cell), NULL, if({RESOLUTION} >= {CELL_RESOLUTION}, assumeNotNull(nights.cell), "
            f"h3ToParent(ifNull(nights.cell, {SOME_CELL}), least({RESOLUTION}, {CELL_RESOLUTION}))))"
        )


def first_decayed_night(weeks: int) -> str:
    """Write the first night that is not negligible, seen from that many weeks before ``as_of``."""
    days = f"toInt32(ceil(least({NEGLIGIBLE_HALF_LIVES} * {HALF_LIFE} / 24, 60000)))"
    return f"toDate(greatest(0, toInt32(toDate(asked_at)) - {2 + 7 * weeks} - {days}))"


@dataclass(frozen=True)
class Nights:
    """The sums of every night up to ``as_of``, from a projection where the night is whole.

    ``weeks``: how many instants, each a week before the next, cut a night besides ``as_of`` itself.
    """

    table: str
    keys: Columns
    sums: Columns
    first: str
    where: str = "1"
    weeks: int = 0

    @property
    def sql(self) -> str:
        # A row of a cut night belongs to the week on its own side of the cut.
        by_week = [week_of("event_timestamp", self.weeks)] if self.weeks else []
        return (
            f"{self.select('shift_date < cut_nights[1] AND NOT has(cut_nights, shift_date)', [])} UNION ALL "
            f"{self.select('has(cut_nights, shift_date) AND event_timestamp <= asked_at', by_week)}"
        )

    def select(self, condition: str, more_keys: Sequence[str]) -> str:
        columns = ", ".join(f"{expression} AS {name}" for name, expression in {**self.keys, **self.sums}.items())
        return (
            f"SELECT {columns} FROM {self.table} WHERE {self.where} AND shift_date >= {self.first} "
            f"AND {condition} GROUP BY {', '.join([*self.keys, *more_keys])}"
        )


def week_of(instant: str, oldest: int) -> str:
    """Write how many whole weeks before ``as_of`` an instant lies; at most ``oldest``."""
    return f"least({oldest}, intDiv(asked_us - toUnixTimestamp64Micro({instant}), {WEEK_MICROSECONDS}))"


def risk_at_week() -> str:
    """Write a night's decayed risk at the end of its ``week``, which keeps every power of two below 1."""
    hours = "(asked_us - toInt64(nights.shift_date) * 86400000000) / 3600000000"
    return f"nights.folded * exp2(({WEEK_HOURS} * week - {hours}) / {HALF_LIFE})"


def risk_by_week(weeks: int) -> str:
    """Write the risk at ``as_of`` and so many weeks before it, summed over rows of ``week`` and ``risk``."""
    decayed = f"nights.risk * exp2({WEEK_HOURS} * (before - nights.week) / {HALF_LIFE})"
    return f"sumForEach(arrayMap(before -> if(nights.week >= before, {decayed}, 0), range({weeks + 1})))"


def written(h3_cell: str) -> str:
    """Write a cell as the h3 library does: 15 hexadecimal digits, because a cell's first one is 0.

    `h3ToString` raises on what stands behind a NULL.
    """
    return f"substring(lower(hex({h3_cell})), 2)"


COUNTS = {"events": "count()", "risk_points": "sum(base_risk_score)", "last_event": "max(event_timestamp)"}
FOLDED = {"folded": folded_risk(HALF_LIFE)}
SUMMED = "sum(nights.events) AS events, sum(nights.risk_points) AS risk_points, max(nights.last_event) AS last_event"
# The mean place of a cell's events, which marks it better than its middle does.
POSITIONS = {"north": "avg(latitude)", "east": "avg(longitude)"}
POSITION = (
    "sum(nights.north * nights.events) / sum(nights.events) AS latitude, "
    "sum(nights.east * nights.events) / sum(nights.events) AS longitude"
)


def hotspot_risk(table: str, terms: Terms) -> str:
    nights = Nights(
        table,
        keys={"shift_date": "shift_date", "station_id": "station_id", "hotspot_id": "hotspot_id"},
        sums=COUNTS | FOLDED,
        first=f"greatest({SINCE}, {first_decayed_night(1)})",
        where="hotspot_id IS NOT NULL",
        weeks=1,
    )
    # A night between two cuts lies in one week, so that of its last event is that of all of them.
    decayed = (
        f"SELECT nights.*, {week_of('nights.last_event', 1)} AS week, {risk_at_week()} AS risk "
        f"FROM ({nights.sql}) AS nights"
    )
    return (
        f"{terms.constants(1)} SELECT nights.hotspot_id AS hotspot_id, "
        "argMax(nights.station_id, (nights.last_event, nights.station_id)) AS station_id, "
        f"({risk_by_week(1)} AS risks)[1] AS risk, risks[2] AS risk_week_before, "
        "risk - risk_week_before AS change, "
        f"{SUMMED} FROM ({decayed}) AS nights GROUP BY nights.hotspot_id ORDER BY risk DESC, hotspot_id"
    )


def station_activity(table: str, terms: Terms) -> str:
    kept = {"nights": DISTINCT_NIGHTS, "patrols": DISTINCT_PATROLS, "officers": DISTINCT_OFFICERS}
    nights = Nights(table, keys={"station_id": "station_id"}, sums=COUNTS | kept, first=SINCE)
    return (
        f"{terms.constants()} SELECT nights.station_id AS station_id, "
        "groupBitmapMerge(nights.nights) AS nights_active, groupBitmapMerge(nights.patrols) AS patrols, "
        f"groupBitmapMerge(nights.officers) AS officers, {SUMMED} "
        f"FROM ({nights.sql}) AS nights GROUP BY nights.station_id ORDER BY risk_points DESC, station_id"
    )


def officer_activity(table: str, terms: Terms) -> str:
    keys = {"station_id": "station_id", "officer_id": "officer_id"}
    nights = Nights(table, keys, sums=COUNTS | {"patrols": DISTINCT_PATROLS}, first=SINCE)
    return (
        f"{terms.constants()} SELECT nights.officer_id AS officer_id, "
        "argMax(nights.station_id, (nights.last_event, nights.station_id)) AS station_id, "
        f"groupBitmapMerge(nights.patrols) AS patrols, {SUMMED} "
        f"FROM ({nights.sql}) AS nights GROUP BY nights.officer_id ORDER BY events DESC, officer_id"
    )


def incident_heatmap(table: str, terms: Terms) -> str:
    nights = Nights(table, {"cell": terms.cell_of_event()}, COUNTS | POSITIONS, first=SINCE, where=IS_INCIDENT)
    asked = terms.cell_of_nights()
    return (
        f"{terms.constants()} SELECT {written(asked)} AS cell, {POSITION}, {SUMMED} FROM ({nights.sql}) AS nights "
        f"GROUP BY {asked} ORDER BY isNull(cell), risk_points DESC, cell"
    )


def emerging_threats(table: str, terms: Terms) -> str:
    nights = Nights(
        table,
        keys={"shift_date": "shift_date", "cell": terms.cell_of_event()},
        sums=COUNTS | POSITIONS | FOLDED,
        first=first_decayed_night(REFERENCE_WEEKS),
        where=IS_INCIDENT,
        weeks=REFERENCE_WEEKS,
    )
    weeks = (
        f"SELECT {terms.cell_of_nights()} AS cell, {week_of('nights.last_event', REFERENCE_WEEKS)} AS week, "
        f"sum({risk_at_week()}) AS risk, {POSITION}, {SUMMED} "
        f"FROM ({nights.sql}) AS nights WHERE isNotNull(nights.cell) GROUP BY cell, week"
    )
    first_night = f"toInt32((SELECT min(shift_date) FROM {table}))"
    known = f"least({REFERENCE_WEEKS}, intDiv(toInt32(cut_nights[1]) - 1 - {first_night}, 7))"
    cells = (
        f"SELECT nights.cell AS cell, {risk_by_week(REFERENCE_WEEKS)} AS weeks, weeks[1] AS risk_now, "
        f"arraySlice(weeks, 2, greatest(0, {known})) AS weeks_before, "
        "arrayAvg(weeks_before) AS expected, "
        "sqrt(arraySum(x -> pow(x - expected, 2), weeks_before) / greatest(1, length(weeks_before) - 1)) AS spread, "
        "argMin(nights.latitude, nights.week) AS north, argMin(nights.longitude, nights.week) AS east, "
        "sumIf(nights.events, nights.week = 0) AS events_week, max(nights.last_event) AS latest "
        f"FROM ({weeks}) AS nights GROUP BY nights.cell"
    )
    return (
        f"{terms.constants(REFERENCE_WEEKS)} "
        f"SELECT {written('cells.cell')} AS cell, north AS latitude, east AS longitude, "
        "risk_now AS risk, expected, spread, "
        f"(risk - expected) / greatest(spread, {SMALLEST_SPREAD}) AS surprise, length(weeks_before) AS weeks, "
        f"events_week AS events, latest AS last_event FROM ({cells}) AS cells WHERE length(weeks_before) > 0 "
        f"AND risk_now > expected ORDER BY surprise DESC, cell LIMIT {LIMIT}"
    )


@dataclass(frozen=True)
class View:
    """A statement's writer, and the projection that has its whole nights."""

    write: Callable[[str, Terms], str]
    projection: Projection

    @property
    def reads(self) -> frozenset[str]:
        """The fact columns that the statement needs: for the cut nights those of which the projection is made."""
        return self.projection.reads


VIEWS: dict[str, View] = {
    "hotspot_risk": View(hotspot_risk, HOTSPOT_NIGHTS),
    "station_activity": View(station_activity, STATION_NIGHTS),
    "officer_activity": View(officer_activity, OFFICER_NIGHTS),
    "incident_heatmap": View(incident_heatmap, INCIDENT_CELLS),
    "emerging_threats": View(emerging_threats, INCIDENT_CELLS),
}


def view_statement(name: str, fact_table: Table, terms: Terms | None = None) -> str:
    """Write the SELECT of a view, with ClickHouse's own ``{name:Type}`` parameters for what is not known."""
    return VIEWS[name].write(quote_identifier(fact_table.name), terms or Terms())


def readable_views(fact_table: Table) -> list[str]:
    """Name the views that the fact table has the columns for."""
    return [name for name, view in VIEWS.items() if view.reads <= set(fact_table.columns.keys())]
