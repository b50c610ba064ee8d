"""The sections of a report: which columns each needs, and what stands in its place where it cannot be drawn.

A function says by `needs` what it cannot do without. A notebook calls it through `Sections`, and gets what it returns,
or one line in its place::

    section = Sections(pipeline)
    section(risk_table, scores, before, by="station")
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from inspect import signature
from typing import Any, TypeVar

from sentinel_etl.config.dimensions import ROLES
from sentinel_etl.errors import NothingThere, SentinelError
from sentinel_etl.pipeline import Pipeline
from sentinel_etl.report.figure_style import FAILED
from sentinel_etl.report.pages import Page
from sentinel_etl.report.render import render_macro

__all__ = ["FAILED_SECTION", "LeftOut", "Sections", "needs"]

Section = TypeVar("Section", bound=Callable[..., Any])

# An output's metadata names by it the section that failed, for whoever executed the notebook.
FAILED_SECTION = "sentinel_failed_section"


def needs(*names: str) -> Callable[[Section], Section]:
    """Say what a section cannot do without: dimensions by their role, other columns of the fact table by their name."""

    def declare(section: Section) -> Section:
        section.__dict__["needs"] = names
        return section

    return declare


@dataclass(frozen=True)
class LeftOut(Page):
    """The line in the place of what there is nothing to show for; what is made of it is left out, too."""

    failed: str = ""

    def __bool__(self) -> bool:
        return False

    def _repr_mimebundle_(self, **_: object) -> tuple[dict[str, str], dict[str, str]]:
        data = {"text/html": self.html, "text/plain": self.text}
        return data, {FAILED_SECTION: self.failed} if self.failed else {}


@dataclass(frozen=True)
class Sections:
    """Calls a report's functions for one pipeline."""

    pipeline: Pipeline

    def __call__(self, draw: Callable[..., Any], *given: Any, **named: Any) -> Any:
        """Return what the function returns, or the line in its place: a column is missing, nothing is there, it fails.

        ``by`` is a dimension's role or a column's name, and the function gets the column. One that takes ``dimensions``
        gets the pipeline's.

        Raises:
            SentinelError: the function's own; it says what to do, and ends the notebook with its exit code.
        """
        if without := next((each for each in (*given, *named.values()) if isinstance(each, LeftOut)), None):
            return without
        if missing := self.find_missing([*getattr(draw, "needs", ()), *([named["by"]] if "by" in named else [])]):
            return left_out(f"{title_of(draw, named)}: left out, {self.describe(missing)}")
        try:
            return draw(*given, **self.complete(draw, named))
        except NothingThere as nothing:
            return left_out(str(nothing))
        except SentinelError:
            raise
        except Exception as error:  # noqa: BLE001 - a figure must not fail what is done already
            return failed(title_of(draw, named), error)

    def find_missing(self, names: Iterable[str]) -> list[str]:
        table, roles = self.pipeline.fact_table, self.pipeline.roles
        return [name for name in names if (name not in roles if name in ROLES else name not in table.columns)]

    def describe(self, missing: list[str]) -> str:
        """Say which columns the fact table lacks; a dimension by what the pipeline calls it."""
        columns = [self.pipeline.dimensions.column(name) for name in missing]
        kept_back = [name for name in columns if name in self.pipeline.fact_table.columns]
        if kept_back:
            return f"{', '.join(kept_back)} is personal"
        own = "; a pipeline may name its own in `dimensions`" if set(missing) & set(ROLES) else ""
        noun = "columns" if len(columns) > 1 else "column"
        return f"{self.pipeline.fact_table.name} has no {noun} {', '.join(columns)}{own}"

    def complete(self, draw: Callable[..., Any], named: dict[str, Any]) -> dict[str, Any]:
        dimensions = self.pipeline.breakdown
        given = {"dimensions": dimensions} if "dimensions" in signature(draw).parameters else {}
        by = {"by": dimensions.column(named["by"])} if "by" in named else {}
        return {**given, **named, **by}

    def pair(self, draw: Callable[..., tuple[Any, Any]], *given: Any, **named: Any) -> tuple[Any, Any]:
        """Return the two values that a function returns, or the line in the place of both."""
        found = self(draw, *given, **named)
        return (found, found) if isinstance(found, LeftOut) else found

    def word(self, name: str) -> str:
        """Give the pipeline's word for a dimension, by role or column."""
        return self.pipeline.breakdown.word(self.pipeline.breakdown.column(name))

    def heading(self, words: str, by: str = "", level: int = 3) -> Page:
        """Head the sections below, in the pipeline's own word: ``By {}`` → By ward."""
        text = words.format(self.word(by))
        return Page(render_macro("heading", text=text, level=level), text)


def title_of(draw: Callable[..., Any], named: dict[str, Any]) -> str:
    """Name a section by its function, and by what it breaks down by."""
    words = getattr(draw, "__name__", str(draw)).replace("_", " ")
    return words.capitalize() + (f" by {named['by'].removesuffix('_id').replace('_', ' ')}" if "by" in named else "")


def left_out(line: str) -> LeftOut:
    return LeftOut(render_macro("text_lines", lines=[line]), line)


def failed(title: str, error: Exception) -> LeftOut:
    """Name a section that failed, in the page and for whoever executes the notebook."""
    line = f"{title}: not drawn, {type(error).__name__}: {' '.join(str(error).split()) or 'no message'}"
    return LeftOut(render_macro("framed_line", line=line, colour=FAILED), line, failed=line)
