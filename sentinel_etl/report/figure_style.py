"""The one house style of figures: colours, sizes, labels.

Dark text on white, no frame that says nothing, units on every axis, and colours that the colour-blind
tell apart. A figure is made here or inside `house_style`, and returned through `finish_figure`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from io import BytesIO
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sentinel_etl.report.colours import (
    BEFORE,
    DEPARTURES,
    FAILED,
    INK,
    MUTED,
    NIGHT_COLOURS,
    PALETTE,
    SHADES,
    TONIGHT,
    VERDICT_COLOURS,
    WARNED,
)

__all__ = [
    "BEFORE",
    "DEPARTURES",
    "FAILED",
    "INK",
    "MUTED",
    "NIGHT_COLOURS",
    "PALETTE",
    "SHADES",
    "TONIGHT",
    "VERDICT_COLOURS",
    "WARNED",
    "WIDTH",
    "draw_axes",
    "draw_panels",
    "draw_plain",
    "finish_figure",
    "house_style",
    "label_panels",
]

WIDTH = 10.5  # inches; at 100 dots an inch it fits a page of 1280 px beside its margins

HOUSE = {
    "figure.dpi": 100,
    "figure.facecolor": "white",
    "figure.constrained_layout.use": True,
    "font.family": "DejaVu Sans",  # comes with matplotlib: the same on every machine
    "font.size": 10,
    "text.color": INK,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.titlesize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.prop_cycle": plt.cycler(color=PALETTE),
    "axes.axisbelow": True,
    "grid.color": "#E0E0E0",
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
    "legend.frameon": False,
    "legend.fontsize": 9,
    "lines.linewidth": 1.8,
    "image.cmap": SHADES,
}


class ShownFigure(Figure):
    """A figure that a notebook shows, whatever pyplot's backend is: on servers ``MPLBACKEND`` is often ``Agg``.

    https://ipython.readthedocs.io/en/stable/config/integrating.html#rich-display
    """

    def _repr_png_(self) -> bytes:
        image = BytesIO()
        self.savefig(image, format="png", dpi="figure", bbox_inches="tight")  # as Jupyter's own backend does
        return image.getvalue()

    def __repr__(self) -> str:
        return str(super().__repr__()).replace("ShownFigure", "Figure", 1)  # a notebook's text is as of any other


@contextmanager
def house_style() -> Iterator[None]:
    """Make figures in the house style within; nothing outside changes."""
    with plt.rc_context(HOUSE):
        yield


def draw_axes(rows: int = 1, columns: int = 1, *, figsize: tuple[float, float], **grid: Any) -> tuple[Figure, Any]:
    """Make a figure and its axes as ``pyplot.subplots`` does, but with no backend, which may want a screen."""
    figure = ShownFigure(figsize=figsize)
    return figure, figure.subplots(rows, columns, **grid)


def draw_plain(width: float = WIDTH, height: float = 3.2) -> tuple[Figure, Axes]:
    """Make a figure of one pair of axes; sizes in inches."""
    with house_style():
        figure, axis = draw_axes(figsize=(width, height))
    return figure, axis


def draw_panels(
    names: Sequence[str], *, columns: int = 3, height: float = 2.6, sharex: bool = False, sharey: bool = False
) -> tuple[Figure, dict[str, Axes]]:
    """Lay out one small titled panel for each name, row by row; ``height`` is that of a row, inches."""
    rows = max(1, -(-len(names) // columns))
    with house_style():
        figure, grid = draw_axes(
            rows, columns, figsize=(WIDTH, height * rows), sharex=sharex, sharey=sharey, squeeze=False
        )
        panels = list(grid.flat)
        for name, panel in zip(names, panels, strict=False):
            panel.set_title(name, loc="left")
            panel.tick_params(labelbottom=True)
    for spare in panels[len(names) :]:
        spare.set_visible(False)
    return figure, dict(zip(names, panels, strict=False))


def label_panels(figure: Figure, panels: Mapping[str, Axes], across: str, up: str) -> None:
    """Name both axes once, with their units, and what each colour is, above the panels."""
    with house_style():
        figure.supxlabel(across, fontsize="medium")
        figure.supylabel(up, fontsize="medium")
        handles = {
            label: handle
            for panel in panels.values()
            for handle, label in zip(*panel.get_legend_handles_labels(), strict=True)
        }
        if handles:
            figure.legend(handles.values(), handles.keys(), loc="outside upper right", ncols=len(handles))


def finish_figure(figure: Figure) -> Figure:
    """Close the figure to pyplot: a notebook shows a cell's result, and would show an open figure once more."""
    plt.close(figure)
    return figure
