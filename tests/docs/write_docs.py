"""Writes the parts of the pages that come from the code: ``make reference`` and ``make readme``.

``reference``  the blocks of docs/reference.md, from the code alone; takes seconds
``examples``   what the commands, queries and Python of README.md and docs/*.md print, by running them
"""

from __future__ import annotations

import sys

from doc_examples import run_pages
from doc_pages import REFERENCE, read
from doc_reference import writers


def write_reference() -> None:
    """Write the reference anew; an error leaves it as it was."""
    text = read(REFERENCE)
    for name, write in writers().items():
        opening, closing = f"<!-- {name} -->\n", f"<!-- /{name} -->"
        if opening not in text:
            sys.exit(f"{REFERENCE.name}: expected the marks {opening.strip()} and {closing}, found none")
        head, _, rest = text.partition(opening)
        text = head + opening + write() + closing + rest.partition(closing)[2]
    REFERENCE.write_text(text, encoding="utf-8")


def write_examples() -> None:
    """Write what the examples print; an error leaves the pages as they were."""
    for page, text in run_pages().items():
        page.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    parts = {"reference": write_reference, "examples": write_examples}
    for part in sys.argv[1:] or parts:
        parts[part]()
