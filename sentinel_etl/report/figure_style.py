"""The one house style of figures: colours, sizes, labels.

Dark text on white, no frame that says nothing, units on every axis, and colours that the colour-blind
tell apart. A figure is made here or inside `house_style`, and returned through `finish_figure`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sentinel_etl.report.colours import (
    BEFORE,
    DEPARTURES,
    FAILED,
    GRID,
    INK,
    MUTED,
    NIGHT_COLOURS,
    PALETTE,
    SHADES,
    TONIGHT,
    VERDICT_COLOURS,
    WARNED,
)
from sentinel_etl.report.figure_image import ShownFigure

__all__ = [
    "BEFORE",
    "DEPARTURES",
    "FAILED",
    "GRID",
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
    "draw_boxes",
    "draw_plain",
    "finish_figure",
    "house_style",
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
    "grid.color": GRID,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
    "legend.frameon": False,
    "legend.fontsize": 9,
    "lines.linewidth": 1.8,
    "image.cmap": SHADES,
}


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


def draw_boxes(axis: Axes, groups: Sequence[Any], names: Sequence[str], colour: str) -> None:
    """Draw the middle half as a box, the middle nine tenths as whiskers, and no point beyond."""
    axis.boxplot(
        groups,
        tick_labels=names,
        whis=(5, 95),
        showfliers=False,
        widths=0.5,
        patch_artist=True,
        boxprops={"facecolor": colour, "edgecolor": colour, "alpha": 0.85},
        medianprops={"color": "white", "linewidth": 2},
        whiskerprops={"color": MUTED},
        capprops={"color": MUTED},
    )
    axis.set_ylim(bottom=0)


def finish_figure(figure: Figure, words: str = "") -> Figure:
    """Close the figure to pyplot, as a notebook would show an open one once more; ``words`` say what it shows."""
    plt.close(figure)
    if isinstance(figure, ShownFigure):
        figure.words = words
    return figure
