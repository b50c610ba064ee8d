"""A figure as it is shown: drawn once, as a small image that looks like the large one, with words beside it."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from IPython.core.formatters import DisplayFormatter
from IPython.core.pylabtools import print_figure
from matplotlib.artist import Artist
from matplotlib.figure import Figure
from PIL import Image

from sentinel_etl.report.figure_style import PALETTE, draw_plain, finish_figure
from sentinel_etl.report.panels import draw_panels, label_panels

SHOW = [
    pytest.param(print_figure, id="by a notebook's backend"),
    pytest.param(lambda figure: figure._repr_png_(), id="without one"),
]


class Counted(Artist):
    """Counts how often it is drawn."""

    times = 0

    def draw(self, renderer: Any) -> None:
        self.times += 1


def draw_bars() -> Figure:
    figure, axis = draw_plain()
    for place, colour in enumerate(PALETTE):
        axis.bar(place, place + 1, color=colour, alpha=0.7, label=f"the bar {place}")
    axis.legend()
    axis.set_xlabel("places")
    return finish_figure(figure, "Six bars, each higher than the last")


def pixels_of(image: Image.Image) -> Any:
    return np.asarray(image.convert("RGB"), int)


@pytest.mark.parametrize("show", SHOW)
def test_what_a_notebook_shows_is_drawn_once(show: Callable[[Figure], bytes]) -> None:
    figure, counted = draw_bars(), Counted()
    figure.add_artist(counted)
    show(figure)
    assert counted.times == 1


@pytest.mark.parametrize("show", SHOW)
def test_an_image_is_small_and_looks_like_the_one_of_all_colours(
    show: Callable[[Figure], bytes], tmp_path: Path
) -> None:
    figure = draw_bars()
    figure.savefig(tmp_path / "whole.png")
    whole, shown = (tmp_path / "whole.png").read_bytes(), show(figure)
    assert len(shown) < len(whole) / 2
    image = Image.open(BytesIO(shown))
    assert image.mode == "P"
    apart = pixels_of(image) - pixels_of(Image.open(BytesIO(whole)))
    assert np.abs(apart).max() <= 10


@pytest.mark.parametrize("show", SHOW)
def test_what_stands_beyond_the_edge_is_shown_too(show: Callable[[Figure], bytes]) -> None:
    figure, axis = draw_plain(4.0, 1.0)
    axis.set_ylabel("a name that is longer than the figure is high")
    image = Image.open(BytesIO(show(finish_figure(figure))))
    assert image.height > 250
    assert np.asarray(image.convert("L"))[[0, -1], :].min() == 255, "nothing is cut off at the edges"


def test_the_shades_of_a_heat_map_stay_apart(tmp_path: Path) -> None:
    figure, axis = draw_plain(6.0, 3.0)
    axis.imshow(np.linspace(0, 1, 200).reshape(1, -1), aspect="auto", cmap="Blues")
    figure.savefig(tmp_path / "whole.png")
    whole = Image.open(BytesIO((tmp_path / "whole.png").read_bytes()))
    shown = Image.open(BytesIO(print_figure(finish_figure(figure))))
    assert np.abs(pixels_of(shown) - pixels_of(whole)).max() <= 6
    assert len(np.unique(pixels_of(shown)[150, 100:500], axis=0)) > 50


def test_a_figure_that_is_saved_to_a_file_has_all_its_colours(tmp_path: Path) -> None:
    draw_bars().savefig(tmp_path / "saved.png", dpi=200, bbox_inches="tight")
    with Image.open(tmp_path / "saved.png") as saved:
        assert saved.mode == "RGBA"


def test_a_figure_s_words_go_with_its_image() -> None:
    formatter = DisplayFormatter()
    data, metadata = formatter.format(draw_bars())
    assert data["image/png"].startswith(b"\x89PNG")
    assert metadata["image/png"] == {"alt": "Six bars, each higher than the last"}
    formatter.formatters["image/png"].for_type(Figure, print_figure)  # as Jupyter's own backend does
    data, metadata = formatter.format(draw_bars())
    assert data["image/png"].startswith(b"\x89PNG")
    assert metadata["image/png"] == {"alt": "Six bars, each higher than the last"}


def numbers_of(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.texts if text.get_text() not in ("across", "up")]


def test_panels_have_one_frame_and_numbers_at_the_edges_alone() -> None:
    figure, panels = draw_panels([f"panel {n}" for n in range(5)], columns=3)
    for panel in panels.values():
        panel.plot([0, 10], [0, 100], label="a line")
        panel.set(xlim=(0, 10), ylim=(0, 100))
    label_panels(figure, panels, "across", "up")
    assert [panel.axison for panel in figure.axes] == [False] * 5
    assert numbers_of(figure).count("10") == 3, "one a column, below its lowest panel"
    assert numbers_of(figure).count("100") == 2, "one a row"
    assert len(figure.legends) == 1
    print_figure(figure)


def test_panels_with_scales_of_their_own_have_numbers_of_their_own() -> None:
    figure, panels = draw_panels(["small", "large"], columns=2)
    for panel, highest in zip(panels.values(), (10, 1000), strict=True):
        panel.set(xlim=(0, 1), ylim=(0, highest))
    label_panels(figure, panels, "across", "up")
    assert {"10", "1000"} <= set(numbers_of(figure))


def test_a_number_stands_where_its_value_is() -> None:
    figure, panels = draw_panels(["one"], columns=1)
    panels["one"].set(xlim=(0, 10), ylim=(0.1, 100), yscale="log")
    panels["one"].yaxis.set_major_formatter("{x:g}")
    label_panels(figure, panels, "across", "up")
    (number,) = [text for text in figure.texts if text.get_text() == "10" and text.get_position()[1] > 0.2]
    _, up = figure.transFigure.inverted().transform(panels["one"].transData.transform((0, 10)))
    assert number.get_position()[1] == pytest.approx(up)
