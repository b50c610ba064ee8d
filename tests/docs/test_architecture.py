"""docs/architecture.md speaks of the code that is there."""

from __future__ import annotations

import re

from doc_pages import CHECKOUT, FENCE, read

PACKAGE = CHECKOUT / "sentinel_etl"
TEXT = FENCE.sub("", read(CHECKOUT / "docs" / "architecture.md"))


def folders() -> set[str]:
    return {path.parent.name for path in PACKAGE.glob("*/__init__.py")}


def test_each_folder_of_the_package_has_a_heading_and_each_heading_a_folder() -> None:
    headings = re.findall(r"^### (.+)$", TEXT, flags=re.MULTILINE)
    named = {name for heading in headings for name in re.findall(r"`(\w+)/`", heading)}
    assert named == folders()


def test_each_name_in_code_is_in_the_code() -> None:
    files = [*PACKAGE.rglob("*.py"), *CHECKOUT.glob("tests/**/*.py"), CHECKOUT / "pyproject.toml"]
    words = set(re.findall(r"\w+", "\n".join(read(path) for path in files)))
    words |= {part for path in PACKAGE.rglob("*") for part in (path.name, path.stem)}
    named = re.findall(r"`([A-Za-z_]\w*)`", TEXT)
    assert sorted({name for name in named if name not in words}) == []
