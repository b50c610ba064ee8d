"""Names what an entry's source calls its tables: the pipeline's own classes and Tables, or new ones."""

from __future__ import annotations

import builtins
import keyword
import re
import sys
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Table, inspect
from sqlalchemy.orm import Mapper, aliased
from sqlalchemy.orm.util import AliasedInsp
from sqlalchemy.sql.base import ReadOnlyColumnCollection

from sentinel_etl.onboarding.live.live_table import LiveTable
from sentinel_etl.onboarding.live.personal import listed, singular, words_of
from sentinel_etl.pipeline import Pipeline

__all__ = ["Model", "Written", "alias_model", "event_name", "find_models", "name_models", "quoted", "stem"]


# What a module with entries imports or calls something already.
TAKEN = listed(
    "and_ aliased case cast func text Column Computed Date DateTime Enum FetchedValue Identity Index MetaData Numeric "
    "PrimaryKeyConstraint Table Text UniqueConstraint select engines metadata types postgresql Pipeline EVENT_CONFIG"
)


@dataclass(frozen=True, eq=False)
class Written:
    """An expression, and its source."""

    value: Any
    text: str


@dataclass(frozen=True, eq=False)
class Model:
    """What stands for a table in an entry.

    ``name``        in Python
    ``value``       a mapped class, a Table, or an alias of either
    ``is_new``      no model of the pipeline's: the reflected Table
    ``import_line`` and ``definition``: what the source needs before it; empty: nothing
    """

    name: str
    value: Any
    live: LiveTable
    is_new: bool
    import_line: str = ""
    definition: str = ""

    def column(self, name: str) -> Written | None:
        """Find a column of the live table; none where the pipeline's model does not have it."""
        mapping = mapping_of(self.value)
        if mapping is None:
            found = self.value.c.get(name)
            found = found if found is not None else next((c for c in self.value.c if c.name == name), None)
            return None if found is None else Written(found, f"{self.name}.c{accessor(found.key, COLUMNS_OWN)}")
        for property_ in mapping.mapper.column_attrs:
            if getattr(property_.columns[0], "name", None) == name and property_.columns[0].table is not None:
                attribute = getattr(self.value, property_.key)
                return Written(attribute, f"{self.name}.{property_.key}")
        return None


COLUMNS_OWN = frozenset(dir(ReadOnlyColumnCollection))


def accessor(key: str, taken: frozenset[str]) -> str:
    """Write how an attribute is reached: ``.name``, or ``["class"]`` for what Python reads otherwise."""
    plain = key.isidentifier() and key.isascii() and not keyword.iskeyword(key) and not key.startswith("_")
    return f".{key}" if plain and key not in taken else f"[{quoted(key)}]"


def quoted(text: str) -> str:
    """Write a text as Python's literal, in double quotes where it needs no escape."""
    return f'"{text}"' if text.isprintable() and not {'"', "\\"}.intersection(text) else repr(text)


def mapping_of(model: Any) -> Mapper[Any] | AliasedInsp[Any] | None:
    found = inspect(model, raiseerr=False)
    return found if isinstance(found, Mapper | AliasedInsp) else None


def find_models(pipeline: Pipeline) -> dict[str, Any]:
    """Find the classes and Tables that a pipeline's modules have: those of its entries and their neighbours.

    A class of a hierarchy in one table is its topmost; a Table that no module names cannot be imported.
    """
    classes: dict[str, Any] = {}
    tables: dict[int, Table] = {}
    for entry in pipeline.event_config.values():
        for model in (entry["model"], *(join[0] for join in entry.get("joins", ()))):
            mapping = mapping_of(model)
            if mapping is not None:
                mappers = [each for each in mapping.mapper.registry.mappers if each.inherits is None]
                classes |= {
                    each.class_.__name__: each.class_ for each in sorted(mappers, key=lambda m: m.class_.__name__)
                }
            elif isinstance(table := getattr(model, "element", model), Table):
                tables |= {id(each): each for each in table.metadata.tables.values()}
    return {**classes, **{name: table for name, table in named_tables(tables) if name not in classes}}


