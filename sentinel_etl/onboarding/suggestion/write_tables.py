"""Writes reflected tables as Python source, so that a model connects to nothing. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import Table

__all__ = ["write_tables"]


def write_tables(tables: Mapping[str, Table], metadata: str = "metadata") -> str:
    """Write a module's text: its imports, ``metadata = MetaData()``, and ``NAME = Table(…)`` for each table.

    Columns with their types, primary keys, unique constraints and indexes: what an entry is checked by. A type that
    cannot be written is written as the family that it is read as.
    """
    raise NotImplementedError
