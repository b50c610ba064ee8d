"""Says at which place an event happened that names none: the nearest one, by where places were known to be. Pure."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

__all__ = ["attribute"]

Floats = npt.NDArray[np.float64]

EARTH_RADIUS_M = 6_371_008.8  # mean radius, https://doi.org/10.1007/s001900050278 (Moritz, GRS 80)


def attribute(happened: pd.DataFrame, positions: pd.DataFrame, nights: int, reach_m: float) -> list[Any]:
    """Name each event's place: its own, or the nearest within the reach; None where there is none.

    In: ``night``, ``place``, ``latitude``, ``longitude`` of events; the same of places, one row a night. A place stands
    at the median of its positions in the nights before the event's, so nothing that came later moves an event.
    """
    found = happened["place"].astype(object).where(happened["place"].notna(), None).tolist()
    names, tracks = follow_places(positions, nights)
    if not len(names):
        return found
    points = np.radians(happened[["latitude", "longitude"]].to_numpy(np.float64, na_value=np.nan))
    open_rows = np.flatnonzero([name is None for name in found] & np.isfinite(points).all(axis=1))
    by_night = happened["night"].to_numpy()[open_rows]
    for night in np.unique(by_night):
        rows = open_rows[by_night == night]
        where = np.radians(tracks[night])
        there = np.flatnonzero(np.isfinite(where).all(axis=1))
        if not len(there):
            continue
        distance = distance_m(points[rows, None], where[None, there])
        nearest = distance.argmin(axis=1)
        for row, place, metres in zip(rows, there[nearest], distance.min(axis=1), strict=True):
            found[row] = names[place] if metres <= reach_m else None
    return found


def follow_places(positions: pd.DataFrame, nights: int) -> tuple[list[Any], Floats]:
    """Give where each place was known to be at each night's start: night × place × (latitude, longitude), degrees."""
    tracks, names = [], sorted(set(positions["place"]), key=lambda name: (str(type(name)), name))
    for name in ("latitude", "longitude"):
        wide = positions.pivot_table(index="night", columns="place", values=name, aggfunc="first")
        wide = wide.reindex(index=range(nights), columns=names).astype("float64")
        tracks.append(wide.expanding().median().shift(1).to_numpy(np.float64))
    return names, np.stack(tracks, axis=-1)


def distance_m(first: Floats, second: Floats) -> Floats:
    """Give the great-circle distance in metres of points in radians, the last axis latitude and longitude."""
    north, east = second[..., 0] - first[..., 0], second[..., 1] - first[..., 1]
    half = np.sin(north / 2) ** 2 + np.cos(first[..., 0]) * np.cos(second[..., 0]) * np.sin(east / 2) ** 2
    return np.asarray(2 * EARTH_RADIUS_M * np.arcsin(np.sqrt(np.clip(half, 0, 1))))
