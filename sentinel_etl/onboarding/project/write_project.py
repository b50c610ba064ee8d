"""Writes a project's folder: whole, or not at all."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from hashlib import sha256
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from pydantic import SecretStr
from sqlalchemy import make_url

from sentinel_etl.errors import ConfigurationError
from sentinel_etl.onboarding.project.draft_project import Draft
from sentinel_etl.onboarding.project.new_columns import write_type
from sentinel_etl.onboarding.project.schedule import make_schedule
from sentinel_etl.onboarding.project.verification import quote_fact, source_statement, warehouse_statement
from sentinel_etl.onboarding.suggestion.write_tables import write_tables
from sentinel_etl.source.sql import DIALECT

__all__ = ["Place", "check_folder", "write_project"]


FILES = {
    ".env": "env",
    ".gitignore": "gitignore",
    "README.md": "README.md",
    "crontab": "crontab",
    "grants_source.sql": "grants_source.sql",
    "grants_warehouse.sql": "grants_warehouse.sql",
    "models.py": "models.py",
    "pipeline.py": "pipeline.py",
    "tests/conftest.py": "conftest.py",
    "tests/test_pipeline.py": "test_pipeline.py",
    "verify.sql": "verify.sql",
}

QUOTE = DIALECT.identifier_preparer.quote

LONGEST_LINE = 90

# How many nights back the statements for a comparison by hand, and the example of a backfill, go.
NIGHTS_BACK = timedelta(days=7)


@dataclass(frozen=True)
class Place:
    """Where a project is to be, and between which databases."""

    folder: Path
    source_url: SecretStr
    warehouse_url: SecretStr

    @property
    def fact_table(self) -> str:
        """The fact table's name, of the folder's."""
        return f"{re.sub(r'[^a-z0-9]+', '_', self.folder.name.lower()).strip('_') or 'source'}_events"


def check_folder(folder: Path) -> None:
    """See that a project can be written there, before anything is read.

    Raises:
        ConfigurationError: it holds something, or the folder that it is to stand in is not there.
    """
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise ConfigurationError(f"init: expected {folder} to be a folder, or not to be there; found a file or a link")
    if folder.is_dir() and (found := sorted(path.name for path in folder.iterdir())):
        raise ConfigurationError(
            f"init: expected {folder} to be empty, or not to be there; found {found[0]} in it. Name another folder"
        )
    if not folder.parent.is_dir() or not os.access(folder.parent, os.W_OK):
        raise ConfigurationError(f"init: expected to write into {folder.parent}; make that folder first")


def write_project(place: Place, draft: Draft) -> None:
    """Write the project into a folder beside, and rename it into place.

    An interruption leaves no half project: at most a hidden folder beside, whose name ends in ``.part``.

    Raises:
        ConfigurationError: as `check_folder`, or the disk does not take it.
    """
    check_folder(place.folder)
    texts = project_files(place, draft)
    try:
        part = Path(tempfile.mkdtemp(prefix=f".{place.folder.name}.", suffix=".part", dir=place.folder.parent))
        try:
            for name, text in texts.items():
                (part / name).parent.mkdir(exist_ok=True)
                (part / name).touch(mode=0o600 if name == ".env" else 0o666)
                (part / name).write_text(text, encoding="utf-8")
            part.rename(place.folder)
        finally:
            shutil.rmtree(part, ignore_errors=True)
    except OSError as error:
        raise ConfigurationError(f"init: expected to write {place.folder}, found: {error.strerror or error}") from error


def project_files(place: Place, draft: Draft) -> dict[str, str]:
    """Make each file's text."""
    last = draft.window.shift_dates(draft.zone)[-1]
    values = {
        "draft": draft,
        "title": place.folder.name,
        "fact_table": place.fact_table,
        "source_url": dotenv_quoted(place.source_url.get_secret_value()),
        "warehouse_url": dotenv_quoted(place.warehouse_url.get_secret_value()),
        "models": write_tables(draft.tables).rstrip(),
        "imports": merged_imports(draft),
        "definitions": list(dict.fromkeys(line for each in draft.suggestions for line in each.definitions)),
        "columns": {label: write_type(kind) for label, kind in draft.fact_columns.items()},
        **granted(draft),
        "database": quote_fact(make_url(place.warehouse_url.get_secret_value()).database or "default"),
        "at": make_schedule(draft.zone, datetime.now(UTC)),
        "home": place.folder,
        "program": program(),
        "first": last - NIGHTS_BACK,
        "last": last - timedelta(days=1),
        "statements": [
            (
                kind.name,
                source_statement(kind, dict(draft.fact_columns), draft.zone, last - NIGHTS_BACK),
                warehouse_statement(kind, dict(draft.fact_columns), place.fact_table, last - NIGHTS_BACK),
            )
            for kind in draft.event_types.values()
        ],
    }
    return {name: render(template, values) for name, template in FILES.items()}


def merged_imports(draft: Draft) -> list[str]:
    """Merge what the entries and the fact table import: a line for each module."""
    names = {"sqlalchemy": {"Column", "MetaData", "text"}}
    for line in (line for each in draft.suggestions for line in each.imports):
        module, _, listed = line.removeprefix("from ").partition(" import ")
        names.setdefault(module, set()).update(listed.split(", "))
    return [f"from {module} import {', '.join(sorted(listed))}" for module, listed in names.items()]


def granted(draft: Draft) -> dict[str, list[str]]:
    """List the tables that a run reads, and their schemas, as PostgreSQL writes them."""
    names = {name: QUOTE(str(table.name)) for name, table in draft.tables.items()}
    for name, schema in draft.schemas.items():
        if schema != "public":
            names[name] = f"{QUOTE(schema)}.{names[name]}"
    return {"schemas": [QUOTE(each) for each in dict.fromkeys(draft.schemas.values())], "tables": list(names.values())}


def program() -> str:
    """Name the command by its path, for who starts it without ours."""
    beside = Path(sys.executable).with_name("sentinel-etl")
    return str(beside if beside.is_file() else shutil.which("sentinel-etl") or "sentinel-etl")


def dotenv_quoted(value: str) -> str:
    """Write a value so that python-dotenv reads it as it is: https://saurabh-kumar.com/python-dotenv/#file-format"""
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def render(template: str, values: dict[str, object]) -> str:
    return open_environment().get_template(f"{template}.j2").render(values)


def python(value: object) -> str:
    """Write texts, and dictionaries of texts and numbers, as Python source, which for these JSON is."""
    line = json.dumps(value, ensure_ascii=False)
    return (
        line if len(line) <= LONGEST_LINE else json.dumps(value, ensure_ascii=False, indent=4).replace("\n", "\n    ")
    )


def cron_value(value: object) -> str:
    """Write a variable's value as cron reads it: within quotes that it does not hold, or to the line's end.

    https://man7.org/linux/man-pages/man5/crontab.5.html
    """
    text = str(value)
    quote = next((mark for mark in "\"'" if mark not in text), "")
    return f"{quote}{text}{quote}"


def mark(home: object) -> str:
    """Name a project's lines in a crontab, in letters that no shell and no sed takes for anything else."""
    return f"sentinel-etl {sha256(str(home).encode()).hexdigest()[:12]}"


@cache
def open_environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("sentinel_etl.onboarding.project"),
        autoescape=False,  # noqa: S701 - no HTML: each value is quoted for the file that it stands in
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"python": python, "cron_value": cron_value, "mark": mark}
    return environment
