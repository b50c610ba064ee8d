"""What people write during a night: remarks, checks, encounters, incidents and feedback.

Each function makes one table's columns, without its key: rows stand in the order of their arrival.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from sentinel_etl.city.patrols import DAY
from sentinel_etl.city.places import lay_out
from sentinel_etl.city.randomness import Bools, Floats, Ints, Stream, chance, draw, likeliest
from sentinel_etl.city.shift import Night, receive, sent_by_phone
from sentinel_etl.city.texts import (
    incident_details,
    masked_ids,
    media_refs,
    pick,
    plate_numbers,
    remark_texts,
    stranger_names,
    tension,
)
from sentinel_etl.city.tracks import Moments, moments_at, night_weights
from sentinel_etl.city.vocabulary import (
    EMERGENCY_CATEGORIES,
    FEEDBACK_TEXTS,
    ID_TYPES,
    INCIDENT_SHARES,
    STRANGER_PURPOSES,
    SUSPICION_DETAILS,
)

__all__ = [
    "emergency_incidents",
    "feedback",
    "remarks",
    "stranger_encounters",
    "vehicle_checks",
]

# Shares of rows; a fiction that looks like a night, not a measurement.
NO_HOTSPOT_SHARE = 0.08
UNDER_WAY_SHARE = 0.25
UNKNOWN_SUSPICION_SHARE = 0.06
MISSING_DETAILS_SHARE, STRAY_DETAILS_SHARE = 0.12, 0.01
NO_PURPOSE_SHARE, NO_ID_TYPE_SHARE = 0.05, 0.10
NO_FEEDBACK_TEXT_SHARE = 0.05
CONTROL_ROOM_SHARE, CONTROL_ROOM_BY_DAY_SHARE, ALSO_ASSIGNED_SHARE = 0.30, 0.80, 0.35
# Incidents do not wait for the night: the few patrols of the day watch meet one in eight.
INCIDENT_DAY_WEIGHT = 2.5


def remarks(night: Night) -> dict[str, pa.Array]:
    """Write remarks on hotspots; the worse the place, the likelier a change of its priority."""
    rng = night.stream(Stream.REMARKS)
    weights = night_weights(night.visits)
    rows = receive(rng, moments_at(rng, night.visits, weights, night.quota.remarks, NO_HOTSPOT_SHARE))
    columns, _ = sent_by_phone(rng, night, rows)
    size, heat = night.quota.remarks, _heat(night, rows.moments)
    at_hotspot = rows.moments.visit >= 0
    changed = likeliest(rng, np.where(at_hotspot, heat, 0.0), night.quota.priority_changes)
    return columns | {
        "created_by_officer_id": _crew_member(rng, night, rows.moments),
        "hotspot_id": _hotspot_ids(night, rows.moments),
        "remark_text": remark_texts(rng, heat),
        "new_priority_ranking": pa.array(_new_rankings(rng, night, rows.moments), pa.int16(), mask=~changed),
        "media_ref": media_refs(rng, "remarks", night.shift_date, size),
    }


def vehicle_checks(night: Night) -> dict[str, pa.Array]:
    """Stop vehicles; the worse the place, the likelier one is suspicious."""
    rng, size = night.stream(Stream.VEHICLE_CHECKS), night.quota.vehicle_checks
    rows = receive(rng, moments_at(rng, night.visits, night_weights(night.visits), size, UNDER_WAY_SHARE))
    columns, _ = sent_by_phone(rng, night, rows)
    suspicious = likeliest(rng, _heat(night, rows.moments), night.quota.suspicious_vehicles)
    explained = chance(rng, np.where(suspicious, 1 - MISSING_DETAILS_SHARE, STRAY_DETAILS_SHARE), size)
    details = pick(rng, SUSPICION_DETAILS, size)
    return columns | {
        "created_by_officer_id": _crew_member(rng, night, rows.moments),
        "plate_number": plate_numbers(rng, night.city, size),
        "suspicious_activity": pa.array(suspicious, mask=chance(rng, UNKNOWN_SUSPICION_SHARE, size) & ~suspicious),
        "suspicion_details": pa.array(details.to_numpy(zero_copy_only=False), pa.string(), mask=~explained),
        "media_ref": media_refs(rng, "vehicle_checks", night.shift_date, size),
    }


def stranger_encounters(night: Night) -> dict[str, pa.Array]:
    """Ask people in the street who they are."""
    rng, size = night.stream(Stream.STRANGER_ENCOUNTERS), night.quota.stranger_encounters
    rows = receive(rng, moments_at(rng, night.visits, night_weights(night.visits), size, UNDER_WAY_SHARE))
    columns, _ = sent_by_phone(rng, night, rows)
    id_types = pick(rng, ID_TYPES, size, missing=NO_ID_TYPE_SHARE)
    return columns | {
        "created_by_officer_id": _crew_member(rng, night, rows.moments),
        "name": stranger_names(rng, size),
        "purpose": pick(rng, STRANGER_PURPOSES, size, missing=NO_PURPOSE_SHARE),
        "id_type": id_types,
        "id_details": masked_ids(rng, id_types),
        "media_ref": media_refs(rng, "stranger_encounters", night.shift_date, size),
    }


def emergency_incidents(night: Night) -> dict[str, pa.Array]:
    """Open incidents, by phone or by the control room, the graver the worse the place is."""
    rng, size = night.stream(Stream.EMERGENCY_INCIDENTS), night.quota.emergency_incidents
    weights = night_weights(night.visits, INCIDENT_DAY_WEIGHT)
    rows = receive(rng, moments_at(rng, night.visits, weights, size, UNDER_WAY_SHARE))
    after_dark = night.plan.watch[rows.moments.patrol] != DAY
    by_control_room = chance(rng, np.where(after_dark, CONTROL_ROOM_SHARE, CONTROL_ROOM_BY_DAY_SHARE), size)
    columns, _ = sent_by_phone(rng, night, rows, skewed=~by_control_room)
    assigned = by_control_room | chance(rng, ALSO_ASSIGNED_SHARE, size)
    tense = chance(rng, tension(_heat(night, rows.moments)), size)
    categories = _categories(rng, tense)
    return columns | {
        "created_by_officer_id": pa.array(_crew_member(rng, night, rows.moments), mask=by_control_room),
        "assigned_to_officer_id": pa.array(night.plan.crew[rows.moments.patrol, 0], mask=~assigned),
        "category": pa.array(categories),
        "details": incident_details(rng, categories, tense),
        "media_ref": media_refs(rng, "emergency_incidents", night.shift_date, size),
    }


def feedback(night: Night) -> dict[str, pa.Array]:
    """Let crews say how it went, in the last tenth of their patrol."""
    rng, size = night.stream(Stream.FEEDBACK), night.quota.feedback
    plan = night.plan
    patrol = draw(rng, np.where(plan.out, np.where(plan.watch == DAY, 0.5, 1.0), 0.0), size)
    time = plan.end[patrol] - 0.1 * (plan.end - plan.start)[patrol] * rng.random(size)
    rows = receive(rng, Moments(patrol, np.full(size, -1), time))
    columns, _ = sent_by_phone(rng, night, rows)
    return columns | {
        "assigned_to_officer_id": pa.array(plan.crew[rows.moments.patrol, 0]),
        "feedback_text": pick(rng, FEEDBACK_TEXTS, size, missing=NO_FEEDBACK_TEXT_SHARE),
    }


def _crew_member(rng: np.random.Generator, night: Night, moments: Moments) -> Ints:
    """Say which officer of the crew held the phone: the lead more often than each of the others."""
    seat = np.floor(rng.random(len(moments.patrol)) ** 2 * night.plan.crew_size[moments.patrol])
    return np.asarray(night.plan.crew[moments.patrol, seat.astype(np.int64)])


def _heat(night: Night, moments: Moments) -> Floats:
    """Look up how bad the place is; under way it is ordinary, 1."""
    return np.asarray(np.where(moments.visit >= 0, night.visits.heat[moments.visit], 1.0))


def _hotspot_ids(night: Night, moments: Moments) -> pa.Array:
    station, hotspot = night.plan.station[moments.patrol], night.visits.hotspot[moments.visit]
    return pa.array(lay_out(night.city).hotspot_id(station, hotspot), mask=moments.visit < 0)


def _new_rankings(rng: np.random.Generator, night: Night, moments: Moments) -> Ints:
    """Propose a ranking near the place's rank of that night within its station; 1 is the worst."""
    rank = np.argsort(np.argsort(-night.heat, axis=1), axis=1) + 1
    now = rank[night.plan.station[moments.patrol], night.visits.hotspot[moments.visit]]
    proposed = now + rng.integers(-1, 2, size=len(now))
    return np.asarray(np.clip(proposed, 1, night.heat.shape[1]))


def _categories(rng: np.random.Generator, tense: Bools) -> list[str]:
    calm_shares, tense_shares = np.array(list(INCIDENT_SHARES.values()), dtype=np.float64).T
    size = len(tense)
    picked = np.where(tense, draw(rng, tense_shares, size), draw(rng, calm_shares, size))
    return [EMERGENCY_CATEGORIES[i] for i in picked]
