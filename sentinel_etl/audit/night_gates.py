"""The gates on the window's events that stand in other nights: an event is in one night, and so is a key."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Select, literal_column, select

from sentinel_etl.audit.checks import Check, Gate, Severity
from sentinel_etl.audit.other_nights import OtherNights
from sentinel_etl.audit.scene import Scene
from sentinel_etl.config.event_type import EventType
from sentinel_etl.warehouse.ddl import has_id
from sentinel_etl.wording import list_some

__all__ = ["NIGHT_GATES", "check_moved", "check_one_night"]


def select_standing(scene: Scene, subjects: Sequence[str]) -> Select[Any]:
    """Select the named events where they stand in the fact table."""
    shown = select(*scene.show(scene.facts, "shift_date"))
    return shown.where(literal_column(has_id(subjects))).order_by(scene.facts.c.event_id)


ONE_NIGHT = Gate(
    "keys_in_one_night",
    "each key is in one night",
    Severity.BLOCK,
    "keys of the window that the source has in another loaded night too: 0",
    evidence=select_standing,
)


def check_one_night(others: OtherNights, kinds: Mapping[str, EventType]) -> Check:
    """Judge the keys that the source has in the window and in a night that is loaded: they identify no row."""
    if not others.repeated:
        return ONE_NIGHT.check(True, "each key in one night", "each key in one night")
    name = next(iter(others.repeated)).partition(":")[0]
    found = "; ".join(f"{key} in {' and '.join(map(str, nights))}" for key, nights in others.repeated.items())
    columns = ", ".join(str(part) for part in kinds[name].key)
    return ONE_NIGHT.check(
        False,
        f"each key of {name} to be in one night",
        f"{found}, so `key` ({columns}) is not unique; put the column into `key` that tells these rows apart: "
        "`sentinel-etl check` names the table's unique keys",
        others.repeated,
    )


MOVED = Gate(
    "events_stay",
    "events stay in their nights",
    Severity.WARN,
    "rows of other nights that go because the event is in this window now: at most `limit`",
    limit=0,
    evidence=select_standing,
)


def check_moved(others: OtherNights) -> Check:
    """Tell which rows of other nights the run takes, by event type and night."""
    moved = others.moved
    rows = zip(moved["event_type"], moved["shift_date"], moved["rows"], strict=True)
    told = [f"{kind} {count:,} from {night}" for kind, night, count in rows]
    return MOVED.check(
        moved["rows"].sum() <= MOVED.limit,
        "0 rows of other nights taken",
        list_some(told) or "0 rows of other nights taken",
        others.named,
    )


NIGHT_GATES = (ONE_NIGHT, MOVED)
