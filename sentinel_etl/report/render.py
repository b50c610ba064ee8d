"""Renders the templates in `templates/`: all HTML of a report is made there, and escaped in one place."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from sentinel_etl.report.colours import INK, MUTED, WARNED

if TYPE_CHECKING:
    from jinja2 import Environment

__all__ = ["FAILED_SECTION", "MAP_KEY", "render_macro", "render_template"]

# An output's metadata names by it the section that failed, for whoever executed the notebook.
FAILED_SECTION = "sentinel_failed_section"

# The metadata of an SVG say by it what the marks of a map mean: a page lets such a one be zoomed.
MAP_KEY = "sentinel_map_key"


def render_template(name: str, /, **values: object) -> str:
    """Render a template; a value is escaped unless it is HTML already, as a `Page` is."""
    return open_environment().get_template(name).render(values)


def render_macro(name: str, /, **values: object) -> str:
    """Render a macro of `macros.html.j2`; values as in `render_template`.

    Quotes are written as `html.escape` writes them, because stored notebooks hold them so.
    """
    macros = open_environment().get_template("macros.html.j2").module
    html = str(getattr(macros, name)(**values))
    # Both stand for an escaped quote only: of a value that holds one of them, the & is escaped.
    return html.replace("&#39;", "&#x27;").replace("&#34;", "&quot;")


@cache
def open_environment() -> Environment:
    # Whoever only draws figures should not wait for this import.
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("sentinel_etl.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(INK=INK, MUTED=MUTED, WARNED=WARNED)
    return environment
