"""What a pipeline's event types are evidence of: which are emergencies, who found them, and where patrols were."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Literal

from sentinel_etl.errors import ConfigurationError

__all__ = ["CITY_KINDS", "STEPS", "EventKinds", "Step", "check_event_kinds"]

# What an outing does at an event: it comes to the event's place, leaves any place, goes to work, or rests.
Step = Literal["arrives", "leaves", "works", "rests"]
STEPS: tuple[Step, ...] = ("arrives", "leaves", "works", "rests")


@dataclass(frozen=True)
class EventKinds:
    """Says what event types are evidence of; of what is not said nothing is assumed.

    ``emergencies``  event types that a ranking of places is to foretell
    ``reported``     those that somebody reports, whether a patrol is near or not: a call, an alarm
    ``found``        those that are only seen where a patrol is: a check, an encounter
    ``steps``        event type → fact column → value → what the outing does then, one of `STEPS`: from these rows the
                     hours that patrols spent at each place are worked out
    """

    emergencies: tuple[str, ...] = ()
    reported: tuple[str, ...] = ()
    found: tuple[str, ...] = ()
    steps: Mapping[str, Mapping[str, Mapping[str, Step]]] = field(default_factory=dict, hash=False)

    @property
    def named(self) -> tuple[str, ...]:
        """List the event types that are named."""
        return tuple(dict.fromkeys([*self.emergencies, *self.reported, *self.found, *self.steps]))


# The sample city's. SUSPICIOUS_VEHICLE is a second reading of a VEHICLE_CHECK, and would count it twice.
CITY_KINDS = EventKinds(
    emergencies=("EMERGENCY_INCIDENT",),
    reported=("EMERGENCY_INCIDENT",),
    found=("VEHICLE_CHECK", "STRANGER_ENCOUNTER"),
    steps={
        "GEOFENCE": {"geofence_event_type": {"ENTER": "arrives", "DWELL": "arrives", "EXIT": "leaves"}},
        "PATROL_STATUS": {
            "patrol_status_at_event": {"started": "works", "resumed": "works", "paused": "rests", "finished": "rests"}
        },
    },
)


def check_event_kinds(kinds: object, event_types: Collection[str], columns: Collection[str]) -> None:
    """Check that each event type and column that is named is there; the sample city's own need not be.

    Raises:
        ConfigurationError: what was expected, and what was found.
    """
    if not isinstance(kinds, EventKinds):
        raise ConfigurationError(f"event_kinds: expected EventKinds(emergencies=…), found {kinds!r}")
    if kinds == CITY_KINDS:
        return
    for name in ("emergencies", "reported", "found"):
        if not isinstance(getattr(kinds, name), tuple):
            raise ConfigurationError(
                f"event_kinds.{name}: expected a tuple of event types, found {getattr(kinds, name)!r}"
            )
    if strangers := [name for name in kinds.named if name not in event_types]:
        raise ConfigurationError(
            f"event_kinds: expected event types, {', '.join(event_types)}; found {', '.join(strangers)}"
        )
    if both := [name for name in kinds.reported if name in kinds.found]:
        raise ConfigurationError(
            f"event_kinds: expected each event type to be either reported or found; found {', '.join(both)} in both"
        )
    for kind, by_column in kinds.steps.items():
        for column, by_value in by_column.items():
            where = f"event_kinds.steps.{kind}.{column}"
            if column not in columns:
                raise ConfigurationError(f"{where}: expected a column of the fact table, {', '.join(columns)}")
            if wrong := [str(step) for step in by_value.values() if step not in STEPS]:
                raise ConfigurationError(f"{where}: expected {', '.join(STEPS)}, found {', '.join(wrong)}")
