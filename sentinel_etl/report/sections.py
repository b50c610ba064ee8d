"""The sections of a report: which columns each needs, and what stands in its place where it cannot be drawn.

A function says by `needs` what it cannot do without. A notebook calls it through `Sections`, and gets what it returns,
or one line in its place::

    section = Sections(pipeline)
    counts = section.read(compare_counts, window, pipeline, source, warehouse)
    section(reconciliation_figure, counts)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from inspect import signature
from typing import Any, TypeVar

from sentinel_etl.config.dimensions import ROLES
from sentinel_etl.errors import NothingThere, SentinelError
from sentinel_etl.pipeline import Pipeline
from sentinel_etl.report.colours import FAILED
from sentinel_etl.report.pages import Page
from sentinel_etl.report.render import FAILED_SECTION, render_macro

__all__ = ["FAILED_SECTION", "LeftOut", "Sections", "needs"]

Section = TypeVar("Section", bound=Callable[..., Any])


def needs(*names: str, optional: Sequence[str] = ()) -> Callable[[Section], Section]:
    """Say what a section cannot do without: dimensions by their role, other columns of the fact table by their name.

    ``optional`` are its parameters that it can do without: they are None where there is nothing to give.
    """

    def declare(section: Section) -> Section:
        section.__dict__.update(needs=names, optional=optional)
        return section

    return declare


@dataclass(frozen=True, repr=False)
class LeftOut(Page):
    """The line in the place of what there is nothing to show for; what is made of it is left out, too.

    ``reason`` is what several sections may have in common; ``failed`` is the line again where it was an error.
    """

    reason: str = ""
    failed: str = ""

    def __bool__(self) -> bool:
        return False

    def __getitem__(self, key: object) -> LeftOut:
        return self

    def _repr_mimebundle_(self, **_: object) -> tuple[dict[str, str], dict[str, str]]:
        data = {"text/html": self.html, "text/plain": self.text}
        return data, {FAILED_SECTION: self.failed} if self.failed else {}


@dataclass(frozen=True)
class Sections:
    """Calls a report's functions for one pipeline: ``section(draw, …)`` for what is shown, `read` for what is not.

    A reason that several sections are left out for is told once, by the first: ``told`` is reason → section.
    """

    pipeline: Pipeline
    told: dict[str, str] = field(default_factory=dict, repr=False)

    def __call__(self, draw: Callable[..., Any], *given: Any, **named: Any) -> Any:
        """Return what the function draws, or the line in its place; None where another section has told the reason.

        ``by`` is a dimension's role or a column's name, and the function gets the column. One that takes ``dimensions``
        gets the pipeline's.

        Raises:
            SentinelError: the function's own; it says what to do, and ends the notebook with its exit code.
        """
        found = self.read(draw, *given, **named)
        return self.tell(found, title_of(draw, named)) if isinstance(found, LeftOut) else found

    def read(self, draw: Callable[..., Any], *given: Any, **named: Any) -> Any:
        """Return what the function returns, or the line in its place, to be handed on.

        Raises: as a call.
        """
        given, named = without_optional(draw, given, named)
        for each in (*given, *named.values()):
            if isinstance(each, LeftOut):
                return each
        title = title_of(draw, named)
        if missing := self.find_missing([*getattr(draw, "needs", ()), *([named["by"]] if "by" in named else [])]):
            return self.leave_out(title, missing)
        try:
            return draw(*given, **self.complete(draw, named))
        except NothingThere as nothing:
            line = str(nothing)
            return LeftOut(render_macro("text_lines", lines=[line]), line, line)
        except SentinelError:
            raise
        except Exception as error:  # noqa: BLE001 - a figure must not fail what is done already
            line = f"{title}: not drawn, {type(error).__name__}: {' '.join(str(error).split()) or 'no message'}"
            return LeftOut(render_macro("framed_line", line=line, colour=FAILED), line, line, line)

    def pair(self, read: Callable[..., tuple[Any, Any]], *given: Any, **named: Any) -> tuple[Any, Any]:
        """Return the two values that a function returns, or the line in the place of both."""
        found = self.read(read, *given, **named)
        return (found, found) if isinstance(found, LeftOut) else found

    def heading(self, words: str, by: str, *more: str, level: int = 3) -> Page | None:
        """Head the sections by a dimension in the pipeline's own word, ``By {}`` → By ward, or say why there are none.

        ``more``: what else they need, as in `needs`.
        """
        dimensions = self.pipeline.breakdown
        if missing := self.find_missing((by, *more)):
            title = words.format(by.removesuffix("_id"))
            return self.tell(self.leave_out(title, missing), title)
        text = words.format(dimensions.word(dimensions.column(by)))
        return Page(render_macro("heading", text=text, level=level), text)

    def tell(self, line: LeftOut, title: str) -> LeftOut | None:
        return line if self.told.setdefault(line.reason, title) == title else None

    def find_missing(self, names: Iterable[str]) -> list[str]:
        table, roles = self.pipeline.fact_table, self.pipeline.roles
        return [name for name in names if (name not in roles if name in ROLES else name not in table.columns)]

    def leave_out(self, title: str, missing: Sequence[str]) -> LeftOut:
        """Say which columns the fact table lacks; a dimension by what the pipeline calls it."""
        table = self.pipeline.fact_table
        columns = [self.pipeline.dimensions.column(name) for name in missing]
        if personal := [name for name in columns if name in table.columns]:
            reason = f"{', '.join(personal)} of {table.name} is personal"
        else:
            own = "; a pipeline may name its own in `dimensions`" if set(missing) & set(ROLES) else ""
            noun = "columns" if len(columns) > 1 else "column"
            reason = f"{table.name} has no {noun} {', '.join(columns)}{own}"
        line = f"{title}: left out, {reason}"
        return LeftOut(render_macro("text_lines", lines=[line]), line, reason)

    def complete(self, draw: Callable[..., Any], named: dict[str, Any]) -> dict[str, Any]:
        dimensions = self.pipeline.breakdown
        given = {"dimensions": dimensions} if "dimensions" in signature(draw).parameters else {}
        by = {"by": dimensions.column(named["by"])} if "by" in named else {}
        return {**given, **named, **by}


def without_optional(
    draw: Callable[..., Any], given: tuple[Any, ...], named: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Put None in the place of what is left out, where the function can do without it; not in the place of all."""
    if not (optional := getattr(draw, "optional", ())):
        return given, named
    bound = signature(draw).bind(*given, **named)
    if all(isinstance(each, LeftOut) for each in bound.arguments.values()):
        return given, named
    lacking = {name: None for name in optional if isinstance(bound.arguments.get(name), LeftOut)}
    bound.arguments.update(lacking)
    return bound.args, bound.kwargs


def title_of(draw: Callable[..., Any], named: dict[str, Any]) -> str:
    """Name a section by its function, and by what it breaks down by."""
    words = getattr(draw, "__name__", str(draw)).replace("_", " ")
    return words.capitalize() + (f" by {named['by'].removesuffix('_id').replace('_', ' ')}" if "by" in named else "")
