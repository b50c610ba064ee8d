"""What a run needs of its surroundings to switch a table: its name, its locks, and where it notes what it does."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

from clickhouse_sqlalchemy import Table

__all__ = ["Turn"]


@dataclass(frozen=True)
class Turn:
    """A run's turn at a table.

    ``hold_table``     holds the table's lock for the switch, and first drops what runs without their locks have
                       made: a switch that one of these still sends then finds no table, and changes nothing
    ``check_held``     raises where the run has lost its locks; called right before each switch
    ``note``           notes in the ledger how the table is about to be switched
    ``keep_versions``  tables of before that are kept
    """

    run_id: str
    hold_table: Callable[[Table], AbstractContextManager[None]] = lambda table: nullcontext()
    check_held: Callable[[], None] = lambda: None
    note: Callable[[str], None] = lambda how: None
    keep_versions: int = 0
