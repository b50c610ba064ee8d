"""Whether an event type's key, and so its event_id, shows what is read under some labels."""

from __future__ import annotations

import pytest
from sqlalchemy import BigInteger, Column, MetaData, Table, Text, func

from sentinel_etl.config.event_type import EventType

CALLS = Table(
    "calls",
    MetaData(),
    Column("call_id", BigInteger, primary_key=True),
    Column("phone", Text),
    Column("note", Text),
)
AGAIN = CALLS.alias("again")
PERSONAL = ("stranger_name", "note")


@pytest.mark.parametrize(
    ("key", "columns", "holds"),
    [
        pytest.param((CALLS.c.call_id,), (CALLS.c.phone.label("stranger_name"),), False, id="another column"),
        pytest.param((CALLS.c.phone,), (CALLS.c.phone,), False, id="a label that is not personal"),
        pytest.param((CALLS.c.phone,), (CALLS.c.phone.label("stranger_name"),), True, id="under a personal label"),
        pytest.param((CALLS.c.call_id, CALLS.c.phone), (AGAIN.c.phone.label("stranger_name"),), True, id="an alias"),
        pytest.param((func.lower(CALLS.c.phone),), (CALLS.c.phone.label("stranger_name"),), True, id="made of it"),
        pytest.param(
            (CALLS.c.phone,),
            (func.concat(CALLS.c.phone, "x").label("stranger_name"),),
            True,
            id="it is made of the key",
        ),
        pytest.param((CALLS.c.note,), (CALLS.c.call_id,), True, id="a personal column that is not read besides"),
    ],
)
def test_a_key_holds_personal_data_where_it_is_what_a_personal_label_shows(
    key: tuple[Column[object], ...], columns: tuple[Column[object], ...], holds: bool
) -> None:
    kind = EventType("CALL", CALLS, timestamp=CALLS.c.call_id, key=key, columns=columns)
    assert kind.key_holds(PERSONAL) is holds
