"""Renders SQL templates: whole statements that a person can read, and the values that are written into them.

A template is SQL with Jinja's marks: ``{{ name }}`` is filled in, ``{# … #}`` is a comment that the server never
gets, and ``{name:Type}`` is ClickHouse's own parameter, left as it is. Identifiers come in quoted; a value is
written by the filter ``literal``.
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from functools import cache

from clickhouse_sqlalchemy.drivers.http.escaper import Escaper
from jinja2 import Environment, PackageLoader, StrictUndefined

__all__ = ["render_sql", "write_literal"]


def render_sql(package: str, template: str, **names: object) -> str:
    """Render a template of a package's ``sql`` folder; one without a file or a name is an error of Jinja's."""
    return find_templates(package).get_template(f"{template}.sql.j2").render(names).strip()


@cache
def find_templates(package: str) -> Environment:
    environment = Environment(
        loader=PackageLoader(package, "sql"),
        autoescape=False,  # noqa: S701 - it is SQL and no HTML
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["literal"] = write_literal
    return environment


def write_literal(value: date | str | float) -> str:
    """Write a value in ClickHouse's SQL; an instant in UTC, with its microseconds."""
    if isinstance(value, datetime):
        return f"toDateTime64('{value.astimezone(UTC):%Y-%m-%d %H:%M:%S.%f}', 6, 'UTC')"
    if isinstance(value, date):
        return f"toDate('{value}')"
    return str(Escaper().escape_string(value)) if isinstance(value, str) else repr(value)
