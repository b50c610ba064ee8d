"""The city that stays: its stations, officers, vehicles and hotspots."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa

from sentinel_etl.city.randomness import Floats, Ints, Stream, draw, generator
from sentinel_etl.city.vocabulary import HOTSPOT_NAMES, NAMES_BY_SCRIPT, PLATE_LETTERS, STATION_NAMES
from sentinel_etl.errors import ConfigurationError

__all__ = ["METRES_PER_DEGREE", "City", "Places", "city_tables", "full_names", "lay_out"]

CENTRE_LATITUDE, CENTRE_LONGITUDE = 12.97, 77.59
# Metres per degree of latitude, and of longitude at the city's latitude: the city is small enough
# for a flat map, so distances need no spherical terms.
METRES_PER_DEGREE = (110_630.0, 108_500.0)
CITY_RADIUS_M = 9_000.0
BEAT_RADIUS_M = (400.0, 2_200.0)
GOLDEN_ANGLE = np.pi * (3 - np.sqrt(5))


@dataclass(frozen=True)
class City:
    """The parameters that a city follows from; two equal cities have equal rows.

    Raises:
        ConfigurationError: a count outside its range, a negative seed or an unknown time zone.
    """

    seed: int = 20
    timezone: str = "Asia/Kolkata"
    stations: int = 12
    officers_per_station: int = 25
    vehicles_per_station: int = 6
    hotspots_per_station: int = 10

    def __post_init__(self) -> None:
        # Upper bounds keep the arithmetic ids of one station apart from the next one's.
        ranges = {
            "seed": (0, 2**31),
            "stations": (1, 999),
            "officers_per_station": (1, 999),
            "vehicles_per_station": (1, 99),
            "hotspots_per_station": (1, 99),
        }
        for name, (lowest, highest) in ranges.items():
            value = getattr(self, name)
            if not lowest <= value <= highest:
                raise ConfigurationError(f"City.{name}: expected {lowest} to {highest}, found {value}")
        try:
            ZoneInfo(self.timezone)
        except (KeyError, ValueError, OSError):
            raise ConfigurationError(
                f"City.timezone: expected an IANA zone such as Asia/Kolkata, found {self.timezone!r}"
            ) from None

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.timezone)


@dataclass(frozen=True)
class Places:
    """Where things are. Stations by ``[s]``, a station's hotspots by ``[s, h]``.

    Positions are degrees. ``unrest`` is how bad a hotspot is in the long run (1 is ordinary).
    A station's hotspots go round it by bearing, so a run of indices is a sensible route.
    """

    station_lat: Floats
    station_lon: Floats
    hotspot_lat: Floats
    hotspot_lon: Floats
    unrest: Floats

    def station_id(self, station: Ints) -> Ints:
        return station + 1

    def officer_id(self, station: Ints, officer: Ints) -> Ints:
        return (station + 1) * 1_000 + officer + 1

    def vehicle_id(self, station: Ints, vehicle: Ints) -> Ints:
        return (station + 1) * 100 + vehicle + 1

    def hotspot_id(self, station: Ints, hotspot: Ints) -> Ints:
        return (station + 1) * 100 + hotspot + 1


@lru_cache(maxsize=8)
def lay_out(city: City) -> Places:
    """Place the stations over the city and each station's hotspots around it."""
    rng = generator(Stream.PLACES, city.seed)
    north, east = METRES_PER_DEGREE
    index = np.arange(city.stations)
    shape = (city.stations, city.hotspots_per_station)

    # A sunflower's spacing: even cover for any number of stations.
    radius = CITY_RADIUS_M * np.sqrt((index + 0.5) / city.stations) * (0.93 + 0.14 * rng.random(city.stations))
    bearing = index * GOLDEN_ANGLE + 0.3 * rng.random(city.stations)
    station_lat = np.round(CENTRE_LATITUDE + radius * np.cos(bearing) / north, 6)
    station_lon = np.round(CENTRE_LONGITUDE + radius * np.sin(bearing) / east, 6)

    distance = BEAT_RADIUS_M[0] + (BEAT_RADIUS_M[1] - BEAT_RADIUS_M[0]) * rng.random(shape)
    around = 2 * np.pi * (np.arange(shape[1]) + 0.7 * rng.random(shape)) / shape[1]
    unrest = np.exp(0.35 * rng.standard_normal(shape))
    # Every station knows its worst corner; at every third one it is notorious.
    unrest[:, 0] = np.where(index % 3 == 0, 4.5, 2.0)
    return Places(
        station_lat,
        station_lon,
        np.round(station_lat[:, None] + distance * np.cos(around) / north, 6),
        np.round(station_lon[:, None] + distance * np.sin(around) / east, 6),
        unrest,
    )


