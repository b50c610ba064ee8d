"""Tells columns that say something about a person, by their names and by the shape of their texts. Pure.

A guess that errs on the side of the person: what is wrongly taken for personal is printed as such, and a line is
deleted; what is missed would be printed or stored in clear.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import pairwise

from sentinel_etl.onboarding.live.live_table import Statistics
from sentinel_etl.type_mapping.source_types import SourceType

__all__ = ["SHAPES", "listed", "singular", "why_personal", "words_of"]


# Regular expressions of PostgreSQL, each over a whole text.
# https://www.postgresql.org/docs/current/functions-matching.html#FUNCTIONS-POSIX-REGEXP
SHAPES: dict[str, str] = {
    "email": r"^[^@\s]+@[^@\s]+\.[^@\s]+$",
    "phone": r"^\+?[0-9][0-9 ()./-]{6,18}[0-9]$",
    "digits": r"^[0-9-]{6,}$",
    "spaces": r"\S\s+\S+\s+\S",
    "name": r"^[[:upper:]][[:lower:]'.-]+( [[:upper:]][[:lower:]'.-]*)+$",
}


def listed(words: str) -> frozenset[str]:
    return frozenset(words.split())


# Who a table or column may be about.
PEOPLE = listed(
    "person people human patient customer client guest user employee staff officer driver stranger visitor suspect "
    "victim witness contact member student pupil teacher author owner keeper doctor nurse passenger tenant actor "
    "caller reporter subscriber candidate applicant resident citizen child parent spouse sender recipient buyer "
    "seller borrower rider player voter agent attendee participant"
)

# Words of a column's name → why.
NAMED: tuple[tuple[frozenset[str], str], ...] = (
    (listed("firstname lastname surname forename fullname nickname username login alias maiden"), "name"),
    (listed("phone mobile telephone tel fax whatsapp msisdn cell cellphone"), "phone number"),
    (listed("email mail emails"), "e-mail address"),
    (listed("plate registration vin"), "names its keeper"),
    (
        listed("passport ssn aadhaar aadhar pan cnic nin nino iban licence license document mrn taxid"),
        "number of a document",
    ),
    (listed("address street postcode zip zipcode postal"), "address"),
    (listed("birth dob birthday birthdate"), "date of birth"),
    (listed("ip imei imsi"), "names a device"),
    (listed("password passwd secret token pin signature photo"), "secret"),
    (
        listed(
            "remark remarks comment comments note notes description details detail text message body feedback "
            "narrative statement purpose memo summary review complaint diagnosis anamnesis"
        ),
        "free text",
    ),
)

DOCUMENTS = {("id", "details"), ("id", "number"), ("national", "id"), ("tax", "id"), ("account", "number")}
OF_NAMES = listed("first last full given family middle display contact")

# A text that is longer than a keyword, and has words.
FREE_TEXT_CHARACTERS = 40
MOST = 0.5
SHARE_OF_CONTACTS = 0.2

FAMILIES = ("text", "json", "inet", "date", "integer", "numeric", "hstore", "other")


def words_of(name: str) -> list[str]:
    """Take a name apart at underscores, blanks and capitals: ``IdNumber`` is ``id`` and ``number``."""
    parted = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name)
    return [word for word in re.split(r"[\W_]+", parted.lower()) if word]


def singular(word: str) -> str:
    """Guess the singular of an English plural."""
    for ending, instead in (("ies", "y"), ("sses", "ss"), ("ches", "ch"), ("shes", "sh"), ("xes", "x")):
        if word.endswith(ending) and len(word) > len(ending) + 1:
            return word.removesuffix(ending) + instead
    return word if word.endswith(("ss", "us", "is")) or len(word) < 4 else word.removesuffix("s")


def why_personal(table: str, column: str, kind: SourceType, statistics: Statistics = Statistics()) -> str:  # noqa: B008 - frozen
    """Say why a column is personal; empty: it does not look so.

    A number, a truth or a time is personal by its name only: a date of birth, a phone number.
    """
    family = (kind.item or kind).family
    words = words_of(column)
    if family not in FAMILIES or is_a_key(words, family):
        return ""
    if family == "text" and any(pair in DOCUMENTS for pair in pairwise(words)):
        return "number of a document"
    named = next((why for listed_words, why in NAMED if listed_words.intersection(words)), "")
    if named == "free text" and family not in ("text", "json", "hstore"):
        named = ""
    if family in ("integer", "numeric") and named not in ("phone number", "number of a document"):
        named = ""
    if named == "free text" and family == "text" and words[-1] in ("type", "kind", "status", "language"):
        named = ""
    return named or named_after_a_person(table, words, family) or shaped(family, statistics)


def is_a_key(words: list[str], family: str) -> bool:
    """Tell a reference: ``note_id`` holds no note."""
    return family in ("integer", "uuid") and words[-1:] == ["id"] and tuple(words[-2:]) not in DOCUMENTS


def named_after_a_person(table: str, words: list[str], family: str) -> str:
    if family not in ("text", "json"):
        return ""
    if is_about(words, PEOPLE) and words[-1] not in ("id", "type", "kind", "status", "code", "role", "rank"):
        return "name" if words[-1] in ("name", *PEOPLE) else "about a person"
    if "name" in words or "names" in words:
        bare = len(words) == 1 or bool(OF_NAMES.intersection(words))
        return "name" if bare and (is_about(words_of(table), PEOPLE) or OF_NAMES.intersection(words)) else ""
    return "name" if words[-1] == "by" else ""


def is_about(words: Iterable[str], these: frozenset[str]) -> bool:
    return any(word in these or singular(word) in these for word in words)


def shaped(family: str, statistics: Statistics) -> str:
    if family != "text":
        return ""
    shapes = statistics.shapes
    if shapes.get("email", 0) >= SHARE_OF_CONTACTS:
        return "e-mail address"
    if shapes.get("phone", 0) >= MOST and shapes.get("digits", 0) < 1:
        return "phone number"
    if shapes.get("name", 0) >= MOST and statistics.distinct > 1:
        return "name"
    if statistics.mean_length > FREE_TEXT_CHARACTERS and shapes.get("spaces", 0) >= MOST:
        return "free text"
    return ""
