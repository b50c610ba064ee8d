"""What a fact table's events are broken down by: which of its columns is the station, the place, the person."""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass, field

__all__ = ["CITY", "ROLES", "Dimensions"]

# What a report and a question may ask for, by its role; the words of `Dimensions` say which column it is.
ROLES = ("station", "place", "person", "outing", "latitude", "longitude", "arrival")


@dataclass(frozen=True)
class Dimensions:
    """The columns by which reports, gates and questions break events down, as the sample city calls them.

    ``station``    where the work is sent out from: a station, a ward, a branch
    ``place``      where events happen: a hotspot, a bed, a shop
    ``person``     who reports them
    ``outing``     what people were out on: a patrol, a tour, a shift
    ``latitude``, ``longitude``  degrees, WGS 84
    ``arrival``    when the row arrived in the source, an instant
    ``words``      column → what people call it; made of the column's name where it is not said: ward_id is a ward

    A fact table need have none of them: what would need it is left out, and says so.
    """

    station: str = "station_id"
    place: str = "hotspot_id"
    person: str = "officer_id"
    outing: str = "patrol_id"
    latitude: str = "latitude"
    longitude: str = "longitude"
    arrival: str = "received_at"
    words: Mapping[str, str] = field(default_factory=dict, hash=False)

    def found_in(self, columns: Container[str]) -> dict[str, str]:
        """Give role → column, of those that are among the columns."""
        return {role: self.column(role) for role in ROLES if self.column(role) in columns}

    def column(self, role: str) -> str:
        """Name the column of a role; any other name is a column's own."""
        return str(getattr(self, role)) if role in ROLES else role

    def word(self, column: str) -> str:
        """Give the word for what a column tells apart."""
        return self.words.get(column) or column.removesuffix("_id").replace("_", " ")

    @property
    def named(self) -> dict[str, str]:
        """Give role → column, of those that are not called as the sample city calls them."""
        return {role: self.column(role) for role in ROLES if self.column(role) != getattr(CITY, role)}


# The sample city's names, which any pipeline has that says no others.
CITY = Dimensions()
