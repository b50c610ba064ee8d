"""What is suggested for a live table. Values, nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Table

__all__ = ["LastNight", "Suggestion"]


@dataclass(frozen=True)
class LastNight:
    """What the entry's own statements count in the source: rows that would be loaded, and rows that would not."""

    loaded: int
    rejected: int


@dataclass(frozen=True)
class Suggestion:
    """An entry of EVENT_CONFIG, as values and as source.

    ``name``           event type
    ``model``          the model as an expression, such as ``rental`` or ``Remark``
    ``entry``          what `parse_event_config` accepts under that name
    ``text``           the same as Python source, ``"NAME": {…},``, not indented, to stand within EVENT_CONFIG
    ``imports``        lines that ``text`` and ``definitions`` need: SQLAlchemy's names, and models that are there
                       already and belong to a module
    ``definitions``    lines that ``text`` needs after the models: aliases
    ``notes``          what a person should know, one line each, without ``#``
    ``fact_columns``   label → ClickHouse type, for every column that the entry reads and that no common column gives
    ``weights``        label → value → 0, in the form of RISK_WEIGHTS
    ``personal``       label → why
    ``changes_later``  columns of the entry that are filled in after the event, as source
    ``tables``         the name in ``text`` → reflected `Table`, of all tables that are no model of the pipeline's yet
    ``last_night``     what a dry run would load; None where it could not be counted
    """

    name: str
    model: str
    entry: Mapping[str, Any]
    text: str
    imports: tuple[str, ...]
    definitions: tuple[str, ...]
    notes: tuple[str, ...]
    fact_columns: Mapping[str, str]
    weights: Mapping[str, Mapping[str, float]]
    personal: Mapping[str, str]
    changes_later: tuple[str, ...]
    tables: Mapping[str, Table]
    last_night: LastNight | None = None
