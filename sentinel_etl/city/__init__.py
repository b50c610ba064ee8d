"""A sample city of night patrols: deterministic rows for the source, and their way into PostgreSQL.

Generation is pure and follows from ``City`` and a date; only ``loading`` touches a database.
"""

from __future__ import annotations

from sentinel_etl.city.loading import create_source_tables, load_city, load_night, load_nights
from sentinel_etl.city.night import night_tables
from sentinel_etl.city.places import City, city_tables
from sentinel_etl.city.vocabulary import EMERGENCY_CATEGORIES

__all__ = [
    "EMERGENCY_CATEGORIES",
    "City",
    "city_tables",
    "create_source_tables",
    "load_city",
    "load_night",
    "load_nights",
    "night_tables",
]