@lru_cache(maxsize=1)
def full_names() -> tuple[str, ...]:
    """List every full name of every script, in the vocabulary's order."""
    return tuple(
        f"{given} {family}" for givens, families in NAMES_BY_SCRIPT.values() for given in givens for family in families
    )


def city_tables(city: City) -> dict[str, pa.Table]:
    """Generate the static tables: stations, officers, vehicles and hotspots.

    Each table has exactly its model's columns. Ids follow from position: officer 7 of station 3
    is 3007, its hotspot 2 is 302.
    """
    return {
        "stations": _stations(city),
        "officers": _officers(city),
        "vehicles": _vehicles(city),
        "hotspots": _hotspots(city),
    }


def _stations(city: City) -> pa.Table:
    places = lay_out(city)
    turns = [divmod(s, len(STATION_NAMES)) for s in range(city.stations)]
    names = [STATION_NAMES[i] + (f" {turn + 1}" if turn else "") for turn, i in turns]
    return pa.table(
        {
            "station_id": places.station_id(np.arange(city.stations)),
            "name": names,
            "latitude": places.station_lat,
            "longitude": places.station_lon,
        }
    )


def _officers(city: City) -> pa.Table:
    places, names = lay_out(city), full_names()
    rng = generator(Stream.NAMES, city.seed)
    station, officer = _members(city, city.officers_per_station)
    picked = draw(rng, np.ones(len(names)), len(station))
    return pa.table(
        {
            "officer_id": places.officer_id(station, officer),
            "station_id": places.station_id(station),
            "full_name": [names[i] for i in picked],
            "badge_number": [f"NP-{s + 1:02d}-{o + 1:03d}" for s, o in zip(station, officer, strict=True)],
        }
    )


def _vehicles(city: City) -> pa.Table:
    places = lay_out(city)
    station, vehicle = _members(city, city.vehicles_per_station)
    plates = [
        f"KA-{s % 60 + 1:02d}-G{PLATE_LETTERS[s // 60 % len(PLATE_LETTERS)]}-{s * 99 % 9_000 + v + 101:04d}"
        for s, v in zip(station, vehicle, strict=True)
    ]
    return pa.table(
        {
            "vehicle_id": places.vehicle_id(station, vehicle),
            "station_id": places.station_id(station),
            "plate_number": plates,
        }
    )


def _hotspots(city: City) -> pa.Table:
    places = lay_out(city)
    station, hotspot = _members(city, city.hotspots_per_station)
    worst_first = np.argsort(np.argsort(-places.unrest, axis=1), axis=1) + 1
    return pa.table(
        {
            "hotspot_id": places.hotspot_id(station, hotspot),
            "station_id": places.station_id(station),
            "name": [
                f"{HOTSPOT_NAMES[(3 * s + h) % len(HOTSPOT_NAMES)]}, beat {h + 1}"
                for s, h in zip(station, hotspot, strict=True)
            ],
            "latitude": places.hotspot_lat.ravel(),
            "longitude": places.hotspot_lon.ravel(),
            "priority_ranking": pa.array(worst_first.ravel().astype(np.int16)),
        }
    )


def _members(city: City, per_station: int) -> tuple[Ints, Ints]:
    """Number the members of each station: (station index, index within the station)."""
    station, member = np.divmod(np.arange(city.stations * per_station), per_station)
    return station.astype(np.int64), member.astype(np.int64)
