"""The presentation layer's views: what each reads, and its statement, a template under ``sql/views``.

Every statement is made of two parts, because an aggregate of a whole night can be read from a
projection and a night that the question cuts in two cannot::

    whole nights (projection)  UNION ALL  the cut nights' rows up to the cut  →  one sum

A ``{name:Type}`` is a parameter: ClickHouse's own in a view, a literal in `presentation`.
https://clickhouse.com/docs/sql-reference/statements/create/view#parameterized-view
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from clickhouse_sqlalchemy import Table

from sentinel_etl.config.dimensions import CITY, Dimensions
from sentinel_etl.warehouse.ddl import quote_identifier
from sentinel_etl.warehouse.decay import NEGLIGIBLE_HALF_LIVES
from sentinel_etl.warehouse.key_columns import key_columns
from sentinel_etl.warehouse.projections import (
    CELL_RESOLUTION,
    HOTSPOT_NIGHTS,
    INCIDENT_CELLS,
    OFFICER_NIGHTS,
    STATION_NIGHTS,
    Projection,
)
from sentinel_etl.warehouse.render import render_sql
from sentinel_etl.window import CITY_ZONE, NIGHT_STARTS, shift_date_of

__all__ = [
    "FALSE_DISCOVERY_RATE",
    "FEWEST_INCIDENTS",
    "FEWEST_WEEKS",
    "LATITUDE_FIRST",
    "MOST_SCATTER",
    "REFERENCE_WEEKS",
    "VIEWS",
    "Terms",
    "readable_views",
    "view_statement",
]


# Weeks that emerging_threats compares with: two months, long enough for counts to show how far they scatter,
# short enough for the season to be the same.
REFERENCE_WEEKS = 8

# Weeks from which on it speaks: one alone does not tell how far counts scatter.
FEWEST_WEEKS = 2

# Incidents of a cell in all these weeks and the last, from which on it is judged. With fewer no count of the last
# week can be named among a thousand cells: 9^-4 is above 0.25 / 1,000. The sum says nothing of which week they fell in,
# so that choosing by it leaves the error rates as they are.
FEWEST_INCIDENTS = 5

# Share of the named cells that chance alone explains, at most, in the mean of many mornings: the convention for lists
# of which each entry will be looked at (Subramanian et al., PNAS 102, 2005, 15545-15550). In a steady city this is
# less than one cell in two mornings; `benchmarks.emerging` prints what other shares would give.
FALSE_DISCOVERY_RATE = 0.25

# Times Poisson's variance: the most that one cell counts for when the scatter usual for the city, and how far cells
# differ in it, are worked out, so that a place that has swelled in the weeks before does not excuse all others. Of
# cells that scatter as Poisson's or half as far again, hardly one passes it.
MOST_SCATTER = 8.0

# Whether the server's geoToH3 takes latitude first: what h3.latlng_to_cell(10, 20, 0) returns.
LATITUDE_FIRST = "geoToH3(10., 20., 0) = 0x806BFFFFFFFFFFF"

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Terms:
    """What a statement is reckoned from: worked out by itself in a view, and known in one question.

    A server plans a question for longer than it computes it, and the longer, the more there is to fold.
    """

    zone: ZoneInfo = CITY_ZONE
    as_of: datetime | None = None  # None: the view's parameter
    latitude_first: bool | None = None  # how the server's geoToH3 takes a place; None: the statement finds out
    resolution: int | None = None  # of the cells asked for; None: the view's parameter

    def named(self) -> dict[str, object]:
        """Name the terms for a template.

        Where ``as_of`` is known, so are ``as_of_us``, the same in microseconds since 1970, and
        ``cut_nights``, which hold it and the instants whole weeks before it, the latest first.
        """
        names: dict[str, object] = {
            "zone": self.zone.key,
            "as_of": self.as_of,
            "latitude_first": self.latitude_first,
            "resolution": self.resolution,
        }
        if self.as_of is not None:
            moment = self.as_of.astimezone(UTC)
            cuts = [moment - timedelta(weeks=back) for back in range(REFERENCE_WEEKS + 2)]
            names["as_of_us"] = (moment - EPOCH) // timedelta(microseconds=1)
            names["cut_nights"] = [shift_date_of(cut, self.zone) for cut in cuts]
        return names


# The projection that has each view's whole nights. It tells, too, what the view needs of the fact table: the cut
# nights are summed from the columns of which the projection is made.
VIEWS: dict[str, Projection] = {
    "hotspot_risk": HOTSPOT_NIGHTS,
    "station_activity": STATION_NIGHTS,
    "officer_activity": OFFICER_NIGHTS,
    "incident_heatmap": INCIDENT_CELLS,
    "emerging_threats": INCIDENT_CELLS,
}


def view_statement(name: str, fact_table: Table, terms: Terms | None = None, dimensions: Dimensions = CITY) -> str:
    """Write the SELECT of a view, with ClickHouse's own ``{name:Type}`` parameters for what is not known."""
    return render_sql(
        "sentinel_etl.warehouse",
        f"views/{name}",
        table=quote_identifier(fact_table.name),
        **key_columns(fact_table, dimensions),
        **(terms or Terms()).named(),
        night_starts=NIGHT_STARTS.hour,
        negligible_half_lives=NEGLIGIBLE_HALF_LIVES,
        cell_resolution=CELL_RESOLUTION,
        takes_latitude_first=LATITUDE_FIRST,
        reference_weeks=REFERENCE_WEEKS,
        fewest_weeks=FEWEST_WEEKS,
        fewest_incidents=FEWEST_INCIDENTS,
        false_discovery_rate=FALSE_DISCOVERY_RATE,
        most_scatter=MOST_SCATTER,
    )


def readable_views(fact_table: Table, dimensions: Dimensions = CITY) -> list[str]:
    """Name the views that the fact table has the columns for."""
    return [name for name, projection in VIEWS.items() if not projection.find_unfit(fact_table, dimensions)]