def named_tables(tables: Mapping[int, Table]) -> Iterator[tuple[str, Table]]:
    found = set()
    for _, name, value in module_tables():
        if id(value) in tables and id(value) not in found:
            found.add(id(value))
            yield name, value


def module_tables() -> Iterator[tuple[str, str, Table]]:
    """List the Tables that modules have under a name of theirs: module, name, Table."""
    for module_name, module in list(sys.modules.items()):
        if module_name != "__main__" and not module_name.startswith("sqlalchemy"):
            for name, value in list(getattr(module, "__dict__", {}).items()):
                if isinstance(value, Table) and name.isidentifier() and not name.startswith("_"):
                    yield module_name, name, value


def name_models(live: LiveTable, given: Mapping[str, Any]) -> dict[str, Model]:
    """Name the table and all that it refers to, by their `Table`'s key."""
    known = {identity: (name, value) for name, value in reversed(list(given.items())) for identity in identities(value)}
    homes = {id(value): module for module, _, value in reversed(list(module_tables()))}
    models: dict[str, Model] = {}
    names = {*given, *TAKEN}
    for each in (live, *live.referred.values()):
        found = known.get((each.schema, str(each.table.name)))
        if found is None and each.table.schema is None:
            found = known.get((None, str(each.table.name)))
        if found is not None:
            name, value = found
            home = homes.get(id(value)) if isinstance(value, Table) else str(value.__module__)
            line = f"from {home} import {name}" if home else ""
            models[each.table.key] = Model(name, value, each, False, line)
        else:
            name = variable_name(each, names)
            names.add(name)
            models[each.table.key] = Model(name, each.table, each, True)
    return models


def identities(model: Any) -> Iterator[tuple[str | None, str]]:
    mapping = mapping_of(model)
    table = mapping.mapper.persist_selectable if mapping is not None else model
    if isinstance(table, Table):
        yield table.schema, str(table.name)


def variable_name(live: LiveTable, names: set[str]) -> str:
    """Make a Python name of a table's."""
    plain = identifier(str(live.table.name))
    for candidate in (plain, identifier(f"{live.schema}_{live.table.name}"), f"{plain}_table"):
        if candidate not in names:
            return candidate
    return next(name for number in range(2, 1000) if (name := f"{plain}_{number}") not in names)


def identifier(name: str) -> str:
    plain = re.sub(r"\W+", "_", unicodedata.normalize("NFKC", name)).strip("_").lower()
    plain = plain if plain.isidentifier() else f"t_{plain}"
    return f"{plain}_table" if keyword.iskeyword(plain) or plain in TAKEN or hasattr(builtins, plain) else plain


def alias_model(model: Model, hint: str, names: set[str]) -> Model:
    """Make an alias of a model, so that it can be joined once more."""
    name = identifier(hint)
    name = name if name not in names else next(n for k in range(2, 1000) if (n := f"{name}_{k}") not in names)
    if mapping_of(model.value) is not None:
        value, line = aliased(model.value, name=name), f"{name} = aliased({model.name}, name={quoted(name)})"
    else:
        value, line = model.value.alias(name), f"{name} = {model.name}.alias({quoted(name)})"
    return replace(model, name=name, value=value, definition=line)


def stem(columns: tuple[str, ...]) -> str:
    """Name what a foreign key refers to by its first column: ``origin_airport_id`` is ``origin_airport``."""
    return re.sub(r"_?(id|code|key|no|nr|uuid)$", "", columns[0], flags=re.IGNORECASE) or columns[0]


def event_name(model: Model) -> str:
    """Make an event type's name: of the class, or of the table in the singular."""
    mapping = mapping_of(model.value)
    words = words_of(mapping.mapper.class_.__name__ if mapping is not None else str(model.live.table.name))
    words = words if mapping is not None else [*words[:-1], singular(words[-1])] if words else ["event"]
    name = re.sub(r"[^A-Z0-9]+", "_", unicodedata.normalize("NFKD", "_".join(words)).upper()).strip("_")
    return name if re.match(r"[A-Z]", name) else f"EVENT_{name}".strip("_")
