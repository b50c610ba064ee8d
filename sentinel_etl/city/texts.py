"""What officers type, put together column by column from the vocabulary."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import date

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sentinel_etl.city.places import City, full_names
from sentinel_etl.city.randomness import Bools, Floats, Ints, Stream, chance, draw, generator
from sentinel_etl.city.vocabulary import (
    INCIDENT_NOTES,
    PLATE_LETTERS,
    PLATE_SEPARATORS,
    PLATE_STATES,
    QUIET_FINDINGS,
    QUIET_REMARKS,
    REMARK_ACTIONS,
    REMARK_OPENINGS,
    SPECIAL_REMARKS,
    UNEASY_FINDINGS,
    UNEASY_REMARKS,
    UNREADABLE_PLATES,
    WEAPONS,
)

__all__ = [
    "incident_details",
    "masked_ids",
    "media_refs",
    "pick",
    "plate_numbers",
    "remark_texts",
    "stranger_names",
]

# A hotspot this many times as bad as an ordinary one has only uneasy remarks and tense incidents.
TENSE_HEAT = 6.0

EMPTY_TEXT_SHARE, NO_TEXT_SHARE, SPECIAL_TEXT_SHARE = 0.02, 0.04, 0.12
LOCAL_SCRIPT_SHARE = 0.25
NO_NAME_SHARE = 0.06
MESSY_PLATE_SHARE, UNREADABLE_PLATE_SHARE = 0.15, 0.01
KNOWN_PLATES, KNOWN_PLATE_SHARE = 60, 0.05
MEDIA_SHARE = 0.12
NO_DETAILS_SHARE = 0.08


def pick(rng: np.random.Generator, words: Sequence[str], size: int, missing: float = 0.0) -> pa.StringArray:
    """Pick one of ``words`` for each of ``size`` rows; a share of them is ``missing`` (NULL)."""
    index = rng.integers(0, len(words), size=size)
    return pa.array(words, pa.string()).take(pa.array(index, mask=chance(rng, missing, size)))


def tension(heat: Floats) -> Floats:
    """Turn a hotspot's heat into the probability that what happens there is uneasy."""
    return np.minimum(heat / TENSE_HEAT, 1.0)


def remark_texts(rng: np.random.Generator, heat: Floats) -> pa.StringArray:
    """Write a remark for each row: NULL, empty, a special text, or up to three sentences."""
    size = len(heat)
    uneasy = pa.array(chance(rng, tension(heat), size))
    finding = pc.if_else(uneasy, pick(rng, UNEASY_FINDINGS, size), pick(rng, QUIET_FINDINGS, size))
    text = pc.utf8_rtrim_whitespace(
        pc.binary_join_element_wise(pick(rng, REMARK_OPENINGS, size), finding, pick(rng, REMARK_ACTIONS, size), " ")
    )
    local = pc.if_else(uneasy, pick(rng, UNEASY_REMARKS, size), pick(rng, QUIET_REMARKS, size))
    text = pc.if_else(pa.array(chance(rng, LOCAL_SCRIPT_SHARE, size)), local, text)
    kind = rng.random(size)
    text = pc.if_else(pa.array(kind > 1 - SPECIAL_TEXT_SHARE), pick(rng, SPECIAL_REMARKS, size), text)
    text = pc.if_else(pa.array(kind < NO_TEXT_SHARE + EMPTY_TEXT_SHARE), "", text)
    return pc.if_else(pa.array(kind < NO_TEXT_SHARE), pa.scalar(None, pa.string()), text)


def stranger_names(rng: np.random.Generator, size: int) -> pa.StringArray:
    """Name each stranger in one of the scripts; some give no name."""
    return pick(rng, full_names(), size, missing=NO_NAME_SHARE)


def masked_ids(rng: np.random.Generator, id_types: pa.StringArray) -> pa.StringArray:
    """Give the last digits of each identity paper; NULL where there is none."""
    digits = _digits(rng, len(id_types), 4)
    shown = pc.binary_join_element_wise("XXXX", digits, "-")
    has_paper = pc.fill_null(pc.not_equal(id_types, "NONE"), False)
    return pc.if_else(has_paper, shown, pa.scalar(None, pa.string()))


