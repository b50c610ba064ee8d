"""A table is found by the name that a person types: as it is, as SQL would read it, or in another schema."""

from __future__ import annotations

import pytest

from sentinel_etl.errors import ConfigurationError
from sentinel_etl.onboarding.live.find_table import Relation, find_relation

RELATIONS = [
    Relation(1, "public", "rental", "table", True),
    Relation(2, "public", "Rental Lines", "table", True),
    Relation(3, "clinic", "visits", "table", False),
    Relation(4, "ward", "beds", "table", False),
    Relation(5, "clinic", "beds", "table", False),
    Relation(6, "My.Schema", "a.b", "view", False),
    Relation(7, "public", "a.b", "view", True),
    Relation(8, "clinic", "rental", "table", False),
]


@pytest.mark.parametrize(
    ("name", "oid"),
    [
        ("rental", 1),
        ("RENTAL", 1),
        ("public.rental", 1),
        ("PUBLIC.Rental", 1),
        ("clinic.rental", 8),
        ("Rental Lines", 2),
        ('"Rental Lines"', 2),
        ('public."Rental Lines"', 2),
        ("visits", 3),
        ("My.Schema.a.b", 6),
        ('"My.Schema"."a.b"', 6),
        ("a.b", 7),
    ],
)
def test_a_name_finds_its_table(name: str, oid: int) -> None:
    assert find_relation(name, RELATIONS).oid == oid


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("beds", r"several schemas have beds; found 'beds'\. Write one of ward\.beds, clinic\.beds"),
        ("visit", r"found none of the name 'visit'\. Did you mean clinic\.visits\?"),
        (
            "zzz",
            r"found none of the name 'zzz'\. It has rental, Rental Lines, clinic\.visits, ward\.beds, clinic\.beds",
        ),
        ("", r"found none of the name ''"),
        ("..", r"found none of the name '\.\.'"),
        ('"', r"""found none of the name '"'"""),
    ],
)
def test_a_name_that_finds_none_is_told_with_what_is_there(name: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        find_relation(name, RELATIONS)


def test_a_source_without_tables_is_told_so() -> None:
    with pytest.raises(ConfigurationError, match="It has no table at all"):
        find_relation("rental", [])
