"""Random streams that give the same city on every machine."""

from __future__ import annotations

from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

__all__ = ["Bools", "Floats", "Ints", "Stream", "chance", "draw", "generator", "likeliest"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


class Stream(IntEnum):
    """What a stream is for: one more row of one table never shifts another table's values."""

    PLACES = 1
    NAMES = 2
    RHYTHM = 3
    PATROLS = 4
    VISITS = 5
    PATROL_LOGS = 6
    REMARKS = 7
    VEHICLE_CHECKS = 8
    STRANGER_ENCOUNTERS = 9
    EMERGENCY_INCIDENTS = 10
    FEEDBACK = 11
    GEOFENCE_LOGS = 12
    ROSTERS = 13


def generator(stream: Stream, *key: int) -> np.random.Generator:
    """Open the stream for a key of non-negative integers: seed, then day, then size."""
    # The stream leads the key: SeedSequence pads with zeros, so (20,) and (20, 0) are one seed.
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence([int(stream), *key])))


def draw(rng: np.random.Generator, weights: Floats, size: int) -> Ints:
    """Draw ``size`` indices in proportion to non-negative ``weights``."""
    edges = np.cumsum(weights)
    picked = np.searchsorted(edges, rng.random(size) * edges[-1], side="right")
    return np.asarray(np.minimum(picked, len(weights) - 1), dtype=np.int64)


def chance(rng: np.random.Generator, probability: float | Floats, size: int) -> Bools:
    """Toss ``size`` coins that show True with ``probability``, one for all or one each."""
    return np.asarray(rng.random(size) < probability)


def likeliest(rng: np.random.Generator, weights: Floats, count: int) -> Bools:
    """Mark exactly ``count`` elements along the last axis, without replacement.

    Efraimidis and Spirakis' weighted sampling in its exponential form: the ``count`` smallest of
    ``-log(u) / weight``. An element of weight zero is marked only when nothing else is left.
    """
    order = np.argsort(-np.log1p(-rng.random(weights.shape)) / np.maximum(weights, 1e-12), axis=-1)
    marked = np.zeros(weights.shape, dtype=np.bool_)
    np.put_along_axis(marked, order[..., :count], True, axis=-1)
    return marked
