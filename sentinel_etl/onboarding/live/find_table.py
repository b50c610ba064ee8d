"""Finds the table that a person has named, among all that the source has."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from sqlalchemy import Connection, text

from sentinel_etl.errors import ConfigurationError

__all__ = ["Relation", "find_relation", "list_relations"]


KINDS = {"r": "table", "p": "partitioned table", "v": "view", "m": "materialized view", "f": "foreign table"}

RELATIONS = text(
    """
    SELECT c.oid, n.nspname AS schema, c.relname AS name, c.relkind::text AS kind, pg_table_is_visible(c.oid) AS visible
      FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
     ORDER BY n.nspname, c.relname
    """
)

# https://www.postgresql.org/docs/current/sql-syntax-lexical.html#SQL-SYNTAX-IDENTIFIERS
IDENTIFIER = re.compile(r'"((?:[^"]|"")+)"|([^."]+)')

MOST_NAMES = 5


@dataclass(frozen=True)
class Relation:
    """A table or view, and whether its name alone finds it on the session's search path."""

    oid: int
    schema: str
    name: str
    kind: str
    visible: bool

    @property
    def full_name(self) -> str:
        return self.name if self.visible else f"{self.schema}.{self.name}"


def list_relations(connection: Connection) -> list[Relation]:
    rows = connection.execute(RELATIONS).mappings()
    return [Relation(row["oid"], row["schema"], row["name"], KINDS[row["kind"]], row["visible"]) for row in rows]


def find_relation(name: str, relations: Sequence[Relation]) -> Relation:
    """Find a relation by the name that a person typed: as it is, as SQL would read it, or in another schema.

    Raises:
        ConfigurationError: none of that name, with near names; or several.
    """
    for schema, table in readings(name):
        found = [each for each in relations if each.name == table and schema in (None, each.schema)]
        visible = [each for each in found if each.visible]
        if schema is None and visible:
            return visible[0]
        if len(found) == 1:
            return found[0]
        if found:
            raise ConfigurationError(
                f"table: expected SCHEMA.TABLE, because several schemas have {table}; found {name!r}. Write one of "
                f"{', '.join(f'{each.schema}.{each.name}' for each in found)}"
            )
    raise ConfigurationError(
        f"table: expected a table or view of the source that we may see, found none of the name {name!r}. "
        f"{near_names(name, relations)}"
    )


def readings(name: str) -> Iterator[tuple[str | None, str]]:
    """Read a name in each way that it may be meant, the most literal first."""
    yield None, name
    for dot in (found.start() for found in re.finditer(r"\.", name)):
        yield name[:dot], name[dot + 1 :]
    parts = list(IDENTIFIER.finditer(name))
    if 1 <= len(parts) <= 2 and ".".join(part[0] for part in parts) == name:
        for fold in (str, str.lower):
            written = [part[1].replace('""', '"') if part[1] else fold(part[2]) for part in parts]
            yield (written[0] if len(written) == 2 else None), written[-1]


def near_names(name: str, relations: Sequence[Relation]) -> str:
    if not relations:
        return "It has no table at all: is this the right database, and does the role have USAGE on its schemas?"
    names = {each.full_name.lower(): each.full_name for each in relations}
    names |= {each.name.lower(): each.full_name for each in relations}
    near = get_close_matches(name.lower().replace('"', ""), names, n=MOST_NAMES, cutoff=0.6)
    if near:
        return f"Did you mean {', '.join(dict.fromkeys(names[each] for each in near))}?"
    shown = [each.full_name for each in relations[:MOST_NAMES]]
    more = f" and {len(relations) - len(shown)} more" if len(relations) > len(shown) else ""
    return f"It has {', '.join(shown)}{more}"
