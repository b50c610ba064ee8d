"""Runs one example of a page, from standard input, in a process of its own: ``pycon`` or ``sql``."""

from __future__ import annotations

import doctest
import sys
from pathlib import Path
from typing import Any


def run_pycon(text: str) -> None:
    """Run each example and print it with what it prints, as the interpreter would."""
    names: dict[str, Any] = {}
    for example in doctest.DocTestParser().get_examples(text):
        first, *more = example.source.splitlines()
        print("\n".join([f">>> {first}", *(f"... {line}".rstrip() for line in more)]))
        exec(compile(example.source, "<page>", "single"), names)  # noqa: S102 - the page's own example


def run_sql(text: str) -> None:
    """Send the statements to the source, in one transaction."""
    from sentinel_etl import open_databases

    databases = open_databases()
    with databases.source.begin() as connection:
        connection.exec_driver_sql(text)


if __name__ == "__main__":
    sys.path.append(str(Path.cwd()))  # as the interpreter has the folder that it starts in
    {"pycon": run_pycon, "sql": run_sql}[sys.argv[1]](sys.stdin.read())