def plate_numbers(rng: np.random.Generator, city: City, size: int) -> pa.StringArray:
    """Note down a plate for each row, such as ``KA-05-MX-1234``.

    Some are typed carelessly (other separators, lower case, a trailing space), some cannot be
    read, and a few belong to the vehicles that the city meets again and again.
    """
    plates = _clean_plates(rng, size, _separators(rng, size))
    known = _clean_plates(generator(Stream.NAMES, city.seed, 1), KNOWN_PLATES, pa.array(["-"] * KNOWN_PLATES)).take(
        pa.array(rng.integers(0, KNOWN_PLATES, size=size))
    )
    kind = rng.random(size)
    plates = pc.if_else(pa.array(kind < KNOWN_PLATE_SHARE), known, plates)
    careless = rng.random(size)
    plates = pc.if_else(pa.array(careless < 0.04), pc.utf8_lower(plates), plates)
    plates = pc.if_else(pa.array(careless > 0.98), pc.binary_join_element_wise(plates, "", " "), plates)
    unreadable = pa.array(kind > 1 - UNREADABLE_PLATE_SHARE)
    return pc.if_else(unreadable, pick(rng, UNREADABLE_PLATES, size), plates)


def media_refs(rng: np.random.Generator, table: str, shift_date: date, size: int) -> pa.StringArray:
    """Name the object-store key of each row's photo; NULL where none was taken."""
    name = _digits(rng, size, 12)
    key = pc.binary_join_element_wise(f"patrol-media/{shift_date:%Y/%m/%d}/{table}/", name, ".jpg", "")
    return pc.if_else(pa.array(chance(rng, MEDIA_SHARE, size)), key, pa.scalar(None, pa.string()))


def incident_details(rng: np.random.Generator, categories: Sequence[str], tense: Bools) -> pa.Array:
    """Describe each incident as nested JSON (Arrow's json type); NULL where nobody filled it in."""
    size = len(categories)
    severity = rng.integers(1, 4, size=size) + 2 * tense
    involved, injured = rng.integers(1, 9, size=size), rng.integers(0, 3, size=size)
    minutes = np.round(2 - 9 * np.log1p(-rng.random(size)), 1)
    channel = rng.integers(0, 3, size=size)
    note, weapon = rng.integers(0, len(INCIDENT_NOTES), size=size), rng.integers(0, len(WEAPONS), size=size)
    absent = chance(rng, NO_DETAILS_SHARE, size)
    described: list[str | None] = []
    for i in range(size):
        armed = categories[i] in {"ARMED_ROBBERY", "ASSAULT"}
        details = {
            "severity": int(severity[i]),
            "reported_via": ("phone", "112", "walk-in")[channel[i]],
            "persons": {"involved": int(involved[i]), "injured": int(injured[i])},
            "weapons": [WEAPONS[weapon[i]]] if armed else [],
            "response": {"minutes": float(minutes[i]), "units": ["beat", "112"][: 1 + int(tense[i])]},
            "note": None if channel[i] == 1 else INCIDENT_NOTES[note[i]],
        }
        described.append(None if absent[i] else json.dumps(details, ensure_ascii=False))
    return pa.ExtensionArray.from_storage(pa.json_(), pa.array(described, pa.string()))


def _clean_plates(rng: np.random.Generator, size: int, separators: pa.StringArray) -> pa.StringArray:
    home_first = np.array([0.8] + [0.2 / (len(PLATE_STATES) - 1)] * (len(PLATE_STATES) - 1))
    state = pa.array(PLATE_STATES).take(pa.array(draw(rng, home_first, size)))
    district = _zero_padded(rng.integers(1, 71, size=size), 2)
    return pc.binary_join_element_wise(
        state, district, pick(rng, PLATE_LETTERS, size), _digits(rng, size, 4), separators
    )


def _separators(rng: np.random.Generator, size: int) -> pa.StringArray:
    careless = pick(rng, PLATE_SEPARATORS, size)
    return pc.if_else(pa.array(chance(rng, MESSY_PLATE_SHARE, size)), careless, PLATE_SEPARATORS[0])


def _digits(rng: np.random.Generator, size: int, width: int) -> pa.StringArray:
    return _zero_padded(rng.integers(0, 10**width, size=size), width)


def _zero_padded(numbers: Ints, width: int) -> pa.StringArray:
    return pc.utf8_lpad(pa.array(numbers).cast(pa.string()), width, "0")
