"""Small multiples: a titled panel for each name, and what all have alike drawn once for the whole figure.

A panel's own axis, with its ticks and its frame, costs more to lay out and to draw than what it shows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from sentinel_etl.report.colours import GRID, MUTED
from sentinel_etl.report.figure_image import ShownFigure
from sentinel_etl.report.figure_style import WIDTH, house_style

__all__ = ["draw_panels", "label_panels", "name_axes"]

# Inches around the panels and between them: the labels' sizes are known, and need not be measured.
LEFT, RIGHT, TOP, BOTTOM = 0.75, 0.12, 0.55, 0.5
BESIDE, BETWEEN = 0.35, 0.45
GAP = 0.05  # between an axis and the numbers at it


def draw_panels(names: Sequence[str], *, columns: int = 3, height: float = 2.6) -> tuple[Figure, dict[str, Axes]]:
    """Lay out the panels row by row; ``height`` is that of a row, inches. `label_panels` completes them once full."""
    rows = max(1, -(-len(names) // columns))
    tall = height * rows
    across = (WIDTH - LEFT - RIGHT - BESIDE * (columns - 1)) / columns
    up = (tall - TOP - BOTTOM - BETWEEN * (rows - 1)) / rows
    with house_style():
        figure = ShownFigure(figsize=(WIDTH, tall), layout="none")
        grid = figure.add_gridspec(
            rows,
            columns,
            left=LEFT / WIDTH,
            right=1 - RIGHT / WIDTH,
            bottom=BOTTOM / tall,
            top=1 - TOP / tall,
            wspace=BESIDE / across,
            hspace=BETWEEN / up,
        )
        panels = {name: figure.add_subplot(grid[place]) for place, name in enumerate(names)}
        for name, panel in panels.items():
            panel.set_title(name, loc="left", y=1.0)
            panel.set_axis_off()
    return figure, panels


def label_panels(figure: Figure, panels: Mapping[str, Axes], across: str, up: str) -> None:
    """Draw frames, grids and numbers, and name both axes and the colours, once for all panels."""
    with house_style():
        draw_frames(figure, list(panels.values()))
    name_axes(figure, panels, across, up, "upper left")


def name_axes(
    figure: Figure, panels: Mapping[str, Axes], across: str, up: str, legend: str = "outside upper left"
) -> None:
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
            figure.legend(handles.values(), handles.keys(), loc=legend, ncols=len(handles))


def draw_frames(figure: Figure, panels: Sequence[Axes]) -> None:
    """Draw all panels' frames and grids as one, with numbers below the lowest of a column and left of a row.

    Panels with scales of their own have their own numbers on the left.
    """
    width, tall = figure.get_size_inches()
    alike = len({panel.get_ylim() for panel in panels}) == 1
    boxes = [panel.get_position() for panel in panels]
    frames, lines = [], []
    for panel, box in zip(panels, boxes, strict=True):
        (left, low), (right, high) = box.get_points()
        frames.append([(left, high), (left, low), (right, low)])
        lowest = low == min(other.y0 for other in boxes if other.x0 == left)
        for x, text in numbers_at(figure, panel, 0):
            lines.append([(x, low), (x, high)])
            if lowest:
                figure.text(x, low - GAP / tall, text, ha="center", va="top", size=9)
        for y, text in numbers_at(figure, panel, 1):
            lines.append([(left, y), (right, y)])
            if not alike or left == min(other.x0 for other in boxes):
                figure.text(left - GAP / width, y, text, ha="right", va="center", size=9)
    for drawn, colour, order in ((lines, GRID, -2), (frames, MUTED, -1)):
        figure.add_artist(
            LineCollection(drawn, colors=colour, linewidths=0.8, transform=figure.transFigure, zorder=order)
        )


def numbers_at(figure: Figure, panel: Axes, direction: int) -> list[tuple[float, str]]:
    """Give the numbers at an axis, 0 across and 1 up, and where in the figure they stand, as shares of it."""
    axis, (low, high) = ((panel.xaxis, panel.get_xlim()), (panel.yaxis, panel.get_ylim()))[direction]
    ticks = [tick for tick in axis.get_majorticklocs() if low <= tick <= high]
    if not ticks:
        return []
    corner = (panel.get_xlim()[0], panel.get_ylim()[0])
    points = [(tick, corner[1]) if direction == 0 else (corner[0], tick) for tick in ticks]
    places = (panel.transData - figure.transFigure).transform(points)[:, direction]
    return list(zip(map(float, places), axis.get_major_formatter().format_ticks(ticks), strict=True))
