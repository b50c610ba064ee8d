"""The pages, README.md and docs/*.md, taken apart: blocks between marks, fenced blocks, links, headings."""

from __future__ import annotations

import re
from pathlib import Path

CHECKOUT = Path(__file__).parents[2]
README = CHECKOUT / "README.md"
REFERENCE = CHECKOUT / "docs" / "reference.md"

# In the order in which their examples run; the last change the source.
PAGES = [
    README,
    CHECKOUT / "docs" / "fifty_lines.md",
    CHECKOUT / "docs" / "your_database.md",
    CHECKOUT / "docs" / "analysis.md",
    CHECKOUT / "docs" / "operations.md",
    REFERENCE,
    CHECKOUT / "docs" / "architecture.md",
    CHECKOUT / "docs" / "guarantees.md",
    CHECKOUT / "docs" / "scale.md",
]
LINKED_PAGES = [*PAGES, *(CHECKOUT / folder / "README.md" for folder in ("benchmarks", "deploy", "runs"))]

BLOCK = re.compile(r"<!-- (?P<name>[^/\n][^\n]*?) -->\n(?P<body>.*?)<!-- /(?P=name) -->", re.DOTALL)
FENCE = re.compile(r"^```(?P<language>\w*)\n(?P<body>.*?)^```$", re.DOTALL | re.MULTILINE)


def read(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def name_page(page: Path) -> str:
    return page.relative_to(CHECKOUT).as_posix()


def read_blocks(text: str) -> dict[str, str]:
    """Map each block between ``<!-- name -->`` and ``<!-- /name -->`` to what stands in it."""
    return {found["name"]: found["body"] for found in BLOCK.finditer(text)}


def read_fences(text: str, language: str) -> list[str]:
    return [found["body"] for found in FENCE.finditer(text) if found["language"] == language]


def read_links(text: str) -> list[str]:
    """List the targets of a page's links and pictures, but for those in code."""
    prose = re.sub(r"`[^`\n]*`", "", FENCE.sub("", text))
    return re.findall(r"\]\(([^)\s]+)\)", prose)


def read_anchors(text: str) -> list[str]:
    """List the anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", FENCE.sub("", text), flags=re.MULTILINE)
    return [re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings]


def read_commands(text: str) -> list[str]:
    """List the commands of a page's ``sh`` and ``console`` blocks, continued lines joined, comments left out."""
    shown = "".join(read_fences(text, "sh"))
    shown += "".join(prompted for body in read_fences(text, "console") for prompted in read_prompted(body))
    lines = shown.replace("\\\n", " ").splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def read_prompted(body: str) -> list[str]:
    """List the commands of a ``console`` block, each as it is written after its ``$``, with its line's end."""
    return re.findall(r"^\$ ((?:.*\\\n)*.*\n)", body, flags=re.MULTILINE)
