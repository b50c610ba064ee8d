"""Personal data is told by the names of columns and the shapes of their texts."""

from __future__ import annotations

import pytest

from sentinel_etl.onboarding.live.live_table import Statistics
from sentinel_etl.onboarding.live.personal import singular, why_personal, words_of
from sentinel_etl.type_mapping.source_types import SourceType

TEXT = SourceType("text")


@pytest.mark.parametrize(
    ("table", "column", "family", "why"),
    [
        ("customers", "first_name", "text", "name"),
        ("customers", "name", "text", "name"),
        ("patients", "Name", "text", "name"),
        ("visits", "patient_name", "text", "name"),
        ("visits", "reported_by", "text", "name"),
        ("stations", "name", "text", ""),
        ("wards", "ward_name", "text", ""),
        ("calls", "mobileNo", "bigint", ""),
        ("calls", "phone_number", "integer", "phone number"),
        ("users", "e_mail", "text", "e-mail address"),
        ("checks", "plate_number", "text", "names its keeper"),
        ("strangers", "id_details", "text", "number of a document"),
        ("strangers", "id_type", "text", ""),
        ("people", "passport_no", "text", "number of a document"),
        ("people", "date_of_birth", "date", "date of birth"),
        ("visits", "details", "json", "free text"),
        ("visits", "comment_id", "integer", ""),
        ("visits", "reported_by", "integer", ""),
        ("visits", "note_type", "text", ""),
        ("logins", "ip", "inet", "names a device"),
        ("film", "rating", "text", ""),
        ("visits", "customer_id", "integer", ""),
        ("visits", "amount", "numeric", ""),
    ],
)
def test_a_column_is_personal_by_its_name(table: str, column: str, family: str, why: str) -> None:
    assert why_personal(table, column, SourceType(family)) == why


@pytest.mark.parametrize(
    ("statistics", "why"),
    [
        (Statistics(distinct=9, shapes={"email": 0.9}), "e-mail address"),
        (Statistics(distinct=9, shapes={"phone": 0.9, "digits": 0.5}), "phone number"),
        (Statistics(distinct=9, shapes={"phone": 1.0, "digits": 1.0}), ""),
        (Statistics(distinct=9, shapes={"name": 0.8}), "name"),
        (Statistics(distinct=9, shapes={"spaces": 0.9}, mean_length=80), "free text"),
        (Statistics(distinct=9, shapes={"spaces": 0.9}, mean_length=12), ""),
        (Statistics(distinct=9, shapes={}, mean_length=80), ""),
    ],
)
def test_a_text_is_personal_by_its_shape(statistics: Statistics, why: str) -> None:
    assert why_personal("things", "x", TEXT, statistics) == why


def test_a_name_is_taken_apart_at_underscores_blanks_and_capitals() -> None:
    assert words_of("IdNumber of_the Patient") == ["id", "number", "of", "the", "patient"]


@pytest.mark.parametrize(
    ("plural", "word"),
    [("categories", "category"), ("boxes", "box"), ("visits", "visit"), ("status", "status"), ("class", "class")],
)
def test_a_plural_becomes_singular(plural: str, word: str) -> None:
    assert singular(plural) == word
